/* Calls that wait: for one house or all of them, too long, or for nobody any more. The houses are played by the test. */
#include "server/api_desk.h"

#include "harness/faulty.h"
#include "harness/test.h"

#define HOUSES 3

typedef struct world {
  lk_env env;
  lk_limits limits;
  lk_edge *edge;
  lk_api_desk desk;
  lk_bus_reader heard[HOUSES];
  lk_buf out;
  int asker; /* its address is somebody */
} world;

static lk_err open_world(world *w, const lk_alloc *alloc) {
  *w = (world){ .env = LK_ENV_INIT(alloc, NULL), .limits = lk_limits_default() };
  for (int i = 0; i < HOUSES; i++) lk_bus_reader_init(&w->heard[i], test_alloc(), 1 << 20);
  lk_buf_init(&w->out, alloc, 65536);
  const lk_edge_options options = {
    .env = &w->env, .limits = &w->limits, .generation = 5, .houses_count = HOUSES
  };
  lk_err err = lk_edge_open(&options, &w->edge);
  lk_api_desk_init(&w->desk, alloc, &w->limits, w->edge, HOUSES);
  return err;
}

static void close_world(world *w) {
  lk_api_desk_deinit(&w->desk);
  if (w->edge != NULL) lk_edge_close(w->edge);
  for (int i = 0; i < HOUSES; i++) lk_bus_reader_deinit(&w->heard[i]);
  lk_buf_deinit(&w->out);
}

static lk_err ask(world *w, const char *text, uint64_t now_ms, const lk_alloc *alloc,
                  lk_api_pending **out) {
  static const lk_http1_options http_options = { 0 };
  const lk_api_options options = { .alloc = alloc, .limits = &w->limits, .is_open = true };
  lk_slice in = lk_slice_cstr(text);
  lk_http1 http;
  lk_http1_request request;
  lk_http1_init(&http, test_alloc(), &w->limits, &http_options, 0);
  CHECK_OK(lk_http1_feed(&http, 0, &in));
  CHECK(lk_http1_poll(&http, &request));
  lk_err err = lk_api_desk_take(&w->desk, &options, &request, LK_OK, NULL, &w->asker, now_ms, 0,
                                &w->out, out);
  lk_http1_deinit(&http);
  return err;
}

static void say(world *w, uint32_t house, lk_bus_message m) {
  lk_buf frame;
  lk_buf_init(&frame, test_alloc(), 1 << 20);
  CHECK_OK(lk_bus_encode(&m, 1 << 20, &frame));
  lk_edge_feed(w->edge, house, lk_buf_slice(&frame), true);
  lk_buf_deinit(&frame);
}

/* |house| answers all that it was asked with |payload|; gives the call that was finished by that. */
static lk_api_pending *answer(world *w, uint32_t house, const char *payload) {
  lk_api_pending *done = NULL;
  lk_bus_message m;
  lk_edge_output output;
  lk_slice bytes = lk_edge_bus_output(w->edge, house), rest = bytes;
  lk_bus_reader_boundary(&w->heard[house]);
  uint64_t requests[8];
  uint32_t count = 0;
  while (lk_bus_read(&w->heard[house], &rest, &m) == LK_OK) {
    if (m.kind == LK_BUS_QUERY && count < 8) requests[count++] = m.request;
  }
  lk_edge_bus_consume(w->edge, house, bytes.len);
  for (uint32_t i = 0; i < count; i++) {
    say(w, house,
        (lk_bus_message){ .kind = LK_BUS_REPLY,
                          .request = requests[i],
                          .event = LK_LIT("ok"),
                          .payload = lk_slice_cstr(payload) });
    while (lk_edge_poll(w->edge, &output)) {
      CHECK_U64(output.kind, LK_EDGE_ANSWER);
      lk_api_pending *p = lk_api_desk_hear(&w->desk, &output);
      if (p == NULL) continue;
      bool keep_alive = true;
      done = p;
      (void)!lk_api_desk_finish(&w->desk, p, 0, &keep_alive, &w->out);
    }
  }
  return done;
}

static void greet(world *w) {
  for (uint32_t i = 0; i < HOUSES; i++) {
    say(w, i, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 9 });
    lk_slice bytes = lk_edge_bus_output(w->edge, i);
    lk_edge_bus_consume(w->edge, i, bytes.len);
  }
}

