/* room/doc_journal.c -- a queue of records and a queue of those who wait for them. */
#include "room/doc_journal.h"

typedef struct record {
  lk_link link;
  uint64_t ticket;
  uint64_t turn_last; /* before it was followed by another one; 0: none follows */
  lk_buf bytes;
  lk_buf authors; /* the members that its updates are by, u64 each, in their order */
} record;

void lk_doc_journal_init(lk_doc_journal *self, const lk_alloc *alloc) {
  *self = (lk_doc_journal){ .alloc = alloc, .ticket_next = 1 };
}

static void free_record(lk_doc_journal *self, record *r) {
  lk_buf_deinit(&r->bytes);
  lk_buf_deinit(&r->authors);
  lk_free_bytes(self->alloc, r, sizeof *r);
}

static void free_records(lk_doc_journal *self, lk_list *list) {
  for (lk_link *at; (at = lk_list_pop_first(list)) != NULL;)
    free_record(self, LK_CONTAINER(at, record, link));
}

void lk_doc_journal_deinit(lk_doc_journal *self) {
  free_records(self, &self->records);
  free_records(self, &self->landed);
  if (self->alloc != NULL)
    lk_free_array(self->alloc, self->waiting, self->waiting_cap, sizeof *self->waiting);
  *self = (lk_doc_journal){ 0 };
}

/* ---- records ---- */

static lk_err open_record(lk_doc_journal *self, record *before, record **out) {
  record *r = lk_alloc_bytes(self->alloc, sizeof *r);
  if (r == NULL) return LK_ERR_NOMEM;
  *r = (record){ .ticket = self->ticket_next };
  lk_buf_init(&r->bytes, self->alloc, SIZE_MAX / 4);
  lk_buf_init(&r->authors, self->alloc, SIZE_MAX / 4);
  lk_err err = lk_doc_record_begin(&r->bytes);
  if (err != LK_OK) {
    free_record(self, r);
    return err;
  }
  self->ticket_next++;
  if (before != NULL) before->turn_last = self->turn - 1;
  lk_list_push_last(&self->records, &r->link);
  *out = r;
  return LK_OK;
}

static lk_err note_author(lk_doc_journal *self, record *r, uint64_t from) {
  uint8_t bytes[8];
  lk_store_le64(bytes, from);
  self->updates_noted++;
  return lk_buf_append(&r->authors, lk_slice_of(bytes, sizeof bytes));
}

lk_err lk_doc_journal_append(lk_doc_journal *self, const lk_doc_item *item, uint64_t from) {
  uint32_t flying = self->in_flight ? 1 : 0;
  record *r = NULL, *before = NULL;
  if (self->records.count > flying) r = LK_CONTAINER(self->records.last, record, link);
  if (r != NULL && r->bytes.len + lk_doc_record_size(item) > LK_DOC_JOURNAL_RECORD_MAX) {
    LK_COVERED(doc_journal_gathers_in_another_record);
    before = r;
    r = NULL;
  }
#ifdef LK_BUG_DOC_FORGETS /* planted for the simulator, which must find it: sim/README.md */
  if (r != NULL) lk_buf_truncate(&r->bytes, 1);
#endif
  lk_err err = r == NULL ? open_record(self, before, &r) : LK_OK;
  if (err == LK_OK) err = lk_doc_record_append(&r->bytes, item);
  return err == LK_OK && item->kind == LK_DOC_ITEM_UPDATE ? note_author(self, r, from) : err;
}

bool lk_doc_journal_begin(lk_doc_journal *self, uint64_t *ticket, uint64_t *turn_last,
                          lk_slice *bytes) {
  if (self->in_flight || self->records.count == 0) return false;
  const record *r = LK_CONTAINER(self->records.first, record, link);
  self->in_flight = true;
  *ticket = r->ticket;
  *turn_last = r->turn_last;
  *bytes = lk_buf_slice(&r->bytes);
  return true;
}

void lk_doc_journal_landed(lk_doc_journal *self, uint64_t ticket) {
  record *r = LK_CONTAINER(lk_list_pop_first(&self->records), record, link);
  LK_ASSERT(self->in_flight && r->ticket == ticket);
  self->in_flight = false;
  self->ticket_kept = ticket;
  lk_list_push_last(&self->landed, &r->link);
}

/* ---- news ---- */

static void next_landed(lk_doc_journal *self) {
  free_record(self, LK_CONTAINER(lk_list_pop_first(&self->landed), record, link));
  self->news = (lk_reader){ 0 };
  self->told = 0;
}

bool lk_doc_journal_poll_update(lk_doc_journal *self, uint64_t *from, lk_slice *update) {
  while (self->landed.count > 0) {
    const record *r = LK_CONTAINER(self->landed.first, record, link);
    lk_doc_item item;
    lk_err err = LK_OK;
    if (self->news.pos == 0) err = lk_doc_record_open(lk_buf_slice(&r->bytes), &self->news);
    while (err == LK_OK && (err = lk_doc_record_next(&self->news, &item)) == LK_OK) {
      if (item.kind != LK_DOC_ITEM_UPDATE) continue;
      *from = lk_load_le64(r->authors.ptr + 8 * self->told++);
      *update = item.bytes;
      self->updates_told++;
      return true;
    }
    next_landed(self);
  }
  return false;
}

/* ---- who waits ---- */

/* Room at the end: what is taken out in front is used again once it is the greater part. */
static lk_err make_room(lk_doc_journal *self) {
  size_t cap;
  uint32_t end = self->waiting_first + self->waiting_count;
  if (end < self->waiting_cap) return LK_OK;
  if (self->waiting_first > 0 && self->waiting_first >= self->waiting_count) {
    memmove(self->waiting, self->waiting + self->waiting_first,
            self->waiting_count * sizeof *self->waiting);
    self->waiting_first = 0;
    return LK_OK;
  }
  if (!lk_grow_cap(self->waiting_cap, (size_t)self->waiting_cap + 1, 4, UINT32_MAX / 2, &cap))
    return LK_ERR_LIMIT;
  lk_doc_waiter *items = lk_resize_array(self->alloc, self->waiting, self->waiting_cap, cap,
                                         sizeof *items);
  if (items == NULL) return LK_ERR_NOMEM;
  self->waiting = items;
  self->waiting_cap = (uint32_t)cap;
  return LK_OK;
}

lk_err lk_doc_journal_wait(lk_doc_journal *self, uint64_t ticket, uint64_t member,
                           uint64_t request) {
  lk_err err = make_room(self);
  if (err != LK_OK) return err;
  self->waiting[self->waiting_first + self->waiting_count++] =
      (lk_doc_waiter){ .ticket = ticket, .member = member, .request = request };
  return LK_OK;
}

bool lk_doc_journal_poll(lk_doc_journal *self, lk_doc_waiter *out) {
  if (self->waiting_count == 0) return false;
  const lk_doc_waiter *w = &self->waiting[self->waiting_first];
#ifndef LK_BUG_DOC_ACK_EARLY /* planted for the simulator, which must find it: sim/README.md */
  if (!lk_doc_journal_is_kept(self, w->ticket)) return false;
#endif
  *out = *w;
  self->waiting_first++;
  if (--self->waiting_count > 0) return true;
  lk_free_array(self->alloc, self->waiting, self->waiting_cap, sizeof *self->waiting);
  self->waiting = NULL;
  self->waiting_first = self->waiting_cap = 0;
  return true;
}
