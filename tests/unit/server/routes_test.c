/* Requests in, bytes out: each status, the headers that all have, and what HEAD
 * leaves out. */
#include "harness/test.h"
#include "server/routes.h"

#include <stdio.h>
#include <string.h>

static const uint8_t page[] = "<!doctype html>";
static const uint8_t script_br[] = "BR", script_gzip[] = "GZIP";
static const lk_asset items[] = {
    {.path = LK_LIT_INIT("/index.html"),
     .type = LK_LIT_INIT("text/html; charset=utf-8"),
     .etag = LK_LIT_INIT("\"tag\""),
     .begin = page,
     .end = page + 15},
    {.path = LK_LIT_INIT("/script.js"),
     .type = LK_LIT_INIT("text/javascript; charset=utf-8"),
     .etag = LK_LIT_INIT("\"s\""),
     .begin = page,
     .end = page + 15,
     .br = {LK_LIT_INIT("\"s-br\""), script_br, script_br + 2},
     .gzip = {LK_LIT_INIT("\"s-gzip\""), script_gzip, script_gzip + 4}},
};
static const lk_assets pages = {items, 2};
static const lk_assets no_pages = {NULL, 0};

static void write_metrics(void *ctx, lk_buf *out) {
  (void)ctx;
  (void)lk_buf_append(out, LK_LIT("rooms 7\n"));
}

typedef struct fixture {
  lk_limits limits;
  lk_http1 http;
  lk_buf out;
  lk_answer answer;
  lk_err err;
} fixture;

static void deinit(fixture *f) {
  lk_http1_deinit(&f->http);
  lk_buf_deinit(&f->out);
}

/* |text| is a whole request. */
static void ask_routes(fixture *f, const lk_routes *routes, const char *text,
                       const lk_alloc *alloc) {
  static const lk_http1_options options = {0};
  lk_slice in = lk_slice_cstr(text);
  lk_http1_request request;
  f->limits = lk_limits_default();
  lk_http1_init(&f->http, test_alloc(), &f->limits, &options, 0);
  lk_buf_init(&f->out, alloc, 65536);
  CHECK_OK(lk_http1_feed(&f->http, 0, &in));
  CHECK(lk_http1_poll(&f->http, &request));
  f->err =
      lk_routes_answer(routes, &request, LK_SLICE_EMPTY, 784111777000u, &f->out, &f->answer);
}

static void ask(fixture *f, const lk_assets *assets, bool ready,
                const char *text, const lk_alloc *alloc) {
  lk_routes routes = {
      .assets = assets, .ready = ready, .metrics = write_metrics};
  ask_routes(f, &routes, text, alloc);
}

static bool says(const fixture *f, const char *text) {
  return lk_slice_find(lk_buf_slice(&f->out), lk_slice_cstr(text)) !=
         LK_SLICE_NONE;
}

static unsigned status_of(const fixture *f) {
  CHECK(f->out.len > 12);
  return (unsigned)(f->out.ptr[9] - '0') * 100 +
         (unsigned)(f->out.ptr[10] - '0') * 10 +
         (unsigned)(f->out.ptr[11] - '0');
}

typedef struct row {
  const char *request; /* without its Host header and the blank line */
  unsigned status;     /* 0: an upgrade */
} row;

#define UPGRADE                                                                \
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: "       \
  "13\r\nSec-WebSocket-Key: "                                                  \
  "dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define SOCKET "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\n"

