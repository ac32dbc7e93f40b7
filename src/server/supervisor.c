/* server/supervisor.c -- fork, wait, fork again.
 *
 *   server   one for one; ends when one of these does
 *   ├─ rooms    simple one for one: a process each     started first
 *   ├─ webhooks likewise, one or none                  between the two
 *   └─ edges    likewise                               stopped first: they finish what they were asked, which takes rooms
 *
 * Three machines of base/supervise.h say what to do; this file does it with processes. A process that died is started
 * again; how many times of one kind in a row are too many is a setting. To stop is SIGTERM to all edges, then, when they are
 * gone, to all rooms; when their time is over (server/times.h), or at a second signal, it is SIGKILL. Nobody can connect
 * from then on: who waited to be accepted is told so by the kernel, as is whoever comes. Processes share nothing but rings, each of which
 * goes on with whoever takes its end.
 *
 * How a process ends is its reason: as it was told, normal; LK_PROCESS_HOPELESS, which ends the server, a shutdown with a
 * term; anything else, an error. All are transient, so that only errors make another one start. That a
 * process ends normally without having been told, by a SIGTERM of somebody else's, is an error unless the server
 * is stopping: who stops it may have sent the signal to all.
 *
 * A process is a fork without exec: the supervisor has one thread and little memory, and a fork is the fastest way back (a quarter of a millisecond). It learns three things of its
 * processes, and parses none of them: that one is ready (an eventfd), that it ended, and how; and which one others have found
 * to write nonsense into what they share (server/links.h), which is killed.
 *
 * Its secrets are those of TLS, of tokens and of webhooks, the last of which only their process keeps. It keeps what was last good of either, so that a process that it starts
 * has them whatever the files hold by then; processes for rooms let go of them. From then on each looks at the files by
 * itself (server/tls_files.h).
 *
 * Not chosen: listening anew in each edge, with SO_REUSEPORT: connections in the queue of a dead
 * one would be lost. */
#include "server/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/list.h"
#include "base/supervise.h"
#include "crypto/crypto.h"
#include "server/console.h"
#include "server/directory.h"
#include "server/listener.h"
#include "server/log.h"
#include "server/loop.h"
#include "platform/posix/heap.h"
#include "server/edge_process.h"
#include "server/own_secret.h"
#include "server/process.h"
#include "server/room_process.h"
#include "server/webhook_process.h"

/* A process and its place, which outlives it. */
typedef struct child {
  pid_t pid; /* 0: none */
  bool is_room;
  bool is_webhooks;
  bool is_told; /* to stop, or killed */
  uint32_t index;
  char how[96]; /* the one before ended */
} child;

/* The groups, which are the children of the server's machine. */
enum { ROOMS, WEBHOOKS, EDGES, GROUPS };

/* The processes of one kind; their ids are their indexes. */
typedef struct group {
  lk_supervise machine;
  child children[LK_SERVER_PROCESSES_MAX];
  uint32_t count;
  const child *last_dead;
  bool is_explained;
  bool is_late;
} group;

typedef struct supervisor {
  const lk_server_options *options;
  lk_listener listener;
  lk_directory directory;
  lk_links links;
  lk_shared_memory
      memories[LK_SERVER_PROCESSES_MAX]; /* of room processes; zeroed where there are none */
  lk_shared_memory webhook_memory;
  lk_webhook_secret_files webhook_secrets;
  lk_slice gate[2 * LK_WEBHOOK_RULES_MAX];
  uint32_t gate_count;
  lk_tls_files tls;
  lk_keyring *keys; /* NULL: an open server */
  lk_tls_tickets tickets;
  lk_loop loop;
  lk_watch ready_watch;
  lk_watch blame_watch;
  int ready_fd;
  lk_supervise machine;
  group groups[GROUPS];
  uint32_t ready_count;
  bool announced;
  int code;
} supervisor;

/* ---- processes ---- */

