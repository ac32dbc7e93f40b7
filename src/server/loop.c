/* server/loop.c -- epoll, and how a removed watch is not called again.
 *
 * epoll_wait fills |batch| with pointers to watches. A callback may remove, and free, a watch whose
 * event stands later in the same batch. So removing looks through what is left of the batch and
 * clears the pointer: 128 comparisons at most, and only when something closes. A generation
 * number in each event would do as well, but needs a table from numbers to watches. */
#include "server/loop.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/list.h"
#include "platform/posix/clock.h"

#define WAIT_MS_MAX 60000

static lk_err err_of_errno(int code) {
  return code == EMFILE || code == ENFILE || code == ENOSPC || code == ENOMEM ? LK_ERR_LIMIT
                                                                              : LK_ERR_IO;
}

lk_err lk_loop_init(lk_loop *self) {
  *self = (lk_loop){ .signals = -1, .signal_watch = { .fd = -1 } };
  self->epoll = epoll_create1(EPOLL_CLOEXEC);
  self->now_ms = lk_posix_monotonic_ms();
  return self->epoll >= 0 ? LK_OK : err_of_errno(errno);
}

void lk_loop_deinit(lk_loop *self) {
  if (self->signals >= 0) (void)close(self->signals);
  if (self->epoll >= 0) (void)close(self->epoll);
  self->signals = self->epoll = -1;
}

lk_err lk_loop_add(lk_loop *self, lk_watch *watch, int fd, uint32_t events,
                   lk_watch_callback callback) {
  struct epoll_event event = { .events = events, .data.ptr = watch };
  *watch = (lk_watch){ .callback = callback, .fd = -1, .events = events };
  if (epoll_ctl(self->epoll, EPOLL_CTL_ADD, fd, &event) != 0) return err_of_errno(errno);
  watch->fd = fd;
  return LK_OK;
}

void lk_loop_modify(lk_loop *self, lk_watch *watch, uint32_t events) {
  struct epoll_event event = { .events = events, .data.ptr = watch };
  LK_ASSERT(watch->fd >= 0);
  if (watch->events == events) return;
  int failed = epoll_ctl(self->epoll, EPOLL_CTL_MOD, watch->fd, &event);
  LK_ASSERT(failed == 0); /* it is registered, and changing it takes no memory */
  watch->events = events;
}

void lk_loop_remove(lk_loop *self, lk_watch *watch) {
  if (watch->fd < 0) return;
  int failed = epoll_ctl(self->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
  LK_ASSERT(failed == 0);
  watch->fd = -1;
  for (int i = 0; i < self->batch_count; i++) {
    if (self->batch[i].data.ptr == watch) self->batch[i].data.ptr = NULL;
  }
}

static void on_signals(lk_watch *watch, uint32_t events) {
  lk_loop *self = LK_CONTAINER(watch, lk_loop, signal_watch);
  struct signalfd_siginfo info;
  (void)events;
  while (read(self->signals, &info, sizeof info) == (ssize_t)sizeof info) {
    self->on_signal(self->signal_ctx, (int)info.ssi_signo);
  }
}

lk_err lk_loop_watch_signals(lk_loop *self, const sigset_t *numbers, lk_loop_signal callback,
                             void *ctx) {
  LK_ASSERT(self->signals < 0);
  if (sigprocmask(SIG_BLOCK, numbers, NULL) != 0) return LK_ERR_IO;
  self->signals = signalfd(-1, numbers, SFD_CLOEXEC | SFD_NONBLOCK);
  if (self->signals < 0) return err_of_errno(errno);
  self->on_signal = callback;
  self->signal_ctx = ctx;
  return lk_loop_add(self, &self->signal_watch, self->signals, EPOLLIN, on_signals);
}

static int wait_ms(uint64_t deadline) {
  uint64_t now = lk_posix_monotonic_ms();
  if (deadline <= now) return 0;
  return deadline - now < WAIT_MS_MAX ? (int)(deadline - now) : WAIT_MS_MAX;
}

void lk_loop_run(lk_loop *self, uint64_t (*turn)(void *ctx), void *ctx) {
  self->stopped = false;
  while (!self->stopped) {
    uint64_t deadline = turn(ctx);
    if (self->stopped) break;
    int count = epoll_wait(self->epoll, self->batch, LK_LOOP_BATCH, wait_ms(deadline));
    LK_ASSERT(count >= 0 || errno == EINTR);
    self->now_ms = lk_posix_monotonic_ms();
    self->batch_count = count < 0 ? 0 : count;
    for (int i = 0; i < self->batch_count && !self->stopped; i++) {
      lk_watch *watch = self->batch[i].data.ptr;
      if (watch != NULL) watch->callback(watch, self->batch[i].events);
    }
    self->batch_count = 0;
  }
}
