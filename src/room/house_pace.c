/* room/house_pace.c -- members that are not served at once: what is sent to all goes to them less often, and as less.
 *
 *   BROADCAST ──> full clients, at once
 *            └──> gathered ──100 ms──> constrained clients: as one where the kind can merge, in turn where not
 *            └──> noted   ──1000 ms──> RENDER to the room, whose BROADCAST goes to minimal clients alone
 *
 * Merged messages go to their authors, too: what they said is in them. A kind that renders nothing has minimal clients
 * served like constrained ones. While nobody is slow there is none of this.
 *
 * The edge knows who is served how, and is told by which profiles a message is for. Presence has merging, and a pace, of its own:
 * house_presence.c. */
#include "room/house_parts.h"

#define PACE_BYTES_MAX ((size_t)1 << 16) /* gathered beyond it is sent at once */
#define SCRATCH_MAX ((size_t)1 << 20)

/* One gathered message, in front of its event and payload. */
typedef struct gathered {
  uint64_t member;
  uint32_t event_len;
  uint32_t payload_len;
  bool binary;
} gathered;

static lk_profile_set constrained_set(const entry *e) {
  lk_profile_set set = lk_profile_only(LK_PROFILE_CONSTRAINED);
  return e->kind->renders ? set : (lk_profile_set)(set | lk_profile_only(LK_PROFILE_MINIMAL));
}

static bool has_gatherers(const entry *e) {
  return e->pace->members[LK_PROFILE_CONSTRAINED] > 0 ||
         (!e->kind->renders && e->pace->members[LK_PROFILE_MINIMAL] > 0);
}

/* ---- who ---- */

/* Most joins say nothing of it: then nothing is parsed. */
static bool may_speak_of_it(lk_slice params) {
  return lk_slice_find(params, LK_LIT("has_")) != LK_SLICE_NONE ||
         lk_slice_find(params, LK_LIT("memory_mb")) != LK_SLICE_NONE ||
         lk_slice_find(params, LK_LIT("_type\"")) != LK_SLICE_NONE;
}

lk_err lk_house_read_profile(lk_house *self, lk_slice params, lk_profile *out, lk_slice *field) {
  lk_capabilities capabilities;
  lk_arena scratch;
  *out = LK_PROFILE_FULL;
  *field = LK_SLICE_EMPTY;
  if (!may_speak_of_it(params)) return LK_OK;
  lk_arena_init(&scratch, self->env->alloc, SCRATCH_MAX);
  lk_err err = lk_capabilities_read(params, self->limits, &scratch, &capabilities, field);
  if (err == LK_OK) *out = lk_profile_of(self->policy->profiles, &capabilities);
  lk_arena_deinit(&scratch);
  return err;
}

static lk_err make_pace(entry *e) {
  if (e->pace != NULL) return LK_OK;
  e->pace = lk_alloc_bytes(e->house->env->alloc, sizeof *e->pace);
  if (e->pace == NULL) return LK_ERR_NOMEM;
  *e->pace = (pace){ .gather = { LK_HEAP_ITEM_INIT, e }, .render = { LK_HEAP_ITEM_INIT, e } };
  lk_buf_init(&e->pace->waiting, e->house->env->alloc, SIZE_MAX / 4);
  lk_house_init_presence(e);
  return LK_OK;
}

void lk_house_free_pace(entry *e) {
  if (e->pace == NULL) return;
  lk_house_stop_timer(e->house, &e->pace->gather);
  lk_house_stop_timer(e->house, &e->pace->render);
  for (int i = 0; i < LK_PROFILES; i++) lk_house_forget_presence(e, (lk_profile)i);
  lk_buf_deinit(&e->pace->waiting);
  lk_free_bytes(e->house->env->alloc, e->pace, sizeof *e->pace);
  e->pace = NULL;
}

/* Without memory for it the member is served in full. Who is skipped hears none of it. */
void lk_house_enter_pace(member *m) {
  if (m->profile == LK_PROFILE_FULL || m->is_skipped) return;
  if (make_pace(m->entry) == LK_OK) m->entry->pace->members[m->profile]++;
  else m->profile = LK_PROFILE_FULL;
}

void lk_house_leave_pace(member *m) {
  pace *its = m->entry->pace;
  if (m->profile == LK_PROFILE_FULL || m->is_skipped || its == NULL) return;
  if (--its->members[m->profile] == 0) lk_house_forget_presence(m->entry, (lk_profile)m->profile);
  for (int i = 0; i < LK_PROFILES; i++) {
    if (its->members[i] > 0) return;
  }
  lk_house_free_pace(m->entry);
}

/* ---- what ---- */

