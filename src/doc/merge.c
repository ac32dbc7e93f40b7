/* doc/merge.c -- many updates made one, in Yjs's very bytes.
 *
 * What Yjs does (mergeUpdatesV2 in its utils/updates.js). Each update has a reader that stands at one
 * struct; Skips are passed over. There is one struct W that was taken up and may still grow.
 * A turn is:
 *
 *   1. sort the readers: the greatest client first, then the least clock. The first one is asked.
 *   2. pass over its structs that end where W ends or before. If that leads to another client, or to
 *      a gap, the turn ends here: another reader may know more.
 *   3. of another client than W: its struct is the new W. Of the same: a Skip fills a gap, an
 *      overlap is cut off its front, GC at a GC makes W longer, everything else is the new W.
 *   4. take up what follows in the same reader without a gap.
 *
 * and W is written whenever it is replaced. Sorting anew in each turn is what makes that quadratic.
 *
 * How we get the same. W can only grow while it is a GC, so items are written at once. Only the reader that was
 * asked moves in a turn; all others keep their order. The sort is stable, and the one that moved stood in
 * front: among equals it comes first again. So the order is that of (client, clock, the turn in which
 * the reader came to its place, latest first; at first the number of the update), and needs
 * no sorting in the turns: readers that were not asked yet stand in one row that is sorted once, the
 * others in a heap, and whoever is first is the first of the row or the top of the heap. A history of
 * small updates never gets into the heap: each is asked once, and is at its end then.
 *
 * Where the order of the sort is not what it says. Yjs's comparison of two readers with the same client and
 * clock says "before" whichever way it is asked, if one has a GC and the other one an item: it was
 * meant for Skips. Then the outcome depends on how JavaScript's engine sorts. Such ties are no rarity: one
 * replica has collected what the other one still has. So where there are GCs and less than 64 readers, these
 * are sorted in each turn, by V8's own sort (doc/timsort.h; V8 is Node's, Chrome's, Deno's). With 64 and more
 * we know what becomes of two, which change places with each sort, and settle_tie() counts. Where
 * three or more meet, nobody knows: the merge begins again, with the sort in each turn, if that is not too
 * much work (SORTS_MAX). If it is, our order is a fixed one, but not V8's.
 *
 * How it is fast. A first walk over each update checks it whole, so that nothing is written before all is
 * known to be good, collects the delete set, and notes where the update begins. Of a V1 update with
 * a single client it notes more: whether its structs are written in the way in which we would write
 * them. Then they are copied in one piece and never looked at again (is_plain below; a number
 * that is longer than it need be always ends in a byte above 127 and a 0, so an update without such a pair of
 * bytes has none). Only updates that overlap, have GCs or are V2 get a reader of their own.
 *
 * Always: structs are written with clients and clocks as they were read; a client has one section
 * unless an update brings its clients in another order than Yjs does. Time is linear but for the heap, memory
 * is 48 bytes for each update, and a reader for each of those that were begun and are not at their
 * end. */
#include "doc/merge.h"

#include "base/arena.h"
#include "codec/varint.h"
#include "doc/timsort.h"

#define FLAT_MAX 63                   /* readers that are sorted in each turn without a need */
#define SORTS_MAX ((uint64_t)1 << 26) /* readers, times structs */
#define CURSORS_CAP_LEAST 4

/* ---- the walk ---- */

lk_err lk_update_walk_init(lk_update_walk *self, lk_update_format format, lk_slice update,
                           const lk_limits *limits, lk_arena *scratch) {
  self->sections_left = limits->doc_clients_count;
  self->structs_left = limits->doc_structs_count;
  self->begins = false;
  self->in_map = false;
  if (update.len > limits->doc_update_bytes) return LK_ERR_LIMIT;
  return lk_update_reader_init(&self->reader, format, update, limits->any_depth, scratch);
}

static lk_err next_section(lk_update_walk *self) {
  uint64_t client, clock, count;
  lk_err err = lk_update_next_client(&self->reader, &client, &clock, &count);
  if (err != LK_OK) return err;
  if (self->sections_left == 0 || count > self->structs_left) return LK_ERR_LIMIT;
  self->sections_left--;
  self->structs_left -= count;
  self->begins = true;
  return LK_OK;
}

