/* sim/scenario.h -- stories that a seed can tell; each is one file and one line in scenario.c. */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "sim/world.h"

/* What is left of a run. */
typedef struct sim_result {
  bool failed;
  char failure[SIM_FAILURE_LEN_MAX];
  uint64_t hash;
  uint64_t events;
  uint64_t simulated_us;
  uint64_t changes;  /* that users made */
  uint64_t messages; /* that the network delivered */
  uint64_t checks;   /* of the oracle */
  uint64_t faults[SIM_FAULT_COUNT];
} sim_result;

typedef struct sim_scenario {
  const char *name;
  const char *text;
  /* Changes what was drawn; may be NULL. */
  void (*adjust)(sim_options *options);
  /* Runs the story; the caller has made the world and looks at it afterwards. */
  void (*run)(sim_world *world, sim_result *result);
} sim_scenario;

extern const sim_scenario sim_scenarios[];
extern const uint32_t sim_scenario_count;

/* NULL where there is none of that name. */
const sim_scenario *sim_scenario_of(lk_slice name);

/* Draws, adjusts and runs. |minutes| above 0 replaces the length of the phase with faults.
 * |options| receives what was run. |trace| may be NULL. */
void sim_run(const sim_scenario *scenario, uint64_t seed, uint32_t minutes, sim_plant plant,
             const lk_alloc *alloc, FILE *trace, sim_options *options, sim_result *result);

/* ---- the scenarios ---- */

void sim_counter_run(sim_world *world, sim_result *result);
void sim_doc_run(sim_world *world, sim_result *result);
void sim_peer_run(sim_world *world, sim_result *result);

#endif
