/* What must hold of an open document. Written from the comments of doc/engine.h, not from the code that keeps it. */
#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct check {
  lk_doc *doc;
  uint8_t *seen;  /* by item: how often it was met by clock (low half) and in a list (high half) */
  uint8_t *owned; /* by byte of the text: somebody's */
  uint8_t *nodes; /* by node of order indexes: met */
  char *wrong;
} check;

#define BY_CLOCK 0x01
#define IN_LIST 0x10

static char message[256];

/* Remembers the first thing that is wrong. Gives |is_so|. */
static bool expect(check *self, bool is_so, const char *format, ...) {
  if (is_so || self->wrong != NULL) return is_so;
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  self->wrong = message;
  return false;
}

static const lk_item *item_of(const check *self, uint32_t number) {
  return &self->doc->items[number];
}

static bool is_live(const lk_item *item) { return item->kind != LK_CONTENT_FREE; }
static bool is_loose(const lk_item *item) { return (item->flags & LK_ITEM_LOOSE) != 0; }

/* ---- items ---- */

static bool has_values(const lk_item *item) {
  switch (item->kind) {
  case LK_CONTENT_JSON:
  case LK_CONTENT_BINARY:
  case LK_CONTENT_EMBED:
  case LK_CONTENT_FORMAT:
  case LK_CONTENT_ANY:
  case LK_CONTENT_DOC: return true;
  default: return false;
  }
}

static void check_text(check *self, uint32_t number) {
  const lk_item *item = item_of(self, number);
  uint64_t bytes = (uint64_t)item->len * ((item->flags & LK_ITEM_WIDE) != 0 ? 2 : 1);
  if (!expect(self, item->content + bytes <= self->doc->text_len, "item %u: text past the end",
              number))
    return;
  for (uint64_t i = 0; i < bytes; i++) {
    uint8_t *owner = &self->owned[item->content + i];
    if (!expect(self, *owner == 0, "item %u: its text is somebody else's too", number)) return;
    *owner = 1;
  }
}

static void check_value(check *self, uint32_t number) {
  const lk_item *item = item_of(self, number);
  const lk_doc *doc = self->doc;
  size_t head = sizeof(lk_value_head);
  if (!expect(self, item->content % 4 == 0 && item->content + head <= doc->values_len,
              "item %u: value", number))
    return;
  const lk_value_head *at = lk_value_head_at(doc, item->content);
  expect(self, item->content + head + at->size <= doc->values_len, "item %u: value past the end",
         number);
  bool named = item->kind == LK_CONTENT_FORMAT || item->kind == LK_CONTENT_DOC;
  expect(self, !named || at->name < doc->names.count, "item %u: the name of its value", number);
}

static void check_item(check *self, uint32_t number) {
  const lk_item *item = item_of(self, number);
  const lk_doc *doc = self->doc;
  expect(self, item->len > 0, "item %u: no length", number);
  expect(self, item->client < doc->clients.count, "item %u: no client", number);
  expect(self, item->kind <= LK_CONTENT_DOC, "item %u: kind %u", number, item->kind);
  if (self->wrong != NULL) return;
  if (item->kind == LK_CONTENT_STRING) check_text(self, number);
  if (has_values(item)) check_value(self, number);
  if (is_loose(item)) return;
  bool gone = item->kind == LK_CONTENT_GC || item->kind == LK_CONTENT_DELETED;
  expect(self, !gone || lk_item_deleted(item), "item %u: collected, not deleted", number);
  if (item->kind == LK_CONTENT_GC) {
    expect(self, item->parent == LK_NONE && (item->flags & LK_ITEM_JOINED) == 0,
           "item %u: GC with a place", number);
    return;
  }
  expect(self, item->parent < doc->types.count, "item %u: no parent", number);
  if (item->kind == LK_CONTENT_TYPE) {
    if (!expect(self, item->content < doc->types.count, "item %u: no type", number)) return;
    const lk_type *type = &doc->types.at[item->content];
    expect(self, type->item == number, "item %u: its type is another's", number);
    expect(self, type->depth == doc->types.at[item->parent].depth + 1, "item %u: depth of its type",
           number);
  }
}

