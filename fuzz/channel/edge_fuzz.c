#include "channel/bus.h"
#include "channel/edge.h"

#include "harness/test.h"

/* A house that says anything, to an edge with a client in a topic and one that joins: the client's connection lives
 * on, unless what it is to be told has no form. */
FUZZ(lk_edge_feed) {
  uint8_t scratch[200];
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_limits limits = lk_limits_default();
  lk_edge *edge;
  lk_edge_output out;
  uint64_t a, b;
  lk_buf frames[6];
  lk_slice samples[6];
  CHECK_OK(lk_edge_open(
      &(lk_edge_options){ .env = &env, .limits = &limits, .generation = 5, .houses_count = 1 },
      &edge));
  CHECK_OK(lk_edge_connect(edge, LK_MESSAGE_V2, &a));
  CHECK_OK(lk_edge_connect(edge, LK_MESSAGE_V1, &b));
  CHECK_OK(lk_edge_receive(edge, a, LK_LIT("[\"1\",\"1\",\"t\",\"phx_join\",{}]"), false));
  CHECK_OK(lk_edge_receive(
      edge, b, LK_LIT("{\"topic\":\"t\",\"event\":\"phx_join\",\"ref\":\"1\",\"payload\":{}}"),
      false));
  const lk_bus_message said[6] = {
    { .kind = LK_BUS_HELLO, .generation = 9, .answers = 5 },
    { .kind = LK_BUS_ACCEPT, .request = 1, .payload = LK_LIT("{}") },
    { .kind = LK_BUS_ACCEPT, .request = 2, .payload = LK_LIT("{}") },
    { .kind = LK_BUS_BROADCAST,
      .topic = LK_LIT("t"),
      .event = LK_LIT("e"),
      .payload = LK_LIT("{}") },
    { .kind = LK_BUS_PUSH,
      .member = UINT64_C(1) << 32,
      .event = LK_LIT("p"),
      .payload = LK_LIT("\x01\x02"),
      .binary = true },
    { .kind = LK_BUS_CRASH, .member = UINT64_C(1) << 32 | 1, .event = LK_LIT("storage") },
  };
  for (int i = 0; i < 6; i++) {
    lk_buf_init(&frames[i], test_alloc(), 1000);
    CHECK_OK(lk_bus_encode(&said[i], 1000, &frames[i]));
    samples[i] = lk_buf_slice(&frames[i]);
  }
  for (int i = 0; i < 10; i++) {
    lk_slice in = gen_chance(g, 1, 2) ? samples[gen_below(g, 6)]
                                      : gen_hostile(g, samples, 6, scratch, sizeof scratch);
    lk_edge_feed(edge, 0, in, gen_chance(g, 7, 8));
    while (gen_bool(g) ? lk_edge_poll(edge, &out) : lk_edge_poll_one(edge, &out))
      CHECK(out.count > 0);
    if (lk_edge_bus_output(edge, 0).len > 0 && gen_bool(g))
      lk_edge_bus_consume(edge, 0, gen_below(g, (uint32_t)lk_edge_bus_output(edge, 0).len + 1));
    if (gen_chance(g, 1, 8)) lk_edge_disconnect(edge, b);
    if (g->from_bytes) g->bytes = lk_slice_skip(g->bytes, lk_min_size(g->bytes.len, 20));
  }
  for (int i = 0; i < 6; i++) lk_buf_deinit(&frames[i]);
  lk_edge_close(edge);
}
