/* peer/client.c -- puts a link, a diary and topics together; include/laniakea/client.h is its manual.
 *
 * Events are not queued: what there is to tell stands as flags where it belongs, and poll looks for them. So nothing can
 * overflow, and a host that polls late learns what is, not what was. */
#include "peer/client.h"

#include "codec/json_reader.h"

#define PENDING_COUNT_DEFAULT 65536u
#define PENDING_BYTES_DEFAULT (16u << 20)
#define SCRATCH_BYTES_MAX ((size_t)256 << 20)

static lk_topic *first_of(const lk_client *self) { return lk_client_topic_of(self->topics.first); }
static lk_topic *next_of(const lk_topic *topic) { return lk_client_topic_of(topic->link.next); }

/* ---- steps ---- */

/* Tells topics and the host what became of the link since the last time. */
static void note_link(lk_client *self) {
  lk_peer_link_state state = self->link.state;
  if (state == self->link_state) return;
  self->link_state = state;
  self->has_status = true;
  if (state == LK_PEER_LINK_ONLINE) return;
  for (lk_topic *t = first_of(self); t != NULL; t = next_of(t)) lk_topic_lost_link(t);
}

/* Nobody holds it, nothing waits, and it was not to be kept. */
static bool is_over(const lk_topic *topic) {
  return topic->holders == 0 && !topic->is_kept && lk_topic_pending(topic) == 0;
}

void lk_client_step(lk_client *self) {
  note_link(self);
  lk_keeping_write(&self->keeping);
  for (lk_topic *t = first_of(self), *next; t != NULL; t = next) {
    next = next_of(t);
    lk_topic_step(t, self->now_ms);
    if (is_over(t)) lk_client_remove_topic(self, t);
  }
  note_link(self); /* what could not be queued gave it up */
}

static void note_time(lk_client *self, uint64_t now_ms) {
  self->now_ms = lk_max_u64(self->now_ms, now_ms);
}

/* The storage was read: now there may be a connection. */
static void start_link(lk_client *self) {
  if (!self->is_ready || !self->wants_link) return;
  lk_peer_link_start(&self->link, self->now_ms);
}

/* ---- inputs ---- */

void lk_client_connect(lk_client *self, uint64_t now_ms) {
  note_time(self, now_ms);
  self->wants_link = true;
  start_link(self);
  lk_client_step(self);
}

void lk_client_disconnect(lk_client *self) {
  self->wants_link = false;
  lk_peer_link_stop(&self->link);
  lk_client_step(self);
}

void lk_client_wake(lk_client *self, uint64_t now_ms) {
  note_time(self, now_ms);
  lk_peer_link_wake(&self->link, self->now_ms);
  lk_client_step(self);
}

void lk_client_opened_on(lk_client *self, bool is_text, uint64_t now_ms) {
  note_time(self, now_ms);
  lk_peer_link_opened(&self->link, is_text, self->now_ms);
  lk_client_step(self);
}

void lk_client_opened(lk_client *self, uint64_t now_ms) {
  lk_client_opened_on(self, false, now_ms);
}

void lk_client_opened_as_text(lk_client *self, uint64_t now_ms) {
  lk_client_opened_on(self, true, now_ms);
}

void lk_client_closed(lk_client *self, uint32_t code, uint64_t hint_ms, uint64_t now_ms) {
  note_time(self, now_ms);
  lk_peer_link_closed(&self->link, code, hint_ms, self->now_ms);
  lk_client_step(self);
}

static lk_err receive(lk_client *self, lk_slice bytes, bool is_binary) {
  lk_frame frame;
  bool is_taken;
  lk_err err = lk_peer_link_receive(&self->link, bytes, is_binary, &self->scratch, self->now_ms,
                                    &frame, &is_taken);
  if (is_taken) return err;
  for (lk_topic *t = first_of(self); err == LK_OK && t != NULL; t = next_of(t))
    err = lk_topic_receive(t, &frame, self->now_ms);
  return err;
}

lk_err lk_client_receive(lk_client *self, lk_slice bytes, bool is_binary, uint64_t now_ms) {
  note_time(self, now_ms);
  uint32_t round_trip_ms = self->link.round_trip_ms;
  lk_err err = receive(self, bytes, is_binary);
  if (self->link.round_trip_ms != round_trip_ms) self->round_trip_ms = self->link.round_trip_ms;
  lk_arena_reset(&self->scratch);
  lk_buf_rest(&self->bytes, 65536);
  lk_client_step(self);
  return err;
}

