#include "channel/bus.h"
#include "channel/edge.h"

#include "harness/test.h"

static const lk_alias aliases[] = { { LK_LIT_INIT("a"), LK_LIT_INIT("t"), true } };

/* A house that says anything, to an edge with a client in a topic, one that joins, and two that come by an alias of it, one of them
 * with a document: connections live on, unless what they are to be told has no form. */
FUZZ(lk_edge_feed) {
  uint8_t scratch[200];
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_limits limits = lk_limits_default();
  lk_edge *edge;
  lk_edge_output out;
  uint64_t a, b, c, d;
  lk_buf frames[7];
  lk_slice samples[7];
  CHECK_OK(lk_edge_open(&(lk_edge_options){ .env = &env,
                                            .limits = &limits,
                                            .generation = 5,
                                            .houses_count = 1,
                                            .aliases = { aliases, 1 },
                                            .rates = { .burst_ns = 1000000000,
                                                       .connection.messages = 2,
                                                       .topic.messages = 3 } },
                        &edge));
  uint64_t now_us = gen_below(g, 2) * 1000000u; /* nobody may tell the time */
  if (now_us > 0) lk_edge_tick(edge, now_us);
  CHECK_OK(lk_edge_connect(edge, LK_MESSAGE_V2, NULL, &a));
  CHECK_OK(lk_edge_connect(edge, LK_MESSAGE_V1, NULL, &b));
  CHECK_OK(lk_edge_receive(edge, a, LK_LIT("[\"1\",\"1\",\"t\",\"phx_join\",{}]"), false));
  CHECK_OK(lk_edge_receive(
      edge, b, LK_LIT("{\"topic\":\"t\",\"event\":\"phx_join\",\"ref\":\"1\",\"payload\":{}}"),
      false));
  CHECK_OK(lk_edge_connect(edge, LK_MESSAGE_Y, NULL, &c));
  CHECK_OK(lk_edge_open_document(edge, c, LK_LIT("a"), LK_LIT("{}")));
  CHECK_OK(lk_edge_receive(edge, c, LK_LIT("\x00\x02\x02\x00\x00"), true));
  CHECK_OK(lk_edge_connect(edge, LK_MESSAGE_V2, NULL, &d));
  CHECK_OK(lk_edge_receive(edge, d, LK_LIT("[\"1\",\"1\",\"a\",\"phx_join\",{}]"), false));
  CHECK_OK(lk_edge_query(edge, &(lk_question){ .topic = LK_LIT("a"), .event = LK_LIT("get") }));
  const lk_bus_message said[7] = {
    { .kind = LK_BUS_HELLO, .generation = 9, .answers = 5 },
    { .kind = LK_BUS_ACCEPT, .request = 1, .payload = LK_LIT("{}") },
    { .kind = LK_BUS_ACCEPT, .request = 2 + gen_below(g, 4), .payload = LK_LIT("{}") },
    { .kind = LK_BUS_BROADCAST,
      .topic = LK_LIT("t"),
      .event = gen_bool(g) ? LK_LIT("e") : LK_LIT("server_update"),
      .payload = LK_LIT("{}"),
      .binary = gen_bool(g) },
    { .kind = LK_BUS_PUSH,
      .member = UINT64_C(1) << 32,
      .event = LK_LIT("p"),
      .payload = LK_LIT("\x01\x02"),
      .binary = true },
    { .kind = gen_bool(g) ? LK_BUS_REPLY : LK_BUS_LATE,
      .request = 1 + gen_below(g, 6),
      .event = LK_LIT("ok"),
      .payload = LK_LIT("{}") },
    { .kind = LK_BUS_CRASH, .member = UINT64_C(1) << 32 | 1, .event = LK_LIT("storage") },
  };
  for (int i = 0; i < 7; i++) {
    lk_buf_init(&frames[i], test_alloc(), 1000);
    CHECK_OK(lk_bus_encode(&said[i], 1000, &frames[i]));
    samples[i] = lk_buf_slice(&frames[i]);
  }
  for (int i = 0; i < 10; i++) {
    lk_slice in = gen_chance(g, 1, 2) ? samples[gen_below(g, 7)]
                                      : gen_hostile(g, samples, 7, scratch, sizeof scratch);
    lk_edge_feed(edge, 0, in, gen_chance(g, 7, 8));
    while (gen_bool(g) ? lk_edge_poll(edge, &out) : lk_edge_poll_one(edge, &out))
      CHECK(out.count > 0 || out.kind == LK_EDGE_ANSWER);
    if (lk_edge_bus_output(edge, 0).len > 0 && gen_bool(g))
      lk_edge_bus_consume(edge, 0, gen_below(g, (uint32_t)lk_edge_bus_output(edge, 0).len + 1));
    if (now_us > 0 && gen_bool(g)) lk_edge_tick(edge, now_us += gen_below(g, 1000000));
    if (!lk_edge_is_full(edge, a) && gen_bool(g))
      (void)!lk_edge_receive_beginning(edge, a, LK_LIT("[\"1\",\"3\",\"t\",\"e\",[1,"), 1000, false);
    if (gen_chance(g, 1, 8)) lk_edge_disconnect(edge, b);
    if (gen_chance(g, 1, 8)) lk_edge_disconnect(edge, gen_bool(g) ? c : d);
    if (g->from_bytes) g->bytes = lk_slice_skip(g->bytes, lk_min_size(g->bytes.len, 20));
  }
  for (int i = 0; i < 7; i++) lk_buf_deinit(&frames[i]);
  lk_edge_close(edge);
}
