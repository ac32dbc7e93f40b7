/* room/house_names.c -- which topics there are, whether they are in memory or not.
 *
 * A name is in the index (room/names.h) where one of three knows the topic, and leaves it when none does any more:
 *
 *   entries     it is open, or about to be              tails     the journal has records of it that no snapshot has
 *   IS_KEPT     the storage has a snapshot of it: this house wrote it or read it, or the scan has found it
 *
 * Files are called by a digest of the topic, so that the storage's names say nothing; but each snapshot begins with its
 * topic (room/kept.h), so the beginnings of all slots are read once, in the background, when the journal is open:
 *
 *   WALK ──> a page of names ──> of each slot: PEEK, a few at a time ──> its topic is in the index
 *     ^────────────────────────────── the next page ───────────────────────────┘
 *
 * Nothing waits for that. Who asks meanwhile gets what is known, and is told that it is not all.
 *
 * Where a name had no space, or a file could not be read, something is missed, and no list is complete. That may have passed: who
 * asks for a list has it all looked for once more, but not so often that it is felt. What a scan finds that missed nothing is all.
 *
 * What is peeked at is a hint: it may be torn, or be gone in a moment. So a topic counts only where the file is called by
 * its digest; and one that was read while a topic was erased is read again, since it may have been that one's. A first snapshot
 * that is torn names a topic all the same: rightly, as its records are still in the journal. Where a slot does not say whose it
 * is, the topic's other slot may, which is written in turn with it.
 *
 * Not chosen: a list of topics in a file of its own. It would be read in a moment where a scan takes some microseconds
 * for each topic, but it would be a second truth, which each first snapshot and each deletion had to wait for (docs/decisions/028). */
#include "room/house_parts.h"

#include "codec/crc32c.h"
#include "log/slot.h"

#define IS_KEPT 1
#define PEEKS 8
#define PEEK_BYTES (LK_SLOT_HEADER_LEN + 21 + LK_SCROLL_TOPIC_MAX)
#define PAGE_BYTES 8192

/* Of the time, a hundredth at most goes into scans that are made again. */
#define RESCAN_MS 60000u
#define RESCAN_TIMES 100u

typedef struct peek {
  lk_io io;
  uint64_t erased; /* so many topics had been when it was begun */
  bool is_other;   /* it is at the other slot of a topic, since the one does not say whose it is */
  uint8_t other[LK_KEEPER_NAME_LEN];
  uint8_t head[PEEK_BYTES];
} peek;

struct lk_house_scan {
  lk_io walk;
  uint32_t flying; /* peeks; at rest where there is none and the walk is not under way */
  bool is_walking;
  uint8_t peeks_free; /* one bit for each */
  size_t page_len;
  size_t next; /* in the page */
  size_t last_len;
  peek peeks[PEEKS];
  uint8_t last[LK_IO_NAME_MAX];
  uint8_t page[PAGE_BYTES];
};

/* ---- the index ---- */

void lk_house_init_names(lk_house *self) {
  lk_names_init(&self->names, self->env->alloc, self->limits->house_names_bytes);
}

static void end_scan(lk_house *self, scan_state state) {
  if (self->scan != NULL) lk_free_bytes(self->env->alloc, self->scan, sizeof *self->scan);
  self->scan = NULL;
  self->scan_state = state;
}

void lk_house_deinit_names(lk_house *self) {
  end_scan(self, SCAN_NONE);
  lk_names_deinit(&self->names);
}

static void miss(lk_house *self) { self->lacks_names = self->has_missed = true; }

/* Without space for its name a topic is as good as before, but for lists. */
static void put(lk_house *self, lk_slice topic, uint8_t flags) {
  uint8_t *at;
  if (topic.len == 0 || lk_names_put(&self->names, topic, &at) != LK_OK) {
    LK_COVERED(house_has_no_space_for_a_name);
    miss(self);
  } else {
    *at |= flags;
  }
}

void lk_house_name_is_there(lk_house *self, lk_slice topic) { put(self, topic, 0); }
void lk_house_name_is_kept(lk_house *self, lk_slice topic) { put(self, topic, IS_KEPT); }

void lk_house_name_is_erased(lk_house *self, lk_slice topic) {
  uint8_t *flags = lk_names_find(&self->names, topic);
  if (flags != NULL) *flags = 0;
}

