/* sim/doc_server.c -- what a daemon does around edges and houses, without processes, sockets and rings.
 *
 *   connection ── 'h' form rights [topic] ──> which edge, and how it speaks there
 *              ── 't' text | 'b' bytes ─────> messages, both ways
 *
 * The bus takes no time in some runs. In others it takes some, and cuts what it carries anywhere, so that processes die
 * with frames half on their way. */
#include "sim/doc_world.h"

#include "room/doc_record.h"
#include "sim/recovery.h"

#define LAGS_MS 3000
#define LAG_OVER_MS                                                                                \
  60000 /* an answer that was made while it lagged may have been under way for so long */
#define LAG_LOOK_MS 20 /* between two looks at what waits for a client that lags */
#define IDLE_MS 60000
#define SWEEP_MS 10000
#define OUTPUT_BYTES_MIN (1u << 22) /* whole documents go out */

static doc_server *of(sim_node *node) { return (doc_server *)node; }

static uint64_t draw_generation(doc_server *self) { return lk_prng_u64(&self->node.prng) | 1; }

/* ---- rights ---- */

static lk_err check_token(void *ctx, lk_slice token, const lk_alloc *alloc, lk_grant **out) {
  (void)ctx;
  (void)token;
  (void)alloc;
  (void)out;
  return LK_ERR_TOKEN_INVALID; /* all are checked when connecting */
}

static bool is_revoked(void *ctx, const lk_grant *grant) {
  (void)ctx;
  (void)grant;
  return false;
}

static lk_err make_grant(doc_server *self, char rights, lk_grant **out) {
  static const lk_grant_options options = { LK_GRANT_FOREVER, LK_RIGHTS_NONE };
  lk_slice claims = LK_LIT("{\"sub\":\"reader\",\"topics\":{\"doc:*\":\"read\"}}");
  if (rights == 'w') claims = LK_LIT("{\"sub\":\"writer\",\"topics\":{\"doc:*\":\"write\"}}");
  if (rights == 'a') claims = LK_LIT("{\"sub\":\"admin\",\"topics\":{\"doc:*\":\"admin\"}}");
  return lk_grant_parse(claims, &options, &self->limits, self->node.env.alloc, out);
}

/* ---- the bus ---- */

/* How much of what waits goes now: all of it, or some. */
static size_t draw_portion(doc_server *self, size_t len) {
  if (self->bus_us == 0 || lk_prng_chance(&self->prng, 1, 2)) return len;
  return (size_t)lk_prng_below(&self->prng, len + 1);
}

/* The next piece of |bytes|, of one frame, as rings carry them: they know where frames begin. |*left| is what is missing
 * of the frame under way. */
static lk_slice next_piece(lk_slice bytes, size_t budget, size_t *left, bool *boundary) {
  *boundary = *left == 0;
  if (*left == 0) *left = (size_t)lk_load_le32(bytes.ptr) + 4;
  lk_slice piece = lk_slice_first(bytes, lk_min_size(budget, *left));
  *left -= piece.len;
  return piece;
}

static bool carry_to_house(doc_server *self, uint32_t i, uint64_t now_ms) {
  bool boundary;
  size_t budget = draw_portion(self, lk_edge_bus_output(self->edges[i], 0).len);
  bool moved = budget > 0;
  while (budget > 0) {
    lk_slice piece = next_piece(lk_edge_bus_output(self->edges[i], 0), budget,
                                &self->to_house_left[i], &boundary);
    lk_house_feed(self->house, i, piece, boundary, now_ms);
    lk_edge_bus_consume(self->edges[i], 0, piece.len);
    budget -= piece.len;
  }
  return moved && self->bus_us == 0;
}

static bool carry_to_edge(doc_server *self, uint32_t i) {
  bool boundary;
  size_t budget = draw_portion(self, lk_house_output(self->house, i).len);
  bool moved = budget > 0;
  while (budget > 0) {
    lk_slice piece = next_piece(lk_house_output(self->house, i), budget, &self->to_edge_left[i],
                                &boundary);
    lk_edge_feed(self->edges[i], 0, piece, boundary);
    lk_house_consume(self->house, i, piece.len);
    budget -= piece.len;
  }
  return moved && self->bus_us == 0;
}

