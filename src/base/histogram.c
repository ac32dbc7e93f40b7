/* base/histogram.c -- a short row of bounds, looked through from its beginning: most things are fast. */
#include "base/histogram.h"

#include "base/check.h"

static const uint32_t bounds[] = { LK_HISTOGRAM_BOUNDS };
_Static_assert(sizeof bounds / sizeof bounds[0] == LK_HISTOGRAM_BOUNDS_COUNT, "count them");

uint32_t lk_histogram_bound_us(uint32_t index) {
  LK_ASSERT(index < LK_HISTOGRAM_BOUNDS_COUNT);
  return bounds[index];
}

uint32_t lk_histogram_bucket(uint64_t us) {
  uint32_t index = 0;
  while (index < LK_HISTOGRAM_BOUNDS_COUNT && us > bounds[index]) index++;
  return index;
}

void lk_histogram_add(lk_histogram *self, uint64_t us) {
  self->counts[lk_histogram_bucket(us)]++;
  self->sum_us += us;
}
