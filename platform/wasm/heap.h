/* platform/wasm/heap.h -- an lk_alloc over pages that somebody else hands out.
 *
 * In WebAssembly the pages are linear memory's, which only ever grows; a test hands out an array.
 * Blocks carry no header, since lk_alloc names every size again. Not for threads. */
#ifndef LK_PLATFORM_WASM_HEAP_H
#define LK_PLATFORM_WASM_HEAP_H

#include "laniakea/env.h"

#define LK_WASM_PAGE_LEN 65536u
#define LK_WASM_HEAP_CLASSES 40

/* Gives |pages| more pages, aligned to 16 bytes, or NULL. Where they follow those that were given
 * last, they are used as one run with them. */
typedef uint8_t *(*lk_wasm_grow)(void *ctx, size_t pages);

typedef struct lk_wasm_free lk_wasm_free;
typedef struct lk_wasm_run lk_wasm_run;

typedef struct lk_wasm_heap {
  lk_alloc alloc; /* give this out; its ctx is the heap, so the heap may not be moved */
  lk_wasm_grow grow;
  void *grow_ctx;
  lk_wasm_free *classes[LK_WASM_HEAP_CLASSES]; /* free small blocks, by size */
  lk_wasm_run *runs; /* free runs of pages by address; no two of them touch */
  size_t pages;      /* that were ever handed to us */
  size_t pages_max;
  size_t used; /* bytes in blocks that are in use, as they were asked for */
} lk_wasm_heap;

/* Takes no page yet. At most |pages_max| will ever be asked for. There is no deinit: the memory
 * goes away with the instance. */
void lk_wasm_heap_init(lk_wasm_heap *self, lk_wasm_grow grow, void *grow_ctx, size_t pages_max);

#endif