static void carry(doc_server *self) {
  uint64_t now_ms = sim_node_now_ms(&self->node);
  bool moved = true;
  while (moved) {
    moved = false;
    for (uint32_t i = 0; i < DOC_EDGES; i++) {
      if (carry_to_house(self, i, now_ms)) moved = true;
      if (carry_to_edge(self, i)) moved = true;
    }
  }
}

static bool bus_has_more(const doc_server *self) {
  for (uint32_t i = 0; i < DOC_EDGES; i++) {
    if (lk_edge_bus_output(self->edges[i], 0).len > 0 || lk_house_output(self->house, i).len > 0)
      return true;
  }
  return false;
}

/* ---- links ---- */

static doc_link *link_of_end(doc_server *self, sim_end end) {
  for (uint32_t i = 0; i < self->link_count; i++) {
    if (self->links[i].end == end) return &self->links[i];
  }
  return NULL;
}

static doc_link *link_of_connection(doc_server *self, uint32_t edge, uint64_t connection) {
  for (uint32_t i = 0; i < self->link_count; i++) {
    doc_link *link = &self->links[i];
    if (link->is_open && link->edge == edge && link->connection == connection) return link;
  }
  return NULL;
}

static void drop_link(doc_server *self, doc_link *link) {
  doc_link gone = *link;
  *link = self->links[--self->link_count];
  sim_net_close(&self->world->net, gone.end);
  if (gone.is_open) lk_edge_disconnect(self->edges[gone.edge], gone.connection);
}

static void send(doc_server *self, doc_link *link, lk_slice bytes, bool is_binary) {
  lk_buf message;
  lk_buf_init(&message, self->world->world->alloc, SIZE_MAX / 2);
  lk_buf_append_u8(&message, is_binary ? 'b' : 't');
  lk_err err = lk_buf_append(&message, bytes);
  LK_ASSERT(err == LK_OK); /* the simulator's own memory */
  sim_net_send(&self->world->net, link->end, lk_buf_slice(&message));
  lk_buf_deinit(&message);
  if (sim_world_strikes(self->world->world, SIM_FAULT_reader_lags, &self->prng))
    link->lag_until_ms = sim_node_now_ms(&self->node) + 1 + lk_prng_below(&self->prng, LAGS_MS);
  if (sim_net_queued(&self->world->net, link->end) > self->limits.ws_output_bytes)
    drop_link(self, link);
}

static void carry_out(doc_server *self, uint32_t edge, const lk_edge_output *out) {
  if (out->kind != LK_EDGE_SEND && out->kind != LK_EDGE_CLOSE) return;
  doc_link *link = link_of_connection(self, edge, out->connections[0]);
  if (link == NULL) return;
  if (out->kind == LK_EDGE_SEND) send(self, link, out->bytes, out->is_binary);
  else drop_link(self, link);
}

/* As server/connection.c sees it. */
static lk_bus_lag lag_of(doc_server *self, const doc_link *link, uint64_t now_ms) {
  size_t most = self->limits.ws_output_bytes;
  size_t waiting = sim_net_queued(&self->world->net, link->end);
  if (waiting >= most / 4 || now_ms < link->lag_until_ms) return LK_BUS_BEHIND;
  if (waiting < most / 64) return LK_BUS_IN_STEP;
  return waiting >= most / 16 && link->lag == LK_BUS_IN_STEP ? LK_BUS_SLOW : link->lag;
}

static uint64_t watch_lags(doc_server *self, uint64_t now_ms) {
  uint64_t next_ms = UINT64_MAX;
  for (uint32_t i = 0; i < self->link_count; i++) {
    doc_link *link = &self->links[i];
    if (!link->is_open) continue;
    lk_bus_lag lag = lag_of(self, link, now_ms);
    if (lag != link->lag) lk_edge_set_lag(self->edges[link->edge], link->connection, lag);
    link->lag = lag;
    if (lag != LK_BUS_IN_STEP) link->lagged_ms = now_ms;
    if (lag != LK_BUS_IN_STEP) next_ms = lk_min_u64(next_ms, now_ms + LAG_LOOK_MS);
  }
  return next_ms;
}

bool doc_server_lags(const doc_server *self, sim_end end) {
  uint64_t now_ms = sim_node_now_ms(&self->node);
  for (uint32_t i = 0; i < self->link_count; i++) {
    const doc_link *link = &self->links[i];
    if ((link->end ^ 1) == end)
      return link->lagged_ms > 0 && now_ms - link->lagged_ms < LAG_OVER_MS;
  }
  return false;
}

