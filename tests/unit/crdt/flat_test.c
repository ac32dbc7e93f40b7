#include "crdt/flat.h"

#include "harness/test.h"

/* One form with what it lives in. */
typedef struct bench {
  lk_limits limits;
  lk_crdt_scope scope;
  lk_arena arena;
  lk_flat_builder build;
  lk_buf out;
} bench;

static void bench_init(bench *b, const lk_alloc *alloc) {
  b->limits = lk_limits_default();
  b->scope = (lk_crdt_scope){ alloc, &b->limits };
  lk_arena_init(&b->arena, alloc, (size_t)1 << 28);
  lk_buf_init(&b->out, alloc, (size_t)1 << 28);
}

static void bench_deinit(bench *b) {
  lk_arena_deinit(&b->arena);
  lk_buf_deinit(&b->out);
}

static void begin(bench *b, const lk_crdt_type *type) {
  lk_flat_builder_init(&b->build, type, &b->scope, &b->arena);
}

static lk_slice encode(bench *b, const lk_flat *flat) {
  lk_buf_truncate(&b->out, 0);
  CHECK_OK(lk_flat_encode(flat, &b->out));
  return lk_buf_slice(&b->out);
}

static lk_slice encode_json(bench *b, const lk_flat *flat) {
  lk_buf_truncate(&b->out, 0);
  CHECK_OK(lk_flat_encode_json(flat, &b->out));
  return lk_buf_slice(&b->out);
}

static lk_err decode(bench *b, lk_slice bytes, lk_flat *out) {
  return lk_flat_decode(out, bytes, &b->scope, &b->arena);
}

static lk_err decode_json(bench *b, const lk_crdt_type *type, lk_slice text, lk_flat *out) {
  return lk_flat_decode_json(out, type, text, &b->scope, &b->arena);
}

static lk_slice keep(bench *b, lk_slice bytes) {
  lk_slice copy;
  CHECK_OK(lk_arena_copy(&b->arena, bytes, &copy));
  return copy;
}

/* Known, and there. */
static void put(bench *b, uint32_t node, uint32_t actor, uint64_t lo, uint64_t hi, lk_slice value) {
  lk_flat_add_known(&b->build, actor, lo, hi);
  lk_flat_add_fact(&b->build, node, actor, lo, hi, value);
}

static void check_equal(const lk_flat *a, const lk_flat *b) {
  CHECK(a->type == b->type);
  CHECK_U64(a->actor_count, b->actor_count);
  CHECK_U64(a->range_count, b->range_count);
  CHECK_U64(a->node_count, b->node_count);
  CHECK_U64(a->fact_count, b->fact_count);
  for (uint32_t i = 0; i < a->actor_count; i++) CHECK_SLICE(a->actors[i], b->actors[i]);
  for (uint32_t i = 0; i < a->range_count; i++) {
    const lk_flat_range *x = &a->ranges[i], *y = &b->ranges[i];
    CHECK(x->actor == y->actor && x->lo == y->lo && x->hi == y->hi);
  }
  for (uint32_t i = 0; i < a->node_count; i++) {
    const lk_flat_node *x = &a->nodes[i], *y = &b->nodes[i];
    CHECK(x->parent == y->parent && x->depth == y->depth && x->type == y->type);
    CHECK_SLICE(x->key, y->key);
  }
  for (uint32_t i = 0; i < a->fact_count; i++) {
    const lk_flat_fact *x = &a->facts[i], *y = &b->facts[i];
    CHECK(x->node == y->node && x->actor == y->actor && x->lo == y->lo && x->hi == y->hi);
    CHECK_SLICE(x->value, y->value);
    CHECK_U64(a->by_dot[i], b->by_dot[i]);
  }
}

/* ---- what is drawn: few actors, keys and numbers, so that they meet ---- */

#define ACTORS 4
#define NODES_MAX 24

static const lk_slice actor_names[ACTORS] = { LK_LIT_INIT("b"), LK_LIT_INIT("alice"),
                                              LK_LIT_INIT("al"), LK_LIT_INIT("\xc3\xa9") };

static lk_slice pick(lk_gen *g, const lk_slice *from, uint32_t count) {
  return from[gen_below(g, count)];
}

static lk_slice gen_map_key(lk_gen *g) {
  static const lk_slice keys[] = {
    LK_LIT_INIT(""),     LK_LIT_INIT("like"), LK_LIT_INIT("likes"),
    LK_LIT_INIT("limb"), LK_LIT_INIT("\""),   LK_LIT_INIT("\xc3\xa9")
  };
  return pick(g, keys, 6);
}

static lk_slice gen_json(lk_gen *g) {
  static const lk_slice json[] = {
    LK_LIT_INIT("\"abc\""), LK_LIT_INIT("\"ab\""),         LK_LIT_INIT("1"),
    LK_LIT_INIT("10"),      LK_LIT_INIT("{\"a\":[null]}"), LK_LIT_INIT("[]")
  };
  return pick(g, json, 6);
}

static lk_slice gen_sign(lk_gen *g) {
  static const lk_slice signs[] = { LK_LIT_INIT("p"), LK_LIT_INIT("n") };
  return pick(g, signs, 2);
}

static lk_slice gen_vote(lk_gen *g) {
  static const lk_slice votes[] = { LK_LIT_INIT("\0"), LK_LIT_INIT("\1") };
  return pick(g, votes, 2);
}

static const lk_crdt_type *gen_type(lk_gen *g) {
  static const lk_crdt_type *const types[] = { &lk_crdt_type_ormap,    &lk_crdt_type_gcounter,
                                               &lk_crdt_type_ewflag,   &lk_crdt_type_orset,
                                               &lk_crdt_type_mvreg,    &lk_crdt_type_rwset,
                                               &lk_crdt_type_pncounter };
  return types[gen_below(g, 7)];
}

/* What is added to a builder, to be added again in another order. */
typedef struct plan {
  const lk_crdt_type *type;
  struct {
    uint32_t parent;
    const lk_crdt_type *type;
    lk_slice key;
  } nodes[NODES_MAX];
  uint32_t node_count; /* 0 is the root */
  struct {
    uint32_t actor;
    uint32_t node; /* UINT32_MAX: known, and not there any more */
    uint64_t lo, hi;
    lk_slice value;
  } dots[NODES_MAX * 3];
  uint32_t dot_count;
} plan;

static const lk_crdt_type *plan_type_at(const plan *p, uint32_t node) {
  return p->nodes[node].type != NULL ? p->nodes[node].type : p->nodes[p->nodes[node].parent].type;
}

static bool has_facts(const plan *p, uint32_t node) {
  const lk_crdt_type *type = p->nodes[node].type;
  return type == NULL || lk_shape_is(type, LK_SHAPE_ROOT);
}

static void gen_node(lk_gen *g, plan *p) {
  uint32_t parent = gen_below(g, p->node_count);
  const lk_crdt_type *above = p->nodes[parent].type, *type = NULL;
  if (has_facts(p, parent)) return;
  lk_slice key;
  if (lk_shape_is(above, LK_SHAPE_MAP)) {
    type = gen_type(g);
    key = gen_map_key(g);
  } else {
    key = lk_shape_has_runs(above) ? gen_sign(g) : gen_json(g);
  }
  uint32_t i = p->node_count++;
  p->nodes[i].parent = parent;
  p->nodes[i].type = type;
  p->nodes[i].key = key;
}

