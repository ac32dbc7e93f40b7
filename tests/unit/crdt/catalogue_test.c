/* unit/crdt/catalogue_test.c -- laws that every type of the catalogue keeps, whatever it means.
 *
 * What the types mean is in model.h and is asked in history_test.c. Here a history only makes states that
 * may come about; then the laws of merging, of diffs and of encodings are asked of those. After that come
 * operations that must be refused, and memory that runs out, for each type from one table. */
#include "unit/crdt/history.h"

#include "harness/test.h"

static void buf(lk_buf *out) { lk_buf_init(out, test_alloc(), 1 << 20); }

/* ---- states that may come about ---- */

typedef struct sample {
  lk_crdt *state;
  lk_buf bytes;
  model_set knows;
} sample;

static lk_slice bytes_of(const sample *s) { return lk_buf_slice(&s->bytes); }

/* A replica's state or, sometimes, a message: a delta is a state that is not closed. */
static void sample_init(sample *s, history *h) {
  buf(&s->bytes);
  if (h->message_count > 0 && gen_chance(h->g, 1, 3)) {
    const history_message *m = &h->message[gen_below(h->g, h->message_count)];
    CHECK_OK(lk_buf_append(&s->bytes, lk_buf_slice(&m->bytes)));
    s->knows = m->tells;
  } else {
    const history_replica *r = &h->replica[gen_below(h->g, h->replica_count)];
    CHECK_OK(lk_crdt_encode(r->state, &s->bytes));
    s->knows = r->knows;
  }
  s->state = history_load(h, bytes_of(s));
}

static void sample_of(sample *s, lk_crdt *state, model_set knows) {
  *s = (sample){ .state = state, .knows = knows };
  history_encode(state, &s->bytes);
}

static void sample_deinit(sample *s) {
  lk_crdt_close(s->state);
  lk_buf_deinit(&s->bytes);
}

static void merged(const history *h, const sample *a, const sample *b, sample *out) {
  lk_crdt *state = history_load(h, bytes_of(a));
  history_merge(state, bytes_of(b));
  sample_of(out, state, model_union(a->knows, b->knows));
}

static void check_same(const sample *a, const sample *b) {
  CHECK_SLICE(bytes_of(a), bytes_of(b));
  CHECK(lk_crdt_compare(a->state, b->state) == LK_CRDT_EQUAL);
}

static void check_bytes(const lk_crdt *state, lk_slice want) {
  lk_buf bytes;
  CHECK_SLICE(history_encode(state, &bytes), want);
  lk_buf_deinit(&bytes);
}

/* ---- laws ---- */

static void check_merge_laws(history *h, const sample *a, const sample *b, const sample *c) {
  sample ab, ba, bc, ab_c, a_bc, aa;
  merged(h, a, b, &ab);
  merged(h, b, a, &ba);
  merged(h, b, c, &bc);
  merged(h, &ab, c, &ab_c);
  merged(h, a, &bc, &a_bc);
  merged(h, a, a, &aa);
  check_same(&ab, &ba);
  check_same(&ab_c, &a_bc);
  check_same(&aa, a);
  history_check(h, ab_c.state, ab_c.knows);
  sample *all[] = { &ab, &ba, &bc, &ab_c, &a_bc, &aa };
  for (size_t i = 0; i < 6; i++) sample_deinit(all[i]);
}

static void check_encodings(const history *h, const sample *a) {
  lk_crdt *decoded = history_load(h, bytes_of(a)), *from_json = history_open(h);
  lk_buf json, again;
  buf(&json);
  buf(&again);
  check_bytes(decoded, bytes_of(a));
  CHECK_OK(lk_crdt_encode_json(a->state, &json));
  CHECK_OK(lk_crdt_merge_json(from_json, lk_buf_slice(&json), NULL));
  check_bytes(from_json, bytes_of(a));
  CHECK_OK(lk_crdt_encode_json(from_json, &again));
  CHECK_SLICE(lk_buf_slice(&again), lk_buf_slice(&json));
  lk_buf_deinit(&json);
  lk_buf_deinit(&again);
  lk_crdt_close(decoded);
  lk_crdt_close(from_json);
}

/* All or nothing: what is cut short or has a tail is no state. */
static void check_damaged(const history *h, const sample *a, const sample *b) {
  lk_crdt *state = history_load(h, bytes_of(a));
  lk_buf longer;
  buf(&longer);
  CHECK_OK(lk_buf_append(&longer, bytes_of(b)));
  CHECK_OK(lk_buf_append_u8(&longer, 0));
  bool changed = true;
  uint32_t len = gen_below(h->g, (uint32_t)b->bytes.len);
  CHECK(lk_crdt_merge(state, lk_buf_slice(&longer), &changed) != LK_OK);
  CHECK(lk_crdt_merge(state, lk_slice_first(bytes_of(b), len), &changed) != LK_OK);
  check_bytes(state, bytes_of(a));
  lk_buf_deinit(&longer);
  lk_crdt_close(state);
}

