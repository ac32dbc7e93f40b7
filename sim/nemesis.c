/* sim/nemesis.c -- one alarm for each kind of fault, one for each thing to be repaired. */
#include "sim/nemesis.h"

#define YEARS_MS(n) ((int64_t)(n)*365 * 24 * 3600 * 1000)

typedef struct outage {
  lk_link link;
  sim_nemesis *nemesis;
  uint32_t from;
  uint32_t to;
  sim_event end;
} outage;

static uint64_t draw_outage(sim_nemesis *self) {
  return (uint64_t)sim_draw_log(&self->prng, 10,
                                lk_max_u32(10, self->world->options->outage_max_ms)) *
         SIM_MS;
}

static sim_target *draw_target(sim_nemesis *self) {
  return &self->targets[lk_prng_below(&self->prng, self->target_count)];
}

/* ---- paths ---- */

static void end_outage(outage *o) {
  sim_nemesis *self = o->nemesis;
  sim_net_unblock(self->net, o->from, o->to);
  sim_world_cancel(self->world, &o->end);
  lk_list_remove(&self->outages, &o->link);
  lk_free_bytes(self->world->alloc, o, sizeof *o);
}

static void on_outage_end(sim_event *event) { end_outage(LK_CONTAINER(event, outage, end)); }

static void block(sim_nemesis *self, uint32_t from, uint32_t to, uint64_t until_us) {
  outage *o = lk_alloc_bytes(self->world->alloc, sizeof *o);
  LK_ASSERT(o != NULL);
  *o = (outage){ .nemesis = self, .from = from, .to = to };
  sim_event_init(&o->end, on_outage_end);
  lk_list_push_last(&self->outages, &o->link);
  sim_net_block(self->net, from, to);
  sim_world_schedule(self->world, &o->end, until_us);
}

/* |ways|: 0 one way, 1 the other, 2 both. */
static void part(sim_nemesis *self, const sim_node *a, const sim_node *b, uint64_t ways,
                 uint64_t until_us) {
  if (ways != 1) block(self, a->number, b->number, until_us);
  if (ways != 0) block(self, b->number, a->number, until_us);
}

static void strike_partition(sim_nemesis *self) {
  const sim_node *a = draw_target(self)->node, *b = draw_target(self)->node;
  uint64_t until = self->world->now_us + draw_outage(self);
  if (a == b) return;
  part(self, a, b, lk_prng_below(&self->prng, 3), until);
  sim_world_count(self->world, SIM_FAULT_net_partition, a->number, b->number);
}

static void strike_isolate(sim_nemesis *self) {
  const sim_node *a = draw_target(self)->node;
  uint64_t until = self->world->now_us + draw_outage(self);
  uint64_t ways = lk_prng_below(&self->prng, 3);
  for (uint32_t i = 0; i < self->target_count; i++) {
    if (self->targets[i].node != a) part(self, a, self->targets[i].node, ways, until);
  }
  sim_world_count(self->world, SIM_FAULT_net_isolate, a->number, ways);
}

static void strike_clog(sim_nemesis *self) {
  const sim_node *a = draw_target(self)->node, *b = draw_target(self)->node;
  sim_net_clog(self->net, a->number, b->number, self->world->now_us + draw_outage(self));
  sim_world_count(self->world, SIM_FAULT_net_clog, a->number, b->number);
}

/* ---- machines ---- */

static void on_restart(sim_event *event) {
  sim_target *t = LK_CONTAINER(event, sim_target, restart);
  t->is_crashed = false;
  sim_node_start(t->node);
}

/* The disk is told first: it looks at operations that belong to the process. */
void sim_nemesis_crash(sim_nemesis *self, sim_target *t, bool dark) {
  sim_world_count(self->world, dark ? SIM_FAULT_power_cut : SIM_FAULT_process_kill, t->node->number,
                  0);
  if (t->disk != NULL && dark) sim_disk_cut(t->disk);
  else if (t->disk != NULL) sim_disk_kill(t->disk);
  t->node->is_dark = dark;
  sim_node_stop(t->node);
  sim_net_forget(self->net, t->node);
  t->is_crashed = true;
  if (self->crashed != NULL) self->crashed(self->ctx, t->node);
  sim_world_schedule(self->world, &t->restart, self->world->now_us + draw_outage(self));
}

static void strike_crash(sim_nemesis *self, bool dark) {
  sim_target *t = draw_target(self);
  for (uint32_t tries = 0; tries < self->target_count && !t->may_crash; tries++) {
    t = t + 1 == self->targets + self->target_count ? self->targets : t + 1;
  }
  if (t->may_crash && t->node->is_up) sim_nemesis_crash(self, t, dark);
}

static void strike_pause(sim_nemesis *self) {
  sim_node *node = draw_target(self)->node;
  if (!node->is_up) return;
  sim_node_pause(node, self->world->now_us + draw_outage(self));
  sim_world_count(self->world, SIM_FAULT_process_pause, node->number, 0);
}

static void strike_clock(sim_nemesis *self) {
  sim_node *node = draw_target(self)->node;
  int64_t size = (int64_t)lk_prng_below(&self->prng, (uint64_t)YEARS_MS(10));
  sim_clock_jump(&node->clock, lk_prng_chance(&self->prng, 1, 2) ? size : -size);
  sim_world_count(self->world, SIM_FAULT_clock_jump, node->number, (uint64_t)size);
}

