/* Goal: what is read of a document is what Yjs reads, and reading leaves everything as it was.
 * Method: documents of real Yjs with what it said of them (vectors); small documents made here for each rule; every
 * buffer too small, and every allocation failed once. */
#include "codec/any.h"
#include "codec/hex.h"
#include "doc/engine.h"
#include "doc/read.h"
#include "unit/codec/vectors.h"

#define PATH "tests/vectors/doc_render.json"

typedef lk_err (*reader)(const lk_doc *doc, lk_node node, lk_buf *out);

static lk_doc *open_with(lk_env *env, const lk_alloc *alloc) {
  lk_doc *doc = NULL;
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  *env = (lk_env)LK_ENV_INIT(alloc, NULL);
  options.client = 9;
  return lk_doc_open(env, &options, &doc) == LK_OK ? doc : NULL;
}

static lk_doc *open_doc(lk_env *env) {
  lk_doc *doc = open_with(env, test_alloc());
  CHECK(doc != NULL);
  return doc;
}

static lk_node root_of(lk_doc *doc, lk_slice name, lk_node_kind kind) {
  lk_node node;
  CHECK_OK(lk_doc_root(doc, name, kind, &node));
  return node;
}

static lk_buf new_buf(void) {
  lk_buf buf;
  lk_buf_init(&buf, test_alloc(), 1 << 24);
  return buf;
}

static lk_value text_value(lk_slice text) {
  return (lk_value){ .kind = LK_VALUE_STRING, .bytes = text };
}

static lk_value number_value(double number) {
  return (lk_value){ .kind = LK_VALUE_NUMBER, .number = number };
}

/* |json| as a value of LK_VALUE_ANY; the bytes lie in |any|. */
static lk_value json_value(lk_slice json, lk_buf *any) {
  lk_buf_truncate(any, 0);
  CHECK_OK(lk_doc_any_of_json(json, any));
  return (lk_value){ .kind = LK_VALUE_ANY, .bytes = lk_buf_slice(any) };
}

/* |read| of |node| gives |want|; and where there is a byte less than it needs, nothing. */
static void check_reads(const lk_doc *doc, lk_node node, reader read, lk_slice want) {
  lk_buf out = new_buf(), small;
  lk_buf_append(&out, LK_LIT("before"));
  CHECK_OK(read(doc, node, &out));
  CHECK_SLICE(lk_slice_skip(lk_buf_slice(&out), 6), want);
  lk_buf_deinit(&out);
  for (size_t room = want.len > 200 ? want.len - 1 : 0; room < want.len; room++) {
    lk_buf_init(&small, test_alloc(), 6 + room);
    lk_buf_append(&small, LK_LIT("before"));
    CHECK_ERR(read(doc, node, &small), LK_ERR_LIMIT);
    CHECK_TEXT(lk_buf_slice(&small), "before");
    CHECK_OK(lk_buf_err(&small));
    lk_buf_deinit(&small);
  }
}

static lk_err whole_json(const lk_doc *doc, lk_node node, lk_buf *out) {
  (void)node;
  return lk_doc_json(doc, out);
}

TEST(documents_of_yjs_read_as_yjs_reads_them) {
  lk_json_member f[] = { VECTORS_FIELD("update"),  VECTORS_FIELD("json"), VECTORS_FIELD("t"),
                         VECTORS_FIELD("t_delta"), VECTORS_FIELD("x"),    VECTORS_FIELD("xt"),
                         VECTORS_FIELD("xt_delta") };
  vectors v;
  lk_env env;
  vectors_open(&v, PATH, LK_LIT("read"));
  while (vectors_next(&v, f, 7)) {
    lk_doc *doc = open_doc(&env);
    lk_node t = root_of(doc, LK_LIT("t"), LK_NODE_TEXT);
    (void)root_of(doc, LK_LIT("a"), LK_NODE_ARRAY);
    (void)root_of(doc, LK_LIT("m"), LK_NODE_MAP);
    lk_node x = root_of(doc, LK_LIT("x"), LK_NODE_XML_FRAGMENT);
    lk_node xt = root_of(doc, LK_LIT("xt"), LK_NODE_XML_TEXT);
    (void)root_of(doc, LK_LIT("7"), LK_NODE_MAP);
    test_note("case %u", v.count);
    CHECK_OK(lk_doc_apply(doc, LK_UPDATE_V1, vectors_hex(&v, &f[0]), 0));
    check_reads(doc, t, whole_json, vectors_text(&f[1]));
    check_reads(doc, t, lk_doc_text_string, vectors_text(&f[2]));
    check_reads(doc, t, lk_doc_text_delta, vectors_text(&f[3]));
    check_reads(doc, x, lk_doc_xml_string, vectors_text(&f[4]));
    check_reads(doc, xt, lk_doc_xml_string, vectors_text(&f[5]));
    check_reads(doc, xt, lk_doc_text_delta, vectors_text(&f[6]));
    lk_doc_close(doc);
  }
  vectors_close(&v);
}

