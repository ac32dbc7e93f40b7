#include "base/btree.h"
#include "harness/test.h"

/* Items hold an id, and the comparison looks up the id's key, as the engine's indices do. An id dies
 * with its item and is taken again only when there is no other, so that a tree which still compares
 * a removed item is found out. Key k is in where id_of[k] is not 0; id 0 stands for what is searched. */
enum { KEYS = 4096, IDS = 2 * KEYS, SEARCHED = 0 };

typedef struct world {
  lk_btree tree;
  uint32_t item_size;
  uint32_t count;
  uint32_t next_id;
  uint32_t id_of[KEYS];
  uint32_t key_of[IDS];
  bool lives[IDS];
} world;

static uint32_t id_in(const void *item) {
  uint32_t id;
  memcpy(&id, item, sizeof id);
  return id;
}

static int compare_ids(const void *ctx, const void *a, const void *b) {
  const world *w = ctx;
  uint32_t left = id_in(a), right = id_in(b);
  CHECK(left < IDS && right < IDS);
  CHECK(left == SEARCHED || w->lives[left]);
  CHECK(right != SEARCHED && w->lives[right]);
  return (w->key_of[left] > w->key_of[right]) - (w->key_of[left] < w->key_of[right]);
}

static void fill_item(uint8_t item[32], uint32_t size, uint32_t id) {
  memset(item, (int)(id * 31 & 0xff), size);
  memcpy(item, &id, sizeof id);
}

static const void *searched(world *w, uint32_t key, uint8_t item[32]) {
  w->key_of[SEARCHED] = key;
  fill_item(item, w->item_size, SEARCHED);
  return item;
}

/* |item| is the one of |key|, whole, where it may stand. */
static void check_item(const world *w, const void *item, uint32_t key) {
  uint8_t want[32];
  CHECK(item != NULL);
  fill_item(want, w->item_size, w->id_of[key]);
  CHECK(memcmp(item, want, w->item_size) == 0);
  CHECK((uintptr_t)item % (w->item_size % 8 == 0 ? 8 : 4) == 0);
}

static void begin(world *w, const lk_alloc *alloc, uint16_t item_size) {
  memset(w, 0, sizeof *w);
  w->item_size = item_size;
  lk_btree_init(&w->tree, alloc, item_size, compare_ids, w);
}

/* Memory must have been reserved. */
static void put(world *w, uint32_t key) {
  uint8_t item[32];
  do w->next_id = w->next_id % (IDS - 1) + 1;
  while (w->lives[w->next_id]);
  uint32_t id = w->next_id;
  CHECK(w->id_of[key] == 0);
  w->id_of[key] = id;
  w->key_of[id] = key;
  w->lives[id] = true;
  fill_item(item, w->item_size, id);
  check_item(w, lk_btree_insert(&w->tree, item), key);
  w->count++;
}

static void reserve_and_put(world *w, uint32_t key) {
  CHECK_OK(lk_btree_reserve(&w->tree, 1));
  put(w, key);
}

static void take(world *w, uint32_t key) {
  uint8_t item[32];
  CHECK(lk_btree_remove(&w->tree, searched(w, key, item)));
  w->lives[w->id_of[key]] = false;
  w->id_of[key] = 0;
  w->count--;
}

static void toggle(world *w, uint32_t key) {
  if (w->id_of[key] == 0) reserve_and_put(w, key);
  else take(w, key);
}

