/* sim/oracle.c -- a ledger of names. */
#include "sim/oracle.h"

typedef struct record {
  uint64_t counted;
  uint64_t confirmed;
  bool is_user;
  bool is_dead;
} record;

#define VIOLATE(self, kind, ...)                                                                   \
  do {                                                                                             \
    if ((self)->violation == SIM_VIOLATION_NONE) {                                                 \
      (self)->violation = (kind);                                                                  \
      sim_world_fail((self)->world, __VA_ARGS__);                                                  \
    }                                                                                              \
  } while (0)

/* For printf's %.*s. */
#define SHOW(s) (int)(s).len, (const char *)(s).ptr
#define U(value) ((unsigned long long)(value))

void sim_oracle_init(sim_oracle *self, sim_world *world) {
  static const uint64_t seed[2] = { 0, 0 };
  *self = (sim_oracle){ .world = world };
  lk_map_init(&self->actors, world->alloc, sizeof(record), UINT32_MAX / 4, seed);
}

void sim_oracle_deinit(sim_oracle *self) {
  lk_map_deinit(&self->actors);
  *self = (sim_oracle){ 0 };
}

static record *know(sim_oracle *self, lk_slice actor) {
  void *value;
  bool is_new;
  lk_err err = lk_map_put(&self->actors, actor, &value, &is_new);
  LK_ASSERT(err == LK_OK); /* the simulator's own memory */
  return value;
}

static bool is_room(lk_slice actor) { return lk_slice_starts_with(actor, LK_LIT("room-")); }

/* ---- what users did and were told ---- */

void sim_oracle_counted(sim_oracle *self, lk_slice actor, uint64_t total) {
  record *r = know(self, actor);
  r->is_user = true;
  r->counted = lk_max_u64(r->counted, total);
}

void sim_oracle_confirmed(sim_oracle *self, lk_slice actor, uint64_t count) {
  record *r = know(self, actor);
  r->confirmed = lk_max_u64(r->confirmed, count);
}

void sim_oracle_confirmed_all(sim_oracle *self, const lk_gcounter *counts) {
  uint32_t cursor = 0;
  uint64_t count;
  lk_slice actor;
  while (lk_gcounter_next(counts, &cursor, &actor, &count)) {
    sim_oracle_confirmed(self, actor, count);
  }
}

void sim_oracle_died(sim_oracle *self, lk_slice actor) { know(self, actor)->is_dead = true; }

void sim_oracle_sent(sim_oracle *self, uint64_t amount) { self->sent += amount; }
void sim_oracle_refused(sim_oracle *self, uint64_t amount) { self->sent -= amount; }
void sim_oracle_acknowledged(sim_oracle *self, uint64_t amount) { self->acknowledged += amount; }
void sim_oracle_shown(sim_oracle *self, uint64_t value) {
  self->shown = lk_max_u64(self->shown, value);
}

/* ---- always ---- */

/* Everything in |state| was counted by somebody; gives the sum of the server's own actors. */
static uint64_t check_origin(sim_oracle *self, const char *who, const lk_gcounter *state) {
  uint64_t rooms = 0, count;
  uint32_t cursor = 0;
  lk_slice actor;
  while (lk_gcounter_next(state, &cursor, &actor, &count)) {
    const record *r = lk_map_get(&self->actors, actor);
    if (is_room(actor)) {
      rooms += count;
    } else if (r == NULL || !r->is_user || count > r->counted) {
      VIOLATE(self, SIM_VIOLATION_PHANTOM, "phantom: %s has %llu of %.*s, who counted %llu", who,
              U(count), SHOW(actor), U(r == NULL ? 0 : r->counted));
    }
  }
  if (rooms > self->sent) {
    VIOLATE(self, SIM_VIOLATION_PHANTOM, "phantom: %s has %llu of plain clients, who sent %llu",
            who, U(rooms), U(self->sent));
  }
  return rooms;
}

void sim_oracle_check_server(sim_oracle *self, const lk_gcounter *state) {
  uint32_t cursor = 0;
  lk_slice actor;
  void *value;
  self->checks++;
  uint64_t rooms = check_origin(self, "the server", state);
  if (rooms < self->acknowledged) {
    VIOLATE(self, SIM_VIOLATION_LOST,
            "lost: the server has %llu of plain clients, acknowledged were %llu", U(rooms),
            U(self->acknowledged));
  }
  while (lk_map_next(&self->actors, &cursor, &actor, &value)) {
    const record *r = value;
    uint64_t has = r->confirmed == 0 ? 0 : lk_gcounter_count_of(state, actor);
    if (has >= r->confirmed) continue;
    VIOLATE(self, SIM_VIOLATION_LOST, "lost: the server has %llu of %.*s, confirmed were %llu",
            U(has), SHOW(actor), U(r->confirmed));
  }
  if (lk_gcounter_value(state) < self->shown) {
    VIOLATE(self, SIM_VIOLATION_LOST, "lost: the server's value is %llu, shown was %llu",
            U(lk_gcounter_value(state)), U(self->shown));
  }
}

void sim_oracle_check_replica(sim_oracle *self, uint32_t number, const lk_gcounter *state) {
  LK_ASSERT(number < SIM_REPLICAS_MAX);
  self->checks++;
  (void)check_origin(self, "a replica", state);
  if (lk_gcounter_value(state) < self->values[number]) {
    VIOLATE(self, SIM_VIOLATION_FELL, "fell: replica %u went from %llu to %llu", number,
            U(self->values[number]), U(lk_gcounter_value(state)));
  }
  self->values[number] = lk_gcounter_value(state);
}

void sim_oracle_replaced(sim_oracle *self, uint32_t number) {
  LK_ASSERT(number < SIM_REPLICAS_MAX);
  self->values[number] = 0;
}

/* ---- after peace and quiet ---- */

void sim_oracle_check_complete(sim_oracle *self, const lk_gcounter *state) {
  uint32_t cursor = 0;
  lk_slice actor;
  void *value;
  sim_oracle_check_server(self, state);
  while (lk_map_next(&self->actors, &cursor, &actor, &value)) {
    const record *r = value;
    if (!r->is_user || r->is_dead || lk_gcounter_count_of(state, actor) == r->counted) continue;
    VIOLATE(self, SIM_VIOLATION_DIVERGED, "diverged: %.*s counted %llu, everybody has %llu",
            SHOW(actor), U(r->counted), U(lk_gcounter_count_of(state, actor)));
  }
}

void sim_oracle_check_equal(sim_oracle *self, const char *who, const lk_gcounter *a,
                            const lk_gcounter *b) {
  if (lk_gcounter_equal(a, b)) return;
  VIOLATE(self, SIM_VIOLATION_DIVERGED, "diverged: %s has %llu, the server %llu", who,
          U(lk_gcounter_value(a)), U(lk_gcounter_value(b)));
}

void sim_oracle_overdue(sim_oracle *self, const char *what) {
  VIOLATE(self, SIM_VIOLATION_OVERDUE, "overdue: %s", what);
}
