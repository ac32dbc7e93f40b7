/* Hostile responses: any bytes, in any pieces, give one response or one named error, the same for every cut. */
#include "wire/http_client.h"

#include "harness/test.h"

static const lk_slice samples[] = {
  LK_LIT_INIT("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"),
  LK_LIT_INIT("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
              "2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nT: u\r\n\r\n"),
  LK_LIT_INIT("HTTP/1.0 404 Not Found\r\nServer: x\r\n\r\nrest"),
  LK_LIT_INIT("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
};

FUZZ(lk_http_client_feed) {
  uint8_t scratch[400];
  lk_limits limits = lk_limits_default();
  lk_http_client whole, cut;
  lk_http_response want, got;
  limits.http_head_bytes = 1 + gen_below(g, 300);
  limits.http_headers_count = 1 + gen_below(g, 5);
  limits.http_chunks_count = 1 + gen_below(g, 5);
  uint32_t step = 1 + gen_below(g, 40), body_max = gen_below(g, 64);
  lk_slice in = gen_hostile(g, samples, 4, scratch, sizeof scratch), left = in, rest = in;
  lk_http_client_init(&whole, test_alloc(), &limits, body_max);
  lk_http_client_init(&cut, test_alloc(), &limits, body_max);
  lk_err err = lk_http_client_feed(&whole, &left), cut_err = LK_OK;
  while (rest.len > 0 && cut_err == LK_OK && !lk_http_client_poll(&cut, &got)) {
    lk_slice piece = lk_slice_first(rest, step);
    size_t before = piece.len;
    cut_err = lk_http_client_feed(&cut, &piece);
    rest = lk_slice_skip(rest, before - piece.len);
  }
  CHECK_ERR(cut_err, err);
  CHECK_ERR(lk_http_client_end(&cut), lk_http_client_end(&whole));
  CHECK(lk_http_client_poll(&whole, &want) == lk_http_client_poll(&cut, &got));
  if (lk_http_client_poll(&whole, &want)) {
    CHECK(want.status >= 200 && want.status < 600 && want.body.len <= body_max);
    CHECK_U64(got.status, want.status);
    CHECK_SLICE(got.body, want.body);
    CHECK_SLICE(got.head.headers, want.head.headers);
    CHECK_U64(rest.len, left.len);
  }
  lk_http_client_deinit(&whole);
  lk_http_client_deinit(&cut);
}

FUZZ(lk_http_url_parse) {
  static const lk_slice texts[] = { LK_LIT_INIT("https://[::1]:4443/a?b"),
                                    LK_LIT_INIT("http://a.b:80/%20") };
  uint8_t scratch[64];
  lk_http_url url;
  lk_slice in = gen_hostile(g, texts, 2, scratch, sizeof scratch);
  if (lk_http_url_parse(in, &url) != LK_OK) return;
  CHECK(url.port > 0 && url.host.len > 0 && url.target.ptr[0] == '/');
  CHECK(lk_slice_find_byte(url.target, '\r') == LK_SLICE_NONE);
  CHECK(lk_slice_find_byte(url.authority, '/') == LK_SLICE_NONE);
}
