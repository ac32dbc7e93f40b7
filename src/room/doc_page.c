/* room/doc_page.c -- each root in the form that shows most of it. */
#include "room/doc_page.h"

#include "codec/html.h"
#include "doc/print.h"

/* A root that nobody has written in is not shown. */
static bool is_shown(const lk_doc *doc, lk_node root) {
  return lk_doc_root_kind(doc, root) != LK_NODE_UNKNOWN;
}

static uint32_t count_shown(const lk_doc *doc) {
  uint32_t cursor = 0, count = 0;
  lk_slice name;
  lk_node root;
  while (lk_doc_next_root(doc, &cursor, &name, &root)) count += is_shown(doc, root) ? 1 : 0;
  return count;
}

static bool is_prose(const lk_doc *doc, lk_node root) {
  return (lk_print_kinds(LK_PRINT_HTML) & 1u << lk_doc_root_kind(doc, root)) != 0;
}

static lk_err write_json(const lk_doc *doc, lk_node root, lk_buf *out) {
  lk_buf json;
  lk_buf_init(&json, out->alloc, out->max);
  lk_err err = lk_print_write(doc, LK_PRINT_JSON, LK_PRINT_ROOT, root, &json);
  if (err == LK_OK) {
    (void)lk_buf_append(out, LK_LIT("<pre>\n"));
    (void)lk_html_append(out, lk_buf_slice(&json));
    err = lk_buf_append(out, LK_LIT("</pre>"));
  }
  lk_buf_deinit(&json);
  return err;
}

static lk_err write_root(const lk_doc *doc, lk_slice name, lk_node root, bool is_alone,
                         lk_buf *out) {
  if (!is_alone) {
    (void)lk_buf_append(out, LK_LIT("<section><h2>"));
    (void)lk_html_append(out, name);
    (void)lk_buf_append(out, LK_LIT("</h2>"));
  }
  lk_err err = is_prose(doc, root) ? lk_print_write(doc, LK_PRINT_HTML, LK_PRINT_ROOT, root, out)
                                   : write_json(doc, root, out);
  if (!is_alone) (void)lk_buf_append(out, LK_LIT("</section>"));
  return err == LK_OK ? lk_buf_err(out) : err;
}

lk_err lk_doc_page_write(const lk_doc *doc, lk_buf *out) {
  uint32_t cursor = 0, count = count_shown(doc);
  size_t before = out->len;
  lk_slice name;
  lk_node root;
  lk_err err = LK_OK;
  while (err == LK_OK && lk_doc_next_root(doc, &cursor, &name, &root)) {
    if (is_shown(doc, root)) err = write_root(doc, name, root, count == 1, out);
  }
  if (err == LK_OK && count == 0)
    err = lk_buf_append(out, LK_LIT("<p>There is nothing in this document.</p>"));
  if (err != LK_OK) lk_buf_truncate(out, before);
  return err;
}
