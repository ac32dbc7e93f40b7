/* Positions against a model that knows nothing of bytes: it takes a position apart into the steps
 * of its path and compares those as nodes of a tree are compared, with text and signed integers. */
#include "crdt/position.h"

#include "crdt/type.h"
#include "harness/test.h"

#define LEN_MAX ((size_t)1 << 24)
#define NOTHING LK_SLICE_EMPTY

/* ---- the model ---- */

typedef struct model_step {
  uint8_t actor[64];
  size_t actor_len;
  int64_t number;
  int side; /* of the next step: -1 left, 1 right, 0 there is none */
  size_t len;
} model_step;

static model_step model_read(lk_slice path) {
  static const int sides[] = { 9, -1, 0, 1 };
  model_step s = { 0 };
  size_t at = 0;
  while (lk_slice_at(path, at) != 0) s.actor[s.actor_len++] = (uint8_t)(path.ptr[at++] - 1);
  int first = lk_slice_at(path, ++at);
  bool negative = first < 128;
  if (negative) first = 255 - first;
  s.number = first <= 247 ? first - 127 : 0;
  at++;
  for (int left = first - 247; left > 0; left--, at++)
    s.number = s.number * 256 + (negative ? 255 - lk_slice_at(path, at) : lk_slice_at(path, at));
  if (negative) s.number = -s.number;
  CHECK(lk_slice_at(path, at) >= 1 && path.ptr[at] <= 3);
  s.side = sides[path.ptr[at]];
  s.len = at + 1;
  return s;
}

/* The order of two nodes of one slot. */
static int model_compare_nodes(const model_step *a, const model_step *b) {
  int order = lk_slice_compare(lk_slice_of(a->actor, a->actor_len),
                               lk_slice_of(b->actor, b->actor_len));
  if (order != 0) return order;
  return (a->number > b->number) - (a->number < b->number);
}

/* The order of two nodes somewhere below one slot. */
static int model_compare(lk_slice a, lk_slice b) {
  for (;;) {
    model_step x = model_read(a), y = model_read(b);
    int order = model_compare_nodes(&x, &y);
    if (order != 0) return order;
    if (x.side != y.side) return x.side < y.side ? -1 : 1;
    if (x.side == 0) return 0;
    a = lk_slice_skip(a, x.len);
    b = lk_slice_skip(b, y.len);
  }
}

static uint32_t count_steps(lk_slice position) {
  uint32_t count = 0;
  for (; position.len > 0; count++) position = lk_slice_skip(position, model_read(position).len);
  return count;
}

static int sign_of(int order) { return (order > 0) - (order < 0); }

static void check_order(lk_slice a, lk_slice b) {
  CHECK_I64(sign_of(lk_slice_compare(a, b)), sign_of(model_compare(a, b)));
}

/* ---- lists ---- */

#define LIST_MAX 10100

/* Positions in order; what a replica sees. */
typedef struct list {
  lk_arena arena;
  lk_slice *items;
  uint32_t count;
} list;

static void list_init(list *self) {
  *self = (list){ 0 };
  lk_arena_init(&self->arena, test_alloc(), (size_t)1 << 26);
  self->items = lk_arena_push_array(&self->arena, LIST_MAX, sizeof *self->items);
  CHECK(self->items != NULL);
}

static void list_deinit(list *self) { lk_arena_deinit(&self->arena); }

static lk_slice make(lk_arena *arena, lk_slice left, lk_slice right, lk_slice actor, uint64_t seq) {
  lk_buf buf;
  lk_slice made;
  lk_buf_init(&buf, test_alloc(), LEN_MAX);
  CHECK_OK(lk_position_between(left, right, actor, seq, LEN_MAX, &buf));
  CHECK_OK(lk_arena_copy(arena, lk_buf_slice(&buf), &made));
  lk_buf_deinit(&buf);
  return made;
}

/* The neighbours of the gap before item |at|. */
static lk_slice left_of(const list *self, uint32_t at) {
  return at > 0 ? self->items[at - 1] : NOTHING;
}
static lk_slice right_of(const list *self, uint32_t at) {
  return at < self->count ? self->items[at] : NOTHING;
}

/* Inserts into a gap and checks all that must hold there: strictly between is also distinct. */
static lk_slice list_insert(list *self, uint32_t at, lk_slice actor, uint64_t seq) {
  CHECK(self->count < LIST_MAX);
  lk_slice left = left_of(self, at), right = right_of(self, at);
  lk_slice made = make(&self->arena, left, right, actor, seq);
  CHECK_OK(lk_position_decode(made));
  CHECK(lk_slice_compare(left, made) < 0);
  CHECK(right.len == 0 || lk_slice_compare(made, right) < 0);
  CHECK(left.len == 0 || model_compare(left, made) < 0);
  CHECK(right.len == 0 || model_compare(made, right) < 0);
  CHECK(made.len <= lk_max_size(left.len, right.len) + actor.len + 11);
  memmove(self->items + at + 1, self->items + at, (self->count - at) * sizeof *self->items);
  self->items[at] = made;
  self->count++;
  return made;
}

