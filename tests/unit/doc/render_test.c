/* Goal: HTML that may be shown whoever wrote the document, Markdown that reads back as the same text.
 * Method: for each rule a small document as an editor stores it, and what it must become; addresses in all the disguises
 * that are known; every buffer too small, and every allocation failed once. */
#include "doc/engine.h"
#include "doc/render.h"
#include "harness/test.h"

typedef struct fixture {
  lk_env env;
  lk_doc *doc;
  lk_node root;
} fixture;

static lk_err open_with(fixture *f, const lk_alloc *alloc) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  *f = (fixture){ .env = LK_ENV_INIT(alloc, NULL) };
  lk_err err = lk_doc_open(&f->env, &options, &f->doc);
  if (err != LK_OK) return err;
  return lk_doc_root(f->doc, LK_LIT("x"), LK_NODE_XML_FRAGMENT, &f->root);
}

static void open_fixture(fixture *f) { CHECK_OK(open_with(f, test_alloc())); }
static void close_fixture(fixture *f) { lk_doc_close(f->doc); }

static lk_slice text_of(const char *text) { return lk_slice_cstr(text); }

/* ---- making documents ---- */

static lk_node add_node(fixture *f, lk_node parent, lk_node_kind kind, const char *name) {
  lk_node node;
  uint64_t at = lk_doc_node_length(f->doc, parent);
  CHECK_OK(lk_doc_list_insert_node(f->doc, parent, at, kind, text_of(name), &node));
  return node;
}

static lk_node add(fixture *f, lk_node parent, const char *name) {
  return add_node(f, parent, LK_NODE_XML_ELEMENT, name);
}

static void set(fixture *f, lk_node node, const char *key, const char *text) {
  lk_value value = { .kind = LK_VALUE_STRING, .bytes = text_of(text) };
  CHECK_OK(lk_doc_map_set(f->doc, node, text_of(key), &value));
}

static void set_number(fixture *f, lk_node node, const char *key, double number) {
  lk_value value = { .kind = LK_VALUE_NUMBER, .number = number };
  CHECK_OK(lk_doc_map_set(f->doc, node, text_of(key), &value));
}

static void set_true(fixture *f, lk_node node, const char *key) {
  lk_value value = { .kind = LK_VALUE_BOOL, .boolean = true };
  CHECK_OK(lk_doc_map_set(f->doc, node, text_of(key), &value));
}

/* Text behind what |text| holds; |mark| with |json| as its value, or none where it is NULL. */
static void write_marked(fixture *f, lk_node text, const char *bytes, const char *mark,
                         const char *json) {
  lk_buf any;
  lk_buf_init(&any, test_alloc(), 1 << 20);
  lk_attribute attribute = { .value = { .kind = LK_VALUE_BOOL, .boolean = true } };
  lk_attributes attributes = { &attribute, mark == NULL ? 0 : 1 };
  if (mark != NULL) attribute.key = text_of(mark);
  if (json != NULL) {
    CHECK_OK(lk_doc_any_of_json(text_of(json), &any));
    attribute.value = (lk_value){ .kind = LK_VALUE_ANY, .bytes = lk_buf_slice(&any) };
  }
  uint64_t at = lk_doc_node_length(f->doc, text);
  CHECK_OK(lk_doc_text_insert(f->doc, text, at, text_of(bytes), &attributes));
  lk_buf_deinit(&any);
}

static lk_node write_text(fixture *f, lk_node parent, const char *bytes) {
  lk_node text = add_node(f, parent, LK_NODE_XML_TEXT, "");
  if (bytes[0] != 0) write_marked(f, text, bytes, NULL, NULL);
  return text;
}

static lk_node paragraph(fixture *f, lk_node parent, const char *bytes) {
  lk_node node = add(f, parent, "paragraph");
  (void)write_text(f, node, bytes);
  return node;
}

