/* Goal: who observes events cannot tell whether a keystroke went the fast way or as a transaction, whatever he asks
 * or does meanwhile.
 * Method: twins that get the same calls and whose observers do the same at random; one of them is kept from the fast
 * way. What both hear is written down and compared. */
#include <string.h>

#include "check.h"
#include "doc/engine.h"
#include "doc/events.h"
#include "harness/test.h"
#include "laniakea/doc_undo.h"

#define ELSEWHERE 5
#define OBSERVERS 6
#define DEEDS_MAX 24 /* of one call: what observers do makes them act again */

typedef struct replica replica;

/* What an observer is. */
typedef enum ear_kind { NODE, DEEP, ABOVE, ROOT_MAP, UPDATE_V1, UPDATE_V2, EAR_KINDS } ear_kind;

typedef struct ear {
  replica *of;
  ear_kind kind;
  uint32_t id; /* 0 where it does not listen */
} ear;

struct replica {
  lk_env env;
  lk_doc *doc;
  lk_node text, map;
  lk_undo *undo;
  uint64_t now;
  lk_prng deeds; /* the same for both twins */
  uint32_t deeds_left;
  bool busy;   /* how often observers act */
  bool pieces; /* see note_pieces() */
  ear ears[OBSERVERS];
  lk_buf heard;
};

/* ---- what is heard ---- */

static void say(replica *self, const char *what) {
  lk_buf_append(&self->heard, lk_slice_cstr(what));
}

static void say_number(replica *self, const char *what, uint64_t number) {
  say(self, what);
  lk_buf_append_decimal(&self->heard, number);
}

static void say_bytes(replica *self, const char *what, lk_slice bytes) {
  static const char digits[] = "0123456789abcdef";
  say(self, what);
  for (size_t i = 0; i < bytes.len; i++) {
    lk_buf_append_u8(&self->heard, (uint8_t)digits[bytes.ptr[i] >> 4]);
    lk_buf_append_u8(&self->heard, (uint8_t)digits[bytes.ptr[i] & 15]);
  }
}

static void say_state(replica *self) {
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1 << 24);
  CHECK_OK(lk_doc_json(self->doc, &out));
  say(self, " says ");
  lk_buf_append(&self->heard, lk_buf_slice(&out));
  lk_buf_truncate(&out, 0);
  CHECK_OK(lk_doc_state_vector(self->doc, &out));
  say_bytes(self, " at ", lk_buf_slice(&out));
  lk_buf_truncate(&out, 0);
  CHECK_OK(lk_doc_encode(self->doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &out));
  say_bytes(self, " as ", lk_buf_slice(&out));
  lk_buf_deinit(&out);
}

/* ---- what observers do ---- */

static bool draw(replica *self, uint32_t parts, uint32_t whole) {
  return lk_prng_chance(&self->deeds, parts, whole);
}
static uint32_t draw_below(replica *self, uint64_t bound) {
  return (uint32_t)lk_prng_below(&self->deeds, bound);
}

static void listen(replica *self, uint32_t number);

static bool is_text(const replica *self) {
  lk_node_kind kind = lk_doc_node_kind(self->doc, self->text);
  return lk_doc_has_node(self->doc, self->text) &&
         (kind == LK_NODE_TEXT || kind == LK_NODE_XML_TEXT);
}

static void change_text(replica *self) {
  lk_attribute bold = { LK_LIT("b"), { .kind = LK_VALUE_BOOL, .boolean = true } };
  lk_attributes attributes = { &bold, 1 };
  uint64_t units = lk_doc_node_length(self->doc, self->text);
  uint32_t at = draw_below(self, units + 1), len = draw_below(self, units - at + 1);
  len = lk_min_u32(len, 1 + draw_below(self, 3));
  if (draw(self, 1, 2)) {
    lk_slice text = draw(self, 1, 2) ? LK_LIT("x") : LK_LIT("xy");
    CHECK_OK(lk_doc_text_insert(self->doc, self->text, at, text, NULL));
  } else if (draw(self, 7, 8)) {
    CHECK_OK(lk_doc_text_delete(self->doc, self->text, at, len));
  } else if (draw(self, 1, 8)) {
    CHECK_OK(lk_doc_text_format(self->doc, self->text, at, len, &attributes));
  }
}

static void undo_something(replica *self) {
  bool done;
  if (self->undo == NULL) return;
  if (draw(self, 1, 6)) {
    CHECK_OK(lk_undo_clear(self->undo, draw(self, 1, 2), draw(self, 1, 2)));
    return;
  }
  if (draw(self, 1, 6)) {
    if (draw(self, 1, 2)) lk_undo_remove_origin(self->undo, 0);
    else CHECK_OK(lk_undo_add_origin(self->undo, 0));
    return;
  }
  lk_err err = draw(self, 1, 2) ? lk_undo_undo(self->undo, &done) : lk_undo_redo(self->undo, &done);
  CHECK(err == LK_OK || err == LK_ERR_STATE);
}

