/* room/effects.c -- an array that is filled by a step and emptied by the polls after it. */
#include "room/effects.h"

#define BYTES_MAX ((size_t)1 << 28)

void lk_effects_init(lk_effects *self, const lk_alloc *alloc, const lk_limits *limits) {
  *self = (lk_effects){ .alloc = alloc, .count_max = limits->room_effects_count };
  lk_arena_init(&self->bytes, alloc, BYTES_MAX);
}

void lk_effects_deinit(lk_effects *self) {
  if (self->alloc != NULL) lk_free_array(self->alloc, self->items, self->cap, sizeof *self->items);
  lk_arena_deinit(&self->bytes);
  *self = (lk_effects){ 0 };
}

static lk_err make_room(lk_effects *self) {
  size_t cap;
  if (self->count < self->cap) return LK_OK;
  if (!lk_grow_cap(self->cap, (size_t)self->count + 1, 4, self->count_max, &cap))
    return LK_ERR_LIMIT;
  lk_room_effect *items = lk_resize_array(self->alloc, self->items, self->cap, cap, sizeof *items);
  if (items == NULL) return LK_ERR_NOMEM;
  self->items = items;
  self->cap = (uint32_t)cap;
  return LK_OK;
}

/* An absent reference stays absent: its pointer is NULL. */
static lk_err copy(lk_effects *self, lk_slice *bytes) {
  if (bytes->ptr == NULL) return LK_OK;
  return lk_arena_copy(&self->bytes, *bytes, bytes);
}

lk_err lk_effects_push(lk_effects *self, const lk_room_effect *effect) {
  lk_room_effect item = *effect;
  lk_arena_mark mark = lk_arena_get_mark(&self->bytes);
  lk_err err = make_room(self);
  if (err == LK_OK) err = copy(self, &item.event);
  if (err == LK_OK) err = copy(self, &item.payload);
  if (err != LK_OK) {
    lk_arena_pop_to(&self->bytes, mark);
    return err;
  }
  self->items[self->count++] = item;
  return LK_OK;
}

lk_err lk_effects_push_borrowed(lk_effects *self, const lk_room_effect *effect) {
  lk_err err = make_room(self);
  if (err == LK_OK) self->items[self->count++] = *effect;
  return err;
}

bool lk_effects_poll(lk_effects *self, lk_room_effect *out) {
  if (self->first == self->count) {
    self->first = self->count = 0;
    lk_arena_reset(&self->bytes);
    return false;
  }
  *out = self->items[self->first++];
  return true;
}
