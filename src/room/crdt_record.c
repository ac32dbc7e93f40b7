#include "room/crdt_record.h"

#define HAS_MORE 0xFFu
enum { HAS_ACTOR = 1, HAS_REQUESTS = 2 };

void lk_crdt_record_begin(lk_slice actor, const lk_crdt_requests *requests, uint32_t count,
                          uint32_t skip, lk_buf *out) {
  uint8_t flags = (uint8_t)((actor.len > 0 ? HAS_ACTOR : 0) | (count > 0 ? HAS_REQUESTS : 0));
  if (flags == 0) return;
  (void)lk_buf_append_u8(out, HAS_MORE);
  (void)lk_buf_append_u8(out, flags);
  if (actor.len > 0) {
    (void)lk_buf_append_u8(out, (uint8_t)actor.len);
    (void)lk_buf_append(out, actor);
  }
  if (count > 0) lk_crdt_requests_encode(requests, count, skip, out);
}

static lk_err read_flags(lk_reader *in, uint8_t *out) {
  uint8_t first;
  *out = 0;
  lk_err err = lk_reader_peek_u8(in, &first);
  if (err != LK_OK || first != HAS_MORE) return err;
  err = lk_reader_skip(in, 1);
  if (err == LK_OK) err = lk_reader_u8(in, out);
  return err == LK_OK && (*out & ~(HAS_ACTOR | HAS_REQUESTS)) != 0 ? LK_ERR_VERSION : err;
}

static lk_err read_actor(lk_reader *in, lk_slice *out) {
  uint8_t len;
  lk_err err = lk_reader_u8(in, &len);
  if (err == LK_OK && len != LK_CRDT_AUTHOR_ID_LEN) err = LK_ERR_RANGE;
  return err == LK_OK ? lk_reader_bytes(in, len, out) : err;
}

lk_err lk_crdt_record_read(lk_slice record, lk_crdt_requests *requests, lk_slice *actor,
                           lk_slice *state) {
  lk_reader in = lk_reader_of(record);
  uint8_t flags;
  *actor = LK_SLICE_EMPTY;
  lk_err err = read_flags(&in, &flags);
  if (err == LK_OK && (flags & HAS_ACTOR) != 0) err = read_actor(&in, actor);
  if (err == LK_OK && (flags & HAS_REQUESTS) != 0)
    err = requests != NULL ? lk_crdt_requests_decode(requests, &in) : lk_crdt_requests_skip(&in);
  if (err != LK_OK) return err;
  *state = lk_reader_rest(&in);
  return state->len > 0 ? LK_OK : LK_ERR_TRUNCATED;
}
