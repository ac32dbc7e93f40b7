/* lib0's integers: the same bytes as lib0, and a second, slower opinion about every reading. */
#include "codec/varint.h"
#include "vectors.h"

#define PATH "tests/vectors/lib0.json"

static lk_buf new_buf(void) {
  lk_buf buf;
  lk_buf_init(&buf, test_alloc(), 4096);
  return buf;
}

/* Goal: bytes and values of lib0, also where eight bytes cannot be loaded at once.
 * Method: each case is read with nothing and with twelve bytes behind it. */
TEST(varuint_reads_and_writes_lib0s_bytes) {
  lk_json_member f[] = { VECTORS_FIELD("value"), VECTORS_FIELD("hex"), VECTORS_FIELD("canonical") };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("varuint"));
  while (vectors_next(&v, f, 3)) {
    lk_slice wire = vectors_hex(&v, &f[1]);
    lk_buf buf = new_buf();
    uint64_t value = vectors_u64(&f[0]), got = 0;
    bool canonical = vectors_bool(&f[2]);

    lk_reader in = lk_reader_of(wire);
    CHECK_OK(lk_varuint_decode(&in, LK_VARUINT_MAX_SAFE, &got));
    CHECK_U64(got, value);
    CHECK_OK(lk_reader_end(&in));
    CHECK_U64(canonical, lk_varuint_len(value) == wire.len);
    in.pos = 0;
    CHECK_ERR(lk_varuint_decode_canonical(&in, LK_VARUINT_MAX_SAFE, &got),
              canonical ? LK_OK : LK_ERR_NOT_CANONICAL);
    CHECK_U64(in.pos, canonical ? wire.len : 0);

    lk_buf_append(&buf, wire);
    lk_buf_append(&buf, LK_LIT("\xFF\x80\x7F behind it"));
    in = lk_reader_of(lk_buf_slice(&buf));
    got = 0;
    CHECK_OK(lk_varuint_decode(&in, LK_VARUINT_MAX_SAFE, &got));
    CHECK_U64(got, value);
    CHECK_U64(in.pos, wire.len);

    lk_buf_truncate(&buf, 0);
    CHECK_OK(lk_varuint_encode(&buf, value));
    if (canonical) CHECK_SLICE(lk_buf_slice(&buf), wire);
    lk_buf_deinit(&buf);
  }
  vectors_close(&v);
}

TEST(varint_reads_and_writes_lib0s_bytes) {
  lk_json_member f[] = { VECTORS_FIELD("magnitude"), VECTORS_FIELD("negative"),
                         VECTORS_FIELD("hex"), VECTORS_FIELD("canonical") };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("varint"));
  while (vectors_next(&v, f, 4)) {
    lk_slice wire = vectors_hex(&v, &f[2]);
    lk_reader in = lk_reader_of(wire);
    lk_buf buf = new_buf();
    lk_varint got = { 0 };
    CHECK_OK(lk_varint_decode(&in, LK_VARUINT_MAX_SAFE, &got));
    CHECK_U64(got.magnitude, vectors_u64(&f[0]));
    CHECK_U64(got.negative, vectors_bool(&f[1]));
    CHECK_OK(lk_reader_end(&in));
    CHECK_U64(vectors_bool(&f[3]), lk_varint_len(got) == wire.len);
    CHECK_OK(lk_varint_encode(&buf, got));
    if (vectors_bool(&f[3])) CHECK_SLICE(lk_buf_slice(&buf), wire);
    lk_buf_deinit(&buf);
  }
  vectors_close(&v);
}

typedef struct refused {
  lk_slice wire;
  uint64_t max;
  lk_err err;
} refused;

/* Each is tried at the end of the input and with bytes behind it that would end it. */
TEST(varuint_refuses_what_is_cut_too_great_or_too_long) {
  static const refused cases[] = {
    { LK_LIT_INIT(""), UINT64_MAX, LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x80"), UINT64_MAX, LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), UINT64_MAX, LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x05"), 4, LK_ERR_RANGE },
    { LK_LIT_INIT("\x80\x01"), 127, LK_ERR_RANGE },
    { LK_LIT_INIT("\x80\x80\x80\x80\x80\x80\x80\x10"), LK_VARUINT_MAX_SAFE, LK_ERR_RANGE },
    { LK_LIT_INIT("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02"), UINT64_MAX, LK_ERR_RANGE },
    { LK_LIT_INIT("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"), UINT64_MAX, LK_ERR_NOT_CANONICAL },
    { LK_LIT_INIT("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), UINT64_MAX,
      LK_ERR_NOT_CANONICAL },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_reader in = lk_reader_of(cases[i].wire);
    uint64_t out = 4711;
    test_note("case %zu", i);
    CHECK_ERR(lk_varuint_decode(&in, cases[i].max, &out), cases[i].err);
    CHECK_U64(in.pos, 0);
    CHECK_U64(out, 4711);
  }
}

TEST(varuint_holds_all_64_bits) {
  lk_buf buf = new_buf();
  uint64_t out = 0;
  CHECK_OK(lk_varuint_encode(&buf, UINT64_MAX));
  CHECK_SLICE(lk_buf_slice(&buf), LK_LIT("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"));
  lk_reader in = lk_reader_of(lk_buf_slice(&buf));
  CHECK_OK(lk_varuint_decode(&in, UINT64_MAX, &out));
  CHECK_U64(out, UINT64_MAX);
  lk_buf_deinit(&buf);
}