/* A block of BlockNote: its container in |group|; the content is |*block|. */
static lk_node container(fixture *f, lk_node group, const char *name, const char *bytes,
                         lk_node *block) {
  lk_node outer = add(f, group, "blockContainer");
  lk_node inner = add(f, outer, name);
  if (bytes != NULL) (void)write_text(f, inner, bytes);
  if (block != NULL) *block = inner;
  return outer;
}

/* ---- looking at them ---- */

static void check_format(fixture *f, lk_render_format format, const char *want) {
  lk_buf out;
  lk_slice text = text_of(want);
  lk_buf_init(&out, test_alloc(), 1 << 24);
  CHECK_OK(lk_doc_render(f->doc, f->root, format, &out));
  CHECK_SLICE(lk_buf_slice(&out), text);
  lk_buf_deinit(&out);
  for (size_t room = 0; room < text.len; room += 1 + room / 16) {
    lk_buf_init(&out, test_alloc(), 1 + room);
    lk_buf_append_u8(&out, '!');
    CHECK_ERR(lk_doc_render(f->doc, f->root, format, &out), LK_ERR_LIMIT);
    CHECK_TEXT(lk_buf_slice(&out), "!");
    CHECK_OK(lk_buf_err(&out));
    lk_buf_deinit(&out);
  }
}

/* Either may be NULL where it is of no interest. */
static void check(fixture *f, const char *html, const char *markdown) {
  if (html != NULL) check_format(f, LK_RENDER_HTML, html);
  if (markdown != NULL) check_format(f, LK_RENDER_MARKDOWN, markdown);
}

/* ---- blocks ---- */

TEST(blocks_of_blocknote_are_rendered_and_neighbouring_items_are_lists) {
  fixture f;
  lk_node block, outer;
  open_fixture(&f);
  lk_node group = add(&f, f.root, "blockGroup");
  (void)container(&f, group, "heading", "Title", &block);
  set_number(&f, block, "level", 2);
  outer = container(&f, group, "bulletListItem", "one", NULL);
  lk_node inner = add(&f, outer, "blockGroup");
  (void)container(&f, inner, "numberedListItem", "inner", &block);
  set_number(&f, block, "start", 4);
  (void)container(&f, inner, "numberedListItem", "next", NULL);
  (void)container(&f, group, "bulletListItem", "two", NULL);
  (void)container(&f, group, "checkListItem", "done", &block);
  set_true(&f, block, "checked");
  (void)container(&f, group, "checkListItem", "open", NULL);
  (void)container(&f, group, "quote", "said", NULL);
  (void)container(&f, group, "codeBlock", "a\n<b>", &block);
  set(&f, block, "language", "js");
  (void)container(&f, group, "divider", NULL, NULL);
  (void)container(&f, group, "paragraph", "", NULL);
  check(
      &f,
      "<h2>Title</h2>\n<ul>\n<li>one<ol start=\"4\">\n<li>inner</li>\n<li>next</li>\n</ol>\n"
      "</li>\n<li>two</li>\n</ul>\n<ul>\n<li><input type=\"checkbox\" disabled checked> done</li>"
      "\n<li><input type=\"checkbox\" disabled> open</li>\n</ul>\n<blockquote>\n<p>said</p>\n"
      "</blockquote>\n<pre><code class=\"language-js\">a\n&lt;b&gt;</code></pre>\n<hr>\n<p></p>\n",
      "## Title\n\n- one\n\n  4. inner\n  5. next\n- two\n\n* [x] done\n* [ ] open\n\n> said\n\n"
      "```js\na\n<b>\n```\n\n___\n");
  close_fixture(&f);
}

