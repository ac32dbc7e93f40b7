/* server/console.c -- format, escape, write once. */
#include "server/console.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "codec/utf.h"
#include "platform/posix/heap.h"

static bool is_printable(uint32_t point) {
  return point >= 0x20 && (point < 0x7f || point >= 0xa0);
}

static void append_hex(uint8_t byte, lk_buf *out) {
  static const char digits[] = "0123456789abcdef";
  const char text[4] = { '\\', 'x', digits[byte >> 4], digits[byte & 15] };
  (void)lk_buf_append(out, lk_slice_of(text, sizeof text));
}

void lk_console_escape(lk_slice text, lk_buf *out) {
  while (text.len > 0) {
    lk_slice rest = text;
    uint32_t point;
    bool valid = lk_utf8_decode(&rest, &point) == LK_OK;
    size_t len = valid ? text.len - rest.len : 1;
    if (valid && is_printable(point)) (void)lk_buf_append(out, lk_slice_first(text, len));
    else
      for (size_t i = 0; i < len; i++) append_hex(text.ptr[i], out);
    text = lk_slice_skip(text, len);
  }
}

void lk_console_say(const char *format, ...) {
  char text[LK_CONSOLE_LINE_MAX];
  lk_buf line;
  va_list args;
  va_start(args, format);
  int len = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (len < 0) return;
  if ((size_t)len >= sizeof text) len = (int)sizeof text - 1;
  lk_buf_init(&line, lk_posix_heap(), 5 * LK_CONSOLE_LINE_MAX);
  (void)lk_buf_append(&line, LK_LIT("laniakea: "));
  lk_console_escape(lk_slice_of(text, (size_t)len), &line);
  (void)lk_buf_append_u8(&line, '\n');
  /* Where standard error is gone there is nobody left to tell. */
  ssize_t ignored = write(STDERR_FILENO, line.ptr, line.len);
  (void)ignored;
  lk_buf_deinit(&line);
}
