/* room/names.c -- a table of blocks, each of which is names in order.
 *
 *   block := (len:u8 flags:u8 name)*
 *
 * A block that is full is cut in two at the name in its middle; where a name was removed, neighbours that fit into three quarters
 * of one become one. So two blocks side by side are never both nearly empty. The table is one array: a million names are some
 * thirty thousand blocks, and one that is cut moves a few hundred kilobytes of pointers, once in about twenty new names.
 *
 * Behind the names of a block all is zero, so that nothing remains of a name that was removed: of topics in memory that is promised
 * (docs/decisions/018).
 *
 * Not chosen: base/btree.h, whose items have one size, so that each name would be an allocation of its own, and that costs
 * more than the names do. */
#include "room/names.h"

#define BLOCK_BYTES                                                                                \
  1278 /* half of it and two of the longest names go in, or a half might not take the name it was made for */
#define HEAD 2

struct lk_names_block {
  uint16_t len;
  uint8_t bytes[BLOCK_BYTES];
};

void lk_names_init(lk_names *self, const lk_alloc *alloc, size_t bytes_max) {
  *self = (lk_names){ .alloc = alloc, .bytes_max = bytes_max };
}

static void free_block(lk_names *self, lk_names_block *block) {
  memset(block, 0, sizeof *block);
  lk_free_bytes(self->alloc, block, sizeof *block);
}

void lk_names_deinit(lk_names *self) {
  for (size_t i = 0; i < self->blocks_count; i++) free_block(self, self->blocks[i]);
  lk_free_array(self->alloc, self->blocks, self->blocks_cap, sizeof *self->blocks);
  *self = (lk_names){ 0 };
}

size_t lk_names_bytes(const lk_names *self) {
  return self->blocks_count * sizeof(lk_names_block) + self->blocks_cap * sizeof *self->blocks;
}

/* ---- finding ---- */

static lk_slice name_at(const lk_names_block *block, size_t off) {
  return lk_slice_of(block->bytes + off + HEAD, block->bytes[off]);
}

static size_t behind(const lk_names_block *block, size_t off) {
  return off + HEAD + block->bytes[off];
}

/* The last block whose first name is not behind |name|; the first one where there is none. */
static size_t find_block(const lk_names *self, lk_slice name) {
  size_t low = 0, high = self->blocks_count;
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    if (lk_slice_compare(name_at(self->blocks[middle], 0), name) <= 0) low = middle;
    else high = middle;
  }
  return low;
}

/* Where |name| is in |block|, or would be. */
static size_t find_in(const lk_names_block *block, lk_slice name, bool *is_there) {
  size_t off = 0;
  int order = 1;
  while (off < block->len && (order = lk_slice_compare(name_at(block, off), name)) < 0)
    off = behind(block, off);
  *is_there = off < block->len && order == 0;
  return off;
}

uint8_t *lk_names_find(const lk_names *self, lk_slice name) {
  bool is_there;
  if (self->blocks_count == 0) return NULL;
  lk_names_block *block = self->blocks[find_block(self, name)];
  size_t off = find_in(block, name, &is_there);
  return is_there ? &block->bytes[off + 1] : NULL;
}

lk_names_cursor lk_names_seek(const lk_names *self, lk_slice from) {
  bool is_there;
  lk_names_cursor at = { 0 };
  if (self->blocks_count == 0) return at;
  at.block = find_block(self, from);
  at.off = find_in(self->blocks[at.block], from, &is_there);
  return at;
}

bool lk_names_next(const lk_names *self, lk_names_cursor *cursor, lk_slice *name, uint8_t *flags) {
  if (cursor->block < self->blocks_count && cursor->off == self->blocks[cursor->block]->len)
    *cursor = (lk_names_cursor){ cursor->block + 1, 0 };
  if (cursor->block >= self->blocks_count) return false;
  const lk_names_block *block = self->blocks[cursor->block];
  *name = name_at(block, cursor->off);
  *flags = block->bytes[cursor->off + 1];
  cursor->off = behind(block, cursor->off);
  return true;
}

/* ---- changing ---- */

