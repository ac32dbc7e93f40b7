/* room/doc_journal.h -- the records of a document that are not durable yet, who waits for them, and for whom they are news.
 *
 * At most one record is under way; what comes meanwhile gathers in the next one, and in the one after that where it has
 * grown long. Each has a ticket, one more than the one before. Whoever asked waits with the ticket of the record
 * that has his change. Nobody's answer is queued: they are taken out one by one, so it does not matter how many wait. Updates
 * are passed on from the very records in which they became durable.
 *
 * Always: tickets of records ascend, the first one's is under way where |in_flight|; waiters stand in order of tickets. */
#ifndef LK_ROOM_DOC_JOURNAL_H
#define LK_ROOM_DOC_JOURNAL_H

#include "base/base.h"
#include "base/list.h"
#include "room/doc_record.h"

/* A record that gathers is followed by another one beyond so many bytes. */
#define LK_DOC_JOURNAL_RECORD_MAX ((size_t)1 << 20)

typedef struct lk_doc_waiter {
  uint64_t ticket;
  uint64_t member;
  uint64_t request;
} lk_doc_waiter;

typedef struct lk_doc_journal {
  const lk_alloc *alloc;
  bool in_flight;
  uint64_t turn;        /* of the input that the room is given: it is to say so before it appends */
  uint64_t ticket_next; /* of the next record that is begun */
  uint64_t ticket_kept; /* every record up to it is durable */
  lk_list records;
  lk_list landed;         /* durable ones, until their updates were taken out */
  lk_reader news;         /* of the first of those, once it was begun */
  size_t told;            /* how many updates were taken out of it */
  uint64_t updates_noted; /* how many there ever were */
  uint64_t updates_told;  /* and how many of them were taken out */
  lk_doc_waiter *waiting; /* a part of the array */
  uint32_t waiting_first;
  uint32_t waiting_count;
  uint32_t waiting_cap;
} lk_doc_journal;

/* Allocates nothing. */
void lk_doc_journal_init(lk_doc_journal *self, const lk_alloc *alloc);
/* Safe on a zeroed struct, and twice. */
void lk_doc_journal_deinit(lk_doc_journal *self);

/* Puts |item| into the record that gathers; an UPDATE is by the member |from|, 0: by none. LK_ERR_NOMEM: it may be there in
 * part, and the room has to end. */
lk_err lk_doc_journal_append(lk_doc_journal *self, const lk_doc_item *item,
                             uint64_t from) LK_MUST_USE;

/* The ticket of the last record: when it is durable, all is. */
static inline uint64_t lk_doc_journal_ticket(const lk_doc_journal *self) {
  return self->ticket_next - 1;
}
static inline bool lk_doc_journal_is_kept(const lk_doc_journal *self, uint64_t ticket) {
  return ticket <= self->ticket_kept;
}

/* There is no record, and nobody waits: one that is made anew would be as good. */
static inline bool lk_doc_journal_is_idle(const lk_doc_journal *self) {
  return self->records.count == 0 && self->landed.count == 0 && self->waiting_count == 0;
}

/* Begins the next record where none is under way; its bytes are good until it is durable. False where there is
 * nothing to begin. |turn_last|: it and those before it have all of this turn and of what came before; 0: of every one. */
bool lk_doc_journal_begin(lk_doc_journal *self, uint64_t *ticket, uint64_t *turn_last,
                          lk_slice *bytes);

/* The record under way is durable. */
void lk_doc_journal_landed(lk_doc_journal *self, uint64_t ticket);

/* The next update that became durable; it is good until the next call. False where there is none. */
bool lk_doc_journal_poll_update(lk_doc_journal *self, uint64_t *from, lk_slice *update);

/* |ticket| is not below that of who waits already. LK_ERR_NOMEM, LK_ERR_LIMIT. */
lk_err lk_doc_journal_wait(lk_doc_journal *self, uint64_t ticket, uint64_t member,
                           uint64_t request) LK_MUST_USE;

/* Takes out one whose record is durable; false where there is none. */
bool lk_doc_journal_poll(lk_doc_journal *self, lk_doc_waiter *out);

#endif
