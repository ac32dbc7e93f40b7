/* unit/crdt/types_test.c -- what each type of the catalogue does where changes are concurrent.
 *
 * Two replicas, alice and bob, change their own copies by name, as a wire would, meet, and must show the same.
 * The examples are those that are easy to get wrong; histories without number are in history_test.c. */
#include "laniakea/crdt.h"

#include "codec/hex.h"
#include "crdt/position.h"
#include "crdt/state.h"
#include "harness/test.h"

#define YEAR_MS (UINT64_C(365) * 24 * 3600 * 1000)
#define NOW UINT64_C(1800000000000)

static lk_env env_of(const lk_alloc *alloc) { return (lk_env)LK_ENV_INIT(alloc, NULL); }

static lk_crdt *open_new(lk_crdt_kind kind) {
  lk_env env = env_of(test_alloc());
  lk_crdt *out;
  CHECK_OK(lk_crdt_open(&env, kind, &out));
  return out;
}

typedef struct pair {
  lk_crdt *alice, *bob;
} pair;

static pair open_pair(lk_crdt_kind kind) { return (pair){ open_new(kind), open_new(kind) }; }

static void close_pair(pair *two) {
  lk_crdt_close(two->alice);
  lk_crdt_close(two->bob);
}

/* ---- changing ---- */

static lk_err try_at(lk_crdt *crdt, const char *actor, lk_slice path, const char *name,
                     const char *arguments) {
  lk_crdt_op op = { .actor = lk_slice_cstr(actor), .at = path, .now_ms = NOW };
  return lk_crdt_apply(crdt, &op, lk_slice_cstr(name), lk_slice_cstr(arguments));
}

static lk_err try(lk_crdt *crdt, const char *actor, const char *name, const char *arguments) {
  return try_at(crdt, actor, LK_SLICE_EMPTY, name, arguments);
}

static void run(lk_crdt *crdt, const char *actor, const char *name, const char *arguments) {
  test_note("%s: %s%s", actor, name, arguments);
  CHECK_OK(try(crdt, actor, name, arguments));
}

static void run_at(lk_crdt *crdt, const char *actor, lk_slice path, const char *name,
                   const char *arguments) {
  test_note("%s: %s%s", actor, name, arguments);
  CHECK_OK(try_at(crdt, actor, path, name, arguments));
}

static void merge(lk_crdt *to, const lk_crdt *from) {
  lk_buf bytes;
  lk_buf_init(&bytes, test_alloc(), 1 << 24);
  CHECK_OK(lk_crdt_encode(from, &bytes));
  CHECK_OK(lk_crdt_merge(to, lk_buf_slice(&bytes), NULL));
  lk_buf_deinit(&bytes);
}

static void meet(pair *two) {
  test_note("they meet");
  merge(two->alice, two->bob);
  merge(two->bob, two->alice);
  CHECK(lk_crdt_compare(two->alice, two->bob) == LK_CRDT_EQUAL);
}

static lk_crdt *copy_of(const lk_crdt *crdt) {
  lk_crdt *out = open_new(lk_crdt_get_kind(crdt));
  merge(out, crdt);
  return out;
}

/* ---- looking ---- */

static void check_value(unsigned line, const lk_crdt *crdt, lk_slice path, const char *want) {
  lk_buf got;
  lk_buf_init(&got, test_alloc(), 1 << 24);
  test_check_err(LK_FILE, line, "lk_crdt_value", lk_crdt_value(crdt, path, &got), LK_OK);
  test_check_slice(LK_FILE, line, "the value", lk_buf_slice(&got), lk_slice_cstr(want));
  lk_buf_deinit(&got);
}

/* Whose change comes first where two stand side by side is for crdt/position.c to say. */
static void check_either(unsigned line, const pair *two, const char *want, const char * or) {
  lk_buf got;
  lk_buf_init(&got, test_alloc(), 1 << 24);
  CHECK_OK(lk_crdt_value(two->alice, LK_SLICE_EMPTY, &got));
  const char *which = lk_slice_equal(lk_buf_slice(&got), lk_slice_cstr(or)) ? or : want;
  check_value(line, two->alice, LK_SLICE_EMPTY, which);
  check_value(line, two->bob, LK_SLICE_EMPTY, which);
  lk_buf_deinit(&got);
}

#define CHECK_EITHER(two, want, or) check_either(__LINE__, &(two), (want), (or))
#define CHECK_VALUE(crdt, want) check_value(__LINE__, (crdt), LK_SLICE_EMPTY, (want))
#define CHECK_VALUE_AT(crdt, path, want) check_value(__LINE__, (crdt), (path), (want))
#define CHECK_BOTH(two, want)                                                                      \
  do {                                                                                             \
    CHECK_VALUE((two).alice, (want));                                                              \
    CHECK_VALUE((two).bob, (want));                                                                \
  } while (0)

/* Refused with |want|, and not a bit of the state is another one. */
static void check_refused(unsigned line, lk_crdt *crdt, lk_err want, const char *actor,
                          const char *name, const char *arguments) {
  lk_buf delta;
  lk_crdt_op op = { .actor = lk_slice_cstr(actor), .now_ms = NOW, .delta = &delta };
  lk_buf before, after;
  lk_buf_init(&before, test_alloc(), 1 << 24);
  lk_buf_init(&after, test_alloc(), 1 << 24);
  lk_buf_init(&delta, test_alloc(), 1 << 24);
  CHECK_OK(lk_crdt_encode(crdt, &before));
  lk_err got = lk_crdt_apply(crdt, &op, lk_slice_cstr(name), lk_slice_cstr(arguments));
  test_check_err(LK_FILE, line, arguments, got, want);
  CHECK_OK(lk_crdt_encode(crdt, &after));
  test_check_slice(LK_FILE, line, "the state", lk_buf_slice(&after), lk_buf_slice(&before));
  CHECK_U64(delta.len, 0);
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
  lk_buf_deinit(&delta);
}

#define CHECK_REFUSED(crdt, want, actor, name, arguments)                                          \
  check_refused(__LINE__, (crdt), (want), (actor), (name), (arguments))

/* Paths of one step, good until the next call. */
static lk_slice below(lk_crdt_kind kind, const char *key) {
  static uint8_t room[300];
  lk_buf path;
  lk_buf_init(&path, test_alloc(), sizeof room);
  CHECK_OK(lk_crdt_path_append(&path, kind, lk_slice_cstr(key)));
  lk_slice out = lk_slice_of(room, path.len);
  memcpy(room, path.ptr, path.len);
  lk_buf_deinit(&path);
  return out;
}

/* ---- the catalogue ---- */

typedef struct entry {
  const lk_crdt_type *type;
  const char *name;
  uint64_t number;
  const char *shape;
  const char *operations;
} entry;

