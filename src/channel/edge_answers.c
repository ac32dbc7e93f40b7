/* channel/edge_answers.c -- what houses answer, and say to one member. */
#include "channel/edge_parts.h"

#include "channel/refusal.h"

static asked *take_asked(house *h, uint64_t request, bool is_join) {
  const asked *a = lk_window_get(&h->asked, request);
  return a != NULL && a->is_join == is_join ? lk_window_take(&h->asked, request) : NULL;
}

/* What came behind a join that failed has nobody to go to. */
static void answer_too_late(lk_edge *self, member *who) {
  connection *c = who->connection;
  lk_session_io io = lk_edge_io_of(self);
  for (lk_link *at = who->asked.first; at != NULL; at = at->next) {
    uint32_t before;
    const lk_session_answer given = { .topic = topic_name(who->topic),
                                      .ref = lk_edge_asked_ref(LK_CONTAINER(at, asked, link)) };
    if (lk_edge_begin_speech(self, c, &before))
      lk_edge_end_speech(self, c, before, lk_session_too_late(&c->session, &io, &given));
  }
}

/* The answer to |a|, which is done with. |ends|: so is its member. */
static void answer(lk_edge *self, asked *a, const lk_bus_message *m,
                   lk_err (*how)(lk_session *, const lk_session_io *, const lk_session_answer *),
                   bool ends) {
  member *who = a->member;
  connection *c = who->connection;
  lk_session_io io = lk_edge_io_of(self);
  const lk_session_answer given = { .topic = topic_name(who->topic),
                                    .channel = who->channel,
                                    .ref = lk_edge_asked_ref(a),
                                    .status = m->event,
                                    .payload = m->payload,
                                    .is_binary = m->binary,
                                    .dialect = (lk_message_dialect)who->dialect };
  uint32_t before;
  if (lk_edge_begin_speech(self, c, &before))
    lk_edge_end_speech(self, c, before, how(&c->session, &io, &given));
  if (self->now_us > 0)
    lk_histogram_add(&self->latency, (uint32_t)((uint32_t)self->now_us - a->asked_us));
  lk_edge_free_asked(self, a);
  if (!ends) return;
  answer_too_late(self, who);
  lk_edge_free_member(self, who);
}

/* |set| has one profile, or none where it stays. */
static void change_profile(member *m, lk_profile_set set) {
  for (unsigned i = 0; i < LK_PROFILES; i++) {
    if ((set >> i & 1) != 0) m->profile = i & 3;
  }
}

/* What was asked since the join goes to the house, in its order. */
static void pass_gate(lk_edge *self, member *who, lk_rights rights) {
  house *h = &self->houses[who->topic->house];
  who->ceiling = rights & 3;
  who->is_gated = false;
  for (lk_link *at = who->asked.first; at != NULL; at = at->next) {
    asked *a = LK_CONTAINER(at, asked, link);
    if (lk_window_put(&h->asked, h->request_next, a) != LK_OK) {
      LK_COVERED(edge_gate_without_memory);
      lk_edge_end_connection(self, who->connection, LK_ERR_LIMIT); /* it comes back */
      return;
    }
    a->request = h->request_next++;
    lk_edge_fill(self, who->topic->house);
  }
}

static void pass_query(lk_edge *self, uint32_t index, uint64_t request, lk_rights rights) {
  house *h = &self->houses[index];
  const lk_query *q = lk_queries_release(&h->queries, request, h->request_next, rights);
  if (q == NULL) { /* there is no memory */
    const lk_bus_message late = { .kind = LK_BUS_LATE, .request = request };
    if (lk_queries_answer(&self->queries, &h->queries, &late)) self->stats.unanswered--;
    return;
  }
  h->request_next++;
  lk_edge_fill(self, index);
}

static void refuse_at_gate(lk_edge *self, uint64_t tag, lk_slice why) {
  uint32_t index = (uint32_t)(tag >> GATE_SHIFT);
  lk_bus_message m = { .kind = LK_BUS_REPLY, .event = LK_LIT("error"), .payload = why };
  if (index > 0) {
    m.request = tag & ((UINT64_C(1) << GATE_SHIFT) - 1);
    if (lk_queries_answer(&self->queries, &self->houses[index - 1].queries, &m))
      self->stats.unanswered--;
    return;
  }
  member *who = lk_edge_table_get(&self->members, tag);
  if (who == NULL || !who->is_gated) return;
  m.kind = LK_BUS_REFUSE;
  answer(self, LK_CONTAINER(who->asked.first, asked, link), &m, lk_session_refuse, true);
}

static void on_gate_answer(lk_edge *self, house *h, const lk_bus_message *m) {
  lk_rights rights = LK_RIGHTS_NONE;
  uint64_t tag;
  if (!lk_queries_settle(&self->queries, &h->queries, m->request, &tag)) return;
  self->stats.unanswered--;
  uint32_t index = (uint32_t)(tag >> GATE_SHIFT);
  bool is_ok = m->kind == LK_BUS_REPLY && lk_slice_equal(m->event, LK_LIT("ok")) &&
               lk_rights_of_word(m->payload, &rights);
  if (!is_ok) {
    refuse_at_gate(self, tag, m->kind == LK_BUS_REPLY ? m->payload : LK_REFUSED_HOOK_FAILED);
  } else if (index > 0) {
    pass_query(self, index - 1, tag & ((UINT64_C(1) << GATE_SHIFT) - 1), rights);
  } else {
    member *who = lk_edge_table_get(&self->members, tag);
    if (who != NULL && who->is_gated) pass_gate(self, who, rights);
  }
}

