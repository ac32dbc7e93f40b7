/* sim/memory.h -- one node's memory: counted, bounded, and sometimes out.
 *
 * What a node has allocated must all be gone when its process has been closed, and must never be
 * more than its bound: these are invariants like any other. */
#ifndef SIM_MEMORY_H
#define SIM_MEMORY_H

#include "laniakea/env.h"
#include "sim/world.h"

typedef struct sim_memory {
  lk_alloc table;
  sim_world *world;
  lk_prng prng;
  size_t used;
  size_t peak;
  size_t bound;  /* more than this fails the run */
  bool may_fail; /* whether SIM_FAULT_memory_out applies */
} sim_memory;

void sim_memory_init(sim_memory *self, sim_world *world, uint64_t number, size_t bound);

#endif
