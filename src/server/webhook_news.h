/* server/webhook_news.h -- what rooms tell of changes: asked, kept, and only then known to have come.
 *
 *   house ──"changes"──> dues ──> written down ──> "changes", after what was written down
 *
 * room/house_news.c has the other side. */
#ifndef LK_SERVER_WEBHOOK_NEWS_H
#define LK_SERVER_WEBHOOK_NEWS_H

#include "server/webhook_dues.h"

/* What one house was asked last. */
typedef struct lk_webhook_cursor {
  uint64_t after;  /* its journal up to here has come, and is written down */
  uint64_t serial; /* of what it said last */
  bool has_more;
} lk_webhook_cursor;

/* Appends the payload of the question. */
lk_err lk_webhook_news_ask(const lk_webhook_cursor *cursor, lk_buf *out) LK_MUST_USE;

/* Notes what |answer| says into |dues|, and moves |cursor|. LK_ERR_NOMEM, LK_ERR_PAYLOAD and the errors of JSON: some may have been
 * noted, and |cursor| is as before, so that all is told again. |wall_ms| stands for dates that the house does not know. */
lk_err lk_webhook_news_read(lk_slice answer, const lk_limits *limits, const lk_alloc *alloc,
                            uint64_t now_ms, uint64_t wall_ms, lk_webhook_dues *dues,
                            lk_webhook_cursor *cursor, uint32_t *count) LK_MUST_USE;

#endif
