/* The columns of Yjs' second format: lib0's bytes, and decoders that stay put when they fail. */
#include "codec/column.h"
#include "codec/utf.h"
#include "vectors.h"

#define PATH "tests/vectors/lib0.json"
#define VALUES_MAX 2048

typedef struct column_case {
  lk_slice kind;
  int64_t start;
  int64_t values[VALUES_MAX];
  size_t count;
  lk_slice wire;
} column_case;

#define ENCODE(name, init_args, type)                                                              \
  lk_column_##name##_encoder e;                                                                    \
  lk_column_##name##_encoder_init init_args;                                                       \
  for (size_t i = 0; i < c->count; i++) lk_column_##name##_append(&e, (type)c->values[i]);         \
  CHECK_OK(lk_column_##name##_finish(&e, &out));                                                   \
  CHECK_SLICE(out, c->wire);                                                                       \
  lk_column_##name##_encoder_deinit(&e);                                                           \
  lk_column_##name##_encoder_deinit(&e)

#define DECODE(name, from, type)                                                                   \
  lk_column_##name##_decoder d = from;                                                             \
  for (size_t i = 0; i < c->count; i++) {                                                          \
    type value = 99;                                                                               \
    CHECK_OK(lk_column_##name##_decode(&d, &value));                                               \
    CHECK_I64((int64_t)value, c->values[i]);                                                       \
  }

/* Both ways through one kind; where the kind says how long it is, its end must be seen. */
#define BOTH_WAYS(name, type, start_arg_init, start_arg_of, end)                                   \
  static void check_##name(const column_case *c) {                                                 \
    lk_slice out;                                                                                  \
    type more = 0;                                                                                 \
    ENCODE(name, start_arg_init, type);                                                            \
    DECODE(name, start_arg_of, type)                                                               \
    if (end || c->count == 0) CHECK_ERR(lk_column_##name##_decode(&d, &more), LK_ERR_TRUNCATED);   \
    else CHECK_OK(lk_column_##name##_decode(&d, &more));                                           \
  }

#define PLAIN_INIT (&e, test_alloc(), 65536)
#define START_INIT (&e, test_alloc(), 65536, c->start)
BOTH_WAYS(rle, uint8_t, PLAIN_INIT, lk_column_rle_decoder_of(c->wire), false)
BOTH_WAYS(uint, uint64_t, PLAIN_INIT, lk_column_uint_decoder_of(c->wire), true)
BOTH_WAYS(inc, uint64_t, PLAIN_INIT, lk_column_inc_decoder_of(c->wire), true)
BOTH_WAYS(diff, int64_t, PLAIN_INIT, lk_column_diff_decoder_of(c->wire), true)
BOTH_WAYS(delta, int64_t, START_INIT, lk_column_delta_decoder_of(c->wire, c->start), true)
BOTH_WAYS(rledelta, int64_t, START_INIT, lk_column_rledelta_decoder_of(c->wire, c->start), false)

static void read_numbers(lk_slice raw, column_case *c) {
  lk_limits limits = LK_LIMITS_INIT;
  lk_arena arena = { 0 };
  lk_json_reader reader;
  lk_json_event event;
  CHECK_OK(lk_json_reader_init(&reader, raw, &limits, &arena));
  CHECK_OK(lk_json_next(&reader, &event));
  for (c->count = 0;; c->count++) {
    CHECK_OK(lk_json_next(&reader, &event));
    if (event.kind == LK_JSON_ARRAY_END) break;
    CHECK(c->count < VALUES_MAX);
    CHECK_OK(lk_json_get_i64(&event, &c->values[c->count]));
  }
}

static const struct {
  lk_slice kind;
  void (*check)(const column_case *c);
} checks[] = {
  { LK_LIT_INIT("rle"), check_rle },     { LK_LIT_INIT("uint"), check_uint },
  { LK_LIT_INIT("inc"), check_inc },     { LK_LIT_INIT("diff"), check_diff },
  { LK_LIT_INIT("delta"), check_delta }, { LK_LIT_INIT("rledelta"), check_rledelta },
};

TEST(column_numbers_have_lib0s_bytes_both_ways) {
  lk_json_member f[] = { VECTORS_FIELD("kind"), VECTORS_FIELD("start"), VECTORS_FIELD("values"),
                         VECTORS_FIELD("hex") };
  static column_case c;
  size_t seen[sizeof checks / sizeof checks[0]] = { 0 };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("columns"));
  while (vectors_next(&v, f, 4)) {
    c.kind = vectors_text(&f[0]);
    c.wire = vectors_hex(&v, &f[3]);
    CHECK_OK(lk_json_get_i64(&f[1].value, &c.start));
    if (lk_slice_equal(c.kind, LK_LIT("text"))) continue;
    read_numbers(f[2].raw, &c);
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
      if (!lk_slice_equal(c.kind, checks[i].kind)) continue;
      checks[i].check(&c);
      seen[i]++;
    }
  }
  for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) CHECK(seen[i] > 20);
  vectors_close(&v);
}

