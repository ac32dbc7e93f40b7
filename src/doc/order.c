/* doc/order.c -- which item stands at index 1,234,567: the order index of a long list.
 *
 * A B+tree over a list's items in document order. Each node knows the visible units and the live formatting
 * items below it, each item its leaf, so both questions take O(log n): what is at an index, and at what
 * index is this item. Deleted items stay in (something may still be inserted between them), they
 * weigh nothing.
 *
 * The tree is made when a list of at least LK_ORDER_MIN items is asked for an index, not before: a server that
 * only applies and encodes never pays for it. From then on every linked item enters it. Nodes that
 * become empty leave; others are not joined, since a list that shrank is rarely walked and a merge
 * at the end of a transaction takes out at most what it put in.
 *
 * The sums stand in the nodes themselves and not in their parents: a keystroke adds 1 to three or four
 * nodes without looking for its place among their siblings.
 *
 * For those who look for their place among rivals (integrate.c) each node also knows the least depth below it, and the least
 * client of that depth. These are bounds. What takes an item out leaves them as they are; a search that was led astray by
 * one makes it exact before it goes on, so each change that loosened a bound is paid for once.
 *
 * The list of one key of a map gets a tree, too, when a scan of it becomes long. Its items need |leaf| for their
 * entry; their leaves stand in |entry_leaves|. They have no units. A rollback takes such items out of the tree first,
 * lk_items_take_back(), and then out of their lists. */
#include "doc/engine.h"

#include "base/quad.h"

/* ---- lists and their trees ---- */

static bool in_entry(const lk_item *item) { return (item->flags & LK_ITEM_SUB) != 0; }

static uint32_t root_of(const lk_doc *doc, const lk_item *like) {
  if (in_entry(like))
    return doc->entries.at[like->leaf].order - 1; /* 0, for none, becomes LK_NONE */
  return doc->types.at[like->parent].order;
}

static void set_root(lk_doc *doc, const lk_item *like, uint32_t root) {
  if (in_entry(like)) doc->entries.at[like->leaf].order = root + 1;
  else doc->types.at[like->parent].order = root;
}

static uint32_t leaf_of(const lk_doc *doc, uint32_t item) {
  return in_entry(&doc->items[item]) ? doc->entry_leaves[item] : doc->items[item].leaf;
}

static void set_leaf(lk_doc *doc, uint32_t item, uint32_t leaf) {
  if (in_entry(&doc->items[item])) doc->entry_leaves[item] = leaf;
  else doc->items[item].leaf = leaf;
}

bool lk_order_has(const lk_doc *doc, const lk_item *item) { return root_of(doc, item) != LK_NONE; }

static uint32_t units_of(const lk_item *item) { return in_entry(item) ? 0 : lk_item_units(item); }

/* ---- nodes ---- */

static lk_order_node *node_at(const lk_doc *doc, uint32_t node) { return &doc->nodes.at[node]; }

static uint32_t node_new(lk_doc *doc, uint16_t height) {
  uint32_t node = doc->node_free;
  if (node != LK_NONE) {
    doc->node_free = node_at(doc, node)->parent;
    doc->node_free_count--;
  } else {
    LK_ASSERT(doc->nodes.count < doc->nodes.cap);
    node = doc->nodes.count++;
  }
  lk_order_node *made = node_at(doc, node);
  made->parent = LK_NONE;
  made->units = made->formats = 0;
  made->depth = UINT32_MAX;
  made->client = UINT64_MAX;
  made->prev = made->next = LK_NONE;
  made->count = 0;
  made->height = height;
  return node;
}

static void node_free(lk_doc *doc, uint32_t node) {
  node_at(doc, node)->parent = doc->node_free;
  doc->node_free = node;
  doc->node_free_count++;
}

/* A tree of 2^32 items is at most 8 high with half-full nodes, and one insertion may split each level. */
#define MOST_SPLITS 9u

static lk_err reserve_leaves(lk_doc *doc) {
  if (doc->entry_leaves_cap >= doc->item_cap) return LK_OK;
  uint32_t *leaves = lk_resize_array(&doc->alloc, doc->entry_leaves, doc->entry_leaves_cap,
                                     doc->item_cap, sizeof *leaves);
  if (leaves == NULL) return LK_ERR_NOMEM;
  doc->entry_leaves = leaves;
  doc->entry_leaves_cap = doc->item_cap;
  return LK_OK;
}

