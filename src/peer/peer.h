/* peer/peer.h -- the client's side of a counter: a replica of its own and a connection that may not be there.
 *
 * A machine without sockets, timers or randomness: a browser's worker, a C program and the
 * simulator drive the same one. The replica changes at once when the user says so; offline is not
 * a mode, only a connection that isn't there. What the server has not acknowledged is sent again
 * after every reconnection, and merging makes that harmless.
 *
 *          OPEN event           lk_peer_opened          reply to phx_join
 *   IDLE ────────────> CONNECTING ────────────> JOINING <────────────> JOINED
 *    ^                     │                       │       phx_error     │
 *    └─────────────────────┴──── lk_peer_closed, time-out, nonsense ─────┘
 *
 * The host opens a connection when it is told to (LK_PEER_OPEN) and reports what becomes of it.
 * Back-off is exponential with full jitter: a random time from 0 to min(cap, first * 2^n). */
#ifndef LK_PEER_PEER_H
#define LK_PEER_PEER_H

#include "base/prng.h"
#include "channel/outbox.h"
#include "crdt/gcounter.h"

typedef enum lk_peer_state {
  LK_PEER_IDLE,
  LK_PEER_CONNECTING,
  LK_PEER_JOINING,
  LK_PEER_JOINED
} lk_peer_state;

typedef enum lk_peer_event_kind {
  LK_PEER_OPEN, /* open a connection, then call lk_peer_opened or lk_peer_closed */
  LK_PEER_SEND, /* send |text| as one message on it; lives until the next call */
  LK_PEER_CLOSE, /* close it; lk_peer_closed may be called for it until the next OPEN, and need not */
  LK_PEER_CHANGED, /* the replica's value, its state or what is pending changed */
} lk_peer_event_kind;

typedef struct lk_peer_event {
  lk_peer_event_kind kind;
  lk_slice text;
} lk_peer_event;

typedef struct lk_peer {
  const lk_env *env;
  const lk_limits *limits;
  lk_gcounter counter;   /* everything that this replica knows */
  lk_gcounter confirmed; /* what the server is known to have, durably */
  lk_gcounter in_flight; /* what the merge that is under way carries */
  uint8_t actor[LK_ACTOR_LEN_MAX];
  uint32_t actor_len;
  lk_buf topic;
  lk_outbox output;
  lk_arena scratch;
  lk_prng jitter;
  lk_peer_state state;
  uint32_t attempt; /* connections, joins or merges that failed in a row */
  uint64_t ref_next;
  uint64_t join_ref;        /* of the join that was sent; 0: none yet, see retry_at_ms */
  uint64_t merge_ref;       /* of the merge that is under way; 0: none */
  uint64_t heartbeat_ref;   /* of the heartbeat that is under way; 0: none */
  uint64_t retry_at_ms;     /* IDLE: when to open; JOINING without a join_ref: when to join */
  uint64_t reply_by_ms;     /* the opening, the join or the merge is due; LK_PEER_NEVER: none is */
  uint64_t heartbeat_at_ms; /* when to send the next; the last one is due by then as well */
  uint64_t pending;         /* how much of our own count the server has not acknowledged */
  bool want_open;
  bool want_close;
  bool changed;
} lk_peer;

#define LK_PEER_NEVER UINT64_MAX
#define LK_PEER_HEARTBEAT_MS 30000
#define LK_PEER_REPLY_MS 10000
#define LK_PEER_RETRY_FIRST_MS 100
#define LK_PEER_RETRY_MAX_MS 10000

typedef struct lk_peer_options {
  const lk_env *env;
  const lk_limits *limits;
  lk_slice topic;    /* "crdt:demo"; copied */
  lk_slice actor;    /* this replica's id, never used before; copied */
  lk_slice restored; /* what lk_peer_save() gave earlier under the same actor, or empty */
  uint64_t entropy;  /* for the jitter */
  uint64_t now_ms;
} lk_peer_options;

/* LK_ERR_ACTOR, LK_ERR_INVALID (topic), LK_ERR_CORRUPT and the errors of lk_gcounter_decode for what
 * was restored, LK_ERR_NOMEM: then the
 * struct may be deinitialised and nothing else. */
lk_err lk_peer_init(lk_peer *self, const lk_peer_options *options) LK_MUST_USE;
void lk_peer_deinit(lk_peer *self);

/* The user counts. Never waits for a server. LK_ERR_RANGE, LK_ERR_OVERFLOW, LK_ERR_NOMEM: nothing
 * changed. */
lk_err lk_peer_increment(lk_peer *self, uint64_t amount, uint64_t now_ms) LK_MUST_USE;

static inline uint64_t lk_peer_value(const lk_peer *self) { return lk_gcounter_value(&self->counter); }
static inline uint64_t lk_peer_pending(const lk_peer *self) { return self->pending; }
static inline lk_peer_state lk_peer_get_state(const lk_peer *self) { return self->state; }

/* Everything that must outlive this process, appended to |out|. */
lk_err lk_peer_save(const lk_peer *self, lk_buf *out) LK_MUST_USE;

/* What became of the connection. A report that does not fit the state is ignored: it is about a
 * connection that was given up. */
void lk_peer_opened(lk_peer *self, uint64_t now_ms);
void lk_peer_closed(lk_peer *self, uint64_t now_ms);

/* One message from the server. An error means that the server does not speak the protocol (or
 * memory is out); the connection is given up and tried again later, the replica is as before. */
lk_err lk_peer_receive(lk_peer *self, lk_slice text, uint64_t now_ms) LK_MUST_USE;

/* The network came back: try at once instead of waiting out the back-off. */
void lk_peer_wake(lk_peer *self, uint64_t now_ms);

void lk_peer_tick(lk_peer *self, uint64_t now_ms);
uint64_t lk_peer_deadline(const lk_peer *self);

/* The next thing for the host to do; false when there is none. */
bool lk_peer_poll(lk_peer *self, lk_peer_event *out);

#endif