static void gen_dots(lk_gen *g, plan *p, uint64_t next[ACTORS]) {
  uint32_t actor = gen_below(g, ACTORS), node = gen_below(g, p->node_count), i = p->dot_count;
  uint64_t lo = next[actor] + (gen_bool(g) ? 0 : gen_below(g, 200)), hi = lo;
  const lk_crdt_type *type = plan_type_at(p, node);
  if (!has_facts(p, node) || gen_chance(g, 1, 4)) node = UINT32_MAX;
  if (node == UINT32_MAX || lk_shape_has_runs(type)) hi += gen_below(g, 3);
  p->dots[i].actor = actor;
  p->dots[i].node = node;
  p->dots[i].lo = lo;
  p->dots[i].hi = hi;
  p->dots[i].value = LK_SLICE_EMPTY;
  if (node != UINT32_MAX && lk_shape_has_values(type)) {
    p->dots[i].value = type == &lk_crdt_type_mvreg ? gen_json(g) : gen_vote(g);
  }
  next[actor] = hi + 1;
  p->dot_count++;
}

static void gen_plan(lk_gen *g, plan *p) {
  uint64_t next[ACTORS] = { 1, 1, 300, UINT64_C(1) << 62 };
  *p = (plan){ .type = gen_type(g), .node_count = 1 };
  p->nodes[0].type = p->type;
  for (uint32_t i = gen_below(g, NODES_MAX - 1); i > 0; i--) gen_node(g, p);
  for (uint32_t i = gen_below(g, NODES_MAX * 3); i > 0; i--) gen_dots(g, p, next);
}

/* Adds all of it from dot |first| on and around to it, actors and nodes anew each time when
 * |again|. */
static void follow(bench *b, const plan *p, uint32_t first, bool again, lk_flat *out) {
  uint32_t nodes[NODES_MAX] = { 0 }, actors[ACTORS];
  begin(b, p->type);
  for (uint32_t i = 0; i < ACTORS; i++) actors[i] = lk_flat_add_actor(&b->build, actor_names[i]);
  for (uint32_t i = 0; i < p->dot_count; i++) {
    uint32_t at = (first + i) % p->dot_count, actor = p->dots[at].actor;
    if (i == 0 || again) {
      for (uint32_t k = 1; k < p->node_count; k++) {
        nodes[k] = lk_flat_add_node(&b->build, nodes[p->nodes[k].parent], p->nodes[k].type,
                                    p->nodes[k].key);
      }
    }
    if (again) actors[actor] = lk_flat_add_actor(&b->build, actor_names[actor]);
    lk_flat_add_known(&b->build, actors[actor], p->dots[at].lo, p->dots[at].hi);
    if (p->dots[at].node == UINT32_MAX) continue;
    lk_flat_add_fact(&b->build, nodes[p->dots[at].node], actors[actor], p->dots[at].lo,
                     p->dots[at].hi, p->dots[at].value);
  }
  CHECK_OK(lk_flat_build(&b->build, out));
}

static void gen_flat(lk_gen *g, bench *b, lk_flat *out) {
  plan p;
  gen_plan(g, &p);
  follow(b, &p, 0, false, out);
}

/* ---- bytes by hand ---- */

TEST(a_version_is_actors_and_what_is_known_of_them) {
  bench b;
  lk_flat flat, back;
  bench_init(&b, test_alloc());
  begin(&b, NULL);
  uint32_t bob = lk_flat_add_actor(&b.build, LK_LIT("bob"));
  uint32_t alice = lk_flat_add_actor(&b.build, LK_LIT("alice"));
  lk_flat_add_known(&b.build, bob, 4, 4);
  lk_flat_add_known(&b.build, alice, 7, 9);
  lk_flat_add_known(&b.build, alice, 1, 5);
  CHECK_OK(lk_flat_build(&b.build, &flat));
  CHECK_TEXT(encode(&b, &flat), "\x00\x01\x02\x03"
                                "\x05"
                                "alice\x02\x00\x04\x01\x02"
                                "\x03"
                                "bob\x03\x00");
  CHECK_OK(decode(&b, lk_buf_slice(&b.out), &back));
  check_equal(&back, &flat);
  CHECK(back.type == NULL && back.node_count == 0);
  begin(&b, NULL);
  CHECK_OK(lk_flat_build(&b.build, &flat));
  CHECK_TEXT(encode(&b, &flat), "\x00\x01\x00\x00");
  bench_deinit(&b);
}

/* The one that is drawn in flat.c. */
TEST(a_small_delta_is_16_bytes) {
  bench b;
  lk_flat flat, back;
  bench_init(&b, test_alloc());
  begin(&b, &lk_crdt_type_gcounter);
  put(&b, 0, lk_flat_add_actor(&b.build, LK_LIT("alice")), 301, 301, LK_SLICE_EMPTY);
  CHECK_OK(lk_flat_build(&b.build, &flat));
  CHECK_TEXT(encode(&b, &flat), "\x01\x01\x01\x01\x01\x05"
                                "alice\xac\x02\x00\x00\x00");
  CHECK_U64(b.out.len, 16);
  CHECK_OK(decode(&b, lk_buf_slice(&b.out), &back));
  check_equal(&back, &flat);
  bench_deinit(&b);
}

TEST(a_map_is_written_depth_first_with_what_keys_share_once) {
  bench b;
  lk_flat flat, back;
  bench_init(&b, test_alloc());
  begin(&b, &lk_crdt_type_ormap);
  uint32_t a = lk_flat_add_actor(&b.build, LK_LIT("a"));
  uint32_t title = lk_flat_add_node(&b.build, 0, &lk_crdt_type_mvreg, LK_LIT("title"));
  uint32_t tags = lk_flat_add_node(&b.build, 0, &lk_crdt_type_orset, LK_LIT("tags"));
  uint32_t blue = lk_flat_add_node(&b.build, tags, NULL, LK_LIT("\"blue\""));
  uint32_t black = lk_flat_add_node(&b.build, tags, NULL, LK_LIT("\"black\""));
  put(&b, title, a, 1, 1, LK_LIT("42"));
  put(&b, blue, a, 2, 2, LK_SLICE_EMPTY);
  put(&b, black, a, 3, 3, LK_SLICE_EMPTY);
  CHECK_OK(lk_flat_build(&b.build, &flat));
  CHECK_TEXT(encode(&b, &flat), "\x0b\x01\x01\x01\x04\x03"
                                "\x01"
                                "a\x00\x02"
                                "\x02"
                                "\x05\x04tags\x02"
                                "\x07\"black\"\x01\x02"
                                "\x03\x03ue\"\x01\x01"
                                "\x0a\x01\x04itle\x01\x00\x02"
                                "42");
  CHECK_OK(decode(&b, lk_buf_slice(&b.out), &back));
  check_equal(&back, &flat);
  CHECK_TEXT(back.nodes[3].key, "\"blue\"");
  CHECK_TEXT(back.nodes[4].key, "title");
  CHECK(back.by_dot[0] == 2 && back.by_dot[1] == 1 && back.by_dot[2] == 0);
  bench_deinit(&b);
}

/* ---- properties ---- */

PROPERTY(what_was_built_comes_back_from_its_bytes) {
  bench b;
  lk_flat flat, back;
  bench_init(&b, test_alloc());
  gen_flat(g, &b, &flat);
  lk_slice bytes = keep(&b, encode(&b, &flat));
  CHECK_OK(decode(&b, bytes, &back));
  check_equal(&back, &flat);
  CHECK_SLICE(encode(&b, &back), bytes);
  bench_deinit(&b);
}

PROPERTY(what_was_built_comes_back_from_its_json) {
  bench b;
  lk_flat flat, back;
  bench_init(&b, test_alloc());
  gen_flat(g, &b, &flat);
  lk_slice text = keep(&b, encode_json(&b, &flat));
  test_note("%.*s", (int)text.len, (const char *)text.ptr);
  CHECK_OK(decode_json(&b, flat.type, text, &back));
  check_equal(&back, &flat);
  CHECK_SLICE(encode_json(&b, &back), text);
  bench_deinit(&b);
}

