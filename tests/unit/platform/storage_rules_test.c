#include "unit/platform/storage_rules.h"

#include "harness/test.h"
#include "platform/memory/clock.h"
#include "platform/memory/storage.h"

lk_err storage_run(lk_storage *storage, storage_wait wait, void *ctx, lk_io *io) {
  storage->submit(storage, io);
  for (int tries = 0; tries < 10000; tries++) {
    lk_io *done = storage->poll(storage);
    if (done != NULL) {
      CHECK(done == io);
      return io->result;
    }
    if (wait != NULL) wait(ctx);
  }
  test_fail(LK_FILE, __LINE__, "the operation never completed");
}

#define RUN(...) storage_run(storage, wait, ctx, &(lk_io){ __VA_ARGS__ })

static lk_file open_file(lk_storage *storage, storage_wait wait, void *ctx, lk_slice name) {
  lk_io io = { .kind = LK_IO_OPEN, .name = name, .create = true };
  CHECK_OK(storage_run(storage, wait, ctx, &io));
  return io.file;
}

static lk_slice read_all(lk_storage *storage, storage_wait wait, void *ctx, lk_file file,
                         uint64_t off, uint8_t bytes[64]) {
  lk_io io = { .kind = LK_IO_READ, .file = file, .off = off, .into = bytes, .into_len = 64 };
  CHECK_OK(storage_run(storage, wait, ctx, &io));
  return lk_slice_of(bytes, io.done);
}

static void check_bytes(lk_storage *storage, storage_wait wait, void *ctx) {
  uint8_t bytes[64];
  lk_file f = open_file(storage, wait, ctx, LK_LIT("a.log"));
  CHECK_OK(RUN(.kind = LK_IO_WRITE, .file = f, .off = 0, .from = LK_LIT("hello world")));
  CHECK_OK(RUN(.kind = LK_IO_WRITE, .file = f, .off = 6, .from = LK_LIT("there")));
  CHECK_OK(RUN(.kind = LK_IO_SYNC, .file = f));
  CHECK_TEXT(read_all(storage, wait, ctx, f, 0, bytes), "hello there");
  CHECK_TEXT(read_all(storage, wait, ctx, f, 6, bytes), "there");
  CHECK_U64(read_all(storage, wait, ctx, f, 11, bytes).len, 0);
  lk_io past = {
    .kind = LK_IO_READ, .file = f, .off = 12, .into = bytes, .into_len = 64, .done = 9
  };
  CHECK_OK(storage_run(storage, wait, ctx, &past)); /* whatever stood in |done| before */
  CHECK_U64(past.done, 0);
  CHECK_U64(read_all(storage, wait, ctx, f, 1u << 30, bytes).len, 0);
  CHECK_OK(RUN(.kind = LK_IO_TRUNCATE, .file = f, .off = 5));
  CHECK_TEXT(read_all(storage, wait, ctx, f, 0, bytes), "hello");
  /* A write behind the end leaves zeros between, also where there were bytes before. */
  CHECK_OK(RUN(.kind = LK_IO_WRITE, .file = f, .off = 8, .from = LK_LIT("!")));
  CHECK_TEXT(read_all(storage, wait, ctx, f, 0, bytes), "hello\0\0\0!");
  lk_io size = { .kind = LK_IO_SIZE, .file = f };
  CHECK_OK(storage_run(storage, wait, ctx, &size));
  CHECK_U64(size.off, 9);
  CHECK_OK(RUN(.kind = LK_IO_CLOSE, .file = f));
}