static const entry catalogue[] = {
#define CRDT_TYPE(name, number, shape, operations, value, text)                                    \
  { &lk_crdt_type_##name, #name, number, #shape, operations },
#include "crdt/types.def"
#undef CRDT_TYPE
};
#define LINES (sizeof catalogue / sizeof catalogue[0])

TEST(types_are_found_by_number_name_and_place) {
  lk_crdt_kind kind;
  for (size_t i = 0; i < LINES; i++) {
    const entry *want = &catalogue[i];
    test_note("%s", want->name);
    CHECK(lk_crdt_type_at(i) == want->type);
    CHECK(lk_crdt_type_of(want->number) == want->type);
    CHECK(lk_crdt_type_named(lk_slice_cstr(want->name)) == want->type);
    CHECK_U64(want->type->number, want->number);
    CHECK_SLICE(lk_slice_cstr(want->type->name), lk_slice_cstr(want->name));
    CHECK_OK(lk_crdt_kind_of(lk_slice_cstr(want->name), &kind));
    CHECK_U64(kind, want->number);
  }
  CHECK(lk_crdt_type_at(LINES) == NULL);
  CHECK(lk_crdt_type_of(0) == NULL && lk_crdt_type_of(LINES + 1) == NULL);
  CHECK(lk_crdt_type_of(UINT64_MAX) == NULL);
  CHECK(lk_crdt_type_named(LK_LIT("")) == NULL && lk_crdt_type_named(LK_LIT("orse")) == NULL);
  CHECK_ERR(lk_crdt_kind_of(LK_LIT("orsets"), &kind), LK_ERR_UNKNOWN_TYPE);
  CHECK_OK(lk_crdt_kind_of(LK_LIT("text"), &kind));
  CHECK_U64(kind, LK_CRDT_TEXT);
}

/* "add(element: json); clear()" names add and clear. */
static bool names_operation(const char *operations, lk_slice name) {
  for (lk_slice rest = lk_slice_cstr(operations); rest.len > 0;) {
    lk_slice one = lk_slice_trim(lk_slice_cut(rest, ';', &rest));
    lk_slice arguments;
    if (lk_slice_equal(lk_slice_cut(one, '(', &arguments), name)) return true;
  }
  return false;
}

static uint32_t count_byte(const char *text, char byte) {
  uint32_t count = 0;
  for (; *text != 0; text++) count += *text == byte;
  return count;
}

/* Goal: the documentation, made from types.def, and the code name the same operations and shapes. */
TEST(tables_of_operations_are_those_of_the_catalogue) {
  for (size_t i = 0; i < LINES; i++) {
    const lk_crdt_type *type = catalogue[i].type;
    test_note("%s", type->name);
    CHECK_U64(type->operation_count, count_byte(catalogue[i].operations, '('));
    for (uint32_t k = 0; k < type->operation_count; k++) {
      lk_slice name = lk_slice_cstr(type->operations[k].name);
      test_note("operation %s", type->operations[k].name);
      CHECK(names_operation(catalogue[i].operations, name));
      for (uint32_t m = 0; m < k; m++) {
        CHECK(!lk_slice_equal(lk_slice_cstr(type->operations[m].name), name));
      }
    }
  }
}

TEST(shapes_are_those_of_the_catalogue_and_have_what_they_need) {
  for (size_t i = 0; i < LINES; i++) {
    const lk_crdt_type *type = catalogue[i].type;
    lk_slice shape = lk_slice_cstr(catalogue[i].shape);
    test_note("%s", type->name);
    CHECK(lk_shape_is(type, LK_SHAPE_ROOT) == lk_slice_starts_with(shape, LK_LIT("ROOT")));
    CHECK(lk_shape_is(type, LK_SHAPE_ELEMENTS) == lk_slice_starts_with(shape, LK_LIT("ELEMENTS")));
    CHECK(lk_shape_is(type, LK_SHAPE_MAP) == lk_slice_starts_with(shape, LK_LIT("MAP")));
    CHECK(lk_shape_has_values(type) == lk_slice_ends_with(shape, LK_LIT("VALUES")));
    CHECK(lk_shape_has_runs(type) == lk_slice_ends_with(shape, LK_LIT("RUNS")));
    CHECK(type->write_value != NULL);
    CHECK(!lk_shape_is(type, LK_SHAPE_ELEMENTS) || type->check_key != NULL);
    CHECK((type->check_value != NULL) == lk_shape_has_values(type));
    CHECK((type->key_to_json == NULL) == (type->key_of_json == NULL));
    CHECK((type->value_to_json == NULL) == (type->value_of_json == NULL));
    CHECK(type->ordered == (type->position_of != NULL));
    CHECK(type->ordered == (type->compare_places != NULL));
  }
}

TEST(an_actor_is_short_text) {
  uint8_t name[LK_ACTOR_LEN_MAX + 1];
  memset(name, 'n', sizeof name);
  CHECK_OK(lk_crdt_check_actor(LK_LIT("a")));
  CHECK_OK(lk_crdt_check_actor(lk_slice_of(name, LK_ACTOR_LEN_MAX)));
  CHECK_ERR(lk_crdt_check_actor(lk_slice_of(name, sizeof name)), LK_ERR_ACTOR);
  CHECK_ERR(lk_crdt_check_actor(LK_SLICE_EMPTY), LK_ERR_ACTOR);
  CHECK_ERR(lk_crdt_check_actor(LK_LIT("\xff")), LK_ERR_ACTOR);
}

/* ---- operations by name ---- */

TEST(arguments_that_do_not_fit_are_refused) {
  static const struct {
    lk_crdt_kind kind;
    const char *name, *arguments;
    lk_err want;
  } cases[] = {
    { LK_CRDT_GCOUNTER, "increment", "[1]", LK_OK },
    { LK_CRDT_GCOUNTER, "increment", " [ 18446744073709551615 ] ", LK_OK },
    { LK_CRDT_GCOUNTER, "increment", "[18446744073709551616]", LK_ERR_PAYLOAD },
    { LK_CRDT_GCOUNTER, "increment", "[-1]", LK_ERR_PAYLOAD },
    { LK_CRDT_GCOUNTER, "increment", "[1.5]", LK_ERR_PAYLOAD },
    { LK_CRDT_GCOUNTER, "increment", "[\"1\"]", LK_ERR_PAYLOAD },
    { LK_CRDT_GCOUNTER, "increment", "[[1]]", LK_ERR_PAYLOAD },
    { LK_CRDT_GCOUNTER, "increment", "[]", LK_ERR_PAYLOAD },
    { LK_CRDT_GCOUNTER, "increment", "[1,2]", LK_ERR_PAYLOAD },
    { LK_CRDT_GCOUNTER, "increment", "1", LK_ERR_PAYLOAD },
    { LK_CRDT_GCOUNTER, "increment", "{\"amount\":1}", LK_ERR_PAYLOAD },
    { LK_CRDT_GCOUNTER, "increment", "[1", LK_ERR_TRUNCATED },
    { LK_CRDT_GCOUNTER, "increment", "[\"1\"", LK_ERR_TRUNCATED },
    { LK_CRDT_GCOUNTER, "increment", "", LK_ERR_TRUNCATED },
    { LK_CRDT_GCOUNTER, "increment", "[1] 2", LK_ERR_TRAILING },
    { LK_CRDT_GCOUNTER, "increment", "[01]", LK_ERR_SYNTAX },
    { LK_CRDT_GCOUNTER, "increment", "[0]", LK_ERR_RANGE },
    { LK_CRDT_GCOUNTER, "decrement", "[1]", LK_ERR_UNKNOWN_OP },
    { LK_CRDT_GCOUNTER, "incremen", "[1]", LK_ERR_UNKNOWN_OP },
    { LK_CRDT_GCOUNTER, "", "[1]", LK_ERR_UNKNOWN_OP },
    { LK_CRDT_PNCOUNTER, "increment", "[0]", LK_ERR_RANGE },
    { LK_CRDT_PNCOUNTER, "decrement", "[0]", LK_ERR_RANGE },
    { LK_CRDT_BCOUNTER, "increment", "[0]", LK_ERR_RANGE },
    { LK_CRDT_BCOUNTER, "decrement", "[0]", LK_ERR_RANGE },
    { LK_CRDT_BCOUNTER, "transfer", "[\"bob\",0]", LK_ERR_RANGE },
    { LK_CRDT_BCOUNTER, "transfer", "[\"bob\"]", LK_ERR_PAYLOAD },
    { LK_CRDT_BCOUNTER, "transfer", "[1,\"bob\"]", LK_ERR_PAYLOAD },
    { LK_CRDT_BCOUNTER, "transfer", "[\"bob\",1,2]", LK_ERR_PAYLOAD },
    { LK_CRDT_BCOUNTER, "transfer", "[\"\",1]", LK_ERR_ACTOR },
    { LK_CRDT_ORSET, "add", "[]", LK_ERR_PAYLOAD },
    { LK_CRDT_ORSET, "add", "{\"element\":1}", LK_ERR_PAYLOAD },
    { LK_CRDT_ORSET, "add", "[1e999]", LK_ERR_RANGE },
    { LK_CRDT_ORSET, "add", "[{\"a\":1,\"a\":2}]", LK_ERR_EXISTS },
    { LK_CRDT_ORSET, "add", "[\"\\ud800\"]", LK_ERR_UTF8 },
    { LK_CRDT_ORSET, "add", "[null]", LK_OK },
    { LK_CRDT_ORSET, "clear", "[]", LK_OK },
    { LK_CRDT_ORSET, "clear", "[1]", LK_ERR_PAYLOAD },
    { LK_CRDT_ORSET, "clear", "{}", LK_ERR_PAYLOAD },
    { LK_CRDT_EWFLAG, "enable", "[true]", LK_ERR_PAYLOAD },
    { LK_CRDT_DWFLAG, "disable", "[]", LK_OK },
    { LK_CRDT_ORMAP, "remove", "[1]", LK_ERR_PAYLOAD },
    { LK_CRDT_ORMAP, "remove", "[\"k\"]", LK_OK },
    { LK_CRDT_LIST, "insert", "[1,2]", LK_ERR_RANGE },
    { LK_CRDT_LIST, "insert", "[4294967296,2]", LK_ERR_PAYLOAD },
    { LK_CRDT_LIST, "insert", "[0]", LK_ERR_PAYLOAD },
    { LK_CRDT_LIST, "insert", "[0,{}]", LK_OK },
    { LK_CRDT_LIST, "set", "[0,1]", LK_ERR_RANGE },
    { LK_CRDT_LIST, "delete", "[0]", LK_ERR_RANGE },
    { LK_CRDT_LIST, "move", "[0,0]", LK_ERR_RANGE },
    { LK_CRDT_LIST, "move", "[0]", LK_ERR_PAYLOAD },
    { LK_CRDT_TEXT, "insert", "[0,1]", LK_ERR_PAYLOAD },
    { LK_CRDT_TEXT, "insert", "[1,\"a\"]", LK_ERR_RANGE },
    { LK_CRDT_TEXT, "insert", "[1,\"\"]", LK_ERR_RANGE },
    { LK_CRDT_TEXT, "insert", "[0,\"\\u0000\\ud83d\\ude00\"]", LK_OK },
    { LK_CRDT_TEXT, "delete", "[0,1]", LK_ERR_RANGE },
    { LK_CRDT_TEXT, "delete", "[0,0]", LK_OK },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_crdt *crdt = open_new(cases[i].kind);
    test_note("%s%s", cases[i].name, cases[i].arguments);
    if (cases[i].want == LK_OK) run(crdt, "alice", cases[i].name, cases[i].arguments);
    else CHECK_REFUSED(crdt, cases[i].want, "alice", cases[i].name, cases[i].arguments);
    lk_crdt_close(crdt);
  }
}

TEST(an_operation_asks_for_its_type_and_for_an_actor) {
  lk_crdt *map = open_new(LK_CRDT_ORMAP), *set = open_new(LK_CRDT_ORSET);
  lk_crdt_op op = { .actor = LK_LIT("alice") };
  CHECK_ERR(lk_gcounter_add(set, &op, 1), LK_ERR_TYPE);
  CHECK_ERR(lk_text_insert(set, &op, 0, LK_LIT("a")), LK_ERR_TYPE);
  CHECK_ERR(lk_ewflag_set(set, &op, true), LK_ERR_TYPE);
  CHECK_REFUSED(set, LK_ERR_ACTOR, "", "add", "[1]");
  CHECK_ERR(try_at(set, "alice", below(LK_CRDT_ORSET, "k"), "add", "[1]"), LK_ERR_TYPE);
  CHECK_ERR(try_at(map, "alice", below(LK_CRDT_ORSET, "k"), "enable", "[]"), LK_ERR_UNKNOWN_OP);
  CHECK_OK(try_at(map, "alice", below(LK_CRDT_ORSET, "k"), "add", "[1]"));
  CHECK_VALUE(map, "{\"k\":[1]}");
  lk_crdt_close(map);
  lk_crdt_close(set);
}

/* ---- counters ---- */

TEST(concurrent_increments_add_up) {
  pair two = open_pair(LK_CRDT_GCOUNTER);
  CHECK_VALUE(two.alice, "0");
  run(two.alice, "alice", "increment", "[3]");
  run(two.bob, "bob", "increment", "[5]");
  meet(&two);
  CHECK_BOTH(two, "8");
  meet(&two);
  CHECK_BOTH(two, "8"); /* and nothing counts twice */
  close_pair(&two);
}

/* Both tabs are alice's, but a user is no replica: each has an actor of its own, or one would be lost. */
TEST(two_tabs_of_one_user_are_two_actors) {
  pair tabs = open_pair(LK_CRDT_GCOUNTER);
  run(tabs.alice, "alice/tab-1", "increment", "[1]");
  run(tabs.bob, "alice/tab-2", "increment", "[1]");
  meet(&tabs);
  CHECK_BOTH(tabs, "2");
  close_pair(&tabs);
}

TEST(increments_beyond_64_bits_are_refused_without_change) {
  lk_crdt *crdt = open_new(LK_CRDT_GCOUNTER);
  run(crdt, "alice", "increment", "[18446744073709551615]");
  CHECK_VALUE(crdt, "18446744073709551615");
  CHECK_REFUSED(crdt, LK_ERR_OVERFLOW, "alice", "increment", "[1]");
  CHECK_REFUSED(crdt, LK_ERR_OVERFLOW, "bob", "increment", "[1]");
  CHECK_VALUE(crdt, "18446744073709551615");
  lk_crdt_close(crdt);
}

TEST(a_pncounter_goes_both_ways_and_below_zero) {
  pair two = open_pair(LK_CRDT_PNCOUNTER);
  CHECK_VALUE(two.alice, "0");
  run(two.alice, "alice", "increment", "[3]");
  meet(&two);
  /* Each takes two away from what both see: four in all, although three are there. */
  run(two.alice, "alice", "decrement", "[2]");
  run(two.bob, "bob", "decrement", "[2]");
  CHECK_VALUE(two.alice, "1");
  meet(&two);
  CHECK_BOTH(two, "-1");
  run(two.bob, "bob", "increment", "[1]");
  CHECK_VALUE(two.bob, "0");
  close_pair(&two);
}

TEST(a_pncounter_has_65_bits) {
  lk_crdt *crdt = open_new(LK_CRDT_PNCOUNTER);
  run(crdt, "alice", "decrement", "[18446744073709551615]");
  CHECK_VALUE(crdt, "-18446744073709551615");
  CHECK_REFUSED(crdt, LK_ERR_OVERFLOW, "bob", "decrement", "[1]");
  run(crdt, "bob", "increment", "[18446744073709551615]");
  CHECK_VALUE(crdt, "0");
  lk_crdt_close(crdt);
}

TEST(a_bcounter_never_goes_below_zero) {
  pair two = open_pair(LK_CRDT_BCOUNTER);
  CHECK_VALUE(two.alice, "{\"rights\":{},\"value\":0}");
  CHECK_REFUSED(two.alice, LK_ERR_RIGHTS, "alice", "decrement", "[1]");
  run(two.alice, "alice", "increment", "[3]");
  meet(&two);
  /* There are three, but they are alice's to take. */
  CHECK_REFUSED(two.bob, LK_ERR_RIGHTS, "bob", "decrement", "[1]");
  CHECK_REFUSED(two.alice, LK_ERR_RIGHTS, "alice", "decrement", "[4]");
  run(two.alice, "alice", "decrement", "[2]");
  run(two.bob, "bob", "increment", "[1]");
  meet(&two);
  CHECK_BOTH(two, "{\"rights\":{\"alice\":1,\"bob\":1},\"value\":2}");
  run(two.alice, "alice", "decrement", "[1]");
  run(two.bob, "bob", "decrement", "[1]");
  meet(&two);
  CHECK_BOTH(two, "{\"rights\":{},\"value\":0}");
  close_pair(&two);
}

TEST(rights_are_transferred_once) {
  pair two = open_pair(LK_CRDT_BCOUNTER);
  run(two.alice, "alice", "increment", "[5]");
  run(two.alice, "alice", "transfer", "[\"bob\",3]");
  CHECK_VALUE(two.alice, "{\"rights\":{\"alice\":2,\"bob\":3},\"value\":5}");
  CHECK_REFUSED(two.alice, LK_ERR_RIGHTS, "alice", "decrement", "[3]");
  CHECK_REFUSED(two.alice, LK_ERR_RIGHTS, "alice", "transfer", "[\"carol\",3]");
  CHECK_REFUSED(two.alice, LK_ERR_ACTOR, "alice", "transfer", "[\"alice\",1]");
  meet(&two);
  run(two.bob, "bob", "decrement", "[3]");
  run(two.alice, "alice", "decrement", "[2]");
  meet(&two);
  meet(&two);
  CHECK_BOTH(two, "{\"rights\":{},\"value\":0}");
  close_pair(&two);
}

/* Goal: units are taken from several runs, in the middle of which others were taken before. */
TEST(rights_from_many_sources_are_spent_as_one) {
  lk_crdt *crdt = open_new(LK_CRDT_BCOUNTER);
  run(crdt, "bob", "increment", "[10]");
  run(crdt, "carol", "increment", "[10]");
  run(crdt, "alice", "increment", "[2]");
  run(crdt, "bob", "transfer", "[\"alice\",4]");
  run(crdt, "carol", "transfer", "[\"alice\",1]");
  CHECK_VALUE(crdt, "{\"rights\":{\"alice\":7,\"bob\":6,\"carol\":9},\"value\":22}");
  run(crdt, "alice", "decrement", "[1]");
  run(crdt, "alice", "decrement", "[3]");
  CHECK_VALUE(crdt, "{\"rights\":{\"alice\":3,\"bob\":6,\"carol\":9},\"value\":18}");
  run(crdt, "alice", "increment", "[1]");
  run(crdt, "alice", "transfer", "[\"bob\",4]");
  CHECK_VALUE(crdt, "{\"rights\":{\"bob\":10,\"carol\":9},\"value\":19}");
  lk_crdt_close(crdt);
}

TEST(a_bcounter_shows_a_sum_of_more_than_64_bits) {
  pair two = open_pair(LK_CRDT_BCOUNTER);
  run(two.alice, "alice", "increment", "[18446744073709551615]");
  CHECK_REFUSED(two.alice, LK_ERR_OVERFLOW, "bob", "increment", "[1]");
  run(two.bob, "bob", "increment", "[18446744073709551614]");
  meet(&two);
  CHECK_BOTH(two, "{\"rights\":{\"alice\":18446744073709551615,\"bob\":18446744073709551614},"
                  "\"value\":36893488147419103229}");
  CHECK_REFUSED(two.bob, LK_ERR_OVERFLOW, "carol", "increment", "[1]");
  run(two.bob, "bob", "decrement", "[18446744073709551614]");
  CHECK_VALUE(two.bob, "{\"rights\":{\"alice\":18446744073709551615},"
                       "\"value\":18446744073709551615}");
  run(two.bob, "alice", "decrement", "[17446744073709551608]");
  CHECK_VALUE(two.bob, "{\"rights\":{\"alice\":1000000000000000007},"
                       "\"value\":1000000000000000007}");
  close_pair(&two);
}

TEST(a_bcounter_adds_up_in_decimal) {
  lk_crdt *crdt = open_new(LK_CRDT_BCOUNTER);
  run(crdt, "alice", "increment", "[900000000000000000]");
  run(crdt, "bob", "increment", "[99999999999999999]");
  CHECK_VALUE(crdt, "{\"rights\":{\"alice\":900000000000000000,\"bob\":99999999999999999},"
                    "\"value\":999999999999999999}");
  run(crdt, "bob", "increment", "[6]");
  CHECK_VALUE(crdt, "{\"rights\":{\"alice\":900000000000000000,\"bob\":100000000000000005},"
                    "\"value\":1000000000000000005}");
  lk_crdt_close(crdt);
}

/* ---- sets ---- */

TEST(equal_values_are_one_element) {
  lk_crdt *set = open_new(LK_CRDT_GSET);
  CHECK_VALUE(set, "[]");
  run(set, "alice", "add", "[1]");
  run(set, "alice", "add", "[1.0]");
  run(set, "alice", "add", "[{\"b\":2,\"a\":[ ]}]");
  run(set, "alice", "add", "[{\"a\":[],\"b\":2e0}]");
  run(set, "alice", "add", "[\"\\u0041\"]");
  CHECK_VALUE(set, "[\"A\",1,{\"a\":[],\"b\":2}]");
  CHECK_U64(lk_crdt_get_size(set).entries, 3);
  lk_crdt_close(set);
}

TEST(an_add_wins_over_a_concurrent_remove) {
  pair two = open_pair(LK_CRDT_ORSET);
  run(two.alice, "alice", "add", "[\"blue\"]");
  meet(&two);
  run(two.alice, "alice", "remove", "[\"blue\"]");
  run(two.bob, "bob", "add", "[\"blue\"]"); /* again: alice has not seen this one */
  meet(&two);
  CHECK_BOTH(two, "[\"blue\"]");
  run(two.alice, "alice", "remove", "[\"blue\"]");
  meet(&two);
  CHECK_BOTH(two, "[]");
  close_pair(&two);
}

TEST(a_removed_element_stays_removed_when_an_old_state_arrives_again) {
  pair two = open_pair(LK_CRDT_ORSET);
  run(two.alice, "alice", "add", "[1]");
  run(two.alice, "alice", "add", "[2]");
  lk_crdt *old = copy_of(two.alice);
  run(two.alice, "alice", "remove", "[1]");
  merge(two.alice, old);
  CHECK_VALUE(two.alice, "[2]");
  meet(&two);
  merge(two.bob, old);
  CHECK_BOTH(two, "[2]");
  lk_crdt_close(old);
  close_pair(&two);
}

TEST(clearing_takes_away_what_was_seen) {
  pair two = open_pair(LK_CRDT_ORSET);
  run(two.alice, "alice", "add", "[1]");
  run(two.alice, "alice", "add", "[2]");
  meet(&two);
  run(two.alice, "alice", "clear", "[]");
  CHECK_VALUE(two.alice, "[]");
  run(two.bob, "bob", "add", "[2]");
  run(two.bob, "bob", "add", "[3]");
  meet(&two);
  CHECK_BOTH(two, "[2,3]");
  close_pair(&two);
}

TEST(a_remove_wins_over_a_concurrent_add_in_an_rwset) {
  pair two = open_pair(LK_CRDT_RWSET);
  run(two.alice, "alice", "add", "[\"eve\"]");
  meet(&two);
  run(two.alice, "alice", "remove", "[\"eve\"]");
  run(two.bob, "bob", "add", "[\"eve\"]");
  run(two.bob, "bob", "add", "[\"mallory\"]");
  meet(&two);
  CHECK_BOTH(two, "[\"mallory\"]");
  run(two.bob, "bob", "add", "[\"eve\"]"); /* with knowledge of the removal */
  meet(&two);
  CHECK_BOTH(two, "[\"eve\",\"mallory\"]");
  close_pair(&two);
}

TEST(an_rwset_can_remove_what_it_has_not_seen) {
  pair two = open_pair(LK_CRDT_RWSET);
  run(two.alice, "alice", "remove", "[\"eve\"]");
  CHECK_VALUE(two.alice, "[]");
  run(two.bob, "bob", "add", "[\"eve\"]");
  meet(&two);
  CHECK_BOTH(two, "[]");
  close_pair(&two);
}

/* ---- flags ---- */

/* Alice disables what both see on while bob enables it; bob settles it then with |settle|. */
static void play_flag(lk_crdt_kind kind, const char *met, const char *settle, const char *settled) {
  pair two = open_pair(kind);
  CHECK_VALUE(two.alice, "false");
  run(two.alice, "alice", "enable", "[]");
  meet(&two);
  CHECK_BOTH(two, "true");
  run(two.alice, "alice", "disable", "[]");
  CHECK_VALUE(two.alice, "false");
  run(two.bob, "bob", "enable", "[]");
  meet(&two);
  CHECK_BOTH(two, met);
  run(two.bob, "bob", settle, "[]");
  meet(&two);
  CHECK_BOTH(two, settled);
  close_pair(&two);
}

TEST(enabling_wins_in_an_ewflag) { play_flag(LK_CRDT_EWFLAG, "true", "disable", "false"); }

TEST(disabling_wins_in_a_dwflag) { play_flag(LK_CRDT_DWFLAG, "false", "enable", "true"); }

/* ---- registers ---- */

static void set_at(lk_crdt *crdt, const char *actor, uint64_t now_ms, const char *json,
                   lk_buf *delta) {
  lk_crdt_op op = { .actor = lk_slice_cstr(actor), .now_ms = now_ms, .delta = delta };
  test_note("%s: set %s", actor, json);
  CHECK_OK(lk_lww_set(crdt, &op, lk_slice_cstr(json)));
}

TEST(of_concurrent_writes_the_later_one_wins_and_then_the_greater_actor) {
  pair two = open_pair(LK_CRDT_LWW);
  CHECK_VALUE(two.alice, "null");
  set_at(two.alice, "alice", NOW + 1, "\"later\"", NULL);
  set_at(two.bob, "bob", NOW, "\"earlier\"", NULL);
  meet(&two);
  CHECK_BOTH(two, "\"later\"");
  set_at(two.alice, "alice", NOW + 9, "\"of alice\"", NULL);
  set_at(two.bob, "bob", NOW + 9, "\"of bob\"", NULL);
  meet(&two);
  CHECK_BOTH(two, "\"of bob\"");
  CHECK_U64(lk_crdt_get_size(two.bob).entries, 2);
  set_at(two.bob, "bob", NOW + 9, "\"one\"", NULL);
  CHECK_U64(lk_crdt_get_size(two.bob).entries, 1);
  close_pair(&two);
}

/* Goal: who has seen a value wins over it, whatever the clocks say, and against everybody else who wrote apart from
 * both as well. */
TEST(a_clock_that_is_a_year_ahead_does_not_win_for_a_year) {
  pair two = open_pair(LK_CRDT_LWW);
  lk_crdt *carol = open_new(LK_CRDT_LWW);
  set_at(carol, "carol", NOW + YEAR_MS, "\"of carol, early\"", NULL);
  set_at(two.alice, "alice", NOW + YEAR_MS, "\"from the future\"", NULL);
  meet(&two);
  set_at(two.bob, "bob", NOW, "\"right clock\"", NULL);
  meet(&two);
  CHECK_BOTH(two, "\"right clock\"");
  merge(two.alice, carol);
  CHECK_VALUE(two.alice, "\"right clock\"");
  set_at(two.alice, "alice", NOW + 5, "\"and on\"", NULL);
  meet(&two);
  CHECK_BOTH(two, "\"and on\"");
  lk_crdt_close(carol);
  close_pair(&two);
}

TEST(a_write_from_the_future_is_not_let_in) {
  lk_crdt *crdt = open_new(LK_CRDT_LWW);
  lk_env env = env_of(test_alloc());
  lk_buf delta;
  lk_buf_init(&delta, test_alloc(), 1000);
  set_at(crdt, "alice", NOW + YEAR_MS, "1", &delta);
  CHECK_ERR(lk_crdt_admit(lk_buf_slice(&delta), &env, NOW, 60000), LK_ERR_CLOCK);
  CHECK_ERR(lk_crdt_admit(lk_buf_slice(&delta), &env, NOW, YEAR_MS - 1), LK_ERR_CLOCK);
  CHECK_OK(lk_crdt_admit(lk_buf_slice(&delta), &env, NOW, YEAR_MS));
  CHECK_OK(lk_crdt_admit(lk_buf_slice(&delta), &env, NOW + 2 * YEAR_MS, 0));
  lk_buf_deinit(&delta);
  lk_crdt_close(crdt);
}

TEST(an_mvreg_keeps_exactly_the_concurrent_values) {
  pair two = open_pair(LK_CRDT_MVREG);
  CHECK_VALUE(two.alice, "[]");
  run(two.alice, "alice", "set", "[\"red\"]");
  CHECK_VALUE(two.alice, "[\"red\"]");
  meet(&two);
  run(two.alice, "alice", "set", "[\"green\"]");
  run(two.alice, "alice", "set", "[\"yellow\"]"); /* has seen green */
  run(two.bob, "bob", "set", "[\"blue\"]");
  meet(&two);
  CHECK_BOTH(two, "[\"blue\",\"yellow\"]"); /* all have seen red */
  run(two.bob, "bob", "set", "[\"white\"]");
  meet(&two);
  CHECK_BOTH(two, "[\"white\"]");
  run(two.alice, "alice", "set", "[{ \"a\" : 1 }]");
  run(two.bob, "bob", "set", "[{\"a\":1.0}]");
  meet(&two);
  CHECK_BOTH(two, "[{\"a\":1}]");
  CHECK_U64(lk_crdt_get_size(two.alice).entries, 2);
  close_pair(&two);
}

/* ---- maps ---- */

TEST(removing_a_key_keeps_a_concurrent_update_below_it_and_only_that) {
  pair two = open_pair(LK_CRDT_ORMAP);
  lk_slice hits = below(LK_CRDT_GCOUNTER, "hits");
  CHECK_VALUE(two.alice, "{}");
  run_at(two.alice, "alice", hits, "increment", "[10]");
  meet(&two);
  CHECK_VALUE_AT(two.bob, hits, "10");
  run(two.alice, "alice", "remove", "[\"hits\"]");
  CHECK_VALUE(two.alice, "{}");
  run_at(two.bob, "bob", hits, "increment", "[5]");
  CHECK_VALUE_AT(two.bob, hits, "15");
  meet(&two);
  CHECK_BOTH(two, "{\"hits\":5}");
  close_pair(&two);
}

/* The same for a type of each family; in each |first| is removed with the key and |then| happens elsewhere. */
TEST(what_is_changed_below_a_removed_key_survives_for_every_type) {
  static const struct {
    lk_crdt_kind kind;
    const char *first, *first_arguments, *then, *then_arguments, *want;
  } cases[] = {
    { LK_CRDT_GCOUNTER, "increment", "[1]", "increment", "[2]", "{\"k\":2}" },
    { LK_CRDT_PNCOUNTER, "increment", "[7]", "decrement", "[2]", "{\"k\":-2}" },
    { LK_CRDT_BCOUNTER, "increment", "[7]", "increment", "[2]",
      "{\"k\":{\"rights\":{\"bob\":2},\"value\":2}}" },
    { LK_CRDT_GSET, "add", "[1]", "add", "[1]", "{\"k\":[1]}" },
    { LK_CRDT_ORSET, "add", "[1]", "add", "[2]", "{\"k\":[2]}" },
    { LK_CRDT_ORSET, "add", "[1]", "remove", "[1]", "{}" },
    { LK_CRDT_RWSET, "add", "[1]", "add", "[2]", "{\"k\":[2]}" },
    { LK_CRDT_EWFLAG, "enable", "[]", "enable", "[]", "{\"k\":true}" },
    { LK_CRDT_DWFLAG, "disable", "[]", "enable", "[]", "{\"k\":true}" },
    { LK_CRDT_LWW, "set", "[1]", "set", "[2]", "{\"k\":2}" },
    { LK_CRDT_MVREG, "set", "[1]", "set", "[2]", "{\"k\":[2]}" },
    { LK_CRDT_LIST, "insert", "[0,1]", "insert", "[1,2]", "{\"k\":[2]}" },
    { LK_CRDT_LIST, "insert", "[0,1]", "set", "[0,2]", "{\"k\":[2]}" },
    { LK_CRDT_TEXT, "insert", "[0,\"ab\"]", "insert", "[1,\"-\"]", "{\"k\":\"-\"}" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    pair two = open_pair(LK_CRDT_ORMAP);
    lk_slice path = below(cases[i].kind, "k");
    test_note("case %zu", i);
    run_at(two.alice, "alice", path, cases[i].first, cases[i].first_arguments);
    meet(&two);
    run(two.alice, "alice", "remove", "[\"k\"]");
    run_at(two.bob, "bob", path, cases[i].then, cases[i].then_arguments);
    meet(&two);
    CHECK_BOTH(two, cases[i].want);
    close_pair(&two);
  }
}

TEST(maps_nest_and_are_removed_with_all_that_is_below) {
  pair two = open_pair(LK_CRDT_ORMAP);
  lk_buf path;
  lk_buf_init(&path, test_alloc(), 1000);
  CHECK_OK(lk_crdt_path_append(&path, LK_CRDT_ORMAP, LK_LIT("author")));
  size_t author = path.len;
  CHECK_OK(lk_crdt_path_append(&path, LK_CRDT_LWW, LK_LIT("name")));
  run_at(two.alice, "alice", lk_buf_slice(&path), "set", "[\"Ann\"]");
  lk_buf_truncate(&path, author);
  CHECK_OK(lk_crdt_path_append(&path, LK_CRDT_ORSET, LK_LIT("tags")));
  run_at(two.alice, "alice", lk_buf_slice(&path), "add", "[1]");
  CHECK_VALUE(two.alice, "{\"author\":{\"name\":\"Ann\",\"tags\":[1]}}");
  meet(&two);
  run(two.alice, "alice", "remove", "[\"author\"]");
  run_at(two.bob, "bob", lk_buf_slice(&path), "add", "[2]");
  meet(&two);
  CHECK_BOTH(two, "{\"author\":{\"tags\":[2]}}");
  run(two.bob, "bob", "remove", "[\"author\"]");
  meet(&two);
  CHECK_BOTH(two, "{}");
  lk_crdt_op op = { .actor = LK_LIT("bob") };
  CHECK_ERR(lk_ormap_remove(two.bob, &op, LK_LIT("\xff")), LK_ERR_UTF8);
  lk_buf_deinit(&path);
  close_pair(&two);
}

TEST(of_two_types_under_one_key_the_lower_number_shows_and_both_are_removed) {
  pair two = open_pair(LK_CRDT_ORMAP);
  run_at(two.alice, "alice", below(LK_CRDT_TEXT, "k"), "insert", "[0,\"a\"]");
  run_at(two.alice, "alice", below(LK_CRDT_TEXT, "a"), "insert", "[0,\"z\"]");
  run_at(two.bob, "bob", below(LK_CRDT_ORSET, "k"), "add", "[1]");
  meet(&two);
  CHECK_BOTH(two, "{\"a\":\"z\",\"k\":[1]}");
  CHECK_VALUE_AT(two.alice, below(LK_CRDT_TEXT, "k"), "\"a\"");
  run(two.alice, "alice", "remove", "[\"k\"]");
  CHECK_VALUE(two.alice, "{\"a\":\"z\"}");
  close_pair(&two);
}

/* UTF-16 puts what is above U+FFFF before U+E000 to U+FFFF; bytes and types would give other orders. */
TEST(keys_are_shown_in_canonical_order) {
  static const char *const keys[] = { "",
                                      "a",
                                      "aa",
                                      "b",
                                      "\xC3\xA9",         /* U+00E9 */
                                      "\xED\x9F\xBF",     /* U+D7FF */
                                      "\xF0\x90\x80\x80", /* U+10000 */
                                      "\xF4\x8F\xBF\xBF", /* U+10FFFF */
                                      "\xEE\x80\x80",     /* U+E000 */
                                      "\xEE\x80\x80\xEF\xBF\xBF",
                                      "\xEF\xBF\xBD" };
  enum { COUNT = sizeof keys / sizeof keys[0] };
  static const lk_crdt_kind kinds[] = { LK_CRDT_TEXT, LK_CRDT_GCOUNTER, LK_CRDT_LIST };
  lk_crdt *map = open_new(LK_CRDT_ORMAP), *rights = open_new(LK_CRDT_BCOUNTER);
  lk_buf want, got, sum;
  lk_buf_init(&want, test_alloc(), 4000);
  lk_buf_init(&sum, test_alloc(), 4000);
  lk_buf_init(&got, test_alloc(), 4000);
  static const char *const starts[] = { "insert", "increment", "insert" };
  static const char *const arguments[] = { "[0,\"x\"]", "[1]", "[0,1]" };
  static const char *const shown[] = { "\"x\"", "1", "[1]" };
  for (size_t i = COUNT; i-- > 0;) {
    run_at(map, "alice", below(kinds[i % 3], keys[i]), starts[i % 3], arguments[i % 3]);
    if (i > 0) run(rights, keys[i], "increment", "[1]");
  }
  for (size_t i = 0; i < COUNT; i++) {
    const char *parts[] = { i == 0 ? "{\"" : ",\"", keys[i], "\":", shown[i % 3] };
    for (size_t k = 0; k < 4; k++) (void)lk_buf_append(&want, lk_slice_cstr(parts[k]));
    const char *owners[] = { i == 1 ? "{\"rights\":{\"" : ",\"", keys[i], "\":1" };
    for (size_t k = 0; i > 0 && k < 3; k++) (void)lk_buf_append(&sum, lk_slice_cstr(owners[k]));
  }
  (void)lk_buf_append(&want, LK_LIT("}"));
  (void)lk_buf_append(&sum, LK_LIT("},\"value\":10}"));
  CHECK_OK(lk_crdt_value(map, LK_SLICE_EMPTY, &got));
  CHECK_SLICE(lk_buf_slice(&got), lk_buf_slice(&want));
  lk_buf_truncate(&got, 0);
  CHECK_OK(lk_crdt_value(rights, LK_SLICE_EMPTY, &got));
  CHECK_SLICE(lk_buf_slice(&got), lk_buf_slice(&sum));
  lk_buf_deinit(&want);
  lk_buf_deinit(&got);
  lk_buf_deinit(&sum);
  lk_crdt_close(map);
  lk_crdt_close(rights);
}

/* ---- lists ---- */

static void fill(lk_crdt *list, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    lk_crdt_op op = { .actor = LK_LIT("alice") };
    uint8_t letter[] = { '"', (uint8_t)('a' + i), '"' };
    CHECK_OK(lk_list_insert(list, &op, i, lk_slice_of(letter, 3)));
  }
}

/* A list of letters in short. */
static void check_letters(unsigned line, const lk_crdt *list, const char *want) {
  lk_buf value, letters;
  lk_buf_init(&value, test_alloc(), 4000);
  lk_buf_init(&letters, test_alloc(), 4000);
  CHECK_OK(lk_crdt_value(list, LK_SLICE_EMPTY, &value));
  for (size_t i = 0; i < value.len; i++) {
    uint8_t byte = value.ptr[i];
    if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z')) {
      (void)lk_buf_append_u8(&letters, byte);
    }
  }
  test_check_slice(LK_FILE, line, "the list", lk_buf_slice(&letters), lk_slice_cstr(want));
  lk_buf_deinit(&value);
  lk_buf_deinit(&letters);
}
#define CHECK_LETTERS(list, want) check_letters(__LINE__, (list), (want))
#define CHECK_BOTH_LETTERS(two, want)                                                              \
  do {                                                                                             \
    CHECK_LETTERS((two).alice, (want));                                                            \
    CHECK_LETTERS((two).bob, (want));                                                              \
  } while (0)

