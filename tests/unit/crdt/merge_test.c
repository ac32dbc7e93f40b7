/* Merges at their edges: limits, cut runs, memory. Each test was a bug once. */
#include "codec/utf.h"
#include "crdt/state.h"

#include "harness/test.h"

/* A flat form under construction, of one type with default limits. */
typedef struct form {
  lk_limits limits;
  lk_crdt_scope scope;
  lk_arena arena;
  lk_flat_builder builder;
  uint32_t alice;
  lk_buf bytes;
} form;

static void form_begin(form *f, const lk_crdt_type *type) {
  f->limits = lk_limits_default();
  f->scope = (lk_crdt_scope){ test_alloc(), &f->limits };
  lk_arena_init(&f->arena, test_alloc(), SIZE_MAX / 2);
  lk_flat_builder_init(&f->builder, type, &f->scope, &f->arena);
  f->alice = lk_flat_add_actor(&f->builder, LK_LIT("alice"));
  lk_buf_init(&f->bytes, test_alloc(), 1u << 28);
}

static void form_known(form *f, uint64_t lo, uint64_t hi) {
  lk_flat_add_known(&f->builder, f->alice, lo, hi);
}

static void form_fact(form *f, uint32_t node, uint64_t lo, uint64_t hi) {
  form_known(f, lo, hi);
  lk_flat_add_fact(&f->builder, node, f->alice, lo, hi, LK_SLICE_EMPTY);
}

/* Merges the form into |out| and ends it. */
static lk_err form_merge(form *f, lk_crdt *out) {
  lk_flat flat;
  CHECK_OK(lk_flat_build(&f->builder, &flat));
  CHECK_OK(lk_flat_encode(&flat, &f->bytes));
  lk_arena_deinit(&f->arena);
  lk_err err = lk_crdt_merge(out, lk_buf_slice(&f->bytes), NULL);
  lk_buf_deinit(&f->bytes);
  return err;
}

static void init(lk_crdt *self, const lk_crdt_type *type, const lk_limits *limits) {
  lk_limits standard = lk_limits_default();
  CHECK_OK(lk_crdt_init(self, type, test_alloc(), limits != NULL ? limits : &standard));
}

static const lk_crdt_op by_alice = { .actor = LK_LIT_INIT("alice") };

/* Goal: making a run shorter from the front needs no memory that was not reserved. */
TEST(kills_at_the_front_of_many_runs_are_made) {
  enum { RUNS = 3000 };
  lk_crdt c;
  form f;
  init(&c, &lk_crdt_type_gcounter, NULL);
  form_begin(&f, &lk_crdt_type_gcounter);
  for (uint64_t i = 0; i < RUNS; i++) form_fact(&f, 0, 1 + 4 * i, 2 + 4 * i);
  CHECK_OK(form_merge(&f, &c));
  form_begin(&f, &lk_crdt_type_gcounter);
  for (uint64_t i = 0; i < RUNS; i += 2) form_known(&f, 1 + 4 * i, 1 + 4 * i);
  CHECK_OK(form_merge(&f, &c));
  for (uint64_t i = 1; i < RUNS; i += 2) { /* and one at a time */
    form_begin(&f, &lk_crdt_type_gcounter);
    form_known(&f, 1 + 4 * i, 1 + 4 * i);
    CHECK_OK(form_merge(&f, &c));
  }
  CHECK_U64(lk_node_at(&c, LK_NODE_ROOT)->total, RUNS);
  lk_crdt_deinit(&c);
}

/* Goal: removals are never refused for being removals, but cutting one run into thousands makes a state
 * larger, and that has a limit. */
TEST(cutting_a_run_to_pieces_has_a_limit) {
  lk_limits limits = lk_limits_default();
  lk_crdt c;
  form f;
  lk_err err = LK_OK;
  limits.crdt_entries_count = 100;
  init(&c, &lk_crdt_type_gcounter, &limits);
  CHECK_OK(lk_gcounter_add(&c, &by_alice, UINT64_C(1) << 40));
  for (uint64_t at = 2; err == LK_OK; at += 2) {
    CHECK(c.fact_count <= limits.crdt_entries_count);
    form_begin(&f, &lk_crdt_type_gcounter);
    form_known(&f, at, at);
    err = form_merge(&f, &c);
  }
  CHECK_U64(err, LK_ERR_LIMIT);
  CHECK_COVERED(crdt_entries_reached_their_maximum);
  form_begin(&f, &lk_crdt_type_gcounter);
  form_known(&f, 1, UINT64_C(1) << 40);
  CHECK_OK(form_merge(&f, &c)); /* all of it may go */
  CHECK_U64(c.fact_count, 0);
  lk_crdt_deinit(&c);
}

