/* server/echo.h -- /debug/echo: a bare WebSocket that says everything again.
 *
 * For testing clients and this server (`laniakea serve --debug-echo`), not for users: no room, no
 * hub, no Phoenix. Its limits are its own, and compression is on, with every parameter of RFC 7692
 * that a client may like; everywhere else it is off. */
#ifndef LK_SERVER_ECHO_H
#define LK_SERVER_ECHO_H

#include "base/limits.h"
#include "wire/ws_deflate.h"

#define LK_ECHO_PATH "/debug/echo"
#define LK_ECHO_MESSAGE_BYTES (16u << 20)

typedef struct lk_echo {
  lk_limits limits;
  lk_ws_deflate_policy deflate;
} lk_echo;

/* |limits| are those of the server, of which the echo changes a few. */
void lk_echo_init(lk_echo *self, const lk_limits *limits);

#endif
