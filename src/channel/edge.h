/* channel/edge.h -- the sessions of many connections, and their way to the rooms: the machine inside an edge
 * process.
 *
 *   connection ──message──> session ──event──> edge ──channel/bus.h──> house (a room process)
 *   connection <──message── session <──answer─ edge <────────────────── house
 *
 * Rooms live in other processes, which may die at any instant. So an edge keeps each request until it is
 * answered, and who is in which topic; when a room process comes back (it says HELLO), it restores its members
 * there and sends again what was not answered. Clients do not notice.
 *
 * Broadcasts come once for each edge and are encoded once for each form of message, whatever the number of
 * their receivers.
 *
 * A host calls, in any order:
 *
 *   lk_edge_connect      a client connected; the number it returns names it from now on
 *   lk_edge_receive      a message of that client
 *   lk_edge_disconnect   it is gone
 *   lk_edge_feed         bytes that a house sent
 *   lk_edge_output       bytes for a house; lk_edge_consume when they are on their way
 *   lk_edge_poll         what to send to whom; repeat until false before anything else is called */
#ifndef LK_CHANNEL_EDGE_H
#define LK_CHANNEL_EDGE_H

#include "base/histogram.h"
#include "channel/session.h"

typedef struct lk_edge lk_edge;

#define LK_EDGE_HOUSES_MAX 64

typedef struct lk_edge_options {
  const lk_env *env;
  const lk_limits *limits;
  uint64_t generation;   /* not 0, and never used before on the same links */
  uint64_t hash_seed[2]; /* nobody can guess it */
  uint32_t
      houses_count; /* 1 to LK_EDGE_HOUSES_MAX; the same for all edges and for ever: it places topics */
} lk_edge_options;

/* |options| is copied, what it points to is not. LK_ERR_NOMEM. */
lk_err lk_edge_open(const lk_edge_options *options, lk_edge **out) LK_MUST_USE;

/* Drops everything at once, as a crash would. */
void lk_edge_close(lk_edge *self);

/* ---- connections ---- */

/* LK_ERR_LIMIT (limits.server_connections_count), LK_ERR_NOMEM: the client is refused. */
lk_err lk_edge_connect(lk_edge *self, lk_message_form form, uint64_t *connection) LK_MUST_USE;

/* Any error means that this connection must be closed: its peer does not speak the protocol
 * (LK_ERR_BAD_MESSAGE and the like) or does not read (LK_ERR_LIMIT). Call disconnect then. */
lk_err lk_edge_receive(lk_edge *self, uint64_t connection, lk_slice bytes,
                       bool is_binary) LK_MUST_USE;

/* The client has asked for more than edge_unanswered_bytes, and has no answer: take no more messages from it before
 * RESUME is polled for it. */
bool lk_edge_is_full(const lk_edge *self, uint64_t connection);

/* Unknown connections are ignored. */
void lk_edge_disconnect(lk_edge *self, uint64_t connection);

/* Whether no request waits for its answer. */
bool lk_edge_is_idle(const lk_edge *self);

typedef enum lk_edge_output_kind {
  LK_EDGE_SEND,   /* |bytes| to |connections|, of which there may be many */
  LK_EDGE_RESUME, /* take messages of connections[0] again */
  LK_EDGE_CLOSE,  /* close connections[0]: |reason|; then call disconnect */
} lk_edge_output_kind;

typedef struct lk_edge_output {
  lk_edge_output_kind kind;
  bool is_binary;
  lk_err reason;
  lk_slice bytes; /* with |connections| until the next call on the edge */
  const uint64_t *connections;
  uint32_t count;
} lk_edge_output;

bool lk_edge_poll(lk_edge *self, lk_edge_output *out);

/* The same with one connection in each SEND, for hosts that may call something else in between. */
bool lk_edge_poll_one(lk_edge *self, lk_edge_output *out);

/* ---- houses ---- */

/* The house that serves |topic|. */
uint32_t lk_edge_house_of(const lk_edge *self, lk_slice topic);

/* Takes |bytes| of |house|, cut anywhere; |boundary| where they begin a frame. */
void lk_edge_feed(lk_edge *self, uint32_t house, lk_slice bytes, bool boundary);

/* What |house| is to be sent, in whole frames but for the part that was consumed; until the next call. */
lk_slice lk_edge_bus_output(const lk_edge *self, uint32_t house);
void lk_edge_bus_consume(lk_edge *self, uint32_t house, size_t count);

typedef struct lk_edge_stats {
  uint64_t connections;
  uint64_t members;
  uint64_t messages_in;
  uint64_t messages_out;
  uint64_t requests;
  uint64_t unanswered;
  uint64_t sent_again;
} lk_edge_stats;

lk_edge_stats lk_edge_get_stats(const lk_edge *self);

/* The time from now on, for the latency of requests; where nobody says it there is none. It never goes back. */
void lk_edge_set_time(lk_edge *self, uint64_t now_us);

/* From asking to answering, of all requests that were answered. */
const lk_histogram *lk_edge_latency(const lk_edge *self);

#endif