lk_err lk_order_reserve(lk_doc *doc, uint32_t count) {
  if (doc->entry_orders > 0 && reserve_leaves(doc) != LK_OK) return LK_ERR_NOMEM;
  uint32_t wanted = count * MOST_SPLITS;
  uint32_t have = doc->nodes.cap - doc->nodes.count + doc->node_free_count;
  if (have >= wanted) return LK_OK;
  return LK_VEC_RESERVE(doc, doc->nodes, wanted - doc->node_free_count);
}

static uint32_t is_format(const lk_item *item) {
  return item->kind == LK_CONTENT_FORMAT && !lk_item_deleted(item) && !in_entry(item);
}

/* Something of |depth| and |client| comes below |self|; whether that is news, as it then may be to those above it. */
static bool note_rival(lk_order_node *self, uint32_t depth, uint64_t client) {
  if (depth > self->depth || (depth == self->depth && client >= self->client)) return false;
  self->depth = depth;
  self->client = client;
  return true;
}

static void note_item(const lk_doc *doc, lk_order_node *self, const lk_item *item) {
  (void)note_rival(self, item->depth, doc->clients.at[item->client].id);
}

/* ---- building ---- */

/* One level over |count| nodes that hang together by |next|; the first one of it. */
static uint32_t level_over(lk_doc *doc, uint32_t child, uint16_t height, uint32_t *count) {
  uint32_t first = LK_NONE, last = LK_NONE, made = 0;
  while (child != LK_NONE) {
    uint32_t node = node_new(doc, height);
    lk_order_node *self = node_at(doc, node);
    while (child != LK_NONE && self->count < LK_ORDER_FAN * 3 / 4) {
      lk_order_node *below = node_at(doc, child);
      below->parent = node;
      self->units += below->units;
      self->formats += below->formats;
      (void)note_rival(self, below->depth, below->client);
      self->child[self->count++] = child;
      child = below->next;
    }
    if (first == LK_NONE) first = node;
    else node_at(doc, last)->next = node;
    last = node;
    made++;
  }
  *count = made;
  return first;
}

static lk_err build(lk_doc *doc, uint32_t start, uint32_t *root) {
  uint32_t items = 0;
  for (uint32_t at = start; at != LK_NONE; at = doc->items[at].right) items++;
  uint32_t leaves = items / (LK_ORDER_FAN * 3 / 4) + 1;
  lk_err err = LK_VEC_RESERVE(doc, doc->nodes, leaves + leaves / 8 + MOST_SPLITS + 2);
  if (err != LK_OK) return err;
  uint32_t leaf = node_new(doc, 0), first = leaf, count = 1;
  for (uint32_t at = start; at != LK_NONE; at = doc->items[at].right) {
    const lk_item *item = &doc->items[at];
    if (node_at(doc, leaf)->count == LK_ORDER_FAN * 3 / 4) {
      uint32_t next = node_new(doc, 0);
      node_at(doc, leaf)->next = next;
      node_at(doc, next)->prev = leaf;
      leaf = next;
      count++;
    }
    lk_order_node *self = node_at(doc, leaf);
    self->child[self->count++] = at;
    self->units += units_of(item);
    self->formats += is_format(item);
    note_item(doc, self, item);
    set_leaf(doc, at, leaf);
  }
  uint32_t level = first;
  for (uint16_t height = 1; count > 1; height++) {
    uint32_t above = level_over(doc, level, height, &count);
    /* only leaves keep their links */
    for (uint32_t at = level; height > 1 && at != LK_NONE;) {
      uint32_t next = node_at(doc, at)->next;
      node_at(doc, at)->next = LK_NONE;
      at = next;
    }
    level = above;
  }
  *root = level;
  return LK_OK;
}

lk_err lk_order_build(lk_doc *doc, uint32_t type) {
  uint32_t root;
  lk_err err = build(doc, lk_type_at(doc, type)->start, &root);
  if (err == LK_OK) lk_type_at(doc, type)->order = root;
  return err;
}

