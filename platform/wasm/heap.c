/* platform/wasm/heap.c -- small blocks by size class, big ones by page.
 *
 * A block's size is known whenever it is freed, so nothing is stored beside it, and a free block
 * is its own list entry.
 *
 *   small   up to 32 KiB. 40 classes: 16, 32, 48, 64, then four to each doubling (80, 96, 112,
 *           128, 160 ...), so at most a fifth of a block is lost to rounding above 64 bytes. Each
 *           class has a list of free blocks, last in first out: what was touched last is in the
 *           cache. An empty list is refilled by cutting one page.
 *
 *     page  | block | block | block | ... | rest |      the rest goes to the list of its own class
 *
 *   big     whole pages. Free runs of pages form a list by address in which neighbours are merged
 *           at once; the first that is long enough serves. A big block grows in place where the
 *           run behind it is free, which is the common case for the one buffer that is growing.
 *
 * Always: no two runs of the list touch; a block belongs to a class or to whole pages by its size
 * alone; |used| is the sum of the sizes that are in use.
 *
 * Pages that were cut for a class never become pages again. A program whose sizes shift over time
 * pays for that with at most its own peak once for each class; the instance is thrown away with the
 * tab. Not chosen: a general allocator with headers and merging of small blocks (several times
 * slower on the churn of small records that a replica is), and bump allocation without freeing. */
#include "platform/wasm/heap.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/num.h"

#define GRAIN 16u
#define SMALL_MAX 32768u
#define FINE_CLASSES 4u /* 16, 32, 48, 64 */

struct lk_wasm_free {
  lk_wasm_free *next;
};

struct lk_wasm_run {
  lk_wasm_run *next;
  size_t pages;
};

/* ---- classes ---- */

/* 2^k * (4..7)/4 from 64 on: the two bits below the topmost one choose among four. */
static uint32_t class_of(size_t size) {
  if (size <= FINE_CLASSES * GRAIN) return (uint32_t)((size - 1) / GRAIN);
  uint32_t top = 63 - lk_clz_u64(size - 1);
  uint32_t quarter = (uint32_t)((size - 1) >> (top - 2)) & 3;
  return FINE_CLASSES + (top - 6) * 4 + quarter;
}

static size_t class_size(uint32_t class) {
  if (class < FINE_CLASSES) return (class + 1) * GRAIN;
  uint32_t top = (class - FINE_CLASSES) / 4 + 6;
  return (size_t)(5 + (class - FINE_CLASSES) % 4) << (top - 2);
}

static void push_block(lk_wasm_heap *self, uint32_t class, void *block) {
  lk_wasm_free *entry = block;
  entry->next = self->classes[class];
  self->classes[class] = entry;
}

/* The greatest class whose blocks fit into |size| bytes, which are at least GRAIN. */
static uint32_t class_within(size_t size) {
  uint32_t class = class_of(size);
  return class_size(class) <= size ? class : class - 1;
}

/* ---- pages ---- */

static size_t pages_of(size_t size) {
  return size / LK_WASM_PAGE_LEN + (size % LK_WASM_PAGE_LEN != 0);
}

static uint8_t *run_end(lk_wasm_run *run) { return (uint8_t *)run + run->pages * LK_WASM_PAGE_LEN; }

/* Puts pages into the list, in their place, and joins them with what they touch. */
static void give_pages(lk_wasm_heap *self, uint8_t *start, size_t pages) {
  lk_wasm_run *before = NULL;
  lk_wasm_run *after = self->runs;
  while (after != NULL && (uint8_t *)after < start) {
    before = after;
    after = after->next;
  }
  lk_wasm_run *run = (lk_wasm_run *)(void *)start;
  *run = (lk_wasm_run){ after, pages };
  if (before == NULL) self->runs = run;
  else before->next = run;

  if (after != NULL && run_end(run) == (uint8_t *)after) {
    run->pages += after->pages;
    run->next = after->next;
  }
  if (before != NULL && run_end(before) == start) {
    before->pages += run->pages;
    before->next = run->next;
  }
}

/* Takes the first |pages| of the run that |link| points to; the rest stays in the list. */
static uint8_t *cut_run(lk_wasm_run **link, size_t pages) {
  lk_wasm_run *run = *link;
  LK_ASSERT(run->pages >= pages);
  if (run->pages == pages) {
    *link = run->next;
  } else {
    lk_wasm_run *rest = (lk_wasm_run *)(void *)((uint8_t *)run + pages * LK_WASM_PAGE_LEN);
    *rest = (lk_wasm_run){ run->next, run->pages - pages };
    *link = rest;
  }
  return (uint8_t *)run;
}

