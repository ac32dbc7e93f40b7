/* platform/posix/slabs.c -- blocks of one size stand in slabs of 16 KiB, slabs in areas of 1 MiB.
 *
 *   area    1 MiB of address space that begins at a multiple of it
 *
 *     | head | slab 1 | slab 2 | ... | slab 63 |      the head takes the place of a slab: 63 rows about the slabs
 *
 *   slab    16 KiB: free, or cut into blocks of one class
 *
 *     | block | free | block | block | never used ... |      pages behind the last used block were never touched
 *
 * The size of a block is known when it is freed, and its address names its area and its slab; so nothing is stored beside
 * it, and a free block is its own list entry. Classes are 16 bytes apart up to 1 KiB, and an eighth of a power of two
 * above: little is lost to rounding, and blocks of different purposes have mostly slabs of their own; and what its owner
 * calls brief has slabs apart. That is what lets a slab become empty: what a document needs while somebody writes is freed,
 * while what it is when nobody does stays.
 *
 * A slab that had no free block and gets one is used next, so that few slabs are partly used. One that becomes empty
 * waits with LK_SLABS_SPARE_MAX others, in case that its class wants it back; then its pages are given back, and its
 * place may serve any class. Areas without slabs go back too, but for the last one.
 *
 * Always: a slab is on the list of its class where it has a block that is free and one that is used, on |spare| where
 * none is used, on no list where none is free. An area is on |vacant| while it has a place.
 *
 * Huge pages are declined: one would be held by a single block. */
#include "platform/posix/slabs.h"

#include "base/num.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define AREA_LEN ((size_t)1 << 20)
#define SLAB_LEN ((size_t)1 << 14)
#define SLABS_COUNT (AREA_LEN / SLAB_LEN) /* the head counts as the first one */
#define GRAIN 16
#define FINE_MAX 1024
#define FINE_CLASSES (FINE_MAX / GRAIN)

typedef struct free_block {
  struct free_block *next;
} free_block;

typedef struct slab {
  lk_link link;
  free_block *free;
  uint16_t used;
  uint16_t fresh; /* where the part that was never used begins */
  uint16_t size;  /* of its blocks; 0: the place is vacant */
  uint8_t class;
  uint8_t side;
} slab;

typedef struct area {
  lk_link link;
  lk_link vacant_link;
  uint64_t vacant; /* a bit for each place */
  slab slabs[SLABS_COUNT];
} area;

_Static_assert(SLABS_COUNT == 64, "an area's places are bits of one number");
_Static_assert(sizeof(area) <= SLAB_LEN, "the head of an area is in the place of a slab");
_Static_assert(SLAB_LEN <= UINT16_MAX, "offsets in a slab have 16 bits");
#define VACANT_ALL (UINT64_MAX - 1)

/* ---- classes ---- */

/* Above FINE_MAX the three bits below the topmost one choose among eight. */
static uint32_t class_of(size_t size) {
  if (size <= FINE_MAX) return (uint32_t)((size - 1) / GRAIN);
  uint32_t top = 63 - lk_clz_u64(size - 1);
  return FINE_CLASSES + (top - 10) * 8 + ((uint32_t)((size - 1) >> (top - 3)) & 7);
}

static size_t class_size(uint32_t class) {
  if (class < FINE_CLASSES) return (class + (size_t)1) * GRAIN;
  uint32_t top = (class - FINE_CLASSES) / 8 + 10;
  return (size_t)(9 + (class - FINE_CLASSES) % 8) << (top - 3);
}

/* ---- areas ---- */

static area *area_of(const void *block) {
  return (area *)((uintptr_t)block & ~(uintptr_t)(AREA_LEN - 1));
}

static uint8_t *start_of(const slab *s) {
  const area *a = area_of(s);
  return (uint8_t *)(uintptr_t)a + (size_t)(s - a->slabs) * SLAB_LEN;
}

static slab *slab_of(const void *block) {
  area *a = area_of(block);
  return &a->slabs[((uintptr_t)block - (uintptr_t)a) / SLAB_LEN];
}

