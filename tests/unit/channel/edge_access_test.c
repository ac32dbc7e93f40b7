/* Who may do what at an edge, with a test in the place of its houses and of whoever checks tokens: a token is
 * "MS CLAIMS", good until MS, or one of the words below. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel/bus.h"
#include "channel/edge.h"
#include "harness/faulty.h"
#include "harness/test.h"

typedef struct world {
  lk_env env;
  lk_limits limits;
  lk_access access;
  lk_edge *edge;
  lk_bus_reader heard; /* of what the edge says */
  const char *revoked; /* an id */
  uint32_t checks;
} world;

static lk_err check(void *ctx, lk_slice token, const lk_alloc *alloc, lk_grant **out) {
  world *w = ctx;
  char text[512];
  w->checks++;
  CHECK(token.len < sizeof text);
  memcpy(text, token.ptr, token.len);
  text[token.len] = 0;
  if (strcmp(text, "expired") == 0) return LK_ERR_TOKEN_EXPIRED;
  char *claims;
  uint64_t ms = strtoull(text, &claims, 10);
  if (claims == text) return LK_ERR_TOKEN_INVALID;
  return lk_grant_parse(lk_slice_cstr(claims),
                        &(lk_grant_options){ .expires_ms = ms == 0 ? LK_GRANT_FOREVER : ms },
                        &w->limits, alloc, out);
}

static bool is_revoked(void *ctx, const lk_grant *grant) {
  const world *w = ctx;
  return w->revoked != NULL && lk_slice_equal(lk_grant_id(grant), lk_slice_cstr(w->revoked));
}

static void open_edge(world *w, const lk_alloc *alloc) {
  *w = (world){ .limits = lk_limits_default() };
  w->env = (lk_env)LK_ENV_INIT(alloc, NULL);
  w->access = (lk_access){ .ctx = w, .check = check, .is_revoked = is_revoked };
  lk_bus_reader_init(&w->heard, test_alloc(), 1 << 20);
  if (lk_edge_open(&(lk_edge_options){ .env = &w->env,
                                       .limits = &w->limits,
                                       .generation = 5,
                                       .hash_seed = { 1, 2 },
                                       .houses_count = 1,
                                       .access = &w->access },
                   &w->edge) != LK_OK)
    w->edge = NULL;
}

static void deinit(world *w) {
  lk_edge_close(w->edge);
  lk_bus_reader_deinit(&w->heard);
}

static void say(world *w, lk_bus_message m) {
  lk_buf frame;
  lk_buf_init(&frame, test_alloc(), 1 << 20);
  CHECK_OK(lk_bus_encode(&m, 1 << 20, &frame));
  lk_edge_feed(w->edge, 0, lk_buf_slice(&frame), true);
  lk_buf_deinit(&frame);
}

static void greet(world *w) { say(w, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 9 }); }

/* An edge whose house is there. */
static void open_greeted(world *w) {
  open_edge(w, test_alloc());
  greet(w);
}

/* The next message to the house, but HELLO. Its slices live until the next call on the edge. */
static bool hear(world *w, lk_bus_message *out) {
  do {
    lk_slice bytes = lk_edge_bus_output(w->edge, 0), rest = bytes;
    lk_bus_reader_boundary(&w->heard);
    if (lk_bus_read(&w->heard, &rest, out) != LK_OK) return false;
    lk_edge_bus_consume(w->edge, 0, bytes.len - rest.len);
  } while (out->kind == LK_BUS_HELLO);
  return true;
}

static uint64_t connect(world *w, const char *token) {
  uint64_t c = 0;
  lk_grant *grant = NULL;
  if (token != NULL) CHECK_OK(check(w, lk_slice_cstr(token), w->env.alloc, &grant));
  CHECK_OK(lk_edge_connect(w->edge, LK_MESSAGE_V2, grant, &c));
  return c;
}

static void tell(world *w, uint64_t c, const char *text) {
  test_note("%s", text);
  CHECK_OK(lk_edge_receive(w->edge, c, lk_slice_cstr(text), false));
}

/* What is sent next has |words| in it. */
static void sees(world *w, uint64_t c, const char *words) {
  lk_edge_output out;
  CHECK(lk_edge_poll(w->edge, &out));
  if (out.kind == LK_EDGE_SEND) test_note("%.*s", (int)out.bytes.len, (const char *)out.bytes.ptr);
  CHECK(out.kind == LK_EDGE_SEND && out.connections[0] == c);
  CHECK(lk_slice_find(out.bytes, lk_slice_cstr(words)) != LK_SLICE_NONE);
}

