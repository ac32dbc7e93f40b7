/* doc/cleanup.c -- what is left of a transaction when everybody was told: less.
 *
 * Collecting drops the content of what was deleted; what was within a deleted node loses even its place
 * and becomes GC. Then structs that continue each other become one. Which pairs are tried is Yjs's
 * choice (around what was deleted, new, or split), and it shows: a pair that could be one and was
 * not tried is written as two structs.
 *
 * Two structs whose contents do not lie side by side become one by a flag, JOINED, on the second. For
 * short texts this would cost an item for each keystroke when several people type in turns. So what
 * a client typed last is moved to the end of the text, with as much room behind it as it is long; what
 * the client types next goes there. Moving is paid for by the doubling.
 *
 * Nothing here can fail. What would like memory and gets none is left for another time. */
#include "doc/engine.h"

/* Items of one struct that are walked over to its end. Longer ones are not tried at that end: nothing is lost by it
 * but that somebody writes two structs where Yjs writes one. */
#define JOINED_MAX 512
#define GROWS_MAX 2048 /* bytes of text that are moved to be continued */

/* ---- collecting ---- */

static uint32_t text_bytes(const lk_item *item) {
  return (item->flags & LK_ITEM_WIDE) != 0 ? item->len * 2 : item->len;
}

/* The bytes of the content are waste from now on. */
void lk_item_waste(lk_doc *doc, const lk_item *item) {
  switch (item->kind) {
  case LK_CONTENT_STRING: doc->text_waste += text_bytes(item); break;
  case LK_CONTENT_JSON:
  case LK_CONTENT_BINARY:
  case LK_CONTENT_EMBED:
  case LK_CONTENT_FORMAT:
  case LK_CONTENT_ANY:
  case LK_CONTENT_DOC:
    doc->values_waste += (uint32_t)(sizeof(lk_value_head) +
                                    lk_value_head_at(doc, item->content)->size);
    break;
  default: break;
  }
}

static void absorb(lk_doc *doc, uint32_t left, uint32_t right, lk_place place);

/* A struct of several items is one again as soon as both sides of a joint are collected. */
static void rejoin(lk_doc *doc, uint32_t number, bool joined) {
  uint16_t client = doc->items[number].client;
  lk_place place = lk_client_place(doc, client, doc->items[number].clock), other = place;
  if (lk_place_next(doc, client, &other)) {
    uint32_t next = lk_place_item(doc, client, other);
    const lk_item *behind = &doc->items[next];
    if (behind->kind == LK_CONTENT_GC && (behind->flags & LK_ITEM_JOINED) != 0)
      absorb(doc, number, next, other);
  }
  other = place;
  if (!joined || !lk_place_prev(doc, client, &other)) return;
  uint32_t left = lk_place_item(doc, client, other);
  if (doc->items[left].kind == LK_CONTENT_GC) absorb(doc, left, number, place);
  else doc->items[number].flags |= LK_ITEM_JOINED;
}

/* What was in a collected node has no place any more. Nested nodes are chained by |order|, which such a node
 * does not need. */
static void collect_child(lk_doc *doc, uint32_t number, uint32_t *nodes) {
  lk_item *item = &doc->items[number];
  bool joined = (item->flags & LK_ITEM_JOINED) != 0;
  if (item->kind == LK_CONTENT_TYPE) {
    lk_order_drop(doc, item->content);
    doc->types.at[item->content].order = *nodes;
    *nodes = item->content;
  }
  lk_item_waste(doc, item);
  if ((item->flags & LK_ITEM_REDONE) != 0) lk_item_drop_redone(doc, number);
  item->kind = LK_CONTENT_GC;
  item->flags = LK_ITEM_DELETED;
  item->left = item->right = item->parent = item->leaf = LK_NONE;
  item->origin_client = item->right_client = LK_NO_CLIENT;
  rejoin(doc, number, joined);
}

