/* room/doc_encoded.h -- a document as updates, kept for those who join.
 *
 * |whole| is the document as it was some time ago, |since| are the updates that came after it. Who joins gets both. When
 * |since| has grown to a part of |whole|, the next one who asks has it encoded anew; in between nothing is
 * encoded, however many ask.
 *
 * A document that is closed is its encoding alone, in as many bytes as it takes. It cannot be encoded anew then, so nothing may be
 * noted before it is open again. */
#ifndef LK_ROOM_DOC_ENCODED_H
#define LK_ROOM_DOC_ENCODED_H

#include "base/base.h"
#include "codec/reader.h"
#include "laniakea/doc.h"

typedef struct lk_doc_encoded {
  const lk_alloc *alloc; /* of what stays */
  const lk_alloc *awake; /* of what is needed while the document is open */
  size_t bytes_max;
  struct lk_doc_encoded_parts *parts; /* |whole| and |since|; NULL: there is |rest| at most */
  lk_slice rest;                      /* owned: |whole| without |since| */
} lk_doc_encoded;

/* Allocates nothing. */
void lk_doc_encoded_init(lk_doc_encoded *self, const lk_alloc *alloc, const lk_alloc *awake,
                         size_t bytes_max);
/* Safe on a zeroed struct, and twice. */
void lk_doc_encoded_deinit(lk_doc_encoded *self);

/* |update| was taken into the document. */
void lk_doc_encoded_note(lk_doc_encoded *self, lk_slice update);

/* |doc| is the document where it is open, else NULL. The errors of lk_doc_encode(). */

/* The document as one update, good until the next call. */
lk_err lk_doc_encoded_whole(lk_doc_encoded *self, lk_doc *doc, lk_slice *out) LK_MUST_USE;

/* The document is to be closed: the same in as few bytes as it takes. Where it fails, it has to stay open. */
lk_err lk_doc_encoded_rest(lk_doc_encoded *self, lk_doc *doc) LK_MUST_USE;

/* How long it is, without what was noted since; 0: that would have to be found out. */
size_t lk_doc_encoded_len(const lk_doc_encoded *self);

/* Nothing was ever in it, as far as is known. */
bool lk_doc_encoded_is_empty(lk_doc_encoded *self, lk_doc *doc);

/* The updates that together are the document: begin, then next until it is false. Good until the next note. */
typedef struct lk_doc_encoded_walk {
  lk_slice whole; /* not given out yet; empty: it was */
  lk_reader since;
} lk_doc_encoded_walk;
lk_err lk_doc_encoded_begin(lk_doc_encoded *self, lk_doc *doc,
                            lk_doc_encoded_walk *out) LK_MUST_USE;
bool lk_doc_encoded_next(lk_doc_encoded_walk *walk, lk_slice *update);

/* Whether |update| says nothing: no structs, no deletions. */
static inline bool lk_doc_update_is_empty(lk_slice update) {
  return update.len == 2 && update.ptr[0] == 0 && update.ptr[1] == 0;
}

#endif
