/* peer/channel.h -- being in one topic, as far as a connection and a server allow it.
 *
 *                    link online                reply ok
 *   OUT ──wanted──> WAITING ──joins──> JOINING ──────────> IN
 *                      ^                  │                │
 *                      ├── refused, late ─┘                │
 *                      └── phx_error, phx_close, link lost ┘
 *   REFUSED: for good, until lk_peer_channel_forgive()
 *
 * A refusal whose reason is one of those that time does not cure (peer/refusals.def) is for good; all others are tried again, each
 * time later: a random time up to a cap that doubles, and what the server asks for as "retry_after_ms" (channel/refusal.h) is honoured.
 *
 * What the params of a join are is its owner's business: lk_peer_channel_is_due() says that it should join now. */
#ifndef LK_PEER_CHANNEL_H
#define LK_PEER_CHANNEL_H

#include "peer/link.h"

typedef enum lk_peer_channel_state {
  LK_PEER_CHANNEL_OUT, /* nobody wants it */
  LK_PEER_CHANNEL_WAITING,
  LK_PEER_CHANNEL_JOINING,
  LK_PEER_CHANNEL_IN,
  LK_PEER_CHANNEL_REFUSED,
} lk_peer_channel_state;

/* What a message was for a channel. */
typedef enum lk_peer_channel_news {
  LK_PEER_CHANNEL_NOTHING, /* not for it, or about an earlier joining */
  LK_PEER_CHANNEL_JOINED,  /* the payload is the join's response */
  LK_PEER_CHANNEL_TURNED,  /* away: |reason|; the state says whether for good */
  LK_PEER_CHANNEL_LOST,    /* it was in, and will join again */
  LK_PEER_CHANNEL_REPLY,   /* to a push */
  LK_PEER_CHANNEL_EVENT,
} lk_peer_channel_news;

#define LK_PEER_REASON_MAX 64
#define LK_PEER_JOIN_MS 10000 /* a join is answered by then, or asked for again */

typedef struct lk_peer_channel {
  lk_peer_link *link;
  lk_slice topic; /* the owner's */
  lk_peer_channel_state state;
  uint32_t attempt;                   /* joins in a row that came to nothing */
  uint64_t join_ref;                  /* JOINING and IN */
  uint64_t try_at_ms;                 /* WAITING: not before */
  uint64_t reply_by_ms;               /* JOINING */
  uint8_t reason[LK_PEER_REASON_MAX]; /* of the latest refusal, cut where it is longer */
  uint32_t reason_len;
} lk_peer_channel;

void lk_peer_channel_init(lk_peer_channel *self, lk_peer_link *link, lk_slice topic);

void lk_peer_channel_enter(lk_peer_channel *self, uint64_t now_ms);
/* Says so where it is in. */
void lk_peer_channel_leave(lk_peer_channel *self, uint64_t now_ms);
/* What was refused for good is tried again: the token is another one, or the content is. */
void lk_peer_channel_forgive(lk_peer_channel *self, uint64_t now_ms);

/* The link is not online any more. True where it was in. */
bool lk_peer_channel_lost_link(lk_peer_channel *self);

/* Joins again later: what it was told made no sense, or nothing was told in time. */
void lk_peer_channel_rejoin(lk_peer_channel *self, uint64_t hint_ms, uint64_t now_ms);

/* Whether to call lk_peer_channel_join() now. */
bool lk_peer_channel_is_due(const lk_peer_channel *self, uint64_t now_ms);
void lk_peer_channel_join(lk_peer_channel *self, lk_slice params, uint64_t now_ms);

/* Only where it is in. Returns the reference, 0 where the link was given up. */
uint64_t lk_peer_channel_push(lk_peer_channel *self, lk_slice event, lk_slice payload,
                              bool is_binary, uint64_t now_ms);

/* |scratch| is for reading the payload; the reason is kept in |self|. */
lk_peer_channel_news lk_peer_channel_receive(lk_peer_channel *self, const lk_frame *frame,
                                             lk_arena *scratch, uint64_t now_ms);

/* As much of it as there is room for. */
void lk_peer_channel_set_reason(lk_peer_channel *self, lk_slice reason);

static inline lk_slice lk_peer_channel_reason(const lk_peer_channel *self) {
  return lk_slice_of(self->reason, self->reason_len);
}

/* The server did some good in it: the next failure is the first of its row. */
static inline void lk_peer_channel_calm(lk_peer_channel *self) { self->attempt = 0; }

void lk_peer_channel_tick(lk_peer_channel *self, uint64_t now_ms);
uint64_t lk_peer_channel_deadline(const lk_peer_channel *self);

/* Whether time does not cure it: peer/refusals.def. */
bool lk_peer_is_final(lk_slice reason);

/* The "reason" of a refusal, empty where there is none, and its "retry_after_ms", 0 where there is none. */
void lk_peer_read_refusal(lk_slice json, const lk_limits *limits, lk_arena *scratch,
                          lk_slice *reason, uint64_t *hint_ms);

#endif
