/* unit/crdt/state_test.c -- the engine from within: what must always hold, under what nobody honest sends.
 *
 * A |world| says of every dot where its fact would stand and which value it would have, so that forms
 * which are drawn apart never contradict each other unless they are meant to. Of each dot a |view|
 * holds one of three things: unknown, live, dead. That is all a state is; so a view can be written as a
 * form, and the greater of two views is what a merge must give, to the byte. Views are drawn without any
 * regard for what replicas do: runs with holes, facts in dead zones, hundreds at one node.
 *
 * check_state() recounts everything that lk_crdt keeps count of. It runs after every step, after those that
 * failed in particular. */
#include "codec/varint.h"
#include "crdt/state.h"

#include "harness/test.h"

#include <stdio.h>

/* ---- what always holds ---- */

#define FREE_TYPE UINT8_MAX

static uint64_t weight_of_fact(const lk_fact *fact) {
  return 4 + lk_varuint_len(fact->lo) + lk_varuint_len(fact->hi - fact->lo) +
         lk_varuint_len(fact->value_len) + fact->value_len;
}

/* What the parts add up to. */
typedef struct recount {
  uint64_t weight;
  size_t bytes;
  uint64_t dots;
  uint32_t nodes, facts, indexed, placed, dots_high;
} recount;

static void check_actors(const lk_crdt *c, recount *sum) {
  CHECK(c->actor_count <= c->actor_cap);
  for (uint32_t i = 0; i < c->actor_count; i++) {
    const lk_crdt_actor *actor = &c->actors[i];
    lk_slice id = lk_slice_of(actor->id, actor->id_len);
    lk_btree_cursor cursor;
    CHECK(actor->rank < c->actor_count && c->actors[actor->rank].at_rank == i);
    CHECK_U64(lk_actor_find(c, id), i);
    if (i > 0) {
      const lk_crdt_actor *low = &c->actors[c->actors[i - 1].at_rank],
                          *high = &c->actors[c->actors[i].at_rank];
      CHECK(lk_slice_compare(lk_slice_of(low->id, low->id_len),
                             lk_slice_of(high->id, high->id_len)) < 0);
    }
    const lk_range *range = lk_known_at_least(c, i, 1, &cursor);
    CHECK(range != NULL); /* else it is no actor */
    for (const lk_range *next; (next = lk_known_next(range, &cursor)) != NULL;) range = next;
    CHECK_U64(range->hi, actor->end);
    sum->weight += 8 + actor->id_len;
    sum->bytes += actor->id_len;
  }
}

static void check_known(const lk_crdt *c, recount *sum) {
  lk_btree_cursor cursor;
  lk_range last = { 0 };
  uint32_t count = 0;
  const lk_range *range = lk_btree_first(&c->known, &cursor);
  for (; range != NULL; range = lk_btree_next(&cursor), count++) {
    CHECK(range->actor < c->actor_count && range->lo >= 1 && range->lo <= range->hi);
    if (count > 0 && last.actor == range->actor) {
      CHECK(last.hi < range->lo - 1);
    }
    last = *range;
    sum->weight += 20;
  }
  CHECK_U64(count, lk_btree_count(&c->known));
}

static void check_live(const lk_crdt *c) {
  lk_btree_cursor cursor, known;
  const lk_fact *last = NULL;
  uint32_t count = 0;
  const lk_run *run = lk_btree_first(&c->live, &cursor);
  for (; run != NULL; run = lk_btree_next(&cursor), count++) {
    const lk_fact *fact = lk_fact_at(c, run->fact);
    CHECK(run->fact > 0 && run->fact < c->fact_end && fact->node != LK_NODE_NONE);
    CHECK(fact->actor == run->actor && fact->lo == run->lo && fact->lo <= fact->hi);
    const lk_range *range = lk_known_at_least(c, run->actor, fact->lo, &known);
    CHECK(range != NULL && range->lo <= fact->lo && range->hi >= fact->hi);
    if (last != NULL && last->actor == fact->actor) {
      bool touches = last->hi == fact->lo - 1 && last->node == fact->node;
      CHECK(last->hi < fact->lo);
      CHECK(!touches || !lk_shape_has_runs(lk_node_owner_type(c, fact->node)));
    }
    last = fact;
  }
  CHECK_U64(count, c->fact_count);
}

static void check_fact(const lk_crdt *c, const lk_fact *fact, recount *sum) {
  const lk_crdt_type *type = lk_node_owner_type(c, fact->node);
  lk_slice value = lk_slice_of(fact->value, fact->value_len);
  CHECK(fact->node < c->node_end && c->nodes[fact->node].type != FREE_TYPE);
  CHECK(fact->hi == fact->lo || lk_shape_has_runs(type));
  CHECK((fact->value == NULL) == (fact->value_len == 0));
  if (lk_shape_has_values(type)) CHECK_OK(type->check_value(value, &c->scope));
  else CHECK(fact->value == NULL);
  sum->facts++;
  sum->weight += weight_of_fact(fact);
  sum->bytes += fact->value_len;
  sum->dots += fact->hi - fact->lo + 1;
  sum->dots_high += sum->dots < fact->hi - fact->lo + 1;
}

static void check_facts(const lk_crdt *c, recount *sum) {
  uint32_t free = 0;
  CHECK(c->fact_end <= c->fact_cap);
  for (uint32_t i = 1; i < c->fact_end; i++) {
    if (c->facts[i].node != LK_NODE_NONE) check_fact(c, &c->facts[i], sum);
    else CHECK(c->facts[i].value == NULL);
  }
  for (uint32_t i = c->fact_free; i != 0; i = c->facts[i].next, free++) {
    CHECK(i < c->fact_end && free < c->fact_end && c->facts[i].node == LK_NODE_NONE);
  }
  CHECK_U64(sum->facts, c->fact_count);
  CHECK_U64(free + c->fact_count + 1, c->fact_end);
}

/* The facts at a node, in their order; returns the one that says where an element stands. */
static uint32_t check_facts_at(const lk_crdt *c, uint32_t node) {
  const lk_node *at = lk_node_at(c, node);
  lk_btree_cursor cursor = { 0 };
  uint32_t count = 0, last = 0, winner = 0;
  uint64_t total = 0;
  for (uint32_t i; (i = lk_fact_next(c, node, &cursor)) != 0; last = i, count++) {
    const lk_fact *fact = lk_fact_at(c, i), *before = lk_fact_at(c, last);
    CHECK(fact->node == node && count < at->facts);
    total += fact->hi - fact->lo + 1;
    CHECK(total >= fact->hi - fact->lo + 1); /* fits */
    if (last != 0 && before->actor == fact->actor) CHECK(before->lo < fact->lo);
    else if (last != 0) CHECK(c->actors[before->actor].rank < c->actors[fact->actor].rank);
    if (!lk_node_is_ordered(c, node)) continue;
    if (winner == 0 || lk_node_owner_type(c, node)->compare_places(lk_fact_value(c, i),
                                                                   lk_fact_value(c, winner)) >= 0) {
      winner = i;
    }
  }
  CHECK_U64(count, at->facts);
  CHECK_U64(total, at->total);
  CHECK(at->indexed ? count > 0 && at->first == 0 : count <= LK_FACTS_LISTED);
  return winner;
}

static void check_kids(const lk_crdt *c, uint32_t node) {
  lk_btree_cursor cursor = { 0 };
  uint32_t kids = 0;
  for (uint32_t kid; (kid = lk_node_next_kid(c, node, &cursor)) != LK_NODE_NONE; kids++) {
    const lk_crdt_type *type = lk_node_type(c, kid);
    CHECK_U64(lk_node_at(c, kid)->parent, node);
    CHECK_U64(lk_node_find(c, node, type, lk_node_key(c, kid)), kid);
    CHECK(lk_shape_is(lk_node_type(c, node), type == NULL ? LK_SHAPE_ELEMENTS : LK_SHAPE_MAP));
  }
  CHECK_U64(kids, lk_node_at(c, node)->kids);
}

static void check_order(const lk_crdt *c, uint32_t list) {
  lk_btree_cursor cursor = { 0 };
  uint32_t index = 0, last = 0;
  for (uint32_t i; (i = lk_order_next(c, list, &cursor)) != LK_NODE_NONE; last = i, index++) {
    CHECK_U64(lk_order_at(c, list, index), i);
    if (index == 0) continue;
    CHECK(lk_slice_compare(lk_order_position(c, last), lk_order_position(c, i)) <= 0);
  }
  CHECK_U64(index, lk_node_at(c, list)->kids);
}

