/* codec/varint.h -- lib0's integers of variable length.
 *
 * A varuint is groups of 7 bits, the lowest first, each byte but the last with its top bit set.
 * A varint has its sign in the first byte (0x40) and only 6 bits of magnitude there: it is a
 * sign and a magnitude, so there is a negative zero, and Yjs gives it a meaning. Hence it is
 * read into an lk_varint and not into an int64_t.
 *
 * As lib0 does, decoders accept longer forms than necessary (trailing groups of zero), up to
 * LK_VARUINT_LEN_MAX bytes. Who needs the one canonical form compares what was read with
 * lk_varuint_len() or lk_varint_len(), or calls lk_varuint_decode_canonical().
 *
 * Errors: LK_ERR_TRUNCATED where the bytes end first; LK_ERR_RANGE where the value is above
 * |max|; LK_ERR_NOT_CANONICAL for more than LK_VARUINT_LEN_MAX bytes. |in| and |out| are then as
 * before. lib0 itself reads 0 at the end of its input for a varint; that is an error here. */
#ifndef LK_CODEC_VARINT_H
#define LK_CODEC_VARINT_H

#include "base/buf.h"
#include "codec/reader.h"

/* The greatest integer that a JavaScript number holds exactly: the |max| for lib0 and Yjs. */
#define LK_VARUINT_MAX_SAFE ((UINT64_C(1) << 53) - 1)

/* The most bytes of one varuint or varint of 64 bits. */
#define LK_VARUINT_LEN_MAX 10

typedef struct lk_varint {
  uint64_t magnitude;
  bool negative; /* also with a magnitude of 0 */
} lk_varint;

lk_err lk_varuint_decode_long(lk_reader *in, uint64_t max, uint64_t *out) LK_MUST_USE;
lk_err lk_varuint_encode_long(lk_buf *out, uint64_t value);

/* One byte is by far the most common length, and is read in place. */
LK_MUST_USE static inline lk_err lk_varuint_decode(lk_reader *in, uint64_t max, uint64_t *out) {
  if (in->pos < in->bytes.len) {
    uint8_t byte = in->bytes.ptr[in->pos];
    if (byte < 0x80 && byte <= max) {
      in->pos++;
      *out = byte;
      return LK_OK;
    }
  }
  return lk_varuint_decode_long(in, max, out);
}

/* LK_ERR_NOT_CANONICAL also where fewer bytes would have done. */
lk_err lk_varuint_decode_canonical(lk_reader *in, uint64_t max, uint64_t *out) LK_MUST_USE;

/* |max| is of the magnitude. */
lk_err lk_varint_decode(lk_reader *in, uint64_t max, lk_varint *out) LK_MUST_USE;

/* Appends the canonical form. Errors are the buffer's, and remembered by it. */
LK_SHORT lk_err lk_varuint_encode(lk_buf *out, uint64_t value) {
  if (value < 0x80 && out->err == LK_OK && out->len < out->cap) {
    out->ptr[out->len++] = (uint8_t)value;
    return LK_OK;
  }
  return lk_varuint_encode_long(out, value);
}
lk_err lk_varint_encode(lk_buf *out, lk_varint value);

/* Writes the canonical form to |out|, which has room for lk_varuint_len(value) bytes, and
 * returns that length: for encoders that have reserved what they need. */
LK_SHORT size_t lk_varuint_store(uint8_t *out, uint64_t value) {
  size_t len = 0;
  for (; value >= 0x80; value >>= 7) out[len++] = (uint8_t)(0x80 | (value & 0x7F));
  out[len++] = (uint8_t)value;
  return len;
}

/* The same for numbers that are mostly short, where there is room for LK_VARUINT_LEN_MAX bytes: returns the place behind it. */
static inline __attribute__((always_inline)) uint8_t *lk_varuint_put(uint8_t *to, uint64_t value) {
  if (value < 0x80) {
    *to = (uint8_t)value;
    return to + 1;
  }
  if (value < 0x200000) {
    uint32_t low = (uint32_t)value;
    bool three = low >= 0x4000;
    lk_store_le32(to, (low & 0x7F) | 0x80 | (low << 1 & 0x7F00) | (uint32_t)three << 15 |
                          (low << 2 & 0x7F0000));
    return to + 2 + three;
  }
  return to + lk_varuint_store(to, value);
}

/* The length of the canonical form: 1 to LK_VARUINT_LEN_MAX. */
static inline size_t lk_varuint_len(uint64_t value) { return (70 - lk_clz_u64(value | 1)) / 7; }
static inline size_t lk_varint_len(lk_varint value) {
  return value.magnitude < 0x40 ? 1 : 1 + lk_varuint_len(value.magnitude >> 6);
}

static inline lk_varint lk_varint_of_i64(int64_t value) {
  return (lk_varint){ value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0 };
}

/* Negative zero becomes 0. LK_ERR_OVERFLOW where it does not fit; |out| is then as before. */
static inline lk_err lk_varint_to_i64(lk_varint value, int64_t *out) {
  if (value.magnitude > (uint64_t)INT64_MAX) {
    if (!value.negative || value.magnitude != (uint64_t)INT64_MAX + 1) return LK_ERR_OVERFLOW;
    *out = INT64_MIN;
    return LK_OK;
  }
  *out = value.negative ? -(int64_t)value.magnitude : (int64_t)value.magnitude;
  return LK_OK;
}

#endif
