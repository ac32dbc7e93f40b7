/* platform/posix/storage.c -- when bytes are really there.
 *
 * The problem: fdatasync takes from microseconds to seconds, and nothing that serves clients may
 * wait so long. The idea: a list in, a list out, one thread between them.
 *
 *   submit ──> submitted ──> worker: pwrite, fdatasync, ... ──> done ──> poll
 *                                                                 └── eventfd readable while not empty
 *
 * One thread and one queue keep rule 1 (order within a file) for free, and make "the directory was
 * synced after the file was made" a matter of program order. The price is that a slow sync of one
 * file holds up the others; more threads may come, one for each set of files, when it is measured
 * to matter.
 *
 * What durable means here, in the order in which it is easy to get wrong:
 *
 *   names    A new file's name is durable when its directory was synced. OPEN does that before it
 *            completes, and so do RENAME and REMOVE. A process that died before its directory sync
 *            leaves names that the next one finds and takes for durable: so opening the storage
 *            syncs the directory once.
 *   bytes    The same holds for bytes: the next process reads from the kernel's memory what a dead one
 *            never synced. So OPEN of a file that exists syncs it.
 *   errors   After a failed fdatasync the kernel marks the pages clean: they are lost, a second fdatasync
 *            says 0, and a read still shows them (fsyncgate). So there is no second one; the handle is
 *            spoiled; and the cached pages are thrown away, so that whoever opens the file again
 *            reads what the medium has.
 *   space    is reserved by fallocate() behind the end of the file, where the file system can. Those that copy on write
 *            break that promise; a write says so, or, at worst, a sync.
 *   EINTR    is retried for reads and writes, which say how far they came, and never for a sync,
 *            which does not.
 *
 * Always: |submitted|, |done|, |stopping| and the eventfd change only under |lock|; |open| and
 * |spoiled| belong to the worker, or to the owner once the worker has been joined. The eventfd is
 * above 0 exactly while |done| is not empty.
 *
 * Not chosen: io_uring, which container policies often forbid and which has the same rules for
 * errors; O_DSYNC, which syncs each write where one sync covers many; O_DIRECT, whose alignment
 * the core would have to know of. */
#include "platform/posix/storage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/slice.h"

#define OPEN_MAX_COUNT 65536 /* handles; the limit of the process is usually lower */
#define NAME_SIZE 256        /* a name that follows the rule, and its NUL */
#define STACK_SIZE ((size_t)256 * 1024)

typedef struct handle {
  int fd; /* -1: free */
  bool spoiled;
} handle;

struct lk_posix_storage {
  lk_storage table;
  const lk_alloc *alloc;
  const lk_posix_calls *calls;
  int directory;
  int event;
  pthread_t worker;
  pthread_mutex_t lock;
  pthread_cond_t wake;
  lk_list submitted;
  lk_list done;
  bool stopping;
  bool running;                      /* the worker is to be joined */
  bool spoiled;                      /* the directory */
  DIR *walk;                         /* a walk over its names; NULL: there is none */
  uint8_t walk_last[LK_IO_NAME_MAX]; /* the name that it gave out last */
  size_t walk_last_len;
  handle *open;
  uint32_t open_cap;
};

static const lk_posix_calls system_calls = { pread, pwrite, fdatasync, fsync };

static lk_err err_of_errno(int code) {
  switch (code) {
  case ENOENT: return LK_ERR_NOT_FOUND;
  case ENOSPC:
  case EDQUOT:
  case EFBIG: return LK_ERR_NO_SPACE;
  case EACCES:
  case EPERM:
  case EROFS:
  case ELOOP:
  case ENOTDIR:
  case EISDIR:
  case ESPIPE:
  case ENXIO: return LK_ERR_PERMISSION;
  case EMFILE:
  case ENFILE:
  case EAGAIN: return LK_ERR_LIMIT; /* EAGAIN: of pthread_create */
  case ENOMEM: return LK_ERR_NOMEM;
  default: return LK_ERR_IO;
  }
}

/* ---- handles ---- */

