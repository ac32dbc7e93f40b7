/* channel/edge_tables.c -- numbers of connections and members: a place in a table, and how often it was taken before. */
#include "channel/edge_parts.h"

void *lk_edge_table_get(const table *self, uint64_t number) {
  uint64_t place = number & UINT32_MAX;
  if (place >= self->cap || self->slots[place].thing == NULL) return NULL;
  return self->slots[place].uses == number >> INDEX_BITS ? self->slots[place].thing : NULL;
}

static lk_err table_grow(const lk_alloc *alloc, table *self) {
  size_t cap;
  if (!lk_grow_cap(self->cap, (size_t)self->cap + 1, 16, self->count_max, &cap))
    return LK_ERR_LIMIT;
  slot *slots = lk_resize_array(alloc, self->slots, self->cap, cap, sizeof *slots);
  if (slots == NULL) return LK_ERR_NOMEM;
  self->slots = slots;
  for (size_t i = cap; i-- > self->cap;) {
    slots[i] = (slot){ .next_free = self->first_free };
    self->first_free = (uint32_t)i;
  }
  self->cap = (uint32_t)cap;
  return LK_OK;
}

lk_err lk_edge_table_add(const lk_alloc *alloc, table *self, void *thing, uint64_t *number) {
  if (self->first_free == NO_PLACE) {
    lk_err err = table_grow(alloc, self);
    if (err != LK_OK) return err;
  }
  uint32_t place = self->first_free;
  slot *s = &self->slots[place];
  self->first_free = s->next_free;
  s->thing = thing;
  s->uses = s->uses == USES_MASK ? 1 : s->uses + 1;
  self->count++;
  *number = (uint64_t)s->uses << INDEX_BITS | place;
  return LK_OK;
}

void lk_edge_table_remove(table *self, uint64_t number) {
  uint32_t place = (uint32_t)number;
  LK_ASSERT(lk_edge_table_get(self, number) != NULL);
  self->slots[place].thing = NULL;
  self->slots[place].next_free = self->first_free;
  self->first_free = place;
  self->count--;
}