/* Goal: how and in which order parts come to the builder must not matter.
 * Method: begin anywhere and go around, every actor and node once or once for each dot. */
PROPERTY(what_is_built_does_not_depend_on_the_order_of_its_parts) {
  bench b;
  plan p;
  lk_flat flat, other;
  bench_init(&b, test_alloc());
  gen_plan(g, &p);
  follow(&b, &p, 0, false, &flat);
  follow(&b, &p, gen_below(g, p.dot_count + 1), gen_bool(g), &other);
  check_equal(&other, &flat);
  bench_deinit(&b);
}

PROPERTY(bytes_that_are_cut_or_go_on_are_refused) {
  bench b;
  lk_flat flat, back;
  bench_init(&b, test_alloc());
  gen_flat(g, &b, &flat);
  lk_buf_append_u8(&b.out, 0);
  (void)encode(&b, &flat);
  lk_buf_append_u8(&b.out, (uint8_t)gen_below(g, 256));
  lk_slice bytes = keep(&b, lk_buf_slice(&b.out));
  CHECK_ERR(decode(&b, bytes, &back), LK_ERR_TRAILING);
  for (size_t len = 0; len + 1 < bytes.len; len++) {
    CHECK_ERR(decode(&b, lk_slice_first(bytes, len), &back), LK_ERR_TRUNCATED);
  }
  bench_deinit(&b);
}

/* Goal: few facts and many are sorted alike, whatever bits their numbers differ in. */
PROPERTY(facts_are_indexed_in_the_order_of_their_dots) {
  bench b;
  lk_flat flat;
  bench_init(&b, test_alloc());
  uint32_t count = gen_below(g, 300), actors = gen_range(g, 1, 400);
  lk_slice *names = lk_arena_push_array(&b.arena, actors, sizeof *names);
  begin(&b, &lk_crdt_type_rwset);
  for (uint32_t i = 0; i < actors; i++) {
    uint8_t name[4] = { (uint8_t)('a' + i / 26 / 26), (uint8_t)('a' + i / 26 % 26),
                        (uint8_t)('a' + i % 26), 'x' };
    names[i] = keep(&b, lk_slice_of(name, sizeof name));
    (void)lk_flat_add_actor(&b.build, names[i]);
    lk_flat_add_known(&b.build, i, 1, UINT64_MAX);
  }
  for (uint32_t i = 0; i < count; i++) {
    uint8_t key[3] = { (uint8_t)('1' + i % 9), (uint8_t)('0' + i / 9 % 10),
                       (uint8_t)('0' + i / 90) };
    uint32_t node = lk_flat_add_node(&b.build, 0, NULL, keep(&b, lk_slice_of(key, sizeof key)));
    uint64_t lo = gen_bool(g) ? gen_u64(g) | 1 : 1 + gen_below(g, 100000);
    lk_flat_add_fact(&b.build, node, gen_below(g, actors), lo, lo, LK_LIT("\1"));
  }
  lk_err err = lk_flat_build(&b.build, &flat);
  CHECK(err == LK_OK || err == LK_ERR_DOT);
  for (uint32_t i = 1; err == LK_OK && i < flat.fact_count; i++) {
    const lk_flat_fact *x = &flat.facts[flat.by_dot[i - 1]], *y = &flat.facts[flat.by_dot[i]];
    CHECK(x->actor != y->actor ? x->actor < y->actor : x->lo < y->lo);
  }
  bench_deinit(&b);
}

/* ---- the builder ---- */

TEST(builder_joins_what_touches_and_drops_what_is_empty) {
  bench b;
  lk_flat flat;
  bench_init(&b, test_alloc());
  begin(&b, &lk_crdt_type_ormap);
  uint32_t b1 = lk_flat_add_actor(&b.build, LK_LIT("b"));
  uint32_t none = lk_flat_add_actor(&b.build, LK_LIT("nobody"));
  uint32_t b2 = lk_flat_add_actor(&b.build, LK_LIT("b"));
  uint32_t a = lk_flat_add_actor(&b.build, LK_LIT("a"));
  uint32_t deep = lk_flat_add_node(&b.build, 0, &lk_crdt_type_ormap, LK_LIT("deep"));
  (void)lk_flat_add_node(&b.build, deep, &lk_crdt_type_ewflag, LK_LIT("empty"));
  uint32_t one = lk_flat_add_node(&b.build, 0, &lk_crdt_type_gcounter, LK_LIT("c"));
  uint32_t two = lk_flat_add_node(&b.build, 0, &lk_crdt_type_gcounter, LK_LIT("c"));
  put(&b, two, b2, 4, 6, LK_SLICE_EMPTY);
  put(&b, one, b1, 1, 3, LK_SLICE_EMPTY);
  lk_flat_add_known(&b.build, a, UINT64_MAX, UINT64_MAX);
  lk_flat_add_known(&b.build, a, 5, UINT64_MAX);
  lk_flat_add_known(&b.build, b1, 8, 9);
  CHECK(none != 0);
  CHECK_OK(lk_flat_build(&b.build, &flat));
  CHECK_TEXT(encode_json(&b, &flat),
             "{\"type\":\"ormap\",\"known\":{\"a\":[[5,18446744073709551615]],\"b\":[[1,6],[8,9]]},"
             "\"items\":[{\"type\":\"gcounter\",\"key\":\"c\",\"facts\":[[\"b\",1,6]]}]}");
  bench_deinit(&b);
}

/* Goal: what looks sorted but is breadth first is not taken for depth first. */
TEST(builder_puts_nodes_behind_their_parents) {
  bench b;
  lk_flat flat;
  bench_init(&b, test_alloc());
  begin(&b, &lk_crdt_type_ormap);
  uint32_t actor = lk_flat_add_actor(&b.build, LK_LIT("alice"));
  uint32_t x = lk_flat_add_node(&b.build, 0, &lk_crdt_type_orset, LK_LIT("x"));
  (void)lk_flat_add_node(&b.build, 0, &lk_crdt_type_orset, LK_LIT("y"));
  uint32_t y = lk_flat_add_node(&b.build, 0, &lk_crdt_type_ewflag, LK_LIT("y"));
  uint32_t one = lk_flat_add_node(&b.build, x, NULL, LK_LIT("1"));
  put(&b, y, actor, 1, 1, LK_SLICE_EMPTY);
  put(&b, one, actor, 2, 2, LK_SLICE_EMPTY);
  CHECK_OK(lk_flat_build(&b.build, &flat));
  CHECK_U64(flat.node_count, 4);
  CHECK(flat.nodes[2].parent == 1 && flat.nodes[2].depth == 2 && flat.nodes[3].parent == 0);
  begin(&b, &lk_crdt_type_ormap);
  actor = lk_flat_add_actor(&b.build, LK_LIT("alice"));
  x = lk_flat_add_node(&b.build, 0, &lk_crdt_type_ormap, LK_LIT("x"));
  uint32_t first = lk_flat_add_node(&b.build, x, &lk_crdt_type_ewflag, LK_LIT("1"));
  y = lk_flat_add_node(&b.build, 0, &lk_crdt_type_ormap, LK_LIT("y"));
  one = lk_flat_add_node(&b.build, y, &lk_crdt_type_ewflag, LK_LIT("1"));
  uint32_t late = lk_flat_add_node(&b.build, x, &lk_crdt_type_ewflag, LK_LIT("2"));
  put(&b, first, actor, 1, 1, LK_SLICE_EMPTY);
  put(&b, one, actor, 2, 2, LK_SLICE_EMPTY);
  put(&b, late, actor, 3, 3, LK_SLICE_EMPTY);
  CHECK_OK(lk_flat_build(&b.build, &flat));
  CHECK(flat.nodes[3].parent == 1 && flat.nodes[5].parent == 4);
  CHECK_TEXT(flat.nodes[3].key, "2");
  bench_deinit(&b);
}

