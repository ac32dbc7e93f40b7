/* room/doc_payload.h -- reading what members of a document send: bytes in one of three dresses, and what a join asks for.
 *
 *   {"bin": [1, 24, 255]}     as seed and simple clients have it
 *   {"b64": "ARj/"}           standard base64
 *   bytes                     a binary frame */
#ifndef LK_ROOM_DOC_PAYLOAD_H
#define LK_ROOM_DOC_PAYLOAD_H

#include "channel/message.h"
#include "room/room.h"

/* Where what is read is put, and which field was wrong. All of it is good until the next call. */
typedef struct lk_doc_payload {
  const lk_limits *limits;
  lk_arena *scratch; /* pushed to, never reset */
  lk_buf *bytes;     /* emptied by each call */
  lk_slice field;    /* of an error: its name; empty where it is about the whole payload */
} lk_doc_payload;

/* The bytes of an update. LK_ERR_PAYLOAD where there are none, LK_ERR_SYNTAX, LK_ERR_NOT_CANONICAL, LK_ERR_RANGE for what
 * are no bytes; LK_ERR_TOO_BIG, LK_ERR_NOMEM, the errors of JSON. */
lk_err lk_doc_payload_read(lk_doc_payload *self, lk_slice payload, bool is_binary,
                           lk_slice *out) LK_MUST_USE;

/* What the params of a join say; others are passed over. */
typedef struct lk_doc_wish {
  lk_message_dialect dialect; /* "encoding": "array", "base64" or "binary"; "dialect": "y" */
  bool has_vector;
  lk_slice vector;     /* "state_vector", dressed like an update, or the array or text alone */
  lk_slice generation; /* "generation" */
} lk_doc_wish;

lk_err lk_doc_payload_wish(lk_doc_payload *self, lk_slice params, lk_doc_wish *out) LK_MUST_USE;

#endif