static uint32_t entries_of(const history *h, lk_slice bytes) {
  lk_crdt *state = history_load(h, bytes);
  uint32_t entries = lk_crdt_get_size(state).entries;
  lk_crdt_close(state);
  return entries;
}

/* What |a| has and |b| lacks takes |b| to where merging takes it; the least of that is its own diff. */
static void check_diffs(const history *h, const sample *a, const sample *b) {
  sample both, diff;
  lk_buf version, since, again;
  merged(h, a, b, &both);
  buf(&diff.bytes);
  buf(&version);
  buf(&since);
  buf(&again);
  CHECK_OK(lk_crdt_diff(a->state, b->state, &diff.bytes));
  CHECK_OK(lk_crdt_version(b->state, &version));
  CHECK_OK(lk_crdt_diff_since(a->state, lk_buf_slice(&version), &since));
  lk_crdt *by_diff = history_load(h, bytes_of(b)), *by_since = history_load(h, bytes_of(b));
  history_merge(by_diff, bytes_of(&diff));
  history_merge(by_since, lk_buf_slice(&since));
  check_bytes(by_diff, bytes_of(&both));
  check_bytes(by_since, bytes_of(&both));
  diff.state = history_load(h, bytes_of(&diff));
  CHECK_OK(lk_crdt_diff(diff.state, b->state, &again));
  CHECK_SLICE(lk_buf_slice(&again), bytes_of(&diff));
  lk_crdt_order order = lk_crdt_compare(diff.state, a->state);
  CHECK(order == LK_CRDT_EQUAL || order == LK_CRDT_BEFORE);
  CHECK(lk_crdt_get_size(diff.state).entries <= entries_of(h, lk_buf_slice(&since)));
  lk_buf_deinit(&version);
  lk_buf_deinit(&since);
  lk_buf_deinit(&again);
  lk_crdt_close(by_diff);
  lk_crdt_close(by_since);
  sample_deinit(&diff);
  sample_deinit(&both);
}

/* Who knows it all has nothing to be told. */
static void check_diff_of_known(const history *h, const sample *a, const sample *b) {
  sample both, empty;
  lk_buf diff;
  merged(h, a, b, &both);
  sample_of(&empty, history_open(h), (model_set){ 0 });
  buf(&diff);
  CHECK_OK(lk_crdt_diff(a->state, both.state, &diff));
  CHECK_SLICE(lk_buf_slice(&diff), bytes_of(&empty));
  lk_buf_truncate(&diff, 0);
  CHECK_OK(lk_crdt_diff(a->state, a->state, &diff));
  CHECK_SLICE(lk_buf_slice(&diff), bytes_of(&empty));
  lk_buf_truncate(&diff, 0);
  CHECK_OK(lk_crdt_diff(a->state, empty.state, &diff));
  CHECK_SLICE(lk_buf_slice(&diff), bytes_of(a));
  lk_buf_deinit(&diff);
  sample_deinit(&both);
  sample_deinit(&empty);
}

static void check_laws(lk_gen *g, lk_crdt_kind root) {
  history h;
  sample a, b, c;
  history_begin(&h, g, root);
  while (history_step(&h)) {}
  sample_init(&a, &h);
  sample_init(&b, &h);
  sample_init(&c, &h);
  check_merge_laws(&h, &a, &b, &c);
  check_encodings(&h, &a);
  check_damaged(&h, &a, &b);
  check_diffs(&h, &a, &b);
  check_diff_of_known(&h, &a, &b);
  history_check_pair(&h, a.state, a.knows, b.state, b.knows);
  sample_deinit(&a);
  sample_deinit(&b);
  sample_deinit(&c);
  history_end(&h);
}

PROPERTY_SLOW(gcounters_keep_the_laws, 10) { check_laws(g, LK_CRDT_GCOUNTER); }
PROPERTY_SLOW(pncounters_keep_the_laws, 10) { check_laws(g, LK_CRDT_PNCOUNTER); }
PROPERTY_SLOW(bcounters_keep_the_laws, 10) { check_laws(g, LK_CRDT_BCOUNTER); }
PROPERTY_SLOW(gsets_keep_the_laws, 10) { check_laws(g, LK_CRDT_GSET); }
PROPERTY_SLOW(orsets_keep_the_laws, 10) { check_laws(g, LK_CRDT_ORSET); }
PROPERTY_SLOW(rwsets_keep_the_laws, 10) { check_laws(g, LK_CRDT_RWSET); }
PROPERTY_SLOW(ewflags_keep_the_laws, 10) { check_laws(g, LK_CRDT_EWFLAG); }
PROPERTY_SLOW(dwflags_keep_the_laws, 10) { check_laws(g, LK_CRDT_DWFLAG); }
PROPERTY_SLOW(lww_registers_keep_the_laws, 10) { check_laws(g, LK_CRDT_LWW); }
PROPERTY_SLOW(mv_registers_keep_the_laws, 10) { check_laws(g, LK_CRDT_MVREG); }
PROPERTY_SLOW(lists_keep_the_laws, 10) { check_laws(g, LK_CRDT_LIST); }
PROPERTY_SLOW(texts_keep_the_laws, 10) { check_laws(g, LK_CRDT_TEXT); }
PROPERTY_SLOW(maps_of_everything_keep_the_laws, 4) { check_laws(g, LK_CRDT_ORMAP); }

