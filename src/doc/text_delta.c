/* doc/text_delta.c -- Quill's deltas, applied to a text.
 *
 *   [ { "retain": 5, "attributes": { "bold": true } }, { "insert": "x" }, { "delete": 2 } ]
 *
 * An edit goes through the text once, operation by operation. Editors send one keystroke as a delta that keeps
 * all that is before it: an operation that only keeps does not walk there, it takes the index.
 *
 * The JSON is read twice: each operation first as a whole, since whether it is the last one has a
 * meaning, then its members. What is wrong with it may so be found when half of it was done; the call
 * rolls back. */
#include "doc/text.h"

#include "codec/json_reader.h"
#include "codec/utf.h"
#include "doc/value.h"

#define TEXT_KINDS (1u << LK_NODE_TEXT | 1u << LK_NODE_XML_TEXT)
#define MAX_SAFE 9007199254740991.0

typedef struct delta_op {
  lk_json_member insert, retain, erase, attributes;
} delta_op;

static lk_err read_op(lk_text_edit *edit, const lk_limits *limits, lk_slice json, delta_op *out) {
  lk_json_reader reader;
  lk_json_member members[4] = {
    { .name = LK_LIT("insert") },
    { .name = LK_LIT("retain") },
    { .name = LK_LIT("delete") },
    { .name = LK_LIT("attributes") },
  };
  lk_err err = lk_json_reader_init(&reader, json, limits, &edit->scratch);
  if (err == LK_OK) err = lk_json_read_members(&reader, members, 4);
  *out = (delta_op){ members[0], members[1], members[2], members[3] };
  return err == LK_ERR_TYPE ? LK_ERR_PAYLOAD : err;
}

static lk_err read_value(lk_text_edit *edit, lk_slice json, lk_slice *out) {
  return lk_value_any_of_json(json, edit->doc->limits.json_depth, &edit->scratch, out);
}

static lk_err read_attributes(lk_text_edit *edit, const lk_limits *limits,
                              const lk_json_member *member, lk_text_map *out) {
  lk_json_reader reader;
  lk_json_event event;
  *out = (lk_text_map){ 0 };
  if (member->value.kind == LK_JSON_ABSENT || member->value.kind == LK_JSON_NULL) return LK_OK;
  if (member->value.kind != LK_JSON_OBJECT_BEGIN) return LK_ERR_PAYLOAD;
  lk_err err = lk_json_reader_init(&reader, member->raw, limits, &edit->scratch);
  if (err == LK_OK) err = lk_json_next(&reader, &event); /* the bracket */
  while (err == LK_OK && (err = lk_json_next(&reader, &event)) == LK_OK &&
         event.kind == LK_JSON_KEY) {
    uint32_t key;
    lk_slice raw;
    lk_text_value value = { .at = LK_NONE, .own = true };
    err = lk_name_intern(edit->doc, event.text, &key);
    if (err == LK_OK) err = lk_json_skip_value(&reader, &raw);
    if (err == LK_OK) err = read_value(edit, raw, &value.bytes);
    if (err == LK_OK) err = lk_text_map_set(out, &edit->scratch, key, value);
  }
  return err;
}

static lk_err read_length(const lk_json_member *member, uint64_t *out) {
  double number;
  lk_err err = lk_json_get_f64(&member->value, &number);
  if (err == LK_ERR_TYPE || err == LK_ERR_RANGE) return LK_ERR_PAYLOAD;
  if (err != LK_OK) return err;
  if (!(number >= 0 && number <= MAX_SAFE)) return LK_ERR_PAYLOAD;
  *out = (uint64_t)number;
  return (double)*out == number ? LK_OK : LK_ERR_PAYLOAD;
}

/* ---- operations ---- */

static lk_err insert(lk_text_edit *edit, const lk_json_member *member, bool cut_newline,
                     lk_text_map *attributes) {
  lk_text_content content = { .kind = LK_CONTENT_STRING, .bytes = member->value.text };
  lk_err err = LK_OK;
  if (member->value.kind == LK_JSON_NULL) return LK_ERR_PAYLOAD;
  if (member->value.kind != LK_JSON_STRING) {
    content.kind = LK_CONTENT_EMBED;
    err = read_value(edit, member->raw, &content.bytes);
  } else {
    if (cut_newline && edit->right == LK_NONE && lk_slice_ends_with(content.bytes, LK_LIT("\n")))
      content.bytes.len--;
    if (content.bytes.len == 0) return LK_OK;
  }
  return err == LK_OK ? lk_text_edit_insert(edit, attributes, &content) : err;
}

static lk_err retain(lk_text_edit *edit, uint64_t length, lk_text_map *attributes) {
  if (length > 0 && attributes->live == 0) {
    uint32_t index = lk_text_edit_index(edit), end = lk_type_at(edit->doc, edit->type)->length;
    if (length <= end - index) return lk_text_edit_seek(edit, index + (uint32_t)length);
  }
  return lk_text_edit_format(edit, attributes, length);
}

static lk_err apply_op(lk_text_edit *edit, const lk_limits *limits, lk_slice json,
                       bool cut_newline) {
  delta_op op;
  lk_text_map attributes;
  uint64_t length;
  lk_err err = read_op(edit, limits, json, &op);
  if (err == LK_OK) err = read_attributes(edit, limits, &op.attributes, &attributes);
  if (err != LK_OK) return err;
  if (op.insert.value.kind != LK_JSON_ABSENT)
    return insert(edit, &op.insert, cut_newline, &attributes);
  if (op.retain.value.kind != LK_JSON_ABSENT) {
    err = read_length(&op.retain, &length);
    return err == LK_OK ? retain(edit, length, &attributes) : err;
  }
  err = op.erase.value.kind != LK_JSON_ABSENT ? read_length(&op.erase, &length) : LK_ERR_PAYLOAD;
  return err == LK_OK ? lk_text_edit_delete(edit, length) : err;
}

/* The next operation's text; LK_ERR_END behind the last one, when the whole text was good. */
static lk_err next_op(lk_json_reader *reader, lk_slice *out) {
  lk_json_event event;
  lk_err err = lk_json_skip_value(reader, out);
  if (err != LK_ERR_END) return err;
  err = lk_json_next(reader, &event);
  if (err == LK_OK) err = lk_json_finish(reader);
  return err == LK_OK ? LK_ERR_END : err;
}

static lk_err apply(lk_text_edit *edit, lk_slice json, bool sanitize) {
  lk_limits limits = edit->doc->limits;
  lk_json_reader reader;
  lk_json_event event;
  lk_slice op, next;
  limits.json_bytes = limits.doc_update_bytes;
  lk_err err = lk_json_reader_init(&reader, json, &limits, &edit->arena);
  if (err == LK_OK) err = lk_json_next(&reader, &event);
  if (err != LK_OK) return err;
  if (event.kind != LK_JSON_ARRAY_BEGIN) return LK_ERR_PAYLOAD;
  err = next_op(&reader, &next);
  while (err == LK_OK) {
    op = next;
    err = next_op(&reader, &next);
    if (err != LK_OK && err != LK_ERR_END) return err;
    bool last = err == LK_ERR_END;
    if ((err = apply_op(edit, &limits, op, !sanitize && last)) != LK_OK) return err;
    lk_arena_reset(&edit->scratch);
    if (last) return LK_OK;
  }
  return err == LK_ERR_END ? LK_OK : err;
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
