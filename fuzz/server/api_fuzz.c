/* Hostile requests to the API, forms and paths of any bytes, and rooms that answer anything. */
#include "server/api.h"
#include "server/api_list.h"

#include "codec/json_reader.h"

#include "harness/test.h"

static const lk_slice paths[] = {
  LK_LIT_INIT("/api/topics/doc:a"),
  LK_LIT_INIT("/api/topics/a/snapshot"),
  LK_LIT_INIT("/render/a/b"),
  LK_LIT_INIT("/api/topics"),
  LK_LIT_INIT("/api/topics/a/versions/17/changes"),
};

FUZZ(lk_api_parse_path) {
  uint8_t scratch[200];
  lk_slice in = gen_hostile(g, paths, 5, scratch, sizeof scratch);
  const lk_api_target target = lk_api_parse_path(in);
  CHECK((target.name.len > 0) == (target.action != LK_API_NONE && target.action != LK_API_LIST));
  CHECK(target.action == LK_API_NONE || lk_api_has(in) || target.action == LK_API_LIST);
  CHECK((lk_api_methods(in).len == 0) == (target.action == LK_API_NONE));
}

static const lk_slice forms[] = {
  LK_LIT_INIT("amount=3&x=%41+b"),
  LK_LIT_INIT("a=b&amount=%33"),
  LK_LIT_INIT("&&=&amount"),
};

/* also fuzzes: lk_api_parse_amount */
FUZZ(lk_api_parse_field) {
  uint8_t scratch[200];
  lk_arena arena;
  lk_slice out;
  uint64_t amount;
  lk_slice in = gen_hostile(g, forms, 3, scratch, sizeof scratch);
  size_t most = gen_below(g, 40);
  lk_arena_init(&arena, test_alloc(), 65536);
  if (lk_api_parse_field(in, LK_LIT("amount"), most, &arena, &out) == LK_OK)
    CHECK(out.len <= most && out.len <= in.len);
  if (lk_api_parse_amount(in, &arena, &amount) == LK_OK)
    CHECK(amount >= 1 && amount <= UINT64_C(1) << 53);
  lk_arena_deinit(&arena);
}

static const lk_slice requests[] = {
  LK_LIT_INIT("GET /api/topics?after=a&limit=3 HTTP/1.1\r\nHost: a\r\n\r\n"),
  LK_LIT_INIT(
      "GET /api/topics/doc:a?as=html&root=b HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n"),
  LK_LIT_INIT(
      "PUT /api/topics/crdt:a?type=orset HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
      "Idempotency-Key: k\r\nContent-Length: "
      "35\r\n\r\n{\"type\":\"crdt.add\",\"payload\":{\"a\":1}}"),
  LK_LIT_INIT("POST /render/counter:a HTTP/1.1\r\nHost: a\r\nContent-Type: "
              "application/x-www-form-urlencoded\r\nContent-Length: 8\r\n\r\namount=3"),
};
static const lk_slice answers[] = {
  LK_LIT_INIT("{\"topics\":[{\"topic\":\"a\"},{\"topic\":\"b\"}],\"more\":true}"),
  LK_LIT_INIT("{\"value\":[1],\"state\":{\"value\":3}}"),
  LK_LIT_INIT("{\"html\":\"<p>\"}"),
  LK_LIT_INIT("{\"reason\":\"LK_ERR_NOT_FOUND\",\"field\":\"a\",\"message\":\"b\"}"),
};

/* also fuzzes: lk_api_respond */
FUZZ(lk_api_read) {
  static const lk_http1_options options = { .body_bytes_max = 1000 };
  uint8_t scratch[400], said[200];
  lk_limits limits = lk_limits_default();
  lk_http1 http;
  lk_http1_request request;
  lk_api_call call;
  lk_buf out;
  const lk_api_options api = { .alloc = test_alloc(), .limits = &limits, .is_open = true };
  lk_slice in = gen_hostile(g, requests, 4, scratch, sizeof scratch);
  lk_api_answer answer = { .status = (lk_answer_status)gen_below(g, 4) };
  answer.payload = gen_hostile(g, answers, 4, said, sizeof said);
  lk_http1_init(&http, test_alloc(), &limits, &options, 0);
  lk_buf_init(&out, test_alloc(), 1u << 20);
  if (lk_http1_feed(&http, 0, &in) == LK_OK && lk_http1_poll(&http, &request)) {
    CHECK_OK(lk_api_read(&api, &request, LK_OK, NULL, &call));
    CHECK(call.refusal.status == 0 || call.refusal.status >= 400);
    CHECK(call.topic.len <= LK_API_TOPIC_MAX);
    CHECK_OK(lk_api_respond(&call, &answer, 1, &limits, 0, &out));
    CHECK(lk_slice_starts_with(lk_buf_slice(&out), LK_LIT("HTTP/1.1 ")));
    CHECK(lk_slice_find(lk_buf_slice(&out), LK_LIT("\r\n\r\n")) != LK_SLICE_NONE);
    lk_api_call_deinit(&call);
  }
  lk_buf_deinit(&out);
  lk_http1_deinit(&http);
}

FUZZ(lk_api_list_merge) {
  uint8_t scratch[2][200];
  lk_limits limits = lk_limits_default();
  lk_slice both[2];
  lk_arena arena;
  lk_buf out;
  for (int i = 0; i < 2; i++) both[i] = gen_hostile(g, answers, 4, scratch[i], sizeof scratch[i]);
  lk_arena_init(&arena, test_alloc(), 1u << 20);
  lk_buf_init(&out, test_alloc(), 65536);
  lk_err err = lk_api_list_merge(both, 2, 1 + gen_below(g, 5), &limits, &arena, &out);
  if (err == LK_OK) CHECK_OK(lk_json_check(lk_buf_slice(&out), &limits, NULL));
  else CHECK_U64(out.len, 0);
  lk_buf_deinit(&out);
  lk_arena_deinit(&arena);
}
