/* room/keeper.c -- opening, reading, writing, syncing, one after the other.
 *
 *   LOAD_OPEN ─ LOAD_SIZE ─ LOAD_READ      slot 0, then slot 1; no such file is an empty slot
 *   LOAD_WRITE ─ LOAD_SYNC                 the newer one
 *   KEEP_OPEN ─ KEEP_WRITE ─ KEEP_SYNC     the older one; opened when it is first needed
 *   CLOSE                                  each file that is open
 *   REMOVE                                 slot 0, then slot 1; one that is not there is removed already
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
  PHASE_CLOSE,
  PHASE_REMOVE,
};

/* What an activity works with. */
typedef struct lk_keeper_work {
  lk_buf slots[2]; /* while loading: what they hold */
  lk_buf bytes;    /* while keeping: what is being written */
  lk_slice state;  /* what was loaded, in one of |slots| */
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

void lk_keeper_init(lk_keeper *self, const lk_alloc *alloc, lk_storage *storage, lk_slice topic,
                    size_t state_max, void *user) {
  *self = (lk_keeper){
    .alloc = alloc, .storage = storage, .user = user, .topic = topic, .state_max = state_max
  };
}

void lk_keeper_deinit(lk_keeper *self) {
  lk_keeper_release(self);
  *self = (lk_keeper){ 0 };
}

lk_slice lk_keeper_state(const lk_keeper *self) {
  return self->work == NULL ? LK_SLICE_EMPTY : self->work->state;
}

/* ---- what an activity works with ---- */

static lk_err begin(lk_keeper *self) {
  LK_ASSERT(self->phase == PHASE_REST);
  size_t slot_max = self->state_max + LK_SLOT_HEADER_LEN;
  lk_keeper_release(self);
  work *w = lk_alloc_bytes(self->alloc, sizeof *w);
  if (w == NULL) return LK_ERR_NOMEM;
  *w = (work){ 0 };
  for (unsigned slot = 0; slot < 2; slot++) lk_buf_init(&w->slots[slot], self->alloc, slot_max);
  lk_buf_init(&w->bytes, self->alloc, slot_max);
  self->work = w;
  return LK_OK;
}

void lk_keeper_release(lk_keeper *self) {
  work *w = self->work;
  if (w == NULL) return;
  for (unsigned slot = 0; slot < 2; slot++) lk_buf_deinit(&w->slots[slot]);
  lk_buf_deinit(&w->bytes);
  lk_free_bytes(self->alloc, w, sizeof *w);
  self->work = NULL;
}

static lk_keeper_event end(lk_keeper *self, lk_keeper_event event, lk_err result) {
  self->phase = PHASE_REST;
  self->result = result;
  if (result != LK_OK || lk_keeper_state(self).len == 0) lk_keeper_release(self);
  return event;
}

/* ---- one operation ---- */

static lk_keeper_event submit(lk_keeper *self, uint8_t phase, lk_io io) {
  self->phase = phase;
  self->io = io;
  self->io.user = self->user;
  self->storage->submit(self->storage, &self->io);
  return LK_KEEPER_BUSY;
}

static lk_slice name_slot(lk_keeper *self, unsigned slot) {
  self->slot = (uint8_t)slot;
  lk_keeper_name(self->topic, slot, self->work->name);
  return lk_slice_of(self->work->name, sizeof self->work->name);
}

static lk_keeper_event open_slot(lk_keeper *self, uint8_t phase, unsigned slot, bool create) {
  return submit(self, phase,
                (lk_io){ .kind = LK_IO_OPEN, .create = create, .name = name_slot(self, slot) });
}

static lk_keeper_event write_slot(lk_keeper *self, uint8_t phase, lk_slice bytes) {
  return submit(self, phase,
                (lk_io){ .kind = LK_IO_WRITE, .file = self->files[self->slot], .from = bytes });
}

static lk_keeper_event sync_slot(lk_keeper *self, uint8_t phase) {
  return submit(self, phase, (lk_io){ .kind = LK_IO_SYNC, .file = self->files[self->slot] });
}

static void note_file(lk_keeper *self) {
  self->has_file[self->slot] = true;
  self->files[self->slot] = self->io.file;
}

/* ---- loading ---- */

lk_err lk_keeper_load(lk_keeper *self) {
  LK_ASSERT(!self->has_file[0] && !self->has_file[1]);
  self->result = begin(self);
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
  self->slot = (uint8_t)(self->number % 2);
  return write_slot(
      self, PHASE_LOAD_WRITE,
      lk_slice_first(lk_buf_slice(&w->slots[self->slot]), LK_SLOT_HEADER_LEN + w->state.len));
}

static lk_keeper_event slot_loaded(lk_keeper *self) {
  return self->slot == 0 ? open_slot(self, PHASE_LOAD_OPEN, 1, false) : make_durable(self);
}

static lk_keeper_event read_slot(lk_keeper *self, uint64_t size) {
  lk_buf *into = &self->work->slots[self->slot];
  size_t len;
  /* Longer than any slot that these limits allow: it was written under greater ones, and to read a
   * part would be to take it for damaged and fall back to an older state. */
  if (size > into->max || !lk_u64_to_size(size, &len)) {
    return end(self, LK_KEEPER_LOADED, LK_ERR_TOO_BIG);
  }
  if (len == 0) return slot_loaded(self);
  uint8_t *at = lk_buf_extend(into, len);
  if (at == NULL) return end(self, LK_KEEPER_LOADED, LK_ERR_NOMEM);
  return submit(
      self, PHASE_LOAD_READ,
      (lk_io){ .kind = LK_IO_READ, .file = self->files[self->slot], .into = at, .into_len = len });
}

static lk_keeper_event on_load_opened(lk_keeper *self) {
  if (self->io.result == LK_ERR_NOT_FOUND) return slot_loaded(self);
  if (self->io.result != LK_OK) return end(self, LK_KEEPER_LOADED, self->io.result);
  note_file(self);
  return submit(self, PHASE_LOAD_SIZE,
                (lk_io){ .kind = LK_IO_SIZE, .file = self->files[self->slot] });
}

static lk_keeper_event on_load_read(lk_keeper *self) {
  lk_buf_truncate(&self->work->slots[self->slot], self->io.done);
  return slot_loaded(self);
}

/* ---- keeping and closing ---- */

lk_err lk_keeper_keep(lk_keeper *self, lk_slice state) {
  lk_err err = begin(self);
  if (err == LK_OK) err = lk_slot_encode(self->number + 1, state, &self->work->bytes);
  if (err != LK_OK) {
    lk_keeper_release(self);
    return err;
  }
#ifdef LK_BUG_SAME_SLOT /* planted for the simulator, which must find it: sim/README.md */
  self->slot = 0;
#else
  self->slot = (uint8_t)((self->number + 1) % 2);
#endif
  if (self->has_file[self->slot])
    (void)write_slot(self, PHASE_KEEP_WRITE, lk_buf_slice(&self->work->bytes));
  else (void)open_slot(self, PHASE_KEEP_OPEN, self->slot, true);
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

bool lk_keeper_close(lk_keeper *self) {
  LK_ASSERT(self->phase == PHASE_REST);
  for (unsigned slot = 0; slot < 2; slot++) {
    if (!self->has_file[slot]) continue;
    self->has_file[slot] = false;
    (void)submit(self, PHASE_CLOSE, (lk_io){ .kind = LK_IO_CLOSE, .file = self->files[slot] });
    return true;
  }
  return false;
}

static lk_keeper_event remove_slot(lk_keeper *self, unsigned slot) {
  return submit(self, PHASE_REMOVE, (lk_io){ .kind = LK_IO_REMOVE, .name = name_slot(self, slot) });
}

/* What a failed close means is for the next load to find out. */
static lk_keeper_event on_closed(lk_keeper *self) {
  self->phase = PHASE_REST;
  if (lk_keeper_close(self)) return LK_KEEPER_BUSY;
  return self->is_removing ? remove_slot(self, 0) : end(self, LK_KEEPER_CLOSED, LK_OK);
}

lk_err lk_keeper_remove(lk_keeper *self) {
  lk_err err = begin(self);
  if (err != LK_OK) return err;
  self->is_removing = true;
  self->number = 0;
  if (!lk_keeper_close(self)) (void)remove_slot(self, 0);
  return LK_OK;
}

static lk_keeper_event on_removed(lk_keeper *self) {
  lk_err result = self->io.result == LK_ERR_NOT_FOUND ? LK_OK : self->io.result;
  if (result == LK_OK && self->slot == 0) return remove_slot(self, 1);
  self->is_removing = false;
  return end(self, LK_KEEPER_REMOVED, result);
}

lk_keeper_event lk_keeper_advance(lk_keeper *self) {
  lk_err result = self->io.result;
  bool loading = self->phase <= PHASE_LOAD_SYNC;
  bool tolerates = self->phase == PHASE_LOAD_OPEN || self->phase >= PHASE_CLOSE;
  if (result != LK_OK && !tolerates) {
    return end(self, loading ? LK_KEEPER_LOADED : LK_KEEPER_KEPT, result);
  }
  switch (self->phase) {
  case PHASE_LOAD_OPEN: return on_load_opened(self);
  case PHASE_LOAD_SIZE: return read_slot(self, self->io.off);
  case PHASE_LOAD_READ: return on_load_read(self);
  case PHASE_LOAD_WRITE: return sync_slot(self, PHASE_LOAD_SYNC);
  case PHASE_LOAD_SYNC: return end(self, LK_KEEPER_LOADED, LK_OK);
  case PHASE_KEEP_OPEN: return on_keep_opened(self);
  case PHASE_KEEP_WRITE: return sync_slot(self, PHASE_KEEP_SYNC);
  case PHASE_KEEP_SYNC: return on_kept(self);
  case PHASE_CLOSE: return on_closed(self);
  case PHASE_REMOVE: return on_removed(self);
  default: LK_UNREACHABLE();
  }
}
