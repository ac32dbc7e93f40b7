/* unit/crdt/history_test.c -- histories of a few replicas, held against the model step by step.
 *
 * An operation is drawn as a |deed|: what the product is asked to do, and the event that the model
 * gets to know of. Sequences are the hard part, because the model does not know where concurrent inserts
 * go. So every value in a list, and every character of a text, is different and spells the number of the
 * event that wrote it: from what is shown, the elements and the writes that count can be read off. Then
 *
 *   - the elements are those of the model, each once, and each shows a write that none of the others beats;
 *   - right after an operation the elements stand where it was asked to put them;
 *   - two places keep their order wherever and whenever they are seen. */
#include "unit/crdt/history.h"

#include "harness/test.h"

static const char *const verbs[] = {
  "increment", "decrement", "transfer", "add",    "remove", "clear",
  "enable",    "disable",   "set",      "insert", "move",   "delete",
};

typedef struct deed {
  model_path at;
  lk_crdt_kind kind;
  model_verb verb;
  uint64_t amount;
  uint8_t to;      /* actor */
  uint8_t element; /* of a set, or the value of a register */
  uint8_t key;     /* of a map */
  uint32_t index;
  uint32_t index_to;
  uint32_t count; /* of characters */
  uint64_t now_ms;
  lk_buf json; /* the element as it is spelled, or the text */
} deed;

static void buf(lk_buf *out) { lk_buf_init(out, test_alloc(), 1 << 20); }

static void append(lk_buf *out, const char *text) { lk_buf_append(out, lk_slice_cstr(text)); }

/* ---- objects and bytes ---- */

lk_crdt *history_open(const history *self) {
  lk_crdt *state;
  CHECK_OK(lk_crdt_open(&self->env, self->root, &state));
  return state;
}

lk_crdt *history_load(const history *self, lk_slice bytes) {
  lk_crdt *state = history_open(self);
  CHECK_OK(lk_crdt_merge(state, bytes, NULL));
  return state;
}

lk_slice history_encode(const lk_crdt *state, lk_buf *out) {
  buf(out);
  CHECK_OK(lk_crdt_encode(state, out));
  return lk_buf_slice(out);
}

static void append_path(const model_path *at, lk_buf *out) {
  buf(out);
  for (uint32_t i = 0; i < at->depth; i++) {
    CHECK_OK(lk_crdt_path_append(out, (lk_crdt_kind)at->step[i].kind, model_keys[at->step[i].key]));
  }
}

static lk_slice value_at(const lk_crdt *state, const model_path *at, lk_buf *out) {
  lk_buf path;
  buf(out);
  append_path(at, &path);
  CHECK_OK(lk_crdt_value(state, lk_buf_slice(&path), out));
  lk_buf_deinit(&path);
  return lk_buf_slice(out);
}

typedef enum merge_way { MERGE_BYTES, MERGE_OBJECT, MERGE_JSON } merge_way;

static void merge_json(lk_crdt *state, const lk_crdt *other, bool *changed) {
  lk_buf json;
  buf(&json);
  CHECK_OK(lk_crdt_encode_json(other, &json));
  CHECK_OK(lk_crdt_merge_json(state, lk_buf_slice(&json), changed));
  lk_buf_deinit(&json);
}

static void merge_by(const history *h, lk_crdt *state, lk_slice bytes, merge_way way) {
  lk_buf before, after;
  bool changed;
  history_encode(state, &before);
  if (way == MERGE_BYTES) {
    CHECK_OK(lk_crdt_merge(state, bytes, &changed));
  } else {
    lk_crdt *other = history_load(h, bytes);
    if (way == MERGE_JSON) merge_json(state, other, &changed);
    else CHECK_OK(lk_crdt_merge_from(state, other, &changed));
    lk_crdt_close(other);
  }
  history_encode(state, &after);
  CHECK(changed == !lk_slice_equal(lk_buf_slice(&before), lk_buf_slice(&after)));
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
}

void history_merge(lk_crdt *state, lk_slice bytes) { merge_by(NULL, state, bytes, MERGE_BYTES); }

/* ---- sequences: each write spells its number ---- */

static void append_item(lk_buf *out, lk_crdt_kind kind, uint32_t write) {
  static const char *const open[] = { "", "\"", "[", "{\"n\":" };
  static const char *const shut[] = { "", "\"", "]", "}" };
  if (kind == LK_CRDT_LIST) {
    append(out, open[write % 4]);
    lk_buf_append_decimal(out, write);
    append(out, shut[write % 4]);
  } else if (write % 2 == 0) { /* U+4E00 and on */
    uint8_t c[] = { 0xe4, (uint8_t)(0xb8 + write / 64), (uint8_t)(0x80 + write % 64) };
    lk_buf_append(out, lk_slice_of(c, sizeof c));
  } else { /* U+1F300 and on: two units of UTF-16 */
    uint8_t c[] = { 0xf0, 0x9f, (uint8_t)(0x8c + write / 64), (uint8_t)(0x80 + write % 64) };
    lk_buf_append(out, lk_slice_of(c, sizeof c));
  }
}