static int run_room(const supervisor *self, uint32_t index) {
  lk_room_process_options options = { .links = &self->links,
                                      .index = index,
                                      .ready_fd = self->ready_fd,
                                      .directory = self->options->directory,
                                      .memory = self->memories[index],
                                      .policy = self->options->policy,
                                      .limits = self->options->limits,
                                      .times = self->options->times };
  return lk_room_process_run(&options);
}

static bool has_webhooks(const supervisor *self) {
  return self->options->webhooks != NULL && lk_webhook_is_wanted(self->options->webhooks);
}

static int run_webhooks(const supervisor *self) {
  lk_webhook_process_options options = { .links = &self->links,
                                         .ready_fd = self->ready_fd,
                                         .directory = self->options->directory,
                                         .memory = self->webhook_memory,
                                         .webhooks = self->options->webhooks,
                                         .secrets = &self->webhook_secrets,
                                         .limits = self->options->limits,
                                         .times = self->options->times };
  return lk_webhook_process_run(&options);
}

static bool has_tls(const supervisor *self) { return self->options->tls_certificate != NULL; }

/* By others than this machine: as who listens says it, or through a proxy. */
static bool is_reachable(const lk_server_options *options) {
  return !lk_origin_address_is_loopback(options->address) || options->proxies.count > 0;
}

static int run_edge(const supervisor *self, uint32_t index) {
  lk_edge_process_options options = { .links = &self->links,
                                      .index = index,
                                      .listen_fd = self->listener.fd,
                                      .ready_fd = self->ready_fd,
                                      .assets = self->options->assets,
                                      .limits = self->options->limits,
                                      .rates = self->options->rates,
                                      .times = self->options->times,
                                      .aliases = self->options->aliases,
                                      .gate = { self->gate, self->gate_count },
                                      .y_off = self->options->y_off,
                                      .y_off_count = self->options->y_off_count,
                                      .debug_echo = self->options->debug_echo,
                                      .keys = self->keys,
                                      .origins = self->options->origins,
                                      .proxies = self->options->proxies,
                                      .tls = has_tls(self) ? &self->tls : NULL,
                                      .tickets = &self->tickets };
  options.origins.is_reachable = is_reachable(self->options);
  return lk_edge_process_run(&options);
}

/* What a process without clients has no use for. */
static void let_go(const supervisor *self) {
  lk_tls_files files = self->tls;
  lk_tls_tickets tickets = self->tickets;
  lk_tls_files_close(&files);
  lk_tls_tickets_close(&tickets);
  lk_keyring_close(self->keys);
  (void)close(self->listener.fd);
}

static lk_links_numbers *numbers_of(const supervisor *self, const child *who) {
  if (who->is_webhooks)
    return lk_links_edge_numbers(&self->links, self->links.edges_count - 1);
  return who->is_room ? lk_links_room_numbers(&self->links, who->index)
                      : lk_links_edge_numbers(&self->links, who->index);
}

/* What topics in memory hold is nobody's but their room process's. */
static void let_go_of_memories(const supervisor *self, const child *who) {
  for (uint32_t i = 0; i < self->options->rooms; i++) {
    lk_shared_memory memory = self->memories[i];
    if (!who->is_room || who->index != i) lk_shared_memory_close(&memory);
  }
  lk_shared_memory webhooks = self->webhook_memory;
  if (!who->is_webhooks) lk_shared_memory_close(&webhooks);
}

/* Only who signs with them keeps them. */
static void forget_webhook_secrets(const supervisor *self) {
  lk_webhook_secret_files *mine = (lk_webhook_secret_files *)(uintptr_t)&self->webhook_secrets;
  lk_webhook_secret_files_close(mine);
}

static const char *kind_of(const child *who) {
  if (who->is_webhooks) return "webhook";
  return who->is_room ? "room" : "edge";
}

static const char *name_of(const child *who) {
  if (who->is_webhooks) return "laniakea-hooks";
  return who->is_room ? "laniakea-room" : "laniakea-edge";
}