static void check_items(check *self) {
  const lk_doc *doc = self->doc;
  uint32_t live = 0, free_count = 0;
  expect(self, doc->item_count <= doc->item_cap, "more items than room");
  for (uint32_t i = 0; i < doc->item_count && self->wrong == NULL; i++) {
    if (!is_live(item_of(self, i))) continue;
    live++;
    check_item(self, i);
  }
  for (uint32_t at = doc->item_free; at != LK_NONE && self->wrong == NULL;
       at = item_of(self, at)->left) {
    if (!expect(self, at < doc->item_count && !is_live(item_of(self, at)),
                "free item %u is not free", at))
      return;
    if (!expect(self, ++free_count <= doc->item_count, "the free list is a ring")) return;
  }
  expect(self, live == doc->item_live, "%u items live, said to be %u", live, doc->item_live);
  expect(self, live + free_count == doc->item_count, "%u items are lost",
         doc->item_count - live - free_count);
}

/* ---- by clock ---- */

/* JOINED: the two would be one struct if their contents lay side by side. */
static void check_joined(check *self, uint32_t before, uint32_t number) {
  const lk_item *item = item_of(self, number);
  if ((item->flags & LK_ITEM_JOINED) == 0) return;
  if (!expect(self, before != LK_NONE, "item %u: joined to nothing", number)) return;
  const lk_item *prev = item_of(self, before);
  expect(self, prev->kind == item->kind && prev->right == number && item->left == before,
         "item %u: joined to a stranger", number);
  expect(self, item->origin_client == item->client && item->origin_clock == item->clock - 1,
         "item %u: joined, other origin", number);
  expect(self,
         prev->right_client == item->right_client &&
             (item->right_client == LK_NO_CLIENT || prev->right_clock == item->right_clock),
         "item %u: joined, other right origin", number);
  expect(self, lk_item_deleted(prev) == lk_item_deleted(item),
         "item %u: joined, one of both deleted", number);
}

static void check_client(check *self, uint32_t number) {
  const lk_client *client = &self->doc->clients.at[number];
  uint32_t clock = 0, before = LK_NONE;
  expect(self, lk_client_find(self->doc, client->id) == number, "client %u is not found by its id",
         number);
  expect(self, client->section == LK_NONE, "client %u: a section outlived its update", number);
  expect(self, client->block_count <= client->block_cap, "client %u: more blocks than room",
         number);
  for (uint32_t b = 0; b < client->block_count; b++) {
    const lk_block *block = &client->blocks[b];
    if (!expect(self, block->count > 0 && block->count <= block->cap,
                "client %u: block %u has %u of %u", number, b, block->count, block->cap)) {
      return;
    }
    expect(self, b == 0 || block->first > client->blocks[b - 1].first,
           "client %u: block %u is out of order", number, b);
    for (uint32_t i = 0; i < block->count; i++) {
      uint32_t at = block->items[i];
      if (!expect(self, at < self->doc->item_count && is_live(item_of(self, at)),
                  "client %u: a dead item", number))
        return;
      const lk_item *item = item_of(self, at);
      expect(self, item->client == number && !is_loose(item), "client %u: item %u is no item of it",
             number, at);
      if (!expect(self, item->clock == clock, "item %u: clock %u, expected %u", at, item->clock,
                  clock))
        return;
      check_joined(self, before, at);
      self->seen[at] = (uint8_t)(self->seen[at] + BY_CLOCK);
      clock = lk_item_end(item);
      before = at;
    }
  }
  expect(self, clock == client->clock, "client %u: ends at %u, said to be at %u", number, clock,
         client->clock);
}

