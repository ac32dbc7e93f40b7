/* The heap of WebAssembly, over an array instead of linear memory.
 *
 * platform/wasm is not part of native builds; this one file of it has nothing of wasm in it, and is
 * compiled here with its test. */
#include "platform/wasm/heap.c"

#include "harness/gen.h"
#include "harness/test.h"

#define PAGES 24
#define BLOCKS 64

static uint8_t *memory(void) {
  static _Alignas(LK_WASM_PAGE_LEN) uint8_t pages[PAGES * LK_WASM_PAGE_LEN];
  return pages;
}

typedef struct source {
  size_t given;
  size_t limit;
} source;

static uint8_t *grow_array(void *ctx, size_t pages) {
  source *self = ctx;
  if (pages > self->limit - self->given) return NULL;
  uint8_t *at = memory() + self->given * LK_WASM_PAGE_LEN;
  self->given += pages;
  return at;
}

/* ---- what must always hold ---- */

static size_t free_bytes(const lk_wasm_heap *heap) {
  size_t sum = 0;
  for (uint32_t class = 0; class < LK_WASM_HEAP_CLASSES; class ++) {
    for (const lk_wasm_free *f = heap->classes[class]; f != NULL; f = f->next)
      sum += class_size(class);
  }
  for (const lk_wasm_run *run = heap->runs; run != NULL; run = run->next) {
    CHECK(run->next == NULL ||
          (const uint8_t *)run + run->pages * LK_WASM_PAGE_LEN < (const uint8_t *)run->next);
    sum += run->pages * LK_WASM_PAGE_LEN;
  }
  return sum;
}

static size_t room_of(size_t size) {
  return size <= SMALL_MAX ? class_size(class_of(size)) : pages_of(size) * LK_WASM_PAGE_LEN;
}

TEST(wasm_heap_classes_hold_their_sizes_and_waste_a_fifth_at_most) {
  for (size_t size = 1; size <= SMALL_MAX; size++) {
    size_t room = class_size(class_of(size));
    CHECK(room >= size && room % GRAIN == 0);
    CHECK(class_of(size) == 0 || class_size(class_of(size) - 1) < size);
    if (size > 64) CHECK((room - size) * 5 <= room);
    if (size >= GRAIN) CHECK(class_size(class_within(size)) <= size);
  }
}

/* Goal: no two blocks share a byte, contents survive moves, and every byte is in use or free.
 * Method: random calls; each block is filled with a byte of its own, and looked at before it goes. */
typedef struct block {
  uint8_t *ptr;
  size_t size;
  uint8_t fill;
} block;

/* All of a small block, some of a big one. */
static size_t next_place(size_t i) { return i < 64 ? i + 1 : i + 1021; }

static void fill_block(const block *b) {
  for (size_t i = 0; i < b->size; i = next_place(i)) b->ptr[i] = b->fill;
}

static void check_block(const block *b) {
  for (size_t i = 0; i < b->size; i = next_place(i)) CHECK(b->ptr[i] == b->fill);
}

static size_t draw_size(lk_gen *g) {
  static const uint32_t bounds[] = { 40, 300, 5000, 70000, 300000 };
  return gen_below(g, bounds[gen_below(g, 5)]);
}

static void resize_block(lk_wasm_heap *heap, block *b, size_t size, uint8_t fill) {
  if (b->size == 0 && size == 0) return;
  uint8_t *moved = heap->alloc.resize(heap->alloc.ctx, b->ptr, b->size, size);
  if (moved == NULL && size > 0) return; /* no memory: the old block is as it was */
  CHECK(((uintptr_t)moved & (GRAIN - 1)) == 0);
  block kept = { moved, lk_min_size(b->size, size), b->fill };
  check_block(&kept);
  *b = (block){ size > 0 ? moved : NULL, size, fill };
  fill_block(b);
}

