/* channel/session.h -- the server's side of one Phoenix connection: which topics it has joined.
 *
 * A machine without sockets. The host feeds it each message of the connection; it answers by
 * itself what needs no room (heartbeats, unknown topics, stale references, leaving) and hands out
 * events for the rest. What is to be sent collects in |output| as messages, one after the other;
 * the host takes them with lk_session_next_output.
 *
 *   phx_join ──> JOIN event ──> host asks the room ──> lk_session_accept / _refuse
 *   other    ──> MESSAGE event (only while joined and not stale)
 *   phx_leave, a second phx_join, the end of the connection ──> LEAVE event
 *
 * The rules are those of Phoenix 1.8: a second join of a topic replaces the first, whose
 * phx_close follows the reply; a stale join_ref is ignored in silence; a null one is taken; events
 * for a topic that is not joined are answered "unmatched topic" with a null join_ref. */
#ifndef LK_CHANNEL_SESSION_H
#define LK_CHANNEL_SESSION_H

#include "base/map.h"
#include "channel/message.h"
#include "channel/outbox.h"

typedef enum lk_session_event_kind {
  LK_SESSION_JOIN,
  LK_SESSION_MESSAGE,
  LK_SESSION_LEAVE,
} lk_session_event_kind;

/* Slices live until the next feed. |channel| names this joining of the topic and is never used
 * again on the same session. */
typedef struct lk_session_event {
  lk_session_event_kind kind;
  uint32_t channel;
  lk_slice topic;
  lk_slice event;   /* MESSAGE */
  lk_slice ref;     /* JOIN, MESSAGE; ptr NULL where the client wants no reply */
  lk_slice payload; /* JOIN, MESSAGE: JSON text */
} lk_session_event;

#define LK_SESSION_EVENTS_MAX 2
/* Joinings on one connection, over its whole life. */
#define LK_SESSION_CHANNEL_MAX ((1u << 24) - 1)

typedef struct lk_session {
  const lk_alloc *alloc;
  const lk_limits *limits;
  lk_map channels;  /* topic -> channel record */
  lk_arena scratch; /* of one feed */
  lk_outbox output;
  lk_session_event events[LK_SESSION_EVENTS_MAX];
  uint32_t event_count;
  uint32_t event_next;
  uint32_t channel_next;
  uint32_t end_cursor;
} lk_session;

void lk_session_init(lk_session *self, const lk_alloc *alloc, const lk_limits *limits,
                     const uint64_t hash_seed[2]);

/* Safe on a zeroed struct, and twice. Members of rooms are not told: call lk_session_end before. */
void lk_session_deinit(lk_session *self);

/* Takes one text message. LK_ERR_BAD_MESSAGE and other errors of the decoder mean that the peer
 * does not speak the protocol: the host closes the connection. LK_ERR_LIMIT: the output is full,
 * the peer does not read. Events must have been polled before the next feed. */
lk_err lk_session_feed(lk_session *self, lk_slice text) LK_MUST_USE;

/* The next event of the last feed; false when there is none. */
bool lk_session_poll(lk_session *self, lk_session_event *out);

/* The connection ended: a LEAVE event for each topic still joined, one for each call; its topic lives until
 * deinit. Nothing else may be called afterwards but deinit. */
bool lk_session_end(lk_session *self, lk_session_event *out);

/* True while this joining of |topic| has been neither left, replaced nor refused. */
bool lk_session_has(lk_session *self, lk_slice topic, uint32_t channel);

/* Answers a JOIN event. |response| is a JSON object. Accepting a channel that has been replaced or left
 * meanwhile is allowed and sends nothing. */
lk_err lk_session_accept(lk_session *self, lk_slice topic, uint32_t channel, lk_slice ref,
                         lk_slice response);
lk_err lk_session_refuse(lk_session *self, lk_slice topic, uint32_t channel, lk_slice ref,
                         lk_slice response);

/* Answers a JOIN event of a topic that no room serves: refused, with a null join_ref as Phoenix has it. */
lk_err lk_session_unmatched(lk_session *self, lk_slice topic, uint32_t channel, lk_slice ref);

/* Answers a MESSAGE event whose joining came to nothing while it waited: the topic is unmatched. */
lk_err lk_session_too_late(lk_session *self, lk_slice topic, lk_slice ref);

/* Answers a MESSAGE event with |status| "ok", "error" or another. */
lk_err lk_session_reply(lk_session *self, lk_slice topic, uint32_t channel, lk_slice ref,
                        lk_slice status, lk_slice response);

/* A message of the server to this member alone. */
lk_err lk_session_push(lk_session *self, lk_slice topic, uint32_t channel, lk_slice event,
                       lk_slice payload);

/* The room ended under the member: phx_error with {"reason":...}, so that the client rejoins.
 * |reason| is a word of ours that needs no escapes. */
lk_err lk_session_crash(lk_session *self, lk_slice topic, uint32_t channel, lk_slice reason);

/* A message that was encoded once for all members of a topic. */
lk_err lk_session_send(lk_session *self, lk_slice encoded);

/* The next message to send; it lives until the next call on the session. False when there is none. */
bool lk_session_next_output(lk_session *self, lk_slice *text);

#endif
