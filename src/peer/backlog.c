/* peer/backlog.c -- a list from which things go at the front. */
#include "peer/backlog.h"

static size_t size_for(size_t len) { return sizeof(lk_backlog_entry) + len; }

static lk_backlog_entry *make(lk_backlog *self, lk_slice bytes) {
  size_t size;
  if (!lk_add_size(sizeof(lk_backlog_entry), bytes.len, &size)) return NULL;
  lk_backlog_entry *entry = lk_alloc_bytes(self->alloc, size);
  if (entry == NULL) return NULL;
  *entry = (lk_backlog_entry){ .number = ++self->last, .len = bytes.len };
  if (bytes.len > 0) memcpy(entry->bytes, bytes.ptr, bytes.len);
  lk_list_push_last(&self->entries, &entry->link);
  self->bytes += bytes.len;
  return entry;
}

static void drop_first(lk_backlog *self) {
  lk_backlog_entry *entry = lk_backlog_first(self);
  lk_list_remove(&self->entries, &entry->link);
  self->bytes -= entry->len;
  lk_free_bytes(self->alloc, entry, size_for(entry->len));
}

lk_err lk_backlog_add(lk_backlog *self, lk_slice bytes, bool waits, lk_backlog_entry **out) {
  lk_backlog_entry *entry = make(self, bytes);
  if (entry == NULL) return LK_ERR_NOMEM;
  entry->waits = waits;
  *out = entry;
  return LK_OK;
}

lk_err lk_backlog_restore(lk_backlog *self, uint64_t number, lk_slice bytes, uint64_t record) {
  if (number == 0) return LK_ERR_CORRUPT;
  if (number <= self->last) return LK_OK;
  lk_backlog_entry *entry = make(self, bytes);
  if (entry == NULL) return LK_ERR_NOMEM;
  entry->number = self->last = number;
  entry->record = record;
  entry->waits = true;
  return LK_OK;
}

void lk_backlog_ack(lk_backlog *self, uint64_t number) {
  while (!lk_backlog_is_empty(self) && lk_backlog_first(self)->number <= number) drop_first(self);
  self->acked = lk_max_u64(self->acked, number);
  self->last = lk_max_u64(self->last, number);
}

void lk_backlog_init(lk_backlog *self, const lk_alloc *alloc) {
  *self = (lk_backlog){ .alloc = alloc };
}

void lk_backlog_deinit(lk_backlog *self) {
  while (!lk_backlog_is_empty(self)) drop_first(self);
  *self = (lk_backlog){ 0 };
}
