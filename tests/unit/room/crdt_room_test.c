/* The counter room by itself: what it asks to be kept, and what it makes of that. */
#include "room/counter_room.h"

#include "crdt/gcounter.h"
#include "harness/test.h"

typedef struct world {
  lk_env env;
  lk_limits limits;
  lk_room *room;
} world;

static void open_world(world *w, lk_slice recovered, const lk_slice *records, size_t count) {
  *w = (world){ .env = LK_ENV_INIT(test_alloc(), NULL), .limits = lk_limits_default() };
  lk_room_options options = { .env = &w->env,
                              .limits = &w->limits,
                              .topic = LK_LIT("crdt:a"),
                              .recovered = recovered,
                              .records = records,
                              .records_count = count,
                              .intact = true,
                              .level = LK_LIT("memory") };
  CHECK_OK(lk_counter_room_kind.open(&options, &w->room));
}

static void step(world *w, lk_room_input input) {
  CHECK_OK(lk_counter_room_kind.step(w->room, &input));
}

static void merge(world *w, lk_slice counts) {
  step(w, (lk_room_input){ .kind = LK_ROOM_MESSAGE,
                           .member = 1,
                           .request = 1,
                           .event = LK_LIT("crdt.merge"),
                           .payload = counts });
}

static lk_room_effect next(world *w, lk_room_effect_kind kind) {
  lk_room_effect effect;
  CHECK(lk_counter_room_kind.poll(w->room, &effect));
  CHECK_U64(effect.kind, kind);
  return effect;
}

/* The next effect's payload, which is a counter, as bytes in |out|. */
static uint64_t keep(world *w, lk_room_effect_kind kind, lk_buf *out) {
  lk_gcounter counts;
  CHECK_OK(lk_buf_append(out, next(w, kind).payload));
  lk_gcounter_init(&counts, test_alloc(), &w->limits);
  CHECK_OK(lk_gcounter_decode(&counts, lk_buf_slice(out)));
  uint64_t value = lk_gcounter_value(&counts);
  lk_gcounter_deinit(&counts);
  return value;
}

/* Goal: records are what changed; a snapshot has those that are durable and nothing that is under way; both
 * together are the room. */
TEST(a_room_is_its_snapshot_and_the_records_behind_it) {
  world w;
  lk_buf kept[3];
  lk_room_effect effect;
  for (int i = 0; i < 3; i++) lk_buf_init(&kept[i], test_alloc(), 1000);
  open_world(&w, LK_SLICE_EMPTY, NULL, 0);
  merge(&w, LK_LIT("{\"counts\":{\"x\":3}}"));
  CHECK_U64(keep(&w, LK_ROOM_JOURNAL, &kept[0]), 3);
  merge(&w, LK_LIT("{\"counts\":{\"y\":4}}"));
  merge(&w, LK_LIT("{\"counts\":{\"y\":5}}"));
  step(&w, (lk_room_input){ .kind = LK_ROOM_JOURNALED, .ticket = 1 });
  effect = next(&w, LK_ROOM_REPLY);
  CHECK_TEXT(effect.payload, "{\"value\":3,\"counts\":{},\"level\":\"memory\"}");
  effect = next(&w, LK_ROOM_BROADCAST);
  CHECK_TEXT(effect.payload, "{\"value\":3,\"counts\":{\"x\":3}}");
  CHECK_U64(keep(&w, LK_ROOM_JOURNAL, &kept[1]), 5);
  step(&w, (lk_room_input){ .kind = LK_ROOM_SNAPSHOT });
  CHECK_U64(keep(&w, LK_ROOM_SNAPSHOT_DONE, &kept[2]), 3);
  CHECK(!lk_counter_room_kind.poll(w.room, &effect));
  lk_counter_room_kind.close(w.room);
  const lk_slice record = lk_buf_slice(&kept[1]);
  open_world(&w, lk_buf_slice(&kept[2]), &record, 1);
  step(&w, (lk_room_input){ .kind = LK_ROOM_MESSAGE, .event = LK_LIT("crdt.get") });
  effect = next(&w, LK_ROOM_REPLY);
  CHECK_TEXT(effect.payload, "{\"value\":8,\"counts\":{\"x\":3,\"y\":5}}");
  lk_counter_room_kind.close(w.room);
  for (int i = 0; i < 3; i++) lk_buf_deinit(&kept[i]);
}

TEST(a_room_that_does_not_understand_a_record_does_not_open) {
  static const lk_slice records[2] = { LK_SLICE_EMPTY, LK_LIT_INIT("nonsense") };
  world w = { .env = LK_ENV_INIT(test_alloc(), NULL), .limits = lk_limits_default() };
  lk_room_options options = {
    .env = &w.env, .limits = &w.limits, .records = records, .records_count = 2
  };
  CHECK(lk_counter_room_kind.open(&options, &w.room) != LK_OK);
}
