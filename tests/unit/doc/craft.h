/* Updates that no editor would write. */
#ifndef LK_TESTS_DOC_CRAFT_H
#define LK_TESTS_DOC_CRAFT_H

#include <string.h>

#include "doc/update.h"
#include "harness/test.h"

typedef struct craft {
  lk_update_writer writer;
  lk_buf out;
} craft;

#define CRAFT_NONE ((lk_doc_id){ UINT64_MAX, 0 })
#define AT(client_, clock_) ((lk_doc_id){ (client_), (clock_) })

static inline void craft_begin(craft *self, lk_update_format format) {
  lk_update_writer_init(&self->writer, test_alloc(), format, (size_t)1 << 28);
  lk_buf_init(&self->out, test_alloc(), (size_t)1 << 28);
}
static inline void craft_free(craft *self) {
  lk_update_writer_deinit(&self->writer);
  lk_buf_deinit(&self->out);
}
static inline void craft_client(craft *self, uint64_t client, uint64_t clock) {
  lk_update_write_client(&self->writer, client, clock);
}

/* What a struct hangs at: its neighbours, or root "r". */
static inline lk_struct craft_view(lk_doc_id origin, lk_doc_id right, uint8_t kind, uint64_t len) {
  lk_struct view;
  memset(&view, 0, sizeof view);
  view.kind = view.info = kind;
  view.len = len;
  if (origin.client != UINT64_MAX) {
    view.info |= LK_INFO_ORIGIN;
    view.origin = origin;
  }
  if (right.client != UINT64_MAX) {
    view.info |= LK_INFO_RIGHT;
    view.right = right;
  }
  if ((view.info & (LK_INFO_ORIGIN | LK_INFO_RIGHT)) == 0 && kind != LK_CONTENT_GC) {
    view.parent_form = LK_PARENT_ROOT;
    view.parent_name = LK_LIT("r");
  }
  return view;
}
static inline void craft_put(craft *self, const lk_struct *view) {
  lk_update_write_struct(&self->writer, view, 0);
}
static inline void craft_text(craft *self, lk_doc_id origin, lk_doc_id right, const char *text) {
  lk_struct view = craft_view(origin, right, LK_CONTENT_STRING, 1);
  view.text.text = lk_slice_cstr(text);
  view.len = view.text.text.len; /* ASCII */
  craft_put(self, &view);
}
static inline void craft_deleted(craft *self, lk_doc_id origin, lk_doc_id right, uint64_t len) {
  lk_struct view = craft_view(origin, right, LK_CONTENT_DELETED, len);
  craft_put(self, &view);
}
static inline void craft_gc(craft *self, uint64_t len) {
  lk_struct view = craft_view(CRAFT_NONE, CRAFT_NONE, LK_CONTENT_GC, len);
  craft_put(self, &view);
}
/* A value of |key| in the map of root |root|. */
static inline void craft_entry(craft *self, lk_doc_id origin, const char *root, const char *key,
                               lk_slice any) {
  lk_struct view = craft_view(origin, CRAFT_NONE, LK_CONTENT_ANY, 1);
  view.info |= LK_INFO_SUB;
  view.sub = lk_slice_cstr(key);
  if (origin.client == UINT64_MAX) view.parent_name = lk_slice_cstr(root);
  view.value = any;
  craft_put(self, &view);
}
static inline void craft_type(craft *self, lk_doc_id origin, lk_doc_id right, uint8_t type_ref) {
  lk_struct view = craft_view(origin, right, LK_CONTENT_TYPE, 1);
  view.type_ref = type_ref;
  craft_put(self, &view);
}
static inline void craft_text_in(craft *self, lk_doc_id parent, const char *text) {
  lk_struct view = craft_view(CRAFT_NONE, CRAFT_NONE, LK_CONTENT_STRING, strlen(text));
  view.parent_form = LK_PARENT_ITEM;
  view.parent_id = parent;
  view.text.text = lk_slice_cstr(text);
  craft_put(self, &view);
}
static inline void craft_deletes(craft *self) { lk_update_write_deletes(&self->writer); }
static inline void craft_delete(craft *self, uint64_t client, uint64_t clock, uint64_t len) {
  lk_update_write_delete_client(&self->writer, client, 1);
  lk_update_write_delete(&self->writer, clock, len);
}
/* The update; without deletions where craft_deletes() was not called. It is good until the next craft_begin() or
 * craft_free(). */
static inline lk_slice craft_end(craft *self) {
  if (!self->writer.in_deletes) lk_update_write_deletes(&self->writer);
  CHECK_OK(lk_update_writer_finish(&self->writer, &self->out));
  return lk_buf_slice(&self->out);
}

#endif
