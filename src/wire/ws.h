/* wire/ws.h -- one end of a WebSocket connection (RFC 6455), after the handshake.
 *
 * A machine without a socket. wire/upgrade.h does the handshake of a server; what lk_http1_feed()
 * left in its input is this machine's first input. Where the handshake agreed on compression, the
 * host opens an lk_ws_deflate (wire/ws_deflate.h) and hands it over in the options; no other
 * extension is known.
 *
 *   while (in.len > 0) {
 *     err = lk_ws_feed(&ws, now_ms, &in);               takes bytes up to the end of one message
 *     while (lk_ws_poll(&ws, &event)) ...               a message, or the end
 *     if (err != LK_OK) break;
 *   }
 *   bytes = lk_ws_output(&ws); n = write(bytes); lk_ws_consume(&ws, n);
 *   at lk_ws_deadline(): lk_ws_tick(), then poll and output as above
 *
 * Pings are answered and Close frames echoed without help. Each connection ends in exactly one
 * LK_WS_ENDED event. From then on lk_ws_is_closed() holds: a server writes what output is left,
 * shuts down its sending half, and reads and discards until the peer has closed too or
 * lk_ws_is_expired() (closing at once could destroy the Close frame on its way); a client waits
 * for the server to close, under the same deadline.
 *
 * Memory: the message that is being received in one buffer, the output in another, and a block
 * for control frames, each allocated when it is needed and given back when lk_ws_poll() finds
 * nothing or the output has been consumed. A quiet connection costs sizeof(lk_ws), under 300
 * bytes. A busy one is bounded by ws_message_bytes and twice ws_output_bytes (and one message of ours, where that is
 * longer), whatever the peer sends, long_bytes included: lengths are judged before memory is asked for, and grow with the bytes that came. That
 * holds for packed messages too, whatever they claim to become; what they cost beside stands in
 * wire/ws_deflate.h.
 *
 * Errors of lk_ws_feed(). All but NOMEM are final: the machine stays failed, says the same each
 * time, takes no more bytes, and the Close frame named here is in its output (unless one was sent
 * before, or there was no memory for it).
 *
 *   LK_ERR_WS_PROTOCOL  1002  a frame, or a Close code, that RFC 6455 does not allow
 *   LK_ERR_UTF8         1007  text, or the reason of a Close, is not UTF-8; at the very byte
 *   LK_ERR_CORRUPT      1007  a packed message cannot be unpacked
 *   LK_ERR_LIMIT        1008  more than LK_WS_EMPTY_FRAGMENTS_MAX empty fragments in one message
 *   LK_ERR_TOO_BIG      1009  a message above ws_message_bytes, or above options.long_bytes where that is
 *                             more; known from the header alone. A packed one that would become
 *                             more than ws_message_bytes, or too much for what came
 *   LK_ERR_TIMEOUT      1001  lk_ws_tick() found the deadline passed
 *   LK_ERR_NOMEM              not final: the bytes that |in| still holds were not taken
 *                       1011  final within a packed message, whose window is lost */
#ifndef LK_WIRE_WS_H
#define LK_WIRE_WS_H

#include "base/base.h"
#include "codec/utf.h"
#include "wire/ws_deflate.h"

#define LK_WS_HEADER_MAX 14
#define LK_WS_CONTROL_MAX 125
#define LK_WS_REASON_MAX 123
#define LK_WS_EMPTY_FRAGMENTS_MAX 32
/* Pongs waiting in the output. A peer that pings without reading gets its newest ping answered
 * when these are gone, which RFC 6455 §5.5.3 allows. */
#define LK_WS_PONG_BYTES_MAX 1024
/* So much of a long frame counts as a sign of life, as does the end of any frame. */
#define LK_WS_PROGRESS_BYTES 16384
#define LK_WS_MASK_SEED_LEN 16
/* So much is kept of a message above ws_message_bytes. */
#define LK_WS_BEGINNING_BYTES 8192u

/* Codes of Close frames that we use or name. */
enum {
  LK_WS_CODE_NORMAL = 1000,
  LK_WS_CODE_GOING_AWAY = 1001,
  LK_WS_CODE_PROTOCOL = 1002,
  LK_WS_CODE_UNSUPPORTED = 1003,
  LK_WS_CODE_NONE = 1005,     /* the peer's Close had no code; never sent */
  LK_WS_CODE_ABNORMAL = 1006, /* there was no Close; never sent */
  LK_WS_CODE_UTF8 = 1007,
  LK_WS_CODE_POLICY = 1008,
  LK_WS_CODE_TOO_BIG = 1009,
  LK_WS_CODE_INTERNAL = 1011,
  LK_WS_CODE_RESTART = 1012,
  LK_WS_CODE_TRY_LATER = 1013
};

