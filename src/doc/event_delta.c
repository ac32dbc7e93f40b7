/* doc/event_delta.c -- what happened to a list, as a delta.
 *
 *   before  a b c d e        [{"retain":1},{"insert":"X"},{"retain":2},{"delete":1}]
 *   now     a X b c e
 *
 * Yjs walks the list from its beginning to its end. Here only what the transaction made or deleted is looked at:
 * the clock ranges of both are known, and the order index of the list puts them in order and tells at which index
 * they are; what lies between two of them was retained. A list that is too short for an index is walked, and so is
 * one of which a great part changed.
 *
 * What was changed lies in runs of neighbours. Only the first of each run is sorted; from there the walk goes to the
 * right as long as what comes was changed.
 *
 * Formatting makes a text's delta depend on more than the changes. An insertion comes with the attributes that hold
 * there, which the formatting on the whole way from the beginning decides. And where formatting was inserted or
 * deleted, what is retained behind it has other attributes than before, up to formatting that sets them again. So
 * where it matters the walk stops at live formatting too. It keeps three maps, as Yjs does:
 *
 *   current     attributes that hold here, now
 *   old         that held here before
 *   attributes  what became of those of the units that are being retained
 *
 * Like Yjs, the walk deletes formatting that turns out to say nothing new: in a transaction of its own, which
 * others are told about. That reading changes the document is odd, but other replicas see the deletions
 * of a Yjs that was asked, and would not see ours. */
#include "doc/events.h"

#include "codec/base64.h"
#include "codec/json_writer.h"
#include "codec/utf.h"
#include "doc/read.h"
#include "doc/text.h"

/* ---- values ---- */

static lk_err put_string(lk_buf *out, lk_slice text) {
  lk_json_writer w;
  lk_json_writer_init(&w, out);
  (void)lk_json_write_string(&w, text);
  return lk_json_writer_finish(&w);
}

static lk_err put_bytes(const lk_doc *doc, lk_slice bytes, lk_buf *out) {
  lk_buf text;
  lk_buf_init(&text, &doc->alloc, SIZE_MAX / 2);
  lk_err err = lk_base64_encode(&text, bytes, LK_BASE64_FORM_STANDARD);
  if (err == LK_OK) err = put_string(out, lk_buf_slice(&text));
  lk_buf_deinit(&text);
  return err;
}

/* Text that is kept as JSON is as JSON.stringify writes it, but for undefined. */
static lk_err put_plain(lk_slice value, bool json, lk_buf *out) {
  if (!json) return lk_doc_json_of_any(value, out);
  return lk_buf_append(out, lk_slice_equal(value, LK_LIT("undefined")) ? LK_LIT("null") : value);
}

static lk_err put_unit(const lk_doc *doc, const lk_item *item, uint32_t at, lk_buf *out) {
  uint8_t bytes[4];
  return put_string(out, lk_slice_of(bytes, lk_utf8_encode(lk_item_unit(doc, item, at), bytes)));
}

static bool has_many(const lk_item *item) {
  return item->kind == LK_CONTENT_ANY || item->kind == LK_CONTENT_JSON;
}

static lk_err put_any(const lk_doc *doc, const lk_item *item, uint32_t at, lk_buf *out) {
  lk_read_values values = lk_read_values_of(doc, item);
  for (; at > 0; at--) (void)lk_read_next_value(&values);
  lk_slice value = lk_read_next_value(&values);
  return put_plain(value, values.json, out);
}

static lk_err put_value(const lk_doc *doc, const lk_item *item, uint32_t at, lk_buf *out) {
  switch (item->kind) {
  case LK_CONTENT_ANY:
  case LK_CONTENT_JSON: return put_any(doc, item, at, out);
  case LK_CONTENT_EMBED: return lk_doc_json_of_any(lk_value_bytes(doc, item->content), out);
  case LK_CONTENT_STRING: return put_unit(doc, item, at, out);
  case LK_CONTENT_BINARY: return put_bytes(doc, lk_value_bytes(doc, item->content), out);
  case LK_CONTENT_TYPE: return lk_read_json(doc, item->content, out);
  case LK_CONTENT_DOC: return lk_buf_append(out, LK_LIT("{}"));
  default: return lk_buf_append(out, LK_LIT("null"));
  }
}

