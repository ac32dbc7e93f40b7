/* sim/clock.h -- the clocks of one machine: one that only goes on, one that somebody sets.
 *
 * World time is in microseconds and true. A machine sees milliseconds: its monotonic clock begins
 * anywhere at each boot and runs a little too fast or too slow; its wall clock is that plus an
 * offset which may jump. */
#ifndef SIM_CLOCK_H
#define SIM_CLOCK_H

#include "base/base.h"

/* Worse than any oscillator: one part in a hundred. */
#define SIM_CLOCK_DRIFT_MAX_PPM 10000

typedef struct sim_clock {
  uint64_t origin_us; /* world time of the boot */
  uint64_t base_ms;   /* what the monotonic clock showed then */
  int64_t wall_ms;    /* wall minus monotonic */
  int32_t drift_ppm;
} sim_clock;

/* The machine starts: its monotonic clock shows |base_ms|. |drift_ppm| within the maximum. */
void sim_clock_boot(sim_clock *self, uint64_t world_us, uint64_t base_ms, int32_t drift_ppm);

/* |world_us| is not before the boot. */
uint64_t sim_clock_monotonic_ms(const sim_clock *self, uint64_t world_us);

/* Since 1970 as the machine believes; 0 where that would be earlier. */
uint64_t sim_clock_wall_ms(const sim_clock *self, uint64_t world_us);

/* The first microsecond of the world at which the monotonic clock shows at least |monotonic_ms|. */
uint64_t sim_clock_when_us(const sim_clock *self, uint64_t monotonic_ms);

/* Sets the wall clock forward or back; the monotonic clock does not notice. */
void sim_clock_jump(sim_clock *self, int64_t by_ms);

#endif
