/* Requests become questions and answers become responses: paths, rights, statuses, and memory that runs out. */
#include <stdio.h>
#include <string.h>

#include "harness/test.h"
#include "server/api.h"
#include "server/api_list.h"
#include "server/api_page.h"

#define HOST "Host: localhost\r\n"

typedef struct fixture {
  lk_limits limits;
  lk_http1 http;
  lk_api_call call;
  lk_buf out;
  lk_err err;
} fixture;

typedef struct user {
  bool is_open;
  bool is_draining;
  uint32_t wait_s;
  lk_err why;
  lk_grant *grant;
} user;

static const user everybody = { .is_open = true };

static void ask_as(fixture *f, const user *who, const char *text, const lk_alloc *alloc) {
  static const lk_http1_options options = { .body_bytes_max = 4096 };
  static const lk_alias aliases[] = { { LK_LIT_INIT("d:"), LK_LIT_INIT("doc:"), true },
                                      LK_ALIAS_COUNTER };
  lk_slice in = lk_slice_cstr(text);
  lk_http1_request request;
  f->limits = lk_limits_default();
  f->call = (lk_api_call){ 0 };
  const lk_api_options api = { .alloc = alloc,
                               .limits = &f->limits,
                               .aliases = { aliases, 2 },
                               .is_open = who->is_open,
                               .is_draining = who->is_draining,
                               .wait_s = who->wait_s };
  lk_http1_init(&f->http, test_alloc(), &f->limits, &options, 0);
  lk_buf_init(&f->out, alloc, 65536);
  CHECK_OK(lk_http1_feed(&f->http, 0, &in));
  CHECK(lk_http1_poll(&f->http, &request));
  f->err = lk_api_read(&api, &request, who->why, who->grant, &f->call);
  lk_http1_deinit(&f->http); /* nothing of it is borrowed */
}

static void ask(fixture *f, const char *text) { ask_as(f, &everybody, text, test_alloc()); }

static void done(fixture *f) {
  lk_api_call_deinit(&f->call);
  lk_buf_deinit(&f->out);
}

static void respond(fixture *f, lk_answer_status status, const char *payload) {
  const lk_api_answer answer = { status, false, lk_slice_cstr(payload) };
  f->err = lk_api_respond(&f->call, &answer, 1, &f->limits, 784111777000u, &f->out);
}

static bool says(const fixture *f, const char *text) {
  return lk_slice_find(lk_buf_slice(&f->out), lk_slice_cstr(text)) != LK_SLICE_NONE;
}

static unsigned status_of(const fixture *f) {
  unsigned status = 0;
  CHECK(f->out.len > 12);
  for (size_t i = 9; i < 12; i++) status = status * 10 + (f->out.ptr[i] - '0');
  return status;
}

static void request_of(char *text, size_t size, const char *line, const char *type,
                       const char *body) {
  (void)snprintf(text, size, "%s HTTP/1.1\r\n" HOST "%s%s\r\nContent-Length: %zu\r\n\r\n%s", line,
                 type[0] != 0 ? "Content-Type: " : "X: y", type, strlen(body), body);
}