lk_err lk_update_walk_next(lk_update_walk *self) {
  self->begins = false;
  lk_err err = lk_update_next_struct(&self->reader, &self->view);
  while (err == LK_ERR_END) {
    if ((err = next_section(self)) != LK_OK) return err;
    err = lk_update_next_struct(&self->reader, &self->view);
  }
  if (err != LK_OK) return err;
  self->in_map = (self->view.info & LK_INFO_SUB) != 0;
  if (self->in_map && self->view.parent_form == LK_PARENT_INHERITED)
    self->view.info &= (uint8_t)~LK_INFO_SUB;
  return LK_OK;
}

/* ---- what a merge holds ---- */

/* What the first walk noted about an update that has structs. */
typedef struct note {
  uint64_t end; /* plain: where its clocks end */
  uint32_t body_at, body_len;
  uint32_t structs;
  bool is_plain; /* V1, one client, no GC and no Skip: |body| is what would be written */
  bool is_gc;    /* its first struct is one */
} note;

/* The reader of one update that is not at its end. */
typedef struct cursor {
  uint64_t turn; /* the sort with which it came to its place */
  lk_update_walk walk;
} cursor;

typedef struct merge {
  const lk_alloc *alloc;
  const lk_limits *limits;
  lk_update_format format;
  const lk_slice *updates;
  size_t update_count;
  lk_update_writer writer;
  lk_delete_set deletes;
  lk_arena values; /* what cursors had to rewrite */

  lk_clock_entry *row; /* where updates begin; |value| is their number */
  note *notes;         /* by number */
  size_t row_count, row_at;
  uint64_t structs;
  size_t plain_bytes; /* of all bodies */
  bool has_gc;
  bool is_tied; /* nobody knows the order of three or more */

  cursor *cursors; /* |order| has the numbers of those in use: a heap, or flat */
  uint32_t *order;
  uint32_t *unused;
  uint32_t cursor_cap, order_count, unused_count;
  uint64_t turn;

  bool has_current; /* W */
  bool is_gc;       /* W is not written yet: it may grow */
  uint64_t client, begin, end;
} merge;

static void merge_deinit(merge *self) {
  lk_update_writer_deinit(&self->writer);
  lk_delete_set_deinit(&self->deletes);
  lk_arena_deinit(&self->values);
  lk_free_array(self->alloc, self->row, self->update_count, sizeof *self->row);
  lk_free_array(self->alloc, self->notes, self->update_count, sizeof *self->notes);
  lk_free_array(self->alloc, self->cursors, self->cursor_cap, sizeof *self->cursors);
  lk_free_array(self->alloc, self->order, self->cursor_cap, sizeof *self->order);
  lk_free_array(self->alloc, self->unused, self->cursor_cap, sizeof *self->unused);
}

/* Forgets what was written. */
static void begin_again(merge *self) {
  lk_update_writer_deinit(&self->writer);
  lk_update_writer_init(&self->writer, self->alloc, self->format, self->limits->doc_update_bytes);
  for (uint32_t i = 0; i < self->cursor_cap; i++) self->unused[i] = self->cursor_cap - 1 - i;
  self->unused_count = self->cursor_cap;
  self->order_count = 0;
  self->has_current = self->is_gc = false;
}

/* ---- the first walk ---- */

#define WORD_TOPS UINT64_C(0x8080808080808080)
#define WORD_ONES UINT64_C(0x0101010101010101)

/* Whether a byte above 127 is followed by a 0 somewhere: every number that is longer than it need be ends so. */
static bool has_padded_number(lk_slice bytes) {
  size_t i = 0;
  for (; i + 9 <= bytes.len; i += 8) {
    uint64_t tops = lk_load_le64(bytes.ptr + i) & WORD_TOPS;
    uint64_t next = lk_load_le64(bytes.ptr + i + 1);
    /* The subtraction also marks a 1 behind a 0, but what stands before that 1 has no top bit. */
    if ((tops & (next - WORD_ONES) & ~next) != 0) return true;
  }
  for (; i + 1 < bytes.len; i++)
    if (bytes.ptr[i] >= 0x80 && bytes.ptr[i + 1] == 0) return true;
  return false;
}

static bool is_inside(lk_slice part, lk_slice whole) {
  uintptr_t from = (uintptr_t)whole.ptr, at = (uintptr_t)part.ptr;
  return part.len == 0 || (at >= from && at - from < whole.len);
}

