/* base/arena.h -- memory for one request, message or merge, released whole.
 *
 * Pushing is a pointer increment; nothing is freed by itself. A mark remembers a position and
 * lk_arena_pop_to() gives back everything pushed since: that is how a failed step leaves the
 * arena as it found it. An arena has a maximum, and reaching it is an error like any other. */
#ifndef LK_BASE_ARENA_H
#define LK_BASE_ARENA_H

#include "base/alloc.h"
#include "base/slice.h"

typedef struct lk_arena_chunk lk_arena_chunk;

typedef struct lk_arena {
  const lk_alloc *alloc;
  lk_arena_chunk *top;   /* the chunk that is pushed to; older ones hang below it */
  lk_arena_chunk *spare; /* one empty chunk kept for the next push, so that marks cost nothing */
  size_t used;           /* bytes of all chunks, counted against max */
  size_t max;
} lk_arena;

typedef struct lk_arena_mark {
  lk_arena_chunk *chunk;
  size_t pos;
} lk_arena_mark;

/* Allocates nothing. |max| bounds the bytes of all chunks together. */
void lk_arena_init(lk_arena *self, const lk_alloc *alloc, size_t max);

/* Safe on a zeroed struct, and twice. */
void lk_arena_deinit(lk_arena *self);

/* |size| bytes aligned for any type, not zeroed; NULL where memory or the maximum is reached.
 * They live until the arena is popped below them, reset or deinitialised. |size| 0 gives a
 * pointer that may not be read, but is not NULL. */
void *lk_arena_push(lk_arena *self, size_t size);
void *lk_arena_push_array(lk_arena *self, size_t count, size_t item_size);

/* Bytes without alignment, for text; consecutive pushes lie side by side where they fit. */
uint8_t *lk_arena_push_bytes(lk_arena *self, size_t size);

/* A copy of |bytes|; LK_ERR_NOMEM leaves |out| as it was. */
lk_err lk_arena_copy(lk_arena *self, lk_slice bytes, lk_slice *out) LK_MUST_USE;

lk_arena_mark lk_arena_get_mark(const lk_arena *self);
void lk_arena_pop_to(lk_arena *self, lk_arena_mark mark);

/* Pops everything but keeps one chunk for the next request. */
void lk_arena_reset(lk_arena *self);

#endif
