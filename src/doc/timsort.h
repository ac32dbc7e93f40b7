/* doc/timsort.h -- Array.prototype.sort as V8 has it, for comparisons that contradict themselves.
 *
 * Where a comparison is one, every stable sort gives the same. Where it says "before" whichever way two items are
 * asked about, what comes out is how the sort goes about it; and Yjs has such a comparison (merge.c). So
 * this asks the very questions that V8 asks, in its order. */
#ifndef LK_DOC_TIMSORT_H
#define LK_DOC_TIMSORT_H

#include "base/base.h"

/* Below 0 where |a| comes before |b|. */
typedef int (*lk_timsort_fn)(const void *ctx, uint32_t a, uint32_t b);

/* |room| is for half as many items. Takes no more steps than a sort does, whatever |compare| says. */
void lk_timsort(uint32_t *items, uint32_t count, uint32_t *room, lk_timsort_fn compare,
                const void *ctx);

#endif
