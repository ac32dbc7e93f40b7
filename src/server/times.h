/* server/times.h -- how long things may take: what settings.def says, for those who keep to it. In milliseconds. */
#ifndef LK_SERVER_TIMES_H
#define LK_SERVER_TIMES_H

#include <stdint.h>

typedef struct lk_times {
  uint32_t tls_handshake;   /* from a connection's beginning to the last byte of it */
  uint32_t http_request;    /* from the first byte of a request to its last, head and body */
  uint32_t http_idle;       /* a connection without a request */
  uint32_t http_write;      /* a response of which the client takes nothing */
  uint32_t socket_idle;     /* a WebSocket of which nothing comes; it is pinged at 5/12 of it */
  uint32_t longpoll_window; /* how long a poll waits */
  uint32_t drain;           /* over which connections are closed when the server stops */
  uint32_t stop;            /* what a process may take to stop besides, until it is killed */
} lk_times;

/* What they are where nobody says otherwise; the same as in settings.def. */
#define LK_TIMES_INIT                                                                              \
  {                                                                                                \
    .tls_handshake = 5000, .http_request = 10000, .http_idle = 30000, .http_write = 30000,         \
    .socket_idle = 60000, .longpoll_window = 10000, .drain = 5000, .stop = 5000                    \
  }

/* A process that was told to stop gives up by itself a little earlier than it would be killed. */
static inline uint32_t lk_times_give_up(const lk_times *self) { return self->stop / 5 * 4; }

#endif
