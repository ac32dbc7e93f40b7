/* codec/utf.c -- one small automaton for validity, and counting without decoding.
 *
 * Validity. UTF-8 is a regular language; an automaton of nine states knows it:
 *
 *   OK   between characters            E0, F0   next byte must not make it overlong
 *   C1   one more byte 80..BF          ED       next byte must not make it a surrogate
 *   C2   two more, C3 three more       F4       next byte must not go above U+10FFFF
 *   BAD  for ever
 *
 * Each state is a multiple of six and each byte has one 64-bit word: bits s to s+5 of it are
 * the state that follows s. So one step is
 *
 *   state = row[byte] >> (state & 63)
 *
 * a load that does not depend on the state and one shift, without any branch that text could
 * mispredict. A transition that is not listed is 0, which is BAD, and BAD's bits are 0 as well:
 * an error sticks. So a block is run blindly and looked at once at its end; where it went bad it
 * is run again byte by byte for the exact index. Whole words of ASCII are skipped between
 * characters. Since the state is the whole memory, text in pieces needs nothing more, and the
 * error comes at the very byte that makes the text hopeless.
 *
 * Counting. In valid text, UTF-16 units = bytes that are not 10xxxxxx + bytes that are
 * 11110xxx. Eight bytes at a time give eight counts in one word; they are summed sideways
 * before any of them can overflow. Finding a UTF-16 index skips such words while they are below
 * it and walks characters only in the last one.
 *
 * Not chosen: SIMD validation. It is several times faster on long texts, but each target needs
 * its own; our texts are mostly short, or ASCII. */
#include "codec/utf.h"

/* ---- the automaton ---- */

enum {
  BAD = 0,
  OK = 6,
  C1 = 12,
  C2 = 18,
  C3 = 24,
  E0 = 30,
  ED = 36,
  F0 = 42,
  F4 = 48,
};

#define STATE_MASK 63u
#define GO(from, to) ((uint64_t)(to) << (from))

#define ROW_ASCII GO(OK, OK)
#define ROW_TAIL (GO(C1, OK) | GO(C2, C1) | GO(C3, C2))
#define ROW_80_8F (ROW_TAIL | GO(ED, C1) | GO(F4, C2))
#define ROW_90_9F (ROW_TAIL | GO(ED, C1) | GO(F0, C2))
#define ROW_A0_BF (ROW_TAIL | GO(E0, C1) | GO(F0, C2))
#define ROW_NONE UINT64_C(0)
#define ROW_LEAD_2 GO(OK, C1)
#define ROW_LEAD_3 GO(OK, C2)
#define ROW_LEAD_4 GO(OK, C3)

#define TWICE(row) row, row
#define TIMES_4(row) TWICE(row), TWICE(row)
#define TIMES_8(row) TIMES_4(row), TIMES_4(row)
#define TIMES_16(row) TIMES_8(row), TIMES_8(row)
#define TIMES_32(row) TIMES_16(row), TIMES_16(row)

/* clang-format off */
static const uint64_t rows[256] = {
  TIMES_32(ROW_ASCII), TIMES_32(ROW_ASCII), TIMES_32(ROW_ASCII), TIMES_32(ROW_ASCII), /* 00..7F */
  TIMES_16(ROW_80_8F), TIMES_16(ROW_90_9F), TIMES_32(ROW_A0_BF),                      /* 80..BF */
  TWICE(ROW_NONE), TWICE(ROW_LEAD_2), TIMES_4(ROW_LEAD_2), TIMES_8(ROW_LEAD_2),       /* C0..CF */
  TIMES_16(ROW_LEAD_2),                                                               /* D0..DF */
  GO(OK, E0), ROW_LEAD_3, TWICE(ROW_LEAD_3), TIMES_8(ROW_LEAD_3), ROW_LEAD_3,         /* E0..EC */
  GO(OK, ED), TWICE(ROW_LEAD_3),                                                      /* ED..EF */
  GO(OK, F0), ROW_LEAD_4, TWICE(ROW_LEAD_4), GO(OK, F4),                              /* F0..F4 */
  ROW_NONE, TWICE(ROW_NONE), TIMES_8(ROW_NONE),                                       /* F5..FF */
};
/* clang-format on */

#define WORD_TOPS UINT64_C(0x8080808080808080)
#define WORD_ONES UINT64_C(0x0101010101010101)
#define BLOCK_LEN 32

