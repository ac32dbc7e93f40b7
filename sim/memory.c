/* sim/memory.c -- a tally in front of the world's allocator. */
#include "sim/memory.h"

#include "base/num.h"

static void *resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  sim_memory *self = ctx;
  bool grows = new_size > old_size;
  LK_ASSERT(old_size <= self->used);
  if (grows && self->may_fail &&
      sim_world_strikes(self->world, SIM_FAULT_memory_out, &self->prng)) {
    return NULL;
  }
  void *fresh = self->world->alloc->resize(self->world->alloc->ctx, ptr, old_size, new_size);
  if (fresh == NULL && new_size > 0) return NULL;
  self->used = self->used - old_size + new_size;
  self->peak = lk_max_size(self->peak, self->used);
  if (self->used > self->bound) {
    sim_world_fail(self->world, "memory: a node uses %zu bytes, its bound is %zu", self->used,
                   self->bound);
  }
  return fresh;
}

void sim_memory_init(sim_memory *self, sim_world *world, uint64_t number, size_t bound) {
  *self = (sim_memory){ .table = { resize, self }, .world = world, .bound = bound };
  sim_world_stream(world, SIM_STREAM_MEMORY + number, &self->prng);
}