TEST(blocks_of_prosemirror_are_rendered) {
  fixture f;
  open_fixture(&f);
  lk_node list = add(&f, f.root, "bulletList"), item = add(&f, list, "listItem");
  (void)paragraph(&f, item, "one");
  (void)paragraph(&f, item, "more");
  lk_node ordered = add(&f, item, "ordered_list");
  (void)paragraph(&f, add(&f, ordered, "list_item"), "deep");
  lk_node tasks = add(&f, f.root, "taskList"), task = add(&f, tasks, "taskItem");
  set_true(&f, task, "checked");
  (void)paragraph(&f, task, "done");
  lk_node quote = add(&f, f.root, "blockquote");
  (void)paragraph(&f, quote, "a");
  (void)paragraph(&f, quote, "b");
  lk_node broken = add(&f, f.root, "paragraph");
  (void)write_text(&f, broken, "x");
  (void)add(&f, broken, "hardBreak");
  (void)write_text(&f, broken, "y");
  set(&f, broken, "textAlign", "center");
  check(&f,
        "<ul>\n<li>one<p>more</p>\n<ol>\n<li>deep</li>\n</ol>\n</li>\n</ul>\n<ul>\n"
        "<li><input type=\"checkbox\" disabled checked> done</li>\n</ul>\n<blockquote>\n<p>a</p>\n"
        "<p>b</p>\n</blockquote>\n<p style=\"text-align:center\">x<br>y</p>\n",
        "- one\n\n  more\n\n  1. deep\n\n* [x] done\n\n> a\n>\n> b\n\nx\\\ny\n");
  close_fixture(&f);
}

TEST(tables_have_cells_in_rows_and_markdown_has_as_many_columns_as_the_longest) {
  fixture f;
  open_fixture(&f);
  lk_node table = add(&f, f.root, "table"), row = add(&f, table, "tableRow");
  (void)paragraph(&f, add(&f, row, "tableHeader"), "h|1");
  row = add(&f, table, "tableRow");
  lk_node cell = add(&f, row, "tableCell");
  set_number(&f, cell, "colspan", 2);
  (void)paragraph(&f, cell, "a");
  (void)paragraph(&f, cell, "b\nc");
  (void)paragraph(&f, add(&f, row, "tableCell"), "");
  check(&f,
        "<table>\n<tbody>\n<tr><th>h|1</th></tr>\n<tr><td colspan=\"2\">a<p>b<br>c</p>\n</td><td>"
        "</td></tr>\n</tbody>\n</table>\n",
        "| h\\|1 |  |\n| --- | --- |\n| a<br>b<br>c |  |\n");
  close_fixture(&f);
}

TEST(media_are_elements_in_html_and_links_in_markdown) {
  fixture f;
  open_fixture(&f);
  lk_node image = add(&f, f.root, "image"), file = add(&f, f.root, "file");
  set(&f, image, "url", "https://x/a.png");
  set(&f, image, "caption", "A <cat>");
  set(&f, file, "url", "/f (1).pdf");
  set(&f, file, "name", "f.pdf");
  lk_node bad = add(&f, f.root, "video");
  set(&f, bad, "url", "javascript:alert(1)");
  set(&f, bad, "caption", "shown");
  check(&f,
        "<figure><img src=\"https://x/a.png\" alt=\"A &lt;cat&gt;\"><figcaption>A &lt;cat&gt;"
        "</figcaption></figure>\n<p><a href=\"/f (1).pdf\">f.pdf</a></p>\n<p>shown</p>\n",
        "![A \\<cat>](https://x/a.png)\n\n[f.pdf](</f (1).pdf>)\n\nshown\n");
  close_fixture(&f);
}

TEST(unknown_blocks_and_marks_keep_their_text_and_children) {
  fixture f;
  open_fixture(&f);
  lk_node alert = add(&f, f.root, "alert");
  write_marked(&f, write_text(&f, alert, "look "), "here", "sparkle", NULL);
  (void)paragraph(&f, alert, "inside");
  lk_node line = add(&f, f.root, "paragraph"), mention = add(&f, line, "mention");
  set(&f, mention, "label", "ada");
  (void)write_text(&f, add(&f, line, "chip"), " & chip");
  check(&f, "<div>\n<p>look here</p>\n<p>inside</p>\n</div>\n<p>@ada &amp; chip</p>\n",
        "look here\n\ninside\n\n@ada & chip\n");
  close_fixture(&f);
}

