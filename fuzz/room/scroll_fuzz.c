#include "room/scroll.h"

#include "harness/test.h"
#include "platform/memory/storage.h"

/* A file that holds anything: it is refused or read, and what is written behind it is read as well. */
FUZZ(lk_scroll_next) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("\x01\x01t\x02\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00xy"),
    LK_LIT_INIT("\x00\x01t"),
  };
  uint8_t scratch[100];
  lk_memory_storage storage;
  lk_scroll scroll;
  lk_slice bytes, records;
  uint64_t index = 0, count = 0;
  lk_memory_storage_init(&storage, test_alloc(), 1 << 16);
  lk_scroll_init(&scroll, test_alloc(), &storage.table, LK_LIT("t"), 100, 1000, NULL);
  lk_slice in = gen_hostile(g, samples, 2, scratch, sizeof scratch);
  lk_io io = { .kind = LK_IO_OPEN,
               .name = lk_slice_of(scroll.name, sizeof scroll.name),
               .create = true };
  for (int i = 0; i < 3; i++) {
    if (i == 1) io = (lk_io){ .kind = LK_IO_WRITE, .file = io.file, .from = in };
    if (i == 2) io = (lk_io){ .kind = LK_IO_CLOSE, .file = io.file };
    storage.table.submit(&storage.table, &io);
    CHECK(storage.table.poll(&storage.table) == &io && io.result == LK_OK);
  }
  for (int round = 0; round < 2; round++) {
    lk_scroll_load(&scroll);
    while (storage.table.poll(&storage.table) != NULL) (void)lk_scroll_advance(&scroll);
    if (scroll.result != LK_OK) break;
    uint64_t found = 0;
    for (records = lk_scroll_records(&scroll); lk_scroll_next(&records, &index, &bytes);) found++;
    if (round == 1 && !scroll.is_condemned) CHECK(found == count + 1 && index == 99);
    count = found;
    lk_scroll_release(&scroll);
    CHECK_OK(lk_scroll_append(&scroll, 99, LK_LIT("more")));
    while (storage.table.poll(&storage.table) != NULL) (void)lk_scroll_advance(&scroll);
    if (lk_scroll_close(&scroll))
      while (storage.table.poll(&storage.table) != NULL) (void)lk_scroll_advance(&scroll);
  }
  lk_scroll_deinit(&scroll);
  lk_memory_storage_deinit(&storage);
}
