/* server/connection.c -- bytes between a socket and the two protocol machines.
 *
 * The machines decide, this file moves bytes. Its one subtlety is what may be read when:
 *
 *   HTTP     one request at a time. Bytes behind it are kept in |unread| (at most one scratch
 *            buffer) and nothing more is read until its response has been written.
 *   SOCKET   messages are read while less than half of the output's bound is waiting: a client
 *            that sends faster than it reads is slowed down before it is cut off. What one read
 *            brought beyond that is kept in |unread| too: few bytes may be many messages.
 *   LINGER   everything, to be thrown away.
 *
 * A parked request (a long-poll) is like a response that takes its time. What it waits for could be written to a
 * client that has gone, and be lost: so while it is parked the end of the client's half counts as its end.
 *
 * With TLS, what is read is decrypted record by record and handed on as if it had been read so; what is to be
 * written is encrypted when the socket may take it, LK_TLS_WRITE_MAX bytes ahead at most. A close_notify is the end of the client's
 * half, and is noticed when that would be noticed: where we would read on. That a client's end comes without one
 * is not held against it: requests and messages know where they end themselves.
 *
 * Silence costs (server/times.h): a request has 10 s, a connection between requests 30 s, a response 30 s without
 * progress, a WebSocket 60 s, unless settings say otherwise. The last would hit browsers that throttle the timers of
 * hidden pages, so that Phoenix's heartbeat of 30 s comes each minute: after 25 s we ping, and browsers answer a ping
 * without asking the page.
 *
 * Clients of a document (LK_MESSAGE_Y) have a clock of their own: y-websocket leaves a server of which it has
 * heard no message for 30 s, and pings are none. So it is sent an awareness update of nobody when nothing else was said.
 *
 * Ten thousand connections idle, each of them a WebSocket. So what HTTP needs is put away
 * when the upgrade is answered, and the answer is the first that the WebSocket has to write.
 *
 * Always: on_end is called once for each on_open that succeeded; what is dead is in no loop. */
#include "server/connection.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "platform/posix/clock.h"
#include "server/log.h"
#include "wire/upgrade.h"

#define HTTP_OUT_MAX 131072
#define LINGER_MS 2000
#define SOCKET_CLOSE_MS 5000
#define DOCUMENT_SILENCE_MS 20000
#define LONG_TIMES 16 /* ws_message_bytes: what is longer is not read to its end */
#define BODY_OF_STRANGERS_MAX 65536u
/* Parts of ws_output_bytes: with so much waiting a client is sent less, or nothing that others are sent, or all again. */
#define LAG_SLOW 16
#define LAG_BEHIND 4
#define LAG_OVER 64
#define WRITES_MAX 8 /* in one settling: then it is the others' turn */

static uint64_t now_of(const lk_connection *self) { return lk_loop_now(self->host->loop); }

static void unsettle(lk_connection *self) { self->host->on_unsettled(self); }

/* ---- birth and end ---- */

static void on_events(lk_watch *watch, uint32_t events);

/* |out| has heads, small bodies, the messages of a long-poll client, and what a room says to one of the API. */
static void init_out(lk_connection *self) {
  lk_buf_init(&self->exchange->out, self->host->alloc,
              (size_t)HTTP_OUT_MAX + lk_max_u32(self->host->limits->longpoll_output_bytes,
                                                self->host->limits->bus_frame_bytes));
}

/* One reading; with TLS also a record that had come but for its end. It is rare that anything has to be kept. */
static lk_err keep_unread(lk_connection *self, lk_slice in) {
  const lk_alloc *alloc = self->host->alloc;
  size_t more = self->host->tls != NULL ? LK_TLS_RECORD_MAX : 0;
  if (self->unread == NULL) {
    self->unread = lk_alloc_bytes(alloc, sizeof *self->unread);
    if (self->unread == NULL) return LK_ERR_NOMEM;
    lk_buf_init(self->unread, alloc, self->host->scratch_len + more);
  }
  return lk_buf_append(self->unread, in);
}

static void drop_unread(lk_connection *self) {
  if (self->unread == NULL) return;
  lk_buf_deinit(self->unread);
  lk_free_bytes(self->host->alloc, self->unread, sizeof *self->unread);
  self->unread = NULL;
}

static lk_err open_exchange(lk_connection *self) {
  const lk_connection_host *host = self->host;
  const lk_http1_options options = { .body_rules = host->routes->bodies,
                                     .body_rules_count = host->routes->bodies_count,
                                     .request_ms = host->times->http_request,
                                     .idle_ms = host->times->http_idle };
  self->exchange = lk_alloc_bytes(host->alloc, sizeof *self->exchange);
  if (self->exchange == NULL) return LK_ERR_NOMEM;
  *self->exchange = (lk_exchange){ .connection = self };
  lk_http1_init(&self->exchange->http, host->alloc, host->limits, &options, self->heard_ms);
  init_out(self);
  return LK_OK;
}

