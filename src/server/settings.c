/* server/settings.c -- one table, and what was made of it.
 *
 * Whatever gives a value (a file, the environment, a flag) gives text, and the row of the table says how to read it: so
 * the same value means the same wherever it stands. Sources may come in any order; a weaker one that comes
 * late changes nothing, but what is wrong with it is told all the same.
 *
 *   default < file < environment < flag */
#include "server/settings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "codec/number.h"
#include "codec/utf.h"
#include "server/nearest.h"

#define ARENA_MAX ((size_t)16 << 20)
#define TEXT_MAX 4095 /* one value; what a path may have */
#define QUOTED_MAX 64 /* of a value in a message */
#define MESSAGE_MAX 512
#define PREFIX "LANIAKEA_"

static const lk_setting_row rows[] = {
#define SETTING(id, name, type, preset, least, most, words, flag, short, argument, when, text)      \
  {                                                                                                 \
    name, preset, words, flag, argument, text, 0, least, most, LK_SETTING_##type, LK_SETTING_##when \
  },
#include "server/settings.def"
#undef SETTING
#define LIMIT(name, preset, ceiling, why)                                                          \
  { "limit." #name, NULL, "",        "limit",          "NAME=N",          why,                     \
    (preset),       1,    (ceiling), LK_SETTING_COUNT, LK_SETTING_RESTART },
#include "base/limits.def"
#undef LIMIT
};
_Static_assert(sizeof rows / sizeof rows[0] == LK_SETTINGS_COUNT, "one row for each setting");

const lk_setting_row *lk_setting_row_of(lk_setting setting) {
  LK_ASSERT(setting < LK_SETTINGS_COUNT);
  return &rows[setting];
}

/* Limits of bytes are told by their names, as limits.def promises. */
lk_setting_type lk_setting_type_of(const lk_setting_row *row) {
  bool is_bytes = row->preset == NULL &&
                  lk_slice_ends_with(lk_slice_cstr(row->name), LK_LIT("_bytes"));
  return is_bytes ? LK_SETTING_BYTES : row->type;
}

char *lk_setting_variable(const lk_setting_row *row, char *out) {
  size_t len = sizeof PREFIX - 1;
  memcpy(out, PREFIX, len);
  for (const char *at = row->name; *at != 0; at++) {
    LK_ASSERT(len + 1 < LK_SETTINGS_VARIABLE_MAX);
    out[len++] = *at == '.' || *at == '-' ? '_' : *at >= 'a' && *at <= 'z' ? (char)(*at - 32) : *at;
  }
  out[len] = 0;
  return out;
}

bool lk_setting_find(lk_slice name, lk_setting *out) {
  for (uint32_t i = 0; i < LK_SETTINGS_COUNT; i++) {
    if (!lk_slice_equal(name, lk_slice_cstr(rows[i].name))) continue;
    *out = (lk_setting)i;
    return true;
  }
  return false;
}

/* ---- quantities ---- */

typedef struct unit {
  const char *name;
  uint64_t factor;
} unit;

static const unit byte_units[] = {
  { "", 1 }, { "K", 1024 }, { "M", 1024 * 1024 }, { "G", 1u << 30 }
};
static const unit time_units[] = {
  { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }
};
static const unit no_units[] = { { "", 1 } };

#define UNITS(table) table, sizeof table / sizeof table[0]

static bool read_quantity(const char *text, const unit *units, size_t count, uint64_t *out) {
  size_t digits = strspn(text, "0123456789");
  uint64_t value;
  /* Zeros in front are allowed here, as a shell's printf %02d makes them. */
  lk_slice number = lk_slice_of(text, digits);
  while (number.len > 1 && number.ptr[0] == '0') number = lk_slice_skip(number, 1);
  if (digits == 0 || lk_number_parse_u64(number, &value) != LK_OK) return false;
  for (size_t i = 0; i < count; i++) {
    if (strcmp(text + digits, units[i].name) != 0) continue;
    if (value > UINT64_MAX / units[i].factor) return false;
    *out = value * units[i].factor;
    return true;
  }
  return false;
}

static bool in_range(const lk_setting_row *row, uint64_t value) {
  return value >= row->least && value <= row->most;
}

/* In the largest unit that divides it. */
static void print_quantity(uint64_t value, const unit *units, size_t count, char *out,
                           size_t size) {
  size_t best = 0;
  for (size_t i = 0; i < count && value > 0; i++) {
    if (value % units[i].factor == 0) best = i;
  }
  (void)snprintf(out, size, "%llu%s", (unsigned long long)(value / units[best].factor),
                 units[best].name);
}

