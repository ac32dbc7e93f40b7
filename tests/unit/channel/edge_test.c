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
  lk_aliases aliases;
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
                                            .houses_count = 1,
                                            .aliases = w->aliases },
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
  CHECK_OK(lk_edge_connect(w->edge, form, NULL, &c));
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

/* So much of what need not wait for room that there is none. */
static void overflow(world *w, uint64_t c) {
  for (int i = 0; i < 200; i++)
    lk_edge_set_lag(w->edge, c, i % 2 == 0 ? LK_BUS_SLOW : LK_BUS_IN_STEP);
}

/* Goal: a house for which there was no room once is not lost for ever, and the two never greet each other without end. */
TEST(a_house_that_was_given_up_is_asked_to_begin_again_at_most_once_a_second) {
  static const lk_message_form forms[] = { LK_MESSAGE_V2 };
  world w;
  uint64_t c;
  lk_bus_message m;
  init(&w);
  w.limits.bus_output_bytes = 1000;
  begin(&w, forms, &c, 1);
  CHECK_U64(lk_edge_deadline(w.edge), UINT64_MAX);
  tell(&w, c, "[\"1\",\"2\",\"t\",\"e\",{}]");
  overflow(&w, c);
  CHECK_COVERED(edge_house_given_up);
  hear_all(&w);
  CHECK(lk_edge_deadline(w.edge) <= 5000);
  lk_edge_step(w.edge, 5000);
  CHECK_COVERED(edge_greets_again);
  CHECK(hear(&w, &m) && m.kind == LK_BUS_HELLO && m.answers == 0);
  CHECK(!hear(&w, &m));
  CHECK_U64(lk_edge_deadline(w.edge), UINT64_MAX);

  say(&w, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 9 });
  overflow(&w, c);
  hear_all(&w);
  CHECK_U64(lk_edge_deadline(w.edge), 6000);
  lk_edge_step(w.edge, 5999);
  CHECK(!hear(&w, &m));
  lk_edge_step(w.edge, 6000);
  CHECK(hear(&w, &m) && m.kind == LK_BUS_HELLO);
  say(&w, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 9 });
  CHECK(hear(&w, &m) && m.kind == LK_BUS_HELLO && m.answers == 9);
  CHECK(hear(&w, &m) && m.kind == LK_BUS_RESTORE);
  CHECK(hear(&w, &m) && m.kind == LK_BUS_MESSAGE && m.again && m.request == 2);
  CHECK(!hear(&w, &m));
  CHECK_U64(lk_edge_deadline(w.edge), UINT64_MAX);
  deinit(&w);
}

/* A message of the member that |c| is, |len| bytes and a little more. */
static void tell_long(world *w, uint64_t c, const char *ref, const char *event, size_t len) {
  char text[6000];
  int size = snprintf(text, sizeof text, "[\"1\",\"%s\",\"t\",\"%s\",{\"a\":\"%0*d\"}]", ref, event,
                      (int)len, 0);
  CHECK(size > 0 && (size_t)size < sizeof text);
  tell(w, c, text);
}

static void check_next_is(world *w, const char *want) {
  lk_edge_output out;
  CHECK(lk_edge_poll(w->edge, &out) && out.kind == LK_EDGE_SEND);
  CHECK_SLICE(out.bytes, lk_slice_cstr(want));
}

/* Goal: what can never go to a house is its sender's affair alone. Before, the house was given up, and everything was said to it
 * again up to that message, for ever. */
