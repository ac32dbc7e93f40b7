/* codec/json_writer.c -- where commas come from.
 *
 *     state      a value         a key                 an end
 *     TOP        DONE            -                     -
 *     FIRST      NEXT            FIRST is for arrays   allowed
 *     NEXT       "," NEXT        -                     allowed
 *     FIRST_KEY  -               VALUE                 allowed
 *     NEXT_KEY   -               "," VALUE             allowed
 *     VALUE      NEXT_KEY        -                     -
 *     DONE       -               -                     -
 *
 * "-" is an assertion. After an end the state follows from the bracket around it, one bit a level.
 *
 * An error makes the writer deaf instead of half-informed: nothing is appended and no state changes
 * from then on, so that the assertions do not fire for calls that only follow from the error.
 *
 * Strings are checked as a whole first and then copied in runs between the characters that need an
 * escape. Not chosen: escaping U+2028 and U+2029 or "</script": our JSON is read by JSON parsers,
 * and who puts it into HTML must escape there anyway. */
#include "codec/json_writer.h"

#include "codec/json_special.h"
#include "codec/number.h"
#include "codec/utf.h"

typedef enum state { TOP, FIRST, NEXT, FIRST_KEY, NEXT_KEY, VALUE, DONE } state;

static lk_err fail(lk_json_writer *self, lk_err err) {
  self->err = err;
  return err;
}

static lk_err append(lk_json_writer *self, lk_slice bytes) {
  lk_err err = lk_buf_append(self->buf, bytes);
  return err == LK_OK ? LK_OK : fail(self, err);
}

static lk_err append_u8(lk_json_writer *self, uint8_t byte) {
  lk_err err = lk_buf_append_u8(self->buf, byte);
  return err == LK_OK ? LK_OK : fail(self, err);
}

void lk_json_writer_init(lk_json_writer *self, lk_buf *buf) {
  *self = (lk_json_writer){ .buf = buf, .start = buf->len, .state = TOP, .err = lk_buf_err(buf) };
  self->buf_failed = self->err != LK_OK;
}

/* ---- places ---- */

static bool top_is_object(const lk_json_writer *self) {
  uint32_t level = self->depth - 1;
  return (self->in_object[level / 32] >> level % 32 & 1) != 0;
}

/* Before every value: is one allowed here, and does a comma belong in front of it? */
static lk_err begin_value(lk_json_writer *self) {
  if (self->err != LK_OK) return self->err;
  LK_ASSERT(self->state != DONE); /* one value, and that has been written */
  LK_ASSERT(self->state != FIRST_KEY && self->state != NEXT_KEY); /* its key comes first */
  return self->state == NEXT ? append_u8(self, ',') : LK_OK;
}

/* Behind every value, simple or whole. */
static void end_value(lk_json_writer *self) {
  self->state = self->depth == 0 ? DONE : top_is_object(self) ? NEXT_KEY : NEXT;
}

static lk_err append_value(lk_json_writer *self, lk_slice text) {
  lk_err err = begin_value(self);
  if (err == LK_OK) err = append(self, text);
  if (err == LK_OK) end_value(self);
  return err;
}

static lk_err begin_level(lk_json_writer *self, bool object) {
  lk_err err = begin_value(self);
  if (err != LK_OK) return err;
  if (self->depth == LK_JSON_WRITER_DEPTH_MAX) return fail(self, LK_ERR_DEPTH);
  if ((err = append_u8(self, object ? '{' : '[')) != LK_OK) return err;
  uint32_t bit = (uint32_t)1 << self->depth % 32;
  uint32_t *word = &self->in_object[self->depth / 32];
  *word = object ? *word | bit : *word & ~bit;
  self->depth++;
  self->state = object ? FIRST_KEY : FIRST;
  return LK_OK;
}

static lk_err end_level(lk_json_writer *self, bool object) {
  if (self->err != LK_OK) return self->err;
  LK_ASSERT(self->depth > 0 && top_is_object(self) == object);
  LK_ASSERT(self->state != VALUE); /* a key still lacks its value */
  lk_err err = append_u8(self, object ? '}' : ']');
  if (err != LK_OK) return err;
  self->depth--;
  end_value(self);
  return LK_OK;
}

