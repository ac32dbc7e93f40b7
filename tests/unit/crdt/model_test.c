/* unit/crdt/model_test.c -- the model, and examples of it that were worked out by hand.
 *
 * Everything is a scan over at most 128 events. The one table that matters is supersedes(): what an event
 * of each type puts out of force. The examples at the end keep the model honest without the product. */
#include "unit/crdt/model.h"

#include "harness/test.h"

const model_word model_elements[MODEL_ELEMENTS] = {
  { LK_LIT_INIT("1"), LK_LIT_INIT("1.0") },
  { LK_LIT_INIT("\"a\""), LK_LIT_INIT("\"\\u0061\"") },
  { LK_LIT_INIT("null"), LK_LIT_INIT(" null ") },
  { LK_LIT_INIT("{\"a\":1,\"b\":[true]}"), LK_LIT_INIT("{ \"b\" : [ true ], \"a\":1e0 }") },
  { LK_LIT_INIT("[]"), LK_LIT_INIT("[ ]") },
  { LK_LIT_INIT("\"\xc3\xa9\""), LK_LIT_INIT("\"\\u00e9\"") },
  { LK_LIT_INIT("-2.5"), LK_LIT_INIT("-25e-1") },
};

const lk_slice model_keys[MODEL_KEYS] = {
  LK_LIT_INIT(""), LK_LIT_INIT("a"), LK_LIT_INIT("a\""), LK_LIT_INIT("b"), LK_LIT_INIT("\xc3\xa9"),
};

const lk_slice model_keys_json[MODEL_KEYS] = {
  LK_LIT_INIT("\"\""),  LK_LIT_INIT("\"a\""),        LK_LIT_INIT("\"a\\\"\""),
  LK_LIT_INIT("\"b\""), LK_LIT_INIT("\"\xc3\xa9\""),
};

/* In no order, some the beginning of others: ties are broken by bytes, not by who came first. */
const lk_slice model_actors[MODEL_ACTORS] = {
  LK_LIT_INIT("m"),  LK_LIT_INIT("b"), LK_LIT_INIT("zoe"),      LK_LIT_INIT("ab"),
  LK_LIT_INIT("B"),  LK_LIT_INIT("a"), LK_LIT_INIT("\xc3\xa9"), LK_LIT_INIT("a1"),
  LK_LIT_INIT("mm"), LK_LIT_INIT("0"), LK_LIT_INIT("n"),        LK_LIT_INIT("z"),
  LK_LIT_INIT("aa"), LK_LIT_INIT("~"), LK_LIT_INIT("abc"),      LK_LIT_INIT("l"),
};

/* ---- sets of events ---- */

enum { WORDS = MODEL_EVENTS_MAX / 64 };

model_set model_union(model_set a, model_set b) {
  for (size_t i = 0; i < WORDS; i++) a.bits[i] |= b.bits[i];
  return a;
}

model_set model_without(model_set a, model_set b) {
  for (size_t i = 0; i < WORDS; i++) a.bits[i] &= ~b.bits[i];
  return a;
}

static model_set both(model_set a, model_set b) {
  for (size_t i = 0; i < WORDS; i++) a.bits[i] &= b.bits[i];
  return a;
}

bool model_is_empty(model_set s) {
  for (size_t i = 0; i < WORDS; i++) {
    if (s.bits[i] != 0) return false;
  }
  return true;
}

bool model_is_subset(model_set a, model_set b) { return model_is_empty(model_without(a, b)); }

/* ---- places ---- */

static bool same_steps(const model_path *a, const model_path *b, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    if (a->step[i].kind != b->step[i].kind || a->step[i].key != b->step[i].key) return false;
  }
  return true;
}

static bool same_path(const model_path *a, const model_path *b) {
  return a->depth == b->depth && same_steps(a, b, a->depth);
}

bool model_is_about(const model_event *event, const model_path *at, lk_crdt_kind kind) {
  return event->kind == kind && same_path(&event->at, at);
}

/* Whether |path| leads through |key| of the map at |map|, whatever type is under it. */
static bool leads_through(const model_path *path, const model_path *map, uint8_t key) {
  return path->depth > map->depth && same_steps(path, map, map->depth) &&
         path->step[map->depth].key == key;
}

