/* cli/cmd_help.c -- the table of commands, for people. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "server/console.h"
#include "server/settings.h"

#define WIDTH 78

/* |text| in lines of at most WIDTH bytes that begin with |indent| spaces; the first line has its
 * own |lead| in front. An empty line in |text| stays one. */
static void print_wrapped(const char *lead, int indent, const char *text) {
  int column = printf("%-*s", indent, lead);
  while (*text != 0) {
    size_t len = strcspn(text, " \n");
    bool starts = column <= indent;
    if (!starts && column + 1 + (int)len > WIDTH) {
      column = printf("\n%*s", indent, "") - 1;
      starts = true;
    }
    column += printf("%s%.*s", starts ? "" : " ", (int)len, text);
    text += len;
    if (strncmp(text, "\n\n", 2) == 0) {
      column = printf("\n\n%*s", indent, "") - 2;
      text += 2;
    } else if (*text != 0) {
      text++;
    }
  }
  (void)printf("\n");
}

/* What is said of a setting: its text, what it may be, and its default. */
static const char *setting_text(const lk_setting_row *row, char *out, size_t size) {
  char wanted[256];
  bool is_plain = row->type == LK_SETTING_FLAG || row->type == LK_SETTING_PATH ||
                  row->type == LK_SETTING_SECRET || row->type == LK_SETTING_TEXT ||
                  lk_setting_is_list(row);
  (void)snprintf(out, size, "%s%s%s%s%s%s%s", row->text, is_plain ? "" : ": ",
                 is_plain ? "" : lk_setting_expectation(row, wanted, sizeof wanted),
                 row->preset[0] != 0 && row->type != LK_SETTING_FLAG ? " (default " : "",
                 row->type != LK_SETTING_FLAG ? row->preset : "",
                 row->preset[0] != 0 && row->type != LK_SETTING_FLAG ? ")" : "",
                 row->when == LK_SETTING_RESERVED ? "; reserved for a later version" : "");
  return out;
}

static const char *option_text(const lk_cli_option *option, char *out, size_t size) {
  for (uint32_t i = 0; i < LK_SETTINGS_LIMITS && strcmp(option->command, "serve") == 0; i++) {
    const lk_setting_row *row = lk_setting_row_of((lk_setting)i);
    if (strcmp(row->flag, option->name) == 0) return setting_text(row, out, size);
  }
  return option->text;
}

static void print_option(const lk_cli_option *option) {
  char lead[48];
  bool has_short = option->short_name[0] != 0;
  (void)snprintf(lead, sizeof lead, "  %s%s%s--%s %s", has_short ? "-" : "",
                 has_short ? option->short_name : "    ", has_short ? ", " : "", option->name,
                 option->argument);
  char text[1024];
  print_wrapped(lead, 26, option_text(option, text, sizeof text));
}

static void print_summary(const lk_cli_command *command) {
  char lead[48], title[LK_CLI_TITLE_MAX];
  (void)snprintf(lead, sizeof lead, "  %s", lk_cli_command_title(command, title));
  print_wrapped(lead, 16, command->summary);
}

/* The commands within |group|, or those that are within none where it is NULL; how many. */
static size_t print_summaries(const lk_cli_command *group) {
  size_t count = 0;
  for (size_t i = 0; lk_cli_command_at(i) != NULL; i++) {
    const lk_cli_command *command = lk_cli_command_at(i);
    bool listed = group == NULL ? strchr(command->name, '_') == NULL
                                : lk_cli_command_is_within(command, group);
    if (!listed) continue;
    if (count++ == 0) (void)printf("\ncommands:\n");
    print_summary(command);
  }
  return count;
}

static void print_command(const lk_cli_command *command) {
  char title[LK_CLI_TITLE_MAX];
  (void)printf("usage: laniakea %s %s\n\n", lk_cli_command_title(command, title), command->usage);
  print_wrapped("", 0, command->description);
  if (print_summaries(command) > 0) {
    (void)printf("\nlaniakea %s COMMAND --help explains one.\n", title);
    return;
  }
  (void)printf("\noptions:\n");
  for (size_t i = 0; lk_cli_option_at(i) != NULL; i++) {
    if (strcmp(lk_cli_option_at(i)->command, command->name) == 0) print_option(lk_cli_option_at(i));
  }
  print_wrapped("  -h, --help", 26, "print this text");
}

static void print_overview(void) {
  (void)printf("usage: laniakea COMMAND [OPTION...]\n");
  (void)print_summaries(NULL);
  (void)printf("\nlaniakea COMMAND --help explains one; man laniakea explains all.\n");
}

void lk_cli_print_help(const lk_cli_command *command) {
  if (command == NULL) print_overview();
  else print_command(command);
}

int lk_cli_help(const lk_cli_args *args) {
  const lk_cli_command *command = NULL;
  const char *first = args->plain_count > 0 ? args->plain[0] : NULL;
  const char *second = args->plain_count > 1 ? args->plain[1] : NULL;
  if (first != NULL) command = lk_cli_find_command(first, second);
  if (args->plain_count > 2 || (first != NULL && command == NULL)) {
    lk_console_say("there is no command %s%s%s; laniakea --help lists them", first,
                   second != NULL ? " " : "", second != NULL ? second : "");
    return 2;
  }
  lk_cli_print_help(command);
  return lk_cli_finish_output();
}
