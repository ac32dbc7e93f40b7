/* room/keeper.c -- opening, reading, writing, syncing, one after the other.
 *
 *   LOAD_OPEN ─ LOAD_SIZE ─ LOAD_READ      slot 0, then slot 1; no such file is an empty slot
 *   LOAD_WRITE ─ LOAD_SYNC                 the newer one
 *   KEEP_OPEN ─ KEEP_WRITE ─ KEEP_SYNC     the older one
 *   REMOVE                                 slot 0, then slot 1; one that is not there is removed already
 *   CLOSE                                  each file that was opened, at the end of whatever opened it
 *
 * Files are open while they are worked with: a house has more keepers than a process may have files. What a close says that
 * fails is for the next load to find out; all that is promised was synced before.
 *
 * Why loading writes: what a read gives may stand in a cache only, put there by a process that died
 * before its sync or by a sync that failed, after which the cache looks clean. Shown to members it
 * would be a promise; worse, the next state would replace the other slot, which is the one that is
 * safe. So the newer slot is written once more, the same bytes in the same place, and synced before
 * anybody hears of it. Tearing that write changes nothing: it replaces bytes with themselves. */
#include "room/keeper.h"

#include "codec/hex.h"
#include "crypto/sha256.h"
#include "log/slot.h"

enum {
  PHASE_REST,
  PHASE_LOAD_OPEN,
  PHASE_LOAD_SIZE,
  PHASE_LOAD_READ,
  PHASE_LOAD_WRITE,
  PHASE_LOAD_SYNC,
  PHASE_KEEP_OPEN,
  PHASE_KEEP_WRITE,
  PHASE_KEEP_SYNC,
  PHASE_REMOVE,
  PHASE_CLOSE,
};

/* What an activity works with. */
typedef struct lk_keeper_work {
  lk_keeper_place place;
  lk_io io;
  lk_file files[2];
  bool has_file[2];
  uint8_t slot;          /* which of the two |io| is about */
  lk_keeper_event event; /* CLOSE: what the activity comes to */
  lk_err result;         /* and how */
  lk_buf slots[2];       /* while loading: what they hold */
  lk_buf bytes;          /* while keeping: what is being written */
  lk_slice state;        /* what was loaded, in one of |slots| */
  uint8_t name[LK_KEEPER_NAME_LEN];
} work;

void lk_keeper_name(lk_slice topic, unsigned slot, uint8_t out[LK_KEEPER_NAME_LEN]) {
  lk_sha256 hash;
  uint8_t digest[LK_SHA256_LEN];
  lk_sha256_init(&hash);
  lk_sha256_update(&hash, topic);
  lk_sha256_final(&hash, digest);
  lk_hex_store(out, lk_slice_of(digest, sizeof digest));
  out[LK_KEEPER_NAME_LEN - 2] = '.';
  out[LK_KEEPER_NAME_LEN - 1] = (uint8_t)('0' + slot);
}

void lk_keeper_deinit(lk_keeper *self) {
  lk_keeper_release(self);
  *self = (lk_keeper){ 0 };
}

lk_slice lk_keeper_state(const lk_keeper *self) {
  return self->work == NULL ? LK_SLICE_EMPTY : self->work->state;
}

bool lk_keeper_owns(const lk_keeper *self, const lk_io *io) {
  return self->work != NULL && io == &self->work->io;
}

/* ---- what an activity works with ---- */

static lk_err begin(lk_keeper *self, const lk_keeper_place *place) {
  LK_ASSERT(self->phase == PHASE_REST);
  size_t slot_max = place->state_max + LK_SLOT_HEADER_LEN;
  lk_keeper_release(self);
  work *w = lk_alloc_bytes(place->alloc, sizeof *w);
  if (w == NULL) return LK_ERR_NOMEM;
  *w = (work){ .place = *place };
  for (unsigned slot = 0; slot < 2; slot++) lk_buf_init(&w->slots[slot], place->alloc, slot_max);
  lk_buf_init(&w->bytes, place->alloc, slot_max);
  self->work = w;
  return LK_OK;
}

void lk_keeper_release(lk_keeper *self) {
  work *w = self->work;
  if (w == NULL) return;
  for (unsigned slot = 0; slot < 2; slot++) lk_buf_deinit(&w->slots[slot]);
  lk_buf_deinit(&w->bytes);
  lk_free_bytes(w->place.alloc, w, sizeof *w);
  self->work = NULL;
}

