/* The sets of LK_SMALL, which modules of WebAssembly take: fewer bytes, the same order.
 *
 * base/btree_small.c is included below as those modules have it, under other names than base/btree.c is linked with. */
#include "harness/test.h"

#define LK_SMALL
#define lk_btree small_tree
#define lk_btree_node small_node
#define lk_btree_cursor small_cursor
#define lk_btree_compare small_compare
#define lk_btree_init small_init
#define lk_btree_deinit small_deinit
#define lk_btree_count small_count
#define lk_btree_reserve small_reserve
#define lk_btree_insert small_insert
#define lk_btree_remove small_remove
#define lk_btree_get small_get
#define lk_btree_first small_first
#define lk_btree_at_least small_at_least
#define lk_btree_at_most small_at_most
#define lk_btree_next small_next
#include "base/btree_small.c"

enum { KEYS = 3000 };

typedef struct item {
  uint32_t key, stamp;
  uint64_t more;
} item;

typedef struct world {
  small_tree tree;
  lk_alloc alloc; /* gives nothing while |closed| */
  bool closed;
  uint32_t count;
  uint32_t stamps[KEYS]; /* 0: not in */
} world;

static void *resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  const world *w = ctx;
  const lk_alloc *inner = test_alloc();
  if (w->closed && new_size > 0) return NULL;
  return inner->resize(inner->ctx, ptr, old_size, new_size);
}

static int compare(const void *ctx, const void *a, const void *b) {
  const item *x = a, *y = b;
  (void)ctx;
  return (x->key > y->key) - (x->key < y->key);
}

static void begin(world *w) {
  memset(w, 0, sizeof *w);
  w->alloc = (lk_alloc){ resize, w };
  small_init(&w->tree, &w->alloc, sizeof(item), compare, NULL);
}

static void put(world *w, uint32_t key) {
  item made = { key, ++w->count + key, 7 };
  w->stamps[key] = made.stamp;
  item *at = small_insert(&w->tree, &made);
  CHECK(at->key == key && at->stamp == made.stamp && at->more == 7);
}

static void toggle(world *w, uint32_t key) {
  item probe = { .key = key };
  if (w->stamps[key] == 0) {
    put(w, key);
    return;
  }
  CHECK(small_remove(&w->tree, &probe));
  w->stamps[key] = 0;
}

static void check_item(const world *w, const item *at, uint32_t key) {
  if (key >= KEYS) {
    CHECK(at == NULL);
    return;
  }
  CHECK(at != NULL);
  CHECK_U64(at->key, key);
  CHECK_U64(at->stamp, w->stamps[key]);
}

/* What is at or above |key|, or KEYS. */
static uint32_t above(const world *w, uint32_t key) {
  while (key < KEYS && w->stamps[key] == 0) key++;
  return key;
}

static void check_whole(const world *w) {
  small_cursor at;
  uint32_t count = 0, last = KEYS;
  item *next = small_first(&w->tree, &at);
  for (uint32_t key = 0; key < KEYS; key++) {
    item probe = { .key = key };
    if (w->stamps[key] != 0) {
      check_item(w, next, key);
      next = small_next(&at);
      last = key;
      count++;
    }
    check_item(w, small_get(&w->tree, &probe), w->stamps[key] != 0 ? key : KEYS);
    check_item(w, small_at_least(&w->tree, &probe, NULL), above(w, key));
    check_item(w, small_at_most(&w->tree, &probe, NULL), last);
  }
  CHECK(next == NULL);
  CHECK_U64(small_count(&w->tree), count);
  for (uint32_t i = 1; i < w->tree.block_count; i++) {
    const small_node *left = w->tree.blocks[i - 1], *right = w->tree.blocks[i];
    CHECK(left->next == right && left->count > 0 && right->count > 0);
    CHECK(left->count + right->count > BLOCK_ITEMS / 2);
  }
}

/* Goal: it is a sorted array.
 * Method: keys go in and out, each by itself and in stretches from either side, all of it compared with one. */
PROPERTY_SLOW(few_bytes_of_btree_equal_a_sorted_array, 20) {
  world w;
  begin(&w);
  for (uint32_t round = gen_range(g, 1, 8); round > 0; round--) {
    uint32_t first = gen_below(g, KEYS), count = gen_below(g, KEYS - first), way = gen_below(g, 3);
    for (uint32_t i = 0; i < count; i++) {
      uint32_t key = way == 0 ? first + i : way == 1 ? first + count - 1 - i : gen_below(g, KEYS);
      CHECK_OK(small_reserve(&w.tree, 1));
      toggle(&w, key);
    }
    check_whole(&w);
  }
  small_deinit(&w.tree);
  small_deinit(&w.tree);
}

/* Goal: what was reserved is enough, in whatever order things come.
 * Method: from a state that nobody chose, many insertions where they cost most, and removals between them, while there
 * is no memory. */
PROPERTY_SLOW(few_bytes_of_btree_ask_for_no_memory_within_what_was_reserved, 20) {
  world w;
  begin(&w);
  uint32_t step = gen_range(g, 1, 40);
  for (uint32_t key = 0; key < KEYS; key += step) {
    CHECK_OK(small_reserve(&w.tree, 1));
    put(&w, key);
  }
  for (uint32_t round = 0; round < 4; round++) {
    uint32_t more = gen_below(g, KEYS), around = gen_below(g, KEYS), way = gen_below(g, 3);
    CHECK_OK(small_reserve(&w.tree, more));
    w.closed = true;
    for (uint32_t i = 0; more > 0 && i < KEYS; i++) {
      uint32_t key = way == 0   ? (around + i) % KEYS
                     : way == 1 ? i * 32 % KEYS + i * 32 / KEYS
                                : gen_below(g, KEYS);
      if (key >= KEYS || (w.stamps[key] != 0 && gen_chance(g, 3, 4))) continue;
      more -= w.stamps[key] == 0;
      toggle(&w, key);
    }
    w.closed = false;
    check_whole(&w);
  }
  small_deinit(&w.tree);
}

/* Goal: a failure to reserve changes nothing. Method: each allocation fails in turn. */
TEST(few_bytes_of_btree_are_as_before_after_every_failed_reservation) {
  FAULT_LOOP(faults, test_alloc()) {
    world w;
    begin(&w);
    w.tree.alloc = faulty_alloc(&faults);
    for (uint32_t key = 0; key < 200; key++) {
      lk_err err = small_reserve(&w.tree, 3);
      CHECK(err == LK_OK || err == LK_ERR_NOMEM);
      if (err == LK_OK) put(&w, key * 7);
    }
    check_whole(&w);
    small_deinit(&w.tree);
  }
}

TEST(few_bytes_of_btree_that_is_empty_have_nothing_to_find) {
  world w;
  item probe = { .key = 5 };
  begin(&w);
  CHECK(small_get(&w.tree, &probe) == NULL && small_first(&w.tree, NULL) == NULL);
  CHECK(small_at_least(&w.tree, &probe, NULL) == NULL &&
        small_at_most(&w.tree, &probe, NULL) == NULL);
  CHECK(!small_remove(&w.tree, &probe));
  small_deinit(&w.tree);
}
