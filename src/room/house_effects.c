/* room/house_effects.c -- an input to an open room, and what follows from it.
 *
 * lk_house_run_room() steps a room and carries out what it left behind. Any effect may turn out to be impossible;
 * then the room is dropped, and whoever called must look at the entry's state before it does anything more. */
#include "room/house_parts.h"

#include "codec/varint.h"

/* ---- what a room wants done ---- */

static uint64_t date(const lk_house *self) {
  if (self->wall_ms == 0) return 0;
  return self->wall_ms + self->now_ms - lk_min_u64(self->wall_at_ms, self->now_ms);
}

static lk_err step_room(entry *e, lk_room_input input) {
  input.now_ms = e->house->now_ms;
  input.wall_ms = date(e->house);
  if (input.turn == TURN_NONE) input.turn = e->house->turns + 1;
  input.entropy = lk_prng_u64(&e->house->ids);
  return e->kind->step(e->room, &input);
}

static void answer_accept(lk_house *self, const lk_room_effect *effect, bool hears,
                          lk_profile profile) {
  lk_house_settle(self, effect->member, effect->request);
  lk_house_tell(self, edge_of(effect->member),
                &(lk_bus_message){ .kind = LK_BUS_ACCEPT,
                                   .audience = hears ? LK_BUS_WAITERS : LK_BUS_ALL,
                                   .request = effect->request,
                                   .member = own_of(effect->member),
                                   .payload = effect->payload,
                                   .binary = effect->binary,
                                   .dialect = effect->dialect,
                                   .profiles = lk_profile_only(profile) });
}

/* ---- answers ---- */

/* The request is this room's, and not answered. An edge that died may have asked under the same numbers. */
static bool is_asking(const entry *e, const lk_room_effect *effect) {
  uint32_t index = edge_of(effect->member);
  if (index >= e->house->edges_count) return false;
  const asked *a = lk_window_get(&e->house->edges[index].asked, effect->request);
  return a != NULL && a->entry == e && a->member == effect->member;
}

static void do_accept(entry *e, const lk_room_effect *effect) {
  lk_house *house = e->house;
  member *m = lk_house_find_member(house, effect->member);
  bool hears = false;
  /* It left meanwhile, or its edge began again and asked once more: then the first answer is as good. */
  if (m == NULL || m->state != MEMBER_JOINS || !is_asking(e, effect)) return;
  lk_slice params = lk_house_kept_params(house, effect->member, effect->request);
  if (params.ptr == NULL) params = house->joining;
  else e->has_let_in = true;
  lk_err err = lk_house_enter_attendance(e, effect->member, params, &hears);
  if (err == LK_OK && !lk_house_let_in(m)) err = LK_ERR_FULL;
  if (err != LK_OK) {
    house->stats.refused_members += err == LK_ERR_FULL;
    lk_house_leave_attendance(e, effect->member);
    lk_house_free_member(house, m);
    (void)lk_buf_append_le64(&house->refused, effect->member);
    lk_house_answer(
        house, effect->member, effect->request, LK_BUS_REFUSE, LK_SLICE_EMPTY,
        err == LK_ERR_FULL ? LK_REFUSED_ROOM_FULL : lk_house_presence_refusal(house, err), false);
    return;
  }
  answer_accept(house, effect, hears, (lk_profile)m->profile);
  lk_trace_emit(house->env, LK_TRACE_room_joined, effect->member, e->members.count, entry_topic(e));
}

static void do_refuse(entry *e, const lk_room_effect *effect) {
  member *m = lk_house_find_member(e->house, effect->member);
  e->house->stats.refused_limits += is_limit(effect->result);
  if (m == NULL || m->state != MEMBER_JOINS || !is_asking(e, effect)) return;
  lk_house_free_member(e->house, m);
  lk_house_answer(e->house, effect->member, effect->request, LK_BUS_REFUSE, LK_SLICE_EMPTY,
                  effect->payload, effect->binary);
}

