/* base/btree.c -- a B+tree of nodes of one size, with counts and live separators.
 *
 *   inner   [ header | a   m   t   | child child child | 3 2 3 ]    level 1, the root here
 *                      │   └───────────────┐     └────────────────┐
 *                      v                   v                      v
 *   leaf    [ header | a c f ]  <─>  [ header | m p ]  <─>  [ header | t u z ]    level 0
 *
 * Items stand in the leaves, which are linked both ways. An inner node has for each child a copy of
 * the least item below it (the separator), a pointer, and how many items are below. The copies save
 * a search from visiting children that it does not take. A node's items come first in its bytes, in
 * leaves and inner nodes alike, so that one search and one set of moves serve both.
 *
 * Always:
 *   order    items ascend; a separator equals the least item below its child, and so is in the tree.
 *            A comparison may look up what an item refers to: a copy of an item that was removed
 *            would have it read what is freed. So removing the least item of a leaf mends the
 *            copies on the way up, and nothing compares before that is done.
 *   fill     a node that is not the last of its level holds at least half its cap (rounded down);
 *            the last one holds at least 1 item, or 2 children.
 *   counts   those of an inner node add up to the number of items below it.
 *
 * Inserting into a full node splits it in halves. Only where the last node of a level overflows at
 * its very end, the old node stays full (an inner one gives away one child) and the new one begins
 * nearly empty: what is inserted in increasing order ends up in full nodes. Removing below half
 * merges the node with its smaller neighbour where both fit into one, and else evens the two out.
 * Both kinds of change walk a path that was written down while searching: no recursion, and no
 * pointers to parents.
 *
 * How much to reserve. Removing only gives nodes back, to the spare ones, so it is enough to bound
 * how many nodes the tree can have at any moment of the |more| insertions to come. Let N be the
 * nodes of one level and E its entries: items for leaves, else the nodes of the level below.
 *
 *   (1) A level gains a node only when one of its nodes splits (or its root is made, which counts
 *       as one too), and that takes a new entry, which only a split of the level below makes. So no
 *       level has more splits than there are insertions, and at all times N <= N_now + more.
 *   (2) By the fill, E >= (N - 1) * half + 1, so at all times N <= (E - 1) / half + 1.
 *
 * (1) is small where |more| is, and (2) where |more| is as large as the tree; neither asks in what
 * order things happen, or what is removed in between. For the leaves E is at most count + more, and
 * the lesser of the two holds. For the inner levels together we take the lesser of two sums: (2)
 * level by level from there, or (1) for each level that there is, and (2) above the root, whose
 * level then has at most 1 + more nodes. Both sums end at the first level that can have only one
 * node, the root. With half >= 3 the second sum, leaves included, is at most more * (height + 1)
 * nodes beyond those that there are, which is a quick test for having enough.
 *
 * Not chosen: deriving the separator from the first leaf below (a cache miss for each comparison);
 * uneven splits at the front too (two exceptions to the fill, for an order that is rare); a fill of
 * less than half, against merging and splitting in turns: moving half of 512 bytes is cheap. The
 * size is by measure, with a million items in random order: nodes of 256 bytes took a quarter more
 * time and memory for items of 24 bytes and gained nothing for ids; 1024 bytes saved about a fifth
 * of the time for items of 24 bytes and nothing for ids, but make the smallest tree twice as large. */
#include "base/btree.h"

#ifndef LK_BTREE_SMALL

#include <stdalign.h>

#define NODE_SIZE 512
#define HEIGHT_MAX 16 /* 2^31 items of 32 bytes in half-full nodes are 14 levels */
#define COUNT_END 0x80000000u
#define SPARE_KEPT 2 /* beyond the height, by trim */

struct lk_btree_node {
  lk_btree_node *prev; /* leaves: neighbours; spare nodes: a list by |next| */
  lk_btree_node *next;
  uint16_t count;     /* items, or children */
  uint16_t item_size; /* cursors know no tree */
  uint16_t level;     /* 0 for a leaf */
  alignas(8) uint8_t bytes[];
};

