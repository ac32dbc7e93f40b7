/* Files in shared memory: the rules of all storages, and what is there when their process is killed anywhere. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/faulty.h"
#include "harness/gen.h"
#include "harness/test.h"
#include "platform/posix/heap.h"
#include "platform/posix/shared_storage.h"
#include "unit/platform/storage_rules.h"

static void no_wait(void *ctx) { (void)ctx; }

static lk_storage *open_storage(const lk_shared_memory *memory, lk_shared_storage **out) {
  CHECK_OK(lk_shared_storage_open(lk_posix_heap(), memory, out));
  return lk_shared_storage_table(*out);
}

static lk_err run(lk_storage *s, lk_io *io) { return storage_run(s, no_wait, NULL, io); }

static lk_file open_file(lk_storage *s, lk_slice name) {
  lk_io io = { .kind = LK_IO_OPEN, .name = name, .create = true };
  CHECK_OK(run(s, &io));
  return io.file;
}

static lk_err write_at(lk_storage *s, lk_file file, uint64_t off, lk_slice bytes) {
  return run(s, &(lk_io){ .kind = LK_IO_WRITE, .file = file, .off = off, .from = bytes });
}

static uint64_t size_of(lk_storage *s, lk_file file) {
  lk_io io = { .kind = LK_IO_SIZE, .file = file };
  CHECK_OK(run(s, &io));
  return io.off;
}

static void close_file(lk_storage *s, lk_file file) {
  CHECK_OK(run(s, &(lk_io){ .kind = LK_IO_CLOSE, .file = file }));
}

static void remove_file(lk_storage *s, lk_slice name) {
  CHECK_OK(run(s, &(lk_io){ .kind = LK_IO_REMOVE, .name = name }));
}

static bool memory_has(const lk_shared_memory *memory, lk_slice text) {
  return lk_slice_find(lk_slice_of(memory->at, memory->size), text) != LK_SLICE_NONE;
}

#define MARKER LK_LIT("a marker that nobody else writes")

TEST(shared_storage_keeps_the_rules) {
  lk_shared_memory memory;
  lk_shared_storage *shared;
  CHECK_OK(lk_shared_memory_make(&memory, 4 << 20));
  storage_check_rules(open_storage(&memory, &shared), no_wait, NULL);
  CHECK_U64(lk_shared_storage_used(shared), 0);
  lk_shared_storage_close(shared);
  lk_shared_memory_close(&memory);
  CHECK_ERR(lk_shared_memory_make(&memory, 100), LK_ERR_LIMIT);
  CHECK_ERR(lk_shared_memory_make(&memory, LK_SHARED_MEMORY_MOST + 1), LK_ERR_LIMIT);
}

TEST(shared_storage_gives_back_what_was_written_to_the_next_process) {
  lk_shared_memory memory;
  lk_shared_storage *shared;
  uint8_t read[3000], written[3000];
  for (size_t i = 0; i < sizeof written; i++) written[i] = (uint8_t)(i * 7 + 1);
  CHECK_OK(lk_shared_memory_make(&memory, 4 << 20));
  for (int round = 0; round < 3; round++) {
    lk_storage *s = open_storage(&memory, &shared);
    for (int k = 0; k < 40; k++) {
      char name[20];
      (void)snprintf(name, sizeof name, "file-%d", k);
      lk_file f = open_file(s, lk_slice_cstr(name));
      uint64_t had = size_of(s, f);
      CHECK_U64(had, (uint64_t)round * 1000);
      CHECK_OK(write_at(s, f, had, lk_slice_of(written + had, 1000)));
      lk_io io = { .kind = LK_IO_READ, .file = f, .into = read, .into_len = sizeof read };
      CHECK_OK(run(s, &io));
      CHECK_U64(io.done, had + 1000);
      CHECK(memcmp(read, written, io.done) == 0);
      if (k % 2 == 0) close_file(s, f);
    }
    lk_shared_storage_close(shared);
  }
  lk_shared_memory_close(&memory);
}

static uint64_t count_files(lk_storage *s) {
  uint8_t page[4000];
  uint64_t count = 0;
  lk_io io = { .kind = LK_IO_LIST, .name = LK_SLICE_EMPTY, .into = page, .into_len = sizeof page };
  CHECK_OK(run(s, &io));
  for (size_t i = 0; i < io.done; i++) count += page[i] == '\n';
  return count;
}

/* Goal: a name belongs to the file that has it now, also while those that had it before are open, and while the table of
 * names grows. */
