/* peer/topic.c -- what objects and documents have in common: when to join, what to send, what a reply means.
 *
 * One rule sends: in the topic, and nothing under way, and nothing refused: first the flush that the join asked for, as soon as all
 * changes in it may leave this device; then changes of the backlog that may, as many as go into one message.
 *
 * Always: |flush| is of the joining that there is; |flight| too. Both die with it, and the backlog stays. */
#include "peer/topic.h"

#include "base/trace.h"
#include "codec/hex.h"
#include "codec/json_reader.h"
#include "peer/client.h"

#define GATHER_MAX 256  /* changes in one message */
#define FRAME_ROOM 1024 /* of a message, for all but the payload */

size_t lk_topic_payload_max(const lk_topic *self) {
  size_t most = self->client->limits.ws_message_bytes;
  return most - lk_min_size(most, FRAME_ROOM);
}

/* ---- what the client adds up ---- */

static void count_pending(lk_topic *self, uint64_t count, size_t bytes) {
  lk_client *client = self->client;
  client->pending_count = client->pending_count + lk_topic_pending(self) - count;
  client->pending_bytes = client->pending_bytes + self->backlog.bytes - bytes;
  client->has_status = self->has_status = true;
}

void lk_topic_note_change(lk_topic *self, lk_slice bytes, bool waits) {
  uint64_t count = lk_topic_pending(self);
  size_t had = self->backlog.bytes;
  lk_backlog_entry *entry;
  lk_err err = bytes.len > 0 ? lk_backlog_add(&self->backlog, bytes, waits && self->is_kept, &entry)
                             : LK_ERR_NOMEM;
  if (err != LK_OK) {
    LK_COVERED(topic_misses_a_change);
    self->backlog.last++;
    if (self->missed.count++ == 0) self->missed.first = self->backlog.last;
    self->records.state = 0;
    lk_keeping_owe(&self->client->keeping, self);
  }
  count_pending(self, count, had);
}

void lk_topic_note_news(lk_topic *self, lk_slice bytes) {
  const lk_client_watcher *watcher = &self->client->watcher;
  self->has_changed = true;
  if (bytes.len > 0) lk_keeping_note_news(&self->client->keeping, self, bytes);
  else lk_keeping_owe(&self->client->keeping, self);
  if (watcher->news != NULL && self->holders > 0) watcher->news(watcher->ctx, self, bytes);
}

/* What is acknowledged before it was recorded stands in no record then: it is in the replica. */
static void owe_what_was_not_recorded(lk_topic *self, uint64_t number) {
  const lk_backlog_entry *e = lk_backlog_first(&self->backlog);
  for (; e != NULL && e->number <= number; e = lk_backlog_next(e)) {
    if (e->record == 0) lk_keeping_owe(&self->client->keeping, self);
  }
}

void lk_topic_note_acked(lk_topic *self, uint64_t number, uint32_t missed, uint64_t now_ms) {
  uint64_t count = lk_topic_pending(self);
  size_t bytes = self->backlog.bytes;
  owe_what_was_not_recorded(self, number);
  lk_backlog_ack(&self->backlog, number);
  self->missed.count -= missed;
  self->missed.safe -= lk_min_u32(missed, self->missed.safe);
  if (lk_topic_pending(self) == count) return;
  self->client->acknowledged_ms = now_ms;
  count_pending(self, count, bytes);
  lk_trace_emit(self->client->env, LK_TRACE_peer_acked, count - lk_topic_pending(self),
                lk_topic_pending(self), lk_buf_slice(&self->name));
}

void lk_topic_note_flush(lk_topic *self) {
  self->flush_to = self->backlog.last;
  self->missed.flush = self->missed.count;
}

void lk_topic_note_level(lk_topic *self, lk_slice level) {
  const lk_slice known[] = { LK_LIT("durable"), LK_LIT("memory") };
  for (size_t i = 0; i < 2; i++) {
    if (!lk_slice_equal(level, known[i])) continue;
    if (!lk_slice_equal(self->level, level)) self->has_status = true;
    self->level = known[i];
  }
}