/* ---- one operation ---- */

static lk_keeper_event submit(lk_keeper *self, uint8_t phase, lk_io io) {
  work *w = self->work;
  self->phase = phase;
  w->io = io;
  w->io.user = w->place.user;
  w->place.storage->submit(w->place.storage, &w->io);
  return LK_KEEPER_BUSY;
}

static lk_slice name_slot(lk_keeper *self, unsigned slot) {
  work *w = self->work;
  w->slot = (uint8_t)slot;
  lk_keeper_name(w->place.topic, slot, w->name);
  return lk_slice_of(w->name, sizeof w->name);
}

static lk_file file_of(const lk_keeper *self) { return self->work->files[self->work->slot]; }

static lk_keeper_event open_slot(lk_keeper *self, uint8_t phase, unsigned slot, bool create) {
  return submit(self, phase,
                (lk_io){ .kind = LK_IO_OPEN, .create = create, .name = name_slot(self, slot) });
}

static lk_keeper_event write_slot(lk_keeper *self, uint8_t phase, lk_slice bytes) {
  return submit(self, phase, (lk_io){ .kind = LK_IO_WRITE, .file = file_of(self), .from = bytes });
}

static lk_keeper_event sync_slot(lk_keeper *self, uint8_t phase) {
  return submit(self, phase, (lk_io){ .kind = LK_IO_SYNC, .file = file_of(self) });
}

static void note_file(lk_keeper *self) {
  work *w = self->work;
  w->has_file[w->slot] = true;
  w->files[w->slot] = w->io.file;
}

/* The next file that is open, or the end. */
static lk_keeper_event close_files(lk_keeper *self) {
  work *w = self->work;
  for (unsigned slot = 0; slot < 2; slot++) {
    if (!w->has_file[slot]) continue;
    w->has_file[slot] = false;
    return submit(self, PHASE_CLOSE, (lk_io){ .kind = LK_IO_CLOSE, .file = w->files[slot] });
  }
  lk_keeper_event event = w->event;
  self->phase = PHASE_REST;
  self->result = w->result;
  if (self->result != LK_OK || w->state.len == 0) lk_keeper_release(self);
  return event;
}

static lk_keeper_event end(lk_keeper *self, lk_keeper_event event, lk_err result) {
  self->work->event = event;
  self->work->result = result;
  return close_files(self);
}

/* ---- loading ---- */

lk_err lk_keeper_load(lk_keeper *self, const lk_keeper_place *place) {
  self->result = begin(self, place);
  if (self->result == LK_OK) (void)open_slot(self, PHASE_LOAD_OPEN, 0, false);
  return self->result;
}

/* Both slots are read. */
static lk_keeper_event make_durable(lk_keeper *self) {
  work *w = self->work;
  self->number = 0;
  self->intact = true;
  lk_err err = lk_slot_recover(lk_buf_slice(&w->slots[0]), lk_buf_slice(&w->slots[1]),
                               &self->number, &w->state, &self->intact);
  if (err == LK_ERR_NOT_FOUND) return end(self, LK_KEEPER_LOADED, LK_OK);
  if (err != LK_OK) return end(self, LK_KEEPER_LOADED, err);
  w->slot = (uint8_t)(self->number % 2);
  return write_slot(
      self, PHASE_LOAD_WRITE,
      lk_slice_first(lk_buf_slice(&w->slots[w->slot]), LK_SLOT_HEADER_LEN + w->state.len));
}

static lk_keeper_event slot_loaded(lk_keeper *self) {
  return self->work->slot == 0 ? open_slot(self, PHASE_LOAD_OPEN, 1, false) : make_durable(self);
}

static lk_keeper_event read_slot(lk_keeper *self, uint64_t size) {
  lk_buf *into = &self->work->slots[self->work->slot];
  size_t len;
  /* Longer than any slot that these limits allow: it was written under greater ones, and to read a
   * part would be to take it for damaged and fall back to an older state. */
  if (size > into->max || !lk_u64_to_size(size, &len)) {
    return end(self, LK_KEEPER_LOADED, LK_ERR_TOO_BIG);
  }
  if (len == 0) return slot_loaded(self);
  uint8_t *at = lk_buf_extend(into, len);
  if (at == NULL) return end(self, LK_KEEPER_LOADED, LK_ERR_NOMEM);
  return submit(self, PHASE_LOAD_READ,
                (lk_io){ .kind = LK_IO_READ, .file = file_of(self), .into = at, .into_len = len });
}