static uint64_t load_word(const uint8_t *at) {
  uint64_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

static bool block_is_ascii(const uint8_t *at) {
  uint64_t any = load_word(at) | load_word(at + 8) | load_word(at + 16) | load_word(at + 24);
  return (any & WORD_TOPS) == 0;
}

static uint64_t run_bytes(uint64_t state, const uint8_t *at, size_t len) {
  for (size_t i = 0; i < len; i++) state = rows[at[i]] >> (state & STATE_MASK);
  return state & STATE_MASK;
}

/* Runs |text| from |state|, which is not BAD. Returns the index of the byte that led to BAD, or
 * text.len; |*end| is the state behind that. */
static size_t run(uint64_t state, lk_slice text, uint64_t *end) {
  size_t at = 0;
  while (at < text.len) {
    size_t len = lk_min_size(BLOCK_LEN, text.len - at);
    if (len == BLOCK_LEN && state == OK && block_is_ascii(text.ptr + at)) {
      at += BLOCK_LEN;
      continue;
    }
    uint64_t next = run_bytes(state, text.ptr + at, len);
    if (next == BAD) {
      while ((state = run_bytes(state, text.ptr + at, 1)) != BAD) at++;
      break;
    }
    state = next;
    at += len;
  }
  *end = state;
  return at;
}

size_t lk_utf8_find_invalid(lk_slice text) {
  uint64_t end;
  size_t at = run(OK, text, &end);
  return end == OK ? LK_SLICE_NONE : at;
}

void lk_utf8_validator_init(lk_utf8_validator *self) { self->state = OK; }

lk_err lk_utf8_validator_feed(lk_utf8_validator *self, lk_slice piece, size_t *bad_index) {
  size_t bad = 0;
  if (self->state != BAD) bad = run(self->state, piece, &self->state);
  if (self->state != BAD) return LK_OK;
  if (bad_index != NULL) *bad_index = bad;
  return LK_ERR_UTF8;
}

lk_err lk_utf8_validator_end(const lk_utf8_validator *self) {
  return self->state == OK ? LK_OK : LK_ERR_UTF8;
}

/* ---- one code point ---- */

/* The length that a first byte announces; 1 for bytes that cannot be first. */
static size_t len_of_first(uint8_t first) {
  return first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

/* Decodes a character that is known to be valid and complete. */
static uint32_t decode_valid(const uint8_t *at, size_t len) {
  static const uint8_t first_mask[] = { 0, 0x7F, 0x1F, 0x0F, 0x07 };
  uint32_t point = at[0] & first_mask[len];
  for (size_t i = 1; i < len; i++) point = point << 6 | (at[i] & 0x3F);
  return point;
}

lk_err lk_utf8_decode(lk_slice *text, uint32_t *out) {
  uint64_t state = OK;
  size_t len = 0;
  do {
    if (len == text->len) return LK_ERR_TRUNCATED;
    state = run_bytes(state, text->ptr + len, 1);
    len++;
  } while (state != OK && state != BAD);
  if (state == BAD) return LK_ERR_UTF8;
  *out = decode_valid(text->ptr, len);
  *text = lk_slice_skip(*text, len);
  return LK_OK;
}

size_t lk_utf8_encode(uint32_t point, uint8_t out[4]) {
  if (point < 0x80) {
    out[0] = (uint8_t)point;
    return 1;
  }
  if (lk_utf_is_surrogate(point) || point > LK_UTF_CODE_POINT_MAX) point = LK_UTF_REPLACEMENT;
  static const uint8_t first_bits[] = { 0, 0, 0xC0, 0xE0, 0xF0 };
  size_t len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  for (size_t i = len - 1; i > 0; i--, point >>= 6) out[i] = (uint8_t)(0x80 | (point & 0x3F));
  out[0] = (uint8_t)(first_bits[len] | point);
  return len;
}

/* ---- counting ---- */

/* In each byte of the result: how many UTF-16 units the byte of |word| contributes, 0 to 2. */
static uint64_t units_by_byte(uint64_t word) {
  uint64_t top = word >> 7, second = word >> 6;
  uint64_t tails = top & ~second & WORD_ONES;
  uint64_t fours = top & second & (word >> 5) & (word >> 4) & WORD_ONES;
  return WORD_ONES - tails + fours;
}

/* The sum of the eight bytes of |counts|, which must be below 256. */
static size_t sum_bytes(uint64_t counts) { return (size_t)((counts * WORD_ONES) >> 56); }

/* The sum of eight bytes that may each be up to 255. */
static size_t sum_wide_bytes(uint64_t counts) {
  uint64_t pairs = (counts & UINT64_C(0x00FF00FF00FF00FF)) +
                   (counts >> 8 & UINT64_C(0x00FF00FF00FF00FF));
  return (size_t)((pairs * UINT64_C(0x0001000100010001)) >> 48);
}

static size_t units_of_byte(uint8_t byte) {
  return (size_t)((byte & 0xC0) != 0x80) + (size_t)(byte >= 0xF0);
}

size_t lk_utf16_len_of_utf8(lk_slice text) {
  enum { WORDS_MAX = 127 }; /* two units to a byte: 254 at most */
  size_t sum = 0, at = 0;
  while (text.len - at >= 8) {
    size_t words = lk_min_size((text.len - at) / 8, WORDS_MAX);
    uint64_t counts = 0;
    for (size_t i = 0; i < words; i++, at += 8) counts += units_by_byte(load_word(text.ptr + at));
    sum += sum_wide_bytes(counts);
  }
  for (; at < text.len; at++) sum += units_of_byte(text.ptr[at]);
  return sum;
}

/* Whether a pair begins at |i|. */
static bool pair_at(const uint16_t *units, size_t count, size_t i) {
  return lk_utf_is_high_surrogate(units[i]) && i + 1 < count &&
         lk_utf_is_low_surrogate(units[i + 1]);
}

size_t lk_utf8_len_of_utf16(const uint16_t *units, size_t count) {
  size_t len = 0;
  for (size_t i = 0; i < count; i++) {
    len += units[i] < 0x80 ? 1 : units[i] < 0x800 ? 2 : 3;
    if (pair_at(units, count, i)) {
      len++; /* three bytes counted already, four in all */
      i++;
    }
  }
  return len;
}

lk_err lk_utf8_find_unit(lk_slice text, uint64_t index, lk_utf_place *out) {
  size_t at = 0;
  uint64_t left = index;
  while (text.len - at >= 8 && left >= 9) {
    /* No word may be skipped that ends beyond the index. The most is 9 units: seven characters
     * of one byte, and the first byte of a pair. */
    left -= sum_bytes(units_by_byte(load_word(text.ptr + at)));
    at += 8;
  }
  /* A skipped word may have ended inside a character, whose units are counted at its first byte:
   * the bytes that follow count nothing. */
  while (at < text.len && (left > 0 || units_of_byte(text.ptr[at]) == 0)) {
    size_t units = units_of_byte(text.ptr[at]);
    if (units > left) {
      *out = (lk_utf_place){ at, true };
      return LK_OK;
    }
    left -= units;
    at++;
  }
  if (left > 0) return LK_ERR_RANGE;
  *out = (lk_utf_place){ at, false };
  return LK_OK;
}

lk_err lk_utf8_split(lk_slice text, uint64_t index, lk_slice *left, lk_slice *right, bool *halved) {
  lk_utf_place place;
  lk_err err = lk_utf8_find_unit(text, index, &place);
  if (err != LK_OK) return err;
  *left = lk_slice_first(text, place.offset);
  *right = lk_slice_skip(text, place.offset + (place.inside ? 4 : 0));
  *halved = place.inside;
  return LK_OK;
}

/* ---- converting ---- */

lk_err lk_utf8_append_utf16(lk_buf *out, const uint16_t *units, size_t count) {
  if (count == 0) return lk_buf_err(out);
  if (count > SIZE_MAX / 3) return lk_buf_reserve(out, SIZE_MAX); /* fails, and is remembered */
  uint8_t *to = lk_buf_extend(out, lk_utf8_len_of_utf16(units, count));
  if (to == NULL) return lk_buf_err(out);
  for (size_t i = 0; i < count; i++) {
    uint32_t point = units[i];
    if (pair_at(units, count, i)) {
      point = lk_utf_join(units[i], units[i + 1]);
      i++;
    }
    to += lk_utf8_encode(point, to);
  }
  return LK_OK;
}

size_t lk_utf16_of_utf8(lk_slice text, uint16_t *out, size_t cap) {
  size_t count = 0;
  for (size_t at = 0; at < text.len;) {
    size_t len = lk_min_size(len_of_first(text.ptr[at]), text.len - at);
    uint32_t point = decode_valid(text.ptr + at, len);
    at += len;
    LK_ASSERT(cap - count >= (point >= 0x10000 ? 2 : 1));
    if (point >= 0x10000) {
      out[count++] = lk_utf_high_of(point);
      point = lk_utf_low_of(point);
    }
    out[count++] = (uint16_t)point;
  }
  return count;
}
