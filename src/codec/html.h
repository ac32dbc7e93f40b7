/* codec/html.h -- text as HTML has it, between tags and in attributes with quotes. */
#ifndef LK_CODEC_HTML_H
#define LK_CODEC_HTML_H

#include "base/buf.h"

/* Appends |text|, which is UTF-8: "<", ">", "&" and quotes become references; so do carriage returns, of which parsers
 * would make line feeds. Control characters, which HTML does not have, become U+FFFD. The buffer's errors, and it is then
 * as before. */
lk_err lk_html_append(lk_buf *out, lk_slice text);

#endif
