/* doc/events.c -- telling observers what changed.
 *
 * A transaction leaves behind which nodes it changed, and of each whether its list or which of its keys. When it is
 * over these changes are put together by node, and everybody is told, in the order that Yjs has:
 *
 *   observers of a node   node by node, in the order in which the nodes were first changed
 *   deep observers        of each node on the ways from those to their roots, with all events below it, those with
 *                         the shortest path first
 *   undo managers
 *   subdocuments          once the updates are out
 *
 * An event is a few numbers on the stack: what it tells is worked out when somebody asks. So a keystroke costs an
 * observer a call and little else.
 *
 * Callbacks may change the document. Their transactions are committed but not cleaned up while this one is being
 * told about; they wait in a list behind it. A node that was deleted so is not told about any more. What they insert
 * counts as inserted by this transaction too, since it is there and was not there before: Yjs has it so. And
 * callbacks may come and go: who went is not called, who came hears of the next transaction. The ids tell, as they
 * only grow.
 *
 * Telling needs no memory, but for two things: many events for one deep observer, and changes that come in
 * disorder. Without memory the observer gets its events in several calls, and the nodes come in another order. */
#include "doc/events.h"

#include "base/sort.h"

#include "doc/read.h"

/* On |what| of a deep observer: was called for this transaction. */
#define CALLED (1u << 31)

/* Deleted, and perhaps collected since. */
static bool is_gone(const lk_doc *doc, uint32_t type) {
  return (doc->types.at[type].flags & LK_TYPE_FREED) != 0 || lk_type_deleted(doc, type);
}

static uint32_t parent_of(const lk_doc *doc, uint32_t type) {
  uint32_t item = doc->types.at[type].item;
  return item == LK_NONE ? LK_NONE : doc->items[item].parent;
}

static bool is_within(const lk_doc *doc, uint32_t type, uint32_t outer) {
  while (type != outer && type != LK_NONE) type = parent_of(doc, type);
  return type == outer;
}

/* ---- what the transaction changed, by node ---- */

/* What was taken back has a mark that is older; what was changed again since has one that is younger. */
static void drop_taken_back(const lk_doc *doc, lk_tx *tx) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < tx->changed.count; i++) {
    const lk_change *change = &tx->changed.at[i];
    if (doc->types.at[change->type].changed >= tx->number) tx->changed.at[kept++] = *change;
  }
  tx->changed.count = kept;
}

typedef struct place {
  lk_change change;
  uint32_t first; /* where the first change of the same node was */
  uint32_t at;
} place;

static bool by_type(const void *ctx, const void *left, const void *right) {
  const place *a = left, *b = right;
  (void)ctx;
  return a->change.type != b->change.type ? a->change.type < b->change.type : a->at < b->at;
}
static bool by_first(const void *ctx, const void *left, const void *right) {
  const place *a = left, *b = right;
  (void)ctx;
  return a->first != b->first ? a->first < b->first : a->at < b->at;
}

static void group_places(lk_tx *tx, place *places, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) places[i] = (place){ tx->changed.at[i], i, i };
  lk_sort(places, count, sizeof *places, by_type, NULL);
  for (uint32_t i = 1; i < count; i++) {
    if (places[i].change.type == places[i - 1].change.type) places[i].first = places[i - 1].first;
  }
  lk_sort(places, count, sizeof *places, by_first, NULL);
  for (uint32_t i = 0; i < count; i++) tx->changed.at[i] = places[i].change;
}

#define FEW 8

static bool is_grouped(const lk_tx *tx) {
  const lk_change *changes = tx->changed.at;
  if (tx->changed.count > FEW) return false;
  for (uint32_t i = 1; i < tx->changed.count; i++) {
    if (changes[i].type == changes[i - 1].type) continue;
    for (uint32_t j = 0; j < i - 1; j++) {
      if (changes[j].type == changes[i].type) return false;
    }
  }
  return true;
}

/* Without memory the changes of one node may lie apart: the node is then told about more than once. */
static void group_changes(lk_doc *doc, lk_tx *tx) {
  place few[FEW], *places = few;
  uint32_t count = tx->changed.count;
  if (count < 2 || is_grouped(tx)) return;
  if (count > FEW) places = lk_alloc_array(&doc->alloc, count, sizeof *places);
  if (places == NULL) return;
  group_places(tx, places, count);
  if (count > FEW) lk_free_array(&doc->alloc, places, count, sizeof *places);
}