static void come_or_go(replica *self) {
  uint32_t number = draw_below(self, OBSERVERS);
  if (self->ears[number].id == 0) {
    /* who comes while nobody but observers of updates in V1 is told hears of the next change */
    if (self->ears[number].kind != UPDATE_V2 || self->doc->event_observers > 0)
      listen(self, number);
  } else {
    lk_doc_off(self->doc, self->ears[number].id);
    self->ears[number].id = 0;
  }
}

/* Which text of a struct lies in one item is nothing that Yjs knows of, and twins may differ in it. Observers can tell:
 * between its deletion and the clean-up such a struct lies in pieces, which are counted and made again one by one. */
static void note_pieces(replica *self) {
  const lk_doc *doc = self->doc;
  for (uint32_t i = 0; i < doc->item_count; i++) {
    const lk_item *item = &doc->items[i];
    self->pieces |= item->kind != LK_CONTENT_FREE && (item->flags & LK_ITEM_JOINED) != 0;
  }
}

static void act(replica *self) {
  note_pieces(self);
  if (self->deeds_left == 0 || !draw(self, 1, self->busy ? 3 : 40)) return;
  self->deeds_left--;
  switch (draw_below(self, 6)) {
  case 0:
  case 1:
    if (is_text(self)) change_text(self);
    break;
  case 2: undo_something(self); break;
  case 3: come_or_go(self); break;
  case 4:
    CHECK_OK(lk_doc_map_set(self->doc, self->map, LK_LIT("k"),
                            &(lk_value){ .kind = LK_VALUE_NUMBER, .number = draw_below(self, 9) }));
    break;
  default:
    CHECK_OK(lk_doc_begin(self->doc, 9));
    if (is_text(self)) change_text(self);
    if (is_text(self)) change_text(self);
    lk_doc_commit(self->doc);
  }
}

static void ask_event(replica *self, const lk_event *event) {
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1 << 24);
  say_number(self, " origin ", lk_event_origin(event));
  say(self, lk_event_local(event) ? " local" : " remote");
  say(self, lk_event_list_changed(event) ? " list" : " keys");
  if (draw(self, 1, 2)) CHECK_OK(lk_event_path(event, &out));
  if (draw(self, 2, 3)) CHECK_OK(lk_event_delta(event, &out));
  uint32_t cursor = 0;
  lk_slice key;
  lk_key_action action;
  while (lk_event_next_key(event, &cursor, &key, &action, &out)) {
    lk_buf_append(&out, key);
    lk_buf_append_u8(&out, (uint8_t)('0' + action));
  }
  CHECK_OK(lk_buf_err(&out));
  say(self, " ");
  lk_buf_append(&self->heard, lk_buf_slice(&out));
  lk_buf_deinit(&out);
}

/* ---- observers ---- */

static void hear_events(void *ctx, lk_doc *doc, const lk_event *const *events, size_t count) {
  ear *self = ctx;
  replica *of = self->of;
  (void)doc;
  say_number(of, "\near ", (uint64_t)(self - of->ears));
  if (draw(of, 1, 4)) act(of);
  for (size_t i = 0; i < count; i++) {
    if (draw(of, 3, 4)) ask_event(of, events[i]);
    if (draw(of, 1, 4)) say_state(of);
    act(of);
  }
}

static void hear_event(void *ctx, lk_doc *doc, const lk_event *event) {
  hear_events(ctx, doc, &event, 1);
}

static void hear_update(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  ear *self = ctx;
  replica *of = self->of;
  (void)doc;
  say_number(of, "\near ", (uint64_t)(self - of->ears));
  say_number(of, local ? " local " : " remote ", origin);
  say_bytes(of, " ", update);
  act(of);
}

static void hear_undo(void *ctx, lk_undo *undo, bool is_redo, bool popped, uint64_t *meta) {
  replica *self = ctx;
  say(self, is_redo ? "\nredo" : "\nundo");
  say(self, popped ? " popped" : " pushed");
  say_number(self, " ", *meta);
  say_number(self, " of ", lk_undo_undo_count(undo));
  *meta = draw_below(self, 100);
  act(self);
}

