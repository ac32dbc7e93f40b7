/* room/house_edges.c -- what edges say, and what they are told.
 *
 * Each edge has a place that outlives it; how the two ends make themselves known to each other stands in
 * house.c. What an edge asks is answered exactly once, unless its member leaves or it is another edge by then. */
#include "room/house_parts.h"

/* ---- what edges are told ---- */

static bool put_out(lk_house *self, uint64_t number) {
  return lk_buf_append_le64(&self->put_out, number) == LK_OK;
}

/* Those whom the edge |to| has, but who is not to hear it. */
static bool put_out_all(lk_house *self, uint32_t to, const lk_bus_message *message) {
  const entry *e = lk_house_find_entry(self, message->topic);
  bool is_noted = true;
  for (const lk_link *at = e == NULL ? NULL : e->members.first; at != NULL; at = at->next) {
    const member *m = LK_CONTAINER(at, member, link);
    if (edge_of(m->number) == to && own_of(m->number) != message->member)
      is_noted &= put_out(self, m->number);
  }
  return is_noted;
}

/* No frame holds |message|: whom it is for is told that much, since an edge that began again would be told the same. What was
 * asked is answered; who misses something is out, with a reason, when the running call ends. False: that cannot be said. */
static bool tell_too_big(lk_house *self, uint32_t to, const lk_bus_message *message) {
  LK_COVERED(house_message_too_big);
  lk_bus_message said = { .kind = LK_BUS_REPLY,
                          .request = message->request,
                          .event = LK_LIT("error"),
                          .payload = LK_LIT(
                              "{\"reason\":\"answer_too_big\",\"limit\":\"bus_frame_bytes\","
                              "\"message\":\"the answer is longer than the server passes on\"}") };
  self->stats.refused_limits++;
  switch (message->kind) {
  case LK_BUS_PUSH: return put_out(self, number_of(to, message->member));
  case LK_BUS_BROADCAST: return put_out_all(self, to, message);
  case LK_BUS_ACCEPT:
    said.kind = LK_BUS_REFUSE;
    if (!put_out(self, number_of(to, message->member))) return false;
    break;
  case LK_BUS_REPLY:
  case LK_BUS_REFUSE: said.kind = message->kind; break;
  default: return false;
  }
  lk_house_tell(self, to, &said);
  return true;
}

/* What goes with one may be too big for others. */
void lk_house_put_out(lk_house *self) {
  while (self->put_out.len > 0) {
    size_t left = self->put_out.len - 8;
    uint64_t number = lk_load_le64(self->put_out.ptr + left);
    member *m = lk_house_find_member(self, number);
    lk_buf_truncate(&self->put_out, left);
    if (m == NULL) continue;
    lk_house_tell_crash(self, number, LK_LIT("answer_too_big"));
    lk_house_remove_member(self, m);
  }
  lk_buf_rest(&self->put_out, 0);
}

void lk_house_tell(lk_house *self, uint32_t to, const lk_bus_message *message) {
  edge *e = &self->edges[to];
  if (!e->greeted) return;
  uint32_t most = lk_min_u32(self->limits->bus_frame_bytes, self->limits->bus_output_bytes);
  if (lk_bus_size(message) > most && tell_too_big(self, to, message)) return;
  lk_err err = lk_bus_encode(message, most, &e->out);
  if (err != LK_OK) {
    LK_COVERED(house_edge_given_up);
    lk_house_give_up(self, e);
  }
}

void lk_house_answer(lk_house *self, uint64_t number, uint64_t request, lk_bus_kind kind,
                     lk_slice status, lk_slice payload, bool binary) {
  lk_house_settle(self, number, request);
  lk_house_tell(self, edge_of(number),
                &(lk_bus_message){ .kind = kind,
                                   .request = request,
                                   .event = status,
                                   .payload = payload,
                                   .binary = binary });
}

void lk_house_tell_crash(lk_house *self, uint64_t number, lk_slice reason) {
  lk_house_tell(
      self, edge_of(number),
      &(lk_bus_message){ .kind = LK_BUS_CRASH, .member = own_of(number), .event = reason });
}

void lk_house_answer_late(lk_house *self, uint64_t number, uint64_t request) {
  lk_house_answer(self, number, request, LK_BUS_LATE, LK_SLICE_EMPTY, LK_SLICE_EMPTY, false);
}