/* Room that is kept for what a client types next is nobody's text. */
static void check_kept_text(check *self, uint32_t number) {
  const lk_client *client = &self->doc->clients.at[number];
  if (client->text_end == 0) return;
  if (!expect(self,
              client->text_used <= client->text_end && client->text_end <= self->doc->text_cap,
              "client %u: text is kept past the end", number)) {
    return;
  }
  for (uint32_t at = client->text_used; at < client->text_end; at++) {
    if (!expect(self, at < self->doc->text_len, "client %u: the text kept for it is given away",
                number))
      return;
    if (!expect(self, self->owned[at] == 0, "client %u: the text kept for it is used", number))
      return;
    self->owned[at] = 2;
  }
}

/* ---- order indexes ---- */

typedef struct order_sums {
  uint32_t units, formats, depth;
  uint64_t client;
} order_sums;

static void note_depth(order_sums *sums, uint32_t depth, uint64_t client) {
  if (depth < sums->depth) *sums = (order_sums){ sums->units, sums->formats, depth, client };
  else if (depth == sums->depth && client < sums->client) sums->client = client;
}

static void check_sums(check *self, uint32_t node, const order_sums *sums) {
  const lk_order_node *at = &self->doc->nodes.at[node];
  expect(self, at->units == sums->units, "node %u: %u units, said to be %u", node, sums->units,
         at->units);
  expect(self, at->formats == sums->formats, "node %u: formats", node);
  expect(self, at->depth <= sums->depth, "node %u: depth %u, said to be at least %u", node,
         sums->depth, at->depth);
  expect(self, at->depth < sums->depth || at->client <= sums->client, "node %u: the least client",
         node);
}

/* Walks the leaves from left to right along with the list. */
static void check_leaf(check *self, uint32_t type, uint32_t node, uint32_t *item,
                       uint32_t *last_leaf) {
  const lk_order_node *at = &self->doc->nodes.at[node];
  order_sums sums = { 0, 0, UINT32_MAX, UINT64_MAX };
  expect(self, at->prev == *last_leaf, "leaf %u: its left neighbour", node);
  expect(self, *last_leaf == LK_NONE || self->doc->nodes.at[*last_leaf].next == node,
         "leaf %u: is not linked", node);
  *last_leaf = node;
  for (uint32_t i = 0; i < at->count && self->wrong == NULL; i++) {
    if (!expect(self, at->child[i] == *item, "leaf %u of type %u: another item than in the list",
                node, type))
      return;
    const lk_item *of = item_of(self, *item);
    bool sub = (of->flags & LK_ITEM_SUB) != 0;
    expect(self, (sub ? self->doc->entry_leaves[*item] : of->leaf) == node, "item %u: its leaf",
           *item);
    sums.units += sub ? 0 : lk_item_units(of);
    sums.formats += of->kind == LK_CONTENT_FORMAT && !lk_item_deleted(of) && !sub;
    note_depth(&sums, of->depth, self->doc->clients.at[of->client].id);
    *item = of->right;
  }
  check_sums(self, node, &sums);
}

static void check_inner(check *self, uint32_t node) {
  const lk_order_node *at = &self->doc->nodes.at[node];
  order_sums sums = { 0, 0, UINT32_MAX, UINT64_MAX };
  for (uint32_t i = 0; i < at->count; i++) {
    const lk_order_node *child = &self->doc->nodes.at[at->child[i]];
    expect(self, child->parent == node && child->height + 1 == at->height, "node %u: child %u",
           node, i);
    expect(self, child->count > 0, "node %u: an empty child", node);
    sums.units += child->units;
    sums.formats += child->formats;
    note_depth(&sums, child->depth, child->client);
  }
  check_sums(self, node, &sums);
}