/* Searches for |key| in each way, and for its neighbours. */
static void check_around(world *w, uint32_t key) {
  uint8_t item[32];
  const void *probe = searched(w, key, item);
  lk_btree_cursor c = { 0 };
  uint32_t rank = 0, above = key, below = key + 1;
  for (uint32_t k = 0; k < key; k++) rank += w->id_of[k] != 0;
  while (above < KEYS && w->id_of[above] == 0) above++;
  while (below > 0 && w->id_of[below - 1] == 0) below--;
  CHECK_U64(lk_btree_rank(&w->tree, probe), rank);
  if (w->id_of[key] == 0) CHECK(lk_btree_get(&w->tree, probe) == NULL);
  else check_item(w, lk_btree_get(&w->tree, probe), key);

  void *found = lk_btree_at_least(&w->tree, probe, &c);
  if (above == KEYS) CHECK(found == NULL && c.leaf == NULL);
  else check_item(w, found, above);
  CHECK(lk_btree_at(&w->tree, rank, NULL) == found);
  void *before = lk_btree_prev(&c);
  uint32_t under = key;
  while (under > 0 && w->id_of[under - 1] == 0) under--;
  if (above == KEYS || under == 0) CHECK(before == NULL && c.leaf == NULL);
  else check_item(w, before, under - 1);

  found = lk_btree_at_most(&w->tree, probe, &c);
  if (below == 0) CHECK(found == NULL && c.leaf == NULL);
  else check_item(w, found, below - 1);
  if (below > 0) {
    CHECK(lk_btree_at(&w->tree, w->id_of[key] != 0 ? rank : rank - 1, NULL) == found);
    void *after = lk_btree_next(&c);
    while (below < KEYS && w->id_of[below] == 0) below++;
    if (below == KEYS) CHECK(after == NULL && c.leaf == NULL);
    else check_item(w, after, below);
  }
}

static void check_whole(const world *w) {
  lk_btree_cursor up, down, at;
  lk_btree_check(&w->tree);
  CHECK_U64(lk_btree_count(&w->tree), w->count);
  void *item = lk_btree_first(&w->tree, &up), *back = lk_btree_last(&w->tree, &down);
  uint32_t rank = 0, high = KEYS;
  for (uint32_t low = 0; low < KEYS; low++) {
    if (w->id_of[low] == 0) continue;
    check_item(w, item, low);
    CHECK(lk_btree_at(&w->tree, rank++, &at) == item);
    CHECK(at.leaf == up.leaf && at.index == up.index);
    item = lk_btree_next(&up);
    do high--;
    while (w->id_of[high] == 0);
    check_item(w, back, high);
    back = lk_btree_prev(&down);
  }
  CHECK(item == NULL && up.leaf == NULL && lk_btree_next(&up) == NULL);
  CHECK(back == NULL && down.leaf == NULL && lk_btree_prev(&down) == NULL);
  CHECK(lk_btree_at(&w->tree, rank, &at) == NULL && at.leaf == NULL);
}

static uint16_t gen_size(lk_gen *g) {
  static const uint16_t sizes[] = { 4, 8, 16, 24, 32, 12, 20, 28 };
  return sizes[gen_below(g, 8)];
}

/* Up to |count| changes of one kind: at random, upwards, downwards, or at the end. */
static void change(world *w, lk_gen *g, uint32_t count) {
  uint32_t how = gen_below(g, 6), key = gen_below(g, KEYS);
  for (; count > 0; count--) {
    uint32_t random = gen_below(g, KEYS);
    switch (how) {
    case 0: toggle(w, random); break;
    case 1:
      if (w->id_of[random] == 0) reserve_and_put(w, random);
      break;
    case 2:
      if (w->id_of[random] != 0) take(w, random);
      break;
    case 3: toggle(w, key++ % KEYS); break;
    case 4: toggle(w, key-- % KEYS); break;
    default:
      while (key < KEYS && w->id_of[key] != 0) key++;
      if (key < KEYS) reserve_and_put(w, key);
      break;
    }
  }
}

/* Goal: whatever is done, the tree is what a sorted array would be, its invariants hold, and no
 * comparison is handed an item that was removed. Method: keys in an array that is searched one by
 * one; long bursts of one kind of change, so that there are several levels and each is merged. */
PROPERTY_SLOW(btree_equals_a_sorted_array, 5) {
  static world w;
  begin(&w, test_alloc(), gen_size(g));
  for (uint32_t bursts = gen_below(g, 12); bursts > 0; bursts--) {
    change(&w, g, 1 + gen_below(g, gen_bool(g) ? 20 : 1500));
    for (uint32_t i = 0; i < 4; i++) check_around(&w, gen_below(g, KEYS));
    if (gen_chance(g, 1, 4)) lk_btree_trim(&w.tree);
    if (gen_chance(g, 1, 4)) CHECK_OK(lk_btree_reserve(&w.tree, gen_below(g, 300)));
    check_whole(&w);
  }
  lk_btree_deinit(&w.tree);
  lk_btree_deinit(&w.tree);
}

