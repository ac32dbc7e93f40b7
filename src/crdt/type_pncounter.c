/* crdt/type_pncounter.c -- a counter that goes both ways.
 *
 *   object ─┬─ "n"   runs of dots     what was taken away
 *           └─ "p"   runs of dots     what was added              value: p - n
 *
 * Two counters that only grow (see type_gcounter.c), since a dot that is made says "one more" and
 * nothing can be made that says "one less" by being removed: a removal names dots that its maker has
 * seen, and two replicas which each take away one would name the same dot and take away one together.
 * So concurrent increments and decrements all count, and the value may go below zero. A counter that
 * must not is type_bcounter.c.
 *
 * Each of the two sums fits 64 bits, their difference fits a sign and 64 bits. */
#include "crdt/type_shared.h"

#include "codec/number.h"

#define MINUS LK_LIT("n")
#define PLUS LK_LIT("p")

lk_err lk_pncounter_add(lk_crdt *self, const lk_crdt_op *op, uint64_t amount) {
  return lk_crdt_count(self, op, &lk_crdt_type_pncounter, PLUS, amount);
}

lk_err lk_pncounter_subtract(lk_crdt *self, const lk_crdt_op *op, uint64_t amount) {
  return lk_crdt_count(self, op, &lk_crdt_type_pncounter, MINUS, amount);
}

static lk_err apply_increment(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  return lk_type_apply_u64(self, op, arguments, lk_pncounter_add);
}

static lk_err apply_decrement(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  return lk_type_apply_u64(self, op, arguments, lk_pncounter_subtract);
}

static lk_err check_key(lk_slice key, const lk_crdt_scope *scope) {
  (void)scope;
  return lk_slice_equal(key, PLUS) || lk_slice_equal(key, MINUS) ? LK_OK : LK_ERR_CORRUPT;
}

static uint64_t total_of(const lk_crdt *self, uint32_t node, lk_slice key) {
  uint32_t element = lk_node_find(self, node, NULL, key);
  return element == LK_NODE_NONE ? 0 : lk_node_at(self, element)->total;
}

static lk_err write_value(const lk_crdt *self, uint32_t node, lk_json_writer *out) {
  uint64_t plus = total_of(self, node, PLUS), minus = total_of(self, node, MINUS);
  uint8_t text[1 + LK_NUMBER_INT_CHARS] = { '-' };
  if (plus >= minus) return lk_json_write_u64(out, plus - minus);
  return lk_json_write_raw(out, lk_slice_of(text, 1 + lk_number_print_u64(minus - plus, text + 1)));
}

static const lk_crdt_operation operations[] = {
  { "increment", apply_increment },
  { "decrement", apply_decrement },
};

const lk_crdt_type lk_crdt_type_pncounter = {
  .number = LK_CRDT_PNCOUNTER,
  .shape = LK_SHAPE_ELEMENTS | LK_SHAPE_RUNS,
  .name = "pncounter",
  .check_key = check_key,
  LK_TYPE_TEXT_KEYS,
  .write_value = write_value,
  LK_TYPE_OPERATIONS(operations),
};