char *lk_setting_expectation(const lk_setting_row *row, char *out, size_t size) {
  char least[32], most[32];
  unsigned long long low = row->least, high = row->most;
  switch (lk_setting_type_of(row)) {
  case LK_SETTING_ADDRESS:
    (void)snprintf(out, size, "an address in numbers, such as 127.0.0.1 or ::1");
    break;
  case LK_SETTING_PORT:
  case LK_SETTING_COUNT: (void)snprintf(out, size, "a number from %llu to %llu", low, high); break;
  case LK_SETTING_BYTES:
    print_quantity(row->least, UNITS(byte_units), least, sizeof least);
    print_quantity(row->most, UNITS(byte_units), most, sizeof most);
    (void)snprintf(out, size, "a number of bytes from %s to %s, such as 65536, 64K or 4M", least,
                   most);
    break;
  case LK_SETTING_DURATION:
    print_quantity(row->least, UNITS(time_units), least, sizeof least);
    print_quantity(row->most, UNITS(time_units), most, sizeof most);
    (void)snprintf(out, size, "a time from %s to %s, such as 250ms, 10s, 5m, 12h or 7d", least,
                   most);
    break;
  case LK_SETTING_CHOICE: (void)snprintf(out, size, "one of: %s", row->words); break;
  case LK_SETTING_FLAG: (void)snprintf(out, size, "true or false"); break;
  case LK_SETTING_LIST: (void)snprintf(out, size, "a list of texts"); break;
  case LK_SETTING_TEXT: (void)snprintf(out, size, "a text"); break;
  case LK_SETTING_PATHS:
  case LK_SETTING_SECRETS:
    (void)snprintf(out, size, "the path of a file, or a list of them");
    break;
  case LK_SETTING_PATH:
  case LK_SETTING_SECRET: (void)snprintf(out, size, "the path of a file or directory"); break;
  }
  return out;
}

/* ---- problems ---- */

static const char *copy_text(lk_settings *self, lk_slice text) {
  uint8_t *copy = lk_arena_push_bytes(&self->arena, text.len + 1);
  if (copy == NULL) {
    self->out_of_memory = true;
    return NULL;
  }
  if (text.len > 0) memcpy(copy, text.ptr, text.len);
  copy[text.len] = 0;
  return (const char *)copy;
}

void lk_settings_note(lk_settings *self, uint32_t line, bool is_warning, const char *format, ...) {
  char message[MESSAGE_MAX];
  va_list args;
  if (!is_warning) self->errors++;
  if (self->problems_count == LK_SETTINGS_PROBLEMS_MAX) return;
  va_start(args, format);
  int len = vsnprintf(message, sizeof message, format, args);
  va_end(args);
  if (len < 0) len = 0;
  const char *text = copy_text(self,
                               lk_slice_of(message, lk_min_size((size_t)len, sizeof message - 1)));
  if (text == NULL) text = "there is no memory to say what is wrong";
  self->problems[self->problems_count++] =
      (lk_settings_problem){ .text = text, .line = line, .is_warning = is_warning };
}

static const char *name_for(const lk_setting_row *row, lk_settings_source source, char *out,
                            size_t size) {
  char variable[LK_SETTINGS_VARIABLE_MAX];
  switch (source) {
  case LK_SETTINGS_DEFAULT:
  case LK_SETTINGS_FILE: (void)snprintf(out, size, "%s", row->name); break;
  case LK_SETTINGS_ENVIRONMENT:
    (void)snprintf(out, size, "%s", lk_setting_variable(row, variable));
    break;
  case LK_SETTINGS_FLAG:
    if (row->preset != NULL) (void)snprintf(out, size, "--%s", row->flag);
    else (void)snprintf(out, size, "--limit %s", strchr(row->name, '.') + 1);
    break;
  }
  return out;
}

const char *lk_settings_origin(const lk_settings *self, lk_setting setting, char *out,
                               size_t size) {
  return name_for(&rows[setting], self->values[setting].source, out, size);
}

static void refuse(lk_settings *self, const lk_setting_row *row, const char *text,
                   const lk_setting_value *value) {
  char name[LK_SETTINGS_VARIABLE_MAX], wanted[256];
  lk_settings_note(self, value->line, false, "%s %.*s%s is not %s",
                   name_for(row, value->source, name, sizeof name), QUOTED_MAX, text,
                   strlen(text) > QUOTED_MAX ? "..." : "",
                   lk_setting_expectation(row, wanted, sizeof wanted));
}

/* ---- reading a value ---- */