static int run(const supervisor *self, const child *who) {
  if (who->is_webhooks) return run_webhooks(self);
  return who->is_room ? run_room(self, who->index) : run_edge(self, who->index);
}

static void take_over(const supervisor *self, const child *who) {
  const lk_links *links = &self->links;
  if (who->is_webhooks) {
    lk_links_take_over_edge(links, links->edges_count - 1);
    lk_links_take_over_room(links, links->rooms_count - 1);
  } else if (who->is_room) {
    lk_links_take_over_room(links, who->index);
  } else {
    lk_links_take_over_edge(links, who->index);
  }
}

static _Noreturn void become(const supervisor *self, const child *who, pid_t parent) {
  lk_loop mine = self->loop;
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(LK_PROCESS_FAILED); /* it died before we asked to die with it */
  (void)prctl(PR_SET_NAME, name_of(who));
  lk_log_set_process(kind_of(who), who->index);
  lk_links_begin(numbers_of(self, who), (uint64_t)getpid());
  take_over(self, who);
  lk_loop_deinit(&mine); /* the supervisor's: only our descriptors of it are closed */
  if (!who->is_webhooks) forget_webhook_secrets(self);
  if (who->is_webhooks)
    lk_links_begin(lk_links_room_numbers(&self->links, self->links.rooms_count - 1), 0);
  if (who->is_room || who->is_webhooks) let_go(self);
  let_go_of_memories(self, who);
  _exit(run(self, who));
}

static bool start_process(supervisor *self, child *who) {
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid == 0) become(self, who, parent);
  if (pid < 0) {
    lk_log_say(LK_LOG_process_not_started, "cannot start the %s process %u: %s", kind_of(who),
               (unsigned)who->index, strerror(errno));
    return false;
  }
  who->pid = pid;
  who->is_told = false;
  atomic_fetch_add(&numbers_of(self, who)->starts, 1);
  return true;
}

static void signal_process(child *who, int number) {
  who->is_told = true;
  if (who->pid != 0) (void)kill(who->pid, number);
}

/* ---- what the machines want ---- */

static uint64_t now_of(const supervisor *self) { return lk_loop_now(&self->loop); }

static void say_restart(const supervisor *self, const child *who) {
  uint64_t restarts = 0;
  for (int i = 0; i < GROUPS; i++) restarts += lk_supervise_restarts(&self->groups[i].machine);
  lk_log_say(LK_LOG_process_died, "the %s process %u %s; starting another one (restart %llu)",
             kind_of(who), (unsigned)who->index, who->how, (unsigned long long)restarts);
}

static void start_child(supervisor *self, group *g, child *who, bool is_restart) {
  if (is_restart) say_restart(self, who);
  if (start_process(self, who)) lk_supervise_started(&g->machine, who->index, now_of(self));
  else lk_supervise_failed(&g->machine, who->index, now_of(self));
}

/* Edges have all the time that they may take to let their clients go besides. */
static uint32_t stop_ms(const supervisor *self, bool is_room) {
  const lk_times *times = &self->options->times;
  return is_room ? times->stop : times->stop + times->drain;
}

static void kill_child(const supervisor *self, group *g, child *who) {
  if (lk_supervise_why(&g->machine) != LK_END_KILLED && !g->is_late) {
    g->is_late = true;
    lk_log_say(LK_LOG_killed, "some processes did not stop within %g seconds; they are killed",
               stop_ms(self, who->is_room) / 1000.0);
  }
  signal_process(who, SIGKILL);
}

/* A group that never was complete has failed; one that gave up takes the server with it. */
static void end_group(supervisor *self, uint32_t which, const lk_supervise_effect *e) {
  if (lk_supervise_state_of(&self->machine, which) == LK_CHILD_STARTING)
    lk_supervise_failed(&self->machine, which, now_of(self));
  else lk_supervise_exited(&self->machine, which, e->reason, now_of(self));
}