TEST(shared_storage_gives_a_name_to_others_while_the_file_that_had_it_is_open) {
  lk_shared_memory memory;
  lk_shared_storage *shared;
  lk_file files[100];
  CHECK_OK(lk_shared_memory_make(&memory, 4 << 20));
  lk_storage *s = open_storage(&memory, &shared);
  for (uint64_t i = 0; i < 100; i++) {
    char name[20];
    (void)snprintf(name, sizeof name, "other-%d", (int)i);
    close_file(s, open_file(s, lk_slice_cstr(name)));
    files[i] = open_file(s, LK_LIT("name"));
    CHECK_U64(size_of(s, files[i]), 0);
    CHECK_OK(write_at(s, files[i], i, LK_LIT("!")));
    CHECK_U64(count_files(s), i % 2 == 0 ? i / 2 + 2 : i / 2 + 3);
    if (i % 2 == 0) remove_file(s, LK_LIT("name"));
    else
      CHECK_OK(run(s, &(lk_io){ .kind = LK_IO_RENAME,
                                .name = lk_slice_cstr(name),
                                .name_to = LK_LIT("name") }));
    if (i % 2 == 1) remove_file(s, LK_LIT("name"));
    CHECK_U64(count_files(s), i / 2 + 1);
  }
  for (uint64_t i = 0; i < 100; i++) {
    CHECK_U64(size_of(s, files[i]), i + 1);
    close_file(s, files[i]);
  }
  for (int round = 0; round < 2; round++) {
    CHECK_U64(count_files(s), 50);
    CHECK_U64(lk_shared_storage_used(shared), 0);
    lk_shared_storage_close(shared);
    s = open_storage(&memory, &shared);
  }
  lk_shared_storage_close(shared);
  lk_shared_memory_close(&memory);
}

/* Goal: nothing of a file is anywhere when its removal is complete, nor of what was cut off; and the memory is given back. */
TEST(shared_storage_keeps_nothing_of_what_was_removed) {
  lk_shared_memory memory;
  lk_shared_storage *shared;
  CHECK_OK(lk_shared_memory_make(&memory, 4 << 20));
  lk_storage *s = open_storage(&memory, &shared);
  for (int i = 0; i < 100; i++) { /* two files that take turns, so that their blocks share pages */
    lk_file a = open_file(s, LK_LIT("a")), b = open_file(s, LK_LIT("b"));
    CHECK_OK(write_at(s, a, size_of(s, a), MARKER));
    CHECK_OK(write_at(s, b, size_of(s, b), LK_LIT("of the other one, which is as long as that")));
    close_file(s, a);
    close_file(s, b);
  }
  CHECK(memory_has(&memory, MARKER));
  lk_file a = open_file(s, LK_LIT("a"));
  CHECK_OK(run(s, &(lk_io){ .kind = LK_IO_TRUNCATE, .file = a, .off = 5 }));
  CHECK(!memory_has(&memory, MARKER));
  CHECK_OK(write_at(s, a, 0, MARKER));
  remove_file(s, LK_LIT("a"));
  CHECK(memory_has(&memory, MARKER)); /* it is open */
  close_file(s, a);
  CHECK(!memory_has(&memory, MARKER));
  CHECK(memory_has(&memory, LK_LIT("of the other one")));
  remove_file(s, LK_LIT("b"));
  CHECK_U64(lk_shared_storage_used(shared), 0);
  CHECK(!memory_has(&memory, LK_LIT("of the other one")));
  lk_shared_storage_close(shared);
  lk_shared_memory_close(&memory);
}

