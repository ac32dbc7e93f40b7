/* server/connection.h -- one client's socket: requests at first, perhaps a WebSocket afterwards.
 *
 *   HTTP ──upgrade──> SOCKET ──┐
 *    └── last response ────────┴──> LINGER ──> DEAD
 *
 * A connection never waits. What the client does not read yet stays in a bounded queue, and
 * whoever fills it is closed (1013); while a response is on its way no further request is read.
 * LINGER: all has been written and our half is shut down; what the client still sends is
 * discarded for a moment, since closing at once could destroy the response on its way.
 *
 * A request of a long-poll client is parked until the host has an answer. It is kept meanwhile, and nothing behind it
 * is read; a client that goes away is noticed.
 *
 * A request of the HTTP API is parked likewise, until a room has answered.
 *
 * A SOCKET may also be an echo (server/echo.h): it answers itself, and the host's on_open, on_message
 * and on_end are not called for it.
 *
 * With TLS all of this happens to plaintext: server/tls.h stands between it and the socket.
 *
 * The host (server/edge_process.c) owns the loop, the timers and the edge; a connection calls it back when
 * something happened and is freed by it, never by itself. Nothing is written at once: a
 * connection with output asks to be flushed, so that all messages of one turn leave in one call. */
#ifndef LK_SERVER_CONNECTION_H
#define LK_SERVER_CONNECTION_H

#include "base/heap.h"
#include "base/list.h"
#include "channel/relay.h"
#include "server/forwarded.h"
#include "server/loop.h"
#include "server/routes.h"
#include "server/times.h"
#include "server/tls.h"
#include "wire/ws.h"

typedef struct lk_connection lk_connection;

typedef struct lk_connection_host {
  const lk_alloc *alloc;
  const lk_limits *limits;
  const lk_routes *routes;
  lk_loop *loop;
  lk_tls_server *tls; /* NULL: clients speak without TLS */
  const lk_times *times;
  lk_proxies proxies; /* that are believed */
  bool is_private;    /* only this machine can connect, and nobody is asked who he is */
  uint64_t forwarded[LK_FORWARDED_KINDS]; /* so many requests of each kind so far */
  uint64_t strangers;                     /* connections that were closed as such */
  uint8_t *scratch; /* for reading; used within one callback */
  size_t scratch_len;
  /* The client asks for a WebSocket: an error refuses it (503). Takes over answer->grant in any case. */
  lk_err (*on_open)(lk_connection *connection, const lk_http1_request *request,
                    const lk_answer *answer);
  /* A message. An error closes the WebSocket. May set |paused|. */
  lk_err (*on_message)(lk_connection *connection, lk_slice bytes, bool is_binary);
  /* The beginning of a message of |total| bytes, more than ws_message_bytes. Likewise; LK_ERR_TOO_BIG closes it with 1009. */
  lk_err (*on_beginning)(lk_connection *connection, lk_slice bytes, uint64_t total,
                         bool is_binary);
  /* The WebSocket that on_open allowed has ended. Called once. */
  void (*on_end)(lk_connection *connection);
  /* A long-poll client asks, and is parked: lk_connection_answer_poll() follows, now or later. An error
   * refuses it (503). Takes over answer->grant in any case. */
  lk_err (*on_poll)(lk_connection *connection, const lk_http1_request *request,
                    const lk_answer *answer);
  /* What was answered with |has_messages| is written, or the connection has died before that or while it was
   * parked. */
  void (*on_poll_end)(lk_connection *connection, bool is_written);
  /* A request of the HTTP API. The host sets |query|, and lk_connection_answered() follows; or it has written a response into
   * |out| at once. An error closes the connection. Takes over answer->grant in any case. */
  lk_err (*on_query)(lk_connection *connection, const lk_http1_request *request,
                     const lk_answer *answer);
  /* The connection has died while |query| was set; it is NULL now. */
  void (*on_query_end)(lk_connection *connection, void *query);
  /* How much waits to be read by the client has become more, or nothing to speak of. */
  void (*on_lag)(lk_connection *connection, lk_bus_lag lag);
  /* There is output, or the deadline changed, or the connection is dead: call lk_connection_settle
   * before the loop waits again. */
  void (*on_unsettled)(lk_connection *connection);
} lk_connection_host;

typedef enum lk_connection_state {
  LK_CONNECTION_HTTP,
  LK_CONNECTION_SOCKET,
  LK_CONNECTION_LINGER,
  LK_CONNECTION_DEAD,
} lk_connection_state;

