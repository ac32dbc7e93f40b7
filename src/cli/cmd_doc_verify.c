/* cli/cmd_doc_verify.c -- `laniakea doc verify`: are these bytes what we think they are?
 *
 *   each update     is decoded; written in its own format and in the other, and from the other one back in
 *                   its own, which must give the same bytes; and applied
 *   the document    is written in V1 and in V2, each is applied to an empty document; both must be
 *                   written the same, have the same state vector, and read the same
 *
 * Written the same: formatting, deletions and what waits for others are seen in bytes only. Plain bytes ask
 * too much, in Yjs as well as here: what was deleted at different times stays in pieces until somebody loads it
 * anew. Compaction joins whatever can be joined, so its bytes are compared.
 *
 * Read the same: keys of a map come in the order in which they were set, and that order is not kept when
 * a document is written. So JSON is compared in its canonical form where it differs. */
#include <string.h>

#include "cli/doc.h"
#include "cli/progress.h"
#include "codec/json_canonical.h"
#include "platform/posix/heap.h"
#include "server/console.h"

#define JSON_DEPTH_MAX 512 /* the greatest that the limits allow */
#define JSON_BYTES_MAX (1u << 28)

static lk_update_format other_format(lk_update_format format) {
  return format == LK_UPDATE_V1 ? LK_UPDATE_V2 : LK_UPDATE_V1;
}

static int complain(const char *label, const char *what) {
  lk_cli_progress_end();
  lk_console_say("%.400s: %s", label, what);
  return 1;
}

static int complain_of(const char *label, const char *step, lk_err err, const lk_doc *doc) {
  char detail[128];
  const char *limit = doc != NULL ? lk_cli_error_detail(doc, err) : "";
  (void)snprintf(detail, sizeof detail, "%s%s%s", step, limit[0] != 0 ? ", " : "", limit);
  lk_cli_say_error(label, err, detail);
  return 1;
}

/* ---- an update ---- */

static int check_conversion(const lk_cli_job *job, const lk_cli_update *update, lk_buf parts[3]) {
  lk_update_format own = update->format, other = other_format(own);
  lk_slice bytes = lk_buf_slice(&update->bytes);
  lk_err err = lk_update_check(&job->env, own, bytes, NULL);
  if (err != LK_OK) return complain_of(update->label, "decoding", err, NULL);
  err = lk_update_convert(&job->env, own, bytes, own, &parts[0]);
  if (err == LK_OK) err = lk_update_convert(&job->env, own, bytes, other, &parts[1]);
  if (err == LK_OK)
    err = lk_update_convert(&job->env, other, lk_buf_slice(&parts[1]), own, &parts[2]);
  if (err != LK_OK) return complain_of(update->label, "converting", err, NULL);
  if (lk_slice_equal(lk_buf_slice(&parts[0]), lk_buf_slice(&parts[2]))) return 0;
  return complain(update->label, "is not the same after conversion to the other format and back");
}

static int check_update(const lk_cli_job *job, const lk_cli_update *update) {
  lk_buf parts[3];
  for (int i = 0; i < 3; i++) lk_buf_init(&parts[i], job->env.alloc, LK_CLI_RESULT_MAX);
  int code = check_conversion(job, update, parts);
  for (int i = 0; i < 3; i++) lk_buf_deinit(&parts[i]);
  return code;
}

/* ---- a document ---- */

/* What is compared of one document. */
typedef struct portrait {
  lk_buf update, sv, json;
} portrait;

static void portrait_init(portrait *self) {
  lk_buf_init(&self->update, lk_posix_heap(), LK_CLI_RESULT_MAX);
  lk_buf_init(&self->sv, lk_posix_heap(), LK_CLI_RESULT_MAX);
  lk_buf_init(&self->json, lk_posix_heap(), LK_CLI_RESULT_MAX);
}

static void portrait_deinit(portrait *self) {
  lk_buf_deinit(&self->update);
  lk_buf_deinit(&self->sv);
  lk_buf_deinit(&self->json);
}

static lk_err portrait_take(portrait *self, const lk_cli_job *job, const lk_doc *doc) {
  lk_buf bytes;
  lk_buf_init(&bytes, lk_posix_heap(), LK_CLI_RESULT_MAX);
  lk_err err = lk_doc_encode(doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &bytes);
  lk_slice update = lk_buf_slice(&bytes);
  if (err == LK_OK) err = lk_update_compact(&job->env, LK_UPDATE_V1, &update, 1, &self->update);
  if (err == LK_OK) err = lk_doc_state_vector(doc, &self->sv);
  if (err == LK_OK) err = lk_doc_json(doc, &self->json);
  lk_buf_deinit(&bytes);
  return err;
}

