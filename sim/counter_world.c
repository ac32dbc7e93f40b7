/* sim/counter_world.c -- a story in four parts.
 *
 *   safety     users count, faults happen; lost, phantom and fell are looked for all the time
 *   heal       no fault strikes any more, everybody comes back, nobody counts
 *   liveness   within options.liveness_ms all is confirmed and all replicas are equal
 *   the end    the plug is pulled once more, and everything is still there
 *
 * The server's state is read from its disk, as a restart would find it. While the server runs,
 * what was promised must be on the medium already: that is looked at after some of the promises,
 * since reading a state costs more than a step. */
#include "sim/counter_world.h"

#include "sim/scenario.h"

#define LOOK_US (500u * SIM_MS)
#define PROMISES_PER_LOOK 8

static sim_node *server_node(counter_world *self) { return &self->server.node; }

static lk_limits limits_of_oracle(void) { return lk_limits_default(); }

void counter_world_check_server(counter_world *self, sim_view view) {
  lk_gcounter state;
  lk_limits limits = limits_of_oracle();
  lk_gcounter_init(&state, self->world->alloc, &limits);
  lk_err err = counter_server_recover(&self->server, view, &state);
  if (err == LK_OK) sim_oracle_check_server(&self->oracle, &state);
  else sim_world_fail(self->world, "lost: the server cannot recover: %s", lk_err_name(err));
  lk_gcounter_deinit(&state);
}

void counter_world_check_promise(counter_world *self) {
  if (self->world->failed || !lk_prng_chance(&self->prng, 1, PROMISES_PER_LOOK)) return;
  counter_world_check_server(self, SIM_VIEW_MEDIUM);
}

/* ---- the nemesis's questions ---- */

static void crashed(void *ctx, sim_node *node) {
  counter_world *self = ctx;
  if (node == server_node(self)) counter_world_check_server(self, SIM_VIEW_CACHED);
}

static bool rot(void *ctx, lk_prng *prng) {
  counter_world *self = ctx;
  return counter_server_rot(&self->server, prng);
}

static bool kill_rooms(void *ctx) {
  counter_world *self = ctx;
  return counter_server_kill_rooms(&self->server);
}

/* ---- making and ending ---- */

static void init(counter_world *self, sim_world *world) {
  const sim_options *o = world->options;
  uint32_t number = 0;
  self->world = world;
  lk_prng_split(&world->root, SIM_STREAM_NODE + SIM_NODES_MAX, &self->prng);
  sim_net_init(&self->net, world);
  sim_oracle_init(&self->oracle, world);
  sim_nemesis_init(&self->nemesis, world, &self->net);
  self->nemesis.ctx = self;
  self->nemesis.crashed = crashed;
  self->nemesis.rot = rot;
  self->nemesis.kill_rooms = kill_rooms;
  counter_server_init(&self->server, self);
  sim_nemesis_add(&self->nemesis, server_node(self), &self->server.disk, true);
  for (self->user_count = 0; self->user_count < o->peers; self->user_count++) {
    counter_user *user = &self->users[self->user_count];
    counter_user_init(user, self, ++number);
    sim_nemesis_add(&self->nemesis, &user->node, NULL, false);
  }
  for (self->plain_count = 0; self->plain_count < o->plains; self->plain_count++) {
    counter_plain *plain = &self->plains[self->plain_count];
    counter_plain_init(plain, self, ++number);
    sim_nemesis_add(&self->nemesis, &plain->node, NULL, false);
  }
  self->has_vandal = o->vandals > 0;
  if (self->has_vandal) counter_vandal_init(&self->vandal, self, ++number);
}

static void start(counter_world *self) {
  sim_node_start(server_node(self));
  for (uint32_t i = 0; i < self->user_count; i++) sim_node_start(&self->users[i].node);
  for (uint32_t i = 0; i < self->plain_count; i++) sim_node_start(&self->plains[i].node);
  if (self->has_vandal) sim_node_start(&self->vandal.node);
  sim_nemesis_begin(&self->nemesis);
}

