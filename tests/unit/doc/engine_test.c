/* Goal: whatever is done to a document, and whatever fails meanwhile, it stays whole, and its replicas stay one.
 * Method: random sessions of several replicas with the checker behind each step; every allocation failed in turn; the
 * fast way beside the slow one; the order of lists beside a model that scans as Yjs does. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "craft.h"
#include "codec/varint.h"
#include "codec/utf.h"
#include "doc/engine.h"
#include "doc/read.h"
#include "doc/undo.h"
#include "harness/test.h"
#include "laniakea/doc_events.h"

/* ---- replicas ---- */

#define UPDATES_MAX 1024

typedef struct update_log {
  lk_slice at[UPDATES_MAX];
  uint32_t count;
} update_log;

typedef struct replica {
  const lk_alloc *now; /* who is asked at the moment */
  lk_alloc table;
  lk_env env;
  lk_doc *doc;
  update_log log; /* what it emitted */
} replica;

static void *ask(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  replica *self = ctx;
  return self->now->resize(self->now->ctx, ptr, old_size, new_size);
}

static void log_update(update_log *log, lk_slice update) {
  CHECK(log->count < UPDATES_MAX);
  uint8_t *copy = malloc(update.len + 1);
  memcpy(copy, update.ptr, update.len);
  log->at[log->count++] = lk_slice_of(copy, update.len);
}
static void log_free(update_log *log) {
  for (uint32_t i = 0; i < log->count; i++) free((void *)(uintptr_t)log->at[i].ptr);
  log->count = 0;
}

static void take_update(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  replica *self = ctx;
  (void)doc, (void)origin;
  if (local && update.len > 0) log_update(&self->log, update);
}

static void open_replica(replica *self, uint64_t client, bool keep_deleted) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = client;
  options.keep_deleted = keep_deleted;
  self->now = test_alloc();
  self->table = (lk_alloc){ ask, self };
  self->env = (lk_env)LK_ENV_INIT(&self->table, NULL);
  self->log.count = 0;
  CHECK_OK(lk_doc_open(&self->env, &options, &self->doc));
}
static void observe(replica *self) {
  CHECK_OK(lk_doc_on_update(self->doc, LK_UPDATE_V1, take_update, self, NULL));
}
static void close_replica(replica *self) {
  lk_doc_close(self->doc);
  log_free(&self->log);
}

/* ---- what a document says ---- */

typedef struct snapshot {
  lk_buf v1, v2, sv;
  lk_doc_pending pending;
} snapshot;

static void take_snapshot(const lk_doc *doc, snapshot *out) {
  lk_buf_init(&out->v1, test_alloc(), 1 << 26);
  lk_buf_init(&out->v2, test_alloc(), 1 << 26);
  lk_buf_init(&out->sv, test_alloc(), 1 << 20);
  CHECK_OK(lk_doc_encode(doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &out->v1));
  CHECK_OK(lk_doc_encode(doc, LK_UPDATE_V2, LK_SLICE_EMPTY, &out->v2));
  CHECK_OK(lk_doc_state_vector(doc, &out->sv));
  out->pending = lk_doc_get_pending(doc);
}
static void snapshot_free(snapshot *self) {
  lk_buf_deinit(&self->v1);
  lk_buf_deinit(&self->v2);
  lk_buf_deinit(&self->sv);
}
static void check_same(const snapshot *got, const snapshot *want) {
  CHECK_SLICE(lk_buf_slice(&got->sv), lk_buf_slice(&want->sv));
  CHECK_SLICE(lk_buf_slice(&got->v1), lk_buf_slice(&want->v1));
  CHECK_SLICE(lk_buf_slice(&got->v2), lk_buf_slice(&want->v2));
  CHECK_U64(got->pending.structs, want->pending.structs);
  CHECK_U64(got->pending.bytes, want->pending.bytes);
  CHECK_U64(got->pending.delete_ranges, want->pending.delete_ranges);
}
static void check_docs_say_the_same(const lk_doc *a, const lk_doc *b) {
  snapshot x, y;
  take_snapshot(a, &x);
  take_snapshot(b, &y);
  check_same(&x, &y);
  snapshot_free(&x);
  snapshot_free(&y);
}

/* ---- random edits ---- */

static const char *const texts[] = {
  "a", "bc", "def", "ghijklmnop", "\xC3\xA9", "\xF0\x9F\x98\x80", "x\xE4\xB8\x96y"
};
#define TEXTS (sizeof texts / sizeof *texts)
static const char *const keys[] = { "k", "l", "m" };

/* One change: drawn first, so that it can be tried again. */
typedef struct edit {
  uint32_t slot, what, index, length, text, key, kind;
} edit;

static edit draw_edit(lk_gen *g, lk_doc *doc) {
  edit e = { .slot = 0 };
  e.slot = gen_below(g, doc->types.count);
  e.what = gen_below(g, 8);
  uint32_t units = doc->types.at[e.slot].length;
  e.index = gen_below(g, units + 1);
  e.length = gen_below(g, lk_min_u32(units - e.index, 6) + 1);
  e.text = gen_below(g, TEXTS);
  e.key = gen_below(g, 3);
  e.kind = gen_below(g, LK_NODE_UNKNOWN);
  return e;
}

static lk_value value_of(const edit *e) {
  static const uint8_t any[] = { 0x75, 0x02, 0x7E, 0x78 };
  lk_value value = { .kind = LK_VALUE_NUMBER, .number = e->index };
  if (e->text == 1) value = (lk_value){ .kind = LK_VALUE_STRING, .bytes = LK_LIT("value") };
  if (e->text == 2) value = (lk_value){ .kind = LK_VALUE_BINARY, .bytes = LK_LIT("\x01\x02") };
  if (e->text == 3)
    value = (lk_value){ .kind = LK_VALUE_ANY, .bytes = lk_slice_of(any, sizeof any) };
  return value;
}

static lk_err edit_text(lk_doc *doc, lk_node node, const edit *e) {
  lk_attribute bold = { LK_LIT("b"),
                        { .kind = e->key == 0 ? LK_VALUE_NULL : LK_VALUE_BOOL, .boolean = true } };
  lk_attributes attributes = { &bold, 1 };
  lk_value value = value_of(e);
  switch (e->what) {
  case 0: return lk_doc_text_format(doc, node, e->index, e->length, &attributes);
  case 1:
    return lk_doc_text_insert(doc, node, e->index, lk_slice_cstr(texts[e->text]), &attributes);
  case 2: return lk_doc_text_insert_embed(doc, node, e->index, &value, NULL);
  case 3:
    return lk_doc_text_insert_node(doc, node, e->index, (lk_node_kind)e->kind, LK_LIT("n"), NULL,
                                   NULL);
  case 4:
  case 5: return lk_doc_text_delete(doc, node, e->index, e->length);
  default: return lk_doc_text_insert(doc, node, e->index, lk_slice_cstr(texts[e->text]), NULL);
  }
}

static lk_err edit_list(lk_doc *doc, lk_node node, const edit *e) {
  lk_value values[3] = { value_of(e), value_of(e), value_of(e) };
  switch (e->what) {
  case 0:
    return lk_doc_list_insert_node(doc, node, e->index, (lk_node_kind)e->kind, LK_LIT("n"), NULL);
  case 1:
  case 2: return lk_doc_list_delete(doc, node, e->index, e->length);
  case 3: return lk_doc_list_push(doc, node, values, 1);
  default: return lk_doc_list_insert(doc, node, e->index, values, 1 + e->key);
  }
}

static lk_err edit_map(lk_doc *doc, lk_node node, const edit *e) {
  lk_slice key = lk_slice_cstr(keys[e->key]);
  lk_value value = value_of(e);
  switch (e->what) {
  case 0:
  case 1: return lk_doc_map_set_node(doc, node, key, (lk_node_kind)e->kind, LK_LIT("n"), NULL);
  case 2: return lk_doc_map_delete(doc, node, key);
  default: return lk_doc_map_set(doc, node, key, &value);
  }
}

/* LK_ERR_NOT_FOUND where the node is gone. */
static lk_err do_edit(lk_doc *doc, const edit *e) {
  lk_node node = lk_node_of(doc, e->slot);
  if ((doc->types.at[e->slot].flags & LK_TYPE_FREED) != 0) return LK_ERR_NOT_FOUND;
  switch (doc->types.at[e->slot].kind) {
  case LK_NODE_TEXT:
  case LK_NODE_XML_TEXT: return edit_text(doc, node, e);
  case LK_NODE_ARRAY:
  case LK_NODE_XML_FRAGMENT: return edit_list(doc, node, e);
  case LK_NODE_XML_ELEMENT:
    return e->text % 2 == 0 ? edit_list(doc, node, e) : edit_map(doc, node, e);
  case LK_NODE_MAP:
  case LK_NODE_XML_HOOK: return edit_map(doc, node, e);
  default: return LK_ERR_NOT_FOUND;
  }
}

static void make_roots(lk_doc *doc) {
  lk_node node;
  CHECK_OK(lk_doc_root(doc, LK_LIT("t"), LK_NODE_TEXT, &node));
  CHECK_OK(lk_doc_root(doc, LK_LIT("a"), LK_NODE_ARRAY, &node));
  CHECK_OK(lk_doc_root(doc, LK_LIT("m"), LK_NODE_MAP, &node));
  CHECK_OK(lk_doc_root(doc, LK_LIT("x"), LK_NODE_XML_FRAGMENT, &node));
}

static void edit_once(lk_gen *g, replica *self) {
  edit e = draw_edit(g, self->doc);
  lk_err err = do_edit(self->doc, &e);
  if (err != LK_ERR_NOT_FOUND && err != LK_ERR_INVALID) CHECK_OK(err);
}

/* ---- sessions ---- */

#define REPLICAS 3

typedef struct session {
  replica r[REPLICAS];
} session;

static void session_open(session *self, bool keep_deleted) {
  for (uint32_t i = 0; i < REPLICAS; i++) {
    open_replica(&self->r[i], 10 + i * 7, keep_deleted);
    make_roots(self->r[i].doc);
    observe(&self->r[i]);
  }
}
static void session_close(session *self) {
  for (uint32_t i = 0; i < REPLICAS; i++) close_replica(&self->r[i]);
}

/* Some update of somebody, maybe known, maybe too early. */
static void deliver_some(lk_gen *g, session *self) {
  replica *to = &self->r[gen_below(g, REPLICAS)], *from = &self->r[gen_below(g, REPLICAS)];
  if (from == to || from->log.count == 0) return;
  CHECK_OK(lk_doc_apply(to->doc, LK_UPDATE_V1, from->log.at[gen_below(g, from->log.count)], 0));
  CHECK_DOC(to->doc);
}
/* All that |to| lacks, in one update. */
static void sync_one(lk_gen *g, replica *to, const replica *from) {
  lk_buf sv, update;
  lk_update_format format = gen_bool(g) ? LK_UPDATE_V1 : LK_UPDATE_V2;
  lk_buf_init(&sv, test_alloc(), 1 << 20);
  lk_buf_init(&update, test_alloc(), 1 << 26);
  CHECK_OK(lk_doc_state_vector(to->doc, &sv));
  CHECK_OK(lk_doc_encode(from->doc, format, lk_buf_slice(&sv), &update));
  CHECK_OK(lk_doc_apply(to->doc, format, lk_buf_slice(&update), 0));
  CHECK_DOC(to->doc);
  lk_buf_deinit(&sv);
  lk_buf_deinit(&update);
}
/* Everybody gets everything; formats are cleaned meanwhile, so it takes rounds. */
static void sync_all(lk_gen *g, session *self) {
  for (uint32_t round = 0; round < 4; round++) {
    for (uint32_t i = 0; i < REPLICAS; i++) {
      for (uint32_t j = 0; j < REPLICAS; j++) {
        if (i != j) sync_one(g, &self->r[i], &self->r[j]);
      }
    }
  }
}

static void session_turn(lk_gen *g, session *self) {
  switch (gen_below(g, 8)) {
  case 0: sync_one(g, &self->r[gen_below(g, REPLICAS)], &self->r[gen_below(g, REPLICAS)]); break;
  case 1:
  case 2:
  case 3: deliver_some(g, self); break;
  default: {
    replica *self_r = &self->r[gen_below(g, REPLICAS)];
    edit_once(g, self_r);
    CHECK_DOC(self_r->doc);
  }
  }
}

