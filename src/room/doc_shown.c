/* room/doc_shown.c -- what members show each other: doc_awareness.h, said and heard; and presence, which the house has.
 *
 *   awareness ──SHOW──> presence      of members who have spoken for a client, while somebody looks at presence (LOOK)
 *   presence ──SEEN──> awareness      of the others, as stand-ins, while somebody is there who hears of awareness (WATCH)
 *
 * So nothing is done for rooms whose members all speak of themselves in one way, and nobody is told twice of the same: a member
 * that has spoken has no stand-in, and a stand-in is nobody's client. Decision 027. */
#include "room/doc_parts.h"

#include "codec/varint.h"
#include "room/doc_payload.h"

#define CLIENT_KEY "client-"
#define SHOWN_AT_ONCE 256 /* of many the others are told of in the next window */

/* ---- presence ---- */

/* Under which key somebody is present who did not choose one: the subject, or the client's number. */
static lk_slice key_for(const lk_room *self, uint64_t member, uint64_t client, lk_buf *scratch) {
  const lk_doc_note *n = lk_doc_room_find_note(self, member);
  if (n != NULL && lk_doc_note_subject(n).len > 0) return lk_doc_note_subject(n);
  (void)lk_buf_append(scratch, LK_LIT(CLIENT_KEY));
  return lk_buf_append_decimal(scratch, client) == LK_OK ? lk_buf_slice(scratch) : LK_SLICE_EMPTY;
}

static lk_err show(lk_room *self, uint64_t member) {
  uint64_t client;
  lk_slice state;
  lk_buf who, key;
  lk_room_effect effect = { .kind = LK_ROOM_SHOW, .member = member };
  lk_buf_init(&who, self->env->alloc, SIZE_MAX / 4);
  lk_buf_init(&key, self->env->alloc, 64);
  lk_err err = LK_OK;
  if (lk_doc_awareness_own(self->awareness, member, &client, &state)) {
    err = lk_doc_bridge_presence(state, self->limits, &self->work->scratch, &who);
    effect.event = key_for(self, member, client, &key);
    effect.payload = lk_buf_slice(&who);
  }
  if (err == LK_OK) err = lk_doc_room_push_copy(self, effect);
  lk_buf_deinit(&who);
  lk_buf_deinit(&key);
  return err;
}

static lk_err show_fresh(lk_room *self, uint64_t now_ms) {
  uint32_t cursor = 0;
  uint64_t member;
  int count = 0;
  lk_err err = LK_OK;
  for (; err == LK_OK && count < SHOWN_AT_ONCE &&
         lk_doc_awareness_take_fresh(self->awareness, &cursor, &member);
       count++)
    err = show(self, member);
  if (count > 0) lk_doc_awareness_note_told(self->awareness, now_ms);
  return err;
}

/* ---- awareness ---- */

static lk_err tell_changes(lk_room *self, uint64_t now_ms) {
  lk_buf update;
  lk_buf_init(&update, self->env->alloc, lk_doc_awareness_update_max(self->limits));
  lk_err err = lk_doc_awareness_tick(self->awareness, now_ms, &update);
  if (err == LK_OK && update.len > 0) {
    const lk_room_effect news = { .kind = LK_ROOM_BROADCAST,
                                  .event = LK_LIT("awareness"),
                                  .payload = lk_buf_slice(&update),
                                  .binary = true };
    err = lk_doc_room_push_copy(self, news);
    /* Who is told later what was shown until now hears this after it. */
    if (err == LK_OK && !lk_held_is_empty(&self->work->held))
      err = lk_doc_room_push_kept_copy(self, news);
  }
  lk_buf_deinit(&update);
  return err;
}

lk_err lk_doc_room_tell_awareness(lk_room *self, uint64_t now_ms) {
  if (self->awareness == NULL) return LK_OK;
  bool is_due = lk_doc_awareness_is_due(self->awareness, now_ms);
  lk_err err = tell_changes(self, now_ms);
  return err == LK_OK && is_due ? show_fresh(self, now_ms) : err;
}

static lk_err make_awareness(lk_room *self) {
  if (self->awareness != NULL) return LK_OK;
  self->awareness = lk_alloc_bytes(self->env->alloc, sizeof *self->awareness);
  if (self->awareness == NULL) return LK_ERR_NOMEM;
  lk_doc_awareness_init(self->awareness, self->env->alloc, self->limits, self->seed);
  return self->is_looked_at ? lk_doc_awareness_follow(self->awareness) : LK_OK;
}

/* Does anybody hear of awareness? Who speaks hears, and who speaks y-protocols. */
static lk_err watch(lk_room *self) {
  bool is_heard = (self->people != NULL && self->people->hearers > 0) ||
                  (self->awareness != NULL && lk_doc_awareness_speakers(self->awareness) > 0);
  if (is_heard == self->is_watching) return LK_OK;
  self->is_watching = is_heard;
  return lk_doc_room_push(self, (lk_room_effect){ .kind = LK_ROOM_WATCH, .ok = is_heard });
}

