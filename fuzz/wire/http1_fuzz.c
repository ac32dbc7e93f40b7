/* Hostile requests: any bytes, in any pieces, give one request or one named error, the same for
 * every cut; and what is accepted holds what the header of http1.h promises. */
#include "wire/http1.h"
#include "wire/upgrade.h"

#include "harness/test.h"

#define HOST "Host: a.b:80\r\n"
static const lk_slice samples[] = {
  LK_LIT_INIT("GET /a%20b?c=d HTTP/1.1\r\n" HOST "Accept: */*\r\n\r\n"),
  LK_LIT_INIT("POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello"),
  LK_LIT_INIT("\r\nGET http://a.b:80/x HTTP/1.1\r\n" HOST "Connection: close, x\r\n\r\n"),
  LK_LIT_INIT("GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
  LK_LIT_INIT("PUT /b HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
              "2;a=\"\\b\"\r\nhe\r\n1c;d\r\nllohellohellohellohellohello\r\n0\r\nT: u\r\n\r\n"),
  LK_LIT_INIT("OPTIONS * HTTP/1.0\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"),
  LK_LIT_INIT("GET /socket/websocket HTTP/1.1\r\n" HOST
              "Upgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Protocol: phoenix, y\r\n\r\n"),
};
enum { SAMPLES = sizeof samples / sizeof *samples };

static const lk_http1_body_rule rules[] = { { LK_LIT_INIT("/x"), 0 } };
static const lk_http1_options options = { .body_bytes_max = 32,
                                          .body_rules = rules,
                                          .body_rules_count = 1 };

static void check_request(const lk_http1_request *request, const lk_limits *limits) {
  lk_slice name, value;
  uint32_t count = 0;
  CHECK(request->method.len > 0 && request->path.len > 0 && request->body.len <= 32);
  CHECK(request->path.ptr[0] == '/' || lk_slice_equal(request->path, LK_LIT("*")));
  CHECK(request->host.len > 0 || request->version_minor == 0);
  CHECK(request->headers.len < limits->http_head_bytes);
  for (size_t pos = 0; lk_http1_header_next(request, &pos, &name, &value); count++) {
    CHECK(name.len > 0 && lk_slice_find_byte(name, ' ') == LK_SLICE_NONE);
    CHECK(lk_slice_find_byte(value, '\r') == LK_SLICE_NONE);
    CHECK(lk_slice_find_byte(value, '\n') == LK_SLICE_NONE);
    CHECK(lk_slice_find_byte(value, 0) == LK_SLICE_NONE);
  }
  CHECK(count <= limits->http_headers_count);
}

FUZZ(lk_http1_feed) {
  uint8_t scratch[400];
  lk_limits limits = lk_limits_default();
  lk_http1 whole, cut;
  lk_http1_request want, got;
  limits.http_head_bytes = 1 + gen_below(g, 300);
  limits.http_headers_count = 1 + gen_below(g, 5);
  limits.http_chunks_count = 1 + gen_below(g, 5);
  uint32_t step = 1 + gen_below(g, 40);
  lk_slice in = gen_hostile(g, samples, SAMPLES, scratch, sizeof scratch), left = in, rest = in;
  lk_http1_init(&whole, test_alloc(), &limits, &options, 0);
  lk_http1_init(&cut, test_alloc(), &limits, &options, 0);
  lk_err err = lk_http1_feed(&whole, 0, &left), cut_err = LK_OK;
  while (rest.len > 0 && cut_err == LK_OK && !lk_http1_poll(&cut, &got)) {
    lk_slice piece = lk_slice_first(rest, step);
    size_t before = piece.len;
    cut_err = lk_http1_feed(&cut, 0, &piece);
    rest = lk_slice_skip(rest, before - piece.len);
  }
  CHECK_ERR(cut_err, err);
  CHECK_U64(lk_http1_status(&cut), lk_http1_status(&whole));
  CHECK((lk_http1_status(&whole) == 0) == (err == LK_OK));
  if (lk_http1_poll(&whole, &want)) {
    CHECK(lk_http1_poll(&cut, &got));
    CHECK_SLICE(got.target, want.target);
    CHECK_SLICE(got.headers, want.headers);
    CHECK_SLICE(got.body, want.body);
    CHECK_U64(rest.len, left.len);
    check_request(&want, &limits);
  }
  lk_http1_deinit(&whole);
  lk_http1_deinit(&cut);
}

FUZZ(lk_http1_percent_decode) {
  static const lk_slice texts[] = { LK_LIT_INIT("/a%20b%2fc+d%C3%A9"), LK_LIT_INIT("%41%00") };
  uint8_t scratch[64];
  lk_buf out;
  bool form = gen_bool(g);
  lk_slice in = gen_hostile(g, texts, 2, scratch, sizeof scratch);
  lk_buf_init(&out, test_alloc(), 1u << 20);
  lk_err err = lk_http1_percent_decode(in, form, &out);
  CHECK(err == LK_OK || err == LK_ERR_SYNTAX);
  CHECK(out.len <= in.len && (err == LK_OK || out.len == 0));
  CHECK(lk_slice_find_byte(lk_buf_slice(&out), 0) == LK_SLICE_NONE);
  lk_buf_deinit(&out);
}

/* What a hostile client asks for is either answered whole or refused whole. */
FUZZ(lk_upgrade_accept) {
  static const lk_slice protocols[] = { LK_LIT_INIT("phoenix"), LK_LIT_INIT("y") };
  uint8_t scratch[400];
  lk_limits limits = lk_limits_default();
  lk_http1 http;
  lk_http1_request request;
  lk_buf out;
  size_t chosen = 9;
  lk_slice in = gen_hostile(g, samples + SAMPLES - 1, 1, scratch, sizeof scratch);
  lk_http1_init(&http, test_alloc(), &limits, &options, 0);
  lk_buf_init(&out, test_alloc(), 1000);
  if (lk_http1_feed(&http, 0, &in) == LK_OK && lk_http1_poll(&http, &request)) {
    lk_err err = lk_upgrade_accept(&request, protocols, 2, &out, &chosen);
    CHECK((err == LK_OK) == (out.len > 0) && (err == LK_OK) == (chosen <= 2));
    CHECK_ERR(lk_upgrade_check(&request), err);
    CHECK(err != LK_OK || lk_upgrade_is_wanted(&request));
  }
  lk_buf_deinit(&out);
  lk_http1_deinit(&http);
}
