/* room/room.h -- what every room is: a state machine that serves one topic.
 *
 *   (state, input, now) -> (state, effects)
 *
 * Inputs are join, message, leave, tick and the completion of an earlier effect; time and entropy
 * come in with them. Effects are reply, push, broadcast, journal, timer and stop; they are taken
 * out with poll until there is none. A room opens no file and reads no clock: the house
 * (room/house.h) carries its effects out, over real files in the server and over lying ones in the
 * simulator.
 *
 * A room is its last snapshot and the records behind it. A JOURNAL effect says what changed, in bytes: a
 * record. The house writes those of all rooms together, and asks a room now and then for a snapshot, so
 * that its records may go. A room that is opened gets both back.
 *
 * Acknowledged means durable: a room replies to a change, and tells others of it, only after the JOURNAL effect that
 * covers it has come back as JOURNALED. Where it fails, or finds no space, the house drops the room, and the next join opens it
 * again from what is really there.
 *
 * A new kind is one table of functions and one line in room/kinds.def. */
#ifndef LK_ROOM_ROOM_H
#define LK_ROOM_ROOM_H

#include "channel/message.h"
#include "channel/profile.h"
#include "channel/rights.h"
#include "room/policy.h"

typedef enum lk_room_input_kind {
  LK_ROOM_JOIN, /* member, request, payload; event: the alias by which it calls the topic, or empty */
  LK_ROOM_RESTORE, /* member, event, payload: was in before the room died; may have missed something */
  LK_ROOM_MESSAGE,   /* member, request, event, payload, binary, applied */
  LK_ROOM_LEAVE,     /* member */
  LK_ROOM_TICK,      /* the time of a TIMER effect has come */
  LK_ROOM_JOURNALED, /* ticket: its record is durable, and those before it */
  LK_ROOM_SNAPSHOT,  /* answer with SNAPSHOT_DONE, now or in a later step */
  LK_ROOM_QUERY, /* member, request, event, payload, binary: like MESSAGE, from nobody who is in the room */
  LK_ROOM_LAG,      /* member: kinds that catch up: SKIP for it, in this step or a later one */
  LK_ROOM_CATCH_UP, /* member: what it missed since the SKIP, and RESUME behind that */
  LK_ROOM_LOOK, /* kinds that know people; ok: somebody looks at presence now: SHOW for all whom it knows, and for each of whom it knows
                   something else, until nobody does any more */
  LK_ROOM_SEEN, /* after WATCH; member, event, payload: what it shows in presence by itself, its key and meta; empty: nothing. For one member not twice within 100
                   ms */
  LK_ROOM_RENDER, /* kinds that render: a BROADCAST to LK_PROFILE_MINIMAL with what changed since the last one */
} lk_room_input_kind;

/* Slices live for the call. |member| and |request| are numbers that come back in effects. Each JOIN is
 * answered by ACCEPT or REFUSE, each MESSAGE and QUERY by REPLY, in its own step or a later one, once, unless the member leaves or the
 * room ends before. */
typedef struct lk_room_input {
  lk_room_input_kind kind;
  uint64_t now_ms;  /* of a clock that never goes back */
  uint64_t wall_ms; /* milliseconds since 1970, as the machine believes; 0: it does not say */
  uint64_t entropy; /* fresh random bits: ids that the room gives out come from here */
  uint64_t turn;    /* the number of a JOIN, MESSAGE, QUERY; they ascend. Others: of the next one */
  uint64_t member;
  uint64_t request;
  lk_slice event;
  lk_slice payload; /* JSON text, or bytes */
  bool binary;      /* |payload| is bytes */
  bool ok;          /* LOOK */
  bool
      is_full; /* MESSAGE, QUERY: there is no space for records. What would need one is refused: REPLY, with the reason
                   "storage_full"; everything else goes on */
  bool applied; /* the state has what this message changes, but its answer was lost: only answer */
  uint64_t ticket;
  lk_rights rights; /* JOIN, RESTORE, MESSAGE, QUERY: at least READ */
  lk_slice subject; /* JOIN, RESTORE, QUERY: who it is, by its token; empty: nobody in particular */
  lk_profile profile; /* JOIN, RESTORE: how it is served */
} lk_room_input;

