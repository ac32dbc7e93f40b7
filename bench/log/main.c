/* bench/log/main.c -- what it costs to have something written for good.
 *
 * The limit is the medium: a loop that writes as many records at once as the journal gathers, and calls
 * fdatasync. Both append to files of their own in one folder of the build, in turns,
 * since what a disk does from one second to the next differs more than they do; the best turn
 * counts. An appender has one record under way: it appends the next when the last is durable. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "log/journal.h"
#include "platform/memory/storage.h"
#include "platform/posix/heap.h"
#include "platform/posix/storage.h"

#define RECORD_LEN 100u
#define TURNS 4
#define TURN_NS 400000000u
#define OPEN_RECORDS 400000u
#define GATHER 100u

static char folder[] = "build/bench-log-XXXXXX"; /* tools/bench.mjs runs us in the tree */

static void must(bool ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "bench_log: %s went wrong: %s\n", what, strerror(errno));
  exit(1);
}

/* ---- the limit ---- */

static double bare_turn(uint32_t at_once) {
  static uint8_t bytes[RECORD_LEN * GATHER];
  char path[64];
  uint64_t count = 0, begin = bench_now_ns(), off = 0;
  snprintf(path, sizeof path, "%s/bare", folder);
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  must(fd >= 0, "opening a file");
  while (bench_now_ns() - begin < TURN_NS) {
    ssize_t n = pwrite(fd, bytes, (size_t)RECORD_LEN * at_once, (off_t)off);
    must(n == (ssize_t)(RECORD_LEN * at_once), "writing");
    must(fdatasync(fd) == 0, "fdatasync");
    off += (uint64_t)n;
    count += at_once;
  }
  double rate = (double)count * 1e9 / (double)(bench_now_ns() - begin);
  must(close(fd) == 0, "closing");
  return rate;
}

/* ---- the journal ---- */

typedef struct world {
  lk_posix_storage *posix; /* NULL: memory */
  lk_storage *storage;
  lk_limits limits;
  lk_journal j;
  uint64_t durable;
  uint64_t records; /* handed out while opening */
  bool opened;
  bool closed;
} world;

static void drain(world *w) {
  lk_journal_event e;
  while (lk_journal_poll(&w->j, &e)) {
    must(e.what != LK_JOURNAL_FAILED, "the journal");
    if (e.what == LK_JOURNAL_RECORD) w->records++;
    if (e.what == LK_JOURNAL_OPENED) w->opened = true;
    if (e.what == LK_JOURNAL_OPENED || e.what == LK_JOURNAL_DURABLE) w->durable = e.index;
    if (e.what == LK_JOURNAL_CLOSED) w->closed = true;
  }
}

static void step(world *w) {
  lk_io *io;
  while ((io = w->storage->poll(w->storage)) == NULL) {
    struct pollfd wait = { lk_posix_storage_fd(w->posix), POLLIN, 0 };
    (void)poll(&wait, 1, -1);
  }
  lk_journal_advance(&w->j);
  drain(w);
}

static void open_journal(world *w, const char *name) {
  lk_journal_options options = { .alloc = lk_posix_heap(),
                                 .limits = &w->limits,
                                 .storage = w->storage,
                                 .name = lk_slice_cstr(name) };
  w->opened = w->closed = false;
  w->records = 0;
  lk_journal_init(&w->j, &options);
  lk_journal_open(&w->j);
  drain(w);
  while (!w->opened) step(w);
}

static void close_journal(world *w) {
  lk_journal_close(&w->j);
  drain(w);
  while (!w->closed) step(w);
  lk_journal_deinit(&w->j);
}

static void append(world *w, uint32_t count) {
  static uint8_t bytes[RECORD_LEN];
  lk_slice parts[] = { lk_slice_of(bytes, sizeof bytes) };
  uint64_t index;
  for (uint32_t i = 0; i < count; i++)
    must(lk_journal_append(&w->j, 1, parts, 1, &index) == LK_OK, "appending");
}

static double journal_turn(world *w, uint32_t appenders) {
  uint64_t first = w->durable, begin = bench_now_ns();
  append(w, appenders);
  lk_journal_flush(&w->j);
  while (bench_now_ns() - begin < TURN_NS) {
    uint64_t before = w->durable;
    step(w);
    append(w, (uint32_t)(w->durable - before));
    lk_journal_flush(&w->j);
  }
  while (lk_journal_is_busy(&w->j)) step(w);
  return (double)(w->durable - first) * 1e9 / (double)(bench_now_ns() - begin);
}