static uint64_t mix(uint64_t a, uint64_t b) {
  a = (a ^ b) * UINT64_C(0x9E3779B97F4A7C15);
  return a ^ a >> 29;
}
static uint64_t id_of(const lk_doc *doc, const lk_item *item, uint32_t unit) {
  return mix(doc->clients.at[item->client].id, item->clock + unit);
}
static uint64_t id_of_type(const lk_doc *doc, uint32_t type) {
  const lk_type *at = &doc->types.at[type];
  if (at->item != LK_NONE) return id_of(doc, &doc->items[at->item], 0);
  return mix(1, lk_name_slice(doc, at->name).ptr[0]);
}

/* A number that two documents share if they show the same: each visible unit, what stands before it, and in what. */
static uint64_t shown_by(const lk_doc *doc) {
  uint64_t sum = 0;
  for (uint32_t t = 0; t < doc->types.count; t++) {
    if ((doc->types.at[t].flags & LK_TYPE_FREED) != 0 || lk_type_deleted(doc, t)) continue;
    uint64_t before = id_of_type(doc, t);
    for (uint32_t at = doc->types.at[t].start; at != LK_NONE; at = doc->items[at].right) {
      const lk_item *item = &doc->items[at];
      if (lk_item_deleted(item)) continue;
      for (uint32_t unit = 0; unit < item->len; unit++) {
        uint64_t id = id_of(doc, item, unit);
        sum += mix(before, id);
        before = id;
      }
    }
    for (uint32_t e = doc->types.at[t].entry_first; e != LK_NONE; e = doc->entries.at[e].next) {
      uint32_t last = doc->entries.at[e].last;
      if (last != LK_NONE && !lk_item_deleted(&doc->items[last]))
        sum += mix(id_of_type(doc, t), id_of(doc, &doc->items[last], 0));
    }
  }
  return sum;
}

PROPERTY_SLOW(replicas_stay_whole_and_become_one, 4) {
  static session s;
  session_open(&s, gen_bool(g));
  for (uint32_t turns = gen_below(g, 120); turns > 0; turns--) session_turn(g, &s);
  sync_all(g, &s);
  for (uint32_t i = 0; i < REPLICAS; i++) {
    CHECK_U64(shown_by(s.r[i].doc), shown_by(s.r[0].doc));
    CHECK_U64(lk_doc_get_pending(s.r[i].doc).structs, 0);
    CHECK_U64(lk_doc_get_pending(s.r[i].doc).delete_ranges, 0);
  }
  session_close(&s);
}

/* ---- in bulk ---- */

/* A writer who goes on where he is, most of the time, and sometimes in another text. */
static void write_on(lk_gen *g, replica *self, uint32_t *at) {
  lk_node text;
  lk_slice name = gen_below(g, 5) == 0 ? LK_LIT("u") : LK_LIT("t");
  CHECK_OK(lk_doc_root(self->doc, name, LK_NODE_TEXT, &text));
  uint32_t units = self->doc->types.at[text.slot].length;
  if (gen_below(g, 8) == 0 || *at > units) *at = gen_below(g, units + 1);
  if (gen_below(g, 4) == 0) {
    uint32_t length = lk_min_u32(gen_below(g, 5), *at);
    *at -= length;
    CHECK_OK(lk_doc_text_delete(self->doc, text, *at, length));
    return;
  }
  uint32_t which = gen_below(g, 40);
  lk_slice words = which == 0 ? LK_LIT("forty characters, more than some words hold")
                              : lk_slice_cstr(texts[which == 1 ? 4 + gen_below(g, 3) : which % 4]);
  CHECK_OK(lk_doc_text_insert(self->doc, text, *at, words, NULL));
  *at += self->doc->types.at[text.slot].length - units;
}

static void take_any_update(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  (void)doc, (void)origin, (void)local;
  log_update(ctx, update);
}

/* With ids of one to five bytes each, one of which may be made of the bytes of another's clocks. */
static void session_open_with_ids(lk_gen *g, session *self) {
  for (uint32_t i = 0; i < REPLICAS; i++) {
    uint64_t id = 1 + i + ((uint64_t)gen_below(g, 3) << (7 * gen_range(g, 1, 4)));
    open_replica(&self->r[i], id, false);
    make_roots(self->r[i].doc);
    observe(&self->r[i]);
  }
}

/* Most of what all of them said, put together: what others need is not always there. */
static void merge_with_gaps(lk_gen *g, const session *self, lk_buf *out) {
  static lk_slice some[REPLICAS * UPDATES_MAX];
  uint32_t count = 0, every = gen_range(g, 2, 200);
  for (uint32_t i = 0; i < REPLICAS; i++) {
    const update_log *log = &self->r[i].log;
    for (uint32_t u = 0; u < log->count; u++) {
      if (u == 0 || gen_below(g, every) != 0) some[count++] = log->at[u];
    }
  }
  lk_buf_truncate(out, 0);
  CHECK_OK(lk_update_merge(&self->r[0].env, LK_UPDATE_V1, some, count, out));
}

/* What the text says in units is what it says in UTF-8. */
static void check_units(lk_doc *doc) {
  lk_buf utf8, units, want;
  lk_node text;
  bool wide, is_ascii = true;
  lk_buf_init(&utf8, test_alloc(), 1 << 26);
  lk_buf_init(&units, test_alloc(), 1 << 26);
  lk_buf_init(&want, test_alloc(), 1 << 26);
  CHECK_OK(lk_doc_root(doc, LK_LIT("t"), LK_NODE_TEXT, &text));
  CHECK_OK(lk_read_text(doc, text.slot, &utf8));
  CHECK_OK(lk_read_text_units(doc, text.slot, &units, &wide));
  for (lk_slice rest = lk_buf_slice(&utf8); rest.len > 0;) {
    uint32_t point;
    CHECK_OK(lk_utf8_decode(&rest, &point));
    is_ascii &= point < 0x80;
    bool is_pair = point >= 0x10000;
    uint8_t pair[4];
    lk_store_le16(pair, is_pair ? lk_utf_high_of(point) : (uint16_t)point);
    lk_store_le16(pair + 2, is_pair ? lk_utf_low_of(point) : 0);
    lk_buf_append(&want, lk_slice_of(pair, is_pair ? 4 : 2));
  }
  if (is_ascii && !wide) CHECK_SLICE(lk_buf_slice(&units), lk_buf_slice(&utf8));
  else CHECK_SLICE(lk_buf_slice(&units), lk_buf_slice(&want));
  CHECK(wide || is_ascii);
  lk_buf_deinit(&utf8);
  lk_buf_deinit(&units);
  lk_buf_deinit(&want);
}

/* Somebody is in the middle of typing, in each text. */
static void type_in_both(lk_gen *g, lk_doc *one, lk_doc *other) {
  lk_node text;
  for (uint32_t i = 0; i < 2; i++) {
    lk_slice name = i == 0 ? LK_LIT("t") : LK_LIT("u");
    CHECK_OK(lk_doc_root(one, name, LK_NODE_TEXT, &text));
    uint32_t at = gen_below(g, one->types.at[text.slot].length + 1);
    CHECK_OK(lk_doc_text_insert(one, text, at, LK_LIT("typed"), NULL));
    CHECK_OK(lk_doc_root(other, name, LK_NODE_TEXT, &text));
    CHECK_OK(lk_doc_text_insert(other, text, at, LK_LIT("typed"), NULL));
  }
}

/* V1 goes in by apply_plain.c, V2 struct by struct; |base| is there before. */
static void check_ways_agree(lk_gen *g, lk_slice base, lk_slice v1) {
  static replica quick, slow;
  snapshot before, after;
  lk_buf v2;
  lk_buf_init(&v2, test_alloc(), 1 << 26);
  open_replica(&quick, 77, false);
  open_replica(&slow, 77, false);
  CHECK_OK(lk_doc_apply(quick.doc, LK_UPDATE_V1, base, 0));
  CHECK_OK(lk_doc_apply(slow.doc, LK_UPDATE_V1, base, 0));
  if (gen_bool(g)) type_in_both(g, quick.doc, slow.doc);
  take_snapshot(quick.doc, &before);
  lk_slice cut = lk_slice_first(v1, gen_below(g, (uint32_t)v1.len));
  CHECK(lk_doc_apply(quick.doc, LK_UPDATE_V1, cut, 0) != LK_OK);
  CHECK_DOC(quick.doc);
  take_snapshot(quick.doc, &after);
  check_same(&after, &before);
  CHECK_OK(lk_update_convert(&quick.env, LK_UPDATE_V1, v1, LK_UPDATE_V2, &v2));
  if (gen_bool(g)) {
    CHECK_OK(lk_doc_on_update(quick.doc, LK_UPDATE_V1, take_any_update, &quick.log, NULL));
    CHECK_OK(lk_doc_on_update(slow.doc, LK_UPDATE_V1, take_any_update, &slow.log, NULL));
  }
  CHECK_OK(lk_doc_apply(quick.doc, LK_UPDATE_V1, v1, 0));
  CHECK_OK(lk_doc_apply(slow.doc, LK_UPDATE_V2, lk_buf_slice(&v2), 0));
  CHECK_U64(quick.log.count, slow.log.count);
  for (uint32_t i = 0; i < quick.log.count; i++) CHECK_SLICE(quick.log.at[i], slow.log.at[i]);
  CHECK_DOC(quick.doc);
  CHECK_DOC(slow.doc);
  check_docs_say_the_same(quick.doc, slow.doc);
  check_units(quick.doc);
  snapshot_free(&before);
  snapshot_free(&after);
  close_replica(&quick);
  close_replica(&slow);
  lk_buf_deinit(&v2);
}

/* The same where memory runs out at any time: several writers, so that some structs wait for others. */
PROPERTY_SLOW(structs_in_bulk_without_memory_leave_no_trace, 48) {
  static session s;
  static replica r;
  uint32_t at[REPLICAS] = { 0 };
  snapshot empty, after, want;
  bool first = true;
  lk_buf state;
  lk_buf_init(&state, test_alloc(), 1 << 26);
  session_open_with_ids(g, &s);
  for (uint32_t turns = gen_range(g, 20, 160); turns > 0; turns--) {
    uint32_t writer = gen_below(g, REPLICAS);
    write_on(g, &s.r[writer], &at[writer]);
    if (gen_below(g, 6) == 0) sync_one(g, &s.r[writer], &s.r[gen_below(g, REPLICAS)]);
  }
  sync_all(g, &s);
  CHECK_OK(lk_doc_encode(s.r[0].doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &state));
  FAULT_LOOP(faults, test_alloc()) {
    open_replica(&r, 77, false);
    take_snapshot(r.doc, &empty);
    r.now = faulty_alloc(&faults);
    lk_err err = lk_doc_apply(r.doc, LK_UPDATE_V1, lk_buf_slice(&state), 0);
    r.now = test_alloc();
    CHECK_DOC(r.doc);
    if (err != LK_OK) {
      take_snapshot(r.doc, &after);
      check_same(&after, &empty);
      snapshot_free(&after);
      CHECK_OK(lk_doc_apply(r.doc, LK_UPDATE_V1, lk_buf_slice(&state), 0));
      CHECK_DOC(r.doc);
    }
    take_snapshot(r.doc, &after);
    if (first) want = after;
    else check_same(&after, &want);
    if (!first) snapshot_free(&after);
    first = false;
    snapshot_free(&empty);
    close_replica(&r);
    if (faults.seen == 0) break;
  }
  snapshot_free(&want);
  session_close(&s);
  lk_buf_deinit(&state);
}

/* Somebody else's character belongs behind a hundred that were put in front of each other: that takes an index, of a text that
 * nobody has any more where the update ends too early. */
TEST(an_update_that_is_refused_leaves_no_index_behind) {
  static replica authors[2], r;
  static lk_slice updates[101];
  uint32_t count = 0;
  lk_buf all;
  lk_node text;
  lk_buf_init(&all, test_alloc(), 1 << 16);
  for (uint32_t i = 0; i < 2; i++) {
    open_replica(&authors[i], 1 + i, false);
    observe(&authors[i]);
    CHECK_OK(lk_doc_root(authors[i].doc, LK_LIT("t"), LK_NODE_TEXT, &text));
    for (uint32_t k = 0; k < (i == 0 ? 1 : 100); k++) {
      CHECK_OK(lk_doc_text_insert(authors[i].doc, text, 0, LK_LIT("a"), NULL));
      updates[count++] = authors[i].log.at[k];
    }
  }
  CHECK_OK(lk_update_merge(&authors[0].env, LK_UPDATE_V1, updates, count, &all));
  open_replica(&r, 77, false);
  for (size_t len = all.len - 20; len < all.len; len++) {
    CHECK(lk_doc_apply(r.doc, LK_UPDATE_V1, lk_slice_first(lk_buf_slice(&all), len), 0) != LK_OK);
    CHECK_DOC(r.doc);
  }
  CHECK_OK(lk_doc_apply(r.doc, LK_UPDATE_V1, lk_buf_slice(&all), 0));
  CHECK(r.doc->types.at[text.slot].order != LK_NONE);
  CHECK_DOC(r.doc);
  close_replica(&r);
  for (uint32_t i = 0; i < 2; i++) close_replica(&authors[i]);
  lk_buf_deinit(&all);
}

