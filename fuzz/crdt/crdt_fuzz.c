/* The laws of merging, on states that no replica made: whatever decodes must merge the same in every order. */
#include "crdt/state.h"

#include "harness/test.h"

static const lk_limits *limits_of_test(void) {
  static lk_limits limits;
  limits = lk_limits_default();
  return &limits;
}

static void init(lk_crdt *self, const lk_crdt_type *type) {
  CHECK_OK(lk_crdt_init(self, type, test_alloc(), limits_of_test()));
}

/* Bytes that may be a state: the fuzzer's own, or those of a sample that were damaged. */
static lk_slice draw_bytes(lk_gen *g, uint8_t *scratch, size_t cap) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("\x01\x01\x01\x01\x01\x05"
                "alice\xac\x02\x00\x00\x00"),
    LK_LIT_INIT("\x0b\x01\x01\x01\x04\x03\x01"
                "a\x00\x02\x02\x05\x04tags\x02\x07\"black\"\x01\x02\x03\x03ue\"\x01\x01"
                "\x0a\x01\x04itle\x01\x00\x02"
                "42"),
    LK_LIT_INIT("\x07\x01\x02\x02\x02\x01"
                "a\x01\x00\x00\x01"
                "b\x00\x00\x00\x00\x01\x00"),
  };
  if (g->from_bytes) return lk_slice_of(scratch, gen_bytes(g, scratch, cap));
  return gen_hostile(g, samples, sizeof samples / sizeof samples[0], scratch, cap);
}

static uint32_t draw_node(lk_gen *g, lk_flat_builder *b, const lk_crdt_type *type) {
  static const lk_slice keys[] = { LK_LIT_INIT("\"x\""), LK_LIT_INIT("\"y\""), LK_LIT_INIT("1") };
  static const lk_slice signs[] = { LK_LIT_INIT("n"), LK_LIT_INIT("p"), LK_LIT_INIT("n") };
  static const lk_slice owners[] = { LK_LIT_INIT("a"), LK_LIT_INIT("b"), LK_LIT_INIT("c") };
  if (lk_shape_is(type, LK_SHAPE_ROOT)) return 0;
  const lk_slice *from = type == &lk_crdt_type_pncounter  ? signs
                         : type == &lk_crdt_type_bcounter ? owners
                                                          : keys;
  return lk_flat_add_node(b, 0, NULL, from[gen_below(g, 3)]);
}

/* A state as no replica makes it, but well formed: few actors and numbers, so that states meet. */
static lk_slice draw_state(lk_gen *g, const lk_crdt_type *type, lk_arena *arena, lk_buf *out) {
  static const lk_slice actors[] = { LK_LIT_INIT("a"), LK_LIT_INIT("b") };
  lk_crdt_scope scope = { test_alloc(), limits_of_test() };
  lk_flat_builder b;
  lk_flat flat;
  lk_flat_builder_init(&b, type, &scope, arena);
  for (uint32_t n = gen_below(g, 8); n > 0; n--) {
    uint32_t actor = lk_flat_add_actor(&b, actors[gen_below(g, 2)]);
    uint64_t lo = gen_range(g, 1, 12), hi = lo;
    if (lk_shape_has_runs(type)) hi += gen_below(g, 5);
    lk_flat_add_known(&b, actor, lo, hi + gen_below(g, 2));
    lk_slice value = lk_shape_has_values(type) ? (gen_bool(g) ? LK_LIT("1") : LK_LIT("2"))
                                               : LK_SLICE_EMPTY;
    if (gen_chance(g, 2, 3)) lk_flat_add_fact(&b, draw_node(g, &b, type), actor, lo, hi, value);
  }
  lk_buf_truncate(out, 0);
  if (lk_flat_build(&b, &flat) == LK_OK) CHECK_OK(lk_flat_encode(&flat, out));
  return lk_buf_slice(out);
}

/* What a merge may say of bytes that decoded: they do not fit what is there. */
static bool fits(lk_err err) {
  CHECK(err == LK_OK || err == LK_ERR_DOT || err == LK_ERR_OVERFLOW || err == LK_ERR_LIMIT);
  return err == LK_OK;
}

static void check_equal(const lk_crdt *a, const lk_crdt *b) {
  lk_buf x, y;
  lk_buf_init(&x, test_alloc(), 1 << 24);
  lk_buf_init(&y, test_alloc(), 1 << 24);
  CHECK_OK(lk_crdt_encode(a, &x));
  CHECK_OK(lk_crdt_encode(b, &y));
  CHECK_SLICE(lk_buf_slice(&x), lk_buf_slice(&y));
  CHECK(lk_crdt_compare(a, b) == LK_CRDT_EQUAL);
  lk_buf_deinit(&x);
  lk_buf_deinit(&y);
}

/* Merges the three in the order given; false where two of them do not go together. */
static bool join(lk_crdt *out, const lk_crdt *const states[3], const uint8_t order[3]) {
  bool whole = true;
  init(out, states[0]->type);
  for (uint32_t i = 0; i < 3 && whole; i++) {
    whole = fits(lk_crdt_merge_from(out, states[order[i]], NULL));
  }
  return whole;
}

