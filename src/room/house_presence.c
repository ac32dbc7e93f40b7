/* room/house_presence.c -- who is there: what rooms and members say of it, and when it is told to whom.
 *
 * The rules of it are room/attendance.c's. This is its place in the house: a window's end is a timer of the entry, and what came
 * of the window goes to the edges, which know who has had a state and who waits for one.
 *
 *   window's end ──> full clients, at once
 *               └──> "later" ──at most each 100 ms──> constrained clients: one presence_diff that says all of them
 *               └──> "later" ──at most each 1000 ms──> minimal clients, too
 *
 * Where the last one was told long enough ago, there is nothing to wait for. Who waits for a state gets it when those of his
 * profile are told, and behind what they are told: it says all that, and he hears of nothing twice. */
#include "room/house_parts.h"

#include "channel/presence_diffs.h"

#define LATER_BYTES_MAX ((size_t)1 << 18) /* what would be more is told at once */

static lk_attendance_context attendance_context(entry *e) {
  lk_house *house = e->house;
  return (lk_attendance_context){ .env = house->env,
                                  .limits = house->limits,
                                  .node = { house->generation, ++house->presence_calls },
                                  .entropy = lk_prng_u64(&house->ids),
                                  .now_ms = house->now_ms,
                                  .is_watched = e->is_watched };
}

static void stop_watching(entry *e) {
  lk_house_stop_timer(e->house, e->presence);
  if (e->attendance.state != NULL) return;
  lk_free_bytes(e->house->env->alloc, e->presence, sizeof *e->presence);
  e->presence = NULL;
}

/* What changed is told when the window ends. Without memory for the timer it is told with a later change. Where nobody is left,
 * nothing is kept. */
