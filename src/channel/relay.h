/* channel/relay.h -- long-poll over several edge processes: a poll that lands on one goes to the one that has its
 * session.
 *
 *   client ──GET──> edge 0 ──POLL_GET──> edge 1        whichever edge the kernel gave the connection to keeps it;
 *   client <──200── edge 0 <──POLL_ANSWER── edge 1     the request and its answer travel
 *
 * What travels is the request and not the socket, since a connection with TLS cannot move (docs/decisions/019). Which edge
 * a token belongs to can be told from it: of the edges' random bytes the last is chosen so that it leaves the edge's index
 * when divided by their number. It proves nothing: where the rest of the token names no session there, it is
 * answered like any that has ended.
 *
 * Each edge process has one relay, which plays both parts: it asks others for its own connections (asked, answer), and serves others'
 * from its own sessions (lk_longpoll). An edge may die at any instant. Its successor says HELLO; whoever waited for the
 * dead one is then told that the session is gone, and whatever the dead one had asked for is lost.
 *
 * A machine without sockets or clock. After each feed, poll, lost, end_all and tick the host polls for answers, and sends
 * what lk_relay_output() has for each edge. */
#ifndef LK_CHANNEL_RELAY_H
#define LK_CHANNEL_RELAY_H

#include "channel/bus.h"
#include "channel/longpoll.h"

#define LK_RELAY_EDGES_MAX 64

/* Whoever waits for an lk_longpoll: the host has one in each of its connections, a relay in each request that it serves.
 * lk_longpoll_request.waiter points to one. */
typedef struct lk_poller {
  bool
      is_relayed; /* the relay's: of a session in another edge process, or from a connection there */
} lk_poller;

typedef struct lk_relay_options {
  const lk_alloc *alloc;
  const lk_limits *limits; /* bus_*, longpoll_* */
  lk_longpoll *longpoll;
  uint64_t generation;   /* not 0, and never used before on the same links */
  uint64_t hash_seed[2]; /* nobody can guess it */
  uint32_t edges_count;  /* 1 to LK_RELAY_EDGES_MAX */
  uint32_t index;        /* ours among them */
  uint32_t
      patience_ms; /* an edge that has not answered by then has not got the session; more than a window */
} lk_relay_options;

typedef struct lk_relay_peer lk_relay_peer;

typedef struct lk_relay {
  lk_relay_options options;
  lk_relay_peer *peers; /* edges_count of them */
  lk_map asked;         /* by number */
  lk_list waiting;      /* those of them without an answer, the oldest first */
  lk_list gone;         /* those that will get none, to be polled */
  uint64_t last_number;
  uint64_t now_ms;
} lk_relay;

/* LK_ERR_NOMEM: nothing is held. Every other edge is going to be sent a HELLO. */
lk_err lk_relay_open(lk_relay *self, const lk_relay_options *options) LK_MUST_USE;
/* Before the lk_longpoll. Those who wait hear nothing. Safe on a zeroed struct, and twice. */
void lk_relay_close(lk_relay *self);

/* ---- tokens ---- */

/* The edge whose session |token| may name; ours where it is no token at all. */
uint32_t lk_relay_edge_of(const lk_relay *self, lk_slice token);

/* Makes of random bytes those of a session of this edge. */
void lk_relay_mark(const lk_relay *self, uint8_t random[LK_LONGPOLL_RANDOM_LEN]);

/* ---- asking ---- */

/* Asks |edge|, which is not ours, on behalf of |request->waiter|; what is for new sessions is not used. The answer comes out of
 * lk_relay_poll() or lk_relay_feed(), once, unless lk_relay_lost() is called before. LK_ERR_NOMEM, LK_ERR_LIMIT,
 * LK_ERR_TOO_BIG: nobody was asked. */
lk_err lk_relay_ask(lk_relay *self, uint32_t edge, const lk_longpoll_request *request, bool is_post,
                    uint64_t *number) LK_MUST_USE;

/* As those of lk_longpoll, for what was asked under |number|. Unknown numbers are ignored. */
void lk_relay_lost(lk_relay *self, uint64_t number);
void lk_relay_written(lk_relay *self, uint64_t number);

typedef struct lk_relay_answer {
  lk_poller *waiter;
  uint64_t number;
  lk_slice body;     /* until the next call */
  bool has_messages; /* tell by written or lost what became of it */
  bool is_gone;      /* there is no such session, and no |body| */
} lk_relay_answer;

/* Answers that nobody gave. */
bool lk_relay_poll(lk_relay *self, lk_relay_answer *out);

/* ---- serving ---- */

/* What lk_longpoll_poll() says to a waiter that is_relayed. */
void lk_relay_take(lk_relay *self, const lk_longpoll_answer *answer);

/* ---- the other edges ---- */

/* Takes the front of |in|, which |edge| has sent and which may be cut anywhere; |boundary| where it begins a frame.
 * True where that was an answer; call again, without the boundary, until false: then |in| is used up. */
bool lk_relay_feed(lk_relay *self, uint32_t edge, lk_slice *in, bool boundary,
                   lk_relay_answer *out);

/* What |edge| is to be sent, in whole frames but for the part that was consumed; until the next call. */
lk_slice lk_relay_output(const lk_relay *self, uint32_t edge);
void lk_relay_consume(lk_relay *self, uint32_t edge, size_t count);

/* ---- time and the end ---- */

uint64_t lk_relay_deadline(const lk_relay *self);
void lk_relay_tick(lk_relay *self, uint64_t now_ms);

/* The server stops: for all that was asked the session is gone. */
void lk_relay_end_all(lk_relay *self);

static inline uint32_t lk_relay_asked_count(const lk_relay *self) {
  return lk_map_count(&self->asked);
}

#endif
