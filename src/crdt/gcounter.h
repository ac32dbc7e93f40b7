/* crdt/gcounter.h -- the catalogue's gcounter as a plain value: what the counter's room and peer hold.
 *
 * An lk_crdt of the type gcounter that is made when the first count comes, so that initialising
 * cannot fail, and that may be moved in memory. See laniakea/crdt.h for what actors are. */
#ifndef LK_CRDT_GCOUNTER_H
#define LK_CRDT_GCOUNTER_H

#include "crdt/state.h"

typedef struct lk_gcounter {
  const lk_alloc *alloc;
  lk_limits limits;
  lk_crdt *crdt; /* NULL: nothing was counted yet */
} lk_gcounter;

/* Allocates nothing. |limits| are copied. */
void lk_gcounter_init(lk_gcounter *self, const lk_alloc *alloc, const lk_limits *limits);

/* Safe on a zeroed struct, and twice. */
void lk_gcounter_deinit(lk_gcounter *self);

uint64_t lk_gcounter_value(const lk_gcounter *self);
bool lk_gcounter_is_empty(const lk_gcounter *self);

/* The count of |actor|; 0 where it is unknown. */
uint64_t lk_gcounter_count_of(const lk_gcounter *self, lk_slice actor);

/* The actors in order of their bytes, with their counts: |cursor| 0 at first; false at the end. */
bool lk_gcounter_next(const lk_gcounter *self, uint32_t *cursor, lk_slice *actor, uint64_t *count);

/* lk_gcounter_add() of laniakea/crdt.h. */
lk_err lk_gcounter_increment(lk_gcounter *self, lk_slice actor, uint64_t amount) LK_MUST_USE;

/* The errors of lk_crdt_merge(): nothing has changed then. |changed| may be NULL. */
lk_err lk_gcounter_merge(lk_gcounter *self, const lk_gcounter *other, bool *changed) LK_MUST_USE;

/* Merges into |out| the whole count of each actor of which |self| has more than |since|: such a delta needs none
 * before it, and has the JSON of a state. Both count from 1 without gaps, as counters do that come from counts.
 * LK_ERR_NOMEM leaves a part in |out|, which is harmless. */
lk_err lk_gcounter_diff(const lk_gcounter *self, const lk_gcounter *since,
                        lk_gcounter *out) LK_MUST_USE;

bool lk_gcounter_equal(const lk_gcounter *a, const lk_gcounter *b);

/* The catalogue's bytes. decode reads all of |bytes| into |out|, which is empty, and still is on error: see
 * lk_crdt_merge(). The error of encode is the buffer's, or LK_ERR_NOMEM. */
lk_err lk_gcounter_encode(const lk_gcounter *self, lk_buf *out);
lk_err lk_gcounter_decode(lk_gcounter *out, lk_slice bytes) LK_MUST_USE;

/* {"counts":{"alice":3,"bob":5}}. decode_json ignores other members; LK_ERR_PAYLOAD where "counts" is missing
 * or is not an object of integers; the errors of the JSON reader. */
lk_err lk_gcounter_encode_json(const lk_gcounter *self, lk_buf *out);
lk_err lk_gcounter_decode_json(lk_gcounter *out, lk_slice text) LK_MUST_USE;

/* The inner object alone, {"alice":3,"bob":5}, as a value of whatever |w| is writing. */
lk_err lk_gcounter_write_counts(const lk_gcounter *self, lk_json_writer *w);

#endif
