/* A document as a page: which roots are shown, how, and under which names. */
#include "room/doc_page.h"

#include "harness/faulty.h"
#include "harness/test.h"
#include "room/doc_query.h"

static lk_doc *open_doc(const lk_env *env) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  lk_doc *doc;
  options.client = 1;
  CHECK_OK(lk_doc_open(env, &options, &doc));
  return doc;
}

static void write(lk_doc *doc, const char *root, const char *text) {
  lk_node node;
  CHECK_OK(lk_doc_root(doc, lk_slice_cstr(root), LK_NODE_TEXT, &node));
  CHECK_OK(lk_doc_text_insert(doc, node, 0, lk_slice_cstr(text), NULL));
}

static void check_page(const lk_doc *doc, const char *want) {
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 65536);
  CHECK_OK(lk_doc_page_write(doc, &out));
  CHECK_SLICE(lk_buf_slice(&out), lk_slice_cstr(want));
  lk_buf_deinit(&out);
}

TEST(a_page_shows_each_root_and_names_them_where_there_are_several) {
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_doc *doc = open_doc(&env);
  lk_node map;
  check_page(doc, "<p>There is nothing in this document.</p>");
  write(doc, "<a>", "x<y");
  check_page(doc, "<p>x&lt;y</p>\n");
  CHECK_OK(lk_doc_root(doc, LK_LIT("m"), LK_NODE_MAP, &map));
  const lk_value value = { .kind = LK_VALUE_STRING, .bytes = LK_LIT("</pre>") };
  CHECK_OK(lk_doc_map_set(doc, map, LK_LIT("k"), &value));
  check_page(doc,
             "<section><h2>&lt;a&gt;</h2><p>x&lt;y</p>\n</section>"
             "<section><h2>m</h2><pre>\n{&quot;k&quot;:&quot;&lt;/pre&gt;&quot;}</pre></section>");
  lk_doc_close(doc);
}

TEST(a_page_without_memory_is_none) {
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_doc *doc = open_doc(&env);
  write(doc, "a", "x");
  write(doc, "b", "y");
  FAULT_LOOP(faults, test_alloc()) {
    lk_buf out;
    lk_buf_init(&out, faulty_alloc(&faults), 65536);
    lk_err err = lk_doc_page_write(doc, &out);
    CHECK(err == LK_OK || (err == LK_ERR_NOMEM && out.len == 0));
    lk_buf_deinit(&out);
  }
  lk_doc_close(doc);
}

/* Goal: who only asks learns that there is nothing, and not that there is an empty document. */
TEST(a_document_of_which_nothing_was_ever_said_is_not_there) {
  static const char *const forms[] = { "json", "page", "update", "text" };
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_limits limits = lk_limits_default();
  for (int is_written = 0; is_written < 2; is_written++) {
    lk_doc *doc = open_doc(&env);
    if (is_written == 1) write(doc, "a", "x");
    for (size_t i = 0; i < 4; i++) {
      lk_arena arena;
      lk_buf payload, out;
      lk_doc_reading reading;
      lk_arena_init(&arena, test_alloc(), 65536);
      lk_buf_init(&payload, test_alloc(), 100);
      lk_buf_init(&out, test_alloc(), 65536);
      (void)lk_buf_append(&payload, LK_LIT("{\"must_exist\":true,\"as\":\""));
      (void)lk_buf_append(&payload, lk_slice_cstr(forms[i]));
      CHECK_OK(lk_buf_append(&payload, LK_LIT("\"}")));
      CHECK_OK(lk_doc_query_read(doc, &limits, &arena, lk_buf_slice(&payload), &out, &reading));
      CHECK(reading.ok == (is_written == 1));
      bool says_so = lk_slice_find(lk_buf_slice(&out), LK_LIT("LK_ERR_NOT_FOUND")) != LK_SLICE_NONE;
      CHECK(says_so == (is_written == 0));
      lk_buf_deinit(&out);
      lk_buf_deinit(&payload);
      lk_arena_deinit(&arena);
    }
    lk_doc_close(doc);
  }
}