/* True where there was something to do; likewise below. */
static bool drain_group(supervisor *self, uint32_t which) {
  group *g = &self->groups[which];
  lk_supervise_effect e;
  bool any = false;
  for (; lk_supervise_poll(&g->machine, &e); any = true) {
    child *who = &g->children[e.id];
    switch (e.kind) {
    case LK_EFFECT_START: start_child(self, g, who, e.is_restart); break;
    case LK_EFFECT_STOP: signal_process(who, SIGTERM); break;
    case LK_EFFECT_KILL: kill_child(self, g, who); break;
    case LK_EFFECT_ENDED: end_group(self, which, &e); break;
    default: break;
    }
  }
  return any;
}

static void start_group(supervisor *self, uint32_t which) {
  group *g = &self->groups[which];
  lk_err err = LK_OK;
  lk_supervise_begin(&g->machine, now_of(self));
  (void)drain_group(self, which);
  for (uint32_t i = 0; i < g->count && err == LK_OK; i++) {
    lk_child_spec spec = { .id = i };
    err = lk_supervise_start_child(&g->machine, &spec, now_of(self));
    (void)drain_group(self, which);
  }
  if (err == LK_OK && lk_supervise_active(&g->machine) == g->count)
    lk_supervise_started(&self->machine, which, now_of(self));
  else lk_supervise_kill(&g->machine, now_of(self));
}

static bool drain_server(supervisor *self) {
  lk_supervise_effect e;
  bool any = false;
  for (; lk_supervise_poll(&self->machine, &e); any = true) {
    uint32_t which = (uint32_t)e.id;
    switch (e.kind) {
    case LK_EFFECT_START: start_group(self, which); break;
    case LK_EFFECT_STOP: lk_supervise_stop(&self->groups[which].machine, now_of(self)); break;
    case LK_EFFECT_KILL: lk_supervise_kill(&self->groups[which].machine, now_of(self)); break;
    case LK_EFFECT_ENDED:
      if (e.why != LK_END_STOPPED) self->code = 1;
      lk_loop_stop(&self->loop);
      break;
    default: break;
    }
  }
  return any;
}

static void explain(const supervisor *self, group *g) {
  if (lk_supervise_why(&g->machine) != LK_END_INTENSITY || g->is_explained) return;
  g->is_explained = true;
  lk_log_say(LK_LOG_gave_up,
             "the %s process %u %s; processes died more than %u times within %g seconds, "
             "so that the server gives up",
             kind_of(g->last_dead), (unsigned)g->last_dead->index, g->last_dead->how,
             (unsigned)self->options->restarts, self->options->restarts_period_ms / 1000.0);
}

static void drain(supervisor *self) {
  bool any;
  do {
    any = drain_server(self);
    for (uint32_t i = 0; i < GROUPS; i++) {
      explain(self, &self->groups[i]);
      any |= drain_group(self, i);
    }
  } while (any);
}

/* ---- what happens ---- */

/* On its way to the end, as a whole or in part. */
static bool is_ending(const supervisor *self) {
  for (int i = 0; i < GROUPS; i++) {
    if (lk_supervise_why(&self->groups[i].machine) != LK_END_NONE) return true;
  }
  return lk_supervise_why(&self->machine) != LK_END_NONE;
}

static void describe_death(int status, char *out, size_t size) {
  if (WIFSIGNALED(status))
    (void)snprintf(out, size, "was killed by signal %d (%s)", WTERMSIG(status),
                   strsignal(WTERMSIG(status)));
  else (void)snprintf(out, size, "ended with code %d", WEXITSTATUS(status));
}

