/* log/segment.c -- how what was appended stays what it was.
 *
 *   file   := header batch*                                                    all little endian
 *   header := "LKSG" version:u16=1 flags:u16=0 number:u64 base:u64 salt:16 prev:32 zero:u32 crc:u32
 *   batch  := len:u32 count:u32 link:u64 body_crc:u32 head_crc:u32 record* padding
 *   record := len:u32 kind:u8 body
 *
 *   chain 0    = SHA-256(header, the file's name)
 *   chain n+1  = SHA-256(chain n, the first 20 bytes of batch n's header)
 *   link       = the first 8 bytes of the chain before the batch
 *   body_crc   = CRC-32C(records, padding)
 *   head_crc   = CRC-32C(off, len, count, link, body_crc), seeded with 4 bytes of chain 0
 *   prev       = the chain at the end of the segment before this one
 *
 * A batch is what was written and synced at once, and synced before the next one is begun: so a crash can
 * tear only the last one, and what is torn as one is checked as one. Checksums for each record
 * would not say more: records of one write that survive behind one that did not are no rot.
 *
 * Damage and where it shows:
 *
 *   torn or cut last batch   body_crc or head_crc, or the file ends early; nothing good follows
 *   flipped bits             body_crc, head_crc; the header's crc
 *   a batch in another       head_crc: it covers where the batch lies, and the seed stands for number, salt
 *     place, file, journal   and name of the segment. The body hangs on head_crc through body_crc
 *   a batch that is missing  the position again, and |link|
 *   a replaced beginning     |link| of the next batch, |prev| of the next segment: every batch is intact by
 *                            itself and does not follow from what stands before it now
 *
 * A torn last batch is told from rot in the middle by looking for a header behind it: batches begin at
 * multiples of eight, and head_crc is over 28 bytes, so one pass over the rest of the file finds any. A
 * header alone is proof enough, whatever became of its body: it was written after the one before it
 * was safe. Clients cannot write records that pass for headers: they do not know the salt.
 *
 * The chain costs one block of SHA-256 for each batch, whatever its size. It is a hash over checksums: it
 * finds every accident, and no forger who has the file. Hashing bodies would cost ten times what the CRC
 * costs, and prove something only to somebody who keeps the head of the chain elsewhere;
 * docs/decisions/014. */
#include "log/segment.h"

#include "codec/crc32c.h"
#include "crypto/sha256.h"

#define VERSION 1
#define OFF_VERSION 4
#define OFF_NUMBER 8
#define OFF_BASE 16
#define OFF_SALT 24
#define OFF_PREV 40
#define OFF_CRC 76

#define OFF_COUNT 4
#define OFF_LINK 8
#define OFF_BODY_CRC 16
#define OFF_HEAD_CRC 20

static const uint8_t magic[4] = { 'L', 'K', 'S', 'G' };

/* ---- header ---- */

void lk_segment_header_encode(const lk_segment_id *id, uint8_t out[LK_SEGMENT_HEADER_LEN]) {
  memset(out, 0, LK_SEGMENT_HEADER_LEN);
  memcpy(out, magic, sizeof magic);
  lk_store_le16(out + OFF_VERSION, VERSION);
  lk_store_le64(out + OFF_NUMBER, id->number);
  lk_store_le64(out + OFF_BASE, id->base);
  memcpy(out + OFF_SALT, id->salt, sizeof id->salt);
  memcpy(out + OFF_PREV, id->prev.hash, sizeof id->prev.hash);
  lk_store_le32(out + OFF_CRC, lk_crc32c(lk_slice_of(out, OFF_CRC)));
}

