/* server/directory.h -- where rooms keep what they acknowledged: a directory that outlives workers.
 *
 * With a path: that directory, made where it is missing, and locked, so that no two servers write
 * to it. Without one: a private directory in memory (/dev/shm, else TMPDIR or /tmp), which survives
 * the death of a worker, is removed at the end, and never touches a disk where there is /dev/shm.
 * What a server that was killed left there is removed by the next one of the same user. */
#ifndef LK_SERVER_DIRECTORY_H
#define LK_SERVER_DIRECTORY_H

#include "laniakea/types.h"

#include <limits.h>

typedef struct lk_directory {
  char path[PATH_MAX];
  int lock; /* -1 where there is none */
  bool ephemeral;
} lk_directory;

/* |path| NULL: an ephemeral one. On failure what went wrong has been said on the console. */
lk_err lk_directory_open(lk_directory *self, const char *path) LK_MUST_USE;

/* The directory belongs to servers with |rooms| room processes: each has a journal of its own there, and a topic must
 * always be the same one's. LK_ERR_INVALID where it was made for another number; said on the console. */
lk_err lk_directory_claim(lk_directory *self, uint32_t rooms) LK_MUST_USE;

/* Removes an ephemeral directory with its files. Safe after a failed open, and twice. */
void lk_directory_close(lk_directory *self);

#endif
