/* Long-poll sessions over a real edge, with a house that the test plays: what Phoenix answered when it was captured,
 * and what must not be lost, kept or leaked. */
#include "channel/longpoll.h"

#include "channel/bus.h"
#include "harness/test.h"

#include <stdio.h>

#define WINDOW 1000

typedef struct world {
  lk_env env;
  lk_limits limits;
  lk_edge *edge;
  lk_longpoll polls;
  lk_bus_reader reader;
  lk_buf json; /* the last answer */
  uint64_t now;
  uint64_t session; /* of the last request; 0: it was answered */
  uint8_t random;
  bool house_is_busy; /* it answers nothing */
  char token[LK_LONGPOLL_TOKEN_LEN + 1];
} world;

/* Waiters are places in here: what they were told. */
typedef struct waiter {
  lk_buf told;
  bool has_messages;
} waiter;

static void open_polls(world *w, const lk_alloc *alloc) {
  lk_longpoll_init(&w->polls, &(lk_longpoll_options){ .alloc = alloc,
                                                      .limits = &w->limits,
                                                      .edge = w->edge,
                                                      .hash_seed = { 3, 4 },
                                                      .window_ms = WINDOW });
}

static lk_err world_open(world *w, const lk_alloc *alloc) {
  *w = (world){ .env = LK_ENV_INIT(alloc, NULL), .limits = lk_limits_default(), .now = 10 };
  w->limits.edge_unanswered_bytes = 1000;
  w->limits.longpoll_sessions_count = 3;
  w->limits.longpoll_output_bytes = 1000;
  w->limits.longpoll_messages_count = 20;
  w->limits.longpoll_lines_count = 10;
  w->limits.ws_message_bytes = 400;
  lk_bus_reader_init(&w->reader, test_alloc(), 1 << 20);
  lk_bus_reader_boundary(&w->reader);
  lk_buf_init(&w->json, test_alloc(), 1 << 20);
  lk_err err = lk_edge_open(&(lk_edge_options){ .env = &w->env,
                                                .limits = &w->limits,
                                                .generation = 5,
                                                .hash_seed = { 1, 2 },
                                                .houses_count = 1 },
                            &w->edge);
  if (err == LK_OK) open_polls(w, alloc);
  return err;
}

static void world_close(world *w) {
  lk_longpoll_deinit(&w->polls);
  lk_longpoll_deinit(&w->polls); /* twice */
  lk_edge_close(w->edge);
  lk_bus_reader_deinit(&w->reader);
  lk_buf_deinit(&w->json);
}

/* ---- the house ---- */

static void house_says(world *w, lk_bus_message m) {
  lk_buf frame;
  lk_buf_init(&frame, test_alloc(), 1 << 20);
  CHECK_OK(lk_bus_encode(&m, 1 << 20, &frame));
  lk_edge_feed(w->edge, 0, lk_buf_slice(&frame), true);
  lk_buf_deinit(&frame);
}

/* As the captured channel: a join gets {"hi":{}}, and everything comes back. */
static void house_answers(world *w, const lk_bus_message *m) {
  if (m->kind == LK_BUS_JOIN) {
    house_says(w, (lk_bus_message){ .kind = LK_BUS_ACCEPT,
                                    .request = m->request,
                                    .payload = LK_LIT("{\"hi\":{}}") });
  } else if (m->kind == LK_BUS_MESSAGE) {
    house_says(w, (lk_bus_message){ .kind = LK_BUS_REPLY,
                                    .request = m->request,
                                    .event = LK_LIT("ok"),
                                    .payload = m->payload,
                                    .binary = m->binary });
  }
}

static void run_house(world *w) {
  lk_bus_message m;
  lk_buf copy;
  lk_slice out = lk_edge_bus_output(w->edge, 0);
  lk_buf_init(&copy, test_alloc(), 1 << 20);
  CHECK_OK(lk_buf_append(&copy, out));
  lk_edge_bus_consume(w->edge, 0, out.len);
  for (lk_slice in = lk_buf_slice(&copy); lk_bus_read(&w->reader, &in, &m) == LK_OK;)
    house_answers(w, &m);
  lk_buf_deinit(&copy);
}

/* ---- the host ---- */

static void run_edge(world *w) {
  lk_edge_output out;
  while (lk_edge_poll(w->edge, &out)) {
    for (uint32_t i = 0; i < out.count; i++) {
      if (out.kind == LK_EDGE_SEND) lk_longpoll_take(&w->polls, out.connections[i], out.bytes);
      else if (out.kind == LK_EDGE_RESUME) lk_longpoll_resume(&w->polls, out.connections[i]);
      else lk_longpoll_close(&w->polls, out.connections[i]);
    }
  }
}

static bool is_busy(world *w) {
  return lk_longpoll_is_due(&w->polls) ||
         (!w->house_is_busy && lk_edge_bus_output(w->edge, 0).len > 0);
}

