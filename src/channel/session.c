/* channel/session.c -- the table of Phoenix.Socket, as a machine.
 *
 * For each topic there is either nothing or one record: the number of the joining, its join_ref,
 * and whether the room has accepted it. What a message does:
 *
 *   message          topic unknown                        topic known
 *   phx_join         new record, JOIN                     old one LEAVE, new record, JOIN; when that is
 *                                                         answered: reply first, then phx_close
 *                                                         with the old join_ref
 *   phx_leave        reply ok                             stale: nothing; else reply ok, phx_close, LEAVE
 *   other            reply "unmatched topic", whose       stale: nothing; else MESSAGE
 *                    join_ref is null
 *   heartbeat on "phoenix": reply ok
 *
 * Stale means that the message names a join_ref and it is not the record's.
 *
 * Output waits in a bounded outbox, and a peer that does not read runs into the bound.
 *
 * Always: a record exists from the JOIN event until the LEAVE event or the refusal; channel
 * numbers only grow, so that an answer to a joining that is gone can be told from one that is not. */
#include "channel/session.h"

typedef struct channel_record {
  uint32_t number;
  bool accepted;
  uint8_t join_ref_len;
  bool has_join_ref;
  bool replaces; /* a phx_close for |old_join_ref| is due after the answer */
  uint8_t old_join_ref_len;
  bool old_has_join_ref;
  uint8_t join_ref[255];
  uint8_t old_join_ref[255];
} channel_record;

void lk_session_init(lk_session *self, const lk_alloc *alloc, const lk_limits *limits,
                     const uint64_t hash_seed[2]) {
  *self = (lk_session){ .alloc = alloc, .limits = limits, .channel_next = 1 };
  lk_map_init(&self->channels, alloc, sizeof(channel_record), limits->channel_topics_count,
              hash_seed);
  lk_arena_init(&self->scratch, alloc, (size_t)limits->json_bytes * 2);
  lk_outbox_init(&self->output, alloc, limits->ws_output_bytes);
}

void lk_session_deinit(lk_session *self) {
  lk_map_deinit(&self->channels);
  lk_arena_deinit(&self->scratch);
  lk_outbox_deinit(&self->output);
  *self = (lk_session){ 0 };
}

/* ---- output ---- */

lk_err lk_session_send(lk_session *self, lk_slice encoded) {
  size_t start = lk_outbox_begin(&self->output);
  return lk_outbox_end(&self->output, start, lk_buf_append(&self->output.bytes, encoded));
}

static lk_err send_message(lk_session *self, const lk_message *message) {
  size_t start = lk_outbox_begin(&self->output);
  return lk_outbox_end(&self->output, start, lk_message_encode_text(message, &self->output.bytes));
}

static lk_err send_reply(lk_session *self, lk_slice join_ref, lk_slice ref, lk_slice topic,
                         lk_slice status, lk_slice response) {
  if (ref.ptr == NULL) return LK_OK; /* nobody waits for it */
  lk_message message = { .join_ref = join_ref, .ref = ref, .topic = topic };
  size_t start = lk_outbox_begin(&self->output);
  return lk_outbox_end(&self->output, start,
                       lk_message_encode_reply(&message, status, response, &self->output.bytes));
}

/* Nobody answers to this topic: the one reply whose join_ref is null. */
static lk_err send_unmatched(lk_session *self, lk_slice topic, lk_slice ref) {
  return send_reply(self, LK_SLICE_EMPTY, ref, topic, LK_LIT("error"),
                    LK_LIT("{\"reason\":\"unmatched topic\"}"));
}

/* phx_close and phx_error carry the join_ref twice. */
static lk_err send_end(lk_session *self, lk_slice join_ref, lk_slice topic, lk_slice event,
                       lk_slice payload) {
  lk_message message = { join_ref, join_ref, topic, event, payload, false };
  return send_message(self, &message);
}

bool lk_session_next_output(lk_session *self, lk_slice *text) {
  return lk_outbox_next(&self->output, text);
}

/* ---- records ---- */

static lk_slice record_ref(const channel_record *r) {
  return r->has_join_ref ? lk_slice_of(r->join_ref, r->join_ref_len) : LK_SLICE_EMPTY;
}

static lk_slice record_old_ref(const channel_record *r) {
  return r->old_has_join_ref ? lk_slice_of(r->old_join_ref, r->old_join_ref_len) : LK_SLICE_EMPTY;
}