/* ---- what was put aside ---- */

static void craft_in_root(craft *self, const char *root, const char *text) {
  lk_struct view = craft_view(CRAFT_NONE, CRAFT_NONE, LK_CONTENT_STRING, strlen(text));
  view.parent_name = lk_slice_cstr(root);
  view.text.text = lk_slice_cstr(text);
  craft_put(self, &view);
}

static void apply_crafted(lk_doc *doc, craft *update) {
  CHECK_OK(lk_doc_apply(doc, LK_UPDATE_V1, craft_end(update), 0));
  craft_free(update);
}

/* Goal: whoever types in one text stays where he is when an update changes that and another one.
 * Method: two authors, of whom one refers to the other from the second struct on; in front of the cursor, then elsewhere. */
TEST(cursors_of_all_texts_are_told_of_what_was_put_aside) {
  craft update;
  static replica r;
  lk_node t, u;
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1 << 10);
  open_replica(&r, 9, false);
  CHECK_OK(lk_doc_root(r.doc, LK_LIT("t"), LK_NODE_TEXT, &t));
  CHECK_OK(lk_doc_root(r.doc, LK_LIT("u"), LK_NODE_TEXT, &u));
  craft_begin(&update, LK_UPDATE_V1);
  craft_client(&update, 20, 0);
  craft_in_root(&update, "t", "a");
  craft_in_root(&update, "u", "b");
  apply_crafted(r.doc, &update);
  CHECK_OK(lk_doc_text_insert(r.doc, t, 1, LK_LIT("hello"), NULL));
  CHECK_OK(lk_doc_text_insert(r.doc, t, 3, LK_LIT("-"), NULL));
  craft_begin(&update, LK_UPDATE_V1);
  craft_client(&update, 20, 2);
  craft_text(&update, AT(9, 5), AT(9, 2), "+");
  craft_text(&update, AT(5, 0), CRAFT_NONE, "y"); /* which waits */
  craft_text(&update, AT(20, 0), AT(9, 0), "FRONT");
  craft_text(&update, AT(20, 3), CRAFT_NONE, "z");
  craft_client(&update, 5, 0);
  craft_text(&update, AT(20, 1), CRAFT_NONE, "5");
  apply_crafted(r.doc, &update);
  CHECK_DOC(r.doc);
  CHECK_OK(lk_doc_text_insert(r.doc, t, 6, LK_LIT("*"), NULL));
  CHECK_OK(lk_doc_text_string(r.doc, t, &out));
  CHECK_TEXT(lk_buf_slice(&out), "aFRONT*he-+llo");
  lk_buf_deinit(&out);
  close_replica(&r);
}

/* Goal: a list that has an index since the last struct that went straight in is not added to without it.
 * Method: in the middle of a transaction, the end of one author's section makes the index, and the next one goes on there. */
TEST(what_was_put_aside_goes_into_the_index_that_was_just_made) {
  craft update;
  static replica r;
  lk_node text;
  open_replica(&r, 9, false);
  CHECK_OK(lk_doc_root(r.doc, LK_LIT("r"), LK_NODE_TEXT, &text));
  craft_begin(&update, LK_UPDATE_V1);
  craft_client(&update, 1, 0);
  craft_text(&update, CRAFT_NONE, CRAFT_NONE, "b");
  for (uint32_t i = 1; i < 100; i++) craft_text(&update, CRAFT_NONE, AT(1, i - 1), "b");
  apply_crafted(r.doc, &update);
  CHECK_OK(lk_doc_begin(r.doc, 0));
  craft_begin(&update, LK_UPDATE_V1);
  craft_client(&update, 30, 0);
  craft_text(&update, AT(1, 0), CRAFT_NONE, "c");
  apply_crafted(r.doc, &update);
  craft_begin(&update, LK_UPDATE_V1);
  craft_client(&update, 20, 0);
  craft_text(&update, AT(30, 0), CRAFT_NONE, "x");
  craft_text(&update, AT(20, 0), CRAFT_NONE, "y");
  craft_text(&update, CRAFT_NONE, CRAFT_NONE, "0123456789012345678901234567890123456789");
  craft_client(&update, 30, 1);
  craft_text(&update, AT(20, 41), CRAFT_NONE, "z");
  apply_crafted(r.doc, &update);
  CHECK(r.doc->types.at[text.slot].order != LK_NONE);
  lk_doc_commit(r.doc);
  CHECK_DOC(r.doc);
  CHECK_OK(lk_doc_text_insert(r.doc, text, 144, LK_LIT("!"), NULL));
  CHECK_DOC(r.doc);
  close_replica(&r);
}

/* Goal: what an update brings again is let go of once, also where the update fails behind that.
 * Method: a struct that waits already, and a node of so many children that the last of them are deleted when all else is done;
 * each allocation fails in turn. */
TEST(what_waits_already_is_dropped_once) {
  craft base, waits, update;
  static replica r;
  craft_begin(&base, LK_UPDATE_V1);
  craft_client(&base, 1, 0);
  craft_type(&base, CRAFT_NONE, CRAFT_NONE, LK_NODE_TEXT);
  craft_text_in(&base, AT(1, 0), "a");
  for (uint32_t i = 2; i < 3000; i++) craft_text(&base, CRAFT_NONE, AT(1, i - 1), "a");
  craft_begin(&waits, LK_UPDATE_V1);
  craft_begin(&update, LK_UPDATE_V1);
  craft_client(&waits, 5, 10);
  craft_client(&update, 5, 10);
  craft_text(&waits, AT(5, 9), CRAFT_NONE, "wait");
  craft_text(&update, AT(5, 9), CRAFT_NONE, "wait");
  craft_deletes(&update);
  craft_delete(&update, 1, 0, 1);
  lk_slice first = craft_end(&base), second = craft_end(&waits), third = craft_end(&update);
  FAULT_LOOP(faults, test_alloc()) {
    open_replica(&r, 77, false);
    CHECK_OK(lk_doc_apply(r.doc, LK_UPDATE_V1, first, 0));
    CHECK_OK(lk_doc_apply(r.doc, LK_UPDATE_V1, second, 0));
    uint32_t live = r.doc->item_live;
    r.now = faulty_alloc(&faults);
    lk_err err = lk_doc_apply(r.doc, LK_UPDATE_V1, third, 0);
    r.now = test_alloc();
    CHECK_DOC(r.doc);
    if (err != LK_OK) CHECK_U64(r.doc->item_live, live);
    close_replica(&r);
    if (faults.seen == 0) break;
  }
  craft_free(&base);
  craft_free(&waits);
  craft_free(&update);
}

/* Goal: nothing waits for what is here because we wrote it under an id that we do not have any more.
 * Method: in one transaction somebody else comes with our id, a deletion of what is not there yet, and we write that. */
TEST(what_waits_for_an_id_that_we_gave_up_is_taken_in) {
  craft update;
  static replica r;
  lk_node text;
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1 << 10);
  open_replica(&r, 9, false);
  CHECK_OK(lk_doc_root(r.doc, LK_LIT("r"), LK_NODE_TEXT, &text));
  CHECK_OK(lk_doc_begin(r.doc, 0));
  craft_begin(&update, LK_UPDATE_V1);
  craft_client(&update, 9, 0);
  craft_text(&update, CRAFT_NONE, CRAFT_NONE, "ab");
  craft_deletes(&update);
  craft_delete(&update, 9, 3, 1);
  apply_crafted(r.doc, &update);
  CHECK_OK(lk_doc_text_insert(r.doc, text, 2, LK_LIT("cd"), NULL));
  lk_doc_commit(r.doc);
  CHECK(lk_doc_client(r.doc) != 9);
  craft_begin(&update, LK_UPDATE_V1);
  craft_client(&update, 5, 0);
  craft_text(&update, CRAFT_NONE, AT(9, 0), "5");
  apply_crafted(r.doc, &update);
  CHECK_DOC(r.doc);
  CHECK_OK(lk_doc_text_string(r.doc, text, &out));
  CHECK_TEXT(lk_buf_slice(&out), "5abc");
  CHECK_U64(lk_doc_get_pending(r.doc).delete_ranges, 0);
  lk_buf_deinit(&out);
  close_replica(&r);
}

TEST(origins_behind_the_last_clock_are_refused_in_bulk_too) {
  for (uint32_t format = LK_UPDATE_V1; format <= LK_UPDATE_V2; format++) {
    craft update;
    static replica r;
    open_replica(&r, 9, false);
    r.doc->limits.doc_clock = 1000;
    craft_begin(&update, (lk_update_format)format);
    craft_client(&update, 20, 0);
    craft_text(&update, AT(5, 10), CRAFT_NONE, "y");
    craft_text(&update, AT(5, 5000), CRAFT_NONE, "z");
    craft_text(&update, AT(20, 0), CRAFT_NONE,
               "so many bytes that what stands in front is read in bulk");
    lk_slice bytes = craft_end(&update);
    CHECK_ERR(lk_doc_apply(r.doc, (lk_update_format)format, bytes, 0), LK_ERR_LIMIT);
    CHECK(strcmp(lk_doc_limit_hit(r.doc), "doc_clock") == 0);
    craft_free(&update);
    close_replica(&r);
  }
}

/* "a", and twenty stretches of 100 deleted clocks behind it. */
static void put_stretches(lk_buf *out) {
  lk_buf_append(out, LK_LIT("\x01\x15\x01\x00\x04\x01\x01t\x01"
                            "a"));
  for (uint32_t i = 0; i < 20; i++) {
    lk_buf_append(out, LK_LIT("\x81\x01"));
    lk_varuint_encode(out, 100 * i);
    lk_buf_append_u8(out, 100);
  }
  lk_buf_append(out, LK_LIT("\x01\x01\x14")); /* so that no struct stands near the end */
  for (uint32_t i = 0; i < 20; i++) {
    lk_varuint_encode(out, 1 + 100 * i);
    lk_buf_append_u8(out, 100);
  }
}

/* "a" sixteen times, each with two deleted clocks behind it and a "b" behind those; the delete set has the second of the
 * two and the "b" as one range. */
TEST(a_range_that_is_partly_known_to_be_deleted_is_deleted) {
  replica r;
  lk_node text;
  lk_buf update, out;
  lk_buf_init(&update, test_alloc(), 1 << 12);
  lk_buf_init(&out, test_alloc(), 1 << 12);
  lk_buf_append(&update, LK_LIT("\x01\x30\x01\x00"));
  for (uint32_t i = 0, clock = 0; i < 48; i++) {
    uint32_t len = i % 3 == 1 ? 2 : 1;
    if (i == 0) {
      lk_buf_append(&update, LK_LIT("\x04\x01\x01t"));
    } else {
      lk_buf_append_u8(&update, len == 2 ? 0x81 : 0x84);
      lk_buf_append_u8(&update, 1);
      lk_varuint_encode(&update, clock - 1);
    }
    lk_varuint_encode(&update, len);
    if (len == 1) lk_buf_append_u8(&update, i % 3 == 0 ? 'a' : 'b');
    clock += len;
  }
  lk_buf_append(&update, LK_LIT("\x01\x01\x10"));
  for (uint32_t i = 0; i < 16; i++) {
    lk_varuint_encode(&update, 4 * i + 2);
    lk_varuint_encode(&update, 2);
  }
  open_replica(&r, 77, false);
  CHECK_OK(lk_doc_apply(r.doc, LK_UPDATE_V1, lk_buf_slice(&update), 0));
  CHECK_DOC(r.doc);
  CHECK_OK(lk_doc_root(r.doc, LK_LIT("t"), LK_NODE_TEXT, &text));
  CHECK_OK(lk_doc_text_string(r.doc, text, &out));
  CHECK_SLICE(lk_buf_slice(&out), LK_LIT("aaaaaaaaaaaaaaaa"));
  close_replica(&r);
  lk_buf_deinit(&update);
  lk_buf_deinit(&out);
}

