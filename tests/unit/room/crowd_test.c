/* Goal: whoever visits many topics does not keep everybody else out of others.
 * Method: a house for sixteen rooms, and a client that joins, perhaps writes, and leaves a hundred; rooms without members idle
 * for fifteen minutes, of which none pass. */
#include "room/house.h"

#include <stdio.h>

#include "unit/room/house_world.h"

typedef struct world {
  lk_env env;
  lk_limits limits;
  lk_room_policy policy;
  lk_memory_storage storage;
  lk_house *house;
  uint64_t request;
  uint32_t accepted;
  uint32_t refused;
} world;

static void hear(world *w) {
  lk_bus_reader reader;
  lk_bus_message m;
  lk_house_step(w->house, 0);
  lk_slice out = lk_house_output(w->house, 0);
  lk_bus_reader_init(&reader, test_alloc(), 1 << 20);
  lk_bus_reader_boundary(&reader);
  for (lk_slice in = out; lk_bus_read(&reader, &in, &m) == LK_OK;) {
    w->accepted += m.kind == LK_BUS_ACCEPT;
    w->refused += m.kind == LK_BUS_REFUSE;
  }
  lk_bus_reader_deinit(&reader);
  lk_house_consume(w->house, 0, out.len);
}

static void say(world *w, lk_bus_message m) {
  m.request = ++w->request;
  m.rights = LK_RIGHTS_WRITE;
  edge_says(w->house, &m, 0);
  hear(w);
}

static void init(world *w, bool is_durable) {
  *w = (world){ .env = LK_ENV_INIT(test_alloc(), NULL),
                .limits = lk_limits_default(),
                .policy = LK_ROOM_POLICY_PRESET };
  w->limits.rooms_count = 16;
  lk_memory_storage_init(&w->storage, test_alloc(), 1 << 22);
  CHECK_OK(lk_house_open(&(lk_house_options){ .env = &w->env,
                                              .limits = &w->limits,
                                              .storage = is_durable ? &w->storage.table : NULL,
                                              .memory = is_durable ? NULL : &w->storage.table,
                                              .policy = &w->policy,
                                              .entropy = 1,
                                              .generation = 9,
                                              .edges_count = 1 },
                         &w->house));
  say(w, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 5, .answers = 9 });
  for (int i = 0; i < 10; i++) hear(w);
}

static void deinit(world *w) {
  lk_house_close(w->house);
  lk_memory_storage_deinit(&w->storage);
}

static void visit(world *w, const char *kind, uint32_t n, bool writes) {
  char topic[32];
  uint64_t member = (uint64_t)(n + 1) << 32 | 7;
  (void)snprintf(topic, sizeof topic, "%s:%u", kind, (unsigned)n);
  say(w, (lk_bus_message){ .kind = LK_BUS_JOIN,
                           .member = member,
                           .topic = lk_slice_cstr(topic),
                           .payload = LK_LIT("{}") });
  for (int i = 0; i < 6; i++) hear(w);
  if (writes)
    say(w, (lk_bus_message){ .kind = LK_BUS_MESSAGE,
                             .member = member,
                             .event = LK_LIT("crdt.increment"),
                             .payload = LK_LIT("{\"payload\":{\"amount\":1}}") });
  for (int i = 0; i < 6; i++) hear(w);
  say(w, (lk_bus_message){ .kind = LK_BUS_LEAVE, .member = member });
  for (int i = 0; i < 6; i++) hear(w);
}

TEST(rooms_that_keep_nothing_make_place_for_others) {
  world w;
  init(&w, false);
  for (uint32_t i = 0; i < 100; i++) visit(&w, "relay", i, false);
  CHECK_U64(w.accepted, 100);
  CHECK_COVERED(house_puts_away_before_its_time);
  deinit(&w);
}

TEST(durable_rooms_make_place_for_others_and_keep_what_they_have) {
  world w;
  init(&w, true);
  for (uint32_t i = 0; i < 100; i++) visit(&w, "crdt", i, true);
  CHECK_U64(w.accepted, 100);
  CHECK(lk_house_get_stats(w.house).rooms <= 16);
  deinit(&w);
}

/* What is in memory alone has its time, also where it stands in the way: fifteen rooms or so, then nobody else. */
TEST(rooms_in_memory_with_something_in_them_are_not_erased_before_their_time) {
  world w;
  init(&w, false);
  for (uint32_t i = 0; i < 30; i++) visit(&w, "crdt", i, true);
  CHECK_U64(w.accepted, 16);
  CHECK_U64(w.refused, 14);
  visit(&w, "crdt", 0, false); /* there is that one still */
  CHECK_U64(w.accepted, 17);
  deinit(&w);
}
