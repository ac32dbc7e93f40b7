/* doc/pending.c -- structs and deletions that came before what they refer to.
 *
 * A struct waits until its own client has come as far as its clock, and until what it refers to is here. Only the
 * first pending struct of a client can be waiting for another client: those behind it wait for it. So there is
 * at most one entry in |waits| for each client, by what it waits for, and when a client goes on, those who
 * wait for it are found without looking at others. Each struct is looked at once for each thing it waits
 * for: at most four times, however updates are ordered. (Yjs applies everything that is pending anew each
 * time, which strangers can make quadratic.)
 *
 * Overlapping structs are cut as Yjs cuts them when it merges updates: what begins first stays whole. Deleted
 * ranges are kept sorted and joined.
 *
 * All of it can be rolled back, a step at a time. */
#include "doc/engine.h"

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

static lk_err put_struct(lk_doc *doc, uint32_t number) {
  size_t bytes = weight(doc, &doc->items[number]);
  if (lk_btree_count(&doc->pending) >= doc->limits.doc_pending_count)
    return lk_doc_limit(doc, "doc_pending_count");
  if (bytes > doc->limits.doc_pending_bytes -
                  lk_min_size(doc->pending_bytes, doc->limits.doc_pending_bytes)) {
    return lk_doc_limit(doc, "doc_pending_bytes");
  }
  lk_err err = lk_btree_reserve(&doc->pending, doc->taken_structs + 1);
  if (err == LK_OK) err = lk_journal(doc, LK_STEP_PEND, number, 0, 0);
  if (err != LK_OK) return err;
  lk_pending_struct entry = entry_of(doc, number);
  lk_btree_insert(&doc->pending, &entry);
  doc->pending_bytes += bytes;
  return LK_OK;
}

static lk_err take_struct(lk_doc *doc, uint32_t number) {
  lk_err err = lk_btree_reserve(&doc->pending, ++doc->taken_structs); /* for the way back */
  if (err == LK_OK) err = lk_journal(doc, LK_STEP_UNPEND, number, 0, 0);
  if (err != LK_OK) return err;
  lk_pending_struct entry = entry_of(doc, number);
  doc->pending_bytes -= weight(doc, &doc->items[number]);
  if (!lk_btree_remove(&doc->pending, &entry)) LK_UNREACHABLE();
  return LK_OK;
}

static lk_err drop_item(lk_doc *doc, uint32_t number) {
  lk_err err = LK_VEC_RESERVE(doc, doc->dropped, 1);
  if (err == LK_OK) doc->dropped.at[doc->dropped.count++] = number;
  return err;
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
  lk_err err = LK_VEC_RESERVE(doc, doc->woken, 1);
  if (err == LK_OK) doc->woken.at[doc->woken.count++] = client;
  return err;
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

static lk_err stop_waiting(lk_doc *doc, uint32_t waiter) {
  lk_client *client = &doc->clients.at[waiter];
  lk_pending_wait wait = { client->waits_for, client->waits_clock, waiter };
  if (wait.client == LK_NONE) return LK_OK;
  lk_err err = lk_btree_reserve(&doc->waits, ++doc->taken_waits);
  if (err == LK_OK) err = lk_journal(doc, LK_STEP_UNWAIT, waiter, wait.client, wait.clock);
  if (err != LK_OK) return err;
  if (!lk_btree_remove(&doc->waits, &wait)) LK_UNREACHABLE();
  client->waits_for = LK_NONE;
  return LK_OK;
}

static lk_err wait_for(lk_doc *doc, uint32_t waiter, uint32_t on, uint32_t clock) {
  lk_client *client = &doc->clients.at[waiter];
  if (client->waits_for == on && client->waits_clock == clock) return LK_OK;
  lk_err err = stop_waiting(doc, waiter);
  if (err == LK_OK) err = lk_btree_reserve(&doc->waits, doc->taken_waits + 1);
  if (err == LK_OK) err = lk_journal(doc, LK_STEP_WAIT, waiter, on, clock);
  if (err != LK_OK) return err;
  lk_pending_wait wait = { on, clock, waiter };
  lk_btree_insert(&doc->waits, &wait);
  client->waits_for = on;
  client->waits_clock = clock;
  return LK_OK;
}

/* The first pending struct of a client, or NULL. */
static const lk_pending_struct *first_of(const lk_doc *doc, uint32_t client) {
  lk_pending_struct key = { client, 0, 0, 0 };
  const lk_pending_struct *first = lk_btree_at_least(&doc->pending, &key, NULL);
  return first != NULL && first->client == client ? first : NULL;
}

/* Integrates what can be of one client; |*went_on| where something was. */
static lk_err try_client(lk_doc *doc, uint32_t client, bool *went_on) {
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
      doc->clients.at[client].spoilt = true;
      return stop_waiting(doc, client);
    }
    if (err != LK_OK) return err;
    *went_on |= !known;
  }
  return stop_waiting(doc, client);
}

