/* channel/edge_output.c -- what goes to connections, in the order in which it was said. */
#include "channel/edge_parts.h"

lk_err lk_edge_reserve_item(lk_edge *self) {
  size_t cap;
  if (self->items_count < self->items_cap) return LK_OK;
  if (!lk_grow_cap(self->items_cap, (size_t)self->items_cap + 1, 16, UINT32_MAX / 2, &cap))
    return LK_ERR_LIMIT;
  item *items = lk_resize_array(self->alloc, self->items, self->items_cap, cap, sizeof *items);
  if (items == NULL) return LK_ERR_NOMEM;
  self->items = items;
  self->items_cap = (uint32_t)cap;
  return LK_OK;
}

void lk_edge_add_item(lk_edge *self, item what) {
  LK_ASSERT(self->items_count < self->items_cap);
  self->items[self->items_count++] = what;
}

lk_session_io lk_edge_io_of(lk_edge *self) {
  return (lk_session_io){ .alloc = self->alloc,
                          .limits = self->limits,
                          .hash_seed = self->options.hash_seed,
                          .scratch = &self->scratch,
                          .output = &self->box };
}

void lk_edge_end_connection(lk_edge *self, connection *c, lk_err why) {
  if (c->is_closing) return;
  c->is_closing = true;
  c->reason = (uint16_t)why;
  c->next_end = NULL;
  if (self->first_end == NULL) self->first_end = c;
  else self->last_end->next_end = c;
  self->last_end = c;
}

void lk_edge_forget_end(lk_edge *self, const connection *c) {
  connection *before = NULL;
  for (connection *at = self->first_end; at != c; at = at->next_end) before = at;
  if (before == NULL) self->first_end = c->next_end;
  else before->next_end = c->next_end;
  if (self->last_end == c) self->last_end = before;
}

bool lk_edge_begin_speech(lk_edge *self, connection *c, uint32_t *before) {
  *before = self->box.count;
  if (c->is_closing) return false;
  lk_err err = lk_edge_reserve_item(self);
  if (err != LK_OK) lk_edge_end_connection(self, c, err);
  return err == LK_OK;
}

void lk_edge_end_speech(lk_edge *self, connection *c, uint32_t before, lk_err err) {
  uint32_t count = self->box.count - before;
  if (count > 0)
    lk_edge_add_item(self,
                     (item){ .kind = LK_EDGE_SEND, .messages = count, .connection = c->number });
  if (err != LK_OK) lk_edge_end_connection(self, c, err);
}

/* The next connection that has to be closed and whose host does not know. */
static bool poll_end(lk_edge *self, lk_edge_output *out) {
  connection *c = self->first_end;
  if (c == NULL) return false;
  self->first_end = c->next_end;
  c->is_told = true;
  *out = (lk_edge_output){
    .kind = LK_EDGE_CLOSE, .reason = (lk_err)c->reason, .connections = &c->number, .count = 1
  };
  return true;
}

/* The item whose turn it is, NULL where all have been told. */
static item *next_item(lk_edge *self) {
  for (; self->items_next < self->items_count; self->items_next++) {
    item *it = &self->items[self->items_next];
    if (it->kind != LK_EDGE_SEND || it->messages > 0) return it;
  }
  self->items_next = self->items_count = 0;
  self->receivers_count = 0;
  if (self->box.bytes.cap > BOX_KEPT) lk_outbox_clear(&self->box);
  return NULL;
}

static void take_message(lk_edge *self, item *it, lk_edge_output *out) {
  bool is_there = lk_outbox_next_message(&self->box, &out->bytes, &out->is_binary);
  LK_ASSERT(is_there);
  it->messages--;
}

static bool poll_answer(lk_edge *self, lk_edge_output *out) {
  const lk_query *q = lk_queries_poll(&self->queries);
  if (q == NULL) return false;
  *out = (lk_edge_output){ .kind = LK_EDGE_ANSWER,
                           .is_binary = q->is_binary,
                           .bytes = lk_buf_slice(&q->answer),
                           .tag = q->tag,
                           .status = q->status };
  return true;
}

bool lk_edge_poll(lk_edge *self, lk_edge_output *out) {
  item *it = next_item(self);
  if (it == NULL) return poll_answer(self, out) || poll_end(self, out);
  *out = (lk_edge_output){ .kind = it->kind, .connections = &it->connection, .count = 1 };
  if (it->kind == LK_EDGE_SEND) take_message(self, it, out);
  else self->items_next++;
  if (it->receivers > 0) {
    out->connections = self->receivers + it->receivers_at;
    out->count = it->receivers;
  }
  if (it->kind == LK_EDGE_SEND) self->stats.messages_out += out->count;
  return true;
}

/* A message to many stays in the box until its last receiver is told. */
bool lk_edge_poll_one(lk_edge *self, lk_edge_output *out) {
  item *it = next_item(self);
  if (it == NULL || it->receivers <= 1) return lk_edge_poll(self, out);
  const lk_outbox before = self->box;
  *out = (lk_edge_output){ .kind = it->kind,
                           .connections = self->receivers + it->receivers_at,
                           .count = 1 };
  take_message(self, it, out);
  it->messages++;
  it->receivers--;
  it->receivers_at++;
  self->box.read = before.read;
  self->box.count = before.count;
  self->stats.messages_out++;
  return true;
}