lk_err lk_doc_room_note_hearer(lk_room *self, uint64_t member) {
  lk_doc_note *n;
  lk_err err = lk_doc_room_make_note(self, member, &n);
  if (err != LK_OK) return err;
  if (!n->hears) self->people->hearers++;
  n->hears = true;
  return watch(self);
}

lk_err lk_doc_room_take_awareness(lk_room *self, const lk_room_input *input, lk_slice update,
                                  outcome *out) {
  *out = (outcome){ 0 };
  lk_err err = make_awareness(self);
  if (err == LK_OK)
    err = lk_doc_awareness_take(self->awareness, input->member, update, input->now_ms);
  if (err != LK_OK && err != LK_ERR_NOMEM) {
    *out = refused("awareness", err);
    return LK_OK;
  }
  if (err == LK_OK) err = lk_doc_room_tell_awareness(self, input->now_ms);
  return err == LK_OK ? watch(self) : err;
}

/* ---- presence has something to say ---- */

lk_err lk_doc_room_on_look(lk_room *self, const lk_room_input *input) {
  self->is_looked_at = input->ok;
  if (self->awareness == NULL) return LK_OK;
  if (!input->ok) {
    lk_doc_awareness_unfollow(self->awareness);
    return LK_OK;
  }
  lk_err err = lk_doc_awareness_follow(self->awareness);
  return err == LK_OK ? lk_doc_room_tell_awareness(self, input->now_ms) : err;
}

/* What is no state, or too much for the awareness of one room, is not shown. */
static lk_err stand_in(lk_room *self, const lk_room_input *input) {
  lk_buf state;
  lk_buf_init(&state, self->env->alloc, SIZE_MAX / 4);
  lk_err err = lk_doc_bridge_awareness(input->event, input->payload, self->limits,
                                       &self->work->scratch, &state);
  if (err == LK_OK)
    err = lk_doc_awareness_stand_in(self->awareness, input->member, lk_buf_slice(&state),
                                    input->wall_ms, input->now_ms);
  lk_buf_deinit(&state);
  return err == LK_ERR_NOMEM ? err : LK_OK;
}

lk_err lk_doc_room_on_seen(lk_room *self, const lk_room_input *input) {
  if (!self->is_watching) return LK_OK;
  lk_err err = make_awareness(self);
  if (err != LK_OK || lk_doc_awareness_has_spoken(self->awareness, input->member)) return err;
  err = input->payload.len > 0
            ? stand_in(self, input)
            : lk_doc_awareness_stand_down(self->awareness, input->member, input->now_ms);
  return err == LK_OK ? lk_doc_room_tell_awareness(self, input->now_ms) : err;
}

lk_err lk_doc_room_unsee(lk_room *self, const lk_room_input *input) {
  lk_err err = watch(self);
  if (err != LK_OK || self->is_watching || self->awareness == NULL) return err;
  return lk_doc_awareness_stand_down_all(self->awareness, input->now_ms);
}

/* ---- said and heard ---- */

lk_err lk_doc_room_push_awareness(lk_room *self, uint64_t member) {
  lk_buf update;
  if (self->awareness == NULL) return LK_OK;
  lk_buf_init(&update, self->env->alloc, lk_doc_awareness_update_max(self->limits));
  lk_err err = lk_doc_awareness_encode(self->awareness, &update);
  if (err == LK_OK && update.len > 0)
    err = lk_doc_room_push_bytes(self, member, LK_LIT("awareness"), lk_buf_slice(&update),
                                 LK_DIALECT_PLAIN);
  lk_buf_deinit(&update);
  return err;
}

lk_err lk_doc_room_on_awareness(lk_room *self, const lk_room_input *input) {
  lk_slice update;
  outcome o;
  lk_doc_payload in = { self->limits, &self->work->scratch, &self->work->bytes, LK_SLICE_EMPTY };
  lk_err err = lk_doc_payload_read(&in, input->payload, input->binary, &update);
  if (err != LK_OK) return lk_doc_room_refuse(self, input, NULL, err, in.field);
  err = lk_doc_room_take_awareness(self, input, update, &o);
  return err == LK_OK ? lk_doc_room_answer(self, input, &o) : err;
}

/* One awareness update of several: entries one behind the other, so that the later one counts. */
lk_err lk_doc_room_merge_awareness(const lk_slice *updates, size_t count, lk_buf *out) {
  uint64_t entries = 0, n;
  lk_err err = LK_OK;
  for (size_t i = 0; err == LK_OK && i < count; i++) {
    lk_reader in = lk_reader_of(updates[i]);
    err = lk_varuint_decode(&in, UINT32_MAX, &n);
    entries += err == LK_OK ? n : 0;
  }
  if (err == LK_OK) err = lk_varuint_encode(out, entries);
  for (size_t i = 0; err == LK_OK && i < count; i++) {
    lk_reader in = lk_reader_of(updates[i]);
    err = lk_varuint_decode(&in, UINT32_MAX, &n);
    if (err == LK_OK) err = lk_buf_append(out, lk_reader_rest(&in));
  }
  return err;
}