static void on_end(supervisor *self, group *g, child *who, int status) {
  bool clean = WIFEXITED(status) && WEXITSTATUS(status) == LK_PROCESS_STOPPED;
  bool hopeless = WIFEXITED(status) && WEXITSTATUS(status) == LK_PROCESS_HOPELESS;
  lk_exit reason = LK_EXIT_ERROR;
  if (clean && is_ending(self)) reason = LK_EXIT_NORMAL;
  if (hopeless) reason = LK_EXIT_SHUTDOWN_TERM; /* it has said why */
  if (hopeless || (who->is_told && !clean)) self->code = 1;
  if (hopeless) lk_supervise_stop(&self->machine, now_of(self));
  who->pid = 0;
  lk_links_end(numbers_of(self, who));
  if (who->is_webhooks)
    lk_links_end(lk_links_room_numbers(&self->links, self->links.rooms_count - 1));
  g->last_dead = who;
  describe_death(status, who->how, sizeof who->how);
  lk_supervise_exited(&g->machine, who->index, reason, now_of(self));
  drain(self);
}

static child *child_of(supervisor *self, pid_t pid, group **out) {
  for (int i = 0; i < GROUPS; i++) {
    *out = &self->groups[i];
    for (uint32_t k = 0; k < (*out)->count; k++) {
      if ((*out)->children[k].pid == pid) return &(*out)->children[k];
    }
  }
  return NULL;
}

/* Every child that ended. Signals may merge, so that one SIGCHLD stands for several. */
static void reap(supervisor *self) {
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    group *g;
    child *who = child_of(self, pid, &g);
    if (who != NULL) on_end(self, g, who, status);
  }
}

static void stop(supervisor *self, int number) {
  lk_log_say(LK_LOG_server_stopping, "signal %d (%s): the server stops", number, strsignal(number));
  (void)shutdown(self->listener.fd, SHUT_RD); /* for all who have it */
  lk_supervise_stop(&self->machine, now_of(self));
}

static void on_signal(void *ctx, int number) {
  supervisor *self = ctx;
  if (number == SIGCHLD) reap(self);
  else if (is_ending(self)) lk_supervise_kill(&self->machine, now_of(self));
  else stop(self, number);
  drain(self);
}

static uint64_t tick_tls(supervisor *self) {
  if (!has_tls(self)) return LK_LOOP_NEVER;
  lk_tls_files_tick(&self->tls, now_of(self));
  lk_tls_tickets_tick(&self->tickets, now_of(self));
  return lk_min_u64(lk_tls_files_deadline(&self->tls), lk_tls_tickets_deadline(&self->tickets));
}

/* So that a process which is started anew has the keys of today. */
static uint64_t tick_keys(supervisor *self) {
  if (self->keys == NULL) return LK_LOOP_NEVER;
  (void)lk_keyring_tick(self->keys, now_of(self));
  return lk_keyring_deadline(self->keys);
}

static uint64_t tick_webhook_secrets(supervisor *self) {
  if (!has_webhooks(self)) return LK_LOOP_NEVER;
  (void)lk_webhook_secret_files_tick(&self->webhook_secrets, now_of(self));
  return lk_webhook_secret_files_deadline(&self->webhook_secrets);
}

static uint64_t turn(void *ctx) {
  supervisor *self = ctx;
  uint64_t deadline = lk_min_u64(tick_tls(self), tick_keys(self));
  deadline = lk_min_u64(deadline, tick_webhook_secrets(self));
  for (int i = 0; i < GROUPS; i++) {
    lk_supervise *machine = &self->groups[i].machine;
    if (lk_supervise_deadline(machine) <= now_of(self)) lk_supervise_tick(machine, now_of(self));
  }
  drain(self);
  for (int i = 0; i < GROUPS; i++)
    deadline = lk_min_u64(deadline, lk_supervise_deadline(&self->groups[i].machine));
  return deadline;
}

/* ---- starting ---- */

static void announce(const supervisor *self) {
  (void)printf("Laniakea %s listens on %s\n", LK_VERSION_TEXT, self->listener.url);
  if (self->options->directory == NULL) {
    (void)printf("What clients write is kept while it runs; use --data DIR to keep it longer\n");
  }
  (void)fflush(stdout);
}

