/* What is asked about a document from outside of its room. */
#include "codec/json_reader.h"
#include "harness/test.h"
#include "room/doc_query.h"

/* An answer that is not bytes is JSON. */
FUZZ(lk_doc_query_read) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("{\"as\":\"html\",\"root\":\"t\"}"),
    LK_LIT_INIT("{\"as\":\"state_vector\"}"),
    LK_LIT_INIT("{\"root\":\"\\u0000\"}"),
    LK_LIT_INIT("{\"as\":\"delta\"}"),
  };
  uint8_t scratch[200];
  const lk_limits limits = lk_limits_default();
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  lk_doc_reading reading;
  lk_doc *doc;
  lk_node text;
  lk_arena arena;
  lk_buf out;
  CHECK_OK(lk_doc_open(&env, &options, &doc));
  CHECK_OK(lk_doc_root(doc, LK_LIT("t"), LK_NODE_TEXT, &text));
  CHECK_OK(lk_doc_text_insert(doc, text, 0, LK_LIT("a<b>\"&"), NULL));
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  lk_buf_init(&out, test_alloc(), 1 << 20);
  lk_slice payload = gen_hostile(g, samples, 4, scratch, sizeof scratch);
  CHECK_OK(lk_doc_query_read(doc, &limits, &arena, payload, &out, &reading));
  if (!reading.binary) CHECK_OK(lk_json_check(lk_buf_slice(&out), &limits, NULL));
  lk_arena_deinit(&arena);
  lk_buf_deinit(&out);
  lk_doc_close(doc);
}