TEST(builder_refuses_dots_that_are_unknown_or_stand_for_two_things) {
  static const struct {
    uint64_t known_hi, lo, hi;
    lk_slice value;
    bool other_actor;
    lk_err want;
  } cases[] = {
    { 9, 5, 5, LK_LIT_INIT("2"), false, LK_OK },
    { 9, 3, 3, LK_LIT_INIT("1"), false, LK_OK }, /* the same twice */
    { 9, 3, 3, LK_LIT_INIT("2"), false, LK_ERR_DOT },
    { 4, 5, 5, LK_LIT_INIT("2"), false, LK_ERR_DOT },
    { 9, 5, 5, LK_LIT_INIT("2"), true, LK_ERR_DOT },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    bench b;
    lk_flat flat;
    bench_init(&b, test_alloc());
    test_note("case %zu", i);
    begin(&b, &lk_crdt_type_mvreg);
    uint32_t other = lk_flat_add_actor(&b.build, LK_LIT("b"));
    uint32_t a = lk_flat_add_actor(&b.build, LK_LIT("a"));
    if (!cases[i].other_actor) other = a;
    lk_flat_add_known(&b.build, a, 1, cases[i].known_hi);
    lk_flat_add_fact(&b.build, 0, a, 3, 3, LK_LIT("1"));
    lk_flat_add_fact(&b.build, 0, other, cases[i].lo, cases[i].hi, cases[i].value);
    CHECK_ERR(lk_flat_build(&b.build, &flat), cases[i].want);
    bench_deinit(&b);
  }
}

TEST(builder_keeps_to_the_limits) {
  bench b;
  lk_flat flat;
  bench_init(&b, test_alloc());
  b.limits.crdt_actors_count = 1;
  b.limits.crdt_entries_count = 2;
  begin(&b, NULL);
  for (uint64_t i = 0; i < 3; i++) {
    uint32_t a = lk_flat_add_actor(&b.build, LK_LIT("a"));
    lk_flat_add_known(&b.build, a, 2 * i + 1, 2 * i + 1);
    if (i == 1) CHECK_OK(lk_flat_build(&b.build, &flat));
  }
  CHECK_ERR(lk_flat_build(&b.build, &flat), LK_ERR_LIMIT);
  begin(&b, NULL);
  lk_flat_add_known(&b.build, lk_flat_add_actor(&b.build, LK_LIT("a")), 1, 1);
  lk_flat_add_known(&b.build, lk_flat_add_actor(&b.build, LK_LIT("b")), 1, 1);
  CHECK_ERR(lk_flat_build(&b.build, &flat), LK_ERR_LIMIT);
  bench_deinit(&b);
}

/* ---- bytes that are wrong ---- */

/* Bytes in groups, as they belong together. */
/* clang-format off */
#define B(bytes) LK_LIT_INIT(bytes)
/* "a" knows 1; 1 to 2; 1 to 4. */
#define A1 "\x01" "a\x00\x00"
#define A2 "\x01" "a\x00\x01"
#define A4 "\x01" "a\x00\x03"
/* The greatest number, and the one before it. */
#define MAX64 "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
#define MAX64_1 "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"

