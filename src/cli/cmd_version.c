/* cli/cmd_version.c -- `laniakea version`. */
#include <stdio.h>

#include "cli/commands.h"

int lk_cli_version(const lk_cli_args *args) {
  bool json = lk_cli_args_get(args, "json") != NULL;
  (void)printf(json ? "{\"name\":\"laniakea\",\"version\":\"%s\"}\n" : "laniakea %s\n",
               LK_VERSION_TEXT);
  return lk_cli_finish_output();
}
