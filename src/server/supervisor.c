/* server/supervisor.c -- fork, wait, fork again.
 *
 *   STARTING ──ready──> RUNNING ──signal──> STOPPING ──worker ended──> end, 0
 *      ^                   │                    └── 5 s or a second signal: SIGKILL ──> end, 1
 *      └── worker died ────┴── more than 10 times in 10 s, or hopeless ──> end, 1
 *
 * The worker is a fork without exec: the supervisor has one thread, little memory and no secrets,
 * and a fork is the fastest way back (a quarter of a millisecond). It learns three things of its
 * worker, and parses none of them: that it is ready (an eventfd), that it ended, and how.
 *
 * Not chosen: listening anew in each worker, with SO_REUSEPORT: connections in the queue of a dead
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
#include "server/worker.h"

#define RESTARTS_MAX 10
#define RESTARTS_PERIOD_MS 10000
#define STOP_MS 5000

typedef struct supervisor {
  const lk_server_options *options;
  lk_listener listener;
  lk_directory directory;
  lk_intensity intensity;
  lk_loop loop;
  lk_watch ready_watch;
  int ready_fd;
  pid_t worker; /* 0: none */
  uint64_t kill_ms;
  bool announced;
  bool stopping;
  int code;
} supervisor;

/* ---- the worker ---- */

static _Noreturn void become_worker(const supervisor *self, pid_t parent) {
  lk_worker_options options = {
    .listen_fd = self->listener.fd,
    .ready_fd = self->ready_fd,
    .directory = self->directory.path,
    .assets = self->options->assets,
    .limits = self->options->limits,
    .restarts = self->intensity.total,
  };
  lk_loop mine = self->loop;
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(LK_WORKER_FAILED); /* it died before we asked to die with it */
  lk_loop_deinit(&mine); /* the supervisor's: only our descriptors of it are closed */
  _exit(lk_worker_run(&options));
}

static lk_err start_worker(supervisor *self) {
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid == 0) become_worker(self, parent);
  if (pid < 0) {
    lk_console_say("cannot start a worker: %s", strerror(errno));
    return LK_ERR_LIMIT;
  }
  self->worker = pid;
  return LK_OK;
}

static void end(supervisor *self, int code) {
  self->code = code;
  lk_loop_stop(&self->loop);
}

static void describe_death(int status, char *out, size_t size) {
  if (WIFSIGNALED(status))
    (void)snprintf(out, size, "was killed by signal %d (%s)", WTERMSIG(status),
                   strsignal(WTERMSIG(status)));
  else (void)snprintf(out, size, "ended with code %d", WEXITSTATUS(status));
}

static void restart(supervisor *self, int status) {
  char how[96];
  describe_death(status, how, sizeof how);
  if (!lk_intensity_allow(&self->intensity, lk_loop_now(&self->loop))) {
    lk_console_say(
        "the worker %s; it died more than %d times within %d seconds, so that the server gives up",
        how, RESTARTS_MAX, RESTARTS_PERIOD_MS / 1000);
    end(self, 1);
    return;
  }
  lk_console_say("the worker %s; starting another one (restart %llu)", how,
                 (unsigned long long)self->intensity.total);
  if (start_worker(self) != LK_OK) end(self, 1);
}

static void on_worker_end(supervisor *self, int status) {
  bool clean = WIFEXITED(status) && WEXITSTATUS(status) == LK_WORKER_STOPPED;
  bool hopeless = WIFEXITED(status) && WEXITSTATUS(status) == LK_WORKER_HOPELESS;
  self->worker = 0;
  if (self->stopping) end(self, clean ? 0 : 1);
  else if (hopeless) end(self, 1); /* it has said why */
  else restart(self, status);
}

/* Every child that ended. Signals may merge, so that one SIGCHLD stands for several. */
static void reap(supervisor *self) {
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid == self->worker) on_worker_end(self, status);
  }
}

/* ---- stopping ---- */

static void stop(supervisor *self) {
  if (self->worker == 0) {
    end(self, 0);
  } else if (self->stopping) {
    (void)kill(self->worker, SIGKILL);
  } else {
    (void)kill(self->worker, SIGTERM);
  }
  self->stopping = true;
  self->kill_ms = lk_loop_now(&self->loop) + STOP_MS;
}

static void on_signal(void *ctx, int number) {
  if (number == SIGCHLD) reap(ctx);
  else stop(ctx);
}

static uint64_t turn(void *ctx) {
  supervisor *self = ctx;
  if (!self->stopping) return LK_LOOP_NEVER;
  if (lk_loop_now(&self->loop) < self->kill_ms) return self->kill_ms;
  if (self->worker != 0) {
    lk_console_say("the worker did not stop within %d seconds; it is killed", STOP_MS / 1000);
    (void)kill(self->worker, SIGKILL);
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
  if (!self->announced && !self->options->quiet) announce(self);
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

static lk_err open_all(supervisor *self) {
  lk_err err = watch_all(self); /* first: a signal from now on finds a way to clean up */
  if (err != LK_OK) {
    lk_console_say("cannot start: %s", lk_err_text(err));
    return err;
  }
  err = lk_listener_open(&self->listener, self->options->address, self->options->port);
  if (err == LK_OK) err = lk_directory_open(&self->directory, self->options->directory);
  if (err == LK_OK) err = start_worker(self);
  return err;
}

int lk_supervisor_run(const lk_server_options *options) {
  supervisor self = { .options = options,
                      .listener.fd = -1,
                      .directory.lock = -1,
                      .ready_fd = -1,
                      .loop = { .epoll = -1, .signals = -1 },
                      .code = 1 };
  /* Who read our words may have gone (`laniakea serve 2>&1 | head -1`); clients have not. */
  (void)signal(SIGPIPE, SIG_IGN);
  lk_intensity_init(&self.intensity, RESTARTS_MAX, RESTARTS_PERIOD_MS);
  if (open_all(&self) == LK_OK) lk_loop_run(&self.loop, turn, &self);
  lk_loop_deinit(&self.loop);
  lk_listener_close(&self.listener);
  lk_directory_close(&self.directory);
  if (self.ready_fd >= 0) (void)close(self.ready_fd);
  return self.code;
}