/* Typed character by character at the front, so that no two of them are one item: short copies side by side, and
 * among them some that are not ASCII. */
TEST(text_of_many_items_is_put_together) {
  static const char *const parts[] = {
    "d", "\xC3\xA9", "c", "\xF0\x9F\x91\x8D", "bb", "a long part of more than sixteen bytes", "0"
  };
  lk_env env;
  lk_buf want = new_buf();
  lk_doc *doc = open_doc(&env);
  lk_node text = root_of(doc, LK_LIT("t"), LK_NODE_TEXT);
  for (size_t i = 0; i < 70; i++) {
    CHECK_OK(lk_doc_text_insert(doc, text, 0, lk_slice_cstr(parts[i % 7]), NULL));
  }
  for (size_t i = 70; i-- > 0;) lk_buf_append(&want, lk_slice_cstr(parts[i % 7]));
  check_reads(doc, text, lk_doc_text_string, lk_buf_slice(&want));
  CHECK_U64(lk_doc_node_length(doc, text), 10 * (1 + 1 + 1 + 2 + 2 + 38 + 1));
  lk_buf_deinit(&want);
  lk_doc_close(doc);
}

/* An embed counts a unit and has no text: a buffer that just holds the text must do. */
TEST(text_with_embeds_needs_no_more_room_than_the_text) {
  lk_env env;
  lk_buf out;
  lk_doc *doc = open_doc(&env);
  lk_node text = root_of(doc, LK_LIT("t"), LK_NODE_TEXT);
  lk_buf any = new_buf();
  lk_value embed = json_value(LK_LIT("{\"image\":1}"), &any);
  CHECK_OK(lk_doc_text_insert(doc, text, 0, LK_LIT("ab"), NULL));
  for (int i = 0; i < 5; i++) CHECK_OK(lk_doc_text_insert_embed(doc, text, 1, &embed, NULL));
  lk_buf_init(&out, test_alloc(), 2);
  CHECK_OK(lk_doc_text_string(doc, text, &out));
  CHECK_TEXT(lk_buf_slice(&out), "ab");
  lk_buf_deinit(&out);
  lk_buf_deinit(&any);
  lk_doc_close(doc);
}

static lk_err in_units(const lk_doc *doc, lk_node node, lk_buf *out) {
  bool wide;
  lk_buf units = new_buf(); /* it wants more room than it takes in the end */
  lk_err err = lk_read_text_units(doc, node.slot, &units, &wide);
  if (err == LK_OK) err = lk_buf_append(out, lk_buf_slice(&units));
  if (err == LK_ERR_LIMIT) lk_buf_truncate(out, out->len);
  lk_buf_deinit(&units);
  return err;
}