static const row rows[] = {
    {"GET / HTTP/1.1\r\n", 200},
    {"GET /index.html HTTP/1.1\r\n", 200},
    {"GET /index.html?x=1 HTTP/1.1\r\n", 200},
    {"HEAD /index.html HTTP/1.1\r\n", 200},
    {"GET /healthz HTTP/1.1\r\n", 200},
    {"HEAD /healthz HTTP/1.1\r\n", 200},
    {"GET /readyz HTTP/1.1\r\n", 200},
    {"GET /metrics HTTP/1.1\r\n", 200},
    {"GET / HTTP/1.1\r\nIf-None-Match: \"tag\"\r\n", 304},
    {"GET / HTTP/1.1\r\nIf-None-Match: \"other\"\r\n", 200},
    {"GET /nothing HTTP/1.1\r\n", 404},
    {"GET /healthz/ HTTP/1.1\r\n", 404},
    {"GET /../etc/passwd HTTP/1.1\r\n", 404},
    {"HEAD /nothing HTTP/1.1\r\n", 404},
    {"POST / HTTP/1.1\r\n", 405},
    {"get / HTTP/1.1\r\n", 405},
    {"DELETE /healthz HTTP/1.1\r\n", 405},
    {"OPTIONS * HTTP/1.1\r\n", 405},
    {SOCKET, 400},
    {SOCKET UPGRADE, 0},
    {SOCKET UPGRADE "Origin: http://localhost:1\r\n", 0},
    {SOCKET UPGRADE "Origin: http://evil.example\r\n", 403},
    {SOCKET UPGRADE "Origin: http://localhost\r\nOrigin: http://localhost\r\n",
     403},
    {"GET /socket/websocket HTTP/1.1\r\n" UPGRADE, 0},
    {"GET /socket/websocket?vsn=3.0.0 HTTP/1.1\r\n" UPGRADE, 403},
    {"GET /socket/websocket?vsn=1.0.0 HTTP/1.1\r\n" UPGRADE, 0},
    {"GET /socket/websocket?vsn=2.0.99 HTTP/1.1\r\n" UPGRADE, 0},
    {"GET /socket/websocket?vsn=2.0. HTTP/1.1\r\n" UPGRADE, 403},
    {"GET /socket/websocket?vsn=2.1.0 HTTP/1.1\r\n" UPGRADE, 403},
    {"GET /socket/websocket?vsn=1.0.0&vsn=2.0.0 HTTP/1.1\r\n" UPGRADE, 0},
    {"POST /socket/websocket?vsn=2.0.0 HTTP/1.1\r\n" UPGRADE, 405},
    {"GET /y/a HTTP/1.1\r\n", 400},
    {"GET /y/a HTTP/1.1\r\n" UPGRADE, 0},
    {"GET /y/a?token=t&x=%zz HTTP/1.1\r\n" UPGRADE, 0},
    {"GET /y/a HTTP/1.1\r\n" UPGRADE "Origin: http://localhost:1\r\n", 0},
    {"GET /y/a HTTP/1.1\r\n" UPGRADE "Origin: http://evil.example\r\n", 403},
    {"POST /y/a HTTP/1.1\r\n" UPGRADE, 405},
    {"GET /y/ HTTP/1.1\r\n" UPGRADE, 404},
    {"GET /y HTTP/1.1\r\n" UPGRADE, 404},
    {"GET /y/%zz HTTP/1.1\r\n" UPGRADE, 400},
    {"GET /y/%00 HTTP/1.1\r\n" UPGRADE, 400},
    {"GET /y/%ff HTTP/1.1\r\n" UPGRADE, 400},
};

static const char *whole(char text[1024], const char *request,
                         const char *host) {
  lk_buf b;
  lk_buf_init(&b, test_alloc(), 1023);
  (void)lk_buf_append(&b, lk_slice_cstr(request));
  (void)lk_buf_append(&b, LK_LIT("Host: "));
  (void)lk_buf_append(&b, lk_slice_cstr(host));
  CHECK_OK(lk_buf_append(&b, LK_LIT("\r\n\r\n")));
  memcpy(text, b.ptr, b.len);
  text[b.len] = 0;
  lk_buf_deinit(&b);
  return text;
}

TEST(each_request_gets_its_status) {
  char text[1024];
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    fixture f;
    test_note("request %s", rows[i].request);
    ask(&f, &pages, true, whole(text, rows[i].request, "localhost"),
        test_alloc());
    CHECK_OK(f.err);
    CHECK(f.answer.upgrade == (rows[i].status == 0));
    if (rows[i].status == 0)
      CHECK_U64(f.out.len, 0);
    else
      CHECK_U64(status_of(&f), rows[i].status);
    deinit(&f);
  }
}

