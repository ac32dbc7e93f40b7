/* Two edges whose polls land on the wrong one: the test carries their bytes, and kills one of them. */
#include "channel/relay.h"

#include "harness/faulty.h"
#include "harness/test.h"

#define WINDOW 1000
#define PATIENCE 3000

typedef struct node {
  lk_env env;
  lk_edge *edge;
  lk_longpoll polls;
  lk_relay relay;
} node;

typedef struct world {
  lk_limits limits;
  node nodes[2];
  uint64_t now;
  lk_buf json;
  char token[LK_LONGPOLL_TOKEN_LEN + 1];
} world;

typedef struct client {
  lk_poller poller;
  uint64_t number;
  lk_buf told;
  bool has_messages;
  bool is_gone;
} client;

static lk_err node_open(world *w, uint32_t index, uint64_t generation, const lk_alloc *alloc) {
  node *n = &w->nodes[index];
  *n = (node){ .env = LK_ENV_INIT(alloc, NULL) };
  lk_err err = lk_edge_open(
      &(lk_edge_options){
          .env = &n->env, .limits = &w->limits, .generation = generation, .houses_count = 1 },
      &n->edge);
  if (err != LK_OK) return err;
  lk_longpoll_init(
      &n->polls, &(lk_longpoll_options){
                     .alloc = alloc, .limits = &w->limits, .edge = n->edge, .window_ms = WINDOW });
  err = lk_relay_open(&n->relay, &(lk_relay_options){ .alloc = alloc,
                                                      .limits = &w->limits,
                                                      .longpoll = &n->polls,
                                                      .generation = generation,
                                                      .edges_count = 2,
                                                      .index = index,
                                                      .patience_ms = PATIENCE });
  lk_relay_tick(&n->relay, w->now);
  return err;
}

static void node_close(node *n) {
  lk_relay_close(&n->relay);
  lk_relay_close(&n->relay); /* twice */
  lk_longpoll_deinit(&n->polls);
  if (n->edge != NULL) lk_edge_close(n->edge);
  *n = (node){ 0 };
}

static lk_err world_open(world *w, const lk_alloc *alloc) {
  *w = (world){ .limits = lk_limits_default(), .now = 10 };
  lk_buf_init(&w->json, test_alloc(), 1 << 20);
  lk_err err = node_open(w, 0, 401, alloc);
  return err == LK_OK ? node_open(w, 1, 801, alloc) : err;
}

static void world_close(world *w) {
  node_close(&w->nodes[0]);
  node_close(&w->nodes[1]);
  lk_buf_deinit(&w->json);
}

static void client_deinit(client *c) { lk_buf_deinit(&c->told); }

static void tell(lk_poller *waiter, lk_slice body, bool has_messages, bool is_gone) {
  client *c = LK_CONTAINER(waiter, client, poller);
  CHECK_U64(c->told.len, 0); /* nobody is answered twice */
  CHECK(!c->is_gone);
  if (c->told.alloc == NULL) lk_buf_init(&c->told, test_alloc(), 1 << 20);
  CHECK_OK(lk_buf_append(&c->told, body));
  c->has_messages = has_messages;
  c->is_gone = is_gone;
}

static bool run_node(world *w, uint32_t index) {
  node *n = &w->nodes[index];
  lk_longpoll_answer answer;
  lk_relay_answer relayed;
  lk_edge_output out;
  bool any = false;
  while (lk_relay_poll(&n->relay, &relayed))
    tell(relayed.waiter, relayed.body, relayed.has_messages, relayed.is_gone);
  do {
    while (lk_edge_poll(n->edge, &out)) {
      if (out.kind == LK_EDGE_SEND) lk_longpoll_take(&n->polls, out.connections[0], out.bytes);
    }
    while (lk_longpoll_poll(&n->polls, &answer)) {
      lk_poller *waiter = answer.waiter;
      any = true;
      if (waiter->is_relayed) lk_relay_take(&n->relay, &answer);
      else tell(waiter, answer.body, answer.has_messages, false);
    }
  } while (lk_longpoll_is_due(&n->polls));
  return any;
}

