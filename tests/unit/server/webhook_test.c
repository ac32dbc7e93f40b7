/* What is said to webhooks, how it is signed, and what their answers mean: only plain words let anybody in. */
#include "server/webhook.h"

#include "harness/test.h"

static lk_webhook_secret secret_of(const char *text) {
  lk_webhook_secret secret;
  CHECK_OK(lk_webhook_secret_read(lk_slice_cstr(text), test_alloc(), &secret));
  return secret;
}

#define ID LK_LIT("msg_p5jXN8AQM9LWM0D4loKWxJek")
#define BODY LK_LIT("{\"test\": 2432232314}")

/* Made with node:crypto; the first is also the example that libraries of the specification test themselves with. */
TEST(signatures_are_those_of_the_standard_webhooks_specification) {
  lk_webhook_secrets secrets = { .count = 1 };
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1000);
  secrets.items[0] = secret_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
  CHECK_OK(lk_webhook_sign(&secrets, ID, 1614265330, BODY, &out));
  CHECK_TEXT(lk_buf_slice(&out), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
  secrets.items[secrets.count++] = secret_of("a secret of 24 bytes, ok");
  lk_buf_truncate(&out, 0);
  CHECK_OK(lk_webhook_sign(&secrets, ID, 1614265330, BODY, &out));
  CHECK_TEXT(lk_buf_slice(&out), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= "
                                 "v1,N6qyr534eXnevz5sz14ZCsiL9zJYPZrx9mRhL3atCCw=");
  lk_buf_deinit(&out);
}

TEST(secrets_that_are_too_short_or_no_base64_are_refused) {
  static const char *const texts[] = {
    "", "short", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!!", "a secret of 23 bytes, n"
  };
  lk_webhook_secret secret;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    CHECK_ERR(lk_webhook_secret_read(lk_slice_cstr(texts[i]), test_alloc(), &secret), LK_ERR_KEY);
}

TEST(rules_say_which_topics_go_where) {
  lk_webhook_rules rules = { .count = 2 };
  CHECK_OK(lk_webhook_rule_read(LK_LIT("doc:a=b=http://one/x"), &rules.items[0]));
  CHECK_OK(lk_webhook_rule_read(LK_LIT("doc:*=https://two"), &rules.items[1]));
  CHECK_TEXT(lk_webhook_find(&rules, LK_LIT("doc:a=b"))->url.host, "one");
  CHECK_TEXT(lk_webhook_find(&rules, LK_LIT("doc:c"))->url.host, "two");
  CHECK(lk_webhook_find(&rules, LK_LIT("crdt:c")) == NULL);
  static const char *const wrong[] = {
    "", "doc:*", "=http://a", "doc:*=ftp://a", "d*c=http://a", "doc:*=http://a b"
  };
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    CHECK_ERR(lk_webhook_rule_read(lk_slice_cstr(wrong[i]), &rules.items[0]), LK_ERR_SYNTAX);
}

TEST(a_request_has_the_three_headers_and_its_body) {
  lk_webhook_secrets secrets = { .count = 1 };
  lk_http_url url;
  lk_buf out;
  secrets.items[0] = secret_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
  lk_buf_init(&out, test_alloc(), 2000);
  CHECK_OK(lk_http_url_parse(LK_LIT("http://a/b"), &url));
  CHECK_OK(lk_webhook_request(&url, &secrets, ID, 1614265330123, BODY, &out));
  lk_slice text = lk_buf_slice(&out);
  CHECK(lk_slice_starts_with(text, LK_LIT("POST /b HTTP/1.1\r\nhost: a\r\n")));
  CHECK(lk_slice_find(text, LK_LIT("webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek\r\n")) !=
        LK_SLICE_NONE);
  CHECK(lk_slice_find(text, LK_LIT("webhook-timestamp: 1614265330\r\n")) != LK_SLICE_NONE);
  CHECK(lk_slice_find(text, LK_LIT("webhook-signature: v1,g0hM9SsE+")) != LK_SLICE_NONE);
  CHECK(lk_slice_ends_with(text, LK_LIT("\r\n\r\n{\"test\": 2432232314}")));
  lk_buf_deinit(&out);
}