/* ---- a type's operations, by name ---- */

enum { OPS = 7 };

typedef struct named_op {
  const char *name;
  const char *arguments;
} named_op;

/* For each type a few operations that make, change and take away. Those of a map go below the key "k". */
static const named_op ops_of[MODEL_KINDS][OPS] = {
  [LK_CRDT_GCOUNTER] = { { "increment", "[5]" }, { "increment", "[1]" } },
  [LK_CRDT_PNCOUNTER] = { { "increment", "[5]" }, { "decrement", "[7]" }, { "increment", "[1]" } },
  [LK_CRDT_BCOUNTER] = { { "increment", "[9]" },
                         { "decrement", "[2]" },
                         { "transfer", "[\"c\",3]" },
                         { "increment", "[1]" } },
  [LK_CRDT_GSET] = { { "add", "[1]" }, { "add", "[{\"b\":1, \"a\":2}]" }, { "add", "[1.0]" } },
  [LK_CRDT_ORSET] = { { "add", "[1]" },
                      { "add", "[{\"b\":1, \"a\":2}]" },
                      { "add", "[1]" },
                      { "remove", "[1]" },
                      { "add", "[null]" },
                      { "clear", "[]" },
                      { "add", "[\"x\"]" } },
  [LK_CRDT_RWSET] = { { "add", "[1]" },
                      { "add", "[{\"b\":1, \"a\":2}]" },
                      { "remove", "[1]" },
                      { "add", "[1]" },
                      { "remove", "[\"y\"]" } },
  [LK_CRDT_EWFLAG] = { { "enable", "[]" }, { "disable", "[]" }, { "enable", "[]" } },
  [LK_CRDT_DWFLAG] = { { "enable", "[]" }, { "disable", "[]" }, { "enable", "[]" } },
  [LK_CRDT_LWW] = { { "set", "[1]" }, { "set", "[{\"b\":1, \"a\":2}]" }, { "set", "[\"x\"]" } },
  [LK_CRDT_MVREG] = { { "set", "[1]" }, { "set", "[{\"b\":1, \"a\":2}]" }, { "set", "[\"x\"]" } },
  [LK_CRDT_ORMAP] = { { "remove", "[\"k\"]" }, { "remove", "[\"none\"]" } },
  [LK_CRDT_LIST] = { { "insert", "[0,1]" },
                     { "insert", "[1,{\"b\":1, \"a\":2}]" },
                     { "insert", "[0,3]" },
                     { "move", "[0,2]" },
                     { "set", "[1,\"x\"]" },
                     { "delete", "[0]" },
                     { "insert", "[1,true]" } },
  [LK_CRDT_TEXT] = { { "insert", "[0,\"abc\"]" },
                     { "insert", "[1,\"\xc3\xa9x\"]" },
                     { "delete", "[1,3]" },
                     { "insert", "[2,\"d\"]" } },
};

/* In a map all types have their operations, two levels down, then the map its own. */
static const lk_crdt_kind below_map[] = { LK_CRDT_GCOUNTER, LK_CRDT_BCOUNTER, LK_CRDT_ORSET,
                                          LK_CRDT_LWW,      LK_CRDT_LIST,     LK_CRDT_TEXT };

typedef struct script {
  lk_crdt_kind root;
  lk_crdt_kind kind; /* that the next operation is for */
  size_t below;
  size_t next;
} script;

static const named_op *script_next(script *s) {
  for (;;) {
    const named_op *op = s->next < OPS ? &ops_of[s->kind][s->next++] : NULL;
    if (op != NULL && op->name != NULL) return op;
    if (s->kind == s->root && s->root != LK_CRDT_ORMAP) return NULL;
    if (s->kind == s->root && s->below > 0) return NULL;
    s->next = 0;
    if (s->below == sizeof below_map / sizeof below_map[0]) s->kind = s->root;
    else s->kind = below_map[s->below++];
  }
}

static void script_begin(script *s, lk_crdt_kind root) {
  *s = (script){ .root = root, .kind = root };
  if (root == LK_CRDT_ORMAP) s->kind = below_map[s->below++];
}