static void send(entry *e, lk_profile_set profiles, const gathered *g, lk_slice event,
                 lk_slice payload) {
  lk_house_send_to_all(e, &(lk_room_effect){ .kind = LK_ROOM_BROADCAST,
                                             .member = g->member,
                                             .event = event,
                                             .payload = payload,
                                             .binary = g->binary,
                                             .profiles = profiles });
}

/* Reads one message at |*at|; false where there is none. */
static bool next_gathered(lk_slice all, size_t *at, gathered *g, lk_slice *event,
                          lk_slice *payload) {
  if (*at == all.len) return false;
  memcpy(g, all.ptr + *at, sizeof *g);
  *event = lk_slice_of(all.ptr + *at + sizeof *g, g->event_len);
  *payload = lk_slice_of(event->ptr + g->event_len, g->payload_len);
  *at += sizeof *g + g->event_len + g->payload_len;
  return true;
}

/* All that is gathered of |event|, as one. LK_ERR_UNSUPPORTED. */
static lk_err merge_event(entry *e, lk_slice all, lk_slice event, lk_slice *payloads, lk_buf *out) {
  gathered g;
  lk_slice other, payload;
  size_t count = 0;
  for (size_t at = 0; next_gathered(all, &at, &g, &other, &payload);) {
    if (lk_slice_equal(other, event)) payloads[count++] = payload;
  }
  return e->kind->merge(e->house->env, event, payloads, count, out);
}

/* What became of the messages of one event: those of most rooms have one or two. */
#define OUTCOMES_MAX 8
typedef struct outcome {
  lk_slice event;
  bool is_merged; /* all of them were sent with the first */
} outcome;

static const outcome *find_outcome(const outcome *items, uint32_t count, lk_slice event) {
  for (uint32_t i = 0; i < count; i++) {
    if (lk_slice_equal(items[i].event, event)) return &items[i];
  }
  return NULL;
}

static bool send_merged(entry *e, lk_slice all, const gathered *g, lk_slice event,
                        lk_slice *payloads) {
  lk_buf merged;
  const gathered to_all = { .binary = g->binary };
  if (e->kind->merge == NULL) return false;
  lk_buf_init(&merged, e->house->env->alloc, e->house->limits->bus_frame_bytes);
  lk_err err = merge_event(e, all, event, payloads, &merged);
  if (err == LK_OK) send(e, constrained_set(e), &to_all, event, lk_buf_slice(&merged));
  lk_buf_deinit(&merged);
  return err == LK_OK;
}

static void send_gathered(entry *e, lk_slice all, lk_slice *payloads) {
  outcome outcomes[OUTCOMES_MAX];
  uint32_t count = 0;
  gathered g;
  lk_slice event, payload;
  for (size_t at = 0; next_gathered(all, &at, &g, &event, &payload);) {
    const outcome *before = find_outcome(outcomes, count, event);
    if (before == NULL && count < OUTCOMES_MAX) {
      outcomes[count] = (outcome){ event, send_merged(e, all, &g, event, payloads) };
      before = &outcomes[count++];
    }
    if (before == NULL || !before->is_merged) send(e, constrained_set(e), &g, event, payload);
  }
}

static uint32_t count_gathered(lk_slice all) {
  gathered g;
  lk_slice event, payload;
  uint32_t count = 0;
  for (size_t at = 0; next_gathered(all, &at, &g, &event, &payload);) count++;
  return count;
}

static void flush(entry *e) {
  const lk_alloc *alloc = e->house->env->alloc;
  lk_buf waiting = e->pace->waiting;
  lk_slice all = lk_buf_slice(&waiting);
  uint32_t count = count_gathered(all);
  lk_buf_init(&e->pace->waiting, alloc, SIZE_MAX / 4);
  lk_house_stop_timer(e->house, &e->pace->gather);
  lk_slice *payloads = lk_alloc_array(alloc, count, sizeof *payloads);
  if (payloads != NULL) {
    send_gathered(e, all, payloads);
    lk_free_array(alloc, payloads, count, sizeof *payloads);
  } else { /* each by itself */
    gathered g;
    lk_slice event, payload;
    for (size_t at = 0; next_gathered(all, &at, &g, &event, &payload);)
      send(e, constrained_set(e), &g, event, payload);
  }
  lk_buf_deinit(&waiting);
}

static void arm(entry *e, entry_timer *timer, uint64_t after_ms) {
  if (timer->item.place != LK_HEAP_OUT) return;
  /* Without memory for the timer it goes with what comes later. */
  (void)!lk_heap_push(&e->house->timers, &timer->item, e->house->now_ms + after_ms);
}