TEST(a_message_that_no_frame_holds_is_refused_and_others_do_not_notice) {
  static const lk_message_form forms[] = { LK_MESSAGE_V2, LK_MESSAGE_V2 };
  world w;
  uint64_t c[2];
  lk_bus_message m;
  init(&w);
  w.limits.bus_frame_bytes = 2000;
  begin(&w, forms, c, 2);
  tell_long(&w, c[0], "2", "long", 3000);
  tell_long(&w, c[1], "2", "short", 1000);
  CHECK(hear(&w, &m) && m.kind == LK_BUS_MESSAGE && m.request == 3 && m.binary);
  CHECK_SLICE(m.event, LK_EVENT_TOO_BIG_INSIDE); /* its room has to know of it */
  CHECK_TEXT(m.payload, "long");
  CHECK(hear(&w, &m) && m.request == 4);
  CHECK_TEXT(m.event, "short");
  CHECK(!hear(&w, &m));

  /* A join: nobody else has to know. Its topic may be joined as before. */
  tell(&w, c[0], "[\"1\",\"3\",\"t\",\"phx_leave\",{}]");
  drain(&w);
  hear_all(&w);
  tell_long(&w, c[0], "4", "phx_join", 3000);
  check_next_is(&w, "[\"1\",\"4\",\"t\",\"phx_reply\",{\"status\":\"error\",\"response\":"
                    "{\"reason\":\"message_too_big\",\"limit\":\"bus_frame_bytes\","
                    "\"message\":\"the message is longer than the server passes on; split it\"}}]");
  CHECK(!hear(&w, &m));
  tell_long(&w, c[0], "5", "phx_join", 1000);
  CHECK(hear(&w, &m) && m.kind == LK_BUS_JOIN && m.request == 5);

  /* Nor what nobody who is in a room asks. */
  static char body[3000];
  lk_question question = { .topic = LK_LIT("t"), .payload = lk_slice_of(body, sizeof body) };
  CHECK_ERR(lk_edge_query(w.edge, &question), LK_ERR_TOO_BIG);
  question.payload = lk_slice_of(body, 1000);
  CHECK_OK(lk_edge_query(w.edge, &question));
  CHECK(hear(&w, &m) && m.kind == LK_BUS_QUERY && m.request == 6);
  CHECK_U64(lk_edge_get_stats(w.edge).refused_too_big, 2);
  CHECK_U64(lk_edge_deadline(w.edge), UINT64_MAX); /* nobody was given up */
  deinit(&w);
}

/* Goal: more than a house takes at once goes to it bit by bit, in order, also when it begins again. Before, it was given up, and could
 * not be told all that it had to know. */
TEST(requests_and_members_that_do_not_fit_at_once_wait_for_each_other) {
  enum { CLIENTS = 8, LONG = 900 };
  lk_message_form forms[CLIENTS] = { LK_MESSAGE_V2 };
  world w;
  uint64_t c[CLIENTS];
  lk_bus_message m;
  for (int i = 0; i < CLIENTS; i++) forms[i] = LK_MESSAGE_V2;
  init(&w);
  w.limits.bus_output_bytes = 4000;
  begin(&w, forms, c, CLIENTS);
  for (int i = 0; i < CLIENTS; i++) tell_long(&w, c[i], "2", "e", LONG);
  CHECK_COVERED(edge_request_waits_for_room);
  CHECK(lk_edge_bus_output(w.edge, 0).len <= 2000);
  lk_edge_disconnect(w.edge, c[CLIENTS - 1]); /* it asks no more */
  bool has_left = false;
  for (uint64_t next = CLIENTS + 1; next < 2 * CLIENTS;) {
    CHECK(hear(&w, &m));
    has_left |= m.kind == LK_BUS_LEAVE;
    if (m.kind == LK_BUS_LEAVE) continue;
    CHECK(m.kind == LK_BUS_MESSAGE && m.request == next++ && !m.again);
  }
  CHECK(has_left && !hear(&w, &m));
  for (int round = 0; round < 3; round++) {
    say(&w, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 10 + (uint64_t)round });
    CHECK(hear(&w, &m) && m.kind == LK_BUS_HELLO);
    for (int i = 0; i < CLIENTS - 1; i++) CHECK(hear(&w, &m) && m.kind == LK_BUS_RESTORE);
    for (uint64_t next = CLIENTS + 1; next < 2 * CLIENTS; next++)
      CHECK(hear(&w, &m) && m.kind == LK_BUS_MESSAGE && m.request == next && m.again);
    CHECK(!hear(&w, &m));
  }
  CHECK_U64(lk_edge_deadline(w.edge), UINT64_MAX);
  CHECK_U64(lk_edge_get_stats(w.edge).sent_again, 3 * (CLIENTS - 1));
  deinit(&w);
}

