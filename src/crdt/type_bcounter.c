/* crdt/type_bcounter.c -- a counter that never goes below zero: stock, seats, a budget.
 *
 *   object ─┬─ "alice"   5 dots      units that alice alone may take away
 *           └─ "bob"     2 dots      units that bob alone may take away       value: 7
 *
 * Each unit is a dot and has an owner. To increment is to make dots of one's own. To decrement is to
 * remove dots of one's own: only the owner removes them, so no unit is taken away twice, and what
 * a replica sees of its own units is all there is to know of them but for what others have sent it
 * meanwhile. So a decrement is decided on the spot, without asking anybody, and yet the counter stays at
 * zero or above whatever happens elsewhere: a number of living dots is never negative.
 *
 * The price: what is there may not be mine to take. LK_ERR_RIGHTS says so, even while the value is
 * large; the way out is that another replica transfers. A transfer removes n units of the sender and
 * makes n new ones that belong to the receiver, in one delta, so that nobody sees them twice or not at
 * all. The receiver may spend them when the delta has come. To transfer to oneself would change nothing
 * but cost new dots; it is a mistake of the caller, LK_ERR_ACTOR.
 *
 * Inside an ormap a removed key takes away the units that the remover has seen. Units that were made or
 * transferred at the same time survive: a transfer's are new ones.
 *
 * Always, among replicas that keep to the operations: value = added - taken away >= 0. Each owner's units
 * fit 64 bits, and an increment that would take the sum of all beyond that is refused. Replicas that have
 * not heard of each other can get there together; a merge is then no place to refuse, and the
 * value is simply written with as many digits as it has. */
#include "crdt/type_shared.h"

#include "codec/number.h"
#include "crdt/arguments.h"

/* ---- a sum that may need more than 64 bits ---- */

/* high * BASE + low. There are less than 2^32 owners, so |high| has room. */
#define BASE UINT64_C(1000000000000000000)
#define BASE_DIGITS 18
typedef struct sum {
  uint64_t high, low;
} sum;

static sum sum_of(const lk_crdt *self, uint32_t node) {
  lk_btree_cursor cursor = { 0 };
  sum total = { 0, 0 };
  uint32_t owner;
  while ((owner = lk_node_next_kid(self, node, &cursor)) != LK_NODE_NONE) {
    uint64_t units = lk_node_at(self, owner)->total;
    total.low += units % BASE;
    total.high += units / BASE + total.low / BASE;
    total.low %= BASE;
  }
  return total;
}

static bool fits_u64(sum total, uint64_t more) {
  uint64_t value;
  return lk_mul_u64(total.high, BASE, &value) && lk_add_u64(value, total.low, &value) &&
         lk_add_u64(value, more, &value);
}

/* Whether the sum of all owners fits 64 bits with |more|. All dots of the object, of whatever counter, mostly fit
 * already; only where they do not are the owners asked one by one. */
static bool has_room(const lk_crdt *self, uint32_t node, uint64_t more) {
  uint64_t all;
  if (self->dots_high == 0 && lk_add_u64(self->dots, more, &all)) return true;
  return fits_u64(sum_of(self, node), more);
}

static lk_err write_sum(sum total, lk_json_writer *out) {
  uint8_t text[LK_NUMBER_INT_CHARS + BASE_DIGITS];
  if (total.high == 0) return lk_json_write_u64(out, total.low);
  size_t len = lk_number_print_u64(total.high, text) + BASE_DIGITS;
  for (size_t i = 0; i < BASE_DIGITS; i++, total.low /= 10) {
    text[len - 1 - i] = (uint8_t)('0' + total.low % 10);
  }
  return lk_json_write_raw(out, lk_slice_of(text, len));
}

/* ---- changing ---- */

lk_err lk_bcounter_add(lk_crdt *self, const lk_crdt_op *op, uint64_t amount) {
  lk_change change;
  lk_err err = lk_change_begin(&change, self, op, &lk_crdt_type_bcounter);
  if (err == LK_OK) err = lk_type_check_amount(amount);
  if (err == LK_OK && !has_room(self, change.node, amount)) err = LK_ERR_OVERFLOW;
  if (err == LK_OK) lk_type_count(&change, op->actor, amount);
  return lk_change_end(&change, err);
}