typedef enum lk_ws_role { LK_WS_SERVER, LK_WS_CLIENT } lk_ws_role;
typedef enum lk_ws_state { LK_WS_OPEN, LK_WS_CLOSING, LK_WS_CLOSED } lk_ws_state;
typedef enum lk_ws_kind { LK_WS_TEXT = 1, LK_WS_BINARY = 2 } lk_ws_kind;

/* What a client's masking keys are drawn from: fresh bytes of the platform's entropy, so that a page that chooses the
 * messages cannot choose the bytes on the wire (§10.3). */
typedef struct lk_ws_mask {
  uint8_t seed[LK_WS_MASK_SEED_LEN];
  uint64_t count; /* of keys that were drawn */
} lk_ws_mask;

typedef struct lk_ws_options {
  lk_ws_role role;
  uint32_t idle_ms;  /* without a sign of life from the peer; 0: no end */
  uint32_t close_ms; /* for the peer to answer a Close and to close the connection; 0: no end */
  /* Messages above ws_message_bytes and up to this are read, checked and thrown away but for their beginning, which is
   * polled; 0: there are none. Packed ones are never. */
  uint32_t long_bytes;
  lk_ws_mask *mask;       /* clients only: must outlive the machine, and serve no other one */
  lk_ws_deflate *deflate; /* NULL: no compression. The machine takes it over, and closes it */
} lk_ws_options;

typedef struct lk_ws {
  const lk_limits *limits;
  lk_ws_options options;
  lk_buf message; /* the fragments so far, unmasked */
  lk_buf output;
  size_t output_off;   /* bytes of |output| that were consumed */
  uint8_t *control;    /* NULL, or room for a control frame and behind it for a waiting pong */
  uint64_t sent;       /* output consumed since the beginning */
  uint64_t pong_mark;  /* |sent| when the last queued pong will be gone */
  uint64_t frame_len;  /* payload of the frame that is being read */
  uint64_t frame_left; /* of which so much has not come */
  uint64_t since_ms;   /* when the running time-out began */
  lk_utf8_validator text;
  lk_err err;
  uint32_t progress;   /* bytes since |since_ms| */
  uint32_t dropped;    /* of this message, beyond what |message| holds */
  uint16_t pong_bytes; /* of pongs in |output| */
  uint16_t close_code; /* of the ENDED event */
  uint8_t header[LK_WS_HEADER_MAX];
  uint8_t header_len;   /* of which so many bytes have come */
  uint8_t state;        /* lk_ws_state */
  uint8_t message_kind; /* lk_ws_kind */
  uint8_t empty_count;  /* empty fragments of this message */
  uint8_t pong_len;
  uint8_t reason_len;
  bool in_payload : 1;
  bool in_message : 1;    /* between the first and the last fragment */
  bool is_long : 1;       /* of this message only the beginning is kept */
  bool message_ready : 1; /* to be polled */
  bool closed_ready : 1;
  bool clean : 1;
  bool pong_waits : 1; /* behind the frame in |control| */
  bool expired : 1;
} lk_ws;

typedef enum lk_ws_event_kind { LK_WS_MESSAGE, LK_WS_ENDED } lk_ws_event_kind;

typedef struct lk_ws_event {
  lk_ws_event_kind kind;
  bool text;        /* MESSAGE: valid UTF-8; else binary */
  bool clean;       /* ENDED: both sides sent a Close */
  uint16_t code;    /* ENDED: the peer's code, or ours where we failed the connection, or
                     * LK_WS_CODE_NONE, LK_WS_CODE_ABNORMAL */
  lk_slice payload; /* MESSAGE: the message; ENDED: the peer's reason, valid UTF-8 */
  uint32_t
      dropped; /* MESSAGE: so many bytes of it stood behind |payload|, which is the beginning; 0: it is all */
} lk_ws_event;

/* Allocates nothing, and takes over options->deflate. |alloc| and |limits| must outlive the
 * machine. */