/* Elements where they do not belong, as only a stranger puts them. */
TEST(what_is_out_of_place_gets_the_frame_that_it_lacks) {
  fixture f;
  open_fixture(&f);
  (void)paragraph(&f, add(&f, f.root, "bulletList"), "no item");
  (void)write_text(&f, add(&f, f.root, "table"), "no row");
  (void)paragraph(&f, add(&f, f.root, "tableCell"), "no table");
  (void)paragraph(&f, add(&f, f.root, "listItem"), "no list");
  lk_node outer = paragraph(&f, f.root, "out");
  (void)paragraph(&f, outer, "in");
  check(&f,
        "<ul>\n<li>no item</li>\n</ul>\n<table>\n<tbody>\n<tr><td>no row</td></tr>\n</tbody>\n"
        "</table>\n<p>no table</p>\n<p>no list</p>\n<p>out<br>in</p>\n",
        "- no item\n\n| no row |\n| --- |\n\nno table\n\nno list\n\nout\\\nin\n");
  close_fixture(&f);
}

/* ---- marks ---- */

TEST(marks_open_and_close_in_pairs_that_nest) {
  fixture f;
  open_fixture(&f);
  lk_node text = write_text(&f, add(&f, f.root, "paragraph"), "a ");
  write_marked(&f, text, "bold", "bold", NULL);
  write_marked(&f, text, " and ", NULL, NULL);
  write_marked(&f, text, "code", "code", "{}");
  write_marked(&f, text, " ", NULL, NULL);
  write_marked(&f, text, "site", "link", "{\"href\":\"https://x/?a=1&b=2\"}");
  write_marked(&f, text, "red", "textColor", "{\"stringValue\":\"red\"}");
  write_marked(&f, text, "under", "underline", NULL);
  lk_attribute italic = { LK_LIT("italic"), { .kind = LK_VALUE_BOOL, .boolean = true } };
  lk_attributes attributes = { &italic, 1 };
  CHECK_OK(lk_doc_text_format(f.doc, text, 4, 5, &attributes));
  check(&f,
        "<p>a <strong>bo<em>ld</em></strong><em> an</em>d <code>code</code> "
        "<a href=\"https://x/?a=1&amp;b=2\">site</a><span style=\"color:red\">red</span>"
        "<u>under</u></p>\n",
        "a **bo*ld*** *an*d `code` [site](https://x/?a=1&b=2)red<u>under</u>\n");
  close_fixture(&f);
}

TEST(spaces_at_the_ends_of_marked_text_stand_outside_of_the_signs) {
  fixture f;
  open_fixture(&f);
  lk_node text = write_text(&f, add(&f, f.root, "paragraph"), "a");
  write_marked(&f, text, " b ", "bold", NULL);
  write_marked(&f, text, "c ", NULL, NULL);
  check(&f, "<p>a<strong> b </strong>c </p>\n", "a **b** c\n");
  close_fixture(&f);
}

TEST(signs_that_would_not_be_read_as_such_become_tags) {
  fixture f;
  open_fixture(&f);
  lk_node text = write_text(&f, add(&f, f.root, "paragraph"), "a");
  write_marked(&f, text, "(b)", "bold", NULL);
  write_marked(&f, text, "c", "italic", NULL);
  write_marked(&f, text, " ", NULL, NULL);
  write_marked(&f, text, "(d)", "bold", NULL);
  check(&f, NULL, "a<strong>(b)</strong><em>c</em> **(d)**\n");
  close_fixture(&f);
}

/* ---- text ---- */

static void check_text(const char *bytes, const char *html, const char *markdown) {
  fixture f;
  test_note("text: %s", bytes);
  open_fixture(&f);
  (void)paragraph(&f, f.root, bytes);
  check(&f, html, markdown);
  close_fixture(&f);
}

