/* What of the journal is still needed, and by whom. */
#include "room/tails.h"

#include "harness/faulty.h"
#include "harness/test.h"

static const uint64_t seed[2] = { 1, 2 };

static void put(lk_tails *tails, lk_slice topic, uint64_t index) {
  lk_tail_item *item;
  CHECK_OK(lk_tails_make(tails, topic, topic, &item));
  lk_tails_put(tails, item, index);
}

static uint64_t oldest(const lk_tails *tails) {
  const lk_tail_item *item = lk_tails_oldest(tails);
  return item == NULL ? 0 : item->index;
}

TEST(the_oldest_item_is_the_first_that_no_snapshot_has) {
  lk_tails tails;
  lk_tails_init(&tails, test_alloc(), seed);
  CHECK_U64(oldest(&tails), 0);
  CHECK_U64(lk_tails_span(&tails), 0);
  put(&tails, LK_LIT("a"), 3);
  put(&tails, LK_LIT("bb"), 4);
  put(&tails, LK_LIT("a"), 7);
  CHECK_U64(lk_tails_span(&tails), 3 * sizeof(lk_tail_item) + 1 + 2 + 1);
  lk_tails_drop(&tails, LK_LIT("a"), 6);
  CHECK_U64(oldest(&tails), 4);
  CHECK_U64(lk_tails_span(&tails), 2 * sizeof(lk_tail_item) + 2 + 1);
  CHECK_U64(lk_tail_first(lk_tails_find(&tails, LK_LIT("a")))->index, 7);
  lk_tails_drop(&tails, LK_LIT("bb"), 100);
  lk_tails_drop(&tails, LK_LIT("none"), 100);
  CHECK(lk_tails_find(&tails, LK_LIT("bb")) == NULL);
  CHECK_U64(oldest(&tails), 7);
  lk_tails_deinit(&tails);
  lk_tails_deinit(&tails);
}

TEST(an_item_that_was_made_is_in_no_tail_before_it_is_put) {
  lk_tails tails;
  lk_tail_item *item;
  lk_tails_init(&tails, test_alloc(), seed);
  CHECK_OK(lk_tails_make(&tails, LK_LIT("a"), LK_LIT("x"), &item));
  CHECK(lk_tails_find(&tails, LK_LIT("a")) == NULL);
  lk_tails_drop(&tails, LK_LIT("a"), 100); /* its tail stays */
  lk_tails_unmake(&tails, item);
  CHECK_U64(lk_map_count(&tails.tails), 0);
  CHECK_OK(lk_tails_make(&tails, LK_LIT("a"), LK_LIT("x"), &item));
  put(&tails, LK_LIT("a"), 1);
  lk_tails_drop(&tails, LK_LIT("a"), 1);
  lk_tails_put(&tails, item, 2);
  CHECK_U64(lk_tails_find(&tails, LK_LIT("a"))->items.count, 1);
  lk_tails_clear(&tails);
  CHECK_U64(oldest(&tails), 0);
  lk_tails_deinit(&tails);
}

TEST(records_that_were_refused_are_taken_back_from_all_tails) {
  lk_tails tails;
  lk_tails_init(&tails, test_alloc(), seed);
  put(&tails, LK_LIT("a"), 3);
  put(&tails, LK_LIT("bb"), 4);
  put(&tails, LK_LIT("a"), 7);
  lk_tails_take_back(&tails, 8);
  CHECK_U64(tails.all.count, 3);
  uint64_t span = lk_tails_span(&tails);
  lk_tails_take_back(&tails, 4);
  CHECK_U64(tails.all.count, 1);
  CHECK(lk_tails_find(&tails, LK_LIT("bb")) == NULL);
  CHECK_U64(lk_tails_find(&tails, LK_LIT("a"))->items.count, 1);
  put(&tails, LK_LIT("bb"), 4); /* the same index again */
  put(&tails, LK_LIT("a"), 5);
  CHECK_U64(lk_tails_span(&tails), span);
  lk_tails_take_back(&tails, 1);
  CHECK_U64(lk_map_count(&tails.tails), 0);
  lk_tails_deinit(&tails);
}

TEST(tails_survive_every_failed_allocation) {
  FAULT_LOOP(faults, test_alloc()) {
    lk_tails tails;
    lk_tail_item *item;
    uint64_t index = 0;
    lk_tails_init(&tails, faulty_alloc(&faults), seed);
    for (int i = 0; i < 6; i++) {
      lk_slice topic = i % 2 == 0 ? LK_LIT("a") : LK_LIT("b");
      lk_err err = lk_tails_make(&tails, topic, LK_LIT("bytes"), &item);
      CHECK(err == LK_OK || err == LK_ERR_NOMEM);
      if (err == LK_OK) lk_tails_put(&tails, item, ++index);
    }
    CHECK(faults.hit || index == 6);
    CHECK_U64(tails.all.count, index);
    lk_tails_deinit(&tails);
  }
}
