/* crdt/type_mvreg.c -- a register that keeps every value that was written concurrently.
 *
 *   object: facts with values       "red"          one writer
 *                                   "red" "blue"   two, who had not seen each other
 *
 * A write takes the place of the values that its writer sees, and of no others. So what stands there after a
 * merge is exactly the writes that none of the others knew about: no value is lost without somebody having
 * seen it, and none comes back. The application shows the conflict or resolves it, and writes the
 * result, which replaces them all.
 *
 * Two replicas may write the same value apart. They are two facts, and one value to a reader. The values are
 * shown in the order of their bytes: there is no better one, and every replica shows the same. */
#include "crdt/type_shared.h"

lk_err lk_mvreg_set(lk_crdt *self, const lk_crdt_op *op, lk_slice json) {
  lk_change change;
  lk_slice value;
  lk_err err = lk_change_begin(&change, self, op, &lk_crdt_type_mvreg);
  if (err == LK_OK) err = lk_type_canonicalize(&change, json, &value);
  if (err == LK_OK) lk_type_replace_root(&change, value);
  return lk_change_end(&change, err);
}

static lk_err apply_set(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  return lk_type_apply_json(self, op, arguments, lk_mvreg_set);
}

static int compare_values(const void *ctx, const void *a, const void *b) {
  return lk_slice_compare(lk_fact_value(ctx, *(const uint32_t *)a),
                          lk_fact_value(ctx, *(const uint32_t *)b));
}

static lk_err write_value(const lk_crdt *self, uint32_t node, lk_json_writer *out) {
  lk_btree values;
  lk_btree_cursor cursor = { 0 };
  lk_err err = LK_OK;
  uint32_t fact;
  lk_type_set_init(&values, self, compare_values);
  while (err == LK_OK && (fact = lk_fact_next(self, node, &cursor)) != 0) {
    err = lk_type_set_add(&values, fact);
  }
  (void)lk_type_fail_writer(out, err);
  (void)lk_json_begin_array(out);
  for (const uint32_t *one = lk_btree_first(&values, &cursor); one != NULL;
       one = lk_btree_next(&cursor)) {
    (void)lk_json_write_raw(out, lk_fact_value(self, *one));
  }
  lk_btree_deinit(&values);
  return lk_json_end_array(out);
}

static const lk_crdt_operation operations[] = { { "set", apply_set } };

const lk_crdt_type lk_crdt_type_mvreg = {
  .number = LK_CRDT_MVREG,
  .shape = LK_SHAPE_ROOT | LK_SHAPE_VALUES,
  .name = "mvreg",
  .check_value = lk_type_check_json,
  .write_value = write_value,
  LK_TYPE_OPERATIONS(operations),
};