/* ---- what supersedes what ---- */

static bool supersedes(const model_event *e, const model_event *older) {
  if (e->kind == LK_CRDT_ORMAP) return leads_through(&older->at, &e->at, e->key);
  if (!model_is_about(older, &e->at, e->kind)) return false;
  switch (e->kind) {
  case LK_CRDT_GSET:
  case LK_CRDT_ORSET:
  case LK_CRDT_RWSET: return e->verb == MODEL_CLEAR || e->element == older->element;
  case LK_CRDT_EWFLAG:
  case LK_CRDT_DWFLAG:
  case LK_CRDT_LWW:
  case LK_CRDT_MVREG: return true;
  case LK_CRDT_LIST:
  case LK_CRDT_TEXT: return model_has(e->items, older->item);
  default: return false; /* counters add up */
  }
}

static bool leaves_something(const model_event *e) {
  switch (e->verb) {
  case MODEL_REMOVE:
  case MODEL_DISABLE: return e->kind == LK_CRDT_RWSET || e->kind == LK_CRDT_DWFLAG;
  case MODEL_CLEAR:
  case MODEL_DELETE: return false;
  default: return true;
  }
}

static bool is_stamp_below(model_stamp a, model_stamp b) {
  return a.ms < b.ms || (a.ms == b.ms && a.count < b.count);
}

/* Now, or just above the greatest stamp that is in force here. */
static model_stamp next_stamp(const model *self, const model_event *e) {
  model_stamp greatest = { 0 };
  for (uint32_t i = 0; i < self->count; i++) {
    if (model_has(e->supersedes, i) && is_stamp_below(greatest, self->event[i].stamp)) {
      greatest = self->event[i].stamp;
    }
  }
  if (e->now_ms > greatest.ms) return (model_stamp){ e->now_ms, 0 };
  return (model_stamp){ greatest.ms, greatest.count + 1 };
}

/* An insert, a set or a move carries on what it does not write itself, and beats what it does. */
static void carry(const model *self, model_event *e, uint32_t id) {
  model_set values = { 0 }, values_beaten = { 0 }, places = { 0 }, places_beaten = { 0 };
  for (uint32_t i = 0; i < self->count; i++) {
    const model_event *older = &self->event[i];
    if (!model_has(e->supersedes, i)) continue;
    e->item = older->item;
    values = model_union(values, older->values);
    values_beaten = model_union(values_beaten, older->values_beaten);
    places = model_union(places, older->places);
    places_beaten = model_union(places_beaten, older->places_beaten);
  }
  if (e->verb == MODEL_INSERT) e->item = id;
  if (e->verb != MODEL_MOVE) {
    values_beaten = model_union(values_beaten, values);
    values = (model_set){ 0 };
    model_put(&values, id);
  }
  if (e->verb != MODEL_SET) {
    places_beaten = model_union(places_beaten, places);
    places = (model_set){ 0 };
    model_put(&places, id);
  }
  e->values = values;
  e->values_beaten = values_beaten;
  e->places = places;
  e->places_beaten = places_beaten;
}

uint32_t model_record(model *self, const model_event *draft, model_set seen) {
  LK_ASSERT(self->count < MODEL_EVENTS_MAX);
  uint32_t id = self->count;
  model_event *e = &self->event[id];
  model_set in_force = model_live(self, seen);
  *e = *draft;
  e->seen = seen;
  e->supersedes = (model_set){ 0 };
  e->leaves = leaves_something(e);
  for (uint32_t i = 0; i < id; i++) {
    if (model_has(in_force, i) && supersedes(e, &self->event[i])) model_put(&e->supersedes, i);
  }
  if (e->kind == LK_CRDT_LWW) e->stamp = next_stamp(self, e);
  if (e->leaves && (e->kind == LK_CRDT_LIST || e->kind == LK_CRDT_TEXT)) carry(self, e, id);
  self->count++;
  return id;
}

/* ---- what a set of events amounts to ---- */

