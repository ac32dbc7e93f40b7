/* sim/peer_device.c -- a device: lk_client on a disk, and whoever uses it.
 *
 *   starts ──── a client over what the disk has; topics are opened when it is ready
 *   is closed, dies, loses power ── what was not saved is gone with it, unless the server has it
 *
 * Its user acts whenever |act| fires, whether there is a network or not. What the user is told is noted in the ledgers as soon as
 * it is told: a change that is pending is saved when nothing is unsaved, and acknowledged when it is pending no longer. (One that was
 * acknowledged before it was recorded is safe on the server; its device may have to fetch it again.) */
#include "sim/peer_world.h"

#include <stdio.h>
#include <string.h>

#define AGAIN_MS 1000
#define RECORD_LEAST 128 /* bytes: a TOPIC fits, and what is longer goes in pieces */

static peer_device *of(sim_node *node) { return (peer_device *)node; }
static uint64_t now_of(const peer_device *self) { return sim_node_now_ms(&self->node); }

/* ---- what it is told ---- */

static lk_client_status status_of(const peer_device *self) {
  lk_client_status status = { .size = sizeof status };
  lk_client_get_status(self->client, &status);
  return status;
}

static lk_topic_status topic_status_of(const peer_device *self, peer_subject subject) {
  lk_topic_status status = { .size = sizeof status };
  lk_topic_get_status(self->topics[subject], &status);
  return status;
}

static void note_promises(peer_device *self, peer_subject subject, bool is_saved) {
  peer_ledger *ledger = &self->ledgers[subject];
  lk_topic_status status = topic_status_of(self, subject);
  for (uint32_t i = 0; i < ledger->count; i++) {
    peer_change *c = &ledger->changes[i];
    if (c->is_over) continue;
    bool is_acked = c->number == 0 ? status.pending_count == 0 : c->number <= status.acknowledged;
    bool is_recorded = c->number != 0 && status.is_kept && c->number <= status.recorded;
    if (is_acked && !c->is_acked)
      sim_world_note(self->world->world, self->node.name, "acked", (uint64_t)subject, i,
                     LK_SLICE_EMPTY);
    if (is_acked) c->is_acked = true;
    if (c->is_acked || c->is_saved || subject == PEER_MEMORY) continue;
    if (!is_saved && !is_recorded) continue;
    sim_world_note(self->world->world, self->node.name, "saved", (uint64_t)subject, i,
                   LK_SLICE_EMPTY);
    c->is_saved = true;
  }
}

static void observe(peer_device *self) {
  if (self->client == NULL) return;
  lk_client_status status = status_of(self);
  bool is_saved = self->has_disk && status.unsaved_count == 0 && status.storage == LK_OK;
  for (int s = 0; s < PEER_SUBJECTS; s++) {
    if (self->topics[s] != NULL) note_promises(self, (peer_subject)s, is_saved);
  }
}

/* ---- around the client ---- */

static void open_connection(peer_device *self) {
  if (!self->is_online) {
    lk_client_closed(self->client, 0, 0, now_of(self));
    return;
  }
  self->connections++;
  self->end = sim_net_connect(&self->world->net, &self->node, &self->world->server.node);
}

static void close_connection(peer_device *self) {
  sim_net_close(&self->world->net, self->end);
  self->end = SIM_END_NONE;
  /* It need not be told, but it may. */
  if (lk_prng_chance(&self->prng, 1, 2)) lk_client_closed(self->client, 0, 0, now_of(self));
}

static void send(peer_device *self, const lk_client_event *event) {
  lk_buf message;
  lk_buf_init(&message, self->world->world->alloc, SIZE_MAX / 2);
  (void)lk_buf_append_u8(&message, event->is_binary ? 'b' : 't');
  LK_ASSERT(lk_buf_append(&message, event->bytes) == LK_OK);
  sim_net_send(&self->world->net, self->end, lk_buf_slice(&message));
  lk_buf_deinit(&message);
}