lk_err lk_json_begin_object(lk_json_writer *self) { return begin_level(self, true); }
lk_err lk_json_end_object(lk_json_writer *self) { return end_level(self, true); }
lk_err lk_json_begin_array(lk_json_writer *self) { return begin_level(self, false); }
lk_err lk_json_end_array(lk_json_writer *self) { return end_level(self, false); }

lk_err lk_json_writer_finish(lk_json_writer *self) {
  if (self->err == LK_OK) {
    LK_ASSERT(self->state == DONE);
    return LK_OK;
  }
  /* Cutting clears the buffer's error, which is its owner's to clear if it came with it. */
  if (!self->buf_failed) lk_buf_truncate(self->buf, self->start);
  return self->err;
}

/* ---- strings ---- */

/* The escape of a byte that needs one. */
static lk_slice escape_of(uint8_t byte, uint8_t room[6]) {
  static const char digits[] = "0123456789abcdef";
  switch (byte) {
  case '"': return LK_LIT("\\\"");
  case '\\': return LK_LIT("\\\\");
  case '\b': return LK_LIT("\\b");
  case '\f': return LK_LIT("\\f");
  case '\n': return LK_LIT("\\n");
  case '\r': return LK_LIT("\\r");
  case '\t': return LK_LIT("\\t");
  default: break;
  }
  LK_ASSERT(byte < 0x20);
  memcpy(room, "\\u00", 4);
  room[4] = (uint8_t)digits[byte >> 4];
  room[5] = (uint8_t)digits[byte & 15];
  return lk_slice_of(room, 6);
}

static lk_err append_string(lk_json_writer *self, lk_slice text) {
  if (lk_utf8_check(text) != LK_OK) return fail(self, LK_ERR_UTF8);
  uint64_t high = 0; /* of no interest: the text has been checked */
  lk_err err = append_u8(self, '"');
  while (err == LK_OK && text.len > 0) {
    size_t plain = lk_json_find_special(text, 0, &high);
    err = append(self, lk_slice_first(text, plain));
    text = lk_slice_skip(text, plain);
    if (err != LK_OK || text.len == 0) break;
    uint8_t room[6];
    err = append(self, escape_of(text.ptr[0], room));
    text = lk_slice_skip(text, 1);
  }
  return err == LK_OK ? append_u8(self, '"') : err;
}

lk_err lk_json_write_key(lk_json_writer *self, lk_slice text) {
  if (self->err != LK_OK) return self->err;
  LK_ASSERT(self->state == FIRST_KEY || self->state == NEXT_KEY);
  lk_err err = self->state == NEXT_KEY ? append_u8(self, ',') : LK_OK;
  if (err == LK_OK) err = append_string(self, text);
  if (err == LK_OK) err = append_u8(self, ':');
  if (err == LK_OK) self->state = VALUE;
  return err;
}

lk_err lk_json_write_string(lk_json_writer *self, lk_slice text) {
  lk_err err = begin_value(self);
  if (err == LK_OK) err = append_string(self, text);
  if (err == LK_OK) end_value(self);
  return err;
}

/* ---- other values ---- */

lk_err lk_json_write_u64(lk_json_writer *self, uint64_t value) {
  uint8_t text[LK_NUMBER_INT_CHARS];
  return append_value(self, lk_slice_of(text, lk_number_print_u64(value, text)));
}

lk_err lk_json_write_i64(lk_json_writer *self, int64_t value) {
  uint8_t text[LK_NUMBER_INT_CHARS];
  return append_value(self, lk_slice_of(text, lk_number_print_i64(value, text)));
}

lk_err lk_json_write_f64(lk_json_writer *self, double value) {
  uint8_t text[LK_NUMBER_F64_CHARS];
  if (self->err != LK_OK) return self->err;
  if (value - value != 0) return fail(self, LK_ERR_INVALID); /* only of finite numbers it is 0 */
  return append_value(self, lk_slice_of(text, lk_number_print_f64(value, text)));
}

lk_err lk_json_write_bool(lk_json_writer *self, bool value) {
  return append_value(self, value ? LK_LIT("true") : LK_LIT("false"));
}

lk_err lk_json_write_null(lk_json_writer *self) { return append_value(self, LK_LIT("null")); }

lk_err lk_json_write_raw(lk_json_writer *self, lk_slice json) {
  LK_ASSERT(json.len > 0);
  return append_value(self, json);
}