/* V2 counts its strings in UTF-16, so that a pair may be the end of one item and the beginning of another's. */
TEST(a_pair_that_lies_in_two_items_is_one_character) {
  static const uint8_t update[] = {
    /* of Yjs: D83D by client 2, DC4D behind it by client 1 */
    0x00, 0x00, 0x03, 0x02, 0x01, 0x02, 0x01, 0x00, 0x00, 0x03, 0x04, 0x00, 0x84, 0x08, 0x05, 0x74,
    0xF0, 0x9F, 0x91, 0x8D, 0x41, 0x01, 0x01, 0x01, 0x00, 0x00, 0x02, 0x01, 0x00, 0x01, 0x00, 0x00,
  };
  lk_env env;
  lk_doc *doc = open_doc(&env);
  lk_node text = root_of(doc, LK_LIT("t"), LK_NODE_TEXT);
  CHECK_OK(lk_doc_apply(doc, LK_UPDATE_V2, lk_slice_of(update, sizeof update), 0));
  check_reads(doc, text, lk_doc_text_string, LK_LIT("\xF0\x9F\x91\x8D"));
  check_reads(doc, text, lk_doc_text_delta, LK_LIT("[{\"insert\":\"\xF0\x9F\x91\x8D\"}]"));
  check_reads(doc, text, in_units, LK_LIT("\x3D\xD8\x4D\xDC"));
  CHECK_OK(lk_doc_text_insert(doc, text, 2, LK_LIT("forty characters, more than some words hold"),
                              NULL));
  CHECK_OK(lk_doc_text_delete(doc, text, 7, 38));
  check_reads(doc, text, in_units,
              LK_LIT("\x3D\xD8\x4D\xDC"
                     "f\0o\0r\0t\0y\0"));
  CHECK_OK(lk_doc_text_delete(doc, text, 2, 5));
  CHECK_OK(lk_doc_text_delete(doc, text, 1, 1));
  check_reads(doc, text, lk_doc_text_string, LK_LIT("\xEF\xBF\xBD"));
  check_reads(doc, text, in_units, LK_LIT("\xFD\xFF"));
  lk_doc_close(doc);
}

/* ---- roots of unknown kind ---- */

static void copy_as_unknown(lk_doc *from, lk_doc *to) {
  lk_buf update = new_buf();
  CHECK_OK(lk_doc_encode(from, LK_UPDATE_V1, LK_SLICE_EMPTY, &update));
  CHECK_OK(lk_doc_apply(to, LK_UPDATE_V1, lk_buf_slice(&update), 0));
  lk_buf_deinit(&update);
}

TEST(roots_that_nobody_asked_for_show_what_they_hold) {
  lk_env env, other_env;
  lk_node node;
  lk_value one = number_value(1);
  lk_doc *doc = open_doc(&env), *other = open_doc(&other_env);
  CHECK_OK(lk_doc_text_insert(doc, root_of(doc, LK_LIT("t"), LK_NODE_TEXT), 0, LK_LIT("hi"), NULL));
  CHECK_OK(lk_doc_list_push(doc, root_of(doc, LK_LIT("a"), LK_NODE_ARRAY), &one, 1));
  CHECK_OK(lk_doc_map_set(doc, root_of(doc, LK_LIT("m"), LK_NODE_MAP), LK_LIT("k"), &one));
  node = root_of(doc, LK_LIT("x"), LK_NODE_XML_FRAGMENT);
  CHECK_OK(lk_doc_list_insert_node(doc, node, 0, LK_NODE_XML_ELEMENT, LK_LIT("P"), NULL));
  node = root_of(doc, LK_LIT("gone"), LK_NODE_TEXT);
  CHECK_OK(lk_doc_text_insert(doc, node, 0, LK_LIT("x"), NULL));
  CHECK_OK(lk_doc_text_delete(doc, node, 0, 1));
  copy_as_unknown(doc, other);
  node = root_of(other, LK_LIT("gone"), LK_NODE_UNKNOWN);
  CHECK(lk_doc_node_kind(other, node) == LK_NODE_UNKNOWN);
  check_reads(other, node, whole_json,
              LK_LIT("{\"t\":\"hi\",\"a\":[1],\"m\":{\"k\":1},\"x\":\"<p></p>\"}"));
  check_reads(other, node, lk_doc_node_json, LK_LIT("null"));
  check_reads(other, node, lk_doc_text_string, LK_LIT(""));
  lk_doc_close(doc);
  lk_doc_close(other);
}

