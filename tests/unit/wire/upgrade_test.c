/* The handshake of RFC 6455: its example, what is refused, and which subprotocol is answered. */
#include "wire/upgrade.h"

#include "harness/test.h"

#define LINE "GET /chat HTTP/1.1\r\nHost: server.example.com\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define END "\r\n"

static const lk_http1_options options = { .body_bytes_max = 16 };
static lk_limits limits;

static void request_init(lk_http1 *http, lk_slice text, lk_http1_request *out) {
  limits = lk_limits_default();
  lk_http1_init(http, test_alloc(), &limits, &options, 0);
  CHECK_OK(lk_http1_feed(http, 0, &text));
  CHECK(text.len == 0 && lk_http1_poll(http, out));
}

/* RFC 6455 §1.3. */
TEST(the_example_of_the_rfc_gets_its_answer) {
  lk_http1 http;
  lk_http1_request request;
  lk_buf out;
  size_t chosen = 9;
  static const lk_slice protocols[] = { LK_LIT_INIT("chat") };
  request_init(&http,
               LK_LIT(LINE UPGRADE CONNECTION KEY
                      "Origin: http://example.com\r\n"
                      "Sec-WebSocket-Protocol: chat, superchat\r\n" VERSION END),
               &request);
  lk_buf_init(&out, test_alloc(), 1000);
  CHECK(lk_upgrade_is_wanted(&request));
  CHECK_OK(lk_upgrade_accept(&request, protocols, 1, &out, &chosen));
  CHECK_TEXT(lk_buf_slice(&out),
             "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
             "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
             "sec-websocket-protocol: chat\r\n\r\n");
  CHECK_U64(chosen, 0);
  lk_buf_deinit(&out);
  lk_http1_deinit(&http);
}

