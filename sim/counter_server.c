/* sim/counter_server.c -- what a daemon does around the hub, without a socket.
 *
 * Also a place to look from outside: which files there are and what they hold is read here past the
 * hub, since a server that is asked what it remembers could lie. */
#include "sim/counter_world.h"

#include <stdio.h>

#include "codec/hex.h"
#include "crypto/sha256.h"
#include "log/manifest.h"
#include "log/segment_reader.h"
#include "log/slot.h"
#include "room/crdt_room.h"
#include "room/kept.h"

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

/* The house names a topic's two files by its digest. */
static lk_slice slot_name(unsigned slot, uint8_t name[2 * LK_SHA256_LEN + 2]) {
  lk_sha256 hash;
  uint8_t digest[LK_SHA256_LEN];
  lk_sha256_init(&hash);
  lk_sha256_update(&hash, LK_LIT(COUNTER_TOPIC));
  lk_sha256_final(&hash, digest);
  lk_hex_store(name, lk_slice_of(digest, sizeof digest));
  name[2 * LK_SHA256_LEN] = '.';
  name[2 * LK_SHA256_LEN + 1] = (uint8_t)('0' + slot);
  return lk_slice_of(name, 2 * LK_SHA256_LEN + 2);
}

/* The newer of two slots, into |out|; empty where there is none. */
static lk_err look_at_slots(const counter_server *self, sim_view view, lk_slice first,
                            lk_slice second, lk_buf *out) {
  lk_buf slots[2];
  const lk_slice names[2] = { first, second };
  lk_slice body = LK_SLICE_EMPTY;
  uint64_t number;
  bool intact;
  for (unsigned i = 0; i < 2; i++) {
    lk_buf_init(&slots[i], self->world->world->alloc, SIZE_MAX / 2);
    (void)sim_disk_look(&self->disk, names[i], view, &slots[i]); /* missing: empty */
  }
  lk_err err = lk_slot_recover(lk_buf_slice(&slots[0]), lk_buf_slice(&slots[1]), &number, &body,
                               &intact);
  if (err == LK_OK) err = lk_buf_append(out, body);
  if (err == LK_ERR_NOT_FOUND) err = LK_OK;
  for (unsigned i = 0; i < 2; i++) lk_buf_deinit(&slots[i]);
  return err;
}

static lk_err merge_kept(lk_slice kept, lk_gcounter *out) {
  lk_gcounter part;
  lk_slice bytes;
  lk_limits limits = lk_limits_default();
  lk_gcounter_init(&part, out->alloc, &limits);
  lk_err err = lk_crdt_room_kept_state(kept, &bytes);
  if (err == LK_OK) err = lk_gcounter_decode(&part, bytes);
  if (err == LK_OK) err = lk_gcounter_merge(out, &part, NULL);
  lk_gcounter_deinit(&part);
  return err;
}

static lk_err take_snapshot(const counter_server *self, sim_view view, uint64_t *index,
                            lk_gcounter *out) {
  uint8_t names[2][2 * LK_SHA256_LEN + 2];
  lk_buf bytes;
  lk_slice rest;
  lk_kept kept;
  lk_buf_init(&bytes, self->world->world->alloc, SIZE_MAX / 2);
  *index = 0;
  lk_err err = look_at_slots(self, view, slot_name(0, names[0]), slot_name(1, names[1]), &bytes);
  if (err == LK_OK && bytes.len > 0) {
    err = lk_kept_decode_snapshot(lk_buf_slice(&bytes), index, &rest);
    if (err == LK_OK) err = lk_kept_decode(rest, &kept);
    if (err == LK_OK) err = merge_kept(kept.bytes, out);
  }
  lk_buf_deinit(&bytes);
  return err;
}

