/* HTTP/1.1 as a server reads and writes it: what is a request, what is refused, and that neither
 * cuts in the input nor hostile bytes nor a lack of memory change the answer. */
#include "wire/http1.h"

#include "harness/test.h"

static const lk_http1_options options = { .body_bytes_max = 64,
                                          .request_ms = 1000,
                                          .idle_ms = 500 };

/* What came of one input, in a form that two runs can compare. */
typedef struct outcome {
  lk_err err;
  uint16_t status;
  bool ready;
  size_t left; /* bytes that the machine did not take */
  lk_http1_request request;
} outcome;

/* Feeds |in| in two pieces, or byte by byte where |cut| is above its length. */
static outcome feed_cut(lk_http1 *http, lk_slice in, size_t cut) {
  outcome out = { 0 };
  size_t at = 0, step = cut > in.len ? 1 : cut;
  while (out.err == LK_OK && at < in.len) {
    size_t len = lk_min_size(step == 0 ? in.len : step, in.len - at);
    lk_slice piece = lk_slice_first(lk_slice_skip(in, at), len);
    lk_slice rest = piece;
    out.err = lk_http1_feed(http, 1, &rest);
    at += len - rest.len;
    if (rest.len > 0) break;
    if (cut <= in.len) step = in.len;
  }
  out.left = in.len - at;
  out.status = lk_http1_status(http);
  out.ready = lk_http1_poll(http, &out.request);
  return out;
}

static outcome feed_all(lk_http1 *http, lk_slice in) { return feed_cut(http, in, 0); }

static lk_limits limits_now;

static void begin(lk_http1 *http) {
  limits_now = lk_limits_default();
  lk_http1_init(http, test_alloc(), &limits_now, &options, 0);
}

static void check_same(outcome got, outcome want) {
  CHECK_U64(got.err, want.err);
  CHECK_U64(got.status, want.status);
  CHECK(got.ready == want.ready);
  if (!want.ready) return;
  CHECK_U64(got.left, want.left);
  CHECK_SLICE(got.request.method, want.request.method);
  CHECK_SLICE(got.request.target, want.request.target);
  CHECK_SLICE(got.request.path, want.request.path);
  CHECK_SLICE(got.request.query, want.request.query);
  CHECK_SLICE(got.request.host, want.request.host);
  CHECK_SLICE(got.request.headers, want.request.headers);
  CHECK_SLICE(got.request.body, want.request.body);
  CHECK(got.request.keep_alive == want.request.keep_alive);
}

static void check_every_cut(lk_slice in) {
  lk_http1 whole, cut;
  begin(&whole);
  outcome want = feed_all(&whole, in);
  for (size_t at = 0; at <= in.len + 1; at++) {
    begin(&cut);
    test_note("cut at %zu of %.*s", at, (int)in.len, (const char *)in.ptr);
    check_same(feed_cut(&cut, in, at), want);
    lk_http1_deinit(&cut);
  }
  lk_http1_deinit(&whole);
}

#define HOST "Host: a\r\n"
static const lk_slice example = LK_LIT_INIT(
    "POST /room/a%20b?vsn=2.0.0&x HTTP/1.1\r\nHost: example.com:4000\r\nAccept:\ttext/html \r\n"
    "Empty:\r\naccept: */*\r\nContent-Length: 5\r\n\r\nhelloGET /next HTTP/1.1\r\n" HOST "\r\n");

/* ---- whole requests ---- */

TEST(a_request_is_taken_apart_and_the_next_one_is_left) {
  lk_http1 http;
  begin(&http);
  outcome out = feed_all(&http, example);
  CHECK_OK(out.err);
  CHECK(out.ready && out.request.keep_alive);
  CHECK_TEXT(out.request.method, "POST");
  CHECK_TEXT(out.request.target, "/room/a%20b?vsn=2.0.0&x");
  CHECK_TEXT(out.request.path, "/room/a%20b");
  CHECK_TEXT(out.request.query, "vsn=2.0.0&x");
  CHECK_TEXT(out.request.host, "example.com:4000");
  CHECK_TEXT(out.request.body, "hello");
  CHECK_U64(out.request.version_minor, 1);
  CHECK_TEXT(lk_slice_last(example, out.left), "GET /next HTTP/1.1\r\n" HOST "\r\n");
  lk_http1_deinit(&http);
}

TEST(requests_that_are_sent_without_waiting_come_out_one_by_one) {
  lk_http1 http;
  lk_http1_request request;
  lk_slice in = LK_LIT("GET /1 HTTP/1.1\r\n" HOST "\r\nPUT /2 HTTP/1.1\r\n" HOST
                       "Content-Length: 2\r\n\r\nab\r\nGET /3 HTTP/1.1\r\n" HOST "\r\n");
  static const lk_slice paths[] = { LK_LIT_INIT("/1"), LK_LIT_INIT("/2"), LK_LIT_INIT("/3") };
  begin(&http);
  for (size_t i = 0; i < 3; i++) {
    CHECK_OK(lk_http1_feed(&http, 0, &in));
    CHECK(lk_http1_poll(&http, &request));
    CHECK_SLICE(request.path, paths[i]);
    size_t left = in.len;
    CHECK_OK(lk_http1_feed(&http, 0, &in)); /* takes nothing before lk_http1_next() */
    CHECK_U64(in.len, left);
    lk_http1_next(&http, 0);
    CHECK(!lk_http1_poll(&http, &request));
  }
  CHECK_U64(in.len, 0);
  lk_http1_deinit(&http);
}

