/* The storage of real files: the common rules, and what only a real disk can do to it. Disks that
 * fail are played by an lk_posix_calls whose functions do so on demand. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/test.h"
#include "platform/posix/clock.h"
#include "platform/posix/heap.h"
#include "platform/posix/random.h"
#include "platform/posix/storage.h"
#include "unit/platform/storage_rules.h"

/* ---- a private directory for each test ---- */

typedef struct fixture {
  char directory[64];
  lk_posix_storage *posix;
  lk_storage *storage;
} fixture;

static fixture begin(const lk_posix_calls *calls) {
  fixture f = { .directory = "/tmp/laniakea-test-XXXXXX" };
  CHECK(mkdtemp(f.directory) != NULL);
  CHECK_OK(lk_posix_storage_open(lk_posix_heap(), f.directory, calls, &f.posix));
  f.storage = lk_posix_storage_table(f.posix);
  return f;
}

static size_t remove_files(const char *directory) {
  char path[512];
  size_t count = 0;
  DIR *d = opendir(directory);
  CHECK(d != NULL);
  for (struct dirent *e; (e = readdir(d)) != NULL;) {
    if (e->d_name[0] == '.') continue;
    (void)snprintf(path, sizeof path, "%s/%s", directory, e->d_name);
    if (unlink(path) != 0) (void)rmdir(path);
    count++;
  }
  (void)closedir(d);
  return count;
}

/* Returns how many entries were left. */
static size_t end(fixture *f) {
  lk_posix_storage_close(f->posix);
  size_t left = remove_files(f->directory);
  CHECK(rmdir(f->directory) == 0);
  return left;
}

/* Waits until poll would give something: what an event loop does. */
static void wait_ready(void *ctx) {
  struct pollfd p = { .fd = lk_posix_storage_fd(ctx), .events = POLLIN };
  CHECK(poll(&p, 1, 5000) == 1);
}

static bool is_ready(const fixture *f) {
  struct pollfd p = { .fd = lk_posix_storage_fd(f->posix), .events = POLLIN };
  return poll(&p, 1, 0) == 1;
}

#define RUN(f, ...) storage_run((f).storage, wait_ready, (f).posix, &(lk_io){ __VA_ARGS__ })

static lk_file open_file(const fixture *f, lk_slice name) {
  lk_io io = { .kind = LK_IO_OPEN, .name = name, .create = true };
  CHECK_OK(storage_run(f->storage, wait_ready, f->posix, &io));
  return io.file;
}

static lk_slice read_file(const fixture *f, lk_file file, uint8_t bytes[64]) {
  lk_io io = { .kind = LK_IO_READ, .file = file, .into = bytes, .into_len = 64 };
  CHECK_OK(storage_run(f->storage, wait_ready, f->posix, &io));
  return lk_slice_of(bytes, io.done);
}

/* ---- a disk that misbehaves ---- */

static struct {
  atomic_int sync_errno;      /* fdatasync fails with it */
  atomic_int directory_errno; /* fsync fails with it */
  atomic_int syncs;
  atomic_int directory_syncs;
  atomic_int piece;      /* bytes that one pread or pwrite moves; 0: all */
  atomic_int interrupts; /* so many calls are interrupted first */
  atomic_int space;      /* bytes that fit; -1: all */
  atomic_int held;       /* fdatasync waits while this is set */
} disk;

static void disk_reset(void) {
  memset(&disk, 0, sizeof disk);
  disk.space = -1;
}

static bool interrupted(void) {
  if (disk.interrupts == 0) return false;
  disk.interrupts--;
  errno = EINTR;
  return true;
}

static size_t limited(size_t len) {
  return disk.piece > 0 && len > (size_t)disk.piece ? (size_t)disk.piece : len;
}

static ssize_t disk_pread(int fd, void *into, size_t len, off_t off) {
  return interrupted() ? -1 : pread(fd, into, limited(len), off);
}

static ssize_t disk_pwrite(int fd, const void *from, size_t len, off_t off) {
  if (interrupted()) return -1;
  len = limited(len);
  if (disk.space >= 0) {
    if (disk.space == 0) {
      errno = ENOSPC;
      return -1;
    }
    if (len > (size_t)disk.space) len = (size_t)disk.space;
    disk.space -= (int)len;
  }
  return pwrite(fd, from, len, off);
}

