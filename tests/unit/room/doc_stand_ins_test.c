/* Stand-ins by themselves: that their ids are what others can rely on. */
#include "room/doc_stand_ins.h"

#include "harness/faulty.h"
#include "harness/test.h"

static const uint64_t seed[2] = { 1, 2 };

/* Goal: a room that comes back shows the same people under the same ids. Method: two objects with other seeds are asked for the
 * same members. */
TEST(the_stand_in_of_a_member_has_the_same_id_in_the_next_room) {
  static const uint64_t other[2] = { 3, 4 };
  lk_doc_stand_ins before, after;
  lk_doc_stand_in *a, *b;
  lk_doc_stand_ins_init(&before, test_alloc(), 2000, seed);
  lk_doc_stand_ins_init(&after, test_alloc(), 2000, other);
  for (uint64_t member = 1; member <= 1000; member++) {
    CHECK_OK(lk_doc_stand_ins_need(&before, member << 32 | 7, &a));
    CHECK_OK(lk_doc_stand_ins_need(&after, member << 32 | 7, &b));
    CHECK_U64(a->client, b->client);
    CHECK(lk_doc_stand_ins_owns(a->client) && a->client < UINT64_C(1) << 53);
  }
  lk_doc_stand_ins_deinit(&before);
  lk_doc_stand_ins_deinit(&after);
}

/* Of 20,000 members some have the same hash: 24 bits are few. */
TEST(no_two_stand_ins_have_one_id) {
  enum { MEMBERS = 20000 };
  lk_doc_stand_ins s;
  lk_doc_stand_in *at;
  lk_map seen;
  void *value;
  bool is_new;
  uint32_t cursor = 0;
  uint64_t member;
  lk_doc_stand_ins_init(&s, test_alloc(), MEMBERS, seed);
  lk_map_init(&seen, test_alloc(), 0, MEMBERS, seed);
  for (uint64_t i = 1; i <= MEMBERS; i++) CHECK_OK(lk_doc_stand_ins_need(&s, i, &at));
  CHECK_ERR(lk_doc_stand_ins_need(&s, MEMBERS + 1, &at), LK_ERR_LIMIT);
  while (lk_doc_stand_ins_next(&s, &cursor, &member, &at)) {
    CHECK_OK(lk_map_put(&seen, lk_slice_of((const uint8_t *)&at->client, 8), &value, &is_new));
    CHECK(is_new);
  }
  CHECK_U64(lk_map_count(&seen), MEMBERS);
  lk_map_deinit(&seen);
  lk_doc_stand_ins_deinit(&s);
}

TEST(a_stand_in_that_went_is_made_again_as_it_was) {
  lk_doc_stand_ins s;
  lk_doc_stand_in *at;
  lk_doc_stand_ins_init(&s, test_alloc(), 10, seed);
  CHECK_OK(lk_doc_stand_ins_need(&s, 5, &at));
  uint64_t client = at->client;
  at->clock = 9;
  lk_doc_stand_ins_remove(&s, 5);
  lk_doc_stand_ins_remove(&s, 6);
  CHECK(lk_doc_stand_ins_find(&s, 5) == NULL);
  CHECK_OK(lk_doc_stand_ins_need(&s, 5, &at));
  CHECK(at->client == client && at->clock == 0);
  lk_doc_stand_ins_deinit(&s);
}

TEST(clocks_of_stand_ins_are_dates_and_have_32_bits_for_years) {
  const uint64_t now = UINT64_C(1800000000000); /* 2027 */
  CHECK_U64(lk_doc_stand_in_clock(0), 1);
  CHECK_U64(lk_doc_stand_in_clock(1), 1);
  CHECK(lk_doc_stand_in_clock(now) > 1);
  for (uint64_t i = 0; i < 300; i += 7)
    CHECK(lk_doc_stand_in_clock(now + i + LK_DOC_STAND_IN_TICK_MS) >
          lk_doc_stand_in_clock(now + i));
  CHECK(lk_doc_stand_in_clock(now + UINT64_C(12) * 365 * 86400000) <= UINT32_MAX);
}

TEST(stand_ins_without_memory_are_as_before) {
  FAULT_LOOP(faults, test_alloc()) {
    lk_doc_stand_ins s;
    lk_doc_stand_in *at;
    lk_doc_stand_ins_init(&s, faulty_alloc(&faults), 100, seed);
    for (uint64_t i = 1; i <= 20; i++) {
      lk_err err = lk_doc_stand_ins_need(&s, i, &at);
      if (err != LK_OK) {
        CHECK_ERR(err, LK_ERR_NOMEM);
        CHECK(lk_doc_stand_ins_find(&s, i) == NULL);
      }
    }
    lk_doc_stand_ins_deinit(&s);
  }
}