static void gather(entry *e, const lk_room_effect *effect) {
  lk_buf *out = &e->pace->waiting;
  size_t before = out->len;
  const gathered g = { effect->member, (uint32_t)effect->event.len, (uint32_t)effect->payload.len,
                       effect->binary };
  (void)lk_buf_append(out, lk_slice_of((const uint8_t *)&g, sizeof g));
  (void)lk_buf_append(out, effect->event);
  if (lk_buf_append(out, effect->payload) != LK_OK) {
    LK_COVERED(house_pace_without_memory);
    lk_buf_truncate(out, before);
    send(e, constrained_set(e), &g, effect->event, effect->payload);
  }
  arm(e, &e->pace->gather, LK_PROFILE_CONSTRAINED_MS);
  if (out->len > PACE_BYTES_MAX) flush(e);
}

void lk_house_note_pace(entry *e, const lk_room_effect *effect) {
  if (has_gatherers(e)) gather(e, effect);
  if (e->kind->renders && e->pace->members[LK_PROFILE_MINIMAL] > 0)
    arm(e, &e->pace->render, LK_PROFILE_MINIMAL_MS);
}

bool lk_house_tick_pace(entry *e, const entry_timer *timer) {
  if (e->pace == NULL) return false;
  if (lk_house_tick_presence(e, timer)) return true;
  if (timer != &e->pace->gather && timer != &e->pace->render) return false;
  if (timer == &e->pace->gather) flush(e);
  else lk_house_run_room(e, (lk_room_input){ .kind = LK_ROOM_RENDER });
  return true;
}

/* ---- changing ---- */

bool lk_house_is_of_pace(lk_slice event) { return lk_slice_equal(event, LK_LIT("capabilities")); }

/* {"profile":"..."}; names need no escapes. */
static void answer_profile(lk_house *self, const member *m, uint64_t request) {
  lk_buf text;
  lk_buf_init(&text, self->env->alloc, 100);
  (void)lk_buf_append(&text, LK_LIT("{\"profile\":\""));
  (void)lk_buf_append(&text, lk_profile_name((lk_profile)m->profile));
  bool is_whole = lk_buf_append(&text, LK_LIT("\"}")) == LK_OK;
  lk_house_settle(self, m->number, request);
  lk_house_tell(self, edge_of(m->number),
                &(lk_bus_message){ .kind = LK_BUS_REPLY,
                                   .request = request,
                                   .event = LK_LIT("ok"),
                                   .payload = is_whole ? lk_buf_slice(&text) : LK_LIT("{}"),
                                   .profiles = lk_profile_only((lk_profile)m->profile) });
  lk_buf_deinit(&text);
}

/* Names and texts of errors need no escapes. */
lk_slice lk_house_profile_refusal(lk_house *self, lk_err why, lk_slice field) {
  lk_buf *out = &self->kept;
  lk_buf_truncate(out, 0);
  (void)lk_buf_append(out, LK_LIT("{\"reason\":\""));
  (void)lk_buf_append(out, lk_slice_cstr(lk_err_name(why)));
  (void)lk_buf_append(out, LK_LIT("\",\"field\":\""));
  (void)lk_buf_append(out, field);
  (void)lk_buf_append(out, LK_LIT("\",\"message\":\""));
  (void)lk_buf_append(out, lk_slice_cstr(lk_err_text(why)));
  return lk_buf_append(out, LK_LIT("\"}")) == LK_OK ? lk_buf_slice(out) : LK_LIT("{}");
}

void lk_house_flush_pace(entry *e) {
  if (e->pace != NULL && e->pace->waiting.len > 0) flush(e);
}

/* What is gathered is sent before anybody stops gathering. */
void lk_house_set_pace(member *m, lk_profile profile) {
  entry *e = m->entry;
  lk_house_flush_pace(e);
  lk_house_flush_presence(e, m->number);
  lk_house_leave_pace(m);
  m->profile = (uint8_t)profile;
  lk_house_enter_pace(m);
}

void lk_house_change_pace(entry *e, member *m, uint64_t request, lk_slice payload) {
  lk_house *house = e->house;
  lk_profile profile;
  lk_slice field;
  lk_err err = lk_house_read_profile(house, payload, &profile, &field);
  if (err != LK_OK) {
    lk_house_answer(house, m->number, request, LK_BUS_REPLY, LK_LIT("error"),
                    lk_house_profile_refusal(house, err, field), false);
    return;
  }
  m->own_profile = (uint8_t)profile;
  if (m->lag != LK_BUS_IN_STEP && profile == LK_PROFILE_FULL) profile = LK_PROFILE_CONSTRAINED;
  lk_house_set_pace(m, profile);
  answer_profile(house, m, request);
}
