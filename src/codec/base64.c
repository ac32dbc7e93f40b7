/* codec/base64.c -- four characters for three bytes, and only one way to write them.
 *
 *   aaaaaabb bbbbcccc ccdddddd   three bytes     ->  a b c d
 *   aaaaaabb bbbb0000            two at the end  ->  a b c [=]     the four 0 bits are checked
 *   aaaaaabb 0000....            one at the end  ->  a b [=] [=]
 *
 * One character alone at the end is no byte, so lengths of 4n + 1 are refused. Values of
 * characters come from a table in which 0xFF stands for "none": or-ing the values of a group
 * shows in one comparison whether all four were good.
 *
 * Not meant for secrets: tables are read at places that depend on the data. */
#include "codec/base64.h"

#define NONE 0xFF

#define SHARED                                                                                     \
  'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R', 'S',   \
      'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k',    \
      'l', 'm', 'n', 'o', 'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', '0', '1', '2',    \
      '3', '4', '5', '6', '7', '8', '9'
static const uint8_t alphabets[2][64] = {
  { SHARED, '+', '/' },
  { SHARED, '-', '_' },
};

/* The value of character |c|, from where the alphabet's own two are given. */
#define VALUE(c, c62, c63)                                                                         \
  ((uint8_t)((c) >= 'A' && (c) <= 'Z'   ? (c) - 'A'                                                \
             : (c) >= 'a' && (c) <= 'z' ? (c) - 'a' + 26                                           \
             : (c) >= '0' && (c) <= '9' ? (c) - '0' + 52                                           \
             : (c) == (c62)             ? 62                                                       \
             : (c) == (c63)             ? 63                                                       \
                                        : NONE))
#define VALUES_4(c, p, q)                                                                          \
  VALUE((c), p, q), VALUE((c) + 1, p, q), VALUE((c) + 2, p, q), VALUE((c) + 3, p, q)
#define VALUES_16(c, p, q)                                                                         \
  VALUES_4((c), p, q), VALUES_4((c) + 4, p, q), VALUES_4((c) + 8, p, q), VALUES_4((c) + 12, p, q)
#define VALUES_64(c, p, q)                                                                         \
  VALUES_16((c), p, q), VALUES_16((c) + 16, p, q), VALUES_16((c) + 32, p, q),                      \
      VALUES_16((c) + 48, p, q)
#define VALUES_256(p, q)                                                                           \
  { VALUES_64(0, p, q), VALUES_64(64, p, q), VALUES_64(128, p, q), VALUES_64(192, p, q) }

static const uint8_t values[2][256] = { VALUES_256('+', '/'), VALUES_256('-', '_') };

/* ---- encoding ---- */

static void encode_group(uint8_t *to, uint32_t bits, const uint8_t *alphabet) {
  to[0] = alphabet[bits >> 18];
  to[1] = alphabet[bits >> 12 & 63];
  to[2] = alphabet[bits >> 6 & 63];
  to[3] = alphabet[bits & 63];
}

lk_err lk_base64_encode(lk_buf *out, lk_slice bytes, lk_base64_form form) {
  const uint8_t *alphabet = alphabets[form.alphabet];
  bool pads = form.padding != LK_BASE64_PAD_FORBIDDEN;
  size_t odd = bytes.len % 3, len;
  if (bytes.len == 0) return lk_buf_err(out);
  if (!lk_mul_size(bytes.len / 3 + 1, 4, &len)) return lk_buf_reserve(out, SIZE_MAX);
  len = bytes.len / 3 * 4 + (odd == 0 ? 0 : pads ? 4 : odd + 1);

  uint8_t *to = lk_buf_extend(out, len);
  if (to == NULL) return lk_buf_err(out);
  const uint8_t *at = bytes.ptr;
  for (size_t groups = bytes.len / 3; groups > 0; groups--, at += 3, to += 4) {
    encode_group(to, (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2], alphabet);
  }
  if (odd == 0) return LK_OK;
  uint8_t last[4];
  encode_group(last, (uint32_t)at[0] << 16 | (odd == 2 ? (uint32_t)at[1] << 8 : 0), alphabet);
  last[3] = '=';
  if (odd == 1) last[2] = '=';
  memcpy(to, last, pads ? 4 : odd + 1);
  return LK_OK;
}

/* ---- decoding ---- */

/* Takes the padding off |text|, or finds that it is not as |padding| wants it. */
static lk_err strip_padding(lk_slice *text, lk_base64_padding padding) {
  size_t pads = 0;
  while (pads < 2 && pads < text->len && text->ptr[text->len - 1 - pads] == '=') pads++;
  size_t len = text->len - pads;
  if (len % 4 == 1) return LK_ERR_SYNTAX;
  size_t needed = (4 - len % 4) % 4;
  bool allowed = padding == LK_BASE64_PAD_REQUIRED    ? pads == needed
                 : padding == LK_BASE64_PAD_FORBIDDEN ? pads == 0
                                                      : pads == needed || pads == 0;
  if (!allowed) return LK_ERR_SYNTAX;
  *text = lk_slice_first(*text, len);
  return LK_OK;
}

/* Decodes |groups| groups of four characters. */
static lk_err decode_groups(uint8_t *to, const uint8_t *at, size_t groups, const uint8_t *value) {
  for (; groups > 0; groups--, at += 4, to += 3) {
    uint32_t a = value[at[0]], b = value[at[1]], c = value[at[2]], d = value[at[3]];
    if ((a | b | c | d) > 63) return LK_ERR_SYNTAX;
    uint32_t bits = a << 18 | b << 12 | c << 6 | d;
    to[0] = (uint8_t)(bits >> 16);
    to[1] = (uint8_t)(bits >> 8);
    to[2] = (uint8_t)bits;
  }
  return LK_OK;
}

/* Decodes the two or three characters behind the last whole group. */
static lk_err decode_last(uint8_t *to, lk_slice last, const uint8_t *value) {
  uint32_t a = value[last.ptr[0]], b = value[last.ptr[1]];
  uint32_t c = last.len == 3 ? value[last.ptr[2]] : 0;
  if ((a | b | c) > 63) return LK_ERR_SYNTAX;
  uint32_t bits = a << 18 | b << 12 | c << 6;
  if ((bits & (last.len == 3 ? 0xFFu : 0xFFFFu)) != 0) return LK_ERR_NOT_CANONICAL;
  to[0] = (uint8_t)(bits >> 16);
  if (last.len == 3) to[1] = (uint8_t)(bits >> 8);
  return LK_OK;
}

lk_err lk_base64_decode(lk_buf *out, lk_slice text, lk_base64_form form) {
  const uint8_t *value = values[form.alphabet];
  size_t before = out->len;
  lk_err err = strip_padding(&text, form.padding);
  if (err != LK_OK) return err;
  if (text.len == 0) return lk_buf_err(out);

  size_t groups = text.len / 4, odd = text.len % 4;
  uint8_t *to = lk_buf_extend(out, groups * 3 + (odd == 0 ? 0 : odd - 1));
  if (to == NULL) return lk_buf_err(out);
  err = decode_groups(to, text.ptr, groups, value);
  if (err == LK_OK && odd != 0) err = decode_last(to + groups * 3, lk_slice_last(text, odd), value);
  if (err != LK_OK) lk_buf_truncate(out, before);
  return err;
}
