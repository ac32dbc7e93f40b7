/* The event loop: who is called, in which order of life and death, and when. */
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/list.h"
#include "harness/test.h"
#include "platform/posix/clock.h"
#include "server/loop.h"

typedef struct bell {
  lk_watch watch;
  struct bell *other;
  lk_loop *loop;
  uint32_t rings;
} bell;

static int ringing(void) {
  int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
  CHECK(fd >= 0);
  return fd;
}

static void on_bell(lk_watch *watch, uint32_t events) {
  bell *b = LK_CONTAINER(watch, bell, watch);
  CHECK((events & EPOLLIN) != 0);
  b->rings++;
  lk_loop_remove(b->loop, &b->other->watch);
}

typedef struct counter {
  lk_loop *loop;
  uint32_t turns;
  uint32_t turns_max;
  uint64_t wait_ms;
} counter;

static uint64_t on_turn(void *ctx) {
  counter *c = ctx;
  if (++c->turns > c->turns_max) lk_loop_stop(c->loop);
  return lk_posix_monotonic_ms() + c->wait_ms;
}

/* Goal: the hazard of epoll. Method: two descriptors are ready in one batch, and whichever is called first
 * removes the other: exactly one of them may ring. */
TEST(a_watch_that_is_removed_is_not_called_with_an_event_fetched_before) {
  lk_loop loop;
  bell a = { .loop = &loop }, b = { .loop = &loop };
  counter c = { .loop = &loop, .turns_max = 1 };
  int fd_a = ringing(), fd_b = ringing();
  a.other = &b;
  b.other = &a;
  CHECK_OK(lk_loop_init(&loop));
  CHECK_OK(lk_loop_add(&loop, &a.watch, fd_a, EPOLLIN, on_bell));
  CHECK_OK(lk_loop_add(&loop, &b.watch, fd_b, EPOLLIN, on_bell));
  lk_loop_run(&loop, on_turn, &c);
  CHECK_U64(a.rings + b.rings, 1);
  lk_loop_deinit(&loop);
  lk_loop_deinit(&loop);
  (void)close(fd_a);
  (void)close(fd_b);
}

TEST(a_watch_is_called_only_for_what_it_asked_for_last) {
  lk_loop loop;
  bell a = { .loop = &loop }, none = { .watch.fd = -1 };
  counter c = { .loop = &loop, .turns_max = 2 };
  int fd = ringing();
  a.other = &none;
  CHECK_OK(lk_loop_init(&loop));
  CHECK_OK(lk_loop_add(&loop, &a.watch, fd, 0, on_bell));
  lk_loop_run(&loop, on_turn, &c);
  CHECK_U64(a.rings, 0);
  lk_loop_modify(&loop, &a.watch, EPOLLIN);
  c.turns = 0;
  lk_loop_run(&loop, on_turn, &c);
  CHECK_U64(a.rings, 2);
  lk_loop_deinit(&loop);
  (void)close(fd);
}

TEST(a_turn_comes_at_its_deadline_and_not_before) {
  lk_loop loop;
  counter c = { .loop = &loop, .turns_max = 3, .wait_ms = 10 };
  CHECK_OK(lk_loop_init(&loop));
  uint64_t before = lk_posix_monotonic_ms();
  lk_loop_run(&loop, on_turn, &c);
  uint64_t took = lk_posix_monotonic_ms() - before;
  CHECK(took >= 28 && took < 5000);
  lk_loop_deinit(&loop);
}

static void on_number(void *ctx, int number) {
  counter *c = ctx;
  CHECK_U64(number, SIGUSR1);
  lk_loop_stop(c->loop);
  c->turns_max = 0;
}

TEST(a_signal_arrives_as_a_callback) {
  lk_loop loop;
  sigset_t set;
  counter c = { .loop = &loop, .turns_max = 100, .wait_ms = 50 };
  (void)sigemptyset(&set);
  (void)sigaddset(&set, SIGUSR1);
  CHECK_OK(lk_loop_init(&loop));
  CHECK_OK(lk_loop_watch_signals(&loop, &set, on_number, &c));
  (void)kill(getpid(), SIGUSR1);
  lk_loop_run(&loop, on_turn, &c);
  CHECK_U64(c.turns_max, 0);
  lk_loop_deinit(&loop);
}
