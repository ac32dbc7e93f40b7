/* Offers of compression: what RFC 7692 §7.1 says of each parameter, and what is no offer at all. */
#include "wire/ws_offer.h"

#include "harness/test.h"
#include "platform/providers/deflate_zlib.h"

#define D "permessage-deflate"
#define SERVER_NO "; server_no_context_takeover"
#define CLIENT_NO "; client_no_context_takeover"
#define SERVER_BITS "; server_max_window_bits"
#define CLIENT_BITS "; client_max_window_bits"

/* Takes everything, as the client likes it. */
static lk_ws_deflate_policy generous(void) {
  lk_ws_deflate_policy policy = LK_WS_DEFLATE_POLICY_INIT(lk_deflate_zlib());
  policy.send_takeover = policy.receive_takeover = true;
  return policy;
}

/* The answer to a request whose headers end with |lines|; "" where nothing is agreed on. */
static lk_err answer_to(const lk_ws_deflate_policy *policy, lk_slice lines, lk_buf *answer) {
  static const lk_http1_options options = { 0 };
  lk_limits limits = lk_limits_default();
  lk_http1_request request;
  lk_ws_deflate_params params = { 0 };
  lk_http1 http;
  lk_buf text;
  bool agreed = true;
  limits.http_head_bytes = 1u << 20;
  lk_buf_init(&text, test_alloc(), 1u << 21);
  lk_buf_append(&text, LK_LIT("GET / HTTP/1.1\r\nHost: a\r\n"));
  lk_buf_append(&text, lines);
  CHECK_OK(lk_buf_append(&text, LK_LIT("\r\n")));
  lk_slice in = lk_buf_slice(&text);
  lk_http1_init(&http, test_alloc(), &limits, &options, 0);
  CHECK_OK(lk_http1_feed(&http, 0, &in));
  CHECK(lk_http1_poll(&http, &request));
  lk_err err = lk_ws_offer_read(&request, policy, &params, &agreed);
  CHECK(err == LK_OK || !agreed);
  if (agreed) CHECK_OK(lk_ws_offer_answer(&params, answer));
  lk_http1_deinit(&http);
  lk_buf_deinit(&text);
  return err;
}

/* One header with |value|. */
static lk_err answer_to_value(const lk_ws_deflate_policy *policy, const char *value,
                              lk_buf *answer) {
  lk_buf lines;
  lk_buf_init(&lines, test_alloc(), 1u << 20);
  lk_buf_append(&lines, LK_LIT("Sec-WebSocket-Extensions: "));
  lk_buf_append(&lines, lk_slice_cstr(value));
  CHECK_OK(lk_buf_append(&lines, LK_LIT("\r\n")));
  lk_err err = answer_to(policy, lk_buf_slice(&lines), answer);
  lk_buf_deinit(&lines);
  return err;
}

typedef struct row {
  const char *offer;
  const char *answer; /* NULL: the handshake fails; "": without compression */
} row;

static void check_rows(const lk_ws_deflate_policy *policy, const row *rows, size_t count) {
  for (size_t i = 0; i < count; i++) {
    lk_buf answer;
    lk_buf_init(&answer, test_alloc(), LK_WS_OFFER_ANSWER_MAX);
    test_note("offer %s", rows[i].offer);
    CHECK_ERR(answer_to_value(policy, rows[i].offer, &answer),
              rows[i].answer == NULL ? LK_ERR_WS_HANDSHAKE : LK_OK);
    if (rows[i].answer != NULL) CHECK_SLICE(lk_buf_slice(&answer), lk_slice_cstr(rows[i].answer));
    lk_buf_deinit(&answer);
  }
}
#define CHECK_ROWS(policy, rows) check_rows(policy, rows, sizeof(rows) / sizeof *(rows))