static void check_node(const lk_crdt *c, uint32_t node, recount *sum) {
  const lk_node *at = lk_node_at(c, node);
  const lk_crdt_type *type = lk_node_type(c, node), *owner = lk_node_owner_type(c, node);
  CHECK(at->mark == 0);
  CHECK(node == LK_NODE_ROOT || at->facts + at->kids > 0);
  CHECK(at->facts == 0 || type == NULL || lk_shape_is(owner, LK_SHAPE_ROOT));
  CHECK_U64(at->place, check_facts_at(c, node));
  check_kids(c, node);
  if (type != NULL && type->ordered) check_order(c, node);
  if (type == NULL && owner->ordered) sum->placed++;
  if (at->indexed) sum->indexed += at->facts;
  if (node == LK_NODE_ROOT) return;
  if (type == NULL) CHECK_OK(owner->check_key(lk_node_key(c, node), &c->scope));
  sum->nodes++;
  sum->weight += 12 + at->key_len;
  if (at->key_len > LK_KEY_SMALL) {
    CHECK(memcmp(at->key.large.head, at->key.large.ptr, LK_KEY_HEAD) == 0);
    sum->bytes += at->key_len;
  }
}

static void check_nodes(const lk_crdt *c, recount *sum) {
  uint32_t free = 0;
  CHECK(c->node_end <= c->node_cap);
  for (uint32_t i = LK_NODE_ROOT; i < c->node_end; i++) {
    if (c->nodes[i].type != FREE_TYPE) check_node(c, i, sum);
  }
  for (uint32_t i = c->node_free; i != 0; i = c->nodes[i].parent, free++) {
    CHECK(i < c->node_end && free < c->node_end && c->nodes[i].type == FREE_TYPE);
  }
  CHECK_U64(sum->nodes, c->node_count);
  CHECK_U64(free + c->node_count + 2, c->node_end);
  CHECK_U64(lk_btree_count(&c->node_index), c->node_count);
  CHECK_U64(lk_btree_count(&c->fact_index), sum->indexed);
  CHECK_U64(lk_btree_count(&c->order), sum->placed);
  for (uint32_t i = 0; i < c->hint_cap; i++) CHECK(c->hints[i].node < c->node_end);
}

static void check_state(const lk_crdt *c) {
  recount sum = { .weight = 32 };
  const lk_btree *trees[] = { &c->node_index, &c->fact_index, &c->known, &c->live, &c->order };
  for (size_t i = 0; i < sizeof trees / sizeof trees[0]; i++) {
    lk_btree_check(trees[i]);
    sum.bytes += lk_btree_bytes(trees[i]);
  }
  check_actors(c, &sum);
  check_known(c, &sum);
  check_live(c);
  check_facts(c, &sum);
  check_nodes(c, &sum);
  sum.bytes += c->actor_cap * sizeof *c->actors + c->node_cap * sizeof *c->nodes +
               c->fact_cap * sizeof *c->facts + c->hint_cap * sizeof *c->hints;
  CHECK_U64(c->bytes, sum.bytes);
  CHECK_U64(c->weight, sum.weight);
  CHECK_U64(c->dots, sum.dots);
  CHECK_U64(c->dots_high, sum.dots_high);
}

/* ---- objects and bytes ---- */

static void buf(lk_buf *out) { lk_buf_init(out, test_alloc(), 1u << 28); }

static lk_slice encode(const lk_crdt *c, lk_buf *out) {
  buf(out);
  CHECK_OK(lk_crdt_encode(c, out));
  return lk_buf_slice(out);
}

static void open(lk_crdt *c, const lk_crdt_type *type) {
  lk_limits limits = lk_limits_default();
  CHECK_OK(lk_crdt_init(c, type, test_alloc(), &limits));
}

/* check_state(), and that bytes are no longer than promised and lead to an equal state. */
static void check_whole(const lk_crdt *c) {
  lk_buf bytes, again;
  lk_crdt copy;
  check_state(c);
  encode(c, &bytes);
  CHECK(bytes.len <= c->weight);
  open(&copy, c->type);
  CHECK_OK(lk_crdt_merge(&copy, lk_buf_slice(&bytes), NULL));
  check_state(&copy);
  CHECK(lk_crdt_compare(&copy, c) == LK_CRDT_EQUAL);
  CHECK_SLICE(encode(&copy, &again), lk_buf_slice(&bytes));
  lk_crdt_deinit(&copy);
  lk_buf_deinit(&bytes);
  lk_buf_deinit(&again);
}

/* ---- keys and values that are well formed, as operations make them ---- */

enum { TYPES_MAX = 16, POOL = 6, TEXT_MAX = 160 };

typedef struct text {
  uint8_t bytes[TEXT_MAX];
  uint32_t len;
} text;

typedef struct pool {
  text keys[POOL], values[POOL];
  uint32_t key_count, value_count;
} pool;

static pool pools[TYPES_MAX];

static lk_slice slice_of(const text *of) { return lk_slice_of(of->bytes, of->len); }

static void keep(text *list, uint32_t *count, lk_slice bytes) {
  for (uint32_t i = 0; i < *count; i++) {
    if (lk_slice_equal(slice_of(&list[i]), bytes)) return;
  }
  if (*count == POOL || bytes.len > TEXT_MAX) return;
  if (bytes.len > 0) memcpy(list[*count].bytes, bytes.ptr, bytes.len);
  list[(*count)++].len = (uint32_t)bytes.len;
}

#define LONG_TEXT "a text that is too long for a node to have it in itself"

static const struct {
  lk_crdt_kind kind;
  const char *name;
  const char *arguments;
} deeds[] = {
  { LK_CRDT_PNCOUNTER, "increment", "[1]" },
  { LK_CRDT_PNCOUNTER, "decrement", "[1]" },
  { LK_CRDT_BCOUNTER, "increment", "[9]" },
  { LK_CRDT_BCOUNTER, "transfer", "[\"someone whose name is long, so long\",1]" },
  { LK_CRDT_BCOUNTER, "transfer", "[\"b\",1]" },
  { LK_CRDT_GSET, "add", "[1]" },
  { LK_CRDT_GSET, "add", "[\"" LONG_TEXT "\"]" },
  { LK_CRDT_GSET, "add", "[\"" LONG_TEXT "!\"]" },
  { LK_CRDT_ORSET, "add", "[1]" },
  { LK_CRDT_ORSET, "add", "[\"" LONG_TEXT "\"]" },
  { LK_CRDT_ORSET, "add", "[null]" },
  { LK_CRDT_RWSET, "add", "[1]" },
  { LK_CRDT_RWSET, "remove", "[1]" },
  { LK_CRDT_RWSET, "remove", "[\"x\"]" },
  { LK_CRDT_DWFLAG, "enable", "[]" },
  { LK_CRDT_DWFLAG, "disable", "[]" },
  { LK_CRDT_LWW, "set", "[1]" },
  { LK_CRDT_LWW, "set", "[\"" LONG_TEXT "\"]" },
  { LK_CRDT_MVREG, "set", "[2]" },
  { LK_CRDT_MVREG, "set", "[[]]" },
  { LK_CRDT_LIST, "insert", "[0,1]" },
  { LK_CRDT_LIST, "insert", "[0,\"" LONG_TEXT "\"]" },
  { LK_CRDT_LIST, "move", "[0,1]" },
  { LK_CRDT_LIST, "insert", "[1,2]" },
  { LK_CRDT_LIST, "move", "[2,1]" },
  { LK_CRDT_LIST, "move", "[0,1]" },
  { LK_CRDT_TEXT, "insert", "[0,\"abc\"]" },
  { LK_CRDT_TEXT, "insert", "[1,\"xyz\"]" },
};

static void harvest(const lk_crdt *c, pool *into) {
  for (uint32_t i = 2; i < c->node_end; i++) {
    if (c->nodes[i].type == LK_CRDT_ELEMENT) keep(into->keys, &into->key_count, lk_node_key(c, i));
  }
  for (uint32_t i = 1; i < c->fact_end; i++) {
    if (c->facts[i].node != 0) keep(into->values, &into->value_count, lk_fact_value(c, i));
  }
}

/* Filled once; the same for every test. */
static void fill_pools(void) {
  lk_crdt c[TYPES_MAX];
  if (pools[LK_CRDT_TEXT].key_count > 0) return;
  for (size_t i = 0; lk_crdt_type_at(i) != NULL; i++) {
    open(&c[lk_crdt_type_at(i)->number], lk_crdt_type_at(i));
  }
  for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++) {
    lk_crdt_op op = { .actor = LK_LIT("a"), .now_ms = 1000 + i };
    CHECK_OK(lk_crdt_apply(&c[deeds[i].kind], &op, lk_slice_cstr(deeds[i].name),
                           lk_slice_cstr(deeds[i].arguments)));
    harvest(&c[deeds[i].kind], &pools[deeds[i].kind]);
  }
  for (size_t i = 0; lk_crdt_type_at(i) != NULL; i++) {
    lk_crdt_deinit(&c[lk_crdt_type_at(i)->number]);
  }
}

/* ---- a world: what each dot would be ---- */

enum { ACTORS = 4, PLACES = 6, DEPTH = 16, DOTS_MAX = 700 };

static const lk_slice actor_ids[ACTORS] = {
  LK_LIT_INIT("b"), LK_LIT_INIT("a"), LK_LIT_INIT("bb"),
  LK_LIT_INIT("a name of 64 bytes, which is as long as that of any actor may be")
};

