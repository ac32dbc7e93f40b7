/* doc/transact.c -- opening a document, transactions, and who is told.
 *
 * A transaction collects what changed. When it is over, observers are called, texts get their formatting
 * cleaned where others changed it, deleted content is collected, structs that can be one are merged,
 * and the update goes out: in this order, which is Yjs's, since each step changes what the next one
 * sees. An observer may change the document. Its transaction is done at once, and cleaned up after
 * the one that is being told about.
 *
 * A changing call opens a transaction if there is none. When it fails it rolls back to where it began, and
 * what the transaction did before stays. */
#include "doc/apply.h"

#include "base/sort.h"
#include "codec/utf.h"
#include "doc/events.h"
#include "doc/read.h"

/* ---- memory that is counted ---- */

static void *counted_resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  lk_doc *doc = ctx;
  void *result = doc->below->resize(doc->below->ctx, ptr, old_size, new_size);
  if (result != NULL || new_size == 0) doc->bytes += new_size - old_size;
  return result;
}

/* ---- opening and closing ---- */

lk_err lk_doc_open(const lk_env *env, const lk_doc_options *options, lk_doc **out) {
  if (options->client > LK_VARUINT_MAX_SAFE) return LK_ERR_INVALID;
  lk_doc *doc = lk_alloc_bytes(env->alloc, sizeof *doc);
  if (doc == NULL) return LK_ERR_NOMEM;
  memset(doc, 0, sizeof *doc);
  doc->env = env;
  doc->below = env->alloc;
  doc->alloc = (lk_alloc){ counted_resize, doc };
  doc->limits = lk_limits_default();
  doc->limit_hit = "";
  doc->seed[0] = options->seed[0];
  doc->seed[1] = options->seed[1];
  lk_prng_init(&doc->prng, options->seed[0] ^ options->client);
  doc->gc = !options->keep_deleted;
  doc->client = doc->fled = LK_NO_CLIENT;
  doc->client_id = options->client;
  doc->item_free = doc->node_free = LK_NONE;
  doc->steps_max = UINT64_MAX;
  doc->typing = LK_TYPING_NONE;
  lk_known_ids_forget(doc);
  lk_buf_init(&doc->emit, &doc->alloc, doc->limits.doc_update_bytes);
  lk_pending_init(doc);
  lk_read_init(doc);
  lk_redone_init(doc);
  *out = doc;
  return LK_OK;
}

static void free_txs(lk_doc *doc, lk_tx *tx) {
  while (tx != NULL) {
    lk_tx *next = tx->next;
    LK_VEC_FREE(doc, tx->ranges);
    LK_VEC_FREE(doc, tx->range_clients);
    LK_VEC_FREE(doc, tx->touched);
    LK_VEC_FREE(doc, tx->merges);
    LK_VEC_FREE(doc, tx->changed);
    LK_VEC_FREE(doc, tx->subdocs);
    lk_free_bytes(&doc->alloc, tx, sizeof *tx);
    tx = next;
  }
}

/* What a document has in arrays of its own. */
static const struct {
  uint16_t at, cap; /* where they stand in lk_doc */
  uint16_t item_size;
} arrays[] = {
#define ARRAY(array, array_cap)                                                                    \
  { offsetof(lk_doc, array), offsetof(lk_doc, array_cap), sizeof *((lk_doc *)0)->array }
#define VEC(vec) ARRAY(vec.at, vec.cap)
  ARRAY(sections, section_cap),
  ARRAY(items, item_cap),
  ARRAY(text, text_cap),
  ARRAY(values, values_cap),
  ARRAY(name_bytes, name_bytes_cap),
  ARRAY(client_index.slots, client_index.cap),
  ARRAY(entry_index.slots, entry_index.cap),
  ARRAY(name_index.slots, name_index.cap),
  ARRAY(marks, marks_cap),
  ARRAY(entry_leaves, entry_leaves_cap),
  VEC(clients),
  VEC(types),
  VEC(entries),
  VEC(names),
  VEC(roots),
  VEC(nodes),
  VEC(held),
#ifndef LK_SMALL /* as LK_FAST_ALL */
  VEC(gone),
  VEC(erased),
#endif
  VEC(later),
  VEC(journal),
  VEC(observers),
  VEC(incoming),
  VEC(stack),
  VEC(dropped),
  VEC(woken),
  VEC(saved),
  VEC(saved_ranges),
#undef VEC
#undef ARRAY
};

