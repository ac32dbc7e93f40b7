/* crdt/type_text.c -- plain text for small fields: a title, a note.
 *
 *   object ─┬─ key: a position     a fact with one code point, as UTF-8
 *           └─ key: a position     a fact with one code point
 *
 * A list of code points that are inserted and deleted and never changed. Each has a position between its
 * neighbours, which means the same everywhere (crdt/position.h); so concurrent edits at different places all come
 * through, and those at one place stand side by side: what one replica typed stays together, from left to
 * right as well as from right to left, and is not mixed with what another typed there. A deletion
 * takes away the code points that were seen. What somebody inserts within a stretch that another deletes
 * at the same time stays, alone.
 *
 * Code points, since they are what any programming language can count and no UTF-8 is cut by them. What a
 * reader takes for one character may be several, and two replicas can take it apart. That, and the cost of
 * an entry for each code point, is why documents belong elsewhere. */
#include "crdt/type_shared.h"

#include "codec/utf.h"
#include "crdt/arguments.h"

/* ---- changing ---- */

/* Each code point goes between the one before it and the neighbour on the right. */
static lk_err insert_points(lk_change *change, lk_slice left, lk_slice right, lk_slice text) {
  while (text.len > 0) {
    lk_slice rest = text, key;
    uint32_t point;
    lk_err err = lk_utf8_decode(&rest, &point);
    if (err == LK_OK) err = lk_type_make_position(change, left, right, &key);
    if (err != LK_OK) return err;
    lk_change_put(change, lk_change_element(change, key),
                  lk_slice_first(text, text.len - rest.len));
    text = rest;
    left = key;
  }
  return LK_OK;
}

lk_err lk_text_insert(lk_crdt *self, const lk_crdt_op *op, uint32_t index, lk_slice text) {
  lk_change change;
  lk_slice left, right;
  lk_err err = lk_change_begin(&change, self, op, &lk_crdt_type_text);
  if (err == LK_OK && text.len > self->scope.limits->crdt_value_bytes) err = LK_ERR_TOO_BIG;
  if (err == LK_OK) err = lk_utf8_check(text);
  if (err == LK_OK) err = lk_type_find_gap(&change, index, &left, &right);
  if (err == LK_OK) err = insert_points(&change, left, right, text);
  return lk_change_end(&change, err);
}

lk_err lk_text_delete(lk_crdt *self, const lk_crdt_op *op, uint32_t index, uint32_t count) {
  lk_change change;
  lk_err err = lk_change_begin(&change, self, op, &lk_crdt_type_text);
  uint32_t len = err == LK_OK ? lk_order_count(self, change.node) : 0;
  if (err == LK_OK && (index > len || count > len - index)) err = LK_ERR_RANGE;
  for (uint32_t i = 0; i < count && err == LK_OK; i++) {
    lk_change_remove_at(&change, lk_order_at(self, change.node, index + i));
  }
  return lk_change_end(&change, err);
}

/* The text may lie in the reader's arena, which therefore goes last. */
static lk_err apply_insert(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  lk_arguments in;
  uint32_t index;
  lk_slice text;
  lk_err err = lk_arguments_init(&in, self, arguments);
  if (err == LK_OK) err = lk_arguments_u32(&in, &index);
  if (err == LK_OK) err = lk_arguments_text(&in, &text);
  if (err == LK_OK) err = lk_arguments_end(&in);
  if (err == LK_OK) err = lk_text_insert(self, op, index, text);
  lk_arguments_deinit(&in);
  return err;
}

static lk_err apply_delete(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  return lk_type_apply_indexes(self, op, arguments, lk_text_delete);
}

/* ---- from outside ---- */

static lk_err check_value(lk_slice value, const lk_crdt_scope *scope) {
  uint32_t point;
  (void)scope;
  lk_err err = lk_utf8_decode(&value, &point);
  if (err != LK_OK) return err;
  return value.len == 0 ? LK_OK : LK_ERR_TRAILING;
}

static lk_slice position_of(lk_slice key, lk_slice value) {
  (void)value;
  return key;
}

static int compare_places(lk_slice a, lk_slice b) {
  (void)a;
  (void)b;
  return 0;
}

/* ---- reading ---- */

/* Honest elements have one fact; of several that were forged the engine has chosen one. */
static lk_err write_value(const lk_crdt *self, uint32_t node, lk_json_writer *out) {
  lk_btree_cursor cursor = { 0 };
  uint32_t element;
  lk_buf text;
  lk_buf_init(&text, self->scope.alloc, SIZE_MAX);
  while ((element = lk_order_next(self, node, &cursor)) != LK_NODE_NONE) {
    (void)lk_buf_append(&text, lk_fact_value(self, lk_node_at(self, element)->place));
  }
  (void)lk_type_fail_writer(out, lk_buf_err(&text));
  lk_err err = lk_json_write_string(out, lk_buf_slice(&text));
  lk_buf_deinit(&text);
  return err;
}

static const lk_crdt_operation operations[] = {
  { "insert", apply_insert },
  { "delete", apply_delete },
};

const lk_crdt_type lk_crdt_type_text = {
  .number = LK_CRDT_TEXT,
  .shape = LK_SHAPE_ELEMENTS | LK_SHAPE_VALUES,
  .ordered = true,
  .name = "text",
  LK_TYPE_POSITION_KEYS,
  .check_value = check_value,
  .value_to_json = lk_type_text_to_json,
  .value_of_json = lk_type_text_of_json,
  .write_value = write_value,
  .position_of = position_of,
  .compare_places = compare_places,
  LK_TYPE_OPERATIONS(operations),
};