static lk_err open_topic(peer_device *self, peer_subject subject) {
  lk_slice name = lk_slice_cstr(peer_subject_names[subject]);
  lk_topic **out = &self->topics[subject];
  lk_err err;
  if (subject == PEER_DOC)
    err = lk_client_open_doc(self->client, name, LK_TOPIC_KEPT, now_of(self), out);
  else
    err = lk_client_open_crdt(
        self->client, name, subject == PEER_COUNT ? LK_CRDT_GCOUNTER : LK_CRDT_LIST,
        subject == PEER_MEMORY ? LK_TOPIC_MEMORY : LK_TOPIC_KEPT, now_of(self), out);
  if (err != LK_OK) *out = NULL;
  return err;
}

/* What was saved is there before anything comes from the server. */
static void open_topics(peer_device *self) {
  for (int s = 0; s < PEER_SUBJECTS; s++) {
    if (self->topics[s] != NULL) continue;
    lk_err err = open_topic(self, (peer_subject)s);
    if (err == LK_OK) peer_world_check(self->world, self, (peer_subject)s, PEER_MUST_SAVED);
    else if (err != LK_ERR_NOMEM)
      sim_world_fail(self->world->world, "%s cannot open %s: %s", self->node.name,
                     peer_subject_names[s], lk_err_name(err));
  }
}

static void changed(peer_device *self, const lk_topic *topic) {
  for (int s = 0; s < PEER_SUBJECTS; s++) {
    if (self->topics[s] == topic)
      peer_world_check(self->world, self, (peer_subject)s, PEER_MUST_NOTHING);
  }
}

/* Nobody here writes what a server must not take. */
static void check_status(peer_device *self, const lk_topic *topic) {
  for (int s = 0; s < PEER_SUBJECTS; s++) {
    if (topic == NULL || self->topics[s] != topic) continue;
    lk_topic_status status = topic_status_of(self, (peer_subject)s);
    if (status.state == LK_TOPIC_REFUSED)
      sim_world_fail(self->world->world, "refused: %s in %s: %.*s", self->node.name,
                     peer_subject_names[s], (int)status.reason.len,
                     (const char *)status.reason.ptr);
  }
}

static void carry_out(peer_device *self, const lk_client_event *event) {
  switch (event->kind) {
  case LK_CLIENT_TOKEN: break;
  case LK_CLIENT_CONNECT: open_connection(self); break;
  case LK_CLIENT_SEND: send(self, event); break;
  case LK_CLIENT_HANG_UP: close_connection(self); break;
  case LK_CLIENT_READY: open_topics(self); break;
  case LK_CLIENT_CHANGED: changed(self, event->topic); break;
  case LK_CLIENT_STATUS: check_status(self, event->topic); break;
  }
}

static void pump(peer_device *self) {
  lk_client_event event;
  while (self->client != NULL && lk_client_poll(self->client, &event)) carry_out(self, &event);
  observe(self);
  if (self->client == NULL) {
    sim_node_wake_at(&self->node, now_of(self) + AGAIN_MS);
    return;
  }
  sim_node_wake_at(&self->node, lk_client_deadline(self->client));
}

/* May fail for want of memory: the user sees an empty page, and tries again. */
static void make_client(peer_device *self) {
  lk_client_options options = LK_CLIENT_OPTIONS_INIT;
  if (self->has_disk) options.storage = &self->disk.table;
  options.entropy[0] = lk_prng_u64(&self->node.prng);
  options.entropy[1] = lk_prng_u64(&self->node.prng);
  lk_err err = lk_client_open_limited(&self->node.env, &self->limits, &options, &self->client);
  if (err != LK_OK) self->client = NULL;
  else lk_client_connect(self->client, now_of(self));
}

static void start(sim_node *node) {
  peer_device *self = of(node);
  self->end = SIM_END_NONE;
  make_client(self);
  pump(self);
}

/* What it was not told is kept may be gone. */
static void end_process(peer_ledger *ledger) {
  for (uint32_t i = 0; i < ledger->count; i++) {
    peer_change *c = &ledger->changes[i];
    if (!c->is_acked && !c->is_saved) c->is_over = true;
  }
}

static void stop(sim_node *node) {
  peer_device *self = of(node);
  lk_client_close(self->client);
  self->client = NULL;
  memset(self->topics, 0, sizeof self->topics);
  self->end = SIM_END_NONE;
  for (int s = 0; s < PEER_SUBJECTS; s++) end_process(&self->ledgers[s]);
}

