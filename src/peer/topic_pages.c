/* peer/topic_pages.c -- what replicas beside this one do with a topic: pages of a browser, whose replicas exchange changes with ours.
 *
 * To the server there is one replica more on this device than it hears of: what a page made goes through this one's backlog and
 * diary, as if it had been made here. What is said beside the replica goes straight through. */
#include "codec/json_reader.h"
#include "codec/utf.h"
#include "peer/client.h"

static bool has_replica(const lk_topic *self) { return self->kind != LK_TOPIC_PLAIN; }

static void end_input(lk_topic *self, uint64_t now_ms) {
  self->client->now_ms = lk_max_u64(self->client->now_ms, now_ms);
  lk_client_step(self->client);
}

/* ---- changes ---- */

lk_err lk_topic_merge(lk_topic *self, lk_slice bytes, bool waits, uint64_t now_ms,
                      uint64_t *number) {
  uint64_t last = self->backlog.last;
  *number = 0;
  if (!has_replica(self)) return LK_ERR_TYPE;
  lk_err err = self->type->merge(self, bytes, waits);
  if (self->backlog.last != last) *number = self->backlog.last;
  end_input(self, now_ms);
  return err;
}

lk_err lk_topic_version(const lk_topic *self, lk_buf *out) {
  return has_replica(self) ? self->type->version(self, out) : LK_ERR_TYPE;
}

lk_err lk_topic_since(const lk_topic *self, lk_slice version, lk_buf *out) {
  return has_replica(self) ? self->type->since(self, version, out) : LK_ERR_TYPE;
}

/* ---- how far they have come ---- */

bool lk_topic_is_kept_now(const lk_topic *self) {
  return self->is_kept && lk_keeping_is_well(&self->client->keeping);
}

static uint64_t before_missed(const lk_topic *self, uint64_t number, bool is_missed) {
  return is_missed ? lk_min_u64(number, self->missed.first - 1) : number;
}

/* Records are written in the order of numbers, so those that are not durable come last. */
uint64_t lk_topic_recorded(const lk_topic *self) {
  uint64_t number = self->backlog.last;
  if (!lk_topic_is_kept_now(self)) return number;
  for (lk_link *at = self->backlog.entries.last; at != NULL; at = at->prev) {
    const lk_backlog_entry *e = lk_backlog_of(at);
    if (e->record != 0 && e->record <= self->client->keeping.durable) break;
    number = e->number - 1;
  }
  return before_missed(self, number, self->missed.safe < self->missed.count);
}

uint64_t lk_topic_acknowledged(const lk_topic *self) {
  return before_missed(self, self->backlog.acked, self->missed.count > 0);
}

/* ---- messages ---- */

static lk_err check_message(const lk_topic *self, lk_slice event, lk_slice payload,
                            bool is_binary) {
  lk_client *client = self->client;
  if (event.len == 0 || event.len > UINT8_MAX) return LK_ERR_INVALID;
  if (lk_utf8_check(event) != LK_OK) return LK_ERR_UTF8;
  if (lk_slice_equal(lk_slice_first(event, 4), LK_LIT("phx_"))) return LK_ERR_INVALID;
  if (payload.len > lk_topic_payload_max(self)) return LK_ERR_TOO_BIG;
  if (is_binary) return LK_OK;
  return lk_json_check(payload, &client->limits, NULL) == LK_OK ? LK_OK : LK_ERR_PAYLOAD;
}

lk_err lk_topic_push(lk_topic *self, lk_slice event, lk_slice payload, bool is_binary,
                     uint64_t now_ms, uint64_t *ref) {
  *ref = 0;
  if (self->channel.state != LK_PEER_CHANNEL_IN) return LK_ERR_STATE;
  lk_err err = check_message(self, event, payload, is_binary);
  if (err != LK_OK) return err;
  *ref = lk_peer_channel_push(&self->channel, event, payload, is_binary, now_ms);
  end_input(self, now_ms);
  return *ref != 0 ? LK_OK : LK_ERR_NOMEM;
}
