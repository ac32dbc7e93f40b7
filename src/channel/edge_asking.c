/* channel/edge_asking.c -- what houses are told and asked; a request is kept until it is answered.
 *
 * Requests go in the order of their numbers, as far as there is room for them: so many of them, or so long ones, that they do
 * not fit at once only wait for each other. Half of the room is theirs and the restored members'; what is told beside them is short,
 * and has the other half. A request that is longer than a frame would wait for ever, and all others behind it: it is refused when
 * it is asked. */
#include "channel/edge_parts.h"

#include "codec/crc32c.h"

static uint32_t frame_max_of(const lk_edge *self) {
  return lk_min_u32(self->limits->bus_frame_bytes, self->limits->bus_output_bytes / 2);
}

bool lk_edge_is_sayable(const lk_edge *self, const lk_bus_message *message) {
  return lk_bus_size(message) <= frame_max_of(self);
}

bool lk_edge_has_room(const lk_edge *self, const house *h, const lk_bus_message *message) {
  return h->out.len == 0 || h->out.len + lk_bus_size(message) <= self->limits->bus_output_bytes / 2;
}

void lk_edge_tell(lk_edge *self, uint32_t to, const lk_bus_message *message) {
  house *h = &self->houses[to];
  if (h->greeting == 0) return;
  lk_err err = lk_bus_encode(message, frame_max_of(self), &h->out);
  if (err == LK_OK) return;
  LK_COVERED(edge_house_given_up);
  h->greeting = 0;
  h->must_greet = self->must_greet = true;
  lk_bus_forget(&h->out, h->out_off);
}

uint32_t lk_edge_house_at(const lk_edge *self, lk_slice name) {
  return lk_crc32c(name) % self->options.houses_count;
}

uint32_t lk_edge_house_of(const lk_edge *self, lk_slice name) {
  uint8_t bytes[LK_ALIAS_TOPIC_MAX];
  return lk_edge_house_at(self, lk_aliases_resolve(&self->options.aliases, name, bytes));
}

/* Every request below it has been answered. */
uint64_t lk_edge_settled_of(const house *h) {
  uint64_t first = 0, first_query = 0;
  if (lk_window_next(&h->asked, &first) == NULL) first = h->request_next;
  if (lk_window_next(&h->queries, &first_query) == NULL) first_query = h->request_next;
  return lk_min_u64(first, first_query);
}

static lk_bus_message message_of(const lk_edge *self, const asked *a, uint64_t settled,
                                 bool again) {
  const member *m = a->member;
  lk_slice rest = lk_slice_of(a->bytes, (size_t)a->ref_len + a->event_len + a->payload_len);
  rest = lk_slice_skip(rest, a->ref_len);
  return (lk_bus_message){
    .kind = a->is_join ? LK_BUS_JOIN : LK_BUS_MESSAGE,
    .binary = a->is_binary,
    .again = again,
    .request = a->request,
    .settled = settled,
    .member = m->number,
    .topic = home_name(m->topic),
    .event = a->is_join ? alias_of(m->topic) : lk_slice_first(rest, a->event_len),
    .payload = lk_slice_skip(rest, a->event_len),
    .rights = lk_edge_rights_of(self, m),
    .subject = a->is_join ? lk_edge_subject_on(m->connection, m->lease) : LK_SLICE_EMPTY,
  };
}

/* The request |number|, where it is still to be asked. */
static bool next_message(const lk_edge *self, const house *h, uint64_t number,
                         lk_bus_message *out) {
  bool again = number < h->again_below;
  const asked *a = lk_window_get(&h->asked, number);
  const lk_query *q = a == NULL ? lk_window_get(&h->queries, number) : NULL;
  if (a != NULL) *out = message_of(self, a, lk_edge_settled_of(h), again);
  else if (q != NULL && !q->is_held) *out = lk_query_message(q, lk_edge_settled_of(h), again);
  else return false;
  return true;
}

void lk_edge_fill(lk_edge *self, uint32_t index) {
  house *h = &self->houses[index];
  lk_bus_message message;
  while (h->greeting != 0 && h->unrestored != NO_PLACE) {
    if (!lk_edge_restore_next(self, index)) return;
  }
  for (; h->greeting != 0 && h->unsent < h->request_next; h->unsent++) {
    if (!next_message(self, h, h->unsent, &message)) continue;
    if (!lk_edge_has_room(self, h, &message)) {
      LK_COVERED(edge_request_waits_for_room);
      return;
    }
    if (message.again) self->stats.sent_again++;
    lk_edge_tell(self, index, &message);
  }
}

/* With numbers as long as they get, so that what may be asked may also be sent again. */
static bool is_question_sayable(const lk_edge *self, const lk_question *question) {
  return lk_edge_is_sayable(self, &(lk_bus_message){ .kind = LK_BUS_QUERY,
                                                     .request = UINT64_MAX,
                                                     .settled = UINT64_MAX,
                                                     .topic = question->topic,
                                                     .event = question->event,
                                                     .payload = question->payload,
                                                     .subject = question->subject });
}

lk_err lk_edge_ask_gate(lk_edge *self, const lk_question *question, lk_slice action,
                        lk_slice payload, uint64_t tag) {
  house *h = &self->houses[self->options.houses_count];
  lk_question meant = *question;
  const lk_query *q;
  meant.event = action;
  meant.payload = payload;
  meant.is_binary = false;
  meant.tag = tag;
  if (!is_question_sayable(self, &meant)) return LK_ERR_TOO_BIG;
  lk_err err = lk_queries_ask(&self->queries, &h->queries, h->request_next, &meant, &q);
  if (err != LK_OK) return err;
  h->request_next++;
  self->stats.unanswered++;
  lk_edge_fill(self, self->options.houses_count);
  return LK_OK;
}