_Static_assert(sizeof(lk_btree_node) % 8 == 0, "items may need an alignment of 8");

/* One node and one index in it for each level, from the leaf up. */
typedef struct path {
  lk_btree_node *node[HEIGHT_MAX];
  uint32_t index[HEIGHT_MAX];
} path;

/* What goes into a node: in a leaf the item alone. */
typedef struct entry {
  const void *item;
  lk_btree_node *child;
  uint32_t count;
} entry;

/* ---- parts of a node ---- */

static inline void *item_at(const lk_btree_node *node, uint32_t index) {
  return (uint8_t *)node->bytes + (size_t)index * node->item_size;
}

/* The caps of inner nodes are even, so that what follows the items is aligned to 8. */
static inline lk_btree_node **children_of(const lk_btree *self, const lk_btree_node *node) {
  return (lk_btree_node **)item_at(node, self->inner_cap);
}

static inline uint32_t *counts_of(const lk_btree *self, const lk_btree_node *node) {
  return (uint32_t *)(children_of(self, node) + self->inner_cap);
}

static inline uint32_t cap_of(const lk_btree *self, uint32_t level) {
  return level == 0 ? self->leaf_cap : self->inner_cap;
}

static inline uint32_t half_of(const lk_btree *self, uint32_t level) {
  return cap_of(self, level) / 2;
}

/* Items of 4 bytes, the most frequent ones, are copied by one instruction. */
static inline void copy_item(void *to, const void *from, uint32_t size) {
  if (size == 4) memcpy(to, from, 4);
  else memcpy(to, from, size);
}

static uint32_t items_below(const lk_btree *self, const lk_btree_node *node) {
  if (node->level == 0) return node->count;
  const uint32_t *counts = counts_of(self, node);
  uint32_t sum = 0;
  for (uint32_t i = 0; i < node->count; i++) sum += counts[i];
  return sum;
}

/* Copies |count| entries; within a node they may overlap. The nodes' own counts are the caller's. */
static void move_entries(const lk_btree *self, lk_btree_node *to, uint32_t to_index,
                         const lk_btree_node *from, uint32_t from_index, uint32_t count) {
  if (count == 0) return;
  memmove(item_at(to, to_index), item_at(from, from_index), (size_t)count * self->item_size);
  if (to->level == 0) return;
  memmove(children_of(self, to) + to_index, children_of(self, from) + from_index,
          count * sizeof(lk_btree_node *));
  memmove(counts_of(self, to) + to_index, counts_of(self, from) + from_index,
          count * sizeof(uint32_t));
}

/* Returns where the entry's item is now. */
static void *put_entry(const lk_btree *self, lk_btree_node *node, uint32_t index,
                       const entry *what) {
  move_entries(self, node, index + 1, node, index, node->count - index);
  node->count++;
  void *item = item_at(node, index);
  copy_item(item, what->item, self->item_size);
  if (node->level > 0) {
    children_of(self, node)[index] = what->child;
    counts_of(self, node)[index] = what->count;
  }
  return item;
}

static void drop_entry(const lk_btree *self, lk_btree_node *node, uint32_t index) {
  node->count--;
  move_entries(self, node, index, node, index + 1, node->count - index);
}

/* ---- nodes ---- */

void lk_btree_init(lk_btree *self, const lk_alloc *alloc, uint16_t item_size,
                   lk_btree_compare compare, const void *ctx) {
  LK_ASSERT(item_size >= 4 && item_size <= 32 && item_size % 4 == 0);
  const size_t room = NODE_SIZE - sizeof(lk_btree_node);
  const size_t inner_entry = item_size + sizeof(lk_btree_node *) + sizeof(uint32_t);
  *self = (lk_btree){ .alloc = alloc, .compare = compare, .ctx = ctx, .item_size = item_size };
  self->leaf_cap = (uint16_t)(room / item_size);
  self->inner_cap = (uint16_t)(room / inner_entry / 2 * 2);
  LK_ASSERT(half_of(self, 0) >= 3 && half_of(self, 1) >= 3); /* the essay's proof needs it */
}