void lk_topic_note_profile(lk_topic *self, lk_slice profile) {
  if (profile.len == 0 || profile.len > LK_TOPIC_PROFILE_MAX) return;
  memcpy(self->profile, profile.ptr, profile.len);
  self->profile_len = (uint32_t)profile.len;
  self->has_status = true;
}

void lk_topic_block(lk_topic *self, lk_slice reason) {
  LK_COVERED(topic_is_blocked);
  lk_peer_channel_set_reason(&self->channel, reason);
  self->is_blocked = self->has_status = true;
}

/* ---- what may leave this device ---- */

static bool is_safe(const lk_topic *self, const lk_backlog_entry *entry) {
#ifdef LK_BUG_PEER_SEND_EARLY /* planted for the simulator, which must find it: sim/README.md */
  (void)self;
  (void)entry;
  return true;
#else
  if (!entry->waits || !self->is_kept) return true;
  return entry->record != 0 && entry->record <= self->client->keeping.durable;
#endif
}

bool lk_topic_may_send(const lk_topic *self, uint64_t number) {
  const lk_backlog_entry *e = lk_backlog_first(&self->backlog);
  for (; e != NULL && e->number <= number; e = lk_backlog_next(e)) {
    if (!is_safe(self, e)) return false;
  }
  return true;
}

/* ---- sending ---- */

static void end_flight(lk_topic *self) {
  self->flight = (lk_topic_flight){ .by_ms = LK_CLIENT_NEVER };
}

static void forget_joining(lk_topic *self) {
  end_flight(self);
  self->capabilities_ref = 0;
  lk_buf_rest(&self->flush, 0);
  lk_buf_truncate(&self->flush, 0);
}

static void rejoin(lk_topic *self, uint64_t hint_ms, uint64_t now_ms) {
  forget_joining(self);
  lk_peer_channel_rejoin(&self->channel, hint_ms, now_ms);
  self->has_status = true;
}

static void send(lk_topic *self, lk_slice payload, uint64_t to, bool is_flush, uint64_t now_ms) {
  uint64_t ref = lk_peer_channel_push(&self->channel, self->type->event, payload, true, now_ms);
  if (ref == 0) return;     /* the link was given up: everybody will hear of it */
#ifdef LK_BUG_PEER_ACK_SENT /* planted for the simulator, which must find it: sim/README.md */
  lk_topic_note_acked(self, to, 0, now_ms);
#endif
  self->flight = (lk_topic_flight){ .ref = ref,
                                    .to = to,
                                    .by_ms = now_ms + LK_TOPIC_REPLY_MS,
                                    .sent_ms = now_ms,
                                    .missed = is_flush ? self->missed.flush : 0 };
}

/* As many changes as may go into one message, from the front. */
static size_t choose(const lk_topic *self, lk_slice changes[GATHER_MAX], uint64_t *to) {
  size_t count = 0, len = 0;
  const lk_backlog_entry *e = lk_backlog_first(&self->backlog);
  for (; e != NULL && count < GATHER_MAX && is_safe(self, e); e = lk_backlog_next(e)) {
    if (count > 0 &&
        (e->len > lk_topic_payload_max(self) / 2 || len > lk_topic_payload_max(self) / 2 - e->len))
      break;
    len += e->len;
    changes[count++] = lk_slice_of(e->bytes, e->len);
    *to = e->number;
  }
  return count;
}

static void send_changes(lk_topic *self, uint64_t now_ms) {
  lk_slice changes[GATHER_MAX];
  uint64_t to = 0;
  lk_buf *bytes = &self->client->bytes;
  size_t count = choose(self, changes, &to);
  if (count == 0) return;
  if (count == 1) {
    send(self, changes[0], to, false, now_ms);
    return;
  }
  lk_buf_truncate(bytes, 0);
  lk_err err = self->type->gather(self, changes, count, bytes);
  if (err == LK_OK && bytes->len <= lk_topic_payload_max(self))
    send(self, lk_buf_slice(bytes), to, false, now_ms);
  else send(self, changes[0], lk_backlog_first(&self->backlog)->number, false, now_ms);
  lk_buf_rest(bytes, 65536);
}