static lk_keeper_event on_load_opened(lk_keeper *self) {
  lk_err result = self->work->io.result;
  if (result == LK_ERR_NOT_FOUND) return slot_loaded(self);
  if (result != LK_OK) return end(self, LK_KEEPER_LOADED, result);
  note_file(self);
  return submit(self, PHASE_LOAD_SIZE, (lk_io){ .kind = LK_IO_SIZE, .file = file_of(self) });
}

static lk_keeper_event on_load_read(lk_keeper *self) {
  work *w = self->work;
  lk_buf_truncate(&w->slots[w->slot], w->io.done);
  return slot_loaded(self);
}

/* ---- keeping and removing ---- */

lk_err lk_keeper_keep(lk_keeper *self, const lk_keeper_place *place, lk_slice state) {
  lk_err err = begin(self, place);
  if (err == LK_OK) err = lk_slot_encode(self->number + 1, state, &self->work->bytes);
  if (err != LK_OK) {
    lk_keeper_release(self);
    return err;
  }
#ifdef LK_BUG_SAME_SLOT /* planted for the simulator, which must find it: sim/README.md */
  unsigned slot = 0;
#else
  unsigned slot = (unsigned)((self->number + 1) % 2);
#endif
  (void)open_slot(self, PHASE_KEEP_OPEN, slot, true);
  return LK_OK;
}

static lk_keeper_event on_keep_opened(lk_keeper *self) {
  note_file(self);
  return write_slot(self, PHASE_KEEP_WRITE, lk_buf_slice(&self->work->bytes));
}

static lk_keeper_event on_kept(lk_keeper *self) {
  self->number++;
  return end(self, LK_KEEPER_KEPT, LK_OK);
}

static lk_keeper_event remove_slot(lk_keeper *self, unsigned slot) {
  return submit(self, PHASE_REMOVE, (lk_io){ .kind = LK_IO_REMOVE, .name = name_slot(self, slot) });
}

lk_err lk_keeper_remove(lk_keeper *self, const lk_keeper_place *place) {
  lk_err err = begin(self, place);
  if (err != LK_OK) return err;
  self->number = 0;
  (void)remove_slot(self, 0);
  return LK_OK;
}

static lk_keeper_event on_removed(lk_keeper *self) {
  const work *w = self->work;
  lk_err result = w->io.result == LK_ERR_NOT_FOUND ? LK_OK : w->io.result;
  if (result == LK_OK && w->slot == 0) return remove_slot(self, 1);
  return end(self, LK_KEEPER_REMOVED, result);
}

lk_keeper_event lk_keeper_advance(lk_keeper *self) {
  lk_err result = self->work->io.result;
  bool loading = self->phase <= PHASE_LOAD_SYNC;
  bool tolerates = self->phase == PHASE_LOAD_OPEN || self->phase >= PHASE_REMOVE;
  if (result != LK_OK && !tolerates) {
    return end(self, loading ? LK_KEEPER_LOADED : LK_KEEPER_KEPT, result);
  }
  switch (self->phase) {
  case PHASE_LOAD_OPEN: return on_load_opened(self);
  case PHASE_LOAD_SIZE: return read_slot(self, self->work->io.off);
  case PHASE_LOAD_READ: return on_load_read(self);
  case PHASE_LOAD_WRITE: return sync_slot(self, PHASE_LOAD_SYNC);
  case PHASE_LOAD_SYNC: return end(self, LK_KEEPER_LOADED, LK_OK);
  case PHASE_KEEP_OPEN: return on_keep_opened(self);
  case PHASE_KEEP_WRITE: return sync_slot(self, PHASE_KEEP_SYNC);
  case PHASE_KEEP_SYNC: return on_kept(self);
  case PHASE_REMOVE: return on_removed(self);
  case PHASE_CLOSE: return close_files(self);
  default: LK_UNREACHABLE();
  }
}
