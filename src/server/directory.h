/* server/directory.h -- where durable topics are kept: a directory, made where it is missing, and locked, so that no two servers
 * write to it. It outlives processes for rooms. */
#ifndef LK_SERVER_DIRECTORY_H
#define LK_SERVER_DIRECTORY_H

#include "laniakea/types.h"

#include <limits.h>

typedef struct lk_directory {
  char path[PATH_MAX];
  int lock; /* -1 where there is none */
} lk_directory;

/* On failure what went wrong has been said on the console. */
lk_err lk_directory_open(lk_directory *self, const char *path) LK_MUST_USE;

/* The directory belongs to servers with |rooms| room processes: each has a journal of its own there, and a topic must
 * always be the same one's. LK_ERR_INVALID where it was made for another number; said on the console. */
lk_err lk_directory_claim(lk_directory *self, uint32_t rooms) LK_MUST_USE;

/* Safe after a failed open, and twice. */
void lk_directory_close(lk_directory *self);

#endif
