/* server/settings_check.c -- settings against each other, and against the system.
 *
 * What a value by itself can tell was seen when it came. Here is the rest: files that are named must be there,
 * and secrets must be secret. A secret is never opened: whether others may read it is in its mode. */
#include "server/settings.h"

#include <errno.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/origin.h"

static bool is_given(const lk_settings *self, lk_setting setting) {
  return self->values[setting].source != LK_SETTINGS_DEFAULT &&
         (self->values[setting].text[0] != 0 || self->values[setting].count > 0);
}

#define COMPLAIN(self, setting, ...)                                                               \
  lk_settings_note((self), (self)->values[setting].line, false, __VA_ARGS__)

static void check_address(lk_settings *self, lk_setting setting) {
  const char *text = self->values[setting].text;
  struct in6_addr v6;
  struct in_addr v4;
  char name[LK_SETTINGS_VARIABLE_MAX];
  (void)lk_settings_origin(self, setting, name, sizeof name);
  if (inet_pton(AF_INET, text, &v4) != 1 && inet_pton(AF_INET6, text, &v6) != 1)
    COMPLAIN(self, setting, "%s %s is not an address in numbers, such as 127.0.0.1 or ::1", name,
             text);
  else if (!lk_origin_address_is_loopback(text))
    COMPLAIN(self, setting,
             "this version cannot tell who may do what, so it listens on 127.0.0.1 and ::1 only; "
             "%s %s is "
             "neither, leave it out",
             name, text);
}

/* False where it has been told that the file cannot be used. */
static bool check_file(lk_settings *self, lk_setting setting, struct stat *about) {
  const char *path = self->values[setting].text;
  char name[LK_SETTINGS_VARIABLE_MAX];
  (void)lk_settings_origin(self, setting, name, sizeof name);
  if (stat(path, about) != 0) COMPLAIN(self, setting, "%s: %s: %s", name, path, strerror(errno));
  else if (!S_ISREG(about->st_mode)) COMPLAIN(self, setting, "%s: %s is not a file", name, path);
  else if (about->st_size == 0) COMPLAIN(self, setting, "%s: %s is empty", name, path);
  else if (access(path, R_OK) != 0)
    COMPLAIN(self, setting, "%s: %s: %s", name, path, strerror(errno));
  else return true;
  return false;
}

static void check_secret(lk_settings *self, lk_setting setting) {
  struct stat about;
  char name[LK_SETTINGS_VARIABLE_MAX];
  if (!check_file(self, setting, &about) || (about.st_mode & (S_IROTH | S_IWOTH)) == 0) return;
  COMPLAIN(self, setting, "%s: everybody on this machine may %s %s; chmod 600 makes it a secret",
           lk_settings_origin(self, setting, name, sizeof name),
           (about.st_mode & S_IROTH) != 0 ? "read" : "change", self->values[setting].text);
}

/* It may be missing: then it is made. */
static void check_data(lk_settings *self) {
  struct stat about;
  const char *path = self->values[LK_SETTING_data].text;
  if (stat(path, &about) == 0 && !S_ISDIR(about.st_mode))
    COMPLAIN(self, LK_SETTING_data, "data: %s is not a directory", path);
}

static void check_one(lk_settings *self, lk_setting setting) {
  const lk_setting_row *row = lk_setting_row_of(setting);
  struct stat about;
  char name[LK_SETTINGS_VARIABLE_MAX];
  if (row->type == LK_SETTING_ADDRESS) check_address(self, setting);
  if (!is_given(self, setting)) return;
  if (setting == LK_SETTING_data) check_data(self);
  else if (row->type == LK_SETTING_SECRET) check_secret(self, setting);
  else if (row->type == LK_SETTING_PATH) (void)check_file(self, setting, &about);
  if (row->when == LK_SETTING_RESERVED)
    COMPLAIN(self, setting, "%s is for a later version: this one does not serve it; leave it out",
             lk_settings_origin(self, setting, name, sizeof name));
}

static void check_pair(lk_settings *self, lk_setting one, lk_setting other) {
  if (is_given(self, one) && !is_given(self, other))
    COMPLAIN(self, one, "%s needs %s beside it", lk_setting_row_of(one)->name,
             lk_setting_row_of(other)->name);
}

void lk_settings_finish(lk_settings *self) {
  for (uint32_t i = 0; i < LK_SETTINGS_LIMITS; i++) check_one(self, (lk_setting)i);
  check_pair(self, LK_SETTING_tls_cert, LK_SETTING_tls_key);
  check_pair(self, LK_SETTING_tls_key, LK_SETTING_tls_cert);
  check_pair(self, LK_SETTING_tls_listen, LK_SETTING_tls_cert);
  if (self->out_of_memory)
    lk_settings_note(self, 0, false, "there is not enough memory for the settings");
}
