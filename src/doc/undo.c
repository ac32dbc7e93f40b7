/* doc/undo.c -- undo managers.
 *
 * When a transaction of one of its origins is over that changed something in its scope, the manager puts on its
 * stack which clocks that inserted and which it deleted. To take an entry back is a transaction again: what was
 * inserted and is still there is deleted, what was deleted is made again (undo_redo.c) as new items
 * that remember for what they stand. The manager sees that transaction like any other, and puts it on the other
 * stack. So to redo is to undo on that stack.
 *
 *   undo   [ins 0-4] [ins 5, del 2-3] | <- transactions       redo   | <- what undoing did
 *
 * An entry that has no effect any more is dropped, and the next one taken.
 *
 * Transactions that come soon after each other are one entry, which only grows: ranges are appended as they come,
 * and put in order when somebody needs them so.
 *
 * What was deleted must survive the garbage collection that ends the transaction: the items, and the nodes that
 * they are in, get a flag. Nobody takes it away but lk_undo_clear().
 *
 * The order of clients in a set of ranges is Yjs' too, although it is that of a hash table in which they were
 * entered: items are made again in that order, and the update shows it.
 *
 * A transaction that changed nothing is none, other than in Yjs, where it counts for a manager of a whole document.
 *
 * Remembering happens where nothing may fail: without memory a transaction is not remembered. */
#include "doc/undo.h"

#include "doc/events.h"

/* ---- ranges ---- */

static uint32_t inserted_end(const lk_undo_stack *self, uint32_t entry) {
  return entry + 1 < self->entries.count ? self->entries.at[entry + 1].inserted
                                         : self->inserted.count;
}
static uint32_t deleted_end(const lk_undo_stack *self, uint32_t entry) {
  return entry + 1 < self->entries.count ? self->entries.at[entry + 1].deleted
                                         : self->deleted.count;
}

lk_undo_ranges lk_undo_inserted(const lk_undo_stack *self, uint32_t entry) {
  uint32_t from = self->entries.at[entry].inserted, count = inserted_end(self, entry) - from;
  return (lk_undo_ranges){ count == 0 ? NULL : self->inserted.at + from, count };
}

lk_undo_ranges lk_undo_deleted(const lk_undo_stack *self, uint32_t entry) {
  uint32_t from = self->entries.at[entry].deleted, count = deleted_end(self, entry) - from;
  return (lk_undo_ranges){ count == 0 ? NULL : self->deleted.at + from, count };
}

/* The end of the group of one client's ranges that begins at |from|: by doubling steps, then halving. */
static uint32_t group_end(lk_undo_ranges self, uint32_t from) {
  uint32_t client = self.at[from].client, step = 1;
  while (step < self.count - from && self.at[from + step].client == client) step *= 2;
  uint32_t low = from + step / 2, high = lk_min_u32(self.count, from + step);
  while (low + 1 < high) {
    uint32_t middle = low + (high - low) / 2;
    if (self.at[middle].client == client) low = middle;
    else high = middle;
  }
  return low + 1;
}

bool lk_undo_ranges_have(lk_undo_ranges self, uint32_t client, uint32_t clock) {
  for (uint32_t from = 0, end; from < self.count; from = end) {
    end = group_end(self, from);
    if (self.at[from].client == client)
      return lk_ranges_have(self.at + from, end - from, client, clock);
  }
  return false;
}

/* Numbers the clients as they come, so that sorting by number keeps their order. Without memory they are
 * sorted by their numbers in the document. */
