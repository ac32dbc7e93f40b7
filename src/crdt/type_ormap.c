/* crdt/type_ormap.c -- a map from keys to other objects of the catalogue.
 *
 *   object ─┬─ (gcounter, "hits")    runs
 *           ├─ (orset, "tags")       elements
 *           └─ (ormap, "author")     ─── (lww, "name")
 *
 * A map has no facts of its own. A key is there as long as anything is below it, so nothing has to be created: the
 * first change below a path makes the path. To remove a key takes away every fact below it that the remover sees.
 * What somebody else changes there at the same time has dots which the remover has not seen, and
 * stays: that update, and only that. A counter at 10 that is removed while another replica adds 5 is
 * at 5 afterwards; a set keeps the elements that were added meanwhile.
 *
 * The name of a child is its key and its type: two replicas that make objects of different types
 * under one key have not harmed each other. Both are there and merge each with its own kind; the one with the
 * lowest type number is shown under the key, until a removal takes both away. Not chosen: to refuse
 * the second type, which no replica can know while it is offline.
 *
 * Depth is bounded by crdt_depth, where paths and bytes come in; so reading may recurse. */
#include "crdt/type_shared.h"

#include "codec/utf.h"
#include "crdt/arguments.h"

lk_err lk_ormap_remove(lk_crdt *self, const lk_crdt_op *op, lk_slice key) {
  lk_change change;
  const lk_crdt_type *type;
  lk_err err = lk_change_begin(&change, self, op, &lk_crdt_type_ormap);
  if (err == LK_OK) err = lk_utf8_check(key);
  for (size_t i = 0; err == LK_OK && (type = lk_crdt_type_at(i)) != NULL; i++) {
    lk_change_remove_below(&change, lk_node_find(self, change.node, type, key));
  }
  return lk_change_end(&change, err);
}

/* The name may lie in the reader's arena, which therefore goes last. */
static lk_err apply_remove(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  lk_arguments in;
  lk_slice key;
  lk_err err = lk_arguments_init(&in, self, arguments);
  if (err == LK_OK) err = lk_arguments_text(&in, &key);
  if (err == LK_OK) err = lk_arguments_end(&in);
  if (err == LK_OK) err = lk_ormap_remove(self, op, key);
  lk_arguments_deinit(&in);
  return err;
}

static lk_err check_key(lk_slice key, const lk_crdt_scope *scope) {
  (void)scope;
  return lk_utf8_check(key);
}

static lk_err write_value(const lk_crdt *self, uint32_t node, lk_json_writer *out) {
  lk_btree kids;
  lk_btree_cursor cursor;
  lk_err err = lk_type_fail_writer(out, lk_type_set_of_names(&kids, self, node));
  (void)lk_json_begin_object(out);
  for (const uint32_t *kid = lk_btree_first(&kids, &cursor); kid != NULL && err == LK_OK;
       kid = lk_btree_next(&cursor)) {
    (void)lk_json_write_key(out, lk_node_key(self, *kid));
    err = lk_type_fail_writer(out, lk_crdt_write_value(self, *kid, out));
  }
  lk_btree_deinit(&kids);
  return lk_json_end_object(out);
}

static const lk_crdt_operation operations[] = { { "remove", apply_remove } };

const lk_crdt_type lk_crdt_type_ormap = {
  .number = LK_CRDT_ORMAP,
  .shape = LK_SHAPE_MAP,
  .name = "ormap",
  .check_key = check_key,
  .write_value = write_value,
  LK_TYPE_OPERATIONS(operations),
};
