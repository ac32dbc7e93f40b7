/* doc/integrate.c -- the primitives of change: split, find a place, link, delete.
 *
 * The order of a list is YATA's, as Yjs has it: an item knows the neighbours between which it was written, its
 * origin and its right origin. Where others wrote at the same place, the items between the two are
 * looked at from the left. Those with the same origin, its rivals, stand in the order of their clients, each
 * followed by what was written behind it.
 *
 * Yjs looks at each item in between, and keeps two sets to know which of them were written behind which. That is
 * linear for each insertion, and strangers can make it long. Here it takes O(log n). The origins make a tree,
 * of which the list is a walk, parents first; an item's depth is how many units lie on its way to the root. What
 * was written behind a rival is what follows it and is deeper. So there is nothing to remember: the next rival is
 * the next item of our own depth, and where the depth falls below it, the place is behind all of them.
 *
 * Rivals with one right origin stand in the order of their clients. One with another right origin may stand before one with
 * a lesser client, but only if its own right origin lies between them: whoever is put in walks on over all lesser
 * clients until something stops him, which is his right origin, or a rival with the same one and a greater
 * client, of which the same is true. So where Yjs stops before a greater client, no lesser one follows before the right
 * origin, and it comes to the same to look at all of the stretch: our place is behind the last rival with a
 * lesser client, and what was written behind that. The order index knows the least depth below each of its nodes and the
 * least client of that depth, and finds the end of the stretch and this rival without looking at the others.
 *
 * The list is such a walk as long as nobody has a right origin among what was written behind one of his rivals, and comes to
 * stand before it there, in the middle of that. No editor writes that: what it writes between two neighbours has the
 * right one for a rival or less deep, since in a walk the next one is one deeper at most. Strangers can. Their
 * item is put where Yjs would put it, and the node is marked as CROSSED: in it the scan is done as Yjs does it,
 * within the steps that an update has.
 *
 * Deleting keeps the item, since others may still refer to it. Its content goes when the transaction is
 * over (cleanup.c).
 *
 * Each primitive asks for all memory first and notes itself in the journal. On an error the caller rolls back. */
#include "doc/engine.h"

#include "codec/utf.h"
#include "doc/value.h"

/* ---- what a transaction remembers ---- */

lk_err lk_tx_touch(lk_doc *doc, uint16_t number) {
  lk_client *client = &doc->clients.at[number];
  lk_tx *tx = doc->tx;
  if (client->touched == tx->number) return LK_OK;
  lk_err err = LK_VEC_RESERVE_HERE(doc, tx->touched, 1);
  if (err == LK_OK) err = lk_journal(doc, LK_STEP_TOUCH, number, client->touched, client->before);
  if (err != LK_OK) return err;
  tx->touched.at[tx->touched.count++] = (lk_touched){ number, client->clock, client->clock };
  client->touched = tx->number;
  client->before = client->clock;
  return LK_OK;
}

lk_err lk_tx_add_range(lk_doc *doc, uint16_t client, uint32_t clock, uint32_t len) {
  lk_tx *tx = doc->tx;
  if (tx->ranges.count > tx->range_floor) {
    lk_range *last = &tx->ranges.at[tx->ranges.count - 1];
    if (last->client == client && last->clock + last->len == clock) {
      last->len += len;
      return LK_OK;
    }
  }
  lk_err err = LK_VEC_RESERVE_HERE(doc, tx->ranges, 1);
  if (err != LK_OK) return err;
  tx->ranges.at[tx->ranges.count++] = (lk_range){ client, clock, len };
  return LK_OK;
}

lk_err lk_tx_add_merge(lk_doc *doc, uint16_t client, uint32_t clock, uint32_t item) {
  lk_tx *tx = doc->tx;
  lk_err err = LK_VEC_RESERVE_HERE(doc, tx->merges, 1);
  if (err == LK_OK) tx->merges.at[tx->merges.count++] = (lk_merge_try){ client, clock, item };
  return err;
}

lk_err lk_type_changed(lk_doc *doc, uint32_t number, uint32_t entry) {
  lk_type *type = &doc->types.at[number];
  lk_tx *tx = doc->tx;
  if (entry == LK_NONE ? type->changed_list == tx->number
                       : doc->entries.at[entry].changed == tx->number) {
    if (type->changed == tx->number) return LK_OK;
  }
  if (type->item != LK_NONE) {
    const lk_item *item = &doc->items[type->item];
    if (lk_item_deleted(item) || item->clock >= lk_tx_before(doc, tx, item->client)) return LK_OK;
  }
  lk_err err = LK_VEC_RESERVE_HERE(doc, tx->changed, 1);
  if (err == LK_OK)
    err = lk_journal(doc, LK_STEP_CHANGED, number, type->changed, type->changed_list);
  if (err != LK_OK) return err;
  uint32_t key = LK_NONE;
  if (entry != LK_NONE) {
    lk_entry *at = &doc->entries.at[entry];
    if ((err = lk_journal(doc, LK_STEP_ENTRY_CHANGED, entry, at->changed, 0)) != LK_OK) return err;
    at->changed = tx->number;
    key = at->key;
  } else {
    type->changed_list = tx->number;
  }
  type->changed = tx->number;
  tx->changed.at[tx->changed.count++] = (lk_change){ number, key, entry };
  return LK_OK;
}