TEST(a_request_that_names_another_host_gets_403_whatever_it_asks_for) {
  char text[1024];
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    fixture f;
    test_note("request %s", rows[i].request);
    ask(&f, &pages, true, whole(text, rows[i].request, "evil.example"),
        test_alloc());
    CHECK_OK(f.err);
    CHECK_U64(status_of(&f), 403);
    CHECK(!f.answer.upgrade && f.answer.body.len == 0);
    deinit(&f);
  }
}

#define ECHO_ "GET /debug/echo HTTP/1.1\r\nHost: localhost\r\n"
#define OFFER "Sec-WebSocket-Extensions: "

/* Goal: the echo is there only where it was asked for, and then for whom the
 * socket is too. */
TEST(an_echo_is_served_only_to_those_who_may_and_only_where_it_was_asked_for) {
  static const struct {
    const char *request;
    unsigned status; /* 0: an upgrade */
    bool packed;
  } echoes[] = {
      {ECHO_ UPGRADE "\r\n", 0, false},
      {ECHO_ UPGRADE OFFER "permessage-deflate\r\n\r\n", 0, true},
      {ECHO_ UPGRADE OFFER "x, permessage-deflate; y\r\n\r\n", 0, false},
      {ECHO_ UPGRADE OFFER "permessage-deflate;\r\n\r\n", 400, false},
      {ECHO_ UPGRADE "Origin: http://evil.example\r\n\r\n", 403, false},
      {ECHO_ "\r\n", 400, false},
  };
  lk_echo echo;
  lk_limits limits = lk_limits_default();
  lk_echo_init(&echo, &limits);
  CHECK(echo.limits.ws_output_bytes >= 2 * echo.limits.ws_message_bytes);
  for (size_t i = 0; i < sizeof echoes / sizeof echoes[0]; i++) {
    for (int on = 0; on < 2; on++) {
      fixture f;
      lk_routes routes = {.assets = &pages, .echo = on ? &echo : NULL};
      test_note("request %s", echoes[i].request);
      ask_routes(&f, &routes, echoes[i].request, test_alloc());
      CHECK_OK(f.err);
      unsigned want = on ? echoes[i].status : 404;
      CHECK(f.answer.upgrade == (want == 0) &&
            f.answer.packed == (on && echoes[i].packed));
      CHECK(want == 0 ? f.out.len == 0 && f.answer.echo
                      : status_of(&f) == want);
      deinit(&f);
    }
  }
}

/* Goal: a client gets the smallest form that it reads, and caches keep forms
 * apart. */
