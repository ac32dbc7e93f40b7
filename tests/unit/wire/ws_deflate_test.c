/* Packed messages: the examples of RFC 7692, windows that stay or go, bombs, and what memory they take. */
#include "wire/ws_deflate.h"

#include "harness/test.h"
#include "platform/providers/deflate_zlib.h"
#include "wire/ws.h"

#define KEY "\x37\xfa\x21\x3d"

static const lk_ws_deflate_params takeover = { 0 };
static const lk_ws_deflate_params no_takeover = { .server_no_takeover = true,
                                                  .client_no_takeover = true };

/* The end under test, and what the other one sends and hears. */
typedef struct bench {
  lk_limits limits;
  lk_ws_deflate_policy policy;
  lk_ws_mask mask;
  lk_ws ws;
  lk_buf in;
  lk_buf log;
  lk_err err;
} bench;

static void bench_open(bench *b, lk_ws_role role, const lk_ws_deflate_params *params,
                       const lk_alloc *alloc) {
  lk_ws_options options = { .role = role, .mask = role == LK_WS_CLIENT ? &b->mask : NULL };
  *b = (bench){ .limits = lk_limits_default(),
                .policy = LK_WS_DEFLATE_POLICY_INIT(lk_deflate_zlib()) };
  b->policy.send_takeover = b->policy.receive_takeover = true;
  b->policy.packed_bytes_min = 1;
  lk_buf_init(&b->in, test_alloc(), 1u << 24);
  lk_buf_init(&b->log, test_alloc(), 1u << 24);
  if (params != NULL)
    b->err = lk_ws_deflate_open(alloc, &b->policy, params, role == LK_WS_SERVER, &options.deflate);
  lk_ws_init(&b->ws, alloc, &b->limits, &options, 0);
}

static void bench_init(bench *b, lk_ws_role role, const lk_ws_deflate_params *params) {
  bench_open(b, role, params, test_alloc());
  CHECK_OK(b->err);
}

static void bench_deinit(bench *b) {
  lk_ws_deinit(&b->ws);
  lk_buf_deinit(&b->in);
  lk_buf_deinit(&b->log);
}

/* A frame of a client; |first| is FIN, RSV and opcode. */
static void add_frame(lk_buf *to, uint8_t first, lk_slice payload) {
  static const uint8_t key[4] = { 0x37, 0xfa, 0x21, 0x3d };
  lk_buf_append_u8(to, first);
  if (payload.len < 126) {
    lk_buf_append_u8(to, (uint8_t)(0x80 | payload.len));
  } else {
    lk_buf_append_u8(to, 0xff);
    lk_buf_append_be64(to, payload.len);
    if (payload.len <= 0xffff) { /* the shortest form */
      lk_buf_truncate(to, to->len - 9);
      lk_buf_append_u8(to, 0xfe);
      lk_buf_append_be16(to, (uint16_t)payload.len);
    }
  }
  lk_buf_append(to, lk_slice_of(key, 4));
  for (size_t i = 0; i < payload.len; i++)
    lk_buf_append_u8(to, (uint8_t)(payload.ptr[i] ^ key[i & 3]));
  CHECK_OK(lk_buf_err(to));
}

/* |text| packed as one message without a window. */
static lk_buf packed(lk_slice text) {
  static const lk_deflate_options options = LK_DEFLATE_OPTIONS_INIT;
  const lk_deflate_provider *zlib = lk_deflate_zlib();
  lk_deflate_stream *s = NULL;
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1u << 24);
  CHECK_OK(zlib->deflate_open(test_alloc(), &options, &s));
  CHECK_OK(zlib->deflate_feed(s, text, LK_DEFLATE_SYNC, &out));
  lk_buf_truncate(&out, out.len - 4);
  zlib->deflate_close(s);
  return out;
}