static void run(world *w) {
  lk_longpoll_answer answer;
  do {
    run_edge(w);
    while (lk_longpoll_poll(&w->polls, &answer)) {
      waiter *who = answer.waiter;
      CHECK_U64(who->told.len, 0); /* nobody is answered twice */
      CHECK_OK(lk_buf_append(&who->told, answer.body));
      who->has_messages = answer.has_messages;
    }
    if (!w->house_is_busy) run_house(w);
    run_edge(w);
  } while (is_busy(w));
}

static void greet(world *w) {
  house_says(w, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 9, .answers = 5 });
  run(w);
}

static void waiter_init(waiter *who) {
  *who = (waiter){ 0 };
  lk_buf_init(&who->told, test_alloc(), 1 << 20);
}

static lk_slice told(const waiter *who) { return lk_buf_slice(&who->told); }

/* Forgets what |who| was told: it asks anew. */
static void again(waiter *who) { lk_buf_truncate(&who->told, 0); }

static lk_err ask(world *w, bool is_post, const char *token, lk_slice body, bool is_batch,
                  waiter *who) {
  uint8_t random[LK_LONGPOLL_RANDOM_LEN];
  memset(random, ++w->random, sizeof random);
  lk_buf_truncate(&w->json, 0);
  const lk_longpoll_request request = { .now_ms = w->now,
                                        .token = lk_slice_cstr(token),
                                        .waiter = who,
                                        .form = LK_MESSAGE_V2_TEXT,
                                        .random = random,
                                        .body = body,
                                        .is_batch = is_batch };
  lk_err err = is_post ? lk_longpoll_post(&w->polls, &request, &w->json, &w->session)
                       : lk_longpoll_get(&w->polls, &request, &w->json, &w->session);
  CHECK((err == LK_OK && w->session == 0) == (w->json.len > 0));
  return err;
}

static void get(world *w, waiter *who) {
  CHECK_OK(ask(w, false, w->token, LK_SLICE_EMPTY, false, who));
  run(w);
}

/* |who| gets its answer either way. */
static void post_as(world *w, lk_slice body, bool is_batch, waiter *who) {
  again(who);
  CHECK_OK(ask(w, true, w->token, body, is_batch, who));
  if (w->session == 0) CHECK_OK(lk_buf_append(&who->told, lk_buf_slice(&w->json)));
  run(w);
}

static void post(world *w, lk_slice body, waiter *who) { post_as(w, body, true, who); }

static void begin_session(world *w) {
  static waiter nobody;
  CHECK_OK(ask(w, false, "", LK_SLICE_EMPTY, false, &nobody));
  lk_slice json = lk_buf_slice(&w->json);
  CHECK(w->session == 0 &&
        lk_slice_starts_with(json, LK_LIT("{\"messages\":[],\"status\":410,\"token\":\"")));
  memcpy(w->token, json.ptr + json.len - 2 - LK_LONGPOLL_TOKEN_LEN, LK_LONGPOLL_TOKEN_LEN);
}

static void tick(world *w, uint64_t ms) {
  w->now += ms;
  lk_longpoll_tick(&w->polls, w->now);
  run(w);
}

/* The answer to a poll with |items|, which are JSON. */
static void check_told(const world *w, const waiter *who, unsigned status, lk_slice items) {
  lk_buf want;
  lk_buf_init(&want, test_alloc(), 1 << 20);
  lk_buf_append(&want, LK_LIT("{\"messages\":["));
  lk_buf_append(&want, items);
  lk_buf_append(&want, LK_LIT("],\"status\":"));
  lk_buf_append_decimal(&want, status);
  if (status != 410) {
    lk_buf_append(&want, LK_LIT(",\"token\":\""));
    lk_buf_append(&want, lk_slice_cstr(w->token));
    lk_buf_append(&want, LK_LIT("\""));
  }
  CHECK_OK(lk_buf_append(&want, LK_LIT("}")));
  CHECK_SLICE(told(who), lk_buf_slice(&want));
  CHECK(who->has_messages == (items.len > 0));
  lk_buf_deinit(&want);
}

#define BEAT(ref) "[null,\"" ref "\",\"phoenix\",\"heartbeat\",{}]"
#define BEAT_REPLY(ref)                                                                            \
  "\"[null,\\\"" ref                                                                               \
  "\\\",\\\"phoenix\\\",\\\"phx_reply\\\",{\\\"status\\\":\\\"ok\\\",\\\"response\\\":{}}]\""
#define JOIN "[\"1\",\"1\",\"cap:a\",\"phx_join\",{}]"

/* ---- what was captured ---- */

typedef struct row {
  const char *method, *body;
  bool is_batch;
  const char *answer; /* to the GET that follows a POST; $ stands for the token */
} row;