static void collect_node(lk_doc *doc, uint32_t number) {
  uint32_t nodes = number;
  lk_order_drop(doc, number);
  while (nodes != LK_NONE) {
    lk_type *type = &doc->types.at[nodes];
    if (doc->held_type == nodes + 1) doc->held_type = 0;
    uint32_t entry = type->entry_first, item = type->start, next;
    nodes = type->order;
    type->order = type->start = type->end = type->cursor = LK_NONE;
    type->entry_first = type->entry_last = LK_NONE;
    type->flags |= LK_TYPE_FREED;
    type->item = LK_NONE;
    type->check++;
    for (; item != LK_NONE; item = next) {
      next = doc->items[item].right;
      collect_child(doc, item, &nodes);
    }
    for (; entry != LK_NONE; entry = doc->entries.at[entry].next) {
      lk_entry *at = &doc->entries.at[entry];
      lk_order_drop_entry(doc, entry);
      for (item = at->last; item != LK_NONE; item = next) {
        next = doc->items[item].left;
        collect_child(doc, item, &nodes);
      }
      at->first = at->last = LK_NONE;
    }
  }
}

static void collect_item(lk_doc *doc, uint32_t number) {
  lk_item *item = &doc->items[number];
  uint32_t node = item->kind == LK_CONTENT_TYPE ? item->content : LK_NONE;
  lk_item_waste(doc, item);
  item->kind = LK_CONTENT_DELETED;
  item->flags &= (uint8_t) ~(LK_ITEM_WIDE | LK_ITEM_JOINED);
  if (node != LK_NONE) collect_node(doc, node);
}

/* A struct goes as a whole, also what of it another transaction deleted meanwhile: it is kept as a whole, too. */
void lk_tx_collect(lk_doc *doc, lk_tx *tx) {
  for (uint32_t i = 0; i < tx->ranges.count; i++) {
    const lk_range *range = &tx->ranges.at[i];
    uint16_t client = (uint16_t)range->client;
    lk_place place = lk_struct_place(doc, client, range->clock);
    do {
      uint32_t number = lk_place_item(doc, client, place);
      const lk_item *item = &doc->items[number];
      if (item->clock >= range->clock + range->len && (item->flags & LK_ITEM_JOINED) == 0) break;
      if (item->kind == LK_CONTENT_GC || item->kind == LK_CONTENT_DELETED) continue;
      if (lk_item_deleted(item) && (item->flags & LK_ITEM_KEEP) == 0) collect_item(doc, number);
    } while (lk_place_next(doc, client, &place));
  }
}

/* ---- merging ---- */

/* Takes |right| out, which |left| contains from now on. */
static void absorb(lk_doc *doc, uint32_t left, uint32_t right, lk_place place) {
  lk_item *l = &doc->items[left], *r = &doc->items[right];
  if (l->kind != LK_CONTENT_GC) {
    l->right = r->right;
    if (r->right != LK_NONE) doc->items[r->right].left = left;
    if ((r->flags & LK_ITEM_SUB) != 0) {
      if (doc->entries.at[r->leaf].last == right) doc->entries.at[r->leaf].last = left;
      if (lk_order_has(doc, r)) lk_order_unlink(doc, right);
    } else {
      lk_type *parent = &doc->types.at[r->parent];
      if (parent->end == right) parent->end = left;
      if (parent->cursor == right) {
        parent->cursor = left;
        parent->cursor_at -= lk_item_units(l);
      }
      if (parent->order != LK_NONE) {
        lk_order_unlink(doc, right);
        lk_order_add(doc, l->leaf, (int32_t)lk_item_units(r), 0);
      }
    }
  }
  l->len += r->len;
  if (doc->held_item == right) doc->held_item = left;
  lk_client_remove(doc, r->client, place);
  lk_item_free(doc, right);
}

void lk_item_absorb(lk_doc *doc, uint32_t left, uint32_t right) {
  absorb(doc, left, right, lk_item_place(doc, right));
}

void lk_items_absorb(lk_doc *doc, uint32_t left, uint32_t count) {
  lk_item *l = &doc->items[left];
  lk_type *parent = &doc->types.at[l->parent];
  uint32_t first = l->right;
  lk_client_remove_run(doc, l->client, lk_item_place(doc, first), count);
  for (; count > 0; count--) {
    uint32_t number = l->right;
    const lk_item *item = &doc->items[number];
    l->right = item->right;
    l->len += item->len;
    if (parent->cursor == number) parent->cursor = left;
    if (doc->held_item == number) doc->held_item = left;
    lk_item_free(doc, number);
  }
  if (l->right != LK_NONE) doc->items[l->right].left = left;
  else parent->end = left;
}

static void put_units(const lk_doc *doc, const lk_item *item, uint8_t *to, bool wide) {
  if (((item->flags & LK_ITEM_WIDE) != 0) == wide) {
    memcpy(to, doc->text + item->content, text_bytes(item));
    return;
  }
  for (uint32_t i = 0; i < item->len; i++) {
    uint16_t unit = lk_item_unit(doc, item, i);
    memcpy(to + (size_t)i * 2, &unit, 2);
  }
}