/* A node that is deleted is not told about any more. */
static lk_err type_unchanged(lk_doc *doc, uint32_t number) {
  lk_type *type = &doc->types.at[number];
  if (type->changed != doc->tx->number) return LK_OK;
  lk_err err = lk_journal(doc, LK_STEP_REMARK, number, type->changed, type->changed_list);
  if (err != LK_OK) return err;
  type->changed = type->changed_list = 0;
  return LK_OK;
}

/* ---- redone ---- */

static int compare_redone(const void *ctx, const void *a, const void *b) {
  uint32_t x = ((const lk_redone *)a)->item, y = ((const lk_redone *)b)->item;
  (void)ctx;
  return (x > y) - (x < y);
}

void lk_redone_init(lk_doc *doc) {
  lk_btree_init(&doc->redone, &doc->alloc, sizeof(lk_redone), compare_redone, NULL);
}

bool lk_item_redone(const lk_doc *doc, uint32_t item, uint16_t *client, uint32_t *clock) {
  if ((doc->items[item].flags & LK_ITEM_REDONE) == 0) return false;
  lk_redone key = { item, 0, 0 };
  const lk_redone *found = lk_btree_get(&doc->redone, &key);
  LK_ASSERT(found != NULL);
  *client = (uint16_t)found->client;
  *clock = found->clock;
  return true;
}

lk_err lk_item_set_redone(lk_doc *doc, uint32_t item, uint16_t client, uint32_t clock) {
  lk_redone redone = { item, client, clock };
  lk_err err = lk_btree_reserve(&doc->redone, 1);
  if (err == LK_OK) err = lk_journal(doc, LK_STEP_REDONE, item, 0, 0);
  if (err != LK_OK) return err;
  (void)lk_btree_insert(&doc->redone, &redone);
  doc->items[item].flags |= LK_ITEM_REDONE;
  return LK_OK;
}

void lk_item_drop_redone(lk_doc *doc, uint32_t item) {
  lk_redone key = { item, 0, 0 };
  if (!lk_btree_remove(&doc->redone, &key)) LK_UNREACHABLE();
  doc->items[item].flags &= (uint8_t)~LK_ITEM_REDONE;
}

lk_err lk_item_set_keep(lk_doc *doc, uint32_t item, bool keep) {
  while (item != LK_NONE && ((doc->items[item].flags & LK_ITEM_KEEP) != 0) != keep) {
    lk_err err = lk_journal(doc, LK_STEP_FLAGS, item, doc->items[item].flags, 0);
    if (err != LK_OK) return err;
    doc->items[item].flags ^= LK_ITEM_KEEP;
    uint32_t parent = doc->items[item].parent;
    item = parent == LK_NONE ? LK_NONE : doc->types.at[parent].item;
  }
  return LK_OK;
}

/* ---- splitting ---- */

/* The bytes of the first |count| values of a run of any, or of varStrings. */
static uint32_t values_prefix(const lk_doc *doc, const lk_item *item, uint32_t count) {
  lk_slice all = lk_value_bytes(doc, item->content);
  lk_slice from = lk_item_any(doc, item, count);
  if (item->kind == LK_CONTENT_ANY) return (uint32_t)(from.ptr - all.ptr);
  return (uint32_t)(from.ptr - all.ptr) - (uint32_t)lk_varuint_len(from.len);
}

static lk_err split_values(lk_doc *doc, uint32_t number, uint32_t offset, uint32_t *right) {
  lk_item *item = &doc->items[number];
  uint32_t prefix = values_prefix(doc, item, offset);
  lk_slice rest = lk_slice_skip(lk_value_bytes(doc, item->content), prefix);
  lk_err err = lk_value_add(doc, rest, lk_value_head_at(doc, item->content)->name, right);
  if (err != LK_OK) return err;
  /* shrunk by the caller, once nothing can fail any more */
  return LK_OK;
}

static uint16_t take_unit(uint8_t *at, uint16_t unit) {
  uint16_t was;
  memcpy(&was, at, 2);
  memcpy(at, &unit, 2);
  return was;
}

/* As Yjs: where the left half ends in half a pair, both ends become U+FFFD. Gives what was there, or 0. */
static uint32_t split_pair(lk_doc *doc, const lk_item *left, const lk_item *right) {
  if (left->kind != LK_CONTENT_STRING || (left->flags & LK_ITEM_WIDE) == 0) return 0;
  if (!lk_utf_is_high_surrogate(lk_item_unit(doc, left, left->len - 1))) return 0;
  LK_COVERED(doc_split_pair);
  uint8_t *end = doc->text + left->content + (size_t)(left->len - 1) * 2;
  uint32_t high = take_unit(end, LK_UTF_REPLACEMENT);
  return high << 16 | take_unit(doc->text + right->content, LK_UTF_REPLACEMENT);
}

static void link_half(lk_doc *doc, uint32_t number, uint32_t right) {
  lk_item *item = &doc->items[number], *half = &doc->items[right];
  item->right = right;
  if (half->right != LK_NONE) doc->items[half->right].left = right;
  if ((half->flags & LK_ITEM_SUB) != 0) {
    if (half->right == LK_NONE) doc->entries.at[half->leaf].last = right;
    if (lk_order_has(doc, half)) lk_order_link_half(doc, right);
    return;
  }
  lk_type *parent = &doc->types.at[half->parent];
  if (half->right == LK_NONE) parent->end = right;
  if (parent->order != LK_NONE) lk_order_link_half(doc, right);
}