/* The same with a look at everything after each change: fewer items, the largest ones. */
PROPERTY_SLOW(btree_keeps_its_invariants_after_every_single_change, 40) {
  static world w;
  begin(&w, test_alloc(), gen_bool(g) ? 32 : 24);
  for (uint32_t bursts = gen_below(g, 8); bursts > 0; bursts--) {
    uint32_t how = gen_below(g, 3), base = gen_below(g, KEYS - 400);
    for (uint32_t i = 0, n = gen_below(g, 300); i < n; i++) {
      toggle(&w, base + (how == 0 ? i : how == 1 ? 399 - i : gen_below(g, 400)));
      lk_btree_check(&w.tree);
    }
  }
  lk_btree_deinit(&w.tree);
}

/* ---- shapes ---- */

TEST(btree_that_is_empty_has_nothing_to_find) {
  static world w;
  uint8_t item[32];
  lk_btree_cursor c = { 0 };
  begin(&w, test_alloc(), 4);
  CHECK(lk_btree_next(&c) == NULL && lk_btree_prev(&c) == NULL);
  check_whole(&w);
  check_around(&w, 7);
  CHECK(!lk_btree_remove(&w.tree, searched(&w, 7, item)));
  CHECK_U64(lk_btree_bytes(&w.tree), 0);
  reserve_and_put(&w, 7);
  CHECK(!lk_btree_remove(&w.tree, searched(&w, 6, item)));
  take(&w, 7);
  check_whole(&w);
  CHECK_U64(w.tree.height, 0);
  lk_btree_deinit(&w.tree);
  lk_btree zeroed = { 0 };
  lk_btree_deinit(&zeroed);
}

TEST(btree_reaches_its_rare_branches) {
  static world w;
  begin(&w, test_alloc(), 32);
  for (uint32_t k = 0; k < 3000; k++) reserve_and_put(&w, k);
  CHECK(w.tree.height >= 3);
  CHECK_COVERED(btree_split_unevenly);
  for (uint32_t k = 0; k < 1500; k++) take(&w, k);
  CHECK_COVERED(btree_borrow_from_right);
  for (uint32_t k = 3000; k-- > 1500;) take(&w, k);
  CHECK_COVERED(btree_borrow_from_left);
  CHECK_COVERED(btree_merge);
  CHECK_COVERED(btree_lose_height);
  check_whole(&w);
  lk_btree_deinit(&w.tree);
}

/* Goal: the order in which a decoder inserts costs little more than the items' own size. */
TEST(btree_filled_in_increasing_order_has_full_nodes) {
  static const uint16_t sizes[] = { 4, 8, 16, 24, 32 };
  static world w;
  for (size_t s = 0; s < 5; s++) {
    begin(&w, test_alloc(), sizes[s]);
    for (uint32_t k = 0; k < KEYS; k++) reserve_and_put(&w, k);
    lk_btree_trim(&w.tree);
    CHECK_U64(w.tree.leaf_count, (KEYS + w.tree.leaf_cap - 1) / w.tree.leaf_cap);
    CHECK(lk_btree_bytes(&w.tree) * 10 < (size_t)KEYS * sizes[s] * 13);
    check_whole(&w);
    lk_btree_deinit(&w.tree);
  }
}

static int compare_numbers(const void *ctx, const void *a, const void *b) {
  (void)ctx;
  uint32_t left = id_in(a), right = id_in(b);
  return (left > right) - (left < right);
}

/* Goal: memory follows the items when they go, in whatever order. Method: 100,000 numbers, the order
 * that of a multiplication modulo a prime; nine of ten are removed. */
