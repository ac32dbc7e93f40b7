/* cli/cmd_doc_merge.c -- `laniakea doc merge`, `diff`, `sv` and `convert`: bytes in, bytes out, no document. */
#include <stdlib.h>
#include <string.h>

#include "cli/doc.h"
#include "cli/progress.h"
#include "platform/posix/heap.h"
#include "server/console.h"

/* ---- merge ---- */

static int check_set(const lk_cli_update *updates, size_t count) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < count; i++) {
    bytes += updates[i].bytes.len;
    if (updates[i].format == updates[0].format) continue;
    lk_cli_progress_end();
    lk_console_say(
        "%.300s is in format V%d and %.300s in V%d; laniakea doc convert makes them the same",
        updates[0].label, (int)updates[0].format, updates[i].label, (int)updates[i].format);
    return 1;
  }
  if (bytes <= LK_CLI_RESULT_MAX) return 0;
  lk_cli_say_error("all updates together", LK_ERR_TOO_BIG, "1 GiB");
  return 1;
}

/* Merging tells what is wrong and not where: the first update that is wrong by itself is to blame. */
static int blame_one(const lk_cli_job *job, const lk_cli_update *updates, size_t count,
                     lk_err err) {
  for (size_t i = 0; i < count; i++) {
    lk_err own = lk_update_check(&job->env, updates[i].format, lk_buf_slice(&updates[i].bytes),
                                 NULL);
    if (own == LK_OK) continue;
    lk_cli_say_error(updates[i].label, own, "");
    return 1;
  }
  lk_cli_say_error("all updates together", err, "");
  return 1;
}

static int merge_updates(const lk_cli_job *job, const lk_cli_update *updates, size_t count) {
  bool compact = lk_cli_args_get(job->args, "compact") != NULL;
  lk_buf result;
  lk_slice *slices = calloc(count, sizeof *slices);
  if (slices == NULL) {
    lk_cli_say_error("all updates together", LK_ERR_NOMEM, "");
    return 1;
  }
  for (size_t i = 0; i < count; i++) slices[i] = lk_buf_slice(&updates[i].bytes);
  lk_buf_init(&result, job->env.alloc, LK_CLI_RESULT_MAX);
  lk_cli_progress("merging", 0, 0);
  lk_err err = (compact ? lk_update_compact : lk_update_merge)(&job->env, updates[0].format, slices,
                                                               count, &result);
  int code = err == LK_OK ? lk_cli_job_finish(job, lk_buf_slice(&result), false)
                          : blame_one(job, updates, count, err);
  lk_buf_deinit(&result);
  free(slices);
  return code;
}

int lk_cli_doc_merge(const lk_cli_args *args) {
  lk_cli_job job;
  int code = lk_cli_job_begin(args, true, &job);
  if (code != 0) return code;
  size_t count = args->plain_count;
  lk_cli_update *updates = calloc(count, sizeof *updates);
  if (updates == NULL) {
    lk_cli_say_error("all updates together", LK_ERR_NOMEM, "");
    return 1;
  }
  for (size_t i = 0; i < count; i++) lk_cli_update_init(&updates[i]);
  for (size_t i = 0; i < count && code == 0; i++) {
    code = lk_cli_update_read(&job, args->plain[i], &updates[i]);
    if (code == 0) code = check_set(updates, i + 1);
  }
  if (code == 0) code = merge_updates(&job, updates, count);
  for (size_t i = 0; i < count; i++) lk_cli_update_deinit(&updates[i]);
  free(updates);
  return lk_cli_job_end(code);
}

/* ---- one update in, other bytes out ---- */

/* Appends to |out| what becomes of |update|. |other| is the state vector of diff, and empty otherwise. */
typedef lk_err (*transform)(const lk_cli_job *job, const lk_cli_update *update, lk_slice other,
                            lk_buf *out);

/* |other_label| is to blame where |update| is not. */
static int transform_update(const lk_cli_job *job, const lk_cli_update *update, lk_slice other,
                            const char *other_label, transform make) {
  lk_buf result;
  int code;
  lk_buf_init(&result, job->env.alloc, LK_CLI_RESULT_MAX);
  lk_cli_progress("working", 0, 0);
  lk_err err = make(job, update, other, &result);
  if (err == LK_OK) {
    code = lk_cli_job_finish(job, lk_buf_slice(&result), false);
  } else {
    lk_err own = lk_update_check(&job->env, update->format, lk_buf_slice(&update->bytes), NULL);
    lk_cli_say_error(own != LK_OK ? update->label : other_label, own != LK_OK ? own : err, "");
    code = 1;
  }
  lk_buf_deinit(&result);
  return code;
}

static int transform_file(const lk_cli_args *args, const char *other_path, transform make) {
  lk_cli_job job;
  lk_cli_update update;
  lk_buf other;
  int code = lk_cli_job_begin(args, true, &job);
  if (code != 0) return code;
  lk_cli_update_init(&update);
  lk_buf_init(&other, job.env.alloc, SIZE_MAX / 2);
  if (other_path != NULL &&
      !lk_cli_read_file(other_path, job.limits.doc_update_bytes, "doc_update_bytes", &other))
    code = 1;
  if (code == 0) code = lk_cli_update_read(&job, args->plain[0], &update);
  if (code == 0) {
    code = transform_update(&job, &update, lk_buf_slice(&other),
                            other_path != NULL ? lk_cli_file_name(other_path) : update.label, make);
  }
  lk_cli_update_deinit(&update);
  lk_buf_deinit(&other);
  return lk_cli_job_end(code);
}

static lk_err make_diff(const lk_cli_job *job, const lk_cli_update *update, lk_slice sv,
                        lk_buf *out) {
  return lk_update_diff(&job->env, update->format, lk_buf_slice(&update->bytes), sv, out);
}

int lk_cli_doc_diff(const lk_cli_args *args) {
  const char *sv = lk_cli_args_get(args, "sv");
  if (sv == NULL) {
    lk_console_say("doc diff needs --sv SVFILE; laniakea doc diff --help says more");
    return 2;
  }
  if (strcmp(sv, "-") == 0 && strcmp(args->plain[0], "-") == 0) {
    lk_console_say("standard input (-) can be read only once");
    return 2;
  }
  return transform_file(args, sv, make_diff);
}

static lk_err make_sv(const lk_cli_job *job, const lk_cli_update *update, lk_slice none,
                      lk_buf *out) {
  (void)none;
  return lk_update_state_vector(&job->env, update->format, lk_buf_slice(&update->bytes), out);
}

int lk_cli_doc_sv(const lk_cli_args *args) { return transform_file(args, NULL, make_sv); }

static lk_update_format format_named(const char *name) {
  if (name == NULL) return (lk_update_format)0;
  return strcmp(name, "v1") == 0   ? LK_UPDATE_V1
         : strcmp(name, "v2") == 0 ? LK_UPDATE_V2
                                   : (lk_update_format)0;
}

static lk_err make_other(const lk_cli_job *job, const lk_cli_update *update, lk_slice none,
                         lk_buf *out) {
  lk_update_format to = format_named(lk_cli_args_get(job->args, "to"));
  (void)none;
  return lk_update_convert(&job->env, update->format, lk_buf_slice(&update->bytes), to, out);
}

int lk_cli_doc_convert(const lk_cli_args *args) {
  if (format_named(lk_cli_args_get(args, "to")) == 0) {
    lk_console_say("doc convert needs --to v1 or --to v2");
    return 2;
  }
  return transform_file(args, NULL, make_other);
}