lk_err lk_order_build_entry(lk_doc *doc, uint32_t entry) {
  uint32_t root;
  lk_err err = reserve_leaves(doc);
  if (err == LK_OK) err = build(doc, doc->entries.at[entry].first, &root);
  if (err != LK_OK) return err;
  doc->entries.at[entry].order = root + 1;
  doc->entry_orders++;
  return LK_OK;
}

/* Frees all nodes of a tree. */
static void drop(lk_doc *doc, uint32_t root) {
  uint32_t stack[MOST_SPLITS * LK_ORDER_FAN];
  uint32_t depth = 0;
  stack[depth++] = root;
  while (depth > 0) {
    uint32_t node = stack[--depth];
    const lk_order_node *self = node_at(doc, node);
    for (uint32_t i = 0; self->height > 0 && i < self->count; i++) stack[depth++] = self->child[i];
    node_free(doc, node);
  }
}

void lk_order_drop(lk_doc *doc, uint32_t number) {
  lk_type *type = lk_type_at(doc, number);
  if (type->order != LK_NONE) drop(doc, type->order);
  type->order = LK_NONE;
}

void lk_order_drop_entry(lk_doc *doc, uint32_t number) {
  lk_entry *entry = &doc->entries.at[number];
  if (entry->order == 0) return;
  drop(doc, entry->order - 1);
  entry->order = 0;
  doc->entry_orders--;
}

/* ---- changing ---- */

void lk_order_add(lk_doc *doc, uint32_t node, int32_t units, int32_t formats) {
  if ((units | formats) == 0) return;
  for (; node != LK_NONE; node = node_at(doc, node)->parent) {
    lk_order_node *self = node_at(doc, node);
    self->units += (uint32_t)units;
    self->formats += (uint32_t)formats;
  }
}

/* What looks for a child, makes room there, or closes the gap, goes over the whole node: base/quad.h. */
#ifndef LK_SMALL
static uint32_t slot_of(const lk_order_node *self, uint32_t child) {
  uint32_t at = lk_words_find(self->child, LK_ORDER_FAN, child);
  if (at < self->count && self->child[at] == child) return at;
  /* It stands behind the last one, too, from where it was moved. */
  for (at = 0; self->child[at] != child;) at++;
  return at;
}

/* Four children from |at| on, which may be -2 and one more than there are: what is beside them in the node is read, and
 * masked. */
static inline lk_quad children(const lk_order_node *self, size_t at) {
  const size_t first = offsetof(lk_order_node, child) / sizeof(uint32_t);
  lk_quad out;
  memcpy(&out, (const uint8_t *)self + (first + at) * sizeof(uint32_t), sizeof out);
  return out;
}

/* Children from |at| on move up by |count|, 1 or 2. */
static inline void open_gap(lk_order_node *self, uint32_t at, uint32_t count) {
  for (uint32_t i = LK_ORDER_FAN; i > 0;) {
    i -= 4;
    lk_quad moves = lk_quad_from(i, at + count);
    lk_quad moved = (children(self, i) & ~moves) | (children(self, (size_t)i - count) & moves);
    lk_quad_store(self->child + i, moved);
  }
  self->count = (uint16_t)(self->count + count);
}

static void put_child(lk_order_node *self, uint32_t at, uint32_t child) {
  open_gap(self, at, 1);
  self->child[at] = child;
}

static void put_two(lk_order_node *self, uint32_t at, uint32_t first, uint32_t second) {
  open_gap(self, at, 2);
  self->child[at] = first;
  self->child[at + 1] = second;
}

static void take_child(lk_order_node *self, uint32_t at) {
  for (uint32_t i = 0; i < LK_ORDER_FAN; i += 4) {
    lk_quad moves = lk_quad_from(i, at);
    lk_quad_store(self->child + i, (children(self, i) & ~moves) | (children(self, i + 1) & moves));
  }
  self->child[--self->count] = LK_NONE; /* which would be there twice */
}
#else
static uint32_t slot_of(const lk_order_node *self, uint32_t child) {
  uint32_t at = 0;
  while (self->child[at] != child) {
    at++;
    LK_DEBUG_ASSERT(at < self->count);
  }
  return at;
}

