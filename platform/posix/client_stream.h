/* platform/posix/client_stream.h -- bytes to a server and back: a socket, and TLS over it where that is lent.
 *
 *   NONE ──open──> CONNECTING ──advance──> SECURING ──advance──> OPEN
 *                       └──────── without TLS ──────────────────────┘
 *
 * Nothing here waits, but for the look-up of a name, which is the C library's. Of its addresses the first that takes the connection is
 * used. A stream that failed is closed by its owner. */
#ifndef LK_PLATFORM_POSIX_CLIENT_STREAM_H
#define LK_PLATFORM_POSIX_CLIENT_STREAM_H

#include "laniakea/client_host.h"
#include "wire/http_client.h"

typedef enum lk_client_stream_state {
  LK_CLIENT_STREAM_NONE,
  LK_CLIENT_STREAM_CONNECTING,
  LK_CLIENT_STREAM_SECURING,
  LK_CLIENT_STREAM_OPEN
} lk_client_stream_state;

typedef struct lk_client_stream {
  const lk_client_tls *tls; /* NULL: in the clear */
  void *session;            /* of |tls|, from SECURING on */
  struct addrinfo *found;   /* of |host|, while CONNECTING */
  struct addrinfo *next;    /* of these, to be tried when the one before failed */
  int fd;                   /* -1: none */
  lk_client_stream_state state;
  bool wants_to_write; /* SECURING */
  char host[LK_HTTP_HOST_MAX + 1];
} lk_client_stream;

#define LK_CLIENT_STREAM_INIT                                                                      \
  { .fd = -1 }

/* Begins to connect to |url|, by |tls|, which outlives the stream, where the URL says so. LK_ERR_NOT_FOUND: there is no host of
 * that name; LK_ERR_CLOSED: no address of it can be tried. */
lk_err lk_client_stream_open(lk_client_stream *self, const lk_http_url *url,
                             const lk_client_tls *tls) LK_MUST_USE;

/* At once: nothing is flushed but TLS's farewell, where that goes. Safe on one that is closed. */
void lk_client_stream_close(lk_client_stream *self);

/* poll(2) said something. LK_OK: OPEN; LK_ERR_MORE: not yet; LK_ERR_CLOSED, LK_ERR_TLS, LK_ERR_CERT_...: it has failed. */
lk_err lk_client_stream_advance(lk_client_stream *self) LK_MUST_USE;

/* What poll(2) should wait for. */
short lk_client_stream_events(const lk_client_stream *self, bool has_output);

/* Both: LK_ERR_MORE for nothing now, LK_ERR_CLOSED or LK_ERR_TLS for never again. After LK_OK read again, since TLS may have more
 * than poll(2) can see; what was not written comes again as the front of what is. */
lk_err lk_client_stream_read(lk_client_stream *self, uint8_t *to, size_t cap,
                             size_t *len) LK_MUST_USE;
lk_err lk_client_stream_write(lk_client_stream *self, lk_slice bytes, size_t *taken) LK_MUST_USE;

#endif