static lk_err put_decimal(lk_buf *out, uint32_t number) {
  return lk_buf_append_decimal(out, number);
}

const lk_event_form lk_event_json = {
  .mark = { [LK_SAY_BEGIN] = LK_LIT_INIT("["),
            [LK_SAY_END] = LK_LIT_INIT("]"),
            [LK_SAY_COMMA] = LK_LIT_INIT(","),
            [LK_SAY_RETAIN] = LK_LIT_INIT("{\"retain\":"),
            [LK_SAY_DELETE] = LK_LIT_INIT("{\"delete\":"),
            [LK_SAY_INSERT] = LK_LIT_INIT("{\"insert\":"),
            [LK_SAY_OPERATION_END] = LK_LIT_INIT("}"),
            [LK_SAY_ATTRIBUTES] = LK_LIT_INIT(",\"attributes\":{"),
            [LK_SAY_COLON] = LK_LIT_INIT(":"),
            [LK_SAY_ATTRIBUTES_END] = LK_LIT_INIT("}"),
            [LK_SAY_LIST] = LK_LIT_INIT("["),
            [LK_SAY_LIST_END] = LK_LIT_INIT("]") },
  .count = put_decimal,
  .index = put_decimal,
  .string = put_string,
  .plain = put_plain,
  .value = put_value,
};

/* ---- the walk over what matters ---- */

#define FEW 16

typedef struct walk {
  const lk_event *event;
  lk_doc *doc;
  uint32_t type;
  bool all;     /* from item to item; otherwise from run to run */
  bool formats; /* stops at live formatting too */
  bool started;
  uint32_t item;   /* where it stands, or LK_NONE */
  uint32_t before; /* visible units in front of it, where |known| */
  bool known;
  uint32_t *heads; /* the first items of runs, sorted */
  uint32_t head_count, head_cap;
  uint32_t head; /* the next one */
  uint32_t few[FEW];
} walk;

static bool is_changed(const walk *self, uint32_t number) {
  const lk_item *item = &self->doc->items[number];
  return lk_event_adds(self->event, item) ||
         (lk_item_deleted(item) && lk_event_deletes(self->event, item));
}

static bool is_live_format(const lk_item *item) {
  return item->kind == LK_CONTENT_FORMAT && !lk_item_deleted(item);
}

static void free_heads(walk *self) {
  if (self->heads != self->few) {
    lk_free_array(&self->doc->alloc, self->heads, self->head_cap, sizeof *self->heads);
  }
  self->heads = self->few;
}

static lk_err push_head(walk *self, uint32_t number) {
  if (self->head_count == self->head_cap) {
    uint32_t cap = self->head_cap * 2;
    uint32_t *heads = lk_alloc_array(&self->doc->alloc, cap, sizeof *heads);
    if (heads == NULL) return LK_ERR_NOMEM;
    memcpy(heads, self->heads, self->head_count * sizeof *heads);
    free_heads(self);
    self->heads = heads;
    self->head_cap = cap;
  }
  self->heads[self->head_count++] = number;
  return LK_OK;
}

static lk_err take_if_head(walk *self, uint32_t number) {
  const lk_item *item = &self->doc->items[number];
  if (item->kind == LK_CONTENT_GC || item->parent != self->type || (item->flags & LK_ITEM_SUB) != 0)
    return LK_OK;
  if (!is_changed(self, number)) return LK_OK;
  return item->left != LK_NONE && is_changed(self, item->left) ? LK_OK : push_head(self, number);
}

static lk_err take_heads(walk *self, uint16_t client, uint32_t clock, uint32_t end, bool deleted) {
  lk_err err = LK_OK;
  if (clock >= end) return LK_OK;
  lk_place place = lk_client_place(self->doc, client, clock);
  do {
    uint32_t number = lk_place_item(self->doc, client, place);
    const lk_item *item = &self->doc->items[number];
    if (item->clock >= end) break;
    /* what is new as well was found among what is new */
    if (!deleted || !lk_event_adds(self->event, item)) err = take_if_head(self, number);
  } while (err == LK_OK && lk_place_next(self->doc, client, &place));
  return err;
}

