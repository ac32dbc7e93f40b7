/* peer/link.c -- one connection at a time, and what is known about the next.
 *
 * What was queued belongs to the connection and dies with it: who speaks through it says everything anew on the next. That
 * is why nobody needs to know how far the last one came.
 *
 * References are numbers of one counter, never used twice, so an answer that comes late fits nothing.
 *
 * Always: |want_open| only in CONNECTING, before the host heard of it; |want_close| only for a connection that the
 * host was asked to open; in OFFLINE there is a time at which to try again, or the host has been asked for a token, or nobody
 * wants a connection. */
#include "peer/link.h"

#include "base/trace.h"
#include "codec/json_reader.h"
#include "codec/json_writer.h"

/* A token is renewed when a quarter of its life is left, and at least that long before its end. */
#define TOKEN_MARGIN_MS 30000

static void forget_token(lk_peer_link *self) {
  lk_buf_truncate(&self->token, 0);
  self->has_token = false;
  self->token_ends_ms = self->token_at_ms = LK_PEER_LINK_NEVER;
}

static void forget_connection(lk_peer_link *self) {
  lk_outbox_clear(&self->output);
  self->heartbeat_ref = self->token_ref = 0;
  self->give_up_at_ms = self->heartbeat_at_ms = LK_PEER_LINK_NEVER;
  self->want_open = false;
}

uint64_t lk_peer_link_draw_wait(lk_peer_link *self, uint32_t attempt) {
  uint64_t limit = (uint64_t)LK_PEER_LINK_RETRY_FIRST_MS << lk_min_u32(attempt, 16);
  return lk_prng_range(&self->jitter, 0, lk_min_u64(limit, LK_PEER_LINK_RETRY_MAX_MS));
}

/* ---- coming and going ---- */

static void ask_for_token(lk_peer_link *self) {
  self->want_token = self->waits_for_token = true;
  self->token_at_ms = LK_PEER_LINK_NEVER;
}

static bool needs_token(const lk_peer_link *self, uint64_t now_ms) {
  return self->uses_token && (!self->has_token || now_ms >= self->token_ends_ms);
}

static void connect(lk_peer_link *self, uint64_t now_ms) {
  self->retry_at_ms = LK_PEER_LINK_NEVER;
  if (needs_token(self, now_ms)) {
    forget_token(self);
    if (!self->waits_for_token) ask_for_token(self);
    return;
  }
  self->state = LK_PEER_LINK_CONNECTING;
  self->want_open = true;
  self->give_up_at_ms = now_ms + LK_PEER_LINK_OPEN_MS;
}

static void lose(lk_peer_link *self, uint64_t hint_ms, uint64_t now_ms) {
  forget_connection(self);
  self->state = LK_PEER_LINK_OFFLINE;
  uint64_t wait = lk_min_u64(hint_ms, LK_PEER_LINK_HINT_MAX_MS) +
                  lk_peer_link_draw_wait(self, self->attempt);
  self->attempt++;
  self->retry_at_ms = self->is_started ? now_ms + wait : LK_PEER_LINK_NEVER;
  lk_trace_emit(self->env, LK_TRACE_peer_lost, self->attempt, wait, LK_SLICE_EMPTY);
}

void lk_peer_link_give_up(lk_peer_link *self, uint64_t now_ms) {
  if (self->state == LK_PEER_LINK_OFFLINE) return;
  /* What was not even asked for needs no closing; an earlier one may still need it. */
  if (!self->want_open) self->want_close = true;
  lose(self, 0, now_ms);
}

void lk_peer_link_start(lk_peer_link *self, uint64_t now_ms) {
  if (self->is_started) return;
  self->is_started = true;
  connect(self, now_ms);
}

void lk_peer_link_stop(lk_peer_link *self) {
  if (!self->is_started) return;
  self->is_started = false;
  if (self->state != LK_PEER_LINK_OFFLINE && !self->want_open) self->want_close = true;
  forget_connection(self);
  self->state = LK_PEER_LINK_OFFLINE;
  self->retry_at_ms = LK_PEER_LINK_NEVER;
  self->attempt = 0;
}

void lk_peer_link_wake(lk_peer_link *self, uint64_t now_ms) {
  if (!self->is_started || self->state != LK_PEER_LINK_OFFLINE) return;
  self->attempt = 0;
  if (!self->waits_for_token) connect(self, now_ms);
}

void lk_peer_link_opened(lk_peer_link *self, bool is_text, uint64_t now_ms) {
  if (self->state != LK_PEER_LINK_CONNECTING || self->want_open) return;
  self->state = LK_PEER_LINK_ONLINE;
  self->is_text = is_text;
  self->give_up_at_ms = LK_PEER_LINK_NEVER;
  self->heartbeat_at_ms = now_ms + LK_PEER_LINK_HEARTBEAT_MS;
  lk_trace_emit(self->env, LK_TRACE_peer_connected, self->attempt, 0, LK_SLICE_EMPTY);
}