static bool has_word(const char *words, const char *text) {
  size_t len = strlen(text);
  for (const char *at = words; len > 0 && (at = strstr(at, text)) != NULL; at += len) {
    bool begins = at == words || at[-1] == ' ', ends = at[len] == 0 || at[len] == ' ';
    if (begins && ends) return true;
  }
  return false;
}

static bool read_flag(const char *text, uint64_t *out) {
  *out = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
  return *out == 1 || strcmp(text, "false") == 0 || strcmp(text, "0") == 0;
}

/* Whether |text| is what |row| asks for; |*number| where it has one. */
static bool read_value(const lk_setting_row *row, const char *text, uint64_t *number) {
  switch (lk_setting_type_of(row)) {
  case LK_SETTING_PORT:
  case LK_SETTING_COUNT:
    return read_quantity(text, UNITS(no_units), number) && in_range(row, *number);
  case LK_SETTING_BYTES:
    return read_quantity(text, UNITS(byte_units), number) && in_range(row, *number);
  case LK_SETTING_DURATION:
    return read_quantity(text, UNITS(time_units), number) && in_range(row, *number);
  case LK_SETTING_FLAG: return read_flag(text, number);
  case LK_SETTING_CHOICE: return has_word(row->words, text);
  case LK_SETTING_ADDRESS: return text[0] != 0 && strlen(text) < 64; /* finish() looks closer */
  case LK_SETTING_PATH:
  case LK_SETTING_SECRET: return strlen(text) <= TEXT_MAX;
  case LK_SETTING_TEXT: return strlen(text) <= TEXT_MAX;
  case LK_SETTING_LIST:
  case LK_SETTING_PATHS:
  case LK_SETTING_SECRETS: return true;
  }
  LK_UNREACHABLE();
}

static void set_preset(lk_settings *self, lk_setting setting) {
  const lk_setting_row *row = &rows[setting];
  lk_setting_value *value = &self->values[setting];
  *value = (lk_setting_value){ .text = row->preset != NULL ? row->preset : "",
                               .number = row->preset != NULL ? LK_SETTINGS_NONE
                                                             : row->preset_number };
  if (value->text[0] == 0) return;
  if (lk_setting_is_list(row)) value->count = 1;
  bool ok = read_value(row, value->text, &value->number);
  LK_ASSERT(ok); /* of the table */
}

void lk_settings_init(lk_settings *self, const lk_alloc *alloc) {
  memset(self, 0, sizeof *self);
  lk_arena_init(&self->arena, alloc, ARENA_MAX);
  for (uint32_t i = 0; i < LK_SETTINGS_COUNT; i++) set_preset(self, (lk_setting)i);
}

void lk_settings_deinit(lk_settings *self) { lk_arena_deinit(&self->arena); }

/* ---- taking ---- */

/* "a, b" as two texts with a NUL behind each; how many. Blanks around them do not count, nor does what is empty. */
static uint32_t split_list(lk_slice text, char *out) {
  uint32_t count = 0;
  while (text.len > 0) {
    lk_slice one = lk_slice_trim(lk_slice_cut(text, ',', &text));
    if (one.len == 0) continue;
    memcpy(out, one.ptr, one.len);
    out[one.len] = 0;
    out += one.len + 1;
    count++;
  }
  *out = 0;
  return count;
}

/* |text| is |count| texts, each with a NUL behind it, where |row| is a list. */
static void put(lk_settings *self, lk_setting setting, lk_slice text, lk_setting_value value) {
  const lk_setting_row *row = &rows[setting];
  const char *copy = copy_text(self, text);
  value.number = LK_SETTINGS_NONE;
  if (copy == NULL) return;
  if (!read_value(row, copy, &value.number)) {
    refuse(self, row, copy, &value);
    return;
  }
  value.text = copy;
  if (value.source >= self->values[setting].source) self->values[setting] = value;
}

void lk_settings_take(lk_settings *self, lk_setting setting, const char *text,
                      lk_settings_source source) {
  char items[TEXT_MAX + 2];
  lk_setting_value value = { .source = source };
  lk_slice given = lk_slice_cstr(text);
  if (given.len > TEXT_MAX || lk_utf8_check(given) != LK_OK) {
    char name[LK_SETTINGS_VARIABLE_MAX];
    lk_settings_note(self, 0, false, "the value of %s is longer than %d bytes, or not UTF-8",
                     name_for(&rows[setting], source, name, sizeof name), TEXT_MAX);
    return;
  }
  if (lk_setting_is_list(&rows[setting])) {
    value.count = split_list(given, items);
    size_t len = 0;
    for (uint32_t i = 0; i < value.count; i++) len += strlen(items + len) + 1;
    given = lk_slice_of(items, len);
  }
  put(self, setting, given, value);
}

