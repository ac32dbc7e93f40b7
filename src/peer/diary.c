/* peer/diary.c -- records of a diary, to bytes and back. A journal's checksums say that they are the bytes that were written;
 * that they make sense is looked at all the same, since the one who wrote them may have been another version. */
#include "peer/diary.h"

#include "codec/varint.h"

static void put_name(lk_buf *out, lk_slice name) {
  (void)lk_varuint_encode(out, name.len);
  (void)lk_buf_append(out, name);
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
  if (record->kind == LK_DIARY_CHANGE || record->kind == LK_DIARY_ACKED)
    (void)lk_varuint_encode(scratch, record->number);
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

lk_err lk_diary_decode(uint8_t kind, lk_slice body, lk_diary_record *out) {
  lk_reader in = lk_reader_of(body);
  lk_diary_record record = { .kind = (lk_diary_kind)kind };
  if (kind < LK_DIARY_TOPIC || kind > LK_DIARY_DROP) return LK_ERR_VERSION;
  lk_err err = get_name(&in, LK_DIARY_TOPIC_MAX, &record.topic);
  if (err == LK_OK && record.topic.len == 0) err = LK_ERR_CORRUPT;
  if (err == LK_OK && kind == LK_DIARY_TOPIC) err = get_topic(&in, &record);
  if (err == LK_OK && (kind == LK_DIARY_CHANGE || kind == LK_DIARY_ACKED))
    err = lk_varuint_decode_canonical(&in, UINT64_MAX, &record.number);
  if (err != LK_OK) return LK_ERR_CORRUPT;
  bool has_bytes = kind == LK_DIARY_STATE || kind == LK_DIARY_CHANGE || kind == LK_DIARY_NEWS;
  if (has_bytes) record.bytes = lk_reader_rest(&in);
  else if (lk_reader_end(&in) != LK_OK) return LK_ERR_CORRUPT;
  *out = record;
  return LK_OK;
}