void lk_peer_link_closed(lk_peer_link *self, uint32_t code, uint64_t hint_ms, uint64_t now_ms) {
  if (self->state == LK_PEER_LINK_OFFLINE || self->want_open) return;
  self->want_close = false;
  if (code == LK_PEER_LINK_CLOSE_TOKEN) forget_token(self);
  lose(self, hint_ms, now_ms);
}

/* ---- sending ---- */

static lk_slice digits_of(uint64_t ref, uint8_t digits[LK_PEER_LINK_REF_MAX]) {
  size_t at = LK_PEER_LINK_REF_MAX;
  do digits[--at] = (uint8_t)('0' + ref % 10);
  while ((ref /= 10) > 0);
  return lk_slice_of(digits + at, LK_PEER_LINK_REF_MAX - at);
}

bool lk_peer_link_is_ref(lk_slice text, uint64_t ref) {
  uint8_t digits[LK_PEER_LINK_REF_MAX];
  return ref != 0 && lk_slice_equal(text, digits_of(ref, digits));
}

uint64_t lk_peer_link_send(lk_peer_link *self, const lk_message *message, uint64_t join_ref,
                           bool joins, uint64_t now_ms) {
  uint8_t digits[LK_PEER_LINK_REF_MAX], join_digits[LK_PEER_LINK_REF_MAX];
  uint64_t ref = self->ref_next;
  lk_message m = *message;
  bool is_binary = false;
  if (self->state != LK_PEER_LINK_ONLINE) return 0;
  m.ref = digits_of(ref, digits);
  m.join_ref = LK_SLICE_EMPTY;
  if (joins || join_ref != 0) m.join_ref = digits_of(joins ? ref : join_ref, join_digits);
  size_t start = lk_outbox_begin(&self->output);
  lk_err err = lk_frame_encode(&m, &self->output.bytes, &is_binary);
  err = lk_outbox_end_as(&self->output, start, is_binary, err);
  if (err != LK_OK) {
    /* Without memory for it now there may be some after the back-off. */
    lk_peer_link_give_up(self, now_ms);
    return 0;
  }
  self->ref_next++;
  return ref;
}

static void beat(lk_peer_link *self, uint64_t now_ms) {
  const lk_message m = { .topic = LK_LIT("phoenix"),
                         .event = LK_LIT("heartbeat"),
                         .payload = LK_LIT("{}") };
  self->heartbeat_at_ms = now_ms + LK_PEER_LINK_HEARTBEAT_MS;
  self->heartbeat_sent_ms = now_ms;
  self->heartbeat_ref = lk_peer_link_send(self, &m, 0, false, now_ms);
  if (self->heartbeat_ref != 0) self->give_up_at_ms = now_ms + LK_PEER_LINK_REPLY_MS;
}

/* ---- tokens ---- */

static lk_err write_token(lk_slice token, lk_buf *out) {
  lk_json_writer w;
  lk_json_writer_init(&w, out);
  (void)lk_json_begin_object(&w);
  (void)lk_json_write_key(&w, LK_LIT("token"));
  (void)lk_json_write_string(&w, token);
  (void)lk_json_end_object(&w);
  return lk_json_writer_finish(&w);
}

static void renew(lk_peer_link *self, uint64_t now_ms) {
  lk_message m = { .topic = LK_LIT("phoenix"), .event = LK_LIT("access_token") };
  lk_buf text;
  lk_buf_init(&text, self->env->alloc, (size_t)self->limits->token_bytes * 6 + 64);
  if (write_token(lk_buf_slice(&self->token), &text) == LK_OK) {
    m.payload = lk_buf_slice(&text);
    self->token_ref = lk_peer_link_send(self, &m, 0, false, now_ms);
  } else {
    lk_peer_link_give_up(self, now_ms);
  }
  lk_buf_deinit(&text);
}

static void note_life(lk_peer_link *self, uint64_t life_ms, uint64_t now_ms) {
  self->token_ends_ms = self->token_at_ms = LK_PEER_LINK_NEVER;
  if (life_ms == 0 || !lk_add_u64(now_ms, life_ms, &self->token_ends_ms)) return;
  uint64_t margin = lk_max_u64(life_ms / 4, TOKEN_MARGIN_MS);
  self->token_at_ms = now_ms + (margin < life_ms ? life_ms - margin : life_ms / 2);
}

lk_err lk_peer_link_set_token(lk_peer_link *self, lk_slice token, uint64_t life_ms,
                              uint64_t now_ms) {
  self->waits_for_token = self->want_token = false;
  lk_err err = token.len <= self->limits->token_bytes ? LK_OK : LK_ERR_TOO_BIG;
  lk_buf_truncate(&self->token, 0);
  if (err == LK_OK) err = lk_buf_append(&self->token, token);
  if (err != LK_OK) {
    lk_buf_truncate(&self->token, 0);
    lk_peer_link_no_token(self, now_ms);
    return err;
  }
  self->has_token = true;
  note_life(self, life_ms, now_ms);
  if (self->state == LK_PEER_LINK_ONLINE) renew(self, now_ms);
  else if (self->state == LK_PEER_LINK_OFFLINE && self->is_started) connect(self, now_ms);
  return LK_OK;
}

