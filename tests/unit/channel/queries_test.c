/* What an edge asks of houses for nobody who is in a room; the house is played by the test. */
#include "channel/edge.h"

#include "harness/faulty.h"
#include "harness/test.h"

typedef struct world {
  lk_env env;
  lk_limits limits;
  lk_edge *edge;
  lk_bus_reader heard; /* of what the edge says to house 1 */
} world;

static const lk_alias aliases[] = { { LK_LIT_INIT("other:"), LK_LIT_INIT("doc:"), true } };

static lk_err open_edge(world *w, const lk_alloc *alloc) {
  *w = (world){ .env = LK_ENV_INIT(alloc, NULL), .limits = lk_limits_default() };
  lk_bus_reader_init(&w->heard, test_alloc(), 1 << 20);
  return lk_edge_open(&(lk_edge_options){ .env = &w->env,
                                          .limits = &w->limits,
                                          .generation = 5,
                                          .houses_count = 2,
                                          .aliases = { aliases, 1 } },
                      &w->edge);
}

static void close_edge(world *w) {
  lk_edge_close(w->edge);
  lk_bus_reader_deinit(&w->heard);
}

static void say(world *w, uint32_t house, lk_bus_message m) {
  lk_buf frame;
  lk_buf_init(&frame, test_alloc(), 1 << 20);
  CHECK_OK(lk_bus_encode(&m, 1 << 20, &frame));
  lk_edge_feed(w->edge, house, lk_buf_slice(&frame), true);
  lk_buf_deinit(&frame);
}

static bool hear(world *w, uint32_t house, lk_bus_message *out) {
  lk_slice bytes = lk_edge_bus_output(w->edge, house), rest = bytes;
  lk_bus_reader_boundary(&w->heard);
  if (lk_bus_read(&w->heard, &rest, out) != LK_OK) return false;
  lk_edge_bus_consume(w->edge, house, bytes.len - rest.len);
  return true;
}

static void hear_hello(world *w, uint32_t house) {
  lk_bus_message m;
  while (lk_edge_bus_output(w->edge, house).len > 0 && hear(w, house, &m))
    if (m.kind == LK_BUS_HELLO && m.answers != 0) return;
}

static const lk_question question = { .topic = LK_LIT_INIT("doc:a"),
                                      .event = LK_LIT_INIT("get"),
                                      .payload = LK_LIT_INIT("{\"as\":\"html\"}"),
                                      .rights = LK_RIGHTS_READ,
                                      .subject = LK_LIT_INIT("ann"),
                                      .tag = 77 };

TEST(a_query_goes_to_the_house_of_its_topic_and_is_answered_with_its_tag) {
  world w;
  lk_bus_message m;
  lk_edge_output out;
  CHECK_OK(open_edge(&w, test_alloc()));
  uint32_t house = lk_edge_house_of(w.edge, LK_LIT("doc:a"));
  say(&w, house, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 9 });
  hear_hello(&w, house);
  lk_question asked = question;
  asked.topic = LK_LIT("other:a"); /* an alias of it */
  CHECK_OK(lk_edge_query(w.edge, &asked));
  CHECK(hear(&w, house, &m));
  CHECK_U64(m.kind, LK_BUS_QUERY);
  CHECK_TEXT(m.topic, "doc:a");
  CHECK_TEXT(m.event, "get");
  CHECK_TEXT(m.payload, "{\"as\":\"html\"}");
  CHECK_TEXT(m.subject, "ann");
  CHECK_U64(m.rights, LK_RIGHTS_READ);
  CHECK_U64(m.settled, m.request);
  CHECK(!m.again && !lk_edge_is_idle(w.edge) && !lk_edge_poll(w.edge, &out));
  for (int i = 0; i < 2; i++) /* the second one answers nothing */
    say(&w, house,
        (lk_bus_message){ .kind = LK_BUS_REPLY,
                          .request = m.request,
                          .event = LK_LIT("ok"),
                          .payload = LK_LIT("<p>"),
                          .binary = true });
  CHECK(lk_edge_is_idle(w.edge) && lk_edge_poll(w.edge, &out));
  CHECK(out.kind == LK_EDGE_ANSWER && out.status == LK_ANSWER_OK && out.is_binary);
  CHECK_U64(out.tag, 77);
  CHECK_TEXT(out.bytes, "<p>");
  CHECK(!lk_edge_poll(w.edge, &out));
  close_edge(&w);
}

