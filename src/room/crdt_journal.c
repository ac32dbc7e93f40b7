#include "room/crdt_journal.h"

/* Those of a landing that are no answers: what all are told, and the next record. */
#define EFFECTS_BESIDE_REPLIES 2

void lk_crdt_journal_init(lk_crdt_journal *self, const lk_alloc *alloc) {
  *self = (lk_crdt_journal){ .alloc = alloc, .ticket_next = 1 };
  lk_buf_init(&self->flying, alloc, SIZE_MAX / 2);
  lk_buf_init(&self->record, alloc, SIZE_MAX / 2);
}

static void free_waiter(lk_crdt_journal *self, lk_link *at) {
  lk_crdt_waiter *w = LK_CONTAINER(at, lk_crdt_waiter, link);
  lk_free_bytes(self->alloc, w, sizeof *w);
}

void lk_crdt_journal_deinit(lk_crdt_journal *self) {
  for (lk_link *at; (at = lk_list_pop_first(&self->waiting)) != NULL;) free_waiter(self, at);
  lk_crdt_copies_drop(&self->next);
  lk_buf_deinit(&self->flying);
  lk_buf_deinit(&self->record);
}

/* ---- records ---- */

lk_err lk_crdt_journal_need_next(lk_crdt_journal *self, const lk_crdt_copies *copies) {
  if (self->next != NULL) return LK_OK;
  return lk_crdt_copies_make(copies, copies->type, &self->next);
}

void lk_crdt_journal_forget_nothing(lk_crdt_journal *self) {
  bool is_nothing = self->requests_next == 0 && lk_btree_count(&self->next->known) == 0;
  if (is_nothing) lk_crdt_copies_drop(&self->next);
}

lk_err lk_crdt_journal_begin(lk_crdt_journal *self, lk_slice actor,
                             const lk_crdt_requests *requests, lk_room_effect *out) {
  LK_ASSERT(!self->in_flight && self->next != NULL);
  lk_buf_truncate(&self->flying, 0);
  lk_err err = lk_crdt_encode(self->next, &self->flying);
  if (err != LK_OK) return err;
  lk_buf_truncate(&self->record, 0);
  lk_crdt_record_begin(actor, requests, self->requests_next, 0, &self->record);
  if ((err = lk_buf_append(&self->record, lk_buf_slice(&self->flying))) != LK_OK) return err;
  lk_crdt_copies_drop(&self->next);
  self->requests_flying = self->requests_next;
  self->requests_next = 0;
  self->in_flight = true;
  *out = (lk_room_effect){ .kind = LK_ROOM_JOURNAL,
                           .ticket = self->ticket_next++,
                           .payload = lk_buf_slice(&self->record) };
  return LK_OK;
}

void lk_crdt_journal_landed(lk_crdt_journal *self, uint64_t ticket) {
  LK_ASSERT(self->in_flight && ticket == self->ticket_next - 1);
  self->in_flight = false;
  self->requests_flying = 0;
}

uint32_t lk_crdt_journal_requests_fresh(const lk_crdt_journal *self) {
  return self->requests_flying + self->requests_next;
}

/* ---- who waits ---- */

bool lk_crdt_journal_may_wait(const lk_crdt_journal *self, uint32_t effects_max) {
  return (uint64_t)self->waiting.count + EFFECTS_BESIDE_REPLIES < effects_max;
}

lk_err lk_crdt_journal_wait(lk_crdt_journal *self, uint64_t member, uint64_t request) {
  LK_ASSERT(self->in_flight || self->next != NULL);
  lk_crdt_waiter *w = lk_alloc_bytes(self->alloc, sizeof *w);
  if (w == NULL) return LK_ERR_NOMEM;
  uint64_t ticket = self->next != NULL ? self->ticket_next : self->ticket_next - 1;
  *w = (lk_crdt_waiter){ .ticket = ticket, .member = member, .request = request };
  lk_list_push_last(&self->waiting, &w->link);
  return LK_OK;
}

bool lk_crdt_journal_poll(lk_crdt_journal *self, uint64_t ticket, lk_crdt_waiter *out) {
  lk_link *first = self->waiting.first;
  if (first == NULL) return false;
  *out = *LK_CONTAINER(first, lk_crdt_waiter, link);
  if (out->ticket > ticket) return false;
  lk_list_remove(&self->waiting, first);
  free_waiter(self, first);
  return true;
}

void lk_crdt_journal_leave(lk_crdt_journal *self, uint64_t member) {
  for (lk_link *at = self->waiting.first, *next; at != NULL; at = next) {
    next = at->next;
    if (LK_CONTAINER(at, lk_crdt_waiter, link)->member != member) continue;
    lk_list_remove(&self->waiting, at);
    free_waiter(self, at);
  }
}

void lk_crdt_journal_rest(lk_crdt_journal *self, size_t cap_max) {
  lk_buf_rest(&self->record, cap_max);
  if (!self->in_flight) lk_buf_rest(&self->flying, cap_max);
}