/* Goal: each rule has bytes that break it and nothing else, and its name. */
TEST(bytes_that_break_one_rule_are_refused_by_its_name) {
  static const struct {
    lk_slice bytes;
    lk_err want;
  } cases[] = {
    /* head */
    { B(""), LK_ERR_TRUNCATED },
    { B("\x0e\x01\x00\x00\x00"), LK_ERR_UNKNOWN_TYPE },
    { B("\xff\x01\x00\x00\x00"), LK_ERR_UNKNOWN_TYPE },
    { B("\x01\x02\x00\x00\x00"), LK_ERR_VERSION },
    { B("\x01\x01\x00\x00\x00"), LK_OK },
    { B("\x01\x01\x80\x00\x00\x00"), LK_ERR_NOT_CANONICAL },
    { B("\x00\x01\x00\x00\x00"), LK_ERR_TRAILING },
    /* actors and ranges */
    { B("\x01\x01\x02\x01\x00" "\x01" "a\x00\x00" "\x01" "b"), LK_ERR_NOT_CANONICAL },
    { B("\x00\x01\x03\x01" "\x01" "a\x01\x00\x00" "\x01" "b\x01\x00\x00" "\x01" "c\x00\x00"),
      LK_ERR_NOT_CANONICAL },
    { B("\x01\x01\x00\x01\x00\x00\x00"), LK_ERR_NOT_CANONICAL },
    { B("\x00\x01\x02\x02" "\x01" "a\x01\x00\x00" "\x01" "b\x00\x00"), LK_OK },
    { B("\x00\x01\x02\x02" "\x01" "b\x01\x00\x00" "\x01" "a\x00\x00"), LK_ERR_NOT_CANONICAL },
    { B("\x00\x01\x02\x02" "\x01" "a\x01\x00\x00" "\x01" "a\x00\x00"), LK_ERR_NOT_CANONICAL },
    { B("\x00\x01\x02\x02" "\x01" "a\x00" "\x01" "b\x00\x00\x00\x00"), LK_ERR_NOT_CANONICAL },
    { B("\x00\x01\x02\x02" "\x01" "a\x02\x00\x00\x01\x00" "\x01" "b"), LK_ERR_NOT_CANONICAL },
    { B("\x00\x01\x01\x01" "\x00\x00\x00\x00"), LK_ERR_ACTOR },
    { B("\x00\x01\x01\x01" "\x41\x00\x00\x00"), LK_ERR_ACTOR },
    { B("\x00\x01\x01\x01" "\x01\xff\x00\x00"), LK_ERR_ACTOR },
    { B("\x00\x01\x01\x02" "\x01" "a\x00\x00\x01\x00"), LK_OK },
    { B("\x00\x01\x01\x02" "\x01" "a\x00\x00\x00\x00"), LK_ERR_NOT_CANONICAL }, /* they touch */
    { B("\x00\x01\x01\x01" "\x01" "a\x00" MAX64_1), LK_OK },
    { B("\x00\x01\x01\x01" "\x01" "a\x00" MAX64), LK_ERR_RANGE },
    { B("\x00\x01\x01\x01" "\x01" "a" MAX64 "\x00"), LK_ERR_RANGE },
    { B("\x00\x01\x01\x02" "\x01" "a\x00" MAX64_1 "\x01\x00"), LK_ERR_RANGE },
    /* facts */
    { B("\x01\x01\x01\x01\x02" A4 "\x00\x00\x02\x01"), LK_OK },
    { B("\x01\x01\x01\x01\x02" A4 "\x00\x00\x01\x01"), LK_ERR_NOT_CANONICAL }, /* they touch */
    { B("\x01\x01\x01\x01\x02" A4 "\x02\x00\x00\x00"), LK_ERR_NOT_CANONICAL },
    { B("\x01\x01\x01\x01\x02" A4 "\x00\x00\x00\x00"), LK_ERR_NOT_CANONICAL },
    { B("\x01\x01\x01\x01\x02" A4 "\x00\x02\x01\x02"), LK_ERR_DOT },
    { B("\x01\x01\x01\x01\x01" A4 "\x00\x04"), LK_ERR_DOT },
    { B("\x01\x01\x01\x01\x01" A4 "\x04\x00"), LK_ERR_DOT },
    { B("\x01\x01\x01\x01\x01" A4 "\x03" MAX64), LK_ERR_RANGE },
    { B("\x01\x01\x01\x01\x01" A4 MAX64 "\x00"), LK_ERR_RANGE },
    { B("\x01\x01\x00\x00\x01" MAX64 "\x00"), LK_ERR_DOT }, /* there is nobody to count from */
    { B("\x07\x01\x01\x02\x01" "\x01" "a\x00\x00\x01\x00" "\x02"), LK_OK },
    { B("\x07\x01\x02\x02\x01" "\x01" "a\x01\x00\x00" "\x01" "b\x00\x08" "\x00\x04"), LK_ERR_DOT },
    { B("\x07\x01\x01\x02\x01" "\x01" "a\x00\x00\x01\x00" "\x01"), LK_ERR_DOT }, /* in the gap */
    { B("\x07\x01\x01\x01\x02" A2 "\x00\x01"), LK_OK },
    { B("\x07\x01\x02\x02\x02" "\x01" "a\x01\x00\x00" "\x01" "b\x00\x00" "\x00\x00\x01\x00"),
      LK_OK },
    { B("\x07\x01\x02\x02\x02" "\x01" "a\x01\x00\x00" "\x01" "b\x00\x00" "\x01\x00\x00\x00"),
      LK_ERR_NOT_CANONICAL },
    { B("\x07\x01\x02\x02\x01" "\x01" "a\x01\x00\x00" "\x01" "b\x00\x00" "\x02\x00"),
      LK_ERR_RANGE },
    { B("\x0a\x01\x01\x01\x01" A1 "\x00\x01" "1"), LK_OK },
    { B("\x0a\x01\x01\x01\x01" A1 "\x00\x02" " 1"), LK_ERR_NOT_CANONICAL }, /* asks the type */
    /* elements */
    { B("\x05\x01\x01\x01\x02\x02" A2 "\x01" "1\x01\x00" "\x00\x01" "2\x01\x01"), LK_OK },
    { B("\x05\x01\x01\x01\x02\x02" A2 "\x01" "2\x01\x00" "\x00\x01" "1\x01\x01"),
      LK_ERR_NOT_CANONICAL },
    { B("\x05\x01\x01\x01\x02\x02" A2 "\x01" "1\x01\x00" "\x01\x00" "\x01\x01"),
      LK_ERR_NOT_CANONICAL },
    { B("\x05\x01\x01\x01\x02\x02" A2 "\x01" "1\x01\x00" "\x01\x01" "2\x01\x01"), LK_OK },
    { B("\x05\x01\x01\x01\x02\x02" A2 "\x01" "1\x01\x00" "\x00\x02" "12\x01\x01"),
      LK_ERR_NOT_CANONICAL }, /* more could be shared */
    { B("\x05\x01\x01\x01\x02\x02" A2 "\x02" "12\x01\x00" "\x01\x00" "\x01\x01"),
      LK_ERR_NOT_CANONICAL },
    { B("\x05\x01\x01\x01\x02\x02" A2 "\x01" "1\x01\x00" "\x02\x01" "2\x01\x01"), LK_ERR_RANGE },
    { B("\x05\x01\x01\x01\x02\x01" A2 "\x01" "1\x00" "\x00\x01" "2\x01\x01"),
      LK_ERR_NOT_CANONICAL },
    { B("\x05\x01\x01\x01\x01\x01" A2 "\x01" "1\x02\x00\x01"), LK_ERR_NOT_CANONICAL },
    { B("\x05\x01\x01\x01\x01\x02" A2 "\x01" "1\x01\x00\x01"), LK_ERR_NOT_CANONICAL },
    { B("\x05\x01\x01\x01\x02\x02" A2 "\x01" "1\x01\x00" "\x00\x01" "2\x01\x00"), LK_ERR_DOT },
    { B("\x05\x01\x01\x01\x01\x01" A2 "\x02" "01\x01\x00"), LK_ERR_SYNTAX }, /* asks the type */
    /* maps */
    { B("\x0b\x01\x00\x00\x00\x00" "\x00"), LK_OK },
    { B("\x0b\x01\x01\x01\x02\x02" A2 "\x02" "\x07\x01" "b\x01\x00" "\x08\x00\x01" "a\x01\x01\x01\x00"),
      LK_OK },
    { B("\x0b\x01\x01\x01\x02\x02" A2 "\x02" "\x08\x01" "a\x01\x01\x01\x00" "\x07\x00\x01" "b\x01\x00"),
      LK_ERR_NOT_CANONICAL },
    { B("\x0b\x01\x01\x01\x02\x02" A2 "\x02" "\x07\x01" "b\x01\x00" "\x07\x00\x01" "a\x01\x01"),
      LK_ERR_NOT_CANONICAL },
    { B("\x0b\x01\x01\x01\x02\x02" A2 "\x02" "\x07\x01" "b\x01\x00" "\x08\x00\x01" "b\x01\x01\x01\x00"),
      LK_ERR_NOT_CANONICAL }, /* more could be shared with the key of another type as well */
    { B("\x0b\x01\x01\x01\x02\x02" A2 "\x02" "\x07\x01" "b\x01\x00" "\x08\x01\x00" "\x01\x01\x01\x00"),
      LK_OK },
    { B("\x0b\x01\x01\x01\x02\x01" A2 "\x01" "\x07\x01" "b\x01\x00"), LK_ERR_NOT_CANONICAL },
    { B("\x0b\x01\x01\x01\x01\x01" A1 "\x02" "\x07\x01" "b\x01\x00"), LK_ERR_NOT_CANONICAL },
    { B("\x0b\x01\x01\x01\x01\x01" A1 "\x01" "\x07\x01" "b\x00"), LK_ERR_NOT_CANONICAL },
    { B("\x0b\x01\x01\x01\x01\x01" A1 "\x01" "\x0b\x01" "b\x00"), LK_ERR_NOT_CANONICAL },
    { B("\x0b\x01\x01\x01\x01\x01" A1 "\x01" "\x05\x01" "b\x00"), LK_ERR_NOT_CANONICAL },
    { B("\x0b\x01\x01\x01\x03\x02" A2 "\x02" "\x05\x01" "b\x02" "\x01" "1\x01\x00" "\x00\x01" "2\x01\x01"),
      LK_ERR_NOT_CANONICAL }, /* elements took the place of the second object */
    { B("\x0b\x01\x01\x01\x01\x01" A1 "\x01" "\x63\x01" "b\x01\x00"), LK_ERR_UNKNOWN_TYPE },
    { B("\x0b\x01\x01\x01\x01\x01" A1 "\x01" "\x00\x01" "b\x01\x00"), LK_ERR_UNKNOWN_TYPE },
    { B("\x0b\x01\x01\x01\x01\x01" A1 "\x01" "\x07\x01" "\xff\x01\x00"), LK_ERR_UTF8 },
    { B("\x0b\x01\x01\x01\x01\x01" A1 "\x01" "\x07\x00" "\x01\x00"), LK_OK }, /* an empty key */
  };
  bench b;
  bench_init(&b, test_alloc());
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_flat flat;
    test_note("case %zu", i);
    lk_arena_mark mark = lk_arena_get_mark(&b.arena), after;
    CHECK_ERR(decode(&b, cases[i].bytes, &flat), cases[i].want);
    after = lk_arena_get_mark(&b.arena);
    if (cases[i].want == LK_OK) CHECK_SLICE(encode(&b, &flat), cases[i].bytes);
    else CHECK(after.chunk == mark.chunk && after.pos == mark.pos);
  }
  bench_deinit(&b);
}

