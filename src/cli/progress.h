/* cli/progress.h -- one line on a terminal that says how far a command has come.
 *
 *   lk_cli_progress_begin(quiet);
 *   while (...) lk_cli_progress("reading", done, total);
 *   lk_cli_progress_end();                                before anything else is printed
 *
 * Nothing is shown in the first second, where standard error is no terminal, or where |quiet| is
 * set. There is one line in a process. */
#ifndef LK_CLI_PROGRESS_H
#define LK_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* Takes SIGALRM and the real-time timer until the end. */
void lk_cli_progress_begin(bool quiet);

/* What is done now, a text that stays where it is; |total| 0 where nobody knows it. Cheap. */
void lk_cli_progress(const char *what, uint64_t done, uint64_t total);

/* Removes the line. Does nothing where there is none. */
void lk_cli_progress_end(void);

#endif