/* Whether the struct, numbers aside, stands in |update| as we would write it. */
static inline bool is_as_written(const lk_update_walk *walk, lk_slice update) {
  const lk_struct *view = &walk->view;
  if (walk->in_map && view->parent_form == LK_PARENT_INHERITED) return false;
  switch (view->kind) {
  case LK_CONTENT_STRING:
  case LK_CONTENT_DELETED:
  case LK_CONTENT_BINARY:
  case LK_CONTENT_TYPE: return true;
  case LK_CONTENT_GC:
  case LK_CONTENT_SKIP: return false;
  default: return view->value.len > 0 && is_inside(view->value, update);
  }
}

static lk_err walk_structs(merge *self, lk_update_walk *walk, lk_slice update, note *seen,
                           lk_clock_entry *first) {
  lk_err err;
  size_t sections = 0;
  bool is_plain = self->format == LK_UPDATE_V1, found = false;
  while ((err = lk_update_walk_next(walk)) == LK_OK) {
    const lk_struct *view = &walk->view;
    sections += walk->begins;
    seen->structs++;
    seen->end = view->id.clock + view->len;
    is_plain = is_plain && is_as_written(walk, update);
    self->has_gc |= view->kind == LK_CONTENT_GC;
    if (found || view->kind == LK_CONTENT_SKIP) continue;
    found = true;
    seen->is_gc = view->kind == LK_CONTENT_GC;
    *first = (lk_clock_entry){ view->id.client, view->id.clock, first->value };
  }
  seen->is_plain = is_plain && sections == 1 && walk->reader.empty_count == 0;
  if (found) self->row_count++;
  return err == LK_ERR_END ? LK_OK : err;
}

/* The bytes of the structs: behind the four numbers of the only section. An update may have more, without structs,
 * which are nothing to the walk: such a one is not copied. */
static bool find_body(lk_slice update, size_t end, note *seen) {
  lk_reader in = lk_reader_of(update);
  uint64_t numbers[4]; /* sections, structs, client, clock */
  for (int i = 0; i < 4; i++)
    if (lk_varuint_decode(&in, LK_VARUINT_MAX_SAFE, &numbers[i]) != LK_OK) return false;
  if (numbers[0] != 1) return false;
  seen->body_at = (uint32_t)in.pos;
  seen->body_len = (uint32_t)(end - in.pos);
  return !has_padded_number(lk_slice_first(lk_reader_rest(&in), seen->body_len));
}

/* The common update, at a glance: V1, at most one client, texts of ASCII and what is deleted, all numbers as we write
 * them. The skimmer says yes or does not know; then the walk says what is what. It has its place as
 * two pointers and needs none of the reader's other state: that makes half the time of a merge. */
typedef struct skimmer {
  const uint8_t *at, *end;
  uint64_t client, word, mask; /* the client, and the bytes that it has */
  size_t client_len;
} skimmer;

static inline bool skim_uint(skimmer *self, uint64_t *out) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 56 && self->at < self->end; shift += 7) {
    uint8_t byte = *self->at++;
    value |= (uint64_t)(byte & 0x7F) << shift;
    if (byte >= 0x80) continue;
    *out = value;
    return (byte > 0 || shift == 0) && value <= LK_VARUINT_MAX_SAFE;
  }
  return false;
}

static bool skim_client(skimmer *self) {
  const uint8_t *from = self->at;
  if (!skim_uint(self, &self->client)) return false;
  self->client_len = (size_t)(self->at - from);
  self->mask = UINT64_MAX >> (64 - 8 * self->client_len);
  self->word = 0;
  for (size_t i = 0; i < self->client_len; i++) self->word |= (uint64_t)from[i] << 8 * i;
  return true;
}

static inline bool skim_id(skimmer *self) {
  uint64_t number;
  if (self->end - self->at >= 8 && (lk_load_le64(self->at) & self->mask) == self->word)
    self->at += self->client_len;
  else if (!skim_uint(self, &number)) return false;
  return skim_uint(self, &number);
}

static inline bool skim_text(skimmer *self, uint64_t *len) {
  if (!skim_uint(self, len) || *len > (size_t)(self->end - self->at)) return false;
  uint8_t any = 0;
  for (const uint8_t *to = self->at + *len; self->at < to;) any |= *self->at++;
  return any < 0x80;
}

static bool skim_parent(skimmer *self, uint8_t info) {
  uint64_t len;
  uint8_t is_root = self->at < self->end ? *self->at++ : 2;
  if (is_root > 1 || !(is_root ? skim_text(self, &len) : skim_id(self))) return false;
  return (info & LK_INFO_SUB) == 0 || skim_text(self, &len);
}