TEST(each_parameter_is_answered_as_the_rfc_says) {
  static const row rows[] = {
    { D, D },
    { D SERVER_NO, D SERVER_NO },
    { D CLIENT_NO, D CLIENT_NO },
    { D CLIENT_NO SERVER_NO, D SERVER_NO CLIENT_NO },
    { D SERVER_BITS "=9", D SERVER_BITS "=9" },
    { D SERVER_BITS "=15", D SERVER_BITS "=15" }, /* asked, so it is said */
    { D CLIENT_BITS, D },                         /* 15 goes without saying */
    { D CLIENT_BITS "=15", D },
    { D CLIENT_BITS "=10", D CLIENT_BITS "=10" },
    { D CLIENT_BITS "=8", D CLIENT_BITS "=8" },
    { D SERVER_BITS "=12" CLIENT_BITS "=11" SERVER_NO CLIENT_NO,
      D SERVER_NO CLIENT_NO SERVER_BITS "=12" CLIENT_BITS "=11" },
  };
  lk_ws_deflate_policy policy = generous();
  CHECK_ROWS(&policy, rows);
}

TEST(what_the_policy_wants_is_said_where_it_may_be_said) {
  static const row rows[] = {
    { D, D SERVER_NO CLIENT_NO SERVER_BITS "=11" },
    { D SERVER_NO, D SERVER_NO CLIENT_NO SERVER_BITS "=11" },
    { D SERVER_BITS "=10", D SERVER_NO CLIENT_NO SERVER_BITS "=10" },
    { D SERVER_BITS "=14", D SERVER_NO CLIENT_NO SERVER_BITS "=11" },
    /* Only to a client that knows of it: */
    { D CLIENT_BITS, D SERVER_NO CLIENT_NO SERVER_BITS "=11" CLIENT_BITS "=11" },
    { D CLIENT_BITS "=13", D SERVER_NO CLIENT_NO SERVER_BITS "=11" CLIENT_BITS "=11" },
    { D CLIENT_BITS "=9", D SERVER_NO CLIENT_NO SERVER_BITS "=11" CLIENT_BITS "=9" },
  };
  lk_ws_deflate_policy policy = LK_WS_DEFLATE_POLICY_INIT(lk_deflate_zlib());
  policy.window_bits_max = 11;
  CHECK_ROWS(&policy, rows);
}

TEST(an_offer_that_is_not_valid_is_declined_and_the_next_one_is_looked_at) {
  static const char *const declined[] = {
    D "; unknown",
    D "; unknown=1",
    D "; server_no_context_takeover=1",
    D "; client_no_context_takeover=\"1\"",
    D SERVER_NO SERVER_NO,
    D CLIENT_NO "; Client_No_Context_Takeover",
    D SERVER_BITS,
    D SERVER_BITS "=7",
    D SERVER_BITS "=8", /* valid, but not what zlib can do */
    D SERVER_BITS "=16",
    D SERVER_BITS "=08",
    D SERVER_BITS "=010",
    D SERVER_BITS "=-9",
    D SERVER_BITS "=+9",
    D SERVER_BITS "=1e1",
    D SERVER_BITS "=100",
    D SERVER_BITS "=10000000000000000000000009",
    D SERVER_BITS "=10" SERVER_BITS "=10",
    D CLIENT_BITS "=7",
    D CLIENT_BITS "=16",
    D CLIENT_BITS "=015",
    D CLIENT_BITS "=x",
    D CLIENT_BITS CLIENT_BITS,
    D CLIENT_BITS CLIENT_BITS "=9",
    D CLIENT_BITS "=9" CLIENT_BITS,
    "x-webkit-deflate-frame",
    "permessage-deflat",
    "permessage-deflate2",
    "permessage-bzip2; server_no_context_takeover",
  };
  lk_ws_deflate_policy policy = generous();
  char two[256];
  for (size_t i = 0; i < sizeof declined / sizeof *declined; i++) {
    const row rows[] = { { declined[i], "" }, { two, D SERVER_BITS "=10" } };
    lk_buf text = { .ptr = (uint8_t *)two, .cap = sizeof two, .max = sizeof two };
    lk_buf_append(&text, lk_slice_cstr(declined[i]));
    lk_buf_append(&text, LK_LIT(" , " D SERVER_BITS "=10, " D));
    CHECK_OK(lk_buf_append_u8(&text, 0));
    CHECK_ROWS(&policy, rows);
  }
}

