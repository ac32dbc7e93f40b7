/* examples/room/board_room.c: that it stays what it is shown for. */
#include "examples/room/board_room.c"

#include "harness/test.h"

static lk_env env_of_test(void) { return (lk_env)LK_ENV_INIT(test_alloc(), NULL); }

static void check_next(lk_room *room, lk_room_effect_kind kind, const char *payload) {
  lk_room_effect effect;
  CHECK(lk_board_room_kind.poll(room, &effect));
  CHECK_U64(effect.kind, kind);
  CHECK_SLICE(effect.payload, lk_slice_cstr(payload));
}

TEST(the_board_shows_what_is_kept_and_has_it_again_when_it_is_opened) {
  const lk_env env = env_of_test();
  const lk_limits limits = lk_limits_default();
  const lk_slice record = LK_LIT("{\"text\":\"b\"}");
  lk_room_options options = { .env = &env, .limits = &limits };
  lk_room *room;
  CHECK_OK(lk_board_room_kind.open(&options, &room));
  lk_room_input write = { .kind = LK_ROOM_MESSAGE,
                          .member = 1,
                          .request = 1,
                          .event = LK_LIT("write"),
                          .payload = record,
                          .rights = LK_RIGHTS_READ };
  CHECK_OK(lk_board_room_kind.step(room, &write));
  check_next(room, LK_ROOM_REPLY, "{\"reason\":\"read_only\"}");
  write.rights = LK_RIGHTS_WRITE;
  CHECK_OK(lk_board_room_kind.step(room, &write));
  check_next(room, LK_ROOM_JOURNAL, "{\"text\":\"b\"}");
  const lk_room_input join = { .kind = LK_ROOM_JOIN, .member = 2, .request = 2 };
  CHECK_OK(lk_board_room_kind.step(room, &join));
  check_next(room, LK_ROOM_ACCEPT, "{\"text\":\"\"}");
  CHECK_OK(
      lk_board_room_kind.step(room, &(lk_room_input){ .kind = LK_ROOM_JOURNALED, .ticket = 1 }));
  check_next(room, LK_ROOM_REPLY, "{}");
  check_next(room, LK_ROOM_BROADCAST, "{\"text\":\"b\"}");
  lk_board_room_kind.close(room);
  options.records = &record;
  options.records_count = 1;
  CHECK_OK(lk_board_room_kind.open(&options, &room));
  CHECK_OK(lk_board_room_kind.step(room, &join));
  check_next(room, LK_ROOM_ACCEPT, "{\"text\":\"b\"}");
  lk_board_room_kind.close(room);
}
