/* room/doc_render.h -- a document for members that can show nothing but HTML: what of it changed since they were told.
 *
 *   {"fragments":[{"root":"prose","html":"<p>..."}]}
 *
 * One for each root that is a text or XML; those that read as they did are left out. */
#ifndef LK_ROOM_DOC_RENDER_H
#define LK_ROOM_DOC_RENDER_H

#include "base/base.h"
#include "base/map.h"
#include "laniakea/doc.h"

typedef struct lk_doc_rendered {
  const lk_alloc *alloc;
  lk_map hashes; /* root -> hash of what was told of it */
  uint64_t seed[2];
} lk_doc_rendered;

/* Allocates nothing. */
void lk_doc_rendered_init(lk_doc_rendered *self, const lk_alloc *alloc, const uint64_t seed[2]);
/* Safe on a zeroed struct, and twice. */
void lk_doc_rendered_deinit(lk_doc_rendered *self);

/* Appends the fragments that changed; nothing where none did. With |all| all of them, and nothing is remembered. */
lk_err lk_doc_rendered_write(lk_doc_rendered *self, const lk_doc *doc, bool all,
                             lk_buf *out) LK_MUST_USE;

#endif