static void listen(replica *self, uint32_t number) {
  ear *at = &self->ears[number];
  at->of = self;
  lk_err err = LK_OK;
  switch (at->kind) {
  case NODE: err = lk_doc_observe(self->doc, self->text, hear_event, at, &at->id); break;
  case DEEP: err = lk_doc_observe_deep(self->doc, self->text, hear_events, at, &at->id); break;
  case ABOVE: err = lk_doc_observe_deep(self->doc, self->map, hear_events, at, &at->id); break;
  case ROOT_MAP: err = lk_doc_observe(self->doc, self->map, hear_event, at, &at->id); break;
  case UPDATE_V1: err = lk_doc_on_update(self->doc, LK_UPDATE_V1, hear_update, at, &at->id); break;
  default: err = lk_doc_on_update(self->doc, LK_UPDATE_V2, hear_update, at, &at->id);
  }
  CHECK(err == LK_OK || err == LK_ERR_NOT_FOUND);
}

static uint64_t now_ms(void *ctx) { return ((replica *)ctx)->now; }

/* ---- twins ---- */

/* |self[1]| is kept from the fast way. */
typedef struct twins {
  replica self[2];
  lk_doc *peer;
  lk_node peer_text;
  lk_buf update; /* the peer's last one */
} twins;

static void take_update(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  (void)doc, (void)origin, (void)local;
  lk_buf_truncate(ctx, 0);
  lk_buf_append(ctx, update);
}

static void open_replica(replica *self, const lk_doc_options *options, uint64_t seed) {
  *self = (replica){ .now = 1000 };
  self->env = (lk_env)LK_ENV_INIT(test_alloc(), NULL);
  lk_prng_init(&self->deeds, seed);
  lk_buf_init(&self->heard, test_alloc(), 1 << 26);
  CHECK_OK(lk_doc_open(&self->env, options, &self->doc));
}

static void apply_to(replica *self, bool slow, bool is_v2, lk_slice update) {
  lk_buf v2;
  self->deeds_left = DEEDS_MAX;
  if (slow) CHECK_OK(lk_doc_begin(self->doc, ELSEWHERE));
  if (slow || !is_v2) {
    CHECK_OK(lk_doc_apply(self->doc, LK_UPDATE_V1, update, ELSEWHERE));
    if (slow) lk_doc_commit(self->doc);
    return;
  }
  lk_buf_init(&v2, test_alloc(), 1 << 24);
  CHECK_OK(lk_update_convert(&self->env, LK_UPDATE_V1, update, LK_UPDATE_V2, &v2));
  CHECK_OK(lk_doc_apply(self->doc, LK_UPDATE_V2, lk_buf_slice(&v2), ELSEWHERE));
  lk_buf_deinit(&v2);
}

/* The text stands alone, or in a map, or is taken for something else by the twins. */
static void share_text(lk_gen *g, twins *t) {
  lk_node map;
  lk_node_kind kind = gen_chance(g, 1, 8) ? (lk_node_kind)gen_below(g, LK_NODE_UNKNOWN)
                                          : LK_NODE_TEXT;
  bool nested = gen_bool(g);
  CHECK_OK(lk_doc_root(t->peer, LK_LIT("map"), LK_NODE_MAP, &map));
  CHECK_OK(lk_doc_root(t->peer, LK_LIT("t"), LK_NODE_TEXT, &t->peer_text));
  if (nested)
    CHECK_OK(lk_doc_map_set_node(t->peer, map, LK_LIT("in"), LK_NODE_TEXT, LK_SLICE_EMPTY,
                                 &t->peer_text));
  for (int i = 0; i < 2; i++) {
    replica *self = &t->self[i];
    lk_value value;
    CHECK_OK(lk_doc_root(self->doc, LK_LIT("map"), LK_NODE_MAP, &self->map));
    CHECK_OK(lk_doc_root(self->doc, LK_LIT("t"), kind, &self->text));
    if (!nested) continue;
    apply_to(self, i == 1, false, lk_buf_slice(&t->update));
    CHECK_OK(lk_doc_map_get(self->doc, self->map, LK_LIT("in"), &value));
    self->text = value.node;
  }
}

static void watch(lk_gen *g, twins *t) {
  static const uint64_t origins[] = { 0, ELSEWHERE, 9 };
  lk_undo_options options = LK_UNDO_OPTIONS_INIT;
  bool undo = gen_bool(g), whole = gen_bool(g), busy = gen_bool(g);
  options.now_ms = now_ms;
  options.capture_ms = gen_bool(g) ? 500 : 0;
  if (gen_chance(g, 1, 3)) {
    options.origins = origins;
    options.origin_count = 1 + gen_below(g, 3);
  }
  for (uint32_t n = 0; n < OBSERVERS; n++) {
    ear_kind kind = (ear_kind)gen_below(g, EAR_KINDS);
    bool there = gen_bool(g);
    for (int i = 0; i < 2; i++) {
      t->self[i].busy = busy;
      t->self[i].ears[n].kind = kind;
      if (there) listen(&t->self[i], n);
    }
  }
  for (int i = 0; i < 2 && undo; i++) {
    replica *self = &t->self[i];
    options.now_ctx = self;
    CHECK_OK(
        lk_undo_open(self->doc, whole ? NULL : &self->text, whole ? 0 : 1, &options, &self->undo));
    lk_undo_on_item(self->undo, hear_undo, self);
  }
}