static const row rows[] = {
  { "POST", JOIN "\n[\"1\",\"2\",\"cap:a\",\"echo\",{\"z\":1}]", true,
    "\"[\\\"1\\\",\\\"1\\\",\\\"cap:a\\\",\\\"phx_reply\\\",{\\\"status\\\":\\\"ok\\\","
    "\\\"response\\\":{\\\"hi\\\":{}}}]\","
    "\"[\\\"1\\\",\\\"2\\\",\\\"cap:a\\\",\\\"phx_reply\\\",{\\\"status\\\":\\\"ok\\\","
    "\\\"response\\\":{\\\"z\\\":1}}]\"" },
  { "POST", BEAT("3"), true, BEAT_REPLY("3") },
  { "POST", "[\"1\",\"9\",\"cap:zzz\",\"echo\",{}]", true,
    "\"[null,\\\"9\\\",\\\"cap:zzz\\\",\\\"phx_reply\\\",{\\\"status\\\":\\\"error\\\","
    "\\\"response\\\":{\\\"reason\\\":"
    "\\\"unmatched topic\\\"}}]\"" },
  { "POST", "[\"1\",\"5\",\"cap:a\",\"echo\",{\"plain\":1}]", false,
    "\"[\\\"1\\\",\\\"5\\\",\\\"cap:a\\\",\\\"phx_reply\\\",{\\\"status\\\":\\\"ok\\\","
    "\\\"response\\\":{\\\"plain\\\":1}}]\"" },
  /* Phoenix answers 500 to the next one's GET and loses the message; here it comes as text. */
  { "POST", "AAEBBQMxNGNhcDphYmluAQL/\r\n\r\n", true,
    "\"[\\\"1\\\",\\\"4\\\",\\\"cap:a\\\",\\\"phx_reply\\\",{\\\"status\\\":\\\"ok\\\","
    "\\\"response\\\":{\\\"b64\\\":"
    "\\\"AQL/\\\"}}]\"" },
};

TEST(what_phoenix_was_seen_to_answer_is_answered_here) {
  world w;
  waiter getter, poster;
  CHECK_OK(world_open(&w, test_alloc()));
  waiter_init(&getter);
  waiter_init(&poster);
  greet(&w);
  begin_session(&w);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    test_note("row %zu", i);
    post_as(&w, lk_slice_cstr(rows[i].body), rows[i].is_batch, &poster);
    CHECK_TEXT(told(&poster), "{\"status\":200}");
    again(&getter);
    get(&w, &getter);
    check_told(&w, &getter, 200, lk_slice_cstr(rows[i].answer));
    lk_longpoll_written(&w.polls, w.session, &getter, w.now);
  }
  again(&getter);
  get(&w, &getter);
  CHECK(w.session != 0 && told(&getter).len == 0);
  tick(&w, WINDOW - 1);
  CHECK_U64(told(&getter).len, 0);
  CHECK_U64(lk_longpoll_deadline(&w.polls), w.now + 1);
  tick(&w, 1);
  check_told(&w, &getter, 204, LK_SLICE_EMPTY);
  lk_buf_deinit(&getter.told);
  lk_buf_deinit(&poster.told);
  world_close(&w);
}

TEST(tokens_that_name_no_session_get_a_new_one_or_410) {
  static const char *const bad[] = { "",
                                     "bogus",
                                     "AAAAAAAAAAAAAAAAAAAAAA",
                                     "AQEBAQEBAQEBAQEBAQEBAR",
                                     "AQEBAQEBAQEBAQEBAQEBAQ==",
                                     "!!!!!!!!!!!!!!!!!!!!!!" };
  waiter who;
  waiter_init(&who);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    world w;
    CHECK_OK(world_open(&w, test_alloc()));
    begin_session(&w);
    CHECK(lk_slice_equal(lk_slice_cstr(w.token), LK_LIT("AQEBAQEBAQEBAQEBAQEBAQ")));
    CHECK_OK(ask(&w, true, bad[i], LK_LIT(BEAT("1")), true, &who));
    CHECK_TEXT(lk_buf_slice(&w.json), "{\"status\":410}");
    CHECK_OK(ask(&w, false, bad[i], LK_SLICE_EMPTY, false, &who));
    CHECK_TEXT(lk_buf_slice(&w.json),
               "{\"messages\":[],\"status\":410,\"token\":\"AwMDAwMDAwMDAwMDAwMDAw\"}");
    CHECK_U64(lk_longpoll_count(&w.polls), 2);
    world_close(&w);
  }
}

/* ---- what waits ---- */

TEST(a_poll_that_waits_is_answered_by_the_first_message) {
  world w;
  waiter getter, poster;
  CHECK_OK(world_open(&w, test_alloc()));
  waiter_init(&getter);
  waiter_init(&poster);
  begin_session(&w);
  get(&w, &getter);
  CHECK_U64(told(&getter).len, 0);
  post(&w, LK_LIT(BEAT("1") "\r\n\n" BEAT("2")), &poster);
  check_told(&w, &getter, 200, LK_LIT(BEAT_REPLY("1") "," BEAT_REPLY("2")));
  lk_buf_deinit(&getter.told);
  lk_buf_deinit(&poster.told);
  world_close(&w);
}