/* A node that facts may stand at. */
typedef struct place {
  uint32_t depth; /* maps to go down */
  uint32_t keys[DEPTH];
  const lk_crdt_type *type;
  uint32_t element;
} place;

typedef struct world {
  const lk_crdt_type *type;
  place places[PLACES];
  uint32_t place_count;
  uint32_t dots;         /* of each actor */
  uint64_t base[ACTORS]; /* the first number */
  uint32_t grain;        /* so many in a row stand at one place */
  uint32_t salt;
} world;

typedef enum status { UNKNOWN, LIVE, DEAD } status;

typedef struct view {
  uint8_t of[ACTORS][DOTS_MAX];
} view;

static uint32_t mix(const world *w, uint32_t actor, uint32_t dot) {
  uint64_t x = ((uint64_t)actor << 40 ^ (uint64_t)dot << 8 ^ w->salt) * 0x9E3779B97F4A7C15;
  return (uint32_t)((x ^ x >> 31) * 0xBF58476D1CE4E5B9 >> 40);
}

static const place *place_of(const world *w, uint32_t actor, uint32_t dot) {
  return &w->places[mix(w, actor, dot / w->grain) % w->place_count];
}

static const lk_crdt_type *gen_type(lk_gen *g) { return lk_crdt_type_at(gen_below(g, 13)); }

static void gen_place(lk_gen *g, const world *w, place *out) {
  *out = (place){ .type = w->type };
  if (lk_shape_is(w->type, LK_SHAPE_MAP)) {
    out->depth = gen_chance(g, 1, 4) ? DEPTH : gen_range(g, 1, 3);
    for (uint32_t i = 0; i < out->depth; i++)
      out->keys[i] = gen_below(g, gen_chance(g, 1, 8) ? 3 : 1);
    do out->type = gen_type(g);
    while (lk_shape_is(out->type, LK_SHAPE_MAP));
  }
  if (lk_shape_is(out->type, LK_SHAPE_ELEMENTS)) {
    out->element = gen_below(g, pools[out->type->number].key_count);
  }
}

static void gen_world(lk_gen *g, world *w, const lk_crdt_type *type, uint32_t dots) {
  static const uint32_t grains[] = { 1, 3, 20, DOTS_MAX };
  fill_pools();
  *w = (world){ .type = type, .dots = dots, .salt = gen_below(g, 1u << 20) };
  w->place_count = gen_range(g, 1, PLACES);
  w->grain = grains[gen_below(g, 4)];
  for (uint32_t i = 0; i < w->place_count; i++) gen_place(g, w, &w->places[i]);
  for (uint32_t i = 0; i < ACTORS; i++) {
    w->base[i] = gen_chance(g, 1, 4) ? UINT64_MAX - dots + 1
                                     : (gen_chance(g, 1, 4) ? gen_u64(g) >> 2 : 0) + 1;
  }
}

/* ---- views as forms ---- */

typedef struct form {
  lk_limits limits;
  lk_crdt_scope scope;
  lk_arena arena;
  lk_flat_builder builder;
  uint32_t actors[ACTORS];
  lk_flat flat;
} form;

static void form_begin(form *f, const lk_crdt_type *type) {
  f->limits = lk_limits_default();
  f->scope = (lk_crdt_scope){ test_alloc(), &f->limits };
  lk_arena_init(&f->arena, test_alloc(), SIZE_MAX / 2);
  lk_flat_builder_init(&f->builder, type, &f->scope, &f->arena);
  for (uint32_t i = 0; i < ACTORS; i++) {
    f->actors[i] = lk_flat_add_actor(&f->builder, actor_ids[i]);
  }
}

/* Bytes, since a decoder believes less than a builder does. */
static lk_slice form_end(form *f, lk_buf *out) {
  buf(out);
  CHECK_OK(lk_flat_build(&f->builder, &f->flat));
  CHECK_OK(lk_flat_encode(&f->flat, out));
  lk_arena_deinit(&f->arena);
  return lk_buf_slice(out);
}

static uint32_t add_place(form *f, const place *at) {
  static const lk_slice keys[] = { LK_LIT_INIT("k"), LK_LIT_INIT(""), LK_LIT_INIT(LONG_TEXT) };
  uint32_t node = 0;
  for (uint32_t i = 0; i < at->depth; i++) {
    const lk_crdt_type *type = i + 1 < at->depth ? &lk_crdt_type_ormap : at->type;
    node = lk_flat_add_node(&f->builder, node, type, keys[at->keys[i]]);
  }
  if (!lk_shape_is(at->type, LK_SHAPE_ELEMENTS)) return node;
  return lk_flat_add_node(&f->builder, node, NULL,
                          slice_of(&pools[at->type->number].keys[at->element]));
}

static void add_dot(form *f, const world *w, uint32_t actor, uint32_t dot, status is) {
  uint64_t number = w->base[actor] + dot;
  const place *at = place_of(w, actor, dot);
  lk_slice value = LK_SLICE_EMPTY;
  if (is == UNKNOWN) return;
  lk_flat_add_known(&f->builder, f->actors[actor], number, number);
  if (is == DEAD) return;
  if (lk_shape_has_values(at->type)) {
    const pool *from = &pools[at->type->number];
    value = slice_of(&from->values[mix(w, actor, dot + 1000) % from->value_count]);
  }
  lk_flat_add_fact(&f->builder, add_place(f, at), f->actors[actor], number, number, value);
}

static lk_slice write_view(const world *w, const view *v, lk_buf *out) {
  form f;
  form_begin(&f, w->type);
  for (uint32_t actor = 0; actor < ACTORS; actor++) {
    for (uint32_t dot = 0; dot < w->dots; dot++) add_dot(&f, w, actor, dot, v->of[actor][dot]);
  }
  return form_end(&f, out);
}

/* Stretches of any length, of a kind that is more or less likely in this view. */
static void gen_view(lk_gen *g, const world *w, view *out) {
  uint32_t odds[3];
  uint32_t longest = gen_chance(g, 1, 2) ? gen_range(g, 1, 3) : w->dots;
  for (int i = 0; i < 3; i++) odds[i] = gen_chance(g, 1, 4) ? 0 : gen_range(g, 1, 4);
  memset(out, 0, sizeof *out);
  if (odds[LIVE] + odds[DEAD] == 0) return; /* knows nothing */
  for (uint32_t actor = 0; actor < ACTORS; actor++) {
    if (gen_chance(g, 1, 3)) continue;
    for (uint32_t dot = 0; dot < w->dots;) {
      uint32_t pick = gen_below(g, odds[0] + odds[1] + odds[2]), len = gen_range(g, 1, longest);
      uint8_t is = pick < odds[0] ? UNKNOWN : pick < odds[0] + odds[1] ? LIVE : DEAD;
      for (; len > 0 && dot < w->dots; len--) out->of[actor][dot++] = is;
    }
  }
}

/* True where |into| learns something. */
static bool join(view *into, const view *more) {
  bool changed = false;
  for (uint32_t actor = 0; actor < ACTORS; actor++) {
    for (uint32_t dot = 0; dot < DOTS_MAX; dot++) {
      if (more->of[actor][dot] <= into->of[actor][dot]) continue;
      into->of[actor][dot] = more->of[actor][dot];
      changed = true;
    }
  }
  return changed;
}

static void check_is(const world *w, const lk_crdt *c, const view *v) {
  lk_buf got, want;
  check_state(c);
  encode(c, &got);
  CHECK_SLICE(lk_buf_slice(&got), write_view(w, v, &want));
  lk_buf_deinit(&got);
  lk_buf_deinit(&want);
}

static uint32_t gen_dots(lk_gen *g) {
  return gen_chance(g, 1, 12)  ? DOTS_MAX
         : gen_chance(g, 1, 2) ? gen_range(g, 1, 12)
                               : gen_range(g, 1, 60);
}

/* ---- merging ---- */

static void merge_view(lk_gen *g, const world *w, lk_crdt *c, view *v, const view *more) {
  lk_buf bytes;
  bool changed;
  write_view(w, more, &bytes);
  if (gen_bool(g)) {
    CHECK_OK(lk_crdt_merge(c, lk_buf_slice(&bytes), &changed));
  } else {
    lk_crdt other;
    open(&other, w->type);
    CHECK_OK(lk_crdt_merge(&other, lk_buf_slice(&bytes), NULL));
    check_is(w, &other, more);
    CHECK_OK(lk_crdt_merge_from(c, &other, &changed));
    lk_crdt_deinit(&other);
  }
  CHECK(changed == join(v, more));
  lk_buf_deinit(&bytes);
}

/* Goal: whatever well-formed forms come, a state is the greatest of what they say of each dot, and everything
 * that it counts is right. Since the model is a maximum, this is commutativity, associativity and idempotence,
 * too. */