static void sort_by_appearance(lk_doc *doc, lk_range *ranges, uint32_t *count) {
  LK_VEC(uint32_t) ranks = { 0 };
  uint32_t rank = 0;
  lk_err err = LK_VEC_RESERVE(doc, ranks, *count);
  for (uint32_t i = 0; err == LK_OK && i < *count; i++) {
    if (rank >= ranks.count || ranks.at[rank] != ranges[i].client) {
      for (rank = 0; rank < ranks.count && ranks.at[rank] != ranges[i].client;) rank++;
      if (rank == ranks.count) ranks.at[ranks.count++] = ranges[i].client;
    }
    ranges[i].client = rank;
  }
  lk_ranges_sort(ranges, count, true);
  for (uint32_t i = 0; err == LK_OK && i < *count; i++)
    ranges[i].client = ranks.at[ranges[i].client];
  LK_VEC_FREE(doc, ranks);
}

static void sort_tail(lk_doc *doc, lk_range *ranges, uint32_t from, uint32_t *count) {
  uint32_t tail = *count - from;
  bool mixed = false;
  if (tail < 2) return;
  for (uint32_t i = from + 1; i < *count; i++) mixed |= ranges[i].client != ranges[from].client;
  if (mixed) sort_by_appearance(doc, ranges + from, &tail);
  else lk_ranges_sort(ranges + from, &tail, true);
  *count = from + tail;
}

static void stack_sort(lk_doc *doc, lk_undo_stack *self) {
  if (!self->unsorted) return;
  const lk_undo_entry *last = &self->entries.at[self->entries.count - 1];
  sort_tail(doc, self->inserted.at, last->inserted, &self->inserted.count);
  sort_tail(doc, self->deleted.at, last->deleted, &self->deleted.count);
  self->unsorted = false;
}

static void stack_cut(lk_undo_stack *self, uint32_t count) {
  if (count >= self->entries.count) return;
  self->inserted.count = self->entries.at[count].inserted;
  self->deleted.count = self->entries.at[count].deleted;
  self->entries.count = count;
  self->unsorted = false;
}

static void stack_deinit(lk_doc *doc, lk_undo_stack *self) {
  LK_VEC_FREE(doc, self->entries);
  LK_VEC_FREE(doc, self->inserted);
  LK_VEC_FREE(doc, self->deleted);
}

/* ---- scope ---- */

static bool has_type(const lk_undo *self, uint32_t type) {
  for (uint32_t i = 0; i < self->scope.count; i++) {
    if (self->scope.at[i] == type) return true;
  }
  return false;
}

static bool type_in_scope(const lk_undo *self, uint32_t type) {
  const lk_doc *doc = self->doc;
  while (!self->whole && !has_type(self, type)) {
    uint32_t item = doc->types.at[type].item;
    if (item == LK_NONE || doc->items[item].parent == LK_NONE) return false;
    type = doc->items[item].parent;
  }
  return true;
}

bool lk_undo_in_scope(const lk_undo *self, uint32_t item) {
  return type_in_scope(self, self->doc->items[item].parent);
}

/* Neighbours by clock mostly have one parent. */
typedef struct scope_cache {
  uint32_t parent;
  bool in;
} scope_cache;

static bool is_in_scope(const lk_undo *self, const lk_item *item, scope_cache *cache) {
  if (item->parent != cache->parent)
    *cache = (scope_cache){ item->parent, type_in_scope(self, item->parent) };
  return cache->in;
}

static bool has_origin(const lk_undo *self, uint64_t origin) {
  for (uint32_t i = 0; i < self->origins.count; i++) {
    if (self->origins.at[i] == origin) return true;
  }
  return origin == self->origin;
}

static bool changed_scope(const lk_undo *self, const lk_tx *tx) {
  const lk_doc *doc = self->doc;
  if (self->whole) return true;
  for (uint32_t i = 0; i < tx->changed.count; i++) {
    uint32_t type = tx->changed.at[i].type;
    if (i > 0 && type == tx->changed.at[i - 1].type) continue;
    if ((doc->types.at[type].flags & LK_TYPE_FREED) != 0 || lk_type_deleted(doc, type)) continue;
    if (type_in_scope(self, type)) return true;
  }
  return false;
}