TEST(each_path_of_the_api_means_one_thing_and_no_other_path_does) {
  static const struct {
    const char *path;
    lk_api_action action;
    const char *name;
  } rows[] = {
    { "/api/topics", LK_API_LIST, "" },
    { "/api/topics/", LK_API_NONE, "" },
    { "/api/topics/doc:a", LK_API_READ, "doc:a" },
    { "/api/topics/a%2Fb", LK_API_READ, "a%2Fb" },
    { "/api/topics/a/snapshot", LK_API_SNAPSHOT, "a" },
    { "/api/topics/a/", LK_API_NONE, "" },
    { "/api/topics/a/b", LK_API_NONE, "" },
    { "/api/topics/a/snapshot/", LK_API_NONE, "" },
    { "/api/topics//snapshot", LK_API_NONE, "" },
    { "/api/topics/a/versions", LK_API_VERSIONS, "a" },
    { "/api/topics/a/versions/", LK_API_NONE, "" },
    { "/api/topics/a/versions/7", LK_API_VERSION, "a" },
    { "/api/topics/a/versions/0", LK_API_NONE, "" },
    { "/api/topics/a/versions/now", LK_API_NONE, "" },
    { "/api/topics/a/versions/-7", LK_API_NONE, "" },
    { "/api/topics/a/versions/99999999999999999999", LK_API_NONE, "" },
    { "/api/topics/a/versions/7/", LK_API_NONE, "" },
    { "/api/topics/a/versions/7/changes", LK_API_CHANGES, "a" },
    { "/api/topics/a/versions/now/changes", LK_API_CHANGES, "a" },
    { "/api/topics/a/versions/7/restore", LK_API_RESTORE, "a" },
    { "/api/topics/a/versions/now/restore", LK_API_NONE, "" },
    { "/api/topics/a/versions/7/restore/x", LK_API_NONE, "" },
    { "/api/topicsx", LK_API_NONE, "" },
    { "/api/", LK_API_NONE, "" },
    { "/render/", LK_API_NONE, "" },
    { "/render/a", LK_API_SHOW, "a" },
    { "/render/a/b", LK_API_SHOW, "a/b" },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    test_note("%s", rows[i].path);
    const lk_api_target target = lk_api_parse_path(lk_slice_cstr(rows[i].path));
    CHECK(lk_api_has(lk_slice_cstr(rows[i].path)));
    CHECK_U64(target.action, rows[i].action);
    CHECK_SLICE(target.name, lk_slice_cstr(rows[i].name));
  }
  CHECK(!lk_api_has(LK_LIT("/apix")) && !lk_api_has(LK_LIT("/api")) &&
        !lk_api_has(LK_LIT("/render")));
}

TEST(a_form_says_an_amount_or_it_says_nothing) {
  static const struct {
    const char *body;
    uint64_t amount; /* 0: none */
  } rows[] = {
    { "amount=1", 1 },
    { "x=2&amount=7", 7 },
    { "amount=7&amount=8", 7 },
    { "amount=+3+", 3 },
    { "amount=%31", 1 },
    { "amount=9007199254740992", UINT64_C(1) << 53 },
    { "amount=0", 0 },
    { "amount=", 0 },
    { "amount", 0 },
    { "Amount=1", 0 },
    { "amount=-1", 0 },
    { "amount=9007199254740993", 0 },
    { "amount=1e3", 0 },
    { "amount=%3", 0 },
    { "amount=%ff", 0 },
    { "", 0 },
    { "amount=11111111111111111111111111111111111", 0 },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    lk_arena arena;
    uint64_t amount = 0;
    test_note("%s", rows[i].body);
    lk_arena_init(&arena, test_alloc(), 4096);
    lk_err err = lk_api_parse_amount(lk_slice_cstr(rows[i].body), &arena, &amount);
    CHECK((err == LK_OK) == (rows[i].amount != 0));
    if (err == LK_OK) CHECK_U64(amount, rows[i].amount);
    lk_arena_deinit(&arena);
  }
}