TEST(a_list_does_what_an_array_does) {
  lk_crdt *list = open_new(LK_CRDT_LIST);
  CHECK_VALUE(list, "[]");
  run(list, "alice", "insert", "[0,\"b\"]");
  run(list, "alice", "insert", "[0,\"a\"]");
  run(list, "alice", "insert", "[2,\"d\"]");
  run(list, "bob", "insert", "[2,\"c\"]");
  CHECK_LETTERS(list, "abcd");
  run(list, "bob", "set", "[1,{\"x\":[1, 2]}]");
  CHECK_VALUE(list, "[\"a\",{\"x\":[1,2]},\"c\",\"d\"]");
  run(list, "alice", "delete", "[0]");
  CHECK_VALUE(list, "[{\"x\":[1,2]},\"c\",\"d\"]");
  CHECK_REFUSED(list, LK_ERR_RANGE, "alice", "insert", "[4,1]");
  CHECK_REFUSED(list, LK_ERR_RANGE, "alice", "set", "[3,1]");
  CHECK_REFUSED(list, LK_ERR_RANGE, "alice", "delete", "[3]");
  CHECK_REFUSED(list, LK_ERR_RANGE, "alice", "move", "[3,0]");
  CHECK_REFUSED(list, LK_ERR_RANGE, "alice", "move", "[0,3]");
  CHECK_REFUSED(list, LK_ERR_RANGE, "alice", "move", "[0,4294967295]");
  lk_crdt_close(list);
}