void lk_house_settle_name(lk_house *self, lk_slice topic) {
  const uint8_t *flags = lk_names_find(&self->names, topic);
  if (flags == NULL || (*flags & IS_KEPT) != 0) return;
  if (lk_house_find_entry(self, topic) != NULL || lk_tails_find(&self->tails, topic) != NULL)
    return;
  (void)lk_names_remove(&self->names, topic);
}

bool lk_house_has_topic(const lk_house *self, lk_slice topic, uint8_t flags) {
  const entry *e = lk_house_find_entry(self, topic);
  const lk_tail *tail = lk_tails_find(&self->tails, topic);
  if (e != NULL) return e->state != ENTRY_GONE && !e->is_doomed;
  return tail != NULL ? tail->doomed == 0 : (flags & IS_KEPT) != 0;
}

bool lk_house_knows_all_names(const lk_house *self) {
  if (self->lacks_names) return false;
  return self->storage == NULL ||
         (self->scan_state == SCAN_DONE && self->journal_state == JOURNAL_OPEN);
}

/* ---- the scan ---- */

static void go_on(lk_house *self);

static void submit_peek(lk_house *self, peek *p) {
  p->erased = self->stats.erased;
  self->busy_count++;
  self->storage->submit(self->storage, &p->io);
}

static bool is_slot(lk_slice name) {
  return name.len == LK_KEEPER_NAME_LEN &&
         (lk_slice_ends_with(name, LK_LIT(".0")) || lk_slice_ends_with(name, LK_LIT(".1")));
}

static void begin_peek(lk_house *self, lk_slice name) {
  lk_house_scan *s = self->scan;
  unsigned i = 0;
  while ((s->peeks_free >> i & 1) == 0) i++;
  peek *p = &s->peeks[i];
  s->peeks_free = (uint8_t)(s->peeks_free & ~(1u << i));
  s->flying++;
  p->is_other = false;
  p->io = (lk_io){
    .kind = LK_IO_PEEK, .name = name, .into = p->head, .into_len = sizeof p->head, .user = s
  };
  submit_peek(self, p);
}

/* The page's names lie still while any of them is being looked at. */
static void begin_walk(lk_house *self) {
  lk_house_scan *s = self->scan;
  s->walk = (lk_io){ .kind = LK_IO_WALK,
                     .name = lk_slice_of(s->last, s->last_len),
                     .into = s->page,
                     .into_len = sizeof s->page,
                     .user = s };
  s->is_walking = true;
  self->busy_count++;
  self->storage->submit(self->storage, &s->walk);
}

/* What is known without the storage. */
static void put_known(lk_house *self) {
  uint32_t cursor = 0;
  lk_slice topic;
  void *value;
  while (lk_map_next(&self->entries, &cursor, &topic, &value)) put(self, topic, 0);
  cursor = 0;
  while (lk_map_next(&self->tails.tails, &cursor, &topic, &value)) put(self, topic, 0);
}

/* All was found that there is, but for what was missed. */
static void settle_scan(lk_house *self) {
  uint64_t took_ms = self->now_ms - self->scan_began_ms;
  self->lacks_names = self->has_missed;
  self->rescan_at_ms = self->now_ms + lk_max_u64(RESCAN_MS, took_ms * RESCAN_TIMES);
}

static bool may_scan(const lk_house *self) {
  if (self->storage != NULL && self->journal_state != JOURNAL_OPEN) return false;
  if (self->storage != NULL && self->scan_state != SCAN_DONE) return self->scan == NULL;
  return self->lacks_names && self->now_ms >= self->rescan_at_ms;
}

void lk_house_begin_scan(lk_house *self) {
  if (!may_scan(self)) return;
  if (self->storage != NULL) {
    self->scan = lk_alloc_bytes(self->env->alloc, sizeof *self->scan);
    self->scan_state = self->scan == NULL ? SCAN_NONE : SCAN_RUNS;
    if (self->scan == NULL) return; /* who asks for a list tries again */
    *self->scan = (lk_house_scan){ .peeks_free = (1u << PEEKS) - 1 };
  }
  self->scan_began_ms = self->now_ms;
  self->has_missed = false;
  if (self->lacks_names) put_known(self);
  if (self->storage != NULL) begin_walk(self);
  else settle_scan(self);
}

