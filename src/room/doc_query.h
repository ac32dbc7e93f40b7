/* room/doc_query.h -- what a document says to who asks without being in its room: the HTTP API, pages without script.
 *
 *   read {as, root?, must_exist?}
 *       as json, delta                 ok, JSON
 *       as text, html, markdown        ok, bytes: UTF-8
 *       as page                        ok, bytes: the whole document as HTML, see room/doc_page.h
 *       as update, update_v2, state_vector    ok, bytes
 *       error {reason, field, message, roots?}
 *
 * `root` names one of the document's roots; it may be left out where only one can be meant. With `must_exist` an empty
 * document is the error LK_ERR_NOT_FOUND. */
#ifndef LK_ROOM_DOC_QUERY_H
#define LK_ROOM_DOC_QUERY_H

#include "base/base.h"
#include "laniakea/doc.h"

typedef struct lk_doc_reading {
  bool ok;
  bool binary; /* |out| has bytes, not JSON */
} lk_doc_reading;

/* Answers to |payload|: |out|, which is empty before, receives the answer. An error is ours: memory, or |out|'s limit. */
lk_err lk_doc_query_read(const lk_doc *doc, const lk_limits *limits, lk_arena *scratch,
                         lk_slice payload, lk_buf *out, lk_doc_reading *reading) LK_MUST_USE;

#endif
