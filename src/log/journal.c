/* log/journal.c -- group commit, one segment after the other, and a list of them that survives.
 *
 * One operation is in the storage at a time, so that whatever the storage does with the order of files
 * cannot matter, and a crash meets exactly one thing half done:
 *
 *   open     slots ─ read segments, first to last ─ manifest, if its slots differ ─ mend the end
 *   batch    WRITE ─ SYNC                                      -> DURABLE
 *            WRITE ─ no space ─ TRUNCATE ─ SYNC                -> REFUSED
 *   reserve  RESERVE, before a batch, when half of what was reserved is used up
 *   probe    WRITE zeros ─ TRUNCATE ─ RESERVE                  -> SPACE, where all three work
 *   turn     manifest ─ TRUNCATE ─ CLOSE ─ OPEN ─ SIZE ─ WRITE ─ SYNC     a new segment, before a batch
 *   retire   manifest -> RETIRED, then REMOVE, one between two batches
 *   close    batches ─ manifest ─ CLOSE                        -> CLOSED
 *
 * The manifest. lk_storage cannot list files, so what there is must be written down. Rule: a change is
 * written and synced to both slots before anything relies on it. So
 *
 *   a segment is announced before it is made: none can be there that the manifest does not know;
 *   a segment is removed after it is struck off; |oldest| remembers what may be left over;
 *   one slot that is torn is the one being written, whose change nobody relied on yet;
 *   one slot that rots costs nothing, since the other one says the same.
 *
 * Where both say the same, the older one was synced before the newer was begun, and the newer is the one
 * that the next change is written over first: the older may be the only one on the medium. The slots
 * differ after a crash between the two writes. Then the newest is what counts, it is written
 * in its place once more, since a read may have come from a cache, and then the other one as well. Renames
 * are not used at all; a name is durable with the file's first sync (base/storage.h, rule 2), and
 * no segment holds anything acknowledged before that.
 *
 * The end. Only of the last segment can something be missing: the next one is announced after all of it was acknowledged, and says with what
 * it continues (|prev|). So what stands behind the last good batch of one before is nobody's, where the next one continues that:
 * a batch that was cut off, by a truncation that the storage forgot after all. In the last one only the last batch is unsure, because it was synced before the next one was begun, and
 * it is unsure even where it reads well: a process may have died before its sync, or a sync failed and
 * left it in a cache that looks clean and is never written out. So mending cuts off what is torn, writes the
 * last good batch again in its place, the same bytes, and syncs; in a segment without batches, the
 * header. Only then is the journal open, and only then may anybody hear of that batch.
 *
 * Where the owner closes, the manifest notes how far the last segment goes. Damage before that
 * place is rot and no crash, and if the segment ends there when it is opened, there is nothing to mend.
 * What remains: a last batch that rots after a crash, before the next is written, cannot be told from
 * one that was torn, and is cut.
 *
 * No space. Whoever appends has often done already what the record says, so to hear that it cannot be kept is to hear it too
 * late. So the last segment has space reserved behind its end, and the owner learns that no more is to be had while what
 * is on its way still fits (SPACE_SHORT). It also gets to the end of that where it goes on, where records are longer, and
 * where a storage breaks the promise: then a write says that there is no space (SPACE_OUT), which is no failure. What it
 * left of the batch is cut off, and that is synced: from then on it is sure that those records will never be there, and
 * their owner is told so. A sync that says the same is a failed sync, and the end of the journal like any other.
 *
 * Whether there is space again is asked in the same way as it was found out: by reserving, or, where that has lied or is not
 * known, by writing zeros behind the end and cutting them off. A crash between the two leaves a torn end without
 * anything in it. A turn may end in the middle for want of space, after the manifest has announced the new segment: it is
 * gone on with when there is some, and if the journal is closed or dies before, the next opening finds a last segment that
 * is not there yet, which it knows.
 *
 * Always: place.index - 1 >= durable, and they are the same when no batch is under way; rows[i] is about
 * segment manifest.first.number + i; after |err| is set, the only operations are CLOSE.
 *
 * Not chosen: probing numbers until a file is missing. Removing old segments moves the beginning, so a number had
 * to be kept anyway, and a segment that is lost would look like the end. Announcing while the segment
 * before is still being filled would save a pause of three syncs for each 16 MiB; it would take a second
 * operation under way, and with it the orders in which two can end. */
#include "log/journal.h"

#include "log/slot.h"

#define DIGITS 10

enum { STATE_CLOSED, STATE_OPENING, STATE_OPEN, STATE_FAILED };

enum {
  PHASE_REST,
  PHASE_SLOT_OPEN, /* opening */
  PHASE_SLOT_READ,
  PHASE_READ_OPEN,
  PHASE_READ_SIZE,
  PHASE_READ,
  PHASE_READ_CLOSE,
  PHASE_MEND_OPEN,
  PHASE_MEND_TRUNCATE,
  PHASE_MEND_READ,
  PHASE_MEND_WRITE,
  PHASE_MEND_SYNC,
  PHASE_MANIFEST_OPEN,
  PHASE_MANIFEST_WRITE,
  PHASE_MANIFEST_SYNC,
  PHASE_BATCH_WRITE,
  PHASE_BATCH_SYNC,
  PHASE_UNDO_TRUNCATE,
  PHASE_UNDO_SYNC,
  PHASE_RESERVE,
  PHASE_PROBE_WRITE,
  PHASE_PROBE_TRUNCATE,
  PHASE_TURN_CUT,
  PHASE_TURN_CLOSE,
  PHASE_TURN_OPEN,
  PHASE_TURN_SIZE,
  PHASE_TURN_WRITE,
  PHASE_TURN_SYNC,
  PHASE_REMOVE,
  PHASE_CLOSE,
};

