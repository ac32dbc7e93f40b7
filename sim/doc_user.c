/* sim/doc_user.c -- a tab, the provider in it, and whoever types.
 *
 *   tab opens ── start: the replica that was saved, under a new client id, as editors do; or an empty one
 *   tab closes ─ save, stop: replica and what was not acknowledged come back later
 *   tab dies ─── stop: what nobody else has is gone with it
 *
 * A provider of Phoenix keeps each change until it is acknowledged, and sends all of them again when it has joined. One of
 * y-protocols is told nothing, and compares state vectors instead. Where the room says that the document began again, the
 * replica is thrown away: a real one would be kept as a copy. */
#include "channel/awareness.h"
#include "channel/message.h"
#include "channel/y_sync.h"
#include "codec/base64.h"
#include "codec/json_bytes.h"
#include "codec/json_reader.h"
#include "codec/utf.h"
#include "codec/varint.h"
#include "room/doc_payload.h"
#include "sim/doc_world.h"

#define TRY_AGAIN_MS 2000
#define BEAT_MS 30000
#define CONNECT_MS 10000
#define SILENT_MS 50000
#define SYNC_MS 5000
#define SCRATCH_MAX ((size_t)64 << 20)
#define SHOWN_MAX 4096

static doc_user *of(sim_node *node) { return (doc_user *)node; }

static uint64_t now_of(const doc_user *self) { return sim_node_now_ms(&self->node); }
static sim_world *world_of(const doc_user *self) { return self->world->world; }
static const lk_alloc *alloc_of(const doc_user *self) { return world_of(self)->alloc; }
static doc_ledger *ledger_of(doc_user *self) { return &self->world->ledgers[self->topic]; }

/* What must work on the simulator's own memory, and with a server that is ours. */
static void expect(doc_user *self, lk_err err, const char *what) {
  if (err != LK_OK)
    sim_world_fail(world_of(self), "%s: %s: %s", self->node.name, what, lk_err_name(err));
}

/* ---- the replica ---- */

static void on_update(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  doc_user *self = ctx;
  (void)doc;
  (void)origin;
  if (local) (void)lk_buf_append(&self->local, update);
}

static void open_replica(doc_user *self) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = lk_prng_u64(&self->node.prng) >> 32;
  options.seed[0] = lk_prng_u64(&self->node.prng);
  expect(self, lk_doc_open(&self->node.env, &options, &self->doc), "opens");
  expect(self, lk_doc_root(self->doc, LK_LIT("text"), LK_NODE_TEXT, &self->text), "has a text");
  expect(self, lk_doc_root(self->doc, LK_LIT("map"), LK_NODE_MAP, &self->map), "has a map");
  expect(self, lk_awareness_open(&self->node.env, options.client, now_of(self), &self->here),
         "shows itself");
  if (self->has_saved)
    expect(self, lk_doc_load(self->doc, LK_UPDATE_V1, lk_buf_slice(&self->saved), 0), "loads");
  expect(self, lk_doc_on_update(self->doc, LK_UPDATE_V1, on_update, self, NULL), "observes");
}

static void close_replica(doc_user *self) {
  lk_doc_close(self->doc);
  lk_awareness_close(self->here);
  self->doc = NULL;
  self->here = NULL;
}

static void forget_pending(doc_user *self, uint32_t at) {
  lk_buf_deinit(&self->pending[at].update);
  self->pending_count--;
  for (uint32_t i = at; i < self->pending_count; i++) self->pending[i] = self->pending[i + 1];
}

/* Nothing of the replica is left. */
static void lose_replica(doc_user *self) {
  while (self->pending_count > 0) forget_pending(self, self->pending_count - 1);
  doc_ledger_replica_gone(ledger_of(self), self->number);
  self->has_saved = self->is_dirty = self->was_acked = false;
  self->generation[0] = 0;
  self->replicas++;
}

static void renew_replica(doc_user *self) {
  lose_replica(self);
  close_replica(self);
  open_replica(self);
}

/* ---- sending ---- */

static void send_bytes(doc_user *self, char kind, lk_slice bytes) {
  lk_buf message;
  lk_buf_init(&message, alloc_of(self), SIZE_MAX / 2);
  lk_buf_append_u8(&message, (uint8_t)kind);
  expect(self, lk_buf_append(&message, bytes), "sends");
  sim_net_send(&self->world->net, self->end, lk_buf_slice(&message));
  lk_buf_deinit(&message);
}

static lk_slice number_text(uint64_t number, char text[24]) {
  int len = snprintf(text, 24, "%llu", (unsigned long long)number);
  return lk_slice_of(text, (size_t)len);
}

static void append_name(lk_buf *out, lk_slice name) {
  (void)lk_buf_append(out, LK_LIT("\""));
  (void)lk_buf_append(out, name);
  (void)lk_buf_append(out, LK_LIT("\","));
}

