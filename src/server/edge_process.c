/* server/edge_process.c -- one turn of the event loop, over and over.
 *
 *   epoll ──> connections read and parse ──message──> edge ──bus──> rings to rooms
 *   rings from rooms ──bus──> edge ──message──> frames in the connections' queues
 *   turn:  rings emptied and filled
 *          answers of long-poll sessions ──> their parked connections
 *          output of the edge ──> frames in the connections' queues
 *          timers due ──> connections
 *          settle each connection that changed: write, re-arm its timer, free the dead
 *
 * Callbacks only parse and queue; all writing happens in settle, once for each connection and
 * turn. Settling may lose a connection, and losing one may give the edge something to say, so
 * a turn repeats until nothing changes, but not for ever: what is left makes the next one due.
 *
 * Draining has three steps. All clients at once would come back at once, so they leave in batches: as many each
 * DRAIN_TICK_MS as it takes to be through within the setting, and no fewer than DRAIN_BATCH, so that a few leave at once.
 * Whoever has not had its turn yet is served as ever.
 *   SPREAD   those whose turn it is are not read any more; when what they asked is answered, WebSockets are closed
 *            with 1012. Sessions of long-poll end likewise
 *   EDGE     nobody is read any more; what was asked is answered
 *   CLOSE    what is left is closed, every response finished; when no connection is left, we end
 *
 * A long-poll session (channel/longpoll.h) is a connection of the edge without one of ours, which it borrows from one
 * request to the next. It lives in this process, and the kernel gives each new connection to any edge process: so
 * a poll whose token names another edge is asked there, and its answer comes back (channel/relay.h), while the
 * connection is parked as for a session of ours.
 *
 * Always: a connection is in |places| exactly while its WebSocket is open in the edge. */
#include "server/edge_process.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/posix/clock.h"
#include "platform/posix/heap.h"
#include "platform/posix/random.h"
#include "base/budget.h"
#include "channel/edge.h"
#include "channel/longpoll.h"
#include "channel/relay.h"
#include "server/api_desk.h"
#include "server/api_rates.h"
#include "server/connection.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/process.h"

#define SCRATCH_SIZE 65536
#define ACCEPT_BATCH 16 /* then it is the others' turn */
#define ACCEPT_PAUSE_MS 100
/* Of one client, in the kernel: the rest of what it does not read is ours to count. */
#define UNSENT_BYTES_MAX 131072
#define TURN_ROUNDS 8
#define DESCRIPTORS_KEPT 64 /* beyond the connections' own */
#define FRAMES_KEPT 65536   /* bytes of a message to many; a longer one's are given back */
#define PIECES_MAX 4096     /* of one room process in one round: then it is the others' turn */
#define FRAME_MAX (64u << 20)
#define PATIENCE_MS 5000 /* beyond a window, for another edge's answer */
#define DRAIN_TICK_MS 100
#define EXPIRY_LOOK_MS 60000 /* at the latest, since clocks are set */
#define DRAIN_BATCH 8

typedef enum drain_step { DRAIN_NOT, DRAIN_SPREAD, DRAIN_EDGE, DRAIN_CLOSE } drain_step;

typedef struct edge_process {
  const lk_edge_process_options *options;
  lk_limits limits;
  lk_slabs slabs;
  lk_budget budget; /* of all that strangers make us keep */
  lk_env env;
  lk_loop loop;
  lk_watch listen_watch;
  lk_watch bell_watch;
  lk_bell *bell;
  lk_edge *edge;
  lk_longpoll longpoll;
  lk_relay relay;
  lk_api_desk desk;
  lk_api_rates api_rates;
  lk_http1_body_rule bodies[LK_ROUTES_BODIES_COUNT];
  lk_link_sender senders[LK_EDGE_HOUSES_MAX];
  lk_link_sender edge_senders[LK_RELAY_EDGES_MAX];
  lk_routes routes;
  lk_echo echo;
  lk_tls_files tls_files;
  lk_tls_server tls;
  lk_connection_host host; /* connections find the process around it */
  lk_connection **places;  /* by the lower half of the number that the edge gave */
  uint32_t places_cap;
  lk_buf frames; /* one message to many */
  lk_heap timers;
  lk_list connections;
  bool has_news; /* for houses, since edges were run last */
  lk_list unsettled;
  uint64_t accept_again_ms; /* LK_LOOP_NEVER while accepting */
  uint64_t drain_ends_ms;
  uint64_t drain_tick_ms; /* of SPREAD */
  uint32_t drain_batch;   /* so many leave each time */
  lk_histogram latency_told;
  lk_histogram holds_told;
  lk_histogram tls_told;
  uint64_t relayed;
  uint64_t accepted;
  uint64_t refused;
  drain_step drain;
  uint8_t scratch[SCRATCH_SIZE];
} edge_process;

static edge_process *of_connection(const lk_connection *c) {
  return LK_CONTAINER(c->host, edge_process, host);
}

/* The connection that the edge calls |number|; NULL where it has ended. */
static lk_connection *find(const edge_process *self, uint64_t number) {
  uint64_t place = number & UINT32_MAX;
  lk_connection *c = place < self->places_cap ? self->places[place] : NULL;
  return c != NULL && c->edge_number == number ? c : NULL;
}

/* ---- what connections call ---- */

static lk_err make_place(edge_process *self, uint64_t place) {
  size_t cap;
  if (place < self->places_cap) return LK_OK;
  if (!lk_grow_cap(self->places_cap, (size_t)place + 1, 64, UINT32_MAX / 2, &cap))
    return LK_ERR_LIMIT;
  lk_connection **places = lk_resize_array(self->env.alloc, self->places, self->places_cap, cap,
                                           sizeof(lk_connection *));
  if (places == NULL) return LK_ERR_NOMEM;
  memset((void *)(places + self->places_cap), 0,
         (cap - self->places_cap) * sizeof(lk_connection *));
  self->places = places;
  self->places_cap = (uint32_t)cap;
  return LK_OK;
}