static lk_err find_heads(walk *self) {
  lk_err err = LK_OK;
  for (const lk_tx *tx = self->event->tx; tx != NULL; tx = lk_event_next_tx(self->doc, tx)) {
    for (uint32_t i = 0; err == LK_OK && i < tx->touched.count; i++) {
      uint16_t client = (uint16_t)tx->touched.at[i].client;
      uint32_t before = tx->touched.at[i].before;
      if (lk_event_before(self->event, client) != before) continue; /* an earlier one has it */
      err = take_heads(self, client, before, self->doc->clients.at[client].clock, false);
    }
  }
  for (uint32_t i = 0; err == LK_OK && i < self->event->tx->ranges.count; i++) {
    const lk_range *range = &self->event->tx->ranges.at[i];
    err = take_heads(self, (uint16_t)range->client, range->clock, range->clock + range->len, true);
  }
  return err;
}

static bool stands_before(const void *ctx, uint32_t a, uint32_t b) {
  return lk_order_compare(ctx, a, b) < 0;
}

/* Whether the list ends within a few steps. */
static bool is_short(const lk_doc *doc, uint32_t type) {
  uint32_t item = doc->types.at[type].start, steps = 0;
  while (item != LK_NONE && steps++ < LK_ORDER_MIN) item = doc->items[item].right;
  return item == LK_NONE;
}

#define WALK_SHARE 64 /* steps of a walk for the price of sorting one head */

static lk_err walk_init(walk *self, const lk_event *event) {
  lk_doc *doc = event->doc;
  *self =
      (walk){ .event = event, .doc = doc, .type = event->target, .item = LK_NONE, .head_cap = FEW };
  self->heads = self->few;
  self->all = is_short(doc, self->type);
  if (self->all) return LK_OK;
  if (doc->types.at[self->type].order == LK_NONE && lk_order_build(doc, self->type) != LK_OK) {
    self->all = true; /* without memory for an index */
    return LK_OK;
  }
  lk_err err = find_heads(self);
  lk_refs refs = { .at = self->heads, .count = self->head_count, .cap = self->head_cap };
  if (self->head_count > FEW && self->head_count > doc->item_live / WALK_SHARE) self->all = true;
  else if (err == LK_OK && self->head_count > 1) lk_refs_sort(&refs, 0, stands_before, doc);
  return err;
}

static bool is_stop(const walk *self, uint32_t item) {
  return is_changed(self, item) || (self->formats && is_live_format(&self->doc->items[item]));
}

static void walk_all(walk *self) {
  const lk_item *items = self->doc->items;
  if (self->started) {
    self->before += lk_item_units(&items[self->item]);
    self->item = items[self->item].right;
  } else {
    self->item = self->doc->types.at[self->type].start;
  }
  for (; self->item != LK_NONE && !is_stop(self, self->item);
       self->item = items[self->item].right) {
    self->before += lk_item_units(&items[self->item]);
  }
  self->known = true;
}

static bool is_in_run(const walk *self, uint32_t item) {
  return item != LK_NONE && is_changed(self, item);
}

static void walk_runs(walk *self) {
  lk_doc *doc = self->doc;
  uint32_t from = self->started ? doc->items[self->item].right : doc->types.at[self->type].start;
  if (self->started && is_in_run(self, from)) {
    self->before += lk_item_units(&doc->items[self->item]);
    self->item = from;
  } else {
    uint32_t head = self->head < self->head_count ? self->heads[self->head] : LK_NONE,
             format = LK_NONE;
    if (self->formats && from != LK_NONE) format = lk_order_next_format(doc, from, head);
    self->item = format != LK_NONE ? format : head;
    self->known = false;
  }
  while (self->head < self->head_count && self->heads[self->head] == self->item) self->head++;
}

/* The next item that matters; false behind the last one. */
static bool walk_next(walk *self) {
  if (self->started && self->item == LK_NONE) return false;
  if (self->all) walk_all(self);
  else walk_runs(self);
  self->started = true;
  return self->item != LK_NONE;
}

static uint32_t walk_before(walk *self) {
  if (!self->known) self->before = lk_order_index(self->doc, self->item);
  self->known = true;
  return self->before;
}

/* Whether nothing that was changed comes behind. */
static bool is_past_changes(const walk *self) {
  return !self->all && self->head == self->head_count &&
         !is_in_run(self, self->doc->items[self->item].right);
}

