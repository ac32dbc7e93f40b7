/* crdt/change.c -- operations become deltas, and deltas are merged.
 *
 * An operation says what it removes, of what this replica sees, and what it puts there. Both are written down
 * as a small flat form: removed dots as known ones without a fact, new facts with new dots. Then this
 * form is merged into the object like any that came from elsewhere. So an operation has the same effect
 * here as its delta has there. There is one shortcut, for the commonest change: a counter that counts on where
 * it counted last (count_on). It must do what the long way does, in bytes and in limits, and is tested for it.
 *
 * New dots. An actor's numbers are used one after the other: the next is above all that are known of
 * it. Counters use a number for each unit, so that a run of n dots counts n, and removing what
 * was seen removes exactly that much. Two counters in one map that are incremented in turn would cut
 * each other's runs into pieces of one:
 *
 *     likes  1   3   5   7            hence room is left:   likes  1 2 3 4 . . . . . . . .
 *     views    2   4   6                                    views                           17 18 19
 *
 * Whoever takes a number behind a counter's run leaves room for it to double, at least ROOM_LEAST;
 * the gap right behind a run belongs to it, so nobody needs to remember whose it is. Thus a
 * counter has a number of runs that grows with the logarithm of its value. Numbers are 64 bits; a
 * counter alone in its object leaves no gaps and can use them all. */
#include "crdt/state.h"

#include "codec/utf.h"
#include "codec/varint.h"

#define ROOM_LEAST 16u
/* Beyond this a run is cut rather than given more room, since numbers are not endless. */
#define ROOM_MOST (UINT64_C(1) << 40)

/* The fact with the actor's greatest number, or 0: where that was removed, or nothing is known of the actor. */
static uint32_t last_fact(const lk_crdt *crdt, uint32_t actor) {
  lk_btree_cursor cursor;
  uint64_t end = crdt->actors[actor].end;
  const lk_run *run = end == 0 ? NULL : lk_live_at_least(crdt, actor, end, &cursor);
  return run == NULL ? 0 : run->fact;
}

/* The number behind all that are known of |actor|, with room for a counter; 0 where they are used up. */
static uint64_t next_number(const lk_crdt *crdt, uint32_t actor) {
  uint64_t end = crdt->actors[actor].end, room = 0, next;
  uint32_t last = last_fact(crdt, actor);
  if (end == LK_DOT_MAX) return 0;
  if (last != 0) {
    uint32_t node = crdt->facts[last].node;
    if (lk_shape_has_runs(lk_node_owner_type(crdt, node))) {
      room = lk_max_u64(lk_min_u64(crdt->nodes[node].total, ROOM_MOST), ROOM_LEAST);
    }
  }
  return lk_add_u64(end + 1, room, &next) ? next : end + 1;
}

uint64_t lk_change_next(lk_change *self) {
  if (self->next_known) return self->next;
  self->next = self->actor == LK_ACTOR_NONE ? 1 : next_number(self->self, self->actor);
  self->next_known = true;
  return self->next;
}

/* ---- paths ---- */

typedef struct path_step {
  const lk_crdt_type *type;
  lk_slice key;
} path_step;

/* path := (type:u8 key_len:varuint key)* */
static lk_err read_step(lk_reader *in, const lk_crdt *crdt, path_step *out) {
  uint8_t number;
  uint64_t len;
  lk_err err = lk_reader_u8(in, &number);
  if (err == LK_OK) err = lk_varuint_decode(in, crdt->limits.crdt_value_bytes, &len);
  if (err == LK_OK) err = lk_reader_bytes(in, len, &out->key);
  if (err != LK_OK) return LK_ERR_CORRUPT;
  out->type = lk_crdt_type_of(number);
  if (out->type == NULL) return LK_ERR_UNKNOWN_TYPE;
  return lk_utf8_check(out->key) == LK_OK ? LK_OK : LK_ERR_CORRUPT;
}

