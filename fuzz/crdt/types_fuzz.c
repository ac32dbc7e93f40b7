#include "codec/json_reader.h"
#include "crdt/type_shared.h"
#include "harness/test.h"

static const lk_crdt_type *gen_type(lk_gen *g, bool with_values) {
  for (;;) {
    const lk_crdt_type *type = lk_crdt_type_at(gen_below(g, 13));
    if (type != NULL && (with_values ? type->check_value : type->check_key) != NULL) return type;
    if (g->from_bytes && g->bytes.len == 0)
      return with_values ? &lk_crdt_type_lww : &lk_crdt_type_gset;
  }
}

/* What is written around a value is deeper than the value may be. */
static void check_is_json(lk_slice json) {
  lk_limits limits = lk_limits_default();
  limits.json_depth = LK_JSON_DEPTH_MAX;
  CHECK_OK(lk_json_check(json, &limits, NULL));
}

/* A key or a value that passed its check has a JSON form, from which it comes back as the same bytes. */
static void check_comes_back(lk_slice bytes, const lk_crdt_scope *scope,
                             lk_err (*to)(lk_slice, lk_json_writer *),
                             lk_err (*of)(lk_slice, const lk_crdt_scope *, lk_buf *)) {
  lk_json_writer w;
  lk_buf json, back;
  if (to == NULL) return;
  lk_buf_init(&json, test_alloc(), 1 << 16);
  lk_buf_init(&back, test_alloc(), 1 << 16);
  lk_json_writer_init(&w, &json);
  CHECK_OK(to(bytes, &w));
  CHECK_OK(lk_json_writer_finish(&w));
  check_is_json(lk_buf_slice(&json));
  CHECK_OK(of(lk_buf_slice(&json), scope, &back));
  CHECK_SLICE(lk_buf_slice(&back), bytes);
  lk_buf_deinit(&json);
  lk_buf_deinit(&back);
}

#define SAMPLES                                                                                    \
  {                                                                                                \
    LK_LIT_INIT("\x01"), LK_LIT_INIT("\x64\x07{\"a\":[1,\"b\"]}"), LK_LIT_INIT("[null,1.5]"),      \
        LK_LIT_INIT("\x01\x02\x00\"x\""), LK_LIT_INIT("\xF0\x9F\x98\x80"), LK_LIT_INIT("alice"),   \
        LK_LIT_INIT("p")                                                                           \
  }

/* also fuzzes: lk_type_check_vote, lk_type_check_position */
FUZZ(lk_type_check_json) {
  static const lk_slice samples[] = SAMPLES;
  uint8_t scratch[200];
  lk_limits limits = lk_limits_default();
  lk_crdt_scope scope = { test_alloc(), &limits };
  bool value = gen_bool(g);
  const lk_crdt_type *type = gen_type(g, value);
  lk_slice bytes = gen_hostile(g, samples, sizeof samples / sizeof samples[0], scratch,
                               sizeof scratch);
  if (value && type->check_value(bytes, &scope) == LK_OK) {
    check_comes_back(bytes, &scope, type->value_to_json, type->value_of_json);
    if (type->ordered) (void)type->position_of(LK_SLICE_EMPTY, bytes);
    if (type->ordered) CHECK(type->compare_places(bytes, bytes) == 0);
    if (type->admit_value != NULL) CHECK_OK(type->admit_value(bytes, 0, UINT64_MAX));
  }
  if (!value && type->check_key(bytes, &scope) == LK_OK) {
    check_comes_back(bytes, &scope, type->key_to_json, type->key_of_json);
  }
  /* What all of them are made of. */
  CHECK(lk_type_check_json(bytes, &scope) != LK_OK || lk_json_check(bytes, &limits, NULL) == LK_OK);
  CHECK((lk_type_check_vote(bytes, &scope) == LK_OK) == (bytes.len == 1 && bytes.ptr[0] < 2));
  CHECK(lk_type_check_position(bytes, &scope) != LK_OK || bytes.len > 0);
}

