/* server/supervisor.c -- fork, wait, fork again.
 *
 *   STARTING ──all are ready──> RUNNING ──signal──> EDGES STOP ──all ended──> ROOMS STOP ──all ended──> end, 0
 *      ^                           │                     └── 5 s or a second signal: SIGKILL ──> end, 1
 *      └── one died: another one ──┴── more than 10 times in 10 s, or hopeless ──> stop as above, end, 1
 *
 * One for one: processes share nothing but rings, each of which goes on with whoever takes its end. Rooms start
 * first and stop last, since edges finish what they were asked while they stop.
 *
 * A process is a fork without exec: the supervisor has one thread, little memory and no secrets,
 * and a fork is the fastest way back (a quarter of a millisecond). It learns three things of its
 * processes, and parses none of them: that one is ready (an eventfd), that it ended, and how.
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
#include <sys/wait.h>
#include <unistd.h>

#include "base/list.h"
#include "server/console.h"
#include "server/directory.h"
#include "server/intensity.h"
#include "server/listener.h"
#include "server/loop.h"
#include "platform/posix/heap.h"
#include "server/edge_process.h"
#include "server/process.h"
#include "server/room_process.h"

#define RESTARTS_MAX 10
#define RESTARTS_PERIOD_MS 10000
#define STOP_MS 5000

/* A process and its place, which outlives it. */
typedef struct child {
  pid_t pid; /* 0: none */
  bool is_room;
  uint32_t index;
} child;

typedef struct supervisor {
  const lk_server_options *options;
  lk_listener listener;
  lk_directory directory;
  lk_links links;
  lk_intensity intensity;
  lk_loop loop;
  lk_watch ready_watch;
  int ready_fd;
  child children[2 * LK_SERVER_PROCESSES_MAX]; /* rooms, then edges */
  uint32_t children_count;
  uint32_t ready_count;
  uint64_t kill_ms;
  bool announced;
  bool stopping;
  bool rooms_told; /* to stop */
  int code;
} supervisor;

/* ---- processes ---- */

static int run_room(const supervisor *self, uint32_t index) {
  lk_room_process_options options = { .links = &self->links,
                                      .index = index,
                                      .ready_fd = self->ready_fd,
                                      .directory = self->directory.path,
                                      .is_ephemeral = self->directory.ephemeral,
                                      .limits = self->options->limits };
  return lk_room_process_run(&options);
}

static int run_edge(const supervisor *self, uint32_t index) {
  lk_edge_process_options options = { .links = &self->links,
                                      .index = index,
                                      .listen_fd = self->listener.fd,
                                      .ready_fd = self->ready_fd,
                                      .assets = self->options->assets,
                                      .limits = self->options->limits,
                                      .debug_echo = self->options->debug_echo };
  return lk_edge_process_run(&options);
}

static _Noreturn void become(const supervisor *self, const child *who, pid_t parent) {
  lk_loop mine = self->loop;
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(LK_PROCESS_FAILED); /* it died before we asked to die with it */
  (void)prctl(PR_SET_NAME, who->is_room ? "laniakea-room" : "laniakea-edge");
  lk_loop_deinit(&mine); /* the supervisor's: only our descriptors of it are closed */
  if (who->is_room) (void)close(self->listener.fd);
  _exit(who->is_room ? run_room(self, who->index) : run_edge(self, who->index));
}

static lk_links_numbers *numbers_of(const supervisor *self, const child *who) {
  return who->is_room ? lk_links_room_numbers(&self->links, who->index)
                      : lk_links_edge_numbers(&self->links, who->index);
}

static const char *kind_of(const child *who) { return who->is_room ? "room" : "edge"; }

static lk_err start_process(supervisor *self, child *who) {
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid == 0) become(self, who, parent);
  if (pid < 0) {
    lk_console_say("cannot start the %s process %u: %s", kind_of(who), (unsigned)who->index,
                   strerror(errno));
    return LK_ERR_LIMIT;
  }
  who->pid = pid;
  atomic_fetch_add(&numbers_of(self, who)->starts, 1);
  return LK_OK;
}

static bool any_runs(const supervisor *self, bool rooms) {
  for (uint32_t i = 0; i < self->children_count; i++) {
    if (self->children[i].pid != 0 && self->children[i].is_room == rooms) return true;
  }
  return false;
}

static void signal_all(const supervisor *self, bool rooms, int number) {
  for (uint32_t i = 0; i < self->children_count; i++) {
    const child *c = &self->children[i];
    if (c->pid != 0 && c->is_room == rooms) (void)kill(c->pid, number);
  }
}

/* ---- stopping ---- */

static void begin_to_stop(supervisor *self, int code) {
  if (code != 0) self->code = code;
  if (self->stopping) return;
  self->stopping = true;
  self->kill_ms = lk_loop_now(&self->loop) + STOP_MS;
  signal_all(self, false, SIGTERM);
}

/* Edges first; when none is left, rooms; when none is left, the end. */
static void go_on_stopping(supervisor *self) {
  if (!self->stopping || any_runs(self, false)) return;
  if (!self->rooms_told) {
    self->rooms_told = true;
    self->kill_ms = lk_loop_now(&self->loop) + STOP_MS;
    signal_all(self, true, SIGTERM);
  }
  if (!any_runs(self, true)) lk_loop_stop(&self->loop);
}

static void describe_death(int status, char *out, size_t size) {
  if (WIFSIGNALED(status))
    (void)snprintf(out, size, "was killed by signal %d (%s)", WTERMSIG(status),
                   strsignal(WTERMSIG(status)));
  else (void)snprintf(out, size, "ended with code %d", WEXITSTATUS(status));
}

