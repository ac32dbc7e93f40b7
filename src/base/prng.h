/* base/prng.h -- numbers that look random and come again from the same seed.
 *
 * xoshiro256** seeded through SplitMix64. For back-off jitter, hash seeds in tests, generators
 * and the simulator. Never for keys, tokens or ids that must not be guessed: those come from the
 * platform's entropy, as an input. One stream for one purpose: lk_prng_split() makes a stream
 * whose numbers do not depend on how many another purpose has drawn. */
#ifndef LK_BASE_PRNG_H
#define LK_BASE_PRNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lk_prng {
  uint64_t state[4];
} lk_prng;

void lk_prng_init(lk_prng *self, uint64_t seed);

/* A stream of its own for |purpose|; |self| is not advanced. */
void lk_prng_split(const lk_prng *self, uint64_t purpose, lk_prng *out);

uint64_t lk_prng_u64(lk_prng *self);

/* Uniform from 0 to bound-1 without bias; |bound| must not be 0. */
uint64_t lk_prng_below(lk_prng *self, uint64_t bound);

/* Uniform from |low| to |high|, both included. */
uint64_t lk_prng_range(lk_prng *self, uint64_t low, uint64_t high);

/* True in |parts| of |whole| cases; |whole| must not be 0. */
bool lk_prng_chance(lk_prng *self, uint64_t parts, uint64_t whole);

void lk_prng_fill(lk_prng *self, void *out, size_t len);

#endif
