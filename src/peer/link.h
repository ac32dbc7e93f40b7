/* peer/link.h -- a connection that is made again whenever it is lost.
 *
 * It knows nothing of topics: messages go through it. A machine without sockets, timers or randomness:
 *
 *              TOKEN, OPEN               lk_peer_link_opened
 *   OFFLINE ───────────────> CONNECTING ───────────────> ONLINE
 *      ^                         │                          │
 *      └─────────────────────────┴── lk_peer_link_closed, time-out, lk_peer_link_give_up
 *
 * What a host does: carry out what lk_peer_link_poll() says, report what became of it, and call lk_peer_link_tick() by
 * lk_peer_link_deadline(). A report that does not fit the state is about a connection that was given up, and ignored.
 *
 * Between attempts is a random time from 0 to min(cap, first * 2^n), with n failures in a row: full jitter, so that the
 * clients of a server that comes back do not come back at once. A server that says how long to leave it alone is left alone
 * for that long at least, and then for that random time. A row of failures ends when lk_peer_link_calm() says that the
 * server did some good, or when a connection lasted until its first heartbeat was answered. That it was opened is not enough, or
 * a server that takes everybody in and breaks would be hammered.
 *
 * Tokens: with |uses_token| the host is asked for one (TOKEN) before each opening for which there is none that still holds, and
 * again some time before one ends; then the new one is sent in band (`access_token`), and the connection goes on. A
 * connection that the server closes with 4401 had a bad token: it is forgotten, and asked for. */
#ifndef LK_PEER_LINK_H
#define LK_PEER_LINK_H

#include "base/prng.h"
#include "channel/outbox.h"
#include "peer/frame.h"

#define LK_PEER_LINK_NEVER UINT64_MAX
#define LK_PEER_LINK_RETRY_FIRST_MS 100
#define LK_PEER_LINK_RETRY_MAX_MS 10000
#define LK_PEER_LINK_HINT_MAX_MS (10 * 60 * 1000) /* no hint of a server is honoured for longer */
#define LK_PEER_LINK_OPEN_MS 10000
#define LK_PEER_LINK_HEARTBEAT_MS 30000
#define LK_PEER_LINK_REPLY_MS 10000 /* a heartbeat is answered by then */
#define LK_PEER_LINK_CLOSE_TOKEN 4401
#define LK_PEER_LINK_REF_MAX 20 /* digits */

typedef enum lk_peer_link_state {
  LK_PEER_LINK_OFFLINE,
  LK_PEER_LINK_CONNECTING,
  LK_PEER_LINK_ONLINE
} lk_peer_link_state;

typedef enum lk_peer_link_event_kind {
  LK_PEER_LINK_TOKEN, /* give one with lk_peer_link_set_token(), or say lk_peer_link_no_token() */
  LK_PEER_LINK_OPEN,  /* open a connection, with the token |bytes| where there is one, and report */
  LK_PEER_LINK_SEND,  /* send |bytes| as one message on it */
  LK_PEER_LINK_CLOSE, /* close it; it need not be reported */
} lk_peer_link_event_kind;

typedef struct lk_peer_link_event {
  lk_peer_link_event_kind kind;
  lk_slice bytes; /* until the next call */
  bool is_binary;
} lk_peer_link_event;

typedef struct lk_peer_link_options {
  const lk_env *env;
  const lk_limits *limits; /* outlives the link */
  uint64_t entropy;        /* for the jitter */
  bool uses_token;
} lk_peer_link_options;

typedef struct lk_peer_link {
  const lk_env *env;
  const lk_limits *limits;
  lk_outbox output;
  lk_prng jitter;
  lk_buf token;
  lk_peer_link_state state;
  uint32_t attempt; /* failures in a row */
  uint64_t ref_next;
  uint64_t heartbeat_ref; /* of the one that is under way; 0: none is */
  uint64_t heartbeat_sent_ms;
  uint64_t token_ref;     /* of the `access_token` that is under way */
  uint64_t retry_at_ms;   /* OFFLINE: when to try again */
  uint64_t give_up_at_ms; /* CONNECTING: the opening is due; ONLINE: the answer to a heartbeat is */
  uint64_t heartbeat_at_ms; /* when to send the next */
  uint64_t token_ends_ms;   /* by our own clock; NEVER: not known */
  uint64_t token_at_ms;     /* ONLINE: when to ask for a new one */
  uint32_t round_trip_ms;   /* of the latest heartbeat that was answered */
  bool has_round_trip;
  bool uses_token;
  bool has_token;
  bool is_text; /* ONLINE: the connection carries texts alone */
  bool is_started;
  bool waits_for_token; /* the host was asked */
  bool want_token;
  bool want_open;
  bool want_close;
} lk_peer_link;

