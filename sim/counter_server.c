/* sim/counter_server.c -- what a daemon does around the hub, without a socket. What it keeps is
 * read past it, from its disk: recovery.h. */
#include "sim/counter_world.h"

#include "room/crdt_record.h"
#include "sim/recovery.h"

#define IDLE_MS 60000
#define SWEEP_MS 10000

static counter_server *of(sim_node *node) { return (counter_server *)node; }

/* ---- links ---- */

static counter_link *link_of_end(counter_server *self, sim_end end) {
  for (uint32_t i = 0; i < self->link_count; i++) {
    if (self->links[i].end == end) return &self->links[i];
  }
  return NULL;
}

static counter_link *link_of_connection(counter_server *self, uint64_t connection) {
  for (uint32_t i = 0; i < self->link_count; i++) {
    if (self->links[i].connection == connection) return &self->links[i];
  }
  return NULL;
}

static void drop_link(counter_server *self, counter_link *link) {
  counter_link gone = *link;
  *link = self->links[--self->link_count];
  sim_net_close(&self->world->net, gone.end);
  lk_hub_disconnect(self->hub, gone.connection, sim_node_now_ms(&self->node));
}

static void carry_out(counter_server *self, const lk_hub_output *out) {
  sim_net *net = &self->world->net;
  counter_link *link = link_of_connection(self, out->connection);
  if (link == NULL) return;
  if (out->kind == LK_HUB_SEND) {
    sim_net_send(net, link->end, out->text);
    if (sim_net_queued(net, link->end) <= self->limits.ws_output_bytes) return;
  }
  drop_link(self, link);
}

/* Does what the hub wants and sets the alarm for what it will want. */
static void pump(counter_server *self) {
  lk_hub_output out;
  while (lk_hub_poll(self->hub, &out)) carry_out(self, &out);
  sim_node_wake_at(&self->node, lk_min_u64(lk_hub_deadline(self->hub), self->sweep_at_ms));
}

static void sweep(counter_server *self, uint64_t now_ms) {
  if (now_ms < self->sweep_at_ms) return;
  self->sweep_at_ms = now_ms + SWEEP_MS;
  for (uint32_t i = self->link_count; i-- > 0;) {
    if (now_ms - self->links[i].heard_ms >= IDLE_MS) drop_link(self, &self->links[i]);
  }
}

/* ---- what the node is told ---- */

static void start(sim_node *node) {
  counter_server *self = of(node);
  bool may_fail = node->memory.may_fail;
  node->memory.may_fail = false; /* a daemon that cannot even start is somebody else's test */
  lk_err err = lk_hub_open(&node->env, &self->limits, &self->disk.table, lk_prng_u64(&node->prng),
                           &self->hub);
  node->memory.may_fail = may_fail;
  LK_ASSERT(err == LK_OK);
  self->link_count = 0;
  self->sweep_at_ms = sim_node_now_ms(node) + SWEEP_MS;
  pump(self);
}

bool counter_server_kill_rooms(counter_server *self) {
  sim_node *node = &self->node;
  if (!node->is_up || sim_node_is_paused(node)) return false;
  bool may_fail = node->memory.may_fail;
  node->memory.may_fail = false;
  sim_disk_kill(&self->disk);
  lk_err err = lk_hub_replace_house(self->hub, &self->disk.table, lk_prng_u64(&node->prng));
  node->memory.may_fail = may_fail;
  LK_ASSERT(err == LK_OK);
  pump(self);
  return true;
}

static void stop(sim_node *node) {
  counter_server *self = of(node);
  lk_hub_close(self->hub);
  self->hub = NULL;
}

static void wake(sim_node *node) {
  counter_server *self = of(node);
  uint64_t now_ms = sim_node_now_ms(node);
  lk_hub_step(self->hub, now_ms);
  sweep(self, now_ms);
  pump(self);
}

static void accepted(sim_node *node, sim_end end, sim_node *from) {
  counter_server *self = of(node);
  uint64_t connection;
  (void)from;
  if (self->link_count == COUNTER_LINKS_MAX || lk_hub_connect(self->hub, &connection) != LK_OK) {
    sim_net_close(&self->world->net, end);
    return;
  }
  self->links[self->link_count++] = (counter_link){ end, connection, sim_node_now_ms(node) };
  pump(self);
}

static void received(sim_node *node, sim_end end, lk_slice text) {
  counter_server *self = of(node);
  counter_link *link = link_of_end(self, end);
  if (link == NULL) return;
  link->heard_ms = sim_node_now_ms(node);
  uint64_t connection = link->connection;
  if (lk_hub_receive(self->hub, connection, text, link->heard_ms) != LK_OK) {
    drop_link(self, link_of_connection(self, connection));
  }
  pump(self);
}

static void closed(sim_node *node, sim_end end) {
  counter_server *self = of(node);
  counter_link *link = link_of_end(self, end);
  if (link != NULL) drop_link(self, link);
  pump(self);
}

static const sim_node_kind kind = { .name = "server",
                                    .start = start,
                                    .stop = stop,
                                    .wake = wake,
                                    .accepted = accepted,
                                    .received = received,
                                    .closed = closed };

/* Completions are looked at in a step of their own, and not during a pause. */
static void on_ready(void *ctx) { sim_node_poke(ctx); }

void counter_server_init(counter_server *self, counter_world *world) {
  const sim_options *options = world->world->options;
  *self = (counter_server){ .world = world, .limits = LK_LIMITS_INIT };
  self->limits.room_effects_count = options->effects_max;
  self->limits.room_requests_count = 65536; /* a client may be away for long */
  self->limits.ws_output_bytes = options->output_bytes_max;
  self->limits.room_tail_bytes = options->tail_bytes_max;
  self->limits.log_segment_bytes = options->segment_bytes_max;
  sim_node_init(&self->node, world->world, &kind, 0, "server", COUNTER_MEMORY_BOUND);
  self->node.memory.may_fail = true;
  sim_disk_init(&self->disk, world->world, 0);
  self->disk.ready = on_ready;
  self->disk.ready_ctx = &self->node;
  self->disk.lies = options->plant == SIM_PLANT_LYING_SYNC;
}

void counter_server_deinit(counter_server *self) {
  if (self->node.is_up) {
    sim_disk_kill(&self->disk);
    sim_node_stop(&self->node);
  }
  sim_disk_deinit(&self->disk);
}

/* ---- looking past the hub ---- */

static lk_err merge_kept(void *ctx, lk_slice kept) {
  lk_gcounter *out = ctx;
  lk_gcounter part;
  lk_slice actor, bytes;
  lk_limits limits = lk_limits_default();
  lk_gcounter_init(&part, out->alloc, &limits);
  lk_err err = lk_crdt_record_read(kept, NULL, &actor, &bytes);
  if (err == LK_OK) err = lk_gcounter_decode(&part, bytes);
  if (err == LK_OK) err = lk_gcounter_merge(out, &part, NULL);
  lk_gcounter_deinit(&part);
  return err;
}

lk_err counter_server_recover(counter_server *self, sim_view view, lk_gcounter *out) {
  return sim_recover_durable(&self->disk, view, LK_LIT(COUNTER_TOPIC), merge_kept, out);
}

bool counter_server_rot(counter_server *self, lk_prng *prng) {
  (void)prng;
  return sim_rot_slot(&self->disk, LK_LIT(COUNTER_TOPIC));
}