static void record_set_ref(channel_record *r, lk_slice join_ref) {
  LK_ASSERT(join_ref.len <= sizeof r->join_ref); /* the decoder bounds names */
  r->has_join_ref = join_ref.ptr != NULL;
  r->join_ref_len = (uint8_t)join_ref.len;
  if (join_ref.len > 0) memcpy(r->join_ref, join_ref.ptr, join_ref.len);
}

static bool is_stale(const channel_record *r, const lk_message *m) {
  return m->join_ref.ptr != NULL &&
         !(r->has_join_ref && lk_slice_equal(record_ref(r), m->join_ref));
}

static void emit(lk_session *self, lk_session_event event) {
  LK_ASSERT(self->event_count < LK_SESSION_EVENTS_MAX);
  self->events[self->event_count++] = event;
}

/* ---- what a message does ---- */

static lk_err on_join(lk_session *self, channel_record *record, const lk_message *m) {
  if (self->channel_next > LK_SESSION_CHANNEL_MAX) return LK_ERR_LIMIT;
  channel_record fresh = { .number = self->channel_next };
  if (record != NULL) {
    fresh.replaces = record->accepted;
    fresh.old_has_join_ref = record->has_join_ref;
    fresh.old_join_ref_len = record->join_ref_len;
    memcpy(fresh.old_join_ref, record->join_ref, record->join_ref_len);
    emit(self, (lk_session_event){ LK_SESSION_LEAVE, record->number, m->topic, LK_SLICE_EMPTY,
                                   LK_SLICE_EMPTY, LK_SLICE_EMPTY });
  } else {
    void *slot;
    bool is_new;
    lk_err err = lk_map_put(&self->channels, m->topic, &slot, &is_new);
    if (err == LK_ERR_LIMIT) {
      return send_reply(self, m->join_ref, m->ref, m->topic, LK_LIT("error"),
                        LK_LIT("{\"reason\":\"too many channels joined\"}"));
    }
    if (err != LK_OK) return err;
    record = slot;
  }
  record_set_ref(&fresh, m->join_ref);
  self->channel_next++;
  *record = fresh;
  emit(self,
       (lk_session_event){ LK_SESSION_JOIN, fresh.number, m->topic, m->event, m->ref, m->payload });
  return LK_OK;
}

static lk_err on_leave(lk_session *self, channel_record *record, const lk_message *m) {
  lk_err err;
  if (record == NULL) {
    return send_reply(self, m->join_ref, m->ref, m->topic, LK_LIT("ok"), LK_LIT("{}"));
  }
  if (is_stale(record, m)) return LK_OK;
  lk_slice join_ref = record_ref(record);
  err = send_reply(self, join_ref, m->ref, m->topic, LK_LIT("ok"), LK_LIT("{}"));
  if (err == LK_OK) err = send_end(self, join_ref, m->topic, LK_LIT("phx_close"), LK_LIT("{}"));
  if (err != LK_OK) return err;
  emit(self, (lk_session_event){ LK_SESSION_LEAVE, record->number, m->topic, LK_SLICE_EMPTY,
                                 LK_SLICE_EMPTY, LK_SLICE_EMPTY });
  (void)lk_map_remove(&self->channels, m->topic);
  return LK_OK;
}

static lk_err on_other(lk_session *self, channel_record *record, const lk_message *m) {
  if (record == NULL) {
    return send_unmatched(self, m->topic, m->ref);
  }
  if (is_stale(record, m)) return LK_OK;
  emit(self, (lk_session_event){ LK_SESSION_MESSAGE, record->number, m->topic, m->event, m->ref,
                                 m->payload });
  return LK_OK;
}

typedef lk_err (*handler)(lk_session *self, channel_record *record, const lk_message *m);

static handler handler_of(lk_slice event) {
  static const struct {
    lk_slice event;
    handler run;
  } rules[] = {
#define EVENT(name, text, run) { LK_LIT_INIT(text), run },
#include "channel/events.def"
#undef EVENT
  };
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
    if (lk_slice_equal(rules[i].event, event)) return rules[i].run;
  }
  return on_other;
}

lk_err lk_session_feed(lk_session *self, lk_slice text) {
  lk_message m;
  LK_ASSERT(self->event_next == self->event_count);
  self->event_count = self->event_next = 0;
  lk_arena_reset(&self->scratch);
  lk_err err = lk_message_decode_text(text, self->limits, &self->scratch, &m);
  if (err != LK_OK) return err;
  if (lk_slice_equal(m.topic, LK_LIT("phoenix")) && lk_slice_equal(m.event, LK_LIT("heartbeat"))) {
    return send_reply(self, LK_SLICE_EMPTY, m.ref, m.topic, LK_LIT("ok"), LK_LIT("{}"));
  }
  channel_record *record = lk_map_get(&self->channels, m.topic);
  return handler_of(m.event)(self, record, &m);
}