void lk_doc_close(lk_doc *doc) {
  if (doc == NULL) return;
  free_txs(doc, doc->tx);
  free_txs(doc, doc->cleanups);
  free_txs(doc, doc->tx_free);
  lk_pending_deinit(doc);
  lk_read_deinit(doc);
  lk_encode_deinit(doc);
  for (uint32_t i = 0; i < doc->clients.count; i++) {
    lk_client *client = &doc->clients.at[i];
    for (uint32_t b = 0; b < client->block_count; b++) {
      lk_free_array(&doc->alloc, client->blocks[b].items, client->blocks[b].cap, sizeof(uint32_t));
    }
    lk_free_array(&doc->alloc, client->blocks, client->block_cap, sizeof(lk_block));
  }
  lk_btree_deinit(&doc->redone);
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
    void *at;
    uint32_t cap;
    memcpy(&at, (const uint8_t *)doc + arrays[i].at, sizeof at);
    memcpy(&cap, (const uint8_t *)doc + arrays[i].cap, sizeof cap);
    lk_free_array(&doc->alloc, at, cap, arrays[i].item_size);
  }
  lk_buf_deinit(&doc->emit);
  const lk_alloc *below = doc->below;
  lk_free_bytes(below, doc, sizeof *doc);
}

uint64_t lk_doc_client(const lk_doc *doc) { return doc->client_id; }
const char *lk_doc_limit_hit(const lk_doc *doc) { return doc->limit_hit; }

/* ---- roots ---- */

lk_err lk_doc_root(lk_doc *doc, lk_slice name, lk_node_kind kind, lk_node *out) {
  uint32_t type;
  lk_call call;
  lk_err err = lk_utf8_check(name);
  if (err == LK_OK) err = lk_call_begin(doc, &call);
  if (err != LK_OK) return err;
  err = lk_root_intern(doc, name, &type);
  if (err == LK_OK && kind != LK_NODE_UNKNOWN && doc->types.at[type].kind != kind) {
    if (doc->types.at[type].kind == LK_NODE_UNKNOWN) doc->types.at[type].kind = (uint8_t)kind;
    else err = LK_ERR_TYPE;
  }
  if (err == LK_OK) *out = lk_node_of(doc, type);
  return lk_call_end(doc, &call, err);
}

lk_err lk_node_resolve(const lk_doc *doc, lk_node node, uint32_t kinds, uint32_t *out) {
  if (node.slot >= doc->types.count) return LK_ERR_NOT_FOUND;
  const lk_type *type = &doc->types.at[node.slot];
  if (type->check != node.check || lk_type_deleted(doc, node.slot)) return LK_ERR_NOT_FOUND;
  if (kinds != 0 && (kinds >> type->kind & 1) == 0) return LK_ERR_TYPE;
  *out = node.slot;
  return LK_OK;
}

/* ---- ranges ---- */

static uint64_t range_key(const lk_range *range) {
  return (uint64_t)range->client << 32 | range->clock;
}

static bool range_below(const lk_range *a, const lk_range *b) {
  return range_key(a) < range_key(b);
}

static bool sorts_before(const void *ctx, const void *a, const void *b) {
  (void)ctx;
  return range_below(a, b);
}

#ifndef LK_SMALL
#define RANGES_FEW 32
#define RANGES_SOME 1024

