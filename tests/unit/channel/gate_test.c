/* Gates before topics: joins and queries wait for the keeper's word, and get to the house in order. House and keeper are played by
 * the test. */
#include "channel/edge.h"

#include "harness/test.h"

enum { HOUSE, KEEPER };

typedef struct world {
  lk_env env;
  lk_limits limits;
  lk_edge *edge;
  lk_bus_reader heard[2];
  uint64_t connection;
} world;

static const lk_slice patterns[] = { LK_LIT_INIT("doc:*"), LK_LIT_INIT("crdt:one") };
static const lk_gate gate = { patterns, 2 };

static void say(world *w, uint32_t from, lk_bus_message m) {
  lk_buf frame;
  lk_buf_init(&frame, test_alloc(), 1 << 20);
  CHECK_OK(lk_bus_encode(&m, 1 << 20, &frame));
  lk_edge_feed(w->edge, from, lk_buf_slice(&frame), true);
  lk_buf_deinit(&frame);
}

/* The next message to |to|, hellos aside. */
static bool hear(world *w, uint32_t to, lk_bus_message *out) {
  do {
    lk_slice bytes = lk_edge_bus_output(w->edge, to), rest = bytes;
    lk_bus_reader_boundary(&w->heard[to]);
    if (lk_bus_read(&w->heard[to], &rest, out) != LK_OK) return false;
    lk_edge_bus_consume(w->edge, to, bytes.len - rest.len);
  } while (out->kind == LK_BUS_HELLO);
  return true;
}

static lk_bus_message expect(world *w, uint32_t to, lk_bus_kind kind) {
  lk_bus_message m = { .kind = LK_BUS_HELLO };
  CHECK(hear(w, to, &m));
  CHECK_U64(m.kind, kind);
  return m;
}

static void expect_nothing(world *w, uint32_t to) {
  lk_bus_message m;
  CHECK(!hear(w, to, &m));
}

static void begin(world *w) {
  *w = (world){ .env = LK_ENV_INIT(test_alloc(), NULL), .limits = lk_limits_default() };
  for (int i = 0; i < 2; i++) lk_bus_reader_init(&w->heard[i], test_alloc(), 1 << 20);
  CHECK_OK(lk_edge_open(
      &(lk_edge_options){
          .env = &w->env, .limits = &w->limits, .generation = 5, .houses_count = 1, .gate = &gate },
      &w->edge));
  CHECK_OK(lk_edge_connect(w->edge, LK_MESSAGE_V2, NULL, &w->connection));
  for (uint32_t i = 0; i < 2; i++)
    say(w, i, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 9, .answers = 5 });
}

static void end(world *w) {
  lk_edge_close(w->edge);
  for (int i = 0; i < 2; i++) lk_bus_reader_deinit(&w->heard[i]);
}

static void receive(world *w, const char *text) {
  CHECK_OK(lk_edge_receive(w->edge, w->connection, lk_slice_cstr(text), false));
}

static void expect_sent(world *w, const char *text) {
  lk_edge_output out;
  CHECK(lk_edge_poll(w->edge, &out));
  CHECK_U64(out.kind, LK_EDGE_SEND);
  if (lk_slice_find(out.bytes, lk_slice_cstr(text)) == LK_SLICE_NONE)
    CHECK_SLICE(out.bytes, lk_slice_cstr(text));
}

static void answer(world *w, uint64_t request, lk_slice status, lk_slice payload) {
  say(w, KEEPER,
      (lk_bus_message){
          .kind = LK_BUS_REPLY, .request = request, .event = status, .payload = payload });
}

#define JOIN_A "[\"1\",\"1\",\"doc:a\",\"phx_join\",{\"x\":1}]"
#define PUSH_A "[\"1\",\"2\",\"doc:a\",\"client_update\",{}]"
#define JOIN_B "[\"2\",\"3\",\"crdt:b\",\"phx_join\",{}]"

