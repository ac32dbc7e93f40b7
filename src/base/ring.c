/* base/ring.c -- a circle of slots: first and count say which are in use. */
#include "base/ring.h"

lk_err lk_ring_init(lk_ring *self, const lk_alloc *alloc, size_t item_size, uint32_t cap) {
  LK_ASSERT(item_size > 0 && cap > 0);
  *self = (lk_ring){ .alloc = alloc, .item_size = item_size, .cap = cap };
  self->items = lk_alloc_array(alloc, cap, item_size);
  return self->items != NULL ? LK_OK : LK_ERR_NOMEM;
}

void lk_ring_deinit(lk_ring *self) {
  if (self->alloc != NULL) lk_free_array(self->alloc, self->items, self->cap, self->item_size);
  *self = (lk_ring){ 0 };
}

static uint8_t *slot(const lk_ring *self, uint32_t index) {
  uint64_t place = ((uint64_t)self->first + index) % self->cap;
  return self->items + (size_t)place * self->item_size;
}

lk_err lk_ring_push(lk_ring *self, const void *item) {
  if (lk_ring_is_full(self)) return LK_ERR_FULL;
  memcpy(slot(self, self->count), item, self->item_size);
  self->count++;
  return LK_OK;
}

void *lk_ring_at(const lk_ring *self, uint32_t index) {
  LK_ASSERT(index < self->count);
  return slot(self, index);
}

bool lk_ring_pop(lk_ring *self, void *item) {
  if (self->count == 0) return false;
  if (item != NULL) memcpy(item, slot(self, 0), self->item_size);
  self->first = self->first + 1 == self->cap ? 0 : self->first + 1;
  self->count--;
  return true;
}