static void wake(sim_node *node) {
  peer_device *self = of(node);
  if (self->client == NULL) make_client(self);
  if (self->client != NULL) {
    lk_client_stored(self->client, now_of(self));
    lk_client_tick(self->client, now_of(self));
    if (self->client->has_told_ready) open_topics(self); /* there was no memory for one */
  }
  pump(self);
}

static void opened(sim_node *node, sim_end end) {
  peer_device *self = of(node);
  if (end != self->end) return;
  lk_client_opened(self->client, now_of(self));
  pump(self);
}

static void received(sim_node *node, sim_end end, lk_slice message) {
  peer_device *self = of(node);
  if (end != self->end) return;
  lk_err err = lk_client_receive(self->client, lk_slice_skip(message, 1), message.ptr[0] == 'b',
                                 now_of(self));
  /* The server is ours: what it says is understood. */
  if (err != LK_OK && err != LK_ERR_NOMEM)
    sim_world_fail(self->world->world, "%s does not understand the server: %s", node->name,
                   lk_err_name(err));
  pump(self);
}

static void closed(sim_node *node, sim_end end) {
  peer_device *self = of(node);
  if (end != self->end) return;
  self->end = SIM_END_NONE;
  lk_client_closed(self->client, 0, 0, now_of(self));
  pump(self);
}

static const sim_node_kind kind = { .name = "device",
                                    .start = start,
                                    .stop = stop,
                                    .wake = wake,
                                    .opened = opened,
                                    .received = received,
                                    .closed = closed };

/* ---- what its user does ---- */

static lk_err insert_in_list(peer_device *self, peer_subject subject, const char *name) {
  lk_topic *topic = self->topics[subject];
  char arguments[48];
  uint32_t count = lk_crdt_get_size(lk_topic_crdt(topic)).entries;
  uint64_t index = lk_prng_below(&self->prng, count + 1u);
  /* An entry is not always an element; at the front there is always room. */
  if (lk_prng_chance(&self->prng, 1, 2)) index = 0;
  (void)snprintf(arguments, sizeof arguments, "[%u,\"%s\"]", (unsigned)index, name);
  lk_err err = lk_topic_apply(topic, LK_SLICE_EMPTY, LK_LIT("insert"), lk_slice_cstr(arguments),
                              now_of(self), now_of(self));
  if (err != LK_ERR_RANGE) return err;
  (void)snprintf(arguments, sizeof arguments, "[0,\"%s\"]", name);
  return lk_topic_apply(topic, LK_SLICE_EMPTY, LK_LIT("insert"), lk_slice_cstr(arguments),
                        now_of(self), now_of(self));
}

static lk_err insert_in_document(peer_device *self, const char *name) {
  lk_topic *topic = self->topics[PEER_DOC];
  lk_doc *doc = lk_topic_doc(topic);
  lk_node array;
  lk_err err = lk_topic_may_change(topic);
  if (err == LK_OK) err = lk_doc_root(doc, LK_LIT("a"), LK_NODE_ARRAY, &array);
  if (err != LK_OK) return err;
  uint64_t index = lk_prng_below(&self->prng, lk_doc_node_length(doc, array) + 1);
  const lk_value value = { .kind = LK_VALUE_STRING, .bytes = lk_slice_cstr(name) };
  err = lk_doc_list_insert(doc, array, index, &value, 1);
  lk_topic_changed(topic, now_of(self));
  return err;
}

static lk_err change(peer_device *self, peer_subject subject, const char *name) {
  if (subject == PEER_DOC) return insert_in_document(self, name);
  if (subject != PEER_COUNT) return insert_in_list(self, subject, name);
  return lk_topic_apply(self->topics[subject], LK_SLICE_EMPTY, LK_LIT("increment"), LK_LIT("[1]"),
                        now_of(self), now_of(self));
}

/* ---- what a page does that its user has open, beside the device's own replicas ---- */