PROPERTY_SLOW(any_forms_merge_to_the_greatest_of_what_they_say_of_each_dot, 4) {
  world w;
  view knows, more;
  lk_crdt c;
  gen_world(g, &w, gen_type(g), gen_dots(g));
  open(&c, w.type);
  memset(&knows, 0, sizeof knows);
  for (uint32_t i = gen_range(g, 1, 6); i > 0; i--) {
    gen_view(g, &w, &more);
    merge_view(g, &w, &c, &knows, &more);
    check_is(&w, &c, &knows);
  }
  check_whole(&c);
  lk_crdt_deinit(&c);
}

/* ---- what one has and another lacks ---- */

static lk_crdt_order order_of(const view *a, const view *b) {
  view both = *a;
  bool less = join(&both, b), more;
  both = *b;
  more = join(&both, a);
  if (more) return less ? LK_CRDT_CONCURRENT : LK_CRDT_AFTER;
  return less ? LK_CRDT_BEFORE : LK_CRDT_EQUAL;
}

static void check_diff(const world *w, const lk_crdt *a, const view *x, const lk_crdt *b,
                       const view *y) {
  view least = *x, since = *x;
  lk_buf got, want, version;
  for (uint32_t actor = 0; actor < ACTORS; actor++) {
    for (uint32_t dot = 0; dot < w->dots; dot++) {
      uint8_t here = x->of[actor][dot], there = y->of[actor][dot];
      if (here <= there) least.of[actor][dot] = UNKNOWN;
      if (here == LIVE && there != UNKNOWN) since.of[actor][dot] = UNKNOWN;
    }
  }
  buf(&got);
  CHECK_OK(lk_crdt_diff(a, b, &got));
  CHECK_SLICE(lk_buf_slice(&got), write_view(w, &least, &want));
  lk_buf_deinit(&want);
  buf(&version);
  CHECK_OK(lk_crdt_version(b, &version));
  lk_buf_truncate(&got, 0);
  CHECK_OK(lk_crdt_diff_since(a, lk_buf_slice(&version), &got));
  CHECK_SLICE(lk_buf_slice(&got), write_view(w, &since, &want));
  lk_buf_deinit(&want);
  lk_buf_deinit(&got);
  lk_buf_deinit(&version);
}

PROPERTY_SLOW(differences_are_the_least_ones_whatever_two_states_know, 4) {
  world w;
  view x, y, none;
  lk_crdt a, b;
  lk_buf got, want;
  gen_world(g, &w, gen_type(g), gen_dots(g));
  open(&a, w.type);
  open(&b, w.type);
  memset(&x, 0, sizeof x);
  y = none = x;
  for (uint32_t i = gen_range(g, 0, 3); i > 0; i--) {
    view more;
    gen_view(g, &w, &more);
    if (gen_chance(g, 2, 3)) merge_view(g, &w, &a, &x, &more);
    if (gen_chance(g, 2, 3)) merge_view(g, &w, &b, &y, &more);
  }
  CHECK(lk_crdt_compare(&a, &b) == order_of(&x, &y));
  check_diff(&w, &a, &x, &b, &y);
  check_diff(&w, &b, &y, &a, &x);
  buf(&got);
  CHECK_OK(lk_crdt_diff(&a, &a, &got)); /* itself */
  CHECK_SLICE(lk_buf_slice(&got), write_view(&w, &none, &want));
  bool changed = true;
  CHECK_OK(lk_crdt_merge_from(&a, &a, &changed));
  CHECK(!changed);
  check_is(&w, &a, &x);
  lk_buf_deinit(&got);
  lk_buf_deinit(&want);
  lk_crdt_deinit(&a);
  lk_crdt_deinit(&b);
}

/* ---- failing ---- */

/* Where some dot lives in both views, |other| has it somewhere else or as something else. */
static bool contradicts(const world *w, const view *x, const world *other, const view *y) {
  for (uint32_t actor = 0; actor < ACTORS; actor++) {
    for (uint32_t dot = 0; dot < w->dots; dot++) {
      const place *p = place_of(w, actor, dot), *q = place_of(other, actor, dot);
      if (x->of[actor][dot] != LIVE || y->of[actor][dot] != LIVE) continue;
      if (memcmp(p, q, sizeof *p) != 0) return true;
      const pool *from = &pools[p->type->number];
      if (lk_shape_has_values(p->type) && mix(w, actor, dot + 1000) % from->value_count !=
                                              mix(other, actor, dot + 1000) % from->value_count) {
        return true;
      }
    }
  }
  return false;
}

/* Goal: one dot for two facts is refused, and then nothing has changed. Method: two worlds in which the same
 * dots are something else. */
PROPERTY_SLOW(a_dot_that_is_two_things_is_refused_and_changes_nothing, 4) {
  world w, other;
  view x, y;
  lk_crdt c;
  lk_buf bytes;
  gen_world(g, &w, gen_type(g), gen_dots(g));
  other = w;
  other.salt = gen_below(g, 1u << 20);
  gen_view(g, &w, &x);
  gen_view(g, &other, &y);
  open(&c, w.type);
  write_view(&w, &x, &bytes);
  CHECK_OK(lk_crdt_merge(&c, lk_buf_slice(&bytes), NULL));
  lk_buf_deinit(&bytes);
  write_view(&other, &y, &bytes);
  lk_err err = lk_crdt_merge(&c, lk_buf_slice(&bytes), NULL);
  CHECK_ERR(err, contradicts(&w, &x, &other, &y) ? LK_ERR_DOT : LK_OK);
  if (err != LK_OK) check_is(&w, &c, &x);
  else check_whole(&c);
  lk_buf_deinit(&bytes);
  lk_crdt_deinit(&c);
}

/* Goal: what a limit refuses has no effect. Method: limits that are reached by half of the merges. */
PROPERTY_SLOW(a_merge_beyond_a_limit_changes_nothing, 4) {
  world w;
  view knows, more, both;
  lk_crdt c;
  gen_world(g, &w, gen_type(g), gen_range(g, 1, 60));
  open(&c, w.type);
  if (gen_bool(g)) c.limits.crdt_entries_count = gen_range(g, 1, 300);
  if (gen_bool(g)) c.limits.crdt_state_bytes = gen_range(g, 100, 8000);
  if (gen_bool(g)) c.limits.crdt_actors_count = gen_range(g, 1, 3);
  memset(&knows, 0, sizeof knows);
  for (uint32_t i = gen_range(g, 1, 6); i > 0; i--) {
    lk_buf bytes;
    bool changed;
    gen_view(g, &w, &more);
    write_view(&w, &more, &bytes);
    both = knows;
    bool news = join(&both, &more);
    lk_err err = lk_crdt_merge(&c, lk_buf_slice(&bytes), &changed);
    CHECK(err == LK_OK || err == LK_ERR_LIMIT || err == LK_ERR_TOO_BIG);
    CHECK(err != LK_OK || changed == news);
    if (err == LK_OK) knows = both;
    check_is(&w, &c, &knows);
    lk_buf_deinit(&bytes);
  }
  lk_crdt_deinit(&c);
}

static uint64_t entries_of(const lk_crdt *self) {
  return (uint64_t)self->node_count + self->fact_count + lk_btree_count(&self->known);
}

/* Whether |after| is beyond a limit of |limits| and more than it was. */
static bool is_beyond(const lk_crdt *after, const lk_limits *limits, uint64_t entries,
                      uint64_t weight) {
  bool too_many = entries_of(after) > limits->crdt_entries_count && entries_of(after) > entries;
  return too_many || (after->weight > limits->crdt_state_bytes && after->weight > weight);
}

/* A refusal must have a reason: what would come of it, or the form by itself, is beyond the limits. Elements that
 * vanish with the merge are not credited, so it is asked of the type without elements only. */
static void check_refusal(const world *w, lk_err err, lk_slice bytes, const lk_limits *limits,
                          const lk_crdt *twin, bool beyond) {
  lk_crdt alone;
  CHECK(err == LK_ERR_LIMIT || err == LK_ERR_TOO_BIG);
  open(&alone, w->type);
  CHECK_OK(lk_crdt_merge(&alone, bytes, NULL));
  bool large = entries_of(&alone) > limits->crdt_entries_count ||
               alone.weight > limits->crdt_state_bytes || bytes.len > limits->crdt_state_bytes;
  bool near = twin->weight + 4 > limits->crdt_state_bytes; /* joins are weighed a little too high */
  CHECK(beyond || large || near || w->type != &lk_crdt_type_gcounter);
  lk_crdt_deinit(&alone);
}

/* Goal: a merge is refused exactly where what comes of it is beyond a limit and more than before.
 * Method: a twin without limits takes in everything at once; what it is like then is what counts. */