static void sort_few(lk_range *ranges, uint32_t count) {
  for (uint32_t i = 1; i < count; i++) {
    lk_range range = ranges[i];
    uint32_t at = i;
    for (; at > 0 && range_below(&range, &ranges[at - 1]); at--) ranges[at] = ranges[at - 1];
    ranges[at] = range;
  }
}

/* By a byte of their keys, and otherwise as they are. */
static void sort_by_byte(const lk_range *from, lk_range *to, uint32_t count, uint32_t shift) {
  uint32_t places[256] = { 0 };
  for (uint32_t i = 0; i < count; i++) places[range_key(&from[i]) >> shift & 255]++;
  for (uint32_t i = 0, sum = 0; i < 256; i++) {
    uint32_t here = places[i];
    places[i] = sum;
    sum += here;
  }
  for (uint32_t i = 0; i < count; i++) to[places[range_key(&from[i]) >> shift & 255]++] = from[i];
}

/* A long deletion, or what several authors deleted in turns: which of two is below the other is anybody's guess, so they are not
 * compared. False where there are more of them. */
static bool sort_some(lk_range *ranges, uint32_t count) {
  lk_range others[RANGES_SOME];
  lk_range *from = ranges, *to = others;
  uint64_t differ = 0;
  if (count > RANGES_SOME) return false;
  for (uint32_t i = 1; i < count; i++) differ |= range_key(&ranges[i]) ^ range_key(&ranges[0]);
  for (uint32_t shift = 0; shift < 64; shift += 8) {
    if ((differ >> shift & 255) == 0) continue;
    sort_by_byte(from, to, count, shift);
    lk_range *sorted = to;
    to = from;
    from = sorted;
  }
  if (from != ranges) memcpy(ranges, from, count * sizeof *ranges);
  return true;
}

/* What was loaded is in order, if one author wrote it. */
static bool is_sorted(const lk_range *ranges, uint32_t count) {
  uint32_t i = 1;
  while (i < count && !range_below(&ranges[i], &ranges[i - 1])) i++;
  return i >= count;
}

/* Most are few, or some. */
static bool sort_fast(lk_range *ranges, uint32_t count) {
  if (count > RANGES_FEW) return is_sorted(ranges, count) || sort_some(ranges, count);
  sort_few(ranges, count);
  return true;
}
#else
#define sort_fast(ranges, count) false
#endif

void lk_ranges_sort(lk_range *ranges, uint32_t *count, bool merge) {
  if (!sort_fast(ranges, *count)) lk_sort(ranges, *count, sizeof *ranges, sorts_before, NULL);
  if (!merge || *count == 0) return;
  uint32_t kept = 0;
  for (uint32_t i = 1; i < *count; i++) {
    lk_range *last = &ranges[kept];
    uint64_t end = (uint64_t)last->clock + last->len;
    if (ranges[i].client == last->client && ranges[i].clock <= end) {
      uint64_t to = lk_max_u64(end, (uint64_t)ranges[i].clock + ranges[i].len);
      last->len = (uint32_t)(to - last->clock);
    } else {
      ranges[++kept] = ranges[i];
    }
  }
  *count = kept + 1;
}

bool lk_ranges_have(const lk_range *ranges, uint32_t count, uint32_t client, uint32_t clock) {
  uint32_t low = 0, high = count;
  lk_range key = { client, clock, 0 };
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (range_below(&key, &ranges[middle])) high = middle;
    else low = middle + 1;
  }
  if (low == 0) return false;
  const lk_range *found = &ranges[low - 1];
  return found->client == client && clock - found->clock < found->len;
}

/* ---- transactions ---- */

static void tx_reset(lk_doc *doc, lk_tx *tx, uint64_t origin, bool local) {
  tx->number = ++doc->tx_number;
  tx->depth = 0;
  tx->origin = origin;
  tx->local = local;
  tx->collects = false;
  tx->ranges.count = tx->touched.count = tx->merges.count = tx->changed.count = tx->subdocs.count =
      0;
  tx->range_clients.count = 0;
  tx->range_floor = 0;
  tx->next = NULL;
}

