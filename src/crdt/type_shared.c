/* crdt/type_shared.c -- what several types of the catalogue have in common.
 *
 * Replacing is the heart of most types. A write takes away the facts that the writer sees at one place and
 * puts a new one there, with a dot that nobody has used. A concurrent write does the same and has
 * not seen the first one's fact; so after both have met, both facts stand there, and the type decides
 * what two facts beside each other mean: "in the set", "two values", "the later one". A write
 * that has seen both takes both away. Nothing is ever compared by time to decide what is obsolete.
 *
 * Votes are for types in which a no must be seen by others: a removal that only takes facts away
 * loses against a concurrent add, which it cannot name. So here removing puts a fact, too.
 *
 * A gap between two neighbours. Positions are unique among honest replicas, since each has an actor and a
 * number of which that actor makes one position. Two elements with the same position can only be
 * a forgery; there is no place between them, and what is inserted there goes behind all of them rather
 * than being refused for ever. */
#include "crdt/type_shared.h"

#include "codec/hex.h"
#include "codec/json_canonical.h"
#include "codec/utf.h"
#include "crdt/arguments.h"
#include "crdt/position.h"

/* ---- JSON ---- */

lk_err lk_type_canonicalize(lk_change *change, lk_slice json, lk_slice *out) {
  const lk_crdt_scope *scope = &change->self->scope;
  lk_buf text;
  lk_buf_init(&text, scope->alloc, scope->limits->crdt_value_bytes);
  lk_err err = lk_json_canonicalize(json, scope->limits, &text);
  if (err == LK_ERR_LIMIT) err = LK_ERR_TOO_BIG;
  if (err == LK_OK) err = lk_arena_copy(&change->arena, lk_buf_slice(&text), out);
  lk_buf_deinit(&text);
  return err;
}

lk_err lk_type_check_json(lk_slice json, const lk_crdt_scope *scope) {
  return lk_json_check_canonical(json, scope->limits, scope->alloc);
}

lk_err lk_type_fail_writer(lk_json_writer *out, lk_err err) {
  if (out->err == LK_OK) out->err = err;
  return out->err;
}

lk_err lk_type_text_to_json(lk_slice text, lk_json_writer *out) {
  return lk_json_write_string(out, text);
}

void lk_type_arena_init(lk_arena *arena, const lk_crdt_scope *scope) {
  lk_arena_init(arena, scope->alloc, (size_t)scope->limits->json_bytes * 2);
}

/* The text was read once already, as part of what it stands in, and is one level deeper there than the
 * value in it, whose own depth is looked at when it is made canonical. */
static lk_err open_reader(lk_json_reader *in, lk_slice json, lk_arena *arena) {
  lk_limits limits = lk_limits_default();
  limits.json_depth = LK_JSON_DEPTH_MAX;
  limits.json_bytes = UINT32_MAX;
  return lk_json_reader_init(in, json, &limits, arena);
}

static lk_err read_string(lk_slice json, lk_arena *arena, lk_slice *out) {
  lk_json_reader in;
  lk_json_event event;
  lk_err err = open_reader(&in, json, arena);
  if (err == LK_OK) err = lk_json_next(&in, &event);
  if (err != LK_OK) return err;
  if (lk_json_get_string(&event, out) != LK_OK) return LK_ERR_PAYLOAD;
  return lk_json_finish(&in);
}

lk_err lk_type_text_of_json(lk_slice json, const lk_crdt_scope *scope, lk_buf *out) {
  lk_arena arena;
  lk_slice text;
  lk_type_arena_init(&arena, scope);
  lk_err err = read_string(json, &arena, &text);
  if (err == LK_OK) err = lk_buf_append(out, text);
  lk_arena_deinit(&arena);
  return err;
}

lk_err lk_type_read_members(lk_slice json, lk_arena *arena, lk_json_member *members, size_t count) {
  lk_json_reader in;
  lk_err err = open_reader(&in, json, arena);
  if (err == LK_OK) err = lk_json_read_members(&in, members, count);
  if (err == LK_OK) err = lk_json_finish(&in);
  return err == LK_ERR_TYPE ? LK_ERR_PAYLOAD : err;
}

lk_err lk_type_read_number(const lk_json_member *member, uint64_t max, uint64_t *out) {
  uint64_t value;
  if (member->value.kind == LK_JSON_ABSENT) return LK_OK;
  if (lk_json_get_u64(&member->value, &value) != LK_OK || value > max) return LK_ERR_PAYLOAD;
  *out = value;
  return LK_OK;
}

/* ---- replacing ---- */

static void replace(lk_change *change, uint32_t node, uint32_t flat_node, lk_slice value) {
  lk_change_remove_at(change, node);
  lk_change_put(change, flat_node, value);
}

void lk_type_replace_root(lk_change *change, lk_slice value) {
  replace(change, change->node, change->flat_node, value);
}