static void script_path(const script *s, lk_buf *path) {
  buf(path);
  if (s->kind == s->root) return;
  CHECK_OK(lk_crdt_path_append(path, LK_CRDT_ORMAP, LK_LIT("k")));
  CHECK_OK(lk_crdt_path_append(path, s->kind, LK_LIT("")));
}

static lk_err run_op(lk_crdt *state, const script *s, const named_op *named, lk_slice actor,
                     lk_buf *delta) {
  lk_buf path;
  script_path(s, &path);
  lk_crdt_op op = { actor, lk_buf_slice(&path), 7, delta };
  lk_err err = lk_crdt_apply(state, &op, lk_slice_cstr(named->name),
                             lk_slice_cstr(named->arguments));
  lk_buf_deinit(&path);
  return err;
}

/* A replica that did all operations of its type. */
static lk_crdt *busy_replica(const lk_env *env, lk_crdt_kind kind, lk_slice actor) {
  lk_crdt *state;
  script s;
  CHECK_OK(lk_crdt_open(env, kind, &state));
  script_begin(&s, kind);
  for (const named_op *op; (op = script_next(&s)) != NULL;) {
    CHECK_OK(run_op(state, &s, op, actor, NULL));
  }
  return state;
}

/* ---- what is refused changes nothing ---- */

typedef struct refusal {
  lk_crdt_kind kind;
  const char *name;
  const char *arguments;
  lk_err want;
} refusal;

static const refusal refusals[] = {
  { LK_CRDT_GCOUNTER, "increment", "[0]", LK_ERR_RANGE },
  { LK_CRDT_GCOUNTER, "increment", "[-1]", LK_ERR_PAYLOAD },
  { LK_CRDT_GCOUNTER, "increment", "[1.5]", LK_ERR_PAYLOAD },
  { LK_CRDT_GCOUNTER, "increment", "[18446744073709551616]", LK_ERR_PAYLOAD },
  { LK_CRDT_GCOUNTER, "increment", "[\"1\"]", LK_ERR_PAYLOAD },
  { LK_CRDT_GCOUNTER, "increment", "[1,2]", LK_ERR_PAYLOAD },
  { LK_CRDT_GCOUNTER, "increment", "[]", LK_ERR_PAYLOAD },
  { LK_CRDT_GCOUNTER, "increment", "{}", LK_ERR_PAYLOAD },
  { LK_CRDT_GCOUNTER, "increment", "[1", LK_ERR_TRUNCATED },
  { LK_CRDT_GCOUNTER, "increment", "[1] 2", LK_ERR_TRAILING },
  { LK_CRDT_GCOUNTER, "decrement", "[1]", LK_ERR_UNKNOWN_OP },
  { LK_CRDT_GCOUNTER, "", "[1]", LK_ERR_UNKNOWN_OP },
  { LK_CRDT_PNCOUNTER, "decrement", "[0]", LK_ERR_RANGE },
  { LK_CRDT_PNCOUNTER, "increments", "[1]", LK_ERR_UNKNOWN_OP },
  { LK_CRDT_BCOUNTER, "decrement", "[6]", LK_ERR_RIGHTS },
  { LK_CRDT_BCOUNTER, "decrement", "[0]", LK_ERR_RANGE },
  { LK_CRDT_BCOUNTER, "transfer", "[\"b\",6]", LK_ERR_RIGHTS },
  { LK_CRDT_BCOUNTER, "transfer", "[\"a\",1]", LK_ERR_ACTOR }, /* to itself */
  { LK_CRDT_BCOUNTER, "transfer", "[\"\",1]", LK_ERR_ACTOR },
  { LK_CRDT_BCOUNTER, "transfer", "[1,1]", LK_ERR_PAYLOAD },
  { LK_CRDT_BCOUNTER, "transfer", "[\"b\"]", LK_ERR_PAYLOAD },
  { LK_CRDT_GSET, "add", "[]", LK_ERR_PAYLOAD },
  { LK_CRDT_GSET, "add", "[1e999]", LK_ERR_RANGE },
  { LK_CRDT_GSET, "add", "[{\"a\":1,\"a\":2}]", LK_ERR_EXISTS },
  { LK_CRDT_GSET, "remove", "[1]", LK_ERR_UNKNOWN_OP },
  { LK_CRDT_ORSET, "remove", "[nul]", LK_ERR_SYNTAX },
  { LK_CRDT_ORSET, "clear", "[1]", LK_ERR_PAYLOAD },
  { LK_CRDT_RWSET, "add", "[1,2]", LK_ERR_PAYLOAD },
  { LK_CRDT_RWSET, "clear", "[]", LK_ERR_UNKNOWN_OP },
  { LK_CRDT_EWFLAG, "enable", "[true]", LK_ERR_PAYLOAD },
  { LK_CRDT_EWFLAG, "set", "[true]", LK_ERR_UNKNOWN_OP },
  { LK_CRDT_DWFLAG, "disable", "[null]", LK_ERR_PAYLOAD },
  { LK_CRDT_LWW, "set", "[]", LK_ERR_PAYLOAD },
  { LK_CRDT_LWW, "set", "[\"\xff\"]", LK_ERR_UTF8 },
  { LK_CRDT_MVREG, "set", "[1,2]", LK_ERR_PAYLOAD },
  { LK_CRDT_ORMAP, "remove", "[1]", LK_ERR_PAYLOAD },
  { LK_CRDT_ORMAP, "clear", "[]", LK_ERR_UNKNOWN_OP },
  { LK_CRDT_LIST, "insert", "[4,1]", LK_ERR_RANGE },
  { LK_CRDT_LIST, "insert", "[4294967296,1]", LK_ERR_PAYLOAD },
  { LK_CRDT_LIST, "set", "[3,1]", LK_ERR_RANGE },
  { LK_CRDT_LIST, "delete", "[3]", LK_ERR_RANGE },
  { LK_CRDT_LIST, "move", "[0,3]", LK_ERR_RANGE },
  { LK_CRDT_LIST, "move", "[3,0]", LK_ERR_RANGE },
  { LK_CRDT_LIST, "move", "[0]", LK_ERR_PAYLOAD },
  { LK_CRDT_TEXT, "insert", "[4,\"x\"]", LK_ERR_RANGE },
  { LK_CRDT_TEXT, "insert", "[0,1]", LK_ERR_PAYLOAD },
  { LK_CRDT_TEXT, "delete", "[0,4]", LK_ERR_RANGE },
  { LK_CRDT_TEXT, "delete", "[4,0]", LK_ERR_RANGE },
  { LK_CRDT_TEXT, "delete", "[1,4294967295]", LK_ERR_RANGE },
  { LK_CRDT_TEXT, "move", "[0,1]", LK_ERR_UNKNOWN_OP },
};

