/* Hostile frames: any bytes, in any pieces, for either role, give the same messages, the same end
 * and the same output; nothing grows beyond its limit and text is always UTF-8. */
#include "wire/ws.h"

#include "harness/test.h"

#define KEY "\x01\x02\x03\x04"
static const lk_slice samples[] = {
  LK_LIT_INIT("\x81\x85" KEY "Iggnp\x82\x83" KEY "abc\x89\x84" KEY "ping"),
  LK_LIT_INIT("\x01\x81" KEY "`\x89\x80" KEY "\x00\x80" KEY "\x80\x82" KEY "bc\x88\x82" KEY
              "\x02\xea"),
  LK_LIT_INIT("\x82\xfe\x00\x7e" KEY "0123456789012345678901234567890123456789012345678901234567890"
              "12345678901234567890123456789012345678901234567890123456789012345"),
  LK_LIT_INIT("\x02\x80" KEY "\x00\xff\x00\x00\x00\x00\x00\x01\x00\x00" KEY "some of it"),
  LK_LIT_INIT("\x81\x05Hello\x82\x7e\x00\x7e"
              "0123\x8a\x00\x01\x02\xC3\xA9\x80\x00\x88\x02\x03\xe8"),
};

/* Everything that came out, in one row. */
typedef struct record {
  lk_ws ws;
  lk_buf events;
  lk_err err;
  uint32_t ends;
  lk_ws_mask mask;
} record;

static void record_init(record *r, const lk_limits *limits, const lk_ws_options *options) {
  lk_ws_options own = *options;
  *r = (record){ 0 };
  if (own.role == LK_WS_CLIENT) own.mask = &r->mask;
  lk_buf_init(&r->events, test_alloc(), 1u << 22);
  lk_ws_init(&r->ws, test_alloc(), limits, &own, 0);
}

static void record_deinit(record *r) {
  lk_ws_deinit(&r->ws);
  lk_buf_deinit(&r->events);
}

static void record_events(record *r, const lk_limits *limits) {
  lk_ws_event event;
  while (lk_ws_poll(&r->ws, &event)) {
    CHECK(r->ends == 0);
    if (event.kind == LK_WS_ENDED) r->ends++;
    else CHECK(event.payload.len <= limits->ws_message_bytes);
    if (event.kind == LK_WS_ENDED || event.text) CHECK_OK(lk_utf8_check(event.payload));
    lk_buf_append_u8(&r->events, event.kind == LK_WS_ENDED ? 'e' : event.text ? 't' : 'b');
    lk_buf_append_u8(&r->events, event.clean);
    lk_buf_append_be16(&r->events, event.code);
    lk_buf_append_be32(&r->events, (uint32_t)event.payload.len);
    lk_buf_append(&r->events, event.payload);
  }
}

static void record_feed(record *r, const lk_limits *limits, lk_slice piece) {
  do {
    r->err = lk_ws_feed(&r->ws, 0, &piece);
    record_events(r, limits);
    CHECK(r->ws.message.cap <= limits->ws_message_bytes);
    CHECK(lk_ws_output(&r->ws).len <= LK_WS_PONG_BYTES_MAX + 131);
  } while (r->err == LK_OK && piece.len > 0);
}

FUZZ(lk_ws_feed) {
  uint8_t scratch[600];
  lk_limits limits = lk_limits_default();
  lk_ws_options options = { .role = gen_bool(g) ? LK_WS_CLIENT : LK_WS_SERVER };
  record whole, cut;
  limits.ws_message_bytes = 1 + gen_below(g, 200);
  if (gen_bool(g)) options.long_bytes = gen_below(g, 400);
  uint32_t step = 1 + gen_below(g, 40);
  lk_slice in = gen_hostile(g, samples, sizeof samples / sizeof *samples, scratch, sizeof scratch);
  record_init(&whole, &limits, &options);
  record_init(&cut, &limits, &options);
  record_feed(&whole, &limits, in);
  for (; in.len > 0 && cut.err == LK_OK; in = lk_slice_skip(in, step))
    record_feed(&cut, &limits, lk_slice_first(in, step));
  CHECK_ERR(cut.err, whole.err);
  CHECK_SLICE(lk_buf_slice(&cut.events), lk_buf_slice(&whole.events));
  CHECK_SLICE(lk_ws_output(&cut.ws), lk_ws_output(&whole.ws));
  CHECK(whole.ends == (lk_ws_is_closed(&whole.ws) ? 1 : 0));
  record_deinit(&whole);
  record_deinit(&cut);
}
