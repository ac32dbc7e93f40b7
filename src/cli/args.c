/* cli/args.c -- one table for parsing and for help, and a guess at what was meant.
 *
 * What a command takes beside options is the last thing of its usage: "FILE", "FILE...", or the same
 * in brackets where it may be left out. So the usage that people read is the one that counts. */
#include "cli/args.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "server/nearest.h"

static const lk_cli_command commands[] = {
#define COMMAND(name, usage, summary, description) { #name, usage, summary, description },
#define OPTION(command, name, short_name, argument, text)
#include "cli/commands.def"
#undef COMMAND
#undef OPTION
};

static const lk_cli_option options[] = {
#define COMMAND(name, usage, summary, description)
#define OPTION(command, name, short_name, argument, text)                                          \
  { #command, name, short_name, argument, text },
#include "cli/commands.def"
#undef COMMAND
#undef OPTION
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])
#define OPTION_COUNT (sizeof options / sizeof options[0])
_Static_assert(OPTION_COUNT <= LK_CLI_OPTIONS_MAX, "raise LK_CLI_OPTIONS_MAX");

const lk_cli_command *lk_cli_command_at(size_t index) {
  return index < COMMAND_COUNT ? &commands[index] : NULL;
}

const lk_cli_option *lk_cli_option_at(size_t index) {
  return index < OPTION_COUNT ? &options[index] : NULL;
}

/* The '_' between the two words of a name, not one of the two that stand for a dash; NULL where it is one word. */
static const char *gap_of(const char *name) {
  for (const char *at = name; (at = strchr(at, '_')) != NULL; at += 2) {
    if (at[1] != '_') return at;
  }
  return NULL;
}

char *lk_cli_command_title(const lk_cli_command *command, char *out) {
  size_t len = 0;
  for (const char *at = command->name; *at != 0 && len + 1 < LK_CLI_TITLE_MAX; at++) {
    bool is_dash = at[0] == '_' && at[1] == '_';
    out[len++] = is_dash ? '-' : *at == '_' ? ' ' : *at;
    if (is_dash) at++;
  }
  out[len] = 0;
  return out;
}

const lk_cli_command *lk_cli_find_command(const char *name, const char *second) {
  size_t len = strlen(name);
  for (size_t i = 0; i < COMMAND_COUNT; i++) {
    char title[LK_CLI_TITLE_MAX];
    (void)lk_cli_command_title(&commands[i], title);
    if (strncmp(title, name, len) != 0 || strchr(name, ' ') != NULL) continue;
    const char *rest = title[len] == ' ' ? title + len + 1 : NULL;
    if (second == NULL ? title[len] == 0 : rest != NULL && strcmp(rest, second) == 0)
      return &commands[i];
  }
  return NULL;
}

bool lk_cli_command_is_within(const lk_cli_command *other, const lk_cli_command *command) {
  size_t len = strlen(command->name);
  return strncmp(other->name, command->name, len) == 0 && gap_of(other->name) == other->name + len;
}

/* ---- what is not known ---- */

/* |group| is `a` where |word| should have been the b of an `a b`, and NULL otherwise. */
static lk_err unknown_command(lk_cli_args *out, const lk_cli_command *group, const char *word) {
  const char *first = group != NULL ? group->name : "", *gap = group != NULL ? " " : "";
  char titles[COMMAND_COUNT][LK_CLI_TITLE_MAX];
  lk_nearest nearest;
  lk_nearest_init(&nearest, word);
  for (size_t i = 0; i < COMMAND_COUNT; i++) {
    const char *second = strchr(lk_cli_command_title(&commands[i], titles[i]), ' ');
    if (group == NULL && second == NULL) lk_nearest_consider(&nearest, titles[i]);
    else if (group != NULL && lk_cli_command_is_within(&commands[i], group))
      lk_nearest_consider(&nearest, second + 1);
  }
  if (nearest.best != NULL)
    (void)snprintf(out->message, sizeof out->message,
                   "there is no command %s%s%.64s; did you mean %s?", first, gap, word,
                   nearest.best);
  else
    (void)snprintf(out->message, sizeof out->message,
                   "there is no command %s%s%.64s; laniakea %s%s--help lists them", first, gap,
                   word, first, gap);
  return LK_ERR_NOT_FOUND;
}

