/* room/held.c -- a list of copies, one block each: they come and go one by one, under load without a moment when there are none. */
#include "room/held.h"

typedef struct held {
  lk_link link;
  lk_held_point point;
  lk_room_effect effect;
  size_t size; /* of this block */
  uint8_t bytes[];
} held;

void lk_held_init(lk_held *self, const lk_alloc *alloc) { *self = (lk_held){ .alloc = alloc }; }

static void free_one(lk_held *self, lk_link *at) {
  held *h = LK_CONTAINER(at, held, link);
  self->bytes -= h->size;
  lk_free_bytes(self->alloc, h, h->size);
}

static void free_told(lk_held *self) {
  if (self->told != NULL) free_one(self, self->told);
  self->told = NULL;
}

void lk_held_deinit(lk_held *self) {
  free_told(self);
  for (lk_link *at; (at = lk_list_pop_first(&self->items)) != NULL;) free_one(self, at);
}

/* An absent reference stays absent: its pointer is NULL. */
static uint8_t *move(lk_slice *bytes, uint8_t *at) {
  if (bytes->ptr == NULL) return at;
  if (bytes->len > 0) memcpy(at, bytes->ptr, bytes->len);
  bytes->ptr = at;
  return at + bytes->len;
}

lk_err lk_held_push(lk_held *self, lk_held_point point, const lk_room_effect *effect) {
  size_t size = sizeof(held) + effect->event.len + effect->payload.len;
  held *h = lk_alloc_bytes(self->alloc, size);
  if (h == NULL) return LK_ERR_NOMEM;
  *h = (held){ .point = point, .effect = *effect, .size = size };
  (void)move(&h->effect.payload, move(&h->effect.event, h->bytes));
  lk_list_push_last(&self->items, &h->link);
  self->bytes += size;
  return LK_OK;
}

void lk_held_forget(lk_held *self, uint64_t member) {
  for (lk_link *at = self->items.first, *next; at != NULL; at = next) {
    const held *h = LK_CONTAINER(at, held, link);
    next = at->next;
    if (h->effect.member != member || h->effect.kind == LK_ROOM_BROADCAST) continue;
    lk_list_remove(&self->items, at);
    free_one(self, at);
  }
}

bool lk_held_poll(lk_held *self, lk_held_point reached, lk_room_effect *out) {
  free_told(self);
  if (self->items.count == 0) return false;
  const held *h = LK_CONTAINER(self->items.first, held, link);
  if (h->point.ticket > reached.ticket || h->point.news > reached.news) return false;
  *out = h->effect;
  self->told = lk_list_pop_first(&self->items);
  return true;
}
