/* crdt/type_dwflag.c -- a flag, off at first, where disabling wins over a concurrent enabling.
 *
 *   object: votes         yes       on
 *                         yes, no   off: somebody disabled it while another enabled it
 *
 * An rwset with a single possible element: either way a vote is put in the place of those that are seen, and one no
 * outweighs every yes. Disabling what is off already puts a no, too, so that an enabling on its way from
 * elsewhere loses. */
#include "crdt/type_shared.h"

lk_err lk_dwflag_set(lk_crdt *self, const lk_crdt_op *op, bool enabled) {
  lk_change change;
  lk_err err = lk_change_begin(&change, self, op, &lk_crdt_type_dwflag);
  if (err == LK_OK) lk_type_replace_root(&change, lk_type_vote(enabled));
  return lk_change_end(&change, err);
}

static lk_err apply_enable(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  return lk_type_apply_bool(self, op, arguments, lk_dwflag_set, true);
}

static lk_err apply_disable(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  return lk_type_apply_bool(self, op, arguments, lk_dwflag_set, false);
}

static lk_err write_value(const lk_crdt *self, uint32_t node, lk_json_writer *out) {
  return lk_json_write_bool(out, lk_type_votes_agree(self, node));
}

static const lk_crdt_operation operations[] = {
  { "enable", apply_enable },
  { "disable", apply_disable },
};

const lk_crdt_type lk_crdt_type_dwflag = {
  .number = LK_CRDT_DWFLAG,
  .shape = LK_SHAPE_ROOT | LK_SHAPE_VALUES,
  .name = "dwflag",
  LK_TYPE_VOTES,
  .write_value = write_value,
  LK_TYPE_OPERATIONS(operations),
};