static lk_event event_at(lk_doc *doc, const lk_tx *tx, uint32_t first, uint32_t observed) {
  uint32_t target = tx->changed.at[first].type, end = first + 1;
  while (end < tx->changed.count && tx->changed.at[end].type == target) end++;
  return (lk_event){ doc, tx, target, observed, first, end - first };
}

/* ---- observers of nodes ---- */

/* |newest| is the id of the last observer that was there when the transaction was over. */
static bool is_called(const lk_observer *observer, uint32_t what, uint32_t newest) {
  return observer->what == what && observer->id != 0 && observer->id <= newest;
}

static void call_nodes(lk_doc *doc, const lk_tx *tx, uint32_t newest) {
  lk_event event;
  for (uint32_t at = 0; at < tx->changed.count; at += event.count) {
    event = event_at(doc, tx, at, LK_NONE);
    if (is_gone(doc, event.target)) continue;
    for (uint32_t i = 0; i < doc->observers.count; i++) {
      lk_observer observer = doc->observers.at[i];
      if (observer.type != event.target || !is_called(&observer, LK_OBSERVE_NODE, newest)) continue;
      ((lk_event_fn)observer.fn)(observer.ctx, doc, &event);
    }
  }
}

/* ---- deep observers ---- */

static void hand_over(lk_doc *doc, uint32_t type, const lk_event *const *events, size_t count,
                      uint32_t newest) {
  for (uint32_t i = 0; i < doc->observers.count; i++) {
    lk_observer observer = doc->observers.at[i];
    if (observer.type != type || !is_called(&observer, LK_OBSERVE_DEEP | CALLED, newest)) continue;
    ((lk_events_fn)observer.fn)(observer.ctx, doc, events, count);
  }
}

/* Those of |type|, which are called next. */
static uint32_t mark_called(lk_doc *doc, uint32_t type, uint32_t newest) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < doc->observers.count; i++) {
    lk_observer *observer = &doc->observers.at[i];
    if (observer->type != type || !is_called(observer, LK_OBSERVE_DEEP, newest)) continue;
    observer->what |= CALLED;
    count++;
  }
  return count;
}

typedef struct depths {
  const lk_doc *doc;
  const lk_tx *tx;
} depths;

static bool is_higher(const void *ctx, uint32_t a, uint32_t b) {
  const depths *self = ctx;
  uint32_t x = self->doc->types.at[self->tx->changed.at[a].type].depth;
  uint32_t y = self->doc->types.at[self->tx->changed.at[b].type].depth;
  return x != y ? x < y : a < b;
}

/* From the change |*at| on: where the changes of up to |cap| nodes within |type| begin. */
static uint32_t gather(const lk_doc *doc, const lk_tx *tx, uint32_t type, uint32_t *at,
                       uint32_t *firsts, uint32_t cap) {
  uint32_t count = 0;
  for (; *at < tx->changed.count && count < cap; ++*at) {
    uint32_t target = tx->changed.at[*at].type;
    if (*at > 0 && tx->changed.at[*at - 1].type == target) continue;
    if (!is_gone(doc, target) && is_within(doc, target, type)) firsts[count++] = *at;
  }
  return count;
}

typedef struct round_memory {
  lk_event *events;
  const lk_event **pointers;
  uint32_t *firsts;
  uint32_t cap;
} round_memory;

static void call_deep_at(lk_doc *doc, const lk_tx *tx, uint32_t type, uint32_t newest,
                         const round_memory *memory) {
  depths depth = { doc, tx };
  for (uint32_t at = 0; at < tx->changed.count;) {
    uint32_t count = gather(doc, tx, type, &at, memory->firsts, memory->cap);
    lk_refs refs = { .at = memory->firsts, .count = count, .cap = count };
    if (count > 1) lk_refs_sort(&refs, 0, is_higher, &depth);
    for (uint32_t i = 0; i < count; i++) {
      memory->events[i] = event_at(doc, tx, memory->firsts[i], type);
      memory->pointers[i] = &memory->events[i];
    }
    if (count > 0) hand_over(doc, type, memory->pointers, count, newest);
  }
}

