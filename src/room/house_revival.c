/* room/house_revival.c -- topics of level memory that the house before had, when it died.
 *
 *   LIST ──> a page of names ──> of each scroll: OPEN ─ READ its head ─ CLOSE ──> its topic is loaded
 *     ^────────────────────────────────── the next page ──────────────────────────┘
 *
 * Those who were in come back by themselves. But a room whose last member had left must be erased some day, and
 * there is nobody who would open it: so all are opened, and the time without members begins anew.
 *
 * The same becomes of a topic whose room was dropped, or could not be opened, and to which nobody comes back. So it is looked for
 * those a while later. What cannot be opened at all is tried less and less often. */
#include "room/house_parts.h"

#define AGAIN_FIRST_MS 30000u
#define AGAIN_LAST_MS 3600000u

enum { PHASE_REST, PHASE_LIST, PHASE_OPEN, PHASE_READ, PHASE_CLOSE };

static void submit(lk_house *self, uint32_t phase, lk_io io) {
  revival *r = &self->revival;
  r->phase = phase;
  r->io = io;
  r->io.file = r->file;
  r->io.user = r;
  self->busy_count++;
  self->memory->submit(self->memory, &r->io);
}

static void list_names(lk_house *self) {
  revival *r = &self->revival;
  submit(self, PHASE_LIST,
         (lk_io){ .kind = LK_IO_LIST,
                  .name = lk_slice_of(r->last, r->last_len),
                  .into = r->names,
                  .into_len = sizeof r->names });
}

void lk_house_begin_revival(lk_house *self) {
  revival *r = &self->revival;
  r->again_at_ms = LK_HOUSE_NEVER;
  r->began_ms = self->now_ms;
  r->last_len = 0;
  list_names(self);
}

void lk_house_revive_later(lk_house *self) {
  revival *r = &self->revival;
  if (self->memory == NULL || r->again_at_ms != LK_HOUSE_NEVER) return;
  const bool is_long_ago = self->now_ms - r->began_ms > 2 * (uint64_t)AGAIN_LAST_MS;
  r->pause_ms = r->pause_ms == 0 || is_long_ago ? AGAIN_FIRST_MS
                                                : lk_min_u64(r->pause_ms * 2, AGAIN_LAST_MS);
  r->again_at_ms = self->now_ms + r->pause_ms;
}

uint64_t lk_house_revives_at(const lk_house *self) {
  const revival *r = &self->revival;
  bool is_at_rest = self->memory != NULL && r->phase == PHASE_REST && !self->is_ending;
  return is_at_rest ? r->again_at_ms : LK_HOUSE_NEVER;
}

/* The next scroll of the page, or the next page. */
static void go_on(lk_house *self) {
  revival *r = &self->revival;
  lk_slice rest;
  while (r->next < r->names_len) {
    lk_slice left = lk_slice_of(r->names + r->next, r->names_len - r->next);
    lk_slice name = lk_slice_cut(left, '\n', &rest);
    r->next += name.len + 1;
    memcpy(r->last, name.ptr, name.len);
    r->last_len = name.len;
    if (name.len != LK_SCROLL_NAME_LEN || !lk_slice_ends_with(name, LK_LIT(".log"))) continue;
    submit(self, PHASE_OPEN,
           (lk_io){ .kind = LK_IO_OPEN, .name = lk_slice_of(r->last, r->last_len) });
    return;
  }
  if (r->names_len == 0) r->phase = PHASE_REST;
  else list_names(self);
}

/* It may have been opened by somebody meanwhile, or be one that nobody can open. */
static void revive(lk_house *self, lk_slice head) {
  lk_slice topic;
  entry *e;
  if (lk_scroll_topic(head, &topic) != LK_OK) return;
  const lk_room_kind *kind = lk_room_kind_of(topic);
  if (kind == NULL || !kind->is_kept || lk_house_find_entry(self, topic) != NULL) return;
  LK_COVERED(house_revives_a_room);
  if (lk_house_make_entry(self, topic, kind, &e) == LK_OK) lk_house_begin_loading(e);
}

void lk_house_advance_revival(lk_house *self) {
  revival *r = &self->revival;
  bool is_done = r->io.result == LK_OK;
  self->busy_count--;
  switch (r->phase) {
  case PHASE_LIST:
    r->names_len = is_done ? r->io.done : 0;
    r->next = 0;
    go_on(self);
    break;
  case PHASE_OPEN:
    r->file = r->io.file;
    if (is_done)
      submit(self, PHASE_READ,
             (lk_io){ .kind = LK_IO_READ, .into = r->head, .into_len = sizeof r->head });
    else go_on(self); /* it is gone */
    break;
  case PHASE_READ:
    if (is_done) revive(self, lk_slice_of(r->head, r->io.done));
    memset(r->head, 0, sizeof r->head);
    submit(self, PHASE_CLOSE, (lk_io){ .kind = LK_IO_CLOSE });
    break;
  case PHASE_CLOSE: go_on(self); break;
  default: LK_UNREACHABLE();
  }
}