static void push_spare(lk_btree *self, lk_btree_node *node) {
  node->level = 0; /* no children: see deinit */
  node->next = self->spare;
  self->spare = node;
  self->spare_count++;
}

static lk_btree_node *pop_spare(lk_btree *self) {
  lk_btree_node *node = self->spare;
  LK_ASSERT(node != NULL); /* else nothing was reserved */
  self->spare = node->next;
  self->spare_count--;
  return node;
}

static lk_btree_node *take_node(lk_btree *self, uint32_t level) {
  lk_btree_node *node = pop_spare(self);
  node->prev = node->next = NULL;
  node->count = 0;
  node->item_size = self->item_size;
  node->level = (uint16_t)level;
  self->node_count++;
  self->leaf_count += level == 0;
  return node;
}

static void give_node(lk_btree *self, lk_btree_node *node) {
  self->node_count--;
  self->leaf_count -= node->level == 0;
  push_spare(self, node);
}

static void link_leaf_after(lk_btree *self, lk_btree_node *leaf, lk_btree_node *fresh) {
  fresh->prev = leaf;
  fresh->next = leaf->next;
  if (leaf->next != NULL) leaf->next->prev = fresh;
  else self->last = fresh;
  leaf->next = fresh;
}

static void unlink_leaf(lk_btree *self, lk_btree_node *leaf) {
  if (leaf->prev != NULL) leaf->prev->next = leaf->next;
  else self->first = leaf->next;
  if (leaf->next != NULL) leaf->next->prev = leaf->prev;
  else self->last = leaf->prev;
}

/* The list of spare nodes doubles as the list of what is still to be visited. */
void lk_btree_deinit(lk_btree *self) {
  if (self->root != NULL) {
    self->root->next = self->spare;
    self->spare = self->root;
  }
  while (self->spare != NULL) {
    lk_btree_node *node = self->spare;
    self->spare = node->next;
    for (uint32_t i = 0; node->level > 0 && i < node->count; i++) {
      lk_btree_node *child = children_of(self, node)[i];
      child->next = self->spare;
      self->spare = child;
    }
    lk_free_bytes(self->alloc, node, NODE_SIZE);
  }
  *self = (lk_btree){ 0 };
}

/* ---- memory ---- */

size_t lk_btree_bytes(const lk_btree *self) {
  return ((size_t)self->node_count + self->spare_count) * NODE_SIZE;
}

/* (2) of the essay. */
static uint64_t most_nodes(uint64_t entries, uint32_t half) {
  return entries == 0 ? 0 : (entries - 1) / half + 1;
}

/* (2) for all levels above one of at most |nodes| nodes. */
static uint64_t most_nodes_above(const lk_btree *self, uint64_t nodes) {
  uint64_t sum = 0;
  while (nodes > 1) {
    nodes = most_nodes(nodes, half_of(self, 1));
    sum += nodes;
  }
  return sum;
}

/* How many nodes |more| insertions can add at most: the essay's bound. */
static uint64_t most_growth(const lk_btree *self, uint32_t more) {
  uint64_t leaves = most_nodes((uint64_t)self->count + more, half_of(self, 0));
  uint64_t inner = most_nodes_above(self, leaves);
  if (self->height > 0) {
    leaves = lk_min_u64(leaves, (uint64_t)self->leaf_count + more);
    inner = lk_min_u64(most_nodes_above(self, leaves),
                       self->node_count - self->leaf_count + (uint64_t)more * (self->height - 1) +
                           most_nodes_above(self, 1 + (uint64_t)more));
  }
  return leaves + inner - self->node_count;
}