static void list_delete(list *self, uint32_t at) {
  self->count--;
  memmove(self->items + at, self->items + at + 1, (self->count - at) * sizeof *self->items);
}

/* Puts a position of another replica where it belongs. */
static void list_merge(list *self, lk_slice position) {
  uint32_t at = self->count++;
  for (; at > 0 && lk_slice_compare(self->items[at - 1], position) > 0; at--)
    self->items[at] = self->items[at - 1];
  self->items[at] = position;
}

/* Prefixes of each other, U+0000, bytes that meet the marks once one is added, four-byte
 * characters. */
static const lk_slice actors[] = {
  LK_LIT_INIT("a"),
  LK_LIT_INIT("alice"),
  LK_LIT_INIT("a\0"),
  LK_LIT_INIT("\x01"),
  LK_LIT_INIT("\xf4\x8f\xbf\xbf"),
  LK_LIT_INIT("bob"),
};
enum { ACTORS = sizeof actors / sizeof actors[0] };

/* ---- form and order ---- */

/* Goal: what is stored today is read tomorrow: the bytes of each kind of place, by hand. */
TEST(positions_have_the_bytes_of_the_essay) {
  lk_arena arena;
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  lk_slice alice = LK_LIT("alice"), bob = LK_LIT("bob");
  lk_slice a1 = make(&arena, NOTHING, NOTHING, alice, 1);
  CHECK_TEXT(a1, "bmjdf\0\x80\x02");
  CHECK_TEXT(make(&arena, a1, NOTHING, alice, 2), "bmjdf\0\x81\x02");
  lk_slice a300 = make(&arena, NOTHING, a1, alice, 300);
  CHECK_TEXT(a300, "bmjdf\0\x06\xfe\xd3\x02");
  CHECK_TEXT(make(&arena, a300, a1, alice, 301), "bmjdf\0\x06\xfe\xd3\x03"
                                                 "bmjdf\0\xf9\x01\x2d\x02");
  lk_slice b7 = make(&arena, a1, LK_LIT("bmjdf\0\x81\x02"), bob, 7);
  CHECK_TEXT(b7, "bmjdf\0\x80\x03"
                 "cpc\0\x86\x02");
  CHECK_TEXT(make(&arena, b7, LK_LIT("bmjdf\0\x81\x02"), bob, 8), "bmjdf\0\x80\x03"
                                                                  "cpc\0\x87\x02");
  CHECK_TEXT(make(&arena, a1, b7, bob, 8), "bmjdf\0\x80\x03"
                                           "cpc\0\x78\x02");
  CHECK_TEXT(make(&arena, NOTHING, a1, bob, 8), "bmjdf\0\x80\x01"
                                                "cpc\0\x87\x02");
  CHECK_TEXT(make(&arena, a1, NOTHING, bob, 8), "cpc\0\x87\x02");
  CHECK_TEXT(make(&arena, a1, LK_LIT("bmjdf\0\x83\x02"), alice, 9), "bmjdf\0\x83\x01"
                                                                    "bmjdf\0\x88\x02");
  CHECK_COVERED(position_between_own_steps);
  lk_arena_deinit(&arena);
}

TEST(numbers_sort_by_value_and_negative_ones_come_first) {
  static const uint64_t numbers[] = {
    1,          2,
    119,        120,
    121,        122,
    255,        256,
    257,        0xffff,
    0x10000,    0xffffff,
    0x1000000,  UINT32_MAX,
    1ull << 32, (1ull << 40) - 1,
    1ull << 40, (1ull << 48) - 1,
    1ull << 48, (1ull << 56) - 1,
    1ull << 56, INT64_MAX - 1,
    INT64_MAX,
  };
  enum { NUMBERS = sizeof numbers / sizeof numbers[0] };
  list l;
  list_init(&l);
  lk_slice actor = LK_LIT("alice");
  for (uint32_t i = 0; i < NUMBERS; i++) list_insert(&l, i, actor, numbers[i]);
  for (uint32_t i = 1; i < NUMBERS; i++) list_insert(&l, 0, actor, numbers[i]);
  for (uint32_t i = 0; i < l.count; i++) {
    bool negative = i < NUMBERS - 1;
    uint64_t number = numbers[negative ? NUMBERS - 1 - i : i - (NUMBERS - 1)];
    model_step s = model_read(l.items[i]);
    test_note("number %zu of the list", (size_t)i);
    CHECK_U64(count_steps(l.items[i]), 1);
    CHECK_I64(s.number, negative ? -(int64_t)number : (int64_t)number);
    for (uint32_t k = 0; k < l.count; k++) check_order(l.items[i], l.items[k]);
  }
  list_deinit(&l);
}

