/* peer/peer.c -- three counters and a connection.
 *
 *   counter     what this replica knows: shown to the user
 *   confirmed   what the server has said that it holds durably, since the last join
 *   in_flight   what the merge under way carries: becomes confirmed when the server says ok
 *
 * All synchronisation is one rule: joined, and no merge under way, and counter has what confirmed
 * lacks: send the difference. Increments that happen meanwhile wait for the answer and go
 * together, so a fast clicker costs one message for each round trip.
 *
 * A join starts |confirmed| anew from what the server answers. Where the server has lost its
 * memory the difference is then everything that this replica knows, other replicas' counts
 * included, and goes back to it: the replicas are each other's backup.
 *
 * Every connection may die at any place. Nothing here depends on how far it came: what was not
 * confirmed is sent again, and merging twice is merging once.
 *
 * Only what the server confirms ends a row of failures. A join does not: a server that lets everybody
 * in and refuses or breaks on every merge would be hammered at the shortest back-off.
 *
 * References are numbers of one counter for each peer, never reused, so an answer that comes late
 * fits nothing and is ignored. */
#include "peer/peer.h"

#include "base/trace.h"
#include "channel/message.h"
#include "codec/json_reader.h"
#include "codec/varint.h"

#define TOPIC_LEN_MAX 255
#define REF_DIGITS_MAX 20

static lk_slice actor_of(const lk_peer *self) { return lk_slice_of(self->actor, self->actor_len); }
static lk_slice topic_of(const lk_peer *self) { return lk_buf_slice(&self->topic); }

static void count_pending(lk_peer *self) {
  self->pending = lk_gcounter_count_of(&self->counter, actor_of(self)) -
                  lk_min_u64(lk_gcounter_count_of(&self->confirmed, actor_of(self)),
                             lk_gcounter_count_of(&self->counter, actor_of(self)));
  self->changed = true;
}

static void empty(lk_peer *self, lk_gcounter *counter) {
  lk_gcounter_deinit(counter);
  lk_gcounter_init(counter, self->env->alloc, self->limits);
}

/* ---- the connection's life ---- */

static uint64_t back_off(lk_peer *self) {
  uint64_t limit = (uint64_t)LK_PEER_RETRY_FIRST_MS << lk_min_u32(self->attempt, 16);
  self->attempt++;
  return lk_prng_range(&self->jitter, 0, lk_min_u64(limit, LK_PEER_RETRY_MAX_MS));
}

static void enter(lk_peer *self, lk_peer_state state) {
  self->state = state;
  self->changed = true;
}

static void connect(lk_peer *self, uint64_t now_ms) {
  enter(self, LK_PEER_CONNECTING);
  self->want_open = true;
  self->retry_at_ms = LK_PEER_NEVER;
  self->reply_by_ms = now_ms + LK_PEER_REPLY_MS;
}

/* What was on this connection is forgotten; what it carried is not. */
static void forget_connection(lk_peer *self) {
  lk_outbox_clear(&self->output);
  empty(self, &self->in_flight);
  self->join_ref = self->merge_ref = self->heartbeat_ref = 0;
  self->reply_by_ms = self->heartbeat_at_ms = LK_PEER_NEVER;
  self->want_open = false;
}

static void lose(lk_peer *self, uint64_t now_ms) {
  forget_connection(self);
  enter(self, LK_PEER_IDLE);
  uint64_t wait = back_off(self);
  self->retry_at_ms = now_ms + wait;
  lk_trace_emit(self->env, LK_TRACE_peer_lost, self->attempt, wait, topic_of(self));
}

static void give_up(lk_peer *self, uint64_t now_ms) {
  /* A connection that was not even asked for yet needs no closing; an earlier one may still need it. */
  if (!self->want_open) self->want_close = true;
  lose(self, now_ms);
}

/* ---- sending ---- */

static lk_slice digits_of(uint64_t ref, uint8_t digits[REF_DIGITS_MAX]) {
  size_t at = REF_DIGITS_MAX;
  do digits[--at] = (uint8_t)('0' + ref % 10);
  while ((ref /= 10) > 0);
  return lk_slice_of(digits + at, REF_DIGITS_MAX - at);
}

