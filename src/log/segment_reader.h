/* log/segment_reader.h -- one segment from its beginning to its end, piece by piece.
 *
 * A machine without I/O. lk_segment_reader_poll() says what comes next:
 *
 *   LK_SEGMENT_READ     put up to |into_len| bytes of the file, from |read_off| on, at |into|, and say with
 *                       lk_segment_reader_feed() how many there were
 *   LK_SEGMENT_RECORD   |record| and its |index|; it borrows until the next call
 *   LK_SEGMENT_END      the file ends behind its last batch: |place| is there
 *   LK_SEGMENT_TORN     behind |place| is what a crash left of a batch that was never acknowledged, or
 *                       of the header (then place.off is 0): to be cut off
 *   LK_SEGMENT_FAILED   |err|; nothing may be cut
 *
 * Memory: one batch or LK_SEGMENT_READ_LEN bytes, whichever is more. */
#ifndef LK_LOG_SEGMENT_READER_H
#define LK_LOG_SEGMENT_READER_H

#include "log/segment.h"

#define LK_SEGMENT_READ_LEN ((size_t)1 << 18)

typedef enum lk_segment_step {
  LK_SEGMENT_READ,
  LK_SEGMENT_RECORD,
  LK_SEGMENT_END,
  LK_SEGMENT_TORN,
  LK_SEGMENT_FAILED,
} lk_segment_step;

typedef struct lk_segment_reader {
  lk_buf window; /* bytes of the file from |window_off| on */
  uint64_t window_off;
  uint64_t size;      /* of the file */
  uint64_t sealed_to; /* what begins before it was acknowledged once */
  uint32_t body_max;
  uint8_t phase;
  uint8_t header[LK_SEGMENT_HEADER_LEN]; /* what it must be */
  lk_segment_place place;                /* behind the last good batch */
  lk_segment_place last; /* before the last good batch; off is 0 where there is none */
  uint64_t next_index;
  lk_slice body;     /* records of the batch that is being handed out */
  uint64_t scan_off; /* where a header may follow the damage */
  /* results of poll */
  lk_err err;
  bool is_another; /* FAILED: the header is intact, and not the one that was asked for */
  lk_record record;
  uint64_t index;
  uint64_t read_off;
  uint8_t *into;
  size_t into_len;
} lk_segment_reader;

/* Allocates nothing. |size| is the file's; batches with bodies above |body_max| are LK_ERR_LIMIT. What
 * begins before |sealed_to| was acknowledged: damage there is LK_ERR_CORRUPT and never torn, and so is
 * a file that is shorter. |name| is what the file is called. */
void lk_segment_reader_init(lk_segment_reader *self, const lk_alloc *alloc, const lk_segment_id *id,
                            lk_slice name, uint64_t size, uint64_t sealed_to, uint32_t body_max);

/* Safe on a zeroed struct, and twice. */
void lk_segment_reader_deinit(lk_segment_reader *self);

/* LK_SEGMENT_FAILED, with err: LK_ERR_CORRUPT (rot, or not the segment that was asked for), LK_ERR_VERSION,
 * LK_ERR_LIMIT, LK_ERR_NOMEM, LK_ERR_IO (the file ended before |size|). END, TORN and FAILED are said again
 * and again. */
lk_segment_step lk_segment_reader_poll(lk_segment_reader *self);

/* |count| bytes were put at self->into; fewer than asked for only where the medium had no more. */
void lk_segment_reader_feed(lk_segment_reader *self, size_t count);

#endif
