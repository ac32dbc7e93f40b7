/* Goal: a tree has all that a node holds, in the form of doc/read_tree.h; the SDK's tests see what JavaScript makes of it.
 * Method: small documents whose bytes can be read by eye; every buffer too small, every allocation failed once. */
#include "codec/hex.h"
#include "doc/engine.h"
#include "doc/read_tree.h"
#include "harness/faulty.h"
#include "harness/test.h"

typedef struct tree {
  lk_env env;
  const lk_alloc *now;
  lk_alloc alloc;
  lk_doc *doc;
} tree;

/* Whatever |now| is. */
static void *resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  const tree *self = ctx;
  return self->now->resize(self->now->ctx, ptr, old_size, new_size);
}

static void tree_open(tree *self) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = 9;
  self->now = test_alloc();
  self->alloc = (lk_alloc){ resize, self };
  self->env = (lk_env)LK_ENV_INIT(&self->alloc, NULL);
  CHECK_OK(lk_doc_open(&self->env, &options, &self->doc));
}

static lk_node root_of(const tree *self, const char *name, lk_node_kind kind) {
  lk_node node;
  CHECK_OK(lk_doc_root(self->doc, lk_slice_cstr(name), kind, &node));
  return node;
}

static lk_value text_value(const char *text) {
  return (lk_value){ .kind = LK_VALUE_STRING, .bytes = lk_slice_cstr(text) };
}

static void check_tree(tree *self, lk_node node, lk_tree_what what, lk_slice want) {
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1 << 20);
  CHECK_OK(lk_doc_tree(self->doc, node, what, &out));
  CHECK_SLICE(lk_buf_slice(&out), want);
  lk_buf_deinit(&out);
  for (size_t room = 0; room < want.len; room++) {
    lk_buf_init(&out, test_alloc(), room);
    CHECK_ERR(lk_doc_tree(self->doc, node, what, &out), LK_ERR_LIMIT);
    CHECK_U64(out.len, 0);
    lk_buf_deinit(&out);
  }
}

#define BYTES(...) lk_slice_of((const uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }))

#define WORD(value)                                                                                \
  (uint8_t)(value), (uint8_t)((value) >> 8), (uint8_t)((value) >> 16), (uint8_t)((value) >> 24)

TEST(the_tree_of_a_map_has_its_pairs_and_the_nodes_in_it) {
  tree t;
  lk_node inner;
  tree_open(&t);
  lk_node map = root_of(&t, "m", LK_NODE_MAP);
  lk_value text = text_value("x"), number = { .kind = LK_VALUE_NUMBER, .number = 5 };
  CHECK_OK(lk_doc_map_set(t.doc, map, LK_LIT("b"), &text));
  CHECK_OK(lk_doc_map_set_node(t.doc, map, LK_LIT("1"), LK_NODE_ARRAY, LK_SLICE_EMPTY, &inner));
  CHECK_OK(lk_doc_list_push(t.doc, inner, &number, 1));
  CHECK_OK(lk_doc_map_set(t.doc, map, LK_LIT("gone"), &text));
  CHECK_OK(lk_doc_map_delete(t.doc, map, LK_LIT("gone")));
  check_tree(&t, map, LK_TREE_ALL,
             BYTES(3, 1, 119, 1, 'b', 119, 1, 'x', 119, 1, '1', 3, 0, 0, 125, 5, 0, 0, 0));
  check_tree(&t, map, LK_TREE_ENTRIES,
             BYTES(119, 1, 'b', 119, 1, 'x', 119, 1, '1', 1, WORD(inner.slot), WORD(inner.check), 0,
                   0, 0));
  lk_doc_close(t.doc);
}

TEST(the_tree_of_a_text_is_its_text_or_runs_with_formatting) {
  tree t;
  tree_open(&t);
  lk_node node = root_of(&t, "t", LK_NODE_TEXT);
  lk_value yes = { .kind = LK_VALUE_BOOL, .boolean = true }, embed = text_value("e");
  lk_attribute bold = { LK_LIT("b"), yes };
  lk_attributes attributes = { &bold, 1 };
  CHECK_OK(lk_doc_text_insert(t.doc, node, 0, LK_LIT("abc"), NULL));
  CHECK_OK(lk_doc_text_format(t.doc, node, 1, 1, &attributes));
  embed = (lk_value){ .kind = LK_VALUE_NUMBER, .number = 7 };
  CHECK_OK(lk_doc_text_insert_embed(t.doc, node, 3, &embed, NULL));
  check_tree(&t, node, LK_TREE_ALL, BYTES(3, 2, 119, 3, 'a', 'b', 'c'));
  check_tree(&t, node, LK_TREE_DELTA,
             BYTES(3, 6, 0, 119, 1, 'a', 4, 1, 'b', 120, 119, 1, 'b', 4, 1, 'b', 126, 119, 1, 'c',
                   5, 125, 7, 0));
  lk_doc_close(t.doc);
}