typedef enum lk_room_effect_kind {
  LK_ROOM_ACCEPT,    /* member, request, payload: the join is answered */
  LK_ROOM_REFUSE,    /* member, request, payload; result: why, where that is to be counted */
  LK_ROOM_REPLY,     /* member, request, ok, payload, binary; result: likewise */
  LK_ROOM_PUSH,      /* member, event, payload, binary */
  LK_ROOM_BROADCAST, /* event, payload, binary: to every member, but |member| where it is not 0 */
  LK_ROOM_JOURNAL, /* ticket, payload: a record of what changed. No other one before its JOURNALED */
  /* payload: the state with the records that were JOURNALED, and with nothing else: what is not
   * durable yet might be taken back, or come a second time. Where that does no harm it may have all that the room was
   * given: then is_ahead. */
  LK_ROOM_SNAPSHOT_DONE,
  LK_ROOM_TIMER,  /* at_ms: send a TICK then; replaces an earlier one */
  LK_ROOM_SKIP,   /* member: BROADCASTs from here on are not for it */
  LK_ROOM_RESUME, /* member: and again they are */
  /* member, event, payload: what presence shows of it beside what it shows by itself: an object, `user` and `cursor`; empty:
   * nothing. Under the key |event|, where it shows nothing by itself. To no purpose while nobody looks: see LOOK. */
  LK_ROOM_SHOW,
  LK_ROOM_WATCH, /* ok: whether it wants SEEN, first for all */
  LK_ROOM_STOP,  /* result: drop the room */
} lk_room_effect_kind;

/* Slices live until the next step or poll of the room. */
typedef struct lk_room_effect {
  lk_room_effect_kind kind;
  uint64_t member;
  uint64_t request;
  bool ok;
  bool binary;
  lk_slice event;
  lk_slice payload;
  uint64_t ticket;
  uint64_t turn_last; /* JOURNAL: changes of later turns are in records behind it; 0: in none */
  uint64_t at_ms;
  lk_err
      result; /* STOP, REFUSE; REPLY: LK_ERR_NO_SPACE where the input said is_full, and that is why it is refused */
  bool is_ahead;   /* SNAPSHOT_DONE: with what is not durable yet */
  bool is_reading; /* REPLY: to somebody who only asked, however late the answer comes */
  bool
      is_behind; /* and the member goes on from a state that has what was refused: it is sent out when there is space again,
                     so that it joins anew, and says it again */
  lk_profile_set profiles;    /* BROADCAST: to whom; 0: everybody, in their time */
  lk_message_dialect dialect; /* ACCEPT: how this member reads bytes from then on; PUSH: the same,
                                 PLAIN: as before */
} lk_room_effect;

typedef struct lk_room lk_room;

typedef struct lk_room_options {
  const lk_env *env;
  const lk_env *awake; /* for what is there while somebody writes or reads, and no longer; NULL: |env| */
  const lk_limits *limits;
  lk_slice topic;          /* copied */
  lk_slice recovered;      /* the last snapshot; empty where there is none */
  const lk_slice *records; /* what was journaled since, in order */
  size_t records_count;
  bool intact;    /* no later snapshot was ever kept; false: a damaged one may have been later */
  lk_slice level; /* what an acknowledgement means here: "memory" or "durable" */
  uint64_t erased_after_ms; /* without a member: then nothing of it remains; 0: it is not */
  lk_version_policy versions;
  uint64_t entropy;
} lk_room_options;

/* One kind of room. */
typedef struct lk_room_kind {
  size_t size;      /* of this struct */
  const char *name; /* the part of a topic before the colon */
  /* A room that does not understand |recovered| or |records| does not start: it must not begin empty. */
  lk_err (*open)(const lk_room_options *options, lk_room **out);
  void (*close)(lk_room *self);
  /* LK_ERR_NOMEM or LK_ERR_LIMIT: the input may have been taken in part, so the house drops the
   * room, which is opened again from its journal. What a member did wrong is a REPLY that says
   * so, not an error. */
  lk_err (*step)(lk_room *self, const lk_room_input *input);
  bool (*poll)(lk_room *self, lk_room_effect *out);
  bool is_kept;     /* what it journals is there when it opens; else it never journals */
  bool has_cursors; /* members say cursor_pos to those who hear of presence */
  bool
      has_replicas; /* members go on from what they sent: it is told LK_EVENT_TOO_BIG; else the house answers that */
  bool catches_up;   /* it knows LAG and CATCH_UP: members that read too slowly are not sent all */
  bool knows_people; /* from elsewhere than from presence: it knows LOOK and SEEN */
  bool renders;      /* it knows RENDER; members that cannot do better get its HTML */
  /* Appends one payload that says what |count| broadcasts of |event| said. LK_ERR_UNSUPPORTED where that cannot be: they
   * are sent one by one then, as for any other error. NULL: never. */
  lk_err (*merge)(const lk_env *env, lk_slice event, const lk_slice *payloads, size_t count,
                  lk_buf *out);
} lk_room_kind;

/* The kind that serves |topic|, or NULL. */
const lk_room_kind *lk_room_kind_of(lk_slice topic);

#endif
