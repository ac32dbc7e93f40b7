/* sim/counter_plain.c -- what phoenix.js and a few lines of application would do.
 *
 * Some keep nothing and send nothing twice: a request whose answer does not come is of unknown fate.
 * Others give their requests ids and send each of them until it is answered: all of those are executed,
 * and once. What they are told is remembered by the oracle. */
#include "sim/counter_world.h"

#include "channel/message.h"
#include "codec/json_reader.h"

#define TRY_AGAIN_MS 2000
#define BEAT_MS 30000
#define CONNECT_MS 10000
#define SCRATCH_MAX ((size_t)4 << 20)

static counter_plain *of(sim_node *node) { return (counter_plain *)node; }

static uint64_t now_of(const counter_plain *self) { return sim_node_now_ms(&self->node); }

/* ---- sending ---- */

static uint64_t send(counter_plain *self, const char *topic, const char *event,
                     const char *payload) {
  char text[256], join_ref[24] = "null";
  uint64_t ref = self->ref_next++;
  bool is_join = lk_slice_equal(lk_slice_cstr(event), LK_LIT("phx_join"));
  if (is_join || self->join_ref != 0) {
    (void)snprintf(join_ref, sizeof join_ref, "\"%llu\"",
                   (unsigned long long)(is_join ? ref : self->join_ref));
  }
  int len = snprintf(text, sizeof text, "[%s,\"%llu\",\"%s\",\"%s\",%s]", join_ref,
                     (unsigned long long)ref, topic, event, payload);
  sim_net_send(&self->world->net, self->end, lk_slice_of(text, (size_t)len));
  return ref;
}

static void join(counter_plain *self) {
  self->join_ref = 0;
  self->join_ref = send(self, COUNTER_TOPIC, "phx_join", "{}");
  self->next_try_ms = SIM_NEVER;
}

static void send_request(counter_plain *self, counter_request *request) {
  char payload[140], id[64] = "";
  if (request->id != 0) {
    (void)snprintf(id, sizeof id, ",\"request_id\":\"%s-%llu\"", self->node.name,
                   (unsigned long long)request->id);
  }
  (void)snprintf(payload, sizeof payload, "{\"payload\":{\"amount\":%llu}%s}",
                 (unsigned long long)request->amount, id);
  request->ref = send(self, COUNTER_TOPIC, "crdt.increment", payload);
}

/* What has an id and no answer goes again. */
static void send_again(counter_plain *self) {
  for (uint32_t i = 0; i < COUNTER_OUTSTANDING_MAX; i++) {
    counter_request *request = &self->requests[i];
    if (self->is_joined && request->id != 0 && request->ref == 0) send_request(self, request);
  }
}

static void increment(counter_plain *self) {
  counter_request *free_one = NULL;
  for (uint32_t i = 0; i < COUNTER_OUTSTANDING_MAX; i++) {
    if (self->requests[i].ref == 0 && self->requests[i].id == 0) free_one = &self->requests[i];
  }
  if (!self->is_joined || free_one == NULL) return;
  free_one->amount = lk_prng_range(&self->prng, 1, self->world->world->options->amount_max);
  free_one->id = self->uses_ids ? ++self->id_next : 0;
  sim_oracle_sent(&self->world->oracle, free_one->amount);
  send_request(self, free_one);
  self->world->changes++;
}

/* ---- the connection ---- */

static void set_alarm(counter_plain *self) {
  sim_node_wake_at(&self->node, lk_min_u64(self->next_try_ms, self->beat_at_ms));
}

/* Requests under way will not be answered; those with ids wait for the next connection. */
static void forget_requests(counter_plain *self) {
  for (uint32_t i = 0; i < COUNTER_OUTSTANDING_MAX; i++) self->requests[i].ref = 0;
  self->is_joined = false;
}

static void lose(counter_plain *self) {
  forget_requests(self);
  self->end = SIM_END_NONE;
  self->is_open = false;
  self->join_ref = self->beat_ref = 0;
  self->beat_at_ms = SIM_NEVER;
  self->next_try_ms = now_of(self) + 1 + lk_prng_below(&self->prng, TRY_AGAIN_MS);
}

static void give_up(counter_plain *self) {
  sim_net_close(&self->world->net, self->end);
  lose(self);
}