static lk_err tx_open(lk_doc *doc, uint64_t origin) {
  lk_tx *tx = doc->tx_free;
  if (tx != NULL) {
    doc->tx_free = tx->next;
  } else {
    tx = lk_alloc_bytes(&doc->alloc, sizeof *tx);
    if (tx == NULL) return LK_ERR_NOMEM;
    memset(tx, 0, sizeof *tx);
  }
  tx_reset(doc, tx, origin, true);
  doc->tx = tx;
  lk_typing_end(doc);
  doc->journal.count = 0;
  return LK_OK;
}

lk_err lk_doc_begin(lk_doc *doc, uint64_t origin) {
  lk_err err = lk_stroke_settle(doc);
  if (err == LK_OK && doc->tx == NULL) err = tx_open(doc, origin);
  if (err != LK_OK) return err;
  doc->tx->depth++;
  return LK_OK;
}

/* Remote changes of formatted text are cleaned up behind. */
static bool wants_clean_up(const lk_doc *doc, const lk_tx *tx) {
  if (tx->local) return false;
  for (uint32_t i = 0; i < tx->changed.count; i++) {
    const lk_type *type = &doc->types.at[tx->changed.at[i].type];
    if (type->changed < tx->number || (type->flags & LK_TYPE_CLEANS) == 0) continue;
    if (type->kind != LK_NODE_TEXT && type->kind != LK_NODE_XML_TEXT) continue;
    if (!lk_type_deleted(doc, tx->changed.at[i].type)) return true;
  }
  return false;
}

/* Where a remote update had structs of ours, another replica has our id: take a new one. */
static void flee_from_clash(lk_doc *doc, const lk_tx *tx) {
  uint16_t own = lk_client_find(doc, doc->client_id);
  if (tx->local || own == LK_NO_CLIENT || doc->clients.at[own].touched != tx->number) return;
  LK_COVERED(doc_client_clash);
  do doc->client_id = lk_prng_u64(&doc->prng) >> 32;
  while (lk_client_find(doc, doc->client_id) != LK_NO_CLIENT);
  doc->client = LK_NO_CLIENT;
  doc->fled = own;
}

void lk_emit_update(lk_doc *doc, uint32_t what, uint64_t origin, bool local) {
  for (uint32_t i = 0; i < doc->observers.count; i++) {
    lk_observer observer = doc->observers.at[i];
    if (observer.id == 0 || observer.what != what) continue;
    ((lk_doc_update_fn)observer.fn)(observer.ctx, doc, lk_buf_slice(&doc->emit), origin, local);
  }
}

static void emit_update(lk_doc *doc, lk_tx *tx, lk_update_format format) {
  uint32_t what = format == LK_UPDATE_V1 ? LK_OBSERVE_UPDATE_V1 : LK_OBSERVE_UPDATE_V2;
  uint32_t i = 0;
  while (i < doc->observers.count &&
         (doc->observers.at[i].id == 0 || doc->observers.at[i].what != what))
    i++;
  if (i == doc->observers.count) return;
  lk_buf_truncate(&doc->emit, 0);
  /* without memory the observer gets no bytes, and knows by that that it has to ask for them */
  if (lk_tx_encode(doc, tx, format, &doc->emit) != LK_OK) lk_buf_truncate(&doc->emit, 0);
  lk_emit_update(doc, what, tx->origin, tx->local);
}

/* Sorting forgets in which order the clients of the ranges came up, which is the order in which Yjs looks at
 * what was deleted. Without memory it is that of sorting. */
static void note_range_clients(lk_doc *doc, lk_tx *tx) {
  tx->range_clients.count = 0;
  for (uint32_t i = 0; i < tx->ranges.count; i++) {
    uint32_t client = tx->ranges.at[i].client;
    if (i > 0 && client == tx->ranges.at[i - 1].client) continue;
    lk_client *at = &doc->clients.at[client];
    if (at->ranged == tx->number) continue;
    if (LK_VEC_RESERVE(doc, tx->range_clients, 1) != LK_OK) {
      tx->range_clients.count = 0;
      return;
    }
    at->ranged = tx->number;
    tx->range_clients.at[tx->range_clients.count++] = client;
  }
}

