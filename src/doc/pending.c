/* doc/pending.c -- structs and deletions that came before what they refer to.
 *
 * A struct waits until its own client has come as far as its clock, and until what it refers to is here. Only the
 * first pending struct of a client can be waiting for another client: those behind it wait for it. So there is
 * at most one entry in |waits| for each client, by what it waits for, and when a client goes on, those who
 * wait for it are found without looking at others. Each struct is looked at once for each thing it waits
 * for: at most four times, however updates are ordered. (Yjs applies everything that is pending anew each
 * time, which strangers can make quadratic.) What we write ourselves finds nobody: who waits for that is
 * found with the next update, as in Yjs.
 *
 * In which order clients come up among what a transaction deleted decides which gaps are cleaned of formatting
 * (text_cleanup.c). So an update first deletes what waited for its own structs, then takes in what else waited
 * for them, then deletes what waited for that; each time high ids come first, as in Yjs. Only where a client waits for one
 * that was itself woken does it come later here than there.
 *
 * Overlapping structs are cut as Yjs cuts them when it merges updates: what begins first stays whole. Deleted
 * ranges are kept sorted and joined.
 *
 * All of it can be rolled back, a step at a time. */
#include "doc/engine.h"

#include "base/sort.h"

/* ---- the trees ---- */

static int order(uint64_t a, uint64_t b) { return (a > b) - (a < b); }

static int compare_structs(const void *ctx, const void *a, const void *b) {
  const lk_pending_struct *x = a, *y = b;
  (void)ctx;
  return x->client != y->client ? order(x->client, y->client) : order(x->clock, y->clock);
}
static int compare_waits(const void *ctx, const void *a, const void *b) {
  const lk_pending_wait *x = a, *y = b;
  (void)ctx;
  if (x->client != y->client) return order(x->client, y->client);
  return x->clock != y->clock ? order(x->clock, y->clock) : order(x->waiter, y->waiter);
}
static int compare_ranges(const void *ctx, const void *a, const void *b) {
  const lk_pending_range *x = a, *y = b;
  (void)ctx;
  return x->client != y->client ? order(x->client, y->client) : order(x->clock, y->clock);
}

void lk_pending_init(lk_doc *doc) {
  lk_btree_init(&doc->pending, &doc->alloc, sizeof(lk_pending_struct), compare_structs, NULL);
  lk_btree_init(&doc->waits, &doc->alloc, sizeof(lk_pending_wait), compare_waits, NULL);
  lk_btree_init(&doc->pending_ranges, &doc->alloc, sizeof(lk_pending_range), compare_ranges, NULL);
}

void lk_pending_deinit(lk_doc *doc) {
  lk_btree_deinit(&doc->pending);
  lk_btree_deinit(&doc->waits);
  lk_btree_deinit(&doc->pending_ranges);
}

/* What an update takes out of a tree goes back in where the update fails, all of it: so each reservation is for
 * that, too. lk_btree_reserve() does not add up. */
static lk_err prepare(lk_doc *doc, lk_btree *tree, uint32_t count, lk_undo_step step, uint32_t a,
                      uint32_t b, uint32_t c) {
  lk_err err = lk_btree_reserve(tree, count);
  return err == LK_OK ? lk_journal(doc, step, a, b, c) : err;
}

/* Puts |row| into the tree, or takes it out: what was prepared, or is rolled back. */
static void set_row(lk_btree *tree, const void *row, bool in) {
  if (in) lk_btree_insert(tree, row);
  else if (!lk_btree_remove(tree, row)) LK_UNREACHABLE();
}

/* ---- structs ---- */

static size_t weight(const lk_doc *doc, const lk_item *item) {
  size_t own = sizeof(lk_item) + sizeof(lk_pending_struct);
  switch (item->kind) {
  case LK_CONTENT_GC:
  case LK_CONTENT_DELETED:
  case LK_CONTENT_TYPE: return own;
  case LK_CONTENT_STRING:
    return own + (size_t)item->len * ((item->flags & LK_ITEM_WIDE) != 0 ? 2 : 1);
  default: return own + sizeof(lk_value_head) + lk_value_head_at(doc, item->content)->size;
  }
}