static bool changed_something(const lk_tx *tx) {
  if (tx->ranges.count > 0) return true;
  for (uint32_t i = 0; i < tx->touched.count; i++) {
    if (tx->touched.at[i].after > tx->touched.at[i].before) return true;
  }
  return false;
}

/* ---- keeping ---- */

/* As lk_item_set_keep(), outside of what can be rolled back. */
static void set_keep(lk_doc *doc, uint32_t item, bool keep) {
  while (item != LK_NONE && ((doc->items[item].flags & LK_ITEM_KEEP) != 0) != keep) {
    doc->items[item].flags ^= LK_ITEM_KEEP;
    uint32_t parent = doc->items[item].parent;
    item = parent == LK_NONE ? LK_NONE : doc->types.at[parent].item;
  }
}

/* From |*place|, the first item of a struct, to that of the next one; false where there is none. |*end| is where it ends. */
static bool next_struct(const lk_doc *doc, uint16_t client, lk_place *place, uint32_t *end) {
  do {
    *end = lk_item_end(&doc->items[lk_place_item(doc, client, *place)]);
    if (!lk_place_next(doc, client, place)) return false;
  } while ((doc->items[lk_place_item(doc, client, *place)].flags & LK_ITEM_JOINED) != 0);
  return true;
}

/* Of a struct that lies in the range only in part, what it is in alone: Yjs would cut it, and have both halves in
 * one piece again at the end, which is kept as long as one of them is. */
static void keep_range(lk_undo *self, const lk_range *range, bool keep) {
  lk_doc *doc = self->doc;
  scope_cache cache = { .parent = LK_NONE };
  uint16_t client = (uint16_t)range->client;
  uint32_t range_end = range->clock + range->len, end;
  lk_place place = lk_struct_place(doc, client, range->clock);
  for (bool is_more = true; is_more;) {
    lk_place at = place;
    const lk_item *first = &doc->items[lk_place_item(doc, client, place)];
    if (first->clock >= range_end) return;
    is_more = next_struct(doc, client, &place, &end);
    if (first->kind == LK_CONTENT_GC || !is_in_scope(self, first, &cache)) continue;
    bool whole = first->clock >= range->clock && end <= range_end;
    if (!keep && !whole) {
      if ((first->flags & LK_ITEM_KEEP) != 0)
        set_keep(doc, doc->types.at[first->parent].item, keep);
      continue;
    }
    do set_keep(doc, lk_place_item(doc, client, at), keep);
    while (lk_place_next(doc, client, &at) &&
           doc->items[lk_place_item(doc, client, at)].clock < end);
  }
}

static void let_go(lk_undo *self, lk_undo_stack *stack) {
  if (stack->deleted.count > 0) lk_typing_end(self->doc); /* nothing goes on in what was kept */
  for (uint32_t i = 0; i < stack->deleted.count; i++)
    keep_range(self, &stack->deleted.at[i], false);
  stack_cut(stack, 0);
}

/* ---- remembering ---- */

/* |**at| is where the caller's data of an entry are; they may have moved afterwards. */
static void call_fn(lk_undo *self, lk_undo_stack *stack, uint32_t entry, bool is_redo) {
  if (self->fn == NULL) return;
  uint64_t meta = stack->entries.at[entry].meta;
  self->fn(self->fn_ctx, self, is_redo, false, &meta);
  if (entry < stack->entries.count) stack->entries.at[entry].meta = meta;
}

static lk_err push_entry(lk_undo *self, lk_undo_stack *stack) {
  lk_err err = LK_VEC_RESERVE(self->doc, stack->entries, 1);
  if (err != LK_OK) return err;
  stack_sort(self->doc, stack);
  stack->entries.at[stack->entries.count++] = (lk_undo_entry){ .inserted = stack->inserted.count,
                                                               .deleted = stack->deleted.count };
  return LK_OK;
}

