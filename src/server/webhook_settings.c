/* server/webhook_settings.c -- webhook.* into rules, and the files of secrets. */
#include "server/webhook_options.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "server/console.h"

#define SECRET_FILE_MAX 4096u

static const lk_setting rule_settings[LK_WEBHOOK_KINDS] = { LK_SETTING_webhook_change,
                                                            LK_SETTING_webhook_authorise,
                                                            LK_SETTING_webhook_load };

static void read_rules(const lk_setting_value *value, lk_webhook_rules *out) {
  const char *text = value->text;
  for (uint32_t i = 0; i < value->count && out->count < LK_WEBHOOK_RULES_MAX; i++) {
    if (lk_webhook_rule_read(lk_slice_cstr(text), &out->items[out->count]) == LK_OK) out->count++;
    text += strlen(text) + 1;
  }
}

static uint32_t ms(const lk_settings *settings, lk_setting setting) {
  return (uint32_t)lk_settings_number(settings, setting);
}

void lk_webhook_options_of(const lk_settings *settings, lk_webhook_options *out) {
  const lk_setting_value *secrets = &settings->values[LK_SETTING_webhook_secret_file];
  *out = (lk_webhook_options){
    .times = { .timeout_ms = ms(settings, LK_SETTING_webhook_timeout),
               .debounce_ms = ms(settings, LK_SETTING_webhook_debounce),
               .debounce_most_ms = ms(settings, LK_SETTING_webhook_debounce_most),
               .retry_ms = ms(settings, LK_SETTING_webhook_retry),
               .retry_most_ms = ms(settings, LK_SETTING_webhook_retry_most),
               .retry_for_ms = lk_settings_number(settings, LK_SETTING_webhook_retry_for) },
    .ca_file = lk_settings_text(settings, LK_SETTING_webhook_ca_file),
    .secret_files = secrets->text,
    .secret_files_count = secrets->count
  };
  for (int i = 0; i < LK_WEBHOOK_KINDS; i++)
    read_rules(&settings->values[rule_settings[i]], &out->rules[i]);
  const lk_webhook_rules *changes = &out->rules[LK_WEBHOOK_CHANGE];
  for (; out->watched_count < changes->count; out->watched_count++)
    out->watched[out->watched_count] = changes->items[out->watched_count].pattern;
}

/* ---- what is wrong with them ---- */

static void check_rule(lk_settings *settings, lk_setting setting, const char *text) {
  const lk_setting_row *row = lk_setting_row_of(setting);
  lk_webhook_rule rule;
  uint32_t line = settings->values[setting].line;
  if (lk_webhook_rule_read(lk_slice_cstr(text), &rule) != LK_OK)
    lk_settings_note(settings, line, false,
                     "%s: %.96s is not TOPIC=URL or TOPIC*=URL, such as "
                     "doc:*=https://app.example/hooks",
                     row->name, text);
  else if (setting == LK_SETTING_webhook_load &&
           !lk_slice_starts_with(rule.pattern, LK_LIT("doc:")))
    lk_settings_note(
        settings, line, false,
        "%s: %.96s: only documents are loaded, whose topics begin with doc:", row->name, text);
}

void lk_webhook_check_settings(lk_settings *settings) {
  const lk_setting_value *secrets = &settings->values[LK_SETTING_webhook_secret_file];
  for (int i = 0; i < LK_WEBHOOK_KINDS; i++) {
    const lk_setting_value *value = &settings->values[rule_settings[i]];
    const char *name = lk_setting_row_of(rule_settings[i])->name, *text = value->text;
    for (uint32_t k = 0; k < value->count; k++, text += strlen(text) + 1)
      check_rule(settings, rule_settings[i], text);
    if (value->count > LK_WEBHOOK_RULES_MAX)
      lk_settings_note(settings, value->line, false, "%s: more than %u", name,
                       (unsigned)LK_WEBHOOK_RULES_MAX);
    if (value->count > 0 && secrets->count == 0)
      lk_settings_note(settings, value->line, false, "%s needs webhook.secret-file beside it",
                       name);
  }
  if (secrets->count > LK_WEBHOOK_SECRETS_MAX)
    lk_settings_note(settings, secrets->line, false, "webhook.secret-file: more than %u",
                     (unsigned)LK_WEBHOOK_SECRETS_MAX);
}

/* ---- secrets ---- */

__attribute__((format(printf, 2, 3))) static void say(lk_buf *why, const char *format, ...) {
  char text[LK_CONSOLE_LINE_MAX];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (len < 0) return;
  lk_buf_truncate(why, 0);
  (void)lk_buf_append(why, lk_slice_of(text, lk_min_size((size_t)len, sizeof text - 1)));
}

static lk_err refuse_errno(const char *path, lk_buf *why) {
  say(why, "cannot read %s: %s", path, strerror(errno));
  if (errno == ENOENT || errno == ENOTDIR) return LK_ERR_NOT_FOUND;
  return errno == EACCES || errno == EPERM ? LK_ERR_PERMISSION : LK_ERR_IO;
}

static lk_err read_secret(int fd, const char *path, const lk_alloc *alloc, lk_webhook_secret *out,
                          lk_buf *why) {
  uint8_t bytes[SECRET_FILE_MAX];
  struct stat st;
  if (fstat(fd, &st) != 0) return refuse_errno(path, why);
  if (!S_ISREG(st.st_mode) || (st.st_mode & (S_IROTH | S_IWOTH)) != 0) {
    say(why, "%s is not a file that others may not read; chmod 600 makes it a secret", path);
    return LK_ERR_PERMISSION;
  }
  ssize_t n = pread(fd, bytes, sizeof bytes, 0);
  if (n < 0) return refuse_errno(path, why);
  lk_slice text = lk_slice_of(bytes, (size_t)n);
  while (text.len > 0 && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
    text = lk_slice_first(text, text.len - 1);
  lk_err err = lk_webhook_secret_read(text, alloc, out);
  if (err == LK_ERR_KEY)
    say(why, "%s has no secret for webhooks: whsec_ and base64, or bytes, %u to %u of them", path,
        (unsigned)LK_WEBHOOK_SECRET_LEAST, (unsigned)LK_WEBHOOK_SECRET_MOST);
  lk_crypto_wipe(bytes, sizeof bytes);
  return err;
}

lk_err lk_webhook_load_secrets(const lk_webhook_options *self, const lk_alloc *alloc,
                               lk_webhook_secrets *out, lk_buf *why) {
  const char *path = self->secret_files;
  lk_err err = LK_OK;
  *out = (lk_webhook_secrets){ .count = 0 };
  for (uint32_t i = 0; i < self->secret_files_count && err == LK_OK; i++) {
    if (i == LK_WEBHOOK_SECRETS_MAX) return LK_ERR_KEY;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return refuse_errno(path, why);
    err = read_secret(fd, path, alloc, &out->items[out->count], why);
    (void)close(fd);
    if (err == LK_OK) out->count++;
    path += strlen(path) + 1;
  }
  return err;
}
