/* room/doc_notes.h -- what a document's room remembers of its members.
 *
 * Of most it remembers nothing. Of those who speak y-protocols there is a note each, and of those who have a name or read
 * too slowly: so a note is small, and what few have stands in a block of its own.
 *
 * Members are known by their numbers, which are never 0. */
#ifndef LK_ROOM_DOC_NOTES_H
#define LK_ROOM_DOC_NOTES_H

#include "base/base.h"

typedef struct lk_doc_note_texts lk_doc_note_texts;

typedef struct lk_doc_note {
  uint64_t member;
  lk_doc_note_texts *texts; /* owned; NULL: both are empty */
  bool is_refused;          /* its replica has what ours has not */
  bool was_asked;           /* it was sent our state vector */
  bool hears;               /* it speaks y-protocols, and so hears of awareness */
} lk_doc_note;

/* Zeroed there are none. */
typedef struct lk_doc_notes {
  lk_doc_note *places;
  uint32_t cap; /* a power of two, or 0 */
  uint32_t count;
} lk_doc_notes;

/* NULL where there is none, as of 0, which is nobody. A note stays where it is until the next one is made or forgotten. */
lk_doc_note *lk_doc_notes_find(const lk_doc_notes *self, uint64_t member);

/* Finds it, or makes an empty one. LK_ERR_LIMIT, LK_ERR_NOMEM: nothing changed. |alloc| is always the same one. */
lk_err lk_doc_notes_make(lk_doc_notes *self, const lk_alloc *alloc, uint64_t member,
                         lk_doc_note **out) LK_MUST_USE;

/* Nothing where there is none. */
void lk_doc_notes_forget(lk_doc_notes *self, const lk_alloc *alloc, uint64_t member);

/* Safe twice. */
void lk_doc_notes_deinit(lk_doc_notes *self, const lk_alloc *alloc);

/* Who the member is, by its token; empty: nobody in particular. */
lk_slice lk_doc_note_subject(const lk_doc_note *self);
/* Of the state that it was last told of, while it is behind; else empty. */
lk_slice lk_doc_note_vector(const lk_doc_note *self);

/* |subject| and |vector| instead of what it has; they may be of that. Cannot fail where both are empty; LK_ERR_LIMIT,
 * LK_ERR_NOMEM: it keeps what it has. */
lk_err lk_doc_note_set(lk_doc_note *self, const lk_alloc *alloc, lk_slice subject,
                       lk_slice vector) LK_MUST_USE;

#endif