lk_err lk_item_split(lk_doc *doc, uint32_t number, uint32_t offset, uint32_t *out) {
  uint32_t right, content = doc->items[number].content;
  uint16_t client, redone_client;
  uint32_t redone_clock;
  lk_err err = lk_item_new(doc, &right);
  if (err != LK_OK) return err;
  lk_item *item = &doc->items[number];
  bool values = item->kind == LK_CONTENT_ANY || item->kind == LK_CONTENT_JSON;
  client = item->client;
  if (values && (err = split_values(doc, number, offset, &content)) != LK_OK) return err;
  if (item->kind == LK_CONTENT_STRING)
    content += offset * ((item->flags & LK_ITEM_WIDE) != 0 ? 2u : 1u);
  if ((err = lk_order_reserve(doc, 1)) != LK_OK) return err;
  if ((err = lk_tx_add_merge(doc, client, item->clock + offset, right)) != LK_OK) return err;
  if ((err = LK_VEC_RESERVE_HERE(doc, doc->journal, 2)) != LK_OK) return err;
  if ((item->flags & LK_ITEM_REDONE) != 0 && (err = lk_btree_reserve(&doc->redone, 1)) != LK_OK)
    return err;
  lk_item half = *item;
  half.clock += offset;
  half.len -= offset;
  half.depth += offset;
  half.origin_client = client;
  half.origin_clock = half.clock - 1;
  half.left = number;
  half.content = content;
  half.flags &= (uint8_t) ~(LK_ITEM_JOINED | LK_ITEM_REDONE);
  doc->items[right] = half;
  lk_place place = lk_client_place(doc, client, item->clock);
  if ((err = lk_client_insert(doc, client, place, right)) != LK_OK) return err;
  item->len = offset;
  link_half(doc, number, right);
  if (values) {
    lk_value_head *head = (lk_value_head *)(void *)(doc->values + item->content);
    head->size -= lk_value_head_at(doc, content)->size;
  }
  if (lk_item_redone(doc, number, &redone_client, &redone_clock) &&
      lk_item_set_redone(doc, right, redone_client, redone_clock + offset) != LK_OK) {
    LK_UNREACHABLE();
  }
  uint32_t pair = split_pair(doc, &doc->items[number], &doc->items[right]);
  *out = right;
  return lk_journal(doc, LK_STEP_SPLIT, number, right, pair);
}

lk_err lk_item_part(lk_doc *doc, uint32_t number) {
  lk_item *item = &doc->items[number];
  if ((item->flags & LK_ITEM_JOINED) == 0) return LK_OK;
  lk_err err = lk_tx_add_merge(doc, item->client, item->clock, number);
  if (err == LK_OK) err = lk_journal(doc, LK_STEP_FLAGS, number, item->flags, 0);
  if (err != LK_OK) return err;
  item->flags &= (uint8_t)~LK_ITEM_JOINED;
  return LK_OK;
}

lk_err lk_item_join(lk_doc *doc, uint32_t number) {
  lk_item *item = &doc->items[number];
  if (item->kind == LK_CONTENT_GC || lk_item_deleted(item)) return LK_OK;
  lk_err err = lk_journal(doc, LK_STEP_FLAGS, number, item->flags, 0);
  if (err == LK_OK) item->flags |= LK_ITEM_JOINED;
  return err;
}

lk_err lk_item_clean_start(lk_doc *doc, uint16_t client, uint32_t clock, uint32_t *out) {
  uint32_t number = lk_client_item(doc, client, clock);
  const lk_item *item = &doc->items[number];
  *out = number;
  if (item->kind == LK_CONTENT_GC) return LK_OK;
  if (item->clock == clock) return lk_item_part(doc, number);
  return lk_item_split(doc, number, clock - item->clock, out);
}

lk_err lk_item_clean_end(lk_doc *doc, uint16_t client, uint32_t clock, uint32_t *out) {
  lk_place place = lk_client_place(doc, client, clock);
  uint32_t number = lk_place_item(doc, client, place), right;
  const lk_item *item = &doc->items[number];
  *out = number;
  if (item->kind == LK_CONTENT_GC) return LK_OK;
  if (clock + 1 != lk_item_end(item))
    return lk_item_split(doc, number, clock - item->clock + 1, &right);
  if (!lk_place_next(doc, client, &place)) return LK_OK;
  return lk_item_part(doc, lk_place_item(doc, client, place));
}

/* ---- finding a place ---- */

#define SHORT_SCAN 8

typedef struct scan {
  uint32_t seen[SHORT_SCAN]; /* the first items of it */
  uint32_t count;
  uint32_t base; /* marks above it are of this scan, once there are more */
} scan;

lk_err lk_marks_reserve(lk_doc *doc) {
  if (doc->marks_cap < doc->item_cap) {
    uint32_t *marks = lk_resize_array(&doc->alloc, doc->marks, doc->marks_cap, doc->item_cap,
                                      sizeof *marks);
    if (marks == NULL) return LK_ERR_NOMEM;
    memset(marks + doc->marks_cap, 0, (doc->item_cap - doc->marks_cap) * sizeof *marks);
    doc->marks = marks;
    doc->marks_cap = doc->item_cap;
  }
  if (doc->mark_next > UINT32_MAX / 2) {
    memset(doc->marks, 0, doc->marks_cap * sizeof *doc->marks);
    doc->mark_next = 0;
  }
  return LK_OK;
}

static lk_err marks_begin(lk_doc *doc, scan *self) {
  lk_err err = lk_marks_reserve(doc);
  if (err != LK_OK) return err;
  self->base = doc->mark_next;
  for (uint32_t i = 0; i < SHORT_SCAN; i++) doc->marks[self->seen[i]] = ++doc->mark_next;
  return LK_OK;
}

