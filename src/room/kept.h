/* room/kept.h -- what a house writes down: records in its journal, snapshots in the slots of a topic.
 *
 *   record   := topic_len:varuint topic marks bytes     bytes: what a room's JOURNAL effect said
 *   snapshot := version:u8 index:varuint topic_len:varuint topic marks bytes
 *                                                       bytes: what its SNAPSHOT_DONE said
 *   marks    := count:varuint (edge:varuint generation:varuint request:varuint)*
 *
 * A snapshot holds what every record of the topic up to |index| did. Marks name requests whose changes
 * are in the bytes: one that comes again is answered and not applied again. What a record's version is
 * stands in its kind (LK_KEPT_RECORD).
 *
 * A snapshot says whose it is, so that what lies in a storage can be listed: files are called by a digest, from which no
 * way leads back. Snapshots of version 2 had no topic. */
#ifndef LK_ROOM_KEPT_H
#define LK_ROOM_KEPT_H

#include "base/base.h"
#include "codec/reader.h"

#define LK_KEPT_RECORD 1 /* the kind of a record of this version, in the journal */
#define LK_KEPT_TOMBSTONE                                                                          \
  2 /* of a record without marks and bytes: the topic is deleted, and all that was before it */
#define LK_KEPT_MARK_LEN_MAX 25
#define LK_KEPT_HEAD_LEN_MAX 300 /* of a snapshot: all but marks and bytes */

/* A request that changed a room. */
typedef struct lk_mark {
  uint64_t generation; /* of the edge */
  uint64_t request;
  uint32_t edge;
} lk_mark;

/* Errors are the buffer's, and remembered by it. */
lk_err lk_kept_encode_mark(lk_buf *out, const lk_mark *mark);

/* LK_ERR_TRUNCATED, LK_ERR_RANGE, LK_ERR_NOT_CANONICAL; |in| may have moved. */
lk_err lk_kept_decode_mark(lk_reader *in, lk_mark *out) LK_MUST_USE;

/* What stands behind the head of either; borrows. */
typedef struct lk_kept {
  uint64_t marks_count;
  lk_slice marks; /* each can be decoded */
  lk_slice bytes;
} lk_kept;

/* |rest| is marks and bytes. The errors of decode_mark. */
lk_err lk_kept_decode(lk_slice rest, lk_kept *out) LK_MUST_USE;

/* The head of a record, before its marks. |rest| is not looked at. */
lk_err lk_kept_encode_record_head(lk_buf *out, lk_slice topic);
lk_err lk_kept_decode_record(lk_slice body, lk_slice *topic, lk_slice *rest) LK_MUST_USE;

/* The same of a snapshot. LK_ERR_VERSION. |topic| is empty where it is not said; |rest| is not looked at, so that the beginning
 * of a snapshot will do. */
lk_err lk_kept_encode_snapshot_head(lk_buf *out, uint64_t index, lk_slice topic);
lk_err lk_kept_decode_snapshot(lk_slice bytes, uint64_t *index, lk_slice *topic,
                               lk_slice *rest) LK_MUST_USE;

#endif
