#include "channel/bucket.h"

#include "harness/gen.h"
#include "harness/test.h"

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)

TEST(a_bucket_gives_its_burst_at_once_and_then_its_rate) {
  lk_bucket b = { 0 };
  uint64_t now = 7 * SECOND;
  for (int i = 0; i < 20; i++) CHECK(lk_bucket_take(&b, 10, 2 * SECOND, 1, now) <= now);
  CHECK_U64(lk_bucket_take(&b, 10, 2 * SECOND, 1, now), now + 100 * MS);
  now += 100 * MS;
  CHECK_U64(lk_bucket_take(&b, 10, 2 * SECOND, 1, now), now + 100 * MS);
  now += 1000 * SECOND; /* it holds no more than its burst, however long nobody came */
  CHECK(lk_bucket_take(&b, 10, 2 * SECOND, 20, now) <= now);
  CHECK_U64(lk_bucket_take(&b, 10, 2 * SECOND, 1, now), now + 100 * MS);
}

TEST(a_bucket_in_debt_is_paid_and_beyond_ten_seconds_forgiven) {
  lk_bucket b = { 0 };
  uint64_t now = SECOND;
  CHECK_U64(lk_bucket_take(&b, 1000, SECOND, 4000, now), now + 3 * SECOND);
  CHECK_U64(lk_bucket_take(&b, 1000, SECOND, 1u << 30, now), now + LK_BUCKET_WAIT_NS);
  CHECK_U64(lk_bucket_take(&b, 1, SECOND, UINT64_MAX, now), now + LK_BUCKET_WAIT_NS);
  now += LK_BUCKET_WAIT_NS;
  CHECK_U64(lk_bucket_take(&b, 1000, SECOND, 1, now), now + MS);
}

TEST(a_rate_of_nothing_has_no_end_and_no_burst_none_to_begin_with) {
  lk_bucket b = { 0 };
  CHECK_U64(lk_bucket_take(&b, 0, SECOND, UINT64_MAX, 5), 0);
  CHECK_U64(b.full_at_ns, 0);
  CHECK_U64(lk_bucket_take(&b, 10, 0, 1, SECOND), SECOND + 100 * MS);
  b = (lk_bucket){ 0 }; /* rounded up, so that many small pieces are not more than the rate */
  CHECK_U64(lk_bucket_take(&b, 3, 0, 1, SECOND), SECOND + 333333334);
}

TEST(times_at_the_end_of_the_clock_do_not_go_round) {
  lk_bucket b = { 0 };
  CHECK(lk_bucket_take(&b, 1, SECOND, 1000, UINT64_MAX - 5) >= UINT64_MAX - SECOND);
  CHECK(lk_bucket_take(&b, 1, UINT64_MAX, 1, SECOND) <= SECOND);
}

TEST(a_bucket_says_how_long_until_there_is_something_in_it) {
  lk_bucket b = { 0 };
  uint64_t now = 7 * SECOND;
  for (int i = 0; i < 20; i++) {
    CHECK_U64(lk_bucket_wait(&b, 2 * SECOND, now), 0);
    (void)lk_bucket_take(&b, 10, 2 * SECOND, 1, now);
  }
  CHECK_U64(lk_bucket_wait(&b, 2 * SECOND, now), 1);
  (void)lk_bucket_take(&b, 10, 2 * SECOND, 5, now);
  CHECK_U64(lk_bucket_wait(&b, 2 * SECOND, now), 500 * MS + 1);
  CHECK_U64(lk_bucket_wait(&b, 2 * SECOND, now + 500 * MS + 1), 0);
}

TEST(an_allowance_is_as_late_as_the_latest_of_its_buckets) {
  const lk_allowance_rate rate = { .messages = 10, .bytes = 1000, .joins = 1 };
  const lk_allowance_rate heavy = { .messages = 1, .bytes = 3000 }, join = { 1, 10, 2 };
  lk_allowance a = { { 0 }, { 0 }, { 0 } };
  CHECK(!lk_allowance_rate_is_none(&rate));
  CHECK(lk_allowance_rate_is_none(&(lk_allowance_rate){ 0, 0, 0 }));
  CHECK_U64(lk_allowance_take(&a, &rate, SECOND, &heavy, SECOND), 3 * SECOND);
  CHECK_U64(lk_allowance_full_at(&a), 4 * SECOND);
  CHECK_U64(lk_allowance_take(&a, &rate, SECOND, &join, SECOND), 3 * SECOND + 10 * MS);
  CHECK_U64(lk_allowance_take(&a, &rate, SECOND, &join, SECOND), 4 * SECOND);
  CHECK_U64(lk_allowance_wait(&a, SECOND, SECOND), 3 * SECOND + 1);
  CHECK_U64(lk_allowance_wait(&a, SECOND, 5 * SECOND), 0);
}

/* Goal: over any time no more is taken than a burst, the rate and one piece; and who waits gets no less than the rate.
 * Method: somebody who takes whenever it may, with pauses, against plain sums. */
PROPERTY(what_is_taken_is_never_more_than_rate_and_burst_nor_less_than_the_rate_for_who_waits) {
  const uint64_t rate = gen_range(g, 1, 100000), burst = gen_below(g, 5000) * MS;
  const uint64_t largest = 1 + rate / 8; /* below what is forgiven */
  const bool pauses = gen_bool(g);
  uint64_t now = gen_below(g, 1000) * MS + 1, began = now, taken = 0, last = 0;
  lk_bucket b = { 0 };
  for (int i = 0; i < 300; i++) {
    last = 1 + gen_below(g, (uint32_t)largest);
    taken += last;
    uint64_t at = lk_bucket_take(&b, rate, burst, last, now);
    double most = (double)rate * (double)(now - began + burst) / (double)SECOND;
    CHECK((double)(taken - last) <= most + 1);
    if (at > now) now = at;
    if (pauses && gen_chance(g, 1, 20)) now += gen_below(g, 1000) * MS;
  }
  double least = (double)rate * (double)(now - began) / (double)SECOND;
  if (!pauses) CHECK((double)taken + 300 >= least); /* each was rounded up to a nanosecond */
}