lk_err lk_btree_reserve(lk_btree *self, uint32_t more) {
  if (more >= COUNT_END - self->count) return LK_ERR_LIMIT;
  if ((uint64_t)more * (self->height + 1) <= self->spare_count) return LK_OK;
  uint64_t needed = most_growth(self, more);
  uint32_t had = self->spare_count;
  while (self->spare_count < needed) {
    lk_btree_node *node = lk_alloc_bytes(self->alloc, NODE_SIZE);
    if (node == NULL) goto fail;
    push_spare(self, node);
  }
  return LK_OK;
fail:
  while (self->spare_count > had) lk_free_bytes(self->alloc, pop_spare(self), NODE_SIZE);
  return LK_ERR_NOMEM;
}

void lk_btree_trim(lk_btree *self) {
  while (self->spare_count > self->height + SPARE_KEPT) {
    lk_free_bytes(self->alloc, pop_spare(self), NODE_SIZE);
  }
}

/* ---- searching ---- */

/* The last child whose separator is not above |key|, or child 0. */
static inline uint32_t find_child(const lk_btree *self, const lk_btree_node *node,
                                  const void *key) {
  uint32_t low = 0, high = node->count;
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (self->compare(self->ctx, key, item_at(node, middle)) < 0) high = middle;
    else low = middle;
  }
  return low;
}

/* |out| is the first item that is not below |key|, or the count. True where it equals |key|. */
static inline bool find_item(const lk_btree *self, const lk_btree_node *leaf, const void *key,
                             uint32_t *out) {
  uint32_t low = 0, high = leaf->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    int order = self->compare(self->ctx, key, item_at(leaf, middle));
    if (order == 0) {
      *out = middle;
      return true;
    }
    if (order < 0) high = middle;
    else low = middle + 1;
  }
  *out = low;
  return false;
}

/* The path to where |key| is, or would be inserted; true where it is in. An index of 0 in the leaf
 * without being in means that |key| is below everything: separators equal the least items, so that
 * any other leaf was chosen because its first item is not above |key|. */
static bool find_path(const lk_btree *self, const void *key, path *out) {
  lk_btree_node *node = self->root;
  for (uint32_t level = self->height - 1; level > 0; level--) {
    uint32_t index = find_child(self, node, key);
    out->node[level] = node;
    out->index[level] = index;
    node = children_of(self, node)[index];
  }
  out->node[0] = node;
  return find_item(self, node, key, &out->index[0]);
}

/* The path to behind the last item. */
static void find_end(const lk_btree *self, path *out) {
  lk_btree_node *node = self->root;
  for (uint32_t level = self->height - 1; level > 0; level--) {
    out->node[level] = node;
    out->index[level] = node->count - 1u;
    node = children_of(self, node)[node->count - 1];
  }
  out->node[0] = node;
  out->index[0] = node->count;
}

void *lk_btree_get(const lk_btree *self, const void *key) {
  path at;
  if (self->root == NULL || !find_path(self, key, &at)) return NULL;
  return item_at(at.node[0], at.index[0]);
}

/* ---- inserting ---- */

/* Adds |delta| to the counts on the path from |level| up; to subtract, it wraps around. */
static void add_to_counts(const lk_btree *self, const path *at, uint32_t level, uint32_t delta) {
  for (; level < self->height; level++) {
    counts_of(self, at->node[level])[at->index[level]] += delta;
  }
}

static bool is_full(const lk_btree *self, const lk_btree_node *node) {
  return node->count == cap_of(self, node->level);
}

/* How many nodes an insertion at |at| takes. */
static uint32_t nodes_to_take(const lk_btree *self, const path *at) {
  uint32_t level = 0;
  while (level < self->height && is_full(self, at->node[level])) level++;
  return level == self->height ? level + 1 : level;
}

static bool is_last_of_level(const lk_btree *self, const path *at, uint32_t level) {
  while (++level < self->height) {
    if (at->index[level] + 1 < at->node[level]->count) return false;
  }
  return true;
}

/* How many entries, the new one included, stay in a full node that is split. */
static uint32_t left_share(const lk_btree *self, const path *at, uint32_t level) {
  uint32_t cap = cap_of(self, level);
  if (at->index[level] < cap || !is_last_of_level(self, at, level)) return (cap + 1) / 2;
  LK_COVERED(btree_split_unevenly);
  return level == 0 ? cap : cap - 1;
}