static lk_err reserve(lk_storage *s, lk_file file, uint64_t size) {
  lk_io io = { .kind = LK_IO_RESERVE, .file = file, .off = size };
  s->submit(s, &io);
  CHECK(s->poll(s) == &io);
  return io.result;
}

/* Goal: what a file has reserved nobody else gets, and nobody reads; it goes when the file is cut or closed, and when the
 * process dies. */
TEST(shared_storage_keeps_what_was_reserved_and_gives_it_back) {
  lk_shared_memory memory;
  lk_shared_storage *shared;
  static uint8_t bytes[100000];
  CHECK_OK(lk_shared_memory_make(&memory, LK_SHARED_MEMORY_LEAST));
  lk_storage *s = open_storage(&memory, &shared);
  lk_file a = open_file(s, LK_LIT("a")), b = open_file(s, LK_LIT("b"));
  CHECK_OK(write_at(s, a, 0, LK_LIT("some")));
  CHECK_OK(reserve(s, a, sizeof bytes));
  CHECK_ERR(reserve(s, a, LK_SHARED_MEMORY_LEAST), LK_ERR_NO_SPACE);
  CHECK_U64(size_of(s, a), 4);
  uint64_t size = 0;
  while (write_at(s, b, size, lk_slice_of(bytes, 512)) == LK_OK) size += 512;
  CHECK_OK(write_at(s, a, 4, lk_slice_of(bytes, sizeof bytes - 4)));
  CHECK_ERR(write_at(s, b, size, lk_slice_of(bytes, 512)), LK_ERR_NO_SPACE);
  lk_io cut = { .kind = LK_IO_TRUNCATE, .file = a, .off = 4 };
  s->submit(s, &cut);
  CHECK(s->poll(s) == &cut && cut.result == LK_OK);
  CHECK_OK(reserve(s, a, sizeof bytes));
  uint64_t used = lk_shared_storage_used(shared);
  close_file(s, a);
  CHECK(lk_shared_storage_used(shared) < used - 90000);
  a = open_file(s, LK_LIT("a")); /* as long as it says, and no longer */
  CHECK_U64(size_of(s, a), 4);
  CHECK_OK(reserve(s, a, sizeof bytes));
  lk_shared_storage_close(shared); /* as a process that died */
  s = open_storage(&memory, &shared);
  CHECK(lk_shared_storage_used(shared) < used - 90000);
  a = open_file(s, LK_LIT("a"));
  CHECK_OK(write_at(s, a, 4, lk_slice_of(bytes, sizeof bytes)));
  CHECK_U64(size_of(s, a), 4 + sizeof bytes);
  lk_shared_storage_close(shared);
  lk_shared_memory_close(&memory);
}

TEST(shared_storage_that_is_full_says_so_and_has_room_again) {
  lk_shared_memory memory;
  lk_shared_storage *shared;
  static uint8_t bytes[100000];
  CHECK_OK(lk_shared_memory_make(&memory, LK_SHARED_MEMORY_LEAST));
  lk_storage *s = open_storage(&memory, &shared);
  for (int round = 0; round < 3; round++) {
    lk_file f = open_file(s, LK_LIT("large"));
    uint64_t size = 0;
    lk_err err;
    while ((err = write_at(s, f, size, lk_slice_of(bytes, sizeof bytes))) == LK_OK)
      size += sizeof bytes;
    CHECK_ERR(err, LK_ERR_NO_SPACE);
    CHECK(size >= 800000);
    CHECK_U64(size_of(s, f), size);
    close_file(s, f);
    remove_file(s, LK_LIT("large"));
  }
  lk_shared_storage_close(shared);
  lk_shared_memory_close(&memory);
}