bool lk_session_poll(lk_session *self, lk_session_event *out) {
  if (self->event_next == self->event_count) return false;
  *out = self->events[self->event_next++];
  return true;
}

bool lk_session_end(lk_session *self, lk_session_event *out) {
  lk_slice topic;
  void *value;
  self->event_count = self->event_next = 0;
  if (!lk_map_next(&self->channels, &self->end_cursor, &topic, &value)) return false;
  *out = (lk_session_event){ .kind = LK_SESSION_LEAVE,
                             .topic = topic,
                             .channel = ((channel_record *)value)->number };
  return true;
}

/* ---- answers ---- */

/* The record of this very joining, or NULL where it is gone. */
static channel_record *find(lk_session *self, lk_slice topic, uint32_t channel) {
  channel_record *record = lk_map_get(&self->channels, topic);
  return record != NULL && record->number == channel ? record : NULL;
}

static lk_err answer_join(lk_session *self, channel_record *record, lk_slice topic, lk_slice ref,
                          lk_slice status, lk_slice response) {
  lk_err err = send_reply(self, record_ref(record), ref, topic, status, response);
  if (err == LK_OK && record->replaces) {
    err = send_end(self, record_old_ref(record), topic, LK_LIT("phx_close"), LK_LIT("{}"));
    record->replaces = false;
  }
  return err;
}

bool lk_session_has(lk_session *self, lk_slice topic, uint32_t channel) {
  return find(self, topic, channel) != NULL;
}

lk_err lk_session_accept(lk_session *self, lk_slice topic, uint32_t channel, lk_slice ref,
                         lk_slice response) {
  channel_record *record = find(self, topic, channel);
  if (record == NULL) return LK_OK;
  record->accepted = true;
  return answer_join(self, record, topic, ref, LK_LIT("ok"), response);
}

lk_err lk_session_refuse(lk_session *self, lk_slice topic, uint32_t channel, lk_slice ref,
                         lk_slice response) {
  channel_record *record = find(self, topic, channel);
  if (record == NULL) return LK_OK;
  lk_err err = answer_join(self, record, topic, ref, LK_LIT("error"), response);
  (void)lk_map_remove(&self->channels, topic);
  return err;
}

lk_err lk_session_unmatched(lk_session *self, lk_slice topic, uint32_t channel, lk_slice ref) {
  if (find(self, topic, channel) == NULL) return LK_OK;
  lk_err err = send_unmatched(self, topic, ref);
  (void)lk_map_remove(&self->channels, topic);
  return err;
}

lk_err lk_session_too_late(lk_session *self, lk_slice topic, lk_slice ref) {
  return send_unmatched(self, topic, ref);
}

lk_err lk_session_reply(lk_session *self, lk_slice topic, uint32_t channel, lk_slice ref,
                        lk_slice status, lk_slice response) {
  channel_record *record = find(self, topic, channel);
  if (record == NULL) return LK_OK;
  return send_reply(self, record_ref(record), ref, topic, status, response);
}

lk_err lk_session_push(lk_session *self, lk_slice topic, uint32_t channel, lk_slice event,
                       lk_slice payload) {
  channel_record *record = find(self, topic, channel);
  if (record == NULL) return LK_OK;
  lk_message message = { record_ref(record), LK_SLICE_EMPTY, topic, event, payload, false };
  return send_message(self, &message);
}

lk_err lk_session_crash(lk_session *self, lk_slice topic, uint32_t channel, lk_slice reason) {
  channel_record *record = find(self, topic, channel);
  if (record == NULL) return LK_OK;
  lk_buf payload;
  lk_buf_init(&payload, self->alloc, 1024);
  lk_buf_append(&payload, LK_LIT("{\"reason\":\""));
  lk_buf_append(&payload, reason);
  lk_err err = lk_buf_append(&payload, LK_LIT("\"}"));
  if (err == LK_OK) {
    err = send_end(self, record_ref(record), topic, LK_LIT("phx_error"), lk_buf_slice(&payload));
  }
  lk_buf_deinit(&payload);
  (void)lk_map_remove(&self->channels, topic);
  return err;
}