/* Carries what one says to the other, in pieces of |size| bytes. */
static bool carry(world *w, uint32_t from, size_t size) {
  node *a = &w->nodes[from], *b = &w->nodes[1 - from];
  lk_relay_answer relayed;
  lk_slice out = lk_relay_output(&a->relay, 1 - from);
  if (out.len == 0) return false;
  while (out.len > 0) {
    size_t left = 4 + lk_load_le32(out.ptr);
    for (bool is_first = true; left > 0;) {
      lk_slice piece = lk_slice_first(out, lk_min_size(size, left));
      size_t n = piece.len;
      for (; lk_relay_feed(&b->relay, from, &piece, is_first, &relayed); is_first = false)
        tell(relayed.waiter, relayed.body, relayed.has_messages, relayed.is_gone);
      is_first = false;
      lk_relay_consume(&a->relay, 1 - from, n);
      left -= n;
      out = lk_relay_output(&a->relay, 1 - from);
    }
  }
  return true;
}

static void run(world *w) {
  bool any = true;
  while (any) {
    any = run_node(w, 0);
    any |= run_node(w, 1);
    any |= carry(w, 0, 5);
    any |= carry(w, 1, 4096);
  }
}

/* A session in edge |index|; its token is w->token. */
static lk_err begin(world *w, uint32_t index) {
  uint8_t random[LK_LONGPOLL_RANDOM_LEN];
  lk_poller nobody = { 0 };
  uint64_t session;
  memset(random, 0xa7, sizeof random);
  lk_relay_mark(&w->nodes[index].relay, random);
  lk_buf_truncate(&w->json, 0);
  lk_err err = lk_longpoll_get(
      &w->nodes[index].polls,
      &(lk_longpoll_request){
          .now_ms = w->now, .waiter = &nobody, .form = LK_MESSAGE_V2_TEXT, .random = random },
      &w->json, &session);
  if (err != LK_OK) return err;
  lk_slice all = lk_buf_slice(&w->json);
  if (all.len < LK_LONGPOLL_TOKEN_LEN + 2) return LK_ERR_NOMEM;
  memcpy(w->token, all.ptr + all.len - 2 - LK_LONGPOLL_TOKEN_LEN, LK_LONGPOLL_TOKEN_LEN);
  return LK_OK;
}

/* Two edges and that session. */
static void open_begun(world *w, uint32_t index) {
  CHECK_OK(world_open(w, test_alloc()));
  CHECK_OK(begin(w, index));
}

/* The same of edges that know of each other already. */
static void open_greeted(world *w, uint32_t index) {
  CHECK_OK(world_open(w, test_alloc()));
  run(w);
  CHECK_OK(begin(w, index));
}

static lk_err ask(world *w, uint32_t at, client *c, const char *body) {
  c->poller.is_relayed = true;
  return lk_relay_ask(&w->nodes[at].relay, 1 - at,
                      &(lk_longpoll_request){ .now_ms = w->now,
                                              .token = lk_slice_cstr(w->token),
                                              .waiter = &c->poller,
                                              .form = LK_MESSAGE_V2_TEXT,
                                              .body = lk_slice_cstr(body != NULL ? body : ""),
                                              .is_batch = true },
                      body != NULL, &c->number);
}

static bool was_told(const client *c, const char *text) {
  return lk_slice_find(lk_buf_slice(&c->told), lk_slice_cstr(text)) != LK_SLICE_NONE;
}

#define HEARTBEAT "[null,\"5\",\"phoenix\",\"heartbeat\",{}]\n"

TEST(a_token_names_the_edge_that_made_it_and_any_other_text_ours) {
  world w;
  CHECK_OK(world_open(&w, test_alloc()));
  for (uint32_t index = 0; index < 2; index++) {
    CHECK_OK(begin(&w, index));
    CHECK_U64(lk_relay_edge_of(&w.nodes[0].relay, lk_slice_cstr(w.token)), index);
    CHECK_U64(lk_relay_edge_of(&w.nodes[1].relay, lk_slice_cstr(w.token)), index);
  }
  CHECK_U64(lk_relay_edge_of(&w.nodes[1].relay, LK_LIT("")), 1);
  CHECK_U64(lk_relay_edge_of(&w.nodes[0].relay, LK_LIT("!!!!!!!!!!!!!!!!!!!!!!")), 0);
  w.token[21] = 0;
  CHECK_U64(lk_relay_edge_of(&w.nodes[0].relay, lk_slice_cstr(w.token)), 0);
  world_close(&w);
}

