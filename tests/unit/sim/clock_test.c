#include "sim/clock.h"

#include "harness/test.h"

/* Goal: an alarm that is set for a time rings at the first microsecond at which the clock shows it. */
PROPERTY(an_alarm_rings_when_the_clock_shows_its_time_and_not_before) {
  sim_clock clock = { 0 };
  uint64_t boot = gen_below(g, 1u << 30);
  int32_t drift = (int32_t)gen_below(g, 2 * SIM_CLOCK_DRIFT_MAX_PPM + 1) - SIM_CLOCK_DRIFT_MAX_PPM;
  sim_clock_boot(&clock, boot, gen_below(g, 1u << 30), drift);
  uint64_t target = clock.base_ms + 1 + gen_below(g, 100000000);
  uint64_t when = sim_clock_when_us(&clock, target);
  CHECK(when > boot);
  CHECK_U64(sim_clock_monotonic_ms(&clock, when), target);
  CHECK(sim_clock_monotonic_ms(&clock, when - 1) < target);
}

TEST(a_clock_that_runs_fast_gains_its_drift) {
  sim_clock clock = { 0 };
  sim_clock_boot(&clock, 1000, 50, 10000);
  CHECK_U64(sim_clock_monotonic_ms(&clock, 1000), 50);
  CHECK_U64(sim_clock_monotonic_ms(&clock, 1000 + 100 * 1000000), 50 + 101000);
  CHECK_U64(sim_clock_when_us(&clock, 7), 1000); /* past already */
}

TEST(a_jump_moves_the_wall_clock_alone_and_never_below_its_beginning) {
  sim_clock clock = { .wall_ms = 5000 };
  sim_clock_boot(&clock, 0, 100, 0);
  CHECK_U64(sim_clock_wall_ms(&clock, 1000000), 6100);
  sim_clock_jump(&clock, -6000);
  CHECK_U64(sim_clock_wall_ms(&clock, 1000000), 100);
  CHECK_U64(sim_clock_monotonic_ms(&clock, 1000000), 1100);
  sim_clock_jump(&clock, INT64_MIN / 2);
  CHECK_U64(sim_clock_wall_ms(&clock, 1000000), 0);
}

TEST(a_reboot_begins_the_monotonic_clock_anew) {
  sim_clock clock = { 0 };
  sim_clock_boot(&clock, 0, 1000000, 0);
  sim_clock_boot(&clock, 5000, 3, 0);
  CHECK_U64(sim_clock_monotonic_ms(&clock, 7000), 5);
  CHECK_PANICS(sim_clock_boot(&clock, 0, 0, SIM_CLOCK_DRIFT_MAX_PPM + 1));
}
