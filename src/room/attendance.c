/* room/attendance.c -- reading what members ask for; the rest is channel/presence.c's.
 *
 * Most joins ask for nothing. Their payload is not parsed: the word does not occur in it. */
#include "room/attendance.h"

#include "codec/hex.h"
#include "codec/json_reader.h"

#define SCRATCH_MAX ((size_t)1 << 22)

typedef enum verb { TRACK, UPDATE, UNTRACK, CURSOR, NONE } verb;

static const lk_slice cursor_pos = LK_LIT_INIT("cursor_pos");

typedef struct wish {
  bool hears;
  bool has_key;
  lk_slice key;
  lk_slice meta;
} wish;

/* ---- reading ---- */

static verb verb_of(lk_slice event) {
  if (lk_slice_equal(event, cursor_pos)) return CURSOR;
  if (!lk_slice_starts_with(event, LK_LIT("presence."))) return NONE;
  event = lk_slice_skip(event, 9);
  if (lk_slice_equal(event, LK_LIT("track"))) return TRACK;
  if (lk_slice_equal(event, LK_LIT("update"))) return UPDATE;
  return lk_slice_equal(event, LK_LIT("untrack")) ? UNTRACK : NONE;
}

bool lk_attendance_knows(lk_slice event, bool has_cursors) {
  verb v = verb_of(event);
  return v == CURSOR ? has_cursors : v != NONE;
}

/* {"key": text, "meta": object}, either may be absent. */
static lk_err read_wish(lk_arena *scratch, const lk_limits *limits, lk_slice text, wish *out) {
  lk_json_member members[2] = { { .name = LK_LIT("key") }, { .name = LK_LIT("meta") } };
  lk_json_reader in;
  lk_err err = lk_json_reader_init(&in, text, limits, scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, members, 2);
  if (err != LK_OK) return err == LK_ERR_TYPE ? LK_ERR_PAYLOAD : err;
  out->has_key = members[0].value.kind != LK_JSON_ABSENT;
  if (out->has_key && members[0].value.kind != LK_JSON_STRING) return LK_ERR_PAYLOAD;
  out->key = members[0].value.text;
  out->meta = members[1].value.kind == LK_JSON_ABSENT ? LK_LIT("{}") : members[1].raw;
  return LK_OK;
}

static lk_err read_join(lk_arena *scratch, const lk_limits *limits, lk_slice payload, wish *out) {
  lk_json_member member = { .name = LK_LIT("presence") };
  lk_json_reader in;
  *out = (wish){ 0 };
  if (lk_slice_find(payload, LK_LIT("presence")) == LK_SLICE_NONE) return LK_OK;
  lk_err err = lk_json_reader_init(&in, payload, limits, scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, &member, 1);
  if (err == LK_ERR_TYPE || (err == LK_OK && member.value.kind == LK_JSON_ABSENT)) return LK_OK;
  if (err != LK_OK) return err;
  out->hears = true;
  return read_wish(scratch, limits, member.raw, out);
}

/* ---- the object ---- */

typedef struct lk_attendance_state {
  const lk_alloc *alloc;
  lk_presence presence;
  lk_arena scratch;
} attendance_state;

static lk_err make(lk_attendance *self, const lk_attendance_context *context) {
  uint8_t node[32], bytes[16];
  if (self->state != NULL) return LK_OK;
  attendance_state *state = lk_alloc_bytes(context->env->alloc, sizeof *state);
  if (state == NULL) return LK_ERR_NOMEM;
  state->alloc = context->env->alloc;
  lk_store_be64(bytes, context->node[0]);
  lk_store_be64(bytes + 8, context->node[1]);
  lk_hex_store(node, lk_slice_of(bytes, sizeof bytes));
  const lk_presence_options options = { .env = context->env,
                                        .limits = context->limits,
                                        .node = lk_slice_of(node, sizeof node),
                                        .hash_seed = { context->entropy, context->node[0] } };
  lk_err err = lk_presence_init(&state->presence, &options);
  if (err != LK_OK) {
    lk_free_bytes(state->alloc, state, sizeof *state);
    return err;
  }
  lk_arena_init(&state->scratch, state->alloc, SCRATCH_MAX);
  self->state = state;
  return LK_OK;
}