TEST(tokens_stay_random_but_for_the_edges_index) {
  lk_relay relay = { .options = { .edges_count = 32, .index = 31 } };
  uint8_t random[LK_LONGPOLL_RANDOM_LEN] = { 0 };
  bool seen[256] = { 0 };
  int different = 0;
  for (int i = 0; i < 256; i++) {
    random[15] = (uint8_t)i;
    lk_relay_mark(&relay, random);
    CHECK_U64(random[15] % 32, 31);
    if (!seen[random[15]]) different++;
    seen[random[15]] = true;
  }
  CHECK_U64(different, 8);
  relay.options = (lk_relay_options){ .edges_count = 64, .index = 63 };
  random[15] = 255;
  lk_relay_mark(&relay, random);
  CHECK_U64(random[15] % 64, 63);
}

TEST(a_poll_that_lands_on_another_edge_is_answered_by_the_one_with_the_session) {
  world w;
  client get = { 0 }, post = { 0 };
  open_begun(&w, 1);
  CHECK_OK(ask(&w, 0, &get, NULL));
  run(&w);
  CHECK_U64(get.told.len, 0);
  CHECK_OK(ask(&w, 0, &post, HEARTBEAT));
  run(&w);
  CHECK(was_told(&post, "{\"status\":200}") && !post.has_messages);
  CHECK(was_told(&get, "phx_reply") && was_told(&get, "\"status\":200") && get.has_messages);
  lk_relay_written(&w.nodes[0].relay, get.number);
  run(&w);
  CHECK_U64(lk_relay_asked_count(&w.nodes[0].relay), 0);
  client again = { 0 };
  CHECK_OK(ask(&w, 0, &again, NULL));
  run(&w);
  CHECK_U64(again.told.len, 0); /* they were written, and do not come twice */
  w.now += WINDOW;
  lk_longpoll_tick(&w.nodes[1].polls, w.now);
  run(&w);
  CHECK(was_told(&again, "\"status\":204"));
  client_deinit(&get);
  client_deinit(&post);
  client_deinit(&again);
  world_close(&w);
}

TEST(messages_whose_client_went_before_they_were_written_come_again) {
  world w;
  client get = { 0 }, post = { 0 }, again = { 0 };
  open_begun(&w, 0);
  CHECK_OK(ask(&w, 1, &get, NULL));
  CHECK_OK(ask(&w, 1, &post, HEARTBEAT));
  run(&w);
  CHECK(get.has_messages);
  lk_relay_lost(&w.nodes[1].relay, get.number);
  run(&w);
  CHECK_OK(ask(&w, 1, &again, NULL));
  run(&w);
  CHECK(was_told(&again, "phx_reply"));
  client_deinit(&get);
  client_deinit(&post);
  client_deinit(&again);
  world_close(&w);
}

TEST(a_client_that_goes_while_it_waits_is_not_answered) {
  world w;
  client get = { 0 }, post = { 0 };
  open_begun(&w, 0);
  CHECK_OK(ask(&w, 1, &get, NULL));
  run(&w);
  lk_relay_lost(&w.nodes[1].relay, get.number);
  CHECK_OK(ask(&w, 1, &post, HEARTBEAT));
  run(&w);
  CHECK_U64(get.told.len, 0);
  CHECK(was_told(&post, "\"status\":200"));
  client_deinit(&post);
  world_close(&w);
}

TEST(a_token_that_names_no_session_of_its_edge_is_gone) {
  world w;
  client get = { 0 }, post = { 0 };
  open_begun(&w, 1);
  w.token[0] = w.token[0] == 'A' ? 'B' : 'A';
  CHECK_OK(ask(&w, 0, &get, NULL));
  CHECK_OK(ask(&w, 0, &post, HEARTBEAT));
  run(&w);
  CHECK(get.is_gone && post.is_gone);
  CHECK_U64(lk_longpoll_count(&w.nodes[1].polls), 1); /* strangers begin no sessions there */
  client_deinit(&get);
  client_deinit(&post);
  world_close(&w);
}

