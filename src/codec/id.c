/* codec/id.c -- time first, then a counter that starts at random.
 *
 * Two ids of one millisecond must still be in order. RFC 9562 (6.2, method 2) treats the 74 bits
 * behind the time as one number: drawn at random when the time moves, raised by a random amount
 * when it does not.
 *
 *   time moved    [0rrrrrrrrrrr] [rr...r]     top bit 0: at least 2^73 of room to count
 *   it did not    last + 1 + random 32 bits   2^41 ids within one millisecond, and the next
 *                                             id cannot be told from the last but by luck
 *
 * "Moved" means above the time of the last id, so a clock that goes back changes nothing. When
 * the 74 bits are used up we do as if the clock had moved by one millisecond.
 *
 * Always: (ms, high, low) only grows. */
#include "codec/id.h"
#include "codec/hex.h"

#define HIGH_MASK UINT64_C(0xFFF)
#define LOW_MASK ((UINT64_C(1) << 62) - 1)

lk_id lk_id_of_parts(uint64_t ms, uint64_t high_12, uint64_t low_62) {
  lk_id id;
  lk_store_be64(id.bytes, ms << 16 | UINT64_C(7) << 12 | (high_12 & HIGH_MASK));
  lk_store_be64(id.bytes + 8, UINT64_C(2) << 62 | (low_62 & LOW_MASK));
  return id;
}

static lk_id_generator at_new_time(uint64_t ms, const uint8_t *entropy) {
  return (lk_id_generator){ .ms = ms,
                            .high = lk_load_be16(entropy) & (HIGH_MASK >> 1),
                            .low = lk_load_be64(entropy + 2) & LOW_MASK,
                            .began = true };
}

/* The next number of the same millisecond; false where there is none left. */
static bool count_on(lk_id_generator *self, const uint8_t *entropy) {
  uint64_t low = self->low + 1 + lk_load_be32(entropy);
  if (low > LOW_MASK) {
    if (self->high == HIGH_MASK) return false;
    self->high++;
  }
  self->low = low & LOW_MASK;
  return true;
}

lk_err lk_id_generate(lk_id_generator *self, uint64_t now_ms, const uint8_t *entropy, lk_id *out) {
  if (now_ms > LK_ID_MS_MAX) return LK_ERR_RANGE;
  if (!self->began || now_ms > self->ms) {
    *self = at_new_time(now_ms, entropy);
  } else if (!count_on(self, entropy)) {
    LK_COVERED(id_used_up_a_millisecond);
    if (self->ms == LK_ID_MS_MAX) return LK_ERR_RANGE;
    *self = at_new_time(self->ms + 1, entropy);
  }
  *out = lk_id_of_parts(self->ms, self->high, self->low);
  return LK_OK;
}

bool lk_id_is_v7(const lk_id *self) { return self->bytes[6] >> 4 == 7 && self->bytes[8] >> 6 == 2; }

uint64_t lk_id_ms(const lk_id *self) { return lk_load_be64(self->bytes) >> 16; }

/* The text is five groups of bytes, of which these are the ends. */
static bool hyphen_follows(size_t byte_index) {
  return byte_index == 3 || byte_index == 5 || byte_index == 7 || byte_index == 9;
}

void lk_id_format(const lk_id *self, uint8_t *out) {
  for (size_t i = 0; i < LK_ID_LEN; i++) {
    lk_hex_store(out, lk_slice_of(&self->bytes[i], 1));
    out += 2;
    if (hyphen_follows(i)) *out++ = '-';
  }
}

lk_err lk_id_decode_text(lk_slice text, lk_id *out) {
  lk_id id;
  if (text.len != LK_ID_TEXT_LEN) return LK_ERR_SYNTAX;
  const uint8_t *at = text.ptr;
  for (size_t i = 0; i < LK_ID_LEN; i++) {
    int high = lk_hex_digit(at[0]), low = lk_hex_digit(at[1]);
    if (high < 0 || low < 0) return LK_ERR_SYNTAX;
    id.bytes[i] = (uint8_t)(high * 16 + low);
    at += 2;
    if (hyphen_follows(i) && *at++ != '-') return LK_ERR_SYNTAX;
  }
  *out = id;
  return LK_OK;
}
