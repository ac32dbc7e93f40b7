/* Replicas that write everything that can be written, in transactions and out of them, undo it, are told of each other late,
 * twice, in either format or all at once, and are looked at meanwhile: they stay whole, and in the end they show the same. */
#include <stdlib.h>
#include <string.h>

#include "doc/engine.h"
#include "harness/test.h"
#include "laniakea/doc_events.h"
#include "laniakea/doc_history.h"
#include "laniakea/doc_undo.h"
#include "tests/unit/doc/check.h"

#define REPLICAS 3
#define UPDATES_MAX 1024

typedef struct replica {
  lk_env env;
  lk_doc *doc;
  lk_undo *undo;
  lk_update_format format; /* of what it emits */
  lk_slice updates[UPDATES_MAX];
  uint32_t count;
} replica;

/* ---- watching ---- */

static void keep_update(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  replica *self = ctx;
  (void)doc, (void)origin, (void)local;
  if (update.len == 0 || self->count == UPDATES_MAX) return;
  uint8_t *copy = malloc(update.len);
  memcpy(copy, update.ptr, update.len);
  self->updates[self->count++] = lk_slice_of(copy, update.len);
}

/* Whoever observes asks for everything. */
static void look(void *ctx, lk_doc *doc, const lk_event *const *events, size_t count) {
  lk_buf out;
  (void)ctx, (void)doc;
  lk_buf_init(&out, test_alloc(), 1 << 24);
  for (size_t i = 0; i < count; i++) {
    CHECK_OK(lk_event_path(events[i], &out));
    CHECK_OK(lk_event_delta(events[i], &out));
  }
  lk_buf_deinit(&out);
}

/* ---- replicas ---- */

static const struct {
  const char *name;
  lk_node_kind kind;
} roots[] = {
  { "t", LK_NODE_TEXT }, { "a", LK_NODE_ARRAY }, { "m", LK_NODE_MAP }, { "x", LK_NODE_XML_FRAGMENT }
};

static void open_replica(lk_gen *g, replica *self, uint64_t client) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  lk_undo_options undo = LK_UNDO_OPTIONS_INIT;
  lk_node nodes[4];
  memset(self, 0, sizeof *self);
  options.client = client;
  options.keep_deleted = gen_chance(g, 1, 8);
  self->format = gen_bool(g) ? LK_UPDATE_V1 : LK_UPDATE_V2;
  self->env = (lk_env)LK_ENV_INIT(test_alloc(), NULL);
  CHECK_OK(lk_doc_open(&self->env, &options, &self->doc));
  bool watched = gen_bool(g);
  for (uint32_t i = 0; i < 4; i++) {
    CHECK_OK(lk_doc_root(self->doc, lk_slice_cstr(roots[i].name), roots[i].kind, &nodes[i]));
    if (watched) CHECK_OK(lk_doc_observe_deep(self->doc, nodes[i], look, NULL, NULL));
    /* lists so short have no index; some get one, and so do the scans of all that is written at one place */
    if (gen_bool(g)) CHECK_OK(lk_order_build(self->doc, nodes[i].slot));
  }
  CHECK_OK(lk_doc_on_update(self->doc, self->format, keep_update, self, NULL));
  if (gen_bool(g)) CHECK_OK(lk_undo_open(self->doc, nodes, 4, &undo, &self->undo));
}

static void close_replica(replica *self) {
  if (self->undo != NULL) lk_undo_close(self->undo);
  lk_doc_close(self->doc);
  for (uint32_t i = 0; i < self->count; i++) free((void *)(uintptr_t)self->updates[i].ptr);
}

/* ---- edits ---- */

static const char *const words[] = {
  "a", "bc", "defgh", "\xC3\xA9", "\xF0\x9F\x98\x80", "x\xE4\xB8\x96y"
};

static lk_slice draw_word(lk_gen *g) { return lk_slice_cstr(words[gen_below(g, 6)]); }

static lk_value draw_value(lk_gen *g) {
  switch (gen_below(g, 6)) {
  case 0: return (lk_value){ .kind = LK_VALUE_STRING, .bytes = draw_word(g) };
  case 1: return (lk_value){ .kind = LK_VALUE_BINARY, .bytes = LK_LIT("\x01\x02") };
  case 2: return (lk_value){ .kind = LK_VALUE_ANY, .bytes = LK_LIT("\x75\x02\x7E\x78") };
  case 3:
    return (lk_value){ .kind = LK_VALUE_DOC,
                       .bytes = LK_LIT("guid"),
                       .options = lk_slice_of((const uint8_t *)"\x76\x00", 2) };
  case 4: return (lk_value){ .kind = LK_VALUE_NULL };
  default: return (lk_value){ .kind = LK_VALUE_NUMBER, .number = gen_below(g, 4) };
  }
}

