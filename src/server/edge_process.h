/* server/edge_process.h -- the process that talks to strangers: connections on one side, rings to the rooms on the
 * other, in one event loop.
 *
 * It may die at any instant: its connections die with it, and their clients come back. It holds no state but
 * theirs. */
#ifndef LK_SERVER_EDGE_PROCESS_H
#define LK_SERVER_EDGE_PROCESS_H

#include "base/limits.h"
#include "channel/alias.h"
#include "channel/gate.h"
#include "channel/bucket.h"
#include "server/assets.h"
#include "server/forwarded.h"
#include "server/keyring.h"
#include "server/links.h"
#include "server/origin.h"
#include "server/times.h"
#include "server/tls.h"

typedef struct lk_edge_process_options {
  const lk_links *links;
  uint32_t index; /* which of the links' edges */
  int listen_fd;  /* non-blocking; also open in the supervisor and in other edges */
  int ready_fd;   /* an eventfd: 1 is written when connections are taken */
  const lk_assets *assets;
  lk_limits limits;
  lk_rates rates;
  lk_times times;
  lk_aliases aliases;            /* of topics */
  lk_gate gate;                  /* where the links have webhooks: before which topics they are asked */
  const lk_slice *y_off;         /* topics that are not served at /y/ */
  size_t y_off_count;
  bool debug_echo;               /* serve /debug/echo */
  lk_keyring *keys;              /* which this process takes over; NULL: an open server */
  lk_origin_rules origins;
  lk_proxies proxies;            /* that are believed */
  const lk_tls_files *tls;       /* with an identity, which this process takes over; NULL: no TLS */
  const lk_tls_tickets *tickets; /* with |tls| */
} lk_edge_process_options;

/* Runs until SIGTERM, then drains: no new connection is taken; those that there are are closed in batches over
 * |times.drain|, WebSockets with 1012, each when what it had asked is answered. At most lk_times_give_up() behind that it
 * returns, with an exit code of server/process.h.
 * Other signals that ask to stop are the supervisor's. */
int lk_edge_process_run(const lk_edge_process_options *options);

#endif