static inline bool skim_struct(skimmer *self, uint64_t *clock) {
  if (self->at == self->end) return false;
  uint8_t info = *self->at++, kind = info & LK_INFO_CONTENT;
  uint64_t len = 0; /* for compilers that warn */
  if (kind != LK_CONTENT_STRING && kind != LK_CONTENT_DELETED) return false;
  if ((info & LK_INFO_ORIGIN) != 0 && !skim_id(self)) return false;
  if ((info & LK_INFO_RIGHT) != 0 && !skim_id(self)) return false;
  if ((info & (LK_INFO_ORIGIN | LK_INFO_RIGHT)) == 0) {
    if (!skim_parent(self, info)) return false;
  } else if ((info & LK_INFO_SUB) != 0) {
    return false;
  }
  if (!(kind == LK_CONTENT_STRING ? skim_text(self, &len) : skim_uint(self, &len))) return false;
  if (len == 0 || len > LK_VARUINT_MAX_SAFE - *clock) return false;
  *clock += len;
  return true;
}

static bool skim_structs(skimmer *self, const uint8_t *from, note *seen, lk_clock_entry *first) {
  uint64_t count, clock;
  if (!skim_uint(self, &count) || count == 0 || count > UINT32_MAX) return false;
  if (!skim_client(self) || !skim_uint(self, &clock)) return false;
  first->client = self->client;
  first->clock = clock;
  seen->structs = (uint32_t)count;
  seen->body_at = (uint32_t)(self->at - from);
  for (; count > 0; count--)
    if (!skim_struct(self, &clock)) return false;
  seen->body_len = (uint32_t)(self->at - from) - seen->body_at;
  seen->end = clock;
  seen->is_plain = true;
  return true;
}

/* What it has added when it gives up will be added again, and nothing is there twice in a set. */
static bool skim_deletes(skimmer *self, lk_delete_set *deletes) {
  uint64_t clients, client, count, clock, len;
  if (!skim_uint(self, &clients)) return false;
  for (; clients > 0; clients--) {
    if (!skim_uint(self, &client) || !skim_uint(self, &count)) return false;
    for (; count > 0; count--) {
      if (!skim_uint(self, &clock) || !skim_uint(self, &len)) return false;
      if (len > LK_VARUINT_MAX_SAFE - clock) return false;
      if (lk_delete_set_join(deletes, client, clock, len) != LK_OK) return false;
    }
  }
  return self->at == self->end;
}

static bool skim(merge *self, lk_slice update, note *seen, lk_clock_entry *first) {
  skimmer at = { .at = update.ptr, .end = update.ptr + update.len };
  uint64_t sections;
  if (update.len == 0 || update.len > self->limits->doc_update_bytes) return false;
  if (!skim_uint(&at, &sections) || sections > 1) return false;
  if (sections == 1 && !skim_structs(&at, update.ptr, seen, first)) return false;
  return skim_deletes(&at, &self->deletes);
}

/* The same for all other updates. */
static lk_err walk(merge *self, lk_slice update, note *seen, lk_clock_entry *first,
                   lk_arena *scratch) {
  lk_update_walk walk;
  *seen = (note){ 0 };
  lk_err err = lk_update_walk_init(&walk, self->format, update, self->limits, scratch);
  if (err != LK_OK) return err;
  if ((err = walk_structs(self, &walk, update, seen, first)) != LK_OK) return err;
  if (seen->is_plain) seen->is_plain = find_body(update, walk.reader.in.pos, seen);
  return lk_delete_set_read(&self->deletes, &walk.reader, true);
}

/* Checks one update. |scratch| is for what is forgotten at once. */
static lk_err survey(merge *self, size_t index, lk_arena *scratch) {
  lk_slice update = self->updates[index];
  note *seen = &self->notes[index];
  lk_clock_entry *first = &self->row[self->row_count];
  *seen = (note){ 0 };
  first->value = index;
  if (self->format != LK_UPDATE_V1 || !skim(self, update, seen, first)) {
    lk_err err = walk(self, update, seen, first, scratch);
    if (err != LK_OK) return err;
  } else {
    self->row_count += seen->is_plain;
  }
  self->structs += seen->structs;
  self->plain_bytes += seen->is_plain ? seen->body_len : 0;
  return self->structs > self->limits->doc_structs_count ? LK_ERR_LIMIT : LK_OK;
}