PROPERTY_SLOW(limits_refuse_exactly_what_would_be_beyond_them, 4) {
  world w;
  view knows, more, both;
  lk_crdt c;
  gen_world(g, &w, gen_chance(g, 1, 3) ? &lk_crdt_type_gcounter : gen_type(g), gen_range(g, 1, 60));
  open(&c, w.type);
  c.limits.crdt_entries_count = gen_range(g, 1, 100);
  if (gen_bool(g)) c.limits.crdt_state_bytes = gen_range(g, 100, 3000);
  memset(&knows, 0, sizeof knows);
  for (uint32_t i = gen_range(g, 1, 8); i > 0; i--) {
    lk_buf bytes, all;
    lk_crdt twin;
    gen_view(g, &w, &more);
    write_view(&w, &more, &bytes);
    both = knows;
    join(&both, &more);
    write_view(&w, &both, &all);
    open(&twin, w.type);
    CHECK_OK(lk_crdt_merge(&twin, lk_buf_slice(&all), NULL));
    bool beyond = is_beyond(&twin, &c.limits, entries_of(&c), c.weight);
    lk_err err = lk_crdt_merge(&c, lk_buf_slice(&bytes), NULL);
    if (err == LK_OK) {
      CHECK(!beyond);
      knows = both;
    } else {
      check_refusal(&w, err, lk_buf_slice(&bytes), &c.limits, &twin, beyond);
    }
    check_is(&w, &c, &knows);
    lk_crdt_deinit(&twin);
    lk_buf_deinit(&bytes);
    lk_buf_deinit(&all);
  }
  lk_crdt_deinit(&c);
}

/* Goal: without memory a merge changes nothing. Method: each allocation of a merge fails once, and from it on. */
PROPERTY_SLOW(a_merge_without_memory_changes_nothing, 100) {
  world w;
  view knows, more, both;
  lk_buf first, second;
  gen_world(g, &w, gen_type(g), gen_chance(g, 1, 8) ? 200 : gen_range(g, 1, 40));
  gen_view(g, &w, &knows);
  gen_view(g, &w, &more);
  both = knows;
  join(&both, &more);
  write_view(&w, &knows, &first);
  write_view(&w, &more, &second);
  FAULT_LOOP(faults, test_alloc()) {
    lk_limits limits = lk_limits_default();
    lk_crdt c;
    uint64_t fail_at = faults.fail_at;
    faults.fail_at = 0;
    CHECK_OK(lk_crdt_init(&c, w.type, faulty_alloc(&faults), &limits));
    CHECK_OK(lk_crdt_merge(&c, lk_buf_slice(&first), NULL));
    faults.seen = 0;
    faults.fail_at = fail_at;
    lk_err err = lk_crdt_merge(&c, lk_buf_slice(&second), NULL);
    uint64_t seen = faults.seen;
    faults.fail_at = 0;
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    check_is(&w, &c, err == LK_OK ? &both : &knows);
    CHECK_OK(lk_crdt_merge(&c, lk_buf_slice(&second), NULL));
    check_is(&w, &c, &both);
    lk_crdt_deinit(&c);
    faults.seen = seen;
    faults.fail_at = fail_at;
  }
  lk_buf_deinit(&first);
  lk_buf_deinit(&second);
}

/* What is asked of a state, and what it is asked with. */
static lk_err look(uint32_t which, const lk_crdt *c, const lk_crdt *other, lk_slice version,
                   lk_buf *out) {
  switch (which) {
  case 0: return lk_crdt_encode(c, out);
  case 1: return lk_crdt_encode_json(c, out);
  case 2: return lk_crdt_value(c, LK_SLICE_EMPTY, out);
  case 3: return lk_crdt_version(c, out);
  case 4: return lk_crdt_diff(c, other, out);
  default: return lk_crdt_diff_since(c, version, out);
  }
}

/* Goal: who looks without memory, or into a buffer that is full, changes neither the state nor what is in the
 * buffer. Method: each allocation of the state fails; then each length of the buffer. */
PROPERTY_SLOW(looking_without_memory_or_room_leaves_no_trace, 100) {
  world w;
  view knows, none;
  lk_buf bytes, version, want;
  lk_crdt other;
  uint32_t which = gen_below(g, 6);
  gen_world(g, &w, gen_type(g), gen_range(g, 1, 30));
  gen_view(g, &w, &knows);
  memset(&none, 0, sizeof none);
  write_view(&w, &knows, &bytes);
  open(&other, w.type);
  buf(&version);
  buf(&want);
  CHECK_OK(lk_crdt_version(&other, &version));
  lk_buf_append(&want, LK_LIT("abc"));
  FAULT_LOOP(faults, test_alloc()) {
    lk_limits limits = lk_limits_default();
    lk_crdt c;
    lk_buf out;
    uint64_t fail_at = faults.fail_at;
    faults.fail_at = 0;
    CHECK_OK(lk_crdt_init(&c, w.type, faulty_alloc(&faults), &limits));
    CHECK_OK(lk_crdt_merge(&c, lk_buf_slice(&bytes), NULL));
    if (want.len == 3) CHECK_OK(look(which, &c, &other, lk_buf_slice(&version), &want));
    lk_buf_init(&out, faulty_alloc(&faults), 1u << 28);
    lk_buf_append(&out, LK_LIT("abc"));
    faults.seen = 0;
    faults.fail_at = fail_at;
    lk_err err = look(which, &c, &other, lk_buf_slice(&version), &out);
    /* A short value asks for nothing, but the loop wants to have failed something. */
    lk_free_bytes(faulty_alloc(&faults), lk_alloc_bytes(faulty_alloc(&faults), 1), 1);
    uint64_t seen = faults.seen;
    faults.fail_at = 0;
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    CHECK_OK(lk_buf_err(&out));
    CHECK_SLICE(lk_buf_slice(&out), err == LK_OK ? lk_buf_slice(&want) : LK_LIT("abc"));
    lk_buf_deinit(&out);
    check_is(&w, &c, &knows);
    lk_buf_init(&out, test_alloc(), gen_range(g, 3, (uint32_t)want.len + 1));
    lk_buf_append(&out, LK_LIT("abc"));
    err = look(which, &c, &other, lk_buf_slice(&version), &out);
    CHECK_ERR(err, out.max >= want.len ? LK_OK : LK_ERR_LIMIT);
    CHECK_OK(lk_buf_err(&out));
    if (err != LK_OK) CHECK_TEXT(lk_buf_slice(&out), "abc");
    lk_buf_deinit(&out);
    lk_crdt_deinit(&c);
    faults.seen = seen;
    faults.fail_at = fail_at;
  }
  lk_buf_deinit(&bytes);
  lk_buf_deinit(&version);
  lk_buf_deinit(&want);
  lk_crdt_deinit(&other);
}

/* ---- numbers at their ends ---- */

/* A form with one stretch of |actor|'s numbers: a run at the root of a gcounter, or removed. */
static void merge_stretch(lk_crdt *c, uint32_t actor, uint64_t lo, uint64_t hi, bool lives,
                          lk_err want) {
  form f;
  lk_buf bytes;
  form_begin(&f, c->type);
  lk_flat_add_known(&f.builder, f.actors[actor], lo, hi);
  if (lives) lk_flat_add_fact(&f.builder, 0, f.actors[actor], lo, hi, LK_SLICE_EMPTY);
  form_end(&f, &bytes);
  CHECK_ERR(lk_crdt_merge(c, lk_buf_slice(&bytes), NULL), want);
  check_state(c);
  lk_buf_deinit(&bytes);
}

TEST(sums_beyond_64_bits_are_refused_even_where_as_much_is_removed) {
  lk_crdt c;
  open(&c, &lk_crdt_type_gcounter);
  merge_stretch(&c, 0, 2, UINT64_MAX, true, LK_OK);
  CHECK_U64(lk_node_at(&c, LK_NODE_ROOT)->total, UINT64_MAX - 1);
  merge_stretch(&c, 1, 1, 2, true, LK_ERR_OVERFLOW);
  merge_stretch(&c, 1, UINT64_MAX, UINT64_MAX, true, LK_OK);
  merge_stretch(&c, 0, 1, 1, true, LK_ERR_OVERFLOW);
  CHECK_U64(c.actor_count, 2);
  merge_stretch(&c, 0, 1, UINT64_MAX, false, LK_OK);
  CHECK_U64(lk_node_at(&c, LK_NODE_ROOT)->total, 1);
  check_whole(&c);
  CHECK_ERR(lk_gcounter_add(&c, &(lk_crdt_op){ .actor = actor_ids[0] }, 1), LK_ERR_OVERFLOW);
  CHECK_ERR(lk_gcounter_add(&c, &(lk_crdt_op){ .actor = actor_ids[1] }, 1), LK_ERR_OVERFLOW);
  CHECK_OK(lk_gcounter_add(&c, &(lk_crdt_op){ .actor = actor_ids[2] }, UINT64_MAX - 1));
  check_whole(&c);
  lk_crdt_deinit(&c);
}

/* Goal: runs that lose their first dots keep their place in the trees without memory that was not reserved. Method: more
 * full leaves than a trimmed tree has spare nodes; all kills in one delta, then one delta for each. */