/* What a connection is while it speaks HTTP. */
typedef struct lk_exchange {
  lk_connection *connection;
  lk_http1 http;
  lk_buf out; /* heads of responses, and small bodies */
  size_t out_off;
  lk_slice body;          /* of a response, behind |out|; not ours */
  void *query;            /* the host's, while a request of the HTTP API is parked; else NULL */
  uint32_t strange_bytes; /* that came from somebody without a token */
  uint8_t strange_count;  /* requests that were refused for want of one */
  lk_poller poller;       /* the host's, while it is parked or has messages */
} lk_exchange;

struct lk_connection {
  lk_connection_host *host;
  lk_watch watch;
  lk_link all;          /* the host's: every connection */
  lk_link unsettled;    /* the host's: those to be settled */
  lk_heap_item timer;   /* the host's */
  uint64_t edge_number; /* the host's, from on_open to on_end */
  lk_tls *tls;          /* NULL: plain */
  union {
    lk_exchange *exchange; /* owned: until |is_ws| */
    lk_ws ws;              /* from then on */
  };
  lk_buf *unread;      /* came behind what waits for output to be written; NULL: nothing */
  uint64_t stalled_ms; /* since when the client has not read, or we linger */
  uint64_t heard_ms;   /* when bytes came last */
  uint64_t told_ms;    /* when a message was queued last */
  uint8_t state;          /* lk_connection_state */
  uint8_t form;           /* lk_message_form: what the client asked for, from on_open on */
  uint8_t lag;            /* lk_bus_lag: what on_lag was told last */
  bool is_unsettled : 1;
  bool is_ws : 1;         /* it is a WebSocket, or was one */
  bool is_open : 1;       /* between on_open and on_end */
  bool is_echo : 1;
  bool last_response : 1; /* close behind what is in |out| and |body| */
  bool pinged : 1;        /* since heard_ms */
  bool draining : 1;      /* reads nothing new */
  bool resumes : 1;       /* what was kept unread is to be looked at */
  bool paused : 1;        /* by on_message, until lk_connection_resume() */
  bool parked : 1;        /* its request waits for lk_connection_answer_poll() */
  bool is_admitted : 1;   /* whoever sends the request that is being read may send a long body */
  bool has_messages : 1;  /* the response that is being written has messages of a long-poll session */
  bool is_strange : 1;    /* it was refused for want of a token as often as it may be, but once: the next response is the last */
};

/* Takes over |fd|, which is non-blocking. After LK_ERR_NOMEM or LK_ERR_LIMIT it is the caller's. */
lk_err lk_connection_open(lk_connection_host *host, int fd, lk_connection **out) LK_MUST_USE;

/* Closes the socket and frees. on_end has been called, or is called now. */
void lk_connection_close(lk_connection *self);

/* Queues a message; nothing where the WebSocket has ended. A client that is too slow for it is
 * closed with 1013, one that we have no memory for with 1011. */
void lk_connection_send(lk_connection *self, lk_slice bytes, bool is_binary);

/* The same for what lk_ws_frame_encode() made: one message to many is encoded once. */
void lk_connection_send_frames(lk_connection *self, lk_slice frames);

/* The answer to the request that on_poll was called for. */
void lk_connection_answer_poll(lk_connection *self, lk_slice json, bool has_messages);

/* |out| has the response to what on_query was called for, or |err| says why not: then the connection dies. */
void lk_connection_answered(lk_connection *self, lk_err err, bool keep_alive);

/* Messages are read again. */
void lk_connection_resume(lk_connection *self);

/* Ends the WebSocket with |code|. Its on_end is called at once: nothing more goes to the client. */
void lk_connection_end(lk_connection *self, uint16_t code, lk_slice reason);

/* It is to end: no new request or message is read. What was asked is still answered. */
void lk_connection_drain(lk_connection *self);

/* Writes what the client takes, and lets time-outs pass. */
void lk_connection_settle(lk_connection *self);

/* When lk_connection_settle must be called at the latest; LK_LOOP_NEVER. */
uint64_t lk_connection_deadline(const lk_connection *self);

static inline bool lk_connection_is_dead(const lk_connection *self) {
  return self->state == LK_CONNECTION_DEAD;
}

/* The WebSocket's close code for an error of the hub. */
uint16_t lk_connection_code_of(lk_err err);

#endif