TEST(each_request_asks_its_room_one_question) {
  static const struct {
    const char *line;
    const char *type;
    const char *body;
    const char *topic;
    const char *event;
    const char *payload;
  } rows[] = {
    { "GET /api/topics?after=a%2Fb&limit=7", "", "", "", "topics",
      "{\"after\":\"a/b\",\"limit\":7}" },
    { "GET /api/topics?prefix=doc%3A", "", "", "", "topics",
      "{\"after\":\"\",\"prefix\":\"doc:\",\"limit\":100}" },
    { "GET /api/topics/doc:a%2Fb", "", "", "doc:a/b", "read",
      "{\"as\":\"json\",\"must_exist\":true}" },
    { "GET /api/topics/d:a?as=html&root=t%22", "", "", "d:a", "read",
      "{\"as\":\"html\",\"root\":\"t\\\"\",\"must_exist\":true}" },
    { "HEAD /render/doc:a", "", "", "doc:a", "read", "{\"as\":\"page\",\"must_exist\":true}" },
    { "GET /render/counter:a", "", "", "counter:a", "ask", "{\"event\":\"render\"}" },
    { "GET /render/crdt:a", "", "", "crdt:a", "ask", "{\"event\":\"render\",\"must_exist\":true}" },
    { "GET /api/topics/crdt:a", "", "", "crdt:a", "ask",
      "{\"event\":\"crdt.get\",\"must_exist\":true}" },
    { "PUT /api/topics/doc:a", "application/octet-stream", "xyz", "doc:a", "create", "xyz" },
    { "POST /api/topics/doc:a", "application/json;charset=utf-8", "{\"bin\":[]}", "doc:a",
      "client_update", "{\"bin\":[]}" },
    { "PUT /api/topics/crdt:a?type=orset", "Application/JSON",
      " {\"timestamp\":5,\"x\":1,\"payload\":{\"element\":\"\\u0041\"},\"type\":\"crdt.add\"} ",
      "crdt:a", "ask",
      "{\"event\":\"crdt.add\",\"payload\":{\"type\":\"crdt.add\",\"payload\":{\"element\":"
      "\"\\u0041\"},"
      "\"timestamp\":5},\"type\":\"orset\",\"is_new\":true}" },
    { "POST /api/topics/crdt:a", "application/json",
      "{\"type\":\"crdt.increment\",\"request_id\":\"r\"}", "crdt:a", "ask",
      "{\"event\":\"crdt.increment\",\"payload\":{\"type\":\"crdt.increment\",\"payload\":{},"
      "\"request_id\":\"r\"}}" },
    { "POST /render/counter:a", "application/x-www-form-urlencoded", "amount=3", "counter:a", "ask",
      "{\"event\":\"crdt.increment\",\"payload\":{\"amount\":3}}" },
    { "DELETE /api/topics/relay:a", "", "", "relay:a", "delete", "" },
    { "POST /api/topics/doc:a/snapshot", "", "", "doc:a", "version_save", "{}" },
    { "GET /api/topics/doc:a/versions?before=9&limit=2", "", "", "doc:a", "versions",
      "{\"before\":9,\"limit\":2,\"must_exist\":true}" },
    { "POST /api/topics/doc:a/versions", "application/json",
      "{\"name\":\"n\",\"request_id\":\"r\",\"id\":5}", "doc:a", "version_save",
      "{\"request_id\":\"r\",\"name\":\"n\"}" },
    { "GET /api/topics/doc:a/versions/7?as=html&root=p", "", "", "doc:a", "version_read",
      "{\"id\":7,\"as\":\"html\",\"root\":\"p\"}" },
    { "GET /api/topics/doc:a/versions/7?as=snapshot_v2", "", "", "doc:a", "version_read",
      "{\"id\":7,\"as\":\"snapshot_v2\"}" },
    { "GET /api/topics/doc:a/versions/7/changes?from=3", "", "", "doc:a", "version_compare",
      "{\"from\":3,\"to\":7}" },
    { "GET /api/topics/doc:a/versions/now/changes", "", "", "doc:a", "version_compare",
      "{\"from\":0,\"to\":0}" },
    { "POST /api/topics/doc:a/versions/7/restore", "", "", "doc:a", "version_restore",
      "{\"id\":7}" },
    { "DELETE /api/topics/doc:a/versions/7", "", "", "doc:a", "version_delete", "{\"id\":7}" },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char text[1024];
    fixture f;
    test_note("%s", rows[i].line);
    request_of(text, sizeof text, rows[i].line, rows[i].type, rows[i].body);
    ask(&f, text);
    CHECK_OK(f.err);
    CHECK_U64(f.call.refusal.status, 0);
    const lk_question q = lk_api_question(&f.call, 3, 9);
    CHECK_SLICE(q.topic, lk_slice_cstr(rows[i].topic));
    CHECK_SLICE(q.event, lk_slice_cstr(rows[i].event));
    CHECK_SLICE(q.payload, lk_slice_cstr(rows[i].payload));
    CHECK(q.house == 3 && q.tag == 9 && q.rights == LK_RIGHTS_ADMIN);
    done(&f);
  }
}