TEST(ids_differ_with_what_they_are_of_and_are_the_same_again) {
  uint8_t a[LK_WEBHOOK_ID_LEN], b[LK_WEBHOOK_ID_LEN];
  lk_webhook_id(LK_LIT("doc:a"), 7, 8, a);
  lk_webhook_id(LK_LIT("doc:a"), 7, 8, b);
  CHECK_SLICE(lk_slice_of(a, sizeof a), lk_slice_of(b, sizeof b));
  CHECK(lk_slice_starts_with(lk_slice_of(a, sizeof a), LK_LIT("msg_")));
  /* A topic in memory begins with its first sequence again, at another time. */
  for (int i = 0; i < 3; i++) {
    lk_webhook_id(i == 0 ? LK_LIT("doc:b") : LK_LIT("doc:a"), i == 1 ? 8 : 7, i == 2 ? 9 : 8, b);
    CHECK(!lk_slice_equal(lk_slice_of(a, sizeof a), lk_slice_of(b, sizeof b)));
  }
}

TEST(a_message_of_a_change_says_what_who_and_when) {
  lk_webhook_change change = { .topic = LK_LIT("doc:a/b"),
                               .sequence = 42,
                               .changes = 3,
                               .first_ms = 1614265330000,
                               .last_ms = 1614265330123,
                               .by = { LK_LIT("ann"), LK_LIT("bob") },
                               .by_count = 2,
                               .state_vector = LK_LIT("\x01\x01\x05") };
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1000);
  CHECK_OK(lk_webhook_write_change(&change, &out));
  CHECK_TEXT(lk_buf_slice(&out),
             "{\"type\":\"topic.changed\",\"timestamp\":\"2021-02-25T15:02:10.123Z\",\"data\":{"
             "\"topic\":\"doc:a/b\",\"kind\":\"doc\",\"path\":\"/api/topics/doc:a%2Fb\","
             "\"sequence\":42,\"changes\":3,\"since\":\"2021-02-25T15:02:10.000Z\","
             "\"level\":\"durable\",\"by\":[\"ann\",\"bob\"],\"state_vector\":\"AQEF\"}}");
  lk_buf_deinit(&out);
}

TEST(a_message_of_a_document_says_which_one_it_is) {
  lk_webhook_change change = { .topic = LK_LIT("doc:a"),
                               .changes = 1,
                               .is_anew = true,
                               .has_generation = true,
                               .generation = 0xAB };
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1000);
  CHECK_OK(lk_webhook_write_change(&change, &out));
  CHECK(lk_slice_ends_with(
      lk_buf_slice(&out), LK_LIT("\"by\":[],\"anew\":true,\"generation\":\"00000000000000ab\"}}")));
  lk_buf_deinit(&out);
}

TEST(a_message_of_a_deletion_has_no_path) {
  lk_webhook_change change = { .topic = LK_LIT("crdt:a"),
                               .sequence = 2,
                               .changes = 1,
                               .is_memory = true,
                               .is_deleted = true,
                               .is_anew = true };
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1000);
  CHECK_OK(lk_webhook_write_change(&change, &out));
  CHECK_TEXT(lk_buf_slice(&out),
             "{\"type\":\"topic.deleted\",\"timestamp\":\"1970-01-01T00:00:00.000Z\",\"data\":{"
             "\"topic\":\"crdt:a\",\"kind\":\"crdt\",\"sequence\":2,\"changes\":1,"
             "\"since\":\"1970-01-01T00:00:00.000Z\",\"level\":\"memory\",\"by\":[]}}");
  lk_buf_deinit(&out);
}

TEST(a_question_whether_somebody_may_says_all_that_is_known) {
  lk_webhook_question question = { .topic = LK_LIT("doc:a"),
                                   .action = LK_LIT("join"),
                                   .rights = LK_RIGHTS_WRITE,
                                   .params = LK_LIT("{\"x\":1}") };
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1000);
  CHECK_OK(lk_webhook_write_authorise(&question, 0, &out));
  CHECK_TEXT(lk_buf_slice(&out),
             "{\"type\":\"topic.authorise\",\"timestamp\":\"1970-01-01T00:00:00.000Z\",\"data\":{"
             "\"topic\":\"doc:a\",\"kind\":\"doc\",\"action\":\"join\",\"subject\":null,"
             "\"rights\":\"write\",\"params\":{\"x\":1}}}");
  lk_buf_deinit(&out);
}

static lk_webhook_verdict judge(uint16_t status, const char *body, lk_rights *rights) {
  const lk_limits limits = lk_limits_default();
  const lk_http_response response = { .status = status, .body = lk_slice_cstr(body) };
  return lk_webhook_read_authorise(&response, &limits, test_alloc(), rights);
}

