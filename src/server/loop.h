/* server/loop.h -- waiting for descriptors, signals and the time, in one place.
 *
 * A watch is embedded in what it watches for; the loop holds pointers to watches, allocates
 * nothing and owns no descriptor but its own. Callbacks run one after the other; each may add,
 * modify and remove any watch, its own included: an event that was fetched for a watch before it
 * was removed is dropped.
 *
 * After each batch of events the loop calls |turn|, which does what was put off (timers, output)
 * and says when it must be called again at the latest. */
#ifndef LK_SERVER_LOOP_H
#define LK_SERVER_LOOP_H

#include "base/slice.h"

#include <signal.h>
#include <sys/epoll.h>

#define LK_LOOP_BATCH 128
#define LK_LOOP_NEVER UINT64_MAX

typedef struct lk_watch lk_watch;
typedef void (*lk_watch_callback)(lk_watch *watch, uint32_t events);

struct lk_watch {
  lk_watch_callback callback;
  int fd; /* -1 while it is not in a loop */
  uint32_t events;
};

typedef void (*lk_loop_signal)(void *ctx, int number);

typedef struct lk_loop {
  struct epoll_event batch[LK_LOOP_BATCH];
  int batch_count;
  int epoll;
  int signals;
  lk_watch signal_watch;
  lk_loop_signal on_signal;
  void *signal_ctx;
  uint64_t now_ms;
  bool stopped;
} lk_loop;

/* LK_ERR_LIMIT where the process may open no more descriptors, LK_ERR_IO. */
lk_err lk_loop_init(lk_loop *self) LK_MUST_USE;

/* Watches are forgotten; their descriptors stay open. Safe on a failed init, and twice. */
void lk_loop_deinit(lk_loop *self);

/* Watches |fd| for |events| (EPOLLIN, EPOLLOUT; errors and hang-ups always come), level-triggered.
 * |callback| finds the struct around |watch| with LK_CONTAINER. LK_ERR_LIMIT, LK_ERR_IO. */
lk_err lk_loop_add(lk_loop *self, lk_watch *watch, int fd, uint32_t events,
                   lk_watch_callback callback) LK_MUST_USE;

/* Costs nothing where |events| are the same as before. */
void lk_loop_modify(lk_loop *self, lk_watch *watch, uint32_t events);

/* Call it before the descriptor is closed. Does nothing for a watch that is in no loop. */
void lk_loop_remove(lk_loop *self, lk_watch *watch);

/* Blocks |numbers| for the process and gives them to |callback| between other callbacks. Once for
 * each loop. LK_ERR_LIMIT, LK_ERR_IO. */
lk_err lk_loop_watch_signals(lk_loop *self, const sigset_t *numbers, lk_loop_signal callback,
                             void *ctx) LK_MUST_USE;

/* The monotonic time at which the present batch of events was fetched. */
static inline uint64_t lk_loop_now(const lk_loop *self) { return self->now_ms; }

/* Runs until lk_loop_stop(). |turn| returns the time of the next deadline or LK_LOOP_NEVER. */
void lk_loop_run(lk_loop *self, uint64_t (*turn)(void *ctx), void *ctx);

/* lk_loop_run() returns after the callback that is running, without another turn. */
static inline void lk_loop_stop(lk_loop *self) { self->stopped = true; }

#endif
