/* codec/column.h -- the columns of Yjs' second update format: numbers in runs, texts in one.
 *
 *   module          lib0's names                   one run is
 *   column_rle      RleEncoder (uint8)             byte, count - 1; the last has no count
 *   column_uint     UintOptRleEncoder              varint value; where negative, count - 2
 *   column_inc      IncUintOptRleEncoder           the same for value, value + 1, value + 2 ...
 *   column_diff     IntDiffOptRleEncoder           varint step * 2 + (has count); count - 2
 *   column_delta    IntDiffEncoder                 varint step, no runs
 *   column_rledelta RleIntDiffEncoder              varint step, count - 1; the last has no count
 *   column_text     StringEncoder                  varString of all texts, then a column_uint of
 *                                                  their lengths in UTF-16 units
 *
 * Encoders own a buffer and are used as: init, append..., finish, deinit. `finish` completes the
 * column inside the buffer and hands it out, borrowed until deinit; append and finish may not be
 * called after it. The first error (NOMEM, LIMIT, or LK_ERR_RANGE for a value or step that
 * lib0's numbers cannot hold) is remembered; finish returns it, so append may be trusted
 * blindly. `deinit` is safe on a zeroed struct, and twice.
 *
 * Decoders own nothing: init over the column's bytes, then one decode for each value. A column
 * does not know how many values it has; a few bytes may claim 2^53 of them, so it is the caller
 * who bounds how many he asks for. LK_ERR_TRUNCATED where the column is at its end: lib0 goes on
 * with zeros there, which no encoder counts on. Other errors are those of a varint. The decoder
 * is unchanged by an error. */
#ifndef LK_CODEC_COLUMN_H
#define LK_CODEC_COLUMN_H

#include "base/buf.h"
#include "codec/reader.h"
#include "codec/varint.h"

/* ---- encoders ---- */

typedef struct lk_column_rle_encoder {
  lk_buf out;
  uint64_t count; /* of the run that is open; 0 before the first value */
  uint8_t value;
} lk_column_rle_encoder;

/* Also for column_inc, where |value| is what the run began with. */
typedef struct lk_column_uint_encoder {
  lk_buf out;
  uint64_t count;
  uint64_t value;
} lk_column_uint_encoder;
typedef struct lk_column_inc_encoder {
  lk_column_uint_encoder run;
} lk_column_inc_encoder;

typedef struct lk_column_diff_encoder {
  lk_buf out;
  uint64_t count;
  int64_t value; /* the last one that was appended */
  int64_t step;
} lk_column_diff_encoder;

typedef struct lk_column_delta_encoder {
  lk_buf out;
  int64_t value;
} lk_column_delta_encoder;

typedef struct lk_column_rledelta_encoder {
  lk_buf out;
  uint64_t count;
  int64_t value;
} lk_column_rledelta_encoder;

/* Yjs may cut a text between the halves of a surrogate pair, which UTF-8 cannot say. So a text in
 * a column is UTF-8 with, now and then, half a pair before or behind it. Written one after the
 * other, halves that fit become whole again; one that stays alone becomes U+FFFD. */
typedef struct lk_column_piece {
  lk_slice text;      /* valid UTF-8 */
  uint16_t low_first; /* a low surrogate in front of |text|, or 0 */
  uint16_t high_last; /* a high surrogate behind it, or 0 */
} lk_column_piece;

typedef struct lk_column_text_encoder {
  lk_buf text;
  lk_column_uint_encoder units;
  lk_buf out;    /* the finished column */
  uint16_t high; /* a half that waits for its other one, or 0 */
} lk_column_text_encoder;

/* Allocates nothing. |max| bounds the column's bytes. |start| is what lib0 calls by that name. */
void lk_column_rle_encoder_init(lk_column_rle_encoder *self, const lk_alloc *alloc, size_t max);
void lk_column_uint_encoder_init(lk_column_uint_encoder *self, const lk_alloc *alloc, size_t max);
void lk_column_inc_encoder_init(lk_column_inc_encoder *self, const lk_alloc *alloc, size_t max);
void lk_column_diff_encoder_init(lk_column_diff_encoder *self, const lk_alloc *alloc, size_t max);
void lk_column_delta_encoder_init(lk_column_delta_encoder *self, const lk_alloc *alloc, size_t max,
                                  int64_t start);
