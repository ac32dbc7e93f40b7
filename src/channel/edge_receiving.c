/* channel/edge_receiving.c -- what clients say. */
#include "channel/edge_parts.h"

#include "channel/refusal.h"
#include "codec/json_reader.h"
#include "codec/json_writer.h"

static void refuse_join(lk_edge *self, connection *c, const lk_session_event *event, lk_slice why) {
  lk_session_io io = lk_edge_io_of(self);
  uint32_t before;
  const lk_session_answer given = {
    .topic = event->topic, .channel = event->channel, .ref = event->ref, .payload = why
  };
  if (lk_edge_begin_speech(self, c, &before))
    lk_edge_end_speech(self, c, before, lk_session_refuse(&c->session, &io, &given));
}

static const char *name_of_refusal(lk_err why) {
  switch (why) {
  case LK_ERR_TOKEN_MISSING: return "token_missing";
  case LK_ERR_TOKEN_EXPIRED: return "token_expired";
  case LK_ERR_TOKEN_REVOKED: return "token_revoked";
  case LK_ERR_TOKEN_CLAIMS: return "token_claims";
  default: return "token_invalid";
  }
}

lk_slice lk_edge_write_error(lk_edge *self, lk_err why) {
  lk_slice text = LK_REFUSED_SERVER_FULL;
  lk_json_writer to;
  lk_buf out;
  if (why == LK_ERR_NOMEM) return text;
  lk_buf_init(&out, self->alloc, 1024);
  lk_json_writer_init(&to, &out);
  (void)lk_json_begin_object(&to);
  (void)lk_json_write_key(&to, LK_LIT("reason"));
  (void)lk_json_write_string(&to, lk_slice_cstr(name_of_refusal(why)));
  (void)lk_json_write_key(&to, LK_LIT("message"));
  (void)lk_json_write_string(&to, lk_slice_cstr(lk_err_text(why)));
  (void)lk_json_end_object(&to);
  uint8_t *copy = NULL;
  if (lk_json_writer_finish(&to) == LK_OK) copy = lk_arena_push(&self->scratch, out.len);
  if (copy != NULL) {
    memcpy(copy, out.ptr, out.len);
    text = lk_slice_of(copy, out.len);
  }
  lk_buf_deinit(&out);
  return text;
}

/* What was asked for could not be passed on; that is counted. */
static lk_slice refusal_of(lk_edge *self, lk_err why) {
  if (why == LK_ERR_TOO_BIG) {
    self->stats.refused_too_big++;
    return LK_TOO_BIG_INSIDE_ANSWER;
  }
  self->stats.refused_full++;
  return LK_REFUSED_SERVER_FULL;
}

static lk_err ask_to_join(lk_edge *self, connection *c, const lk_session_event *event, lease *own) {
  lk_session_io io = lk_edge_io_of(self);
  member *m;
  lk_err err = lk_edge_make_member(self, c, event, &m);
  if (err != LK_OK) {
    lk_edge_free_lease(self, own);
    return err;
  }
  m->lease = own;
  if (own != NULL) own->member = m;
  bool is_there = lk_session_set_tag(&c->session, &io, event->topic, event->channel, m->number);
  LK_ASSERT(is_there);
  err = lk_edge_ask(self, m, event);
  if (err == LK_OK && m->is_gated)
    err = lk_edge_ask_gate(self,
                           &(lk_question){ .topic = home_name(m->topic),
                                           .rights = lk_edge_rights_of(self, m),
                                           .subject = lk_edge_subject_on(c, own) },
                           LK_LIT("join"), event->payload, m->number);
  if (err != LK_OK) lk_edge_free_member(self, m);
  return err;
}

/* Who may not even read is refused here: clients try again for ever, and that shall cost the rooms nothing. */
static void on_join(lk_edge *self, connection *c, const lk_session_event *event) {
  uint8_t name[LK_ALIAS_TOPIC_MAX];
  lk_session_event wanted = *event;
  lease *own;
  lk_err err = lk_edge_take_topic_token(self, c, &wanted, &own);
  if (err != LK_OK) {
    refuse_join(self, c, event, lk_edge_write_error(self, err));
  } else if (lk_edge_rights_on(self, c, own,
                               lk_aliases_resolve(&self->options.aliases, event->topic, name)) <
             LK_RIGHTS_READ) {
    lk_edge_free_lease(self, own);
    self->stats.unauthorized++;
    refuse_join(self, c, event, UNAUTHORIZED);
  } else if ((err = ask_to_join(self, c, &wanted, own)) != LK_OK) {
    refuse_join(self, c, event, refusal_of(self, err));
  }
}

