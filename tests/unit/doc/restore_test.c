/* Goal: a document goes back to a version by an update like any other, and reads as it read then.
 * Method: a description of all that can be read, of the version and of the document behind it; random histories of two
 * replicas; every allocation failed once. tests/e2e/versions.test.mjs asks Yjs about the same. */
#include "doc/restore.h"

#include "harness/faulty.h"
#include "harness/test.h"
#include "unit/doc/check.h"
#include "unit/doc/craft.h"

#define RESTORER 777

typedef struct replica {
  lk_alloc alloc;
  lk_env env;
  lk_doc *doc;
  lk_node text, map, list, xml;
} replica;

static void open_with(replica *r, uint64_t client, bool keeps) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = client;
  options.keep_deleted = keeps;
  *r = (replica){ .alloc = *test_alloc() };
  r->env = (lk_env)LK_ENV_INIT(&r->alloc, NULL);
  CHECK_OK(lk_doc_open(&r->env, &options, &r->doc));
  CHECK_OK(lk_doc_root(r->doc, LK_LIT("t"), LK_NODE_TEXT, &r->text));
  CHECK_OK(lk_doc_root(r->doc, LK_LIT("m"), LK_NODE_MAP, &r->map));
  CHECK_OK(lk_doc_root(r->doc, LK_LIT("a"), LK_NODE_ARRAY, &r->list));
  CHECK_OK(lk_doc_root(r->doc, LK_LIT("x"), LK_NODE_XML_FRAGMENT, &r->xml));
}

static void open_replica(replica *r, uint64_t client) { open_with(r, client, true); }

static lk_buf buffer(void) {
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1 << 20);
  return out;
}

static lk_buf snapshot_of(replica *r) {
  lk_buf out = buffer();
  CHECK_OK(lk_doc_snapshot(r->doc, LK_UPDATE_V2, &out));
  return out;
}

static void send(replica *from, replica *to) {
  lk_buf update = buffer();
  CHECK_OK(lk_doc_encode(from->doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &update));
  CHECK_OK(lk_doc_apply(to->doc, LK_UPDATE_V1, lk_buf_slice(&update), 0));
  lk_buf_deinit(&update);
}

/* ---- all that can be read, keys in one order ---- */

static const char *const keys[] = { "k", "l", "n" };

static void describe(const lk_doc *doc, lk_node node, lk_buf *out);

static void describe_value(const lk_doc *doc, const lk_value *value, lk_buf *out) {
  switch (value->kind) {
  case LK_VALUE_NODE: describe(doc, value->node, out); break;
  case LK_VALUE_NUMBER: (void)lk_buf_append_decimal(out, (uint64_t)value->number); break;
  case LK_VALUE_ANY: (void)!lk_doc_json_of_any(value->bytes, out); break;
  default: (void)lk_buf_append(out, value->bytes);
  }
  (void)lk_buf_append(out, LK_LIT(";"));
}

static void describe(const lk_doc *doc, lk_node node, lk_buf *out) {
  lk_node_kind kind = lk_doc_node_kind(doc, node);
  lk_value value;
  (void)lk_buf_append_decimal(out, (uint64_t)kind);
  (void)lk_buf_append(out, lk_doc_node_name(doc, node));
  (void)lk_buf_append(out, LK_LIT("("));
  for (size_t i = 0; i < 3; i++) {
    if (lk_doc_map_get(doc, node, lk_slice_cstr(keys[i]), &value) != LK_OK) continue;
    (void)lk_buf_append(out, lk_slice_cstr(keys[i]));
    describe_value(doc, &value, out);
  }
  if (kind == LK_NODE_TEXT || kind == LK_NODE_XML_TEXT) {
    CHECK_OK(lk_doc_text_delta(doc, node, out));
  } else {
    for (uint64_t i = 0; i < lk_doc_node_length(doc, node); i++) {
      CHECK_OK(lk_doc_list_get(doc, node, i, &value));
      describe_value(doc, &value, out);
    }
  }
  CHECK_OK(lk_buf_append(out, LK_LIT(")")));
}

static lk_buf description(const replica *r) {
  lk_buf out = buffer();
  const lk_node roots[] = { r->text, r->map, r->list, r->xml };
  for (size_t i = 0; i < 4; i++) describe(r->doc, roots[i], &out);
  return out;
}