TEST(names_that_are_no_text_or_too_long_are_no_topics) {
  static const struct {
    const char *line;
    unsigned status;
    const char *field;
  } rows[] = {
    { "GET /api/topics/doc:%ff", 400, "topic" },
    { "GET /api/topics/doc:%c3", 400, "topic" },
    { "GET /render/doc:%zz", 400, "topic" },
    { "GET /api/topics/doc:%00", 400, "topic" },
    { "GET /api/topics?after=%ff", 400, "after" },
    { "GET /api/topics/doc:a?root=%ff", 400, "root" },
    { "GET /api/topics/doc:a?as=%ff", 400, "as" },
    { "GET /api/topics/nix:a", 404, "topic" },
  };
  char text[600], name[280];
  fixture f;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    test_note("%s", rows[i].line);
    request_of(text, sizeof text, rows[i].line, "", "");
    ask(&f, text);
    CHECK_U64(f.call.refusal.status, rows[i].status);
    CHECK_SLICE(f.call.refusal.field, lk_slice_cstr(rows[i].field));
    done(&f);
  }
  for (size_t len = 255; len <= 256; len++) {
    memset(name, 'x', sizeof name);
    memcpy(name, "doc:", 4);
    name[len] = 0;
    (void)snprintf(text, sizeof text, "GET /api/topics/%s HTTP/1.1\r\n" HOST "\r\n", name);
    ask(&f, text);
    CHECK_U64(f.call.refusal.status, len == 255 ? 0 : 414);
    done(&f);
  }
}

TEST(a_question_is_no_command) {
  static const char *const types[] = { "crdt.get", "crdt.subscribe", "render" };
  for (size_t i = 0; i < 3; i++) {
    char text[300], body[64];
    fixture f;
    (void)snprintf(body, sizeof body, "{\"type\":\"%s\"}", types[i]);
    request_of(text, sizeof text, "PUT /api/topics/crdt:a", "application/json", body);
    ask(&f, text);
    CHECK_U64(f.call.refusal.status, 400);
    CHECK_TEXT(f.call.refusal.field, "type");
    done(&f);
  }
}