TEST(a_file_comes_in_the_smallest_form_that_the_client_reads) {
  static const struct {
    const char *headers;
    const char *coding; /* NULL: none */
    const char *etag;
    const char *body;
  } cases[] = {
      {"", NULL, "\"s\"", "<!doctype html>"},
      {"Accept-Encoding: gzip, deflate, br\r\n", "br", "\"s-br\"", "BR"},
      {"Accept-Encoding: gzip;q=1.0, BR ; q=0.001\r\n", "br", "\"s-br\"", "BR"},
      {"Accept-Encoding: gzip, br;q=0\r\n", "gzip", "\"s-gzip\"", "GZIP"},
      {"Accept-Encoding: gzip, br;q=0.000\r\n", "gzip", "\"s-gzip\"", "GZIP"},
      {"Accept-Encoding: GZIP\r\n", "gzip", "\"s-gzip\"", "GZIP"},
      {"Accept-Encoding: gzip;q=0, x-br, brr, identity\r\n", NULL, "\"s\"",
       "<!doctype html>"},
      {"Accept-Encoding: ,;,\r\n", NULL, "\"s\"", "<!doctype html>"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    fixture f;
    char text[512], wanted[64];
    (void)snprintf(text, sizeof text,
                   "GET /script.js HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
                   cases[i].headers);
    test_note("%s", cases[i].headers);
    ask(&f, &pages, true, text, test_alloc());
    CHECK_U64(status_of(&f), 200);
    CHECK_SLICE(f.answer.body, lk_slice_cstr(cases[i].body));
    (void)snprintf(wanted, sizeof wanted, "etag: %s\r\n", cases[i].etag);
    CHECK(says(&f, wanted));
    CHECK(says(&f, "vary: accept-encoding\r\n"));
    (void)snprintf(wanted, sizeof wanted, "content-encoding: %s\r\n",
                   cases[i].coding == NULL ? "" : cases[i].coding);
    CHECK(says(&f, wanted) == (cases[i].coding != NULL));
    deinit(&f);
    (void)snprintf(text, sizeof text,
                   "GET /script.js HTTP/1.1\r\nHost: "
                   "localhost\r\nIf-None-Match: %s\r\n%s\r\n",
                   cases[i].etag, cases[i].headers);
    ask(&f, &pages, true, text, test_alloc());
    CHECK_U64(status_of(&f), 304);
    CHECK(says(&f, "vary: accept-encoding\r\n"));
    deinit(&f);
  }
}

#define POLL_ "/socket/longpoll"
#define HOST_ "Host: localhost\r\n"

/* Goal: what a long-poll client asks is handed on with all that its session
 * needs; what is refused is refused in words that such a client reads, and any
 * page may read. */
TEST(long_poll_requests_are_handed_on_or_refused_in_their_own_words) {
  static const struct {
    const char *request;
    unsigned status; /* 0: handed on */
    const char *says;
    bool is_post, is_batch;
    const char *token;
    lk_message_form form;
  } polls[] = {
      {"GET " POLL_ "?vsn=2.0.0 HTTP/1.1\r\n" HOST_ "\r\n", 0, "", false, false,
       "", LK_MESSAGE_V2_TEXT},
      {"GET " POLL_ " HTTP/1.1\r\n" HOST_ "\r\n", 0, "", false, false, "",
       LK_MESSAGE_V1},
      {"GET " POLL_ "?token=a&vsn=2.0.0&token=b HTTP/1.1\r\n" HOST_ "\r\n", 0,
       "", false, false, "b", LK_MESSAGE_V2_TEXT},
      {"POST " POLL_ "?token=a HTTP/1.1\r\n" HOST_
       "X-Phoenix-Longpoll-Token: c\r\n\r\n",
       0, "", true, false, "c", LK_MESSAGE_V1},
      {"POST " POLL_ " HTTP/1.1\r\n" HOST_
       "Content-Type: Application/X-NDJSON; charset=utf-8\r\n\r\n",
       0, "", true, true, "", LK_MESSAGE_V1},
      {"POST " POLL_ " HTTP/1.1\r\n" HOST_
       "Content-Type: application/json\r\n\r\n",
       0, "", true, false, "", LK_MESSAGE_V1},
      {"GET " POLL_ " HTTP/1.1\r\n" HOST_ "Origin: http://localhost:1\r\n\r\n",
       0, "", false, false, "", LK_MESSAGE_V1},
      {"GET " POLL_ "?vsn=9.0.0 HTTP/1.1\r\n" HOST_ "\r\n", 200,
       "\r\n\r\n{\"status\":403}", 0, 0, "", 0},
      {"GET " POLL_ " HTTP/1.1\r\n" HOST_ "Origin: http://evil.example\r\n\r\n",
       200, "{\"status\":403}", 0, 0, "", 0},
      {"OPTIONS " POLL_ " HTTP/1.1\r\n" HOST_
       "Origin: http://evil.example\r\n\r\n",
       200, "{\"status\":403}", 0, 0, "", 0},
      {"OPTIONS " POLL_ " HTTP/1.1\r\n" HOST_
       "Access-Control-Request-Headers: x-a, b\r\n\r\n",
       200,
       "\r\naccess-control-allow-headers: x-a, "
       "b\r\naccess-control-allow-methods: get, post, options\r\n"
       "access-control-max-age: 3600\r\ncontent-length: 0\r\n\r\n",
       0, 0, "", 0},
      {"OPTIONS " POLL_ " HTTP/1.1\r\n" HOST_ "\r\n", 200,
       "\r\naccess-control-allow-methods", 0, 0, "", 0},
      {"PUT " POLL_ " HTTP/1.1\r\n" HOST_ "\r\n", 400, "", 0, 0, "", 0},
      {"HEAD " POLL_ " HTTP/1.1\r\n" HOST_ "\r\n", 400, "", 0, 0, "", 0},
      {"GET " POLL_ " HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403, "", 0, 0,
       "", 0},
  };
  lk_routes routes = {.assets = &pages};
  for (size_t i = 0; i < sizeof polls / sizeof polls[0]; i++) {
    fixture f;
    test_note("request %s", polls[i].request);
    ask_routes(&f, &routes, polls[i].request, test_alloc());
    CHECK_OK(f.err);
    CHECK(f.answer.poll == (polls[i].status == 0) && !f.answer.upgrade);
    if (polls[i].status != 0) {
      CHECK_U64(status_of(&f), polls[i].status);
      CHECK(says(&f, polls[i].says));
      CHECK(says(&f, "\r\naccess-control-allow-origin: *\r\n") ==
            (polls[i].status == 200));
    } else {
      CHECK_U64(f.out.len, 0);
      CHECK(f.answer.is_post == polls[i].is_post &&
            f.answer.is_batch == polls[i].is_batch);
      CHECK_SLICE(f.answer.token, lk_slice_cstr(polls[i].token));
      CHECK(f.answer.form == polls[i].form && f.answer.keep_alive);
    }
    deinit(&f);
  }
}

TEST(a_server_that_stops_says_that_it_is_not_ready_since_it_drains) {
  fixture f;
  lk_routes routes = {.assets = &pages, .draining = true};
  ask_routes(&f, &routes, "GET /readyz HTTP/1.1\r\n" HOST_ "\r\n",
             test_alloc());
  CHECK_U64(status_of(&f), 503);
  CHECK(says(&f, "\"error\":\"draining\""));
  deinit(&f);
}

TEST(only_long_poll_requests_and_the_api_may_have_bodies) {
  lk_limits limits = lk_limits_default();
  lk_http1_body_rule rules[LK_ROUTES_BODIES_COUNT];
  limits.longpoll_body_bytes = 77;
  limits.api_body_bytes = 88;
  lk_routes_bodies(&limits, rules);
  CHECK_TEXT(rules[0].path, POLL_);
  CHECK_U64(rules[0].bytes_max, 77);
  CHECK_TEXT(rules[1].path, "/render/");
  CHECK_U64(rules[1].bytes_max, 4096);
  CHECK_TEXT(rules[2].path, "/api/topics/");
  CHECK_U64(rules[2].bytes_max, 88);
  CHECK_U64(LK_ROUTES_BODIES_COUNT, 3);
}

/* Goal: what another site makes a browser send changes nothing, whichever way the browser says where it comes from. */
TEST(the_api_is_asked_by_our_pages_and_by_programs_and_by_nobody_else) {
  static const struct {
    const char *text;
    unsigned status; /* 0: it is asked */
  } cases[] = {
    { "GET /api/topics", 0 },
    { "POST /api/topics/a", 0 },
    { "POST /render/a", 0 },
    { "GET /api/topics HTTP/1.1\r\n" HOST_ "Origin: http://localhost:9", 0 },
    { "GET /api/topics HTTP/1.1\r\n" HOST_ "Origin: http://evil.example", 403 },
    { "GET /api/topics HTTP/1.1\r\n" HOST_ "Origin: null", 403 },
    { "POST /render/a HTTP/1.1\r\n" HOST_ "Origin: http://evil.example", 403 },
    { "POST /render/a HTTP/1.1\r\n" HOST_ "Sec-Fetch-Site: cross-site", 403 },
    { "POST /render/a HTTP/1.1\r\n" HOST_ "Sec-Fetch-Site: same-site", 403 },
    { "DELETE /api/topics/a HTTP/1.1\r\n" HOST_ "Sec-Fetch-Site: x", 403 },
    { "POST /render/a HTTP/1.1\r\n" HOST_ "Sec-Fetch-Site: same-origin", 0 },
    { "POST /render/a HTTP/1.1\r\n" HOST_ "Sec-Fetch-Site: none", 0 },
    { "GET /render/a HTTP/1.1\r\n" HOST_ "Sec-Fetch-Site: cross-site", 0 },
    { "OPTIONS /api/topics/a HTTP/1.1\r\n" HOST_ "Origin: http://localhost:9", 204 },
    { "OPTIONS /api/topics/a HTTP/1.1\r\n" HOST_ "Origin: http://evil.example", 403 },
  };
  const lk_routes open_routes = {.assets = &pages};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    fixture f;
    char text[300];
    bool is_whole = strstr(cases[i].text, "HTTP/1.1") != NULL;
    (void)snprintf(text, sizeof text, "%s%s\r\n\r\n", cases[i].text, is_whole ? "" : " HTTP/1.1\r\nHost: localhost");
    test_note("%s", cases[i].text);
    ask_routes(&f, &open_routes, text, test_alloc());
    CHECK_OK(f.err);
    CHECK(f.answer.api == (cases[i].status == 0));
    if (cases[i].status != 0) CHECK_U64(status_of(&f), cases[i].status);
    deinit(&f);
  }
}