/* Allocates nothing, and does nothing before lk_peer_link_start(). */
void lk_peer_link_init(lk_peer_link *self, const lk_peer_link_options *options);
/* Safe on a zeroed struct, and twice. */
void lk_peer_link_deinit(lk_peer_link *self);

/* Connects, and stays connected until lk_peer_link_stop(). */
void lk_peer_link_start(lk_peer_link *self, uint64_t now_ms);
void lk_peer_link_stop(lk_peer_link *self);

/* The network came back, or the user wants it now: try at once instead of waiting. */
void lk_peer_link_wake(lk_peer_link *self, uint64_t now_ms);

/* ---- what the host reports ---- */

/* |is_text|: it carries no binary messages, as long-poll does not: what we say in such a frame the host puts into base64, and what the
 * server says as {"b64": "..."} are bytes. */
void lk_peer_link_opened(lk_peer_link *self, bool is_text, uint64_t now_ms);
/* |code| is the WebSocket's, 0 where there is none. |hint_ms| is how long the server wants to be left alone, such as the
 * Retry-After of an answer that was no upgrade; 0: it did not say. */
void lk_peer_link_closed(lk_peer_link *self, uint32_t code, uint64_t hint_ms, uint64_t now_ms);

/* |life_ms|: how long it holds from now on, 0 where that is not known. LK_ERR_TOO_BIG (token_bytes), LK_ERR_NOMEM: as if there
 * were none. */
lk_err lk_peer_link_set_token(lk_peer_link *self, lk_slice token, uint64_t life_ms,
                              uint64_t now_ms) LK_MUST_USE;
/* There is none now: it is asked for again later. */
void lk_peer_link_no_token(lk_peer_link *self, uint64_t now_ms);

/* One message of the server's. |*is_taken|: it was about the connection itself, and nothing is left to do. An error means that the
 * server does not speak the protocol, or that memory is out; the connection was given up. |out| lives as long as |bytes| and
 * what is in |arena|. Not in any state but ONLINE: then it is taken. */
lk_err lk_peer_link_receive(lk_peer_link *self, lk_slice bytes, bool is_binary, lk_arena *arena,
                            uint64_t now_ms, lk_frame *out, bool *is_taken) LK_MUST_USE;

/* ---- for who speaks through it ---- */

/* Queues |message| under a new reference, which is returned; |message->ref| is not looked at, and |join_ref| 0 means
 * the same as the new one where |joins|, else null. Of any error the link is given up, which is tried again later: 0. */
uint64_t lk_peer_link_send(lk_peer_link *self, const lk_message *message, uint64_t join_ref,
                           bool joins, uint64_t now_ms);

/* Whether |text| is |ref| in digits; never where |ref| is 0. */
bool lk_peer_link_is_ref(lk_slice text, uint64_t ref);

/* The server did what it is there for: the next failure is the first of its row. */
static inline void lk_peer_link_calm(lk_peer_link *self) { self->attempt = 0; }

/* The server does not do what it should: another connection may. */
void lk_peer_link_give_up(lk_peer_link *self, uint64_t now_ms);

/* A random time up to the cap for |attempt| failures: for others who try again. */
uint64_t lk_peer_link_draw_wait(lk_peer_link *self, uint32_t attempt);

void lk_peer_link_tick(lk_peer_link *self, uint64_t now_ms);
uint64_t lk_peer_link_deadline(const lk_peer_link *self);

/* The next thing for the host to do; false when there is none. */
bool lk_peer_link_poll(lk_peer_link *self, lk_peer_link_event *out);

#endif