TEST(a_join_behind_a_gate_waits_with_what_follows_it_and_others_do_not) {
  world w;
  begin(&w);
  receive(&w, JOIN_A);
  receive(&w, PUSH_A);
  receive(&w, JOIN_B);
  lk_bus_message asked = expect(&w, KEEPER, LK_BUS_QUERY);
  CHECK_TEXT(asked.topic, "doc:a");
  CHECK_TEXT(asked.event, "join");
  CHECK_TEXT(asked.payload, "{\"x\":1}");
  CHECK_U64(asked.rights, LK_RIGHTS_ADMIN);
  lk_bus_message m = expect(&w, HOUSE, LK_BUS_JOIN);
  CHECK_TEXT(m.topic, "crdt:b");
  uint64_t before = m.request;
  expect_nothing(&w, HOUSE);
  answer(&w, asked.request, LK_LIT("ok"), LK_LIT("read"));
  m = expect(&w, HOUSE, LK_BUS_JOIN);
  CHECK_TEXT(m.topic, "doc:a");
  CHECK(m.request > before);
  CHECK_U64(m.rights, LK_RIGHTS_READ);
  before = m.request;
  m = expect(&w, HOUSE, LK_BUS_MESSAGE);
  CHECK(m.request > before);
  CHECK_U64(m.rights, LK_RIGHTS_READ);
  receive(&w, PUSH_A); /* it is open */
  CHECK(expect(&w, HOUSE, LK_BUS_MESSAGE).request > before + 1);
  end(&w);
}

TEST(a_join_that_the_keeper_refuses_reaches_no_house) {
  world w;
  begin(&w);
  receive(&w, JOIN_A);
  receive(&w, PUSH_A);
  answer(&w, expect(&w, KEEPER, LK_BUS_QUERY).request, LK_LIT("error"),
         LK_LIT("{\"reason\":\"forbidden\"}"));
  expect_sent(&w, "\"status\":\"error\",\"response\":{\"reason\":\"forbidden\"}");
  expect_nothing(&w, HOUSE);
  CHECK(lk_edge_is_idle(w.edge));
  CHECK_U64(lk_edge_get_stats(w.edge).members, 0);
  end(&w);
}

TEST(a_keeper_that_makes_no_sense_refuses) {
  static const lk_slice payloads[] = { LK_LIT_INIT(""), LK_LIT_INIT("all"), LK_LIT_INIT("none") };
  for (size_t i = 0; i < 3; i++) {
    world w;
    begin(&w);
    receive(&w, JOIN_A);
    answer(&w, expect(&w, KEEPER, LK_BUS_QUERY).request, LK_LIT("ok"), payloads[i]);
    expect_nothing(&w, HOUSE);
    CHECK_U64(lk_edge_get_stats(w.edge).members, 0);
    end(&w);
  }
}

TEST(who_left_meanwhile_is_not_let_in) {
  world w;
  begin(&w);
  receive(&w, JOIN_A);
  uint64_t request = expect(&w, KEEPER, LK_BUS_QUERY).request;
  lk_edge_disconnect(w.edge, w.connection);
  answer(&w, request, LK_LIT("ok"), LK_LIT("admin"));
  lk_bus_message m;
  while (hear(&w, HOUSE, &m)) CHECK(m.kind != LK_BUS_JOIN);
  CHECK(lk_edge_is_idle(w.edge));
  end(&w);
}

