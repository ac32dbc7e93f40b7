/* doc/print.h -- a document, or one root of it, in the forms that people and programs read.
 *
 *   json      the whole document, or any root
 *   text      a text or XML root, without its formatting
 *   delta     a text, as Quill has it
 *   html, markdown    a text or XML root, by laniakea/render.h
 *
 * Most documents have one root that can be meant, and then it need not be named. */
#ifndef LK_DOC_PRINT_H
#define LK_DOC_PRINT_H

#include "base/base.h"
#include "laniakea/doc.h"

typedef enum lk_print_form {
  LK_PRINT_JSON,
  LK_PRINT_TEXT,
  LK_PRINT_DELTA,
  LK_PRINT_HTML,
  LK_PRINT_MARKDOWN,
  LK_PRINT_FORMS
} lk_print_form;

/* False where no form is called so. */
bool lk_print_form_of(lk_slice name, lk_print_form *out);
lk_slice lk_print_form_name(lk_print_form form);

/* The kinds of root that can be printed so, a set of 1 << lk_node_kind; 0: all, and the whole document. */
uint32_t lk_print_kinds(lk_print_form form);

/* The kind of a root: the one it was asked for as, or else the one that what it holds says. */
lk_node_kind lk_doc_root_kind(const lk_doc *doc, lk_node root);

typedef enum lk_print_choice {
  LK_PRINT_ROOT,    /* that one */
  LK_PRINT_WHOLE,   /* the whole document */
  LK_PRINT_NOTHING, /* there is nothing in the document */
  /* Nothing can be printed: */
  LK_PRINT_MISSING, /* there is no root of that name */
  LK_PRINT_WRONG,   /* it is of a kind that cannot be printed so */
  LK_PRINT_NONE,    /* no root can be printed so */
  LK_PRINT_SEVERAL, /* several can */
} lk_print_choice;

/* |name| with a NULL pointer: none is named. */
lk_print_choice lk_print_choose(const lk_doc *doc, lk_print_form form, lk_slice name,
                                lk_node *root);

/* Appends the names of the roots of these kinds (0: of all) that hold anything, with ", " between them. */
void lk_print_root_names(const lk_doc *doc, uint32_t kinds, lk_buf *out);

/* Appends what was chosen, one of the first three. The errors of the reading calls. */
lk_err lk_print_write(const lk_doc *doc, lk_print_form form, lk_print_choice choice, lk_node root,
                      lk_buf *out) LK_MUST_USE;

#endif
