/* server/http_response.c -- a status line, headers of which one matters, a body. */
#include "server/http_response.h"

#include "codec/number.h"

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static bool read_status(lk_slice line, uint32_t *out) {
  if (!lk_slice_starts_with(line, LK_LIT("HTTP/1.")) || line.len < 12 || line.ptr[8] != ' ')
    return false;
  const uint8_t *at = line.ptr + 9;
  if (!is_digit(at[0]) || !is_digit(at[1]) || !is_digit(at[2]) || (line.len > 12 && at[3] != ' '))
    return false;
  *out = (uint32_t)(at[0] - '0') * 100 + (uint32_t)(at[1] - '0') * 10 + (uint32_t)(at[2] - '0');
  return true;
}

lk_err lk_http_response_parse(lk_slice bytes, lk_http_response *out) {
  size_t end = lk_slice_find(bytes, LK_LIT("\r\n\r\n"));
  uint64_t length;
  if (end == LK_SLICE_NONE)
    return bytes.len > 0 && bytes.ptr[0] == 'H' ? LK_ERR_TRUNCATED : LK_ERR_HTTP;
  lk_slice head = lk_slice_first(bytes, end), body = lk_slice_skip(bytes, end + 4), rest;
  if (!read_status(lk_slice_cut(head, '\r', &rest), &out->status)) return LK_ERR_HTTP;
  while (rest.len > 0) {
    lk_slice value, name = lk_slice_cut(lk_slice_cut(rest, '\r', &rest), ':', &value);
    name = lk_slice_skip(name, 1); /* the line feed */
    if (lk_slice_equal_nocase(name, LK_LIT("transfer-encoding"))) return LK_ERR_HTTP;
    if (!lk_slice_equal_nocase(name, LK_LIT("content-length"))) continue;
    if (lk_number_parse_u64(lk_slice_trim(value), &length) != LK_OK) return LK_ERR_HTTP;
    if (body.len < length) return LK_ERR_TRUNCATED;
    if (body.len > length) return LK_ERR_HTTP;
  }
  out->body = body;
  return LK_OK;
}