PROPERTY(actors_sort_by_their_bytes_and_a_prefix_comes_first) {
  uint8_t names[2][LK_ACTOR_LEN_MAX];
  size_t lens[2];
  lk_arena arena;
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  for (size_t i = 0; i < 2; i++) {
    lens[i] = 0;
    if (i == 1 && gen_bool(g)) memcpy(names[1], names[0], lens[1] = lens[0]);
    lens[i] += gen_utf8(g, names[i] + lens[i], LK_ACTOR_LEN_MAX - lens[i]);
    if (lens[i] == 0) names[i][lens[i]++] = (uint8_t)gen_below(g, 2);
  }
  lk_slice a = lk_slice_of(names[0], lens[0]), b = lk_slice_of(names[1], lens[1]);
  lk_slice pa = make(&arena, NOTHING, NOTHING, a, 1 + gen_below(g, 300));
  lk_slice pb = make(&arena, NOTHING, NOTHING, b, 1 + gen_below(g, 300));
  CHECK_OK(lk_position_decode(pa));
  check_order(pa, pb);
  if (!lk_slice_equal(a, b))
    CHECK_I64(sign_of(lk_slice_compare(pa, pb)), sign_of(lk_slice_compare(a, b)));
  lk_arena_deinit(&arena);
}

/* A number that |actor| has not used, growing or not. Bits exchanged below and shifted keep them
 * distinct. */
typedef struct numbers {
  uint64_t next[ACTORS];
  uint64_t mask;
  unsigned shift;
} numbers;

static uint64_t take_number(numbers *self, uint32_t actor) {
  return ((self->next[actor]++ ^ self->mask) + 1) << self->shift;
}

/* Inserts at random places, now and then deleting, so that neighbours are not always those that
 * there were. */
static void gen_history(lk_gen *g, list *l, numbers *seqs, uint32_t actor_count, uint32_t len) {
  uint32_t at = 0;
  for (uint32_t i = 0; i < len; i++) {
    uint32_t who = gen_below(g, actor_count);
    if (gen_chance(g, 1, 6) && l->count > 0) list_delete(l, gen_below(g, l->count));
    if (at > l->count || gen_bool(g)) at = gen_below(g, l->count + 1);
    (void)list_insert(l, at, actors[who], take_number(seqs, who));
    at += gen_below(g, 2);
  }
}

/* Goal: there is room between any two neighbours for each actor, whatever number it uses. */
PROPERTY(a_position_is_strictly_between_its_neighbours_and_ordered_as_in_a_tree) {
  list l;
  numbers seqs = { .mask = gen_bool(g) ? gen_below(g, 128) : 0, .shift = gen_below(g, 50) };
  list_init(&l);
  gen_history(g, &l, &seqs, gen_bool(g) ? 3 : ACTORS, gen_below(g, 100));
  for (uint32_t i = 0; i < l.count; i++) {
    for (uint32_t k = 0; k < l.count; k++) {
      check_order(l.items[i], l.items[k]);
      CHECK_I64(sign_of(lk_slice_compare(l.items[i], l.items[k])), (i > k) - (i < k));
    }
  }
  /* Neighbours that are far apart: what was between them is not known here. */
  for (uint32_t i = 0; i < 20 && l.count >= 2; i++) {
    uint32_t a = gen_below(g, l.count - 1), b = gen_range(g, a + 1, l.count - 1);
    uint32_t who = gen_below(g, ACTORS);
    lk_slice made = make(&l.arena, l.items[a], l.items[b], actors[who], take_number(&seqs, who));
    CHECK(model_compare(l.items[a], made) < 0 && model_compare(made, l.items[b]) < 0);
  }
  list_deinit(&l);
}

/* The length of the shortest of all places along |path| that are strictly between, by trying each.
 * */
static size_t shortest_along(lk_slice path, uint8_t child, lk_slice step, lk_slice left,
                             lk_slice right, lk_buf *scratch) {
  size_t shortest = SIZE_MAX, at = 0;
  for (bool last = false; !last;) {
    last = at == path.len;
    for (size_t negative = 0; negative < 2; negative++) {
      lk_buf_truncate(scratch, 0);
      lk_buf_append(scratch, lk_slice_first(path, last ? at - 1 : at));
      if (last) lk_buf_append_u8(scratch, child);
      size_t from = scratch->len;
      CHECK_OK(lk_buf_append(scratch, step));
      while (scratch->ptr[from] != 0) from++;
      /* The bits of a negative number are those of the positive one turned over. */
      for (size_t i = from + 1; negative == 1 && i < scratch->len - 1; i++)
        scratch->ptr[i] = (uint8_t)~scratch->ptr[i];
      lk_slice place = lk_buf_slice(scratch);
      bool fits = (left.len == 0 || model_compare(left, place) < 0) &&
                  (right.len == 0 || model_compare(place, right) < 0);
      if (fits) shortest = lk_min_size(shortest, place.len);
    }
    if (!last) at += model_read(lk_slice_skip(path, at)).len;
  }
  return shortest;
}

