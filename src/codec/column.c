/* codec/column.c -- why a list of clocks is three bytes long.
 *
 * A second-format update stores each field of all structs side by side: nine columns, of which
 * most hold long runs of one value or of one step. Each kind of column says in its own way how
 * long a run is, and each way has a turn that must be copied exactly, since the bytes are Yjs':
 *
 *   rle      05 02 07              5 5 5 7 7 7 ...   the last run has no count and never ends
 *   uint     05                    5                 a single value, its count is not written
 *            45 01                 5 5 5             "minus 5" says that count - 2 follows
 *            40 01                 0 0 0             so there is a minus 0
 *   inc      45 01                 5 6 7
 *   diff     06                    +3                step * 2, lowest bit 0: once
 *            07 01                 +3 +3 +3          lowest bit 1: count - 2 follows
 *            41 01                 -1 -1 -1          -1 * 2 + 1 = -1: the bit is added, not or-ed
 *
 * The turns. An opt-rle encoder starts as if an empty run of 0 were open, so that leading zeros
 * need no special case. In a diff column the lowest bit is that of the number in two's
 * complement, and the step is the rest shifted right, rounding down.
 *
 * lib0 computes with doubles: beyond 2^53 its bytes are wrong rather than refused. We refuse:
 * values and steps are kept within what a double holds, doubled steps included.
 *
 * Texts. All texts stand in one string, their lengths count UTF-16 units, and a length may end
 * between the halves of a pair: Yjs produces that when it writes a string it had cut there. The
 * bytes of such a column are perfectly good UTF-8; only when it is cut up again do the halves
 * appear, and when they are written side by side they must join again. lk_column_piece carries
 * them.
 *
 * Always: a decoder is changed only by a step that succeeds; an encoder's error is the first. */
#include "codec/column.h"
#include "codec/lib0.h"
#include "codec/utf.h"

#define SAFE_MAX ((int64_t)LK_VARUINT_MAX_SAFE)
#define COUNT_FOREVER UINT64_MAX

static bool is_safe(int64_t value) { return value >= -SAFE_MAX && value <= SAFE_MAX; }

static void fail(lk_buf *out, lk_err err) {
  if (out->err == LK_OK) out->err = err;
}

static lk_err finish(const lk_buf *buf, lk_slice *out) {
  if (lk_buf_err(buf) == LK_OK) *out = lk_buf_slice(buf);
  return lk_buf_err(buf);
}

/* ---- rle ---- */

void lk_column_rle_encoder_init(lk_column_rle_encoder *self, const lk_alloc *alloc, size_t max) {
  *self = (lk_column_rle_encoder){ 0 };
  lk_buf_init(&self->out, alloc, max);
}

void lk_column_rle_encoder_deinit(lk_column_rle_encoder *self) { lk_buf_deinit(&self->out); }

void lk_column_rle_append_run(lk_column_rle_encoder *self, uint8_t value) {
  if (self->count > 0) (void)lk_varuint_encode(&self->out, self->count - 1);
  (void)lk_buf_append_u8(&self->out, value);
  self->count = 1;
  self->value = value;
}

lk_err lk_column_rle_finish(lk_column_rle_encoder *self, lk_slice *out) {
  return finish(&self->out, out);
}

/* Reads count - 1 behind a run's value; at the end of the column the run never ends. |*again| is
 * how often the value comes after this time. */
static lk_err read_again(lk_reader *in, uint64_t *again) {
  if (lk_reader_left(in) > 0) return lk_varuint_decode(in, LK_VARUINT_MAX_SAFE, again);
  *again = COUNT_FOREVER;
  return LK_OK;
}

lk_err lk_column_rle_decode_run(lk_column_rle_decoder *self, uint8_t *out) {
  lk_column_rle_decoder next = *self;
  lk_err err = lk_reader_u8(&next.in, &next.value);
  if (err != LK_OK) return err;
  if ((err = read_again(&next.in, &next.count)) != LK_OK) return err;
  *self = next;
  *out = next.value;
  return LK_OK;
}

/* ---- uint and inc ---- */

void lk_column_uint_encoder_init(lk_column_uint_encoder *self, const lk_alloc *alloc, size_t max) {
  *self = (lk_column_uint_encoder){ 0 };
  lk_buf_init(&self->out, alloc, max);
}

