/* sim/node.h -- a machine: clocks, memory, and a process that starts, stops and is told things.
 *
 * A node's behaviour is a table of functions, its kind. They are called from events of the world,
 * only while the process is up and not paused; what arrives during a pause arrives behind it.
 * Functions that a node has no use for may be NULL.
 *
 * Kinds embed the node:   typedef struct my_server { sim_node node; ... } my_server; */
#ifndef SIM_NODE_H
#define SIM_NODE_H

#include "laniakea/env.h"
#include "sim/clock.h"
#include "sim/memory.h"

typedef struct sim_node sim_node;

/* Names one end of a connection: net.h. */
typedef uint64_t sim_end;

typedef struct sim_node_kind {
  const char *name;
  void (*start)(sim_node *self); /* the process begins: open things */
  void (*stop)(sim_node *self);  /* it is gone: free memory, send nothing */
  void (*wake)(
      sim_node *self); /* the time of sim_node_wake_at has come, or sim_node_poke was called */
  void (*accepted)(sim_node *self, sim_end end, sim_node *from);
  void (*opened)(sim_node *self, sim_end end);
  void (*received)(sim_node *self, sim_end end, lk_slice text);
  void (*closed)(sim_node *self, sim_end end); /* also: could not be opened */
  void (*datagram)(sim_node *self, sim_node *from, lk_slice bytes);
} sim_node_kind;

struct sim_node {
  const sim_node_kind *kind;
  sim_world *world;
  uint32_t number; /* below SIM_NODES_MAX */
  char name[16];
  bool is_up;
  bool is_dark; /* the machine has no power: nothing answers, not even a refusal */
  uint64_t paused_until_us;
  uint64_t starts;
  sim_clock clock;
  sim_memory memory;
  lk_trace trace;
  lk_env env;   /* for the core: counted memory, traces into the world's record */
  lk_prng prng; /* entropy, clocks */
  sim_event wake;
};

/* |name| is at most 15 letters. The node is down until it is started. */
void sim_node_init(sim_node *self, sim_world *world, const sim_node_kind *kind, uint32_t number,
                   const char *name, size_t memory_bound);

void sim_node_start(sim_node *self);

/* The process ends. Checks that it left no memory behind. */
void sim_node_stop(sim_node *self);

void sim_node_pause(sim_node *self, uint64_t until_us);

/* The time as the process reads it. */
uint64_t sim_node_now_ms(const sim_node *self);

/* Calls kind->wake at |monotonic_ms| of the node's clock, or as soon as possible; SIM_NEVER: not
 * at all. Replaces what was set before, but not a poke. */
void sim_node_wake_at(sim_node *self, uint64_t monotonic_ms);
void sim_node_poke(sim_node *self);

static inline bool sim_node_is_paused(const sim_node *self) {
  return self->paused_until_us > self->world->now_us;
}

#endif