static lk_err unknown_option(lk_cli_args *out, const char *word) {
  char title[LK_CLI_TITLE_MAX];
  lk_nearest nearest;
  lk_nearest_init(&nearest, word + strspn(word, "-"));
  for (size_t i = 0; i < OPTION_COUNT; i++) {
    if (strcmp(options[i].command, out->command->name) == 0)
      lk_nearest_consider(&nearest, options[i].name);
  }
  (void)lk_cli_command_title(out->command, title);
  if (nearest.best != NULL) {
    (void)snprintf(out->message, sizeof out->message, "%s has no option %.64s; did you mean --%s?",
                   title, word, nearest.best);
  } else {
    (void)snprintf(out->message, sizeof out->message,
                   "%s has no option %.64s; laniakea %s --help lists them", title, word, title);
  }
  return LK_ERR_NOT_FOUND;
}

/* ---- parsing ---- */

/* The option that |word| names; |*inline_value| is what stands behind its '=', or NULL. */
static const lk_cli_option *find_option(const lk_cli_command *command, const char *word,
                                        const char **inline_value) {
  bool is_long = word[1] == '-';
  const char *name = word + (is_long ? 2 : 1);
  size_t len = is_long ? strcspn(name, "=") : strlen(name);
  *inline_value = name[len] == '=' ? name + len + 1 : NULL;
  for (size_t i = 0; i < OPTION_COUNT; i++) {
    const char *known = is_long ? options[i].name : options[i].short_name;
    bool same = strlen(known) == len && len > 0 && memcmp(known, name, len) == 0;
    if (same && strcmp(options[i].command, command->name) == 0) return &options[i];
  }
  return NULL;
}

/* |*next| is the argument behind, or NULL; it is set to NULL where it was taken. */
static lk_err take_option(lk_cli_args *out, const char *word, const char **next) {
  const char *inline_value;
  const lk_cli_option *option = find_option(out->command, word, &inline_value);
  if (option == NULL) return unknown_option(out, word);
  /* An argument in brackets may be left out, and stands behind a =: what follows is something else. */
  bool is_optional = option->argument[0] == '[' && inline_value == NULL;
  bool is_flag = option->argument[0] == 0;
  const char *value = is_flag || is_optional ? "" : inline_value != NULL ? inline_value : *next;
  if (is_flag && inline_value != NULL) {
    (void)snprintf(out->message, sizeof out->message, "--%s takes no value", option->name);
    return LK_ERR_INVALID;
  }
  if (value == NULL) {
    (void)snprintf(out->message, sizeof out->message, "--%s needs a value: --%s %s", option->name,
                   option->name, option->argument);
    return LK_ERR_INVALID;
  }
  if (out->given_count == LK_CLI_GIVEN_MAX) {
    (void)snprintf(out->message, sizeof out->message, "there are more than %d options",
                   LK_CLI_GIVEN_MAX);
    return LK_ERR_LIMIT;
  }
  if (!is_flag && !is_optional && inline_value == NULL) *next = NULL;
  out->given[out->given_count++] = (lk_cli_given){ (uint32_t)(option - options), value };
  out->values[option - options] = value;
  return LK_OK;
}

/* What stands last in a usage, if it is no option: "FILE", "FILE...", "[COMMAND...]"; otherwise "". */
static const char *last_of_usage(const lk_cli_command *command) {
  const char *usage = command->usage;
  size_t len = strlen(usage);
  if (len == 0) return "";
  const char *last = strrchr(usage, usage[len - 1] == ']' ? '[' : ' ');
  last = last == NULL ? usage : last + (*last == ' ' ? 1 : 0);
  return strncmp(last, "[-", 2) == 0 || strncmp(last, "[OPTION", 7) == 0 ? "" : last;
}

