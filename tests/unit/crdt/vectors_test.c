/* tests/vectors/crdt.json through laniakea/crdt.h.
 *
 * Goal: what was written here by hand is what users see, and bytes that were stored once stay what they
 * are. Method: replicas take the steps of each case; then all must have its value, bytes, digest and JSON,
 * and so must a fresh one that gets the deltas, the last one first. WebAssembly and TypeScript run the
 * same file. */
#include "unit/codec/vectors.h"

#include "base/buf.h"
#include "laniakea/crdt.h"

#define REPLICAS_MAX 4
#define STEPS_MAX 16
#define BYTES_MAX (1u << 20)

typedef struct scene {
  lk_env env;
  lk_crdt_kind kind;
  uint32_t replica_count;
  uint32_t step_count;
  lk_slice actors[REPLICAS_MAX];
  lk_crdt *replicas[REPLICAS_MAX];
  lk_buf deltas[STEPS_MAX];
} scene;

static lk_crdt *open_one(const scene *s) {
  lk_crdt *crdt = NULL;
  CHECK_OK(lk_crdt_open(&s->env, s->kind, &crdt));
  return crdt;
}

static void open_scene(scene *s, lk_slice type) {
  *s = (scene){ .env = LK_ENV_INIT(test_alloc(), NULL) };
  CHECK_OK(lk_crdt_kind_of(type, &s->kind));
  for (size_t i = 0; i < STEPS_MAX; i++) lk_buf_init(&s->deltas[i], test_alloc(), BYTES_MAX);
}

static void close_scene(scene *s) {
  for (size_t i = 0; i < s->replica_count; i++) lk_crdt_close(s->replicas[i]);
  for (size_t i = 0; i < STEPS_MAX; i++) lk_buf_deinit(&s->deltas[i]);
}

/* The names live as long as the arena of the case's steps. */
static lk_crdt *replica_of(scene *s, lk_slice actor) {
  for (uint32_t i = 0; i < s->replica_count; i++) {
    if (lk_slice_equal(s->actors[i], actor)) return s->replicas[i];
  }
  CHECK(s->replica_count < REPLICAS_MAX);
  s->actors[s->replica_count] = actor;
  return s->replicas[s->replica_count++] = open_one(s);
}

/* ---- steps ---- */

static lk_err error_named(lk_slice name) {
  static const struct {
    const char *name;
    lk_err err;
  } errors[] = {
#define ERROR(name, number, text) { "LK_ERR_" #name, LK_ERR_##name },
#include "base/errors.def"
#undef ERROR
  };
  for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
    if (lk_slice_equal(lk_slice_cstr(errors[i].name), name)) return errors[i].err;
  }
  test_fail(LK_FILE, __LINE__, "no such error: %.*s", (int)name.len, (const char *)name.ptr);
}

/* [["orset","tags"], ...] */
static void read_path(lk_slice json, lk_arena *arena, lk_buf *out) {
  lk_limits limits = LK_LIMITS_INIT;
  lk_json_reader reader;
  lk_json_event event;
  lk_slice type = LK_SLICE_EMPTY;
  lk_crdt_kind kind;
  CHECK_OK(lk_json_reader_init(&reader, json, &limits, arena));
  for (bool is_key = false;;) {
    CHECK_OK(lk_json_next(&reader, &event));
    if (event.kind == LK_JSON_END) return;
    if (event.kind != LK_JSON_STRING) continue;
    if (is_key) {
      CHECK_OK(lk_crdt_kind_of(type, &kind));
      CHECK_OK(lk_crdt_path_append(out, kind, event.text));
    }
    type = event.text;
    is_key = !is_key;
  }
}

static void encode(const lk_crdt *crdt, lk_buf *out) {
  lk_buf_init(out, test_alloc(), BYTES_MAX);
  CHECK_OK(lk_crdt_encode(crdt, out));
}

static void merge_state(lk_crdt *crdt, const lk_crdt *other) {
  lk_buf state;
  encode(other, &state);
  CHECK_OK(lk_crdt_merge(crdt, lk_buf_slice(&state), NULL));
  lk_buf_deinit(&state);
}

enum { ON, OP, ARGS, PATH, NOW, ERROR_, MERGE, DELTA, FIELDS };

static void operate(scene *s, lk_crdt *self, const lk_json_member *f, lk_arena *arena) {
  lk_buf path, before, after;
  lk_buf_init(&path, test_alloc(), BYTES_MAX);
  if (vectors_has(&f[PATH])) read_path(f[PATH].raw, arena, &path);
  encode(self, &before);
  lk_crdt_op op = { .actor = vectors_text(&f[ON]),
                    .at = lk_buf_slice(&path),
                    .now_ms = vectors_has(&f[NOW]) ? vectors_u64(&f[NOW]) : 0,
                    .delta = &s->deltas[s->step_count] };
  lk_err want = vectors_has(&f[ERROR_]) ? error_named(vectors_text(&f[ERROR_])) : LK_OK;
  CHECK_ERR(lk_crdt_apply(self, &op, vectors_text(&f[OP]), vectors_text(&f[ARGS])), want);
  encode(self, &after);
  if (want != LK_OK) {
    CHECK_SLICE(lk_buf_slice(&after), lk_buf_slice(&before));
    CHECK_U64(op.delta->len, 0);
  }
  lk_buf_deinit(&path);
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
}

