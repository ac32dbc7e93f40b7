/* wire/ws_deflate.h -- permessage-deflate (RFC 7692): messages of a WebSocket that travel packed.
 *
 * wire/ws_offer.h agrees on it in the handshake. Whoever upgrades then opens an lk_ws_deflate and
 * hands it to lk_ws_init() in its options; from there on wire/ws.c is the only caller of what
 * stands below open and close, and frees it. Without one, a connection pays for a NULL pointer.
 *
 * The core has no compressor: the policy names a provider (codec/deflate.h).
 *
 * Memory: sizeof(lk_ws_deflate) for each connection that agreed. A window (zlib: 7 KB and 32 KB to
 * receive, up to 256 KB to send) is held while a message is being received or packed, and from
 * message to message only where context takeover was agreed on, which a policy allows or not.
 *
 * Strangers' bytes: what a message becomes is bounded by bytes_max and, beyond
 * LK_WS_DEFLATE_FREE_BYTES, by LK_WS_DEFLATE_RATIO_MAX times what came; what would be more is
 * refused before it is made. */
#ifndef LK_WIRE_WS_DEFLATE_H
#define LK_WIRE_WS_DEFLATE_H

#include "base/base.h"
#include "codec/deflate.h"

/* So long may any message become, however few bytes it came in. */
#define LK_WS_DEFLATE_FREE_BYTES 65536u
#define LK_WS_DEFLATE_RATIO_MAX 100u
/* What has come counts in steps of so many bytes, rounded up. */
#define LK_WS_DEFLATE_STEP_BYTES 512u

/* What one side is willing to do. It must outlive the connections. */
typedef struct lk_ws_deflate_policy {
  const lk_deflate_provider *provider;
  uint32_t packed_bytes_min; /* shorter messages are sent as they are */
  uint8_t level;             /* of what we send: 0 to LK_DEFLATE_LEVEL_MAX */
  uint8_t memory;            /* of what we send: 1 (least) to 9 (fastest) */
  uint8_t window_bits_max;   /* of both directions: 9 to 15 */
  bool send_takeover;        /* our window stays from message to message, if the peer likes */
  bool receive_takeover;     /* the peer's window stays */
} lk_ws_deflate_policy;

/* Nothing stays in an idle connection. */
#define LK_WS_DEFLATE_POLICY_INIT(provider_)                                                       \
  {                                                                                                \
    .provider = (provider_), .packed_bytes_min = 64, .level = 6, .memory = 8,                      \
    .window_bits_max = LK_DEFLATE_WINDOW_BITS_MAX                                                  \
  }

/* What was agreed on: the parameters of the server's answer. */
typedef struct lk_ws_deflate_params {
  bool server_no_takeover;
  bool client_no_takeover;
  uint8_t server_bits; /* 8 to 15, or 0 where the answer does not say, which means 15 */
  uint8_t client_bits; /* likewise */
} lk_ws_deflate_params;

typedef struct lk_ws_deflate {
  const lk_alloc *alloc;
  const lk_ws_deflate_policy *policy;
  lk_inflate_stream *inflate; /* NULL where nothing is to be kept */
  lk_deflate_stream *deflate;
  uint64_t taken;    /* bytes of the message that is being received */
  uint8_t send_bits; /* of the windows */
  uint8_t receive_bits;
  bool send_takeover;
  bool receive_takeover;
  bool receiving; /* between begin and end */
  bool ended;     /* the last block that was read said that it is the last one */
} lk_ws_deflate;

/* LK_ERR_NOMEM. |alloc| and |policy| must outlive what is made. */
lk_err lk_ws_deflate_open(const lk_alloc *alloc, const lk_ws_deflate_policy *policy,
                          const lk_ws_deflate_params *params, bool is_server,
                          lk_ws_deflate **out) LK_MUST_USE;
/* NULL is allowed. */
void lk_ws_deflate_close(lk_ws_deflate *self);

/* ---- receiving: begin, feed for each piece of payload, end ---- */

/* LK_ERR_NOMEM: nothing has begun, and it may be tried again. */
lk_err lk_ws_deflate_begin(lk_ws_deflate *self) LK_MUST_USE;

/* How many more bytes this message, or where none has begun the next one, may come in. */
uint64_t lk_ws_deflate_room(const lk_ws_deflate *self, size_t bytes_max);

/* Appends what |piece| stands for to |out|, which holds this message alone, and whose maximum is
 * at least |bytes_max|. LK_ERR_TOO_BIG above |bytes_max| or the ratio; LK_ERR_CORRUPT;
 * LK_ERR_NOMEM. After an error |out| ends with what was made before it, the same bytes wherever the pieces were
 * cut, and the message cannot be gone on with. */
lk_err lk_ws_deflate_feed(lk_ws_deflate *self, lk_slice piece, size_t bytes_max,
                          lk_buf *out) LK_MUST_USE;
/* The message was whole. Appends what is left of it; errors as lk_ws_deflate_feed(). */
lk_err lk_ws_deflate_end(lk_ws_deflate *self, size_t bytes_max, lk_buf *out) LK_MUST_USE;

/* ---- sending ---- */

/* Appends |payload| packed to |out|, an empty buffer. False where that would not make it shorter,
 * is not worth while or finds no memory: |out| is empty, and the message goes out as it is. */
bool lk_ws_deflate_pack(lk_ws_deflate *self, lk_slice payload, lk_buf *out);
/* What was packed last was not sent after all: what follows must not refer to it. */
void lk_ws_deflate_unpack(lk_ws_deflate *self);

/* Between messages: gives back what need not be kept. */
void lk_ws_deflate_rest(lk_ws_deflate *self);

#endif
