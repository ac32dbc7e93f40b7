/* server/echo.c -- the limits of the echo.
 *
 * A connection reads nothing while more than half of its output's bound waits (connection.c), so
 * one whole message always finds room in the other half. */
#include "server/echo.h"

#include "platform/providers/deflate_zlib.h"

#define FRAME_BYTES 64 /* the header of a message, and some */

void lk_echo_init(lk_echo *self, const lk_limits *limits) {
  *self = (lk_echo){ .limits = *limits, .deflate = LK_WS_DEFLATE_POLICY_INIT(lk_deflate_zlib()) };
  self->limits.ws_message_bytes = LK_ECHO_MESSAGE_BYTES;
  self->limits.ws_output_bytes = 2 * (LK_ECHO_MESSAGE_BYTES + FRAME_BYTES);
  self->deflate.send_takeover = true;
  self->deflate.receive_takeover = true;
}
