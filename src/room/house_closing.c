/* room/house_closing.c -- the end of an entry: dropping its room, closing its file, erasing all that is kept of it.
 *
 *   drop ──> CLOSING ──> what is under way comes to its end ──> closing its scroll ──> GONE, or LOADING where somebody waits
 *
 * What is doomed is erased on the way: a topic that was deleted, and one of level memory that nobody was in for a while.
 * Each step is durable before the next one begins, and a house that dies between two of them leaves a mark by which the
 * next one goes on, so that no part of a topic comes back without the others:
 *
 *   level     1. mark                                        2.        3.
 *   durable   a tombstone in the journal, on which opening    slots     the tail, so that the journal lets go of it
 *             forgets all records before
 *   memory    the first byte of the scroll                    slots     the scroll
 *
 * Records of a deleted topic are in segments of the journal until those are retired, but nobody reads them.
 * In memory everything is zero when it is done, the house's own buffers included.
 *
 * Who asked for the deletion waits among the entry's inputs, and is answered when it is done; who came behind gets
 * an empty room. */
#include "room/house_parts.h"

enum { STEP_MARK_DISK, STEP_MARK_MEMORY, STEP_SLOTS, STEP_SCROLL, STEPS, STEP_NOT_BEGUN };

/* Bytes of what went by stay in buffers that are used again. */
static void scrub(lk_house *self) {
  lk_buf_deinit(&self->kept);
  lk_buf_init(&self->kept, self->env->alloc, lk_house_kept_bytes_max(self->limits));
  for (uint32_t i = 0; i < self->edges_count; i++) {
    edge *e = &self->edges[i];
    if (e->out.len > 0) continue; /* it goes on being written over */
    lk_buf_deinit(&e->out);
    lk_buf_init(&e->out, self->env->alloc, self->limits->bus_output_bytes);
  }
}

/* ---- steps; true where something is under way ---- */

static bool begin_tombstone(entry *e) {
  lk_house *house = e->house;
  const lk_tail *tail = lk_tails_find(&house->tails, entry_topic(e));
  bool is_there = tail != NULL || e->keeper.result != LK_OK || e->keeper.number != 0;
  if (e->is_memory || !is_there || (tail != NULL && tail->doomed != 0)) return false;
  e->closing_err = house->journal_state == JOURNAL_OPEN ? LK_OK : house->journal_err;
  if (e->closing_err == LK_OK) e->closing_err = lk_house_warm(e);
  if (e->closing_err == LK_OK)
    e->closing_err = lk_tails_make(&house->tails, entry_topic(e), LK_SLICE_EMPTY,
                                   &e->warmth->unsent);
  if (e->closing_err != LK_OK) return false;
  e->is_tombstone = true;
  e->flight = FLIGHT_UNSENT;
  lk_list_push_last(&house->unsent, &e->warmth->flight_link);
  return true;
}

static bool remove_slots(entry *e) {
  const lk_keeper_place place = lk_house_place_of(e);
  e->closing_err = lk_keeper_remove(&e->keeper, &place);
  if (e->closing_err == LK_OK) e->house->busy_count++;
  else LK_COVERED(house_has_no_memory_to_erase);
  return e->closing_err == LK_OK;
}

static bool close_scroll(entry *e) {
  if (!e->is_memory) return false;
  if (e->is_erasing && (e->closing_err = lk_house_warm(e)) != LK_OK) return false;
  if (e->is_erasing) lk_scroll_remove(&e->warmth->scroll);
  else if (e->warmth == NULL || !lk_scroll_close(&e->warmth->scroll)) return false;
  e->house->busy_count++;
  return true;
}

static bool mark_scroll(entry *e) {
  if (!e->is_memory || (e->closing_err = lk_house_warm(e)) != LK_OK) return false;
  if (!lk_scroll_condemn(&e->warmth->scroll)) return false;
  e->house->busy_count++;
  return true;
}

static bool begin_step(entry *e, unsigned step) {
  switch (step) {
  case STEP_MARK_DISK: return e->is_erasing && begin_tombstone(e);
  case STEP_MARK_MEMORY: return e->is_erasing && mark_scroll(e);
  case STEP_SLOTS: return e->is_erasing && remove_slots(e);
  case STEP_SCROLL: return close_scroll(e);
  default: LK_UNREACHABLE();
  }
}

static void finish_closing(entry *e);

/* After a step that failed nothing more is erased: what the mark says is done when the topic is loaded again. */
static void go_on_closing(entry *e, lk_err err) {
  if (err != LK_OK && e->is_erasing) e->closing_err = err;
  while (e->closing < STEPS) {
    if (e->closing_err != LK_OK) e->is_erasing = false;
    if (begin_step(e, e->closing++)) return;
  }
  if (e->closing_err != LK_OK) e->is_erasing = false;
  finish_closing(e);
}

static void begin_closing(entry *e) {
  e->closing = 0;
  e->closing_err = LK_OK;
  e->is_erasing = e->is_doomed && e->kind->is_kept;
  go_on_closing(e, LK_OK);
}

void lk_house_closing_goes_on(entry *e, lk_err err) {
  LK_ASSERT(e->state == ENTRY_CLOSING);
  if (!lk_house_is_at_rest(e)) return;
  if (e->closing == STEP_NOT_BEGUN) begin_closing(e);
  else go_on_closing(e, err);
}

/* ---- the end ---- */

static bool is_deletion(const waiting_input *w) {
  return w->kind == LK_BUS_QUERY &&
         lk_slice_equal(lk_slice_of(w->bytes, w->event_len), LK_LIT("delete"));
}

