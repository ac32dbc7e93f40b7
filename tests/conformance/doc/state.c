/* tests/conformance/doc/state.c
 *
 * A text's delta comes as JSON, in which a node that is embedded is its own JSON: a text in a text
 * looks like text. So the unit at which each operation begins is counted, and what stands there is
 * asked for by lk_doc_list_get(). Where that refuses texts, states with embedded nodes cannot be told. */
#include "tests/conformance/doc/state.h"

#include "codec/utf.h"

lk_node_kind root_kind_of(lk_slice name) {
  if (text_is(name, "text")) return LK_NODE_TEXT;
  if (text_is(name, "array")) return LK_NODE_ARRAY;
  if (text_is(name, "map")) return LK_NODE_MAP;
  if (text_is(name, "xml")) return LK_NODE_XML_FRAGMENT;
  die("no kind of root is called %.*s", (int)name.len, (const char *)name.ptr);
}

static const char *kind_name(lk_node_kind kind) {
  static const char *const names[] = { "array",       "map",     "text",    "xmlelement",
                                       "xmlfragment", "xmlhook", "xmltext", "unknown" };
  return (size_t)kind < sizeof names / sizeof *names ? names[kind] : "invalid";
}

static lk_slice literal(const char *text) {
  return lk_slice_of((const uint8_t *)text, __builtin_strlen(text));
}

static lk_err state_of(const lk_doc *doc, lk_node node, js_value **out, lk_arena *arena);

static lk_err value_of_node(const lk_doc *doc, lk_node node, js_value **out, lk_arena *arena) {
  js_value *state;
  lk_err err = state_of(doc, node, &state, arena);
  if (err != LK_OK) return err;
  *out = value_new(VALUE_OBJECT, arena);
  const char *kind = kind_name(lk_doc_node_kind(doc, node));
  value_add(*out, LK_LIT("$type"), value_string(literal(kind), arena));
  value_add(*out, LK_LIT("v"), state);
  return LK_OK;
}

static lk_err value_of_doc(const lk_doc *doc, const lk_value *from, js_value **out,
                           lk_arena *arena) {
  static const value_kind kinds[] = { VALUE_UNDEFINED, VALUE_NULL,   VALUE_BOOL, VALUE_NUMBER,
                                      VALUE_BIGINT,    VALUE_STRING, VALUE_BYTES };
  if (from->kind == LK_VALUE_NODE) return value_of_node(doc, from->node, out, arena);
  if (from->kind == LK_VALUE_ANY) {
    lk_slice copy; /* good until the document changes, but the caller's list may grow the arena */
    if (lk_arena_copy(arena, from->bytes, &copy) != LK_OK) return LK_ERR_NOMEM;
    lk_reader in = lk_reader_of(copy);
    *out = value_of_any(&in, arena);
    return *out != NULL && lk_reader_left(&in) == 0 ? LK_OK : LK_ERR_CORRUPT;
  }
  js_value *made = value_new(VALUE_DOC, arena);
  if (from->kind != LK_VALUE_DOC) {
    if ((size_t)from->kind >= sizeof kinds / sizeof *kinds) return LK_ERR_CORRUPT;
    made->kind = kinds[from->kind];
  }
  made->boolean = from->boolean;
  made->number = from->number;
  made->bigint = from->bigint;
  *out = made;
  return lk_arena_copy(arena, from->bytes, &made->text);
}

static lk_err state_of_list(const lk_doc *doc, lk_node node, js_value **out, lk_arena *arena) {
  *out = value_new(VALUE_ARRAY, arena);
  uint64_t length = lk_doc_node_length(doc, node);
  for (uint64_t i = 0; i < length; i++) {
    lk_value item = { 0 };
    js_value *made;
    lk_err err = lk_doc_list_get(doc, node, i, &item);
    if (err == LK_OK) err = value_of_doc(doc, &item, &made, arena);
    if (err != LK_OK) return err;
    value_add(*out, LK_SLICE_EMPTY, made);
  }
  lk_value beyond;
  return lk_doc_list_get(doc, node, length, &beyond) == LK_ERR_RANGE ? LK_OK : LK_ERR_CORRUPT;
}