enum { AFTER_OPEN, AFTER_TURN, AFTER_RETIRE, AFTER_CLOSE }; /* what a manifest was written for */

enum { /* in the order in which poll tells them */
       TELL_OPENED = 1,
       TELL_DURABLE = 2,
       TELL_RETIRED = 4,
       TELL_REFUSED = 8,
       TELL_SPACE = 16,
       TELL_FAILED = 32,
       TELL_CLOSED = 64,
};

enum {
  SPACE_THERE,
  SPACE_SHORT, /* none is to be reserved any more; there may be some of what was */
  SPACE_OUT,   /* a write said so */
};

#define PROBE_LEN ((size_t)65536)

static void next(lk_journal *self);

/* ---- birth and end ---- */

/* Nothing that append lets in is longer: what was gathered before a record, and that record. */
static size_t batch_max(const lk_limits *limits) {
  return (size_t)limits->log_batch_bytes + limits->log_record_bytes + LK_RECORD_HEADER_LEN;
}

void lk_journal_init(lk_journal *self, const lk_journal_options *options) {
  LK_ASSERT(options->name.len > 0 && options->name.len <= LK_JOURNAL_NAME_MAX);
  LK_ASSERT(lk_storage_name_ok(options->name));
  *self = (lk_journal){ .options = *options, .stem_len = options->name.len };
  memcpy(self->name, options->name.ptr, options->name.len);
  self->options.name = LK_SLICE_EMPTY; /* the owner's memory */
  size_t max = batch_max(options->limits) + LK_BATCH_HEADER_LEN + 2 * LK_BATCH_ALIGN;
  lk_buf_init(&self->gathering, options->alloc, max);
  lk_buf_init(&self->writing, options->alloc, max);
  for (unsigned i = 0; i < 2; i++)
    lk_buf_init(&self->slot_bytes[i], options->alloc, LK_SLOT_HEADER_LEN + LK_MANIFEST_LEN);
}

void lk_journal_deinit(lk_journal *self) {
  lk_buf_deinit(&self->gathering);
  lk_buf_deinit(&self->writing);
  for (unsigned i = 0; i < 2; i++) lk_buf_deinit(&self->slot_bytes[i]);
  lk_segment_reader_deinit(&self->reader);
  if (self->rows != NULL)
    lk_free_array(self->options.alloc, self->rows, self->rows_cap, sizeof *self->rows);
  *self = (lk_journal){ 0 };
}

bool lk_journal_is_busy(const lk_journal *self) { return self->phase != PHASE_REST; }

/* ---- names and operations ---- */

static lk_slice name_segment(lk_journal *self, uint64_t number) {
  uint8_t *at = self->name + self->stem_len;
  *at++ = '-';
  for (unsigned i = DIGITS; i-- > 0; number /= 10) at[i] = (uint8_t)('0' + number % 10);
  return lk_slice_of(self->name, self->stem_len + 1 + DIGITS);
}

static lk_slice name_slot(lk_journal *self, unsigned slot) {
  static const uint8_t suffix[] = "-manifest.";
  uint8_t *at = self->name + self->stem_len;
  memcpy(at, suffix, sizeof suffix - 1);
  at[sizeof suffix - 1] = (uint8_t)('0' + slot);
  return lk_slice_of(self->name, self->stem_len + sizeof suffix);
}

static void submit(lk_journal *self, uint8_t phase, lk_io io) {
  LK_ASSERT(self->phase == PHASE_REST);
  self->phase = phase;
  self->io = io;
  self->io.user = self->options.user;
  self->options.storage->submit(self->options.storage, &self->io);
}

static void submit_write(lk_journal *self, uint8_t phase, uint64_t off, lk_slice bytes) {
  self->stats.bytes_written += bytes.len;
  submit(self, phase,
         (lk_io){ .kind = LK_IO_WRITE, .file = self->file, .off = off, .from = bytes });
}

static void submit_file(lk_journal *self, uint8_t phase, lk_io_kind kind) {
  submit(self, phase, (lk_io){ .kind = kind, .file = self->file });
}

static void submit_open(lk_journal *self, uint8_t phase, lk_slice name, bool create) {
  submit(self, phase, (lk_io){ .kind = LK_IO_OPEN, .name = name, .create = create });
}

static void tell(lk_journal *self, uint8_t event) { self->events |= event; }

static void close_files(lk_journal *self);

static void fail(lk_journal *self, lk_err err) {
  self->state = STATE_FAILED;
  self->err = err;
  tell(self, TELL_FAILED);
  if (self->closing) close_files(self);
}

static void fail_at(lk_journal *self, uint64_t segment, uint64_t off, lk_err err) {
  self->bad_segment = segment;
  self->bad_off = off;
  fail(self, err);
}

/* ---- rows: where each segment begins ---- */

static bool rows_have_room(lk_journal *self) {
  size_t cap;
  if (self->rows_count < self->rows_cap) return true;
  if (!lk_grow_cap(self->rows_cap, self->rows_count + 1, 8, SIZE_MAX / sizeof *self->rows, &cap))
    return false;
  lk_journal_row *rows = lk_resize_array(self->options.alloc, self->rows, self->rows_cap, cap,
                                         sizeof *rows);
  if (rows == NULL) return false;
  self->rows = rows;
  self->rows_cap = cap;
  return true;
}