lk_err lk_client_set_token(lk_client *self, lk_slice token, uint64_t life_ms, uint64_t now_ms) {
  note_time(self, now_ms);
  lk_err err = lk_peer_link_set_token(&self->link, token, life_ms, self->now_ms);
  for (lk_topic *t = first_of(self); err == LK_OK && t != NULL; t = next_of(t)) {
    if (t->is_blocked || t->channel.state == LK_PEER_CHANNEL_REFUSED)
      lk_topic_retry(t, self->now_ms);
  }
  lk_client_step(self);
  return err;
}

void lk_client_no_token(lk_client *self, uint64_t now_ms) {
  note_time(self, now_ms);
  lk_peer_link_no_token(&self->link, self->now_ms);
  lk_client_step(self);
}

void lk_client_stored(lk_client *self, uint64_t now_ms) {
  note_time(self, now_ms);
  lk_keeping_advance(&self->keeping);
  start_link(self);
  lk_client_step(self);
}

void lk_client_tick(lk_client *self, uint64_t now_ms) {
  note_time(self, now_ms);
  lk_keeping_tick(&self->keeping, self->now_ms);
  lk_peer_link_tick(&self->link, self->now_ms);
  note_link(self);
  for (lk_topic *t = first_of(self); t != NULL; t = next_of(t)) lk_topic_tick(t, self->now_ms);
  lk_client_step(self);
}

uint64_t lk_client_deadline(const lk_client *self) {
  uint64_t at = lk_min_u64(lk_peer_link_deadline(&self->link), lk_keeping_deadline(&self->keeping));
  for (lk_topic *t = first_of(self); t != NULL; t = next_of(t))
    at = lk_min_u64(at, lk_topic_deadline(t));
  return at;
}

/* ---- outputs ---- */

static bool poll_link(lk_client *self, lk_client_event *out) {
  static const lk_client_event_kind kinds[] = { [LK_PEER_LINK_TOKEN] = LK_CLIENT_TOKEN,
                                                [LK_PEER_LINK_OPEN] = LK_CLIENT_CONNECT,
                                                [LK_PEER_LINK_SEND] = LK_CLIENT_SEND,
                                                [LK_PEER_LINK_CLOSE] = LK_CLIENT_HANG_UP };
  lk_peer_link_event event;
  if (!lk_peer_link_poll(&self->link, &event)) return false;
  *out = (lk_client_event){ .kind = kinds[event.kind],
                            .is_binary = event.is_binary,
                            .bytes = event.bytes };
  return true;
}

static bool take_flag(bool *flag) {
  bool was = *flag;
  *flag = false;
  return was;
}

static bool poll_topics(lk_client *self, lk_client_event *out) {
  for (lk_topic *t = first_of(self); t != NULL; t = next_of(t)) {
    if (t->holders == 0) continue;
    out->topic = t;
    out->kind = LK_CLIENT_CHANGED;
    if (take_flag(&t->has_changed)) return true;
    out->kind = LK_CLIENT_STATUS;
    if (take_flag(&t->has_status)) return true;
  }
  return false;
}

bool lk_client_poll(lk_client *self, lk_client_event *out) {
  *out = (lk_client_event){ 0 };
  if (poll_link(self, out)) return true;
  if (self->is_ready && !self->has_told_ready) {
    self->has_told_ready = true;
    out->kind = LK_CLIENT_READY;
    return true;
  }
  if (poll_topics(self, out)) return true;
  *out = (lk_client_event){ .kind = LK_CLIENT_STATUS };
  return take_flag(&self->has_status);
}

static uint64_t count_unsaved(const lk_client *self) {
  uint64_t count = 0;
  for (lk_topic *t = first_of(self); t != NULL; t = next_of(t)) {
    if (!t->is_kept) continue;
    count += t->missed.count - t->missed.safe;
    const lk_backlog_entry *e = lk_backlog_first(&t->backlog);
    for (; e != NULL; e = lk_backlog_next(e))
      count += e->record == 0 || e->record > self->keeping.durable;
  }
  return count;
}