TEST(roots_come_in_order_and_with_their_names) {
  lk_env env;
  lk_slice name;
  lk_node node;
  uint32_t cursor = 0;
  lk_doc *doc = open_doc(&env);
  (void)root_of(doc, LK_LIT("b"), LK_NODE_MAP);
  (void)root_of(doc, LK_LIT("a"), LK_NODE_TEXT);
  CHECK(lk_doc_next_root(doc, &cursor, &name, &node));
  CHECK_TEXT(name, "b");
  CHECK(lk_doc_node_kind(doc, node) == LK_NODE_MAP);
  CHECK(lk_doc_next_root(doc, &cursor, &name, &node));
  CHECK_TEXT(lk_doc_node_name(doc, node), "a");
  CHECK(lk_doc_node_kind(doc, node) == LK_NODE_TEXT);
  CHECK(!lk_doc_node_parent(doc, node, &node));
  CHECK(!lk_doc_next_root(doc, &cursor, &name, &node));
  lk_doc_close(doc);
}

/* ---- values ---- */

TEST(elements_come_back_as_the_values_that_went_in) {
  lk_env env;
  lk_buf any = new_buf();
  lk_value got, in[] = { { .kind = LK_VALUE_NULL },
                         { .kind = LK_VALUE_BOOL, .boolean = true },
                         number_value(1.5),
                         text_value(LK_LIT("s")),
                         json_value(LK_LIT("[1,{}]"), &any),
                         { .kind = LK_VALUE_BINARY, .bytes = LK_LIT("\x01\x02") } };
  lk_doc *doc = open_doc(&env);
  lk_node list = root_of(doc, LK_LIT("a"), LK_NODE_ARRAY), child, parent;
  CHECK_OK(lk_doc_list_push(doc, list, in, 6));
  CHECK_OK(lk_doc_list_insert_node(doc, list, 6, LK_NODE_MAP, LK_SLICE_EMPTY, &child));
  for (uint64_t i = 0; i < 6; i++) {
    CHECK_OK(lk_doc_list_get(doc, list, i, &got));
    CHECK(got.kind == in[i].kind && got.boolean == in[i].boolean && got.number == in[i].number);
    CHECK_SLICE(got.bytes, in[i].bytes);
  }
  CHECK_OK(lk_doc_list_get(doc, list, 6, &got));
  CHECK(got.kind == LK_VALUE_NODE && got.node.slot == child.slot);
  CHECK(lk_doc_node_parent(doc, got.node, &parent) && parent.slot == list.slot);
  CHECK_ERR(lk_doc_list_get(doc, list, 7, &got), LK_ERR_RANGE);
  CHECK_ERR(lk_doc_list_get(doc, list, UINT64_C(1) << 32, &got), LK_ERR_RANGE);
  CHECK_ERR(lk_doc_list_get(doc, child, 0, &got), LK_ERR_TYPE);
  CHECK_ERR(lk_doc_text_delta(doc, list, &any), LK_ERR_TYPE);
  check_reads(doc, list, lk_doc_node_json, LK_LIT("[null,true,1.5,\"s\",[1,{}],\"AQI=\",{}]"));
  lk_buf_deinit(&any);
  lk_doc_close(doc);
}

