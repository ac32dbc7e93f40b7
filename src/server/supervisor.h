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
#include "server/assets.h"

#define LK_SERVER_PROCESSES_MAX 32

typedef struct lk_server_options {
  const char *address;   /* in numbers */
  const char *directory; /* NULL: ephemeral, gone when the server ends */
  const char *tls_certificate; /* files; both, or NULL: no TLS */
  const char *tls_key;
  const lk_assets *assets;
  lk_limits limits;
  uint32_t edges;  /* processes for connections, 1 to LK_SERVER_PROCESSES_MAX */
  uint32_t rooms;  /* processes for rooms, likewise */
  uint16_t port;   /* 0: the system chooses */
  bool quiet;      /* print errors only */
  bool debug_echo; /* serve /debug/echo */
} lk_server_options;

/* Serves until SIGTERM, SIGINT or SIGHUP. Returns the program's exit code: 0 after a clean stop, 1
 * where it could not start, where processes died too often, or where one had to be killed or failed while it
 * stopped; why has been said on the console. A second signal kills all at once. */
int lk_supervisor_run(const lk_server_options *options);

#endif