TEST(clocks_and_units_end_where_their_limits_say_also_in_bulk) {
  replica r;
  snapshot before, after;
  lk_buf update;
  lk_buf_init(&update, test_alloc(), 1 << 12);
  put_stretches(&update);
  open_replica(&r, 77, false);
  take_snapshot(r.doc, &before);
  for (uint32_t which = 0; which < 2; which++) {
    uint32_t *limit = which == 0 ? &r.doc->limits.doc_clock : &r.doc->limits.doc_units_count,
             was = *limit;
    for (*limit = 2000; *limit > 0; *limit -= 100) {
      CHECK_ERR(lk_doc_apply(r.doc, LK_UPDATE_V1, lk_buf_slice(&update), 0), LK_ERR_LIMIT);
      CHECK(strcmp(lk_doc_limit_hit(r.doc), which == 0 ? "doc_clock" : "doc_units_count") == 0);
      CHECK_DOC(r.doc);
    }
    *limit = was;
  }
  take_snapshot(r.doc, &after);
  check_same(&after, &before);
  r.doc->limits.doc_clock = r.doc->limits.doc_units_count = 2001;
  CHECK_OK(lk_doc_apply(r.doc, LK_UPDATE_V1, lk_buf_slice(&update), 0));
  snapshot_free(&before);
  snapshot_free(&after);
  lk_buf_deinit(&update);
  close_replica(&r);
}

/* The states of one to three writers, and their updates put together without being applied, into an empty document and
 * into one that has some of it. */
PROPERTY_SLOW(structs_in_bulk_go_in_as_they_do_one_by_one, 24) {
  static session s;
  uint32_t at[REPLICAS] = { 0 }, writers = gen_range(g, 1, REPLICAS);
  lk_buf some, state, raw;
  lk_buf_init(&some, test_alloc(), 1 << 26);
  lk_buf_init(&state, test_alloc(), 1 << 26);
  lk_buf_init(&raw, test_alloc(), 1 << 26);
  session_open_with_ids(g, &s);
  s.r[0].doc->gc = gen_bool(g); /* a history in which some deletions are kept and some are not */
  for (uint32_t turns = gen_range(g, 10, 900), turn = 0; turn < turns; turn++) {
    uint32_t writer = gen_below(g, writers);
    if (s.r[writer].log.count < UPDATES_MAX) write_on(g, &s.r[writer], &at[writer]);
    if (gen_below(g, 12) == 0) sync_one(g, &s.r[writer], &s.r[gen_below(g, writers)]);
    if (turn == turns / 2) CHECK_OK(lk_doc_encode(s.r[0].doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &some));
  }
  sync_all(g, &s);
  CHECK_OK(lk_doc_encode(s.r[0].doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &state));
  for (uint32_t i = 0; i < writers; i++) {
    if (s.r[i].log.count == 0) continue;
    CHECK_OK(lk_update_merge(&s.r[i].env, LK_UPDATE_V1, s.r[i].log.at, s.r[i].log.count, &raw));
    check_ways_agree(g, LK_LIT("\0\0"), lk_buf_slice(&raw));
    check_ways_agree(g, lk_buf_slice(&some), lk_buf_slice(&raw));
    lk_buf_truncate(&raw, 0);
  }
  check_ways_agree(g, LK_LIT("\0\0"), lk_buf_slice(&state));
  check_ways_agree(g, lk_buf_slice(&some), lk_buf_slice(&state));
  merge_with_gaps(g, &s, &raw);
  check_ways_agree(g, LK_LIT("\0\0"), lk_buf_slice(&raw));
  check_ways_agree(g, lk_buf_slice(&some), lk_buf_slice(&raw));
  session_close(&s);
  lk_buf_deinit(&some);
  lk_buf_deinit(&state);
  lk_buf_deinit(&raw);
}

/* ---- faults ---- */

/* The edits of |all|, applied in the order |order| says. */
static void draw_session(lk_gen *g, session *self, update_log *all, uint32_t turns) {
  session_open(self, false);
  for (; turns > 0; turns--) session_turn(g, self);
  all->count = 0;
  for (uint32_t i = 0; i < REPLICAS; i++) {
    for (uint32_t u = 0; u < self->r[i].log.count && all->count < UPDATES_MAX; u++)
      all->at[all->count++] = self->r[i].log.at[u];
  }
  for (uint32_t i = all->count; i > 1; i--) {
    uint32_t j = gen_below(g, i);
    lk_slice other = all->at[j];
    all->at[j] = all->at[i - 1];
    all->at[i - 1] = other;
  }
}

PROPERTY_SLOW(an_update_that_cannot_be_taken_in_changes_nothing, 24) {
  static session s;
  static update_log all;
  static replica r;
  snapshot before, after, want;
  draw_session(g, &s, &all, gen_range(g, 5, 40));
  uint32_t base = all.count == 0 ? 0 : gen_below(g, all.count);
  bool first = true;
  if (all.count > 0) {
    FAULT_LOOP(faults, test_alloc()) {
      open_replica(&r, 77, false);
      for (uint32_t i = 0; i < base; i++) CHECK_OK(lk_doc_apply(r.doc, LK_UPDATE_V1, all.at[i], 0));
      take_snapshot(r.doc, &before);
      r.now = faulty_alloc(&faults);
      lk_err err = lk_doc_apply(r.doc, LK_UPDATE_V1, all.at[base], 0);
      r.now = test_alloc();
      CHECK(err == LK_OK || err == LK_ERR_NOMEM);
      CHECK_DOC(r.doc);
      if (err != LK_OK) {
        take_snapshot(r.doc, &after);
        check_same(&after, &before);
        snapshot_free(&after);
        CHECK_OK(lk_doc_apply(r.doc, LK_UPDATE_V1, all.at[base], 0));
        CHECK_DOC(r.doc);
      }
      take_snapshot(r.doc, &after);
      if (first) want = after;
      /* formats that were not cleaned for want of memory show */
      else if (err != LK_OK) check_same(&after, &want);
      if (!first) snapshot_free(&after);
      first = false;
      snapshot_free(&before);
      close_replica(&r);
      if (faults.seen == 0) break;
    }
    snapshot_free(&want);
  }
  session_close(&s);
}

PROPERTY_SLOW(an_edit_that_fails_changes_nothing, 24) {
  static session s;
  static update_log all;
  static replica r;
  snapshot before, after, want;
  draw_session(g, &s, &all, gen_range(g, 5, 40));
  edit edits[4];
  uint32_t count = 1 + gen_below(g, 4);
  bool together = gen_bool(g), first = true, open = false;
  FAULT_LOOP(faults, test_alloc()) {
    open_replica(&r, 77, false);
    make_roots(r.doc);
    for (uint32_t i = 0; i < all.count; i++)
      CHECK_OK(lk_doc_apply(r.doc, LK_UPDATE_V1, all.at[i], 0));
    if (first) {
      for (uint32_t i = 0; i < count; i++) edits[i] = draw_edit(g, r.doc);
    }
    open = false;
    if (together) {
      CHECK_OK(lk_doc_begin(r.doc, 5));
      open = true;
    }
    for (uint32_t i = 0; i < count; i++) {
      take_snapshot(r.doc, &before);
      r.now = faulty_alloc(&faults);
      lk_err err = do_edit(r.doc, &edits[i]);
      r.now = test_alloc();
      if (err == LK_ERR_NOMEM) {
        take_snapshot(r.doc, &after);
        check_same(&after, &before);
        snapshot_free(&after);
        if (!open) CHECK_DOC(r.doc);
        err = do_edit(r.doc, &edits[i]);
      }
      CHECK(err == LK_OK || err == LK_ERR_NOT_FOUND || err == LK_ERR_RANGE ||
            err == LK_ERR_INVALID);
      snapshot_free(&before);
    }
    if (open) {
      r.now = faulty_alloc(&faults);
      lk_doc_commit(r.doc);
      r.now = test_alloc();
    }
    CHECK_DOC(r.doc);
    take_snapshot(r.doc, &after);
    if (first) {
      want = after;
    } else {
      check_same(&after, &want);
      snapshot_free(&after);
    }
    first = false;
    close_replica(&r);
    if (faults.seen == 0) break;
  }
  snapshot_free(&want);
  session_close(&s);
}

/* ---- the fast way ---- */

/* |slow| gets calls and updates within transactions that are within another, so that nothing goes the fast way. */
static void begin_slowly(lk_doc *doc) {
  for (int i = 0; i < 2; i++) CHECK_OK(lk_doc_begin(doc, 0));
}
static void commit_slowly(lk_doc *doc) {
  for (int i = 0; i < 2; i++) lk_doc_commit(doc);
}

typedef struct twins {
  replica fast, slow, peer;
  lk_node f, s, p;
  bool watched, logs;  /* |fast| has listeners, and one that keeps its log */
  update_log heard[2]; /* what the twins tell, of others as well, in both formats */
} twins;

#define ELSEWHERE 5

static bool is_mixed; /* an update is applied in a transaction of our own, or something is undone */

static void hear(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  (void)doc;
  if (!is_mixed) CHECK_U64(origin, local ? 0 : ELSEWHERE);
  log_update(ctx, update);
}

static void twins_open(lk_gen *g, twins *self, lk_node_kind kind) {
  bool keep = gen_chance(g, 1, 8);
  open_replica(&self->fast, 20, keep);
  open_replica(&self->slow, 20, keep);
  open_replica(&self->peer, gen_bool(g) ? 10 : 30, keep);
  self->watched = gen_bool(g);
  self->logs = self->watched && gen_bool(g); /* otherwise some hear V2 alone */
  observe(&self->slow);
  if (self->logs) observe(&self->fast);
  self->heard[0].count = self->heard[1].count = 0;
  if (self->watched) {
    static const lk_update_format formats[] = { LK_UPDATE_V1, LK_UPDATE_V2 };
    for (int i = 0; i < 2; i++) {
      if (gen_bool(g)) continue;
      CHECK_OK(lk_doc_on_update(self->fast.doc, formats[i], hear, &self->heard[0], NULL));
      CHECK_OK(lk_doc_on_update(self->slow.doc, formats[i], hear, &self->heard[1], NULL));
    }
  }
  observe(&self->peer);
  CHECK_OK(lk_doc_root(self->fast.doc, LK_LIT("t"), kind, &self->f));
  CHECK_OK(lk_doc_root(self->slow.doc, LK_LIT("t"), kind, &self->s));
  CHECK_OK(lk_doc_root(self->peer.doc, LK_LIT("t"), kind, &self->p));
}

static void twins_compare(twins *self) {
  CHECK_DOC(self->fast.doc);
  CHECK_DOC(self->slow.doc);
  check_docs_say_the_same(self->fast.doc, self->slow.doc);
  CHECK_U64(self->heard[0].count, self->heard[1].count);
  for (uint32_t i = 0; i < self->heard[0].count; i++)
    CHECK_SLICE(self->heard[0].at[i], self->heard[1].at[i]);
  if (!self->watched) return;
  if (self->logs) CHECK_U64(self->fast.log.count, self->slow.log.count);
  for (uint32_t i = 0; i < self->fast.log.count; i++)
    CHECK_SLICE(self->fast.log.at[i], self->slow.log.at[i]);
}

/* Where somebody types: mostly on from where he was. */
typedef struct typist {
  uint32_t at;
} typist;

static void type_once(lk_gen *g, typist *who, lk_doc *doc, lk_node node, lk_doc *twin,
                      lk_node twin_node) {
  uint32_t units = (uint32_t)lk_doc_node_length(doc, node);
  if (who->at > units || gen_chance(g, 1, 6)) who->at = gen_below(g, units + 1);
  uint32_t length = 1 + gen_below(g, gen_chance(g, 1, 8) ? 40 : 3);
  if (gen_chance(g, 2, 5) && units > 0) {
    if (gen_bool(g)) who->at -= lk_min_u32(who->at, length); /* backspace, or delete */
    length = lk_min_u32(length, units - who->at);
    CHECK_OK(lk_doc_text_delete(doc, node, who->at, length));
    if (twin == NULL) return;
    begin_slowly(twin);
    CHECK_OK(lk_doc_text_delete(twin, twin_node, who->at, length));
    commit_slowly(twin);
    return;
  }
  lk_slice text = lk_slice_cstr(texts[gen_chance(g, 1, 8) ? gen_below(g, TEXTS) : gen_below(g, 4)]);
  CHECK_OK(lk_doc_text_insert(doc, node, who->at, text, NULL));
  if (twin != NULL) {
    begin_slowly(twin);
    CHECK_OK(lk_doc_text_insert(twin, twin_node, who->at, text, NULL));
    commit_slowly(twin);
  }
  who->at += (uint32_t)text.len;
}