TEST(entries_come_in_the_order_of_their_keys_and_without_those_deleted) {
  lk_env env;
  lk_slice key;
  lk_value got, one = number_value(1), two = number_value(2);
  uint32_t cursor = 0;
  lk_doc *doc = open_doc(&env);
  lk_node map = root_of(doc, LK_LIT("m"), LK_NODE_MAP);
  CHECK_OK(lk_doc_map_set(doc, map, LK_LIT("b"), &one));
  CHECK_OK(lk_doc_map_set(doc, map, LK_LIT("a"), &one));
  CHECK_OK(lk_doc_map_set(doc, map, LK_LIT("10"), &one));
  CHECK_OK(lk_doc_map_set(doc, map, LK_LIT("9"), &one));
  CHECK_OK(lk_doc_map_set(doc, map, LK_LIT("b"), &two));
  CHECK_OK(lk_doc_map_delete(doc, map, LK_LIT("a")));
  CHECK_U64(lk_doc_map_count(doc, map), 3);
  check_reads(doc, map, lk_doc_node_json, LK_LIT("{\"9\":1,\"10\":1,\"b\":2}"));
  CHECK(lk_doc_map_next(doc, map, &cursor, &key, &got));
  CHECK_TEXT(key, "b");
  CHECK(got.number == 2);
  CHECK(lk_doc_map_next(doc, map, &cursor, &key, &got));
  CHECK_TEXT(key, "10");
  CHECK(lk_doc_map_next(doc, map, &cursor, &key, &got));
  CHECK(!lk_doc_map_next(doc, map, &cursor, &key, &got));
  CHECK_OK(lk_doc_map_get(doc, map, LK_LIT("b"), &got));
  CHECK(got.kind == LK_VALUE_NUMBER && got.number == 2);
  CHECK_ERR(lk_doc_map_get(doc, map, LK_LIT("a"), &got), LK_ERR_NOT_FOUND);
  CHECK_ERR(lk_doc_map_get(doc, map, LK_LIT("never"), &got), LK_ERR_NOT_FOUND);
  one.kind = LK_VALUE_UNDEFINED; /* there, but not for JSON */
  CHECK_OK(lk_doc_map_set(doc, map, LK_LIT("10"), &one));
  CHECK_U64(lk_doc_map_count(doc, map), 3);
  check_reads(doc, map, lk_doc_node_json, LK_LIT("{\"9\":1,\"b\":2}"));
  lk_doc_close(doc);
}

TEST(nodes_that_were_deleted_are_gone_for_every_reader) {
  lk_env env;
  lk_node child;
  lk_value got;
  lk_buf out = new_buf();
  lk_doc *doc = open_doc(&env);
  lk_node list = root_of(doc, LK_LIT("a"), LK_NODE_ARRAY);
  CHECK_OK(lk_doc_list_insert_node(doc, list, 0, LK_NODE_TEXT, LK_SLICE_EMPTY, &child));
  CHECK(lk_doc_has_node(doc, child) && lk_doc_node_kind(doc, child) == LK_NODE_TEXT);
  CHECK_OK(lk_doc_list_delete(doc, list, 0, 1));
  CHECK(!lk_doc_has_node(doc, child));
  CHECK_ERR(lk_doc_text_string(doc, child, &out), LK_ERR_NOT_FOUND);
  CHECK_ERR(lk_doc_xml_string(doc, child, &out), LK_ERR_NOT_FOUND);
  CHECK_ERR(lk_doc_text_delta(doc, child, &out), LK_ERR_NOT_FOUND);
  CHECK_ERR(lk_doc_node_json(doc, child, &out), LK_ERR_NOT_FOUND);
  CHECK_ERR(lk_doc_map_get(doc, child, LK_LIT("k"), &got), LK_ERR_NOT_FOUND);
  CHECK(lk_doc_node_length(doc, child) == 0 && lk_doc_map_count(doc, child) == 0);
  CHECK(out.len == 0);
  lk_buf_deinit(&out);
  lk_doc_close(doc);
}

/* ---- content of the first versions of Yjs ---- */

static void append_as_any(const lk_value *value, lk_buf *out) {
  switch (value->kind) {
  case LK_VALUE_UNDEFINED: lk_any_encode_undefined(out); break;
  case LK_VALUE_NUMBER: lk_any_encode_number(out, value->number); break;
  case LK_VALUE_STRING: lk_any_encode_string(out, value->bytes); break;
  case LK_VALUE_ANY: lk_buf_append(out, value->bytes); break;
  default: CHECK(false);
  }
}

/* An array of 1, {"b":1,"a":[1,"x"],"2":null}, "a\"b", [null], undefined, "plain" and "\ud83d\ude42",
 * each kept as JSON text; |want| is what Yjs has for it, in lib0's any. */
