/* cli/files.h -- files and pipes in, a result out.
 *
 * What goes wrong is said on standard error in one line, and the result is false. */
#ifndef LK_CLI_FILES_H
#define LK_CLI_FILES_H

#include <stdio.h>

#include "base/buf.h"

/* What |path| is called in a message. */
const char *lk_cli_file_name(const char *path);

/* Opens |path|, "-" is standard input. NULL after saying why not. Close by lk_cli_close_file(). */
FILE *lk_cli_open_file(const char *path);
void lk_cli_close_file(FILE *file);

/* The length of |path|, or 0 where that is not known before it was read. */
uint64_t lk_cli_file_size(const char *path);

/* Appends all of |path|. More than |max| bytes are refused as LK_ERR_TOO_BIG, as soon as that many
 * have come; |limit| is the limit's name. |quiet| is about progress. */
bool lk_cli_read_file(const char *path, size_t max, const char *limit, lk_buf *out);

/* Writes |bytes| to |path|: a regular file is replaced as a whole or stays as it was. */
bool lk_cli_write_file(const char *path, lk_slice bytes);

/* Writes to standard output; to a terminal without its control characters where |is_text|. */
bool lk_cli_write_output(lk_slice bytes, bool is_text);

/* Says "|name|: what |err| means (NAME)", with |detail| behind the name where it is not empty. */
void lk_cli_say_error(const char *name, lk_err err, const char *detail);

#endif
