/* Where a request's token is looked for, and what is answered without a good one. */
#include <stdio.h>
#include <string.h>

#include "harness/faulty.h"
#include "harness/test.h"
#include "server/routes.h"

/* Whoever checks takes "good" and remembers what he was shown. */
typedef struct door {
  char shown[128];
  uint32_t count;
} door;

static lk_err check(void *ctx, lk_slice token, const lk_alloc *alloc, lk_grant **out) {
  door *d = ctx;
  lk_limits limits = lk_limits_default();
  CHECK(token.len < sizeof d->shown);
  if (token.len > 0) memcpy(d->shown, token.ptr, token.len);
  d->shown[token.len] = 0;
  d->count++;
  if (token.len == 0) return LK_ERR_TOKEN_MISSING;
  if (strcmp(d->shown, "old") == 0) return LK_ERR_TOKEN_EXPIRED;
  if (strcmp(d->shown, "huge") == 0) return LK_ERR_TOO_BIG;
  if (strcmp(d->shown, "good") != 0) return LK_ERR_TOKEN_INVALID;
  return lk_grant_parse(LK_LIT("{\"sub\":\"ann\"}"), &(lk_grant_options){ .expires_ms = 1 },
                        &limits, alloc, out);
}

static bool has_poll(void *ctx, lk_slice token) {
  (void)ctx;
  return lk_slice_equal(token, LK_LIT("session"));
}

typedef struct fixture {
  lk_limits limits;
  lk_http1 http;
  lk_buf out;
  lk_answer answer;
  door door;
  lk_err err;
} fixture;