TEST(json_of_old_documents_is_given_as_the_values_that_it_says) {
  lk_slice update = LK_LIT("01010100020101610701311c7b2262223a312c2261223a5b312c2278225d2c2232223a6"
                           "e756c6c7d0622615c226222065b6e75"
                           "6c6c5d09756e646566696e65640722706c61696e220e225c75643"
                           "833645c75646534322200");
  const lk_slice want[] = { LK_LIT("7d01"),        LK_LIT("760301327e01627d01016175027d01770178"),
                            LK_LIT("7703612262"),  LK_LIT("75017e"),
                            LK_LIT("7f"),          LK_LIT("7705706c61696e"),
                            LK_LIT("7704f09f9982") };
  lk_env env;
  lk_doc *doc = open_doc(&env);
  lk_node array = root_of(doc, LK_LIT("a"), LK_NODE_ARRAY);
  lk_buf any = new_buf(), hex = new_buf();
  lk_value first, value;
  CHECK_OK(lk_hex_decode(&hex, update));
  CHECK_OK(lk_doc_apply(doc, LK_UPDATE_V1, lk_buf_slice(&hex), 0));
  CHECK_OK(lk_doc_list_get(doc, array, 1, &first));
  for (size_t round = 0; round < 2; round++) {
    for (uint32_t i = 0; i < 7; i++) {
      CHECK_OK(lk_doc_list_get(doc, array, i, &value));
      lk_buf_truncate(&any, 0);
      lk_buf_truncate(&hex, 0);
      append_as_any(&value, &any);
      CHECK_OK(lk_hex_encode(&hex, lk_buf_slice(&any)));
      CHECK_SLICE(lk_buf_slice(&hex), want[i]);
    }
    CHECK(value.bytes.ptr != NULL);
    CHECK_OK(lk_doc_list_get(doc, array, 1, &value));
    CHECK(round > 0 || value.bytes.ptr == first.bytes.ptr); /* parsed once */
    value = number_value(1);
    CHECK_OK(lk_doc_list_push(doc, array, &value, 1));
  }
  lk_buf_deinit(&any);
  lk_buf_deinit(&hex);
  lk_doc_close(doc);
}

/* ---- JSON of values ---- */

static void check_json(lk_slice any, lk_slice want) {
  lk_buf out = new_buf();
  CHECK_OK(lk_doc_json_of_any(any, &out));
  CHECK_SLICE(lk_buf_slice(&out), want);
  lk_buf_deinit(&out);
}

TEST(values_without_a_word_in_json_are_written_as_the_header_says) {
  lk_buf out = new_buf();
  check_json(LK_LIT("\x7F"), LK_LIT("null"));
  check_json(LK_LIT("\x75\x01\x7F"), LK_LIT("[null]"));
  check_json(LK_LIT("\x76\x02\x01"
                    "a\x7F\x01"
                    "b\x78"),
             LK_LIT("{\"b\":true}"));
  check_json(LK_LIT("\x74\x02\xFF\x00"), LK_LIT("\"/wA=\""));
  check_json(LK_LIT("\x7A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFE"), LK_LIT("\"-2\""));
  check_json(LK_LIT("\x7B\x7F\xF8\0\0\0\0\0\0"), LK_LIT("null"));
  check_json(LK_LIT("\x76\x03\x01"
                    "b\x78\x01"
                    "2\x78\x01"
                    "b\x79"),
             LK_LIT("{\"2\":true,\"b\":false}"));
  CHECK_ERR(lk_doc_json_of_any(LK_LIT("\x78\x78"), &out), LK_ERR_TRAILING);
  CHECK_ERR(lk_doc_json_of_any(LK_LIT("\x75\x02\x78"), &out), LK_ERR_TRUNCATED);
  CHECK_ERR(lk_doc_json_of_any(LK_LIT("\x00"), &out), LK_ERR_CORRUPT);
  CHECK(out.len == 0);
  lk_buf_deinit(&out);
}

TEST(json_becomes_any_and_comes_back) {
  lk_buf any = new_buf(), json = new_buf();
  CHECK_OK(lk_doc_any_of_json(LK_LIT(" {\"a\": [1, \"\\u00e9\", null]} "), &any));
  CHECK_OK(lk_doc_json_of_any(lk_buf_slice(&any), &json));
  CHECK_TEXT(lk_buf_slice(&json), "{\"a\":[1,\"\xC3\xA9\",null]}");
  size_t len = any.len;
  CHECK_ERR(lk_doc_any_of_json(LK_LIT("{"), &any), LK_ERR_TRUNCATED);
  CHECK_ERR(lk_doc_any_of_json(LK_LIT("{]"), &any), LK_ERR_SYNTAX);
  CHECK(any.len == len);
  lk_buf_deinit(&any);
  lk_buf_deinit(&json);
}