TEST(members_wait_for_room_to_be_restored) {
  enum { CLIENTS = 12 };
  lk_message_form forms[CLIENTS];
  world w;
  uint64_t c[CLIENTS];
  lk_bus_message m;
  for (int i = 0; i < CLIENTS; i++) forms[i] = LK_MESSAGE_V2;
  init(&w);
  w.limits.bus_output_bytes = 300;
  begin(&w, forms, c, CLIENTS);
  tell(&w, c[0], "[\"1\",\"2\",\"t\",\"e\",{}]");
  hear_all(&w);
  say(&w, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 10 });
  CHECK_COVERED(edge_member_waits_for_room);
  CHECK(hear(&w, &m) && m.kind == LK_BUS_HELLO);
  for (uint64_t i = 0; i < CLIENTS; i++)
    CHECK(hear(&w, &m) && m.kind == LK_BUS_RESTORE && (m.member & UINT32_MAX) == i);
  CHECK(hear(&w, &m) && m.kind == LK_BUS_MESSAGE && m.again);
  CHECK(!hear(&w, &m));
  CHECK_U64(lk_edge_deadline(w.edge), UINT64_MAX);
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

TEST(who_is_behind_is_passed_by_until_its_house_says_that_it_has_caught_up) {
  static const lk_message_form forms[] = { LK_MESSAGE_V2, LK_MESSAGE_V2 };
  world w;
  uint64_t c[2];
  lk_bus_message m;
  lk_edge_output out;
  const lk_bus_message news = {
    .kind = LK_BUS_BROADCAST, .topic = LK_LIT("t"), .event = LK_LIT("e"), .payload = LK_LIT("{}")
  };
  init(&w);
  begin(&w, forms, c, 2);
  lk_edge_set_lag(w.edge, c[1], LK_BUS_BEHIND);
  lk_edge_set_lag(w.edge, c[1], LK_BUS_BEHIND); /* it knows */
  CHECK(hear(&w, &m) && m.kind == LK_BUS_LAG && m.request == LK_BUS_BEHIND);
  uint64_t late = m.member;
  CHECK(!hear(&w, &m));
  say(&w, news); /* the house has said nothing yet */
  CHECK(lk_edge_poll(w.edge, &out) && out.count == 2);
  say(&w, (lk_bus_message){ .kind = LK_BUS_LAG, .member = late, .request = LK_BUS_BEHIND });
  say(&w, news);
  CHECK(lk_edge_poll(w.edge, &out) && out.count == 1 && out.connections[0] == c[0]);
  lk_edge_set_lag(w.edge, c[1], LK_BUS_IN_STEP);
  CHECK(hear(&w, &m) && m.kind == LK_BUS_LAG && m.request == LK_BUS_IN_STEP);
  say(&w, news);
  CHECK(lk_edge_poll(w.edge, &out) && out.count == 1);
  say(&w, (lk_bus_message){ .kind = LK_BUS_LAG, .member = late, .request = LK_BUS_IN_STEP });
  say(&w, news);
  CHECK(lk_edge_poll(w.edge, &out) && out.count == 2);

  /* A house that begins restores it, and is told. */
  lk_edge_set_lag(w.edge, c[1], LK_BUS_SLOW);
  say(&w, (lk_bus_message){ .kind = LK_BUS_LAG, .member = late, .request = LK_BUS_BEHIND });
  hear_all(&w);
  say(&w, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 10 });
  CHECK(hear(&w, &m) && m.kind == LK_BUS_HELLO);
  CHECK(hear(&w, &m) && m.kind == LK_BUS_RESTORE && hear(&w, &m) && m.kind == LK_BUS_RESTORE);
  CHECK(hear(&w, &m) && m.kind == LK_BUS_LAG && m.request == LK_BUS_SLOW && m.member == late);
  say(&w, news);
  CHECK(lk_edge_poll(w.edge, &out) && out.count == 2);
  /* So is the house of a topic that it joins later. */
  tell(&w, c[1], "[\"5\",\"5\",\"u\",\"phx_join\",{}]");
  CHECK(hear(&w, &m) && m.kind == LK_BUS_JOIN);
  say(&w, (lk_bus_message){ .kind = LK_BUS_ACCEPT, .request = m.request, .payload = LK_LIT("{}") });
  CHECK(hear(&w, &m) && m.kind == LK_BUS_LAG && m.request == LK_BUS_SLOW && m.member != late);
  drain(&w);
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