static void add_row(lk_journal *self, const lk_segment_id *id) {
  LK_ASSERT(self->rows_count < self->rows_cap);
  self->rows[self->rows_count++] = (lk_journal_row){ id->base, id->prev };
}

/* ---- the manifest ---- */

static void write_slot(lk_journal *self) {
  if (!self->has_slot[self->slot]) {
    submit_open(self, PHASE_MANIFEST_OPEN, name_slot(self, self->slot), true);
    return;
  }
  lk_slice bytes = lk_buf_slice(&self->slot_bytes[self->slot]);
  self->stats.bytes_written += bytes.len;
  submit(self, PHASE_MANIFEST_WRITE,
         (lk_io){ .kind = LK_IO_WRITE, .file = self->slots[self->slot], .from = bytes });
}

/* Makes slot |number| mod 2 say what the manifest is. The buffers have their full size: cannot fail. */
static void encode_slot(lk_journal *self, uint64_t number) {
  uint8_t body[LK_MANIFEST_LEN];
  self->slot = (unsigned)(number % 2);
  self->manifest_number = number;
  lk_manifest_encode(&self->manifest, body);
  lk_buf_truncate(&self->slot_bytes[self->slot], 0);
  lk_err err = lk_slot_encode(number, lk_slice_of(body, sizeof body),
                              &self->slot_bytes[self->slot]);
  LK_ASSERT(err == LK_OK);
}

static void write_manifest(lk_journal *self, uint8_t after) {
  self->after = after;
  self->slots_to_write = 2;
  encode_slot(self, self->manifest_number + 1);
  write_slot(self);
}

static void on_manifest_written(lk_journal *self) {
  submit(self, PHASE_MANIFEST_SYNC, (lk_io){ .kind = LK_IO_SYNC, .file = self->slots[self->slot] });
}

static void mend(lk_journal *self);
static void turn_cut(lk_journal *self);

static void on_manifest_synced(lk_journal *self) {
  self->stats.syncs++;
  if (--self->slots_to_write > 0) {
    encode_slot(self, self->manifest_number + 1);
    write_slot(self);
    return;
  }
  switch (self->after) {
  case AFTER_OPEN: mend(self); return;
  case AFTER_TURN: turn_cut(self); return;
  case AFTER_RETIRE:
    self->retired_to = self->manifest.first.base;
    tell(self, TELL_RETIRED);
    next(self);
    return;
  case AFTER_CLOSE: close_files(self); return;
  default: LK_UNREACHABLE();
  }
}

/* ---- opening: the slots ---- */

static void open_slot(lk_journal *self, unsigned slot) {
  self->slot = slot;
  submit_open(self, PHASE_SLOT_OPEN, name_slot(self, slot), false);
}

void lk_journal_open(lk_journal *self) {
  LK_ASSERT(self->state == STATE_CLOSED && self->phase == PHASE_REST && self->events == 0);
  self->state = STATE_OPENING;
  self->closing = self->flushing = self->rotating = self->tidied = self->stuck = false;
  self->space = SPACE_THERE;
  self->cannot_reserve = self->is_turn_stuck = false;
  self->reserved_to = 0;
  self->err = LK_OK;
  self->bad_segment = self->bad_off = self->cut = 0;
  self->rows_count = 0;
  self->retire_below = 0;
  for (unsigned i = 0; i < 2; i++) {
    lk_buf *bytes = &self->slot_bytes[i];
    lk_buf_truncate(bytes, 0);
    if (lk_buf_reserve(bytes, LK_SLOT_HEADER_LEN + LK_MANIFEST_LEN) != LK_OK) {
      lk_buf_truncate(bytes, 0);
      fail(self, LK_ERR_NOMEM);
      return;
    }
  }
  open_slot(self, 0);
}

static void read_first_segment(lk_journal *self);

/* A journal that is not there yet, or whose first manifest was torn: nothing relied on that. */
static void begin_anew(lk_journal *self) {
  lk_segment_id id = { .number = 1, .base = 1 };
  memcpy(id.salt, self->options.salt, sizeof id.salt);
  self->manifest = (lk_manifest){ .oldest = 1, .first = id, .last = id };
  self->manifest_number = 0;
  self->slots_to_write = 2;
  read_first_segment(self);
}

/* How many slots are to be written: none where both say the same, since the older one was synced
 * before the newer one was begun. */
static unsigned slots_to_heal(const lk_journal *self) {
  lk_slice bodies[2];
  uint64_t number;
  for (unsigned i = 0; i < 2; i++) {
    if (lk_slot_decode(lk_buf_slice(&self->slot_bytes[i]), &number, &bodies[i]) != LK_OK) return 2;
  }
  return lk_slice_equal(bodies[0], bodies[1]) ? 0 : 2;
}

static void on_slots_read(lk_journal *self) {
  lk_slice body = LK_SLICE_EMPTY;
  bool intact = true;
  lk_err err = lk_slot_recover(lk_buf_slice(&self->slot_bytes[0]),
                               lk_buf_slice(&self->slot_bytes[1]), &self->manifest_number, &body,
                               &intact);
  if (err == LK_ERR_NOT_FOUND) {
    begin_anew(self);
    return;
  }
  if (err == LK_OK) err = lk_manifest_decode(body, &self->manifest);
  if (err != LK_OK) {
    fail(self, err);
    return;
  }
  if (!intact) LK_COVERED(journal_manifest_healed);
  self->slots_to_write = slots_to_heal(self);
  /* Where both say the same, the newer may be in a cache only, and the older is the one to spare: the
   * next number goes over the newer. */
  if (self->slots_to_write == 0) self->manifest_number++;
  read_first_segment(self);
}

