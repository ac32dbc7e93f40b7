/* server/listener.h -- the socket that clients connect to. */
#ifndef LK_SERVER_LISTENER_H
#define LK_SERVER_LISTENER_H

#include "laniakea/types.h"

#define LK_LISTENER_URL_MAX 96

typedef struct lk_listener {
  int fd;                        /* non-blocking */
  char url[LK_LISTENER_URL_MAX]; /* "http://127.0.0.1:4000", with the port that it really has */
} lk_listener;

/* |scheme|, "http" or "https", is how the URL begins. |address| is in numbers. |port| 0 lets the system
 * choose. On failure what went wrong, and what to do, has been said on the console. */
lk_err lk_listener_open(lk_listener *self, const char *scheme, const char *address,
                        uint16_t port) LK_MUST_USE;

/* Safe after a failed open, and twice. */
void lk_listener_close(lk_listener *self);

#endif