/* What comes with text that is replaced, in the same transaction. */
typedef enum company {
  NOTHING,
  ANOTHER_TEXT,
  ANOTHER_DELETION,
  FORMATTING,
  LISTENING,
  UNDOING,
  ENCODING,
  AN_UPDATE,
  COMPANIES,
} company;

/* Who came in the middle of a transaction. */
typedef struct guests {
  update_log *heard;
  uint32_t ear;
  lk_undo *undo;
} guests;

static void hear_delta(void *ctx, lk_doc *doc, const lk_event *event) {
  lk_buf delta;
  (void)doc;
  lk_buf_init(&delta, test_alloc(), 1 << 20);
  CHECK_OK(lk_event_delta(event, &delta));
  log_update(ctx, lk_buf_slice(&delta));
  lk_buf_deinit(&delta);
}

static void keep_company(company with, lk_doc *doc, lk_node node, uint32_t at, lk_slice update,
                         guests *in) {
  static const lk_undo_options options = LK_UNDO_OPTIONS_INIT;
  static const lk_attribute bold = { { (const uint8_t *)"b", 1 }, { .kind = LK_VALUE_NULL } };
  lk_attributes attributes = { &bold, 1 };
  uint32_t units = (uint32_t)lk_doc_node_length(doc, node);
  lk_buf out;
  at = lk_min_u32(at, units);
  switch (with) {
  case ANOTHER_TEXT: CHECK_OK(lk_doc_text_insert(doc, node, at, LK_LIT("xy"), NULL)); break;
  case ANOTHER_DELETION:
    CHECK_OK(lk_doc_text_delete(doc, node, at, lk_min_u32(2, units - at)));
    break;
  case FORMATTING:
    CHECK_OK(lk_doc_text_format(doc, node, at, lk_min_u32(2, units - at), &attributes));
    break;
  case LISTENING:
    if (in->ear == 0) CHECK_OK(lk_doc_observe(doc, node, hear_delta, in->heard, &in->ear));
    break;
  case UNDOING:
    if (in->undo == NULL) CHECK_OK(lk_undo_open(doc, &node, 1, &options, &in->undo));
    break;
  case ENCODING:
    lk_buf_init(&out, test_alloc(), 1 << 24);
    CHECK_OK(lk_doc_encode(doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &out));
    lk_buf_deinit(&out);
    break;
  case AN_UPDATE:
    if (update.len > 0) CHECK_OK(lk_doc_apply(doc, LK_UPDATE_V1, update, ELSEWHERE));
    break;
  default: break;
  }
}

/* |slow|: by way of a transaction within another. */
static void replace_in(lk_doc *doc, lk_node node, bool slow, uint32_t at, uint32_t length,
                       lk_slice text, company before, company behind, lk_slice update,
                       update_log *heard) {
  guests in = { .heard = heard };
  bool undone;
  if (slow) begin_slowly(doc);
  else CHECK_OK(lk_doc_begin(doc, 0));
  CHECK_OK(lk_doc_text_delete(doc, node, at, length));
  keep_company(before, doc, node, at / 2, update, &in);
  at = lk_min_u32(at, (uint32_t)lk_doc_node_length(doc, node));
  CHECK_OK(lk_doc_text_insert(doc, node, at, text, NULL));
  keep_company(behind, doc, node, at / 2 + 1, update, &in);
  if (slow) commit_slowly(doc);
  else lk_doc_commit(doc);
  if (in.undo != NULL) {
    CHECK_OK(lk_undo_undo(in.undo, &undone));
    lk_undo_close(in.undo);
  }
  if (in.ear != 0) lk_doc_off(doc, in.ear);
}

/* |update| is one that may come meanwhile. */
static void replace_once(lk_gen *g, typist *who, twins *t, lk_slice update) {
  uint32_t units = (uint32_t)lk_doc_node_length(t->fast.doc, t->f);
  if (units == 0) return;
  if (who->at >= units || gen_chance(g, 1, 4)) who->at = gen_below(g, units);
  uint32_t length = 1 + gen_below(g, gen_chance(g, 1, 4) ? 40 : 3);
  length = lk_min_u32(length, units - who->at);
  lk_slice text = lk_slice_cstr(texts[gen_chance(g, 1, 8) ? gen_below(g, TEXTS) : gen_below(g, 4)]);
  bool alone = gen_chance(g, 2, 3);
  company before = alone ? NOTHING : (company)gen_below(g, COMPANIES);
  company behind = alone ? NOTHING : (company)gen_below(g, COMPANIES);
  is_mixed = !alone;
  replace_in(t->fast.doc, t->f, false, who->at, length, text, before, behind, update, &t->heard[0]);
  replace_in(t->slow.doc, t->s, true, who->at, length, text, before, behind, update, &t->heard[1]);
  is_mixed = false;
  who->at += (uint32_t)text.len;
}

static void apply_slowly(replica *self, lk_slice update) {
  CHECK_OK(lk_doc_begin(self->doc, ELSEWHERE));
  CHECK_OK(lk_doc_apply(self->doc, LK_UPDATE_V1, update, ELSEWHERE));
  lk_doc_commit(self->doc);
}

static void apply_fast(replica *self, bool is_v2, lk_slice update) {
  lk_buf v2;
  if (!is_v2) {
    CHECK_OK(lk_doc_apply(self->doc, LK_UPDATE_V1, update, ELSEWHERE));
    return;
  }
  lk_buf_init(&v2, test_alloc(), 1 << 24);
  CHECK_OK(lk_update_convert(&self->env, LK_UPDATE_V1, update, LK_UPDATE_V2, &v2));
  CHECK_OK(lk_doc_apply(self->doc, LK_UPDATE_V2, lk_buf_slice(&v2), ELSEWHERE));
  lk_buf_deinit(&v2);
}

static lk_slice next_of(const update_log *log, uint32_t at) {
  return at < log->count ? log->at[at] : LK_SLICE_EMPTY;
}

static void twins_close(twins *self) {
  for (int i = 0; i < 2; i++) log_free(&self->heard[i]);
  close_replica(&self->fast);
  close_replica(&self->slow);
  close_replica(&self->peer);
}

/* What the peer wrote to the twins, and mostly what they wrote to him. */
static void pass_on(lk_gen *g, twins *t, uint32_t *to_twins, uint32_t *to_peer) {
  for (; *to_twins < t->peer.log.count; ++*to_twins) {
    apply_fast(&t->fast, gen_bool(g), t->peer.log.at[*to_twins]);
    apply_slowly(&t->slow, t->peer.log.at[*to_twins]);
    twins_compare(t);
  }
  if (gen_bool(g)) return;
  for (; *to_peer < t->slow.log.count; ++*to_peer)
    CHECK_OK(lk_doc_apply(t->peer.doc, LK_UPDATE_V1, t->slow.log.at[*to_peer], 0));
}

/* One update of several ranges. */
static void delete_here_and_there(lk_gen *g, lk_doc *doc, lk_node node) {
  CHECK_OK(lk_doc_begin(doc, 0));
  for (uint32_t times = 1 + gen_below(g, 4); times > 0; times--) {
    uint32_t units = (uint32_t)lk_doc_node_length(doc, node), at = gen_below(g, units + 1);
    CHECK_OK(lk_doc_text_delete(doc, node, at, lk_min_u32(1 + gen_below(g, 3), units - at)));
  }
  lk_doc_commit(doc);
}

/* One update of text that comes and of ranges that go. */
static void replace_at_once(lk_gen *g, typist *who, lk_doc *doc, lk_node node) {
  uint32_t units = (uint32_t)lk_doc_node_length(doc, node);
  if (units == 0) return;
  if (who->at >= units || gen_chance(g, 1, 3)) who->at = gen_below(g, units);
  uint32_t length = 1 + gen_below(g, gen_chance(g, 1, 4) ? 40 : 3);
  lk_slice text = lk_slice_cstr(texts[gen_chance(g, 1, 8) ? gen_below(g, TEXTS) : gen_below(g, 4)]);
  replace_in(doc, node, false, who->at, lk_min_u32(length, units - who->at), text, NOTHING, NOTHING,
             LK_SLICE_EMPTY, NULL);
  who->at += (uint32_t)text.len;
}

PROPERTY_SLOW(typing_goes_the_same_way_fast_and_slow, 4) {
  static twins t;
  typist own = { 0 }, other = { 0 };
  uint32_t to_peer = 0, to_twins = 0;
  twins_open(g, &t, LK_NODE_TEXT);
  for (uint32_t turns = gen_below(g, 300); turns > 0; turns--) {
    if (t.slow.log.count + t.peer.log.count + 2 > UPDATES_MAX) break;
    switch (gen_below(g, 4)) {
    case 0:
      if (gen_chance(g, 1, 4)) delete_here_and_there(g, t.peer.doc, t.p);
      else if (gen_chance(g, 1, 3)) replace_at_once(g, &other, t.peer.doc, t.p);
      else type_once(g, &other, t.peer.doc, t.p, NULL, t.p);
      break;
    case 1: pass_on(g, &t, &to_twins, &to_peer); break;
    default:
      if (gen_chance(g, 1, 4)) replace_once(g, &own, &t, next_of(&t.peer.log, to_twins));
      else type_once(g, &own, t.fast.doc, t.f, t.slow.doc, t.s);
      if (turns % 8 == 0 || gen_chance(g, 1, 8)) twins_compare(&t);
    }
  }
  twins_compare(&t);
  twins_close(&t);
}

static void erase_both(twins *t, uint32_t at, uint32_t length) {
  CHECK_OK(lk_doc_text_delete(t->fast.doc, t->f, at, length));
  begin_slowly(t->slow.doc);
  CHECK_OK(lk_doc_text_delete(t->slow.doc, t->s, at, length));
  commit_slowly(t->slow.doc);
}

/* Words at random places, single characters deleted, or every other one: so a text is in many items, and what is deleted
 * in many leaves of its order index. */
static void patch_both(lk_gen *g, twins *t) {
  uint32_t units = (uint32_t)lk_doc_node_length(t->fast.doc, t->f), at = gen_below(g, units + 1);
  if (gen_chance(g, 1, 3) && at < units) {
    for (uint32_t times = 1 + gen_below(g, 12); times > 0 && at < units; times--, at++, units--)
      erase_both(t, at, 1);
    return;
  }
  lk_slice text = LK_LIT("abcdefghijkl");
  text.len = 1 + gen_below(g, 12);
  CHECK_OK(lk_doc_text_insert(t->fast.doc, t->f, at, text, NULL));
  begin_slowly(t->slow.doc);
  CHECK_OK(lk_doc_text_insert(t->slow.doc, t->s, at, text, NULL));
  commit_slowly(t->slow.doc);
}

PROPERTY_SLOW(long_stretches_are_deleted_the_same_way_fast_and_slow, 4) {
  static twins t;
  twins_open(g, &t, LK_NODE_TEXT);
  for (uint32_t rounds = 1 + gen_below(g, 6); rounds > 0; rounds--) {
    for (uint32_t patches = gen_below(g, 120); patches > 0; patches--) {
      if (lk_max_u32(t.slow.log.count, t.heard[0].count) + 32 > UPDATES_MAX) break;
      patch_both(g, &t);
    }
    twins_compare(&t);
    uint32_t units = (uint32_t)lk_doc_node_length(t.fast.doc, t.f), at = gen_below(g, units + 1);
    uint32_t length = gen_chance(g, 1, 3) ? units - at : gen_below(g, units - at + 1);
    if (gen_bool(g)) {
      erase_both(&t, at, length);
    } else if (length > 0) {
      replace_in(t.fast.doc, t.f, false, at, length, LK_LIT("new"), NOTHING, NOTHING,
                 LK_SLICE_EMPTY, &t.heard[0]);
      replace_in(t.slow.doc, t.s, true, at, length, LK_LIT("new"), NOTHING, NOTHING, LK_SLICE_EMPTY,
                 &t.heard[1]);
    }
    twins_compare(&t);
  }
  twins_close(&t);
}