void lk_column_rledelta_encoder_init(lk_column_rledelta_encoder *self, const lk_alloc *alloc,
                                     size_t max, int64_t start);
void lk_column_text_encoder_init(lk_column_text_encoder *self, const lk_alloc *alloc, size_t max);

void lk_column_rle_encoder_deinit(lk_column_rle_encoder *self);
void lk_column_uint_encoder_deinit(lk_column_uint_encoder *self);
void lk_column_inc_encoder_deinit(lk_column_inc_encoder *self);
void lk_column_diff_encoder_deinit(lk_column_diff_encoder *self);
void lk_column_delta_encoder_deinit(lk_column_delta_encoder *self);
void lk_column_rledelta_encoder_deinit(lk_column_rledelta_encoder *self);
void lk_column_text_encoder_deinit(lk_column_text_encoder *self);

void lk_column_rle_append_run(lk_column_rle_encoder *self, uint8_t value);
void lk_column_uint_append_run(lk_column_uint_encoder *self, uint64_t value);
void lk_column_diff_append_run(lk_column_diff_encoder *self, int64_t value);

static inline void lk_column_rle_append(lk_column_rle_encoder *self, uint8_t value) {
  if (self->value == value && self->count > 0) self->count++;
  else lk_column_rle_append_run(self, value);
}

static inline void lk_column_uint_append(lk_column_uint_encoder *self, uint64_t value) {
  if (self->value == value) self->count++;
  else lk_column_uint_append_run(self, value);
}

static inline void lk_column_inc_append(lk_column_inc_encoder *self, uint64_t value) {
  if (value - self->run.value == self->run.count && value <= LK_VARUINT_MAX_SAFE) {
    self->run.count++;
  } else {
    lk_column_uint_append_run(&self->run, value);
  }
}

static inline void lk_column_diff_append(lk_column_diff_encoder *self, int64_t value) {
  bool goes_on = (uint64_t)self->value + (uint64_t)self->step == (uint64_t)value;
  if (goes_on && (uint64_t)value + LK_VARUINT_MAX_SAFE <= 2 * LK_VARUINT_MAX_SAFE) {
    self->value = value;
    self->count++;
  } else {
    lk_column_diff_append_run(self, value);
  }
}

void lk_column_delta_append(lk_column_delta_encoder *self, int64_t value);
void lk_column_rledelta_append(lk_column_rledelta_encoder *self, int64_t value);
void lk_column_text_append_piece(lk_column_text_encoder *self, lk_column_piece piece);

static inline void lk_column_text_append(lk_column_text_encoder *self, lk_slice text) {
  lk_column_text_append_piece(self, (lk_column_piece){ .text = text });
}

lk_err lk_column_rle_finish(lk_column_rle_encoder *self, lk_slice *out) LK_MUST_USE;
lk_err lk_column_uint_finish(lk_column_uint_encoder *self, lk_slice *out) LK_MUST_USE;
lk_err lk_column_inc_finish(lk_column_inc_encoder *self, lk_slice *out) LK_MUST_USE;
lk_err lk_column_diff_finish(lk_column_diff_encoder *self, lk_slice *out) LK_MUST_USE;
lk_err lk_column_delta_finish(lk_column_delta_encoder *self, lk_slice *out) LK_MUST_USE;
lk_err lk_column_rledelta_finish(lk_column_rledelta_encoder *self, lk_slice *out) LK_MUST_USE;
lk_err lk_column_text_finish(lk_column_text_encoder *self, lk_slice *out) LK_MUST_USE;

/* ---- decoders ---- */

typedef struct lk_column_rle_decoder {
  lk_reader in;
  uint64_t count; /* how often |value| comes again before the next is read */
  uint8_t value;
} lk_column_rle_decoder;

typedef struct lk_column_uint_decoder {
  lk_reader in;
  uint64_t count;
  uint64_t value;
} lk_column_uint_decoder;
typedef struct lk_column_inc_decoder {
  lk_column_uint_decoder run;
} lk_column_inc_decoder;