/* ---- operations ---- */

typedef enum action { NOTHING, RETAIN, INSERT, DELETE } action;

typedef struct delta {
  walk walk;
  const lk_event_form *form;
  lk_doc *doc;
  lk_buf *out;
  action action;
  uint32_t done;  /* visible units that operations, also the one under way, speak of */
  uint32_t count; /* what is retained or deleted */
  bool some;
  size_t keep; /* retaining at the end is left out: the length before it */
  lk_err err;
  bool text;
  lk_slice plain; /* the text that is inserted: ASCII of one item, or ... */
  lk_buf run;     /* ... all of it */
  uint16_t high;
  lk_text_map current, old, attributes;
  lk_arena arena, scratch;
  bool calls;
  lk_call call;
} delta;

static void fail(delta *self, lk_err err) {
  if (self->err == LK_OK) self->err = err;
}

static void put(delta *self, lk_event_mark mark) {
  fail(self, lk_buf_append(self->out, self->form->mark[mark]));
}

static void begin_op(delta *self, lk_event_mark mark) {
  if (self->some) put(self, LK_SAY_COMMA);
  put(self, mark);
  self->some = true;
}

static void put_count(delta *self, lk_event_mark mark) {
  begin_op(self, mark);
  fail(self, self->form->count(self->out, self->count));
  self->count = 0;
}

/* As the members of an object are listed. */
static void put_attributes(delta *self, const lk_text_map *attributes) {
  lk_text_map sorted;
  bool some = false;
  if (attributes->live == 0 || self->err != LK_OK) return;
  fail(self, lk_text_map_copy(attributes, &self->scratch, &sorted));
  if (self->err == LK_OK) fail(self, lk_text_map_sort(self->doc, &sorted, &self->scratch));
  put(self, LK_SAY_ATTRIBUTES);
  for (uint32_t i = 0; self->err == LK_OK && i < sorted.count; i++) {
    const lk_text_attribute *at = &sorted.items[i];
    lk_slice value = lk_text_value_bytes(self->doc, &at->value);
    if (lk_text_value_is_nothing(self->doc, &at->value) &&
        !lk_text_value_is_null(self->doc, &at->value))
      continue;
    if (some) put(self, LK_SAY_COMMA);
    some = true;
    fail(self, self->form->string(self->out, lk_name_slice(self->doc, at->key)));
    put(self, LK_SAY_COLON);
    if (self->err == LK_OK) fail(self, self->form->plain(value, false, self->out));
  }
  put(self, LK_SAY_ATTRIBUTES_END);
  lk_arena_reset(&self->scratch);
}

static void put_text(delta *self) {
  lk_text_flush(&self->high, &self->run);
  fail(self, lk_buf_err(&self->run));
  begin_op(self, LK_SAY_INSERT);
  if (self->err == LK_OK) {
    lk_slice text = self->plain.len > 0 ? self->plain : lk_buf_slice(&self->run);
    fail(self, self->form->string(self->out, text));
  }
  put_attributes(self, &self->current);
  put(self, LK_SAY_OPERATION_END);
  lk_buf_truncate(&self->run, 0);
  self->plain = LK_SLICE_EMPTY;
}

/* Ends the operation that is under way. */
static void flush(delta *self) {
  switch (self->action) {
  case NOTHING: return;
  case RETAIN:
    put_count(self, LK_SAY_RETAIN);
    put_attributes(self, &self->attributes);
    put(self, LK_SAY_OPERATION_END);
    break;
  case INSERT:
    if (self->text) {
      put_text(self);
    } else {
      put(self, LK_SAY_LIST_END);
      put(self, LK_SAY_OPERATION_END);
    }
    break;
  case DELETE:
    put_count(self, LK_SAY_DELETE);
    put(self, LK_SAY_OPERATION_END);
    break;
  }
  if (self->action != RETAIN || self->attributes.live > 0) self->keep = self->out->len;
  self->action = NOTHING;
}

static void turn_to(delta *self, action next) {
  if (self->action == next) return;
  flush(self);
  self->action = next;
}

