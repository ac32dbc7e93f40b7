/* The edge, with a test in the place of its houses. What edge and house do together is in hub_test.c. */
#include "channel/edge.h"

#include "channel/bus.h"
#include "harness/gen.h"
#include "harness/test.h"

#include <stdio.h>
#include <string.h>

typedef struct world {
  lk_env env;
  lk_limits limits;
  lk_edge *edge;
  lk_bus_reader heard; /* of what the edge says */
} world;

static void say(world *w, lk_bus_message m) {
  lk_buf frame;
  lk_buf_init(&frame, test_alloc(), 1 << 20);
  CHECK_OK(lk_bus_encode(&m, 1 << 20, &frame));
  lk_edge_feed(w->edge, 0, lk_buf_slice(&frame), true);
  lk_buf_deinit(&frame);
}

static void init(world *w) {
  *w = (world){ .env = LK_ENV_INIT(test_alloc(), NULL), .limits = lk_limits_default() };
  lk_bus_reader_init(&w->heard, test_alloc(), 1 << 20);
}

static void open_edge(world *w) {
  CHECK_OK(lk_edge_open(&(lk_edge_options){ .env = &w->env,
                                            .limits = &w->limits,
                                            .generation = 5,
                                            .hash_seed = { 1, 2 },
                                            .houses_count = 1 },
                        &w->edge));
}

static void deinit(world *w) {
  lk_edge_close(w->edge);
  lk_bus_reader_deinit(&w->heard);
}

/* The next message that the edge says to its house. Its slices live until the next call on the edge. */
static bool hear(world *w, lk_bus_message *out) {
  lk_slice bytes = lk_edge_bus_output(w->edge, 0), rest = bytes;
  lk_bus_reader_boundary(&w->heard);
  if (lk_bus_read(&w->heard, &rest, out) != LK_OK) return false;
  lk_edge_bus_consume(w->edge, 0, bytes.len - rest.len);
  return true;
}

static void hear_all(world *w) {
  lk_bus_message m;
  while (hear(w, &m)) continue;
}

static uint64_t connect(world *w, lk_message_form form) {
  uint64_t c;
  CHECK_OK(lk_edge_connect(w->edge, form, &c));
  return c;
}

static void tell(world *w, uint64_t c, const char *text) {
  CHECK_OK(lk_edge_receive(w->edge, c, lk_slice_cstr(text), false));
}

static void drain(world *w) {
  lk_edge_output out;
  while (lk_edge_poll(w->edge, &out)) continue;
}

/* Greets, and takes |count| connections of |form| into the topic. */
static void begin(world *w, const lk_message_form *forms, uint64_t *connections, uint32_t count) {
  open_edge(w);
  say(w, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 9 });
  for (uint32_t i = 0; i < count; i++) {
    connections[i] = connect(w, forms[i]);
    tell(w, connections[i],
         forms[i] == LK_MESSAGE_V1
             ? "{\"topic\":\"t\",\"event\":\"phx_join\",\"ref\":\"1\",\"payload\":{\"a\":1}}"
             : "[\"1\",\"1\",\"t\",\"phx_join\",{\"a\":1}]");
    say(w, (lk_bus_message){ .kind = LK_BUS_ACCEPT, .request = i + 1, .payload = LK_LIT("{}") });
  }
  drain(w);
  hear_all(w);
}

TEST(one_broadcast_is_encoded_once_for_each_form_and_goes_to_all_but_one) {
  static const lk_message_form forms[] = { LK_MESSAGE_V2, LK_MESSAGE_V1, LK_MESSAGE_V2,
                                           LK_MESSAGE_V2_TEXT, LK_MESSAGE_V2 };
  world w;
  uint64_t c[5];
  lk_edge_output out;
  init(&w);
  begin(&w, forms, c, 5);
  say(&w, (lk_bus_message){ .kind = LK_BUS_BROADCAST,
                            .member = UINT64_C(1) << 32 | 2, /* the third to join */
                            .topic = LK_LIT("t"),
                            .event = LK_LIT("e"),
                            .payload = LK_LIT("{\"x\":1}") });
  CHECK(lk_edge_poll(w.edge, &out) && out.kind == LK_EDGE_SEND);
  CHECK_TEXT(out.bytes, "[null,null,\"t\",\"e\",{\"x\":1}]");
  CHECK_U64(out.count, 3);
  CHECK(out.connections[0] == c[0] && out.connections[1] == c[3] && out.connections[2] == c[4]);
  CHECK(lk_edge_poll(w.edge, &out));
  CHECK_U64(out.count, 1);
  CHECK_U64(out.connections[0], c[1]);
  CHECK(lk_slice_find(out.bytes, LK_LIT("\"event\":\"e\"")) != LK_SLICE_NONE);
  CHECK(!lk_edge_poll(w.edge, &out));
  say(&w, (lk_bus_message){ .kind = LK_BUS_BROADCAST,
                            .topic = LK_LIT("t"),
                            .event = LK_LIT("b"),
                            .payload = LK_LIT("\x01\x02"),
                            .binary = true });
  uint32_t messages = 0, receivers = 0, binary = 0;
  for (; lk_edge_poll(w.edge, &out); messages++) {
    receivers += out.count;
    binary += out.is_binary ? out.count : 0;
  }
  CHECK_U64(messages, 3); /* frames, text of V2, text of V1 */
  CHECK_U64(receivers, 5);
  CHECK_U64(binary, 3);
  deinit(&w);
}