static void check_names(lk_storage *storage, storage_wait wait, void *ctx) {
  uint8_t bytes[64];
  CHECK_ERR(RUN(.kind = LK_IO_OPEN, .name = LK_LIT("none")), LK_ERR_NOT_FOUND);
  CHECK_ERR(RUN(.kind = LK_IO_OPEN, .name = LK_LIT("../x"), .create = true), LK_ERR_INVALID);
  CHECK_ERR(RUN(.kind = LK_IO_REMOVE, .name = LK_LIT("none")), LK_ERR_NOT_FOUND);
  lk_file f = open_file(storage, wait, ctx, LK_LIT("new"));
  CHECK_OK(RUN(.kind = LK_IO_WRITE, .file = f, .from = LK_LIT("new")));
  CHECK_OK(RUN(.kind = LK_IO_SYNC, .file = f));
  CHECK_OK(RUN(.kind = LK_IO_CLOSE, .file = f));
  CHECK_ERR(RUN(.kind = LK_IO_RENAME, .name = LK_LIT("none"), .name_to = LK_LIT("x")),
            LK_ERR_NOT_FOUND);
  CHECK_ERR(RUN(.kind = LK_IO_RENAME, .name = LK_LIT("new"), .name_to = LK_LIT("../x")),
            LK_ERR_INVALID);
  CHECK_ERR(RUN(.kind = LK_IO_RENAME, .name = LK_LIT(".new"), .name_to = LK_LIT("x")),
            LK_ERR_INVALID);
  CHECK_OK(RUN(.kind = LK_IO_RENAME, .name = LK_LIT("new"), .name_to = LK_LIT("a.log")));
  CHECK_ERR(RUN(.kind = LK_IO_OPEN, .name = LK_LIT("new")), LK_ERR_NOT_FOUND);
  f = open_file(storage, wait, ctx, LK_LIT("a.log"));
  CHECK_TEXT(read_all(storage, wait, ctx, f, 0, bytes), "new");
  /* Removed while open: the handle still reads, the name is free. */
  CHECK_OK(RUN(.kind = LK_IO_REMOVE, .name = LK_LIT("a.log")));
  CHECK_TEXT(read_all(storage, wait, ctx, f, 0, bytes), "new");
  CHECK_ERR(RUN(.kind = LK_IO_OPEN, .name = LK_LIT("a.log")), LK_ERR_NOT_FOUND);
  CHECK_OK(RUN(.kind = LK_IO_CLOSE, .file = f));
}

/* Rule 1: one file's operations take effect in order, however many are under way at once. */
static void check_order(lk_storage *storage, storage_wait wait, void *ctx) {
  enum { WRITES = 40 };
  lk_io writes[WRITES];
  uint8_t bytes[64];
  uint32_t done = 0;
  lk_file f = open_file(storage, wait, ctx, LK_LIT("order"));
  static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCD";
  for (size_t i = 0; i < WRITES; i++) {
    writes[i] = (lk_io){ .kind = LK_IO_WRITE, .file = f, .from = lk_slice_of(digits + i, 1) };
    storage->submit(storage, &writes[i]);
  }
  for (int tries = 0; tries < 10000 && done < WRITES; tries++) {
    lk_io *io = storage->poll(storage);
    if (io == NULL) {
      if (wait != NULL) wait(ctx);
      continue;
    }
    CHECK(io == &writes[done++]);
    CHECK_OK(io->result);
  }
  CHECK_U64(done, WRITES);
  CHECK_TEXT(read_all(storage, wait, ctx, f, 0, bytes), "D");
  CHECK_OK(RUN(.kind = LK_IO_CLOSE, .file = f));
  CHECK_OK(RUN(.kind = LK_IO_REMOVE, .name = LK_LIT("order")));
}

/* Names come page by page, each once, in order, whatever their lengths. */
static void check_listing(lk_storage *storage, storage_wait wait, void *ctx) {
  char name[LK_IO_NAME_MAX], last[LK_IO_NAME_MAX + 1] = "";
  uint8_t page[LK_IO_NAME_MAX + 51];
  uint32_t count = 0;
  for (int round = 0; round < 2; round++) {
    for (uint32_t i = 0; i < 40;
         i++) { /* from 3 to 99 bytes: those in the middle do not fit where shorter ones do */
      uint32_t len = 3 + i * 37 % 97;
      memset(name, 'n', sizeof name);
      name[0] = (char)('a' + i % 26);
      name[1] = (char)('A' + i / 26);
      lk_slice at = lk_slice_of(name, len);
      if (round == 0) CHECK_OK(RUN(.kind = LK_IO_CLOSE, .file = open_file(storage, wait, ctx, at)));
      else CHECK_OK(RUN(.kind = LK_IO_REMOVE, .name = at));
    }
    for (;;) {
      lk_io io = {
        .kind = LK_IO_LIST, .name = lk_slice_cstr(last), .into = page, .into_len = sizeof page
      };
      lk_slice rest;
      CHECK_OK(storage_run(storage, wait, ctx, &io));
      if (io.done == 0) break;
      for (lk_slice left = lk_slice_of(page, io.done); left.len > 0; left = rest, count++) {
        lk_slice one = lk_slice_cut(left, '\n', &rest);
        CHECK(lk_slice_compare(lk_slice_cstr(last), one) < 0);
        memcpy(last, one.ptr, one.len);
        last[one.len] = 0;
      }
    }
    CHECK_U64(count, 40);
    last[0] = 0;
  }
}