/* Whether |right|'s text was put behind |left|'s, which becomes wide where either of them is. */
static bool join_text(lk_doc *doc, lk_item *left, const lk_item *right) {
  bool wide = ((left->flags | right->flags) & LK_ITEM_WIDE) != 0;
  bool alike = ((left->flags ^ right->flags) & LK_ITEM_WIDE) == 0;
  uint32_t width = wide ? 2 : 1, left_end = left->content + text_bytes(left),
           right_len = right->len * width;
  if (alike && left_end == right->content) return true;
  if (right->content + text_bytes(right) != doc->text_len) return false;
  lk_client *client = &doc->clients.at[left->client];
  bool grows = client->text_end != 0 && client->text_used == left_end &&
               ((left->flags & LK_ITEM_WIDE) != 0) == wide &&
               client->text_end - left_end >= right_len;
  if (grows) {
    put_units(doc, right, doc->text + left_end, wide);
    doc->text_len -= text_bytes(right);
    client->text_used = left_end + right_len;
    return true;
  }
  uint32_t left_len = left->len * width, together = left_len + right_len;
  if (together > GROWS_MAX || lk_text_reserve(doc, together * 2 + 32) != LK_OK) return false;
  /* the right text stands at the end: both go behind it, the left one first, and room after them */
  uint32_t to = (doc->text_len + 1) & ~1u;
  put_units(doc, left, doc->text + to, wide);
  put_units(doc, right, doc->text + to + left_len, wide);
  doc->text_waste += text_bytes(left) + text_bytes(right);
  left->content = to;
  if (wide) left->flags |= LK_ITEM_WIDE;
  client->text_used = to + together;
  client->text_end = to + together + ((together + 15) & ~1u);
  doc->text_len = client->text_end;
  return true;
}

static bool join_values(lk_doc *doc, const lk_item *left, const lk_item *right) {
  if (left->kind != LK_CONTENT_ANY || left->len + right->len > LK_VALUES_MAX) return false;
  lk_value_head *head = (lk_value_head *)(void *)(doc->values + left->content);
  uint32_t size = lk_value_head_at(doc, right->content)->size;
  uint32_t end = left->content + (uint32_t)sizeof *head + head->size;
  uint32_t right_end = right->content + (uint32_t)((sizeof *head + size + 3) & ~(size_t)3);
  if (((end + 3) & ~3u) != right->content || right_end != doc->values_len) return false;
  memmove(doc->values + end, doc->values + right->content + sizeof *head, size);
  head->size += size;
  doc->values_len = (end + size + 3) & ~3u;
  return true;
}

static bool can_merge(const lk_doc *doc, const lk_item *left, const lk_item *right,
                      uint32_t right_number) {
  if (left->kind != right->kind) return false;
  switch (left->kind) {
  case LK_CONTENT_GC: return true;
  case LK_CONTENT_DELETED:
  case LK_CONTENT_STRING:
  case LK_CONTENT_ANY:
  case LK_CONTENT_JSON: break;
  default: return false;
  }
  if (right->origin_client != left->client || right->origin_clock != right->clock - 1) return false;
  if (left->right != right_number || left->right_client != right->right_client) return false;
  if (left->right_client != LK_NO_CLIENT && left->right_clock != right->right_clock) return false;
  (void)doc;
  return ((left->flags ^ right->flags) & LK_ITEM_DELETED) == 0 &&
         ((left->flags | right->flags) & LK_ITEM_REDONE) == 0;
}

/* Of two structs that become one, one is kept: all items of both are. */
static void keep_both(lk_doc *doc, uint16_t client, lk_place left, lk_place right) {
  do doc->items[lk_place_item(doc, client, left)].flags |= LK_ITEM_KEEP;
  while ((doc->items[lk_place_item(doc, client, left)].flags & LK_ITEM_JOINED) != 0 &&
         lk_place_prev(doc, client, &left));
  do doc->items[lk_place_item(doc, client, right)].flags |= LK_ITEM_KEEP;
  while (lk_place_next(doc, client, &right) &&
         (doc->items[lk_place_item(doc, client, right)].flags & LK_ITEM_JOINED) != 0);
}

/* Makes the item at |place| one with the one before it, if they are one struct; |place| is where the boundary was
 * looked at last: that item's, or the left one's where it was absorbed. */