TEST(what_a_token_says_is_what_its_bearer_may) {
  static const struct {
    const char *line;
    const char *claims; /* NULL: no token */
    unsigned status;    /* 0: it is asked */
  } rows[] = {
    { "GET /api/topics/crdt:a", NULL, 401 },
    { "GET /api/topics/crdt:a", "{\"topics\":{}}", 403 },
    { "GET /api/topics/crdt:a", "{\"topics\":{\"crdt:a\":\"read\"}}", 0 },
    { "GET /api/topics/d:a", "{\"topics\":{\"doc:a\":\"read\"}}", 0 },
    { "GET /api/topics/d:a", "{\"topics\":{\"d:a\":\"read\"}}", 403 },
    { "DELETE /api/topics/crdt:a", "{\"topics\":{\"crdt:a\":\"write\"}}", 403 },
    { "DELETE /api/topics/crdt:a", "{\"topics\":{\"crdt:a\":\"admin\"}}", 0 },
    { "POST /api/topics/doc:a/snapshot", "{\"topics\":{\"*\":\"write\"}}", 0 },
    { "POST /api/topics/doc:a/versions", "{\"topics\":{\"*\":\"read\"}}", 403 },
    { "GET /api/topics/doc:a/versions", "{\"topics\":{\"*\":\"read\"}}", 0 },
    { "GET /api/topics/doc:a/versions/7", "{\"topics\":{\"*\":\"read\"}}", 0 },
    { "GET /api/topics/doc:a/versions/7/changes", "{\"topics\":{\"*\":\"read\"}}", 0 },
    { "GET /api/topics/doc:a/versions/7/changes", "{\"topics\":{\"doc:b\":\"read\"}}", 403 },
    { "POST /api/topics/doc:a/versions/7/restore", "{\"topics\":{\"*\":\"read\"}}", 403 },
    { "POST /api/topics/doc:a/versions/7/restore", "{\"topics\":{\"*\":\"write\"}}", 0 },
    { "DELETE /api/topics/doc:a/versions/7", "{\"topics\":{\"*\":\"write\"}}", 403 },
    { "DELETE /api/topics/doc:a/versions/7", "{\"topics\":{\"*\":\"admin\"}}", 0 },
    { "GET /api/topics/crdt:a/versions", "{\"topics\":{\"*\":\"read\"}}", 501 },
    { "PUT /api/topics/doc:a/versions/7", "{\"topics\":{\"*\":\"admin\"}}", 405 },
    { "GET /api/topics", "{\"topics\":{\"crdt:*\":\"admin\"}}", 403 },
    { "GET /api/topics", "{\"topics\":{\"*\":\"read\"}}", 403 },
    { "GET /api/topics", "{\"topics\":{\"*\":\"admin\"}}", 0 },
    { "POST /api/topics/crdt:a", "{\"topics\":{\"crdt:a\":\"read\"}}", 403 },
    { "PATCH /api/topics", NULL, 405 },
    { "GET /api/nothing", NULL, 404 },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char text[256];
    fixture f;
    lk_limits limits = lk_limits_default();
    user who = { .why = rows[i].claims == NULL ? LK_ERR_TOKEN_MISSING : LK_OK };
    test_note("%s %s", rows[i].line, rows[i].claims == NULL ? "" : rows[i].claims);
    if (rows[i].claims != NULL)
      CHECK_OK(lk_grant_parse(lk_slice_cstr(rows[i].claims), &(lk_grant_options){ .expires_ms = 1 },
                              &limits, test_alloc(), &who.grant));
    request_of(text, sizeof text, rows[i].line, "", "");
    ask_as(&f, &who, text, test_alloc());
    lk_grant_free(who.grant, test_alloc());
    CHECK_OK(f.err);
    CHECK_U64(f.call.refusal.status, rows[i].status);
    if (rows[i].status != 0) {
      CHECK_OK(lk_api_respond(&f.call, NULL, 0, &f.limits, 0, &f.out));
      CHECK_U64(status_of(&f), rows[i].status);
      CHECK(says(&f, "\r\nwww-authenticate: Bearer\r\n") == (rows[i].status == 401));
    }
    done(&f);
  }
}