TEST(a_request_without_a_host_gets_403) {
  fixture f;
  ask(&f, &pages, true, "GET / HTTP/1.0\r\n\r\n", test_alloc());
  CHECK_U64(status_of(&f), 403);
  deinit(&f);
}

TEST(every_response_of_ours_has_the_headers_that_keep_pages_safe) {
  static const char policy[] =
      "\r\ncontent-security-policy: default-src 'self'; script-src 'self' "
      "'wasm-unsafe-eval'; connect-src 'self'; frame-ancestors 'none'; "
      "base-uri 'none'\r\n";
  static const char *const wanted[] = {
      policy,
      "\r\nx-content-type-options: nosniff\r\n",
      "\r\nreferrer-policy: no-referrer\r\n",
      "\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
  };
  char text[1024];
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    fixture f;
    ask(&f, &pages, true, whole(text, rows[i].request, "localhost"),
        test_alloc());
    /* An upgrade writes nothing; its refusal comes from wire/upgrade.h and
     * shows no page. */
    bool checked = f.out.len > 0 && rows[i].request[0] != 'P';
    for (size_t k = 0; checked && k < sizeof wanted / sizeof wanted[0]; k++)
      CHECK(says(&f, wanted[k]));
    deinit(&f);
  }
}

TEST(head_says_how_long_the_body_would_be_and_sends_none) {
  fixture f;
  ask(&f, &pages, true, "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n",
      test_alloc());
  CHECK(says(&f, "content-length: 15\r\n") && f.answer.body.len == 0);
  deinit(&f);
  ask(&f, &pages, true, "HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
      test_alloc());
  CHECK(says(&f, "content-length: 16\r\n") &&
        lk_slice_ends_with(lk_buf_slice(&f.out), LK_LIT("\r\n\r\n")));
  deinit(&f);
}