/* What the document at the snapshot says, read from an update by another one. */
static lk_buf description_at(replica *r, lk_slice snapshot) {
  replica old;
  lk_buf update = buffer();
  open_with(&old, 9, false);
  CHECK_OK(lk_doc_at_snapshot(r->doc, LK_UPDATE_V2, snapshot, LK_UPDATE_V1, &update));
  CHECK_OK(lk_doc_apply(old.doc, LK_UPDATE_V1, lk_buf_slice(&update), 0));
  lk_buf out = description(&old);
  lk_buf_deinit(&update);
  lk_doc_close(old.doc);
  return out;
}

/* Goes back, and gives the update. */
static lk_buf restore(replica *r, lk_slice snapshot, uint64_t client, lk_update_format format) {
  lk_buf update = buffer();
  CHECK_OK(lk_doc_restore(r->doc, LK_UPDATE_V2, snapshot, client, format, &update));
  CHECK_OK(lk_doc_apply(r->doc, format, lk_buf_slice(&update), 0));
  CHECK_DOC(r->doc);
  return update;
}

static void check_restore(replica *r, lk_slice snapshot, uint64_t client, lk_update_format format) {
  lk_buf want = description_at(r, snapshot);
  lk_buf update = restore(r, snapshot, client, format), got = description(r);
  CHECK_SLICE(lk_buf_slice(&got), lk_buf_slice(&want));
  lk_buf_deinit(&want);
  lk_buf_deinit(&got);
  lk_buf_deinit(&update);
}

/* ---- edits ---- */

static lk_value number(double value) {
  return (lk_value){ .kind = LK_VALUE_NUMBER, .number = value };
}

static void insert(replica *r, uint64_t index, const char *utf8) {
  CHECK_OK(lk_doc_text_insert(r->doc, r->text, index, lk_slice_cstr(utf8), NULL));
}

static void cut(replica *r, uint64_t index, uint64_t length) {
  CHECK_OK(lk_doc_text_delete(r->doc, r->text, index, length));
}

static void change_text(replica *r, lk_gen *g, lk_node text) {
  uint64_t length = lk_doc_node_length(r->doc, text), at = gen_below(g, (uint32_t)length + 1);
  uint64_t some = gen_below(g, (uint32_t)lk_min_u64(length - at, 4) + 1);
  lk_attribute mark = { gen_bool(g) ? LK_LIT("b") : LK_LIT("i"),
                        { .kind = gen_bool(g) ? LK_VALUE_NULL : LK_VALUE_NUMBER } };
  lk_attributes attributes = { &mark, 1 };
  lk_value embed = number(gen_below(g, 9));
  switch (gen_below(g, 6)) {
  case 0: CHECK_OK(lk_doc_text_delete(r->doc, text, at, some)); break;
  case 1: CHECK_OK(lk_doc_text_format(r->doc, text, at, some, &attributes)); break;
  case 2: CHECK_OK(lk_doc_text_insert_embed(r->doc, text, at, &embed, NULL)); break;
  default:
    CHECK_OK(lk_doc_text_insert(r->doc, text, at, gen_bool(g) ? LK_LIT("ab") : LK_LIT("\xC3\xA9"),
                                NULL));
  }
}

static void change_entry(replica *r, lk_gen *g, lk_node node) {
  lk_slice key = lk_slice_cstr(keys[gen_below(g, 3)]);
  lk_value value = number(gen_below(g, 5));
  bool is_xml = lk_doc_node_kind(r->doc, node) != LK_NODE_MAP;
  if (is_xml) value = (lk_value){ .kind = LK_VALUE_STRING, .bytes = LK_LIT("v") };
  switch (gen_below(g, is_xml ? 3 : 5)) {
  case 0: CHECK_OK(lk_doc_map_delete(r->doc, node, key)); break;
  case 3:
    CHECK_OK(lk_doc_map_set_node(r->doc, node, key, LK_NODE_TEXT, LK_SLICE_EMPTY, NULL));
    break;
  case 4:
    CHECK_OK(lk_doc_map_set_node(r->doc, node, key, LK_NODE_ARRAY, LK_SLICE_EMPTY, NULL));
    break;
  default: CHECK_OK(lk_doc_map_set(r->doc, node, key, &value));
  }
}