TEST(each_connection_knows_whether_it_has_its_answers) {
  static const lk_message_form forms[] = { LK_MESSAGE_V2, LK_MESSAGE_V2 };
  world w;
  uint64_t c[2];
  init(&w);
  begin(&w, forms, c, 2);
  CHECK(lk_edge_is_answered(w.edge, c[0]) && lk_edge_is_answered(w.edge, c[1]));
  tell(&w, c[0], "[\"1\",\"2\",\"t\",\"e\",{}]");
  CHECK(!lk_edge_is_answered(w.edge, c[0]) && lk_edge_is_answered(w.edge, c[1]));
  say(&w, (lk_bus_message){
              .kind = LK_BUS_REPLY, .request = 3, .event = LK_LIT("ok"), .payload = LK_LIT("{}") });
  CHECK(lk_edge_is_answered(w.edge, c[0]));
  CHECK(lk_edge_is_answered(w.edge, 12345)); /* who is not there waits for nothing */
  drain(&w);
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
  CHECK_ERR(lk_edge_connect(w.edge, LK_MESSAGE_V2, NULL, &c), LK_ERR_LIMIT);
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

/* ---- connections of one document ---- */

#define Y_PARAMS LK_LIT("{\"dialect\":\"y\"}")
#define Y_UPDATE LK_LIT("\x00\x02\x02\x00\x00")

static uint64_t open_document(world *w, const char *topic) {
  uint64_t c = connect(w, LK_MESSAGE_Y);
  CHECK_OK(lk_edge_open_document(w->edge, c, lk_slice_cstr(topic), Y_PARAMS));
  return c;
}

static void say_bytes(world *w, const char *topic, const char *event, const char *bytes) {
  say(w, (lk_bus_message){ .kind = LK_BUS_BROADCAST,
                           .topic = lk_slice_cstr(topic),
                           .event = lk_slice_cstr(event),
                           .payload = lk_slice_cstr(bytes),
                           .binary = true });
}

TEST(a_connection_of_one_document_joins_when_it_opens_and_hears_what_others_write) {
  world w;
  lk_bus_message m;
  lk_edge_output out;
  init(&w);
  begin(&w, NULL, NULL, 0);
  uint64_t c = open_document(&w, "doc:a");
  CHECK(hear(&w, &m) && m.kind == LK_BUS_JOIN);
  CHECK_TEXT(m.topic, "doc:a");
  CHECK_SLICE(m.payload, Y_PARAMS);
  CHECK_OK(lk_edge_receive(w.edge, c, Y_UPDATE, true)); /* it does not wait */
  CHECK(hear(&w, &m) && m.kind == LK_BUS_MESSAGE && m.binary);
  CHECK_TEXT(m.event, "yjs");
  CHECK_SLICE(m.payload, Y_UPDATE);
  say(&w, (lk_bus_message){ .kind = LK_BUS_ACCEPT,
                            .request = 1,
                            .dialect = LK_DIALECT_YJS,
                            .payload = LK_LIT("{}") });
  say(&w, (lk_bus_message){
              .kind = LK_BUS_REPLY, .request = 2, .event = LK_LIT("ok"), .payload = LK_LIT("{}") });
  CHECK(!lk_edge_poll(w.edge, &out)); /* it reads no replies */
  CHECK(lk_edge_is_idle(w.edge));
  say_bytes(&w, "doc:a", "server_update", "\x09\x08");
  CHECK(lk_edge_poll(w.edge, &out) && out.is_binary && out.connections[0] == c);
  CHECK_TEXT(out.bytes, "\x00\x02\x02\x09\x08");
  say_bytes(&w, "doc:a", "awareness", "\x07");
  CHECK(lk_edge_poll(w.edge, &out));
  CHECK_TEXT(out.bytes, "\x01\x01\x07");
  say_bytes(&w, "doc:a", "other", "\x07");
  CHECK(!lk_edge_poll(w.edge, &out));
  CHECK_ERR(lk_edge_receive(w.edge, c, LK_LIT("text"), false), LK_ERR_UNSUPPORTED);
  lk_edge_disconnect(w.edge, c);
  CHECK(hear(&w, &m) && m.kind == LK_BUS_LEAVE);
  deinit(&w);
}

/* Goal: a room process that died and came back knows these members, too, and gets their messages. */
TEST(a_house_that_begins_hears_of_the_connections_of_its_documents) {
  world w;
  lk_bus_message m;
  init(&w);
  begin(&w, NULL, NULL, 0);
  uint64_t c = open_document(&w, "doc:a");
  say(&w, (lk_bus_message){ .kind = LK_BUS_ACCEPT, .request = 1, .payload = LK_LIT("{}") });
  CHECK_OK(lk_edge_receive(w.edge, c, Y_UPDATE, true));
  hear_all(&w);
  say(&w, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 10 });
  CHECK(hear(&w, &m) && m.kind == LK_BUS_HELLO);
  CHECK(hear(&w, &m) && m.kind == LK_BUS_RESTORE);
  CHECK_SLICE(m.payload, Y_PARAMS);
  CHECK(hear(&w, &m) && m.kind == LK_BUS_MESSAGE && m.again);
  CHECK_SLICE(m.payload, Y_UPDATE);
  CHECK(!hear(&w, &m));
  deinit(&w);
}