TEST(polled_one_by_one_a_broadcast_is_the_same_also_where_others_speak_in_between) {
  static const lk_message_form forms[] = { LK_MESSAGE_V2, LK_MESSAGE_V2, LK_MESSAGE_V2 };
  world w;
  uint64_t c[3], got[3];
  lk_edge_output out;
  init(&w);
  begin(&w, forms, c, 3);
  say(&w, (lk_bus_message){ .kind = LK_BUS_BROADCAST,
                            .topic = LK_LIT("t"),
                            .event = LK_LIT("e"),
                            .payload = LK_LIT("{}") });
  for (int i = 0; i < 3; i++) {
    CHECK(lk_edge_poll_one(w.edge, &out));
    CHECK_TEXT(out.bytes, "[null,null,\"t\",\"e\",{}]");
    CHECK_U64(out.count, 1);
    got[i] = out.connections[0];
    for (int j = 0; j < 40; j++) tell(&w, c[0], "[null,\"5\",\"phoenix\",\"heartbeat\",{}]");
  }
  CHECK(got[0] == c[0] && got[1] == c[1] && got[2] == c[2]);
  for (int j = 0; j < 120; j++) {
    CHECK(lk_edge_poll_one(w.edge, &out));
    CHECK_U64(out.connections[0], c[0]);
  }
  CHECK(!lk_edge_poll_one(w.edge, &out));
  deinit(&w);
}

/* Goal: a house that begins is told all that it must know, in an order in which it makes sense. */
TEST(a_house_that_begins_hears_who_is_in_and_then_what_is_unanswered) {
  static const lk_message_form forms[] = { LK_MESSAGE_V2, LK_MESSAGE_V2 };
  world w;
  uint64_t c[2];
  lk_bus_message m;
  init(&w);
  begin(&w, forms, c, 2);
  tell(&w, c[0], "[\"1\",\"2\",\"t\",\"one\",{}]");
  tell(&w, c[1], "[\"1\",\"2\",\"t\",\"two\",{}]");
  tell(&w, c[1], "[\"9\",\"9\",\"u\",\"phx_join\",{}]");
  tell(&w, c[0], "[\"1\",\"3\",\"t\",\"three\",{}]");
  say(&w, (lk_bus_message){
              .kind = LK_BUS_REPLY, .request = 4, .event = LK_LIT("ok"), .payload = LK_LIT("{}") });
  hear_all(&w);
  say(&w, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 10 });
  CHECK(hear(&w, &m) && m.kind == LK_BUS_HELLO && m.generation == 5 && m.answers == 10);
  for (int i = 0; i < 2; i++) {
    CHECK(hear(&w, &m) && m.kind == LK_BUS_RESTORE);
    CHECK_TEXT(m.topic, "t");
    CHECK_TEXT(m.payload, "{\"a\":1}");
  }
  CHECK(hear(&w, &m) && m.kind == LK_BUS_MESSAGE && m.again && m.request == 3 && m.settled == 3);
  CHECK_TEXT(m.event, "one");
  CHECK(hear(&w, &m) && m.kind == LK_BUS_JOIN && m.request == 5);
  CHECK(hear(&w, &m) && m.kind == LK_BUS_MESSAGE && m.request == 6);
  CHECK_TEXT(m.event, "three");
  CHECK(!hear(&w, &m));
  say(&w, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 10 }); /* said twice */
  CHECK(!hear(&w, &m));
  CHECK_U64(lk_edge_get_stats(w.edge).sent_again, 3);
  deinit(&w);
}

