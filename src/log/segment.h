/* log/segment.h -- one append-only file: what its bytes mean, and how to tell that they are right.
 *
 * A segment is a header and batches; a batch is what was written and synced at once, one or more
 * records. Everything here computes over slices; log/segment_reader.h reads a file piece by piece
 * and log/journal.h writes several segments in turn. Layout, and what each check is good for: essay
 * in segment.c. */
#ifndef LK_LOG_SEGMENT_H
#define LK_LOG_SEGMENT_H

#include "base/base.h"
#include "crypto/crypto.h"

#define LK_SEGMENT_HEADER_LEN 80
#define LK_SEGMENT_SALT_LEN 16
#define LK_SEGMENT_NUMBER_MAX 9999999999ull /* ten digits, in names */
#define LK_BATCH_HEADER_LEN 24
#define LK_RECORD_HEADER_LEN 5
#define LK_BATCH_ALIGN 8 /* batches begin at multiples of it */

/* The greatest body of a batch that the format can say. */
#define LK_BATCH_BODY_MAX ((uint32_t)1 << 31)

/* The running hash of everything before some place in a journal. Compare whole. */
typedef struct lk_log_chain {
  uint8_t hash[LK_SHA256_LEN];
} lk_log_chain;

/* What tells one segment from every other. The header is a function of these. */
typedef struct lk_segment_id {
  uint64_t number;   /* from 1 */
  uint64_t base;     /* index of its first record */
  lk_log_chain prev; /* the chain at the end of the segment before; all zero for the first one */
  uint8_t salt[LK_SEGMENT_SALT_LEN]; /* of the journal; unknown to whoever writes records */
} lk_segment_id;

/* A place between two batches of one segment. */
typedef struct lk_segment_place {
  uint32_t seed; /* of the segment: binds checksums to it */
  uint64_t off;
  uint64_t index;     /* of the next record */
  lk_log_chain chain; /* over everything before */
} lk_segment_place;

/* A batch's header, decoded and intact. */
typedef struct lk_batch {
  uint32_t body_len; /* records, without the padding */
  uint32_t count;    /* records, at least 1 */
  uint32_t body_crc;
  uint64_t link; /* the first eight bytes of the chain before it */
} lk_batch;

typedef struct lk_record {
  uint8_t kind; /* the owner's */
  lk_slice body;
} lk_record;

/* ---- header ---- */

void lk_segment_header_encode(const lk_segment_id *id, uint8_t out[LK_SEGMENT_HEADER_LEN]);

/* LK_ERR_TRUNCATED, LK_ERR_CORRUPT (another magic), LK_ERR_CHECKSUM, LK_ERR_VERSION; then |out| is
 * as before. */
lk_err lk_segment_header_decode(lk_slice bytes, lk_segment_id *out) LK_MUST_USE;

/* The place behind the header of the segment that |id| says and that is stored as |name|. */
lk_segment_place lk_segment_start(const lk_segment_id *id, lk_slice name);

/* ---- batches ---- */

/* A batch is made in a buffer: begin, records, finish. |out| must be empty at the beginning, and
 * holds the whole batch with padding after finish, ready to be written at place->off.
 *
 * Errors are the buffer's, and LK_ERR_TOO_BIG beyond LK_BATCH_BODY_MAX; after an error of append
 * |out| is as before it. */
lk_err lk_batch_begin(lk_buf *out) LK_MUST_USE;
lk_err lk_batch_append(lk_buf *out, uint8_t kind, const lk_slice *parts, size_t count) LK_MUST_USE;

/* Fills in the header and moves |place| behind the batch. |count| records were appended. Room for
 * the padding was made by append: cannot fail. */
void lk_batch_finish(lk_buf *out, uint32_t count, lk_segment_place *place);

/* Bytes that a batch with |body_len| bytes of records takes in the file. */
static inline uint64_t lk_batch_len(uint32_t body_len) {
  return ((uint64_t)LK_BATCH_HEADER_LEN + body_len + LK_BATCH_ALIGN - 1) &
         ~(uint64_t)(LK_BATCH_ALIGN - 1);
}

/* Reads the header of a batch that is said to begin at |off| of the segment with |seed|. Does not
 * look at the chain. LK_ERR_TRUNCATED, LK_ERR_CHECKSUM. */
lk_err lk_batch_decode(uint32_t seed, uint64_t off, lk_slice bytes, lk_batch *out) LK_MUST_USE;

/* Checks a whole batch at |place|, header, padding and body, and its place in the chain, and moves
 * |place| behind it. |body| borrows from |bytes|: what lk_record_decode reads. LK_ERR_TRUNCATED,
 * LK_ERR_CHECKSUM (damaged), LK_ERR_CORRUPT (intact, and not what belongs here); then |place| is as before. */
lk_err lk_batch_check(lk_segment_place *place, lk_slice bytes, lk_slice *body) LK_MUST_USE;

/* The next record of a body that was checked; |*body| moves behind it. LK_ERR_END, LK_ERR_CORRUPT. */
lk_err lk_record_decode(lk_slice *body, lk_record *out) LK_MUST_USE;

#endif
