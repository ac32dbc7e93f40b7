/* Documents of strangers: whatever they hold, reading and rendering end, give valid UTF-8, and HTML holds nothing but
 * the elements and the attributes that the renderer has words for. */
#include "laniakea/render.h"

#include "codec/utf.h"
#include "doc/engine.h"
#include "harness/test.h"

#define OUT_MAX ((size_t)1 << 22)

static const char *const element_names[] = {
  "blockGroup",
  "blockContainer",
  "paragraph",
  "heading",
  "bulletListItem",
  "numberedListItem",
  "checkListItem",
  "codeBlock",
  "table",
  "tableRow",
  "tableCell",
  "tableHeader",
  "image",
  "video",
  "file",
  "quote",
  "bulletList",
  "orderedList",
  "listItem",
  "taskList",
  "taskItem",
  "hardBreak",
  "horizontalRule",
  "mention",
  "x",
  "<b>",
};
static const char *const attribute_names[] = { "url",      "src",   "caption", "level",
                                               "language", "start", "checked", "textAlign",
                                               "colspan",  "alt",   "label" };
static const char *const mark_names[] = { "bold", "italic",     "strike",     "underline", "code",
                                          "link", "textColor",  "highlight",  "script",    "header",
                                          "list", "code-block", "blockquote", "indent",    "?" };
static const char *const texts[] = { "a",
                                     " ",
                                     "\n",
                                     "*",
                                     "**",
                                     "`",
                                     "```",
                                     "<script>",
                                     "\"'>",
                                     "&lt;",
                                     "|",
                                     "# ",
                                     "- ",
                                     "1. ",
                                     "javascript:alert(1)",
                                     "http://a/\"x",
                                     "\\",
                                     "[",
                                     "](x)",
                                     "red",
                                     "\xF0\x9F\x91\x8D",
                                     "\xC3\xA9",
                                     "bullet",
                                     "data:image/png;x" };
#define PICK(list) lk_slice_cstr((list)[gen_below(g, sizeof(list) / sizeof *(list))])

static lk_value gen_value(lk_gen *g) {
  if (gen_chance(g, 1, 4)) return (lk_value){ .kind = LK_VALUE_BOOL, .boolean = gen_bool(g) };
  if (gen_chance(g, 1, 4)) return (lk_value){ .kind = LK_VALUE_NUMBER, .number = gen_below(g, 9) };
  return (lk_value){ .kind = LK_VALUE_STRING, .bytes = PICK(texts) };
}

static void edit_text(lk_gen *g, lk_doc *doc, lk_node text) {
  uint64_t length = lk_doc_node_length(doc, text), at = gen_below(g, (uint32_t)length + 1);
  lk_attribute attribute = { PICK(mark_names), gen_value(g) };
  lk_attributes attributes = { &attribute, gen_chance(g, 1, 3) ? 1 : 0 };
  if (gen_chance(g, 1, 4) && length > at) {
    attributes.count = 1;
    CHECK_OK(
        lk_doc_text_format(doc, text, at, 1 + gen_below(g, (uint32_t)(length - at)), &attributes));
    return;
  }
  CHECK_OK(lk_doc_text_insert(doc, text, at, PICK(texts), &attributes));
}

/* Grows a tree from |root|: goes down by chance, and adds where it stops. */
static void edit_tree(lk_gen *g, lk_doc *doc, lk_node root) {
  lk_node node = root;
  lk_value value = { .kind = LK_VALUE_NULL };
  for (uint64_t length; (length = lk_doc_node_length(doc, node)) > 0 && gen_chance(g, 3, 4);) {
    CHECK_OK(lk_doc_list_get(doc, node, gen_below(g, (uint32_t)length), &value));
    if (value.kind != LK_VALUE_NODE) return;
    if (lk_doc_node_kind(doc, value.node) == LK_NODE_XML_TEXT) {
      edit_text(g, doc, value.node);
      return;
    }
    node = value.node;
  }
  value = gen_value(g);
  if (node.slot != root.slot && gen_chance(g, 1, 3)) {
    CHECK_OK(lk_doc_map_set(doc, node, PICK(attribute_names), &value));
    return;
  }
  bool text = gen_chance(g, 1, 3);
  lk_err err = lk_doc_list_insert_node(doc, node, lk_doc_node_length(doc, node),
                                       text ? LK_NODE_XML_TEXT : LK_NODE_XML_ELEMENT,
                                       text ? LK_SLICE_EMPTY : PICK(element_names), NULL);
  CHECK(err == LK_OK || err == LK_ERR_LIMIT);
}

/* ---- what HTML may hold ---- */

static bool is_one_of(lk_slice word, const char *const *words, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (lk_slice_equal(word, lk_slice_cstr(words[i]))) return true;
  }
  return false;
}

static lk_slice take_word(lk_slice *text) {
  size_t len = 0;
  while (len < text->len && ((text->ptr[len] >= 'a' && text->ptr[len] <= 'z') ||
                             (text->ptr[len] >= '0' && text->ptr[len] <= '9'))) {
    len++;
  }
  lk_slice word = lk_slice_first(*text, len);
  *text = lk_slice_skip(*text, len);
  return word;
}

