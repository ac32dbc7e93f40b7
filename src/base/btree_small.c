/* base/btree_small.c -- btree.h where each byte of code is loaded over a network: two levels, and no ranks.
 *
 *   blocks  [ * | * | * ]            in order, as are the items in each of them
 *             v   v   v
 *            [a c f]->[m p]->[t u z]
 *
 * A set has some ten thousand items (they are limited), so the list of blocks is moved as a whole when one is put in: that
 * is a few kilobytes for every sixteen items. All of btree.h that documents do not need is missing.
 *
 * Always: no block is empty, and two neighbours have more than half of a block's items together. So there
 * are never more than four times as many blocks as are needed.
 *
 * How much to reserve. An insertion takes one block at most, and takes one only where its block is full. In the middle
 * that leaves two halves, and each of the blocks that are full now is cut only once before half a block was put
 * in; at the very end the full one stays full, and a block is put in before the next one is taken there. So
 * |more| insertions take no more than there are blocks, one for every half, one for every whole, and 1. The list
 * always has room for the spare ones, too. */
#include "base/btree.h"

#ifdef LK_SMALL
#ifdef LK_BTREE_SMALL /* not where objects of the catalogue need ranks */

#define BLOCK_ITEMS 32u

struct lk_btree_node {
  lk_btree_node *next; /* block, or spare one */
  uint32_t count;
  _Alignas(8) uint8_t bytes[];
};

static size_t node_size(const lk_btree *self) {
  return sizeof(lk_btree_node) + (size_t)BLOCK_ITEMS * self->item_size;
}

static uint8_t *item_at(const lk_btree *self, lk_btree_node *node, uint32_t index) {
  return node->bytes + (size_t)index * self->item_size;
}

/* Moves what |from| has from |at| on to the end of |to|. */
static void move_items(const lk_btree *self, lk_btree_node *from, uint32_t at, lk_btree_node *to) {
  uint32_t count = from->count - at;
  memcpy(item_at(self, to, to->count), item_at(self, from, at), (size_t)count * self->item_size);
  to->count += count;
  from->count = at;
}

void lk_btree_init(lk_btree *self, const lk_alloc *alloc, uint16_t item_size,
                   lk_btree_compare compare, const void *ctx) {
  *self = (lk_btree){ .alloc = alloc, .compare = compare, .ctx = ctx, .item_size = item_size };
}

static void push_spare(lk_btree *self, lk_btree_node *node) {
  node->next = self->spare;
  self->spare = node;
  self->spare_count++;
}

static lk_btree_node *pop_spare(lk_btree *self) {
  lk_btree_node *node = self->spare;
  LK_ASSERT(node != NULL);
  self->spare = node->next;
  self->spare_count--;
  node->count = 0;
  node->next = NULL;
  return node;
}

void lk_btree_deinit(lk_btree *self) {
  while (self->block_count > 0) push_spare(self, self->blocks[--self->block_count]);
  while (self->spare != NULL) lk_free_bytes(self->alloc, pop_spare(self), node_size(self));
  lk_free_bytes(self->alloc, self->blocks, self->block_cap * sizeof *self->blocks);
  self->blocks = NULL;
  self->block_cap = self->count = 0;
}

lk_err lk_btree_reserve(lk_btree *self, uint32_t more) {
  uint32_t needed = lk_min_u32(more, self->block_count + more / (BLOCK_ITEMS / 4) + 2);
  while (self->spare_count < needed) {
    uint32_t count = self->block_count + self->spare_count;
    if (count == self->block_cap) {
      lk_btree_node **grown = lk_resize_array(self->alloc, self->blocks, count,
                                              2 * (size_t)count + 4, sizeof *grown);
      if (grown == NULL) return LK_ERR_NOMEM;
      self->blocks = grown;
      self->block_cap = 2 * count + 4;
    }
    lk_btree_node *node = lk_alloc_bytes(self->alloc, node_size(self));
    if (node == NULL) return LK_ERR_NOMEM;
    push_spare(self, node);
  }
  return LK_OK;
}

/* ---- searching ---- */

typedef struct place {
  uint32_t block, index;
} place;

/* The first item that is not below |key|; behind the last one of the last block, where there is a block. */
static place find(const lk_btree *self, const void *key) {
  place at = { 0, 0 };
  if (self->block_count == 0) return at;
  for (uint32_t most = self->block_count - 1; at.block < most;) {
    uint32_t middle = (at.block + most) / 2;
    lk_btree_node *node = self->blocks[middle];
    if (self->compare(self->ctx, key, item_at(self, node, node->count - 1)) > 0)
      at.block = middle + 1;
    else most = middle;
  }
  lk_btree_node *node = self->blocks[at.block];
  while (at.index < node->count && self->compare(self->ctx, key, item_at(self, node, at.index)) > 0)
    at.index++;
  return at;
}