static lk_err survey_all(merge *self) {
  lk_err err = LK_OK;
  lk_arena scratch;
  self->row = lk_alloc_array(self->alloc, self->update_count, sizeof *self->row);
  self->notes = lk_alloc_array(self->alloc, self->update_count, sizeof *self->notes);
  if (self->row == NULL || self->notes == NULL) return LK_ERR_NOMEM;
  lk_arena_init(&scratch, self->alloc, lk_update_scratch_max(self->limits));
  for (size_t i = 0; i < self->update_count && err == LK_OK; i++) {
    err = survey(self, i, &scratch);
    if (scratch.used > 0) lk_arena_reset(&scratch);
  }
  lk_arena_deinit(&scratch);
  return err;
}

/* ---- writing ---- */

static void write_gc(merge *self) {
  if (!self->is_gc) return;
  lk_update_put_info(&self->writer, LK_CONTENT_GC);
  lk_update_put_len(&self->writer, self->end - self->begin);
  self->is_gc = false;
}

/* Ends what was W, for one that begins at |clock|. */
static void begin_current(merge *self, uint64_t client, uint64_t clock) {
  write_gc(self);
  if (!self->has_current || self->client != client)
    lk_update_write_client(&self->writer, client, clock);
  self->has_current = true;
  self->client = client;
  self->begin = clock;
}

static void set_current(merge *self, const lk_struct *view) {
  begin_current(self, view->id.client, view->id.clock);
  self->end = view->id.clock + view->len;
  self->is_gc = view->kind == LK_CONTENT_GC;
  if (!self->is_gc) lk_update_write_struct(&self->writer, view, 0);
}

static void fill_gap(merge *self, uint64_t clock) {
  write_gc(self);
  lk_update_put_skip(&self->writer, clock - self->end);
  self->end = clock;
}

/* ---- cursors ---- */

static const lk_struct *view_of(const merge *self, uint32_t at) {
  return &self->cursors[at].walk.view;
}

/* LK_ERR_END where there is nothing but Skips any more. */
static lk_err advance(cursor *at) {
  lk_err err;
  do err = lk_update_walk_next(&at->walk);
  while (err == LK_OK && at->walk.view.kind == LK_CONTENT_SKIP);
  return err;
}

/* The arrays may grow apart from each other: |cursor_cap| is what all of them have. */
static lk_err grow_cursors(merge *self) {
  uint32_t old = self->cursor_cap;
  size_t cap;
  if (!lk_grow_cap(old, (size_t)old + 1, CURSORS_CAP_LEAST, UINT32_MAX, &cap)) return LK_ERR_LIMIT;
  cursor *cursors = lk_alloc_array(self->alloc, cap, sizeof *cursors);
  uint32_t *order = lk_alloc_array(self->alloc, cap, sizeof *order);
  uint32_t *unused = lk_alloc_array(self->alloc, cap, sizeof *unused);
  bool ok = cursors != NULL && order != NULL && unused != NULL;
  if (ok && old > 0) {
    memcpy(cursors, self->cursors, old * sizeof *cursors);
    memcpy(order, self->order, old * sizeof *order);
  }
  lk_free_array(self->alloc, ok ? self->cursors : cursors, ok ? old : cap, sizeof *cursors);
  lk_free_array(self->alloc, ok ? self->order : order, ok ? old : cap, sizeof *order);
  lk_free_array(self->alloc, ok ? self->unused : unused, ok ? old : cap, sizeof *unused);
  if (!ok) return LK_ERR_NOMEM;
  for (uint32_t i = 0; i < (uint32_t)cap - old; i++) unused[i] = (uint32_t)cap - 1 - i;
  self->cursors = cursors;
  self->order = order;
  self->unused = unused;
  self->unused_count = (uint32_t)cap - old;
  self->cursor_cap = (uint32_t)cap;
  return LK_OK;
}

/* A cursor at the first struct of update |index|. */
static lk_err open_cursor(merge *self, size_t index, uint32_t *out) {
  lk_err err;
  if (self->unused_count == 0 && (err = grow_cursors(self)) != LK_OK) return err;
  *out = self->unused[self->unused_count - 1];
  cursor *opened = &self->cursors[*out];
  opened->turn = 0;
  err = lk_update_walk_init(&opened->walk, self->format, self->updates[index], self->limits,
                            &self->values);
  if (err != LK_OK || (err = advance(opened)) != LK_OK) return err;
  self->unused_count--;
  return LK_OK;
}

static void close_cursor(merge *self, uint32_t at) { self->unused[self->unused_count++] = at; }

/* ---- a turn ---- */