static int disk_fdatasync(int fd) {
  (void)fd;
  while (disk.held) (void)usleep(200);
  disk.syncs++;
  if (disk.sync_errno == 0) return 0;
  errno = disk.sync_errno;
  return -1;
}

static int disk_fsync(int fd) {
  (void)fd;
  disk.directory_syncs++;
  if (disk.directory_errno == 0) return 0;
  errno = disk.directory_errno;
  return -1;
}

static const lk_posix_calls bad_disk = { disk_pread, disk_pwrite, disk_fdatasync, disk_fsync };

/* ---- tests ---- */

TEST(posix_storage_keeps_the_rules) {
  fixture f = begin(NULL);
  storage_check_rules(f.storage, wait_ready, f.posix);
  CHECK(!is_ready(&f));
  CHECK_U64(end(&f), 0);
}

TEST(posix_storage_keeps_the_rules_on_a_disk_that_moves_one_byte_at_a_time) {
  disk_reset();
  disk.piece = 1;
  fixture f = begin(&bad_disk);
  storage_check_rules(f.storage, wait_ready, f.posix);
  CHECK_U64(end(&f), 0);
}

TEST(posix_storage_goes_on_after_interrupted_calls) {
  uint8_t bytes[64];
  disk_reset();
  fixture f = begin(&bad_disk);
  lk_file file = open_file(&f, LK_LIT("a"));
  disk.interrupts = 3;
  CHECK_OK(RUN(f, .kind = LK_IO_WRITE, .file = file, .from = LK_LIT("written")));
  disk.interrupts = 3;
  CHECK_TEXT(read_file(&f, file, bytes), "written");
  CHECK(disk.interrupts == 0);
  (void)end(&f);
}

TEST(posix_storage_descriptor_is_readable_exactly_while_a_completion_waits) {
  fixture f = begin(NULL);
  lk_io two[2] = { { .kind = LK_IO_OPEN, .name = LK_LIT("a"), .create = true },
                   { .kind = LK_IO_OPEN, .name = LK_LIT("b"), .create = true } };
  CHECK(!is_ready(&f));
  f.storage->submit(f.storage, &two[0]);
  f.storage->submit(f.storage, &two[1]);
  wait_ready(f.posix);
  CHECK(f.storage->poll(f.storage) == &two[0]);
  wait_ready(f.posix);
  CHECK(f.storage->poll(f.storage) == &two[1]);
  CHECK(!is_ready(&f));
  CHECK(f.storage->poll(f.storage) == NULL);
  (void)end(&f);
}

/* Goal: fsyncgate. After one failed sync nothing on that handle may succeed, and fdatasync may not
 * even be asked again, since it would lie. A handle opened afterwards works. */
TEST(posix_storage_never_syncs_again_after_a_sync_that_failed) {
  uint8_t byte;
  disk_reset();
  fixture f = begin(&bad_disk);
  lk_file file = open_file(&f, LK_LIT("a")), other = open_file(&f, LK_LIT("b"));
  disk.sync_errno = EIO;
  CHECK_ERR(RUN(f, .kind = LK_IO_SYNC, .file = file), LK_ERR_SYNC);
  disk.sync_errno = 0;
  int syncs = disk.syncs;
  CHECK_ERR(RUN(f, .kind = LK_IO_SYNC, .file = file), LK_ERR_SYNC);
  CHECK_ERR(RUN(f, .kind = LK_IO_WRITE, .file = file, .from = LK_LIT("x")), LK_ERR_SYNC);
  CHECK_ERR(RUN(f, .kind = LK_IO_READ, .file = file, .into = &byte, .into_len = 1), LK_ERR_SYNC);
  CHECK_ERR(RUN(f, .kind = LK_IO_TRUNCATE, .file = file), LK_ERR_SYNC);
  CHECK_ERR(RUN(f, .kind = LK_IO_SIZE, .file = file), LK_ERR_SYNC);
  CHECK(disk.syncs == syncs);
  CHECK_OK(RUN(f, .kind = LK_IO_SYNC, .file = other));
  CHECK_ERR(RUN(f, .kind = LK_IO_CLOSE, .file = file), LK_ERR_SYNC);
  file = open_file(&f, LK_LIT("a"));
  CHECK_OK(RUN(f, .kind = LK_IO_SYNC, .file = file));
  (void)end(&f);
}