/* Puts |what| into the full node at |level|, whose later entries go to a new node. |put| receives
 * where the item is. */
static lk_btree_node *split(lk_btree *self, const path *at, uint32_t level, const entry *what,
                            void **put) {
  lk_btree_node *left = at->node[level], *right = take_node(self, level);
  uint32_t index = at->index[level], share = left_share(self, at, level);
  bool goes_left = index < share;
  uint32_t stay = goes_left ? share - 1 : share;
  right->count = (uint16_t)(left->count - stay);
  move_entries(self, right, 0, left, stay, right->count);
  left->count = (uint16_t)stay;
  *put = goes_left ? put_entry(self, left, index, what)
                   : put_entry(self, right, index - share, what);
  if (level == 0) link_leaf_after(self, left, right);
  return right;
}

static entry entry_of(const lk_btree *self, lk_btree_node *node) {
  return (entry){ item_at(node, 0), node, items_below(self, node) };
}

/* A root above the old one and its new neighbour. */
static void grow(lk_btree *self, lk_btree_node *left, lk_btree_node *right) {
  LK_ASSERT(self->height < HEIGHT_MAX);
  lk_btree_node *root = take_node(self, self->height);
  entry entries[2] = { entry_of(self, left), entry_of(self, right) };
  (void)put_entry(self, root, 0, &entries[0]);
  (void)put_entry(self, root, 1, &entries[1]);
  self->root = root;
  self->height++;
}

/* Splits from the leaf up, as far as nodes are full. */
static void *put_splitting(lk_btree *self, path *at, const void *item) {
  entry what = { item, NULL, 0 };
  void *result = NULL, *put;
  uint32_t level = 0;
  for (; is_full(self, at->node[level]); level++) {
    lk_btree_node *left = at->node[level], *right = split(self, at, level, &what, &put);
    if (level == 0) result = put;
    if (level + 1 == self->height) {
      grow(self, left, right);
      return result;
    }
    counts_of(self, at->node[level + 1])[at->index[level + 1]] = items_below(self, left);
    what = entry_of(self, right);
    at->index[level + 1]++;
  }
  (void)put_entry(self, at->node[level], at->index[level], &what);
  add_to_counts(self, at, level + 1, 1);
  return result;
}

/* |item| is below everything, so the path is the left edge, which gets a new least item. */
static void put_least(const lk_btree *self, const path *at, const void *item) {
  for (uint32_t level = 1; level < self->height; level++) {
    copy_item(item_at(at->node[level], 0), item, self->item_size);
  }
}

static void plant(lk_btree *self) {
  self->root = self->first = self->last = take_node(self, 0);
  self->height = 1;
}

void *lk_btree_insert(lk_btree *self, const void *item) {
  path at;
  if (self->root == NULL) plant(self);
  lk_btree_node *last = self->last;
  if (last->count == 0 || self->compare(self->ctx, item, item_at(last, last->count - 1u)) > 0) {
    find_end(self, &at);
  } else {
    bool is_in = find_path(self, item, &at);
    LK_ASSERT(!is_in);
  }
  bool splits = is_full(self, at.node[0]);
  LK_ASSERT(!splits || nodes_to_take(self, &at) <= self->spare_count); /* reserve first */
  if (at.index[0] == 0) put_least(self, &at, item);
  self->count++;
  if (splits) return put_splitting(self, &at, item);
  entry what = { item, NULL, 0 };
  add_to_counts(self, &at, 1, 1);
  return put_entry(self, at.node[0], at.index[0], &what);
}

/* ---- removing ---- */

/* The leaf of |at| begins with another item: so do its copies above, as far as it is a first child. */
static void mend_separators(const lk_btree *self, const path *at) {
  const void *least = item_at(at->node[0], 0);
  for (uint32_t level = 1; level < self->height; level++) {
    copy_item(item_at(at->node[level], at->index[level]), least, self->item_size);
    if (at->index[level] > 0) break;
  }
}

