/* server/worker.c -- one turn of the event loop, over and over.
 *
 *   epoll ──> connections read and parse ──text──> hub ──submit──> storage thread
 *                                                   ^                   │ eventfd
 *   turn:  hub step <── completions ────────────────┴───────────────────┘
 *          hub output ──> frames in the connections' queues
 *          timers due ──> connections
 *          settle each connection that changed: write, re-arm its timer, free the dead
 *
 * Callbacks only parse and queue; all writing happens in settle, once for each connection and
 * turn. Settling may lose a connection, and losing one may give the hub something to say, so
 * a turn repeats until nothing changes, but not for ever: what is left makes the next one due.
 *
 * Draining has three steps, each with the whole deadline as its end:
 *   HUB      nothing new is read; journals complete and their replies are queued
 *   CLOSE    every WebSocket is closed with 1012, every response finished
 *   DONE     no connection is left
 *
 * Always: a connection is in |numbers| exactly while it is open in the hub. */
#include "server/worker.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/map.h"
#include "platform/posix/clock.h"
#include "platform/posix/heap.h"
#include "platform/posix/random.h"
#include "platform/posix/storage.h"
#include "room/hub.h"
#include "server/connection.h"
#include "server/console.h"

#define SCRATCH_SIZE 65536
#define ACCEPT_BATCH 64
#define ACCEPT_PAUSE_MS 100
#define TURN_ROUNDS 8
#define DESCRIPTORS_KEPT 64 /* for files of rooms beyond the connections' own */

typedef enum drain_step { DRAIN_NOT, DRAIN_HUB, DRAIN_CLOSE } drain_step;

typedef struct worker {
  const lk_worker_options *options;
  lk_limits limits;
  lk_env env;
  lk_loop loop;
  lk_watch listen_watch;
  lk_watch storage_watch;
  lk_posix_storage *storage;
  lk_hub *hub;
  lk_routes routes;
  lk_connection_host host; /* connections find the worker around it */
  lk_map numbers;          /* hub number -> lk_connection * */
  lk_heap timers;
  lk_list connections;
  lk_list unsettled;
  uint64_t accept_again_ms; /* LK_LOOP_NEVER while accepting */
  uint64_t drain_ends_ms;
  uint64_t accepted;
  uint64_t refused;
  drain_step drain;
  uint8_t scratch[SCRATCH_SIZE];
} worker;

static worker *of_connection(const lk_connection *c) { return LK_CONTAINER(c->host, worker, host); }

static lk_slice key_of(const uint64_t *number) { return lk_slice_of(number, sizeof *number); }

/* ---- what connections call ---- */

static lk_err on_open(lk_connection *c) {
  worker *w = of_connection(c);
  void *slot;
  bool is_new;
  if (w->drain != DRAIN_NOT) return LK_ERR_CLOSED;
  lk_err err = lk_hub_connect(w->hub, &c->hub_number);
  if (err != LK_OK) return err;
  err = lk_map_put(&w->numbers, key_of(&c->hub_number), &slot, &is_new);
  if (err != LK_OK) {
    lk_hub_disconnect(w->hub, c->hub_number, lk_loop_now(&w->loop));
    return err;
  }
  LK_ASSERT(is_new);
  *(lk_connection **)slot = c;
  return LK_OK;
}

static lk_err on_text(lk_connection *c, lk_slice text) {
  worker *w = of_connection(c);
  return lk_hub_receive(w->hub, c->hub_number, text, lk_loop_now(&w->loop));
}

static void on_end(lk_connection *c) {
  worker *w = of_connection(c);
  bool was = lk_map_remove(&w->numbers, key_of(&c->hub_number));
  LK_ASSERT(was);
  lk_hub_disconnect(w->hub, c->hub_number, lk_loop_now(&w->loop));
}

static void on_unsettled(lk_connection *c) {
  if (c->is_unsettled) return;
  c->is_unsettled = true;
  lk_list_push_last(&of_connection(c)->unsettled, &c->unsettled);
}

/* ---- accepting ---- */