/* Goal: what was not written comes again, in order, once; and what came meanwhile comes behind it. */
TEST(messages_that_could_not_be_written_are_given_to_the_next_poll) {
  world w;
  waiter first, second, poster;
  CHECK_OK(world_open(&w, test_alloc()));
  waiter_init(&first);
  waiter_init(&second);
  waiter_init(&poster);
  begin_session(&w);
  post(&w, LK_LIT(BEAT("1")), &poster);
  get(&w, &first);
  check_told(&w, &first, 200, LK_LIT(BEAT_REPLY("1")));
  post(&w, LK_LIT(BEAT("2")), &poster);
  get(&w, &second); /* waits: the fate of the first is open */
  CHECK_U64(told(&second).len, 0);
  uint64_t session = w.session;
  lk_longpoll_lost(&w.polls, session, &first, w.now);
  run(&w);
  check_told(&w, &second, 200, LK_LIT(BEAT_REPLY("1") "," BEAT_REPLY("2")));
  CHECK_COVERED(longpoll_messages_come_back);
  post(&w, LK_LIT(BEAT("3")), &poster);
  lk_longpoll_written(&w.polls, session + 1, &second, w.now); /* of nobody */
  lk_longpoll_written(&w.polls, session, &first, w.now);      /* not the carrier any more */
  again(&first);
  get(&w, &first);
  CHECK_U64(told(&first).len, 0);
  lk_longpoll_written(&w.polls, session, &second, w.now);
  run(&w);
  check_told(&w, &first, 200, LK_LIT(BEAT_REPLY("3")));
  lk_buf_deinit(&first.told);
  lk_buf_deinit(&second.told);
  lk_buf_deinit(&poster.told);
  world_close(&w);
}

TEST(a_second_poll_takes_the_place_of_the_first) {
  world w;
  waiter who[3], poster;
  CHECK_OK(world_open(&w, test_alloc()));
  for (int i = 0; i < 3; i++) waiter_init(&who[i]);
  waiter_init(&poster);
  begin_session(&w);
  for (int i = 0; i < 3; i++) CHECK_OK(ask(&w, false, w.token, LK_SLICE_EMPTY, false, &who[i]));
  CHECK_U64(w.session, 0); /* the third came before the first could be answered */
  CHECK_OK(lk_buf_append(&who[2].told, lk_buf_slice(&w.json)));
  run(&w);
  check_told(&w, &who[0], 204, LK_SLICE_EMPTY);
  check_told(&w, &who[2], 204, LK_SLICE_EMPTY);
  CHECK_U64(told(&who[1]).len, 0);
  again(&who[0]);
  CHECK_OK(ask(&w, false, w.token, LK_SLICE_EMPTY, false, &who[0]));
  lk_longpoll_lost(&w.polls, w.session, &who[1],
                   w.now); /* replaced, and gone before it could be told */
  run(&w);
  CHECK_U64(told(&who[1]).len, 0);
  post(&w, LK_LIT(BEAT("1")), &poster);
  check_told(&w, &who[0], 200, LK_LIT(BEAT_REPLY("1")));
  for (int i = 0; i < 3; i++) lk_buf_deinit(&who[i].told);
  lk_buf_deinit(&poster.told);
  world_close(&w);
}

/* Goal: a client cannot ask for more than the edge takes; what it sent meanwhile is read on as answers come, and
 * a POST that takes longer than the window is given up. */
TEST(a_post_waits_while_the_edge_is_full) {
  for (int in_time = 0; in_time < 2; in_time++) {
    world w;
    waiter poster, other;
    lk_buf text;
    CHECK_OK(world_open(&w, test_alloc()));
    waiter_init(&poster);
    waiter_init(&other);
    lk_buf_init(&text, test_alloc(), 10000);
    w.limits.longpoll_output_bytes = 10000;
    greet(&w);
    begin_session(&w);
    lk_buf_append(&text, LK_LIT(JOIN));
    for (int i = 0; i < 6; i++) {
      lk_buf_append(&text, LK_LIT("\n[\"1\",\"2\",\"cap:a\",\"e\",[\""));
      for (int k = 0; k < 300; k++) lk_buf_append_u8(&text, 'x');
      CHECK_OK(lk_buf_append(&text, LK_LIT("\"]]")));
    }
    w.house_is_busy = true;
    post(&w, lk_buf_slice(&text), &poster);
    CHECK(w.session != 0 && told(&poster).len == 0);
    CHECK(lk_edge_is_full(w.edge, w.session) && lk_edge_get_stats(w.edge).messages_in < 7);
    post(&w, LK_LIT(BEAT("1")), &other); /* one at a time */
    CHECK_TEXT(told(&other), "{\"status\":408}");
    if (in_time) {
      w.house_is_busy = false;
      tick(&w, WINDOW - 1);
      CHECK_U64(lk_edge_get_stats(w.edge).unanswered, 0);
      CHECK_U64(lk_edge_get_stats(w.edge).messages_in, 7);
      CHECK_TEXT(told(&poster), "{\"status\":200}");
    } else {
      tick(&w, WINDOW);
      CHECK_TEXT(told(&poster), "{\"status\":408}");
    }
    lk_buf_deinit(&text);
    lk_buf_deinit(&poster.told);
    lk_buf_deinit(&other.told);
    world_close(&w);
  }
}