lk_err lk_crdt_resolve(const lk_crdt *self, lk_slice path, uint32_t *node,
                       const lk_crdt_type **type) {
  lk_reader in = lk_reader_of(path);
  *node = LK_NODE_ROOT;
  *type = self->type;
  for (uint32_t depth = 0; lk_reader_left(&in) > 0; depth++) {
    path_step at;
    if (!lk_shape_is(*type, LK_SHAPE_MAP)) return LK_ERR_TYPE;
    if (depth == self->limits.crdt_depth) return LK_ERR_DEPTH;
    lk_err err = read_step(&in, self, &at);
    if (err != LK_OK) return err;
    *node = lk_node_find(self, *node, at.type, at.key);
    *type = at.type;
  }
  return LK_OK;
}

lk_err lk_crdt_path_append(lk_buf *path, lk_crdt_kind kind, lk_slice key) {
  if (lk_crdt_type_of((uint64_t)kind) == NULL) return LK_ERR_UNKNOWN_TYPE;
  if (lk_utf8_check(key) != LK_OK) return LK_ERR_UTF8;
  if (lk_buf_err(path) != LK_OK) return lk_buf_err(path);
  size_t before = path->len;
  (void)lk_buf_append_u8(path, (uint8_t)kind);
  (void)lk_varuint_encode(path, key.len);
  lk_err err = lk_buf_append(path, key);
  if (err != LK_OK) lk_buf_truncate(path, before);
  return err;
}

/* ---- a change ---- */

/* The nodes of the path in the delta; it was resolved and is well formed. */
static void add_path(lk_change *self, lk_slice path) {
  lk_reader in = lk_reader_of(path);
  self->flat_node = 0;
  while (lk_reader_left(&in) > 0) {
    path_step at;
    lk_err err = read_step(&in, self->self, &at);
    LK_ASSERT(err == LK_OK);
    self->flat_node = lk_flat_add_node(&self->flat, self->flat_node, at.type, at.key);
  }
}

lk_err lk_change_begin(lk_change *self, lk_crdt *crdt, const lk_crdt_op *op,
                       const lk_crdt_type *type) {
  const lk_crdt_type *found;
  *self = (lk_change){ .self = crdt, .op = op };
  lk_arena_init(&self->arena, &crdt->alloc, SIZE_MAX / 2);
  self->err = lk_crdt_check_actor(op->actor);
  if (self->err == LK_OK) self->err = lk_crdt_resolve(crdt, op->at, &self->node, &found);
  if (self->err == LK_OK && found != type) self->err = LK_ERR_TYPE;
  if (self->err != LK_OK) return self->err;
  lk_flat_builder_init(&self->flat, crdt->type, &crdt->scope, &self->arena);
  add_path(self, op->at);
  self->actor = lk_actor_find(crdt, op->actor);
  self->flat_actor = lk_flat_add_actor(&self->flat, op->actor);
  return LK_OK;
}

uint32_t lk_change_find(const lk_change *self, lk_slice key) {
  return lk_node_find(self->self, self->node, NULL, key);
}

/* A short key may lie in a node of the state, and nodes move when one is added. */
uint32_t lk_change_element(lk_change *self, lk_slice key) {
  lk_err err = key.len <= LK_KEY_SMALL ? lk_arena_copy(&self->arena, key, &key) : LK_OK;
  if (err != LK_OK && self->err == LK_OK) self->err = err;
  return lk_flat_add_node(&self->flat, self->flat_node, NULL, key);
}

/* ---- removing ---- */

/* The actor of a fact in the delta; the facts of one node are mostly of few actors. */
static uint32_t flat_actor_of(lk_change *self, uint32_t actor) {
  if (actor == self->actor) return self->flat_actor;
  if (self->removed_actor_known && actor == self->removed_actor) return self->removed_flat_actor;
  const lk_crdt_actor *at = &self->self->actors[actor];
  self->removed_actor_known = true;
  self->removed_actor = actor;
  self->removed_flat_actor = lk_flat_add_actor(&self->flat, lk_slice_of(at->id, at->id_len));
  return self->removed_flat_actor;
}