static lk_attribute draw_attribute(lk_gen *g) {
  lk_attribute drawn = { .key = gen_bool(g) ? LK_LIT("b") : LK_LIT("i"),
                         .value = { .kind = LK_VALUE_BOOL, .boolean = true } };
  if (gen_chance(g, 1, 3)) drawn.value.kind = LK_VALUE_NULL;
  return drawn;
}

static lk_node_kind draw_kind(lk_gen *g) { return (lk_node_kind)gen_below(g, LK_NODE_UNKNOWN); }

static lk_err edit_text(lk_gen *g, lk_doc *doc, lk_node node, uint64_t at, uint64_t length) {
  lk_attribute attribute = draw_attribute(g);
  lk_attributes attributes = { .items = &attribute, .count = gen_below(g, 2) };
  lk_value value = { .kind = LK_VALUE_NUMBER, .number = 1 };
  switch (gen_below(g, 8)) {
  case 0: return lk_doc_text_format(doc, node, at, length, &attributes);
  case 1: return lk_doc_text_insert(doc, node, at, draw_word(g), &attributes);
  case 2: return lk_doc_text_insert_embed(doc, node, at, &value, NULL);
  case 3: return lk_doc_text_insert_node(doc, node, at, draw_kind(g), LK_LIT("n"), NULL, NULL);
  case 4:
  case 5: return lk_doc_text_delete(doc, node, at, length);
  default: return lk_doc_text_insert(doc, node, at, draw_word(g), NULL);
  }
}

static lk_err edit_list(lk_gen *g, lk_doc *doc, lk_node node, uint64_t at, uint64_t length) {
  lk_value values[] = { draw_value(g), draw_value(g), draw_value(g) };
  switch (gen_below(g, 6)) {
  case 0: return lk_doc_list_insert_node(doc, node, at, draw_kind(g), LK_LIT("n"), NULL);
  case 1:
  case 2: return lk_doc_list_delete(doc, node, at, length);
  default: return lk_doc_list_insert(doc, node, at, values, 1 + gen_below(g, 3));
  }
}

static lk_err edit_map(lk_gen *g, lk_doc *doc, lk_node node) {
  lk_slice key = gen_bool(g) ? LK_LIT("k") : LK_LIT("l");
  lk_value value = draw_value(g);
  switch (gen_below(g, 5)) {
  case 0: return lk_doc_map_set_node(doc, node, key, draw_kind(g), LK_LIT("n"), NULL);
  case 1: return lk_doc_map_delete(doc, node, key);
  default: return lk_doc_map_set(doc, node, key, &value);
  }
}

/* Something in some node; often at the front, where others write, too. */
static void edit_once(lk_gen *g, replica *self) {
  lk_doc *doc = self->doc;
  uint32_t slot = gen_below(g, gen_bool(g) ? 4 : doc->types.count);
  const lk_type *type = &doc->types.at[slot];
  lk_node node = lk_node_of(doc, slot);
  uint32_t at = gen_bool(g) ? 0 : gen_below(g, type->length + 1);
  uint32_t length = gen_below(g, lk_min_u32(type->length - at, 6) + 1);
  lk_err err = LK_OK;
  if ((type->flags & LK_TYPE_FREED) != 0) return;
  switch (type->kind) {
  case LK_NODE_TEXT:
  case LK_NODE_XML_TEXT: err = edit_text(g, doc, node, at, length); break;
  case LK_NODE_ARRAY:
  case LK_NODE_XML_FRAGMENT: err = edit_list(g, doc, node, at, length); break;
  case LK_NODE_XML_ELEMENT:
    err = gen_bool(g) ? edit_list(g, doc, node, at, length) : edit_map(g, doc, node);
    break;
  case LK_NODE_MAP:
  case LK_NODE_XML_HOOK: err = edit_map(g, doc, node); break;
  default: break;
  }
  if (err != LK_ERR_NOT_FOUND && err != LK_ERR_INVALID) CHECK_OK(err);
}

static void edit_some(lk_gen *g, replica *self) {
  uint32_t edits = 1 + gen_below(g, 3);
  bool together = gen_bool(g), done;
  if (self->undo != NULL && gen_chance(g, 1, 6)) {
    if (gen_bool(g)) lk_undo_stop_capturing(self->undo);
    CHECK_OK(gen_bool(g) ? lk_undo_undo(self->undo, &done) : lk_undo_redo(self->undo, &done));
    return;
  }
  if (together) CHECK_OK(lk_doc_begin(self->doc, 0));
  for (; edits > 0; edits--) edit_once(g, self);
  if (together) lk_doc_commit(self->doc);
}

/* ---- telling each other ---- */

static void deliver(lk_gen *g, replica *to, const replica *from) {
  if (to == from || from->count == 0) return;
  uint32_t first = gen_below(g, from->count), last = first;
  if (gen_bool(g)) last = lk_min_u32(from->count - 1, first + gen_below(g, 8));
  for (uint32_t i = first; i <= last; i++)
    CHECK_OK(lk_doc_apply(to->doc, from->format, from->updates[i], 7));
}

