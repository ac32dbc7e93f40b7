/* cli/doc.h -- what the commands `laniakea doc ...` have in common: reading updates, and saying what is
 * wrong with them.
 *
 * Functions that return an int return the program's exit code, 0 to go on; what went wrong
 * was then said. */
#ifndef LK_CLI_DOC_H
#define LK_CLI_DOC_H

#include "base/base.h"
#include "cli/commands.h"
#include "cli/files.h"
#include "laniakea/doc.h"

#define LK_CLI_RESULT_MAX (1u << 30) /* bytes that a command may write, and that merge may read */
#define LK_CLI_LABEL_MAX 512

typedef struct lk_cli_job {
  const lk_cli_args *args;
  lk_env env;
  lk_limits limits;
  lk_update_format asked; /* by --v1 or --v2, or 0 */
  bool quiet;
} lk_cli_job;

/* Reads the options that all commands have, refuses with 2 what cannot be meant, and begins to show
 * progress. |writes_bytes|: the command has --output and --force, and its result is not text. */
int lk_cli_job_begin(const lk_cli_args *args, bool writes_bytes, lk_cli_job *out);

/* Ends what shows progress, and returns |code|. */
int lk_cli_job_end(int code);

/* Writes |bytes| to --output, or to standard output: the last act of a command that has it. */
int lk_cli_job_finish(const lk_cli_job *self, lk_slice bytes, bool is_text);

/* ---- updates ---- */

typedef struct lk_cli_update {
  char label[LK_CLI_LABEL_MAX]; /* where it stands, for messages */
  lk_update_format format;
  lk_buf bytes;
} lk_cli_update;

void lk_cli_update_init(lk_cli_update *self);
void lk_cli_update_deinit(lk_cli_update *self);

/* The whole of |path|, and its format; what it says is not checked. */
int lk_cli_update_read(const lk_cli_job *self, const char *path, lk_cli_update *out);

/* The updates of all files of the command line, one at a time: |update| is the one that was read
 * last. With |framed| a file is a row of them, each behind its length in 4 bytes. */
typedef struct lk_cli_source {
  const lk_cli_job *job;
  bool framed;
  bool ended;
  size_t next_file;
  FILE *file; /* the row that is being read, or NULL */
  uint64_t frame;
  uint64_t count;                   /* updates so far */
  uint64_t bytes_done, bytes_total; /* total is 0 where it is not known */
  lk_cli_update update;
} lk_cli_source;

/* deinit always. */
void lk_cli_source_init(lk_cli_source *self, const lk_cli_job *job, bool framed);
void lk_cli_source_deinit(lk_cli_source *self);
/* |ended| is set, and |update| is not, after the last one. */
int lk_cli_source_next(lk_cli_source *self);

/* ---- documents ---- */

/* An empty document that will only be read. */
int lk_cli_open_doc(const lk_cli_job *self, lk_doc **out);

/* Applies what |source| has just read. */
int lk_cli_apply_update(lk_doc *doc, const lk_cli_source *source);

/* What a line about |err| adds: the limit's name for LK_ERR_LIMIT. */
const char *lk_cli_error_detail(const lk_doc *doc, lk_err err);

/* Whether |doc| reads the same after it was written, in either format, and read again. Otherwise says
 * so, with |label|, and returns 1. */
int lk_cli_check_doc(const lk_cli_job *self, const lk_doc *doc, const char *label);

#endif
