/* peer/diary.c -- records of a diary, to bytes and back. A journal's checksums say that they are the bytes that were written;
 * that they make sense is looked at all the same, since the one who wrote them may have been another version. */
#include "peer/diary.h"

#include "codec/varint.h"

static void put_name(lk_buf *out, lk_slice name) {
  (void)lk_varuint_encode(out, name.len);
  (void)lk_buf_append(out, name);
}

static bool has_number(lk_diary_kind kind) {
  return kind == LK_DIARY_CHANGE || kind == LK_DIARY_ACKED || kind == LK_DIARY_PIECE;
}

static bool has_bytes(lk_diary_kind kind) {
  return kind == LK_DIARY_STATE || kind == LK_DIARY_CHANGE || kind == LK_DIARY_NEWS ||
         kind == LK_DIARY_PIECE;
}

size_t lk_diary_piece_around(const lk_diary_record *piece) {
  return lk_varuint_len(piece->topic.len) + piece->topic.len + 1 + lk_varuint_len(piece->number) +
         lk_varuint_len(piece->total) + lk_varuint_len(piece->off);
}

lk_err lk_diary_append(lk_journal *journal, lk_buf *scratch, const lk_diary_record *record,
                       uint64_t *index) {
  lk_buf_truncate(scratch, 0);
  put_name(scratch, record->topic);
  if (record->kind == LK_DIARY_TOPIC) {
    (void)lk_buf_append_u8(scratch, record->topic_kind);
    put_name(scratch, record->actor);
    put_name(scratch, record->generation);
  }
  if (record->kind == LK_DIARY_PIECE) (void)lk_buf_append_u8(scratch, (uint8_t)record->of);
  if (has_number(record->kind)) (void)lk_varuint_encode(scratch, record->number);
  if (record->kind == LK_DIARY_PIECE) {
    (void)lk_varuint_encode(scratch, record->total);
    (void)lk_varuint_encode(scratch, record->off);
  }
  lk_err err = lk_buf_err(scratch);
  if (err != LK_OK) return err;
  const lk_slice parts[] = { lk_buf_slice(scratch), record->bytes };
  return lk_journal_append(journal, (uint8_t)record->kind, parts, 2, index);
}

static lk_err get_name(lk_reader *in, size_t max, lk_slice *out) {
  uint64_t len;
  lk_err err = lk_varuint_decode_canonical(in, max, &len);
  return err == LK_OK ? lk_reader_bytes(in, len, out) : err;
}

static lk_err get_topic(lk_reader *in, lk_diary_record *out) {
  lk_err err = lk_reader_u8(in, &out->topic_kind);
  if (err == LK_OK) err = get_name(in, LK_DIARY_NAME_MAX, &out->actor);
  if (err == LK_OK) err = get_name(in, LK_DIARY_NAME_MAX, &out->generation);
  return err;
}

/* Which piece it is; its bytes follow. */
static lk_err get_piece(lk_reader *in, lk_diary_record *out) {
  lk_err err = lk_varuint_decode_canonical(in, UINT64_MAX, &out->total);
  return err == LK_OK ? lk_varuint_decode_canonical(in, out->total, &out->off) : err;
}

static lk_err get_of(lk_reader *in, lk_diary_record *out) {
  uint8_t of;
  lk_err err = lk_reader_u8(in, &of);
  if (err != LK_OK || of < LK_DIARY_STATE || of > LK_DIARY_NEWS) return LK_ERR_CORRUPT;
  out->of = (lk_diary_kind)of;
  return LK_OK;
}

static bool is_part(const lk_diary_record *piece) {
  return piece->bytes.len > 0 && piece->bytes.len <= piece->total - piece->off;
}

lk_err lk_diary_decode(uint8_t kind, lk_slice body, lk_diary_record *out) {
  lk_reader in = lk_reader_of(body);
  lk_diary_record record = { .kind = (lk_diary_kind)kind };
  if (kind < LK_DIARY_TOPIC || kind > LK_DIARY_PIECE) return LK_ERR_VERSION;
  lk_err err = get_name(&in, LK_DIARY_TOPIC_MAX, &record.topic);
  if (err == LK_OK && record.topic.len == 0) err = LK_ERR_CORRUPT;
  if (err == LK_OK && kind == LK_DIARY_TOPIC) err = get_topic(&in, &record);
  if (err == LK_OK && kind == LK_DIARY_PIECE) err = get_of(&in, &record);
  if (err == LK_OK && has_number(record.kind))
    err = lk_varuint_decode_canonical(&in, UINT64_MAX, &record.number);
  if (err == LK_OK && kind == LK_DIARY_PIECE) err = get_piece(&in, &record);
  if (err != LK_OK) return LK_ERR_CORRUPT;
  if (has_bytes(record.kind)) record.bytes = lk_reader_rest(&in);
  else if (lk_reader_end(&in) != LK_OK) return LK_ERR_CORRUPT;
  if (kind == LK_DIARY_PIECE && !is_part(&record)) return LK_ERR_CORRUPT;
  *out = record;
  return LK_OK;
}