static void append_range(lk_undo_stack *stack, lk_range *at, uint32_t *count, uint32_t floor,
                         lk_range range) {
  lk_range *last = *count > floor ? &at[*count - 1] : NULL;
  if (last != NULL && last->client == range.client && last->clock + last->len == range.clock) {
    last->len += range.len;
    return;
  }
  stack->unsorted |= last != NULL;
  at[(*count)++] = range;
}

/* Those of several clients are in the order of their numbers, which is about the one in which they came up. */
static void append_inserted(lk_undo_stack *stack, const lk_tx *tx) {
  uint32_t floor = stack->entries.at[stack->entries.count - 1].inserted,
           from = stack->inserted.count;
  if (tx->touched.count > 1) {
    for (uint32_t i = 0; i < tx->touched.count; i++) {
      const lk_touched *at = &tx->touched.at[i];
      if (at->after > at->before) {
        stack->inserted.at[stack->inserted.count++] = (lk_range){ at->client, at->before,
                                                                  at->after - at->before };
      }
    }
    uint32_t count = stack->inserted.count - from;
    lk_ranges_sort(stack->inserted.at + from, &count, false);
    stack->unsorted = true;
    return;
  }
  for (uint32_t i = 0; i < tx->touched.count; i++) {
    const lk_touched *at = &tx->touched.at[i];
    if (at->after == at->before) continue;
    append_range(stack, stack->inserted.at, &stack->inserted.count, floor,
                 (lk_range){ at->client, at->before, at->after - at->before });
  }
}

static void append_deleted(lk_undo_stack *stack, const lk_tx *tx) {
  uint32_t floor = stack->entries.at[stack->entries.count - 1].deleted;
  lk_range_walk walk = { 0 };
  for (lk_range range; lk_tx_next_range(tx, &walk, &range);) {
    append_range(stack, stack->deleted.at, &stack->deleted.count, floor, range);
  }
}

static bool joins_last(const lk_undo *self, const lk_undo_stack *stack, uint64_t now) {
  if (self->undoing || self->redoing || stack->entries.count == 0 || self->last_change == 0)
    return false;
  return now - self->last_change < self->capture_ms;
}

static void remember(lk_undo *self, const lk_tx *tx) {
  lk_doc *doc = self->doc;
  lk_undo_stack *stack = self->undoing ? &self->redo : &self->undo;
  bool is_kept = LK_FAST_ALL && doc->stroke.tx == tx && doc->stroke.kept;
  if (self->redo.deleted.count > 0) is_kept = false; /* what goes may be one with it by now */
  bool keeps = tx->ranges.count > 0 && !is_kept;
  lk_err err = keeps ? lk_stroke_settle(doc) : LK_OK; /* that can be kept */
  if (is_kept) doc->stroke.wanted = true;
  if (self->undoing) self->last_change = 0;
  else if (!self->redoing) let_go(self, &self->redo);
  uint64_t now = self->now_ms == NULL ? 0 : self->now_ms(self->now_ctx);
  if (err != LK_OK) return;
  err = LK_VEC_RESERVE(doc, stack->deleted, tx->ranges.count);
  if (err == LK_OK) err = LK_VEC_RESERVE(doc, stack->inserted, tx->touched.count);
  if (err == LK_OK && !joins_last(self, stack, now)) err = push_entry(self, stack);
  if (!self->undoing && !self->redoing) self->last_change = now;
  for (uint32_t i = 0; keeps && i < tx->ranges.count; i++)
    keep_range(self, &tx->ranges.at[i], true);
  if (err != LK_OK) return;
  append_inserted(stack, tx);
  append_deleted(stack, tx);
  call_fn(self, stack, stack->entries.count - 1, self->undoing);
}

bool lk_undo_keeps(const lk_doc *doc, uint32_t type, uint64_t origin) {
  for (uint32_t i = 0; i < doc->observers.count; i++) {
    const lk_observer *observer = &doc->observers.at[i];
    if (observer->what != LK_OBSERVE_AFTER || observer->id == 0) continue;
    const lk_undo *self = observer->ctx;
    if (has_origin(self, origin) && type_in_scope(self, type)) return true;
  }
  return false;
}