/* Step 2: LK_OK where the struct that |at| stands at then has its turn, LK_ERR_STATE where it has not. */
static lk_err pass_over(const merge *self, cursor *at) {
  const lk_struct *view = &at->walk.view;
  uint64_t client = view->id.client;
  bool passed = false;
  while (view->id.clock + view->len <= self->end && view->id.client >= self->client) {
    lk_err err = advance(at);
    if (err != LK_OK) return err;
    passed = true;
  }
  if (view->id.client != client) return LK_ERR_STATE;
  return passed && view->id.clock > self->end ? LK_ERR_STATE : LK_OK;
}

/* Step 3: |*stays| where the reader has not moved on. */
static void take_first(merge *self, cursor *at, bool *stays) {
  lk_struct *view = &at->walk.view;
  *stays = false;
  if (!self->has_current || view->id.client != self->client) {
    set_current(self, view);
  } else if (view->id.clock > self->end) {
    fill_gap(self, view->id.clock);
    *stays = true;
  } else if (self->is_gc && view->kind == LK_CONTENT_GC) {
    LK_COVERED(merge_gc_grows);
    self->end = view->id.clock + view->len;
    *stays = true;
  } else {
    lk_struct_cut_front(view, self->end - view->id.clock);
    set_current(self, view);
  }
}

/* One turn of the reader |at|: LK_ERR_END where it came to its end. */
static lk_err take_turn(merge *self, cursor *at) {
  const lk_struct *view = &at->walk.view;
  uint64_t client = view->id.client;
  bool stays;
  lk_err err = self->has_current ? pass_over(self, at) : LK_OK;
  if (err != LK_OK) return err == LK_ERR_STATE ? LK_OK : err;
  take_first(self, at, &stays);
  if (!stays && (err = advance(at)) != LK_OK) return err;
  while (view->id.client == client && view->id.clock == self->end) {
    set_current(self, view);
    if ((err = advance(at)) != LK_OK) return err;
  }
  return LK_OK;
}

/* The whole turn of an update that is copied, where it neither overlaps with W nor brings news of a client that
 * was done with. */
static bool take_plain(merge *self, const lk_clock_entry *entry) {
  const note *seen = &self->notes[entry->value];
  if (!seen->is_plain) return false;
  if (self->has_current && entry->client == self->client) {
    if (seen->end <= self->end) return true;
    if (entry->clock < self->end) return false;
    if (entry->clock > self->end) fill_gap(self, entry->clock);
  } else if (self->has_current && entry->client > self->client) {
    return false;
  }
  begin_current(self, entry->client, entry->clock);
  self->end = seen->end;
  lk_slice update = self->updates[entry->value];
  lk_update_put_structs(&self->writer, lk_slice_of(update.ptr + seen->body_at, seen->body_len),
                        seen->structs);
  return true;
}

/* ---- readers with GCs: the order that V8's sort gives ---- */

static int compare_like_yjs(const lk_struct *a, const lk_struct *b) {
  if (a->id.client != b->id.client) return a->id.client > b->id.client ? -1 : 1;
  if (a->id.clock != b->id.clock) return a->id.clock < b->id.clock ? -1 : 1;
  return (a->kind == LK_CONTENT_GC) == (b->kind == LK_CONTENT_GC) ? 0 : -1;
}

static int compare_at(const void *ctx, uint32_t a, uint32_t b) {
  const merge *self = ctx;
  return compare_like_yjs(view_of(self, a), view_of(self, b));
}

static lk_err merge_flat(merge *self) {
  for (size_t i = 0; i < self->update_count; i++) {
    uint32_t opened;
    if (self->notes[i].structs == 0) continue;
    lk_err err = open_cursor(self, i, &opened);
    if (err == LK_ERR_END) continue; /* Skips alone */
    if (err != LK_OK) return err;
    self->order[self->order_count++] = opened;
  }
  while (self->order_count > 0) {
    /* numbers in use leave as much room in |unused| */
    uint32_t *room = self->unused + self->unused_count;
    lk_timsort(self->order, self->order_count, room, compare_at, self);
    lk_err err = take_turn(self, &self->cursors[self->order[0]]);
    if (err == LK_OK) continue;
    if (err != LK_ERR_END) return err;
    self->order_count--;
    memmove(self->order, self->order + 1, self->order_count * sizeof *self->order);
  }
  return LK_OK;
}

/* ---- any number of readers: a row and a heap ---- */