static void open_twins(lk_gen *g, twins *t) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  uint64_t seed = gen_u64(g);
  options.client = 20;
  options.keep_deleted = gen_chance(g, 1, 8);
  for (int i = 0; i < 2; i++) open_replica(&t->self[i], &options, seed);
  options.client = gen_bool(g) ? 10 : 30;
  lk_buf_init(&t->update, test_alloc(), 1 << 24);
  CHECK_OK(lk_doc_open(&t->self[0].env, &options, &t->peer));
  CHECK_OK(lk_doc_on_update(t->peer, LK_UPDATE_V1, take_update, &t->update, NULL));
  share_text(g, t);
  watch(g, t);
}

static void close_twins(twins *t) {
  for (int i = 0; i < 2; i++) {
    if (t->self[i].undo != NULL) lk_undo_close(t->self[i].undo);
    lk_doc_close(t->self[i].doc);
    lk_buf_deinit(&t->self[i].heard);
  }
  lk_doc_close(t->peer);
  lk_buf_deinit(&t->update);
}

/* ---- calls ---- */

typedef struct keystroke {
  bool deletes;
  uint32_t at, length;
  lk_slice text;
} keystroke;

/* Mostly where the last one was. */
static keystroke draw_stroke(lk_gen *g, uint32_t units, uint32_t *at) {
  static const char *const texts[] = { "a", "b", "cde", "fghijklmnop", "\xC3\xA9" };
  keystroke key = { .deletes = gen_chance(g, 2, 5) && units > 0 };
  if (*at > units || gen_chance(g, 1, 6)) *at = gen_below(g, units + 1);
  key.length = gen_bool(g) ? 1 : 1 + gen_below(g, 3);
  if (key.deletes && gen_bool(g)) *at -= lk_min_u32(*at, key.length);
  key.length = lk_min_u32(key.length, units - *at);
  key.text = lk_slice_cstr(texts[gen_chance(g, 1, 12) ? 4 : gen_below(g, 4)]);
  key.at = *at;
  if (!key.deletes) *at += key.text.len == 2 ? 1 : (uint32_t)key.text.len;
  return key;
}

static void do_stroke(lk_doc *doc, lk_node node, const keystroke *key) {
  if (key->deletes) CHECK_OK(lk_doc_text_delete(doc, node, key->at, key->length));
  else CHECK_OK(lk_doc_text_insert(doc, node, key->at, key->text, NULL));
}

static void type_here(lk_gen *g, twins *t, uint32_t *at) {
  if (!is_text(&t->self[0])) return;
  keystroke key = draw_stroke(g, (uint32_t)lk_doc_node_length(t->self[0].doc, t->self[0].text), at);
  for (int i = 0; i < 2; i++) {
    replica *self = &t->self[i];
    self->deeds_left = DEEDS_MAX;
    for (int n = 0; i == 1 && n < 2; n++) CHECK_OK(lk_doc_begin(self->doc, 0));
    do_stroke(self->doc, self->text, &key);
    for (int n = 0; i == 1 && n < 2; n++) lk_doc_commit(self->doc);
  }
}

/* Text in place of other text, in one transaction; or only one of them, or more behind it. */
static void replace_here(lk_gen *g, twins *t, uint32_t *at) {
  static const uint64_t origins[] = { 0, 9, 7 };
  if (!is_text(&t->self[0])) return;
  uint32_t units = (uint32_t)lk_doc_node_length(t->self[0].doc, t->self[0].text);
  uint64_t origin = origins[gen_below(g, 3)];
  keystroke gone = draw_stroke(g, units, at), more = gone;
  gone.deletes = true;
  gone.length = lk_min_u32(units - gone.at, gen_below(g, 12));
  more.deletes = false;
  bool types = gen_chance(g, 4, 5), goes_on = gen_chance(g, 1, 4);
  for (int i = 0; i < 2; i++) {
    replica *self = &t->self[i];
    self->deeds_left = DEEDS_MAX;
    for (int n = 0; n <= i; n++) CHECK_OK(lk_doc_begin(self->doc, origin));
    do_stroke(self->doc, self->text, &gone);
    if (types) do_stroke(self->doc, self->text, &more);
    if (goes_on) do_stroke(self->doc, self->text, &more);
    for (int n = 0; n <= i; n++) lk_doc_commit(self->doc);
  }
}

static void type_there(lk_gen *g, twins *t, uint32_t *at) {
  keystroke key = draw_stroke(g, (uint32_t)lk_doc_node_length(t->peer, t->peer_text), at);
  do_stroke(t->peer, t->peer_text, &key);
  if (key.deletes && key.length == 0) return;
  bool is_v2 = gen_bool(g);
  for (int i = 0; i < 2; i++) apply_to(&t->self[i], i == 1, is_v2, lk_buf_slice(&t->update));
}