TEST(a_page_comes_with_its_type_and_tag_and_its_bytes_are_not_copied) {
  fixture f;
  ask(&f, &pages, true, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
      test_alloc());
  CHECK(says(&f, "content-type: text/html; charset=utf-8\r\n") &&
        says(&f, "etag: \"tag\"\r\n"));
  CHECK(f.answer.body.ptr == page && f.answer.body.len == 15 &&
        f.answer.keep_alive);
  deinit(&f);
}

TEST(a_client_that_closes_is_told_so) {
  fixture f;
  ask(&f, &pages, true,
      "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: "
      "close\r\nIf-None-Match: *\r\n\r\n",
      test_alloc());
  CHECK(!f.answer.keep_alive && says(&f, "connection: close\r\n"));
  deinit(&f);
}

/* The names and the policies of what stands where. */
TEST(all_documents_are_edited_on_one_page_with_a_policy_of_its_own) {
  static const lk_asset apps[] = {
      {.path = LK_LIT_INIT("/assets/a-X1.js"), .begin = page, .end = page + 1},
      {.path = LK_LIT_INIT("/board/index.html"), .begin = page, .end = page + 4},
      {.path = LK_LIT_INIT("/counter/index.html"), .begin = page, .end = page + 2},
      {.path = LK_LIT_INIT("/edit/index.html"), .begin = page, .end = page + 3},
  };
  static const lk_assets table = {apps, 4};
  static const struct {
    const char *path;
    unsigned status;
    size_t len;
    bool is_editor, is_kept;
  } cases[] = {
      {"/edit", 200, 3, true, false},
      {"/edit/", 200, 3, true, false},
      {"/edit/notes", 200, 3, true, false},
      {"/edit/team/no%20tes?x=1", 200, 3, true, false},
      {"/edit/index.html", 200, 3, true, false},
      {"/edits", 404, 0, false, false},
      {"/counter", 200, 2, false, false},
      {"/counter/", 200, 2, false, false},
      {"/counter/x", 404, 0, false, false},
      {"/board", 200, 4, false, false},
      {"/board/", 200, 4, false, false},
      {"/board?board=x", 200, 4, false, false},
      {"/boards", 404, 0, false, false},
      {"/assets/a-X1.js", 200, 1, false, true},
      {"/assets/a-X2.js", 404, 0, false, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    fixture f;
    char text[120];
    (void)snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", cases[i].path);
    test_note("%s", cases[i].path);
    ask(&f, &table, true, text, test_alloc());
    CHECK_U64(status_of(&f), cases[i].status);
    CHECK_U64(f.answer.body.len, cases[i].len);
    CHECK(says(&f, "; style-src 'self' 'unsafe-inline'; img-src 'self' data:; ") == cases[i].is_editor);
    CHECK(says(&f, "script-src 'self' 'wasm-unsafe-eval'; "));
    CHECK(says(&f, "cache-control: public, max-age=31536000, immutable\r\n") == cases[i].is_kept);
    deinit(&f);
  }
}

TEST(a_build_without_pages_says_how_to_make_them) {
  fixture f;
  ask(&f, &no_pages, true, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
      test_alloc());
  CHECK_U64(status_of(&f), 200);
  CHECK(says(&f, "`make` builds both"));
  deinit(&f);
  ask(&f, &no_pages, true, "GET /edit/notes HTTP/1.1\r\nHost: localhost\r\n\r\n",
      test_alloc());
  CHECK(status_of(&f) == 200 && says(&f, "`make` builds both"));
  deinit(&f);
  ask(&f, &no_pages, true, "GET /app.js HTTP/1.1\r\nHost: localhost\r\n\r\n",
      test_alloc());
  CHECK_U64(status_of(&f), 404);
  deinit(&f);
}

static bool say_ready(void *ctx) { return *(const bool *)ctx; }

TEST(a_server_whose_rooms_are_not_ready_is_not_either) {
  fixture f;
  bool rooms = false;
  lk_routes routes = {
      .assets = &pages, .ready = true, .is_ready = say_ready, .ctx = &rooms};
  ask_routes(&f, &routes, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n",
             test_alloc());
  CHECK_U64(status_of(&f), 503);
  deinit(&f);
  rooms = true;
  ask_routes(&f, &routes, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n",
             test_alloc());
  CHECK_U64(status_of(&f), 200);
  deinit(&f);
  routes.ready = false; /* it stops */
  ask_routes(&f, &routes, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n",
             test_alloc());
  CHECK_U64(status_of(&f), 503);
  deinit(&f);
}

TEST(a_server_that_is_not_ready_says_so_to_those_who_watch) {
  fixture f;
  ask(&f, &pages, false, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n",
      test_alloc());
  CHECK_U64(status_of(&f), 503);
  deinit(&f);
  ask(&f, &pages, false, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
      test_alloc());
  CHECK_U64(status_of(&f), 200);
  deinit(&f);
}

TEST(refusals_are_json_and_end_the_connection) {
  static const uint16_t statuses[] = {400, 403, 404, 405, 408, 413,
                                      414, 431, 501, 503, 505};
  for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
    fixture f = {0};
    lk_buf_init(&f.out, test_alloc(), 4096);
    CHECK_OK(lk_routes_refuse(statuses[i], 0, &f.out));
    CHECK_U64(status_of(&f), statuses[i]);
    CHECK(says(&f, "content-type: application/json\r\n") &&
          says(&f, "connection: close\r\n"));
    CHECK(says(&f, "{\"error\":\"") &&
          lk_slice_ends_with(lk_buf_slice(&f.out), LK_LIT("\"}\n")));
    CHECK(says(&f, "\r\nretry-after: 1\r\naccess-control-allow-origin: *\r\n") ==
          (statuses[i] == 503));
    lk_buf_deinit(&f.out);
  }
}

