/* cli/settings.h -- the settings of this run: from the file, the environment and the command line. */
#ifndef LK_CLI_SETTINGS_H
#define LK_CLI_SETTINGS_H

#include "cli/args.h"
#include "server/settings.h"

/* Reads |path|, else what LANIAKEA_CONFIG names, else nothing, and the environment. False where the file could not
 * be read, after saying why; what is wrong in it is among the problems. deinit in any case. */
bool lk_cli_load_settings(const char *path, lk_settings *out);

/* How the problem |index| is printed: FILE:LINE: before it, where it is in the file. |out| is returned. */
char *lk_cli_problem_text(const lk_settings *settings, uint32_t index, char *out, size_t size);

/* Reads the files of keys that are named, and notes what is wrong with them. Behind lk_settings_finish(). */
void lk_cli_check_keys(lk_settings *settings);

#endif