TEST(posix_storage_does_not_retry_a_sync_that_was_interrupted) {
  disk_reset();
  fixture f = begin(&bad_disk);
  lk_file file = open_file(&f, LK_LIT("a"));
  disk.sync_errno = EINTR;
  int syncs = disk.syncs;
  CHECK_ERR(RUN(f, .kind = LK_IO_SYNC, .file = file), LK_ERR_SYNC);
  CHECK(disk.syncs == syncs + 1);
  (void)end(&f);
}

TEST(posix_storage_refuses_to_open_bytes_that_it_cannot_make_durable) {
  disk_reset();
  fixture f = begin(&bad_disk);
  lk_file file = open_file(&f, LK_LIT("a"));
  CHECK_OK(RUN(f, .kind = LK_IO_CLOSE, .file = file));
  disk.sync_errno = EIO;
  CHECK_ERR(RUN(f, .kind = LK_IO_OPEN, .name = LK_LIT("a")), LK_ERR_SYNC);
  disk.sync_errno = 0;
  CHECK_OK(RUN(f, .kind = LK_IO_OPEN, .name = LK_LIT("a")));
  (void)end(&f);
}

/* Method: count the syncs of the directory, one for each change of a name and one at the start. */
TEST(posix_storage_syncs_the_directory_after_each_change_of_a_name) {
  disk_reset();
  fixture f = begin(&bad_disk);
  CHECK(disk.directory_syncs == 1);
  lk_file file = open_file(&f, LK_LIT("a"));
  CHECK(disk.directory_syncs == 2);
  CHECK_OK(RUN(f, .kind = LK_IO_CLOSE, .file = file));
  (void)open_file(&f, LK_LIT("a"));
  CHECK(disk.directory_syncs == 2);
  CHECK_OK(RUN(f, .kind = LK_IO_RENAME, .name = LK_LIT("a"), .name_to = LK_LIT("b")));
  CHECK(disk.directory_syncs == 3);
  CHECK_OK(RUN(f, .kind = LK_IO_REMOVE, .name = LK_LIT("b")));
  CHECK(disk.directory_syncs == 4);
  (void)end(&f);
}

TEST(posix_storage_trusts_no_name_after_a_directory_sync_that_failed) {
  disk_reset();
  fixture f = begin(&bad_disk);
  disk.directory_errno = EIO;
  CHECK_ERR(RUN(f, .kind = LK_IO_OPEN, .name = LK_LIT("a"), .create = true), LK_ERR_SYNC);
  disk.directory_errno = 0;
  CHECK_ERR(RUN(f, .kind = LK_IO_OPEN, .name = LK_LIT("a")), LK_ERR_SYNC);
  CHECK_ERR(RUN(f, .kind = LK_IO_REMOVE, .name = LK_LIT("a")), LK_ERR_SYNC);
  CHECK_ERR(RUN(f, .kind = LK_IO_RENAME, .name = LK_LIT("a"), .name_to = LK_LIT("b")), LK_ERR_SYNC);
  (void)end(&f);
}

TEST(posix_storage_says_so_when_the_disk_is_full_and_goes_on_when_it_is_not) {
  uint8_t bytes[64];
  disk_reset();
  fixture f = begin(&bad_disk);
  lk_file file = open_file(&f, LK_LIT("a"));
  disk.space = 3;
  CHECK_ERR(RUN(f, .kind = LK_IO_WRITE, .file = file, .from = LK_LIT("12345")), LK_ERR_NO_SPACE);
  disk.space = -1;
  CHECK_OK(RUN(f, .kind = LK_IO_WRITE, .file = file, .from = LK_LIT("12345")));
  CHECK_TEXT(read_file(&f, file, bytes), "12345");
  (void)end(&f);
}

