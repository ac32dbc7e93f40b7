/* server/worker.h -- the process that talks to strangers: connections on one side, the hub on the
 * other, in one event loop.
 *
 * It may die at any instant. What it acknowledged lies in the data directory, which its supervisor
 * owns; the next worker opens the rooms from there. */
#ifndef LK_SERVER_WORKER_H
#define LK_SERVER_WORKER_H

#include "base/limits.h"
#include "server/assets.h"

typedef struct lk_worker_options {
  int listen_fd;         /* non-blocking; also open in the supervisor */
  int ready_fd;          /* an eventfd: 1 is written when connections are taken */
  const char *directory; /* where rooms are kept */
  const lk_assets *assets;
  lk_limits limits;
  uint64_t restarts; /* of workers before this one, for /metrics */
} lk_worker_options;

/* Exit codes of a worker. */
enum {
  LK_WORKER_STOPPED = 0,  /* as it was told */
  LK_WORKER_FAILED = 1,   /* try another one */
  LK_WORKER_HOPELESS = 3, /* another one would fail in the same way; the reason has been said */
};

/* Runs until SIGTERM, then drains: no new connection or message is taken, what is being made
 * durable is finished and answered, every WebSocket is closed with 1012. At most LK_WORKER_DRAIN_MS later it
 * returns, with an exit code. Other signals that ask to stop are the supervisor's. */
int lk_worker_run(const lk_worker_options *options);

#define LK_WORKER_DRAIN_MS 4000

#endif