TEST(a_request_that_lacks_something_is_refused_by_name) {
  static const struct {
    lk_slice text;
    lk_err err;
    lk_slice answer; /* how the refusal begins */
  } cases[] = {
#define CASE(text, err, answer) { LK_LIT_INIT(text), err, LK_LIT_INIT("HTTP/1.1 " answer) }
#define BAD(text) CASE(text, LK_ERR_WS_HANDSHAKE, "400 Bad Request\r\ncontent-length: 0\r\n")
    CASE("POST / HTTP/1.1\r\nHost: a\r\n" UPGRADE CONNECTION KEY VERSION END, LK_ERR_HTTP_METHOD,
         "405 Method Not Allowed\r\nallow: GET\r\n"),
    CASE(LINE UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 8\r\n" END, LK_ERR_VERSION,
         "426 Upgrade Required\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"),
    BAD("GET / HTTP/1.0\r\nHost: a\r\n" UPGRADE CONNECTION KEY VERSION END),
    BAD(LINE CONNECTION KEY VERSION END),
    BAD(LINE "Upgrade: websockets\r\n" CONNECTION KEY VERSION END),
    BAD(LINE UPGRADE KEY VERSION END),
    BAD(LINE UPGRADE "Connection: keep-alive\r\n" KEY VERSION END),
    BAD(LINE UPGRADE CONNECTION VERSION END),
    BAD(LINE UPGRADE CONNECTION KEY END),
    BAD(LINE UPGRADE CONNECTION KEY KEY VERSION END),
    BAD(LINE UPGRADE CONNECTION KEY VERSION VERSION END),
    BAD(LINE UPGRADE CONNECTION KEY VERSION "Content-Length: 1\r\n" END "x"),
    BAD(LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key:\r\n" END),
    BAD(LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n" END),
    BAD(LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTE=\r\n" END),
    BAD(LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTEx\r\n" END),
    BAD(LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n" END),
    BAD(LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub2*jZQ==\r\n" END),
    BAD(LINE UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n" END),
#undef BAD
#undef CASE
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    lk_http1 http;
    lk_http1_request request;
    lk_buf out;
    size_t chosen = 9;
    test_note("case %zu", i);
    lk_buf_init(&out, test_alloc(), 1000);
    request_init(&http, cases[i].text, &request);
    CHECK_ERR(lk_upgrade_check(&request), cases[i].err);
    CHECK_ERR(lk_upgrade_accept(&request, NULL, 0, &out, &chosen), cases[i].err);
    CHECK(out.len == 0 && chosen == 9);
    CHECK_OK(lk_upgrade_refuse(cases[i].err, &out));
    CHECK_SLICE(lk_slice_first(lk_buf_slice(&out), cases[i].answer.len), cases[i].answer);
    CHECK(lk_slice_ends_with(lk_buf_slice(&out), LK_LIT("\r\nconnection: close\r\n\r\n")));
    lk_buf_deinit(&out);
    lk_http1_deinit(&http);
  }
}

TEST(browsers_write_the_headers_in_their_own_way) {
  static const lk_slice accepted[] = {
    LK_LIT_INIT(LINE "upgrade: WebSocket\r\nconnection: keep-alive, upgrade\r\n" KEY VERSION END),
    LK_LIT_INIT(LINE
                "Upgrade: h2c, websocket\r\nConnection: x\r\nConnection: UPGRADE\r\n" KEY VERSION
                "Sec-WebSocket-Extensions: permessage-deflate\r\n" END),
    LK_LIT_INIT(LINE UPGRADE CONNECTION KEY VERSION "Content-Length: 0\r\n" END),
  };
  for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
    lk_http1 http;
    lk_http1_request request;
    lk_buf out;
    request_init(&http, accepted[i], &request);
    lk_buf_init(&out, test_alloc(), 1000);
    CHECK_OK(lk_upgrade_accept(&request, NULL, 0, &out, NULL));
    CHECK(lk_slice_find(lk_buf_slice(&out), LK_LIT("extensions")) == LK_SLICE_NONE);
    lk_buf_deinit(&out);
    lk_http1_deinit(&http);
  }
}

/* Goal: the server's order decides, one subprotocol is answered or none, and a token that is sent
 * as a subprotocol is never echoed. */
TEST(the_servers_best_subprotocol_is_answered) {
  static const lk_slice protocols[] = { LK_LIT_INIT("phoenix"), LK_LIT_INIT("y") };
  static const struct {
    lk_slice text;
    size_t chosen;
    lk_slice answer;
  } cases[] = {
#define CASE(header, chosen, answer)                                                               \
  { LK_LIT_INIT(LINE UPGRADE CONNECTION KEY VERSION header END), chosen, LK_LIT_INIT(answer) }
    CASE("", 2, ""),
    CASE("Sec-WebSocket-Protocol: Phoenix, z\r\n", 2, ""),
    CASE("Sec-WebSocket-Protocol: y, bearer.secret ,phoenix\r\n", 0, "phoenix"),
    CASE("Sec-WebSocket-Protocol: x\r\nsec-websocket-protocol: y\r\n", 1, "y"),
#undef CASE
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    lk_http1 http;
    lk_http1_request request;
    lk_buf out;
    size_t chosen = 9;
    request_init(&http, cases[i].text, &request);
    lk_buf_init(&out, test_alloc(), 1000);
    CHECK_OK(lk_upgrade_accept(&request, protocols, 2, &out, &chosen));
    CHECK_U64(chosen, cases[i].chosen);
    size_t at = lk_slice_find(lk_buf_slice(&out), LK_LIT("sec-websocket-protocol: "));
    CHECK((at == LK_SLICE_NONE) == (cases[i].answer.len == 0));
    if (at != LK_SLICE_NONE) {
      lk_slice rest = lk_slice_skip(lk_buf_slice(&out), at + 24);
      CHECK(lk_slice_starts_with(rest, cases[i].answer));
      CHECK_U64(rest.len, cases[i].answer.len + 4); /* and nothing follows */
    }
    lk_buf_deinit(&out);
    lk_http1_deinit(&http);
  }
}

TEST(an_answer_that_does_not_fit_leaves_nothing_behind) {
  FAULT_LOOP(faults, test_alloc()) {
    lk_http1 http;
    lk_http1_request request;
    lk_buf out;
    request_init(&http, LK_LIT(LINE UPGRADE CONNECTION KEY VERSION END), &request);
    lk_buf_init(&out, faulty_alloc(&faults), 1000);
    lk_err err = lk_upgrade_accept(&request, NULL, 0, &out, NULL);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    CHECK((out.len == 0) == (err != LK_OK));
    CHECK_OK(lk_buf_err(&out));
    lk_buf_truncate(&out, 0);
    err = lk_upgrade_refuse(LK_ERR_VERSION, &out);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    CHECK((out.len == 0) == (err != LK_OK));
    lk_buf_deinit(&out);
    lk_http1_deinit(&http);
  }
}
