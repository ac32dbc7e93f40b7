/* base/arena.c -- chunks that hang below each other.
 *
 *   top ──> [ header | bytes ... pos        cap ]
 *              │ below
 *              v
 *           [ header | bytes ...          pos=cap-ish ]
 *              │ below
 *              v   NULL
 *
 * A push takes bytes from the top chunk or starts a new one, at least half as large again as the
 * last, so that a large request costs O(log n) allocations. A mark is (chunk, pos): popping to it frees
 * the chunks above and sets pos back. One popped chunk, the largest, is kept as |spare|, so that a loop
 * which marks, pushes and pops does not visit the allocator each time.
 *
 * Always: used is the sum of the chunks that hang below top, the spare one not counted, since
 * its bytes hold nothing; used <= max. Nothing pushed moves, so pointers stay good.
 *
 * Not chosen: one reserved address range that is committed as it grows. A wasm32 tab has no
 * address space to reserve. */
#include "base/arena.h"

#include <stdalign.h>

#define CHUNK_SIZE_LEAST 1024

struct lk_arena_chunk {
  lk_arena_chunk *below;
  size_t size; /* the whole block, header included */
  size_t pos;  /* from the start of the block; the header's size when empty */
};

#define ALIGN (alignof(max_align_t))
#define HEADER_SIZE ((sizeof(lk_arena_chunk) + ALIGN - 1) / ALIGN * ALIGN)

void lk_arena_init(lk_arena *self, const lk_alloc *alloc, size_t max) {
  *self = (lk_arena){ .alloc = alloc, .max = max };
}

static void free_chunk(lk_arena *self, lk_arena_chunk *chunk) {
  if (chunk != NULL) lk_free_bytes(self->alloc, chunk, chunk->size);
}

void lk_arena_deinit(lk_arena *self) {
  while (self->top != NULL) {
    lk_arena_chunk *below = self->top->below;
    free_chunk(self, self->top);
    self->top = below;
  }
  free_chunk(self, self->spare);
  *self = (lk_arena){ 0 };
}

/* Puts a chunk with at least |size| free bytes on top. */
static bool push_chunk(lk_arena *self, size_t size) {
  size_t needed, block;
  if (!lk_add_size(size, HEADER_SIZE, &needed)) return false;
  lk_arena_chunk *chunk = NULL;
  if (self->spare != NULL && self->spare->size >= needed &&
      self->spare->size <= self->max - self->used) {
    chunk = self->spare;
    self->spare = NULL;
  } else {
    size_t last = self->top == NULL ? 0 : self->top->size;
    if (!lk_grow_cap(last, needed, CHUNK_SIZE_LEAST, self->max - self->used, &block)) {
      LK_COVERED(arena_reached_its_maximum);
      return false;
    }
    chunk = lk_alloc_bytes(self->alloc, block);
    if (chunk == NULL) return false;
    chunk->size = block;
  }
  chunk->below = self->top;
  chunk->pos = HEADER_SIZE;
  self->top = chunk;
  self->used += chunk->size;
  return true;
}

static void *push(lk_arena *self, size_t size, size_t align) {
  size_t pos = 0, end = 0;
  if (self->top != NULL) {
    pos = (self->top->pos + align - 1) / align * align;
    if (lk_add_size(pos, size, &end) && end <= self->top->size) goto fits;
  }
  if (!push_chunk(self, size)) return NULL;
  pos = HEADER_SIZE;
  end = pos + size;
fits:
  self->top->pos = end;
  return (uint8_t *)self->top + pos;
}

void *lk_arena_push(lk_arena *self, size_t size) { return push(self, size, ALIGN); }

uint8_t *lk_arena_push_bytes(lk_arena *self, size_t size) { return push(self, size, 1); }

void *lk_arena_push_array(lk_arena *self, size_t count, size_t item_size) {
  size_t size;
  if (!lk_mul_size(count, item_size, &size)) return NULL;
  return lk_arena_push(self, size);
}

lk_err lk_arena_copy(lk_arena *self, lk_slice bytes, lk_slice *out) {
  uint8_t *copy = lk_arena_push_bytes(self, bytes.len);
  if (copy == NULL) return LK_ERR_NOMEM;
  if (bytes.len > 0) memcpy(copy, bytes.ptr, bytes.len);
  *out = lk_slice_of(copy, bytes.len);
  return LK_OK;
}

lk_arena_mark lk_arena_get_mark(const lk_arena *self) {
  return (lk_arena_mark){ self->top, self->top == NULL ? 0 : self->top->pos };
}

/* Keeps the larger of two empty chunks. */
static void retire_chunk(lk_arena *self, lk_arena_chunk *chunk) {
  if (self->spare == NULL || chunk->size > self->spare->size) {
    free_chunk(self, self->spare);
    self->spare = chunk;
  } else {
    free_chunk(self, chunk);
  }
}

void lk_arena_pop_to(lk_arena *self, lk_arena_mark mark) {
  while (self->top != mark.chunk) {
    LK_ASSERT(self->top != NULL); /* else the mark is of another arena, or already popped */
    lk_arena_chunk *chunk = self->top;
    self->top = chunk->below;
    self->used -= chunk->size;
    retire_chunk(self, chunk);
  }
  if (self->top != NULL) {
    LK_ASSERT(mark.pos >= HEADER_SIZE && mark.pos <= self->top->pos);
    self->top->pos = mark.pos;
  }
}

void lk_arena_reset(lk_arena *self) { lk_arena_pop_to(self, (lk_arena_mark){ NULL, 0 }); }