/* ---- limits ---- */

TEST(lines_are_counted_and_newlines_cost_nothing) {
  world w;
  waiter who;
  lk_buf text;
  CHECK_OK(world_open(&w, test_alloc()));
  waiter_init(&who);
  lk_buf_init(&text, test_alloc(), 9u << 20);
  begin_session(&w);
  for (int i = 0; i < 12; i++) lk_buf_append(&text, LK_LIT(BEAT("1") "\n"));
  CHECK_OK(lk_buf_err(&text));
  post(&w, lk_buf_slice(&text), &who);
  CHECK_TEXT(told(&who), "{\"status\":200}");
  CHECK_U64(lk_edge_get_stats(w.edge).messages_in, 10);
  CHECK(lk_buf_extend(&text, 8u << 20) != NULL);
  memset(text.ptr, '\n', text.len);
  w.limits.longpoll_lines_count = UINT32_MAX;
  for (int i = 0; i < 3; i++)
    post(&w, lk_buf_slice(&text), &who); /* no memory: test_alloc() would tell */
  CHECK_TEXT(told(&who), "{\"status\":200}");
  CHECK_U64(lk_edge_get_stats(w.edge).messages_in, 10);
  lk_buf_deinit(&text);
  lk_buf_deinit(&who.told);
  world_close(&w);
}

/* Goal: what breaks the protocol ends the session, for everybody who waits. */
TEST(a_session_that_breaks_the_protocol_is_over) {
  static const struct {
    lk_slice body;
    bool is_batch;
  } cases[] = {
    { LK_LIT_INIT("["), true },     { LK_LIT_INIT("!"), true },
    { LK_LIT_INIT("AAE"), true },   { LK_LIT_INIT("AAEB"), true },
    { LK_LIT_INIT("{}"), true },    { LK_LIT_INIT(BEAT("1") "\nx"), true },
    { LK_LIT_INIT(""), false },     { LK_LIT_INIT("\n"), false },
    { LK_LIT_INIT("AAEB"), false }, { LK_LIT_INIT("[null,\"1\",\"t\",\"e\",\"\xff\"]"), true },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    world w;
    waiter getter, poster;
    test_note("case %zu", i);
    CHECK_OK(world_open(&w, test_alloc()));
    waiter_init(&getter);
    waiter_init(&poster);
    begin_session(&w);
    get(&w, &getter);
    post_as(&w, cases[i].body, cases[i].is_batch, &poster);
    CHECK_TEXT(told(&poster), "{\"status\":410}");
    check_told(&w, &getter, 410, LK_SLICE_EMPTY);
    CHECK_U64(lk_longpoll_count(&w.polls), 0);
    CHECK_U64(lk_edge_get_stats(w.edge).connections, 0);
    CHECK(lk_longpoll_deadline(&w.polls) == UINT64_MAX);
    lk_buf_deinit(&getter.told);
    lk_buf_deinit(&poster.told);
    world_close(&w);
  }
}

/* The same frame in base64, and behind it what makes it too long. */
TEST(a_message_that_is_too_long_is_answered_and_those_behind_it_are_read) {
  static char text[1300], base64[700];
  world w;
  waiter getter, poster;
  CHECK_OK(world_open(&w, test_alloc()));
  waiter_init(&getter);
  waiter_init(&poster);
  begin_session(&w);
  memset(base64, 'A', 600);
  memcpy(base64, "AAEBBQMxNGNhcDphYmlu", 20); /* ref 4, topic cap:a, event bin */
  (void)snprintf(text, sizeof text, "[\"1\",\"3\",\"cap:a\",\"e\",\"%0400d\"]\n%s\n" BEAT("5"), 0,
                 base64);
  post(&w, lk_slice_cstr(text), &poster);
  CHECK_TEXT(told(&poster), "{\"status\":200}");
  get(&w, &getter);
  static const char *const told_of[] = { "\\\"3\\\",\\\"cap:a\\\"", "\\\"4\\\",\\\"cap:a\\\"",
                                         "\\\"5\\\",\\\"phoenix\\\"" };
  for (size_t i = 0; i < 3; i++)
    CHECK(lk_slice_find(told(&getter), lk_slice_cstr(told_of[i])) != LK_SLICE_NONE);
  CHECK(lk_slice_find(told(&getter), LK_LIT("message_too_big")) != LK_SLICE_NONE);
  CHECK_U64(lk_edge_get_stats(w.edge).refused_too_big, 2);
  /* What follows no form ends the session however long it is. */
  memset(text, ' ', 500);
  text[500] = 0;
  post(&w, lk_slice_cstr(text), &poster);
  CHECK_TEXT(told(&poster), "{\"status\":410}");
  lk_buf_deinit(&getter.told);
  lk_buf_deinit(&poster.told);
  world_close(&w);
}