/* Whether the paths part between two nodes of |actor| in one slot. */
static bool part_in_family(lk_slice a, lk_slice b, lk_slice actor) {
  while (a.len > 0 && b.len > 0) {
    model_step x = model_read(a), y = model_read(b);
    if (model_compare_nodes(&x, &y) != 0)
      return lk_slice_equal(lk_slice_of(x.actor, x.actor_len), actor) &&
             lk_slice_equal(lk_slice_of(y.actor, y.actor_len), actor);
    if (x.side != y.side) return false;
    a = lk_slice_skip(a, x.len);
    b = lk_slice_skip(b, y.len);
  }
  return false;
}

/* Goal: no position along either neighbour's path would have been shorter.
 * Method: try them all. Between two nodes of the actor's own family one side must be kept to. */
PROPERTY(a_position_is_the_shortest_that_is_between) {
  list l;
  lk_buf scratch;
  numbers seqs = { .mask = gen_bool(g) ? gen_below(g, 64) : 0 };
  list_init(&l);
  lk_buf_init(&scratch, test_alloc(), LEN_MAX);
  gen_history(g, &l, &seqs, 4, gen_below(g, 60));
  for (uint32_t i = 0; i <= l.count; i++) {
    lk_slice left = left_of(&l, i), right = right_of(&l, i);
    uint32_t who = gen_below(g, 4);
    uint64_t seq = take_number(&seqs, who);
    lk_slice made = make(&l.arena, left, right, actors[who], seq);
    lk_slice alone = make(&l.arena, NOTHING, NOTHING, actors[who], seq);
    size_t shortest = left.len + right.len == 0 ? alone.len : SIZE_MAX;
    if (left.len > 0) shortest = shortest_along(left, 3, alone, left, right, &scratch);
    if (right.len > 0)
      shortest = lk_min_size(shortest, shortest_along(right, 1, alone, left, right, &scratch));
    if (part_in_family(left, right, actors[who])) CHECK(made.len >= shortest);
    else CHECK_U64(made.len, shortest);
  }
  lk_buf_deinit(&scratch);
  list_deinit(&l);
}

/* ---- runs ---- */

enum { RUN = 20 };
typedef enum run_mode { FORWARD, BACKWARD, ALTERNATING, ANYWHERE, RUN_MODES } run_mode;

/* Inserts a run between two neighbours as one replica, which sees nobody else's, and gives it in
 * order. */
static void make_run(lk_gen *g, run_mode mode, lk_slice left, lk_slice right, uint32_t who,
                     numbers *seqs, list *out) {
  list_init(out);
  uint32_t first = left.len > 0;
  if (left.len > 0) out->items[out->count++] = left;
  if (right.len > 0) out->items[out->count++] = right;
  for (uint32_t i = 0; i < RUN; i++) {
    uint32_t at = mode == FORWARD       ? i
                  : mode == BACKWARD    ? 0
                  : mode == ALTERNATING ? (i % 2) * i
                                        : gen_below(g, i + 1);
    (void)list_insert(out, first + at, actors[who], take_number(seqs, who));
  }
  if (left.len > 0) list_delete(out, 0);
  if (right.len > 0) list_delete(out, RUN);
}

/* How many times the run changes from one element to the next: one less than the runs where none is
 * mixed. */
static void check_runs_are_whole(const list *all, const list *runs, uint32_t run_count) {
  uint32_t seen = 0, before = UINT32_MAX;
  for (uint32_t i = 0; i < all->count; i++) {
    uint32_t of = UINT32_MAX;
    for (uint32_t r = 0; r < run_count; r++) {
      for (uint32_t k = 0; k < RUN; k++) {
        if (lk_slice_equal(runs[r].items[k], all->items[i])) of = r;
      }
    }
    seen += of != before;
    before = of;
  }
  CHECK_U64(seen, run_count);
}

/* Goal: what several type at one place at the same time is not mixed, however each of them goes
 * about it and whatever was there before. An actor's numbers grow. */