model_set model_dead(const model *self, model_set s) {
  model_set dead = { 0 };
  for (uint32_t i = 0; i < self->count; i++) {
    if (model_has(s, i)) dead = model_union(dead, self->event[i].supersedes);
  }
  return dead;
}

static model_set leaving(const model *self, model_set s) {
  model_set out = { 0 };
  for (uint32_t i = 0; i < self->count; i++) {
    if (model_has(s, i) && self->event[i].leaves) model_put(&out, i);
  }
  return out;
}

model_set model_live(const model *self, model_set s) {
  return model_without(leaving(self, s), model_dead(self, s));
}

model_set model_known(const model *self, model_set s) {
  return model_union(leaving(self, s), model_dead(self, s));
}

/* Whether taking in |a| tells |b| nothing: neither of an event nor of a death. */
static bool tells_nothing(const model *self, model_set a, model_set b) {
  model_set known = model_known(self, a);
  model_set dead_in_a = model_without(known, model_live(self, a));
  return model_is_subset(known, model_known(self, b)) &&
         model_is_empty(both(dead_in_a, model_live(self, b)));
}

lk_crdt_order model_compare(const model *self, model_set a, model_set b) {
  bool before = tells_nothing(self, a, b), after = tells_nothing(self, b, a);
  if (before) return after ? LK_CRDT_EQUAL : LK_CRDT_BEFORE;
  return after ? LK_CRDT_AFTER : LK_CRDT_CONCURRENT;
}

bool model_is_closed(const model *self, model_set s) {
  for (uint32_t i = 0; i < self->count; i++) {
    if (model_has(s, i) && !model_is_subset(self->event[i].seen, s)) return false;
  }
  return true;
}

/* ---- values ---- */

static void append(lk_buf *out, const char *text) { lk_buf_append(out, lk_slice_cstr(text)); }

static void append_signed(lk_buf *out, int64_t value) {
  if (value < 0) append(out, "-");
  lk_buf_append_decimal(out, (uint64_t)(value < 0 ? -value : value));
}

typedef struct object {
  const model_view *view;
  const model_path *at;
  lk_crdt_kind kind;
} object;

/* The next live event of the object from |id| on, or NULL. */
static const model_event *next_live(const object *o, uint32_t *id) {
  for (; *id < o->view->model->count; ++*id) {
    const model_event *e = &o->view->model->event[*id];
    if (model_has(o->view->live, *id) && model_is_about(e, o->at, o->kind)) {
      ++*id;
      return e;
    }
  }
  return NULL;
}

static bool counter_value(const object *o, lk_buf *out) {
  int64_t sum = 0;
  bool any = false;
  const model_event *e;
  for (uint32_t i = 0; (e = next_live(o, &i)) != NULL; any = true) {
    sum += e->verb == MODEL_INCREMENT ? (int64_t)e->amount : -(int64_t)e->amount;
  }
  if (any) append_signed(out, sum);
  return any;
}

static void append_sorted(lk_buf *out, const bool has[MODEL_ELEMENTS]) {
  bool done[MODEL_ELEMENTS] = { false };
  append(out, "[");
  for (bool first = true;; first = false) {
    size_t least = MODEL_ELEMENTS;
    for (size_t i = 0; i < MODEL_ELEMENTS; i++) {
      if (!has[i] || done[i]) continue;
      if (least == MODEL_ELEMENTS ||
          lk_slice_compare(model_elements[i].canonical, model_elements[least].canonical) < 0) {
        least = i;
      }
    }
    if (least == MODEL_ELEMENTS) break;
    done[least] = true;
    if (!first) append(out, ",");
    lk_buf_append(out, model_elements[least].canonical);
  }
  append(out, "]");
}

/* Sets, and the register that keeps several values. A remove that is in force keeps the element out. */
static bool set_value(const object *o, lk_buf *out) {
  bool added[MODEL_ELEMENTS] = { false }, removed[MODEL_ELEMENTS] = { false }, any = false;
  const model_event *e;
  for (uint32_t i = 0; (e = next_live(o, &i)) != NULL; any = true) {
    if (e->verb == MODEL_REMOVE) removed[e->element] = true;
    else added[e->element] = true;
  }
  for (size_t i = 0; i < MODEL_ELEMENTS; i++) added[i] = added[i] && !removed[i];
  if (any) append_sorted(out, added);
  return any;
}

