/* room/hub.h -- a server without sockets, in one piece: an edge and a house that talk to each other.
 *
 *   connection ──message──> edge (sessions) ──bus──> house (rooms) ──journal──> storage
 *
 * The daemon has its edges and houses in processes of their own; a library, the tests and the simulator
 * have them here, together: it is the same code, with the same messages between them. A host calls, in any order:
 *
 *   lk_hub_connect      a client connected; the number it returns names it from now on
 *   lk_hub_receive      a message of that client
 *   lk_hub_disconnect   it is gone
 *   lk_hub_step         time has passed, or the storage may have completed something
 *   lk_hub_poll         what to send to whom; repeat until false
 *   lk_hub_deadline     when to call lk_hub_step at the latest */
#ifndef LK_ROOM_HUB_H
#define LK_ROOM_HUB_H

#include "base/storage.h"
#include "channel/edge.h"
#include "room/house.h"

typedef struct lk_hub lk_hub;

#define LK_HUB_NEVER LK_HOUSE_NEVER

/* |storage| and |env| outlive the hub. |entropy| seeds what the hub itself must not let strangers
 * guess (hash seeds, ids): from the system in a server, from the seed in a simulation. */
lk_err lk_hub_open(const lk_env *env, const lk_limits *limits, lk_storage *storage,
                   uint64_t entropy, lk_hub **out) LK_MUST_USE;

/* Drops everything at once, as a crash would. Operations that are under way in the storage must
 * have been completed or the storage be gone: lk_hub_is_idle() tells. */
void lk_hub_close(lk_hub *self);

/* True where no operation of this hub is under way in the storage. */
bool lk_hub_is_idle(const lk_hub *self);

/* The room process dies and another one begins, while the connections stay. What holds for lk_hub_close()
 * holds for what dies. LK_ERR_NOMEM: there is none; call again. */
lk_err lk_hub_replace_house(lk_hub *self, lk_storage *storage, uint64_t entropy) LK_MUST_USE;

/* LK_ERR_LIMIT (limits.server_connections_count), LK_ERR_NOMEM: the client is refused. */
lk_err lk_hub_connect(lk_hub *self, uint64_t *connection) LK_MUST_USE;

/* Any error means that this connection must be closed: its peer does not speak the protocol
 * (LK_ERR_BAD_MESSAGE and the like) or does not read (LK_ERR_LIMIT). Call disconnect then. */
lk_err lk_hub_receive(lk_hub *self, uint64_t connection, lk_slice text,
                      uint64_t now_ms) LK_MUST_USE;

/* The same for a binary message. */
lk_err lk_hub_receive_binary(lk_hub *self, uint64_t connection, lk_slice bytes,
                             uint64_t now_ms) LK_MUST_USE;

/* Unknown connections are ignored. */
void lk_hub_disconnect(lk_hub *self, uint64_t connection, uint64_t now_ms);

/* Takes completions from the storage and lets timers fire. */
void lk_hub_step(lk_hub *self, uint64_t now_ms);

typedef enum lk_hub_output_kind {
  LK_HUB_SEND,  /* a message to connection */
  LK_HUB_CLOSE, /* close connection: |reason|; then call disconnect */
} lk_hub_output_kind;

typedef struct lk_hub_output {
  lk_hub_output_kind kind;
  uint64_t connection;
  lk_slice text; /* lives until the next call on the hub */
  bool is_binary;
  lk_err reason;
} lk_hub_output;

bool lk_hub_poll(lk_hub *self, lk_hub_output *out);

/* The time of the earliest timer, or LK_HUB_NEVER. Storage completions have none: the host knows
 * when to look. */
uint64_t lk_hub_deadline(const lk_hub *self);

typedef struct lk_hub_stats {
  lk_edge_stats edge;
  lk_house_stats house;
} lk_hub_stats;

lk_hub_stats lk_hub_get_stats(const lk_hub *self);

#endif