/* What lies between the last operation and |before| was retained. */
static void catch_up(delta *self, uint32_t before) {
  if (before == self->done) return;
  turn_to(self, RETAIN);
  self->count += before - self->done;
  self->done = before;
}

static void put_deletion(delta *self, const lk_item *item) {
  catch_up(self, walk_before(&self->walk));
  turn_to(self, DELETE);
  self->count += item->len;
}

/* ---- arrays and XML ---- */

static void put_elements(delta *self, const lk_item *item) {
  lk_read_values values = { 0 };
  if (has_many(item)) values = lk_read_values_of(self->doc, item);
  catch_up(self, walk_before(&self->walk));
  bool some = self->action == INSERT;
  turn_to(self, INSERT);
  if (!some) {
    begin_op(self, LK_SAY_INSERT);
    put(self, LK_SAY_LIST);
  }
  for (uint32_t i = 0; self->err == LK_OK && i < item->len; i++) {
    if (some) put(self, LK_SAY_COMMA);
    some = true;
    if (self->err != LK_OK) return;
    if (has_many(item))
      fail(self, self->form->plain(lk_read_next_value(&values), values.json, self->out));
    else fail(self, self->form->value(self->doc, item, i, self->out));
  }
  self->done += item->len;
}

static void put_list(delta *self) {
  while (self->err == LK_OK && walk_next(&self->walk)) {
    const lk_item *item = &self->doc->items[self->walk.item];
    bool adds = lk_event_adds(self->walk.event, item);
    if (item->kind == LK_CONTENT_FORMAT) continue;
    if (adds && !lk_item_deleted(item)) put_elements(self, item);
    else if (!adds) put_deletion(self, item);
  }
}

/* ---- text ---- */

static void add_text(delta *self, const lk_item *item) {
  bool first = self->plain.len == 0 && self->run.len == 0 && self->high == 0;
  if (first && (item->flags & LK_ITEM_WIDE) == 0) {
    self->plain = lk_slice_of(self->doc->text + item->content, item->len);
    return;
  }
  (void)lk_buf_append(&self->run, self->plain);
  self->plain = LK_SLICE_EMPTY;
  lk_item_append_utf8(self->doc, item, 0, item->len, &self->high, &self->run);
}

static void put_embed(delta *self, const lk_item *item) {
  flush(self);
  begin_op(self, LK_SAY_INSERT);
  if (self->err == LK_OK) fail(self, self->form->value(self->doc, item, 0, self->out));
  put_attributes(self, &self->current);
  put(self, LK_SAY_OPERATION_END);
  self->keep = self->out->len;
}

static void put_insertion(delta *self, const lk_item *item) {
  catch_up(self, walk_before(&self->walk));
  if (item->kind == LK_CONTENT_STRING) {
    turn_to(self, INSERT);
    add_text(self, item);
  } else if (item->kind == LK_CONTENT_EMBED || item->kind == LK_CONTENT_TYPE) {
    put_embed(self, item);
  }
  self->done += lk_item_units(item);
}

static bool equal(const delta *self, lk_text_value a, lk_text_value b) {
  return lk_text_value_equal(self->doc, &a, &b);
}

/* Units that are retained from here on differ from those before. */
static void end_retaining(delta *self) {
  if (self->action == RETAIN) flush(self);
}

static void set(delta *self, lk_text_map *map, uint32_t key, lk_text_value value) {
  fail(self, lk_text_map_set(map, &self->arena, key, value));
}

static void delete_needless(delta *self, uint32_t number) {
  if (self->err == LK_OK && !self->calls) {
    fail(self, lk_call_begin(self->doc, &self->call));
    self->calls = self->err == LK_OK;
  }
  if (self->err == LK_OK) fail(self, lk_item_delete(self->doc, number));
}

static void pass_new_format(delta *self, uint32_t number, uint32_t key, lk_text_value value) {
  if (!equal(self, lk_text_map_get(self->doc, &self->current, key), value)) {
    end_retaining(self);
    if (equal(self, value, lk_text_map_get(self->doc, &self->old, key)))
      lk_text_map_remove(&self->attributes, key);
    else set(self, &self->attributes, key, value);
  } else if (!lk_text_value_is_null(self->doc, &value)) {
    delete_needless(self, number);
  }
}