lk_err lk_type_replace_element(lk_crdt *self, const lk_crdt_op *op, const lk_crdt_type *type,
                               lk_slice json, lk_slice value) {
  lk_change change;
  lk_slice key;
  lk_err err = lk_change_begin(&change, self, op, type);
  if (err == LK_OK) err = lk_type_canonicalize(&change, json, &key);
  if (err == LK_OK) {
    replace(&change, lk_change_find(&change, key), lk_change_element(&change, key), value);
  }
  return lk_change_end(&change, err);
}

lk_err lk_type_write_keys(const lk_crdt *self, uint32_t node, lk_json_writer *out,
                          bool (*shown)(const lk_crdt *self, uint32_t element)) {
  lk_btree_cursor cursor = { 0 };
  uint32_t element;
  (void)lk_json_begin_array(out);
  while ((element = lk_node_next_kid(self, node, &cursor)) != LK_NODE_NONE) {
    if (shown == NULL || shown(self, element)) {
      (void)lk_json_write_raw(out, lk_node_key(self, element));
    }
  }
  return lk_json_end_array(out);
}

/* ---- votes ---- */

#define NO 0
#define YES 1

lk_slice lk_type_vote(bool yes) {
  static const uint8_t bytes[] = { NO, YES };
  return lk_slice_of(&bytes[yes], 1);
}

lk_err lk_type_check_vote(lk_slice value, const lk_crdt_scope *scope) {
  (void)scope;
  if (value.len == 0) return LK_ERR_TRUNCATED;
  if (value.len > 1) return LK_ERR_TRAILING;
  return value.ptr[0] == NO || value.ptr[0] == YES ? LK_OK : LK_ERR_CORRUPT;
}

lk_err lk_type_vote_to_json(lk_slice value, lk_json_writer *out) {
  return lk_json_write_bool(out, lk_slice_at(value, 0) == YES);
}

lk_err lk_type_vote_of_json(lk_slice json, const lk_crdt_scope *scope, lk_buf *out) {
  (void)scope;
  bool yes = lk_slice_equal(json, LK_LIT("true"));
  if (!yes && !lk_slice_equal(json, LK_LIT("false"))) return LK_ERR_PAYLOAD;
  return lk_buf_append(out, lk_type_vote(yes));
}

bool lk_type_votes_agree(const lk_crdt *self, uint32_t node) {
  lk_btree_cursor cursor = { 0 };
  uint32_t fact, count = 0;
  while ((fact = lk_fact_next(self, node, &cursor)) != 0) {
    if (lk_slice_at(lk_fact_value(self, fact), 0) == NO) return false;
    count++;
  }
  return count > 0;
}

/* ---- counting ---- */

lk_err lk_type_check_amount(uint64_t amount) { return amount == 0 ? LK_ERR_RANGE : LK_OK; }

void lk_type_count(lk_change *change, lk_slice key, uint64_t amount) {
  lk_change_count(change, lk_change_element(change, key), lk_change_find(change, key), amount);
}

/* ---- sorting ---- */

void lk_type_set_init(lk_btree *set, const lk_crdt *self, lk_btree_compare compare) {
  lk_btree_init(set, self->scope.alloc, sizeof(uint32_t), compare, self);
}

lk_err lk_type_set_add(lk_btree *set, uint32_t item) {
  if (lk_btree_get(set, &item) != NULL) return LK_OK;
  lk_err err = lk_btree_reserve(set, 1);
  if (err == LK_OK) (void)lk_btree_insert(set, &item);
  return err;
}

/* In UTF-16, what is above U+FFFF begins with a surrogate and comes before U+E000 to U+FFFF, whose first byte in
 * UTF-8 is EE or EF. Lifting these two above F0 to F4 is all the difference to the order of bytes. */
static unsigned lift(uint8_t byte) { return byte == 0xEE || byte == 0xEF ? byte + 0x10u : byte; }

static int compare_names(const void *ctx, const void *a, const void *b) {
  lk_slice x = lk_node_key(ctx, *(const uint32_t *)a), y = lk_node_key(ctx, *(const uint32_t *)b);
  size_t i = 0, both = lk_min_size(x.len, y.len);
  while (i < both && x.ptr[i] == y.ptr[i]) i++;
  if (i == both) return (x.len > y.len) - (x.len < y.len);
  return lift(x.ptr[i]) < lift(y.ptr[i]) ? -1 : 1;
}

lk_err lk_type_set_of_names(lk_btree *set, const lk_crdt *self, uint32_t node) {
  lk_btree_cursor cursor = { 0 };
  lk_err err = LK_OK;
  uint32_t kid;
  lk_type_set_init(set, self, compare_names);
  while (err == LK_OK && (kid = lk_node_next_kid(self, node, &cursor)) != LK_NODE_NONE) {
    err = lk_type_set_add(set, kid);
  }
  return err;
}

/* ---- positions ---- */

