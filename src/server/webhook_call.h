/* server/webhook_call.h -- requests to other servers, many at a time, without waiting for any.
 *
 *   begin ──> RESOLVING ──> CONNECTING ──> HANDSHAKE (https) ──> TALKING ──> done: poll gives the response, or why not
 *                                             an idle connection ──^
 *
 * Addresses come from server/resolver.h; those of one name are tried one after the other, within the time that the request has.
 * A connection that may be used again is kept for a moment. Where such a one turns out to have ended meanwhile, before any
 * byte of an answer, the request goes over a new one: nobody has answered it, and those who ask take an id twice.
 *
 * https is TLS 1.2 or 1.3 by GnuTLS; the certificate must lead to a root of the system, or of |ca_file|, and be of the host
 * that the address names. Redirects are answers like others: nobody but the configuration says whom we ask. */
#ifndef LK_SERVER_WEBHOOK_CALL_H
#define LK_SERVER_WEBHOOK_CALL_H

#include "base/list.h"
#include "server/loop.h"
#include "server/resolver.h"
#include "wire/http_client.h"

#define LK_WEBHOOK_CALLS_MAX 256u /* at once */
#define LK_WEBHOOK_IDLE_MAX 16u   /* connections that are kept */
#define LK_WEBHOOK_IDLE_MS 4000u  /* servers commonly end theirs after 5 s */

typedef struct lk_webhook_call lk_webhook_call;

typedef struct lk_webhook_caller {
  const lk_alloc *alloc;
  const lk_limits *limits;
  lk_loop *loop;
  lk_resolver *resolver;
  lk_watch resolver_watch;
  struct gnutls_certificate_credentials_st *trust; /* made for the first https */
  const char *ca_file;                             /* NULL: the system's roots */
  lk_list active;
  lk_list idle;
  lk_list done;
  lk_webhook_call *given; /* out by poll, until the next one */
  uint8_t *scratch;
} lk_webhook_caller;

typedef struct lk_webhook_result {
  uint64_t tag;
  lk_err err; /* LK_OK: there is a response; LK_ERR_TIMEOUT; others: why there is none */
  lk_http_response response; /* until the next poll */
  const char *why;           /* in words, where there is an error; or NULL */
} lk_webhook_result;

/* LK_ERR_NOMEM, LK_ERR_LIMIT, LK_ERR_IO: call deinit. */
lk_err lk_webhook_caller_init(lk_webhook_caller *self, const lk_alloc *alloc,
                              const lk_limits *limits, lk_loop *loop,
                              const char *ca_file) LK_MUST_USE;
/* Calls that are under way are forgotten. Safe on a zeroed struct, and twice. */
void lk_webhook_caller_deinit(lk_webhook_caller *self);

/* Begins to send |request|, whole and copied, to where |url| says, whose text outlives the call. The answer's body may have
 * |body_max| bytes. LK_ERR_FULL where LK_WEBHOOK_CALLS_MAX are under way, LK_ERR_NOMEM: nothing was begun. */
lk_err lk_webhook_caller_begin(lk_webhook_caller *self, const lk_http_url *url, lk_slice request,
                               uint32_t body_max, uint64_t timeout_ms, uint64_t tag) LK_MUST_USE;

static inline bool lk_webhook_caller_is_full(const lk_webhook_caller *self) {
  return self->active.count >= LK_WEBHOOK_CALLS_MAX;
}

/* The next one that is done, in order. False: none. */
bool lk_webhook_caller_poll(lk_webhook_caller *self, lk_webhook_result *out);

/* Ends what has had its time. */
void lk_webhook_caller_tick(lk_webhook_caller *self, uint64_t now_ms);
uint64_t lk_webhook_caller_deadline(const lk_webhook_caller *self);

#endif