TEST(operations_that_are_refused_change_nothing_and_say_why) {
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
    const refusal *r = &refusals[i];
    lk_crdt *state = busy_replica(&env, r->kind, LK_LIT("a"));
    lk_buf before, delta;
    history_encode(state, &before);
    buf(&delta);
    CHECK_OK(lk_buf_append(&delta, LK_LIT("kept")));
    lk_crdt_op op = { .actor = LK_LIT("a"), .delta = &delta };
    test_note("case %zu: type %u %s(%s)", i, (unsigned)r->kind, r->name, r->arguments);
    CHECK_ERR(lk_crdt_apply(state, &op, lk_slice_cstr(r->name), lk_slice_cstr(r->arguments)),
              r->want);
    check_bytes(state, lk_buf_slice(&before));
    CHECK_TEXT(lk_buf_slice(&delta), "kept");
    lk_buf_deinit(&before);
    lk_buf_deinit(&delta);
    lk_crdt_close(state);
  }
}

/* Goal: an actor that is none, a path that leads nowhere, and an operation of another type are refused. */
TEST(operations_of_no_actor_no_path_or_another_type_are_refused) {
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  uint8_t long_name[65];
  memset(long_name, 'n', sizeof long_name);
  for (uint32_t kind = 1; kind < MODEL_KINDS; kind++) {
    lk_crdt *state = busy_replica(&env, (lk_crdt_kind)kind, LK_LIT("a"));
    script s;
    lk_buf before, path;
    history_encode(state, &before);
    script_begin(&s, (lk_crdt_kind)kind);
    const named_op *op = script_next(&s);
    test_note("type %u", kind);
    CHECK_ERR(run_op(state, &s, op, LK_LIT(""), NULL), LK_ERR_ACTOR);
    CHECK_ERR(run_op(state, &s, op, LK_LIT("\xff"), NULL), LK_ERR_ACTOR);
    CHECK_ERR(run_op(state, &s, op, lk_slice_of(long_name, sizeof long_name), NULL), LK_ERR_ACTOR);
    lk_crdt_op elsewhere = { .actor = LK_LIT("a"), .at = LK_LIT("\xff") };
    CHECK(lk_crdt_apply(state, &elsewhere, LK_LIT("add"), LK_LIT("[1]")) != LK_OK);
    buf(&path);
    CHECK_OK(lk_crdt_path_append(&path, LK_CRDT_ORSET, LK_LIT("k")));
    lk_crdt_op below = { .actor = LK_LIT("a"), .at = lk_buf_slice(&path) };
    if (kind != LK_CRDT_ORMAP) CHECK(lk_orset_add(state, &below, LK_LIT("1")) != LK_OK);
    else CHECK_ERR(lk_gset_add(state, &below, LK_LIT("1")), LK_ERR_TYPE);
    lk_crdt_op here = { .actor = LK_LIT("a") };
    if (kind != LK_CRDT_GCOUNTER) CHECK_ERR(lk_gcounter_add(state, &here, 1), LK_ERR_TYPE);
    else CHECK_ERR(lk_pncounter_add(state, &here, 1), LK_ERR_TYPE);
    check_bytes(state, lk_buf_slice(&before));
    lk_buf_deinit(&before);
    lk_buf_deinit(&path);
    lk_crdt_close(state);
  }
}

