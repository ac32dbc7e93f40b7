/* sim/options.h -- what one run is made of, drawn from its seed.
 *
 * Swarm testing: a run in which every fault happens all the time never gets deep into anything,
 * and some bugs need a fault to be absent. So each run draws its own mixture: each fault on or
 * off, each rate and each size over several orders of magnitude. The whole draw is printed when a
 * run fails, and the seed alone brings it back. */
#ifndef SIM_OPTIONS_H
#define SIM_OPTIONS_H

#include <stdio.h>

#include "base/base.h"
#include "base/prng.h"

typedef enum sim_fault {
#define FAULT(name, unit, low, high, text) SIM_FAULT_##name,
#include "sim/faults.def"
#undef FAULT
  SIM_FAULT_COUNT
} sim_fault;

typedef enum sim_unit { SIM_UNIT_PPM, SIM_UNIT_EVERY } sim_unit;

typedef struct sim_fault_row {
  const char *name;
  sim_unit unit;
  uint32_t low;
  uint32_t high;
  const char *text;
} sim_fault_row;

extern const sim_fault_row sim_fault_rows[SIM_FAULT_COUNT];

/* Mistakes that the simulator's own hosts can be told to make: they show that it would notice.
 * Those in the core are built in with -DLK_BUG_...; see README.md. */
typedef enum sim_plant {
  SIM_PLANT_NONE,
  SIM_PLANT_LYING_SYNC,  /* the disk says that it synced, and did not */
  SIM_PLANT_DROP_RESEND, /* a client's host sends a merge only on its first connection */
  SIM_PLANT_REUSE_ACTOR, /* a tab that lost its memory goes on under its old id */
  SIM_PLANT_DEAF_TIMERS, /* a client's host forgets to call tick */
  SIM_PLANT_COUNT
} sim_plant;

extern const char *const sim_plant_names[SIM_PLANT_COUNT];

typedef struct sim_options {
  uint64_t seed;
  uint64_t safety_ms;   /* how long users work and faults happen */
  uint64_t liveness_ms; /* how long everything may take to settle afterwards */
  uint32_t peers;
  uint32_t plains;
  uint32_t vandals;
  uint32_t user_gap_ms; /* mean time between two actions of one user */
  uint32_t amount_max;
  uint32_t delay_low_us; /* of the network */
  uint32_t delay_high_us;
  uint32_t disk_low_us;
  uint32_t disk_high_us;
  uint32_t sync_low_us;
  uint32_t sync_high_us;
  uint32_t outage_max_ms;     /* how long partitions, crashes, pauses and full disks last at most */
  uint32_t effects_max;       /* limits.room_effects_count */
  uint32_t output_bytes_max;  /* limits.ws_output_bytes of the server */
  uint32_t tail_bytes_max;    /* limits.room_tail_bytes */
  uint32_t segment_bytes_max; /* limits.log_segment_bytes */
  uint32_t rate[SIM_FAULT_COUNT]; /* 0: this fault is off */
  uint32_t versions_percent;      /* of what users do; 0: documents keep no versions */
  uint32_t versions_interval_ms;  /* between those that are made by themselves; 0: none is */
  bool restores;                  /* users go back to versions */
  sim_plant plant;
} sim_options;

/* Draws everything from |seed|. */
void sim_options_draw(sim_options *self, uint64_t seed);

/* The same run without a single fault. */
void sim_options_calm(sim_options *self);

/* Every fault on, at the rate it would have had. */
void sim_options_storm(sim_options *self);

/* For documents, which cost more than counters: shorter, with fewer actions. */
void sim_options_doc(sim_options *self);
void sim_options_doc_calm(sim_options *self);
void sim_options_doc_storm(sim_options *self);

/* The same with rooms that die every 50 ms, on a disk fast enough that something gets done in between. */
void sim_options_doc_kills(sim_options *self);

void sim_options_print(const sim_options *self, FILE *to);

/* SIM_PLANT_COUNT where there is none of that name. */
sim_plant sim_plant_of(lk_slice name);

/* From |low| to |high|, both included and above 0, each order of magnitude as likely as the others. */
uint32_t sim_draw_log(lk_prng *prng, uint32_t low, uint32_t high);

#endif