static void change_list(replica *r, lk_gen *g, lk_node list) {
  static const lk_node_kind kinds[] = { LK_NODE_TEXT, LK_NODE_MAP, LK_NODE_ARRAY };
  static const lk_node_kind xml_kinds[] = { LK_NODE_XML_TEXT, LK_NODE_XML_ELEMENT };
  uint32_t length = (uint32_t)lk_doc_node_length(r->doc, list), at = gen_below(g, length + 1);
  lk_value values[] = { number(1), { .kind = LK_VALUE_STRING, .bytes = LK_LIT("s") } };
  bool is_xml = lk_doc_node_kind(r->doc, list) != LK_NODE_ARRAY;
  switch (gen_below(g, 4)) {
  case 0:
    if (at < length) CHECK_OK(lk_doc_list_delete(r->doc, list, at, 1));
    break;
  case 1:
    if (!is_xml) {
      CHECK_OK(lk_doc_list_insert(r->doc, list, at, values, 2));
      break;
    } /* fall through */
  default:
    CHECK_OK(lk_doc_list_insert_node(r->doc, list, at,
                                     is_xml ? xml_kinds[gen_below(g, 2)] : kinds[gen_below(g, 3)],
                                     is_xml ? LK_LIT("p") : LK_SLICE_EMPTY, NULL));
  }
}

/* A node somewhere below |node|, or itself. */
static lk_node choose(const replica *r, lk_gen *g, lk_node node) {
  for (uint32_t depth = 0; depth < 4; depth++) {
    lk_value value = { .kind = LK_VALUE_NULL };
    lk_node_kind kind = lk_doc_node_kind(r->doc, node);
    uint32_t length = (uint32_t)lk_doc_node_length(r->doc, node);
    lk_err err = LK_ERR_NOT_FOUND;
    if (gen_below(g, 4) == 0 || kind == LK_NODE_TEXT || kind == LK_NODE_XML_TEXT) return node;
    if (kind == LK_NODE_MAP)
      err = lk_doc_map_get(r->doc, node, lk_slice_cstr(keys[gen_below(g, 3)]), &value);
    else if (length > 0) err = lk_doc_list_get(r->doc, node, gen_below(g, length), &value);
    if (err != LK_OK || value.kind != LK_VALUE_NODE) return node;
    node = value.node;
  }
  return node;
}

static void change(replica *r, lk_gen *g) {
  const lk_node roots[] = { r->text, r->map, r->list, r->xml };
  lk_node node = choose(r, g, roots[gen_below(g, 4)]);
  switch (lk_doc_node_kind(r->doc, node)) {
  case LK_NODE_TEXT:
  case LK_NODE_XML_TEXT: change_text(r, g, node); break;
  case LK_NODE_MAP: change_entry(r, g, node); break;
  case LK_NODE_XML_ELEMENT:
    if (gen_bool(g)) {
      change_entry(r, g, node);
      break;
    } /* fall through */
  default: change_list(r, g, node);
  }
}

/* ---- tests ---- */

TEST(a_paragraph_that_was_deleted_comes_back_as_one_struct) {
  replica r;
  lk_update_summary summary = { .size = sizeof summary };
  open_replica(&r, 5);
  insert(&r, 0, "world");
  insert(&r, 0, "hello ");
  insert(&r, 6, "wide ");
  lk_buf then = snapshot_of(&r);
  cut(&r, 0, 16);
  insert(&r, 0, "all new");
  lk_buf update = restore(&r, lk_buf_slice(&then), RESTORER, LK_UPDATE_V1);
  CHECK_OK(lk_update_check(&r.env, LK_UPDATE_V1, lk_buf_slice(&update), &summary));
  CHECK_U64(summary.structs, 1);
  CHECK_U64(summary.deleted_units, 7);
  lk_buf text = buffer();
  CHECK_OK(lk_doc_text_string(r.doc, r.text, &text));
  CHECK_TEXT(lk_buf_slice(&text), "hello wide world");
  lk_buf_deinit(&text);
  lk_buf_deinit(&then);
  lk_buf_deinit(&update);
  lk_doc_close(r.doc);
}