/* Below 0 where |a| is before |b|; 0 for a tie that the turns decide. */
static int compare_places(uint64_t client_a, uint64_t clock_a, uint64_t client_b,
                          uint64_t clock_b) {
  if (client_a != client_b) return client_a > client_b ? -1 : 1;
  return (clock_a > clock_b) - (clock_a < clock_b);
}

static bool cursor_before(const merge *self, uint32_t a, uint32_t b) {
  const lk_doc_id *x = &view_of(self, a)->id, *y = &view_of(self, b)->id;
  int order = compare_places(x->client, x->clock, y->client, y->clock);
  return order != 0 ? order < 0 : self->cursors[a].turn > self->cursors[b].turn;
}

static void heap_push(merge *self, uint32_t pushed) {
  uint32_t *heap = self->order, at = self->order_count++;
  while (at > 0 && cursor_before(self, pushed, heap[(at - 1) / 2])) {
    heap[at] = heap[(at - 1) / 2];
    at = (at - 1) / 2;
  }
  heap[at] = pushed;
}

/* The child of |at| that is before the other one; |order_count| or more where it has none. */
static uint32_t first_child(const merge *self, uint32_t at) {
  uint32_t child = 2 * at + 1;
  if (child + 1 < self->order_count &&
      cursor_before(self, self->order[child + 1], self->order[child]))
    child++;
  return child;
}

static uint32_t heap_pop(merge *self, uint32_t at) {
  uint32_t *heap = self->order, popped = heap[at], moved = heap[--self->order_count];
  for (uint32_t child; (child = first_child(self, at)) < self->order_count; at = child) {
    if (!cursor_before(self, heap[child], moved)) break;
    heap[at] = heap[child];
  }
  heap[at] = moved;
  return popped;
}

/* Who is asked in this turn: the first of the row, or a place in the heap. */
typedef struct front {
  bool in_row;
  uint32_t at;
  uint64_t client, clock, turn;
  bool is_gc;
} front;

static front front_of_row(const merge *self, size_t at) {
  const lk_clock_entry *entry = &self->row[at];
  return (front){ true, 0, entry->client, entry->clock, 0, self->notes[entry->value].is_gc };
}

static front front_of_heap(const merge *self, uint32_t at) {
  const lk_struct *view = view_of(self, self->order[at]);
  return (front){ false,
                  at,
                  view->id.client,
                  view->id.clock,
                  self->cursors[self->order[at]].turn,
                  view->kind == LK_CONTENT_GC };
}

static bool front_before(const front *a, const front *b) {
  int order = compare_places(a->client, a->clock, b->client, b->clock);
  return order != 0 ? order < 0 : a->turn > b->turn;
}

/* Two that Yjs's comparison puts in front of each other change places with each sort; those are counted from the
 * one with which the later of them came. |second| is who would be next. */
static bool settle_tie(const merge *self, const front *first, const front *second) {
  if (first->is_gc == second->is_gc || first->clock != second->clock ||
      first->client != second->client)
    return false;
  LK_COVERED(merge_tie_among_many);
  uint64_t since = lk_max_u64(first->turn, second->turn);
  return (self->turn - since) % 2 == 0;
}

static bool is_same_place(const front *a, const front *b) {
  return a->client == b->client && a->clock == b->clock;
}

/* Whether three or more stand where |first| does, not all of them alike. Those of the heap that do are on top. */
static bool is_tie_of_three(const merge *self, const front *first) {
  uint32_t gcs = 0, count = 0;
  for (size_t i = self->row_at; i < self->row_count && i < self->row_at + 3; i++) {
    front other = front_of_row(self, i);
    if (!is_same_place(first, &other)) break;
    count++;
    gcs += other.is_gc;
  }
  for (uint32_t i = 0; i < self->order_count && i < 7; i++) {
    front other = front_of_heap(self, i);
    if (!is_same_place(first, &other)) continue;
    count++;
    gcs += other.is_gc;
  }
  return count > 2 && gcs > 0 && gcs < count;
}

static void swap_in_row(merge *self) {
  lk_clock_entry moved = self->row[self->row_at];
  self->row[self->row_at] = self->row[self->row_at + 1];
  self->row[self->row_at + 1] = moved;
}

