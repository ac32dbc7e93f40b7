/* zlib behind codec/deflate.h: the same wherever input is cut, and never more than the cap. */
#include "harness/test.h"
#include "platform/providers/deflate_zlib.h"

static const lk_deflate_options raw = LK_DEFLATE_OPTIONS_INIT;

static lk_buf new_buf(size_t max) {
  lk_buf buf;
  lk_buf_init(&buf, test_alloc(), max);
  return buf;
}

static void compress(lk_slice text, const lk_deflate_options *options, lk_deflate_flush flush,
                     lk_buf *out) {
  const lk_deflate_provider *zlib = lk_deflate_zlib();
  lk_deflate_stream *s = NULL;
  CHECK_OK(zlib->deflate_open(test_alloc(), options, &s));
  CHECK_OK(zlib->deflate_feed(s, text, flush, out));
  zlib->deflate_close(s);
}

/* RFC 7692, 7.2.3.1: the message "Hello" in one block, its last four bytes put back. */
TEST(deflate_reads_the_example_of_rfc_7692) {
  const lk_deflate_provider *zlib = lk_deflate_zlib();
  lk_slice in = LK_LIT("\xF2\x48\xCD\xC9\xC9\x07\x00\x00\x00\xFF\xFF");
  lk_inflate_stream *s = NULL;
  lk_buf out = new_buf(100);
  bool ended = true;
  CHECK_OK(zlib->inflate_open(test_alloc(), LK_DEFLATE_RAW, 15, &s));
  CHECK_OK(zlib->inflate_feed(s, &in, 100, &out, &ended));
  CHECK_TEXT(lk_buf_slice(&out), "Hello");
  CHECK(!ended && in.len == 0);
  zlib->inflate_close(s);
  lk_buf_deinit(&out);
}

/* The window stays from message to message: the second "Hello" is a reference to the first. */
TEST(deflate_sync_keeps_the_window) {
  const lk_deflate_provider *zlib = lk_deflate_zlib();
  lk_deflate_stream *s = NULL;
  lk_buf out = new_buf(100);
  CHECK_OK(zlib->deflate_open(test_alloc(), &raw, &s));
  CHECK_OK(zlib->deflate_feed(s, LK_LIT("Hello"), LK_DEFLATE_SYNC, &out));
  CHECK_SLICE(lk_buf_slice(&out), LK_LIT("\xF2\x48\xCD\xC9\xC9\x07\x00\x00\x00\xFF\xFF"));
  lk_buf_truncate(&out, 0);
  CHECK_OK(zlib->deflate_feed(s, LK_LIT("Hello"), LK_DEFLATE_SYNC, &out));
  CHECK_SLICE(lk_buf_slice(&out), LK_LIT("\xF2\x00\x11\x00\x00\x00\x00\xFF\xFF"));
  lk_buf_truncate(&out, 0);
  zlib->deflate_reset(s);
  CHECK_OK(zlib->deflate_feed(s, LK_LIT("Hello"), LK_DEFLATE_SYNC, &out));
  CHECK_SLICE(lk_buf_slice(&out), LK_LIT("\xF2\x48\xCD\xC9\xC9\x07\x00\x00\x00\xFF\xFF"));
  zlib->deflate_close(s);
  lk_buf_deinit(&out);
}

/* Goal: a bomb is refused before it is made. Method: a megabyte of zeros, with a cap at, below
 * and above its size; the cap that fits must also see the end of the stream. */
