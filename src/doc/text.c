/* doc/text.c -- the calls that change a text.
 *
 * Each takes what the caller gave into the document's own form (names, canonical values), moves an edit to the
 * index, and lets it do one thing (text_format.c). Indexes are checked here: Yjs goes to the end where
 * an index is behind it, which hides mistakes. */
#include "doc/text.h"

#include "codec/any.h"
#include "codec/utf.h"
#include "doc/value.h"

#define ANY_NULL 126 /* and above it undefined */
#define ANY_STRING 119
#define TEXT_KINDS (1u << LK_NODE_TEXT | 1u << LK_NODE_XML_TEXT)

/* ---- what callers give ---- */

static lk_err put_value(const lk_value *value, lk_buf *out) {
  lk_err err = LK_OK;
  switch (value->kind) {
  case LK_VALUE_NULL: return lk_any_encode_null(out);
  case LK_VALUE_BOOL: return lk_any_encode_bool(out, value->boolean);
  case LK_VALUE_NUMBER: return lk_any_encode_number(out, value->number);
  case LK_VALUE_BIGINT: return lk_any_encode_bigint(out, value->bigint);
  case LK_VALUE_STRING:
    err = lk_utf8_check(value->bytes);
    return err == LK_OK ? lk_any_encode_string(out, value->bytes) : err;
  case LK_VALUE_BINARY: return lk_any_encode_bytes(out, value->bytes);
  default: return LK_ERR_INVALID;
  }
}

static lk_err canonical_any(const lk_doc *doc, lk_slice bytes, lk_arena *arena, lk_slice *out) {
  lk_reader in = lk_reader_of(bytes);
  lk_err err = lk_value_any_decode(&in, doc->limits.any_depth, arena, out);
  return err == LK_OK ? lk_reader_end(&in) : err;
}

/* |value| as canonical any. LK_ERR_INVALID for what is no value of JSON's kind. */
static lk_err any_of_value(lk_doc *doc, const lk_value *value, lk_arena *arena, lk_slice *out) {
  if (value->kind == LK_VALUE_ANY) return canonical_any(doc, value->bytes, arena, out);
  lk_buf bytes;
  lk_buf_init(&bytes, &doc->alloc, doc->limits.doc_values_bytes);
  lk_err err = put_value(value, &bytes);
  if (err == LK_OK) err = lk_arena_copy(arena, lk_buf_slice(&bytes), out);
  lk_buf_deinit(&bytes);
  return err == LK_ERR_LIMIT ? lk_doc_limit(doc, "doc_values_bytes") : err;
}

/* Yjs inserts a string as text, and fails for nothing. */
static bool may_be_embedded(lk_slice any) {
  return any.ptr[0] != ANY_STRING && any.ptr[0] < ANY_NULL;
}

static lk_err add_attribute(lk_text_edit *edit, const lk_attribute *attribute, lk_text_map *out) {
  uint32_t key;
  lk_text_value value = { .at = LK_NONE, .own = true };
  lk_err err = lk_utf8_check(attribute->key);
  if (err == LK_OK) err = lk_name_intern(edit->doc, attribute->key, &key);
  if (err == LK_OK) err = any_of_value(edit->doc, &attribute->value, &edit->arena, &value.bytes);
  return err == LK_OK ? lk_text_map_set(out, &edit->arena, key, value) : err;
}

static lk_err take_attributes(lk_text_edit *edit, const lk_attributes *attributes,
                              lk_text_map *out) {
  lk_err err = LK_OK;
  *out = (lk_text_map){ 0 };
  for (size_t i = 0; attributes != NULL && err == LK_OK && i < attributes->count; i++) {
    err = add_attribute(edit, &attributes->items[i], out);
  }
  return err;
}

/* ---- the frame of a call ---- */

/* Whether the node is a text that has |length| units from |index| on. */
static lk_err find_text(const lk_doc *doc, lk_node node, uint64_t index, uint64_t length,
                        uint32_t *type) {
  lk_err err = lk_node_resolve(doc, node, TEXT_KINDS, type);
  if (err != LK_OK) return err;
  uint32_t end = lk_type_at(doc, *type)->length;
  return index <= end && length <= end - index ? LK_OK : LK_ERR_RANGE;
}

typedef struct text_call {
  lk_call call;
  lk_text_edit edit; /* stands at the index */
  lk_text_map attributes;
} text_call;

static lk_err close_with(text_call *self, lk_err err) {
  lk_text_edit_deinit(&self->edit);
  return lk_call_end(self->edit.doc, &self->call, err);
}

static lk_err open_at(text_call *self, lk_doc *doc, uint32_t type, uint64_t index,
                      const lk_attributes *attributes) {
  lk_err err = lk_call_begin(doc, &self->call);
  if (err != LK_OK) return err;
  lk_text_edit_init(&self->edit, doc, type);
  err = take_attributes(&self->edit, attributes, &self->attributes);
  if (err == LK_OK) err = lk_text_edit_seek(&self->edit, (uint32_t)index);
  return err == LK_OK ? LK_OK : close_with(self, err);
}

/* ---- the calls ---- */

