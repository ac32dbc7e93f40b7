/* base/heap.h -- what is due next: a binary heap of things that have a time.
 *
 * Items embed an lk_heap_item; the heap holds pointers to them. Items with equal keys come out
 * in the order in which they went in, so that a run is the same each time. An item knows its
 * place, so that a timer can be moved or cancelled in O(log n). */
#ifndef LK_BASE_HEAP_H
#define LK_BASE_HEAP_H

#include "base/alloc.h"

#define LK_HEAP_OUT UINT32_MAX

typedef struct lk_heap_item {
  uint64_t key;
  uint64_t order; /* set by push: breaks ties */
  uint32_t place; /* LK_HEAP_OUT while in no heap; see LK_HEAP_ITEM_INIT */
} lk_heap_item;

#define LK_HEAP_ITEM_INIT                                                                          \
  { 0, 0, LK_HEAP_OUT }

typedef struct lk_heap {
  const lk_alloc *alloc;
  lk_heap_item **items;
  uint64_t next_order;
  uint32_t count;
  uint32_t cap;
  uint32_t count_max;
} lk_heap;

void lk_heap_init(lk_heap *self, const lk_alloc *alloc, uint32_t count_max);

/* Safe on a zeroed struct, and twice. Items stay their owners'. */
void lk_heap_deinit(lk_heap *self);

/* |item| must be in no heap. LK_ERR_LIMIT at count_max, LK_ERR_NOMEM: nothing changed. */
lk_err lk_heap_push(lk_heap *self, lk_heap_item *item, uint64_t key) LK_MUST_USE;

/* Gives |item|, which must be in this heap, another key. It counts as pushed now for ties. */
void lk_heap_move(lk_heap *self, lk_heap_item *item, uint64_t key);

/* |item| must be in this heap. */
void lk_heap_remove(lk_heap *self, lk_heap_item *item);

/* The item with the least key, or NULL; it stays in. */
static inline lk_heap_item *lk_heap_first(const lk_heap *self) {
  return self->count > 0 ? self->items[0] : NULL;
}

/* The item with the least key, taken out, or NULL. */
lk_heap_item *lk_heap_pop(lk_heap *self);

#endif
