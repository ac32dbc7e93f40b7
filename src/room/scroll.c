/* room/scroll.c -- opening, reading, writing at the end.
 *
 *   LOAD_OPEN ─ LOAD_SIZE ─ LOAD_READ ─ LOAD_CUT, where the end is no whole record
 *   APPEND_OPEN ─ APPEND_WRITE           with the head before the first record
 *   CUT                                  the head stays
 *   CONDEMN_OPEN ─ CONDEMN               one byte of the head
 *   CLOSE, and then REMOVE where it was asked for
 *
 * A write that failed may have left any part of its bytes behind the end. The owner drops the room then and loads again:
 * what is no whole record is cut off, or the rest of it might look like one behind the next that is written. */
#include "room/scroll.h"

#include "codec/hex.h"
#include "codec/reader.h"
#include "crypto/sha256.h"

#define VERSION 1
#define CONDEMNED 0
#define RECORD_HEAD_LEN 12

enum {
  PHASE_REST,
  PHASE_LOAD_OPEN,
  PHASE_LOAD_SIZE,
  PHASE_LOAD_READ,
  PHASE_LOAD_CUT,
  PHASE_APPEND_OPEN,
  PHASE_APPEND_WRITE,
  PHASE_CUT,
  PHASE_CONDEMN_OPEN,
  PHASE_CONDEMN,
  PHASE_CLOSE,
  PHASE_REMOVE,
};

static size_t head_len(lk_slice topic) { return 2 + topic.len; }

void lk_scroll_init(lk_scroll *self, const lk_alloc *alloc, lk_storage *storage, lk_slice topic,
                    size_t record_max, size_t bytes_max, void *user) {
  lk_sha256 hash;
  uint8_t digest[LK_SHA256_LEN];
  LK_ASSERT(topic.len <= LK_SCROLL_TOPIC_MAX);
  *self = (lk_scroll){
    .alloc = alloc, .storage = storage, .user = user, .topic = topic, .bytes_max = bytes_max
  };
  lk_buf_init(&self->loaded, alloc, bytes_max);
  lk_buf_init(&self->writing, alloc, record_max + RECORD_HEAD_LEN + LK_SCROLL_HEAD_MAX);
  lk_sha256_init(&hash);
  lk_sha256_update(&hash, topic);
  lk_sha256_final(&hash, digest);
  lk_hex_store(self->name, lk_slice_of(digest, sizeof digest));
  memcpy(self->name + 2 * LK_SHA256_LEN, ".log", 4);
}

void lk_scroll_deinit(lk_scroll *self) {
  lk_buf_deinit(&self->loaded);
  lk_buf_deinit(&self->writing);
  *self = (lk_scroll){ 0 };
}

void lk_scroll_resume(lk_scroll *self, uint64_t end) {
  LK_ASSERT(self->phase == PHASE_REST && !self->has_file);
  self->end = end;
}

uint64_t lk_scroll_bytes_before(lk_slice topic, uint64_t end) {
  uint64_t head = head_len(topic);
  return end > head ? end - head : 0;
}

/* ---- one operation ---- */

static void submit(lk_scroll *self, uint32_t phase, lk_io io) {
  self->phase = phase;
  self->io = io;
  self->io.user = self->user;
  self->io.file = self->file;
  self->storage->submit(self->storage, &self->io);
}

static void open_file(lk_scroll *self, uint32_t phase, bool create) {
  submit(self, phase,
         (lk_io){ .kind = LK_IO_OPEN,
                  .create = create,
                  .name = lk_slice_of(self->name, sizeof self->name) });
}

static lk_scroll_event end(lk_scroll *self, lk_scroll_event event, lk_err result) {
  self->phase = PHASE_REST;
  self->result = result;
  return event;
}

/* ---- loading ---- */

void lk_scroll_load(lk_scroll *self) {
  LK_ASSERT(self->phase == PHASE_REST && !self->has_file);
  self->end = 0;
  self->is_condemned = false;
  lk_buf_truncate(&self->loaded, 0);
  open_file(self, PHASE_LOAD_OPEN, false);
}

static lk_scroll_event on_opened(lk_scroll *self) {
  if (self->io.result == LK_ERR_NOT_FOUND) return end(self, LK_SCROLL_LOADED, LK_OK);
  if (self->io.result != LK_OK) return end(self, LK_SCROLL_LOADED, self->io.result);
  self->has_file = true;
  self->file = self->io.file;
  submit(self, PHASE_LOAD_SIZE, (lk_io){ .kind = LK_IO_SIZE });
  return LK_SCROLL_BUSY;
}

static lk_scroll_event on_size(lk_scroll *self) {
  size_t len;
  if (!lk_u64_to_size(self->io.off, &len) || len > self->bytes_max)
    return end(self, LK_SCROLL_LOADED, LK_ERR_TOO_BIG);
  if (len == 0) return end(self, LK_SCROLL_LOADED, LK_OK);
  uint8_t *at = lk_buf_extend(&self->loaded, len);
  if (at == NULL) return end(self, LK_SCROLL_LOADED, LK_ERR_NOMEM);
  submit(self, PHASE_LOAD_READ, (lk_io){ .kind = LK_IO_READ, .into = at, .into_len = len });
  return LK_SCROLL_BUSY;
}