static void ask(fixture *f, const char *line, const char *headers, const lk_alloc *alloc) {
  static const lk_http1_options options = { 0 };
  static const lk_assets none = { NULL, 0 };
  const lk_access access = { .ctx = &f->door, .check = check };
  static const lk_slice off[] = { LK_LIT_INIT("doc:closed/*"), LK_LIT_INIT("doc:one") };
  static const lk_alias alias = { LK_LIT_INIT("doc:other/"), LK_LIT_INIT("doc:closed/"), true };
  const lk_routes routes = { .assets = &none,
                             .ready = true,
                             .access = &access,
                             .has_poll = has_poll,
                             .aliases = { &alias, 1 },
                             .y_off = off,
                             .y_off_count = 2 };
  char text[1024];
  lk_http1_request request;
  int len = snprintf(text, sizeof text,
                     "%s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: "
                     "websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
                     "dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                     line, headers);
  lk_slice in = lk_slice_of(text, (size_t)len);
  test_note("%s %s", line, headers);
  f->limits = lk_limits_default();
  f->door = (door){ 0 };
  lk_http1_init(&f->http, test_alloc(), &f->limits, &options, 0);
  lk_buf_init(&f->out, alloc, 65536);
  CHECK_OK(lk_http1_feed(&f->http, 0, &in));
  CHECK(lk_http1_poll(&f->http, &request));
  f->err = lk_routes_answer(&routes, &request, LK_SLICE_EMPTY, 784111777000u, &f->out, &f->answer);
}

static void done(fixture *f, const lk_alloc *alloc) {
  lk_grant_free(f->answer.grant, alloc);
  lk_http1_deinit(&f->http);
  lk_buf_deinit(&f->out);
}

static bool says(const fixture *f, const char *text) {
  return lk_slice_find(lk_buf_slice(&f->out), lk_slice_cstr(text)) != LK_SLICE_NONE;
}

#define SOCKET "GET /socket/websocket?vsn=2.0.0"
#define BEARER "Authorization: Bearer "
#define OFFER "Sec-WebSocket-Protocol: phoenix, base64url.bearer.phx."

TEST(a_token_is_found_in_each_place_and_the_first_of_them_counts) {
  static const struct {
    const char *line;
    const char *headers;
    const char *shown;
  } rows[] = {
    { SOCKET "&token=good", "", "good" },
    { SOCKET "&token=g%6Fod", "", "good" },
    { SOCKET "&token=a%2Bb+c", "", "a+b c" },
    { SOCKET "&Token=good", "", "" },
    { SOCKET "&xtoken=good&token=", "", "" },
    { SOCKET "&token=good&token=other", "", "good" },
    { SOCKET, BEARER "good\r\n", "good" },
    { SOCKET, "authorization: bearer  good\r\n", "good" },
    { SOCKET, "Authorization: Basic good\r\n", "" },
    { SOCKET, "X-Phoenix-AuthToken: good\r\n", "good" },
    { SOCKET, OFFER "Z29vZA\r\n", "good" },
    { SOCKET, OFFER "Z29vZA==\r\n", "good" },
    { SOCKET, OFFER "Pz8_\r\n", "???" }, /* either alphabet */
    { SOCKET, OFFER "Pz8/\r\n", "???" },
    { SOCKET, "Sec-WebSocket-Protocol: phoenix\r\n", "" },
    { SOCKET, "Sec-WebSocket-Protocol: base64url.bearer.phx.\r\n", "" },
    { SOCKET "&token=d", BEARER "a\r\n" OFFER "Yg\r\nX-Phoenix-AuthToken: c\r\n", "a" },
    { SOCKET "&token=d", "X-Phoenix-AuthToken: c\r\n" OFFER "Yg\r\n", "b" },
    { SOCKET "&token=d", "X-Phoenix-AuthToken: c\r\n", "c" },
    { "GET /y/a?token=good", "", "good" },
    { "GET /y/a?x=1", BEARER "good\r\n", "good" },
    { "GET /socket/longpoll?vsn=2.0.0&token=good", "", "good" },
    { "GET /socket/longpoll?vsn=2.0.0&token=good&token=dead", "", "good" },
    { "GET /socket/longpoll?vsn=2.0.0", "X-Phoenix-AuthToken: good\r\n", "good" },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    fixture f;
    ask(&f, rows[i].line, rows[i].headers, test_alloc());
    CHECK_OK(f.err);
    CHECK_SLICE(lk_slice_cstr(f.door.shown), lk_slice_cstr(rows[i].shown));
    CHECK_U64(f.door.count, 1);
    bool is_good = strcmp(rows[i].shown, "good") == 0;
    CHECK((f.answer.upgrade || f.answer.poll) == is_good);
    CHECK((f.answer.grant != NULL) == is_good);
    done(&f, test_alloc());
  }
}

TEST(who_brings_no_good_token_is_told_why) {
  static const struct {
    const char *line;
    const char *headers;
    const char *says;
  } rows[] = {
    { SOCKET, "", "HTTP/1.1 403 " },
    { SOCKET, "", "{\"error\":\"LK_ERR_TOKEN_MISSING\",\"message\":\"" },
    { SOCKET "&token=old", "", "LK_ERR_TOKEN_EXPIRED" },
    { SOCKET "&token=x", "", "LK_ERR_TOKEN_INVALID" },
    { SOCKET "&token=%zz", "", "LK_ERR_TOKEN_INVALID" },
    { SOCKET "&token=%00", "", "LK_ERR_TOKEN_INVALID" },
    { SOCKET, OFFER "!\r\n", "LK_ERR_TOKEN_INVALID" },
    { SOCKET, OFFER "Z29vZB\r\n", "LK_ERR_TOKEN_INVALID" }, /* bits behind the last byte */
    { "GET /socket/longpoll?vsn=2.0.0", "", "HTTP/1.1 200 " },
    { "GET /socket/longpoll?vsn=2.0.0", "", "{\"status\":403,\"error\":\"LK_ERR_TOKEN_MISSING\"" },
    { "GET /socket/longpoll?vsn=2.0.0&token=dead", "", "LK_ERR_TOKEN_INVALID" },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    fixture f;
    ask(&f, rows[i].line, rows[i].headers, test_alloc());
    CHECK_OK(f.err);
    CHECK(!f.answer.upgrade && !f.answer.poll && f.answer.grant == NULL);
    CHECK(says(&f, rows[i].says));
    done(&f, test_alloc());
  }
}

/* A page sees no more of a refused upgrade than that it failed, and y-websocket tries again for ever: so that client is
 * told within the WebSocket. */
TEST(who_brings_no_good_token_for_a_document_is_told_behind_the_upgrade) {
  static const struct {
    const char *line;
    const char *headers;
    lk_err why;
  } rows[] = {
    { "GET /y/a", "", LK_ERR_TOKEN_MISSING },
    { "GET /y/a?token=", "", LK_ERR_TOKEN_MISSING },
    { "GET /y/a?token=old", "", LK_ERR_TOKEN_EXPIRED },
    { "GET /y/a?token=x", "", LK_ERR_TOKEN_INVALID },
    { "GET /y/a?token=%zz", "", LK_ERR_TOKEN_INVALID },
    { "GET /y/a?token=huge", "", LK_ERR_TOKEN_INVALID },
    { "GET /y/a?token=good", "", LK_OK },
    { "GET /y/closed/b?token=good", "", LK_ERR_DIALECT },
    { "GET /y/closed%2Fb", BEARER "x\r\n", LK_ERR_DIALECT },
    { "GET /y/closed", BEARER "good\r\n", LK_OK },
    { "GET /y/other/b", BEARER "good\r\n", LK_ERR_DIALECT }, /* another name of closed/b */
    { "GET /y/one", BEARER "good\r\n", LK_ERR_DIALECT },
    { "GET /y/one1", BEARER "good\r\n", LK_OK },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    fixture f;
    ask(&f, rows[i].line, rows[i].headers, test_alloc());
    CHECK_OK(f.err);
    CHECK(f.answer.upgrade && f.answer.why == rows[i].why && f.out.len == 0);
    CHECK((f.answer.grant != NULL) == (rows[i].why == LK_OK));
    CHECK(rows[i].why != LK_ERR_DIALECT || f.door.count == 0); /* a topic is cheaper than a token */
    done(&f, test_alloc());
  }
}

/* A session was asked when it began; what is no upgrade, or not served, costs no signature. */
TEST(nobody_is_asked_twice_or_for_nothing) {
  static const char *const lines[] = {
    "GET /socket/longpoll?vsn=2.0.0&token=session",
    "POST /socket/longpoll?vsn=2.0.0&token=session",
    "POST /socket/longpoll?vsn=2.0.0&token=dead",
    "OPTIONS /socket/longpoll?vsn=2.0.0",
    "GET /socket/longpoll?vsn=9",
    "GET /socket/websocket?vsn=9",
    "POST /socket/websocket?vsn=2.0.0",
    "GET /y/",
    "GET /healthz",
    "GET /nothing",
  };
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
    fixture f;
    ask(&f, lines[i], BEARER "good\r\n", test_alloc());
    CHECK_OK(f.err);
    CHECK_U64(f.door.count, 0);
    CHECK(f.answer.grant == NULL);
    done(&f, test_alloc());
  }
}

static void ask_without_memory(const char *line) {
  FAULT_LOOP(faults, test_alloc()) {
    fixture f;
    ask(&f, line, "", faulty_alloc(&faults));
    bool is_in = f.answer.upgrade && f.answer.why == LK_OK;
    if (!faults.hit) CHECK(f.err == LK_OK && is_in);
    CHECK(is_in == (f.answer.grant != NULL));
    done(&f, faulty_alloc(&faults));
  }
}

TEST(a_token_for_which_there_is_no_memory_lets_nobody_in) {
  ask_without_memory(SOCKET "&token=good");
  ask_without_memory("GET /y/a?token=good");
}