TEST(inflate_never_makes_more_than_its_cap) {
  enum { LEN = 1 << 20 };
  static uint8_t zeros[LEN];
  static const size_t caps[] = { 0, 1, 4095, 4096, 4097, LEN - 1, LEN, LEN + 1 };
  const lk_deflate_provider *zlib = lk_deflate_zlib();
  lk_buf packed = new_buf(1u << 20);
  compress(lk_slice_of(zeros, LEN), &raw, LK_DEFLATE_FINISH, &packed);
  CHECK(packed.len < 2000);
  for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++) {
    lk_inflate_stream *s = NULL;
    lk_buf out = new_buf(2 * LEN);
    lk_slice in = lk_buf_slice(&packed);
    bool ended = false;
    test_note("cap %zu", caps[i]);
    lk_buf_append(&out, LK_LIT("before"));
    CHECK_OK(zlib->inflate_open(test_alloc(), LK_DEFLATE_RAW, 15, &s));
    lk_err want = caps[i] < LEN ? LK_ERR_TOO_BIG : LK_OK;
    CHECK_ERR(zlib->inflate_feed(s, &in, caps[i], &out, &ended), want);
    CHECK(out.cap <= 2 * (caps[i] + 4096 + 64));
    if (want == LK_OK) {
      CHECK(ended && in.len == 0);
      CHECK_U64(out.len, 6 + LEN);
    } else {
      CHECK_U64(out.len, 6 + caps[i]);
      CHECK_U64(in.len, packed.len);
      CHECK_ERR(zlib->inflate_feed(s, &in, LEN, &out, &ended), LK_ERR_TOO_BIG); /* stays failed */
      zlib->inflate_reset(s);
      lk_buf_truncate(&out, 6);
      CHECK_OK(zlib->inflate_feed(s, &in, LEN, &out, &ended));
      CHECK(ended);
    }
    zlib->inflate_close(s);
    lk_buf_deinit(&out);
  }
  lk_buf_deinit(&packed);
}

/* Goal: output that zlib still holds when all input is taken comes out in the same call.
 * Method: runs that end a little behind a step of the output, so that the last bytes of the input
 * stand for more than the room that is left. */
TEST(inflate_gives_all_that_its_input_stands_for) {
  enum { STEP = 4096, MORE = 300 };
  static uint8_t zeros[STEP + MORE];
  const lk_deflate_provider *zlib = lk_deflate_zlib();
  for (size_t len = STEP; len <= STEP + MORE; len += 7) {
    lk_inflate_stream *s = NULL;
    lk_buf packed = new_buf(1000), out = new_buf(STEP + MORE);
    bool ended = false;
    compress(lk_slice_of(zeros, len), &raw, LK_DEFLATE_FINISH, &packed);
    lk_slice in = lk_buf_slice(&packed);
    CHECK_OK(zlib->inflate_open(test_alloc(), LK_DEFLATE_RAW, 15, &s));
    CHECK_OK(zlib->inflate_feed(s, &in, len, &out, &ended));
    CHECK_U64(out.len, len);
    CHECK(ended);
    zlib->inflate_close(s);
    lk_buf_deinit(&packed);
    lk_buf_deinit(&out);
  }
}

/* Goal: compressed output of many steps comes out whole, with a flush as well as at the end. */
TEST(deflate_of_what_cannot_be_compressed_takes_many_steps) {
  enum { LEN = 20000 };
  static uint8_t noise[LEN];
  static const lk_deflate_flush flushes[] = { LK_DEFLATE_SYNC, LK_DEFLATE_FINISH };
  const lk_deflate_provider *zlib = lk_deflate_zlib();
  lk_prng prng;
  lk_prng_init(&prng, 1);
  lk_prng_fill(&prng, noise, LEN);
  for (int i = 0; i < 2; i++) {
    lk_inflate_stream *s = NULL;
    lk_buf packed = new_buf(2 * LEN), out = new_buf(LEN);
    bool ended = false;
    compress(lk_slice_of(noise, LEN), &raw, flushes[i], &packed);
    lk_slice in = lk_buf_slice(&packed);
    CHECK_OK(zlib->inflate_open(test_alloc(), LK_DEFLATE_RAW, 15, &s));
    CHECK_OK(zlib->inflate_feed(s, &in, LEN, &out, &ended));
    CHECK_SLICE(lk_buf_slice(&out), lk_slice_of(noise, LEN));
    CHECK_U64(ended, flushes[i] == LK_DEFLATE_FINISH);
    zlib->inflate_close(s);
    lk_buf_deinit(&packed);
    lk_buf_deinit(&out);
  }
}