TEST(result_does_not_depend_on_where_the_input_is_cut) {
  check_every_cut(example);
  check_every_cut(LK_LIT("\r\nGET / HTTP/1.0\r\n\r\n"));
  check_every_cut(
      LK_LIT("GET http://a?q HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
  check_every_cut(LK_LIT("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"));
  check_every_cut(LK_LIT("GET / HTTP/2.0\r\n\r\n"));
}

/* Goal: a parsed request is the one that was written, for any grammar-abiding one and any cuts. */
PROPERTY(what_a_client_writes_is_what_the_server_reads) {
  static const char names[][8] = { "a", "X-Long", "accept", "!#$%&'*" };
  static const char values[][12] = { "", "v", "a b\tc", "\xC3\xA9:=,;\"" };
  uint8_t bytes[1024], body[64];
  lk_buf text = { .ptr = bytes, .cap = sizeof bytes, .max = sizeof bytes };
  lk_http1 http;
  lk_http1_request request;
  lk_slice name, value;
  size_t body_len = gen_bytes(g, body, sizeof body), pos = 0;
  uint32_t count = gen_below(g, 6), picks[6];
  lk_buf_append(&text, LK_LIT("PUT /p?q HTTP/1.1\r\nHost:h\r\nContent-Length: "));
  lk_buf_append_decimal(&text, body_len);
  lk_buf_append(&text, LK_LIT("\r\n"));
  for (uint32_t i = 0; i < count; i++) {
    picks[i] = gen_below(g, 16);
    lk_buf_append(&text, lk_slice_cstr(names[picks[i] / 4]));
    lk_buf_append(&text, gen_bool(g) ? LK_LIT(": \t") : LK_LIT(":"));
    lk_buf_append(&text, lk_slice_cstr(values[picks[i] % 4]));
    lk_buf_append(&text, gen_bool(g) ? LK_LIT(" \r\n") : LK_LIT("\r\n"));
  }
  lk_buf_append(&text, LK_LIT("\r\n"));
  CHECK_OK(lk_buf_append(&text, lk_slice_of(body, body_len)));
  begin(&http);
  for (lk_slice rest = lk_buf_slice(&text); rest.len > 0;) {
    lk_slice piece = lk_slice_first(rest, 1 + gen_below(g, 100));
    rest = lk_slice_skip(rest, piece.len);
    CHECK_OK(lk_http1_feed(&http, 0, &piece));
    CHECK_U64(piece.len, 0);
  }
  CHECK(lk_http1_poll(&http, &request));
  CHECK_SLICE(request.body, lk_slice_of(body, body_len));
  for (int skipped = 0; skipped < 2; skipped++)
    CHECK(lk_http1_header_next(&request, &pos, &name, &value));
  for (uint32_t i = 0; i < count; i++) {
    CHECK(lk_http1_header_next(&request, &pos, &name, &value));
    CHECK_SLICE(name, lk_slice_cstr(names[picks[i] / 4]));
    CHECK_SLICE(value, lk_slice_cstr(values[picks[i] % 4]));
  }
  CHECK(!lk_http1_header_next(&request, &pos, &name, &value));
  lk_http1_deinit(&http);
}

/* ---- what is refused ---- */

typedef struct refusal {
  lk_slice bytes;
  lk_err err;
  uint16_t status;
} refusal;

#define BAD(text)                                                                                  \
  { LK_LIT_INIT(text), LK_ERR_HTTP, 400 }
#define GET "GET / HTTP/1.1\r\n"
#define BAD_HEADER(text) BAD(GET HOST text "\r\n\r\n")
#define CHUNKED "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
#define BAD_CHUNK(text) BAD(CHUNKED text)
/* NUL and bytes above ASCII are written apart, so that a hexadecimal digit cannot follow them. */
static const refusal refusals[] = {
  /* line ends */
  BAD("GET / HTTP/1.1\n"),
  BAD(GET "Host: a\n"),
  BAD(GET HOST "\n"),
  BAD("GET / HTTP/1.1X\n"),
  BAD(GET HOST "a: bX\n\r\n"),
  BAD("GET / HTTP/1.1\r\r\n"),
  BAD(GET "Host: a\r\r\n"),
  BAD(GET HOST "a: b\rc: d\r\n"),
  BAD(GET HOST "\r\r\n"),
  BAD("\n"),
  BAD("\r\n\r\n"),
  BAD("GET /\rHTTP/1.1\r\n"),
  /* the request line */
  BAD(" GET / HTTP/1.1\r\n"),
  BAD("GET  / HTTP/1.1\r\n"),
  BAD("GET /  HTTP/1.1\r\n"),
  BAD("GET / HTTP/1.1 \r\n"),
  BAD("GET\t/ HTTP/1.1\r\n"),
  BAD("GET /\r\n"),
  BAD("GET\r\n"),
  BAD("G(T / HTTP/1.1\r\n"),
  BAD("GET x HTTP/1.1\r\n"),
  BAD("GET * HTTP/1.1\r\n"),
  BAD("GET /a#b HTTP/1.1\r\n"),
  BAD("GET /\x7f HTTP/1.1\r\n"),
  BAD("GET /\xC3\xA9 HTTP/1.1\r\n"),
  BAD("GET /a\0b HTTP/1.1\r\n"),
  BAD("GET /a b HTTP/1.1\r\n"),
  BAD("GET / http/1.1\r\n"),
  BAD("GET / HTTP/1.10\r\n"),
  BAD("GET / HTTP/11\r\n"),
  BAD("GET / HTTP/+.1\r\n"),
  BAD("CONNECT a:80 HTTP/1.1\r\n"),
  BAD("GET ftp://a/ HTTP/1.1\r\n"),
  BAD("GET http:///x HTTP/1.1\r\n"),
  BAD("\x16\x03\x01\x02"),
  BAD("\0"),
  BAD("{\"not\":\"http\"}"),
  /* names and folding */
  BAD_HEADER("a : b"),
  BAD_HEADER("a\t: b"),
  BAD_HEADER(" a: b"),
  BAD_HEADER("a: b\r\n c"),
  BAD_HEADER("a: b\r\n\tc"),
  BAD_HEADER(": b"),
  BAD_HEADER("a"),
  BAD_HEADER("a b: c"),
  BAD_HEADER("a\0: b"),
  BAD_HEADER("\xC3\xA4: b"),
  BAD_HEADER("(a): b"),
  BAD(GET " " HOST "\r\n"),
  /* values */
  BAD_HEADER("a: b\0c"),
  BAD_HEADER("a: b\x01"),
  BAD_HEADER("a: b\x7f"),
  BAD_HEADER("a: \x1b[31m"),
  /* the body's length */
  BAD_HEADER("Content-Length: 1\r\nContent-Length: 1"),
  BAD_HEADER("Content-Length: 1\r\ncontent-length: 2"),
  BAD_HEADER("Content-Length: 1, 1"),
  BAD_HEADER("Content-Length: +1"),
  BAD_HEADER("Content-Length: -1"),
  BAD_HEADER("Content-Length: 0x1"),
  BAD_HEADER("Content-Length: 01"),
  BAD_HEADER("Content-Length: 1 1"),
  BAD_HEADER("Content-Length: 1.0"),
  BAD_HEADER("Content-Length:"),
  BAD_HEADER("Content-Length: 18446744073709551616"),
  BAD_HEADER("Content-Length: 99999999999999999999"),
  BAD_HEADER("Content-Length: 1e1"),
  BAD_HEADER("Content-Length : 1"),
  BAD_HEADER("Content-Length: \x0b"
             "1"),
  BAD_HEADER("Transfer-Encoding: chunked\r\nContent-Length: 3"),
  BAD_HEADER("Content-Length: 3\r\nTransfer-Encoding: chunked"),
  BAD_HEADER("Transfer-Encoding : chunked"),
  BAD_HEADER("Transfer-Encoding\x0b: chunked"),
  BAD("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
  BAD_HEADER("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
  BAD_HEADER("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"),
  BAD_HEADER("Transfer-Encoding: chunked\r\nContent-Length: 0"),
  BAD_HEADER("Transfer-Encoding: identity\r\nContent-Length: 0"),
  /* the size of a chunk */
  BAD_CHUNK("\r\n"),
  BAD_CHUNK(";a\r\n"),
  BAD_CHUNK(" 1\r\n"),
  BAD_CHUNK("1 \r\n"),
  BAD_CHUNK("1\t;a\r\n"),
  BAD_CHUNK("+1\r\n"),
  BAD_CHUNK("-1\r\n"),
  BAD_CHUNK("0x1\r\n"),
  BAD_CHUNK("1_0\r\n"),
  BAD_CHUNK("1h\r\n"),
  BAD_CHUNK("g\r\n"),
  BAD_CHUNK("1\n"),
  BAD_CHUNK("1\r\r"),
  BAD_CHUNK("1\rx"),
  BAD_CHUNK("1\0"),
  BAD_CHUNK("\xff\r\n"),
  /* its extensions */
  BAD_CHUNK("1;\r\n"),
  BAD_CHUNK("1; a\r\n"),
  BAD_CHUNK("1;a b\r\n"),
  BAD_CHUNK("1;a\n"),
  BAD_CHUNK("1;a\rb"),
  BAD_CHUNK("1;a=\r\n"),
  BAD_CHUNK("1;a=b=c\r\n"),
  BAD_CHUNK("1;a=\"b\r\n"),
  BAD_CHUNK("1;a=\"b\n"),
  BAD_CHUNK("1;a=\"\\\r\n"),
  BAD_CHUNK("1;a=\"\\\x01"),
  BAD_CHUNK("1;a=\"b\"c\r\n"),
  BAD_CHUNK("1;a;;b\r\n"),
  BAD_CHUNK("1;=b\r\n"),
  /* what stands behind its bytes */
  BAD_CHUNK("1\r\nab\r\n"),
  BAD_CHUNK("1\r\na\n"),
  BAD_CHUNK("1\r\na\r\r"),
  BAD_CHUNK("1\r\naX\n"),
  BAD_CHUNK("2\r\na\r\n0\r\n\r\n"), /* the LF is no data's end */
  BAD_CHUNK("1\r\na0\r\n\r\n"),
  BAD_CHUNK("1\r\na\r\n\r\n"),
  /* trailers */
  BAD_CHUNK("0\r\nX"
            "\r\n\r\n"),
  BAD_CHUNK("0\r\n\n"),
  BAD_CHUNK("0\r\n\rX"),
  BAD_CHUNK("0\r\n : a\r\n"),
  BAD_CHUNK("0\r\n:a\r\n"),
  BAD_CHUNK("0\r\na : b\r\n"),
  BAD_CHUNK("0\r\na: b\n"),
  BAD_CHUNK("0\r\na: b\rc"),
  BAD_CHUNK("0\r\na: b\r\n c\r\n"),
  BAD_CHUNK("0\r\na: \x01\r\n"),
  BAD_CHUNK("0\r\nGET / HTTP/1.1\r\n"),
  /* the host */
  BAD(GET "\r\n"),
  BAD_HEADER(HOST),
  BAD_HEADER("host: b"),
  BAD(GET "Host:\r\n\r\n"),
  BAD(GET "Host: a b\r\n"),
  BAD(GET "Host: a,b\r\n"),
  BAD(GET "Host: a/b\r\n"),
  BAD(GET "Host: u@a\r\n"),
  BAD(GET "Host: \"a\"\r\n"),
  BAD(GET "Host: a\xC3\xA4\r\n"),
  BAD("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n"),
  BAD("GET http://b/ HTTP/1.1\r\n" HOST "\r\n"),
  BAD("GET http://u@a/ HTTP/1.1\r\n" HOST "\r\n"),
  BAD("GET http://a/ HTTP/1.0\r\n\r\n"),
  /* refused by name */
  { LK_LIT_INIT(GET HOST "Transfer-Encoding: gzip, chunked\r\n\r\n"), LK_ERR_UNSUPPORTED, 501 },
  { LK_LIT_INIT(GET HOST "Transfer-Encoding: chunked, chunked\r\n\r\n"), LK_ERR_UNSUPPORTED, 501 },
  { LK_LIT_INIT(GET HOST "Transfer-Encoding: xchunked\r\n\r\n"), LK_ERR_UNSUPPORTED, 501 },
  { LK_LIT_INIT(GET HOST "Transfer-Encoding: chunked;q=1\r\n\r\n"), LK_ERR_UNSUPPORTED, 501 },
  { LK_LIT_INIT(GET HOST "Transfer-Encoding: \"chunked\"\r\n\r\n"), LK_ERR_UNSUPPORTED, 501 },
  { LK_LIT_INIT(GET HOST "transfer-encoding:\r\n\r\n"), LK_ERR_UNSUPPORTED, 501 },
  { LK_LIT_INIT(GET HOST "TRANSFER-ENCODING: identity\r\n\r\n"), LK_ERR_UNSUPPORTED, 501 },
  { LK_LIT_INIT("PRI * HTTP/2.0\r\n"), LK_ERR_VERSION, 505 },
  { LK_LIT_INIT("GET / HTTP/1.2\r\n"), LK_ERR_VERSION, 505 },
  { LK_LIT_INIT("GET / HTTP/0.9\r\n"), LK_ERR_VERSION, 505 },
  { LK_LIT_INIT(GET HOST "Content-Length: 65\r\n\r\n"), LK_ERR_TOO_BIG, 413 },
  { LK_LIT_INIT(GET HOST "Content-Length: 18446744073709551615\r\n\r\n"), LK_ERR_TOO_BIG, 413 },
  /* 64 bytes are allowed: sizes that are more, alone or together, and those that run over */
  { LK_LIT_INIT(CHUNKED "41\r\n"), LK_ERR_TOO_BIG, 413 },
  { LK_LIT_INIT(CHUNKED "100000000\r\n"), LK_ERR_TOO_BIG, 413 },
  { LK_LIT_INIT(CHUNKED "10000000000000001\r\n"), LK_ERR_TOO_BIG, 413 },
  { LK_LIT_INIT(CHUNKED "ffffffffffffffff\r\n"), LK_ERR_TOO_BIG, 413 },
  { LK_LIT_INIT(CHUNKED "FFFFFFFFFFFFFFFFF1\r\n"), LK_ERR_TOO_BIG, 413 },
  { LK_LIT_INIT(CHUNKED "1\r\na\r\n40\r\n"), LK_ERR_TOO_BIG, 413 },
};

/* Goal: every form that is used to smuggle requests, or is no request, is refused, by the same
 * error wherever it is cut, and the machine stays failed. */
TEST(what_could_be_misread_is_refused) {
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
    const refusal *r = &refusals[i];
    lk_http1 http;
    lk_http1_request request;
    test_note("case %zu: %.*s", i, (int)r->bytes.len, (const char *)r->bytes.ptr);
    begin(&http);
    outcome out = feed_all(&http, r->bytes);
    CHECK_ERR(out.err, r->err);
    CHECK_U64(out.status, r->status);
    lk_slice more = LK_LIT("GET / HTTP/1.1\r\n" HOST "\r\n");
    CHECK_ERR(lk_http1_feed(&http, 1, &more), r->err);
    CHECK(more.len > 0 && !lk_http1_poll(&http, &request));
    lk_http1_deinit(&http);
    check_every_cut(r->bytes);
  }
}

TEST(what_is_unusual_but_clear_is_accepted) {
  static const lk_slice accepted[] = {
    LK_LIT_INIT("\r\n" GET HOST "\r\n"),
    LK_LIT_INIT("M-SEARCH /a;b=c?d|e HTTP/1.1\r\n" HOST "\r\n"),
    LK_LIT_INIT(GET "Host: [::1]:4000\r\n\r\n"),
    LK_LIT_INIT(GET HOST "a:b\r\na: b \t \r\nA:\r\n\r\n"),
    LK_LIT_INIT(GET HOST "a: \xC3\xA9\r\n\r\n"),
    LK_LIT_INIT(GET HOST "Content-Length: 0\r\n\r\n"),
    LK_LIT_INIT("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"),
    LK_LIT_INIT("GET HTTP://A/x HTTP/1.1\r\n" HOST "\r\n"),
    LK_LIT_INIT("GET / HTTP/1.0\r\n\r\n"),
    LK_LIT_INIT(GET HOST "Expect: something else\r\n\r\n"),
  };
  for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
    lk_http1 http;
    test_note("case %zu", i);
    begin(&http);
    outcome out = feed_all(&http, accepted[i]);
    CHECK_OK(out.err);
    CHECK(out.ready && out.left == 0);
    lk_http1_deinit(&http);
  }
}

/* ---- bodies in chunks ---- */

/* Goal: what was sent in chunks comes out whole, what follows is the next request's, and neither extensions nor
 * trailers leave a trace. */
TEST(a_body_in_chunks_is_put_together) {
  static const struct {
    lk_slice chunks, body;
  } cases[] = {
#define CASE(chunks, body) { LK_LIT_INIT(CHUNKED chunks "GET"), LK_LIT_INIT(body) }
    CASE("0\r\n\r\n", ""),
    CASE("5\r\nhello\r\n0\r\n\r\n", "hello"),
    CASE("1\r\nh\r\n04\r\nello\r\n000\r\n\r\n", "hello"),
    CASE("A\r\n0\r\n\r\n\r\n5\r\n\r\n0\r\n\r\n", "0\r\n\r\n\r\n5\r\n"),
    CASE("3;a;b=c;d=\"e;\\\"\xC3\xA9 =\r\n", ""), /* cut off: see below */
    CASE("3;a;b=c;d=\"e; \\\"\xC3\xA9=\";f\r\nabc\r\n0;x\r\n\r\n", "abc"),
    CASE("1\r\nx\r\n0\r\nHost: evil\r\nContent-Length: 9\r\nEmpty:\r\n\r\n", "x"),
#undef CASE
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    lk_http1 http;
    test_note("case %zu", i);
    begin(&http);
    outcome out = feed_all(&http, cases[i].chunks);
    if (i == 4) { /* a quoted string may not hold a line end */
      CHECK_ERR(out.err, LK_ERR_HTTP);
    } else {
      CHECK(out.ready);
      CHECK_SLICE(out.request.body, cases[i].body);
      CHECK_TEXT(out.request.host, "a");
      CHECK_U64(out.left, 3);
    }
    lk_http1_deinit(&http);
    check_every_cut(cases[i].chunks);
  }
}

/* Goal: what a stranger may put between a body's bytes is bounded, each kind by its own limit. */
TEST(chunks_and_what_stands_around_them_are_counted) {
  static const struct {
    const char *head, *repeated, *tail;
    int most; /* repetitions that are still taken */
    lk_err err;
    uint16_t status;
  } cases[] = {
    { "", "1\r\nx\r\n", "0\r\n\r\n", 5, LK_ERR_TOO_BIG, 413 },
    { "", "0", "\r\n\r\n", 254, LK_ERR_HTTP, 400 },
    { "0;a", "x", "\r\n\r\n", 251, LK_ERR_HTTP, 400 },
    { "0\r\n", "a:\r\n", "\r\n", 7, LK_ERR_LIMIT, 431 },
    { "0\r\na:", "x", "\r\n\r\n", 194, LK_ERR_LIMIT, 431 },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (int count = cases[i].most; count <= cases[i].most + 1; count++) {
      lk_http1 http;
      lk_buf text;
      test_note("case %zu, %d times", i, count);
      begin(&http);
      limits_now.http_chunks_count = 5;
      limits_now.http_headers_count = 7;
      limits_now.http_head_bytes = 200;
      lk_buf_init(&text, test_alloc(), 4096);
      lk_buf_append(&text, LK_LIT(CHUNKED));
      lk_buf_append(&text, lk_slice_cstr(cases[i].head));
      for (int k = 0; k < count; k++) lk_buf_append(&text, lk_slice_cstr(cases[i].repeated));
      CHECK_OK(lk_buf_append(&text, lk_slice_cstr(cases[i].tail)));
      outcome out = feed_all(&http, lk_buf_slice(&text));
      CHECK_ERR(out.err, count > cases[i].most ? cases[i].err : LK_OK);
      CHECK_U64(out.status, count > cases[i].most ? cases[i].status : 0);
      CHECK(out.ready == (count == cases[i].most));
      lk_http1_deinit(&http);
      lk_buf_deinit(&text);
    }
  }
}

/* Goal: how a body is cut into chunks and reads changes nothing. */
PROPERTY(a_body_is_the_same_in_any_chunks) {
  uint8_t body[64], bytes[2048];
  lk_buf text = { .ptr = bytes, .cap = sizeof bytes, .max = sizeof bytes };
  lk_http1 http;
  lk_http1_request request;
  size_t body_len = gen_bytes(g, body, sizeof body);
  lk_buf_append(&text, LK_LIT(CHUNKED));
  for (lk_slice left = lk_slice_of(body, body_len); left.len > 0;) {
    lk_slice chunk = lk_slice_first(left, 1 + gen_below(g, 64));
    left = lk_slice_skip(left, chunk.len);
    lk_buf_append_u8(&text, (uint8_t) "0123456789abcdef"[chunk.len / 16 % 16]);
    lk_buf_append_u8(&text, (uint8_t) "0123456789ABCDEF"[chunk.len % 16]);
    lk_buf_append(&text, gen_bool(g) ? LK_LIT(";a=\"b\"\r\n") : LK_LIT("\r\n"));
    lk_buf_append(&text, chunk);
    lk_buf_append(&text, LK_LIT("\r\n"));
  }
  CHECK_OK(lk_buf_append(&text, LK_LIT("0\r\nT: u\r\n\r\n")));
  begin(&http);
  for (lk_slice rest = lk_buf_slice(&text); rest.len > 0;) {
    CHECK(!lk_http1_poll(&http, &request));
    lk_slice piece = lk_slice_first(rest, 1 + gen_below(g, 100));
    rest = lk_slice_skip(rest, piece.len);
    CHECK_OK(lk_http1_feed(&http, 0, &piece));
    CHECK_U64(piece.len, 0);
  }
  CHECK(lk_http1_poll(&http, &request));
  CHECK_SLICE(request.body, lk_slice_of(body, body_len));
  lk_http1_deinit(&http);
}

/* ---- limits ---- */

/* Goal: a body's length is judged by the path as soon as the head is there, whatever the query, and whether it is
 * counted or in chunks. */
TEST(each_path_has_a_limit_of_its_own_for_bodies) {
  static const lk_http1_body_rule rules[] = { { LK_LIT_INIT("/poll"), 3 },
                                              { LK_LIT_INIT("/none"), 0 },
                                              { LK_LIT_INIT("/all/"), 2 } };
  static const lk_http1_options by_path = { .body_bytes_max = 1,
                                            .body_rules = rules,
                                            .body_rules_count = 3 };
  static const struct {
    const char *target;
    uint32_t most;
  } cases[] = {
    { "/poll", 3 },       { "/poll?a=/x", 3 }, { "http://a/poll", 3 }, { "/none", 0 },
    { "/none?/poll", 0 }, { "/poll/", 1 },     { "/pol%6C", 1 },       { "/Poll", 1 },
    { "/all/", 2 },       { "/all/a/b?c", 2 }, { "/all", 1 },          { "/allx/", 1 },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (uint32_t len = 0; len <= 4; len++) {
      for (int chunked = 0; chunked < 2; chunked++) {
        lk_http1 http;
        lk_buf text;
        test_note("%s, %u bytes", cases[i].target, len);
        begin(&http);
        lk_http1_init(&http, test_alloc(), &limits_now, &by_path, 0);
        lk_buf_init(&text, test_alloc(), 1000);
        lk_buf_append(&text, LK_LIT("POST "));
        lk_buf_append(&text, lk_slice_cstr(cases[i].target));
        lk_buf_append(&text, LK_LIT(" HTTP/1.1\r\n" HOST));
        lk_buf_append(&text, chunked ? LK_LIT("Transfer-Encoding: Chunked\r\n\r\n")
                                     : LK_LIT("Content-Length: "));
        lk_buf_append_decimal(&text, len);
        CHECK_OK(lk_buf_append(&text, chunked ? LK_LIT("\r\n") : LK_LIT("\r\n\r\n")));
        outcome out = feed_all(&http, lk_buf_slice(&text));
        /* Where there may be no body at all, chunks are refused before the first of them. */
        bool too_big = len > cases[i].most || (chunked && cases[i].most == 0);
        CHECK_ERR(out.err, too_big ? LK_ERR_TOO_BIG : LK_OK);
        CHECK(http.body.ptr == NULL && out.ready == (len == 0 && !chunked));
        lk_http1_deinit(&http);
        lk_buf_deinit(&text);
      }
    }
  }
}

/* Goal: the head may have exactly http_head_bytes bytes and not one more; a line that alone is too
 * long is told apart from a head that is. */
TEST(head_is_bounded_to_the_byte) {
  lk_slice in = LK_LIT("GET /abc HTTP/1.1\r\nHost: a\r\nb: c\r\n\r\n");
  for (uint32_t max = 1; max <= in.len; max++) {
    for (size_t cut = 0; cut <= in.len + 1; cut++) {
      lk_http1 http;
      begin(&http);
      limits_now.http_head_bytes = max;
      lk_http1_init(&http, test_alloc(), &limits_now, &options, 0);
      outcome out = feed_cut(&http, in, cut);
      CHECK_ERR(out.err, max < in.len ? LK_ERR_LIMIT : LK_OK);
      CHECK_U64(out.status, max < 19 ? 414 : max < in.len ? 431 : 0);
      CHECK(http.head.cap <= max);
      lk_http1_deinit(&http);
      lk_http1_init(&http, test_alloc(), &limits_now, &options, 0);
      out = feed_cut(&http, lk_slice_first(in, max), cut); /* known when the room is gone */
      CHECK_ERR(out.err, max < in.len && in.ptr[max - 1] != '\n' ? LK_ERR_LIMIT : LK_OK);
      lk_http1_deinit(&http);
    }
  }
}

/* Found by lk_http1_feed's fuzz body: a head that is too long and no HTTP either was one error
 * when it came whole and another in pieces. */
TEST(garbage_is_refused_before_its_length_matters) {
  lk_limits limits = lk_limits_default();
  limits.http_head_bytes = 4;
  for (size_t cut = 0; cut <= 8; cut++) {
    lk_http1 http;
    lk_http1_init(&http, test_alloc(), &limits, &options, 0);
    CHECK_ERR(feed_cut(&http, LK_LIT("\x16\x03\x01\x02\x03\x04\x05"), cut).err, LK_ERR_HTTP);
    lk_http1_deinit(&http);
  }
}

TEST(headers_are_counted) {
  for (uint32_t max = 1; max <= 4; max++) {
    lk_http1 http;
    begin(&http);
    limits_now.http_headers_count = max;
    outcome out = feed_all(&http, LK_LIT(GET HOST "a: 1\r\nb: 2\r\n\r\n"));
    CHECK_ERR(out.err, max < 3 ? LK_ERR_LIMIT : LK_OK);
    CHECK_U64(out.status, max < 3 ? 431 : 0);
    lk_http1_deinit(&http);
  }
}

TEST(a_long_body_is_refused_before_it_comes_and_the_longest_is_taken) {
  lk_http1 http;
  uint8_t body[64] = { 1, 2, 3 };
  begin(&http);
  CHECK_ERR(feed_all(&http, LK_LIT(GET HOST "Content-Length: 65\r\n\r\n")).err, LK_ERR_TOO_BIG);
  CHECK(http.body.ptr == NULL);
  lk_http1_deinit(&http);
  begin(&http);
  CHECK_OK(feed_all(&http, LK_LIT(GET HOST "Content-Length: 64\r\n\r\n")).err);
  outcome out = feed_all(&http, lk_slice_of(body, sizeof body));
  CHECK(out.ready);
  CHECK_SLICE(out.request.body, lk_slice_of(body, sizeof body));
  lk_http1_deinit(&http);
}

TEST(a_waiting_machine_holds_no_memory) {
  lk_http1 http;
  begin(&http);
  CHECK(http.head.ptr == NULL && http.body.ptr == NULL);
  CHECK(feed_all(&http, example).ready);
  CHECK(http.head.ptr != NULL && http.body.ptr != NULL);
  lk_http1_next(&http, 0);
  CHECK(http.head.ptr == NULL && http.body.ptr == NULL && lk_http1_is_idle(&http));
  lk_http1_deinit(&http);
  lk_http1_deinit(&http); /* twice */
  lk_http1 zeroed = { 0 };
  lk_http1_deinit(&zeroed);
}

/* Goal: without memory nothing is lost: the bytes that were not taken can be fed again.
 * Method: each allocation fails once alone and once for good; a single failure must not change
 * the result of feeding the rest again. */
static void feed_without_memory(lk_slice example_) {
  FAULT_LOOP(faults, test_alloc()) {
    lk_http1 http;
    lk_slice in = example_;
    begin(&http);
    lk_http1_init(&http, faulty_alloc(&faults), &limits_now, &options, 0);
    lk_err err = LK_OK;
    for (int attempt = 0; attempt < 2; attempt++) {
      err = lk_http1_feed(&http, 0, &in);
      CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    }
    lk_http1_request request;
    if (!faults.lasting || !faults.hit) CHECK_OK(err);
    CHECK(lk_http1_poll(&http, &request) == (err == LK_OK));
    if (err == LK_OK) CHECK_TEXT(request.body, "hello");
    CHECK_U64(lk_http1_status(&http), 0);
    lk_http1_deinit(&http);
  }
}

TEST(memory_may_run_out_at_any_allocation) {
  feed_without_memory(example);
  feed_without_memory(LK_LIT(CHUNKED "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"));
}

/* ---- time ---- */

TEST(bytes_that_trickle_do_not_prolong_a_request) {
  lk_http1 http;
  begin(&http);
  CHECK_U64(lk_http1_deadline(&http), 500);
  for (uint64_t now = 400; now < 1400; now += 100) {
    lk_slice byte = LK_LIT("G");
    CHECK_OK(lk_http1_tick(&http, now));
    CHECK_OK(lk_http1_feed(&http, now, &byte));
    CHECK_U64(lk_http1_deadline(&http), 1400);
  }
  CHECK_OK(lk_http1_tick(&http, 1399));
  CHECK_ERR(lk_http1_tick(&http, 1400), LK_ERR_TIMEOUT);
  CHECK(!lk_http1_is_idle(&http));
  CHECK_U64(lk_http1_status(&http), 408);
  CHECK_U64(lk_http1_deadline(&http), UINT64_MAX);
  lk_slice more = LK_LIT("E");
  CHECK_ERR(lk_http1_feed(&http, 1401, &more), LK_ERR_TIMEOUT);
  lk_http1_deinit(&http);
}

TEST(a_quiet_connection_is_given_up_and_a_served_request_is_not) {
  lk_http1 http;
  begin(&http);
  CHECK(feed_all(&http, LK_LIT(GET HOST "\r\n")).ready);
  CHECK_U64(lk_http1_deadline(&http), UINT64_MAX);
  CHECK_OK(lk_http1_tick(&http, UINT64_MAX - 1));
  lk_http1_next(&http, 9000);
  CHECK_U64(lk_http1_deadline(&http), 9500);
  CHECK_ERR(lk_http1_tick(&http, 9500), LK_ERR_TIMEOUT);
  CHECK(lk_http1_is_idle(&http));
  lk_http1_deinit(&http);
}

TEST(no_time_out_means_never) {
  lk_http1 http;
  lk_limits limits = lk_limits_default();
  lk_http1_init(&http, test_alloc(), &limits, &(lk_http1_options){ 0 }, 5);
  CHECK_U64(lk_http1_deadline(&http), UINT64_MAX);
  lk_http1_init(&http, test_alloc(), &limits, &options, UINT64_MAX - 1);
  CHECK_U64(lk_http1_deadline(&http), UINT64_MAX); /* and the sum does not wrap around */
  lk_http1_deinit(&http);
}

/* ---- connection, expectation, target ---- */

TEST(keep_alive_is_decided_by_version_and_connection) {
  static const struct {
    lk_slice bytes;
    bool keep_alive;
  } cases[] = {
    { LK_LIT_INIT(GET HOST "\r\n"), true },
    { LK_LIT_INIT(GET HOST "Connection: close\r\n\r\n"), false },
    { LK_LIT_INIT(GET HOST "Connection: x, CLOSE ,y\r\n\r\n"), false },
    { LK_LIT_INIT(GET HOST "Connection: x\r\nconnection: close\r\n\r\n"), false },
    { LK_LIT_INIT(GET HOST "Connection: closed\r\n\r\n"), true },
    { LK_LIT_INIT("GET / HTTP/1.0\r\n\r\n"), false },
    { LK_LIT_INIT("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), false },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    lk_http1 http;
    test_note("case %zu", i);
    begin(&http);
    outcome out = feed_all(&http, cases[i].bytes);
    CHECK(out.ready && out.request.keep_alive == cases[i].keep_alive);
    lk_http1_deinit(&http);
  }
}

TEST(chunks_that_trickle_do_not_prolong_a_request) {
  lk_http1 http;
  begin(&http);
  lk_slice in = LK_LIT(CHUNKED);
  CHECK_OK(lk_http1_feed(&http, 10, &in));
  for (uint64_t now = 11; now < 1010; now += 200) {
    in = LK_LIT("1\r\nx\r\n");
    CHECK_OK(lk_http1_feed(&http, now, &in));
    CHECK_OK(lk_http1_tick(&http, now));
    CHECK_U64(lk_http1_deadline(&http), 1010);
  }
  CHECK_ERR(lk_http1_tick(&http, 1010), LK_ERR_TIMEOUT);
  CHECK_U64(lk_http1_status(&http), 408);
  lk_http1_deinit(&http);
}

TEST(a_client_that_waits_for_100_continue_is_seen_once) {
  lk_http1 http;
  begin(&http);
  CHECK_OK(feed_all(&http, LK_LIT(GET HOST "Expect: 100-Continue\r\nContent-Length: 1\r\n")).err);
  CHECK(!lk_http1_poll_continue(&http));
  CHECK_OK(feed_all(&http, LK_LIT("\r\n")).err);
  CHECK(lk_http1_poll_continue(&http) && !lk_http1_poll_continue(&http));
  CHECK(feed_all(&http, LK_LIT("x")).ready);
  lk_http1_next(&http, 0);
  CHECK(feed_all(&http, LK_LIT(GET HOST "Expect: 100-continue\r\n\r\n")).ready);
  CHECK(!lk_http1_poll_continue(&http)); /* there is no body to wait for */
  lk_http1_next(&http, 0);
  outcome out = feed_all(
      &http, LK_LIT("GET / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"));
  CHECK_OK(out.err);
  CHECK(!lk_http1_poll_continue(&http)); /* HTTP/1.0 does not know 100 */
  lk_http1_deinit(&http);
  begin(&http);
  CHECK_OK(
      feed_all(&http, LK_LIT(GET HOST "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"))
          .err);
  CHECK(lk_http1_poll_continue(&http) && !lk_http1_poll_continue(&http));
  lk_http1_deinit(&http);
  begin(&http);
  CHECK_OK(feed_all(&http,
                    LK_LIT(GET HOST "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n1"))
               .err);
  CHECK(!lk_http1_poll_continue(&http)); /* it did not wait */
  lk_http1_deinit(&http);
}

TEST(targets_are_split_into_path_and_query) {
  static const struct {
    lk_slice bytes, path, query;
  } cases[] = {
#define SPLIT(target, path, query)                                                                 \
  { LK_LIT_INIT("OPTIONS " target " HTTP/1.1\r\n" HOST "\r\n"), LK_LIT_INIT(path),                 \
    LK_LIT_INIT(query) }
    SPLIT("/", "/", ""),
    SPLIT("/a?b?c", "/a", "b?c"),
    SPLIT("/?", "/", ""),
    SPLIT("//b/c", "//b/c", ""),
    SPLIT("*", "*", ""),
    SPLIT("http://a", "/", ""),
    SPLIT("http://a?q/r", "/", "q/r"),
    SPLIT("https://A/b?c", "/b", "c"),
    SPLIT("/http://b/", "/http://b/", ""),
#undef SPLIT
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    lk_http1 http;
    begin(&http);
    outcome out = feed_all(&http, cases[i].bytes);
    CHECK(out.ready);
    CHECK_SLICE(out.request.path, cases[i].path);
    CHECK_SLICE(out.request.query, cases[i].query);
    lk_http1_deinit(&http);
  }
}

/* ---- headers ---- */

TEST(headers_are_found_in_any_case_and_only_where_they_are_single) {
  lk_http1 http;
  lk_slice value;
  begin(&http);
  outcome out = feed_all(&http,
                         LK_LIT(GET HOST "X-One:  1 \r\nTwo: a\r\ntwo: b\r\nX-On: n\r\n\r\n"));
  CHECK(out.ready);
  CHECK_OK(lk_http1_header(&out.request, LK_LIT("x-oNE"), &value));
  CHECK_TEXT(value, "1");
  CHECK_ERR(lk_http1_header(&out.request, LK_LIT("TWO"), &value), LK_ERR_HTTP);
  CHECK_U64(value.len, 0);
  CHECK_ERR(lk_http1_header(&out.request, LK_LIT("three"), &value), LK_ERR_NOT_FOUND);
  lk_http1_deinit(&http);
}

TEST(lists_run_over_all_headers_of_their_name) {
  static const lk_slice want[] = { LK_LIT_INIT("a"), LK_LIT_INIT("b c"), LK_LIT_INIT("d") };
  lk_http1 http;
  lk_slice item;
  lk_http1_items walk = { 0 };
  begin(&http);
  outcome out = feed_all(&http, LK_LIT(GET HOST "L: ,a ,, b c\r\nM: x\r\nL:\r\nl: d,\r\n\r\n"));
  CHECK(out.ready);
  for (size_t i = 0; i < 3; i++) {
    CHECK(lk_http1_item_next(&out.request, LK_LIT("l"), &walk, &item));
    CHECK_SLICE(item, want[i]);
  }
  CHECK(!lk_http1_item_next(&out.request, LK_LIT("l"), &walk, &item));
  CHECK(lk_http1_header_has(&out.request, LK_LIT("L"), LK_LIT("D")));
  CHECK(!lk_http1_header_has(&out.request, LK_LIT("L"), LK_LIT("x")));
  CHECK(!lk_http1_header_has(&out.request, LK_LIT("L"), LK_LIT("")));
  lk_http1_deinit(&http);
}

/* ---- paths and queries ---- */

TEST(escapes_are_decoded_and_bad_ones_refused) {
  static const struct {
    lk_slice text;
    bool form;
    lk_err err;
    lk_slice want;
  } cases[] = {
    { LK_LIT_INIT("/a%20b%2F%c3%A9"), false, LK_OK, LK_LIT_INIT("/a b/\xC3\xA9") },
    { LK_LIT_INIT("a+b%2B"), false, LK_OK, LK_LIT_INIT("a+b+") },
    { LK_LIT_INIT("a+b%2B"), true, LK_OK, LK_LIT_INIT("a b+") },
    { LK_LIT_INIT("%2500"), false, LK_OK, LK_LIT_INIT("%00") },
    { LK_LIT_INIT(""), false, LK_OK, LK_LIT_INIT("") },
    { LK_LIT_INIT("a%00"), false, LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { LK_LIT_INIT("a\0"), false, LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { LK_LIT_INIT("a%"), false, LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { LK_LIT_INIT("a%4"), false, LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { LK_LIT_INIT("a%4g"), false, LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { LK_LIT_INIT("a%g4"), false, LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { LK_LIT_INIT("a% 4"), false, LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { LK_LIT_INIT("%u0041"), false, LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { LK_LIT_INIT("0123456789"), false, LK_ERR_LIMIT, LK_LIT_INIT("") },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    lk_buf out;
    lk_buf_init(&out, test_alloc(), 12);
    CHECK_OK(lk_buf_append(&out, LK_LIT("old")));
    test_note("case %zu", i);
    CHECK_ERR(lk_http1_percent_decode(cases[i].text, cases[i].form, &out), cases[i].err);
    CHECK_SLICE(lk_slice_skip(lk_buf_slice(&out), 3), cases[i].want);
    CHECK_OK(lk_buf_err(&out));
    lk_buf_deinit(&out);
  }
}

TEST(queries_are_walked_pair_by_pair) {
  static const lk_slice want[] = { LK_LIT_INIT("a"), LK_LIT_INIT("1=2"), LK_LIT_INIT("b"),
                                   LK_LIT_INIT(""),  LK_LIT_INIT(""),    LK_LIT_INIT("c") };
  lk_slice query = LK_LIT("&a=1=2&&b&=c&"), name, value;
  for (size_t i = 0; i < 6; i += 2) {
    CHECK(lk_http1_query_next(&query, &name, &value));
    CHECK_SLICE(name, want[i]);
    CHECK_SLICE(value, want[i + 1]);
  }
  CHECK(!lk_http1_query_next(&query, &name, &value));
}

/* ---- responses ---- */

TEST(responses_are_written_as_rfc_9112_says) {
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1000);
  CHECK_OK(lk_http1_respond(&out, 200, LK_LIT("text/plain"), LK_LIT("hello"), true, false));
  CHECK_TEXT(lk_buf_slice(&out),
             "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello");
  lk_buf_truncate(&out, 0);
  CHECK_OK(lk_http1_respond(&out, 404, LK_SLICE_EMPTY, LK_LIT("gone"), false, true));
  CHECK_TEXT(lk_buf_slice(&out),
             "HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\nconnection: close\r\n\r\n");
  lk_buf_truncate(&out, 0);
  lk_http1_respond_begin(&out, 299);
  lk_http1_respond_header(&out, LK_LIT("date"), LK_LIT("Sun, 06 Nov 1994 08:49:37 GMT"));
  CHECK_OK(lk_http1_respond_end(&out));
  CHECK_TEXT(lk_buf_slice(&out), "HTTP/1.1 299 \r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
  lk_buf_deinit(&out);
}

/* Goal: our own mistakes cannot split a response. */
TEST(a_response_cannot_be_split) {
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1000);
  CHECK_PANICS(lk_http1_respond_header(&out, LK_LIT("a"), LK_LIT("b\r\nc: d")));
  CHECK_PANICS(lk_http1_respond_header(&out, LK_LIT("a"), LK_LIT("b\n")));
  CHECK_PANICS(lk_http1_respond_header(&out, LK_LIT("a"), LK_LIT("b\r")));
  CHECK_PANICS(lk_http1_respond_header(&out, LK_LIT("a:"), LK_LIT("b")));
  CHECK_PANICS(lk_http1_respond_header(&out, LK_LIT(""), LK_LIT("b")));
  CHECK_PANICS(lk_http1_respond_begin(&out, 99));
  CHECK_U64(out.len, 0);
  lk_buf_deinit(&out);
}

TEST(a_response_that_does_not_fit_leaves_nothing_behind) {
  for (size_t max = 0; max < 100; max++) {
    lk_buf out;
    lk_buf_init(&out, test_alloc(), max);
    lk_err err = lk_http1_respond(&out, 200, LK_LIT("a/b"), LK_LIT("hello"), true, false);
    CHECK_ERR(err, max < 62 ? LK_ERR_LIMIT : LK_OK);
    CHECK_U64(out.len, err == LK_OK ? 62 : 0);
    CHECK_OK(lk_buf_err(&out));
    lk_buf_deinit(&out);
  }
}

TEST(every_status_that_a_machine_fails_with_has_a_phrase) {
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
    CHECK(lk_http1_reason(refusals[i].status).len > 0);
  CHECK(lk_http1_reason(408).len > 0 && lk_http1_reason(414).len > 0);
  CHECK(lk_http1_reason(431).len > 0 && lk_http1_reason(299).len == 0);
}

/* Goal: a host can look at who sends a body before it has read it. */
TEST(the_head_of_a_request_can_be_seen_before_its_body_has_come) {
  lk_http1 http;
  lk_http1_request request;
  uint64_t body_len = 0;
  begin(&http);
  lk_slice head = LK_LIT("POST /a HTTP/1.1\r\n" HOST "X: y\r\nContent-Length: 5\r\n\r\n");
  lk_slice part = lk_slice_first(head, head.len - 1), rest = lk_slice_skip(head, part.len);
  lk_slice first = LK_LIT("ab"), last = LK_LIT("cde"), value;
  const lk_http1_options with_body = { .body_bytes_max = 9 };
  lk_http1_init(&http, test_alloc(), &limits_now, &with_body, 0);
  CHECK_OK(lk_http1_feed(&http, 0, &part));
  CHECK(!lk_http1_poll_head(&http, &request, &body_len));
  CHECK_OK(lk_http1_feed(&http, 0, &rest));
  CHECK(lk_http1_poll_head(&http, &request, &body_len) && body_len == 5 && request.body.len == 0);
  CHECK_OK(lk_http1_feed(&http, 0, &first));
  CHECK(lk_http1_poll_head(&http, &request, &body_len) && body_len == 5);
  CHECK_TEXT(request.path, "/a");
  CHECK_OK(lk_http1_header(&request, LK_LIT("x"), &value));
  CHECK_TEXT(value, "y");
  CHECK(!lk_http1_poll(&http, &request));
  CHECK_OK(lk_http1_feed(&http, 0, &last));
  CHECK(!lk_http1_poll_head(&http, &request, &body_len) && lk_http1_poll(&http, &request));
  lk_http1_deinit(&http);
}