TEST(who_waits_for_an_edge_that_dies_is_told_so_by_its_successor) {
  world w;
  client get = { 0 }, late = { 0 };
  open_greeted(&w, 1);
  CHECK_OK(ask(&w, 0, &get, NULL));
  run(&w);
  CHECK_OK(ask(&w, 0, &late, HEARTBEAT)); /* which the dead one does not read */
  node_close(&w.nodes[1]);
  CHECK_OK(node_open(&w, 1, 999, test_alloc()));
  run(&w);
  CHECK(get.is_gone && late.is_gone);
  CHECK_U64(lk_relay_asked_count(&w.nodes[0].relay), 0);
  client_deinit(&get);
  client_deinit(&late);
  world_close(&w);
}

TEST(what_an_edge_that_dies_had_asked_is_lost_and_its_messages_come_again) {
  world w;
  client get = { 0 }, post = { 0 }, again = { 0 };
  open_greeted(&w, 0);
  CHECK_OK(ask(&w, 1, &get, NULL));
  CHECK_OK(ask(&w, 1, &post, HEARTBEAT));
  run(&w);
  CHECK(get.has_messages); /* and nobody says what became of them */
  node_close(&w.nodes[1]);
  CHECK_OK(node_open(&w, 1, 999, test_alloc()));
  run(&w);
  CHECK_OK(ask(&w, 1, &again, NULL));
  run(&w);
  CHECK(was_told(&again, "phx_reply"));
  client_deinit(&get);
  client_deinit(&post);
  client_deinit(&again);
  world_close(&w);
}

TEST(an_edge_that_does_not_answer_is_not_waited_for_beyond_patience) {
  world w;
  client get = { 0 };
  open_greeted(&w, 1);
  CHECK_OK(ask(&w, 0, &get, NULL));
  CHECK_U64(lk_relay_deadline(&w.nodes[0].relay), w.now + PATIENCE);
  lk_relay_tick(&w.nodes[0].relay, w.now + PATIENCE - 1);
  run_node(&w, 0);
  CHECK(!get.is_gone);
  lk_relay_tick(&w.nodes[0].relay, w.now + PATIENCE);
  run_node(&w, 0);
  CHECK(get.is_gone);
  CHECK_U64(lk_relay_deadline(&w.nodes[0].relay), UINT64_MAX);
  client_deinit(&get);
  world_close(&w);
}

TEST(when_the_server_stops_all_that_was_asked_is_gone) {
  world w;
  client get = { 0 };
  open_begun(&w, 1);
  CHECK_OK(ask(&w, 0, &get, NULL));
  lk_relay_end_all(&w.nodes[0].relay);
  run_node(&w, 0);
  CHECK(get.is_gone);
  client_deinit(&get);
  world_close(&w);
}

TEST(a_full_way_to_another_edge_refuses_polls_and_leaves_the_rest) {
  world w;
  client get = { 0 }, more = { 0 };
  open_greeted(&w, 1);
  w.limits.bus_frame_bytes = 64;
  CHECK_ERR(ask(&w, 0, &more, HEARTBEAT HEARTBEAT HEARTBEAT), LK_ERR_TOO_BIG);
  CHECK_U64(lk_relay_asked_count(&w.nodes[0].relay), 0);
  CHECK_OK(ask(&w, 0, &get, NULL));
  run(&w);
  client_deinit(&get);
  world_close(&w);
}

TEST(relays_survive_any_allocation_that_fails) {
  FAULT_LOOP(faults, test_alloc()) {
    world w;
    client get = { 0 }, post = { 0 };
    lk_err err = world_open(&w, faulty_alloc(&faults));
    if (err == LK_OK) err = begin(&w, 1);
    if (err == LK_OK) err = ask(&w, 0, &get, NULL);
    if (err == LK_OK) run(&w);
    if (err == LK_OK && ask(&w, 0, &post, HEARTBEAT) == LK_OK) {
      run(&w);
      CHECK(was_told(&post, "\"status\":") || post.is_gone || w.nodes[0].relay.waiting.count > 0);
    }
    client_deinit(&get);
    client_deinit(&post);
    world_close(&w);
  }
}