static void after_slot(lk_journal *self) {
  if (self->slot == 0) open_slot(self, 1);
  else on_slots_read(self);
}

static void on_slot_opened(lk_journal *self) {
  if (self->io.result == LK_ERR_NOT_FOUND) {
    after_slot(self);
    return;
  }
  lk_buf *bytes = &self->slot_bytes[self->slot];
  size_t len = LK_SLOT_HEADER_LEN + LK_MANIFEST_LEN;
  submit(self, PHASE_SLOT_READ,
         (lk_io){ .kind = LK_IO_READ,
                  .file = self->io.file,
                  .into = lk_buf_extend(bytes, len),
                  .into_len = len });
}

static void on_slot_read(lk_journal *self) {
  lk_buf_truncate(&self->slot_bytes[self->slot], self->io.done);
  after_slot(self);
}

/* ---- opening: the segments ---- */

static bool is_last(const lk_journal *self) {
  return self->reading.number == self->manifest.last.number;
}

static bool same_id(const lk_segment_id *a, const lk_segment_id *b) {
  return a->number == b->number && a->base == b->base &&
         memcmp(a->prev.hash, b->prev.hash, sizeof a->prev.hash) == 0;
}

static void read_segment(lk_journal *self, const lk_segment_id *id) {
  self->reading = *id;
  self->size = 0;
  if (!rows_have_room(self)) {
    fail(self, LK_ERR_NOMEM);
    return;
  }
  add_row(self, id);
  if (is_last(self) && !same_id(id, &self->manifest.last)) {
    /* The segments before do not end as they did when the last one was begun. */
    LK_COVERED(journal_lost_the_end_of_a_segment);
    fail_at(self, id->number - 1, self->place.off, LK_ERR_CORRUPT);
    return;
  }
  submit_open(self, PHASE_READ_OPEN, name_segment(self, id->number), false);
}

static void read_first_segment(lk_journal *self) {
  self->removing = self->manifest.oldest;
  self->torn_at = 0;
  read_segment(self, &self->manifest.first);
}

static void start_reader(lk_journal *self) {
  const lk_limits *limits = self->options.limits;
  uint64_t sealed_to = is_last(self) ? self->manifest.sealed_to : LK_SEGMENT_HEADER_LEN;
  lk_segment_reader_init(&self->reader, self->options.alloc, &self->reading,
                         name_segment(self, self->reading.number), self->size, sealed_to,
                         (uint32_t)batch_max(limits));
}

static void on_read_opened(lk_journal *self) {
  if (self->io.result == LK_ERR_NOT_FOUND) {
    start_reader(self); /* as if it were empty: which only the last one may be */
    return;
  }
  submit_file(self, PHASE_READ_SIZE, LK_IO_SIZE);
}

static void on_read_size(lk_journal *self) {
  self->size = self->io.off;
  if (self->manifest_number == 0 && self->size > 0) {
    fail_at(self, self->reading.number, 0, LK_ERR_EXISTS);
    return;
  }
  start_reader(self);
}

static void end_reading(lk_journal *self) {
  lk_segment_id id = self->reading;
  self->place = self->reader.place;
  if (is_last(self)) {
    if (self->slots_to_write == 0) {
      mend(self);
    } else {
      self->after = AFTER_OPEN;
      /* The newest once more where it is; a new journal has none. */
      if (self->manifest_number == 0) self->manifest_number++;
      encode_slot(self, self->manifest_number);
      write_slot(self);
    }
    return;
  }
  self->torn_at = self->place.off < self->size ? self->place.off : 0;
  lk_segment_reader_deinit(&self->reader);
  self->reading = (lk_segment_id){ .number = id.number + 1,
                                   .base = self->place.index,
                                   .prev = self->place.chain };
  memcpy(self->reading.salt, id.salt, sizeof id.salt);
  self->has_file = false;
  submit_file(self, PHASE_READ_CLOSE, LK_IO_CLOSE);
}

static void on_read_closed(lk_journal *self) {
  lk_segment_id id = self->reading;
  read_segment(self, &id);
}

/* A segment that does not continue the one before says that something is missing there, where that one is torn. */
static void on_damaged(lk_journal *self) {
  const lk_segment_reader *reader = &self->reader;
  if (self->torn_at > 0 && reader->is_another)
    fail_at(self, self->reading.number - 1, self->torn_at, reader->err);
  else fail_at(self, self->reading.number, reader->place.off, reader->err);
}

/* Moves on through the segment that is being read. True where there is a record to tell of. */
static bool pump(lk_journal *self, lk_journal_event *out) {
  lk_segment_reader *reader = &self->reader;
  switch (lk_segment_reader_poll(reader)) {
  case LK_SEGMENT_READ:
    submit(self, PHASE_READ,
           (lk_io){ .kind = LK_IO_READ,
                    .file = self->file,
                    .off = reader->read_off,
                    .into = reader->into,
                    .into_len = reader->into_len });
    return false;
  case LK_SEGMENT_RECORD:
    *out = (lk_journal_event){ .what = LK_JOURNAL_RECORD,
                               .kind = reader->record.kind,
                               .index = reader->index,
                               .segment = self->reading.number,
                               .body = reader->record.body };
    return true;
  case LK_SEGMENT_END:
  case LK_SEGMENT_TORN: end_reading(self); return false;
  case LK_SEGMENT_FAILED: on_damaged(self); return false;
  }
  LK_UNREACHABLE();
}

