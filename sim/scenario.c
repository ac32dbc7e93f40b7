/* sim/scenario.c -- the list, and what all of them have in common. */
#include "sim/scenario.h"

const sim_scenario sim_scenarios[] = {
  { "counter", "one server and its clients share a counter; each seed has its own faults", NULL,
    sim_counter_run },
  { "counter-calm", "the same without a single fault", sim_options_calm, sim_counter_run },
  { "counter-storm", "the same with every fault on", sim_options_storm, sim_counter_run },
  { "doc", "users write two documents, one durable and one in memory; each seed has its own faults",
    sim_options_doc, sim_doc_run },
  { "doc-calm", "the same without a single fault", sim_options_doc_calm, sim_doc_run },
  { "doc-storm", "the same with every fault on", sim_options_doc_storm, sim_doc_run },
  { "doc-kills", "the same with rooms that die every 50 ms", sim_options_doc_kills, sim_doc_run },
  { "peer", "devices with disks of their own share objects and a document; each seed has its own faults",
    sim_options_doc, sim_peer_run },
  { "peer-calm", "the same without a single fault", sim_options_doc_calm, sim_peer_run },
  { "peer-storm", "the same with every fault on", sim_options_doc_storm, sim_peer_run },
};

const uint32_t sim_scenario_count = sizeof sim_scenarios / sizeof sim_scenarios[0];

const sim_scenario *sim_scenario_of(lk_slice name) {
  for (uint32_t i = 0; i < sim_scenario_count; i++) {
    if (lk_slice_equal(name, lk_slice_cstr(sim_scenarios[i].name))) return &sim_scenarios[i];
  }
  return NULL;
}

void sim_run(const sim_scenario *scenario, uint64_t seed, uint32_t minutes, sim_plant plant,
             const lk_alloc *alloc, FILE *trace, sim_options *options, sim_result *result) {
  sim_world world;
  *result = (sim_result){ 0 };
  sim_options_draw(options, seed);
  if (scenario->adjust != NULL) scenario->adjust(options);
  if (minutes > 0) options->safety_ms = (uint64_t)minutes * 60000;
  options->plant = plant;
  sim_world_init(&world, alloc, options, trace);
  scenario->run(&world, result);
  result->failed = world.failed;
  memcpy(result->failure, world.failure, sizeof world.failure);
  result->hash = world.hash;
  result->events = world.event_count;
  result->simulated_us = world.now_us;
  memcpy(result->faults, world.faults, sizeof world.faults);
  sim_world_deinit(&world);
}
