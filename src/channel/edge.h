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
 *   lk_edge_open_document  it is one of the form LK_MESSAGE_Y: so it wants this topic
 *   lk_edge_receive      a message of that client
 *   lk_edge_disconnect   it is gone
 *   lk_edge_feed         bytes that a house sent
 *   lk_edge_output       bytes for a house; lk_edge_consume when they are on their way
 *   lk_edge_poll         what to send to whom; repeat until false before anything else is called */
#ifndef LK_CHANNEL_EDGE_H
#define LK_CHANNEL_EDGE_H

#include "base/histogram.h"
#include "channel/access.h"
#include "channel/alias.h"
#include "channel/gate.h"
#include "channel/bucket.h"
#include "channel/queries.h"
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
  lk_aliases aliases;      /* that are apart; zeroed: none */
  const lk_access *access; /* NULL: an open server, where everybody may do everything */
  lk_rates rates;          /* zeroed: clients may go as fast as they can */
  const lk_gate *gate;     /* NULL: nobody is asked before joins */
} lk_edge_options;

/* |options| is copied, what it points to is not. LK_ERR_NOMEM. */
lk_err lk_edge_open(const lk_edge_options *options, lk_edge **out) LK_MUST_USE;

/* Drops everything at once, as a crash would. */
void lk_edge_close(lk_edge *self);

/* ---- connections ---- */

/* A client of a server that is not open, and that has neither a token nor brought a good one with a join, may send edge_stranger_count messages
 * of edge_stranger_bytes together: then lk_edge_receive() returns LK_ERR_TOKEN_MISSING.
 *
 * |grant| is what the client's token gave, made with the edge's allocator and the edge's from now on, also after an
 * error. NULL: nothing, which is all there is to have in an open server; in another one such a client gets in only
 * where it brings a token for a topic. LK_ERR_LIMIT (limits.server_connections_count), LK_ERR_NOMEM: the client is
 * refused. */
lk_err lk_edge_connect(lk_edge *self, lk_message_form form, lk_grant *grant,
                       uint64_t *connection) LK_MUST_USE;

/* A connection of the form LK_MESSAGE_Y joins |topic| with |payload|, JSON text: once, before anything is received. The
 * answer may be CLOSE. Any error refuses the client: LK_ERR_TOO_BIG, LK_ERR_UTF8 for a name that is none, LK_ERR_NOMEM. */
lk_err lk_edge_open_document(lk_edge *self, uint64_t connection, lk_slice topic,
                             lk_slice payload) LK_MUST_USE;

/* What is longer than a frame to its room, or a join, is answered message_too_big, or as its room has it, and goes no further. Requests
 * for which the room's process has no room yet wait for it.
 *
 * Any error means that this connection must be closed: its peer does not speak the protocol
 * (LK_ERR_BAD_MESSAGE and the like) or does not read (LK_ERR_LIMIT). Call disconnect then. */
lk_err lk_edge_receive(lk_edge *self, uint64_t connection, lk_slice bytes,
                       bool is_binary) LK_MUST_USE;

/* A message of |total| bytes, more than ws_message_bytes, of which only the beginning was kept, LK_MESSAGE_BEGINNING_MAX bytes or
 * more. What it asked for is answered message_too_big, or as its room has it. LK_ERR_TOO_BIG where there is no way
 * to say that; the others as above. */
lk_err lk_edge_receive_beginning(lk_edge *self, uint64_t connection, lk_slice beginning,
                                 uint64_t total, bool is_binary) LK_MUST_USE;

/* The client has asked for more than edge_unanswered_bytes, and has no answer; or it, its subject or a topic of its has been
 * faster than |rates|: take no more messages from it before RESUME is polled for it. */
bool lk_edge_is_full(const lk_edge *self, uint64_t connection);

/* Unknown connections are ignored. */
void lk_edge_disconnect(lk_edge *self, uint64_t connection);

/* Whether no request of |connection| waits for its answer. */
bool lk_edge_is_answered(const lk_edge *self, uint64_t connection);

/* Whether no request waits for its answer. */
bool lk_edge_is_idle(const lk_edge *self);

