/* peer/backlog.h -- changes of one topic that the server has not acknowledged, in order.
 *
 * Each has a number of its topic's own, from 1 on, without gaps, which is never given twice: what was acknowledged is said by
 * one number. Each also knows the record of the diary that holds it. A change that stands in no record yet may be
 * lost with this process; whether it may be sent all the same is for its topic to say (|waits|, see topic.h). */
#ifndef LK_PEER_BACKLOG_H
#define LK_PEER_BACKLOG_H

#include "base/base.h"
#include "base/list.h"

typedef struct lk_backlog_entry {
  lk_link link;
  uint64_t number;
  uint64_t record; /* index in the journal; 0: in none yet */
  bool waits;      /* not sent before its record is durable */
  size_t len;
  uint8_t bytes[];
} lk_backlog_entry;

typedef struct lk_backlog {
  const lk_alloc *alloc;
  lk_list entries;
  uint64_t last;  /* the number that was given last */
  uint64_t acked; /* up to here the server has everything */
  size_t bytes;   /* of all entries */
} lk_backlog;

/* Allocates nothing. */
void lk_backlog_init(lk_backlog *self, const lk_alloc *alloc);
/* Safe on a zeroed struct, and twice. */
void lk_backlog_deinit(lk_backlog *self);

/* Takes in a copy of |bytes| under the next number. LK_ERR_NOMEM. */
lk_err lk_backlog_add(lk_backlog *self, lk_slice bytes, bool waits,
                      lk_backlog_entry **out) LK_MUST_USE;

/* What a diary has of an earlier process: change |number|, in record |record|. Those that are here or acknowledged are passed over. One
 * before it may be missing: what need not wait may be acknowledged before it stands in a record. LK_ERR_CORRUPT for 0,
 * LK_ERR_NOMEM. */
/* not foreign: the bytes are only copied */
lk_err lk_backlog_restore(lk_backlog *self, uint64_t number, lk_slice bytes,
                          uint64_t record) LK_MUST_USE;

/* The server has everything up to |number|. */
void lk_backlog_ack(lk_backlog *self, uint64_t number);

static inline bool lk_backlog_is_empty(const lk_backlog *self) { return self->entries.count == 0; }

static inline lk_backlog_entry *lk_backlog_of(lk_link *link) {
  return LK_CONTAINER(link, lk_backlog_entry, link);
}
/* NULL where there is none. */
static inline lk_backlog_entry *lk_backlog_first(const lk_backlog *self) {
  return self->entries.first == NULL ? NULL : lk_backlog_of(self->entries.first);
}
static inline lk_backlog_entry *lk_backlog_next(const lk_backlog_entry *entry) {
  return entry->link.next == NULL ? NULL : lk_backlog_of(entry->link.next);
}

#endif
