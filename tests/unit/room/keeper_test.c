/* Where the state of one room is kept, and how it goes. (What a crash leaves is in hub_test.c and in the simulator.) */
#include "room/keeper.h"

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
      lk_keeper_remove(&k);
      CHECK(finish(&k, &storage) == LK_KEEPER_REMOVED && k.result == LK_OK);
      CHECK_U64(lk_map_count(&storage.names), 0);
      CHECK_U64(storage.size_used, 0);
      lk_keeper_load(&k); /* and it can go on */
      CHECK(finish(&k, &storage) == LK_KEEPER_LOADED && k.result == LK_OK && k.state.len == 0);
      lk_keeper_deinit(&k);
      lk_memory_storage_deinit(&storage);
    }
  }
}