static bool flag_value(const object *o, lk_buf *out) {
  bool enabled = false, disabled = false;
  const model_event *e;
  for (uint32_t i = 0; (e = next_live(o, &i)) != NULL;) {
    if (e->verb == MODEL_ENABLE) enabled = true;
    else disabled = true;
  }
  if (enabled || disabled) append(out, enabled && !disabled ? "true" : "false");
  return enabled || disabled;
}

static bool lww_value(const object *o, lk_buf *out) {
  const model_event *last = NULL, *e;
  for (uint32_t i = 0; (e = next_live(o, &i)) != NULL;) {
    bool wins = last == NULL || is_stamp_below(last->stamp, e->stamp) ||
                (!is_stamp_below(e->stamp, last->stamp) &&
                 lk_slice_compare(model_actors[last->actor], model_actors[e->actor]) < 0);
    if (wins) last = e;
  }
  if (last != NULL) lk_buf_append(out, model_elements[last->element].canonical);
  return last != NULL;
}

/* Whether it is worth to look below |path|. Of bounded counters the model does not know: a removal of the map
 * hits the units that are there, so one who lacks an earlier transfer still has those that it took. */
static bool may_have_something(const model_view *view, const model_path *path) {
  for (uint32_t i = 0; i < view->model->count; i++) {
    const model_event *e = &view->model->event[i];
    bool counts = model_has(view->live, i) || e->kind == LK_CRDT_BCOUNTER;
    if (counts && e->at.depth >= path->depth && same_steps(&e->at, path, path->depth)) return true;
  }
  return false;
}

/* Of the objects of several types under one key the one with the lowest number shows. Nothing live is
 * below what the path cannot reach, so the recursion ends. */
static bool map_value(const object *o, lk_buf *out) {
  bool any = false;
  model_path below = *o->at;
  size_t begin = out->len;
  if (below.depth == MODEL_DEPTH_MAX) return false;
  below.depth++;
  append(out, "{");
  for (uint8_t key = 0; key < MODEL_KEYS; key++) {
    size_t before = out->len;
    if (any) append(out, ",");
    lk_buf_append(out, model_keys_json[key]);
    append(out, ":");
    bool shown = false;
    for (uint8_t kind = 1; kind < MODEL_KINDS && !shown; kind++) {
      below.step[below.depth - 1] = (model_step){ kind, key };
      shown = may_have_something(o->view, &below) &&
              model_value(o->view, &below, (lk_crdt_kind)kind, out);
    }
    if (!shown) lk_buf_truncate(out, before);
    any = any || shown;
  }
  append(out, "}");
  if (!any) lk_buf_truncate(out, begin);
  return any;
}

bool model_value(const model_view *view, const model_path *at, lk_crdt_kind kind, lk_buf *out) {
  object o = { view, at, kind };
  switch (kind) {
  case LK_CRDT_GCOUNTER:
  case LK_CRDT_PNCOUNTER: return counter_value(&o, out);
  case LK_CRDT_GSET:
  case LK_CRDT_ORSET:
  case LK_CRDT_RWSET:
  case LK_CRDT_MVREG: return set_value(&o, out);
  case LK_CRDT_EWFLAG:
  case LK_CRDT_DWFLAG: return flag_value(&o, out);
  case LK_CRDT_LWW: return lww_value(&o, out);
  case LK_CRDT_ORMAP: return map_value(&o, out);
  case LK_CRDT_BCOUNTER:
  case LK_CRDT_LIST:
  case LK_CRDT_TEXT: return view->opaque(view->ctx, at, kind, out);
  }
  return false;
}

lk_slice model_nothing(lk_crdt_kind kind) {
  switch (kind) {
  case LK_CRDT_GCOUNTER:
  case LK_CRDT_PNCOUNTER: return LK_LIT("0");
  case LK_CRDT_BCOUNTER: return LK_LIT("{\"rights\":{},\"value\":0}");
  case LK_CRDT_EWFLAG:
  case LK_CRDT_DWFLAG: return LK_LIT("false");
  case LK_CRDT_LWW: return LK_LIT("null");
  case LK_CRDT_ORMAP: return LK_LIT("{}");
  case LK_CRDT_TEXT: return LK_LIT("\"\"");
  default: return LK_LIT("[]");
  }
}