TEST(what_rooms_say_is_told_with_a_status_that_fits) {
  static const struct {
    const char *line;
    lk_answer_status status;
    const char *payload;
    unsigned want;
  } rows[] = {
    { "GET /api/topics/doc:a", LK_ANSWER_OK, "{}", 200 },
    { "GET /api/topics/doc:a", LK_ANSWER_LATE, "", 503 },
    { "GET /api/topics/doc:a", LK_ANSWER_UNMATCHED, "", 404 },
    { "GET /api/topics/doc:a", LK_ANSWER_ERROR, "{\"reason\":\"LK_ERR_NOT_FOUND\"}", 404 },
    { "GET /api/topics/doc:a", LK_ANSWER_ERROR, "{\"reason\":\"LK_ERR_LIMIT\"}", 503 },
    { "DELETE /api/topics/doc:a", LK_ANSWER_ERROR, "{\"reason\":\"LK_ERR_LIMIT\"}", 507 },
    { "GET /api/topics/doc:a", LK_ANSWER_ERROR, "{\"reason\":\"LK_ERR_CORRUPT\"}", 500 },
    { "GET /api/topics/doc:a", LK_ANSWER_ERROR, "{\"reason\":\"LK_ERR_CORRUPT\",\"field\":\"x\"}",
      400 },
    { "GET /api/topics/doc:a", LK_ANSWER_ERROR, "{\"reason\":\"LK_ERR_NO_SPACE\"}", 503 },
    { "GET /api/topics/doc:a", LK_ANSWER_ERROR, "{\"reason\":\"storage_full\"}", 507 },
    { "GET /api/topics/doc:a", LK_ANSWER_ERROR, "{\"reason\":\"LK_ERR_FULL\"}", 429 },
    { "GET /api/topics/doc:a", LK_ANSWER_ERROR, "{\"reason\":\"replica_refused\"}", 422 },
    { "GET /api/topics/doc:a", LK_ANSWER_ERROR, "nonsense", 500 },
    { "GET /api/topics/doc:a", LK_ANSWER_ERROR, "{\"reason\":1}", 500 },
    { "GET /api/topics/crdt:a", LK_ANSWER_OK, "{\"value\":[1, 2],\"state\":\"x\"}", 200 },
    { "GET /api/topics/crdt:a", LK_ANSWER_OK, "{\"state\":{\"value\":3}}", 500 },
    { "GET /api/topics/crdt:a", LK_ANSWER_OK, "nonsense", 500 },
    { "GET /api/topics/crdt:a?as=html", LK_ANSWER_OK, "{\"html\":1}", 500 },
    { "GET /render/crdt:a", LK_ANSWER_OK, "{\"html\":\"<h1>a</h1>\"}", 200 },
    { "GET /api/topics", LK_ANSWER_OK, "{\"topics\":[],\"more\":false}", 200 },
    { "GET /api/topics", LK_ANSWER_OK, "{\"topics\":[{}],\"more\":false}", 500 },
    { "POST /api/topics/doc:a/snapshot", LK_ANSWER_ERROR, "{\"reason\":\"LK_ERR_UNSUPPORTED\"}",
      501 },
    { "POST /api/topics/doc:a/snapshot", LK_ANSWER_OK, "{}", 201 },
    { "POST /api/topics/doc:a/versions", LK_ANSWER_OK, "{}", 201 },
    { "GET /api/topics/doc:a/versions", LK_ANSWER_OK, "{}", 200 },
    { "GET /api/topics/doc:a/versions/1?as=text", LK_ANSWER_OK, "x", 200 },
    { "GET /api/topics/doc:a/versions/1", LK_ANSWER_ERROR, "{\"reason\":\"LK_ERR_COLLECTED\"}",
      410 },
    { "GET /api/topics/doc:a/versions/1", LK_ANSWER_ERROR,
      "{\"reason\":\"LK_ERR_NOT_FOUND\",\"field\":\"id\"}", 404 },
    { "GET /api/topics/doc:a/versions/1/changes", LK_ANSWER_ERROR, "{\"reason\":\"LK_ERR_LIMIT\"}",
      503 },
    { "POST /api/topics/doc:a/versions", LK_ANSWER_ERROR, "{\"reason\":\"LK_ERR_LIMIT\"}", 507 },
    { "POST /api/topics/doc:a/versions/1/restore", LK_ANSWER_OK, "{}", 200 },
    { "DELETE /api/topics/doc:a/versions/1", LK_ANSWER_OK, "{}", 204 },
    { "DELETE /api/topics/doc:a", LK_ANSWER_OK, "{}", 204 },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char text[256];
    fixture f;
    test_note("%s %s", rows[i].line, rows[i].payload);
    request_of(text, sizeof text, rows[i].line, "", "");
    ask(&f, text);
    respond(&f, rows[i].status, rows[i].payload);
    CHECK_OK(f.err);
    CHECK_U64(status_of(&f), rows[i].want);
    CHECK(says(&f, "\r\nx-content-type-options: nosniff\r\n"));
    CHECK(says(&f, "content-security-policy: default-src 'none'"));
    CHECK(says(&f, "\r\nretry-after: 1\r\n") == (rows[i].want == 503 || rows[i].want == 429));
    done(&f);
  }
}

