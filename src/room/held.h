/* room/held.h -- effects that wait until a record is durable.
 *
 * What a room says of a state that could still be lost would be a promise: who hears it may build on it, and be acknowledged for
 * that. So it waits for the record that has the last of it. Effects come out in the order in which they went in. */
#ifndef LK_ROOM_HELD_H
#define LK_ROOM_HELD_H

#include "base/list.h"
#include "room/room.h"

typedef struct lk_held {
  const lk_alloc *alloc;
  lk_list items;
  lk_link *told; /* polled last: what it points to is still in use */
} lk_held;

/* Allocates nothing. */
void lk_held_init(lk_held *self, const lk_alloc *alloc);
/* Safe on a zeroed struct, and twice. */
void lk_held_deinit(lk_held *self);

static inline bool lk_held_is_empty(const lk_held *self) { return self->items.count == 0; }

/* Copies |effect| with what it points to. |ticket| is not below those of what is held already. LK_ERR_NOMEM. */
lk_err lk_held_push(lk_held *self, uint64_t ticket, const lk_room_effect *effect) LK_MUST_USE;

/* The first effect, where its record is one of those up to |kept|; it is good until the next call. */
bool lk_held_poll(lk_held *self, uint64_t kept, lk_room_effect *out);

#endif
