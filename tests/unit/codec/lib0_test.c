/* Strings, byte arrays and fixed numbers: lib0's bytes, and what lib0 refuses. */
#include "codec/any.h"
#include "codec/lib0.h"
#include "codec/varint.h"
#include "vectors.h"

#define PATH "tests/vectors/lib0.json"

static lk_buf new_buf(void) {
  lk_buf buf;
  lk_buf_init(&buf, test_alloc(), 4096);
  return buf;
}

TEST(lib0_strings_and_byte_arrays_have_lib0s_bytes) {
  for (int is_text = 0; is_text < 2; is_text++) {
    lk_json_member f[] = { { .name = is_text ? LK_LIT("text") : LK_LIT("bytes") },
                           VECTORS_FIELD("hex") };
    vectors v;
    vectors_open(&v, PATH, is_text ? LK_LIT("string") : LK_LIT("bytes"));
    while (vectors_next(&v, f, 2)) {
      lk_slice value = vectors_hex(&v, &f[0]), wire = vectors_hex(&v, &f[1]), got;
      lk_reader in = lk_reader_of(wire);
      lk_buf buf = new_buf();
      CHECK_OK(is_text ? lk_lib0_string_decode(&in, &got) : lk_lib0_bytes_decode(&in, &got));
      CHECK_SLICE(got, value);
      CHECK_OK(lk_reader_end(&in));
      CHECK_OK(is_text ? lk_lib0_string_encode(&buf, value) : lk_lib0_bytes_encode(&buf, value));
      CHECK_SLICE(lk_buf_slice(&buf), wire);
      lk_buf_deinit(&buf);
    }
    vectors_close(&v);
  }
}

TEST(lib0_float32_has_lib0s_bytes) {
  lk_json_member f[] = { VECTORS_FIELD("wide"), VECTORS_FIELD("hex") };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("f32"));
  while (vectors_next(&v, f, 2)) {
    lk_slice wide = vectors_hex(&v, &f[0]), wire = vectors_hex(&v, &f[1]);
    lk_reader in = lk_reader_of(wire);
    lk_buf buf = new_buf();
    float got = 0;
    CHECK_OK(lk_lib0_f32_decode(&in, &got));
    CHECK_U64(lk_bits_of_f64((double)got), lk_load_be64(wide.ptr));
    CHECK_OK(lk_lib0_f32_encode(&buf, got));
    CHECK_SLICE(lk_buf_slice(&buf), wire);
    lk_buf_deinit(&buf);
  }
  vectors_close(&v);
}

TEST(lib0_float64_has_lib0s_bytes) {
  lk_json_member f[] = { VECTORS_FIELD("bits") };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("f64"));
  while (vectors_next(&v, f, 1)) {
    lk_slice wire = vectors_hex(&v, &f[0]);
    lk_reader in = lk_reader_of(wire);
    lk_buf buf = new_buf();
    double got = 0;
    CHECK_OK(lk_lib0_f64_decode(&in, &got));
    CHECK_U64(lk_bits_of_f64(got), lk_load_be64(wire.ptr));
    CHECK_OK(lk_lib0_f64_encode(&buf, got));
    CHECK_SLICE(lk_buf_slice(&buf), wire);
    lk_buf_deinit(&buf);
  }
  vectors_close(&v);
}

TEST(lib0_bigint64_has_lib0s_bytes) {
  lk_json_member f[] = { VECTORS_FIELD("value"), VECTORS_FIELD("hex") };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("bigint64"));
  while (vectors_next(&v, f, 2)) {
    lk_slice wire = vectors_hex(&v, &f[1]), text = vectors_text(&f[0]);
    bool negative = lk_slice_starts_with(text, LK_LIT("-"));
    lk_reader in = lk_reader_of(wire);
    lk_buf buf = new_buf();
    int64_t got = 0;
    CHECK_OK(lk_lib0_i64_decode(&in, &got));
    lk_buf_append(&buf, negative ? LK_LIT("-") : LK_SLICE_EMPTY);
    lk_buf_append_decimal(&buf, negative ? 0 - (uint64_t)got : (uint64_t)got);
    CHECK_SLICE(lk_buf_slice(&buf), text);
    lk_buf_truncate(&buf, 0);
    CHECK_OK(lk_lib0_i64_encode(&buf, got));
    CHECK_SLICE(lk_buf_slice(&buf), wire);
    lk_buf_truncate(&buf, 0);
    CHECK_OK(lk_lib0_u64_encode(&buf, (uint64_t)got));
    CHECK_SLICE(lk_buf_slice(&buf), wire);
    lk_buf_deinit(&buf);
  }
  vectors_close(&v);
}

TEST(lib0_writes_every_nan_alike) {
  lk_buf buf = new_buf();
  CHECK_OK(lk_lib0_f64_encode(&buf, lk_f64_of_bits(UINT64_C(0xFFF8000000000001))));
  CHECK_OK(lk_lib0_f32_encode(&buf, lk_f32_of_bits(0xFFC00001u)));
  CHECK_SLICE(lk_buf_slice(&buf), LK_LIT("\x7F\xF8\0\0\0\0\0\0\x7F\xC0\0\0"));
  lk_buf_deinit(&buf);
}

/* One decode of what lib0 calls |kind|. */
static lk_err decode_kind(lk_slice kind, lk_reader *in) {
  uint64_t number;
  lk_varint varint;
  lk_slice bytes;
  if (lk_slice_equal(kind, LK_LIT("varuint"))) {
    return lk_varuint_decode(in, LK_VARUINT_MAX_SAFE, &number);
  }
  if (lk_slice_equal(kind, LK_LIT("varint"))) {
    return lk_varint_decode(in, LK_VARUINT_MAX_SAFE, &varint);
  }
  if (lk_slice_equal(kind, LK_LIT("string"))) return lk_lib0_string_decode(in, &bytes);
  if (lk_slice_equal(kind, LK_LIT("bytes"))) return lk_lib0_bytes_decode(in, &bytes);
  CHECK_TEXT(kind, "any");
  return lk_any_span_decode(in, 64, &bytes, NULL);
}

TEST(lib0_readers_refuse_what_lib0_refuses) {
  lk_json_member f[] = { VECTORS_FIELD("kind"), VECTORS_FIELD("hex") };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("refused"));
  while (vectors_next(&v, f, 2)) {
    lk_reader in = lk_reader_of(vectors_hex(&v, &f[1]));
    CHECK(decode_kind(vectors_text(&f[0]), &in) != LK_OK);
    CHECK_U64(in.pos, 0);
  }
  vectors_close(&v);
}

TEST(lib0_readers_say_what_is_wrong) {
  lk_slice out = LK_LIT("kept");
  lk_reader in = lk_reader_of(LK_LIT("\x02\xC3\x28"));
  CHECK_ERR(lk_lib0_string_decode(&in, &out), LK_ERR_UTF8);
  in = lk_reader_of(LK_LIT("\005abcd"));
  CHECK_ERR(lk_lib0_string_decode(&in, &out), LK_ERR_TRUNCATED);
  CHECK_ERR(lk_lib0_bytes_decode(&in, &out), LK_ERR_TRUNCATED);
  CHECK_U64(in.pos, 0);
  CHECK_TEXT(out, "kept");
}
