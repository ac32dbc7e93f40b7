/* server/supervisor.h -- the process that keeps the server running.
 *
 *   supervisor   listening socket, data directory, restarts     reads no byte from outside
 *   └─ worker    connections, protocols, rooms                  may die at any instant
 *
 * Both the port and what was acknowledged survive a worker: clients that connect while there is
 * none wait in the listening socket's queue, and the next worker finds the rooms in the directory.
 * A worker dies with its supervisor. */
#ifndef LK_SERVER_SUPERVISOR_H
#define LK_SERVER_SUPERVISOR_H

#include "base/limits.h"
#include "server/assets.h"

typedef struct lk_server_options {
  const char *address;   /* in numbers */
  const char *directory; /* NULL: ephemeral, gone when the server ends */
  const lk_assets *assets;
  lk_limits limits;
  uint16_t port; /* 0: the system chooses */
  bool quiet;    /* print errors only */
} lk_server_options;

/* Serves until SIGTERM, SIGINT or SIGHUP. Returns the program's exit code: 0 after a clean stop, 1
 * where it could not start, where workers died too often, or where the last one had to be killed;
 * why has been said on the console. A second signal ends the worker at once. */
int lk_supervisor_run(const lk_server_options *options);

#endif
