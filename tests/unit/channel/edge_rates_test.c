/* How fast clients of an edge may go, and what it does with messages that are too long or come from nobody; with a test in the
 * place of its house. A token is the claims themselves. */
#include "base/budget.h"
#include "channel/bus.h"
#include "channel/edge.h"
#include "harness/faulty.h"
#include "harness/test.h"

#include <stdio.h>

#define SECOND_US UINT64_C(1000000)
#define BEGAN_US (50 * SECOND_US)

typedef struct world {
  lk_env env;
  lk_limits limits;
  lk_access access;
  lk_rates rates;
  lk_edge *edge;
  lk_bus_reader heard;
  uint64_t now_us;
} world;

static lk_err check(void *ctx, lk_slice token, const lk_alloc *alloc, lk_grant **out) {
  world *w = ctx;
  return lk_grant_parse(
      token,
      &(lk_grant_options){ .expires_ms = LK_GRANT_FOREVER, .default_rights = LK_RIGHTS_WRITE },
      &w->limits, alloc, out);
}

static bool is_revoked(void *ctx, const lk_grant *grant) {
  (void)ctx;
  (void)grant;
  return false;
}

static void init(world *w) {
  *w = (world){ .limits = lk_limits_default(),
                .rates = { .burst_ns = 1000 * SECOND_US },
                .now_us = BEGAN_US };
  lk_bus_reader_init(&w->heard, test_alloc(), 1 << 20);
}

static void say(world *w, lk_bus_message m) {
  lk_buf frame;
  lk_buf_init(&frame, test_alloc(), 1 << 20);
  CHECK_OK(lk_bus_encode(&m, 1 << 20, &frame));
  lk_edge_feed(w->edge, 0, lk_buf_slice(&frame), true);
  lk_buf_deinit(&frame);
}

static lk_err open_with(world *w, const lk_alloc *alloc, bool has_keys) {
  w->env = (lk_env)LK_ENV_INIT(alloc, NULL);
  w->access = (lk_access){ .ctx = w, .check = check, .is_revoked = is_revoked };
  lk_err err = lk_edge_open(&(lk_edge_options){ .env = &w->env,
                                                .limits = &w->limits,
                                                .generation = 5,
                                                .hash_seed = { 1, 2 },
                                                .houses_count = 1,
                                                .access = has_keys ? &w->access : NULL,
                                                .rates = w->rates },
                            &w->edge);
  if (err != LK_OK) return err;
  lk_edge_tick(w->edge, w->now_us);
  say(w, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 9 });
  return LK_OK;
}

static void deinit(world *w) {
  lk_edge_close(w->edge);
  lk_bus_reader_deinit(&w->heard);
}

static uint64_t connect(world *w, const char *claims) {
  uint64_t c = 0;
  lk_grant *grant = NULL;
  if (claims != NULL) CHECK_OK(check(w, lk_slice_cstr(claims), w->env.alloc, &grant));
  CHECK_OK(lk_edge_connect(w->edge, LK_MESSAGE_V2, grant, &c));
  return c;
}

static void tell(world *w, uint64_t c, const char *text) {
  CHECK_OK(lk_edge_receive(w->edge, c, lk_slice_cstr(text), false));
}

/* The house lets whoever has asked in, and answers everything else. Returns how many messages it heard that are neither. */
static uint32_t serve(world *w) {
  lk_slice bytes, rest;
  lk_bus_message m;
  uint32_t count = 0;
  for (;;) {
    rest = bytes = lk_edge_bus_output(w->edge, 0);
    lk_bus_reader_boundary(&w->heard);
    if (lk_bus_read(&w->heard, &rest, &m) != LK_OK) return count;
    uint64_t request = m.request;
    lk_bus_kind kind = m.kind;
    lk_edge_bus_consume(w->edge, 0, bytes.len - rest.len);
    count += kind == LK_BUS_MESSAGE;
    if (kind != LK_BUS_JOIN && kind != LK_BUS_MESSAGE) continue;
    say(w, (lk_bus_message){ .kind = kind == LK_BUS_JOIN ? LK_BUS_ACCEPT : LK_BUS_REPLY,
                             .request = request,
                             .event = LK_LIT("ok"),
                             .payload = LK_LIT("{}") });
  }
}