/* ---- deleted ranges ---- */

static lk_err take_range(lk_doc *doc, lk_pending_range range) {
  lk_err err = lk_btree_reserve(&doc->pending_ranges, doc->saved_ranges.count + 1);
  if (err == LK_OK) err = LK_VEC_RESERVE(doc, doc->saved_ranges, 1);
  if (err == LK_OK) err = lk_journal(doc, LK_STEP_UNRANGE, doc->saved_ranges.count, 0, 0);
  if (err != LK_OK) return err;
  doc->saved_ranges.at[doc->saved_ranges.count++] = range;
  if (!lk_btree_remove(&doc->pending_ranges, &range)) LK_UNREACHABLE();
  return LK_OK;
}

static lk_err put_range(lk_doc *doc, lk_pending_range range) {
  if (lk_btree_count(&doc->pending_ranges) >= doc->limits.doc_pending_count) {
    return lk_doc_limit(doc, "doc_pending_count");
  }
  lk_err err = lk_btree_reserve(&doc->pending_ranges, doc->saved_ranges.count + 1);
  if (err == LK_OK) err = LK_VEC_RESERVE(doc, doc->saved_ranges, 1);
  if (err == LK_OK) err = lk_journal(doc, LK_STEP_RANGE, doc->saved_ranges.count, 0, 0);
  if (err != LK_OK) return err;
  doc->saved_ranges.at[doc->saved_ranges.count++] = range;
  lk_btree_insert(&doc->pending_ranges, &range);
  return LK_OK;
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

lk_err lk_pending_wake(lk_doc *doc) {
  lk_err err = LK_OK;
  for (uint32_t i = 0; i < doc->woken.count; i++) {
    uint32_t client = doc->woken.at[i];
    bool went_on = false;
    if ((err = lk_doc_step(doc, 1)) != LK_OK) return err;
    if ((err = try_client(doc, client, &went_on)) != LK_OK) return err;
    if ((err = wake_waiters(doc, client)) != LK_OK) return err;
  }
  /* what was deleted before it came */
  for (uint32_t i = 0; i < doc->woken.count && lk_btree_count(&doc->pending_ranges) > 0; i++) {
    if ((err = try_ranges(doc, (uint16_t)doc->woken.at[i])) != LK_OK) return err;
  }
  return LK_OK;
}

/* ---- rolling back ---- */

void lk_pending_step_back(lk_doc *doc, const lk_journal_entry *step) {
  lk_pending_struct entry;
  lk_pending_wait wait = { step->b, step->c, step->a };
  switch ((lk_undo_step)step->step) {
  case LK_STEP_PEND:
    entry = entry_of(doc, step->a);
    doc->pending_bytes -= weight(doc, &doc->items[step->a]);
    if (!lk_btree_remove(&doc->pending, &entry)) LK_UNREACHABLE();
    break;
  case LK_STEP_UNPEND:
    entry = entry_of(doc, step->a);
    doc->pending_bytes += weight(doc, &doc->items[step->a]);
    lk_btree_insert(&doc->pending, &entry);
    break;
  case LK_STEP_WAIT:
    if (!lk_btree_remove(&doc->waits, &wait)) LK_UNREACHABLE();
    doc->clients.at[step->a].waits_for = LK_NONE;
    break;
  case LK_STEP_UNWAIT:
    lk_btree_insert(&doc->waits, &wait);
    doc->clients.at[step->a].waits_for = step->b;
    doc->clients.at[step->a].waits_clock = step->c;
    break;
  case LK_STEP_RANGE:
    if (!lk_btree_remove(&doc->pending_ranges, &doc->saved_ranges.at[step->a])) LK_UNREACHABLE();
    break;
  case LK_STEP_UNRANGE:
    lk_btree_insert(&doc->pending_ranges, &doc->saved_ranges.at[step->a]);
    break;
  default: LK_UNREACHABLE();
  }
}

lk_doc_pending lk_doc_get_pending(const lk_doc *doc) {
  return (lk_doc_pending){ lk_btree_count(&doc->pending), doc->pending_bytes,
                           lk_btree_count(&doc->pending_ranges) };
}
