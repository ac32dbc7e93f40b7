/* server/assets.h -- the files of the pages that the program carries inside
 * itself.
 *
 * tools/embed_assets.mjs makes the table of a build from a folder: the bytes as
 * .incbin, the rest as C. What becomes smaller by it is there compressed as
 * well, once, at build time; of the large files that only pages load nothing
 * else is. Without that folder the table is empty, and the
 * server says how to build the pages. A server is handed its table, so that a
 * test hands in another. */
#ifndef LK_SERVER_ASSETS_H
#define LK_SERVER_ASSETS_H

#include "base/slice.h"

/* The same file in a content coding, with a tag of its own. A zeroed one is not
 * there. */
typedef struct lk_asset_packed {
  lk_slice etag;
  const uint8_t *begin;
  const uint8_t *end;
} lk_asset_packed;

typedef struct lk_asset {
  lk_slice path; /* begins with '/' */
  lk_slice type; /* of the Content-Type header */
  lk_slice etag; /* with its quotes; changes with the bytes */
  const uint8_t *begin; /* NULL: it is there as gzip and br alone */
  const uint8_t *end;
  lk_asset_packed br;
  lk_asset_packed gzip;
} lk_asset;

/* One of an asset's forms, as it is sent. */
typedef struct lk_asset_form {
  lk_slice coding; /* of the Content-Encoding header; empty: none */
  lk_slice etag;
  lk_slice bytes;
} lk_asset_form;

/* Sorted by path, each path once. */
typedef struct lk_assets {
  const lk_asset *items;
  size_t count;
} lk_assets;

/* The table of this build. */
extern const lk_assets lk_assets_built;

/* The asset at |path|, or NULL. A path that ends in '/' means its index.html.
 */
const lk_asset *lk_assets_find(const lk_assets *self, lk_slice path);

/* The smallest form that an Accept-Encoding header of value |accepted| allows;
 * empty: there is none. A file that is there in packed forms alone is sent as
 * gzip to who accepts neither. */
lk_asset_form lk_asset_choose(const lk_asset *self, lk_slice accepted);

/* Whether the file is there in more than one form, so that caches must look at
 * Accept-Encoding. */
static inline bool lk_asset_varies(const lk_asset *self) {
  return self->br.begin != NULL || self->gzip.begin != NULL;
}

/* Whether an If-None-Match header of value |header| names |etag|: as "*", or in
 * its list, weak or strong. */
bool lk_assets_etag_matches(lk_slice header, lk_slice etag);

#endif
