/* room/house_space.c -- when there is no space for what rooms write down.
 *
 * A room has made a change when its record is written. Where that finds no space, all that can be done is to take the change back:
 * whoever asked is told that it was refused, the room is closed, its members join again, and it is opened from what is
 * durable. Nobody but its author has seen the change. But everybody in the room is thrown out for it, and again by the next
 * change. So space is set aside, and changes are refused from the moment on at which no more of it is to be had:
 *
 *               set aside                                       no more of it                  used for
 *   durable     behind the end of the journal (log/journal.h)   the journal says SPACE         what is on its way by then
 *   memory      the ballast: a file without anything in it,     a record finds no space:       that record, and those
 *               for which house_ballast_bytes are reserved      the ballast is cut             that rooms have made
 *
 * While it is so, each input says is_full, and rooms answer "storage_full" to what would need a record, before they do
 * anything. Reading, joining, presence, deleting go on; a snapshot that finds no space is taken later. Once a second is looked whether
 * there is space again: then the ballast is filled, or the journal's, and all is as before.
 *
 * Who was refused has to do it again, which a person may, or a program that heard the answer. But a replica that goes on
 * writes what follows from what was refused, and some have protocols without answers. They are marked when they
 * are refused, and sent out when there is space, with a reason: they join again, and send what is missing.
 *
 * Always: the ballast is held, or level memory is full, or the storage cannot reserve; who is behind is in.
 *
 * Not chosen: to take a change back inside of the room, which most kinds could only do by a second copy of everything; to
 * look how much is free before each change, when others use the disk as well, and nobody knows what a record will
 * take. See docs/decisions/022. */
#include "room/house_parts.h"

#define RETRY_MS 1000

enum { PHASE_REST, PHASE_OPEN, PHASE_RESERVE, PHASE_CUT };

bool lk_house_is_full(const entry *e) {
  if (!e->kind->is_kept) return false;
  return e->is_memory ? e->house->is_memory_full : e->house->is_disk_full;
}

/* ---- those who are refused ---- */

void lk_house_note_refusal(lk_house *self, const lk_room_effect *effect) {
  member *m = lk_house_find_member(self, effect->member);
  self->stats.refused++;
  if (m != NULL && effect->is_behind) m->is_behind = true;
}

static void refuse_for_space(lk_house *self, uint64_t number, uint64_t request) {
  self->stats.refused++;
  lk_house_answer(
      self, number, request, LK_BUS_REPLY, LK_LIT("error"),
      LK_LIT("{\"reason\":\"storage_full\"," LK_RETRY_SOON ","
             "\"error\":\"LK_ERR_NO_SPACE\",\"message\":"
             "\"there is no space to keep the change, so it was not made; free some, and make it "
             "again\"}"),
      false);
}

/* All that the room was given and did not answer was to be in this record, or in one behind it. Who is not in yet is refused
 * when the room goes. */
static void refuse_handed(entry *e) {
  for (lk_link *at = e->asked.first, *next; at != NULL; at = next) {
    asked *a = LK_CONTAINER(at, asked, link);
    const member *m = lk_house_find_member(e->house, a->member);
    next = at->next;
    if (a->turn == TURN_NONE || a->is_parted || (m != NULL && m->state != MEMBER_IN)) continue;
    refuse_for_space(e->house, a->member, a->request);
  }
}

void lk_house_take_back(entry *e) {
  lk_house_forget_flight(e);
  if (e->state != ENTRY_OPEN) {
    lk_house_closing_goes_on(e, LK_ERR_NO_SPACE);
    return;
  }
  LK_COVERED(house_takes_a_change_back);
  refuse_handed(e);
  lk_house_drop_room(e, LK_ERR_NO_SPACE);
}

/* May drop the room. */
static void call_again(entry *e) {
  for (lk_link *at = e->members.first, *next; e->state == ENTRY_OPEN && at != NULL; at = next) {
    member *m = LK_CONTAINER(at, member, link);
    uint64_t number = m->number;
    next = at->next;
    if (!m->is_behind) continue;
    LK_COVERED(house_calls_who_is_behind);
    lk_house_remove_member(e->house, m);
    lk_house_tell_crash(e->house, number, LK_LIT("storage_full"));
  }
}