/* A request that was polled is gone with it. */
static void close_exchange(lk_connection *self) {
  if (self->exchange == NULL) return;
  lk_http1_deinit(&self->exchange->http);
  lk_buf_deinit(&self->exchange->out);
  lk_free_bytes(self->host->alloc, self->exchange, sizeof *self->exchange);
  self->exchange = NULL;
}

lk_err lk_connection_open(lk_connection_host *host, int fd, lk_connection **out) {
  lk_connection *self = lk_alloc_bytes(host->alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  *self = (lk_connection){ .host = host, .timer = LK_HEAP_ITEM_INIT, .watch = { .fd = -1 } };
  self->heard_ms = self->stalled_ms = now_of(self);
  lk_err err = open_exchange(self);
  if (err == LK_OK && host->tls != NULL) err = lk_tls_open(host->tls, self->heard_ms, &self->tls);
  if (err == LK_OK) err = lk_loop_add(host->loop, &self->watch, fd, EPOLLIN, on_events);
  if (err != LK_OK) {
    lk_tls_close(self->tls);
    close_exchange(self);
    lk_free_bytes(host->alloc, self, sizeof *self);
    return err;
  }
  *out = self;
  return LK_OK;
}

/* The host hears of the end at once, so that nothing more is sent to this client. */
static void leave_hub(lk_connection *self) {
  if (!self->is_open) return;
  self->is_open = false;
  if (!self->is_echo) self->host->on_end(self);
}

static void end_query(lk_connection *self) {
  void *query = self->is_ws ? NULL : self->exchange->query;
  if (query == NULL) return;
  self->exchange->query = NULL;
  self->parked = false;
  self->host->on_query_end(self, query);
}

static void end_poll(lk_connection *self, bool is_written) {
  if (!self->parked && !self->has_messages) return;
  self->parked = self->has_messages = false;
  self->host->on_poll_end(self, is_written);
}

/* So that the client can tell our end from somebody's scissors; where it does not take it at once, it cannot. */
static void say_goodbye(lk_connection *self) {
  if (self->tls == NULL) return;
  (void)lk_tls_end(self->tls);
  lk_slice last = lk_tls_output(self->tls);
  if (last.len > 0) (void)send(self->watch.fd, last.ptr, last.len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void die(lk_connection *self) {
  if (self->state == LK_CONNECTION_DEAD) return;
  int fd = self->watch.fd;
  leave_hub(self);
  end_query(self);
  end_poll(self, false);
  say_goodbye(self);
  lk_loop_remove(self->host->loop, &self->watch);
  (void)close(fd);
  self->state = LK_CONNECTION_DEAD;
  unsettle(self);
}

void lk_connection_close(lk_connection *self) {
  die(self);
  lk_tls_close(self->tls);
  if (self->is_ws) lk_ws_deinit(&self->ws);
  else close_exchange(self);
  drop_unread(self);
  lk_free_bytes(self->host->alloc, self, sizeof *self);
}

/* ---- what waits to be written ---- */

static bool is_socket(const lk_connection *self) { return self->state == LK_CONNECTION_SOCKET; }

/* Encrypted already. */
static lk_slice sealed_output(const lk_connection *self) {
  return self->tls != NULL ? lk_tls_output(self->tls) : LK_SLICE_EMPTY;
}

static bool has_response(const lk_connection *self) {
  const lk_exchange *x = self->is_ws ? NULL : self->exchange;
  if (x != NULL && (x->out_off < x->out.len || x->body.len > 0)) return true;
  return !is_socket(self) && sealed_output(self).len > 0;
}

static lk_slice socket_output(const lk_connection *self) {
  return is_socket(self) ? lk_ws_output(&self->ws) : LK_SLICE_EMPTY;
}

static bool has_output(const lk_connection *self) {
  return has_response(self) || socket_output(self).len > 0 || sealed_output(self).len > 0;
}

/* Whether the WebSocket takes messages, and behind them the peer's Close or its end. */
static bool takes_messages(const lk_connection *self) {
  if (!self->is_open) return true;
  if (self->paused) return false;
  return !self->draining && socket_output(self).len <= self->ws.limits->ws_output_bytes / 2;
}

static bool wants_input(const lk_connection *self) {
  switch (self->state) {
  case LK_CONNECTION_HTTP:
    return !self->draining && !self->parked && !has_response(self) && self->unread == NULL;
  case LK_CONNECTION_SOCKET: return self->unread == NULL && takes_messages(self);
  case LK_CONNECTION_LINGER: return true;
  case LK_CONNECTION_DEAD: return false;
  }
  LK_UNREACHABLE();
}

/* ---- requests ---- */

static void respond_failed(lk_connection *self, uint16_t status) {
  self->last_response = true;
  self->stalled_ms = now_of(self); /* it may be long since anything was written */
  if (lk_routes_refuse(status, lk_posix_wall_ms(), &self->exchange->out) != LK_OK) die(self);
}

static lk_ws_options socket_options(const lk_connection *self) {
  return (lk_ws_options){ .role = LK_WS_SERVER,
                          .idle_ms = self->host->times->socket_idle,
                          .close_ms = SOCKET_CLOSE_MS };
}

/* Messages that are too long are read where the client's form has a way to say so. */
static uint32_t long_bytes(const lk_connection *self) {
  uint64_t most = (uint64_t)self->host->limits->ws_message_bytes * LONG_TIMES;
  return self->form == LK_MESSAGE_V2 ? (uint32_t)lk_min_u64(most, UINT32_MAX) : 0;
}

/* |out| has the answer to the upgrade. The request is gone afterwards. */
static void become_socket(lk_connection *self, const lk_limits *limits,
                          const lk_ws_options *options) {
  lk_buf answer = self->exchange->out;
  init_out(self);
  close_exchange(self);
  lk_ws_init(&self->ws, self->host->alloc, limits, options, now_of(self));
  self->is_ws = true;
  self->state = LK_CONNECTION_SOCKET;
  if (lk_ws_send_frames(&self->ws, lk_buf_slice(&answer)) != LK_OK) die(self);
  lk_buf_deinit(&answer);
}

static void begin_echo(lk_connection *self, const lk_http1_request *request,
                       const lk_answer *answer) {
  const lk_echo *echo = self->host->routes->echo;
  const lk_ws_deflate_params *agreed = answer->packed ? &answer->deflate : NULL;
  lk_ws_options options = socket_options(self);
  if (agreed != NULL && lk_ws_deflate_open(self->host->alloc, &echo->deflate, agreed, true,
                                           &options.deflate) != LK_OK) {
    respond_failed(self, 503);
    return;
  }
  if (lk_upgrade_accept_deflate(request, NULL, 0, agreed, &self->exchange->out, NULL) != LK_OK) {
    lk_ws_deflate_close(options.deflate);
    die(self);
    return;
  }
  self->is_open = self->is_echo = true;
  become_socket(self, &echo->limits, &options);
}

static const lk_slice protocols[] = { LK_LIT_INIT("phoenix") };

/* Upgraded and closed in one response, which is the last: whoever is turned away gets no machine of its own, and what
 * it sends meanwhile is thrown away. */
static void turn_away(lk_connection *self, const lk_http1_request *request, lk_err why) {
  self->last_response = true;
  if (lk_upgrade_accept(request, protocols, 1, &self->exchange->out, NULL) != LK_OK ||
      lk_ws_close_encode(lk_connection_code_of(why), lk_slice_cstr(lk_err_name(why)),
                         &self->exchange->out) != LK_OK)
    die(self);
}

static void begin_socket(lk_connection *self, const lk_http1_request *request,
                         const lk_answer *answer) {
  self->form = (uint8_t)answer->form;
  lk_err err = self->host->on_open(self, request, answer);
  if (err != LK_OK) {
    respond_failed(self, 503);
    return;
  }
  self->is_open = true;
  self->told_ms = now_of(self);
  if (lk_upgrade_accept(request, protocols, 1, &self->exchange->out, NULL) != LK_OK) {
    die(self);
    return;
  }
  lk_ws_options options = socket_options(self);
  options.long_bytes = long_bytes(self);
  become_socket(self, self->host->limits, &options);
}

static void park(lk_connection *self, const lk_http1_request *request, const lk_answer *answer) {
  self->parked = true;
  lk_err err = self->host->on_poll(self, request, answer);
  if (err == LK_OK) return;
  self->parked = false;
  respond_failed(self, 503);
  if (self->state != LK_CONNECTION_DEAD) lk_http1_next(&self->exchange->http, now_of(self));
}

void lk_connection_answer_poll(lk_connection *self, lk_slice json, bool has_messages) {
  lk_http1_request request;
  bool is_there = lk_http1_poll(&self->exchange->http, &request);
  LK_ASSERT(self->parked && is_there);
  bool keep_alive = request.keep_alive && !self->draining;
  self->parked = false;
  self->has_messages = has_messages;
  self->last_response = !keep_alive;
  self->stalled_ms = now_of(self);
  if (lk_routes_answer_poll(json, lk_posix_wall_ms(), keep_alive, &self->exchange->out) != LK_OK) die(self);
  else lk_http1_next(&self->exchange->http, now_of(self));
  unsettle(self);
}

void lk_connection_answered(lk_connection *self, lk_err err, bool keep_alive) {
  lk_http1_request request;
  self->parked = false;
  self->exchange->query = NULL;
  self->last_response = !keep_alive || self->draining;
  self->stalled_ms = now_of(self);
  if (err != LK_OK) die(self);
  else if (lk_http1_poll(&self->exchange->http, &request)) lk_http1_next(&self->exchange->http, now_of(self));
  unsettle(self); /* else it was refused before its body, and nothing is read any more */
}

static void ask(lk_connection *self, const lk_http1_request *request, const lk_answer *answer) {
  self->parked = true;
  lk_err err = self->host->on_query(self, request, answer);
  if (err == LK_OK && self->exchange->query != NULL) return;
  lk_connection_answered(self, err, answer->keep_alive);
}

/* ---- whose request it is ---- */

static const char *address_of(const lk_far_end *client, char text[LK_ADDRESS_TEXT_MAX]) {
  return client->is_known ? lk_address_print(&client->address, text) : "somebody";
}

/* Where the headers of a proxy do not count, somebody has put one in front and not said so: the first time is told. */
static void tell_of_proxy(lk_connection *self, const lk_far_end *client) {
  char text[LK_ADDRESS_TEXT_MAX];
  lk_connection_host *host = self->host;
  if (host->forwarded[client->forwarded]++ > 0) return;
  if (client->forwarded == LK_FORWARDED_IGNORED)
    lk_log_say(LK_LOG_proxy_unknown,
               "%s passes on requests of others, and is none of trusted-proxies, so that it counts "
               "as the client%s",
               address_of(client, text),
               host->is_private ? "; whoever reaches it may do everything here, since there are no "
                                  "keys of tokens"
                                : "");
  else if (client->forwarded == LK_FORWARDED_TORN)
    lk_log_say(LK_LOG_proxy_torn,
               "%s, of trusted-proxies, passes on X-Forwarded-For and Forwarded that do not say the "
               "same, or no address; let it set one of them and remove the other",
               address_of(client, text));
}

/* A request was refused for want of a good token. Whoever brings none again and again has to connect anew, and is told so
 * by the last response. */
static void note_stranger(lk_connection *self, lk_err why) {
  const lk_limits *limits = self->host->limits;
  if (why == LK_OK || why == LK_ERR_DIALECT) return;
  if (self->is_strange) self->host->strangers++;
  if (self->exchange->strange_count < UINT8_MAX) self->exchange->strange_count++;
  self->is_strange = self->exchange->strange_count + 1u >= lk_min_u32(limits->edge_stranger_count, UINT8_MAX) ||
                     self->exchange->strange_bytes > limits->edge_stranger_bytes;
}

static lk_far_end client_of(lk_connection *self, const lk_http1_request *request) {
  lk_far_end client = { .scheme = self->tls != NULL ? LK_LIT("https") : LK_SLICE_EMPTY };
  if (!lk_forwarded_is_there(request)) return client;
  client.is_known = lk_address_of_peer(self->watch.fd, &client.address);
  lk_forwarded_read(&self->host->proxies, request, &client);
  tell_of_proxy(self, &client);
  return client;
}

static void tell_of_token(const lk_connection *self, lk_far_end client, lk_err why) {
  char text[LK_ADDRESS_TEXT_MAX];
  if (why == LK_OK || why == LK_ERR_DIALECT || !lk_log_is_on(LK_LOG_INFO)) return;
  if (!client.is_known)
    client.is_known = lk_address_of_peer(self->watch.fd, &client.address);
  lk_log_say(LK_LOG_token_refused, "%s brought no good token: %s (%s)", address_of(&client, text),
             lk_err_text(why), lk_err_name(why));
}

/* A whole request is there. */
static void answer_request(lk_connection *self) {
  lk_http1_request request;
  lk_answer answer;
  if (!lk_http1_poll(&self->exchange->http, &request)) return;
  self->is_admitted = false; /* the next one's sender is not */
  if (self->is_strange) request.keep_alive = false;
  const lk_far_end client = client_of(self, &request);
  lk_err err = lk_routes_answer(self->host->routes, &request, client.scheme, lk_posix_wall_ms(),
                                &self->exchange->out, &answer);
  if (err != LK_OK) {
    die(self);
    return;
  }
  tell_of_token(self, client, answer.why);
  note_stranger(self, answer.why);
  if (answer.poll) {
    park(self, &request, &answer);
    return;
  }
  if (answer.api) {
    ask(self, &request, &answer);
    return;
  }
  if (answer.upgrade && answer.echo) {
    begin_echo(self, &request, &answer);
  } else if (answer.upgrade && answer.why != LK_OK) {
    turn_away(self, &request, answer.why);
  } else if (answer.upgrade) {
    begin_socket(self, &request, &answer);
  } else {
    self->exchange->body = answer.body;
    self->last_response = !answer.keep_alive || self->draining;
  }
  self->stalled_ms = now_of(self);
  if (self->state == LK_CONNECTION_HTTP) lk_http1_next(&self->exchange->http, now_of(self));
}

/* A long body is read from those alone who have a good token, where one is asked for. True where it was refused. */
static bool refuse_body(lk_connection *self) {
  lk_http1_request head;
  uint64_t body_len;
  if (self->is_admitted || !lk_http1_poll_head(&self->exchange->http, &head, &body_len)) return false;
  if (body_len <= BODY_OF_STRANGERS_MAX) return false;
  lk_answer answer = { .api = true };
  answer.why = lk_routes_admit_body(self->host->routes, &head, self->host->alloc);
  self->is_admitted = answer.why == LK_OK;
  if (self->is_admitted) return false;
  LK_COVERED(connection_refuses_the_body_of_a_stranger);
  tell_of_token(self, client_of(self, &head), answer.why);
  head.keep_alive = false; /* what follows is that body */
  ask(self, &head, &answer);
  return true;
}

/* Leaves in |in| what stands behind the first request. */
static void take_http(lk_connection *self, lk_slice *in) {
  lk_err err = lk_http1_feed(&self->exchange->http, now_of(self), in);
  if (err == LK_ERR_NOMEM) {
    die(self);
  } else if (err != LK_OK) {
    *in = LK_SLICE_EMPTY;
    respond_failed(self, lk_http1_status(&self->exchange->http));
  } else if (!refuse_body(self)) {
    if (lk_http1_poll_continue(&self->exchange->http)) {
      (void)lk_http1_respond_begin(&self->exchange->out, 100);
      if (lk_http1_respond_end(&self->exchange->out) != LK_OK) die(self);
    }
    answer_request(self);
  }
}

/* ---- messages ---- */

uint16_t lk_connection_code_of(lk_err err) {
  switch (err) {
  case LK_ERR_LIMIT:
  case LK_ERR_FULL: return LK_WS_CODE_TRY_LATER;
  case LK_ERR_NOMEM: return LK_WS_CODE_INTERNAL;
  case LK_ERR_CLOSED: return LK_WS_CODE_GOING_AWAY;
  case LK_ERR_UNSUPPORTED: return LK_WS_CODE_UNSUPPORTED;
  /* HTTP's codes and 4000, as its providers have them: y-websocket does not come back after 44xx. */
  case LK_ERR_TOKEN_MISSING:
  case LK_ERR_TOKEN_INVALID:
  case LK_ERR_TOKEN_EXPIRED:
  case LK_ERR_TOKEN_CLAIMS:
  case LK_ERR_TOKEN_REVOKED: return 4401;
  case LK_ERR_DENIED: return 4403;
  case LK_ERR_UNMATCHED_TOPIC: return 4404;
  case LK_ERR_REFUSED: return 4422;
  case LK_ERR_DIALECT: return 4426;
  default: return LK_WS_CODE_POLICY; /* not 1000: clients would take that for good */
  }
}

void lk_connection_end(lk_connection *self, uint16_t code, lk_slice reason) {
  if (!is_socket(self)) return;
  if (lk_ws_close(&self->ws, now_of(self), code, reason) == LK_ERR_NOMEM) die(self);
  leave_hub(self);
  unsettle(self);
}

static void end_with(lk_connection *self, lk_err err) {
  lk_connection_end(self, lk_connection_code_of(err), lk_slice_cstr(lk_err_name(err)));
}

/* Of what may wait for a client: half of the limit is there for what is said to it alone. */
static lk_bus_lag lag_of(const lk_connection *self) {
  size_t waiting = lk_ws_output(&self->ws).len, most = self->host->limits->ws_output_bytes;
  if (waiting >= most / LAG_BEHIND) return LK_BUS_BEHIND;
  if (waiting < most / LAG_OVER) return LK_BUS_IN_STEP;
  return waiting >= most / LAG_SLOW && self->lag == LK_BUS_IN_STEP ? LK_BUS_SLOW : self->lag;
}

static void after_send(lk_connection *self, lk_err err) {
  if (err == LK_ERR_LIMIT) {
    lk_connection_end(self, LK_WS_CODE_TRY_LATER, LK_LIT("reads too slowly"));
  } else if (err != LK_OK) {
    lk_connection_end(self, LK_WS_CODE_INTERNAL, LK_SLICE_EMPTY);
  }
  /* Who has not read what came before is not tried again: the loop says when. But then rooms have to hear of it. */
  bool waits = (self->watch.events & EPOLLOUT) != 0;
  if (!waits || (is_socket(self) && lag_of(self) != self->lag)) unsettle(self);
}

static void send_message(lk_connection *self, lk_ws_kind kind, lk_slice payload) {
  self->told_ms = now_of(self);
  if (is_socket(self) && self->is_open) after_send(self, lk_ws_send(&self->ws, kind, payload));
}

void lk_connection_send(lk_connection *self, lk_slice bytes, bool is_binary) {
  send_message(self, is_binary ? LK_WS_BINARY : LK_WS_TEXT, bytes);
}

void lk_connection_send_frames(lk_connection *self, lk_slice frames) {
  self->told_ms = now_of(self);
  if (is_socket(self) && self->is_open) after_send(self, lk_ws_send_frames(&self->ws, frames));
}

void lk_connection_resume(lk_connection *self) {
  if (self->paused && is_socket(self)) {
    self->heard_ms = now_of(self);
    self->pinged = false;
    lk_ws_excuse(&self->ws, self->heard_ms);
  }
  self->paused = false;
  self->resumes = true;
  unsettle(self);
}

static void take_beginning(lk_connection *self, const lk_ws_event *event) {
  uint64_t total = (uint64_t)event->payload.len + event->dropped;
  lk_err err = self->host->on_beginning(self, event->payload, total, !event->text);
  if (err == LK_ERR_TOO_BIG) lk_connection_end(self, LK_WS_CODE_TOO_BIG, LK_SLICE_EMPTY);
  else if (err != LK_OK) end_with(self, err);
}

static void take_event(lk_connection *self, const lk_ws_event *event) {
  if (event->kind == LK_WS_ENDED) {
    leave_hub(self);
  } else if (!self->is_open) {
    return; /* it came while we were closing */
  } else if (self->is_echo) {
    send_message(self, event->text ? LK_WS_TEXT : LK_WS_BINARY, event->payload);
  } else if (event->dropped > 0) {
    take_beginning(self, event);
  } else {
    lk_err err = self->host->on_message(self, event->payload, !event->text);
    if (err != LK_OK) end_with(self, err);
  }
}

static void poll_events(lk_connection *self) {
  lk_ws_event event;
  while (is_socket(self) && lk_ws_poll(&self->ws, &event)) take_event(self, &event);
}

static void take_socket(lk_connection *self, lk_slice *in) {
  while (in->len > 0 && is_socket(self) && takes_messages(self)) {
    lk_err err = lk_ws_feed(&self->ws, now_of(self), in);
    poll_events(self);
    if (err == LK_ERR_NOMEM) die(self);
    if (err != LK_OK) *in = LK_SLICE_EMPTY;
  }
}

/* ---- reading ---- */

/* Hands |in| to the machines until output that must be written first blocks the way. */
static void take(lk_connection *self, lk_slice *in) {
  while (in->len > 0) {
    if (is_socket(self)) {
      if (!takes_messages(self)) return;
      take_socket(self, in);
    } else if (self->state != LK_CONNECTION_HTTP) {
      *in = LK_SLICE_EMPTY;
    } else if (has_response(self) || self->last_response || self->parked) {
      return;
    } else {
      take_http(self, in);
    }
  }
}

static void take_and_keep(lk_connection *self, lk_slice in) {
  if (self->unread == NULL) take(self, &in); /* else it stands behind that */
  if (in.len > 0 && keep_unread(self, in) != LK_OK) die(self);
}

/* What was kept, now that output has been written. */
static void take_unread(lk_connection *self) {
  if (self->unread == NULL) return;
  lk_slice in = lk_buf_slice(self->unread);
  size_t before = in.len;
  take(self, &in);
  if (in.len == 0) drop_unread(self);
  else lk_buf_consume(self->unread, before - in.len);
}

static void on_hang_up(lk_connection *self) {
  if (is_socket(self)) {
    lk_ws_lost(&self->ws);
    poll_events(self);
  }
  die(self);
}

/* It does not speak TLS as we do. Where that is all there is to say, it is told at leisure, as with a last response:
 * closing at once could destroy it on its way. */
static void on_tls_failed(lk_connection *self) {
  bool is_idle = self->state == LK_CONNECTION_HTTP && !self->parked && self->exchange->body.len == 0 &&
                 self->exchange->out_off == self->exchange->out.len;
  if (!is_idle) {
    on_hang_up(self);
    return;
  }
  self->last_response = true;
  self->stalled_ms = now_of(self);
}

static void take_sealed(lk_connection *self, lk_slice in) {
  lk_slice plain;
  lk_err err = LK_OK;
  lk_tls_feed(self->tls, in);
  while (self->state != LK_CONNECTION_DEAD && (err = lk_tls_read(self->tls, &plain)) == LK_OK)
    take_and_keep(self, plain);
  if (self->state != LK_CONNECTION_DEAD && err == LK_ERR_CLOSED) on_tls_failed(self);
}

static void receive(lk_connection *self) {
  ssize_t n = recv(self->watch.fd, self->host->scratch, self->host->scratch_len, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    on_hang_up(self);
    return;
  }
  self->heard_ms = now_of(self);
  self->pinged = false;
  if (!self->is_ws)
    self->exchange->strange_bytes += lk_min_u32((uint32_t)n, UINT32_MAX - self->exchange->strange_bytes);
  const lk_slice in = lk_slice_of(self->host->scratch, (size_t)n);
  if (self->tls == NULL) take_and_keep(self, in);
  else if (self->state != LK_CONNECTION_LINGER) take_sealed(self, in);
}

static void on_events(lk_watch *watch, uint32_t events) {
  lk_connection *self = LK_CONTAINER(watch, lk_connection, watch);
  bool lost = (events & (EPOLLERR | EPOLLHUP)) != 0 || (self->parked && (events & EPOLLRDHUP) != 0);
  if (wants_input(self) && (events & EPOLLIN) != 0) receive(self);
  else if (lost) on_hang_up(self);
  unsettle(self);
}

/* ---- writing ---- */

/* Head and body, or frames. */
static int gather(const lk_connection *self, struct iovec pieces[2]) {
  lk_slice slices[2] = { socket_output(self), LK_SLICE_EMPTY };
  int count = 0;
  if (!self->is_ws) {
    slices[0] = lk_slice_skip(lk_buf_slice(&self->exchange->out), self->exchange->out_off);
    slices[1] = self->exchange->body;
  }
  for (int i = 0; i < 2; i++) {
    if (slices[i].len == 0) continue;
    pieces[count].iov_base = (void *)(uintptr_t)slices[i].ptr; /* sendmsg does not write to it */
    pieces[count++].iov_len = slices[i].len;
  }
  return count;
}

static void consume(lk_connection *self, size_t count) {
  if (self->is_ws) {
    lk_ws_consume(&self->ws, count);
    return;
  }
  size_t n = lk_min_size(count, self->exchange->out.len - self->exchange->out_off);
  self->exchange->out_off += n;
  count -= n;
  if (self->exchange->out_off == self->exchange->out.len) {
    lk_buf_deinit(&self->exchange->out);
    init_out(self);
    self->exchange->out_off = 0;
    if (self->tls == NULL && self->has_messages) end_poll(self, true);
  }
  self->exchange->body = lk_slice_skip(self->exchange->body, count);
}

/* From the queues into records, as much as may be there. */
static void seal(lk_connection *self) {
  struct iovec pieces[2];
  int count = gather(self, pieces);
  size_t taken = 0, total = 0;
  lk_err err = LK_OK;
  for (int i = 0; i < count && err == LK_OK; i++) {
    err = lk_tls_write(self->tls, lk_slice_of(pieces[i].iov_base, pieces[i].iov_len), &taken);
    total += taken;
    if (taken < pieces[i].iov_len) break;
  }
  if (total > 0) consume(self, total);
  if (err != LK_OK) die(self);
}

/* Messages of a long-poll session count as written when their last record is. */
static void consume_sealed(lk_connection *self, size_t count) {
  lk_tls_consume(self->tls, count);
  if (self->has_messages && !has_response(self)) end_poll(self, true);
}

static int gather_sealed(lk_connection *self, struct iovec pieces[2]) {
  seal(self);
  lk_slice records = lk_tls_output(self->tls);
  pieces[0].iov_base = (void *)(uintptr_t)records.ptr;
  pieces[0].iov_len = records.len;
  return records.len > 0 ? 1 : 0;
}

static ssize_t write_pieces(int fd, struct iovec *pieces, int count) {
  const struct msghdr message = { .msg_iov = pieces, .msg_iovlen = (size_t)count };
  const int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
  /* Nearly always it is one piece, for which the kernel has less to do. */
  return count == 1 ? send(fd, pieces->iov_base, pieces->iov_len, flags)
                    : sendmsg(fd, &message, flags);
}

/* True where something was written and there may be room for more. */
static bool write_some(lk_connection *self) {
  struct iovec pieces[2];
  if (self->state == LK_CONNECTION_DEAD) return false;
  int count = self->tls == NULL ? gather(self, pieces) : gather_sealed(self, pieces);
  if (self->state == LK_CONNECTION_DEAD || count == 0) return false;
  ssize_t n = write_pieces(self->watch.fd, pieces, count);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (n < 0) {
    on_hang_up(self);
    return false;
  }
  self->stalled_ms = now_of(self);
  if (self->tls == NULL) consume(self, (size_t)n);
  else consume_sealed(self, (size_t)n);
  return true;
}

/* All is written and the end is decided: shut our half and wait for the other. */
static void linger(lk_connection *self) {
  bool ended = is_socket(self) ? lk_ws_is_closed(&self->ws) : self->last_response;
  if (self->state == LK_CONNECTION_LINGER || !ended || has_output(self) || self->parked) return;
  if (self->tls != NULL && lk_tls_end(self->tls)) (void)write_some(self);
  if (self->state == LK_CONNECTION_DEAD || has_output(self)) return;
  (void)shutdown(self->watch.fd, SHUT_WR);
  leave_hub(self);
  self->state = LK_CONNECTION_LINGER;
  self->stalled_ms = now_of(self);
}

/* ---- time ---- */

/* When the present state has lasted too long, whatever the machines say. */
static uint64_t stall_deadline(const lk_connection *self) {
  if (self->state == LK_CONNECTION_LINGER) return self->stalled_ms + LINGER_MS;
  if (self->state == LK_CONNECTION_HTTP && has_response(self))
    return self->stalled_ms + self->host->times->http_write;
  return LK_LOOP_NEVER;
}

/* We do not read what it sends, so we cannot know whether it is silent. */
static bool is_held(const lk_connection *self) { return self->paused && self->is_open; }

static uint64_t ping_deadline(const lk_connection *self) {
  if (!is_socket(self) || !self->is_open || self->pinged || is_held(self)) return LK_LOOP_NEVER;
  return self->heard_ms + (uint64_t)self->host->times->socket_idle * 5 / 12;
}

static uint64_t silence_deadline(const lk_connection *self) {
  bool is_document = is_socket(self) && self->is_open && self->form == LK_MESSAGE_Y;
  return is_document ? self->told_ms + DOCUMENT_SILENCE_MS : LK_LOOP_NEVER;
}

static uint64_t machine_deadline(const lk_connection *self) {
  if (is_socket(self)) return is_held(self) ? LK_LOOP_NEVER : lk_ws_deadline(&self->ws);
  bool reads = self->state == LK_CONNECTION_HTTP && !has_response(self);
  return reads ? lk_http1_deadline(&self->exchange->http) : LK_LOOP_NEVER;
}

static uint64_t handshake_deadline(const lk_connection *self) {
  return self->tls != NULL ? lk_tls_deadline(self->tls) : LK_LOOP_NEVER;
}

static uint64_t earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }

uint64_t lk_connection_deadline(const lk_connection *self) {
  if (self->state == LK_CONNECTION_DEAD) return LK_LOOP_NEVER;
  return earlier(
      earlier(stall_deadline(self), handshake_deadline(self)),
      earlier(earlier(ping_deadline(self), silence_deadline(self)), machine_deadline(self)));
}

static void tick_http(lk_connection *self) {
  if (has_response(self) || self->last_response) return;
  bool idle = lk_http1_is_idle(&self->exchange->http);
  if (lk_http1_tick(&self->exchange->http, now_of(self)) == LK_OK) return;
  if (idle) die(self);
  else respond_failed(self, lk_http1_status(&self->exchange->http));
}

static void tick_socket(lk_connection *self) {
  /* y-protocols' awareness: one message, one byte, the number of clients. */
  if (silence_deadline(self) <= now_of(self))
    lk_connection_send(self, LK_LIT("\x01\x01\x00"), true);
  if (ping_deadline(self) <= now_of(self)) {
    self->pinged = true;
    lk_err err = lk_ws_send_ping(&self->ws, LK_SLICE_EMPTY);
    if (err != LK_OK) LK_COVERED(connection_ping_has_no_room); /* then the idle time-out decides */
  }
  if (!is_held(self)) lk_ws_tick(&self->ws, now_of(self));
  poll_events(self);
  if (is_socket(self) && lk_ws_is_expired(&self->ws)) die(self);
}

static void tick(lk_connection *self) {
  if (stall_deadline(self) <= now_of(self) || handshake_deadline(self) <= now_of(self)) die(self);
  if (earlier(machine_deadline(self), earlier(ping_deadline(self), silence_deadline(self))) >
      now_of(self))
    return;
  if (is_socket(self)) tick_socket(self);
  else if (self->state == LK_CONNECTION_HTTP) tick_http(self);
}

/* ---- settling ---- */

void lk_connection_drain(lk_connection *self) {
  self->draining = true;
  if (self->state == LK_CONNECTION_HTTP && !has_response(self) && !self->parked) die(self);
  else unsettle(self);
  if (self->state == LK_CONNECTION_HTTP) self->last_response = true;
}

static void watch_lag(lk_connection *self) {
  if (!is_socket(self) || !self->is_open || self->is_echo) return;
  lk_bus_lag lag = lag_of(self);
  if (lag == self->lag) return;
  self->lag = (uint8_t)lag;
  self->host->on_lag(self, lag);
}

void lk_connection_settle(lk_connection *self) {
  if (self->state == LK_CONNECTION_DEAD) return;
  tick(self);
  if (self->resumes && !has_response(self)) take_unread(self);
  self->resumes = false;
  int writes = 0;
  while (writes < WRITES_MAX && write_some(self)) {
    if (!has_response(self) && !self->last_response) take_unread(self);
    writes++;
  }
  if (writes == WRITES_MAX) unsettle(self);
  if (self->state == LK_CONNECTION_DEAD) return;
  watch_lag(self);
  linger(self);
  if (self->tls != NULL && lk_tls_has_ended(self->tls) && wants_input(self)) on_hang_up(self);
  if (self->state == LK_CONNECTION_DEAD) return;
  uint32_t events = (wants_input(self) ? (uint32_t)EPOLLIN : 0) |
                    (has_output(self) ? (uint32_t)EPOLLOUT : 0) |
                    (self->parked ? (uint32_t)EPOLLRDHUP : 0);
  lk_loop_modify(self->host->loop, &self->watch, events);
}