TEST(btree_gives_memory_back_when_most_items_are_removed) {
  enum { COUNT = 100000 };
  const uint64_t prime = 100003, step = 61803;
  lk_btree t;
  lk_btree_init(&t, test_alloc(), 4, compare_numbers, NULL);
  for (uint64_t i = 1; i <= COUNT; i++) {
    uint32_t number = (uint32_t)(i * step % prime);
    CHECK_OK(lk_btree_reserve(&t, 1));
    (void)lk_btree_insert(&t, &number);
  }
  CHECK(lk_btree_bytes(&t) < 2 * 4 * COUNT);
  for (uint64_t i = 1; i <= COUNT; i++) {
    uint32_t number = (uint32_t)(i * i % prime * step % prime);
    if (number % 10 != 0) (void)lk_btree_remove(&t, &number);
  }
  for (uint64_t i = 1; i <= COUNT; i++) {
    uint32_t number = (uint32_t)(i * step % prime);
    if (number % 10 != 0) (void)lk_btree_remove(&t, &number);
  }
  lk_btree_trim(&t);
  lk_btree_check(&t);
  CHECK(lk_btree_count(&t) > COUNT / 11 && lk_btree_count(&t) <= COUNT / 10 + 1);
  CHECK(lk_btree_bytes(&t) * 2 < (size_t)lk_btree_count(&t) * 4 * 5);
  lk_btree_deinit(&t);
}

typedef struct pair {
  uint32_t key;
  uint32_t value;
} pair;

TEST(btree_item_may_be_changed_where_the_comparison_does_not_look) {
  lk_btree t;
  lk_btree_init(&t, test_alloc(), sizeof(pair), compare_numbers, NULL);
  for (uint32_t i = 0; i < 1000; i++) {
    CHECK_OK(lk_btree_reserve(&t, 1));
    (void)lk_btree_insert(&t, &(pair){ i, 0 });
  }
  for (uint32_t i = 0; i < 1000; i++) ((pair *)lk_btree_get(&t, &i))->value = i + 7;
  for (uint32_t i = 0; i < 1000; i += 2) CHECK(lk_btree_remove(&t, &i));
  for (uint32_t i = 1; i < 1000; i += 2) CHECK_U64(((pair *)lk_btree_get(&t, &i))->value, i + 7);
  lk_btree_check(&t);
  lk_btree_deinit(&t);
}

/* ---- memory ---- */

/* Counts what is asked for; refuses where it is closed or after |left| times. */
typedef struct gate {
  lk_alloc table;
  uint64_t asked;
  uint64_t left;
  bool closed;
} gate;

static void *gate_resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  gate *self = ctx;
  if (new_size > 0) {
    CHECK(!self->closed);
    if (self->left == 0) return NULL;
    self->left--;
    self->asked++;
  }
  return test_alloc()->resize(test_alloc()->ctx, ptr, old_size, new_size);
}

static void gate_init(gate *self) {
  *self = (gate){ .left = UINT64_MAX };
  self->table = (lk_alloc){ gate_resize, self };
}

/* The next key from |from| that is not in, around the end. */
static uint32_t free_key(const world *w, uint32_t from) {
  while (w->id_of[from % KEYS] != 0) from++;
  return from % KEYS;
}

static void remove_some(world *w, lk_gen *g, uint32_t how) {
  uint32_t key = gen_below(g, KEYS), n = how == 0 ? 0 : gen_below(g, how == 1 ? 3 : 60);
  for (; n > 0 && w->count > 0; n--) {
    while (w->id_of[key % KEYS] == 0) key++;
    take(w, key % KEYS);
  }
}

/* Goal: what was reserved is enough, whatever is inserted and removed. Method: trees of full nodes
 * (built upwards) or not, whose spare nodes are gone; then as many insertions as were reserved:
 * far apart so that each finds a full leaf, close together, or at random; removals in between. */
PROPERTY_SLOW(btree_asks_for_no_memory_within_what_was_reserved, 4) {
  static world w;
  gate mem;
  gate_init(&mem);
  begin(&w, &mem.table, gen_size(g));
  uint32_t fill = gen_below(g, gen_bool(g) ? 40 : KEYS - 1), gap = 1 + gen_below(g, 3);
  for (uint32_t k = 0; k < KEYS && w.count < fill; k += gap) reserve_and_put(&w, k);
  if (gen_chance(g, 1, 3)) change(&w, g, 200);
  for (uint32_t rounds = 1 + gen_below(g, 4); rounds > 0 && w.count < KEYS; rounds--) {
    lk_btree_trim(&w.tree);
    uint32_t more = 1 + gen_below(g, gen_bool(g) ? 6 : 600), how = gen_below(g, 5);
    uint32_t removing = gen_below(g, 3), stride = 1 + gen_below(g, 130), key = gen_below(g, KEYS);
    if (removing == 0) more = lk_min_u32(more, KEYS - w.count);
    uint64_t asked = mem.asked;
    CHECK_OK(lk_btree_reserve(&w.tree, more));
    CHECK(mem.asked - asked <= (uint64_t)more * (w.tree.height + 1));
    mem.closed = true;
    for (uint32_t i = 0; i < more && w.count < KEYS; i++) {
      key = free_key(&w, how == 0 ? key + stride : how == 1 ? key : gen_below(g, KEYS));
      put(&w, key);
      if (gen_chance(g, 1, 8)) remove_some(&w, g, removing);
      if (gen_chance(g, 1, 8)) CHECK_OK(lk_btree_reserve(&w.tree, 0));
    }
    mem.closed = false;
    lk_btree_check(&w.tree);
  }
  lk_btree_deinit(&w.tree);
}