/* How many RESUMEs of |c| there are; the rest is thrown away. */
static uint32_t resumes(world *w, uint64_t c) {
  lk_edge_output out;
  uint32_t count = 0;
  while (lk_edge_poll(w->edge, &out))
    count += out.kind == LK_EDGE_RESUME && out.connections[0] == c;
  return count;
}

static void pass(world *w, uint64_t us) {
  w->now_us += us;
  lk_edge_tick(w->edge, w->now_us);
}

static uint64_t joined(world *w, const char *claims, const char *join) {
  uint64_t c = connect(w, claims);
  tell(w, c, join);
  (void)serve(w);
  (void)resumes(w, c);
  return c;
}

#define JOIN "[\"1\",\"1\",\"t\",\"phx_join\",{}]"
#define MESSAGE "[\"1\",\"2\",\"t\",\"e\",{}]"

/* Goal: a flood by one client comes through at its rate and whole, and another one does not notice.
 * Method: a client that sends whenever it may, for 20 seconds of our clock; what the house heard is counted. */
TEST(a_client_that_floods_is_held_to_its_rate_and_nothing_of_it_is_lost) {
  world w;
  init(&w);
  w.rates.connection = (lk_allowance_rate){ .messages = 100 };
  CHECK_OK(open_with(&w, test_alloc(), false));
  uint64_t fast = joined(&w, NULL, JOIN), slow = joined(&w, NULL, JOIN);
  uint32_t sent = 0, heard = 0, holds = 0;
  while (w.now_us < BEGAN_US + 20 * SECOND_US) {
    for (; !lk_edge_is_full(w.edge, fast); sent++) tell(&w, fast, MESSAGE);
    heard += serve(&w);
    CHECK_U64(lk_edge_get_stats(w.edge).held, 1);
    CHECK(!lk_edge_is_full(w.edge, slow));
    CHECK(lk_edge_tick_deadline(w.edge) > w.now_us);
    CHECK_U64(resumes(&w, fast), 0);
    pass(&w, lk_edge_tick_deadline(w.edge) - w.now_us);
    CHECK(!lk_edge_is_full(w.edge, fast));
    CHECK_U64(resumes(&w, fast), 1);
    holds++;
  }
  CHECK_U64(heard, sent);
  CHECK(sent >= 2090 &&
        sent <= 2110); /* a burst of one second, and 20 s; the join was one of them */
  CHECK_U64(lk_edge_get_stats(w.edge).held_by_connection, holds);
  CHECK_U64(lk_edge_holds(w.edge)->sum_us, 20 * SECOND_US + (w.now_us - BEGAN_US - 20 * SECOND_US));
  CHECK_U64(lk_edge_tick_deadline(w.edge), UINT64_MAX);
  deinit(&w);
}

TEST(bytes_and_joins_have_rates_of_their_own) {
  static char text[600];
  world w;
  init(&w);
  w.rates.connection = (lk_allowance_rate){ .bytes = 1000, .joins = 2 };
  CHECK_OK(open_with(&w, test_alloc(), false));
  uint64_t c = joined(&w, NULL, JOIN), d = connect(&w, NULL);
  int len = snprintf(text, sizeof text, "[\"1\",\"2\",\"t\",\"e\",\"%0500d\"]", 0);
  CHECK(len > 500);
  for (uint32_t i = 0; i < 2; i++) tell(&w, c, text);
  CHECK(lk_edge_is_full(w.edge, c)); /* with the join it is more than a second's */
  /* Refused joins are joins, too; a client of Phoenix tries for ever. */
  w.limits.channel_topics_count = 0;
  for (uint32_t i = 0; i < 2; i++) tell(&w, d, JOIN);
  CHECK(!lk_edge_is_full(w.edge, d));
  tell(&w, d, JOIN);
  CHECK(lk_edge_is_full(w.edge, d));
  CHECK_U64(lk_edge_get_stats(w.edge).refused_topics, 3);
  const uint64_t beyond = sizeof JOIN - 1 + 2 * (uint64_t)len - 1000; /* bytes of |c| */
  CHECK_U64(lk_edge_tick_deadline(w.edge), BEGAN_US + beyond * 1000 + 1);
  pass(&w, SECOND_US / 2);
  CHECK(!lk_edge_is_full(w.edge, c) && lk_edge_is_full(w.edge, d));
  deinit(&w);
}