/* ---- sequences ---- */

model_set model_sequence_items(const model *self, model_set live, const model_path *at,
                               lk_crdt_kind kind) {
  model_set items = { 0 };
  for (uint32_t i = 0; i < self->count; i++) {
    const model_event *e = &self->event[i];
    if (model_has(live, i) && model_is_about(e, at, kind)) model_put(&items, e->item);
  }
  return items;
}

static bool is_of_item(const model_event *e, uint32_t item) {
  return (e->kind == LK_CRDT_LIST || e->kind == LK_CRDT_TEXT) && e->item == item;
}

model_set model_sequence_values(const model *self, model_set live, uint32_t item) {
  model_set told = { 0 }, beaten = { 0 };
  for (uint32_t i = 0; i < self->count; i++) {
    const model_event *e = &self->event[i];
    if (!model_has(live, i) || !is_of_item(e, item)) continue;
    told = model_union(told, e->values);
    beaten = model_union(beaten, e->values_beaten);
  }
  return model_without(told, beaten);
}

model_set model_sequence_places(const model *self, model_set live, uint32_t item) {
  model_set told = { 0 }, beaten = { 0 };
  for (uint32_t i = 0; i < self->count; i++) {
    const model_event *e = &self->event[i];
    if (!model_has(live, i) || !is_of_item(e, item)) continue;
    told = model_union(told, e->places);
    beaten = model_union(beaten, e->places_beaten);
  }
  return model_without(told, beaten);
}

/* ---- bounded counters ---- */

int64_t model_rights(const model *self, model_set s, const model_path *at, uint8_t actor) {
  int64_t rights = 0;
  for (uint32_t i = 0; i < self->count; i++) {
    const model_event *e = &self->event[i];
    if (!model_has(s, i) || !model_is_about(e, at, LK_CRDT_BCOUNTER)) continue;
    int64_t amount = (int64_t)e->amount;
    if (e->actor == actor) rights += e->verb == MODEL_INCREMENT ? amount : -amount;
    if (e->verb == MODEL_TRANSFER && e->to == actor) rights += amount;
  }
  return rights;
}

/* The actors whose bytes come next after |last|; MODEL_ACTORS at the end. */
static uint8_t actor_after(uint8_t last) {
  uint8_t next = MODEL_ACTORS;
  for (uint8_t i = 0; i < MODEL_ACTORS; i++) {
    if (last != MODEL_ACTORS && lk_slice_compare(model_actors[i], model_actors[last]) <= 0)
      continue;
    if (next == MODEL_ACTORS || lk_slice_compare(model_actors[i], model_actors[next]) < 0) next = i;
  }
  return next;
}

void model_rights_value(const model *self, model_set s, const model_path *at, lk_buf *out) {
  int64_t sum = 0;
  append(out, "{\"rights\":{");
  for (uint8_t i = actor_after(MODEL_ACTORS); i != MODEL_ACTORS; i = actor_after(i)) {
    int64_t rights = model_rights(self, s, at, i);
    if (rights == 0) continue;
    append(out, sum == 0 ? "\"" : ",\"");
    lk_buf_append(out, model_actors[i]);
    append(out, "\":");
    append_signed(out, rights);
    sum += rights;
  }
  append(out, "},\"value\":");
  append_signed(out, sum);
  append(out, "}");
}

/* ---- examples ---- */

typedef struct example {
  model model;
  lk_crdt_kind kind;
  lk_buf text;
} example;

static void example_init(example *x, lk_crdt_kind kind) {
  *x = (example){ .kind = kind };
  lk_buf_init(&x->text, test_alloc(), 1000);
}

static model_set of(uint32_t id) {
  model_set s = { 0 };
  model_put(&s, id);
  return s;
}

static model_set two(uint32_t a, uint32_t b) { return model_union(of(a), of(b)); }

