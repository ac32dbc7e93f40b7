/* server/directory.c -- making, locking and removing the data directory.
 *
 * The lock is one of flock() on ".lock", a name that no storage gives out. Workers inherit its
 * descriptor, so that it is held until the last process that could write is gone, and the kernel
 * drops it whatever way they go.
 *
 * An ephemeral directory is removed by its supervisor. One that was killed leaves it behind, in
 * memory that nobody would ever give back: so each start removes those whose lock is free. The lock
 * of a new one is free for a moment, too, between making and locking it; whoever locks it then
 * removes it, and its maker notices that its lock has no name any more, and makes another one. */
#include "server/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/console.h"

#define LOCK_NAME ".lock"
#define EPHEMERAL_PREFIX "laniakea-serve-"
#define EPHEMERAL_TRIES 10

static lk_err complain(const char *what, const char *path) {
  lk_console_say("cannot %s %s: %s", what, path, strerror(errno));
  return LK_ERR_IO;
}

static int open_lock(int directory, int flags) {
  return openat(directory, LOCK_NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
}

/* ---- an ephemeral one ---- */

static const char *ephemeral_base(void) {
  static const char *const memory = "/dev/shm";
  const char *named = getenv("TMPDIR");
  if (access(memory, W_OK | X_OK) == 0) return memory;
  return named != NULL && named[0] == '/' ? named : "/tmp";
}

/* Removes the directory |name| in |base| with what lies directly inside: storages make no
 * directories. */
static void remove_entries(int base, const char *name, int directory) {
  DIR *entries = fdopendir(directory);
  if (entries == NULL) {
    (void)close(directory);
    return;
  }
  for (struct dirent *e; (e = readdir(entries)) != NULL;) {
    if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
      (void)unlinkat(directory, e->d_name, 0);
    }
  }
  (void)closedir(entries);
  (void)unlinkat(base, name, AT_REMOVEDIR);
}

/* Removes |name| where it is an ephemeral directory of ours that nobody holds. */
static void remove_if_left(int base, const char *name) {
  struct stat about;
  if (strncmp(name, EPHEMERAL_PREFIX, sizeof EPHEMERAL_PREFIX - 1) != 0) return;
  int directory = openat(base, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (directory < 0) return;
  bool ours = fstat(directory, &about) == 0 && about.st_uid == geteuid() &&
              (about.st_mode & 0777) == 0700;
  int lock = ours ? open_lock(directory, 0) : -1;
  if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0) remove_entries(base, name, directory);
  else (void)close(directory);
  if (lock >= 0) (void)close(lock);
}

static void remove_left_behind(const char *path) {
  DIR *entries = opendir(path);
  if (entries == NULL) return;
  for (struct dirent *e; (e = readdir(entries)) != NULL;) remove_if_left(dirfd(entries), e->d_name);
  (void)closedir(entries);
}

/* False where another server, starting at the same time, took the directory for one left behind. */
static bool hold(lk_directory *self) {
  struct stat about;
  int directory = open(self->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return false;
  self->lock = open_lock(directory, O_CREAT);
  (void)close(directory);
  if (self->lock < 0) return false;
  if (flock(self->lock, LOCK_EX | LOCK_NB) == 0 && fstat(self->lock, &about) == 0 &&
      about.st_nlink > 0)
    return true;
  (void)close(self->lock);
  self->lock = -1;
  return false;
}

static lk_err open_ephemeral(lk_directory *self) {
  const char *base = ephemeral_base();
  remove_left_behind(base);
  for (int tries = 0; tries < EPHEMERAL_TRIES; tries++) {
    int len = snprintf(self->path, sizeof self->path, "%s/" EPHEMERAL_PREFIX "XXXXXX", base);
    if (len < 0 || (size_t)len >= sizeof self->path)
      return complain("use as a place for files:", "TMPDIR");
    if (mkdtemp(self->path) == NULL) break;
    self->ephemeral = hold(self); /* mkdtemp gave it mode 0700 */
    if (self->ephemeral) return LK_OK;
  }
  return complain("make a private directory", self->path);
}

static void remove_ephemeral(const lk_directory *self) {
  int directory = open(self->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) remove_entries(AT_FDCWD, self->path, directory);
}

/* ---- a durable one ---- */

static lk_err sync_parent(const lk_directory *self) {
  char copy[PATH_MAX];
  memcpy(copy, self->path, sizeof copy);
  const char *parent = dirname(copy);
  int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return complain("open", parent);
  lk_err err = fsync(fd) == 0 ? LK_OK : complain("make durable", parent);
  (void)close(fd);
  return err;
}

static lk_err make(const lk_directory *self) {
  if (mkdir(self->path, 0700) == 0) return sync_parent(self);
  return errno == EEXIST ? LK_OK : complain("make the data directory", self->path);
}

static lk_err take_lock(lk_directory *self) {
  int directory = open(self->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return complain("open the data directory", self->path);
  self->lock = open_lock(directory, O_CREAT);
  int code = errno;
  (void)close(directory);
  errno = code;
  if (self->lock < 0) return complain("write to the data directory", self->path);
  if (flock(self->lock, LOCK_EX | LOCK_NB) == 0) return LK_OK;
  if (errno != EWOULDBLOCK) return complain("lock the data directory", self->path);
  lk_console_say(
      "the data directory %s is in use by another server; stop that one, or name another "
      "directory with --data",
      self->path);
  return LK_ERR_EXISTS;
}

static lk_err open_durable(lk_directory *self, const char *path) {
  size_t len = strlen(path);
  if (len == 0 || len >= sizeof self->path) {
    errno = len == 0 ? ENOENT : ENAMETOOLONG;
    return complain("use as the data directory:", path);
  }
  memcpy(self->path, path, len + 1);
  lk_err err = make(self);
  return err == LK_OK ? take_lock(self) : err;
}

lk_err lk_directory_open(lk_directory *self, const char *path) {
  *self = (lk_directory){ .lock = -1 };
  lk_err err = path == NULL ? open_ephemeral(self) : open_durable(self, path);
  if (err != LK_OK) lk_directory_close(self);
  return err;
}

/* The lock file says it, as text. */
lk_err lk_directory_claim(lk_directory *self, uint32_t rooms) {
  char text[32], wanted[32];
  if (self->ephemeral) return LK_OK;
  int len = snprintf(wanted, sizeof wanted, "rooms %u\n", rooms);
  ssize_t count = pread(self->lock, text, sizeof text - 1, 0);
  if (count < 0) return complain("read the lock of", self->path);
  if (count == len && memcmp(text, wanted, (size_t)len) == 0) return LK_OK;
  if (count == 0) {
    if (pwrite(self->lock, wanted, (size_t)len, 0) == len && fsync(self->lock) == 0) return LK_OK;
    return complain("write to the lock of", self->path);
  }
  text[count] = 0;
  text[strcspn(text, "\n")] = 0;
  lk_console_say("the data directory %s was made with --%s, and has to be used with that", self->path,
                 text);
  return LK_ERR_INVALID;
}

void lk_directory_close(lk_directory *self) {
  if (self->ephemeral) remove_ephemeral(self);
  if (self->lock >= 0) (void)close(self->lock);
  *self = (lk_directory){ .lock = -1 };
}
