/* room/house_lag.c -- members that read more slowly than they are sent to.
 *
 *   edge: SLOW   ──> served like a constrained client
 *   edge: BEHIND ──> LAG to the room ──> SKIP ──> edge: broadcasts pass the member by from here on
 *   edge: IN_STEP ──> CATCH_UP to the room ──> what it missed, RESUME ──> edge: and from here on it hears them again
 *
 * SKIP and RESUME stand in the stream to the edge between those broadcasts that the member gets and those that it does not: so
 * nothing is missed, and what it catches up on is no more than what there is to say now. A kind that cannot tell what somebody
 * missed has its members cut off when too much waits for them. */
#include "room/house_parts.h"

static void tell_lag(member *m, lk_bus_lag lag) {
  lk_house_tell(m->entry->house, edge_of(m->number),
                &(lk_bus_message){ .kind = LK_BUS_LAG,
                                   .member = own_of(m->number),
                                   .request = lag,
                                   .profiles = lk_profile_only((lk_profile)m->profile) });
}

/* It is served as it asked to be, and while it is behind no better than a constrained client. */
static void set_pace(member *m) {
  uint8_t profile = m->own_profile;
  if (m->lag != LK_BUS_IN_STEP && profile == LK_PROFILE_FULL) profile = LK_PROFILE_CONSTRAINED;
  if (profile == m->profile) return;
  lk_house_set_pace(m, (lk_profile)profile);
  if (!m->is_skipped) tell_lag(m, LK_BUS_IN_STEP);
}

void lk_house_on_lag(lk_house *self, uint64_t number, lk_bus_lag lag) {
  member *m = lk_house_find_member(self, number);
  if (m == NULL) return;
  if (m->state != MEMBER_IN || m->entry->state != ENTRY_OPEN) {
    m->lag = (uint8_t)lag; /* until its room is there */
    return;
  }
  entry *e = m->entry;
  bool was_behind = m->lag == LK_BUS_BEHIND, is_behind = lag == LK_BUS_BEHIND;
  m->lag = (uint8_t)lag;
  set_pace(m);
  if (!e->kind->catches_up || was_behind == is_behind) return;
  lk_house_run_room(e, (lk_room_input){ .kind = is_behind ? LK_ROOM_LAG : LK_ROOM_CATCH_UP,
                                        .member = number,
                                        .profile = (lk_profile)m->profile });
}

/* An edge may remember another one, of before its house died: by capabilities that were told since the join, or of a reader that
 * was slow. It would then be sent neither what is for full members nor what is gathered. */
void lk_house_tell_profile(member *m) { tell_lag(m, LK_BUS_IN_STEP); }

void lk_house_repeat_lag(lk_house *self, uint64_t number) {
  member *m = lk_house_find_member(self, number);
  if (m == NULL || m->lag == LK_BUS_IN_STEP) return;
  lk_bus_lag lag = (lk_bus_lag)m->lag;
  m->lag = LK_BUS_IN_STEP;
  lk_house_on_lag(self, number, lag);
}

/* What is gathered was said before, and is not among what it will be told. From here on nothing is gathered for it: its edge
 * would pass that by, and it is the most of what a reader that has stopped could cost a room. */
void lk_house_skip(entry *e, uint64_t number) {
  member *m = lk_house_find_member(e->house, number);
  if (m == NULL || m->entry != e || m->state != MEMBER_IN) return;
  if (m->lag != LK_BUS_BEHIND) return; /* it has caught up meanwhile, or its edge began again */
  lk_house_flush_pace(e);
  lk_house_leave_pace(m);
  m->is_skipped = true;
  e->house->stats.members_skipped++;
  tell_lag(m, LK_BUS_BEHIND);
}

/* Who heard of presence is told of all that are there. */
void lk_house_resume(entry *e, uint64_t number) {
  member *m = lk_house_find_member(e->house, number);
  if (m == NULL || m->entry != e || m->state != MEMBER_IN) return;
  if (m->is_skipped) {
    m->is_skipped = false;
    lk_house_enter_pace(m);
  }
  tell_lag(m, LK_BUS_IN_STEP);
  lk_house_repeat_attendance(e, number);
}
