/* platform/posix/heap.h -- the C library's heap as an lk_alloc. */
#ifndef LK_PLATFORM_POSIX_HEAP_H
#define LK_PLATFORM_POSIX_HEAP_H

#include "laniakea/env.h"

/* Static; may be used by any thread. */
const lk_alloc *lk_posix_heap(void);

#endif
