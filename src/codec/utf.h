/* codec/utf.h -- UTF-8 as it arrives, and the UTF-16 units in which Yjs counts.
 *
 * Bytes from outside pass lk_utf8_check() once, or an lk_utf8_validator while they arrive; the
 * functions below "valid text" then take that for granted. Given invalid text they still read
 * nothing outside of it, but their results mean nothing.
 *
 * Valid is what RFC 3629 says: no surrogates, no overlong forms, nothing above U+10FFFF. */
#ifndef LK_CODEC_UTF_H
#define LK_CODEC_UTF_H

#include "base/buf.h"
#include "base/slice.h"

#define LK_UTF_REPLACEMENT 0xFFFDu
#define LK_UTF_CODE_POINT_MAX 0x10FFFFu
/* U+FFFD as bytes. */
#define LK_UTF8_REPLACEMENT LK_LIT("\xEF\xBF\xBD")

/* ---- is it valid? ---- */

/* The index of the first byte with which |text| stops being the beginning of any valid text;
 * text.len where it ends inside a character; LK_SLICE_NONE where it is valid. */
size_t lk_utf8_find_invalid(lk_slice text);

/* LK_ERR_UTF8 where |text| is not valid. */
static inline lk_err lk_utf8_check(lk_slice text) {
  return lk_utf8_find_invalid(text) == LK_SLICE_NONE ? LK_OK : LK_ERR_UTF8;
}

/* The same question for text that comes in pieces, cut anywhere. */
typedef struct lk_utf8_validator {
  uint64_t state; /* the lowest six bits; see utf.c */
} lk_utf8_validator;

void lk_utf8_validator_init(lk_utf8_validator *self);

/* LK_ERR_UTF8 as soon as a byte comes that no later one can mend: |*bad_index| is its index in
 * |piece|, and the validator stays failed (later calls give index 0). |bad_index| may be NULL. */
lk_err lk_utf8_validator_feed(lk_utf8_validator *self, lk_slice piece,
                              size_t *bad_index) LK_MUST_USE;

/* LK_ERR_UTF8 where the text has ended inside a character, or failed before. */
lk_err lk_utf8_validator_end(const lk_utf8_validator *self) LK_MUST_USE;

/* ---- one code point ---- */

static inline bool lk_utf_is_high_surrogate(uint32_t unit) {
  return (unit & 0xFFFFFC00u) == 0xD800;
}
static inline bool lk_utf_is_low_surrogate(uint32_t unit) { return (unit & 0xFFFFFC00u) == 0xDC00; }
static inline bool lk_utf_is_surrogate(uint32_t unit) { return (unit & 0xFFFFF800u) == 0xD800; }

static inline uint32_t lk_utf_join(uint16_t high, uint16_t low) {
  return 0x10000u + (((uint32_t)high & 0x3FF) << 10 | ((uint32_t)low & 0x3FF));
}
/* The halves of a code point above U+FFFF. */
static inline uint16_t lk_utf_high_of(uint32_t point) {
  return (uint16_t)(0xD800 + ((point - 0x10000u) >> 10));
}
static inline uint16_t lk_utf_low_of(uint32_t point) {
  return (uint16_t)(0xDC00 + (point & 0x3FF));
}

/* Reads the code point with which |text| begins and moves |text| behind it. LK_ERR_TRUNCATED
 * where the bytes end inside it (also for no bytes at all), LK_ERR_UTF8 where it is not valid:
 * |text| and |out| are then as before. */
lk_err lk_utf8_decode(lk_slice *text, uint32_t *out) LK_MUST_USE;

/* Writes one code point and returns its length, 1 to 4. Surrogates and what is above U+10FFFF
 * become U+FFFD, as TextEncoder does it. */
size_t lk_utf8_encode(uint32_t point, uint8_t out[4]);

/* ---- counting in valid text ---- */

/* How many UTF-16 units |text| has. */
size_t lk_utf16_len_of_utf8(lk_slice text);

/* How many bytes the units have as UTF-8, lone surrogates as U+FFFD. |units| may be NULL where
 * |count| is 0. */
size_t lk_utf8_len_of_utf16(const uint16_t *units, size_t count);

/* Where a UTF-16 index lies. */
typedef struct lk_utf_place {
  size_t offset; /* bytes before it; where |inside|, bytes before the pair */
  bool inside;   /* between the two units of a surrogate pair, which is four bytes at |offset| */
} lk_utf_place;

/* LK_ERR_RANGE where |text| has fewer than |index| units: |out| is then as before. */
lk_err lk_utf8_find_unit(lk_slice text, uint64_t index, lk_utf_place *out) LK_MUST_USE;

/* Cuts |text| before unit |index|. Where that is inside a pair, the pair is in neither part and
 * |*halved| is true: as Yjs does it, |left| is then followed and |right| preceded by U+FFFD,
 * which the caller adds. LK_ERR_RANGE as above, nothing is then written. */
lk_err lk_utf8_split(lk_slice text, uint64_t index, lk_slice *left, lk_slice *right,
                     bool *halved) LK_MUST_USE;

/* ---- converting ---- */

/* Appends the units as UTF-8, lone surrogates as U+FFFD. Errors are the buffer's. */
lk_err lk_utf8_append_utf16(lk_buf *out, const uint16_t *units, size_t count);

/* Writes valid text as UTF-16 to |out| and returns how many units that were. |cap|, the room
 * there, must be at least lk_utf16_len_of_utf8(text). */
size_t lk_utf16_of_utf8(lk_slice text, uint16_t *out, size_t cap);

#endif
