/* room/doc_record.c -- see the header for the form. */
#include "room/doc_record.h"

#include "codec/varint.h"

#define VERSION 1

lk_err lk_doc_record_begin(lk_buf *out) { return lk_buf_append_u8(out, VERSION); }

size_t lk_doc_record_size(const lk_doc_item *item) {
  return 1 + 2 * LK_VARUINT_LEN_MAX + item->bytes.len;
}

lk_err lk_doc_record_append(lk_buf *out, const lk_doc_item *item) {
  (void)lk_buf_append_u8(out, (uint8_t)item->kind);
  if (item->kind == LK_DOC_ITEM_GENERATION) return lk_buf_append_le64(out, item->number);
  if (item->kind != LK_DOC_ITEM_UPDATE) (void)lk_varuint_encode(out, item->number);
  (void)lk_varuint_encode(out, item->bytes.len);
  return lk_buf_append(out, item->bytes);
}

lk_err lk_doc_record_open(lk_slice record, lk_reader *in) {
  uint8_t version;
  *in = lk_reader_of(record);
  lk_err err = lk_reader_u8(in, &version);
  return err == LK_OK && version != VERSION ? LK_ERR_VERSION : err;
}

static lk_err read_bytes(lk_reader *in, lk_slice *out) {
  uint64_t len;
  lk_err err = lk_varuint_decode(in, SIZE_MAX, &len);
  return err == LK_OK ? lk_reader_bytes(in, len, out) : err;
}

lk_err lk_doc_record_next(lk_reader *in, lk_doc_item *out) {
  uint8_t kind;
  lk_err err;
  if (lk_reader_left(in) == 0) return LK_ERR_END;
  if ((err = lk_reader_u8(in, &kind)) != LK_OK) return err;
  *out = (lk_doc_item){ .kind = (lk_doc_item_kind)kind };
  switch (kind) {
  case LK_DOC_ITEM_UPDATE: return read_bytes(in, &out->bytes);
  case LK_DOC_ITEM_GENERATION: return lk_reader_le64(in, &out->number);
  case LK_DOC_ITEM_WRITER:
  case LK_DOC_ITEM_VERSION:
  case LK_DOC_ITEM_VERSION_GONE:
  case LK_DOC_ITEM_VERSION_DONE:
    err = lk_varuint_decode(in, UINT64_MAX, &out->number);
    return err == LK_OK ? read_bytes(in, &out->bytes) : err;
  default: return LK_ERR_CORRUPT;
  }
}