TEST(the_connection_of_a_document_ends_with_its_joining) {
  static const struct {
    lk_bus_message said;
    lk_err why;
  } rows[] = {
    { { .kind = LK_BUS_REFUSE,
        .request = 1,
        .payload = LK_LIT_INIT("{\"reason\":\"unauthorized\"}") },
      LK_ERR_DENIED },
    { { .kind = LK_BUS_REFUSE, .request = 1, .payload = LK_LIT_INIT("{\"reason\":\"room full\"}") },
      LK_ERR_FULL },
    { { .kind = LK_BUS_UNMATCHED, .request = 1 }, LK_ERR_UNMATCHED_TOPIC },
    { { .kind = LK_BUS_CRASH, .member = UINT64_C(1) << 32, .event = LK_LIT_INIT("storage") },
      LK_ERR_CLOSED },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    world w;
    lk_edge_output out;
    init(&w);
    begin(&w, NULL, NULL, 0);
    uint64_t c = open_document(&w, "doc:a");
    CHECK_OK(lk_edge_receive(w.edge, c, Y_UPDATE, true));
    say(&w, rows[i].said);
    CHECK(lk_edge_poll(w.edge, &out) && out.kind == LK_EDGE_CLOSE && out.connections[0] == c);
    CHECK_ERR(out.reason, rows[i].why);
    CHECK(!lk_edge_poll(w.edge, &out));
    CHECK_ERR(lk_edge_receive(w.edge, c, Y_UPDATE, true), LK_ERR_CLOSED);
    CHECK_U64(lk_edge_get_stats(w.edge).members, 0);
    CHECK(lk_edge_is_idle(w.edge));
    lk_edge_disconnect(w.edge, c);
    deinit(&w);
  }
}

TEST(a_document_whose_messages_nobody_answers_pauses_its_connection) {
  world w;
  init(&w);
  w.limits.edge_unanswered_bytes = 1000;
  begin(&w, NULL, NULL, 0);
  uint64_t c = open_document(&w, "doc:a");
  for (int i = 0; !lk_edge_is_full(w.edge, c); i++) {
    CHECK(i < 40);
    CHECK_OK(lk_edge_receive(w.edge, c, Y_UPDATE, true));
  }
  deinit(&w);
}

/* Goal: what has no place would be missing from the document, and nobody would know. */
TEST(a_message_of_a_document_that_cannot_be_kept_ends_the_connection) {
  world w;
  lk_edge_output out;
  init(&w);
  w.limits.bus_requests_count = 2;
  begin(&w, NULL, NULL, 0);
  uint64_t c = open_document(&w, "doc:a");
  lk_err err = LK_OK;
  for (int i = 0; i < 64 && err == LK_OK && !lk_edge_poll(w.edge, &out); i++)
    err = lk_edge_receive(w.edge, c, Y_UPDATE, true);
  CHECK(out.kind == LK_EDGE_CLOSE && out.connections[0] == c);
  CHECK_ERR(out.reason, LK_ERR_FULL);
  deinit(&w);
}