/* It may write what it likes where others read: so it has no time to put anything in order. */
static void end_if_blamed(const supervisor *self, child *who) {
  if (!lk_links_is_blamed(numbers_of(self, who), (uint64_t)who->pid)) return;
  lk_log_say(LK_LOG_process_blamed,
             "the %s process %u left nonsense in memory that it shares with another one; it is killed",
             kind_of(who), (unsigned)who->index);
  (void)kill(who->pid, SIGKILL);
}

static void on_blame(lk_watch *watch, uint32_t events) {
  supervisor *self = LK_CONTAINER(watch, supervisor, blame_watch);
  uint64_t count;
  ssize_t ignored = read(self->links.blame_fd, &count, sizeof count);
  (void)ignored;
  (void)events;
  for (int i = 0; i < GROUPS; i++) {
    for (uint32_t k = 0; k < self->groups[i].count; k++)
      end_if_blamed(self, &self->groups[i].children[k]);
  }
}

static void on_ready(lk_watch *watch, uint32_t events) {
  supervisor *self = LK_CONTAINER(watch, supervisor, ready_watch);
  uint64_t count;
  ssize_t ignored = read(self->ready_fd, &count, sizeof count);
  (void)ignored;
  (void)events;
  if (ignored == sizeof count) self->ready_count += (uint32_t)count;
  if (self->announced || self->ready_count < self->groups[ROOMS].count +
                                                    self->groups[WEBHOOKS].count +
                                                    self->groups[EDGES].count)
    return;
  if (!self->options->quiet) announce(self);
  lk_log_say(LK_LOG_server_started, "Laniakea %s listens on %s", LK_VERSION_TEXT,
             self->listener.url);
  self->announced = true;
}

static lk_err watch_all(supervisor *self) {
  static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
  sigset_t set;
  (void)sigemptyset(&set);
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) (void)sigaddset(&set, numbers[i]);
  self->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (self->ready_fd < 0) return LK_ERR_LIMIT;
  lk_err err = lk_loop_init(&self->loop);
  if (err == LK_OK) err = lk_loop_watch_signals(&self->loop, &set, on_signal, self);
  if (err == LK_OK)
    err = lk_loop_add(&self->loop, &self->ready_watch, self->ready_fd, EPOLLIN, on_ready);
  return err;
}

/* So that whoever wants tokens has a secret to begin with. */
static lk_err make_secret(const supervisor *self) {
  lk_buf why;
  if (lk_keyring_is_wanted(&self->options->keys)) return LK_OK;
  lk_buf_init(&why, lk_posix_heap(), LK_CONSOLE_LINE_MAX);
  lk_err err = lk_own_secret_make(self->options->directory, &why);
  if (err != LK_OK)
    lk_console_say("%.*s (%s)", (int)why.len, (const char *)why.ptr, lk_err_name(err));
  lk_buf_deinit(&why);
  return err;
}

static lk_err open_directory(supervisor *self) {
  if (self->options->directory == NULL) return LK_OK;
  lk_err err = lk_directory_open(&self->directory, self->options->directory);
  if (err == LK_OK) err = lk_directory_claim(&self->directory, self->options->rooms);
  return err == LK_OK ? make_secret(self) : err;
}

/* It outlives the processes for rooms, and nobody else. */
static lk_err make_memories(supervisor *self) {
  const lk_server_options *options = self->options;
  lk_err err = LK_OK;
  if (options->directory != NULL && options->policy.ephemeral_count == 0) return LK_OK;
  for (uint32_t i = 0; i < options->rooms && err == LK_OK; i++)
    err = lk_shared_memory_make(&self->memories[i], options->memory_bytes);
  if (err != LK_OK) lk_console_say("cannot have the memory for topics: %s", lk_err_text(err));
  return err;
}