/* Sends |event| under a new reference and returns that; 0 where it could not be queued. */
static uint64_t send(lk_peer *self, lk_slice topic, lk_slice event, bool joined, lk_slice payload) {
  uint8_t digits[REF_DIGITS_MAX], join_digits[REF_DIGITS_MAX];
  uint64_t ref = self->ref_next;
  lk_message message = {
    .ref = digits_of(ref, digits), .topic = topic, .event = event, .payload = payload
  };
  if (joined) {
    message.join_ref = digits_of(self->join_ref == 0 ? ref : self->join_ref, join_digits);
  }
  size_t start = lk_outbox_begin(&self->output);
  lk_err err = lk_outbox_end(&self->output, start,
                             lk_message_encode_text(&message, &self->output.bytes));
  if (err != LK_OK) return 0;
  self->ref_next++;
  return ref;
}

static void join(lk_peer *self, uint64_t now_ms) {
  self->retry_at_ms = LK_PEER_NEVER;
  self->join_ref = send(self, topic_of(self), LK_LIT("phx_join"), true,
                        LK_LIT("{\"type\":\"gcounter\"}"));
  self->reply_by_ms = now_ms + LK_PEER_REPLY_MS;
  if (self->join_ref == 0) give_up(self, now_ms);
}

static void join_later(lk_peer *self, uint64_t now_ms) {
  enter(self, LK_PEER_JOINING);
  empty(self, &self->in_flight);
  self->join_ref = self->merge_ref = 0;
  self->reply_by_ms = LK_PEER_NEVER;
  self->retry_at_ms = now_ms + back_off(self);
}

/* The one rule of synchronisation; see the top. */
static void send_news(lk_peer *self, uint64_t now_ms) {
  lk_buf text;
  if (self->state != LK_PEER_JOINED || self->merge_ref != 0) return;
  LK_ASSERT(lk_gcounter_is_empty(&self->in_flight));
  lk_buf_init(&text, self->env->alloc, self->limits->ws_message_bytes);
  lk_err err = lk_gcounter_diff(&self->counter, &self->confirmed, &self->in_flight);
  if (err == LK_OK && lk_gcounter_is_empty(&self->in_flight)) {
    self->reply_by_ms = LK_PEER_NEVER;
    self->attempt = 0; /* the server has everything; a join alone would forgive too early */
    return;
  }
  if (err == LK_OK) err = lk_gcounter_encode_json(&self->in_flight, &text);
  if (err == LK_OK) {
    self->merge_ref = send(self, topic_of(self), LK_LIT("crdt.merge"), true, lk_buf_slice(&text));
    self->reply_by_ms = now_ms + LK_PEER_REPLY_MS;
  }
  lk_buf_deinit(&text);
  /* Without memory for it now there may be some after the back-off. */
  if (self->merge_ref == 0) give_up(self, now_ms);
}

static void beat(lk_peer *self, uint64_t now_ms) {
  self->heartbeat_ref = send(self, LK_LIT("phoenix"), LK_LIT("heartbeat"), false, LK_LIT("{}"));
  self->heartbeat_at_ms = now_ms + LK_PEER_HEARTBEAT_MS;
  if (self->heartbeat_ref == 0) give_up(self, now_ms);
}

/* ---- receiving ---- */

/* Takes in counts that the server holds durably: the members of |object|, whatever else is there. */
static lk_err take_counts(lk_peer *self, lk_slice object) {
  lk_gcounter news;
  bool changed = false;
  lk_gcounter_init(&news, self->env->alloc, self->limits);
  lk_err err = lk_gcounter_decode_json(&news, object);
  if (err == LK_OK) err = lk_gcounter_merge(&self->counter, &news, &changed);
  if (err == LK_OK) err = lk_gcounter_merge(&self->confirmed, &news, NULL);
  lk_gcounter_deinit(&news);
  count_pending(self);
  return err;
}

static lk_err on_join_reply(lk_peer *self, bool ok, lk_slice response, uint64_t now_ms) {
  if (!ok) {
    join_later(self, now_ms);
    return LK_OK;
  }
  empty(self, &self->confirmed);
  lk_err err = take_counts(self, response);
  if (err != LK_OK) return err;
  enter(self, LK_PEER_JOINED);
  lk_trace_emit(self->env, LK_TRACE_peer_joined, 0, 0, topic_of(self));
  send_news(self, now_ms);
  return LK_OK;
}

