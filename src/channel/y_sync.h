/* channel/y_sync.h -- the messages that Yjs's providers exchange, as y-websocket numbers them.
 *
 *   message := 0 sync | 1 varUint8Array | 2 auth | 3
 *   sync    := 0 varUint8Array (state vector) | 1 varUint8Array (update) | 2 varUint8Array (update)
 *   auth    := 0 varString (reason)
 *
 * Each comes in the kinds below, with one body that stays opaque here: laniakea/update.h and
 * laniakea/awareness.h read them. Most peers put one message into a frame; some put several one behind the
 * other, which reading until nothing is left serves as well.
 *
 * Who receives SYNC_STEP1 answers with SYNC_STEP2, what the state vector lacks; who receives QUERY_AWARENESS,
 * with an AWARENESS of all. A server that gets SYNC_STEP1 sends its own as well. */
#ifndef LK_CHANNEL_Y_SYNC_H
#define LK_CHANNEL_Y_SYNC_H

#include "base/buf.h"
#include "codec/reader.h"

typedef enum lk_y_kind {
  LK_Y_SYNC_STEP1,      /* body: the sender's state vector */
  LK_Y_SYNC_STEP2,      /* an update with all that was asked for; applied like the next */
  LK_Y_UPDATE,          /* an update that was made */
  LK_Y_AWARENESS,       /* an awareness update */
  LK_Y_AUTH_DENIED,     /* the reason, valid UTF-8 */
  LK_Y_QUERY_AWARENESS, /* nothing */
  LK_Y_KINDS
} lk_y_kind;

typedef struct lk_y_message {
  lk_y_kind kind;
  lk_slice body; /* borrowed from what was read */
} lk_y_message;

/* Reads one message and moves |in| behind it. LK_ERR_UNKNOWN_EVENT for a number that has no message here, at any
 * of the levels: what stands behind it cannot be found then. LK_ERR_TRUNCATED, also where nothing is left;
 * LK_ERR_RANGE, LK_ERR_NOT_CANONICAL for an integer of too many bytes, LK_ERR_UTF8 for a reason. On error
 * |in| and |out| are as before. */
lk_err lk_y_message_decode(lk_reader *in, lk_y_message *out) LK_MUST_USE;

/* Appends one message. A reason must be valid UTF-8, the body of QUERY_AWARENESS empty. The errors are the buffer's;
 * it is then as before, but remembers its error. */
lk_err lk_y_message_encode(lk_y_kind kind, lk_slice body, lk_buf *out);

#endif