TEST(a_document_with_a_name_that_is_none_is_refused) {
  world w;
  uint8_t name[256];
  init(&w);
  begin(&w, NULL, NULL, 0);
  memset(name, 'a', sizeof name);
  uint64_t c = connect(&w, LK_MESSAGE_Y);
  CHECK_ERR(lk_edge_open_document(w.edge, c, lk_slice_of(name, 256), Y_PARAMS), LK_ERR_TOO_BIG);
  CHECK_ERR(lk_edge_open_document(w.edge, c, LK_LIT("\xff"), Y_PARAMS), LK_ERR_UTF8);
  CHECK_U64(lk_edge_get_stats(w.edge).members, 0);
  deinit(&w);
}

/* ---- aliases ---- */

static const lk_alias some_aliases[] = {
  { LK_LIT_INIT("old:"), LK_LIT_INIT("t:"), true },
  { LK_LIT_INIT("tee"), LK_LIT_INIT("t:1"), false },
  { LK_LIT_INIT("x:"), LK_LIT_INIT("longer than its alias:"), true },
};

static uint64_t join_as(world *w, const char *name, uint64_t request) {
  char text[400];
  uint64_t c = connect(w, LK_MESSAGE_V2);
  (void)snprintf(text, sizeof text, "[\"1\",\"1\",\"%s\",\"phx_join\",{}]", name);
  tell(w, c, text);
  say(w, (lk_bus_message){ .kind = LK_BUS_ACCEPT, .request = request, .payload = LK_LIT("{}") });
  return c;
}

TEST(who_joins_by_an_alias_is_in_the_topic_and_hears_its_own_name_for_it) {
  static const char *const names[] = { "old:1", "t:1", "tee", "old:1", "t:2" };
  static const char *const said[] = { "[null,null,\"t:1\",\"e\",{}]",
                                      "[null,null,\"tee\",\"e\",{}]",
                                      "[null,null,\"old:1\",\"e\",{}]" };
  world w;
  lk_bus_message m;
  lk_edge_output out;
  uint64_t c[5];
  init(&w);
  w.aliases = (lk_aliases){ some_aliases, 3 };
  begin(&w, NULL, NULL, 0);
  for (uint64_t i = 0; i < 5; i++) {
    c[i] = join_as(&w, names[i], i + 1);
    CHECK(hear(&w, &m) && m.kind == LK_BUS_JOIN);
    CHECK_SLICE(m.topic, lk_slice_cstr(i == 4 ? "t:2" : "t:1"));
    CHECK_SLICE(m.event, lk_slice_cstr(names[i][0] == 't' && names[i][1] == ':' ? "" : names[i]));
    CHECK(lk_edge_poll(w.edge, &out));
    CHECK(lk_slice_find(out.bytes, lk_slice_cstr(names[i])) != LK_SLICE_NONE);
  }
  say(&w, (lk_bus_message){ .kind = LK_BUS_BROADCAST,
                            .topic = LK_LIT("t:1"),
                            .event = LK_LIT("e"),
                            .payload = LK_LIT("{}"),
                            .member = UINT64_C(1) << 32 }); /* the first to join */
  for (int i = 0; i < 3; i++) {
    CHECK(lk_edge_poll(w.edge, &out));
    CHECK_SLICE(out.bytes, lk_slice_cstr(said[i]));
    CHECK_U64(out.count, 1);
    CHECK(out.connections[0] == c[i + 1]);
  }
  CHECK(!lk_edge_poll(w.edge, &out));
  say(&w, (lk_bus_message){ .kind = LK_BUS_PUSH,
                            .member = UINT64_C(1) << 32,
                            .event = LK_LIT("p"),
                            .payload = LK_LIT("{}") });
  CHECK(lk_edge_poll(w.edge, &out));
  CHECK_TEXT(out.bytes, "[\"1\",null,\"old:1\",\"p\",{}]");
  say(&w, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 10 });
  CHECK(hear(&w, &m) && m.kind == LK_BUS_HELLO);
  for (int i = 0; i < 5; i++) {
    CHECK(hear(&w, &m) && m.kind == LK_BUS_RESTORE);
    CHECK_SLICE(m.topic, lk_slice_cstr(i == 4 ? "t:2" : "t:1"));
    CHECK_SLICE(m.event, lk_slice_cstr(names[i][0] == 't' && names[i][1] == ':' ? "" : names[i]));
  }
  deinit(&w);
}