TEST(all_connections_of_one_subject_share_its_rate_and_coming_back_does_not_help) {
  world w;
  init(&w);
  w.rates.subject = (lk_allowance_rate){ .messages = 10 };
  CHECK_OK(open_with(&w, test_alloc(), true));
  uint64_t a = joined(&w, "{\"sub\":\"ann\"}", JOIN), b = joined(&w, "{\"sub\":\"ann\"}", JOIN);
  uint64_t other = joined(&w, "{\"sub\":\"bob\"}", JOIN), nobody = joined(&w, "{}", JOIN);
  for (int i = 0; i < 4; i++) {
    tell(&w, a, MESSAGE);
    tell(&w, b, MESSAGE);
    tell(&w, other, MESSAGE);
  }
  for (int i = 0; i < 30; i++) tell(&w, nobody, MESSAGE);
  CHECK(!lk_edge_is_full(w.edge, a) && !lk_edge_is_full(w.edge, nobody));
  lk_edge_disconnect(w.edge, a);
  lk_edge_disconnect(w.edge, b);
  a = connect(&w, "{\"sub\":\"ann\"}");
  tell(&w, a, JOIN);
  CHECK(lk_edge_is_full(w.edge, a) && !lk_edge_is_full(w.edge, other));
  CHECK_U64(lk_edge_get_stats(w.edge).held_by_subject, 1);
  deinit(&w);
}

/* Who has a token for the topic alone is somebody by that. */
TEST(a_token_for_a_topic_says_whose_rate_its_messages_are) {
  world w;
  init(&w);
  w.rates.subject = (lk_allowance_rate){ .messages = 5 };
  CHECK_OK(open_with(&w, test_alloc(), true));
  uint64_t a = joined(&w, NULL, "[\"1\",\"1\",\"t\",\"phx_join\",{\"token\":\"{\\\"sub\\\":1}\"}]");
  for (int i = 0; i < 5; i++) tell(&w, a, MESSAGE);
  CHECK(!lk_edge_is_full(w.edge, a));
  tell(&w, a, MESSAGE);
  CHECK(lk_edge_is_full(w.edge, a));
  deinit(&w);
}

TEST(all_members_of_a_topic_share_its_rate_by_whatever_name_they_came) {
  static const lk_alias alias = { LK_LIT_INIT("a"), LK_LIT_INIT("t"), true };
  world w;
  init(&w);
  w.rates.topic = (lk_allowance_rate){ .messages = 10 };
  CHECK_OK(open_with(&w, test_alloc(), false));
  lk_edge_close(w.edge);
  CHECK_OK(lk_edge_open(&(lk_edge_options){ .env = &w.env,
                                            .limits = &w.limits,
                                            .generation = 6,
                                            .houses_count = 1,
                                            .aliases = { &alias, 1 },
                                            .rates = w.rates },
                        &w.edge));
  lk_edge_tick(w.edge, w.now_us);
  say(&w, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 9 });
  uint64_t a = joined(&w, NULL, JOIN), b = joined(&w, NULL, "[\"1\",\"1\",\"a\",\"phx_join\",{}]");
  uint64_t c = joined(&w, NULL, "[\"1\",\"1\",\"u\",\"phx_join\",{}]");
  for (int i = 0; i < 4; i++) {
    tell(&w, a, MESSAGE);
    tell(&w, b, "[\"1\",\"2\",\"a\",\"e\",{}]");
  }
  CHECK(!lk_edge_is_full(w.edge, a) && !lk_edge_is_full(w.edge, b));
  tell(&w, a, MESSAGE);
  tell(&w, c, "[\"1\",\"2\",\"u\",\"e\",{}]");
  CHECK(lk_edge_is_full(w.edge, a) && !lk_edge_is_full(w.edge, c));
  CHECK_U64(lk_edge_get_stats(w.edge).held_by_topic, 1);
  deinit(&w);
}

TEST(who_is_held_and_has_too_much_unanswered_goes_on_when_neither_holds) {
  world w;
  init(&w);
  w.rates.connection = (lk_allowance_rate){ .messages = 10 };
  w.limits.edge_unanswered_bytes = 500;
  CHECK_OK(open_with(&w, test_alloc(), false));
  uint64_t c = joined(&w, NULL, JOIN);
  for (int i = 0; i < 12; i++) tell(&w, c, MESSAGE);
  CHECK(lk_edge_is_full(w.edge, c));
  pass(&w, SECOND_US);
  CHECK_U64(resumes(&w, c), 0);
  CHECK(lk_edge_is_full(w.edge, c));
  (void)serve(&w);
  CHECK_U64(resumes(&w, c), 1);
  for (int i = 0; i < 12; i++) tell(&w, c, MESSAGE);
  (void)serve(&w);
  CHECK_U64(resumes(&w, c), 0);
  CHECK(lk_edge_is_full(w.edge, c));
  pass(&w, SECOND_US);
  CHECK_U64(resumes(&w, c), 1);
  CHECK(!lk_edge_is_full(w.edge, c));
  tell(&w, c, MESSAGE);
  lk_edge_disconnect(w.edge, c); /* also while it is held */
  deinit(&w);
}

