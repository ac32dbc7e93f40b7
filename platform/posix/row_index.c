/* platform/posix/row_index.c -- a table of row numbers with linear probing.
 *
 *   slots   [ 0 | 8 | 0 | 3 | 1 | 0 | 0 | 0 ]     slot = hash of the name & (cap - 1), or the next that is free;
 *                 |       |   |                   a slot holds row + 1, 0 is free
 *   rows    their names, which are somebody else's
 *
 * No slot has the hash of its name: a look-up compares names at once, which takes a look at a row or two, and those who move
 * slots about hash anew. These are removing, where the slots behind are moved back until probing reaches all of them (so
 * nothing marks what was removed, and look-ups never become slower), and growing, which goes through the rows and not the
 * slots: the rows lie in memory one behind the other, and the slots point everywhere, which takes several times as long.
 *
 * Always: 2 * count <= cap, so each probing comes to a free slot. Names differ. */
#include "platform/posix/row_index.h"

#include "base/alloc.h"
#include "base/map.h"

#define CAP_LEAST 16u
#define CAP_MAX (UINT32_C(1) << 31)

void lk_row_index_init(lk_row_index *self, const lk_alloc *alloc, const uint64_t seed[2],
                       lk_row_name name_of, const void *rows) {
  *self = (lk_row_index){ .alloc = alloc, .name_of = name_of, .rows = rows };
  self->seed[0] = seed[0];
  self->seed[1] = seed[1];
}

void lk_row_index_deinit(lk_row_index *self) {
  if (self->alloc != NULL) lk_free_array(self->alloc, self->slots, self->cap, sizeof *self->slots);
  *self = (lk_row_index){ 0 };
}

/* Where the probing for |name| begins. */
static uint32_t home_of(const lk_row_index *self, lk_slice name) {
  return (uint32_t)lk_siphash13(self->seed, name) & (self->cap - 1);
}

static lk_slice name_in(const lk_row_index *self, uint32_t slot) {
  return self->name_of(self->rows, self->slots[slot] - 1);
}

/* The slot of |name|, or the free one that ends its probing. */
static uint32_t find_slot(const lk_row_index *self, lk_slice name) {
  uint32_t slot = home_of(self, name);
  while (self->slots[slot] != 0 && !lk_slice_equal(name_in(self, slot), name))
    slot = (slot + 1) & (self->cap - 1);
  return slot;
}

bool lk_row_index_find(const lk_row_index *self, lk_slice name, uint32_t *row) {
  if (self->count == 0) return false;
  uint32_t slot = find_slot(self, name);
  if (self->slots[slot] == 0) return false;
  *row = self->slots[slot] - 1;
  return true;
}

void lk_row_index_add(lk_row_index *self, uint32_t row) {
  LK_ASSERT(self->count < self->cap / 2);
  uint32_t slot = home_of(self, self->name_of(self->rows, row));
  while (self->slots[slot] != 0) slot = (slot + 1) & (self->cap - 1);
  self->slots[slot] = row + 1;
  self->count++;
  self->rows_end = lk_max_u32(self->rows_end, row + 1);
}

lk_err lk_row_index_reserve(lk_row_index *self) {
  lk_row_index grown = *self;
  if (self->count < self->cap / 2) return LK_OK;
  if (self->cap == CAP_MAX) return LK_ERR_LIMIT;
  grown.cap = lk_max_u32(self->cap * 2, CAP_LEAST);
  grown.slots = lk_alloc_array(self->alloc, grown.cap, sizeof *grown.slots);
  if (grown.slots == NULL) return LK_ERR_NOMEM;
  memset(grown.slots, 0, grown.cap * sizeof *grown.slots);
  grown.count = 0;
  for (uint32_t row = 0; row < self->rows_end; row++) {
    if (self->name_of(self->rows, row).len > 0) lk_row_index_add(&grown, row);
  }
  LK_ASSERT(grown.count == self->count);
  lk_free_array(self->alloc, self->slots, self->cap, sizeof *self->slots);
  *self = grown;
  return LK_OK;
}

/* Frees |hole|, once those behind it that could no longer be reached have been moved back. */
static void close_hole(lk_row_index *self, uint32_t hole) {
  uint32_t mask = self->cap - 1;
  for (uint32_t at = (hole + 1) & mask; self->slots[at] != 0; at = (at + 1) & mask) {
    uint32_t home = home_of(self, name_in(self, at));
    if (((at - home) & mask) < ((at - hole) & mask)) continue; /* it begins behind the hole */
    self->slots[hole] = self->slots[at];
    hole = at;
  }
  self->slots[hole] = 0;
}

void lk_row_index_remove(lk_row_index *self, uint32_t row) {
  LK_ASSERT(self->count > 0);
  uint32_t slot = find_slot(self, self->name_of(self->rows, row));
  LK_ASSERT(self->slots[slot] == row + 1);
  close_hole(self, slot);
  self->count--;
}