TEST(a_moved_element_stands_at_the_index_that_was_asked_for) {
  enum { COUNT = 5 };
  for (uint32_t from = 0; from < COUNT; from++) {
    for (uint32_t to = 0; to < COUNT; to++) {
      lk_crdt *list = open_new(LK_CRDT_LIST);
      lk_crdt_op op = { .actor = LK_LIT("bob") };
      char want[COUNT + 1] = "abcde", moved = want[from];
      fill(list, COUNT);
      memmove(want + from, want + from + 1, COUNT - 1 - from);
      memmove(want + to + 1, want + to, COUNT - 1 - to);
      want[to] = moved;
      CHECK_OK(lk_list_move(list, &op, from, to));
      CHECK_LETTERS(list, want);
      CHECK_U64(lk_crdt_get_size(list).entries, COUNT);
      lk_crdt_close(list);
    }
  }
}

TEST(concurrent_inserts_at_one_place_stand_side_by_side_in_runs) {
  pair two = open_pair(LK_CRDT_LIST);
  fill(two.alice, 2);
  meet(&two);
  run(two.alice, "alice", "insert", "[1,\"P\"]");
  run(two.alice, "alice", "insert", "[2,\"Q\"]");
  run(two.bob, "bob", "insert", "[1,\"Y\"]"); /* backwards */
  run(two.bob, "bob", "insert", "[1,\"X\"]");
  run(two.bob, "bob", "delete", "[0]");
  meet(&two);
  CHECK_EITHER(two, "[\"P\",\"Q\",\"X\",\"Y\",\"b\"]", "[\"X\",\"Y\",\"P\",\"Q\",\"b\"]");
  close_pair(&two);
}

