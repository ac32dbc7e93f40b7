/* base/heap.c -- a binary heap in an array.
 *
 * The children of place i are 2i+1 and 2i+2; no item is greater than its children, where items
 * compare by key and then by order of arrival. Each item knows its place, so the two sifts keep
 * both directions true: items[x->place] == x for every x in the heap. */
#include "base/heap.h"

#define HEAP_CAP_LEAST 16

void lk_heap_init(lk_heap *self, const lk_alloc *alloc, uint32_t count_max) {
  *self = (lk_heap){ .alloc = alloc, .count_max = count_max };
}

void lk_heap_deinit(lk_heap *self) {
  for (uint32_t i = 0; i < self->count; i++) self->items[i]->place = LK_HEAP_OUT;
  if (self->alloc != NULL) {
    lk_free_array(self->alloc, self->items, self->cap, sizeof(lk_heap_item *));
  }
  *self = (lk_heap){ 0 };
}

static bool is_before(const lk_heap_item *a, const lk_heap_item *b) {
  return a->key != b->key ? a->key < b->key : a->order < b->order;
}

static void set_place(lk_heap *self, uint32_t place, lk_heap_item *item) {
  self->items[place] = item;
  item->place = place;
}

static void sift_up(lk_heap *self, lk_heap_item *item) {
  uint32_t at = item->place;
  while (at > 0) {
    uint32_t parent = (at - 1) / 2;
    if (!is_before(item, self->items[parent])) break;
    set_place(self, at, self->items[parent]);
    at = parent;
  }
  set_place(self, at, item);
}

static void sift_down(lk_heap *self, lk_heap_item *item) {
  uint32_t at = item->place;
  for (;;) {
    uint64_t child = 2 * (uint64_t)at + 1;
    if (child >= self->count) break;
    if (child + 1 < self->count && is_before(self->items[child + 1], self->items[child])) child++;
    if (!is_before(self->items[child], item)) break;
    set_place(self, at, self->items[child]);
    at = (uint32_t)child;
  }
  set_place(self, at, item);
}

static void sift(lk_heap *self, lk_heap_item *item) {
  sift_up(self, item);
  sift_down(self, item);
}

lk_err lk_heap_push(lk_heap *self, lk_heap_item *item, uint64_t key) {
  LK_ASSERT(item->place == LK_HEAP_OUT);
  if (self->count == self->count_max) return LK_ERR_LIMIT;
  if (self->count == self->cap) {
    size_t cap;
    bool room = lk_grow_cap(self->cap, (size_t)self->count + 1, HEAP_CAP_LEAST, self->count_max,
                            &cap);
    LK_ASSERT(room);
    lk_heap_item **items = lk_resize_array(self->alloc, self->items, self->cap, cap,
                                           sizeof(lk_heap_item *));
    if (items == NULL) return LK_ERR_NOMEM;
    self->items = items;
    self->cap = (uint32_t)cap;
  }
  item->key = key;
  item->order = self->next_order++;
  set_place(self, self->count++, item);
  sift_up(self, item);
  return LK_OK;
}

static void assert_is_in(const lk_heap *self, const lk_heap_item *item) {
  LK_ASSERT(item->place < self->count && self->items[item->place] == item);
}

void lk_heap_move(lk_heap *self, lk_heap_item *item, uint64_t key) {
  assert_is_in(self, item);
  item->key = key;
  item->order = self->next_order++;
  sift(self, item);
}

void lk_heap_remove(lk_heap *self, lk_heap_item *item) {
  assert_is_in(self, item);
  lk_heap_item *last = self->items[--self->count];
  if (last != item) {
    set_place(self, item->place, last);
    sift(self, last);
  }
  item->place = LK_HEAP_OUT;
}

lk_heap_item *lk_heap_pop(lk_heap *self) {
  lk_heap_item *item = lk_heap_first(self);
  if (item != NULL) lk_heap_remove(self, item);
  return item;
}
