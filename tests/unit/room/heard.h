/* unit/room/heard.h -- effects of a room, kept beyond the next step: a room's own live only until then. */
#ifndef LK_TESTS_ROOM_HEARD_H
#define LK_TESTS_ROOM_HEARD_H

#include <stdlib.h>
#include <string.h>

#include "harness/test.h"
#include "room/room.h"

#define HEARD_MAX 600

/* Zeroed, it is empty. */
typedef struct heard {
  lk_room_effect at[HEARD_MAX];
  uint32_t count;
} heard;

static inline lk_slice heard_copy(lk_slice bytes) {
  if (bytes.ptr == NULL) return bytes;
  uint8_t *copy = malloc(bytes.len + 1);
  if (bytes.len > 0) memcpy(copy, bytes.ptr, bytes.len);
  return (lk_slice){ copy, bytes.len };
}

static inline void heard_keep(heard *self, lk_room_effect effect) {
  CHECK(self->count < HEARD_MAX);
  effect.event = heard_copy(effect.event);
  effect.payload = heard_copy(effect.payload);
  self->at[self->count++] = effect;
}

static inline void heard_forget(heard *self) {
  for (uint32_t i = 0; i < self->count; i++) {
    free((void *)(uintptr_t)self->at[i].event.ptr);
    free((void *)(uintptr_t)self->at[i].payload.ptr);
  }
  self->count = 0;
}

/* The first of |kind|, or NULL. */
static inline const lk_room_effect *heard_find(const heard *self, lk_room_effect_kind kind) {
  for (uint32_t i = 0; i < self->count; i++)
    if (self->at[i].kind == kind) return &self->at[i];
  return NULL;
}

#endif