static void send_next(lk_topic *self, uint64_t now_ms) {
  if (self->channel.state != LK_PEER_CHANNEL_IN || self->flight.ref != 0 || self->is_blocked)
    return;
  if (self->flush.len > 0) {
    if (!lk_topic_may_send(self, self->flush_to)) return;
    send(self, lk_buf_slice(&self->flush), self->flush_to, true, now_ms);
    lk_buf_rest(&self->flush, 0);
    lk_buf_truncate(&self->flush, 0);
    return;
  }
  send_changes(self, now_ms);
}

/* ---- joining ---- */

static lk_err write_params(lk_topic *self, lk_buf *out) {
  lk_json_writer w;
  lk_buf_truncate(out, 0);
  lk_json_writer_init(&w, out);
  (void)lk_json_begin_object(&w);
  lk_err err = self->type->write_params(self, &w);
  if (self->hears_presence) {
    (void)lk_json_write_key(&w, LK_LIT("presence"));
    (void)lk_json_write_raw(&w, LK_LIT("{}"));
  }
  if (self->client->capabilities.len > 0) {
    (void)lk_json_write_key(&w, LK_LIT("capabilities"));
    (void)lk_json_write_raw(&w, lk_buf_slice(&self->client->capabilities));
  }
  (void)lk_json_end_object(&w);
  lk_err ended = lk_json_writer_finish(&w);
  return err != LK_OK ? err : ended;
}

static void join(lk_topic *self, uint64_t now_ms) {
  lk_buf *text = &self->client->text;
  self->owes_capabilities = false;
  if (write_params(self, text) == LK_OK)
    lk_peer_channel_join(&self->channel, lk_buf_slice(text), now_ms);
  else lk_peer_link_give_up(&self->client->link, now_ms); /* memory: later */
  lk_buf_rest(text, 65536);
}

/* A change that is in no backlog leaves with what a join finds missing: once it can not be forgotten. */
static void find_missed(lk_topic *self, uint64_t now_ms) {
  const lk_topic_records *r = &self->records;
  bool is_safe_now = !self->is_kept ||
                     (!r->owes_state && r->state != 0 && r->state <= self->client->keeping.durable);
  if (self->missed.safe == self->missed.count || !is_safe_now) return;
  self->missed.safe = self->missed.count;
  if (self->channel.state == LK_PEER_CHANNEL_IN) rejoin(self, 0, now_ms);
}

/* They are others than the join told. */
static void tell_capabilities(lk_topic *self, uint64_t now_ms) {
  lk_slice json = lk_buf_slice(&self->client->capabilities);
  if (!self->owes_capabilities || self->channel.state != LK_PEER_CHANNEL_IN) return;
  self->owes_capabilities = false;
  self->capabilities_ref = lk_peer_channel_push(&self->channel, LK_LIT("capabilities"),
                                                json.len > 0 ? json : LK_LIT("{}"), false, now_ms);
}

void lk_topic_step(lk_topic *self, uint64_t now_ms) {
  bool is_wanted = self->holders > 0 || lk_topic_pending(self) > 0;
  if (is_wanted) lk_peer_channel_enter(&self->channel, now_ms);
  else if (self->channel.state != LK_PEER_CHANNEL_OUT) {
    lk_peer_channel_leave(&self->channel, now_ms);
    forget_joining(self);
  }
  find_missed(self, now_ms);
  if (lk_peer_channel_is_due(&self->channel, now_ms)) join(self, now_ms);
  tell_capabilities(self, now_ms);
  send_next(self, now_ms);
}

void lk_topic_retry(lk_topic *self, uint64_t now_ms) {
  bool was_blocked = self->is_blocked;
  self->is_blocked = false;
  lk_peer_channel_calm(&self->channel);
  lk_peer_channel_forgive(&self->channel, now_ms);
  if (was_blocked && self->channel.state == LK_PEER_CHANNEL_IN) rejoin(self, 0, now_ms);
  self->has_status = true;
}

