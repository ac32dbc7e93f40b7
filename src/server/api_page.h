/* server/api_page.h -- pages without scripts: around what a room says of itself, or an error. */
#ifndef LK_SERVER_API_PAGE_H
#define LK_SERVER_API_PAGE_H

#include "base/buf.h"

/* Appends the value of the Content-Security-Policy of pages: nothing but their own style, by its digest, and forms to this
 * server. */
lk_err lk_api_page_policy(lk_buf *out);

/* Appends a page with |fragment|, HTML that is good, within its <main>. A fragment without an <h1> gets one: |title|. */
lk_err lk_api_page_write(lk_slice title, lk_slice fragment, bool has_heading, lk_buf *out);

/* Appends a page that says what went wrong. */
lk_err lk_api_page_write_error(lk_slice title, lk_slice message, lk_buf *out);

#endif
