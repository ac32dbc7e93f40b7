/* channel/message.h -- Phoenix's serializer V2: what stands in one WebSocket message.
 *
 *   text    [join_ref, ref, topic, event, payload]           payload is any JSON, kept as it came
 *   binary  kind, lengths, names, then raw payload            kinds 0 push, 1 reply, 2 broadcast
 *
 * References are opaque strings or null: they are echoed, never parsed. */
#ifndef LK_CHANNEL_MESSAGE_H
#define LK_CHANNEL_MESSAGE_H

#include "base/base.h"

typedef struct lk_message {
  lk_slice join_ref; /* ptr NULL: null */
  lk_slice ref;      /* ptr NULL: null */
  lk_slice topic;
  lk_slice event;
  lk_slice payload; /* JSON text, or raw bytes of a binary message */
  bool binary;
} lk_message;

/* Reads a text message. Names that contain escapes are decoded into |arena|; everything else borrows
 * from |text|. LK_ERR_BAD_MESSAGE for any other shape, LK_ERR_TOO_BIG for a name over the limit,
 * and the errors of the JSON reader; |out| and |arena| are as before. Elements past the fifth
 * are ignored, as Phoenix does. */
lk_err lk_message_decode_text(lk_slice text, const lk_limits *limits, lk_arena *arena,
                              lk_message *out) LK_MUST_USE;

/* Reads a client's binary push; it borrows from |bytes|. LK_ERR_BAD_MESSAGE where the kind is
 * another or a length runs past the end, LK_ERR_UTF8 for a name that is not text. */
lk_err lk_message_decode_binary(lk_slice bytes, lk_message *out) LK_MUST_USE;

/* Writes a text message; |payload| must be JSON text. The error is the buffer's. */
lk_err lk_message_encode_text(const lk_message *message, lk_buf *out);

/* Writes what a server sends as a reply to |message->ref|:
 * event "phx_reply", payload {"status":status,"response":response}. */
lk_err lk_message_encode_reply(const lk_message *message, lk_slice status, lk_slice response,
                               lk_buf *out);

/* Binary frames from the server: three lengths for a push, two for a broadcast, four for a
 * reply, whose event is its status. LK_ERR_TOO_BIG for a name over 255 bytes. */
lk_err lk_message_encode_binary_push(const lk_message *message, lk_buf *out);
lk_err lk_message_encode_binary_broadcast(const lk_message *message, lk_buf *out);
lk_err lk_message_encode_binary_reply(const lk_message *message, lk_buf *out);

#endif
