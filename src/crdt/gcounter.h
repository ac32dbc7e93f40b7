/* crdt/gcounter.h -- a counter that only grows, and that any number of replicas may grow at once.
 *
 * Each replica counts for itself under its own id, its actor; the value is the sum; merging takes
 * the greater count of each actor. So merging is commutative, associative and idempotent, and a
 * lost, repeated or reordered delta does no harm as long as a later one arrives.
 *
 * An actor is 1 to 64 bytes of UTF-8 and belongs to one replica for as long as that remembers its
 * count: a replica that lost its memory takes a new one, or two histories would share a count and
 * one of them would vanish. A user's name is therefore not an actor.
 *
 * Equal states have equal bytes: entries are sorted by actor, integers have one form. */
#ifndef LK_CRDT_GCOUNTER_H
#define LK_CRDT_GCOUNTER_H

#include "base/base.h"
#include "codec/json_writer.h"

#define LK_ACTOR_LEN_MAX 64

typedef struct lk_gcounter_entry {
  uint8_t *actor; /* owned; |actor_len| bytes */
  uint32_t actor_len;
  uint64_t count; /* at least 1 */
} lk_gcounter_entry;

typedef struct lk_gcounter {
  const lk_alloc *alloc;
  lk_gcounter_entry *entries; /* sorted by actor */
  uint32_t count;
  uint32_t cap;
  uint32_t count_max; /* limits.crdt_actors_count */
  uint64_t value;     /* the sum, kept within 64 bits by every change */
} lk_gcounter;

void lk_gcounter_init(lk_gcounter *self, const lk_alloc *alloc, const lk_limits *limits);

/* Safe on a zeroed struct, and twice. */
void lk_gcounter_deinit(lk_gcounter *self);

static inline uint64_t lk_gcounter_value(const lk_gcounter *self) { return self->value; }

/* LK_ERR_ACTOR for an id that is empty, too long or not UTF-8. */
lk_err lk_gcounter_check_actor(lk_slice actor) LK_MUST_USE;

/* The count of |actor|; 0 where it is unknown. */
uint64_t lk_gcounter_count_of(const lk_gcounter *self, lk_slice actor);

/* Adds |amount| for |actor|. |delta| may be NULL; else it is an initialised counter into which the
 * new count is merged: sending that is enough. LK_ERR_ACTOR for an id that is empty, too long or
 * not UTF-8, LK_ERR_RANGE for an amount of 0, LK_ERR_OVERFLOW beyond 64 bits, LK_ERR_LIMIT,
 * LK_ERR_NOMEM: |self| has not changed; |delta| may be ahead of it then, and must not be sent. */
lk_err lk_gcounter_increment(lk_gcounter *self, lk_slice actor, uint64_t amount,
                             lk_gcounter *delta) LK_MUST_USE;

/* Takes in |other|, a state or a delta. |*changed|, which may be NULL, tells whether anything was
 * new. LK_ERR_OVERFLOW, LK_ERR_LIMIT, LK_ERR_NOMEM: nothing has changed. */
lk_err lk_gcounter_merge(lk_gcounter *self, const lk_gcounter *other, bool *changed) LK_MUST_USE;

/* What |self| has that |since| lacks, merged into |out|, an initialised counter. LK_ERR_NOMEM
 * leaves |out| with part of it, which is harmless to merge and to throw away. */
lk_err lk_gcounter_diff(const lk_gcounter *self, const lk_gcounter *since,
                        lk_gcounter *out) LK_MUST_USE;

bool lk_gcounter_equal(const lk_gcounter *a, const lk_gcounter *b);

/* The canonical bytes: see the essay in gcounter.c. The error is the buffer's. */
lk_err lk_gcounter_encode(const lk_gcounter *self, lk_buf *out);

/* Reads one counter from all of |bytes| into |out|, which was initialised and is empty; on error
 * it is empty still. LK_ERR_TRUNCATED, LK_ERR_TRAILING, LK_ERR_VERSION, LK_ERR_TYPE,
 * LK_ERR_NOT_CANONICAL (order, doubles, zero counts, long integers), LK_ERR_ACTOR,
 * LK_ERR_OVERFLOW, LK_ERR_LIMIT, LK_ERR_NOMEM. */
lk_err lk_gcounter_decode(lk_gcounter *out, lk_slice bytes) LK_MUST_USE;

/* {"counts":{"alice":3,"bob":5}}, actors in order. The error is the buffer's. */
lk_err lk_gcounter_encode_json(const lk_gcounter *self, lk_buf *out);

/* The inner object alone, {"alice":3,"bob":5}, as a value of whatever |w| is writing. */
lk_err lk_gcounter_write_counts(const lk_gcounter *self, lk_json_writer *w);

/* Reads that form from all of |text|; other members of the object are ignored. |out| as for
 * decode; also the errors of the JSON reader, and LK_ERR_PAYLOAD where "counts" is missing or is
 * not an object of integers. */
lk_err lk_gcounter_decode_json(lk_gcounter *out, lk_slice text,
                               const lk_limits *limits) LK_MUST_USE;

#endif
