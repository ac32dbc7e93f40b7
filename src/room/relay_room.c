/* room/relay_room.c -- each message makes two effects, and there is no state but those.
 *
 * Effects are not put into a queue that copies them: a message is broadcast and answered in the polls that
 * follow its step, and the house keeps the input alive until they are done. */
#include "room/relay_room.h"

typedef enum next_effect { NOTHING, ANSWER, BROADCAST } next_effect;

struct lk_room {
  const lk_env *env;
  lk_room_input input; /* its slices are the house's, until all effects are polled */
  next_effect next;
};

static lk_err step(lk_room *self, const lk_room_input *input) {
  LK_ASSERT(self->next == NOTHING);
  self->input = *input;
  if (input->kind == LK_ROOM_JOIN) self->next = ANSWER;
  if (input->kind == LK_ROOM_MESSAGE) self->next = input->applied ? ANSWER : BROADCAST;
  return LK_OK;
}

static bool poll(lk_room *self, lk_room_effect *out) {
  const lk_room_input *input = &self->input;
  bool is_join = input->kind == LK_ROOM_JOIN;
  switch (self->next) {
  case NOTHING: return false;
  case BROADCAST:
    *out = (lk_room_effect){ .kind = LK_ROOM_BROADCAST,
                             .member = input->member,
                             .event = input->event,
                             .payload = input->payload,
                             .binary = input->binary };
    self->next = ANSWER;
    return true;
  case ANSWER:
    *out = (lk_room_effect){ .kind = is_join ? LK_ROOM_ACCEPT : LK_ROOM_REPLY,
                             .member = input->member,
                             .request = input->request,
                             .ok = true,
                             .payload = LK_LIT("{}") };
    self->next = NOTHING;
    return true;
  }
  LK_UNREACHABLE();
}

static void close_room(lk_room *self) { lk_free_bytes(self->env->alloc, self, sizeof *self); }

static lk_err open_room(const lk_room_options *options, lk_room **out) {
  lk_room *self = lk_alloc_bytes(options->env->alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  *self = (lk_room){ .env = options->env };
  *out = self;
  return LK_OK;
}

const lk_room_kind lk_relay_room_kind = {
  .size = sizeof(lk_room_kind),
  .name = "relay",
  .open = open_room,
  .close = close_room,
  .step = step,
  .poll = poll,
};