void lk_topic_hear_presence(lk_topic *self, uint64_t now_ms) {
  if (self->hears_presence) return;
  self->hears_presence = true;
  rejoin(self, 0, now_ms); /* if it is in, or about to be */
  lk_client_step(self->client);
}

void lk_topic_lost_link(lk_topic *self) {
  forget_joining(self);
  if (lk_peer_channel_lost_link(&self->channel)) self->has_status = true;
}

void lk_topic_tick(lk_topic *self, uint64_t now_ms) {
  lk_peer_channel_tick(&self->channel, now_ms);
  if (now_ms < self->flight.by_ms) return;
  LK_COVERED(topic_reply_overdue);
  rejoin(self, 0, now_ms);
}

uint64_t lk_topic_deadline(const lk_topic *self) {
  return lk_min_u64(lk_peer_channel_deadline(&self->channel), self->flight.by_ms);
}

/* ---- receiving ---- */

/* The text that is called |name|; empty where there is none. */
static lk_slice read_text(lk_topic *self, const lk_message *m, lk_slice name) {
  lk_json_member member = { .name = name };
  lk_json_reader in;
  if (m->binary) return LK_SLICE_EMPTY;
  lk_err err = lk_json_reader_init(&in, m->payload, &self->client->limits, &self->client->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, &member, 1);
  return err == LK_OK && member.value.kind == LK_JSON_STRING ? member.value.text : LK_SLICE_EMPTY;
}

static void take_refusal(lk_topic *self, const lk_message *m, uint64_t now_ms) {
  lk_slice reason = LK_SLICE_EMPTY;
  uint64_t hint_ms = 0;
  if (!m->binary)
    lk_peer_read_refusal(m->payload, &self->client->limits, &self->client->scratch, &reason,
                         &hint_ms);
  if (lk_peer_is_final(reason)) {
    end_flight(self);
    lk_topic_block(self, reason);
    return;
  }
  rejoin(self, hint_ms, now_ms);
}

static uint64_t ref_of(lk_slice digits) {
  uint64_t ref = 0;
  for (size_t i = 0; i < digits.len; i++) ref = ref * 10 + (uint64_t)(digits.ptr[i] - '0');
  return ref;
}

/* What is not for the replica is for who opened the topic. */
static void tell(lk_topic *self, const lk_frame *frame) {
  const lk_client_watcher *watcher = &self->client->watcher;
  const lk_message *m = &frame->message;
  const lk_client_message message = { .is_reply = frame->is_reply,
                                      .ref = frame->is_reply ? ref_of(m->ref) : 0,
                                      .status = frame->status,
                                      .event = m->event,
                                      .payload = m->payload,
                                      .is_binary = m->binary };
  if (watcher->heard != NULL && self->holders > 0) watcher->heard(watcher->ctx, self, &message);
}

static void on_answer(lk_topic *self, const lk_frame *frame, uint64_t now_ms) {
  lk_client *client = self->client;
  lk_topic_flight flight = self->flight;
  client->round_trip_ms = (uint32_t)lk_min_u64(now_ms - flight.sent_ms, UINT32_MAX - 1);
  if (!lk_slice_equal(frame->status, LK_LIT("ok"))) {
    take_refusal(self, &frame->message, now_ms);
    return;
  }
  end_flight(self);
  lk_topic_note_level(self, read_text(self, &frame->message, LK_LIT("level")));
  lk_topic_note_acked(self, flight.to, flight.missed, now_ms);
  if (self->type->acked != NULL) self->type->acked(self);
  lk_peer_channel_calm(&self->channel);
  lk_peer_link_calm(&client->link);
}

static void on_reply(lk_topic *self, const lk_frame *frame, uint64_t now_ms) {
  lk_slice ref = frame->message.ref;
  if (lk_peer_link_is_ref(ref, self->flight.ref)) on_answer(self, frame, now_ms);
  else if (lk_peer_link_is_ref(ref, self->capabilities_ref))
    lk_topic_note_profile(self, read_text(self, &frame->message, LK_LIT("profile")));
  else tell(self, frame);
}