static lk_err make_links(supervisor *self) {
  uint32_t edges = self->options->edges, rooms = self->options->rooms;
  LK_ASSERT(edges > 0 && edges <= LK_SERVER_PROCESSES_MAX);
  LK_ASSERT(rooms > 0 && rooms <= LK_SERVER_PROCESSES_MAX);
  lk_err err = has_webhooks(self)
                   ? lk_links_make_with_webhooks(&self->links, lk_posix_heap(), edges, rooms)
                   : lk_links_make(&self->links, lk_posix_heap(), edges, rooms);
  if (err != LK_OK) {
    lk_console_say("cannot make the memory that processes share: %s", lk_err_text(err));
    return err;
  }
  for (uint32_t i = 0; i < rooms; i++)
    self->groups[ROOMS].children[i] = (child){ .is_room = true, .index = i };
  for (uint32_t i = 0; i < edges; i++) self->groups[EDGES].children[i] = (child){ .index = i };
  self->groups[WEBHOOKS].children[0] = (child){ .is_webhooks = true };
  self->groups[WEBHOOKS].count = has_webhooks(self) ? 1 : 0;
  self->groups[ROOMS].count = rooms;
  self->groups[EDGES].count = edges;
  return lk_loop_add(&self->loop, &self->blame_watch, self->links.blame_fd, EPOLLIN, on_blame);
}

static lk_err make_machines(supervisor *self) {
  lk_supervise_flags flags = { .strategy = LK_SIMPLE_ONE_FOR_ONE,
                               .intensity = self->options->restarts,
                               .period_ms = self->options->restarts_period_ms,
                               .children_max = LK_SERVER_PROCESSES_MAX };
  lk_child_spec like = { .restart = LK_TRANSIENT };
  lk_err err = LK_OK;
  for (int i = 0; i < GROUPS && err == LK_OK; i++) {
    like.shutdown_ms = stop_ms(self, i == ROOMS);
    err = lk_supervise_init(&self->groups[i].machine, lk_posix_heap(), &flags, &like, 1);
  }
  if (err != LK_OK) return err;

  lk_child_spec specs[GROUPS];
  for (uint32_t i = 0; i < GROUPS; i++) {
    specs[i] = (lk_child_spec){
      .id = i, .restart = LK_TRANSIENT, .shutdown_ms = LK_SHUTDOWN_INFINITY, .significant = true
    };
  }
  flags.strategy = LK_ONE_FOR_ONE;
  flags.auto_shutdown = LK_AUTO_ANY_SIGNIFICANT;
  return lk_supervise_init(&self->machine, lk_posix_heap(), &flags, specs, GROUPS);
}

static lk_err open_tls(supervisor *self) {
  lk_buf why;
  if (!has_tls(self)) return LK_OK;
  lk_buf_init(&why, lk_posix_heap(), LK_CONSOLE_LINE_MAX);
  lk_err err = lk_tls_files_open(&self->tls, lk_posix_heap(), self->options->tls_certificate,
                                 self->options->tls_key, now_of(self), &why);
  if (err != LK_OK)
    lk_console_say("%.*s (%s)", (int)why.len, (const char *)why.ptr, lk_err_name(err));
  lk_buf_deinit(&why);
  if (err != LK_OK) return err;
  err = lk_tls_tickets_make(&self->tickets, now_of(self));
  if (err != LK_OK)
    lk_console_say("cannot make the secret of session tickets: %s", lk_err_text(err));
  return err;
}

/* The settings have been asked the same (settings_check.c). What comes of a mistake there would be an open door. */
static lk_err check_reach(const supervisor *self) {
  const lk_server_options *o = self->options;
  if (!is_reachable(o) || o->open || lk_keyring_is_wanted(&o->keys)) return LK_OK;
  lk_console_say("%s can be reached by others%s, and there are no keys to tell who may do what",
                 o->address, o->proxies.count > 0 ? " through a proxy" : "");
  return LK_ERR_PERMISSION;
}

static lk_err open_keys(supervisor *self) {
  lk_buf why;
  if (!lk_keyring_is_wanted(&self->options->keys)) return LK_OK;
  lk_buf_init(&why, lk_posix_heap(), LK_CONSOLE_LINE_MAX);
  lk_err err = lk_keyring_open(&self->options->keys, &self->options->limits, lk_posix_heap(),
                               now_of(self), &why, &self->keys);
  if (err != LK_OK)
    lk_console_say("%.*s (%s)", (int)why.len, (const char *)why.ptr, lk_err_name(err));
  lk_buf_deinit(&why);
  return err;
}

