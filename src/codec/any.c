/* codec/any.c -- a stack of counters instead of recursion.
 *
 * `any` is prefix notation: a container says how many children follow, and ends when they have.
 * So all that must be remembered is, for each open container, how many children are still to
 * come and whether each is preceded by a key:
 *
 *   input   117 2 | 118 1 | "k" | 125 7 |     | 126 |
 *   frames  [2      [1 {1   [1 {1k  [1 {0   [1    [0     top frame to the right; k: has a key
 *   items   ARRAY   OBJECT  KEY     NUMBER  OBJECT_END  NULL, then ARRAY_END
 *
 * A child is at least one byte and a pair at least two. A count above that cannot be true, and
 * is refused before anybody believes it. Since the sum of counts of siblings is only bounded
 * level by level, nested lies could still add up to depth * input: harmless here.
 *
 * Numbers. lib0 writes a number as a varint where it is an integer of at most 31 bits (negative
 * zero included: varints have one), else as float32 where that loses nothing, else as float64.
 * Its reader takes every form, and a document that passes through Yjs is rewritten. Therefore a
 * number is handed out as a double, and the reader remembers whether its form was the chosen
 * one: who wants Yjs' bytes can keep canonical input and must re-encode the rest.
 *
 * Always: a failed step leaves the cursor and the stack as they were. */
#include "codec/any.h"
#include "codec/lib0.h"
#include "codec/utf.h"
#include "codec/varint.h"

#include <float.h>

enum {
  TAG_BYTES = 116,
  TAG_ARRAY = 117,
  TAG_OBJECT = 118,
  TAG_STRING = 119,
  TAG_TRUE = 120,
  TAG_FALSE = 121,
  TAG_BIGINT = 122,
  TAG_F64 = 123,
  TAG_F32 = 124,
  TAG_INTEGER = 125,
  TAG_NULL = 126,
  TAG_UNDEFINED = 127,
};

#define INTEGER_MAX 2147483647.0

/* ---- numbers ---- */

static uint8_t tag_of_number(double value) {
  if (value >= -INTEGER_MAX && value <= INTEGER_MAX && (double)(int32_t)value == value) {
    return TAG_INTEGER;
  }
  if (value != value) return TAG_F64; /* NaN is not equal to its float, so lib0 takes 64 bits */
  double infinity = lk_f64_of_bits(UINT64_C(0x7FF0) << 48);
  if (value == infinity || value == -infinity) return TAG_F32;
  if (value > FLT_MAX || value < -FLT_MAX) return TAG_F64;
  return (double)(float)value == value ? TAG_F32 : TAG_F64;
}

static bool is_negative(double value) { return lk_bits_of_f64(value) >> 63 != 0; }

static lk_varint varint_of_number(double value) {
  bool negative = is_negative(value);
  return (lk_varint){ (uint64_t)(negative ? -value : value), negative };
}

static double number_of_varint(lk_varint value) {
  return value.negative ? -(double)value.magnitude : (double)value.magnitude;
}

/* ---- reading ---- */

void lk_any_reader_init(lk_any_reader *self, lk_reader *in, lk_any_frame *frames,
                        uint32_t depth_max) {
  LK_ASSERT(depth_max <= LK_ANY_DEPTH_MAX);
  *self = (lk_any_reader){ .in = in, .frames = frames, .depth_max = depth_max, .canonical = true };
}

/* One step's work in progress: it becomes the reader's state only where the step succeeds. */
typedef struct step {
  lk_reader at;
  lk_any_item item;
  bool canonical;
} step;

/* A length or count, with a note of whether it was written as short as possible. */
static lk_err step_varuint(step *s, uint64_t *out) {
  size_t began = s->at.pos;
  lk_err err = lk_varuint_decode(&s->at, LK_VARUINT_MAX_SAFE, out);
  if (err == LK_OK && s->at.pos - began != lk_varuint_len(*out)) s->canonical = false;
  return err;
}

static lk_err step_bytes(step *s, lk_any_kind kind) {
  uint64_t len;
  lk_err err = step_varuint(s, &len);
  if (err != LK_OK) return err;
  if ((err = lk_reader_bytes(&s->at, len, &s->item.as.bytes)) != LK_OK) return err;
  s->item.kind = kind;
  return kind == LK_ANY_BYTES ? LK_OK : lk_utf8_check(s->item.as.bytes);
}

static lk_err step_begin(step *s, lk_any_kind kind) {
  uint64_t count;
  lk_err err = step_varuint(s, &count);
  if (err != LK_OK) return err;
  size_t child_len = kind == LK_ANY_OBJECT_BEGIN ? 2 : 1;
  if (count > lk_reader_left(&s->at) / child_len) return LK_ERR_TRUNCATED;
  if (!lk_u64_to_u32(count, &s->item.count)) return LK_ERR_TOO_BIG;
  s->item.kind = kind;
  return LK_OK;
}

