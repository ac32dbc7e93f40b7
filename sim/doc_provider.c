/* sim/doc_provider.c -- what a provider of Phoenix does: it joins, keeps each change until it is acknowledged, sends all of them
 * again when it has joined, and believes what it is told.
 *
 * Where the room says that the document began again, the replica is thrown away: a real one would be kept as a copy. */
#include <stdio.h>

#include "codec/base64.h"
#include "codec/json_bytes.h"
#include "codec/json_reader.h"
#include "room/doc_payload.h"
#include "sim/doc_user.h"

/* ---- sending ---- */

static void send_pending(doc_user *self, doc_pending *p) {
  p->epoch = ledger_of(self)->epoch;
  p->ref = doc_wire_push_bytes(self, "client_update", lk_buf_slice(&p->update));
}

void doc_provider_send_again(doc_user *self) {
  for (uint32_t i = 0; i < self->pending_count && self->is_joined; i++) {
    if (self->pending[i].ref == 0) send_pending(self, &self->pending[i]);
  }
}

static void send_awareness(doc_user *self, lk_slice update) {
  if (update.len == 0 || !self->is_joined) return;
  if (self->wire == DOC_WIRE_Y) doc_wire_send_y(self, LK_Y_AWARENESS, update);
  else (void)doc_wire_push_bytes(self, "awareness", update);
}

/* After each call of |here| that may have changed something of its own. */
void doc_provider_tell(doc_user *self) {
  lk_buf update;
  lk_buf_init(&update, alloc_of(self), SIZE_MAX / 2);
  doc_user_expect(self, lk_awareness_encode_changed(self->here, &update), "tells");
  send_awareness(self, lk_buf_slice(&update));
  lk_buf_deinit(&update);
}

void doc_provider_show(doc_user *self) {
  char state[32];
  int len = snprintf(state, sizeof state, "{\"n\":%u}", (unsigned)lk_prng_below(&self->prng, 1000));
  doc_user_expect(self,
                  lk_awareness_set_local(self->here, lk_slice_of(state, (size_t)len), now_of(self)),
                  "shows a state");
  doc_provider_tell(self);
}

/* ---- changes ---- */

static void keep_change(doc_user *self, const doc_pending *what) {
  LK_ASSERT(self->pending_count < DOC_PENDING_MAX);
  doc_pending *p = &self->pending[self->pending_count++];
  *p = *what;
  lk_buf_init(&p->update, alloc_of(self), SIZE_MAX / 2);
  doc_user_expect(self, lk_buf_append(&p->update, lk_buf_slice(&self->local)), "keeps a change");
}

void doc_provider_take_change(doc_user *self, const doc_pending *what) {
  if (self->local.len == 0) return;
  self->world->changes++;
  self->is_dirty = self->is_dirty || !self->may_write;
  if (self->wire == DOC_WIRE_Y) {
    if (self->is_joined) doc_wire_send_y(self, LK_Y_UPDATE, lk_buf_slice(&self->local));
    return;
  }
  keep_change(self, what);
  doc_provider_send_again(self);
}

void doc_provider_take_tidied(doc_user *self) {
  static const doc_pending nothing = { 0 };
  if (!self->may_write) {
    self->has_tidied = true;
  } else if (self->wire == DOC_WIRE_Y) {
    if (self->is_joined) doc_wire_send_y(self, LK_Y_UPDATE, lk_buf_slice(&self->local));
  } else if (self->pending_count < DOC_PENDING_MAX) { /* else it goes with the next join */
    keep_change(self, &nothing);
  }
}

/* ---- joining ---- */

void doc_provider_forget_refs(doc_user *self) {
  for (uint32_t i = 0; i < self->pending_count; i++) self->pending[i].ref = 0;
  self->is_joined = false;
  self->sync_ref = self->wish.ref = 0;
}

static const char *const encodings[] = { "array", "base64", "binary", "" };

/* {"state_vector":...} without its end. */
static void append_vector(doc_user *self, lk_buf *out) {
  lk_buf vector;
  doc_replica_encode_vector(self, &vector);
  (void)lk_buf_append(out, LK_LIT("{\"encoding\":\""));
  (void)lk_buf_append(out, lk_slice_cstr(encodings[self->wire]));
  (void)lk_buf_append(out, LK_LIT("\",\"state_vector\":"));
  doc_wire_dress(out, self->wire, lk_buf_slice(&vector));
  lk_buf_deinit(&vector);
}

