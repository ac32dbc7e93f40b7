/* crdt/type_ewflag.c -- a flag, off at first, where enabling wins over a concurrent disabling.
 *
 *   object: dots          on while there is at least one
 *
 * An orset with a single possible element: to enable puts a new dot in the place of those that are seen, to disable
 * takes away those that are seen. A dot that somebody puts at the same time survives the disabling.
 * To enable what is on already puts a new dot as well, or a disabling that happens elsewhere at the same
 * time would win against it. */
#include "crdt/type_shared.h"

lk_err lk_ewflag_set(lk_crdt *self, const lk_crdt_op *op, bool enabled) {
  lk_change change;
  lk_err err = lk_change_begin(&change, self, op, &lk_crdt_type_ewflag);
  if (err == LK_OK && enabled) lk_type_replace_root(&change, LK_SLICE_EMPTY);
  if (err == LK_OK && !enabled) lk_change_remove_at(&change, change.node);
  return lk_change_end(&change, err);
}

static lk_err apply_enable(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  return lk_type_apply_bool(self, op, arguments, lk_ewflag_set, true);
}

static lk_err apply_disable(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  return lk_type_apply_bool(self, op, arguments, lk_ewflag_set, false);
}

static lk_err write_value(const lk_crdt *self, uint32_t node, lk_json_writer *out) {
  return lk_json_write_bool(out, lk_node_at(self, node)->facts > 0);
}

static const lk_crdt_operation operations[] = {
  { "enable", apply_enable },
  { "disable", apply_disable },
};

const lk_crdt_type lk_crdt_type_ewflag = {
  .number = LK_CRDT_EWFLAG,
  .shape = LK_SHAPE_ROOT | LK_SHAPE_DOTS,
  .name = "ewflag",
  .write_value = write_value,
  LK_TYPE_OPERATIONS(operations),
};