lk_err lk_edge_query(lk_edge *self, const lk_question *question) {
  uint8_t bytes[LK_ALIAS_TOPIC_MAX];
  lk_question meant = *question;
  uint32_t index = question->house;
  const lk_query *q;
  if (question->topic.len > LK_ALIAS_NAME_MAX || index >= self->options.houses_count)
    return LK_ERR_TOO_BIG;
  if (meant.topic.len > 0) {
    meant.topic = lk_aliases_resolve(&self->options.aliases, question->topic, bytes);
    index = lk_edge_house_at(self, meant.topic);
  }
  house *h = &self->houses[index];
  if (!is_question_sayable(self, &meant)) return LK_ERR_TOO_BIG;
  lk_err err = lk_queries_ask(&self->queries, &h->queries, h->request_next, &meant, &q);
  if (err != LK_OK) return err;
  bool is_gated = meant.topic.len > 0 && lk_gate_is_before(self->options.gate, meant.topic);
  if (is_gated) lk_queries_hold(&h->queries, q->request);
  h->request_next++;
  self->stats.unanswered++;
  self->stats.requests++;
  lk_edge_fill(self, index);
  if (!is_gated) return LK_OK;
  err = lk_edge_ask_gate(self, &meant, LK_LIT("http"), LK_SLICE_EMPTY,
                         (uint64_t)(index + 1) << GATE_SHIFT | q->request);
  if (err != LK_OK && lk_queries_forget(&self->queries, &h->queries, q->request))
    self->stats.unanswered--;
  return err;
}

static size_t asked_size(const asked *a) {
  return sizeof *a + a->ref_len + a->event_len + a->payload_len;
}

lk_slice lk_edge_asked_ref(const asked *a) {
  return a->has_ref ? (lk_slice){ a->bytes, a->ref_len } : LK_SLICE_EMPTY;
}

void lk_edge_resume(lk_edge *self, const connection *c) {
  lk_edge_add_item(self, (item){ .kind = LK_EDGE_RESUME, .connection = c->number });
}

void lk_edge_free_asked(lk_edge *self, asked *a) {
  connection *c = a->member->connection;
  size_t size = asked_size(a);
  lk_list_remove(&a->member->asked, &a->link);
  c->unanswered -= (uint32_t)size;
  self->stats.unanswered--;
  if (c->is_full && c->unanswered <= self->limits->edge_unanswered_bytes / 2) {
    /* Where there is no memory to say so, the next answer does. */
    if (lk_edge_reserve_item(self) == LK_OK) {
      c->is_full = false;
      if (c->hold == NULL) lk_edge_resume(self, c);
    }
  }
  lk_free_bytes(self->alloc, a, size);
}

/* As above. A join's is that of a RESTORE, too, which has less in it. */
static bool is_event_sayable(const lk_edge *self, const member *m, const lk_session_event *event) {
  bool is_join = event->kind == LK_SESSION_JOIN;
  return lk_edge_is_sayable(
      self, &(lk_bus_message){ .kind = is_join ? LK_BUS_JOIN : LK_BUS_MESSAGE,
                               .request = UINT64_MAX,
                               .settled = UINT64_MAX,
                               .member = UINT64_MAX,
                               .topic = home_name(m->topic),
                               .event = is_join ? alias_of(m->topic) : event->event,
                               .payload = event->payload,
                               .subject = is_join ? lk_edge_subject_on(m->connection, m->lease)
                                                  : LK_SLICE_EMPTY });
}

lk_err lk_edge_ask(lk_edge *self, member *m, const lk_session_event *event) {
  house *h = &self->houses[m->topic->house];
  size_t size = sizeof(asked) + event->ref.len + event->event.len + event->payload.len;
  if (!is_event_sayable(self, m, event)) return LK_ERR_TOO_BIG;
  if (size > UINT32_MAX - m->connection->unanswered) return LK_ERR_LIMIT;
  asked *a = lk_alloc_bytes(self->alloc, size);
  if (a == NULL) return LK_ERR_NOMEM;
  *a = (asked){ .member = m,
                .request = m->is_gated ? 0 : h->request_next,
                .is_join = event->kind == LK_SESSION_JOIN,
                .is_binary = event->is_binary,
                .has_ref = event->ref.ptr != NULL,
                .asked_us = (uint32_t)self->now_us };
  lk_err err = m->is_gated ? LK_OK : lk_window_put(&h->asked, a->request, a);
  if (err != LK_OK) {
    lk_free_bytes(self->alloc, a, size);
    return err;
  }
  h->request_next += m->is_gated ? 0 : 1;
  a->ref_len =
      (uint32_t)event->ref.len; /* the session bounds names; ws_message_bytes all of them */
  a->event_len = (uint32_t)event->event.len;
  a->payload_len = (uint32_t)event->payload.len;
  uint8_t *at = a->bytes;
  const lk_slice parts[] = { event->ref, event->event, event->payload };
  for (size_t i = 0; i < 3; i++) {
    if (parts[i].len > 0) memcpy(at, parts[i].ptr, parts[i].len);
    at += parts[i].len;
  }
  lk_list_push_last(&m->asked, &a->link);
  m->connection->unanswered += (uint32_t)size;
  if (m->connection->unanswered > self->limits->edge_unanswered_bytes)
    m->connection->is_full = true;
  self->stats.unanswered++;
  self->stats.requests++;
  if (!m->is_gated) lk_edge_fill(self, m->topic->house);
  return LK_OK;
}