static void sees_nothing(world *w) {
  lk_edge_output out;
  CHECK(!lk_edge_poll(w->edge, &out));
}

static void accept(world *w, uint64_t request) {
  say(w, (lk_bus_message){ .kind = LK_BUS_ACCEPT, .request = request, .payload = LK_LIT("{}") });
}

static void reply(world *w, uint64_t request) {
  say(w, (lk_bus_message){ .kind = LK_BUS_REPLY,
                           .request = request,
                           .event = LK_LIT("ok"),
                           .payload = LK_LIT("{}") });
}

/* ---- rights ---- */

TEST(each_request_says_the_rights_of_its_client_and_a_join_who_it_is) {
  static const struct {
    const char *topics;
    lk_rights rights;
  } rows[] = { { "\"t\":\"read\"", LK_RIGHTS_READ },
               { "\"t\":\"write\"", LK_RIGHTS_WRITE },
               { "\"*\":\"admin\"", LK_RIGHTS_ADMIN } };
  for (size_t i = 0; i < 3; i++) {
    char token[100];
    world w;
    lk_bus_message m;
    open_edge(&w, test_alloc());
    greet(&w);
    (void)snprintf(token, sizeof token, "0 {\"sub\":\"ann\",\"topics\":{%s}}", rows[i].topics);
    uint64_t c = connect(&w, token);
    tell(&w, c, "[\"1\",\"1\",\"t\",\"phx_join\",{\"a\":1}]");
    CHECK(hear(&w, &m) && m.kind == LK_BUS_JOIN && m.rights == rows[i].rights);
    CHECK_TEXT(m.subject, "ann");
    CHECK_TEXT(m.payload, "{\"a\":1}");
    accept(&w, 1);
    tell(&w, c, "[\"1\",\"2\",\"t\",\"e\",{}]");
    CHECK(hear(&w, &m) && m.kind == LK_BUS_MESSAGE && m.rights == rows[i].rights);
    reply(&w, 2);
    say(&w, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 10 });
    CHECK(hear(&w, &m) && m.kind == LK_BUS_RESTORE && m.rights == rows[i].rights);
    CHECK_TEXT(m.subject, "ann");
    deinit(&w);
  }
}

TEST(who_may_not_read_is_refused_without_asking_the_house) {
  world w;
  lk_bus_message m;
  open_greeted(&w);
  uint64_t c = connect(&w, "0 {\"topics\":{\"t\":\"read\"}}");
  uint64_t nobody = connect(&w, NULL);
  for (int i = 0; i < 3; i++) {
    tell(&w, c, "[\"1\",\"1\",\"u\",\"phx_join\",{}]");
    sees(&w, c, "\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":\"unauthorized\"");
    tell(&w, nobody, "[\"1\",\"1\",\"t\",\"phx_join\",{}]");
    sees(&w, nobody, "\"reason\":\"unauthorized\"");
  }
  CHECK(!hear(&w, &m));
  CHECK_U64(lk_edge_get_stats(w.edge).unauthorized, 6);
  CHECK_U64(lk_edge_get_stats(w.edge).members, 0);
  deinit(&w);
}

TEST(without_a_way_to_check_tokens_everybody_may_do_everything) {
  world w;
  lk_bus_message m;
  open_edge(&w, test_alloc());
  lk_edge_close(w.edge);
  CHECK_OK(lk_edge_open(
      &(lk_edge_options){ .env = &w.env, .limits = &w.limits, .generation = 5, .houses_count = 1 },
      &w.edge));
  greet(&w);
  uint64_t c = connect(&w, NULL);
  tell(&w, c, "[\"1\",\"1\",\"t\",\"phx_join\",{\"token\":\"x\"}]");
  CHECK(hear(&w, &m) && m.kind == LK_BUS_JOIN && m.rights == LK_RIGHTS_ADMIN);
  CHECK_TEXT(m.payload, "{\"token\":\"x\"}");
  CHECK_U64(m.subject.len, 0);
  accept(&w, 1);
  sees(&w, c, "\"ok\"");
  tell(&w, c, "[\"1\",\"2\",\"t\",\"access_token\",{\"token\":\"x\"}]");
  sees(&w, c, "this server asks for no token");
  tell(&w, c, "[null,\"3\",\"phoenix\",\"access_token\",{\"token\":\"x\"}]");
  sees(&w, c, "this server asks for no token");
  CHECK_U64(lk_edge_deadline(w.edge), UINT64_MAX);
  lk_edge_step(w.edge, UINT64_MAX);
  lk_edge_recheck(w.edge);
  sees_nothing(&w);
  CHECK_U64(w.checks, 0);
  deinit(&w);
}

