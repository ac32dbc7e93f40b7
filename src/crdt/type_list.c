/* crdt/type_list.c -- an ordered list, whose elements can be moved.
 *
 *   object ─┬─ key: a position     facts, value := moves:varuint sets:varuint at_len:varuint at json
 *           └─ key: a position     facts
 *
 * An element is known by its key for all its life: a position (crdt/position.h) that was made between its
 * neighbours when it was inserted. Positions need no other element to mean something, so inserts and deletes that
 * were made apart cannot disturb each other: what two replicas insert at one place stands there side by
 * side, each one's run together, and deleting a neighbour moves nothing.
 *
 * A move must not be a delete and an insert: two replicas that move one element would double it. So the
 * place is a value of the element like its content is, and each has its own winner:
 *
 *   place    greatest |moves|       |at|, or the key itself while |at| is empty
 *   content  greatest |sets|        |json|
 *            on a tie the greater actor, then the greater number
 *
 * Each write puts one fact in the place of those that are seen, with both winners in it and the one counter
 * raised that it is about. Its counter is then above everything that its writer has seen, so what
 * knows more wins, and a concurrent write of the other kind is below it in the one and beside it in the other:
 *
 *   alice moves   (1, 0, far, "x")  ┐  the place is alice's, who has moves 1
 *   bob sets      (0, 1, -, "y")    ┘  the content is bob's, who has sets 1
 *
 * Concurrent moves leave the element once, where one of them put it. To delete takes away the facts
 * that are seen; a concurrent move or set has put one that is not, so the element stays, with the content
 * that writer saw. It is better to see something again than to lose what somebody just worked on.
 *
 * The value of a fact is bounded by crdt_value_bytes with all that is in it: an element so large that no
 * place fits beside it cannot be moved, LK_ERR_TOO_BIG. */
#include "crdt/type_shared.h"

#include "codec/hex.h"
#include "codec/json_canonical.h"
#include "codec/varint.h"
#include "crdt/arguments.h"
#include "crdt/position.h"

typedef struct entry {
  uint64_t moves;
  uint64_t sets;
  lk_slice at; /* empty: the key */
  lk_slice json;
} entry;

/* ---- the value of a fact ---- */

static lk_err split(lk_slice value, entry *out) {
  lk_reader in = lk_reader_of(value);
  uint64_t len;
  lk_err err = lk_varuint_decode_canonical(&in, UINT64_MAX, &out->moves);
  if (err == LK_OK) err = lk_varuint_decode_canonical(&in, UINT64_MAX, &out->sets);
  if (err == LK_OK) err = lk_varuint_decode_canonical(&in, UINT64_MAX, &len);
  if (err == LK_OK) err = lk_reader_bytes(&in, len, &out->at);
  if (err == LK_OK) out->json = lk_reader_rest(&in);
  return err;
}

/* Of a value that was checked when it came. */
static entry entry_of(lk_slice value) {
  entry out = { 0 };
  lk_err err = split(value, &out);
  LK_ASSERT(err == LK_OK);
  return out;
}

static void append_head(lk_buf *out, const entry *in) {
  (void)lk_varuint_encode(out, in->moves);
  (void)lk_varuint_encode(out, in->sets);
  (void)lk_varuint_encode(out, in->at.len);
  (void)lk_buf_append(out, in->at);
}

static lk_err check_value(lk_slice value, const lk_crdt_scope *scope) {
  entry in;
  lk_err err = split(value, &in);
  if (err == LK_OK && in.at.len > 0) err = lk_position_decode(in.at);
  return err == LK_OK ? lk_type_check_json(in.json, scope) : err;
}

static lk_slice position_of(lk_slice key, lk_slice value) {
  lk_slice at = entry_of(value).at;
  return at.len > 0 ? at : key;
}

static int compare_places(lk_slice a, lk_slice b) {
  uint64_t x = entry_of(a).moves, y = entry_of(b).moves;
  return (x > y) - (x < y);
}

/* ---- an element ---- */

/* What the facts at |element| amount to. The place's winner is known to the engine; for the content they come
 * by actor and number, so on a tie the later one wins. */
static entry read_element(const lk_crdt *self, uint32_t element) {
  entry out = entry_of(lk_fact_value(self, lk_node_at(self, element)->place));
  lk_btree_cursor cursor = { 0 };
  uint32_t fact;
  out.sets = 0;
  while ((fact = lk_fact_next(self, element, &cursor)) != 0) {
    entry one = entry_of(lk_fact_value(self, fact));
    if (one.sets < out.sets) continue;
    out.sets = one.sets;
    out.json = one.json;
  }
  return out;
}