TEST(shared_storage_survives_every_failed_allocation) {
  lk_shared_memory memory;
  CHECK_OK(lk_shared_memory_make(&memory, 2 << 20));
  FAULT_LOOP(faults, test_alloc()) {
    lk_shared_storage *shared;
    lk_err err = lk_shared_storage_open(faulty_alloc(&faults), &memory, &shared);
    if (err == LK_OK) {
      lk_storage *s = lk_shared_storage_table(shared);
      lk_io io = { .kind = LK_IO_OPEN, .name = LK_LIT("f"), .create = true };
      err = run(s, &io);
      if (err == LK_OK) err = write_at(s, io.file, 3000, LK_LIT("text"));
      lk_io moved = { .kind = LK_IO_RENAME, .name = LK_LIT("f"), .name_to = LK_LIT("g") };
      if (err == LK_OK) err = run(s, &moved);
      lk_shared_storage_close(shared);
    }
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
  }
  lk_shared_memory_close(&memory);
}

/* Goal: a process that dies between the size of a file and the rest of a cut leaves nothing of that rest. Method: the size is
 * written past the storage: it is the first word of the first row, behind the page with the head. */
TEST(shared_storage_finishes_a_cut_that_was_only_begun) {
  lk_shared_memory memory;
  lk_shared_storage *shared;
  uint8_t read[600];
  uint64_t size = 5;
  CHECK_OK(lk_shared_memory_make(&memory, 4 << 20));
  lk_storage *s = open_storage(&memory, &shared);
  lk_file a = open_file(s, LK_LIT("a"));
  for (uint64_t off = 100; off < 3000; off += 600) CHECK_OK(write_at(s, a, off, MARKER));
  lk_shared_storage_close(shared);
  memcpy(memory.at + sysconf(_SC_PAGESIZE), &size, sizeof size);
  for (int i = 0; i < 2; i++) {
    s = open_storage(&memory, &shared);
    CHECK_U64(lk_shared_storage_used(shared), 128);
    CHECK(!memory_has(&memory, MARKER));
    if (i == 0) lk_shared_storage_close(shared);
  }
  a = open_file(s, LK_LIT("a"));
  CHECK_U64(size_of(s, a), 5);
  CHECK_OK(write_at(s, a, 2000, LK_LIT("!")));
  CHECK_U64(lk_shared_storage_used(shared), 2048);
  lk_io io = { .kind = LK_IO_READ, .file = a, .off = 1401, .into = read, .into_len = 599 };
  CHECK_OK(run(s, &io));
  for (size_t i = 0; i < io.done; i++) CHECK(read[i] == 0);
  lk_file b = open_file(s, LK_LIT("b")); /* blocks that were cut off are free, and nobody else's */
  for (uint64_t off = 0; off < 3000; off += 500) CHECK_OK(write_at(s, b, off, MARKER));
  CHECK_OK(run(s, &io));
  for (size_t i = 0; i < io.done; i++) CHECK(read[i] == 0);
  lk_shared_storage_close(shared);
  lk_shared_memory_close(&memory);
}

/* ---- against a model ---- */

enum { MODEL_FILES = 5, MODEL_MAX = 30000 };

typedef struct model {
  uint8_t bytes[MODEL_FILES][MODEL_MAX];
  size_t sizes[MODEL_FILES];
  lk_file files[MODEL_FILES]; /* all are open */
} model;

static void open_all(lk_storage *s, model *m) {
  static const char names[MODEL_FILES][2] = { "a", "b", "c", "d", "e" };
  for (int i = 0; i < MODEL_FILES; i++) m->files[i] = open_file(s, lk_slice_cstr(names[i]));
}

