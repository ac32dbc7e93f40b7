/* `any`: lib0's bytes both ways, a stack that is bounded, and counts that are not believed. */
#include "codec/any.h"
#include "codec/varint.h"
#include "vectors.h"

#define PATH "tests/vectors/lib0.json"

static lk_buf new_buf(size_t max) {
  lk_buf buf;
  lk_buf_init(&buf, test_alloc(), max);
  return buf;
}

static void append_signed(lk_buf *out, int64_t value) {
  if (value < 0) lk_buf_append(out, LK_LIT("-"));
  lk_buf_append_decimal(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

static void append_hex_of_f64(lk_buf *out, double value) {
  uint8_t bits[8];
  lk_store_be64(bits, lk_bits_of_f64(value));
  lk_hex_encode(out, lk_slice_of(bits, sizeof bits));
}

/* The words of tests/vectors/README.md. */
static void render(lk_buf *out, const lk_any_item *item) {
  static const char *const words[] = {
    [LK_ANY_UNDEFINED] = "undefined",  [LK_ANY_NULL] = "null",          [LK_ANY_BOOL] = "",
    [LK_ANY_NUMBER] = "number ",       [LK_ANY_BIGINT] = "bigint ",     [LK_ANY_STRING] = "string ",
    [LK_ANY_BYTES] = "bytes ",         [LK_ANY_ARRAY_BEGIN] = "array ", [LK_ANY_ARRAY_END] = "end",
    [LK_ANY_OBJECT_BEGIN] = "object ", [LK_ANY_OBJECT_END] = "end",     [LK_ANY_KEY] = "key ",
  };
  if (out->len > 0) lk_buf_append(out, LK_LIT(";"));
  lk_buf_append(out, lk_slice_cstr(words[item->kind]));
  switch (item->kind) {
  case LK_ANY_BOOL: lk_buf_append(out, item->as.boolean ? LK_LIT("true") : LK_LIT("false")); break;
  case LK_ANY_NUMBER: append_hex_of_f64(out, item->as.number); break;
  case LK_ANY_BIGINT: append_signed(out, item->as.bigint); break;
  case LK_ANY_STRING:
  case LK_ANY_BYTES:
  case LK_ANY_KEY: lk_hex_encode(out, item->as.bytes); break;
  case LK_ANY_ARRAY_BEGIN:
  case LK_ANY_OBJECT_BEGIN: lk_buf_append_decimal(out, item->count); break;
  default: break;
  }
}

TEST(any_reads_and_writes_lib0s_bytes) {
  lk_json_member f[] = { VECTORS_FIELD("items"), VECTORS_FIELD("hex"), VECTORS_FIELD("canonical") };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("any"));
  while (vectors_next(&v, f, 3)) {
    lk_slice wire = vectors_hex(&v, &f[1]), span;
    lk_buf words = new_buf(65536), again = new_buf(65536);
    lk_reader in = lk_reader_of(wire);
    lk_any_frame frames[16];
    lk_any_reader reader;
    lk_any_item item;
    lk_err err;
    bool canonical = false;
    lk_any_reader_init(&reader, &in, frames, 16);
    while ((err = lk_any_decode(&reader, &item)) == LK_OK) {
      render(&words, &item);
      CHECK_OK(lk_any_encode(&again, &item));
    }
    CHECK_ERR(err, LK_ERR_END);
    CHECK_OK(lk_reader_end(&in));
    CHECK_SLICE(lk_buf_slice(&words), vectors_text(&f[0]));
    CHECK_U64(lk_any_is_canonical(&reader), vectors_bool(&f[2]));
    CHECK_U64(lk_slice_equal(lk_buf_slice(&again), wire), vectors_bool(&f[2]));

    in.pos = 0;
    CHECK_OK(lk_any_span_decode(&in, 16, &span, &canonical));
    CHECK_SLICE(span, wire);
    CHECK_U64(canonical, vectors_bool(&f[2]));
    lk_buf_deinit(&words);
    lk_buf_deinit(&again);
  }
  vectors_close(&v);
}

/* Goal: the limit is exact, whatever is nested. Method: one level fewer, then just enough. */
/* Goal: an item alone is what a reader gives first, and what fails changes nothing.
 * Method: the vectors, whole and cut at each byte. */
TEST(any_reads_one_item_as_the_first_of_a_value) {
  lk_json_member f[] = { VECTORS_FIELD("hex") };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("any"));
  while (vectors_next(&v, f, 1)) {
    lk_slice wire = vectors_hex(&v, &f[0]);
    for (size_t len = 0; len <= wire.len; len++) {
      lk_reader in = lk_reader_of(lk_slice_first(wire, len)), alone = in;
      lk_any_frame frames[16];
      lk_any_reader reader;
      lk_any_item item = { .count = 7 }, expected = item;
      bool canonical = true;
      lk_any_reader_init(&reader, &in, frames, 16);
      lk_err err = lk_any_decode(&reader, &expected);
      CHECK_ERR(lk_any_item_decode(&alone, &item, &canonical), err);
      CHECK_U64(alone.pos, in.pos);
      CHECK_U64(canonical, lk_any_is_canonical(&reader));
      lk_buf a = new_buf(65536), b = new_buf(65536);
      if (err == LK_OK) {
        render(&a, &item);
        render(&b, &expected);
      }
      CHECK_SLICE(lk_buf_slice(&a), lk_buf_slice(&b));
      CHECK_U64(item.count, expected.count);
      lk_buf_deinit(&a);
      lk_buf_deinit(&b);
    }
  }
  vectors_close(&v);
}

