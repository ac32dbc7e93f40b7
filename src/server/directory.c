/* server/directory.c -- making and locking the data directory.
 *
 * The lock is one of flock() on ".lock", a name that no storage gives out. Workers inherit its
 * descriptor, so that it is held until the last process that could write is gone, and the kernel
 * drops it whatever way they go. */
#include "server/directory.h"

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

static lk_err complain(const char *what, const char *path) {
  lk_console_say("cannot %s %s: %s", what, path, strerror(errno));
  return LK_ERR_IO;
}

static int open_lock(int directory, int flags) {
  return openat(directory, LOCK_NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
}

/* ---- opening ---- */

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

static lk_err open_path(lk_directory *self, const char *path) {
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
  lk_err err = open_path(self, path);
  if (err != LK_OK) lk_directory_close(self);
  return err;
}

/* The lock file says it, as text. */
lk_err lk_directory_claim(lk_directory *self, uint32_t rooms) {
  char text[32], wanted[32];
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
  if (self->lock >= 0) (void)close(self->lock);
  *self = (lk_directory){ .lock = -1 };
}
