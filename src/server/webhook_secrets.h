/* server/webhook_secrets.h -- the secrets of webhooks, as files hold them, and what they hold later.
 *
 * Like those of TLS (server/tls_files.h) the files are looked at twice a second. What is new is taken as a whole when it has been the
 * same for LK_WEBHOOK_SECRETS_SETTLE_MS, or refused as a whole with a line in the log, and then the secrets from before stay. What was
 * signed is not signed anew; what is sent again is. */
#ifndef LK_SERVER_WEBHOOK_SECRETS_H
#define LK_SERVER_WEBHOOK_SECRETS_H

#include <sys/types.h>
#include <time.h>

#include "server/webhook_options.h"

#define LK_WEBHOOK_SECRETS_LOOK_MS 500
#define LK_WEBHOOK_SECRETS_SETTLE_MS 100

/* What tells one content of a file from the next. All zeros: it could not be looked at. */
typedef struct lk_webhook_stamp {
  struct timespec modified;
  struct timespec changed;
  dev_t device;
  ino_t inode;
  off_t size;
} lk_webhook_stamp;

typedef struct lk_webhook_secret_files {
  const lk_webhook_options *options;
  const lk_alloc *alloc;
  lk_webhook_secrets secrets;                     /* which sign from now on */
  lk_webhook_stamp tried[LK_WEBHOOK_SECRETS_MAX]; /* what was loaded last, or refused */
  lk_webhook_stamp seen[LK_WEBHOOK_SECRETS_MAX];  /* what is different since |look_ms| was set */
  uint64_t look_ms;
  bool is_quiet; /* another process says what happens to the files */
} lk_webhook_secret_files;

/* |options| outlives it. The errors and |why| are those of lk_webhook_load_secrets(). */
lk_err lk_webhook_secret_files_open(lk_webhook_secret_files *self,
                                    const lk_webhook_options *options, const lk_alloc *alloc,
                                    uint64_t now_ms, lk_buf *why) LK_MUST_USE;

/* Nothing is left of the secrets. Safe on a zeroed struct, and twice. */
void lk_webhook_secret_files_close(lk_webhook_secret_files *self);

/* Looks at the files when it is time. True where the secrets are others now. */
bool lk_webhook_secret_files_tick(lk_webhook_secret_files *self, uint64_t now_ms);

static inline uint64_t lk_webhook_secret_files_deadline(const lk_webhook_secret_files *self) {
  return self->look_ms;
}

#endif