TEST(concurrent_moves_leave_the_element_once) {
  pair two = open_pair(LK_CRDT_LIST);
  fill(two.alice, 4);
  meet(&two);
  run(two.alice, "alice", "move", "[0,1]");
  run(two.bob, "bob", "move", "[0,3]");
  meet(&two);
  CHECK_BOTH_LETTERS(two, "bcda"); /* a tie: the greater actor */
  run(two.alice, "alice", "move", "[3,0]");
  run(two.alice, "alice", "move", "[0,1]"); /* has seen one move more */
  run(two.bob, "bob", "move", "[3,2]");
  meet(&two);
  CHECK_BOTH_LETTERS(two, "bacd");
  CHECK_U64(lk_crdt_get_size(two.alice).entries, 5); /* both moves of a are there */
  run(two.bob, "bob", "delete", "[1]");
  meet(&two);
  CHECK_BOTH_LETTERS(two, "bcd");
  close_pair(&two);
}

TEST(a_move_and_a_set_of_one_element_both_come_through) {
  pair two = open_pair(LK_CRDT_LIST);
  fill(two.alice, 3);
  meet(&two);
  run(two.alice, "alice", "move", "[0,2]");
  run(two.bob, "bob", "set", "[0,\"A\"]");
  meet(&two);
  CHECK_BOTH_LETTERS(two, "bcA");
  /* And what comes next keeps both: a set at the place, a move with the content. */
  run(two.alice, "alice", "set", "[2,\"B\"]");
  run(two.bob, "bob", "move", "[2,1]");
  meet(&two);
  CHECK_BOTH_LETTERS(two, "bBc");
  run(two.bob, "bob", "move", "[1,0]");
  meet(&two);
  CHECK_BOTH_LETTERS(two, "Bbc");
  close_pair(&two);
}