/* [join_ref, ref, topic, event, payload]; gives the ref. */
static uint64_t push_text(doc_user *self, lk_slice topic, const char *event, lk_slice payload) {
  char digits[24];
  lk_buf out;
  uint64_t ref = self->ref_next++;
  lk_buf_init(&out, alloc_of(self), SIZE_MAX / 2);
  if (lk_slice_equal(lk_slice_cstr(event), LK_LIT("phx_join"))) self->join_ref = ref;
  (void)lk_buf_append(&out, LK_LIT("["));
  append_name(&out, number_text(self->join_ref, digits));
  append_name(&out, number_text(ref, digits));
  append_name(&out, topic);
  append_name(&out, lk_slice_cstr(event));
  (void)lk_buf_append(&out, payload);
  expect(self, lk_buf_append(&out, LK_LIT("]")), "pushes");
  send_bytes(self, 't', lk_buf_slice(&out));
  lk_buf_deinit(&out);
  return ref;
}

/* The frame of a client: 0, four lengths, four names, bytes. */
static uint64_t push_frame(doc_user *self, const char *event, lk_slice bytes) {
  char join_ref[24], digits[24];
  lk_buf out;
  uint64_t ref = self->ref_next++;
  lk_slice names[4] = { number_text(self->join_ref, join_ref), number_text(ref, digits),
                        doc_topic(self->topic), lk_slice_cstr(event) };
  lk_buf_init(&out, alloc_of(self), SIZE_MAX / 2);
  lk_buf_append_u8(&out, 0);
  for (unsigned i = 0; i < 4; i++) lk_buf_append_u8(&out, (uint8_t)names[i].len);
  for (unsigned i = 0; i < 4; i++) (void)lk_buf_append(&out, names[i]);
  expect(self, lk_buf_append(&out, bytes), "pushes");
  send_bytes(self, 'b', lk_buf_slice(&out));
  lk_buf_deinit(&out);
  return ref;
}

static void append_dressed(lk_buf *out, doc_wire wire, lk_slice bytes) {
  if (wire == DOC_WIRE_ARRAY) {
    (void)lk_buf_append(out, LK_LIT("{\"bin\":"));
    (void)lk_json_append_bytes(out, bytes);
    (void)lk_buf_append(out, LK_LIT("}"));
    return;
  }
  (void)lk_buf_append(out, LK_LIT("{\"b64\":\""));
  (void)lk_base64_encode(out, bytes, LK_BASE64_FORM_STANDARD);
  (void)lk_buf_append(out, LK_LIT("\"}"));
}

/* Bytes as this wire has them; gives the ref. */
static uint64_t push_bytes(doc_user *self, const char *event, lk_slice bytes) {
  lk_buf payload;
  if (self->wire == DOC_WIRE_BINARY) return push_frame(self, event, bytes);
  lk_buf_init(&payload, alloc_of(self), SIZE_MAX / 2);
  append_dressed(&payload, self->wire, bytes);
  uint64_t ref = push_text(self, doc_topic(self->topic), event, lk_buf_slice(&payload));
  lk_buf_deinit(&payload);
  return ref;
}

static void send_y(doc_user *self, lk_y_kind kind, lk_slice body) {
  lk_buf message;
  lk_buf_init(&message, alloc_of(self), SIZE_MAX / 2);
  expect(self, lk_y_message_encode(kind, body, &message), "says");
  send_bytes(self, 'b', lk_buf_slice(&message));
  lk_buf_deinit(&message);
}

/* What the replica has beyond |vector|. */
static void encode_beyond(doc_user *self, lk_slice vector, lk_buf *out) {
  lk_buf_init(out, alloc_of(self), SIZE_MAX / 2);
  expect(self, lk_doc_encode(self->doc, LK_UPDATE_V1, vector, out), "encodes");
}

static void encode_vector(doc_user *self, lk_buf *out) {
  lk_buf_init(out, alloc_of(self), SIZE_MAX / 2);
  expect(self, lk_doc_state_vector(self->doc, out), "encodes its vector");
}

static void send_pending(doc_user *self, doc_pending *p) {
  p->epoch = ledger_of(self)->epoch;
  p->ref = push_bytes(self, "client_update", lk_buf_slice(&p->update));
}

static void send_again(doc_user *self) {
  for (uint32_t i = 0; i < self->pending_count; i++) {
    if (self->pending[i].ref == 0) send_pending(self, &self->pending[i]);
  }
}

static void send_awareness(doc_user *self, lk_slice update) {
  if (update.len == 0 || !self->is_joined) return;
  if (self->wire == DOC_WIRE_Y) send_y(self, LK_Y_AWARENESS, update);
  else (void)push_bytes(self, "awareness", update);
}

/* After each call of |here| that may have changed something of its own. */
static void tell_changes(doc_user *self) {
  lk_buf update;
  lk_buf_init(&update, alloc_of(self), SIZE_MAX / 2);
  expect(self, lk_awareness_encode_changed(self->here, &update), "tells");
  send_awareness(self, lk_buf_slice(&update));
  lk_buf_deinit(&update);
}

static void show_itself(doc_user *self) {
  char state[32];
  int len = snprintf(state, sizeof state, "{\"n\":%u}", (unsigned)lk_prng_below(&self->prng, 1000));
  expect(self, lk_awareness_set_local(self->here, lk_slice_of(state, (size_t)len), now_of(self)),
         "shows a state");
  tell_changes(self);
}