static void go_on(lk_house *self) {
  lk_house_scan *s = self->scan;
  while (!s->is_walking && s->next < s->page_len && s->peeks_free != 0 && !self->is_ending) {
    lk_slice rest, left = lk_slice_of(s->page + s->next, s->page_len - s->next);
    lk_slice name = lk_slice_cut(left, '\n', &rest);
    s->next += name.len + 1;
    memcpy(s->last, name.ptr, name.len);
    s->last_len = name.len;
    if (is_slot(name)) begin_peek(self, name);
  }
  if (s->flying > 0 || s->is_walking) return;
  if (self->is_ending) end_scan(self, SCAN_NONE);
  else begin_walk(self);
}

static void on_page(lk_house *self) {
  lk_house_scan *s = self->scan;
  s->is_walking = false;
  s->page_len = s->walk.result == LK_OK ? s->walk.done : 0;
  s->next = 0;
  if (s->page_len > 0) {
    go_on(self);
    return;
  }
  const bool is_done = s->walk.result == LK_OK;
  end_scan(self, is_done ? SCAN_DONE : SCAN_NONE); /* who asks for a list has it tried again */
  if (is_done) settle_scan(self);
}

typedef enum finding { NO_SLOT, NAMELESS, NAMED } finding;

/* What the beginning of the slot |name| says, if that is what it seems. */
static finding note_slot(lk_house *self, lk_slice name, lk_slice head) {
  uint8_t bytes[LK_KEEPER_NAME_LEN];
  lk_slice body, topic, rest;
  uint64_t index;
  if (lk_slot_peek(head, &body) != LK_OK) return NO_SLOT;
  if (lk_kept_decode_snapshot(body, &index, &topic, &rest) != LK_OK) return NO_SLOT;
  if (topic.len == 0) return NAMELESS; /* of a version that did not say */
  lk_keeper_name(topic, name.ptr[name.len - 1] == '1' ? 1 : 0, bytes);
  if (!lk_slice_equal(name, lk_slice_of(bytes, sizeof bytes))) return NO_SLOT;
  const lk_room_kind *kind = lk_room_kind_of(topic);
  bool is_ours = self->houses_count < 2 || lk_crc32c(topic) % self->houses_count == self->index;
  if (!is_ours || kind == NULL || !kind->is_kept) return NAMED;
  LK_COVERED(house_finds_a_topic_by_its_slot);
  lk_house_name_is_kept(self, topic);
  return NAMED;
}

static finding find(lk_house *self, const peek *p) {
  if (p->io.result == LK_ERR_NOT_FOUND) return NO_SLOT;
  if (p->io.result != LK_OK) return NAMELESS;
  return note_slot(self, p->io.name, lk_slice_of(p->head, p->io.done));
}

static void peek_at_other(lk_house *self, peek *p) {
  uint8_t *last = &p->other[sizeof p->other - 1];
  memcpy(p->other, p->io.name.ptr, sizeof p->other);
  *last = *last == '0' ? '1' : '0';
  p->io.name = lk_slice_of(p->other, sizeof p->other);
  p->is_other = true;
  submit_peek(self, p);
}

static void on_peeked(lk_house *self, peek *p) {
  lk_house_scan *s = self->scan;
  if (p->erased != self->stats.erased) {
    LK_COVERED(house_peeks_again_after_a_deletion);
    submit_peek(self, p);
    return;
  }
  finding what = find(self, p);
  if (what == NAMELESS && !p->is_other && !self->is_ending) {
    peek_at_other(self, p);
    return;
  }
  if (what == NAMELESS || (what == NO_SLOT && p->is_other)) miss(self);
  s->peeks_free = (uint8_t)(s->peeks_free | 1u << (p - s->peeks));
  s->flying--;
  go_on(self);
}

bool lk_house_is_of_scan(const lk_house *self, const lk_io *io) {
  return self->scan != NULL && io->user == self->scan;
}

void lk_house_advance_scan(lk_house *self, lk_io *io) {
  self->busy_count--;
  if (io == &self->scan->walk) on_page(self);
  else on_peeked(self, LK_CONTAINER(io, peek, io));
}