/* ---- opening: the end of the last segment ---- */

static void opened(lk_journal *self) {
  lk_segment_reader_deinit(&self->reader);
  self->state = STATE_OPEN;
  self->next_index = self->place.index;
  self->durable = self->place.index - 1;
  tell(self, TELL_OPENED);
  next(self);
}

static void write_header(lk_journal *self, uint8_t phase) {
  lk_segment_header_encode(&self->manifest.last, self->header);
  submit_write(self, phase, 0, lk_slice_of(self->header, sizeof self->header));
}

/* Writes again what is unsure. */
static void mend_last(lk_journal *self) {
  lk_segment_reader *reader = &self->reader;
  if (reader->last.off == 0) {
    self->place = lk_segment_start(&self->manifest.last,
                                   name_segment(self, self->manifest.last.number));
    write_header(self, PHASE_MEND_WRITE);
    return;
  }
  size_t len = (size_t)(reader->place.off - reader->last.off); /* it was in memory before */
  lk_buf_truncate(&reader->window, 0);
  uint8_t *into = lk_buf_extend(&reader->window, len);
  if (into == NULL) {
    fail(self, LK_ERR_NOMEM);
    return;
  }
  submit(self, PHASE_MEND_READ,
         (lk_io){ .kind = LK_IO_READ,
                  .file = self->file,
                  .off = reader->last.off,
                  .into = into,
                  .into_len = len });
}

static void on_mend_read(lk_journal *self) {
  lk_segment_reader *reader = &self->reader;
  lk_segment_place place = reader->last;
  lk_slice body, bytes = lk_slice_first(lk_buf_slice(&reader->window), self->io.done);
  /* What is about to be written is looked at again: another read need not give the same. */
  if (lk_batch_check(&place, bytes, &body) != LK_OK) {
    fail_at(self, self->reading.number, reader->last.off, LK_ERR_IO);
    return;
  }
  submit_write(self, PHASE_MEND_WRITE, reader->last.off, bytes);
}

static void mend(lk_journal *self) {
  const lk_segment_reader *reader = &self->reader;
  self->cut = self->size - reader->place.off;
  if (!self->has_file) {
    submit_open(self, PHASE_MEND_OPEN, name_segment(self, self->manifest.last.number), true);
  } else if (reader->place.off < self->size) {
    submit(self, PHASE_MEND_TRUNCATE,
           (lk_io){ .kind = LK_IO_TRUNCATE, .file = self->file, .off = reader->place.off });
  } else if (self->manifest.sealed_to == self->size && self->size > 0) {
    opened(self); /* every byte of it was acknowledged once */
  } else {
    mend_last(self);
  }
}

static void on_mend_synced(lk_journal *self) {
  self->stats.syncs++;
  opened(self);
}

/* ---- batches ---- */

lk_err lk_journal_append(lk_journal *self, uint8_t kind, const lk_slice *parts, size_t count,
                         uint64_t *index) {
  const lk_limits *limits = self->options.limits;
  size_t len = 0;
  lk_err err = LK_OK;
  if (self->state == STATE_FAILED) return self->err;
  if (self->state != STATE_OPEN || self->closing) return LK_ERR_STATE;
  for (size_t i = 0; i < count; i++) {
    if (!lk_add_size(len, parts[i].len, &len)) return LK_ERR_TOO_BIG;
  }
  if (len > limits->log_record_bytes) return LK_ERR_TOO_BIG;
  if (self->gathered_count > 0 && !self->is_joined &&
      self->gathering.len + LK_RECORD_HEADER_LEN + len > limits->log_batch_bytes) {
    LK_COVERED(journal_batch_full);
    return LK_ERR_FULL;
  }
  if (self->gathering.len == 0) err = lk_batch_begin(&self->gathering);
  if (err == LK_OK) err = lk_batch_append(&self->gathering, kind, parts, count);
  if (err != LK_OK) return err;
  self->gathered_count++;
  self->is_joined = false;
  *index = self->next_index++;
  return LK_OK;
}

void lk_journal_join_next(lk_journal *self) {
  self->is_joined =
      self->gathered_count > 0 && self->gathering.len <= self->options.limits->log_batch_bytes;
}

static void begin_batch(lk_journal *self) {
  lk_buf spare = self->writing;
  self->writing = self->gathering;
  self->gathering = spare;
  self->writing_count = self->gathered_count;
  self->gathered_count = 0;
  self->is_joined = false;
  self->flushing = false;
  self->tidied = false;
  self->write_off = self->place.off;
  self->undo = self->place;
  lk_batch_finish(&self->writing, self->writing_count, &self->place);
  LK_ASSERT(self->place.index + self->gathered_count == self->next_index);
  submit_write(self, PHASE_BATCH_WRITE, self->write_off, lk_buf_slice(&self->writing));
}

static void on_batch_synced(lk_journal *self) {
  lk_buf_truncate(&self->writing, 0);
  self->durable = self->place.index - 1;
  self->stats.syncs++;
  self->stats.batches++;
  self->stats.records += self->writing_count;
  tell(self, TELL_DURABLE);
  self->flushing = self->gathered_count > 0;
  next(self);
}

/* ---- space ---- */