TEST(of_concurrent_sets_the_one_that_knows_more_wins_and_then_the_greater_actor) {
  pair two = open_pair(LK_CRDT_LIST);
  fill(two.alice, 1);
  meet(&two);
  run(two.alice, "alice", "set", "[0,\"P\"]");
  run(two.bob, "bob", "set", "[0,\"X\"]");
  meet(&two);
  CHECK_BOTH_LETTERS(two, "X");
  run(two.alice, "alice", "set", "[0,\"Q\"]");
  run(two.alice, "alice", "set", "[0,\"R\"]");
  run(two.bob, "bob", "set", "[0,\"Y\"]");
  meet(&two);
  CHECK_BOTH_LETTERS(two, "R");
  close_pair(&two);
}

TEST(moving_or_setting_an_element_wins_over_deleting_it) {
  pair two = open_pair(LK_CRDT_LIST);
  fill(two.alice, 3);
  meet(&two);
  run(two.alice, "alice", "delete", "[0]");
  run(two.alice, "alice", "delete", "[0]");
  run(two.bob, "bob", "move", "[0,2]");
  run(two.bob, "bob", "set", "[0,\"B\"]");
  meet(&two);
  CHECK_BOTH_LETTERS(two, "Bca");
  run(two.alice, "alice", "delete", "[2]");
  meet(&two);
  CHECK_BOTH_LETTERS(two, "Bc");
  close_pair(&two);
}

TEST(an_element_that_leaves_no_room_for_its_place_is_refused) {
  lk_crdt *list = open_new(LK_CRDT_LIST);
  lk_crdt_op op = { .actor = LK_LIT("alice") };
  lk_limits limits = lk_limits_default();
  uint8_t *text = lk_alloc_bytes(test_alloc(), limits.crdt_value_bytes);
  memset(text, 'x', limits.crdt_value_bytes);
  text[0] = '"';
  size_t len = limits.crdt_value_bytes - 3; /* three zeros are in front */
  text[len - 1] = '"';
  CHECK_OK(lk_list_insert(list, &op, 0, lk_slice_of(text, len)));
  CHECK_ERR(lk_list_move(list, &op, 0, 0), LK_ERR_TOO_BIG);
  CHECK_OK(lk_list_set(list, &op, 0, lk_slice_of(text, len)));
  text[len - 1] = 'x';
  text[len] = '"';
  CHECK_ERR(lk_list_insert(list, &op, 0, lk_slice_of(text, len + 1)), LK_ERR_TOO_BIG);
  CHECK_U64(lk_crdt_get_size(list).entries, 1);
  lk_free_bytes(test_alloc(), text, limits.crdt_value_bytes);
  lk_crdt_close(list);
}

/* ---- lists from hostile hands ---- */

/* Merges what |json| says, in which $1 to $3 stand for three positions in order. */
static void merge_forged(lk_crdt *list, const char *json) {
  lk_buf positions[3], text;
  lk_slice left = LK_SLICE_EMPTY;
  lk_buf_init(&text, test_alloc(), 4000);
  for (uint32_t i = 0; i < 3; i++) {
    lk_buf_init(&positions[i], test_alloc(), 100);
    CHECK_OK(lk_position_between(left, LK_SLICE_EMPTY, LK_LIT("eve"), 50 + i, 100, &positions[i]));
    left = lk_buf_slice(&positions[i]);
  }
  for (; *json != 0; json++) {
    if (*json != '$') (void)lk_buf_append_u8(&text, (uint8_t)*json);
    else (void)lk_hex_encode(&text, lk_buf_slice(&positions[*++json - '1']));
  }
  CHECK_OK(lk_crdt_merge_json(list, lk_buf_slice(&text), NULL));
  for (uint32_t i = 0; i < 3; i++) lk_buf_deinit(&positions[i]);
  lk_buf_deinit(&text);
}

/* Goal: no forgery makes a place in a list where nothing can be inserted any more. */
TEST(what_is_inserted_between_elements_of_one_position_goes_behind_them) {
  lk_crdt *list = open_new(LK_CRDT_LIST);
  merge_forged(list, "{\"type\":\"list\",\"known\":{\"eve\":[[1,3]]},\"items\":["
                     "{\"key\":\"$1\",\"facts\":[[\"eve\",1,{\"value\":\"a\",\"at\":\"$2\"}]]},"
                     "{\"key\":\"$2\",\"facts\":[[\"eve\",2,{\"value\":\"b\"}]]},"
                     "{\"key\":\"$3\",\"facts\":[[\"eve\",3,{\"value\":\"c\"}]]}]}");
  CHECK_LETTERS(list, "abc");
  run(list, "alice", "insert", "[1,\"X\"]");
  CHECK_COVERED(crdt_two_elements_claim_one_position);
  CHECK_LETTERS(list, "abXc");
  run(list, "alice", "move", "[3,1]");
  CHECK_LETTERS(list, "abcX");
  run(list, "alice", "delete", "[0]");
  run(list, "alice", "move", "[0,2]");
  CHECK_LETTERS(list, "cXb");
  lk_crdt_close(list);
}

TEST(an_element_whose_counters_are_at_their_end_can_only_be_deleted) {
  lk_crdt *list = open_new(LK_CRDT_LIST);
  merge_forged(list, "{\"type\":\"list\",\"known\":{\"eve\":[[1,1]]},\"items\":["
                     "{\"key\":\"$1\",\"facts\":[[\"eve\",1,{\"value\":\"a\","
                     "\"moves\":18446744073709551615,\"sets\":18446744073709551615}]]}]}");
  CHECK_REFUSED(list, LK_ERR_OVERFLOW, "alice", "move", "[0,0]");
  CHECK_REFUSED(list, LK_ERR_OVERFLOW, "alice", "set", "[0,1]");
  run(list, "alice", "delete", "[0]");
  CHECK_VALUE(list, "[]");
  lk_crdt_close(list);
}

/* Positions have numbers of 63 bits, dots of 64. */
TEST(an_actor_without_numbers_left_makes_no_positions) {
  static const char *const used[] = { "9223372036854775807", "18446744073709551615" };
  for (size_t i = 0; i < 2; i++) {
    lk_crdt *text = open_new(LK_CRDT_TEXT);
    lk_buf json;
    lk_buf_init(&json, test_alloc(), 1000);
    const char *parts[] = { "{\"type\":\"text\",\"known\":{\"alice\":[[", used[i], ",", used[i],
                            "]]}}" };
    for (size_t k = 0; k < 5; k++) (void)lk_buf_append(&json, lk_slice_cstr(parts[k]));
    CHECK_OK(lk_crdt_merge_json(text, lk_buf_slice(&json), NULL));
    CHECK_REFUSED(text, LK_ERR_OVERFLOW, "alice", "insert", "[0,\"a\"]");
    run(text, "alice the second", "insert", "[0,\"a\"]");
    lk_buf_deinit(&json);
    lk_crdt_close(text);
  }
}

/* Elements, keys and values alone, whatever is written around them. */
TEST(a_value_over_the_limit_is_refused) {
  static lk_err (*const changes[])(lk_crdt *, const lk_crdt_op *, lk_slice) = {
    lk_gset_add, lk_orset_add, lk_orset_remove, lk_rwset_add, lk_lww_set, lk_mvreg_set,
  };
  static const lk_crdt_kind kinds[] = {
    LK_CRDT_GSET, LK_CRDT_ORSET, LK_CRDT_ORSET, LK_CRDT_RWSET, LK_CRDT_LWW, LK_CRDT_MVREG,
  };
  lk_crdt_op op = { .actor = LK_LIT("alice"), .now_ms = NOW };
  size_t len = lk_limits_default().crdt_value_bytes + 1;
  uint8_t *text = lk_alloc_bytes(test_alloc(), len);
  memset(text, '1', len);
  text[0] = text[len - 1] = '"';
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    lk_crdt *crdt = open_new(kinds[i]);
    test_note("case %zu", i);
    CHECK_ERR(changes[i](crdt, &op, lk_slice_of(text, len)), LK_ERR_TOO_BIG);
    CHECK_U64(lk_crdt_get_size(crdt).entries, 0);
    lk_crdt_close(crdt);
  }
  lk_free_bytes(test_alloc(), text, len);
}

/* ---- text ---- */

TEST(text_is_counted_in_code_points) {
  lk_crdt *text = open_new(LK_CRDT_TEXT);
  CHECK_VALUE(text, "\"\"");
  run(text, "alice", "insert", "[0,\"a\xC3\xA9\xF0\x9F\x98\x80z\"]");
  run(text, "alice", "insert", "[3,\"\\\"\\n\"]");
  CHECK_VALUE(text, "\"a\xC3\xA9\xF0\x9F\x98\x80\\\"\\nz\"");
  run(text, "alice", "delete", "[1,3]");
  CHECK_VALUE(text, "\"a\\nz\"");
  CHECK_REFUSED(text, LK_ERR_RANGE, "alice", "delete", "[1,3]");
  CHECK_REFUSED(text, LK_ERR_RANGE, "alice", "delete", "[4,0]");
  CHECK_REFUSED(text, LK_ERR_RANGE, "alice", "delete", "[1,4294967295]");
  CHECK_REFUSED(text, LK_ERR_RANGE, "alice", "insert", "[4,\"x\"]");
  run(text, "alice", "delete", "[3,0]");
  run(text, "alice", "insert", "[3,\"\"]");
  CHECK_VALUE(text, "\"a\\nz\"");
  lk_crdt_close(text);
}

