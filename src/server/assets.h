/* server/assets.h -- the files of the pages that the program carries inside itself.
 *
 * tools/embed_assets.mjs makes the table of a build from a folder: the bytes as .incbin, the rest as
 * C. Without that folder the table is empty, and the server says how to build the pages. A server
 * is handed its table, so that a test hands in another. */
#ifndef LK_SERVER_ASSETS_H
#define LK_SERVER_ASSETS_H

#include "base/slice.h"

typedef struct lk_asset {
  lk_slice path; /* begins with '/' */
  lk_slice type; /* of the Content-Type header */
  lk_slice etag; /* with its quotes; changes with the bytes */
  const uint8_t *begin;
  const uint8_t *end;
} lk_asset;

/* Sorted by path, each path once. */
typedef struct lk_assets {
  const lk_asset *items;
  size_t count;
} lk_assets;

/* The table of this build. */
extern const lk_assets lk_assets_built;

/* The asset at |path|, or NULL. A path that ends in '/' means its index.html. */
const lk_asset *lk_assets_find(const lk_assets *self, lk_slice path);

static inline lk_slice lk_asset_bytes(const lk_asset *self) {
  return lk_slice_of(self->begin, (size_t)(self->end - self->begin));
}

/* Whether an If-None-Match header of value |header| names |etag|: as "*", or in its list, weak or
 * strong. */
bool lk_assets_etag_matches(lk_slice header, lk_slice etag);

#endif