static void take_step(scene *s, const lk_json_member *f, lk_arena *arena) {
  lk_crdt *self = replica_of(s, vectors_text(&f[ON]));
  CHECK(s->step_count < STEPS_MAX);
  if (vectors_has(&f[MERGE])) merge_state(self, replica_of(s, vectors_text(&f[MERGE])));
  if (vectors_has(&f[DELTA])) {
    uint64_t step = vectors_u64(&f[DELTA]);
    CHECK(step < s->step_count);
    CHECK_OK(lk_crdt_merge(self, lk_buf_slice(&s->deltas[step]), NULL));
  }
  if (vectors_has(&f[OP])) operate(s, self, f, arena);
  s->step_count++;
}

static void take_steps(scene *s, lk_slice json, lk_arena *arena) {
  lk_json_member f[FIELDS] = {
    VECTORS_FIELD("on"),  VECTORS_FIELD("op"),    VECTORS_FIELD("args"),  VECTORS_FIELD("path"),
    VECTORS_FIELD("now"), VECTORS_FIELD("error"), VECTORS_FIELD("merge"), VECTORS_FIELD("delta"),
  };
  lk_limits limits = LK_LIMITS_INIT;
  lk_json_reader reader;
  lk_json_event event;
  lk_err err;
  CHECK_OK(lk_json_reader_init(&reader, json, &limits, arena));
  CHECK_OK(lk_json_next(&reader, &event));
  while ((err = lk_json_read_members(&reader, f, FIELDS)) == LK_OK) take_step(s, f, arena);
  CHECK_ERR(err, LK_ERR_END);
}

/* ---- what is seen at the end ---- */

enum { TYPE, NAME, STEPS, VALUE, BYTES, DIGEST, JSON, MEMBERS };

static void check_replica(vectors *v, lk_crdt *crdt, const lk_json_member *f) {
  uint8_t digest[LK_CRDT_DIGEST_LEN];
  lk_buf out;
  bool changed = true;
  encode(crdt, &out);
  CHECK_SLICE(lk_buf_slice(&out), vectors_hex(v, &f[BYTES]));
  lk_buf_truncate(&out, 0);
  CHECK_OK(lk_crdt_value(crdt, LK_SLICE_EMPTY, &out));
  CHECK_SLICE(lk_buf_slice(&out), vectors_text(&f[VALUE]));
  lk_buf_truncate(&out, 0);
  CHECK_OK(lk_crdt_encode_json(crdt, &out));
  CHECK_SLICE(lk_buf_slice(&out), vectors_text(&f[JSON]));
  lk_buf_deinit(&out);
  CHECK_OK(lk_crdt_digest(crdt, digest));
  CHECK_SLICE(lk_slice_of(digest, sizeof digest), vectors_hex(v, &f[DIGEST]));
  CHECK_OK(lk_crdt_merge(crdt, vectors_hex(v, &f[BYTES]), &changed));
  CHECK(!changed);
}

static void check_fresh(vectors *v, const scene *s, const lk_json_member *f) {
  lk_crdt *fresh = open_one(s);
  for (size_t i = s->step_count; i-- > 0;) {
    if (s->deltas[i].len > 0) CHECK_OK(lk_crdt_merge(fresh, lk_buf_slice(&s->deltas[i]), NULL));
  }
  check_replica(v, fresh, f);
  lk_crdt_close(fresh);
  fresh = open_one(s);
  CHECK_OK(lk_crdt_merge_json(fresh, vectors_text(&f[JSON]), NULL));
  check_replica(v, fresh, f);
  lk_crdt_close(fresh);
}

static void run_case(vectors *v, const lk_json_member *f) {
  scene s;
  lk_slice type = vectors_text(&f[TYPE]), name = vectors_text(&f[NAME]);
  test_note("%.*s: %.*s", (int)type.len, (const char *)type.ptr, (int)name.len,
            (const char *)name.ptr);
  open_scene(&s, type);
  take_steps(&s, f[STEPS].raw, &v->arena);
  for (uint32_t i = 0; i < s.replica_count; i++) {
    for (uint32_t k = 0; k < s.replica_count; k++) merge_state(s.replicas[i], s.replicas[k]);
  }
  for (uint32_t i = 0; i < s.replica_count; i++) check_replica(v, s.replicas[i], f);
  check_fresh(v, &s, f);
  close_scene(&s);
}

TEST(catalogue_gives_what_its_vectors_say) {
  lk_json_member f[MEMBERS] = {
    VECTORS_FIELD("type"),  VECTORS_FIELD("name"),   VECTORS_FIELD("steps"), VECTORS_FIELD("value"),
    VECTORS_FIELD("bytes"), VECTORS_FIELD("digest"), VECTORS_FIELD("json"),
  };
  vectors v;
  vectors_open(&v, "tests/vectors/crdt.json", LK_LIT("cases"));
  while (vectors_next(&v, f, MEMBERS)) run_case(&v, f);
  vectors_close(&v);
}