/* The file is as long as before, and what is behind its end goes with a cut. Some file systems cannot, and say so. */
TEST(posix_storage_reserves_space_behind_the_end) {
  uint8_t bytes[64];
  struct stat about;
  char path[128];
  fixture f = begin(NULL);
  lk_file file = open_file(&f, LK_LIT("a"));
  CHECK_OK(RUN(f, .kind = LK_IO_WRITE, .file = file, .from = LK_LIT("12345")));
  lk_err err = RUN(f, .kind = LK_IO_RESERVE, .file = file, .off = 1000000);
  (void)snprintf(path, sizeof path, "%s/a", f.directory);
  CHECK(err == LK_OK || err == LK_ERR_UNSUPPORTED);
  CHECK(stat(path, &about) == 0 && about.st_size == 5);
  if (err == LK_OK) CHECK(about.st_blocks >= 1000000 / 512);
  CHECK_TEXT(read_file(&f, file, bytes), "12345");
  CHECK_OK(RUN(f, .kind = LK_IO_TRUNCATE, .file = file, .off = 5));
  CHECK(stat(path, &about) == 0 && about.st_blocks < 1000000 / 512);
  CHECK_ERR(RUN(f, .kind = LK_IO_RESERVE, .file = file, .off = UINT64_MAX), LK_ERR_RANGE);
  (void)end(&f);
}

TEST(posix_storage_follows_no_links_and_opens_no_directories_or_pipes) {
  char path[128];
  fixture f = begin(NULL);
  (void)snprintf(path, sizeof path, "%s/link", f.directory);
  CHECK(symlink("/etc/hostname", path) == 0);
  (void)snprintf(path, sizeof path, "%s/directory", f.directory);
  CHECK(mkdir(path, 0700) == 0);
  (void)snprintf(path, sizeof path, "%s/pipe", f.directory);
  CHECK(mkfifo(path, 0600) == 0);
  static const char *const names[] = { "link", "directory", "pipe" };
  uint8_t into[8];
  for (size_t i = 0; i < 3; i++) {
    lk_slice name = lk_slice_cstr(names[i]);
    CHECK_ERR(RUN(f, .kind = LK_IO_PEEK, .name = name, .into = into, .into_len = sizeof into),
              LK_ERR_PERMISSION);
    CHECK_ERR(RUN(f, .kind = LK_IO_OPEN, .name = name, .create = true), LK_ERR_PERMISSION);
  }
  (void)end(&f);
}

/* Goal: two who walk at once would miss names; so one that is elsewhere is told to begin anew. */
TEST(posix_storage_tells_a_walk_that_is_not_where_it_stands) {
  uint8_t page[LK_IO_NAME_MAX + 10];
  fixture f = begin(NULL);
  (void)open_file(&f, LK_LIT("a"));
  CHECK_ERR(RUN(f, .kind = LK_IO_WALK, .name = LK_LIT("a"), .into = page, .into_len = sizeof page),
            LK_ERR_INVALID);
  CHECK_OK(RUN(f, .kind = LK_IO_WALK, .into = page, .into_len = sizeof page));
  CHECK_ERR(RUN(f, .kind = LK_IO_WALK, .name = LK_LIT("b"), .into = page, .into_len = sizeof page),
            LK_ERR_INVALID);
  CHECK_OK(RUN(f, .kind = LK_IO_WALK, .name = LK_LIT("a"), .into = page, .into_len = sizeof page));
  CHECK_ERR(RUN(f, .kind = LK_IO_WALK, .name = LK_LIT("a"), .into = page, .into_len = sizeof page),
            LK_ERR_INVALID); /* it had come to its end */
  (void)end(&f);
}

TEST(posix_storage_makes_files_that_only_their_owner_may_read) {
  char path[128];
  struct stat about;
  mode_t mask = umask(0);
  fixture f = begin(NULL);
  (void)open_file(&f, LK_LIT("a"));
  (void)umask(mask);
  (void)snprintf(path, sizeof path, "%s/a", f.directory);
  CHECK(stat(path, &about) == 0);
  CHECK_U64(about.st_mode & 0777, 0600);
  (void)end(&f);
}

TEST(posix_storage_refuses_offsets_that_no_file_has) {
  uint8_t byte;
  fixture f = begin(NULL);
  lk_file file = open_file(&f, LK_LIT("a"));
  CHECK_ERR(RUN(f, .kind = LK_IO_WRITE, .file = file, .off = UINT64_MAX, .from = LK_LIT("x")),
            LK_ERR_RANGE);
  CHECK_ERR(RUN(f, .kind = LK_IO_WRITE, .file = file, .off = INT64_MAX, .from = LK_LIT("x")),
            LK_ERR_RANGE);
  CHECK_ERR(RUN(f, .kind = LK_IO_TRUNCATE, .file = file, .off = UINT64_MAX), LK_ERR_RANGE);
  lk_io read = {
    .kind = LK_IO_READ, .file = file, .off = UINT64_MAX, .into = &byte, .into_len = 1, .done = 9
  };
  CHECK_OK(storage_run(f.storage, wait_ready, f.posix, &read));
  CHECK_U64(read.done, 0);
  (void)end(&f);
}