/* As long a stretch, or as many, as comes together. */
static void replace_there(lk_gen *g, twins *t, uint32_t *at) {
  bool is_v2 = gen_bool(g);
  lk_buf_truncate(&t->update, 0);
  CHECK_OK(lk_doc_begin(t->peer, 0));
  for (uint32_t n = 1 + gen_below(g, 3); n > 0; n--) {
    uint32_t units = (uint32_t)lk_doc_node_length(t->peer, t->peer_text);
    keystroke key = draw_stroke(g, units, at);
    if (key.deletes) key.length = lk_min_u32(units - key.at, gen_below(g, 12));
    do_stroke(t->peer, t->peer_text, &key);
  }
  lk_doc_commit(t->peer);
  if (t->update.len == 0) return;
  for (int i = 0; i < 2; i++) apply_to(&t->self[i], i == 1, is_v2, lk_buf_slice(&t->update));
}

/* What the twins wrote; he then stands where they do. */
static void catch_up(twins *t) {
  lk_buf sv, out;
  lk_buf_init(&sv, test_alloc(), 1 << 20);
  lk_buf_init(&out, test_alloc(), 1 << 24);
  CHECK_OK(lk_doc_state_vector(t->peer, &sv));
  CHECK_OK(lk_doc_encode(t->self[0].doc, LK_UPDATE_V1, lk_buf_slice(&sv), &out));
  CHECK_OK(lk_doc_apply(t->peer, LK_UPDATE_V1, lk_buf_slice(&out), 0));
  lk_buf_deinit(&sv);
  lk_buf_deinit(&out);
}

/* False where they went different ways for a reason that is none. */
static bool compare(twins *t) {
  lk_buf out[2];
  for (int i = 0; i < 2; i++) note_pieces(&t->self[i]);
  if ((t->self[0].pieces || t->self[1].pieces) &&
      !lk_slice_equal(lk_buf_slice(&t->self[0].heard), lk_buf_slice(&t->self[1].heard)))
    return false;
  CHECK_SLICE(lk_buf_slice(&t->self[0].heard), lk_buf_slice(&t->self[1].heard));
  for (int i = 0; i < 2; i++) {
    CHECK_DOC(t->self[i].doc);
    lk_buf_init(&out[i], test_alloc(), 1 << 24);
    CHECK_OK(lk_doc_encode(t->self[i].doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &out[i]));
  }
  CHECK_SLICE(lk_buf_slice(&out[0]), lk_buf_slice(&out[1]));
  for (int i = 0; i < 2; i++) {
    lk_buf_deinit(&out[i]);
    lk_buf_truncate(&t->self[i].heard, 0);
  }
  return true;
}

PROPERTY_SLOW(keystrokes_are_told_about_as_transactions_are, 4) {
  static twins t;
  uint32_t here = 0, there = 0;
  open_twins(g, &t);
  for (uint32_t turns = gen_below(g, 200); turns > 0; turns--) {
    uint64_t passed = gen_chance(g, 1, 6) ? 600 : gen_below(g, 100);
    for (int i = 0; i < 2; i++) t.self[i].now += passed;
    switch (gen_below(g, 12)) {
    case 0: catch_up(&t); break;
    case 1:
      for (int i = 0; i < 2; i++) {
        t.self[i].deeds_left = DEEDS_MAX;
        if (turns % 4 == 0) undo_something(&t.self[i]);
        else if (turns % 4 == 1) come_or_go(&t.self[i]);
      }
      break;
    case 2:
    case 3:
    case 4: type_there(g, &t, &there); break;
    case 5:
    case 6: replace_here(g, &t, &here); break;
    case 7:
    case 8: replace_there(g, &t, &there); break;
    default: type_here(g, &t, &here);
    }
    if (!compare(&t)) break;
  }
  close_twins(&t);
}

/* ---- structs in several items ---- */

static void set_thrice(void *ctx, lk_doc *doc, const lk_event *event) {
  lk_node map;
  (void)ctx, (void)event;
  CHECK_OK(lk_doc_root(doc, LK_LIT("map"), LK_NODE_MAP, &map));
  for (uint32_t i = 0; i < 3; i++) {
    lk_value value = { .kind = LK_VALUE_NUMBER, .number = i };
    CHECK_OK(lk_doc_begin(doc, i == 2 ? 0 : 9));
    CHECK_OK(lk_doc_map_set(doc, map, LK_LIT("k"), &value));
    lk_doc_commit(doc);
  }
}

