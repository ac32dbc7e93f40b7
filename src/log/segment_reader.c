/* log/segment_reader.c -- reading forward, and what a bad place means.
 *
 *   HEADER ── ok ──> BATCH <────────── RECORDS
 *     │               │ └── whole and good ──┘
 *     │ damaged       │ damaged           file ends ──> END
 *     └────> SCAN <───┘
 *              ├── a batch's header behind the damage ──> FAILED (rot)
 *              └── the file ends ──────────────────────> TORN  (a crash)
 *
 * The window holds the part of the file that is looked at; it grows to one batch, whose length is
 * believed only once the header's checksum has held and the file is long enough for it.
 *
 * Always: |place| is behind the last good batch; records that were handed out lie before it. */
#include "log/segment_reader.h"

enum { HEADER, BATCH, RECORDS, SCAN, END, TORN, FAILED };

void lk_segment_reader_init(lk_segment_reader *self, const lk_alloc *alloc, const lk_segment_id *id,
                            lk_slice name, uint64_t size, uint64_t sealed_to, uint32_t body_max) {
  *self = (lk_segment_reader){
    .size = size, .sealed_to = sealed_to, .body_max = body_max, .place = lk_segment_start(id, name)
  };
  lk_buf_init(&self->window, alloc, (size_t)body_max + 2 * LK_SEGMENT_READ_LEN);
  lk_segment_header_encode(id, self->header);
}

void lk_segment_reader_deinit(lk_segment_reader *self) {
  lk_buf_deinit(&self->window);
  *self = (lk_segment_reader){ 0 };
}

static lk_segment_step fail(lk_segment_reader *self, lk_err err) {
  self->phase = FAILED;
  self->err = err;
  return LK_SEGMENT_FAILED;
}

/* ---- the window ---- */

static void move_window(lk_segment_reader *self, uint64_t off) {
  uint64_t ahead = off - self->window_off;
  lk_buf_consume(&self->window, (size_t)lk_min_u64(ahead, self->window.len));
  self->window_off = off;
}

/* True where |len| bytes from |off| on are in the window; else asks for them, and more. The caller has
 * made sure that the file has them. */
static bool has(lk_segment_reader *self, uint64_t off, size_t len, lk_segment_step *step) {
  LK_ASSERT(off >= self->window_off && len <= self->size - off);
  uint64_t ahead = off - self->window_off;
  if (ahead <= self->window.len && len <= self->window.len - (size_t)ahead) return true;
  move_window(self, off);
  uint64_t left = self->size - off - self->window.len;
  size_t wanted = lk_max_size(len, LK_SEGMENT_READ_LEN) - self->window.len;
  self->into_len = (size_t)lk_min_u64(wanted, left);
  self->read_off = off + self->window.len;
  self->into = lk_buf_extend(&self->window, self->into_len);
  *step = self->into == NULL ? fail(self, lk_buf_err(&self->window)) : LK_SEGMENT_READ;
  return false;
}

static lk_slice at(const lk_segment_reader *self, uint64_t off) {
  return lk_slice_skip(lk_buf_slice(&self->window), (size_t)(off - self->window_off));
}

void lk_segment_reader_feed(lk_segment_reader *self, size_t count) {
  LK_ASSERT(self->into != NULL && count <= self->into_len);
  bool is_short = count < self->into_len;
  lk_buf_truncate(&self->window, self->window.len - (self->into_len - count));
  self->into = NULL;
  if (is_short) (void)fail(self, LK_ERR_IO);
}

/* ---- steps: each returns true where poll has something to tell ---- */

/* What stands at |off| is not what a writer finished. */
static bool damaged(lk_segment_reader *self, uint64_t off, uint64_t scan_off,
                    lk_segment_step *step) {
  if (off < self->sealed_to) {
    LK_COVERED(segment_damaged_where_sealed);
    *step = fail(self, LK_ERR_CORRUPT);
    return true;
  }
  self->scan_off = scan_off;
  self->phase = SCAN;
  return false;
}

