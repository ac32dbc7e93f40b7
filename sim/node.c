/* sim/node.c -- starting and stopping, and alarms that ring by a clock which is not the world's. */
#include "sim/node.h"

#define BOOT_MS_MAX 4000000000u

static void emit(void *ctx, const lk_trace_record *record) {
  sim_node *self = ctx;
  sim_world_note(self->world, self->name, record->name, record->a, record->b, record->text);
}

static void on_wake(sim_event *event) {
  sim_node *self = LK_CONTAINER(event, sim_node, wake);
  if (!self->is_up) return;
  if (sim_node_is_paused(self)) {
    sim_world_schedule(self->world, &self->wake, self->paused_until_us);
    return;
  }
  if (self->kind->wake != NULL) self->kind->wake(self);
}

void sim_node_init(sim_node *self, sim_world *world, const sim_node_kind *kind, uint32_t number,
                   const char *name, size_t memory_bound) {
  *self = (sim_node){ .kind = kind, .world = world, .number = number };
  (void)snprintf(self->name, sizeof self->name, "%s", name);
  sim_memory_init(&self->memory, world, number, memory_bound);
  self->trace = (lk_trace){ emit, self };
  self->env = (lk_env)LK_ENV_INIT(&self->memory.table, &self->trace);
  sim_world_stream(world, SIM_STREAM_NODE + number, &self->prng);
  sim_event_init(&self->wake, on_wake);
}

void sim_node_start(sim_node *self) {
  LK_ASSERT(!self->is_up);
  int32_t drift = (int32_t)lk_prng_below(&self->prng, 2 * SIM_CLOCK_DRIFT_MAX_PPM + 1);
  sim_clock_boot(&self->clock, self->world->now_us, lk_prng_below(&self->prng, BOOT_MS_MAX),
                 drift - SIM_CLOCK_DRIFT_MAX_PPM);
  self->is_up = true;
  self->is_dark = false;
  self->paused_until_us = 0;
  self->starts++;
  sim_world_note(self->world, self->name, "start", self->starts, 0, LK_SLICE_EMPTY);
  if (self->kind->start != NULL) self->kind->start(self);
}

void sim_node_stop(sim_node *self) {
  LK_ASSERT(self->is_up);
  self->is_up = false;
  sim_world_cancel(self->world, &self->wake);
  sim_world_note(self->world, self->name, "stop", self->memory.used, self->memory.peak,
                 LK_SLICE_EMPTY);
  if (self->kind->stop != NULL) self->kind->stop(self);
  if (self->memory.used != 0) {
    sim_world_fail(self->world, "leak: %s left %zu bytes behind", self->name, self->memory.used);
  }
}

void sim_node_pause(sim_node *self, uint64_t until_us) {
  self->paused_until_us = lk_max_u64(self->paused_until_us, until_us);
}

uint64_t sim_node_now_ms(const sim_node *self) {
  return sim_clock_monotonic_ms(&self->clock, self->world->now_us);
}

void sim_node_wake_at(sim_node *self, uint64_t monotonic_ms) {
  uint64_t at = SIM_NEVER;
  if (self->wake.item.key <= self->world->now_us && sim_event_is_set(&self->wake))
    return; /* a poke */
  if (monotonic_ms != SIM_NEVER) at = sim_clock_when_us(&self->clock, monotonic_ms);
  sim_world_schedule(self->world, &self->wake, at);
}

void sim_node_poke(sim_node *self) {
  if (self->is_up) sim_world_schedule(self->world, &self->wake, self->world->now_us);
}