static lk_err find_free(lk_posix_storage *self, uint32_t *out) {
  size_t cap;
  for (uint32_t i = 0; i < self->open_cap; i++) {
    if (self->open[i].fd >= 0) continue;
    *out = i;
    return LK_OK;
  }
  if (!lk_grow_cap(self->open_cap, (size_t)self->open_cap + 1, 16, OPEN_MAX_COUNT, &cap))
    return LK_ERR_LIMIT;
  handle *open = lk_resize_array(self->alloc, self->open, self->open_cap, cap, sizeof *open);
  if (open == NULL) return LK_ERR_NOMEM;
  for (size_t i = self->open_cap; i < cap; i++) open[i] = (handle){ .fd = -1 };
  *out = self->open_cap;
  self->open = open;
  self->open_cap = (uint32_t)cap;
  return LK_OK;
}

static handle *of_file(lk_posix_storage *self, lk_file file) {
  LK_ASSERT(file < self->open_cap && self->open[file].fd >= 0); /* else used after close */
  return &self->open[file];
}

/* ---- making durable ---- */

static lk_err sync_directory(lk_posix_storage *self) {
  if (self->calls->fsync(self->directory) == 0) return LK_OK;
  self->spoiled = true;
  return LK_ERR_SYNC;
}

static lk_err sync_bytes(lk_posix_storage *self, int fd) {
  if (self->calls->fdatasync(fd) == 0) return LK_OK;
  /* Advice may be declined; then a reader sees cached bytes, and its owner's checksums decide. */
  (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  return LK_ERR_SYNC;
}

/* ---- names ---- */

static bool copy_name(lk_slice name, char out[NAME_SIZE]) {
  if (!lk_storage_name_ok(name)) return false;
  LK_ASSERT(name.len < NAME_SIZE);
  memcpy(out, name.ptr, name.len);
  out[name.len] = 0;
  return true;
}

static int open_at(int directory, const char *name, int flags) {
  int fd;
  do {
    fd = openat(directory, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0600);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

/* A file that was there before: only a plain one, and only with its bytes made durable. */
static lk_err accept_existing(lk_posix_storage *self, int fd) {
  struct stat about;
  if (fstat(fd, &about) != 0) return LK_ERR_IO;
  if (!S_ISREG(about.st_mode)) return LK_ERR_PERMISSION;
  return sync_bytes(self, fd);
}

static lk_err open_named(lk_posix_storage *self, const char *name, bool create, int *out) {
  lk_err err;
  int fd = open_at(self->directory, name, 0);
  if (fd >= 0) {
    err = accept_existing(self, fd);
  } else if (errno != ENOENT || !create) {
    return err_of_errno(errno);
  } else {
    fd = open_at(self->directory, name, O_CREAT | O_EXCL);
    if (fd < 0) return err_of_errno(errno);
    err = sync_directory(self);
  }
  if (err != LK_OK) {
    (void)close(fd);
    return err;
  }
  *out = fd;
  return LK_OK;
}

static lk_err do_open(lk_posix_storage *self, lk_io *io) {
  char name[NAME_SIZE];
  uint32_t index;
  int fd = -1; /* gcc does not see that open_named sets it */
  if (!copy_name(io->name, name)) return LK_ERR_INVALID;
  if (self->spoiled) return LK_ERR_SYNC;
  lk_err err = find_free(self, &index);
  if (err == LK_OK) err = open_named(self, name, io->create, &fd);
  if (err != LK_OK) return err;
  self->open[index] = (handle){ .fd = fd };
  io->file = index;
  return LK_OK;
}

static lk_err do_rename(lk_posix_storage *self, const lk_io *io) {
  char from[NAME_SIZE], to[NAME_SIZE];
  if (!copy_name(io->name, from) || !copy_name(io->name_to, to)) return LK_ERR_INVALID;
  if (self->spoiled) return LK_ERR_SYNC;
  if (renameat(self->directory, from, self->directory, to) != 0) return err_of_errno(errno);
  return sync_directory(self);
}

static lk_err do_remove(lk_posix_storage *self, const lk_io *io) {
  char name[NAME_SIZE];
  if (!copy_name(io->name, name)) return LK_ERR_INVALID;
  if (self->spoiled) return LK_ERR_SYNC;
  if (unlinkat(self->directory, name, 0) != 0) return err_of_errno(errno);
  return sync_directory(self);
}

/* Reads the directory anew each time: a page of names is rarely asked for. */
static lk_err do_list(const lk_posix_storage *self, lk_io *io) {
  int fd = openat(self->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *entries = fd < 0 ? NULL : fdopendir(fd);
  if (entries == NULL) {
    lk_err err = err_of_errno(errno);
    if (fd >= 0) (void)close(fd);
    return err;
  }
  lk_storage_list_begin(io);
  errno = 0;
  for (struct dirent *e; (e = readdir(entries)) != NULL;) {
    lk_storage_list_offer(io, lk_slice_of((const uint8_t *)e->d_name, strlen(e->d_name)));
  }
  lk_err err = errno == 0 ? LK_OK : LK_ERR_IO;
  (void)closedir(entries);
  return err;
}

static void end_walk(lk_posix_storage *self) {
  if (self->walk != NULL) (void)closedir(self->walk);
  self->walk = NULL;
}

static lk_err begin_walk(lk_posix_storage *self) {
  end_walk(self);
  int fd = openat(self->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  self->walk = fd < 0 ? NULL : fdopendir(fd);
  if (self->walk != NULL) return LK_OK;
  lk_err err = err_of_errno(errno);
  if (fd >= 0) (void)close(fd);
  return err;
}

static bool walk_stands_at(const lk_posix_storage *self, lk_slice name) {
  return self->walk != NULL &&
         lk_slice_equal(name, lk_slice_of(self->walk_last, self->walk_last_len));
}

/* Goes on in one pass over the directory, which stays open between pages, so that a walk takes as long as there are names. A
 * page is full when the longest name would not go in. */
static lk_err do_walk(lk_posix_storage *self, lk_io *io) {
  struct dirent *e;
  LK_ASSERT(io->into_len > LK_IO_NAME_MAX);
  io->done = 0;
  lk_err err = LK_OK;
  if (io->name.len == 0) err = begin_walk(self);
  else if (!walk_stands_at(self, io->name)) err = LK_ERR_INVALID;
  if (err != LK_OK) return err;
  errno = 0;
  while (io->into_len - io->done > LK_IO_NAME_MAX && (e = readdir(self->walk)) != NULL) {
    lk_slice name = lk_slice_of((const uint8_t *)e->d_name, strlen(e->d_name));
    if (!lk_storage_name_ok(name)) continue;
    memcpy(io->into + io->done, name.ptr, name.len);
    io->into[io->done + name.len] = '\n';
    io->done += name.len + 1;
    memcpy(self->walk_last, name.ptr, name.len);
    self->walk_last_len = name.len;
  }
  err = errno == 0 ? LK_OK : LK_ERR_IO;
  if (err != LK_OK || io->done == 0) end_walk(self);
  return err;
}

/* ---- bytes ---- */

/* Whether |len| bytes at |off| are within what an off_t can name. */
static bool range_ok(uint64_t off, size_t len) {
  uint64_t end;
  return lk_add_u64(off, len, &end) && end <= INT64_MAX;
}

static lk_err do_write(lk_posix_storage *self, int fd, lk_io *io) {
  io->done = 0;
  if (!range_ok(io->off, io->from.len)) return LK_ERR_RANGE;
  while (io->done < io->from.len) {
    ssize_t n = self->calls->pwrite(fd, io->from.ptr + io->done, io->from.len - io->done,
                                    (off_t)(io->off + io->done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return err_of_errno(errno);
    if (n == 0) return LK_ERR_IO; /* not an error of POSIX, and no progress either */
    io->done += (size_t)n;
  }
  return LK_OK;
}

static lk_err do_read(lk_posix_storage *self, int fd, lk_io *io) {
  io->done = 0;
  if (io->off > INT64_MAX) return LK_OK; /* behind the end of any file */
  while (io->done < io->into_len) {
    ssize_t n = self->calls->pread(fd, io->into + io->done, io->into_len - io->done,
                                   (off_t)(io->off + io->done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return err_of_errno(errno);
    if (n == 0) break;
    io->done += (size_t)n;
  }
  return LK_OK;
}

/* What is no plain file cannot be read at a place, or says so itself. */
static lk_err do_peek(lk_posix_storage *self, lk_io *io) {
  char name[NAME_SIZE];
  int fd;
  if (!copy_name(io->name, name)) return LK_ERR_INVALID;
  do {
    fd = openat(self->directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return err_of_errno(errno);
  lk_err err = do_read(self, fd, io);
  (void)close(fd);
  return err;
}

static lk_err do_truncate(int fd, uint64_t size) {
  int failed;
  if (!range_ok(size, 0)) return LK_ERR_RANGE;
  do {
    failed = ftruncate(fd, (off_t)size);
  } while (failed != 0 && errno == EINTR);
  return failed == 0 ? LK_OK : err_of_errno(errno);
}

/* What stands there already has its place. Blocks behind the end of a file are no part of it: nobody reads them, and a crash
 * leaves them or not. */
static lk_err do_reserve(int fd, uint64_t size) {
  struct stat about;
  int failed;
  if (!range_ok(size, 0)) return LK_ERR_RANGE;
  if (fstat(fd, &about) != 0) return err_of_errno(errno);
  if ((uint64_t)about.st_size >= size) return LK_OK;
  do {
    failed = fallocate(fd, FALLOC_FL_KEEP_SIZE, about.st_size, (off_t)size - about.st_size);
  } while (failed != 0 && errno == EINTR);
  if (failed == 0) return LK_OK;
  lk_err err = err_of_errno(errno);
  return err == LK_ERR_NO_SPACE ? err : LK_ERR_UNSUPPORTED;
}

static lk_err do_size(int fd, uint64_t *out) {
  struct stat about;
  if (fstat(fd, &about) != 0) return err_of_errno(errno);
  *out = (uint64_t)about.st_size;
  return LK_OK;
}

static lk_err do_sync(lk_posix_storage *self, handle *h) {
  lk_err err = sync_bytes(self, h->fd);
  if (err != LK_OK) h->spoiled = true;
  return err;
}

/* Linux frees the descriptor whatever close() says, so that its result decides nothing. */
static lk_err do_close(handle *h) {
  lk_err err = h->spoiled ? LK_ERR_SYNC : LK_OK;
  (void)close(h->fd);
  *h = (handle){ .fd = -1 };
  return err;
}

static lk_err on_file(lk_posix_storage *self, lk_io *io) {
  handle *h = of_file(self, io->file);
  if (io->kind == LK_IO_CLOSE) return do_close(h);
  if (h->spoiled) return LK_ERR_SYNC;
  switch (io->kind) {
  case LK_IO_READ: return do_read(self, h->fd, io);
  case LK_IO_WRITE: return do_write(self, h->fd, io);
  case LK_IO_TRUNCATE: return do_truncate(h->fd, io->off);
  case LK_IO_SIZE: return do_size(h->fd, &io->off);
  case LK_IO_SYNC: return do_sync(self, h);
  case LK_IO_RESERVE: return do_reserve(h->fd, io->off);
  default: LK_UNREACHABLE();
  }
}

static lk_err carry_out(lk_posix_storage *self, lk_io *io) {
  switch (io->kind) {
  case LK_IO_OPEN: return do_open(self, io);
  case LK_IO_RENAME: return do_rename(self, io);
  case LK_IO_REMOVE: return do_remove(self, io);
  case LK_IO_LIST: return do_list(self, io);
  case LK_IO_WALK: return do_walk(self, io);
  case LK_IO_PEEK: return do_peek(self, io);
  default: return on_file(self, io);
  }
}

/* ---- the thread and its two lists ---- */

static void lock(lk_posix_storage *self) {
  int failed = pthread_mutex_lock(&self->lock);
  LK_ASSERT(failed == 0);
}

static void unlock(lk_posix_storage *self) {
  int failed = pthread_mutex_unlock(&self->lock);
  LK_ASSERT(failed == 0);
}

/* Under the lock. */
static void complete(lk_posix_storage *self, lk_io *io, lk_err result) {
  io->result = result;
  lk_list_push_last(&self->done, &io->link);
  if (self->done.count > 1) return;
  static const uint64_t one = 1;
  ssize_t n = write(self->event, &one, sizeof one);
  LK_ASSERT(n == (ssize_t)sizeof one); /* the count is 0 or 1: it cannot overflow */
}

static void *work(void *arg) {
  lk_posix_storage *self = arg;
  lock(self);
  while (!self->stopping) {
    lk_link *link = lk_list_pop_first(&self->submitted);
    if (link == NULL) {
      (void)pthread_cond_wait(&self->wake, &self->lock);
      continue;
    }
    lk_io *io = LK_CONTAINER(link, lk_io, link);
    unlock(self);
    lk_err result = carry_out(self, io);
    lock(self);
    complete(self, io, result);
  }
  unlock(self);
  return NULL;
}

static void submit(lk_storage *storage, lk_io *io) {
  lk_posix_storage *self = LK_CONTAINER(storage, lk_posix_storage, table);
  lock(self);
  if (self->stopping) {
    complete(self, io, LK_ERR_CANCELED);
  } else {
    lk_list_push_last(&self->submitted, &io->link);
    (void)pthread_cond_signal(&self->wake);
  }
  unlock(self);
}

static lk_io *poll_done(lk_storage *storage) {
  lk_posix_storage *self = LK_CONTAINER(storage, lk_posix_storage, table);
  lock(self);
  lk_link *link = lk_list_pop_first(&self->done);
  if (link != NULL && self->done.count == 0) {
    uint64_t count;
    ssize_t n = read(self->event, &count, sizeof count);
    LK_ASSERT(n == (ssize_t)sizeof count);
  }
  unlock(self);
  return link == NULL ? NULL : LK_CONTAINER(link, lk_io, link);
}

/* ---- birth and end ---- */

static lk_err start_worker(lk_posix_storage *self) {
  pthread_attr_t attributes;
  sigset_t all, before;
  if (pthread_attr_init(&attributes) != 0) return LK_ERR_NOMEM;
  (void)pthread_attr_setstacksize(&attributes, STACK_SIZE); /* where refused, the default does */
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited by the thread */
  int code = pthread_create(&self->worker, &attributes, work, self);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  (void)pthread_attr_destroy(&attributes);
  if (code != 0) return err_of_errno(code);
  self->running = true;
  return LK_OK;
}

static lk_err open_directory(lk_posix_storage *self, const char *directory) {
  self->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (self->directory < 0) return err_of_errno(errno);
  return sync_directory(self);
}

lk_err lk_posix_storage_open(const lk_alloc *alloc, const char *directory,
                             const lk_posix_calls *calls, lk_posix_storage **out) {
  lk_err err;
  *out = NULL;
  lk_posix_storage *self = lk_alloc_bytes(alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  *self = (lk_posix_storage){ .alloc = alloc, .calls = calls, .directory = -1, .event = -1 };
  if (calls == NULL) self->calls = &system_calls;
  self->table = (lk_storage){ sizeof(lk_storage), submit, poll_done };
  (void)pthread_mutex_init(&self->lock, NULL); /* glibc's two never fail without attributes */
  (void)pthread_cond_init(&self->wake, NULL);
  if ((err = open_directory(self, directory)) != LK_OK) goto fail;
  self->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (self->event < 0) {
    err = err_of_errno(errno);
    goto fail;
  }
  if ((err = start_worker(self)) != LK_OK) goto fail;
  *out = self;
  return LK_OK;
fail:
  lk_posix_storage_close(self);
  return err;
}

lk_storage *lk_posix_storage_table(lk_posix_storage *self) { return &self->table; }

int lk_posix_storage_fd(const lk_posix_storage *self) { return self->event; }

void lk_posix_storage_stop(lk_posix_storage *self) {
  if (!self->running) return;
  lock(self);
  self->stopping = true;
  (void)pthread_cond_signal(&self->wake);
  unlock(self);
  int failed = pthread_join(self->worker, NULL);
  LK_ASSERT(failed == 0);
  self->running = false;
  lock(self);
  for (lk_link *link; (link = lk_list_pop_first(&self->submitted)) != NULL;) {
    complete(self, LK_CONTAINER(link, lk_io, link), LK_ERR_CANCELED);
  }
  unlock(self);
}

void lk_posix_storage_close(lk_posix_storage *self) {
  if (self == NULL) return;
  lk_posix_storage_stop(self);
  for (uint32_t i = 0; i < self->open_cap; i++) {
    if (self->open[i].fd >= 0) (void)close(self->open[i].fd);
  }
  lk_free_array(self->alloc, self->open, self->open_cap, sizeof *self->open);
  if (self->event >= 0) (void)close(self->event);
  end_walk(self);
  if (self->directory >= 0) (void)close(self->directory);
  (void)pthread_cond_destroy(&self->wake);
  (void)pthread_mutex_destroy(&self->lock);
  lk_free_bytes(self->alloc, self, sizeof *self);
}