/* ---- texts ---- */

/* Units with at most one lone half at each end, as a piece. |text| receives the middle. */
static lk_column_piece piece_of_units(lk_buf *text, const uint16_t *units, size_t count) {
  lk_column_piece piece = { 0 };
  if (count > 0 && lk_utf_is_low_surrogate(units[0])) {
    piece.low_first = *units++;
    count--;
  }
  if (count > 0 && lk_utf_is_high_surrogate(units[count - 1])) piece.high_last = units[--count];
  size_t before = text->len;
  CHECK_OK(lk_utf8_append_utf16(text, units, count));
  piece.text = lk_slice_skip(lk_buf_slice(text), before);
  return piece;
}

/* Calls |each| with the units of every string of a JSON array. */
typedef void each_text(void *ctx, const uint16_t *units, size_t count);
static void for_each_text(vectors *v, lk_slice raw, each_text *each, void *ctx) {
  lk_limits limits = LK_LIMITS_INIT;
  lk_json_reader reader;
  lk_json_event event;
  size_t count;
  CHECK_OK(lk_json_reader_init(&reader, raw, &limits, &v->arena));
  CHECK_OK(lk_json_next(&reader, &event));
  for (;;) {
    CHECK_OK(lk_json_next(&reader, &event));
    if (event.kind == LK_JSON_ARRAY_END) return;
    const uint16_t *units = vectors_units(v, event.text, &count);
    each(ctx, units, count);
  }
}

static void append_text(void *ctx, const uint16_t *units, size_t count) {
  lk_buf text;
  lk_buf_init(&text, test_alloc(), 65536);
  lk_column_text_append_piece(ctx, piece_of_units(&text, units, count));
  lk_buf_deinit(&text);
}

static void expect_text(void *ctx, const uint16_t *units, size_t count) {
  lk_column_piece got, want;
  uint64_t got_units;
  lk_buf text;
  lk_buf_init(&text, test_alloc(), 65536);
  want = piece_of_units(&text, units, count);
  CHECK_OK(lk_column_text_decode(ctx, &got, &got_units));
  CHECK_SLICE(got.text, want.text);
  CHECK_U64(got.low_first, want.low_first);
  CHECK_U64(got.high_last, want.high_last);
  CHECK_U64(got_units, count);
  lk_buf_deinit(&text);
}

TEST(column_text_has_lib0s_bytes_both_ways) {
  lk_json_member f[] = { VECTORS_FIELD("kind"), VECTORS_FIELD("values"), VECTORS_FIELD("read"),
                         VECTORS_FIELD("hex") };
  size_t seen = 0;
  vectors v;
  vectors_open(&v, PATH, LK_LIT("columns"));
  while (vectors_next(&v, f, 4)) {
    lk_column_text_encoder e;
    lk_column_text_decoder d;
    lk_column_piece piece;
    lk_slice wire = vectors_hex(&v, &f[3]), out;
    if (!lk_slice_equal(vectors_text(&f[0]), LK_LIT("text"))) continue;
    seen++;
    lk_column_text_encoder_init(&e, test_alloc(), 65536);
    for_each_text(&v, f[1].raw, append_text, &e);
    CHECK_OK(lk_column_text_finish(&e, &out));
    CHECK_SLICE(out, wire);
    lk_column_text_encoder_deinit(&e);
    lk_column_text_encoder_deinit(&e);

    CHECK_OK(lk_column_text_decoder_init(&d, wire));
    for_each_text(&v, f[2].raw, expect_text, &d);
    CHECK_ERR(lk_column_text_decode(&d, &piece, NULL), LK_ERR_TRUNCATED);
  }
  CHECK(seen > 20);
  vectors_close(&v);
}

TEST(column_text_refuses_lengths_beyond_its_text) {
  lk_column_text_decoder d;
  lk_column_piece piece = { .low_first = 7 };
  CHECK_OK(lk_column_text_decoder_init(&d, LK_LIT("\002ab\x03\x02")));
  CHECK_ERR(lk_column_text_decode(&d, &piece, NULL), LK_ERR_TRUNCATED);
  CHECK_ERR(lk_column_text_decode(&d, &piece, NULL), LK_ERR_TRUNCATED); /* the same length */
  CHECK_U64(piece.low_first, 7);
  CHECK_TEXT(d.text, "ab");
  CHECK_ERR(lk_column_text_decoder_init(&d, LK_LIT("\x02\xC3\x28")), LK_ERR_UTF8);
  CHECK_ERR(lk_column_text_decoder_init(&d, LK_LIT("\002a")), LK_ERR_TRUNCATED);
  CHECK_TEXT(d.text, "ab");
}