TEST(what_is_said_before_a_house_is_there_waits_for_it) {
  world w;
  lk_bus_message m;
  init(&w);
  open_edge(&w);
  hear_all(&w);
  uint64_t c = connect(&w, LK_MESSAGE_V2);
  tell(&w, c, "[\"1\",\"1\",\"t\",\"phx_join\",{}]");
  tell(&w, c, "[\"1\",\"2\",\"t\",\"e\",{}]");
  CHECK(!hear(&w, &m));
  say(&w, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 9 });
  CHECK(hear(&w, &m) && m.kind == LK_BUS_HELLO);
  CHECK(hear(&w, &m) && m.kind == LK_BUS_JOIN && m.request == 1);
  CHECK(hear(&w, &m) && m.kind == LK_BUS_MESSAGE && m.request == 2);
  lk_edge_disconnect(w.edge, c);
  CHECK(hear(&w, &m) && m.kind == LK_BUS_LEAVE);
  CHECK(lk_edge_is_idle(w.edge));
  deinit(&w);
}

TEST(a_client_with_too_much_unanswered_is_paused_and_resumed) {
  static const lk_message_form forms[] = { LK_MESSAGE_V2 };
  world w;
  uint64_t c[1];
  lk_edge_output out;
  init(&w);
  w.limits.edge_unanswered_bytes = 1000;
  begin(&w, forms, c, 1);
  uint64_t count = 0;
  for (; !lk_edge_is_full(w.edge, c[0]); count++) tell(&w, c[0], "[\"1\",\"2\",\"t\",\"e\",{}]");
  CHECK(count > 3 && count < 40);
  uint64_t resumed = 0, answered = 0;
  for (; resumed == 0; answered++) {
    CHECK(answered < count && lk_edge_is_full(w.edge, c[0]));
    say(&w, (lk_bus_message){ .kind = LK_BUS_REPLY,
                              .request = 2 + answered,
                              .event = LK_LIT("ok"),
                              .payload = LK_LIT("{}") });
    while (lk_edge_poll(w.edge, &out)) resumed += out.kind == LK_EDGE_RESUME;
  }
  CHECK_U64(resumed, 1);
  CHECK(answered > count / 3 &&
        answered < count); /* not at once, or it would pause again with each message */
  CHECK(!lk_edge_is_full(w.edge, c[0]));
  deinit(&w);
}

TEST(numbers_of_what_is_gone_are_never_those_of_what_came_later) {
  world w;
  init(&w);
  open_edge(&w);
  uint64_t a = connect(&w, LK_MESSAGE_V2);
  lk_edge_disconnect(w.edge, a);
  lk_edge_disconnect(w.edge, a);
  uint64_t b = connect(&w, LK_MESSAGE_V2);
  CHECK(a != b && a != 0 && b != 0);
  CHECK_ERR(lk_edge_receive(w.edge, a, LK_LIT("[null,\"5\",\"phoenix\",\"heartbeat\",{}]"), false),
            LK_ERR_CLOSED);
  tell(&w, b, "[null,\"5\",\"phoenix\",\"heartbeat\",{}]");
  deinit(&w);
}

TEST(as_many_connections_as_allowed_and_not_one_more) {
  world w;
  uint64_t c;
  init(&w);
  w.limits.server_connections_count = 3;
  open_edge(&w);
  for (int i = 0; i < 3; i++) c = connect(&w, LK_MESSAGE_V2);
  CHECK_ERR(lk_edge_connect(w.edge, LK_MESSAGE_V2, &c), LK_ERR_LIMIT);
  deinit(&w);
}

TEST(what_a_request_took_is_counted_from_asking_to_answering) {
  static const lk_message_form forms[] = { LK_MESSAGE_V2 };
  world w;
  uint64_t c;
  init(&w);
  begin(&w, forms, &c, 1);
  CHECK_U64(lk_edge_latency(w.edge)->sum_us, 0);        /* nobody said what time it was */
  lk_edge_set_time(w.edge, (UINT64_C(7) << 32) - 1000); /* the lower half goes round in between */
  tell(&w, c, "[\"1\",\"2\",\"t\",\"e\",{}]");
  lk_edge_set_time(w.edge, (UINT64_C(7) << 32) + 2000);
  say(&w, (lk_bus_message){
              .kind = LK_BUS_REPLY, .request = 2, .event = LK_LIT("ok"), .payload = LK_LIT("{}") });
  CHECK_U64(lk_edge_latency(w.edge)->sum_us, 3000);
  CHECK_U64(lk_edge_latency(w.edge)->counts[lk_histogram_bucket(3000)], 1);
  deinit(&w);
}
