/* base/quad.h -- four words at a time.
 *
 * Where a number stands among a few dozen others nobody can predict, and a jump that was not expected costs as much as
 * looking at all of them at once. So what is searched, or moved, in small arrays goes over the whole array and without
 * a branch. Compilers make vector instructions of this where there are any. */
#ifndef LK_BASE_QUAD_H
#define LK_BASE_QUAD_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

typedef uint32_t lk_quad __attribute__((vector_size(16)));

static inline lk_quad lk_quad_of(uint32_t value) { return (lk_quad){ value, value, value, value }; }

static inline lk_quad lk_quad_load(const uint32_t *words) {
  lk_quad out;
  memcpy(&out, words, sizeof out);
  return out;
}

static inline void lk_quad_store(uint32_t *words, lk_quad quad) {
  memcpy(words, &quad, sizeof quad);
}

/* Of the indexes |at|, |at| + 1, ...: all bits for those that are at least |from|. Below 2^31. */
static inline lk_quad lk_quad_from(uint32_t at, uint32_t from) {
  typedef int32_t quad __attribute__((vector_size(16)));
  int32_t first = (int32_t)at, than = (int32_t)from - 1;
  return (lk_quad)((quad){ first, first + 1, first + 2, first + 3 } >
                   (quad){ than, than, than, than });
}

/* Where |wanted| stands among |count| words, a multiple of four. Where it is not there, or more than once, this is an index of
 * something else, or too large: who cannot know looks there. */
static inline uint32_t lk_words_find(const uint32_t *words, uint32_t count, uint32_t wanted) {
  lk_quad found = lk_quad_of(0), at = { 0, 1, 2, 3 };
  for (uint32_t i = 0; i < count; i += 4) {
    found |= (lk_quad)(lk_quad_load(words + i) == lk_quad_of(wanted)) & at;
    at += lk_quad_of(4);
  }
  return found[0] | found[1] | found[2] | found[3];
}

#endif
