/* codec/varint.c -- how an integer is taken apart seven bits at a time, without a loop.
 *
 *   varuint 300   = 1010 1100  0000 0010           300 = 0x2C + 2 * 128
 *                   more|low 7  end|next 7
 *   varint -300   = 1110 1100  0000 0100           300 = 0x2C + 4 * 64
 *                   more|sign|low 6  end|next 7
 *
 * Documents are full of varuints of one byte (read inline in the header) and of two to five
 * bytes: clocks and client ids. For those a loop mispredicts its exit. Where eight bytes are
 * left we load them at once, find the first one without its top bit by counting trailing zeros,
 * mask off what lies behind, and close the gaps between the groups in three shifts:
 *
 *   0aaaaaaa 0bbbbbbb 0ccccccc 0ddddddd ...  ->  00aaaaaaabbbbbbb 00cccccccddddddd ...
 *
 * and again for 14 and 28 bits. That covers 56 bits, more than lib0's 53. Longer ones and those
 * near the end of the input take the loop; both give the same results, which the tests compare.
 *
 * Always: a failed decode has not moved the reader. The tenth byte of a varuint has room for one
 * bit, that of a varint for two; anything more there is out of range whatever |max| says. */
#include "codec/varint.h"

#define GROUP_TOPS UINT64_C(0x8080808080808080)

static uint64_t close_gaps(uint64_t groups) {
  groups = (groups & UINT64_C(0x007F007F007F007F)) | (groups & UINT64_C(0x7F007F007F007F00)) >> 1;
  groups = (groups & UINT64_C(0x00003FFF00003FFF)) | (groups & UINT64_C(0x3FFF00003FFF0000)) >> 2;
  return (groups & UINT64_C(0x0FFFFFFF)) | (groups & UINT64_C(0x0FFFFFFF00000000)) >> 4;
}

/* Adds the groups from |*pos| on, the first worth 1 << shift, to |*value|. |first_pos| is where
 * the whole integer began, for the bound on its length. */
static lk_err read_groups(lk_slice bytes, size_t first_pos, size_t *pos, unsigned shift,
                          uint64_t *value) {
  uint64_t sum = *value;
  for (size_t at = *pos; at < bytes.len; at++, shift += 7) {
    uint64_t group = bytes.ptr[at] & 0x7F;
    if (group << shift >> shift != group) return LK_ERR_RANGE;
    sum |= group << shift;
    if (bytes.ptr[at] < 0x80) {
      *pos = at + 1;
      *value = sum;
      return LK_OK;
    }
    if (at - first_pos == LK_VARUINT_LEN_MAX - 1) return LK_ERR_NOT_CANONICAL;
  }
  return LK_ERR_TRUNCATED;
}

lk_err lk_varuint_decode_long(lk_reader *in, uint64_t max, uint64_t *out) {
  uint64_t value = 0;
  size_t pos = in->pos;
  uint64_t ends = 0, word = 0;
  if (lk_reader_left(in) >= 8) {
    word = lk_load_le64(in->bytes.ptr + pos);
    ends = ~word & GROUP_TOPS;
  }
  if (ends != 0) {
    value = close_gaps(word & (ends ^ (ends - 1)) & ~GROUP_TOPS);
    pos += (lk_ctz_u64(ends) + 1) / 8;
  } else {
    lk_err err = read_groups(in->bytes, pos, &pos, 0, &value);
    if (err != LK_OK) return err;
  }
  if (value > max) return LK_ERR_RANGE;
  in->pos = pos;
  *out = value;
  return LK_OK;
}

lk_err lk_varuint_decode_canonical(lk_reader *in, uint64_t max, uint64_t *out) {
  lk_reader at = *in;
  uint64_t value;
  lk_err err = lk_varuint_decode(&at, max, &value);
  if (err != LK_OK) return err;
  if (at.pos - in->pos != lk_varuint_len(value)) return LK_ERR_NOT_CANONICAL;
  *in = at;
  *out = value;
  return LK_OK;
}

lk_err lk_varint_decode(lk_reader *in, uint64_t max, lk_varint *out) {
  lk_reader at = *in;
  uint8_t first;
  lk_err err = lk_reader_u8(&at, &first);
  if (err != LK_OK) return err;
  uint64_t magnitude = first & 0x3F;
  if (first >= 0x80) {
    err = read_groups(in->bytes, in->pos, &at.pos, 6, &magnitude);
    if (err != LK_OK) return err;
  }
  if (magnitude > max) return LK_ERR_RANGE;
  *in = at;
  *out = (lk_varint){ magnitude, (first & 0x40) != 0 };
  return LK_OK;
}

lk_err lk_varuint_encode_long(lk_buf *out, uint64_t value) {
  uint8_t *at = lk_buf_extend(out, lk_varuint_len(value));
  if (at == NULL) return lk_buf_err(out);
  (void)lk_varuint_store(at, value);
  return LK_OK;
}

lk_err lk_varint_encode(lk_buf *out, lk_varint value) {
  uint8_t *at = lk_buf_extend(out, lk_varint_len(value));
  if (at == NULL) return lk_buf_err(out);
  uint8_t more = value.magnitude >= 0x40 ? 0x80 : 0;
  at[0] = (uint8_t)(more | (value.negative ? 0x40 : 0) | (value.magnitude & 0x3F));
  if (more != 0) (void)lk_varuint_store(at + 1, value.magnitude >> 6);
  return LK_OK;
}