lk_err lk_segment_header_decode(lk_slice bytes, lk_segment_id *out) {
  const uint8_t *at = bytes.ptr;
  if (bytes.len < LK_SEGMENT_HEADER_LEN) return LK_ERR_TRUNCATED;
  if (memcmp(at, magic, sizeof magic) != 0) return LK_ERR_CORRUPT;
  /* Before the version: a flipped bit there must not be taken for a later format. */
  if (lk_load_le32(at + OFF_CRC) != lk_crc32c(lk_slice_of(at, OFF_CRC))) return LK_ERR_CHECKSUM;
  if (lk_load_le32(at + OFF_VERSION) != VERSION) return LK_ERR_VERSION; /* with the flags */
  out->number = lk_load_le64(at + OFF_NUMBER);
  out->base = lk_load_le64(at + OFF_BASE);
  memcpy(out->salt, at + OFF_SALT, sizeof out->salt);
  memcpy(out->prev.hash, at + OFF_PREV, sizeof out->prev.hash);
  return LK_OK;
}

lk_segment_place lk_segment_start(const lk_segment_id *id, lk_slice name) {
  uint8_t header[LK_SEGMENT_HEADER_LEN];
  lk_sha256 hash;
  lk_segment_place place = { .off = LK_SEGMENT_HEADER_LEN, .index = id->base };
  lk_segment_header_encode(id, header);
  lk_sha256_init(&hash);
  lk_sha256_update(&hash, lk_slice_of(header, sizeof header));
  lk_sha256_update(&hash, name);
  lk_sha256_final(&hash, place.chain.hash);
  place.seed = lk_load_le32(place.chain.hash);
  return place;
}

/* ---- batches ---- */

static uint32_t head_crc(uint32_t seed, uint64_t off, const uint8_t *header) {
  uint8_t covered[8 + OFF_HEAD_CRC];
  lk_store_le64(covered, off);
  memcpy(covered + 8, header, OFF_HEAD_CRC);
  return lk_crc32c_update(seed, lk_slice_of(covered, sizeof covered));
}

static uint64_t link_of(const lk_log_chain *chain) { return lk_load_le64(chain->hash); }

static void move_behind(lk_segment_place *place, const uint8_t *header, uint32_t count,
                        uint64_t len) {
  lk_sha256 hash;
  lk_sha256_init(&hash);
  lk_sha256_update(&hash, lk_slice_of(place->chain.hash, sizeof place->chain.hash));
  lk_sha256_update(&hash, lk_slice_of(header, OFF_HEAD_CRC));
  lk_sha256_final(&hash, place->chain.hash);
  place->off += len;
  place->index += count;
}

lk_err lk_batch_begin(lk_buf *out) {
  LK_ASSERT(out->len == 0);
  uint8_t *header = lk_buf_extend(out, LK_BATCH_HEADER_LEN);
  if (header == NULL) {
    lk_err err = lk_buf_err(out);
    lk_buf_truncate(out, 0);
    return err;
  }
  memset(header, 0, LK_BATCH_HEADER_LEN);
  return LK_OK;
}

/* The length of all parts together; LK_ERR_TOO_BIG where a batch that is |before| long cannot take them. */
static lk_err record_len(size_t before, const lk_slice *parts, size_t count, size_t *out) {
  size_t len = 0, end;
  for (size_t i = 0; i < count; i++) {
    if (!lk_add_size(len, parts[i].len, &len)) return LK_ERR_TOO_BIG;
  }
  if (!lk_add_size(before, len, &end) ||
      !lk_add_size(end, LK_RECORD_HEADER_LEN + LK_BATCH_ALIGN, &end) || end > LK_BATCH_BODY_MAX) {
    return LK_ERR_TOO_BIG;
  }
  *out = len;
  return LK_OK;
}

lk_err lk_batch_append(lk_buf *out, uint8_t kind, const lk_slice *parts, size_t count) {
  size_t len = 0, before = out->len;
  LK_ASSERT(before >= LK_BATCH_HEADER_LEN);
  lk_err err = record_len(before, parts, count, &len);
  if (err != LK_OK) return err;
  /* Room for the padding as well, so that finishing cannot fail. */
  err = lk_buf_reserve(out, LK_RECORD_HEADER_LEN + len + LK_BATCH_ALIGN);
  if (err != LK_OK) {
    lk_buf_truncate(out, before);
    return err;
  }
  (void)lk_buf_append_le32(out, (uint32_t)len);
  (void)lk_buf_append_u8(out, kind);
  for (size_t i = 0; i < count; i++) (void)lk_buf_append(out, parts[i]);
  LK_ASSERT(lk_buf_err(out) == LK_OK);
  return LK_OK;
}

