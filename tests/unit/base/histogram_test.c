/* Buckets of durations: each has its bound, and nothing falls between two. */
#include "base/histogram.h"
#include "harness/test.h"

TEST(histogram_each_bound_is_the_last_value_of_its_bucket) {
  for (uint32_t i = 0; i < LK_HISTOGRAM_BOUNDS_COUNT; i++) {
    uint64_t bound = lk_histogram_bound_us(i);
    CHECK_U64(lk_histogram_bucket(bound), i);
    CHECK_U64(lk_histogram_bucket(bound + 1), i + 1);
    CHECK(i == 0 || bound > lk_histogram_bound_us(i - 1));
  }
  CHECK_U64(lk_histogram_bucket(0), 0);
  CHECK_U64(lk_histogram_bucket(UINT64_MAX), LK_HISTOGRAM_BOUNDS_COUNT);
}

TEST(histogram_counts_and_sums) {
  lk_histogram h = { 0 };
  lk_histogram_add(&h, 50);
  lk_histogram_add(&h, 51);
  lk_histogram_add(&h, 20000000);
  CHECK_U64(h.counts[0], 1);
  CHECK_U64(h.counts[1], 1);
  CHECK_U64(h.counts[LK_HISTOGRAM_BOUNDS_COUNT], 1);
  CHECK_U64(h.sum_us, 20000101);
}