void lk_peer_link_no_token(lk_peer_link *self, uint64_t now_ms) {
  self->waits_for_token = self->want_token = false;
  uint64_t at_ms = now_ms + lk_peer_link_draw_wait(self, self->attempt);
  if (self->state == LK_PEER_LINK_OFFLINE) {
    self->has_token = false;
    self->attempt++;
    if (self->is_started) self->retry_at_ms = at_ms;
  } else {
    self->token_at_ms = at_ms + LK_PEER_LINK_RETRY_MAX_MS;
  }
}

/* ---- receiving ---- */

/* An answer to what the link itself asked. */
static bool take(lk_peer_link *self, const lk_frame *frame, uint64_t now_ms) {
  if (!frame->is_reply) return false;
  if (lk_peer_link_is_ref(frame->message.ref, self->heartbeat_ref)) {
    self->heartbeat_ref = 0;
    self->give_up_at_ms = LK_PEER_LINK_NEVER;
    lk_peer_link_calm(self); /* it has lasted for a while */
    self->has_round_trip = true;
    self->round_trip_ms = (uint32_t)lk_min_u64(now_ms - self->heartbeat_sent_ms, UINT32_MAX);
    return true;
  }
  if (!lk_peer_link_is_ref(frame->message.ref, self->token_ref)) return false;
  self->token_ref = 0;
  if (!lk_slice_equal(frame->status, LK_LIT("ok"))) {
    /* The one before holds until it ends, and ends the connection. Ask for another before that. */
    LK_COVERED(link_token_was_refused);
    self->has_token = false;
    self->token_at_ms = now_ms + lk_peer_link_draw_wait(self, 16);
  }
  return true;
}

lk_err lk_peer_link_receive(lk_peer_link *self, lk_slice bytes, bool is_binary, lk_arena *arena,
                            uint64_t now_ms, lk_frame *out, bool *is_taken) {
  *is_taken = true;
  if (self->state != LK_PEER_LINK_ONLINE) return LK_OK;
  lk_err err = lk_frame_decode(bytes, is_binary, self->limits, arena, out);
  if (err == LK_OK && self->is_text) err = lk_frame_open_bytes(out, arena);
  if (err != LK_OK) {
    lk_peer_link_give_up(self, now_ms);
    return err;
  }
  *is_taken = take(self, out, now_ms);
  return LK_OK;
}

/* ---- time ---- */

void lk_peer_link_tick(lk_peer_link *self, uint64_t now_ms) {
  if (self->state == LK_PEER_LINK_OFFLINE && now_ms >= self->retry_at_ms) connect(self, now_ms);
  if (now_ms >= self->give_up_at_ms) {
    LK_COVERED(link_reply_overdue);
    lk_peer_link_give_up(self, now_ms);
  }
  if (now_ms >= self->heartbeat_at_ms) beat(self, now_ms);
  if (self->state == LK_PEER_LINK_ONLINE && now_ms >= self->token_at_ms) ask_for_token(self);
}

uint64_t lk_peer_link_deadline(const lk_peer_link *self) {
  uint64_t token = self->state == LK_PEER_LINK_ONLINE ? self->token_at_ms : LK_PEER_LINK_NEVER;
  uint64_t at = lk_min_u64(self->retry_at_ms, lk_min_u64(self->give_up_at_ms, token));
  return lk_min_u64(at, self->heartbeat_at_ms);
}

bool lk_peer_link_poll(lk_peer_link *self, lk_peer_link_event *out) {
  *out = (lk_peer_link_event){ 0 };
  if (self->want_close) {
    self->want_close = false;
    out->kind = LK_PEER_LINK_CLOSE;
    return true;
  }
  if (self->want_token) {
    self->want_token = false;
    out->kind = LK_PEER_LINK_TOKEN;
    return true;
  }
  if (self->want_open) {
    self->want_open = false;
    out->kind = LK_PEER_LINK_OPEN;
    out->bytes = lk_buf_slice(&self->token);
    return true;
  }
  out->kind = LK_PEER_LINK_SEND;
  return lk_outbox_next_message(&self->output, &out->bytes, &out->is_binary);
}

/* ---- life ---- */

void lk_peer_link_init(lk_peer_link *self, const lk_peer_link_options *options) {
  *self = (lk_peer_link){
    .env = options->env, .limits = options->limits, .ref_next = 1, .uses_token = options->uses_token
  };
  lk_outbox_init(&self->output, options->env->alloc, options->limits->ws_send_bytes);
  lk_buf_init(&self->token, options->env->alloc, options->limits->token_bytes);
  lk_prng_init(&self->jitter, options->entropy);
  self->retry_at_ms = self->give_up_at_ms = self->heartbeat_at_ms = LK_PEER_LINK_NEVER;
  self->token_ends_ms = self->token_at_ms = LK_PEER_LINK_NEVER;
}

void lk_peer_link_deinit(lk_peer_link *self) {
  lk_outbox_deinit(&self->output);
  lk_buf_deinit(&self->token);
  *self = (lk_peer_link){ 0 };
}