static void deinit(counter_world *self) {
  sim_nemesis_deinit(&self->nemesis);
  for (uint32_t i = 0; i < self->user_count; i++) counter_user_deinit(&self->users[i]);
  for (uint32_t i = 0; i < self->plain_count; i++) counter_plain_deinit(&self->plains[i]);
  if (self->has_vandal) counter_vandal_deinit(&self->vandal);
  counter_server_deinit(&self->server);
  sim_net_deinit(&self->net);
  sim_oracle_deinit(&self->oracle);
}

/* ---- peace ---- */

static void heal(counter_world *self) {
  sim_nemesis_heal(&self->nemesis);
  for (uint32_t i = 0; i < self->user_count; i++) counter_user_rest(&self->users[i]);
  for (uint32_t i = 0; i < self->plain_count; i++) counter_plain_rest(&self->plains[i]);
}

static bool server_has(counter_world *self, const lk_gcounter *counter) {
  lk_gcounter state;
  lk_limits limits = limits_of_oracle();
  lk_gcounter_init(&state, self->world->alloc, &limits);
  lk_err err = counter_server_recover(&self->server, SIM_VIEW_CACHED, &state);
  bool has = err == LK_OK && lk_gcounter_equal(&state, counter);
  lk_gcounter_deinit(&state);
  return has;
}

/* What keeps the world from being settled, or NULL. */
static const char *unsettled(counter_world *self) {
  const lk_gcounter *first = &self->users[0].peer.counter;
  for (uint32_t i = 0; i < self->plain_count; i++) {
    if (!counter_plain_is_settled(&self->plains[i])) return "a plain client got no answer";
  }
  for (uint32_t i = 0; i < self->user_count; i++) {
    if (!counter_user_is_settled(&self->users[i])) return "a replica is not confirmed";
    if (!lk_gcounter_equal(&self->users[i].peer.counter, first)) return "replicas differ";
  }
  return server_has(self, first) ? NULL : "the server has told not all that it knows";
}

static void wait_until_settled(counter_world *self) {
  uint64_t until = self->world->now_us + self->world->options->liveness_ms * SIM_MS;
  const char *why;
  while ((why = unsettled(self)) != NULL && !self->world->failed) {
    if (self->world->now_us >= until) {
      sim_oracle_overdue(&self->oracle, why);
      return;
    }
    sim_world_run(self->world, self->world->now_us + LOOK_US);
  }
}

/* The plug is pulled: nothing that anybody was told may be missing, nothing may be in excess. */
static void check_the_end(counter_world *self) {
  lk_gcounter state;
  lk_limits limits = limits_of_oracle();
  sim_nemesis_crash(&self->nemesis, &self->nemesis.targets[0], true);
  lk_gcounter_init(&state, self->world->alloc, &limits);
  lk_err err = counter_server_recover(&self->server, SIM_VIEW_CACHED, &state);
  if (err != LK_OK)
    sim_world_fail(self->world, "lost: the server cannot recover: %s", lk_err_name(err));
  sim_oracle_check_complete(&self->oracle, &state);
  for (uint32_t i = 0; i < self->user_count; i++) {
    sim_oracle_check_equal(&self->oracle, self->users[i].node.name, &self->users[i].peer.counter,
                           &state);
  }
  sim_world_note(self->world, "world", "end", lk_gcounter_value(&state),
                 state.crdt == NULL ? 0 : state.crdt->actor_count, LK_SLICE_EMPTY);
  lk_gcounter_deinit(&state);
}

void sim_counter_run(sim_world *world, sim_result *result) {
  counter_world *self = lk_alloc_bytes(world->alloc, sizeof *self);
  LK_ASSERT(self != NULL);
  memset(self, 0, sizeof *self);
  init(self, world);
  start(self);
  sim_world_run(world, world->options->safety_ms * SIM_MS);
  if (!world->failed) heal(self);
  if (!world->failed) wait_until_settled(self);
  if (!world->failed) check_the_end(self);
  result->changes = self->changes;
  result->messages = self->net.delivered;
  result->checks = self->oracle.checks;
  deinit(self);
  lk_free_bytes(world->alloc, self, sizeof *self);
}
