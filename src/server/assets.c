/* server/assets.c -- bisection over a sorted table.
 *
 * A path that ends in '/' is compared as if "index.html" stood behind it, without building that
 * text: the parts are compared one after the other. */
#include "server/assets.h"

/* The order of |path| and of |folder| with |file| behind it. */
static int compare(lk_slice path, lk_slice folder, lk_slice file) {
  int order = lk_slice_compare(lk_slice_first(path, folder.len), folder);
  return order != 0 ? order : lk_slice_compare(lk_slice_skip(path, folder.len), file);
}

const lk_asset *lk_assets_find(const lk_assets *self, lk_slice path) {
  lk_slice file = lk_slice_ends_with(path, LK_LIT("/")) ? LK_LIT("index.html") : LK_SLICE_EMPTY;
  size_t low = 0, high = self->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = compare(self->items[middle].path, path, file);
    if (order == 0) return &self->items[middle];
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return NULL;
}

bool lk_assets_etag_matches(lk_slice header, lk_slice etag) {
  if (lk_slice_equal(lk_slice_trim(header), LK_LIT("*"))) return true;
  while (header.len > 0) { /* our tags hold no comma */
    lk_slice item = lk_slice_trim(lk_slice_cut(header, ',', &header));
    if (lk_slice_starts_with(item, LK_LIT("W/"))) item = lk_slice_skip(item, 2);
    if (lk_slice_equal(item, etag)) return true;
  }
  return false;
}
