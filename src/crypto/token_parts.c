/* crypto/token_parts.c -- taking a token's text apart.
 *
 * The decoder of base64 is strict, so a signature has one text only: a token cannot be changed into
 * another one that is valid as well, and may be remembered by its text. */
#include "crypto/token_parts.h"

#include "codec/base64.h"

lk_err lk_token_parts_of(lk_slice text, uint32_t bytes_max, lk_token_parts *out) {
  lk_slice rest, signature;
  if (text.len == 0) return LK_ERR_TOKEN_MISSING;
  if (text.len > bytes_max) return LK_ERR_TOO_BIG;
  size_t first = lk_slice_find_byte(text, '.');
  if (first == LK_SLICE_NONE) return LK_ERR_TOKEN_INVALID;
  rest = lk_slice_skip(text, first + 1);
  size_t second = lk_slice_find_byte(rest, '.');
  if (second == LK_SLICE_NONE) return LK_ERR_TOKEN_INVALID;
  signature = lk_slice_skip(rest, second + 1);
  if (lk_slice_find_byte(signature, '.') != LK_SLICE_NONE) return LK_ERR_TOKEN_INVALID;
  *out = (lk_token_parts){
    .header = lk_slice_first(text, first),
    .payload = lk_slice_first(rest, second),
    .signature = signature,
    .signed_text = lk_slice_first(text, first + 1 + second),
  };
  return LK_OK;
}

lk_err lk_token_parts_bytes(lk_slice text, lk_arena *arena, lk_slice *out) {
  lk_buf bytes;
  lk_buf_init(&bytes, arena->alloc, text.len);
  lk_err err = lk_token_refusal(lk_base64_decode(&bytes, text, LK_BASE64_FORM_URL));
  if (err == LK_OK) err = lk_arena_copy(arena, lk_buf_slice(&bytes), out);
  lk_buf_deinit(&bytes);
  return err;
}
