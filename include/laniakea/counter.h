/* laniakea/counter.h -- a counter that any number of replicas may grow, together or apart.
 *
 *   lk_counter *likes;
 *   lk_counter_open(&env, actor, &likes);
 *   lk_counter_increment(likes, 1);                  now, whoever else is reachable
 *   lk_counter_encode(likes, bytes, cap, &len);      send these to any other replica,
 *   lk_counter_merge(likes, received);               and take in theirs, in any order, any number of times
 *
 * Replicas that have seen the same increments show the same value and encode to the same bytes. */
#ifndef LANIAKEA_COUNTER_H
#define LANIAKEA_COUNTER_H

#include "laniakea/env.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lk_counter lk_counter;

/* |actor|, 1 to 64 bytes of UTF-8, names this replica, and no other one ever: a replica that lost
 * its memory takes a new name, since counting again under the old one would hide increments. Use
 * 16 random bytes in hexadecimal. Errors: LK_ERR_ACTOR, LK_ERR_NOMEM. */
LK_API lk_err lk_counter_open(const lk_env *env, lk_slice actor, lk_counter **out) LK_MUST_USE;
LK_API void lk_counter_close(lk_counter *self);

/* Errors: LK_ERR_RANGE for 0, LK_ERR_OVERFLOW when the sum would not fit 64 bits, LK_ERR_LIMIT when
 * this replica never counted and as many others as one counter remembers did, LK_ERR_NOMEM. */
LK_API lk_err lk_counter_increment(lk_counter *self, uint64_t amount) LK_MUST_USE;

/* The sum of all increments that this replica knows. */
LK_API uint64_t lk_counter_value(const lk_counter *self);

/* Takes in what another replica's lk_counter_encode() gave; all of it or nothing. The bytes may
 * come from anybody. Errors: LK_ERR_TRUNCATED, LK_ERR_TRAILING, LK_ERR_TYPE, LK_ERR_VERSION,
 * LK_ERR_NOT_CANONICAL, LK_ERR_ACTOR, LK_ERR_OVERFLOW, LK_ERR_LIMIT, LK_ERR_NOMEM. */
LK_API lk_err lk_counter_merge(lk_counter *self, lk_slice bytes) LK_MUST_USE;

/* Writes the state to |out|, which has room for |cap| bytes, and its length to |*len|. Where |cap|
 * is too small: LK_ERR_TOO_BIG, |*len| is what is needed and |out| is untouched, so a first call
 * with cap 0 measures. LK_ERR_NOMEM. */
LK_API lk_err lk_counter_encode(const lk_counter *self, uint8_t *out, size_t cap,
                                size_t *len) LK_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