static bool says(const world *w, const char *text) {
  return lk_slice_find(lk_buf_slice(&w->out), lk_slice_cstr(text)) != LK_SLICE_NONE;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

TEST(a_call_is_answered_when_its_room_has_answered) {
  world w;
  lk_api_pending *p;
  CHECK_OK(open_world(&w, test_alloc()));
  greet(&w);
  CHECK_OK(ask(&w, GET("/api/topics/doc:a"), 5, test_alloc(), &p));
  CHECK(p != NULL && w.out.len == 0);
  CHECK_U64(lk_api_desk_deadline(&w.desk), 5 + LK_API_DESK_WAIT_MS);
  CHECK(answer(&w, lk_edge_house_of(w.edge, LK_LIT("doc:a")), "{\"a\":1}") == p);
  CHECK(says(&w, "HTTP/1.1 200 OK\r\n") && says(&w, "\r\n\r\n{\"a\":1}"));
  CHECK_U64(w.desk.all.count, 0);
  CHECK_U64(w.desk.asked[LK_API_DOC], 1);
  CHECK_U64(lk_api_desk_deadline(&w.desk), UINT64_MAX);
  close_world(&w);
}

TEST(a_refused_call_asks_nobody) {
  world w;
  lk_api_pending *p;
  CHECK_OK(open_world(&w, test_alloc()));
  CHECK_OK(ask(&w, GET("/api/topics/nix:a"), 0, test_alloc(), &p));
  CHECK(p == NULL && says(&w, "HTTP/1.1 404"));
  CHECK(w.desk.all.count == 0 && w.desk.refused == 1 && lk_edge_is_idle(w.edge));
  close_world(&w);
}

TEST(a_list_waits_for_every_house) {
  static const char *const texts[HOUSES] = { "{\"topics\":[{\"topic\":\"b\"}],\"more\":false}",
                                             "{\"topics\":[{\"topic\":\"a\"}],\"more\":false}",
                                             "{\"topics\":[],\"more\":false}" };
  world w;
  lk_api_pending *p;
  CHECK_OK(open_world(&w, test_alloc()));
  greet(&w);
  CHECK_OK(ask(&w, GET("/api/topics"), 0, test_alloc(), &p));
  for (uint32_t i = 0; i < HOUSES; i++) CHECK((answer(&w, i, texts[i]) == p) == (i == HOUSES - 1));
  CHECK(says(&w, "\r\n\r\n{\"topics\":[{\"topic\":\"a\"},{\"topic\":\"b\"}],\"more\":false,"
                 "\"complete\":false}"));
  close_world(&w);
}

/* Goal: who waited too long, or has gone, costs nothing when the answer comes at last. */
TEST(answers_that_nobody_waits_for_go_to_nobody) {
  world w;
  lk_api_pending *late, *gone;
  bool keep_alive = true;
  CHECK_OK(open_world(&w, test_alloc()));
  greet(&w);
  uint32_t house = lk_edge_house_of(w.edge, LK_LIT("doc:a"));
  CHECK_OK(ask(&w, GET("/api/topics/doc:a"), 5, test_alloc(), &late));
  CHECK_OK(ask(&w, GET("/api/topics/doc:a"), 6, test_alloc(), &gone));
  lk_api_desk_leave(&w.desk, gone);
  CHECK(lk_api_desk_late(&w.desk, 4 + LK_API_DESK_WAIT_MS) == NULL);
  CHECK(lk_api_desk_late(&w.desk, 5 + LK_API_DESK_WAIT_MS) == late);
  CHECK_OK(lk_api_desk_finish(&w.desk, late, 0, &keep_alive, &w.out));
  CHECK(says(&w, "HTTP/1.1 504 ") && keep_alive);
  CHECK(lk_api_desk_late(&w.desk, UINT64_MAX - 1) == NULL);
  CHECK_U64(w.desk.all.count, 2);
  lk_buf_truncate(&w.out, 0);
  CHECK(answer(&w, house, "{}") == NULL);
  CHECK(w.out.len == 0 && w.desk.all.count == 0);
  close_world(&w);
}

TEST(a_desk_that_closes_lets_go_of_all_calls) {
  world w;
  lk_api_pending *p;
  CHECK_OK(open_world(&w, test_alloc()));
  greet(&w);
  CHECK_OK(ask(&w, GET("/api/topics"), 0, test_alloc(), &p));
  CHECK(answer(&w, 0, "{\"topics\":[],\"more\":false}") == NULL);
  CHECK_OK(ask(&w, GET("/api/topics/doc:a"), 0, test_alloc(), &p));
  close_world(&w);
}

/* Goal: without memory a call is refused, or answered as if its room had gone, and nothing is left of it. */
TEST(calls_without_memory_are_refused) {
  static const char *const lines[] = { GET("/api/topics"), GET("/api/topics/doc:a"),
                                       GET("/render/crdt:a") };
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
    FAULT_LOOP(faults, test_alloc()) {
      world w;
      lk_api_pending *p = NULL;
      CHECK_OK(open_world(&w, test_alloc()));
      greet(&w);
      w.desk.alloc = w.env.alloc = faulty_alloc(&faults);
      lk_buf_deinit(&w.out);
      lk_buf_init(&w.out, faulty_alloc(&faults), 65536);
      lk_err err = ask(&w, lines[i], 0, faulty_alloc(&faults), &p);
      CHECK(err == LK_OK || err == LK_ERR_NOMEM);
      for (uint32_t house = 0; house < HOUSES; house++) (void)answer(&w, house, "{\"html\":\"\"}");
      CHECK_U64(w.desk.all.count, 0);
      close_world(&w);
    }
  }
}