static lk_err state_of_map(const lk_doc *doc, lk_node node, js_value **out, lk_arena *arena) {
  *out = value_new(VALUE_OBJECT, arena);
  uint32_t cursor = 0;
  lk_slice key;
  lk_value item;
  while (lk_doc_map_next(doc, node, &cursor, &key, &item)) {
    lk_slice name;
    js_value *made;
    lk_err err = lk_arena_copy(arena, key, &name);
    if (err == LK_OK) err = value_of_doc(doc, &item, &made, arena);
    if (err != LK_OK) return err;
    value_add(*out, name, made);
  }
  return lk_doc_map_count(doc, node) == (*out)->count ? LK_OK : LK_ERR_CORRUPT;
}

/* ---- texts ---- */

static lk_err delta_of(const lk_doc *doc, lk_node node, js_value **out, lk_arena *arena) {
  lk_buf json;
  lk_slice copy;
  buf_open(&json);
  lk_err err = lk_doc_text_delta(doc, node, &json);
  if (err == LK_OK) err = lk_arena_copy(arena, lk_buf_slice(&json), &copy);
  lk_buf_deinit(&json);
  if (err != LK_OK) return err;
  *out = value_of_json(copy, arena);
  return *out != NULL && (*out)->kind == VALUE_ARRAY ? LK_OK : LK_ERR_SYNTAX;
}

/* What stands at |unit|, where that is a node. */
static lk_err node_at(const lk_doc *doc, lk_node text, uint64_t unit, lk_node *out) {
  lk_value item = { 0 };
  lk_err err = lk_doc_list_get(doc, text, unit, &item);
  if (err != LK_OK) return err;
  *out = item.node;
  return item.kind == LK_VALUE_NODE ? LK_OK : LK_ERR_NOT_FOUND;
}

static bool probe_embedded(void) {
  lk_doc *doc;
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  lk_node text;
  lk_node inner;
  must(lk_doc_open(conformance_env(), &options, &doc), "open a document");
  lk_err err = lk_doc_root(doc, LK_LIT("text"), LK_NODE_TEXT, &text);
  lk_attributes none = { NULL, 0 };
  if (err == LK_OK) {
    err = lk_doc_text_insert_node(doc, text, 0, LK_NODE_MAP, LK_SLICE_EMPTY, &none, &inner);
  }
  if (err == LK_OK) err = node_at(doc, text, 0, &inner);
  lk_doc_close(doc);
  return err == LK_OK;
}

bool state_tells_embedded(void) {
  static bool asked;
  static bool tells;
  if (!asked) tells = probe_embedded();
  asked = true;
  return tells;
}

static uint64_t units_of(const js_value *insert) {
  return insert->kind == VALUE_STRING ? lk_utf16_len_of_utf8(insert->text) : 1;
}

/* Puts nodes where the delta has their JSON. LK_ERR_TYPE: texts do not tell what stands in them. */
static lk_err find_embedded(const lk_doc *doc, lk_node text, const js_value *delta,
                            lk_arena *arena) {
  uint64_t unit = 0;
  for (js_value *op = delta->first; op != NULL; op = op->next) {
    js_value *insert = op->first;
    if (insert == NULL || !text_is(insert->key, "insert")) return LK_ERR_CORRUPT;
    lk_node node;
    lk_err err = node_at(doc, text, unit, &node);
    if (err == LK_OK) {
      js_value *made;
      if ((err = value_of_node(doc, node, &made, arena)) != LK_OK) return err;
      js_value *next = insert->next;
      *insert = *made;
      insert->key = LK_LIT("insert");
      insert->next = next;
      unit++;
    } else if (err == LK_ERR_NOT_FOUND || err == LK_ERR_TYPE) {
      unit += units_of(insert);
    } else {
      return err;
    }
  }
  return LK_OK;
}