TEST(a_keeper_that_begins_anew_is_asked_again_and_a_house_is_not_told) {
  world w;
  begin(&w);
  receive(&w, JOIN_A);
  CHECK_OK(lk_edge_query(w.edge, &(lk_question){ .topic = LK_LIT("doc:b"),
                                                 .event = LK_LIT("read"),
                                                 .rights = LK_RIGHTS_WRITE,
                                                 .tag = 77 }));
  (void)expect(&w, KEEPER, LK_BUS_QUERY);
  (void)expect(&w, KEEPER, LK_BUS_QUERY);
  say(&w, HOUSE, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 10, .answers = 5 });
  expect_nothing(&w, HOUSE);
  say(&w, KEEPER, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 10, .answers = 5 });
  uint64_t join = expect(&w, KEEPER, LK_BUS_QUERY).request;
  uint64_t query = expect(&w, KEEPER, LK_BUS_QUERY).request;
  answer(&w, query, LK_LIT("ok"), LK_LIT("admin"));
  answer(&w, join, LK_LIT("ok"), LK_LIT("admin"));
  lk_bus_message m = expect(&w, HOUSE, LK_BUS_QUERY);
  CHECK_U64(m.rights, LK_RIGHTS_WRITE);
  uint64_t before = m.request;
  CHECK(expect(&w, HOUSE, LK_BUS_JOIN).request > before);
  lk_edge_output out;
  say(&w, HOUSE,
      (lk_bus_message){ .kind = LK_BUS_REPLY, .request = before, .event = LK_LIT("ok") });
  CHECK(lk_edge_poll(w.edge, &out));
  CHECK(out.kind == LK_EDGE_ANSWER && out.tag == 77 && out.status == LK_ANSWER_OK);
  end(&w);
}

TEST(a_query_that_the_keeper_refuses_is_answered_with_its_words) {
  world w;
  lk_edge_output out;
  begin(&w);
  CHECK_OK(lk_edge_query(w.edge, &(lk_question){ .topic = LK_LIT("doc:b"),
                                                 .event = LK_LIT("read"),
                                                 .rights = LK_RIGHTS_WRITE,
                                                 .subject = LK_LIT("ann"),
                                                 .tag = 77 }));
  lk_bus_message m = expect(&w, KEEPER, LK_BUS_QUERY);
  CHECK_TEXT(m.event, "http");
  CHECK_TEXT(m.subject, "ann");
  answer(&w, m.request, LK_LIT("error"), LK_LIT("{\"reason\":\"hook_failed\"}"));
  CHECK(lk_edge_poll(w.edge, &out));
  CHECK(out.kind == LK_EDGE_ANSWER && out.tag == 77 && out.status == LK_ANSWER_ERROR);
  CHECK_TEXT(out.bytes, "{\"reason\":\"hook_failed\"}");
  expect_nothing(&w, HOUSE);
  CHECK(lk_edge_is_idle(w.edge));
  end(&w);
}

/* Goal: without memory nobody gets past a gate, and nothing is lost count of. */
TEST(gates_hold_without_memory) {
  FAULT_LOOP(faults, test_alloc()) {
    world w = { .env = LK_ENV_INIT(faulty_alloc(&faults), NULL), .limits = lk_limits_default() };
    for (int i = 0; i < 2; i++) lk_bus_reader_init(&w.heard[i], test_alloc(), 1 << 20);
    lk_edge_options options = {
      .env = &w.env, .limits = &w.limits, .generation = 5, .houses_count = 1, .gate = &gate
    };
    if (lk_edge_open(&options, &w.edge) != LK_OK) continue;
    if (lk_edge_connect(w.edge, LK_MESSAGE_V2, NULL, &w.connection) == LK_OK) {
      lk_bus_message m;
      for (uint32_t i = 0; i < 2; i++)
        say(&w, i, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 9, .answers = 5 });
      (void)!lk_edge_receive(w.edge, w.connection, lk_slice_cstr(JOIN_A), false);
      (void)!lk_edge_receive(w.edge, w.connection, lk_slice_cstr(PUSH_A), false);
      (void)!lk_edge_query(w.edge, &(lk_question){ .topic = LK_LIT("doc:b"), .tag = 77 });
      while (hear(&w, KEEPER, &m)) {
        uint64_t request = m.request;
        if (m.kind == LK_BUS_QUERY) answer(&w, request, LK_LIT("ok"), LK_LIT("write"));
      }
      lk_edge_disconnect(w.edge, w.connection);
    }
    lk_edge_close(w.edge);
    for (int i = 0; i < 2; i++) lk_bus_reader_deinit(&w.heard[i]);
  }
}