static void set_space(lk_journal *self, uint8_t space) {
  bool was_there = self->space == SPACE_THERE;
  self->space = space;
  if (was_there != (space == SPACE_THERE)) tell(self, TELL_SPACE);
}

/* Records from |place| on will never be there. */
static void refuse(lk_journal *self) {
  self->stats.refused += self->next_index - self->place.index;
  self->refused = self->next_index = self->place.index;
  lk_buf_truncate(&self->writing, 0);
  lk_buf_truncate(&self->gathering, 0);
  self->gathered_count = 0;
  self->is_joined = false;
  self->flushing = false;
  self->reserved_to = 0; /* truncating gave it back */
  tell(self, TELL_REFUSED);
  set_space(self, SPACE_OUT);
  next(self);
}

static void undo_batch(lk_journal *self) {
  self->place = self->undo;
  submit(self, PHASE_UNDO_TRUNCATE,
         (lk_io){ .kind = LK_IO_TRUNCATE, .file = self->file, .off = self->write_off });
}

static bool wants_reserve(const lk_journal *self) {
  if (self->space != SPACE_THERE || self->cannot_reserve || self->closing) return false;
  return self->reserved_to < self->place.off + self->options.limits->log_reserve_bytes / 2;
}

static void begin_reserve(lk_journal *self) {
  submit(self, PHASE_RESERVE,
         (lk_io){ .kind = LK_IO_RESERVE,
                  .file = self->file,
                  .off = self->place.off + self->options.limits->log_reserve_bytes });
}

static void on_reserved(lk_journal *self) {
  lk_err result = self->io.result;
  if (result == LK_OK) self->reserved_to = self->io.off;
  else if (result != LK_ERR_NO_SPACE) self->cannot_reserve = true;
  set_space(self, result == LK_ERR_NO_SPACE ? SPACE_SHORT : SPACE_THERE);
  next(self);
}

/* Zeros are no batch: what a crash leaves of them is a torn end. */
static void begin_probe(lk_journal *self) {
  size_t len = lk_min_size(PROBE_LEN, self->writing.max);
  uint8_t *zeros = lk_buf_extend(&self->writing, len);
  if (zeros == NULL) {
    lk_buf_truncate(&self->writing, 0);
    return; /* the next time, then */
  }
  memset(zeros, 0, len);
  self->is_probe_refused = false;
  submit_write(self, PHASE_PROBE_WRITE, self->place.off, lk_buf_slice(&self->writing));
}

static void end_probe(lk_journal *self) {
  lk_buf_truncate(&self->writing, 0);
  submit(self, PHASE_PROBE_TRUNCATE,
         (lk_io){ .kind = LK_IO_TRUNCATE, .file = self->file, .off = self->place.off });
}

static void on_probed(lk_journal *self) {
  if (!self->is_probe_refused && !self->cannot_reserve && !self->closing) {
    begin_reserve(self);
    return;
  }
  if (!self->is_probe_refused) set_space(self, SPACE_THERE);
  next(self);
}

static void resume_turn(lk_journal *self);

void lk_journal_try_space(lk_journal *self) {
  if (self->state != STATE_OPEN || self->phase != PHASE_REST || self->closing) return;
  if (self->is_turn_stuck) resume_turn(self);
  else if (self->space == SPACE_SHORT) begin_reserve(self);
  else if (self->space == SPACE_OUT) begin_probe(self);
}

/* ---- a new segment ---- */

static bool wants_turn(lk_journal *self) {
  const lk_limits *limits = self->options.limits;
  bool is_empty = self->place.index == self->manifest.last.base;
  if (self->space != SPACE_THERE) return false; /* it would cost what was reserved */
  if (is_empty || (!self->rotating && self->place.off < limits->log_segment_bytes)) return false;
  if (self->manifest.last.number == LK_SEGMENT_NUMBER_MAX) return false;
  /* With as many as there may be, or no memory for one more, the last one grows on. */
  return self->rows_count < limits->log_segments_count && rows_have_room(self);
}

static void begin_turn(lk_journal *self) {
  lk_segment_id *last = &self->manifest.last;
  self->rotating = false;
  last->number++;
  last->base = self->place.index;
  last->prev = self->place.chain;
  self->manifest.sealed_to = 0;
  self->manifest.oldest = self->removing;
  add_row(self, last);
  write_manifest(self, AFTER_TURN);
}

/* What was reserved and not used would stay. */
static void turn_cut(lk_journal *self) {
  submit(self, PHASE_TURN_CUT,
         (lk_io){ .kind = LK_IO_TRUNCATE, .file = self->file, .off = self->place.off });
}

static void turn_close(lk_journal *self) {
  self->reserved_to = 0;
  self->has_file = false;
  submit_file(self, PHASE_TURN_CLOSE, LK_IO_CLOSE);
}

static void on_turn_closed(lk_journal *self) {
  submit_open(self, PHASE_TURN_OPEN, name_segment(self, self->manifest.last.number), true);
}

static void on_turn_size(lk_journal *self) {
  if (self->io.off != 0) {
    /* Not ours: numbers are never used twice, and this one was announced just now. */
    fail_at(self, self->manifest.last.number, 0, LK_ERR_EXISTS);
    return;
  }
  write_header(self, PHASE_TURN_WRITE);
}

static void on_turn_synced(lk_journal *self) {
  self->stats.syncs++;
  self->stats.segments_made++;
  self->place = lk_segment_start(&self->manifest.last,
                                 name_segment(self, self->manifest.last.number));
  self->is_turn_stuck = false;
  if (self->gathered_count > 0) begin_batch(self);
  else next(self); /* what was to follow was refused meanwhile */
}