/* One write of a response that is always the same; a client that is not ready for it gets none. */
static void turn_away(worker *w, int fd) {
  lk_buf out;
  lk_buf_init(&out, w->env.alloc, 4096);
  if (lk_routes_refuse(503, lk_posix_wall_ms(), &out) == LK_OK)
    (void)send(fd, out.ptr, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
  lk_buf_deinit(&out);
  (void)close(fd);
  w->refused++;
}

static void welcome(worker *w, int fd) {
  lk_connection *c;
  int on = 1;
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (w->connections.count >= w->limits.server_connections_count ||
      lk_connection_open(&w->host, fd, &c) != LK_OK) {
    turn_away(w, fd);
    return;
  }
  lk_list_push_last(&w->connections, &c->all);
  on_unsettled(c); /* arms its timer */
  w->accepted++;
}

static void pause_accepting(worker *w) {
  lk_loop_remove(&w->loop, &w->listen_watch);
  w->accept_again_ms = lk_loop_now(&w->loop) + ACCEPT_PAUSE_MS;
}

/* What accept() says of a connection that ended while it waited in the queue is of no interest. */
static bool is_of_one_connection(int code) {
  return code == ECONNABORTED || code == EINTR || code == EPROTO || code == ENETDOWN ||
         code == EHOSTUNREACH;
}

static void on_listen(lk_watch *watch, uint32_t events) {
  worker *w = LK_CONTAINER(watch, worker, listen_watch);
  (void)events;
  for (int i = 0; i < ACCEPT_BATCH; i++) {
    int fd = accept4(w->options->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      welcome(w, fd);
    } else if (!is_of_one_connection(errno)) {
      /* Out of descriptors or memory: level-triggered epoll would spin. */
      if (errno != EAGAIN) pause_accepting(w);
      return;
    }
  }
}

static lk_err accept_connections(worker *w) {
  w->accept_again_ms = LK_LOOP_NEVER;
  return lk_loop_add(&w->loop, &w->listen_watch, w->options->listen_fd, EPOLLIN, on_listen);
}

/* ---- the hub ---- */

static void on_storage(lk_watch *watch, uint32_t events) {
  (void)watch;
  (void)events; /* the turn that follows steps the hub */
}

static void take_output(worker *w, const lk_hub_output *output) {
  lk_connection **slot = lk_map_get(&w->numbers, key_of(&output->connection));
  if (slot == NULL) return; /* it went meanwhile */
  if (output->kind == LK_HUB_SEND) lk_connection_send(*slot, output->text);
  else
    lk_connection_end(*slot, lk_connection_code_of(output->reason),
                      lk_slice_cstr(lk_err_name(output->reason)));
}

static void run_hub(worker *w) {
  lk_hub_output output;
  lk_hub_step(w->hub, lk_loop_now(&w->loop));
  while (lk_hub_poll(w->hub, &output)) take_output(w, &output);
}

static void append_line(lk_buf *out, const char *name, const char *kind, const char *help,
                        uint64_t value) {
  char line[512];
  int len = snprintf(line, sizeof line, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name,
                     kind, name, (unsigned long long)value);
  LK_ASSERT(len > 0 && (size_t)len < sizeof line);
  (void)lk_buf_append(out, lk_slice_of(line, (size_t)len));
}

static void write_metrics(void *ctx, lk_buf *out) {
  const worker *w = ctx;
  lk_hub_stats stats = lk_hub_get_stats(w->hub);
  append_line(out, "laniakea_connections", "gauge", "Open connections.", w->connections.count);
  append_line(out, "laniakea_connections_accepted_total", "counter",
              "Connections taken by this worker.", w->accepted);
  append_line(out, "laniakea_connections_refused_total", "counter",
              "Connections turned away for lack of room.", w->refused);
  append_line(out, "laniakea_sockets", "gauge", "Open WebSockets.", stats.connections);
  append_line(out, "laniakea_messages_in_total", "counter", "Messages that clients sent.",
              stats.messages_in);
  append_line(out, "laniakea_messages_out_total", "counter", "Messages sent to clients.",
              stats.messages_out);
  append_line(out, "laniakea_rooms", "gauge", "Topics that are served now.", stats.rooms);
  append_line(out, "laniakea_members", "gauge", "Joined channels of all clients.", stats.members);
  append_line(out, "laniakea_journals_total", "counter", "Changes made durable.", stats.journals);
  append_line(out, "laniakea_rooms_dropped_total", "counter", "Rooms ended by an error.",
              stats.rooms_dropped);
  append_line(out, "laniakea_worker_restarts_total", "counter",
              "Workers that died and were replaced.", w->options->restarts);
}

/* ---- draining ---- */

static void on_signal(void *ctx, int number) {
  worker *w = ctx;
  (void)number;
  if (w->drain != DRAIN_NOT) return;
  w->drain = DRAIN_HUB;
  w->drain_ends_ms = lk_loop_now(&w->loop) + LK_WORKER_DRAIN_MS;
  w->routes.ready = false;
  w->accept_again_ms = LK_LOOP_NEVER;
  lk_loop_remove(&w->loop, &w->listen_watch);
  for (lk_link *at = w->connections.first; at != NULL; at = at->next) {
    lk_connection_drain(LK_CONTAINER(at, lk_connection, all));
  }
}

static void advance_drain(worker *w) {
  if (w->drain == DRAIN_HUB && lk_hub_is_idle(w->hub)) {
    w->drain = DRAIN_CLOSE;
    for (lk_link *at = w->connections.first; at != NULL; at = at->next) {
      lk_connection_end(LK_CONTAINER(at, lk_connection, all), LK_WS_CODE_RESTART,
                        LK_LIT("the server restarts"));
    }
  }
  bool done = w->drain == DRAIN_CLOSE && w->connections.count == 0;
  if (done || (w->drain != DRAIN_NOT && lk_loop_now(&w->loop) >= w->drain_ends_ms))
    lk_loop_stop(&w->loop);
}

/* ---- a turn ---- */

static void arm(worker *w, lk_connection *c) {
  uint64_t deadline = lk_connection_deadline(c);
  if (c->timer.place != LK_HEAP_OUT) {
    /* A timer that fires early only looks again: moving it for each message would cost more. */
    if (deadline < c->timer.key) lk_heap_move(&w->timers, &c->timer, deadline);
    return;
  }
  lk_err err = lk_heap_push(&w->timers, &c->timer, deadline);
  LK_ASSERT(err == LK_OK); /* room for every connection was made at the start */
}

static void free_connection(worker *w, lk_connection *c) {
  if (c->timer.place != LK_HEAP_OUT) lk_heap_remove(&w->timers, &c->timer);
  lk_list_remove(&w->connections, &c->all);
  if (c->is_unsettled) lk_list_remove(&w->unsettled, &c->unsettled);
  c->is_unsettled = true; /* nothing may queue it again */
  lk_connection_close(c);
}

/* Those that become unsettled meanwhile wait for the next round. */
static void settle_all(worker *w) {
  for (uint32_t count = w->unsettled.count; count > 0 && w->unsettled.count > 0; count--) {
    lk_connection *c = LK_CONTAINER(lk_list_pop_first(&w->unsettled), lk_connection, unsettled);
    c->is_unsettled = false;
    lk_connection_settle(c);
    if (lk_connection_is_dead(c)) free_connection(w, c);
    else arm(w, c);
  }
}

static void fire_timers(worker *w) {
  uint64_t now = lk_loop_now(&w->loop);
  for (lk_heap_item *item; (item = lk_heap_first(&w->timers)) != NULL && item->key <= now;) {
    (void)lk_heap_pop(&w->timers);
    on_unsettled(LK_CONTAINER(item, lk_connection, timer));
  }
}

static uint64_t next_deadline(const worker *w) {
  if (w->unsettled.count > 0) return 0;
  uint64_t deadline = lk_hub_deadline(w->hub);
  const lk_heap_item *first = lk_heap_first(&w->timers);
  if (first != NULL && first->key < deadline) deadline = first->key;
  if (w->accept_again_ms < deadline) deadline = w->accept_again_ms;
  if (w->drain != DRAIN_NOT && w->drain_ends_ms < deadline) deadline = w->drain_ends_ms;
  return deadline;
}

static uint64_t turn(void *ctx) {
  worker *w = ctx;
  if (w->accept_again_ms <= lk_loop_now(&w->loop) && accept_connections(w) != LK_OK)
    pause_accepting(w);
  fire_timers(w);
  for (int i = 0; i < TURN_ROUNDS; i++) {
    run_hub(w);
    advance_drain(w);
    if (w->unsettled.count == 0) break;
    settle_all(w);
  }
  return next_deadline(w);
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

static lk_err reserve_timers(worker *w) {
  lk_heap_item *all = lk_alloc_array(w->env.alloc, w->limits.server_connections_count, sizeof *all);
  if (all == NULL) return LK_ERR_NOMEM;
  lk_err err = LK_OK;
  for (uint32_t i = 0; i < w->limits.server_connections_count && err == LK_OK; i++) {
    all[i] = (lk_heap_item)LK_HEAP_ITEM_INIT;
    err = lk_heap_push(&w->timers, &all[i], i);
  }
  while (lk_heap_pop(&w->timers) != NULL) continue;
  lk_free_array(w->env.alloc, all, w->limits.server_connections_count, sizeof *all);
  return err;
}

static lk_err watch_signals(worker *w) {
  sigset_t stop;
  (void)sigemptyset(&stop);
  (void)sigaddset(&stop, SIGTERM);
  (void)signal(SIGPIPE, SIG_IGN);
  /* Ctrl-C reaches every process of the terminal; the supervisor decides what it means. */
  (void)signal(SIGINT, SIG_IGN);
  (void)signal(SIGHUP, SIG_IGN);
  return lk_loop_watch_signals(&w->loop, &stop, on_signal, w);
}

static lk_err open_worker(worker *w, const lk_worker_options *options) {
  lk_err err;
  uint64_t seeds[3];
  *w = (worker){
    .options = options, .limits = options->limits, .loop.epoll = -1, .loop.signals = -1
  };
  w->env = (lk_env)LK_ENV_INIT(lk_posix_heap(), NULL);
  w->listen_watch.fd = w->storage_watch.fd = -1;
  fit_to_descriptors(&w->limits);
  w->routes =
      (lk_routes){ .assets = options->assets, .ready = true, .metrics = write_metrics, .ctx = w };
  w->host = (lk_connection_host){ .alloc = w->env.alloc,
                                  .limits = &w->limits,
                                  .routes = &w->routes,
                                  .loop = &w->loop,
                                  .scratch = w->scratch,
                                  .scratch_len = SCRATCH_SIZE,
                                  .on_open = on_open,
                                  .on_text = on_text,
                                  .on_end = on_end,
                                  .on_unsettled = on_unsettled };
  if ((err = lk_posix_random(seeds, sizeof seeds)) != LK_OK) return err;
  lk_map_init(&w->numbers, w->env.alloc, sizeof(lk_connection *),
              w->limits.server_connections_count, seeds);
  lk_heap_init(&w->timers, w->env.alloc, w->limits.server_connections_count);
  if ((err = reserve_timers(w)) != LK_OK) return err;
  if ((err = lk_loop_init(&w->loop)) != LK_OK) return err;
  if ((err = watch_signals(w)) != LK_OK) return err;
  if ((err = lk_posix_storage_open(w->env.alloc, options->directory, NULL, &w->storage)) != LK_OK)
    return err;
  err = lk_loop_add(&w->loop, &w->storage_watch, lk_posix_storage_fd(w->storage), EPOLLIN,
                    on_storage);
  if (err != LK_OK) return err;
  err = lk_hub_open(&w->env, &w->limits, lk_posix_storage_table(w->storage), seeds[2], &w->hub);
  return err == LK_OK ? accept_connections(w) : err;
}

/* Connections first, since they tell the hub; then the storage, so that nothing that the hub
 * submitted is under way when it goes. */
static void close_worker(worker *w) {
  while (w->connections.first != NULL) {
    free_connection(w, LK_CONTAINER(w->connections.first, lk_connection, all));
  }
  if (w->storage != NULL) lk_posix_storage_stop(w->storage);
  if (w->hub != NULL) {
    for (int i = 0; i < TURN_ROUNDS && !lk_hub_is_idle(w->hub); i++)
      lk_hub_step(w->hub, lk_loop_now(&w->loop));
    if (lk_hub_is_idle(w->hub)) lk_hub_close(w->hub);
  }
  lk_posix_storage_close(w->storage);
  lk_loop_deinit(&w->loop);
  lk_heap_deinit(&w->timers);
  lk_map_deinit(&w->numbers);
}

static void tell_ready(const worker *w) {
  static const uint64_t one = 1;
  ssize_t ignored = write(w->options->ready_fd, &one, sizeof one);
  (void)ignored; /* then the supervisor's words are late, and nothing else */
}

int lk_worker_run(const lk_worker_options *options) {
  const lk_alloc *heap = lk_posix_heap();
  int code = LK_WORKER_STOPPED;
  worker *w = lk_alloc_bytes(heap, sizeof *w);
  if (w == NULL) return LK_WORKER_FAILED;
  lk_err err = open_worker(w, options);
  if (err == LK_OK) {
    tell_ready(w);
    lk_loop_run(&w->loop, turn, w);
  } else {
    lk_console_say("the worker cannot start on %s: %s (%s)", options->directory, lk_err_text(err),
                   lk_err_name(err));
    code = LK_WORKER_HOPELESS;
  }
  close_worker(w);
  lk_free_bytes(heap, w, sizeof *w);
  return code;
}