static void restart(supervisor *self, child *who, int status) {
  char how[96];
  describe_death(status, how, sizeof how);
  if (!lk_intensity_allow(&self->intensity, lk_loop_now(&self->loop))) {
    lk_console_say("the %s process %u %s; processes died more than %d times within %d seconds, so that the "
                   "server gives up",
                   kind_of(who), (unsigned)who->index, how, RESTARTS_MAX,
                   RESTARTS_PERIOD_MS / 1000);
    begin_to_stop(self, 1);
    return;
  }
  lk_console_say("the %s process %u %s; starting another one (restart %llu)", kind_of(who),
                 (unsigned)who->index, how, (unsigned long long)self->intensity.total);
  if (start_process(self, who) != LK_OK) begin_to_stop(self, 1);
}

static void on_end(supervisor *self, child *who, int status) {
  bool clean = WIFEXITED(status) && WEXITSTATUS(status) == LK_PROCESS_STOPPED;
  bool hopeless = WIFEXITED(status) && WEXITSTATUS(status) == LK_PROCESS_HOPELESS;
  who->pid = 0;
  if (self->stopping) self->code = clean ? self->code : 1;
  else if (hopeless) begin_to_stop(self, 1); /* it has said why */
  else restart(self, who, status);
}

/* Every child that ended. Signals may merge, so that one SIGCHLD stands for several. */
static void reap(supervisor *self) {
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    for (uint32_t i = 0; i < self->children_count; i++) {
      if (self->children[i].pid == pid) on_end(self, &self->children[i], status);
    }
  }
  go_on_stopping(self);
}

static void kill_all(supervisor *self) {
  signal_all(self, false, SIGKILL);
  signal_all(self, true, SIGKILL);
}

static void stop(supervisor *self) {
  if (self->stopping) kill_all(self);
  begin_to_stop(self, 0);
  go_on_stopping(self);
}

static void on_signal(void *ctx, int number) {
  if (number == SIGCHLD) reap(ctx);
  else stop(ctx);
}

static uint64_t turn(void *ctx) {
  supervisor *self = ctx;
  if (!self->stopping) return LK_LOOP_NEVER;
  if (lk_loop_now(&self->loop) < self->kill_ms) return self->kill_ms;
  if (any_runs(self, false) || any_runs(self, true)) {
    lk_console_say("some processes did not stop within %d seconds; they are killed", STOP_MS / 1000);
    kill_all(self);
  }
  self->kill_ms = LK_LOOP_NEVER;
  return LK_LOOP_NEVER;
}

/* ---- starting ---- */

static void announce(const supervisor *self) {
  (void)printf("Laniakea %s listens on %s\n", LK_VERSION_TEXT, self->listener.url);
  if (self->directory.ephemeral) {
    (void)printf("What clients write is kept while it runs; use --data DIR to keep it longer\n");
  }
  (void)fflush(stdout);
}

static void on_ready(lk_watch *watch, uint32_t events) {
  supervisor *self = LK_CONTAINER(watch, supervisor, ready_watch);
  uint64_t count;
  ssize_t ignored = read(self->ready_fd, &count, sizeof count);
  (void)ignored;
  (void)events;
  if (ignored == sizeof count) self->ready_count += (uint32_t)count;
  if (self->announced || self->ready_count < self->children_count) return;
  if (!self->options->quiet) announce(self);
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

static lk_err make_links(supervisor *self) {
  uint32_t edges = self->options->edges, rooms = self->options->rooms;
  LK_ASSERT(edges > 0 && edges <= LK_SERVER_PROCESSES_MAX);
  LK_ASSERT(rooms > 0 && rooms <= LK_SERVER_PROCESSES_MAX);
  lk_err err = lk_links_make(&self->links, lk_posix_heap(), edges, rooms);
  if (err != LK_OK) {
    lk_console_say("cannot make the memory that processes share: %s", lk_err_text(err));
    return err;
  }
  for (uint32_t i = 0; i < rooms; i++)
    self->children[self->children_count++] = (child){ .is_room = true, .index = i };
  for (uint32_t i = 0; i < edges; i++)
    self->children[self->children_count++] = (child){ .index = i };
  return LK_OK;
}

static lk_err open_all(supervisor *self) {
  lk_err err = watch_all(self); /* first: a signal from now on finds a way to clean up */
  if (err != LK_OK) {
    lk_console_say("cannot start: %s", lk_err_text(err));
    return err;
  }
  err = lk_listener_open(&self->listener, self->options->address, self->options->port);
  if (err == LK_OK) err = lk_directory_open(&self->directory, self->options->directory);
  if (err == LK_OK) err = make_links(self);
  for (uint32_t i = 0; i < self->children_count && err == LK_OK; i++)
    err = start_process(self, &self->children[i]);
  return err;
}

int lk_supervisor_run(const lk_server_options *options) {
  supervisor self = { .options = options,
                      .listener.fd = -1,
                      .directory.lock = -1,
                      .ready_fd = -1,
                      .loop = { .epoll = -1, .signals = -1 } };
  /* Who read our words may have gone (`laniakea serve 2>&1 | head -1`); clients have not. */
  (void)signal(SIGPIPE, SIG_IGN);
  lk_intensity_init(&self.intensity, RESTARTS_MAX, RESTARTS_PERIOD_MS);
  if (open_all(&self) != LK_OK) {
    self.code = 1;
    kill_all(&self);
  } else {
    lk_loop_run(&self.loop, turn, &self);
  }
  lk_loop_deinit(&self.loop);
  lk_listener_close(&self.listener);
  lk_directory_close(&self.directory);
  lk_links_close(&self.links, lk_posix_heap());
  if (self.ready_fd >= 0) (void)close(self.ready_fd);
  return self.code;
}