void lk_attendance_deinit(lk_attendance *self) {
  attendance_state *state = self->state;
  if (state == NULL) return;
  lk_presence_deinit(&state->presence);
  lk_arena_deinit(&state->scratch);
  lk_free_bytes(state->alloc, state, sizeof *state);
  self->state = NULL;
}

static lk_err enter(lk_attendance *self, const lk_attendance_context *context, uint64_t member,
                    const wish *w) {
  lk_err err = make(self, context);
  if (err == LK_OK) err = lk_presence_join(&self->state->presence, member, context->now_ms);
  if (err == LK_OK && w->has_key) {
    err = lk_presence_track(&self->state->presence, member, w->key, w->meta, context->entropy,
                            context->now_ms);
    if (err != LK_OK) lk_presence_leave(&self->state->presence, member, context->now_ms);
  }
  return err;
}

lk_err lk_attendance_enter(lk_attendance *self, const lk_attendance_context *context,
                           uint64_t member, lk_slice payload, bool *hears) {
  lk_arena scratch;
  wish w;
  lk_arena_init(&scratch, context->env->alloc, SCRATCH_MAX);
  lk_err err = read_join(&scratch, context->limits, payload, &w);
  if (err == LK_OK && w.hears) err = enter(self, context, member, &w);
  lk_arena_deinit(&scratch);
  if (err == LK_OK) *hears = w.hears;
  return err;
}

void lk_attendance_leave(lk_attendance *self, uint64_t member, uint64_t now_ms) {
  if (self->state != NULL) lk_presence_leave(&self->state->presence, member, now_ms);
}

void lk_attendance_repeat(lk_attendance *self, uint64_t member, uint64_t now_ms) {
  if (self->state != NULL) lk_presence_repeat(&self->state->presence, member, now_ms);
}

lk_err lk_attendance_change(lk_attendance *self, const lk_attendance_context *context,
                            uint64_t member, lk_slice event, lk_slice payload) {
  wish w = { 0 };
  lk_err err = make(self, context);
  if (err != LK_OK) return err;
  lk_arena_reset(&self->state->scratch);
  if (verb_of(event) == CURSOR)
    return lk_presence_set_field(&self->state->presence, member, cursor_pos, payload,
                                 context->entropy, context->now_ms);
  err = read_wish(&self->state->scratch, context->limits, payload, &w);
  if (err == LK_OK && !w.has_key) err = LK_ERR_PAYLOAD;
  if (err != LK_OK) return err;
  switch (verb_of(event)) {
  case TRACK:
    return lk_presence_track(&self->state->presence, member, w.key, w.meta, context->entropy,
                             context->now_ms);
  case UPDATE:
    return lk_presence_update(&self->state->presence, member, w.key, w.meta, context->entropy,
                              context->now_ms);
  case UNTRACK: return lk_presence_untrack(&self->state->presence, member, w.key, context->now_ms);
  case CURSOR:
  case NONE: break;
  }
  LK_UNREACHABLE();
}

uint64_t lk_attendance_deadline(const lk_attendance *self) {
  return self->state != NULL ? lk_presence_deadline(&self->state->presence) : LK_PRESENCE_NEVER;
}

lk_err lk_attendance_tick(lk_attendance *self, uint64_t now_ms, lk_slice *diff, lk_slice *state) {
  lk_presence_flush flush = { 0 };
  *diff = *state = LK_SLICE_EMPTY;
  if (self->state == NULL) return LK_OK;
  lk_err err = lk_presence_tick(&self->state->presence, now_ms, &flush);
  if (err != LK_OK) return err;
  *diff = flush.diff;
  *state = flush.state;
  return LK_OK;
}
