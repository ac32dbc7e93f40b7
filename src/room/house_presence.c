/* room/house_presence.c -- who is there: what rooms and members say of it, and when it is told.
 *
 * The rules of it are room/attendance.c's. This is its place in the house: a window's end is a timer of the entry, and what came
 * of the window goes to the edges, which know who has had a state and who waits for one. */
#include "room/house_parts.h"

static lk_attendance_context attendance_context(entry *e) {
  lk_house *house = e->house;
  return (lk_attendance_context){ .env = house->env,
                                  .limits = house->limits,
                                  .node = { house->generation, e->number },
                                  .entropy = lk_prng_u64(&house->ids),
                                  .now_ms = house->now_ms,
                                  .is_watched = e->is_watched };
}

/* What changed is told when the window ends. Without memory for the timer it is told with a later change. */
static void watch_presence(entry *e) {
  lk_heap *timers = &e->house->timers;
  uint64_t deadline = lk_attendance_deadline(&e->attendance);
  if (e->presence == NULL && deadline != LK_PRESENCE_NEVER) {
    e->presence = lk_alloc_bytes(e->house->env->alloc, sizeof *e->presence);
    if (e->presence != NULL) *e->presence = (entry_timer){ LK_HEAP_ITEM_INIT, e };
  }
  if (e->presence == NULL) return;
  if (deadline == LK_PRESENCE_NEVER) lk_house_stop_timer(e->house, e->presence);
  else if (e->presence->item.place != LK_HEAP_OUT)
    lk_heap_move(timers, &e->presence->item, deadline);
  else (void)!lk_heap_push(timers, &e->presence->item, deadline);
}

lk_err lk_house_enter_attendance(entry *e, uint64_t number, lk_slice payload, bool *hears) {
  lk_attendance_context context = attendance_context(e);
  lk_err err = lk_attendance_enter(&e->attendance, &context, number, payload, hears);
  watch_presence(e);
  return err;
}

void lk_house_leave_attendance(entry *e, uint64_t number) {
  lk_attendance_leave(&e->attendance, number, e->house->now_ms);
  watch_presence(e);
}

void lk_house_repeat_attendance(entry *e, uint64_t number) {
  lk_attendance_repeat(&e->attendance, number, e->house->now_ms);
  watch_presence(e);
}

static void tell_presence(entry *e, lk_bus_audience audience, lk_slice event, lk_slice payload) {
  for (uint32_t i = 0; payload.len > 0 && i < e->house->edges_count; i++) {
    if (e->edge_members[i] == 0) continue;
    lk_house_tell(e->house, i,
                  &(lk_bus_message){ .kind = LK_BUS_BROADCAST,
                                     .audience = audience,
                                     .topic = entry_topic(e),
                                     .event = event,
                                     .payload = payload });
  }
}

/* What |number| shows by itself, or that it shows nothing. May drop the room. */
static void tell_seen(entry *e, uint64_t number) {
  const member *m = lk_house_find_member(e->house, number);
  lk_room_input input = { .kind = LK_ROOM_SEEN, .member = number };
  if (m == NULL || m->entry != e || m->state != MEMBER_IN) return;
  if (!lk_attendance_shown_by(&e->attendance, number, &input.event, &input.payload))
    input.event = input.payload = LK_SLICE_EMPTY;
  lk_house_run_room(e, input);
}

/* A room that knows people from elsewhere says what it knows, and is told what they show. May drop the room. */
static void ask_who_is_there(entry *e) {
  lk_map fresh;
  lk_slice key;
  void *value;
  uint32_t cursor = 0;
  if (!e->kind->knows_people) return;
  if (lk_attendance_begins(&e->attendance))
    lk_house_run_room(e, (lk_room_input){ .kind = LK_ROOM_LOOK });
  if (e->state != ENTRY_OPEN) return;
  lk_attendance_context context = attendance_context(e);
  if (!lk_attendance_take_fresh(&e->attendance, &context, &fresh)) return;
  while (e->state == ENTRY_OPEN && lk_map_next(&fresh, &cursor, &key, &value))
    tell_seen(e, lk_load_le64(key.ptr));
  lk_map_deinit(&fresh);
}

/* First the changes, to those who know the rest; then the state, to those who know nothing. */
void lk_house_tell_attendance(entry *e) {
  lk_slice diff, state;
  ask_who_is_there(e);
  if (e->state != ENTRY_OPEN) return;
  lk_err err = lk_attendance_tick(&e->attendance, e->house->now_ms, &diff, &state);
  if (err == LK_OK) {
    tell_presence(e, LK_BUS_HEARERS, LK_LIT("presence_diff"), diff);
    tell_presence(e, LK_BUS_WAITERS, LK_LIT("presence_state"), state);
  }
  watch_presence(e);
}

void lk_house_show_attendance(entry *e, const lk_room_effect *effect) {
  const member *m = lk_house_find_member(e->house, effect->member);
  if (m == NULL || m->entry != e || m->state != MEMBER_IN) return;
  lk_attendance_context context = attendance_context(e);
  lk_attendance_show(&e->attendance, &context, effect->member, effect->event, effect->payload);
  watch_presence(e);
}

void lk_house_watch_attendance(entry *e, const lk_room_effect *effect) {
  e->is_watched = effect->ok;
  if (!e->is_watched) return;
  lk_attendance_context context = attendance_context(e);
  lk_attendance_recall(&e->attendance, &context);
  watch_presence(e);
}

/* Names and texts of errors need no escapes. */
lk_slice lk_house_presence_refusal(lk_house *self, lk_err why) {
  lk_buf *out = &self->kept;
  self->stats.refused_presence += is_limit(why);
  lk_buf_truncate(out, 0);
  (void)lk_buf_append(out, LK_LIT("{\"reason\":\""));
  (void)lk_buf_append(out, lk_slice_cstr(lk_err_name(why)));
  (void)lk_buf_append(out, LK_LIT("\",\"field\":\"presence\",\"message\":\""));
  (void)lk_buf_append(out, lk_slice_cstr(lk_err_text(why)));
  return lk_buf_append(out, LK_LIT("\"}")) == LK_OK ? lk_buf_slice(out) : LK_LIT("{}");
}

void lk_house_change_attendance(entry *e, uint64_t number, uint64_t request, lk_slice event,
                                lk_slice payload) {
  lk_attendance_context context = attendance_context(e);
  lk_err err = lk_attendance_change(&e->attendance, &context, number, event, payload);
  watch_presence(e);
  lk_house_answer(e->house, number, request, LK_BUS_REPLY,
                  err == LK_OK ? LK_LIT("ok") : LK_LIT("error"),
                  err == LK_OK ? LK_LIT("{}") : lk_house_presence_refusal(e->house, err), false);
}