void lk_client_get_status(const lk_client *self, lk_client_status *out) {
  static const lk_client_state states[] = { [LK_PEER_LINK_OFFLINE] = LK_CLIENT_OFFLINE,
                                            [LK_PEER_LINK_CONNECTING] = LK_CLIENT_CONNECTING,
                                            [LK_PEER_LINK_ONLINE] = LK_CLIENT_ONLINE };
  const lk_client_status status = { .size = out->size,
                                    .state = states[self->link.state],
                                    .storage = self->keeping.trouble,
                                    .pending_count = self->pending_count,
                                    .pending_bytes = self->pending_bytes,
                                    .unsaved_count = count_unsaved(self),
                                    .acknowledged_ms = self->acknowledged_ms,
                                    .round_trip_ms = self->round_trip_ms };
  LK_ASSERT(out->size >= sizeof status);
  *out = status;
}

/* ---- topics ---- */

lk_topic *lk_client_find_topic(const lk_client *self, lk_slice name) {
  for (lk_topic *t = first_of(self); t != NULL; t = next_of(t)) {
    if (lk_slice_equal(lk_buf_slice(&t->name), name)) return t;
  }
  return NULL;
}

lk_err lk_client_add_topic(lk_client *self, lk_slice name, uint8_t kind, lk_topic **out) {
  lk_err err = lk_topic_make(self, name, kind, out);
  if (err == LK_OK) lk_list_push_last(&self->topics, &(*out)->link);
  return err;
}

void lk_client_count_pending(lk_client *self) {
  self->pending_count = self->pending_bytes = 0;
  for (lk_topic *t = first_of(self); t != NULL; t = next_of(t)) {
    self->pending_count += lk_topic_pending(t);
    self->pending_bytes += t->backlog.bytes;
  }
  self->has_status = true;
}

void lk_client_remove_topic(lk_client *self, lk_topic *topic) {
  lk_list_remove(&self->topics, &topic->link);
  lk_keeping_give_up(&self->keeping, topic);
  lk_topic_free(topic);
  lk_client_count_pending(self);
}

lk_err lk_client_open_topic(lk_client *self, lk_slice name, uint32_t kind, lk_topic_keeping keeping,
                            bool hears_presence, uint64_t now_ms, lk_topic **out) {
  lk_topic *topic = lk_client_find_topic(self, name);
  bool is_plain = kind == LK_TOPIC_PLAIN;
  const lk_topic_type *type;
  note_time(self, now_ms);
  lk_err err = lk_topic_type_of(kind, &type);
  if (err != LK_OK) return err;
  if (!self->is_ready) return LK_ERR_STATE;
  if (name.len == 0 || name.len > LK_DIARY_TOPIC_MAX) return LK_ERR_INVALID;
  if (topic != NULL && topic->kind != kind) return LK_ERR_TYPE;
  if (topic == NULL) {
    err = lk_client_add_topic(self, name, (uint8_t)kind, &topic);
    if (err != LK_OK) return err;
  }
  bool can_keep = self->keeping.state != LK_KEEPING_NONE && self->keeping.state != LK_KEEPING_LOST;
  if (keeping == LK_TOPIC_KEPT && can_keep && !is_plain && !topic->is_kept) {
    topic->is_kept = true;
    topic->records.owes_topic = topic->records.owes_state = true;
    /* Its name goes into the diary with what was made under it, unless that has left this device already. */
    topic->uses_kept_name = topic->holders == 0 && topic->backlog.last == 0;
  }
  topic->holders++;
  topic->has_changed = topic->has_status = true;
  *out = topic;
  if (hears_presence) lk_topic_hear_presence(topic, self->now_ms);
  lk_client_step(self);
  return LK_OK;
}

lk_err lk_client_open_crdt(lk_client *self, lk_slice name, lk_crdt_kind kind,
                           lk_topic_keeping keeping, uint64_t now_ms, lk_topic **out) {
  if (kind == LK_TOPIC_DOC || kind == LK_TOPIC_PLAIN) return LK_ERR_UNKNOWN_TYPE;
  return lk_client_open_topic(self, name, (uint32_t)kind, keeping, false, now_ms, out);
}

lk_err lk_client_open_doc(lk_client *self, lk_slice name, lk_topic_keeping keeping, uint64_t now_ms,
                          lk_topic **out) {
  return lk_client_open_topic(self, name, LK_TOPIC_DOC, keeping, false, now_ms, out);
}

lk_err lk_client_open_plain(lk_client *self, lk_slice name, uint64_t now_ms, lk_topic **out) {
  return lk_client_open_topic(self, name, LK_TOPIC_PLAIN, LK_TOPIC_MEMORY, false, now_ms, out);
}

