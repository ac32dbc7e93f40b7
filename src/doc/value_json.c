/* doc/value_json.c -- one spelling for each character, and nothing else to compare with.
 *
 * JSON.stringify spells each character in one way: short escapes for seven of them, \u00xx for the other control
 * characters, \udxxx for a lone half of a pair, and all others as themselves. So an escape that was read is
 * canonical if and only if the character that it stands for is spelled with the very same bytes, and
 * spell() is both the writer and the judge of what came in.
 *
 * A high half and a low half that follow each other make a pair also where both are escapes. Where one is an
 * escape and the other would have to be raw they cannot: raw halves are not UTF-8. */
#include "doc/value_json.h"

#include "codec/json_special.h"
#include "codec/number.h"
#include "codec/utf.h"

#define SPELLED_LEN_MAX 6

/* ---- characters: code points, or lone halves of pairs ---- */

/* Four hexadecimal digits at |at|. */
static lk_err read_hex4(lk_slice text, size_t at, uint32_t *out) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; i++) {
    if (text.len - at <= i) return LK_ERR_TRUNCATED;
    uint8_t byte = text.ptr[at + i], letter = byte | 0x20;
    if (byte >= '0' && byte <= '9') {
      value = value << 4 | (uint32_t)(byte - '0');
    } else if (letter >= 'a' && letter <= 'f') {
      value = value << 4 | (uint32_t)(letter - 'a' + 10);
    } else {
      return LK_ERR_SYNTAX;
    }
  }
  *out = value;
  return LK_OK;
}

/* Whether the escape of a low half stands at |at|. */
static bool low_half_at(lk_slice text, size_t at, uint32_t *low) {
  return lk_slice_starts_with(lk_slice_skip(text, at), LK_LIT("\\u")) &&
         read_hex4(text, at + 2, low) == LK_OK && lk_utf_is_low_surrogate(*low);
}

/* Reads the escape whose backslash is at |*at|, and moves |*at| behind it. */
static lk_err read_escape(lk_slice text, size_t *at, uint32_t *out) {
  uint32_t unit = 0, low;
  if (text.len - *at < 2) return LK_ERR_TRUNCATED;
  uint8_t kind = text.ptr[*at + 1];
  switch (kind) {
  case '"':
  case '\\':
  case '/': unit = kind; break;
  case 'b': unit = '\b'; break;
  case 'f': unit = '\f'; break;
  case 'n': unit = '\n'; break;
  case 'r': unit = '\r'; break;
  case 't': unit = '\t'; break;
  case 'u': {
    lk_err err = read_hex4(text, *at + 2, &unit);
    if (err != LK_OK) return err;
    *at += 4;
    break;
  }
  default: return LK_ERR_SYNTAX;
  }
  *at += 2;
  if (lk_utf_is_high_surrogate(unit) && low_half_at(text, *at, &low)) {
    unit = lk_utf_join((uint16_t)unit, (uint16_t)low);
    *at += 6;
  }
  *out = unit;
  return LK_OK;
}

/* A lone half with bytes that a character of its number would have. */
static size_t encode_half(uint32_t unit, uint8_t out[3]) {
  out[0] = (uint8_t)(0xE0 | unit >> 12);
  out[1] = (uint8_t)(0x80 | (unit >> 6 & 0x3F));
  out[2] = (uint8_t)(0x80 | (unit & 0x3F));
  return 3;
}

static size_t spell_short(char letter, uint8_t out[SPELLED_LEN_MAX]) {
  out[0] = '\\';
  out[1] = (uint8_t)letter;
  return 2;
}

static size_t spell_unit(uint32_t unit, uint8_t out[SPELLED_LEN_MAX]) {
  static const char digits[] = "0123456789abcdef";
  (void)spell_short('u', out);
  for (uint32_t i = 0; i < 4; i++) out[2 + i] = (uint8_t)digits[unit >> (12 - 4 * i) & 15];
  return 6;
}

/* As JSON.stringify writes it. */
static size_t spell(uint32_t point, uint8_t out[SPELLED_LEN_MAX]) {
  switch (point) {
  case '"': return spell_short('"', out);
  case '\\': return spell_short('\\', out);
  case '\b': return spell_short('b', out);
  case '\f': return spell_short('f', out);
  case '\n': return spell_short('n', out);
  case '\r': return spell_short('r', out);
  case '\t': return spell_short('t', out);
  default: break;
  }
  if (point < 0x20 || lk_utf_is_surrogate(point)) return spell_unit(point, out);
  return lk_utf8_encode(point, out);
}

/* ---- reading ---- */

