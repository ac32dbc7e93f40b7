/* crdt/type_rwset.c -- a set in which a remove wins over a concurrent add.
 *
 *   object ─┬─ "admin"    yes            in
 *           └─ "guest"    yes, no        out: somebody removed it while another added it
 *
 * Adding puts a yes at the element and removing puts a no, each in the place of what is seen there. An element is in
 * while it has a yes and no no. So a remove beats every add that has not seen it, and an add that has seen
 * it takes the no away and the element is in again.
 *
 * To remove what is not there puts a no as well: an add that is on its way from elsewhere, and has not
 * heard of the removal, shall lose. That is the price against orset: a removed element costs an entry
 * until it is added again. Use it where letting something in by mistake is worse than keeping it out. */
#include "crdt/type_shared.h"

lk_err lk_rwset_add(lk_crdt *self, const lk_crdt_op *op, lk_slice json) {
  return lk_type_replace_element(self, op, &lk_crdt_type_rwset, json, lk_type_vote(true));
}

lk_err lk_rwset_remove(lk_crdt *self, const lk_crdt_op *op, lk_slice json) {
  return lk_type_replace_element(self, op, &lk_crdt_type_rwset, json, lk_type_vote(false));
}

static lk_err apply_add(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  return lk_type_apply_json(self, op, arguments, lk_rwset_add);
}

static lk_err apply_remove(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  return lk_type_apply_json(self, op, arguments, lk_rwset_remove);
}

static lk_err write_value(const lk_crdt *self, uint32_t node, lk_json_writer *out) {
  return lk_type_write_keys(self, node, out, lk_type_votes_agree);
}

static const lk_crdt_operation operations[] = {
  { "add", apply_add },
  { "remove", apply_remove },
};

const lk_crdt_type lk_crdt_type_rwset = {
  .number = LK_CRDT_RWSET,
  .shape = LK_SHAPE_ELEMENTS | LK_SHAPE_VALUES,
  .name = "rwset",
  .check_key = lk_type_check_json,
  LK_TYPE_VOTES,
  .write_value = write_value,
  LK_TYPE_OPERATIONS(operations),
};