bool lk_house_answers_too_big(entry *e, uint64_t number, uint64_t request, lk_slice event) {
  bool is_inside = lk_slice_equal(event, LK_EVENT_TOO_BIG_INSIDE);
  if (e->kind->has_replicas || (!is_inside && !lk_slice_equal(event, LK_EVENT_TOO_BIG)))
    return false;
  lk_house_answer(e->house, number, request, LK_BUS_REPLY, LK_LIT("error"),
                  is_inside ? LK_TOO_BIG_INSIDE_ANSWER : LK_TOO_BIG_ANSWER, false);
  return true;
}

/* Names and texts of errors need no escapes. */
void lk_house_answer_outcome(lk_house *self, uint64_t number, uint64_t request, lk_err err) {
  lk_buf text;
  lk_buf_init(&text, self->env->alloc, 1024);
  (void)lk_buf_append(&text, LK_LIT("{\"reason\":\""));
  (void)lk_buf_append(&text, lk_slice_cstr(lk_err_name(err)));
  (void)lk_buf_append(&text, LK_LIT("\",\"message\":\""));
  (void)lk_buf_append(&text, lk_slice_cstr(lk_err_text(err)));
  bool is_whole = err != LK_OK && lk_buf_append(&text, LK_LIT("\"}")) == LK_OK;
  lk_house_answer(self, number, request, LK_BUS_REPLY,
                  err == LK_OK ? LK_LIT("ok") : LK_LIT("error"),
                  is_whole ? lk_buf_slice(&text) : LK_LIT("{}"), false);
  lk_buf_deinit(&text);
}

/* ---- what edges say ---- */

static void refuse_entry(lk_house *self, uint64_t number, const lk_bus_message *m) {
  self->stats.refused_rooms++;
  if (m->kind == LK_BUS_JOIN)
    lk_house_refuse_join(self, number, m->request, LK_REFUSED_SERVER_FULL);
  else lk_house_tell_crash(self, number, LK_LIT("server full"));
}

/* JOIN and RESTORE: the room is there, or will be. */
static void on_entering(lk_house *self, uint64_t number, const lk_bus_message *m) {
  const lk_room_kind *kind = lk_room_kind_of(m->topic);
  entry *e = lk_house_find_entry(self, m->topic);
  member *who;
  lk_err err = LK_OK;
  if (kind == NULL) {
    if (m->kind == LK_BUS_JOIN)
      lk_house_answer(self, number, m->request, LK_BUS_UNMATCHED, LK_SLICE_EMPTY, LK_SLICE_EMPTY,
                      false);
    else lk_house_tell_crash(self, number, LK_LIT("unmatched topic"));
    return;
  }
  lk_profile profile;
  lk_slice field;
  const bool is_new = e == NULL;
  err = lk_house_read_profile(self, m->payload, &profile, &field);
  if (err != LK_OK && m->kind == LK_BUS_JOIN) {
    lk_house_answer(self, number, m->request, LK_BUS_REFUSE, LK_SLICE_EMPTY,
                    lk_house_profile_refusal(self, err, field), false);
    return;
  }
  err = LK_OK;
  if (is_new) err = lk_house_make_entry(self, m->topic, kind, &e);
  if (err != LK_OK) {
    refuse_entry(self, number, m);
    return;
  }
  err = lk_house_make_member(e, number, &who);
  if (err == LK_OK) who->profile = who->own_profile = (uint8_t)profile;
  if (err == LK_OK) lk_house_note_subject(self, number, 0, m->subject);
  if (err == LK_OK && m->kind == LK_BUS_JOIN &&
      (err = lk_house_note_asked(e, number, m->request)) != LK_OK)
    lk_house_free_member(self, who);
  if (err == LK_OK && e->state == ENTRY_OPEN && !is_new) {
    if (m->kind == LK_BUS_RESTORE) {
      lk_house_restore(
          e, who,
          (lk_room_input){ .event = m->event,
                           .payload = m->payload,
                           .rights = m->rights,
                           .subject = m->subject });
    } else {
      who->state = MEMBER_JOINS;
      lk_house_ask_room(e, (lk_room_input){ .kind = LK_ROOM_JOIN,
                                            .member = number,
                                            .request = m->request,
                                            .event = m->event,
                                            .payload = m->payload,
                                            .rights = m->rights,
                                            .subject = m->subject });
    }
    return;
  }
  if (err == LK_OK && (err = lk_house_queue_input(e, number, m)) != LK_OK)
    lk_house_free_member(self, who);
  if (is_new)
    lk_house_begin_loading(e); /* also without the join: the entry is there and finds its way out */
  if (err == LK_ERR_EXISTS || err == LK_ERR_RANGE)
    lk_house_give_up(self, &self->edges[edge_of(number)]);
  else if (err != LK_OK) refuse_entry(self, number, m);
}