TEST(html_escapes_what_means_something_there) {
  check_text("<a href='x'>\"&amp;\r", "<p>&lt;a href=&#39;x&#39;&gt;&quot;&amp;amp;&#13;</p>\n",
             NULL);
}

TEST(markdown_escapes_what_means_something_where_it_stands) {
  check_text("*a* _b_ snake_case `c` ~d~", NULL, "\\*a\\* \\_b\\_ snake_case \\`c\\` \\~d\\~\n");
  check_text("[x](y) <b> a < b &amp; a&b c", NULL, "\\[x\\](y) \\<b> a < b \\&amp; a&b c\n");
  check_text("# no", NULL, "\\# no\n");
  check_text("- no\n+ no\n> no\n=", NULL, "\\- no\\\n\\+ no\\\n\\> no\\\n\\=\n");
  check_text("12. no\n3) no\n4.5", NULL, "12\\. no\\\n3\\) no\\\n4\\.5\n");
  check_text("|a|\n:-:", NULL, "\\|a|\\\n\\:-:\n");
  check_text("    no code", NULL, "&#32;   no code\n");
  check_text("a # - 1. b", NULL, "a # - 1. b\n");
  check_text("ends!  \n\n", NULL, "ends\\!\n");
}

TEST(code_gets_a_fence_that_its_text_does_not_have) {
  fixture f;
  open_fixture(&f);
  lk_node code = add(&f, f.root, "codeBlock");
  set(&f, code, "language", "a\"><script>");
  (void)write_text(&f, code, "````\n\nx");
  write_marked(&f, write_text(&f, add(&f, f.root, "paragraph"), ""), "`a``", "code", NULL);
  check(&f, "<pre><code class=\"language-a\">````\n\nx</code></pre>\n<p><code>`a``</code></p>\n",
        "`````a\n````\n\nx\n`````\n\n``` `a`` ```\n");
  close_fixture(&f);
}

TEST(lists_side_by_side_and_items_without_text_stay_apart) {
  fixture f;
  open_fixture(&f);
  lk_node list = add(&f, f.root, "bulletList");
  lk_node item = add(&f, list, "listItem");
  (void)paragraph(&f, item, "a");
  (void)paragraph(&f, add(&f, add(&f, item, "bulletList"), "listItem"), "");
  (void)add(&f, list, "listItem");
  (void)paragraph(&f, add(&f, add(&f, f.root, "bulletList"), "listItem"), "b");
  lk_node deep = add(&f, add(&f, f.root, "bulletList"), "listItem");
  (void)add(&f, add(&f, add(&f, add(&f, deep, "bulletList"), "listItem"), "bulletList"),
            "listItem");
  check(&f, NULL, "- a\n\n  -\n-\n\n* b\n\n- * -\n");
  close_fixture(&f);
}

/* ---- addresses ---- */

static void check_url(const char *url, const char *want) {
  lk_buf out;
  test_note("address: %s", url);
  lk_buf_init(&out, test_alloc(), 1 << 16);
  CHECK(lk_render_url(text_of(url), &out) == (want != NULL));
  CHECK_SLICE(lk_buf_slice(&out), want == NULL ? LK_SLICE_EMPTY : text_of(want));
  lk_buf_deinit(&out);
}

TEST(addresses_that_are_allowed_pass_as_they_are) {
  static const char *const urls[] = {
    "http://a/b",
    "HTTPS://a",
    "mailto:a@b",
    "tel:+1",
    "/a:b",
    "a/b:c",
    "?a:b",
    "#a:b",
    "../a",
    "a",
    "data:image/png;base64,AA",
    "data:image/jpeg,x",
    "data:image/GIF;x",
    "data:image/webp;x",
    "/a?b=1&amp;c",
    "//host/path",
  };
  for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) check_url(urls[i], urls[i]);
  check_url(" \thttp://a\n/b \r", "http://a/b");
}

