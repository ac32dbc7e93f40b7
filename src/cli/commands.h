/* cli/commands.h -- what the commands of cli/commands.def do: one function each, named after it.
 *
 * Each returns the program's exit code: 0 it did what it was asked to, 1 it failed and has said why
 * on standard error, 2 the command line was not understood. */
#ifndef LK_CLI_COMMANDS_H
#define LK_CLI_COMMANDS_H

#include "cli/args.h"

#define COMMAND(name, usage, summary, description) int lk_cli_##name(const lk_cli_args *args);
#define OPTION(command, name, short_name, argument, text)
#include "cli/commands.def"
#undef COMMAND
#undef OPTION

/* Prints how to use |command|, or the list of commands where it is NULL, on standard output. */
void lk_cli_print_help(const lk_cli_command *command);

/* Flushes standard output: 0, or 1 where it could not be written. The last act of a command that
 * prints its result, so that a full disk is no success. */
int lk_cli_finish_output(void);

#endif
