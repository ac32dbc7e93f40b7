/* Snapshots from strangers, and what a document would do to look so again. */
#include "doc/restore.h"

#include "harness/test.h"

/* Of the document below: before the deletion, and nothing. */
static const lk_slice snapshots[] = {
  LK_LIT_INIT("\x00\x01\x05\x0A"),
  LK_LIT_INIT("\x01\x05\x01\x02\x01\x01\x05\x0D"),
  LK_LIT_INIT("\x00\x00"),
};

/* also fuzzes: lk_doc_shows */
/* Goal: a snapshot is refused, or the update leads to it: then there is no more to be done. */
FUZZ(lk_doc_restore) {
  uint8_t scratch[60];
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  lk_attribute bold = { LK_LIT("bold"), { .kind = LK_VALUE_BOOL, .boolean = true } };
  lk_attributes attributes = { &bold, 1 };
  lk_node text, map;
  lk_doc *doc;
  lk_buf update, rest;
  options.client = 5;
  options.keep_deleted = true;
  CHECK_OK(lk_doc_open(&env, &options, &doc));
  CHECK_OK(lk_doc_root(doc, LK_LIT("t"), LK_NODE_TEXT, &text));
  CHECK_OK(lk_doc_root(doc, LK_LIT("m"), LK_NODE_MAP, &map));
  CHECK_OK(lk_doc_text_insert(doc, text, 0, LK_LIT("ab\xF0\x9F\x98\x80h"), NULL));
  CHECK_OK(lk_doc_text_format(doc, text, 1, 2, &attributes));
  CHECK_OK(lk_doc_map_set_node(doc, map, LK_LIT("k"), LK_NODE_TEXT, LK_SLICE_EMPTY, NULL));
  CHECK_OK(lk_doc_text_delete(doc, text, 2, 2));
  CHECK_OK(lk_doc_map_set(doc, map, LK_LIT("k"), &(lk_value){ .kind = LK_VALUE_NULL }));
  lk_buf_init(&update, test_alloc(), 1 << 16);
  lk_buf_init(&rest, test_alloc(), 1 << 16);
  lk_update_format to = gen_bool(g) ? LK_UPDATE_V1 : LK_UPDATE_V2;
  lk_slice snapshot = gen_hostile(g, snapshots, 3, scratch, sizeof scratch);
  lk_err err = lk_doc_restore(doc, LK_UPDATE_V2, snapshot, 9, to, &update);
  CHECK(lk_doc_shows(doc, LK_UPDATE_V2, snapshot) == err);
  if (err == LK_OK) CHECK_OK(lk_doc_apply(doc, to, lk_buf_slice(&update), 0));
  lk_buf_deinit(&update);
  lk_buf_deinit(&rest);
  lk_doc_close(doc);
}