TEST(addresses_that_could_run_something_are_dropped_in_every_disguise) {
  static const char *const urls[] = {
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:1",
    "\x01javascript:1",
    "java\tscript:1",
    "java\nscript:1",
    "\r\njavascript\r:1",
    "javascript\x7F:1",
    "vbscript:1",
    "data:text/html,<script>",
    "data:image/svg+xml,<svg>",
    "data:image/pngx,1",
    "data:image/png",
    "data:,x",
    "DATA:text/html;base64,x",
    "blob:http://a/1",
    "file:///etc/passwd",
    "ftp://a",
    "javascript&colon;alert(1)",
    "javascript&#58;alert(1)",
    "javascript&#x3a;1",
    "java\xE2\x80\x8Bscript:1",
    "\xEF\xBD\x8A\x61vascript:1",
    "httpx://a",
    "http",
    "",
    ":a",
    "view-source:http://a",
    "  ",
    "h\xC3\xA9:1",
  };
  for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
    if (lk_slice_equal(text_of(urls[i]), LK_LIT("http"))) continue; /* a relative one */
    check_url(urls[i], NULL);
  }
}

TEST(links_whose_address_does_not_pass_are_text) {
  fixture f;
  open_fixture(&f);
  lk_node text = write_text(&f, add(&f, f.root, "paragraph"), "");
  write_marked(&f, text, "one", "link", "{\"href\":\"javascript:alert(1)\"}");
  write_marked(&f, text, "two", "link", "{\"href\":\"http://a/\\\"><script>&copy;\"}");
  write_marked(&f, text, "three", "textColor", "{\"stringValue\":\"red;background:url(x)\"}");
  lk_node image = add(&f, f.root, "image");
  set(&f, image, "src", "javascript:alert(1)");
  set(&f, image, "alt", "\"onerror=\"");
  check(&f,
        "<p>one<a href=\"http://a/&quot;&gt;&lt;script&gt;&amp;copy;\">two</a>three</p>\n"
        "<p>&quot;onerror=&quot;</p>\n",
        "one[two](<http://a/\"\\>\\<script\\>&amp;copy;>)three\n\n\"onerror=\"\n");
  close_fixture(&f);
}

/* ---- texts of Quill ---- */

static void check_quill(const char *delta, const char *html, const char *markdown) {
  fixture f;
  test_note("delta: %s", delta);
  open_fixture(&f);
  CHECK_OK(lk_doc_root(f.doc, LK_LIT("t"), LK_NODE_TEXT, &f.root));
  CHECK_OK(lk_doc_text_apply_delta(f.doc, f.root, text_of(delta), true));
  check(&f, html, markdown);
  close_fixture(&f);
}

TEST(texts_with_line_formats_become_blocks) {
  check_quill("[{\"insert\":\"just\\ntext\"}]", "<p>just</p>\n<p>text</p>\n", "just\n\ntext\n");
  check_quill("[{\"insert\":\"T\"},{\"insert\":\"\\n\",\"attributes\":{\"header\":2}},"
              "{\"insert\":\"b\",\"attributes\":{\"bold\":true}},{\"insert\":\"\\n\"}]",
              "<h2>T</h2>\n<p><strong>b</strong></p>\n", "## T\n\n**b**\n");
  check_quill(
      "[{\"insert\":\"a\"},{\"insert\":\"\\n\",\"attributes\":{\"list\":\"bullet\"}},"
      "{\"insert\":\"b\"},{\"insert\":\"\\n\",\"attributes\":{\"list\":\"ordered\",\"indent\":5}},"
      "{\"insert\":\"c\"},{\"insert\":\"\\n\",\"attributes\":{\"list\":\"checked\"}}]",
      "<ul>\n<li>a<ol>\n<li>b</li>\n</ol>\n</li>\n</ul>\n<ul>\n"
      "<li><input type=\"checkbox\" disabled checked> c</li>\n</ul>\n",
      "- a\n  1. b\n\n* [x] c\n");
  check_quill(
      "[{\"insert\":\"x\"},{\"insert\":\"\\n\",\"attributes\":{\"code-block\":\"js\"}},"
      "{\"insert\":\"<y>\"},{\"insert\":\"\\n\",\"attributes\":{\"code-block\":\"js\"}},"
      "{\"insert\":\"z\"},{\"insert\":\"\\n\",\"attributes\":{\"code-block\":\"c\"}},"
      "{\"insert\":\"q\"},{\"insert\":\"\\n\",\"attributes\":{\"blockquote\":true}},"
      "{\"insert\":{\"image\":\"/i.png\"}},{\"insert\":\"end\"}]",
      "<pre><code class=\"language-js\">x\n&lt;y&gt;</code></pre>\n"
      "<pre><code class=\"language-c\">z</code></pre>\n<blockquote>\n<p>q</p>\n</blockquote>\n"
      "<p><img src=\"/i.png\" alt=\"\">end</p>\n",
      "```js\nx\n<y>\n```\n\n```c\nz\n```\n\n> q\n\n![](/i.png)end\n");
}

