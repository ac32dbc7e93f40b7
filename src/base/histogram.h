/* base/histogram.h -- how long things took, counted in fixed buckets.
 *
 * The buckets are the same for everything, so that values of several processes can be added: from 50 microseconds to 10
 * seconds, about three to each power of ten. */
#ifndef LK_BASE_HISTOGRAM_H
#define LK_BASE_HISTOGRAM_H

#include <stdint.h>

/* The upper ends of the buckets, in microseconds; what took longer is in one more. */
#define LK_HISTOGRAM_BOUNDS                                                                        \
  50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000,       \
      2500000, 5000000, 10000000
#define LK_HISTOGRAM_BOUNDS_COUNT 17
#define LK_HISTOGRAM_BUCKETS (LK_HISTOGRAM_BOUNDS_COUNT + 1)

typedef struct lk_histogram {
  uint64_t counts[LK_HISTOGRAM_BUCKETS]; /* of each bucket alone */
  uint64_t sum_us;
} lk_histogram;

/* The upper end of bucket |index|, which must be below LK_HISTOGRAM_BOUNDS_COUNT. */
uint32_t lk_histogram_bound_us(uint32_t index);

/* The bucket for |us|. */
uint32_t lk_histogram_bucket(uint64_t us);

void lk_histogram_add(lk_histogram *self, uint64_t us);

#endif
