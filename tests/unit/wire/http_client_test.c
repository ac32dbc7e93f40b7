/* Responses as servers of all kinds write them, addresses as people do, and requests as we do. */
#include "wire/http_client.h"

#include "harness/test.h"

static lk_limits limits;
static lk_http_client client;

static void begin(uint32_t body_max) {
  limits = lk_limits_default();
  lk_http_client_init(&client, test_alloc(), &limits, body_max);
}

static lk_err feed(const char *text) {
  lk_slice in = lk_slice_cstr(text);
  return lk_http_client_feed(&client, &in);
}

/* The whole text, byte by byte. */
static lk_err drip(const char *text) {
  lk_err err = LK_OK;
  for (lk_slice in = lk_slice_cstr(text); in.len > 0 && err == LK_OK; in = lk_slice_skip(in, 1)) {
    lk_slice one = lk_slice_first(in, 1);
    err = lk_http_client_feed(&client, &one);
  }
  return err;
}

static void check_response(const char *text, uint16_t status, const char *body, bool keep_alive) {
  for (int dripping = 0; dripping < 2; dripping++) {
    lk_http_response r;
    begin(100);
    CHECK_OK(dripping != 0 ? drip(text) : feed(text));
    if (!lk_http_client_poll(&client, &r)) {
      CHECK_OK(lk_http_client_end(&client));
      CHECK(lk_http_client_poll(&client, &r));
    }
    CHECK_U64(r.status, status);
    CHECK_SLICE(r.body, lk_slice_cstr(body));
    CHECK(r.keep_alive == keep_alive);
    lk_http_client_deinit(&client);
  }
}

TEST(a_response_with_a_length_is_read_up_to_it) {
  check_response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", true);
  check_response("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, "", true);
  check_response("HTTP/1.1 500 Oh no\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", 500, "x",
                 false);
  check_response("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x", false);
}

TEST(a_response_in_chunks_is_put_together) {
  check_response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\nTrailer: x\r\n\r\n",
                 200, "hello", true);
}

TEST(a_response_without_length_ends_with_its_connection) {
  check_response("HTTP/1.1 200 OK\r\n\r\nall of it", 200, "all of it", false);
}

TEST(some_statuses_have_no_body_and_interim_ones_are_passed_over) {
  check_response("HTTP/1.1 204 No Content\r\n\r\n", 204, "", true);
  check_response("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"
                 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                 200, "ok", true);
}

TEST(headers_of_a_response_are_found_by_name) {
  lk_http_response r;
  lk_slice value;
  begin(100);
  CHECK_OK(feed("HTTP/1.1 429 Slow\r\nRetry-After:  7 \r\nContent-Length: 0\r\n\r\n"));
  CHECK(lk_http_client_poll(&client, &r));
  CHECK_OK(lk_http1_header(&r.head, LK_LIT("retry-after"), &value));
  CHECK_TEXT(value, "7");
  CHECK_ERR(lk_http1_header(&r.head, LK_LIT("location"), &value), LK_ERR_NOT_FOUND);
  lk_http_client_deinit(&client);
}

TEST(one_response_after_the_other_comes_over_one_connection) {
  lk_http_response r;
  lk_slice in = LK_LIT("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\n"
                       "Content-Length: 1\r\n\r\nb");
  begin(100);
  CHECK_OK(lk_http_client_feed(&client, &in));
  CHECK(lk_http_client_poll(&client, &r) && r.body.ptr[0] == 'a');
  CHECK(in.len > 0);
  lk_http_client_next(&client);
  CHECK(lk_http_client_is_idle(&client));
  CHECK_OK(lk_http_client_feed(&client, &in));
  CHECK(lk_http_client_poll(&client, &r) && r.body.ptr[0] == 'b');
  lk_http_client_deinit(&client);
}

static void check_refused(const char *text, lk_err why) {
  begin(10);
  lk_err err = feed(text);
  if (err == LK_OK) err = lk_http_client_end(&client);
  CHECK_ERR(err, why);
  CHECK_ERR(feed("x"), why); /* for good */
  lk_http_client_deinit(&client);
  begin(10);
  err = drip(text);
  if (err == LK_OK) err = lk_http_client_end(&client);
  CHECK_ERR(err, why);
  lk_http_client_deinit(&client);
}

#define OK_LINE "HTTP/1.1 200 OK\r\n"