static void see(void *ctx, lk_doc *doc, lk_tx *tx) {
  lk_undo *self = ctx;
  (void)doc;
  if (has_origin(self, tx->origin) && changed_something(tx) && changed_scope(self, tx))
    remember(self, tx);
}

/* ---- taking back ---- */

/* Calls |fn| for the items of a range, which is cut out. What |fn| cuts is to the right of where it stands. */
static lk_err each_item(lk_undo *self, lk_range range, scope_cache *cache,
                        lk_err (*fn)(lk_undo *self, uint32_t item, scope_cache *cache)) {
  lk_doc *doc = self->doc;
  uint16_t client = (uint16_t)range.client;
  uint32_t number, clock = range.clock, end = range.clock + range.len;
  lk_err err = lk_item_clean_start(doc, client, clock, &number);
  if (err == LK_OK) err = lk_item_clean_end(doc, client, end - 1, &number);
  while (err == LK_OK && clock < end) {
    number = lk_client_item(doc, client, clock);
    clock = lk_item_end(&doc->items[number]);
    if (doc->items[number].kind != LK_CONTENT_GC) err = fn(self, number, cache);
  }
  return err;
}

static lk_err push(lk_undo *self, lk_err err, uint32_t item, bool to_redo) {
  if (err != LK_OK) return err;
  return lk_numbers_push(self->doc, to_redo ? &self->to_redo : &self->to_delete, item);
}

/* What stands for |item| now, as one struct from there to its end. */
static lk_err follow(lk_doc *doc, uint32_t *item) {
  uint16_t client = doc->items[*item].client;
  uint32_t clock = doc->items[*item].clock, number = *item;
  while ((doc->items[number].flags & LK_ITEM_REDONE) != 0) {
    uint32_t diff = clock - doc->items[number].clock;
    if (!lk_item_redone(doc, number, &client, &clock)) LK_UNREACHABLE();
    clock += diff;
    number = lk_client_item(doc, client, clock);
  }
  return lk_item_clean_start(doc, client, clock, item);
}

/* The next item, where it is one struct with |*item|. */
static bool next_joined(lk_doc *doc, uint32_t *item) {
  const lk_item *at = &doc->items[*item];
  lk_place place = lk_client_place(doc, at->client, at->clock);
  if (!lk_place_next(doc, at->client, &place)) return false;
  uint32_t next = lk_place_item(doc, at->client, place);
  if ((doc->items[next].flags & LK_ITEM_JOINED) == 0) return false;
  *item = next;
  return true;
}

static lk_err take_inserted(lk_undo *self, uint32_t item, scope_cache *cache) {
  lk_doc *doc = self->doc;
  bool redone = (doc->items[item].flags & LK_ITEM_REDONE) != 0;
  lk_err err = redone ? follow(doc, &item) : LK_OK;
  if (err != LK_OK || lk_item_deleted(&doc->items[item])) return err;
  if (!is_in_scope(self, &doc->items[item], cache)) return LK_OK;
  do err = push(self, err, item, false);
  while (redone && err == LK_OK && next_joined(doc, &item));
  return err;
}

static lk_err take_deleted(lk_undo *self, uint32_t item, scope_cache *cache) {
  const lk_item *at = &self->doc->items[item];
  if (!is_in_scope(self, at, cache)) return LK_OK;
  /* what came and went in one entry stays gone */
  if (lk_undo_ranges_have(lk_undo_inserted(self->from, self->entry), at->client, at->clock))
    return LK_OK;
  return push(self, LK_OK, item, true);
}

static lk_err each_range(lk_undo *self, lk_undo_ranges ranges,
                         lk_err (*fn)(lk_undo *self, uint32_t item, scope_cache *cache)) {
  scope_cache cache = { .parent = LK_NONE };
  lk_err err = LK_OK;
  for (uint32_t i = 0; err == LK_OK && i < ranges.count; i++)
    err = each_item(self, ranges.at[i], &cache, fn);
  return err;
}