/* Its memory cannot grow while it is full. Whatever gives some back makes place for what comes. */
static void bound_memory(doc_server *self) {
  const sim_world *world = self->world->world;
  bool is_full = self->memory_full_until_us > world->now_us && !world->calm;
  self->memory.size_max = is_full ? self->memory_full_bytes : DOC_STORE_MAX;
}

static void note_erased(doc_server *self) {
  uint64_t erased = lk_house_get_stats(self->house).erased;
  if (erased != self->erased) doc_ledger_void(&self->world->ledgers[DOC_BRIEF]);
  self->erased = erased;
}

/* Does what edges want and sets the alarm for what the house will want. */
static void pump(doc_server *self) {
  lk_edge_output out;
  bound_memory(self);
  sim_world *world = self->world->world;
  uint64_t now_ms = sim_node_now_ms(&self->node), wake_ms = self->sweep_at_ms;
  for (uint32_t i = 0; i < DOC_EDGES; i++) lk_edge_step(self->edges[i], now_ms);
  wake_ms = lk_min_u64(wake_ms, watch_lags(self, now_ms));
  carry(self);
  for (uint32_t i = 0; i < DOC_EDGES; i++) {
    while (lk_edge_poll_one(self->edges[i], &out)) carry_out(self, i, &out);
  }
  carry(self);
  note_erased(self);
  if (!sim_event_is_set(&self->bus) && bus_has_more(self))
    sim_world_schedule(world, &self->bus,
                       world->now_us + 1 + lk_prng_below(&self->prng, self->bus_us + 1));
  for (uint32_t i = 0; i < DOC_EDGES; i++)
    wake_ms = lk_min_u64(wake_ms, lk_edge_deadline(self->edges[i]));
  sim_node_wake_at(&self->node, lk_min_u64(lk_house_deadline(self->house), wake_ms));
}

static void on_bus(sim_event *event) {
  doc_server *self = LK_CONTAINER(event, doc_server, bus);
  if (self->node.is_up) sim_node_poke(&self->node);
}

static void sweep(doc_server *self, uint64_t now_ms) {
  if (now_ms < self->sweep_at_ms) return;
  self->sweep_at_ms = now_ms + SWEEP_MS;
  for (uint32_t i = self->link_count; i-- > 0;) {
    if (now_ms - self->links[i].heard_ms >= IDLE_MS) drop_link(self, &self->links[i]);
  }
}

/* ---- processes ---- */

static void open_house(doc_server *self) {
  lk_err err = lk_house_open(&(lk_house_options){ .env = &self->node.env,
                                                  .limits = &self->limits,
                                                  .storage = &self->disk.table,
                                                  .memory = &self->memory.table,
                                                  .policy = &self->policy,
                                                  .entropy = lk_prng_u64(&self->node.prng),
                                                  .generation = draw_generation(self),
                                                  .edges_count = DOC_EDGES },
                             &self->house);
  LK_ASSERT(err == LK_OK);
  self->erased = 0;
  for (uint32_t i = 0; i < DOC_EDGES; i++) self->to_edge_left[i] = 0;
  lk_house_step(self->house, sim_node_now_ms(&self->node)); /* its memory has answered already */
}

static void open_edge(doc_server *self, uint32_t i) {
  lk_edge_options options = { .env = &self->node.env,
                              .limits = &self->limits,
                              .generation = draw_generation(self),
                              .hash_seed = { lk_prng_u64(&self->node.prng), 1 },
                              .houses_count = 1,
                              .access = &self->access };
  lk_err err = lk_edge_open(&options, &self->edges[i]);
  LK_ASSERT(err == LK_OK);
  self->to_house_left[i] = 0;
}

/* What survives the house is what had been written; handles and operations do not. */
static void renew_memory(doc_server *self) {
  lk_memory_storage fresh;
  lk_memory_storage_init(&fresh, self->world->world->alloc, DOC_STORE_MAX);
  sim_memory_copy(&self->memory, &fresh);
  lk_house_close(self->house);
  lk_memory_storage_deinit(&self->memory);
  self->memory = fresh;
  bound_memory(self);
}

static bool may_kill(const doc_server *self) {
  return self->node.is_up && !sim_node_is_paused(&self->node);
}