TEST(spaces_quotes_cases_and_empty_elements_make_no_difference) {
  static const row rows[] = {
    { "PerMessage-Deflate; Server_Max_Window_Bits=10", D SERVER_BITS "=10" },
    { D ";server_max_window_bits=10", D SERVER_BITS "=10" },
    { D " \t;\t server_max_window_bits \t= 10 \t", D SERVER_BITS "=10" },
    { D SERVER_BITS "=\"10\"", D SERVER_BITS "=10" },
    { D SERVER_BITS "=\"1\\0\"", D SERVER_BITS "=10" },
    { D SERVER_BITS "=\"\\1\\0\"; client_no_context_takeover", D CLIENT_NO SERVER_BITS "=10" },
    { ", ,\t, " D ", ,", D },
    { "foo; bar=baz; bar=\"b\\az\", " D, D },
    { "", "" },
    { " , ", "" },
  };
  lk_ws_deflate_policy policy = generous();
  CHECK_ROWS(&policy, rows);
}

TEST(a_header_that_does_not_follow_the_grammar_fails_the_handshake) {
  static const row rows[] = {
    { D ";", NULL },
    { D ";;", NULL },
    { D "; ;" SERVER_NO, NULL },
    { D " client_no_context_takeover", NULL },
    { D SERVER_BITS "=", NULL },
    { D SERVER_BITS "=\"\"", NULL },
    { D SERVER_BITS "=\"10", NULL },
    { D SERVER_BITS "=\"10\\", NULL },
    { D SERVER_BITS "=\"10\\\"", NULL },
    { D SERVER_BITS "=\"1 0\"", NULL },
    { D SERVER_BITS "=\"10\"0", NULL },
    { D SERVER_BITS "=10 11", NULL },
    { D SERVER_BITS "==10", NULL },
    { D "=10", NULL },
    { "=", NULL },
    { ";", NULL },
    { "\"" D "\"", NULL },
    { D "; x=\"a,b\"", NULL }, /* what is quoted must be a token */
    { D "/1", NULL },
    { D "\x80", NULL },
    { D ", (", NULL }, /* also behind one that would do */
    { "unknown; =x, " D, NULL },
  };
  lk_ws_deflate_policy policy = generous();
  CHECK_ROWS(&policy, rows);
}

TEST(several_headers_are_one_list) {
  lk_ws_deflate_policy policy = generous();
  lk_buf answer;
  lk_buf_init(&answer, test_alloc(), LK_WS_OFFER_ANSWER_MAX);
  CHECK_OK(
      answer_to(&policy,
                LK_LIT("Sec-WebSocket-Extensions: foo\r\nX: " D "; server_max_window_bits=9\r\n"
                       "sec-websocket-extensions: " D "; server_max_window_bits=11\r\n"
                       "Sec-WebSocket-Extensions: " D "\r\n"),
                &answer));
  CHECK_TEXT(lk_buf_slice(&answer), D SERVER_BITS "=11");
  lk_buf_truncate(&answer, 0);
  CHECK_OK(answer_to(&policy, LK_LIT("X: y\r\n"), &answer));
  CHECK_TEXT(lk_buf_slice(&answer), "");
  lk_buf_deinit(&answer);
}

/* Goal: the maxima are exactly where the header says. */
TEST(offers_and_parameters_are_counted) {
  lk_ws_deflate_policy policy = generous();
  for (int more = 0; more < 2; more++) {
    lk_buf offers, params;
    lk_buf_init(&offers, test_alloc(), 10000);
    lk_buf_init(&params, test_alloc(), 10000);
    for (int i = 1; i < LK_WS_OFFERS_MAX + more; i++) lk_buf_append(&offers, LK_LIT("x,"));
    lk_buf_append(&offers, LK_LIT(D));
    lk_buf_append(&params, LK_LIT("x"));
    for (int i = 0; i < LK_WS_OFFER_PARAMS_MAX + more; i++) lk_buf_append(&params, LK_LIT(";y"));
    lk_buf_append(&params, LK_LIT("," D));
    lk_buf_append_u8(&offers, 0);
    CHECK_OK(lk_buf_append_u8(&params, 0));
    const row rows[] = { { (const char *)offers.ptr, more == 0 ? D : NULL },
                         { (const char *)params.ptr, more == 0 ? D : NULL } };
    CHECK_ROWS(&policy, rows);
    lk_buf_deinit(&offers);
    lk_buf_deinit(&params);
  }
}
