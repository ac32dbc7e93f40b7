/* log/slot.c -- one small state in two places, one of them always whole.
 *
 *   slot   := "LKSL" version:u16=1 zero:u16 number:u64 len:u32 crc:u32 body     little endian
 *   crc    := CRC-32C of everything before it and of the body
 *
 * Number n lies in slot n mod 2. A writer replaces the older slot and acknowledges when that is
 * synced; only then is the other one the older. So at any instant the slot that holds the last
 * acknowledged state is one that nobody writes to, and a power cut can damage the other alone.
 *
 * What this cannot do is tell a newest slot that rotted from one that was torn: both are damaged
 * and both times the older one is taken. Against rot of the only copy nothing local helps; the
 * peers' replicas do, since they merge what they know when they come back.
 *
 * The checksum is looked at before the version: a rotten bit in the spare slot's version must not
 * keep the other one from being used. So every later version keeps magic, len and crc where they
 * are, and the checksum over the same bytes.
 *
 * Bytes behind the body are what is left of a longer one before: the length says where it ends,
 * the checksum that it does. Truncating the file first would only add an operation that can fail.
 *
 * Not chosen: write beside and rename. It needs a directory sync for each change, and a browser's
 * storage has no rename. */
#include "log/slot.h"

#include "codec/crc32c.h"

#define VERSION 1
#define OFF_NUMBER 8
#define OFF_LEN 16
#define OFF_CRC 20

static const uint8_t magic[4] = { 'L', 'K', 'S', 'L' };

static uint32_t checksum(const uint8_t *header, lk_slice body) {
  return lk_crc32c_update(lk_crc32c(lk_slice_of(header, OFF_CRC)), body);
}

lk_err lk_slot_encode(uint64_t number, lk_slice body, lk_buf *out) {
  uint8_t header[LK_SLOT_HEADER_LEN] = { 0 };
  uint32_t len;
  if (!lk_size_to_u32(body.len, &len)) return LK_ERR_TOO_BIG;
  memcpy(header, magic, sizeof magic);
  lk_store_le16(header + 4, VERSION);
  lk_store_le64(header + OFF_NUMBER, number);
  lk_store_le32(header + OFF_LEN, len);
  lk_store_le32(header + OFF_CRC, checksum(header, body));
  lk_buf_append(out, lk_slice_of(header, sizeof header));
  return lk_buf_append(out, body);
}

lk_err lk_slot_decode(lk_slice bytes, uint64_t *number, lk_slice *body) {
  const uint8_t *header = bytes.ptr;
  if (bytes.len < LK_SLOT_HEADER_LEN) return LK_ERR_TRUNCATED;
  if (memcmp(header, magic, sizeof magic) != 0) return LK_ERR_CORRUPT;
  lk_slice rest = lk_slice_skip(bytes, LK_SLOT_HEADER_LEN);
  uint32_t len = lk_load_le32(header + OFF_LEN);
  if (len > rest.len) return LK_ERR_TRUNCATED;
  rest = lk_slice_first(rest, len);
  if (lk_load_le32(header + OFF_CRC) != checksum(header, rest)) return LK_ERR_CHECKSUM;
  if (lk_load_le16(header + 4) != VERSION) return LK_ERR_VERSION;
  *number = lk_load_le64(header + OFF_NUMBER);
  *body = rest;
  return LK_OK;
}

lk_err lk_slot_peek(lk_slice bytes, lk_slice *body) {
  if (bytes.len < LK_SLOT_HEADER_LEN) return LK_ERR_TRUNCATED;
  if (memcmp(bytes.ptr, magic, sizeof magic) != 0) return LK_ERR_CORRUPT;
  if (lk_load_le16(bytes.ptr + 4) != VERSION) return LK_ERR_VERSION;
  lk_slice rest = lk_slice_skip(bytes, LK_SLOT_HEADER_LEN);
  *body = lk_slice_first(rest, lk_min_size(rest.len, lk_load_le32(bytes.ptr + OFF_LEN)));
  return LK_OK;
}

lk_err lk_slot_recover(lk_slice slot0, lk_slice slot1, uint64_t *number, lk_slice *body,
                       bool *intact) {
  const lk_slice slots[2] = { slot0, slot1 };
  uint64_t numbers[2] = { 0, 0 };
  lk_slice bodies[2] = { LK_SLICE_EMPTY, LK_SLICE_EMPTY };
  lk_err errs[2];
  for (unsigned i = 0; i < 2; i++) {
    errs[i] = lk_slot_decode(slots[i], &numbers[i], &bodies[i]);
    /* An intact slot in the wrong place was not written by us. */
    if (errs[i] == LK_OK && numbers[i] % 2 != i) errs[i] = LK_ERR_CORRUPT;
    /* A newer version's state must not be overwritten by starting anew. */
    if (errs[i] == LK_ERR_VERSION) return LK_ERR_VERSION;
  }
  if (errs[0] != LK_OK && errs[1] != LK_OK) {
    LK_COVERED(slot_found_nothing);
    return slot0.len == 0 || slot1.len == 0 ? LK_ERR_NOT_FOUND : LK_ERR_CORRUPT;
  }
  unsigned newest = errs[1] == LK_OK && (errs[0] != LK_OK || numbers[1] > numbers[0]) ? 1 : 0;
  *intact = errs[1 - newest] == LK_OK || slots[1 - newest].len == 0;
  if (!*intact) LK_COVERED(slot_survived_damage);
  *number = numbers[newest];
  *body = bodies[newest];
  return LK_OK;
}