/* ---- what the server says ---- */

static void see_value(counter_plain *self, lk_slice object) {
  lk_json_member value = { .name = LK_LIT("value") };
  lk_json_reader in;
  lk_arena scratch;
  uint64_t number;
  lk_arena_init(&scratch, self->world->world->alloc, SCRATCH_MAX);
  lk_err err = lk_json_reader_init(&in, object, &self->limits, &scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, &value, 1);
  if (err == LK_OK) err = lk_json_get_u64(&value.value, &number);
  lk_arena_deinit(&scratch);
  if (err != LK_OK) {
    sim_world_fail(self->world->world, "%s was told no value: %s", self->node.name,
                   lk_err_name(err));
    return;
  }
  if (number < self->value) {
    sim_world_fail(self->world->world, "fell: %s saw %llu after %llu", self->node.name,
                   (unsigned long long)number, (unsigned long long)self->value);
  }
  self->value = number;
  sim_oracle_shown(&self->world->oracle, number);
}

static void on_join_reply(counter_plain *self, bool ok, lk_slice response) {
  self->is_joined = ok;
  if (ok) see_value(self, response);
  else self->next_try_ms = now_of(self) + 1 + lk_prng_below(&self->prng, TRY_AGAIN_MS);
  if (ok) send_again(self);
  if (ok && self->is_resting) increment(self);
}

static void on_request_reply(counter_plain *self, counter_request *request, bool ok,
                             lk_slice response) {
  request->ref = 0;
  if (!ok && request->id != 0) { /* an earlier sending may have been executed */
    if (self->is_resting) send_again(self);
    return;
  }
  if (!ok) {
    sim_oracle_refused(&self->world->oracle, request->amount);
    if (self->is_resting) increment(self);
    return;
  }
  request->id = 0;
  sim_oracle_acknowledged(&self->world->oracle, request->amount);
  see_value(self, response);
  if (self->is_resting) self->owes_last = false;
}

static bool is_ref(lk_slice text, uint64_t ref) {
  char digits[24];
  int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)ref);
  return ref != 0 && lk_slice_equal(text, lk_slice_of(digits, (size_t)len));
}

static void on_reply(counter_plain *self, const lk_message *m, lk_arena *scratch) {
  lk_json_member members[2] = { { .name = LK_LIT("status") }, { .name = LK_LIT("response") } };
  lk_json_reader in;
  lk_slice status = LK_SLICE_EMPTY;
  lk_err err = lk_json_reader_init(&in, m->payload, &self->limits, scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, members, 2);
  if (err == LK_OK) err = lk_json_get_string(&members[0].value, &status);
  if (err != LK_OK) {
    sim_world_fail(self->world->world, "%s got a reply that is none: %s", self->node.name,
                   lk_err_name(err));
    return;
  }
  bool ok = lk_slice_equal(status, LK_LIT("ok"));
  if (is_ref(m->ref, self->beat_ref)) self->beat_ref = 0;
  if (!self->is_joined && is_ref(m->ref, self->join_ref)) on_join_reply(self, ok, members[1].raw);
  for (uint32_t i = 0; i < COUNTER_OUTSTANDING_MAX; i++) {
    if (!is_ref(m->ref, self->requests[i].ref)) continue;
    on_request_reply(self, &self->requests[i], ok, members[1].raw);
  }
}

static void on_message(counter_plain *self, const lk_message *m, lk_arena *scratch) {
  if (lk_slice_equal(m->event, LK_LIT("phx_reply"))) {
    on_reply(self, m, scratch);
  } else if (m->join_ref.ptr != NULL && !is_ref(m->join_ref, self->join_ref)) {
    return;
  } else if (lk_slice_equal(m->event, LK_LIT("state_updated"))) {
    if (self->is_joined) see_value(self, m->payload);
  } else if (lk_slice_equal(m->event, LK_LIT("phx_error")) ||
             lk_slice_equal(m->event, LK_LIT("phx_close"))) {
    forget_requests(self);
    self->next_try_ms = now_of(self) + 1 + lk_prng_below(&self->prng, TRY_AGAIN_MS);
  } else {
    sim_world_fail(self->world->world, "%s got an event that it does not know", self->node.name);
  }
}