TEST(a_session_for_which_too_much_waits_is_over) {
  for (int by_count = 0; by_count < 2; by_count++) {
    world w;
    waiter who;
    uint32_t taken = 0;
    CHECK_OK(world_open(&w, test_alloc()));
    waiter_init(&who);
    if (by_count) w.limits.longpoll_messages_count = 5;
    begin_session(&w);
    for (; taken < 100 && lk_longpoll_count(&w.polls) > 0; taken++) {
      post(&w, LK_LIT(BEAT("1")), &who);
      CHECK_TEXT(told(&who), "{\"status\":200}");
    }
    CHECK(by_count ? taken == 6 : taken == 1000 / sizeof BEAT_REPLY("1") + 1);
    CHECK_U64(lk_edge_get_stats(w.edge).connections, 0);
    post(&w, LK_LIT(BEAT("1")), &who);
    CHECK_TEXT(told(&who), "{\"status\":410}");
    lk_buf_deinit(&who.told);
    world_close(&w);
  }
}

/* Goal: a document that is longer than what may wait reaches its client, who would come back for it for ever, as long as no more than
 * half of the limit waits before it, and as long as it fits between two edge processes. */
TEST(one_message_that_is_longer_than_what_may_wait_goes) {
  static const struct {
    size_t before, len;
    bool goes;
  } cases[] = { { 0, 8000, true },  { 480, 8000, true }, { 520, 8000, false },
                { 520, 400, true }, { 0, 139000, true }, { 0, 140000, false } };
  static uint8_t text[140000];
  memset(text, 'x', sizeof text);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    world w;
    waiter who, next;
    test_note("case %zu", i);
    CHECK_OK(world_open(&w, test_alloc()));
    waiter_init(&who);
    waiter_init(&next);
    w.limits.bus_frame_bytes = LK_BUS_FRAME_REST + 139010;
    lk_longpoll_deinit(&w.polls);
    open_polls(&w, test_alloc());
    begin_session(&w);
    get(&w, &who);
    uint64_t session = w.session;
    lk_longpoll_lost(&w.polls, session, &who, w.now);
    if (cases[i].before > 0)
      lk_longpoll_take(&w.polls, session, lk_slice_of(text, cases[i].before));
    lk_longpoll_take(&w.polls, session, lk_slice_of(text, cases[i].len));
    CHECK_U64(lk_longpoll_count(&w.polls), cases[i].goes);
    get(&w, &next);
    if (cases[i].goes) CHECK(next.has_messages && next.told.len > cases[i].before + cases[i].len);
    lk_buf_deinit(&who.told);
    lk_buf_deinit(&next.told);
    world_close(&w);
  }
}

TEST(there_are_only_so_many_sessions) {
  world w;
  waiter who;
  CHECK_OK(world_open(&w, test_alloc()));
  for (int i = 0; i < 3; i++) begin_session(&w);
  CHECK_OK(ask(&w, false, "", LK_SLICE_EMPTY, false, &who));
  CHECK_TEXT(lk_buf_slice(&w.json), "{\"status\":500,\"retry_after_ms\":5000}");
  CHECK_U64(lk_edge_get_stats(w.edge).connections, 3);
  tick(&w, WINDOW * 3 / 2);
  CHECK_U64(lk_longpoll_count(&w.polls), 0);
  begin_session(&w);
  world_close(&w);
}

/* ---- the end ---- */