static void do_reply(entry *e, const lk_room_effect *effect) {
  e->house->stats.refused_limits += is_limit(effect->result);
  if (!is_asking(e, effect)) return;
  if (effect->ok && !effect->is_reading) lk_house_note_author(e, effect->member, effect->request);
  if (effect->result == LK_ERR_NO_SPACE) lk_house_note_refusal(e->house, effect);
  lk_house_answer(e->house, effect->member, effect->request, LK_BUS_REPLY,
                  effect->ok ? LK_LIT("ok") : LK_LIT("error"), effect->payload, effect->binary);
}

static void do_push(entry *e, const lk_room_effect *effect) {
  const member *m = lk_house_find_member(e->house, effect->member);
  if (m == NULL || m->entry != e || m->state != MEMBER_IN) return;
  lk_house_tell(e->house, edge_of(effect->member),
                &(lk_bus_message){ .kind = LK_BUS_PUSH,
                                   .member = own_of(effect->member),
                                   .event = effect->event,
                                   .payload = effect->payload,
                                   .binary = effect->binary,
                                   .dialect = effect->dialect });
}

/* One message for each edge that has somebody in the room: it knows who. */
void lk_house_send_to_all(entry *e, const lk_room_effect *effect) {
  lk_house *house = e->house;
  for (uint32_t i = 0; i < house->edges_count; i++) {
    bool is_there = effect->member != 0 && edge_of(effect->member) == i;
    if (e->edge_members[i] == 0) continue;
    lk_house_tell(house, i,
                  &(lk_bus_message){ .kind = LK_BUS_BROADCAST,
                                     .member = is_there ? own_of(effect->member) : 0,
                                     .topic = entry_topic(e),
                                     .event = effect->event,
                                     .payload = effect->payload,
                                     .binary = effect->binary,
                                     .profiles = effect->profiles });
  }
}

static void do_broadcast(entry *e, const lk_room_effect *effect) {
  lk_room_effect now = *effect;
  if (e->pace != NULL && now.profiles == 0) {
    lk_house_note_pace(e, effect);
    now.profiles = lk_profile_only(LK_PROFILE_FULL);
  }
  lk_house_send_to_all(e, &now);
}

/* Every open request that no record covered yet is in this one, but those after |turn_last|, of which a later one tells
 * something. The marks are the last of e->applied. */
static lk_err cover(entry *e, uint64_t ticket, uint64_t turn_last) {
  for (lk_link *at = e->asked.last, *prev; at != NULL; at = prev) {
    asked *a = LK_CONTAINER(at, asked, link);
    prev = at->prev;
    if (a->turn == TURN_NONE || a->turn > turn_last || a->ticket != 0) continue;
    a->ticket = ticket;
    lk_err err = lk_house_note_applied(e, (applied){ .mark = lk_house_mark_of(e, a) });
    if (err != LK_OK) return err;
    if (a->is_parted) lk_house_free_parted(e->house, a);
  }
  return LK_OK;
}

/* Appends the marks [from, to) of |e|. */
static void encode_marks(const entry *e, uint32_t from, uint32_t to, lk_buf *out) {
  (void)lk_varuint_encode(out, to - from);
  for (uint32_t i = from; i < to; i++) (void)lk_kept_encode_mark(out, &e->applied[i].mark);
}

/* How many marks of |e| are durable: they stand before those that are not, which are few. */
static uint32_t durable_marks(const entry *e) {
  uint32_t count = e->applied_count;
  while (count > 0 && !e->applied[count - 1].is_durable) count--;
  return count;
}

/* What is in house->kept, into the room's own file. */
static lk_err write_record(entry *e, uint64_t ticket) {
  lk_err err = lk_scroll_append(&e->warmth->scroll, e->index + 1, lk_buf_slice(&e->house->kept));
  if (err != LK_OK) return err;
  e->index++;
  e->warmth->ticket = ticket;
  e->flight = FLIGHT_WRITING;
  e->house->busy_count++;
  return LK_OK;
}

