/* room/effects.h -- the queue in which a room puts its effects until the hub takes them.
 *
 * What an effect points to is copied into the queue, so a room may build it in a scratch buffer.
 * The copies live until the effect after it is polled, and are released together when the queue
 * runs empty. */
#ifndef LK_ROOM_EFFECTS_H
#define LK_ROOM_EFFECTS_H

#include "room/room.h"

typedef struct lk_effects {
  const lk_alloc *alloc;
  lk_arena bytes;
  lk_room_effect *items;
  uint32_t first;
  uint32_t count; /* from the start of |items|, those that were polled included */
  uint32_t cap;
  uint32_t count_max;
} lk_effects;

void lk_effects_init(lk_effects *self, const lk_alloc *alloc, const lk_limits *limits);
void lk_effects_deinit(lk_effects *self);

/* LK_ERR_LIMIT, LK_ERR_NOMEM: the queue is as before. */
lk_err lk_effects_push(lk_effects *self, const lk_room_effect *effect) LK_MUST_USE;

/* The same without a copy: what |effect| points to lives until it was polled, and the one after it. */
lk_err lk_effects_push_borrowed(lk_effects *self, const lk_room_effect *effect) LK_MUST_USE;

bool lk_effects_poll(lk_effects *self, lk_room_effect *out);

#endif
