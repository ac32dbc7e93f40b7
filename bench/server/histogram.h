/* bench/server/histogram.h -- times in nanoseconds, each known to within one part in 64. */
#ifndef LK_BENCH_SERVER_HISTOGRAM_H
#define LK_BENCH_SERVER_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS 64 /* in each doubling */

typedef struct histogram {
  uint64_t counts[58 * HISTOGRAM_STEPS];
  uint64_t count;
  uint64_t most;
} histogram;

/* Values below two doublings of steps have a place each; above, the upper seven bits choose it. */
static inline uint32_t histogram_place(uint64_t value) {
  if (value < 2 * HISTOGRAM_STEPS) return (uint32_t)value;
  uint32_t shift = 57 - (uint32_t)__builtin_clzll(value);
  return (shift + 1) * HISTOGRAM_STEPS + (uint32_t)((value >> shift) - HISTOGRAM_STEPS);
}

static inline uint64_t histogram_value(uint32_t place) {
  if (place < 2 * HISTOGRAM_STEPS) return place;
  uint32_t shift = place / HISTOGRAM_STEPS - 1;
  return (uint64_t)(HISTOGRAM_STEPS + place % HISTOGRAM_STEPS) << shift;
}

static inline void histogram_add(histogram *self, uint64_t value) {
  self->counts[histogram_place(value)]++;
  self->count++;
  if (value > self->most) self->most = value;
}

/* The value that |share| of all are not above, such as 0.99. */
static inline uint64_t histogram_at(const histogram *self, double share) {
  uint64_t wanted = (uint64_t)(share * (double)self->count), seen = 0;
  for (uint32_t i = 0; i < sizeof self->counts / sizeof self->counts[0]; i++) {
    seen += self->counts[i];
    if (seen > wanted) return histogram_value(i);
  }
  return self->most;
}

#endif