static uint32_t did(example *x, uint8_t actor, model_verb verb, uint8_t element, model_set seen) {
  model_event draft = { .kind = x->kind, .verb = verb, .actor = actor, .element = element };
  draft.amount = element;
  draft.now_ms = 5;
  return model_record(&x->model, &draft, seen);
}

/* The examples have no sequences and no bounded counters below maps. */
static bool nothing_there(void *ctx, const model_path *at, lk_crdt_kind kind, lk_buf *out) {
  (void)ctx, (void)at, (void)kind, (void)out;
  return false;
}

static lk_slice shows(example *x, model_set s) {
  model_path top = { 0 };
  model_view view = { &x->model, model_live(&x->model, s), nothing_there, NULL };
  lk_buf_truncate(&x->text, 0);
  if (!model_value(&view, &top, x->kind, &x->text)) return model_nothing(x->kind);
  return lk_buf_slice(&x->text);
}

TEST(model_adds_win_in_one_set_and_removes_in_the_other) {
  example x;
  example_init(&x, LK_CRDT_ORSET);
  uint32_t add = did(&x, 0, MODEL_ADD, 1, (model_set){ 0 });
  uint32_t again = did(&x, 1, MODEL_ADD, 1, of(add));
  uint32_t removed = did(&x, 0, MODEL_REMOVE, 1, of(add));
  CHECK_TEXT(shows(&x, two(add, removed)), "[]");
  CHECK_TEXT(shows(&x, two(again, removed)), "[\"a\"]");
  CHECK(model_compare(&x.model, of(add), of(removed)) == LK_CRDT_BEFORE);
  CHECK(model_compare(&x.model, of(again), of(removed)) == LK_CRDT_AFTER);
  lk_buf_deinit(&x.text);
  example_init(&x, LK_CRDT_RWSET);
  add = did(&x, 0, MODEL_ADD, 1, (model_set){ 0 });
  again = did(&x, 1, MODEL_ADD, 1, of(add));
  removed = did(&x, 0, MODEL_REMOVE, 1, of(add));
  CHECK_TEXT(shows(&x, two(again, removed)), "[]");
  uint32_t later = did(&x, 2, MODEL_ADD, 1, two(again, removed));
  CHECK_TEXT(shows(&x, two(removed, later)), "[\"a\"]");
  lk_buf_deinit(&x.text);
}

TEST(model_registers_ask_knowledge_then_the_clock_then_the_actor) {
  example x;
  example_init(&x, LK_CRDT_LWW);
  uint32_t m = did(&x, 0, MODEL_SET, 0, (model_set){ 0 });
  uint32_t b = did(&x, 1, MODEL_SET, 1, (model_set){ 0 });
  CHECK_TEXT(shows(&x, (model_set){ 0 }), "null");
  CHECK_TEXT(shows(&x, two(m, b)), "1"); /* the clocks agree, and "m" is behind "b" */
  uint32_t later = did(&x, 1, MODEL_SET, 4, of(b));
  CHECK_U64(x.model.event[later].stamp.count, 1);
  CHECK_TEXT(shows(&x, two(m, later)), "[]");
  lk_buf_deinit(&x.text);
  example_init(&x, LK_CRDT_MVREG);
  m = did(&x, 0, MODEL_SET, 1, (model_set){ 0 });
  b = did(&x, 1, MODEL_SET, 0, (model_set){ 0 });
  later = did(&x, 1, MODEL_SET, 4, of(b));
  CHECK_TEXT(shows(&x, two(m, b)), "[\"a\",1]");
  CHECK_TEXT(shows(&x, model_union(two(m, b), of(later))), "[\"a\",[]]");
  lk_buf_deinit(&x.text);
}

TEST(model_flags_differ_in_who_wins) {
  example x;
  example_init(&x, LK_CRDT_EWFLAG);
  uint32_t on = did(&x, 0, MODEL_ENABLE, 0, (model_set){ 0 });
  uint32_t off = did(&x, 1, MODEL_DISABLE, 0, of(on));
  uint32_t on_too = did(&x, 2, MODEL_ENABLE, 0, of(on));
  CHECK_TEXT(shows(&x, two(on, off)), "false");
  CHECK_TEXT(shows(&x, two(off, on_too)), "true");
  lk_buf_deinit(&x.text);
  example_init(&x, LK_CRDT_DWFLAG);
  on = did(&x, 0, MODEL_ENABLE, 0, (model_set){ 0 });
  off = did(&x, 1, MODEL_DISABLE, 0, of(on));
  on_too = did(&x, 2, MODEL_ENABLE, 0, of(on));
  CHECK_TEXT(shows(&x, of(on_too)), "true");
  CHECK_TEXT(shows(&x, two(off, on_too)), "false");
  lk_buf_deinit(&x.text);
}

