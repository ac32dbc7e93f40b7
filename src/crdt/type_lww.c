/* crdt/type_lww.c -- a register that keeps the last value written.
 *
 *   object: facts        value := ms:varuint count:varuint json          the stamp, the value
 *
 * "Last" has two meanings, and this type has both. A write takes the place of every value that its writer has
 * seen, whatever the clocks say: knowledge is the stronger order. Only among writes that were made
 * apart, whose facts stand beside each other after a merge, does the stamp decide, then the actor
 * (by bytes), then the number; that is arbitrary and the same everywhere.
 *
 * The stamp is a hybrid logical clock (crdt/hlc.h): above all stamps that the writer sees here, and not
 * before its time of day. Suppose a replica whose clock is a year ahead has written. It wins against those who
 * wrote apart from it; but the next write by anyone who has seen it wins over it at once, with a
 * right clock. Without the second half of the rule (stamps above those that are seen) such a write could lose
 * against a third value that was written before it, by somebody whose clock is fast as well.
 *
 * A stamp far in the future is refused where operations are let in, by lk_crdt_admit(); a merge takes it, since
 * all replicas must agree on what was merged once, whatever their clocks say. */
#include "crdt/type_shared.h"

#include "codec/json_canonical.h"
#include "crdt/hlc.h"

typedef struct stamped {
  lk_hlc stamp;
  lk_slice json;
} stamped;

static lk_err split(lk_slice value, stamped *out) {
  lk_reader in = lk_reader_of(value);
  lk_err err = lk_hlc_decode(&in, &out->stamp);
  if (err == LK_OK) out->json = lk_reader_rest(&in);
  return err;
}

/* The one that wins among the facts at |node|; false where there is none. They come by actor and number, so on a tie
 * the later one does. */
static bool find_winner(const lk_crdt *self, uint32_t node, stamped *out) {
  lk_btree_cursor cursor = { 0 };
  bool found = false;
  uint32_t fact;
  while ((fact = lk_fact_next(self, node, &cursor)) != 0) {
    stamped one;
    lk_err err = split(lk_fact_value(self, fact), &one);
    LK_ASSERT(err == LK_OK); /* check_value was asked when it came */
    if (!found || lk_hlc_compare(one.stamp, out->stamp) >= 0) *out = one;
    found = true;
  }
  return found;
}

/* ---- changing ---- */

/* The value of a fact, in the arena of |change|. */
static lk_err make_value(lk_change *change, lk_hlc stamp, lk_slice json, lk_slice *out) {
  const lk_crdt_scope *scope = &change->self->scope;
  lk_buf value;
  lk_buf_init(&value, scope->alloc, scope->limits->crdt_value_bytes);
  (void)lk_hlc_encode(&value, stamp);
  lk_err err = lk_json_canonicalize(json, scope->limits, &value);
  if (err == LK_OK) err = lk_buf_err(&value);
  if (err == LK_ERR_LIMIT) err = LK_ERR_TOO_BIG;
  if (err == LK_OK) err = lk_arena_copy(&change->arena, lk_buf_slice(&value), out);
  lk_buf_deinit(&value);
  return err;
}

lk_err lk_lww_set(lk_crdt *self, const lk_crdt_op *op, lk_slice json) {
  lk_change change;
  stamped seen = { 0 };
  lk_slice value;
  lk_err err = lk_change_begin(&change, self, op, &lk_crdt_type_lww);
  if (err == LK_OK) (void)find_winner(self, change.node, &seen);
  if (err == LK_OK) err = lk_hlc_next(seen.stamp, op->now_ms, &seen.stamp);
  if (err == LK_OK) err = make_value(&change, seen.stamp, json, &value);
  if (err == LK_OK) lk_type_replace_root(&change, value);
  return lk_change_end(&change, err);
}

static lk_err apply_set(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  return lk_type_apply_json(self, op, arguments, lk_lww_set);
}

/* ---- from outside ---- */

static lk_err check_value(lk_slice value, const lk_crdt_scope *scope) {
  stamped one;
  lk_err err = split(value, &one);
  return err == LK_OK ? lk_type_check_json(one.json, scope) : err;
}

static lk_err admit_value(lk_slice value, uint64_t now_ms, uint64_t drift_ms) {
  stamped one;
  lk_err err = split(value, &one);
  return err == LK_OK ? lk_hlc_admit(one.stamp, now_ms, drift_ms) : err;
}

/* {"ms":1700000000000,"count":0,"value":"blue"} */
static lk_err value_to_json(lk_slice value, lk_json_writer *out) {
  stamped one;
  lk_err err = split(value, &one);
  LK_ASSERT(err == LK_OK);
  (void)lk_json_begin_object(out);
  (void)lk_json_write_key(out, LK_LIT("ms"));
  (void)lk_json_write_u64(out, one.stamp.ms);
  (void)lk_json_write_key(out, LK_LIT("count"));
  (void)lk_json_write_u64(out, one.stamp.count);
  (void)lk_json_write_key(out, LK_LIT("value"));
  (void)lk_json_write_raw(out, one.json);
  return lk_json_end_object(out);
}

static lk_err value_of_json(lk_slice json, const lk_crdt_scope *scope, lk_buf *out) {
  enum { MS, COUNT, VALUE, MEMBERS };
  lk_json_member members[MEMBERS] = {
    [MS] = { .name = LK_LIT("ms") },
    [COUNT] = { .name = LK_LIT("count") },
    [VALUE] = { .name = LK_LIT("value") },
  };
  uint64_t ms = 0, count = 0;
  lk_arena arena;
  lk_type_arena_init(&arena, scope);
  lk_err err = lk_type_read_members(json, &arena, members, MEMBERS);
  lk_arena_deinit(&arena); /* neither numbers nor raw bytes lie in it */
  for (size_t i = 0; i < MEMBERS && err == LK_OK; i++) {
    if (members[i].value.kind == LK_JSON_ABSENT) err = LK_ERR_PAYLOAD;
  }
  if (err == LK_OK) err = lk_type_read_number(&members[MS], LK_HLC_MS_MAX, &ms);
  if (err == LK_OK) err = lk_type_read_number(&members[COUNT], UINT32_MAX, &count);
  if (err == LK_OK) err = lk_hlc_encode(out, (lk_hlc){ ms, (uint32_t)count });
  return err == LK_OK ? lk_json_canonicalize(members[VALUE].raw, scope->limits, out) : err;
}

/* ---- reading ---- */

static lk_err write_value(const lk_crdt *self, uint32_t node, lk_json_writer *out) {
  stamped last;
  if (!find_winner(self, node, &last)) return lk_json_write_null(out);
  return lk_json_write_raw(out, last.json);
}

static const lk_crdt_operation operations[] = { { "set", apply_set } };

const lk_crdt_type lk_crdt_type_lww = {
  .number = LK_CRDT_LWW,
  .shape = LK_SHAPE_ROOT | LK_SHAPE_VALUES,
  .name = "lww",
  .check_value = check_value,
  .admit_value = admit_value,
  .value_to_json = value_to_json,
  .value_of_json = value_of_json,
  .write_value = write_value,
  LK_TYPE_OPERATIONS(operations),
};