PROPERTY_SLOW(runs_at_one_place_do_not_interleave, 4) {
  enum { REPLICAS = 3 };
  list shared, all, runs[REPLICAS];
  numbers seqs = { 0 };
  list_init(&shared);
  list_init(&all);
  gen_history(g, &shared, &seqs, ACTORS, gen_below(g, 40));
  uint32_t at = gen_below(g, shared.count + 1), who = gen_below(g, ACTORS);
  for (uint32_t r = 0; r < REPLICAS; r++) {
    who = (who + 1 + (r > 0 ? gen_below(g, 2) : 0)) % ACTORS;
    run_mode mode = (run_mode)gen_below(g, RUN_MODES);
    test_note("run %u by actor %u, mode %u", r, who, mode);
    make_run(g, mode, left_of(&shared, at), right_of(&shared, at), who, &seqs, &runs[r]);
    for (uint32_t i = 0; i < RUN; i++) list_merge(&all, runs[r].items[i]);
  }
  for (uint32_t i = 1; i < all.count; i++) CHECK(model_compare(all.items[i - 1], all.items[i]) < 0);
  check_runs_are_whole(&all, runs, REPLICAS);
  for (uint32_t r = 0; r < REPLICAS; r++) list_deinit(&runs[r]);
  list_deinit(&all);
  list_deinit(&shared);
}

/* Goal: the case that the exception in the essay is for. mia goes on behind her own node, below
 * which bob has written, and then writes before what she just wrote; zoe, who has seen neither,
 * writes at the same place. */
TEST(what_is_typed_before_a_continued_run_stays_with_it) {
  list l;
  list_init(&l);
  lk_slice m1 = list_insert(&l, 0, LK_LIT("mia"), 1);
  lk_slice n1 = list_insert(&l, 1, LK_LIT("noa"), 1);
  lk_slice b1 = list_insert(&l, 1, LK_LIT("bob"), 1);
  CHECK_U64(count_steps(b1), 2);
  CHECK(lk_slice_starts_with(b1, lk_slice_first(m1, m1.len - 1)));
  lk_slice m2 = make(&l.arena, b1, n1, LK_LIT("mia"), 2);
  lk_slice m3 = make(&l.arena, b1, m2, LK_LIT("mia"), 3);
  lk_slice z1 = make(&l.arena, b1, n1, LK_LIT("zoe"), 1);
  CHECK(lk_slice_compare(m3, m2) < 0);
  CHECK(lk_slice_compare(z1, m3) < 0 || lk_slice_compare(m2, z1) < 0);
  list_deinit(&l);
}

/* ---- lengths ---- */

/* An actor that goes on in one direction costs its name and five bytes up to number 65,535. */
TEST(ten_thousand_appends_or_prepends_by_one_actor_stay_short) {
  for (uint32_t front = 0; front < 2; front++) {
    list l;
    list_init(&l);
    for (uint32_t i = 0; i < 10000; i++) {
      lk_slice made = list_insert(&l, front ? 0 : l.count, LK_LIT("alice"), i + 1);
      CHECK_U64(made.len, 5 + (i < 120 ? 3 : i < 255 ? 4 : 5));
    }
    list_deinit(&l);
  }
  list l;
  list_init(&l);
  CHECK_U64(list_insert(&l, 0, LK_LIT("alice"), INT64_MAX).len, 5 + 11);
  list_deinit(&l);
}

/* Two actors in turn: two steps at most, that is both names and ten bytes. */
TEST(ten_thousand_prepends_by_two_actors_in_turn_stay_short) {
  for (uint32_t front = 0; front < 2; front++) {
    list l;
    size_t longest = 0;
    list_init(&l);
    for (uint32_t i = 0; i < 10000; i++) {
      lk_slice actor = i % 2 == 0 ? LK_LIT("alice") : LK_LIT("bob");
      lk_slice made = list_insert(&l, front ? 0 : l.count, actor, i / 2 + 1);
      longest = lk_max_size(longest, made.len);
    }
    CHECK_U64(longest, 5 + 3 + 10);
    list_deinit(&l);
  }
}

/* Goal: any number of actors at one end, in any order, cost at most a step each while their numbers
 * grow. */
PROPERTY(at_either_end_there_is_at_most_one_step_for_each_actor) {
  list l;
  numbers seqs = { 0 };
  bool front = gen_bool(g);
  uint32_t actor_count = gen_range(g, 1, ACTORS);
  list_init(&l);
  for (uint32_t i = gen_below(g, 100); i > 0; i--) {
    uint32_t who = gen_below(g, actor_count);
    lk_slice made = list_insert(&l, front ? 0 : l.count, actors[who], take_number(&seqs, who));
    CHECK(count_steps(made) <= actor_count);
  }
  list_deinit(&l);
}

/* Numbers to know: 10,000 inserts at random places, by an actor with a name of five bytes, have 50
 * bytes in the mean and at most 103, in 11 steps. The seed is fixed, so these are what they are
 * today, not what may be. */