/* Takes the next write off |rest|, whatever stands around it. */
static bool next_write(lk_slice *rest, lk_crdt_kind kind, uint32_t *out) {
  bool digits = kind == LK_CRDT_LIST;
  *out = 0;
  for (; rest->len > 0; *rest = lk_slice_skip(*rest, 1)) {
    uint8_t c = rest->ptr[0];
    if (digits ? c >= '0' && c <= '9' : c >= 0x80) break;
  }
  if (rest->len == 0) return false;
  if (!digits) {
    size_t len = rest->ptr[0] == 0xe4 ? 3 : 4;
    CHECK(rest->len >= len);
    *out = (uint32_t)(rest->ptr[len - 2] - (len == 3 ? 0xb8 : 0x8c)) * 64 +
           (uint32_t)(rest->ptr[len - 1] - 0x80);
    *rest = lk_slice_skip(*rest, len);
  }
  while (digits && rest->len > 0 && rest->ptr[0] >= '0' && rest->ptr[0] <= '9') {
    *out = *out * 10 + (uint32_t)(rest->ptr[0] - '0');
    *rest = lk_slice_skip(*rest, 1);
  }
  return true;
}

typedef struct sequence {
  uint32_t count;
  uint32_t write[MODEL_EVENTS_MAX];
  uint32_t item[MODEL_EVENTS_MAX];
} sequence;

/* What |text| shows; spelling it again must give the same text. */
static void read_sequence(const history *h, const model_path *at, lk_crdt_kind kind, lk_slice text,
                          sequence *out) {
  lk_buf again;
  lk_slice rest = text;
  uint32_t write;
  bool quoted = kind == LK_CRDT_TEXT;
  out->count = 0;
  buf(&again);
  append(&again, quoted ? "\"" : "[");
  while (next_write(&rest, kind, &write)) {
    CHECK(out->count < MODEL_EVENTS_MAX && write < h->model.count);
    CHECK(model_is_about(&h->model.event[write], at, kind));
    if (out->count > 0 && !quoted) append(&again, ",");
    append_item(&again, kind, write);
    out->item[out->count] = h->model.event[write].item;
    out->write[out->count++] = write;
  }
  append(&again, quoted ? "\"" : "]");
  CHECK_SLICE(text, lk_buf_slice(&again));
  lk_buf_deinit(&again);
}

/* The one event of |s|, or MODEL_EVENTS_MAX where there are more. */
static uint32_t only_one(model_set s) {
  uint32_t found = MODEL_EVENTS_MAX;
  for (uint32_t i = 0; i < MODEL_EVENTS_MAX; i++) {
    if (!model_has(s, i)) continue;
    if (found != MODEL_EVENTS_MAX) return MODEL_EVENTS_MAX;
    found = i;
  }
  return found;
}

/* Places are in one order, for all replicas and for ever. */
static void check_order(history *h, model_set live, const sequence *shown) {
  uint32_t place[MODEL_EVENTS_MAX];
  for (uint32_t i = 0; i < shown->count; i++) {
    place[i] = only_one(model_sequence_places(&h->model, live, shown->item[i]));
    for (uint32_t k = 0; k < i && place[i] != MODEL_EVENTS_MAX; k++) {
      if (place[k] == MODEL_EVENTS_MAX) continue;
      if (h->order[place[k]][place[i]] == 2) {
        test_fail(LK_FILE, __LINE__, "places %u and %u were seen the other way round", place[k],
                  place[i]);
      }
      h->order[place[k]][place[i]] = 1;
      h->order[place[i]][place[k]] = 2;
    }
  }
}

static bool check_sequence(history *h, model_set live, const model_path *at, lk_crdt_kind kind,
                           lk_slice text) {
  sequence shown;
  model_set missing = model_sequence_items(&h->model, live, at, kind);
  bool any = !model_is_empty(missing);
  read_sequence(h, at, kind, text, &shown);
  for (uint32_t i = 0; i < shown.count; i++) {
    model_set one = { 0 };
    model_put(&one, shown.item[i]);
    if (!model_is_subset(one, missing)) {
      test_fail(LK_FILE, __LINE__, "element %u is shown twice, or should not be there",
                shown.item[i]);
    }
    missing = model_without(missing, one);
    if (!model_has(model_sequence_values(&h->model, live, shown.item[i]), shown.write[i])) {
      test_fail(LK_FILE, __LINE__, "element %u shows write %u, which was replaced", shown.item[i],
                shown.write[i]);
    }
  }
  if (!model_is_empty(missing)) test_fail(LK_FILE, __LINE__, "an element is not shown");
  check_order(h, live, &shown);
  return any;
}

/* ---- bounded counters ---- */

static bool was_hit_by_a_removal(const history *h, model_set knows, const model_path *at) {
  model_set dead = model_dead(&h->model, knows);
  for (uint32_t i = 0; i < h->model.count; i++) {
    if (model_has(dead, i) && model_is_about(&h->model.event[i], at, LK_CRDT_BCOUNTER)) return true;
  }
  return false;
}

static bool is_settled(const history *h, model_set knows, const model_path *at) {
  return model_is_closed(&h->model, knows) && !was_hit_by_a_removal(h, knows, at);
}