/* ---- what the node is told ---- */

static void start(sim_node *node) {
  counter_plain *self = of(node);
  self->beat_at_ms = SIM_NEVER;
  self->next_try_ms = now_of(self);
  set_alarm(self);
}

static void try_again(counter_plain *self) {
  if (self->end == SIM_END_NONE) {
    self->end = sim_net_connect(&self->world->net, &self->node, &self->world->server.node);
    self->next_try_ms = now_of(self) + CONNECT_MS;
  } else if (self->is_open) {
    join(self);
  } else {
    give_up(self);
  }
}

static void wake(sim_node *node) {
  counter_plain *self = of(node);
  uint64_t now_ms = now_of(self);
  if (now_ms >= self->next_try_ms) try_again(self);
  if (now_ms >= self->beat_at_ms && self->beat_ref != 0) {
    give_up(self);
  } else if (now_ms >= self->beat_at_ms) {
    self->beat_ref = send(self, "phoenix", "heartbeat", "{}");
    self->beat_at_ms = now_ms + BEAT_MS;
  }
  set_alarm(self);
}

static void opened(sim_node *node, sim_end end) {
  counter_plain *self = of(node);
  if (end != self->end) return;
  self->is_open = true;
  self->beat_at_ms = now_of(self) + BEAT_MS;
  join(self);
  set_alarm(self);
}

static void received(sim_node *node, sim_end end, lk_slice text) {
  counter_plain *self = of(node);
  lk_arena scratch;
  lk_message m;
  if (end != self->end) return;
  lk_arena_init(&scratch, self->world->world->alloc, SCRATCH_MAX);
  lk_err err = lk_message_decode_text(text, &self->limits, &scratch, &m);
  if (err == LK_OK) on_message(self, &m, &scratch);
  else sim_world_fail(self->world->world, "%s got no message: %s", node->name, lk_err_name(err));
  lk_arena_deinit(&scratch);
  counter_world_check_promise(self->world);
  set_alarm(self);
}

static void closed(sim_node *node, sim_end end) {
  counter_plain *self = of(node);
  if (end != self->end) return;
  lose(self);
  set_alarm(self);
}

static const sim_node_kind kind = { .name = "plain",
                                    .start = start,
                                    .wake = wake,
                                    .opened = opened,
                                    .received = received,
                                    .closed = closed };

/* ---- what its user does ---- */

static void on_act(sim_event *event) {
  counter_plain *self = LK_CONTAINER(event, counter_plain, act);
  uint64_t gap_us = (uint64_t)self->world->world->options->user_gap_ms * SIM_MS;
  if (!sim_node_is_paused(&self->node)) {
    send_again(self);
    increment(self);
  }
  sim_world_schedule(self->world->world, event,
                     self->world->world->now_us + 1 + lk_prng_below(&self->prng, 2 * gap_us));
}

void counter_plain_rest(counter_plain *self) {
  self->is_resting = self->owes_last = true;
  sim_world_cancel(self->world->world, &self->act);
  send_again(self); /* what was refused for want of space, too */
  increment(self);
}

bool counter_plain_is_settled(const counter_plain *self) {
  for (uint32_t i = 0; i < COUNTER_OUTSTANDING_MAX; i++) {
    if (self->requests[i].id != 0) return false;
  }
  return !self->owes_last;
}

void counter_plain_init(counter_plain *self, counter_world *world, uint32_t number) {
  char name[16];
  *self = (counter_plain){ .world = world, .limits = LK_LIMITS_INIT, .ref_next = 1 };
  (void)snprintf(name, sizeof name, "plain%u", number);
  sim_node_init(&self->node, world->world, &kind, number, name, COUNTER_MEMORY_BOUND);
  sim_world_stream(world->world, SIM_STREAM_USER + number, &self->prng);
  self->uses_ids = lk_prng_below(&self->prng, 2) == 0;
  sim_event_init(&self->act, on_act);
  sim_world_schedule(world->world, &self->act, 1);
}

void counter_plain_deinit(counter_plain *self) {
  if (self->world == NULL) return;
  sim_world_cancel(self->world->world, &self->act);
  if (self->node.is_up) sim_node_stop(&self->node);
}