static lk_pending_struct entry_of(const lk_doc *doc, uint32_t number) {
  const lk_item *item = &doc->items[number];
  return (lk_pending_struct){ item->client, item->clock, item->len, number };
}

static void set_struct(lk_doc *doc, uint32_t number, bool in) {
  lk_pending_struct entry = entry_of(doc, number);
  size_t bytes = weight(doc, &doc->items[number]);
  doc->pending_bytes += in ? bytes : 0 - bytes;
  set_row(&doc->pending, &entry, in);
}

static lk_err put_struct(lk_doc *doc, uint32_t number) {
  size_t bytes = weight(doc, &doc->items[number]);
  if (lk_btree_count(&doc->pending) >= doc->limits.doc_pending_count)
    return lk_doc_limit(doc, "doc_pending_count");
  if (bytes > doc->limits.doc_pending_bytes -
                  lk_min_size(doc->pending_bytes, doc->limits.doc_pending_bytes)) {
    return lk_doc_limit(doc, "doc_pending_bytes");
  }
  lk_err err = prepare(doc, &doc->pending, doc->taken_structs + 1, LK_STEP_PEND, number, 0, 0);
  if (err == LK_OK) set_struct(doc, number, true);
  return err;
}

static lk_err take_struct(lk_doc *doc, uint32_t number) {
  lk_err err = prepare(doc, &doc->pending, ++doc->taken_structs, LK_STEP_UNPEND, number, 0, 0);
  if (err == LK_OK) set_struct(doc, number, false);
  return err;
}

static lk_err drop_item(lk_doc *doc, uint32_t number) {
  return lk_numbers_push(doc, &doc->dropped, number);
}

/* Remembers the item as it is, for a rollback. */
static lk_err save_item(lk_doc *doc, uint32_t number) {
  lk_err err = LK_VEC_RESERVE(doc, doc->saved, 1);
  if (err == LK_OK) err = lk_journal(doc, LK_STEP_SAVED, number, doc->saved.count, 0);
  if (err == LK_OK) doc->saved.at[doc->saved.count++] = doc->items[number];
  return err;
}

static lk_err trim_pending(lk_doc *doc, uint32_t number, uint32_t to) {
  lk_err err = take_struct(doc, number);
  if (err == LK_OK) err = save_item(doc, number);
  if (err == LK_OK) err = lk_loose_trim(doc, number, to - doc->items[number].clock);
  return err != LK_OK ? err : put_struct(doc, number);
}

static lk_err wake_client(lk_doc *doc, uint32_t client) {
  return lk_numbers_push(doc, &doc->woken, client);
}

/* GC that waited before this update came. */
static bool is_older_gc(const lk_doc *doc, const lk_pending_struct *at) {
  const lk_item *item = &doc->items[at->item];
  return item->kind == LK_CONTENT_GC && item->right_clock != doc->tx->number;
}

static lk_err swallow(lk_doc *doc, uint32_t number, const lk_pending_struct *at) {
  lk_pending_struct other = *at;
  lk_item *item = &doc->items[number];
  lk_err err = take_struct(doc, other.item);
  if (err == LK_OK) err = drop_item(doc, other.item);
  if (other.clock < item->clock) item->clock = other.clock;
  item->len += other.len;
  item->right_clock = 0; /* as old as what it swallowed: what comes next is part of it, too */
  return err;
}

/* Yjs merges what has to wait with what waits. There GC becomes one with GC of the other side that it touches; two
 * from the same update stay two. GC has no use for |right_clock|, so it says which transaction brought it. */