void lk_batch_finish(lk_buf *out, uint32_t count, lk_segment_place *place) {
  LK_ASSERT(count > 0 && out->len >= LK_BATCH_HEADER_LEN + (size_t)LK_RECORD_HEADER_LEN);
  uint32_t len = (uint32_t)(out->len - LK_BATCH_HEADER_LEN);
  uint64_t whole = lk_batch_len(len);
  while (out->len < whole) (void)lk_buf_append_u8(out, 0);
  LK_ASSERT(lk_buf_err(out) == LK_OK);
  uint8_t *header = out->ptr;
  lk_store_le32(header, len);
  lk_store_le32(header + OFF_COUNT, count);
  lk_store_le64(header + OFF_LINK, link_of(&place->chain));
  lk_store_le32(header + OFF_BODY_CRC,
                lk_crc32c(lk_slice_skip(lk_buf_slice(out), LK_BATCH_HEADER_LEN)));
  lk_store_le32(header + OFF_HEAD_CRC, head_crc(place->seed, place->off, header));
  move_behind(place, header, count, whole);
}

lk_err lk_batch_decode(uint32_t seed, uint64_t off, lk_slice bytes, lk_batch *out) {
  const uint8_t *at = bytes.ptr;
  if (bytes.len < LK_BATCH_HEADER_LEN) return LK_ERR_TRUNCATED;
  uint32_t len = lk_load_le32(at), count = lk_load_le32(at + OFF_COUNT);
  /* What no writer writes: zeroes above all, which crashes leave in quantity, so that one in 2^32 of
   * their places would pass for a header. */
  if (count == 0 || len > LK_BATCH_BODY_MAX) return LK_ERR_CHECKSUM;
  if (len < (uint64_t)count * LK_RECORD_HEADER_LEN) return LK_ERR_CHECKSUM;
  if (lk_load_le32(at + OFF_HEAD_CRC) != head_crc(seed, off, at)) return LK_ERR_CHECKSUM;
  *out = (lk_batch){ .body_len = len,
                     .count = count,
                     .body_crc = lk_load_le32(at + OFF_BODY_CRC),
                     .link = lk_load_le64(at + OFF_LINK) };
  return LK_OK;
}

lk_err lk_batch_check(lk_segment_place *place, lk_slice bytes, lk_slice *body) {
  lk_batch batch;
  lk_err err = lk_batch_decode(place->seed, place->off, bytes, &batch);
  if (err != LK_OK) return err;
  if (batch.link != link_of(&place->chain)) {
    LK_COVERED(segment_batch_does_not_follow);
    return LK_ERR_CORRUPT;
  }
  uint64_t whole = lk_batch_len(batch.body_len);
  if (whole > bytes.len) return LK_ERR_TRUNCATED;
  lk_slice covered = lk_slice_skip(lk_slice_first(bytes, (size_t)whole), LK_BATCH_HEADER_LEN);
  if (lk_crc32c(covered) != batch.body_crc) return LK_ERR_CHECKSUM;
  move_behind(place, bytes.ptr, batch.count, whole);
  *body = lk_slice_first(covered, batch.body_len);
  return LK_OK;
}

lk_err lk_record_decode(lk_slice *body, lk_record *out) {
  if (body->len == 0) return LK_ERR_END;
  if (body->len < LK_RECORD_HEADER_LEN) return LK_ERR_CORRUPT;
  uint32_t len = lk_load_le32(body->ptr);
  lk_slice rest = lk_slice_skip(*body, LK_RECORD_HEADER_LEN);
  if (len > rest.len) return LK_ERR_CORRUPT;
  *out = (lk_record){ .kind = body->ptr[4], .body = lk_slice_first(rest, len) };
  *body = lk_slice_skip(rest, len);
  return LK_OK;
}
