/* cli/settings.c -- where settings come from. */
#include "cli/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/files.h"
#include "platform/posix/heap.h"
#include "server/console.h"
#include "server/keyring.h"

bool lk_cli_load_settings(const char *path, lk_settings *out) {
  lk_buf bytes;
  lk_settings_init(out, lk_posix_heap());
  const char *named = getenv("LANIAKEA_CONFIG");
  if (path == NULL && named != NULL && named[0] != 0) path = named;
  bool ok = true;
  if (path != NULL) {
    lk_buf_init(&bytes, lk_posix_heap(), SIZE_MAX / 2);
    ok = lk_cli_read_file(path, LK_SETTINGS_FILE_MAX, "a configuration file", &bytes);
    if (ok && lk_settings_load(out, lk_cli_file_name(path), lk_buf_slice(&bytes)) != LK_OK) {
      lk_console_say("there is not enough memory for the settings");
      ok = false;
    }
    lk_buf_deinit(&bytes);
  }
  if (ok) lk_settings_take_environment(out, environ);
  return ok;
}

void lk_cli_check_keys(lk_settings *settings) {
  const lk_keyring_options options = lk_keyring_options_of(settings);
  const lk_limits limits = lk_settings_limits(settings);
  lk_keyring *keys;
  lk_buf why;
  if (settings->errors > 0 || !lk_keyring_is_wanted(&options)) return;
  lk_buf_init(&why, lk_posix_heap(), LK_CONSOLE_LINE_MAX);
  lk_err err = lk_keyring_open(&options, &limits, lk_posix_heap(), 0, &why, &keys);
  if (err != LK_OK)
    lk_settings_note(settings, 0, false, "%.*s (%s)", (int)why.len, (const char *)why.ptr,
                     lk_err_name(err));
  lk_keyring_close(keys);
  lk_buf_deinit(&why);
}

char *lk_cli_problem_text(const lk_settings *settings, uint32_t index, char *out, size_t size) {
  const lk_settings_problem *p = &settings->problems[index];
  const char *kind = p->is_warning ? "warning: " : "";
  if (p->line == 0) (void)snprintf(out, size, "%s%s", kind, p->text);
  else (void)snprintf(out, size, "%s:%u: %s%s", settings->file, (unsigned)p->line, kind, p->text);
  return out;
}