TEST(inflate_stops_behind_the_end_of_the_stream) {
  const lk_deflate_provider *zlib = lk_deflate_zlib();
  lk_deflate_options options = raw;
  for (int format = LK_DEFLATE_RAW; format <= LK_DEFLATE_GZIP; format++) {
    lk_inflate_stream *s = NULL;
    lk_buf packed = new_buf(1000), out = new_buf(1000);
    bool ended = false;
    options.format = (lk_deflate_format)format;
    compress(LK_LIT("abcabcabc"), &options, LK_DEFLATE_FINISH, &packed);
    lk_buf_append(&packed, LK_LIT("rest"));
    lk_slice in = lk_buf_slice(&packed);
    CHECK_OK(zlib->inflate_open(test_alloc(), options.format, 15, &s));
    CHECK_OK(zlib->inflate_feed(s, &in, 9, &out, &ended));
    CHECK(ended);
    CHECK_TEXT(in, "rest");
    CHECK_TEXT(lk_buf_slice(&out), "abcabcabc");
    CHECK_OK(zlib->inflate_feed(s, &in, 9, &out, &ended)); /* ended: takes nothing more */
    CHECK_TEXT(in, "rest");
    zlib->inflate_close(s);
    lk_buf_deinit(&packed);
    lk_buf_deinit(&out);
  }
}

/* RFC 7692 §7.2.3.4: behind a last block the next one goes on, and may refer to what was before. */
TEST(inflate_continues_with_its_window_behind_the_end_of_a_stream) {
  const lk_deflate_provider *zlib = lk_deflate_zlib();
  lk_slice in = LK_LIT("\xF3\x48\xCD\xC9\xC9\x07\x00\xF2\x00\x11\x00\x00\x00\x00\xFF\xFF");
  lk_inflate_stream *s = NULL;
  lk_buf out = new_buf(100);
  bool ended = false;
  CHECK_OK(zlib->inflate_open(test_alloc(), LK_DEFLATE_RAW, 15, &s));
  CHECK_OK(zlib->inflate_feed(s, &in, 100, &out, &ended));
  CHECK(ended);
  CHECK_U64(in.len, 9);
  zlib->inflate_continue(s);
  CHECK_OK(zlib->inflate_feed(s, &in, 100, &out, &ended));
  CHECK(!ended && in.len == 0);
  CHECK_TEXT(lk_buf_slice(&out), "HelloHello");
  zlib->inflate_close(s);
  lk_buf_deinit(&out);
}

/* Goal: what stands before a fault does not depend on the cut. Method: text, then a block of a kind
 * that does not exist, at each cut. */
TEST(inflate_makes_the_same_before_an_error_wherever_it_is_cut) {
  const lk_deflate_provider *zlib = lk_deflate_zlib();
  lk_slice all = LK_LIT("\xF2\x48\xCD\xC9\xC9\x07\x00\x00\x00\xFF\xFF\x06rest");
  for (size_t cut = 0; cut <= all.len; cut++) {
    lk_inflate_stream *s = NULL;
    lk_buf out = new_buf(100);
    lk_slice head = lk_slice_first(all, cut), rest = lk_slice_skip(all, cut);
    bool ended = false;
    CHECK_OK(zlib->inflate_open(test_alloc(), LK_DEFLATE_RAW, 15, &s));
    lk_err err = zlib->inflate_feed(s, &head, 100, &out, &ended);
    if (err == LK_OK) err = zlib->inflate_feed(s, &rest, 100, &out, &ended);
    CHECK_ERR(err, LK_ERR_CORRUPT);
    CHECK_TEXT(lk_buf_slice(&out), "Hello");
    zlib->inflate_close(s);
    lk_buf_deinit(&out);
  }
}

TEST(inflate_tells_damage_from_wrong_form) {
  const lk_deflate_provider *zlib = lk_deflate_zlib();
  lk_deflate_options options = raw;
  options.format = LK_DEFLATE_GZIP;
  lk_inflate_stream *s = NULL;
  lk_buf packed = new_buf(1000), out = new_buf(1000);
  bool ended = false;
  compress(LK_LIT("some text"), &options, LK_DEFLATE_FINISH, &packed);
  packed.ptr[packed.len - 8] ^= 1; /* the first byte of the sum */
  lk_slice in = lk_buf_slice(&packed);
  CHECK_OK(zlib->inflate_open(test_alloc(), LK_DEFLATE_GZIP, 15, &s));
  CHECK_ERR(zlib->inflate_feed(s, &in, 100, &out, &ended), LK_ERR_CHECKSUM);
  CHECK_TEXT(lk_buf_slice(&out), "some text"); /* what it was checked against */
  zlib->inflate_reset(s);
  in = LK_LIT("no gzip at all");
  CHECK_ERR(zlib->inflate_feed(s, &in, 100, &out, &ended), LK_ERR_CORRUPT);
  CHECK_TEXT(in, "no gzip at all");
  zlib->inflate_close(s);
  lk_buf_deinit(&packed);
  lk_buf_deinit(&out);
}

