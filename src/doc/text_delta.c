/* doc/text_delta.c -- Quill's deltas, applied to a text.
 *
 *   [ { "retain": 5, "attributes": { "bold": true } }, { "insert": "x" }, { "delete": 2 } ]
 *
 * An edit goes through the text once, operation by operation. Editors send one keystroke as a delta that keeps
 * all that is before it: an operation that only keeps does not walk there, it takes the index.
 *
 * The JSON becomes one value of any first, which says what is wrong with its text before anything is done, puts
 * attributes in the order that JavaScript gives them, and holds those of an operation as they are kept. What is wrong
 * with an operation may be found when half of them were done; the call rolls back. */
#include "doc/text.h"

#include "codec/any.h"
#include "codec/lib0.h"
#include "codec/varint.h"
#include "doc/value.h"

#define TEXT_KINDS (1u << LK_NODE_TEXT | 1u << LK_NODE_XML_TEXT)
#define MAX_SAFE 9007199254740991.0

#define ANY_NULL 126
#define ANY_STRING 119
#define ANY_OBJECT 118
#define ANY_ARRAY 117

/* ---- parts of a value, which is canonical: what cannot go wrong is not asked for ---- */

static bool is(lk_slice any, uint8_t tag) { return any.len > 0 && any.ptr[0] == tag; }

/* Of an array or an object: |in| is then at what it holds. */
static uint64_t read_count(lk_slice any, lk_reader *in) {
  uint64_t count;
  *in = (lk_reader){ any, 1 };
  lk_err err = lk_varuint_decode(in, LK_VARUINT_MAX_SAFE, &count);
  LK_ASSERT(err == LK_OK);
  return count;
}

static lk_slice next_text(lk_reader *in) {
  lk_slice text;
  lk_err err = lk_lib0_bytes_decode(in, &text);
  LK_ASSERT(err == LK_OK);
  return text;
}

static lk_slice next_value(lk_reader *in) {
  lk_slice rest = lk_reader_rest(in);
  size_t len = lk_value_any_length(rest);
  in->pos += len;
  return lk_slice_first(rest, len);
}

/* ---- reading an operation ---- */

/* Empty where they are not given. */
typedef struct delta_op {
  lk_slice insert, retain, erase, attributes;
} delta_op;

static lk_err read_op(lk_slice any, delta_op *out) {
  lk_reader in;
  *out = (delta_op){ 0 };
  if (!is(any, ANY_OBJECT)) return LK_ERR_PAYLOAD;
  for (uint64_t left = read_count(any, &in); left > 0; left--) {
    lk_slice key = next_text(&in), value = next_value(&in);
    if (lk_slice_equal(key, LK_LIT("insert"))) out->insert = value;
    if (lk_slice_equal(key, LK_LIT("retain"))) out->retain = value;
    if (lk_slice_equal(key, LK_LIT("delete"))) out->erase = value;
    if (lk_slice_equal(key, LK_LIT("attributes"))) out->attributes = value;
  }
  return LK_OK;
}

static lk_err read_attributes(lk_text_edit *edit, lk_slice any, lk_text_map *out) {
  lk_reader in;
  lk_err err = LK_OK;
  *out = (lk_text_map){ 0 };
  if (any.len == 0 || is(any, ANY_NULL)) return LK_OK;
  if (!is(any, ANY_OBJECT)) return LK_ERR_PAYLOAD;
  for (uint64_t left = read_count(any, &in); left > 0 && err == LK_OK; left--) {
    uint32_t key;
    lk_slice name = next_text(&in);
    lk_text_value value = { .bytes = next_value(&in), .at = LK_NONE, .own = true };
    err = lk_name_intern(edit->doc, name, &key);
    if (err == LK_OK) err = lk_text_map_set(out, &edit->scratch, key, value);
  }
  return err;
}