static lk_err scan_add(lk_doc *doc, scan *self, uint32_t item) {
  if (self->count < SHORT_SCAN) {
    self->seen[self->count++] = item;
    return LK_OK;
  }
  if (self->count == SHORT_SCAN) {
    lk_err err = marks_begin(doc, self);
    if (err != LK_OK) return err;
  }
  doc->marks[item] = ++doc->mark_next;
  self->count++;
  return LK_OK;
}

/* As the how-manieth the scan saw |item|, or LK_NONE. */
static uint32_t scan_index(const lk_doc *doc, const scan *self, uint32_t item) {
  if (self->count > SHORT_SCAN) {
    return doc->marks[item] > self->base ? doc->marks[item] - self->base - 1 : LK_NONE;
  }
  for (uint32_t i = 0; i < self->count; i++) {
    if (self->seen[i] == item) return i;
  }
  return LK_NONE;
}

static bool same_origin(const lk_item *a, const lk_item *b) {
  return a->origin_client == b->origin_client &&
         (a->origin_client == LK_NO_CLIENT || a->origin_clock == b->origin_clock);
}
static bool same_right(const lk_item *a, const lk_item *b) {
  return a->right_client == b->right_client &&
         (a->right_client == LK_NO_CLIENT || a->right_clock == b->right_clock);
}

static uint32_t first_conflict(const lk_doc *doc, const lk_item *item) {
  if (item->left != LK_NONE) return doc->items[item->left].right;
  if ((item->flags & LK_ITEM_SUB) != 0) return doc->entries.at[item->leaf].first;
  return doc->types.at[item->parent].start;
}

/* The scan with sets, for lists that are no walk. */
static lk_err find_place_crossed(lk_doc *doc, uint32_t number) {
  lk_item *item = &doc->items[number];
  uint64_t client = doc->clients.at[item->client].id;
  uint32_t left = item->left,
           since = 0; /* conflicting are those that were seen at |since| or later */
  uint32_t other = first_conflict(doc, item);
  scan seen = { .count = 0 };
  LK_COVERED(doc_crossed);
  while (other != LK_NONE && other != item->right) {
    const lk_item *o = &doc->items[other];
    lk_err err = lk_doc_step(doc, 2);
    if (err == LK_OK) err = scan_add(doc, &seen, other);
    if (err != LK_OK) return err;
    if (same_origin(item, o)) {
      if (doc->clients.at[o->client].id < client) {
        left = other;
        since = seen.count;
      } else if (same_right(item, o)) {
        break;
      }
    } else {
      if (o->origin_client == LK_NO_CLIENT) break;
      uint32_t index = scan_index(doc, &seen,
                                  lk_client_item(doc, o->origin_client, o->origin_clock));
      if (index == LK_NONE) break;
      if (index < since) {
        left = other;
        since = seen.count;
      }
    }
    other = o->right;
  }
  item->left = left;
  return LK_OK;
}

static lk_err mark_crossed(lk_doc *doc, uint32_t type) {
  lk_type *parent = &doc->types.at[type];
  lk_err err = lk_journal(doc, LK_STEP_TYPE, type, parent->flags | (uint32_t)parent->kind << 8, 0);
  if (err == LK_OK) parent->flags |= LK_TYPE_CROSSED;
  return err;
}

/* The scan came to the right origin, and we stand right before it. */
static lk_err note_crossing(lk_doc *doc, const lk_item *item) {
  if (doc->items[item->right].depth <= item->depth) return LK_OK;
  return mark_crossed(doc, item->parent);
}

/* False where both origins lie in one struct, the right one first: cutting it for the right one moved the left one
 * away. */
static bool stands_at_origin(const lk_item *item, const lk_item *left) {
  if (item->origin_client == LK_NO_CLIENT) return true;
  return left->client == item->origin_client && lk_item_end(left) - 1 == item->origin_clock;
}

/* How far a list is walked before its index is asked; the first number is for those that have one. */
#define SCAN_FEW 8
#define SCAN_WALK 48

/* Walks from |*other| on. |*accepted|: what comes next is behind a rival that we stand behind. Gives LK_ERR_MORE where the
 * walk got long. */
static lk_err walk_place(lk_doc *doc, const lk_item *item, uint32_t *other, uint32_t *left,
                         bool *accepted, uint32_t most) {
  uint64_t client = doc->clients.at[item->client].id;
  for (uint32_t steps = 0; *other != LK_NONE; steps++) {
    if (*other == item->right) return *accepted ? note_crossing(doc, item) : LK_OK;
    if (steps == most) return LK_ERR_MORE;
    const lk_item *o = &doc->items[*other];
    if (o->depth < item->depth) return LK_OK;
    if (o->depth == item->depth) {
      *accepted = doc->clients.at[o->client].id < client;
      if (!*accepted && same_right(item, o)) return LK_OK;
    }
    if (*accepted) *left = *other;
    *other = o->right;
    if ((steps & 7) == 7) {
      lk_err err = lk_doc_step(doc, 1);
      if (err != LK_OK) return err;
    }
  }
  return LK_OK;
}