static lk_err on_merge_reply(lk_peer *self, bool ok, lk_slice response, uint64_t now_ms) {
  self->merge_ref = 0;
  /* Refused for a reason that is ours or the server's; the same bytes at once would be refused again. */
  if (!ok) return LK_ERR_STATE;
  lk_err err = lk_gcounter_merge(&self->confirmed, &self->in_flight, NULL);
  empty(self, &self->in_flight);
  if (err == LK_OK) err = take_counts(self, response);
  if (err != LK_OK) return err;
  self->attempt = 0;
  lk_trace_emit(self->env, LK_TRACE_peer_acked, 0, self->pending, topic_of(self));
  send_news(self, now_ms);
  return LK_OK;
}

static bool is_ref(lk_slice text, uint64_t ref) {
  uint8_t digits[REF_DIGITS_MAX];
  return ref != 0 && lk_slice_equal(text, digits_of(ref, digits));
}

static lk_err on_reply(lk_peer *self, const lk_message *m, uint64_t now_ms) {
  lk_json_member members[2] = { { .name = LK_LIT("status") }, { .name = LK_LIT("response") } };
  lk_json_reader in;
  lk_slice status;
  if (is_ref(m->ref, self->heartbeat_ref)) {
    self->heartbeat_ref = 0;
    return LK_OK;
  }
  bool to_join = self->state == LK_PEER_JOINING && is_ref(m->ref, self->join_ref);
  if (!to_join && !is_ref(m->ref, self->merge_ref)) return LK_OK;
  lk_err err = lk_json_reader_init(&in, m->payload, self->limits, &self->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, members, 2);
  if (err == LK_OK) err = lk_json_get_string(&members[0].value, &status);
  if (err == LK_OK && members[1].value.kind == LK_JSON_ABSENT) err = LK_ERR_PAYLOAD;
  if (err != LK_OK) return err;
  bool ok = lk_slice_equal(status, LK_LIT("ok"));
  return to_join ? on_join_reply(self, ok, members[1].raw, now_ms)
                 : on_merge_reply(self, ok, members[1].raw, now_ms);
}

static lk_err on_message(lk_peer *self, const lk_message *m, uint64_t now_ms) {
  if (lk_slice_equal(m->event, LK_LIT("phx_reply"))) return on_reply(self, m, now_ms);
  if (!lk_slice_equal(m->topic, topic_of(self))) return LK_OK;
  /* What was meant for an earlier joining of the topic. */
  if (m->join_ref.ptr != NULL && !is_ref(m->join_ref, self->join_ref)) return LK_OK;
  if (lk_slice_equal(m->event, LK_LIT("state_updated"))) {
    if (self->state != LK_PEER_JOINED) return LK_OK;
    lk_err err = take_counts(self, m->payload);
    if (err == LK_OK) send_news(self, now_ms);
    return err;
  }
  if (lk_slice_equal(m->event, LK_LIT("phx_error")) ||
      lk_slice_equal(m->event, LK_LIT("phx_close"))) {
    join_later(self, now_ms);
  }
  return LK_OK;
}

lk_err lk_peer_receive(lk_peer *self, lk_slice text, uint64_t now_ms) {
  lk_message m;
  if (self->state != LK_PEER_JOINING && self->state != LK_PEER_JOINED) return LK_OK;
  lk_arena_reset(&self->scratch);
  lk_err err = lk_message_decode_text(text, self->limits, &self->scratch, &m);
  if (err == LK_OK) err = on_message(self, &m, now_ms);
  if (err != LK_OK) give_up(self, now_ms);
  return err;
}

/* ---- what the host reports ---- */

void lk_peer_opened(lk_peer *self, uint64_t now_ms) {
  if (self->state != LK_PEER_CONNECTING || self->want_open) return;
  lk_trace_emit(self->env, LK_TRACE_peer_connected, self->attempt, 0, topic_of(self));
  enter(self, LK_PEER_JOINING);
  self->heartbeat_at_ms = now_ms + LK_PEER_HEARTBEAT_MS;
  join(self, now_ms);
}

void lk_peer_closed(lk_peer *self, uint64_t now_ms) {
  if (self->state == LK_PEER_IDLE || self->want_open) return;
  self->want_close = false;
  lose(self, now_ms);
}

void lk_peer_wake(lk_peer *self, uint64_t now_ms) {
  if (self->state == LK_PEER_IDLE) connect(self, now_ms);
}

lk_err lk_peer_increment(lk_peer *self, uint64_t amount, uint64_t now_ms) {
  lk_err err = lk_gcounter_increment(&self->counter, actor_of(self), amount);
  if (err != LK_OK) return err;
  count_pending(self);
  send_news(self, now_ms);
  return LK_OK;
}