static void check_model(lk_storage *s, const lk_shared_storage *shared, const model *m) {
  static uint8_t read[MODEL_MAX];
  uint64_t used = 0;
  for (int i = 0; i < MODEL_FILES; i++) {
    lk_io io = { .kind = LK_IO_READ, .file = m->files[i], .into = read, .into_len = sizeof read };
    CHECK_OK(run(s, &io));
    CHECK_U64(io.done, m->sizes[i]);
    CHECK(memcmp(read, m->bytes[i], m->sizes[i]) == 0);
    used += (m->sizes[i] + 127) / 128 * 128;
  }
  CHECK_U64(lk_shared_storage_used(shared), used);
}

static void change_file(lk_gen *g, lk_storage *s, model *m, int i) {
  size_t *size = &m->sizes[i], old = *size;
  if (gen_chance(g, 2, 3)) {
    size_t off = gen_bool(g) ? old : gen_below(g, (uint32_t)old + 300);
    size_t len = gen_below(g, gen_bool(g) ? 300 : 15000);
    if (off + len > MODEL_MAX) return;
    memset(m->bytes[i] + off, (int)gen_range(g, 1, 255), len);
    CHECK_OK(write_at(s, m->files[i], off, lk_slice_of(m->bytes[i] + off, len)));
    if (len > 0 && off + len > old) *size = off + len;
  } else {
    *size = gen_below(g, gen_bool(g) ? (uint32_t)old + 1 : MODEL_MAX);
    CHECK_OK(run(s, &(lk_io){ .kind = LK_IO_TRUNCATE, .file = m->files[i], .off = *size }));
    memset(m->bytes[i] + *size, 0, MODEL_MAX - *size);
  }
}

/* Goal: whichever blocks a file gets, between those of others and in holes that others left, it reads as it was written, takes
 * as many blocks as it needs, and what is between its end and a later write is zero. */
PROPERTY(shared_storage_equals_a_model) {
  static model m;
  lk_shared_memory memory;
  lk_shared_storage *shared;
  memset(&m, 0, sizeof m);
  CHECK_OK(lk_shared_memory_make(&memory, LK_SHARED_MEMORY_LEAST));
  lk_storage *s = open_storage(&memory, &shared);
  open_all(s, &m);
  for (uint32_t i = gen_below(g, 60); i > 0; i--) {
    change_file(g, s, &m, (int)gen_below(g, MODEL_FILES));
    if (gen_chance(g, 1, 12)) {
      lk_shared_storage_close(shared);
      s = open_storage(&memory, &shared);
      open_all(s, &m);
    }
    if (gen_chance(g, 1, 6)) check_model(s, shared, &m);
  }
  check_model(s, shared, &m);
  lk_shared_storage_close(shared);
  lk_shared_memory_close(&memory);
}

/* Goal: memory in which somebody has written is refused and not walked into. */
FUZZ(lk_shared_storage_open) {
  lk_shared_memory memory;
  lk_shared_storage *shared;
  CHECK_OK(lk_shared_memory_make(&memory, LK_SHARED_MEMORY_LEAST));
  lk_storage *s = open_storage(&memory, &shared);
  lk_file a = open_file(s, LK_LIT("a")), b = open_file(s, LK_LIT("b"));
  CHECK_OK(write_at(s, a, 0, MARKER));
  CHECK_OK(write_at(s, b, 2000, MARKER));
  lk_shared_storage_close(shared);
  for (int i = 0; i < 3; i++) {
    size_t at = gen_bool(g) ? gen_below(g, 64) : 4096 + gen_below(g, 300);
    if (at >= 24 && at < 32)
      continue; /* how it is divided is written once, and checked against nothing */
    memory.at[at] = (uint8_t)gen_u64(g);
  }
  if (lk_shared_storage_open(lk_posix_heap(), &memory, &shared) == LK_OK) {
    s = lk_shared_storage_table(shared);
    lk_io io = { .kind = LK_IO_OPEN, .name = LK_LIT("c"), .create = true };
    if (run(s, &io) == LK_OK) CHECK_OK(write_at(s, io.file, 0, MARKER));
    lk_shared_storage_close(shared);
  }
  lk_shared_memory_close(&memory);
}