static lk_err join_gc(lk_doc *doc, uint32_t number) {
  lk_item *item = &doc->items[number];
  lk_err err = LK_OK;
  if (item->kind != LK_CONTENT_GC) return LK_OK;
  item->right_clock = doc->tx->number;
  lk_pending_struct key = entry_of(doc, number);
  const lk_pending_struct *other = lk_btree_at_most(&doc->pending, &key, NULL);
  if (other != NULL && other->client == key.client && other->clock + other->len == key.clock &&
      is_older_gc(doc, other))
    err = swallow(doc, number, other);
  while (err == LK_OK) {
    key.clock = lk_item_end(item);
    other = lk_btree_at_least(&doc->pending, &key, NULL);
    if (other == NULL || other->client != key.client || other->clock != key.clock ||
        !is_older_gc(doc, other))
      break;
    err = swallow(doc, number, other);
  }
  return err;
}

lk_err lk_pending_add(lk_doc *doc, uint32_t number) {
  lk_pending_struct key = entry_of(doc, number);
  const lk_pending_struct *other = lk_btree_at_most(&doc->pending, &key, NULL);
  lk_err err = LK_OK;
  if (other != NULL && other->client == key.client && other->clock + other->len > key.clock) {
    if (other->clock + other->len >= key.clock + key.len) return drop_item(doc, number);
    if ((err = lk_loose_trim(doc, number, other->clock + other->len - key.clock)) != LK_OK)
      return err;
    key = entry_of(doc, number);
  }
  for (;;) {
    other = lk_btree_at_least(&doc->pending, &key, NULL);
    if (other == NULL || other->client != key.client || other->clock >= key.clock + key.len) break;
    uint32_t covered = other->item;
    if (other->clock + other->len > key.clock + key.len) {
      if ((err = trim_pending(doc, covered, key.clock + key.len)) != LK_OK) return err;
      break;
    }
    if ((err = take_struct(doc, covered)) == LK_OK) err = drop_item(doc, covered);
    if (err != LK_OK) return err;
  }
  if ((err = join_gc(doc, number)) == LK_OK) err = put_struct(doc, number);
  return err != LK_OK ? err : wake_client(doc, key.client);
}

/* ---- waiting ---- */

static void set_wait(lk_doc *doc, uint32_t waiter, uint32_t on, uint32_t clock, bool in) {
  lk_client *client = &doc->clients.at[waiter];
  lk_pending_wait wait = { on, clock, waiter };
  client->waits_for = in ? on : LK_NONE;
  client->waits_clock = clock;
  set_row(&doc->waits, &wait, in);
}

static lk_err stop_waiting(lk_doc *doc, uint32_t waiter) {
  const lk_client *client = &doc->clients.at[waiter];
  uint32_t on = client->waits_for, clock = client->waits_clock;
  if (on == LK_NONE) return LK_OK;
  lk_err err = prepare(doc, &doc->waits, ++doc->taken_waits, LK_STEP_UNWAIT, waiter, on, clock);
  if (err == LK_OK) set_wait(doc, waiter, on, clock, false);
  return err;
}

static lk_err wait_for(lk_doc *doc, uint32_t waiter, uint32_t on, uint32_t clock) {
  const lk_client *client = &doc->clients.at[waiter];
  if (client->waits_for == on && client->waits_clock == clock) return LK_OK;
  lk_err err = stop_waiting(doc, waiter);
  if (err == LK_OK)
    err = prepare(doc, &doc->waits, doc->taken_waits + 1, LK_STEP_WAIT, waiter, on, clock);
  if (err == LK_OK) set_wait(doc, waiter, on, clock, true);
  return err;
}

/* The first pending struct of a client, or NULL. */
static const lk_pending_struct *first_of(const lk_doc *doc, uint32_t client) {
  lk_pending_struct key = { client, 0, 0, 0 };
  const lk_pending_struct *first = lk_btree_at_least(&doc->pending, &key, NULL);
  return first != NULL && first->client == client ? first : NULL;
}