/* ---- depth, number, memory ---- */

TEST(nodes_nested_as_deep_as_they_may_be_are_read_without_recursion) {
  lk_env env;
  lk_buf want = new_buf(), xml = new_buf();
  lk_doc *doc = open_doc(&env);
  lk_node list = root_of(doc, LK_LIT("a"), LK_NODE_ARRAY), inner = list;
  lk_node x = root_of(doc, LK_LIT("x"), LK_NODE_XML_FRAGMENT), element = x;
  const int depth = 250;
  for (int i = 0; i < depth; i++) {
    CHECK_OK(lk_doc_list_insert_node(doc, inner, 0, LK_NODE_ARRAY, LK_SLICE_EMPTY, &inner));
    CHECK_OK(lk_doc_list_insert_node(doc, element, 0, LK_NODE_XML_ELEMENT, LK_LIT("B"), &element));
    lk_buf_append_u8(&want, '[');
    lk_buf_append(&xml, LK_LIT("<b>"));
  }
  lk_buf_append(&want, LK_LIT("[]"));
  for (int i = 0; i < depth; i++) {
    lk_buf_append_u8(&want, ']');
    lk_buf_append(&xml, LK_LIT("</b>"));
  }
  check_reads(doc, list, lk_doc_node_json, lk_buf_slice(&want));
  check_reads(doc, x, lk_doc_xml_string, lk_buf_slice(&xml));
  lk_buf_deinit(&want);
  lk_buf_deinit(&xml);
  lk_doc_close(doc);
}

/* Keys come and go, one for each of 5,000 stretches. A reader that kept what is gone would look at all of it for each
 * stretch. */
TEST(formatting_by_many_keys_is_read_in_one_pass) {
  lk_env env;
  lk_buf out = new_buf();
  uint8_t key[LK_NUMBER_INT_CHARS];
  lk_doc *doc = open_doc(&env);
  lk_node text = root_of(doc, LK_LIT("t"), LK_NODE_XML_TEXT);
  lk_attribute attribute = { .value = { .kind = LK_VALUE_BOOL, .boolean = true } };
  lk_attributes attributes = { &attribute, 1 };
  CHECK_OK(lk_doc_begin(doc, 0));
  for (uint32_t i = 0; i < 5000; i++) {
    attribute.key = lk_slice_of(key, lk_number_print_u64(i, key));
    CHECK_OK(lk_doc_text_insert(doc, text, 0, LK_LIT("x"), &attributes));
  }
  lk_doc_commit(doc);
  CHECK_OK(lk_doc_text_delta(doc, text, &out));
  CHECK(lk_slice_starts_with(lk_buf_slice(&out),
                             LK_LIT("[{\"insert\":\"x\",\"attributes\":{\"4999\":true}},")));
  CHECK_OK(lk_doc_xml_string(doc, text, &out));
  lk_buf_deinit(&out);
  lk_doc_close(doc);
}

TEST(keys_are_compared_as_utf16) {
  CHECK(lk_read_compare_utf16(LK_LIT("a"), LK_LIT("b")) < 0);
  CHECK(lk_read_compare_utf16(LK_LIT("ab"), LK_LIT("a")) > 0);
  CHECK(lk_read_compare_utf16(LK_LIT("\xF0\x9D\x92\xB3"), LK_LIT("\xEE\x80\x80")) < 0);
  CHECK(lk_read_compare_utf16(LK_LIT("\xF0\x9D\x92\xB3"), LK_LIT("\xE6\x97\xA5")) > 0);
  CHECK(lk_read_compare_utf16(LK_LIT("\xC3\xA9"), LK_LIT("\xC3\xA9")) == 0);
}

static bool is_below(const void *ctx, uint32_t a, uint32_t b) {
  (void)ctx;
  return a < b;
}