/* Mostly one, of any kind. */
static uint32_t draw_values(lk_gen *g, lk_value *out, uint32_t most) {
  static const uint8_t any[] = { 118, 1, 1, 'k', 125, 5 }; /* {"k":5} */
  uint32_t count = gen_chance(g, 1, 8) ? 1 + gen_below(g, most) : 1;
  for (uint32_t i = 0; i < count; i++) {
    switch (gen_below(g, 8)) {
    case 0: out[i] = (lk_value){ .kind = LK_VALUE_NULL }; break;
    case 1: out[i] = (lk_value){ .kind = LK_VALUE_BOOL, .boolean = gen_bool(g) }; break;
    case 2: out[i] = (lk_value){ .kind = LK_VALUE_STRING, .bytes = LK_LIT("h\xC3\xA9") }; break;
    case 3: out[i] = (lk_value){ .kind = LK_VALUE_NUMBER, .number = 0.5 }; break;
    case 4:
      out[i] = gen_bool(g) ? (lk_value){ .kind = LK_VALUE_ANY, .bytes = { any, sizeof any } }
                           : (lk_value){ .kind = LK_VALUE_BINARY, .bytes = LK_LIT("b") };
      break;
    default: out[i] = (lk_value){ .kind = LK_VALUE_NUMBER, .number = gen_below(g, 1u << 30) };
    }
  }
  return count;
}

#define VALUES_AT_ONCE 80

typedef struct list_change {
  enum { PUSH, PUT, TAKE } what;
  uint32_t at, count;
  lk_value values[VALUES_AT_ONCE];
} list_change;

/* Mostly where the last one was. */
static void draw_list_change(lk_gen *g, uint32_t units, uint32_t *at, list_change *out) {
  if (*at > units || gen_chance(g, 1, 6)) *at = gen_below(g, units + 1);
  out->what = gen_chance(g, 1, 4) ? TAKE : gen_chance(g, 1, 3) ? PUSH : PUT;
  out->at = *at;
  if (out->what == TAKE) {
    out->count = lk_min_u32(1 + gen_below(g, 3), units - *at);
  } else {
    out->count = draw_values(g, out->values, VALUES_AT_ONCE);
    if (out->what == PUT) *at += gen_chance(g, 3, 4) ? out->count : 0;
  }
}

static void change_list(lk_doc *doc, lk_node list, const list_change *change) {
  switch (change->what) {
  case PUSH: CHECK_OK(lk_doc_list_push(doc, list, change->values, change->count)); break;
  case PUT:
    CHECK_OK(lk_doc_list_insert(doc, list, change->at, change->values, change->count));
    break;
  case TAKE: CHECK_OK(lk_doc_list_delete(doc, list, change->at, change->count)); break;
  }
}

/* Observers of events come and go: then nothing is fast. */
static void listen_for_a_while(lk_gen *g, twins *t, uint32_t ears[2]) {
  lk_doc *docs[] = { t->fast.doc, t->slow.doc };
  lk_node nodes[] = { t->f, t->s };
  if (!gen_chance(g, 1, 16)) return;
  for (int i = 0; i < 2; i++) {
    if (ears[i] != 0) lk_doc_off(docs[i], ears[i]);
    if (ears[i] != 0) ears[i] = 0;
    else CHECK_OK(lk_doc_observe(docs[i], nodes[i], hear_delta, &t->heard[i], &ears[i]));
  }
}

PROPERTY_SLOW(values_go_the_same_way_fast_and_slow, 4) {
  static twins t;
  static list_change change;
  uint32_t own = 0, other = 0, to_peer = 0, to_twins = 0, ears[2] = { 0 };
  twins_open(g, &t, gen_bool(g) ? LK_NODE_ARRAY : LK_NODE_XML_FRAGMENT);
  for (uint32_t turns = gen_below(g, 250); turns > 0; turns--) {
    if (t.slow.log.count + t.peer.log.count + 2 > UPDATES_MAX / 2) break;
    listen_for_a_while(g, &t, ears);
    switch (gen_below(g, 4)) {
    case 0:
      draw_list_change(g, (uint32_t)lk_doc_node_length(t.peer.doc, t.p), &other, &change);
      change_list(t.peer.doc, t.p, &change);
      break;
    case 1: pass_on(g, &t, &to_twins, &to_peer); break;
    default:
      draw_list_change(g, (uint32_t)lk_doc_node_length(t.fast.doc, t.f), &own, &change);
      change_list(t.fast.doc, t.f, &change);
      begin_slowly(t.slow.doc);
      change_list(t.slow.doc, t.s, &change);
      commit_slowly(t.slow.doc);
      if (turns % 8 == 0 || gen_chance(g, 1, 8)) twins_compare(&t);
    }
  }
  twins_compare(&t);
  twins_close(&t);
}

/* Goal: a client of few items, whose block has room for few, gets all that cutting two ranges out of them needs.
 * Method: 1 to 9 items of 8 characters, and each pair of ranges of 2. */
TEST(ranges_are_cut_out_of_a_client_of_few_items) {
  static replica peer, fast, slow;
  lk_node node;
  for (uint32_t items = 1; items <= 9; items++) {
    open_replica(&peer, 30, false);
    observe(&peer);
    CHECK_OK(lk_doc_root(peer.doc, LK_LIT("t"), LK_NODE_TEXT, &node));
    for (uint32_t i = 0; i < items; i++)
      CHECK_OK(lk_doc_text_insert(peer.doc, node, 0, LK_LIT("01234567"), NULL));
    for (uint32_t a = 0; a + 4 < items * 8; a += 3) {
      for (uint32_t b = a + 3; b + 2 <= items * 8; b += 5) {
        const uint8_t update[] = { 0, 1, 30, 2, (uint8_t)a, 2, (uint8_t)b, 2 };
        open_replica(&fast, 20, false);
        open_replica(&slow, 20, false);
        for (uint32_t i = 0; i < peer.log.count; i++) {
          apply_fast(&fast, false, peer.log.at[i]);
          apply_fast(&slow, false, peer.log.at[i]);
        }
        apply_fast(&fast, (a & 1) != 0, lk_slice_of(update, sizeof update));
        apply_slowly(&slow, lk_slice_of(update, sizeof update));
        CHECK_DOC(fast.doc);
        check_docs_say_the_same(fast.doc, slow.doc);
        close_replica(&fast);
        close_replica(&slow);
      }
    }
    close_replica(&peer);
  }
}

/* Goal: an update that deletes many stretches, alone or for a text in their place, is taken in as by a transaction, also where there
 * are more than are taken in at once.
 * Method: a text that was put together out of order, of which more or less goes; a peer that is kept from the fast way. */
PROPERTY_SLOW(many_stretches_are_taken_in_the_same_way_fast_and_slow, 8) {
  static replica peer, fast, slow;
  lk_node node;
  lk_buf base, out[2];
  open_replica(&peer, 30, false);
  CHECK_OK(lk_doc_root(peer.doc, LK_LIT("t"), LK_NODE_TEXT, &node));
  CHECK_OK(lk_doc_text_insert(peer.doc, node, 0, LK_LIT("0123456789"), NULL));
  for (uint32_t n = gen_chance(g, 1, 4) ? 2500 : gen_below(g, 300); n > 0; n--) {
    uint32_t units = (uint32_t)lk_doc_node_length(peer.doc, node);
    CHECK_OK(lk_doc_text_insert(peer.doc, node, gen_below(g, units + 1), LK_LIT("ab"), NULL));
  }
  lk_buf_init(&base, test_alloc(), 1 << 24);
  CHECK_OK(lk_doc_encode(peer.doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &base));
  open_replica(&fast, 20, false);
  open_replica(&slow, 21, false);
  apply_fast(&fast, false, lk_buf_slice(&base));
  apply_slowly(&slow, lk_buf_slice(&base));
  observe(&peer);
  uint32_t all = (uint32_t)lk_doc_node_length(peer.doc, node), at = gen_below(g, all);
  uint32_t length = 1 + gen_below(g, all - at);
  CHECK_OK(lk_doc_begin(peer.doc, 0));
  CHECK_OK(lk_doc_text_delete(peer.doc, node, at, length));
  if (gen_bool(g)) CHECK_OK(lk_doc_text_insert(peer.doc, node, at, LK_LIT("new"), NULL));
  lk_doc_commit(peer.doc);
  apply_fast(&fast, gen_bool(g), peer.log.at[0]);
  apply_slowly(&slow, peer.log.at[0]);
  CHECK_DOC(fast.doc);
  check_docs_say_the_same(fast.doc, slow.doc);
  for (int i = 0; i < 2; i++) {
    lk_buf_init(&out[i], test_alloc(), 1 << 24);
    CHECK_OK(lk_doc_encode(i == 0 ? fast.doc : slow.doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &out[i]));
  }
  CHECK_SLICE(lk_buf_slice(&out[0]), lk_buf_slice(&out[1]));
  for (int i = 0; i < 2; i++) lk_buf_deinit(&out[i]);
  lk_buf_deinit(&base);
  close_replica(&slow);
  close_replica(&fast);
  close_replica(&peer);
}

#define CLOCKS_MAX 100000

/* Goal: ranges in any order are put in order, and made one where they touch.
 * Method: as many as are sorted in each way, of one client or three, with numbers of one byte or two; each clock is
 * marked. What is in order stays as it is. */
PROPERTY(ranges_are_put_in_order) {
  static const uint32_t sizes[] = { 3, 34, 60, 500, 1026, 1100 };
  static uint8_t marks[3][CLOCKS_MAX + 8];
  static lk_range ranges[1100], sorted[1100];
  uint32_t size = sizes[gen_below(g, 6)], count = size - gen_below(g, 3), kept = count;
  uint32_t most = gen_bool(g) ? CLOCKS_MAX : 2 * size, clients = gen_bool(g) ? 1 : 3, wrong = 0;
  uint32_t apart = gen_bool(g) ? 1 : 255, again;
  memset(marks, 0, sizeof marks);
  for (uint32_t i = 0; i < count; i++) {
    ranges[i] = (lk_range){ apart * gen_below(g, clients), gen_below(g, most),
                            1 + gen_below(g, 4) };
    memset(marks[ranges[i].client / apart] + ranges[i].clock, 1, ranges[i].len);
  }
  lk_ranges_sort(ranges, &kept, true);
  for (uint32_t i = 0; i < kept; i++) {
    const lk_range *at = &ranges[i], *next = at + 1;
    for (uint32_t n = 0; n < at->len; n++) wrong += marks[at->client / apart][at->clock + n]++ != 1;
    bool is_last = i + 1 == kept || at->client < next->client;
    CHECK(is_last || (at->client == next->client && at->clock + at->len < next->clock));
  }
  for (uint32_t i = 0; i < sizeof marks; i++) wrong += ((const uint8_t *)marks)[i] == 1;
  CHECK(wrong == 0);
  again = kept;
  memcpy(sorted, ranges, sizeof ranges);
  lk_ranges_sort(ranges, &again, true);
  CHECK(again == kept && memcmp(sorted, ranges, kept * sizeof *ranges) == 0);
}

/* Goal: structs that come together find what their author wrote last before them, also where the block of that is full.
 * Method: an author of 1 to 130 structs, and one update: in front, behind all, and behind the first of these, which
 * goes in by itself; then more of them, as the last ones do not go in together either. */
TEST(structs_in_bulk_stand_behind_what_their_author_wrote_last) {
  static replica peer, r;
  lk_node node;
  for (uint32_t items = 1; items <= 130; items++) {
    open_replica(&peer, 30, false);
    open_replica(&r, 20, false);
    observe(&peer);
    CHECK_OK(lk_doc_root(peer.doc, LK_LIT("t"), LK_NODE_TEXT, &node));
    for (uint32_t i = 0; i < items; i++)
      CHECK_OK(lk_doc_text_insert(peer.doc, node, 0, LK_LIT("a"), NULL));
    CHECK_OK(lk_doc_begin(peer.doc, 0));
    CHECK_OK(lk_doc_text_insert(peer.doc, node, 0, LK_LIT("x"), NULL));
    CHECK_OK(lk_doc_text_insert(peer.doc, node, items + 1, LK_LIT("y"), NULL));
    CHECK_OK(lk_doc_text_insert(peer.doc, node, 1, LK_LIT("z"), NULL));
    for (uint32_t i = 0; i < 8; i++)
      CHECK_OK(lk_doc_text_insert(peer.doc, node, 0, LK_LIT("b"), NULL));
    lk_doc_commit(peer.doc);
    for (uint32_t i = 0; i < peer.log.count; i++) apply_fast(&r, false, peer.log.at[i]);
    CHECK_DOC(r.doc);
    check_docs_say_the_same(r.doc, peer.doc);
    close_replica(&r);
    close_replica(&peer);
  }
}