static lk_err on_event(lk_topic *self, const lk_frame *frame) {
  bool is_used = false;
  lk_err err = self->type->heard(self, &frame->message, &is_used);
  if (!is_used) tell(self, frame);
  return err;
}

static lk_err on_joined(lk_topic *self, const lk_message *m, uint64_t now_ms) {
  forget_joining(self);
  self->has_status = true;
  lk_err err = self->type->joined(self, m, now_ms);
  /* A difference that no message holds: change by change, then. */
  if (self->flush.len > lk_topic_payload_max(self)) {
    LK_COVERED(topic_flush_is_too_long);
    lk_buf_rest(&self->flush, 0);
    lk_buf_truncate(&self->flush, 0);
  }
  return err;
}

lk_err lk_topic_receive(lk_topic *self, const lk_frame *frame, uint64_t now_ms) {
  lk_err err = LK_OK;
  if (!lk_slice_equal(frame->message.topic, lk_buf_slice(&self->name))) return LK_OK;
  switch (lk_peer_channel_receive(&self->channel, frame, &self->client->scratch, now_ms)) {
  case LK_PEER_CHANNEL_NOTHING: break;
  case LK_PEER_CHANNEL_JOINED: err = on_joined(self, &frame->message, now_ms); break;
  case LK_PEER_CHANNEL_TURNED: self->has_status = true; break;
  case LK_PEER_CHANNEL_LOST:
    forget_joining(self);
    self->has_status = true;
    break;
  case LK_PEER_CHANNEL_REPLY: on_reply(self, frame, now_ms); break;
  case LK_PEER_CHANNEL_EVENT: err = on_event(self, frame); break;
  }
  if (err == LK_ERR_DOT) return LK_OK; /* it is blocked, and says so */
  /* What the server said makes no sense, or there was no memory for it: it says it again to who joins again. */
  if (err != LK_OK) rejoin(self, 0, now_ms);
  return err;
}

/* ---- life ---- */

static void draw_name(lk_topic *self, uint8_t name[LK_TOPIC_ACTOR_LEN]) {
  uint8_t bytes[LK_TOPIC_ACTOR_LEN / 2];
  lk_store_be64(bytes, lk_prng_u64(&self->client->names));
  lk_hex_store(name, lk_slice_of(bytes, sizeof bytes));
}

void lk_topic_draw_names(lk_topic *self) {
  draw_name(self, self->kept_name);
  draw_name(self, self->own_name);
}

lk_err lk_topic_make(lk_client *client, lk_slice name, uint8_t kind, lk_topic **out) {
  const lk_topic_type *type;
  lk_err err = lk_topic_type_of(kind, &type);
  if (err != LK_OK) return err;
  lk_topic *self = lk_alloc_bytes(client->env->alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  memset(self, 0, sizeof *self);
  self->client = client;
  self->kind = kind;
  self->type = type;
  lk_buf_init(&self->name, client->env->alloc, LK_DIARY_TOPIC_MAX);
  lk_buf_init(&self->flush, client->env->alloc, client->limits.doc_update_bytes);
  lk_backlog_init(&self->backlog, client->env->alloc);
  end_flight(self);
  lk_topic_draw_names(self);
  err = lk_buf_append(&self->name, name);
  if (err == LK_OK) err = self->type->init(self);
  if (err != LK_OK) {
    lk_topic_free(self);
    return err;
  }
  lk_peer_channel_init(&self->channel, &client->link, lk_buf_slice(&self->name));
  *out = self;
  return LK_OK;
}

void lk_topic_free(lk_topic *self) {
  if (self == NULL) return;
  const lk_alloc *alloc = self->client->env->alloc;
  self->type->deinit(self);
  lk_backlog_deinit(&self->backlog);
  lk_buf_deinit(&self->flush);
  lk_buf_deinit(&self->name);
  lk_free_bytes(alloc, self, sizeof *self);
}
