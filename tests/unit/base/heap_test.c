#include "base/heap.h"
#include "harness/test.h"

TEST(heap_gives_the_least_first_and_equals_in_order_of_arrival) {
  static const uint64_t keys[] = { 5, 1, 5, 3, 1 };
  static const size_t want[] = { 1, 4, 3, 0, 2 };
  lk_heap_item items[5];
  lk_heap h;
  lk_heap_init(&h, test_alloc(), 5);
  for (size_t i = 0; i < 5; i++) {
    items[i] = (lk_heap_item)LK_HEAP_ITEM_INIT;
    CHECK_OK(lk_heap_push(&h, &items[i], keys[i]));
  }
  lk_heap_item extra = LK_HEAP_ITEM_INIT;
  CHECK_ERR(lk_heap_push(&h, &extra, 0), LK_ERR_LIMIT);
  for (size_t i = 0; i < 5; i++) CHECK(lk_heap_pop(&h) == &items[want[i]]);
  CHECK(lk_heap_pop(&h) == NULL && lk_heap_first(&h) == NULL);
  CHECK_U64(items[0].place, LK_HEAP_OUT);
  lk_heap_deinit(&h);
  lk_heap_deinit(&h);
}

/* Goal: after any pushes, moves and removals the heap still yields what a linear search would. */
PROPERTY(heap_equals_a_linear_search) {
  enum { ITEMS = 20 };
  lk_heap_item items[ITEMS];
  lk_heap h;
  lk_heap_init(&h, test_alloc(), ITEMS);
  for (size_t i = 0; i < ITEMS; i++) items[i] = (lk_heap_item)LK_HEAP_ITEM_INIT;
  for (uint32_t i = gen_below(g, 100); i > 0; i--) {
    lk_heap_item *item = &items[gen_below(g, ITEMS)];
    uint64_t key = gen_below(g, 8); /* few: force ties */
    if (item->place == LK_HEAP_OUT) CHECK_OK(lk_heap_push(&h, item, key));
    else if (gen_bool(g)) lk_heap_move(&h, item, key);
    else lk_heap_remove(&h, item);
    lk_heap_item *least = NULL;
    for (size_t k = 0; k < ITEMS; k++) {
      if (items[k].place == LK_HEAP_OUT) continue;
      if (least == NULL || items[k].key < least->key ||
          (items[k].key == least->key && items[k].order < least->order)) {
        least = &items[k];
      }
    }
    CHECK(lk_heap_first(&h) == least);
  }
  lk_heap_deinit(&h);
}

TEST(heap_is_as_before_after_every_failed_allocation) {
  FAULT_LOOP(faults, test_alloc()) {
    lk_heap_item items[40];
    lk_heap h;
    uint32_t in = 0;
    lk_heap_init(&h, faulty_alloc(&faults), 40);
    for (size_t i = 0; i < 40; i++) {
      items[i] = (lk_heap_item)LK_HEAP_ITEM_INIT;
      lk_err err = lk_heap_push(&h, &items[i], 100 - i);
      CHECK(err == LK_OK || err == LK_ERR_NOMEM);
      CHECK((items[i].place == LK_HEAP_OUT) == (err != LK_OK));
      in += err == LK_OK;
    }
    for (uint64_t last = 0; in > 0; in--) {
      lk_heap_item *item = lk_heap_pop(&h);
      CHECK(item != NULL && item->key >= last);
      last = item->key;
    }
    lk_heap_deinit(&h);
  }
}

TEST(heap_takes_exactly_its_maximum) {
  for (uint32_t max = 1; max <= 20; max++) {
    lk_heap h;
    lk_heap_item items[21], *first;
    lk_heap_init(&h, test_alloc(), max);
    for (uint32_t i = 0; i <= max; i++) {
      items[i] = (lk_heap_item)LK_HEAP_ITEM_INIT;
      CHECK_ERR(lk_heap_push(&h, &items[i], max - i), i < max ? LK_OK : LK_ERR_LIMIT);
    }
    first = lk_heap_pop(&h);
    CHECK(first == &items[max - 1]);
    CHECK_OK(lk_heap_push(&h, &items[max], 0));
    lk_heap_deinit(&h);
  }
}