TEST(any_nests_as_deep_as_its_frames_and_not_deeper) {
  lk_slice out;
  lk_reader in = lk_reader_of(LK_LIT("\x75\x01\x76\x01\x01k\x75\x00"));
  CHECK_ERR(lk_any_span_decode(&in, 2, &out, NULL), LK_ERR_DEPTH);
  CHECK_U64(in.pos, 0);
  CHECK_OK(lk_any_span_decode(&in, 3, &out, NULL));
  in = lk_reader_of(LK_LIT("\x75\x00"));
  CHECK_ERR(lk_any_span_decode(&in, 0, &out, NULL), LK_ERR_DEPTH);
  in = lk_reader_of(LK_LIT("\x7E"));
  CHECK_OK(lk_any_span_decode(&in, 0, &out, NULL));
}

TEST(any_bears_the_greatest_depth) {
  lk_buf buf = new_buf(65536);
  lk_slice out;
  for (int i = 0; i < LK_ANY_DEPTH_MAX; i++) lk_any_encode_array_begin(&buf, 1);
  lk_any_encode_null(&buf);
  lk_reader in = lk_reader_of(lk_buf_slice(&buf));
  CHECK_OK(lk_any_span_decode(&in, LK_ANY_DEPTH_MAX, &out, NULL));
  CHECK_SLICE(out, lk_buf_slice(&buf));
  lk_buf_deinit(&buf);
}

/* A count is at most what is left: one byte for an element, two for a pair. */
TEST(any_does_not_believe_counts_that_cannot_be_true) {
  lk_slice out;
  lk_any_frame frames[4];
  lk_any_reader reader;
  lk_any_item item = { .kind = LK_ANY_NULL, .count = 77 };
  lk_reader in = lk_reader_of(LK_LIT("\x75\x03\x7E\x7E"));
  lk_any_reader_init(&reader, &in, frames, 4);
  CHECK_ERR(lk_any_decode(&reader, &item), LK_ERR_TRUNCATED);
  CHECK(in.pos == 0 && item.count == 77 && reader.depth == 0);
  in = lk_reader_of(LK_LIT("\x76\x02\x01k\x7E"));
  CHECK_ERR(lk_any_decode(&reader, &item), LK_ERR_TRUNCATED);
  CHECK_U64(item.count, 77);
  in = lk_reader_of(LK_LIT("\x76\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x0F\x00"));
  CHECK_ERR(lk_any_span_decode(&in, 4, &out, NULL), LK_ERR_TRUNCATED);
}

