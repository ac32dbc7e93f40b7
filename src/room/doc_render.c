/* room/doc_render.c -- each root is rendered, and compared by a hash that strangers cannot aim at. */
#include "room/doc_render.h"

#include "codec/json_writer.h"
#include "doc/print.h"
#include "laniakea/render.h"

void lk_doc_rendered_init(lk_doc_rendered *self, const lk_alloc *alloc, const uint64_t seed[2]) {
  *self = (lk_doc_rendered){ .alloc = alloc, .seed = { seed[0], seed[1] } };
  lk_map_init(&self->hashes, alloc, sizeof(uint64_t), UINT32_MAX / 4, seed);
}

void lk_doc_rendered_deinit(lk_doc_rendered *self) {
  lk_map_deinit(&self->hashes);
  *self = (lk_doc_rendered){ 0 };
}

/* Whether |html| is other than what was told last; it is what was told, then. */
static lk_err note(lk_doc_rendered *self, lk_slice root, lk_slice html, bool *changed) {
  void *value;
  bool is_new;
  uint64_t hash = lk_siphash13(self->seed, html);
  lk_err err = lk_map_put(&self->hashes, root, &value, &is_new);
  if (err != LK_OK) return err;
  *changed = is_new || *(uint64_t *)value != hash;
  *(uint64_t *)value = hash;
  return LK_OK;
}

static void write_fragment(lk_buf *out, lk_slice root, lk_slice html, bool is_first) {
  lk_json_writer w;
  (void)lk_buf_append(out, is_first ? LK_LIT("{\"fragments\":[") : LK_LIT(","));
  lk_json_writer_init(&w, out);
  (void)lk_json_begin_object(&w);
  (void)lk_json_write_key(&w, LK_LIT("root"));
  (void)lk_json_write_string(&w, root);
  (void)lk_json_write_key(&w, LK_LIT("html"));
  (void)lk_json_write_string(&w, html);
  (void)lk_json_end_object(&w);
  (void)lk_json_writer_finish(&w);
}

lk_err lk_doc_rendered_write(lk_doc_rendered *self, const lk_doc *doc, bool all, lk_buf *out) {
  uint32_t cursor = 0;
  lk_slice name;
  lk_node root;
  lk_buf html;
  lk_err err = LK_OK;
  bool is_first = true;
  lk_buf_init(&html, self->alloc, SIZE_MAX / 4);
  while (err == LK_OK && lk_doc_next_root(doc, &cursor, &name, &root)) {
    bool changed = true;
    if ((lk_print_kinds(LK_PRINT_HTML) & 1u << lk_doc_root_kind(doc, root)) == 0) continue;
    lk_buf_truncate(&html, 0);
    err = lk_doc_render(doc, root, LK_RENDER_HTML, &html);
    if (err == LK_OK && !all) err = note(self, name, lk_buf_slice(&html), &changed);
    if (err != LK_OK || !changed) continue;
    write_fragment(out, name, lk_buf_slice(&html), is_first);
    is_first = false;
  }
  if (err == LK_OK && !is_first) (void)lk_buf_append(out, LK_LIT("]}"));
  lk_buf_deinit(&html);
  return err == LK_OK ? lk_buf_err(out) : err;
}
