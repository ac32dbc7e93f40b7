/* channel/window.c -- a ring whose front stands on an item that is not done, or which is empty. */
#include "channel/window.h"

#include "base/mem.h"

#define CAP_LEAST 16

void lk_window_init(lk_window *self, const lk_alloc *alloc, uint32_t span_max) {
  *self = (lk_window){ .alloc = alloc, .span_max = span_max };
}

void lk_window_deinit(lk_window *self) {
  if (self->alloc != NULL) lk_free_array(self->alloc, self->items, self->cap, sizeof *self->items);
  *self = (lk_window){ 0 };
}

static void **place(const lk_window *self, uint64_t offset) {
  return &self->items[(self->start + (uint32_t)offset) & (self->cap - 1)];
}

static lk_err make_room(lk_window *self, uint64_t span) {
  uint32_t cap = self->cap > 0 ? self->cap : CAP_LEAST;
  if (span > self->span_max) return LK_ERR_LIMIT;
  if (span <= self->cap) return LK_OK;
  while (cap < span) cap *= 2;
  void **items = lk_alloc_array(self->alloc, cap, sizeof *items);
  if (items == NULL) return LK_ERR_NOMEM;
  for (uint32_t i = 0; i < self->span; i++) items[i] = *place(self, i);
  lk_free_array(self->alloc, self->items, self->cap, sizeof *self->items);
  self->items = items;
  self->cap = cap;
  self->start = 0;
  return LK_OK;
}

lk_err lk_window_put(lk_window *self, uint64_t number, void *item) {
  LK_ASSERT(item != NULL);
  if (number < self->first + self->span) return LK_ERR_RANGE;
  uint64_t first = self->span == 0 ? number : self->first, offset = number - first;
  if (offset >= self->span_max) return LK_ERR_LIMIT;
  lk_err err = make_room(self, offset + 1);
  if (err != LK_OK) return err;
  self->first = first;
  for (; self->span < offset; self->span++) *place(self, self->span) = NULL;
  *place(self, offset) = item;
  self->span++;
  return LK_OK;
}

void *lk_window_get(const lk_window *self, uint64_t number) {
  return number - self->first < self->span ? *place(self, number - self->first) : NULL;
}

/* The front moves on over what is done. A stretch that has ended gives its memory back if it was long. */
static void advance(lk_window *self) {
  while (self->span > 0 && *place(self, 0) == NULL) {
    self->start = (self->start + 1) & (self->cap - 1);
    self->first++;
    self->span--;
  }
  if (self->span == 0 && self->cap > CAP_LEAST) {
    lk_free_array(self->alloc, self->items, self->cap, sizeof *self->items);
    self->items = NULL;
    self->cap = self->start = 0;
  }
}

void *lk_window_take(lk_window *self, uint64_t number) {
  void *item = lk_window_get(self, number);
  if (item == NULL) return NULL;
  *place(self, number - self->first) = NULL;
  advance(self);
  return item;
}

void *lk_window_next(const lk_window *self, uint64_t *number) {
  uint64_t offset = *number > self->first ? *number - self->first : 0;
  for (; offset < self->span; offset++) {
    void *item = *place(self, offset);
    if (item == NULL) continue;
    *number = self->first + offset;
    return item;
  }
  return NULL;
}