static lk_err on_open(lk_connection *c, const lk_http1_request *request, const lk_answer *answer) {
  edge_process *self = of_connection(c);
  if (self->drain != DRAIN_NOT) {
    lk_grant_free(answer->grant, self->env.alloc);
    return LK_ERR_CLOSED;
  }
  lk_err err = lk_edge_connect(self->edge, c->form, answer->grant, &c->edge_number);
  if (err != LK_OK) return err;
  err = make_place(self, c->edge_number & UINT32_MAX);
  if (err != LK_OK) {
    lk_edge_disconnect(self->edge, c->edge_number);
    return err;
  }
  (void)request;
  if (c->form == LK_MESSAGE_Y)
    err = lk_edge_open_document(self->edge, c->edge_number,
                                lk_slice_of(answer->topic, answer->topic_len),
                                LK_LIT("{\"dialect\":\"y\"}"));
  if (err != LK_OK) {
    lk_edge_disconnect(self->edge, c->edge_number);
    return err;
  }
  self->places[c->edge_number & UINT32_MAX] = c;
  return LK_OK;
}

/* Tokens say wall-clock time, which may be set; so each turn looks at it anew. */
static void expire(const edge_process *self) {
  if (lk_edge_deadline(self->edge) != UINT64_MAX) lk_edge_step(self->edge, lk_posix_wall_ms());
}

static uint64_t expiry_deadline(const edge_process *self) {
  uint64_t wall = lk_edge_deadline(self->edge), now = lk_posix_wall_ms();
  if (wall == UINT64_MAX) return LK_LOOP_NEVER;
  uint64_t left = wall > now ? wall - now : 0;
  return lk_loop_now(&self->loop) + lk_min_u64(left, EXPIRY_LOOK_MS);
}

static lk_err on_message(lk_connection *c, lk_slice bytes, bool is_binary) {
  const edge_process *self = of_connection(c);
  lk_edge_set_time(self->edge, lk_posix_monotonic_us());
  expire(self);
  lk_err err = lk_edge_receive(self->edge, c->edge_number, bytes, is_binary);
  c->paused = lk_edge_is_full(self->edge, c->edge_number);
  if (err == LK_ERR_CLOSED) return LK_OK; /* it was ended just now: its CLOSE says why */
  return err;
}

static lk_err on_beginning(lk_connection *c, lk_slice bytes, uint64_t total, bool is_binary) {
  const edge_process *self = of_connection(c);
  lk_edge_set_time(self->edge, lk_posix_monotonic_us());
  expire(self);
  lk_err err = lk_edge_receive_beginning(self->edge, c->edge_number, bytes, total, is_binary);
  c->paused = lk_edge_is_full(self->edge, c->edge_number);
  return err == LK_ERR_CLOSED ? LK_OK : err;
}

static void on_end(lk_connection *c) {
  edge_process *self = of_connection(c);
  LK_ASSERT(find(self, c->edge_number) == c);
  self->places[c->edge_number & UINT32_MAX] = NULL;
  lk_edge_disconnect(self->edge, c->edge_number);
}

static lk_err ask_longpoll(edge_process *self, const lk_longpoll_request *request, bool is_post,
                           lk_buf *out, uint64_t *session) {
  return is_post ? lk_longpoll_post(&self->longpoll, request, out, session)
                 : lk_longpoll_get(&self->longpoll, request, out, session);
}

/* A session of ours, or none. */
static lk_err poll_here(edge_process *self, lk_connection *c, lk_longpoll_request *asked,
                        bool is_post) {
  uint8_t random[LK_LONGPOLL_RANDOM_LEN];
  lk_buf json;
  lk_err err = lk_posix_random(random, sizeof random);
  if (err != LK_OK) return err;
  lk_relay_mark(&self->relay, random);
  asked->random = random;
  c->exchange->poller.is_relayed = false;
  lk_buf_init(&json, self->env.alloc, 4096);
  err = ask_longpoll(self, asked, is_post, &json, &c->edge_number);
  if (err == LK_OK && c->edge_number == 0) lk_connection_answer_poll(c, lk_buf_slice(&json), false);
  lk_buf_deinit(&json);
  return err;
}

static lk_err on_poll(lk_connection *c, const lk_http1_request *request, const lk_answer *answer) {
  edge_process *self = of_connection(c);
  lk_longpoll_request asked = { .now_ms = lk_loop_now(&self->loop),
                                .token = answer->token,
                                .waiter = &c->exchange->poller,
                                .form = answer->form,
                                .body = request->body,
                                .is_batch = answer->is_batch,
                                .grant = answer->grant };
  uint32_t edge = lk_relay_edge_of(&self->relay, answer->token);
  bool is_ours = edge == self->options->index;
  bool is_new = is_ours && !lk_longpoll_knows(&self->longpoll, answer->token);
  bool is_refused = self->drain > DRAIN_SPREAD || (is_new && self->drain != DRAIN_NOT);
  if (is_refused || !is_new || answer->is_post) {
    lk_grant_free(asked.grant, self->env.alloc);
    asked.grant = NULL;
  }
  if (is_refused) return LK_ERR_CLOSED;
  lk_edge_set_time(self->edge, lk_posix_monotonic_us());
  if (is_ours) return poll_here(self, c, &asked, answer->is_post);
  self->relayed++;
  c->exchange->poller.is_relayed = true;
  return lk_relay_ask(&self->relay, edge, &asked, answer->is_post, &c->edge_number);
}

static void on_poll_end(lk_connection *c, bool is_written) {
  edge_process *self = of_connection(c);
  uint64_t now = lk_loop_now(&self->loop);
  if (c->exchange->poller.is_relayed && is_written) lk_relay_written(&self->relay, c->edge_number);
  else if (c->exchange->poller.is_relayed) lk_relay_lost(&self->relay, c->edge_number);
  else if (is_written)
    lk_longpoll_written(&self->longpoll, c->edge_number, &c->exchange->poller, now);
  else lk_longpoll_lost(&self->longpoll, c->edge_number, &c->exchange->poller, now);
}

