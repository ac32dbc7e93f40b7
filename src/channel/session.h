/* channel/session.h -- the server's side of one Phoenix connection: which topics it has joined.
 *
 * A machine without sockets and almost without memory: a connection that idles in one topic costs about a hundred
 * bytes in all. What a step needs for its duration is lent to it by the host in an lk_session_io, one for
 * all of its sessions. The host feeds each message of the connection; the session answers by itself what needs no
 * room (heartbeats, unknown topics, stale references, leaving, too many topics) and hands out events for the rest.
 *
 *   phx_join ──> JOIN event ──> host asks the room ──> lk_session_accept / _refuse / _unmatched
 *   other    ──> MESSAGE event (only while joined and not stale) ──> lk_session_reply
 *   phx_leave, a second phx_join, the end of the connection ──> LEAVE event
 *   access_token on topic phoenix ──> TOKEN event ──> lk_session_reply
 *
 * The rules are those of Phoenix 1.8: a second join of a topic replaces the first, whose
 * phx_close follows the reply; a stale join_ref is ignored in silence; a null one is taken; events
 * for a topic that is not joined are answered "unmatched topic" with a null join_ref. Joins are
 * answered when the room answers: one that was left or replaced before that gets no reply of its own.
 * A message without a ref wants no reply and gets none. Other events that begin with phx_ or chan_reply_ are refused:
 * clients take them for words of the server, and a room might pass them on.
 *
 * Phoenix cannot renew a token on an open connection; here a client may push {"token": "..."} as
 * access_token to the topic phoenix, beside its heartbeats.
 *
 * A connection of the form LK_MESSAGE_Y has one topic, which lk_session_open() joins for it: the peer sends and gets
 * y-protocols' messages (channel/y_sync.h), and nothing else can be said to it. What comes is checked for its frame and becomes a
 * MESSAGE called yjs. Replies are dropped, and what ends the joining ends the connection: the answers then return an
 * error that says why, and the host closes. */
#ifndef LK_CHANNEL_SESSION_H
#define LK_CHANNEL_SESSION_H

#include "channel/message.h"
#include "channel/outbox.h"

typedef enum lk_session_event_kind {
  LK_SESSION_JOIN,
  LK_SESSION_MESSAGE,
  LK_SESSION_LEAVE,
  LK_SESSION_TOKEN,
} lk_session_event_kind;

/* |channel| names this joining of the topic and is never used again on the same session; 0 is the connection
 * itself, in TOKEN. Slices live until the scratch arena or the message that was fed goes; those of a LEAVE by
 * lk_session_end() until its next call. */
typedef struct lk_session_event {
  lk_session_event_kind kind;
  uint32_t channel;
  uint64_t tag; /* MESSAGE, LEAVE: what the host put there by lk_session_set_tag(); else 0 */
  lk_slice topic;
  lk_slice event; /* MESSAGE */
  lk_slice ref;   /* JOIN, MESSAGE, TOKEN; ptr NULL where the client wants no reply */
  lk_slice
      payload; /* JOIN, MESSAGE: JSON text, or bytes where |is_binary|; TOKEN: the token itself */
  bool is_binary; /* JOIN, MESSAGE */
} lk_session_event;

/* What one message gave, in order. */
#define LK_SESSION_EVENTS_MAX 2
typedef struct lk_session_events {
  lk_session_event items[LK_SESSION_EVENTS_MAX];
  uint32_t count;
  bool is_refused; /* a join beyond channel_topics_count was answered */
} lk_session_events;

/* Joinings on one connection, over its whole life. */
#define LK_SESSION_CHANNEL_MAX ((1u << 24) - 1)

/* What the host lends for one call. Of one session it is always the same |alloc| and |hash_seed|. */
typedef struct lk_session_io {
  const lk_alloc *alloc;
  const lk_limits *limits;   /* channel_topics_count, channel_name_bytes, json_* */
  const uint64_t *hash_seed; /* two numbers that nobody can guess */
  lk_arena *scratch; /* feed pushes here and never resets; NULL for the other calls is fine */
  lk_outbox *output; /* complete messages for this connection, each known as text or binary */
} lk_session_io;

typedef struct lk_session_channel lk_session_channel;

typedef struct lk_session {
  lk_session_channel *first; /* in order of joining */
  lk_session_channel *last;
  lk_session_channel **table; /* by hash, where there are more than a few; else NULL */
  uint32_t table_cap;
  uint32_t count;
  uint32_t channel_next;
  uint8_t form; /* lk_message_form */
  bool is_ending;
} lk_session;

/* Allocates nothing. |form| is what the connection speaks, by its vsn and transport. */
void lk_session_init(lk_session *self, lk_message_form form);

/* Safe on a zeroed struct, and twice. Members of rooms are not told: call lk_session_end before. */
void lk_session_deinit(lk_session *self, const lk_alloc *alloc);

static inline lk_message_form lk_session_form(const lk_session *self) {
  return (lk_message_form)self->form;
}
static inline uint32_t lk_session_count(const lk_session *self) { return self->count; }

/* Bytes that the session holds outside of its struct. */
size_t lk_session_bytes(const lk_session *self);

/* Takes one message and fills |out|. LK_ERR_BAD_MESSAGE and other errors of the decoder mean that the peer
 * does not speak the protocol: the host closes the connection. LK_ERR_LIMIT: the output is full,
 * or the connection has joined LK_SESSION_CHANNEL_MAX times. After an error |out| is empty and the channels are
 * as before; of two messages of output the first may be there. */