static void sync(lk_gen *g, replica *to, const replica *from) {
  lk_buf sv, update;
  lk_update_format format = gen_bool(g) ? LK_UPDATE_V1 : LK_UPDATE_V2;
  if (to == from) return;
  lk_buf_init(&sv, test_alloc(), 1 << 20);
  lk_buf_init(&update, test_alloc(), 1 << 26);
  if (gen_bool(g)) CHECK_OK(lk_doc_state_vector(to->doc, &sv));
  CHECK_OK(lk_doc_encode(from->doc, format, lk_buf_slice(&sv), &update));
  CHECK_OK(lk_doc_apply(to->doc, format, lk_buf_slice(&update), 7));
  lk_buf_deinit(&sv);
  lk_buf_deinit(&update);
}

static void turn(lk_gen *g, replica *replicas) {
  replica *one = &replicas[gen_below(g, REPLICAS)], *other = &replicas[gen_below(g, REPLICAS)];
  switch (gen_below(g, 8)) {
  case 0: sync(g, one, other); break;
  case 1:
  case 2: deliver(g, one, other); break;
  default: edit_some(g, one);
  }
  CHECK_DOC(one->doc);
}

/* ---- comparing ---- */

static uint64_t mix(uint64_t a, uint64_t b) {
  a = (a ^ b) * UINT64_C(0x9E3779B97F4A7C15);
  return a ^ a >> 29;
}

static uint64_t id_of(const lk_doc *doc, uint32_t number, uint32_t unit) {
  const lk_item *item = &doc->items[number];
  return mix(doc->clients.at[item->client].id, item->clock + unit);
}

static uint64_t id_of_type(const lk_doc *doc, uint32_t type) {
  const lk_type *at = &doc->types.at[type];
  return at->item != LK_NONE ? id_of(doc, at->item, 0) : lk_name_slice(doc, at->name).ptr[0];
}

/* Of each live unit what stands before it, and in what it is. */
static uint64_t shown_by(const lk_doc *doc) {
  uint64_t sum = 0;
  for (uint32_t t = 0; t < doc->types.count; t++) {
    const lk_type *type = &doc->types.at[t];
    if ((type->flags & LK_TYPE_FREED) != 0 || lk_type_deleted(doc, t)) continue;
    uint64_t before = id_of_type(doc, t);
    for (uint32_t at = type->start; at != LK_NONE; at = doc->items[at].right) {
      for (uint32_t i = 0; !lk_item_deleted(&doc->items[at]) && i < doc->items[at].len; i++) {
        uint64_t id = id_of(doc, at, i);
        sum += mix(before, id);
        before = id;
      }
    }
    for (uint32_t e = type->entry_first; e != LK_NONE; e = doc->entries.at[e].next) {
      uint32_t last = doc->entries.at[e].last;
      if (last == LK_NONE || lk_item_deleted(&doc->items[last])) continue;
      sum += mix(mix(id_of_type(doc, t), lk_name_slice(doc, doc->entries.at[e].key).ptr[0]),
                 id_of(doc, last, doc->items[last].len - 1));
    }
  }
  return sum;
}

/* A stranger is told all of it at once. */
static void check_newcomer(lk_gen *g, const replica *from) {
  replica newcomer;
  open_replica(g, &newcomer, 99);
  sync(g, &newcomer, from);
  CHECK_DOC(newcomer.doc);
  CHECK_U64(shown_by(newcomer.doc), shown_by(from->doc));
  close_replica(&newcomer);
}

PROPERTY_SLOW(replicas_that_do_everything_become_one, 8) {
  static replica replicas[REPLICAS];
  for (uint32_t i = 0; i < REPLICAS; i++) open_replica(g, &replicas[i], 3 + 5 * i);
  for (uint32_t turns = gen_below(g, 100); turns > 0; turns--) turn(g, replicas);
  for (uint32_t round = 0; round < 4; round++) { /* formatting is cleaned up meanwhile */
    for (uint32_t i = 0; i < REPLICAS * REPLICAS; i++)
      sync(g, &replicas[i % REPLICAS], &replicas[i / REPLICAS]);
  }
  for (uint32_t i = 0; i < REPLICAS; i++) {
    lk_doc_pending pending = lk_doc_get_pending(replicas[i].doc);
    CHECK_DOC(replicas[i].doc);
    CHECK_U64(shown_by(replicas[i].doc), shown_by(replicas[0].doc));
    CHECK_U64(pending.structs + pending.delete_ranges, 0);
  }
  check_newcomer(g, &replicas[0]);
  for (uint32_t i = 0; i < REPLICAS; i++) close_replica(&replicas[i]);
}
