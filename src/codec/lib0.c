/* codec/lib0.c -- lengths before bytes, and the highest byte first. */
#include "codec/lib0.h"
#include "codec/utf.h"
#include "codec/varint.h"

lk_err lk_lib0_bytes_decode(lk_reader *in, lk_slice *out) {
  lk_reader at = *in;
  uint64_t len;
  lk_err err = lk_varuint_decode(&at, LK_VARUINT_MAX_SAFE, &len);
  if (err != LK_OK) return err;
  if ((err = lk_reader_bytes(&at, len, out)) != LK_OK) return err;
  *in = at;
  return LK_OK;
}

lk_err lk_lib0_string_decode(lk_reader *in, lk_slice *out) {
  lk_reader at = *in;
  lk_slice text;
  lk_err err = lk_lib0_bytes_decode(&at, &text);
  if (err != LK_OK) return err;
  if ((err = lk_utf8_check(text)) != LK_OK) return err;
  *in = at;
  *out = text;
  return LK_OK;
}

lk_err lk_lib0_f32_decode(lk_reader *in, float *out) {
  uint32_t bits;
  lk_err err = lk_reader_be32(in, &bits);
  if (err == LK_OK) *out = lk_f32_of_bits(bits);
  return err;
}

lk_err lk_lib0_f64_decode(lk_reader *in, double *out) {
  uint64_t bits;
  lk_err err = lk_reader_be64(in, &bits);
  if (err == LK_OK) *out = lk_f64_of_bits(bits);
  return err;
}

lk_err lk_lib0_i64_decode(lk_reader *in, int64_t *out) {
  uint64_t bits;
  lk_err err = lk_reader_be64(in, &bits);
  if (err == LK_OK) memcpy(out, &bits, sizeof bits);
  return err;
}

lk_err lk_lib0_u64_decode(lk_reader *in, uint64_t *out) { return lk_reader_be64(in, out); }

lk_err lk_lib0_bytes_encode(lk_buf *out, lk_slice bytes) {
  (void)lk_varuint_encode(out, bytes.len);
  return lk_buf_append(out, bytes);
}

lk_err lk_lib0_string_encode(lk_buf *out, lk_slice text) {
  LK_DEBUG_ASSERT(lk_utf8_check(text) == LK_OK);
  return lk_lib0_bytes_encode(out, text);
}

/* JavaScript has one NaN; engines write it with only the highest bit of the fraction set. */
#define NAN_F32 0x7FC00000u
#define NAN_F64 (UINT64_C(0x7FF8) << 48)

lk_err lk_lib0_f32_encode(lk_buf *out, float value) {
  return lk_buf_append_be32(out, value != value ? NAN_F32 : lk_bits_of_f32(value));
}

lk_err lk_lib0_f64_encode(lk_buf *out, double value) {
  return lk_buf_append_be64(out, value != value ? NAN_F64 : lk_bits_of_f64(value));
}

lk_err lk_lib0_i64_encode(lk_buf *out, int64_t value) {
  return lk_buf_append_be64(out, (uint64_t)value);
}

lk_err lk_lib0_u64_encode(lk_buf *out, uint64_t value) { return lk_buf_append_be64(out, value); }