static lk_err act(lk_undo *self, bool *done) {
  self->to_delete.count = self->to_redo.count = 0;
  lk_err err = each_range(self, lk_undo_inserted(self->from, self->entry), take_inserted);
  if (err == LK_OK) err = each_range(self, lk_undo_deleted(self->from, self->entry), take_deleted);
  for (uint32_t i = 0; err == LK_OK && i < self->to_redo.count; i++) {
    bool made = false;
    err = lk_undo_redo_item(self, self->to_redo.at[i], &made);
    *done |= made;
  }
  /* children before the nodes that they are in */
  for (uint32_t i = self->to_delete.count; err == LK_OK && i > 0; i--) {
    err = lk_item_delete(self->doc, self->to_delete.at[i - 1]);
    *done = true;
  }
  return err;
}

/* A struct is made again as one struct. A rollback does not take this back, and must not have to: so it comes
 * before anything else is done. */
static lk_err unite(lk_undo *self, lk_undo_ranges ranges) {
  lk_doc *doc = self->doc;
  lk_err err = LK_OK;
  for (uint32_t i = 0; err == LK_OK && i < ranges.count; i++) {
    uint16_t client = (uint16_t)ranges.at[i].client;
    uint32_t clock = ranges.at[i].clock, end = clock + ranges.at[i].len;
    while (err == LK_OK && clock < end) {
      uint32_t item = lk_client_item(doc, client, clock), next = item;
      bool joined = (doc->items[item].flags & LK_ITEM_JOINED) != 0 || next_joined(doc, &next);
      if (joined) err = lk_item_unite(doc, &item);
      if (err == LK_OK) clock = lk_item_end(&doc->items[item]);
    }
  }
  return err;
}

static lk_err take_back(lk_undo *self, lk_undo_stack *stack, uint32_t entry, bool *done) {
  lk_call call;
  self->from = stack;
  self->entry = entry;
  lk_err err = unite(self, lk_undo_deleted(stack, entry));
  if (err == LK_OK) err = lk_call_begin(self->doc, &call);
  if (err != LK_OK) return err;
  err = act(self, done);
  self->shelves = NULL;
  lk_arena_reset(&self->arena);
  return lk_call_end(self->doc, &call, err);
}

static lk_err pop(lk_undo *self, lk_undo_stack *stack, bool *done) {
  lk_doc *doc = self->doc;
  uint32_t count = stack->entries.count;
  uint64_t meta = 0;
  *done = false;
  lk_err err = lk_doc_begin(doc, self->origin);
  if (err != LK_OK) return err;
  stack_sort(doc, &self->undo);
  stack_sort(doc, &self->redo);
  while (err == LK_OK && count > 0 && !*done) err = take_back(self, stack, --count, done);
  if (err == LK_OK && *done) meta = stack->entries.at[count].meta;
  if (err == LK_OK) stack_cut(stack, count);
  lk_doc_commit(doc);
  self->undoing = self->redoing = false;
  if (err != LK_OK) *done = false;
  if (*done && self->fn != NULL) self->fn(self->fn_ctx, self, stack == &self->redo, true, &meta);
  return err;
}

static lk_err pop_from(lk_undo *self, lk_undo_stack *stack, bool *done) {
  bool ignored;
  if (self->undoing || self->redoing) return LK_ERR_STATE;
  self->undoing = stack == &self->undo;
  self->redoing = !self->undoing;
  lk_err err = pop(self, stack, done == NULL ? &ignored : done);
  self->undoing = self->redoing = false;
  return err;
}

lk_err lk_undo_undo(lk_undo *self, bool *done) { return pop_from(self, &self->undo, done); }
lk_err lk_undo_redo(lk_undo *self, bool *done) { return pop_from(self, &self->redo, done); }

/* ---- the manager ---- */