static void bench_group_commit(world *w) {
  static const uint32_t appenders[] = { 1, 10, GATHER };
  for (size_t i = 0; i < sizeof appenders / sizeof appenders[0]; i++) {
    double ours = 0, bare = 0;
    char name[64];
    for (int turn = 0; turn < TURNS; turn++) {
      double one = journal_turn(w, appenders[i]), other = bare_turn(appenders[i]);
      ours = one > ours ? one : ours;
      bare = other > bare ? other : bare;
    }
    snprintf(name, sizeof name, "durable appends of 100 bytes, %u at a time", appenders[i]);
    bench_row("log", name, "appends/s", ours, BENCH_HIGHER, 0.8);
    bench_peer_row("log", name, "appends/s", "bare pwrite and fdatasync", bare);
  }
}

/* ---- opening ---- */

static uint64_t read_all(const char *prefix) {
  static uint8_t bytes[1u << 18];
  uint64_t total = 0;
  DIR *dir = opendir(folder);
  must(dir != NULL, "opening the folder");
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0) continue;
    int fd = openat(dirfd(dir), entry->d_name, O_RDONLY);
    must(fd >= 0, "opening a segment");
    for (ssize_t n; (n = read(fd, bytes, sizeof bytes)) > 0;) total += (uint64_t)n;
    close(fd);
  }
  closedir(dir);
  return total;
}

static void bench_open(world *w) {
  open_journal(w, "open");
  for (uint32_t i = 0; i < OPEN_RECORDS; i += GATHER) {
    append(w, GATHER);
    lk_journal_flush(&w->j);
    while (w->j.gathering.len > 2000000) step(w);
  }
  close_journal(w);
  double ours = 0, bare = 0;
  for (int turn = 0; turn < TURNS; turn++) {
    uint64_t begin = bench_now_ns(), total = read_all("open-0");
    double rate = (double)total * 1e3 / (double)(bench_now_ns() - begin);
    bare = rate > bare ? rate : bare;
    begin = bench_now_ns();
    open_journal(w, "open");
    rate = (double)total * 1e3 / (double)(bench_now_ns() - begin);
    ours = rate > ours ? rate : ours;
    must(w->records == OPEN_RECORDS, "reading records");
    close_journal(w);
  }
  bench_row("log", "opening a journal of 400,000 records", "MB/s", ours, BENCH_HIGHER, 0.1);
  bench_peer_row("log", "opening a journal of 400,000 records", "MB/s", "reading the files", bare);
}

/* ---- without a medium ---- */

static void append_batch(void *ctx) {
  world *w = ctx;
  append(w, GATHER);
  lk_journal_flush(&w->j);
  while (lk_journal_is_busy(&w->j)) step(w);
  if (w->durable % 10000 == 0) lk_journal_retire(&w->j, w->durable);
}

static void bench_computing(void) {
  static world w;
  lk_memory_storage memory;
  lk_memory_storage_init(&memory, lk_posix_heap(), 1u << 28);
  w = (world){ .storage = &memory.table, .limits = lk_limits_default() };
  open_journal(&w, "memory");
  double ns = bench_ns(append_batch, &w) / GATHER;
  bench_row("log", "append of 100 bytes without a medium, 100 at a time", "ns", ns, BENCH_LOWER, 1);
  close_journal(&w);
  lk_memory_storage_deinit(&memory);
}

static void remove_folder(void) {
  DIR *dir = opendir(folder);
  must(dir != NULL, "opening the folder");
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    if (entry->d_name[0] != '.') (void)unlinkat(dirfd(dir), entry->d_name, 0);
  }
  closedir(dir);
  must(rmdir(folder) == 0, "removing the folder");
}

int main(void) {
  static world w;
  must(mkdtemp(folder) != NULL, "making a folder");
  w.limits = lk_limits_default();
  must(lk_posix_storage_open(lk_posix_heap(), folder, NULL, &w.posix) == LK_OK, "the storage");
  w.storage = lk_posix_storage_table(w.posix);
  open_journal(&w, "bench");
  bench_group_commit(&w);
  close_journal(&w);
  bench_open(&w);
  lk_posix_storage_close(w.posix);
  bench_computing();
  remove_folder();
  return 0;
}