/* ---- joining ---- */

static void forget_refs(doc_user *self) {
  for (uint32_t i = 0; i < self->pending_count; i++) self->pending[i].ref = 0;
  self->is_joined = false;
  self->sync_ref = 0;
}

static const char *const encodings[] = { "array", "base64", "binary", "" };

/* {"state_vector":...} without its end. */
static void append_vector(doc_user *self, lk_buf *out) {
  lk_buf vector;
  encode_vector(self, &vector);
  (void)lk_buf_append(out, LK_LIT("{\"encoding\":\""));
  (void)lk_buf_append(out, lk_slice_cstr(encodings[self->wire]));
  (void)lk_buf_append(out, LK_LIT("\",\"state_vector\":"));
  append_dressed(out, self->wire, lk_buf_slice(&vector));
  lk_buf_deinit(&vector);
}

static void join(doc_user *self) {
  lk_buf params;
  forget_refs(self); /* answers to what was sent before belong to another join */
  lk_buf_init(&params, alloc_of(self), SIZE_MAX / 2);
  append_vector(self, &params);
  if (self->generation[0] != 0) {
    (void)lk_buf_append(&params, LK_LIT(",\"generation\":\""));
    (void)lk_buf_append(&params, lk_slice_cstr(self->generation));
    (void)lk_buf_append(&params, LK_LIT("\""));
  }
  expect(self, lk_buf_append(&params, LK_LIT("}")), "joins");
  (void)push_text(self, doc_topic(self->topic), "phx_join", lk_buf_slice(&params));
  lk_buf_deinit(&params);
  self->next_try_ms = SIM_NEVER;
}

static void join_y(doc_user *self) {
  lk_buf bytes;
  self->is_joined = true;
  encode_vector(self, &bytes);
  send_y(self, LK_Y_SYNC_STEP1, lk_buf_slice(&bytes));
  lk_buf_deinit(&bytes);
  show_itself(self);
  self->next_try_ms = SIM_NEVER;
}

static void ask_to_sync(doc_user *self) {
  lk_buf params;
  lk_buf_init(&params, alloc_of(self), SIZE_MAX / 2);
  append_vector(self, &params);
  expect(self, lk_buf_append(&params, LK_LIT("}")), "syncs");
  self->sync_ref = push_text(self, doc_topic(self->topic), "sync", lk_buf_slice(&params));
  lk_buf_deinit(&params);
}

/* ---- the connection ---- */

static void set_alarm(doc_user *self) {
  uint64_t at = lk_min_u64(self->next_try_ms, self->beat_at_ms);
  if (self->here != NULL) at = lk_min_u64(at, lk_awareness_deadline(self->here));
  sim_node_wake_at(&self->node, at);
}

static uint64_t draw_later(doc_user *self) {
  return now_of(self) + 1 + lk_prng_below(&self->prng, TRY_AGAIN_MS);
}

static void lose(doc_user *self) {
  forget_refs(self);
  self->end = SIM_END_NONE;
  self->is_open = false;
  self->join_ref = self->beat_ref = 0;
  self->beat_at_ms = SIM_NEVER;
  self->next_try_ms = self->is_online ? draw_later(self) : SIM_NEVER;
}

static void give_up(doc_user *self) {
  sim_net_close(&self->world->net, self->end);
  lose(self);
}

/* ---- what the server says ---- */

static void apply(doc_user *self, lk_slice update) {
  expect(self, lk_doc_apply(self->doc, LK_UPDATE_V1, update, 0), "cannot apply what it was sent");
}

static void acked(doc_user *self, uint32_t at) {
  doc_pending *p = &self->pending[at];
  doc_ledger *ledger = ledger_of(self);
  if (p->epoch == ledger->epoch) {
    for (uint32_t i = 0; i < p->typed_count; i++) doc_ledger_acked(ledger, p->typed[i]);
    for (uint32_t i = 0; i < p->deleted_count; i++)
      doc_ledger_deletion_acked(ledger, p->deleted[i]);
  }
  self->was_acked = true;
  forget_pending(self, at);
}

/* It was refused, and with reason: what it has will never be anybody else's. */
static void on_refused(doc_user *self, lk_slice reason) {
  bool is_final = lk_slice_equal(reason, LK_LIT("read_only")) ||
                  lk_slice_equal(reason, LK_LIT("replica_refused"));
  self->refusals++;
  if (is_final && self->may_write)
    sim_world_fail(world_of(self), "refused: %s may write and was told %.*s", self->node.name,
                   (int)reason.len, (const char *)reason.ptr);
  if (is_final) return;
  forget_refs(self); /* a trouble of the server's */
  self->next_try_ms = draw_later(self);
}

static void apply_dressed(doc_user *self, lk_slice raw) {
  lk_buf bytes;
  lk_buf_init(&bytes, alloc_of(self), SIZE_MAX / 2);
  lk_err err = raw.ptr[0] == '[' ? lk_json_parse_bytes(raw, &bytes)
                                 : lk_base64_decode(&bytes, lk_slice_of(raw.ptr + 1, raw.len - 2),
                                                    LK_BASE64_FORM_STANDARD);
  expect(self, err, "reads bytes of the history");
  if (err == LK_OK) apply(self, lk_buf_slice(&bytes));
  lk_buf_deinit(&bytes);
}