/* Any JSON form is refused, or is that of bytes whose own form gives the same bytes again. */
FUZZ(lk_type_read_members) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("{\"value\":\"x\",\"moves\":1,\"sets\":2,\"at\":\"0561\"}"),
    LK_LIT_INIT("{\"ms\":5,\"count\":0,\"value\":{\"b\":1,\"a\":1.0}}"),
    LK_LIT_INIT("\"\\u00e9\""),
    LK_LIT_INIT("true"),
  };
  uint8_t scratch[200];
  lk_limits limits = lk_limits_default();
  lk_crdt_scope scope = { test_alloc(), &limits };
  const lk_crdt_type *type = gen_type(g, true);
  lk_slice json = gen_hostile(g, samples, 4, scratch, sizeof scratch);
  lk_json_member member = { .name = LK_LIT("value") };
  lk_arena arena;
  lk_buf value;
  lk_type_arena_init(&arena, &scope);
  lk_err err = lk_type_read_members(json, &arena, &member, 1);
  if (err == LK_OK && member.raw.len > 0) check_is_json(member.raw);
  lk_arena_deinit(&arena);
  if (type->value_of_json == NULL || lk_json_check(json, &limits, NULL) != LK_OK) return;
  lk_buf_init(&value, test_alloc(), 1 << 16);
  if (type->value_of_json(json, &scope, &value) == LK_OK &&
      type->check_value(lk_buf_slice(&value), &scope) == LK_OK) {
    check_comes_back(lk_buf_slice(&value), &scope, type->value_to_json, type->value_of_json);
  }
  lk_buf_deinit(&value);
}

/* ---- operations by name, from anybody ---- */

static const lk_slice arguments[] = {
  LK_LIT_INIT("[]"),
  LK_LIT_INIT("[3]"),
  LK_LIT_INIT("[18446744073709551615]"),
  LK_LIT_INIT("[0,1]"),
  LK_LIT_INIT("[1,{\"b\":[1.0],\"a\":\"\\u00e9\"}]"),
  LK_LIT_INIT("[\"bob\",2]"),
  LK_LIT_INIT("[0,\"abc\"]"),
  LK_LIT_INIT("[\"k\"]"),
};

static void apply_something(lk_gen *g, lk_crdt *crdt, lk_crdt_op *op) {
  const lk_crdt_type *type = lk_crdt_type_of(lk_crdt_get_kind(crdt));
  const char *name = type->operations[gen_below(g, type->operation_count)].name;
  uint8_t scratch[100];
  lk_buf before, after;
  lk_slice in = gen_bool(g) ? arguments[gen_below(g, sizeof arguments / sizeof arguments[0])]
                            : gen_hostile(g, arguments, sizeof arguments / sizeof arguments[0],
                                          scratch, sizeof scratch);
  lk_buf_init(&before, test_alloc(), 1 << 20);
  lk_buf_init(&after, test_alloc(), 1 << 20);
  CHECK_OK(lk_crdt_encode(crdt, &before));
  lk_err err = lk_crdt_apply(crdt, op, lk_slice_cstr(name), in);
  CHECK_OK(lk_crdt_encode(crdt, &after));
  if (err != LK_OK) {
    CHECK_SLICE(lk_buf_slice(&after), lk_buf_slice(&before));
    CHECK_U64(op->delta->len, 0);
  }
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
}

/* An operation is refused and changes nothing, or its delta does elsewhere what it did here; and the value can
 * always be shown, as JSON. */
FUZZ(operations_by_name) {
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_crdt_kind kind = (lk_crdt_kind)lk_crdt_type_at(gen_below(g, 13))->number;
  lk_crdt *here, *there;
  lk_buf delta, value;
  lk_buf_init(&delta, test_alloc(), 1 << 20);
  lk_buf_init(&value, test_alloc(), 1 << 20);
  CHECK_OK(lk_crdt_open(&env, kind, &here));
  CHECK_OK(lk_crdt_open(&env, kind, &there));
  for (uint32_t i = gen_below(g, 12); i > 0; i--) {
    lk_crdt_op op = { .actor = gen_bool(g) ? LK_LIT("alice") : LK_LIT("bob"),
                      .now_ms = gen_u64(g) >> 20,
                      .delta = &delta };
    apply_something(g, here, &op);
    if (delta.len > 0) CHECK_OK(lk_crdt_merge(there, lk_buf_slice(&delta), NULL));
    lk_buf_truncate(&delta, 0);
  }
  CHECK(lk_crdt_compare(here, there) == LK_CRDT_EQUAL);
  CHECK_OK(lk_crdt_value(here, LK_SLICE_EMPTY, &value));
  check_is_json(lk_buf_slice(&value));
  lk_buf_deinit(&delta);
  lk_buf_deinit(&value);
  lk_crdt_close(here);
  lk_crdt_close(there);
}