static void on_leave(lk_house *self, uint64_t number) {
  member *m = lk_house_find_member(self, number);
  if (m != NULL) lk_house_remove_member(self, m);
}

/* A message that comes right behind its join waits with it, as it would in Phoenix. */
static void on_message(lk_house *self, uint64_t number, const lk_bus_message *m) {
  member *who = lk_house_find_member(self, number);
  if (who == NULL) {
    lk_house_answer(self, number, m->request, LK_BUS_LATE, LK_SLICE_EMPTY, LK_SLICE_EMPTY, false);
    return;
  }
  entry *e = who->entry;
  lk_err err = lk_house_note_asked(e, number, m->request);
  if (err == LK_ERR_RANGE) {
    lk_house_give_up(self, &self->edges[edge_of(number)]);
    return;
  }
  if (err == LK_OK && e->state == ENTRY_OPEN && who->state == MEMBER_IN &&
      lk_attendance_knows(m->event, e->kind->has_cursors && !m->binary)) {
    lk_house_change_attendance(e, number, m->request, m->event, m->payload);
    return;
  }
  if (err == LK_OK && e->state == ENTRY_OPEN && who->state == MEMBER_IN &&
      lk_house_is_of_pace(m->event)) {
    lk_house_change_pace(e, who, m->request, m->payload);
    return;
  }
  if (err == LK_OK && e->state == ENTRY_OPEN && who->state == MEMBER_IN &&
      lk_house_answers_too_big(e, number, m->request, m->event))
    return;
  if (err == LK_OK && e->state == ENTRY_OPEN && who->state == MEMBER_IN) {
    bool is_applied = m->again && lk_house_was_applied(e, number, m->request);
    if (is_applied) self->stats.repeated++;
    lk_house_ask_room(e, (lk_room_input){ .kind = LK_ROOM_MESSAGE,
                                          .member = number,
                                          .request = m->request,
                                          .event = m->event,
                                          .payload = m->payload,
                                          .binary = m->binary,
                                          .rights = m->rights,
                                          .applied = is_applied });
    return;
  }
  if (err == LK_OK)
    err = who->state == MEMBER_IN ? LK_ERR_NOT_JOINED : lk_house_queue_input(e, number, m);
  if (err == LK_OK) return;
  lk_house_answer(self, number, m->request, LK_BUS_REPLY, LK_LIT("error"),
                  err == LK_ERR_NOT_JOINED ? LK_LIT("{\"reason\":\"not joined\"}")
                                           : LK_REFUSED_SERVER_FULL,
                  false);
}

/* ---- edges ---- */

void lk_house_greet(lk_house *self, edge *to) {
  lk_bus_message hello = { .kind = LK_BUS_HELLO,
                           .generation = to->greeting,
                           .answers = to->generation };
  lk_err err = lk_bus_encode(&hello, self->limits->bus_frame_bytes, &to->out);
  /* Without it the edge goes on asking. */
  if (err != LK_OK) LK_COVERED(house_hello_without_memory);
}

static void forget_members(lk_house *self, edge *e) {
  for (uint32_t i = 0; i < e->members_cap && e->members_count > 0; i++) {
    if (e->members[i] != NULL) lk_house_remove_member(self, e->members[i]);
  }
}

/* What waits for it will not be read by whoever comes next. */
void lk_house_give_up(lk_house *self, edge *to) {
  to->greeted = false;
  to->greeting++;
  lk_bus_forget(&to->out, to->out_off);
  lk_house_greet(self, to);
}

