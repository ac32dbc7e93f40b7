/* sim/counter_vandal.c -- somebody who sends what no client of ours would.
 *
 * None of it may change the counter: that would be a phantom. Half of it is cut somewhere or has a
 * byte changed, which leaves valid messages now and then; so none of the texts could count
 * anything on the topic that matters, however it is mangled. */
#include "sim/counter_world.h"

#define TEXT_MAX 512

static counter_vandal *of(sim_node *node) { return (counter_vandal *)node; }

static const char *const texts[] = {
  "[\"1\",\"1\",\"crdt:demo\",\"phx_join\",{}]",
  "[\"2\",\"2\",\"crdt:demo\",\"phx_join\",{\"type\":\"gcounter\"}]",
  "[\"1\",\"3\",\"crdt:demo\",\"phx_leave\",{}]",
  "[null,\"4\",\"crdt:demo\",\"crdt.get\",{}]",
  "[null,\"5\",\"crdt:demo\",\"crdt.increment\",{\"payload\":{\"amount\":0}}]",
  "[null,\"6\",\"crdt:demo\",\"crdt.increment\",{\"payload\":{\"amount\":1e-1}}]",
  "[null,\"7\",\"crdt:demo\",\"crdt.increment\",{\"payload\":{\"amount\":\"1\"}}]",
  "[null,\"8\",\"crdt:demo\",\"crdt.increment\",{\"payload\":[]}]",
  "[null,\"9\",\"crdt:demo\",\"crdt.increment\",{}]",
  "[null,\"10\",\"crdt:demo\",\"crdt.merge\",{\"counts\":{}}]",
  "[null,\"11\",\"crdt:demo\",\"crdt.merge\",{\"counts\":{\"\":0}}]",
  "[null,\"12\",\"crdt:demo\",\"crdt.merge\",{\"counts\":[]}]",
  "[null,\"13\",\"crdt:demo\",\"crdt.merge\",{\"counts\":{\"x\":0.5}}]",
  "[null,\"14\",\"crdt:demo\",\"state_updated\",{\"counts\":{}}]",
  "[null,\"15\",\"phoenix\",\"heartbeat\",{}]",
  "[\"16\",\"16\",\"crdt:\",\"phx_join\",{}]",
  "[\"17\",\"17\",\"nothing:here\",\"phx_join\",{}]",
  "[\"18\",\"18\",\"crdt:other\",\"phx_join\",{}]",
  "[\"18\",\"19\",\"crdt:other\",\"phx_leave\",{}]",
  "[\"20\",null,\"crdt:demo\",\"phx_join\",{}]",
  "[null,null,\"crdt:demo\",\"phx_leave\",{}]",
  "{}",
  "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
  "",
};

/* No digit and no sign: an amount that became valid would count. */
static const uint8_t others[] = { '"', '{', '}', '[', ']', ',', ':', 'x', 0xff, '\\', ' ' };

static void attack(counter_vandal *self) {
  uint8_t text[TEXT_MAX];
  lk_slice from = lk_slice_cstr(texts[lk_prng_below(&self->prng, sizeof texts / sizeof texts[0])]);
  LK_ASSERT(from.len < TEXT_MAX);
  memcpy(text, from.ptr, from.len);
  uint64_t choice = lk_prng_below(&self->prng, 4);
  if (choice == 0 && from.len > 0) {
    from.len = (size_t)lk_prng_below(&self->prng, from.len);
  } else if (choice == 1 && from.len > 0) {
    uint64_t at = lk_prng_below(&self->prng, from.len);
    text[at] = others[lk_prng_below(&self->prng, sizeof others)];
  }
  sim_net_send(&self->world->net, self->end, lk_slice_of(text, from.len));
}

static void opened(sim_node *node, sim_end end) {
  counter_vandal *self = of(node);
  if (end == self->end) self->is_open = true;
}

static void closed(sim_node *node, sim_end end) {
  counter_vandal *self = of(node);
  if (end != self->end) return;
  self->end = SIM_END_NONE;
  self->is_open = false;
}

static const sim_node_kind kind = { .name = "vandal", .opened = opened, .closed = closed };

static void on_act(sim_event *event) {
  counter_vandal *self = LK_CONTAINER(event, counter_vandal, act);
  uint64_t gap_us = (uint64_t)self->world->world->options->user_gap_ms * SIM_MS;
  if (self->end == SIM_END_NONE) {
    self->end = sim_net_connect(&self->world->net, &self->node, &self->world->server.node);
  } else if (self->is_open) {
    attack(self);
  }
  sim_world_schedule(self->world->world, event,
                     self->world->world->now_us + 1 + lk_prng_below(&self->prng, 2 * gap_us));
}

void counter_vandal_init(counter_vandal *self, counter_world *world, uint32_t number) {
  *self = (counter_vandal){ .world = world };
  sim_node_init(&self->node, world->world, &kind, number, "vandal", COUNTER_MEMORY_BOUND);
  sim_world_stream(world->world, SIM_STREAM_USER + number, &self->prng);
  sim_event_init(&self->act, on_act);
  sim_world_schedule(world->world, &self->act, 1);
}

void counter_vandal_deinit(counter_vandal *self) {
  if (self->world == NULL) return;
  sim_world_cancel(self->world->world, &self->act);
  if (self->node.is_up) sim_node_stop(&self->node);
}
