/* room/tails.c -- items on two lists: their topic's, and everybody's. */
#include "room/tails.h"

void lk_tails_init(lk_tails *self, const lk_alloc *alloc, const uint64_t seed[2]) {
  *self = (lk_tails){ .alloc = alloc };
  lk_map_init(&self->tails, alloc, sizeof(lk_tail *), UINT32_MAX / 4, seed);
}

static size_t item_size(const lk_tail_item *item) { return sizeof *item + item->len; }

static void free_item(lk_tails *self, lk_tail_item *item) {
  lk_free_bytes(self->alloc, item, item_size(item));
}

/* A tail without items goes. */
static void free_if_empty(lk_tails *self, lk_tail *tail) {
  if (tail->items.count > 0 || tail->made > 0) return;
  (void)lk_map_remove(&self->tails, lk_tail_topic(tail));
  lk_free_bytes(self->alloc, tail, sizeof *tail + tail->topic_len);
}

static void remove_item(lk_tails *self, lk_tail_item *item) {
  lk_tail *tail = item->tail;
  lk_list_remove(&tail->items, &item->of_tail);
  lk_list_remove(&self->all, &item->of_all);
  tail->bytes -= item_size(item);
  free_item(self, item);
}

void lk_tails_clear(lk_tails *self) {
  uint32_t cursor = 0;
  lk_slice topic;
  void *value;
  while (lk_map_next(&self->tails, &cursor, &topic, &value)) {
    lk_tail *tail = *(lk_tail **)value;
    LK_ASSERT(tail->made == 0);
    while (tail->items.first != NULL)
      remove_item(self, LK_CONTAINER(tail->items.first, lk_tail_item, of_tail));
    free_if_empty(self, tail);
  }
  self->written = 0;
}

void lk_tails_deinit(lk_tails *self) {
  if (self->alloc == NULL) return;
  lk_tails_clear(self);
  lk_map_deinit(&self->tails);
  *self = (lk_tails){ 0 };
}

static lk_tail *find(const lk_tails *self, lk_slice topic) {
  lk_tail **at = lk_map_get(&self->tails, topic);
  return at == NULL ? NULL : *at;
}

lk_tail *lk_tails_find(const lk_tails *self, lk_slice topic) {
  lk_tail *tail = find(self, topic);
  return tail != NULL && tail->items.count > 0 ? tail : NULL;
}

static lk_err make_tail(lk_tails *self, lk_slice topic, lk_tail **out) {
  void *value;
  bool is_new;
  if (topic.len > UINT32_MAX) return LK_ERR_LIMIT;
  lk_tail *tail = lk_alloc_bytes(self->alloc, sizeof *tail + topic.len);
  if (tail == NULL) return LK_ERR_NOMEM;
  lk_err err = lk_map_put(&self->tails, topic, &value, &is_new);
  if (err != LK_OK) {
    lk_free_bytes(self->alloc, tail, sizeof *tail + topic.len);
    return err;
  }
  *tail = (lk_tail){ .topic_len = (uint32_t)topic.len };
  if (topic.len > 0) memcpy(tail->topic, topic.ptr, topic.len);
  *(lk_tail **)value = tail;
  *out = tail;
  return LK_OK;
}

lk_err lk_tails_make(lk_tails *self, lk_slice topic, lk_slice bytes, lk_tail_item **out) {
  lk_tail *tail = find(self, topic);
  lk_err err = LK_OK;
  lk_tail_item *item = lk_alloc_bytes(self->alloc, sizeof *item + bytes.len);
  if (item == NULL) return LK_ERR_NOMEM;
  *item = (lk_tail_item){ .len = bytes.len };
  if (tail == NULL) err = make_tail(self, topic, &tail);
  if (err != LK_OK) {
    free_item(self, item);
    return err;
  }
  if (bytes.len > 0) memcpy(item->bytes, bytes.ptr, bytes.len);
  item->tail = tail;
  tail->made++;
  *out = item;
  return LK_OK;
}

void lk_tails_unmake(lk_tails *self, lk_tail_item *item) {
  lk_tail *tail = item->tail;
  LK_ASSERT(item->index == 0);
  tail->made--;
  free_item(self, item);
  free_if_empty(self, tail);
}

void lk_tails_put(lk_tails *self, lk_tail_item *item, uint64_t index) {
  LK_ASSERT(item->index == 0);
  LK_ASSERT(self->all.last == NULL ||
            LK_CONTAINER(self->all.last, lk_tail_item, of_all)->index < index);
  item->index = index;
  item->at = self->written;
  self->written += item_size(item);
  item->tail->made--;
  item->tail->bytes += item_size(item);
  lk_list_push_last(&item->tail->items, &item->of_tail);
  lk_list_push_last(&self->all, &item->of_all);
}

void lk_tails_doom(lk_tails *self, lk_tail_item *item) {
  lk_tail *tail = item->tail;
  LK_ASSERT(item->index != 0);
  while (tail->items.first != &item->of_tail)
    remove_item(self, LK_CONTAINER(tail->items.first, lk_tail_item, of_tail));
  tail->doomed = item->index;
}

void lk_tails_take_back(lk_tails *self, uint64_t index) {
  while (self->all.last != NULL) {
    lk_tail_item *item = LK_CONTAINER(self->all.last, lk_tail_item, of_all);
    lk_tail *tail = item->tail;
    if (item->index < index) return;
    LK_ASSERT(tail->doomed != item->index);
    self->written = item->at;
    remove_item(self, item);
    free_if_empty(self, tail);
  }
}

void lk_tails_drop(lk_tails *self, lk_slice topic, uint64_t index) {
  lk_tail *tail = find(self, topic);
  if (tail == NULL) return;
  while (tail->items.first != NULL) {
    lk_tail_item *item = LK_CONTAINER(tail->items.first, lk_tail_item, of_tail);
    if (item->index > index) break;
    remove_item(self, item);
  }
  if (index >= tail->doomed) tail->doomed = 0;
  free_if_empty(self, tail);
}

uint64_t lk_tails_span(const lk_tails *self) {
  const lk_tail_item *oldest = lk_tails_oldest(self);
  return oldest == NULL ? 0 : self->written - oldest->at;
}