static void on_hello(lk_house *self, uint32_t index, const lk_bus_message *m) {
  edge *e = &self->edges[index];
  bool is_ours = m->answers == e->greeting;
  if (is_ours && e->greeted && e->generation == m->generation) return;
  /* It restores its members from here on; what we believe of it is over, whoever it is. */
  e->greeted = false;
  if (e->generation != m->generation) {
    e->is_known = false;
    lk_house_forget_parted(self, index);
  }
  if (e->is_known) lk_house_part(self, index);
  forget_members(self, e);
  lk_house_forget_queries(self, index);
  lk_house_forget_asker(self, index);
  lk_window_deinit(&e->asked);
  lk_window_init(&e->asked, self->env->alloc, self->limits->bus_requests_count);
  e->generation = m->generation;
  e->settled = 0;
  e->greeted = is_ours;
  e->is_known |= is_ours;
  if (!is_ours) lk_house_greet(self, e);
}

static void on_message_of_edge(lk_house *self, uint32_t index, const lk_bus_message *m) {
  edge *e = &self->edges[index];
  uint64_t number = number_of(index, own_of(m->member));
  if (m->kind == LK_BUS_HELLO) {
    on_hello(self, index, m);
    return;
  }
  if (!e->greeted) return;
  e->settled = lk_max_u64(e->settled, m->settled);
  switch (m->kind) {
  case LK_BUS_JOIN:
  case LK_BUS_RESTORE: on_entering(self, number, m); break;
  case LK_BUS_MESSAGE: on_message(self, number, m); break;
  case LK_BUS_QUERY: lk_house_on_query(self, number_of(index, 0), m); break;
  case LK_BUS_LEAVE: on_leave(self, number); break;
  case LK_BUS_LAG:
    lk_house_on_lag(self, number, (lk_bus_lag)lk_min_u64(m->request, LK_BUS_BEHIND));
    break;
  default: break; /* what only houses say */
  }
}

void lk_house_feed(lk_house *self, uint32_t index, lk_slice bytes, bool boundary, uint64_t now_ms) {
  LK_ASSERT(index < self->edges_count);
  lk_bus_message m;
  lk_err err;
  edge *e = &self->edges[index];
  self->now_ms = lk_max_u64(self->now_ms, now_ms);
  if (boundary) lk_bus_reader_boundary(&e->reader);
  while ((err = lk_bus_read(&e->reader, &bytes, &m)) == LK_OK) on_message_of_edge(self, index, &m);
  if (err != LK_ERR_MORE) {
    LK_COVERED(house_edge_out_of_step);
    lk_house_give_up(self, e);
  }
  lk_house_end_call(self);
}

lk_slice lk_house_output(const lk_house *self, uint32_t index) {
  LK_ASSERT(index < self->edges_count);
  const edge *e = &self->edges[index];
  return lk_slice_skip(lk_buf_slice(&e->out), e->out_off);
}

void lk_house_consume(lk_house *self, uint32_t index, size_t count) {
  LK_ASSERT(index < self->edges_count);
  edge *e = &self->edges[index];
  lk_bus_consume(&e->out, &e->out_off, count);
  if (self->has_paused && !lk_house_must_wait(self, index)) {
    lk_house_take_paused(self);
    lk_house_end_call(self);
  }
}

bool lk_house_must_wait(const lk_house *self, uint32_t index) {
  LK_ASSERT(index < self->edges_count);
  return self->edges[index].out.len > self->limits->bus_output_bytes / 2;
}

void lk_house_init_edge(lk_house *self, edge *e) {
  *e = (edge){ .greeting = self->generation };
  lk_bus_reader_init(&e->reader, self->env->alloc, self->limits->bus_frame_bytes);
  lk_buf_init(&e->out, self->env->alloc, self->limits->bus_output_bytes);
  lk_window_init(&e->asked, self->env->alloc, self->limits->bus_requests_count);
}

void lk_house_deinit_edge(lk_house *self, edge *e) {
  for (uint32_t i = 0; i < e->members_cap; i++) {
    if (e->members[i] != NULL) lk_free_bytes(self->env->alloc, e->members[i], sizeof(member));
  }
  lk_free_array(self->env->alloc, e->members, e->members_cap, sizeof *e->members);
  lk_window_deinit(&e->asked);
  lk_buf_deinit(&e->out);
  lk_bus_reader_deinit(&e->reader);
}
