/* Hostile packed messages and hostile offers: neither cuts nor claims change what comes out, and nothing
 * grows beyond its limit. */
#include "harness/test.h"
#include "platform/providers/deflate_zlib.h"
#include "wire/ws.h"
#include "wire/ws_offer.h"

static const lk_slice payloads[] = {
  LK_LIT_INIT("\xf2\x48\xcd\xc9\xc9\x07\x00"),
  LK_LIT_INIT("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
  LK_LIT_INIT("\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x00\x11\x00\x00"),
  LK_LIT_INIT("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"),
  LK_LIT_INIT("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
  /* three thousand zeros */
  LK_LIT_INIT("\xec\xc1\x01\x0d\x00\x00\x00\xc2\xa0\x4c\xef\x1f\xcd\x1c\x6e\x40\x01\x00\x00\x00\x00"
              "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xc0\xbb\x01"),
};

/* ---- the machine alone ---- */

typedef struct result {
  lk_err err;
  lk_buf out;
} result;

static result unpack(const lk_ws_deflate_params *params, lk_slice in, size_t step, size_t max) {
  lk_ws_deflate_policy policy = LK_WS_DEFLATE_POLICY_INIT(lk_deflate_zlib());
  lk_ws_deflate *deflate = NULL;
  result r = { .err = LK_OK };
  lk_buf_init(&r.out, test_alloc(), max);
  CHECK_OK(lk_ws_deflate_open(test_alloc(), &policy, params, true, &deflate));
  CHECK_OK(lk_ws_deflate_begin(deflate));
  for (; in.len > 0 && r.err == LK_OK; in = lk_slice_skip(in, step))
    r.err = lk_ws_deflate_feed(deflate, lk_slice_first(in, step), max, &r.out);
  if (r.err == LK_OK) r.err = lk_ws_deflate_end(deflate, max, &r.out);
  CHECK_OK(lk_buf_err(&r.out));
  CHECK(r.out.len <= max);
  lk_ws_deflate_close(deflate);
  return r;
}

FUZZ(lk_ws_deflate_feed) {
  uint8_t scratch[600];
  lk_ws_deflate_params params = { .client_bits = (uint8_t)gen_range(g, 8, 15) };
  size_t step = 1 + gen_below(g, 600), max = 1 + gen_below(g, 200000);
  lk_slice in = gen_hostile(g, payloads, sizeof payloads / sizeof *payloads, scratch,
                            sizeof scratch);
  result whole = unpack(&params, in, SIZE_MAX, max), cut = unpack(&params, in, step, max);
  /* Who refers to what is further back than its window is found out by zlib only where that is in no buffer any more. */
  bool is_lying = params.client_bits < 15 &&
                  (cut.err == LK_ERR_CORRUPT) != (whole.err == LK_ERR_CORRUPT);
  if (!is_lying) {
    CHECK_ERR(cut.err, whole.err);
    CHECK_SLICE(lk_buf_slice(&cut.out), lk_buf_slice(&whole.out));
  }
  CHECK(whole.out.len <= 65536 || whole.out.len <= (in.len + LK_WS_DEFLATE_STEP_BYTES) * 100);
  lk_buf_deinit(&whole.out);
  lk_buf_deinit(&cut.out);
}

/* ---- within a WebSocket ---- */

typedef struct record {
  lk_ws ws;
  lk_buf events;
  lk_err err;
  lk_ws_mask mask;
} record;

static void record_init(record *r, const lk_limits *limits, const lk_ws_deflate_policy *policy,
                        const lk_ws_deflate_params *params) {
  lk_ws_options options = { .role = LK_WS_CLIENT, .mask = &r->mask };
  *r = (record){ .err = LK_OK };
  lk_buf_init(&r->events, test_alloc(), 1u << 22);
  CHECK_OK(lk_ws_deflate_open(test_alloc(), policy, params, false, &options.deflate));
  lk_ws_init(&r->ws, test_alloc(), limits, &options, 0);
}

static void record_deinit(record *r) {
  lk_ws_deinit(&r->ws);
  lk_buf_deinit(&r->events);
}

static void record_feed(record *r, const lk_limits *limits, lk_slice piece) {
  lk_ws_event event;
  do {
    r->err = lk_ws_feed(&r->ws, 0, &piece);
    while (lk_ws_poll(&r->ws, &event)) {
      if (event.kind == LK_WS_ENDED || event.text) CHECK_OK(lk_utf8_check(event.payload));
      CHECK(event.kind == LK_WS_ENDED || event.payload.len <= limits->ws_message_bytes);
      lk_buf_append_u8(&r->events, event.kind == LK_WS_ENDED ? 'e' : event.text ? 't' : 'b');
      lk_buf_append_be16(&r->events, event.code);
      lk_buf_append_be32(&r->events, (uint32_t)event.payload.len);
      lk_buf_append(&r->events, event.payload);
    }
    CHECK(r->ws.message.cap <= limits->ws_message_bytes);
  } while (r->err == LK_OK && piece.len > 0);
}

/* Frames of a server, most of them packed, with payloads that are hostile or not. */
static void add_frames(lk_gen *g, lk_buf *to) {
  static const uint8_t firsts[] = { 0xc1, 0xc2, 0x41, 0x42, 0x00, 0x80, 0x81, 0x89 };
  for (uint32_t n = gen_below(g, 8); n > 0; n--) {
    uint8_t scratch[120];
    lk_slice payload = payloads[gen_below(g, sizeof payloads / sizeof *payloads)];
    if (gen_bool(g)) payload = lk_slice_of(scratch, gen_bytes(g, scratch, sizeof scratch));
    lk_buf_append_u8(to, firsts[gen_below(g, sizeof firsts)]);
    lk_buf_append_u8(to, (uint8_t)payload.len);
    lk_buf_append(to, payload);
  }
}

PROPERTY(packed_frames_mean_the_same_wherever_they_are_cut) {
  lk_limits limits = lk_limits_default();
  lk_ws_deflate_policy policy = LK_WS_DEFLATE_POLICY_INIT(lk_deflate_zlib());
  lk_ws_deflate_params params = { .server_no_takeover = gen_bool(g) };
  lk_buf frames;
  record whole, cut;
  uint32_t step = 1 + gen_below(g, 40);
  limits.ws_message_bytes = 1 + gen_below(g, 4000);
  lk_buf_init(&frames, test_alloc(), 65536);
  add_frames(g, &frames);
  lk_slice in = lk_buf_slice(&frames);
  record_init(&whole, &limits, &policy, &params);
  record_init(&cut, &limits, &policy, &params);
  record_feed(&whole, &limits, in);
  for (; in.len > 0 && cut.err == LK_OK; in = lk_slice_skip(in, step))
    record_feed(&cut, &limits, lk_slice_first(in, step));
  CHECK_ERR(cut.err, whole.err);
  CHECK_SLICE(lk_buf_slice(&cut.events), lk_buf_slice(&whole.events));
  record_deinit(&whole);
  record_deinit(&cut);
  lk_buf_deinit(&frames);
}

/* ---- offers ---- */

static const lk_slice offers[] = {
  LK_LIT_INIT("permessage-deflate; client_max_window_bits; server_max_window_bits=\"1\\0\""),
  LK_LIT_INIT("foo; a=b, permessage-deflate; server_no_context_takeover;client_max_window_bits=9"),
  LK_LIT_INIT(", permessage-deflate; client_no_context_takeover; x, permessage-deflate"),
};

/* What is agreed on is what the policy allows, and can be said. */
FUZZ(lk_ws_offer_read) {
  uint8_t scratch[300], answer[LK_WS_OFFER_ANSWER_MAX];
  lk_ws_deflate_policy policy = LK_WS_DEFLATE_POLICY_INIT(lk_deflate_zlib());
  lk_ws_deflate_params params = { 0 };
  lk_http1_request request = { 0 };
  lk_buf headers, said = { .ptr = answer, .cap = sizeof answer, .max = sizeof answer };
  bool agreed = true;
  policy.window_bits_max = (uint8_t)gen_range(g, 9, 15);
  policy.send_takeover = gen_bool(g);
  policy.receive_takeover = gen_bool(g);
  lk_slice value = gen_hostile(g, offers, 3, scratch, sizeof scratch);
  lk_buf_init(&headers, test_alloc(), 65536);
  lk_buf_append(&headers, LK_LIT("sec-websocket-extensions:"));
  lk_buf_append(&headers, lk_slice_cut(value, '\n', &value));
  CHECK_OK(lk_buf_append(&headers, LK_LIT("\r\n")));
  request.headers = lk_buf_slice(&headers);
  lk_err err = lk_ws_offer_read(&request, &policy, &params, &agreed);
  CHECK(err == LK_OK || (err == LK_ERR_WS_HANDSHAKE && !agreed));
  if (agreed) {
    CHECK_OK(lk_ws_offer_answer(&params, &said));
    CHECK(params.server_no_takeover || policy.send_takeover);
    CHECK(params.client_no_takeover || policy.receive_takeover);
    CHECK(params.server_bits == 0
              ? policy.window_bits_max == 15
              : params.server_bits >= 9 && params.server_bits <= policy.window_bits_max);
    CHECK(params.client_bits == 0 || (params.client_bits >= 8 && params.client_bits < 15));
  }
  lk_buf_deinit(&headers);
}