lk_err lk_session_feed(lk_session *self, const lk_session_io *io, lk_slice bytes, bool is_binary,
                       lk_session_events *out) LK_MUST_USE;

/* The same for a message that is longer than it may be, and of which there is the beginning. What would be a MESSAGE becomes one with the event
 * LK_EVENT_TOO_BIG, whose payload is the name of its own, so that the room knows; everything else is answered
 * message_too_big. LK_ERR_TOO_BIG where nothing can be answered: in LK_MESSAGE_V1, whose references may stand at the end, in
 * LK_MESSAGE_Y, which has no replies, and for a beginning that is none of a message. */
lk_err lk_session_feed_beginning(lk_session *self, const lk_session_io *io, lk_slice beginning,
                                 bool is_binary, lk_session_events *out) LK_MUST_USE;

/* Joins |topic| on a connection of the form LK_MESSAGE_Y, once: a JOIN event with |payload|, which is JSON text.
 * LK_ERR_TOO_BIG for a name over channel_name_bytes, LK_ERR_UTF8, LK_ERR_NOMEM: then nothing has happened. */
lk_err lk_session_open(lk_session *self, const lk_session_io *io, lk_slice topic, lk_slice payload,
                       lk_session_events *out) LK_MUST_USE;

/* The connection ended: a LEAVE event for each topic still joined, one for each call, in order of joining; its
 * topic lives until the next call. Nothing else may be called afterwards but deinit. */
bool lk_session_end(lk_session *self, const lk_session_io *io, lk_session_event *out);

/* True while this joining of |topic| has been neither left, replaced nor refused. */
bool lk_session_has(const lk_session *self, const lk_session_io *io, lk_slice topic,
                    uint32_t channel);

/* Lets the host keep a number of its own with a joining, such as its place among the members of the topic. False
 * where the joining is gone. */
bool lk_session_set_tag(lk_session *self, const lk_session_io *io, lk_slice topic, uint32_t channel,
                        uint64_t tag);

/* Walks the joinings in order, beginning behind |after| or, where that is NULL, with the first; NULL at the end. |*tag|
 * is what the host put there. |after| must still be there. */
const lk_session_channel *lk_session_next(const lk_session *self, const lk_session_channel *after,
                                          uint64_t *tag);

/* ---- answers ----
 *
 * Each appends its messages to io->output. What is said to a joining that is gone meanwhile is dropped: LK_OK.
 * Errors are the output's (LK_ERR_LIMIT, LK_ERR_NOMEM), LK_ERR_TOO_BIG for a name over 255 bytes with a binary
 * payload, LK_ERR_UTF8 for a name that is no text; the joining is then as the call would have left it.
 *
 * In LK_MESSAGE_Y the end of the joining is an error too, and so is a reply that is not "ok", since what it refuses is missing from
 * then on: LK_ERR_DENIED, LK_ERR_UNMATCHED_TOPIC, LK_ERR_REFUSED and those of tokens, which another connection would get
 * again; LK_ERR_FULL, LK_ERR_CLOSED, after which it may try. Replies that channel/y_ends.def says end nothing are dropped. */

/* Fields that a call does not mention stay zeroed. */
typedef struct lk_session_answer {
  lk_slice topic;
  uint32_t channel;
  lk_slice ref;     /* as the event had it */
  lk_slice status;  /* of a reply: "ok", "error" or another */
  lk_slice event;   /* of a push */
  lk_slice payload; /* the response, or what is pushed; empty stands for {} unless |is_binary| */
  bool is_binary;   /* raw bytes, which |dialect| may dress */
  lk_message_dialect dialect;
} lk_session_answer;

/* Answers a JOIN event: topic, channel, ref, payload. */
lk_err lk_session_accept(lk_session *self, const lk_session_io *io,
                         const lk_session_answer *answer) LK_MUST_USE;
lk_err lk_session_refuse(lk_session *self, const lk_session_io *io,
                         const lk_session_answer *answer) LK_MUST_USE;

/* Answers a JOIN event of a topic that no room serves: refused, with a null join_ref as Phoenix has it. */
lk_err lk_session_unmatched(lk_session *self, const lk_session_io *io,
                            const lk_session_answer *answer) LK_MUST_USE;

/* Answers a MESSAGE event whose joining came to nothing while it waited: the topic is unmatched. Topic, ref. */
lk_err lk_session_too_late(lk_session *self, const lk_session_io *io,
                           const lk_session_answer *answer) LK_MUST_USE;

/* Answers a MESSAGE event, or a TOKEN event (channel 0): topic, channel, ref, status, payload. */
lk_err lk_session_reply(lk_session *self, const lk_session_io *io,
                        const lk_session_answer *answer) LK_MUST_USE;

/* A message of the server to this member alone: topic, channel, event, payload. */
lk_err lk_session_push(lk_session *self, const lk_session_io *io,
                       const lk_session_answer *answer) LK_MUST_USE;

/* The room ended under the member: phx_error, so that the client joins again. The payload is an object with a
 * reason: {"reason":"channel_crash"} where it is empty. */
lk_err lk_session_crash(lk_session *self, const lk_session_io *io,
                        const lk_session_answer *answer) LK_MUST_USE;

/* The room is done with the member: phx_close, and the client does not come back. Topic, channel. */
lk_err lk_session_close(lk_session *self, const lk_session_io *io,
                        const lk_session_answer *answer) LK_MUST_USE;

#endif