/* Before topics of which kinds of rules edges ask. */
static void note_gate(supervisor *self) {
  static const lk_webhook_kind kinds[] = { LK_WEBHOOK_AUTHORISE, LK_WEBHOOK_LOAD };
  for (size_t k = 0; k < 2; k++) {
    const lk_webhook_rules *rules = &self->options->webhooks->rules[kinds[k]];
    for (uint32_t i = 0; i < rules->count; i++)
      self->gate[self->gate_count++] = rules->items[i].pattern;
  }
}

static lk_err open_webhooks(supervisor *self) {
  lk_buf why;
  if (!has_webhooks(self)) return LK_OK;
  lk_buf_init(&why, lk_posix_heap(), LK_CONSOLE_LINE_MAX);
  lk_err err = lk_webhook_secret_files_open(&self->webhook_secrets, self->options->webhooks,
                                            lk_posix_heap(), now_of(self), &why);
  if (err != LK_OK)
    lk_console_say("%.*s (%s)", (int)why.len, (const char *)why.ptr, lk_err_name(err));
  lk_buf_deinit(&why);
  if (err != LK_OK) return err;
  note_gate(self);
  err = lk_shared_memory_make(&self->webhook_memory, LK_WEBHOOK_MEMORY_BYTES);
  if (err != LK_OK) lk_console_say("cannot have the memory for webhooks: %s", lk_err_text(err));
  return err;
}

static lk_err open_all(supervisor *self) {
  lk_err err = watch_all(self); /* first: a signal from now on finds a way to clean up */
  if (err == LK_OK) err = make_machines(self);
  if (err != LK_OK) {
    lk_console_say("cannot start: %s", lk_err_text(err));
    return err;
  }
  err = check_reach(self);
  if (err == LK_OK) err = open_keys(self);
  if (err == LK_OK) err = open_tls(self);
  if (err == LK_OK) err = open_webhooks(self);
  if (err == LK_OK)
    err = lk_listener_open(&self->listener, has_tls(self) ? "https" : "http",
                           self->options->address, self->options->port);
  if (err == LK_OK) err = open_directory(self);
  if (err == LK_OK) err = make_memories(self);
  if (err == LK_OK) err = make_links(self);
  return err;
}

static void close_all(supervisor *self) {
  lk_loop_deinit(&self->loop);
  lk_listener_close(&self->listener);
  lk_directory_close(&self->directory);
  lk_links_close(&self->links, lk_posix_heap());
  for (uint32_t i = 0; i < LK_SERVER_PROCESSES_MAX; i++) lk_shared_memory_close(&self->memories[i]);
  lk_shared_memory_close(&self->webhook_memory);
  lk_tls_files_close(&self->tls);
  lk_tls_tickets_close(&self->tickets);
  lk_keyring_close(self->keys);
  if (self->ready_fd >= 0) (void)close(self->ready_fd);
  lk_supervise_deinit(&self->machine);
  for (int i = 0; i < GROUPS; i++) lk_supervise_deinit(&self->groups[i].machine);
}

int lk_supervisor_run(const lk_server_options *options) {
  supervisor self = { .options = options,
                      .listener.fd = -1,
                      .directory.lock = -1,
                      .ready_fd = -1,
                      .loop = { .epoll = -1, .signals = -1 } };
  /* Who read our words may have gone (`laniakea serve 2>&1 | head -1`); clients have not. */
  (void)signal(SIGPIPE, SIG_IGN);
  if (open_all(&self) == LK_OK) {
    lk_supervise_begin(&self.machine, now_of(&self));
    lk_loop_run(&self.loop, turn, &self);
  } else {
    self.code = 1;
  }
  close_all(&self);
  return self.code;
}