static void fill_and_load(const lk_limits *limits) {
  lk_crdt full, fresh;
  lk_buf state;
  lk_err err = LK_OK;
  init(&full, &lk_crdt_type_orset, limits);
  init(&fresh, &lk_crdt_type_orset, limits);
  lk_buf_init(&state, test_alloc(), 1u << 28);
  for (uint64_t n = 1000; err == LK_OK; n++) {
    lk_buf_truncate(&state, 0);
    (void)lk_buf_append_decimal(&state, n);
    err = lk_orset_add(&full, &by_alice, lk_buf_slice(&state));
  }
  CHECK_U64(err, LK_ERR_LIMIT);
  lk_buf_truncate(&state, 0);
  CHECK_OK(lk_crdt_encode(&full, &state));
  CHECK(state.len <= limits->crdt_state_bytes);
  CHECK_OK(lk_crdt_merge(&fresh, lk_buf_slice(&state), NULL));
  CHECK(lk_crdt_compare(&full, &fresh) == LK_CRDT_EQUAL);
  lk_buf_deinit(&state);
  lk_crdt_deinit(&full);
  lk_crdt_deinit(&fresh);
}

/* Goal: what one replica could reach by small steps, another one with the same limits loads at once. */
TEST(a_state_at_its_limits_can_be_loaded) {
  lk_limits limits = lk_limits_default();
  limits.crdt_state_bytes = 65536;
  fill_and_load(&limits);
  CHECK_COVERED(crdt_state_reached_its_maximum);
  limits = lk_limits_default();
  limits.crdt_entries_count = 2000;
  fill_and_load(&limits);
}

/* Goal: a counter counts on by a shortcut; where that says yes or no, the long way says the same.
 * Method: one counter is incremented, the other merges the delta together with what it has. */
TEST(the_short_way_and_the_long_way_agree_about_limits) {
  lk_limits limits = lk_limits_default();
  for (uint32_t bytes = 60; bytes < 160; bytes++) {
    lk_crdt a, b;
    form f;
    limits.crdt_state_bytes = bytes;
    init(&a, &lk_crdt_type_gcounter, &limits);
    init(&b, &lk_crdt_type_gcounter, &limits);
    lk_err first = lk_gcounter_add(&a, &by_alice, 100);
    CHECK_ERR(lk_gcounter_add(&b, &by_alice, 100), first);
    if (first == LK_OK) {
      lk_err err = lk_gcounter_add(&a, &by_alice, 100);
      form_begin(&f, &lk_crdt_type_gcounter);
      form_fact(&f, 0, 1, 200);
      CHECK_ERR(form_merge(&f, &b), err);
    }
    lk_crdt_deinit(&a);
    lk_crdt_deinit(&b);
  }
}

/* Goal: what becomes one with a neighbour is not counted, but a neighbour that the same delta removes is none. */
TEST(a_run_whose_neighbour_goes_with_the_same_delta_is_counted) {
  lk_limits limits = lk_limits_default();
  lk_crdt c;
  lk_err err = LK_OK;
  limits.crdt_entries_count = 10;
  init(&c, &lk_crdt_type_gcounter, &limits);
  CHECK_OK(lk_gcounter_add(&c, &by_alice, 10));
  for (uint64_t end = 10; err == LK_OK; end += 10) { /* the last dot goes, ten more come */
    form f;
    CHECK(c.fact_count <= limits.crdt_entries_count);
    form_begin(&f, &lk_crdt_type_gcounter);
    form_known(&f, end, end);
    form_fact(&f, 0, end + 1, end + 10);
    err = form_merge(&f, &c);
  }
  CHECK_ERR(err, LK_ERR_LIMIT);
  lk_crdt_deinit(&c);
}

TEST(more_actors_than_the_limit_are_refused_and_those_known_are_not) {
  lk_limits limits = lk_limits_default();
  lk_crdt c;
  limits.crdt_actors_count = 2;
  init(&c, &lk_crdt_type_gcounter, &limits);
  CHECK_OK(lk_gcounter_add(&c, &by_alice, 1));
  CHECK_OK(lk_gcounter_add(&c, &(lk_crdt_op){ .actor = LK_LIT("bob") }, 1));
  CHECK_ERR(lk_gcounter_add(&c, &(lk_crdt_op){ .actor = LK_LIT("carol") }, 1), LK_ERR_LIMIT);
  CHECK_COVERED(crdt_actors_reached_their_maximum);
  CHECK_U64(c.actor_count, 2);
  form f;
  form_begin(&f, &lk_crdt_type_gcounter);
  form_fact(&f, 0, 2, 9);
  CHECK_OK(form_merge(&f, &c));
  CHECK_COVERED(crdt_counted_on);
  CHECK_U64(lk_node_at(&c, LK_NODE_ROOT)->total, 10);
  lk_crdt_deinit(&c);
}

