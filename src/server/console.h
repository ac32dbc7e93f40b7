/* server/console.h -- lines for the person who runs the server.
 *
 * What a line quotes may come from a stranger, and a terminal obeys control characters: everything
 * that is not printable text is written as \xHH, so that a line stays one line and changes
 * nothing but the screen's contents. */
#ifndef LK_SERVER_CONSOLE_H
#define LK_SERVER_CONSOLE_H

#include "base/buf.h"

#define LK_CONSOLE_LINE_MAX 1024

/* Writes "laniakea: " and the text to standard error, cut to LK_CONSOLE_LINE_MAX bytes, in one call
 * of write(), so that lines of several processes do not mix. */
void lk_console_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Appends |text| with all that is not printable as \xHH: control characters of ASCII and of
 * Unicode's first block (which some terminals obey too), and bytes that are no UTF-8. */
void lk_console_escape(lk_slice text, lk_buf *out);

#endif