TEST(what_stays_keeps_its_place) {
  replica r;
  open_replica(&r, 5);
  insert(&r, 0, "abcdef");
  lk_buf then = snapshot_of(&r), position = buffer(), text = buffer();
  cut(&r, 0, 2);
  cut(&r, 2, 2);
  insert(&r, 2, "xyz");
  /* stays with the "d" */
  CHECK_OK(lk_doc_position(r.doc, r.text, 1, 0, &position));
  lk_buf update = restore(&r, lk_buf_slice(&then), RESTORER, LK_UPDATE_V1);
  uint64_t index = 0;
  CHECK_OK(lk_doc_resolve_position(r.doc, lk_buf_slice(&position), NULL, &index));
  CHECK_U64(index, 3);
  CHECK_OK(lk_doc_text_string(r.doc, r.text, &text));
  CHECK_TEXT(lk_buf_slice(&text), "abcdef");
  lk_buf_deinit(&then);
  lk_buf_deinit(&text);
  lk_buf_deinit(&position);
  lk_buf_deinit(&update);
  lk_doc_close(r.doc);
}

TEST(a_document_that_is_as_it_was_needs_no_update) {
  replica r;
  open_replica(&r, 5);
  insert(&r, 0, "abc");
  cut(&r, 1, 1);
  lk_buf then = snapshot_of(&r), update = buffer();
  CHECK_OK(
      lk_doc_restore(r.doc, LK_UPDATE_V2, lk_buf_slice(&then), RESTORER, LK_UPDATE_V1, &update));
  static const uint8_t nothing[] = { 0, 0 };
  CHECK_SLICE(lk_buf_slice(&update), lk_slice_of(nothing, 2));
  lk_buf_deinit(&then);
  lk_buf_deinit(&update);
  lk_doc_close(r.doc);
}

/* Goal: nodes within nodes go and come with all that is in them, and who collects garbage follows. */
TEST(nodes_come_back_with_what_was_in_them) {
  replica r, other;
  lk_node element, text, map;
  lk_value value = { .kind = LK_VALUE_STRING, .bytes = LK_LIT("v") };
  lk_attribute mark = { LK_LIT("b"), { .kind = LK_VALUE_BOOL, .boolean = true } };
  lk_attributes attributes = { &mark, 1 };
  open_replica(&r, 5);
  open_with(&other, 6, false);
  CHECK_OK(lk_doc_list_insert_node(r.doc, r.xml, 0, LK_NODE_XML_ELEMENT, LK_LIT("p"), &element));
  CHECK_OK(lk_doc_map_set(r.doc, element, LK_LIT("k"), &value));
  CHECK_OK(lk_doc_list_insert_node(r.doc, element, 0, LK_NODE_XML_TEXT, LK_SLICE_EMPTY, &text));
  CHECK_OK(lk_doc_text_insert(r.doc, text, 0, LK_LIT("deep \xF0\x9F\x98\x80 text"), NULL));
  CHECK_OK(lk_doc_text_format(r.doc, text, 0, 4, &attributes));
  CHECK_OK(lk_doc_map_set_node(r.doc, r.map, LK_LIT("n"), LK_NODE_MAP, LK_SLICE_EMPTY, &map));
  CHECK_OK(lk_doc_map_set(r.doc, map, LK_LIT("l"), &value));
  lk_buf then = snapshot_of(&r), want = description(&r);
  send(&r, &other);
  CHECK_OK(lk_doc_list_delete(r.doc, r.xml, 0, 1));
  CHECK_OK(lk_doc_map_set(r.doc, r.map, LK_LIT("n"), &value));
  CHECK_OK(lk_doc_list_insert_node(r.doc, r.list, 0, LK_NODE_MAP, LK_SLICE_EMPTY, &map));
  CHECK_OK(lk_doc_map_set(r.doc, map, LK_LIT("k"), &value));
  send(&r, &other);
  lk_buf update = restore(&r, lk_buf_slice(&then), RESTORER, LK_UPDATE_V1);
  lk_update_summary summary = { .size = sizeof summary };
  CHECK_OK(lk_update_check(&r.env, LK_UPDATE_V1, lk_buf_slice(&update), &summary));
  CHECK_U64(summary.deleted_units, 3); /* the value, the map and, as Yjs says it, what is in that */
  CHECK_OK(lk_doc_apply(other.doc, LK_UPDATE_V1, lk_buf_slice(&update), 0));
  lk_buf got = description(&r), theirs = description(&other);
  CHECK_SLICE(lk_buf_slice(&got), lk_buf_slice(&want));
  CHECK_SLICE(lk_buf_slice(&theirs), lk_buf_slice(&want));
  lk_buf *all[] = { &then, &want, &update, &got, &theirs };
  for (size_t i = 0; i < 5; i++) lk_buf_deinit(all[i]);
  lk_doc_close(r.doc);
  lk_doc_close(other.doc);
}

