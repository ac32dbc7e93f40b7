/* room/hub.h -- a server without sockets: sessions on one side, rooms on the other, journals below.
 *
 *   connection ──text──> session ──event──> room ──effect──> session ──text──> connection
 *                                            │ JOURNAL
 *                                            v
 *                                  storage (submit ... complete)
 *
 * The daemon drives it with real sockets and files, the simulator with its network and disk: it
 * is the same code. A host calls, in any order:
 *
 *   lk_hub_connect      a client connected; the number it returns names it from now on
 *   lk_hub_receive      a text message of that client
 *   lk_hub_disconnect   it is gone
 *   lk_hub_step         time has passed, or the storage may have completed something
 *   lk_hub_poll         what to send to whom; repeat until false
 *   lk_hub_deadline     when to call lk_hub_step at the latest
 *
 * A room whose journal fails is dropped and its members are told phx_error; they rejoin, and the
 * room is opened again from what the storage really holds. */
#ifndef LK_ROOM_HUB_H
#define LK_ROOM_HUB_H

#include "base/storage.h"
#include "room/room.h"

typedef struct lk_hub lk_hub;

#define LK_HUB_NEVER UINT64_MAX

/* |storage| and |env| outlive the hub. |entropy| seeds what the hub itself must not let strangers
 * guess (hash seeds, ids): from the system in a server, from the seed in a simulation. */
lk_err lk_hub_open(const lk_env *env, const lk_limits *limits, lk_storage *storage,
                   uint64_t entropy, lk_hub **out) LK_MUST_USE;

/* Drops everything at once, as a crash would. Operations that are under way in the storage must
 * have been completed or the storage be gone: lk_hub_is_idle() tells. */
void lk_hub_close(lk_hub *self);

/* True where no operation of this hub is under way in the storage. */
bool lk_hub_is_idle(const lk_hub *self);

/* LK_ERR_LIMIT (limits.server_connections_count), LK_ERR_NOMEM: the client is refused. */
lk_err lk_hub_connect(lk_hub *self, uint64_t *connection) LK_MUST_USE;

/* Any error means that this connection must be closed: its peer does not speak the protocol
 * (LK_ERR_BAD_MESSAGE and the like) or does not read (LK_ERR_LIMIT). Call disconnect then. */
lk_err lk_hub_receive(lk_hub *self, uint64_t connection, lk_slice text,
                      uint64_t now_ms) LK_MUST_USE;

/* Unknown connections are ignored. */
void lk_hub_disconnect(lk_hub *self, uint64_t connection, uint64_t now_ms);

/* Takes completions from the storage and lets timers fire. */
void lk_hub_step(lk_hub *self, uint64_t now_ms);

typedef enum lk_hub_output_kind {
  LK_HUB_SEND,  /* text to connection */
  LK_HUB_CLOSE, /* close connection: |reason|; then call disconnect */
} lk_hub_output_kind;

typedef struct lk_hub_output {
  lk_hub_output_kind kind;
  uint64_t connection;
  lk_slice text; /* lives until the next call on the hub */
  lk_err reason;
} lk_hub_output;

bool lk_hub_poll(lk_hub *self, lk_hub_output *out);

/* The time of the earliest timer, or LK_HUB_NEVER. Storage completions have none: the host knows
 * when to look. */
uint64_t lk_hub_deadline(const lk_hub *self);

typedef struct lk_hub_stats {
  uint64_t connections;
  uint64_t rooms;
  uint64_t members;
  uint64_t messages_in;
  uint64_t messages_out;
  uint64_t journals;
  uint64_t rooms_dropped;
} lk_hub_stats;

lk_hub_stats lk_hub_get_stats(const lk_hub *self);

#endif