/* The index of the left one of two neighbours: child |index| and the smaller of those beside it. */
static uint32_t pick_pair(const lk_btree *self, const lk_btree_node *parent, uint32_t index) {
  lk_btree_node *const *children = children_of(self, parent);
  if (index == 0) return 0;
  if (index + 1u == parent->count) return index - 1;
  return children[index - 1]->count <= children[index + 1]->count ? index - 1 : index;
}

/* All of child |index| + 1 goes into child |index|. */
static void merge(lk_btree *self, lk_btree_node *parent, uint32_t index) {
  LK_COVERED(btree_merge);
  lk_btree_node *left = children_of(self, parent)[index];
  lk_btree_node *right = children_of(self, parent)[index + 1];
  uint32_t *counts = counts_of(self, parent);
  move_entries(self, left, left->count, right, 0, right->count);
  left->count = (uint16_t)(left->count + right->count);
  counts[index] += counts[index + 1];
  drop_entry(self, parent, index + 1);
  if (left->level == 0) unlink_leaf(self, right);
  give_node(self, right);
}

/* Children |index| and |index| + 1 share alike. */
static void even_out(lk_btree *self, lk_btree_node *parent, uint32_t index) {
  lk_btree_node *left = children_of(self, parent)[index];
  lk_btree_node *right = children_of(self, parent)[index + 1];
  uint32_t had = left->count, sum = had + right->count, share = sum / 2;
  if (share > had) {
    LK_COVERED(btree_borrow_from_right);
    move_entries(self, left, had, right, 0, share - had);
    move_entries(self, right, 0, right, share - had, sum - share);
  } else {
    LK_COVERED(btree_borrow_from_left);
    move_entries(self, right, had - share, right, 0, right->count);
    move_entries(self, right, 0, left, share, had - share);
  }
  left->count = (uint16_t)share;
  right->count = (uint16_t)(sum - share);
  uint32_t *counts = counts_of(self, parent);
  uint32_t below = counts[index] + counts[index + 1];
  counts[index] = items_below(self, left);
  counts[index + 1] = below - counts[index];
  copy_item(item_at(parent, index + 1), item_at(right, 0), self->item_size);
}

/* A root with one child is needless, and so is one without items. */
static void shrink(lk_btree *self) {
  while (self->height > 1 && self->root->count == 1) {
    LK_COVERED(btree_lose_height);
    lk_btree_node *root = self->root;
    self->root = children_of(self, root)[0];
    self->height--;
    give_node(self, root);
  }
  if (self->root->count > 0) return;
  give_node(self, self->root);
  self->root = self->first = self->last = NULL;
  self->height = 0;
}

/* Restores the fill from the leaf up. Every inner node has two children, so there is a neighbour. */
static void mend_fill(lk_btree *self, const path *at) {
  for (uint32_t level = 0; level + 1 < self->height; level++) {
    if (at->node[level]->count >= half_of(self, level)) return;
    lk_btree_node *parent = at->node[level + 1];
    uint32_t index = pick_pair(self, parent, at->index[level + 1]);
    lk_btree_node *const *pair = children_of(self, parent) + index;
    if ((uint32_t)pair[0]->count + pair[1]->count > cap_of(self, level)) {
      even_out(self, parent, index);
      return;
    }
    merge(self, parent, index);
  }
  shrink(self);
}

bool lk_btree_remove(lk_btree *self, const void *key) {
  path at;
  if (self->root == NULL || !find_path(self, key, &at)) return false;
  lk_btree_node *leaf = at.node[0];
  drop_entry(self, leaf, at.index[0]);
  add_to_counts(self, &at, 1, UINT32_MAX);
  self->count--;
  /* The last leaf may be empty now. It is no first child, and its separator goes with it. */
  if (at.index[0] == 0 && leaf->count > 0) mend_separators(self, &at);
  mend_fill(self, &at);
  return true;
}

/* ---- cursors ---- */

static void *stand_at(lk_btree_node *leaf, uint32_t index, lk_btree_cursor *out) {
  if (out != NULL) *out = (lk_btree_cursor){ leaf, index };
  return item_at(leaf, index);
}

