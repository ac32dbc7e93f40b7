/* Hostile long-poll requests: any body on any token gets one answer, now or later, and leaves the session whole or
 * over. */
#include "channel/longpoll.h"

#include "harness/test.h"

static const lk_slice bodies[] = {
  LK_LIT_INIT(
      "[null,\"5\",\"phoenix\",\"heartbeat\",{}]\n[\"1\",\"1\",\"a\",\"phx_join\",{}]\r\n\n"),
  LK_LIT_INIT("AAEBBQMxNGNhcDphYmluAQL/\n[\"1\",\"9\",\"b\",\"e\",[]]\nAAAAAAAA\n"),
  LK_LIT_INIT("{\"topic\":\"phoenix\",\"event\":\"heartbeat\",\"payload\":{},\"ref\":\"7\"}"),
};
static const lk_slice tokens[] = { LK_LIT_INIT("AQEBAQEBAQEBAQEBAQEBAQ"),
                                   LK_LIT_INIT("AQEBAQEBAQEBAQEBAQEBAQ==") };

typedef struct world {
  lk_limits limits;
  lk_env env;
  lk_edge *edge;
  lk_longpoll polls;
  lk_buf json;
  int waiting; /* requests without an answer */
} world;

static void run(world *w) {
  lk_longpoll_answer answer;
  lk_edge_output out;
  do {
    while (lk_edge_poll(w->edge, &out)) {
      CHECK_U64(out.count, 1);
      if (out.kind == LK_EDGE_SEND) lk_longpoll_take(&w->polls, out.connections[0], out.bytes);
      else if (out.kind == LK_EDGE_RESUME) lk_longpoll_resume(&w->polls, out.connections[0]);
      else lk_longpoll_close(&w->polls, out.connections[0]);
    }
    while (lk_longpoll_poll(&w->polls, &answer)) {
      w->waiting--;
      CHECK(answer.body.len > 0 && answer.body.ptr[0] == '{');
    }
  } while (lk_longpoll_is_due(&w->polls));
}

static void ask(world *w, bool is_post, lk_longpoll_request *request) {
  uint64_t session;
  lk_buf_truncate(&w->json, 0);
  lk_err err = is_post ? lk_longpoll_post(&w->polls, request, &w->json, &session)
                       : lk_longpoll_get(&w->polls, request, &w->json, &session);
  CHECK_OK(err);
  CHECK((session == 0) == (w->json.len > 0));
  if (session != 0) w->waiting++;
  run(w);
}

static void open(lk_gen *g, world *w) {
  *w = (world){ .limits = lk_limits_default(), .env = LK_ENV_INIT(test_alloc(), NULL) };
  w->limits.longpoll_lines_count = 1 + gen_below(g, 5);
  w->limits.longpoll_output_bytes = 1 + gen_below(g, 300);
  w->limits.longpoll_messages_count = 1 + gen_below(g, 3);
  w->limits.edge_unanswered_bytes = 1 + gen_below(g, 200);
  w->limits.ws_message_bytes = 1 + gen_below(g, 200);
  lk_buf_init(&w->json, test_alloc(), 1000);
  CHECK_OK(lk_edge_open(
      &(lk_edge_options){
          .env = &w->env, .limits = &w->limits, .generation = 1, .houses_count = 1 },
      &w->edge));
  lk_longpoll_init(&w->polls, &(lk_longpoll_options){ .alloc = test_alloc(),
                                                      .limits = &w->limits,
                                                      .edge = w->edge,
                                                      .window_ms = 10 });
}

FUZZ(lk_longpoll_post) {
  uint8_t scratch[300], random[LK_LONGPOLL_RANDOM_LEN];
  static int name;
  world w;
  open(g, &w);
  lk_longpoll_request request = { .waiter = &name, .random = random, .is_batch = gen_bool(g) };
  request.form = gen_bool(g) ? LK_MESSAGE_V1 : LK_MESSAGE_V2_TEXT;
  memset(random, 1, sizeof random);
  ask(&w, false, &request);
  request.token = tokens[0];
  if (gen_bool(g)) ask(&w, false, &request);
  request.body = gen_hostile(g, bodies, 3, scratch, sizeof scratch);
  ask(&w, true, &request);
  CHECK(lk_longpoll_count(&w.polls) <= 1);
  if (gen_bool(g)) lk_longpoll_tick(&w.polls, 10 + gen_below(g, 10));
  else lk_longpoll_end_some(&w.polls, UINT32_MAX);
  run(&w);
  CHECK_U64((uint64_t)w.waiting, 0);
  lk_longpoll_deinit(&w.polls);
  lk_edge_close(w.edge);
  lk_buf_deinit(&w.json);
}

/* A token is the only text of its session, or no token at all. */
FUZZ(lk_longpoll_get) {
  uint8_t scratch[100], random[LK_LONGPOLL_RANDOM_LEN];
  static int name;
  world w;
  open(g, &w);
  lk_longpoll_request request = { .waiter = &name, .random = random, .form = LK_MESSAGE_V1 };
  memset(random, 1, sizeof random);
  ask(&w, false, &request);
  memset(random, 2, sizeof random);
  request.token = gen_hostile(g, tokens, 2, scratch, sizeof scratch);
  ask(&w, false, &request);
  bool is_known = lk_slice_equal(request.token, tokens[0]);
  CHECK_U64(lk_longpoll_count(&w.polls), is_known ? 1 : 2);
  CHECK((w.waiting == 1) == is_known);
  lk_longpoll_deinit(&w.polls);
  lk_edge_close(w.edge);
  lk_buf_deinit(&w.json);
}
