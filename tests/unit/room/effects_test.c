#include "room/effects.h"

#include "harness/test.h"

TEST(effects_come_out_in_order_and_point_to_copies) {
  lk_limits limits = lk_limits_default();
  lk_effects effects;
  lk_room_effect out;
  uint8_t scratch[] = { 'o', 'n', 'e' };
  lk_effects_init(&effects, test_alloc(), &limits);
  for (int round = 0; round < 2; round++) {
    lk_room_effect effect = { .kind = LK_ROOM_REPLY,
                              .member = 1,
                              .payload = lk_slice_of(scratch, 3) };
    CHECK_OK(lk_effects_push(&effects, &effect));
    scratch[0] = 'x';
    effect = (lk_room_effect){ .kind = LK_ROOM_PUSH, .member = 2, .event = LK_LIT("") };
    CHECK_OK(lk_effects_push(&effects, &effect));
    CHECK(lk_effects_poll(&effects, &out) && out.kind == LK_ROOM_REPLY);
    CHECK_TEXT(out.payload, "one");
    CHECK(out.event.ptr == NULL); /* absent stays absent */
    CHECK(lk_effects_poll(&effects, &out) && out.member == 2);
    CHECK(out.event.ptr != NULL && out.event.len == 0);
    CHECK(!lk_effects_poll(&effects, &out));
    scratch[0] = 'o';
  }
  lk_effects_deinit(&effects);
  lk_effects_deinit(&effects);
}

TEST(more_effects_than_the_limit_are_refused_and_the_others_stay) {
  lk_limits limits = lk_limits_default();
  limits.room_effects_count = 5;
  lk_effects effects;
  lk_room_effect out, effect = { .kind = LK_ROOM_TIMER };
  lk_effects_init(&effects, test_alloc(), &limits);
  for (; effect.at_ms < 5; effect.at_ms++) CHECK_OK(lk_effects_push(&effects, &effect));
  CHECK_ERR(lk_effects_push(&effects, &effect), LK_ERR_LIMIT);
  for (uint64_t i = 0; i < 5; i++) CHECK(lk_effects_poll(&effects, &out) && out.at_ms == i);
  CHECK(!lk_effects_poll(&effects, &out));
  CHECK_OK(lk_effects_push(&effects, &effect)); /* emptied, it takes them again */
  lk_effects_deinit(&effects);
}

TEST(effects_are_as_before_after_every_failed_allocation) {
  FAULT_LOOP(faults, test_alloc()) {
    lk_limits limits = lk_limits_default();
    lk_effects effects;
    lk_room_effect out;
    uint64_t pushed = 0;
    static const uint8_t big[3000];
    lk_effects_init(&effects, faulty_alloc(&faults), &limits);
    for (int i = 0; i < 6; i++) {
      lk_room_effect effect = { .member = pushed,
                                .event = LK_LIT("r"),
                                .payload = lk_slice_of(big, sizeof big) };
      lk_err err = lk_effects_push(&effects, &effect);
      CHECK(err == LK_OK || (err == LK_ERR_NOMEM && faults.hit));
      if (err == LK_OK) pushed++;
    }
    for (uint64_t i = 0; i < pushed; i++) {
      CHECK(lk_effects_poll(&effects, &out) && out.member == i && out.payload.len == sizeof big);
    }
    CHECK(!lk_effects_poll(&effects, &out));
    CHECK(faults.hit || pushed == 6);
    lk_effects_deinit(&effects);
  }
}
