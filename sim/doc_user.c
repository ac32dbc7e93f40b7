/* sim/doc_user.c -- a tab, and whoever opens and closes it.
 *
 *   tab opens ── start: the replica that was saved, or an empty one
 *   tab closes ─ save, stop: replica and what was not acknowledged come back later
 *   tab dies ─── stop: what nobody else has is gone with it
 *
 * What is in it: the replica, a provider of Phoenix or of y-protocols, a typist, and a librarian for versions. */
#include "sim/doc_user.h"

#include <stdio.h>

#define TRY_AGAIN_MS 2000
#define BEAT_MS 30000
#define CONNECT_MS 10000
#define SILENT_MS 50000
#define SCRATCH_MAX ((size_t)64 << 20)

static doc_user *of(sim_node *node) { return (doc_user *)node; }

/* What must work on the simulator's own memory, and with a server that is ours. */
void doc_user_expect(doc_user *self, lk_err err, const char *what) {
  if (err != LK_OK)
    sim_world_fail(world_of(self), "%s: %s: %s", self->node.name, what, lk_err_name(err));
}

/* ---- the connection ---- */

static void set_alarm(doc_user *self) {
  uint64_t at = lk_min_u64(self->next_try_ms, self->beat_at_ms);
  if (self->here != NULL) at = lk_min_u64(at, lk_awareness_deadline(self->here));
  sim_node_wake_at(&self->node, at);
}

uint64_t doc_user_draw_later(doc_user *self) {
  return now_of(self) + 1 + lk_prng_below(&self->prng, TRY_AGAIN_MS);
}

void doc_user_lose(doc_user *self) {
  doc_provider_forget_refs(self);
  self->end = SIM_END_NONE;
  self->is_open = false;
  self->join_ref = self->beat_ref = 0;
  self->beat_at_ms = SIM_NEVER;
  self->next_try_ms = self->is_online ? doc_user_draw_later(self) : SIM_NEVER;
}

void doc_user_give_up(doc_user *self) {
  sim_net_close(&self->world->net, self->end);
  doc_user_lose(self);
}

/* ---- what the node is told ---- */

static void start(sim_node *node) {
  doc_user *self = of(node);
  self->end = SIM_END_NONE;
  self->is_open = self->is_joined = false;
  self->beat_at_ms = SIM_NEVER;
  doc_replica_open(self);
  doc_user_lose(self);
  set_alarm(self);
}

static void stop(sim_node *node) {
  doc_user *self = of(node);
  doc_replica_close(self);
  doc_provider_forget_refs(self);
  self->end = SIM_END_NONE;
  self->is_open = false;
}

static void try_again(doc_user *self) {
  self->next_try_ms = now_of(self) + CONNECT_MS;
  if (self->end == SIM_END_NONE && self->is_online)
    self->end = sim_net_connect(&self->world->net, &self->node, &self->world->server.node);
  else if (self->is_open && self->wire != DOC_WIRE_Y) doc_provider_join(self);
  else if (self->end != SIM_END_NONE) doc_user_give_up(self);
  else self->next_try_ms = SIM_NEVER;
}

/* What keeps a connection alive, or finds that it is not. */
static void beat(doc_user *self) {
  uint64_t now_ms = now_of(self);
  bool is_y = self->wire == DOC_WIRE_Y;
  if (is_y ? now_ms - self->heard_ms >= SILENT_MS : self->beat_ref != 0) {
    doc_user_give_up(self);
    return;
  }
  self->beat_at_ms = now_ms + BEAT_MS;
  if (!is_y) self->beat_ref = doc_wire_push(self, LK_LIT("phoenix"), "heartbeat", LK_LIT("{}"));
}

/* A member that rests asks until it is sure. */
static void make_sure(doc_user *self) {
  if (!self->is_resting || !self->is_joined || self->is_synced || self->sync_ref != 0) return;
  if (self->wire != DOC_WIRE_Y) doc_provider_ask_to_sync(self);
}

static void wake(sim_node *node) {
  doc_user *self = of(node);
  uint64_t now_ms = now_of(self);
  if (now_ms >= self->next_try_ms) try_again(self);
  if (now_ms >= self->beat_at_ms) beat(self);
  doc_user_expect(self, lk_awareness_tick(self->here, now_ms), "ticks");
  doc_provider_tell(self);
  make_sure(self);
  set_alarm(self);
}

static void opened(sim_node *node, sim_end end) {
  doc_user *self = of(node);
  lk_buf hello;
  if (end != self->end) return;
  self->is_open = true;
  self->heard_ms = now_of(self);
  self->beat_at_ms = now_of(self) + BEAT_MS;
  lk_buf_init(&hello, alloc_of(self), SIZE_MAX / 2);
  lk_buf_append_u8(&hello, self->wire == DOC_WIRE_Y ? 'y' : 'v');
  lk_buf_append_u8(&hello, self->may_delete ? 'a' : self->may_write ? 'w' : 'r');
  doc_user_expect(self, lk_buf_append(&hello, doc_topic(self->topic)), "says what it is");
  doc_wire_send(self, 'h', lk_buf_slice(&hello));
  lk_buf_deinit(&hello);
  if (self->wire == DOC_WIRE_Y) doc_provider_join_y(self);
  else doc_provider_join(self);
  set_alarm(self);
}