PROPERTY(numbers_are_sorted_from_where_it_is_asked) {
  lk_refs refs = { .alloc = test_alloc() };
  uint32_t from = gen_below(g, 4), count = from + gen_below(g, 60);
  for (uint32_t i = 0; i < count; i++)
    CHECK_OK(lk_refs_push(&refs, i < from ? 1000 - i : gen_below(g, 50)));
  lk_refs_sort(&refs, from, is_below, NULL);
  for (uint32_t i = 0; i < from; i++) CHECK_U64(refs.at[i], 1000 - i);
  for (uint32_t i = from + 1; i < count; i++) CHECK(refs.at[i - 1] <= refs.at[i]);
  lk_refs_deinit(&refs);
}

/* Everything that a reader may take memory for: maps in lists, texts, XML with attributes and formatting. */
static lk_err fill(lk_doc *doc) {
  lk_node list, map, xml, element, text;
  lk_value one = number_value(1), word = text_value(LK_LIT("w"));
  lk_attribute bold = { LK_LIT("bold"), { .kind = LK_VALUE_BOOL, .boolean = true } };
  lk_attributes attributes = { &bold, 1 };
  lk_err err = lk_doc_root(doc, LK_LIT("a"), LK_NODE_ARRAY, &list);
  if (err == LK_OK) err = lk_doc_list_insert_node(doc, list, 0, LK_NODE_MAP, LK_SLICE_EMPTY, &map);
  if (err == LK_OK) err = lk_doc_map_set(doc, map, LK_LIT("k"), &one);
  if (err == LK_OK) err = lk_doc_root(doc, LK_LIT("x"), LK_NODE_XML_FRAGMENT, &xml);
  if (err == LK_OK) {
    err = lk_doc_list_insert_node(doc, xml, 0, LK_NODE_XML_ELEMENT, LK_LIT("p"), &element);
  }
  if (err == LK_OK) err = lk_doc_map_set(doc, element, LK_LIT("id"), &word);
  if (err == LK_OK) {
    err = lk_doc_list_insert_node(doc, element, 0, LK_NODE_XML_TEXT, LK_SLICE_EMPTY, &text);
  }
  if (err == LK_OK) err = lk_doc_text_insert(doc, text, 0, LK_LIT("fat"), &attributes);
  if (err == LK_OK) err = lk_doc_text_insert(doc, text, 3, LK_LIT(" thin"), NULL);
  return err;
}

static void check_none_or_all(lk_err err, const lk_buf *out, lk_slice want) {
  CHECK(err == LK_OK || err == LK_ERR_NOMEM);
  if (err == LK_OK) CHECK_SLICE(lk_buf_slice(out), want);
  else CHECK(out->len == 0);
}

TEST(reading_without_memory_gives_nothing_and_breaks_nothing) {
  FAULT_LOOP(faults, test_alloc()) {
    lk_env env;
    lk_doc *doc = open_with(&env, faulty_alloc(&faults));
    lk_node x, text;
    lk_value got;
    if (doc == NULL) continue;
    lk_buf json, delta;
    lk_buf_init(&json, faulty_alloc(&faults), 1 << 20);
    lk_buf_init(&delta, faulty_alloc(&faults), 1 << 20);
    if (fill(doc) == LK_OK && lk_doc_root(doc, LK_LIT("x"), LK_NODE_XML_FRAGMENT, &x) == LK_OK) {
      check_none_or_all(lk_doc_json(doc, &json), &json,
                        LK_LIT("{\"a\":[{\"k\":1}],\"x\":\"<p id=\\\"w\\\"><bold>fat "
                               "thin</bold></p>\"}"));
      CHECK_OK(lk_doc_list_get(doc, x, 0, &got));
      CHECK_OK(lk_doc_list_get(doc, got.node, 0, &got));
      text = got.node;
      check_none_or_all(lk_doc_text_delta(doc, text, &delta), &delta,
                        LK_LIT("[{\"insert\":\"fat thin\",\"attributes\":{\"bold\":true}}]"));
    }
    lk_buf_deinit(&json);
    lk_buf_deinit(&delta);
    lk_doc_close(doc);
  }
}
