/* sim/counter_user.c -- a tab, the browser around it, and whoever clicks.
 *
 *   tab opens ── start: a replica that was saved, or a new one under a new name
 *   tab closes ─ save, stop: the same replica comes back later
 *   tab dies ─── stop: what was not confirmed is gone with it, and its name is never used again
 *
 * A user acts whenever |act| fires, whether there is a network or not. */
#include "sim/counter_world.h"

#define AGAIN_MS 1000
/* A user who has lost this many tabs is careful from then on: states stay small in long runs. */
#define REPLICAS_MAX 40

static counter_user *of(sim_node *node) { return (counter_user *)node; }

static uint64_t now_of(const counter_user *self) { return sim_node_now_ms(&self->node); }
static lk_slice actor_of(const counter_user *self) { return lk_slice_cstr(self->actor); }

/* ---- around the peer ---- */

static void observe(counter_user *self) {
  sim_oracle *oracle = &self->world->oracle;
  const lk_peer *peer = &self->peer;
  uint64_t own = lk_gcounter_count_of(&peer->counter, actor_of(self));
  self->seen = lk_peer_value(peer);
  if (lk_peer_pending(peer) > own) {
    sim_world_fail(self->world->world, "%s has more pending than it counted", self->node.name);
    return;
  }
  sim_oracle_check_replica(oracle, self->node.number, &peer->counter);
  sim_oracle_confirmed_all(oracle, &peer->confirmed);
  sim_oracle_confirmed(oracle, actor_of(self), own - lk_peer_pending(peer));
  counter_world_check_promise(self->world);
}

static void open_connection(counter_user *self) {
  if (!self->is_online) {
    lk_peer_closed(&self->peer, now_of(self));
    return;
  }
  self->connections++;
  self->end = sim_net_connect(&self->world->net, &self->node, &self->world->server.node);
}

static void close_connection(counter_user *self) {
  sim_net_close(&self->world->net, self->end);
  self->end = SIM_END_NONE;
  /* It need not be told, but it may. */
  if (lk_prng_chance(&self->prng, 1, 2)) lk_peer_closed(&self->peer, now_of(self));
}

static void send(counter_user *self, lk_slice text) {
  bool is_dropped = self->world->world->options->plant == SIM_PLANT_DROP_RESEND &&
                    self->connections > 1 &&
                    lk_slice_find(text, LK_LIT("crdt.merge")) != LK_SLICE_NONE;
  if (!is_dropped) sim_net_send(&self->world->net, self->end, text);
}

static void pump(counter_user *self) {
  lk_peer_event event;
  while (self->has_peer && lk_peer_poll(&self->peer, &event)) {
    switch (event.kind) {
    case LK_PEER_OPEN: open_connection(self); break;
    case LK_PEER_SEND: send(self, event.text); break;
    case LK_PEER_CLOSE: close_connection(self); break;
    case LK_PEER_CHANGED: observe(self); break;
    }
  }
  if (!self->has_peer) {
    sim_node_wake_at(&self->node, now_of(self) + AGAIN_MS);
    return;
  }
  if (self->seen != lk_peer_value(&self->peer)) {
    sim_world_fail(self->world->world, "%s changed its value and told nobody", self->node.name);
  }
  bool is_deaf = self->world->world->options->plant == SIM_PLANT_DEAF_TIMERS &&
                 self->connections > 1;
  sim_node_wake_at(&self->node, is_deaf ? SIM_NEVER : lk_peer_deadline(&self->peer));
}

static void take_new_name(counter_user *self) {
  bool reuses = self->world->world->options->plant == SIM_PLANT_REUSE_ACTOR &&
                self->replica_count > 0;
  if (self->replica_count > 0 && !reuses) sim_oracle_died(&self->world->oracle, actor_of(self));
  if (!reuses) self->replica_count++;
  (void)snprintf(self->actor, sizeof self->actor, "u%u-%u", self->node.number, self->replica_count);
  sim_oracle_counted(&self->world->oracle, actor_of(self), 0);
  sim_oracle_replaced(&self->world->oracle, self->node.number);
}

/* May fail for want of memory: the browser shows an empty page, and the user tries again. */
static void make_peer(counter_user *self) {
  lk_peer_options options = {
    .env = &self->node.env,
    .limits = &self->limits,
    .topic = LK_LIT(COUNTER_TOPIC),
    .actor = actor_of(self),
    .restored = self->has_saved ? lk_buf_slice(&self->saved) : LK_SLICE_EMPTY,
    .entropy = lk_prng_u64(&self->node.prng),
    .now_ms = now_of(self),
  };
  lk_err err = lk_peer_init(&self->peer, &options);
  self->has_peer = err == LK_OK;
  if (self->has_peer) return;
  lk_peer_deinit(&self->peer);
  if (err != LK_ERR_NOMEM) {
    sim_world_fail(self->world->world, "%s cannot start: %s", self->node.name, lk_err_name(err));
  }
}

/* ---- what the node is told ---- */

static void start(sim_node *node) {
  counter_user *self = of(node);
  self->end = SIM_END_NONE;
  self->connections = 0;
  if (!self->has_saved) take_new_name(self);
  make_peer(self);
  pump(self);
}

static void stop(sim_node *node) {
  counter_user *self = of(node);
  if (self->has_peer) lk_peer_deinit(&self->peer);
  self->has_peer = false;
  self->end = SIM_END_NONE;
}