/* Its replica is opened for this change, and closed behind it: its name is used once, and nothing under it waits. */
static lk_err change_object_by_page(peer_device *self, lk_topic *topic, lk_slice all,
                                    const char *text, lk_buf *change) {
  char name[24], arguments[48];
  lk_crdt *crdt;
  bool counts = topic == self->topics[PEER_COUNT];
  lk_err err = lk_crdt_open(&self->node.env, lk_crdt_get_kind(lk_topic_crdt(topic)), &crdt);
  if (err != LK_OK) return err;
  (void)snprintf(name, sizeof name, "p%016llx", (unsigned long long)lk_prng_u64(&self->prng));
  (void)snprintf(arguments, sizeof arguments, counts ? "[1]" : "[0,\"%s\"]", text);
  const lk_crdt_op op = { .actor = lk_slice_cstr(name), .delta = change };
  err = lk_crdt_merge(crdt, all, NULL);
  if (err == LK_OK)
    err = lk_crdt_apply(crdt, &op, counts ? LK_LIT("increment") : LK_LIT("insert"),
                        lk_slice_cstr(arguments));
  lk_crdt_close(crdt);
  return err;
}

static lk_err change_document_by_page(peer_device *self, lk_slice all, const char *text,
                                      lk_buf *change) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  const lk_value value = { .kind = LK_VALUE_STRING, .bytes = lk_slice_cstr(text) };
  lk_doc *doc;
  lk_node array;
  lk_buf before;
  options.client = lk_prng_u64(&self->prng) & UINT32_MAX;
  lk_err err = lk_doc_open(&self->node.env, &options, &doc);
  if (err != LK_OK) return err;
  lk_buf_init(&before, self->node.env.alloc, 1u << 20);
  err = lk_doc_load(doc, LK_UPDATE_V1, all, 0);
  if (err == LK_OK) err = lk_doc_state_vector(doc, &before);
  if (err == LK_OK) err = lk_doc_root(doc, LK_LIT("a"), LK_NODE_ARRAY, &array);
  if (err == LK_OK) err = lk_doc_list_insert(doc, array, 0, &value, 1);
  if (err == LK_OK) err = lk_doc_encode(doc, LK_UPDATE_V1, lk_buf_slice(&before), change);
  lk_doc_close(doc);
  lk_buf_deinit(&before);
  return err;
}

static lk_err change_by_page(peer_device *self, peer_subject subject, const char *text) {
  lk_topic *topic = self->topics[subject];
  lk_buf all, change;
  uint64_t number;
  lk_err err = lk_topic_may_change(topic);
  if (err != LK_OK) return err;
  lk_buf_init(&all, self->node.env.alloc, 1u << 24);
  lk_buf_init(&change, self->node.env.alloc, 1u << 24);
  err = lk_topic_since(topic, LK_SLICE_EMPTY, &all);
  if (err == LK_OK && subject == PEER_DOC)
    err = change_document_by_page(self, lk_buf_slice(&all), text, &change);
  else if (err == LK_OK)
    err = change_object_by_page(self, topic, lk_buf_slice(&all), text, &change);
  if (err == LK_OK)
    err = lk_topic_merge(topic, lk_buf_slice(&change), false, now_of(self), &number);
  lk_buf_deinit(&all);
  lk_buf_deinit(&change);
  return err;
}

/* It is in the ledger before anything of it is sent. */
static void make_change(peer_device *self) {
  peer_subject subject = (peer_subject)lk_prng_below(&self->prng, PEER_SUBJECTS);
  peer_ledger *ledger = &self->ledgers[subject];
  lk_topic *topic = self->topics[subject];
  char name[24];
  if (topic == NULL || ledger->count == PEER_CHANGES_MAX) return;
  uint64_t last = topic->backlog.last;
  (void)snprintf(name, sizeof name, "%u.%u", self->node.number, ledger->count);
  ledger->changes[ledger->count++] = (peer_change){ 0 };
  bool is_pages = lk_prng_chance(&self->prng, 1, 3);
  lk_err err = is_pages ? change_by_page(self, subject, name) : change(self, subject, name);
  if (err != LK_OK) {
    ledger->count--;
    if (err != LK_ERR_NOMEM && err != LK_ERR_BACKLOG)
      sim_world_fail(self->world->world, "%s cannot change %s: %s", self->node.name,
                     peer_subject_names[subject], lk_err_name(err));
  } else {
    self->world->changes++;
    ledger->changes[ledger->count - 1].number = topic->backlog.last > last ? topic->backlog.last
                                                                           : 0;
    peer_world_check(self->world, self, subject, PEER_MUST_NOTHING);
  }
  pump(self);
}

