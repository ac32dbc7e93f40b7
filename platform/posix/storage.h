/* platform/posix/storage.h -- a directory of real files behind the lk_storage of base/storage.h.
 *
 * One thread of its own carries the operations out in the order of submission, so that no event
 * loop ever waits for a disk. lk_posix_storage_fd() is readable exactly while lk_storage.poll
 * would give something: an event loop watches it.
 *
 *   submit, poll, stop, close     one thread (the owner's), the same for all
 *   carrying out                  the storage's thread; it blocks all signals
 *
 * What is promised beyond the rules of base/storage.h:
 *   - What a file holds when an OPEN of it completes is durable, whoever wrote it: a process that was
 *     killed between write and sync leaves bytes that a new one can read and power loss can take.
 *   - Names are never links: an entry that is a symbolic link, a directory or a device is refused
 *     with LK_ERR_PERMISSION. Files are made with mode 0600.
 *   - CLOSE always gives the handle back; of a spoiled file it says LK_ERR_SYNC as well.
 *   - A directory whose sync failed is spoiled like a file: every later OPEN, RENAME and REMOVE
 *     fails with LK_ERR_SYNC until the storage is opened again. */
#ifndef LK_PLATFORM_POSIX_STORAGE_H
#define LK_PLATFORM_POSIX_STORAGE_H

#include "base/storage.h"
#include "laniakea/env.h"

#include <sys/types.h>

typedef struct lk_posix_storage lk_posix_storage;

/* The calls of the system that move and keep bytes. Tests put others in place that fail, or do less
 * than they were asked; each behaves like the function it is named after. */
typedef struct lk_posix_calls {
  ssize_t (*pread)(int fd, void *into, size_t len, off_t off);
  ssize_t (*pwrite)(int fd, const void *from, size_t len, off_t off);
  int (*fdatasync)(int fd);
  int (*fsync)(int fd); /* of the directory */
} lk_posix_calls;

/* |directory| must exist. |alloc| is used by the storage's thread and must bear that. |calls| may
 * be NULL for the system's own, else it outlives the storage. LK_ERR_NOT_FOUND, LK_ERR_PERMISSION,
 * LK_ERR_SYNC (the names in it cannot be made durable), LK_ERR_LIMIT (files or threads),
 * LK_ERR_NOMEM, LK_ERR_IO: |out| is NULL. */
lk_err lk_posix_storage_open(const lk_alloc *alloc, const char *directory,
                             const lk_posix_calls *calls, lk_posix_storage **out) LK_MUST_USE;

/* What the core wants; lives as long as |self|. */
lk_storage *lk_posix_storage_table(lk_posix_storage *self);

/* An eventfd that is only to be waited for: poll itself takes the count out. */
int lk_posix_storage_fd(const lk_posix_storage *self);

/* Waits for the operation that is under way; the others, and all that are submitted from now on,
 * complete with LK_ERR_CANCELED. poll still gives every completion. May be called twice. */
void lk_posix_storage_stop(lk_posix_storage *self);

/* Stops, closes every file and frees. Operations that were not polled are left to their owners.
 * NULL is allowed. */
void lk_posix_storage_close(lk_posix_storage *self);

#endif
