/* platform/memory/clock.h -- a clock that stands until it is told to go.
 *
 * Steps of the core take the time as an argument; what calls them in a test or an example gets it
 * from here. Monotonic time only goes forward; the wall clock may be set to anything. */
#ifndef LK_PLATFORM_MEMORY_CLOCK_H
#define LK_PLATFORM_MEMORY_CLOCK_H

#include "base/check.h"
#include "base/num.h"

typedef struct lk_manual_clock {
  uint64_t monotonic_ms;
  uint64_t wall_ms; /* since 1970 */
} lk_manual_clock;

static inline void lk_manual_clock_advance(lk_manual_clock *self, uint64_t ms) {
  bool fits = lk_add_u64(self->monotonic_ms, ms, &self->monotonic_ms) &&
              lk_add_u64(self->wall_ms, ms, &self->wall_ms);
  LK_ASSERT(fits);
}

#endif