/* Goal: reserving for one insertion at a time, without ever having more than that, is enough. Method:
 * before each insertion all spare nodes are dropped that trimming drops, and one is reserved. */
TEST(btree_asks_for_little_when_little_is_reserved) {
  static world w;
  gate mem;
  gate_init(&mem);
  begin(&w, &mem.table, 32);
  for (uint32_t i = 0; i < KEYS; i++) {
    uint32_t key = i * 1741 % KEYS;
    lk_btree_trim(&w.tree);
    CHECK(w.tree.spare_count <= w.tree.height + 2);
    CHECK_OK(lk_btree_reserve(&w.tree, 1));
    CHECK(w.tree.spare_count <= w.tree.height + 2);
    mem.closed = true;
    put(&w, key);
    mem.closed = false;
  }
  check_whole(&w);
  lk_btree_deinit(&w.tree);
}

TEST(btree_keeps_a_few_spare_nodes_when_trimmed) {
  static world w;
  begin(&w, test_alloc(), 8);
  CHECK_OK(lk_btree_reserve(&w.tree, 1000));
  put(&w, 1);
  lk_btree_trim(&w.tree);
  CHECK_U64(w.tree.spare_count, w.tree.height + 2);
  lk_btree_trim(&w.tree);
  CHECK_U64(w.tree.spare_count, w.tree.height + 2);
  lk_btree_deinit(&w.tree);
}

/* Goal: many insertions are not reserved for as if each split every level. */
TEST(btree_asks_for_no_more_than_half_full_nodes_when_much_is_reserved) {
  lk_btree t;
  const uint32_t more = 100000;
  lk_btree_init(&t, test_alloc(), 4, compare_numbers, NULL);
  CHECK_OK(lk_btree_reserve(&t, more));
  CHECK(lk_btree_bytes(&t) < (size_t)more * 4 * 5 / 2);
  size_t bytes = lk_btree_bytes(&t);
  for (uint32_t i = 0; i < more; i++) (void)lk_btree_insert(&t, &i);
  CHECK_U64(lk_btree_bytes(&t), bytes);
  lk_btree_trim(&t);
  size_t full = lk_btree_bytes(&t);
  CHECK_OK(lk_btree_reserve(&t, 1000)); /* each may hit another of the full leaves, but no more */
  CHECK(lk_btree_bytes(&t) - full < (size_t)1000 * 512 * 5 / 4);
  CHECK_OK(lk_btree_reserve(&t, more));
  CHECK(lk_btree_bytes(&t) < (size_t)2 * more * 4 * 5 / 2);
  lk_btree_deinit(&t);
}

/* Goal: a reservation that fails changes nothing, and the tree goes on. */
TEST(btree_is_as_before_after_every_failed_reservation) {
  FAULT_LOOP(faults, test_alloc()) {
    static world w;
    begin(&w, faulty_alloc(&faults), 32);
    for (uint32_t i = 0; i < 40; i++) {
      size_t bytes = lk_btree_bytes(&w.tree);
      uint32_t more = i % 8 == 0 ? 20 : 1, spare = w.tree.spare_count;
      lk_err err = lk_btree_reserve(&w.tree, more);
      CHECK(err == LK_OK || err == LK_ERR_NOMEM);
      if (err != LK_OK) CHECK(lk_btree_bytes(&w.tree) == bytes && w.tree.spare_count == spare);
      else put(&w, i * 7 % 40);
      lk_btree_check(&w.tree);
    }
    check_whole(&w);
    lk_btree_deinit(&w.tree);
  }
}