void lk_topic_close(lk_topic *self, uint64_t now_ms) {
  if (self == NULL) return;
  lk_client *client = self->client;
  LK_ASSERT(self->holders > 0);
  note_time(client, now_ms);
  self->holders--;
  lk_client_step(client);
}

lk_slice lk_topic_name(const lk_topic *self) { return lk_buf_slice(&self->name); }

lk_err lk_topic_value(const lk_topic *self, lk_slice path, lk_buf *out) {
  if (self->crdt != NULL) return lk_crdt_value(self->crdt, path, out);
  return self->doc != NULL ? lk_doc_json(self->doc, out) : LK_ERR_TYPE;
}

const lk_crdt *lk_topic_crdt(const lk_topic *self) { return self->crdt; }
lk_doc *lk_topic_doc(lk_topic *self) { return self->doc; }

void lk_topic_changed(lk_topic *self, uint64_t now_ms) {
  note_time(self->client, now_ms);
  lk_client_step(self->client);
}

lk_err lk_topic_may_change(const lk_topic *self) {
  return lk_client_is_full(self->client) ? LK_ERR_BACKLOG : LK_OK;
}

void lk_topic_get_status(const lk_topic *self, lk_topic_status *out) {
  const lk_peer_channel *channel = &self->channel;
  lk_topic_status status = { .size = out->size,
                             .state = LK_TOPIC_AWAY,
                             .reason = lk_peer_channel_reason(channel),
                             .pending_count = lk_topic_pending(self),
                             .level = self->level,
                             .profile = lk_slice_of(self->profile, self->profile_len),
                             .is_read_only = self->is_read_only,
                             .is_kept = lk_topic_is_kept_now(self),
                             .changes = self->backlog.last,
                             .recorded = lk_topic_recorded(self),
                             .acknowledged = lk_topic_acknowledged(self) };
  LK_ASSERT(out->size >= sizeof status);
  if (channel->state == LK_PEER_CHANNEL_IN) status.state = LK_TOPIC_JOINED;
  if (self->is_blocked || channel->state == LK_PEER_CHANNEL_REFUSED)
    status.state = LK_TOPIC_REFUSED;
  *out = status;
}

/* A replica of nothing under a new name, in place of the one that there is; that one stays where there is no memory. */
static lk_err empty(lk_topic *topic) {
  lk_crdt *crdt = topic->crdt;
  lk_doc *doc = topic->doc;
  topic->crdt = NULL;
  topic->doc = NULL;
  lk_err err = topic->type->init(topic);
  lk_crdt *new_crdt = topic->crdt;
  lk_doc *new_doc = topic->doc;
  topic->crdt = crdt;
  topic->doc = doc;
  if (err != LK_OK) return err;
  topic->type->deinit(topic);
  topic->crdt = new_crdt;
  topic->doc = new_doc;
  lk_topic_draw_names(topic);
  return LK_OK;
}

lk_err lk_topic_start_anew(lk_topic *self, uint64_t now_ms) {
  lk_client *client = self->client;
  note_time(client, now_ms);
  lk_err err = empty(self);
  if (err != LK_OK) return err;
  lk_keeping_give_up(&client->keeping, self);
  lk_backlog_ack(&self->backlog, self->backlog.last);
  lk_client_count_pending(client);
  self->generation.len = 0;
  self->missed = (lk_topic_missed){ 0 };
  self->uses_kept_name = self->is_kept;
  self->records.owes_drop = self->records.is_known;
  self->records.owes_topic = self->records.owes_state = self->is_kept;
  self->records.rewrite = LK_TOPIC_REWRITTEN;
  self->is_blocked = true; /* so that it joins again, with nothing */
  self->has_changed = true;
  lk_topic_retry(self, client->now_ms);
  lk_client_step(client);
  return LK_OK;
}

/* ---- life ---- */

static lk_err check_capabilities(lk_client *self, lk_slice json) {
  lk_json_reader in;
  lk_json_event event;
  if (json.len == 0) return LK_OK;
  if (lk_json_check(json, &self->limits, NULL) != LK_OK) return LK_ERR_INVALID;
  lk_err err = lk_json_reader_init(&in, json, &self->limits, &self->scratch);
  if (err == LK_OK) err = lk_json_next(&in, &event);
  lk_arena_reset(&self->scratch);
  return err != LK_OK || event.kind != LK_JSON_OBJECT_BEGIN ? LK_ERR_INVALID : LK_OK;
}

