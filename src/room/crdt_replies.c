/* room/crdt_replies.c -- what is said to who asked for a change, and when.
 *
 *   it did something wrong ────────────> an error, at once
 *   it changes something ─────────────┐
 *   it changes nothing (any more) ────┴> when all that was said before it is durable
 *
 * Those who asked know their change, and are told that it is kept; what changed is told to everybody once. */
#include "room/crdt_parts.h"

/* ---- refusals ---- */

lk_err lk_crdt_room_push(lk_room *self, const lk_room_input *input, lk_room_effect_kind kind,
                         bool ok, lk_slice payload) {
  lk_room_effect effect = {
    .kind = kind, .member = input->member, .request = input->request, .ok = ok, .payload = payload
  };
  return lk_effects_push(&self->effects, &effect);
}

static lk_err push_refusal(lk_room *self, const lk_room_input *input, lk_err why, lk_slice payload) {
  const lk_room_effect effect = {
    .kind = input->kind == LK_ROOM_JOIN ? LK_ROOM_REFUSE : LK_ROOM_REPLY,
    .member = input->member,
    .request = input->request,
    .payload = payload,
    .result = why /* the house counts limits */
  };
  return lk_effects_push(&self->effects, &effect);
}

lk_err lk_crdt_room_refuse_with(lk_room *self, const lk_room_input *input, lk_slice reason,
                                lk_slice field, lk_slice message) {
  lk_slice payload;
  lk_err err = lk_crdt_answer_error(&self->answers, reason, field, 0, message, &payload);
  return err == LK_OK ? push_refusal(self, input, LK_OK, payload) : err;
}

/* The member did something wrong: it is told, and the room goes on. Memory is our problem and the room's end. */
lk_err lk_crdt_room_refuse(lk_room *self, const lk_room_input *input, lk_err why, lk_slice field) {
  if (why == LK_ERR_NOMEM) return why;
  lk_trace_emit(self->env, LK_TRACE_room_refused, input->member, (uint64_t)why, input->event);
  lk_slice payload;
  lk_err err = lk_crdt_answer_error(&self->answers, lk_slice_cstr(lk_err_name(why)), field, 0,
                                    lk_slice_cstr(lk_err_text(why)), &payload);
  return err == LK_OK ? push_refusal(self, input, why, payload) : err;
}

lk_err lk_crdt_room_render_mismatch(lk_room *self, lk_slice *payload) {
  LK_COVERED(crdt_room_type_mismatch);
  lk_slice name = lk_slice_cstr(self->copies.type->name);
  uint8_t text[64];
  static const char said[] = "the object is of the type ";
  LK_ASSERT(sizeof said - 1 + name.len <= sizeof text);
  memcpy(text, said, sizeof said - 1);
  memcpy(text + sizeof said - 1, name.ptr, name.len);
  return lk_crdt_answer_error(&self->answers, LK_LIT("type_mismatch"), LK_LIT("type"), 0,
                              lk_slice_of(text, sizeof said - 1 + name.len), payload);
}

lk_err lk_crdt_room_refuse_type(lk_room *self, const lk_room_input *input) {
  lk_slice payload;
  lk_err err = lk_crdt_room_render_mismatch(self, &payload);
  return err == LK_OK ? push_refusal(self, input, LK_OK, payload) : err;
}

/* ---- changes ---- */

bool lk_crdt_room_may_wait(const lk_room *self) {
  return lk_crdt_journal_may_wait(&self->journal, self->limits->room_effects_count);
}

static lk_err begin_record(lk_room *self) {
  lk_crdt_author *author = &self->author;
  lk_slice news = author->is_kept ? LK_SLICE_EMPTY : lk_crdt_author_id(author);
  lk_room_effect effect;
  lk_err err = lk_crdt_journal_begin(&self->journal, news, &self->requests, &effect);
  if (err == LK_OK) err = lk_effects_push(&self->effects, &effect);
  if (err == LK_OK) author->is_kept = author->len > 0;
  return err;
}

static lk_err acknowledge(lk_room *self, const lk_room_input *input) {
  lk_slice payload;
  lk_err err = lk_crdt_answer_change(&self->answers, self->copies.shown, &payload);
  return err == LK_OK ? lk_crdt_room_push(self, input, LK_ROOM_REPLY, true, payload) : err;
}

lk_err lk_crdt_room_answer_known(lk_room *self, const lk_room_input *input) {
  if (!self->journal.in_flight) return acknowledge(self, input);
  LK_COVERED(crdt_room_known_but_not_durable);
  return lk_crdt_journal_wait(&self->journal, input->member, input->request);
}

lk_err lk_crdt_room_answer_changed(lk_room *self, const lk_room_input *input) {
#ifdef LK_BUG_ACK_EARLY /* planted for the simulator, which must find it: sim/README.md */
  lk_err err = self->journal.in_flight ? LK_OK : begin_record(self);
  return err == LK_OK ? acknowledge(self, input) : err;
#else
  lk_err err = lk_crdt_journal_wait(&self->journal, input->member, input->request);
  if (err == LK_OK && !self->journal.in_flight) err = begin_record(self);
  return err;
#endif
}

static lk_err answer_waiting(lk_room *self, uint64_t ticket, lk_slice payload) {
  lk_crdt_waiter w;
  lk_err err = LK_OK;
  while (err == LK_OK && lk_crdt_journal_poll(&self->journal, ticket, &w)) {
    const lk_room_effect effect = { .kind = LK_ROOM_REPLY,
                                    .member = w.member,
                                    .request = w.request,
                                    .ok = true,
                                    .payload = payload };
    err = lk_effects_push(&self->effects, &effect);
  }
  return err;
}

static lk_err tell_change(lk_room *self, uint64_t ticket, const lk_flat *changed) {
  lk_room_effect effect = { .kind = LK_ROOM_BROADCAST, .event = LK_LIT("state_updated") };
  const lk_crdt *shown = self->copies.shown;
  lk_slice payload;
  lk_err err = lk_crdt_answer_change(&self->answers, shown, &payload);
  if (err == LK_OK) err = answer_waiting(self, ticket, payload);
  /* A record may have nothing but requests. */
  if (err != LK_OK || changed->range_count == 0) return err;
  err = lk_crdt_answer_news(&self->answers, shown, self->tells_all_counts ? NULL : changed,
                            lk_buf_slice(&self->journal.flying), &effect.payload);
  return err == LK_OK ? lk_effects_push(&self->effects, &effect) : err;
}

lk_err lk_crdt_room_on_journaled(lk_room *self, const lk_room_input *input) {
  lk_crdt *shown = self->copies.shown;
  lk_flat changed;
  lk_crdt_journal_landed(&self->journal, input->ticket);
  lk_err err = lk_flat_decode(&changed, lk_buf_slice(&self->journal.flying), &shown->scope,
                              &self->scratch);
  if (err == LK_OK) err = lk_crdt_merge_flat(shown, &changed, NULL);
  if (err == LK_OK) err = tell_change(self, input->ticket, &changed);
  if (err != LK_OK) return err;
  return self->journal.next != NULL ? begin_record(self) : LK_OK;
}