TEST(without_rates_or_without_a_clock_nobody_is_held) {
  for (int i = 0; i < 3; i++) {
    world w;
    init(&w);
    w.rates.connection = (lk_allowance_rate){ .messages = i == 0 ? 0 : 1 };
    if (i == 1) w.rates.burst_ns = 0;
    if (i == 2) w.now_us = 0;
    CHECK_OK(open_with(&w, test_alloc(), false));
    uint64_t c = joined(&w, NULL, JOIN);
    for (int j = 0; j < 200; j++) tell(&w, c, MESSAGE);
    CHECK(!lk_edge_is_full(w.edge, c));
    deinit(&w);
  }
}

/* Goal: memory for subjects is for those who are connected or went a moment ago.
 * Method: 10,000 subjects one after the other, in 100 seconds; what is allocated is counted. */
TEST(subjects_are_forgotten_when_their_buckets_are_full) {
  lk_budget counted;
  char claims[40];
  world w;
  size_t most = 0;
  init(&w);
  w.rates.subject = (lk_allowance_rate){ .messages = 1 };
  w.rates.burst_ns = 2000 * SECOND_US;
  lk_budget_init(&counted, test_alloc(), SIZE_MAX);
  CHECK_OK(open_with(&w, &counted.alloc, true));
  for (int i = 0; i < 10000; i++) {
    (void)snprintf(claims, sizeof claims, "{\"sub\":%d}", i);
    uint64_t c = connect(&w, claims);
    tell(&w, c, "[null,\"1\",\"phoenix\",\"heartbeat\",{}]");
    (void)resumes(&w, c);
    lk_edge_disconnect(w.edge, c);
    pass(&w, SECOND_US / 100);
    most = lk_max_size(most, counted.used);
  }
  CHECK(most < 65536); /* 100 of them */
  deinit(&w);
}

/* ---- who is nobody ---- */

TEST(who_is_nobody_may_say_a_little_and_then_brings_a_token_or_goes) {
  static char text[70000];
  world w;
  init(&w);
  CHECK_OK(open_with(&w, test_alloc(), true));
  uint64_t c = connect(&w, NULL), d = connect(&w, NULL), e = connect(&w, NULL);
  for (int i = 0; i < 8; i++) tell(&w, c, "[null,\"1\",\"phoenix\",\"heartbeat\",{}]");
  CHECK_ERR(lk_edge_receive(w.edge, c, LK_LIT("[null,\"1\",\"phoenix\",\"heartbeat\",{}]"), false),
            LK_ERR_TOKEN_MISSING);
  (void)snprintf(text, sizeof text, "[null,\"1\",\"phoenix\",\"x\",\"%065000d\"]", 0);
  tell(&w, d, text);
  CHECK_ERR(lk_edge_receive(w.edge, d, lk_slice_cstr(text), false), LK_ERR_TOKEN_MISSING);
  CHECK_U64(lk_edge_get_stats(w.edge).refused_strangers, 2);
  /* One that has a token for a topic is somebody, and so is one that logs in late. */
  tell(&w, e, "[\"1\",\"1\",\"t\",\"phx_join\",{\"token\":\"{\\\"sub\\\":1}\"}]");
  (void)serve(&w);
  for (int i = 0; i < 50; i++) tell(&w, e, MESSAGE);
  uint64_t f = connect(&w, NULL);
  tell(&w, f, "[null,\"1\",\"phoenix\",\"access_token\",{\"token\":\"{}\"}]");
  for (int i = 0; i < 50; i++) tell(&w, f, "[null,\"1\",\"phoenix\",\"heartbeat\",{}]");
  deinit(&w);
}

/* ---- messages that are too long ---- */