TEST(the_tree_of_xml_has_names_attributes_and_children) {
  tree t;
  lk_node p, text;
  tree_open(&t);
  lk_node xml = root_of(&t, "x", LK_NODE_XML_FRAGMENT);
  lk_value left = text_value("l");
  CHECK_OK(lk_doc_list_insert_node(t.doc, xml, 0, LK_NODE_XML_ELEMENT, LK_LIT("P"), &p));
  CHECK_OK(lk_doc_map_set(t.doc, p, LK_LIT("a"), &left));
  CHECK_OK(lk_doc_list_insert_node(t.doc, p, 0, LK_NODE_XML_TEXT, LK_SLICE_EMPTY, &text));
  CHECK_OK(lk_doc_text_insert(t.doc, text, 0, LK_LIT("hi"), NULL));
  check_tree(&t, xml, LK_TREE_ALL,
             BYTES(3, 4, 0, 3, 3, 1, 'P', 119, 1, 'a', 119, 1, 'l', 0, 3, 6, 0, 119, 2, 'h', 'i', 0,
                   0, 0));
  lk_doc_close(t.doc);
}

TEST(elements_and_values_do_not_go_into_nodes) {
  tree t;
  lk_node node;
  lk_buf out;
  tree_open(&t);
  lk_buf_init(&out, test_alloc(), 1 << 20);
  lk_node list = root_of(&t, "a", LK_NODE_ARRAY), map = root_of(&t, "m", LK_NODE_MAP);
  lk_value values[] = { { .kind = LK_VALUE_NULL }, text_value("s") };
  CHECK_OK(lk_doc_list_push(t.doc, list, values, 2));
  CHECK_OK(lk_doc_list_insert_node(t.doc, list, 2, LK_NODE_TEXT, LK_SLICE_EMPTY, &node));
  CHECK_OK(lk_doc_map_set(t.doc, map, LK_LIT("k"), &values[1]));
  CHECK_OK(lk_doc_tree_element(t.doc, list, 1, &out));
  CHECK_OK(lk_doc_tree_value(t.doc, map, LK_LIT("k"), &out));
  CHECK_SLICE(lk_buf_slice(&out), BYTES(119, 1, 's', 119, 1, 's'));
  check_tree(&t, list, LK_TREE_ELEMENTS,
             BYTES(0, 126, 119, 1, 's', 1, WORD(node.slot), WORD(node.check), 2, 0));
  CHECK_ERR(lk_doc_tree_element(t.doc, list, 3, &out), LK_ERR_RANGE);
  CHECK_ERR(lk_doc_tree_value(t.doc, map, LK_LIT("none"), &out), LK_ERR_NOT_FOUND);
  lk_buf_deinit(&out);
  lk_doc_close(t.doc);
}

/* Frames and runs are memory of the document's, whose end leaves nothing behind. */
TEST(a_tree_without_memory_is_none) {
  tree t;
  lk_node node;
  lk_buf out;
  tree_open(&t);
  lk_buf_init(&out, test_alloc(), 1 << 20);
  lk_node list = root_of(&t, "a", LK_NODE_ARRAY), at = list;
  for (int i = 0; i < 40; i++, at = node)
    CHECK_OK(lk_doc_list_insert_node(t.doc, at, 0, LK_NODE_ARRAY, LK_SLICE_EMPTY, &node));
  CHECK_OK(lk_doc_list_insert_node(t.doc, at, 0, LK_NODE_TEXT, LK_SLICE_EMPTY, &node));
  CHECK_OK(lk_doc_text_insert(t.doc, node, 0, LK_LIT("deep"), NULL));
  FAULT_LOOP(faults, test_alloc()) {
    lk_buf_truncate(&out, 0);
    t.now = faulty_alloc(&faults);
    lk_err err = lk_doc_tree(t.doc, list, LK_TREE_ALL, &out);
    t.now = test_alloc();
    CHECK(err == (faults.hit ? LK_ERR_NOMEM : LK_OK));
    CHECK((out.len > 0) == (err == LK_OK));
  }
  lk_buf_deinit(&out);
  lk_doc_close(t.doc);
}