static void *stand_nowhere(lk_btree_cursor *out) {
  if (out != NULL) *out = (lk_btree_cursor){ 0 };
  return NULL;
}

void *lk_btree_first(const lk_btree *self, lk_btree_cursor *out) {
  return self->root == NULL ? stand_nowhere(out) : stand_at(self->first, 0, out);
}

void *lk_btree_last(const lk_btree *self, lk_btree_cursor *out) {
  if (self->root == NULL) return stand_nowhere(out);
  return stand_at(self->last, self->last->count - 1u, out);
}

void *lk_btree_at_least(const lk_btree *self, const void *key, lk_btree_cursor *out) {
  path at;
  if (self->root == NULL) return stand_nowhere(out);
  (void)find_path(self, key, &at);
  lk_btree_node *leaf = at.node[0];
  if (at.index[0] < leaf->count) return stand_at(leaf, at.index[0], out);
  return leaf->next == NULL ? stand_nowhere(out) : stand_at(leaf->next, 0, out);
}

void *lk_btree_at_most(const lk_btree *self, const void *key, lk_btree_cursor *out) {
  path at;
  if (self->root == NULL) return stand_nowhere(out);
  if (find_path(self, key, &at)) return stand_at(at.node[0], at.index[0], out);
  if (at.index[0] == 0) return stand_nowhere(out); /* below everything: see find_path */
  return stand_at(at.node[0], at.index[0] - 1, out);
}

void *lk_btree_next(lk_btree_cursor *cursor) {
  lk_btree_node *leaf = cursor->leaf;
  if (leaf == NULL) return NULL;
  if (cursor->index + 1 < leaf->count) return item_at(leaf, ++cursor->index);
  return leaf->next == NULL ? stand_nowhere(cursor) : stand_at(leaf->next, 0, cursor);
}

void *lk_btree_prev(lk_btree_cursor *cursor) {
  lk_btree_node *leaf = cursor->leaf;
  if (leaf == NULL) return NULL;
  if (cursor->index > 0) return item_at(leaf, --cursor->index);
  if (leaf->prev == NULL) return stand_nowhere(cursor);
  return stand_at(leaf->prev, leaf->prev->count - 1u, cursor);
}

/* ---- warming ---- */

#define CACHE_LINE 64

/* All searches go down one level, then all the next: what one waits for comes while the others are looked at. */
void lk_btree_warm(const lk_btree *self, const void *keys, uint32_t count) {
  const lk_btree_node *at[LK_BTREE_WARM_MOST];
  LK_ASSERT(count <= LK_BTREE_WARM_MOST);
  for (uint32_t i = 0; i < count; i++) at[i] = self->root;
  for (uint32_t level = self->height; level-- > 1;) {
    for (uint32_t i = 0; i < count; i++) {
      const uint8_t *key = (const uint8_t *)keys + (size_t)i * self->item_size;
      at[i] = children_of(self, at[i])[find_child(self, at[i], key)];
      for (uint32_t line = 0; line < NODE_SIZE; line += CACHE_LINE) {
        __builtin_prefetch((const uint8_t *)at[i] + line);
      }
    }
  }
}

/* ---- rewriting ---- */

/* Depth first; |index| of a level is the child to go to next. */
void lk_btree_rewrite(lk_btree *self, void (*rewrite)(void *ctx, void *item), void *ctx) {
  path at;
  uint32_t top = 0;
  if (self->root == NULL) return;
  at.node[0] = self->root;
  at.index[0] = 0;
  for (;;) {
    lk_btree_node *node = at.node[top];
    if (at.index[top] == 0) {
      for (uint32_t i = 0; i < node->count; i++) rewrite(ctx, item_at(node, i));
    }
    if (node->level == 0 || at.index[top] == node->count) {
      if (top-- == 0) return;
      continue;
    }
    lk_btree_node *child = children_of(self, node)[at.index[top]++];
    at.node[++top] = child;
    at.index[top] = 0;
  }
}

