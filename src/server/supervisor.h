/* server/supervisor.h -- the process that keeps the server running.
 *
 *   supervisor   listening socket, data directory, shared memory, restarts     reads no byte from outside,
 *                                                                               but certificates
 *   ├─ room ×R   rooms and their journals                                      may die at any instant
 *   └─ edge ×E   connections and protocols                                     may die at any instant
 *
 * The port, what was acknowledged, and the way between edges and rooms survive them all: clients that connect while
 * there is no edge wait in the listening socket's queue; a room process finds its rooms in the directory, and edges
 * send it again what the one before had not answered. All die with their supervisor. */
#ifndef LK_SERVER_SUPERVISOR_H
#define LK_SERVER_SUPERVISOR_H

#include "base/limits.h"
#include "channel/alias.h"
#include "channel/bucket.h"
#include "room/policy.h"
#include "server/assets.h"
#include "server/forwarded.h"
#include "server/keyring.h"
#include "server/origin.h"
#include "server/times.h"
#include "server/webhook_options.h"

#define LK_SERVER_PROCESSES_MAX 32

typedef struct lk_server_options {
  const char *address;   /* in numbers; one that others can reach only with |keys|, or |open| */
  const char *directory; /* NULL: all topics are in memory, and gone when the server ends */
  lk_room_policy policy; /* what it points to outlives the supervisor */
  uint64_t memory_bytes; /* for topics in memory, of each room process */
  const char *tls_certificate; /* files; both, or NULL: no TLS */
  const char *tls_key;
  lk_keyring_options keys; /* none: an open server */
  lk_origin_rules origins; /* but for |is_reachable| */
  lk_proxies proxies;      /* that are believed: others can reach the server through them */
  const lk_assets *assets;
  lk_limits limits;
  lk_rates rates;
  lk_times times;
  uint32_t restarts;           /* more than so many of one kind within the period are too many */
  uint32_t restarts_period_ms;
  uint32_t edges;  /* processes for connections, 1 to LK_SERVER_PROCESSES_MAX */
  uint32_t rooms;  /* processes for rooms, likewise */
  uint16_t port;   /* 0: the system chooses */
  bool quiet;      /* print errors only */
  lk_aliases aliases; /* that are apart; outlive the supervisor */
  const lk_slice *y_off; /* topics that are not served at /y/; outlive the supervisor */
  size_t y_off_count;
  const lk_webhook_options *webhooks; /* NULL: none */
  bool debug_echo; /* serve /debug/echo */
  bool open;       /* without keys, everybody who can connect may do everything */
} lk_server_options;

/* Serves until SIGTERM, SIGINT or SIGHUP. Returns the program's exit code: 0 after a clean stop, 1
 * where it could not start, where processes died too often, or where one had to be killed or failed while it
 * stopped; why has been said on the console. A second signal kills all at once. */
int lk_supervisor_run(const lk_server_options *options);

#endif