/* name, or name="value", in which nothing ends the value but its quote. */
static void check_attribute(lk_slice *text) {
  static const char *const known[] = { "href",  "src",      "alt",     "class",
                                       "style", "start",    "colspan", "rowspan",
                                       "type",  "disabled", "checked", "controls" };
  lk_slice name = take_word(text);
  CHECK(is_one_of(name, known, sizeof known / sizeof *known));
  if (text->len == 0 || text->ptr[0] != '=') return;
  *text = lk_slice_skip(*text, 2);
  bool address = name.ptr[0] == 'h' || lk_slice_equal(name, LK_LIT("src"));
  CHECK(!address || !lk_slice_starts_with(*text, LK_LIT("javascript")));
  while (text->len > 0 && text->ptr[0] != '"') {
    CHECK(text->ptr[0] != '<' && text->ptr[0] != '>');
    *text = lk_slice_skip(*text, 1);
  }
  *text = lk_slice_skip(*text, 1);
}

static void check_html(lk_slice text) {
  static const char *const known[] = { "p",     "h1",     "h2",         "h3",     "h4",    "h5",
                                       "h6",    "pre",    "code",       "hr",     "img",   "video",
                                       "audio", "figure", "figcaption", "a",      "ul",    "ol",
                                       "li",    "input",  "blockquote", "div",    "table", "tbody",
                                       "tr",    "td",     "th",         "strong", "em",    "s",
                                       "u",     "sub",    "sup",        "span",   "br" };
  CHECK_OK(lk_utf8_check(text));
  while (text.len > 0) {
    bool tag = text.ptr[0] == '<';
    CHECK(text.ptr[0] != '>');
    text = lk_slice_skip(text, 1);
    if (!tag) continue;
    if (text.len > 0 && text.ptr[0] == '/') text = lk_slice_skip(text, 1);
    CHECK(is_one_of(take_word(&text), known, sizeof known / sizeof *known));
    while (text.len > 0 && text.ptr[0] == ' ') {
      text = lk_slice_skip(text, 1);
      check_attribute(&text);
    }
    CHECK(text.len > 0 && text.ptr[0] == '>');
    text = lk_slice_skip(text, 1);
  }
}

/* ---- the bodies ---- */

static void check_node(const lk_doc *doc, lk_node node) {
  lk_buf out;
  lk_buf_init(&out, test_alloc(), OUT_MAX);
  lk_err err = lk_doc_render(doc, node, LK_RENDER_HTML, &out);
  CHECK(err == LK_OK || err == LK_ERR_TYPE || err == LK_ERR_LIMIT);
  check_html(lk_buf_slice(&out));
  lk_buf_truncate(&out, 0);
  CHECK(lk_doc_render(doc, node, LK_RENDER_MARKDOWN, &out) == err || err == LK_ERR_LIMIT);
  CHECK_OK(lk_utf8_check(lk_buf_slice(&out)));
  lk_buf_truncate(&out, 0);
  (void)!lk_doc_node_json(doc, node, &out);
  (void)!lk_doc_xml_string(doc, node, &out);
  (void)!lk_doc_text_string(doc, node, &out);
  (void)!lk_doc_text_delta(doc, node, &out);
  CHECK_OK(lk_utf8_check(lk_buf_slice(&out)));
  lk_buf_deinit(&out);
}

static lk_doc *open_doc(lk_env *env) {
  lk_doc *doc = NULL;
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  *env = (lk_env)LK_ENV_INIT(test_alloc(), NULL);
  CHECK_OK(lk_doc_open(env, &options, &doc));
  return doc;
}

PROPERTY(documents_of_any_shape_are_rendered_to_nothing_but_what_is_allowed) {
  lk_env env;
  lk_node xml, text;
  lk_doc *doc = open_doc(&env);
  CHECK_OK(lk_doc_root(doc, LK_LIT("x"), LK_NODE_XML_FRAGMENT, &xml));
  CHECK_OK(lk_doc_root(doc, LK_LIT("t"), LK_NODE_TEXT, &text));
  for (uint32_t left = gen_below(g, 60); left > 0; left--) {
    if (gen_chance(g, 1, 4)) edit_text(g, doc, text);
    else edit_tree(g, doc, xml);
  }
  check_node(doc, xml);
  check_node(doc, text);
  lk_doc_close(doc);
}

/* Updates as they come, applied and looked at through every root. */
FUZZ(lk_doc_render) {
  static const uint8_t sample[] = {
    /* a paragraph with bold text, of Yjs */
    0x01, 0x05, 0x01, 0x00, 0x07, 0x01, 0x01, 0x78, 0x03, 0x09, 0x70, 0x61, 0x72, 0x61, 0x67,
    0x72, 0x61, 0x70, 0x68, 0x07, 0x00, 0x01, 0x00, 0x06, 0x06, 0x00, 0x01, 0x01, 0x04, 0x62,
    0x6F, 0x6C, 0x64, 0x04, 0x74, 0x72, 0x75, 0x65, 0x84, 0x01, 0x02, 0x01, 0x61, 0x86, 0x01,
    0x03, 0x04, 0x62, 0x6F, 0x6C, 0x64, 0x04, 0x6E, 0x75, 0x6C, 0x6C, 0x00,
  };
  const lk_slice samples[] = { { sample, sizeof sample } };
  uint8_t scratch[256];
  lk_env env;
  lk_slice name, in = gen_hostile(g, samples, 1, scratch, sizeof scratch);
  lk_node node;
  uint32_t cursor = 0;
  lk_doc *doc = open_doc(&env);
  if (lk_doc_apply(doc, LK_UPDATE_V1, in, 0) == LK_OK) {
    while (lk_doc_next_root(doc, &cursor, &name, &node)) check_node(doc, node);
  }
  lk_doc_close(doc);
}