TEST(concurrent_edits_of_a_text_all_come_through) {
  pair two = open_pair(LK_CRDT_TEXT);
  run(two.alice, "alice", "insert", "[0,\"the cat sat\"]");
  meet(&two);
  run(two.alice, "alice", "delete", "[4,3]");
  run(two.alice, "alice", "insert", "[4,\"dog\"]");
  run(two.bob, "bob", "insert", "[11,\" down\"]");
  run(two.bob, "bob", "insert", "[5,\"!\"]"); /* within what alice deletes */
  meet(&two);
  CHECK_EITHER(two, "\"the dog! sat down\"", "\"the !dog sat down\"");
  close_pair(&two);
}

TEST(words_that_are_typed_at_one_place_are_not_mixed) {
  pair two = open_pair(LK_CRDT_TEXT);
  run(two.alice, "alice", "insert", "[0,\"<>\"]");
  meet(&two);
  run(two.alice, "alice", "insert", "[1,\"on\"]");
  run(two.alice, "alice", "insert", "[3,\"e\"]");
  run(two.bob, "bob", "insert", "[1,\"t\"]");
  run(two.bob, "bob", "insert", "[2,\"wo\"]");
  meet(&two);
  CHECK_EITHER(two, "\"<onetwo>\"", "\"<twoone>\"");
  close_pair(&two);
}

TEST(more_text_at_once_than_the_limit_is_refused) {
  lk_crdt *text = open_new(LK_CRDT_TEXT);
  lk_crdt_op op = { .actor = LK_LIT("alice") };
  size_t len = lk_limits_default().crdt_value_bytes;
  uint8_t *bytes = lk_alloc_bytes(test_alloc(), len + 1);
  memset(bytes, 'x', len + 1);
  CHECK_ERR(lk_text_insert(text, &op, 0, lk_slice_of(bytes, len + 1)), LK_ERR_TOO_BIG);
  CHECK_ERR(lk_text_insert(text, &op, 0, LK_LIT("\xff")), LK_ERR_UTF8);
  CHECK_ERR(lk_text_insert(text, &op, 0, LK_LIT("a\xC3")), LK_ERR_UTF8);
  CHECK_OK(lk_text_insert(text, &op, 0, lk_slice_of(bytes, len)));
  CHECK_U64(lk_crdt_get_size(text).entries, len);
  lk_free_bytes(test_alloc(), bytes, len + 1);
  lk_crdt_close(text);
}

/* ---- keys and values from outside ---- */

static const lk_crdt_scope *scope(void) {
  static lk_limits limits;
  static lk_crdt_scope out;
  limits = lk_limits_default();
  out = (lk_crdt_scope){ test_alloc(), &limits };
  return &out;
}

TEST(keys_that_no_operation_made_are_refused) {
  static const struct {
    const lk_crdt_type *type;
    lk_slice key;
    lk_err want;
  } cases[] = {
    { &lk_crdt_type_pncounter, LK_LIT_INIT("n"), LK_OK },
    { &lk_crdt_type_pncounter, LK_LIT_INIT("p"), LK_OK },
    { &lk_crdt_type_pncounter, LK_LIT_INIT(""), LK_ERR_CORRUPT },
    { &lk_crdt_type_pncounter, LK_LIT_INIT("np"), LK_ERR_CORRUPT },
    { &lk_crdt_type_bcounter, LK_LIT_INIT("alice"), LK_OK },
    { &lk_crdt_type_bcounter, LK_LIT_INIT(""), LK_ERR_ACTOR },
    { &lk_crdt_type_gset, LK_LIT_INIT("1"), LK_OK },
    { &lk_crdt_type_gset, LK_LIT_INIT("1.0"), LK_ERR_NOT_CANONICAL },
    { &lk_crdt_type_orset, LK_LIT_INIT("{\"a\": 1}"), LK_ERR_NOT_CANONICAL },
    { &lk_crdt_type_orset, LK_LIT_INIT(""), LK_ERR_TRUNCATED },
    { &lk_crdt_type_rwset, LK_LIT_INIT("tru"), LK_ERR_TRUNCATED },
    { &lk_crdt_type_ormap, LK_LIT_INIT("any text"), LK_OK },
    { &lk_crdt_type_ormap, LK_LIT_INIT("\xff"), LK_ERR_UTF8 },
    { &lk_crdt_type_list, LK_LIT_INIT(""), LK_ERR_TRUNCATED },
    { &lk_crdt_type_text, LK_LIT_INIT(""), LK_ERR_TRUNCATED },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    test_note("case %zu", i);
    CHECK_ERR(cases[i].type->check_key(cases[i].key, scope()), cases[i].want);
  }
}

TEST(values_that_no_operation_made_are_refused) {
  static const struct {
    const lk_crdt_type *type;
    lk_slice value;
    lk_err want;
  } cases[] = {
    { &lk_crdt_type_rwset, LK_LIT_INIT("\x00"), LK_OK },
    { &lk_crdt_type_rwset, LK_LIT_INIT("\x01"), LK_OK },
    { &lk_crdt_type_rwset, LK_LIT_INIT("\x02"), LK_ERR_CORRUPT },
    { &lk_crdt_type_dwflag, LK_LIT_INIT(""), LK_ERR_TRUNCATED },
    { &lk_crdt_type_dwflag, LK_LIT_INIT("\x01\x01"), LK_ERR_TRAILING },
    { &lk_crdt_type_lww, LK_LIT_INIT("\x05\x00null"), LK_OK },
    { &lk_crdt_type_lww, LK_LIT_INIT("\x05"), LK_ERR_TRUNCATED },
    { &lk_crdt_type_lww, LK_LIT_INIT("\x05\x00"), LK_ERR_TRUNCATED },
    { &lk_crdt_type_lww, LK_LIT_INIT("\x85\x00\x00null"), LK_ERR_NOT_CANONICAL },
    { &lk_crdt_type_lww, LK_LIT_INIT("\x05\x00 null"), LK_ERR_NOT_CANONICAL },
    { &lk_crdt_type_mvreg, LK_LIT_INIT("[1]"), LK_OK },
    { &lk_crdt_type_mvreg, LK_LIT_INIT("[1,]"), LK_ERR_SYNTAX },
    { &lk_crdt_type_mvreg, LK_LIT_INIT("[01]"), LK_ERR_SYNTAX },
    { &lk_crdt_type_list, LK_LIT_INIT("\x00\x00\x00[]"), LK_OK },
    { &lk_crdt_type_list, LK_LIT_INIT("\x01\x02\x00[]"), LK_OK },
    { &lk_crdt_type_list, LK_LIT_INIT("\x00\x00\x00"), LK_ERR_TRUNCATED },
    { &lk_crdt_type_list, LK_LIT_INIT("\x00\x00\x09[]"), LK_ERR_TRUNCATED },
    { &lk_crdt_type_list, LK_LIT_INIT("\x80\x00\x00\x00[]"), LK_ERR_NOT_CANONICAL },
    { &lk_crdt_type_list, LK_LIT_INIT("\x00\x80\x00\x00[]"), LK_ERR_NOT_CANONICAL },
    { &lk_crdt_type_list, LK_LIT_INIT("\x00\x00\x80\x00[]"), LK_ERR_NOT_CANONICAL },
    { &lk_crdt_type_list, LK_LIT_INIT("\x00\x00\x00[ ]"), LK_ERR_NOT_CANONICAL },
    { &lk_crdt_type_text, LK_LIT_INIT("x"), LK_OK },
    { &lk_crdt_type_text, LK_LIT_INIT("\xF0\x9F\x98\x80"), LK_OK },
    { &lk_crdt_type_text, LK_LIT_INIT(""), LK_ERR_TRUNCATED },
    { &lk_crdt_type_text, LK_LIT_INIT("xy"), LK_ERR_TRAILING },
    { &lk_crdt_type_text, LK_LIT_INIT("\xff"), LK_ERR_UTF8 },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    test_note("case %zu", i);
    CHECK_ERR(cases[i].type->check_value(cases[i].value, scope()), cases[i].want);
  }
  /* A place that is no position. */
  CHECK(lk_crdt_type_list.check_value(LK_LIT("\x00\x00\x01\xff[]"), scope()) != LK_OK);
}

TEST(json_forms_of_values_that_are_none_are_refused) {
  static const struct {
    const lk_crdt_type *type;
    const char *json;
    lk_err want;
  } cases[] = {
    { &lk_crdt_type_rwset, "true", LK_OK },
    { &lk_crdt_type_rwset, "1", LK_ERR_PAYLOAD },
    { &lk_crdt_type_lww, "{\"value\":[ 1.0 ],\"count\":0,\"ms\":5,\"more\":{}}", LK_OK },
    { &lk_crdt_type_lww, "{\"count\":0,\"ms\":5}", LK_ERR_PAYLOAD },
    { &lk_crdt_type_lww, "{\"value\":1,\"ms\":5}", LK_ERR_PAYLOAD },
    { &lk_crdt_type_lww, "{\"value\":1,\"count\":0}", LK_ERR_PAYLOAD },
    { &lk_crdt_type_lww, "{\"value\":1,\"count\":4294967296,\"ms\":5}", LK_ERR_PAYLOAD },
    { &lk_crdt_type_lww, "{\"value\":1,\"count\":0,\"ms\":281474976710656}", LK_ERR_PAYLOAD },
    { &lk_crdt_type_lww, "{\"value\":1,\"count\":\"0\",\"ms\":5}", LK_ERR_PAYLOAD },
    { &lk_crdt_type_lww, "7", LK_ERR_PAYLOAD },
    { &lk_crdt_type_list, "{\"value\":\"x\"}", LK_OK },
    { &lk_crdt_type_list, "{\"sets\":3,\"moves\":18446744073709551615,\"value\":1}", LK_OK },
    { &lk_crdt_type_list, "{\"sets\":3}", LK_ERR_PAYLOAD },
    { &lk_crdt_type_list, "{\"value\":1,\"sets\":-1}", LK_ERR_PAYLOAD },
    { &lk_crdt_type_list, "{\"value\":1,\"at\":5}", LK_ERR_PAYLOAD },
    { &lk_crdt_type_list, "{\"value\":1,\"at\":\"0\"}", LK_ERR_PAYLOAD },
    { &lk_crdt_type_list, "[]", LK_ERR_PAYLOAD },
    { &lk_crdt_type_text, "\"\\u00e9\"", LK_OK },
    { &lk_crdt_type_text, "3", LK_ERR_PAYLOAD },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_buf out;
    lk_buf_init(&out, test_alloc(), 1000);
    test_note("case %zu", i);
    lk_err err = cases[i].type->value_of_json(lk_slice_cstr(cases[i].json), scope(), &out);
    CHECK_ERR(err, cases[i].want);
    if (err == LK_OK) CHECK_OK(cases[i].type->check_value(lk_buf_slice(&out), scope()));
    lk_buf_deinit(&out);
  }
}