static lk_err state_of_text(const lk_doc *doc, lk_node node, js_value **out, lk_arena *arena) {
  lk_err err = delta_of(doc, node, out, arena);
  return err == LK_OK ? find_embedded(doc, node, *out, arena) : err;
}

lk_err state_embedded(const lk_doc *doc, lk_node text, size_t index, lk_node *out,
                      lk_arena *arena) {
  js_value *delta;
  lk_err err = delta_of(doc, text, &delta, arena);
  if (err != LK_OK) return err;
  uint64_t unit = 0;
  for (const js_value *op = delta->first; op != NULL; op = op->next, index--) {
    err = node_at(doc, text, unit, out);
    if (index == 0) return err;
    unit += err == LK_OK || op->first == NULL ? 1 : units_of(op->first);
  }
  return LK_ERR_NOT_FOUND;
}

/* ---- all kinds ---- */

/* Nodes with attributes: an object of their name, the attributes and what is in them. */
static lk_err state_of_named(const lk_doc *doc, lk_node node, js_value **out, lk_arena *arena) {
  lk_node_kind kind = lk_doc_node_kind(doc, node);
  js_value *attributes;
  js_value *inside = NULL;
  lk_slice name;
  lk_err err = state_of_map(doc, node, &attributes, arena);
  if (err == LK_OK && kind == LK_NODE_XML_TEXT) err = state_of_text(doc, node, &inside, arena);
  if (err == LK_OK && kind == LK_NODE_XML_ELEMENT) err = state_of_list(doc, node, &inside, arena);
  if (err == LK_OK) err = lk_arena_copy(arena, lk_doc_node_name(doc, node), &name);
  if (err != LK_OK) return err;
  *out = value_new(VALUE_OBJECT, arena);
  (*out)->in_order = true;
  if (kind == LK_NODE_XML_ELEMENT) value_add(*out, LK_LIT("name"), value_string(name, arena));
  if (kind == LK_NODE_XML_HOOK) value_add(*out, LK_LIT("hook"), value_string(name, arena));
  value_add(*out, kind == LK_NODE_XML_HOOK ? LK_LIT("map") : LK_LIT("attrs"), attributes);
  if (kind == LK_NODE_XML_TEXT) value_add(*out, LK_LIT("delta"), inside);
  if (kind == LK_NODE_XML_ELEMENT) value_add(*out, LK_LIT("children"), inside);
  return LK_OK;
}

static lk_err state_of(const lk_doc *doc, lk_node node, js_value **out, lk_arena *arena) {
  switch (lk_doc_node_kind(doc, node)) {
  case LK_NODE_ARRAY:
  case LK_NODE_XML_FRAGMENT: return state_of_list(doc, node, out, arena);
  case LK_NODE_MAP: return state_of_map(doc, node, out, arena);
  case LK_NODE_TEXT: return state_of_text(doc, node, out, arena);
  case LK_NODE_XML_ELEMENT:
  case LK_NODE_XML_HOOK:
  case LK_NODE_XML_TEXT: return state_of_named(doc, node, out, arena);
  case LK_NODE_UNKNOWN: break;
  }
  *out = value_new(VALUE_NULL, arena);
  return LK_OK;
}

lk_err state_print(const lk_doc *doc, lk_node node, lk_buf *out, lk_arena *arena) {
  js_value *state;
  lk_err err = state_of(doc, node, &state, arena);
  if (err == LK_OK) value_print(state, out, arena);
  return err;
}

lk_err states_print(lk_doc *doc, const root *roots, size_t count, lk_buf *out, lk_arena *arena) {
  lk_err err = LK_OK;
  for (size_t i = 0; i < count && err == LK_OK; i++) {
    lk_node node;
    if (i > 0) must(lk_buf_append_u8(out, '\n'), "states");
    err = lk_doc_root(doc, roots[i].name, roots[i].kind, &node);
    if (err == LK_OK) err = state_print(doc, node, out, arena);
  }
  return err;
}