/* Whether the right origin stands behind |after| and before |until|, in an indexed list. */
static bool right_comes_first(const lk_doc *doc, const lk_item *item, uint32_t after,
                              uint32_t until) {
  if (item->right == LK_NONE) return false;
  const lk_item *right = &doc->items[item->right];
  if (right->kind == LK_CONTENT_GC || right->parent != item->parent) return false;
  if (((right->flags ^ item->flags) & LK_ITEM_SUB) != 0) return false;
  if ((item->flags & LK_ITEM_SUB) != 0 && right->leaf != item->leaf) return false;
  if (after != LK_NONE && lk_order_compare(doc, after, item->right) >= 0) return false;
  return until == LK_NONE || until == item->right || lk_order_compare(doc, item->right, until) < 0;
}

#define JUMP_STEPS 8

/* The same by the order index: see the essay. */
static lk_err jump_place(lk_doc *doc, lk_item *item) {
  uint64_t client = doc->clients.at[item->client].id;
  uint32_t from = item->left;
  lk_err err = lk_doc_step(doc, JUMP_STEPS);
  if (err != LK_OK) return err;
  uint32_t end = lk_order_next_above(doc, item, from, item->depth);
  bool at_right = right_comes_first(doc, item, from, end);
  if (at_right) end = item->right;
  uint32_t rival = lk_order_last_rival(doc, item, end, item->depth, client);
  if (rival != LK_NONE && doc->items[rival].depth == item->depth) {
    uint32_t next = lk_order_next_above(doc, item, rival, item->depth + 1);
    if (next == LK_NONE || (at_right && lk_order_compare(doc, end, next) < 0)) {
      next = end;
      if (at_right) err = note_crossing(doc, item);
    }
    if (next != LK_NONE) item->left = doc->items[next].left;
    else if ((item->flags & LK_ITEM_SUB) != 0) item->left = doc->entries.at[item->leaf].last;
    else item->left = doc->types.at[item->parent].end;
  }
  return err;
}

/* Moves item->left to where the item belongs among those that others wrote at the same place. */
static lk_err find_place(lk_doc *doc, uint32_t number) {
  lk_item *item = &doc->items[number];
  lk_type *parent = &doc->types.at[item->parent];
  if ((parent->flags & LK_TYPE_CROSSED) != 0) return find_place_crossed(doc, number);
  bool listed = (item->flags & LK_ITEM_SUB) == 0, indexed = lk_order_has(doc, item);
  bool accepted = true;
  uint32_t other = first_conflict(doc, item), left = item->left;
  lk_err err = walk_place(doc, item, &other, &left, &accepted, indexed ? SCAN_FEW : SCAN_WALK);
  if (err != LK_ERR_MORE) {
    item->left = left;
    return err;
  }
  if (!indexed) {
    err = listed ? lk_order_build(doc, item->parent) : lk_order_build_entry(doc, item->leaf);
    if (err != LK_OK) return err;
  }
  return jump_place(doc, item);
}

/* ---- linking ---- */

/* Formatting came or went: what is known to hold behind it does not any more. */
static void forget_held(lk_doc *doc, uint32_t number) {
  const lk_item *item = &doc->items[number];
  if (item->kind != LK_CONTENT_FORMAT || doc->held_type != item->parent + 1) return;
  if (item->left == doc->held_item) return;
  if (doc->types.at[item->parent].order == LK_NONE ||
      lk_order_compare(doc, number, doc->held_item) <= 0)
    doc->held_type = 0;
}

static void link_item(lk_doc *doc, uint32_t number) {
  lk_item *item = &doc->items[number];
  lk_type *parent = &doc->types.at[item->parent];
  lk_entry *entry = (item->flags & LK_ITEM_SUB) != 0 ? &doc->entries.at[item->leaf] : NULL;
  doc->subdocs += item->kind == LK_CONTENT_DOC;
  if (item->left != LK_NONE) {
    item->right = doc->items[item->left].right;
    doc->items[item->left].right = number;
  } else if (entry != NULL) {
    item->right = entry->first;
    entry->first = number;
  } else {
    item->right = parent->start;
    parent->start = number;
  }
  if (item->right != LK_NONE) doc->items[item->right].left = number;
  else if (entry != NULL) entry->last = number;
  else parent->end = number;
  if (entry != NULL) {
    if (entry->order != 0) lk_order_link(doc, item->parent, number);
    return;
  }
  parent->length += lk_item_units(item);
  if (item->right != LK_NONE && item->right == parent->cursor)
    parent->cursor_at += lk_item_units(item);
  else if (item->left == LK_NONE || item->left != parent->cursor) parent->cursor = LK_NONE;
  if (parent->order != LK_NONE) lk_order_link(doc, item->parent, number);
  forget_held(doc, number);
}

/* Whether a new item may be one struct with the last one of its client: what can be told without the list. */
static bool may_be_one(const lk_doc *doc, const lk_client *client, const lk_item *item) {
  if (client->block_count == 0) return false;
  const lk_block *block = &client->blocks[client->block_count - 1];
  const lk_item *last = &doc->items[block->items[block->count - 1u]];
  if (last->kind != item->kind) return false;
  if (item->kind == LK_CONTENT_GC) return true;
  return item->origin_client == item->client && item->origin_clock + 1 == item->clock &&
         same_right(last, item);
}