TEST(deflate_refuses_options_and_calls_that_are_not_allowed) {
  const lk_deflate_provider *zlib = lk_deflate_zlib();
  static const lk_deflate_options bad[] = {
    { LK_DEFLATE_RAW, 8, 6, 8 },  { LK_DEFLATE_RAW, 16, 6, 8 },  { LK_DEFLATE_RAW, 15, 10, 8 },
    { LK_DEFLATE_RAW, 15, 6, 0 }, { LK_DEFLATE_RAW, 15, 6, 10 },
  };
  lk_deflate_stream *d = NULL;
  lk_inflate_stream *i = NULL;
  lk_buf out = new_buf(100);
  for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
    CHECK_ERR(zlib->deflate_open(test_alloc(), &bad[k], &d), LK_ERR_RANGE);
  }
  CHECK_ERR(zlib->inflate_open(test_alloc(), LK_DEFLATE_RAW, 8, &i), LK_ERR_RANGE);
  CHECK(d == NULL && i == NULL);
  CHECK_OK(zlib->deflate_open(test_alloc(), &raw, &d));
  CHECK_OK(zlib->deflate_feed(d, LK_LIT("x"), LK_DEFLATE_FINISH, &out));
  CHECK_ERR(zlib->deflate_feed(d, LK_LIT("x"), LK_DEFLATE_FINISH, &out), LK_ERR_STATE);
  zlib->deflate_reset(d);
  CHECK_OK(zlib->deflate_feed(d, LK_LIT("x"), LK_DEFLATE_FINISH, &out));
  zlib->deflate_close(d);
  zlib->deflate_close(NULL);
  zlib->inflate_close(NULL);
  lk_buf_deinit(&out);
}

TEST(deflate_leaves_the_buffer_when_it_is_too_small) {
  const lk_deflate_provider *zlib = lk_deflate_zlib();
  lk_deflate_stream *d = NULL;
  lk_buf out = new_buf(3 + 6); /* the block takes seven bytes */
  lk_buf_append(&out, LK_LIT("abc"));
  CHECK_OK(zlib->deflate_open(test_alloc(), &raw, &d));
  CHECK_ERR(zlib->deflate_feed(d, LK_LIT("x"), LK_DEFLATE_SYNC, &out), LK_ERR_LIMIT);
  CHECK_TEXT(lk_buf_slice(&out), "abc");
  CHECK_ERR(zlib->deflate_feed(d, LK_LIT("x"), LK_DEFLATE_SYNC, &out), LK_ERR_LIMIT);
  zlib->deflate_close(d);
  lk_buf_deinit(&out);

  out = new_buf(7 + 1);
  compress(LK_LIT("x"), &raw, LK_DEFLATE_SYNC, &out);
  CHECK_U64(out.len, 7);
  lk_buf_deinit(&out);
}

TEST(inflate_fills_a_buffer_that_is_too_small) {
  const lk_deflate_provider *zlib = lk_deflate_zlib();
  for (size_t max = 4; max <= 5; max++) {
    lk_slice in = LK_LIT("\xF2\x48\xCD\xC9\xC9\x07\x00\x00\x00\xFF\xFF");
    lk_inflate_stream *s = NULL;
    lk_buf out = new_buf(max);
    bool ended = false;
    CHECK_OK(zlib->inflate_open(test_alloc(), LK_DEFLATE_RAW, 15, &s));
    CHECK_ERR(zlib->inflate_feed(s, &in, 100, &out, &ended), max == 4 ? LK_ERR_LIMIT : LK_OK);
    CHECK_SLICE(lk_buf_slice(&out), lk_slice_first(LK_LIT("Hello"), max));
    CHECK_OK(lk_buf_err(&out));
    zlib->inflate_close(s);
    lk_buf_deinit(&out);
  }
}