TEST(what_could_be_misread_is_no_response) {
  static const struct {
    const char *text;
    lk_err why;
  } cases[] = {
    { "hello\r\n", LK_ERR_HTTP },
    { "HTTP/1.1 2000 OK\r\n\r\n", LK_ERR_HTTP },
    { "HTTP/1.1 600 OK\r\n\r\n", LK_ERR_HTTP },
    { "HTTP/1.1  200 OK\r\n\r\n", LK_ERR_HTTP },
    { "HTTP/2.0 200 OK\r\n\r\n", LK_ERR_VERSION },
    { "HTTP/1.1 200 OK\n\n", LK_ERR_HTTP },
    { "HTTP/1.1 101 Switching\r\n\r\n", LK_ERR_HTTP },
    { OK_LINE "A: b\r\n c: d\r\n\r\n", LK_ERR_HTTP },
    { OK_LINE "A : b\r\n\r\n", LK_ERR_HTTP },
    { OK_LINE "no colon\r\n\r\n", LK_ERR_HTTP },
    { OK_LINE "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", LK_ERR_HTTP },
    { OK_LINE "Content-Length: +1\r\n\r\nx", LK_ERR_HTTP },
    { OK_LINE "Content-Length: 01\r\n\r\nx", LK_ERR_HTTP },
    { OK_LINE "Content-Length: 99999999999999999999\r\n\r\nx", LK_ERR_HTTP },
    { OK_LINE "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", LK_ERR_HTTP },
    { "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", LK_ERR_HTTP },
    { OK_LINE "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", LK_ERR_UNSUPPORTED },
    { OK_LINE "Transfer-Encoding: chunked\r\n\r\nx\r\n\r\n", LK_ERR_HTTP },
    { OK_LINE "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", LK_ERR_HTTP },
    { OK_LINE "Content-Length: 11\r\n\r\n", LK_ERR_TOO_BIG },
    { OK_LINE "\r\n12345678901", LK_ERR_TOO_BIG },
    { OK_LINE "Transfer-Encoding: chunked\r\n\r\nb\r\n", LK_ERR_TOO_BIG },
    { OK_LINE "Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n", LK_ERR_TOO_BIG },
    { OK_LINE "Content-Length: 5\r\n\r\nhell", LK_ERR_TRUNCATED },
    { OK_LINE "Content-Len", LK_ERR_TRUNCATED },
    { "", LK_ERR_TRUNCATED },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    test_note("case %u: %s", (unsigned)i, cases[i].text);
    check_refused(cases[i].text, cases[i].why);
  }
}

TEST(heads_and_chunks_of_a_response_are_bounded) {
  begin(1000);
  limits.http_head_bytes = 60;
  lk_http_client_init(&client, test_alloc(), &limits, 1000);
  CHECK_ERR(feed(OK_LINE "A: 12345678901234567890123456789012345678901234567890\r\n"),
            LK_ERR_LIMIT);
  lk_http_client_deinit(&client);
  begin(1000);
  limits.http_headers_count = 1;
  CHECK_ERR(feed(OK_LINE "A: 1\r\nB: 2\r\n"), LK_ERR_LIMIT);
  lk_http_client_deinit(&client);
  begin(1000);
  limits.http_chunks_count = 2;
  CHECK_ERR(feed(OK_LINE "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\n"),
            LK_ERR_LIMIT);
  lk_http_client_deinit(&client);
}

static void check_url(const char *text, bool is_tls, const char *host, uint16_t port,
                      const char *target) {
  lk_http_url url;
  CHECK_OK(lk_http_url_parse(lk_slice_cstr(text), &url));
  CHECK(url.is_tls == is_tls);
  CHECK_SLICE(url.host, lk_slice_cstr(host));
  CHECK_U64(url.port, port);
  CHECK_SLICE(url.target, lk_slice_cstr(target));
}

TEST(addresses_of_http_are_taken_apart) {
  check_url("http://127.0.0.1:8080/a/b?c=d", false, "127.0.0.1", 8080, "/a/b?c=d");
  check_url("https://app.example", true, "app.example", 443, "/");
  check_url("http://[::1]/x", false, "::1", 80, "/x");
  check_url("https://[::1]:4443", true, "::1", 4443, "/");
}

TEST(other_addresses_are_refused) {
  static const char *const texts[] = {
    "",          "ftp://a/",        "http://",          "http:///x",    "http://a b/",
    "http://a#", "http://u@a/",     "http://a?x",       "http://[::1",  "http://[::1]x/",
    "HTTP://a/", "http://a/\r\nx:", "http://\xc3\xa4/", "http://a,b/x",
  };
  lk_http_url url;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    CHECK_ERR(lk_http_url_parse(lk_slice_cstr(texts[i]), &url), LK_ERR_SYNTAX);
  CHECK_ERR(lk_http_url_parse(LK_LIT("http://a:0/"), &url), LK_ERR_RANGE);
  CHECK_ERR(lk_http_url_parse(LK_LIT("http://a:65536/"), &url), LK_ERR_RANGE);
  CHECK_ERR(lk_http_url_parse(LK_LIT("http://a:/"), &url), LK_ERR_RANGE);
}

TEST(a_request_has_its_host_and_its_length) {
  lk_http_url url;
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1000);
  CHECK_OK(lk_http_url_parse(LK_LIT("http://a.b:81/c?d"), &url));
  (void)lk_http_client_begin(&out, LK_LIT("POST"), &url);
  (void)lk_http_client_header(&out, LK_LIT("x-y"), LK_LIT("z"));
  CHECK_OK(lk_http_client_finish(&out, LK_LIT("body")));
  CHECK_TEXT(lk_buf_slice(&out),
             "POST /c?d HTTP/1.1\r\nhost: a.b:81\r\nx-y: z\r\ncontent-length: 4\r\n\r\nbody");
  lk_buf_deinit(&out);
}

TEST(a_reader_of_responses_without_memory_says_so) {
  FAULT_LOOP(faults, test_alloc()) {
    lk_http_response r;
    limits = lk_limits_default();
    lk_http_client_init(&client, faulty_alloc(&faults), &limits, 100);
    lk_err err = feed(OK_LINE "A: b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n");
    CHECK(err == LK_OK ? lk_http_client_poll(&client, &r) : err == LK_ERR_NOMEM);
    lk_http_client_deinit(&client);
  }
}
