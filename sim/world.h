/* sim/world.h -- time, chance and the record of what happened.
 *
 * A world is a queue of events, each with a time in microseconds. Running it means taking the
 * earliest, setting the clock to it and calling it; whatever it does schedules more. Nothing else
 * makes time pass and nothing but the seed decides anything, so a run can be had again.
 *
 * What happens is noted: every note goes into a hash, and to a file where one is given. Two runs
 * of one seed must give one hash; two builds should.
 *
 *   sim_event    embed it in what it is about; schedule, move or cancel it
 *   sim_node     a machine with its process: node.h
 *   sim_net      the wires between nodes: net.h
 *   sim_disk     what a node keeps: disk.h
 *   sim_oracle   what must hold: oracle.h
 *   sim_nemesis  who makes the world bad, and good again: nemesis.h */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdio.h>

#include "base/base.h"
#include "base/heap.h"
#include "base/prng.h"
#include "sim/options.h"

#define SIM_NODES_MAX 16
#define SIM_MS 1000u /* in microseconds */
#define SIM_NEVER UINT64_MAX
#define SIM_FAILURE_LEN_MAX 512

/* Purposes of streams: sim_world_stream(world, SIM_STREAM_x + number). */
enum {
  SIM_STREAM_NET = 1000,
  SIM_STREAM_NEMESIS = 2000,
  SIM_STREAM_DISK = 3000,
  SIM_STREAM_MEMORY = 4000,
  SIM_STREAM_NODE = 5000,
  SIM_STREAM_USER = 6000,
};

typedef struct sim_event {
  lk_heap_item item;
  void (*run)(struct sim_event *self);
} sim_event;

typedef struct sim_world {
  const lk_alloc *alloc; /* of the simulator itself; nodes have their own */
  const sim_options *options;
  lk_prng root;
  lk_heap events;
  uint64_t now_us;
  uint64_t event_count;
  uint64_t hash;
  FILE *trace; /* NULL: notes are hashed only */
  bool calm;   /* no faults strike any more */
  bool failed;
  char failure[SIM_FAILURE_LEN_MAX];
  uint64_t faults[SIM_FAULT_COUNT]; /* how many were delivered */
} sim_world;

/* |options| and |alloc| outlive the world. */
void sim_world_init(sim_world *self, const lk_alloc *alloc, const sim_options *options,
                    FILE *trace);

/* Events that are still scheduled are left to their owners. */
void sim_world_deinit(sim_world *self);

/* A stream whose numbers depend on nothing but the seed and |purpose|. */
void sim_world_stream(const sim_world *self, uint64_t purpose, lk_prng *out);

/* ---- events ---- */

void sim_event_init(sim_event *self, void (*run)(sim_event *self));
static inline bool sim_event_is_set(const sim_event *self) {
  return self->item.place != LK_HEAP_OUT;
}

/* Sets or moves |event|. Times that have passed mean now; SIM_NEVER cancels. */
void sim_world_schedule(sim_world *self, sim_event *event, uint64_t at_us);
void sim_world_cancel(sim_world *self, sim_event *event);

/* Runs the next event. False where there is none, or where the world has failed. */
bool sim_world_step(sim_world *self);

/* Runs events until |until_us| or a failure; time then stands at |until_us|. */
void sim_world_run(sim_world *self, uint64_t until_us);

/* ---- chance ---- */

/* Whether |fault|, one of those in PPM, strikes this time: drawn, counted and noted. */
bool sim_world_strikes(sim_world *self, sim_fault fault, lk_prng *prng);

/* Counts and notes a fault that somebody delivers. */
void sim_world_count(sim_world *self, sim_fault fault, uint64_t a, uint64_t b);

/* ---- record ---- */

/* |who| and |what| are static words. */
void sim_world_note(sim_world *self, const char *who, const char *what, uint64_t a, uint64_t b,
                    lk_slice text);

/* The first failure is kept and ends the run. */
void sim_world_fail(sim_world *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