/* Its place among the client's items, with the memory for linking. */
static lk_err append_item(lk_doc *doc, uint32_t number, uint32_t entry_last) {
  lk_item *item = &doc->items[number];
  lk_client *client = &doc->clients.at[item->client];
  LK_ASSERT(client->clock == item->clock);
  lk_err err = lk_tx_touch(doc, item->client);
  if (err == LK_OK) err = lk_doc_check_units(doc, item->len);
  if (err == LK_OK && may_be_one(doc, client, item))
    err = lk_tx_add_merge(doc, item->client, item->clock, number);
  if (err == LK_OK) err = lk_order_reserve(doc, 1);
  if (err == LK_OK) err = LK_VEC_RESERVE_HERE(doc, doc->journal, 1);
  if (err == LK_OK) err = lk_client_append(doc, item->client, number);
  if (err != LK_OK) return err;
  client->clock += item->len;
  doc->units += item->len;
  return lk_journal(doc, LK_STEP_LINK, number, entry_last, 0);
}

static lk_err integrate_gc(lk_doc *doc, uint32_t number) {
  lk_item *item = &doc->items[number];
  item->kind = LK_CONTENT_GC;
  item->flags = LK_ITEM_DELETED;
  item->left = item->right = item->parent = item->leaf = LK_NONE;
  item->origin_client = item->right_client = LK_NO_CLIENT;
  return append_item(doc, number, LK_NONE);
}

static lk_err subdoc_changed(lk_doc *doc, uint32_t item) {
  return lk_numbers_push(doc, &doc->tx->subdocs, item);
}

/* What the content does to the document when its item is linked. */
static lk_err integrate_content(lk_doc *doc, uint32_t number) {
  lk_item *item = &doc->items[number];
  lk_type *parent = &doc->types.at[item->parent];
  lk_err err;
  switch (item->kind) {
  case LK_CONTENT_DELETED: return lk_tx_add_range(doc, item->client, item->clock, item->len);
  case LK_CONTENT_FORMAT:
    if ((parent->flags & LK_TYPE_CLEANS) != 0) return LK_OK;
    err = lk_journal(doc, LK_STEP_TYPE, item->parent, parent->flags | (uint32_t)parent->kind << 8,
                     0);
    if (err != LK_OK) return err;
    parent->flags |= LK_TYPE_HAS_FORMAT;
    if (parent->kind != LK_NODE_UNKNOWN) parent->flags |= LK_TYPE_CLEANS;
    return LK_OK;
  case LK_CONTENT_TYPE:
    if (parent->depth >= doc->limits.doc_depth) return lk_doc_limit(doc, "doc_depth");
    doc->types.at[item->content].item = number;
    doc->types.at[item->content].depth = parent->depth + 1;
    return LK_OK;
  case LK_CONTENT_DOC:
    if (doc->subdocs > doc->limits.doc_subdocs_count) return lk_doc_limit(doc, "doc_subdocs_count");
    return subdoc_changed(doc, number);
  default: return LK_OK;
  }
}

lk_err lk_item_integrate(lk_doc *doc, uint32_t number) {
  lk_item *item = &doc->items[number];
  if (item->parent == LK_NONE) return integrate_gc(doc, number);
  uint32_t left = item->left, right = item->right;
  lk_err err;
  if (left != LK_NONE) {
    uint64_t depth = (uint64_t)doc->items[left].depth + doc->items[left].len;
    LK_ASSERT(depth < UINT32_MAX); /* doc_units_count is less */
    item->depth = (uint32_t)depth;
    if (!stands_at_origin(item, &doc->items[left]) &&
        (err = mark_crossed(doc, item->parent)) != LK_OK)
      return err;
  } else {
    item->depth = 0;
  }
  if (left == LK_NONE ? right == LK_NONE || doc->items[right].left != LK_NONE
                      : doc->items[left].right != right) {
    if ((err = find_place(doc, number)) != LK_OK) return err;
  }
  if (item->left != LK_NONE && doc->items[item->left].right != LK_NONE) {
    if ((err = lk_item_part(doc, doc->items[item->left].right)) != LK_OK) return err;
  }
  bool sub = (item->flags & LK_ITEM_SUB) != 0;
  uint32_t entry = sub ? item->leaf : LK_NONE;
  if (item->kind == LK_CONTENT_DELETED) item->flags |= LK_ITEM_DELETED;
  if ((err = append_item(doc, number, lk_entry_item(doc, entry))) != LK_OK) return err;
  link_item(doc, number);
  if (sub && item->right == LK_NONE && item->left != LK_NONE) {
    if ((err = lk_item_delete(doc, item->left)) != LK_OK) return err;
  }
  if ((err = integrate_content(doc, number)) != LK_OK) return err;
  if ((err = lk_type_changed(doc, item->parent, entry)) != LK_OK) return err;
  if (lk_type_deleted(doc, item->parent) || (sub && item->right != LK_NONE)) {
    return lk_item_delete(doc, number);
  }
  return LK_OK;
}

/* ---- deleting ---- */