/* A walk gives each name once, in pages, and none that is gone; and one that is not where it says is told so. */
static void check_walk(lk_storage *storage, storage_wait wait, void *ctx) {
  uint8_t page[LK_IO_NAME_MAX + 51], last[LK_IO_NAME_MAX];
  char name[] = "walk-00";
  size_t last_len = 0;
  uint64_t seen = 0;
  for (uint32_t i = 0; i < 60; i++) {
    name[5] = (char)('0' + i / 10);
    name[6] = (char)('0' + i % 10);
    CHECK_OK(RUN(.kind = LK_IO_CLOSE,
                 .file = open_file(storage, wait, ctx, lk_slice_of(name, 7))));
  }
  for (uint32_t pages = 0;; pages++) {
    lk_slice rest;
    lk_io io = { .kind = LK_IO_WALK,
                 .name = lk_slice_of(last, last_len),
                 .into = page,
                 .into_len = sizeof page };
    CHECK_OK(storage_run(storage, wait, ctx, &io));
    if (io.done == 0) {
      CHECK(pages > 1);
      break;
    }
    for (lk_slice left = lk_slice_of(page, io.done); left.len > 0; left = rest) {
      lk_slice one = lk_slice_cut(left, '\n', &rest);
      memcpy(last, one.ptr, one.len);
      last_len = one.len;
      if (!lk_slice_starts_with(one, LK_LIT("walk-"))) continue;
      uint32_t i = (uint32_t)(one.ptr[5] - '0') * 10 + (uint32_t)(one.ptr[6] - '0');
      CHECK((seen >> i & 1) == 0);
      seen |= UINT64_C(1) << i;
    }
  }
  CHECK(seen == (UINT64_C(1) << 60) - 1);
  for (uint32_t i = 0; i < 60; i++) {
    name[5] = (char)('0' + i / 10);
    name[6] = (char)('0' + i % 10);
    CHECK_OK(RUN(.kind = LK_IO_REMOVE, .name = lk_slice_of(name, 7)));
  }
}

static void check_peek(lk_storage *storage, storage_wait wait, void *ctx) {
  uint8_t bytes[4];
  lk_io io = { .kind = LK_IO_PEEK, .name = LK_LIT("p"), .into = bytes, .into_len = sizeof bytes };
  CHECK_ERR(storage_run(storage, wait, ctx, &io), LK_ERR_NOT_FOUND);
  lk_file f = open_file(storage, wait, ctx, LK_LIT("p"));
  CHECK_OK(RUN(.kind = LK_IO_WRITE, .file = f, .from = LK_LIT("peeked")));
  CHECK_OK(storage_run(storage, wait, ctx, &io)); /* beside who has it open */
  CHECK_TEXT(lk_slice_of(bytes, io.done), "peek");
  CHECK_OK(RUN(.kind = LK_IO_SYNC, .file = f)); /* whose file is still his */
  CHECK_OK(RUN(.kind = LK_IO_CLOSE, .file = f));
  io.off = 4;
  CHECK_OK(storage_run(storage, wait, ctx, &io));
  CHECK_TEXT(lk_slice_of(bytes, io.done), "ed");
  CHECK_OK(RUN(.kind = LK_IO_REMOVE, .name = LK_LIT("p")));
}

void storage_check_rules(lk_storage *storage, storage_wait wait, void *ctx) {
  CHECK(storage->poll(storage) == NULL);
  check_bytes(storage, wait, ctx);
  check_names(storage, wait, ctx);
  check_order(storage, wait, ctx);
  check_listing(storage, wait, ctx);
  check_walk(storage, wait, ctx);
  check_peek(storage, wait, ctx);
  CHECK(storage->poll(storage) == NULL);
}

TEST(memory_storage_keeps_the_rules) {
  lk_memory_storage s;
  lk_memory_storage_init(&s, test_alloc(), 1 << 20);
  storage_check_rules(&s.table, NULL, NULL);
  CHECK_U64(s.size_used, 0);
  lk_memory_storage_deinit(&s);
  lk_memory_storage_deinit(&s);
}

/* Goal: a handle is good until it is closed, and then given out again: they do not run out. */
TEST(memory_storage_handles_end_with_their_close) {
  lk_memory_storage s;
  lk_memory_storage_init(&s, test_alloc(), 1 << 20);
  lk_file first = open_file(&s.table, NULL, NULL, LK_LIT("a"));
  lk_io io = { .kind = LK_IO_CLOSE, .file = first };
  CHECK_OK(storage_run(&s.table, NULL, NULL, &io));
  io = (lk_io){ .kind = LK_IO_SYNC, .file = first };
  s.table.submit(&s.table, &io);
  CHECK_PANICS((void)s.table.poll(&s.table));
  CHECK_U64(open_file(&s.table, NULL, NULL, LK_LIT("b")), first);
  lk_memory_storage_deinit(&s);
}

