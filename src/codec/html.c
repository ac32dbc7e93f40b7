/* codec/html.c -- what must not stand in HTML as it is, and what stands there instead. */
#include "codec/html.h"

/* Empty: the byte may stand there. */
static lk_slice reference_of(uint8_t c) {
  switch (c) {
  case '<': return LK_LIT("&lt;");
  case '>': return LK_LIT("&gt;");
  case '&': return LK_LIT("&amp;");
  case '"': return LK_LIT("&quot;");
  case '\'': return LK_LIT("&#39;");
  case '\r': return LK_LIT("&#13;");
  case '\n':
  case '\t': return LK_SLICE_EMPTY;
  default: return c < 0x20 || c == 0x7F ? LK_LIT("\xEF\xBF\xBD") : LK_SLICE_EMPTY;
  }
}

lk_err lk_html_append(lk_buf *out, lk_slice text) {
  size_t before = out->len, from = 0;
  bool was_good = lk_buf_err(out) == LK_OK;
  for (size_t i = 0; i < text.len; i++) {
    lk_slice reference = reference_of(text.ptr[i]);
    if (reference.len == 0) continue;
    (void)lk_buf_append(out, lk_slice_of(text.ptr + from, i - from));
    (void)lk_buf_append(out, reference);
    from = i + 1;
  }
  lk_err err = lk_buf_append(out, lk_slice_skip(text, from));
  if (err != LK_OK && was_good) lk_buf_truncate(out, before);
  return err;
}