void lk_peer_tick(lk_peer *self, uint64_t now_ms) {
  if (now_ms >= self->retry_at_ms) {
    if (self->state == LK_PEER_IDLE) connect(self, now_ms);
    else if (self->state == LK_PEER_JOINING) join(self, now_ms);
  }
  if (now_ms >= self->reply_by_ms) {
    LK_COVERED(peer_reply_overdue);
    give_up(self, now_ms);
  }
  if (now_ms >= self->heartbeat_at_ms) {
    if (self->heartbeat_ref != 0) give_up(self, now_ms);
    else beat(self, now_ms);
  }
}

uint64_t lk_peer_deadline(const lk_peer *self) {
  return lk_min_u64(self->retry_at_ms, lk_min_u64(self->reply_by_ms, self->heartbeat_at_ms));
}

bool lk_peer_poll(lk_peer *self, lk_peer_event *out) {
  *out = (lk_peer_event){ 0 };
  if (self->want_close) {
    self->want_close = false;
    out->kind = LK_PEER_CLOSE;
    return true;
  }
  if (self->want_open) {
    self->want_open = false;
    out->kind = LK_PEER_OPEN;
    return true;
  }
  if (lk_outbox_next(&self->output, &out->text)) {
    out->kind = LK_PEER_SEND;
    return true;
  }
  if (self->changed) {
    self->changed = false;
    out->kind = LK_PEER_CHANGED;
    return true;
  }
  return false;
}

/* ---- life ---- */

/*   saved := confirmed:varuint counter       how much of our own count the server had, then everything */
lk_err lk_peer_save(const lk_peer *self, lk_buf *out) {
  (void)lk_varuint_encode(out, lk_gcounter_count_of(&self->confirmed, actor_of(self)));
  return lk_gcounter_encode(&self->counter, out);
}

static lk_err restore(lk_peer *self, lk_slice saved) {
  uint64_t confirmed;
  lk_reader in = lk_reader_of(saved);
  lk_err err = lk_varuint_decode_canonical(&in, UINT64_MAX, &confirmed);
  if (err == LK_OK) err = lk_gcounter_decode(&self->counter, lk_reader_rest(&in));
  if (err != LK_OK || confirmed == 0) return err;
  if (confirmed > lk_gcounter_count_of(&self->counter, actor_of(self))) return LK_ERR_CORRUPT;
  return lk_gcounter_increment(&self->confirmed, actor_of(self), confirmed);
}

lk_err lk_peer_init(lk_peer *self, const lk_peer_options *options) {
  const lk_alloc *alloc = options->env->alloc;
  *self = (lk_peer){ .env = options->env, .limits = options->limits, .ref_next = 1 };
  lk_gcounter_init(&self->counter, alloc, self->limits);
  lk_gcounter_init(&self->confirmed, alloc, self->limits);
  lk_gcounter_init(&self->in_flight, alloc, self->limits);
  lk_buf_init(&self->topic, alloc, TOPIC_LEN_MAX);
  lk_outbox_init(&self->output, alloc, self->limits->ws_output_bytes);
  lk_arena_init(&self->scratch, alloc, (size_t)self->limits->json_bytes * 4);
  lk_prng_init(&self->jitter, options->entropy);
  self->retry_at_ms = self->reply_by_ms = self->heartbeat_at_ms = LK_PEER_NEVER;
  lk_err err = lk_crdt_check_actor(options->actor);
  if (err != LK_OK) return err;
  if (options->topic.len == 0 || options->topic.len > TOPIC_LEN_MAX) return LK_ERR_INVALID;
  self->actor_len = (uint32_t)options->actor.len;
  memcpy(self->actor, options->actor.ptr, options->actor.len);
  if ((err = lk_buf_append(&self->topic, options->topic)) != LK_OK) return err;
  if (options->restored.len > 0) {
    if ((err = restore(self, options->restored)) != LK_OK) return err;
  }
  count_pending(self);
  connect(self, options->now_ms);
  return LK_OK;
}

void lk_peer_deinit(lk_peer *self) {
  lk_gcounter_deinit(&self->counter);
  lk_gcounter_deinit(&self->confirmed);
  lk_gcounter_deinit(&self->in_flight);
  lk_buf_deinit(&self->topic);
  lk_outbox_deinit(&self->output);
  lk_arena_deinit(&self->scratch);
  *self = (lk_peer){ 0 };
}