/* A new block at |index| of the table. */
static lk_err add_block(lk_names *self, size_t index) {
  size_t cap;
  if ((self->blocks_count + 1) * sizeof(lk_names_block) > self->bytes_max) return LK_ERR_LIMIT;
  if (self->blocks_count == self->blocks_cap) {
    if (!lk_grow_cap(self->blocks_cap, self->blocks_count + 1, 4, SIZE_MAX / sizeof(void *), &cap))
      return LK_ERR_LIMIT;
    lk_names_block **blocks = lk_resize_array(self->alloc, self->blocks, self->blocks_cap, cap,
                                              sizeof *blocks);
    if (blocks == NULL) return LK_ERR_NOMEM;
    self->blocks = blocks;
    self->blocks_cap = cap;
  }
  lk_names_block *block = lk_alloc_bytes(self->alloc, sizeof *block);
  if (block == NULL) return LK_ERR_NOMEM;
  memset(block, 0, sizeof *block);
  memmove(&self->blocks[index + 1], &self->blocks[index],
          (self->blocks_count - index) * sizeof *self->blocks);
  self->blocks[index] = block;
  self->blocks_count++;
  return LK_OK;
}

static void drop_block(lk_names *self, size_t index) {
  free_block(self, self->blocks[index]);
  self->blocks_count--;
  memmove(&self->blocks[index], &self->blocks[index + 1],
          (self->blocks_count - index) * sizeof *self->blocks);
}

/* The names from the middle on go to a block of their own. */
static lk_err cut_block(lk_names *self, size_t index) {
  lk_err err = add_block(self, index + 1);
  if (err != LK_OK) return err;
  lk_names_block *block = self->blocks[index], *next = self->blocks[index + 1];
  size_t off = 0;
  while (off < block->len / 2u) off = behind(block, off);
  LK_ASSERT(off > 0 && off < block->len);
  next->len = (uint16_t)(block->len - off);
  memcpy(next->bytes, block->bytes + off, next->len);
  block->len = (uint16_t)off;
  memset(block->bytes + off, 0, next->len);
  return LK_OK;
}

lk_err lk_names_put(lk_names *self, lk_slice name, uint8_t **flags) {
  bool is_there;
  size_t need = HEAD + name.len;
  LK_ASSERT(name.len > 0);
  if (name.len > LK_NAMES_NAME_MAX) return LK_ERR_TOO_BIG;
  lk_err err = self->blocks_count == 0 ? add_block(self, 0) : LK_OK;
  if (err != LK_OK) return err;
  size_t index = find_block(self, name);
  lk_names_block *block = self->blocks[index];
  size_t off = find_in(block, name, &is_there);
  if (!is_there && block->len + need > BLOCK_BYTES) {
    if ((err = cut_block(self, index)) != LK_OK) return err;
    if (off > block->len) block = self->blocks[index + 1];
    off = find_in(block, name, &is_there);
  }
  *flags = &block->bytes[off + 1];
  if (is_there) return LK_OK;
  memmove(block->bytes + off + need, block->bytes + off, block->len - off);
  block->bytes[off] = (uint8_t)name.len;
  block->bytes[off + 1] = 0;
  memcpy(block->bytes + off + HEAD, name.ptr, name.len);
  block->len = (uint16_t)(block->len + need);
  self->count++;
  return LK_OK;
}

/* The block at |index| and the next one become one, where that leaves space. */
static void join_blocks(lk_names *self, size_t index) {
  if (index + 1 >= self->blocks_count) return;
  lk_names_block *block = self->blocks[index];
  const lk_names_block *next = self->blocks[index + 1];
  if (block->len + next->len > BLOCK_BYTES / 4 * 3) return;
  memcpy(block->bytes + block->len, next->bytes, next->len);
  block->len = (uint16_t)(block->len + next->len);
  drop_block(self, index + 1);
}

bool lk_names_remove(lk_names *self, lk_slice name) {
  bool is_there;
  if (self->blocks_count == 0) return false;
  size_t index = find_block(self, name);
  lk_names_block *block = self->blocks[index];
  size_t off = find_in(block, name, &is_there);
  if (!is_there) return false;
  size_t end = behind(block, off);
  memmove(block->bytes + off, block->bytes + end, block->len - end);
  block->len = (uint16_t)(block->len - (end - off));
  memset(block->bytes + block->len, 0, end - off);
  self->count--;
  if (block->len == 0) drop_block(self, index);
  else join_blocks(self, index);
  if (index > 0) join_blocks(self, index - 1);
  return true;
}
