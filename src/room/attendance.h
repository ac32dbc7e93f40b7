/* room/attendance.h -- presence of one room: what its members ask for, and what they are to be told.
 *
 * Presence is written once, around rooms, and serves every kind:
 *
 *   join payload       {"presence": {"key": "user-7", "meta": {"name": "Ada"}}}     shows itself, and hears of others
 *                      {"presence": {}}                                             only hears
 *   presence.track     {"key": ..., "meta": {...}}       shows itself under one more key
 *   presence.update    {"key": ..., "meta": {...}}
 *   presence.untrack   {"key": ...}
 *                      ok {} or error {"reason": ..., "field": ..., "message": ...}
 *
 *   presence_state     to a member that has asked, some milliseconds after its join
 *   presence_diff      to those who have had a state
 *
 * These are the messages of Phoenix.Presence, so that the Presence object of phoenix.js understands them; see
 * channel/presence.h. Who is present is not journaled: members that come back say it again.
 *
 * A room may know of its members in another way, as a document knows what they show in awareness (room/doc_bridge.h). What it says
 * of them is added to what they show here, and it can be told what they show here: lk_attendance_show() and _take_fresh(). */
#ifndef LK_ROOM_ATTENDANCE_H
#define LK_ROOM_ATTENDANCE_H

#include "channel/presence.h"

/* Most rooms have none: it is as small as can be until somebody asks. */
typedef struct lk_attendance {
  struct lk_attendance_state *state; /* NULL: nobody has asked for presence */
} lk_attendance;

/* Nothing is allocated before somebody asks. A zeroed struct is one where nobody has. */

/* Safe on a zeroed struct, and twice. */
void lk_attendance_deinit(lk_attendance *self);

/* What is needed to begin, and at each call. */
typedef struct lk_attendance_context {
  const lk_env *env;
  const lk_limits *limits;
  uint64_t node[2]; /* never the same for two rooms, openings of one, or calls */
  uint64_t entropy; /* fresh */
  uint64_t now_ms;
  bool is_watched; /* the room wants to know what members show */
} lk_attendance_context;

/* A member comes in with |payload|; |*hears| is whether it asked for presence. The errors of
 * lk_presence_track(), LK_ERR_PAYLOAD: it should not come in, nothing has changed. */
lk_err lk_attendance_enter(lk_attendance *self, const lk_attendance_context *context,
                           uint64_t member, lk_slice payload, bool *hears) LK_MUST_USE;

/* It is gone. */
void lk_attendance_leave(lk_attendance *self, uint64_t member, uint64_t now_ms);

/* It may have missed something: it gets the state again. */
void lk_attendance_repeat(lk_attendance *self, uint64_t member, uint64_t now_ms);

/* Whether |event| is one of the three above, or, where members have cursors, cursor_pos, which sets the field of that name in
 * what the member shows. */
bool lk_attendance_knows(lk_slice event, bool has_cursors);

/* Carries it out. Errors as above, LK_ERR_NOT_FOUND for a key that is not shown. */
lk_err lk_attendance_change(lk_attendance *self, const lk_attendance_context *context,
                            uint64_t member, lk_slice event, lk_slice payload) LK_MUST_USE;

/* ---- what the room knows ---- */

/* Somebody hears of presence now, or nobody does any more: true once for each such turn, of which the room is to be told. While nobody
 * hears, what the room knows is not kept: it is said anew when somebody does. */
bool lk_attendance_turns(lk_attendance *self, const lk_attendance_context *context, bool *is_heard);

/* The room knows |who| of |member|: an object whose fields `user` and `cursor` it shows from now on beside its own; those that
 * its own meta has stay as they are. Somebody who shows nothing of its own is shown by them alone, under |key|. Empty: the room
 * knows nothing any more. Nothing happens while nobody hears of presence. What goes beyond a limit is not shown; without
 * memory it is shown with the next change. */
void lk_attendance_show(lk_attendance *self, const lk_attendance_context *context, uint64_t member,
                        lk_slice key, lk_slice who);

/* The room wants to know what all show by themselves. */
void lk_attendance_recall(lk_attendance *self, const lk_attendance_context *context);

/* Members that show something else than the room was told, or nothing, in a set by their numbers, 8 bytes, little endian; the
 * caller deinitialises |*out|. False where there are none, or it is not time. */
bool lk_attendance_take_fresh(lk_attendance *self, const lk_attendance_context *context,
                              lk_map *out);

/* What |member| shows by itself; good until the next call. False: nothing. */
bool lk_attendance_shown_by(const lk_attendance *self, uint64_t member, lk_slice *key,
                            lk_slice *meta);

/* ---- what to tell ---- */

/* When lk_attendance_turns(), _take_fresh() or _tick() has something: 0 is at once; LK_PRESENCE_NEVER. */
uint64_t lk_attendance_deadline(const lk_attendance *self);

/* A window has ended: |out| as of lk_presence_tick(), of which it has the errors, too. */
lk_err lk_attendance_tick(lk_attendance *self, uint64_t now_ms, lk_presence_flush *out) LK_MUST_USE;

/* Where nobody shows itself or hears of others, and everybody was told so, it is as small again as in the beginning. To be called when
 * what a tick gave is not used any more. */
void lk_attendance_rest(lk_attendance *self);

/* What all have been told together: see lk_presence_told(). */
lk_err lk_attendance_told(lk_attendance *self, lk_slice *state) LK_MUST_USE;

#endif
