/* room/doc_record.h -- what a document's room writes down, in records and in snapshots alike.
 *
 *   record := version:u8 item*
 *   item   := 0 len:varuint update            taken in; in V1
 *           | 1 generation:u64                of the content: a document that begins again has another one
 *           | 2 client:varuint len:varuint subject      who first wrote as that client
 *           | 3 id:varuint len:varuint version          of doc_versions.h, as are the next two
 *           | 4 id:varuint 0                            a version that is gone
 *           | 5 number:varuint len:varuint request      a request about versions that was executed
 *
 * A snapshot is a record whose one update is the whole document. Records are applied in order, and it does no harm to
 * apply one twice. */
#ifndef LK_ROOM_DOC_RECORD_H
#define LK_ROOM_DOC_RECORD_H

#include "base/base.h"
#include "codec/reader.h"

typedef enum lk_doc_item_kind {
  LK_DOC_ITEM_UPDATE = 0,
  LK_DOC_ITEM_GENERATION = 1,
  LK_DOC_ITEM_WRITER = 2,
  LK_DOC_ITEM_VERSION = 3,
  LK_DOC_ITEM_VERSION_GONE = 4,
  LK_DOC_ITEM_VERSION_DONE = 5,
} lk_doc_item_kind;

typedef struct lk_doc_item {
  lk_doc_item_kind kind;
  uint64_t number; /* GENERATION: it; WRITER: the client; others: doc_versions.h */
  lk_slice bytes;  /* UPDATE: it; WRITER: the subject; borrowed */
} lk_doc_item;

/* Errors are the buffer's, and remembered by it. */
lk_err lk_doc_record_begin(lk_buf *out);
lk_err lk_doc_record_append(lk_buf *out, const lk_doc_item *item);

/* How many bytes that appends, at most. */
size_t lk_doc_record_size(const lk_doc_item *item);

/* LK_ERR_VERSION, LK_ERR_TRUNCATED. Then items until LK_ERR_END: LK_ERR_CORRUPT for a kind that is none, LK_ERR_TRUNCATED,
 * LK_ERR_RANGE. */
lk_err lk_doc_record_open(lk_slice record, lk_reader *in) LK_MUST_USE;
lk_err lk_doc_record_next(lk_reader *in, lk_doc_item *out) LK_MUST_USE;

#endif
