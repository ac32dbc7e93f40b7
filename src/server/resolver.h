/* server/resolver.h -- names of hosts into addresses, without waiting.
 *
 * The system's getaddrinfo() knows what an administrator expects: hosts, DNS, search domains. It waits, for seconds where a
 * name server is away. So it is called in a thread of its own; whoever asks is told to come back when lk_resolver_fd() is
 * readable. Names come from the configuration, so that they are few: each has a place, which keeps its answer for
 * LK_RESOLVER_FRESH_MS, and a failure for LK_RESOLVER_FAILED_MS. Several who ask for one name wait for one answer.
 *
 * Addresses in numbers need nobody's help. */
#ifndef LK_SERVER_RESOLVER_H
#define LK_SERVER_RESOLVER_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/base.h"

#define LK_RESOLVER_NAMES_MAX 128u
#define LK_RESOLVER_ADDRESSES_MAX 8u
#define LK_RESOLVER_FRESH_MS 30000u
#define LK_RESOLVER_FAILED_MS 1000u

typedef struct lk_endpoint {
  struct sockaddr_storage at;
  socklen_t len;
} lk_endpoint;

typedef struct lk_endpoints {
  lk_endpoint items[LK_RESOLVER_ADDRESSES_MAX]; /* in the order in which they are to be tried */
  uint32_t count;
} lk_endpoints;

typedef struct lk_resolver lk_resolver;

/* LK_ERR_NOMEM, LK_ERR_LIMIT. The thread begins with the first name that needs it. */
lk_err lk_resolver_open(lk_resolver **out) LK_MUST_USE;

/* Does not wait for the thread, which may be waiting itself: it ends when it can. NULL is allowed. */
void lk_resolver_close(lk_resolver *self);

/* Readable when something was answered; lk_resolver_drain() makes it quiet again. */
int lk_resolver_fd(const lk_resolver *self);
void lk_resolver_drain(lk_resolver *self);

/* LK_ERR_MORE: ask again when there was an answer. LK_ERR_NOT_FOUND: there is no such host, as far as anybody knows.
 * LK_ERR_LIMIT: too many names, or no thread. */
lk_err lk_resolver_look(lk_resolver *self, lk_slice host, uint16_t port, uint64_t now_ms,
                        lk_endpoints *out) LK_MUST_USE;

/* Nobody answered there: next time the name is looked up anew. */
void lk_resolver_doubt(lk_resolver *self, lk_slice host);

#endif