/* LK_OK: they say the same; LK_ERR_TYPE: they do not. */
static lk_err compare_json(lk_slice a, lk_slice b) {
  lk_limits limits = lk_limits_default();
  lk_buf texts[2];
  if (lk_slice_equal(a, b)) return LK_OK;
  for (int i = 0; i < 2; i++) lk_buf_init(&texts[i], lk_posix_heap(), LK_CLI_RESULT_MAX);
  limits.json_depth = JSON_DEPTH_MAX;
  limits.json_bytes = JSON_BYTES_MAX;
  lk_err err = lk_json_canonicalize(a, &limits, &texts[0]);
  if (err == LK_OK) err = lk_json_canonicalize(b, &limits, &texts[1]);
  if (err == LK_OK && !lk_slice_equal(lk_buf_slice(&texts[0]), lk_buf_slice(&texts[1])))
    err = LK_ERR_TYPE;
  for (int i = 0; i < 2; i++) lk_buf_deinit(&texts[i]);
  return err;
}

/* What is different, or NULL; |err| where that could not be found out. */
static const char *portrait_difference(const portrait *a, const portrait *b, lk_err *err) {
  if (!lk_slice_equal(lk_buf_slice(&a->update), lk_buf_slice(&b->update)))
    return "is written differently after it was written and read again";
  if (!lk_slice_equal(lk_buf_slice(&a->sv), lk_buf_slice(&b->sv)))
    return "has another state vector after it was written and read again";
  *err = compare_json(lk_buf_slice(&a->json), lk_buf_slice(&b->json));
  if (*err != LK_ERR_TYPE) return NULL;
  *err = LK_OK;
  return "reads differently after it was written and read again";
}

/* Writes |doc| in |format|, and compares what a document that reads this looks like. */
static int check_format(const lk_cli_job *job, const lk_doc *doc, const portrait *mine,
                        lk_update_format format, const char *label) {
  lk_doc *copy = NULL;
  portrait its;
  lk_buf bytes;
  int code = lk_cli_open_doc(job, &copy);
  if (code != 0) return code;
  portrait_init(&its);
  lk_buf_init(&bytes, job->env.alloc, LK_CLI_RESULT_MAX);
  lk_err err = lk_doc_encode(doc, format, LK_SLICE_EMPTY, &bytes);
  if (err == LK_OK) err = lk_doc_apply(copy, format, lk_buf_slice(&bytes), 0);
  if (err == LK_OK) err = portrait_take(&its, job, copy);
  const char *difference = err == LK_OK ? portrait_difference(mine, &its, &err) : NULL;
  if (err != LK_OK) code = complain_of(label, "writing and reading again", err, copy);
  else if (difference != NULL) code = complain(label, difference);
  lk_buf_deinit(&bytes);
  portrait_deinit(&its);
  lk_doc_close(copy);
  return code;
}

int lk_cli_check_doc(const lk_cli_job *self, const lk_doc *doc, const char *label) {
  portrait mine;
  portrait_init(&mine);
  lk_err err = portrait_take(&mine, self, doc);
  int code = err == LK_OK ? 0 : complain_of(label, "writing", err, doc);
  if (code == 0) code = check_format(self, doc, &mine, LK_UPDATE_V1, label);
  if (code == 0) code = check_format(self, doc, &mine, LK_UPDATE_V2, label);
  portrait_deinit(&mine);
  return code;
}

/* ---- the command ---- */

static int verify_source(const lk_cli_job *job, lk_cli_source *source, lk_doc *doc) {
  int code;
  while ((code = lk_cli_source_next(source)) == 0 && !source->ended) {
    if ((code = check_update(job, &source->update)) != 0) return code;
    if ((code = lk_cli_apply_update(doc, source)) != 0) return code;
  }
  lk_cli_progress("comparing", 0, 0);
  return code != 0 ? code : lk_cli_check_doc(job, doc, "document");
}

static int print_result(const lk_doc *doc, uint64_t updates, uint64_t bytes) {
  lk_doc_size size = lk_doc_get_size(doc);
  lk_doc_pending pending = lk_doc_get_pending(doc);
  (void)printf("ok: %llu %s of %llu bytes, %llu structs of %llu clients",
               (unsigned long long)updates, updates == 1 ? "update" : "updates",
               (unsigned long long)bytes, (unsigned long long)size.structs,
               (unsigned long long)size.clients);
  if (pending.structs > 0 || pending.delete_ranges > 0)
    (void)printf("; %llu structs and %llu ranges of deletions wait for other updates",
                 (unsigned long long)pending.structs, (unsigned long long)pending.delete_ranges);
  (void)printf("\n");
  return lk_cli_finish_output();
}

int lk_cli_doc_verify(const lk_cli_args *args) {
  lk_cli_job job;
  lk_cli_source source;
  lk_doc *doc = NULL;
  int code = lk_cli_job_begin(args, false, &job);
  if (code != 0) return code;
  lk_cli_source_init(&source, &job, lk_cli_args_get(args, "framed") != NULL);
  code = lk_cli_open_doc(&job, &doc);
  if (code == 0) code = verify_source(&job, &source, doc);
  code = lk_cli_job_end(code);
  if (code == 0 && !job.quiet) code = print_result(doc, source.count, source.bytes_done);
  lk_cli_source_deinit(&source);
  lk_doc_close(doc);
  return code;
}