TEST(a_value_comes_back_that_was_set_in_a_row_of_others) {
  replica r;
  open_replica(&r, 5);
  lk_value value = number(0);
  lk_buf then = buffer();
  for (uint32_t i = 0; i < 5; i++) {
    value.number = i;
    CHECK_OK(lk_doc_map_set(r.doc, r.map, LK_LIT("k"), &value));
    if (i == 2) CHECK_OK(lk_doc_snapshot(r.doc, LK_UPDATE_V2, &then));
  }
  lk_buf update = restore(&r, lk_buf_slice(&then), RESTORER, LK_UPDATE_V2);
  CHECK_OK(lk_doc_map_get(r.doc, r.map, LK_LIT("k"), &value));
  CHECK(value.number == 2);
  lk_buf_deinit(&update);
  lk_buf_deinit(&then);
  lk_doc_close(r.doc);
}

/* Values as Yjs wrote them long ago. */
TEST(values_that_are_json_come_back) {
  replica r;
  craft c;
  lk_struct view = craft_view(CRAFT_NONE, CRAFT_NONE, LK_CONTENT_JSON, 3);
  view.parent_name = LK_LIT("a");
  view.value = LK_LIT("\x01"
                      "1\x03\"b\"\x01"
                      "3");
  open_replica(&r, 5);
  craft_begin(&c, LK_UPDATE_V1);
  craft_client(&c, 8, 0);
  craft_put(&c, &view);
  lk_update_write_deletes(&c.writer);
  CHECK_OK(lk_update_writer_finish(&c.writer, &c.out));
  CHECK_OK(lk_doc_apply(r.doc, LK_UPDATE_V1, lk_buf_slice(&c.out), 0));
  lk_buf then = snapshot_of(&r), got = buffer();
  CHECK_OK(lk_doc_list_delete(r.doc, r.list, 1, 1));
  check_restore(&r, lk_buf_slice(&then), RESTORER, LK_UPDATE_V2);
  CHECK_OK(lk_doc_list_delete(r.doc, r.list, 0, 3));
  check_restore(&r, lk_buf_slice(&then), RESTORER + 1, LK_UPDATE_V1);
  CHECK_OK(lk_doc_node_json(r.doc, r.list, &got));
  CHECK_TEXT(lk_buf_slice(&got), "[1,\"b\",3]");
  lk_doc_close(r.doc); /* and two of three that are one item */
  lk_buf_truncate(&got, 0);
  open_replica(&r, 5);
  CHECK_OK(lk_doc_apply(r.doc, LK_UPDATE_V1, lk_buf_slice(&c.out), 0));
  CHECK_OK(lk_doc_list_delete(r.doc, r.list, 0, 3));
  check_restore(&r, LK_LIT("\x00\x01\x08\x02"), RESTORER, LK_UPDATE_V1);
  CHECK_OK(lk_doc_node_json(r.doc, r.list, &got));
  CHECK_TEXT(lk_buf_slice(&got), "[1,\"b\"]");
  lk_buf_deinit(&got);
  lk_buf_deinit(&then);
  craft_free(&c);
  lk_doc_close(r.doc);
}

