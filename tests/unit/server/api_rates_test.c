#include "server/api_rates.h"

#include "harness/faulty.h"
#include "harness/test.h"

#define SECOND_US UINT64_C(1000000)

static const uint64_t seed[2] = { 1, 2 };

/* Five requests and a kilobyte in a second, for two seconds at once. */
static void init(lk_api_rates *self, const lk_alloc *alloc) {
  const lk_rates rates = { .burst_ns = 2 * SECOND_US * 1000,
                           .api = { .messages = 5, .bytes = 1000 } };
  lk_api_rates_init(self, alloc, &rates, 100, seed);
}

static lk_address address(const char *text) {
  lk_address out;
  CHECK(lk_address_read(lk_slice_cstr(text), &out));
  return out;
}

/* How many requests without a body are let in until one is not. */
static uint32_t admitted(lk_api_rates *self, const char *subject, const lk_address *from,
                         uint64_t now_us) {
  uint32_t count = 0;
  while (lk_api_rates_take(self, lk_slice_cstr(subject), from, 0, now_us) == 0) count++;
  return count;
}

TEST(who_asks_too_fast_is_refused_and_let_in_again_after_the_time_that_was_said) {
  lk_api_rates rates;
  uint64_t now = 9 * SECOND_US;
  init(&rates, test_alloc());
  CHECK_U64(admitted(&rates, "ada", NULL, now), 10);
  CHECK_U64(rates.refused, 1);
  CHECK_U64(lk_api_rates_take(&rates, LK_LIT("ada"), NULL, 0, now), 1);
  CHECK_U64(admitted(&rates, "bob", NULL, now), 10);
  CHECK_U64(admitted(&rates, "ada", NULL, now + SECOND_US), 5); /* refusals cost nothing */
  lk_api_rates_deinit(&rates);
  lk_api_rates_deinit(&rates);
}

TEST(a_long_body_is_taken_and_paid_for_by_those_that_follow) {
  lk_api_rates rates;
  uint64_t now = 9 * SECOND_US;
  init(&rates, test_alloc());
  CHECK_U64(lk_api_rates_take(&rates, LK_LIT("ada"), NULL, 5500, now), 0);
  CHECK_U64(lk_api_rates_take(&rates, LK_LIT("ada"), NULL, 0, now), 4);
  CHECK_U64(lk_api_rates_take(&rates, LK_LIT("ada"), NULL, 0, now + 4 * SECOND_US), 0);
  lk_api_rates_deinit(&rates);
}

TEST(who_brings_no_name_is_known_by_an_address) {
  lk_api_rates rates;
  uint64_t now = 9 * SECOND_US;
  const lk_address a = address("192.0.2.1"), b = address("192.0.2.2"), c = address("2001:db8::1"),
                   d = address("2001:db8::2"), e = address("2001:db8:0:1::1");
  init(&rates, test_alloc());
  CHECK(lk_api_rates_need_address(&rates, LK_SLICE_EMPTY));
  CHECK(!lk_api_rates_need_address(&rates, LK_LIT("ada")));
  CHECK_U64(admitted(&rates, "", &a, now), 10);
  CHECK_U64(admitted(&rates, "", &b, now), 10);
  CHECK_U64(admitted(&rates, "", &c, now), 10);
  CHECK_U64(admitted(&rates, "", &d, now), 0); /* the same network, and so the same client */
  CHECK_U64(admitted(&rates, "", &e, now), 10);
  CHECK_U64(admitted(&rates, "ada", &a, now), 10); /* a name counts, wherever it comes from */
  for (int i = 0; i < 100; i++)
    CHECK_U64(lk_api_rates_take(&rates, LK_SLICE_EMPTY, NULL, 0, now), 0);
  lk_api_rates_deinit(&rates);
}

TEST(without_a_rate_a_burst_or_a_clock_everybody_is_let_in) {
  static const lk_rates off[] = { { .burst_ns = 0, .api = { .messages = 1 } },
                                  { .burst_ns = 1, .api = { .messages = 0 } } };
  const lk_address a = address("192.0.2.1");
  for (size_t i = 0; i < 2; i++) {
    lk_api_rates rates;
    lk_api_rates_init(&rates, test_alloc(), &off[i], 100, seed);
    CHECK(!lk_api_rates_need_address(&rates, LK_SLICE_EMPTY));
    for (int n = 0; n < 100; n++)
      CHECK_U64(lk_api_rates_take(&rates, LK_SLICE_EMPTY, &a, 1000, 9), 0);
    lk_api_rates_deinit(&rates);
  }
  lk_api_rates rates;
  init(&rates, test_alloc());
  for (int n = 0; n < 100; n++) CHECK_U64(lk_api_rates_take(&rates, LK_LIT("ada"), &a, 0, 0), 0);
  lk_api_rates_deinit(&rates);
}

/* Goal: buckets go when they are full again, and without memory for them nobody is kept out. */
TEST(buckets_take_memory_no_longer_than_they_are_needed) {
  lk_api_rates rates;
  init(&rates, test_alloc());
  CHECK_U64(admitted(&rates, "ada", NULL, 9 * SECOND_US), 10);
  CHECK_U64(lk_map_count(&rates.subjects.subjects), 1);
  (void)lk_api_rates_take(&rates, LK_LIT("bob"), NULL, 0, 20 * SECOND_US);
  CHECK_U64(lk_map_count(&rates.subjects.subjects), 1);
  lk_api_rates_deinit(&rates);
  FAULT_LOOP(faults, test_alloc()) {
    init(&rates, faulty_alloc(&faults));
    uint32_t count = 0;
    for (int n = 0; n < 12; n++)
      count += lk_api_rates_take(&rates, LK_LIT("ada"), NULL, 0, 9 * SECOND_US) == 0;
    CHECK(count == 10 || (faults.hit && count > 10));
    lk_api_rates_deinit(&rates);
  }
}
