/* codec/hex.c -- two digits for a byte. Not meant for secrets: it takes branches on the data. */
#include "codec/hex.h"

int lk_hex_digit(uint8_t character) {
  if (character >= '0' && character <= '9') return character - '0';
  uint8_t lower = character | 0x20;
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

void lk_hex_store(uint8_t *out, lk_slice bytes) {
  static const uint8_t digits[16] = { '0', '1', '2', '3', '4', '5', '6', '7',
                                      '8', '9', 'a', 'b', 'c', 'd', 'e', 'f' };
  for (size_t i = 0; i < bytes.len; i++) {
    out[2 * i] = digits[bytes.ptr[i] >> 4];
    out[2 * i + 1] = digits[bytes.ptr[i] & 15];
  }
}

lk_err lk_hex_encode(lk_buf *out, lk_slice bytes) {
  size_t len;
  if (bytes.len == 0) return lk_buf_err(out);
  if (!lk_mul_size(bytes.len, 2, &len)) return lk_buf_reserve(out, SIZE_MAX);
  uint8_t *at = lk_buf_extend(out, len);
  if (at == NULL) return lk_buf_err(out);
  lk_hex_store(at, bytes);
  return LK_OK;
}

lk_err lk_hex_decode(lk_buf *out, lk_slice text) {
  size_t before = out->len;
  if (text.len % 2 != 0) return LK_ERR_SYNTAX;
  if (text.len == 0) return lk_buf_err(out);
  uint8_t *at = lk_buf_extend(out, text.len / 2);
  if (at == NULL) return lk_buf_err(out);
  for (size_t i = 0; i < text.len; i += 2) {
    int high = lk_hex_digit(text.ptr[i]), low = lk_hex_digit(text.ptr[i + 1]);
    if (high < 0 || low < 0) {
      lk_buf_truncate(out, before);
      return LK_ERR_SYNTAX;
    }
    at[i / 2] = (uint8_t)(high * 16 + low);
  }
  return LK_OK;
}