void lk_settings_take_line(lk_settings *self, lk_setting setting, lk_slice text, uint32_t count,
                           uint32_t line) {
  if (lk_setting_is_list(&rows[setting]) && count == 0 && text.len > 0)
    count = 1; /* a text alone */
  put(self, setting, text,
      (lk_setting_value){ .source = LK_SETTINGS_FILE, .line = line, .count = count });
}

void lk_settings_take_limit(lk_settings *self, const char *text) {
  char name[LK_SETTINGS_NAME_MAX + 8];
  lk_setting setting;
  size_t len = strcspn(text, "=");
  if (text[len] != '=') {
    lk_settings_note(self, 0, false, "--limit %.*s has no value; write --limit NAME=N", QUOTED_MAX,
                     text);
    return;
  }
  (void)snprintf(name, sizeof name, "limit.%.*s", (int)lk_min_size(len, LK_SETTINGS_NAME_MAX),
                 text);
  if (lk_setting_find(lk_slice_cstr(name), &setting)) {
    lk_settings_take(self, setting, text + len + 1, LK_SETTINGS_FLAG);
    return;
  }
  lk_nearest nearest;
  lk_nearest_init(&nearest, name);
  for (uint32_t i = LK_SETTINGS_LIMITS; i < LK_SETTINGS_COUNT; i++)
    lk_nearest_consider(&nearest, rows[i].name);
  lk_settings_note(self, 0, false, "there is no limit %.*s%s%s%s",
                   (int)lk_min_size(len, QUOTED_MAX), text,
                   nearest.best != NULL ? "; did you mean " : "",
                   nearest.best != NULL ? strchr(nearest.best, '.') + 1 : "",
                   nearest.best != NULL ? "?" : "; laniakea check-config lists them");
}

/* ---- the environment ---- */

static bool is_variable(const char *entry, const lk_setting_row *row) {
  char name[LK_SETTINGS_VARIABLE_MAX];
  size_t len = strlen(lk_setting_variable(row, name));
  return strncmp(entry, name, len) == 0 && entry[len] == '=';
}

static void take_variable(lk_settings *self, const char *entry) {
  const char *value = strchr(entry, '=');
  if (value == NULL || value[1] == 0 || strncmp(entry, PREFIX "CONFIG=", sizeof PREFIX + 6) == 0)
    return;
  for (uint32_t i = 0; i < LK_SETTINGS_COUNT; i++) {
    if (!is_variable(entry, &rows[i])) continue;
    lk_settings_take(self, (lk_setting)i, value + 1, LK_SETTINGS_ENVIRONMENT);
    return;
  }
  lk_settings_note(self, 0, true, "%.*s of the environment is no setting, and has no effect",
                   (int)lk_min_size((size_t)(value - entry), QUOTED_MAX), entry);
}

void lk_settings_take_environment(lk_settings *self, char *const *environment) {
  for (; *environment != NULL; environment++) {
    if (strncmp(*environment, PREFIX, sizeof PREFIX - 1) == 0) take_variable(self, *environment);
  }
}

/* ---- results ---- */

lk_limits lk_settings_limits(const lk_settings *self) {
  lk_limits limits = lk_limits_default();
  for (uint32_t i = LK_SETTINGS_LIMITS; i < LK_SETTINGS_COUNT; i++) {
    const char *name = strchr(rows[i].name, '.') + 1;
    lk_err err = lk_limits_set(&limits, lk_slice_cstr(name), self->values[i].number);
    LK_ASSERT(err == LK_OK); /* its range is the setting's */
  }
  return limits;
}

#define RATE(of)                                                                                   \
  {                                                                                                \
    .messages = lk_settings_number(self, LK_SETTING_rate_##of##_messages),                         \
    .bytes = lk_settings_number(self, LK_SETTING_rate_##of##_bytes),                               \
    .joins = lk_settings_number(self, LK_SETTING_rate_##of##_joins)                                \
  }

lk_rates lk_settings_rates(const lk_settings *self) {
  return (lk_rates){ .burst_ns = lk_settings_number(self, LK_SETTING_rate_burst) * 1000000,
                     .connection = RATE(connection),
                     .subject = RATE(subject),
                     .topic = RATE(topic),
                     .api = { .messages = lk_settings_number(self, LK_SETTING_rate_api_requests),
                              .bytes = lk_settings_number(self, LK_SETTING_rate_api_bytes) } };
}