static void received(sim_node *node, sim_end end, lk_slice text) {
  doc_user *self = of(node);
  lk_arena scratch;
  lk_message m;
  if (end != self->end) return;
  self->heard_ms = now_of(self);
  bool is_text = text.ptr[0] == 't';
  lk_slice bytes = lk_slice_skip(text, 1);
  lk_arena_init(&scratch, alloc_of(self), SCRATCH_MAX);
  if (self->wire == DOC_WIRE_Y) {
    doc_provider_on_y(self, bytes);
  } else if (is_text) {
    lk_err err = lk_message_decode_text(bytes, &self->limits, &scratch, &m);
    doc_user_expect(self, err, "reads a message");
    if (err == LK_OK) doc_provider_on_text(self, &m, &scratch);
  } else {
    doc_provider_on_frame(self, bytes);
  }
  lk_arena_deinit(&scratch);
  doc_provider_send_again(self);
  doc_world_check_promise(self->world);
  make_sure(self);
  set_alarm(self);
}

static void closed(sim_node *node, sim_end end) {
  doc_user *self = of(node);
  if (end != self->end) return;
  doc_user_lose(self);
  set_alarm(self);
}

static const sim_node_kind kind = { .name = "user",
                                    .start = start,
                                    .stop = stop,
                                    .wake = wake,
                                    .opened = opened,
                                    .received = received,
                                    .closed = closed };

/* ---- what the user does ---- */

static void switch_network(doc_user *self) {
  self->is_online = !self->is_online;
  if (self->end != SIM_END_NONE) doc_user_give_up(self);
  else doc_user_lose(self);
  set_alarm(self);
}

static void leave(doc_user *self, bool saves) {
  if (saves) doc_replica_save(self);
  else doc_replica_lose(self);
  sim_node_stop(&self->node);
  sim_net_forget(&self->world->net, &self->node);
}

static void act(doc_user *self) {
  uint64_t choice = lk_prng_below(&self->prng, 100);
  if (!self->node.is_up) {
    if (choice < 30) sim_node_start(&self->node);
  } else if (!sim_node_is_paused(&self->node)) {
    if (choice < 88) doc_typist_change(self);
    else if (choice < 95) switch_network(self);
    else leave(self, choice < 99);
  }
  if (self->node.is_up) set_alarm(self);
}

static void set_act(doc_user *self) {
  uint64_t gap_us = (uint64_t)world_of(self)->options->user_gap_ms * SIM_MS;
  sim_world_schedule(world_of(self), &self->act,
                     world_of(self)->now_us + 1 + lk_prng_below(&self->prng, 2 * gap_us));
}

static void on_act(sim_event *event) {
  doc_user *self = LK_CONTAINER(event, doc_user, act);
  act(self);
  if (!self->is_resting) set_act(self);
}

void doc_user_rest(doc_user *self) {
  self->is_resting = true;
  sim_world_cancel(world_of(self), &self->act);
  if (!self->node.is_up) sim_node_start(&self->node);
  if (self->is_dirty) {
    doc_replica_renew(self);
    if (self->end != SIM_END_NONE) doc_user_give_up(self);
  }
  if (!self->is_online) switch_network(self);
  make_sure(self);
  set_alarm(self);
}

bool doc_user_is_settled(const doc_user *self) {
  bool is_sure = self->is_synced || self->wire == DOC_WIRE_Y;
  bool is_told = self->pending_count == 0 && self->wish.kind == DOC_WISH_NONE;
  return self->is_joined && is_told && is_sure;
}

const char *doc_user_waits_for(const doc_user *self) {
  if (!self->is_joined) return "a user has not joined";
  if (self->wish.kind != DOC_WISH_NONE) return "what a user asked about a version is not answered";
  return self->pending_count > 0 ? "a user's change is not acknowledged" : "a user is not in step";
}

void doc_user_leave(doc_user *self) {
  sim_node_stop(&self->node);
  sim_net_forget(&self->world->net, &self->node);
}

/* ---- life ---- */

void doc_user_init(doc_user *self, doc_world *world, uint32_t number, uint32_t topic, doc_wire wire,
                   bool may_write) {
  char name[16];
  *self = (doc_user){ .world = world,
                      .number = number,
                      .topic = topic,
                      .wire = wire,
                      .may_write = may_write,
                      .limits = LK_LIMITS_INIT,
                      .is_online = true,
                      .ref_next = 1 };
  (void)snprintf(name, sizeof name, "user%u", number + 1);
  sim_node_init(&self->node, world->world, &kind, number + 1, name, DOC_MEMORY_BOUND);
  lk_buf_init(&self->saved, world->world->alloc, SIZE_MAX / 2);
  lk_buf_init(&self->local, world->world->alloc, SIZE_MAX / 2);
  sim_world_stream(world->world, SIM_STREAM_USER + number + 1, &self->prng);
  sim_event_init(&self->act, on_act);
  set_act(self);
}

void doc_user_deinit(doc_user *self) {
  if (self->world == NULL) return;
  sim_world_cancel(world_of(self), &self->act);
  if (self->node.is_up) sim_node_stop(&self->node);
  while (self->pending_count > 0) doc_replica_forget_pending(self, self->pending_count - 1);
  lk_buf_deinit(&self->saved);
  lk_buf_deinit(&self->local);
}
