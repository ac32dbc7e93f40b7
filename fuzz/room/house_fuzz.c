#include "room/house.h"

#include "channel/bus.h"
#include "harness/test.h"
#include "platform/memory/storage.h"

/* An edge that says anything, beside one that is well: the house lives on and serves the other. */
FUZZ(lk_house_feed) {
  uint8_t scratch[200];
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_limits limits = lk_limits_default();
  lk_memory_storage storage, memory;
  static const lk_slice ephemeral[] = { LK_LIT_INIT("crdt:e*") };
  static const lk_room_policy policy = { .ephemeral = ephemeral,
                                         .ephemeral_count = 1,
                                         .idle_ms = 50000 };
  lk_house *house;
  lk_buf frames[7];
  lk_slice samples[7];
  limits.server_connections_count = 4;
  lk_memory_storage_init(&storage, test_alloc(), 1 << 24);
  lk_memory_storage_init(&memory, test_alloc(), 1 << 24);
  CHECK_OK(lk_house_open(&(lk_house_options){ .env = &env,
                                              .limits = &limits,
                                              .storage = &storage.table,
                                              .memory = &memory.table,
                                              .policy = &policy,
                                              .entropy = 1,
                                              .generation = 9,
                                              .edges_count = 2 },
                         &house));
  const lk_bus_message said[7] = {
    { .kind = LK_BUS_HELLO, .generation = 5, .answers = 9 },
    { .kind = LK_BUS_JOIN, .request = 1, .member = UINT64_C(1) << 32, .topic = LK_LIT("crdt:a"),
      .payload = LK_LIT("{\"has_workers\":true,\"memory_mb\":1024}") },
    { .kind = LK_BUS_MESSAGE,
      .request = 2,
      .member = UINT64_C(1) << 32,
      .event = LK_LIT("crdt.increment"),
      .payload = LK_LIT("{\"payload\":{\"amount\":1}}") },
    { .kind = LK_BUS_LEAVE, .member = UINT64_C(1) << 32 },
    { .kind = LK_BUS_QUERY,
      .request = 3,
      .topic = LK_LIT("crdt:e"),
      .event = LK_LIT("crdt.increment"),
      .payload = LK_LIT("{\"payload\":{\"amount\":1}}"),
      .rights = LK_RIGHTS_ADMIN },
    { .kind = LK_BUS_QUERY,
      .request = 4,
      .topic = gen_bool(g) ? LK_LIT("crdt:e") : LK_LIT("crdt:b"),
      .event = LK_LIT("delete"),
      .rights = LK_RIGHTS_ADMIN },
    { .kind = LK_BUS_QUERY, .request = 5, .event = LK_LIT("topics"), .rights = LK_RIGHTS_ADMIN },
  };
  for (int i = 0; i < 7; i++) {
    lk_buf_init(&frames[i], test_alloc(), 1000);
    CHECK_OK(lk_bus_encode(&said[i], 1000, &frames[i]));
    samples[i] = lk_buf_slice(&frames[i]);
  }
  lk_house_feed(house, 1, samples[0], true, 0);
  lk_house_feed(house, 1, samples[1], true, 0);
  for (int i = 0; i < 10; i++) {
    lk_slice in = gen_chance(g, 1, 2) ? samples[gen_below(g, 7)]
                                      : gen_hostile(g, samples, 7, scratch, sizeof scratch);
    lk_house_feed(house, 0, in, gen_chance(g, 7, 8), 0);
    if (gen_bool(g)) lk_house_step(house, gen_below(g, 100000));
    if (g->from_bytes) g->bytes = lk_slice_skip(g->bytes, lk_min_size(g->bytes.len, 20));
  }
  lk_house_step(house, 0);
  lk_house_consume(house, 1, lk_house_output(house, 1).len);
  lk_house_feed(house, 1, samples[2], true, 0);
  lk_house_step(house, 0);
  CHECK(lk_house_output(house, 1).len > 0);
  CHECK(lk_house_is_idle(house));
  for (int i = 0; i < 7; i++) lk_buf_deinit(&frames[i]);
  lk_house_close(house);
  lk_memory_storage_deinit(&storage);
  lk_memory_storage_deinit(&memory);
}