static void pass_deleted_format(delta *self, uint32_t key, lk_text_value value) {
  lk_text_value now = lk_text_map_get(self->doc, &self->current, key);
  set(self, &self->old, key, value);
  if (equal(self, now, value)) return;
  end_retaining(self);
  set(self, &self->attributes, key, now);
}

static void pass_old_format(delta *self, uint32_t number, uint32_t key, lk_text_value value) {
  const lk_text_value *attribute = lk_text_map_find(&self->attributes, key);
  set(self, &self->old, key, value);
  if (attribute == NULL) return;
  if (!lk_text_value_equal(self->doc, attribute, &value)) {
    end_retaining(self);
    if (lk_text_value_is_null(self->doc, &value)) lk_text_map_remove(&self->attributes, key);
    else set(self, &self->attributes, key, value);
  } else if (!lk_text_value_is_null(self->doc, attribute)) {
    delete_needless(self, number);
  }
}

/* Where nothing is known to differ it does not matter how many units were retained up to here. */
static void put_format(delta *self) {
  uint32_t number = self->walk.item;
  const lk_item *item = &self->doc->items[number];
  bool adds = lk_event_adds(self->walk.event, item),
       deletes = lk_event_deletes(self->walk.event, item);
  lk_text_value value = lk_text_value_of(item);
  uint32_t key = lk_item_key(self->doc, item);
  if (adds || deletes || self->attributes.live > 0) catch_up(self, walk_before(&self->walk));
  if (adds && !deletes) pass_new_format(self, number, key, value);
  else if (!adds && deletes) pass_deleted_format(self, key, value);
  else if (!adds && !lk_item_deleted(item)) pass_old_format(self, number, key, value);
  if (self->err != LK_OK || lk_item_deleted(&self->doc->items[number])) return;
  if (self->action == INSERT) flush(self);
  fail(self, lk_text_map_pass(self->doc, &self->current, &self->arena, &self->doc->items[number]));
}

static void put_text_list(delta *self) {
  while (self->err == LK_OK && walk_next(&self->walk)) {
    const lk_item *item = &self->doc->items[self->walk.item];
    bool adds = lk_event_adds(self->walk.event, item),
         deletes = lk_event_deletes(self->walk.event, item);
    if (item->kind == LK_CONTENT_FORMAT) put_format(self);
    else if (adds && !deletes) put_insertion(self, item);
    else if (!adds && deletes) put_deletion(self, item);
    if (self->attributes.live == 0 && is_past_changes(&self->walk)) break;
  }
  if (self->attributes.live > 0) catch_up(self, self->doc->types.at[self->walk.type].length);
}

/* Formatting on the way matters where formatting was changed, and to what was inserted. */
static bool needs_formats(const walk *self) {
  const lk_doc *doc = self->doc;
  if ((doc->types.at[self->type].flags & LK_TYPE_HAS_FORMAT) == 0) return false;
  if (self->all) return true;
  for (uint32_t i = 0; i < self->head_count; i++) {
    for (uint32_t at = self->heads[i]; is_in_run(self, at); at = doc->items[at].right) {
      const lk_item *item = &doc->items[at];
      if (item->kind == LK_CONTENT_FORMAT || !lk_item_deleted(item)) return true;
    }
  }
  return false;
}

/* ---- the call ---- */

static lk_err finish(delta *self, size_t start) {
  if (self->action != RETAIN || self->attributes.live > 0) flush(self);
  if (self->calls) self->err = lk_call_end(self->doc, &self->call, self->err);
  if (self->err == LK_OK) {
    lk_buf_truncate(self->out, self->keep);
    put(self, LK_SAY_END);
  }
  if (self->err != LK_OK) lk_buf_truncate(self->out, start);
  return self->err;
}