static void apply_history(doc_user *self, lk_slice history, lk_arena *scratch) {
  lk_json_reader in;
  lk_json_event event;
  lk_slice raw;
  lk_err err = lk_json_reader_init(&in, history, &self->limits, scratch);
  if (err == LK_OK) err = lk_json_next(&in, &event);
  while (err == LK_OK && (err = lk_json_skip_value(&in, &raw)) == LK_OK) apply_dressed(self, raw);
  if (err != LK_ERR_END) expect(self, err, "reads the history");
}

/* Sends what the room lacks. */
static void give_rest(doc_user *self, lk_slice raw) {
  lk_buf vector, update;
  lk_buf_init(&vector, alloc_of(self), SIZE_MAX / 2);
  lk_err err = raw.ptr[0] == '[' ? lk_json_parse_bytes(raw, &vector)
                                 : lk_base64_decode(&vector, lk_slice_of(raw.ptr + 1, raw.len - 2),
                                                    LK_BASE64_FORM_STANDARD);
  expect(self, err, "reads the room's vector");
  encode_beyond(self, lk_buf_slice(&vector), &update);
  bool is_empty = update.len == 2; /* no structs, no deletions */
  if (!is_empty) (void)push_bytes(self, "client_update", lk_buf_slice(&update));
  lk_buf_deinit(&vector);
  lk_buf_deinit(&update);
}

static void take_state(doc_user *self, lk_slice response, lk_arena *scratch, bool is_join) {
  lk_json_member members[] = { { .name = LK_LIT("history") },
                               { .name = LK_LIT("state_vector") },
                               { .name = LK_LIT("generation") } };
  lk_json_reader in;
  lk_slice generation = LK_SLICE_EMPTY;
  lk_buf before, after;
  lk_err err = lk_json_reader_init(&in, response, &self->limits, scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, members, 3);
  if (err == LK_OK && is_join) err = lk_json_get_string(&members[2].value, &generation);
  if (err == LK_OK && is_join && generation.len != DOC_GENERATION_LEN) err = LK_ERR_PAYLOAD;
  expect(self, err, "reads what it was answered");
  if (err != LK_OK) return;
  encode_beyond(self, LK_SLICE_EMPTY, &before);
  apply_history(self, members[0].raw, scratch);
  encode_beyond(self, LK_SLICE_EMPTY, &after);
  bool is_news = !lk_slice_equal(lk_buf_slice(&before), lk_buf_slice(&after));
  if (!is_join && is_news && !doc_server_lags(&self->world->server, self->end))
    sim_world_fail(world_of(self), "missed: %s was in, and had not been told of everything",
                   self->node.name);
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
  if (is_join && !lk_slice_equal(generation, lk_slice_cstr(self->generation))) {
    self->was_acked = false;
    memcpy(self->generation, generation.ptr, DOC_GENERATION_LEN);
    self->generation[DOC_GENERATION_LEN] = 0;
  }
  if (self->may_write || self->is_dirty) give_rest(self, members[1].raw);
}

static lk_slice reason_of(doc_user *self, lk_slice response, lk_arena *scratch) {
  lk_json_member member = { .name = LK_LIT("reason") };
  lk_json_reader in;
  lk_slice reason = LK_SLICE_EMPTY;
  lk_err err = lk_json_reader_init(&in, response, &self->limits, scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, &member, 1);
  if (err == LK_OK) err = lk_json_get_string(&member.value, &reason);
  return err == LK_OK ? reason : LK_SLICE_EMPTY;
}

static void on_diverged(doc_user *self) {
  if (self->topic == DOC_KEPT && self->was_acked)
    sim_world_fail(world_of(self), "lost: %s had been acknowledged, and is told that it diverged",
                   self->node.name);
  renew_replica(self);
}

static void on_join_reply(doc_user *self, bool ok, lk_slice response, lk_arena *scratch) {
  if (ok) {
    self->is_joined = true;
    take_state(self, response, scratch,
               true); /* what the room lacks goes first: the rest may need it */
    send_again(self);
    show_itself(self);
    return;
  }
  lk_slice reason = reason_of(self, response, scratch);
  if (lk_slice_equal(reason, LK_LIT("diverged"))) on_diverged(self);
  /* Somebody may write it again, or the page is loaded again. */
  if (lk_slice_equal(reason, LK_LIT("unseeded")) && lk_prng_below(&self->prng, 4) == 0)
    renew_replica(self);
  self->next_try_ms = draw_later(self);
}

static bool is_ref(lk_slice text, uint64_t ref) {
  char digits[24];
  return ref != 0 && lk_slice_equal(text, number_text(ref, digits));
}

