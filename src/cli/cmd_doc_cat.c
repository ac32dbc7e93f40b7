/* cli/cmd_doc_cat.c -- `laniakea doc cat`: a document as text, for people and for pipes. */
#include <string.h>

#include "cli/doc.h"
#include "cli/progress.h"
#include "doc/print.h"
#include "platform/posix/heap.h"
#include "server/console.h"

/* Says |before|, and the roots of these |kinds|. */
static int complain_of_roots(const lk_doc *doc, uint32_t kinds, const char *before) {
  lk_buf names;
  lk_cli_progress_end();
  lk_buf_init(&names, lk_posix_heap(), SIZE_MAX / 2);
  lk_print_root_names(doc, kinds, &names);
  bool some = names.len > 0;
  (void)lk_buf_append_u8(&names, 0);
  some = some && lk_buf_err(&names) == LK_OK;
  lk_console_say("%s%s%.800s", before, some ? ": " : "", some ? (const char *)names.ptr : "");
  lk_buf_deinit(&names);
  return 1;
}

/* |root| NULL: none was named. */
static int complain(const lk_doc *doc, lk_print_form form, lk_print_choice choice,
                    const char *root) {
  char line[128];
  lk_slice name = lk_print_form_name(form);
  switch (choice) {
  case LK_PRINT_MISSING:
    (void)snprintf(line, sizeof line, "there is no root %.64s; there are", root);
    return complain_of_roots(doc, 0, line);
  case LK_PRINT_WRONG:
    (void)snprintf(line, sizeof line, "root %.64s", root);
    lk_cli_say_error(line, LK_ERR_TYPE, (const char *)name.ptr);
    return 1;
  case LK_PRINT_NONE:
    (void)snprintf(line, sizeof line, "no root can be printed as %s; there are",
                   (const char *)name.ptr);
    return complain_of_roots(doc, 0, line);
  default:
    return complain_of_roots(doc, lk_print_kinds(form),
                             "which root is meant? Name one by --root NAME");
  }
}

/* ---- printing ---- */

static int print_doc(const lk_cli_job *job, const lk_doc *doc, lk_print_form form) {
  const char *root = lk_cli_args_get(job->args, "root");
  lk_node node = { 0, 0 };
  lk_buf out;
  int code = 0;
  lk_slice name = root != NULL ? lk_slice_cstr(root) : LK_SLICE_EMPTY;
  lk_print_choice choice = lk_print_choose(doc, form, name, &node);
  if (choice > LK_PRINT_NOTHING) return complain(doc, form, choice, root);
  lk_buf_init(&out, job->env.alloc, LK_CLI_RESULT_MAX);
  lk_cli_progress("printing", 0, 0);
  lk_err err = lk_print_write(doc, form, choice, node, &out);
  if (err == LK_OK && (out.len == 0 || out.ptr[out.len - 1] != '\n'))
    err = lk_buf_append_u8(&out, '\n');
  if (err == LK_OK) {
    code = lk_cli_job_finish(job, lk_buf_slice(&out), true);
  } else {
    lk_cli_say_error(root != NULL ? root : "document", err, err == LK_ERR_LIMIT ? "1 GiB" : "");
    code = 1;
  }
  lk_buf_deinit(&out);
  return code;
}

static void tell_pending(const lk_cli_job *job, const lk_doc *doc) {
  lk_doc_pending pending = lk_doc_get_pending(doc);
  if (job->quiet || (pending.structs == 0 && pending.delete_ranges == 0)) return;
  lk_cli_progress_end();
  lk_console_say("%llu structs and %llu ranges of deletions wait for updates that are not here, "
                 "and are not printed",
                 (unsigned long long)pending.structs, (unsigned long long)pending.delete_ranges);
}

int lk_cli_doc_cat(const lk_cli_args *args) {
  const char *as = lk_cli_args_get(args, "as");
  lk_print_form form = LK_PRINT_JSON;
  lk_cli_job job;
  lk_cli_source source;
  lk_doc *doc = NULL;
  if (as != NULL && !lk_print_form_of(lk_slice_cstr(as), &form)) {
    lk_console_say("--as %.64s is not one of json, text, delta, html, markdown", as);
    return 2;
  }
  int code = lk_cli_job_begin(args, false, &job);
  if (code != 0) return code;
  lk_cli_source_init(&source, &job, false);
  code = lk_cli_open_doc(&job, &doc);
  while (code == 0 && (code = lk_cli_source_next(&source)) == 0 && !source.ended) {
    code = lk_cli_apply_update(doc, &source);
  }
  lk_cli_source_deinit(&source);
  if (code == 0) tell_pending(&job, doc);
  if (code == 0) code = print_doc(&job, doc, form);
  lk_doc_close(doc);
  return lk_cli_job_end(code);
}