/* ---- ranks ---- */

void *lk_btree_at(const lk_btree *self, uint32_t rank, lk_btree_cursor *out) {
  if (rank >= self->count) return stand_nowhere(out);
  lk_btree_node *node = self->root;
  while (node->level > 0) {
    const uint32_t *counts = counts_of(self, node);
    uint32_t index = 0;
    while (rank >= counts[index]) rank -= counts[index++];
    node = children_of(self, node)[index];
  }
  return stand_at(node, rank, out);
}

uint32_t lk_btree_rank(const lk_btree *self, const void *key) {
  path at;
  if (self->root == NULL) return 0;
  (void)find_path(self, key, &at);
  uint32_t rank = at.index[0];
  for (uint32_t level = 1; level < self->height; level++) {
    const uint32_t *counts = counts_of(self, at.node[level]);
    for (uint32_t i = 0; i < at.index[level]; i++) rank += counts[i];
  }
  return rank;
}

/* ---- checking ---- */

/* One node: its fill, and what it says of its children. */
static void check_node(const lk_btree *self, const lk_btree_node *node, uint32_t level,
                       bool is_last) {
  uint32_t least = is_last ? (level > 0 ? 2 : 1) : half_of(self, level);
  LK_ASSERT(node->level == level && node->item_size == self->item_size);
  LK_ASSERT(node->count >= least && node->count <= cap_of(self, level));
  for (uint32_t i = 0; level > 0 && i < node->count; i++) {
    const lk_btree_node *child = children_of(self, node)[i];
    LK_ASSERT(counts_of(self, node)[i] == items_below(self, child));
    while (child->level > 0) child = children_of(self, child)[0];
    LK_ASSERT(self->compare(self->ctx, item_at(node, i), item_at(child, 0)) == 0);
  }
}

/* The leaves' list: complete, linked both ways, in order. */
static void check_leaves(const lk_btree *self) {
  const lk_btree_node *before = NULL;
  const void *last = NULL;
  uint32_t items = 0, leaves = 0;
  for (const lk_btree_node *leaf = self->first; leaf != NULL; leaf = leaf->next) {
    LK_ASSERT(leaf->prev == before);
    for (uint32_t i = 0; i < leaf->count; i++) {
      LK_ASSERT(last == NULL || self->compare(self->ctx, last, item_at(leaf, i)) < 0);
      last = item_at(leaf, i);
    }
    items += leaf->count;
    leaves++;
    before = leaf;
  }
  LK_ASSERT(before == self->last && items == self->count && leaves == self->leaf_count);
}

/* The path's nodes are being visited, its indices are their next children. */
static uint32_t check_nodes(const lk_btree *self) {
  path at;
  const lk_btree_node *leaf = self->first;
  uint32_t nodes = 1, level = self->height - 1;
  at.node[level] = self->root;
  at.index[level] = 0;
  for (check_node(self, self->root, level, true); level < self->height;) {
    lk_btree_node *node = at.node[level];
    if (level == 0) {
      LK_ASSERT(node == leaf);
      leaf = leaf->next;
    }
    if (level == 0 || at.index[level] == node->count) {
      level++;
      continue;
    }
    at.node[level - 1] = children_of(self, node)[at.index[level]++];
    at.index[--level] = 0;
    nodes++;
    bool is_last = true;
    for (uint32_t up = level + 1; up < self->height; up++) {
      is_last = is_last && at.index[up] == at.node[up]->count;
    }
    check_node(self, at.node[level], level, is_last);
  }
  return nodes;
}

void lk_btree_check(const lk_btree *self) {
  uint32_t spare = 0;
  for (const lk_btree_node *node = self->spare; node != NULL; node = node->next) spare++;
  LK_ASSERT(spare == self->spare_count);
  check_leaves(self);
  LK_ASSERT((self->root == NULL) == (self->height == 0) && self->height <= HEIGHT_MAX);
  uint32_t nodes = self->root == NULL ? 0 : check_nodes(self);
  LK_ASSERT(nodes == self->node_count);
}

#endif