/* The place in the list that points to the first run of at least |pages|, or to NULL. */
static lk_wasm_run **find_run(lk_wasm_heap *self, size_t pages) {
  lk_wasm_run **link = &self->runs;
  while (*link != NULL && (*link)->pages < pages) link = &(*link)->next;
  return link;
}

static bool grow_by(lk_wasm_heap *self, size_t pages) {
  uint8_t *fresh = pages > self->pages_max - self->pages ? NULL : self->grow(self->grow_ctx, pages);
  if (fresh == NULL) return false;
  self->pages += pages;
  give_pages(self, fresh, pages);
  return true;
}

/* Growing is slow, and in a browser every view of the memory must be made anew: so the heap grows
 * by a quarter at a time, and by what is needed only where there is no more. */
static uint8_t *take_pages(lk_wasm_heap *self, size_t pages) {
  lk_wasm_run **link = find_run(self, pages);
  if (*link == NULL) {
    if (!grow_by(self, lk_max_size(pages, 1 + self->pages / 4)) && !grow_by(self, pages))
      return NULL;
    link = find_run(self, pages);
  }
  return cut_run(link, pages);
}

/* ---- small blocks ---- */

static bool refill(lk_wasm_heap *self, uint32_t class) {
  uint8_t *at = take_pages(self, 1);
  if (at == NULL) return false;
  size_t size = class_size(class);
  size_t left = LK_WASM_PAGE_LEN;
  for (; left >= size; left -= size, at += size) push_block(self, class, at);
  if (left >= GRAIN) push_block(self, class_within(left), at);
  return true;
}

static void *take_small(lk_wasm_heap *self, uint32_t class) {
  if (self->classes[class] == NULL && !refill(self, class)) return NULL;
  lk_wasm_free *block = self->classes[class];
  self->classes[class] = block->next;
  return block;
}

/* ---- the table's one function ---- */

static void *take(lk_wasm_heap *self, size_t size) {
  return size <= SMALL_MAX ? take_small(self, class_of(size)) : take_pages(self, pages_of(size));
}

static void give(lk_wasm_heap *self, void *ptr, size_t size) {
  if (size <= SMALL_MAX) push_block(self, class_of(size), ptr);
  else give_pages(self, ptr, pages_of(size));
}

/* True where the block can have its new size without moving. */
static bool resize_in_place(lk_wasm_heap *self, uint8_t *ptr, size_t old_size, size_t new_size) {
  if (old_size <= SMALL_MAX || new_size <= SMALL_MAX) {
    return old_size <= SMALL_MAX && new_size <= SMALL_MAX &&
           class_of(old_size) == class_of(new_size);
  }
  size_t have = pages_of(old_size);
  size_t want = pages_of(new_size);
  uint8_t *end = ptr + have * LK_WASM_PAGE_LEN;
  if (want < have) give_pages(self, ptr + want * LK_WASM_PAGE_LEN, have - want);
  if (want <= have) return true;

  lk_wasm_run **link = &self->runs;
  while (*link != NULL && (uint8_t *)*link < end) link = &(*link)->next;
  if (*link == NULL || (uint8_t *)*link != end || (*link)->pages < want - have) return false;
  (void)cut_run(link, want - have);
  return true;
}

static void *resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  lk_wasm_heap *self = ctx;
  void *moved = NULL;
  if (ptr != NULL && new_size > 0 && resize_in_place(self, ptr, old_size, new_size)) {
    moved = ptr;
  } else if (new_size > 0) {
    moved = take(self, new_size);
    if (moved == NULL) return NULL;
    if (ptr != NULL) memcpy(moved, ptr, lk_min_size(old_size, new_size));
  }
  if (ptr != NULL && moved != ptr) give(self, ptr, old_size);
  self->used += new_size - (ptr == NULL ? 0 : old_size);
  return moved;
}

void lk_wasm_heap_init(lk_wasm_heap *self, lk_wasm_grow grow, void *grow_ctx, size_t pages_max) {
  *self = (lk_wasm_heap){ .grow = grow, .grow_ctx = grow_ctx, .pages_max = pages_max };
  self->alloc = (lk_alloc){ resize, self };
  LK_ASSERT(class_of(SMALL_MAX) == LK_WASM_HEAP_CLASSES - 1);
}