void doc_provider_join(doc_user *self) {
  lk_buf params;
  doc_provider_forget_refs(self); /* answers to what was sent before belong to another join */
  lk_buf_init(&params, alloc_of(self), SIZE_MAX / 2);
  append_vector(self, &params);
  if (self->generation[0] != 0) {
    (void)lk_buf_append(&params, LK_LIT(",\"generation\":\""));
    (void)lk_buf_append(&params, lk_slice_cstr(self->generation));
    (void)lk_buf_append(&params, LK_LIT("\""));
  }
  doc_user_expect(self, lk_buf_append(&params, LK_LIT("}")), "joins");
  (void)doc_wire_push(self, doc_topic(self->topic), "phx_join", lk_buf_slice(&params));
  lk_buf_deinit(&params);
  self->next_try_ms = SIM_NEVER;
}

void doc_provider_ask_to_sync(doc_user *self) {
  lk_buf params;
  lk_buf_init(&params, alloc_of(self), SIZE_MAX / 2);
  append_vector(self, &params);
  doc_user_expect(self, lk_buf_append(&params, LK_LIT("}")), "syncs");
  self->sync_ref = doc_wire_push(self, doc_topic(self->topic), "sync", lk_buf_slice(&params));
  lk_buf_deinit(&params);
}

/* ---- what a room has ---- */

static void apply_dressed(doc_user *self, lk_slice raw) {
  lk_buf bytes;
  lk_buf_init(&bytes, alloc_of(self), SIZE_MAX / 2);
  lk_err err = raw.ptr[0] == '[' ? lk_json_parse_bytes(raw, &bytes)
                                 : lk_base64_decode(&bytes, lk_slice_of(raw.ptr + 1, raw.len - 2),
                                                    LK_BASE64_FORM_STANDARD);
  doc_user_expect(self, err, "reads bytes of the history");
  if (err == LK_OK) doc_replica_apply(self, lk_buf_slice(&bytes));
  lk_buf_deinit(&bytes);
}

static void apply_history(doc_user *self, lk_slice history, lk_arena *scratch) {
  lk_json_reader in;
  lk_json_event event;
  lk_slice raw;
  lk_err err = lk_json_reader_init(&in, history, &self->limits, scratch);
  if (err == LK_OK) err = lk_json_next(&in, &event);
  while (err == LK_OK && (err = lk_json_skip_value(&in, &raw)) == LK_OK) apply_dressed(self, raw);
  if (err != LK_ERR_END) doc_user_expect(self, err, "reads the history");
}

/* Sends what the room lacks. */
static void give_rest(doc_user *self, lk_slice raw) {
  lk_buf vector, update;
  lk_buf_init(&vector, alloc_of(self), SIZE_MAX / 2);
  lk_err err = raw.ptr[0] == '[' ? lk_json_parse_bytes(raw, &vector)
                                 : lk_base64_decode(&vector, lk_slice_of(raw.ptr + 1, raw.len - 2),
                                                    LK_BASE64_FORM_STANDARD);
  doc_user_expect(self, err, "reads the room's vector");
  doc_replica_encode_beyond(self, lk_buf_slice(&vector), &update);
  bool is_empty = update.len == 2; /* no structs, no deletions */
  if (!is_empty) (void)doc_wire_push_bytes(self, "client_update", lk_buf_slice(&update));
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
  doc_user_expect(self, err, "reads what it was answered");
  if (err != LK_OK) return;
  doc_replica_encode_beyond(self, LK_SLICE_EMPTY, &before);
  apply_history(self, members[0].raw, scratch);
  doc_replica_encode_beyond(self, LK_SLICE_EMPTY, &after);
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

/* ---- what the server says ---- */

static void acked(doc_user *self, uint32_t at) {
  doc_pending *p = &self->pending[at];
  doc_ledger *ledger = ledger_of(self);
  if (p->epoch == ledger->epoch) {
    for (uint32_t i = 0; i < p->typed_count; i++) doc_ledger_acked(ledger, p->typed[i]);
    for (uint32_t i = 0; i < p->deleted_count; i++)
      doc_ledger_deletion_acked(ledger, p->deleted[i]);
  }
  self->was_acked = true;
  doc_replica_forget_pending(self, at);
}

/* It was refused, and with reason: what it has will never be anybody else's. */
void doc_provider_on_refused(doc_user *self, lk_slice reason) {
  bool is_final = lk_slice_equal(reason, LK_LIT("read_only")) ||
                  lk_slice_equal(reason, LK_LIT("replica_refused"));
  self->refusals++;
  if (is_final && self->may_write)
    sim_world_fail(world_of(self), "refused: %s may write and was told %.*s", self->node.name,
                   (int)reason.len, (const char *)reason.ptr);
  if (is_final) return;
  doc_provider_forget_refs(self); /* a trouble of the server's */
  self->next_try_ms = doc_user_draw_later(self);
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
  doc_replica_renew(self);
}

static void on_join_reply(doc_user *self, bool ok, lk_slice response, lk_arena *scratch) {
  if (ok) {
    self->is_joined = true;
    take_state(self, response, scratch,
               true); /* what the room lacks goes first: the rest may need it */
    doc_provider_send_again(self);
    doc_librarian_send(self);
    doc_provider_show(self);
    return;
  }
  lk_slice reason = reason_of(self, response, scratch);
  if (lk_slice_equal(reason, LK_LIT("diverged"))) on_diverged(self);
  /* Somebody may write it again, or the page is loaded again. */
  if (lk_slice_equal(reason, LK_LIT("unseeded")) && lk_prng_below(&self->prng, 4) == 0)
    doc_replica_renew(self);
  self->next_try_ms = doc_user_draw_later(self);
}

static bool is_ref(lk_slice text, uint64_t ref) {
  char digits[24];
  return ref != 0 && lk_slice_equal(text, doc_wire_number(ref, digits));
}

static void on_reply(doc_user *self, const lk_message *m, lk_arena *scratch) {
  lk_json_member members[2] = { { .name = LK_LIT("status") }, { .name = LK_LIT("response") } };
  lk_json_reader in;
  lk_slice status = LK_SLICE_EMPTY;
  lk_err err = lk_json_reader_init(&in, m->payload, &self->limits, scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, members, 2);
  if (err == LK_OK) err = lk_json_get_string(&members[0].value, &status);
  doc_user_expect(self, err, "reads a reply");
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
  } else if (is_ref(m->ref, self->wish.ref)) {
    lk_slice reason = ok ? LK_SLICE_EMPTY : reason_of(self, members[1].raw, scratch);
    doc_librarian_on_reply(self, ok, members[1].raw, reason, scratch);
  } else {
    uint32_t at = 0;
    while (at < self->pending_count && !is_ref(m->ref, self->pending[at].ref)) at++;
    if (!ok) doc_provider_on_refused(self, reason_of(self, members[1].raw, scratch));
    else if (at < self->pending_count) acked(self, at);
  }
}