lk_err lk_type_find_gap(const lk_change *change, uint32_t index, lk_slice *left, lk_slice *right) {
  const lk_crdt *self = change->self;
  if (index > lk_order_count(self, change->node)) return LK_ERR_RANGE;
  *left = *right = LK_SLICE_EMPTY;
  if (index > 0) *left = lk_order_position(self, lk_order_at(self, change->node, index - 1));
  for (uint32_t next; (next = lk_order_at(self, change->node, index)) != LK_NODE_NONE; index++) {
    *right = lk_order_position(self, next);
    if (lk_slice_compare(*left, *right) < 0) return LK_OK;
    LK_COVERED(crdt_two_elements_claim_one_position);
  }
  *right = LK_SLICE_EMPTY;
  return LK_OK;
}

lk_err lk_type_make_position(lk_change *change, lk_slice left, lk_slice right, lk_slice *out) {
  const lk_crdt_scope *scope = &change->self->scope;
  uint64_t seq = lk_change_next(change);
  size_t len_max = scope->limits->crdt_value_bytes;
  lk_buf position;
  if (seq == 0 || seq > (uint64_t)INT64_MAX) return LK_ERR_OVERFLOW; /* 0: used up */
  lk_buf_init(&position, scope->alloc, len_max);
  lk_err err = lk_position_between(left, right, change->op->actor, seq, len_max, &position);
  if (err == LK_OK) err = lk_arena_copy(&change->arena, lk_buf_slice(&position), out);
  lk_buf_deinit(&position);
  return err;
}

lk_err lk_type_check_position(lk_slice key, const lk_crdt_scope *scope) {
  (void)scope;
  return lk_position_decode(key);
}

lk_err lk_type_hex_to_json(lk_slice bytes, lk_json_writer *out) {
  lk_buf digits;
  lk_buf_init(&digits, out->buf->alloc, SIZE_MAX);
  lk_err err = lk_hex_encode(&digits, bytes);
  if (err == LK_OK) err = lk_json_write_string(out, lk_buf_slice(&digits));
  lk_buf_deinit(&digits);
  return lk_type_fail_writer(out, err);
}

lk_err lk_type_hex_of_json(lk_slice json, const lk_crdt_scope *scope, lk_buf *out) {
  lk_arena arena;
  lk_slice text;
  lk_type_arena_init(&arena, scope);
  lk_err err = read_string(json, &arena, &text);
  if (err == LK_OK) err = lk_hex_decode(out, text);
  lk_arena_deinit(&arena);
  return err == LK_ERR_SYNTAX ? LK_ERR_PAYLOAD : err;
}

/* ---- operations by name ---- */

/* The slice of a JSON argument lies in |arguments|, so it outlives the reader. */
lk_err lk_type_apply_json(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments,
                          lk_err (*change)(lk_crdt *, const lk_crdt_op *, lk_slice)) {
  lk_arguments in;
  lk_slice json;
  lk_err err = lk_arguments_init(&in, self, arguments);
  if (err == LK_OK) err = lk_arguments_json(&in, &json);
  if (err == LK_OK) err = lk_arguments_end(&in);
  lk_arguments_deinit(&in);
  return err == LK_OK ? change(self, op, json) : err;
}

lk_err lk_type_apply_u64(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments,
                         lk_err (*change)(lk_crdt *, const lk_crdt_op *, uint64_t)) {
  lk_arguments in;
  uint64_t amount;
  lk_err err = lk_arguments_init(&in, self, arguments);
  if (err == LK_OK) err = lk_arguments_u64(&in, &amount);
  if (err == LK_OK) err = lk_arguments_end(&in);
  lk_arguments_deinit(&in);
  return err == LK_OK ? change(self, op, amount) : err;
}

lk_err lk_type_apply_indexes(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments,
                             lk_err (*change)(lk_crdt *, const lk_crdt_op *, uint32_t, uint32_t)) {
  lk_arguments in;
  uint32_t first, second;
  lk_err err = lk_arguments_init(&in, self, arguments);
  if (err == LK_OK) err = lk_arguments_u32(&in, &first);
  if (err == LK_OK) err = lk_arguments_u32(&in, &second);
  if (err == LK_OK) err = lk_arguments_end(&in);
  lk_arguments_deinit(&in);
  return err == LK_OK ? change(self, op, first, second) : err;
}

lk_err lk_type_no_arguments(const lk_crdt *self, lk_slice arguments) {
  lk_arguments in;
  lk_err err = lk_arguments_init(&in, self, arguments);
  if (err == LK_OK) err = lk_arguments_end(&in);
  lk_arguments_deinit(&in);
  return err;
}

lk_err lk_type_apply_bool(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments,
                          lk_err (*change)(lk_crdt *, const lk_crdt_op *, bool), bool value) {
  lk_err err = lk_type_no_arguments(self, arguments);
  return err == LK_OK ? change(self, op, value) : err;
}
