/* server/routes.h -- what a request gets: the pages, the state of the server, or a WebSocket.
 *
 *   /socket/websocket     upgraded, for Phoenix clients of vsn 2.0.x and 1.0.x
 *   /y/NAME               upgraded, for y-websocket: the document doc:NAME, whose name may have slashes and escapes
 *   /socket/longpoll      for the same clients where there is no WebSocket (channel/longpoll.h)
 *   /healthz  /readyz     for whoever watches the server: it lives; it takes work
 *   /metrics              counters, in Prometheus' text format
 *   /debug/echo           upgraded, where the server was started with --debug-echo (server/echo.h)
 *   /api/  /render/       the HTTP API (server/api.h)
 *   anything else         a file of the pages; GET and HEAD
 *
 * Every request must name this server in its Host header, and a WebSocket must come from a page
 * that may or from a program (server/origin.h). Where tokens are asked for, a WebSocket and the first poll of a session bring
 * one: as "Authorization: Bearer", in Sec-WebSocket-Protocol or X-Phoenix-AuthToken as phoenix.js does, or as
 * token=... of the query; the first of these counts. What is refused gets a short JSON body:
 * {"error":code,"message":text}.
 *
 * A page cannot see why an upgrade was refused, and y-websocket tries again for ever. So a client of /y/ without a good
 * token, or of a document that is not to be had there, is upgraded and closed at once with a code that says so.
 *
 * Requests in, bytes out: no socket, no file, no clock. */
#ifndef LK_SERVER_ROUTES_H
#define LK_SERVER_ROUTES_H

#include "server/assets.h"
#include "channel/access.h"
#include "channel/alias.h"
#include "channel/message.h"
#include "server/echo.h"
#include "server/origin.h"
#include "wire/http1.h"

typedef struct lk_routes {
  const lk_assets *assets;
  const lk_echo *echo;              /* NULL: there is none */
  bool ready;                       /* /readyz says 200, if is_ready does not disagree */
  bool (*is_ready)(void *ctx);      /* or NULL */
  const lk_http1_body_rule *bodies; /* of lk_routes_bodies() */
  uint32_t bodies_count;
  bool draining; /* with |ready| false: it stops, and says so */
  const lk_origin_rules *origins; /* NULL: this machine's */
  const lk_access *access;        /* NULL: nobody is asked for a token */
  /* Whether the token of a long-poll may name a session: then its client has been asked. With |access|. */
  bool (*has_poll)(void *ctx, lk_slice token);
  lk_aliases aliases;       /* of topics */
  const lk_slice *y_off;    /* topics, or beginnings of them, that are not to be had at /y/ */
  size_t y_off_count;
  /* Appends the text of /metrics. */
  void (*metrics)(void *ctx, lk_buf *out);
  void *ctx;
} lk_routes;

#define LK_ROUTES_TOPIC_MAX 255

typedef struct lk_answer {
  bool upgrade; /* nothing was written: the caller upgrades, or answers with lk_routes_refuse. Where |why| is not LK_OK, it closes
                 * the WebSocket at once, and says that */
  bool echo;    /* with |upgrade|: what comes is sent back */
  bool packed;  /* with |echo|: compression was agreed on, as |deflate| says */
  bool keep_alive;
  bool poll; /* nothing was written: the caller asks channel/longpoll.h, and says what that says */
  bool is_post; /* with |poll| */
  bool is_batch;
  uint8_t topic[LK_ROUTES_TOPIC_MAX]; /* with |upgrade| and LK_MESSAGE_Y: the document, so many bytes of UTF-8 */
  uint16_t topic_len;
  bool api;   /* nothing was written: the caller asks by server/api.h, and says what that says */
  lk_err why; /* LK_OK, or what is wrong with the client's token; with |upgrade| also with its topic. What it is for where neither
               * |api| nor |upgrade| is set has been written */
  lk_slice token;       /* with |poll|: in the request; empty: none */
  lk_message_form form; /* with |upgrade| or |poll|: what the client speaks */
  lk_grant *grant; /* with |upgrade|, |poll| or |api|: what the client's token gave; the caller's. NULL: none */
  lk_ws_deflate_params deflate;
  lk_slice body; /* follows what was written; lives as long as the program */
} lk_answer;

/* Answers |request| at |wall_ms|, of a page that reaches the server by |scheme|: "http" or "https", or empty where that is not
 * known. LK_ERR_NOMEM, LK_ERR_LIMIT: |out| is as before. */
lk_err lk_routes_answer(const lk_routes *self, const lk_http1_request *request, lk_slice scheme,
                        uint64_t wall_ms, lk_buf *out, lk_answer *answer) LK_MUST_USE;

/* Whether the client of |head|, of which only the head has come, may send a long body: LK_OK, or why its token is not
 * good. It says nothing of paths and rights. */
lk_err lk_routes_admit_body(const lk_routes *self, const lk_http1_request *head,
                            const lk_alloc *alloc) LK_MUST_USE;

/* Appends a whole response with what a long-poll session answered. */
lk_err lk_routes_answer_poll(lk_slice json, uint64_t wall_ms, bool keep_alive,
                             lk_buf *out) LK_MUST_USE;

/* How long the bodies of requests may be. |out| must live as long as the machines that read them. */
#define LK_ROUTES_BODIES_COUNT 3
void lk_routes_bodies(const lk_limits *limits, lk_http1_body_rule out[LK_ROUTES_BODIES_COUNT]);

/* Appends the header that says what time it is. */
void lk_routes_write_date(lk_buf *out, uint64_t wall_ms);

/* Appends a whole response that says |status|, one of 400 and above, and ends the connection. */
lk_err lk_routes_refuse(uint16_t status, uint64_t wall_ms, lk_buf *out) LK_MUST_USE;

#endif