TEST(runs_that_are_cut_at_the_front_need_no_memory_that_was_not_reserved) {
  enum { RUNS = 3000 };
  for (uint32_t step = 1; step <= RUNS; step += RUNS - 1) {
    lk_crdt c;
    lk_buf bytes;
    form f;
    open(&c, &lk_crdt_type_gcounter);
    form_begin(&f, c.type);
    for (uint64_t i = 0; i < RUNS; i++) {
      lk_flat_add_known(&f.builder, f.actors[0], 1 + i * 4, 2 + i * 4);
      lk_flat_add_fact(&f.builder, 0, f.actors[0], 1 + i * 4, 2 + i * 4, LK_SLICE_EMPTY);
    }
    form_end(&f, &bytes);
    CHECK_OK(lk_crdt_merge(&c, lk_buf_slice(&bytes), NULL));
    lk_buf_deinit(&bytes);
    for (uint64_t i = 0; i < RUNS; i += step) {
      form_begin(&f, c.type);
      for (uint64_t k = i; k < i + step; k++) {
        lk_flat_add_known(&f.builder, f.actors[0], 1 + k * 4, 1 + k * 4);
      }
      form_end(&f, &bytes);
      CHECK_OK(lk_crdt_merge(&c, lk_buf_slice(&bytes), NULL));
      lk_buf_deinit(&bytes);
    }
    CHECK_U64(lk_node_at(&c, LK_NODE_ROOT)->total, RUNS);
    check_whole(&c);
    lk_crdt_deinit(&c);
  }
}

TEST(a_fact_in_a_dead_zone_leaves_no_trace) {
  lk_crdt c;
  lk_buf before, after;
  open(&c, &lk_crdt_type_gcounter);
  merge_stretch(&c, 0, 1, UINT64_MAX, false, LK_OK);
  encode(&c, &before);
  merge_stretch(&c, 0, 7, UINT64_MAX - 7, true, LK_OK);
  CHECK_SLICE(encode(&c, &after), lk_buf_slice(&before));
  CHECK_U64(c.node_count, 0);
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
  lk_crdt_deinit(&c);
}

/* Goal: a delta that looks as if a counter counts on, and says more than that, is not mistaken for one. */
TEST(a_run_with_removed_dots_around_it_is_not_only_counted_on) {
  for (uint64_t lo = 3; lo <= 5; lo++) {
    for (uint64_t hi = 6; hi <= 8; hi++) {
      lk_crdt c;
      form f;
      lk_buf bytes;
      open(&c, &lk_crdt_type_gcounter);
      merge_stretch(&c, 0, 1, 4, true, LK_OK);
      form_begin(&f, c.type);
      lk_flat_add_known(&f.builder, f.actors[0], lo, hi);
      lk_flat_add_fact(&f.builder, 0, f.actors[0], 5, 6, LK_SLICE_EMPTY);
      form_end(&f, &bytes);
      CHECK_OK(lk_crdt_merge(&c, lk_buf_slice(&bytes), NULL));
      CHECK_U64(lk_node_at(&c, LK_NODE_ROOT)->total,
                lo - 1 + 2); /* from |lo| to 4 they are removed */
      CHECK_U64(c.actors[0].end, hi);
      check_whole(&c);
      lk_buf_deinit(&bytes);
      lk_crdt_deinit(&c);
    }
  }
}

TEST(forms_of_other_types_versions_and_empty_ones_change_nothing) {
  lk_crdt c, other;
  lk_buf bytes, before, after;
  bool changed = true;
  open(&c, &lk_crdt_type_gcounter);
  open(&other, &lk_crdt_type_orset);
  CHECK_OK(lk_gcounter_add(&c, &(lk_crdt_op){ .actor = actor_ids[0] }, 3));
  encode(&c, &before);
  CHECK_OK(lk_orset_add(&other, &(lk_crdt_op){ .actor = actor_ids[0] }, LK_LIT("1")));
  encode(&other, &bytes);
  CHECK_ERR(lk_crdt_merge(&c, lk_buf_slice(&bytes), &changed), LK_ERR_TYPE);
  CHECK_ERR(lk_crdt_merge_from(&c, &other, &changed), LK_ERR_TYPE);
  lk_buf_truncate(&bytes, 0);
  CHECK_OK(lk_crdt_version(&c, &bytes));
  CHECK_ERR(lk_crdt_merge(&c, lk_buf_slice(&bytes), &changed), LK_ERR_TYPE);
  CHECK(changed); /* untouched */
  lk_buf_truncate(&bytes, 0);
  CHECK_OK(lk_crdt_diff(&c, &c, &bytes));
  CHECK_OK(lk_crdt_merge(&c, lk_buf_slice(&bytes), &changed));
  CHECK(!changed);
  CHECK_ERR(lk_crdt_merge(&c, LK_SLICE_EMPTY, &changed), LK_ERR_TRUNCATED);
  CHECK_SLICE(encode(&c, &after), lk_buf_slice(&before));
  check_whole(&c);
  lk_buf_deinit(&bytes);
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
  lk_crdt_deinit(&c);
  lk_crdt_deinit(&other);
}

/* ---- operations ---- */

static const struct {
  lk_crdt_kind kind;
  const char *name;
  const char *arguments;
} moves[] = {
  { LK_CRDT_GCOUNTER, "increment", "[1]" },
  { LK_CRDT_GCOUNTER, "increment", "[40]" },
  { LK_CRDT_PNCOUNTER, "increment", "[2]" },
  { LK_CRDT_PNCOUNTER, "decrement", "[30]" },
  { LK_CRDT_BCOUNTER, "increment", "[9]" },
  { LK_CRDT_BCOUNTER, "decrement", "[2]" },
  { LK_CRDT_BCOUNTER, "transfer", "[\"b\",1]" },
  { LK_CRDT_BCOUNTER, "transfer", "[\"a\",3]" },
  { LK_CRDT_GSET, "add", "[1]" },
  { LK_CRDT_ORSET, "add", "[\"" LONG_TEXT "\"]" },
  { LK_CRDT_ORSET, "add", "[2]" },
  { LK_CRDT_ORSET, "clear", "[]" },
  { LK_CRDT_RWSET, "add", "[1]" },
  { LK_CRDT_RWSET, "remove", "[1]" },
  { LK_CRDT_EWFLAG, "enable", "[]" },
  { LK_CRDT_EWFLAG, "disable", "[]" },
  { LK_CRDT_DWFLAG, "enable", "[]" },
  { LK_CRDT_LWW, "set", "[1]" },
  { LK_CRDT_MVREG, "set", "[2]" },
  { LK_CRDT_LIST, "insert", "[0,1]" },
  { LK_CRDT_LIST, "move", "[0,1]" },
  { LK_CRDT_LIST, "set", "[1,\"" LONG_TEXT "\"]" },
  { LK_CRDT_LIST, "delete", "[0]" },
  { LK_CRDT_TEXT, "insert", "[0,\"abcdefghijkl\"]" },
  { LK_CRDT_TEXT, "delete", "[1,3]" },
  { LK_CRDT_ORMAP, "remove", "[\"k\"]" },
  { LK_CRDT_ORMAP, "remove", "[\"\"]" },
};

/* A change at a random place of the ormap |c|; what it refuses must leave no trace. */
static void move(lk_gen *g, lk_crdt *c, lk_slice actor, lk_buf *delta) {
  lk_buf path, before, after;
  uint32_t at = gen_below(g, sizeof moves / sizeof moves[0]);
  buf(&path);
  for (uint32_t depth = gen_chance(g, 1, 8) ? 15 : gen_below(g, 2); depth > 0; depth--) {
    CHECK_OK(lk_crdt_path_append(&path, LK_CRDT_ORMAP, LK_LIT("k")));
  }
  if (moves[at].kind != LK_CRDT_ORMAP) {
    lk_slice key = gen_bool(g) ? LK_LIT("k") : LK_SLICE_EMPTY;
    CHECK_OK(lk_crdt_path_append(&path, moves[at].kind, key));
  }
  lk_crdt_op op = { .actor = actor, .at = lk_buf_slice(&path), .now_ms = 5, .delta = delta };
  encode(c, &before);
  lk_err err = lk_crdt_apply(c, &op, lk_slice_cstr(moves[at].name),
                             lk_slice_cstr(moves[at].arguments));
  CHECK(err == LK_OK || err == LK_ERR_RANGE || err == LK_ERR_RIGHTS || err == LK_ERR_ACTOR);
  check_state(c);
  encode(c, &after);
  if (err != LK_OK) {
    CHECK_SLICE(lk_buf_slice(&after), lk_buf_slice(&before));
    CHECK_U64(delta->len, 0);
  }
  lk_buf_deinit(&path);
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
}

/* Goal: operations keep what must hold, in their deltas, too. Method: two replicas in a map whose objects use one
 * actor's numbers in turn; each merges what the other made, now or all at once at the end. */