static void put_child(lk_order_node *self, uint32_t at, uint32_t child) {
  memmove(self->child + at + 1, self->child + at, (self->count - at) * sizeof(uint32_t));
  self->child[at] = child;
  self->count++;
}

static void put_two(lk_order_node *self, uint32_t at, uint32_t first, uint32_t second) {
  put_child(self, at, second);
  put_child(self, at, first);
}

static void take_child(lk_order_node *self, uint32_t at) {
  self->count--;
  memmove(self->child + at, self->child + at + 1, (self->count - at) * sizeof(uint32_t));
}
#endif

/* Takes the children from |first| on from one node to another, which is new. */
static void take_sums(lk_doc *doc, uint32_t from, uint32_t to, uint32_t first) {
  lk_order_node *lower = node_at(doc, from), *upper = node_at(doc, to);
  lower->depth = UINT32_MAX;
  lower->client = UINT64_MAX;
  for (uint32_t i = 0; i < lower->count; i++) {
    uint32_t child = lower->child[i];
    lk_order_node *owner = i < first ? lower : upper;
    if (lower->height == 0) {
      const lk_item *item = &doc->items[child];
      note_item(doc, owner, item);
      if (i < first) continue;
      upper->units += units_of(item);
      upper->formats += is_format(item);
      set_leaf(doc, child, to);
    } else {
      lk_order_node *below = node_at(doc, child);
      (void)note_rival(owner, below->depth, below->client);
      if (i < first) continue;
      upper->units += below->units;
      upper->formats += below->formats;
      below->parent = to;
    }
  }
  lower->units -= upper->units;
  lower->formats -= upper->formats;
}

/* Halves a full node, so that its upper half is a new right neighbour, and gives that. A list that is written at
 * its end leaves full nodes behind. */
static uint32_t split_node(lk_doc *doc, const lk_item *like, uint32_t node, bool at_end) {
  uint32_t upper = node_new(doc, node_at(doc, node)->height);
  lk_order_node *low = node_at(doc, node), *high = node_at(doc, upper);
  uint16_t keep = at_end ? LK_ORDER_FAN - 2 : LK_ORDER_FAN / 2;
  take_sums(doc, node, upper, keep);
  high->count = (uint16_t)(low->count - keep);
  memcpy(high->child, low->child + keep, high->count * sizeof(uint32_t));
  low->count = keep;
  if (low->height == 0) {
    high->next = low->next;
    high->prev = node;
    if (low->next != LK_NONE) node_at(doc, low->next)->prev = upper;
    low->next = upper;
  }
  if (low->parent != LK_NONE) {
    high->parent = low->parent;
    return upper;
  }
  uint32_t root = node_new(doc, (uint16_t)(low->height + 1));
  lk_order_node *top = node_at(doc, root);
  top->count = 1;
  top->child[0] = node;
  top->units = low->units + high->units;
  top->formats = low->formats + high->formats;
  (void)note_rival(top, low->depth, low->client);
  (void)note_rival(top, high->depth, high->client);
  low->parent = high->parent = root;
  set_root(doc, like, root);
  return upper;
}

/* Makes room in |leaf| for |count| children from |*at| on: splits it if it is full, and before that its full ancestors, the
 * highest first. Gives the leaf that they belong to, and their place there. */
static inline uint32_t make_room(lk_doc *doc, const lk_item *like, uint32_t leaf, uint32_t *at,
                                 uint32_t count) {
  while (node_at(doc, leaf)->count > LK_ORDER_FAN - count) {
    uint32_t node = leaf, parent;
    while ((parent = node_at(doc, node)->parent) != LK_NONE &&
           node_at(doc, parent)->count == LK_ORDER_FAN) {
      node = parent;
    }
    uint32_t upper = split_node(doc, like, node, node == leaf && *at == node_at(doc, leaf)->count);
    parent = node_at(doc, node)->parent;
    put_child(node_at(doc, parent), slot_of(node_at(doc, parent), node) + 1, upper);
    if (node == leaf && *at > node_at(doc, leaf)->count) {
      *at -= node_at(doc, leaf)->count;
      return upper;
    }
  }
  return leaf;
}

