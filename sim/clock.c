/* sim/clock.c -- integer arithmetic only, so that a run is the same everywhere. */
#include "sim/clock.h"

#define MILLION 1000000u
/* Elapsed time times a million must fit 64 bits: 200 days do. */
#define ELAPSED_MAX_US (200ull * 24 * 3600 * MILLION)
#define WALL_OFFSET_MAX (1ll << 50)

void sim_clock_boot(sim_clock *self, uint64_t world_us, uint64_t base_ms, int32_t drift_ppm) {
  LK_ASSERT(drift_ppm >= -SIM_CLOCK_DRIFT_MAX_PPM && drift_ppm <= SIM_CLOCK_DRIFT_MAX_PPM);
  self->origin_us = world_us;
  self->base_ms = base_ms;
  self->drift_ppm = drift_ppm;
}

static uint64_t speed(const sim_clock *self) {
  return (uint64_t)((int64_t)MILLION + self->drift_ppm);
}

uint64_t sim_clock_monotonic_ms(const sim_clock *self, uint64_t world_us) {
  LK_ASSERT(world_us >= self->origin_us && world_us - self->origin_us <= ELAPSED_MAX_US);
  return self->base_ms + (world_us - self->origin_us) * speed(self) / MILLION / 1000;
}

uint64_t sim_clock_wall_ms(const sim_clock *self, uint64_t world_us) {
  int64_t wall = (int64_t)sim_clock_monotonic_ms(self, world_us) + self->wall_ms;
  return wall < 0 ? 0 : (uint64_t)wall;
}

/* The least t with t * speed >= ms * 10^9, rounded as the division above rounds. */
uint64_t sim_clock_when_us(const sim_clock *self, uint64_t monotonic_ms) {
  if (monotonic_ms <= self->base_ms) return self->origin_us;
  uint64_t ms = lk_min_u64(monotonic_ms - self->base_ms, ELAPSED_MAX_US / 2000);
  uint64_t us = ms * 1000 * MILLION / speed(self);
  while (us * speed(self) / MILLION / 1000 < ms) us++;
  return self->origin_us + us;
}

void sim_clock_jump(sim_clock *self, int64_t by_ms) {
  self->wall_ms += by_ms;
  if (self->wall_ms > WALL_OFFSET_MAX) self->wall_ms = WALL_OFFSET_MAX;
  if (self->wall_ms < -WALL_OFFSET_MAX) self->wall_ms = -WALL_OFFSET_MAX;
}
