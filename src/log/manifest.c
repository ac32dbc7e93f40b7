/* log/manifest.c -- numbers and chains of the first and the last segment.
 *
 *   manifest := version:u32=1 salt:16 oldest:u64 sealed_to:u64 first last         little endian
 *   first, last := number:u64 base:u64 prev:32
 *
 * With prev and base of the first segment its header is known before it is read, so that not even a
 * beginning that was replaced as a whole goes unnoticed; with those of the last one it is known how
 * the segments before it end. What a torn or rotten manifest looks like is the slots' affair; here only what
 * does not make sense is refused. */
#include "log/manifest.h"

#define VERSION 1
#define ID_LEN 48
#define OFF_SALT 4
#define OFF_OLDEST 20
#define OFF_SEALED 28
#define OFF_FIRST 36
#define OFF_LAST (OFF_FIRST + ID_LEN)

static void put_id(const lk_segment_id *id, uint8_t *out) {
  lk_store_le64(out, id->number);
  lk_store_le64(out + 8, id->base);
  memcpy(out + 16, id->prev.hash, sizeof id->prev.hash);
}

static lk_segment_id take_id(const uint8_t *at, const uint8_t *salt) {
  lk_segment_id id = { .number = lk_load_le64(at), .base = lk_load_le64(at + 8) };
  memcpy(id.prev.hash, at + 16, sizeof id.prev.hash);
  memcpy(id.salt, salt, sizeof id.salt);
  return id;
}

void lk_manifest_encode(const lk_manifest *self, uint8_t out[LK_MANIFEST_LEN]) {
  lk_store_le32(out, VERSION);
  memcpy(out + OFF_SALT, self->last.salt, sizeof self->last.salt);
  lk_store_le64(out + OFF_OLDEST, self->oldest);
  lk_store_le64(out + OFF_SEALED, self->sealed_to);
  put_id(&self->first, out + OFF_FIRST);
  put_id(&self->last, out + OFF_LAST);
}

lk_err lk_manifest_decode(lk_slice bytes, lk_manifest *out) {
  const uint8_t *at = bytes.ptr;
  if (bytes.len < 4) return LK_ERR_CORRUPT;
  if (lk_load_le32(at) != VERSION) return LK_ERR_VERSION;
  if (bytes.len != LK_MANIFEST_LEN) return LK_ERR_CORRUPT;
  lk_manifest m = { .oldest = lk_load_le64(at + OFF_OLDEST),
                    .sealed_to = lk_load_le64(at + OFF_SEALED),
                    .first = take_id(at + OFF_FIRST, at + OFF_SALT),
                    .last = take_id(at + OFF_LAST, at + OFF_SALT) };
  if (m.oldest == 0 || m.oldest > m.first.number || m.first.number > m.last.number ||
      m.last.number > LK_SEGMENT_NUMBER_MAX || m.first.base > m.last.base ||
      m.sealed_to == UINT64_MAX) {
    return LK_ERR_CORRUPT;
  }
  if (m.first.number == m.last.number && memcmp(at + OFF_FIRST, at + OFF_LAST, ID_LEN) != 0) {
    return LK_ERR_CORRUPT;
  }
  *out = m;
  return LK_OK;
}