/* What the cursor stands at, or the first item behind it. */
static void *settle(const lk_btree *self, lk_btree_node *node, uint32_t index,
                    lk_btree_cursor *out) {
  if (node != NULL && index >= node->count) {
    node = node->next;
    index = 0;
  }
  if (out != NULL) *out = (lk_btree_cursor){ node, index, self };
  return node == NULL ? NULL : item_at(self, node, index);
}

void *lk_btree_first(const lk_btree *self, lk_btree_cursor *out) {
  return settle(self, self->block_count == 0 ? NULL : self->blocks[0], 0, out);
}

void *lk_btree_at_least(const lk_btree *self, const void *key, lk_btree_cursor *out) {
  place at = find(self, key);
  return settle(self, self->block_count == 0 ? NULL : self->blocks[at.block], at.index, out);
}

void *lk_btree_next(lk_btree_cursor *cursor) {
  return settle(cursor->tree, cursor->leaf, cursor->index + 1, cursor);
}

void *lk_btree_get(const lk_btree *self, const void *key) {
  void *item = lk_btree_at_least(self, key, NULL);
  return item != NULL && self->compare(self->ctx, key, item) == 0 ? item : NULL;
}

/* Documents want no cursor of it. */
void *lk_btree_at_most(const lk_btree *self, const void *key, lk_btree_cursor *out) {
  place at = find(self, key);
  void *equal = lk_btree_get(self, key);
  LK_ASSERT(out == NULL);
  if (equal != NULL) return equal;
  if (at.index == 0) {
    if (at.block == 0) return NULL;
    at.index = self->blocks[--at.block]->count;
  }
  return item_at(self, self->blocks[at.block], at.index - 1);
}

/* ---- changing ---- */

/* A block behind the one at |block|, or the first one of all. */
static lk_btree_node *add_block(lk_btree *self, uint32_t block) {
  lk_btree_node *node = pop_spare(self);
  if (self->block_count > 0) {
    lk_btree_node *left = self->blocks[block++];
    node->next = left->next;
    left->next = node;
  }
  lk_btree_node **at = self->blocks + block;
  memmove(at + 1, at, (self->block_count++ - block) * sizeof *at);
  return *at = node;
}

/* Makes one of the block at |block| and the next one, where they have half of a block's items together or one is empty. */
static void try_join(lk_btree *self, uint32_t block) {
  lk_btree_node **at = self->blocks + block;
  if (block + 1 >= self->block_count) return;
  lk_btree_node *left = at[0], *right = at[1];
  uint32_t count = left->count + right->count;
  if (count > BLOCK_ITEMS / 2 && left->count > 0 && right->count > 0) return;
  move_items(self, right, 0, left);
  left->next = right->next;
  memmove(at + 1, at + 2, (--self->block_count - (block + 1)) * sizeof *at);
  push_spare(self, right);
}

void *lk_btree_insert(lk_btree *self, const void *item) {
  place at = find(self, item);
  lk_btree_node *node = self->block_count == 0 ? add_block(self, 0) : self->blocks[at.block];
  if (node->count == BLOCK_ITEMS) {
    lk_btree_node *right = add_block(self, at.block);
    uint32_t half = at.index == BLOCK_ITEMS ? BLOCK_ITEMS
                                            : BLOCK_ITEMS / 2; /* all the same at the end */
    move_items(self, node, half, right);
    if (at.index >= half) {
      node = right;
      at.index -= half;
    }
  }
  uint8_t *to = item_at(self, node, at.index);
  memmove(to + self->item_size, to, (size_t)(node->count++ - at.index) * self->item_size);
  self->count++;
  return memcpy(to, item, self->item_size);
}

bool lk_btree_remove(lk_btree *self, const void *key) {
  place at = find(self, key);
  if (lk_btree_get(self, key) == NULL) return false;
  lk_btree_node *node = self->blocks[at.block];
  uint8_t *to = item_at(self, node, at.index);
  memmove(to, to + self->item_size, (size_t)(--node->count - at.index) * self->item_size);
  self->count--;
  try_join(self, at.block);
  if (at.block > 0) try_join(self, at.block - 1);
  if (self->count > 0) return true;
  self->block_count = 0;
  push_spare(self, node);
  return true;
}

#endif
#endif