static lk_err put_delta(const lk_event *event, const lk_event_form *form, lk_buf *out) {
  lk_doc *doc = event->doc;
  size_t start = out->len;
  lk_node_kind kind = lk_read_kind(doc, event->target);
  delta self = {
    .doc = doc, .form = form, .out = out, .text = kind == LK_NODE_TEXT || kind == LK_NODE_XML_TEXT
  };
  lk_buf_init(&self.run, &doc->alloc, SIZE_MAX / 2);
  lk_arena_init(&self.arena, &doc->alloc, SIZE_MAX / 2);
  lk_arena_init(&self.scratch, &doc->alloc, SIZE_MAX / 2);
  self.err = walk_init(&self.walk, event);
  put(&self, LK_SAY_BEGIN);
  self.keep = out->len;
  if (self.err == LK_OK && self.text) {
    self.walk.formats = needs_formats(&self.walk);
    put_text_list(&self);
  } else if (self.err == LK_OK) {
    put_list(&self);
  }
  lk_err err = finish(&self, start);
  free_heads(&self.walk);
  lk_buf_deinit(&self.run);
  lk_arena_deinit(&self.arena);
  lk_arena_deinit(&self.scratch);
  return err;
}

/* ---- strokes ---- */

/* What text_fast.c did is known as it is: one insertion or deletion in a text without formats. */
static lk_err put_stroke(lk_doc *doc, const lk_event_form *form, lk_buf *out) {
  const lk_stroke *what = &doc->stroke;
  uint32_t number = lk_client_item(doc, (uint16_t)what->client, what->clock);
  uint32_t at = lk_list_index(doc, number);
  const lk_item *item = &doc->items[number];
  uint32_t offset = what->clock - item->clock;
  delta self = { .doc = doc, .form = form, .out = out, .text = true };
  size_t start = out->len;
  put(&self, LK_SAY_BEGIN);
  catch_up(&self, what->deleted ? at : at + offset);
  turn_to(&self, what->deleted ? DELETE : INSERT);
  self.count = what->len;
  self.plain = lk_slice_of(doc->text + item->content + offset, what->len);
  flush(&self);
  put(&self, LK_SAY_END);
  if (self.err != LK_OK) lk_buf_truncate(out, start);
  return self.err;
}

#ifndef LK_SMALL
/* Text that we put in place of other text, or only deleted: it lay side by side, and what was typed stands behind it. */
static lk_err put_replacement(lk_doc *doc, const lk_event_form *form, lk_buf *out) {
  const lk_tx *tx = doc->stroke.tx;
  const lk_gone *gone = doc->gone.at;
  delta self = { .doc = doc, .form = form, .out = out, .text = true };
  size_t start = out->len;
  put(&self, LK_SAY_BEGIN);
  catch_up(&self, lk_list_index(doc, lk_client_item(doc, (uint16_t)gone->client, gone->clock)));
  turn_to(&self, DELETE);
  for (uint32_t i = 0; i < doc->gone.count; i++) self.count += gone[i].len;
  flush(&self);
  if (tx->touched.count > 0) {
    const lk_touched *typed = tx->touched.at;
    const lk_item *item = &doc->items[lk_client_last(doc, (uint16_t)typed->client)];
    uint32_t len = typed->after - typed->before;
    turn_to(&self, INSERT);
    self.count = len;
    self.plain = lk_slice_of(doc->text + item->content + item->len - len, len);
    flush(&self);
  }
  put(&self, LK_SAY_END);
  if (self.err != LK_OK) lk_buf_truncate(out, start);
  return self.err;
}
#else
#define put_replacement(doc, form, out) LK_OK
#endif

lk_err lk_event_delta_as(const lk_event *event, const lk_event_form *form, lk_buf *out) {
  lk_doc *doc = event->doc;
  if (out->err != LK_OK) return out->err;
  if (LK_FAST && doc->stroke.tx != NULL) {
    lk_node_kind kind = lk_read_kind(doc, event->target);
    bool is_text = kind == LK_NODE_TEXT || kind == LK_NODE_XML_TEXT;
    bool is_many = LK_FAST_ALL && doc->stroke.many;
    if (is_text && !is_many) return put_stroke(doc, form, out);
    if (is_text && event->tx->local) return put_replacement(doc, form, out);
  }
  lk_err err = lk_stroke_settle(doc);
  if (err != LK_OK) return err;
  if (lk_event_list_changed(event)) return put_delta(event, form, out);
  (void)lk_buf_append(out, form->mark[LK_SAY_BEGIN]);
  return lk_buf_append(out, form->mark[LK_SAY_END]);
}

lk_err lk_event_delta(const lk_event *event, lk_buf *out) {
  return lk_event_delta_as(event, &lk_event_json, out);
}