lk_err lk_value_json_string_decode(lk_reader *in, lk_slice *spelled, bool *as_is) {
  lk_slice text = in->bytes;
  size_t begin = in->pos + 1, at = begin;
  uint64_t high = 0;
  bool same = true;
  if (lk_reader_left(in) == 0) return LK_ERR_TRUNCATED;
  if (text.ptr[in->pos] != '"') return LK_ERR_SYNTAX;
  for (;;) {
    at = lk_json_find_special(text, at, &high);
    if (at == text.len) return LK_ERR_TRUNCATED;
    if (text.ptr[at] == '"') break;
    if (text.ptr[at] != '\\') return LK_ERR_SYNTAX;
    size_t escape = at;
    uint32_t point;
    lk_err err = read_escape(text, &at, &point);
    if (err != LK_OK) return err;
    uint8_t bytes[SPELLED_LEN_MAX];
    size_t len = spell(point, bytes);
    same = same && len == at - escape && memcmp(bytes, text.ptr + escape, len) == 0;
  }
  lk_slice inside = lk_slice_first(lk_slice_skip(text, begin), at - begin);
  if (high != 0 && lk_utf8_check(inside) != LK_OK) return LK_ERR_UTF8;
  in->pos = at + 1;
  *spelled = inside;
  *as_is = same;
  return LK_OK;
}

lk_err lk_value_json_number_decode(lk_reader *in, double *out, bool *as_is) {
  /* Integers up to here are told apart by all of their digits, and printed as they are read. */
  static const uint64_t plain_max = (uint64_t)1 << 53;
  lk_number number;
  lk_err err = lk_number_scan(lk_reader_rest(in), &number);
  if (err != LK_OK) return err;
  in->pos += number.text.len;
  if (number.integer && number.exact && number.digits <= plain_max) {
    double value = (double)number.digits;
    *out = number.negative ? -value : value;
    *as_is = !number.negative || number.digits != 0;
    return LK_OK;
  }
  if (lk_number_get_f64(&number, out) != LK_OK) {
    *out = lk_f64_of_bits((uint64_t)(number.negative ? 0xFFF0 : 0x7FF0) << 48);
    *as_is = false;
    return LK_OK;
  }
  uint8_t printed[LK_NUMBER_F64_CHARS];
  *as_is = lk_slice_equal(lk_slice_of(printed, lk_number_print_f64(*out, printed)), number.text);
  return LK_OK;
}

/* ---- texts ---- */

/* The next piece of a string that was read: as many characters as stand for themselves, or one
 * escape, decoded to |room|. |spelled| moves behind it. */
static lk_slice next_piece(lk_slice *spelled, lk_value_lone lone, uint8_t room[4]) {
  uint64_t high = 0; /* of no interest: the text has been checked */
  size_t at = lk_json_find_special(*spelled, 0, &high);
  if (at > 0) {
    lk_slice plain = lk_slice_first(*spelled, at);
    *spelled = lk_slice_skip(*spelled, at);
    return plain;
  }
  uint32_t point;
  lk_err err = read_escape(*spelled, &at, &point);
  LK_ASSERT(err == LK_OK);
  *spelled = lk_slice_skip(*spelled, at);
  bool half = lk_utf_is_surrogate(point) && lone == LK_VALUE_LONE_KEPT;
  return lk_slice_of(room, half ? encode_half(point, room) : lk_utf8_encode(point, room));
}

size_t lk_value_json_text_len(lk_slice spelled) {
  uint8_t room[4];
  size_t len = 0;
  while (spelled.len > 0) len += next_piece(&spelled, LK_VALUE_LONE_REPLACED, room).len;
  return len;
}

void lk_value_json_text(lk_slice spelled, lk_value_lone lone, uint8_t *out) {
  uint8_t room[4];
  while (spelled.len > 0) {
    lk_slice piece = next_piece(&spelled, lone, room);
    memcpy(out, piece.ptr, piece.len);
    out += piece.len;
  }
}

/* ---- writing ---- */

static lk_err put_quoted(lk_buf *out, lk_slice text, bool spelled) {
  uint64_t high = 0;
  (void)lk_buf_append_u8(out, '"');
  for (size_t at = 0; at < text.len;) {
    size_t plain = lk_json_find_special(text, at, &high);
    (void)lk_buf_append(out, lk_slice_first(lk_slice_skip(text, at), plain - at));
    at = plain;
    if (at == text.len) break;
    uint32_t point = text.ptr[at];
    uint8_t bytes[SPELLED_LEN_MAX];
    lk_err err = LK_OK;
    if (spelled) err = read_escape(text, &at, &point);
    else at++;
    LK_ASSERT(err == LK_OK);
    (void)lk_buf_append(out, lk_slice_of(bytes, spell(point, bytes)));
  }
  return lk_buf_append_u8(out, '"');
}

lk_err lk_value_json_put_string(lk_buf *out, lk_slice spelled) {
  return put_quoted(out, spelled, true);
}

lk_err lk_value_json_put_text(lk_buf *out, lk_slice text) { return put_quoted(out, text, false); }

lk_err lk_value_json_put_number(lk_buf *out, double value) {
  uint8_t text[LK_NUMBER_F64_CHARS];
  if (value - value != 0)
    return lk_buf_append(out, LK_LIT("null")); /* only of finite ones it is 0 */
  return lk_buf_append(out, lk_slice_of(text, lk_number_print_f64(value, text)));
}
