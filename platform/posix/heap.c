/* platform/posix/heap.c -- realloc and free behind the allocator table; and the same for what must not stay behind. */
#include "platform/posix/heap.h"

#include <stdlib.h>
#include <string.h>

static void *resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  (void)ctx;
  (void)old_size;
  if (new_size == 0) {
    free(ptr);
    return NULL;
  }
  return realloc(ptr, new_size);
}

static const lk_alloc heap = { resize, NULL };

const lk_alloc *lk_posix_heap(void) { return &heap; }

/* explicit_bzero(): a compiler knows that nobody reads what is freed. realloc() might move, and leave the old place as it
 * is. */
static void *resize_clean(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  (void)ctx;
  void *grown = new_size == 0 ? NULL : malloc(new_size);
  if (new_size != 0 && grown == NULL) return NULL;
  if (ptr == NULL) return grown;
  if (grown != NULL) memcpy(grown, ptr, old_size < new_size ? old_size : new_size);
  explicit_bzero(ptr, old_size);
  free(ptr);
  return grown;
}

static const lk_alloc clean_heap = { resize_clean, NULL };

const lk_alloc *lk_posix_clean_heap(void) { return &clean_heap; }