/* ---- killed ---- */

/* What the child says it has done, in memory that both see. */
typedef struct progress {
  volatile uint64_t appended; /* records in "log" */
  volatile uint64_t began;    /* of the next one; it may be there */
  volatile uint64_t rounds;   /* of making, renaming and removing others */
} progress;

static void record_of(uint64_t n, uint8_t out[40]) {
  for (size_t i = 0; i < 40; i++) out[i] = (uint8_t)(n >> 8 * (i % 8));
}

static _Noreturn void work(const lk_shared_memory *memory, progress *p) {
  lk_shared_storage *shared;
  lk_storage *s = open_storage(memory, &shared);
  lk_file log = open_file(s, LK_LIT("log"));
  static uint8_t noise[5000];
  memset(noise, 'n', sizeof noise);
  for (;; p->rounds++) {
    uint8_t record[40];
    uint64_t n = size_of(s, log) / 40;
    record_of(n, record);
    p->began = n + 1;
    CHECK_OK(write_at(s, log, n * 40, lk_slice_of(record, 40)));
    p->appended = n + 1;
    if (n == 20000) {
      p->appended = p->began = 0;
      CHECK_OK(run(s, &(lk_io){ .kind = LK_IO_TRUNCATE, .file = log, .off = 0 }));
    }
    lk_file f = open_file(s, LK_LIT("new"));
    CHECK_OK(write_at(s, f, 0, lk_slice_of(noise, n * 37 % 5000)));
    CHECK_OK(run(s, &(lk_io){ .kind = LK_IO_TRUNCATE, .file = f, .off = n * 17 % 3000 }));
    close_file(s, f);
    CHECK_OK(
        run(s, &(lk_io){ .kind = LK_IO_RENAME, .name = LK_LIT("new"), .name_to = LK_LIT("old") }));
    if (n % 3 == 0) remove_file(s, LK_LIT("old"));
  }
}

/* Goal: whatever a process did when it was killed, the next one finds what was completed, whole, and nothing leaks. Method: a
 * child writes, cuts, renames and removes, and is killed after a while that differs each time. */
TEST(shared_storage_holds_what_was_completed_when_its_process_is_killed_at_any_time) {
  lk_shared_memory memory;
  lk_shared_storage *shared;
  progress *p = mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(p != MAP_FAILED);
  CHECK_OK(lk_shared_memory_make(&memory, 8 << 20));
  for (uint32_t kill_number = 0; kill_number < 150; kill_number++) {
    uint64_t rounds = p->rounds;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) work(&memory, p);
    while (p->rounds == rounds) continue; /* it has begun */
    (void)usleep(kill_number * 37 % 1500);
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
    lk_storage *s = open_storage(&memory, &shared);
    lk_file log = open_file(s, LK_LIT("log"));
    uint64_t size = size_of(s, log);
    CHECK_U64(size % 40, 0);
    CHECK(size / 40 >= p->appended && (size / 40 <= p->began || p->began == 0));
    for (uint64_t n = 0; n < size / 40; n++) {
      uint8_t want[40], got[40];
      record_of(n, want);
      lk_io io = { .kind = LK_IO_READ, .file = log, .off = n * 40, .into = got, .into_len = 40 };
      CHECK_OK(run(s, &io));
      CHECK(memcmp(want, got, 40) == 0);
    }
    close_file(s, log);
    (void)run(s, &(lk_io){ .kind = LK_IO_REMOVE, .name = LK_LIT("new") });
    (void)run(s, &(lk_io){ .kind = LK_IO_REMOVE, .name = LK_LIT("old") });
    CHECK_U64(lk_shared_storage_used(shared), (size + 127) / 128 * 128);
    CHECK(!memory_has(&memory, LK_LIT("nnnnnnnn")));
    lk_shared_storage_close(shared);
  }
  CHECK(munmap(p, sizeof *p) == 0);
  lk_shared_memory_close(&memory);
}