/* Integrates what can be of one client. */
static lk_err try_client(lk_doc *doc, uint32_t client) {
  for (const lk_pending_struct *first; (first = first_of(doc, client)) != NULL;) {
    uint32_t number = first->item, state = doc->clients.at[client].clock, on, clock;
    lk_err err;
    if (first->clock > state) return stop_waiting(doc, client);
    bool known = first->clock + first->len <= state; /* its dependencies do not matter any more */
    if (!known && lk_loose_missing(doc, &doc->items[number], &on, &clock))
      return wait_for(doc, client, on, clock);
    uint64_t steps = doc->steps;
    lk_mark mark;
    lk_doc_mark(doc, &mark);
    uint32_t later = doc->later.count;
    doc->tx->range_floor = doc->tx->ranges.count;
    doc->steps_max += weight(doc, &doc->items[number]) * 10;
    if ((err = take_struct(doc, number)) != LK_OK) return err;
    if (known) err = drop_item(doc, number);
    else if ((err = save_item(doc, number)) == LK_OK) err = lk_loose_integrate(doc, number);
    if (err == LK_ERR_LIMIT || err == LK_ERR_STEPS) {
      /* whoever wrote what waited must not be able to spoil what it waited for: it stays where it is */
      LK_COVERED(doc_pending_spoilt);
      doc->later.count = later;
      lk_items_take_back(doc, mark.journal);
      lk_doc_rollback(doc, &mark);
      doc->steps = steps;
      return stop_waiting(doc, client);
    }
    if (err != LK_OK) return err;
  }
  return stop_waiting(doc, client);
}

/* ---- deleted ranges ---- */

/* Puts the range into the tree, or takes it out, and remembers it for a rollback. */
static lk_err move_range(lk_doc *doc, lk_undo_step step, const lk_pending_range *range) {
  uint32_t number = doc->saved_ranges.count;
  lk_err err = LK_VEC_RESERVE(doc, doc->saved_ranges, 1);
  if (err == LK_OK) err = prepare(doc, &doc->pending_ranges, number + 1, step, number, 0, 0);
  if (err != LK_OK) return err;
  doc->saved_ranges.at[doc->saved_ranges.count++] = *range;
  set_row(&doc->pending_ranges, range, step == LK_STEP_RANGE);
  return LK_OK;
}

static lk_err take_range(lk_doc *doc, lk_pending_range range) {
  return move_range(doc, LK_STEP_UNRANGE, &range);
}

static lk_err put_range(lk_doc *doc, lk_pending_range range) {
  if (lk_btree_count(&doc->pending_ranges) >= doc->limits.doc_pending_count) {
    return lk_doc_limit(doc, "doc_pending_count");
  }
  return move_range(doc, LK_STEP_RANGE, &range);
}

lk_err lk_pending_add_range(lk_doc *doc, lk_pending_range range) {
  const lk_pending_range *other = lk_btree_at_most(&doc->pending_ranges, &range, NULL);
  lk_err err;
  if (other != NULL && other->client == range.client && other->clock + other->len >= range.clock) {
    lk_pending_range before = *other;
    uint64_t end = lk_max_u64(range.clock + range.len, before.clock + before.len);
    if (end == before.clock + before.len) return LK_OK;
    if ((err = take_range(doc, before)) != LK_OK) return err;
    range = (lk_pending_range){ range.client, before.clock, end - before.clock };
  }
  while ((other = lk_btree_at_least(&doc->pending_ranges, &range, NULL)) != NULL &&
         other->client == range.client && other->clock <= range.clock + range.len) {
    lk_pending_range after = *other;
    uint64_t end = lk_max_u64(range.clock + range.len, after.clock + after.len);
    range.len = end - range.clock;
    if ((err = take_range(doc, after)) != LK_OK) return err;
  }
  return put_range(doc, range);
}

