/* server/settings.h -- what the server was told to do, where each part of that came from, and what is wrong with it.
 *
 *   lk_settings_init(&s, alloc);
 *   lk_settings_load(&s, "laniakea.toml", bytes);            in this order, or any other: a flag
 *   lk_settings_take_environment(&s, environ);               overrides the environment, and that
 *   lk_settings_take(&s, LK_SETTING_port, "80", LK_SETTINGS_FLAG);     the file
 *   lk_settings_finish(&s);
 *   if (s.problems_count > 0) ... else lk_settings_number(&s, LK_SETTING_port) ...
 *   lk_settings_deinit(&s);
 *
 * A file is written in the part of TOML that server/toml.h knows. What is wrong is collected, so that whoever
 * mends a file sees all of it at once; a value with a problem leaves the setting as it was.
 *
 * Secrets are files: a setting holds the path, and nobody here reads them. */
#ifndef LK_SERVER_SETTINGS_H
#define LK_SERVER_SETTINGS_H

#include "base/arena.h"
#include "base/limits.h"
#include "channel/alias.h"
#include "channel/bucket.h"
#include "room/policy.h"
#include "server/forwarded.h"

#define LK_SETTINGS_FILE_MAX (256u * 1024)
#define LK_SETTINGS_PROBLEMS_MAX 20
#define LK_SETTINGS_NAME_MAX 64
#define LK_SETTINGS_NONE UINT64_MAX /* a number that was not given and has no default */

typedef enum lk_setting {
#define SETTING(id, name, type, preset, least, most, words, flag, short, argument, when, text)     \
  LK_SETTING_##id,
#include "server/settings.def"
#undef SETTING
  LK_SETTINGS_LIMITS, /* limits from here on, in the order of limits.def */
  LK_SETTINGS_BACK_ = LK_SETTINGS_LIMITS - 1,
#define LIMIT(name, preset, ceiling, why) LK_SETTING_limit_##name,
#include "base/limits.def"
#undef LIMIT
  LK_SETTINGS_COUNT
} lk_setting;

typedef enum lk_setting_type {
  LK_SETTING_ADDRESS,
  LK_SETTING_PORT,
  LK_SETTING_PATH,
  LK_SETTING_SECRET,
  LK_SETTING_COUNT,
  LK_SETTING_BYTES,
  LK_SETTING_DURATION,
  LK_SETTING_CHOICE,
  LK_SETTING_FLAG,
  LK_SETTING_LIST,
  LK_SETTING_TEXT,
  LK_SETTING_PATHS,
  LK_SETTING_SECRETS,
} lk_setting_type;

typedef enum lk_setting_when {
  LK_SETTING_RESTART,
  LK_SETTING_RELOAD,
  LK_SETTING_RESERVED,
} lk_setting_when;

typedef struct lk_setting_row {
  const char *name;
  const char *preset; /* NULL: |preset_number| */
  const char *words;
  const char *flag;
  const char *argument;
  const char *text;
  uint64_t preset_number;
  uint64_t least;
  uint64_t most;
  lk_setting_type type;
  lk_setting_when when;
} lk_setting_row;

const lk_setting_row *lk_setting_row_of(lk_setting setting);

/* How its value is read: limits of bytes are COUNT in the table, and BYTES here. */
lk_setting_type lk_setting_type_of(const lk_setting_row *row);

/* Whether its value is several texts. */
static inline bool lk_setting_is_list(const lk_setting_row *row) {
  return row->type == LK_SETTING_LIST || row->type == LK_SETTING_PATHS ||
         row->type == LK_SETTING_SECRETS;
}

/* LANIAKEA_NAME. |out| has room for LK_SETTINGS_VARIABLE_MAX bytes and is returned. */
#define LK_SETTINGS_VARIABLE_MAX (LK_SETTINGS_NAME_MAX + 16)
char *lk_setting_variable(const lk_setting_row *row, char *out);

/* What a value must be, such as "a number from 0 to 65535". |out| is returned, cut to |size| bytes. */
char *lk_setting_expectation(const lk_setting_row *row, char *out, size_t size);

/* False where there is none. */
bool lk_setting_find(lk_slice name, lk_setting *out);

/* ---- values ---- */

typedef enum lk_settings_source {
  LK_SETTINGS_DEFAULT,
  LK_SETTINGS_FILE,
  LK_SETTINGS_ENVIRONMENT,
  LK_SETTINGS_FLAG,
} lk_settings_source;

