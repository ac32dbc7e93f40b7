/* room/crdt_journal.h -- what of an object is not durable yet, and who waits for it.
 *
 * At most one record is under way; what changes meanwhile gathers in |next|, where deltas merge into one. Each record has a
 * ticket, one more than the one before. Whoever asked waits with the ticket of the record that has his change:
 *
 *   change ──> next ──(none under way: begin, ticket t)──> flying ──(landed t)──> durable
 *   asker  ──> waiting, with that ticket ──────────────────────────(landed t)──> poll
 *
 * So while one write is on its way all further changes gather for the next one, and the storage decides how many share a
 * write.
 *
 * Always: the ticket under way is ticket_next - 1; |next| is NULL and nobody waits where nothing is under way, but within
 * one step of the room. */
#ifndef LK_ROOM_CRDT_JOURNAL_H
#define LK_ROOM_CRDT_JOURNAL_H

#include "base/list.h"
#include "room/crdt_copies.h"
#include "room/crdt_record.h"
#include "room/room.h"

typedef struct lk_crdt_waiter {
  lk_link link;
  uint64_t ticket;
  uint64_t member;
  uint64_t request;
} lk_crdt_waiter;

typedef struct lk_crdt_journal {
  const lk_alloc *alloc;
  lk_crdt *next;   /* what changed since the record under way began; NULL: nothing */
  lk_buf flying;   /* the delta that the record under way makes durable */
  lk_buf record;   /* with what stands before it */
  lk_list waiting; /* in order of arrival, hence of ticket */
  uint64_t ticket_next;
  uint32_t requests_next;   /* how many of the room's, the latest, belong to |next| */
  uint32_t requests_flying; /* and how many before those to |flying| */
  bool in_flight;
} lk_crdt_journal;

/* Allocates nothing. */
void lk_crdt_journal_init(lk_crdt_journal *self, const lk_alloc *alloc);
/* Safe on a zeroed struct, and twice. */
void lk_crdt_journal_deinit(lk_crdt_journal *self);

/* There is a |next| to merge changes of |copies| into. LK_ERR_NOMEM. */
lk_err lk_crdt_journal_need_next(lk_crdt_journal *self, const lk_crdt_copies *copies) LK_MUST_USE;
/* What was to gather was nothing: no record is made for it alone. */
void lk_crdt_journal_forget_nothing(lk_crdt_journal *self);

/* Begins the record of |next|, which is there; none is under way. |actor|, unless it is empty, and the latest of
 * |requests| are in it. |out| says what the room wants kept, and is good until the next one. The errors of encoding. */
lk_err lk_crdt_journal_begin(lk_crdt_journal *self, lk_slice actor,
                             const lk_crdt_requests *requests, lk_room_effect *out) LK_MUST_USE;
/* The record under way is durable. |flying| is its delta until the next one begins. */
void lk_crdt_journal_landed(lk_crdt_journal *self, uint64_t ticket);

/* How many of the room's requests, the latest, are not durable. */
uint32_t lk_crdt_journal_requests_fresh(const lk_crdt_journal *self);

/* One landing answers everybody who waits, and then tells all and begins the next record: all of that must fit into the
 * room's queue of |effects_max|, or it would end of it. */
bool lk_crdt_journal_may_wait(const lk_crdt_journal *self, uint32_t effects_max);
/* |member| waits until all that was said so far is durable, which it is not yet. LK_ERR_NOMEM. */
lk_err lk_crdt_journal_wait(lk_crdt_journal *self, uint64_t member, uint64_t request) LK_MUST_USE;
/* Takes out one who waits for |ticket| or one before; false where there is none. */
bool lk_crdt_journal_poll(lk_crdt_journal *self, uint64_t ticket, lk_crdt_waiter *out);
/* |member| has left. */
void lk_crdt_journal_leave(lk_crdt_journal *self, uint64_t member);

/* Gives back buffers that have grown above |cap_max| and are not in use. */
void lk_crdt_journal_rest(lk_crdt_journal *self, size_t cap_max);

#endif
