/* peer/channel.c -- joins, and joins again.
 *
 * Always: |join_ref| is 0 but in JOINING and IN, so that what was said to an earlier joining fits nothing. */
#include "peer/channel.h"

#include "base/trace.h"
#include "codec/json_reader.h"

static const lk_slice final_reasons[] = {
#define REFUSAL(reason, text) LK_LIT_INIT(reason),
#include "peer/refusals.def"
#undef REFUSAL
};

bool lk_peer_is_final(lk_slice reason) {
  for (size_t i = 0; i < sizeof final_reasons / sizeof final_reasons[0]; i++) {
    if (lk_slice_equal(reason, final_reasons[i])) return true;
  }
  return false;
}

void lk_peer_channel_set_reason(lk_peer_channel *self, lk_slice reason) {
  size_t len = lk_min_size(reason.len, LK_PEER_REASON_MAX);
  while (len > 0 && len < reason.len && (reason.ptr[len] & 0xC0) == 0x80)
    len--; /* no half of a character */
  if (len > 0) memcpy(self->reason, reason.ptr, len);
  self->reason_len = (uint32_t)len;
}

static void be(lk_peer_channel *self, lk_peer_channel_state state) {
  self->state = state;
  self->join_ref = 0;
  self->try_at_ms = self->reply_by_ms = LK_PEER_LINK_NEVER;
}

static void wait(lk_peer_channel *self, uint64_t at_ms) {
  be(self, LK_PEER_CHANNEL_WAITING);
  self->try_at_ms = at_ms;
}

void lk_peer_channel_rejoin(lk_peer_channel *self, uint64_t hint_ms, uint64_t now_ms) {
  if (self->state != LK_PEER_CHANNEL_JOINING && self->state != LK_PEER_CHANNEL_IN) return;
  uint64_t wait_ms = lk_min_u64(hint_ms, LK_PEER_LINK_HINT_MAX_MS) +
                     lk_peer_link_draw_wait(self->link, self->attempt);
  self->attempt++;
  wait(self, now_ms + wait_ms);
}

void lk_peer_channel_enter(lk_peer_channel *self, uint64_t now_ms) {
  if (self->state == LK_PEER_CHANNEL_OUT) wait(self, now_ms);
}

void lk_peer_channel_forgive(lk_peer_channel *self, uint64_t now_ms) {
  if (self->state != LK_PEER_CHANNEL_REFUSED) return;
  self->reason_len = 0;
  wait(self, now_ms);
}

static void say_leave(lk_peer_channel *self, uint64_t now_ms) {
  const lk_message m = { .topic = self->topic,
                         .event = LK_LIT("phx_leave"),
                         .payload = LK_LIT("{}") };
  (void)lk_peer_link_send(self->link, &m, self->join_ref, false, now_ms);
}

void lk_peer_channel_leave(lk_peer_channel *self, uint64_t now_ms) {
  if (self->join_ref != 0) say_leave(self, now_ms);
  be(self, LK_PEER_CHANNEL_OUT);
}

bool lk_peer_channel_lost_link(lk_peer_channel *self) {
  bool was_in = self->state == LK_PEER_CHANNEL_IN;
  if (was_in || self->state == LK_PEER_CHANNEL_JOINING) wait(self, 0);
  return was_in;
}

bool lk_peer_channel_is_due(const lk_peer_channel *self, uint64_t now_ms) {
  return self->state == LK_PEER_CHANNEL_WAITING && self->link->state == LK_PEER_LINK_ONLINE &&
         now_ms >= self->try_at_ms;
}

void lk_peer_channel_join(lk_peer_channel *self, lk_slice params, uint64_t now_ms) {
  const lk_message m = { .topic = self->topic, .event = LK_LIT("phx_join"), .payload = params };
  uint64_t ref = lk_peer_link_send(self->link, &m, 0, true, now_ms);
  if (ref == 0) return;
  be(self, LK_PEER_CHANNEL_JOINING);
  self->join_ref = ref;
  self->reply_by_ms = now_ms + LK_PEER_JOIN_MS;
}

uint64_t lk_peer_channel_push(lk_peer_channel *self, lk_slice event, lk_slice payload,
                              bool is_binary, uint64_t now_ms) {
  const lk_message m = {
    .topic = self->topic, .event = event, .payload = payload, .binary = is_binary
  };
  LK_ASSERT(self->state == LK_PEER_CHANNEL_IN);
  return lk_peer_link_send(self->link, &m, self->join_ref, false, now_ms);
}

/* ---- receiving ---- */

