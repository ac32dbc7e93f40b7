/* The rule of OTP: more than |count| restarts within |period| are too many. */
#include "harness/test.h"
#include "base/intensity.h"

TEST(restarts_up_to_the_count_are_allowed_and_one_more_is_not) {
  lk_intensity i;
  lk_intensity_init(&i, 10, 10000);
  for (uint32_t n = 0; n < 10; n++) CHECK(lk_intensity_allow(&i, 500));
  CHECK(!lk_intensity_allow(&i, 500));
  CHECK(!lk_intensity_allow(&i, 10499));
  CHECK_U64(i.total, 10);
}

TEST(a_restart_is_forgotten_after_exactly_the_period) {
  lk_intensity i;
  lk_intensity_init(&i, 1, 5000);
  CHECK(lk_intensity_allow(&i, 100));
  CHECK(!lk_intensity_allow(&i, 5099));
  CHECK(lk_intensity_allow(&i, 5100));
  CHECK(!lk_intensity_allow(&i, 5101));
}

TEST(a_restart_that_was_refused_does_not_count) {
  lk_intensity i;
  lk_intensity_init(&i, 2, 100);
  CHECK(lk_intensity_allow(&i, 0) && lk_intensity_allow(&i, 50));
  CHECK(!lk_intensity_allow(&i, 99));
  CHECK(lk_intensity_allow(&i, 100));
  CHECK(!lk_intensity_allow(&i, 149));
  CHECK(lk_intensity_allow(&i, 150));
}

TEST(a_count_of_none_allows_no_restart) {
  lk_intensity i;
  lk_intensity_init(&i, 0, 5000);
  CHECK(!lk_intensity_allow(&i, 0));
  CHECK(!lk_intensity_allow(&i, 90000));
}

TEST(restarts_at_the_sustained_rate_never_end) {
  lk_intensity i;
  lk_intensity_init(&i, 10, 10000);
  for (uint64_t n = 0; n < 1000; n++) CHECK(lk_intensity_allow(&i, n * 1000));
  CHECK_U64(i.total, 1000);
}

TEST(the_first_moment_of_the_clock_is_a_moment_like_any_other) {
  lk_intensity i;
  lk_intensity_init(&i, 2, UINT64_MAX);
  CHECK(lk_intensity_allow(&i, 0) && lk_intensity_allow(&i, 0));
  CHECK(!lk_intensity_allow(&i, UINT64_MAX - 1));
  CHECK_PANICS(lk_intensity_init(&i, 1, 0));
  CHECK_PANICS(lk_intensity_init(&i, LK_INTENSITY_COUNT_MAX + 1, 1));
}

/* Method: count by hand how many allowed restarts lie within the period before each new one. */
PROPERTY(the_ring_agrees_with_counting) {
  enum { STEPS = 60 };
  lk_intensity i;
  uint64_t allowed[STEPS], now = 0, period = 1 + gen_below(g, 50);
  uint32_t count = 1 + gen_below(g, 12), kept = 0;
  lk_intensity_init(&i, count, period);
  for (uint32_t step = 0; step < STEPS; step++) {
    uint32_t recent = 0;
    now += gen_below(g, 8);
    for (uint32_t k = 0; k < kept; k++) recent += now - allowed[k] < period;
    bool allow = lk_intensity_allow(&i, now);
    CHECK(allow == (recent < count));
    if (allow) allowed[kept++] = now;
  }
}