static void walk_up(lk_doc *doc, const lk_tx *tx, uint32_t newest, uint32_t waiting,
                    const round_memory *memory) {
  for (uint32_t i = 0; i < tx->changed.count && waiting > 0; i++) {
    uint32_t type = tx->changed.at[i].type;
    if (is_gone(doc, type)) continue;
    for (; type != LK_NONE && waiting > 0; type = parent_of(doc, type)) {
      uint32_t called = mark_called(doc, type, newest);
      if (called > 0) call_deep_at(doc, tx, type, newest, memory);
      waiting -= called;
    }
  }
}

static void call_deep(lk_doc *doc, const lk_tx *tx, uint32_t newest) {
  lk_event few_events[FEW];
  const lk_event *few_pointers[FEW];
  uint32_t few_firsts[FEW], waiting = 0;
  round_memory memory = { few_events, few_pointers, few_firsts, FEW };
  lk_event *many = NULL;
  uint32_t count = tx->changed.count;
  size_t size = sizeof(lk_event) + sizeof(lk_event *) + sizeof(uint32_t);
  if (count > FEW) many = lk_alloc_array(&doc->alloc, count, size);
  if (many != NULL) {
    const lk_event **pointers = (const lk_event **)(void *)(many + count);
    memory = (round_memory){ many, pointers, (uint32_t *)(void *)(pointers + count), count };
  }
  for (uint32_t i = 0; i < doc->observers.count; i++) {
    waiting += is_called(&doc->observers.at[i], LK_OBSERVE_DEEP, newest);
  }
  walk_up(doc, tx, newest, waiting, &memory);
  if (many != NULL) lk_free_array(&doc->alloc, many, count, size);
  for (uint32_t i = 0; i < doc->observers.count; i++) doc->observers.at[i].what &= ~CALLED;
}

/* ---- subdocuments ---- */

/* From here on |subdocs| holds where their values are, with bit 0 for those that came: what was deleted is
 * collected before it is told about. A value stays where it is until all clean-up is over. One that came and went is
 * told about to nobody. */
static void keep_subdocs(lk_doc *doc, lk_tx *tx) {
  lk_event event = { .doc = doc, .tx = tx };
  uint32_t kept = 0;
  for (uint32_t i = 0; i < tx->subdocs.count; i++) {
    const lk_item *item = &doc->items[tx->subdocs.at[i]];
    if (item->kind != LK_CONTENT_DOC) continue;
    bool came = lk_event_adds(&event, item), went = lk_event_deletes(&event, item);
    if (came != went) tx->subdocs.at[kept++] = item->content | (uint32_t)came;
  }
  tx->subdocs.count = kept;
}

static lk_value subdoc_at(const lk_doc *doc, uint32_t at) {
  return (lk_value){ .kind = LK_VALUE_DOC,
                     .bytes = lk_name_slice(doc, lk_value_head_at(doc, at)->name),
                     .options = lk_value_bytes(doc, at) };
}

/* Those that came first, then those that went. */
static void call_subdocs(lk_doc *doc, const uint32_t *subdocs, uint32_t count, lk_value *values) {
  uint32_t came = 0, filled = 0;
  for (uint32_t i = 0; i < count; i++) {
    if ((subdocs[i] & 1) != 0) values[came++] = subdoc_at(doc, subdocs[i] & ~1u);
  }
  filled = came;
  for (uint32_t i = 0; i < count; i++) {
    if ((subdocs[i] & 1) == 0) values[filled++] = subdoc_at(doc, subdocs[i]);
  }
  for (uint32_t i = 0; i < doc->observers.count; i++) {
    lk_observer observer = doc->observers.at[i];
    if (observer.what != LK_OBSERVE_SUBDOCS || observer.id == 0) continue;
    ((lk_subdocs_fn)observer.fn)(observer.ctx, doc, values, came, values + came, filled - came);
  }
}