static bool merge_left(lk_doc *doc, uint16_t client, lk_place *place) {
  lk_place before = *place;
  if (!lk_place_prev(doc, client, &before)) return false;
  uint32_t right = lk_place_item(doc, client, *place), left = lk_place_item(doc, client, before);
  lk_item *l = &doc->items[left], *r = &doc->items[right];
  if (!can_merge(doc, l, r, right)) return false;
  if (((l->flags ^ r->flags) & LK_ITEM_KEEP) != 0) keep_both(doc, client, before, *place);
  bool one = l->kind == LK_CONTENT_GC || l->kind == LK_CONTENT_DELETED;
  if (l->kind == LK_CONTENT_STRING) one = join_text(doc, l, r);
  else if (!one) one = join_values(doc, l, r);
  if (one) {
    bool last = lk_place_item(doc, client, *place) == right;
    LK_DEBUG_ASSERT(last);
    (void)last;
    absorb(doc, left, right, *place);
    /* removal of a block's only item moves nothing before it */
    *place = before;
    return true;
  }
  r->flags |= LK_ITEM_JOINED;
  *place = before;
  return true;
}

/* From |place| to the left: tries each struct that ends above |from| with its left neighbour, and goes on beyond
 * as long as that succeeds. |ends| says whether a struct counts by its end or by its beginning: by its end where |from| is
 * where the client was before.
 *
 * What is new and became part of a struct that had several items already is at an end: that struct and the one before it were
 * tried when it got the second of them, and two that could not become one then never can. */
static void merge_down(lk_doc *doc, uint16_t client, lk_place place, uint32_t from, bool ends) {
  bool goes_on = false; /* the last try succeeded */
  uint32_t joined = 0, end = 0;
  for (;;) {
    const lk_item *item = &doc->items[lk_place_item(doc, client, place)];
    if (end == 0) end = lk_item_end(item);
    if ((item->flags & LK_ITEM_JOINED) != 0) {
      bool is_tried = ends && item->clock < from;
      if (is_tried || ++joined > JOINED_MAX || !lk_place_prev(doc, client, &place)) return;
      continue;
    }
    if (!goes_on && (ends ? end <= from : item->clock < from)) return;
    if (merge_left(doc, client, &place)) {
      goes_on = true;
      continue;
    }
    goes_on = false;
    end = 0;
    joined = 0;
    if (!lk_place_prev(doc, client, &place)) return;
  }
}

/* How many structs become one with that at |place|, whose first item that is. */
static uint32_t merge_lefts(lk_doc *doc, uint16_t client, lk_place place) {
  uint32_t merged = 0, joined = 0;
  for (;;) {
    const lk_item *item = &doc->items[lk_place_item(doc, client, place)];
    if ((item->flags & LK_ITEM_JOINED) != 0) {
      if (joined++ > JOINED_MAX || !lk_place_prev(doc, client, &place)) return merged;
      continue;
    }
    if (!merge_left(doc, client, &place)) return merged;
    merged++;
  }
}

/* The first item of the struct behind the one that holds |place|; false where there is none. */
static bool next_struct(const lk_doc *doc, uint16_t client, lk_place *place) {
  uint32_t joined = 0;
  do {
    if (joined++ > JOINED_MAX || !lk_place_next(doc, client, place)) return false;
  } while ((doc->items[lk_place_item(doc, client, *place)].flags & LK_ITEM_JOINED) != 0);
  return true;
}

/* Tries to merge the struct that holds |clock| with its neighbours. */
static void merge_at(lk_doc *doc, uint16_t client, uint32_t clock) {
  lk_place place = lk_client_place(doc, client, clock), next = place;
  if (next_struct(doc, client, &next) && merge_lefts(doc, client, next) > 1) return;
  place = lk_client_place(doc, client, clock);
  (void)merge_lefts(doc, client, place);
}

/* Whether all around |clock| is new, so that it is tried as such anyway. In which order pairs are tried makes no
 * difference. */
static bool is_new(const lk_doc *doc, const lk_tx *tx, uint32_t client, uint32_t clock) {
  return doc->clients.at[client].touched == tx->number && clock >= doc->clients.at[client].before;
}

