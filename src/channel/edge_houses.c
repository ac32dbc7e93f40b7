/* channel/edge_houses.c -- a house that begins, or began again, is told all. */
#include "channel/edge_parts.h"

void lk_edge_say_hello(lk_edge *self, house *h) {
  lk_bus_message hello = { .kind = LK_BUS_HELLO,
                           .generation = self->options.generation,
                           .answers = h->greeting };
  lk_err err = lk_bus_encode(&hello, self->limits->bus_frame_bytes, &h->out);
  if (err == LK_OK) return;
  LK_COVERED(edge_hello_without_memory);
  h->must_greet = self->must_greet = true;
}

void lk_edge_greet_again(lk_edge *self, uint64_t wall_ms) {
  /* The date may have been set back: then it is asked at once. */
  bool is_due = wall_ms >= self->greet_at_ms || self->greet_at_ms - wall_ms > GREET_MS;
  if (!self->must_greet || !is_due) return;
  self->must_greet = false;
  self->greet_at_ms = wall_ms > UINT64_MAX - GREET_MS ? wall_ms : wall_ms + GREET_MS;
  for (uint32_t i = 0; i < houses_of(self); i++) {
    house *h = &self->houses[i];
    if (!h->must_greet) continue;
    LK_COVERED(edge_greets_again);
    h->must_greet = false;
    if (h->greeting == 0) lk_edge_say_hello(self, h); /* else it has said it meanwhile */
  }
}

/* Who heard of presence hears of it anew: the house does not know what was told. */
bool lk_edge_restore_next(lk_edge *self, uint32_t index) {
  house *h = &self->houses[index];
  member *m = h->unrestored < self->members.cap ? self->members.slots[h->unrestored].thing : NULL;
  if (h->unrestored >= self->members.cap) {
    h->unrestored = NO_PLACE;
  } else if (m == NULL || !m->is_in || m->topic->house != index) {
    h->unrestored++;
  } else {
    const lk_bus_message message = { .kind = LK_BUS_RESTORE,
                                     .member = m->number,
                                     .topic = home_name(m->topic),
                                     .event = alias_of(m->topic),
                                     .payload = m->payload_len > 0
                                                    ? lk_slice_of(m->payload, m->payload_len)
                                                    : LK_LIT("{}"),
                                     .rights = lk_edge_rights_of(self, m),
                                     .subject = lk_edge_subject_on(m->connection, m->lease) };
    if (!lk_edge_has_room(self, h, &message)) {
      LK_COVERED(edge_member_waits_for_room);
      return false;
    }
    h->unrestored++;
    if (m->audience == LK_BUS_HEARERS) m->audience = LK_BUS_WAITERS;
    m->is_behind = false; /* it is sent all, whatever it had */
    lk_edge_tell(self, index, &message);
    if (m->connection->lag > 0) lk_edge_tell_lag(self, m);
  }
  return true;
}

static void on_hello(lk_edge *self, uint32_t index, const lk_bus_message *m) {
  house *h = &self->houses[index];
  if (m->generation == h->greeting) return;
  h->greeting = m->generation;
  lk_edge_say_hello(self, h);
  h->unrestored = 0;
  h->unsent = lk_edge_settled_of(h);
  h->again_below = h->request_next;
  lk_edge_fill(self, index);
}

static void on_message_of_house(lk_edge *self, uint32_t index, const lk_bus_message *m) {
  switch (m->kind) {
  case LK_BUS_HELLO: on_hello(self, index, m); break;
  case LK_BUS_PUSH: lk_edge_on_push(self, m); break;
  case LK_BUS_BROADCAST: lk_edge_on_broadcast(self, m); break;
  case LK_BUS_CRASH: lk_edge_on_crash(self, m); break;
  case LK_BUS_LAG: lk_edge_on_lag(self, m); break;
  case LK_BUS_JOIN:
  case LK_BUS_RESTORE:
  case LK_BUS_MESSAGE:
  case LK_BUS_QUERY:
  case LK_BUS_LEAVE: break; /* what only edges say */
  default: lk_edge_on_answer(self, &self->houses[index], m); break;
  }
}

void lk_edge_feed(lk_edge *self, uint32_t index, lk_slice bytes, bool boundary) {
  LK_ASSERT(index < houses_of(self));
  house *h = &self->houses[index];
  lk_bus_message m;
  lk_err err;
  if (boundary) lk_bus_reader_boundary(&h->reader);
  while ((err = lk_bus_read(&h->reader, &bytes, &m)) == LK_OK) on_message_of_house(self, index, &m);
  if (err == LK_ERR_MORE) return;
  /* We missed something: as if we had just been born. */
  LK_COVERED(edge_house_out_of_step);
  h->greeting = 0;
  lk_edge_say_hello(self, h);
}

lk_slice lk_edge_bus_output(const lk_edge *self, uint32_t index) {
  LK_ASSERT(index < houses_of(self));
  const house *h = &self->houses[index];
  return lk_slice_skip(lk_buf_slice(&h->out), h->out_off);
}

void lk_edge_bus_consume(lk_edge *self, uint32_t index, size_t count) {
  LK_ASSERT(index < houses_of(self));
  house *h = &self->houses[index];
  lk_bus_consume(&h->out, &h->out_off, count);
  lk_edge_fill(self, index);
}