void lk_column_uint_encoder_deinit(lk_column_uint_encoder *self) { lk_buf_deinit(&self->out); }

static void flush_uint(lk_column_uint_encoder *self) {
  if (self->count == 0) return;
  lk_varint value = { self->value, self->count > 1 };
  (void)lk_varint_encode(&self->out, value);
  if (self->count > 1) (void)lk_varuint_encode(&self->out, self->count - 2);
}

void lk_column_uint_append_run(lk_column_uint_encoder *self, uint64_t value) {
  flush_uint(self);
  if (value > LK_VARUINT_MAX_SAFE) fail(&self->out, LK_ERR_RANGE);
  self->count = 1;
  self->value = value;
}

lk_err lk_column_uint_finish(lk_column_uint_encoder *self, lk_slice *out) {
  flush_uint(self);
  self->count = 0;
  return finish(&self->out, out);
}

lk_err lk_column_uint_decode_run(lk_column_uint_decoder *self, uint64_t *out) {
  lk_column_uint_decoder next = *self;
  lk_varint value;
  lk_err err = lk_varint_decode(&next.in, LK_VARUINT_MAX_SAFE, &value);
  if (err != LK_OK) return err;
  next.count = 0;
  next.value = value.magnitude;
  if (value.negative) {
    err = lk_varuint_decode(&next.in, LK_VARUINT_MAX_SAFE, &next.count);
    if (err != LK_OK) return err;
    next.count++; /* count - 2 is written; this one is handed out now */
  }
  *self = next;
  *out = next.value;
  return LK_OK;
}

void lk_column_inc_encoder_init(lk_column_inc_encoder *self, const lk_alloc *alloc, size_t max) {
  lk_column_uint_encoder_init(&self->run, alloc, max);
}

void lk_column_inc_encoder_deinit(lk_column_inc_encoder *self) {
  lk_column_uint_encoder_deinit(&self->run);
}

lk_err lk_column_inc_finish(lk_column_inc_encoder *self, lk_slice *out) {
  return lk_column_uint_finish(&self->run, out);
}

lk_err lk_column_inc_decode(lk_column_inc_decoder *self, uint64_t *out) {
  lk_column_uint_decoder *run = &self->run;
  if (run->count == 0) return lk_column_uint_decode_run(run, out);
  if (run->value == LK_VARUINT_MAX_SAFE) return LK_ERR_RANGE;
  run->count--;
  *out = ++run->value;
  return LK_OK;
}

/* ---- diff ---- */

void lk_column_diff_encoder_init(lk_column_diff_encoder *self, const lk_alloc *alloc, size_t max) {
  *self = (lk_column_diff_encoder){ 0 };
  lk_buf_init(&self->out, alloc, max);
}

void lk_column_diff_encoder_deinit(lk_column_diff_encoder *self) { lk_buf_deinit(&self->out); }

static void flush_diff(lk_column_diff_encoder *self) {
  if (self->count == 0) return;
  int64_t doubled = self->step * 2 + (self->count > 1 ? 1 : 0);
  if (!is_safe(doubled)) {
    fail(&self->out, LK_ERR_RANGE);
    return;
  }
  (void)lk_varint_encode(&self->out, lk_varint_of_i64(doubled));
  if (self->count > 1) (void)lk_varuint_encode(&self->out, self->count - 2);
}

void lk_column_diff_append_run(lk_column_diff_encoder *self, int64_t value) {
  flush_diff(self);
  if (!is_safe(value)) {
    fail(&self->out, LK_ERR_RANGE);
    return;
  }
  self->count = 1;
  self->step = value - self->value;
  self->value = value;
}

lk_err lk_column_diff_finish(lk_column_diff_encoder *self, lk_slice *out) {
  flush_diff(self);
  self->count = 0;
  return finish(&self->out, out);
}

/* Half of |doubled|, rounded down. */
static int64_t halve(lk_varint doubled) {
  int64_t half = (int64_t)((doubled.magnitude + doubled.negative) / 2);
  return doubled.negative ? -half : half;
}

/* |*value| plus |step|, where that is a number that lib0 could hold. */
static lk_err add_step(int64_t *value, int64_t step) {
  if (!is_safe(*value + step)) return LK_ERR_RANGE;
  *value += step;
  return LK_OK;
}

