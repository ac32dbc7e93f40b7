/* sim/peer_server.c -- what a daemon does around the hub, for clients that send frames: each message has a first byte, 'b' or 't', which
 * says whether it is binary, as a WebSocket does. */
#include "sim/peer_world.h"

#define IDLE_MS 60000
#define SWEEP_MS 10000
#define EFFECTS_LEAST 256u
#define OUTPUT_LEAST (1u << 17) /* objects must fit into half of it */

static peer_server *of(sim_node *node) { return (peer_server *)node; }

static peer_link *link_of_end(peer_server *self, sim_end end) {
  for (uint32_t i = 0; i < self->link_count; i++) {
    if (self->links[i].end == end) return &self->links[i];
  }
  return NULL;
}

static peer_link *link_of_connection(peer_server *self, uint64_t connection) {
  for (uint32_t i = 0; i < self->link_count; i++) {
    if (self->links[i].connection == connection) return &self->links[i];
  }
  return NULL;
}

static void drop_link(peer_server *self, peer_link *link) {
  peer_link gone = *link;
  *link = self->links[--self->link_count];
  sim_net_close(&self->world->net, gone.end);
  lk_hub_disconnect(self->hub, gone.connection, sim_node_now_ms(&self->node));
}

static void send(peer_server *self, sim_end end, const lk_hub_output *out) {
  lk_buf message;
  lk_buf_init(&message, self->world->world->alloc, SIZE_MAX / 2);
  (void)lk_buf_append_u8(&message, out->is_binary ? 'b' : 't');
  LK_ASSERT(lk_buf_append(&message, out->text) == LK_OK);
  sim_net_send(&self->world->net, end, lk_buf_slice(&message));
  lk_buf_deinit(&message);
}

static void carry_out(peer_server *self, const lk_hub_output *out) {
  peer_link *link = link_of_connection(self, out->connection);
  if (link == NULL) return;
  if (out->kind == LK_HUB_SEND) {
    send(self, link->end, out);
    if (sim_net_queued(&self->world->net, link->end) <= self->limits.ws_output_bytes) return;
  }
  drop_link(self, link);
}

static void pump(peer_server *self) {
  lk_hub_output out;
  while (lk_hub_poll(self->hub, &out)) carry_out(self, &out);
  sim_node_wake_at(&self->node, lk_min_u64(lk_hub_deadline(self->hub), self->sweep_at_ms));
}

static void sweep(peer_server *self, uint64_t now_ms) {
  if (now_ms < self->sweep_at_ms) return;
  self->sweep_at_ms = now_ms + SWEEP_MS;
  for (uint32_t i = self->link_count; i-- > 0;) {
    if (now_ms - self->links[i].heard_ms >= IDLE_MS) drop_link(self, &self->links[i]);
  }
}

static void start(sim_node *node) {
  peer_server *self = of(node);
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

bool peer_server_kill_rooms(peer_server *self) {
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
  peer_server *self = of(node);
  lk_hub_close(self->hub);
  self->hub = NULL;
}

static void wake(sim_node *node) {
  peer_server *self = of(node);
  uint64_t now_ms = sim_node_now_ms(node);
  lk_hub_step(self->hub, now_ms);
  sweep(self, now_ms);
  pump(self);
}

static void accepted(sim_node *node, sim_end end, sim_node *from) {
  peer_server *self = of(node);
  uint64_t connection;
  (void)from;
  if (self->link_count == PEER_LINKS_MAX || lk_hub_connect(self->hub, &connection) != LK_OK) {
    sim_net_close(&self->world->net, end);
    return;
  }
  self->links[self->link_count++] = (peer_link){ end, connection, sim_node_now_ms(node) };
  pump(self);
}

static void received(sim_node *node, sim_end end, lk_slice message) {
  peer_server *self = of(node);
  peer_link *link = link_of_end(self, end);
  if (link == NULL) return;
  link->heard_ms = sim_node_now_ms(node);
  uint64_t connection = link->connection;
  lk_slice bytes = lk_slice_skip(message, 1);
  lk_err err = message.ptr[0] == 'b'
                   ? lk_hub_receive_binary(self->hub, connection, bytes, link->heard_ms)
                   : lk_hub_receive(self->hub, connection, bytes, link->heard_ms);
  if (err != LK_OK) drop_link(self, link_of_connection(self, connection));
  pump(self);
}

static void closed(sim_node *node, sim_end end) {
  peer_server *self = of(node);
  peer_link *link = link_of_end(self, end);
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

static void on_ready(void *ctx) { sim_node_poke(ctx); }

void peer_server_init(peer_server *self, peer_world *world) {
  const sim_options *options = world->world->options;
  *self = (peer_server){ .world = world, .limits = LK_LIMITS_INIT };
  self->limits.room_effects_count = lk_max_u32(options->effects_max, EFFECTS_LEAST);
  self->limits.ws_output_bytes = lk_max_u32(options->output_bytes_max, OUTPUT_LEAST);
  self->limits.room_tail_bytes = options->tail_bytes_max;
  self->limits.log_segment_bytes = options->segment_bytes_max;
  sim_node_init(&self->node, world->world, &kind, 0, "server", PEER_MEMORY_BOUND);
  self->node.memory.may_fail = true;
  sim_disk_init(&self->disk, world->world, 0);
  self->disk.ready = on_ready;
  self->disk.ready_ctx = &self->node;
}

void peer_server_deinit(peer_server *self) {
  if (self->node.is_up) {
    sim_disk_kill(&self->disk);
    sim_node_stop(&self->node);
  }
  sim_disk_deinit(&self->disk);
}
