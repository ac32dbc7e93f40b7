/* base/alloc.h -- calling the allocator that was passed in.
 *
 * Sizes are checked products, so that a count from outside cannot wrap around. Freeing names the
 * size again: allocators need no header, and a wrong size is found by the test allocator. A
 * pointer of NULL with a count of 0 may always be freed. */
#ifndef LK_BASE_ALLOC_H
#define LK_BASE_ALLOC_H

#include "base/check.h"
#include "base/num.h"
#include "laniakea/env.h"

/* NULL where memory is out or the product does not fit. |size| must not be 0. Not zeroed. */
static inline void *lk_alloc_bytes(const lk_alloc *alloc, size_t size) {
  LK_ASSERT(size > 0);
  return alloc->resize(alloc->ctx, NULL, 0, size);
}

LK_SHORT void lk_free_bytes(const lk_alloc *alloc, void *ptr, size_t size) {
  if (ptr != NULL) (void)alloc->resize(alloc->ctx, ptr, size, 0);
}

static inline void *lk_alloc_array(const lk_alloc *alloc, size_t count, size_t item_size) {
  size_t size;
  if (!lk_mul_size(count, item_size, &size) || size == 0) return NULL;
  return lk_alloc_bytes(alloc, size);
}

/* The old array stays valid, and is returned by nobody, where the result is NULL. */
static inline void *lk_resize_array(const lk_alloc *alloc, void *ptr, size_t old_count,
                                    size_t new_count, size_t item_size) {
  size_t size;
  if (!lk_mul_size(new_count, item_size, &size) || size == 0) return NULL;
  return alloc->resize(alloc->ctx, ptr, ptr == NULL ? 0 : old_count * item_size, size);
}

static inline void lk_free_array(const lk_alloc *alloc, void *ptr, size_t count, size_t item_size) {
  lk_free_bytes(alloc, ptr, count * item_size);
}

/* The capacity to grow to: at least |needed|, at least half as much again as |cap|, at most
 * |max|. False where |needed| is above |max|. Growing by half keeps the copied bytes linear in
 * the final size and lets a freed block be reused by a later one. */
static inline bool lk_grow_cap(size_t cap, size_t needed, size_t least, size_t max, size_t *out) {
  if (needed > max) return false;
  size_t grown = cap + cap / 2 < cap ? max : cap + cap / 2;
  grown = lk_max_size(lk_max_size(grown, needed), least);
  *out = lk_min_size(grown, max);
  return true;
}

#endif