/* |text| as a packed message in frames of |frame| bytes; |opcode| 1 or 2. */
static void add_packed(lk_buf *to, uint8_t opcode, lk_slice text, size_t frame) {
  lk_buf whole = packed(text);
  uint8_t first = opcode | 0x40;
  for (lk_slice rest = lk_buf_slice(&whole); rest.len > 0; first = 0) {
    lk_slice piece = lk_slice_first(rest, frame);
    rest = lk_slice_skip(rest, piece.len);
    add_frame(to, rest.len == 0 ? first | 0x80 : first, piece);
  }
  lk_buf_deinit(&whole);
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

static void feed(bench *b, lk_slice piece) {
  do {
    b->err = lk_ws_feed(&b->ws, 0, &piece);
    log_events(b);
  } while (b->err == LK_OK && piece.len > 0);
}

static void feed_cut(bench *b, lk_slice in, size_t cut) {
  if (cut <= in.len) {
    feed(b, lk_slice_first(in, cut));
    if (b->err == LK_OK) feed(b, lk_slice_skip(in, cut));
    return;
  }
  for (; in.len > 0 && b->err == LK_OK; in = lk_slice_skip(in, 1)) feed(b, lk_slice_first(in, 1));
}

static void check_at(lk_ws_role role, const lk_ws_deflate_params *params, lk_slice in, size_t cut,
                     lk_err err, lk_slice events) {
  bench b;
  bench_init(&b, role, params);
  test_note("cut at %zu", cut);
  feed_cut(&b, in, cut);
  CHECK_ERR(b.err, err);
  CHECK_SLICE(lk_buf_slice(&b.log), events);
  bench_deinit(&b);
}

/* Goal: where the network cuts makes no difference. */
static void check_every_cut(lk_ws_role role, const lk_ws_deflate_params *params, lk_slice in,
                            lk_err err, lk_slice events) {
  for (size_t cut = 0; cut <= in.len + 1; cut++) check_at(role, params, in, cut, err, events);
}

/* ---- RFC 7692 §7.2.3 ---- */

TEST(examples_of_rfc_7692_are_understood) {
  static const lk_slice hellos[] = {
    LK_LIT_INIT("\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"),                 /* one block */
    LK_LIT_INIT("\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00"),         /* fragments */
    LK_LIT_INIT("\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), /* stored */
    LK_LIT_INIT("\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),             /* BFINAL */
    LK_LIT_INIT("\xc1\x07\xf3\x48\xcd\xc9\xc9\x07\x00"),                 /* nothing behind it */
    LK_LIT_INIT("\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), /* two blocks */
    LK_LIT_INIT("\x81\x05Hello"),                                                /* as it is */
    LK_LIT_INIT("\x41\x03\xf2\x48\xcd\x89\x02hi\x00\x00\x00\x04\xc9\xc9\x07\x00\x80\x00"),
  };
  for (size_t i = 0; i < sizeof hellos / sizeof *hellos; i++) {
    check_every_cut(LK_WS_CLIENT, &no_takeover, hellos[i], LK_OK, LK_LIT("t:Hello "));
    check_every_cut(LK_WS_CLIENT, &takeover, hellos[i], LK_OK, LK_LIT("t:Hello "));
  }
  check_every_cut(LK_WS_CLIENT, &takeover, LK_LIT("\xc1\x01\x00\xc2\x01\x00\xc1\x00"), LK_OK,
                  LK_LIT("t: b: t: "));
  check_every_cut(LK_WS_SERVER, &takeover, LK_LIT("\xc1\x87" KEY "\xc5\xb2\xec\xf4\xfe\xfd\x21"),
                  LK_OK, LK_LIT("t:Hello "));
}

/* §7.2.3.2 and §7.2.3.4: the second message refers to the first, also behind a last block. */
TEST(a_window_stays_where_that_was_agreed_on) {
#define SECOND "\xc1\x05\xf2\x00\x11\x00\x00"
  static const lk_slice firsts[] = {
    LK_LIT_INIT("\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00" SECOND),
    LK_LIT_INIT("\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00" SECOND),
    LK_LIT_INIT("\xc1\x07\xf3\x48\xcd\xc9\xc9\x07\x00\x81\x02hi" SECOND),
  };
  for (size_t i = 0; i < 3; i++) {
    lk_slice events = i < 2 ? LK_LIT("t:Hello t:Hello ") : LK_LIT("t:Hello t:hi t:Hello ");
    lk_slice failed = i < 2 ? LK_LIT("t:Hello END1007: ") : LK_LIT("t:Hello t:hi END1007: ");
    check_every_cut(LK_WS_CLIENT, &takeover, firsts[i], LK_OK, events);
    check_every_cut(LK_WS_CLIENT, &no_takeover, firsts[i], LK_ERR_CORRUPT, failed);
  }
  CHECK_COVERED(ws_deflate_went_on_behind_a_last_block);
}

/* Goal: without takeover a message stands alone also where the host never polls to the end, so that
 * nothing is given back in between. */
TEST(a_window_goes_with_its_message_though_the_next_one_follows_at_once) {
  for (int refers = 0; refers < 2; refers++) {
    bench b;
    lk_ws_event event;
    lk_slice in = refers ? LK_LIT("\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00" SECOND)
                         : LK_LIT("\xc1\x07\xf3\x48\xcd\xc9\xc9\x07\x00"
                                  "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00");
    bench_init(&b, LK_WS_CLIENT, &no_takeover);
    CHECK_OK(lk_ws_feed(&b.ws, 0, &in));
    CHECK(lk_ws_poll(&b.ws, &event) && event.kind == LK_WS_MESSAGE);
    CHECK_ERR(lk_ws_feed(&b.ws, 0, &in), refers ? LK_ERR_CORRUPT : LK_OK);
    CHECK(lk_ws_poll(&b.ws, &event));
    CHECK(event.kind == (refers ? LK_WS_ENDED : LK_WS_MESSAGE));
    CHECK_SLICE(event.payload, refers ? LK_SLICE_EMPTY : LK_LIT("Hello"));
    bench_deinit(&b);
  }
}

TEST(reserved_bits_that_mean_nothing_are_refused) {
  static const uint8_t bad[] = { 0xa1, 0x91, 0xb1, 0xe1, 0xd1, 0xf1, 0xc8, 0xc9, 0xca, 0xa9 };
  for (size_t i = 0; i < sizeof bad; i++) {
    bench b;
    bench_init(&b, LK_WS_SERVER, &takeover);
    test_note("first byte %02x", bad[i]);
    feed(&b, lk_slice_of(&bad[i], 1));
    CHECK_ERR(b.err, LK_ERR_WS_PROTOCOL);
    CHECK_TEXT(lk_ws_output(&b.ws), "\x88\x02\x03\xea");
    bench_deinit(&b);
  }
  check_every_cut(LK_WS_CLIENT, &takeover, LK_LIT("\x41\x03\xf2\x48\xcd\xc0\x04\xc9\xc9\x07\x00"),
                  LK_ERR_WS_PROTOCOL, LK_LIT("END1002: "));
  check_every_cut(LK_WS_CLIENT, &takeover, LK_LIT("\x01\x01x\xc0\x01\x00"), LK_ERR_WS_PROTOCOL,
                  LK_LIT("END1002: "));
  check_every_cut(LK_WS_CLIENT, NULL, LK_LIT("\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"),
                  LK_ERR_WS_PROTOCOL, LK_LIT("END1002: "));
}

TEST(what_cannot_be_unpacked_is_refused) {
  static const lk_slice bad[] = {
    LK_LIT_INIT("\xc2\x01\x06"),                 /* a block of the fourth kind */
    LK_LIT_INIT("\xc2\x05\x00\x05\x00\xfb\xff"), /* lengths that do not agree */
    LK_LIT_INIT("\xc2\x05\xf2\x00\x11\x00\x00"), /* refers to what never was */
    LK_LIT_INIT("\x42\x01\xf2\x00\x01\x00\x80\x03\x11\x00\x00"),
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    check_every_cut(LK_WS_CLIENT, &takeover, bad[i], LK_ERR_CORRUPT, LK_LIT("END1007: "));
}

/* ---- text ---- */

TEST(text_is_judged_as_it_comes_out) {
  bench b;
  bench_init(&b, LK_WS_SERVER, &takeover);
  add_packed(&b.in, 1, LK_LIT("gr\xC3\xBC\xC3\x9F Gott"), 4);
  add_packed(&b.in, 2, LK_LIT("\xff\xfe\xfd"), 100);
  add_packed(&b.in, 1, LK_LIT("caf\xC3"), 100);
  lk_buf in = b.in;
  check_every_cut(LK_WS_SERVER, &no_takeover, lk_buf_slice(&in), LK_ERR_UTF8,
                  LK_LIT("t:gr\xC3\xBC\xC3\x9F Gott b:\xff\xfe\xfd END1007: "));
  bench_deinit(&b);
}

/* Goal: refused at the byte, not at the end. Method: a stored block whose length promises more. */
TEST(text_is_refused_at_the_byte_that_is_wrong) {
  bench b;
  lk_slice frame = LK_LIT("\xc1\x14\x00\x0f\x00\xf0\xff"
                          "abc\xff"
                          "defghijklmn");
  bench_init(&b, LK_WS_CLIENT, &takeover);
  for (size_t i = 0; i < 10; i++) {
    feed(&b, lk_slice_of(frame.ptr + i, 1));
    CHECK_OK(b.err);
  }
  feed(&b, lk_slice_of(frame.ptr + 10, 1));
  CHECK_ERR(b.err, LK_ERR_UTF8);
  CHECK_TEXT(lk_buf_slice(&b.log), "END1007: ");
  bench_deinit(&b);
}

/* ---- limits ---- */

/* |len| zeros with |head| in front, as a binary or text message in frames of |frame| bytes. */
static lk_buf zeros_behind(lk_slice head, size_t len, uint8_t opcode, size_t frame) {
  lk_buf text, frames;
  lk_buf_init(&text, test_alloc(), 1u << 24);
  lk_buf_init(&frames, test_alloc(), 1u << 24);
  lk_buf_append(&text, head);
  memset(lk_buf_extend(&text, len), 0, len);
  add_packed(&frames, opcode, lk_buf_slice(&text), frame);
  lk_buf_deinit(&text);
  return frames;
}

static void check_zeros(size_t len, uint32_t message_max, lk_err err) {
  for (size_t frame = 7; frame < 100000; frame *= 31) {
    bench b;
    lk_buf frames = zeros_behind(LK_SLICE_EMPTY, len, 2, frame);
    bench_init(&b, LK_WS_SERVER, &takeover);
    b.limits.ws_message_bytes = message_max;
    b.ws.message.max = message_max;
    test_note("%zu zeros of %u in frames of %zu", len, message_max, frame);
    feed(&b, lk_buf_slice(&frames));
    CHECK_ERR(b.err, err);
    if (err == LK_OK) CHECK_U64(b.log.len, 2 + len + 1);
    else CHECK_TEXT(lk_buf_slice(&b.log), "END1009: ");
    bench_deinit(&b);
    lk_buf_deinit(&frames);
  }
}

TEST(a_packed_message_may_become_exactly_the_limit) {
  check_zeros(10000, 10000, LK_OK);
  check_zeros(10001, 10000, LK_ERR_TOO_BIG);
  check_zeros(9999999, 10000, LK_ERR_TOO_BIG);
}

/* Zeros come in a thousandth of their bytes. */
TEST(a_packed_message_may_become_64_kb_or_a_hundred_times_what_came) {
  check_zeros(65536, 1u << 24, LK_OK);
  check_zeros(65537, 1u << 24, LK_ERR_TOO_BIG);
  check_zeros(1u << 23, 1u << 24, LK_ERR_TOO_BIG);
}

/* Goal: the ratio counts all bytes that came. Method: noise in front of zeros, which so pass. */
TEST(bytes_that_came_before_count_for_the_ratio) {
  enum { NOISE = 3000 };
  static uint8_t noise[NOISE];
  lk_prng prng;
  lk_prng_init(&prng, 3);
  lk_prng_fill(&prng, noise, NOISE);
  bench b;
  lk_buf frames = zeros_behind(lk_slice_of(noise, NOISE), 290000, 2, 100000);
  bench_init(&b, LK_WS_SERVER, &takeover);
  feed(&b, lk_buf_slice(&frames));
  CHECK_OK(b.err);
  CHECK_U64(b.log.len, 2 + NOISE + 290000 + 1);
  lk_buf_deinit(&frames);
  frames = zeros_behind(LK_SLICE_EMPTY, 65537, 2, 100000);
  feed(&b, lk_buf_slice(&frames)); /* but not for the next message */
  CHECK_ERR(b.err, LK_ERR_TOO_BIG);
  bench_deinit(&b);
  lk_buf_deinit(&frames);
}

/* Goal: bytes that come later do not help, also where they come in the same piece.
 * Method: a megabyte of zeros in a kilobyte, and in the same frame as much that is not packed. */
TEST(bytes_that_come_behind_do_not_count_for_the_ratio) {
  static const lk_slice stored = LK_LIT_INIT("\x00\xa0\x0f\x5f\xf0"); /* 4000 bytes follow */
  static const uint8_t zeros[100000];
  static const size_t cuts[] = { 0, 100, 600, 2000, SIZE_MAX };
  lk_buf text = packed(lk_slice_of(zeros, sizeof zeros)), frames;
  lk_buf_append(&text, LK_LIT("\x00\x00\xff\xff"));
  lk_buf_append(&text, stored);
  lk_buf_append(&text, lk_slice_of(zeros, 4000));
  CHECK_OK(lk_buf_append_u8(&text, 0));
  lk_buf_init(&frames, test_alloc(), 1u << 16);
  add_frame(&frames, 0xc2, lk_buf_slice(&text));
  for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++)
    check_at(LK_WS_SERVER, &takeover, lk_buf_slice(&frames), cuts[i], LK_ERR_TOO_BIG,
             LK_LIT("END1009: "));
  lk_buf_deinit(&text);
  lk_buf_deinit(&frames);
}

/* Goal: a bomb costs memory as its cap allows, not as it claims.
 * Method: 8 MB of zeros in 8 KB; the buffer of the message and its growth. */
TEST(a_bomb_is_refused_before_it_is_made) {
  bench b;
  lk_buf frames = zeros_behind(LK_SLICE_EMPTY, 8u << 20, 2, 100000);
  lk_slice in = lk_buf_slice(&frames);
  size_t most = 0;
  CHECK(in.len < 10000);
  bench_init(&b, LK_WS_SERVER, &no_takeover);
  for (; in.len > 0 && b.err == LK_OK; in = lk_slice_skip(in, 16)) {
    lk_slice piece = lk_slice_first(in, 16);
    b.err = lk_ws_feed(&b.ws, 0, &piece);
    most = lk_max_size(most, b.ws.message.cap);
  }
  CHECK_ERR(b.err, LK_ERR_TOO_BIG);
  CHECK(most <= 2 * 65536);
  log_events(&b);
  CHECK(b.ws.message.ptr == NULL && b.ws.options.deflate == NULL);
  bench_deinit(&b);
  lk_buf_deinit(&frames);
}

/* Goal: of two faults the first one counts, wherever the bytes are cut. */
TEST(bad_text_in_front_of_a_bomb_is_bad_text) {
  lk_buf bad = zeros_behind(LK_LIT("a\xff"), 200000, 1, 100);
  lk_buf good = zeros_behind(LK_LIT("a"), 200000, 1, 100);
  for (size_t cut = 0; cut <= bad.len + 1; cut++) {
    check_at(LK_WS_SERVER, &takeover, lk_buf_slice(&bad), cut, LK_ERR_UTF8, LK_LIT("END1007: "));
    check_at(LK_WS_SERVER, &takeover, lk_buf_slice(&good), cut, LK_ERR_TOO_BIG,
             LK_LIT("END1009: "));
  }
  lk_buf_deinit(&bad);
  lk_buf_deinit(&good);
}

TEST(a_length_that_a_packed_message_cannot_need_is_refused_from_the_header) {
  bench b;
  bench_init(&b, LK_WS_SERVER, &takeover);
  feed(&b, LK_LIT("\xc2\xff\x7f\xff\xff\xff\xff\xff\xff\xff"));
  CHECK_ERR(b.err, LK_ERR_TOO_BIG);
  CHECK(b.ws.message.ptr == NULL);
  bench_deinit(&b);
}

/* Goal: blocks of nothing end, too. Method: empty stored blocks in one frame after the other. */
TEST(a_message_that_becomes_nothing_is_bounded_by_what_came) {
  bench b;
  uint64_t taken = 0;
  bench_init(&b, LK_WS_CLIENT, &takeover);
  b.limits.ws_message_bytes = 10000;
  feed(&b, LK_LIT("\x42\x05\x00\x00\x00\xff\xff"));
  for (; b.err == LK_OK; taken += 5) feed(&b, LK_LIT("\x00\x05\x00\x00\x00\xff\xff"));
  CHECK_ERR(b.err, LK_ERR_TOO_BIG);
  CHECK(taken > 10000 && taken < 12000);
  bench_deinit(&b);
}

TEST(empty_fragments_of_a_packed_message_are_counted) {
  bench b;
  bench_init(&b, LK_WS_CLIENT, &takeover);
  feed(&b, LK_LIT("\x42\x05\x00\x00\x00\xff\xff"));
  for (int i = 0; i < LK_WS_EMPTY_FRAGMENTS_MAX; i++) feed(&b, LK_LIT("\x00\x00"));
  CHECK_OK(b.err);
  feed(&b, LK_LIT("\x00\x00"));
  CHECK_ERR(b.err, LK_ERR_LIMIT);
  bench_deinit(&b);
}

/* ---- sending ---- */

static bool next_is_packed(const bench *b) {
  lk_slice out = lk_ws_output(&b->ws);
  CHECK(out.len > 0);
  return (out.ptr[0] & 0x40) != 0;
}

/* Everything that |from| has to say. */
static void carry(bench *from, bench *to) {
  lk_slice out = lk_ws_output(&from->ws);
  feed(to, out);
  CHECK_OK(to->err);
  lk_ws_consume(&from->ws, out.len);
}

TEST(messages_are_packed_where_that_makes_them_shorter) {
  bench server, client;
  bench_init(&server, LK_WS_SERVER, &takeover);
  bench_init(&client, LK_WS_CLIENT, &takeover);
  server.policy.packed_bytes_min = 10;
  CHECK_OK(lk_ws_send(&server.ws, LK_WS_TEXT, LK_LIT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")));
  CHECK(next_is_packed(&server) && lk_ws_output(&server.ws).len < 10);
  carry(&server, &client);
  CHECK_OK(lk_ws_send(&server.ws, LK_WS_TEXT, LK_LIT("aaaaaaaaa"))); /* below the least */
  CHECK(!next_is_packed(&server));
  carry(&server, &client);
  CHECK_OK(lk_ws_send(&server.ws, LK_WS_BINARY, LK_LIT("0a8#kQ^z]1")));
  CHECK(!next_is_packed(&server)); /* what does not repeat gets longer */
  carry(&server, &client);
  CHECK_OK(lk_ws_send(&server.ws, LK_WS_BINARY, LK_SLICE_EMPTY));
  CHECK(!next_is_packed(&server));
  carry(&server, &client);
  CHECK_TEXT(lk_buf_slice(&client.log),
             "t:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa t:aaaaaaaaa b:0a8#kQ^z]1 b: ");
  bench_deinit(&server);
  bench_deinit(&client);
}

/* Goal: what was not sent is not referred to. Method: with a window that stays, a message that finds no
 * room, one that goes out as it is, and then the same texts again. */
TEST(a_packed_message_refers_only_to_what_was_sent) {
  bench server, client;
  lk_slice text = LK_LIT("the quick brown fox jumps over the lazy dog, the lazy dog");
  bench_init(&server, LK_WS_SERVER, &takeover);
  bench_init(&client, LK_WS_CLIENT, &takeover);
  CHECK_OK(lk_ws_send(&server.ws, LK_WS_TEXT, text));
  size_t first = lk_ws_output(&server.ws).len;
  carry(&server, &client);
  CHECK_OK(lk_ws_send(&server.ws, LK_WS_TEXT, text));
  CHECK(lk_ws_output(&server.ws).len < first / 2); /* the window is at work */
  carry(&server, &client);
  server.limits.ws_output_bytes = server.limits.ws_send_bytes = 5;
  lk_slice other = LK_LIT("0123456789 9876543210 0123456789 9876543210 0123456789 9876543210");
  CHECK_ERR(lk_ws_send(&server.ws, LK_WS_TEXT, other), LK_ERR_LIMIT);
  CHECK_U64(lk_ws_output(&server.ws).len, 0);
  server.limits.ws_output_bytes = 1000;
  CHECK_OK(lk_ws_send(&server.ws, LK_WS_TEXT, other));
  carry(&server, &client);
  CHECK(lk_slice_ends_with(lk_slice_first(lk_buf_slice(&client.log), client.log.len - 1), other));
  CHECK_OK(lk_ws_send(&server.ws, LK_WS_TEXT, LK_LIT("8f#Q]z@k!"))); /* as it is */
  CHECK(!next_is_packed(&server));
  carry(&server, &client);
  CHECK_OK(lk_ws_send(&server.ws, LK_WS_TEXT, LK_LIT("8f#Q]z@k!8f#Q]z@k!8f#Q]z@k!8f#Q]z@k!")));
  CHECK(next_is_packed(&server));
  carry(&server, &client);
  CHECK(lk_slice_ends_with(lk_buf_slice(&client.log),
                           LK_LIT("t:8f#Q]z@k!8f#Q]z@k!8f#Q]z@k!8f#Q]z@k! ")));
  bench_deinit(&server);
  bench_deinit(&client);
}

TEST(each_end_sends_with_its_own_window_and_no_larger_one_than_it_likes) {
  lk_ws_deflate_params params = { .server_bits = 10, .client_bits = 12 };
  lk_ws_deflate_policy policy = LK_WS_DEFLATE_POLICY_INIT(lk_deflate_zlib());
  lk_ws_deflate *server = NULL, *client = NULL;
  CHECK_OK(lk_ws_deflate_open(test_alloc(), &policy, &params, true, &server));
  policy.window_bits_max = 11;
  CHECK_OK(lk_ws_deflate_open(test_alloc(), &policy, &params, false, &client));
  CHECK(server->send_bits == 10 && server->receive_bits == 12);
  CHECK(client->send_bits == 11 && client->receive_bits == 10);
  lk_ws_deflate_close(server);
  lk_ws_deflate_close(client);
  lk_ws_deflate_close(NULL);
}

/* A client that was told 8 bits by another server: what we cannot make we do not send. */
TEST(a_window_that_is_too_small_to_be_made_is_not_used) {
  bench b;
  lk_ws_deflate_params params = { .client_bits = 8, .server_bits = 8 };
  bench_init(&b, LK_WS_CLIENT, &params);
  CHECK_OK(lk_ws_send(&b.ws, LK_WS_TEXT, LK_LIT("aaaaaaaaaaaaaaaaaaaaaaaaaaaa")));
  CHECK(!next_is_packed(&b));
  feed(&b, LK_LIT("\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"));
  CHECK_TEXT(lk_buf_slice(&b.log), "t:Hello ");
  bench_deinit(&b);
}

/* ---- memory ---- */

TEST(a_quiet_connection_keeps_a_window_only_where_that_was_agreed_on) {
  CHECK(sizeof(lk_ws) <= 256);
  CHECK(sizeof(lk_ws_deflate) <= 64);
  for (int keeps = 0; keeps < 2; keeps++) {
    bench b;
    bench_init(&b, LK_WS_SERVER, keeps ? &takeover : &no_takeover);
    const lk_ws_deflate *deflate = b.ws.options.deflate;
    add_packed(&b.in, 1, LK_LIT("Hello Hello Hello"), 100);
    feed(&b, lk_buf_slice(&b.in));
    CHECK_OK(lk_ws_send(&b.ws, LK_WS_TEXT, LK_LIT("Hello Hello Hello Hello Hello")));
    CHECK(next_is_packed(&b));
    CHECK((deflate->inflate != NULL) == keeps && (deflate->deflate != NULL) == keeps);
    lk_ws_consume(&b.ws, lk_ws_output(&b.ws).len);
    CHECK(b.ws.message.ptr == NULL && b.ws.output.ptr == NULL);
    CHECK_OK(lk_ws_close(&b.ws, 0, 1000, LK_SLICE_EMPTY));
    lk_ws_lost(&b.ws);
    log_events(&b);
    CHECK(b.ws.options.deflate == NULL); /* nothing is left after the end */
    bench_deinit(&b);
    lk_ws_deinit(&b.ws); /* twice */
  }
}

/* Goal: without memory a message is lost only with its connection, and a message that we send is never
 * lost for want of a compressor. Method: fail each allocation. */
TEST(memory_may_run_out_at_any_allocation_of_a_packed_message) {
  FAULT_LOOP(faults, test_alloc()) {
    bench b;
    bench_open(&b, LK_WS_SERVER, &takeover, faulty_alloc(&faults));
    CHECK(b.err == LK_OK || b.err == LK_ERR_NOMEM);
    if (b.err == LK_OK) {
      add_packed(&b.in, 1, LK_LIT("frag frag frag ment"), 5);
      lk_slice in = lk_buf_slice(&b.in);
      lk_err send = lk_ws_send(&b.ws, LK_WS_TEXT, LK_LIT("out out out out out out out"));
      CHECK(send == LK_OK || (send == LK_ERR_NOMEM && faults.hit));
      CHECK((lk_ws_output(&b.ws).len > 0) == (send == LK_OK));
      for (uint32_t refusals = 0; in.len > 0 && refusals < 2;) {
        b.err = lk_ws_feed(&b.ws, 0, &in);
        CHECK(b.err == LK_OK || b.err == LK_ERR_NOMEM);
        if (b.err != LK_OK) refusals++;
        log_events(&b);
      }
      bool whole = lk_slice_equal(lk_buf_slice(&b.log), LK_LIT("t:frag frag frag ment "));
      bool ended = lk_slice_equal(lk_buf_slice(&b.log), LK_LIT("END1011: "));
      CHECK(whole || (faults.hit && (ended || faults.lasting)));
      CHECK(!ended || lk_ws_is_closed(&b.ws));
    }
    bench_deinit(&b);
  }
}

/* ---- properties ---- */

static lk_ws_deflate_params gen_params(lk_gen *g) {
  return (lk_ws_deflate_params){ .server_no_takeover = gen_bool(g),
                                 .client_no_takeover = gen_bool(g),
                                 .server_bits = (uint8_t)gen_range(g, 9, 15),
                                 .client_bits = (uint8_t)gen_range(g, 8, 15) };
}

/* Goal: whatever was agreed on, messages arrive as they were sent, in both directions.
 * Method: random messages that compress a little, carried in random pieces, with pings between. */
PROPERTY_SLOW(packed_messages_arrive_as_they_were_sent, 10) {
  bench ends[2];
  lk_buf sent[2];
  lk_ws_deflate_params params = gen_params(g);
  for (int i = 0; i < 2; i++) {
    bench_init(&ends[i], i == 0 ? LK_WS_SERVER : LK_WS_CLIENT, &params);
    ends[i].policy.level = (uint8_t)gen_below(g, 10);
    lk_buf_init(&sent[i], test_alloc(), 1u << 20);
  }
  for (uint32_t n = gen_below(g, 12); n > 0; n--) {
    uint8_t bytes[700];
    size_t i = gen_below(g, 2), len = gen_bytes(g, bytes, sizeof bytes);
    for (size_t k = 0; k < len; k++) bytes[k] = 'a' + (bytes[k] & 7);
    lk_ws_kind kind = gen_bool(g) ? LK_WS_TEXT : LK_WS_BINARY;
    CHECK_OK(lk_ws_send(&ends[i].ws, kind, lk_slice_of(bytes, len)));
    lk_buf_append(&sent[i], kind == LK_WS_TEXT ? LK_LIT("t:") : LK_LIT("b:"));
    lk_buf_append(&sent[i], lk_slice_of(bytes, len));
    lk_buf_append_u8(&sent[i], ' ');
    if (gen_bool(g)) CHECK_OK(lk_ws_send_ping(&ends[i].ws, LK_LIT("ping")));
    while (lk_ws_output(&ends[i].ws).len > 0) {
      lk_slice piece = lk_slice_first(lk_ws_output(&ends[i].ws), 1 + gen_below(g, 300));
      feed(&ends[1 - i], piece);
      CHECK_OK(ends[1 - i].err);
      lk_ws_consume(&ends[i].ws, piece.len);
    }
  }
  for (int i = 0; i < 2; i++) CHECK_SLICE(lk_buf_slice(&ends[i].log), lk_buf_slice(&sent[1 - i]));
  for (int i = 0; i < 2; i++) {
    bench_deinit(&ends[i]);
    lk_buf_deinit(&sent[i]);
  }
}
