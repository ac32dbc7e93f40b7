/* What a stranger's update would change, asked before it is taken in. */
#include "doc/engine.h"
#include "doc/news.h"
#include "harness/test.h"
#include "tests/unit/doc/check.h"
#include "tests/unit/doc/craft.h"

/* Asking changes nothing, and what is said to change nothing changes nothing. */
FUZZ(lk_doc_news) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("\x01\x01\x03\x05\x84\x03\x04\x01x\x00"),
    LK_LIT_INIT("\x00\x01\x03\x02\x00\x02\x03\x01"),
    LK_LIT_INIT("\x01\x02\x03\x00\x04\x01\x01r\x05hello\x8a\x03\x00"),
  };
  uint8_t scratch[256];
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  lk_update_format format = gen_bool(g) ? LK_UPDATE_V1 : LK_UPDATE_V2;
  lk_doc *doc;
  craft u;
  lk_buf before, after;
  lk_news news;
  options.client = 77;
  CHECK_OK(lk_doc_open(&env, &options, &doc));
  doc->limits.doc_structs_count = 8192; /* V2 claims any number in a few bytes */
  doc->limits.doc_update_structs_count = 8192;
  craft_begin(&u, LK_UPDATE_V1);
  craft_client(&u, 3, 0);
  craft_text(&u, CRAFT_NONE, CRAFT_NONE, "hello");
  craft_deletes(&u);
  lk_update_write_delete_client(&u.writer, 3, 1);
  lk_update_write_delete(&u.writer, 1, 2);
  CHECK_OK(lk_doc_apply(doc, LK_UPDATE_V1, craft_end(&u), 0));
  craft_free(&u);
  lk_buf_init(&before, test_alloc(), 1 << 24);
  lk_buf_init(&after, test_alloc(), 1 << 24);
  lk_slice update = gen_hostile(g, samples, 3, scratch, sizeof scratch);
  CHECK_OK(lk_doc_encode(doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &before));
  if (lk_doc_news(doc, format, update, &news) == LK_OK) {
    CHECK_DOC(doc);
    lk_err err = lk_doc_apply(doc, format, update, 0);
    if (news == LK_NEWS_NONE) CHECK_OK(err);
    if (err != LK_OK || news == LK_NEWS_NONE) {
      CHECK_OK(lk_doc_encode(doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &after));
      CHECK_SLICE(lk_buf_slice(&after), lk_buf_slice(&before));
    }
  }
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
  lk_doc_close(doc);
}