static void stop_turn(lk_journal *self) {
  LK_COVERED(journal_turn_without_space);
  self->is_turn_stuck = true;
  refuse(self);
}

/* Where the last step that found no space is to be tried again. */
static void resume_turn(lk_journal *self) {
  if (self->has_file) write_header(self, PHASE_TURN_WRITE);
  else on_turn_closed(self);
}

/* ---- retiring ---- */

/* How many segments hold nothing that is needed; never the last one. */
static size_t retirable(const lk_journal *self) {
  size_t count = 0;
  while (count + 1 < self->rows_count && self->rows[count + 1].base <= self->retire_below) count++;
  return count;
}

static void begin_retire(lk_journal *self, size_t count) {
  lk_segment_id *first = &self->manifest.first;
  self->rows_count -= count;
  memmove(self->rows, self->rows + count, self->rows_count * sizeof *self->rows);
  first->number += count;
  first->base = self->rows[0].base;
  first->prev = self->rows[0].prev;
  self->manifest.oldest = self->removing;
  self->stats.segments_retired += count;
  write_manifest(self, AFTER_RETIRE);
}

static void begin_remove(lk_journal *self) {
  submit(self, PHASE_REMOVE,
         (lk_io){ .kind = LK_IO_REMOVE, .name = name_segment(self, self->removing) });
}

/* A file that cannot be removed does no harm: |oldest| remembers it, and the next opening tries again. */
static void on_removed(lk_journal *self) {
  lk_err result = self->io.result;
  if (result == LK_OK || result == LK_ERR_NOT_FOUND) self->removing++;
  else self->stuck = true;
  next(self);
}

void lk_journal_retire(lk_journal *self, uint64_t index) {
  self->retire_below = lk_max_u64(self->retire_below, index);
  if (self->phase == PHASE_REST) next(self);
}

/* ---- what comes next ---- */

/* Tidies up, unless a batch waits that did not have its turn since the last time. False: nothing to do. */
static bool tidy(lk_journal *self, bool has_batch) {
  size_t retired = retirable(self);
  bool left_over = self->removing < self->manifest.first.number && !self->stuck;
  if (self->closing || (has_batch && self->tidied)) return false;
  if (!left_over && retired == 0) return false;
  self->tidied = true;
  if (left_over) begin_remove(self);
  else begin_retire(self, retired);
  return true;
}

static void close_journal(lk_journal *self) {
  if (self->is_turn_stuck || self->manifest.sealed_to == self->place.off) {
    close_files(self);
    return;
  }
  self->manifest.sealed_to = self->place.off;
  self->manifest.oldest = self->removing;
  write_manifest(self, AFTER_CLOSE);
}

/* At rest and open: begins the next thing that is to be done. */
static void next(lk_journal *self) {
  LK_ASSERT(self->phase == PHASE_REST);
  if (self->state != STATE_OPEN) return;
  bool has_batch = self->gathered_count > 0 && (self->flushing || self->closing);
  if (tidy(self, has_batch)) return;
  if (has_batch && self->is_turn_stuck) resume_turn(self);
  else if (!self->is_turn_stuck && wants_reserve(self)) begin_reserve(self);
  else if (has_batch && wants_turn(self)) begin_turn(self);
  else if (has_batch) begin_batch(self);
  else if (self->closing) close_journal(self);
}

void lk_journal_flush(lk_journal *self) {
  if (self->gathered_count == 0) return;
  self->flushing = true;
  if (self->phase == PHASE_REST) next(self);
}

void lk_journal_rotate(lk_journal *self) {
  /* An empty segment is a new one. */
  self->rotating = self->state == STATE_OPEN && self->place.index > self->manifest.last.base;
}

/* ---- closing ---- */

static void close_files(lk_journal *self) {
  lk_file file = self->file;
  bool any = self->has_file;
  self->has_file = false;
  for (unsigned i = 0; i < 2 && !any; i++) {
    if (!self->has_slot[i]) continue;
    self->has_slot[i] = false;
    file = self->slots[i];
    any = true;
  }
  if (any) {
    submit(self, PHASE_CLOSE, (lk_io){ .kind = LK_IO_CLOSE, .file = file });
    return;
  }
  lk_segment_reader_deinit(&self->reader);
  lk_buf_truncate(&self->gathering, 0);
  lk_buf_truncate(&self->writing, 0);
  self->gathered_count = 0;
  self->state = STATE_CLOSED;
  tell(self, TELL_CLOSED);
}

void lk_journal_close(lk_journal *self) {
  if (self->closing) return;
  self->closing = true;
  if (self->phase != PHASE_REST) return;
  if (self->state == STATE_OPEN) next(self);
  else close_files(self);
}

/* ---- moving on ---- */

/* Which failures say something that the next step can use. */
static bool is_tolerated(uint8_t phase, lk_err result) {
  if (phase == PHASE_SLOT_OPEN || phase == PHASE_READ_OPEN) return result == LK_ERR_NOT_FOUND;
  return phase == PHASE_REMOVE || phase == PHASE_CLOSE || phase == PHASE_READ_CLOSE ||
         phase == PHASE_TURN_CLOSE || phase == PHASE_TURN_CUT ||
         (phase == PHASE_RESERVE && result != LK_ERR_SYNC);
}