/* ---- the end of a token ---- */

TEST(a_connection_ends_with_its_token_to_the_millisecond) {
  world w;
  lk_edge_output out;
  open_edge(&w, test_alloc());
  uint64_t late = connect(&w, "2000 {}"), early = connect(&w, "1000 {}"),
           never = connect(&w, "0 {}");
  CHECK_U64(lk_edge_deadline(w.edge), 1000);
  lk_edge_step(w.edge, 999);
  sees_nothing(&w);
  lk_edge_step(w.edge, 1000);
  CHECK(lk_edge_poll(w.edge, &out) && out.kind == LK_EDGE_CLOSE);
  CHECK(out.connections[0] == early && out.reason == LK_ERR_TOKEN_EXPIRED);
  sees_nothing(&w);
  CHECK_ERR(lk_edge_receive(w.edge, early, LK_LIT("[]"), false), LK_ERR_CLOSED);
  lk_edge_disconnect(w.edge, early);
  CHECK_U64(lk_edge_deadline(w.edge), 2000);
  lk_edge_disconnect(w.edge, late); /* its deadline goes with it */
  CHECK_U64(lk_edge_deadline(w.edge), UINT64_MAX);
  lk_edge_step(w.edge, UINT64_MAX);
  sees_nothing(&w);
  tell(&w, never, "[null,\"5\",\"phoenix\",\"heartbeat\",{}]");
  deinit(&w);
}

/* Goal: many that end at once are closed in order, whichever of them goes away by itself before it was told. */
TEST(connections_that_end_at_once_are_closed_one_by_one) {
  world w;
  lk_edge_output out;
  uint64_t c[7];
  open_edge(&w, test_alloc());
  for (int i = 0; i < 6; i++) c[i] = connect(&w, "1000 {}");
  c[6] = connect(&w, "1500 {}");
  lk_edge_step(w.edge, 1000);
  lk_edge_disconnect(w.edge, c[0]);
  lk_edge_disconnect(w.edge, c[2]);
  lk_edge_disconnect(w.edge, c[5]);
  lk_edge_step(w.edge, 1500);
  static const int rest[] = { 1, 3, 4, 6 };
  for (int i = 0; i < 4; i++) {
    CHECK(lk_edge_poll(w.edge, &out) && out.kind == LK_EDGE_CLOSE);
    CHECK_U64(out.connections[0], c[rest[i]]);
    lk_edge_disconnect(w.edge, c[rest[i]]);
  }
  sees_nothing(&w);
  uint64_t fresh = connect(&w, "3000 {}");
  lk_edge_step(w.edge, 3000);
  CHECK(lk_edge_poll(w.edge, &out) && out.connections[0] == fresh);
  CHECK_U64(lk_edge_get_stats(w.edge).leases_ended, 8);
  deinit(&w);
}

TEST(who_has_a_token_that_was_taken_back_ends_and_nobody_else) {
  world w;
  lk_edge_output out;
  open_greeted(&w);
  uint64_t one = connect(&w, "0 {\"jti\":\"7\"}");
  uint64_t other = connect(&w, "0 {\"jti\":\"8\"}");
  tell(&w, other,
       "[\"1\",\"1\",\"t\",\"phx_join\",{\"token\":\"0 "
       "{\\\"jti\\\":\\\"7\\\",\\\"topics\\\":{\\\"t\\\":\\\"read\\\"}}\"}]");
  accept(&w, 1);
  sees(&w, other, "\"ok\"");
  lk_edge_recheck(w.edge);
  sees_nothing(&w);
  w.revoked = "7";
  lk_edge_recheck(w.edge);
  sees(&w, other, "\"phx_error\",{\"reason\":\"token_revoked\"}");
  CHECK(lk_edge_poll(w.edge, &out) && out.kind == LK_EDGE_CLOSE);
  CHECK(out.connections[0] == one && out.reason == LK_ERR_TOKEN_REVOKED);
  sees_nothing(&w);
  deinit(&w);
}

/* ---- tokens of topics ---- */

