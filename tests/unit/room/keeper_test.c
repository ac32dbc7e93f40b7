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

static lk_keeper_place place_in(lk_memory_storage *storage, const lk_alloc *alloc) {
  return (lk_keeper_place){
    .alloc = alloc, .storage = &storage->table, .topic = LK_LIT("topic"), .state_max = 100
  };
}

static uint32_t open_files(const lk_memory_storage *storage) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < storage->open_cap; i++) count += storage->open[i] != NULL;
  return count;
}

TEST(a_keeper_removes_what_it_kept) {
  for (int kept = 0; kept < 3; kept++) {
    lk_memory_storage storage;
    lk_keeper k = { 0 };
    lk_memory_storage_init(&storage, test_alloc(), 1000);
    const lk_keeper_place place = place_in(&storage, test_alloc());
    for (int i = 0; i < kept; i++) {
      CHECK_OK(lk_keeper_keep(&k, &place, LK_LIT("state")));
      CHECK(finish(&k, &storage) == LK_KEEPER_KEPT && k.result == LK_OK);
      CHECK_U64(k.number, (uint64_t)i + 1);
    }
    CHECK_U64(lk_map_count(&storage.names), (uint64_t)kept);
    CHECK_OK(lk_keeper_remove(&k, &place));
    CHECK(finish(&k, &storage) == LK_KEEPER_REMOVED && k.result == LK_OK);
    CHECK_U64(lk_map_count(&storage.names), 0);
    CHECK_U64(storage.size_used, 0);
    CHECK_OK(lk_keeper_load(&k, &place)); /* and it can go on */
    CHECK(finish(&k, &storage) == LK_KEEPER_LOADED && k.result == LK_OK);
    CHECK(lk_keeper_state(&k).len == 0);
    lk_keeper_deinit(&k);
    lk_memory_storage_deinit(&storage);
  }
}

/* Goal: at rest a keeper holds no file and no memory, however its last activity ended. */
TEST(a_keeper_at_rest_holds_nothing) {
  for (int failing = 0; failing < 24; failing++) {
    lk_memory_storage storage;
    lk_keeper k = { 0 };
    lk_memory_storage_init(&storage, test_alloc(), 1000);
    const lk_keeper_place place = place_in(&storage, test_alloc());
    int operation = 0;
    bool has_failed = false;
    for (int step = 0; step < 4 && !has_failed; step++) {
      lk_keeper_event event = LK_KEEPER_BUSY;
      lk_io *io;
      CHECK_OK(step % 2 == 0 ? lk_keeper_keep(&k, &place, LK_LIT("state")) : lk_keeper_load(&k, &place));
      while (event == LK_KEEPER_BUSY && (io = storage.table.poll(&storage.table)) != NULL) {
        CHECK(lk_keeper_owns(&k, io));
        if (operation++ == failing && io->result == LK_OK && io->kind != LK_IO_CLOSE) {
          if (io->kind != LK_IO_OPEN) io->result = LK_ERR_IO;
          has_failed = io->result != LK_OK;
        }
        event = lk_keeper_advance(&k);
      }
      CHECK(event == (step % 2 == 0 ? LK_KEEPER_KEPT : LK_KEEPER_LOADED));
      CHECK(!lk_keeper_is_busy(&k) && k.result == (has_failed ? LK_ERR_IO : LK_OK));
      lk_keeper_release(&k);
      CHECK(k.work == NULL);
      CHECK_U64(open_files(&storage), 0);
    }
    lk_keeper_deinit(&k);
    lk_memory_storage_deinit(&storage);
  }
}

/* Begins to load, and again where there was no memory. */
static void load(lk_keeper *k, const lk_keeper_place *place, lk_memory_storage *storage) {
  lk_err err = lk_keeper_load(k, place);
  if (err == LK_OK) {
    CHECK(finish(k, storage) == LK_KEEPER_LOADED);
    return;
  }
  CHECK(err == LK_ERR_NOMEM && k->result == err && !lk_keeper_is_busy(k));
}

/* Goal: what an activity has no memory for is not begun, or ends with that; what was kept stays.
 * Method: one is kept, loaded and removed while allocations fail. */
TEST(a_keeper_without_memory_begins_nothing) {
  FAULT_LOOP(faults, test_alloc()) {
    lk_memory_storage storage;
    lk_keeper k = { 0 };
    lk_memory_storage_init(&storage, test_alloc(), 1000);
    const lk_keeper_place place = place_in(&storage, faulty_alloc(&faults));
    lk_err kept = lk_keeper_keep(&k, &place, LK_LIT("state"));
    CHECK(kept == LK_OK || kept == LK_ERR_NOMEM);
    if (kept == LK_OK) CHECK(finish(&k, &storage) == LK_KEEPER_KEPT && k.result == LK_OK);
    CHECK(lk_keeper_state(&k).len == 0 && k.work == NULL);
    load(&k, &place, &storage);
    CHECK(k.result == LK_OK || (k.result == LK_ERR_NOMEM && k.work == NULL));
    if (k.result == LK_OK)
      CHECK(lk_slice_equal(lk_keeper_state(&k), kept == LK_OK ? LK_LIT("state") : LK_SLICE_EMPTY));
    lk_keeper_release(&k);
    lk_err removed = lk_keeper_remove(&k, &place);
    CHECK(removed == LK_OK || removed == LK_ERR_NOMEM);
    if (removed == LK_OK) CHECK(finish(&k, &storage) == LK_KEEPER_REMOVED);
    CHECK_U64(lk_map_count(&storage.names), kept == LK_OK && removed != LK_OK);
    CHECK_U64(open_files(&storage), 0);
    lk_keeper_deinit(&k);
    lk_memory_storage_deinit(&storage);
  }
}