TEST(a_delta_that_fills_gaps_makes_a_state_smaller_and_is_not_refused) {
  lk_limits limits = lk_limits_default();
  lk_crdt c;
  form f;
  limits.crdt_entries_count = 1000;
  init(&c, &lk_crdt_type_gcounter, &limits);
  form_begin(&f, &lk_crdt_type_gcounter);
  for (uint64_t i = 0; i < 600; i++) form_known(&f, 1 + 2 * i, 1 + 2 * i);
  CHECK_OK(form_merge(&f, &c));
  CHECK_U64(lk_btree_count(&c.known), 600);
  form_begin(&f, &lk_crdt_type_gcounter);
  form_known(&f, 1, 1200);
  CHECK_OK(form_merge(&f, &c));
  CHECK_U64(lk_btree_count(&c.known), 1);
  lk_crdt_deinit(&c);
}

TEST(a_path_does_not_forget_that_its_buffer_had_failed) {
  lk_buf path;
  lk_buf_init(&path, test_alloc(), 4);
  CHECK_ERR(lk_buf_append(&path, LK_LIT("too long")), LK_ERR_LIMIT);
  CHECK_ERR(lk_crdt_path_append(&path, LK_CRDT_GCOUNTER, LK_LIT("k")), LK_ERR_LIMIT);
  CHECK_ERR(lk_buf_err(&path), LK_ERR_LIMIT);
  lk_buf_deinit(&path);
}

/* ---- giving memory back ---- */

static lk_slice number(lk_buf *out, uint64_t n) {
  lk_buf_truncate(out, 0);
  (void)lk_buf_append_decimal(out, n);
  return lk_buf_slice(out);
}

/* What |self| knows, made anew from its bytes: everything that it should be. */
static void check_like_new(const lk_crdt *self, lk_crdt *fresh) {
  lk_buf a, b;
  lk_buf_init(&a, test_alloc(), 1u << 28);
  lk_buf_init(&b, test_alloc(), 1u << 28);
  init(fresh, self->type, NULL);
  CHECK_OK(lk_crdt_encode(self, &a));
  CHECK_OK(lk_crdt_merge(fresh, lk_buf_slice(&a), NULL));
  CHECK_OK(lk_crdt_encode(fresh, &b));
  CHECK_SLICE(lk_buf_slice(&b), lk_buf_slice(&a));
  CHECK(lk_crdt_compare(self, fresh) == LK_CRDT_EQUAL);
  lk_buf_truncate(&a, 0);
  lk_buf_truncate(&b, 0);
  CHECK_OK(lk_crdt_value(self, LK_SLICE_EMPTY, &a));
  CHECK_OK(lk_crdt_value(fresh, LK_SLICE_EMPTY, &b));
  CHECK_SLICE(lk_buf_slice(&b), lk_buf_slice(&a));
  lk_btree_check(&self->node_index);
  lk_btree_check(&self->fact_index);
  lk_btree_check(&self->known);
  lk_btree_check(&self->live);
  lk_btree_check(&self->order);
  lk_buf_deinit(&a);
  lk_buf_deinit(&b);
}

/* Goal: space goes with what lives, not with what once did.
 * Method: a set grows to ten thousand, shrinks to a few hundred, and grows again. */
TEST(a_set_that_was_large_gives_its_memory_back) {
  enum { MOST = 10000, FEW = 300 };
  lk_crdt set, fresh;
  lk_buf text;
  init(&set, &lk_crdt_type_orset, NULL);
  lk_buf_init(&text, test_alloc(), 100);
  for (uint64_t i = 0; i < MOST; i++) CHECK_OK(lk_orset_add(&set, &by_alice, number(&text, i)));
  size_t most = set.bytes;
  for (uint64_t i = FEW; i < MOST; i++) {
    CHECK_OK(lk_orset_remove(&set, &by_alice, number(&text, i)));
  }
  check_like_new(&set, &fresh);
  test_note("%zu bytes for %u, %zu for %u, %zu when new", most, MOST, set.bytes, FEW, fresh.bytes);
  CHECK(set.bytes <= 2 * fresh.bytes);
  CHECK(set.bytes < most / 10);
  lk_crdt_deinit(&fresh);
  for (uint64_t i = 0; i < MOST; i++) CHECK_OK(lk_orset_add(&set, &by_alice, number(&text, i)));
  check_like_new(&set, &fresh);
  lk_crdt_deinit(&fresh);
  lk_crdt_deinit(&set);
  lk_buf_deinit(&text);
}

