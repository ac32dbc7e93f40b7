/* doc/value_source.c -- the values that are most common, then the others.
 *
 * Most values of a document are true, null, a short text or a small integer. Of any these are read right here, all
 * others by codec/any; where bytes of code count for more, all of them.
 *
 * NaN. A JavaScript engine may write any of its bit patterns, and V8 does: 0/0 gives FFF8 0000 0000 0000 on x86, the
 * constant NaN gives 7FF8, and what is read goes out again as it was. So every NaN of 64 bits is taken as
 * it is here, where lk_any_is_canonical() would have the one of the constant. */
#include "doc/value_source.h"

#include "codec/lib0.h"
#include "codec/utf.h"
#include "codec/varint.h"
#include "doc/value_json.h"

/* ---- any ---- */

#ifndef LK_SMALL

static lk_any_item small_integer(uint8_t byte) {
  double magnitude = byte & 0x3F;
  return (lk_any_item){ .kind = LK_ANY_NUMBER,
                        .as.number = (byte & 0x40) != 0 ? -magnitude : magnitude };
}

/* Reads one of the common values, all of which are canonical; false where another one comes, or none. */
static bool common_value(lk_reader *in, lk_any_item *out) {
  lk_slice rest = lk_reader_rest(in);
  if (rest.len == 0) return false;
  switch (rest.ptr[0]) {
  case LK_VALUE_TAG_UNDEFINED: *out = (lk_any_item){ .kind = LK_ANY_UNDEFINED }; break;
  case LK_VALUE_TAG_NULL: *out = (lk_any_item){ .kind = LK_ANY_NULL }; break;
  case LK_VALUE_TAG_TRUE:
  case LK_VALUE_TAG_FALSE:
    *out = (lk_any_item){ .kind = LK_ANY_BOOL, .as.boolean = rest.ptr[0] == LK_VALUE_TAG_TRUE };
    break;
  case LK_VALUE_TAG_INTEGER:
    if (rest.len < 2 || rest.ptr[1] >= 0x80) return false;
    *out = small_integer(rest.ptr[1]);
    in->pos += 2;
    return true;
  case LK_VALUE_TAG_STRING: {
    if (rest.len < 2 || rest.ptr[1] >= 0x80 || rest.len - 2 < rest.ptr[1]) return false;
    lk_slice text = lk_slice_first(lk_slice_skip(rest, 2), rest.ptr[1]);
    if (lk_utf8_check(text) != LK_OK) return false;
    *out = (lk_any_item){ .kind = LK_ANY_STRING, .as.bytes = text };
    in->pos += 2 + text.len;
    return true;
  }
  default: return false;
  }
  in->pos++;
  return true;
}

#endif

static lk_err next_any(lk_value_source *self, lk_value_part *out) {
  size_t began = self->at.pos;
  out->as_is = true;
#ifndef LK_SMALL
  if (common_value(&self->at, &out->item)) {
    out->raw = lk_reader_since(&self->at, began);
    return LK_OK;
  }
#endif
  lk_err err = lk_any_item_decode(&self->at, &out->item, &out->as_is);
  if (err != LK_OK) return err;
  bool nan = out->item.kind == LK_ANY_NUMBER && out->item.as.number != out->item.as.number;
  if (nan) out->as_is = self->at.bytes.ptr[began] == LK_VALUE_TAG_F64;
  out->raw = lk_reader_since(&self->at, began);
  return LK_OK;
}

static lk_err next_any_key(lk_value_source *self, lk_value_part *out) {
  size_t began = self->at.pos;
  lk_slice text;
  lk_err err = lk_lib0_string_decode(&self->at, &text);
  if (err != LK_OK) return err;
  out->item = (lk_any_item){ .kind = LK_ANY_KEY, .as.bytes = text };
  out->raw = lk_reader_since(&self->at, began);
  out->as_is = out->raw.len == lk_varuint_len(text.len) + text.len;
  return LK_OK;
}

/* ---- JSON ---- */

void lk_value_skip_space(lk_value_source *self) {
  lk_slice text = self->at.bytes;
  size_t at = self->at.pos;
  for (; at < text.len; at++) {
    uint8_t byte = text.ptr[at];
    if (byte > ' ' || (byte != ' ' && byte != '\n' && byte != '\r' && byte != '\t')) break;
    self->spaced = true;
  }
  self->at.pos = at;
}

static lk_err next_word(lk_reader *in, lk_slice word) {
  lk_slice rest = lk_slice_first(lk_reader_rest(in), word.len);
  if (!lk_slice_starts_with(word, rest)) return LK_ERR_SYNTAX;
  return lk_reader_skip(in, word.len);
}

static lk_err next_json_item(lk_value_source *self, lk_any_item *out, bool *as_is) {
  uint8_t byte;
  lk_err err = lk_reader_peek_u8(&self->at, &byte);
  if (err != LK_OK) return err;
  *as_is = true;
  *out = (lk_any_item){ .kind = LK_ANY_BOOL };
  switch (byte) {
  case '"':
    out->kind = LK_ANY_STRING;
    return lk_value_json_string_decode(&self->at, &out->as.bytes, as_is);
  case '{':
  case '[':
    out->kind = byte == '{' ? LK_ANY_OBJECT_BEGIN : LK_ANY_ARRAY_BEGIN;
    self->at.pos++;
    return LK_OK;
  case 't': out->as.boolean = true; return next_word(&self->at, LK_LIT("true"));
  case 'f': return next_word(&self->at, LK_LIT("false"));
  case 'n': out->kind = LK_ANY_NULL; return next_word(&self->at, LK_LIT("null"));
  default:
    out->kind = LK_ANY_NUMBER;
    return lk_value_json_number_decode(&self->at, &out->as.number, as_is);
  }
}

static lk_err next_json(lk_value_source *self, lk_value_part *out) {
  lk_value_skip_space(self);
  size_t began = self->at.pos;
  lk_err err = next_json_item(self, &out->item, &out->as_is);
  if (err == LK_OK) out->raw = lk_reader_since(&self->at, began);
  return err;
}

static lk_err next_json_key(lk_value_source *self, lk_value_part *out) {
  uint8_t byte;
  lk_value_skip_space(self);
  size_t began = self->at.pos;
  out->item = (lk_any_item){ .kind = LK_ANY_KEY };
  lk_err err = lk_value_json_string_decode(&self->at, &out->item.as.bytes, &out->as_is);
  if (err != LK_OK) return err;
  out->raw = lk_reader_since(&self->at, began);
  lk_value_skip_space(self);
  if ((err = lk_reader_u8(&self->at, &byte)) != LK_OK) return err;
  return byte == ':' ? LK_OK : LK_ERR_SYNTAX;
}

lk_err lk_value_next_comma(lk_value_source *self, bool object, bool first, bool *more) {
  uint8_t byte;
  lk_value_skip_space(self);
  lk_err err = lk_reader_peek_u8(&self->at, &byte);
  if (err != LK_OK) return err;
  *more = byte != (object ? '}' : ']');
  if (*more && first) return LK_OK;
  if (*more && byte != ',') return LK_ERR_SYNTAX;
  self->at.pos++;
  return LK_OK;
}

/* ---- either ---- */

lk_err lk_value_next(lk_value_source *self, lk_value_part *out) {
  return self->json ? next_json(self, out) : next_any(self, out);
}

lk_err lk_value_next_key(lk_value_source *self, lk_value_part *out) {
  return self->json ? next_json_key(self, out) : next_any_key(self, out);
}
