/* base/prng.c -- xoshiro256** by Blackman and Vigna, seeded through SplitMix64 as they advise. */
#include "base/prng.h"

#include "base/check.h"
#include "base/num.h"

static uint64_t splitmix64(uint64_t *state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/* SplitMix64 is a bijection of a counter, so four consecutive outputs are never all zero. */
void lk_prng_init(lk_prng *self, uint64_t seed) {
  for (size_t i = 0; i < 4; i++) self->state[i] = splitmix64(&seed);
}

void lk_prng_split(const lk_prng *self, uint64_t purpose, lk_prng *out) {
  uint64_t seed = self->state[0] ^ lk_rotl_u64(self->state[3], 17);
  seed = splitmix64(&seed) ^ purpose;
  lk_prng_init(out, splitmix64(&seed));
}

uint64_t lk_prng_u64(lk_prng *self) {
  uint64_t *s = self->state;
  uint64_t result = lk_rotl_u64(s[1] * 5, 7) * 9;
  uint64_t t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = lk_rotl_u64(s[3], 45);
  return result;
}

/* Draws again the few values that would make some results likelier than others: those below
 * 2^64 mod bound. */
uint64_t lk_prng_below(lk_prng *self, uint64_t bound) {
  LK_ASSERT(bound > 0);
  uint64_t unfair = (0 - bound) % bound;
  uint64_t drawn;
  do drawn = lk_prng_u64(self);
  while (drawn < unfair);
  return drawn % bound;
}

uint64_t lk_prng_range(lk_prng *self, uint64_t low, uint64_t high) {
  LK_ASSERT(low <= high);
  if (low == 0 && high == UINT64_MAX) return lk_prng_u64(self);
  return low + lk_prng_below(self, high - low + 1);
}

bool lk_prng_chance(lk_prng *self, uint64_t parts, uint64_t whole) {
  return lk_prng_below(self, whole) < parts;
}

void lk_prng_fill(lk_prng *self, void *out, size_t len) {
  uint8_t *at = out;
  while (len > 0) {
    uint8_t bytes[8];
    lk_store_le64(bytes, lk_prng_u64(self));
    size_t n = lk_min_size(len, sizeof bytes);
    memcpy(at, bytes, n);
    at += n;
    len -= n;
  }
}
