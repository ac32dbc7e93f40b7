/* room/held.h -- effects that wait until a record is durable, and what is news in it was told.
 *
 * What a room says of a state that could still be lost would be a promise: who hears it may build on it, and be acknowledged for
 * that. So it waits for the record that has the last of it. That record may go on to gather other news: these are told behind what
 * was held, since it does not have them. Effects come out in the order in which they went in. */
#ifndef LK_ROOM_HELD_H
#define LK_ROOM_HELD_H

#include "base/list.h"
#include "room/room.h"

/* A point in what a room writes down: its last record, and how many pieces of news there have been. */
typedef struct lk_held_point {
  uint64_t ticket;
  uint64_t news;
} lk_held_point;

typedef struct lk_held {
  const lk_alloc *alloc;
  lk_list items;
  size_t bytes;  /* of those */
  lk_link *told; /* polled last: what it points to is still in use */
} lk_held;

/* Allocates nothing. */
void lk_held_init(lk_held *self, const lk_alloc *alloc);
/* Safe on a zeroed struct, and twice. */
void lk_held_deinit(lk_held *self);

static inline bool lk_held_is_empty(const lk_held *self) { return self->items.count == 0; }

/* Copies |effect| with what it points to. |point| is not before those of what is held already. LK_ERR_NOMEM. */
lk_err lk_held_push(lk_held *self, lk_held_point point, const lk_room_effect *effect) LK_MUST_USE;

/* What was held for |member| alone is not told any more: it has left, and its number may be another's. */
void lk_held_forget(lk_held *self, uint64_t member);

/* The first effect, where the records up to |reached.ticket| are durable and |reached.news| pieces of news were told, and that is
 * enough for it; it is good until the next call. */
bool lk_held_poll(lk_held *self, lk_held_point reached, lk_room_effect *out);

#endif