#define JOIN_T(token)                                                                              \
  "[\"1\",\"1\",\"t\",\"phx_join\",{\"a\":[1],\"token\":\"" token "\",\"b\":{}}]"
#define READ_T(ms) ms " {\\\"topics\\\":{\\\"t\\\":\\\"read\\\"}}"
#define WRITE_T(ms) ms " {\\\"topics\\\":{\\\"t\\\":\\\"write\\\"}}"

TEST(a_token_in_the_params_of_a_join_gives_rights_on_that_topic_and_goes_no_further) {
  world w;
  lk_bus_message m;
  open_greeted(&w);
  uint64_t c = connect(&w, "0 {\"sub\":\"ann\",\"topics\":{\"t\":\"read\"}}");
  tell(&w, c, JOIN_T(WRITE_T("0")));
  CHECK(hear(&w, &m) && m.kind == LK_BUS_JOIN && m.rights == LK_RIGHTS_WRITE);
  CHECK_TEXT(m.payload, "{\"a\":[1],\"b\":{}}");
  CHECK_TEXT(m.subject, "ann");
  accept(&w, 1);
  sees(&w, c, "\"ok\"");
  say(&w, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 10 });
  CHECK(hear(&w, &m) && m.kind == LK_BUS_RESTORE && m.rights == LK_RIGHTS_WRITE);
  CHECK_TEXT(m.payload, "{\"a\":[1],\"b\":{}}");
  tell(&w, c, "[\"2\",\"2\",\"u\",\"phx_join\",{}]"); /* another topic has none of it */
  sees(&w, c, "unauthorized");
  deinit(&w);
}

TEST(a_token_names_its_member_where_the_connection_names_nobody) {
  world w;
  lk_bus_message m;
  open_greeted(&w);
  uint64_t c = connect(&w, NULL);
  tell(&w, c, JOIN_T("0 {\\\"sub\\\":\\\"bob\\\",\\\"topics\\\":{\\\"t\\\":\\\"read\\\"}}"));
  CHECK(hear(&w, &m) && m.kind == LK_BUS_JOIN && m.rights == LK_RIGHTS_READ);
  CHECK_TEXT(m.subject, "bob");
  deinit(&w);
}

TEST(a_join_with_a_token_that_is_not_good_is_refused_and_it_is_said_why) {
  static const char *const rows[][2] = {
    { "\"expired\"", "\"reason\":\"token_expired\"" },
    { "\"what\"", "\"reason\":\"token_invalid\"" },
    { "7", "\"reason\":\"token_invalid\"" },
    { "null", "\"reason\":\"token_invalid\"" },
    { "{\"a\":1}", "\"reason\":\"token_invalid\"" },
    { "\"0 []\"", "\"reason\":\"token_claims\"" },
    { "\"0 {\\\"sub\\\":\\\"bob\\\"}\"",
      "\"reason\":\"token_claims\"" }, /* the connection is somebody else */
    { "\"0 {}\"", "\"reason\":\"unauthorized\"" },
  };
  world w;
  lk_bus_message m;
  open_greeted(&w);
  uint64_t c = connect(&w, "0 {\"sub\":\"ann\",\"topics\":{}}");
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char text[200];
    (void)snprintf(text, sizeof text, "[\"1\",\"1\",\"t\",\"phx_join\",{\"token\":%s}]",
                   rows[i][0]);
    tell(&w, c, text);
    sees(&w, c, rows[i][1]);
    CHECK(!hear(&w, &m));
  }
  CHECK_U64(lk_edge_get_stats(w.edge).members, 0);
  CHECK_U64(lk_edge_deadline(w.edge), UINT64_MAX);
  deinit(&w);
}

TEST(a_member_ends_with_the_token_of_its_topic_and_its_connection_goes_on) {
  world w;
  lk_bus_message m;
  open_greeted(&w);
  uint64_t c = connect(&w, "0 {\"topics\":{\"u\":\"read\"}}");
  tell(&w, c, JOIN_T(READ_T("1000")));
  accept(&w, 1);
  sees(&w, c, "\"ok\"");
  tell(&w, c, "[\"2\",\"2\",\"u\",\"phx_join\",{}]");
  accept(&w, 2);
  sees(&w, c, "\"ok\"");
  while (hear(&w, &m)) continue;
  lk_edge_step(w.edge, 999);
  sees_nothing(&w);
  lk_edge_step(w.edge, 1000);
  sees(&w, c, "[\"1\",\"1\",\"t\",\"phx_error\",{\"reason\":\"token_expired\"}]");
  CHECK(hear(&w, &m) && m.kind == LK_BUS_LEAVE);
  sees_nothing(&w);
  tell(&w, c, "[\"2\",\"3\",\"u\",\"e\",{}]");
  CHECK(hear(&w, &m) && m.kind == LK_BUS_MESSAGE);
  CHECK_U64(lk_edge_get_stats(w.edge).members, 1);
  deinit(&w);
}