void lk_change_remove_part(lk_change *self, uint32_t fact, uint64_t lo, uint64_t hi) {
  lk_flat_add_known(&self->flat, flat_actor_of(self, self->self->facts[fact].actor), lo, hi);
}

void lk_change_remove_fact(lk_change *self, uint32_t fact) {
  lk_change_remove_part(self, fact, self->self->facts[fact].lo, self->self->facts[fact].hi);
}

void lk_change_remove_at(lk_change *self, uint32_t node) {
  lk_btree_cursor cursor = { 0 };
  if (node == LK_NODE_NONE) return;
  for (uint32_t fact; (fact = lk_fact_next(self->self, node, &cursor)) != 0;) {
    lk_change_remove_fact(self, fact);
  }
}

/* Depth first, with a cursor for each level on the way down. */
void lk_change_remove_below(lk_change *self, uint32_t node) {
  lk_btree_cursor cursors[LK_CRDT_DEPTH_MAX + 2] = { { 0 } };
  uint32_t parents[LK_CRDT_DEPTH_MAX + 2], depth = 0;
  if (node == LK_NODE_NONE) return;
  parents[0] = node;
  lk_change_remove_at(self, node);
  for (;;) {
    uint32_t kid = lk_node_next_kid(self->self, parents[depth], &cursors[depth]);
    if (kid == LK_NODE_NONE) {
      if (depth-- == 0) return;
      continue;
    }
    lk_change_remove_at(self, kid);
    if (self->self->nodes[kid].kids == 0) continue;
    parents[++depth] = kid;
    cursors[depth] = (lk_btree_cursor){ 0 };
  }
}

/* ---- putting ---- */

static uint64_t number_after(uint64_t last) { return last == LK_DOT_MAX ? 0 : last + 1; }

static void put_run(lk_change *self, uint32_t flat_node, uint64_t lo, uint64_t hi, lk_slice value) {
  lk_flat_add_known(&self->flat, self->flat_actor, lo, hi);
  lk_flat_add_fact(&self->flat, flat_node, self->flat_actor, lo, hi, value);
}

void lk_change_put(lk_change *self, uint32_t flat_node, lk_slice value) {
  if (self->err != LK_OK) return;
  uint64_t next = lk_change_next(self);
  if (next == 0) {
    self->err = LK_ERR_OVERFLOW;
    return;
  }
  put_run(self, flat_node, next, next, value);
  self->next = number_after(next);
}

/* How many numbers behind the last run at |node| are its own, and the first of them. */
static uint64_t room_behind(const lk_change *self, uint32_t node, uint64_t *first) {
  lk_btree_cursor cursor;
  if (node == LK_NODE_NONE || self->actor == LK_ACTOR_NONE) return 0;
  uint32_t fact = lk_fact_last_of(self->self, node, self->actor);
  if (fact == 0 || self->self->facts[fact].hi == LK_DOT_MAX) return 0;
  *first = self->self->facts[fact].hi + 1;
  if (*first > self->self->actors[self->actor].end) return LK_DOT_MAX - (*first - 1);
  const lk_range *next = lk_known_at_least(self->self, self->actor, *first, &cursor);
  if (next != NULL && next->lo <= *first) return 0;
  return (next == NULL ? LK_DOT_MAX : next->lo - 1) - (*first - 1);
}

/* Numbers of its own first, in the room behind its last run; then new ones, behind all others. */
void lk_change_count(lk_change *self, uint32_t flat_node, uint32_t node, uint64_t amount) {
  uint64_t first = 0, last, room = room_behind(self, node, &first);
  uint64_t here = lk_min_u64(amount, room);
  if (self->err != LK_OK || amount == 0) return;
  if (here > 0) {
    last = first + here - 1;
    put_run(self, flat_node, first, last, LK_SLICE_EMPTY);
    if (last > self->self->actors[self->actor].end) { /* these were the new ones already */
      self->next = number_after(last);
      self->next_known = true;
    }
  }
  amount -= here;
  if (amount == 0) return;
  first = lk_change_next(self);
  if (first == 0 || !lk_add_u64(first, amount - 1, &last)) {
    self->err = LK_ERR_OVERFLOW;
    return;
  }
  put_run(self, flat_node, first, last, LK_SLICE_EMPTY);
  self->next = number_after(last);
}