void lk_ws_init(lk_ws *self, const lk_alloc *alloc, const lk_limits *limits,
                const lk_ws_options *options, uint64_t now_ms);
/* Safe on a zeroed struct, and twice. */
void lk_ws_deinit(lk_ws *self);

/* Takes bytes from the front of |in| until a message or the end is there to be polled, or |in| is
 * empty. Takes nothing while a message waits to be polled. After the end, discards. */
lk_err lk_ws_feed(lk_ws *self, uint64_t now_ms, lk_slice *in) LK_MUST_USE;

/* |out->payload| lives until the next lk_ws_feed(), lk_ws_poll() or lk_ws_deinit(). */
bool lk_ws_poll(lk_ws *self, lk_ws_event *out);

/* Queues a whole message, packed where that was agreed on and makes it shorter. Text must be valid
 * UTF-8. On failure nothing was queued.
 * LK_ERR_CLOSED after a Close was sent or received; LK_ERR_LIMIT where ws_output_bytes would be
 * exceeded: the peer reads too slowly; also for a message over ws_send_bytes. One that is longer than ws_output_bytes by
 * itself may go beyond it where at most half of that waits. LK_ERR_NOMEM. */
lk_err lk_ws_send(lk_ws *self, lk_ws_kind kind, lk_slice payload) LK_MUST_USE;

/* For one message to many: a server's frames are the same bytes on each connection, so they can
 * be encoded once. They are not packed, which every connection understands. Appends the frame to
 * |out|; on failure |out| is as before. */
lk_err lk_ws_frame_encode(lk_ws_kind kind, lk_slice payload, lk_buf *out) LK_MUST_USE;
/* The Close frame of a server that says |code| and |reason|, as lk_ws_close() has them, and nothing else: for who is turned away
 * and needs no machine. Appends to |out|; on failure |out| is as before. */
lk_err lk_ws_close_encode(uint16_t code, lk_slice reason, lk_buf *out) LK_MUST_USE;
/* Queues frames made by lk_ws_frame_encode(). Servers only. Errors as lk_ws_send(). */
lk_err lk_ws_send_frames(lk_ws *self, lk_slice frames) LK_MUST_USE;

/* Queues a ping; the pong counts as a sign of life. |payload| at most LK_WS_CONTROL_MAX bytes.
 * Errors as lk_ws_send(). */
lk_err lk_ws_send_ping(lk_ws *self, lk_slice payload) LK_MUST_USE;

/* Begins to close: queues a Close frame. |code| must be one that may be sent, and |reason| valid
 * UTF-8 of at most LK_WS_REASON_MAX bytes. Messages that are on their way are still delivered.
 * LK_ERR_CLOSED where a Close was sent or received before; LK_ERR_NOMEM, nothing was queued. */
lk_err lk_ws_close(lk_ws *self, uint64_t now_ms, uint16_t code, lk_slice reason) LK_MUST_USE;

/* The host lost the connection: the last event, if there was none yet, is ENDED with ABNORMAL. */
void lk_ws_lost(lk_ws *self);

/* Bytes for the peer, until the next call that changes the machine. */
lk_slice lk_ws_output(const lk_ws *self);
/* The first |count| of them were written. |count| is at most their length. */
void lk_ws_consume(lk_ws *self, size_t count);

/* When lk_ws_tick() must be called, UINT64_MAX for never. While open: idle_ms after the last sign
 * of life, which is the end of a frame or LK_WS_PROGRESS_BYTES of one: bytes that trickle do not
 * count. Later: close_ms after the Close was queued, and again after the end. */
uint64_t lk_ws_deadline(const lk_ws *self);
void lk_ws_tick(lk_ws *self, uint64_t now_ms);

/* The end was reached: nothing more will be queued. */
static inline bool lk_ws_is_closed(const lk_ws *self) { return self->state == LK_WS_CLOSED; }
/* The host has not read for reasons of its own, and reads on: that the peer was silent is not held against it. */
static inline void lk_ws_excuse(lk_ws *self, uint64_t now_ms) {
  if (self->state == LK_WS_OPEN) self->since_ms = now_ms;
}
/* The peer had its time: close the connection now. */
static inline bool lk_ws_is_expired(const lk_ws *self) { return self->expired; }

/* Whether |code| may stand in a Close frame: 1000 to 1003, 1007 to 1014, 3000 to 4999. */
bool lk_ws_code_is_valid(uint16_t code);

#endif