TEST(varint_refuses_what_is_cut_too_great_or_too_long) {
  static const refused cases[] = {
    { LK_LIT_INIT(""), UINT64_MAX, LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\xC0"), UINT64_MAX, LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x45"), 4, LK_ERR_RANGE },
    { LK_LIT_INIT("\x80\x01"), 63, LK_ERR_RANGE },
    { LK_LIT_INIT("\xBF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x04"), UINT64_MAX, LK_ERR_RANGE },
    { LK_LIT_INIT("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), UINT64_MAX,
      LK_ERR_NOT_CANONICAL },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_reader in = lk_reader_of(cases[i].wire);
    lk_varint out = { 4711, true };
    test_note("case %zu", i);
    CHECK_ERR(lk_varint_decode(&in, cases[i].max, &out), cases[i].err);
    CHECK_U64(in.pos, 0);
    CHECK(out.magnitude == 4711 && out.negative);
  }
}

TEST(varint_keeps_its_negative_zero) {
  lk_reader in = lk_reader_of(LK_LIT("\x40"));
  lk_varint value = { 1, false };
  int64_t number = 1;
  CHECK_OK(lk_varint_decode(&in, 0, &value));
  CHECK(value.magnitude == 0 && value.negative);
  CHECK_OK(lk_varint_to_i64(value, &number));
  CHECK_I64(number, 0);
}

TEST(varint_turns_into_an_int64_where_it_fits) {
  int64_t out = 7;
  CHECK_OK(lk_varint_to_i64((lk_varint){ (uint64_t)INT64_MAX, false }, &out));
  CHECK_I64(out, INT64_MAX);
  CHECK_OK(lk_varint_to_i64((lk_varint){ (uint64_t)INT64_MAX + 1, true }, &out));
  CHECK_I64(out, INT64_MIN);
  CHECK_ERR(lk_varint_to_i64((lk_varint){ (uint64_t)INT64_MAX + 1, false }, &out), LK_ERR_OVERFLOW);
  CHECK_ERR(lk_varint_to_i64((lk_varint){ UINT64_MAX, true }, &out), LK_ERR_OVERFLOW);
  CHECK_I64(out, INT64_MIN);
}

TEST(varuint_writer_tells_of_a_full_buffer) {
  lk_buf buf;
  lk_buf_init(&buf, test_alloc(), 3);
  CHECK_OK(lk_varuint_encode(&buf, 300));
  CHECK_ERR(lk_varuint_encode(&buf, 300), LK_ERR_LIMIT);
  CHECK_ERR(lk_varuint_encode(&buf, 1), LK_ERR_LIMIT);
  CHECK_SLICE(lk_buf_slice(&buf), LK_LIT("\xAC\x02"));
  lk_buf_deinit(&buf);
}

/* ---- properties ---- */

PROPERTY(varint_and_varuint_round_trip) {
  uint64_t value = gen_u64(g), got = 0;
  lk_varint number = { gen_u64(g), gen_bool(g) }, back = { 0 };
  lk_buf buf = new_buf();
  CHECK_OK(lk_varuint_encode(&buf, value));
  CHECK_U64(buf.len, lk_varuint_len(value));
  CHECK_OK(lk_varint_encode(&buf, number));
  CHECK_U64(buf.len, lk_varuint_len(value) + lk_varint_len(number));
  lk_reader in = lk_reader_of(lk_buf_slice(&buf));
  CHECK_OK(lk_varuint_decode_canonical(&in, UINT64_MAX, &got));
  CHECK_OK(lk_varint_decode(&in, UINT64_MAX, &back));
  CHECK_U64(got, value);
  CHECK(back.magnitude == number.magnitude && back.negative == number.negative);
  CHECK_OK(lk_reader_end(&in));
  lk_buf_deinit(&buf);
}

/* The rule of the header, as plainly as it can be written. */
static lk_err plain_varuint(lk_slice wire, uint64_t max, uint64_t *out, size_t *len) {
  uint64_t value = 0;
  for (size_t i = 0; i < wire.len; i++) {
    unsigned shift = (unsigned)(7 * i);
    uint64_t group = wire.ptr[i] & 0x7F;
    if (shift == 63 && group > 1) return LK_ERR_RANGE;
    value |= group << shift;
    if (wire.ptr[i] < 0x80) {
      *out = value;
      *len = i + 1;
      return value > max ? LK_ERR_RANGE : LK_OK;
    }
    if (i == LK_VARUINT_LEN_MAX - 1) return LK_ERR_NOT_CANONICAL;
  }
  return LK_ERR_TRUNCATED;
}

/* Goal: the word at a time and the byte at a time agree.
 * Method: mostly continuation bytes, so that every length comes up. */
PROPERTY(varuint_reads_as_the_plain_rule_says) {
  uint8_t wire[24];
  size_t len = gen_below(g, sizeof wire + 1), want_len = 0;
  for (size_t i = 0; i < len; i++) {
    wire[i] = (uint8_t)gen_below(g, 256);
    if (gen_chance(g, 3, 4)) wire[i] |= 0x80;
  }
  uint64_t max = gen_u64(g), want = 0, got = 0;
  lk_reader in = lk_reader_of(lk_slice_of(wire, len));
  lk_err err = plain_varuint(in.bytes, max, &want, &want_len);
  CHECK_ERR(lk_varuint_decode(&in, max, &got), err);
  CHECK_U64(in.pos, err == LK_OK ? want_len : 0);
  CHECK_U64(got, err == LK_OK ? want : 0);
}
