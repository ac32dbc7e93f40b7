/* crdt/type_orset.c -- a set in which an add wins over a concurrent remove.
 *
 *   object ─┬─ "blue"     dots      elements are keys: canonical JSON
 *           └─ "green"    dots      in the set while there is at least one
 *
 * To add puts a new dot at the element in the place of those that are seen there. To remove takes away the
 * dots that are seen, and no other: a dot that somebody else puts there at the same time is not among
 * them, and keeps the element in. That is what is meant by "observed remove".
 *
 * What is removed leaves no tombstone of its own: its dot is one that is known and no longer there, and
 * known dots are kept as ranges. So a state from long ago that still has the dot cannot bring the
 * element back, and a set that had a million elements and lost them again is small.
 *
 * Why adds win: whoever adds wants the element in now, whoever removes has seen what they remove.
 * Where a removal must hold against those who have not heard of it (a revoked right), use rwset. */
#include "crdt/type_shared.h"

lk_err lk_orset_add(lk_crdt *self, const lk_crdt_op *op, lk_slice json) {
  return lk_type_replace_element(self, op, &lk_crdt_type_orset, json, LK_SLICE_EMPTY);
}

lk_err lk_orset_remove(lk_crdt *self, const lk_crdt_op *op, lk_slice json) {
  lk_change change;
  lk_slice key;
  lk_err err = lk_change_begin(&change, self, op, &lk_crdt_type_orset);
  if (err == LK_OK) err = lk_type_canonicalize(&change, json, &key);
  if (err == LK_OK) lk_change_remove_at(&change, lk_change_find(&change, key));
  return lk_change_end(&change, err);
}

lk_err lk_orset_clear(lk_crdt *self, const lk_crdt_op *op) {
  lk_change change;
  lk_err err = lk_change_begin(&change, self, op, &lk_crdt_type_orset);
  if (err == LK_OK) lk_change_remove_below(&change, change.node);
  return lk_change_end(&change, err);
}

static lk_err apply_add(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  return lk_type_apply_json(self, op, arguments, lk_orset_add);
}

static lk_err apply_remove(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  return lk_type_apply_json(self, op, arguments, lk_orset_remove);
}

static lk_err apply_clear(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  lk_err err = lk_type_no_arguments(self, arguments);
  return err == LK_OK ? lk_orset_clear(self, op) : err;
}

static lk_err write_value(const lk_crdt *self, uint32_t node, lk_json_writer *out) {
  return lk_type_write_keys(self, node, out, NULL);
}

static const lk_crdt_operation operations[] = {
  { "add", apply_add },
  { "remove", apply_remove },
  { "clear", apply_clear },
};

const lk_crdt_type lk_crdt_type_orset = {
  .number = LK_CRDT_ORSET,
  .shape = LK_SHAPE_ELEMENTS | LK_SHAPE_DOTS,
  .name = "orset",
  .check_key = lk_type_check_json,
  .write_value = write_value,
  LK_TYPE_OPERATIONS(operations),
};
