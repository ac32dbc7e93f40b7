/* room/attendance.c -- reading what members ask for; the rest is channel/presence.c's.
 *
 * Most joins ask for nothing. Their payload is not parsed: the word does not occur in it.
 *
 * What a room knows of its members by itself ("bridged") is kept beside what they show: whenever a member changes its own meta, the
 * fields that are lent to it are added anew. A member that shows nothing of its own is a guest: it is tracked
 * under a key that the room chose, until it shows something, and then no more. */
#include "room/attendance.h"

#include "codec/hex.h"
#include "codec/json_reader.h"

#define SCRATCH_MAX ((size_t)1 << 22)

typedef enum verb { TRACK, UPDATE, UNTRACK, CURSOR, NONE } verb;

/* How long what members show waits to be told to the room. Rooms count on it: see room.h. */
#define FRESH_MS 100

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

/* What the room knows of one member. */
typedef struct bridged {
  bool is_guest; /* it shows nothing of its own */
  uint32_t key_len;
  uint32_t who_len;
  uint8_t *bytes; /* owned: key, who */
} bridged;

typedef struct bridge {
  lk_map known; /* member -> bridged */
  lk_map fresh; /* members of whom the room is to be told */
  bool owes_all;
  uint64_t fresh_at_ms; /* NEVER: nothing is to be told */
  uint64_t seed[2];
} bridge;

typedef struct lk_attendance_state {
  const lk_alloc *alloc;
  lk_presence presence;
  lk_arena scratch;
  bridge *bridge; /* NULL where rooms know nothing, and want to know nothing */
  bool is_heard;  /* as the room was told */
} attendance_state;

