/* server/tls_tickets.h -- the secret of session tickets, which every edge process knows.
 *
 * A client that comes back shows a ticket that only we can read, and both are spared the dear half of the
 * handshake. It may come back to another edge process, or to the successor of one that died: so
 * the secret lies in memory that the supervisor made before it started them. Nothing is kept on disk: with the server
 * all tickets end.
 *
 * Keys are derived from it anew every LK_TLS_TICKET_MS * 3 (by GnuTLS, from the clock: processes need not
 * agree on anything), and the supervisor replaces it every LK_TLS_SECRET_MS. Tickets of the secret before
 * are then not read any more, and cost a whole handshake. */
#ifndef LK_SERVER_TLS_TICKETS_H
#define LK_SERVER_TLS_TICKETS_H

#include "laniakea/types.h"

#define LK_TLS_SECRET_LEN 64
#define LK_TLS_TICKET_MS (2u * 3600 * 1000)  /* how long one may be used */
#define LK_TLS_SECRET_MS (24u * 3600 * 1000) /* how long one secret is used for new ones */

typedef struct lk_tls_tickets_shared lk_tls_tickets_shared;

typedef struct lk_tls_tickets {
  lk_tls_tickets_shared *shared;
  uint64_t renew_ms;
} lk_tls_tickets;

/* LK_ERR_NOMEM, LK_ERR_ENTROPY: nothing is held. */
lk_err lk_tls_tickets_make(lk_tls_tickets *self, uint64_t now_ms) LK_MUST_USE;
/* Safe on a zeroed struct, and twice. */
void lk_tls_tickets_close(lk_tls_tickets *self);

/* For its maker alone: replaces the secret when it is time. */
void lk_tls_tickets_tick(lk_tls_tickets *self, uint64_t now_ms);

static inline uint64_t lk_tls_tickets_deadline(const lk_tls_tickets *self) {
  return self->renew_ms;
}

/* False while it is being replaced, which takes a microsecond: go without tickets. */
bool lk_tls_tickets_copy(const lk_tls_tickets *self, uint8_t out[LK_TLS_SECRET_LEN]);

#endif