/* Ranges of one client that are cut out of two items, and some whole ones. */
TEST(deletions_that_find_no_memory_change_nothing) {
  static replica peer, self;
  static const uint8_t updates[][13 + 8] = {
    { 0, 1, 30, 3, 1, 4, 20, 10, 40, 3 },
    { 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 30, 3, 1, 3, 15, 9, 10, 2 },
  };
  static const uint8_t lens[] = { 10, 21 };
  lk_node node;
  snapshot before, after;
  open_replica(&peer, 30, false);
  observe(&peer);
  CHECK_OK(lk_doc_root(peer.doc, LK_LIT("t"), LK_NODE_TEXT, &node));
  for (uint32_t i = 0; i < 60;
       i++) /* the first and the last are one item each, of many characters */
    CHECK_OK(lk_doc_text_insert(peer.doc, node, i < 10 || i > 35 ? i : 0, LK_LIT("x"), NULL));
  for (int form = 0; form < 2; form++) {
    FAULT_LOOP(faults, test_alloc()) {
      open_replica(&self, 20, false);
      for (uint32_t i = 0; i < peer.log.count; i++)
        CHECK_OK(lk_doc_apply(self.doc, LK_UPDATE_V1, peer.log.at[i], 0));
      take_snapshot(self.doc, &before);
      self.now = faulty_alloc(&faults);
      lk_err err = lk_doc_apply(self.doc, form == 0 ? LK_UPDATE_V1 : LK_UPDATE_V2,
                                lk_slice_of(updates[form], lens[form]), 0);
      self.now = test_alloc();
      CHECK_DOC(self.doc);
      take_snapshot(self.doc, &after);
      if (err != LK_OK) check_same(&after, &before);
      else CHECK(!lk_slice_equal(lk_buf_slice(&after.v1), lk_buf_slice(&before.v1)));
      snapshot_free(&before);
      snapshot_free(&after);
      close_replica(&self);
      if (faults.seen == 0) break;
    }
  }
  close_replica(&peer);
}

/* Who replaces all that he typed: his new text goes on in the item that is to go, and which is whole before. */
TEST(text_that_goes_on_in_what_it_replaces_changes_all_or_nothing) {
  static const uint8_t typed[] = { 1, 1, 7, 0, 4, 1, 1, 't', 3, 'a', 'b', 'c', 0 };
  static const uint8_t replaced[] = { 1, 1, 7, 3, 0x84, 7, 2, 1, 'd', 1, 7, 1, 0, 3 };
  static replica self;
  snapshot before, after;
  FAULT_LOOP(faults, test_alloc()) {
    open_replica(&self, 20, false);
    CHECK_OK(lk_doc_apply(self.doc, LK_UPDATE_V1, lk_slice_of(typed, sizeof typed), 0));
    take_snapshot(self.doc, &before);
    self.now = faulty_alloc(&faults);
    lk_err err = lk_doc_apply(self.doc, LK_UPDATE_V1, lk_slice_of(replaced, sizeof replaced), 0);
    self.now = test_alloc();
    CHECK_DOC(self.doc);
    take_snapshot(self.doc, &after);
    if (err != LK_OK) check_same(&after, &before);
    else CHECK_U64(self.doc->clients.at[0].clock, 4);
    snapshot_free(&before);
    snapshot_free(&after);
    close_replica(&self);
    if (faults.seen == 0) break;
  }
}

/* A block of a client is known to be all deleted; then comes what is not. */
TEST(what_is_typed_behind_a_deleted_block_can_be_deleted) {
  static replica peer, self;
  lk_node theirs, ours;
  open_replica(&self, 20, false);
  open_replica(&peer, 30, false);
  observe(&self);
  observe(&peer);
  CHECK_OK(lk_doc_root(peer.doc, LK_LIT("t"), LK_NODE_TEXT, &theirs));
  CHECK_OK(lk_doc_root(self.doc, LK_LIT("t"), LK_NODE_TEXT, &ours));
  uint32_t told = 0;
  for (uint32_t round = 0; round < 2; round++) {
    lk_buf whole; /* tells of the first block from its beginning on */
    lk_buf_init(&whole, test_alloc(), 1 << 20);
    for (uint32_t i = 0; i < (round == 0 ? 40 : 100); i++)
      CHECK_OK(lk_doc_text_insert(self.doc, ours, 0, LK_LIT("x"), NULL));
    for (; told < self.log.count; told++)
      CHECK_OK(lk_doc_apply(peer.doc, LK_UPDATE_V1, self.log.at[told], 0));
    CHECK_OK(lk_doc_text_delete(peer.doc, theirs, 0, lk_doc_node_length(peer.doc, theirs)));
    CHECK_OK(lk_doc_encode(peer.doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &whole));
    CHECK_OK(lk_doc_apply(self.doc, LK_UPDATE_V1, lk_buf_slice(&whole), 0));
    lk_buf_deinit(&whole);
    CHECK_U64(lk_doc_node_length(self.doc, ours), 0);
  }
  check_docs_say_the_same(self.doc, peer.doc);
  close_replica(&self);
  close_replica(&peer);
}

/* A document that took in "abcdef" without its b, for an undo manager that has gone since, and with room for items. */
static void open_with_kept(replica *self, lk_slice update, lk_node *text) {
  static const uint64_t origins[] = { ELSEWHERE };
  lk_undo_options options = LK_UNDO_OPTIONS_INIT;
  lk_undo *undo;
  lk_node other;
  options.origins = origins;
  options.origin_count = 1;
  open_replica(self, 20, false);
  CHECK_OK(lk_doc_root(self->doc, LK_LIT("t"), LK_NODE_TEXT, text));
  CHECK_OK(lk_doc_root(self->doc, LK_LIT("u"), LK_NODE_TEXT, &other));
  for (uint32_t i = 0; i < 8; i++)
    CHECK_OK(lk_doc_text_insert(self->doc, other, 0, LK_LIT("x"), NULL));
  CHECK_OK(lk_undo_open(self->doc, text, 1, &options, &undo));
  CHECK_OK(lk_doc_apply(self->doc, LK_UPDATE_V1, update, ELSEWHERE));
  lk_undo_close(undo);
}

/* As Yjs has it: what is kept and what is deleted beside it are one struct. */
TEST(what_was_kept_becomes_one_with_what_is_deleted_beside_it) {
  static replica peer, both[2];
  lk_node node, text;
  lk_buf update;
  open_replica(&peer, 30, false);
  CHECK_OK(lk_doc_root(peer.doc, LK_LIT("t"), LK_NODE_TEXT, &node));
  CHECK_OK(lk_doc_text_insert(peer.doc, node, 0, LK_LIT("abcdef"), NULL));
  CHECK_OK(lk_doc_text_delete(peer.doc, node, 1, 1));
  lk_buf_init(&update, test_alloc(), 1 << 16);
  CHECK_OK(lk_doc_encode(peer.doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &update));
  for (uint32_t index = 0; index < 5; index++) {
    for (uint32_t length = 1; length <= 5 - index; length++) {
      test_note("%u units from %u on", length, index);
      for (int i = 0; i < 2; i++) {
        open_with_kept(&both[i], lk_buf_slice(&update), &text);
        if (i == 1) begin_slowly(both[i].doc);
        CHECK_OK(lk_doc_text_delete(both[i].doc, text, index, length));
        if (i == 1) commit_slowly(both[i].doc);
        CHECK_DOC(both[i].doc);
      }
      check_docs_say_the_same(both[0].doc, both[1].doc);
      for (int i = 0; i < 2; i++) close_replica(&both[i]);
    }
  }
  lk_buf_deinit(&update);
  close_replica(&peer);
}

/* ---- the order of a list ---- */

/* Yjs' integrate, as it is told in its comments: structs of one unit, scanned one by one with two sets. */
#define MODEL_MAX 256

typedef struct model_item {
  uint64_t client;
  uint32_t clock;
  int origin, right; /* items, or -1 */
} model_item;

typedef struct model {
  model_item items[MODEL_MAX];
  int order[MODEL_MAX]; /* of the list */
  int count;            /* of items */
  int length;           /* of the list */
  bool strange;         /* a scan met what Yjs' own replicas may see in different orders */
} model;

static int place_in_model(const model *self, int item) {
  for (int i = 0; i < self->length; i++) {
    if (self->order[i] == item) return i;
  }
  return -1;
}

static void integrate_in_model(model *self, int number) {
  const model_item *item = &self->items[number];
  bool before_origin[MODEL_MAX] = { false }, conflicting[MODEL_MAX] = { false };
  int left = item->origin < 0 ? -1 : place_in_model(self, item->origin);
  for (int at = left + 1; at < self->length && self->order[at] != item->right; at++) {
    int other = self->order[at];
    const model_item *o = &self->items[other];
    before_origin[other] = conflicting[other] = true;
    if (o->origin == item->origin) {
      if (o->client < item->client) {
        left = at;
        memset(conflicting, 0, sizeof conflicting);
      } else if (o->right == item->right) {
        break;
      }
    } else if (o->origin >= 0 && before_origin[o->origin]) {
      if (!conflicting[o->origin]) {
        left = at;
        memset(conflicting, 0, sizeof conflicting);
      }
    } else {
      break;
    }
  }
  memmove(&self->order[left + 2], &self->order[left + 1],
          (size_t)(self->length - left - 1) * sizeof *self->order);
  self->order[left + 1] = number;
  self->length++;
}

/* An item with any neighbours, of which the origin may stand anywhere. */
static void draw_item(lk_gen *g, model *self, uint32_t clients, uint32_t *clocks) {
  model_item item = { .origin = -1, .right = -1 };
  uint32_t client = gen_below(g, clients);
  item.client = 10 + client;
  item.clock = clocks[client]++;
  if (self->count > 0 && !gen_chance(g, 1, 4))
    item.origin = (int)gen_below(g, (uint32_t)self->count);
  if (self->count > 0 && gen_chance(g, 1, 3)) item.right = (int)gen_below(g, (uint32_t)self->count);
  if (gen_chance(g, 1, 2) && self->count > 3) item.origin = (int)gen_below(g, 3); /* one place */
  if (item.right >= 0 && item.origin >= 0) {
    /* a right origin before the origin in one struct: Yjs cuts the struct under its own feet, and what comes of it depends
     * on whether it was cut before */
    const model_item *right = &self->items[item.right], *origin = &self->items[item.origin];
    if (right->client == origin->client && right->clock <= origin->clock) item.right = -1;
  }
  self->items[self->count++] = item;
}

static lk_doc_id id_in_model(const model *self, int item) {
  return item < 0 ? CRAFT_NONE : AT(self->items[item].client, self->items[item].clock);
}

static lk_err apply_model_item(lk_doc *doc, const model *self, int number) {
  craft u;
  craft_begin(&u, LK_UPDATE_V1);
  craft_client(&u, self->items[number].client, self->items[number].clock);
  craft_text(&u, id_in_model(self, self->items[number].origin),
             id_in_model(self, self->items[number].right), "x");
  lk_err err = lk_doc_apply(doc, LK_UPDATE_V1, craft_end(&u), 0);
  craft_free(&u);
  return err;
}

/* Whether the list stands as in the model. */
static void check_order_of(lk_doc *doc, const model *self) {
  uint32_t type = 0;
  int place = 0;
  for (uint32_t at = doc->types.at[type].start; at != LK_NONE; at = doc->items[at].right) {
    const lk_item *item = &doc->items[at];
    for (uint32_t unit = 0; unit < item->len; unit++, place++) {
      CHECK(place < self->length);
      const model_item *want = &self->items[self->order[place]];
      CHECK_U64(doc->clients.at[item->client].id, want->client);
      CHECK_U64(item->clock + unit, want->clock);
    }
  }
  CHECK_I64(place, self->length);
}