/* How many seconds the client of |request| has to wait, since it is too fast. */
static uint32_t take_rate(edge_process *self, const lk_connection *c,
                          const lk_http1_request *request, const lk_answer *answer) {
  lk_far_end client = { .is_known = false };
  lk_slice subject = answer->grant == NULL ? LK_SLICE_EMPTY : lk_grant_subject(answer->grant);
  if (lk_api_rates_need_address(&self->api_rates, subject)) {
    client.is_known = lk_address_of_peer(c->watch.fd, &client.address);
    lk_forwarded_read(&self->host.proxies, request, &client);
  }
  return lk_api_rates_take(&self->api_rates, subject, client.is_known ? &client.address : NULL,
                           request->body.len, lk_posix_monotonic_us());
}

/* A call of the HTTP API: it waits, or has its response. */
static lk_err on_query(lk_connection *c, const lk_http1_request *request, const lk_answer *answer) {
  edge_process *self = of_connection(c);
  const lk_api_options options = { .alloc = self->env.alloc,
                                   .limits = &self->limits,
                                   .aliases = self->options->aliases,
                                   .is_open = self->routes.access == NULL,
                                   .is_draining = self->routes.draining,
                                   .wait_s = take_rate(self, c, request, answer) };
  lk_api_pending *pending = NULL;
  lk_edge_set_time(self->edge, lk_posix_monotonic_us());
  lk_err err = lk_api_desk_take(&self->desk, &options, request, answer->why, answer->grant, c,
                                lk_loop_now(&self->loop), lk_posix_wall_ms(), &c->exchange->out,
                                &pending);
  lk_grant_free(answer->grant, self->env.alloc);
  c->exchange->query = pending;
  return err;
}

static void on_query_end(lk_connection *c, void *query) {
  lk_api_desk_leave(&of_connection(c)->desk, query);
}

static void answer_query(edge_process *self, lk_api_pending *pending) {
  lk_connection *c = pending->asker;
  bool keep_alive = !c->draining;
  c->exchange->query = NULL;
  lk_err err = lk_api_desk_finish(&self->desk, pending, lk_posix_wall_ms(), &keep_alive,
                                  &c->exchange->out);
  lk_connection_answered(c, err, keep_alive);
}

static void on_lag(lk_connection *c, lk_bus_lag lag) {
  edge_process *self = of_connection(c);
  lk_edge_set_lag(self->edge, c->edge_number, lag);
  self->has_news = true;
}

static void on_unsettled(lk_connection *c) {
  if (c->is_unsettled) return;
  c->is_unsettled = true;
  lk_list_push_last(&of_connection(c)->unsettled, &c->unsettled);
}

/* ---- accepting ---- */