/* |with_struct|: the rest of its struct is deleted as well, so that nothing is cut. */
static lk_err delete_one(lk_doc *doc, uint32_t number, bool with_struct) {
  lk_item *item = &doc->items[number];
  bool sub = (item->flags & LK_ITEM_SUB) != 0;
  /* no step: an item is deleted once, and whoever wrote it paid for that */
  lk_err err = with_struct ? LK_OK : lk_item_part(doc, number);
  if (err == LK_OK && !with_struct && item->right != LK_NONE) err = lk_item_part(doc, item->right);
  if (err == LK_OK) err = lk_tx_add_range(doc, item->client, item->clock, item->len);
  if (err == LK_OK) err = lk_journal(doc, LK_STEP_DELETE, number, 0, 0);
  if (err != LK_OK) return err;
  lk_type *parent = &doc->types.at[item->parent];
  uint32_t units = lk_item_units(item);
  item->flags |= LK_ITEM_DELETED;
  doc->subdocs -= item->kind == LK_CONTENT_DOC;
  doc->tx->collects = true;
  if (!sub) {
    forget_held(doc, number);
    parent->length -= units;
    /* what is not in front of the cursor does not move it */
    if (parent->cursor != number && (item->left == LK_NONE || item->left != parent->cursor))
      parent->cursor = LK_NONE;
    if (parent->order != LK_NONE) {
      lk_order_add(doc, item->leaf, -(int32_t)units, -(int32_t)(item->kind == LK_CONTENT_FORMAT));
    }
  }
  if ((err = lk_type_changed(doc, item->parent, sub ? item->leaf : LK_NONE)) != LK_OK) return err;
  if (item->kind == LK_CONTENT_DOC) return subdoc_changed(doc, number);
  return LK_OK;
}

/* A child of a node that was deleted. What was deleted before is garbage-collected now and may then be
 * merged with its neighbours. */
static lk_err delete_child(lk_doc *doc, uint32_t number) {
  const lk_item *item = &doc->items[number];
  if (!lk_item_deleted(item)) return delete_one(doc, number, true);
  if (item->clock < lk_tx_before(doc, doc->tx, item->client))
    return lk_tx_add_merge(doc, item->client, item->clock, number);
  return LK_OK;
}

/* The child behind |item|, which is none at first: the list, then the last item of each key. */
static uint32_t next_child(const lk_doc *doc, uint32_t type, uint32_t item) {
  const lk_type *parent = &doc->types.at[type];
  bool sub = item != LK_NONE && (doc->items[item].flags & LK_ITEM_SUB) != 0;
  uint32_t entry = parent->entry_first;
  if (!sub) {
    uint32_t next = item == LK_NONE ? parent->start : doc->items[item].right;
    if (next != LK_NONE) return next;
  } else {
    entry = doc->entries.at[doc->items[item].leaf].next;
  }
  while (entry != LK_NONE && doc->entries.at[entry].last == LK_NONE)
    entry = doc->entries.at[entry].next;
  return entry == LK_NONE ? LK_NONE : doc->entries.at[entry].last;
}

/* What an update deletes in nodes is not paid for by its bytes but by those who wrote it, once. So that nobody can have it
 * done again and again by updates that fail in the end, an update that deletes much leaves the rest for the time when
 * nothing can fail any more. Nothing looks at the difference: what is in a node that is to go needs not be gone. */
#define WITHIN_MAX 256

static bool is_for_later(lk_doc *doc) {
  bool applies = doc->steps_max != UINT64_MAX;
  return applies && ++doc->deleted_within > WITHIN_MAX;
}

static lk_err leave_for_later(lk_doc *doc, uint32_t number, uint32_t type, uint32_t at) {
  lk_err err = LK_VEC_RESERVE(doc, doc->later, 1);
  if (err == LK_OK) doc->later.at[doc->later.count++] = (lk_later){ number, type, at };
  return err;
}

/* What is in a node goes with it, and what is in that before its next sibling: undo managers see the order. */
static lk_err delete_within(lk_doc *doc, uint32_t number, uint32_t type, uint32_t at) {
  for (;;) {
    lk_err err;
    while (at == LK_NONE) {
      if ((err = type_unchanged(doc, type)) != LK_OK) return err;
      uint32_t item = doc->types.at[type].item;
      if (item == number) return LK_OK;
      type = doc->items[item].parent;
      at = next_child(doc, type, item);
    }
    if (is_for_later(doc)) return leave_for_later(doc, number, type, at);
    bool within = doc->items[at].kind == LK_CONTENT_TYPE && !lk_item_deleted(&doc->items[at]);
    if ((err = delete_child(doc, at)) != LK_OK) return err;
    if (within) type = doc->items[at].content;
    at = next_child(doc, type, within ? LK_NONE : at);
  }
}

lk_err lk_deletes_finish(lk_doc *doc) {
  lk_err err = LK_OK;
  if (doc->steps_max != UINT64_MAX) return LK_OK; /* not yet */
  for (uint32_t i = 0; err == LK_OK && i < doc->later.count; i++) {
    lk_later later = doc->later.at[i];
    err = delete_within(doc, later.number, later.type, later.at);
  }
  doc->later.count = doc->deleted_within = 0;
  return err;
}

lk_err lk_item_delete(lk_doc *doc, uint32_t number) {
  if (lk_item_deleted(&doc->items[number])) return LK_OK;
  lk_err err = delete_one(doc, number, false);
  if (err != LK_OK || doc->items[number].kind != LK_CONTENT_TYPE) return err;
  uint32_t type = doc->items[number].content;
  return delete_within(doc, number, type, next_child(doc, type, LK_NONE));
}

/* ---- taking back ---- */

static void take_back_link(lk_doc *doc, uint32_t number, bool whole) {
  const lk_item *item = &doc->items[number];
  if (item->kind == LK_CONTENT_DOC && whole) doc->subdocs--;
  if (item->kind == LK_CONTENT_GC || (item->flags & LK_ITEM_SUB) == 0) return;
  if (lk_order_has(doc, item)) lk_order_unlink(doc, number);
}

