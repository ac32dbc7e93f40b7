/* wasm/doc_ways.c -- an engine of documents that has one way for everything.
 *
 * What the engine does in short ways (doc/text_fast.c, doc/apply_plain.c, doc/encode_whole.c) it can do without them, with
 * the same bytes. A keystroke takes half a microsecond then and not a tenth of one, and a document of 100,000 characters
 * two milliseconds to load and not a third of one. In a page that is nothing, since whoever types there is a human being, and
 * each byte of the module comes over a network: so the modules of pages have this in place of those three. They may always
 * say that a change is not of their kind, and here they always do.
 *
 * laniakea-doc-fast.wasm, and native builds, have them. That the engine is the same without is tested:
 * doc_conformance_plain plays sessions of Yjs on it. */
#include "doc/apply.h"
#include "doc/encode.h"

/* ---- text_fast.c ---- */

bool lk_text_insert_fast(lk_doc *doc, uint32_t text, uint32_t index, lk_slice utf8) {
  (void)doc, (void)text, (void)index, (void)utf8;
  return false;
}

bool lk_text_delete_fast(lk_doc *doc, uint32_t text, uint32_t index, uint32_t length) {
  (void)doc, (void)text, (void)index, (void)length;
  return false;
}

bool lk_text_type_on(lk_doc *doc, lk_node text, uint64_t index, lk_slice utf8) {
  (void)doc, (void)text, (void)index, (void)utf8;
  return false;
}

bool lk_text_delete_on(lk_doc *doc, lk_node text, uint64_t index, uint64_t length) {
  (void)doc, (void)text, (void)index, (void)length;
  return false;
}

/* Nobody began to type, and nobody is told of a change in a stroke. */
void lk_typing_stop(lk_doc *doc) { (void)doc; }

bool lk_replace_emit(lk_doc *doc, const lk_tx *tx) {
  (void)doc, (void)tx;
  return false;
}

lk_err lk_stroke_open(lk_doc *doc) {
  (void)doc;
  return LK_OK;
}

bool lk_list_insert_fast(lk_doc *doc, uint32_t list, uint32_t index, lk_slice any) {
  (void)doc, (void)list, (void)index, (void)any;
  return false;
}

bool lk_apply_fast(lk_doc *doc, lk_update_format format, lk_slice update, uint64_t origin) {
  (void)doc, (void)format, (void)update, (void)origin;
  return false;
}

/* ---- apply_plain.c ---- */

void lk_section_map(lk_applying *self, lk_section *section, uint32_t structs) {
  (void)self, (void)section, (void)structs;
}

void lk_section_note(lk_applying *self, lk_section *section, uint32_t number) {
  (void)self, (void)section, (void)number;
}

lk_err lk_take_plain_run(lk_applying *self, lk_section *section) {
  (void)self, (void)section;
  return LK_OK;
}

bool lk_deletes_are_plain(const lk_applying *self) {
  (void)self;
  return false;
}

uint32_t lk_skip_known_deletes(lk_applying *self, uint16_t client, uint32_t *range) {
  (void)self, (void)client, (void)range;
  return 0;
}

lk_err lk_take_plain_loose(lk_applying *self, lk_section *section, uint32_t until) {
  (void)self, (void)section, (void)until;
  return LK_OK;
}

/* ---- encode_whole.c ---- */

lk_err lk_doc_encode_whole(const lk_doc *doc, const lk_part *parts, uint32_t count, lk_buf *out) {
  (void)doc, (void)parts, (void)count, (void)out;
  return LK_ERR_UNSUPPORTED;
}