/* Twice as much is asked for, and what lies beside the aligned part is given back. */
static area *map_area(void) {
  uint8_t *at = mmap(NULL, 2 * AREA_LEN, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return NULL;
  size_t before = (AREA_LEN - ((uintptr_t)at & (AREA_LEN - 1))) & (AREA_LEN - 1);
  if (before > 0) (void)munmap(at, before);
  (void)munmap(at + before + AREA_LEN, AREA_LEN - before);
  (void)madvise(at + before, AREA_LEN, MADV_NOHUGEPAGE);
  return (area *)(void *)(at + before);
}

static area *need_area(lk_slabs *self) {
  if (self->vacant.first != NULL) return LK_CONTAINER(self->vacant.first, area, vacant_link);
  area *a = map_area();
  if (a == NULL) return NULL;
  a->vacant = VACANT_ALL; /* the rest is zero */
  lk_list_push_last(&self->areas, &a->link);
  lk_list_push_last(&self->vacant, &a->vacant_link);
  return a;
}

static slab *open_slab(lk_slabs *self, uint32_t class) {
  area *a = need_area(self);
  if (a == NULL) return NULL;
  uint32_t index = (uint32_t)__builtin_ctzll(a->vacant);
  a->vacant &= a->vacant - 1;
  if (a->vacant == 0) lk_list_remove(&self->vacant, &a->vacant_link);
  slab *s = &a->slabs[index];
  *s = (slab){ .size = (uint16_t)class_size(class), .class = (uint8_t) class };
  return s;
}

/* |s| is on no list, and nothing in it is used. */
static void close_slab(lk_slabs *self, slab *s) {
  area *a = area_of(s);
  /* The system rounds up to its pages: where they are longer, that would be others' slabs. */
  if (self->gives_back) (void)madvise(start_of(s), SLAB_LEN, MADV_DONTNEED);
  s->size = 0;
  if (a->vacant == 0) lk_list_push_first(&self->vacant, &a->vacant_link);
  a->vacant |= (uint64_t)1 << (s - a->slabs);
  if (a->vacant != VACANT_ALL || self->vacant.count == 1) return;
  lk_list_remove(&self->vacant, &a->vacant_link);
  lk_list_remove(&self->areas, &a->link);
  (void)munmap(a, AREA_LEN);
}

/* ---- slabs ---- */

/* Of a few; one of the same class is as good as it was. */
static slab *take_spare(lk_slabs *self, uint32_t class) {
  for (lk_link *at = self->spare.first; at != NULL; at = at->next) {
    slab *s = LK_CONTAINER(at, slab, link);
    if (s->class != class) continue;
    lk_list_remove(&self->spare, at);
    return s;
  }
  return NULL;
}

static void put_spare(lk_slabs *self, slab *s) {
  lk_list_push_last(&self->spare, &s->link);
  if (self->spare.count <= LK_SLABS_SPARE_MAX) return;
  slab *oldest = LK_CONTAINER(self->spare.first, slab, link);
  lk_list_remove(&self->spare, &oldest->link);
  close_slab(self, oldest);
}

static bool is_full(const slab *s) { return s->free == NULL && s->fresh + s->size > SLAB_LEN; }

static lk_list *list_of(lk_slabs *self, const slab *s) { return &self->classes[s->side][s->class]; }

static slab *need_slab(lk_slabs *self, uint8_t side, uint32_t class) {
  lk_list *list = &self->classes[side][class];
  if (list->first != NULL) return LK_CONTAINER(list->first, slab, link);
  slab *s = take_spare(self, class);
  if (s == NULL) s = open_slab(self, class);
  if (s == NULL) return NULL;
  s->side = side;
  lk_list_push_last(list, &s->link);
  return s;
}

/* ---- blocks ---- */

static void *take_small(lk_slabs_face *face, size_t size) {
  slab *s = need_slab(face->slabs, face->side, class_of(size));
  if (s == NULL) return NULL;
  void *block = s->free;
  if (block != NULL) s->free = s->free->next;
  else {
    block = start_of(s) + s->fresh;
    s->fresh = (uint16_t)(s->fresh + s->size);
  }
  s->used++;
  if (is_full(s)) lk_list_remove(list_of(face->slabs, s), &s->link);
  return block;
}

static void give_small(const lk_slabs_face *face, void *ptr, size_t size) {
  lk_slabs *self = face->slabs;
  slab *s = slab_of(ptr);
  free_block *block = ptr;
  LK_ASSERT(s->used > 0 && s->class == class_of(size) && s->side == face->side);
  if (self->is_clean) memset(ptr, 0, size); /* it is read again, as far as a compiler can know */
  if (is_full(s)) lk_list_push_first(list_of(self, s), &s->link);
  block->next = s->free;
  s->free = block;
  if (--s->used > 0) return;
  lk_list_remove(list_of(self, s), &s->link);
  put_spare(self, s);
}

static bool is_small(size_t size) { return size <= LK_SLABS_SMALL_MAX; }

static void *take(lk_slabs_face *face, size_t size) {
  return is_small(size) ? take_small(face, size) : malloc(size);
}

static void give(const lk_slabs_face *face, void *ptr, size_t size) {
  if (is_small(size)) {
    give_small(face, ptr, size);
    return;
  }
  if (face->slabs->is_clean) explicit_bzero(ptr, size);
  free(ptr);
}

static void *move(lk_slabs_face *face, void *ptr, size_t old_size, size_t new_size) {
  void *moved = take(face, new_size);
  if (moved == NULL) return NULL;
  memcpy(moved, ptr, old_size < new_size ? old_size : new_size);
  give(face, ptr, old_size);
  return moved;
}

static void *resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  lk_slabs_face *face = ctx;
  bool is_clean = face->slabs->is_clean;
  if (ptr == NULL) return new_size > 0 ? take(face, new_size) : NULL;
  if (new_size == 0) {
    give(face, ptr, old_size);
    return NULL;
  }
  bool stays_small = is_small(old_size) && is_small(new_size);
  if (stays_small && class_of(old_size) == class_of(new_size)) {
    if (is_clean && new_size < old_size) memset((uint8_t *)ptr + new_size, 0, old_size - new_size);
    return ptr;
  }
  /* realloc() may leave the old place as it is */
  bool stays_large = !is_small(old_size) && !is_small(new_size);
  if (stays_large && !is_clean) return realloc(ptr, new_size);
  return move(face, ptr, old_size, new_size);
}

void lk_slabs_init(lk_slabs *self, bool is_clean) {
  *self = (lk_slabs){ .is_clean = is_clean, .gives_back = sysconf(_SC_PAGESIZE) <= (long)SLAB_LEN };
  self->lasting = (lk_slabs_face){ { resize, &self->lasting }, self, 0 };
  self->brief = (lk_slabs_face){ { resize, &self->brief }, self, 1 };
}

void lk_slabs_deinit(lk_slabs *self) {
  for (lk_link *at; (at = lk_list_pop_first(&self->areas)) != NULL;)
    (void)munmap(LK_CONTAINER(at, area, link), AREA_LEN);
  lk_slabs_init(self, self->is_clean);
}
