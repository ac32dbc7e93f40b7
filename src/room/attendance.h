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
 * channel/presence.h. Who is present is not journaled: members that come back say it again. */
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
  uint64_t node[2]; /* never the same for two rooms, nor for one that is opened again */
  uint64_t entropy; /* fresh */
  uint64_t now_ms;
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

/* When lk_attendance_tick() has something to tell; LK_PRESENCE_NEVER. */
uint64_t lk_attendance_deadline(const lk_attendance *self);

/* |*diff| is for those who have had a state, |*state| for those who wait for one; empty: nothing. Both live until the
 * next call. LK_ERR_NOMEM: later. */
lk_err lk_attendance_tick(lk_attendance *self, uint64_t now_ms, lk_slice *diff,
                          lk_slice *state) LK_MUST_USE;

#endif