void lk_edge_on_leave(lk_edge *self, uint64_t number) {
  member *m = lk_edge_table_get(&self->members, number);
  if (m == NULL) return;
  lk_edge_tell(self, m->topic->house, &(lk_bus_message){ .kind = LK_BUS_LEAVE, .member = number });
  lk_edge_free_member(self, m);
}

void lk_edge_reply_error(lk_edge *self, connection *c, const lk_session_event *event,
                         lk_slice payload) {
  lk_session_io io = lk_edge_io_of(self);
  uint32_t before;
  const lk_session_answer given = { .topic = event->topic,
                                    .channel = event->channel,
                                    .ref = event->ref,
                                    .status = LK_LIT("error"),
                                    .payload = payload };
  if (lk_edge_begin_speech(self, c, &before))
    lk_edge_end_speech(self, c, before, lk_session_reply(&c->session, &io, &given));
}

/* A room must know what it will never see: who goes on from there may not write any more. */
static lk_err ask_of_too_big(lk_edge *self, member *m, const lk_session_event *event) {
  lk_session_event what = *event;
  what.event = LK_EVENT_TOO_BIG_INSIDE;
  what.payload = event->event;
  what.is_binary = true;
  lk_err err = lk_edge_ask(self, m, &what);
  if (err == LK_OK) self->stats.refused_too_big++;
  return err;
}

static void on_message(lk_edge *self, connection *c, const lk_session_event *event) {
  member *m = lk_edge_table_get(&self->members, event->tag);
  lk_err err = LK_OK;
  if (m == NULL) {
    lk_edge_reply_error(self, c, event, LK_LIT("{\"reason\":\"not joined\"}"));
  } else if (lk_slice_equal(event->event, LK_LIT("access_token"))) {
    lk_edge_on_topic_token(self, m, event);
  } else if (lk_edge_rights_of(self, m) < LK_RIGHTS_READ) {
    self->stats.unauthorized++;
    lk_edge_reply_error(self, c, event, UNAUTHORIZED);
  } else {
    err = lk_edge_ask(self, m, event);
    if (err == LK_ERR_TOO_BIG) err = ask_of_too_big(self, m, event);
    if (err != LK_OK) lk_edge_reply_error(self, c, event, refusal_of(self, err));
  }
}

static void on_event(lk_edge *self, connection *c, const lk_session_event *event) {
  switch (event->kind) {
  case LK_SESSION_JOIN: on_join(self, c, event); break;
  case LK_SESSION_MESSAGE: on_message(self, c, event); break;
  case LK_SESSION_LEAVE: lk_edge_on_leave(self, event->tag); break;
  case LK_SESSION_TOKEN: lk_edge_on_token(self, c, event); break;
  }
}

lk_err lk_edge_open_document(lk_edge *self, uint64_t number, lk_slice name, lk_slice payload) {
  lk_session_events events;
  connection *c = lk_edge_table_get(&self->connections, number);
  if (c == NULL || c->is_closing) return LK_ERR_CLOSED;
  lk_session_io io = lk_edge_io_of(self);
  lk_arena_reset(&self->scratch);
  lk_err err = lk_session_open(&c->session, &io, name, payload, &events);
  for (uint32_t i = 0; i < events.count; i++) on_event(self, c, &events.items[i]);
  return err;
}

/* Whether it may be somebody whom nobody knows, and has said enough. */
static bool is_too_strange(const lk_edge *self, connection *c, uint64_t bytes) {
  if (self->options.access == NULL || c->lease != NULL || c->is_known) return false;
  bytes += c->strange_bytes;
  c->strange_bytes = (uint32_t)lk_min_u64(bytes, UINT32_MAX);
  if (c->strange_count < UINT16_MAX) c->strange_count++;
  return bytes > self->limits->edge_stranger_bytes ||
         c->strange_count > self->limits->edge_stranger_count;
}

/* Takes what a message of |bytes| has cost out of the buckets. The member that it came from, or that it made, says of which
 * topic and subject; who was refused has none. */