typedef struct lk_column_diff_decoder {
  lk_reader in;
  uint64_t count;
  int64_t value;
  int64_t step;
} lk_column_diff_decoder;

typedef struct lk_column_delta_decoder {
  lk_reader in;
  int64_t value;
} lk_column_delta_decoder;

typedef struct lk_column_rledelta_decoder {
  lk_reader in;
  uint64_t count;
  int64_t value;
} lk_column_rledelta_decoder;

typedef struct lk_column_text_decoder {
  lk_slice text; /* what was not handed out yet */
  lk_column_uint_decoder units;
  uint16_t low; /* the second half of a pair whose first half was handed out, or 0 */
} lk_column_text_decoder;

static inline lk_column_rle_decoder lk_column_rle_decoder_of(lk_slice column) {
  return (lk_column_rle_decoder){ .in = lk_reader_of(column) };
}
static inline lk_column_uint_decoder lk_column_uint_decoder_of(lk_slice column) {
  return (lk_column_uint_decoder){ .in = lk_reader_of(column) };
}
static inline lk_column_inc_decoder lk_column_inc_decoder_of(lk_slice column) {
  return (lk_column_inc_decoder){ lk_column_uint_decoder_of(column) };
}
static inline lk_column_diff_decoder lk_column_diff_decoder_of(lk_slice column) {
  return (lk_column_diff_decoder){ .in = lk_reader_of(column) };
}
static inline lk_column_delta_decoder lk_column_delta_decoder_of(lk_slice column, int64_t start) {
  return (lk_column_delta_decoder){ .in = lk_reader_of(column), .value = start };
}
static inline lk_column_rledelta_decoder lk_column_rledelta_decoder_of(lk_slice column,
                                                                       int64_t start) {
  return (lk_column_rledelta_decoder){ .in = lk_reader_of(column), .value = start };
}

/* Checks the text: LK_ERR_UTF8, or as lk_lib0_string_decode(). |self| is then as before. */
lk_err lk_column_text_decoder_init(lk_column_text_decoder *self, lk_slice column) LK_MUST_USE;

lk_err lk_column_rle_decode_run(lk_column_rle_decoder *self, uint8_t *out) LK_MUST_USE;
lk_err lk_column_uint_decode_run(lk_column_uint_decoder *self, uint64_t *out) LK_MUST_USE;
lk_err lk_column_diff_decode_run(lk_column_diff_decoder *self, int64_t *out) LK_MUST_USE;

LK_MUST_USE static inline lk_err lk_column_rle_decode(lk_column_rle_decoder *self, uint8_t *out) {
  if (self->count == 0) return lk_column_rle_decode_run(self, out);
  self->count--;
  *out = self->value;
  return LK_OK;
}

LK_MUST_USE static inline lk_err lk_column_uint_decode(lk_column_uint_decoder *self,
                                                       uint64_t *out) {
  if (self->count == 0) return lk_column_uint_decode_run(self, out);
  self->count--;
  *out = self->value;
  return LK_OK;
}

/* LK_ERR_RANGE where a value would be above LK_VARUINT_MAX_SAFE; likewise below. */
lk_err lk_column_inc_decode(lk_column_inc_decoder *self, uint64_t *out) LK_MUST_USE;
/* Values may be negative, for the caller to refuse where he has no use for them. */
lk_err lk_column_diff_decode(lk_column_diff_decoder *self, int64_t *out) LK_MUST_USE;
lk_err lk_column_delta_decode(lk_column_delta_decoder *self, int64_t *out) LK_MUST_USE;
lk_err lk_column_rledelta_decode(lk_column_rledelta_decoder *self, int64_t *out) LK_MUST_USE;

/* |out->text| is borrowed from the column. |units|, which may be NULL, receives the text's length
 * in UTF-16 units. LK_ERR_TRUNCATED also where the length is more than the text that is left. */
lk_err lk_column_text_decode(lk_column_text_decoder *self, lk_column_piece *out,
                             uint64_t *units) LK_MUST_USE;

#endif