/* Deletes what has come of the ranges of one client. */
static lk_err try_ranges(lk_doc *doc, uint16_t client) {
  const lk_client *at = &doc->clients.at[client];
  lk_pending_range key = { at->id, 0, 0 };
  for (;;) {
    const lk_pending_range *first = lk_btree_at_least(&doc->pending_ranges, &key, NULL);
    if (first == NULL || first->client != at->id || first->clock >= at->clock) return LK_OK;
    lk_pending_range range = *first;
    uint64_t end = lk_min_u64(range.clock + range.len, at->clock);
    lk_err err = take_range(doc, range);
    if (err == LK_OK && end < range.clock + range.len) {
      err = put_range(doc, (lk_pending_range){ range.client, end, range.clock + range.len - end });
    }
    doc->steps_max += 10;
    if (err == LK_OK) err = lk_delete_range(doc, client, (uint32_t)range.clock, (uint32_t)end);
    if (err != LK_OK) return err;
  }
}

/* ---- waking ---- */

static lk_err wake_waiters(lk_doc *doc, uint32_t client) {
  for (;;) {
    lk_pending_wait key = { client, 0, 0 };
    const lk_pending_wait *first = lk_btree_at_least(&doc->waits, &key, NULL);
    if (first == NULL || first->client != client || first->clock >= doc->clients.at[client].clock)
      return LK_OK;
    uint32_t waiter = first->waiter;
    lk_err err = stop_waiting(doc, waiter);
    if (err == LK_OK) err = wake_client(doc, waiter);
    if (err != LK_OK) return err;
  }
}

static bool wakes_before(const void *ctx, const void *a, const void *b) {
  const lk_doc *doc = ctx;
  return doc->clients.at[*(const uint32_t *)a].id > doc->clients.at[*(const uint32_t *)b].id;
}

/* What was deleted before it came. From here on |woken| is sorted. */
static lk_err delete_what_came(lk_doc *doc) {
  lk_err err = LK_OK;
  lk_sort(doc->woken.at, doc->woken.count, sizeof *doc->woken.at, wakes_before, doc);
  for (uint32_t i = 0; err == LK_OK && i < doc->woken.count; i++)
    err = try_ranges(doc, (uint16_t)doc->woken.at[i]);
  return err;
}

lk_err lk_pending_wake(lk_doc *doc) {
  lk_err err = LK_OK;
  for (uint32_t i = doc->woken.count; err == LK_OK && i-- > 0;)
    err = wake_waiters(doc, doc->woken.at[i]);
  if (err == LK_OK) err = delete_what_came(doc);
  for (uint32_t i = 0; err == LK_OK && i < doc->woken.count; i++) {
    uint32_t client = doc->woken.at[i];
    if ((err = lk_doc_step(doc, 1)) != LK_OK) return err;
    if ((err = try_client(doc, client)) != LK_OK) return err;
    if ((err = wake_waiters(doc, client)) != LK_OK) return err;
  }
  return err != LK_OK ? err : delete_what_came(doc);
}

/* ---- rolling back ---- */

void lk_pending_step_back(lk_doc *doc, const lk_journal_entry *step) {
  lk_undo_step what = (lk_undo_step)step->step;
  bool in = what == LK_STEP_UNPEND || what == LK_STEP_UNWAIT || what == LK_STEP_UNRANGE;
  switch (what) {
  case LK_STEP_PEND:
  case LK_STEP_UNPEND: set_struct(doc, step->a, in); break;
  case LK_STEP_WAIT:
  case LK_STEP_UNWAIT: set_wait(doc, step->a, step->b, step->c, in); break;
  case LK_STEP_RANGE:
  case LK_STEP_UNRANGE: set_row(&doc->pending_ranges, &doc->saved_ranges.at[step->a], in); break;
  default: LK_UNREACHABLE();
  }
}

lk_doc_pending lk_doc_get_pending(const lk_doc *doc) {
  return (lk_doc_pending){ lk_btree_count(&doc->pending), doc->pending_bytes,
                           lk_btree_count(&doc->pending_ranges) };
}