/* The struct that began at that clock with the one before it, if they are two still. */
static void merge_border(lk_doc *doc, const lk_merge_try *at) {
  const lk_item *noted = &doc->items[at->item];
  if (noted->client == at->client && noted->clock == at->clock && noted->left != LK_NONE &&
      noted->kind != LK_CONTENT_FREE) {
    /* where something came in between there is nothing to search for */
    const lk_item *left = &doc->items[noted->left];
    if (left->client != at->client || lk_item_end(left) != at->clock) return;
  }
  lk_place place = lk_client_place(doc, (uint16_t)at->client, at->clock);
  const lk_item *item = &doc->items[lk_place_item(doc, (uint16_t)at->client, place)];
  if (item->clock != at->clock || (item->flags & LK_ITEM_JOINED) != 0) return;
  (void)merge_left(doc, (uint16_t)at->client, &place);
}

/* Where all of a client is new and nothing was deleted, what may be one stands in |merges|: for a document that is
 * loaded that is next to nothing. */
static bool came_whole(const lk_tx *tx, uint32_t before) { return before == 0 && !tx->collects; }

void lk_tx_merge(lk_doc *doc, lk_tx *tx) {
  for (uint32_t i = tx->ranges.count; i > 0; i--) {
    const lk_range *range = &tx->ranges.at[i - 1];
    uint16_t client = (uint16_t)range->client;
    if (is_new(doc, tx, client, range->clock)) continue;
    lk_place place = lk_client_place(doc, client, range->clock + range->len - 1);
    (void)next_struct(doc, client, &place);
    merge_down(doc, client, place, range->clock, false);
  }
  for (uint32_t i = 0; i < tx->touched.count; i++) {
    uint16_t number = (uint16_t)tx->touched.at[i].client;
    const lk_client *client = &doc->clients.at[number];
    if (client->clock == tx->touched.at[i].before) continue;
    if (came_whole(tx, tx->touched.at[i].before)) continue;
    lk_place last = { client->block_count - 1, client->blocks[client->block_count - 1].count - 1u };
    merge_down(doc, number, last, tx->touched.at[i].before, true);
  }
  for (uint32_t i = tx->merges.count; i > 0; i--) {
    const lk_merge_try *at = &tx->merges.at[i - 1];
    if (!is_new(doc, tx, at->client, at->clock)) merge_at(doc, (uint16_t)at->client, at->clock);
    else if (came_whole(tx, doc->clients.at[at->client].before)) merge_border(doc, at);
  }
}

/* ---- tidying ---- */

/* How long the text is without waste; where |to| is given, the items are moved there. */
static uint32_t pack_text(lk_doc *doc, uint8_t *to) {
  uint32_t len = 0;
  for (uint32_t i = 0; i < doc->item_count; i++) {
    lk_item *item = &doc->items[i];
    if (item->kind != LK_CONTENT_STRING) continue;
    if ((item->flags & LK_ITEM_WIDE) != 0) len += len & 1;
    if (to != NULL) {
      memcpy(to + len, doc->text + item->content, text_bytes(item));
      item->content = len;
    }
    len += text_bytes(item);
  }
  return len;
}

/* The cost is paid by what became waste since the last time. */
static void tidy_text(lk_doc *doc) {
  uint32_t len = pack_text(doc, NULL), cap = len + len / 8 + 64;
  uint8_t *text = lk_alloc_bytes(&doc->alloc, cap);
  if (text == NULL) return;
  (void)pack_text(doc, text);
  lk_free_bytes(&doc->alloc, doc->text, doc->text_cap);
  doc->text = text;
  doc->text_len = len;
  doc->text_cap = cap;
  doc->text_waste = 0;
  for (uint32_t i = 0; i < doc->clients.count; i++)
    doc->clients.at[i].text_used = doc->clients.at[i].text_end = 0;
}

static bool has_value(const lk_item *item) {
  return item->kind == LK_CONTENT_JSON || item->kind == LK_CONTENT_BINARY ||
         item->kind == LK_CONTENT_EMBED || item->kind == LK_CONTENT_FORMAT ||
         item->kind == LK_CONTENT_ANY || item->kind == LK_CONTENT_DOC;
}

#define MOVED UINT32_MAX /* size of a value that was moved; |name| is where to */

/* Several items may share a value, and go on doing so. */
static uint32_t pack_values(lk_doc *doc, uint8_t *to) {
  uint32_t len = 0;
  for (uint32_t i = 0; i < doc->item_count; i++) {
    lk_item *item = &doc->items[i];
    if (!has_value(item)) continue;
    lk_value_head *head = (lk_value_head *)(void *)(doc->values + item->content);
    if (head->size != MOVED) {
      uint32_t size = (uint32_t)sizeof *head + head->size;
      memcpy(to + len, head, size);
      *head = (lk_value_head){ MOVED, len };
      len += (size + 3) & ~3u;
    }
    item->content = head->name;
  }
  return len;
}