typedef struct lk_setting_value {
  const char *text; /* as it was given; of a list, |count| strings one behind the other */
  uint64_t number;  /* of what is counted; milliseconds of a DURATION; 1 for true */
  uint32_t count;
  uint32_t line; /* in a FILE */
  lk_settings_source source;
} lk_setting_value;

typedef struct lk_settings_problem {
  const char *text;
  uint32_t line; /* of the file; 0: it is not in the file */
  bool is_warning;
} lk_settings_problem;

typedef struct lk_settings {
  lk_arena arena;
  lk_setting_value values[LK_SETTINGS_COUNT];
  lk_settings_problem problems[LK_SETTINGS_PROBLEMS_MAX];
  uint32_t problems_count; /* that are told */
  uint32_t errors;         /* all that are no warnings */
  const char *file;        /* what was loaded, or NULL */
  bool out_of_memory;
} lk_settings;

/* All at their defaults. */
void lk_settings_init(lk_settings *self, const lk_alloc *alloc);
/* Safe on a zeroed struct, and twice. */
void lk_settings_deinit(lk_settings *self);

/* Takes what a configuration file of at most LK_SETTINGS_FILE_MAX bytes says; |path|, which must outlive |self|, is for
 * people. Once. LK_ERR_NOMEM; what is wrong with the file is among the problems. */
lk_err lk_settings_load(lk_settings *self, const char *path, lk_slice bytes) LK_MUST_USE;

/* Takes LANIAKEA_NAME=VALUE of a NULL-terminated list. An empty value counts as not given. Other names that begin with
 * LANIAKEA_ are warned of, but for LANIAKEA_CONFIG, which is who calls. */
void lk_settings_take_environment(lk_settings *self, char *const *environment);

/* Takes one value, unless a stronger source has given one. */
void lk_settings_take(lk_settings *self, lk_setting setting, const char *text,
                      lk_settings_source source);

/* "NAME=VALUE" of --limit. */
void lk_settings_take_limit(lk_settings *self, const char *text);

/* Looks at what only all of them together, or the system, can tell: addresses, files that are named, and what
 * this version does not serve. Last. */
void lk_settings_finish(lk_settings *self);

/* Notes that something is wrong; |line| 0 where that is not in the file. */
void lk_settings_note(lk_settings *self, uint32_t line, bool is_warning, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* For settings_file.c: as lk_settings_take(), from |line| of the file; |text| as server/toml.h gives it. */
void lk_settings_take_line(lk_settings *self, lk_setting setting, lk_slice text, uint32_t count,
                           uint32_t line);

/* Where |setting| got its value from, for messages and for people: "port", "LANIAKEA_PORT" or "--port". */
const char *lk_settings_origin(const lk_settings *self, lk_setting setting, char *out, size_t size);

static inline uint64_t lk_settings_number(const lk_settings *self, lk_setting setting) {
  return self->values[setting].number;
}
static inline bool lk_settings_flag(const lk_settings *self, lk_setting setting) {
  return self->values[setting].number == 1;
}
/* NULL where it is empty. */
static inline const char *lk_settings_text(const lk_settings *self, lk_setting setting) {
  const char *text = self->values[setting].text;
  return text[0] != 0 ? text : NULL;
}
lk_limits lk_settings_limits(const lk_settings *self);
lk_rates lk_settings_rates(const lk_settings *self);
/* The aliases, and behind them our own, which borrow from |self| and are in |items|; those that finish() complained of are not all there. */
lk_aliases lk_settings_aliases(const lk_settings *self, lk_alias items[LK_ALIASES_MAX]);

/* Rules for topics, likewise. */
#define LK_SETTINGS_RULES_MAX 64
typedef struct lk_settings_rules {
  lk_slice ephemeral[LK_SETTINGS_RULES_MAX];
  lk_idle_rule idle[LK_SETTINGS_RULES_MAX];
  lk_version_rule versions[LK_SETTINGS_RULES_MAX];
  lk_slice y_off[LK_SETTINGS_RULES_MAX];
  lk_network proxies[LK_PROXIES_MAX];
} lk_settings_rules;
/* Those of y.off into |items|; how many. */
size_t lk_settings_y_off(const lk_settings *self, lk_settings_rules *items);
/* Likewise. */
lk_proxies lk_settings_proxies(const lk_settings *self, lk_settings_rules *items);
lk_room_policy lk_settings_policy(const lk_settings *self, lk_settings_rules *items);

#endif