/* Goal: what a collecting replica wrote and deleted by itself is missed by name, not shown as if it had never been. */
TEST(a_version_of_which_something_was_collected_is_named_so) {
  replica author, r;
  open_with(&author, 5, false);
  insert(&author, 0, "secret");
  lk_buf then = snapshot_of(&author), update = buffer();
  cut(&author, 2, 2);
  open_replica(&r, 6);
  send(&author, &r);
  CHECK_ERR(lk_doc_shows(r.doc, LK_UPDATE_V2, lk_buf_slice(&then)), LK_ERR_COLLECTED);
  CHECK_ERR(
      lk_doc_restore(r.doc, LK_UPDATE_V2, lk_buf_slice(&then), RESTORER, LK_UPDATE_V1, &update),
      LK_ERR_COLLECTED);
  lk_buf_deinit(&then);
  then = snapshot_of(&r);
  CHECK_OK(lk_doc_shows(r.doc, LK_UPDATE_V2, lk_buf_slice(&then)));
  CHECK_ERR(lk_doc_restore(author.doc, LK_UPDATE_V2, lk_buf_slice(&then), RESTORER, LK_UPDATE_V1,
                           &update),
            LK_ERR_STATE);
  CHECK_ERR(lk_doc_restore(r.doc, LK_UPDATE_V2, lk_buf_slice(&then), 5, LK_UPDATE_V1, &update),
            LK_ERR_ACTOR);
  CHECK_ERR(lk_doc_restore(r.doc, LK_UPDATE_V2, LK_LIT("\x05"), RESTORER, LK_UPDATE_V1, &update),
            LK_ERR_TRUNCATED);
  insert(&author, 0, "more");
  lk_buf later = snapshot_of(&author);
  CHECK_ERR(lk_doc_shows(r.doc, LK_UPDATE_V2, lk_buf_slice(&later)), LK_ERR_NOT_FOUND);
  CHECK_U64(update.len, 0);
  lk_buf_deinit(&then);
  lk_buf_deinit(&later);
  lk_buf_deinit(&update);
  lk_doc_close(author.doc);
  lk_doc_close(r.doc);
}

/* Goal: going back, and back again, and forth; with another one who writes meanwhile. */
PROPERTY(a_document_goes_back_to_any_version) {
  replica r, other;
  lk_buf versions[3];
  open_replica(&r, 5);
  open_with(&other, 6, gen_bool(g));
  for (uint32_t v = 0; v < 3; v++) {
    for (uint32_t n = gen_below(g, 14); n > 0; n--) {
      change(gen_bool(g) ? &r : &other, g);
      if (gen_below(g, 3) == 0) send(&other, &r);
      if (gen_below(g, 3) == 0) send(&r, &other);
    }
    versions[v] = snapshot_of(&r);
  }
  for (uint32_t i = 0; i < 4; i++) {
    uint32_t v = gen_below(g, 3);
    check_restore(&r, lk_buf_slice(&versions[v]), RESTORER + i,
                  gen_bool(g) ? LK_UPDATE_V1 : LK_UPDATE_V2);
    for (uint32_t n = gen_below(g, 3); n > 0; n--) change(gen_bool(g) ? &r : &other, g);
  }
  send(&other, &r);
  send(&r, &other);
  send(&other, &r);
  lk_buf mine = description(&r), theirs = description(&other);
  CHECK_SLICE(lk_buf_slice(&theirs), lk_buf_slice(&mine));
  lk_buf_deinit(&mine);
  lk_buf_deinit(&theirs);
  for (uint32_t v = 0; v < 3; v++) lk_buf_deinit(&versions[v]);
  lk_doc_close(r.doc);
  lk_doc_close(other.doc);
}

TEST(going_back_without_memory_leaves_all_as_it_is) {
  lk_gen g;
  gen_init_seed(&g, 4);
  replica r;
  open_replica(&r, 5);
  for (uint32_t n = 0; n < 40; n++) change(&r, &g);
  lk_buf then = snapshot_of(&r);
  for (uint32_t n = 0; n < 40; n++) change(&r, &g);
  lk_buf before = description(&r), want = buffer();
  CHECK_OK(lk_doc_restore(r.doc, LK_UPDATE_V2, lk_buf_slice(&then), RESTORER, LK_UPDATE_V2, &want));
  FAULT_LOOP(faults, test_alloc()) {
    lk_buf update = buffer();
    lk_alloc working = r.alloc;
    r.alloc = *faulty_alloc(&faults);
    lk_err err = lk_doc_restore(r.doc, LK_UPDATE_V2, lk_buf_slice(&then), RESTORER, LK_UPDATE_V2,
                                &update);
    if (err == LK_OK) err = lk_doc_shows(r.doc, LK_UPDATE_V2, lk_buf_slice(&then));
    else CHECK_U64(update.len, 0);
    r.alloc = working;
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    if (err == LK_OK) CHECK_SLICE(lk_buf_slice(&update), lk_buf_slice(&want));
    lk_buf_deinit(&update);
  }
  lk_buf after = description(&r);
  CHECK_SLICE(lk_buf_slice(&after), lk_buf_slice(&before));
  lk_buf *all[] = { &then, &want, &before, &after };
  for (size_t i = 0; i < 4; i++) lk_buf_deinit(all[i]);
  lk_doc_close(r.doc);
}