static void on_reply(doc_user *self, const lk_message *m, lk_arena *scratch) {
  lk_json_member members[2] = { { .name = LK_LIT("status") }, { .name = LK_LIT("response") } };
  lk_json_reader in;
  lk_slice status = LK_SLICE_EMPTY;
  lk_err err = lk_json_reader_init(&in, m->payload, &self->limits, scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, members, 2);
  if (err == LK_OK) err = lk_json_get_string(&members[0].value, &status);
  expect(self, err, "reads a reply");
  if (err != LK_OK) return;
  bool ok = lk_slice_equal(status, LK_LIT("ok"));
  if (is_ref(m->ref, self->beat_ref)) {
    self->beat_ref = 0;
  } else if (!self->is_joined && is_ref(m->ref, self->join_ref)) {
    on_join_reply(self, ok, members[1].raw, scratch);
  } else if (is_ref(m->ref, self->sync_ref)) {
    self->sync_ref = 0;
    if (ok) take_state(self, members[1].raw, scratch, false);
    self->is_synced = self->is_synced || ok;
  } else {
    uint32_t at = 0;
    while (at < self->pending_count && !is_ref(m->ref, self->pending[at].ref)) at++;
    if (!ok) on_refused(self, reason_of(self, members[1].raw, scratch));
    else if (at < self->pending_count) acked(self, at);
  }
}

static void on_awareness(doc_user *self, lk_slice update) {
  expect(self, lk_awareness_apply(self->here, update, now_of(self)), "cannot read awareness");
  uint64_t clock;
  size_t count;
  const lk_awareness_event *events = lk_awareness_events(self->here, &count);
  bool is_own = false;
  for (size_t i = 0; i < count; i++)
    is_own = is_own || events[i].client == lk_doc_client(self->doc);
  /* Who hears that it is gone says that it is not. */
  if (is_own && lk_awareness_clock(self->here, lk_doc_client(self->doc), &clock)) {
    uint64_t client = lk_doc_client(self->doc);
    lk_buf out;
    lk_buf_init(&out, alloc_of(self), SIZE_MAX / 2);
    expect(self, lk_awareness_encode_clients(self->here, &client, 1, &out), "contradicts");
    send_awareness(self, lk_buf_slice(&out));
    lk_buf_deinit(&out);
  }
}

static void on_bytes(doc_user *self, lk_slice event, lk_slice bytes) {
  if (lk_slice_equal(event, LK_LIT("server_update"))) apply(self, bytes);
  else if (lk_slice_equal(event, LK_LIT("awareness"))) on_awareness(self, bytes);
  else sim_world_fail(world_of(self), "%s got bytes that it does not know", self->node.name);
}

static bool is_bytes(lk_slice event) {
  return lk_slice_equal(event, LK_LIT("server_update")) ||
         lk_slice_equal(event, LK_LIT("awareness"));
}

static void on_text(doc_user *self, const lk_message *m, lk_arena *scratch) {
  if (m->join_ref.ptr != NULL && !is_ref(m->join_ref, self->join_ref)) return;
  if (lk_slice_equal(m->event, LK_LIT("phx_reply"))) {
    on_reply(self, m, scratch);
  } else if (lk_slice_equal(m->event, LK_LIT("phx_error")) ||
             lk_slice_equal(m->event, LK_LIT("phx_close"))) {
    forget_refs(self);
    self->next_try_ms = draw_later(self);
  } else if (is_bytes(m->event)) {
    lk_slice bytes;
    lk_buf buf;
    lk_buf_init(&buf, alloc_of(self), SIZE_MAX / 2);
    lk_doc_payload in = { &self->limits, scratch, &buf, LK_SLICE_EMPTY };
    lk_err err = lk_doc_payload_read(&in, m->payload, false, &bytes);
    expect(self, err, "reads an update");
    if (err == LK_OK && self->is_joined) on_bytes(self, m->event, bytes);
    lk_buf_deinit(&buf);
  } else if (!lk_slice_starts_with(m->event, LK_LIT("presence_"))) {
    sim_world_fail(world_of(self), "%s got an event that it does not know: %.*s", self->node.name,
                   (int)m->event.len, (const char *)m->event.ptr);
  }
}

/* Frames of a server: 0 push (join_ref, topic, event), 1 reply, 2 broadcast (topic, event). */
static void on_frame(doc_user *self, lk_slice bytes) {
  static const unsigned counts[] = { 3, 4, 2 };
  unsigned kind = bytes.len > 0 ? bytes.ptr[0] : 3;
  lk_slice names[4] = { LK_SLICE_EMPTY };
  if (kind > 2 || kind == 1 || bytes.len < 1 + counts[kind]) {
    sim_world_fail(world_of(self), "%s got no frame", self->node.name);
    return;
  }
  size_t at = 1 + counts[kind];
  for (unsigned i = 0; i < counts[kind]; i++) {
    names[i] = lk_slice_of(bytes.ptr + at, bytes.ptr[1 + i]);
    at += bytes.ptr[1 + i];
  }
  if (at > bytes.len) {
    sim_world_fail(world_of(self), "%s got a frame that is cut", self->node.name);
    return;
  }
  if (kind == 0 && names[0].len > 0 && !is_ref(names[0], self->join_ref)) return;
  if (self->is_joined) on_bytes(self, names[counts[kind] - 1], lk_slice_skip(bytes, at));
}

