/* server/settings_file.c -- a configuration file, line by line.
 *
 * TOML leaves to its readers what must not stand twice: names, sections, and a section of which some
 * setting stood above it by its full name. All of it is an error here, so that a file which is
 * accepted means the same to every other reader of TOML. A wrong line is told, and passed over. */
#include "server/settings.h"

#include <stdio.h>
#include <string.h>

#include "server/nearest.h"
#include "server/toml.h"

#define NAME_MAX_BYTES (2 * LK_TOML_NAME_MAX + 2)

typedef struct loading {
  lk_settings *settings;
  lk_toml toml;
  uint32_t named[LK_SETTINGS_COUNT];  /* the line on which a setting stands; 0: none yet */
  uint32_t header[LK_SETTINGS_COUNT]; /* of the section whose first setting this is */
  uint32_t dotted[LK_SETTINGS_COUNT]; /* of the first full name in that section */
} loading;

/* The first setting of a section, which stands for it; LK_SETTINGS_COUNT where there is no such section. */
static uint32_t find_section(lk_slice section) {
  for (uint32_t i = 0; i < LK_SETTINGS_COUNT; i++) {
    const char *name = lk_setting_row_of((lk_setting)i)->name;
    if (strncmp(name, (const char *)section.ptr, section.len) == 0 && name[section.len] == '.')
      return i;
  }
  return LK_SETTINGS_COUNT;
}

static void say_unknown(loading *self, const lk_toml_item *item, const char *what, const char *name,
                        const lk_nearest *nearest) {
  lk_settings_note(self->settings, item->line, false, "there is no %s %.*s%s%s%s", what,
                   NAME_MAX_BYTES, name, nearest->best != NULL ? "; did you mean " : "",
                   nearest->best != NULL ? nearest->best : "",
                   nearest->best != NULL ? "?" : "; laniakea check-config lists what there is");
}

static void take_section(loading *self, const lk_toml_item *item) {
  static const char *const known[] = { "limit", "log", "tls", "token" };
  uint32_t section = find_section(item->section);
  if (section == LK_SETTINGS_COUNT) {
    char name[NAME_MAX_BYTES];
    lk_nearest nearest;
    (void)snprintf(name, sizeof name, "%.*s", (int)item->section.len,
                   (const char *)item->section.ptr);
    lk_nearest_init(&nearest, name);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
      lk_nearest_consider(&nearest, known[i]);
    say_unknown(self, item, "section", name, &nearest);
    return;
  }
  uint32_t before = self->header[section] != 0 ? self->header[section] : self->dotted[section];
  if (before != 0)
    lk_settings_note(self->settings, item->line, false,
                     "the section %.*s was begun on line %u already; put all of it in one place",
                     (int)item->section.len, (const char *)item->section.ptr, (unsigned)before);
  else self->header[section] = item->line;
}

static const char *kind_name(lk_toml_kind kind) {
  switch (kind) {
  case LK_TOML_STRING: return "a text in quotes";
  case LK_TOML_INTEGER: return "a number without a unit";
  case LK_TOML_BOOLEAN: return "true or false";
  case LK_TOML_LIST: return "a list";
  case LK_TOML_SECTION: break;
  }
  LK_UNREACHABLE();
}

static bool may_be(lk_setting_type type, lk_toml_kind kind) {
  bool is_number = type == LK_SETTING_PORT || type == LK_SETTING_COUNT || type == LK_SETTING_BYTES;
  switch (kind) {
  case LK_TOML_INTEGER: return is_number;
  case LK_TOML_BOOLEAN: return type == LK_SETTING_FLAG;
  case LK_TOML_LIST:
    return type == LK_SETTING_LIST || type == LK_SETTING_PATHS || type == LK_SETTING_SECRETS;
  case LK_TOML_STRING: /* a unit needs quotes, a number has none */
    return type != LK_SETTING_FLAG && type != LK_SETTING_LIST && type != LK_SETTING_PORT &&
           type != LK_SETTING_COUNT;
  case LK_TOML_SECTION: break;
  }
  return false;
}

static bool is_bare(lk_setting_type type) {
  return type == LK_SETTING_FLAG || type == LK_SETTING_PORT || type == LK_SETTING_COUNT;
}

static void take_known(loading *self, const lk_toml_item *item, lk_setting setting) {
  const lk_setting_row *row = lk_setting_row_of(setting);
  const char *dot = strchr(row->name, '.');
  char wanted[256];
  if (self->named[setting] != 0) {
    lk_settings_note(self->settings, item->line, false,
                     "%s stands on line %u already; leave one of them out", row->name,
                     (unsigned)self->named[setting]);
    return;
  }
  self->named[setting] = item->line;
  if (dot != NULL && item->section.len == 0) {
    uint32_t section = find_section(lk_slice_of(row->name, (size_t)(dot - row->name)));
    if (self->dotted[section] == 0) self->dotted[section] = item->line;
  }
  lk_setting_type type = lk_setting_type_of(row);
  if (may_be(type, item->kind))
    lk_settings_take_line(self->settings, setting, item->text, item->count, item->line);
  else
    lk_settings_note(self->settings, item->line, false, "%s is %s; it must be %s%s", row->name,
                     kind_name(item->kind), lk_setting_expectation(row, wanted, sizeof wanted),
                     item->kind == LK_TOML_STRING && is_bare(type) ? ", without quotes" : "");
}

static void take_pair(loading *self, const lk_toml_item *item) {
  char name[NAME_MAX_BYTES];
  lk_setting setting;
  lk_nearest nearest;
  (void)snprintf(name, sizeof name, "%.*s%s%.*s", (int)item->section.len,
                 (const char *)item->section.ptr, item->section.len > 0 ? "." : "",
                 (int)item->name.len, (const char *)item->name.ptr);
  if (lk_setting_find(lk_slice_cstr(name), &setting)) {
    take_known(self, item, setting);
    return;
  }
  if (item->section.len > 0 && find_section(item->section) == LK_SETTINGS_COUNT) return; /* told */
  lk_nearest_init(&nearest, name);
  for (uint32_t i = 0; i < LK_SETTINGS_COUNT; i++)
    lk_nearest_consider(&nearest, lk_setting_row_of((lk_setting)i)->name);
  say_unknown(self, item, "setting", name, &nearest);
}

lk_err lk_settings_load(lk_settings *self, const char *path, lk_slice bytes) {
  loading l = { .settings = self };
  lk_toml_item item;
  lk_err err;
  self->file = path;
  if (bytes.len > LK_SETTINGS_FILE_MAX) {
    lk_settings_note(self, 1, false, "the file is longer than %u bytes",
                     (unsigned)LK_SETTINGS_FILE_MAX);
    return LK_OK;
  }
  lk_toml_init(&l.toml, self->arena.alloc, bytes);
  while ((err = lk_toml_parse_next(&l.toml, &item)) != LK_ERR_END && err != LK_ERR_NOMEM) {
    if (err != LK_OK) lk_settings_note(self, l.toml.number, false, "%s", l.toml.problem);
    else if (item.kind == LK_TOML_SECTION) take_section(&l, &item);
    else take_pair(&l, &item);
  }
  lk_toml_deinit(&l.toml);
  return err == LK_ERR_NOMEM || self->out_of_memory ? LK_ERR_NOMEM : LK_OK;
}
