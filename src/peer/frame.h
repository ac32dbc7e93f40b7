/* peer/frame.h -- Phoenix's serializer V2 as a client has it: it writes pushes, and reads pushes, replies and broadcasts.
 *
 *   text      [join_ref, ref, topic, event, payload]
 *   binary    0, four lengths, join_ref, ref, topic, event, payload         a push of ours
 *             0, three lengths, join_ref, topic, event, payload             a push of the server's
 *             1, four lengths, join_ref, ref, topic, status, payload        a reply
 *             2, two lengths, topic, event, payload                         a broadcast
 *
 * Long-poll carries texts alone. There the server says {"b64": "..."} for a payload of bytes, and what we say in a frame the
 * host puts into base64.
 *
 * channel/message.h is the other side of it. */
#ifndef LK_PEER_FRAME_H
#define LK_PEER_FRAME_H

#include "base/base.h"
#include "channel/message.h"

/* What the server said. A reply, whatever it came in, has its status apart, and its response as the payload of |message|. */
typedef struct lk_frame {
  lk_message message;
  bool is_reply;
  lk_slice status; /* of a reply */
} lk_frame;

/* Appends |message| as a text or, where it is binary, as a frame. |*is_binary| tells which. LK_ERR_TOO_BIG for a name of more
 * than 255 bytes in a frame, LK_ERR_UTF8, and the buffer's errors, which leave it as it was. */
lk_err lk_frame_encode(const lk_message *message, lk_buf *out, bool *is_binary) LK_MUST_USE;

/* Reads one message of the server's; it borrows from |bytes| and |arena|. LK_ERR_BAD_MESSAGE for any other shape, and the
 * errors of lk_message_decode_text(). */
lk_err lk_frame_decode(lk_slice bytes, bool is_binary, const lk_limits *limits, lk_arena *arena,
                       lk_frame *out) LK_MUST_USE;

/* Where the payload is {"b64": "..."}, as the server writes it, it becomes the bytes, in |arena|; any other stays what it is.
 * LK_ERR_NOMEM: |frame| is as before. */
lk_err lk_frame_open_bytes(lk_frame *frame, lk_arena *arena) LK_MUST_USE;

#endif
