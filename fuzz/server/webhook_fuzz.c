/* What comes back from webhooks, from edges and from a file of ours that somebody may have damaged. */
#include "server/webhook.h"
#include "server/webhook_desk.h"
#include "server/webhook_dues.h"
#include "server/webhook_news.h"

#include "harness/test.h"

static const lk_webhook_times times = { .debounce_ms = 100,
                                        .debounce_most_ms = 250,
                                        .retry_ms = 1000,
                                        .retry_most_ms = 8000,
                                        .retry_for_ms = 60000 };
static const uint64_t seed[3] = { 1, 2, 3 };

FUZZ(lk_webhook_rule_read) {
  static const lk_slice texts[] = { LK_LIT_INIT("doc:*=https://app.example:1/x?y"),
                                    LK_LIT_INIT("a=b=http://[::1]/") };
  uint8_t scratch[100];
  lk_webhook_rule rule;
  lk_slice in = gen_hostile(g, texts, 2, scratch, sizeof scratch);
  if (lk_webhook_rule_read(in, &rule) != LK_OK) return;
  CHECK(rule.pattern.len > 0 && rule.url.host.len > 0);
  size_t star = lk_slice_find_byte(rule.pattern, '*');
  CHECK(star == LK_SLICE_NONE || star == rule.pattern.len - 1);
}

/* also fuzzes: lk_webhook_read_authorise, lk_webhook_retry_after_ms */
FUZZ(lk_webhook_read_load) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                "Content-Length: 2\r\n\r\nab"),
    LK_LIT_INIT("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nRetry-After: 9\r\n"
                "Content-Length: 31\r\n\r\n{\"allow\":true,\"rights\":\"write\"}\n"),
  };
  uint8_t scratch[400];
  const lk_limits limits = lk_limits_default();
  lk_http_client client;
  lk_http_response response;
  lk_slice content, in = gen_hostile(g, samples, 2, scratch, sizeof scratch);
  lk_rights rights;
  bool is_binary;
  lk_http_client_init(&client, test_alloc(), &limits, 1000);
  if (lk_http_client_feed(&client, &in) == LK_OK && lk_http_client_poll(&client, &response)) {
    lk_webhook_verdict verdict = lk_webhook_read_load(&response, &content, &is_binary);
    CHECK(content.len == 0 || (verdict == LK_WEBHOOK_OK && response.status == 200));
    verdict = lk_webhook_read_authorise(&response, &limits, test_alloc(), &rights);
    if (verdict == LK_WEBHOOK_OK)
      CHECK(lk_slice_find(response.body, LK_LIT("true")) != LK_SLICE_NONE);
    CHECK(lk_webhook_retry_after_ms(&response) <= 86400000);
  }
  lk_http_client_deinit(&client);
}

/* also fuzzes: lk_webhook_dues_encode */
FUZZ(lk_webhook_dues_decode) {
  static const lk_slice samples[] = { LK_LIT_INIT("\x01\x01\x05"
                                                  "doc:a"
                                                  "\x07\x02\x03\x04\x00\x00\x04\x03"
                                                  "ann"),
                                      LK_LIT_INIT("\x01\x00") };
  uint8_t scratch[200];
  lk_webhook_dues dues, again;
  lk_buf out, twice;
  lk_slice in = gen_hostile(g, samples, 2, scratch, sizeof scratch);
  lk_buf_init(&out, test_alloc(), 100000);
  lk_buf_init(&twice, test_alloc(), 100000);
  lk_webhook_dues_init(&dues, test_alloc(), &times, 100, seed);
  lk_webhook_dues_init(&again, test_alloc(), &times, 100, seed);
  lk_err err = lk_webhook_dues_decode(&dues, false, in, 5);
  if (err == LK_OK && dues.dropped == 0) { /* what was understood is written and understood again */
    CHECK_OK(lk_webhook_dues_encode(&dues, false, &out));
    CHECK_OK(lk_webhook_dues_decode(&again, false, lk_buf_slice(&out), 5));
    CHECK_OK(lk_webhook_dues_encode(&again, false, &twice));
    CHECK_SLICE(lk_buf_slice(&twice), lk_buf_slice(&out));
  }
  while (lk_webhook_dues_poll(&dues, UINT64_MAX - 1) != NULL) continue;
  lk_webhook_dues_deinit(&dues);
  lk_webhook_dues_deinit(&again);
  lk_buf_deinit(&out);
  lk_buf_deinit(&twice);
}

FUZZ(lk_webhook_news_read) {
  static const lk_slice samples[] = {
    LK_LIT_INIT(
        "{\"changes\":[{\"topic\":\"doc:a\",\"sequence\":3,\"changes\":2,\"first\":1,\"last\":2,"
        "\"memory\":false,\"by\":[\"ann\"]}],\"serial\":8,\"upto\":3,\"more\":false}"),
  };
  uint8_t scratch[400];
  const lk_limits limits = lk_limits_default();
  lk_webhook_cursor cursor = { .after = 1, .serial = 2 };
  lk_webhook_dues dues;
  uint32_t count;
  lk_slice in = gen_hostile(g, samples, 1, scratch, sizeof scratch);
  lk_webhook_dues_init(&dues, test_alloc(), &times, 100, seed);
  lk_err err = lk_webhook_news_read(in, &limits, test_alloc(), 5, 6, &dues, &cursor, &count);
  if (err != LK_OK) CHECK(cursor.after == 1 && cursor.serial == 2);
  CHECK(lk_webhook_dues_count(&dues) <= count);
  lk_webhook_dues_deinit(&dues);
}

/* An edge that says anything is answered, or begins anew. There is no hook that would be called. */
FUZZ(lk_webhook_desk_feed) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("\x04\x00\x00\x00\x01\x00\x05\x07"
                "\x10\x00\x00\x00\x0e\x03\x01\x01\x03"
                "c:a"
                "\x04"
                "join"
                "\x00\x00"),
  };
  uint8_t scratch[200];
  const lk_limits limits = lk_limits_default();
  const lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  static lk_webhook_options webhooks;
  static lk_webhook_secrets secrets;
  lk_webhook_caller caller = { .alloc = NULL };
  lk_webhook_desk desk;
  lk_histogram latency = { .sum_us = 0 };
  lk_edge *edge;
  CHECK_OK(lk_edge_open(
      &(lk_edge_options){ .env = &env, .limits = &limits, .generation = 1, .houses_count = 1 },
      &edge));
  CHECK_OK(lk_webhook_desk_init(&desk, &(lk_webhook_desk_options){ .alloc = test_alloc(),
                                                                   .limits = &limits,
                                                                   .webhooks = &webhooks,
                                                                   .secrets = &secrets,
                                                                   .edge = edge,
                                                                   .caller = &caller,
                                                                   .latency = &latency,
                                                                   .generation = 7,
                                                                   .edges_count = 1 }));
  uint32_t step = 1 + gen_below(g, 60);
  for (lk_slice in = gen_hostile(g, samples, 1, scratch, sizeof scratch); in.len > 0;
       in = lk_slice_skip(in, step))
    lk_webhook_desk_feed(&desk, 0, lk_slice_first(in, step), gen_chance(g, 1, 4));
  lk_webhook_desk_step(&desk, 1, 1);
  CHECK(lk_webhook_desk_is_idle(&desk)); /* without hooks nobody waits */
  lk_webhook_desk_deinit(&desk);
  lk_edge_close(edge);
}