TEST(any_says_what_is_wrong) {
  static const struct {
    lk_slice wire;
    lk_err err;
  } cases[] = {
    { LK_LIT_INIT("\x73"), LK_ERR_CORRUPT },
    { LK_LIT_INIT("\x80"), LK_ERR_CORRUPT },
    { LK_LIT_INIT(""), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x7B\0\0\0\0\0\0\0"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x77\x01\xFF"), LK_ERR_UTF8 },
    { LK_LIT_INIT("\x76\x01\x01\xFF\x7E"), LK_ERR_UTF8 },
    { LK_LIT_INIT("\x74\x02\x01"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x7D\x80\x80\x80\x80\x80\x80\x80\x40"), LK_ERR_RANGE },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_reader in = lk_reader_of(cases[i].wire);
    lk_slice out = LK_LIT("kept");
    bool canonical = false;
    test_note("case %zu", i);
    CHECK_ERR(lk_any_span_decode(&in, 8, &out, &canonical), cases[i].err);
    CHECK_U64(in.pos, 0);
    CHECK_TEXT(out, "kept");
  }
}

TEST(any_reader_says_end_again_and_again) {
  lk_reader in = lk_reader_of(LK_LIT("\x7E\x7F"));
  lk_any_reader reader;
  lk_any_item item;
  lk_any_reader_init(&reader, &in, NULL, 0);
  CHECK_OK(lk_any_decode(&reader, &item));
  CHECK_ERR(lk_any_decode(&reader, &item), LK_ERR_END);
  CHECK_ERR(lk_any_decode(&reader, &item), LK_ERR_END);
  CHECK_U64(in.pos, 1);
}

TEST(any_knows_a_nan_that_javascript_would_not_write) {
  lk_reader in = lk_reader_of(LK_LIT("\x7B\x7F\xF8\0\0\0\0\0\x01"));
  lk_slice out;
  bool canonical = true;
  CHECK_OK(lk_any_span_decode(&in, 0, &out, &canonical));
  CHECK(!canonical);
}

/* ---- properties ---- */

/* Writes a random value of at most |depth| levels; the recursion is the test's own. */
static void write_random(lk_gen *g, lk_buf *out, uint32_t depth) {
  uint8_t text[12];
  uint32_t count = gen_below(g, 4);
  switch (gen_below(g, depth > 0 ? 9 : 7)) {
  case 0: lk_any_encode_null(out); break;
  case 1: lk_any_encode_undefined(out); break;
  case 2: lk_any_encode_bool(out, gen_bool(g)); break;
  case 3:
    lk_any_encode_number(out,
                         gen_bool(g) ? (double)(int64_t)gen_u64(g) : lk_f64_of_bits(gen_u64(g)));
    break;
  case 4: lk_any_encode_bigint(out, (int64_t)gen_u64(g)); break;
  case 5: lk_any_encode_string(out, lk_slice_of(text, gen_utf8(g, text, sizeof text))); break;
  case 6: lk_any_encode_bytes(out, lk_slice_of(text, gen_bytes(g, text, sizeof text))); break;
  case 7:
    lk_any_encode_array_begin(out, count);
    for (uint32_t i = 0; i < count; i++) write_random(g, out, depth - 1);
    break;
  default:
    lk_any_encode_object_begin(out, count);
    for (uint32_t i = 0; i < count; i++) {
      lk_any_encode_key(out, lk_slice_of(text, gen_utf8(g, text, sizeof text)));
      write_random(g, out, depth - 1);
    }
  }
}

/* Goal: what was written comes back as the same bytes, and every piece cut off its end is refused
 * without moving the cursor. */
PROPERTY(any_round_trips_and_every_prefix_is_truncated) {
  lk_buf buf = new_buf(1u << 20), again = new_buf(1u << 20);
  lk_any_frame frames[4];
  lk_any_reader reader;
  lk_any_item item;
  lk_slice span;
  lk_err err;
  write_random(g, &buf, 4);
  CHECK_OK(lk_buf_err(&buf));
  lk_reader in = lk_reader_of(lk_buf_slice(&buf));
  lk_any_reader_init(&reader, &in, frames, 4);
  while ((err = lk_any_decode(&reader, &item)) == LK_OK) CHECK_OK(lk_any_encode(&again, &item));
  CHECK_ERR(err, LK_ERR_END);
  CHECK(lk_any_is_canonical(&reader));
  CHECK_SLICE(lk_buf_slice(&again), lk_buf_slice(&buf));

  size_t cut = gen_below(g, (uint32_t)buf.len);
  in = lk_reader_of(lk_slice_first(lk_buf_slice(&buf), cut));
  CHECK_ERR(lk_any_span_decode(&in, 4, &span, NULL), LK_ERR_TRUNCATED);
  CHECK_U64(in.pos, 0);
  lk_buf_deinit(&buf);
  lk_buf_deinit(&again);
}

/* Goal: an integer is written as the same bytes whether it goes in as a word or piece by piece.
 * Method: integers of each size, as such and moved off by a half; one buffer has room for a word, one for what is written. */
PROPERTY(any_integer_is_written_alike_with_and_without_room) {
  double value = (double)(gen_u64(g) >> (30 + gen_below(g, 34)));
  if (gen_bool(g)) value = -value;
  if (gen_chance(g, 1, 8)) value += 0.5;
  lk_buf roomy = new_buf(64), tight;
  CHECK_OK(lk_buf_reserve(&roomy, 64));
  CHECK_OK(lk_any_encode_number(&roomy, value));
  lk_buf_init(&tight, test_alloc(), roomy.len);
  CHECK_OK(lk_any_encode_number(&tight, value));
  CHECK_SLICE(lk_buf_slice(&roomy), lk_buf_slice(&tight));
  lk_buf_deinit(&roomy);
  lk_buf_deinit(&tight);
}

PROPERTY(any_number_comes_back_with_its_bits) {
  double value = gen_bool(g) ? (double)(int64_t)gen_u64(g) : lk_f64_of_bits(gen_u64(g));
  lk_buf buf = new_buf(64);
  lk_any_reader reader;
  lk_any_item item;
  CHECK_OK(lk_any_encode_number(&buf, value));
  lk_reader in = lk_reader_of(lk_buf_slice(&buf));
  lk_any_reader_init(&reader, &in, NULL, 0);
  CHECK_OK(lk_any_decode(&reader, &item));
  CHECK(item.kind == LK_ANY_NUMBER && lk_any_is_canonical(&reader));
  if (value == value) CHECK_U64(lk_bits_of_f64(item.as.number), lk_bits_of_f64(value));
  else CHECK(item.as.number != item.as.number);
  lk_buf_deinit(&buf);
}