PROPERTY_SLOW(operations_keep_what_must_hold_here_and_where_their_deltas_go, 8) {
  static const lk_slice names[] = { LK_LIT_INIT("a"), LK_LIT_INIT("b") };
  lk_crdt c[2];
  lk_buf delta, x, y;
  for (int i = 0; i < 2; i++) open(&c[i], &lk_crdt_type_ormap);
  for (uint32_t i = gen_range(g, 1, 40); i > 0; i--) {
    uint32_t who = gen_below(g, 2);
    buf(&delta);
    move(g, &c[who], names[who], &delta);
    if (delta.len > 0 && gen_chance(g, 2, 3)) {
      CHECK_OK(lk_crdt_merge(&c[1 - who], lk_buf_slice(&delta), NULL));
      check_state(&c[1 - who]);
    }
    lk_buf_deinit(&delta);
  }
  CHECK_OK(lk_crdt_merge_from(&c[0], &c[1], NULL));
  CHECK_OK(lk_crdt_merge_from(&c[1], &c[0], NULL));
  CHECK_SLICE(encode(&c[0], &x), encode(&c[1], &y));
  check_whole(&c[0]);
  check_whole(&c[1]);
  for (int i = 0; i < 2; i++) lk_crdt_deinit(&c[i]);
  lk_buf_deinit(&x);
  lk_buf_deinit(&y);
}

/* Goal: an operation without memory changes nothing, and appends no delta. Method: each allocation of it fails. */
PROPERTY_SLOW(operations_without_memory_change_nothing, 100) {
  lk_crdt source;
  lk_buf first, path;
  open(&source, &lk_crdt_type_ormap);
  for (uint32_t i = gen_below(g, 20); i > 0; i--) {
    lk_buf delta;
    buf(&delta);
    move(g, &source, LK_LIT("a"), &delta);
    lk_buf_deinit(&delta);
  }
  encode(&source, &first);
  uint32_t at = gen_below(g, sizeof moves / sizeof moves[0]);
  buf(&path);
  if (moves[at].kind != LK_CRDT_ORMAP) {
    CHECK_OK(lk_crdt_path_append(&path, moves[at].kind, LK_LIT("k")));
  }
  FAULT_LOOP(faults, test_alloc()) {
    lk_limits limits = lk_limits_default();
    lk_crdt c;
    lk_buf delta, after;
    uint64_t fail_at = faults.fail_at;
    faults.fail_at = 0;
    CHECK_OK(lk_crdt_init(&c, source.type, faulty_alloc(&faults), &limits));
    CHECK_OK(lk_crdt_merge(&c, lk_buf_slice(&first), NULL));
    lk_buf_init(&delta, faulty_alloc(&faults), 1u << 20);
    lk_crdt_op op = {
      .actor = LK_LIT("b"), .at = lk_buf_slice(&path), .now_ms = 5, .delta = &delta
    };
    faults.seen = 0;
    faults.fail_at = fail_at;
    lk_err err = lk_crdt_apply(&c, &op, lk_slice_cstr(moves[at].name),
                               lk_slice_cstr(moves[at].arguments));
    uint64_t seen = faults.seen;
    faults.fail_at = 0;
    CHECK_OK(lk_buf_err(&delta));
    check_state(&c);
    encode(&c, &after);
    if (err != LK_OK) {
      CHECK_SLICE(lk_buf_slice(&after), lk_buf_slice(&first));
      CHECK_U64(delta.len, 0);
    } else {
      CHECK_OK(lk_crdt_merge(&source, lk_buf_slice(&delta), NULL));
    }
    lk_buf_deinit(&after);
    lk_buf_deinit(&delta);
    lk_crdt_deinit(&c);
    faults.seen = seen;
    faults.fail_at = fail_at;
  }
  lk_buf_deinit(&first);
  lk_buf_deinit(&path);
  lk_crdt_deinit(&source);
}

/* Counting without the short way of lk_crdt_count(). */
static lk_err count_slowly(lk_crdt *c, const lk_crdt_op *op, lk_slice key, uint64_t amount) {
  lk_change change;
  lk_err err = lk_change_begin(&change, c, op, c->type);
  CHECK_OK(err);
  uint32_t node = key.len == 0 ? change.node : lk_change_find(&change, key);
  uint32_t flat = key.len == 0 ? change.flat_node : lk_change_element(&change, key);
  lk_change_count(&change, flat, node, amount);
  return lk_change_end(&change, LK_OK);
}

/* The same delta in a form that no short way knows: with a dot of somebody else's that was removed. */
static void merge_slowly(lk_crdt *c, lk_slice delta) {
  lk_limits limits = lk_limits_default();
  lk_crdt_scope scope = { test_alloc(), &limits };
  lk_arena arena;
  lk_flat flat, with;
  lk_flat_builder b;
  uint32_t actors[ACTORS + 1], nodes[4] = { 0 };
  lk_arena_init(&arena, test_alloc(), SIZE_MAX / 2);
  CHECK_OK(lk_flat_decode(&flat, delta, &scope, &arena));
  lk_flat_builder_init(&b, flat.type, &scope, &arena);
  for (uint32_t i = 0; i < flat.actor_count; i++) actors[i] = lk_flat_add_actor(&b, flat.actors[i]);
  for (uint32_t i = 1; i < flat.node_count; i++) {
    nodes[i] = lk_flat_add_node(&b, nodes[flat.nodes[i].parent], flat.nodes[i].type,
                                flat.nodes[i].key);
  }
  for (uint32_t i = 0; i < flat.range_count; i++) {
    lk_flat_add_known(&b, actors[flat.ranges[i].actor], flat.ranges[i].lo, flat.ranges[i].hi);
  }
  for (uint32_t i = 0; i < flat.fact_count; i++) {
    lk_flat_add_fact(&b, nodes[flat.facts[i].node], actors[flat.facts[i].actor], flat.facts[i].lo,
                     flat.facts[i].hi, flat.facts[i].value);
  }
  lk_flat_add_known(&b, lk_flat_add_actor(&b, LK_LIT("nobody")), 1, 1);
  CHECK_OK(lk_flat_build(&b, &with));
  CHECK_OK(lk_crdt_merge_flat(c, &with, NULL));
  lk_arena_deinit(&arena);
}

static uint64_t gen_amount(lk_gen *g) {
  return gen_chance(g, 1, 16) ? lk_max_u64(gen_u64(g), 1) : gen_range(g, 1, 5);
}

/* Goal: the short ways of counting show in nothing but time. Method: one replica counts and takes in deltas by them,
 * its twin never does; states and deltas are the same bytes. */
PROPERTY_SLOW(counting_the_short_way_gives_the_same_bytes, 4) {
  enum { FAST, SLOW };
  bool single = gen_bool(g);
  const lk_crdt_type *type = single ? &lk_crdt_type_gcounter : &lk_crdt_type_pncounter;
  lk_crdt c[2];
  lk_buf delta[2], bytes[2];
  for (int i = 0; i < 2; i++) open(&c[i], type);
  for (uint32_t i = gen_range(g, 1, 20); i > 0; i--) {
    lk_slice key = single ? LK_SLICE_EMPTY : gen_bool(g) ? LK_LIT("p") : LK_LIT("n");
    uint64_t amount = gen_amount(g);
    for (int k = 0; k < 2; k++) {
      buf(&delta[k]);
      buf(&bytes[k]);
    }
    lk_crdt_op op = { .actor = actor_ids[gen_below(g, 2)], .delta = &delta[FAST] };
    lk_err err = lk_crdt_count(&c[FAST], &op, type, key, amount);
    op.delta = &delta[SLOW];
    CHECK_ERR(count_slowly(&c[SLOW], &op, key, amount), err);
    CHECK(err == LK_OK || err == LK_ERR_OVERFLOW);
    CHECK_SLICE(lk_buf_slice(&delta[FAST]), lk_buf_slice(&delta[SLOW]));
    CHECK_OK(lk_crdt_encode(&c[FAST], &bytes[FAST]));
    CHECK_OK(lk_crdt_encode(&c[SLOW], &bytes[SLOW]));
    CHECK_SLICE(lk_buf_slice(&bytes[FAST]), lk_buf_slice(&bytes[SLOW]));
    check_state(&c[FAST]);
    CHECK_U64(c[FAST].weight, c[SLOW].weight);
    for (int k = 0; k < 2; k++) {
      lk_buf_deinit(&delta[k]);
      lk_buf_deinit(&bytes[k]);
    }
  }
  for (int i = 0; i < 2; i++) lk_crdt_deinit(&c[i]);
}