/* Whatever is known: the rights are above zero and sum up to the value. */
static void check_rights_sum(lk_slice text) {
  uint64_t sum = 0, last = 0;
  for (size_t i = 0; i < text.len;) {
    bool number = text.ptr[i] >= '0' && text.ptr[i] <= '9' && i > 0 && text.ptr[i - 1] == ':';
    CHECK(text.ptr[i] != '-');
    if (!number) {
      i++;
      continue;
    }
    for (sum += last, last = 0; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++) {
      last = last * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    if (text.ptr[i] != '}' || i + 1 < text.len) CHECK(last > 0);
  }
  CHECK_U64(last, sum);
}

static bool check_rights(history *h, model_set knows, const model_path *at, lk_slice text) {
  check_rights_sum(text);
  if (is_settled(h, knows, at)) {
    lk_buf want;
    buf(&want);
    model_rights_value(&h->model, knows, at, &want);
    CHECK_SLICE(text, lk_buf_slice(&want));
    lk_buf_deinit(&want);
  }
  return !lk_slice_equal(text, model_nothing(LK_CRDT_BCOUNTER));
}

/* ---- a state against the model ---- */

typedef struct looker {
  history *h;
  const lk_crdt *state;
  model_set knows;
  model_set live;
} looker;

static bool look(void *ctx, const model_path *at, lk_crdt_kind kind, lk_buf *out) {
  looker *self = ctx;
  lk_buf text;
  bool any;
  value_at(self->state, at, &text);
  if (kind == LK_CRDT_BCOUNTER) any = check_rights(self->h, self->knows, at, lk_buf_slice(&text));
  else any = check_sequence(self->h, self->live, at, kind, lk_buf_slice(&text));
  if (any) lk_buf_append(out, lk_buf_slice(&text));
  lk_buf_deinit(&text);
  return any;
}

static void check_object(looker *l, const model_path *at, lk_crdt_kind kind) {
  model_view view = { &l->h->model, l->live, look, l };
  lk_buf want, got;
  buf(&want);
  if (!model_value(&view, at, kind, &want)) lk_buf_append(&want, model_nothing(kind));
  CHECK_SLICE(value_at(l->state, at, &got), lk_buf_slice(&want));
  lk_buf_deinit(&want);
  lk_buf_deinit(&got);
}

/* Also those that another type hides under the same key. */
void history_check(history *self, const lk_crdt *state, model_set knows) {
  model_path top = { 0 };
  looker l = { self, state, knows, model_live(&self->model, knows) };
  check_object(&l, &top, self->root);
  if (self->root != LK_CRDT_ORMAP || !gen_chance(self->g, 1, 3)) return;
  for (uint32_t i = 0; i < self->model.count; i++) {
    const model_event *e = &self->model.event[i];
    bool first = true;
    for (uint32_t k = 0; k < i && first; k++) {
      first = !model_is_about(&self->model.event[k], &e->at, e->kind);
    }
    if (first) check_object(&l, &e->at, e->kind);
  }
}

bool history_is_exact(const history *self) {
  if (self->root != LK_CRDT_ORMAP) return self->root != LK_CRDT_BCOUNTER;
  for (size_t i = 0; i < 3; i++) {
    if (self->kinds[i] == LK_CRDT_BCOUNTER) return false;
  }
  return true;
}

static void check_equal(const lk_crdt *a, const lk_crdt *b) {
  uint8_t a_digest[LK_CRDT_DIGEST_LEN], b_digest[LK_CRDT_DIGEST_LEN];
  lk_buf a_bytes, b_bytes;
  CHECK_SLICE(history_encode(a, &a_bytes), history_encode(b, &b_bytes));
  CHECK_OK(lk_crdt_digest(a, a_digest));
  lk_crdt_digest_bytes(lk_buf_slice(&b_bytes), b_digest);
  CHECK_SLICE(lk_slice_of(a_digest, sizeof a_digest), lk_slice_of(b_digest, sizeof b_digest));
  lk_buf_truncate(&a_bytes, 0);
  lk_buf_truncate(&b_bytes, 0);
  CHECK_OK(lk_crdt_version(a, &a_bytes));
  CHECK_OK(lk_crdt_version(b, &b_bytes));
  CHECK_SLICE(lk_buf_slice(&a_bytes), lk_buf_slice(&b_bytes));
  CHECK_OK(lk_crdt_digest(b, b_digest));
  CHECK_SLICE(lk_slice_of(a_digest, sizeof a_digest), lk_slice_of(b_digest, sizeof b_digest));
  lk_buf_deinit(&a_bytes);
  lk_buf_deinit(&b_bytes);
}

void history_check_pair(const history *self, const lk_crdt *a, model_set a_knows, const lk_crdt *b,
                        model_set b_knows) {
  lk_crdt_order order = lk_crdt_compare(a, b);
  bool below = model_is_subset(a_knows, b_knows), above = model_is_subset(b_knows, a_knows);
  if (history_is_exact(self)) CHECK_U64(order, model_compare(&self->model, a_knows, b_knows));
  if (below) CHECK(order == LK_CRDT_EQUAL || order == LK_CRDT_BEFORE);
  if (above) CHECK(order == LK_CRDT_EQUAL || order == LK_CRDT_AFTER);
  if (order == LK_CRDT_EQUAL) check_equal(a, b);
}

/* ---- doing it ---- */

static lk_slice spelled(const deed *d) { return lk_buf_slice(&d->json); }

static lk_err call_set(lk_crdt *s, const lk_crdt_op *op, const deed *d) {
  bool add = d->verb == MODEL_ADD;
  switch (d->kind) {
  case LK_CRDT_GSET: return lk_gset_add(s, op, spelled(d));
  case LK_CRDT_ORSET:
    if (d->verb == MODEL_CLEAR) return lk_orset_clear(s, op);
    return add ? lk_orset_add(s, op, spelled(d)) : lk_orset_remove(s, op, spelled(d));
  case LK_CRDT_RWSET:
    return add ? lk_rwset_add(s, op, spelled(d)) : lk_rwset_remove(s, op, spelled(d));
  default: LK_UNREACHABLE();
  }
}

static lk_err call_counter(lk_crdt *s, const lk_crdt_op *op, const deed *d) {
  bool add = d->verb == MODEL_INCREMENT;
  if (d->kind == LK_CRDT_GCOUNTER) return lk_gcounter_add(s, op, d->amount);
  if (d->kind == LK_CRDT_PNCOUNTER) {
    return add ? lk_pncounter_add(s, op, d->amount) : lk_pncounter_subtract(s, op, d->amount);
  }
  if (d->verb == MODEL_TRANSFER) return lk_bcounter_transfer(s, op, model_actors[d->to], d->amount);
  return add ? lk_bcounter_add(s, op, d->amount) : lk_bcounter_subtract(s, op, d->amount);
}

static lk_err call_sequence(lk_crdt *s, const lk_crdt_op *op, const deed *d) {
  if (d->kind == LK_CRDT_TEXT) {
    if (d->verb == MODEL_INSERT) return lk_text_insert(s, op, d->index, spelled(d));
    return lk_text_delete(s, op, d->index, d->count);
  }
  switch (d->verb) {
  case MODEL_INSERT: return lk_list_insert(s, op, d->index, spelled(d));
  case MODEL_SET: return lk_list_set(s, op, d->index, spelled(d));
  case MODEL_MOVE: return lk_list_move(s, op, d->index, d->index_to);
  default: return lk_list_delete(s, op, d->index);
  }
}

static lk_err call_typed(lk_crdt *s, const lk_crdt_op *op, const deed *d) {
  switch (d->kind) {
  case LK_CRDT_GCOUNTER:
  case LK_CRDT_PNCOUNTER:
  case LK_CRDT_BCOUNTER: return call_counter(s, op, d);
  case LK_CRDT_GSET:
  case LK_CRDT_ORSET:
  case LK_CRDT_RWSET: return call_set(s, op, d);
  case LK_CRDT_EWFLAG: return lk_ewflag_set(s, op, d->verb == MODEL_ENABLE);
  case LK_CRDT_DWFLAG: return lk_dwflag_set(s, op, d->verb == MODEL_ENABLE);
  case LK_CRDT_LWW: return lk_lww_set(s, op, spelled(d));
  case LK_CRDT_MVREG: return lk_mvreg_set(s, op, spelled(d));
  case LK_CRDT_ORMAP: return lk_ormap_remove(s, op, model_keys[d->key]);
  case LK_CRDT_LIST:
  case LK_CRDT_TEXT: return call_sequence(s, op, d);
  }
  LK_UNREACHABLE();
}

static void append_arguments(lk_buf *out, const deed *d) {
  bool indexed = d->kind == LK_CRDT_LIST || d->kind == LK_CRDT_TEXT;
  if (d->kind == LK_CRDT_ORMAP) lk_buf_append(out, model_keys_json[d->key]);
  if (d->verb == MODEL_TRANSFER) {
    append(out, "\"");
    lk_buf_append(out, model_actors[d->to]);
    append(out, "\",");
  }
  if (d->verb <= MODEL_TRANSFER) lk_buf_append_decimal(out, d->amount);
  if (indexed) lk_buf_append_decimal(out, d->index);
  if (d->verb == MODEL_MOVE || (d->kind == LK_CRDT_TEXT && d->verb == MODEL_DELETE)) {
    append(out, ",");
    lk_buf_append_decimal(out, d->verb == MODEL_MOVE ? d->index_to : d->count);
  }
  if (indexed && (d->verb == MODEL_INSERT || d->verb == MODEL_SET)) append(out, " , ");
  if (d->kind == LK_CRDT_TEXT && d->verb == MODEL_INSERT) append(out, "\"");
  lk_buf_append(out, spelled(d));
  if (d->kind == LK_CRDT_TEXT && d->verb == MODEL_INSERT) append(out, "\"");
}

static lk_err call_by_name(lk_crdt *s, const lk_crdt_op *op, const deed *d) {
  lk_buf arguments;
  buf(&arguments);
  append(&arguments, "[");
  append_arguments(&arguments, d);
  append(&arguments, "]");
  lk_err err = lk_crdt_apply(s, op, lk_slice_cstr(verbs[d->verb]), lk_buf_slice(&arguments));
  lk_buf_deinit(&arguments);
  return err;
}

/* ---- drawing what to do ---- */

static uint8_t draw_key(history *h) {
  return (uint8_t)((h->first_key + gen_below(h->g, 2)) % MODEL_KEYS);
}

/* Keys and types are few, so that replicas meet. A removal of a key is a deed of the map above. */
static void draw_object(history *h, deed *d) {
  d->kind = h->root;
  if (h->root != LK_CRDT_ORMAP) return;
  d->at.depth = (uint8_t)gen_range(h->g, 1, h->depth_max);
  for (uint32_t i = 0; i < d->at.depth; i++) {
    d->at.step[i] = (model_step){ LK_CRDT_ORMAP, draw_key(h) };
  }
  if (gen_chance(h->g, 1, 5)) {
    d->at.depth--;
    d->key = d->at.step[d->at.depth].key;
  } else {
    d->kind = h->kinds[gen_below(h->g, 3)];
    d->at.step[d->at.depth - 1].kind = (uint8_t)d->kind;
  }
}

static void draw_element(history *h, deed *d) {
  d->element = (uint8_t)((h->first_key + gen_below(h->g, 3)) % MODEL_ELEMENTS);
  const model_word *word = &model_elements[d->element];
  lk_buf_append(&d->json, gen_chance(h->g, 1, 4) ? word->other : word->canonical);
}

static void draw_counter(history *h, deed *d, uint8_t actor) {
  uint32_t verb = d->kind == LK_CRDT_GCOUNTER    ? 0
                  : d->kind == LK_CRDT_PNCOUNTER ? gen_below(h->g, 2)
                                                 : gen_below(h->g, 4);
  d->verb = verb == 1 ? MODEL_DECREMENT : verb == 2 ? MODEL_TRANSFER : MODEL_INCREMENT;
  d->amount = gen_range(h->g, 1, 6);
  if (gen_chance(h->g, 1, 16)) d->amount = UINT64_C(1) << gen_below(h->g, 40);
  d->to = (uint8_t)gen_below(h->g, MODEL_ACTORS);
  if (d->to == actor) d->to = (uint8_t)((actor + 1) % MODEL_ACTORS); /* to itself is refused */
}

static void draw_sequence(history *h, deed *d, const sequence *shown) {
  uint32_t n = shown->count, id = h->model.count;
  uint32_t choice = n == 0 ? 0 : gen_below(h->g, 8);
  d->verb = choice < 4    ? MODEL_INSERT
            : choice == 4 ? MODEL_DELETE
            : choice < 7  ? MODEL_MOVE
                          : MODEL_SET;
  if (d->kind == LK_CRDT_TEXT && d->verb >= MODEL_MOVE) d->verb = MODEL_DELETE;
  if (d->kind == LK_CRDT_TEXT && d->verb == MODEL_SET) d->verb = MODEL_INSERT;
  d->index = gen_below(h->g, d->verb == MODEL_INSERT ? n + 1 : n);
  d->index_to = n == 0 ? 0 : gen_below(h->g, n);
  if (d->kind == LK_CRDT_TEXT) {
    d->count = d->verb == MODEL_INSERT ? gen_below(h->g, 4)
                                       : gen_below(h->g, lk_min_u32(n - d->index, 3) + 1);
    for (uint32_t i = 0; i < d->count && d->verb == MODEL_INSERT; i++) {
      append_item(&d->json, d->kind, id + i);
    }
  } else if (d->verb == MODEL_INSERT || d->verb == MODEL_SET) {
    append_item(&d->json, d->kind, id);
  }
}

static void draw_deed(history *h, deed *d, uint8_t actor, const sequence *shown) {
  bool yes = gen_bool(h->g);
  switch (d->kind) {
  case LK_CRDT_GCOUNTER:
  case LK_CRDT_PNCOUNTER:
  case LK_CRDT_BCOUNTER: draw_counter(h, d, actor); break;
  case LK_CRDT_GSET:
  case LK_CRDT_ORSET:
  case LK_CRDT_RWSET:
    d->verb = yes || d->kind == LK_CRDT_GSET ? MODEL_ADD : MODEL_REMOVE;
    if (d->kind == LK_CRDT_ORSET && gen_chance(h->g, 1, 12)) d->verb = MODEL_CLEAR;
    else draw_element(h, d);
    break;
  case LK_CRDT_EWFLAG:
  case LK_CRDT_DWFLAG: d->verb = yes ? MODEL_ENABLE : MODEL_DISABLE; break;
  case LK_CRDT_LWW:
  case LK_CRDT_MVREG:
    d->verb = MODEL_SET;
    draw_element(h, d);
    break;
  case LK_CRDT_ORMAP: d->verb = MODEL_REMOVE; break; /* the key is drawn already */
  case LK_CRDT_LIST:
  case LK_CRDT_TEXT: draw_sequence(h, d, shown); break;
  }
}

/* ---- an operation ---- */

static void note_deed(const history *h, uint32_t who, const deed *d) {
  char path[64] = "";
  size_t len = 0;
  for (uint32_t i = 0; i < d->at.depth; i++) {
    path[len++] = (char)('a' + d->at.step[i].kind - 1);
    path[len++] = (char)('0' + d->at.step[i].key);
  }
  path[len] = 0;
  test_note("e%u: r%u %s%s(%.*s n%llu i%u,%u,%u el%u key%u to%u)", h->model.count, who, path,
            verbs[d->verb], (int)d->json.len, d->json.len == 0 ? "" : (const char *)d->json.ptr,
            (unsigned long long)d->amount, d->index, d->index_to, d->count, d->element, d->key,
            d->to);
}

/* Tells the model, and returns the events that the operation was: a text has one for each character. */
static model_set record(history *h, uint32_t who, const deed *d, const sequence *shown) {
  history_replica *r = &h->replica[who];
  model_event draft = { .at = d->at,
                        .kind = d->kind,
                        .verb = d->verb,
                        .actor = r->actor,
                        .to = d->to,
                        .element = d->element,
                        .key = d->key,
                        .amount = d->amount,
                        .now_ms = d->now_ms };
  bool text = d->kind == LK_CRDT_TEXT;
  uint32_t times = text && d->verb == MODEL_INSERT ? d->count : 1;
  model_set did = { 0 };
  if (d->kind == LK_CRDT_LIST && d->verb != MODEL_INSERT) {
    model_put(&draft.items, shown->item[d->index]);
  }
  for (uint32_t i = 0; i < d->count && text && d->verb == MODEL_DELETE; i++) {
    model_put(&draft.items, shown->item[d->index + i]);
  }
  for (uint32_t i = 0; i < times; i++) {
    model_put(&did, model_record(&h->model, &draft, model_union(r->knows, did)));
  }
  r->knows = model_union(r->knows, did);
  return did;
}

/* Where the elements must stand after a deed that found them as |was|. */
static void check_placement(const history *h, const deed *d, const sequence *was,
                            const sequence *is) {
  uint32_t want[2 * MODEL_EVENTS_MAX], count = 0, taken = 0;
  uint32_t times = d->kind == LK_CRDT_TEXT ? d->count : 1;
  bool takes = d->verb == MODEL_DELETE || d->verb == MODEL_MOVE;
  if (d->kind == LK_CRDT_LIST) taken = takes ? 1 : 0;
  else taken = takes ? d->count : 0;
  uint32_t at = d->verb == MODEL_MOVE ? d->index_to : d->index;
  for (uint32_t i = 0; i <= was->count; i++) {
    if (i < was->count && (i < d->index || i >= d->index + taken)) want[count++] = was->item[i];
  }
  uint32_t put = d->verb == MODEL_INSERT ? times : d->verb == MODEL_MOVE ? 1 : 0;
  memmove(want + at + put, want + at, (count - lk_min_u32(at, count)) * sizeof want[0]);
  for (uint32_t i = 0; i < put; i++) {
    want[at + i] = d->verb == MODEL_MOVE ? was->item[d->index] : h->model.count - times + i;
  }
  CHECK_U64(is->count, count + put);
  for (uint32_t i = 0; i < is->count; i++) CHECK_U64(is->item[i], want[i]);
}

static void read_shown(const history *h, const lk_crdt *state, const deed *d, sequence *out) {
  lk_buf text;
  out->count = 0;
  if (d->kind != LK_CRDT_LIST && d->kind != LK_CRDT_TEXT) return;
  read_sequence(h, &d->at, d->kind, value_at(state, &d->at, &text), out);
  lk_buf_deinit(&text);
}

/* A delta is a state of its own, and does elsewhere what the operation did here. */
static void check_delta(history *h, lk_slice before, lk_slice delta, lk_slice after,
                        model_set did) {
  lk_buf bytes;
  lk_crdt *alone = history_load(h, delta), *there = history_load(h, before);
  CHECK_SLICE(history_encode(alone, &bytes), delta);
  lk_buf_deinit(&bytes);
  history_check(h, alone, did);
  history_merge(there, delta);
  CHECK_SLICE(history_encode(there, &bytes), after);
  lk_buf_deinit(&bytes);
  lk_crdt_close(alone);
  lk_crdt_close(there);
}

static void check_tells_nothing(const history *h, lk_slice delta) {
  lk_buf bytes;
  lk_crdt *empty = history_open(h);
  CHECK_SLICE(delta, history_encode(empty, &bytes));
  lk_buf_deinit(&bytes);
  lk_crdt_close(empty);
}

static void keep_message(history *h, lk_slice bytes, model_set tells, uint8_t side) {
  history_message *m = &h->message[h->next_message];
  h->next_message = (h->next_message + 1) % HISTORY_MESSAGES_MAX;
  if (h->message_count < HISTORY_MESSAGES_MAX) h->message_count++;
  else lk_buf_deinit(&m->bytes); /* whoever has not got it never will */
  buf(&m->bytes);
  CHECK_OK(lk_buf_append(&m->bytes, bytes));
  m->tells = tells;
  m->side = side;
}

/* Rights are what the model says where it can say it; and never more than it can think of. */
static void check_spending(const history *h, const history_replica *r, const deed *d, lk_err err) {
  int64_t rights = model_rights(&h->model, r->knows, &d->at, r->actor);
  bool enough = rights >= (int64_t)d->amount;
  bool spends = d->kind == LK_CRDT_BCOUNTER && d->verb != MODEL_INCREMENT;
  if (err == LK_OK) {
    if (spends) CHECK(enough);
    return;
  }
  if (!spends || err != LK_ERR_RIGHTS) CHECK_OK(err);
  if (enough) CHECK(!is_settled(h, r->knows, &d->at));
}

static lk_err call(history *h, history_replica *r, const deed *d, lk_buf *delta) {
  lk_buf path;
  append_path(&d->at, &path);
  lk_crdt_op op = { model_actors[r->actor], lk_buf_slice(&path), d->now_ms, delta };
  lk_err err = gen_chance(h->g, 1, 3) ? call_by_name(r->state, &op, d)
                                      : call_typed(r->state, &op, d);
  lk_buf_deinit(&path);
  return err;
}

static void finish_deed(history *h, uint32_t who, const deed *d, const sequence *shown,
                        lk_slice before, lk_slice delta) {
  history_replica *r = &h->replica[who];
  sequence now;
  lk_buf after;
  model_set knew = r->knows, did = record(h, who, d, shown);
  read_shown(h, r->state, d, &now);
  if (d->kind == LK_CRDT_LIST || d->kind == LK_CRDT_TEXT) check_placement(h, d, shown, &now);
  history_encode(r->state, &after);
  bool nothing = history_is_exact(h) &&
                 model_compare(&h->model, did, (model_set){ 0 }) == LK_CRDT_EQUAL;
  if (nothing) check_tells_nothing(h, delta);
  if (nothing) CHECK(model_compare(&h->model, knew, r->knows) == LK_CRDT_EQUAL);
  if (gen_chance(h->g, 1, 4)) check_delta(h, before, delta, lk_buf_slice(&after), did);
  keep_message(h, delta, did, r->side);
  lk_buf_deinit(&after);
}

static void operate(history *h, uint32_t who) {
  history_replica *r = &h->replica[who];
  sequence shown;
  lk_buf delta, before, after;
  deed d = { .now_ms = h->now_ms + r->clock_ahead_ms };
  if (h->model.count + 4 > MODEL_EVENTS_MAX) return;
  buf(&d.json);
  draw_object(h, &d);
  read_shown(h, r->state, &d, &shown);
  draw_deed(h, &d, r->actor, &shown);
  note_deed(h, who, &d);
  history_encode(r->state, &before);
  buf(&delta);
  append(&delta, "kept");
  lk_err err = call(h, r, &d, &delta);
  check_spending(h, r, &d, err);
  CHECK(lk_slice_starts_with(lk_buf_slice(&delta), LK_LIT("kept")));
  if (err == LK_OK) {
    finish_deed(h, who, &d, &shown, lk_buf_slice(&before), lk_slice_skip(lk_buf_slice(&delta), 4));
  } else {
    CHECK_U64(delta.len, 4);
    CHECK_SLICE(history_encode(r->state, &after), lk_buf_slice(&before));
    lk_buf_deinit(&after);
  }
  lk_buf_deinit(&delta);
  lk_buf_deinit(&before);
  lk_buf_deinit(&d.json);
}

/* ---- what else happens ---- */

static merge_way draw_way(history *h) {
  uint32_t choice = gen_below(h->g, 8);
  return choice < 5 ? MERGE_BYTES : choice < 7 ? MERGE_OBJECT : MERGE_JSON;
}

static void deliver(history *h, uint32_t who) {
  if (h->message_count == 0) return;
  history_replica *r = &h->replica[who];
  uint32_t which = gen_below(h->g, h->message_count);
  const history_message *m = &h->message[which];
  if (m->side != r->side) return;
  merge_way way = draw_way(h);
  test_note("r%u gets m%u (%llx:%llx) way %u", who, which, (unsigned long long)m->tells.bits[1],
            (unsigned long long)m->tells.bits[0], (unsigned)way);
  merge_by(h, r->state, lk_buf_slice(&m->bytes), way);
  r->knows = model_union(r->knows, m->tells);
}

static bool draw_other(history *h, uint32_t who, uint32_t *other) {
  *other = (who + gen_range(h->g, 1, h->replica_count - 1)) % h->replica_count;
  return h->replica[who].side == h->replica[*other].side;
}

static void merge_state(history *h, uint32_t who) {
  uint32_t other;
  lk_buf bytes;
  if (!draw_other(h, who, &other)) return;
  test_note("r%u merges r%u", who, other);
  history_encode(h->replica[other].state, &bytes);
  merge_by(h, h->replica[who].state, lk_buf_slice(&bytes), draw_way(h));
  h->replica[who].knows = model_union(h->replica[who].knows, h->replica[other].knows);
  lk_buf_deinit(&bytes);
}

/* Keeps a whole state, to be merged when it is long out of date. */
static void keep_state(history *h, uint32_t who) {
  lk_buf bytes;
  test_note("m%u is r%u", h->next_message, who);
  keep_message(h, history_encode(h->replica[who].state, &bytes), h->replica[who].knows,
               h->replica[who].side);
  lk_buf_deinit(&bytes);
}

/* Several messages become one, as a server does for one that comes late. */
static void group(history *h) {
  model_set tells = { 0 };
  lk_buf bytes;
  if (h->message_count == 0) return;
  uint8_t side = h->message[gen_below(h->g, h->message_count)].side;
  lk_crdt *sum = history_open(h);
  for (uint32_t i = gen_range(h->g, 2, 5); i > 0; i--) {
    const history_message *m = &h->message[gen_below(h->g, h->message_count)];
    if (m->side != side) continue;
    merge_by(h, sum, lk_buf_slice(&m->bytes), MERGE_BYTES);
    tells = model_union(tells, m->tells);
  }
  history_check(h, sum, tells);
  test_note("m%u groups %llx:%llx", h->next_message, (unsigned long long)tells.bits[1],
            (unsigned long long)tells.bits[0]);
  keep_message(h, history_encode(sum, &bytes), tells, side);
  lk_buf_deinit(&bytes);
  lk_crdt_close(sum);
}

/* One asks, the other one answers with what is lacking. */
static void exchange_diff(history *h, uint32_t who) {
  uint32_t other;
  lk_buf version, delta;
  if (!draw_other(h, who, &other)) return;
  history_replica *r = &h->replica[who], *from = &h->replica[other];
  bool since = gen_bool(h->g);
  test_note("r%u gets r%u's diff%s", who, other, since ? "_since" : "");
  buf(&version);
  buf(&delta);
  if (since) {
    CHECK_OK(lk_crdt_version(r->state, &version));
    CHECK_OK(lk_crdt_diff_since(from->state, lk_buf_slice(&version), &delta));
  } else {
    CHECK_OK(lk_crdt_diff(from->state, r->state, &delta));
  }
  merge_by(h, r->state, lk_buf_slice(&delta), draw_way(h));
  r->knows = model_union(r->knows, from->knows);
  lk_buf_deinit(&version);
  lk_buf_deinit(&delta);
}

/* A replica that kept its memory goes on under its name. One that lost it, or fell back to an older state,
 * takes a new one. */
static void restart(history *h, uint32_t who) {
  history_replica *r = &h->replica[who];
  lk_buf bytes;
  lk_slice kept = history_encode(r->state, &bytes);
  if (h->actors < MODEL_ACTORS && gen_bool(h->g)) {
    r->actor = h->actors++;
    if (gen_bool(h->g) && h->message_count > 0) {
      const history_message *m = &h->message[gen_below(h->g, h->message_count)];
      kept = lk_buf_slice(&m->bytes);
      r->knows = m->tells;
    }
  }
  test_note("r%u restarts as actor %u with %llx:%llx", who, r->actor,
            (unsigned long long)r->knows.bits[1], (unsigned long long)r->knows.bits[0]);
  lk_crdt_close(r->state);
  r->state = history_load(h, kept);
  lk_buf_deinit(&bytes);
}

static void partition(history *h) {
  bool whole = gen_bool(h->g);
  for (uint32_t i = 0; i < h->replica_count; i++) {
    h->replica[i].side = whole ? 0 : (uint8_t)gen_below(h->g, 2);
  }
  for (uint32_t i = 0; i < h->message_count && whole; i++) h->message[i].side = 0;
}

/* ---- the whole ---- */

static void draw_kinds(history *h) {
  for (size_t i = 0; i < 3; i++) {
    uint32_t kind = gen_range(h->g, LK_CRDT_GCOUNTER, MODEL_KINDS - 1);
    if (kind == LK_CRDT_ORMAP) kind = LK_CRDT_ORSET; /* maps are what lies between */
    h->kinds[i] = (lk_crdt_kind)kind;
  }
  h->depth_max = (uint8_t)gen_range(h->g, 1, MODEL_DEPTH_MAX);
}

void history_begin(history *self, lk_gen *g, lk_crdt_kind root) {
  *self = (history){ .g = g, .root = root, .env = LK_ENV_INIT(test_alloc(), NULL) };
  self->first_key = (uint8_t)gen_below(g, MODEL_KEYS);
  if (root == LK_CRDT_ORMAP) draw_kinds(self);
  self->now_ms = gen_chance(g, 1, 8) ? 0 : 1000;
  self->steps_left = gen_below(g, HISTORY_STEPS_MAX + 1);
  self->replica_count = gen_range(g, 2, HISTORY_REPLICAS_MAX);
  self->actors = (uint8_t)self->replica_count;
  for (uint32_t i = 0; i < self->replica_count; i++) {
    history_replica *r = &self->replica[i];
    *r = (history_replica){ .actor = (uint8_t)i, .state = history_open(self) };
    if (gen_chance(g, 1, 3)) r->clock_ahead_ms = gen_below(g, 40);
  }
  test_note("%u replicas of type %u; below maps types %u %u %u", self->replica_count,
            (unsigned)root, (unsigned)self->kinds[0], (unsigned)self->kinds[1],
            (unsigned)self->kinds[2]);
}

bool history_step(history *self) {
  if (self->steps_left == 0) return false;
  self->steps_left--;
  uint32_t who = gen_below(self->g, self->replica_count);
  uint32_t choice = gen_below(self->g, 32);
  self->now_ms += gen_below(self->g, 3);
  if (choice < 14) operate(self, who);
  else if (choice < 23) deliver(self, who);
  else if (choice < 25) merge_state(self, who);
  else if (choice < 27) exchange_diff(self, who);
  else if (choice == 27) keep_state(self, who);
  else if (choice < 30) group(self);
  else if (choice == 30) restart(self, who);
  else partition(self);
  if (gen_chance(self->g, 2, 3)) {
    history_check(self, self->replica[who].state, self->replica[who].knows);
  }
  return true;
}

void history_exchange(history *self) {
  lk_buf bytes;
  model_set all = { 0 };
  lk_crdt *sum = history_open(self);
  test_note("everything is exchanged");
  for (uint32_t i = 0; i < self->replica_count; i++) {
    CHECK_OK(lk_crdt_merge_from(sum, self->replica[i].state, NULL));
    all = model_union(all, self->replica[i].knows);
  }
  history_encode(sum, &bytes);
  for (uint32_t i = 0; i < self->replica_count; i++) {
    history_replica *r = &self->replica[i];
    merge_by(self, r->state, lk_buf_slice(&bytes), draw_way(self));
    r->knows = all;
    history_check(self, r->state, all);
    history_check_pair(self, sum, all, r->state, all);
  }
  lk_buf_deinit(&bytes);
  lk_crdt_close(sum);
}

void history_end(history *self) {
  for (uint32_t i = 0; i < self->replica_count; i++) lk_crdt_close(self->replica[i].state);
  for (uint32_t i = 0; i < self->message_count; i++) lk_buf_deinit(&self->message[i].bytes);
}

/* ---- the properties ---- */

static void run(lk_gen *g, lk_crdt_kind root) {
  history h;
  history_begin(&h, g, root);
  while (history_step(&h)) {}
  for (uint32_t i = 1; i < h.replica_count; i++) {
    const history_replica *a = &h.replica[i - 1], *b = &h.replica[i];
    history_check_pair(&h, a->state, a->knows, b->state, b->knows);
  }
  history_exchange(&h);
  history_end(&h);
}

PROPERTY_SLOW(gcounters_are_what_the_model_says, 4) { run(g, LK_CRDT_GCOUNTER); }
PROPERTY_SLOW(pncounters_are_what_the_model_says, 4) { run(g, LK_CRDT_PNCOUNTER); }
PROPERTY_SLOW(bcounters_are_what_the_model_says, 4) { run(g, LK_CRDT_BCOUNTER); }
PROPERTY_SLOW(gsets_are_what_the_model_says, 4) { run(g, LK_CRDT_GSET); }
PROPERTY_SLOW(orsets_are_what_the_model_says, 4) { run(g, LK_CRDT_ORSET); }
PROPERTY_SLOW(rwsets_are_what_the_model_says, 4) { run(g, LK_CRDT_RWSET); }
PROPERTY_SLOW(ewflags_are_what_the_model_says, 4) { run(g, LK_CRDT_EWFLAG); }
PROPERTY_SLOW(dwflags_are_what_the_model_says, 4) { run(g, LK_CRDT_DWFLAG); }
PROPERTY_SLOW(lww_registers_are_what_the_model_says, 4) { run(g, LK_CRDT_LWW); }
PROPERTY_SLOW(mv_registers_are_what_the_model_says, 4) { run(g, LK_CRDT_MVREG); }
PROPERTY_SLOW(lists_are_what_the_model_says, 4) { run(g, LK_CRDT_LIST); }
PROPERTY_SLOW(texts_are_what_the_model_says, 4) { run(g, LK_CRDT_TEXT); }
PROPERTY_SLOW(maps_of_everything_are_what_the_model_says, 2) { run(g, LK_CRDT_ORMAP); }