/* A reader has what the room has not, and cannot give it. In memory the document may have begun again, of which y-protocols has
 * no words: the page is loaded anew some day. On disk it has heard of nothing that could be lost. */
static void note_surplus(doc_user *self) {
  if (self->topic == DOC_KEPT && !self->is_dirty)
    sim_world_fail(world_of(self), "lost: %s was told what the server does not have",
                   self->node.name);
  self->is_dirty = true;
  if (!self->is_resting) return;
  renew_replica(self);
  give_up(self);
}

/* The clock of |client| in |vector|; 0 where it has none. */
static uint64_t clock_in(lk_slice vector, uint64_t client) {
  lk_reader in = lk_reader_of(vector);
  uint64_t count = 0, other = 0, clock = 0;
  lk_err err = lk_varuint_decode(&in, UINT32_MAX, &count);
  for (; err == LK_OK && count > 0; count--) {
    err = lk_varuint_decode(&in, UINT64_MAX, &other);
    if (err == LK_OK) err = lk_varuint_decode(&in, UINT64_MAX, &clock);
    if (err == LK_OK && other == client) return clock;
  }
  return 0;
}

/* Whether the replica shows something that is beyond |vector|. What waits for other updates is in no vector: both may have it. */
static bool has_more(doc_user *self, lk_slice vector) {
  lk_buf own;
  uint64_t count = 0, client = 0, clock = 0;
  bool more = false;
  encode_vector(self, &own);
  lk_reader in = lk_reader_of(lk_buf_slice(&own));
  lk_err err = lk_varuint_decode(&in, UINT32_MAX, &count);
  for (; err == LK_OK && !more && count > 0; count--) {
    err = lk_varuint_decode(&in, UINT64_MAX, &client);
    if (err == LK_OK) err = lk_varuint_decode(&in, UINT64_MAX, &clock);
    more = err == LK_OK && clock > clock_in(vector, client);
  }
  expect(self, err, "reads its own vector");
  lk_buf_deinit(&own);
  return more;
}

static void answer_step1(doc_user *self, lk_slice vector) {
  lk_buf update;
  bool is_beyond = has_more(self, vector);
  encode_beyond(self, vector, &update);
  send_y(self, LK_Y_SYNC_STEP2, lk_buf_slice(&update));
  lk_buf_deinit(&update);
  if (is_beyond && !self->may_write) note_surplus(self);
}

static void on_y_message(doc_user *self, const lk_y_message *m) {
  switch (m->kind) {
  case LK_Y_SYNC_STEP1: answer_step1(self, m->body); return;
  case LK_Y_SYNC_STEP2: self->is_synced = self->is_resting; /* fallthrough */
  case LK_Y_UPDATE: apply(self, m->body); return;
  case LK_Y_AWARENESS: on_awareness(self, m->body); return;
  case LK_Y_QUERY_AWARENESS: show_itself(self); return;
  case LK_Y_AUTH_DENIED: on_refused(self, m->body); return;
  case LK_Y_KINDS: break;
  }
  LK_UNREACHABLE();
}

static void on_y(doc_user *self, lk_slice bytes) {
  for (lk_reader in = lk_reader_of(bytes); lk_reader_left(&in) > 0 && !world_of(self)->failed;) {
    lk_y_message m;
    lk_err err = lk_y_message_decode(&in, &m);
    expect(self, err, "reads a message of y-protocols");
    if (err != LK_OK) return;
    on_y_message(self, &m);
  }
}

/* ---- what the node is told ---- */

static void start(sim_node *node) {
  doc_user *self = of(node);
  self->end = SIM_END_NONE;
  self->is_open = self->is_joined = false;
  self->beat_at_ms = SIM_NEVER;
  open_replica(self);
  lose(self);
  set_alarm(self);
}

static void stop(sim_node *node) {
  doc_user *self = of(node);
  close_replica(self);
  forget_refs(self);
  self->end = SIM_END_NONE;
  self->is_open = false;
}

static void try_again(doc_user *self) {
  self->next_try_ms = now_of(self) + CONNECT_MS;
  if (self->end == SIM_END_NONE && self->is_online)
    self->end = sim_net_connect(&self->world->net, &self->node, &self->world->server.node);
  else if (self->is_open && self->wire != DOC_WIRE_Y) join(self);
  else if (self->end != SIM_END_NONE) give_up(self);
  else self->next_try_ms = SIM_NEVER;
}

/* What keeps a connection alive, or finds that it is not. */
static void beat(doc_user *self) {
  uint64_t now_ms = now_of(self);
  bool is_y = self->wire == DOC_WIRE_Y;
  if (is_y ? now_ms - self->heard_ms >= SILENT_MS : self->beat_ref != 0) {
    give_up(self);
    return;
  }
  self->beat_at_ms = now_ms + BEAT_MS;
  if (!is_y) self->beat_ref = push_text(self, LK_LIT("phoenix"), "heartbeat", LK_LIT("{}"));
}