TEST(a_response_for_which_there_is_no_memory_is_not_begun) {
  char text[1024];
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    FAULT_LOOP(faults, test_alloc()) {
      fixture f;
      ask(&f, &pages, true, whole(text, rows[i].request, "localhost"),
          faulty_alloc(&faults));
      if (f.err == LK_OK)
        CHECK(f.answer.upgrade || status_of(&f) == rows[i].status);
      else
        CHECK(f.err == LK_ERR_NOMEM && f.out.len == 0 &&
              f.answer.body.len == 0);
      deinit(&f);
      if (rows[i].status == 0)
        (void)faulty_should_fail(&faults); /* an upgrade allocates nothing */
    }
  }
}

/* ---- documents ---- */

TEST(the_path_of_a_document_becomes_its_topic) {
  static const char *const names[][2] = {
      {"a", "doc:a"},
      {"a/b//c", "doc:a/b//c"},
      {"a%2Fb", "doc:a/b"},
      {"%C3%A4+%20x", "doc:\xc3\xa4+ x"},
      {"a%3Ftoken=1?token=2", "doc:a?token=1"},
  };
  char text[1024], request[1024];
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    fixture f;
    (void)snprintf(request, sizeof request, "GET /y/%s HTTP/1.1\r\n" UPGRADE,
                   names[i][0]);
    ask(&f, &pages, true, whole(text, request, "localhost"), test_alloc());
    CHECK(f.answer.upgrade && f.answer.form == LK_MESSAGE_Y);
    CHECK_SLICE(lk_slice_of(f.answer.topic, f.answer.topic_len),
                lk_slice_cstr(names[i][1]));
    deinit(&f);
  }
}

TEST(the_name_of_a_document_is_as_long_as_a_topic_may_be_and_not_longer) {
  char text[1024], request[1024], name[256];
  for (int over = 0; over < 2; over++) {
    fixture f;
    memset(name, 'a', sizeof name);
    name[LK_ROUTES_TOPIC_MAX - 4 + over] = 0;
    (void)snprintf(request, sizeof request, "GET /y/%s HTTP/1.1\r\n" UPGRADE,
                   name);
    ask(&f, &pages, true, whole(text, request, "localhost"), test_alloc());
    CHECK(f.answer.upgrade == (over == 0));
    if (over == 1)
      CHECK_U64(status_of(&f), 414);
    else
      CHECK_U64(f.answer.topic_len, LK_ROUTES_TOPIC_MAX);
    deinit(&f);
  }
}