TEST(a_value_in_json_may_be_as_deep_as_anywhere) {
  uint32_t depth = lk_limits_default().json_depth;
  lk_buf json, value;
  lk_buf_init(&json, test_alloc(), 4000);
  lk_buf_init(&value, test_alloc(), 4000);
  (void)lk_buf_append(&json, LK_LIT("{\"value\":"));
  for (uint32_t i = 0; i < depth; i++) (void)lk_buf_append_u8(&json, '[');
  for (uint32_t i = 0; i < depth; i++) (void)lk_buf_append_u8(&json, ']');
  CHECK_OK(lk_buf_append_u8(&json, '}'));
  CHECK_OK(lk_crdt_type_list.value_of_json(lk_buf_slice(&json), scope(), &value));
  CHECK_OK(lk_crdt_type_list.check_value(lk_buf_slice(&value), scope()));
  lk_buf_deinit(&json);
  lk_buf_deinit(&value);
}

/* The limits are the object's, not the defaults. */
TEST(a_value_in_json_may_be_as_long_as_the_limits_say) {
  lk_limits limits = lk_limits_default();
  size_t len = (size_t)limits.json_bytes + 100;
  limits.json_bytes = limits.crdt_value_bytes = limits.json_bytes * 2;
  lk_crdt_scope large = { test_alloc(), &limits };
  lk_buf json, value;
  lk_buf_init(&json, test_alloc(), len);
  lk_buf_init(&value, test_alloc(), len);
  memset(lk_buf_extend(&json, len), 'x', len);
  memcpy(json.ptr, "{\"value\":\"", 10);
  memcpy(json.ptr + len - 2, "\"}", 2);
  CHECK_OK(lk_crdt_type_list.value_of_json(lk_buf_slice(&json), &large, &value));
  CHECK_U64(value.len, 3 + len - 10);
  lk_buf_deinit(&json);
  lk_buf_deinit(&value);
}

/* ---- a bit of everything ---- */

/* One object of each type below a map, with something of everything that its facts can be. */
static lk_err furnish(lk_crdt *map) {
  static const struct {
    lk_crdt_kind kind;
    const char *name, *arguments;
  } steps[] = {
    { LK_CRDT_GCOUNTER, "increment", "[3]" },
    { LK_CRDT_PNCOUNTER, "increment", "[3]" },
    { LK_CRDT_PNCOUNTER, "decrement", "[5]" },
    { LK_CRDT_BCOUNTER, "increment", "[4]" },
    { LK_CRDT_BCOUNTER, "transfer", "[\"b\\u006fb\",2]" },
    { LK_CRDT_BCOUNTER, "decrement", "[1]" },
    { LK_CRDT_GSET, "add", "[{\"z\":1,\"a\":2}]" },
    { LK_CRDT_ORSET, "add", "[1]" },
    { LK_CRDT_ORSET, "add", "[2]" },
    { LK_CRDT_ORSET, "remove", "[1]" },
    { LK_CRDT_RWSET, "add", "[1]" },
    { LK_CRDT_RWSET, "remove", "[2]" },
    { LK_CRDT_EWFLAG, "enable", "[]" },
    { LK_CRDT_DWFLAG, "enable", "[]" },
    { LK_CRDT_LWW, "set", "[{\"x\":null}]" },
    { LK_CRDT_MVREG, "set", "[[1,2]]" },
    { LK_CRDT_LIST, "insert", "[0,\"a\"]" },
    { LK_CRDT_LIST, "insert", "[1,\"b\"]" },
    { LK_CRDT_LIST, "insert", "[2,\"c\"]" },
    { LK_CRDT_LIST, "move", "[0,2]" },
    { LK_CRDT_LIST, "set", "[0,\"B\"]" },
    { LK_CRDT_LIST, "delete", "[1]" },
    { LK_CRDT_TEXT, "insert", "[0,\"h\\u00e9 \\ud83d\\ude00\"]" },
    { LK_CRDT_TEXT, "delete", "[2,1]" },
  };
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    lk_err err = try_at(map, "alice", below(steps[i].kind, lk_crdt_type_of(steps[i].kind)->name),
                        steps[i].name, steps[i].arguments);
    test_note("%s%s", steps[i].name, steps[i].arguments);
    if (err != LK_OK) return err;
  }
  return LK_OK;
}

#define FURNISHED                                                                                  \
  "{\"bcounter\":{\"rights\":{\"alice\":1,\"bob\":2},\"value\":3},\"dwflag\":true,"                \
  "\"ewflag\":true,\"gcounter\":3,\"gset\":[{\"a\":2,\"z\":1}],\"list\":[\"B\",\"a\"],"            \
  "\"lww\":{\"x\":null},\"mvreg\":[[1,2]],\"orset\":[2],\"pncounter\":-2,\"rwset\":[1],"           \
  "\"text\":\"h\xC3\xA9\xF0\x9F\x98\x80\"}"

TEST(every_type_comes_back_from_its_bytes_and_from_its_json) {
  lk_crdt *map = open_new(LK_CRDT_ORMAP), *back = open_new(LK_CRDT_ORMAP);
  lk_buf text, bytes, again;
  lk_buf_init(&text, test_alloc(), 1 << 16);
  lk_buf_init(&bytes, test_alloc(), 1 << 16);
  lk_buf_init(&again, test_alloc(), 1 << 16);
  CHECK_OK(furnish(map));
  CHECK_VALUE(map, FURNISHED);
  CHECK_OK(lk_crdt_encode(map, &bytes));
  CHECK_OK(lk_crdt_encode_json(map, &text));
  CHECK_OK(lk_crdt_merge_json(back, lk_buf_slice(&text), NULL));
  CHECK_OK(lk_crdt_encode(back, &again));
  CHECK_SLICE(lk_buf_slice(&again), lk_buf_slice(&bytes));
  CHECK_VALUE(back, FURNISHED);
  lk_crdt *copy = copy_of(map);
  CHECK_VALUE(copy, FURNISHED);
  CHECK(lk_crdt_compare(copy, map) == LK_CRDT_EQUAL);
  lk_buf_deinit(&text);
  lk_buf_deinit(&bytes);
  lk_buf_deinit(&again);
  lk_crdt_close(map);
  lk_crdt_close(back);
  lk_crdt_close(copy);
}

/* Goal: what changed here is what the delta says, for every operation. */
TEST(an_object_that_gets_every_delta_is_the_same) {
  lk_crdt *map = open_new(LK_CRDT_ORMAP), *back = open_new(LK_CRDT_ORMAP);
  lk_buf delta;
  lk_buf_init(&delta, test_alloc(), 1 << 16);
  lk_crdt_op op = { .actor = LK_LIT("alice"), .now_ms = NOW, .delta = &delta };
  op.at = below(LK_CRDT_BCOUNTER, "k");
  CHECK_OK(lk_bcounter_add(map, &op, 9));
  CHECK_OK(lk_crdt_merge(back, lk_buf_slice(&delta), NULL));
  lk_buf_truncate(&delta, 0);
  CHECK_OK(lk_bcounter_transfer(map, &op, LK_LIT("bob"), 4));
  CHECK_OK(lk_crdt_merge(back, lk_buf_slice(&delta), NULL));
  lk_buf_truncate(&delta, 0);
  CHECK_OK(lk_bcounter_subtract(map, &op, 5));
  CHECK_OK(lk_crdt_merge(back, lk_buf_slice(&delta), NULL));
  lk_buf_truncate(&delta, 0);
  op.at = LK_SLICE_EMPTY;
  CHECK_OK(lk_ormap_remove(map, &op, LK_LIT("nothing")));
  CHECK(delta.len > 0); /* empty, and valid */
  CHECK_OK(lk_crdt_merge(back, lk_buf_slice(&delta), NULL));
  CHECK(lk_crdt_compare(back, map) == LK_CRDT_EQUAL);
  CHECK_VALUE(back, "{\"k\":{\"rights\":{\"bob\":4},\"value\":4}}");
  lk_buf_deinit(&delta);
  lk_crdt_close(map);
  lk_crdt_close(back);
}

/* Goal: whatever allocation fails, an operation is whole or has not happened, and a value is whole or not there. */
TEST(operations_and_values_bear_failed_allocations) {
  lk_crdt *full = open_new(LK_CRDT_ORMAP);
  CHECK_OK(furnish(full));
  FAULT_LOOP(faults, test_alloc()) {
    lk_env env = env_of(faulty_alloc(&faults));
    lk_crdt *map = NULL;
    lk_buf value;
    lk_buf_init(&value, test_alloc(), 1 << 16);
    lk_err err = lk_crdt_open(&env, LK_CRDT_ORMAP, &map);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    if (err == LK_OK) err = furnish(map);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    if (map != NULL) {
      bool done = err == LK_OK;
      err = lk_crdt_value(map, LK_SLICE_EMPTY, &value);
      CHECK(err == LK_OK || err == LK_ERR_NOMEM);
      if (err != LK_OK) CHECK_U64(value.len, 0);
      else if (done) CHECK_SLICE(lk_buf_slice(&value), LK_LIT(FURNISHED));
      /* Whatever became of it, it has done nothing that is not in the whole history. */
      CHECK(!done || lk_crdt_compare(map, full) == LK_CRDT_EQUAL);
    }
    lk_buf_deinit(&value);
    lk_crdt_close(map);
  }
  lk_crdt_close(full);
}