static void check_order(check *self, uint32_t type, uint32_t root, uint32_t item) {
  const lk_doc *doc = self->doc;
  uint32_t stack[512], depth = 0, last_leaf = LK_NONE;
  stack[depth++] = root;
  expect(self, doc->nodes.at[stack[0]].parent == LK_NONE, "type %u: the root has a parent", type);
  while (depth > 0 && self->wrong == NULL) {
    uint32_t node = stack[--depth];
    if (!expect(self, node < doc->nodes.count && self->nodes[node]++ == 0, "node %u is met twice",
                node))
      return;
    const lk_order_node *at = &doc->nodes.at[node];
    if (!expect(self, at->count <= LK_ORDER_FAN, "node %u: %u children", node, at->count)) return;
    if (at->height == 0) {
      check_leaf(self, type, node, &item, &last_leaf);
      continue;
    }
    check_inner(self, node);
    if (!expect(self, depth + at->count <= 512, "type %u: an index that high", type)) return;
    for (uint32_t i = at->count; i > 0; i--) stack[depth++] = at->child[i - 1];
  }
  expect(self, item == LK_NONE, "type %u: the list goes on behind the index", type);
  expect(self, last_leaf == LK_NONE || doc->nodes.at[last_leaf].next == LK_NONE,
         "type %u: the last leaf goes on", type);
}

static void check_free_nodes(check *self) {
  const lk_doc *doc = self->doc;
  uint32_t count = 0, used = 0;
  for (uint32_t at = doc->node_free; at != LK_NONE && self->wrong == NULL;
       at = doc->nodes.at[at].parent) {
    expect(self, at < doc->nodes.count && self->nodes[at]++ == 0, "node %u is free and used", at);
    count++;
  }
  for (uint32_t i = 0; i < doc->nodes.count; i++) used += self->nodes[i];
  expect(self, count == doc->node_free_count, "%u nodes are free, said to be %u", count,
         doc->node_free_count);
  expect(self, used == doc->nodes.count, "%u nodes are lost", doc->nodes.count - used);
}

/* ---- lists ---- */

/* Depth is the way over the origins. What was cut off behind its client's own items has one, too. Where origins cross nobody
 * goes by it: an item may stand in front of its own. */
static void check_depth(check *self, uint32_t number) {
  const lk_item *item = item_of(self, number);
  if ((self->doc->types.at[item->parent].flags & LK_TYPE_CROSSED) != 0) return;
  if (item->origin_client == LK_NO_CLIENT) {
    expect(self, item->depth == 0, "item %u: no origin and depth %u", number, item->depth);
    return;
  }
  const lk_client *client = &self->doc->clients.at[item->origin_client];
  if (!expect(self, item->origin_clock < client->clock, "item %u: its origin is not here", number))
    return;
  const lk_item *origin = item_of(
      self, lk_client_item(self->doc, item->origin_client, item->origin_clock));
  if (origin->kind == LK_CONTENT_GC) return;
  uint32_t depth = origin->depth + (item->origin_clock - origin->clock) + 1;
  expect(self, item->depth == depth, "item %u: depth %u, over its origins %u", number, item->depth,
         depth);
}

/* One list from |first| on. Gives its last item and its visible units. */
static uint32_t check_list(check *self, uint32_t first, uint32_t type, uint32_t entry,
                           uint32_t *units) {
  const lk_doc *doc = self->doc;
  uint32_t left = LK_NONE;
  *units = 0;
  for (uint32_t at = first; at != LK_NONE && self->wrong == NULL; at = item_of(self, at)->right) {
    if (!expect(self, at < doc->item_count && is_live(item_of(self, at)), "type %u: a dead item",
                type))
      break;
    const lk_item *item = item_of(self, at);
    if (!expect(self, self->seen[at] == BY_CLOCK, "item %u: in a list, not once by clock", at))
      break;
    self->seen[at] += IN_LIST;
    expect(self, item->left == left, "item %u: its left neighbour", at);
    expect(self, item->parent == type, "item %u: in the list of type %u, parent %u", at, type,
           item->parent);
    bool sub = (item->flags & LK_ITEM_SUB) != 0;
    expect(self, sub == (entry != LK_NONE), "item %u: of a map or not", at);
    if (sub) {
      expect(self, item->leaf == entry, "item %u: its entry", at);
    } else if (doc->types.at[type].order == LK_NONE) {
      expect(self, item->leaf == LK_NONE, "item %u: a leaf without an index", at);
    }
    check_depth(self, at);
    *units += lk_item_units(item);
    left = at;
  }
  return left;
}

