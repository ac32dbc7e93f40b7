/* doc/render_url.c -- which addresses a document of a stranger may hand to its reader.
 *
 *   relative, also with a query or fragment first     http: https: mailto: tel:
 *   data:image/png, jpeg, gif, webp (followed by ; or ,)
 *
 * A browser finds the scheme in what is left after it has dropped controls and spaces in front, and tabs and line
 * breaks anywhere; it does not care for the case. So all controls are removed first, wherever they stand, and what
 * is given out is what was judged. A scheme is what stands before a colon that comes before any slash,
 * question mark or number sign; if it is not one of the list, letter by letter, the address does not pass:
 * letters from other alphabets, zero-width characters, percent signs need no case of their own.
 *
 * HTML writes & as &amp;, so that a browser sees no entity that was not made here. Markdown reads entities in
 * addresses, and its writer escapes them; to be safe against a second reading ("javascript&colon;...") an
 * entity before the first slash or question mark is refused as well. */
#include "doc/render.h"

static bool is_control(uint8_t byte) { return byte < 0x20 || byte == 0x7F; }

static uint8_t lower(uint8_t byte) { return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte; }

static bool is_alnum(uint8_t byte) {
  uint8_t low = lower(byte);
  return (low >= 'a' && low <= 'z') || (byte >= '0' && byte <= '9');
}

/* Whether |text| begins with |prefix|, which is in lower case. */
static bool begins_with(lk_slice text, lk_slice prefix) {
  if (text.len < prefix.len) return false;
  for (size_t i = 0; i < prefix.len; i++) {
    if (lower(text.ptr[i]) != prefix.ptr[i]) return false;
  }
  return true;
}

static bool is_image(lk_slice url) {
  static const lk_slice kinds[] = {
    LK_LIT_INIT("data:image/png"),
    LK_LIT_INIT("data:image/jpeg"),
    LK_LIT_INIT("data:image/gif"),
    LK_LIT_INIT("data:image/webp"),
  };
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    size_t len = kinds[i].len;
    if (!begins_with(url, kinds[i]) || url.len == len) continue;
    if (url.ptr[len] == ';' || url.ptr[len] == ',') return true;
  }
  return false;
}

static bool scheme_passes(lk_slice url) {
  return begins_with(url, LK_LIT("http:")) || begins_with(url, LK_LIT("https:")) ||
         begins_with(url, LK_LIT("mailto:")) || begins_with(url, LK_LIT("tel:")) || is_image(url);
}

/* At an "&": something that HTML would read as a character. */
static bool is_entity(lk_slice at) {
  size_t i = 1;
  while (i < at.len && (is_alnum(at.ptr[i]) || at.ptr[i] == '#')) i++;
  return i > 1 && i < at.len && at.ptr[i] == ';';
}

/* |url| without controls. */
static bool passes(lk_slice url) {
  for (size_t i = 0; i < url.len; i++) {
    uint8_t byte = url.ptr[i];
    if (byte == ':') return scheme_passes(url);
    if (byte == '/' || byte == '?' || byte == '#') return true;
    if (byte == '&' && is_entity(lk_slice_skip(url, i))) return false;
  }
  return url.len > 0;
}

bool lk_render_url(lk_slice url, lk_buf *out) {
  size_t start = out->len;
  while (url.len > 0 && url.ptr[0] <= ' ') url = lk_slice_skip(url, 1);
  while (url.len > 0 && url.ptr[url.len - 1] <= ' ') url.len--;
  for (size_t i = 0; i < url.len; i++) {
    if (!is_control(url.ptr[i])) lk_buf_append_u8(out, url.ptr[i]);
  }
  if (out->err != LK_OK) return false;
  if (passes(lk_slice_skip(lk_buf_slice(out), start))) return true;
  lk_buf_truncate(out, start);
  return false;
}