/* Goal: no record outlives its use, whoever goes first. Method: leave in every order of three; the sanitizer looks. */
TEST(a_topic_and_its_aliases_go_when_their_last_member_does) {
  static const char *const names[] = { "t:1", "old:1", "tee" };
  for (int order = 0; order < 6; order++) {
    world w;
    lk_edge_output out;
    uint64_t c[3];
    init(&w);
    w.aliases = (lk_aliases){ some_aliases, 3 };
    begin(&w, NULL, NULL, 0);
    for (uint64_t i = 0; i < 3; i++) c[i] = join_as(&w, names[i], i + 1);
    drain(&w);
    int first = order / 2, second = (first + 1 + order % 2) % 3;
    lk_edge_disconnect(w.edge, c[first]);
    say_bytes(&w, "t:1", "e", "x");
    int heard = 0;
    while (lk_edge_poll(w.edge, &out)) heard++;
    CHECK_I64(heard, 2);
    lk_edge_disconnect(w.edge, c[second]);
    lk_edge_disconnect(w.edge, c[3 - first - second]);
    say_bytes(&w, "t:1", "e", "x");
    CHECK(!lk_edge_poll(w.edge, &out));
    deinit(&w);
  }
}

enum { CROWD_TOPICS = 40, CROWD_CLIENTS = 80 };

typedef struct crowd {
  world w;
  uint64_t connections[CROWD_CLIENTS]; /* 0: not there */
  uint32_t topics[CROWD_CLIENTS];
  uint64_t requests;
} crowd;

static void come(crowd *c, uint32_t who, uint32_t topic, bool is_old, bool has_alias) {
  char text[100];
  const char *name = has_alias ? "old" : "t";
  c->connections[who] = connect(&c->w, is_old ? LK_MESSAGE_V1 : LK_MESSAGE_V2);
  c->topics[who] = topic;
  (void)snprintf(text, sizeof text,
                 is_old
                     ? "{\"topic\":\"%s:%u\",\"event\":\"phx_join\",\"ref\":\"1\",\"payload\":{}}"
                     : "[\"1\",\"1\",\"%s:%u\",\"phx_join\",{}]",
                 name, (unsigned)topic);
  tell(&c->w, c->connections[who], text);
  say(&c->w,
      (lk_bus_message){ .kind = LK_BUS_ACCEPT, .request = ++c->requests, .payload = LK_LIT("{}") });
  drain(&c->w);
}

/* What is said in |topic| reaches each of its members once, and nobody else. */
static void check_topic(crowd *c, uint32_t topic) {
  char name[20];
  lk_edge_output out;
  uint32_t heard[CROWD_CLIENTS] = { 0 };
  (void)snprintf(name, sizeof name, "t:%u", (unsigned)topic);
  say(&c->w, (lk_bus_message){ .kind = LK_BUS_BROADCAST,
                               .topic = lk_slice_cstr(name),
                               .event = LK_LIT("e"),
                               .payload = LK_LIT("{}") });
  while (lk_edge_poll(c->w.edge, &out)) {
    CHECK(out.count > 0);
    for (uint32_t i = 0; i < CROWD_CLIENTS; i++) {
      for (size_t j = 0; j < out.count; j++)
        heard[i] += c->connections[i] != 0 && out.connections[j] == c->connections[i];
    }
  }
  for (uint32_t i = 0; i < CROWD_CLIENTS; i++)
    CHECK_U64(heard[i], c->connections[i] != 0 && c->topics[i] == topic);
}

/* Goal: topics are found while they have members, whichever of them come and go, and by every form and name. Against a list of
 * clients that is looked through. */