TEST(bytes_beyond_the_limits_are_refused) {
  static const struct {
    lk_slice bytes;
    lk_err want;
  } cases[] = {
    { B("\x00\x01\x04\x04"), LK_ERR_LIMIT },
    { B("\x00\x01\x01\x05"), LK_ERR_LIMIT },
    { B("\x05\x01\x01\x01\x05\x01"), LK_ERR_LIMIT },
    { B("\x05\x01\x01\x01\x01\x05"), LK_ERR_LIMIT },
    { B("\x05\x01\x01\x01\x01\x01" A1 "\x06" "123456\x01\x00"), LK_OK },
    { B("\x05\x01\x01\x01\x01\x01" A1 "\x07" "1234567\x01\x00"), LK_ERR_TOO_BIG },
    { B("\x05\x01\x01\x01\x02\x02" A2 "\x04" "1234\x01\x00" "\x04\x03" "567\x01\x01"),
      LK_ERR_TOO_BIG },
    { B("\x08\x01\x01\x01\x01" A1 "\x00\x07" "1234567"), LK_ERR_TOO_BIG },
    /* maps in maps */
    { B("\x0b\x01\x01\x01\x02\x01" A1 "\x01" "\x0b\x01" "m\x01" "\x07\x01" "f\x01\x00"), LK_OK },
    { B("\x0b\x01\x01\x01\x03\x01" A1 "\x01" "\x0b\x01" "m\x01" "\x05\x01" "s\x01" "\x01" "1\x01\x00"),
      LK_OK },
    { B("\x0b\x01\x01\x01\x03\x01" A1 "\x01" "\x0b\x01" "m\x01" "\x0b\x01" "m\x01" "\x07\x01" "f\x01\x00"),
      LK_ERR_DEPTH },
  };
  bench b;
  bench_init(&b, test_alloc());
  b.limits.crdt_actors_count = 3;
  b.limits.crdt_entries_count = 4;
  b.limits.crdt_value_bytes = 6;
  b.limits.crdt_state_bytes = 100;
  b.limits.crdt_depth = 2;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_flat flat;
    test_note("case %zu", i);
    CHECK_ERR(decode(&b, cases[i].bytes, &flat), cases[i].want);
  }
  bench_deinit(&b);
}

/* Goal: bytes are not more than a state may have, nor what their keys are when written out, nor what they announce. */
TEST(bytes_that_are_too_many_or_grow_too_much_are_refused) {
  static const lk_slice grown = B("\x05\x01\x01\x01\x02\x02" A2 "\x14" "\"aaaaaaaaaaaaaaaaaa\"\x01\x00"
                                  "\x12\x02" "b\"\x01\x01");
  static const lk_slice many = B("\x00\x01\x01\x07" "\x01" "a" "\x00\x00\x01\x00\x01\x00"
                                 "\x01\x00\x01\x00\x01\x00\x01\x00");
  bench b;
  lk_flat flat;
  bench_init(&b, test_alloc());
  CHECK_OK(decode(&b, grown, &flat));
  b.limits.crdt_state_bytes = 39; /* two keys of 20 */
  CHECK(grown.len <= 39);
  CHECK_ERR(decode(&b, grown, &flat), LK_ERR_LIMIT);
  b.limits.crdt_state_bytes = (uint32_t)grown.len - 1;
  CHECK_ERR(decode(&b, grown, &flat), LK_ERR_TOO_BIG);
  b.limits.crdt_state_bytes = 42; /* seven ranges, six bytes each at least */
  CHECK_OK(decode(&b, many, &flat));
  b.limits.crdt_state_bytes = 41;
  CHECK_ERR(decode(&b, many, &flat), LK_ERR_LIMIT);
  CHECK_COVERED(flat_announces_more_than_a_state_holds);
  bench_deinit(&b);
}

/* Goal: a stranger's counts cost nothing unless the bytes for them are there. */
TEST(counts_without_bytes_allocate_nothing) {
  static const lk_slice cases[] = {
    B("\x00\x01\xff\xff\x03\xff\xff\x03"),
    B("\x05\x01\x01\x01\xff\xff\x7f\x01" A1 "\x01" "1\x01\x00"),
    B("\x05\x01\x01\x01\x01\xff\xff\x7f" A1 "\x01" "1\x01\x00"),
    B("\x01\x01\x01\xff\xff\x7f\x01" A1 "\x00\x00"),
  };
  bench b;
  bench_init(&b, test_alloc());
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_flat flat;
    test_note("case %zu", i);
    CHECK_ERR(decode(&b, cases[i], &flat), LK_ERR_TRUNCATED);
    CHECK(b.arena.top == NULL && b.arena.spare == NULL);
  }
  bench_deinit(&b);
}
/* clang-format on */

/* ---- JSON by hand ---- */

TEST(json_of_a_map_has_its_objects_as_items) {
  bench b;
  lk_flat flat;
  bench_init(&b, test_alloc());
  begin(&b, &lk_crdt_type_ormap);
  uint32_t alice = lk_flat_add_actor(&b.build, LK_LIT("alice"));
  uint32_t likes = lk_flat_add_node(&b.build, 0, &lk_crdt_type_pncounter, LK_LIT("likes"));
  uint32_t plus = lk_flat_add_node(&b.build, likes, NULL, LK_LIT("p"));
  uint32_t title = lk_flat_add_node(&b.build, 0, &lk_crdt_type_mvreg, LK_LIT("title"));
  put(&b, plus, alice, 1, 5, LK_SLICE_EMPTY);
  put(&b, title, alice, 7, 7, LK_LIT("{\"en\":\"Hi\"}"));
  lk_flat_add_known(&b.build, alice, 8, 9);
  CHECK_OK(lk_flat_build(&b.build, &flat));
  CHECK_TEXT(encode_json(&b, &flat),
             "{\"type\":\"ormap\",\"known\":{\"alice\":[[1,5],[7,9]]},\"items\":["
             "{\"type\":\"pncounter\",\"key\":\"likes\","
             "\"items\":[{\"key\":\"p\",\"facts\":[[\"alice\",1,5]]}]},"
             "{\"type\":\"mvreg\",\"key\":\"title\",\"facts\":[[\"alice\",7,{\"en\":\"Hi\"}]]}]}");
  bench_deinit(&b);
}

TEST(json_of_a_counter_without_gaps_is_its_counts) {
  bench b;
  lk_flat flat;
  bench_init(&b, test_alloc());
  begin(&b, &lk_crdt_type_gcounter);
  CHECK_OK(lk_flat_build(&b.build, &flat));
  CHECK_TEXT(encode_json(&b, &flat), "{\"counts\":{}}");
  begin(&b, &lk_crdt_type_gcounter);
  put(&b, 0, lk_flat_add_actor(&b.build, LK_LIT("alice")), 1, 3, LK_SLICE_EMPTY);
  put(&b, 0, lk_flat_add_actor(&b.build, LK_LIT("bob")), 1, UINT64_MAX, LK_SLICE_EMPTY);
  CHECK_OK(lk_flat_build(&b.build, &flat));
  CHECK_TEXT(encode_json(&b, &flat), "{\"counts\":{\"alice\":3,\"bob\":18446744073709551615}}");
  begin(&b, &lk_crdt_type_gcounter);
  put(&b, 0, lk_flat_add_actor(&b.build, LK_LIT("alice")), 2, 3, LK_SLICE_EMPTY);
  CHECK_OK(lk_flat_build(&b.build, &flat));
  CHECK_TEXT(encode_json(&b, &flat), "{\"type\":\"gcounter\",\"known\":{\"alice\":[[2,3]]},"
                                     "\"facts\":[[\"alice\",2,3]]}");
  begin(&b, &lk_crdt_type_gcounter);
  put(&b, 0, lk_flat_add_actor(&b.build, LK_LIT("alice")), 1, 3, LK_SLICE_EMPTY);
  lk_flat_add_known(&b.build, 0, 5, 6);
  CHECK_OK(lk_flat_build(&b.build, &flat));
  CHECK_TEXT(encode_json(&b, &flat), "{\"type\":\"gcounter\",\"known\":{\"alice\":[[1,3],[5,6]]},"
                                     "\"facts\":[[\"alice\",1,3]]}");
  bench_deinit(&b);
}