/* |indexed|: with an order index from the beginning; |walked|: so far that scans get long. */
PROPERTY(items_find_the_place_that_yjs_gives_them) {
  static model m;
  static replica r;
  uint32_t clocks[64] = { 0 }, clients = 1 + gen_below(g, 63);
  memset(&m, 0, sizeof m);
  open_replica(&r, 999, false);
  uint32_t count = gen_below(g, MODEL_MAX - 1);
  for (uint32_t i = 0; i < count; i++) {
    draw_item(g, &m, clients, clocks);
    integrate_in_model(&m, m.count - 1);
    const model_item *drawn = &m.items[m.count - 1];
    test_note("item %d: %u.%u origin %d right %d", m.count - 1, (unsigned)drawn->client,
              drawn->clock, drawn->origin, drawn->right);
    lk_err err = apply_model_item(r.doc, &m, m.count - 1);
    if (err == LK_ERR_STEPS) break;
    CHECK_OK(err);
    if (i == 0 && gen_bool(g)) CHECK_OK(lk_order_build(r.doc, 0));
    check_order_of(r.doc, &m);
  }
  CHECK_DOC(r.doc);
  close_replica(&r);
}

/* ---- the same for what editors write ---- */

/* Of the item that stands at |place| of the list as it was when only the first |seen| items were there: -1 for the ends. */
static int seen_at(const model *self, int seen, int place) {
  for (int i = 0; i < self->length && place >= 0; i++) {
    if (self->order[i] < seen && place-- == 0) return self->order[i];
  }
  return -1;
}

/* An item that a replica writes which has seen the first items, all of its own among them: at the front, behind one of
 * the first two items, at the end, or anywhere. In a map always at the end. */
static void draw_honest(lk_gen *g, model *self, uint32_t clients, uint32_t *clocks, bool map) {
  model_item item = { .origin = -1, .right = -1 };
  uint32_t client = gen_below(g, clients), least = 0;
  item.client = 10 + client;
  item.clock = clocks[client]++;
  for (int i = 0; i < self->count; i++) {
    if (self->items[i].client == item.client) least = (uint32_t)i + 1;
  }
  int seen = (int)(least + gen_below(g, (uint32_t)self->count - least + 1)), place = seen;
  uint32_t where = gen_below(g, 4);
  if (!map && where == 0) place = 0;
  if (!map && where == 1) place = (int)lk_min_u32(gen_below(g, 3), (uint32_t)seen);
  if (!map && where == 2) place = (int)gen_below(g, (uint32_t)seen + 1);
  item.origin = place == 0 ? -1 : seen_at(self, seen, place - 1);
  item.right = place == seen ? -1 : seen_at(self, seen, place);
  self->items[self->count++] = item;
}

static void write_model_item(craft *u, const model *self, int number, bool map) {
  static const uint8_t one[] = { 0x7D, 0x01 };
  const model_item *item = &self->items[number];
  lk_doc_id origin = id_in_model(self, item->origin), right = id_in_model(self, item->right);
  craft_begin(u, LK_UPDATE_V1);
  craft_client(u, item->client, item->clock);
  if (map) craft_entry(u, origin, "r", "k", lk_slice_of(one, sizeof one));
  else craft_text(u, origin, right, "x");
}

static void check_entry_of(lk_doc *doc, const model *self) {
  int place = 0;
  for (uint32_t at = doc->entries.at[doc->types.at[0].entry_first].first; at != LK_NONE;
       at = doc->items[at].right) {
    const lk_item *item = &doc->items[at];
    for (uint32_t unit = 0; unit < item->len; unit++, place++) {
      const model_item *want = &self->items[self->order[place]];
      CHECK_U64(doc->clients.at[item->client].id, want->client);
      CHECK_U64(item->clock + unit, want->clock);
    }
  }
  CHECK_I64(place, self->length);
}

/* The list is short for a scan that asks the index: so it gets one at once. */
static void give_index(lk_doc *doc, bool map) {
  uint32_t entry = doc->types.at[0].entry_first;
  if (map && doc->entries.at[entry].order == 0) CHECK_OK(lk_order_build_entry(doc, entry));
  if (!map && doc->types.at[0].order == LK_NONE) CHECK_OK(lk_order_build(doc, 0));
}

PROPERTY(what_replicas_write_at_one_place_stands_as_yjs_has_it) {
  static model m;
  replica r;
  craft u;
  uint32_t clocks[64] = { 0 }, clients = 1 + gen_below(g, 63), type = LK_NONE;
  bool map = gen_chance(g, 1, 3);
  memset(&m, 0, sizeof m);
  open_replica(&r, 999, false);
  uint32_t count = gen_below(g, MODEL_MAX - 1), index_at = gen_below(g, 64);
  for (uint32_t i = 0; i < count; i++) {
    draw_honest(g, &m, clients, clocks, map);
    integrate_in_model(&m, m.count - 1);
    write_model_item(&u, &m, m.count - 1, map);
    lk_slice update = craft_end(&u);
    if (gen_chance(g, 1, 8)) {
      /* without its last byte it is no update, which shows when its struct is in */
      CHECK(lk_doc_apply(r.doc, LK_UPDATE_V1, lk_slice_first(update, update.len - 1), 0) != LK_OK);
      CHECK_DOC(r.doc);
    }
    CHECK_OK(lk_doc_apply(r.doc, LK_UPDATE_V1, update, 0));
    craft_free(&u);
    if (i == index_at) give_index(r.doc, map);
    if (map) check_entry_of(r.doc, &m);
    else check_order_of(r.doc, &m);
  }
  if (count > 0) type = 0;
  CHECK(type == LK_NONE || (r.doc->types.at[type].flags & LK_TYPE_CROSSED) == 0);
  CHECK_DOC(r.doc);
  close_replica(&r);
}

/* ---- what is remembered of formatting ---- */

/* Two documents of one client are edited alike. One of them has to look up each time what holds. */
static void format_once(lk_gen *g, replica *both, const lk_node *nodes) {
  static const char *const letters[] = { "a", "b", "c" };
  lk_attribute attributes[2];
  lk_attributes given = { .items = attributes, .count = 1 + gen_below(g, 2) };
  for (size_t i = 0; i < 2; i++) {
    attributes[i].key = lk_slice_cstr(letters[gen_below(g, 3)]);
    attributes[i].value = (lk_value){ .kind = LK_VALUE_NULL };
    if (gen_bool(g))
      attributes[i].value = (lk_value){ .kind = LK_VALUE_NUMBER, .number = gen_below(g, 2) };
  }
  uint64_t units = lk_doc_node_length(both[0].doc, nodes[0]);
  uint64_t at = gen_below(g, (uint32_t)units + 1), length = lk_min_u64(units - at, gen_below(g, 6));
  uint32_t what = gen_below(g, 8);
  for (int i = 0; i < 2; i++) {
    lk_doc *doc = both[i].doc;
    if (i == 1) doc->held_type = 0;
    if (what < 3) CHECK_OK(lk_doc_text_insert(doc, nodes[i], at, LK_LIT("xyz"), &given));
    else if (what == 3) CHECK_OK(lk_doc_text_insert(doc, nodes[i], at, LK_LIT("uv"), NULL));
    else if (what == 4) CHECK_OK(lk_doc_text_format(doc, nodes[i], at, length, &given));
    else if (what == 5 || length == 0) CHECK_OK(lk_doc_text_delete(doc, nodes[i], at, length));
    else {
      /* with an edit that fails: all of it is taken back */
      doc->limits.doc_structs_count = doc->item_count + 1;
      (void)!lk_doc_text_insert(doc, nodes[i], at, LK_LIT("w"), &given);
      (void)!lk_doc_text_format(doc, nodes[i], at, length, &given);
      doc->limits = lk_limits_default();
      CHECK_OK(lk_doc_text_delete(doc, nodes[i], at, 1));
    }
  }
}

static void exchange(lk_doc *from, lk_doc *to) {
  lk_buf sv, update;
  lk_buf_init(&sv, test_alloc(), 1 << 20);
  lk_buf_init(&update, test_alloc(), 1 << 24);
  CHECK_OK(lk_doc_state_vector(to, &sv));
  CHECK_OK(lk_doc_encode(from, LK_UPDATE_V1, lk_buf_slice(&sv), &update));
  CHECK_OK(lk_doc_apply(to, LK_UPDATE_V1, lk_buf_slice(&update), 0));
  lk_buf_deinit(&sv);
  lk_buf_deinit(&update);
}

PROPERTY_SLOW(what_is_remembered_of_formatting_changes_nothing, 8) {
  replica both[2], peer;
  lk_node nodes[2], other;
  open_replica(&both[0], 1, false);
  open_replica(&both[1], 1, false);
  open_replica(&peer, 2, false);
  CHECK_OK(lk_doc_root(peer.doc, LK_LIT("t"), LK_NODE_TEXT, &other));
  for (int i = 0; i < 2; i++) {
    CHECK_OK(lk_doc_root(both[i].doc, LK_LIT("t"), LK_NODE_TEXT, &nodes[i]));
    CHECK_OK(lk_order_build(both[i].doc, nodes[i].slot));
  }
  lk_attribute strong = { .key = LK_LIT("a"), .value = { .kind = LK_VALUE_NUMBER, .number = 1 } };
  lk_attributes given = { .items = &strong, .count = 1 };
  for (uint32_t turns = gen_below(g, 60); turns > 0; turns--) {
    lk_buf a, b;
    for (int i = 0; i < 2; i++) CHECK_OK(lk_doc_begin(both[i].doc, 0));
    for (uint32_t edits = 1 + gen_below(g, 3); edits > 0; edits--) format_once(g, both, nodes);
    for (int i = 0; i < 2; i++) lk_doc_commit(both[i].doc);
    if (gen_chance(g, 1, 4)) {
      exchange(both[0].doc, peer.doc);
      uint64_t units = lk_doc_node_length(peer.doc, other);
      uint64_t at = gen_below(g, (uint32_t)units + 1);
      strong.value.number = gen_below(g, 2);
      CHECK_OK(lk_doc_text_insert(peer.doc, other, at, LK_LIT("pq"), &given));
      CHECK_OK(lk_doc_text_format(peer.doc, other, at / 2, units - at / 2, &given));
      CHECK_OK(lk_doc_text_delete(peer.doc, other, at / 2, 1));
      exchange(peer.doc, both[0].doc);
      exchange(peer.doc, both[1].doc);
    }
    lk_buf_init(&a, test_alloc(), 1 << 24);
    lk_buf_init(&b, test_alloc(), 1 << 24);
    CHECK_OK(lk_doc_encode(both[0].doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &a));
    CHECK_OK(lk_doc_encode(both[1].doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &b));
    CHECK_SLICE(lk_buf_slice(&a), lk_buf_slice(&b));
    lk_buf_deinit(&a);
    lk_buf_deinit(&b);
  }
  CHECK_DOC(both[0].doc);
  for (int i = 0; i < 2; i++) close_replica(&both[i]);
  close_replica(&peer);
}

/* ---- what waits for us ---- */

/* Somebody knows what we are about to write: a stranger, or a copy of us that went on elsewhere. As in Yjs what waits for it
 * is taken in with the next update, whatever that says. */
TEST(what_waits_for_what_we_write_is_taken_in_with_the_next_update) {
  static const uint8_t nothing[] = { 0, 0 }, deletes[] = { 0, 1, 20, 1, 2, 2 };
  static const uint8_t inserts[] = { 1, 1, 30, 0, 0x84, 20, 3, 1, 'x', 0 };
  static replica r;
  lk_node text;
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1 << 12);
  for (int deleted = 0; deleted < 2; deleted++) {
    open_replica(&r, 20, false);
    CHECK_OK(lk_doc_root(r.doc, LK_LIT("t"), LK_NODE_TEXT, &text));
    CHECK_OK(lk_doc_text_insert(r.doc, text, 0, LK_LIT("ab"), NULL));
    lk_slice early = deleted ? lk_slice_of(deletes, sizeof deletes)
                             : lk_slice_of(inserts, sizeof inserts);
    CHECK_OK(lk_doc_apply(r.doc, LK_UPDATE_V1, early, ELSEWHERE));
    CHECK_OK(lk_doc_text_insert(r.doc, text, 2, LK_LIT("cd"), NULL));
    CHECK_DOC(r.doc);
    CHECK_OK(lk_doc_apply(r.doc, LK_UPDATE_V1, lk_slice_of(nothing, sizeof nothing), ELSEWHERE));
    CHECK_DOC(r.doc);
    CHECK_U64(lk_doc_get_pending(r.doc).structs, 0);
    CHECK_U64(lk_doc_get_pending(r.doc).delete_ranges, 0);
    lk_buf_truncate(&out, 0);
    CHECK_OK(lk_doc_text_string(r.doc, text, &out));
    CHECK_SLICE(lk_buf_slice(&out), deleted ? LK_LIT("ab") : LK_LIT("abcdx"));
    close_replica(&r);
  }
  lk_buf_deinit(&out);
}