/* Goal: numbering anew changes nothing that can be seen, in maps with lists and counters either. */
PROPERTY_SLOW(a_state_that_shrank_is_like_one_that_never_was_large, 20) {
  static const char *const keys[] = { "a", "b", "c" };
  lk_crdt map, fresh;
  lk_buf path, text;
  init(&map, &lk_crdt_type_ormap, NULL);
  lk_buf_init(&path, test_alloc(), 100);
  lk_buf_init(&text, test_alloc(), 100);
  for (uint32_t i = gen_range(g, 200, 500); i > 0; i--) {
    lk_crdt_kind kind = gen_bool(g) ? LK_CRDT_ORSET : gen_bool(g) ? LK_CRDT_LIST : LK_CRDT_MVREG;
    lk_buf_truncate(&path, 0);
    CHECK_OK(lk_crdt_path_append(&path, kind, lk_slice_cstr(keys[gen_below(g, 3)])));
    lk_crdt_op op = { .actor = gen_bool(g) ? LK_LIT("alice") : LK_LIT("bob"),
                      .at = lk_buf_slice(&path) };
    lk_slice value = number(&text, gen_below(g, 1000));
    if (kind == LK_CRDT_ORSET) CHECK_OK(lk_orset_add(&map, &op, value));
    else if (kind == LK_CRDT_LIST) CHECK_OK(lk_list_insert(&map, &op, 0, value));
    else CHECK_OK(lk_mvreg_set(&map, &op, value));
  }
  uint32_t cap = map.node_cap;
  for (uint32_t i = 0; i < 2; i++) {
    CHECK_OK(lk_ormap_remove(&map, &by_alice, lk_slice_cstr(keys[gen_below(g, 3)])));
  }
  for (uint32_t i = gen_below(g, 100); i > 0; i--) {
    lk_buf_truncate(&path, 0);
    CHECK_OK(lk_crdt_path_append(&path, LK_CRDT_LIST, LK_LIT("a")));
    lk_crdt_op op = { .actor = LK_LIT("alice"), .at = lk_buf_slice(&path) };
    lk_err err = gen_chance(g, 1, 8) ? lk_list_insert(&map, &op, 0, LK_LIT("1"))
                                     : lk_list_delete(&map, &op, 0);
    CHECK(err == LK_OK || err == LK_ERR_RANGE);
  }
  check_like_new(&map, &fresh);
  if (cap > 64 && map.node_count * 8 < cap) CHECK(map.node_cap < cap); /* few are not worth it */
  lk_crdt_deinit(&fresh);
  lk_crdt_deinit(&map);
  lk_buf_deinit(&path);
  lk_buf_deinit(&text);
}

/* Goal: many actors that come at once cost as much as they are, wherever they belong; and leave no trace where
 * something else is refused. */
TEST(actors_come_and_go_by_the_thousand) {
  enum { ACTORS = 5000 };
  lk_crdt c;
  for (uint32_t round = 0; round < 3; round++) {
    form f;
    if (round == 0) init(&c, &lk_crdt_type_gcounter, NULL);
    uint8_t names[ACTORS][8];
    form_begin(&f, &lk_crdt_type_gcounter);
    for (uint32_t i = 0; i < ACTORS; i++) { /* around those of the round before */
      lk_store_be32(names[i], 0x30303030u + ((i & 0xFFu) | (i & 0xFF00u) << 1) % 0x4000u);
      names[i][4] = (uint8_t)('0' + (round + 1) % 3);
      uint32_t actor = lk_flat_add_actor(&f.builder, lk_slice_of(names[i], 5));
      uint64_t hi = round == 2 && i == 0 ? UINT64_MAX : 1;
      if (lk_utf8_check(lk_slice_of(names[i], 5)) != LK_OK) continue;
      lk_flat_add_known(&f.builder, actor, 1, hi);
      lk_flat_add_fact(&f.builder, 0, actor, 1, hi, LK_SLICE_EMPTY);
    }
    uint32_t before = c.actor_count;
    lk_err err = form_merge(&f, &c);
    CHECK_ERR(err, round == 2 ? LK_ERR_OVERFLOW : LK_OK);
    CHECK(round == 2 ? c.actor_count == before : c.actor_count > before);
    for (uint32_t i = 0; i < c.actor_count; i++) {
      const lk_crdt_actor *actor = &c.actors[c.actors[i].at_rank], *next;
      CHECK_U64(actor->rank, i);
      if (i + 1 == c.actor_count) break;
      next = &c.actors[c.actors[i + 1].at_rank];
      CHECK(lk_slice_compare(lk_slice_of(actor->id, actor->id_len),
                             lk_slice_of(next->id, next->id_len)) < 0);
    }
  }
  lk_crdt_deinit(&c);
}