void doc_provider_on_awareness(doc_user *self, lk_slice update) {
  doc_user_expect(self, lk_awareness_apply(self->here, update, now_of(self)),
                  "cannot read awareness");
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
    doc_user_expect(self, lk_awareness_encode_clients(self->here, &client, 1, &out), "contradicts");
    send_awareness(self, lk_buf_slice(&out));
    lk_buf_deinit(&out);
  }
}

static void on_bytes(doc_user *self, lk_slice event, lk_slice bytes) {
  if (lk_slice_equal(event, LK_LIT("server_update"))) doc_replica_apply(self, bytes);
  else if (lk_slice_equal(event, LK_LIT("awareness"))) doc_provider_on_awareness(self, bytes);
  else sim_world_fail(world_of(self), "%s got bytes that it does not know", self->node.name);
}

static bool is_bytes(lk_slice event) {
  return lk_slice_equal(event, LK_LIT("server_update")) ||
         lk_slice_equal(event, LK_LIT("awareness"));
}

void doc_provider_on_text(doc_user *self, const lk_message *m, lk_arena *scratch) {
  if (m->join_ref.ptr != NULL && !is_ref(m->join_ref, self->join_ref)) return;
  if (lk_slice_equal(m->event, LK_LIT("phx_reply"))) {
    on_reply(self, m, scratch);
  } else if (lk_slice_equal(m->event, LK_LIT("phx_error")) ||
             lk_slice_equal(m->event, LK_LIT("phx_close"))) {
    doc_provider_forget_refs(self);
    self->next_try_ms = doc_user_draw_later(self);
  } else if (is_bytes(m->event)) {
    lk_slice bytes;
    lk_buf buf;
    lk_buf_init(&buf, alloc_of(self), SIZE_MAX / 2);
    lk_doc_payload in = { &self->limits, scratch, &buf, LK_SLICE_EMPTY };
    lk_err err = lk_doc_payload_read(&in, m->payload, false, &bytes);
    doc_user_expect(self, err, "reads an update");
    if (err == LK_OK && self->is_joined) on_bytes(self, m->event, bytes);
    lk_buf_deinit(&buf);
  } else if (!lk_slice_starts_with(m->event, LK_LIT("presence_")) &&
             !lk_slice_equal(m->event, LK_LIT("versions_changed"))) {
    sim_world_fail(world_of(self), "%s got an event that it does not know: %.*s", self->node.name,
                   (int)m->event.len, (const char *)m->event.ptr);
  }
}

/* Frames of a server: 0 push (join_ref, topic, event), 1 reply, 2 broadcast (topic, event). */
void doc_provider_on_frame(doc_user *self, lk_slice bytes) {
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