lk_err lk_column_diff_decode_run(lk_column_diff_decoder *self, int64_t *out) {
  lk_column_diff_decoder next = *self;
  lk_varint doubled;
  lk_err err = lk_varint_decode(&next.in, LK_VARUINT_MAX_SAFE, &doubled);
  if (err != LK_OK) return err;
  next.count = 0;
  next.step = halve(doubled);
  if ((doubled.magnitude & 1) != 0) {
    err = lk_varuint_decode(&next.in, LK_VARUINT_MAX_SAFE, &next.count);
    if (err != LK_OK) return err;
    next.count++;
  }
  if ((err = add_step(&next.value, next.step)) != LK_OK) return err;
  *self = next;
  *out = next.value;
  return LK_OK;
}

lk_err lk_column_diff_decode(lk_column_diff_decoder *self, int64_t *out) {
  if (self->count == 0) return lk_column_diff_decode_run(self, out);
  lk_err err = add_step(&self->value, self->step);
  if (err != LK_OK) return err;
  self->count--;
  *out = self->value;
  return LK_OK;
}

/* ---- delta ---- */

void lk_column_delta_encoder_init(lk_column_delta_encoder *self, const lk_alloc *alloc, size_t max,
                                  int64_t start) {
  LK_ASSERT(is_safe(start));
  *self = (lk_column_delta_encoder){ .value = start };
  lk_buf_init(&self->out, alloc, max);
}

void lk_column_delta_encoder_deinit(lk_column_delta_encoder *self) { lk_buf_deinit(&self->out); }

/* Appends the step from |*last| to |value|, which becomes the last. */
static void append_step(lk_buf *out, int64_t *last, int64_t value) {
  if (!is_safe(value) || !is_safe(value - *last)) {
    fail(out, LK_ERR_RANGE);
    return;
  }
  (void)lk_varint_encode(out, lk_varint_of_i64(value - *last));
  *last = value;
}

void lk_column_delta_append(lk_column_delta_encoder *self, int64_t value) {
  append_step(&self->out, &self->value, value);
}

lk_err lk_column_delta_finish(lk_column_delta_encoder *self, lk_slice *out) {
  return finish(&self->out, out);
}

/* Reads a step and adds it to |*value|; both are as before where that fails. */
static lk_err read_step(lk_reader *in, int64_t *value) {
  lk_reader at = *in;
  lk_varint step;
  lk_err err = lk_varint_decode(&at, LK_VARUINT_MAX_SAFE, &step);
  if (err != LK_OK) return err;
  int64_t magnitude = (int64_t)step.magnitude;
  if ((err = add_step(value, step.negative ? -magnitude : magnitude)) != LK_OK) return err;
  *in = at;
  return LK_OK;
}

lk_err lk_column_delta_decode(lk_column_delta_decoder *self, int64_t *out) {
  lk_err err = read_step(&self->in, &self->value);
  if (err == LK_OK) *out = self->value;
  return err;
}

/* ---- rledelta ---- */

void lk_column_rledelta_encoder_init(lk_column_rledelta_encoder *self, const lk_alloc *alloc,
                                     size_t max, int64_t start) {
  LK_ASSERT(is_safe(start));
  *self = (lk_column_rledelta_encoder){ .value = start };
  lk_buf_init(&self->out, alloc, max);
}

void lk_column_rledelta_encoder_deinit(lk_column_rledelta_encoder *self) {
  lk_buf_deinit(&self->out);
}

void lk_column_rledelta_append(lk_column_rledelta_encoder *self, int64_t value) {
  if (self->value == value && self->count > 0) {
    self->count++;
    return;
  }
  if (self->count > 0) (void)lk_varuint_encode(&self->out, self->count - 1);
  append_step(&self->out, &self->value, value);
  self->count = 1;
}

lk_err lk_column_rledelta_finish(lk_column_rledelta_encoder *self, lk_slice *out) {
  return finish(&self->out, out);
}

lk_err lk_column_rledelta_decode(lk_column_rledelta_decoder *self, int64_t *out) {
  if (self->count == 0) {
    lk_column_rledelta_decoder next = *self;
    lk_err err = read_step(&next.in, &next.value);
    if (err != LK_OK) return err;
    if ((err = read_again(&next.in, &next.count)) != LK_OK) return err;
    *self = next;
  } else {
    self->count--;
  }
  *out = self->value;
  return LK_OK;
}

/* ---- text ---- */