TEST(a_session_that_is_not_polled_ends_after_one_and_a_half_windows) {
  world w;
  waiter who;
  CHECK_OK(world_open(&w, test_alloc()));
  waiter_init(&who);
  begin_session(&w);
  tick(&w, WINDOW * 3 / 2 - 1);
  CHECK_U64(lk_longpoll_count(&w.polls), 1);
  get(&w, &who);
  tick(&w, WINDOW); /* 204: it counts from there */
  tick(&w, WINDOW * 3 / 2 - 1);
  CHECK_U64(lk_longpoll_count(&w.polls), 1);
  post(&w, LK_LIT(BEAT("1")), &who); /* sending alone keeps nothing alive */
  again(&who);
  get(&w, &who);
  tick(&w, WINDOW * 10); /* it is being written, slowly */
  CHECK_U64(lk_longpoll_count(&w.polls), 1);
  lk_longpoll_written(&w.polls, w.session, &who, w.now);
  tick(&w, WINDOW * 3 / 2 - 1);
  again(&who);
  get(&w, &who);
  lk_longpoll_lost(&w.polls, w.session, &who, w.now);
  tick(&w, WINDOW * 3 / 2 - 1);
  CHECK_U64(lk_longpoll_count(&w.polls), 1);
  tick(&w, 1);
  CHECK_U64(lk_longpoll_count(&w.polls), 0);
  CHECK_U64(lk_edge_get_stats(w.edge).connections, 0);
  lk_buf_deinit(&who.told);
  world_close(&w);
}

/* Goal: what the edge said before it closed the session still arrives. */
TEST(a_session_that_the_edge_closes_delivers_what_waits_and_is_over_then) {
  world w;
  waiter who, poster;
  CHECK_OK(world_open(&w, test_alloc()));
  waiter_init(&who);
  waiter_init(&poster);
  begin_session(&w);
  get(&w, &who);
  uint64_t session = w.session;
  CHECK_OK(ask(&w, true, w.token, LK_LIT(BEAT("1")), true, &poster));
  run_edge(&w);
  lk_longpoll_close(&w.polls, session);
  run(&w);
  check_told(&w, &who, 200, LK_LIT(BEAT_REPLY("1")));
  CHECK_U64(lk_edge_get_stats(w.edge).connections, 0);
  post(&w, LK_LIT(BEAT("2")), &poster);
  CHECK_TEXT(told(&poster), "{\"status\":410}");
  CHECK_U64(lk_longpoll_count(&w.polls), 1);
  lk_longpoll_lost(&w.polls, session, &who, w.now);
  again(&who);
  get(&w, &who);
  check_told(&w, &who, 200, LK_LIT(BEAT_REPLY("1")));
  lk_longpoll_written(&w.polls, session, &who, w.now);
  run(&w);
  CHECK_U64(lk_longpoll_count(&w.polls), 0);
  lk_buf_deinit(&who.told);
  lk_buf_deinit(&poster.told);
  world_close(&w);
}

TEST(sessions_end_in_batches_the_oldest_first) {
  world w;
  char first[LK_LONGPOLL_TOKEN_LEN + 1];
  CHECK_OK(world_open(&w, test_alloc()));
  begin_session(&w);
  memcpy(first, w.token, sizeof first);
  begin_session(&w);
  begin_session(&w);
  CHECK(lk_longpoll_knows(&w.polls, lk_slice_cstr(first)));
  CHECK(!lk_longpoll_knows(&w.polls, LK_LIT("")));
  lk_longpoll_end_some(&w.polls, 2);
  CHECK_U64(lk_longpoll_count(&w.polls), 1);
  CHECK(!lk_longpoll_knows(&w.polls, lk_slice_cstr(first)));
  CHECK(lk_longpoll_knows(&w.polls, lk_slice_cstr(w.token)));
  run(&w);
  world_close(&w);
}

TEST(all_who_wait_are_told_when_the_server_stops_but_those_who_have_gone) {
  world w;
  waiter who[3];
  CHECK_OK(world_open(&w, test_alloc()));
  for (int i = 0; i < 3; i++) {
    waiter_init(&who[i]);
    begin_session(&w);
    get(&w, &who[i]);
  }
  uint64_t last = w.session;
  lk_longpoll_end_some(&w.polls, UINT32_MAX);
  lk_longpoll_lost(&w.polls, last, &who[2], w.now); /* before it could be told */
  run(&w);
  check_told(&w, &who[0], 410, LK_SLICE_EMPTY);
  check_told(&w, &who[1], 410, LK_SLICE_EMPTY);
  CHECK_U64(told(&who[2]).len, 0);
  CHECK_U64(lk_longpoll_count(&w.polls), 0);
  for (int i = 0; i < 3; i++) lk_buf_deinit(&who[i].told);
  world_close(&w);
}