/* Whoever is in front, GCs or not. False at the end of all. */
static bool find_front(merge *self, front *out) {
  bool has_row = self->row_at<self->row_count, has_heap = self->order_count> 0;
  if (!has_row && !has_heap) return false;
  front row, heap, second;
  if (has_row) row = front_of_row(self, self->row_at);
  if (has_heap) heap = front_of_heap(self, 0);
  bool in_row = has_row && (!has_heap || !front_before(&heap, &row));
  *out = in_row ? row : heap;
  if (!self->has_gc) return true;
  bool found = has_row && has_heap;
  if (found) second = in_row ? heap : row;
  if (in_row && self->row_at + 1 < self->row_count) {
    row = front_of_row(self, self->row_at + 1);
    if (!found || front_before(&row, &second)) second = row;
    found = true;
  } else if (!in_row && self->order_count > 1) {
    heap = front_of_heap(self, first_child(self, 0));
    if (!found || front_before(&heap, &second)) second = heap;
    found = true;
  }
  if (found && is_same_place(out, &second)) self->is_tied |= is_tie_of_three(self, out);
  if (!found || !settle_tie(self, out, &second)) return true;
  if (in_row && second.in_row) swap_in_row(self);
  *out = second;
  return true;
}

/* Updates that are copied, as long as nobody else can be in front. */
static void take_plain_row(merge *self) {
  if (self->has_gc || self->order_count > 0) return;
  while (self->row_at < self->row_count && take_plain(self, &self->row[self->row_at])) {
    self->row_at++;
    self->turn++;
  }
}

static lk_err merge_many(merge *self) {
  front next;
  if (self->plain_bytes <= self->limits->doc_update_bytes)
    (void)lk_buf_reserve(&self->writer.rest, self->plain_bytes);
  for (take_plain_row(self); find_front(self, &next); self->turn++, take_plain_row(self)) {
    uint32_t asked;
    if (self->is_tied && self->row_count * self->structs <= SORTS_MAX) return LK_ERR_STATE;
    if (next.in_row) {
      const lk_clock_entry *entry = &self->row[self->row_at++];
      if (take_plain(self, entry)) continue;
      lk_err err = open_cursor(self, (size_t)entry->value, &asked);
      if (err != LK_OK) return err;
    } else {
      asked = heap_pop(self, next.at);
    }
    lk_err err = take_turn(self, &self->cursors[asked]);
    self->cursors[asked].turn = self->turn + 1;
    if (err == LK_OK) heap_push(self, asked);
    else if (err == LK_ERR_END) close_cursor(self, asked);
    else return err;
  }
  return LK_OK;
}

/* ---- the whole ---- */

static lk_err merge_run(merge *self, lk_buf *out) {
  lk_err err = survey_all(self);
  if (err != LK_OK) return err;
  if (self->has_gc && self->row_count <= FLAT_MAX) {
    err = merge_flat(self);
  } else {
    err = lk_clock_entries_sort(self->alloc, self->row, self->row_count);
    if (err == LK_OK) err = merge_many(self);
    if (err == LK_ERR_STATE) {
      LK_COVERED(merge_begins_again);
      begin_again(self);
      err = merge_flat(self);
    }
  }
  if (err != LK_OK) return err;
  write_gc(self);
  if ((err = lk_delete_set_merge(&self->deletes)) != LK_OK) return err;
  if ((err = lk_delete_set_write(&self->deletes, &self->writer)) != LK_OK) return err;
  return lk_update_writer_finish(&self->writer, out);
}

lk_err lk_update_merge_into(const lk_env *env, const lk_limits *limits, lk_update_format format,
                            const lk_slice *updates, size_t count, lk_buf *out) {
  if (count == 1) {
    lk_err err = lk_update_check(env, format, updates[0], NULL);
    return err != LK_OK ? err : lk_buf_append(out, updates[0]);
  }
  merge self = { .alloc = env->alloc,
                 .limits = limits,
                 .format = format,
                 .updates = updates,
                 .update_count = count };
  lk_update_writer_init(&self.writer, env->alloc, format, limits->doc_update_bytes);
  lk_delete_set_init(&self.deletes, env->alloc, limits->doc_delete_ranges_count);
  lk_arena_init(&self.values, env->alloc, lk_update_scratch_max(limits));
  lk_err err = count == 0 ? lk_update_writer_finish(&self.writer, out) : merge_run(&self, out);
  merge_deinit(&self);
  return err;
}

lk_err lk_update_merge(const lk_env *env, lk_update_format format, const lk_slice *updates,
                       size_t count, lk_buf *out) {
  lk_limits limits = lk_limits_default();
  size_t before = out->len;
  if (!lk_update_format_is_valid(format)) return LK_ERR_INVALID;
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  return lk_update_settle(out, before,
                          lk_update_merge_into(env, &limits, format, updates, count, out));
}