void lk_column_text_encoder_init(lk_column_text_encoder *self, const lk_alloc *alloc, size_t max) {
  *self = (lk_column_text_encoder){ 0 };
  lk_buf_init(&self->text, alloc, max);
  lk_column_uint_encoder_init(&self->units, alloc, max);
  lk_buf_init(&self->out, alloc, max);
}

void lk_column_text_encoder_deinit(lk_column_text_encoder *self) {
  lk_buf_deinit(&self->text);
  lk_column_uint_encoder_deinit(&self->units);
  lk_buf_deinit(&self->out);
}

static void append_point(lk_buf *out, uint32_t point) {
  uint8_t bytes[4];
  (void)lk_buf_append(out, lk_slice_of(bytes, lk_utf8_encode(point, bytes)));
}

/* A half that waits can only be completed by what comes right behind it. */
static void settle_high(lk_column_text_encoder *self) {
  if (self->high == 0) return;
  append_point(&self->text, LK_UTF_REPLACEMENT);
  self->high = 0;
}

static void append_low(lk_column_text_encoder *self, uint16_t low) {
  bool fits = self->high != 0 && lk_utf_is_low_surrogate(low);
  if (!fits) settle_high(self);
  append_point(&self->text, fits ? lk_utf_join(self->high, low) : LK_UTF_REPLACEMENT);
  self->high = 0;
}

void lk_column_text_append_piece(lk_column_text_encoder *self, lk_column_piece piece) {
  uint64_t units = lk_utf16_len_of_utf8(piece.text);
  if (piece.low_first != 0) {
    append_low(self, piece.low_first);
    units++;
  }
  if (piece.text.len > 0) {
    settle_high(self);
    (void)lk_buf_append(&self->text, piece.text);
  }
  if (piece.high_last != 0) {
    settle_high(self);
    self->high = piece.high_last;
    units++;
  }
  lk_column_uint_append(&self->units, units);
}

lk_err lk_column_text_finish(lk_column_text_encoder *self, lk_slice *out) {
  lk_slice units;
  lk_err err;
  settle_high(self);
  if ((err = lk_column_uint_finish(&self->units, &units)) != LK_OK) return err;
  if ((err = lk_buf_err(&self->text)) != LK_OK) return err;
  (void)lk_lib0_string_encode(&self->out, lk_buf_slice(&self->text));
  (void)lk_buf_append(&self->out, units);
  return finish(&self->out, out);
}

lk_err lk_column_text_decoder_init(lk_column_text_decoder *self, lk_slice column) {
  lk_reader in = lk_reader_of(column);
  lk_slice text;
  lk_err err = lk_lib0_string_decode(&in, &text);
  if (err != LK_OK) return err;
  *self = (lk_column_text_decoder){ .text = text,
                                    .units = lk_column_uint_decoder_of(lk_reader_rest(&in)) };
  return LK_OK;
}

/* Takes |units| units from the front of |self|. A pair that is cut is taken from the text whole:
 * its first half goes to |out|, its second one waits in |self|. */
static lk_err take_units(lk_column_text_decoder *self, uint64_t units, lk_column_piece *out) {
  *out = (lk_column_piece){ 0 };
  if (units > 0 && self->low != 0) {
    out->low_first = self->low;
    self->low = 0;
    units--;
  }
  lk_utf_place place;
  if (lk_utf8_find_unit(self->text, units, &place) != LK_OK) return LK_ERR_TRUNCATED;
  out->text = lk_slice_first(self->text, place.offset);
  self->text = lk_slice_skip(self->text, place.offset);
  if (place.inside) {
    uint32_t point;
    lk_err err = lk_utf8_decode(&self->text, &point);
    LK_ASSERT(err == LK_OK && point >= 0x10000); /* the text was checked by init */
    out->high_last = lk_utf_high_of(point);
    self->low = lk_utf_low_of(point);
  }
  return LK_OK;
}

lk_err lk_column_text_decode(lk_column_text_decoder *self, lk_column_piece *out, uint64_t *units) {
  lk_column_text_decoder next = *self;
  lk_column_piece piece;
  uint64_t count;
  lk_err err = lk_column_uint_decode(&next.units, &count);
  if (err != LK_OK) return err;
  if ((err = take_units(&next, count, &piece)) != LK_OK) return err;
  *self = next;
  *out = piece;
  if (units != NULL) *units = count;
  return LK_OK;
}