static bool read_header(lk_segment_reader *self, lk_segment_step *step) {
  lk_segment_id found;
  lk_err err = LK_ERR_TRUNCATED;
  if (self->size < self->sealed_to) {
    *step = fail(self, LK_ERR_CORRUPT);
    return true;
  }
  if (self->size >= LK_SEGMENT_HEADER_LEN) {
    if (!has(self, 0, LK_SEGMENT_HEADER_LEN, step)) return true;
    if (memcmp(self->window.ptr, self->header, LK_SEGMENT_HEADER_LEN) == 0) {
      self->phase = BATCH;
      return false;
    }
    err = lk_segment_header_decode(lk_buf_slice(&self->window), &found);
  }
  if (err == LK_OK || err == LK_ERR_VERSION) {
    /* Intact, and another one: nobody tears a header into that. */
    self->is_another = err == LK_OK;
    *step = fail(self, err == LK_OK ? LK_ERR_CORRUPT : err);
    return true;
  }
  self->place.off = 0;
  return damaged(self, 0, LK_SEGMENT_HEADER_LEN, step);
}

static bool read_batch(lk_segment_reader *self, lk_segment_step *step) {
  lk_batch batch;
  uint64_t off = self->place.off, left = self->size - off;
  if (left == 0) {
    self->phase = END;
    return false;
  }
  if (left < LK_BATCH_HEADER_LEN) return damaged(self, off, self->size, step);
  if (!has(self, off, LK_BATCH_HEADER_LEN, step)) return true;
  if (lk_batch_decode(self->place.seed, off, at(self, off), &batch) != LK_OK) {
    return damaged(self, off, off + LK_BATCH_ALIGN, step);
  }
  uint64_t len = lk_batch_len(batch.body_len);
  if (len > left) return damaged(self, off, off + LK_BATCH_ALIGN, step);
  if (batch.body_len > self->body_max) {
    *step = fail(self, LK_ERR_LIMIT);
    return true;
  }
  if (!has(self, off, (size_t)len, step)) return true;
  lk_segment_place before = self->place;
  lk_err err = lk_batch_check(&self->place, lk_slice_first(at(self, off), (size_t)len),
                              &self->body);
  if (err == LK_ERR_CORRUPT) {
    *step = fail(self, err);
    return true;
  }
  if (err != LK_OK) return damaged(self, off, off + LK_BATCH_ALIGN, step);
  self->last = before;
  self->next_index = before.index;
  self->phase = RECORDS;
  return false;
}

static bool read_record(lk_segment_reader *self, lk_segment_step *step) {
  lk_err err = lk_record_decode(&self->body, &self->record);
  if (err == LK_ERR_END && self->next_index == self->place.index) {
    self->phase = BATCH;
    return false;
  }
  *step = LK_SEGMENT_RECORD;
  self->index = self->next_index++;
  /* The checksums hold, so this was written so: not by us. */
  if (err != LK_OK) *step = fail(self, LK_ERR_CORRUPT);
  return true;
}

static bool scan(lk_segment_reader *self, lk_segment_step *step) {
  lk_batch batch;
  while (self->scan_off < self->size && self->size - self->scan_off >= LK_BATCH_HEADER_LEN) {
    if (!has(self, self->scan_off, LK_BATCH_HEADER_LEN, step)) return true;
    if (lk_batch_decode(self->place.seed, self->scan_off, at(self, self->scan_off), &batch) ==
        LK_OK) {
      LK_COVERED(segment_damaged_in_the_middle);
      *step = fail(self, LK_ERR_CORRUPT);
      return true;
    }
    self->scan_off += LK_BATCH_ALIGN;
  }
  LK_COVERED(segment_torn);
  self->phase = TORN;
  return false;
}

lk_segment_step lk_segment_reader_poll(lk_segment_reader *self) {
  lk_segment_step step = LK_SEGMENT_FAILED;
  for (bool tells = false; !tells;) {
    switch (self->phase) {
    case HEADER: tells = read_header(self, &step); break;
    case BATCH: tells = read_batch(self, &step); break;
    case RECORDS: tells = read_record(self, &step); break;
    case SCAN: tells = scan(self, &step); break;
    case END: return LK_SEGMENT_END;
    case TORN: return LK_SEGMENT_TORN;
    case FAILED: return LK_SEGMENT_FAILED;
    default: LK_UNREACHABLE();
    }
  }
  return step;
}