/* What |made| shows, and its bounds, for |leaf| and what is above that. */
static void count_in(lk_doc *doc, const lk_item *made, uint32_t leaf) {
  uint64_t client = doc->clients.at[made->client].id;
  bool is_news = true;
  for (uint32_t node = leaf; node != LK_NONE && is_news; node = node_at(doc, node)->parent)
    is_news = note_rival(node_at(doc, node), made->depth, client);
  lk_order_add(doc, leaf, (int32_t)units_of(made), (int32_t)is_format(made));
}

void lk_order_link(lk_doc *doc, uint32_t type, uint32_t item) {
  const lk_item *made = &doc->items[item];
  uint32_t left = made->left, leaf, at = 0;
  (void)type;
  if (left != LK_NONE) {
    leaf = leaf_of(doc, left);
    at = slot_of(node_at(doc, leaf), left) + 1;
  } else {
    leaf = root_of(doc, made);
    while (node_at(doc, leaf)->height > 0) leaf = node_at(doc, leaf)->child[0];
  }
  leaf = make_room(doc, made, leaf, &at, 1);
  put_child(node_at(doc, leaf), at, item);
  set_leaf(doc, item, leaf);
  count_in(doc, made, leaf);
}

void lk_order_room(lk_doc *doc, uint32_t item) {
  uint32_t leaf = doc->items[item].leaf;
  if (node_at(doc, leaf)->count <= LK_ORDER_FAN - 2) return;
  uint32_t at = slot_of(node_at(doc, leaf), item) + 1;
  (void)make_room(doc, &doc->items[item], leaf, &at, 2);
}

void lk_order_link_two(lk_doc *doc, uint32_t left, uint32_t first, uint32_t second, bool is_new) {
  uint32_t leaf = doc->items[left].leaf;
  lk_order_node *self = node_at(doc, leaf);
  LK_DEBUG_ASSERT(self->count <= LK_ORDER_FAN - 2);
  put_two(self, slot_of(self, left) + 1, first, second);
  doc->items[first].leaf = doc->items[second].leaf = leaf;
  if (is_new) count_in(doc, &doc->items[first], leaf);
}

/* It is as deep as its other half and deeper, and stands in one leaf with that: so no bound changes. */
void lk_order_link_half(lk_doc *doc, uint32_t item) {
  const lk_item *half = &doc->items[item];
  uint32_t leaf = leaf_of(doc, half->left), units = units_of(half);
  uint32_t at = slot_of(node_at(doc, leaf), half->left) + 1;
  uint32_t to = make_room(doc, half, leaf, &at, 1);
  put_child(node_at(doc, to), at, item);
  set_leaf(doc, item, to);
  if (to == leaf) return;
  /* The other half went to another leaf just now, and what stood there was counted item by item. */
  node_at(doc, leaf)->units -= units;
  node_at(doc, to)->units += units;
}

void lk_order_rise(lk_doc *doc, uint32_t item) {
  const lk_item *at = &doc->items[item];
  uint64_t client = doc->clients.at[at->client].id;
  uint32_t node = at->leaf;
  while (node != LK_NONE && note_rival(node_at(doc, node), at->depth, client))
    node = node_at(doc, node)->parent;
}

/* Takes an empty node out of the tree, and its parents where they become empty. */
static void node_remove(lk_doc *doc, uint32_t node) {
  for (;;) {
    lk_order_node *self = node_at(doc, node);
    uint32_t parent = self->parent;
    if (self->count > 0 || parent == LK_NONE) return;
    if (self->height == 0) {
      if (self->prev != LK_NONE) node_at(doc, self->prev)->next = self->next;
      if (self->next != LK_NONE) node_at(doc, self->next)->prev = self->prev;
    }
    lk_order_node *above = node_at(doc, parent);
    take_child(above, slot_of(above, node));
    node_free(doc, node);
    node = parent;
  }
}