TEST(a_state_of_another_type_is_not_merged) {
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_crdt *all[MODEL_KINDS];
  for (uint32_t kind = 1; kind < MODEL_KINDS; kind++) {
    all[kind] = busy_replica(&env, (lk_crdt_kind)kind, LK_LIT("a"));
  }
  for (uint32_t a = 1; a < MODEL_KINDS; a++) {
    lk_buf before;
    history_encode(all[a], &before);
    for (uint32_t b = 1; b < MODEL_KINDS; b++) {
      lk_buf bytes, json;
      if (a == b) continue;
      buf(&json);
      CHECK_ERR(lk_crdt_merge(all[a], history_encode(all[b], &bytes), NULL), LK_ERR_TYPE);
      CHECK_ERR(lk_crdt_merge_from(all[a], all[b], NULL), LK_ERR_TYPE);
      CHECK_OK(lk_crdt_encode_json(all[b], &json));
      test_note("%u from %u: %.*s", a, b, (int)json.len, (const char *)json.ptr);
      CHECK(lk_crdt_merge_json(all[a], lk_buf_slice(&json), NULL) != LK_OK);
      lk_buf_deinit(&bytes);
      lk_buf_deinit(&json);
    }
    check_bytes(all[a], lk_buf_slice(&before));
    lk_buf_deinit(&before);
  }
  for (uint32_t kind = 1; kind < MODEL_KINDS; kind++) lk_crdt_close(all[kind]);
}

/* Goal: what is not there is shown as if it were empty: at a key that has other objects, and at one that has none. */
TEST(an_object_that_is_not_there_is_shown_as_an_empty_one) {
  static const char *const keys[] = { "other", "none" };
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_crdt *map = busy_replica(&env, LK_CRDT_ORMAP, LK_LIT("a"));
  lk_buf path, value;
  buf(&path);
  buf(&value);
  CHECK_OK(lk_crdt_path_append(&path, LK_CRDT_ORMAP, LK_LIT("other")));
  CHECK_OK(lk_crdt_path_append(&path, LK_CRDT_GCOUNTER, LK_LIT("there")));
  lk_crdt_op op = { .actor = LK_LIT("a"), .at = lk_buf_slice(&path) };
  CHECK_OK(lk_gcounter_add(map, &op, 1));
  for (uint32_t i = 0; i < 2 * MODEL_KINDS; i++) {
    lk_crdt_kind kind = (lk_crdt_kind)(i % MODEL_KINDS);
    if (kind == 0) continue;
    lk_buf_truncate(&path, 0);
    lk_buf_truncate(&value, 0);
    CHECK_OK(lk_crdt_path_append(&path, LK_CRDT_ORMAP, lk_slice_cstr(keys[i / MODEL_KINDS])));
    CHECK_OK(lk_crdt_path_append(&path, kind, LK_LIT("")));
    CHECK_OK(lk_crdt_value(map, lk_buf_slice(&path), &value));
    CHECK_SLICE(lk_buf_slice(&value), model_nothing(kind));
  }
  lk_buf_deinit(&path);
  lk_buf_deinit(&value);
  lk_crdt_close(map);
}

static lk_err add_up(lk_crdt *state, uint64_t amount) {
  lk_crdt_op op = { .actor = LK_LIT("a") };
  switch (lk_crdt_get_kind(state)) {
  case LK_CRDT_GCOUNTER: return lk_gcounter_add(state, &op, amount);
  case LK_CRDT_PNCOUNTER: return lk_pncounter_add(state, &op, amount);
  default: return lk_bcounter_add(state, &op, amount);
  }
}

/* Goal: a counter counts up to 64 bits and no further, without losing what does not fit. */
TEST(counting_up_to_64_bits_is_fine_and_beyond_is_refused) {
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  for (uint32_t kind = LK_CRDT_GCOUNTER; kind <= LK_CRDT_BCOUNTER; kind++) {
    lk_crdt *state;
    lk_buf before;
    test_note("type %u", kind);
    CHECK_OK(lk_crdt_open(&env, (lk_crdt_kind)kind, &state));
    CHECK_OK(add_up(state, 6));
    history_encode(state, &before);
    CHECK_ERR(add_up(state, UINT64_MAX), LK_ERR_OVERFLOW);
    CHECK_ERR(add_up(state, UINT64_MAX - 5), LK_ERR_OVERFLOW);
    check_bytes(state, lk_buf_slice(&before));
    CHECK_OK(add_up(state, UINT64_MAX - 6));
    CHECK_ERR(add_up(state, 1), LK_ERR_OVERFLOW);
    lk_buf_deinit(&before);
    lk_crdt_close(state);
  }
}

