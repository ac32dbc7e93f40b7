/* doc/print.c -- one table of forms. */
#include "doc/print.h"

#include "doc/engine.h"
#include "doc/read.h"
#include "laniakea/render.h"

#define KIND(name) (1u << LK_NODE_##name)
#define TEXTS (KIND(TEXT) | KIND(XML_TEXT))
#define PROSE (TEXTS | KIND(XML_FRAGMENT) | KIND(XML_ELEMENT))

static lk_err write_html(const lk_doc *doc, lk_node node, lk_buf *out) {
  return lk_doc_render(doc, node, LK_RENDER_HTML, out);
}

static lk_err write_markdown(const lk_doc *doc, lk_node node, lk_buf *out) {
  return lk_doc_render(doc, node, LK_RENDER_MARKDOWN, out);
}

static const struct {
  lk_slice name;
  uint32_t kinds;
  lk_slice empty;
  lk_err (*write)(const lk_doc *doc, lk_node node, lk_buf *out);
} forms[LK_PRINT_FORMS] = {
  { LK_LIT_INIT("json"), 0, LK_LIT_INIT("{}"), lk_doc_node_json },
  { LK_LIT_INIT("text"), PROSE, LK_LIT_INIT(""), lk_doc_text_string },
  { LK_LIT_INIT("delta"), TEXTS, LK_LIT_INIT("[]"), lk_doc_text_delta },
  { LK_LIT_INIT("html"), PROSE, LK_LIT_INIT(""), write_html },
  { LK_LIT_INIT("markdown"), PROSE, LK_LIT_INIT(""), write_markdown },
};

bool lk_print_form_of(lk_slice name, lk_print_form *out) {
  for (unsigned i = 0; i < LK_PRINT_FORMS; i++) {
    if (!lk_slice_equal(forms[i].name, name)) continue;
    *out = (lk_print_form)i;
    return true;
  }
  return false;
}

lk_slice lk_print_form_name(lk_print_form form) { return forms[form].name; }

uint32_t lk_print_kinds(lk_print_form form) { return forms[form].kinds; }

lk_node_kind lk_doc_root_kind(const lk_doc *doc, lk_node root) {
  uint32_t type;
  if (lk_node_resolve(doc, root, 0, &type) != LK_OK) return LK_NODE_UNKNOWN;
  return lk_read_kind(doc, type);
}

static lk_print_choice choose_named(const lk_doc *doc, lk_print_form form, lk_slice wanted,
                                    lk_node *root) {
  uint32_t cursor = 0, kinds = forms[form].kinds;
  lk_slice name;
  while (lk_doc_next_root(doc, &cursor, &name, root)) {
    if (!lk_slice_equal(name, wanted)) continue;
    uint32_t kind = 1u << lk_doc_root_kind(doc, *root);
    return kinds == 0 || (kind & (kinds | KIND(UNKNOWN))) != 0 ? LK_PRINT_ROOT : LK_PRINT_WRONG;
  }
  return LK_PRINT_MISSING;
}

lk_print_choice lk_print_choose(const lk_doc *doc, lk_print_form form, lk_slice name,
                                lk_node *root) {
  uint32_t cursor = 0, fit = 0, others = 0, kinds = forms[form].kinds;
  lk_slice ignored;
  lk_node node;
  if (name.ptr != NULL) return choose_named(doc, form, name, root);
  if (kinds == 0) return LK_PRINT_WHOLE;
  while (lk_doc_next_root(doc, &cursor, &ignored, &node)) {
    lk_node_kind kind = lk_doc_root_kind(doc, node);
    if ((kinds & 1u << kind) != 0) {
      fit++;
      *root = node;
    } else if (kind != LK_NODE_UNKNOWN) {
      others++;
    }
  }
  if (fit == 1) return LK_PRINT_ROOT;
  if (fit > 1) return LK_PRINT_SEVERAL;
  return others > 0 ? LK_PRINT_NONE : LK_PRINT_NOTHING;
}

void lk_print_root_names(const lk_doc *doc, uint32_t kinds, lk_buf *out) {
  uint32_t cursor = 0;
  lk_slice name;
  lk_node node;
  size_t start = out->len;
  while (lk_doc_next_root(doc, &cursor, &name, &node)) {
    if (kinds != 0 && (kinds & 1u << lk_doc_root_kind(doc, node)) == 0) continue;
    if (out->len > start) (void)lk_buf_append(out, LK_LIT(", "));
    (void)lk_buf_append(out, name);
  }
}

lk_err lk_print_write(const lk_doc *doc, lk_print_form form, lk_print_choice choice, lk_node root,
                      lk_buf *out) {
  LK_ASSERT(choice <= LK_PRINT_NOTHING);
  if (choice == LK_PRINT_WHOLE) return lk_doc_json(doc, out);
  if (choice == LK_PRINT_NOTHING) return lk_buf_append(out, forms[form].empty);
  return forms[form].write(doc, root, out);
}