static lk_err read_length(lk_slice any, uint64_t *out) {
  lk_reader in = lk_reader_of(any);
  lk_any_item item;
  bool canonical = true;
  if (lk_any_item_decode(&in, &item, &canonical) != LK_OK || item.kind != LK_ANY_NUMBER)
    return LK_ERR_PAYLOAD;
  double number = item.as.number;
  if (!(number >= 0 && number <= MAX_SAFE)) return LK_ERR_PAYLOAD;
  *out = (uint64_t)number;
  return (double)*out == number ? LK_OK : LK_ERR_PAYLOAD;
}

/* ---- operations ---- */

static lk_err insert(lk_text_edit *edit, lk_slice any, bool cut_newline, lk_text_map *attributes) {
  lk_text_content content = { .kind = LK_CONTENT_EMBED, .bytes = any };
  if (is(any, ANY_NULL)) return LK_ERR_PAYLOAD;
  if (is(any, ANY_STRING)) {
    lk_reader in = { any, 1 };
    content = (lk_text_content){ .kind = LK_CONTENT_STRING, .bytes = next_text(&in) };
    if (cut_newline && edit->right == LK_NONE && lk_slice_ends_with(content.bytes, LK_LIT("\n")))
      content.bytes.len--;
    if (content.bytes.len == 0) return LK_OK;
  }
  return lk_text_edit_insert(edit, attributes, &content);
}

static lk_err retain(lk_text_edit *edit, uint64_t length, lk_text_map *attributes) {
  if (length > 0 && attributes->live == 0) {
    uint32_t index = lk_text_edit_index(edit), end = lk_type_at(edit->doc, edit->type)->length;
    if (length <= end - index) return lk_text_edit_seek(edit, index + (uint32_t)length);
  }
  return lk_text_edit_format(edit, attributes, length);
}

static lk_err apply_op(lk_text_edit *edit, lk_slice any, bool cut_newline) {
  delta_op op;
  lk_text_map attributes;
  uint64_t length;
  lk_err err = read_op(any, &op);
  if (err == LK_OK) err = read_attributes(edit, op.attributes, &attributes);
  if (err != LK_OK) return err;
  if (op.insert.len > 0) return insert(edit, op.insert, cut_newline, &attributes);
  bool retains = op.retain.len > 0;
  if (!retains && op.erase.len == 0) return LK_ERR_PAYLOAD;
  if ((err = read_length(retains ? op.retain : op.erase, &length)) != LK_OK) return err;
  return retains ? retain(edit, length, &attributes) : lk_text_edit_delete(edit, length);
}

static lk_err apply(lk_text_edit *edit, lk_slice json, bool sanitize) {
  lk_doc *doc = edit->doc;
  lk_slice any;
  lk_reader in;
  if (json.len > doc->limits.doc_update_bytes) return lk_doc_limit(doc, "doc_update_bytes");
  uint32_t depth = lk_min_u32(doc->limits.json_depth, LK_ANY_DEPTH_MAX);
  lk_err err = lk_value_any_of_json(json, depth, &edit->arena, &any);
  if (err != LK_OK) return err;
  if (!is(any, ANY_ARRAY)) return LK_ERR_PAYLOAD;
  for (uint64_t left = read_count(any, &in); left > 0 && err == LK_OK; left--) {
    err = apply_op(edit, next_value(&in), !sanitize && left == 1);
    lk_arena_reset(&edit->scratch);
  }
  return err;
}

lk_err lk_doc_text_apply_delta(lk_doc *doc, lk_node node, lk_slice json, bool sanitize) {
  uint32_t type;
  lk_call call;
  lk_text_edit edit;
  lk_err err = lk_node_resolve(doc, node, TEXT_KINDS, &type);
  if (err == LK_OK) err = lk_call_begin(doc, &call);
  if (err != LK_OK) return err;
  lk_text_edit_init(&edit, doc, type);
  err = apply(&edit, json, sanitize);
  lk_text_edit_deinit(&edit);
  return lk_call_end(doc, &call, err);
}