/* A member that rests asks until it is sure. */
static void make_sure(doc_user *self) {
  if (!self->is_resting || !self->is_joined || self->is_synced || self->sync_ref != 0) return;
  if (self->wire != DOC_WIRE_Y) ask_to_sync(self);
}

static void wake(sim_node *node) {
  doc_user *self = of(node);
  uint64_t now_ms = now_of(self);
  if (now_ms >= self->next_try_ms) try_again(self);
  if (now_ms >= self->beat_at_ms) beat(self);
  expect(self, lk_awareness_tick(self->here, now_ms), "ticks");
  tell_changes(self);
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
  lk_buf_append_u8(&hello, self->may_write ? 'w' : 'r');
  expect(self, lk_buf_append(&hello, doc_topic(self->topic)), "says what it is");
  send_bytes(self, 'h', lk_buf_slice(&hello));
  lk_buf_deinit(&hello);
  if (self->wire == DOC_WIRE_Y) join_y(self);
  else join(self);
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
    on_y(self, bytes);
  } else if (is_text) {
    lk_err err = lk_message_decode_text(bytes, &self->limits, &scratch, &m);
    expect(self, err, "reads a message");
    if (err == LK_OK) on_text(self, &m, &scratch);
  } else {
    on_frame(self, bytes);
  }
  lk_arena_deinit(&scratch);
  doc_world_check_promise(self->world);
  make_sure(self);
  set_alarm(self);
}