/* ---- tokens ----
 *
 * A client renews its connection's token by the event access_token on the topic phoenix, and one for a topic on that
 * topic. A connection whose token ends is closed (LK_ERR_TOKEN_EXPIRED); a member that was let in by a token for its
 * topic is put out when that one ends. Times are the wall clock's, in ms since 1970, as tokens have them. */

/* How much waits for |connection| to be read: houses send to it less often, or not at all, and then what it missed. It is
 * for the host to say so again when that changes. */
void lk_edge_set_lag(lk_edge *self, uint64_t connection, lk_bus_lag lag);

/* When lk_edge_step() must be called; UINT64_MAX for never. */
uint64_t lk_edge_deadline(const lk_edge *self);

/* Ends what has ended by |wall_ms|, this millisecond included. Asks houses that were given up, for want of memory or of room in their
 * output, to begin again: at most once a second. */
void lk_edge_step(lk_edge *self, uint64_t wall_ms);

/* Ends those whose tokens have been taken back (LK_ERR_TOKEN_REVOKED). Looks at all of them: for when that has
 * changed. */
void lk_edge_recheck(lk_edge *self);

/* ---- asking without being in a room ---- */

/* Asks the room of a topic, which may be an alias, or a room process itself. ANSWER is polled once for each, unless the edge
 * is closed before. LK_ERR_NOMEM, LK_ERR_LIMIT (limits.bus_requests_count), LK_ERR_TOO_BIG: nothing was asked. */
lk_err lk_edge_query(lk_edge *self, const lk_question *question) LK_MUST_USE;

typedef enum lk_edge_output_kind {
  LK_EDGE_SEND,   /* |bytes| to |connections|, of which there may be many */
  LK_EDGE_RESUME, /* take messages of connections[0] again */
  LK_EDGE_CLOSE,  /* close connections[0]: |reason|; then call disconnect */
  LK_EDGE_ANSWER, /* what was asked with |tag| has |status|, and |bytes| as its payload */
} lk_edge_output_kind;

typedef struct lk_edge_output {
  lk_edge_output_kind kind;
  bool is_binary;
  lk_err reason;
  lk_slice bytes; /* with |connections| until the next call on the edge */
  const uint64_t *connections;
  uint32_t count;
  uint64_t tag; /* ANSWER */
  lk_answer_status status;
} lk_edge_output;

bool lk_edge_poll(lk_edge *self, lk_edge_output *out);

/* The same with one connection in each SEND, for hosts that may call something else in between. */
bool lk_edge_poll_one(lk_edge *self, lk_edge_output *out);

/* ---- houses ---- */

/* The house that serves |topic|, which may be an alias. */
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
  uint64_t unauthorized; /* joins and messages refused for want of rights */
  uint64_t
      leases_ended; /* connections and members ended since their token had, or was taken back */
  uint64_t held;               /* connections that wait for a bucket now */
  uint64_t held_by_connection; /* how often a wait began for this one */
  uint64_t held_by_subject;
  uint64_t held_by_topic;
  uint64_t refused_topics;    /* joins beyond channel_topics_count */
  uint64_t refused_too_big;   /* messages that were too long and were answered */
  uint64_t refused_strangers; /* connections ended at edge_stranger_bytes or edge_stranger_count */
  uint64_t refused_full;      /* requests for which there was no room */
} lk_edge_stats;

lk_edge_stats lk_edge_get_stats(const lk_edge *self);

/* The time from now on, for the latency of requests and for rates; where nobody says it there are none. It never goes
 * back. */
void lk_edge_set_time(lk_edge *self, uint64_t now_us);

/* The same; and whoever has waited for a bucket long enough goes on. */
void lk_edge_tick(lk_edge *self, uint64_t now_us);

/* When lk_edge_tick() must be called; UINT64_MAX for never. */
uint64_t lk_edge_tick_deadline(const lk_edge *self);

/* From asking to answering, of all requests that were answered. */
const lk_histogram *lk_edge_latency(const lk_edge *self);

/* How long connections waited for a bucket. */
const lk_histogram *lk_edge_holds(const lk_edge *self);

#endif