/* |size| bytes are whole. */
static lk_scroll_event cut_rest(lk_scroll *self, size_t size) {
  self->end = size;
  if (size == self->loaded.len) return end(self, LK_SCROLL_LOADED, LK_OK);
  lk_buf_truncate(&self->loaded, size);
  submit(self, PHASE_LOAD_CUT, (lk_io){ .kind = LK_IO_TRUNCATE, .off = size });
  return LK_SCROLL_BUSY;
}

/* The end is behind the last whole record. */
static lk_scroll_event on_read(lk_scroll *self) {
  lk_slice topic, bytes;
  uint64_t index;
  lk_buf_truncate(&self->loaded, self->io.done);
  self->is_condemned = self->loaded.len > 0 && self->loaded.ptr[0] == CONDEMNED;
  lk_err err = lk_scroll_topic(lk_buf_slice(&self->loaded), &topic);
  if (err == LK_ERR_TRUNCATED) return cut_rest(self, 0); /* its first record was never whole */
  if (err == LK_OK && !lk_slice_equal(topic, self->topic)) err = LK_ERR_CORRUPT;
  if (err != LK_OK) return end(self, LK_SCROLL_LOADED, err);
  lk_slice rest = lk_scroll_records(self);
  const uint8_t *first = rest.ptr;
  while (lk_scroll_next(&rest, &index, &bytes)) continue;
  return cut_rest(self, head_len(self->topic) + (size_t)(rest.ptr - first));
}

lk_slice lk_scroll_records(const lk_scroll *self) {
  return lk_slice_skip(lk_buf_slice(&self->loaded), lk_min_size(head_len(self->topic), self->loaded.len));
}

void lk_scroll_release(lk_scroll *self) {
  lk_buf_deinit(&self->loaded);
  lk_buf_init(&self->loaded, self->alloc, self->bytes_max);
}

bool lk_scroll_next(lk_slice *records, uint64_t *index, lk_slice *bytes) {
  if (records->len < RECORD_HEAD_LEN) return false;
  uint32_t len = lk_load_le32(records->ptr);
  if (len > records->len - RECORD_HEAD_LEN) return false;
  *index = lk_load_le64(records->ptr + 4);
  *bytes = lk_slice_of(records->ptr + RECORD_HEAD_LEN, len);
  *records = lk_slice_skip(*records, RECORD_HEAD_LEN + (size_t)len);
  return true;
}

lk_err lk_scroll_topic(lk_slice bytes, lk_slice *topic) {
  lk_reader in = lk_reader_of(bytes);
  uint8_t version, len;
  lk_err err = lk_reader_u8(&in, &version);
  if (err == LK_OK && version != VERSION && version != CONDEMNED) return LK_ERR_VERSION;
  if (err == LK_OK) err = lk_reader_u8(&in, &len);
  return err == LK_OK ? lk_reader_bytes(&in, len, topic) : err;
}

/* ---- writing ---- */

static lk_scroll_event write_record(lk_scroll *self) {
  submit(self, PHASE_APPEND_WRITE,
         (lk_io){ .kind = LK_IO_WRITE, .off = self->end, .from = lk_buf_slice(&self->writing) });
  return LK_SCROLL_BUSY;
}

/* A file that is there is not made anew where it is missing. */
static void begin_writing(lk_scroll *self) {
  if (self->has_file) (void)write_record(self);
  else open_file(self, PHASE_APPEND_OPEN, self->end == 0);
}

lk_err lk_scroll_append(lk_scroll *self, uint64_t index, lk_slice bytes) {
  bool is_later = self->phase == PHASE_CUT || (self->phase == PHASE_CLOSE && !self->is_removing);
  LK_ASSERT(self->phase == PHASE_REST || (is_later && !self->is_queued));
  lk_buf *out = &self->writing;
  lk_buf_truncate(out, 0);
  if (bytes.len > UINT32_MAX) return LK_ERR_TOO_BIG;
  if (self->end == 0) {
    (void)lk_buf_append_u8(out, VERSION);
    (void)lk_buf_append_u8(out, (uint8_t)self->topic.len);
    (void)lk_buf_append(out, self->topic);
  }
  (void)lk_buf_append_le32(out, (uint32_t)bytes.len);
  (void)lk_buf_append_le64(out, index);
  lk_err err = lk_buf_append(out, bytes);
  if (err != LK_OK) return err;
  if (is_later) self->is_queued = true;
  else begin_writing(self);
  return LK_OK;
}

void lk_scroll_try_again(lk_scroll *self) {
  LK_ASSERT(self->phase == PHASE_REST && self->writing.len > 0);
  begin_writing(self);
}