static void strike_full(sim_nemesis *self) {
  uint64_t until = self->world->now_us + draw_outage(self);
  for (uint32_t i = 0; i < self->target_count; i++) {
    sim_disk *disk = self->targets[i].disk;
    if (disk == NULL) continue;
    disk->full_until_us = lk_max_u64(disk->full_until_us, until);
    sim_world_count(self->world, SIM_FAULT_disk_full, i, 0);
  }
}

static void strike_rot(sim_nemesis *self) {
  if (self->rot != NULL && self->rot(self->ctx, &self->prng)) {
    sim_world_count(self->world, SIM_FAULT_disk_rot, 0, 0);
  }
}

static void strike_rooms(sim_nemesis *self) {
  if (self->kill_rooms != NULL && self->kill_rooms(self->ctx)) {
    sim_world_count(self->world, SIM_FAULT_rooms_kill, 0, 0);
  }
}

static void strike_edge(sim_nemesis *self) {
  if (self->kill_edge != NULL && self->kill_edge(self->ctx)) {
    sim_world_count(self->world, SIM_FAULT_edge_kill, 0, 0);
  }
}

static void strike_memory(sim_nemesis *self) {
  uint64_t until_us = self->world->now_us + draw_outage(self);
  if (self->fill_memory == NULL) return;
  self->fill_memory(self->ctx, until_us);
  sim_world_count(self->world, SIM_FAULT_memory_full, 0, 0);
}

/* ---- alarms ---- */

static void strike(sim_nemesis *self, sim_fault fault) {
  switch (fault) {
  case SIM_FAULT_net_partition: strike_partition(self); return;
  case SIM_FAULT_net_isolate: strike_isolate(self); return;
  case SIM_FAULT_net_clog: strike_clog(self); return;
  case SIM_FAULT_process_kill: strike_crash(self, false); return;
  case SIM_FAULT_power_cut: strike_crash(self, true); return;
  case SIM_FAULT_process_pause: strike_pause(self); return;
  case SIM_FAULT_clock_jump: strike_clock(self); return;
  case SIM_FAULT_disk_full: strike_full(self); return;
  case SIM_FAULT_disk_rot: strike_rot(self); return;
  case SIM_FAULT_rooms_kill: strike_rooms(self); return;
  case SIM_FAULT_edge_kill: strike_edge(self); return;
  case SIM_FAULT_memory_full: strike_memory(self); return;
  default: LK_UNREACHABLE(); /* a new line of faults.def with EVERY needs a case */
  }
}

static void set_alarm(sim_strike *s) {
  uint64_t mean = s->nemesis->world->options->rate[s->fault];
  uint64_t wait = 1 + lk_prng_below(&s->nemesis->prng, 2 * mean * SIM_MS);
  sim_world_schedule(s->nemesis->world, &s->event, s->nemesis->world->now_us + wait);
}

static void on_alarm(sim_event *event) {
  sim_strike *s = LK_CONTAINER(event, sim_strike, event);
  strike(s->nemesis, s->fault);
  set_alarm(s);
}

void sim_nemesis_init(sim_nemesis *self, sim_world *world, sim_net *net) {
  *self = (sim_nemesis){ .world = world, .net = net };
  sim_world_stream(world, SIM_STREAM_NEMESIS, &self->prng);
  for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
    self->strikes[i] = (sim_strike){ .nemesis = self, .fault = (sim_fault)i };
    sim_event_init(&self->strikes[i].event, on_alarm);
  }
}

void sim_nemesis_add(sim_nemesis *self, sim_node *node, sim_disk *disk, bool may_crash) {
  LK_ASSERT(self->target_count < SIM_NODES_MAX);
  sim_target *t = &self->targets[self->target_count++];
  *t = (sim_target){ .node = node, .disk = disk, .may_crash = may_crash, .nemesis = self };
  sim_event_init(&t->restart, on_restart);
}

void sim_nemesis_begin(sim_nemesis *self) {
  for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
    bool is_on = sim_fault_rows[i].unit == SIM_UNIT_EVERY && self->world->options->rate[i] > 0;
    if (is_on) set_alarm(&self->strikes[i]);
  }
}

static void stop_alarms(sim_nemesis *self) {
  for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++)
    sim_world_cancel(self->world, &self->strikes[i].event);
  while (self->outages.first != NULL) end_outage(LK_CONTAINER(self->outages.first, outage, link));
}

void sim_nemesis_heal(sim_nemesis *self) {
  stop_alarms(self);
  self->world->calm = true;
  sim_net_heal(self->net);
  sim_world_note(self->world, "nemesis", "heal", 0, 0, LK_SLICE_EMPTY);
  for (uint32_t i = 0; i < self->target_count; i++) {
    sim_target *t = &self->targets[i];
    t->node->paused_until_us = 0;
    if (!t->is_crashed) continue;
    sim_world_cancel(self->world, &t->restart);
    on_restart(&t->restart);
  }
}

void sim_nemesis_deinit(sim_nemesis *self) {
  if (self->world == NULL) return;
  stop_alarms(self);
  for (uint32_t i = 0; i < self->target_count; i++) {
    sim_world_cancel(self->world, &self->targets[i].restart);
  }
  *self = (sim_nemesis){ 0 };
}
