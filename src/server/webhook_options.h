/* server/webhook_options.h -- what the settings say of webhooks. */
#ifndef LK_SERVER_WEBHOOK_OPTIONS_H
#define LK_SERVER_WEBHOOK_OPTIONS_H

#include "server/settings.h"
#include "server/webhook.h"
#include "server/webhook_dues.h"

typedef struct lk_webhook_options {
  lk_webhook_rules rules[LK_WEBHOOK_KINDS];
  lk_slice watched[LK_WEBHOOK_RULES_MAX]; /* the patterns of those that hear of changes */
  uint32_t watched_count;
  lk_webhook_times times;
  const char *ca_file;      /* NULL: the system's roots */
  const char *secret_files; /* |secret_files_count| paths, each with a NUL behind it */
  uint32_t secret_files_count;
} lk_webhook_options;

static inline bool lk_webhook_is_wanted(const lk_webhook_options *self) {
  return self->rules[LK_WEBHOOK_CHANGE].count + self->rules[LK_WEBHOOK_AUTHORISE].count +
             self->rules[LK_WEBHOOK_LOAD].count >
         0;
}

/* Borrows from |settings|. Rules that lk_webhook_check_settings() complains of are not in it. */
void lk_webhook_options_of(const lk_settings *settings, lk_webhook_options *out);

/* Complains of rules that are none, of loading what is no document, and of hooks without a secret. */
void lk_webhook_check_settings(lk_settings *settings);

/* Reads the files. Where one is no secret, or others may read it, |why| says so. LK_ERR_NOT_FOUND, LK_ERR_PERMISSION,
 * LK_ERR_IO, LK_ERR_KEY, LK_ERR_NOMEM. */
lk_err lk_webhook_load_secrets(const lk_webhook_options *self, const lk_alloc *alloc,
                               lk_webhook_secrets *out, lk_buf *why) LK_MUST_USE;

#endif