PROPERTY(wasm_heap_gives_blocks_that_do_not_touch_and_takes_all_of_them_back) {
  source pages = { 0, 1 + gen_below(g, PAGES) };
  block blocks[BLOCKS] = { 0 };
  lk_wasm_heap heap;
  lk_wasm_heap_init(&heap, grow_array, &pages, PAGES);
  for (uint32_t n = gen_below(g, 40), i = 0; i < n; i++) {
    block *b = &blocks[gen_below(g, BLOCKS)];
    check_block(b);
    resize_block(&heap, b, gen_below(g, 3) == 0 ? 0 : draw_size(g), (uint8_t)(i + 1));
  }
  size_t used = 0, room = 0;
  for (uint32_t i = 0; i < BLOCKS; i++) {
    check_block(&blocks[i]);
    used += blocks[i].size;
    if (blocks[i].size > 0) room += room_of(blocks[i].size);
  }
  CHECK(heap.used == used);
  /* What cutting a page leaves over is less than a grain for each class and cut, or again a block. */
  CHECK(room + free_bytes(&heap) <= heap.pages * LK_WASM_PAGE_LEN);
  for (uint32_t i = 0; i < BLOCKS; i++) resize_block(&heap, &blocks[i], 0, 0);
  CHECK(heap.used == 0);
  CHECK(heap.pages <= pages.limit);
}

TEST(wasm_heap_grows_a_big_block_in_place_and_shrinks_it_in_place) {
  source pages = { 0, PAGES };
  lk_wasm_heap heap;
  lk_wasm_heap_init(&heap, grow_array, &pages, PAGES);
  uint8_t *a = heap.alloc.resize(&heap, NULL, 0, 8 * LK_WASM_PAGE_LEN);
  CHECK(heap.alloc.resize(&heap, a, 8 * LK_WASM_PAGE_LEN, 2 * LK_WASM_PAGE_LEN) == a);
  CHECK(heap.alloc.resize(&heap, a, 2 * LK_WASM_PAGE_LEN, 8 * LK_WASM_PAGE_LEN) == a);
  CHECK(heap.alloc.resize(&heap, a, 8 * LK_WASM_PAGE_LEN, 0) == NULL);
  CHECK(heap.used == 0 && free_bytes(&heap) == heap.pages * LK_WASM_PAGE_LEN);
}

TEST(wasm_heap_joins_freed_pages_so_that_a_larger_block_fits) {
  source pages = { 0, 8 };
  uint8_t *part[8];
  lk_wasm_heap heap;
  lk_wasm_heap_init(&heap, grow_array, &pages, 8);
  for (int i = 0; i < 8; i++) {
    part[i] = heap.alloc.resize(&heap, NULL, 0, LK_WASM_PAGE_LEN);
    CHECK(part[i] != NULL);
  }
  CHECK(heap.alloc.resize(&heap, NULL, 0, 1) == NULL);
  static const int order[] = { 5, 3, 4, 2, 7, 0, 6, 1 };
  for (int i = 0; i < 8; i++) (void)heap.alloc.resize(&heap, part[order[i]], LK_WASM_PAGE_LEN, 0);
  CHECK(heap.alloc.resize(&heap, NULL, 0, 8 * LK_WASM_PAGE_LEN) == part[0]);
}

TEST(wasm_heap_says_no_at_its_maximum_and_keeps_what_there_was) {
  source pages = { 0, PAGES };
  lk_wasm_heap heap;
  lk_wasm_heap_init(&heap, grow_array, &pages, 3);
  uint8_t *a = heap.alloc.resize(&heap, NULL, 0, 2 * LK_WASM_PAGE_LEN);
  a[0] = 7;
  CHECK(heap.alloc.resize(&heap, a, 2 * LK_WASM_PAGE_LEN, 4 * LK_WASM_PAGE_LEN) == NULL);
  CHECK(a[0] == 7 && heap.used == 2 * LK_WASM_PAGE_LEN);
  CHECK(heap.alloc.resize(&heap, NULL, 0, SIZE_MAX - 5) == NULL);
  CHECK(pages.given <= 3);
}
