/* platform/posix/heap.h -- the C library's heap as an lk_alloc. */
#ifndef LK_PLATFORM_POSIX_HEAP_H
#define LK_PLATFORM_POSIX_HEAP_H

#include "laniakea/env.h"

/* Static; may be used by any thread. */
const lk_alloc *lk_posix_heap(void);

/* The same, but what is freed is zero before: nothing of it can be found in the memory of the process any more. */
const lk_alloc *lk_posix_clean_heap(void);

#endif