TEST(btree_refuses_to_hold_two_to_the_31_items) {
  static world w;
  gate mem;
  gate_init(&mem);
  mem.left = 3;
  begin(&w, &mem.table, 4);
  CHECK_ERR(lk_btree_reserve(&w.tree, UINT32_MAX), LK_ERR_LIMIT);
  CHECK_ERR(lk_btree_reserve(&w.tree, 0x80000000u), LK_ERR_LIMIT);
  CHECK_ERR(lk_btree_reserve(&w.tree, 0x7fffffffu), LK_ERR_NOMEM);
  CHECK_U64(lk_btree_bytes(&w.tree), 0);
  mem.left = 3;
  reserve_and_put(&w, 1);
  CHECK_ERR(lk_btree_reserve(&w.tree, 0x7fffffffu), LK_ERR_LIMIT);
  CHECK_ERR(lk_btree_reserve(&w.tree, 0x7ffffffeu), LK_ERR_NOMEM);
  lk_btree_deinit(&w.tree);
}

/* ---- mistakes of the caller ---- */

TEST(btree_panics_at_an_item_that_is_in_already) {
  static world w;
  uint8_t item[32];
  begin(&w, test_alloc(), 4);
  for (uint32_t k = 0; k < 500; k++) reserve_and_put(&w, k);
  CHECK_OK(lk_btree_reserve(&w.tree, 1));
  CHECK_PANICS(lk_btree_insert(&w.tree, searched(&w, 0, item)));
  CHECK_PANICS(lk_btree_insert(&w.tree, searched(&w, 250, item)));
  CHECK_PANICS(lk_btree_insert(&w.tree, searched(&w, 499, item)));
  check_whole(&w);
  lk_btree_deinit(&w.tree);
}

static void check_refused(world *w, uint32_t key) {
  uint8_t item[32];
  CHECK_PANICS(lk_btree_insert(&w->tree, searched(w, key, item)));
  check_whole(w);
}

/* Goal: the panic comes before anything is changed. Method: a twin for which everything is reserved
 * tells how many nodes each insertion takes; memory is reserved only after a panic. */
TEST(btree_panics_at_an_insertion_that_was_not_reserved) {
  static world w, twin;
  uint32_t panics = 0, panics_with_some = 0;
  begin(&w, test_alloc(), 32);
  begin(&twin, test_alloc(), 32);
  for (uint32_t i = 0; i < 2000; i++) {
    uint32_t key = i < 1000 ? 1000 + i : 1999 - i, had = twin.tree.node_count; /* up, then down */
    reserve_and_put(&twin, key);
    if (twin.tree.node_count - had > w.tree.spare_count) {
      panics++;
      panics_with_some += w.tree.spare_count > 0;
      check_refused(&w, key);
      CHECK_OK(lk_btree_reserve(&w.tree, 1));
    }
    put(&w, key);
  }
  CHECK(panics > 10 && panics_with_some > 0);
  check_whole(&w);
  lk_btree_deinit(&w.tree);
  lk_btree_deinit(&twin.tree);
}

TEST(btree_panics_at_a_size_of_items_that_it_cannot_align) {
  lk_btree t;
  CHECK_PANICS(lk_btree_init(&t, test_alloc(), 0, compare_numbers, NULL));
  CHECK_PANICS(lk_btree_init(&t, test_alloc(), 6, compare_numbers, NULL));
  CHECK_PANICS(lk_btree_init(&t, test_alloc(), 36, compare_numbers, NULL));
}