/* ---- the end ---- */

/* The delta first: it is taken back easily, a merge is not. */
static lk_err finish(lk_change *self) {
  lk_flat flat;
  lk_buf *delta = self->op->delta;
  size_t before = delta == NULL ? 0 : delta->len;
  lk_err err = lk_flat_build(&self->flat, &flat);
  if (err == LK_OK && delta != NULL) err = lk_flat_encode(&flat, delta);
  if (err == LK_OK) err = lk_crdt_merge_flat(self->self, &flat, NULL);
  if (err != LK_OK && delta != NULL && delta->len > before) lk_buf_truncate(delta, before);
  return err;
}

lk_err lk_change_end(lk_change *self, lk_err err) {
  if (err == LK_OK) err = self->err;
  if (err == LK_OK) err = finish(self);
  lk_arena_deinit(&self->arena);
  return err;
}

/* ---- counting alone ---- */

/* The delta of dots at the object, or at its element |key|, written without a builder. */
static lk_err append_counted(const lk_crdt *self, const lk_crdt_op *op, lk_slice key, uint64_t lo,
                             uint64_t hi) {
  lk_slice actor = op->actor;
  uint32_t node = key.len > 0 ? 1 : 0;
  lk_flat_range range = { 0, lo, hi };
  lk_flat_node nodes[2] = { { .type = self->type }, { .depth = 1, .key = key } };
  lk_flat_fact fact = { node, 0, lo, hi, LK_SLICE_EMPTY };
  uint32_t by_dot = 0;
  lk_flat flat = { self->type, &actor, &range, nodes, &fact, &by_dot, 1, 1, node + 1, 1 };
  return lk_flat_encode(&flat, op->delta);
}

static bool is_element(const lk_crdt *self, uint32_t node, lk_slice key) {
  if (key.len == 0) return node == LK_NODE_ROOT;
  return self->nodes[node].parent == LK_NODE_ROOT && lk_slice_equal(lk_node_key(self, node), key);
}

/* The actor counts where it counted last, in an object that is no map: its last run becomes longer. False where it is
 * not that simple, or something is wrong, which the long way finds out; |*err| tells why it failed. */
static bool count_on(lk_crdt *self, const lk_crdt_op *op, lk_slice key, uint64_t amount,
                     lk_err *err) {
  uint32_t actor = lk_actor_find(self, op->actor);
  uint32_t fact = actor == LK_ACTOR_NONE ? 0 : last_fact(self, actor);
  uint64_t end, hi;
  if (fact == 0 || !is_element(self, self->facts[fact].node, key)) return false;
  end = self->facts[fact].hi;
  if (!lk_add_u64(end, amount, &hi)) return false;
  size_t before = op->delta == NULL ? 0 : op->delta->len;
  *err = op->delta == NULL ? LK_OK : append_counted(self, op, key, end + 1, hi);
  if (*err != LK_OK || lk_fact_extend(self, fact, hi)) return true;
  if (op->delta != NULL) lk_buf_truncate(op->delta, before);
  return false;
}

lk_err lk_crdt_count(lk_crdt *self, const lk_crdt_op *op, const lk_crdt_type *type, lk_slice key,
                     uint64_t amount) {
  lk_change c;
  lk_err err;
  if (amount == 0) return LK_ERR_RANGE;
  if (op->at.len == 0 && self->type == type && count_on(self, op, key, amount, &err)) return err;
  err = lk_change_begin(&c, self, op, type);
  if (err != LK_OK) return lk_change_end(&c, err);
  uint32_t node = key.len == 0 ? c.node : lk_change_find(&c, key);
  lk_change_count(&c, key.len == 0 ? c.flat_node : lk_change_element(&c, key), node, amount);
  return lk_change_end(&c, LK_OK);
}