static lk_scroll_event on_made(lk_scroll *self) {
  self->has_file = true;
  self->file = self->io.file;
  return write_record(self);
}

/* Large records are rare: what one of them took is given back. */
static lk_scroll_event on_written(lk_scroll *self) {
  size_t max = self->writing.max;
  self->end += self->writing.len;
  lk_buf_deinit(&self->writing);
  lk_buf_init(&self->writing, self->alloc, max);
  return end(self, LK_SCROLL_APPENDED, LK_OK);
}

void lk_scroll_cut(lk_scroll *self) {
  LK_ASSERT(self->phase == PHASE_REST && self->has_file);
  submit(self, PHASE_CUT,
         (lk_io){ .kind = LK_IO_TRUNCATE, .off = self->end == 0 ? 0 : head_len(self->topic) });
}

/* What waited is not written either: nobody knows where the file ends. */
static lk_scroll_event fail(lk_scroll *self, lk_scroll_event event, lk_err result) {
  self->is_queued = false;
  return end(self, event, result);
}

/* |event| is what has come; what waited for it begins. */
static lk_scroll_event go_on(lk_scroll *self, lk_scroll_event event) {
  (void)end(self, event, LK_OK);
  if (self->is_queued) begin_writing(self);
  self->is_queued = false;
  return event;
}

static lk_scroll_event on_cut(lk_scroll *self) {
  if (self->end > 0) self->end = head_len(self->topic);
  return go_on(self, LK_SCROLL_CUT);
}

static lk_scroll_event condemn(lk_scroll *self) {
  static const uint8_t condemned = CONDEMNED;
  submit(self, PHASE_CONDEMN, (lk_io){ .kind = LK_IO_WRITE, .from = { &condemned, 1 } });
  return LK_SCROLL_BUSY;
}

bool lk_scroll_condemn(lk_scroll *self) {
  LK_ASSERT(self->phase == PHASE_REST);
  if (self->end == 0) return false;
  if (self->has_file) (void)condemn(self);
  else open_file(self, PHASE_CONDEMN_OPEN, false);
  return true;
}

static lk_scroll_event on_condemn_opened(lk_scroll *self) {
  self->has_file = true;
  self->file = self->io.file;
  return condemn(self);
}

/* ---- closing and removing ---- */

bool lk_scroll_close(lk_scroll *self) {
  LK_ASSERT(self->phase == PHASE_REST);
  if (!self->has_file) return false;
  self->has_file = false;
  submit(self, PHASE_CLOSE, (lk_io){ .kind = LK_IO_CLOSE });
  return true;
}

static void remove_file(lk_scroll *self) {
  submit(self, PHASE_REMOVE,
         (lk_io){ .kind = LK_IO_REMOVE, .name = lk_slice_of(self->name, sizeof self->name) });
}

void lk_scroll_remove(lk_scroll *self) {
  self->is_removing = true;
  self->end = 0;
  if (!lk_scroll_close(self)) remove_file(self);
}

static lk_scroll_event on_closed(lk_scroll *self) {
  if (!self->is_removing) return go_on(self, LK_SCROLL_CLOSED);
  remove_file(self);
  return LK_SCROLL_BUSY;
}

static lk_scroll_event on_removed(lk_scroll *self) {
  lk_err result = self->io.result;
  self->is_removing = false;
  return end(self, LK_SCROLL_REMOVED, result == LK_ERR_NOT_FOUND ? LK_OK : result);
}

/* ---- moving on ---- */

static lk_scroll_event event_of(uint32_t phase) {
  if (phase <= PHASE_LOAD_CUT) return LK_SCROLL_LOADED;
  if (phase == PHASE_CONDEMN_OPEN || phase == PHASE_CONDEMN) return LK_SCROLL_CONDEMNED;
  return phase == PHASE_CUT ? LK_SCROLL_CUT : LK_SCROLL_APPENDED;
}

lk_scroll_event lk_scroll_advance(lk_scroll *self) {
  lk_err result = self->io.result;
  bool fails = self->phase != PHASE_LOAD_OPEN && self->phase < PHASE_CLOSE;
  if (result != LK_OK && fails) return fail(self, event_of(self->phase), result);
  switch (self->phase) {
  case PHASE_LOAD_OPEN: return on_opened(self);
  case PHASE_LOAD_SIZE: return on_size(self);
  case PHASE_LOAD_READ: return on_read(self);
  case PHASE_LOAD_CUT: return end(self, LK_SCROLL_LOADED, LK_OK);
  case PHASE_APPEND_OPEN: return on_made(self);
  case PHASE_APPEND_WRITE: return on_written(self);
  case PHASE_CUT: return on_cut(self);
  case PHASE_CONDEMN_OPEN: return on_condemn_opened(self);
  case PHASE_CONDEMN: return end(self, LK_SCROLL_CONDEMNED, LK_OK);
  case PHASE_CLOSE: return on_closed(self);
  case PHASE_REMOVE: return on_removed(self);
  default: LK_UNREACHABLE();
  }
}
