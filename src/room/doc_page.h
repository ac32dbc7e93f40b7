/* room/doc_page.h -- a whole document as HTML: for people without a script, and for those who render on a server.
 *
 *   one root of prose       its HTML (laniakea/render.h)
 *   several roots           each under an <h2> with its name: prose as HTML, others as JSON in a <pre>
 *
 * A fragment without scripts, styles, or handlers. Text of users is escaped wherever it stands. */
#ifndef LK_ROOM_DOC_PAGE_H
#define LK_ROOM_DOC_PAGE_H

#include "base/base.h"
#include "laniakea/doc.h"

/* Appends. LK_ERR_NOMEM, or |out|'s limit: |out| is then as before. */
lk_err lk_doc_page_write(const lk_doc *doc, lk_buf *out) LK_MUST_USE;

#endif