/* Goal: a struct of two items, which two transactions deleted while a third was being told about, is collected as one.
 * Method: the manager wants what the second of them deleted, and comes too late for it: as in Yjs. */
TEST(a_struct_in_two_items_is_collected_as_one) {
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_doc_options how = LK_DOC_OPTIONS_INIT;
  lk_undo_options options = LK_UNDO_OPTIONS_INIT;
  lk_doc *doc;
  lk_node text;
  lk_undo *undo;
  bool done;
  how.client = 20;
  CHECK_OK(lk_doc_open(&env, &how, &doc));
  CHECK_OK(lk_doc_root(doc, LK_LIT("t"), LK_NODE_TEXT, &text));
  CHECK_OK(lk_undo_open(doc, NULL, 0, &options, &undo));
  uint32_t id;
  CHECK_OK(lk_doc_observe(doc, text, set_thrice, NULL, &id));
  CHECK_OK(lk_doc_text_insert(doc, text, 0, LK_LIT("a"), NULL));
  CHECK_DOC(doc);
  lk_doc_off(doc, id);
  CHECK_OK(lk_undo_undo(undo, &done));
  CHECK_DOC(doc);
  lk_undo_close(undo);
  lk_doc_close(doc);
}

/* ---- without memory ---- */

/* An observer that marks the end of the text whenever it changes, as long as there is memory for it. */
typedef struct marker {
  lk_alloc alloc;
  lk_env env;
  lk_doc *doc;
  lk_node text;
  uint32_t calls, marks;
  bool marking;
} marker;

static void mark(void *ctx, lk_doc *doc, const lk_event *event) {
  marker *self = ctx;
  lk_buf delta;
  lk_buf_init(&delta, &self->alloc, 1 << 16);
  self->calls++;
  lk_err err = lk_event_delta(event, &delta);
  CHECK(err == LK_OK || err == LK_ERR_NOMEM);
  lk_buf_deinit(&delta);
  if (self->marking) return;
  self->marking = true;
  uint64_t units = lk_doc_node_length(doc, self->text);
  err = lk_doc_text_insert(doc, self->text, units, LK_LIT("|"), NULL);
  CHECK(err == LK_OK || err == LK_ERR_NOMEM);
  self->marks += err == LK_OK;
}

static lk_err open_marker(marker *self, lk_alloc alloc) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  *self = (marker){ .alloc = alloc };
  self->env = (lk_env)LK_ENV_INIT(&self->alloc, NULL);
  lk_err err = lk_doc_open(&self->env, &options, &self->doc);
  if (err == LK_OK) err = lk_doc_root(self->doc, LK_LIT("t"), LK_NODE_TEXT, &self->text);
  if (err == LK_OK) err = lk_doc_text_insert(self->doc, self->text, 0, LK_LIT("abcdef"), NULL);
  if (err == LK_OK) err = lk_doc_observe(self->doc, self->text, mark, self, NULL);
  return err;
}

/* Each leaves one unit more or less, and a mark if there was memory for that. */
static lk_err mark_strokes(marker *self, uint32_t *units) {
  static const uint32_t places[] = { 6, 3, 0, 2, 5 };
  lk_err err = LK_OK;
  for (uint32_t i = 0; err == LK_OK && i < 10; i++) {
    uint32_t calls = self->calls;
    self->marking = false;
    if (i % 2 == 0)
      err = lk_doc_text_insert(self->doc, self->text, places[i / 2], LK_LIT("x"), NULL);
    else err = lk_doc_text_delete(self->doc, self->text, places[i / 2], 1);
    if (err != LK_OK) continue;
    *units += i % 2 == 0 ? 1 : UINT32_MAX;
    CHECK(self->calls > calls);
    CHECK_DOC(self->doc);
  }
  return err;
}

TEST(a_keystroke_stays_whole_where_an_observer_gets_no_memory) {
  FAULT_LOOP(faults, test_alloc()) {
    marker m;
    uint32_t units = 6;
    lk_err err = open_marker(&m, *faulty_alloc(&faults));
    if (err == LK_OK) err = mark_strokes(&m, &units);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    if (err == LK_OK) CHECK_U64(lk_doc_node_length(m.doc, m.text), units + m.marks);
    lk_doc_close(m.doc);
  }
}

/* ---- what replaces, in its corners ---- */

typedef struct corner {
  lk_env env;
  lk_doc *doc;
  lk_node map, text, other;
  lk_buf heard;
} corner;

static void hear_delta(void *ctx, lk_doc *doc, const lk_event *event) {
  corner *self = ctx;
  (void)doc;
  lk_buf_append(&self->heard, LK_LIT(" delta "));
  CHECK_OK(lk_event_delta(event, &self->heard));
}

