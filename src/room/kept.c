/* room/kept.c -- the bytes of records and snapshots; see the header. */
#include "room/kept.h"

#include "codec/varint.h"

#define SNAPSHOT_VERSION 3 /* 1 had no index, and its state was all there was */
#define VERSION_WITHOUT_TOPIC 2

lk_err lk_kept_encode_mark(lk_buf *out, const lk_mark *mark) {
  (void)lk_varuint_encode(out, mark->edge);
  (void)lk_varuint_encode(out, mark->generation);
  return lk_varuint_encode(out, mark->request);
}

lk_err lk_kept_decode_mark(lk_reader *in, lk_mark *out) {
  uint64_t edge;
  lk_err err = lk_varuint_decode(in, UINT32_MAX, &edge);
  if (err == LK_OK) err = lk_varuint_decode(in, UINT64_MAX, &out->generation);
  if (err == LK_OK) err = lk_varuint_decode(in, UINT64_MAX, &out->request);
  if (err == LK_OK) out->edge = (uint32_t)edge;
  return err;
}

lk_err lk_kept_decode(lk_slice rest, lk_kept *out) {
  lk_reader in = lk_reader_of(rest);
  lk_mark ignored;
  uint64_t count;
  lk_err err = lk_varuint_decode(&in, UINT64_MAX, &count);
  size_t from = in.pos;
  for (uint64_t i = 0; err == LK_OK && i < count; i++) err = lk_kept_decode_mark(&in, &ignored);
  if (err != LK_OK) return err;
  *out = (lk_kept){ count, lk_reader_since(&in, from), lk_reader_rest(&in) };
  return LK_OK;
}

lk_err lk_kept_encode_record_head(lk_buf *out, lk_slice topic) {
  (void)lk_varuint_encode(out, topic.len);
  return lk_buf_append(out, topic);
}

lk_err lk_kept_decode_record(lk_slice body, lk_slice *topic, lk_slice *rest) {
  lk_reader in = lk_reader_of(body);
  uint64_t len;
  lk_err err = lk_varuint_decode(&in, UINT64_MAX, &len);
  if (err == LK_OK) err = lk_reader_bytes(&in, len, topic);
  if (err == LK_OK) *rest = lk_reader_rest(&in);
  return err;
}

lk_err lk_kept_encode_snapshot_head(lk_buf *out, uint64_t index, lk_slice topic) {
  (void)lk_buf_append_u8(out, SNAPSHOT_VERSION);
  (void)lk_varuint_encode(out, index);
  (void)lk_varuint_encode(out, topic.len);
  return lk_buf_append(out, topic);
}

lk_err lk_kept_decode_snapshot(lk_slice bytes, uint64_t *index, lk_slice *topic, lk_slice *rest) {
  lk_reader in = lk_reader_of(bytes);
  uint64_t len = 0;
  uint8_t version;
  lk_err err = lk_reader_u8(&in, &version);
  if (err == LK_OK && version != SNAPSHOT_VERSION && version != VERSION_WITHOUT_TOPIC)
    return LK_ERR_VERSION;
  if (err == LK_OK) err = lk_varuint_decode(&in, UINT64_MAX, index);
  if (err == LK_OK && version == SNAPSHOT_VERSION) err = lk_varuint_decode(&in, UINT64_MAX, &len);
  if (err == LK_OK) err = lk_reader_bytes(&in, len, topic);
  if (err == LK_OK) *rest = lk_reader_rest(&in);
  return err;
}