static void switch_network(peer_device *self) {
  self->is_online = !self->is_online;
  if (!self->is_online && self->end != SIM_END_NONE) {
    sim_net_close(&self->world->net, self->end);
    self->end = SIM_END_NONE;
    lk_client_closed(self->client, 0, 0, now_of(self));
  }
  if (self->is_online && lk_prng_chance(&self->prng, 1, 2))
    lk_client_wake(self->client, now_of(self));
  pump(self);
}

static void leave(peer_device *self) {
  self->has_left = true;
  sim_disk_kill(&self->disk);
  sim_node_stop(&self->node);
  sim_net_forget(&self->world->net, &self->node);
}

static void come_back(peer_device *self) {
  self->has_left = false;
  sim_node_start(&self->node);
}

static void act(peer_device *self) {
  uint64_t choice = lk_prng_below(&self->prng, 100);
  if (self->has_left) {
    if (choice < 30) come_back(self);
  } else if (!self->node.is_up) {
    return; /* crashed: whoever did that starts it again */
  } else if (self->client != NULL && !sim_node_is_paused(&self->node)) {
    if (choice < 80) make_change(self);
    else if (choice < 92) switch_network(self);
    else leave(self);
  }
}

static void set_alarm(peer_device *self) {
  uint64_t gap_us = (uint64_t)self->world->world->options->user_gap_ms * SIM_MS;
  sim_world_schedule(self->world->world, &self->act,
                     self->world->world->now_us + 1 + lk_prng_below(&self->prng, 2 * gap_us));
}

static void on_act(sim_event *event) {
  peer_device *self = LK_CONTAINER(event, peer_device, act);
  act(self);
  if (!self->is_resting) set_alarm(self);
}

void peer_device_rest(peer_device *self) {
  self->is_resting = true;
  sim_world_cancel(self->world->world, &self->act);
  self->is_online = true;
  if (self->has_left) come_back(self);
}

const char *peer_device_unsettled(const peer_device *self) {
  if (self->client == NULL) return "a device has no client";
  lk_client_status status = status_of(self);
  if (status.state != LK_CLIENT_ONLINE) return "a device is not online";
  if (status.pending_count > 0) return "changes are pending";
  if (self->has_disk && (status.unsaved_count > 0 || status.storage != LK_OK))
    return "changes are not saved";
  for (int s = 0; s < PEER_SUBJECTS; s++) {
    if (self->topics[s] == NULL) return "a topic is not open";
    if (topic_status_of(self, (peer_subject)s).state != LK_TOPIC_JOINED)
      return "a topic is not joined";
  }
  return NULL;
}

static void on_ready(void *ctx) { sim_node_poke(ctx); }

void peer_device_init(peer_device *self, peer_world *world, uint32_t number, bool has_disk) {
  char name[16];
  *self = (peer_device){
    .world = world, .limits = LK_LIMITS_INIT, .is_online = true, .has_disk = has_disk
  };
  uint32_t segment_bytes = world->world->options->segment_bytes_max;
  self->limits.log_segment_bytes = segment_bytes;
  self->limits.log_record_bytes = lk_max_u32(RECORD_LEAST, segment_bytes / 16);
  self->limits.log_batch_bytes = lk_max_u32(RECORD_LEAST, segment_bytes / 8);
  (void)snprintf(name, sizeof name, "device%u", number);
  sim_node_init(&self->node, world->world, &kind, number, name, PEER_MEMORY_BOUND);
  self->node.memory.may_fail = true;
  sim_disk_init(&self->disk, world->world, number);
  self->disk.ready = on_ready;
  self->disk.ready_ctx = &self->node;
  sim_world_stream(world->world, SIM_STREAM_USER + number, &self->prng);
  sim_event_init(&self->act, on_act);
  if (has_disk) set_alarm(self);
}

void peer_device_deinit(peer_device *self) {
  if (self->world == NULL) return;
  sim_world_cancel(self->world->world, &self->act);
  if (self->node.is_up) {
    sim_disk_kill(&self->disk);
    sim_node_stop(&self->node);
  }
  sim_disk_deinit(&self->disk);
}