TEST(only_an_answer_that_says_so_lets_a_client_in) {
  static const struct {
    uint16_t status;
    const char *body;
    lk_webhook_verdict verdict;
    lk_rights rights;
  } cases[] = {
    { 200, "{\"allow\":true}", LK_WEBHOOK_OK, LK_RIGHTS_ADMIN },
    { 201, "{\"allow\":true,\"rights\":\"read\"} ", LK_WEBHOOK_OK, LK_RIGHTS_READ },
    { 200, "{\"allow\":false}", LK_WEBHOOK_FORBIDDEN, 0 },
    { 403, "", LK_WEBHOOK_FORBIDDEN, 0 },
    { 401, "{\"allow\":true}", LK_WEBHOOK_FORBIDDEN, 0 },
    { 404, "", LK_WEBHOOK_FORBIDDEN, 0 },
    { 200, "", LK_WEBHOOK_FAILED, 0 },
    { 200, "{}", LK_WEBHOOK_FAILED, 0 },
    { 200, "true", LK_WEBHOOK_FAILED, 0 },
    { 200, "<html>log in</html>", LK_WEBHOOK_FAILED, 0 },
    { 200, "{\"allow\":\"true\"}", LK_WEBHOOK_FAILED, 0 },
    { 200, "{\"allow\":1}", LK_WEBHOOK_FAILED, 0 },
    { 200, "{\"allow\":true}x", LK_WEBHOOK_FAILED, 0 },
    { 200, "{\"allow\":true,\"rights\":\"all\"}", LK_WEBHOOK_FAILED, 0 },
    { 200, "{\"allow\":true,\"rights\":null}", LK_WEBHOOK_FAILED, 0 },
    { 302, "{\"allow\":true}", LK_WEBHOOK_FAILED, 0 },
    { 500, "{\"allow\":true}", LK_WEBHOOK_FAILED, 0 },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_rights rights;
    test_note("case %u", (unsigned)i);
    CHECK_U64(judge(cases[i].status, cases[i].body, &rights), cases[i].verdict);
    if (cases[i].verdict == LK_WEBHOOK_OK) CHECK_U64(rights, cases[i].rights);
  }
}

static lk_webhook_verdict judge_load(uint16_t status, lk_slice type, lk_slice body, lk_slice *out,
                                     bool *is_binary) {
  const lk_http_response response = { .status = status, .body = body, .head.headers = type };
  return lk_webhook_read_load(&response, out, is_binary);
}

TEST(content_comes_as_bytes_or_as_json_and_nothing_else_is_content) {
  const lk_slice bytes = LK_LIT("Content-Type: application/octet-stream\r\n");
  const lk_slice json = LK_LIT("content-type: application/json; charset=utf-8\r\n");
  lk_slice out;
  bool is_binary;
  CHECK_U64(judge_load(200, bytes, LK_LIT("ab"), &out, &is_binary), LK_WEBHOOK_OK);
  CHECK(is_binary);
  CHECK_TEXT(out, "ab");
  CHECK_U64(judge_load(200, json, LK_LIT("{}"), &out, &is_binary), LK_WEBHOOK_OK);
  CHECK(!is_binary);
  CHECK_U64(judge_load(204, LK_SLICE_EMPTY, LK_SLICE_EMPTY, &out, &is_binary), LK_WEBHOOK_OK);
  CHECK_U64(out.len, 0);
  CHECK_U64(judge_load(200, bytes, LK_SLICE_EMPTY, &out, &is_binary), LK_WEBHOOK_FAILED);
  CHECK_U64(judge_load(200, LK_LIT("content-type: text/html\r\n"), LK_LIT("x"), &out, &is_binary),
            LK_WEBHOOK_FAILED);
  CHECK_U64(judge_load(200, LK_SLICE_EMPTY, LK_LIT("x"), &out, &is_binary), LK_WEBHOOK_FAILED);
  CHECK_U64(judge_load(500, bytes, LK_LIT("x"), &out, &is_binary), LK_WEBHOOK_FAILED);
  CHECK_U64(judge_load(404, bytes, LK_LIT("x"), &out, &is_binary), LK_WEBHOOK_FORBIDDEN);
}

TEST(who_wants_to_be_left_alone_says_for_how_long) {
  const lk_http_response late = { .status = 503, .head.headers = LK_LIT("Retry-After: 7\r\n") };
  const lk_http_response date = {
    .status = 503, .head.headers = LK_LIT("Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n")
  };
  const lk_http_response long_time = { .status = 503,
                                       .head.headers = LK_LIT("Retry-After: 99999999\r\n") };
  CHECK_U64(lk_webhook_retry_after_ms(&late), 7000);
  CHECK_U64(lk_webhook_retry_after_ms(&date), 0);
  CHECK_U64(lk_webhook_retry_after_ms(&long_time), 86400000);
}