void lk_items_take_back(lk_doc *doc, uint32_t journal) {
  doc->held_type = 0;
  for (uint32_t i = doc->journal.count; i > journal; i--) {
    const lk_journal_entry *step = &doc->journal.at[i - 1];
    if (step->step == LK_STEP_LINK) take_back_link(doc, step->a, true);
    else if (step->step == LK_STEP_SPLIT) take_back_link(doc, step->b, false);
    else if (step->step == LK_STEP_ENTRY) lk_order_drop_entry(doc, step->a);
    else if (step->step == LK_STEP_DELETE)
      doc->subdocs += doc->items[step->a].kind == LK_CONTENT_DOC;
  }
}

/* ---- local structs ---- */

lk_err lk_insert_item(lk_doc *doc, uint32_t parent, uint32_t entry, uint32_t left, uint32_t right,
                      uint8_t kind, uint32_t content, uint32_t len, uint8_t flags, uint32_t *out) {
  uint16_t client;
  uint32_t number;
  lk_err err = lk_doc_own_client(doc, &client);
  if (err == LK_OK) err = lk_item_new(doc, &number);
  if (err != LK_OK) return err;
  uint32_t clock = doc->clients.at[client].clock;
  if (len > doc->limits.doc_clock - lk_min_u32(clock, doc->limits.doc_clock))
    return lk_doc_limit(doc, "doc_clock");
  lk_item made = {
    .clock = clock,
    .len = len,
    .left = left,
    .right = right,
    .parent = parent,
    .content = content,
    .leaf = entry,
    .client = client,
    .origin_client = LK_NO_CLIENT,
    .right_client = LK_NO_CLIENT,
    .kind = kind,
    .flags = flags,
  };
  if (entry != LK_NONE) made.flags |= LK_ITEM_SUB;
  if (left != LK_NONE) {
    made.origin_client = doc->items[left].client;
    made.origin_clock = lk_item_end(&doc->items[left]) - 1;
  }
  if (right != LK_NONE) {
    made.right_client = doc->items[right].client;
    made.right_clock = doc->items[right].clock;
  }
  doc->items[number] = made;
  if (out != NULL) *out = number;
  return lk_item_integrate(doc, number);
}

/* ---- positions ---- */

#define CURSOR_WALK 10

static uint32_t walk_right(const lk_doc *doc, uint32_t item, uint32_t at, uint32_t index,
                           uint32_t steps, uint32_t *before) {
  for (; item != LK_NONE && steps > 0; steps--, item = doc->items[item].right) {
    uint32_t units = lk_item_units(&doc->items[item]);
    if (index - at < units) {
      *before = at;
      return item;
    }
    at += units;
  }
  return LK_NONE;
}

static uint32_t walk_left(const lk_doc *doc, uint32_t item, uint32_t at, uint32_t index,
                          uint32_t steps, uint32_t *before) {
  for (; steps > 0; steps--) {
    item = doc->items[item].left;
    if (item == LK_NONE) return LK_NONE;
    at -= lk_item_units(&doc->items[item]);
    if (at <= index && lk_item_units(&doc->items[item]) > 0) {
      *before = at;
      return item;
    }
  }
  return LK_NONE;
}

uint32_t lk_list_find(lk_doc *doc, uint32_t number, uint32_t index, uint32_t *before) {
  lk_type *type = &doc->types.at[number];
  lk_typing_end(doc);
  if (index >= type->length) return LK_NONE;
  uint32_t found = LK_NONE;
  if (type->cursor != LK_NONE) {
    found = index >= type->cursor_at
                ? walk_right(doc, type->cursor, type->cursor_at, index, CURSOR_WALK, before)
                : walk_left(doc, type->cursor, type->cursor_at, index, CURSOR_WALK, before);
  }
  if (found == LK_NONE && type->order == LK_NONE) {
    found = walk_right(doc, type->start, 0, index, LK_ORDER_MIN, before);
    /* without memory for an index the list is walked */
    if (found == LK_NONE && lk_order_build(doc, number) != LK_OK) {
      found = walk_right(doc, type->start, 0, index, UINT32_MAX, before);
    }
  }
  if (found == LK_NONE) found = lk_order_find(doc, number, index, before);
  type->cursor = found;
  type->cursor_at = *before;
  return found;
}

lk_err lk_list_seek(lk_doc *doc, uint32_t number, uint32_t index, uint32_t *left, uint32_t *right) {
  lk_type *type = &doc->types.at[number];
  if (index > type->length) return LK_ERR_RANGE;
  if (index == 0) {
    *left = LK_NONE;
    *right = type->start;
    return LK_OK;
  }
  uint32_t before = 0, half;
  uint32_t item = lk_list_find(doc, number, index - 1, &before);
  LK_ASSERT(item != LK_NONE);
  uint32_t offset = index - before;
  if (offset < doc->items[item].len) {
    lk_err err = lk_item_split(doc, item, offset, &half);
    if (err != LK_OK) return err;
  }
  /* a JOINED follower is parted when something comes between */
  *left = item;
  *right = doc->items[item].right;
  return LK_OK;
}

uint32_t lk_list_index(lk_doc *doc, uint32_t item) {
  uint32_t parent = doc->items[item].parent;
  lk_typing_end(doc);
  if (doc->types.at[parent].order != LK_NONE) return lk_order_index(doc, item);
  uint32_t units = 0, steps = 0;
  for (uint32_t at = doc->items[item].left; at != LK_NONE; at = doc->items[at].left) {
    units += lk_item_units(&doc->items[at]);
    if (++steps == LK_ORDER_MIN && lk_order_build(doc, parent) == LK_OK)
      return lk_order_index(doc, item);
  }
  return units;
}