/* One record at a time: the room waits for its completion. It is appended when the running call ends. */
static lk_err do_journal(entry *e, const lk_room_effect *effect) {
  lk_house *house = e->house;
  LK_ASSERT(e->flight == FLIGHT_NONE && e->kind->is_kept);
  lk_err err = lk_house_warm(e);
  if (err == LK_OK)
    err = cover(e, effect->ticket, effect->turn_last == 0 ? UINT64_MAX : effect->turn_last);
  if (err != LK_OK) return err;
  lk_buf_truncate(&house->kept, 0);
  encode_marks(e, durable_marks(e), e->applied_count, &house->kept);
  err = lk_buf_append(&house->kept, effect->payload);
  if (err != LK_OK) return err;
  if (e->is_memory) return write_record(e, effect->ticket);
  err = lk_tails_make(&house->tails, entry_topic(e), lk_buf_slice(&house->kept),
                      &e->warmth->unsent);
  if (err != LK_OK) return err;
  e->warmth->ticket = effect->ticket;
  e->flight = FLIGHT_UNSENT;
  lk_list_push_last(&house->unsent, &e->warmth->flight_link);
  return LK_OK;
}

/* The room was given it, and no record covers it yet. */
static bool is_uncovered(const asked *a) { return a->turn != TURN_NONE && a->ticket == 0; }

/* The marks of all that the room was ever given. */
static void encode_all_marks(const entry *e, lk_buf *out) {
  uint32_t count = e->applied_count;
  for (lk_link *at = e->asked.first; at != NULL; at = at->next)
    count += is_uncovered(LK_CONTAINER(at, asked, link));
  (void)lk_varuint_encode(out, count);
  for (uint32_t i = 0; i < e->applied_count; i++)
    (void)lk_kept_encode_mark(out, &e->applied[i].mark);
  for (lk_link *at = e->asked.first; at != NULL; at = at->next) {
    const asked *a = LK_CONTAINER(at, asked, link);
    const lk_mark mark = lk_house_mark_of(e, a);
    if (is_uncovered(a)) (void)lk_kept_encode_mark(out, &mark);
  }
}

/* Its marks are those of the changes that are in it: of durable records, or of all. */
static lk_err do_snapshot(entry *e, const lk_room_effect *effect) {
  lk_house *house = e->house;
  LK_ASSERT(e->is_snapshotting && !lk_keeper_is_busy(&e->keeper));
  lk_house_prune_applied(e);
  lk_buf_truncate(&house->kept, 0);
  (void)lk_kept_encode_snapshot_head(&house->kept, e->journaled, entry_topic(e));
  if (effect->is_ahead) encode_all_marks(e, &house->kept);
  else encode_marks(e, 0, durable_marks(e), &house->kept);
  lk_err err = lk_buf_append(&house->kept, effect->payload);
  const lk_keeper_place place = lk_house_place_of(e);
  if (err == LK_OK) err = lk_keeper_keep(&e->keeper, &place, lk_buf_slice(&house->kept));
  if (err != LK_OK) return err;
  e->keeping = e->journaled;
  e->kept_len = house->kept.len;
  house->busy_count++;
  return LK_OK;
}

static lk_err do_timer(entry *e, uint64_t at_ms) {
  if (e->timer.item.place != LK_HEAP_OUT) {
    lk_heap_move(&e->house->timers, &e->timer.item, at_ms);
    return LK_OK;
  }
  return lk_heap_push(&e->house->timers, &e->timer.item, at_ms);
}

/* The room believes that they are in. It may be dropped here. */
static void take_leave_of_refused(entry *e) {
  lk_house *house = e->house;
  if (house->is_taking_leave) return;
  house->is_taking_leave = true;
  while (house->refused.len > 0 && e->state == ENTRY_OPEN) {
    size_t left = house->refused.len - 8;
    uint64_t number = lk_load_le64(house->refused.ptr + left);
    lk_buf_truncate(&house->refused, left);
    lk_house_run_room(e, (lk_room_input){ .kind = LK_ROOM_LEAVE, .member = number });
  }
  lk_buf_rest(&house->refused, 0);
  house->is_taking_leave = false;
}