static lk_err keep_capabilities(lk_client *self, lk_slice json) {
  lk_buf kept;
  lk_err err = check_capabilities(self, json);
  if (err != LK_OK) return err;
  lk_buf_init(&kept, self->env->alloc, self->limits.ws_message_bytes / 4);
  err = lk_buf_append(&kept, json);
  if (err != LK_OK) {
    lk_buf_deinit(&kept);
    return err;
  }
  lk_buf_deinit(&self->capabilities);
  self->capabilities = kept;
  return LK_OK;
}

lk_err lk_client_set_capabilities(lk_client *self, lk_slice json, uint64_t now_ms) {
  note_time(self, now_ms);
  lk_err err = keep_capabilities(self, json);
  for (lk_topic *t = first_of(self); err == LK_OK && t != NULL; t = next_of(t))
    t->owes_capabilities = true; /* a join says them anyway */
  lk_client_step(self);
  return err;
}

void lk_client_watch(lk_client *self, const lk_client_watcher *watcher) {
  self->watcher = watcher != NULL ? *watcher : (lk_client_watcher){ 0 };
}

/* The storage is asked last: what has begun there must end before a client may. */
static void begin_keeping(lk_client *self, lk_storage *storage) {
  uint8_t salt[LK_SEGMENT_SALT_LEN];
  lk_prng_fill(&self->names, salt, sizeof salt);
  lk_keeping_init(&self->keeping, self, storage, salt);
}

static void init(lk_client *self, const lk_client_options *options) {
  const lk_alloc *alloc = self->env->alloc;
  lk_prng entropy;
  lk_prng_init(&entropy, options->entropy[0]);
  lk_prng_split(&entropy, options->entropy[1], &self->names);
  const lk_peer_link_options link = { .env = self->env,
                                      .limits = &self->limits,
                                      .entropy = lk_prng_u64(&entropy),
                                      .uses_token = options->uses_token };
  lk_peer_link_init(&self->link, &link);
  lk_arena_init(&self->scratch, alloc, SCRATCH_BYTES_MAX);
  lk_buf_init(&self->bytes, alloc, self->limits.doc_update_bytes);
  lk_buf_init(&self->text, alloc, SCRATCH_BYTES_MAX);
  self->round_trip_ms = UINT32_MAX;
  self->pending_count_max = options->pending_count_max > 0 ? options->pending_count_max
                                                           : PENDING_COUNT_DEFAULT;
  self->pending_bytes_max = options->pending_bytes_max > 0 ? options->pending_bytes_max
                                                           : PENDING_BYTES_DEFAULT;
}

lk_err lk_client_open_limited(const lk_env *env, const lk_limits *limits,
                              const lk_client_options *options, lk_client **out) {
  lk_client *self = lk_alloc_bytes(env->alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  memset(self, 0, sizeof *self);
  self->env = env;
  self->limits = *limits;
  init(self, options);
  lk_err err = keep_capabilities(self, options->capabilities);
  if (err != LK_OK) {
    lk_client_close(self);
    return err;
  }
  begin_keeping(self, options->storage);
  *out = self;
  return LK_OK;
}

lk_err lk_client_open(const lk_env *env, const lk_client_options *options, lk_client **out) {
  lk_limits limits = lk_limits_default();
  /* What the server says of a large object is longer than what it takes of us at once. */
  limits.json_bytes = limits.ws_send_bytes;
  return lk_client_open_limited(env, &limits, options, out);
}

bool lk_client_is_busy(const lk_client *self) {
  return self->keeping.storage != NULL && lk_journal_is_busy(&self->keeping.journal);
}

void lk_client_close(lk_client *self) {
  if (self == NULL) return;
  const lk_alloc *alloc = self->env->alloc;
  while (first_of(self) != NULL) lk_client_remove_topic(self, first_of(self));
  lk_keeping_deinit(&self->keeping);
  lk_peer_link_deinit(&self->link);
  lk_arena_deinit(&self->scratch);
  lk_buf_deinit(&self->bytes);
  lk_buf_deinit(&self->text);
  lk_buf_deinit(&self->capabilities);
  lk_free_bytes(alloc, self, sizeof *self);
}