static void check_cursor(check *self, uint32_t number) {
  const lk_type *type = &self->doc->types.at[number];
  if (type->cursor == LK_NONE) return;
  uint32_t units = 0, at = type->start;
  for (; at != LK_NONE && at != type->cursor; at = item_of(self, at)->right)
    units += lk_item_units(item_of(self, at));
  if (!expect(self, at != LK_NONE, "type %u: its cursor is not in its list", number)) return;
  expect(self, units == type->cursor_at, "type %u: its cursor is at %u, said to be at %u", number,
         units, type->cursor_at);
}

static void check_type(check *self, uint32_t number) {
  lk_doc *doc = self->doc;
  const lk_type *type = &doc->types.at[number];
  uint32_t units, ignored, last = LK_NONE;
  if ((type->flags & LK_TYPE_FREED) != 0) {
    expect(self, type->start == LK_NONE && type->order == LK_NONE && type->entry_first == LK_NONE,
           "type %u: freed", number);
    return;
  }
  expect(self, check_list(self, type->start, number, LK_NONE, &units) == type->end,
         "type %u: its end", number);
  expect(self, units == type->length, "type %u: %u units, said to be %u", number, units,
         type->length);
  if (self->wrong == NULL) check_cursor(self, number);
  if (self->wrong == NULL && type->order != LK_NONE)
    check_order(self, number, type->order, type->start);
  for (uint32_t at = type->entry_first; at != LK_NONE && self->wrong == NULL;
       at = doc->entries.at[at].next) {
    const lk_entry *entry = &doc->entries.at[at];
    expect(self, entry->type == number && lk_entry_find(doc, number, entry->key) == at, "entry %u",
           at);
    expect(self, check_list(self, entry->first, number, at, &ignored) == entry->last,
           "entry %u: its last item", at);
    if (self->wrong == NULL && entry->order != 0)
      check_order(self, number, entry->order - 1, entry->first);
    last = at;
  }
  expect(self, last == type->entry_last, "type %u: its last entry", number);
  if (type->item == LK_NONE) return;
  const lk_item *owner = item_of(self, type->item);
  expect(self, owner->kind == LK_CONTENT_TYPE && owner->content == number, "type %u: its item",
         number);
}

/* ---- pending ---- */

/* What we write ourselves wakes nobody before the next update: up to then that has come for which something waits. */
static bool is_ours(const lk_doc *doc, uint32_t client) {
  return client != LK_NO_CLIENT && client == doc->client;
}

static void check_wait(check *self, uint32_t number, const lk_pending_struct *first) {
  lk_doc *doc = self->doc;
  const lk_client *client = &doc->clients.at[number];
  uint32_t on = LK_NONE, clock = 0;
  if (is_ours(doc, number)) return;
  if (client->waits_for != LK_NONE && is_ours(doc, client->waits_for) &&
      client->waits_clock < doc->clients.at[client->waits_for].clock)
    return;
  if (first != NULL && first->clock <= client->clock &&
      lk_loose_missing(doc, item_of(self, first->item), &on, &clock)) {
    expect(self, client->waits_for == on && client->waits_clock == clock,
           "client %u: waits for something else", number);
    lk_pending_wait key = { on, clock, number };
    const lk_pending_wait *wait = lk_btree_at_least(&doc->waits, &key, NULL);
    expect(self, wait != NULL && memcmp(wait, &key, sizeof key) == 0,
           "client %u: does not stand in the waits", number);
  } else {
    /* nothing to take in, or what could not be taken in: beyond a limit */
    expect(self, client->waits_for == LK_NONE, "client %u: waits with nothing to take in", number);
  }
}

