/* room/doc_encoded.h -- a document as updates, kept for those who join.
 *
 * |whole| is the document as it was some time ago, |since| are the updates that came after it. Who joins gets both. When
 * |since| has grown to a part of |whole|, the next one who asks has it encoded anew; in between nothing is
 * encoded, however many ask. */
#ifndef LK_ROOM_DOC_ENCODED_H
#define LK_ROOM_DOC_ENCODED_H

#include "base/base.h"
#include "codec/reader.h"
#include "laniakea/doc.h"

typedef struct lk_doc_encoded {
  lk_doc *doc;
  const lk_alloc *alloc;
  size_t bytes_max;
  lk_buf whole; /* empty where there is none */
  lk_buf since; /* each behind its length */
  uint32_t since_count;
} lk_doc_encoded;

/* Allocates nothing. */
void lk_doc_encoded_init(lk_doc_encoded *self, const lk_alloc *alloc, size_t bytes_max);

/* Which document that is; NULL as long as it is closed: it must have been encoded last, and nothing was noted since. */
void lk_doc_encoded_attach(lk_doc_encoded *self, lk_doc *doc);
/* Safe on a zeroed struct, and twice. */
void lk_doc_encoded_deinit(lk_doc_encoded *self);

/* |update| was taken into the document. */
void lk_doc_encoded_note(lk_doc_encoded *self, lk_slice update);

/* The document as one update, good until the next call. The errors of lk_doc_encode(). */
lk_err lk_doc_encoded_whole(lk_doc_encoded *self, lk_slice *out) LK_MUST_USE;

/* Nothing was ever in it, as far as is known. */
bool lk_doc_encoded_is_empty(lk_doc_encoded *self);

/* The updates that together are the document: begin, then next until it is false. Good until the next note. */
typedef struct lk_doc_encoded_walk {
  lk_slice whole; /* not given out yet; empty: it was */
  lk_reader since;
} lk_doc_encoded_walk;
lk_err lk_doc_encoded_begin(lk_doc_encoded *self, lk_doc_encoded_walk *out) LK_MUST_USE;
bool lk_doc_encoded_next(lk_doc_encoded_walk *walk, lk_slice *update);

/* Whether |update| says nothing: no structs, no deletions. */
static inline bool lk_doc_update_is_empty(lk_slice update) {
  return update.len == 2 && update.ptr[0] == 0 && update.ptr[1] == 0;
}

#endif
