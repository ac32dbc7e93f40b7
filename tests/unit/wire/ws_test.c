/* WebSocket frames: RFC 6455's examples, malformed frames and their Close codes, limits, time,
 * and that neither cuts in the input nor a lack of memory change what comes out. */
#include "wire/ws.h"

#include "base/budget.h"
#include "harness/test.h"

enum { INPUT_MAX = 4096 };

typedef struct bench {
  lk_limits limits;
  lk_ws_mask mask;
  lk_ws ws;
  lk_buf in;  /* frames to feed */
  lk_buf log; /* what came out: events as text */
  lk_err err;
} bench;

static const lk_ws_options server = { .role = LK_WS_SERVER, .idle_ms = 1000, .close_ms = 200 };
static lk_ws_mask plain_mask;
static const lk_ws_options client = {
  .role = LK_WS_CLIENT, .idle_ms = 1000, .close_ms = 200, .mask = &plain_mask
};

static void bench_init(bench *b, const lk_ws_options *options) {
  *b = (bench){ .limits = lk_limits_default() };
  lk_buf_init(&b->in, test_alloc(), 1u << 20);
  lk_buf_init(&b->log, test_alloc(), 1u << 20);
  lk_ws_options own = *options;
  if (own.mask != NULL) {
    b->mask = *own.mask;
    own.mask = &b->mask;
  }
  lk_ws_init(&b->ws, test_alloc(), &b->limits, &own, 0);
}

static void bench_deinit(bench *b) {
  lk_ws_deinit(&b->ws);
  lk_buf_deinit(&b->in);
  lk_buf_deinit(&b->log);
}

/* A frame as a client sends it: |first| is FIN, RSV and opcode. */
static void add_frame(lk_buf *to, uint8_t first, lk_slice payload) {
  static const uint8_t key[4] = { 0x37, 0xfa, 0x21, 0x3d };
  lk_buf_append_u8(to, first);
  if (payload.len < 126) {
    lk_buf_append_u8(to, (uint8_t)(0x80 | payload.len));
  } else if (payload.len <= 0xffff) {
    lk_buf_append_u8(to, 0xfe);
    lk_buf_append_be16(to, (uint16_t)payload.len);
  } else {
    lk_buf_append_u8(to, 0xff);
    lk_buf_append_be64(to, payload.len);
  }
  lk_buf_append(to, lk_slice_of(key, 4));
  for (size_t i = 0; i < payload.len; i++)
    lk_buf_append_u8(to, (uint8_t)(payload.ptr[i] ^ key[i & 3]));
  CHECK_OK(lk_buf_err(to));
}

static void add_close(lk_buf *to, uint16_t code, lk_slice reason) {
  uint8_t payload[125];
  lk_store_be16(payload, code);
  if (reason.len > 0) memcpy(payload + 2, reason.ptr, reason.len);
  add_frame(to, 0x88, lk_slice_of(payload, 2 + reason.len));
}

static void log_events(bench *b) {
  lk_ws_event event;
  while (lk_ws_poll(&b->ws, &event)) {
    if (event.kind == LK_WS_MESSAGE) {
      lk_buf_append_u8(&b->log, event.text ? 't' : 'b');
    } else {
      lk_buf_append(&b->log, event.clean ? LK_LIT("end") : LK_LIT("END"));
      lk_buf_append_decimal(&b->log, event.code);
    }
    lk_buf_append_u8(&b->log, ':');
    lk_buf_append(&b->log, event.payload);
    lk_buf_append_u8(&b->log, ' ');
  }
}

/* Feeds as a host does, one piece. */
static void feed(bench *b, lk_slice piece) {
  do {
    b->err = lk_ws_feed(&b->ws, 0, &piece);
    log_events(b);
  } while (b->err == LK_OK && piece.len > 0);
}

/* All of |b->in|: in two pieces, or byte by byte where |cut| is above its length. */
static void feed_cut(bench *b, size_t cut) {
  lk_slice in = lk_buf_slice(&b->in);
  if (cut <= in.len) {
    feed(b, lk_slice_first(in, cut));
    if (b->err == LK_OK) feed(b, lk_slice_skip(in, cut));
    return;
  }
  for (; in.len > 0 && b->err == LK_OK; in = lk_slice_skip(in, 1)) feed(b, lk_slice_first(in, 1));
}

/* Goal: one input gives one outcome, wherever the network cuts it. */
static void check_every_cut(const lk_ws_options *options, lk_slice in, lk_err err, lk_slice events,
                            lk_slice output) {
  for (size_t cut = 0; cut <= in.len + 1; cut++) {
    bench b;
    bench_init(&b, options);
    CHECK_OK(lk_buf_append(&b.in, in));
    test_note("cut at %zu", cut);
    feed_cut(&b, cut);
    CHECK_ERR(b.err, err);
    CHECK_SLICE(lk_buf_slice(&b.log), events);
    CHECK_SLICE(lk_ws_output(&b.ws), output);
    bench_deinit(&b);
  }
}

/* ---- RFC 6455 §5.7 ---- */