static void charge(lk_edge *self, connection *c, const lk_session_events *events, uint64_t bytes) {
  lk_pacer_turn turn = { .connection = &c->allowance,
                         .cost = { 1, bytes, events->is_refused ? 1 : 0 } };
  const lease *own = NULL;
  topic *joined = NULL;
  if (!lk_pacer_is_on(&self->pacer, self->now_us)) return;
  if (events->count > 0) {
    const lk_session_event *last = &events->items[events->count - 1];
    const member *m = NULL;
    if (last->kind == LK_SESSION_MESSAGE) m = lk_edge_table_get(&self->members, last->tag);
    if (last->kind == LK_SESSION_JOIN) joined = lk_edge_topic_of(self, last->topic);
    if (m != NULL) own = m->lease;
    if (m != NULL) turn.topic = &home_of(m->topic)->allowance;
    else if (joined != NULL) turn.topic = &home_of(joined)->allowance;
    if (last->kind == LK_SESSION_JOIN) turn.cost.joins = 1;
  }
  turn.subject = lk_edge_spender_on(c, own);
  lk_pacer_take(&self->pacer, &turn, &c->hold, c, self->now_us);
}

typedef lk_err (*feeder)(lk_session *, const lk_session_io *, lk_slice, bool, lk_session_events *);

/* |bytes| are all or the beginning of a message of |total|, which |feed| knows. */
static lk_err receive(lk_edge *self, uint64_t number, lk_slice bytes, uint64_t total,
                      bool is_binary, feeder feed) {
  lk_session_events events;
  connection *c = lk_edge_table_get(&self->connections, number);
  if (c == NULL || c->is_closing) return LK_ERR_CLOSED;
  lk_session_io io = lk_edge_io_of(self);
  uint32_t before;
  self->stats.messages_in++;
  lk_arena_reset(&self->scratch);
  if (is_too_strange(self, c, total)) {
    self->stats.refused_strangers++;
    return LK_ERR_TOKEN_MISSING;
  }
  if (!lk_edge_begin_speech(self, c, &before)) return (lk_err)c->reason;
  lk_err err = feed(&c->session, &io, bytes, is_binary, &events);
  lk_edge_end_speech(self, c, before, LK_OK);
  if (err != LK_OK) return err;
  self->stats.refused_topics += events.is_refused;
  for (uint32_t i = 0; i < events.count; i++) on_event(self, c, &events.items[i]);
  charge(self, c, &events, total);
  return LK_OK;
}

lk_err lk_edge_receive(lk_edge *self, uint64_t number, lk_slice bytes, bool is_binary) {
  return receive(self, number, bytes, bytes.len, is_binary, lk_session_feed);
}

lk_err lk_edge_receive_beginning(lk_edge *self, uint64_t number, lk_slice beginning, uint64_t total,
                                 bool is_binary) {
  lk_err err = receive(self, number, beginning, total, is_binary, lk_session_feed_beginning);
  if (err == LK_OK) self->stats.refused_too_big++;
  return err;
}

lk_err lk_edge_connect(lk_edge *self, lk_message_form form, lk_grant *grant, uint64_t *number) {
  connection *c = lk_alloc_bytes(self->alloc, sizeof *c);
  if (c == NULL) {
    lk_grant_free(grant, self->alloc);
    return LK_ERR_NOMEM;
  }
  *c = (connection){ 0 };
  lk_err err = lk_edge_make_lease(self, grant, c, &c->lease);
  if (err == LK_OK) err = lk_edge_table_add(self->alloc, &self->connections, c, number);
  if (err != LK_OK) {
    lk_edge_free_lease(self, c->lease);
    lk_free_bytes(self->alloc, c, sizeof *c);
    return err;
  }
  c->number = *number;
  lk_session_init(&c->session, form);
  return LK_OK;
}

void lk_edge_disconnect(lk_edge *self, uint64_t number) {
  lk_session_event event;
  connection *c = lk_edge_table_get(&self->connections, number);
  if (c == NULL) return;
  lk_session_io io = lk_edge_io_of(self);
  if (c->is_closing && !c->is_told) lk_edge_forget_end(self, c);
  c->is_closing = c->is_told = true;
  lk_pacer_let_go(&self->pacer, &c->hold, self->now_us);
  while (lk_session_end(&c->session, &io, &event)) lk_edge_on_leave(self, event.tag);
  lk_session_deinit(&c->session, self->alloc);
  lk_edge_table_remove(&self->connections, number);
  lk_edge_free_lease(self, c->lease);
  lk_free_bytes(self->alloc, c, sizeof *c);
}

bool lk_edge_is_full(const lk_edge *self, uint64_t number) {
  const connection *c = lk_edge_table_get(&self->connections, number);
  return c != NULL && (c->is_full || c->hold != NULL);
}

bool lk_edge_is_answered(const lk_edge *self, uint64_t number) {
  const connection *c = lk_edge_table_get(&self->connections, number);
  return c == NULL || c->unanswered == 0;
}