void lk_edge_tell_lag(lk_edge *self, const member *m) {
  lk_edge_tell(
      self, m->topic->house,
      &(lk_bus_message){ .kind = LK_BUS_LAG, .member = m->number, .request = m->connection->lag });
}

void lk_edge_set_lag(lk_edge *self, uint64_t number, lk_bus_lag lag) {
  connection *c = lk_edge_table_get(&self->connections, number);
  uint64_t tag = 0;
  if (c == NULL || c->lag == lag) return;
  LK_COVERED(edge_lag_changes);
  c->lag = (uint8_t)lag;
  const lk_session_channel *at = lk_session_next(&c->session, NULL, &tag);
  for (; at != NULL; at = lk_session_next(&c->session, at, &tag)) {
    const member *m = lk_edge_table_get(&self->members, tag);
    if (m != NULL && m->is_in) lk_edge_tell_lag(self, m);
  }
}

void lk_edge_on_lag(lk_edge *self, const lk_bus_message *m) {
  member *who = lk_edge_table_get(&self->members, m->member);
  if (who == NULL || !who->is_in) return;
  change_profile(who, m->profiles);
  bool was_behind = who->is_behind;
  who->is_behind = m->request == LK_BUS_BEHIND;
  if (was_behind && !who->is_behind && who->audience == LK_BUS_HEARERS)
    who->audience = LK_BUS_WAITERS;
}

void lk_edge_on_answer(lk_edge *self, house *h, const lk_bus_message *m) {
  if (self->options.gate != NULL && h == &self->houses[self->options.houses_count]) {
    on_gate_answer(self, h, m);
    return;
  }
  bool is_join = m->kind != LK_BUS_REPLY && m->kind != LK_BUS_LATE;
  asked *a = take_asked(h, m->request, is_join);
  if (a == NULL && lk_queries_answer(&self->queries, &h->queries, m)) self->stats.unanswered--;
  if (a == NULL) return; /* left meanwhile */
  switch (m->kind) {
  case LK_BUS_ACCEPT:
    a->member->audience = m->audience & 3;
    change_profile(a->member, m->profiles);
    a->member->dialect = m->dialect & 3;
    lk_edge_let_in(a->member);
    if (a->member->connection->lag > 0) lk_edge_tell_lag(self, a->member);
    answer(self, a, m, lk_session_accept, false);
    break;
  case LK_BUS_REFUSE: answer(self, a, m, lk_session_refuse, true); break;
  case LK_BUS_UNMATCHED: answer(self, a, m, lk_session_unmatched, true); break;
  case LK_BUS_LATE: answer(self, a, m, lk_session_too_late, false); break;
  default:
    change_profile(a->member, m->profiles);
    answer(self, a, m, lk_session_reply, false);
    break;
  }
}

/* The room has found out what this member speaks. */
static void change_dialect(member *m, lk_message_dialect dialect) {
  if (dialect == LK_DIALECT_PLAIN || m->dialect == (uint32_t)dialect) return;
  m->dialect = dialect & 3;
  if (m->is_in) note_class(m);
}

void lk_edge_on_push(lk_edge *self, const lk_bus_message *m) {
  member *who = lk_edge_table_get(&self->members, m->member);
  if (who == NULL) return;
  change_dialect(who, m->dialect);
  connection *c = who->connection;
  lk_session_io io = lk_edge_io_of(self);
  const lk_session_answer given = { .topic = topic_name(who->topic),
                                    .channel = who->channel,
                                    .event = m->event,
                                    .payload = m->payload,
                                    .is_binary = m->binary,
                                    .dialect = (lk_message_dialect)who->dialect };
  uint32_t before;
  if (lk_edge_begin_speech(self, c, &before))
    lk_edge_end_speech(self, c, before, lk_session_push(&c->session, &io, &given));
}

void lk_edge_on_crash(lk_edge *self, const lk_bus_message *m) {
  member *who = lk_edge_table_get(&self->members, m->member);
  if (who == NULL) return;
  connection *c = who->connection;
  lk_session_io io = lk_edge_io_of(self);
  lk_buf reason;
  lk_buf_init(&reason, self->alloc, 1024);
  (void)lk_buf_append(&reason, LK_LIT("{\"reason\":\""));
  (void)lk_buf_append(&reason, m->event);
  lk_err err = lk_buf_append(&reason, LK_LIT("\"}"));
  lk_session_answer given = { .topic = topic_name(who->topic), .channel = who->channel };
  if (err == LK_OK) given.payload = lk_buf_slice(&reason);
  uint32_t before;
  if (lk_edge_begin_speech(self, c, &before))
    lk_edge_end_speech(self, c, before, lk_session_crash(&c->session, &io, &given));
  lk_buf_deinit(&reason);
  lk_edge_free_member(self, who);
}
