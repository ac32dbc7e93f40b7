/* Strings, byte arrays and numbers of fixed width: borrowed bytes lie inside the input. */
#include "codec/lib0.h"
#include "codec/utf.h"
#include "harness/test.h"

static const lk_slice samples[] = {
  LK_LIT_INIT("\x05hello"),
  LK_LIT_INIT("\011a\xC3\xA9\xF0\x9F\x98\x80zz more"),
  LK_LIT_INIT("\x00"),
  LK_LIT_INIT("\x80\x00 and more"),
};

static void check_inside(lk_slice all, const lk_reader *in, lk_slice part) {
  CHECK(in->pos >= part.len && part.len <= all.len);
  CHECK(part.len == 0 || part.ptr + part.len == all.ptr + in->pos);
}

FUZZ(lk_lib0_string_decode) {
  uint8_t scratch[64];
  lk_slice all = gen_hostile(g, samples, 4, scratch, sizeof scratch), out = LK_SLICE_EMPTY;
  lk_reader in = lk_reader_of(all);
  if (lk_lib0_string_decode(&in, &out) == LK_OK) {
    check_inside(all, &in, out);
    CHECK_OK(lk_utf8_check(out));
  } else {
    CHECK(in.pos == 0 && out.ptr == NULL);
  }
}

FUZZ(lk_lib0_bytes_decode) {
  uint8_t scratch[64];
  lk_slice all = gen_hostile(g, samples, 4, scratch, sizeof scratch), out = LK_SLICE_EMPTY;
  lk_reader in = lk_reader_of(all);
  if (lk_lib0_bytes_decode(&in, &out) == LK_OK) check_inside(all, &in, out);
  else CHECK(in.pos == 0 && out.ptr == NULL);
}

/* also fuzzes: lk_lib0_f32_decode, lk_lib0_i64_decode, lk_lib0_u64_decode */
FUZZ(lk_lib0_f64_decode) {
  uint8_t scratch[64];
  lk_slice all = gen_hostile(g, samples, 4, scratch, sizeof scratch);
  lk_reader in = lk_reader_of(all);
  float f32;
  double f64;
  int64_t i64;
  uint64_t u64;
  CHECK((lk_lib0_f32_decode(&in, &f32) == LK_OK) == (all.len >= 4));
  in.pos = 0;
  CHECK((lk_lib0_f64_decode(&in, &f64) == LK_OK) == (all.len >= 8));
  in.pos = 0;
  CHECK((lk_lib0_i64_decode(&in, &i64) == LK_OK) == (all.len >= 8));
  in.pos = 0;
  CHECK((lk_lib0_u64_decode(&in, &u64) == LK_OK) == (all.len >= 8));
  CHECK(all.len < 8 || ((uint64_t)i64 == u64 && lk_load_be64(all.ptr) == u64));
}
