/* base/slice.c -- the searches that are too long to be inline. */
#include "base/slice.h"

static uint8_t lower(uint8_t byte) {
  return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 32) : byte;
}

bool lk_slice_equal_nocase(lk_slice a, lk_slice b) {
  if (a.len != b.len) return false;
  for (size_t i = 0; i < a.len; i++) {
    if (lower(a.ptr[i]) != lower(b.ptr[i])) return false;
  }
  return true;
}

size_t lk_slice_find_byte(lk_slice s, uint8_t byte) {
  for (size_t i = 0; i < s.len; i++) {
    if (s.ptr[i] == byte) return i;
  }
  return LK_SLICE_NONE;
}

size_t lk_slice_find(lk_slice s, lk_slice needle) {
  if (needle.len == 0) return 0;
  /* i <= s.len holds, so the subtraction cannot wrap; a needle is at least one byte here. */
  for (size_t i = 0; needle.len <= s.len - i; i++) {
    if (s.ptr[i] == needle.ptr[0] && memcmp(s.ptr + i, needle.ptr, needle.len) == 0) return i;
  }
  return LK_SLICE_NONE;
}

lk_slice lk_slice_cut(lk_slice s, uint8_t byte, lk_slice *rest) {
  size_t at = lk_slice_find_byte(s, byte);
  if (at == LK_SLICE_NONE) {
    *rest = lk_slice_skip(s, s.len);
    return s;
  }
  *rest = lk_slice_skip(s, at + 1);
  return lk_slice_first(s, at);
}

static bool is_blank(uint8_t byte) { return byte == ' ' || byte == '\t'; }

lk_slice lk_slice_trim(lk_slice s) {
  while (s.len > 0 && is_blank(s.ptr[0])) s = lk_slice_skip(s, 1);
  while (s.len > 0 && is_blank(s.ptr[s.len - 1])) s.len--;
  return s;
}