/* Before the house has answered, it is the join that ends. */
TEST(a_member_that_is_still_joining_when_its_token_ends_is_refused) {
  world w;
  lk_bus_message m;
  open_greeted(&w);
  uint64_t c = connect(&w, "0 {\"topics\":{}}");
  tell(&w, c, JOIN_T(READ_T("1000")));
  CHECK(hear(&w, &m) && m.kind == LK_BUS_JOIN);
  lk_edge_step(w.edge, 1000);
  sees(&w, c,
       "[\"1\",\"1\",\"t\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":\"token_"
       "expired\"}}]");
  CHECK(hear(&w, &m) && m.kind == LK_BUS_LEAVE);
  accept(&w, 1); /* too late */
  sees_nothing(&w);
  deinit(&w);
}

/* ---- renewal ---- */

#define RENEW(token) "[null,\"9\",\"phoenix\",\"access_token\",{\"token\":\"" token "\"}]"

TEST(a_connection_renews_its_token_and_lives_as_long_as_the_new_one) {
  world w;
  lk_edge_output out;
  open_edge(&w, test_alloc());
  uint64_t c = connect(&w, "1000 {\"sub\":\"ann\"}");
  tell(&w, c, RENEW("2000 {\\\"sub\\\":\\\"ann\\\"}"));
  sees(&w, c, "{\"status\":\"ok\",\"response\":{\"expires_at\":2000}}");
  lk_edge_step(w.edge, 1999);
  sees_nothing(&w);
  lk_edge_step(w.edge, 2000);
  CHECK(lk_edge_poll(w.edge, &out) && out.kind == LK_EDGE_CLOSE);
  uint64_t d = connect(&w, "3000 {\"sub\":\"ann\"}");
  tell(&w, d, RENEW("0 {\\\"sub\\\":\\\"ann\\\"}"));
  sees(&w, d, "{\"expires_at\":null}");
  CHECK_U64(lk_edge_deadline(w.edge), UINT64_MAX);
  deinit(&w);
}

TEST(a_connection_cannot_become_somebody_else_and_keeps_what_it_had) {
  static const char *const refused[][2] = {
    { RENEW("0 {\\\"sub\\\":\\\"bob\\\"}"), "token_claims" },
    { RENEW("0 {}"), "token_claims" },
    { RENEW("expired"), "token_expired" },
    { RENEW("what"), "token_invalid" },
    { "[null,\"9\",\"phoenix\",\"access_token\",{}]", "no token" },
    { "[null,\"9\",\"phoenix\",\"access_token\",{\"token\":7}]", "no token" },
  };
  world w;
  lk_edge_output out;
  open_edge(&w, test_alloc());
  uint64_t c = connect(&w, "1000 {\"sub\":\"ann\"}");
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    tell(&w, c, refused[i][0]);
    sees(&w, c, refused[i][1]);
  }
  CHECK_U64(lk_edge_deadline(w.edge), 1000);
  lk_edge_step(w.edge, 1000);
  CHECK(lk_edge_poll(w.edge, &out) && out.kind == LK_EDGE_CLOSE);
  deinit(&w);
}

TEST(with_a_new_token_members_have_its_rights_and_those_without_any_are_out) {
  world w;
  lk_bus_message m;
  open_greeted(&w);
  uint64_t c = connect(&w, "0 {\"topics\":{\"*\":\"write\"}}");
  static const char *const joins[] = { "[\"1\",\"1\",\"t\",\"phx_join\",{}]",
                                       "[\"2\",\"2\",\"u\",\"phx_join\",{}]",
                                       "[\"3\",\"3\",\"v\",\"phx_join\",{}]" };
  for (uint64_t i = 0; i < 3; i++) {
    tell(&w, c, joins[i]);
    accept(&w, i + 1);
    sees(&w, c, "\"ok\"");
  }
  while (hear(&w, &m)) continue;
  tell(&w, c, RENEW("0 {\\\"topics\\\":{\\\"u\\\":\\\"read\\\"}}"));
  sees(&w, c, "\"expires_at\"");
  sees(&w, c, "[\"1\",\"1\",\"t\",\"phx_error\",{\"reason\":\"unauthorized\"}]");
  sees(&w, c, "[\"3\",\"3\",\"v\",\"phx_error\",{\"reason\":\"unauthorized\"}]");
  CHECK(hear(&w, &m) && m.kind == LK_BUS_LEAVE);
  CHECK(hear(&w, &m) && m.kind == LK_BUS_LEAVE);
  tell(&w, c, "[\"2\",\"4\",\"u\",\"e\",{}]");
  CHECK(hear(&w, &m) && m.kind == LK_BUS_MESSAGE && m.rights == LK_RIGHTS_READ);
  deinit(&w);
}

