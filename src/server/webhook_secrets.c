/* server/webhook_secrets.c -- CURRENT ──a stamp differs──> CHANGING ──the same for 100 ms──> loaded or refused ──> CURRENT
 *
 * A stamp is what stat() says: a rename gives another inode, writing in place another time. What was refused is tried when it
 * changes again. */
#include "server/webhook_secrets.h"

#include <string.h>
#include <sys/stat.h>

#include "crypto/crypto.h"
#include "server/console.h"
#include "server/log.h"

static lk_webhook_stamp stamp_of(const char *path) {
  struct stat st;
  if (stat(path, &st) != 0) return (lk_webhook_stamp){ .size = 0 };
  return (lk_webhook_stamp){ .modified = st.st_mtim,
                             .changed = st.st_ctim,
                             .device = st.st_dev,
                             .inode = st.st_ino,
                             .size = st.st_size };
}

static bool is_same_time(struct timespec a, struct timespec b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_same(const lk_webhook_stamp *a, const lk_webhook_stamp *b) {
  return is_same_time(a->modified, b->modified) && is_same_time(a->changed, b->changed) &&
         a->device == b->device && a->inode == b->inode && a->size == b->size;
}

static uint32_t count_of(const lk_webhook_secret_files *self) {
  return lk_min_u32(self->options->secret_files_count, LK_WEBHOOK_SECRETS_MAX);
}

static void look(const lk_webhook_secret_files *self,
                 lk_webhook_stamp out[LK_WEBHOOK_SECRETS_MAX]) {
  const char *path = self->options->secret_files;
  for (uint32_t i = 0; i < count_of(self); i++) {
    out[i] = stamp_of(path);
    path += strlen(path) + 1;
  }
}

static bool all_same(const lk_webhook_secret_files *self, const lk_webhook_stamp *a,
                     const lk_webhook_stamp *b) {
  for (uint32_t i = 0; i < count_of(self); i++) {
    if (!is_same(&a[i], &b[i])) return false;
  }
  return true;
}

/* The stamps are taken first: what is written between the two is seen later. */
static lk_err load(lk_webhook_secret_files *self, lk_buf *why) {
  lk_webhook_secrets fresh;
  look(self, self->tried);
  memcpy(self->seen, self->tried, sizeof self->seen);
  lk_err err = lk_webhook_load_secrets(self->options, self->alloc, &fresh, why);
  if (err == LK_OK) self->secrets = fresh;
  lk_crypto_wipe(&fresh, sizeof fresh);
  return err;
}

lk_err lk_webhook_secret_files_open(lk_webhook_secret_files *self,
                                    const lk_webhook_options *options, const lk_alloc *alloc,
                                    uint64_t now_ms, lk_buf *why) {
  *self = (lk_webhook_secret_files){ .options = options,
                                     .alloc = alloc,
                                     .look_ms = now_ms + LK_WEBHOOK_SECRETS_LOOK_MS };
  return load(self, why);
}

void lk_webhook_secret_files_close(lk_webhook_secret_files *self) {
  lk_crypto_wipe(&self->secrets, sizeof self->secrets);
  *self = (lk_webhook_secret_files){ .look_ms = UINT64_MAX };
}

static bool replace(lk_webhook_secret_files *self) {
  lk_buf why;
  lk_buf_init(&why, self->alloc, LK_CONSOLE_LINE_MAX);
  bool ok = load(self, &why) == LK_OK;
  if (!self->is_quiet && ok)
    lk_log_say(LK_LOG_webhook_secrets_changed,
               "webhooks are signed with what the files of secrets hold now");
  if (!self->is_quiet && !ok)
    lk_log_say(LK_LOG_webhook_secrets_refused,
               "%.*s; webhooks are signed with the secrets from before", (int)why.len,
               (const char *)why.ptr);
  lk_buf_deinit(&why);
  return ok;
}

bool lk_webhook_secret_files_tick(lk_webhook_secret_files *self, uint64_t now_ms) {
  lk_webhook_stamp now[LK_WEBHOOK_SECRETS_MAX] = { 0 };
  if (self->options == NULL || now_ms < self->look_ms) return false;
  look(self, now);
  self->look_ms = now_ms + LK_WEBHOOK_SECRETS_LOOK_MS;
  if (!all_same(self, now, self->tried)) {
    if (all_same(self, now, self->seen)) return replace(self);
    self->look_ms = now_ms + LK_WEBHOOK_SECRETS_SETTLE_MS;
  }
  memcpy(self->seen, now, sizeof self->seen);
  return false;
}