bool doc_server_kill_rooms(doc_server *self) {
  if (!may_kill(self)) return false;
  self->node.memory.may_fail = false;
  sim_disk_kill(&self->disk);
  renew_memory(self);
  open_house(self);
  self->node.memory.may_fail = true;
  pump(self);
  return true;
}

bool doc_server_kill_edge(doc_server *self) {
  uint32_t which = (uint32_t)lk_prng_below(&self->prng, DOC_EDGES);
  if (!may_kill(self)) return false;
  self->node.memory.may_fail = false;
  lk_edge_close(self->edges[which]);
  for (uint32_t i = self->link_count; i-- > 0;) {
    doc_link gone = self->links[i];
    if (gone.edge != which) continue;
    self->links[i] = self->links[--self->link_count];
    sim_net_close(&self->world->net, gone.end);
  }
  open_edge(self, which);
  self->node.memory.may_fail = true;
  pump(self);
  return true;
}

void doc_server_fill_memory(doc_server *self, uint64_t until_us) {
  if (!self->node.is_up) return;
  self->memory_full_until_us = lk_max_u64(self->memory_full_until_us, until_us);
  self->memory_full_bytes = self->memory.size_used;
  bound_memory(self);
}

/* ---- what the node is told ---- */

static void start(sim_node *node) {
  doc_server *self = of(node);
  node->memory.may_fail = false; /* a daemon that cannot even start is somebody else's test */
  lk_memory_storage_init(&self->memory, self->world->world->alloc, DOC_STORE_MAX);
  self->memory_full_until_us = 0;
  open_house(self);
  for (uint32_t i = 0; i < DOC_EDGES; i++) open_edge(self, i);
  node->memory.may_fail = true;
  self->link_count = 0;
  self->sweep_at_ms = sim_node_now_ms(node) + SWEEP_MS;
  pump(self);
}

static void stop(sim_node *node) {
  doc_server *self = of(node);
  for (uint32_t i = 0; i < DOC_EDGES; i++) lk_edge_close(self->edges[i]);
  lk_house_close(self->house);
  self->house = NULL;
  sim_world_cancel(self->world->world, &self->bus);
  lk_memory_storage_deinit(&self->memory);
  doc_ledger_void(&self->world->ledgers[DOC_BRIEF]);
}

static void wake(sim_node *node) {
  doc_server *self = of(node);
  uint64_t now_ms = sim_node_now_ms(node);
  lk_house_step(self->house, now_ms);
  sweep(self, now_ms);
  pump(self);
}

static void accepted(sim_node *node, sim_end end, sim_node *from) {
  doc_server *self = of(node);
  (void)from;
  if (self->link_count == DOC_LINKS_MAX) {
    sim_net_close(&self->world->net, end);
    return;
  }
  self->links[self->link_count++] = (doc_link){
    .end = end,
    .edge = (uint32_t)lk_prng_below(&self->prng, DOC_EDGES),
    .heard_ms = sim_node_now_ms(node),
  };
}

/* 'h', 'y' or 'v', 'r', 'w' or 'a', and for y the topic. */
static lk_err open_link(doc_server *self, doc_link *link, lk_slice text) {
  lk_grant *grant;
  lk_edge *edge = self->edges[link->edge];
  if (text.len < 3 || text.ptr[0] != 'h') return LK_ERR_BAD_MESSAGE; /* it was lost with a cut */
  bool is_y = text.ptr[1] == 'y';
  lk_err err = make_grant(self, (char)text.ptr[2], &grant);
  if (err != LK_OK) return err;
  err = lk_edge_connect(edge, is_y ? LK_MESSAGE_Y : LK_MESSAGE_V2, grant, &link->connection);
  if (err != LK_OK) return err;
  link->is_open = true;
  if (!is_y) return LK_OK;
  return lk_edge_open_document(edge, link->connection, lk_slice_skip(text, 3),
                               LK_LIT("{\"dialect\":\"y\"}"));
}

static void received(sim_node *node, sim_end end, lk_slice text) {
  doc_server *self = of(node);
  doc_link *link = link_of_end(self, end);
  if (link == NULL) return;
  link->heard_ms = sim_node_now_ms(node);
  lk_err err = link->is_open ? lk_edge_receive(self->edges[link->edge], link->connection,
                                               lk_slice_skip(text, 1), text.ptr[0] == 'b')
                             : open_link(self, link, text);
  if (err != LK_OK) drop_link(self, link);
  pump(self);
}

