/* room/house_revival.c -- topics of level memory that the house before had, when it died.
 *
 *   LIST ──> a page of names ──> of each scroll: OPEN ─ READ its head ─ CLOSE ──> its topic is loaded
 *     ^────────────────────────────────── the next page ──────────────────────────┘
 *
 * Those who were in come back by themselves. But a room whose last member had left must be erased some day, and
 * there is nobody who would open it: so all are opened, and the time without members begins anew. */
#include "room/house_parts.h"

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

void lk_house_begin_revival(lk_house *self) { list_names(self); }

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
