/* cli/args.h -- the command line, read by the table of cli/commands.def.
 *
 * `--name VALUE`, `--name=VALUE`, `-n VALUE`, and flags without a value; "--" ends the options.
 * What the table does not know is refused in one line that names the nearest thing which it knows.
 *
 * A command of the table that is called a_b is typed as two words, `laniakea a b`; `a` is in the
 * table as well, and explains what there is. One that is called a__b is typed `laniakea a-b`. */
#ifndef LK_CLI_ARGS_H
#define LK_CLI_ARGS_H

#include "laniakea/types.h"

#define LK_CLI_OPTIONS_MAX 192
#define LK_CLI_GIVEN_MAX 256
#define LK_CLI_TITLE_MAX 32
#define LK_CLI_MESSAGE_MAX 256

typedef struct lk_cli_command {
  const char *name;
  const char *usage;
  const char *summary;
  const char *description;
} lk_cli_command;

typedef struct lk_cli_option {
  const char *command;
  const char *name;
  const char *short_name; /* "" where there is none */
  const char *argument;   /* "" for a flag */
  const char *text;
} lk_cli_option;

/* The entry |index| of the table, or NULL past its end. */
const lk_cli_command *lk_cli_command_at(size_t index);
const lk_cli_option *lk_cli_option_at(size_t index);

/* The command called |name|, and |second| where it has two words, which is NULL otherwise. NULL
 * where there is none. */
const lk_cli_command *lk_cli_find_command(const char *name, const char *second);

/* Its name as it is typed. |out| has room for LK_CLI_TITLE_MAX bytes and is returned. */
char *lk_cli_command_title(const lk_cli_command *command, char *out);

/* Whether |command| is `a` and |other| one of its `a b`. */
bool lk_cli_command_is_within(const lk_cli_command *other, const lk_cli_command *command);

typedef struct lk_cli_given {
  uint32_t option; /* its index in the table */
  const char *value;
} lk_cli_given;

typedef struct lk_cli_args {
  const lk_cli_command *command;
  const char *values[LK_CLI_OPTIONS_MAX]; /* by index in the table: NULL not given, "" for a flag */
  lk_cli_given given[LK_CLI_GIVEN_MAX];   /* the same one by one, as they came */
  size_t given_count;
  char **plain; /* what is no option: as many as the usage allows */
  size_t plain_count;
  bool wants_help;                  /* --help or -h, anywhere */
  char message[LK_CLI_MESSAGE_MAX]; /* after a failure: one line, without newline */
} lk_cli_args;

/* LK_ERR_NOT_FOUND (no such command or option), LK_ERR_INVALID (a value missing or too many):
 * |message| says what and what else; the rest of |out| is undefined. LK_ERR_LIMIT: more than
 * LK_CLI_GIVEN_MAX options. An option that is given twice has its last value in |values|. Values point into |argv|, whose order is changed: the plain arguments
 * come to its front. */
/* not foreign: the command line is the operator's own */
lk_err lk_cli_args_parse(int argc, char **argv, lk_cli_args *out) LK_MUST_USE;

/* The value of --|name| of the parsed command, which must be in the table; NULL where not given. */
const char *lk_cli_args_get(const lk_cli_args *self, const char *name);

/* The value of --|name| that was given next, from |*pos| on, which begins at 0; NULL behind the last one. */
const char *lk_cli_args_next(const lk_cli_args *self, const char *name, size_t *pos);

/* Whether |text| is a decimal number from 0 to |max|, without sign or space. */
/* not foreign: the command line is the operator's own */
bool lk_cli_parse_number(const char *text, uint64_t max, uint64_t *out);

#endif