/* Goal: names are in the order of RFC 8785, that of their UTF-16: U+1F600 is in front of U+FF5E, unlike in UTF-8. */
TEST(keys_of_a_map_are_in_canonical_order) {
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_crdt *map;
  lk_buf path, value;
  static const lk_slice keys[] = { LK_LIT_INIT("b"), LK_LIT_INIT("\xef\xbd\x9e"),
                                   LK_LIT_INIT("\xf0\x9f\x98\x80"), LK_LIT_INIT("a") };
  CHECK_OK(lk_crdt_open(&env, LK_CRDT_ORMAP, &map));
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    buf(&path);
    CHECK_OK(lk_crdt_path_append(&path, LK_CRDT_GCOUNTER, keys[i]));
    lk_crdt_op op = { .actor = LK_LIT("a"), .at = lk_buf_slice(&path) };
    CHECK_OK(lk_gcounter_add(map, &op, i + 1));
    lk_buf_deinit(&path);
  }
  buf(&value);
  CHECK_OK(lk_crdt_value(map, LK_SLICE_EMPTY, &value));
  CHECK_TEXT(lk_buf_slice(&value), "{\"a\":4,\"b\":1,\"\xf0\x9f\x98\x80\":3,\"\xef\xbd\x9e\":2}");
  lk_buf_deinit(&value);
  lk_crdt_close(map);
}

/* ---- memory that runs out ---- */

enum { EXPECTED_MAX = 100 };

/* What a run without faults came to, step by step: a run with faults must come to the same. */
typedef struct expected {
  uint32_t count;
  lk_buf bytes[EXPECTED_MAX];
} expected;

typedef struct fault_run {
  faulty *faults;
  lk_crdt *state;
  const lk_crdt *other;
  lk_buf other_bytes, other_json, other_version;
  expected *want;
  bool recording;
  uint32_t step;
} fault_run;

typedef lk_err (*fault_step)(fault_run *r, const void *argument, lk_buf *out);

/* The allocator works again until the returned number is put back. */
static uint64_t heal(faulty *faults) {
  uint64_t fail_at = faults->fail_at;
  faults->fail_at = 0;
  return fail_at;
}

static void expect(fault_run *r, lk_slice bytes) {
  CHECK(r->step < EXPECTED_MAX);
  lk_buf *want = &r->want->bytes[r->step++];
  if (r->recording) {
    buf(want);
    CHECK_OK(lk_buf_append(want, bytes));
    r->want->count = r->step;
  } else {
    CHECK_SLICE(bytes, lk_buf_slice(want));
  }
}

/* Runs |step| under the fault. If that fails, nothing must have changed, and trying again must do. */
static void attempt(fault_run *r, fault_step step, const void *argument) {
  lk_buf out, before, after;
  uint64_t fail_at = heal(r->faults);
  history_encode(r->state, &before);
  lk_buf_init(&out, faulty_alloc(r->faults), 1 << 20);
  CHECK_OK(lk_buf_append(&out, LK_LIT("kept")));
  r->faults->fail_at = fail_at;
  lk_err err = step(r, argument, &out);
  fail_at = heal(r->faults);
  if (err != LK_OK) {
    CHECK_ERR(err, LK_ERR_NOMEM);
    CHECK_TEXT(lk_buf_slice(&out), "kept");
    CHECK_SLICE(history_encode(r->state, &after), lk_buf_slice(&before));
    lk_buf_deinit(&after);
    lk_buf_truncate(&out, 4); /* clears the error, as its manual says */
    CHECK_OK(step(r, argument, &out));
  }
  expect(r, lk_buf_slice(&out));
  expect(r, history_encode(r->state, &after));
  lk_buf_deinit(&after);
  lk_buf_deinit(&before);
  lk_buf_deinit(&out);
  r->faults->fail_at = fail_at;
}

typedef struct script_step {
  script at;
  const named_op *op;
} script_step;

