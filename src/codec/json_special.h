/* codec/json_special.h -- the bytes that a JSON string cannot hold as they are.
 *
 * Quotes, backslashes and control characters: where the reader has to look closer, and where the
 * writer has to escape. The canonical form asks it too. */
#ifndef LK_CODEC_JSON_SPECIAL_H
#define LK_CODEC_JSON_SPECIAL_H

#include "base/num.h"
#include "base/slice.h"

#define LK_JSON_WORD_ONES UINT64_C(0x0101010101010101)
#define LK_JSON_WORD_TOPS UINT64_C(0x8080808080808080)

/* The special bytes of |word| get their topmost bit set, all other bits are 0. Bytes above the
 * lowest special one may be marked wrongly, the lowest one never is: borrows go upwards. */
static inline uint64_t lk_json_special_bytes(uint64_t word) {
  uint64_t quote = word ^ LK_JSON_WORD_ONES * '"', backslash = word ^ LK_JSON_WORD_ONES * '\\';
  uint64_t found = (quote - LK_JSON_WORD_ONES) & ~quote;
  found |= (backslash - LK_JSON_WORD_ONES) & ~backslash;
  found |= (word - LK_JSON_WORD_ONES * 0x20) & ~word;
  return found & LK_JSON_WORD_TOPS;
}

/* The index of the first special byte from |at| on, or text.len. |*high| is not 0 afterwards if a
 * byte on the way was above 7F, and perhaps if one shortly behind it was. */
static inline size_t lk_json_find_special(lk_slice text, size_t at, uint64_t *high) {
  for (; text.len - at >= 8; at += 8) {
    uint64_t word = lk_load_le64(text.ptr + at);
    uint64_t special = lk_json_special_bytes(word);
    *high |= word & LK_JSON_WORD_TOPS;
    if (special != 0) return at + lk_ctz_u64(special) / 8;
  }
  for (; at < text.len; at++) {
    uint8_t byte = text.ptr[at];
    if (byte == '"' || byte == '\\' || byte < 0x20) break;
    *high |= byte & 0x80u;
  }
  return at;
}

#endif
