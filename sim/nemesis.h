/* sim/nemesis.h -- who breaks things at times of its own choosing, and who repairs them.
 *
 * Faults that strike single operations belong to those who carry them out (net, disk, memory).
 * What happens between operations is here: partitions, crashes, pauses, clocks, full and rotting
 * disks. A scenario adds its nodes and says what may rot. */
#ifndef SIM_NEMESIS_H
#define SIM_NEMESIS_H

#include "sim/disk.h"
#include "sim/net.h"

typedef struct sim_nemesis sim_nemesis;

typedef struct sim_target {
  sim_node *node;
  sim_disk *disk; /* NULL: none */
  bool may_crash;
  bool is_crashed;
  sim_nemesis *nemesis;
  sim_event restart;
} sim_target;

typedef struct sim_strike {
  sim_nemesis *nemesis;
  sim_fault fault;
  sim_event event;
} sim_strike;

struct sim_nemesis {
  sim_world *world;
  sim_net *net;
  lk_prng prng;
  sim_target targets[SIM_NODES_MAX];
  uint32_t target_count;
  sim_strike strikes[SIM_FAULT_COUNT]; /* those of unit EVERY */
  lk_list outages;                     /* blocks to be lifted again */
  void *ctx;
  void (*crashed)(void *ctx, sim_node *node); /* after each crash; may be NULL */
  bool (*rot)(void *ctx, lk_prng *prng);      /* lets something rot that is spare; may be NULL */
  bool (*kill_rooms)(void *ctx);              /* ends one of a server's processes; may be NULL */
  bool (*kill_edge)(void *ctx);               /* likewise */
  void (*fill_memory)(void *ctx, uint64_t until_us); /* until then it cannot grow; may be NULL */
};

void sim_nemesis_init(sim_nemesis *self, sim_world *world, sim_net *net);
void sim_nemesis_deinit(sim_nemesis *self);

void sim_nemesis_add(sim_nemesis *self, sim_node *node, sim_disk *disk, bool may_crash);

/* From now on. */
void sim_nemesis_begin(sim_nemesis *self);

/* No fault strikes any more; paths are free, pauses over, crashed nodes started. */
void sim_nemesis_heal(sim_nemesis *self);

/* A crash as the nemesis does it. */
void sim_nemesis_crash(sim_nemesis *self, sim_target *target, bool dark);

#endif