static void closed(sim_node *node, sim_end end) {
  doc_server *self = of(node);
  doc_link *link = link_of_end(self, end);
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

static void draw_versions(doc_server *self) {
  const sim_options *options = self->world->world->options;
  if (options->versions_percent == 0) return;
  self->versions[0] = (lk_version_rule){
    doc_topic(DOC_KEPT), { true, options->versions_interval_ms, LK_VERSIONS_AUTOMATIC_PRESET }
  };
  self->policy.versions = self->versions;
  self->policy.versions_count = 1;
}

static void draw_policy(doc_server *self) {
  self->ephemeral[0] = doc_topic(DOC_BRIEF);
  self->idle[0] = (lk_idle_rule){ doc_topic(DOC_BRIEF), sim_draw_log(&self->prng, 5000, 300000) };
  self->policy = (lk_room_policy){ .ephemeral = self->ephemeral,
                                   .ephemeral_count = 1,
                                   .idle = self->idle,
                                   .idle_count = 1,
                                   .idle_ms = sim_draw_log(&self->prng, 1000, 900000) };
  draw_versions(self);
  self->bus_us = lk_prng_chance(&self->prng, 1, 2) ? sim_draw_log(&self->prng, 10, 20000) : 0;
}

void doc_server_init(doc_server *self, doc_world *world) {
  const sim_options *options = world->world->options;
  *self = (doc_server){ .world = world, .limits = LK_LIMITS_INIT };
  self->limits.ws_output_bytes = lk_max_u32(options->output_bytes_max, OUTPUT_BYTES_MIN);
  self->limits.room_tail_bytes = options->tail_bytes_max;
  self->limits.log_segment_bytes = options->segment_bytes_max;
  self->access = (lk_access){ self, check_token, is_revoked };
  sim_node_init(&self->node, world->world, &kind, 0, "server", DOC_MEMORY_BOUND);
  sim_disk_init(&self->disk, world->world, 0);
  self->disk.ready = on_ready;
  self->disk.ready_ctx = &self->node;
  self->disk.lies = options->plant == SIM_PLANT_LYING_SYNC;
  sim_world_stream(world->world, SIM_STREAM_USER, &self->prng);
  sim_event_init(&self->bus, on_bus);
  draw_policy(self);
}

void doc_server_deinit(doc_server *self) {
  if (self->node.is_up) {
    sim_disk_kill(&self->disk);
    sim_node_stop(&self->node);
  }
  sim_disk_deinit(&self->disk);
}

/* ---- looking past them ---- */

static lk_err take_kept(void *ctx, lk_slice bytes) {
  doc_kept *kept = ctx;
  lk_reader in;
  lk_doc_item item;
  lk_err err = lk_doc_record_open(bytes, &in);
  while (err == LK_OK && (err = lk_doc_record_next(&in, &item)) == LK_OK) {
    if (item.kind == LK_DOC_ITEM_UPDATE) err = lk_doc_load(kept->doc, LK_UPDATE_V1, item.bytes, 0);
    if (lk_doc_versions_knows(item.kind)) err = lk_doc_versions_take(&kept->versions, &item);
  }
  return err == LK_ERR_END ? LK_OK : err;
}

void doc_kept_init(doc_kept *self, doc_world *world) {
  static const lk_version_policy policy = { true, 0, LK_VERSIONS_AUTOMATIC_PRESET };
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.keep_deleted = true;
  lk_err err = lk_doc_open(&world->env, &options, &self->doc);
  LK_ASSERT(err == LK_OK); /* the simulator's own memory */
  lk_doc_versions_init(&self->versions, world->env.alloc, &world->server.limits, &policy);
}

void doc_kept_deinit(doc_kept *self) {
  lk_doc_close(self->doc);
  lk_doc_versions_deinit(&self->versions);
}

lk_err doc_server_recover(doc_server *self, uint32_t topic, sim_view view, doc_kept *out) {
  if (topic == DOC_KEPT)
    return sim_recover_durable(&self->disk, view, doc_topic(topic), take_kept, out);
  return self->node.is_up ? sim_recover_memory(&self->memory, doc_topic(topic), take_kept, out)
                          : LK_OK;
}