/* Goal: order, repetition and spelling do not matter to the reader. */
TEST(json_in_any_order_and_spelling_is_the_same_form) {
  static const lk_slice texts[] = {
    B("{\"type\":\"ormap\",\"known\":{\"a\":[[1,3]],\"b\":[[1,1]]},\"items\":["
      "{\"type\":\"ormap\",\"key\":\"m\",\"items\":[{\"type\":\"ewflag\",\"key\":\"f\",\"facts\":[["
      "\"b\",1]]}]},"
      "{\"type\":\"orset\",\"key\":\"s\",\"items\":[{\"key\":1,\"facts\":[[\"a\",1]]},"
      "{\"key\":\"x\",\"facts\":[[\"a\",2]]}]}]}"),
    B(" {\"items\":[{\"items\":[{\"facts\":[ [\"a\",2] ],\"key\":\"\\u0078\"}, {\"key\":7}],"
      "\"key\":\"s\",\"type\":\"orset\"},"
      "{\"key\":\"m\",\"items\":[{\"facts\":[[\"b\",1],[\"b\",1]],\"type\":\"ewflag\",\"key\":"
      "\"f\"}],"
      "\"type\":\"ormap\"},"
      "{\"type\":\"orset\",\"key\":\"s\",\"items\":[{\"key\":1.0,\"facts\":[[\"a\",1]]}]},"
      "{\"type\":\"mvreg\",\"key\":\"none\",\"facts\":[]}],"
      "\"known\":{\"b\":[[1,1]],\"c\":[],\"a\":[[3,3],[1,2],[2,3]]},\"type\":\"ormap\"}"),
  };
  bench b;
  lk_flat flat[2];
  bench_init(&b, test_alloc());
  for (size_t i = 0; i < 2; i++) CHECK_OK(decode_json(&b, &lk_crdt_type_ormap, texts[i], &flat[i]));
  check_equal(&flat[1], &flat[0]);
  CHECK_U64(flat[0].node_count, 6);
  bench_deinit(&b);
}

TEST(json_that_is_wrong_is_refused_by_name) {
  static const struct {
    lk_slice text;
    lk_err want;
  } cases[] = {
    { B("{\"type\":\"orset\"}"), LK_OK },
    { B("{}"), LK_ERR_PAYLOAD },
    { B("[]"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"gset\"}"), LK_ERR_TYPE },
    { B("{\"type\":\"sorted\"}"), LK_ERR_UNKNOWN_TYPE },
    { B("{\"type\":5}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"orset\",\"more\":1}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"orset\",\"key\":1}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"orset\",\"counts\":{}}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"orset\",\"type\":\"orset\"}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"orset\",\"facts\":[]}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"orset\",\"known\":[]}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"orset\",\"known\":{\"\":[]}}"), LK_ERR_ACTOR },
    { B("{\"type\":\"orset\",\"known\":{\"a\":1}}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"orset\",\"known\":{\"a\":[1]}}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"orset\",\"known\":{\"a\":[[1]]}}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"orset\",\"known\":{\"a\":[[0,1]]}}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"orset\",\"known\":{\"a\":[[2,1]]}}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"orset\",\"known\":{\"a\":[[1,2,3]]}}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"orset\",\"known\":{\"a\":[[1,1.5]]}}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"orset\",\"items\":{}}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"orset\",\"items\":[1]}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"orset\",\"items\":[{}]}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"orset\",\"items\":[{\"key\":1}]}"), LK_OK },
    { B("{\"type\":\"orset\",\"items\":[{\"key\":1,\"items\":[]}]}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"orset\",\"items\":[{\"key\":1e999}]}"), LK_ERR_RANGE },
    { B("{\"type\":\"orset\",\"items\":[{\"key\":1,\"facts\":[[\"a\",1]]}]}"), LK_ERR_DOT },
    { B("{\"type\":\"orset\",\"items\":[{\"key\":1,\"facts\":[[\"\",1]]}]}"), LK_ERR_ACTOR },
    { B("{\"type\":\"orset\",\"items\":[{\"key\":1,\"facts\":[[\"a\",0]]}]}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"orset\",\"items\":[{\"key\":1,\"facts\":[[\"a\"]]}]}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"orset\",\"items\":[{\"key\":1,\"facts\":[[\"a\",1,2]]}]}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"orset\",\"items\":[{\"key\":\"01234567890\"}]}"), LK_ERR_TOO_BIG },
    { B("{\"type\":\"orset\"} x"), LK_ERR_TRAILING },
    { B("{\"type\":\"orset\""), LK_ERR_TRUNCATED },
    { B("{\"type\":\"orset\",\"items\":[{\"key\":tru}]}"), LK_ERR_SYNTAX },
    /* counters */
    { B("{\"type\":\"gcounter\",\"value\":3,\"counts\":{\"a\":3,\"b\":0},\"replica\":\"x\"}"),
      LK_OK },
    { B("{\"counts\":{\"a\":-1}}"), LK_ERR_PAYLOAD },
    { B("{\"counts\":{\"a\":1.5}}"), LK_ERR_PAYLOAD },
    { B("{\"counts\":{\"a\":18446744073709551616}}"), LK_ERR_PAYLOAD },
    { B("{\"counts\":{\"\":1}}"), LK_ERR_ACTOR },
    { B("{\"counts\":[1]}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"gcounter\",\"items\":[]}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"gcounter\",\"facts\":[[\"a\",3,2]]}"), LK_ERR_PAYLOAD },
    /* registers and maps */
    { B("{\"type\":\"mvreg\",\"known\":{\"a\":[[1,1]]},\"facts\":[[\"a\",1]]}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"ormap\",\"items\":[{\"key\":\"k\"}]}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"ormap\",\"items\":[{\"type\":\"orset\"}]}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"ormap\",\"items\":[{\"type\":\"orset\",\"key\":1}]}"), LK_ERR_PAYLOAD },
    { B("{\"type\":\"ormap\",\"items\":[{\"type\":\"sorted\",\"key\":\"k\"}]}"),
      LK_ERR_UNKNOWN_TYPE },
    { B("{\"type\":\"ormap\",\"items\":[{\"type\":\"orset\",\"key\":\"k\",\"known\":{}}]}"),
      LK_ERR_PAYLOAD },
    { B("{\"type\":\"ormap\",\"items\":[{\"type\":\"orset\",\"key\":\"01234567890\"}]}"),
      LK_ERR_TOO_BIG },
    { B("{\"type\":\"ormap\",\"items\":[{\"type\":\"ormap\",\"key\":\"k\",\"items\":["
        "{\"type\":\"orset\",\"key\":\"k\"}]}]}"),
      LK_ERR_DEPTH },
  };
  bench b;
  bench_init(&b, test_alloc());
  b.limits.crdt_value_bytes = 10;
  b.limits.crdt_depth = 1;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    static const struct {
      const char *name;
      const lk_crdt_type *type;
    } types[] = { { "\"counts\":", &lk_crdt_type_gcounter },
                  { "\"gcounter\"", &lk_crdt_type_gcounter },
                  { "\"mvreg\"", &lk_crdt_type_mvreg },
                  { "\"ormap\"", &lk_crdt_type_ormap } };
    const lk_crdt_type *type = &lk_crdt_type_orset;
    for (size_t k = 4; k-- > 0;) {
      if (lk_slice_starts_with(cases[i].text, LK_LIT("{\"type\":\"orset\""))) continue;
      if (lk_slice_find(cases[i].text, lk_slice_cstr(types[k].name)) != LK_SLICE_NONE) {
        type = types[k].type;
      }
    }
    lk_flat flat;
    test_note("case %zu", i);
    lk_arena_mark mark = lk_arena_get_mark(&b.arena);
    CHECK_ERR(decode_json(&b, type, cases[i].text, &flat), cases[i].want);
    lk_arena_mark after = lk_arena_get_mark(&b.arena);
    if (cases[i].want != LK_OK) CHECK(after.chunk == mark.chunk && after.pos == mark.pos);
  }
  bench_deinit(&b);
}

