/* Hostile answers to `laniakea top`: it may be pointed at anything. */
#include "harness/test.h"
#include "server/http_response.h"
#include "server/prometheus.h"

static const lk_slice texts[] = {
  LK_LIT_INIT("# HELP a t\n# TYPE a gauge\na{b=\"c\",d=\"\\\\\"} 1.5\na +Inf\n"),
  LK_LIT_INIT("# HELP a t\n# TYPE a histogram\na_bucket{le=\"1\"} 1\na_sum 1e9\na_count 1\n"),
};
static const lk_slice responses[] = {
  LK_LIT_INIT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: x\r\n\r\nhi"),
  LK_LIT_INIT("HTTP/1.1 503\r\n\r\nbody"),
  LK_LIT_INIT("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
};

FUZZ(lk_prometheus_parse_next) {
  uint8_t scratch[300];
  lk_slice in = gen_hostile(g, texts, 2, scratch, sizeof scratch), value;
  lk_prometheus reader;
  lk_sample sample;
  lk_err err;
  uint32_t count = 0;
  lk_prometheus_init(&reader, in);
  while ((err = lk_prometheus_parse_next(&reader, &sample)) == LK_OK) {
    CHECK(++count <= in.len);
    CHECK(sample.name.len >= sample.family.len && sample.family.len > 0 && sample.kind.len > 0);
    if (lk_sample_label(&sample, LK_LIT("b"), &value)) CHECK(value.len < sample.labels.len);
  }
  CHECK(err == LK_ERR_END || err == LK_ERR_SYNTAX);
  CHECK_ERR(lk_prometheus_parse_next(&reader, &sample), err);
}

FUZZ(lk_http_response_parse) {
  uint8_t scratch[300];
  lk_slice in = gen_hostile(g, responses, 3, scratch, sizeof scratch);
  lk_http_response response;
  if (lk_http_response_parse(in, &response) != LK_OK) return;
  CHECK(response.status < 1000);
  CHECK(response.body.len < in.len);
}