static void tidy_values(lk_doc *doc) {
  uint8_t *values = lk_alloc_bytes(&doc->alloc, doc->values_cap);
  if (values == NULL) return;
  doc->values_len = pack_values(doc, values);
  lk_free_bytes(&doc->alloc, doc->values, doc->values_cap);
  doc->values = values;
  doc->values_waste = 0;
  doc->held_type = 0;
  uint32_t cap = doc->values_len + (doc->values_len / 8 & ~3u) + 64;
  uint8_t *shrunk = lk_resize_array(&doc->alloc, values, doc->values_cap, cap, 1);
  if (shrunk == NULL) return;
  doc->values = shrunk;
  doc->values_cap = cap;
}

void lk_doc_tidy(lk_doc *doc) {
  if (doc->text_waste > 65536 && doc->text_waste > doc->text_len / 2 &&
      doc->text_waste / 8 > doc->item_count) {
    tidy_text(doc);
  }
  if (doc->values_waste > 65536 && doc->values_waste > doc->values_len / 2 &&
      doc->values_waste / 8 > doc->item_count) {
    tidy_values(doc);
  }
}

/* ---- uniting ---- */

/* The item behind the one at |*place|, where both are one struct; LK_NONE where not. */
static uint32_t next_joined(const lk_doc *doc, uint16_t client, lk_place *place) {
  if (!lk_place_next(doc, client, place)) return LK_NONE;
  uint32_t number = lk_place_item(doc, client, *place);
  return (doc->items[number].flags & LK_ITEM_JOINED) != 0 ? number : LK_NONE;
}

static lk_err unite_values(lk_doc *doc, uint16_t client, lk_place place, uint32_t number) {
  lk_buf all;
  uint32_t at = 0;
  lk_buf_init(&all, &doc->alloc, doc->limits.doc_values_bytes);
  for (uint32_t i = number; i != LK_NONE; i = next_joined(doc, client, &place))
    lk_buf_append(&all, lk_value_bytes(doc, doc->items[i].content));
  lk_err err = lk_buf_err(&all);
  if (err == LK_OK) err = lk_value_add(doc, lk_buf_slice(&all), LK_NONE, &at);
  lk_buf_deinit(&all);
  if (err == LK_OK) doc->items[number].content = at;
  return err;
}

static lk_err unite_text(lk_doc *doc, uint16_t client, lk_place place, uint32_t number) {
  uint32_t units = 0, flags = 0;
  lk_place first = place;
  for (uint32_t i = number; i != LK_NONE; i = next_joined(doc, client, &place)) {
    units += doc->items[i].len;
    flags |= doc->items[i].flags & LK_ITEM_WIDE;
  }
  lk_err err = lk_text_reserve(doc, units * 2 + 2);
  if (err != LK_OK) return err;
  uint32_t start = (doc->text_len + 1) & ~1u, to = start;
  place = first;
  for (uint32_t i = number; i != LK_NONE; i = next_joined(doc, client, &place)) {
    const lk_item *item = &doc->items[i];
    put_units(doc, item, doc->text + to, flags != 0);
    to += item->len * (flags != 0 ? 2u : 1u);
    doc->text_waste += text_bytes(item);
  }
  doc->text_len = to;
  doc->items[number].content = start;
  doc->items[number].flags |= (uint8_t)flags;
  return LK_OK;
}

/* Outside of what a rollback takes back: what a struct says is the same before and after. The content of all is put
 * together at once: there may be thousands. */
lk_err lk_item_unite(lk_doc *doc, uint32_t *number) {
  uint16_t client = doc->items[*number].client;
  lk_place place = lk_struct_place(doc, client, doc->items[*number].clock);
  *number = lk_place_item(doc, client, place);
  lk_place next = place;
  if (next_joined(doc, client, &next) == LK_NONE) return LK_OK;
  bool text = doc->items[*number].kind == LK_CONTENT_STRING;
  lk_err err = (text ? unite_text : unite_values)(doc, client, place, *number);
  if (err != LK_OK) return err;
  for (uint32_t right; next = place, (right = next_joined(doc, client, &next)) != LK_NONE;)
    absorb(doc, *number, right, next);
  return LK_OK;
}