static void watch_presence(entry *e) {
  lk_heap *timers = &e->house->timers;
  lk_attendance_rest(&e->attendance);
  uint64_t deadline = lk_attendance_deadline(&e->attendance);
  if (e->presence == NULL && deadline != LK_PRESENCE_NEVER) {
    e->presence = lk_alloc_bytes(e->house->env->alloc, sizeof *e->presence);
    if (e->presence != NULL) *e->presence = (entry_timer){ LK_HEAP_ITEM_INIT, e };
  }
  if (e->presence == NULL) return;
  if (deadline == LK_PRESENCE_NEVER) stop_watching(e);
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

static void tell(entry *e, lk_profile_set profiles, lk_bus_audience audience, lk_slice event,
                 lk_slice payload) {
  for (uint32_t i = 0; payload.len > 0 && i < e->house->edges_count; i++) {
    if (e->edge_members[i] == 0) continue;
    lk_house_tell(e->house, i,
                  &(lk_bus_message){ .kind = LK_BUS_BROADCAST,
                                     .audience = audience,
                                     .topic = entry_topic(e),
                                     .event = event,
                                     .payload = payload,
                                     .profiles = profiles });
  }
}

static void tell_diff(entry *e, lk_profile_set profiles, lk_slice diff) {
  tell(e, profiles, LK_BUS_HEARERS, LK_LIT("presence_diff"), diff);
}

static void tell_state(entry *e, lk_profile_set profiles, lk_slice state) {
  tell(e, profiles, LK_BUS_WAITERS, LK_LIT("presence_state"), state);
}

/* ---- members that are served less often ---- */

static uint32_t pace_of(lk_profile profile) {
  return profile == LK_PROFILE_MINIMAL ? LK_PROFILE_MINIMAL_MS : LK_PROFILE_CONSTRAINED_MS;
}

void lk_house_init_presence(entry *e) {
  for (int i = 0; i < LK_PROFILES; i++) {
    later *l = &e->pace->presence[i];
    l->timer = (entry_timer){ LK_HEAP_ITEM_INIT, e };
    lk_buf_init(&l->diffs, e->house->env->alloc, SIZE_MAX / 4);
  }
}

void lk_house_forget_presence(entry *e, lk_profile profile) {
  later *l = &e->pace->presence[profile];
  lk_house_stop_timer(e->house, &l->timer);
  lk_buf_rest(&l->diffs, 0);
  l->owes_state = false;
  l->due_ms = 0;
}

static bool next_diff(lk_slice *all, lk_slice *diff) {
  if (all->len == 0) return false;
  uint32_t len = lk_load_le32(all->ptr);
  *diff = lk_slice_first(lk_slice_skip(*all, 4), len);
  *all = lk_slice_skip(*all, 4 + (size_t)len);
  return true;
}

/* |count| diffs, as one that says all of them. */
static lk_err merge_diffs(lk_house *self, lk_slice all, uint32_t count, lk_buf *out) {
  uint64_t seed[2];
  lk_slice *diffs = lk_alloc_array(self->env->alloc, count, sizeof *diffs);
  if (diffs == NULL) return LK_ERR_NOMEM;
  for (uint32_t i = 0; i < count; i++) (void)next_diff(&all, &diffs[i]);
  lk_house_draw_seed(self, seed);
  lk_err err = lk_presence_diffs_merge(self->env, seed, diffs, count, out);
  lk_free_array(self->env->alloc, diffs, count, sizeof *diffs);
  return err;
}

/* What cannot be merged is told one by one. */
static void tell_diffs(entry *e, lk_profile_set profiles, lk_slice all) {
  lk_buf merged;
  lk_slice diff;
  uint32_t count = 0;
  for (lk_slice rest = all; next_diff(&rest, &diff);) count++;
  lk_buf_init(&merged, e->house->env->alloc, e->house->limits->bus_frame_bytes);
  if (count > 1 && merge_diffs(e->house, all, count, &merged) == LK_OK) {
    tell_diff(e, profiles, lk_buf_slice(&merged));
  } else {
    while (next_diff(&all, &diff)) tell_diff(e, profiles, diff);
  }
  lk_buf_deinit(&merged);
}

/* Without memory for the timer it is told with what comes later. */
static void wait_until(entry *e, later *l, uint64_t at_ms) {
  if (l->timer.item.place != LK_HEAP_OUT) return;
  (void)!lk_heap_push(&e->house->timers, &l->timer.item, at_ms);
}

/* What is gathered, and nothing else. */
static void tell_gathered(entry *e, lk_profile profile) {
  later *l = &e->pace->presence[profile];
  l->due_ms = e->house->now_ms + pace_of(profile);
  tell_diffs(e, lk_profile_only(profile), lk_buf_slice(&l->diffs));
  lk_buf_rest(&l->diffs, 0);
}

/* All that has been told to full clients. */
static void tell_later(entry *e, lk_profile profile) {
  later *l = &e->pace->presence[profile];
  lk_slice state;
  lk_house_stop_timer(e->house, &l->timer);
  tell_gathered(e, profile);
  if (!l->owes_state) return;
  l->owes_state = lk_attendance_told(&e->attendance, &state) != LK_OK;
  if (l->owes_state) wait_until(e, l, l->due_ms);
  else tell_state(e, lk_profile_only(profile), state);
}

/* Who waits for a state stays without |diff|, which the state says. */
static void gather(entry *e, lk_profile profile, lk_slice diff) {
  later *l = &e->pace->presence[profile];
  if (l->diffs.len + diff.len > LATER_BYTES_MAX) tell_gathered(e, profile);
  const size_t before = l->diffs.len;
  (void)lk_buf_append_le32(&l->diffs, (uint32_t)diff.len);
  if (lk_buf_append(&l->diffs, diff) == LK_OK) return;
  LK_COVERED(house_presence_without_memory);
  lk_buf_truncate(&l->diffs, before);
  tell_gathered(e, profile);
  tell_diff(e, lk_profile_only(profile), diff);
}

static void note_later(entry *e, lk_profile profile, lk_slice diff, bool somebody_waits) {
  later *l = &e->pace->presence[profile];
  if (e->pace->members[profile] == 0 || (diff.len == 0 && !somebody_waits)) return;
  const bool is_due = e->house->now_ms >= l->due_ms;
  if (diff.len > 0) gather(e, profile, diff);
  l->owes_state = l->owes_state || somebody_waits;
  if (is_due) tell_later(e, profile);
  else wait_until(e, l, l->due_ms);
}

bool lk_house_tick_presence(entry *e, const entry_timer *timer) {
  for (int i = 0; i < LK_PROFILES; i++) {
    if (timer != &e->pace->presence[i].timer) continue;
    tell_later(e, (lk_profile)i);
    return true;
  }
  return false;
}

/* What was told to those whom it leaves is told to it, too; and nothing of it again by those to whom it comes. */
void lk_house_flush_presence(entry *e, uint64_t number) {
  bool owes_state = false;
  for (int i = 0; e->pace != NULL && i < LK_PROFILES; i++) {
    const later *l = &e->pace->presence[i];
    if (l->diffs.len > 0 || l->owes_state) tell_later(e, (lk_profile)i);
    owes_state = owes_state || l->owes_state;
  }
  if (owes_state) lk_house_repeat_attendance(e, number);
}

/* ---- who is there ---- */

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
  bool is_heard;
  lk_attendance_context context = attendance_context(e);
  bool has_turned = lk_attendance_turns(&e->attendance, &context, &is_heard);
  if (!e->kind->knows_people) return;
  if (has_turned) lk_house_run_room(e, (lk_room_input){ .kind = LK_ROOM_LOOK, .ok = is_heard });
  if (e->state != ENTRY_OPEN) return;
  if (!lk_attendance_take_fresh(&e->attendance, &context, &fresh)) return;
  while (e->state == ENTRY_OPEN && lk_map_next(&fresh, &cursor, &key, &value))
    tell_seen(e, lk_load_le64(key.ptr));
  lk_map_deinit(&fresh);
}

/* Of what profiles those are who wait for a state. */
static lk_profile_set waiting_of(const lk_house *self, const lk_presence_flush *flush) {
  lk_profile_set set = 0;
  for (uint32_t i = 0; i < flush->joiner_count; i++) {
    const member *m = lk_house_find_member(self, flush->joiners[i]);
    if (m != NULL) set = (lk_profile_set)(set | lk_profile_only((lk_profile)m->profile));
  }
  return set;
}

/* First the changes, to those who know the rest; then the state, to those who know nothing. */
static void tell_flush(entry *e, const lk_presence_flush *flush) {
  const lk_profile_set full = lk_profile_only(LK_PROFILE_FULL);
  if (e->pace == NULL) {
    tell_diff(e, 0, flush->diff);
    tell_state(e, 0, flush->state);
    return;
  }
  const lk_profile_set waiting = waiting_of(e->house, flush);
  tell_diff(e, full, flush->diff);
  if ((waiting & full) != 0) tell_state(e, full, flush->state);
  for (int i = LK_PROFILE_FULL + 1; i < LK_PROFILES; i++)
    note_later(e, (lk_profile)i, flush->diff, (waiting >> i & 1) != 0);
}

void lk_house_tell_attendance(entry *e) {
  lk_presence_flush flush;
  ask_who_is_there(e);
  if (e->state != ENTRY_OPEN) return;
  if (lk_attendance_tick(&e->attendance, e->house->now_ms, &flush) == LK_OK) tell_flush(e, &flush);
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
