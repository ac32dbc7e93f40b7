/* room/crdt_copies.h -- the object of a room of the catalogue, as often as it is there: what may be shown, and all of it.
 *
 * |shown| has what is durable, |state| everything. While nothing is under way they are the same, and there is no
 * |state|; while nobody asks for anything there need not be a |shown| either: crdt_copies.c. */
#ifndef LK_ROOM_CRDT_COPIES_H
#define LK_ROOM_CRDT_COPIES_H

#include "crdt/state.h"

typedef struct lk_crdt_copies {
  lk_crdt_scope scope;
  const lk_crdt_type *type; /* NULL: nobody has said */
  lk_crdt *shown;           /* durable; NULL as |type| is, or while it is packed */
  lk_buf packed;            /* |shown| as bytes; empty while it is there */
  lk_crdt *state;           /* everything; NULL: as |shown| */
  size_t bound;             /* of the answer to a join, were everything durable: crdt_trial.h */
} lk_crdt_copies;

/* Allocates nothing. */
void lk_crdt_copies_init(lk_crdt_copies *self, const lk_alloc *alloc, const lk_limits *limits);
/* Safe on a zeroed struct, and twice. */
void lk_crdt_copies_deinit(lk_crdt_copies *self);

/* An object of |type| in which nothing is; and one in which is what |of| has. The caller owns it. LK_ERR_NOMEM, and the errors
 * of merging. */
lk_err lk_crdt_copies_make(const lk_crdt_copies *self, const lk_crdt_type *type,
                           lk_crdt **out) LK_MUST_USE;
lk_err lk_crdt_copies_make_of(const lk_crdt_copies *self, const lk_crdt *of,
                              lk_crdt **out) LK_MUST_USE;
/* Ends |*object|, which may be NULL, and is then. */
void lk_crdt_copies_drop(lk_crdt **object);

/* Everything, durable or not. NULL where there is no type. */
const lk_crdt *lk_crdt_copies_all(const lk_crdt_copies *self);

/* Whatever was ever said of the object, its being emptied too, is in what it knows: here is nothing. */
bool lk_crdt_copies_are_blank(const lk_crdt_copies *self);

/* From now on it is an empty one of |type|. LK_ERR_NOMEM: it is as before. */
lk_err lk_crdt_copies_set_type(lk_crdt_copies *self, const lk_crdt_type *type) LK_MUST_USE;

/* There is a |state| that may be changed. LK_ERR_NOMEM. */
lk_err lk_crdt_copies_need_state(lk_crdt_copies *self) LK_MUST_USE;

/* What is under way has become durable: a |state| that is small goes. */
void lk_crdt_copies_rest(lk_crdt_copies *self);

/* Nobody has said anything for a while, and nothing is under way: makes bytes of |shown|. False where they would be too many or
 * there is no memory for them: it is as before. */
bool lk_crdt_copies_pack(lk_crdt_copies *self);
/* Makes |shown| from its bytes, where it is packed. LK_ERR_NOMEM: it stays packed. */
lk_err lk_crdt_copies_unpack(lk_crdt_copies *self) LK_MUST_USE;

#endif