TEST(ten_thousand_inserts_at_random_places_stay_short) {
  lk_gen g;
  list l;
  size_t sum = 0, longest = 0;
  uint32_t deepest = 0;
  gen_init_seed(&g, 1);
  list_init(&l);
  for (uint32_t i = 0; i < 10000; i++) {
    lk_slice made = list_insert(&l, gen_below(&g, l.count + 1), LK_LIT("alice"), i + 1);
    sum += made.len;
    longest = lk_max_size(longest, made.len);
    deepest = lk_max_u32(deepest, count_steps(made));
  }
  test_note("mean %zu, longest %zu, deepest %u", sum / 10000, longest, deepest);
  CHECK(sum / 10000 <= 50 && longest <= 103 && deepest <= 11);
  list_deinit(&l);
}

/* Goal: the worst that neighbours can do, a step for each insert, ends at the limit and not before.
 * */
TEST(inserting_by_turns_on_both_sides_of_the_last_grows_up_to_the_limit) {
  enum { LIMIT = 500 };
  lk_slice left = NOTHING, right = NOTHING;
  lk_arena arena;
  lk_buf buf;
  uint64_t seq = 1;
  lk_err err;
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  lk_buf_init(&buf, test_alloc(), 1000);
  for (;; seq++) {
    lk_slice made;
    lk_buf_truncate(&buf, 0);
    err = lk_position_between(left, right, LK_LIT("a"), seq, LIMIT, &buf);
    if (err != LK_OK) break;
    CHECK(count_steps(lk_buf_slice(&buf)) <= seq);
    CHECK_OK(lk_arena_copy(&arena, lk_buf_slice(&buf), &made));
    *(seq % 2 == 0 ? &left : &right) = made;
  }
  CHECK_ERR(err, LK_ERR_LIMIT);
  CHECK(seq > LIMIT / 6 && lk_max_size(left.len, right.len) > LIMIT - 6);
  CHECK_U64(buf.len, 0);
  CHECK_OK(lk_position_between(left, right, LK_LIT("a"), seq, LIMIT + 6, &buf));
  lk_buf_deinit(&buf);
  lk_arena_deinit(&arena);
}

static lk_slice long_path(lk_buf *out, lk_slice first, lk_slice step, lk_slice last) {
  lk_buf_init(out, test_alloc(), 1 << 21);
  lk_buf_append(out, first);
  while (out->len < 1 << 20) CHECK_OK(lk_buf_append(out, step));
  CHECK_OK(lk_buf_append(out, last));
  return lk_buf_slice(out);
}

/* Goal: a stranger's positions of a quarter of a million steps cost time in proportion to their
 * length. Method: no slot along them has room for "m", or they part only at their ends, so that all
 * are tried. Each is done in milliseconds; time that grew with the square would be minutes. */
TEST(long_positions_of_strangers_are_dealt_with_in_one_pass) {
  lk_buf a, b, c, out;
  lk_slice left = long_path(&a, LK_LIT("r\0\x80\x03"), LK_LIT("{\0\x80\x03"),
                            LK_LIT("{\0\x80\x02"));
  lk_slice right = long_path(&b, LK_LIT("r\0\x81\x01"), LK_LIT("b\0\x80\x01"),
                             LK_LIT("b\0\x80\x02"));
  lk_slice next = long_path(&c, LK_LIT("r\0\x80\x03"), LK_LIT("{\0\x80\x03"),
                            LK_LIT("{\0\x81\x02"));
  lk_buf_init(&out, test_alloc(), 1 << 21);
  CHECK_OK(lk_position_between(left, right, LK_LIT("m"), 1, LEN_MAX, &out));
  CHECK(lk_slice_starts_with(lk_buf_slice(&out), lk_slice_first(left, left.len - 1)));
  CHECK(lk_slice_ends_with(lk_buf_slice(&out), LK_LIT("{\0\x80\x03n\0\x80\x02")));
  lk_buf_truncate(&out, 0);
  CHECK_OK(lk_position_between(NOTHING, right, LK_LIT("z"), 1, LEN_MAX, &out));
  CHECK(lk_slice_ends_with(lk_buf_slice(&out), LK_LIT("b\0\x80\x01{\0\x80\x02")));
  lk_buf_truncate(&out, 0);
  CHECK_OK(lk_position_between(left, next, LK_LIT("z"), 9, LEN_MAX, &out));
  CHECK(lk_slice_ends_with(lk_buf_slice(&out), LK_LIT("{\0\x81\x01{\0\x88\x02")));
  lk_buf *all[] = { &a, &b, &c, &out };
  for (size_t i = 0; i < 4; i++) lk_buf_deinit(all[i]);
}

