/* cli/cmd_doc_cat.c -- `laniakea doc cat`: a document as text, for people and for pipes. */
#include <string.h>

#include "cli/doc.h"
#include "cli/progress.h"
#include "laniakea/render.h"
#include "platform/posix/heap.h"
#include "server/console.h"

#define KIND(name) (1u << LK_NODE_##name)
#define TEXTS (KIND(TEXT) | KIND(XML_TEXT))
#define PROSE (TEXTS | KIND(XML_FRAGMENT) | KIND(XML_ELEMENT))

static lk_err write_html(const lk_doc *doc, lk_node node, lk_buf *out) {
  return lk_doc_render(doc, node, LK_RENDER_HTML, out);
}

static lk_err write_markdown(const lk_doc *doc, lk_node node, lk_buf *out) {
  return lk_doc_render(doc, node, LK_RENDER_MARKDOWN, out);
}

typedef struct form {
  const char *name;
  uint32_t kinds; /* that can be meant where no root is named; 0: the whole document is */
  const char *empty;
  lk_err (*write)(const lk_doc *doc, lk_node node, lk_buf *out);
} form;

static const form forms[] = {
  { "json", 0, "{}", lk_doc_node_json },       { "text", PROSE, "", lk_doc_text_string },
  { "delta", TEXTS, "[]", lk_doc_text_delta }, { "html", PROSE, "", write_html },
  { "markdown", PROSE, "", write_markdown },
};

static const form *find_form(const char *name) {
  if (name == NULL) return &forms[0];
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    if (strcmp(forms[i].name, name) == 0) return &forms[i];
  }
  return NULL;
}

/* ---- which root ---- */

/* Appends the names of the roots of these kinds, with commas between them. */
static void append_names(const lk_doc *doc, uint32_t kinds, lk_buf *out) {
  uint32_t cursor = 0;
  lk_slice name;
  lk_node node;
  size_t start = out->len;
  while (lk_doc_next_root(doc, &cursor, &name, &node)) {
    if ((kinds & 1u << lk_cli_root_kind(doc, node)) == 0) continue;
    if (out->len > start) (void)lk_buf_append(out, LK_LIT(", "));
    (void)lk_buf_append(out, name);
  }
  (void)lk_buf_append_u8(out, 0);
}

/* Says |before|, and the roots of these |kinds|. */
static int complain_of_roots(const lk_doc *doc, uint32_t kinds, const char *before) {
  lk_buf names;
  lk_cli_progress_end();
  lk_buf_init(&names, lk_posix_heap(), SIZE_MAX / 2);
  append_names(doc, kinds, &names);
  bool some = lk_buf_err(&names) == LK_OK && names.len > 1;
  lk_console_say("%s%s%.800s", before, some ? ": " : "", some ? (const char *)names.ptr : "");
  lk_buf_deinit(&names);
  return 1;
}

static int find_named(const lk_doc *doc, const form *as, const char *wanted, lk_node *out) {
  uint32_t cursor = 0;
  lk_slice name;
  char line[128];
  while (lk_doc_next_root(doc, &cursor, &name, out)) {
    if (!lk_slice_equal(name, lk_slice_cstr(wanted))) continue;
    uint32_t kind = 1u << lk_cli_root_kind(doc, *out);
    if (as->kinds == 0 || (kind & (as->kinds | KIND(UNKNOWN))) != 0) return 0;
    (void)snprintf(line, sizeof line, "root %.64s", wanted);
    lk_cli_say_error(line, LK_ERR_TYPE, as->name);
    return 1;
  }
  (void)snprintf(line, sizeof line, "there is no root %.64s; there are", wanted);
  return complain_of_roots(doc, UINT32_MAX, line);
}

/* The one root that can be meant; |*found| false where the document holds nothing. */
static int find_only(const lk_doc *doc, const form *as, lk_node *out, bool *found) {
  uint32_t cursor = 0, fit = 0, others = 0;
  lk_slice name;
  lk_node node;
  char line[128];
  while (lk_doc_next_root(doc, &cursor, &name, &node)) {
    lk_node_kind kind = lk_cli_root_kind(doc, node);
    if ((as->kinds & 1u << kind) != 0) {
      fit++;
      *out = node;
    } else if (kind != LK_NODE_UNKNOWN) {
      others++;
    }
  }
  *found = fit == 1;
  if (fit == 1 || (fit == 0 && others == 0)) return 0;
  if (fit == 0) {
    (void)snprintf(line, sizeof line, "no root can be printed as %s; there are", as->name);
    return complain_of_roots(doc, UINT32_MAX, line);
  }
  return complain_of_roots(doc, as->kinds, "which root is meant? Name one by --root NAME");
}

/* ---- printing ---- */

static lk_err write_form(const lk_doc *doc, const form *as, bool whole, const lk_node *node,
                         lk_buf *out) {
  if (whole) return lk_doc_json(doc, out);
  if (node == NULL) return lk_buf_append(out, lk_slice_cstr(as->empty));
  return as->write(doc, *node, out);
}

static int print_doc(const lk_cli_job *job, const lk_doc *doc, const form *as) {
  const char *root = lk_cli_args_get(job->args, "root");
  bool whole = root == NULL && as->kinds == 0, found = true;
  lk_node node;
  lk_buf out;
  int code = 0;
  if (root != NULL) code = find_named(doc, as, root, &node);
  else if (!whole) code = find_only(doc, as, &node, &found);
  if (code != 0) return code;
  lk_buf_init(&out, job->env.alloc, LK_CLI_RESULT_MAX);
  lk_cli_progress("printing", 0, 0);
  lk_err err = write_form(doc, as, whole, found ? &node : NULL, &out);
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
  const form *as = find_form(lk_cli_args_get(args, "as"));
  lk_cli_job job;
  lk_cli_source source;
  lk_doc *doc = NULL;
  if (as == NULL) {
    lk_console_say("--as %.64s is not one of json, text, delta, html, markdown",
                   lk_cli_args_get(args, "as"));
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
  if (code == 0) code = print_doc(&job, doc, as);
  lk_doc_close(doc);
  return lk_cli_job_end(code);
}
