/* crdt/type_gset.c -- a set that only grows.
 *
 *   object ─┬─ "blue"     a dot      elements are keys: canonical JSON
 *           └─ 7          a dot
 *
 * There is nothing to decide between concurrent adds: the union is the set. The dots look needless, and by
 * itself a gset would do without. But it may stand in an ormap, whose remover takes away what it has
 * seen below a key: the dots are what it has seen. For the same reason an add of an element that is there
 * already is not nothing. It puts a new dot in the place of the old one, so that a map removal
 * which has not seen this add leaves the element alone.
 *
 * Two replicas that add one element at the same time leave two dots there, until somebody adds it again. */
#include "crdt/type_shared.h"

lk_err lk_gset_add(lk_crdt *self, const lk_crdt_op *op, lk_slice json) {
  return lk_type_replace_element(self, op, &lk_crdt_type_gset, json, LK_SLICE_EMPTY);
}

static lk_err apply_add(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  return lk_type_apply_json(self, op, arguments, lk_gset_add);
}

static lk_err write_value(const lk_crdt *self, uint32_t node, lk_json_writer *out) {
  return lk_type_write_keys(self, node, out, NULL);
}

static const lk_crdt_operation operations[] = { { "add", apply_add } };

const lk_crdt_type lk_crdt_type_gset = {
  .number = LK_CRDT_GSET,
  .shape = LK_SHAPE_ELEMENTS | LK_SHAPE_DOTS,
  .name = "gset",
  .check_key = lk_type_check_json,
  .write_value = write_value,
  LK_TYPE_OPERATIONS(operations),
};