PROPERTY_SLOW(what_is_said_in_a_topic_reaches_its_members_whoever_came_and_went, 4) {
  crowd c = { .requests = 0 };
  init(&c.w);
  c.w.aliases = (lk_aliases){ some_aliases, 1 };
  begin(&c.w, NULL, NULL, 0);
  for (uint32_t step = 0; step < 240; step++) {
    uint32_t who = gen_below(g, CROWD_CLIENTS);
    bool is_growing = step < 120;
    if (c.connections[who] == 0 && gen_chance(g, is_growing ? 9 : 1, 10)) {
      come(&c, who, gen_below(g, CROWD_TOPICS), gen_bool(g), gen_chance(g, 1, 3));
    } else if (c.connections[who] != 0 && gen_chance(g, is_growing ? 1 : 9, 10)) {
      lk_edge_disconnect(c.w.edge, c.connections[who]);
      c.connections[who] = 0;
    }
    hear_all(&c.w);
    check_topic(&c, gen_chance(g, 1, 2) ? c.topics[who] : gen_below(g, CROWD_TOPICS));
  }
  deinit(&c.w);
}

TEST(an_alias_whose_topic_would_have_too_long_a_name_is_refused) {
  char name[256];
  world w;
  lk_edge_output out;
  lk_bus_message m;
  init(&w);
  w.aliases = (lk_aliases){ some_aliases, 3 };
  begin(&w, NULL, NULL, 0);
  memset(name, 'a', 240);
  memcpy(name, "x:", 2);
  name[240] = 0;
  char text[400];
  uint64_t c = connect(&w, LK_MESSAGE_V2);
  (void)snprintf(text, sizeof text, "[\"1\",\"1\",\"%s\",\"phx_join\",{}]", name);
  tell(&w, c, text);
  CHECK(!hear(&w, &m));
  CHECK(lk_edge_poll(w.edge, &out));
  CHECK(lk_slice_find(out.bytes, LK_LIT("\"status\":\"error\"")) != LK_SLICE_NONE);
  deinit(&w);
}

/* ---- y-phoenix-channel ---- */

/* Goal: a provider that names no dialect when it joins gets its own as soon as the room knows what it speaks. */
TEST(who_is_pushed_a_message_in_a_dialect_hears_others_in_it_from_then_on) {
  world w;
  lk_edge_output out;
  init(&w);
  begin(&w, NULL, NULL, 0);
  uint64_t c = connect(&w, LK_MESSAGE_V2);
  tell(&w, c, "[\"1\",\"1\",\"t\",\"phx_join\",{}]");
  say(&w, (lk_bus_message){ .kind = LK_BUS_ACCEPT,
                            .request = 1,
                            .dialect = LK_DIALECT_ARRAY,
                            .payload = LK_LIT("{}") });
  drain(&w);
  say_bytes(&w, "t", "server_update", "\x09");
  CHECK(lk_edge_poll(w.edge, &out) && !out.is_binary);
  CHECK_TEXT(out.bytes, "[null,null,\"t\",\"server_update\",{\"bin\":[9]}]");
  for (int i = 0; i < 2; i++) { /* what says nothing of a dialect changes none */
    say(&w, (lk_bus_message){ .kind = LK_BUS_PUSH,
                              .member = UINT64_C(1) << 32,
                              .event = LK_LIT("yjs"),
                              .dialect = i == 0 ? LK_DIALECT_YJS : LK_DIALECT_PLAIN,
                              .payload = LK_LIT("\x03"),
                              .binary = true });
    CHECK(lk_edge_poll(w.edge, &out) && out.is_binary);
    CHECK_TEXT(out.bytes, "\x00\x01\x01\x03"
                          "1tyjs\x03");
  }
  say_bytes(&w, "t", "server_update", "\x09");
  CHECK(lk_edge_poll(w.edge, &out) && out.is_binary);
  CHECK_TEXT(out.bytes, "\x02\x01\x03tyjs\x00\x02\x01\x09");
  lk_edge_disconnect(w.edge, c);
  say_bytes(&w, "t", "server_update", "\x09");
  CHECK(!lk_edge_poll(w.edge, &out));
  deinit(&w);
}