static void check_pending(check *self) {
  lk_doc *doc = self->doc;
  lk_btree_cursor cursor;
  uint32_t *first = malloc((doc->clients.count + 1u) * sizeof *first);
  uint32_t waiting = 0, end_client = LK_NONE, end = 0;
  memset(first, 0xFF, (doc->clients.count + 1u) * sizeof *first);
  for (const lk_pending_struct *at = lk_btree_first(&doc->pending, &cursor); at != NULL;
       at = lk_btree_next(&cursor)) {
    if (!expect(self, at->item < doc->item_count, "a pending item that is none")) break;
    const lk_item *item = item_of(self, at->item);
    expect(self, is_live(item) && is_loose(item), "pending item %u is not loose", at->item);
    expect(self, item->client == at->client && item->clock == at->clock && item->len == at->len,
           "pending item %u", at->item);
    expect(self, at->client != end_client || at->clock >= end, "pending item %u: overlaps",
           at->item);
    expect(self,
           is_ours(doc, at->client) || at->clock + at->len > doc->clients.at[at->client].clock,
           "pending item %u: is known", at->item);
    if (self->wrong != NULL) break;
    self->seen[at->item] = (uint8_t)(self->seen[at->item] + BY_CLOCK + IN_LIST);
    if (at->client != end_client) {
      first[at->client] = at->item;
      lk_pending_struct copy = *at;
      check_wait(self, at->client, &copy);
      waiting += doc->clients.at[at->client].waits_for != LK_NONE;
    }
    end_client = at->client;
    end = at->clock + at->len;
  }
  for (uint32_t i = 0; i < doc->clients.count && self->wrong == NULL; i++) {
    if (first[i] == LK_NONE) check_wait(self, i, NULL);
  }
  free(first);
  expect(self, lk_btree_count(&doc->waits) == waiting, "%u wait, %u stand in the tree", waiting,
         (unsigned)lk_btree_count(&doc->waits));
  lk_pending_range before = { 0, 0, 0 };
  for (const lk_pending_range *at = lk_btree_first(&doc->pending_ranges, &cursor); at != NULL;
       at = lk_btree_next(&cursor)) {
    uint16_t client = lk_client_find(doc, at->client);
    expect(self, at->len > 0, "an empty pending range");
    expect(self,
           client == LK_NO_CLIENT || is_ours(doc, client) ||
               at->clock >= doc->clients.at[client].clock,
           "a pending range of what is here");
    expect(self,
           before.len == 0 || before.client != at->client || before.clock + before.len < at->clock,
           "pending ranges touch");
    before = *at;
  }
}

/* ---- all ---- */

static void check_rest(check *self) {
  const lk_doc *doc = self->doc;
  for (uint32_t i = 0; i < doc->item_count && self->wrong == NULL; i++) {
    const lk_item *item = item_of(self, i);
    if (!is_live(item)) continue;
    uint8_t wanted = item->kind == LK_CONTENT_GC && !is_loose(item) ? BY_CLOCK : BY_CLOCK + IN_LIST;
    expect(self, self->seen[i] == wanted, "item %u (kind %u) hangs nowhere or twice: %02x", i,
           item->kind, self->seen[i]);
  }
  for (uint32_t i = 0; i < doc->names.count && self->wrong == NULL; i++) {
    expect(self, lk_name_find(doc, lk_name_slice(doc, i)) == i, "name %u is not found", i);
  }
  expect(self, doc->incoming.count + doc->stack.count + doc->dropped.count + doc->woken.count == 0,
         "an update left something");
  expect(self, doc->tx != NULL || doc->journal.count == 0, "the journal outlived its transaction");
  expect(self, doc->client == LK_NO_CLIENT || doc->clients.at[doc->client].id == doc->client_id,
         "our own client");
}