TEST(each_outcome_of_a_query_has_its_status) {
  static const struct {
    lk_bus_kind kind;
    lk_answer_status status;
  } rows[] = { { LK_BUS_REPLY, LK_ANSWER_ERROR },
               { LK_BUS_UNMATCHED, LK_ANSWER_UNMATCHED },
               { LK_BUS_LATE, LK_ANSWER_LATE } };
  world w;
  lk_edge_output out;
  CHECK_OK(open_edge(&w, test_alloc()));
  for (uint64_t i = 0; i < 3; i++) {
    lk_question asked = question;
    asked.topic = LK_SLICE_EMPTY; /* of the house itself */
    asked.house = 1;
    asked.tag = i;
    CHECK_OK(lk_edge_query(w.edge, &asked));
    say(&w, 1,
        (lk_bus_message){ .kind = rows[i].kind, .request = i + 1, .event = LK_LIT("error") });
    CHECK(lk_edge_poll_one(w.edge, &out));
    CHECK(out.kind == LK_EDGE_ANSWER && out.status == rows[i].status && out.tag == i);
  }
  lk_question wrong = question;
  wrong.house = 2;
  CHECK_ERR(lk_edge_query(w.edge, &wrong), LK_ERR_TOO_BIG);
  close_edge(&w);
}

/* Goal: what a house did not answer is asked again of the next one, and nothing that waits counts as settled. */
TEST(queries_without_an_answer_are_sent_again_when_a_house_begins) {
  world w;
  lk_bus_message m;
  CHECK_OK(open_edge(&w, test_alloc()));
  uint32_t house = lk_edge_house_of(w.edge, question.topic);
  CHECK_OK(lk_edge_query(w.edge, &question)); /* before there is one */
  for (uint64_t generation = 9; generation < 12; generation++) {
    say(&w, house, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = generation });
    hear_hello(&w, house);
    CHECK(hear(&w, house, &m));
    CHECK(m.kind == LK_BUS_QUERY && m.request == 1 && m.again && m.settled == 1);
  }
  CHECK_OK(lk_edge_query(w.edge, &question));
  CHECK(hear(&w, house, &m));
  CHECK(m.request == 2 && !m.again && m.settled == 1);
  CHECK_U64(lk_edge_get_stats(w.edge).unanswered, 2);
  close_edge(&w); /* and forgets them */
}

TEST(a_query_survives_every_failed_allocation) {
  FAULT_LOOP(faults, test_alloc()) {
    world w;
    lk_edge_output out;
    if (open_edge(&w, faulty_alloc(&faults)) != LK_OK) {
      lk_bus_reader_deinit(&w.heard);
      continue;
    }
    uint32_t house = lk_edge_house_of(w.edge, question.topic);
    say(&w, house, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 9 });
    lk_err err = lk_edge_query(w.edge, &question);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    say(&w, house,
        (lk_bus_message){
            .kind = LK_BUS_REPLY, .request = 1, .event = LK_LIT("ok"), .payload = LK_LIT("{}") });
    if (err == LK_OK && lk_edge_is_idle(w.edge)) {
      CHECK(lk_edge_poll(w.edge, &out) && out.tag == 77);
      CHECK_U64(out.bytes.len, out.status == LK_ANSWER_OK ? 2 : 0);
      CHECK(out.status == LK_ANSWER_OK || out.status == LK_ANSWER_LATE);
    }
    close_edge(&w);
  }
}