TEST(a_member_renews_the_token_of_its_topic) {
  world w;
  lk_bus_message m;
  open_greeted(&w);
  uint64_t c = connect(&w, "0 {\"topics\":{}}");
  tell(&w, c, JOIN_T(READ_T("1000")));
  accept(&w, 1);
  sees(&w, c, "\"ok\"");
  while (hear(&w, &m)) continue;
  tell(&w, c, "[\"1\",\"2\",\"t\",\"access_token\",{\"token\":\"" WRITE_T("2000") "\"}]");
  sees(&w, c,
       "[\"1\",\"2\",\"t\",\"phx_reply\",{\"status\":\"ok\",\"response\":{\"expires_at\":2000}}]");
  CHECK(!hear(&w, &m)); /* the room need not know */
  tell(&w, c, "[\"1\",\"3\",\"t\",\"e\",{}]");
  CHECK(hear(&w, &m) && m.kind == LK_BUS_MESSAGE && m.rights == LK_RIGHTS_WRITE);
  static const char *const refused[][2] = {
    { "{\"token\":\"0 {\\\"topics\\\":{\\\"u\\\":\\\"read\\\"}}\"}", "unauthorized" },
    { "{\"token\":\"expired\"}", "token_expired" },
    { "{\"token\":8}", "token_missing" },
    { "{}", "token_missing" },
    { "[]", "token_missing" },
  };
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    char text[200];
    (void)snprintf(text, sizeof text, "[\"1\",\"4\",\"t\",\"access_token\",%s]", refused[i][0]);
    tell(&w, c, text);
    sees(&w, c, refused[i][1]);
  }
  CHECK_U64(lk_edge_deadline(w.edge), 2000);
  deinit(&w);
}

/* ---- memory ---- */

/* Goal: whatever allocation fails, nobody has more rights than his token gave, and nothing is left behind. */
TEST(tokens_at_an_edge_survive_every_failing_allocation) {
  FAULT_LOOP(faults, test_alloc()) {
    world w;
    lk_edge_output out;
    uint64_t c = 0;
    lk_grant *grant = NULL;
    open_edge(&w, faulty_alloc(&faults));
    if (w.edge == NULL) {
      CHECK(faults.hit);
      deinit(&w);
      continue;
    }
    greet(&w);
    lk_err err = check(&w, LK_LIT("1000 {\"sub\":\"ann\",\"topics\":{}}"), w.env.alloc, &grant);
    if (err == LK_OK) err = lk_edge_connect(w.edge, LK_MESSAGE_V2, grant, &c);
    static const char *const said[] = {
      JOIN_T(READ_T("900")),
      "[\"1\",\"2\",\"t\",\"access_token\",{\"token\":\"" WRITE_T("950") "\"}]",
      RENEW("2000 {\\\"sub\\\":\\\"ann\\\",\\\"topics\\\":{}}"),
    };
    for (int i = 0; i < 3 && err == LK_OK; i++) {
      err = lk_edge_receive(w.edge, c, lk_slice_cstr(said[i]), false);
      if (i == 0) accept(&w, 1);
      while (err == LK_OK && lk_edge_poll(w.edge, &out))
        if (out.kind == LK_EDGE_CLOSE) err = LK_ERR_CLOSED;
    }
    if (!faults.hit) CHECK_OK(err);
    lk_edge_step(w.edge, 960);
    if (!faults.hit) CHECK_U64(lk_edge_deadline(w.edge), 2000);
    lk_edge_step(w.edge, 2000);
    CHECK_U64(lk_edge_deadline(w.edge), UINT64_MAX);
    while (lk_edge_poll(w.edge, &out)) continue;
    deinit(&w);
  }
}
