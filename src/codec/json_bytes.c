/* codec/json_bytes.c -- what it will take is counted first, both ways: the loops that follow look at nothing else, and a
 * bounded buffer is not asked for more than that. */
#include "codec/json_bytes.h"

static uint8_t *put_byte(uint8_t *at, unsigned byte) {
  if (byte >= 100) *at++ = (uint8_t)('0' + byte / 100);
  if (byte >= 10) *at++ = (uint8_t)('0' + byte / 10 % 10);
  *at++ = (uint8_t)('0' + byte % 10);
  return at;
}

static size_t text_len(lk_slice bytes) {
  size_t len = bytes.len == 0 ? 2 : bytes.len * 2 + 1;
  for (size_t i = 0; i < bytes.len; i++)
    len += (size_t)(bytes.ptr[i] >= 10) + (size_t)(bytes.ptr[i] >= 100);
  return len;
}

lk_err lk_json_append_bytes(lk_buf *out, lk_slice bytes) {
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  if (bytes.len > (SIZE_MAX - 2) / 4) return LK_ERR_TOO_BIG;
  lk_err err = lk_buf_reserve(out, text_len(bytes));
  if (err != LK_OK) return err;
  uint8_t *at = out->ptr + out->len;
  *at++ = '[';
  for (size_t i = 0; i < bytes.len; i++) {
    if (i > 0) *at++ = ',';
    at = put_byte(at, bytes.ptr[i]);
  }
  *at++ = ']';
  out->len = (size_t)(at - out->ptr);
  return LK_OK;
}

static bool is_space(uint8_t c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static size_t skip_space(lk_slice text, size_t at) {
  while (at < text.len && is_space(text.ptr[at])) at++;
  return at;
}

/* One number and what stands around it. |*at| is behind its comma or bracket, which |*end| has. */
static lk_err parse_byte(lk_slice text, size_t *at, uint8_t *byte, uint8_t *end) {
  size_t pos = skip_space(text, *at), first = pos;
  unsigned value = 0;
  for (; pos < text.len && is_digit(text.ptr[pos]); pos++) {
    if (pos > first && text.ptr[first] == '0') return LK_ERR_SYNTAX;
    value = value * 10 + (text.ptr[pos] - '0');
    if (value > 255) return LK_ERR_RANGE;
  }
  if (pos == first) return LK_ERR_SYNTAX;
  pos = skip_space(text, pos);
  if (pos == text.len || (text.ptr[pos] != ',' && text.ptr[pos] != ']')) return LK_ERR_SYNTAX;
  *byte = (uint8_t)value;
  *end = text.ptr[pos];
  *at = pos + 1;
  return LK_OK;
}

static lk_err parse_items(lk_slice text, size_t at, uint8_t *to, size_t *count, size_t *end_at) {
  uint8_t end = ',';
  while (end == ',') {
    lk_err err = parse_byte(text, &at, &to[*count], &end);
    if (err != LK_OK) return err;
    ++*count;
  }
  *end_at = at;
  return LK_OK;
}

static size_t commas(lk_slice text) {
  size_t count = 0;
  for (size_t i = 0; i < text.len; i++) count += text.ptr[i] == ',';
  return count;
}

lk_err lk_json_parse_bytes(lk_slice text, lk_buf *out) {
  size_t count = 0, at = skip_space(text, 0);
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  if (at == text.len || text.ptr[at] != '[') return LK_ERR_SYNTAX;
  size_t first = skip_space(text, at + 1);
  lk_err err = LK_OK;
  if (first < text.len && text.ptr[first] == ']') {
    at = first + 1;
  } else {
    size_t before = out->len;
    err = lk_buf_reserve(out, commas(text) + 1);
    if (err != LK_OK) {
      lk_buf_truncate(out, before);
      return err;
    }
    err = parse_items(text, at + 1, out->ptr + out->len, &count, &at);
  }
  if (err == LK_OK && skip_space(text, at) != text.len) err = LK_ERR_SYNTAX;
  if (err == LK_OK) out->len += count;
  return err;
}
