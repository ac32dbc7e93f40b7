/* Where the state of one room is kept, and how it goes. (What a crash leaves is in hub_test.c and in the simulator.) */
#include "room/keeper.h"

#include "harness/faulty.h"
#include "harness/test.h"
#include "platform/memory/storage.h"

static lk_keeper_event finish(lk_keeper *k, lk_memory_storage *storage) {
  lk_keeper_event event = LK_KEEPER_BUSY;
  while (event == LK_KEEPER_BUSY && storage->table.poll(&storage->table) != NULL)
    event = lk_keeper_advance(k);
  return event;
}

TEST(a_keeper_removes_what_it_kept_open_or_closed) {
  for (int kept = 0; kept < 3; kept++) {
    for (int is_open = 0; is_open < 2; is_open++) {
      lk_memory_storage storage;
      lk_keeper k;
      lk_memory_storage_init(&storage, test_alloc(), 1000);
      lk_keeper_init(&k, test_alloc(), &storage.table, LK_LIT("topic"), 100, NULL);
      for (int i = 0; i < kept; i++) {
        CHECK_OK(lk_keeper_keep(&k, LK_LIT("state")));
        CHECK(finish(&k, &storage) == LK_KEEPER_KEPT && k.result == LK_OK);
      }
      if (!is_open && lk_keeper_close(&k)) CHECK(finish(&k, &storage) == LK_KEEPER_CLOSED);
      CHECK_U64(lk_map_count(&storage.names), (uint64_t)kept);
      CHECK_OK(lk_keeper_remove(&k));
      CHECK(finish(&k, &storage) == LK_KEEPER_REMOVED && k.result == LK_OK);
      CHECK_U64(lk_map_count(&storage.names), 0);
      CHECK_U64(storage.size_used, 0);
      CHECK_OK(lk_keeper_load(&k)); /* and it can go on */
      CHECK(finish(&k, &storage) == LK_KEEPER_LOADED && k.result == LK_OK);
      CHECK(lk_keeper_state(&k).len == 0);
      lk_keeper_deinit(&k);
      lk_memory_storage_deinit(&storage);
    }
  }
}

/* Begins to load, and again where there was no memory. */
static void load(lk_keeper *k, lk_memory_storage *storage) {
  lk_err err = lk_keeper_load(k);
  if (err == LK_OK) {
    CHECK(finish(k, storage) == LK_KEEPER_LOADED);
    return;
  }
  CHECK(err == LK_ERR_NOMEM && k->result == err && !lk_keeper_is_busy(k));
}

/* Goal: what an activity has no memory for is not begun, or ends with that; closing always works, and what was kept stays.
 * Method: one is kept, closed and removed while allocations fail. */
TEST(a_keeper_without_memory_begins_nothing_and_can_be_closed) {
  FAULT_LOOP(faults, test_alloc()) {
    lk_memory_storage storage;
    lk_keeper k;
    lk_memory_storage_init(&storage, test_alloc(), 1000);
    lk_keeper_init(&k, faulty_alloc(&faults), &storage.table, LK_LIT("topic"), 100, NULL);
    lk_err kept = lk_keeper_keep(&k, LK_LIT("state"));
    CHECK(kept == LK_OK || kept == LK_ERR_NOMEM);
    if (kept == LK_OK) CHECK(finish(&k, &storage) == LK_KEEPER_KEPT && k.result == LK_OK);
    CHECK(lk_keeper_state(&k).len == 0 && k.work == NULL);
    CHECK(lk_keeper_close(&k) == (kept == LK_OK));
    if (kept == LK_OK) CHECK(finish(&k, &storage) == LK_KEEPER_CLOSED);
    load(&k, &storage);
    CHECK(k.result == LK_OK || (k.result == LK_ERR_NOMEM && k.work == NULL));
    if (k.result == LK_OK)
      CHECK(lk_slice_equal(lk_keeper_state(&k), kept == LK_OK ? LK_LIT("state") : LK_SLICE_EMPTY));
    lk_keeper_release(&k);
    lk_err removed = lk_keeper_remove(&k);
    CHECK(removed == LK_OK || removed == LK_ERR_NOMEM);
    if (removed == LK_OK) CHECK(finish(&k, &storage) == LK_KEEPER_REMOVED);
    else if (lk_keeper_close(&k)) CHECK(finish(&k, &storage) == LK_KEEPER_CLOSED);
    CHECK_U64(lk_map_count(&storage.names), kept == LK_OK && removed != LK_OK);
    lk_keeper_deinit(&k);
    lk_memory_storage_deinit(&storage);
  }
}