/* Puts |in|, whose JSON is canonical, in the place of what is seen at the element |key|. */
static lk_err replace(lk_change *change, lk_slice key, const entry *in) {
  const lk_crdt_scope *scope = &change->self->scope;
  lk_slice value;
  lk_buf bytes;
  lk_buf_init(&bytes, scope->alloc, scope->limits->crdt_value_bytes);
  append_head(&bytes, in);
  lk_err err = lk_buf_append(&bytes, in->json);
  if (err == LK_ERR_LIMIT) err = LK_ERR_TOO_BIG;
  if (err == LK_OK) err = lk_arena_copy(&change->arena, lk_buf_slice(&bytes), &value);
  lk_buf_deinit(&bytes);
  if (err != LK_OK) return err;
  lk_change_remove_at(change, lk_change_find(change, key));
  lk_change_put(change, lk_change_element(change, key), value);
  return LK_OK;
}

/* The element at |index| and what it amounts to. */
static lk_err find_element(const lk_change *change, uint32_t index, uint32_t *element, entry *out) {
  *element = lk_order_at(change->self, change->node, index);
  if (*element == LK_NODE_NONE) return LK_ERR_RANGE;
  *out = read_element(change->self, *element);
  return LK_OK;
}

/* ---- changing ---- */

lk_err lk_list_insert(lk_crdt *self, const lk_crdt_op *op, uint32_t index, lk_slice json) {
  lk_change change;
  lk_slice left, right, key;
  entry fresh = { 0 };
  lk_err err = lk_change_begin(&change, self, op, &lk_crdt_type_list);
  if (err == LK_OK) err = lk_type_find_gap(&change, index, &left, &right);
  if (err == LK_OK) err = lk_type_canonicalize(&change, json, &fresh.json);
  if (err == LK_OK) err = lk_type_make_position(&change, left, right, &key);
  if (err == LK_OK) err = replace(&change, key, &fresh);
  return lk_change_end(&change, err);
}

lk_err lk_list_set(lk_crdt *self, const lk_crdt_op *op, uint32_t index, lk_slice json) {
  lk_change change;
  uint32_t element;
  entry now;
  lk_err err = lk_change_begin(&change, self, op, &lk_crdt_type_list);
  if (err == LK_OK) err = find_element(&change, index, &element, &now);
  if (err == LK_OK) err = lk_type_canonicalize(&change, json, &now.json);
  if (err == LK_OK && !lk_add_u64(now.sets, 1, &now.sets)) err = LK_ERR_OVERFLOW;
  if (err == LK_OK) err = replace(&change, lk_node_key(self, element), &now);
  return lk_change_end(&change, err);
}

lk_err lk_list_delete(lk_crdt *self, const lk_crdt_op *op, uint32_t index) {
  lk_change change;
  lk_err err = lk_change_begin(&change, self, op, &lk_crdt_type_list);
  uint32_t element = err == LK_OK ? lk_order_at(self, change.node, index) : LK_NODE_NONE;
  if (err == LK_OK && element == LK_NODE_NONE) err = LK_ERR_RANGE;
  if (err == LK_OK) lk_change_remove_at(&change, element);
  return lk_change_end(&change, err);
}

/* The gap is counted while the element still stands where it was: to the right of it the indexes are one
 * more. A move to where it is already is a move like any other; somebody said that it belongs there. */
static lk_err find_target(const lk_change *change, uint32_t from, uint32_t to, lk_slice *left,
                          lk_slice *right) {
  if (to >= lk_order_count(change->self, change->node)) return LK_ERR_RANGE;
  return lk_type_find_gap(change, to > from ? to + 1 : to, left, right);
}

lk_err lk_list_move(lk_crdt *self, const lk_crdt_op *op, uint32_t from, uint32_t to) {
  lk_change change;
  uint32_t element;
  lk_slice left, right;
  entry now;
  lk_err err = lk_change_begin(&change, self, op, &lk_crdt_type_list);
  if (err == LK_OK) err = find_element(&change, from, &element, &now);
  if (err == LK_OK) err = find_target(&change, from, to, &left, &right);
  if (err == LK_OK) err = lk_type_make_position(&change, left, right, &now.at);
  if (err == LK_OK && !lk_add_u64(now.moves, 1, &now.moves)) err = LK_ERR_OVERFLOW;
  if (err == LK_OK) err = replace(&change, lk_node_key(self, element), &now);
  return lk_change_end(&change, err);
}

/* ---- operations by name ---- */

static lk_err apply_with_json(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments,
                              lk_err (*change)(lk_crdt *, const lk_crdt_op *, uint32_t, lk_slice)) {
  lk_arguments in;
  uint32_t index;
  lk_slice json;
  lk_err err = lk_arguments_init(&in, self, arguments);
  if (err == LK_OK) err = lk_arguments_u32(&in, &index);
  if (err == LK_OK) err = lk_arguments_json(&in, &json);
  if (err == LK_OK) err = lk_arguments_end(&in);
  lk_arguments_deinit(&in);
  return err == LK_OK ? change(self, op, index, json) : err;
}