TEST(model_elements_of_a_list_are_carried_on_by_what_moves_them) {
  example x;
  example_init(&x, LK_CRDT_LIST);
  model_event draft = { .kind = LK_CRDT_LIST, .verb = MODEL_INSERT };
  uint32_t item = model_record(&x.model, &draft, (model_set){ 0 });
  draft.items = of(item);
  draft.verb = MODEL_MOVE;
  uint32_t moved = model_record(&x.model, &draft, of(item));
  draft.verb = MODEL_SET;
  uint32_t set = model_record(&x.model, &draft, of(item));
  draft.verb = MODEL_DELETE;
  uint32_t deleted = model_record(&x.model, &draft, two(item, set));
  model_path top = { 0 };
  model_set live = model_live(&x.model, of(moved));
  CHECK(model_is_equal(model_sequence_items(&x.model, live, &top, LK_CRDT_LIST), of(item)));
  CHECK(model_is_equal(model_sequence_values(&x.model, live, item), of(item)));
  live = model_live(&x.model, two(moved, set));
  CHECK(model_is_equal(model_sequence_values(&x.model, live, item), of(set)));
  CHECK(model_is_equal(model_sequence_places(&x.model, live, item), of(moved)));
  CHECK(model_is_empty(model_live(&x.model, two(set, deleted))));
  live = model_live(&x.model, two(moved, deleted));
  CHECK(model_is_equal(model_sequence_items(&x.model, live, &top, LK_CRDT_LIST), of(item)));
  lk_buf_deinit(&x.text);
}

TEST(model_keys_of_a_map_are_there_while_something_is_below) {
  example x;
  example_init(&x, LK_CRDT_ORMAP);
  model_event add = { .at = { 1, { { LK_CRDT_PNCOUNTER, 3 } } },
                      .kind = LK_CRDT_PNCOUNTER,
                      .verb = MODEL_INCREMENT,
                      .amount = 2 };
  uint32_t first = model_record(&x.model, &add, (model_set){ 0 });
  add.at = (model_path){ 2, { { LK_CRDT_ORMAP, 1 }, { LK_CRDT_PNCOUNTER, 0 } } };
  add.verb = MODEL_DECREMENT;
  uint32_t deep = model_record(&x.model, &add, (model_set){ 0 });
  CHECK_TEXT(shows(&x, two(first, deep)), "{\"a\":{\"\":-2},\"b\":2}");
  model_event remove = { .kind = LK_CRDT_ORMAP, .verb = MODEL_REMOVE, .key = 1 };
  uint32_t removed = model_record(&x.model, &remove, two(first, deep));
  CHECK_TEXT(shows(&x, model_union(two(first, deep), of(removed))), "{\"b\":2}");
  lk_buf_deinit(&x.text);
}

TEST(model_rights_go_where_they_are_transferred) {
  example x;
  model_path top = { 0 };
  example_init(&x, LK_CRDT_BCOUNTER);
  uint32_t added = did(&x, 0, MODEL_INCREMENT, 7, (model_set){ 0 });
  model_event draft = { .kind = LK_CRDT_BCOUNTER, .verb = MODEL_TRANSFER, .to = 1, .amount = 3 };
  uint32_t given = model_record(&x.model, &draft, of(added));
  CHECK(!model_is_closed(&x.model, of(given)) && model_is_closed(&x.model, two(added, given)));
  model_rights_value(&x.model, two(added, given), &top, &x.text);
  CHECK_TEXT(lk_buf_slice(&x.text), "{\"rights\":{\"b\":3,\"m\":4},\"value\":7}");
  lk_buf_deinit(&x.text);
}