/* Method: half a pair is handed out, then a length that is too great: the waiting half stays. */
TEST(column_text_keeps_its_waiting_half_when_it_fails) {
  lk_column_text_decoder d;
  lk_column_piece piece;
  CHECK_OK(lk_column_text_decoder_init(&d, LK_LIT("\x04\xF0\x9F\x98\x80\x01\x09\x01")));
  CHECK_OK(lk_column_text_decode(&d, &piece, NULL));
  CHECK_U64(piece.high_last, 0xD83D);
  CHECK_ERR(lk_column_text_decode(&d, &piece, NULL), LK_ERR_TRUNCATED);
  CHECK_U64(d.low, 0xDE00);
}

/* ---- limits ---- */

TEST(column_encoders_refuse_what_lib0s_numbers_cannot_hold) {
  lk_slice out;
  lk_column_uint_encoder u;
  lk_column_uint_encoder_init(&u, test_alloc(), 64);
  lk_column_uint_append(&u, LK_VARUINT_MAX_SAFE + 1);
  CHECK_ERR(lk_column_uint_finish(&u, &out), LK_ERR_RANGE);
  lk_column_uint_encoder_deinit(&u);

  lk_column_inc_encoder n;
  lk_column_inc_encoder_init(&n, test_alloc(), 64);
  lk_column_inc_append(&n, LK_VARUINT_MAX_SAFE);
  lk_column_inc_append(&n, LK_VARUINT_MAX_SAFE + 1);
  CHECK_ERR(lk_column_inc_finish(&n, &out), LK_ERR_RANGE);
  lk_column_inc_encoder_deinit(&n);

  lk_column_diff_encoder d;
  lk_column_diff_encoder_init(&d, test_alloc(), 64);
  lk_column_diff_append(&d, (int64_t)1 << 52); /* doubled: 2^53 */
  CHECK_ERR(lk_column_diff_finish(&d, &out), LK_ERR_RANGE);
  lk_column_diff_encoder_deinit(&d);
  lk_column_diff_encoder_init(&d, test_alloc(), 64);
  for (int64_t k = 1; k <= 3; k++) lk_column_diff_append(&d, k * (((int64_t)1 << 52) - 1));
  CHECK_ERR(lk_column_diff_finish(&d, &out), LK_ERR_RANGE);
  lk_column_diff_encoder_deinit(&d);

  lk_column_delta_encoder t;
  lk_column_delta_encoder_init(&t, test_alloc(), 64, -5);
  lk_column_delta_append(&t, (int64_t)LK_VARUINT_MAX_SAFE);
  CHECK_ERR(lk_column_delta_finish(&t, &out), LK_ERR_RANGE);
  lk_column_delta_encoder_deinit(&t);
}

TEST(column_encoder_remembers_a_full_buffer) {
  lk_slice out = LK_LIT("kept");
  lk_column_rle_encoder e;
  lk_column_rle_encoder_init(&e, test_alloc(), 3);
  for (uint8_t i = 0; i < 10; i++) lk_column_rle_append(&e, i);
  CHECK_ERR(lk_column_rle_finish(&e, &out), LK_ERR_LIMIT);
  CHECK_TEXT(out, "kept");
  lk_column_rle_encoder_deinit(&e);
}

TEST(column_decoders_refuse_sums_beyond_what_lib0_holds) {
  /* 2^53 - 1 with a run of three: the second step is one too many. */
  lk_column_inc_decoder n = lk_column_inc_decoder_of(
      LK_LIT("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x1F\x01"));
  uint64_t u = 0;
  CHECK_OK(lk_column_inc_decode(&n, &u));
  CHECK_U64(u, LK_VARUINT_MAX_SAFE);
  CHECK_ERR(lk_column_inc_decode(&n, &u), LK_ERR_RANGE);
  /* Step 2^52 - 1, many times: the third value is beyond. */
  lk_column_diff_decoder d = lk_column_diff_decoder_of(
      LK_LIT("\xBF\xFF\xFF\xFF\xFF\xFF\xFF\x1F\x09"));
  int64_t i = 0;
  CHECK_OK(lk_column_diff_decode(&d, &i));
  CHECK_OK(lk_column_diff_decode(&d, &i));
  CHECK_I64(i, ((int64_t)1 << 53) - 2);
  CHECK_ERR(lk_column_diff_decode(&d, &i), LK_ERR_RANGE);
  CHECK_I64(d.value, ((int64_t)1 << 53) - 2);
}

/* The column ends between the value of a run and its count. */
TEST(column_decoder_is_unchanged_by_a_column_that_is_cut) {
  lk_column_uint_decoder u = lk_column_uint_decoder_of(LK_LIT("\x05\x45"));
  uint64_t out = 0;
  CHECK_OK(lk_column_uint_decode(&u, &out));
  CHECK_ERR(lk_column_uint_decode(&u, &out), LK_ERR_TRUNCATED);
  CHECK(u.in.pos == 1 && u.value == 5 && u.count == 0 && out == 5);
}

