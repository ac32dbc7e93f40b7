/* platform/posix/clock.c -- clock_gettime, which cannot fail for the clocks that every Linux has. */
#include "platform/posix/clock.h"

#include <time.h>

#include "base/check.h"

static uint64_t read_us(clockid_t clock) {
  struct timespec now;
  int failed = clock_gettime(clock, &now);
  LK_ASSERT(failed == 0);
  if (now.tv_sec < 0) return 0;
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t lk_posix_monotonic_ms(void) { return read_us(CLOCK_MONOTONIC) / 1000; }

uint64_t lk_posix_monotonic_us(void) { return read_us(CLOCK_MONOTONIC); }

uint64_t lk_posix_wall_ms(void) { return read_us(CLOCK_REALTIME) / 1000; }