static void closed(sim_node *node, sim_end end) {
  doc_user *self = of(node);
  if (end != self->end) return;
  lose(self);
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

static const lk_slice keys[] = { LK_LIT_INIT("a"), LK_LIT_INIT("b"), LK_LIT_INIT("c") };

/* The change that was just made goes on its way, or waits for a connection. */
static void finish_change(doc_user *self, const doc_pending *what) {
  if (self->local.len == 0) return;
  self->world->changes++;
  self->is_dirty = self->is_dirty || !self->may_write;
  if (self->wire == DOC_WIRE_Y) {
    if (self->is_joined) send_y(self, LK_Y_UPDATE, lk_buf_slice(&self->local));
    return;
  }
  LK_ASSERT(self->pending_count < DOC_PENDING_MAX);
  doc_pending *p = &self->pending[self->pending_count++];
  *p = *what;
  lk_buf_init(&p->update, alloc_of(self), SIZE_MAX / 2);
  expect(self, lk_buf_append(&p->update, lk_buf_slice(&self->local)), "keeps a change");
  if (self->is_joined) send_pending(self, p);
}

static void type(doc_user *self) {
  uint8_t utf8[3 * DOC_TYPED_MAX + 1];
  size_t len = 0;
  doc_pending what = { 0 };
  doc_ledger *ledger = ledger_of(self);
  uint64_t length = lk_doc_node_length(self->doc, self->text);
  uint64_t wanted = lk_prng_range(&self->prng, 1, DOC_TYPED_MAX);
  if (ledger->count + DOC_TYPED_MAX > DOC_LETTERS_MAX) return;
  while (what.typed_count < wanted) {
    uint32_t *index = &what.typed[what.typed_count++];
    doc_ledger_typed(ledger, self->number, !self->may_write, index);
    len += lk_utf8_encode(doc_letter_point(*index), utf8 + len);
  }
  uint64_t at = lk_prng_chance(&self->prng, 1, 3) ? length : lk_prng_below(&self->prng, length + 1);
  expect(self, lk_doc_text_insert(self->doc, self->text, at, lk_slice_of(utf8, len), NULL),
         "types");
  finish_change(self, &what);
}

/* Who may only read deletes nothing but in its own replica. */
static void note_deleted(doc_user *self, uint64_t at, uint64_t count, doc_pending *what) {
  lk_buf text;
  size_t letters;
  uint32_t *all = lk_alloc_array(alloc_of(self), DOC_LETTERS_MAX, sizeof *all);
  LK_ASSERT(all != NULL);
  lk_buf_init(&text, alloc_of(self), SIZE_MAX / 2);
  expect(self, lk_doc_text_string(self->doc, self->text, &text), "reads its text");
  if (!doc_letters_of(lk_buf_slice(&text), all, DOC_LETTERS_MAX, &letters) ||
      letters < at + count) {
    sim_world_fail(world_of(self), "phantom: %s has letters that nobody typed", self->node.name);
    count = 0;
  }
  for (uint64_t i = 0; i < count && self->may_write; i++) {
    doc_ledger_deleted(ledger_of(self), self->number, all[at + i]);
    what->deleted[what->deleted_count++] = all[at + i];
  }
  lk_buf_deinit(&text);
  lk_free_array(alloc_of(self), all, DOC_LETTERS_MAX, sizeof *all);
}

static void erase(doc_user *self) {
  doc_pending what = { 0 };
  uint64_t length = lk_doc_node_length(self->doc, self->text);
  if (length == 0) return;
  uint64_t at = lk_prng_below(&self->prng, length);
  uint64_t count = lk_min_u64(1 + lk_prng_below(&self->prng, DOC_DELETED_MAX), length - at);
  note_deleted(self, at, count, &what);
  expect(self, lk_doc_text_delete(self->doc, self->text, at, count), "deletes");
  finish_change(self, &what);
}

static void format(doc_user *self) {
  static const doc_pending nothing = { 0 };
  uint64_t length = lk_doc_node_length(self->doc, self->text);
  if (length == 0) return;
  uint64_t at = lk_prng_below(&self->prng, length);
  uint64_t count = 1 + lk_prng_below(&self->prng, length - at);
  lk_attribute bold = { .key = LK_LIT("bold"),
                        .value = { .kind = LK_VALUE_BOOL, .boolean = true } };
  if (lk_prng_chance(&self->prng, 1, 2)) bold.value = (lk_value){ .kind = LK_VALUE_NULL };
  const lk_attributes attributes = { &bold, 1 };
  expect(self, lk_doc_text_format(self->doc, self->text, at, count, &attributes), "formats");
  finish_change(self, &nothing);
}

static void set_entry(doc_user *self) {
  static const doc_pending nothing = { 0 };
  lk_slice key = keys[lk_prng_below(&self->prng, 3)];
  lk_value value = { .kind = LK_VALUE_NUMBER, .number = (double)lk_prng_below(&self->prng, 1000) };
  expect(self, lk_doc_map_set(self->doc, self->map, key, &value), "sets an entry");
  finish_change(self, &nothing);
}

static void change(doc_user *self) {
  uint64_t choice = lk_prng_below(&self->prng, 100);
  if (self->pending_count == DOC_PENDING_MAX) return;
  if (!self->may_write && choice < 80) return; /* most of the time it keeps to it */
  lk_buf_truncate(&self->local, 0);
  if (choice < 55) type(self);
  else if (choice < 75) erase(self);
  else if (choice < 85) format(self);
  else if (choice < 92) set_entry(self);
  else if (self->is_joined) show_itself(self);
}

static void switch_network(doc_user *self) {
  self->is_online = !self->is_online;
  if (self->end != SIM_END_NONE) give_up(self);
  else lose(self);
  set_alarm(self);
}

static void save(doc_user *self) {
  lk_buf_truncate(&self->saved, 0);
  expect(self, lk_doc_encode(self->doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &self->saved), "saves");
  self->has_saved = true;
}

static void leave(doc_user *self, bool saves) {
  if (saves) save(self);
  else lose_replica(self);
  sim_node_stop(&self->node);
  sim_net_forget(&self->world->net, &self->node);
}

static void act(doc_user *self) {
  uint64_t choice = lk_prng_below(&self->prng, 100);
  if (!self->node.is_up) {
    if (choice < 30) sim_node_start(&self->node);
  } else if (!sim_node_is_paused(&self->node)) {
    if (choice < 88) change(self);
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
    renew_replica(self);
    if (self->end != SIM_END_NONE) give_up(self);
  }
  if (!self->is_online) switch_network(self);
  make_sure(self);
  set_alarm(self);
}

bool doc_user_is_settled(const doc_user *self) {
  bool is_sure = self->is_synced || self->wire == DOC_WIRE_Y;
  return self->is_joined && self->pending_count == 0 && is_sure;
}

const char *doc_user_waits_for(const doc_user *self) {
  if (!self->is_joined) return "a user has not joined";
  return self->pending_count > 0 ? "a user's change is not acknowledged" : "a user is not in step";
}

void doc_user_leave(doc_user *self) {
  sim_node_stop(&self->node);
  sim_net_forget(&self->world->net, &self->node);
}

/* ---- reading ---- */

void doc_write_text(lk_doc *doc, lk_buf *out) {
  lk_node text;
  lk_err err = lk_doc_root(doc, LK_LIT("text"), LK_NODE_TEXT, &text);
  if (err == LK_OK) err = lk_doc_text_string(doc, text, out);
  LK_ASSERT(err == LK_OK); /* the simulator's own memory */
}

/* Keys stand in the order in which they came, which differs from replica to replica: so they are asked for one by one. */
static void write_entries(lk_doc *doc, lk_buf *out) {
  lk_node map;
  lk_value value;
  lk_err err = lk_doc_root(doc, LK_LIT("map"), LK_NODE_MAP, &map);
  LK_ASSERT(err == LK_OK);
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    bool has = lk_doc_map_get(doc, map, keys[i], &value) == LK_OK;
    (void)lk_buf_append_decimal(out, has ? 1 + (uint64_t)value.number : 0);
    (void)lk_buf_append(out, LK_LIT(" "));
  }
}

void doc_write_state(lk_doc *doc, lk_buf *out) {
  lk_node text;
  write_entries(doc, out);
  lk_err err = lk_doc_root(doc, LK_LIT("text"), LK_NODE_TEXT, &text);
  if (err == LK_OK) err = lk_doc_text_delta(doc, text, out);
  if (err == LK_OK) err = lk_doc_node_json(doc, text, out);
  LK_ASSERT(err == LK_OK && lk_buf_err(out) == LK_OK);
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
  while (self->pending_count > 0) forget_pending(self, self->pending_count - 1);
  lk_buf_deinit(&self->saved);
  lk_buf_deinit(&self->local);
}
