/* room/crdt_html.h -- an object of the catalogue as HTML: for people without a script, and for those who render on a server.
 *
 *   <section aria-label="demo" data-type="gcounter"><h1>demo</h1><output>8</output>
 *   <form method="post"> ... <input name="amount" ...> ... </form></section>
 *
 * A fragment without scripts, styles, or handlers. Text of users is escaped wherever it stands, and the tree depends on
 * the shape of the value alone. The form of a counter posts "amount" to the page that it is on. */
#ifndef LK_ROOM_CRDT_HTML_H
#define LK_ROOM_CRDT_HTML_H

#include "crdt/type.h"

typedef struct lk_crdt_page {
  const lk_crdt_type *type;
  lk_slice name;  /* of the topic, without its kind */
  lk_slice value; /* JSON, as lk_crdt_value() gives it */
  const lk_limits *limits;
  size_t
      len_max; /* what goes beyond is left out, and the page says so. It may be longer by one text */
} lk_crdt_page;

/* Appends. |arena| for texts with escapes. The errors of the JSON reader, and of the buffer, which is then as before. */
lk_err lk_crdt_html_write(const lk_crdt_page *page, lk_arena *arena, lk_buf *out) LK_MUST_USE;

#endif