TEST(memory_storage_that_is_full_says_so_and_keeps_its_bytes) {
  lk_memory_storage s;
  uint8_t bytes[64];
  lk_memory_storage_init(&s, test_alloc(), 10);
  lk_storage *storage = &s.table;
  storage_wait wait = NULL;
  void *ctx = NULL;
  lk_file f = open_file(storage, wait, ctx, LK_LIT("a"));
  CHECK_OK(RUN(.kind = LK_IO_WRITE, .file = f, .from = LK_LIT("12345678")));
  CHECK_ERR(RUN(.kind = LK_IO_WRITE, .file = f, .off = 8, .from = LK_LIT("9012")), LK_ERR_NO_SPACE);
  CHECK_TEXT(read_all(storage, wait, ctx, f, 0, bytes), "12345678");
  lk_memory_storage_deinit(&s);
}

TEST(memory_storage_keeps_what_was_reserved_for_the_file_that_it_is_of) {
  lk_memory_storage s;
  uint8_t bytes[64];
  lk_memory_storage_init(&s, test_alloc(), 20);
  lk_storage *storage = &s.table;
  storage_wait wait = NULL;
  void *ctx = NULL;
  lk_file f = open_file(storage, wait, ctx, LK_LIT("a")), g = open_file(storage, wait, ctx, LK_LIT("b"));
  CHECK_OK(RUN(.kind = LK_IO_WRITE, .file = f, .from = LK_LIT("123")));
  CHECK_OK(RUN(.kind = LK_IO_RESERVE, .file = f, .off = 12));
  CHECK_ERR(RUN(.kind = LK_IO_RESERVE, .file = f, .off = 21), LK_ERR_NO_SPACE);
  CHECK_TEXT(read_all(storage, wait, ctx, f, 0, bytes), "123");
  CHECK_ERR(RUN(.kind = LK_IO_WRITE, .file = g, .from = LK_LIT("123456789")), LK_ERR_NO_SPACE);
  CHECK_OK(RUN(.kind = LK_IO_WRITE, .file = g, .from = LK_LIT("12345678")));
  CHECK_OK(RUN(.kind = LK_IO_WRITE, .file = f, .off = 3, .from = LK_LIT("456789012")));
  CHECK_OK(RUN(.kind = LK_IO_TRUNCATE, .file = f, .off = 12));
  CHECK_OK(RUN(.kind = LK_IO_TRUNCATE, .file = f, .off = 2)); /* gives back what is behind */
  CHECK_U64(s.size_used, 10);
  CHECK_OK(RUN(.kind = LK_IO_RESERVE, .file = f, .off = 12));
  CHECK_OK(RUN(.kind = LK_IO_CLOSE, .file = f));
  CHECK_OK(RUN(.kind = LK_IO_REMOVE, .name = LK_LIT("a")));
  CHECK_U64(s.size_used, 8);
  lk_memory_storage_deinit(&s);
}

TEST(memory_storage_holds_operations_until_they_are_released) {
  lk_memory_storage s;
  lk_memory_storage_init(&s, test_alloc(), 100);
  s.hold = true;
  lk_io io = { .kind = LK_IO_OPEN, .name = LK_LIT("a"), .create = true };
  s.table.submit(&s.table, &io);
  CHECK(s.table.poll(&s.table) == NULL);
  lk_memory_storage_release(&s, 1);
  CHECK(s.table.poll(&s.table) == &io);
  lk_memory_storage_deinit(&s);
}

TEST(memory_storage_survives_every_failed_allocation) {
  FAULT_LOOP(faults, test_alloc()) {
    lk_memory_storage s;
    lk_memory_storage_init(&s, faulty_alloc(&faults), 1 << 20);
    lk_storage *storage = &s.table;
    storage_wait wait = NULL;
    void *ctx = NULL;
    for (char c = 'a'; c < 'm'; c++) {
      lk_io io = { .kind = LK_IO_OPEN, .name = lk_slice_of(&c, 1), .create = true };
      if (storage_run(storage, wait, ctx, &io) != LK_OK) continue;
      lk_err err = RUN(.kind = LK_IO_WRITE, .file = io.file, .from = LK_LIT("some bytes"));
      CHECK(err == LK_OK || err == LK_ERR_NO_SPACE);
    }
    lk_memory_storage_deinit(&s);
  }
}

TEST(manual_clock_advances_both_clocks) {
  lk_manual_clock clock = { .wall_ms = 1000 };
  lk_manual_clock_advance(&clock, 5);
  CHECK_U64(clock.monotonic_ms, 5);
  CHECK_U64(clock.wall_ms, 1005);
  CHECK_PANICS(lk_manual_clock_advance(&clock, UINT64_MAX));
}