/* Without memory they come a few at a time. */
void lk_events_subdocs(lk_doc *doc, lk_tx *tx) {
  lk_value few[FEW], *values = few;
  uint32_t count = tx->subdocs.count, cap = FEW;
  bool wanted = false;
  for (uint32_t i = 0; i < doc->observers.count; i++)
    wanted |= doc->observers.at[i].what == LK_OBSERVE_SUBDOCS;
  if (!wanted || count == 0) return;
  if (count > FEW) {
    values = lk_alloc_array(&doc->alloc, count, sizeof *values);
    if (values != NULL) cap = count;
    else values = few;
  }
  for (uint32_t at = 0; at < count; at += cap) {
    call_subdocs(doc, tx->subdocs.at + at, lk_min_u32(cap, count - at), values);
  }
  if (values != few) lk_free_array(&doc->alloc, values, count, sizeof *values);
  tx->subdocs.count = 0;
}

/* ---- the round ---- */

static void call_after(lk_doc *doc, lk_tx *tx, uint32_t newest) {
  for (uint32_t i = 0; i < doc->observers.count; i++) {
    lk_observer observer = doc->observers.at[i];
    if (is_called(&observer, LK_OBSERVE_AFTER, newest))
      ((lk_after_fn)observer.fn)(observer.ctx, doc, tx);
  }
}

void lk_events_call(lk_doc *doc, lk_tx *tx) {
  uint32_t newest = doc->observer_next, kinds = 0;
  for (uint32_t i = 0; i < doc->observers.count; i++) {
    if (doc->observers.at[i].id != 0) kinds |= 1u << doc->observers.at[i].what;
  }
  drop_taken_back(doc, tx);
  if ((kinds & 1u << LK_OBSERVE_SUBDOCS) != 0) keep_subdocs(doc, tx);
  else tx->subdocs.count = 0; /* they are items still, which nobody may take for values */
  if ((kinds & (1u << LK_OBSERVE_NODE | 1u << LK_OBSERVE_DEEP)) != 0) group_changes(doc, tx);
  if ((kinds & 1u << LK_OBSERVE_NODE) != 0) call_nodes(doc, tx, newest);
  if ((kinds & 1u << LK_OBSERVE_DEEP) != 0) call_deep(doc, tx, newest);
  if ((kinds & 1u << LK_OBSERVE_AFTER) != 0) call_after(doc, tx, newest);
}

/* ---- observing ---- */

static lk_err observe(lk_doc *doc, lk_node node, uint32_t what, void (*fn)(void), void *ctx,
                      uint32_t *id) {
  uint32_t type;
  lk_err err = lk_node_resolve(doc, node, 0, &type);
  return err == LK_OK ? lk_observer_add(doc, what, type, fn, ctx, id) : err;
}

lk_err lk_doc_observe(lk_doc *doc, lk_node node, lk_event_fn fn, void *ctx, uint32_t *id) {
  return observe(doc, node, LK_OBSERVE_NODE, (void (*)(void))fn, ctx, id);
}

lk_err lk_doc_observe_deep(lk_doc *doc, lk_node node, lk_events_fn fn, void *ctx, uint32_t *id) {
  return observe(doc, node, LK_OBSERVE_DEEP, (void (*)(void))fn, ctx, id);
}

lk_err lk_doc_on_subdocs(lk_doc *doc, lk_subdocs_fn fn, void *ctx, uint32_t *id) {
  return lk_observer_add(doc, LK_OBSERVE_SUBDOCS, LK_NONE, (void (*)(void))fn, ctx, id);
}

/* ---- what an event tells ---- */

lk_node lk_event_target(const lk_event *event) { return lk_node_of(event->doc, event->target); }
uint64_t lk_event_origin(const lk_event *event) { return event->tx->origin; }
bool lk_event_local(const lk_event *event) { return event->tx->local; }

bool lk_event_list_changed(const lk_event *event) {
  for (uint32_t i = 0; i < event->count; i++) {
    if (event->tx->changed.at[event->first + i].entry == LK_NONE) return true;
  }
  return false;
}

/* The state of |client| before the transaction: as the first one said that touched it, this one or one that came
 * while this one was being told about. */