/* ---- errors, depth, memory ---- */

TEST(what_is_no_rich_text_is_refused) {
  fixture f;
  lk_node map;
  lk_buf out;
  open_fixture(&f);
  lk_buf_init(&out, test_alloc(), 100);
  CHECK_OK(lk_doc_root(f.doc, LK_LIT("m"), LK_NODE_MAP, &map));
  CHECK_ERR(lk_doc_render(f.doc, map, LK_RENDER_HTML, &out), LK_ERR_TYPE);
  CHECK_ERR(lk_doc_render(f.doc, f.root, (lk_render_format)3, &out), LK_ERR_INVALID);
  map.check++;
  CHECK_ERR(lk_doc_render(f.doc, map, LK_RENDER_HTML, &out), LK_ERR_NOT_FOUND);
  CHECK(out.len == 0);
  lk_buf_deinit(&out);
  close_fixture(&f);
}

TEST(nesting_as_deep_as_it_may_be_is_rendered_without_recursion) {
  static const char *const names[] = { "bulletList", "listItem", "blockquote", "table",
                                       "blockGroup" };
  fixture f;
  lk_buf out;
  open_fixture(&f);
  lk_node node = f.root;
  for (size_t i = 0; i < 250; i++) node = add(&f, node, names[i % 5]);
  (void)write_text(&f, node, "deep");
  lk_buf_init(&out, test_alloc(), 1 << 20);
  CHECK_OK(lk_doc_render(f.doc, f.root, LK_RENDER_HTML, &out));
  CHECK_OK(lk_doc_render(f.doc, f.root, LK_RENDER_MARKDOWN, &out));
  lk_buf_deinit(&out);
  close_fixture(&f);
}

TEST(rendering_without_memory_gives_nothing_and_breaks_nothing) {
  fixture f;
  faulty faults;
  open_fixture(&f);
  lk_node item = add(&f, add(&f, f.root, "bulletList"), "listItem");
  write_marked(&f, write_text(&f, add(&f, item, "paragraph"), "a "), "b", "link",
               "{\"href\":\"/x\"}");
  (void)paragraph(&f, add(&f, f.root, "blockquote"),
                  "longer than a buffer is at first: so the last of "
                  "its growths fails when half is written");
  lk_alloc real = f.doc->alloc;
  for (faulty_init(&faults, &real); faulty_next(&faults);) {
    lk_buf out;
    f.doc->alloc = *faulty_alloc(&faults);
    lk_buf_init(&out, faulty_alloc(&faults), 1 << 20);
    lk_err err = lk_doc_render(f.doc, f.root, LK_RENDER_MARKDOWN, &out);
    CHECK(err == LK_OK || (err == LK_ERR_NOMEM && out.len == 0));
    if (err == LK_OK)
      CHECK_TEXT(lk_buf_slice(&out), "- a [b](/x)\n\n> longer than a buffer is at first: so the "
                                     "last of its growths fails when half is written\n");
    lk_buf_deinit(&out);
    f.doc->alloc = real;
  }
  close_fixture(&f);
}
