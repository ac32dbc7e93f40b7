/* server/assets.c -- bisection over a sorted table.
 *
 * A path that ends in '/' is compared as if "index.html" stood behind it,
 * without building that text: the parts are compared one after the other. */
#include "server/assets.h"

/* The order of |path| and of |folder| with |file| behind it. */
static int compare(lk_slice path, lk_slice folder, lk_slice file) {
  int order = lk_slice_compare(lk_slice_first(path, folder.len), folder);
  return order != 0 ? order
                    : lk_slice_compare(lk_slice_skip(path, folder.len), file);
}

const lk_asset *lk_assets_find(const lk_assets *self, lk_slice path) {
  lk_slice file = lk_slice_ends_with(path, LK_LIT("/")) ? LK_LIT("index.html")
                                                        : LK_SLICE_EMPTY;
  size_t low = 0, high = self->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = compare(self->items[middle].path, path, file);
    if (order == 0)
      return &self->items[middle];
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return NULL;
}

bool lk_assets_etag_matches(lk_slice header, lk_slice etag) {
  if (lk_slice_equal(lk_slice_trim(header), LK_LIT("*")))
    return true;
  while (header.len > 0) { /* our tags hold no comma */
    lk_slice item = lk_slice_trim(lk_slice_cut(header, ',', &header));
    if (lk_slice_starts_with(item, LK_LIT("W/")))
      item = lk_slice_skip(item, 2);
    if (lk_slice_equal(item, etag))
      return true;
  }
  return false;
}

/* ---- forms ---- */

/* Whether the parameters behind a coding say q=0, 0.0, 0.00 or 0.000: not that
 * one. */
static bool is_refused(lk_slice parameters) {
  while (parameters.len > 0) {
    lk_slice item = lk_slice_trim(lk_slice_cut(parameters, ';', &parameters));
    if (!lk_slice_starts_with(item, LK_LIT("q=0")) &&
        !lk_slice_starts_with(item, LK_LIT("Q=0")))
      continue;
    for (item = lk_slice_skip(item, 3); item.len > 0;
         item = lk_slice_skip(item, 1)) {
      if (item.ptr[0] != '.' && item.ptr[0] != '0')
        return false;
    }
    return true;
  }
  return false;
}

static bool accepts(lk_slice accepted, lk_slice coding) {
  while (accepted.len > 0) {
    lk_slice parameters,
        item = lk_slice_trim(lk_slice_cut(accepted, ',', &accepted));
    lk_slice name = lk_slice_trim(lk_slice_cut(item, ';', &parameters));
    if (lk_slice_equal_nocase(name, coding))
      return !is_refused(parameters);
  }
  return false;
}

static lk_asset_form form_of(lk_slice coding, lk_slice etag,
                             const uint8_t *begin, const uint8_t *end) {
  return (lk_asset_form){coding, etag,
                         lk_slice_of(begin, (size_t)(end - begin))};
}

lk_asset_form lk_asset_choose(const lk_asset *self, lk_slice accepted) {
  static const lk_slice br = LK_LIT_INIT("br"), gzip = LK_LIT_INIT("gzip");
  if (self->br.begin != NULL && accepts(accepted, br))
    return form_of(br, self->br.etag, self->br.begin, self->br.end);
  if (self->gzip.begin != NULL && (self->begin == NULL || accepts(accepted, gzip)))
    return form_of(gzip, self->gzip.etag, self->gzip.begin, self->gzip.end);
  return form_of(LK_SLICE_EMPTY, self->etag, self->begin, self->end);
}