static lk_err set_options(lk_undo *self, const lk_undo_options *options) {
  self->capture_ms = options->now_ms == NULL ? 0 : options->capture_ms;
  self->now_ms = options->now_ms;
  self->now_ctx = options->now_ctx;
  self->ignore_remote_map_changes = options->ignore_remote_map_changes;
  if (options->origins == NULL) return lk_undo_add_origin(self, 0);
  lk_err err = LK_OK;
  for (size_t i = 0; err == LK_OK && i < options->origin_count; i++) {
    err = lk_undo_add_origin(self, options->origins[i]);
  }
  return err;
}

lk_err lk_undo_open(lk_doc *doc, const lk_node *scope, size_t count, const lk_undo_options *options,
                    lk_undo **out) {
  lk_undo *self = lk_alloc_bytes(&doc->alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  *self = (lk_undo){ .doc = doc, .whole = scope == NULL };
  lk_arena_init(&self->arena, &doc->alloc, SIZE_MAX / 2);
  lk_err err = set_options(self, options);
  for (size_t i = 0; err == LK_OK && scope != NULL && i < count; i++)
    err = lk_undo_add_scope(self, scope[i]);
  if (err == LK_OK) {
    err = lk_observer_add(doc, LK_OBSERVE_AFTER, LK_NONE, (void (*)(void))see, self,
                          &self->observer);
  }
  self->origin = UINT64_MAX - self->observer;
  if (err == LK_OK) *out = self;
  else lk_undo_close(self);
  return err;
}

void lk_undo_close(lk_undo *self) {
  if (self == NULL) return;
  lk_doc *doc = self->doc;
  lk_doc_off(doc, self->observer);
  stack_deinit(doc, &self->undo);
  stack_deinit(doc, &self->redo);
  LK_VEC_FREE(doc, self->scope);
  LK_VEC_FREE(doc, self->origins);
  LK_VEC_FREE(doc, self->to_redo);
  LK_VEC_FREE(doc, self->to_delete);
  LK_VEC_FREE(doc, self->chain);
  lk_arena_deinit(&self->arena);
  lk_free_bytes(&doc->alloc, self, sizeof *self);
}

lk_err lk_undo_add_scope(lk_undo *self, lk_node node) {
  uint32_t type;
  lk_err err = lk_node_resolve(self->doc, node, 0, &type);
  if (err != LK_OK || has_type(self, type)) return err;
  return lk_numbers_push(self->doc, &self->scope, type);
}

lk_err lk_undo_add_origin(lk_undo *self, uint64_t origin) {
  for (uint32_t i = 0; i < self->origins.count; i++) {
    if (self->origins.at[i] == origin) return LK_OK;
  }
  lk_err err = LK_VEC_RESERVE(self->doc, self->origins, 1);
  if (err == LK_OK) self->origins.at[self->origins.count++] = origin;
  return err;
}

void lk_undo_remove_origin(lk_undo *self, uint64_t origin) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < self->origins.count; i++) {
    if (self->origins.at[i] != origin) self->origins.at[kept++] = self->origins.at[i];
  }
  self->origins.count = kept;
}

size_t lk_undo_undo_count(const lk_undo *self) { return self->undo.entries.count; }
size_t lk_undo_redo_count(const lk_undo *self) { return self->redo.entries.count; }
void lk_undo_stop_capturing(lk_undo *self) { self->last_change = 0; }
uint64_t lk_undo_origin(const lk_undo *self) { return self->origin; }

lk_err lk_undo_clear(lk_undo *self, bool undo_stack, bool redo_stack) {
  lk_err err = lk_stroke_settle(self->doc); /* what was just kept can be let go, too */
  if (err != LK_OK) return err;
  if (undo_stack) let_go(self, &self->undo);
  if (redo_stack) let_go(self, &self->redo);
  return LK_OK;
}

void lk_undo_on_item(lk_undo *self, lk_undo_fn fn, void *ctx) {
  self->fn = fn;
  self->fn_ctx = ctx;
}