static uint32_t first_range(const lk_tx *tx, uint32_t client) {
  uint32_t low = 0, high = tx->ranges.count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (tx->ranges.at[middle].client < client) low = middle + 1;
    else high = middle;
  }
  return low;
}

bool lk_tx_next_range(const lk_tx *tx, lk_range_walk *walk, lk_range *out) {
  bool is_whole = tx->range_clients.count > 0;
  bool goes_on = walk->at > 0 && walk->at < tx->ranges.count &&
                 tx->ranges.at[walk->at].client == tx->ranges.at[walk->at - 1].client;
  if (is_whole && !goes_on) {
    if (walk->client == tx->range_clients.count) return false;
    walk->at = first_range(tx, tx->range_clients.at[walk->client++]);
  }
  if (walk->at >= tx->ranges.count) return false;
  *out = tx->ranges.at[walk->at++];
  return true;
}

/* Whether anybody will look at what the transaction deleted: not where all of it came deleted, as in a document that is
 * loaded, and nobody observes. */
static bool wants_ranges(const lk_doc *doc, const lk_tx *tx) {
  return tx->collects || doc->observers.count > 0 || wants_clean_up(doc, tx);
}

/* What is done when observers of events were told, if there are any. */
static void finish(lk_doc *doc, lk_tx *tx, bool told) {
  if (wants_clean_up(doc, tx)) {
    /* without memory the formats stay as they are; any later clean-up finds them */
    if (lk_text_cleanup(doc, tx) != LK_OK) LK_COVERED(doc_no_clean_up);
  }
  if (doc->gc && tx->collects) lk_tx_collect(doc, tx);
  lk_tx_merge(doc, tx);
  flee_from_clash(doc, tx);
  if (doc->observers.count > 0 && (tx->touched.count > 0 || tx->ranges.count > 0)) {
    emit_update(doc, tx, LK_UPDATE_V1);
    emit_update(doc, tx, LK_UPDATE_V2);
  }
  if (told && tx->subdocs.count > 0) lk_events_subdocs(doc, tx);
}

#define KEEP_MAX 1024

/* What a large transaction needed is not kept for the next one. */
static void tx_shrink(lk_doc *doc, lk_tx *tx) {
  if (tx->ranges.cap > KEEP_MAX) LK_VEC_FREE(doc, tx->ranges);
  if (tx->merges.cap > KEEP_MAX) LK_VEC_FREE(doc, tx->merges);
  if (tx->changed.cap > KEEP_MAX) LK_VEC_FREE(doc, tx->changed);
  if (LK_FAST_ALL && doc->gone.cap > KEEP_MAX) LK_VEC_FREE(doc, doc->gone);
}

/* The first one that waited for its clean-up is done. */
static void retire(lk_doc *doc) {
  lk_tx *done = doc->cleanups;
  doc->cleanups = done->next;
  tx_shrink(doc, done);
  done->next = doc->tx_free;
  doc->tx_free = done;
}

/* Tells those who want updates of what is done and cleaned up behind, and nobody else is there. */
static void tell_updates(lk_doc *doc, lk_tx *tx) {
  doc->cleaning = true;
  doc->cleanups = tx;
  if (doc->observers.count > 0) {
    lk_ranges_sort(tx->ranges.at, &tx->ranges.count, true);
    if (LK_FAST_ALL && lk_replace_emit(doc, tx)) {
      lk_emit_update(doc, LK_OBSERVE_UPDATE_V1, tx->origin, tx->local);
    } else {
      emit_update(doc, tx, LK_UPDATE_V1);
      emit_update(doc, tx, LK_UPDATE_V2);
    }
  }
  retire(doc);
  if (doc->cleanups != NULL) lk_cleanups_run(doc);
  doc->cleaning = false;
  lk_doc_tidy(doc);
}