static lk_err take_record(lk_slice body, lk_gcounter *out) {
  lk_slice topic, rest;
  lk_kept kept;
  lk_err err = lk_kept_decode_record(body, &topic, &rest);
  if (err == LK_OK && !lk_slice_equal(topic, LK_LIT(COUNTER_TOPIC))) return LK_OK;
  if (err == LK_OK) err = lk_kept_decode(rest, &kept);
  return err == LK_OK ? merge_kept(kept.bytes, out) : err;
}

/* The records of one segment that are behind |index|. |id| becomes that of the next one. */
static lk_err take_segment(const counter_server *self, sim_view view, const lk_manifest *manifest,
                           lk_segment_id *id, uint64_t index, lk_gcounter *out) {
  char text[40];
  lk_buf bytes;
  lk_segment_reader reader;
  lk_segment_step step;
  lk_err err = LK_OK;
  bool is_last = id->number == manifest->last.number;
  (void)snprintf(text, sizeof text, "journal-0-%010llu", (unsigned long long)id->number);
  lk_buf_init(&bytes, self->world->world->alloc, SIZE_MAX / 2);
  (void)sim_disk_look(&self->disk, lk_slice_cstr(text), view, &bytes); /* missing: empty */
  lk_segment_reader_init(&reader, self->world->world->alloc, id, lk_slice_cstr(text), bytes.len,
                         is_last ? manifest->sealed_to : LK_SEGMENT_SEALED, LK_BATCH_BODY_MAX / 2);
  while (err == LK_OK && (step = lk_segment_reader_poll(&reader)) != LK_SEGMENT_END &&
         step != LK_SEGMENT_TORN) {
    if (step == LK_SEGMENT_READ) {
      memcpy(reader.into, bytes.ptr + reader.read_off, reader.into_len);
      lk_segment_reader_feed(&reader, reader.into_len);
    } else if (step == LK_SEGMENT_RECORD) {
      if (reader.index > index) err = take_record(reader.record.body, out);
    } else {
      err = reader.err;
    }
  }
  id->number++;
  id->base = reader.place.index;
  id->prev = reader.place.chain;
  lk_segment_reader_deinit(&reader);
  lk_buf_deinit(&bytes);
  return err;
}

static lk_err take_journal(const counter_server *self, sim_view view, uint64_t index,
                           lk_gcounter *out) {
  lk_buf bytes;
  lk_manifest manifest;
  lk_buf_init(&bytes, self->world->world->alloc, SIZE_MAX / 2);
  lk_err err = look_at_slots(self, view, LK_LIT("journal-0-manifest.0"),
                             LK_LIT("journal-0-manifest.1"), &bytes);
  if (err == LK_OK && bytes.len > 0) {
    err = lk_manifest_decode(lk_buf_slice(&bytes), &manifest);
    lk_segment_id id = manifest.first;
    while (err == LK_OK && id.number <= manifest.last.number)
      err = take_segment(self, view, &manifest, &id, index, out);
  }
  lk_buf_deinit(&bytes);
  return err;
}

/* What a house would open the room from: its snapshot, and the records behind it. */
lk_err counter_server_recover(counter_server *self, sim_view view, lk_gcounter *out) {
  uint64_t index;
  lk_err err = take_snapshot(self, view, &index, out);
  return err == LK_OK ? take_journal(self, view, index, out) : err;
}

/* Only the file that was synced before the other one is spare: whatever is newest has no copy. */
bool counter_server_rot(counter_server *self, lk_prng *prng) {
  uint8_t wanted[2 * LK_SHA256_LEN + 2];
  uint64_t synced[2] = { 0, 0 };
  uint32_t cursor = 0;
  uint64_t at;
  lk_slice name;
  (void)prng;
  while (sim_disk_next(&self->disk, &cursor, &name, &at)) {
    for (unsigned i = 0; i < 2; i++) {
      if (lk_slice_equal(name, slot_name(i, wanted))) synced[i] = at;
    }
  }
  if (synced[0] == 0 || synced[1] == 0) return false;
  return sim_disk_rot(&self->disk, slot_name(synced[0] < synced[1] ? 0 : 1, wanted));
}
