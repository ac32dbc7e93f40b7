/* channel/message.h -- Phoenix's serializers: what stands in one message.
 *
 *   V2 text    [join_ref, ref, topic, event, payload]        payload is any JSON, kept as it came
 *   V2 binary  kind, lengths, names, then raw payload        kinds 0 push, 1 reply, 2 broadcast
 *   V1 text    {"topic", "event", "ref", "payload"}          and join_ref, where a client sends it
 *
 * References are opaque strings or null: they are echoed, never parsed.
 *
 * V1 and long-poll have no binary frames. To such a receiver a payload of bytes goes as
 *
 *   {"b64": "<the bytes in standard base64, padded>"}
 *
 * in the place of the payload, in a reply in that of the response. (Genuine Phoenix fails there.) The
 * other way it is not needed: long-poll clients send binary frames in base64, and V1 clients send text. */
#ifndef LK_CHANNEL_MESSAGE_H
#define LK_CHANNEL_MESSAGE_H

#include "base/base.h"

/* What a receiver reads. */
typedef enum lk_message_form {
  LK_MESSAGE_V2,      /* text and binary: WebSocket with vsn=2.0.0 */
  LK_MESSAGE_V2_TEXT, /* text only: long-poll with vsn=2.0.0 */
  LK_MESSAGE_V1,      /* text only: either transport with vsn=1.0.0 or none */
  LK_MESSAGE_Y,       /* one document's y-protocols messages and nothing else: WebSocket at /y/ */
  LK_MESSAGE_FORMS
} lk_message_form;

/* How a receiver wants payloads of bytes. What is JSON is the same in all of them. */
typedef enum lk_message_dialect {
  LK_DIALECT_PLAIN,  /* as bytes where its form has frames, else {"b64": "..."} */
  LK_DIALECT_ARRAY,  /* {"bin": [1, 2, ...]} */
  LK_DIALECT_BASE64, /* {"b64": "..."} in every form */
  LK_DIALECT_YJS, /* the events server_update and awareness as one of y-protocols' messages, called yjs */
  LK_DIALECTS
} lk_message_dialect;

typedef struct lk_message {
  lk_slice join_ref; /* ptr NULL: null; opaque: one that was a number of JSON is kept as such */
  lk_slice ref;      /* likewise */
  lk_slice topic;
  lk_slice event;
  lk_slice payload; /* JSON text, or raw bytes of a binary message */
  bool binary;
  lk_message_dialect dialect; /* of the receiver */
} lk_message;

/* ---- from a client ---- */

/* Reads one message of a connection that speaks |form|; |is_binary| is what kind of WebSocket message it came
 * in. Names that contain escapes are decoded into |arena|; everything else borrows
 * from |bytes|. LK_ERR_BAD_MESSAGE for any other shape, also for a binary message in V1; LK_ERR_TOO_BIG
 * for a name over channel_name_bytes, LK_ERR_UTF8, and the errors of the JSON reader; |out| and |arena| are as before. */
lk_err lk_message_decode(lk_message_form form, lk_slice bytes, bool is_binary,
                         const lk_limits *limits, lk_arena *arena, lk_message *out) LK_MUST_USE;

/* Reads the names of a V2 message of which there is only the beginning: references, topic and event; no payload. In LK_MESSAGE_BEGINNING_MAX
 * bytes they are all there, unless somebody puts blanks between them. LK_ERR_TOO_BIG in the other forms; else as above. */
#define LK_MESSAGE_BEGINNING_MAX 8192u
lk_err lk_message_decode_beginning(lk_message_form form, lk_slice bytes, bool is_binary,
                                   const lk_limits *limits, lk_arena *arena,
                                   lk_message *out) LK_MUST_USE;

/* What a room is told instead of a message that was too long, with the event of that as its payload, bytes. No client can say
 * it: events that begin so are the server's. */
#define LK_EVENT_TOO_BIG LK_LIT("phx_too_big")
#define LK_TOO_BIG_ANSWER                                                                          \
  LK_LIT("{\"reason\":\"message_too_big\",\"limit\":\"ws_message_bytes\","                           \
         "\"message\":\"the message is longer than the server takes; split it\"}")