TEST(a_body_that_the_client_has_is_not_sent_again) {
  fixture f;
  ask(&f, "GET /api/topics/doc:a HTTP/1.1\r\n" HOST "If-None-Match: \"x\"\r\n\r\n");
  respond(&f, LK_ANSWER_OK, "{\"a\":1}");
  CHECK_U64(status_of(&f), 200);
  size_t at = lk_slice_find(lk_buf_slice(&f.out), LK_LIT("etag: ")) + 6;
  char text[300], etag[40] = { 0 };
  memcpy(etag, f.out.ptr + at, 34);
  CHECK(lk_slice_ends_with(lk_buf_slice(&f.out), LK_LIT("\r\n\r\n{\"a\":1}")));
  done(&f);
  (void)snprintf(text, sizeof text,
                 "GET /api/topics/doc:a HTTP/1.1\r\n" HOST "If-None-Match: %s\r\n\r\n", etag);
  ask(&f, text);
  respond(&f, LK_ANSWER_OK, "{\"a\":1}");
  CHECK_U64(status_of(&f), 304);
  CHECK(lk_slice_ends_with(lk_buf_slice(&f.out), LK_LIT("\r\n\r\n")));
  done(&f);
}

TEST(a_server_that_stops_takes_no_call) {
  fixture f;
  const user who = { .is_open = true, .is_draining = true };
  ask_as(&f, &who, "GET /api/topics HTTP/1.1\r\n" HOST "\r\n", test_alloc());
  CHECK_U64(f.call.refusal.status, 503);
  done(&f);
}

#define A "{\"topic\":\"a\"}"
#define B "{\"topic\":\"b\",\"n\":1}"
#define C "{\"topic\":\"c\"}"
#define D "{\"topic\":\"d\"}"

TEST(who_is_too_fast_is_told_when_to_come_again_and_asks_nothing) {
  static const char *const lines[] = { "GET /api/topics/doc:a", "DELETE /api/topics/doc:a",
                                       "GET /api/nothing", "GET /render/doc:a" };
  const user who = { .wait_s = 120, .why = LK_ERR_TOKEN_INVALID };
  for (size_t i = 0; i < 4; i++) {
    char text[256];
    fixture f;
    request_of(text, sizeof text, lines[i], "", "");
    ask_as(&f, &who, text, test_alloc());
    CHECK_OK(f.err);
    CHECK_U64(f.call.event.len, 0);
    f.err = lk_api_respond(&f.call, NULL, 0, &f.limits, 784111777000u, &f.out);
    CHECK_OK(f.err);
    CHECK_U64(status_of(&f), 429);
    CHECK(says(&f, "\r\nretry-after: 120\r\n"));
    CHECK(says(&f, i == 3 ? "<title>" : "{\"reason\":\"rate_limited\""));
    done(&f);
  }
}