/* Carries out what the room's last step left behind. May drop the room. */
static void entry_drain(entry *e) {
  lk_room_effect effect;
  lk_err err = LK_OK;
  while (err == LK_OK && e->kind->poll(e->room, &effect)) {
    switch (effect.kind) {
    case LK_ROOM_ACCEPT: do_accept(e, &effect); break;
    case LK_ROOM_REFUSE: do_refuse(e, &effect); break;
    case LK_ROOM_REPLY: do_reply(e, &effect); break;
    case LK_ROOM_PUSH: do_push(e, &effect); break;
    case LK_ROOM_BROADCAST: do_broadcast(e, &effect); break;
    case LK_ROOM_JOURNAL: err = do_journal(e, &effect); break;
    case LK_ROOM_SNAPSHOT_DONE: err = do_snapshot(e, &effect); break;
    case LK_ROOM_TIMER: err = do_timer(e, effect.at_ms); break;
    case LK_ROOM_SKIP: lk_house_skip(e, effect.member); break;
    case LK_ROOM_RESUME: lk_house_resume(e, effect.member); break;
    case LK_ROOM_SHOW: lk_house_show_attendance(e, &effect); break;
    case LK_ROOM_WATCH: lk_house_watch_attendance(e, &effect); break;
    case LK_ROOM_STOP: err = effect.result != LK_OK ? effect.result : LK_ERR_STATE; break;
    }
  }
  if (err != LK_OK) {
    lk_buf_truncate(&e->house->refused, 0);
    lk_house_drop_room(e, err);
    return;
  }
  if (e->house->refused.len > 0) take_leave_of_refused(e);
  if (e->state != ENTRY_OPEN) return;
  lk_house_watch_idle(e);
  if (e->has_let_in) lk_house_let_waiting_in(e);
}

void lk_house_refuse_join(lk_house *self, uint64_t number, uint64_t request, lk_slice payload) {
  member *m = lk_house_find_member(self, number);
  if (m != NULL) lk_house_free_member(self, m);
  lk_house_answer(self, number, request, LK_BUS_REFUSE, LK_SLICE_EMPTY, payload, false);
}

/* A join that is answered later. Without memory for that it is refused. */
static void keep_joining(entry *e, const lk_room_input *input) {
  const member *m = lk_house_find_member(e->house, input->member);
  if (m == NULL || m->entry != e || m->state != MEMBER_JOINS) return;
  if (lk_house_keep_params(e, input->member, input->request, input->payload) == LK_OK) return;
  LK_COVERED(house_join_without_memory);
  lk_house_refuse_join(e->house, input->member, input->request, LK_REFUSED_ROOM_CRASHED);
}

void lk_house_run_room(entry *e, lk_room_input input) {
  e->house->joining = input.kind == LK_ROOM_JOIN ? input.payload : LK_SLICE_EMPTY;
  lk_err err = step_room(e, input);
  if (err == LK_OK) entry_drain(e);
  else lk_house_drop_room(e, err);
  if (input.kind == LK_ROOM_JOIN) keep_joining(e, &input);
}

static lk_profile profile_of(const lk_house *self, uint64_t number) {
  const member *m = lk_house_find_member(self, number);
  return m == NULL ? LK_PROFILE_FULL : (lk_profile)m->profile;
}

/* From here on a record covers the request. */
void lk_house_ask_room(entry *e, lk_room_input input) {
  asked *a = lk_window_get(&e->house->edges[edge_of(input.member)].asked, input.request);
  if (a == NULL || a->entry != e) return; /* the edge has used its number for something else */
  input.turn = a->turn = ++e->house->turns;
  input.is_full = lk_house_is_full(e);
  e->house->stats.requests++;
  if (input.kind == LK_ROOM_JOIN) input.profile = profile_of(e->house, input.member);
  lk_house_run_room(e, input);
}

/* A member of before comes in without asking. Where there is no more room for it, it must join again. */
void lk_house_restore(entry *e, member *m, lk_room_input input) {
  uint64_t number = m->number;
  if (!lk_house_let_in(m)) {
    lk_house_free_member(e->house, m);
    lk_house_tell_crash(e->house, number, LK_LIT("room full"));
    return;
  }
  bool ignored;
  lk_err err = lk_house_enter_attendance(e, number, input.payload, &ignored);
  if (err != LK_OK) LK_COVERED(house_restored_without_presence);
  lk_house_tell_profile(m);
  input.kind = LK_ROOM_RESTORE;
  input.member = number;
  input.profile = (lk_profile)m->profile;
  lk_house_run_room(e, input);
  lk_house_repeat_lag(e->house, number);
}