/* Goal: without memory a client is told to begin anew, or is not answered; nothing leaks and nobody waits for ever. */
TEST(memory_may_run_out_at_any_allocation_of_a_session) {
  FAULT_LOOP(faults, test_alloc()) {
    world w;
    waiter getter, poster;
    bool opened = world_open(&w, faulty_alloc(&faults)) == LK_OK;
    waiter_init(&getter);
    waiter_init(&poster);
    if (opened) {
      CHECK_OK(ask(&w, false, "", LK_SLICE_EMPTY, false, &getter));
      if (w.json.len > LK_LONGPOLL_TOKEN_LEN) {
        memcpy(w.token, w.json.ptr + w.json.len - 2 - LK_LONGPOLL_TOKEN_LEN, LK_LONGPOLL_TOKEN_LEN);
        post(&w, LK_LIT(BEAT("1") "\nAAEBBQMxNGNhcDphYmluAQL/"), &poster);
        CHECK(told(&poster).len == 14);
        CHECK_OK(ask(&w, false, w.token, LK_SLICE_EMPTY, false, &getter));
        run(&w);
        CHECK(w.json.len > 0 || told(&getter).len > 0);
      }
      lk_longpoll_end_some(&w.polls, UINT32_MAX);
      run(&w);
      CHECK_U64(lk_edge_get_stats(w.edge).connections, 0);
      world_close(&w);
    } else {
      lk_bus_reader_deinit(&w.reader);
      lk_buf_deinit(&w.json);
    }
    lk_buf_deinit(&getter.told);
    lk_buf_deinit(&poster.told);
  }
}

/* The references of replies in |json| go on behind |last|; gives the last of them. */
static uint32_t read_refs(lk_slice json, uint32_t last) {
  for (size_t at; (at = lk_slice_find(json, LK_LIT("[null,\\\""))) != LK_SLICE_NONE;) {
    uint32_t ref = 0;
    for (json = lk_slice_skip(json, at + 8); json.ptr[0] != '\\'; json = lk_slice_skip(json, 1))
      ref = ref * 10 + (uint32_t)(json.ptr[0] - '0');
    CHECK_U64(ref, ++last);
  }
  return last;
}

/* Goal: every heartbeat that was taken is answered exactly once and in order, whichever connections die.
 * Method: one session, random polls, posts, losses and times; what the client has read is compared at the end. */
PROPERTY(each_message_is_read_once_and_in_order_whatever_happens_to_connections) {
  enum { WAITERS = 4 };
  world w;
  waiter who[WAITERS], poster;
  uint64_t session = 0;
  uint32_t sent = 0, read = 0;
  CHECK_OK(world_open(&w, test_alloc()));
  w.limits.longpoll_output_bytes = 1 << 20;
  lk_longpoll_deinit(&w.polls);
  lk_longpoll_init(&w.polls, &(lk_longpoll_options){ .alloc = test_alloc(),
                                                     .limits = &w.limits,
                                                     .edge = w.edge,
                                                     .window_ms = WINDOW });
  for (int i = 0; i < WAITERS; i++) waiter_init(&who[i]);
  waiter_init(&poster);
  begin_session(&w);
  for (uint32_t steps = gen_below(g, 60); steps > 0; steps--) {
    waiter *one = &who[gen_below(g, WAITERS)];
    switch (gen_below(g, 4)) {
    case 0:
      if (sent - read >= 10) break;
      lk_buf text;
      lk_buf_init(&text, test_alloc(), 100);
      lk_buf_append(&text, LK_LIT("[null,\""));
      lk_buf_append_decimal(&text, ++sent);
      CHECK_OK(lk_buf_append(&text, LK_LIT("\",\"phoenix\",\"heartbeat\",{}]")));
      post(&w, lk_buf_slice(&text), &poster);
      CHECK_TEXT(told(&poster), "{\"status\":200}");
      lk_buf_deinit(&text);
      break;
    case 1: /* a poll, on a connection that has no other */
      if (one->told.len > 0 || one->has_messages) break;
      if (lk_longpoll_count(&w.polls) == 0) break;
      CHECK_OK(ask(&w, false, w.token, LK_SLICE_EMPTY, false, one));
      if (w.session != 0) session = w.session;
      run(&w);
      break;
    case 2: /* its answer arrives, or is lost */
      if (one->told.len == 0) {
        lk_longpoll_lost(&w.polls, session, one, w.now);
      } else if (!one->has_messages) {
        again(one);
      } else if (gen_bool(g)) {
        lk_longpoll_lost(&w.polls, session, one, w.now);
      } else {
        read = read_refs(told(one), read);
        lk_longpoll_written(&w.polls, session, one, w.now);
      }
      again(one);
      one->has_messages = false;
      run(&w);
      break;
    default: tick(&w, gen_below(g, 200)); break;
    }
    for (int i = 0; i < WAITERS; i++)
      if (who[i].told.len > 0 && !who[i].has_messages) again(&who[i]);
    if (lk_longpoll_count(&w.polls) == 0) break; /* nobody polled for too long */
  }
  if (lk_longpoll_count(&w.polls) > 0 && read < sent) { /* all connections die, and one comes */
    for (int i = 0; i < WAITERS; i++) lk_longpoll_lost(&w.polls, session, &who[i], w.now);
    again(&who[0]);
    get(&w, &who[0]);
    CHECK_U64(read_refs(told(&who[0]), read), sent);
  }
  for (int i = 0; i < WAITERS; i++) lk_buf_deinit(&who[i].told);
  lk_buf_deinit(&poster.told);
  world_close(&w);
}