/* ---- properties ---- */

/* Goal: neither the cuts on the way in nor those on the way back can be seen in the text. */
PROPERTY_SLOW(deflate_round_trips_wherever_it_is_cut, 10) {
  const lk_deflate_provider *zlib = lk_deflate_zlib();
  uint8_t bytes[600];
  size_t len = gen_bytes(g, bytes, sizeof bytes);
  for (size_t i = 0; i < len; i++) bytes[i] &= 7; /* compresses a little */
  lk_slice text = lk_slice_of(bytes, len), rest = text;
  lk_deflate_options options = { (lk_deflate_format)gen_below(g, 3), (uint8_t)gen_range(g, 9, 15),
                                 (uint8_t)gen_below(g, 10), (uint8_t)gen_range(g, 1, 9) };
  lk_deflate_stream *d = NULL;
  lk_inflate_stream *s = NULL;
  lk_buf packed = new_buf(65536), out = new_buf(65536);
  CHECK_OK(zlib->deflate_open(test_alloc(), &options, &d));
  while (rest.len > 0) {
    lk_slice part = lk_slice_first(rest, 1 + gen_below(g, 300));
    rest = lk_slice_skip(rest, part.len);
    CHECK_OK(zlib->deflate_feed(d, part, gen_bool(g) ? LK_DEFLATE_SYNC : LK_DEFLATE_MORE, &packed));
  }
  CHECK_OK(zlib->deflate_feed(d, LK_SLICE_EMPTY, LK_DEFLATE_FINISH, &packed));

  bool ended = false;
  CHECK_OK(zlib->inflate_open(test_alloc(), options.format, options.window_bits, &s));
  rest = lk_buf_slice(&packed);
  while (!ended) {
    CHECK(rest.len > 0);
    lk_slice part = lk_slice_first(rest, 1 + gen_below(g, 100));
    rest = lk_slice_skip(rest, part.len);
    CHECK_OK(zlib->inflate_feed(s, &part, len - out.len, &out, &ended));
    CHECK_U64(part.len, 0);
  }
  CHECK_U64(rest.len, 0);
  CHECK_SLICE(lk_buf_slice(&out), text);
  zlib->deflate_close(d);
  zlib->inflate_close(s);
  lk_buf_deinit(&packed);
  lk_buf_deinit(&out);
}

/* ---- memory ---- */

/* One message there and back; the first error of either. */
static lk_err there_and_back(const lk_alloc *alloc, lk_buf *packed, lk_buf *out) {
  const lk_deflate_provider *zlib = lk_deflate_zlib();
  lk_deflate_stream *d = NULL;
  lk_inflate_stream *s = NULL;
  bool ended = false;
  lk_err err;
  if ((err = zlib->deflate_open(alloc, &raw, &d)) != LK_OK) goto done;
  if ((err = zlib->deflate_feed(d, LK_LIT("a text"), LK_DEFLATE_SYNC, packed)) != LK_OK) goto done;
  lk_slice in = lk_buf_slice(packed);
  if ((err = zlib->inflate_open(alloc, LK_DEFLATE_RAW, 15, &s)) != LK_OK) goto done;
  err = zlib->inflate_feed(s, &in, 6, out, &ended);
done:
  zlib->deflate_close(d);
  zlib->inflate_close(s);
  return err;
}

TEST(deflate_survives_every_allocation_that_fails) {
  FAULT_LOOP(faults, test_alloc()) {
    lk_buf packed, out;
    lk_buf_init(&packed, faulty_alloc(&faults), 8192);
    lk_buf_init(&out, faulty_alloc(&faults), 8192);
    lk_err err = there_and_back(faulty_alloc(&faults), &packed, &out);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    if (err == LK_OK) CHECK_TEXT(lk_buf_slice(&out), "a text");
    else CHECK(lk_slice_starts_with(LK_LIT("a text"), lk_buf_slice(&out)));
    CHECK_OK(lk_buf_err(&out));
    lk_buf_deinit(&packed);
    lk_buf_deinit(&out);
  }
}