/* Both texts say "acdefgh", and have had a "b". */
static void open_corner(corner *self, uint64_t client, bool nested) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = client;
  *self = (corner){ .env = LK_ENV_INIT(test_alloc(), NULL) };
  lk_buf_init(&self->heard, test_alloc(), 1 << 20);
  CHECK_OK(lk_doc_open(&self->env, &options, &self->doc));
  CHECK_OK(lk_doc_root(self->doc, LK_LIT("map"), LK_NODE_MAP, &self->map));
  CHECK_OK(lk_doc_root(self->doc, LK_LIT("t"), LK_NODE_TEXT, &self->text));
  CHECK_OK(lk_doc_root(self->doc, LK_LIT("u"), LK_NODE_TEXT, &self->other));
  if (nested)
    CHECK_OK(lk_doc_map_set_node(self->doc, self->map, LK_LIT("in"), LK_NODE_TEXT, LK_SLICE_EMPTY,
                                 &self->text));
  const lk_node texts[] = { self->text, self->other };
  for (int i = 0; i < 2; i++) {
    CHECK_OK(lk_doc_text_insert(self->doc, texts[i], 0, LK_LIT("abcdefgh"), NULL));
    CHECK_OK(lk_doc_text_delete(self->doc, texts[i], 1, 1));
  }
}

static void close_corner(corner *self) {
  CHECK_DOC(self->doc);
  lk_doc_close(self->doc);
  lk_buf_deinit(&self->heard);
}

/* The second twin goes the slow way. */
static void begin_corner(corner *self, int twin) {
  for (int n = 0; n <= 2 * twin; n++) CHECK_OK(lk_doc_begin(self->doc, 0));
}
static void end_corner(corner *self, int twin) {
  for (int n = 0; n <= 2 * twin; n++) lk_doc_commit(self->doc);
}

/* Goal: text that comes behind what was deleted long ago is told about where it stands.
 * Method: a transaction that deletes, and types elsewhere in that text, and in another one. */
TEST(text_that_comes_elsewhere_than_what_was_deleted_is_told_about_there) {
  corner both[2];
  for (int elsewhere = 0; elsewhere < 2; elsewhere++) {
    for (int i = 0; i < 2; i++) {
      corner *self = &both[i];
      open_corner(self, 7, false);
      CHECK_OK(lk_doc_observe(self->doc, self->text, hear_delta, self, NULL));
      CHECK_OK(lk_doc_observe(self->doc, self->other, hear_delta, self, NULL));
      begin_corner(self, i);
      CHECK_OK(lk_doc_text_delete(self->doc, self->text, 4, 1));
      CHECK_OK(lk_doc_text_insert(self->doc, elsewhere ? self->other : self->text, 1, LK_LIT("X"),
                                  NULL));
      end_corner(self, i);
    }
    CHECK_SLICE(lk_buf_slice(&both[0].heard), lk_buf_slice(&both[1].heard));
    for (int i = 0; i < 2; i++) close_corner(&both[i]);
  }
}

/* Goal: what an undo manager would have kept is collected where that is gone when the transaction ends. */
TEST(what_is_deleted_is_not_kept_for_an_undo_manager_that_is_closed_before_the_transaction_ends) {
  corner both[2];
  for (int i = 0; i < 2; i++) {
    corner *self = &both[i];
    lk_undo_options options = LK_UNDO_OPTIONS_INIT;
    lk_undo *undo;
    open_corner(self, 7, false);
    CHECK_OK(lk_undo_open(self->doc, &self->text, 1, &options, &undo));
    begin_corner(self, i);
    CHECK_OK(lk_doc_text_delete(self->doc, self->text, 4, 1));
    lk_undo_close(undo);
    end_corner(self, i);
    CHECK_OK(lk_doc_encode(self->doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &self->heard));
  }
  CHECK_SLICE(lk_buf_slice(&both[0].heard), lk_buf_slice(&both[1].heard));
  for (int i = 0; i < 2; i++) close_corner(&both[i]);
}

/* Goal: what keeps the node of a text is what Yjs lets keep it, where two undo managers watch.
 * Method: the second one lets go of what it would have made again when it sees the deletion that the first one keeps; then
 * the node goes, which shows what was kept. */
