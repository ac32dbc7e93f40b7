/* harness/gen.h -- choices, drawn from a seed or from a fuzzer's bytes.
 *
 * A property asks for what it needs ("a number below 6", "some bytes") and cannot tell who
 * answers. In ./test a seed answers; in `make fuzz` libFuzzer's input does, so that coverage
 * steers the choices; when those bytes run out, every choice is the smallest one, which keeps
 * inputs short. Write generators so that the smallest choice ends loops. */
#ifndef LK_TESTS_GEN_H
#define LK_TESTS_GEN_H

#include "base/prng.h"
#include "base/slice.h"

typedef struct lk_gen {
  bool from_bytes;
  lk_prng prng;
  lk_slice bytes; /* what is left of the fuzzer's input */
} lk_gen;

void gen_init_seed(lk_gen *g, uint64_t seed);
void gen_init_bytes(lk_gen *g, lk_slice bytes);

uint64_t gen_u64(lk_gen *g);                                /* any value, often a boundary */
uint32_t gen_below(lk_gen *g, uint32_t bound);              /* 0 to bound-1; bound above 0 */
uint32_t gen_range(lk_gen *g, uint32_t low, uint32_t high); /* both included */
bool gen_bool(lk_gen *g);
bool gen_chance(lk_gen *g, uint32_t parts, uint32_t whole);
size_t gen_bytes(lk_gen *g, uint8_t *out, size_t max); /* 0 to max bytes; returns how many */
size_t gen_utf8(lk_gen *g, uint8_t *out, size_t max);  /* valid UTF-8, all planes, often ASCII */

/* For decoders. From a fuzzer: all that is left, untouched. From a seed: one of |samples|,
 * mutated (bits flipped, cut, repeated, spliced, numbers made huge) or now and then noise, in
 * |scratch|. |sample_count| may be 0. */
lk_slice gen_hostile(lk_gen *g, const lk_slice *samples, size_t sample_count, uint8_t *scratch,
                     size_t scratch_len);

#endif