TEST(examples_of_the_rfc_are_understood_by_the_side_they_are_for) {
  check_every_cut(&client, LK_LIT("\x81\x05Hello"), LK_OK, LK_LIT("t:Hello "), LK_LIT(""));
  check_every_cut(&server, LK_LIT("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), LK_OK,
                  LK_LIT("t:Hello "), LK_LIT(""));
  check_every_cut(&client, LK_LIT("\x01\x03Hel\x80\x02lo"), LK_OK, LK_LIT("t:Hello "), LK_LIT(""));
  check_every_cut(&client, LK_LIT("\x8a\x05Hello"), LK_OK, LK_LIT(""), LK_LIT(""));
  check_every_cut(&server, LK_LIT("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), LK_OK,
                  LK_LIT(""), LK_LIT(""));
}

/* Goal: who is turned away without a machine is told the same as by one. */
TEST(a_close_alone_is_what_a_server_would_write) {
  static const struct {
    uint16_t code;
    lk_slice reason;
    lk_slice frame;
  } rows[] = {
    { 4401, LK_LIT_INIT("why"), LK_LIT_INIT("\x88\x05\x11\x31why") },
    { 1013, LK_LIT_INIT(""), LK_LIT_INIT("\x88\x02\x03\xf5") },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    lk_buf out;
    lk_buf_init(&out, test_alloc(), 16);
    CHECK_OK(lk_buf_append(&out, LK_LIT("101")));
    CHECK_OK(lk_ws_close_encode(rows[i].code, rows[i].reason, &out));
    CHECK_SLICE(lk_slice_skip(lk_buf_slice(&out), 3), rows[i].frame);
    CHECK_ERR(lk_ws_close_encode(4401, LK_LIT("this is longer"), &out), LK_ERR_LIMIT);
    CHECK_U64(out.len, 3 + rows[i].frame.len);
    lk_buf_deinit(&out);
  }
}

TEST(a_ping_is_answered_with_its_payload) {
  check_every_cut(&server, LK_LIT("\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), LK_OK,
                  LK_LIT(""), LK_LIT("\x8a\x05Hello"));
  check_every_cut(&server, LK_LIT("\x89\x80\x37\xfa\x21\x3d"), LK_OK, LK_LIT(""),
                  LK_LIT("\x8a\x00"));
}

/* The two long examples, both ways: 256 bytes and 64 KiB in one binary frame. */
TEST(lengths_take_their_shortest_form) {
  static const struct {
    size_t len;
    lk_slice header;
  } cases[] = {
    { 0, LK_LIT_INIT("\x82\x00") },
    { 125, LK_LIT_INIT("\x82\x7d") },
    { 126, LK_LIT_INIT("\x82\x7e\x00\x7e") },
    { 256, LK_LIT_INIT("\x82\x7e\x01\x00") },
    { 65535, LK_LIT_INIT("\x82\x7e\xff\xff") },
    { 65536, LK_LIT_INIT("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00") },
  };
  static uint8_t bytes[65536];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 7);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    bench from, to;
    lk_ws_event event;
    bench_init(&from, &server);
    bench_init(&to, &client);
    lk_slice payload = lk_slice_of(bytes, cases[i].len);
    CHECK_OK(lk_ws_send(&from.ws, LK_WS_BINARY, payload));
    lk_slice out = lk_ws_output(&from.ws);
    CHECK_SLICE(lk_slice_first(out, cases[i].header.len), cases[i].header);
    CHECK_OK(lk_ws_feed(&to.ws, 0, &out));
    CHECK(out.len == 0 && lk_ws_poll(&to.ws, &event) && !event.text);
    CHECK_SLICE(event.payload, payload);
    bench_deinit(&from);
    bench_deinit(&to);
  }
}

/* ---- messages ---- */

/* Goal: control frames between fragments, empty fragments and several messages in one read. */
TEST(fragments_grow_together_around_control_frames) {
  bench b;
  bench_init(&b, &server);
  add_frame(&b.in, 0x01, LK_LIT("\xE2\x82"));
  add_frame(&b.in, 0x89, LK_LIT("ping"));
  add_frame(&b.in, 0x00, LK_LIT(""));
  add_frame(&b.in, 0x8a, LK_LIT("unasked"));
  add_frame(&b.in, 0x00, LK_LIT("\xAC!"));
  add_frame(&b.in, 0x80, LK_LIT(""));
  add_frame(&b.in, 0x82, LK_LIT("\xFF\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09"));
  add_frame(&b.in, 0x81, LK_LIT(""));
  add_close(&b.in, 1000, LK_LIT("bye"));
  add_frame(&b.in, 0x81, LK_LIT("too late"));
  check_every_cut(&server, lk_buf_slice(&b.in), LK_OK,
                  LK_LIT("t:\xE2\x82\xAC! b:\xFF\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09 t: "
                         "end1000:bye "),
                  LK_LIT("\x8a\x04ping\x88\x02\x03\xe8"));
  bench_deinit(&b);
}

TEST(a_message_waits_until_it_is_polled) {
  bench b;
  lk_ws_event event;
  bench_init(&b, &server);
  add_frame(&b.in, 0x81, LK_LIT("one"));
  size_t first = b.in.len;
  add_frame(&b.in, 0x81, LK_LIT("two"));
  lk_slice in = lk_buf_slice(&b.in);
  for (int again = 0; again < 3; again++) {
    CHECK_OK(lk_ws_feed(&b.ws, 0, &in));
    CHECK_U64(in.len, b.in.len - first);
  }
  CHECK(lk_ws_poll(&b.ws, &event));
  CHECK_TEXT(event.payload, "one");
  CHECK_OK(lk_ws_feed(&b.ws, 0, &in)); /* without polling until there is nothing */
  CHECK(in.len == 0 && lk_ws_poll(&b.ws, &event));
  CHECK_TEXT(event.payload, "two");
  CHECK(!lk_ws_poll(&b.ws, &event));
  bench_deinit(&b);
}

/* Goal: whatever one end sends, the other receives: in both directions, in any fragments of
 * output and with buffers consumed in pieces.
 * Method: a model keeps all messages in a row; both the order and the bytes must agree. */
PROPERTY(what_one_end_sends_the_other_receives) {
  bench from, to;
  bool to_server = gen_bool(g);
  lk_buf sent;
  uint8_t payload[300];
  bench_init(&from, to_server ? &client : &server);
  bench_init(&to, to_server ? &server : &client);
  lk_buf_init(&sent, test_alloc(), 1u << 20);
  for (uint32_t rounds = gen_below(g, 12); rounds > 0; rounds--) {
    bool text = gen_bool(g);
    size_t len = text ? gen_utf8(g, payload, sizeof payload)
                      : gen_bytes(g, payload, sizeof payload);
    CHECK_OK(lk_ws_send(&from.ws, text ? LK_WS_TEXT : LK_WS_BINARY, lk_slice_of(payload, len)));
    lk_buf_append_u8(&sent, text ? 't' : 'b');
    lk_buf_append_u8(&sent, ':');
    lk_buf_append(&sent, lk_slice_of(payload, len));
    lk_buf_append_u8(&sent, ' ');
    while (lk_ws_output(&from.ws).len > 0 && !gen_chance(g, 1, 4)) {
      lk_slice piece = lk_slice_first(lk_ws_output(&from.ws), 1 + gen_below(g, 200));
      feed(&to, piece);
      CHECK_OK(to.err);
      lk_ws_consume(&from.ws, piece.len);
    }
    CHECK(from.ws.output.cap <= 4 * sizeof payload * 12);
  }
  feed(&to, lk_ws_output(&from.ws));
  CHECK_SLICE(lk_buf_slice(&to.log), lk_buf_slice(&sent));
  lk_buf_deinit(&sent);
  bench_deinit(&from);
  bench_deinit(&to);
}

/* Goal: unmasking eight bytes at a time equals doing it byte by byte, at every phase of the key
 * and every length of a piece. */
TEST(unmasking_is_right_at_every_phase) {
  uint8_t bytes[40];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i + 1);
  for (size_t first = 0; first < 20; first++) {
    for (size_t second = 0; second < 20; second++) {
      bench b;
      lk_ws_event event;
      bench_init(&b, &server);
      add_frame(&b.in, 0x82, lk_slice_of(bytes, sizeof bytes));
      lk_slice rest = lk_buf_slice(&b.in);
      size_t cuts[] = { 6 + first, second, sizeof bytes };
      for (size_t i = 0; i < 3; i++) {
        lk_slice piece = lk_slice_first(rest, cuts[i]);
        rest = lk_slice_skip(rest, cuts[i]);
        CHECK_OK(lk_ws_feed(&b.ws, 0, &piece));
      }
      CHECK(lk_ws_poll(&b.ws, &event));
      CHECK_SLICE(event.payload, lk_slice_of(bytes, sizeof bytes));
      bench_deinit(&b);
    }
  }
}