/* What has a way to go on without space. False: it is an error like any other. */
static bool on_no_space(lk_journal *self, uint8_t phase) {
  switch (phase) {
  case PHASE_BATCH_WRITE: undo_batch(self); return true;
  case PHASE_TURN_OPEN:
  case PHASE_TURN_WRITE: stop_turn(self); return true;
  case PHASE_PROBE_WRITE:
    self->is_probe_refused = true;
    end_probe(self);
    return true;
  default: return false;
  }
}

static void proceed(lk_journal *self, uint8_t phase) {
  switch (phase) {
  case PHASE_SLOT_OPEN: on_slot_opened(self); return;
  case PHASE_SLOT_READ: on_slot_read(self); return;
  case PHASE_READ_OPEN: on_read_opened(self); return;
  case PHASE_READ_SIZE: on_read_size(self); return;
  case PHASE_READ: lk_segment_reader_feed(&self->reader, self->io.done); return;
  case PHASE_READ_CLOSE: on_read_closed(self); return;
  case PHASE_MEND_OPEN:
  case PHASE_MEND_TRUNCATE: mend_last(self); return;
  case PHASE_MEND_READ: on_mend_read(self); return;
  case PHASE_MEND_WRITE: submit_file(self, PHASE_MEND_SYNC, LK_IO_SYNC); return;
  case PHASE_MEND_SYNC: on_mend_synced(self); return;
  case PHASE_MANIFEST_OPEN: write_slot(self); return;
  case PHASE_MANIFEST_WRITE: on_manifest_written(self); return;
  case PHASE_MANIFEST_SYNC: on_manifest_synced(self); return;
  case PHASE_BATCH_WRITE: submit_file(self, PHASE_BATCH_SYNC, LK_IO_SYNC); return;
  case PHASE_BATCH_SYNC: on_batch_synced(self); return;
  case PHASE_UNDO_TRUNCATE: submit_file(self, PHASE_UNDO_SYNC, LK_IO_SYNC); return;
  case PHASE_UNDO_SYNC: refuse(self); return;
  case PHASE_RESERVE: on_reserved(self); return;
  case PHASE_PROBE_WRITE: end_probe(self); return;
  case PHASE_PROBE_TRUNCATE: on_probed(self); return;
  case PHASE_TURN_CUT: turn_close(self); return;
  case PHASE_TURN_CLOSE: on_turn_closed(self); return;
  case PHASE_TURN_OPEN: submit_file(self, PHASE_TURN_SIZE, LK_IO_SIZE); return;
  case PHASE_TURN_SIZE: on_turn_size(self); return;
  case PHASE_TURN_WRITE: submit_file(self, PHASE_TURN_SYNC, LK_IO_SYNC); return;
  case PHASE_TURN_SYNC: on_turn_synced(self); return;
  case PHASE_REMOVE: on_removed(self); return;
  case PHASE_CLOSE: close_files(self); return;
  default: LK_UNREACHABLE();
  }
}

/* Whoever closes must know of it, whatever else becomes of the operation. */
static void note_file(lk_journal *self, uint8_t phase) {
  if (self->io.kind != LK_IO_OPEN || self->io.result != LK_OK) return;
  if (phase == PHASE_SLOT_OPEN || phase == PHASE_MANIFEST_OPEN) {
    self->has_slot[self->slot] = true;
    self->slots[self->slot] = self->io.file;
  } else {
    self->has_file = true;
    self->file = self->io.file;
  }
}

void lk_journal_advance(lk_journal *self) {
  uint8_t phase = self->phase;
  lk_err result = self->io.result;
  LK_ASSERT(phase != PHASE_REST);
  self->phase = PHASE_REST;
  note_file(self, phase);
  if (self->closing && self->state == STATE_OPENING) close_files(self);
  else if (result == LK_ERR_NO_SPACE && on_no_space(self, phase)) return;
  else if (result != LK_OK && !is_tolerated(phase, result)) fail(self, result);
  else proceed(self, phase);
}

static lk_journal_event take_event(lk_journal *self) {
  uint8_t bit = (uint8_t)(self->events & -self->events);
  self->events &= (uint8_t)~bit;
  switch (bit) {
  case TELL_OPENED:
    return (
        lk_journal_event){ .what = LK_JOURNAL_OPENED, .index = self->durable, .cut = self->cut };
  case TELL_DURABLE:
    return (lk_journal_event){ .what = LK_JOURNAL_DURABLE, .index = self->durable };
  case TELL_RETIRED:
    return (lk_journal_event){ .what = LK_JOURNAL_RETIRED, .index = self->retired_to };
  case TELL_REFUSED:
    return (lk_journal_event){ .what = LK_JOURNAL_REFUSED, .index = self->refused };
  case TELL_SPACE:
    return (lk_journal_event){ .what = LK_JOURNAL_SPACE,
                               .err = self->space == SPACE_THERE ? LK_OK : LK_ERR_NO_SPACE };
  case TELL_FAILED:
    return (lk_journal_event){ .what = LK_JOURNAL_FAILED,
                               .err = self->err,
                               .segment = self->bad_segment,
                               .off = self->bad_off };
  case TELL_CLOSED: return (lk_journal_event){ .what = LK_JOURNAL_CLOSED };
  default: LK_UNREACHABLE();
  }
}

bool lk_journal_poll(lk_journal *self, lk_journal_event *out) {
  /* At rest while opening means: in the middle of a segment. */
  while (self->events == 0 && self->state == STATE_OPENING && self->phase == PHASE_REST) {
    if (pump(self, out)) return true;
  }
  if (self->events == 0) return false;
  *out = take_event(self);
  return true;
}