/* Goal: the checker sees what it is there for; else the properties above prove less than they say. */
TEST(btree_check_finds_what_is_broken) {
  static world w;
  begin(&w, test_alloc(), 32);
  for (uint32_t k = 0; k < 1000; k++) reserve_and_put(&w, k);
  lk_btree_check(&w.tree);
  w.key_of[w.id_of[400]] = 402; /* order */
  CHECK_PANICS(lk_btree_check(&w.tree));
  w.key_of[w.id_of[400]] = 400;
  w.tree.count++;
  CHECK_PANICS(lk_btree_check(&w.tree));
  w.tree.count--;
  w.tree.node_count++;
  CHECK_PANICS(lk_btree_check(&w.tree));
  w.tree.node_count--;
  w.tree.spare_count++;
  CHECK_PANICS(lk_btree_check(&w.tree));
  w.tree.spare_count--;
  w.tree.leaf_cap = (uint16_t)(w.tree.leaf_cap * 2 + 2); /* now all leaves are underfull */
  CHECK_PANICS(lk_btree_check(&w.tree));
  w.tree.leaf_cap = (uint16_t)(w.tree.leaf_cap / 2 - 2); /* now most are overfull */
  CHECK_PANICS(lk_btree_check(&w.tree));
  w.tree.leaf_cap++;
  lk_btree_check(&w.tree);
  lk_btree_deinit(&w.tree);
}

/* Method: each item in turn becomes another one that keeps the order; so a separator differs just
 * where the item is the first of its leaf. */
TEST(btree_check_finds_a_separator_that_is_not_in) {
  lk_btree t;
  lk_btree_init(&t, test_alloc(), 32, compare_numbers, NULL);
  for (uint32_t i = 0; i < 300; i++) {
    uint32_t item[8] = { 2 * i };
    CHECK_OK(lk_btree_reserve(&t, 1));
    (void)lk_btree_insert(&t, item);
  }
  lk_btree_cursor c;
  for (uint32_t *item = lk_btree_first(&t, &c); item != NULL; item = lk_btree_next(&c)) {
    ++*item;
    if (c.index == 0) CHECK_PANICS(lk_btree_check(&t));
    else lk_btree_check(&t);
    --*item;
  }
  lk_btree_deinit(&t);
}

static void add_one(void *ctx, void *item) {
  ++*(uint32_t *)item;
  ++*(uint32_t *)ctx;
}

/* Goal: rewriting reaches every item and every copy of one, or searches would go astray. */
TEST(btree_rewrites_items_and_their_copies) {
  for (uint32_t count = 0; count < 3000; count = count * 3 + 1) {
    lk_btree t;
    uint32_t calls = 0;
    lk_btree_init(&t, test_alloc(), 4, compare_numbers, NULL);
    CHECK_OK(lk_btree_reserve(&t, count));
    for (uint32_t i = 0; i < count; i++) (void)lk_btree_insert(&t, &(uint32_t){ 2 * i });
    lk_btree_rewrite(&t, add_one, &calls);
    CHECK(calls >= count);
    lk_btree_check(&t);
    for (uint32_t i = 0; i < count; i++) {
      const uint32_t *item = lk_btree_get(&t, &(uint32_t){ 2 * i + 1 });
      CHECK(item != NULL && *item == 2 * i + 1);
    }
    lk_btree_deinit(&t);
  }
}

/* Goal: asking for memory early changes nothing, in trees of any height and for keys that are not in. */
TEST(btree_that_was_warmed_is_as_before) {
  uint32_t keys[LK_BTREE_WARM_MOST];
  for (uint32_t i = 0; i < LK_BTREE_WARM_MOST; i++) keys[i] = i * 97;
  for (uint32_t count = 0; count < 3000; count = count * 3 + 1) {
    lk_btree t;
    lk_btree_init(&t, test_alloc(), 4, compare_numbers, NULL);
    CHECK_OK(lk_btree_reserve(&t, count));
    for (uint32_t i = 0; i < count; i++) (void)lk_btree_insert(&t, &(uint32_t){ 2 * i });
    lk_btree_warm(&t, keys, 0);
    lk_btree_warm(&t, keys, LK_BTREE_WARM_MOST);
    lk_btree_check(&t);
    CHECK_U64(lk_btree_count(&t), count);
    lk_btree_deinit(&t);
  }
}

TEST(btree_is_warmed_for_so_many_keys_and_no_more) {
  uint32_t keys[LK_BTREE_WARM_MOST + 1] = { 0 };
  lk_btree t;
  lk_btree_init(&t, test_alloc(), 4, compare_numbers, NULL);
  CHECK_PANICS(lk_btree_warm(&t, keys, LK_BTREE_WARM_MOST + 1));
  lk_btree_deinit(&t);
}