static lk_err step_integer(step *s) {
  size_t began = s->at.pos;
  lk_varint value;
  lk_err err = lk_varint_decode(&s->at, LK_VARUINT_MAX_SAFE, &value);
  if (err != LK_OK) return err;
  s->item.as.number = number_of_varint(value);
  if (s->at.pos - began != lk_varint_len(value)) s->canonical = false;
  return LK_OK;
}

static lk_err step_number(step *s, uint8_t tag) {
  float narrow;
  lk_err err;
  if (tag == TAG_INTEGER) {
    err = step_integer(s);
  } else if (tag == TAG_F64) {
    err = lk_lib0_f64_decode(&s->at, &s->item.as.number);
  } else {
    err = lk_lib0_f32_decode(&s->at, &narrow);
    if (err == LK_OK) s->item.as.number = (double)narrow;
  }
  if (err != LK_OK) return err;
  s->item.kind = LK_ANY_NUMBER;
  if (tag_of_number(s->item.as.number) != tag) s->canonical = false;
  if (tag == TAG_F64 && s->item.as.number != s->item.as.number &&
      lk_load_be64(s->at.bytes.ptr + s->at.pos - 8) != UINT64_C(0x7FF8) << 48) {
    s->canonical = false; /* a NaN that JavaScript would not write */
  }
  return LK_OK;
}

static lk_err step_value(step *s) {
  uint8_t tag;
  lk_err err = lk_reader_u8(&s->at, &tag);
  if (err != LK_OK) return err;
  switch (tag) {
  case TAG_UNDEFINED: s->item.kind = LK_ANY_UNDEFINED; return LK_OK;
  case TAG_NULL: s->item.kind = LK_ANY_NULL; return LK_OK;
  case TAG_INTEGER:
  case TAG_F32:
  case TAG_F64: return step_number(s, tag);
  case TAG_BIGINT:
    s->item.kind = LK_ANY_BIGINT;
    return lk_lib0_i64_decode(&s->at, &s->item.as.bigint);
  case TAG_FALSE:
  case TAG_TRUE:
    s->item.kind = LK_ANY_BOOL;
    s->item.as.boolean = tag == TAG_TRUE;
    return LK_OK;
  case TAG_STRING: return step_bytes(s, LK_ANY_STRING);
  case TAG_OBJECT: return step_begin(s, LK_ANY_OBJECT_BEGIN);
  case TAG_ARRAY: return step_begin(s, LK_ANY_ARRAY_BEGIN);
  case TAG_BYTES: return step_bytes(s, LK_ANY_BYTES);
  default: return LK_ERR_CORRUPT;
  }
}

lk_err lk_any_item_decode(lk_reader *in, lk_any_item *out, bool *canonical) {
  step s = { .at = *in, .canonical = *canonical };
  lk_err err = step_value(&s);
  if (err != LK_OK) return err;
  *in = s.at;
  *out = s.item;
  *canonical = s.canonical;
  return LK_OK;
}

/* The top frame is exhausted: its end is the next item, and for its parent a child is done. */
static void close_frame(lk_any_reader *self, lk_any_item *out) {
  const lk_any_frame *top = &self->frames[--self->depth];
  *out = (lk_any_item){ .kind = top->keyed ? LK_ANY_OBJECT_END : LK_ANY_ARRAY_END };
  self->done = self->depth == 0;
}

/* A value was begun or read: what that means for the frame that it is a child of. */
static void count_child(lk_any_reader *self) {
  if (self->depth == 0) return;
  lk_any_frame *top = &self->frames[self->depth - 1];
  top->left--;
  top->has_key = false;
}

lk_err lk_any_decode(lk_any_reader *self, lk_any_item *out) {
  if (self->done) return LK_ERR_END;
  lk_any_frame *top = self->depth > 0 ? &self->frames[self->depth - 1] : NULL;
  if (top != NULL && top->left == 0) {
    close_frame(self, out);
    return LK_OK;
  }
  step s = { .at = *self->in, .canonical = self->canonical };
  bool wants_key = top != NULL && top->keyed && !top->has_key;
  lk_err err = wants_key ? step_bytes(&s, LK_ANY_KEY) : step_value(&s);
  if (err != LK_OK) return err;

  bool begins = s.item.kind == LK_ANY_ARRAY_BEGIN || s.item.kind == LK_ANY_OBJECT_BEGIN;
  if (begins && self->depth == self->depth_max) return LK_ERR_DEPTH;
  if (wants_key) top->has_key = true;
  else count_child(self);
  if (begins) {
    self->frames[self->depth++] = (lk_any_frame){ .left = s.item.count,
                                                  .keyed = s.item.kind == LK_ANY_OBJECT_BEGIN };
  }
  self->done = self->depth == 0;
  self->canonical = s.canonical;
  *self->in = s.at;
  *out = s.item;
  return LK_OK;
}