static void leaf_remove(lk_doc *doc, uint32_t leaf) {
  /* a root that became empty is a leaf again */
  uint32_t root = leaf;
  while (node_at(doc, root)->parent != LK_NONE) root = node_at(doc, root)->parent;
  node_remove(doc, leaf);
  lk_order_node *top = node_at(doc, root);
  if (top->count == 0) top->height = 0;
}

void lk_order_unlink(lk_doc *doc, uint32_t number) {
  const lk_item *item = &doc->items[number];
  uint32_t leaf = leaf_of(doc, number);
  lk_order_add(doc, leaf, -(int32_t)units_of(item), -(int32_t)is_format(item));
  lk_order_node *self = node_at(doc, leaf);
  take_child(self, slot_of(self, number));
  set_leaf(doc, number, LK_NONE);
  if (self->count == 0) leaf_remove(doc, leaf);
}

uint32_t lk_order_slot(const lk_doc *doc, uint32_t item) {
  return slot_of(node_at(doc, doc->items[item].leaf), item);
}

void lk_order_close(lk_doc *doc, uint32_t leaf, uint32_t to, uint32_t from, uint32_t units) {
  lk_order_node *self = node_at(doc, leaf);
  lk_order_add(doc, leaf, -(int32_t)units, 0);
  if (to == from) return;
  memmove(self->child + to, self->child + from, (self->count - from) * sizeof(uint32_t));
  self->count = (uint16_t)(self->count - (from - to));
  if (self->count == 0) leaf_remove(doc, leaf);
}

/* ---- asking ---- */

uint32_t lk_order_find(const lk_doc *doc, uint32_t number, uint32_t index, uint32_t *before) {
  uint32_t node = doc->types.at[number].order, rest = index;
  if (index >= node_at(doc, node)->units) return LK_NONE;
  while (node_at(doc, node)->height > 0) {
    const lk_order_node *self = node_at(doc, node);
    uint32_t i = 0;
    for (; rest >= node_at(doc, self->child[i])->units; i++)
      rest -= node_at(doc, self->child[i])->units;
    node = self->child[i];
  }
  const lk_order_node *leaf = node_at(doc, node);
  for (uint32_t i = 0;; i++) {
    uint32_t units = lk_item_units(&doc->items[leaf->child[i]]);
    if (rest < units) {
      *before = index - rest;
      return leaf->child[i];
    }
    rest -= units;
  }
}

uint32_t lk_order_next_shown(const lk_doc *doc, uint32_t item) {
  if (lk_item_units(&doc->items[item]) > 0) return item;
  const lk_order_node *leaf = node_at(doc, doc->items[item].leaf);
  uint32_t at = slot_of(leaf, item) + 1;
  for (;; at = 0, leaf = node_at(doc, leaf->next)) {
    if (leaf->units == 0) continue;
    for (; at < leaf->count; at++)
      if (lk_item_units(&doc->items[leaf->child[at]]) > 0) return leaf->child[at];
  }
}

uint32_t lk_order_index(const lk_doc *doc, uint32_t item) {
  uint32_t node = doc->items[item].leaf, before = 0;
  const lk_order_node *leaf = node_at(doc, node);
  for (uint32_t i = 0; leaf->child[i] != item; i++)
    before += lk_item_units(&doc->items[leaf->child[i]]);
  for (uint32_t parent = leaf->parent; parent != LK_NONE; parent = node_at(doc, node)->parent) {
    const lk_order_node *self = node_at(doc, parent);
    for (uint32_t i = 0; self->child[i] != node; i++) before += node_at(doc, self->child[i])->units;
    node = parent;
  }
  return before;
}

int lk_order_compare(const lk_doc *doc, uint32_t a, uint32_t b) {
  if (a == b) return 0;
  uint32_t x = leaf_of(doc, a), y = leaf_of(doc, b);
  uint32_t below_x = a, below_y = b;
  while (x != y) {
    below_x = x;
    below_y = y;
    x = node_at(doc, x)->parent;
    y = node_at(doc, y)->parent;
  }
  const lk_order_node *self = node_at(doc, x);
  return slot_of(self, below_x) < slot_of(self, below_y) ? -1 : 1;
}

/* ---- rivals ---- */