/* Of updates, where they are not written yet. */
static void emit_updates(lk_doc *doc, lk_tx *tx, bool written) {
  if (written) lk_emit_update(doc, LK_OBSERVE_UPDATE_V1, tx->origin, tx->local);
  else if (doc->update_observers > 0) emit_update(doc, tx, LK_UPDATE_V1);
  if (doc->update2_observers > 0) emit_update(doc, tx, LK_UPDATE_V2);
}

/* To observers of events, and then to all others, what |stroke| says, which is |tx|. Where they looked closer, or changed
 * something, or what was kept is wanted by nobody, it has become a transaction like any other. */
static void tell_events(lk_doc *doc, lk_tx *tx, bool written) {
  lk_stroke *stroke = &doc->stroke;
  doc->cleaning = true;
  doc->cleanups = tx;
  stroke->tx = tx;
  lk_events_call(doc, tx);
  bool as_it_was = stroke->tx != NULL;
  if (as_it_was && stroke->kept && !stroke->wanted) as_it_was = lk_stroke_open(doc) != LK_OK;
  stroke->tx = NULL;
  if (as_it_was) {
    bool is_many = LK_FAST_ALL && stroke->many;
    emit_updates(doc, tx, is_many ? lk_replace_emit(doc, tx) : written);
  } else {
    finish(doc, tx, true);
  }
  retire(doc);
  if (doc->cleanups != NULL) lk_cleanups_run(doc);
  doc->cleaning = false;
}

#ifndef LK_SMALL
/* The same for many deletions, and what was typed instead. */
static void tell_many(lk_doc *doc, lk_tx *tx) {
  note_range_clients(doc, tx);
  lk_ranges_sort(tx->ranges.at, &tx->ranges.count, true);
  tell_events(doc, tx, false);
  lk_doc_tidy(doc);
}
#else
#define tell_many(doc, tx) ((void)0)
#endif

static void clean_up(lk_doc *doc, lk_tx *tx) {
  if (!wants_ranges(doc, tx)) tx->ranges.count = 0;
  note_range_clients(doc, tx);
  lk_ranges_sort(tx->ranges.at, &tx->ranges.count, true);
  for (uint32_t i = 0; i < tx->touched.count; i++) {
    tx->touched.at[i].after = doc->clients.at[tx->touched.at[i].client].clock;
  }
  bool told = doc->event_observers > 0;
  if (told) lk_events_call(doc, tx);
  finish(doc, tx, told);
}

void lk_doc_commit(lk_doc *doc) {
  lk_tx *tx = doc->tx;
  LK_ASSERT(tx != NULL && tx->depth > 0);
  if (--tx->depth > 0) return;
  doc->tx = NULL;
  if (LK_FAST_ALL && doc->stroke.tx == tx) {
    if (doc->event_observers > 0 || doc->stroke.kept) { /* by whom, that may have gone */
      tell_many(doc, tx);
      return;
    }
    doc->stroke.tx = NULL;
    tell_updates(doc, tx);
    return;
  }
  doc->journal.count = 0;
  lk_tx **end = &doc->cleanups;
  while (*end != NULL) end = &(*end)->next;
  *end = tx;
  if (!doc->cleaning) lk_cleanups_run(doc);
}

void lk_cleanups_run(lk_doc *doc) {
  doc->cleaning = true;
  while (doc->cleanups != NULL) {
    clean_up(doc, doc->cleanups);
    retire(doc);
  }
  doc->cleaning = false;
  lk_doc_tidy(doc);
}

/* ---- strokes ---- */

bool lk_stroke_ready(lk_doc *doc) {
  lk_tx *tx = doc->tx_free;
  return tx != NULL && LK_VEC_RESERVE(doc, tx->changed, 1) == LK_OK &&
         LK_VEC_RESERVE(doc, tx->touched, 1) == LK_OK &&
         LK_VEC_RESERVE(doc, tx->ranges, 1) == LK_OK;
}