static void answer_deletions(entry *e, lk_err err) {
  for (lk_link *at = e->waiting.first, *next; at != NULL; at = next) {
    waiting_input *w = LK_CONTAINER(at, waiting_input, link);
    next = at->next;
    if (!is_deletion(w)) continue;
    lk_list_remove(&e->waiting, at);
    lk_house_answer_outcome(e->house, w->member, w->request, err);
    lk_house_free_waiting(e, w);
  }
}

void lk_house_tell_deletion(entry *e, uint64_t index) {
  lk_house *house = e->house;
  lk_house_note_deletion(house, entry_topic(e), index, e->is_memory);
  house->news.is_landing = lk_room_policy_is_watched(house->policy, entry_topic(e));
  for (lk_link *at = e->waiting.first; at != NULL; at = at->next) {
    const waiting_input *w = LK_CONTAINER(at, const waiting_input, link);
    if (is_deletion(w)) lk_house_note_author(e, w->member, w->request);
  }
  house->news.is_landing = false;
}

static bool was_asked_to_delete(const entry *e) {
  for (lk_link *at = e->waiting.first; at != NULL; at = at->next) {
    if (is_deletion(LK_CONTAINER(at, const waiting_input, link))) return true;
  }
  return false;
}

/* All that is kept of |e| is gone, or |err| says why not. What was durable is told of since its tombstone is; what was in memory
 * and idle went as it was bound to, and nobody is told. */
static void end_erasing(entry *e, lk_err err) {
  lk_house *house = e->house;
  const lk_tail *tail = lk_tails_find(&house->tails, entry_topic(e));
  if (err == LK_OK && !e->is_memory && tail != NULL) {
    lk_tails_drop(&house->tails, entry_topic(e), tail->doomed);
    lk_house_retire(house);
  }
  if (err == LK_OK && e->is_memory && e->index > 0 && was_asked_to_delete(e))
    lk_house_tell_deletion(e, e->index + 1);
  if (err == LK_OK && !e->is_memory) lk_house_name_is_erased(house, entry_topic(e));
  if (err == LK_OK) house->stats.erased++;
  if (err == LK_OK) lk_trace_emit(house->env, LK_TRACE_room_erased, 0, 0, entry_topic(e));
  e->is_doomed = e->is_erasing = false;
  e->journaled = e->index = 0;
  e->kept_len = 0;
  answer_deletions(e, err);
  if (err != LK_OK)
    lk_house_refuse_waiting(e, err); /* or they would have it tried again and again */
  scrub(house);
}

/* Who wanted to join meanwhile gets the room as it is now in the storage. */
static void finish_closing(entry *e) {
  bool has_to_erase = e->is_doomed && e->kind->is_kept && !e->is_erasing;
  if (has_to_erase && e->closing_err == LK_OK) { /* doomed while it was closing */
    begin_closing(e);
    return;
  }
  const bool is_erased = e->is_doomed && e->closing_err == LK_OK;
  if (e->is_doomed) end_erasing(e, e->closing_err);
  if (e->waiting.count > 0) {
    LK_COVERED(hub_room_opened_again_after_a_drop);
    lk_house_begin_loading(e);
    return;
  }
  e->state = ENTRY_GONE;
  if (!is_erased && lk_house_wants_memory(e)) lk_house_revive_later(e->house);
  (void)lk_map_remove(&e->house->entries, entry_topic(e));
  lk_house_settle_name(e->house, entry_topic(e));
  lk_list_push_last(&e->house->gone, &e->idle_link);
}

void lk_house_sweep(lk_house *self) {
  for (lk_link *at; (at = lk_list_pop_first(&self->gone)) != NULL;) {
    lk_house_free_entry(LK_CONTAINER(at, entry, idle_link));
  }
}

static bool is_of_storage(lk_err why) {
  return why == LK_ERR_IO || why == LK_ERR_SYNC || why == LK_ERR_PERMISSION || why == LK_ERR_CORRUPT || why == LK_ERR_CHECKSUM;
}

static lk_slice parting_word(const entry *e, lk_err why) {
  if (e->is_doomed) return LK_LIT("deleted");
  return why == LK_ERR_NO_SPACE ? LK_LIT("storage_full") : LK_LIT("storage");
}

/* The room goes; its members are told why, so that they come back. Where its record or its snapshot is
 * under way, the completion goes on from here. */
void lk_house_drop_room(entry *e, lk_err why) {
  lk_house *house = e->house;
  lk_trace_emit(house->env, LK_TRACE_room_stopped, (uint64_t)why, 0, entry_topic(e));
  if (e->room != NULL) e->kind->close(e->room);
  e->room = NULL;
  e->state = ENTRY_CLOSING;
  e->closing = STEP_NOT_BEGUN;
  if (why != LK_OK) house->stats.rooms_dropped++;
  if (is_of_storage(why)) house->stats.storage_failures++;
  lk_house_forget_handed(e, false);
  while (e->members.first != NULL) {
    member *m = LK_CONTAINER(e->members.first, member, link);
    uint64_t number = m->number;
    lk_house_free_member(house, m);
    lk_house_tell_crash(house, number, parting_word(e, why));
  }
  e->applied_count = 0;
  lk_house_forget_recovered(e);
  lk_attendance_deinit(&e->attendance);
  e->is_watched = false;
  e->number = ++house->entries_made;
  lk_house_stop_timers(e);
  e->is_snapshotting = e->is_leaving = false;
  if (e->flight == FLIGHT_UNSENT) lk_house_forget_flight(e);
  lk_house_closing_goes_on(e, LK_OK);
}