/* ---- properties ---- */

PROPERTY(column_numbers_round_trip) {
  int64_t values[40], value = 0, d_got, t_got, r_got;
  uint64_t u_got;
  size_t count = gen_below(g, 41);
  for (size_t i = 0; i < count; i++) {
    if (gen_chance(g, 1, 3)) value = (int64_t)(gen_u64(g) >> 13);
    else if (gen_bool(g)) value += value < 1000000 ? gen_below(g, 3) : 0;
    values[i] = value;
  }
  lk_slice u_out, d_out, t_out, r_out;
  lk_column_uint_encoder u;
  lk_column_diff_encoder d;
  lk_column_delta_encoder t;
  lk_column_rledelta_encoder r;
  lk_column_uint_encoder_init(&u, test_alloc(), 4096);
  lk_column_diff_encoder_init(&d, test_alloc(), 4096);
  lk_column_delta_encoder_init(&t, test_alloc(), 4096, 3);
  lk_column_rledelta_encoder_init(&r, test_alloc(), 4096, 3);
  for (size_t i = 0; i < count; i++) {
    lk_column_uint_append(&u, (uint64_t)values[i]);
    lk_column_diff_append(&d, values[i] / 2);
    lk_column_delta_append(&t, values[i] / 2);
    lk_column_rledelta_append(&r, values[i] / 2);
  }
  CHECK_OK(lk_column_uint_finish(&u, &u_out));
  CHECK_OK(lk_column_diff_finish(&d, &d_out));
  CHECK_OK(lk_column_delta_finish(&t, &t_out));
  CHECK_OK(lk_column_rledelta_finish(&r, &r_out));
  lk_column_uint_decoder ud = lk_column_uint_decoder_of(u_out);
  lk_column_diff_decoder dd = lk_column_diff_decoder_of(d_out);
  lk_column_delta_decoder td = lk_column_delta_decoder_of(t_out, 3);
  lk_column_rledelta_decoder rd = lk_column_rledelta_decoder_of(r_out, 3);
  for (size_t i = 0; i < count; i++) {
    CHECK_OK(lk_column_uint_decode(&ud, &u_got));
    CHECK_OK(lk_column_diff_decode(&dd, &d_got));
    CHECK_OK(lk_column_delta_decode(&td, &t_got));
    CHECK_OK(lk_column_rledelta_decode(&rd, &r_got));
    CHECK_U64(u_got, values[i]);
    CHECK(d_got == values[i] / 2 && t_got == values[i] / 2 && r_got == values[i] / 2);
  }
  lk_column_uint_encoder_deinit(&u);
  lk_column_diff_encoder_deinit(&d);
  lk_column_delta_encoder_deinit(&t);
  lk_column_rledelta_encoder_deinit(&r);
}

/* Goal: a text cut at any units comes back whole. Method: cut by one decoder, joined by one
 * encoder: a single text that is read in random lengths and appended again. */
PROPERTY(column_text_cut_anywhere_joins_again) {
  uint8_t bytes[60], lengths[64];
  lk_slice text = lk_slice_of(bytes, gen_utf8(g, bytes, sizeof bytes));
  size_t left = lk_utf16_len_of_utf8(text), count = 0;
  lk_buf column;
  lk_buf_init(&column, test_alloc(), 4096);
  lk_column_text_encoder e;
  lk_column_text_decoder d;
  lk_column_piece piece;
  lk_column_uint_encoder units;
  lk_slice out;
  lk_column_uint_encoder_init(&units, test_alloc(), 4096);
  while (left > 0) {
    size_t take = 1 + gen_below(g, (uint32_t)lk_min_size(left, 5));
    lengths[count++] = (uint8_t)lk_min_size(take, left);
    left -= lengths[count - 1];
    lk_column_uint_append(&units, lengths[count - 1]);
  }
  CHECK_OK(lk_column_uint_finish(&units, &out));
  lk_varuint_encode(&column, text.len);
  lk_buf_append(&column, text);
  lk_buf_append(&column, out);

  CHECK_OK(lk_column_text_decoder_init(&d, lk_buf_slice(&column)));
  lk_column_text_encoder_init(&e, test_alloc(), 4096);
  for (size_t i = 0; i < count; i++) {
    CHECK_OK(lk_column_text_decode(&d, &piece, NULL));
    lk_column_text_append_piece(&e, piece);
  }
  CHECK_OK(lk_column_text_finish(&e, &out));
  CHECK_SLICE(out, lk_buf_slice(&column));
  lk_column_text_encoder_deinit(&e);
  lk_column_uint_encoder_deinit(&units);
  lk_buf_deinit(&column);
}