/* Goal: the lists of all houses are one in order, and say that there is more where any of them has more. */
TEST(lists_are_merged_by_name) {
  const lk_slice answers[] = {
    LK_LIT("{\"topics\":[{\"topic\":\"b\",\"n\":1},{\"topic\":\"d\"}],\"more\":false,\"complete\":"
           "true}"),
    LK_LIT("{\"topics\":[],\"more\":false,\"complete\":true}"),
    LK_LIT("{\"more\":false,\"topics\":[{\"topic\":\"a\"},{\"topic\":\"c\"}],\"complete\":true}"),
  };
  static const char *const want[] = {
    "{\"topics\":[" A "],\"more\":true,\"complete\":true}",
    "{\"topics\":[" A "," B "],\"more\":true,\"complete\":true}",
    "{\"topics\":[" A "," B "," C "],\"more\":true,\"complete\":true}",
    "{\"topics\":[" A "," B "," C "," D "],\"more\":false,\"complete\":true}",
  };
  lk_limits limits = lk_limits_default();
  for (uint32_t limit = 1; limit <= 4; limit++) {
    lk_arena arena;
    lk_buf out;
    lk_arena_init(&arena, test_alloc(), 65536);
    lk_buf_init(&out, test_alloc(), 4096);
    CHECK_OK(lk_api_list_merge(answers, 3, limit, &limits, &arena, &out));
    CHECK_SLICE(lk_buf_slice(&out), lk_slice_cstr(want[limit - 1]));
    lk_buf_deinit(&out);
    lk_arena_deinit(&arena);
  }
}

TEST(a_list_is_complete_where_each_house_says_that_its_own_is) {
  static const char *const rows[][2] = {
    { "{\"topics\":[],\"more\":false,\"complete\":false}", "false" },
    { "{\"topics\":[],\"more\":false}", "false" },
    { "{\"topics\":[],\"more\":false,\"complete\":true}", "true" },
  };
  lk_limits limits = lk_limits_default();
  for (size_t i = 0; i < 3; i++) {
    const lk_slice answers[] = { LK_LIT("{\"topics\":[],\"more\":false,\"complete\":true}"),
                                 lk_slice_cstr(rows[i][0]) };
    lk_arena arena;
    lk_buf out;
    lk_arena_init(&arena, test_alloc(), 65536);
    lk_buf_init(&out, test_alloc(), 4096);
    CHECK_OK(lk_api_list_merge(answers, 2, 5, &limits, &arena, &out));
    CHECK(lk_slice_ends_with(lk_slice_first(lk_buf_slice(&out), out.len - 1),
                             lk_slice_cstr(rows[i][1])));
    lk_buf_deinit(&out);
    lk_arena_deinit(&arena);
  }
}

/* Goal: without memory there is no half of a response.
 * Method: fail each allocation of each kind of call. */
TEST(a_call_without_memory_leaves_nothing_behind) {
  static const struct {
    const char *line;
    const char *type;
    const char *body;
    const char *answer;
  } rows[] = {
    { "GET /api/topics?after=b", "", "", "{\"topics\":[{\"topic\":\"c\\u0041\"}],\"more\":false}" },
    { "GET /api/topics/doc:a?as=html&root=r", "", "", "<p>" },
    { "GET /api/topics/crdt:a", "", "", "{\"value\":\"\\u0041\"}" },
    { "GET /render/crdt:a", "", "", "{\"html\":\"<p>\\u0041\"}" },
    { "GET /render/doc:a", "", "", "<p>" },
    { "POST /render/crdt:a", "application/x-www-form-urlencoded", "amount=3", "{}" },
    { "POST /api/topics/crdt:a?type=orset", "application/json",
      "{\"type\":\"crdt.add\",\"request_id\":\"\\u0041\"}", "{}" },
    { "GET /api/nothing", "", "", "" },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char text[400];
    test_note("%s", rows[i].line);
    request_of(text, sizeof text, rows[i].line, rows[i].type, rows[i].body);
    FAULT_LOOP(faults, test_alloc()) {
      fixture f;
      ask_as(&f, &everybody, text, faulty_alloc(&faults));
      CHECK(f.err == LK_OK || f.err == LK_ERR_NOMEM);
      if (f.err == LK_OK) {
        respond(&f, LK_ANSWER_OK, rows[i].answer);
        CHECK(f.err == LK_OK || f.err == LK_ERR_NOMEM);
        if (f.err != LK_OK) CHECK_U64(f.out.len, 0);
        else CHECK(says(&f, "\r\n\r\n"));
      }
      done(&f);
    }
  }
}
