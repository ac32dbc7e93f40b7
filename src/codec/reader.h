/* codec/reader.h -- a cursor over bytes that came from outside.
 *
 * Each read checks what is left, and either gives its value and moves on, or gives
 * LK_ERR_TRUNCATED and leaves both the position and |out| as they were. So a decoder that fails
 * half-way restores its caller's place by copying the cursor first:
 *
 *   lk_reader at = *in;
 *   if ((err = lk_reader_u8(&at, &kind)) != LK_OK) return err;
 *   ...
 *   *in = at;
 *
 * The cursor owns nothing: slices that it hands out live as long as the bytes it was made of. */
#ifndef LK_CODEC_READER_H
#define LK_CODEC_READER_H

#include "base/num.h"
#include "base/slice.h"
#include "laniakea/types.h"

typedef struct lk_reader {
  lk_slice bytes; /* the whole input, so that a position can be reported */
  size_t pos;     /* at most bytes.len */
} lk_reader;

static inline lk_reader lk_reader_of(lk_slice bytes) { return (lk_reader){ bytes, 0 }; }

static inline size_t lk_reader_left(const lk_reader *self) { return self->bytes.len - self->pos; }

/* What has not been read yet. */
static inline lk_slice lk_reader_rest(const lk_reader *self) {
  return lk_slice_skip(self->bytes, self->pos);
}

/* What was read since the reader stood at |pos|, which must not be ahead of it. */
static inline lk_slice lk_reader_since(const lk_reader *self, size_t pos) {
  LK_ASSERT(pos <= self->pos);
  return lk_slice_first(lk_slice_skip(self->bytes, pos), self->pos - pos);
}

/* LK_ERR_TRAILING where anything is left: the last step of decoding a whole input. */
static inline lk_err lk_reader_end(const lk_reader *self) {
  return lk_reader_left(self) == 0 ? LK_OK : LK_ERR_TRAILING;
}

/* |count| bytes, borrowed. It is 64 bits wide so that a length from the wire needs no cast. */
static inline lk_err lk_reader_bytes(lk_reader *self, uint64_t count, lk_slice *out) {
  if (count > lk_reader_left(self)) return LK_ERR_TRUNCATED;
  *out = lk_slice_first(lk_reader_rest(self), (size_t)count);
  self->pos += (size_t)count;
  return LK_OK;
}

static inline lk_err lk_reader_skip(lk_reader *self, uint64_t count) {
  if (count > lk_reader_left(self)) return LK_ERR_TRUNCATED;
  self->pos += (size_t)count;
  return LK_OK;
}

/* The next byte, which stays unread. */
static inline lk_err lk_reader_peek_u8(const lk_reader *self, uint8_t *out) {
  if (self->pos == self->bytes.len) return LK_ERR_TRUNCATED;
  *out = self->bytes.ptr[self->pos];
  return LK_OK;
}

static inline lk_err lk_reader_u8(lk_reader *self, uint8_t *out) {
  if (self->pos == self->bytes.len) return LK_ERR_TRUNCATED;
  *out = self->bytes.ptr[self->pos++];
  return LK_OK;
}

/* lk_reader_le16(self, out) and so on: integers of fixed width in either byte order. */
#define LK_READER_FIXED_(name, type, load)                                                         \
  static inline lk_err lk_reader_##name(lk_reader *self, type *out) {                              \
    if (lk_reader_left(self) < sizeof(type)) return LK_ERR_TRUNCATED;                              \
    *out = load(self->bytes.ptr + self->pos);                                                      \
    self->pos += sizeof(type);                                                                     \
    return LK_OK;                                                                                  \
  }
LK_READER_FIXED_(le16, uint16_t, lk_load_le16)
LK_READER_FIXED_(le32, uint32_t, lk_load_le32)
LK_READER_FIXED_(le64, uint64_t, lk_load_le64)
LK_READER_FIXED_(be16, uint16_t, lk_load_be16)
LK_READER_FIXED_(be32, uint32_t, lk_load_be32)
LK_READER_FIXED_(be64, uint64_t, lk_load_be64)
#undef LK_READER_FIXED_

#endif