/* Goal: an actor that is named twice has its greatest count; a count of 0 says nothing. */
TEST(json_counts_of_one_actor_are_joined) {
  bench b;
  lk_flat flat;
  bench_init(&b, test_alloc());
  CHECK_OK(decode_json(&b, &lk_crdt_type_gcounter,
                       LK_LIT("{\"counts\":{\"b\":2,\"a\":1,\"c\":0,\"b\":9,\"b\":4}}"), &flat));
  CHECK_TEXT(encode_json(&b, &flat), "{\"counts\":{\"a\":1,\"b\":9}}");
  bench_deinit(&b);
}

/* Goal: an encoder without room leaves the buffer as it was: usable, or failed. */
TEST(a_buffer_that_is_too_small_is_as_before) {
  bench b;
  lk_flat flat;
  lk_buf small;
  bench_init(&b, test_alloc());
  begin(&b, &lk_crdt_type_mvreg);
  put(&b, 0, lk_flat_add_actor(&b.build, LK_LIT("alice")), 1, 1, LK_LIT("[1,2,3]"));
  CHECK_OK(lk_flat_build(&b.build, &flat));
  size_t len = encode(&b, &flat).len, json_len = encode_json(&b, &flat).len;
  for (size_t max = 2; max < 2 + json_len; max++) {
    bool fits = max >= 2 + len;
    lk_buf_init(&small, test_alloc(), max);
    lk_buf_append(&small, LK_LIT("ab"));
    CHECK_ERR(lk_flat_encode_json(&flat, &small), LK_ERR_LIMIT);
    CHECK_TEXT(lk_buf_slice(&small), "ab");
    CHECK_OK(lk_buf_err(&small));
    CHECK_ERR(lk_flat_encode(&flat, &small), fits ? LK_OK : LK_ERR_LIMIT);
    CHECK_U64(small.len, fits ? 2 + len : 2);
    CHECK_OK(lk_buf_err(&small));
    CHECK(lk_buf_extend(&small, max) == NULL);
    CHECK_ERR(lk_flat_encode(&flat, &small), LK_ERR_LIMIT);
    CHECK_ERR(lk_flat_encode_json(&flat, &small), LK_ERR_LIMIT);
    CHECK_ERR(lk_buf_err(&small), LK_ERR_LIMIT);
    lk_buf_deinit(&small);
  }
  bench_deinit(&b);
}

/* Goal: a value may nest as deep as JSON may, wherever it stands. */
TEST(json_around_a_value_does_not_count_as_its_depth) {
  bench b;
  lk_flat flat, back;
  bench_init(&b, test_alloc());
  b.limits.json_depth = 3;
  b.limits.crdt_depth = 4;
  begin(&b, &lk_crdt_type_ormap);
  uint32_t node = 0;
  for (uint32_t i = 0; i < 3; i++)
    node = lk_flat_add_node(&b.build, node, &lk_crdt_type_ormap, LK_LIT("m"));
  node = lk_flat_add_node(&b.build, node, &lk_crdt_type_mvreg, LK_LIT("r"));
  put(&b, node, lk_flat_add_actor(&b.build, LK_LIT("a")), 1, 1, LK_LIT("[[[]]]"));
  CHECK_OK(lk_flat_build(&b.build, &flat));
  lk_slice text = keep(&b, encode_json(&b, &flat));
  CHECK_OK(decode_json(&b, &lk_crdt_type_ormap, text, &back));
  check_equal(&back, &flat);
  bench_deinit(&b);
}

/* Goal: many actors in the worst order are read. There is no clock here: a sort in quadratic time
 * shows as a test that takes a minute under the sanitizers. */
TEST(json_of_65536_actors_backwards_is_read) {
  bench b;
  lk_flat flat;
  bench_init(&b, test_alloc());
  b.limits.json_bytes = 1 << 24;
  lk_buf_append(&b.out, LK_LIT("{\"counts\":{"));
  for (uint32_t i = 65536; i-- > 0;) {
    lk_buf_append(&b.out, LK_LIT("\""));
    lk_buf_append_decimal(&b.out, 100000 + i);
    lk_buf_append(&b.out, i == 0 ? LK_LIT("\":1}}") : LK_LIT("\":1,"));
  }
  CHECK_OK(lk_buf_err(&b.out));
  CHECK_OK(decode_json(&b, &lk_crdt_type_gcounter, lk_buf_slice(&b.out), &flat));
  CHECK_U64(flat.actor_count, 65536);
  CHECK_TEXT(flat.actors[0], "100000");
  bench_deinit(&b);
}

/* ---- memory ---- */

/* Goal: whatever allocation fails, that is the error, and the arena is as before. */
TEST(decoding_survives_every_failed_allocation) {
  static const lk_slice text = B(
      "{\"type\":\"ormap\",\"known\":{\"b\":[[1,9]],\"a\":[[1,9]]},\"items\":["
      "{\"type\":\"orset\",\"key\":\"s\",\"items\":[{\"key\":\"x\",\"facts\":[[\"b\",2]]},"
      "{\"key\":{\"b\":1,\"a\":2},\"facts\":[[\"a\",1]]}]},"
      "{\"type\":\"mvreg\",\"key\":\"r\",\"facts\":[[\"b\",3,[1.0]]]}]}");
  FAULT_LOOP(faults, test_alloc()) {
    bench b;
    lk_flat flat, back;
    bench_init(&b, faulty_alloc(&faults));
    lk_err err = decode_json(&b, &lk_crdt_type_ormap, text, &flat);
    CHECK(err == LK_OK || (err == LK_ERR_NOMEM && b.arena.top == NULL));
    if (err == LK_OK) err = lk_flat_encode(&flat, &b.out);
    if (err == LK_OK) {
      err = decode(&b, lk_buf_slice(&b.out), &back);
      if (err == LK_OK) check_equal(&back, &flat);
    }
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    bench_deinit(&b);
  }
}

TEST(building_survives_every_failed_allocation) {
  FAULT_LOOP(faults, test_alloc()) {
    bench b;
    lk_flat flat;
    bench_init(&b, faulty_alloc(&faults));
    begin(&b, &lk_crdt_type_orset);
    for (uint32_t i = 60; i > 0; i--) {
      static const uint8_t digits[] = "123456789";
      uint8_t key[2] = { digits[i / 9], digits[i % 9] };
      lk_slice copy = LK_SLICE_EMPTY, name = i % 2 == 0 ? LK_LIT("b") : LK_LIT("a");
      if (lk_arena_copy(&b.arena, lk_slice_of(key, 2), &copy) != LK_OK) continue;
      uint32_t actor = lk_flat_add_actor(&b.build, name);
      put(&b, lk_flat_add_node(&b.build, 0, NULL, copy), actor, i, i, LK_SLICE_EMPTY);
    }
    lk_err err = lk_flat_build(&b.build, &flat);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    if (!faults.hit) CHECK_U64(flat.fact_count, 60);
    bench_deinit(&b);
  }
}
