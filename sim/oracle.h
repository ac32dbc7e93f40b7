/* sim/oracle.h -- what must hold, whatever happened.
 *
 *   lost       an increment that somebody was told is safe is not on the server
 *   phantom    a replica or the server knows a count that nobody ever counted
 *   fell       a value that somebody saw became smaller
 *   diverged   after peace and quiet two replicas differ, or differ from what users counted
 *   overdue    after peace and quiet something is still waiting
 *
 * The oracle believes nobody: it is told what users did (counted, sent) and what they were told
 * (confirmed, acknowledged, shown), and compares states with that. It knows actors by name:
 *
 *   - a user's replica is an actor whose count is known exactly;
 *   - those that the server makes for clients without a replica begin with "room-". Their sum lies
 *     between what was acknowledged and what was sent, since a request whose answer got lost may
 *     have been carried out or not.
 *
 * A violation is kept here and fails the world. */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include "base/map.h"
#include "crdt/gcounter.h"
#include "sim/world.h"

#define SIM_REPLICAS_MAX SIM_NODES_MAX

typedef enum sim_violation {
  SIM_VIOLATION_NONE,
  SIM_VIOLATION_LOST,
  SIM_VIOLATION_PHANTOM,
  SIM_VIOLATION_FELL,
  SIM_VIOLATION_DIVERGED,
  SIM_VIOLATION_OVERDUE,
} sim_violation;

typedef struct sim_oracle {
  sim_world *world;
  lk_map actors;                     /* name -> what is known of it */
  uint64_t sent;                     /* by clients without a replica, and not refused */
  uint64_t acknowledged;             /* to them */
  uint64_t shown;                    /* the greatest value that anybody was told as the server's */
  uint64_t values[SIM_REPLICAS_MAX]; /* the latest value of each replica */
  uint64_t checks;
  sim_violation violation;
} sim_oracle;

void sim_oracle_init(sim_oracle *self, sim_world *world);
void sim_oracle_deinit(sim_oracle *self);

/* ---- what users did and were told ---- */

/* |actor|'s user has counted up to |total|. */
void sim_oracle_counted(sim_oracle *self, lk_slice actor, uint64_t total);

/* Somebody was told that the server holds |count| of |actor| durably. */
void sim_oracle_confirmed(sim_oracle *self, lk_slice actor, uint64_t count);
void sim_oracle_confirmed_all(sim_oracle *self, const lk_gcounter *counts);

/* |actor|'s only replica is gone for good: what was not confirmed may be missing. */
void sim_oracle_died(sim_oracle *self, lk_slice actor);

void sim_oracle_sent(sim_oracle *self, uint64_t amount);
void sim_oracle_refused(sim_oracle *self, uint64_t amount);
void sim_oracle_acknowledged(sim_oracle *self, uint64_t amount);

/* Somebody saw |value| as the server's. */
void sim_oracle_shown(sim_oracle *self, uint64_t value);

/* ---- always ---- */

/* What the server would recover now: nothing confirmed may be missing, nothing may be new. */
void sim_oracle_check_server(sim_oracle *self, const lk_gcounter *state);

/* What replica |number| shows its user: nothing new, and never less than before. */
void sim_oracle_check_replica(sim_oracle *self, uint32_t number, const lk_gcounter *state);

/* Replica |number| is another one from now on and begins anew. */
void sim_oracle_replaced(sim_oracle *self, uint32_t number);

/* ---- after peace and quiet ---- */

/* |state| has exactly what users of living replicas counted. */
void sim_oracle_check_complete(sim_oracle *self, const lk_gcounter *state);

void sim_oracle_check_equal(sim_oracle *self, const char *who, const lk_gcounter *a,
                            const lk_gcounter *b);

/* Something that should have happened by now did not. */
void sim_oracle_overdue(sim_oracle *self, const char *what);

#endif