void lk_peer_read_refusal(lk_slice json, const lk_limits *limits, lk_arena *scratch,
                          lk_slice *reason, uint64_t *hint_ms) {
  lk_json_member members[2] = { { .name = LK_LIT("reason") },
                                { .name = LK_LIT("retry_after_ms") } };
  lk_json_reader in;
  *reason = LK_SLICE_EMPTY;
  *hint_ms = 0;
  lk_err err = lk_json_reader_init(&in, json, limits, scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, members, 2);
  if (err != LK_OK) return;
  if (members[0].value.kind == LK_JSON_STRING) *reason = members[0].value.text;
  if (lk_json_get_u64(&members[1].value, hint_ms) != LK_OK) *hint_ms = 0;
}

static lk_peer_channel_news on_join_reply(lk_peer_channel *self, const lk_frame *frame,
                                          lk_arena *scratch, uint64_t now_ms) {
  lk_slice reason = LK_SLICE_EMPTY;
  uint64_t hint_ms = 0;
  if (lk_slice_equal(frame->status, LK_LIT("ok"))) {
    self->state = LK_PEER_CHANNEL_IN;
    self->reply_by_ms = LK_PEER_LINK_NEVER;
    self->reason_len = 0;
    lk_trace_emit(self->link->env, LK_TRACE_peer_joined, 0, 0, self->topic);
    return LK_PEER_CHANNEL_JOINED;
  }
  if (!frame->message.binary)
    lk_peer_read_refusal(frame->message.payload, self->link->limits, scratch, &reason, &hint_ms);
  lk_peer_channel_set_reason(self, reason);
  if (lk_peer_is_final(reason)) be(self, LK_PEER_CHANNEL_REFUSED);
  else lk_peer_channel_rejoin(self, hint_ms, now_ms);
  return LK_PEER_CHANNEL_TURNED;
}

/* The room went away, or does not want us any more. */
static lk_peer_channel_news on_end(lk_peer_channel *self, const lk_frame *frame, lk_arena *scratch,
                                   uint64_t now_ms) {
  lk_slice reason = LK_SLICE_EMPTY;
  uint64_t hint_ms = 0;
  if (!frame->message.binary)
    lk_peer_read_refusal(frame->message.payload, self->link->limits, scratch, &reason, &hint_ms);
  lk_peer_channel_set_reason(self, reason);
  lk_peer_channel_rejoin(self, hint_ms, now_ms);
  return LK_PEER_CHANNEL_LOST;
}

lk_peer_channel_news lk_peer_channel_receive(lk_peer_channel *self, const lk_frame *frame,
                                             lk_arena *scratch, uint64_t now_ms) {
  const lk_message *m = &frame->message;
  bool is_in = self->state == LK_PEER_CHANNEL_IN;
  if (self->join_ref == 0) return LK_PEER_CHANNEL_NOTHING;
  if (frame->is_reply && lk_peer_link_is_ref(m->ref, self->join_ref))
    return is_in ? LK_PEER_CHANNEL_NOTHING : on_join_reply(self, frame, scratch, now_ms);
  if (m->join_ref.ptr != NULL && !lk_peer_link_is_ref(m->join_ref, self->join_ref))
    return LK_PEER_CHANNEL_NOTHING;
  if (frame->is_reply) return is_in ? LK_PEER_CHANNEL_REPLY : LK_PEER_CHANNEL_NOTHING;
  if (lk_slice_equal(m->event, LK_LIT("phx_error")) ||
      lk_slice_equal(m->event, LK_LIT("phx_close")))
    return on_end(self, frame, scratch, now_ms);
  return is_in ? LK_PEER_CHANNEL_EVENT : LK_PEER_CHANNEL_NOTHING;
}

/* ---- time ---- */

void lk_peer_channel_tick(lk_peer_channel *self, uint64_t now_ms) {
  if (now_ms < self->reply_by_ms) return;
  LK_COVERED(peer_channel_join_overdue);
  lk_peer_channel_rejoin(self, 0, now_ms);
}

uint64_t lk_peer_channel_deadline(const lk_peer_channel *self) {
  bool may_try = self->state == LK_PEER_CHANNEL_WAITING && self->link->state == LK_PEER_LINK_ONLINE;
  return lk_min_u64(may_try ? self->try_at_ms : LK_PEER_LINK_NEVER, self->reply_by_ms);
}

void lk_peer_channel_init(lk_peer_channel *self, lk_peer_link *link, lk_slice topic) {
  *self = (lk_peer_channel){ .link = link, .topic = topic };
  be(self, LK_PEER_CHANNEL_OUT);
}