static void note_changed(lk_doc *doc, lk_tx *tx, uint32_t slot) {
  lk_type *type = &doc->types.at[slot];
  type->changed = type->changed_list = tx->number;
  tx->changed.at[tx->changed.count++] = (lk_change){ slot, LK_NONE, LK_NONE };
}

static void note_typed(lk_doc *doc, lk_tx *tx, const lk_stroke *stroke) {
  lk_client *client = &doc->clients.at[stroke->client];
  client->touched = tx->number;
  client->before = stroke->clock;
  tx->touched.at[tx->touched.count++] = (lk_touched){ stroke->client, stroke->clock,
                                                      stroke->clock + stroke->len };
}

/* What a transaction would know about it. */
static lk_tx *stroke_tx(lk_doc *doc, const lk_stroke *stroke, uint64_t origin, bool local) {
  lk_tx *tx = doc->tx_free;
  doc->tx_free = tx->next;
  tx_reset(doc, tx, origin, local);
  tx->collects = stroke->deleted;
  note_changed(doc, tx, stroke->type);
  if (stroke->deleted)
    tx->ranges.at[tx->ranges.count++] = (lk_range){ stroke->client, stroke->clock, stroke->len };
  else note_typed(doc, tx, stroke);
  return tx;
}

void lk_stroke_tell(lk_doc *doc, const lk_stroke *stroke, uint64_t origin, bool local) {
  lk_tx *tx = stroke_tx(doc, stroke, origin, local);
  doc->stroke = *stroke;
  tell_events(doc, tx, doc->update_observers > 0);
}

#ifndef LK_SMALL
void lk_replace_tell(lk_doc *doc, lk_tx *tx, uint64_t origin, bool local) {
  const lk_stroke *what = &doc->stroke;
  uint32_t count = tx->ranges.count;
  doc->tx_free = tx->next;
  tx_reset(doc, tx, origin, local);
  tx->ranges.count = count;
  if (what->len > 0) note_typed(doc, tx, what);
  if (doc->event_observers == 0) {
    tell_updates(doc, tx);
    return;
  }
  tx->collects = true;
  note_changed(doc, tx, what->type);
  tell_many(doc, tx);
}
#endif

lk_err lk_call_begin(lk_doc *doc, lk_call *call) {
  lk_err err = lk_doc_begin(doc, 0);
  if (err != LK_OK) return err;
  doc->tx->range_floor = doc->tx->ranges.count;
  lk_doc_mark(doc, &call->mark);
  doc->calls++;
  return LK_OK;
}

lk_err lk_call_end(lk_doc *doc, lk_call *call, lk_err err) {
  if (err == LK_OK && doc->later.count > 0) err = lk_deletes_finish(doc);
  if (err != LK_OK) {
    doc->later.count = doc->deleted_within = 0;
    lk_items_take_back(doc, call->mark.journal);
    lk_doc_rollback(doc, &call->mark);
  }
  if (--doc->calls == 0) doc->journal.count = 0; /* a transaction is never taken back as a whole */
  doc->tx->range_floor = doc->tx->ranges.count;
  lk_doc_commit(doc);
  return err;
}

/* ---- observers of updates ---- */

/* Whether text_fast.c writes them. */
#ifdef LK_SMALL
#define STROKES_IN_V2 false
#else
#define STROKES_IN_V2 true
#endif

/* One observer more, or less. */
static void count_observer(lk_doc *doc, uint32_t what, uint32_t more) {
  if (what == LK_OBSERVE_UPDATE_V1) doc->update_observers += more;
  else if (what == LK_OBSERVE_UPDATE_V2) doc->update2_observers += more;
  else doc->event_observers += more;
  if (what == LK_OBSERVE_AFTER) doc->after_observers += more;
  doc->tells_txs = doc->event_observers > 0 ||
                   (doc->update2_observers > 0 && (doc->update_observers > 0 || !STROKES_IN_V2));
}