uint32_t lk_event_before(const lk_event *event, uint16_t number) {
  const lk_client *client = &event->doc->clients.at[number];
  for (const lk_tx *tx = event->tx; tx != NULL && client->touched >= tx->number;
       tx = lk_event_next_tx(event->doc, tx)) {
    if (client->touched == tx->number) return client->before;
    for (uint32_t i = 0; i < tx->touched.count; i++) {
      if (tx->touched.at[i].client == number) return tx->touched.at[i].before;
    }
  }
  return client->clock;
}

/* ---- paths ---- */

static uint32_t ancestor(const lk_doc *doc, uint32_t type, uint32_t up) {
  for (; up > 0; up--) type = parent_of(doc, type);
  return type;
}

static lk_err put_step(lk_doc *doc, uint32_t type, const lk_event_form *form, lk_buf *out) {
  uint32_t number = doc->types.at[type].item;
  const lk_item *item = &doc->items[number];
  if ((item->flags & LK_ITEM_SUB) == 0) return form->index(out, lk_list_index(doc, number));
  return form->string(out, lk_name_slice(doc, doc->entries.at[item->leaf].key));
}

/* From the top down. Ways are short: each step looks for its node from below. */
lk_err lk_event_path_as(const lk_event *event, const lk_event_form *form, lk_buf *out) {
  size_t start = out->len;
  uint32_t steps = 0;
  if (out->err != LK_OK) return out->err;
  for (uint32_t type = event->target;
       type != event->observed && event->doc->types.at[type].item != LK_NONE; steps++) {
    type = parent_of(event->doc, type);
  }
  lk_err err = lk_buf_append(out, form->mark[LK_SAY_BEGIN]);
  for (bool some = false; steps > 0 && err == LK_OK; steps--, some = true) {
    if (some) (void)lk_buf_append(out, form->mark[LK_SAY_COMMA]);
    err = put_step(event->doc, ancestor(event->doc, event->target, steps - 1), form, out);
  }
  if (err == LK_OK) err = lk_buf_append(out, form->mark[LK_SAY_END]);
  if (err != LK_OK) lk_buf_truncate(out, start);
  return err;
}

lk_err lk_event_path(const lk_event *event, lk_buf *out) {
  return lk_event_path_as(event, &lk_event_json, out);
}

/* ---- keys ---- */

/* What happened to the key whose last item is |last|, and the item that held before; false for nothing. */
static bool key_action(const lk_event *event, uint32_t last, lk_key_action *action, uint32_t *old) {
  const lk_doc *doc = event->doc;
  const lk_item *item = &doc->items[last];
  bool gone = lk_event_deletes(event, item);
  *old = last;
  *action = LK_KEY_DELETE;
  if (!lk_event_adds(event, item)) return gone;
  do *old = doc->items[*old].left;
  while (*old != LK_NONE && lk_event_adds(event, &doc->items[*old]));
  bool held = *old != LK_NONE && lk_event_deletes(event, &doc->items[*old]);
  if (gone) return held;
  if (!held) *old = LK_NONE;
  *action = held ? LK_KEY_UPDATE : LK_KEY_ADD;
  return true;
}

bool lk_event_next_key_as(const lk_event *event, const lk_event_form *form, uint32_t *cursor,
                          lk_slice *key, lk_key_action *action, lk_buf *out) {
  const lk_doc *doc = event->doc;
  while (*cursor < event->count) {
    const lk_change *change = &event->tx->changed.at[event->first + (*cursor)++];
    uint32_t old, last = change->entry == LK_NONE ? LK_NONE : doc->entries.at[change->entry].last;
    if (last == LK_NONE || !key_action(event, last, action, &old)) continue;
    *key = lk_name_slice(doc, change->key);
    if (out != NULL && old != LK_NONE) {
      const lk_item *item = &doc->items[old];
      lk_err err = form->value(doc, item, item->len - 1, out);
      if (err != LK_OK && out->err == LK_OK) out->err = err;
    }
    return true;
  }
  return false;
}

bool lk_event_next_key(const lk_event *event, uint32_t *cursor, lk_slice *key,
                       lk_key_action *action, lk_buf *old_json) {
  return lk_event_next_key_as(event, &lk_event_json, cursor, key, action, old_json);
}