/* ---- malformed frames ---- */

typedef struct malformed {
  lk_slice bytes;
  lk_err err;
  lk_slice events;
  lk_slice output;
} malformed;

#define KEY "\x00\x00\x00\x00"
#define PROTOCOL(bytes)                                                                            \
  {                                                                                                \
    LK_LIT_INIT(bytes), LK_ERR_WS_PROTOCOL, LK_LIT_INIT("END1002: "),                              \
        LK_LIT_INIT("\x88\x02\x03\xea")                                                            \
  }
#define BAD_TEXT(bytes)                                                                            \
  { LK_LIT_INIT(bytes), LK_ERR_UTF8, LK_LIT_INIT("END1007: "), LK_LIT_INIT("\x88\x02\x03\xef") }
#define TOO_BIG(bytes)                                                                             \
  { LK_LIT_INIT(bytes), LK_ERR_TOO_BIG, LK_LIT_INIT("END1009: "), LK_LIT_INIT("\x88\x02\x03\xf1") }

/* Goal: each malformed frame ends the connection with its code, as soon as its bytes are there,
 * wherever they are cut. Nothing follows the last byte that is needed to know. */
TEST(malformed_frames_are_refused_with_their_code) {
  static const malformed cases[] = {
    /* reserved bits, one by one */
    PROTOCOL("\xc1"),
    PROTOCOL("\xa1"),
    PROTOCOL("\x91"),
    PROTOCOL("\xf1"),
    PROTOCOL("\xc8"),
    /* reserved opcodes */
    PROTOCOL("\x83"),
    PROTOCOL("\x84"),
    PROTOCOL("\x85"),
    PROTOCOL("\x86"),
    PROTOCOL("\x87"),
    PROTOCOL("\x8b"),
    PROTOCOL("\x8c"),
    PROTOCOL("\x8d"),
    PROTOCOL("\x8e"),
    PROTOCOL("\x8f"),
    /* control frames in fragments, or too long */
    PROTOCOL("\x08"),
    PROTOCOL("\x09"),
    PROTOCOL("\x0a"),
    PROTOCOL("\x88\xfe"),
    PROTOCOL("\x89\xfe"),
    PROTOCOL("\x8a\xff"),
    /* a client that does not mask */
    PROTOCOL("\x81\x05"),
    PROTOCOL("\x89\x00"),
    PROTOCOL("\x88\x00"),
    PROTOCOL("\x82\x7e"),
    /* fragments out of order */
    PROTOCOL("\x80"),
    PROTOCOL("\x00"),
    PROTOCOL("\x01\x80" KEY "\x81"),
    PROTOCOL("\x02\x80" KEY "\x02"),
    { LK_LIT_INIT("\x01\x80" KEY "\x80\x80" KEY "\x80"), LK_ERR_WS_PROTOCOL,
      LK_LIT_INIT("t: END1002: "), LK_LIT_INIT("\x88\x02\x03\xea") },
    /* lengths that are longer than they need be, or negative */
    PROTOCOL("\x82\xfe\x00\x7d"),
    PROTOCOL("\x82\xfe\x00\x00"),
    PROTOCOL("\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff"),
    PROTOCOL("\x82\xff\x00\x00\x00\x00\x00\x00\x00\x01"),
    PROTOCOL("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00"),
    PROTOCOL("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
    /* lengths that nobody has memory for */
    TOO_BIG("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff"),
    TOO_BIG("\x81\xff\x00\x00\x00\x01\x00\x00\x00\x00"),
    TOO_BIG("\x02\x81" KEY "x\x80\xff\x7f\xff\xff\xff\xff\xff\xff\xff"),
    TOO_BIG("\x82\xff\x00\x00\x00\x00\x00\x10\x00\x01"),
    /* Close: half a code, codes that may not be sent, a reason that is no text */
    PROTOCOL("\x88\x81" KEY "\x03"),
    PROTOCOL("\x88\x82" KEY "\x00\x00"),
    PROTOCOL("\x88\x82" KEY "\x03\xed"),
    PROTOCOL("\x88\x82" KEY "\x03\xee"),
    BAD_TEXT("\x88\x83" KEY "\x03\xe8\x80"),
    BAD_TEXT("\x88\x84" KEY "\x03\xe8\xe2\x82"),
    /* text: stray, overlong, surrogate, above U+10FFFF, ended inside a character */
    BAD_TEXT("\x81\x85" KEY "ab\x80"),
    BAD_TEXT("\x81\x85" KEY "\xc0"),
    BAD_TEXT("\x81\x85" KEY "\xc1"),
    BAD_TEXT("\x81\x85" KEY "\xe0\x9f"),
    BAD_TEXT("\x81\x85" KEY "\xed\xa0"),
    BAD_TEXT("\x81\x85" KEY "\xf0\x8f"),
    BAD_TEXT("\x81\x85" KEY "\xf4\x90"),
    BAD_TEXT("\x81\x85" KEY "\xf5"),
    BAD_TEXT("\x81\x85" KEY "\xff"),
    BAD_TEXT("\x81\x85" KEY "\xe2("),
    BAD_TEXT("\x81\x81" KEY "\xc3"),
    BAD_TEXT("\x01\x82" KEY "\xe2\x82\x80\x80" KEY),
    BAD_TEXT("\x01\x81" KEY "\xf4\x00\x85" KEY "\x90"),
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    test_note("case %zu", i);
    check_every_cut(&server, cases[i].bytes, cases[i].err, cases[i].events, cases[i].output);
  }
}

TEST(a_server_that_masks_is_refused) {
  bench b;
  bench_init(&b, &client);
  feed(&b, LK_LIT("\x81\x85"));
  CHECK_ERR(b.err, LK_ERR_WS_PROTOCOL);
  CHECK_TEXT(lk_buf_slice(&b.log), "END1002: ");
  bench_deinit(&b);
}

TEST(a_failed_machine_stays_failed) {
  bench b;
  bench_init(&b, &server);
  feed(&b, LK_LIT("\xff"));
  size_t output = lk_ws_output(&b.ws).len;
  lk_slice more = LK_LIT("\x81\x80" KEY);
  CHECK_ERR(lk_ws_feed(&b.ws, 0, &more), LK_ERR_WS_PROTOCOL);
  CHECK_U64(more.len, 6);
  log_events(&b);
  CHECK_TEXT(lk_buf_slice(&b.log), "END1002: ");
  CHECK(lk_ws_is_closed(&b.ws) && !lk_ws_is_expired(&b.ws));
  CHECK_ERR(lk_ws_send(&b.ws, LK_WS_TEXT, LK_LIT("x")), LK_ERR_CLOSED);
  CHECK_ERR(lk_ws_send_ping(&b.ws, LK_LIT("x")), LK_ERR_CLOSED);
  CHECK_ERR(lk_ws_send_frames(&b.ws, LK_LIT("x")), LK_ERR_CLOSED);
  CHECK_ERR(lk_ws_close(&b.ws, 0, 1000, LK_LIT("")), LK_ERR_CLOSED);
  CHECK_U64(lk_ws_output(&b.ws).len, output);
  bench_deinit(&b);
}

/* ---- the end ---- */

/* Goal: of all 65,536 codes exactly those that RFC 6455 §7.4 and IANA's list allow are echoed. */
TEST(every_close_code_is_echoed_or_refused) {
  for (uint32_t code = 0; code <= UINT16_MAX; code++) {
    bool valid = (code >= 1000 && code <= 1014 && !(code >= 1004 && code <= 1006)) ||
                 (code >= 3000 && code < 5000);
    uint8_t frame[] = { 0x88, 0x82, 0, 0, 0, 0, (uint8_t)(code >> 8), (uint8_t)code };
    uint16_t answer = valid ? (uint16_t)code : 1002;
    lk_limits limits = lk_limits_default();
    lk_ws ws;
    lk_slice in = lk_slice_of(frame, sizeof frame);
    lk_ws_init(&ws, test_alloc(), &limits, &server, 0);
    CHECK_ERR(lk_ws_feed(&ws, 0, &in), valid ? LK_OK : LK_ERR_WS_PROTOCOL);
    lk_slice out = lk_ws_output(&ws);
    CHECK(out.len == 4 && lk_load_be16(out.ptr + 2) == answer);
    lk_ws_deinit(&ws);
  }
}

TEST(a_close_without_a_code_is_answered_without_one) {
  check_every_cut(&server, LK_LIT("\x88\x80" KEY), LK_OK, LK_LIT("end1005: "), LK_LIT("\x88\x00"));
}

TEST(our_close_waits_for_the_answer_and_messages_before_it_are_delivered) {
  bench b;
  bench_init(&b, &server);
  CHECK_OK(lk_ws_close(&b.ws, 10, 1012, LK_LIT("restart")));
  CHECK_TEXT(lk_ws_output(&b.ws), "\x88\x09\x03\xf4restart");
  CHECK_ERR(lk_ws_send(&b.ws, LK_WS_TEXT, LK_LIT("x")), LK_ERR_CLOSED);
  CHECK_ERR(lk_ws_close(&b.ws, 10, 1000, LK_LIT("")), LK_ERR_CLOSED);
  add_frame(&b.in, 0x81, LK_LIT("on its way"));
  add_frame(&b.in, 0x89, LK_LIT("not answered"));
  add_close(&b.in, 1012, LK_LIT(""));
  feed_cut(&b, 0);
  CHECK_OK(b.err);
  CHECK_TEXT(lk_buf_slice(&b.log), "t:on its way end1012: ");
  CHECK_TEXT(lk_ws_output(&b.ws), "\x88\x09\x03\xf4restart");
  CHECK(lk_ws_is_closed(&b.ws));
  bench_deinit(&b);
}

/* Goal: a pong that had to wait for room does not come behind our Close. */
TEST(nothing_follows_our_close) {
  bench b;
  bench_init(&b, &server);
  for (int i = 0; i < 200; i++) add_frame(&b.in, 0x89, LK_LIT("a ping too many"));
  feed_cut(&b, 0);
  CHECK_COVERED(ws_pong_had_to_wait);
  CHECK_OK(lk_ws_close(&b.ws, 0, 1000, LK_LIT("")));
  CHECK(lk_slice_ends_with(lk_ws_output(&b.ws), LK_LIT("\x88\x02\x03\xe8")));
  lk_ws_consume(&b.ws, lk_ws_output(&b.ws).len);
  feed(&b, LK_LIT("\x89\x80" KEY));
  CHECK_U64(lk_ws_output(&b.ws).len, 0);
  bench_deinit(&b);
}

TEST(an_error_after_our_close_sends_no_second_one) {
  bench b;
  bench_init(&b, &server);
  CHECK_OK(lk_ws_close(&b.ws, 0, 1000, LK_LIT("")));
  feed(&b, LK_LIT("\xff"));
  CHECK_ERR(b.err, LK_ERR_WS_PROTOCOL);
  CHECK_TEXT(lk_ws_output(&b.ws), "\x88\x02\x03\xe8");
  CHECK_TEXT(lk_buf_slice(&b.log), "END1002: ");
  bench_deinit(&b);
}

TEST(a_lost_connection_ends_once) {
  bench b;
  bench_init(&b, &server);
  lk_ws_lost(&b.ws);
  log_events(&b);
  lk_ws_lost(&b.ws);
  log_events(&b);
  CHECK_TEXT(lk_buf_slice(&b.log), "END1006: ");
  CHECK(lk_ws_is_closed(&b.ws) && lk_ws_is_expired(&b.ws));
  bench_deinit(&b);
  bench_init(&b, &server);
  add_close(&b.in, 1000, LK_LIT("bye"));
  feed_cut(&b, 0);
  lk_ws_lost(&b.ws);
  log_events(&b);
  CHECK_TEXT(lk_buf_slice(&b.log), "end1000:bye ");
  bench_deinit(&b);
}

TEST(our_own_mistakes_in_a_close_are_assertions) {
  bench b;
  bench_init(&b, &server);
  CHECK_PANICS(CHECK_OK(lk_ws_close(&b.ws, 0, 1005, LK_LIT(""))));
  CHECK_PANICS(CHECK_OK(lk_ws_close(&b.ws, 0, 0, LK_LIT(""))));
  uint8_t reason[LK_WS_REASON_MAX + 1] = { 0 };
  CHECK_PANICS(CHECK_OK(lk_ws_close(&b.ws, 0, 1000, lk_slice_of(reason, sizeof reason))));
  CHECK_U64(lk_ws_output(&b.ws).len, 0);
  CHECK_OK(lk_ws_close(&b.ws, 0, 1000, lk_slice_of(reason, LK_WS_REASON_MAX)));
  bench_deinit(&b);
}

/* ---- limits ---- */

TEST(a_message_may_have_exactly_the_limit_in_one_frame_or_many) {
  static const char text[] = "0123456789";
  for (size_t len = 0; len <= 10; len++) {
    for (size_t split = 0; split <= len; split++) {
      bench b;
      bench_init(&b, &server);
      b.limits.ws_message_bytes = 7;
      lk_ws_init(&b.ws, test_alloc(), &b.limits, &server, 0);
      add_frame(&b.in, 0x01, lk_slice_of(text, split));
      add_frame(&b.in, 0x80, lk_slice_of(text + split, len - split));
      feed_cut(&b, b.in.len + 1);
      CHECK_ERR(b.err, len > 7 ? LK_ERR_TOO_BIG : LK_OK);
      CHECK_U64(b.log.len, len > 7 ? 9 : len + 3); /* "END1009: " or "t:... " */
      bench_deinit(&b);
    }
  }
}

/* Goal: the length of a frame is not believed: nothing is allocated for bytes that did not come,
 * and a refused length allocates nothing but the Close. */
TEST(a_claimed_length_allocates_nothing) {
  bench b;
  bench_init(&b, &server);
  feed(&b, LK_LIT("\x82\xff\x00\x00\x00\x00\x00\x10\x00\x00" KEY));
  CHECK_OK(b.err);
  CHECK(b.ws.message.ptr == NULL);
  feed(&b, LK_LIT("x"));
  CHECK(b.ws.message.cap < 100);
  bench_deinit(&b);
  bench_init(&b, &server);
  feed(&b, LK_LIT("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff"));
  CHECK_ERR(b.err, LK_ERR_TOO_BIG);
  CHECK(b.ws.message.ptr == NULL && b.ws.control == NULL && b.ws.output.cap < 100);
  bench_deinit(&b);
}

/* Goal: fragments of one byte are cheap and are not counted; empty ones are. */
TEST(fragments_are_bounded_by_bytes_and_empty_ones_by_count) {
  bench b;
  lk_ws_event event;
  bench_init(&b, &server);
  add_frame(&b.in, 0x02, LK_LIT("x"));
  for (int i = 0; i < 4000; i++) add_frame(&b.in, 0x00, LK_LIT("y"));
  for (int i = 0; i < LK_WS_EMPTY_FRAGMENTS_MAX; i++) add_frame(&b.in, 0x00, LK_LIT(""));
  add_frame(&b.in, 0x80, LK_LIT("z"));
  lk_slice in = lk_buf_slice(&b.in);
  CHECK_OK(lk_ws_feed(&b.ws, 0, &in));
  CHECK(lk_ws_poll(&b.ws, &event));
  CHECK_U64(event.payload.len, 4002);
  CHECK(b.ws.message.cap <= 2 * 4002);
  lk_buf_truncate(&b.in, 0);
  add_frame(&b.in, 0x02, LK_LIT(""));
  for (int i = 1; i < LK_WS_EMPTY_FRAGMENTS_MAX; i++) add_frame(&b.in, 0x00, LK_LIT(""));
  feed_cut(&b, 0);
  CHECK_OK(b.err);
  feed(&b, LK_LIT("\x00\x80" KEY));
  CHECK_ERR(b.err, LK_ERR_LIMIT);
  CHECK_TEXT(lk_buf_slice(&b.log), "END1008: ");
  CHECK_TEXT(lk_ws_output(&b.ws), "\x88\x02\x03\xf0");
  bench_deinit(&b);
}

/* Goal: a message that is too long is read to its end, and costs no more memory than its beginning.
 * Method: four times the limit, in one frame and in fragments with a ping between, fed in pieces; what is allocated is
 * counted. */
TEST(of_a_message_beyond_the_limit_the_beginning_is_kept_where_the_host_wants_it) {
  enum { LIMIT = 20000, LONG = 80000 };
  static uint8_t text[LONG + 1];
  static const size_t pieces[] = { LONG, 1000, 15000, 1 };
  memset(text, 'x', sizeof text);
  memcpy(text, "beginning", 9);
  for (size_t i = 0; i < 4; i++) {
    lk_limits limits = lk_limits_default();
    lk_budget counted;
    lk_ws ws;
    lk_ws_event event;
    lk_buf in;
    lk_ws_options options = server;
    options.long_bytes = LONG;
    limits.ws_message_bytes = LIMIT;
    lk_budget_init(&counted, test_alloc(), SIZE_MAX);
    lk_buf_init(&in, test_alloc(), 1u << 20);
    lk_ws_init(&ws, &counted.alloc, &limits, &options, 0);
    lk_slice piece;
    for (size_t at = 0; at < LONG; at += piece.len) {
      size_t len = pieces[i] == 1 && at >= 9 ? LONG
                                             : pieces[i]; /* a few small ones, then the rest */
      piece = lk_slice_first(lk_slice_of(text + at, LONG - at), len);
      bool is_last = at + piece.len == LONG;
      add_frame(&in, (uint8_t)((is_last ? 0x80 : 0) | (at == 0 ? 1 : 0)), piece);
      if (at == 0 && !is_last) add_frame(&in, 0x89, LK_LIT("p"));
    }
    add_frame(&in, 0x81, LK_LIT("next"));
    size_t most = 0, messages = 0;
    for (lk_slice rest = lk_buf_slice(&in); rest.len > 0;) {
      piece = lk_slice_first(rest, 777);
      rest = lk_slice_skip(rest, piece.len);
      while (piece.len > 0) {
        CHECK_OK(lk_ws_feed(&ws, 0, &piece));
        most = lk_max_size(most, counted.used);
        while (lk_ws_poll(&ws, &event)) {
          CHECK(event.kind == LK_WS_MESSAGE && event.text);
          if (messages++ == 0) {
            CHECK_U64(event.payload.len + event.dropped, LONG);
            CHECK_U64(event.payload.len, LK_WS_BEGINNING_BYTES);
            CHECK(lk_slice_starts_with(event.payload, LK_LIT("beginning")));
          } else {
            CHECK_U64(event.dropped, 0);
            CHECK_TEXT(event.payload, "next");
          }
        }
      }
    }
    CHECK_U64(messages, 2);
    test_note("%zu", most);
    CHECK(most < (pieces[i] == LONG ? 12000
                                    : 40000)); /* more where it was not known to be long at first */
    lk_buf_deinit(&in);
    lk_ws_deinit(&ws);
  }
}

TEST(a_message_beyond_all_limits_or_with_a_wrong_byte_in_what_is_dropped_is_refused) {
  static uint8_t text[40001];
  memset(text, 'x', sizeof text);
  lk_ws_options options = server;
  options.long_bytes = 40000;
  for (int i = 0; i < 4; i++) {
    bench b;
    bench_init(&b, &options);
    b.limits.ws_message_bytes = 10000;
    text[30000] = i == 2 ? 0xff : 'x';
    if (i == 1) add_frame(&b.in, 0x01, lk_slice_of(text, 39999));
    add_frame(&b.in, i == 1 ? 0x80 : 0x81, lk_slice_of(text, i == 0 ? 40001 : i == 1 ? 2 : 40000));
    feed_cut(&b, 5000);
    CHECK_ERR(b.err, i == 2 ? LK_ERR_UTF8 : i == 3 ? LK_OK : LK_ERR_TOO_BIG);
    bench_deinit(&b);
  }
}

TEST(a_slow_reader_is_noticed_and_control_frames_still_find_room) {
  bench b;
  bench_init(&b, &server);
  b.limits.ws_output_bytes = b.limits.ws_send_bytes = 20;
  lk_ws_init(&b.ws, test_alloc(), &b.limits, &server, 0);
  CHECK_ERR(lk_ws_send(&b.ws, LK_WS_TEXT, LK_LIT("0123456789012345678")), LK_ERR_LIMIT);
  CHECK_U64(lk_ws_output(&b.ws).len, 0);
  CHECK_OK(lk_ws_send(&b.ws, LK_WS_TEXT, LK_LIT("012345678901234567")));
  CHECK_ERR(lk_ws_send(&b.ws, LK_WS_TEXT, LK_LIT("")), LK_ERR_LIMIT);
  CHECK_ERR(lk_ws_send_ping(&b.ws, LK_LIT("")), LK_ERR_LIMIT);
  CHECK_ERR(lk_ws_send_frames(&b.ws, LK_LIT("x")), LK_ERR_LIMIT);
  CHECK_U64(lk_ws_output(&b.ws).len, 20);
  lk_ws_consume(&b.ws, 2);
  CHECK_OK(lk_ws_send(&b.ws, LK_WS_TEXT, LK_LIT("")));
  add_frame(&b.in, 0x89, LK_LIT("p"));
  feed_cut(&b, 0);
  CHECK_OK(lk_ws_close(&b.ws, 0, 1013, LK_LIT("slow")));
  CHECK_TEXT(lk_ws_output(&b.ws), "012345678901234567\x81\x00\x8a\x01p\x88\x06\x03\xf5slow");
  bench_deinit(&b);
}

TEST(a_message_longer_than_what_may_wait_goes_where_little_waits) {
  bench b;
  bench_init(&b, &server);
  b.limits.ws_output_bytes = 20;
  b.limits.ws_send_bytes = 32;
  lk_ws_init(&b.ws, test_alloc(), &b.limits, &server, 0);
  lk_slice text = LK_LIT("0123456789012345678901234567890");
  CHECK_ERR(lk_ws_send(&b.ws, LK_WS_TEXT, text), LK_ERR_LIMIT); /* a frame of 33 */
  text.len--;
  CHECK_OK(lk_ws_send(&b.ws, LK_WS_TEXT, text));
  CHECK_ERR(lk_ws_send(&b.ws, LK_WS_TEXT, LK_LIT("")), LK_ERR_LIMIT);
  lk_ws_consume(&b.ws, 32);
  CHECK_OK(lk_ws_send(&b.ws, LK_WS_TEXT, LK_LIT("012345678")));
  CHECK_ERR(lk_ws_send(&b.ws, LK_WS_TEXT, text),
            LK_ERR_LIMIT); /* eleven wait, which is more than half */
  lk_ws_consume(&b.ws, 1);
  CHECK_OK(lk_ws_send(&b.ws, LK_WS_TEXT, text));
  CHECK_U64(lk_ws_output(&b.ws).len, 42);
  bench_deinit(&b);
}

/* Goal: the output of a peer that pings and does not read cannot grow; once it reads, its newest
 * ping is answered, and later pings are answered one by one again. */
TEST(a_flood_of_pings_is_answered_within_bounds) {
  bench b;
  uint8_t payload[125] = { 0 };
  bench_init(&b, &server);
  for (uint8_t i = 0; i < 200; i++) {
    payload[124] = i;
    lk_buf_truncate(&b.in, 0);
    add_frame(&b.in, 0x89, lk_slice_of(payload, 125));
    feed_cut(&b, 50);
    CHECK_OK(b.err);
    CHECK(lk_ws_output(&b.ws).len <= LK_WS_PONG_BYTES_MAX);
  }
  CHECK_COVERED(ws_pong_had_to_wait);
  size_t flood = lk_ws_output(&b.ws).len;
  CHECK_U64(flood % 127, 0);
  CHECK(flood >= 2 * 127);
  CHECK_OK(lk_ws_send(&b.ws, LK_WS_TEXT, LK_LIT("data")));
  lk_ws_consume(&b.ws, flood - 1);
  CHECK_U64(lk_ws_output(&b.ws).len, 1 + 6);
  lk_ws_consume(&b.ws, 1); /* the last pong has gone: the waiting one takes its place */
  lk_slice out = lk_ws_output(&b.ws);
  CHECK_U64(out.len, 6 + 127);
  CHECK_U64(lk_slice_at(out, 6 + 126), 199);
  lk_ws_consume(&b.ws, out.len);
  for (uint8_t i = 0; i < 2; i++) {
    lk_buf_truncate(&b.in, 0);
    add_frame(&b.in, 0x89, lk_slice_of(&i, 1));
    feed_cut(&b, 0);
  }
  CHECK_TEXT(lk_ws_output(&b.ws), "\x8a\x01\x00\x8a\x01\x01");
  bench_deinit(&b);
}

/* Goal: reading the output in small pieces behind a writer keeps the buffer within twice its
 * limit, and moves few bytes. */
TEST(output_that_is_read_in_pieces_stays_bounded) {
  bench b;
  bench_init(&b, &server);
  b.limits.ws_output_bytes = 1000;
  lk_ws_init(&b.ws, test_alloc(), &b.limits, &server, 0);
  uint64_t written = 0, read = 0;
  for (int i = 0; i < 5000; i++) {
    uint8_t payload[8];
    lk_store_be64(payload, written);
    bool fits = lk_ws_output(&b.ws).len + 10 <= 1000;
    CHECK_ERR(lk_ws_send(&b.ws, LK_WS_BINARY, lk_slice_of(payload, 8)),
              fits ? LK_OK : LK_ERR_LIMIT);
    if (fits) written++;
    if (i % 3 == 0) continue;
    lk_slice out = lk_ws_output(&b.ws);
    if (out.len < 10) continue;
    CHECK_U64(lk_load_be64(out.ptr + 2), read++);
    lk_ws_consume(&b.ws, 10);
    CHECK(b.ws.output.cap <= 2 * (1000 + LK_WS_PONG_BYTES_MAX + 131));
  }
  CHECK(read > 3000 && written - read <= 100);
  bench_deinit(&b);
}

/* Goal: of somebody who stopped reading we hold little more than what waits, for there may be many of them. */
TEST(what_waits_for_a_reader_that_stopped_takes_little_more_than_it_is) {
  bench b;
  static uint8_t payload[1000];
  bench_init(&b, &server);
  b.limits.ws_output_bytes = 1 << 20;
  lk_ws_init(&b.ws, test_alloc(), &b.limits, &server, 0);
  for (uint32_t i = 0; i < 200; i++)
    CHECK_OK(lk_ws_send(&b.ws, LK_WS_BINARY, lk_slice_of(payload, sizeof payload)));
  lk_ws_consume(&b.ws, 90000); /* what the system took */
  while (lk_ws_send(&b.ws, LK_WS_BINARY, lk_slice_of(payload, sizeof payload)) == LK_OK) {
    size_t waiting = lk_ws_output(&b.ws).len;
    CHECK(waiting < 250000 || b.ws.output.cap <= waiting + waiting / 4);
  }
  CHECK(lk_ws_output(&b.ws).len > (1 << 20) - 1100);
  bench_deinit(&b);
}

TEST(a_quiet_connection_holds_no_memory_and_is_small) {
  bench b;
  bench_init(&b, &server);
  add_frame(&b.in, 0x81, LK_LIT("text"));
  add_frame(&b.in, 0x89, LK_LIT("ping"));
  feed_cut(&b, 0);
  lk_ws_consume(&b.ws, lk_ws_output(&b.ws).len);
  CHECK(b.ws.message.ptr == NULL && b.ws.output.ptr == NULL && b.ws.control == NULL);
  CHECK(sizeof(lk_ws) <= 300);
  lk_buf_truncate(&b.in, 0);
  add_frame(&b.in, 0x02, LK_LIT("a message that will not be finished"));
  for (int i = 0; i < 300; i++) add_frame(&b.in, 0x89, LK_LIT("a ping too many"));
  add_close(&b.in, 1000, LK_LIT("bye"));
  feed_cut(&b, 0);
  CHECK_TEXT(lk_slice_last(lk_buf_slice(&b.log), 12), "end1000:bye ");
  CHECK(b.ws.message.ptr == NULL && b.ws.control == NULL);
  lk_ws_deinit(&b.ws);
  bench_deinit(&b); /* twice */
  lk_ws zeroed = { 0 };
  lk_ws_deinit(&zeroed);
}

/* ---- sending ---- */

TEST(a_frame_that_was_encoded_once_is_the_frame_that_is_sent) {
  bench one, other;
  lk_buf frame;
  bench_init(&one, &server);
  bench_init(&other, &server);
  lk_buf_init(&frame, test_alloc(), 100);
  CHECK_OK(lk_ws_frame_encode(LK_WS_TEXT, LK_LIT("for all"), &frame));
  CHECK_OK(lk_ws_send_frames(&one.ws, lk_buf_slice(&frame)));
  CHECK_OK(lk_ws_send(&other.ws, LK_WS_TEXT, LK_LIT("for all")));
  CHECK_SLICE(lk_ws_output(&one.ws), lk_ws_output(&other.ws));
  uint8_t much[95] = { 0 };
  CHECK_ERR(lk_ws_frame_encode(LK_WS_BINARY, lk_slice_of(much, 95), &frame), LK_ERR_LIMIT);
  CHECK_U64(frame.len, 9);
  CHECK_OK(lk_buf_err(&frame));
  lk_buf_deinit(&frame);
  bench_deinit(&one);
  bench_deinit(&other);
}

/* Goal: a client's frames are masked, each with another key, that depends on its seed. */
TEST(a_client_masks_each_frame_with_another_key) {
  bench b[2];
  lk_ws_options seeded = client;
  lk_ws_mask mask = { { 1 }, 0 };
  seeded.mask = &mask;
  bench_init(&b[0], &client);
  bench_init(&b[1], &seeded);
  for (int i = 0; i < 2; i++) {
    CHECK_OK(lk_ws_send(&b[i].ws, LK_WS_TEXT, LK_LIT("Hello")));
    CHECK_OK(lk_ws_send_ping(&b[i].ws, LK_LIT("Hello")));
    CHECK_OK(lk_ws_close(&b[i].ws, 0, 1000, LK_LIT("")));
    lk_slice out = lk_ws_output(&b[i].ws);
    CHECK_U64(out.len, 11 + 11 + 8);
    CHECK(out.ptr[0] == 0x81 && out.ptr[1] == 0x85 && out.ptr[11] == 0x89 && out.ptr[12] == 0x85);
    CHECK(out.ptr[22] == 0x88 && out.ptr[23] == 0x82);
    CHECK(lk_load_be32(out.ptr + 2) != lk_load_be32(out.ptr + 13));
    bench to;
    bench_init(&to, &server);
    feed(&to, out);
    CHECK_TEXT(lk_buf_slice(&to.log), "t:Hello end1000: ");
    CHECK_TEXT(lk_ws_output(&to.ws), "\x8a\x05Hello\x88\x02\x03\xe8");
    bench_deinit(&to);
  }
  CHECK(lk_load_be32(lk_ws_output(&b[0].ws).ptr + 2) !=
        lk_load_be32(lk_ws_output(&b[1].ws).ptr + 2));
  bench_deinit(&b[0]);
  bench_deinit(&b[1]);
}

/* ---- time ---- */

TEST(silence_closes_the_connection_and_then_gives_it_up) {
  bench b;
  bench_init(&b, &server);
  CHECK_U64(lk_ws_deadline(&b.ws), 1000);
  lk_slice in = LK_LIT("\x8a\x80" KEY);
  CHECK_OK(lk_ws_feed(&b.ws, 700, &in));
  CHECK_U64(lk_ws_deadline(&b.ws), 1700);
  lk_ws_tick(&b.ws, 1699);
  CHECK(!lk_ws_is_closed(&b.ws));
  lk_ws_tick(&b.ws, 1700);
  CHECK_TEXT(lk_ws_output(&b.ws), "\x88\x02\x03\xe9");
  log_events(&b);
  CHECK_TEXT(lk_buf_slice(&b.log), "END1001: ");
  in = LK_LIT("\x8a\x80" KEY);
  CHECK_ERR(lk_ws_feed(&b.ws, 1701, &in), LK_ERR_TIMEOUT);
  CHECK_U64(lk_ws_deadline(&b.ws), 1900);
  lk_ws_tick(&b.ws, 1899);
  CHECK(!lk_ws_is_expired(&b.ws));
  lk_ws_tick(&b.ws, 1900);
  CHECK(lk_ws_is_expired(&b.ws));
  CHECK_U64(lk_ws_deadline(&b.ws), UINT64_MAX);
  bench_deinit(&b);
}

/* Goal: bytes that trickle are no sign of life, a long message that makes progress is. */
TEST(trickling_bytes_do_not_keep_a_connection_alive) {
  static uint8_t much[2 * LK_WS_PROGRESS_BYTES];
  bench b;
  bench_init(&b, &server);
  add_frame(&b.in, 0x82, lk_slice_of(much, LK_WS_PROGRESS_BYTES - 1));
  lk_buf_append(&b.in, LK_LIT("\x82\xff\x00\x00\x00\x00\x00\x10\x00\x00" KEY));
  feed_cut(&b, 0);
  for (uint64_t now = 100; now < 1000; now += 100) {
    lk_slice byte = lk_slice_of(much, 1);
    CHECK_OK(lk_ws_feed(&b.ws, now, &byte));
    CHECK_U64(lk_ws_deadline(&b.ws), 1000);
  }
  lk_slice in = lk_slice_of(much, LK_WS_PROGRESS_BYTES - 9);
  CHECK_OK(lk_ws_feed(&b.ws, 999, &in));
  CHECK_U64(lk_ws_deadline(&b.ws), 1999);
  bench_deinit(&b);
}

TEST(a_close_that_is_not_answered_is_given_up) {
  bench b;
  bench_init(&b, &server);
  CHECK_OK(lk_ws_close(&b.ws, 50, 1000, LK_LIT("")));
  CHECK_U64(lk_ws_deadline(&b.ws), 250);
  lk_slice in = LK_LIT("\x81\x80" KEY);
  CHECK_OK(lk_ws_feed(&b.ws, 240, &in)); /* other frames do not prolong it */
  CHECK_U64(lk_ws_deadline(&b.ws), 250);
  lk_ws_tick(&b.ws, 250);
  log_events(&b);
  CHECK_TEXT(lk_buf_slice(&b.log), "t: END1006: ");
  CHECK(lk_ws_is_expired(&b.ws));
  bench_deinit(&b);
}

/* ---- memory ---- */

/* Goal: without memory nothing is lost: feeding the rest again goes on where it stopped, and what
 * could not be queued was not queued.
 * Method: fail each allocation once and for good. A single failure may cost a Close frame or
 * delay a pong, never a message. */
TEST(memory_may_run_out_at_any_allocation) {
  FAULT_LOOP(faults, test_alloc()) {
    bench b;
    bench_init(&b, &server);
    lk_ws_init(&b.ws, faulty_alloc(&faults), &b.limits, &server, 0);
    add_frame(&b.in, 0x01, LK_LIT("frag"));
    add_frame(&b.in, 0x89, LK_LIT("ping"));
    add_frame(&b.in, 0x80, LK_LIT("ment"));
    add_close(&b.in, 1000, LK_LIT("bye"));
    lk_slice in = lk_buf_slice(&b.in);
    lk_err send = lk_ws_send(&b.ws, LK_WS_TEXT, LK_LIT("out"));
    CHECK(send == LK_OK || send == LK_ERR_NOMEM);
    CHECK_U64(lk_ws_output(&b.ws).len, send == LK_OK ? 5 : 0);
    uint32_t refusals = 0;
    while (in.len > 0 && refusals < 2) {
      b.err = lk_ws_feed(&b.ws, 0, &in);
      CHECK(b.err == LK_OK || b.err == LK_ERR_NOMEM);
      if (b.err != LK_OK) refusals++;
      log_events(&b);
    }
    if (!faults.lasting || !faults.hit) CHECK_TEXT(lk_buf_slice(&b.log), "t:fragment end1000:bye ");
    bench_deinit(&b);
  }
}

TEST(a_close_that_finds_no_memory_changes_nothing) {
  FAULT_LOOP(faults, test_alloc()) {
    bench b;
    bench_init(&b, &client);
    lk_ws_init(&b.ws, faulty_alloc(&faults), &b.limits, &client, 0);
    lk_err err = lk_ws_close(&b.ws, 7, 1000, LK_LIT("reason"));
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    CHECK(b.ws.state == (err == LK_OK ? LK_WS_CLOSING : LK_WS_OPEN));
    CHECK_U64(lk_ws_deadline(&b.ws), err == LK_OK ? 207 : 1000);
    CHECK_U64(lk_ws_output(&b.ws).len, err == LK_OK ? 6 + 8 : 0);
    if (err != LK_OK && !faults.lasting) CHECK_OK(lk_ws_close(&b.ws, 7, 1000, LK_LIT("reason")));
    bench_deinit(&b);
  }
}
