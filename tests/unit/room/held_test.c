#include "room/held.h"

#include "harness/test.h"

TEST(effects_are_held_until_their_record_is_durable_and_keep_their_order) {
  lk_held held;
  lk_room_effect e;
  char text[] = "first";
  lk_held_init(&held, test_alloc());
  CHECK_OK(lk_held_push(&held, (lk_held_point){ 3, 0 },
                        &(lk_room_effect){ .kind = LK_ROOM_PUSH,
                                           .member = 7,
                                           .event = LK_LIT("e"),
                                           .payload = lk_slice_cstr(text) }));
  CHECK_OK(lk_held_push(&held, (lk_held_point){ 3, 0 },
                        &(lk_room_effect){ .kind = LK_ROOM_REPLY, .ok = true }));
  CHECK_OK(
      lk_held_push(&held, (lk_held_point){ 5, 2 }, &(lk_room_effect){ .kind = LK_ROOM_ACCEPT }));
  text[0] = 'X'; /* it has a copy */
  CHECK(!lk_held_poll(&held, (lk_held_point){ 2, 9 }, &e));
  CHECK(lk_held_poll(&held, (lk_held_point){ 3, 0 }, &e) && e.kind == LK_ROOM_PUSH &&
        e.member == 7);
  CHECK_TEXT(e.event, "e");
  CHECK_TEXT(e.payload, "first");
  CHECK(lk_held_poll(&held, (lk_held_point){ 3, 0 }, &e) && e.kind == LK_ROOM_REPLY && e.ok &&
        e.payload.ptr == NULL);
  CHECK(!lk_held_poll(&held, (lk_held_point){ 4, 9 }, &e) &&
        !lk_held_poll(&held, (lk_held_point){ 9, 1 }, &e) && !lk_held_is_empty(&held));
  CHECK(lk_held_poll(&held, (lk_held_point){ 9, 2 }, &e) && e.kind == LK_ROOM_ACCEPT);
  CHECK(lk_held_is_empty(&held) && !lk_held_poll(&held, (lk_held_point){ 9, 2 }, &e));
  lk_held_deinit(&held);
}

TEST(what_is_still_held_goes_with_its_owner) {
  lk_held held;
  lk_room_effect e;
  lk_held_init(&held, test_alloc());
  for (uint64_t i = 0; i < 3; i++)
    CHECK_OK(
        lk_held_push(&held, (lk_held_point){ i, 0 }, &(lk_room_effect){ .payload = LK_LIT("x") }));
  CHECK(lk_held_poll(&held, (lk_held_point){ 0, 0 }, &e)); /* and is in use */
  lk_held_deinit(&held);
  lk_held_deinit(&held);
}
