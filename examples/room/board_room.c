/* examples/room/board_room.c -- a kind of room of your own: a board with one text on it, which everybody may replace.
 *
 *   join       ok {"text": ...}          what is on the board
 *   write      {"text": ...}             any JSON; answered ok {} when it is kept
 *   written    to every member: {"text": ...}
 *
 * To have it served as board:<name>: put this file into src/room/, declare |lk_board_room_kind| in a header that
 * src/room/kinds.c includes, and add ROOM_KIND("board", lk_board_room_kind) to src/room/kinds.def. Presence, rights, limits,
 * journals, snapshots and restarts are the house's, and come with it. The manual is src/room/room.h. */
#include "room/effects.h"

struct lk_room {
  const lk_env *env;
  lk_effects effects;
  lk_buf text;         /* the payload that is on the board */
  lk_buf flying;       /* the one that is being kept */
  lk_room_input asked; /* by whom; its slices are gone */
  uint64_t ticket;
  bool in_flight;
};

static const lk_room_input everybody = { .member = 0 };

static lk_err say(lk_room *self, lk_room_effect_kind kind, const lk_room_input *to, bool ok,
                  lk_slice payload) {
  return lk_effects_push(&self->effects, &(lk_room_effect){
      .kind = kind, .member = to->member, .request = to->request, .ok = ok,
      .event = LK_LIT("written"), .payload = payload, .ticket = self->ticket });
}

static lk_err replace(lk_buf *text, lk_slice with) {
  lk_buf_truncate(text, 0);
  return lk_buf_append(text, with);
}

static lk_err on_message(lk_room *self, const lk_room_input *in) {
  const char *why = NULL;
  if (in->binary || !lk_slice_equal(in->event, LK_LIT("write"))) why = "{\"reason\":\"what?\"}";
  else if (in->rights < LK_RIGHTS_WRITE) why = "{\"reason\":\"read_only\"}";
  else if (in->is_full && !in->applied) why = "{\"reason\":\"storage_full\"}";
  else if (self->in_flight) why = "{\"reason\":\"busy\"}"; /* a real room would let it wait */
  if (why != NULL) return say(self, LK_ROOM_REPLY, in, false, lk_slice_cstr(why));
  if (in->applied) return say(self, LK_ROOM_REPLY, in, true, LK_LIT("{}"));
  self->in_flight = true;
  self->asked = *in;
  self->ticket++;
  lk_err err = replace(&self->flying, in->payload);
  return err == LK_OK ? say(self, LK_ROOM_JOURNAL, &everybody, true, in->payload) : err;
}

/* Only now may anybody see it: what is shown is never taken back. */
static lk_err on_journaled(lk_room *self) {
  self->in_flight = false;
  lk_err err = replace(&self->text, lk_buf_slice(&self->flying));
  if (err == LK_OK) err = say(self, LK_ROOM_REPLY, &self->asked, true, LK_LIT("{}"));
  return err != LK_OK ? err : say(self, LK_ROOM_BROADCAST, &everybody, true, lk_buf_slice(&self->text));
}

static lk_err step(lk_room *self, const lk_room_input *in) {
  const lk_slice text = lk_buf_slice(&self->text);
  switch (in->kind) {
  case LK_ROOM_JOIN: return say(self, LK_ROOM_ACCEPT, in, true, text);
  case LK_ROOM_RESTORE: return say(self, LK_ROOM_PUSH, in, true, text);
  case LK_ROOM_MESSAGE:
  case LK_ROOM_QUERY: return on_message(self, in);
  case LK_ROOM_JOURNALED: return on_journaled(self);
  case LK_ROOM_SNAPSHOT: return say(self, LK_ROOM_SNAPSHOT_DONE, &everybody, true, text);
  default: return LK_OK; /* who leaves is not answered any more: the house sees to that */
  }
}

static bool poll(lk_room *self, lk_room_effect *out) {
  return lk_effects_poll(&self->effects, out);
}

static void close_room(lk_room *self) {
  lk_buf_deinit(&self->text);
  lk_buf_deinit(&self->flying);
  lk_effects_deinit(&self->effects);
  lk_free_bytes(self->env->alloc, self, sizeof *self);
}

static lk_err open_room(const lk_room_options *o, lk_room **out) {
  if ((*out = lk_alloc_bytes(o->env->alloc, sizeof **out)) == NULL) return LK_ERR_NOMEM;
  **out = (lk_room){ .env = o->env };
  lk_effects_init(&(*out)->effects, o->env->alloc, o->limits);
  lk_buf_init(&(*out)->text, o->env->alloc, o->limits->ws_output_bytes / 2);
  lk_buf_init(&(*out)->flying, o->env->alloc, o->limits->ws_output_bytes / 2);
  lk_slice last = o->records_count > 0 ? o->records[o->records_count - 1] : o->recovered;
  lk_err err = replace(&(*out)->text, last.len > 0 ? last : LK_LIT("{\"text\":\"\"}"));
  if (err != LK_OK) close_room(*out);
  return err;
}

extern const lk_room_kind lk_board_room_kind;
const lk_room_kind lk_board_room_kind = {
  .size = sizeof(lk_room_kind), .name = "board", .open = open_room, .close = close_room,
  .step = step, .poll = poll, .is_kept = true
};