lk_err lk_any_span_decode(lk_reader *in, uint32_t depth_max, lk_slice *out, bool *canonical) {
  lk_any_frame frames[LK_ANY_DEPTH_MAX];
  lk_any_item item;
  lk_any_reader reader;
  lk_reader at = *in;
  lk_err err;
  lk_any_reader_init(&reader, &at, frames, depth_max);
  while ((err = lk_any_decode(&reader, &item)) == LK_OK) continue;
  if (err != LK_ERR_END) return err;
  *out = lk_reader_since(&at, in->pos);
  if (canonical != NULL) *canonical = reader.canonical;
  *in = at;
  return LK_OK;
}

/* ---- writing ---- */

lk_err lk_any_encode_undefined(lk_buf *out) { return lk_buf_append_u8(out, TAG_UNDEFINED); }
lk_err lk_any_encode_null(lk_buf *out) { return lk_buf_append_u8(out, TAG_NULL); }

lk_err lk_any_encode_bool(lk_buf *out, bool value) {
  return lk_buf_append_u8(out, value ? TAG_TRUE : TAG_FALSE);
}

#ifndef LK_SMALL
/* An integer, where there is room for a word: its sign and 6 bits, then up to four times 7. */
static bool put_integer(lk_buf *out, double value) {
  if (out->err != LK_OK || out->cap - out->len < 8) return false;
  if (!(value >= -INTEGER_MAX && value <= INTEGER_MAX)) return false;
  int32_t integer = (int32_t)value;
  if ((double)integer != value || (integer == 0 && is_negative(value))) return false;
  uint32_t all = (uint32_t)(integer < 0 ? -integer : integer), rest = all >> 6;
  uint32_t groups = rest == 0 ? 0 : (70 - lk_clz_u64(rest)) / 7;
  uint64_t first = (all & 0x3F) | (integer < 0 ? 0x40 : 0);
  uint64_t sevens = (rest & 0x7F) | (rest & 0x3F80) << 1 | (rest & 0x1FC000) << 2 |
                    (uint64_t)(rest & 0xFE00000) << 3;
  uint64_t goes_on = UINT64_C(0x8080808080) & ((UINT64_C(1) << 8 * groups) - 1);
  lk_store_le64(out->ptr + out->len, TAG_INTEGER | (first | sevens << 8 | goes_on) << 8);
  out->len += 2 + groups;
  return true;
}
#else
#define put_integer(out, value) false
#endif

lk_err lk_any_encode_number(lk_buf *out, double value) {
  if (put_integer(out, value)) return LK_OK;
  uint8_t tag = tag_of_number(value);
  (void)lk_buf_append_u8(out, tag);
  if (tag == TAG_INTEGER) return lk_varint_encode(out, varint_of_number(value));
  if (tag == TAG_F32) return lk_lib0_f32_encode(out, (float)value);
  return lk_lib0_f64_encode(out, value);
}

lk_err lk_any_encode_bigint(lk_buf *out, int64_t value) {
  (void)lk_buf_append_u8(out, TAG_BIGINT);
  return lk_lib0_i64_encode(out, value);
}

lk_err lk_any_encode_string(lk_buf *out, lk_slice text) {
  (void)lk_buf_append_u8(out, TAG_STRING);
  return lk_lib0_string_encode(out, text);
}

lk_err lk_any_encode_bytes(lk_buf *out, lk_slice bytes) {
  (void)lk_buf_append_u8(out, TAG_BYTES);
  return lk_lib0_bytes_encode(out, bytes);
}

lk_err lk_any_encode_array_begin(lk_buf *out, uint32_t count) {
  (void)lk_buf_append_u8(out, TAG_ARRAY);
  return lk_varuint_encode(out, count);
}

lk_err lk_any_encode_object_begin(lk_buf *out, uint32_t count) {
  (void)lk_buf_append_u8(out, TAG_OBJECT);
  return lk_varuint_encode(out, count);
}

lk_err lk_any_encode_key(lk_buf *out, lk_slice text) { return lk_lib0_string_encode(out, text); }

lk_err lk_any_encode(lk_buf *out, const lk_any_item *item) {
  switch (item->kind) {
  case LK_ANY_UNDEFINED: return lk_any_encode_undefined(out);
  case LK_ANY_NULL: return lk_any_encode_null(out);
  case LK_ANY_BOOL: return lk_any_encode_bool(out, item->as.boolean);
  case LK_ANY_NUMBER: return lk_any_encode_number(out, item->as.number);
  case LK_ANY_BIGINT: return lk_any_encode_bigint(out, item->as.bigint);
  case LK_ANY_STRING: return lk_any_encode_string(out, item->as.bytes);
  case LK_ANY_BYTES: return lk_any_encode_bytes(out, item->as.bytes);
  case LK_ANY_ARRAY_BEGIN: return lk_any_encode_array_begin(out, item->count);
  case LK_ANY_OBJECT_BEGIN: return lk_any_encode_object_begin(out, item->count);
  case LK_ANY_KEY: return lk_any_encode_key(out, item->as.bytes);
  case LK_ANY_ARRAY_END:
  case LK_ANY_OBJECT_END: return lk_buf_err(out);
  }
  LK_UNREACHABLE();
}