lk_err lk_observer_add(lk_doc *doc, uint32_t what, uint32_t type, void (*fn)(void), void *ctx,
                       uint32_t *id) {
  if (doc->observers.count >= doc->limits.doc_observers_count)
    return lk_doc_limit(doc, "doc_observers_count");
  lk_err err = LK_FAST_ALL && doc->tx != NULL ? lk_stroke_settle(doc) : LK_OK;
  if (err == LK_OK) err = LK_VEC_RESERVE(doc, doc->observers, 1);
  if (err != LK_OK) return err;
  uint32_t number = ++doc->observer_next;
  doc->observers.at[doc->observers.count++] = (lk_observer){ number, what, type, fn, ctx };
  count_observer(doc, what, 1);
  if (id != NULL) *id = number;
  return LK_OK;
}

lk_err lk_doc_on_update(lk_doc *doc, lk_update_format format, lk_doc_update_fn fn, void *ctx,
                        uint32_t *id) {
  if (format != LK_UPDATE_V1 && format != LK_UPDATE_V2) return LK_ERR_INVALID;
  return lk_observer_add(doc, format == LK_UPDATE_V1 ? LK_OBSERVE_UPDATE_V1 : LK_OBSERVE_UPDATE_V2,
                         LK_NONE, (void (*)(void))fn, ctx, id);
}

void lk_doc_off(lk_doc *doc, uint32_t id) {
  lk_typing_end(doc); /* which goes by whether there are observers */
  for (uint32_t i = 0; i < doc->observers.count; i++) {
    lk_observer *observer = &doc->observers.at[i];
    if (observer->id != id || id == 0) continue;
    count_observer(doc, observer->what, UINT32_MAX);
    observer->id = 0; /* its place is taken by nobody while others may be walking over it */
  }
  while (doc->observers.count > 0 && doc->observers.at[doc->observers.count - 1].id == 0)
    doc->observers.count--;
}

/* ---- how large is it ---- */

lk_doc_memory_use lk_doc_memory(const lk_doc *doc) {
  lk_doc_memory_use use = {
    .total = doc->bytes + sizeof *doc,
    .items = (size_t)doc->item_cap * sizeof(lk_item),
    .text = doc->text_cap,
    .values = doc->values_cap,
    .index = (size_t)doc->nodes.cap * sizeof(lk_order_node),
    .names = doc->name_bytes_cap + (size_t)doc->names.cap * sizeof(lk_name) +
             (size_t)doc->name_index.cap * sizeof(uint32_t),
    .pending = doc->pending_bytes,
  };
  for (uint32_t i = 0; i < doc->clients.count; i++) {
    const lk_client *client = &doc->clients.at[i];
    use.items += client->block_cap * sizeof(lk_block);
    for (uint32_t b = 0; b < client->block_count; b++)
      use.items += client->blocks[b].cap * sizeof(uint32_t);
  }
  use.other = use.total - use.items - use.text - use.values - use.index - use.names - use.pending;
  return use;
}

lk_doc_size lk_doc_get_size(const lk_doc *doc) {
  lk_doc_size size = { .structs = 0 };
  for (uint32_t i = 0; i < doc->clients.count; i++) {
    if (doc->clients.at[i].clock == 0) continue;
    size.clients++;
    size.units += doc->clients.at[i].clock;
  }
  for (uint32_t i = 0; i < doc->item_count; i++) {
    const lk_item *item = &doc->items[i];
    if (item->kind == LK_CONTENT_FREE || (item->flags & LK_ITEM_JOINED) != 0) continue;
    size.structs++;
    size.tombstones += lk_item_deleted(item);
    size.nodes += item->kind == LK_CONTENT_TYPE && !lk_item_deleted(item);
  }
  size.nodes += doc->roots.count;
  return size;
}
