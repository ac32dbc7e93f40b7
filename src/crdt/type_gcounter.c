/* crdt/type_gcounter.c -- a counter that only grows.
 *
 *   object: runs of dots        alice 1..5, bob 1..3       value 8
 *
 * To count by n is to make n dots, and the value is how many dots are alive. Dots of different replicas
 * are different, so concurrent increments add up; a delta that comes twice brings dots that are there
 * already, so nothing counts twice. The dots of one replica lie in a row and are kept as one run: the
 * counter costs one entry for each replica however far it counts.
 *
 * Why dots and not "the greatest count of each replica": inside an ormap a key may be removed while
 * somebody counts. The remover takes away the dots that it has seen; those made at the same time
 * survive. A counter at 10 that is removed while another replica adds 5 is at 5, not at 15 and not
 * gone. With greatest counts nobody could tell the 5 from the 10.
 *
 * Amounts are bounded by the numbers that one replica has, 2^64 - 1 dots in its life: LK_ERR_OVERFLOW. */
#include "crdt/type_shared.h"

lk_err lk_gcounter_add(lk_crdt *self, const lk_crdt_op *op, uint64_t amount) {
  return lk_crdt_count(self, op, &lk_crdt_type_gcounter, LK_SLICE_EMPTY, amount);
}

static lk_err apply_increment(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  return lk_type_apply_u64(self, op, arguments, lk_gcounter_add);
}

static lk_err write_value(const lk_crdt *self, uint32_t node, lk_json_writer *out) {
  return lk_json_write_u64(out, lk_node_at(self, node)->total);
}

static const lk_crdt_operation operations[] = { { "increment", apply_increment } };

const lk_crdt_type lk_crdt_type_gcounter = {
  .number = LK_CRDT_GCOUNTER,
  .shape = LK_SHAPE_ROOT | LK_SHAPE_RUNS,
  .name = "gcounter",
  .write_value = write_value,
  LK_TYPE_OPERATIONS(operations),
};