/* What is owed to the order index while somebody types is paid for the time of the check, so that typing goes on. */
static void pay_owed(lk_doc *doc, int32_t sign) {
  const lk_typing *at = &doc->typing;
  if (!lk_typing_owes(at)) return;
  const lk_item *item = &doc->items[at->item];
  int32_t owed = (int32_t)(item->len - at->known);
  if (owed != 0 && doc->types.at[item->parent].order != LK_NONE)
    lk_order_add(doc, item->leaf, sign * owed, 0);
}

const char *check_doc(lk_doc *doc) {
  check self = { .doc = doc };
  pay_owed(doc, 1);
  self.seen = calloc(doc->item_count + 1u, 1);
  self.owned = calloc((size_t)doc->text_cap + 1, 1);
  self.nodes = calloc(doc->nodes.count + 1u, 1);
  check_items(&self);
  for (uint32_t i = 0; i < doc->clients.count && self.wrong == NULL; i++) check_client(&self, i);
  for (uint32_t i = 0; i < doc->clients.count && self.wrong == NULL; i++) check_kept_text(&self, i);
  for (uint32_t i = 0; i < doc->types.count && self.wrong == NULL; i++) check_type(&self, i);
  if (self.wrong == NULL) check_free_nodes(&self);
  if (self.wrong == NULL) check_pending(&self);
  if (self.wrong == NULL) check_rest(&self);
  pay_owed(doc, -1);
  free(self.seen);
  free(self.owned);
  free(self.nodes);
  return self.wrong;
}

/* ---- the checker itself ---- */

static lk_doc *some_doc(const lk_env *env) {
  lk_doc *doc;
  lk_node text;
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  CHECK_OK(lk_doc_open(env, &options, &doc));
  CHECK_OK(lk_doc_root(doc, LK_LIT("t"), LK_NODE_TEXT, &text));
  for (uint32_t i = 0; i < 200; i++) CHECK_OK(lk_doc_text_insert(doc, text, 0, LK_LIT("ab"), NULL));
  CHECK_OK(lk_order_build(doc, text.slot));
  CHECK(check_doc(doc) == NULL);
  return doc;
}

TEST(the_checker_sees_what_is_broken) {
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_doc *doc = some_doc(&env);
#define BROKEN(place, wrong)                                                                       \
  do {                                                                                             \
    uint64_t was = (uint64_t)(place);                                                              \
    (place) = (wrong);                                                                             \
    CHECK(check_doc(doc) != NULL);                                                                 \
    memcpy(&(place), &was, sizeof(place));                                                         \
    CHECK(check_doc(doc) == NULL);                                                                 \
  } while (0)
  BROKEN(doc->types.at[0].length, 5);
  BROKEN(doc->types.at[0].end, 3);
  BROKEN(doc->items[7].left, 9);
  BROKEN(doc->items[7].depth, 1);
  BROKEN(doc->items[7].clock, 1);
  BROKEN(doc->items[7].content, doc->items[8].content);
  BROKEN(doc->items[7].leaf, LK_NONE);
  BROKEN(doc->items[7].parent, 1);
  BROKEN(doc->items[7].flags, LK_ITEM_DELETED);
  BROKEN(doc->items[7].flags, LK_ITEM_JOINED);
  BROKEN(doc->items[7].flags, LK_ITEM_LOOSE);
  BROKEN(doc->nodes.at[0].units, 1);
  BROKEN(doc->nodes.at[0].depth, 1);
  BROKEN(doc->clients.at[0].clock, 1);
  BROKEN(doc->item_live, 1);
  BROKEN(doc->node_free_count, 7);
#undef BROKEN
  lk_doc_close(doc);
}