/* Removes |amount| units of the operation's actor, the first ones: what is left of a run stays one. */
static lk_err spend(lk_change *change, uint64_t amount) {
  const lk_crdt *self = change->self;
  uint32_t own = lk_change_find(change, change->op->actor);
  if (own == LK_NODE_NONE || lk_node_at(self, own)->total < amount) return LK_ERR_RIGHTS;
  lk_btree_cursor cursor = { 0 };
  while (amount > 0) {
    uint32_t fact = lk_fact_next(self, own, &cursor);
    LK_ASSERT(fact != 0); /* the facts have |total| dots */
    uint64_t lo = lk_fact_at(self, fact)->lo, count = lk_fact_at(self, fact)->hi - lo + 1;
    uint64_t part = lk_min_u64(count, amount);
    lk_change_remove_part(change, fact, lo, lo + part - 1);
    amount -= part;
  }
  return LK_OK;
}

lk_err lk_bcounter_subtract(lk_crdt *self, const lk_crdt_op *op, uint64_t amount) {
  lk_change change;
  lk_err err = lk_change_begin(&change, self, op, &lk_crdt_type_bcounter);
  if (err == LK_OK) err = lk_type_check_amount(amount);
  if (err == LK_OK) err = spend(&change, amount);
  return lk_change_end(&change, err);
}

lk_err lk_bcounter_transfer(lk_crdt *self, const lk_crdt_op *op, lk_slice to, uint64_t amount) {
  lk_change change;
  lk_err err = lk_change_begin(&change, self, op, &lk_crdt_type_bcounter);
  if (err == LK_OK) err = lk_type_check_amount(amount);
  if (err == LK_OK) err = lk_crdt_check_actor(to);
  if (err == LK_OK && lk_slice_equal(to, op->actor)) err = LK_ERR_ACTOR;
  if (err == LK_OK) err = spend(&change, amount);
  if (err == LK_OK) lk_type_count(&change, to, amount);
  return lk_change_end(&change, err);
}

static lk_err apply_increment(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  return lk_type_apply_u64(self, op, arguments, lk_bcounter_add);
}

static lk_err apply_decrement(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  return lk_type_apply_u64(self, op, arguments, lk_bcounter_subtract);
}

/* The name may lie in the reader's arena, which therefore goes last. */
static lk_err apply_transfer(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  lk_arguments in;
  lk_slice to;
  uint64_t amount;
  lk_err err = lk_arguments_init(&in, self, arguments);
  if (err == LK_OK) err = lk_arguments_text(&in, &to);
  if (err == LK_OK) err = lk_arguments_u64(&in, &amount);
  if (err == LK_OK) err = lk_arguments_end(&in);
  if (err == LK_OK) err = lk_bcounter_transfer(self, op, to, amount);
  lk_arguments_deinit(&in);
  return err;
}

/* ---- reading ---- */

static lk_err check_key(lk_slice key, const lk_crdt_scope *scope) {
  (void)scope;
  return lk_crdt_check_actor(key);
}

/* {"rights":{"alice":5,"bob":2},"value":7}; canonical JSON wants names by their UTF-16. */
static lk_err write_value(const lk_crdt *self, uint32_t node, lk_json_writer *out) {
  lk_btree owners;
  lk_btree_cursor cursor;
  (void)lk_type_fail_writer(out, lk_type_set_of_names(&owners, self, node));
  (void)lk_json_begin_object(out);
  (void)lk_json_write_key(out, LK_LIT("rights"));
  (void)lk_json_begin_object(out);
  for (const uint32_t *owner = lk_btree_first(&owners, &cursor); owner != NULL;
       owner = lk_btree_next(&cursor)) {
    (void)lk_json_write_key(out, lk_node_key(self, *owner));
    (void)lk_json_write_u64(out, lk_node_at(self, *owner)->total);
  }
  lk_btree_deinit(&owners);
  (void)lk_json_end_object(out);
  (void)lk_json_write_key(out, LK_LIT("value"));
  (void)write_sum(sum_of(self, node), out);
  return lk_json_end_object(out);
}

static const lk_crdt_operation operations[] = {
  { "increment", apply_increment },
  { "decrement", apply_decrement },
  { "transfer", apply_transfer },
};

const lk_crdt_type lk_crdt_type_bcounter = {
  .number = LK_CRDT_BCOUNTER,
  .shape = LK_SHAPE_ELEMENTS | LK_SHAPE_RUNS,
  .name = "bcounter",
  .check_key = check_key,
  LK_TYPE_TEXT_KEYS,
  .write_value = write_value,
  LK_TYPE_OPERATIONS(operations),
};