/* The same where it could be read, and is longer than what goes from an edge to a room in one piece. */
#define LK_EVENT_TOO_BIG_INSIDE LK_LIT("phx_too_big_inside")
#define LK_TOO_BIG_INSIDE_ANSWER                                                                   \
  LK_LIT("{\"reason\":\"message_too_big\",\"limit\":\"bus_frame_bytes\","                          \
         "\"message\":\"the message is longer than the server passes on; split it\"}")

/* The forms one by one. A V2 array may have elements past the fifth, which are ignored, as Phoenix does; so are
 * members of a V1 object that have no meaning, but ref must be there. */
lk_err lk_message_decode_text(lk_slice text, const lk_limits *limits, lk_arena *arena,
                              lk_message *out) LK_MUST_USE;
lk_err lk_message_decode_text_v1(lk_slice text, const lk_limits *limits, lk_arena *arena,
                                 lk_message *out) LK_MUST_USE;

/* A client's binary push; it borrows from |bytes|. LK_ERR_BAD_MESSAGE where the kind is
 * another or a length runs past the end, LK_ERR_UTF8 for a name that is not text. Absent references, which the
 * client writes as empty ones, become null. */
lk_err lk_message_decode_binary(lk_slice bytes, lk_message *out) LK_MUST_USE;

/* ---- to a client ----
 *
 * Each appends one whole message as |form| has it. |*is_binary| tells which kind of WebSocket message that
 * is. A JSON payload is believed to be one. Errors: the buffer's, LK_ERR_UTF8 for a name that is no text, and
 * LK_ERR_TOO_BIG for a name over 255 bytes in a binary frame; the buffer is then as before. */

/* Whether |form| has a message for it: in LK_MESSAGE_Y there are only documents' updates, awareness and what a room
 * sends as yjs. Ask before encoding. */
bool lk_message_is_sayable(lk_message_form form, const lk_message *message);

/* A message to one receiver: join_ref, ref (text only; a binary push has none), topic, event, payload. */
lk_err lk_message_encode_push(lk_message_form form, const lk_message *message, lk_buf *out,
                              bool *is_binary);

/* The reply to |message->ref|: event phx_reply, and {"status":|status|,"response":payload} for a payload. |event|
 * is not looked at. */
lk_err lk_message_encode_reply(lk_message_form form, const lk_message *message, lk_slice status,
                               lk_buf *out, bool *is_binary);

/* The same bytes for all receivers of one form: both references are null, whatever |message| says. */
lk_err lk_message_encode_broadcast(lk_message_form form, const lk_message *message, lk_buf *out,
                                   bool *is_binary);

/* What is the same for all receivers of a class, of which there are LK_MESSAGE_CLASSES: form and dialect. */
#define LK_MESSAGE_CLASSES ((unsigned)LK_MESSAGE_FORMS * (unsigned)LK_DIALECTS)
static inline unsigned lk_message_class(lk_message_form form, lk_message_dialect dialect) {
  return (unsigned)form * LK_DIALECTS + (unsigned)dialect;
}

/* The class whose bytes |class| shares: JSON is the same in all dialects, V2 and V2_TEXT. Who encodes a broadcast once
 * for each class does it for those that this function returns. */
static inline unsigned lk_message_shared_class(unsigned class, bool is_binary) {
  lk_message_form form = (lk_message_form)(class / LK_DIALECTS);
  lk_message_dialect dialect = (lk_message_dialect)(class % LK_DIALECTS);
  bool is_text = form == LK_MESSAGE_V2_TEXT || form == LK_MESSAGE_V1;
  if (!is_binary) dialect = LK_DIALECT_PLAIN;
  if (is_text && dialect == LK_DIALECT_PLAIN && is_binary) dialect = LK_DIALECT_BASE64;
  if (form == LK_MESSAGE_V2_TEXT &&
      (!is_binary || dialect == LK_DIALECT_ARRAY || dialect == LK_DIALECT_BASE64))
    form = LK_MESSAGE_V2;
  return lk_message_class(form, dialect);
}

/* A text message of V2, from either side: for clients, too. |payload| must be JSON text. */
lk_err lk_message_encode_text(const lk_message *message, lk_buf *out);

#endif
