/* platform/posix/heap.c -- realloc and free behind the allocator table. */
#include "platform/posix/heap.h"

#include <stdlib.h>

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