static lk_err step_apply(fault_run *r, const void *argument, lk_buf *out) {
  const script_step *s = argument;
  return run_op(r->state, &s->at, s->op, LK_LIT("a"), out);
}
static lk_err step_merge(fault_run *r, const void *argument, lk_buf *out) {
  (void)argument, (void)out;
  return lk_crdt_merge(r->state, lk_buf_slice(&r->other_bytes), NULL);
}
static lk_err step_merge_from(fault_run *r, const void *argument, lk_buf *out) {
  (void)argument, (void)out;
  return lk_crdt_merge_from(r->state, r->other, NULL);
}
static lk_err step_merge_json(fault_run *r, const void *argument, lk_buf *out) {
  (void)argument, (void)out;
  return lk_crdt_merge_json(r->state, lk_buf_slice(&r->other_json), NULL);
}
static lk_err step_diff(fault_run *r, const void *argument, lk_buf *out) {
  (void)argument;
  return lk_crdt_diff(r->state, r->other, out);
}
static lk_err step_diff_since(fault_run *r, const void *argument, lk_buf *out) {
  (void)argument;
  return lk_crdt_diff_since(r->state, lk_buf_slice(&r->other_version), out);
}
static lk_err step_encode(fault_run *r, const void *argument, lk_buf *out) {
  (void)argument;
  return lk_crdt_encode(r->state, out);
}
static lk_err step_encode_json(fault_run *r, const void *argument, lk_buf *out) {
  (void)argument;
  return lk_crdt_encode_json(r->state, out);
}
static lk_err step_value(fault_run *r, const void *argument, lk_buf *out) {
  (void)argument;
  return lk_crdt_value(r->state, LK_SLICE_EMPTY, out);
}
static lk_err step_version(fault_run *r, const void *argument, lk_buf *out) {
  (void)argument;
  return lk_crdt_version(r->state, out);
}
static lk_err step_digest(fault_run *r, const void *argument, lk_buf *out) {
  uint8_t digest[LK_CRDT_DIGEST_LEN] = { 0 };
  (void)argument, (void)out;
  return lk_crdt_digest(r->state, digest);
}

static void attempt_all(fault_run *r, lk_crdt_kind kind, fault_step merge) {
  script_step s;
  script_begin(&s.at, kind);
  while ((s.op = script_next(&s.at)) != NULL) attempt(r, step_apply, &s);
  attempt(r, step_diff, NULL);
  attempt(r, step_diff_since, NULL);
  attempt(r, merge, NULL);
  attempt(r, step_encode, NULL);
  attempt(r, step_encode_json, NULL);
  attempt(r, step_value, NULL);
  attempt(r, step_version, NULL);
  attempt(r, step_digest, NULL);
}

/* |merge| is one of the three ways to take in another replica's state. */
static void run_out_of_memory(lk_crdt_kind kind, fault_step merge) {
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  expected want = { 0 };
  fault_run r = { .other = busy_replica(&env, kind, LK_LIT("b")), .want = &want };
  history_encode(r.other, &r.other_bytes);
  buf(&r.other_json);
  buf(&r.other_version);
  CHECK_OK(lk_crdt_encode_json(r.other, &r.other_json));
  CHECK_OK(lk_crdt_version(r.other, &r.other_version));
  r.recording = true;
  FAULT_LOOP(faults, test_alloc()) {
    lk_env fallible = LK_ENV_INIT(faulty_alloc(&faults), NULL);
    lk_err err = lk_crdt_open(&fallible, kind, &r.state);
    if (err != LK_OK) {
      CHECK_ERR(err, LK_ERR_NOMEM);
      continue;
    }
    r.faults = &faults;
    r.step = 0;
    attempt_all(&r, kind, merge);
    CHECK_U64(r.step, want.count);
    lk_crdt_close(r.state);
    r.recording = false;
  }
  for (uint32_t i = 0; i < want.count; i++) lk_buf_deinit(&want.bytes[i]);
  lk_buf_deinit(&r.other_bytes);
  lk_buf_deinit(&r.other_json);
  lk_buf_deinit(&r.other_version);
  lk_crdt_close((lk_crdt *)r.other);
}

static void run_out_of_memory_in_every_way(lk_crdt_kind kind) {
  static const fault_step ways[] = { step_merge, step_merge_from, step_merge_json };
  for (size_t i = 0; i < 3; i++) {
    test_note("way %zu", i);
    run_out_of_memory(kind, ways[i]);
  }
}

#define RUNS_OUT(name, kind)                                                                       \
  TEST(name##_is_as_before_after_every_failed_allocation) { run_out_of_memory_in_every_way(kind); }

RUNS_OUT(a_gcounter, LK_CRDT_GCOUNTER)
RUNS_OUT(a_pncounter, LK_CRDT_PNCOUNTER)
RUNS_OUT(a_bcounter, LK_CRDT_BCOUNTER)
RUNS_OUT(a_gset, LK_CRDT_GSET)
RUNS_OUT(an_orset, LK_CRDT_ORSET)
RUNS_OUT(an_rwset, LK_CRDT_RWSET)
RUNS_OUT(an_ewflag, LK_CRDT_EWFLAG)
RUNS_OUT(a_dwflag, LK_CRDT_DWFLAG)
RUNS_OUT(an_lww_register, LK_CRDT_LWW)
RUNS_OUT(an_mv_register, LK_CRDT_MVREG)
RUNS_OUT(a_list, LK_CRDT_LIST)
RUNS_OUT(a_text, LK_CRDT_TEXT)
RUNS_OUT(a_map_of_many_types, LK_CRDT_ORMAP)
