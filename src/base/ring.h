/* base/ring.h -- a queue of items of one size that has a capacity and never grows past it.
 *
 * Memory is taken once, at init, so that a full queue is the only way in which a push can fail.
 * Items are copied in and out; pointers to them are good until the item is popped. */
#ifndef LK_BASE_RING_H
#define LK_BASE_RING_H

#include "base/alloc.h"

typedef struct lk_ring {
  const lk_alloc *alloc;
  uint8_t *items;
  size_t item_size;
  uint32_t cap;
  uint32_t first;
  uint32_t count;
} lk_ring;

/* |item_size| and |cap| above 0. LK_ERR_NOMEM leaves a struct that may be deinitialised. */
lk_err lk_ring_init(lk_ring *self, const lk_alloc *alloc, size_t item_size,
                    uint32_t cap) LK_MUST_USE;

/* Safe on a zeroed struct, and twice. */
void lk_ring_deinit(lk_ring *self);

static inline bool lk_ring_is_full(const lk_ring *self) { return self->count == self->cap; }

/* Copies |item| to the end. LK_ERR_FULL changes nothing. */
lk_err lk_ring_push(lk_ring *self, const void *item) LK_MUST_USE;

/* The item |index| places behind the first; |index| must be below count. */
void *lk_ring_at(const lk_ring *self, uint32_t index);

/* Takes the first item out and copies it to |item|, unless that is NULL. False where empty. */
bool lk_ring_pop(lk_ring *self, void *item);

#endif