/* Not in place: what the next character of many takes is a few stores, and saves no registers. */
static __attribute__((noinline)) lk_err insert_text(lk_doc *doc, lk_node node, uint64_t index,
                                                    lk_slice utf8,
                                                    const lk_attributes *attributes) {
  uint32_t type;
  text_call call;
  lk_text_content content = { .kind = LK_CONTENT_STRING, .bytes = utf8 };
  lk_err err = find_text(doc, node, index, 0, &type);
  if (err != LK_OK || utf8.len == 0) return err;
  if (attributes == NULL && lk_text_insert_fast(doc, type, (uint32_t)index, utf8)) return LK_OK;
  if ((err = lk_utf8_check(utf8)) != LK_OK) return err;
  if ((err = open_at(&call, doc, type, index, attributes)) != LK_OK) return err;
  if (attributes == NULL) err = lk_text_edit_insert_alike(&call.edit, &content);
  else err = lk_text_edit_insert(&call.edit, &call.attributes, &content);
  return close_with(&call, err);
}

lk_err lk_doc_text_insert(lk_doc *doc, lk_node node, uint64_t index, lk_slice utf8,
                          const lk_attributes *attributes) {
  if (attributes == NULL && lk_text_type_on(doc, node, index, utf8)) return LK_OK;
  return insert_text(doc, node, index, utf8, attributes);
}

lk_err lk_doc_text_insert_embed(lk_doc *doc, lk_node node, uint64_t index, const lk_value *value,
                                const lk_attributes *attributes) {
  uint32_t type;
  text_call call;
  lk_text_content content = { .kind = LK_CONTENT_EMBED };
  lk_err err = find_text(doc, node, index, 0, &type);
  if (err == LK_OK) err = open_at(&call, doc, type, index, attributes);
  if (err != LK_OK) return err;
  err = any_of_value(doc, value, &call.edit.arena, &content.bytes);
  if (err == LK_OK && !may_be_embedded(content.bytes)) err = LK_ERR_INVALID;
  if (err == LK_OK) err = lk_text_edit_insert(&call.edit, &call.attributes, &content);
  return close_with(&call, err);
}

static lk_err make_node(lk_doc *doc, lk_node_kind kind, lk_slice name, uint32_t *out) {
  uint32_t number = LK_NONE;
  lk_err err = LK_OK;
  if ((unsigned)kind >= LK_NODE_UNKNOWN) return LK_ERR_INVALID;
  if (kind == LK_NODE_XML_ELEMENT || kind == LK_NODE_XML_HOOK) {
    err = lk_utf8_check(name);
    if (err == LK_OK) err = lk_name_intern(doc, name, &number);
  }
  return err == LK_OK ? lk_type_new(doc, (uint8_t)kind, number, out) : err;
}

lk_err lk_text_insert_filled(lk_doc *doc, lk_node node, uint64_t index, lk_node_kind kind,
                             lk_slice name, const lk_attributes *attributes,
                             lk_err (*fill)(void *ctx, lk_doc *doc, lk_node made), void *ctx,
                             lk_node *out) {
  uint32_t type;
  text_call call;
  lk_text_content content = { .kind = LK_CONTENT_TYPE, .fill = fill, .ctx = ctx };
  lk_err err = find_text(doc, node, index, 0, &type);
  if (err == LK_OK) err = open_at(&call, doc, type, index, attributes);
  if (err != LK_OK) return err;
  err = make_node(doc, kind, name, &content.type);
  if (err == LK_OK) err = lk_text_edit_insert(&call.edit, &call.attributes, &content);
  if (err == LK_OK && out != NULL) *out = lk_node_of(doc, content.type);
  return close_with(&call, err);
}

lk_err lk_doc_text_insert_node(lk_doc *doc, lk_node node, uint64_t index, lk_node_kind kind,
                               lk_slice name, const lk_attributes *attributes, lk_node *out) {
  return lk_text_insert_filled(doc, node, index, kind, name, attributes, NULL, NULL, out);
}

static __attribute__((noinline)) lk_err delete_text(lk_doc *doc, lk_node node, uint64_t index,
                                                    uint64_t length) {
  uint32_t type;
  text_call call;
  lk_err err = find_text(doc, node, index, length, &type);
  if (err != LK_OK || length == 0) return err;
  if (lk_text_delete_fast(doc, type, (uint32_t)index, (uint32_t)length)) return LK_OK;
  err = open_at(&call, doc, type, index, NULL);
  return err == LK_OK ? close_with(&call, lk_text_edit_delete(&call.edit, length)) : err;
}

lk_err lk_doc_text_delete(lk_doc *doc, lk_node node, uint64_t index, uint64_t length) {
  if (lk_text_delete_on(doc, node, index, length)) return LK_OK;
  return delete_text(doc, node, index, length);
}

lk_err lk_doc_text_format(lk_doc *doc, lk_node node, uint64_t index, uint64_t length,
                          const lk_attributes *attributes) {
  uint32_t type;
  text_call call;
  lk_err err = find_text(doc, node, index, length, &type);
  if (err != LK_OK || length == 0 || attributes == NULL || attributes->count == 0) return err;
  if ((err = open_at(&call, doc, type, index, attributes)) != LK_OK) return err;
  return close_with(&call, lk_text_edit_format(&call.edit, &call.attributes, length));
}
