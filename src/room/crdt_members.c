/* room/crdt_members.c -- who is in the room, and what they are shown. All of it is durable, so nobody waits. */
#include "room/crdt_parts.h"

/* {"html":...} */
static lk_err render_page(lk_room *self, lk_slice *payload) {
  lk_crdt_page page = { .name = self->name,
                        .limits = self->limits,
                        .len_max = self->limits->ws_output_bytes / 4 };
  lk_err err = lk_crdt_room_settle_type(self, NULL);
  if (err != LK_OK) return err;
  return lk_crdt_answer_page(&self->answers, &page, self->copies.shown, &self->scratch, payload);
}

lk_err lk_crdt_room_on_render(lk_room *self, const lk_room_input *input) {
  lk_slice payload;
  lk_err err = render_page(self, &payload);
  return err == LK_OK ? lk_crdt_room_push(self, input, LK_ROOM_REPLY, true, payload) : err;
}

lk_err lk_crdt_room_tell_page(lk_room *self, uint64_t member) {
  lk_room_effect effect = { .kind = member != 0 ? LK_ROOM_PUSH : LK_ROOM_BROADCAST,
                            .member = member,
                            .event = LK_LIT("render"),
                            .profiles = lk_profile_only(LK_PROFILE_MINIMAL) };
  lk_err err = render_page(self, &effect.payload);
  return err == LK_OK ? lk_effects_push(&self->effects, &effect) : err;
}

/* Reads what |input| wishes, and makes it so. False where it was refused, or |*err| is the room's end. */
static bool grant_wishes(lk_room *self, const lk_room_input *input, lk_crdt_wishes *out,
                         lk_err *err) {
  lk_slice field;
  *err = lk_crdt_room_read_wishes(self, input, out, &field);
  if (*err != LK_OK) {
    *err = lk_crdt_room_refuse(self, input, *err, field);
    return false;
  }
  *err = lk_crdt_room_settle_wishes(self, out);
  if (*err != LK_ERR_TYPE) return *err == LK_OK;
  *err = lk_crdt_room_refuse_type(self, input);
  return false;
}

static void enter(lk_room *self, const lk_crdt_wishes *wanted) {
  self->members++;
  if (wanted->form == LK_CRDT_FORM_COUNTS) self->tells_all_counts = true;
}

lk_err lk_crdt_room_on_join(lk_room *self, const lk_room_input *input) {
  lk_crdt_wishes wanted;
  lk_slice payload;
  lk_err err;
  if (!grant_wishes(self, input, &wanted, &err)) return err;
  err = lk_crdt_answer_join(&self->answers, self->copies.shown, input->entropy, wanted.form,
                            &payload);
  if (err == LK_OK) err = lk_crdt_room_push(self, input, LK_ROOM_ACCEPT, true, payload);
  if (err != LK_OK) return err;
  enter(self, &wanted);
  return input->profile == LK_PROFILE_MINIMAL ? lk_crdt_room_tell_page(self, input->member) : LK_OK;
}

/* It may have missed changes while there was no room: it gets all of them, which does no harm to who has them. Where
 * the room came back as something else, since nothing had been made durable, it must join again and hear why not. */
lk_err lk_crdt_room_on_restore(lk_room *self, const lk_room_input *input) {
  lk_room_effect effect = { .kind = LK_ROOM_PUSH,
                            .member = input->member,
                            .event = LK_LIT("state_updated") };
  lk_crdt_wishes wanted;
  lk_slice field;
  lk_err err = lk_crdt_room_read_wishes(self, input, &wanted, &field);
  if (err == LK_ERR_NOMEM) return err;
  err = lk_crdt_room_settle_wishes(self, &wanted);
  enter(self, &wanted);
  if (err == LK_ERR_TYPE) {
    effect.event = LK_LIT("phx_error");
    err = lk_crdt_room_render_mismatch(self, &effect.payload);
  } else if (err == LK_OK) {
    err = lk_crdt_answer_all(&self->answers, self->copies.shown, wanted.form, &effect.payload);
  }
  return err == LK_OK ? lk_effects_push(&self->effects, &effect) : err;
}

static lk_err push_all(lk_room *self, uint64_t member, lk_crdt_form form) {
  lk_room_effect effect = { .kind = LK_ROOM_PUSH,
                            .member = member,
                            .event = LK_LIT("state_updated") };
  lk_err err = lk_crdt_answer_all(&self->answers, self->copies.shown, form, &effect.payload);
  return err == LK_OK ? lk_effects_push(&self->effects, &effect) : err;
}

/* What is shown is durable, and others hear of a change when it is: so a member may be passed by from here on. */
lk_err lk_crdt_room_on_lag(lk_room *self, const lk_room_input *input) {
  const lk_room_effect skip = { .kind = LK_ROOM_SKIP, .member = input->member };
  return lk_effects_push(&self->effects, &skip);
}

/* All that is shown, instead of each change that made it. Who came by counter: reads the counts. */
lk_err lk_crdt_room_on_catch_up(lk_room *self, const lk_room_input *input) {
  const lk_room_effect resume = { .kind = LK_ROOM_RESUME, .member = input->member };
  lk_err err = LK_OK;
  if (self->copies.shown != NULL) {
    LK_COVERED(crdt_room_catches_up);
    err = push_all(self, input->member, LK_CRDT_FORM_BYTES);
    if (err == LK_OK && self->tells_all_counts)
      err = push_all(self, input->member, LK_CRDT_FORM_COUNTS);
  }
  return err == LK_OK ? lk_effects_push(&self->effects, &resume) : err;
}

void lk_crdt_room_on_leave(lk_room *self, const lk_room_input *input) {
  if (self->members > 0) self->members--;
  if (self->members == 0) self->tells_all_counts = false;
  lk_crdt_journal_leave(&self->journal, input->member);
}

/* Everything that may be shown. */
lk_err lk_crdt_room_on_get(lk_room *self, const lk_room_input *input) {
  lk_crdt_wishes wanted;
  lk_slice payload;
  lk_err err;
  if (!grant_wishes(self, input, &wanted, &err)) return err;
  err = lk_crdt_answer_get(&self->answers, self->copies.shown, wanted.form, &payload);
  return err == LK_OK ? lk_crdt_room_push(self, input, LK_ROOM_REPLY, true, payload) : err;
}
