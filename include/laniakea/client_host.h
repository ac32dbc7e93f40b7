/* laniakea/client_host.h -- a host for one lk_client on a POSIX system: a socket, a folder, a clock, and poll(2).
 *
 *   lk_client_host_options options = LK_CLIENT_HOST_OPTIONS_INIT;
 *   options.url = "http://127.0.0.1:4000";
 *   options.folder = "notes";
 *   lk_client_host_open(&options, &host);
 *   lk_client *client = lk_client_host_client(host);
 *   while (running) {
 *     lk_client_host_wait(host, -1, 1000, NULL);           sleeps until something happens, or a second has passed
 *     while (lk_client_host_poll(host, &event)) ...        READY, CHANGED, STATUS; the rest was carried out
 *   }
 *   lk_client_host_close(host);
 *
 * It has no TLS of its own, but is lent it (|tls|): laniakea/client_tls.h has one. Without, servers on this machine are what it is for.
 * The server's name is looked up when a connection is made, which may take a while. One thread at a time; the storage has one of its
 * own. */
#ifndef LANIAKEA_CLIENT_HOST_H
#define LANIAKEA_CLIENT_HOST_H

#include "laniakea/client.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lk_client_host lk_client_host;

/* TLS over a socket that is connected and does not block. A session is used by one thread at a time and checks whom it speaks with:
 * the host relies on that, and no function here makes it trust anybody. */
typedef struct lk_client_tls {
  size_t size; /* sizeof(lk_client_tls) */
  void *ctx;
  /* A session over |fd|, which stays the caller's, with the server of |host|: a name, or an address. */
  lk_err (*open)(void *ctx, int fd, const char *host, void **session);
  /* LK_OK: done, and the certificate is one that is trusted for |host|. LK_ERR_MORE: call again when the socket can be written, or read.
   * Otherwise there will be no connection: LK_ERR_CERT_ISSUER, _NAME, _TIME, _REFUSED, LK_ERR_TLS, LK_ERR_CLOSED, LK_ERR_NOMEM. */
  lk_err (*shake_hands)(void *session, bool *wants_to_write);
  /* LK_ERR_MORE: nothing for now. LK_ERR_CLOSED, LK_ERR_TLS: nothing any more. After LK_OK there may be more than the socket shows. */
  lk_err (*read)(void *session, uint8_t *to, size_t cap, size_t *len);
  /* Takes some of the front. What was not taken is given again, as the front of what there is then. */
  lk_err (*write)(void *session, lk_slice bytes, size_t *taken);
  void (*close)(void *session); /* says farewell where that goes at once */
} lk_client_tls;

typedef struct lk_client_host_options {
  size_t size;     /* sizeof(lk_client_host_options) of the caller's headers */
  const char *url; /* "http://HOST[:PORT]"; with |tls| "https:"; "ws:" and "wss:" are the same */
  const char *
      folder; /* for the replicas: it must be there, and be used by one client at a time. NULL: nothing is kept */
  const char *token;     /* NULL: none */
  lk_slice capabilities; /* see lk_client_options */
  const lk_client_tls *tls; /* for "https:"; outlives the host; NULL: none */
} lk_client_host_options;
#define LK_CLIENT_HOST_OPTIONS_INIT                                                                \
  { sizeof(lk_client_host_options), NULL, NULL, NULL, { NULL, 0 }, NULL }

/* Begins to read the folder, and connects as soon as that is done. LK_ERR_SYNTAX and LK_ERR_RANGE for the URL, LK_ERR_UNSUPPORTED for
 * https without |tls|; LK_ERR_NOT_FOUND, LK_ERR_PERMISSION, LK_ERR_IO for the folder; LK_ERR_EXISTS where another client uses it; LK_ERR_ENTROPY;
 * LK_ERR_NOMEM, LK_ERR_LIMIT. */
LK_API lk_err lk_client_host_open(const lk_client_host_options *options,
                                  lk_client_host **out) LK_MUST_USE;

/* Waits, two seconds at most, until everything that was changed is recorded in the folder; then ends the client. */
LK_API void lk_client_host_close(lk_client_host *self);

LK_API lk_client *lk_client_host_client(lk_client_host *self);

/* Why the latest connection, or try of one, ended; LK_OK while one is open, and before the first. It is tried again all the same: a
 * certificate may be renewed, and a clock set.
 *
 *   LK_ERR_CERT_ISSUER, LK_ERR_CERT_NAME, LK_ERR_CERT_TIME, LK_ERR_CERT_REFUSED
 *                      the server showed a certificate that is not trusted; it was told nothing
 *   LK_ERR_TLS         what is there does not speak TLS as we do
 *   LK_ERR_TIMEOUT     it did not answer: the connection, the handshake, the upgrade or a heartbeat
 *   LK_ERR_NOT_FOUND   no host has that name
 *   LK_ERR_CLOSED      any other end: nobody listens, the server ended it, or it answered with something else than an upgrade
 *   others             of lk_ws_feed() and memory */
LK_API lk_err lk_client_host_error(const lk_client_host *self);

/* The clock that lk_client's |now_ms| is; and the time of day. */
LK_API uint64_t lk_client_host_now_ms(void);
LK_API uint64_t lk_client_host_time_ms(void);

/* Sleeps until something happened, |fd| can be read (-1: none; |*readable| tells, and may be NULL), a signal came, or
 * |timeout_ms| have passed (-1: no end). */
LK_API void lk_client_host_wait(lk_client_host *self, int fd, int timeout_ms, bool *readable);

/* The next thing that is the program's business. Call until false: it is here that things are carried out. */
LK_API bool lk_client_host_poll(lk_client_host *self, lk_client_event *out);

#ifdef __cplusplus
}
#endif
#endif
