/* room/crdt_answers.h -- what a room of the catalogue says, as JSON: see crdt_room.h for what is in it.
 *
 * Payloads are written into one buffer: each lives until the next one. All: LK_ERR_NOMEM. */
#ifndef LK_ROOM_CRDT_ANSWERS_H
#define LK_ROOM_CRDT_ANSWERS_H

#include "codec/json_writer.h"
#include "crdt/state.h"
#include "room/crdt_html.h"

typedef struct lk_crdt_answers {
  const lk_alloc *alloc;
  lk_slice level; /* what an acknowledgement means here; borrowed */
  lk_buf text;    /* the payload */
  lk_buf bytes;   /* what goes into it */
} lk_crdt_answers;

/* How a state is told. */
typedef enum lk_crdt_form {
  LK_CRDT_FORM_BYTES,  /* in base64 */
  LK_CRDT_FORM_JSON,   /* in the catalogue's JSON */
  LK_CRDT_FORM_COUNTS, /* {"value","counts"}: to who came by counter:<id> and has no replica */
} lk_crdt_form;

/* Allocates nothing. */
void lk_crdt_answers_init(lk_crdt_answers *self, const lk_alloc *alloc, lk_slice level);
/* Safe on a zeroed struct, and twice. */
void lk_crdt_answers_deinit(lk_crdt_answers *self);
/* Gives back buffers that have grown above |cap_max|. */
void lk_crdt_answers_rest(lk_crdt_answers *self, size_t cap_max);

/* Answers a join by somebody for whom |of| is all there is. */
lk_err lk_crdt_answer_join(lk_crdt_answers *self, const lk_crdt *of, uint64_t entropy,
                           lk_crdt_form form, lk_slice *out) LK_MUST_USE;

/* Answers a question. */
lk_err lk_crdt_answer_get(lk_crdt_answers *self, const lk_crdt *of, lk_crdt_form form,
                          lk_slice *out) LK_MUST_USE;

/* Answers a change of |of|: who asked for it knows it. */
lk_err lk_crdt_answer_change(lk_crdt_answers *self, const lk_crdt *of, lk_slice *out) LK_MUST_USE;

/* Tells everybody what changed of |of|: |delta|, and the counts of |counted|'s actors, or where that is NULL of all. */
lk_err lk_crdt_answer_news(lk_crdt_answers *self, const lk_crdt *of, const lk_flat *counted,
                           lk_slice delta, lk_slice *out) LK_MUST_USE;

/* The same to somebody who may have missed anything. */
lk_err lk_crdt_answer_all(lk_crdt_answers *self, const lk_crdt *of, lk_crdt_form form,
                          lk_slice *out) LK_MUST_USE;

/* |of| as HTML. The caller fills in all of |page| but type and value. |arena| is for its texts. */
lk_err lk_crdt_answer_page(lk_crdt_answers *self, lk_crdt_page *page, const lk_crdt *of,
                           lk_arena *arena, lk_slice *out) LK_MUST_USE;

/* {"reason","field","retry_after_ms","message"}; without a field where |field| is empty, and without a time where that is 0. */
lk_err lk_crdt_answer_error(lk_crdt_answers *self, lk_slice reason, lk_slice field,
                            uint32_t retry_after_ms, lk_slice message, lk_slice *out) LK_MUST_USE;

/* ---- parts of such payloads ---- */

/* "counts" of a gcounter: of all actors where |counted| is NULL, else of those that it has. */
void lk_crdt_answer_write_counts(lk_json_writer *w, const lk_crdt *of, const lk_flat *counted);

/* |bytes| in base64. */
lk_err lk_crdt_answer_write_bytes(const lk_alloc *alloc, lk_json_writer *w, lk_slice key,
                                  lk_slice bytes) LK_MUST_USE;

#endif
