/* cli/main.c -- the program: which command, and what it makes of its arguments. */
#include <stdio.h>

#include "cli/commands.h"
#include "server/console.h"

int lk_cli_finish_output(void) {
  if (fflush(stdout) == 0 && ferror(stdout) == 0) return 0;
  lk_console_say("cannot write to standard output");
  return 1;
}

/* In the order of the table. */
static int (*const functions[])(const lk_cli_args *args) = {
#define COMMAND(name, usage, summary, description) lk_cli_##name,
#define OPTION(command, name, short_name, argument, text)
#include "cli/commands.def"
#undef COMMAND
#undef OPTION
};

int main(int argc, char **argv) {
  lk_cli_args args;
  if (lk_cli_args_parse(argc, argv, &args) != LK_OK) {
    lk_console_say("%s", args.message);
    return 2;
  }
  if (args.wants_help) {
    lk_cli_print_help(args.command);
    return lk_cli_finish_output();
  }
  return functions[args.command - lk_cli_command_at(0)](&args);
}