static void sees(world *w, const char *words) {
  lk_edge_output out;
  CHECK(lk_edge_poll(w->edge, &out) && out.kind == LK_EDGE_SEND);
  test_note("%.*s", (int)out.bytes.len, (const char *)out.bytes.ptr);
  CHECK(lk_slice_find(out.bytes, lk_slice_cstr(words)) != LK_SLICE_NONE);
}

static void tell_beginning(world *w, uint64_t c, const char *text) {
  CHECK_OK(lk_edge_receive_beginning(w->edge, c, lk_slice_cstr(text), 2000000, false));
}

TEST(of_a_message_that_is_too_long_the_beginning_says_what_to_answer) {
  world w;
  lk_bus_message m;
  init(&w);
  w.rates.connection = (lk_allowance_rate){ .bytes = 1000000 };
  CHECK_OK(open_with(&w, test_alloc(), false));
  uint64_t c = joined(&w, NULL, JOIN);
  tell_beginning(&w, c, "[\"1\",\"7\",\"t\",\"big\",{\"a\":\"");
  lk_slice bytes = lk_edge_bus_output(w.edge, 0), rest = bytes;
  lk_bus_reader_boundary(&w.heard);
  CHECK_OK(lk_bus_read(&w.heard, &rest, &m));
  CHECK(m.kind == LK_BUS_MESSAGE && m.binary && lk_slice_equal(m.event, LK_EVENT_TOO_BIG));
  CHECK_TEXT(m.payload, "big");
  CHECK(lk_edge_is_full(w.edge, c)); /* it has cost what it was long */
  tell_beginning(&w, c, "[null,\"8\",\"nowhere\",\"big\",{\"a\":\"");
  sees(&w, "[null,\"8\",\"nowhere\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":"
           "\"message_too_big\"");
  tell_beginning(&w, c, "[\"9\",\"9\",\"u\",\"phx_join\",{\"a\":\"");
  sees(&w, "[\"9\",\"9\",\"u\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":"
           "\"message_too_big\"");
  tell_beginning(&w, c, "[\"2\",\"9\",\"t\",\"phx_join\",{"); /* the joining of before stays */
  sees(&w, "[\"2\",\"9\",\"t\",\"phx_reply\",{\"status\":\"error\"");
  tell_beginning(&w, c, "[\"0\",\"2\",\"t\",\"stale\",");
  lk_edge_output out;
  CHECK(!lk_edge_poll(w.edge, &out));
  CHECK_U64(lk_edge_get_stats(w.edge).refused_too_big, 5);
  /* Clients cannot say what only the edge says. */
  tell(&w, c, "[\"1\",\"3\",\"t\",\"phx_too_big\",{}]");
  sees(&w, "reserved event");
  CHECK_ERR(lk_edge_receive_beginning(w.edge, c, LK_LIT("[\"1\",\"8\""), 2000000, false),
            LK_ERR_TOO_BIG);
  CHECK_ERR(lk_edge_receive_beginning(w.edge, c, LK_LIT("{}"), 2000000, false), LK_ERR_TOO_BIG);
  uint64_t v1;
  CHECK_OK(lk_edge_connect(w.edge, LK_MESSAGE_V1, NULL, &v1));
  CHECK_ERR(lk_edge_receive_beginning(w.edge, v1, LK_LIT("{\"topic\":\"t\","), 2000000, false),
            LK_ERR_TOO_BIG);
  deinit(&w);
}

TEST(memory_may_run_out_at_any_allocation_of_who_is_held) {
  FAULT_LOOP(faults, test_alloc()) {
    world w;
    lk_grant *grant = NULL;
    uint64_t c = 0;
    init(&w);
    w.rates.connection = w.rates.subject = (lk_allowance_rate){ .messages = 3 };
    lk_err err = open_with(&w, faulty_alloc(&faults), true);
    if (err == LK_OK) err = check(&w, LK_LIT("{\"sub\":\"ann\"}"), w.env.alloc, &grant);
    if (err == LK_OK) err = lk_edge_connect(w.edge, LK_MESSAGE_V2, grant, &c);
    for (int i = 0; i < 6 && err == LK_OK; i++)
      err = lk_edge_receive(w.edge, c, LK_LIT("[null,\"1\",\"phoenix\",\"heartbeat\",{}]"), false);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    for (int i = 0; i < 20 && err == LK_OK && lk_edge_is_full(w.edge, c); i++) pass(&w, SECOND_US);
    if (err == LK_OK && !faults.lasting) CHECK(!lk_edge_is_full(w.edge, c));
    deinit(&w);
  }
}