/* Those who are behind, in rooms of one level. */
static void call_all_again(lk_house *self, bool of_memory) {
  uint32_t cursor = 0;
  lk_slice topic;
  void *value;
  while (lk_map_next(&self->entries, &cursor, &topic, &value)) {
    entry *e = *(entry **)value;
    if (e->is_memory == of_memory) call_again(e);
  }
}

static void look_later(lk_house *self) { self->space_at_ms = self->now_ms + RETRY_MS; }

/* ---- durable ---- */

void lk_house_journal_refused(lk_house *self, uint64_t index) {
  lk_tails_take_back(&self->tails, index);
  self->appended = index - 1;
  while (self->flying.first != NULL) {
    entry *e = LK_CONTAINER(self->flying.first, warmth, flight_link)->entry;
    LK_ASSERT(e->index >= index);
    lk_house_take_back(e);
  }
  while (self->unsent.first != NULL)
    lk_house_take_back(LK_CONTAINER(self->unsent.first, warmth, flight_link)->entry);
}

void lk_house_journal_space(lk_house *self, bool is_there) {
  self->is_disk_full = !is_there;
  if (is_there) call_all_again(self, false);
  else look_later(self);
}

/* ---- memory ---- */

static void submit(lk_house *self, uint32_t phase, lk_io io) {
  ballast *b = &self->ballast;
  b->phase = phase;
  b->io = io;
  b->io.file = b->file;
  b->io.user = b;
  self->busy_count++;
  self->memory->submit(self->memory, &b->io);
}

void lk_house_begin_ballast(lk_house *self) {
  submit(self, PHASE_OPEN,
         (lk_io){ .kind = LK_IO_OPEN, .name = LK_LIT("ballast"), .create = true });
}

static void reserve(lk_house *self) {
  submit(self, PHASE_RESERVE,
         (lk_io){ .kind = LK_IO_RESERVE, .off = self->limits->house_ballast_bytes });
}

static void set_memory_full(lk_house *self, bool is_full) {
  bool was_full = self->is_memory_full;
  self->is_memory_full = is_full;
  if (is_full) look_later(self);
  else if (was_full) call_all_again(self, true);
}

static void on_reserved(lk_house *self, lk_err result) {
  self->ballast.is_held = result == LK_OK;
  set_memory_full(self, result == LK_ERR_NO_SPACE);
}

void lk_house_advance_ballast(lk_house *self) {
  ballast *b = &self->ballast;
  uint32_t phase = b->phase;
  self->busy_count--;
  b->phase = PHASE_REST;
  switch (phase) {
  case PHASE_OPEN:
    b->has_file = b->io.result == LK_OK;
    b->file = b->io.file;
    if (b->has_file) reserve(self);
    else set_memory_full(self, b->io.result == LK_ERR_NO_SPACE);
    break;
  case PHASE_RESERVE: on_reserved(self, b->io.result); break;
  case PHASE_CUT: break;
  default: LK_UNREACHABLE();
  }
}

bool lk_house_write_on_ballast(entry *e) {
  lk_house *house = e->house;
  ballast *b = &house->ballast;
  bool is_held = b->is_held && b->phase == PHASE_REST;
  set_memory_full(house, true);
  if (!is_held) return false;
  LK_COVERED(house_gives_up_its_ballast);
  b->is_held = false;
  submit(house, PHASE_CUT, (lk_io){ .kind = LK_IO_TRUNCATE });
  house->busy_count++;
  lk_scroll_try_again(&e->warmth->scroll);
  return true;
}

/* ---- both ---- */

void lk_house_try_space(lk_house *self) {
  look_later(self);
  if (self->is_disk_full && self->journal_state == JOURNAL_OPEN) {
    lk_journal_try_space(&self->journal);
    lk_house_poll_journal(self);
  }
  if (!self->is_memory_full || self->ballast.phase != PHASE_REST) return;
  if (self->ballast.has_file) reserve(self);
  else lk_house_begin_ballast(self);
}