static lk_err take_plain(lk_cli_args *out, char **argv, char *word) {
  const char *last = last_of_usage(out->command);
  size_t max = last[0] == 0 ? 0 : strstr(last, "...") != NULL ? SIZE_MAX : 1;
  char title[LK_CLI_TITLE_MAX];
  if (out->plain_count < max) {
    out->plain = argv;
    argv[out->plain_count++] = word; /* at most as far as it was read */
    return LK_OK;
  }
  (void)lk_cli_command_title(out->command, title);
  (void)snprintf(out->message, sizeof out->message,
                 "%s takes no %s %.64s; laniakea %s --help says what it takes", title,
                 max == 0 ? "argument" : "further argument", word, title);
  return LK_ERR_INVALID;
}

static lk_err check_plain(lk_cli_args *out) {
  const char *last = last_of_usage(out->command);
  char title[LK_CLI_TITLE_MAX];
  bool lacks = out->plain_count == 0 && last[0] != 0 && last[0] != '[';
  if (!lacks || out->wants_help) return LK_OK;
  (void)lk_cli_command_title(out->command, title);
  (void)snprintf(out->message, sizeof out->message, "%s needs %s; laniakea %s --help says more",
                 title, last, title);
  return LK_ERR_INVALID;
}

static bool is_help(const char *word) {
  return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static bool has_parts(const lk_cli_command *command) {
  for (size_t i = 0; i < COMMAND_COUNT; i++) {
    if (lk_cli_command_is_within(&commands[i], command)) return true;
  }
  return false;
}

/* |*words| is how many of |word| and |second| were taken. */
static lk_err take_command(lk_cli_args *out, const char *word, const char *second, int *words) {
  *words = 1;
  if (word == NULL || is_help(word)) word = "help";
  else if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) word = "version";
  out->command = lk_cli_find_command(word, NULL);
  if (out->command == NULL) return unknown_command(out, NULL, word);
  if (!has_parts(out->command) || second == NULL || second[0] == '-') return LK_OK;
  *words = 2;
  const lk_cli_command *group = out->command;
  out->command = lk_cli_find_command(word, second);
  return out->command != NULL ? LK_OK : unknown_command(out, group, second);
}

lk_err lk_cli_args_parse(int argc, char **argv, lk_cli_args *out) {
  bool options_over = false;
  int words;
  *out = (lk_cli_args){ 0 };
  lk_err err = take_command(out, argc > 1 ? argv[1] : NULL, argc > 2 ? argv[2] : NULL, &words);
  for (int i = 1 + words; i < argc && err == LK_OK; i++) {
    char *word = argv[i];
    const char *next = i + 1 < argc ? argv[i + 1] : NULL, *before = next;
    if (!options_over && strcmp(word, "--") == 0) options_over = true;
    else if (!options_over && is_help(word)) out->wants_help = true;
    else if (!options_over && word[0] == '-' && word[1] != 0) err = take_option(out, word, &next);
    else err = take_plain(out, argv, word);
    if (next != before) i++;
  }
  return err == LK_OK ? check_plain(out) : err;
}

const char *lk_cli_args_get(const lk_cli_args *self, const char *name) {
  for (size_t i = 0; i < OPTION_COUNT; i++) {
    if (strcmp(options[i].command, self->command->name) == 0 && strcmp(options[i].name, name) == 0)
      return self->values[i];
  }
  LK_UNREACHABLE(); /* commands.def has no such option */
}

const char *lk_cli_args_next(const lk_cli_args *self, const char *name, size_t *pos) {
  while (*pos < self->given_count) {
    const lk_cli_given *given = &self->given[(*pos)++];
    if (strcmp(options[given->option].name, name) == 0) return given->value;
  }
  return NULL;
}

bool lk_cli_parse_number(const char *text, uint64_t max, uint64_t *out) {
  uint64_t value = 0;
  size_t len = strlen(text);
  if (len == 0 || len > 19) return false; /* 19 digits fit into 64 bits */
  for (size_t i = 0; i < len; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    value = value * 10 + (uint64_t)(text[i] - '0');
  }
  if (value > max) return false;
  *out = value;
  return true;
}
