/* room/crdt_copies.c -- two copies of an object, or one, or its bytes.
 *
 *   a change comes ──> state made from shown ──(durable)──> merged into shown too, state dropped
 *   nobody comes   ──> packed made from shown, shown dropped ──(somebody comes)──> shown made from packed
 *
 * Two copies of an object are dear where rooms are many and mostly at rest. So there is no |state| while nothing is
 * under way: it is made from |shown| when a change comes, and dropped when it has become durable. A large one stays,
 * since making it anew for every change would cost more than it does. And where nobody says anything for a while,
 * |shown| itself is |packed|: its bytes, a twentieth of the memory, from which it is made again when it is asked for.
 *
 * Always: |packed| is empty or |shown| and |state| are NULL; |state| has what |shown| has. */
#include "room/crdt_copies.h"

/* One that has more bytes is not packed. */
#define PACKED_MAX 65536u
/* A |state| that takes more memory stays while nothing is under way. */
#define STATE_DROPPED_MAX 4096u

void lk_crdt_copies_init(lk_crdt_copies *self, const lk_alloc *alloc, const lk_limits *limits) {
  *self = (lk_crdt_copies){ .scope = { alloc, limits } };
}

void lk_crdt_copies_deinit(lk_crdt_copies *self) {
  lk_crdt_copies_drop(&self->shown);
  lk_crdt_copies_drop(&self->state);
  lk_buf_deinit(&self->packed);
}

lk_err lk_crdt_copies_make(const lk_crdt_copies *self, const lk_crdt_type *type, lk_crdt **out) {
  const lk_alloc *alloc = self->scope.alloc;
  lk_crdt *made = lk_alloc_bytes(alloc, sizeof *made);
  if (made == NULL) return LK_ERR_NOMEM;
  lk_err err = lk_crdt_init(made, type, alloc, self->scope.limits);
  if (err != LK_OK) lk_free_bytes(alloc, made, sizeof *made);
  else *out = made;
  return err;
}

lk_err lk_crdt_copies_make_of(const lk_crdt_copies *self, const lk_crdt *of, lk_crdt **out) {
  lk_crdt *made;
  lk_err err = lk_crdt_copies_make(self, of->type, &made);
  if (err != LK_OK) return err;
  err = lk_crdt_merge_from(made, of, NULL);
  if (err != LK_OK) lk_crdt_close(made);
  else *out = made;
  return err;
}

void lk_crdt_copies_drop(lk_crdt **object) {
  lk_crdt_close(*object);
  *object = NULL;
}

const lk_crdt *lk_crdt_copies_all(const lk_crdt_copies *self) {
  return self->state != NULL ? self->state : self->shown;
}

bool lk_crdt_copies_are_blank(const lk_crdt_copies *self) {
  return self->type == NULL || lk_btree_count(&lk_crdt_copies_all(self)->known) == 0;
}

lk_err lk_crdt_copies_set_type(lk_crdt_copies *self, const lk_crdt_type *type) {
  lk_crdt *made;
  lk_err err = lk_crdt_copies_make(self, type, &made);
  if (err != LK_OK) return err;
  lk_crdt_copies_drop(&self->shown);
  lk_crdt_copies_drop(&self->state);
  self->shown = made;
  self->type = type;
  return LK_OK;
}

lk_err lk_crdt_copies_need_state(lk_crdt_copies *self) {
  if (self->state != NULL) return LK_OK;
  return lk_crdt_copies_make_of(self, self->shown, &self->state);
}

void lk_crdt_copies_rest(lk_crdt_copies *self) {
  if (self->state == NULL || lk_crdt_get_size(self->state).bytes > STATE_DROPPED_MAX) return;
  lk_crdt_copies_drop(&self->state);
}

bool lk_crdt_copies_pack(lk_crdt_copies *self) {
  lk_buf bytes;
  lk_buf_init(&bytes, self->scope.alloc, PACKED_MAX);
  lk_err err = lk_crdt_encode(self->shown, &bytes);
  lk_buf_init(&self->packed, self->scope.alloc, bytes.len); /* has no more memory than it needs */
  if (err == LK_OK) err = lk_buf_append(&self->packed, lk_buf_slice(&bytes));
  lk_buf_deinit(&bytes);
  if (err != LK_OK) {
    lk_buf_deinit(&self->packed);
    return false;
  }
  lk_crdt_copies_drop(&self->shown);
  lk_crdt_copies_drop(&self->state);
  return true;
}

lk_err lk_crdt_copies_unpack(lk_crdt_copies *self) {
  lk_crdt *made;
  if (self->packed.len == 0) return LK_OK;
  lk_err err = lk_crdt_copies_make(self, self->type, &made);
  if (err != LK_OK) return err;
  err = lk_crdt_merge(made, lk_buf_slice(&self->packed), NULL);
  if (err != LK_OK) {
    lk_crdt_close(made);
    return err;
  }
  LK_COVERED(crdt_room_unpacks);
  self->shown = made;
  lk_buf_deinit(&self->packed);
  return LK_OK;
}
