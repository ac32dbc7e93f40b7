/* doc/news.h -- what an update would change in a document, found out without changing it.
 *
 * For servers: who may only read may still send what changes nothing, as passive replicas do (they clean up formats, and
 * tell back what they were told); and what changes nothing need not be kept or passed on. */
#ifndef LK_DOC_NEWS_H
#define LK_DOC_NEWS_H

#include "base/limits.h"
#include "laniakea/doc.h"

typedef enum lk_news {
  LK_NEWS_NONE,   /* nothing */
  LK_NEWS_HIDDEN, /* it deletes formats, which nobody sees by themselves */
  LK_NEWS_SOME, /* anything else; also where finding out would cost more than the update warrants */
} lk_news;

/* The document stays as it is. The errors of laniakea/update.h: where the answer is SOME, the rest of the update was not
 * looked at. */
lk_err lk_doc_news(lk_doc *self, lk_update_format format, lk_slice update,
                   lk_news *out) LK_MUST_USE;

/* What strangers may ask for, instead of the limits that documents have by themselves. Before anything is in it. */
void lk_doc_set_limits(lk_doc *self, const lk_limits *limits);

/* LK_ERR_LIMIT (room_memory_bytes) where |more| bytes beside what it has would be more memory than |most|. In no time, unlike
 * lk_doc_memory(). */
lk_err lk_doc_check_memory(lk_doc *self, size_t more, size_t most) LK_MUST_USE;

/* How many clients have written in it, or are waited for. It only grows. */
uint32_t lk_doc_clients_count(const lk_doc *self);

/* The clock of |client|: how many units of it are here. */
uint64_t lk_doc_clock_of(const lk_doc *self, uint64_t client);

#endif
