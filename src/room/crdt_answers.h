/* room/crdt_answers.h -- what a room of the catalogue says, as JSON: see crdt_room.h for what is in it.
 *
 * Payloads are written into one buffer: each lives until the next one. All: LK_ERR_NOMEM. */
#ifndef LK_ROOM_CRDT_ANSWERS_H
#define LK_ROOM_CRDT_ANSWERS_H

#include "crdt/state.h"
#include "room/crdt_html.h"

typedef struct lk_crdt_answers {
  const lk_alloc *alloc;
  lk_slice level;  /* what an acknowledgement means here; borrowed */
  bool is_counter; /* speaks as counter:<id> does */
  lk_buf text;     /* the payload */
  lk_buf bytes;    /* what goes into it */
} lk_crdt_answers;

/* Allocates nothing. */
void lk_crdt_answers_init(lk_crdt_answers *self, const lk_alloc *alloc, lk_slice level,
                          bool is_counter);
/* Safe on a zeroed struct, and twice. */
void lk_crdt_answers_deinit(lk_crdt_answers *self);
/* Gives back buffers that have grown above |cap_max|. */
void lk_crdt_answers_rest(lk_crdt_answers *self, size_t cap_max);

/* Answers a join by somebody for whom |of| is all there is. |as_json|: its state in the catalogue's JSON. */
lk_err lk_crdt_answer_join(lk_crdt_answers *self, const lk_crdt *of, uint64_t entropy, bool as_json,
                           lk_slice *out) LK_MUST_USE;

/* Answers a question. */
lk_err lk_crdt_answer_get(lk_crdt_answers *self, const lk_crdt *of, bool as_json,
                          lk_slice *out) LK_MUST_USE;

/* Answers a change of |of|: who asked for it knows it. */
lk_err lk_crdt_answer_change(lk_crdt_answers *self, const lk_crdt *of, lk_slice *out) LK_MUST_USE;

/* Tells everybody what changed of |of|: |delta| is |changed| as bytes. */
lk_err lk_crdt_answer_news(lk_crdt_answers *self, const lk_crdt *of, const lk_flat *changed,
                           lk_slice delta, lk_slice *out) LK_MUST_USE;

/* The same to somebody who may have missed anything. */
lk_err lk_crdt_answer_all(lk_crdt_answers *self, const lk_crdt *of, bool as_json,
                          lk_slice *out) LK_MUST_USE;

/* |of| as HTML. The caller fills in all of |page| but type and value. |arena| is for its texts. */
lk_err lk_crdt_answer_page(lk_crdt_answers *self, lk_crdt_page *page, const lk_crdt *of,
                           lk_arena *arena, lk_slice *out) LK_MUST_USE;

/* {"reason","field","message"}; without a field where |field| is empty. */
lk_err lk_crdt_answer_error(lk_crdt_answers *self, lk_slice reason, lk_slice field,
                            lk_slice message, lk_slice *out) LK_MUST_USE;

#endif