PROPERTY_SLOW(taking_in_counts_the_short_way_gives_the_same_bytes, 4) {
  enum { SOURCE, FAST, SLOW };
  bool single = gen_bool(g);
  const lk_crdt_type *type = single ? &lk_crdt_type_gcounter : &lk_crdt_type_pncounter;
  lk_crdt c[3];
  lk_buf delta, x, y;
  for (int i = 0; i < 3; i++) open(&c[i], type);
  for (uint32_t i = gen_range(g, 1, 20); i > 0; i--) {
    lk_slice key = single ? LK_SLICE_EMPTY : gen_bool(g) ? LK_LIT("p") : LK_LIT("n");
    buf(&delta);
    lk_crdt_op op = { .actor = actor_ids[gen_below(g, 2)], .delta = &delta };
    CHECK_OK(lk_crdt_count(&c[SOURCE], &op, type, key, gen_range(g, 1, 5)));
    if (gen_chance(g, 3, 4)) { /* else it is lost, and leaves a gap */
      CHECK_OK(lk_crdt_merge(&c[FAST], lk_buf_slice(&delta), NULL));
      merge_slowly(&c[SLOW], lk_buf_slice(&delta));
    }
    check_state(&c[FAST]);
    lk_buf_deinit(&delta);
  }
  buf(&delta);
  CHECK_OK(lk_crdt_diff(&c[SOURCE], &c[SOURCE], &delta)); /* nothing, but for the nobody in it */
  merge_slowly(&c[FAST], lk_buf_slice(&delta));
  merge_slowly(&c[SLOW], lk_buf_slice(&delta));
  CHECK_SLICE(encode(&c[FAST], &x), encode(&c[SLOW], &y));
  CHECK_U64(c[FAST].weight, c[SLOW].weight);
  lk_buf_deinit(&delta);
  lk_buf_deinit(&x);
  lk_buf_deinit(&y);
  for (int i = 0; i < 3; i++) lk_crdt_deinit(&c[i]);
}

/* ---- mistakes of callers ---- */

/* Goal: two replicas under one name are found out, and nobody loses what it had. */
TEST(a_fork_of_one_actor_is_refused_and_loses_nothing) {
  lk_crdt c[2];
  lk_buf x, y, again;
  bool changed = true;
  lk_crdt_op op = { .actor = LK_LIT("a") };
  for (int i = 0; i < 2; i++) open(&c[i], &lk_crdt_type_orset);
  CHECK_OK(lk_orset_add(&c[0], &op, LK_LIT("1")));
  CHECK_OK(lk_orset_add(&c[1], &op, LK_LIT("2")));
  encode(&c[0], &x);
  encode(&c[1], &y);
  CHECK_ERR(lk_crdt_merge(&c[0], lk_buf_slice(&y), &changed), LK_ERR_DOT);
  CHECK_ERR(lk_crdt_merge_from(&c[1], &c[0], &changed), LK_ERR_DOT);
  CHECK(changed);
  CHECK_SLICE(encode(&c[0], &again), lk_buf_slice(&x));
  lk_buf_deinit(&again);
  CHECK_SLICE(encode(&c[1], &again), lk_buf_slice(&y));
  for (int i = 0; i < 2; i++) {
    check_whole(&c[i]);
    lk_crdt_deinit(&c[i]);
  }
  lk_buf_deinit(&x);
  lk_buf_deinit(&y);
  lk_buf_deinit(&again);
}

/* Goal: where the delta has no room, nothing is changed. Method: a buffer that is full after any number of bytes, and
 * one that failed before. */
TEST(a_delta_without_room_changes_nothing) {
  static const lk_crdt_kind kinds[] = { LK_CRDT_GCOUNTER, LK_CRDT_PNCOUNTER, LK_CRDT_ORSET };
  for (size_t k = 0; k < 3; k++) {
    bool done = false;
    for (size_t max = 3; !done; max++) {
      lk_crdt c;
      lk_buf delta, before, after;
      lk_slice arguments = kinds[k] == LK_CRDT_ORSET ? LK_LIT("[1]") : LK_LIT("[5]");
      lk_slice name = kinds[k] == LK_CRDT_ORSET ? LK_LIT("add") : LK_LIT("increment");
      open(&c, lk_crdt_type_of(kinds[k]));
      lk_crdt_op op = { .actor = LK_LIT("a") };
      if (max % 2 == 0) CHECK_OK(lk_crdt_apply(&c, &op, name, arguments));
      encode(&c, &before);
      lk_buf_init(&delta, test_alloc(), max);
      lk_buf_append(&delta, LK_LIT("abc"));
      op.delta = &delta;
      lk_err err = lk_crdt_apply(&c, &op, name, arguments);
      encode(&c, &after);
      CHECK(err == LK_OK || err == LK_ERR_LIMIT);
      CHECK(lk_slice_equal(lk_buf_slice(&before), lk_buf_slice(&after)) == (err != LK_OK));
      CHECK_OK(lk_buf_err(&delta));
      if (err != LK_OK) CHECK_TEXT(lk_buf_slice(&delta), "abc");
      done = err == LK_OK;
      lk_buf_truncate(&delta, 0);
      delta.err = LK_ERR_NOMEM;
      CHECK_ERR(lk_crdt_apply(&c, &op, name, arguments), LK_ERR_NOMEM);
      CHECK_ERR(lk_buf_err(&delta), LK_ERR_NOMEM);
      lk_buf_deinit(&before);
      CHECK_SLICE(encode(&c, &before), lk_buf_slice(&after));
      check_whole(&c);
      lk_crdt_deinit(&c);
      lk_buf_deinit(&delta);
      lk_buf_deinit(&before);
      lk_buf_deinit(&after);
    }
  }
}

/* The delta is there before the merge is refused. */
TEST(an_operation_beyond_a_limit_leaves_no_delta) {
  lk_crdt c;
  lk_buf delta, before, after;
  lk_err err = LK_OK;
  open(&c, &lk_crdt_type_orset);
  c.limits.crdt_entries_count = 20;
  buf(&delta);
  lk_crdt_op op = { .actor = LK_LIT("a"), .delta = &delta };
  for (char digit = '0'; err == LK_OK && digit <= '9'; digit++) {
    lk_buf_truncate(&delta, 0);
    lk_buf_append(&delta, LK_LIT("abc"));
    encode(&c, &before);
    err = lk_orset_add(&c, &op, lk_slice_of((const uint8_t *)&digit, 1));
    encode(&c, &after);
    if (err != LK_OK) CHECK_SLICE(lk_buf_slice(&after), lk_buf_slice(&before));
    lk_buf_deinit(&before);
    lk_buf_deinit(&after);
  }
  CHECK_ERR(err, LK_ERR_LIMIT);
  CHECK_TEXT(lk_buf_slice(&delta), "abc");
  check_state(&c);
  lk_buf_deinit(&delta);
  lk_crdt_deinit(&c);
}

/* Goal: objects that use one actor's numbers in turn do not cut each other's runs to pieces. */
TEST(counters_in_turn_have_runs_that_grow_with_the_logarithm) {
  lk_crdt c;
  lk_buf path[3];
  open(&c, &lk_crdt_type_ormap);
  for (uint32_t i = 0; i < 3; i++) {
    buf(&path[i]);
    CHECK_OK(lk_crdt_path_append(&path[i], i < 2 ? LK_CRDT_GCOUNTER : LK_CRDT_LWW,
                                 i == 0 ? LK_LIT("k") : LK_LIT("l")));
  }
  for (uint32_t i = 0; i < 3000; i++) {
    lk_crdt_op op = { .actor = LK_LIT("a"), .at = lk_buf_slice(&path[i % 3]), .now_ms = 7 };
    CHECK_OK(i % 3 < 2 ? lk_gcounter_add(&c, &op, 1) : lk_lww_set(&c, &op, LK_LIT("1")));
  }
  CHECK(c.fact_count <= 1 + 2 * 8);
  CHECK(lk_btree_count(&c.known) <= 2 * 8);
  check_whole(&c);
  for (uint32_t i = 0; i < 3; i++) lk_buf_deinit(&path[i]);
  lk_crdt_deinit(&c);
}

/* Goal: a path may be anything. Method: a good one, mutated, for an operation and for a look. */
PROPERTY_SLOW(paths_that_are_none_are_refused_and_change_nothing, 2) {
  uint8_t scratch[128];
  lk_crdt c;
  lk_buf path, value, before, after;
  open(&c, &lk_crdt_type_ormap);
  buf(&path);
  for (int i = 0; i < 3; i++) CHECK_OK(lk_crdt_path_append(&path, LK_CRDT_ORMAP, LK_LIT("k")));
  CHECK_OK(lk_crdt_path_append(&path, LK_CRDT_GCOUNTER, LK_LIT("k")));
  lk_crdt_op op = { .actor = LK_LIT("a"), .at = lk_buf_slice(&path) };
  CHECK_OK(lk_gcounter_add(&c, &op, 1));
  lk_slice good = lk_buf_slice(&path), bad = gen_hostile(g, &good, 1, scratch, sizeof scratch);
  encode(&c, &before);
  buf(&value);
  lk_buf_append(&value, LK_LIT("v"));
  if (lk_crdt_value(&c, bad, &value) != LK_OK) CHECK_TEXT(lk_buf_slice(&value), "v");
  op.at = bad;
  lk_err err = lk_gcounter_add(&c, &op, 1);
  CHECK(err == LK_OK || err == LK_ERR_CORRUPT || err == LK_ERR_TYPE || err == LK_ERR_UNKNOWN_TYPE ||
        err == LK_ERR_DEPTH);
  encode(&c, &after);
  CHECK(lk_slice_equal(lk_buf_slice(&before), lk_buf_slice(&after)) == (err != LK_OK));
  check_whole(&c);
  lk_buf_deinit(&path);
  lk_buf_deinit(&value);
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
  lk_crdt_deinit(&c);
}