static lk_err make(lk_attendance *self, const lk_attendance_context *context) {
  uint8_t node[32], bytes[16];
  if (self->state != NULL) return LK_OK;
  attendance_state *state = lk_alloc_bytes(context->env->alloc, sizeof *state);
  if (state == NULL) return LK_ERR_NOMEM;
  *state = (attendance_state){ .alloc = context->env->alloc };
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

static void free_bridge(attendance_state *state) {
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  if (state->bridge == NULL) return;
  while (lk_map_next(&state->bridge->known, &cursor, &key, &value)) {
    const bridged *b = value;
    lk_free_bytes(state->alloc, b->bytes, (size_t)b->key_len + b->who_len);
  }
  lk_map_deinit(&state->bridge->known);
  lk_map_deinit(&state->bridge->fresh);
  lk_free_bytes(state->alloc, state->bridge, sizeof *state->bridge);
}

void lk_attendance_deinit(lk_attendance *self) {
  attendance_state *state = self->state;
  if (state == NULL) return;
  free_bridge(state);
  lk_presence_deinit(&state->presence);
  lk_arena_deinit(&state->scratch);
  lk_free_bytes(state->alloc, state, sizeof *state);
  self->state = NULL;
}

/* ---- what the room is told ---- */

static lk_slice key_of(uint64_t member, uint8_t bytes[8]) {
  lk_store_le64(bytes, member);
  return lk_slice_of(bytes, 8);
}

/* NULL without memory. */
static bridge *need_bridge(attendance_state *state, const lk_attendance_context *context) {
  if (state->bridge != NULL) return state->bridge;
  bridge *b = lk_alloc_bytes(state->alloc, sizeof *b);
  if (b == NULL) return NULL;
  *b = (bridge){ .fresh_at_ms = LK_PRESENCE_NEVER, .seed = { context->entropy, context->node[1] } };
  lk_map_init(&b->known, state->alloc, sizeof(bridged), UINT32_MAX / 4, b->seed);
  lk_map_init(&b->fresh, state->alloc, 0, UINT32_MAX / 4, b->seed);
  return state->bridge = b;
}

static bridged *find_bridged(const attendance_state *state, uint64_t member) {
  uint8_t bytes[8];
  if (state->bridge == NULL) return NULL;
  return lk_map_get(&state->bridge->known, key_of(member, bytes));
}

/* What cannot be noted is told with all the rest. */
static void note_fresh(bridge *b, uint64_t member) {
  uint8_t bytes[8];
  void *value;
  bool is_new;
  if (lk_map_put(&b->fresh, key_of(member, bytes), &value, &is_new) != LK_OK) b->owes_all = true;
}

static void wait_for_more(bridge *b, uint64_t now_ms) {
  if (b->fresh_at_ms == LK_PRESENCE_NEVER) b->fresh_at_ms = now_ms + FRESH_MS;
}

/* |member| shows something else by itself. Of one that the room knows in another way, it need not hear in this one. */
static void changed(attendance_state *state, const lk_attendance_context *context,
                    uint64_t member) {
  if (!context->is_watched || find_bridged(state, member) != NULL) return;
  bridge *b = need_bridge(state, context);
  if (b == NULL) return; /* with its next change */
  note_fresh(b, member);
  wait_for_more(b, context->now_ms);
}

void lk_attendance_recall(lk_attendance *self, const lk_attendance_context *context) {
  bridge *b = self->state == NULL ? NULL : need_bridge(self->state, context);
  if (b == NULL) return;
  b->owes_all = true;
  wait_for_more(b, context->now_ms);
}

bool lk_attendance_take_fresh(lk_attendance *self, const lk_attendance_context *context,
                              lk_map *out) {
  uint32_t cursor = 0;
  uint64_t member;
  bridge *b = self->state == NULL ? NULL : self->state->bridge;
  if (b == NULL || context->now_ms < b->fresh_at_ms) return false;
  const bool is_for_all = b->owes_all;
  b->owes_all = false;
  b->fresh_at_ms = LK_PRESENCE_NEVER;
  while (is_for_all && lk_presence_next_member(&self->state->presence, &cursor, &member)) {
    if (find_bridged(self->state, member) == NULL) note_fresh(b, member);
  }
  if (b->owes_all) wait_for_more(b, context->now_ms); /* memory is out */
  *out = b->fresh;
  lk_map_init(&b->fresh, self->state->alloc, 0, UINT32_MAX / 4, b->seed);
  return true;
}

bool lk_attendance_shown_by(const lk_attendance *self, uint64_t member, lk_slice *key,
                            lk_slice *meta) {
  const attendance_state *state = self->state;
  return state != NULL && find_bridged(state, member) == NULL &&
         lk_presence_first_of(&state->presence, member, key, meta);
}

/* ---- what the room knows ---- */

static lk_err read_who(attendance_state *state, const lk_limits *limits, lk_slice who,
                       lk_presence_field fields[2]) {
  lk_json_member members[2] = { { .name = LK_LIT("user") }, { .name = LK_LIT("cursor") } };
  lk_json_reader in;
  lk_err err = lk_json_reader_init(&in, who, limits, &state->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, members, 2);
  for (int i = 0; err == LK_OK && i < 2; i++) {
    fields[i] = (lk_presence_field){ .name = members[i].name };
    if (members[i].value.kind != LK_JSON_ABSENT) fields[i].value = members[i].raw;
  }
  return err;
}

/* What is too long for a meta is left out: first the cursor. */
static void lend(attendance_state *state, const lk_attendance_context *context, uint64_t member,
                 lk_slice who) {
  lk_presence_field fields[2];
  lk_arena_reset(&state->scratch);
  lk_err err = read_who(state, context->limits, who, fields);
  if (err != LK_OK) return;
  for (int count = 2; count >= 0; count--) {
    if (count < 2) fields[count].value = LK_SLICE_EMPTY;
    err = lk_presence_lend(&state->presence, member, fields, 2, context->entropy, context->now_ms);
    if (err != LK_ERR_TOO_BIG) return;
    LK_COVERED(attendance_lends_less);
  }
}

static void show_bridged(attendance_state *state, const lk_attendance_context *context,
                         uint64_t member, bridged *b) {
  lk_slice key, meta;
  lk_presence *p = &state->presence;
  if (!lk_presence_first_of(p, member, &key, &meta)) {
    /* The other half is for those who want to be seen: where that is full they cannot come in. */
    lk_slice guest_key = lk_slice_of(b->bytes, b->key_len);
    b->is_guest = lk_presence_is_half_empty(p, guest_key) &&
                  lk_presence_track(p, member, guest_key, LK_LIT("{}"), context->entropy,
                                    context->now_ms) == LK_OK;
    if (!b->is_guest) return;
  }
  lend(state, context, member, lk_slice_of(b->bytes + b->key_len, b->who_len));
}

/* It is a guest no more, and shows nothing for the moment. */
static void hide_guest(attendance_state *state, uint64_t member, bridged *b, uint64_t now_ms) {
  lk_slice key, meta;
  if (!b->is_guest || !lk_presence_first_of(&state->presence, member, &key, &meta)) return;
  uint8_t bytes[256];
  LK_ASSERT(key.len <= sizeof bytes); /* channel_name_bytes, at its ceiling */
  memcpy(bytes, key.ptr, key.len);
  if (lk_presence_untrack(&state->presence, member, lk_slice_of(bytes, key.len), now_ms) == LK_OK)
    b->is_guest = false;
}

static void forget_bridged(attendance_state *state, uint64_t member) {
  uint8_t bytes[8];
  const bridged *b = find_bridged(state, member);
  if (b == NULL) return;
  lk_free_bytes(state->alloc, b->bytes, (size_t)b->key_len + b->who_len);
  (void)lk_map_remove(&state->bridge->known, key_of(member, bytes));
}

static void unknow(attendance_state *state, const lk_attendance_context *context, uint64_t member) {
  bridged *b = find_bridged(state, member);
  if (b == NULL) return;
  if (b->is_guest) hide_guest(state, member, b, context->now_ms);
  else lend(state, context, member, LK_LIT("{}"));
  forget_bridged(state, member);
}

/* False without memory. */
static bool set_bridged(const attendance_state *state, bridged *b, lk_slice key, lk_slice who) {
  uint8_t *bytes = lk_alloc_bytes(state->alloc, key.len + who.len);
  if (bytes == NULL) return false;
  if (key.len > 0) memcpy(bytes, key.ptr, key.len);
  memcpy(bytes + key.len, who.ptr, who.len);
  lk_free_bytes(state->alloc, b->bytes, (size_t)b->key_len + b->who_len);
  b->bytes = bytes;
  b->key_len = (uint32_t)key.len; /* both are of one message */
  b->who_len = (uint32_t)who.len;
  return true;
}

void lk_attendance_show(lk_attendance *self, const lk_attendance_context *context, uint64_t member,
                        lk_slice key, lk_slice who) {
  attendance_state *state = self->state;
  uint8_t bytes[8];
  void *value;
  bool is_new;
  if (state == NULL || !state->is_heard) return;
  if (who.len == 0) {
    unknow(state, context, member);
    return;
  }
  bridge *all = need_bridge(state, context);
  if (all == NULL || lk_map_put(&all->known, key_of(member, bytes), &value, &is_new) != LK_OK)
    return;
  bridged *b = value;
  if (!is_new && lk_slice_equal(lk_slice_of(b->bytes + b->key_len, b->who_len), who)) return;
  if (set_bridged(state, b, key, who)) show_bridged(state, context, member, b);
  else if (is_new) (void)lk_map_remove(&all->known, key_of(member, bytes));
}

/* The fields are taken back one by one: those of members who show themselves, and hear nothing, stay without them. */
static void unknow_all(attendance_state *state, const lk_attendance_context *context) {
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  if (state->bridge == NULL) return;
  while (lk_map_next(&state->bridge->known, &cursor, &key, &value))
    unknow(state, context, lk_load_le64(key.ptr));
}

bool lk_attendance_turns(lk_attendance *self, const lk_attendance_context *context,
                         bool *is_heard) {
  attendance_state *state = self->state;
  if (state == NULL || state->is_heard == lk_presence_is_heard(&state->presence)) return false;
  state->is_heard = *is_heard = !state->is_heard;
  if (!state->is_heard) unknow_all(state, context);
  return true;
}

/* ---- what members want ---- */

static lk_err enter(lk_attendance *self, const lk_attendance_context *context, uint64_t member,
                    const wish *w) {
  lk_err err = make(self, context);
  if (err == LK_OK) err = lk_presence_join(&self->state->presence, member, context->now_ms);
  if (err == LK_OK && w->has_key) {
    err = lk_presence_track(&self->state->presence, member, w->key, w->meta, context->entropy,
                            context->now_ms);
    if (err != LK_OK) lk_presence_leave(&self->state->presence, member, context->now_ms);
    else changed(self->state, context, member);
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
  uint8_t bytes[8];
  if (self->state == NULL) return;
  lk_presence_leave(&self->state->presence, member, now_ms);
  forget_bridged(self->state, member);
  if (self->state->bridge != NULL)
    (void)lk_map_remove(&self->state->bridge->fresh, key_of(member, bytes));
}

void lk_attendance_repeat(lk_attendance *self, uint64_t member, uint64_t now_ms) {
  if (self->state != NULL) lk_presence_repeat(&self->state->presence, member, now_ms);
}

static lk_err change(attendance_state *state, const lk_attendance_context *context, uint64_t member,
                     verb v, const wish *w) {
  lk_presence *p = &state->presence;
  bridged *known = find_bridged(state, member);
  lk_err err = LK_ERR_NOT_FOUND;
  if (known != NULL && v == TRACK) hide_guest(state, member, known, context->now_ms);
  const bool is_guest = known != NULL && known->is_guest;
  if (v == TRACK)
    err = lk_presence_track(p, member, w->key, w->meta, context->entropy, context->now_ms);
  else if (v == UPDATE && !is_guest)
    err = lk_presence_update(p, member, w->key, w->meta, context->entropy, context->now_ms);
  else if (v == UNTRACK)
    err = is_guest ? LK_OK : lk_presence_untrack(p, member, w->key, context->now_ms);
  if (known != NULL) show_bridged(state, context, member, known);
  return err;
}

lk_err lk_attendance_change(lk_attendance *self, const lk_attendance_context *context,
                            uint64_t member, lk_slice event, lk_slice payload) {
  wish w = { 0 };
  verb v = verb_of(event);
  lk_err err = make(self, context);
  if (err != LK_OK) return err;
  attendance_state *state = self->state;
  lk_arena_reset(&state->scratch);
  if (v == CURSOR) {
    err = lk_presence_set_field(&state->presence, member, cursor_pos, payload, context->entropy,
                                context->now_ms);
  } else {
    lk_arena scratch; /* not that of |state|, which is used meanwhile */
    lk_arena_init(&scratch, context->env->alloc, SCRATCH_MAX);
    err = read_wish(&scratch, context->limits, payload, &w);
    if (err == LK_OK && !w.has_key) err = LK_ERR_PAYLOAD;
    if (err == LK_OK) err = change(state, context, member, v, &w);
    lk_arena_deinit(&scratch);
  }
  if (err == LK_OK) changed(state, context, member);
  return err;
}

uint64_t lk_attendance_deadline(const lk_attendance *self) {
  const attendance_state *state = self->state;
  if (state == NULL) return LK_PRESENCE_NEVER;
  if (state->is_heard && !lk_presence_is_heard(&state->presence)) return 0;
  uint64_t deadline = lk_presence_deadline(&state->presence);
  return state->bridge == NULL ? deadline : lk_min_u64(deadline, state->bridge->fresh_at_ms);
}

lk_err lk_attendance_tick(lk_attendance *self, uint64_t now_ms, lk_presence_flush *out) {
  *out = (lk_presence_flush){ 0 };
  return self->state == NULL ? LK_OK : lk_presence_tick(&self->state->presence, now_ms, out);
}

void lk_attendance_rest(lk_attendance *self) {
  const attendance_state *state = self->state;
  if (state != NULL && !state->is_heard && lk_presence_is_empty(&state->presence))
    lk_attendance_deinit(self);
}

lk_err lk_attendance_told(lk_attendance *self, lk_slice *state) {
  *state = LK_LIT("{}");
  return self->state == NULL ? LK_OK : lk_presence_told(&self->state->presence, state);
}
