/* room/crdt_author.h -- the replica id under which a room makes commands of clients that have no replica.
 *
 *   room-0123456789abcdef              no other replica has it
 *   room-0123456789abcdef:user_123     a gcounter's, where the client says who counts
 *
 * It is kept from one opening to the next, unless what the room came back with may not be the latest: then it takes a new one,
 * since to use up numbers that some replica has already seen would let merging swallow them. For the same reason it takes
 * a new one when a merge brings something under its id that it has never made. */
#ifndef LK_ROOM_CRDT_AUTHOR_H
#define LK_ROOM_CRDT_AUTHOR_H

#include "crdt/state.h"

/* "room-" and 16 hexadecimal digits. */
#define LK_CRDT_AUTHOR_ID_LEN 21

typedef struct lk_crdt_author {
  bool is_kept; /* in a record */
  uint8_t len;  /* 0 until the first command */
  uint8_t id[LK_CRDT_AUTHOR_ID_LEN];
} lk_crdt_author;

/* Empty until there is one. */
lk_slice lk_crdt_author_id(const lk_crdt_author *self);

/* The next command is made under another one. */
void lk_crdt_author_forget(lk_crdt_author *self);

/* |id|, of LK_CRDT_AUTHOR_ID_LEN bytes, was read from a record. */
void lk_crdt_author_take(lk_crdt_author *self, lk_slice id);

/* The replica id for a command of |label|, which may be empty, in |bytes|. One is made from |entropy| where there is none yet.
 * LK_ERR_ACTOR for a label that is too long. */
lk_err lk_crdt_author_name(lk_crdt_author *self, uint64_t entropy, lk_slice label,
                           uint8_t bytes[LK_ACTOR_LEN_MAX], lk_slice *out) LK_MUST_USE;

/* Somebody says more of the room's own replica than |all| that the room has: it has been there in another life. */
bool lk_crdt_author_is_outdone(const lk_crdt_author *self, const lk_crdt *all, const lk_flat *news);

#endif