/* Goal: rule 7. Method: hold the first sync, queue more behind it, stop: the one under way finishes,
 * the rest are cancelled, each comes back once and in order, and so does what is submitted later. */
TEST(posix_storage_that_is_stopped_gives_every_operation_back) {
  enum { COUNT = 5 };
  disk_reset();
  fixture f = begin(&bad_disk);
  lk_file file = open_file(&f, LK_LIT("a"));
  lk_io io[COUNT + 1];
  disk.held = 1;
  for (size_t i = 0; i < COUNT; i++) {
    io[i] = (lk_io){ .kind = LK_IO_SYNC, .file = file };
    f.storage->submit(f.storage, &io[i]);
  }
  disk.held = 0;
  lk_posix_storage_stop(f.posix);
  lk_posix_storage_stop(f.posix);
  io[COUNT] = (lk_io){ .kind = LK_IO_SYNC, .file = file };
  f.storage->submit(f.storage, &io[COUNT]);
  CHECK(is_ready(&f));
  bool canceled = false;
  for (size_t i = 0; i <= COUNT; i++) {
    CHECK(f.storage->poll(f.storage) == &io[i]);
    CHECK(io[i].result == (canceled ? LK_ERR_CANCELED : io[i].result));
    CHECK(io[i].result == LK_OK || io[i].result == LK_ERR_CANCELED);
    canceled = io[i].result == LK_ERR_CANCELED;
  }
  CHECK(canceled);
  CHECK(f.storage->poll(f.storage) == NULL);
  CHECK(!is_ready(&f));
  (void)end(&f);
}

TEST(posix_storage_opens_many_files_and_uses_handles_again) {
  enum { FILES = 100 };
  fixture f = begin(NULL);
  lk_file files[FILES];
  char name[8];
  for (int i = 0; i < FILES; i++) {
    int len = snprintf(name, sizeof name, "f%d", i);
    files[i] = open_file(&f, lk_slice_of(name, (size_t)len));
    CHECK_U64(files[i], i);
  }
  CHECK_OK(RUN(f, .kind = LK_IO_CLOSE, .file = files[42]));
  CHECK_U64(open_file(&f, LK_LIT("again")), 42);
  CHECK_U64(end(&f), FILES + 1);
}

TEST(posix_storage_needs_a_directory) {
  lk_posix_storage *s;
  CHECK_ERR(lk_posix_storage_open(lk_posix_heap(), "/nowhere/at/all", NULL, &s), LK_ERR_NOT_FOUND);
  CHECK(s == NULL);
  CHECK_ERR(lk_posix_storage_open(lk_posix_heap(), "/etc/hostname", NULL, &s), LK_ERR_PERMISSION);
  disk_reset();
  disk.directory_errno = EIO;
  CHECK_ERR(lk_posix_storage_open(lk_posix_heap(), "/tmp", &bad_disk, &s), LK_ERR_SYNC);
  lk_posix_storage_close(NULL);
}

TEST(posix_clocks_go_forward_and_know_the_century) {
  uint64_t before = lk_posix_monotonic_ms();
  (void)usleep(2000);
  uint64_t after = lk_posix_monotonic_ms();
  CHECK(after > before && after - before < 60000);
  CHECK(lk_posix_wall_ms() > 1600000000000u);
}

TEST(posix_random_fills_all_of_what_it_is_given) {
  uint8_t a[1000] = { 0 }, b[1000] = { 0 };
  CHECK_OK(lk_posix_random(a, sizeof a));
  CHECK_OK(lk_posix_random(b, sizeof b));
  CHECK(memcmp(a, b, 16) != 0);
  size_t zeros = 0;
  for (size_t i = 0; i < sizeof a; i++) zeros += a[i] == 0;
  CHECK(zeros < 40); /* 1000/256 on average; 40 is 18 deviations away */
  CHECK_OK(lk_posix_random(NULL, 0));
}
