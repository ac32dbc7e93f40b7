/* room/room.h -- what every room is: a state machine that serves one topic.
 *
 *   (state, input, now) -> (state, effects)
 *
 * Inputs are join, message, leave, tick and the completion of an earlier effect; time and entropy
 * come in with them. Effects are reply, push, broadcast, journal, timer and stop; they are taken
 * out with poll until there is none. A room opens no file and reads no clock: the hub
 * (room/hub.h) carries its effects out, over real files in the server and over lying ones in the
 * simulator.
 *
 * Acknowledged means durable: a room replies to a change only after the JOURNAL effect that
 * covers it has completed with LK_OK. When one completes with an error the room emits STOP: the
 * hub drops it, and the next join opens it again from what is really there.
 *
 * A new kind is one table of functions and one line in room/kinds.def. */
#ifndef LK_ROOM_ROOM_H
#define LK_ROOM_ROOM_H

#include "base/base.h"

typedef enum lk_room_input_kind {
  LK_ROOM_JOIN,      /* member, ref, payload */
  LK_ROOM_MESSAGE,   /* member, ref, event, payload */
  LK_ROOM_LEAVE,     /* member */
  LK_ROOM_TICK,      /* the time of a TIMER effect has come */
  LK_ROOM_JOURNALED, /* ticket, result */
} lk_room_input_kind;

/* Slices live for the call. |member| is a number that the hub gave out; |ref| is opaque and comes back
 * in the REPLY effect; its ptr is NULL where no reply is wanted. */
typedef struct lk_room_input {
  lk_room_input_kind kind;
  uint64_t now_ms;
  uint64_t entropy; /* fresh random bits: ids that the room gives out come from here */
  uint64_t member;
  lk_slice ref;
  lk_slice event;
  lk_slice payload; /* JSON text */
  uint64_t ticket;
  lk_err result;
} lk_room_input;

typedef enum lk_room_effect_kind {
  LK_ROOM_ACCEPT,    /* member, ref, payload: the join is answered */
  LK_ROOM_REFUSE,    /* member, ref, payload */
  LK_ROOM_REPLY,     /* member, ref, ok, payload */
  LK_ROOM_PUSH,      /* member, event, payload */
  LK_ROOM_BROADCAST, /* event, payload: to every member, but |member| where it is not 0 */
  LK_ROOM_JOURNAL,   /* ticket, payload: the state to keep, in bytes; complete it with JOURNALED */
  LK_ROOM_TIMER,     /* at_ms: send a TICK then; replaces an earlier one */
  LK_ROOM_STOP,      /* result: drop the room */
} lk_room_effect_kind;

/* Slices live until the next step or poll of the room. */
typedef struct lk_room_effect {
  lk_room_effect_kind kind;
  uint64_t member;
  lk_slice ref;
  bool ok;
  lk_slice event;
  lk_slice payload;
  uint64_t ticket;
  uint64_t at_ms;
  lk_err result;
} lk_room_effect;

typedef struct lk_room lk_room;

typedef struct lk_room_options {
  const lk_env *env;
  const lk_limits *limits;
  lk_slice topic;     /* copied */
  lk_slice recovered; /* what the last completed JOURNAL kept; empty for a new room */
  bool intact;        /* no later state was ever kept; false: a damaged one may have been later */
  uint64_t entropy;
} lk_room_options;

/* One kind of room. */
typedef struct lk_room_kind {
  size_t size;      /* of this struct */
  const char *name; /* the part of a topic before the colon */
  /* A room that does not understand |recovered| does not start: it must not begin empty. */
  lk_err (*open)(const lk_room_options *options, lk_room **out);
  void (*close)(lk_room *self);
  /* LK_ERR_NOMEM or LK_ERR_LIMIT: the input may have been taken in part, so the hub drops the
   * room, which is opened again from its journal. What a member did wrong is a REPLY that says
   * so, not an error. */
  lk_err (*step)(lk_room *self, const lk_room_input *input);
  bool (*poll)(lk_room *self, lk_room_effect *out);
} lk_room_kind;

/* The kind that serves |topic|, or NULL. */
const lk_room_kind *lk_room_kind_of(lk_slice topic);

#endif
