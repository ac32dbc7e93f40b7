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
 * It speaks ws://, not wss://: for other servers than those on this machine put a proxy or a tunnel in front, or write a host
 * with a TLS library. The server's name is looked up when a connection is made, which may take a while. One thread at a time;
 * the storage has one of its own. */
#ifndef LANIAKEA_CLIENT_HOST_H
#define LANIAKEA_CLIENT_HOST_H

#include "laniakea/client.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lk_client_host lk_client_host;

typedef struct lk_client_host_options {
  size_t size;     /* sizeof(lk_client_host_options) of the caller's headers */
  const char *url; /* "http://HOST[:PORT]" of the server */
  const char *
      folder; /* for the replicas: it must be there, and be used by one client at a time. NULL: nothing is kept */
  const char *token;     /* NULL: none */
  lk_slice capabilities; /* see lk_client_options */
} lk_client_host_options;
#define LK_CLIENT_HOST_OPTIONS_INIT                                                                \
  {                                                                                                \
    sizeof(lk_client_host_options), NULL, NULL, NULL, { NULL, 0 }                                  \
  }

/* Begins to read the folder, and connects as soon as that is done. LK_ERR_SYNTAX and LK_ERR_RANGE for the URL, LK_ERR_UNSUPPORTED for
 * https; LK_ERR_NOT_FOUND, LK_ERR_PERMISSION, LK_ERR_IO for the folder; LK_ERR_EXISTS where another client uses it; LK_ERR_ENTROPY;
 * LK_ERR_NOMEM, LK_ERR_LIMIT. */
LK_API lk_err lk_client_host_open(const lk_client_host_options *options,
                                  lk_client_host **out) LK_MUST_USE;

/* Waits, two seconds at most, until everything that was changed is recorded in the folder; then ends the client. */
LK_API void lk_client_host_close(lk_client_host *self);

LK_API lk_client *lk_client_host_client(lk_client_host *self);

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