static lk_err apply_insert(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  return apply_with_json(self, op, arguments, lk_list_insert);
}

static lk_err apply_set(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  return apply_with_json(self, op, arguments, lk_list_set);
}

static lk_err apply_delete(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  lk_arguments in;
  uint32_t index;
  lk_err err = lk_arguments_init(&in, self, arguments);
  if (err == LK_OK) err = lk_arguments_u32(&in, &index);
  if (err == LK_OK) err = lk_arguments_end(&in);
  lk_arguments_deinit(&in);
  return err == LK_OK ? lk_list_delete(self, op, index) : err;
}

static lk_err apply_move(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments) {
  return lk_type_apply_indexes(self, op, arguments, lk_list_move);
}

/* ---- JSON ---- */

/* {"value":"x","moves":1,"at":"0a..."}: what is zero or empty is left out. */
static lk_err value_to_json(lk_slice value, lk_json_writer *out) {
  entry in = entry_of(value);
  (void)lk_json_begin_object(out);
  (void)lk_json_write_key(out, LK_LIT("value"));
  (void)lk_json_write_raw(out, in.json);
  if (in.moves > 0) {
    (void)lk_json_write_key(out, LK_LIT("moves"));
    (void)lk_json_write_u64(out, in.moves);
  }
  if (in.sets > 0) {
    (void)lk_json_write_key(out, LK_LIT("sets"));
    (void)lk_json_write_u64(out, in.sets);
  }
  if (in.at.len > 0) {
    (void)lk_json_write_key(out, LK_LIT("at"));
    (void)lk_type_hex_to_json(in.at, out);
  }
  return lk_json_end_object(out);
}

static lk_err read_at(const lk_json_member *member, const lk_crdt_scope *scope, lk_buf *at) {
  if (member->value.kind == LK_JSON_ABSENT) return LK_OK;
  return lk_type_hex_of_json(member->raw, scope, at);
}

static lk_err value_of_json(lk_slice json, const lk_crdt_scope *scope, lk_buf *out) {
  lk_json_member value = { .name = LK_LIT("value") };
  lk_json_member members[] = {
    value, { .name = LK_LIT("moves") }, { .name = LK_LIT("sets") }, { .name = LK_LIT("at") }
  };
  entry in = { 0 };
  lk_arena arena;
  lk_buf at;
  lk_type_arena_init(&arena, scope);
  lk_buf_init(&at, scope->alloc, scope->limits->crdt_value_bytes);
  lk_err err = lk_type_read_members(json, &arena, members, 4);
  lk_arena_deinit(&arena);
  if (err == LK_OK && members[0].value.kind == LK_JSON_ABSENT) err = LK_ERR_PAYLOAD;
  if (err == LK_OK) err = lk_type_read_number(&members[1], UINT64_MAX, &in.moves);
  if (err == LK_OK) err = lk_type_read_number(&members[2], UINT64_MAX, &in.sets);
  if (err == LK_OK) err = read_at(&members[3], scope, &at);
  if (err == LK_OK) {
    in.at = lk_buf_slice(&at);
    append_head(out, &in);
    err = lk_json_canonicalize(members[0].raw, scope->limits, out);
  }
  lk_buf_deinit(&at);
  return err == LK_OK ? lk_buf_err(out) : err;
}

/* ---- reading ---- */

static lk_err write_value(const lk_crdt *self, uint32_t node, lk_json_writer *out) {
  lk_btree_cursor cursor = { 0 };
  uint32_t element;
  (void)lk_json_begin_array(out);
  while ((element = lk_order_next(self, node, &cursor)) != LK_NODE_NONE) {
    (void)lk_json_write_raw(out, read_element(self, element).json);
  }
  return lk_json_end_array(out);
}

static const lk_crdt_operation operations[] = {
  { "insert", apply_insert },
  { "delete", apply_delete },
  { "move", apply_move },
  { "set", apply_set },
};

const lk_crdt_type lk_crdt_type_list = {
  .number = LK_CRDT_LIST,
  .shape = LK_SHAPE_ELEMENTS | LK_SHAPE_VALUES,
  .ordered = true,
  .name = "list",
  LK_TYPE_POSITION_KEYS,
  .check_value = check_value,
  .value_to_json = value_to_json,
  .value_of_json = value_of_json,
  .write_value = write_value,
  .position_of = position_of,
  .compare_places = compare_places,
  LK_TYPE_OPERATIONS(operations),
};