/* ---- what is refused ---- */

TEST(bytes_that_are_no_position_are_refused_by_name) {
  static const struct {
    lk_slice bytes;
    lk_err want;
  } cases[] = {
    { LK_LIT_INIT("b\0\x80\x02"), LK_OK },
    { LK_LIT_INIT("\x01\0\x00\x80\x00\x00\x00\x00\x00\x00\x00\x02"),
      LK_OK }, /* U+0000, the least number */
    { LK_LIT_INIT("b\0\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x02"), LK_OK }, /* the greatest */
    { LK_LIT_INIT(""), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("b"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("b\0"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("b\0\x80"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("b\0\xf8"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("b\0\xf9\x01"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("b\0\x80\x03"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("b\0\x80\x01"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("b\0\x80\x02\x02"), LK_ERR_TRAILING },
    { LK_LIT_INIT("b\0\x80\x02"
                  "b\0\x80\x02"),
      LK_ERR_TRAILING },
    { LK_LIT_INIT("\0\x80\x02"), LK_ERR_ACTOR },
    { LK_LIT_INIT("\x81\0\x80\x02"), LK_ERR_ACTOR },         /* a tail byte alone */
    { LK_LIT_INIT("\xff\0\x80\x02"), LK_ERR_ACTOR },         /* the byte FE */
    { LK_LIT_INIT("\xee\xa1\x81\0\x80\x02"), LK_ERR_ACTOR }, /* a surrogate */
    { LK_LIT_INIT("b\0\x80\x03\0\x80\x02"), LK_ERR_ACTOR },
    { LK_LIT_INIT("b\0\xf8\x78\x02"), LK_ERR_NOT_CANONICAL }, /* 120 in two bytes */
    { LK_LIT_INIT("b\0\xf8\x79\x02"), LK_OK },
    { LK_LIT_INIT("b\0\xf8\x00\x02"), LK_ERR_NOT_CANONICAL }, /* zero */
    { LK_LIT_INIT("b\0\x07\xff\x02"), LK_ERR_NOT_CANONICAL }, /* and negative zero */
    { LK_LIT_INIT("b\0\x07\x87\x02"), LK_ERR_NOT_CANONICAL }, /* -120 */
    { LK_LIT_INIT("b\0\xf9\x00\xff\x02"), LK_ERR_NOT_CANONICAL },
    { LK_LIT_INIT("b\0\xf9\x01\x00\x02"), LK_OK },
    { LK_LIT_INIT("b\0\xff\x80\x00\x00\x00\x00\x00\x00\x00\x02"), LK_ERR_RANGE },
    { LK_LIT_INIT("b\0\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02"), LK_ERR_RANGE },
    { LK_LIT_INIT("b\0\x80\x00"), LK_ERR_CORRUPT },
    { LK_LIT_INIT("b\0\x80\x04"), LK_ERR_CORRUPT },
    { LK_LIT_INIT("b\0\x80\xff"), LK_ERR_CORRUPT },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    test_note("case %zu", i);
    CHECK_ERR(lk_position_decode(cases[i].bytes), cases[i].want);
  }
  uint8_t long_actor[LK_ACTOR_LEN_MAX + 4];
  memset(long_actor, 'b', sizeof long_actor);
  CHECK_ERR(lk_position_decode(lk_slice_of(long_actor, sizeof long_actor)), LK_ERR_ACTOR);
  memcpy(long_actor + LK_ACTOR_LEN_MAX, "\0\x80\x02", 3);
  CHECK_OK(lk_position_decode(lk_slice_of(long_actor, LK_ACTOR_LEN_MAX + 3)));
}

/* Goal: no damage to a byte makes a position that the order of bytes and the tree see differently.
 * */
TEST(every_change_of_one_byte_is_refused_or_is_another_position_in_order) {
  lk_gen g;
  list l;
  numbers seqs = { .shift = 5 };
  uint32_t others = 0;
  gen_init_seed(&g, 7);
  list_init(&l);
  gen_history(&g, &l, &seqs, ACTORS, 60);
  for (uint32_t i = 0; i < l.count; i++) {
    lk_slice old = l.items[i], copy;
    CHECK_OK(lk_arena_copy(&l.arena, old, &copy));
    uint8_t *bytes = (uint8_t *)(uintptr_t)copy.ptr;
    for (size_t at = 0; at < old.len; at++) {
      CHECK_ERR(lk_position_decode(lk_slice_first(old, at)), LK_ERR_TRUNCATED);
      for (uint32_t flip = 1; flip < 256; flip++) {
        bytes[at] = (uint8_t)(old.ptr[at] ^ flip);
        if (lk_position_decode(copy) != LK_OK) continue;
        others++;
        CHECK(!lk_slice_equal(old, copy));
        for (uint32_t k = 0; k < l.count; k++) check_order(copy, l.items[k]);
      }
      bytes[at] = old.ptr[at];
    }
  }
  CHECK(others > 1000);
  list_deinit(&l);
}

TEST(neighbours_that_are_not_in_order_or_no_positions_are_refused) {
  lk_slice a = LK_LIT("b\0\x80\x02"), b = LK_LIT("b\0\x81\x02"), bad = LK_LIT("b\0\x80\x03");
  lk_slice x = LK_LIT("x");
  uint8_t name[LK_ACTOR_LEN_MAX + 1];
  lk_buf out;
  memset(name, 'n', sizeof name);
  lk_buf_init(&out, test_alloc(), 1000);
  CHECK_ERR(lk_position_between(b, a, x, 1, 100, &out), LK_ERR_INVALID);
  CHECK_ERR(lk_position_between(a, a, x, 1, 100, &out), LK_ERR_INVALID);
  CHECK_ERR(lk_position_between(bad, NOTHING, x, 1, 100, &out), LK_ERR_INVALID);
  CHECK_ERR(lk_position_between(NOTHING, bad, x, 1, 100, &out), LK_ERR_INVALID);
  CHECK_ERR(lk_position_between(a, b, LK_LIT(""), 1, 100, &out), LK_ERR_ACTOR);
  CHECK_ERR(lk_position_between(a, b, LK_LIT("\xff"), 1, 100, &out), LK_ERR_ACTOR);
  CHECK_ERR(lk_position_between(a, b, lk_slice_of(name, sizeof name), 1, 100, &out), LK_ERR_ACTOR);
  CHECK_ERR(lk_position_between(a, b, x, 0, 100, &out), LK_ERR_RANGE);
  CHECK_ERR(lk_position_between(a, b, x, (uint64_t)INT64_MAX + 1, 100, &out), LK_ERR_RANGE);
  CHECK_U64(out.len, 0);
  CHECK_OK(lk_buf_err(&out));
  CHECK_OK(lk_position_between(a, b, lk_slice_of(name, LK_ACTOR_LEN_MAX), INT64_MAX, 100, &out));
  lk_buf_deinit(&out);
}

/* Goal: a position that someone else made up with our own next number costs us nothing but a step.
 * */
TEST(a_number_that_was_forged_still_leaves_room) {
  lk_arena arena;
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  lk_slice actor = LK_LIT("a");
  lk_slice same = make(&arena, NOTHING, NOTHING, actor, 9);
  lk_slice minus = make(&arena, NOTHING, LK_LIT("b\0\x80\x02"), actor, 9);
  CHECK(lk_slice_compare(make(&arena, same, NOTHING, actor, 9), same) > 0);
  CHECK(lk_slice_compare(make(&arena, NOTHING, minus, actor, 9), minus) < 0);
  lk_slice middle = make(&arena, minus, same, actor, 9);
  CHECK(lk_slice_compare(minus, middle) < 0 && lk_slice_compare(middle, same) < 0);
  lk_arena_deinit(&arena);
}

/* Goal: where there is no room or no memory, the buffer is as before, and can still be used. */
TEST(a_buffer_without_room_is_as_before) {
  lk_slice a = LK_LIT("b\0\x80\x02"), x = LK_LIT("x");
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 10);
  CHECK_OK(lk_buf_append(&out, LK_LIT("12345678")));
  CHECK_ERR(lk_position_between(a, NOTHING, x, 1, 100, &out), LK_ERR_LIMIT);
  CHECK_OK(lk_buf_err(&out));
  CHECK_TEXT(lk_buf_slice(&out), "12345678");
  lk_buf_truncate(&out, 6);
  CHECK_ERR(lk_position_between(a, NOTHING, x, 1, 3, &out), LK_ERR_LIMIT);
  CHECK_OK(lk_position_between(a, NOTHING, x, 1, 4, &out));
  CHECK_TEXT(lk_buf_slice(&out), "123456y\0\x80\x02");
  CHECK_ERR(lk_buf_append(&out, x), LK_ERR_LIMIT);
  CHECK_ERR(lk_position_between(a, NOTHING, x, 1, 100, &out), LK_ERR_LIMIT); /* failed before */
  CHECK_ERR(lk_buf_err(&out), LK_ERR_LIMIT);
  lk_buf_deinit(&out);
  FAULT_LOOP(faults, test_alloc()) {
    lk_buf_init(&out, faulty_alloc(&faults), 1000);
    lk_err err = lk_position_between(a, NOTHING, x, 1, 100, &out);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    CHECK_U64(out.len, err == LK_OK ? 4 : 0);
    CHECK_OK(lk_buf_err(&out));
    lk_buf_deinit(&out);
  }
}