static void check_laws(const lk_crdt *const states[3]) {
  static const uint8_t orders[][3] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 0, 2 } };
  lk_crdt first, other;
  bool whole = join(&first, states, orders[0]);
  for (size_t i = 1; i < 3 && whole; i++) {
    if (join(&other, states, orders[i])) {
      bool changed = true;
      check_equal(&first, &other);
      CHECK_OK(lk_crdt_merge_from(&other, &first, &changed));
      CHECK(!changed);
    }
    lk_crdt_deinit(&other);
  }
  lk_crdt_deinit(&first);
}

/* A state's JSON leads back to it. */
static void check_json(const lk_crdt *state) {
  lk_crdt back;
  lk_buf text;
  init(&back, state->type);
  lk_buf_init(&text, test_alloc(), 1 << 20);
  CHECK_OK(lk_crdt_encode_json(state, &text));
  CHECK_OK(lk_crdt_merge_json(&back, lk_buf_slice(&text), NULL));
  check_equal(state, &back);
  lk_buf_deinit(&text);
  lk_crdt_deinit(&back);
}

/* Three states of one type, each from bytes or built; those that are none end it.
 * also fuzzes: lk_crdt_admit, lk_crdt_merge_json */
FUZZ(lk_crdt_merge) {
  static const lk_crdt_type *const types[] = { &lk_crdt_type_gcounter,  &lk_crdt_type_orset,
                                               &lk_crdt_type_mvreg,     &lk_crdt_type_ewflag,
                                               &lk_crdt_type_pncounter, &lk_crdt_type_bcounter };
  const lk_crdt_type *type = types[gen_below(g, sizeof types / sizeof types[0])];
  uint8_t scratch[160];
  lk_crdt states[3];
  lk_arena arena;
  lk_buf built;
  uint32_t count = 0;
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  lk_buf_init(&built, test_alloc(), 1 << 16);
  while (count < 3) {
    lk_slice bytes = gen_chance(g, 1, 4) ? draw_bytes(g, scratch, sizeof scratch)
                                         : draw_state(g, type, &arena, &built);
    init(&states[count], type);
    lk_env env = LK_ENV_INIT(test_alloc(), NULL);
    lk_err err = lk_crdt_merge(&states[count], bytes, NULL);
    if (err == LK_OK) CHECK_OK(lk_crdt_admit(bytes, &env, 0, 0)); /* none of these has a clock */
    if (err == LK_OK) check_json(&states[count]);
    count++;
    if (err == LK_OK) continue;
    CHECK_U64(states[count - 1].actor_count, 0);
    break;
  }
  if (count == 3) check_laws((const lk_crdt *const[3]){ &states[0], &states[1], &states[2] });
  while (count > 0) lk_crdt_deinit(&states[--count]);
  lk_buf_deinit(&built);
  lk_arena_deinit(&arena);
}

/* Operations by name with arguments from anywhere, on a map and what is below it: an error leaves all as it
 * was, and what succeeds has a delta that does the same elsewhere. */
FUZZ(lk_crdt_apply) {
  static const char *const names[] = { "increment", "decrement", "transfer", "add", "remove",
                                       "clear",     "enable",    "disable",  "set", "insert",
                                       "delete",    "move",      "none" };
  static const lk_slice samples[] = { LK_LIT_INIT("[1]"), LK_LIT_INIT("[\"x\"]"), LK_LIT_INIT("[]"),
                                      LK_LIT_INIT("[0,{\"b\":1,\"a\":[null,1e2]}]"),
                                      LK_LIT_INIT("[0,\"\xc3\xa9t\xc3\xa9\"]") };
  uint8_t scratch[64];
  lk_crdt here, there;
  lk_buf path, delta;
  init(&here, &lk_crdt_type_ormap);
  init(&there, &lk_crdt_type_ormap);
  lk_buf_init(&path, test_alloc(), 100);
  lk_buf_init(&delta, test_alloc(), 1 << 20);
  for (uint32_t i = 1 + gen_below(g, 8); i > 0; i--) {
    lk_buf_truncate(&path, 0);
    lk_buf_truncate(&delta, 0);
    lk_crdt_kind kind = (lk_crdt_kind)gen_range(g, LK_CRDT_GCOUNTER, LK_CRDT_TEXT);
    if (gen_chance(g, 7, 8)) CHECK_OK(lk_crdt_path_append(&path, kind, LK_LIT("k")));
    lk_crdt_op op = { .actor = gen_bool(g) ? LK_LIT("a") : LK_LIT("b"),
                      .at = lk_buf_slice(&path),
                      .now_ms = gen_below(g, 1000),
                      .delta = &delta };
    lk_slice name = lk_slice_cstr(names[gen_below(g, sizeof names / sizeof names[0])]);
    lk_slice arguments = g->from_bytes ? lk_slice_of(scratch, gen_bytes(g, scratch, sizeof scratch))
                                       : gen_hostile(g, samples, 5, scratch, sizeof scratch);
    lk_err err = lk_crdt_apply(&here, &op, name, arguments);
    if (err == LK_OK) CHECK_OK(lk_crdt_merge(&there, lk_buf_slice(&delta), NULL));
    else CHECK_U64(delta.len, 0);
  }
  check_equal(&here, &there);
  lk_buf_deinit(&path);
  lk_buf_deinit(&delta);
  lk_crdt_deinit(&here);
  lk_crdt_deinit(&there);
}