/* One write of a response that is always the same; a client that is not ready for it gets none. */
static void turn_away(edge_process *self, int fd) {
  lk_buf out;
  lk_buf_init(&out, self->env.alloc, 4096);
  /* With TLS there is no cheap way to say it. */
  if (self->host.tls == NULL && lk_routes_refuse(503, lk_posix_wall_ms(), &out) == LK_OK)
    (void)send(fd, out.ptr, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
  lk_buf_deinit(&out);
  (void)close(fd);
  self->refused++;
  lk_log_say(LK_LOG_connections_refused,
             "connections are turned away: this process has %u, which is as many as it may",
             (unsigned)self->connections.count);
}

static bool is_full(const edge_process *self) {
  return self->connections.count >= self->limits.server_connections_count;
}

static void welcome(edge_process *self, int fd) {
  lk_connection *c;
  if (is_full(self) || lk_connection_open(&self->host, fd, &c) != LK_OK) {
    turn_away(self, fd);
    return;
  }
  lk_list_push_last(&self->connections, &c->all);
  on_unsettled(c); /* arms its timer */
  self->accepted++;
}

static lk_err accept_connections(edge_process *self);

static void pause_accepting(edge_process *self) {
  lk_loop_remove(&self->loop, &self->listen_watch);
  self->accept_again_ms = lk_loop_now(&self->loop) + ACCEPT_PAUSE_MS;
}

/* What accept() says of a connection that ended while it waited in the queue is of no interest. */
static bool is_of_one_connection(int code) {
  return code == ECONNABORTED || code == EINTR || code == EPROTO || code == ENETDOWN ||
         code == EHOSTUNREACH;
}

static bool others_have_room(const edge_process *self) {
  const lk_links *links = self->options->links;
  for (uint32_t i = 0; i < lk_links_edges(links); i++) {
    if (i != self->options->index &&
        lk_links_hear(lk_links_edge_numbers(links, i), LK_NUMBER_connections) <
            self->limits.server_connections_count)
      return true;
  }
  return false;
}

/* Of all edge processes that sleep, the kernel wakes the one that has waited longest for this socket
 * (EPOLLEXCLUSIVE). Without an end to its wait that would always be the same one. */
static void stand_behind(edge_process *self) {
  lk_loop_remove(&self->loop, &self->listen_watch);
  if (accept_connections(self) != LK_OK) pause_accepting(self);
}

static void on_listen(lk_watch *watch, uint32_t events) {
  edge_process *self = LK_CONTAINER(watch, edge_process, listen_watch);
  (void)events;
  stand_behind(self);
  for (int i = 0; i < ACCEPT_BATCH; i++) {
    if (is_full(self) && others_have_room(self)) { /* the kernel gives connections to any edge */
      pause_accepting(self);
      return;
    }
    int fd = accept4(self->options->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      welcome(self, fd);
    } else if (!is_of_one_connection(errno)) {
      /* Out of descriptors or memory: level-triggered epoll would spin. */
      if (errno != EAGAIN) pause_accepting(self);
      return;
    }
  }
}

/* Sockets that are accepted inherit it. */
static void set_up_sockets(int listen_fd) {
  const int on = 1, unsent = UNSENT_BYTES_MAX;
  (void)setsockopt(listen_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  (void)setsockopt(listen_fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
}

static lk_err accept_connections(edge_process *self) {
  self->accept_again_ms = LK_LOOP_NEVER;
  return lk_loop_add(&self->loop, &self->listen_watch, self->options->listen_fd,
                     EPOLLIN | (uint32_t)EPOLLEXCLUSIVE, on_listen);
}

/* ---- the edge ---- */

/* One message to many: its frame is made once. */
static void send_to_many(edge_process *self, const lk_edge_output *output) {
  lk_buf_truncate(&self->frames, 0);
  lk_err err = lk_ws_frame_encode(output->is_binary ? LK_WS_BINARY : LK_WS_TEXT, output->bytes,
                                  &self->frames);
  for (uint32_t i = 0; i < output->count; i++) {
    lk_connection *c = find(self, output->connections[i]);
    if (c == NULL) lk_longpoll_take(&self->longpoll, output->connections[i], output->bytes);
    else if (err == LK_OK) lk_connection_send_frames(c, lk_buf_slice(&self->frames));
    else lk_connection_end(c, lk_connection_code_of(err), LK_SLICE_EMPTY);
  }
  lk_buf_rest(&self->frames, FRAMES_KEPT);
}

/* What is for none of the connections is for a long-poll session, or for somebody who went meanwhile. */
static void take_poll_output(edge_process *self, const lk_edge_output *output) {
  uint64_t session = output->connections[0];
  switch (output->kind) {
  case LK_EDGE_SEND: lk_longpoll_take(&self->longpoll, session, output->bytes); break;
  case LK_EDGE_RESUME: lk_longpoll_resume(&self->longpoll, session); break;
  case LK_EDGE_CLOSE: lk_longpoll_close(&self->longpoll, session); break;
  case LK_EDGE_ANSWER: break; /* has no connection */
  }
}

static void take_output(edge_process *self, const lk_edge_output *output) {
  if (output->kind == LK_EDGE_ANSWER) {
    lk_api_pending *pending = lk_api_desk_hear(&self->desk, output);
    if (pending != NULL) answer_query(self, pending);
    return;
  }
  lk_connection *c = find(self, output->connections[0]);
  if (output->count > 1) send_to_many(self, output);
  else if (c == NULL) take_poll_output(self, output);
  else if (output->kind == LK_EDGE_SEND) lk_connection_send(c, output->bytes, output->is_binary);
  else if (output->kind == LK_EDGE_RESUME) lk_connection_resume(c);
  else
    lk_connection_end(c, lk_connection_code_of(output->reason),
                      lk_slice_cstr(lk_err_name(output->reason)));
}

static lk_channel_ring *ring_from(const edge_process *self, uint32_t room) {
  return lk_links_to_edge(self->options->links, self->options->index, room);
}

/* What a room process says is passed on at once: the edge keeps no more of it than one piece. */
static void take_from_room(edge_process *self, uint32_t room) {
  lk_channel_ring *ring = ring_from(self, room);
  lk_edge_output output;
  lk_slice piece;
  bool is_first, wants_room = false;
  if (!lk_channel_ring_is_empty(ring)) lk_edge_set_time(self->edge, lk_posix_monotonic_us());
  for (int count = 0; count < PIECES_MAX; count++) {
    lk_err err = lk_channel_ring_peek(ring, &piece, &is_first);
    if (err == LK_ERR_END) break;
    if (err != LK_OK) continue; /* it was emptied: what comes next begins a frame */
    lk_edge_feed(self->edge, room, piece, is_first);
    wants_room |= lk_channel_ring_consume(ring);
    while (lk_edge_poll(self->edge, &output)) take_output(self, &output);
  }
  if (wants_room) lk_bell_ring(lk_links_room_bell(self->options->links, room));
}

/* How much went; likewise below. */
static size_t give_to_room(edge_process *self, uint32_t room) {
  lk_slice out = lk_edge_bus_output(self->edge, room);
  size_t sent = out.len > 0 ? lk_link_send(&self->senders[room], out) : 0;
  if (sent > 0) lk_edge_bus_consume(self->edge, room, sent);
  return sent;
}

static lk_connection *who_polls(lk_poller *waiter) {
  return LK_CONTAINER(waiter, lk_exchange, poller)->connection;
}

/* Messages of the edge become answers to polls, and what a poll goes on with gives the edge messages. */
static void run_longpoll(edge_process *self) {
  lk_longpoll_answer answer;
  lk_edge_output output;
  while (lk_longpoll_is_due(&self->longpoll)) {
    while (lk_longpoll_poll(&self->longpoll, &answer)) {
      lk_poller *waiter = answer.waiter;
      if (waiter->is_relayed) lk_relay_take(&self->relay, &answer);
      else
        lk_connection_answer_poll(who_polls(waiter), answer.body, answer.has_messages);
    }
    while (lk_edge_poll(self->edge, &output)) take_output(self, &output);
  }
}

/* Where the session is nowhere, no new one is made, as for a token that nobody knows: what the client's request proved
 * was for its old one. It asks without a token next. */
static void take_relayed(const lk_relay_answer *answer) {
  lk_slice body = answer->is_gone ? LK_LIT("{\"status\":410}") : answer->body;
  lk_connection_answer_poll(who_polls(answer->waiter), body, answer->has_messages);
}

static lk_channel_ring *way_from(const edge_process *self, uint32_t edge) {
  return lk_links_way(self->options->links, edge, self->options->index);
}

static void take_from_edge(edge_process *self, uint32_t edge) {
  lk_channel_ring *ring = way_from(self, edge);
  lk_relay_answer answer;
  lk_slice piece;
  bool is_first, wants_room = false;
  for (int count = 0; count < PIECES_MAX; count++) {
    lk_err err = lk_channel_ring_peek(ring, &piece, &is_first);
    if (err == LK_ERR_END) break;
    if (err != LK_OK) continue; /* it was emptied: what comes next begins a frame */
    for (; lk_relay_feed(&self->relay, edge, &piece, is_first, &answer); is_first = false)
      take_relayed(&answer);
    wants_room |= lk_channel_ring_consume(ring);
  }
  if (wants_room) lk_bell_ring(lk_links_edge_bell(self->options->links, edge));
}

static size_t give_to_edge(edge_process *self, uint32_t edge) {
  if (edge == self->options->index) return 0;
  lk_slice out = lk_relay_output(&self->relay, edge);
  size_t sent = out.len > 0 ? lk_link_send(&self->edge_senders[edge], out) : 0;
  if (sent > 0) lk_relay_consume(&self->relay, edge, sent);
  return sent;
}

static size_t give_all(edge_process *self) {
  const lk_links *links = self->options->links;
  size_t sent = 0;
  for (uint32_t i = 0; i < links->rooms_count; i++) sent += give_to_room(self, i);
  for (uint32_t i = 0; i < lk_links_edges(links); i++) sent += give_to_edge(self, i);
  return sent;
}

static void run_relay(edge_process *self) {
  lk_relay_answer answer;
  for (uint32_t i = 0; i < lk_links_edges(self->options->links); i++) {
    if (i != self->options->index) take_from_edge(self, i);
  }
  while (lk_relay_poll(&self->relay, &answer)) take_relayed(&answer);
}

static void run_edge(edge_process *self) {
  const lk_links *links = self->options->links;
  lk_edge_output output;
  while (lk_edge_poll(self->edge, &output)) take_output(self, &output);
  for (uint32_t i = 0; i < links->rooms_count; i++) take_from_room(self, i);
  run_relay(self);
  run_longpoll(self);
  (void)give_all(self);
}

/* True where we may sleep: from now on a writer rings, and a reader who has made room. Who did so a moment ago saw us
 * awake: so what found no room is tried once more. */
static bool prepare_to_sleep(edge_process *self) {
  const lk_links *links = self->options->links;
  lk_bell_prepare(self->bell);
  bool is_empty = give_all(self) == 0;
  for (uint32_t i = 0; i < links->rooms_count && is_empty; i++)
    is_empty = lk_channel_ring_is_empty(ring_from(self, i));
  for (uint32_t i = 0; i < lk_links_edges(links) && is_empty; i++)
    is_empty = i == self->options->index || lk_channel_ring_is_empty(way_from(self, i));
  if (!is_empty) lk_bell_wake(self->bell);
  return is_empty;
}

static void on_bell(lk_watch *watch, uint32_t events) {
  (void)events;
  lk_bell_drain(LK_CONTAINER(watch, edge_process, bell_watch)->bell);
}

/* ---- numbers ---- */

static void say_numbers(edge_process *self) {
  lk_links_numbers *row = lk_links_edge_numbers(self->options->links, self->options->index);
  lk_edge_stats stats = lk_edge_get_stats(self->edge);
  lk_links_say(row, LK_NUMBER_connections, self->connections.count);
  lk_links_say(row, LK_NUMBER_accepted, self->accepted);
  lk_links_say(row, LK_NUMBER_refused, self->refused);
  lk_links_say(row, LK_NUMBER_sockets, stats.connections);
  lk_links_say(row, LK_NUMBER_messages_in, stats.messages_in);
  lk_links_say(row, LK_NUMBER_messages_out, stats.messages_out);
  lk_links_say(row, LK_NUMBER_unanswered, stats.unanswered);
  lk_links_say(row, LK_NUMBER_unauthorized, stats.unauthorized);
  lk_links_say(row, LK_NUMBER_throttled, stats.held);
  lk_links_say(row, LK_NUMBER_throttled_connections, stats.held_by_connection);
  lk_links_say(row, LK_NUMBER_throttled_subjects, stats.held_by_subject);
  lk_links_say(row, LK_NUMBER_throttled_topics, stats.held_by_topic);
  lk_links_say(row, LK_NUMBER_refused_topics, stats.refused_topics);
  lk_links_say(row, LK_NUMBER_refused_too_big, stats.refused_too_big);
  lk_links_say(row, LK_NUMBER_refused_strangers, stats.refused_strangers + self->host.strangers);
  lk_links_say(row, LK_NUMBER_refused_full, stats.refused_full);
  lk_links_say(row, LK_NUMBER_tokens_ended, stats.leases_ended);
  if (self->options->keys != NULL)
    lk_links_say(row, LK_NUMBER_tokens_refused, lk_keyring_refused(self->options->keys));
  lk_links_say(row, LK_NUMBER_requests_proxied, self->host.forwarded[LK_FORWARDED_TAKEN]);
  lk_links_say(row, LK_NUMBER_forwarded_ignored,
               self->host.forwarded[LK_FORWARDED_IGNORED] + self->host.forwarded[LK_FORWARDED_TORN]);
  lk_links_say(row, LK_NUMBER_sent_again, stats.sent_again);
  lk_links_say(row, LK_NUMBER_api_documents, self->desk.asked[LK_API_DOC]);
  lk_links_say(row, LK_NUMBER_api_objects, self->desk.asked[LK_API_CRDT]);
  lk_links_say(row, LK_NUMBER_api_others, self->desk.asked[LK_API_OTHER]);
  lk_links_say(row, LK_NUMBER_api_refused, self->desk.refused);
  lk_links_say(row, LK_NUMBER_api_throttled, self->api_rates.refused);
  lk_links_say(row, LK_NUMBER_longpoll_sessions, lk_longpoll_count(&self->longpoll));
  lk_links_say(row, LK_NUMBER_longpoll_relayed, self->relayed);
  lk_links_say(row, LK_NUMBER_tls_handshakes, self->tls.handshakes);
  lk_links_say(row, LK_NUMBER_tls_failures, self->tls.failures);
  lk_links_tell(row, LK_HISTOGRAM_tls_handshake, &self->tls.times, &self->tls_told);
  lk_links_tell(row, LK_HISTOGRAM_request, lk_edge_latency(self->edge), &self->latency_told);
  lk_links_tell(row, LK_HISTOGRAM_throttle, lk_edge_holds(self->edge), &self->holds_told);
}

/* Whether a poll is of a session, which has been asked for its token. */
static bool has_poll(void *ctx, lk_slice token) {
  const edge_process *self = ctx;
  return lk_relay_edge_of(&self->relay, token) != self->options->index ||
         lk_longpoll_knows(&self->longpoll, token);
}

static void write_metrics(void *ctx, lk_buf *out) {
  edge_process *self = ctx;
  say_numbers(self);
  lk_metrics_write(self->options->links, out);
}

static bool are_rooms_ready(void *ctx) {
  const edge_process *self = ctx;
  return lk_links_is_ready(self->options->links, lk_posix_monotonic_ms());
}

/* ---- draining ---- */

static void drain_rest(edge_process *self) {
  self->drain = DRAIN_EDGE;
  for (lk_link *at = self->connections.first; at != NULL; at = at->next)
    lk_connection_drain(LK_CONTAINER(at, lk_connection, all));
}

static uint32_t leavers(const edge_process *self) {
  uint32_t sessions = lk_longpoll_count(&self->longpoll);
  return lk_max_u32(self->connections.count, sessions);
}

static void begin_drain(edge_process *self) {
  uint64_t now = lk_loop_now(&self->loop);
  uint32_t span = self->options->times.drain, ticks = span / DRAIN_TICK_MS;
  uint32_t count = leavers(self);
  self->routes.ready = false;
  self->routes.draining = true;
  self->drain_ends_ms = now + span + lk_times_give_up(&self->options->times);
  self->drain_batch = lk_max_u32(DRAIN_BATCH, ticks > 0 ? count / ticks + 1 : count);
  self->drain = DRAIN_SPREAD;
  self->drain_tick_ms = now;
  if (count <= self->drain_batch) drain_rest(self);
}

static void on_signal(void *ctx, int number) {
  edge_process *self = ctx;
  (void)number;
  if (self->drain != DRAIN_NOT) return;
  begin_drain(self);
  lk_links_set(&lk_links_edge_numbers(self->options->links, self->options->index)->ready, 0);
  self->accept_again_ms = LK_LOOP_NEVER;
  lk_loop_remove(&self->loop, &self->listen_watch);
}

static void close_one(lk_connection *c) {
  lk_connection_end(c, LK_WS_CODE_RESTART, LK_LIT("the server restarts"));
}

/* WebSockets are let go of in the order in which they came, and closed when they have their answers. What they ask
 * meanwhile, by HTTP, is answered until the last of them has gone. */
static void drain_batch(edge_process *self) {
  uint32_t left = self->drain_batch;
  bool is_any_left = false;
  for (lk_link *at = self->connections.first; at != NULL; at = at->next) {
    lk_connection *c = LK_CONTAINER(at, lk_connection, all);
    if (!c->is_open) continue;
    is_any_left = true;
    if (!c->draining && left > 0) {
      left--;
      lk_connection_drain(c);
    }
    if (c->draining && lk_edge_is_answered(self->edge, c->edge_number)) close_one(c);
  }
  lk_longpoll_end_some(&self->longpoll, self->drain_batch);
  self->drain_tick_ms = lk_loop_now(&self->loop) + DRAIN_TICK_MS;
  if (!is_any_left && lk_longpoll_count(&self->longpoll) == 0) drain_rest(self);
}

static void close_rest(edge_process *self) {
  self->drain = DRAIN_CLOSE;
  lk_longpoll_end_some(&self->longpoll, UINT32_MAX);
  run_longpoll(self);
  lk_relay_end_all(&self->relay);
  run_relay(self);
  for (lk_link *at = self->connections.first; at != NULL; at = at->next)
    close_one(LK_CONTAINER(at, lk_connection, all));
}

static void advance_drain(edge_process *self) {
  if (self->drain == DRAIN_SPREAD && lk_loop_now(&self->loop) >= self->drain_tick_ms)
    drain_batch(self);
  if (self->drain == DRAIN_EDGE && lk_edge_is_idle(self->edge)) close_rest(self);
  bool done = self->drain == DRAIN_CLOSE && self->connections.count == 0;
  if (done || (self->drain != DRAIN_NOT && lk_loop_now(&self->loop) >= self->drain_ends_ms))
    lk_loop_stop(&self->loop);
}

/* ---- a turn ---- */

static void arm(edge_process *self, lk_connection *c) {
  uint64_t deadline = lk_connection_deadline(c);
  if (c->timer.place != LK_HEAP_OUT) {
    /* A timer that fires early only looks again: moving it for each message would cost more. */
    if (deadline < c->timer.key) lk_heap_move(&self->timers, &c->timer, deadline);
    return;
  }
  lk_err err = lk_heap_push(&self->timers, &c->timer, deadline);
  LK_ASSERT(err == LK_OK); /* room for every connection was made at the start */
}

static void free_connection(edge_process *self, lk_connection *c) {
  if (c->timer.place != LK_HEAP_OUT) lk_heap_remove(&self->timers, &c->timer);
  lk_list_remove(&self->connections, &c->all);
  if (c->is_unsettled) lk_list_remove(&self->unsettled, &c->unsettled);
  c->is_unsettled = true; /* nothing may queue it again */
  lk_connection_close(c);
}

/* Those that become unsettled meanwhile wait for the next round. */
static void settle_all(edge_process *self) {
  for (uint32_t count = self->unsettled.count; count > 0 && self->unsettled.count > 0; count--) {
    lk_connection *c = LK_CONTAINER(lk_list_pop_first(&self->unsettled), lk_connection, unsettled);
    c->is_unsettled = false;
    lk_connection_settle(c);
    if (lk_connection_is_dead(c)) free_connection(self, c);
    else arm(self, c);
  }
}

static void fire_timers(edge_process *self) {
  uint64_t now = lk_loop_now(&self->loop);
  for (lk_heap_item *item; (item = lk_heap_first(&self->timers)) != NULL && item->key <= now;) {
    (void)lk_heap_pop(&self->timers);
    on_unsettled(LK_CONTAINER(item, lk_connection, timer));
  }
}

/* Who was too fast goes on, to the millisecond of the loop. */
static uint64_t holds_deadline(const edge_process *self) {
  uint64_t at_us = lk_edge_tick_deadline(self->edge);
  return at_us == UINT64_MAX ? LK_LOOP_NEVER : at_us / 1000 + 1;
}

static uint64_t next_deadline(const edge_process *self) {
  if (self->unsettled.count > 0) return 0;
  uint64_t deadline = LK_LOOP_NEVER;
  const lk_heap_item *first = lk_heap_first(&self->timers);
  if (first != NULL) deadline = first->key;
  if (self->accept_again_ms < deadline) deadline = self->accept_again_ms;
  if (self->host.tls != NULL && lk_tls_files_deadline(&self->tls_files) < deadline)
    deadline = lk_tls_files_deadline(&self->tls_files);
  if (self->drain != DRAIN_NOT && self->drain_ends_ms < deadline) deadline = self->drain_ends_ms;
  if (self->drain == DRAIN_SPREAD && self->drain_tick_ms < deadline) deadline = self->drain_tick_ms;
  if (lk_relay_deadline(&self->relay) < deadline) deadline = lk_relay_deadline(&self->relay);
  deadline = lk_min_u64(deadline, lk_api_desk_deadline(&self->desk));
  deadline = lk_min_u64(deadline, expiry_deadline(self));
  deadline = lk_min_u64(deadline, holds_deadline(self));
  if (self->options->keys != NULL)
    deadline = lk_min_u64(deadline, lk_keyring_deadline(self->options->keys));
  if (lk_longpoll_deadline(&self->longpoll) < deadline)
    deadline = lk_longpoll_deadline(&self->longpoll);
  return deadline;
}

static uint64_t turn(void *ctx) {
  edge_process *self = ctx;
  lk_bell_wake(self->bell);
  if (self->host.tls != NULL) lk_tls_files_tick(&self->tls_files, lk_loop_now(&self->loop));
  if (self->accept_again_ms <= lk_loop_now(&self->loop) && accept_connections(self) != LK_OK)
    pause_accepting(self);
  fire_timers(self);
  expire(self);
  if (holds_deadline(self) <= lk_loop_now(&self->loop))
    lk_edge_tick(self->edge, lk_posix_monotonic_us());
  if (self->options->keys != NULL && lk_keyring_tick(self->options->keys, lk_loop_now(&self->loop)))
    lk_edge_recheck(self->edge);
  lk_longpoll_tick(&self->longpoll, lk_loop_now(&self->loop));
  lk_relay_tick(&self->relay, lk_loop_now(&self->loop));
  for (lk_api_pending *late;
       (late = lk_api_desk_late(&self->desk, lk_loop_now(&self->loop))) != NULL;)
    answer_query(self, late);
  for (int i = 0; i < TURN_ROUNDS; i++) {
    run_edge(self);
    advance_drain(self);
    if (self->unsettled.count == 0) break;
    settle_all(self);
  }
  if (self->has_news) run_edge(self);
  self->has_news = false;
  say_numbers(self);
  lk_links_blame_of_edge(self->options->links, self->options->index);
  return prepare_to_sleep(self) ? next_deadline(self) : 0;
}

/* ---- birth and end ---- */

/* As many descriptors as the system grants, and no more connections than that. */
static void fit_to_descriptors(lk_limits *limits) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &files);
  uint64_t room = files.rlim_cur > 2 * DESCRIPTORS_KEPT ? files.rlim_cur - DESCRIPTORS_KEPT
                                                        : DESCRIPTORS_KEPT;
  if (limits->server_connections_count > room) limits->server_connections_count = (uint32_t)room;
}

static lk_err reserve_timers(edge_process *self) {
  lk_heap_item *all = lk_alloc_array(self->env.alloc, self->limits.server_connections_count,
                                     sizeof *all);
  if (all == NULL) return LK_ERR_NOMEM;
  lk_err err = LK_OK;
  for (uint32_t i = 0; i < self->limits.server_connections_count && err == LK_OK; i++) {
    all[i] = (lk_heap_item)LK_HEAP_ITEM_INIT;
    err = lk_heap_push(&self->timers, &all[i], i);
  }
  while (lk_heap_pop(&self->timers) != NULL) continue;
  lk_free_array(self->env.alloc, all, self->limits.server_connections_count, sizeof *all);
  return err;
}

static lk_err open_edge(edge_process *self) {
  uint64_t seeds[10];
  lk_err err = lk_posix_random(seeds, sizeof seeds);
  if (err != LK_OK) return err;
  err = lk_edge_open(&(lk_edge_options){ .env = &self->env,
                                         .limits = &self->limits,
                                         .generation = seeds[0] | 1,
                                         .hash_seed = { seeds[1], seeds[2] },
                                         .access = self->routes.access,
                                         .rates = self->options->rates,
                                         .houses_count = lk_links_rooms(self->options->links),
                                         .gate = self->options->links->has_webhooks
                                                     ? &self->options->gate
                                                     : NULL,
                                         .aliases = self->options->aliases },
                     &self->edge);
  if (err != LK_OK) return err;
  lk_api_desk_init(&self->desk, self->env.alloc, &self->limits, self->edge,
                   lk_links_rooms(self->options->links));
  lk_api_rates_init(&self->api_rates, self->env.alloc, &self->options->rates,
                    self->limits.server_connections_count, seeds + 8);
  lk_longpoll_init(&self->longpoll,
                   &(lk_longpoll_options){ .alloc = self->env.alloc,
                                           .limits = &self->limits,
                                           .edge = self->edge,
                                           .hash_seed = { seeds[3], seeds[4] },
                                           .window_ms = self->options->times.longpoll_window });
  return lk_relay_open(
      &self->relay,
      &(lk_relay_options){ .alloc = self->env.alloc,
                           .limits = &self->limits,
                           .longpoll = &self->longpoll,
                           .generation = seeds[5] | 1,
                           .hash_seed = { seeds[6], seeds[7] },
                           .edges_count = lk_links_edges(self->options->links),
                           .index = self->options->index,
                           .patience_ms = self->options->times.longpoll_window + PATIENCE_MS });
}

/* The supervisor looks at the files as well, and says what becomes of them. */
static lk_err open_tls(edge_process *self) {
  if (self->options->tls == NULL) return LK_OK;
  self->tls_files = *self->options->tls;
  self->tls_files.is_quiet = true;
  lk_err err = lk_tls_server_init(&self->tls, self->env.alloc, &self->tls_files,
                                  self->options->tickets);
  if (err == LK_OK) self->host.tls = &self->tls;
  self->tls.handshake_ms = self->options->times.tls_handshake;
  self->tls.clock_us = lk_posix_monotonic_us;
  return err;
}

static lk_err open_process(edge_process *self, const lk_edge_process_options *options) {
  const lk_links *links = options->links;
  lk_err err;
  *self = (edge_process){
    .options = options, .limits = options->limits, .loop.epoll = -1, .loop.signals = -1
  };
  const lk_alloc *heap;
  lk_process_heap(&self->slabs, false, &heap, NULL);
  lk_budget_init(&self->budget, heap, self->limits.edge_memory_bytes);
  self->env = (lk_env)LK_ENV_INIT(&self->budget.alloc, NULL);
  self->listen_watch.fd = self->bell_watch.fd = -1;
  self->bell = lk_links_edge_bell(links, options->index);
  for (uint32_t i = 0; i < links->rooms_count; i++) {
    self->senders[i] = (lk_link_sender){ .ring = lk_links_to_room(links, options->index, i),
                                         .bell = lk_links_room_bell(links, i) };
  }
  for (uint32_t i = 0; i < lk_links_edges(links); i++) {
    if (i != options->index)
      self->edge_senders[i] = (lk_link_sender){ .ring = lk_links_way(links, options->index, i),
                                                .bell = lk_links_edge_bell(links, i) };
  }
  fit_to_descriptors(&self->limits);
  lk_echo_init(&self->echo, &self->limits);
  self->routes = (lk_routes){
    .assets = options->assets,
    .ready = true,
    .is_ready = are_rooms_ready,
    .metrics = write_metrics,
    .origins = &options->origins,
    .access = options->keys != NULL ? lk_keyring_access(options->keys) : NULL,
    .has_poll = has_poll,
    .aliases = options->aliases,
    .y_off = options->y_off,
    .y_off_count = options->y_off_count,
    .ctx = self,
  };
  lk_routes_bodies(&self->limits, self->bodies);
  self->routes.bodies = self->bodies;
  self->routes.bodies_count = LK_ROUTES_BODIES_COUNT;
  if (options->debug_echo) self->routes.echo = &self->echo;
  self->host = (lk_connection_host){ .alloc = self->env.alloc,
                                     .limits = &self->limits,
                                     .routes = &self->routes,
                                     .loop = &self->loop,
                                     .times = &options->times,
                                     .proxies = options->proxies,
                                     .is_private = options->keys == NULL &&
                                                   !options->origins.is_reachable,
                                     .scratch = self->scratch,
                                     .scratch_len = SCRATCH_SIZE,
                                     .on_open = on_open,
                                     .on_message = on_message,
                                     .on_beginning = on_beginning,
                                     .on_end = on_end,
                                     .on_poll = on_poll,
                                     .on_poll_end = on_poll_end,
                                     .on_query = on_query,
                                     .on_query_end = on_query_end,
                                     .on_lag = on_lag,
                                     .on_unsettled = on_unsettled };
  lk_buf_init(&self->frames, self->env.alloc, FRAME_MAX);
  lk_heap_init(&self->timers, self->env.alloc, self->limits.server_connections_count);
  if (options->keys != NULL) lk_keyring_set_quiet(options->keys); /* the supervisor says it */
  if ((err = open_tls(self)) != LK_OK) return err;
  if ((err = reserve_timers(self)) != LK_OK) return err;
  if ((err = lk_loop_init(&self->loop)) != LK_OK) return err;
  if ((err = lk_process_watch_signals(&self->loop, on_signal, self)) != LK_OK) return err;
  if ((err = lk_loop_add(&self->loop, &self->bell_watch, self->bell->fd, EPOLLIN, on_bell)) !=
      LK_OK)
    return err;
  if ((err = open_edge(self)) != LK_OK) return err;
  set_up_sockets(options->listen_fd);
  return accept_connections(self);
}

/* Connections first, since they tell the edge. */
static void close_process(edge_process *self) {
  while (self->connections.first != NULL) {
    free_connection(self, LK_CONTAINER(self->connections.first, lk_connection, all));
  }
  lk_api_desk_deinit(&self->desk);
  lk_api_rates_deinit(&self->api_rates);
  lk_relay_close(&self->relay);
  lk_longpoll_deinit(&self->longpoll);
  lk_edge_close(self->edge);
  lk_keyring_close(self->options->keys);
  lk_tls_server_deinit(&self->tls);
  lk_tls_files_close(&self->tls_files);
  lk_loop_deinit(&self->loop);
  lk_heap_deinit(&self->timers);
  lk_buf_deinit(&self->frames);
  lk_free_array(self->env.alloc, (void *)self->places, self->places_cap, sizeof(lk_connection *));
  lk_slabs_deinit(&self->slabs);
}

int lk_edge_process_run(const lk_edge_process_options *options) {
  const lk_alloc *heap = lk_posix_heap();
  int code = LK_PROCESS_STOPPED;
  edge_process *self = lk_alloc_bytes(heap, sizeof *self);
  if (self == NULL) return LK_PROCESS_FAILED;
  lk_err err = open_process(self, options);
  if (err == LK_OK) {
    lk_process_tell_ready(options->links, lk_links_edge_numbers(options->links, options->index),
                          options->ready_fd);
    lk_loop_run(&self->loop, turn, self);
  } else {
    lk_log_say(LK_LOG_edge_refused, "connections cannot be taken: %s (%s)", lk_err_text(err),
               lk_err_name(err));
    code = LK_PROCESS_HOPELESS;
  }
  close_process(self);
  lk_free_bytes(heap, self, sizeof *self);
  return code;
}