TEST(an_undo_manager_that_lets_go_sees_a_transaction_like_any_other) {
  corner both[2];
  for (int i = 0; i < 2; i++) {
    corner *self = &both[i];
    lk_undo_options options = LK_UNDO_OPTIONS_INIT;
    lk_undo *undos[2];
    open_corner(self, 7, true);
    options.capture_ms = 0;
    for (int n = 0; n < 2; n++)
      CHECK_OK(lk_undo_open(self->doc, &self->text, 1, &options, &undos[n]));
    CHECK_OK(lk_doc_text_insert(self->doc, self->text, 0, LK_LIT("xyz"), NULL));
    CHECK_OK(lk_undo_undo(undos[1], NULL));
    begin_corner(self, i);
    CHECK_OK(lk_doc_text_delete(self->doc, self->text, 0, 1));
    end_corner(self, i);
    CHECK_OK(lk_doc_begin(self->doc, 8));
    CHECK_OK(lk_doc_map_delete(self->doc, self->map, LK_LIT("in")));
    lk_doc_commit(self->doc);
    CHECK_OK(lk_doc_encode(self->doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &self->heard));
    for (int n = 0; n < 2; n++) lk_undo_close(undos[n]);
  }
  CHECK_SLICE(lk_buf_slice(&both[0].heard), lk_buf_slice(&both[1].heard));
  for (int i = 0; i < 2; i++) close_corner(&both[i]);
}

static void hear_bytes(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  corner *self = ctx;
  (void)doc, (void)origin, (void)local;
  lk_buf_truncate(&self->heard, 0);
  lk_buf_append(&self->heard, update);
}

/* Goal: an item within which text comes is deleted in two pieces, and both are noted.
 * Method: a peer whose items, of which there are more and more, are deleted by the update that types within the first. */
TEST(text_comes_within_what_its_update_deletes) {
  corner peer, self;
  for (uint32_t items = 1; items <= 20; items++) {
    open_corner(&peer, 9, false);
    open_corner(&self, 7, false);
    CHECK_OK(lk_doc_on_update(peer.doc, LK_UPDATE_V1, hear_bytes, &peer, NULL));
    CHECK_OK(lk_doc_root(peer.doc, LK_LIT("v"), LK_NODE_TEXT, &peer.text));
    CHECK_OK(lk_doc_root(self.doc, LK_LIT("v"), LK_NODE_TEXT, &self.text));
    CHECK_OK(lk_doc_encode(peer.doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &peer.heard));
    CHECK_OK(lk_doc_apply(self.doc, LK_UPDATE_V1, lk_buf_slice(&peer.heard), 3));
    CHECK_OK(lk_doc_observe(self.doc, self.text, hear_delta, &self, NULL));
    for (uint32_t i = 0; i < items; i++) {
      CHECK_OK(lk_doc_text_insert(peer.doc, peer.text, 0, LK_LIT("abcd"), NULL));
      CHECK_OK(lk_doc_apply(self.doc, LK_UPDATE_V1, lk_buf_slice(&peer.heard), 3));
    }
    CHECK_OK(lk_doc_begin(peer.doc, 0));
    CHECK_OK(lk_doc_text_insert(peer.doc, peer.text, 2, LK_LIT("X"), NULL));
    CHECK_OK(lk_doc_text_delete(peer.doc, peer.text, 3, 4 * items - 2));
    CHECK_OK(lk_doc_text_delete(peer.doc, peer.text, 0, 2));
    lk_doc_commit(peer.doc);
    CHECK_OK(lk_doc_apply(self.doc, LK_UPDATE_V1, lk_buf_slice(&peer.heard), 3));
    lk_buf_truncate(&self.heard, 0);
    CHECK_OK(lk_doc_text_string(self.doc, self.text, &self.heard));
    CHECK_SLICE(lk_buf_slice(&self.heard), LK_LIT("X"));
    close_corner(&peer);
    close_corner(&self);
  }
}

/* ---- a struct that is collected ---- */

static void set_key(corner *self, uint64_t origin, double number) {
  CHECK_OK(lk_doc_begin(self->doc, origin));
  CHECK_OK(lk_doc_map_set(self->doc, self->map, LK_LIT("k"),
                          &(lk_value){ .kind = LK_VALUE_NUMBER, .number = number }));
  lk_doc_commit(self->doc);
}

static void set_twice(void *ctx, lk_doc *doc, const lk_event *event) {
  corner *self = ctx;
  (void)doc, (void)event;
  if (self->heard.len > 0) return;
  lk_buf_append(&self->heard, LK_LIT("done"));
  set_key(self, 9, 1);
  set_key(self, 0, 2);
}

/* Goal: what became one struct before it is collected is collected as one.
 * Method: an observer replaces a value, and again; the clean-up of the first change makes the two that went one struct, of
 * which the second change deleted a part and the third, which an undo manager watches, the other. */
TEST(a_struct_is_collected_as_a_whole) {
  corner self;
  lk_undo_options options = LK_UNDO_OPTIONS_INIT;
  lk_undo *undo;
  open_corner(&self, 7, false);
  CHECK_OK(lk_undo_open(self.doc, &self.map, 1, &options, &undo));
  set_key(&self, 9, 5);
  CHECK_OK(lk_doc_observe(self.doc, self.map, set_twice, &self, NULL));
  set_key(&self, 9, 0);
  CHECK_DOC(self.doc);
  lk_undo_close(undo);
  close_corner(&self);
}