static void wake(sim_node *node) {
  counter_user *self = of(node);
  if (self->has_peer) lk_peer_tick(&self->peer, now_of(self));
  else make_peer(self);
  pump(self);
}

static void opened(sim_node *node, sim_end end) {
  counter_user *self = of(node);
  if (end != self->end) return;
  lk_peer_opened(&self->peer, now_of(self));
  pump(self);
}

static void received(sim_node *node, sim_end end, lk_slice text) {
  counter_user *self = of(node);
  if (end != self->end) return;
  lk_err err = lk_peer_receive(&self->peer, text, now_of(self));
  /* The server is ours: what it says is understood, refusals apart. */
  if (err != LK_OK && err != LK_ERR_NOMEM && err != LK_ERR_STATE) {
    sim_world_fail(self->world->world, "%s does not understand the server: %s", node->name,
                   lk_err_name(err));
  }
  pump(self);
}

static void closed(sim_node *node, sim_end end) {
  counter_user *self = of(node);
  if (end != self->end) return;
  self->end = SIM_END_NONE;
  lk_peer_closed(&self->peer, now_of(self));
  pump(self);
}

static const sim_node_kind kind = { .name = "user",
                                    .start = start,
                                    .stop = stop,
                                    .wake = wake,
                                    .opened = opened,
                                    .received = received,
                                    .closed = closed };

/* ---- what the user does ---- */

static void click(counter_user *self) {
  uint64_t amount = lk_prng_range(&self->prng, 1, self->world->world->options->amount_max);
  uint64_t had = lk_gcounter_count_of(&self->peer.counter, actor_of(self));
  lk_err err = lk_peer_increment(&self->peer, amount, now_of(self));
  uint64_t has = lk_gcounter_count_of(&self->peer.counter, actor_of(self));
  if (has != (err == LK_OK ? had + amount : had) || (err != LK_OK && err != LK_ERR_NOMEM)) {
    sim_world_fail(self->world->world, "%s cannot count: %s", self->node.name, lk_err_name(err));
  }
  if (err == LK_OK) self->world->changes++;
  sim_oracle_counted(&self->world->oracle, actor_of(self), has); /* before anything is sent */
  pump(self);
}

static void switch_network(counter_user *self) {
  self->is_online = !self->is_online;
  if (!self->is_online && self->end != SIM_END_NONE) {
    sim_net_close(&self->world->net, self->end);
    self->end = SIM_END_NONE;
    lk_peer_closed(&self->peer, now_of(self));
  }
  if (self->is_online && lk_prng_chance(&self->prng, 1, 2)) lk_peer_wake(&self->peer, now_of(self));
  pump(self);
}

static void leave(counter_user *self, bool saves) {
  lk_buf_truncate(&self->saved, 0);
  self->has_saved = saves && self->has_peer && lk_peer_save(&self->peer, &self->saved) == LK_OK;
  sim_node_stop(&self->node);
  sim_net_forget(&self->world->net, &self->node);
}

static void act(counter_user *self) {
  uint64_t choice = lk_prng_below(&self->prng, 100);
  if (!self->node.is_up) {
    if (choice < 30) sim_node_start(&self->node);
  } else if (self->has_peer && !sim_node_is_paused(&self->node)) {
    if (choice < 80) click(self);
    else if (choice < 92) switch_network(self);
    else leave(self, choice < 97 || self->replica_count >= REPLICAS_MAX);
  }
}

static void set_alarm(counter_user *self) {
  uint64_t gap_us = (uint64_t)self->world->world->options->user_gap_ms * SIM_MS;
  sim_world_schedule(self->world->world, &self->act,
                     self->world->world->now_us + 1 + lk_prng_below(&self->prng, 2 * gap_us));
}

static void on_act(sim_event *event) {
  counter_user *self = LK_CONTAINER(event, counter_user, act);
  act(self);
  if (!self->is_resting) set_alarm(self);
}

void counter_user_rest(counter_user *self) {
  self->is_resting = true;
  sim_world_cancel(self->world->world, &self->act);
  self->is_online = true;
  if (!self->node.is_up) sim_node_start(&self->node);
}

bool counter_user_is_settled(const counter_user *self) {
  return self->has_peer && lk_peer_pending(&self->peer) == 0 &&
         lk_peer_get_state(&self->peer) == LK_PEER_JOINED;
}

void counter_user_init(counter_user *self, counter_world *world, uint32_t number) {
  char name[16];
  *self = (counter_user){ .world = world, .limits = LK_LIMITS_INIT, .is_online = true };
  (void)snprintf(name, sizeof name, "user%u", number);
  sim_node_init(&self->node, world->world, &kind, number, name, COUNTER_MEMORY_BOUND);
  self->node.memory.may_fail = true;
  lk_buf_init(&self->saved, world->world->alloc, COUNTER_MEMORY_BOUND);
  sim_world_stream(world->world, SIM_STREAM_USER + number, &self->prng);
  sim_event_init(&self->act, on_act);
  set_alarm(self);
}

void counter_user_deinit(counter_user *self) {
  if (self->world == NULL) return;
  sim_world_cancel(self->world->world, &self->act);
  if (self->node.is_up) sim_node_stop(&self->node);
  lk_buf_deinit(&self->saved);
}