/* The bounds of a node that was gone through without finding what they promised. */
static void tighten(lk_doc *doc, uint32_t node) {
  lk_order_node *self = node_at(doc, node);
  self->depth = UINT32_MAX;
  self->client = UINT64_MAX;
  for (uint32_t i = 0; i < self->count; i++) {
    if (self->height == 0) {
      note_item(doc, self, &doc->items[self->child[i]]);
    } else {
      const lk_order_node *below = node_at(doc, self->child[i]);
      (void)note_rival(self, below->depth, below->client);
    }
  }
}

uint32_t lk_order_next_above(lk_doc *doc, const lk_item *like, uint32_t from, uint32_t depth) {
  uint32_t node = root_of(doc, like), at = 0, down = 0;
  if (from != LK_NONE) {
    node = leaf_of(doc, from);
    at = slot_of(node_at(doc, node), from) + 1;
  }
  for (;;) {
    const lk_order_node *self = node_at(doc, node);
    uint32_t below = LK_NONE;
    for (; at < self->count && below == LK_NONE; at++) {
      uint32_t child = self->child[at];
      if (self->height == 0) {
        if (doc->items[child].depth < depth) return child;
      } else if (node_at(doc, child)->depth < depth) {
        below = child;
      }
    }
    if (below != LK_NONE) {
      node = below;
      at = 0;
      down++;
      continue;
    }
    if (down > 0) {
      tighten(doc, node);
      down--;
    }
    if (self->parent == LK_NONE) return LK_NONE;
    at = slot_of(node_at(doc, self->parent), node) + 1;
    node = self->parent;
  }
}

static bool is_rival(uint32_t depth, uint64_t client, uint32_t than, uint64_t id) {
  return depth < than || (depth == than && client < id);
}

uint32_t lk_order_last_rival(lk_doc *doc, const lk_item *like, uint32_t until, uint32_t depth,
                             uint64_t client) {
  uint32_t node = until == LK_NONE ? root_of(doc, like) : leaf_of(doc, until), down = 0;
  uint32_t at = until == LK_NONE ? node_at(doc, node)->count : slot_of(node_at(doc, node), until);
  for (;;) {
    const lk_order_node *self = node_at(doc, node);
    uint32_t below = LK_NONE;
    while (at > 0 && below == LK_NONE) {
      uint32_t child = self->child[--at];
      if (self->height == 0) {
        const lk_item *item = &doc->items[child];
        if (is_rival(item->depth, doc->clients.at[item->client].id, depth, client)) return child;
      } else if (is_rival(node_at(doc, child)->depth, node_at(doc, child)->client, depth, client)) {
        below = child;
      }
    }
    if (below != LK_NONE) {
      node = below;
      at = node_at(doc, node)->count;
      down++;
      continue;
    }
    if (down > 0) {
      tighten(doc, node);
      down--;
    }
    if (self->parent == LK_NONE) return LK_NONE;
    at = slot_of(node_at(doc, self->parent), node);
    node = self->parent;
  }
}

/* ---- formats ---- */

/* The first format at or behind child |at| of |node|, or of what follows it in the tree. */
static uint32_t next_format(const lk_doc *doc, uint32_t node, uint32_t at) {
  for (;;) {
    const lk_order_node *self = node_at(doc, node);
    for (; at < self->count; at++) {
      uint32_t child = self->child[at];
      if (self->height == 0) {
        if (is_format(&doc->items[child])) return child;
      } else if (node_at(doc, child)->formats > 0) {
        node = child;
        at = UINT32_MAX;
        break;
      }
    }
    if (at == UINT32_MAX) {
      at = 0;
      continue;
    }
    if (self->parent == LK_NONE) return LK_NONE;
    at = slot_of(node_at(doc, self->parent), node) + 1;
    node = self->parent;
  }
}

uint32_t lk_order_next_format(const lk_doc *doc, uint32_t item, uint32_t until) {
  if (item == until) return LK_NONE;
  uint32_t leaf = doc->items[item].leaf;
  uint32_t found = next_format(doc, leaf, slot_of(node_at(doc, leaf), item));
  if (found == LK_NONE || until == LK_NONE || lk_order_compare(doc, found, until) < 0) return found;
  return LK_NONE;
}
