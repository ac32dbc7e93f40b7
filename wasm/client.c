/* wasm/client.c -- the client of a device: its inputs and events, topics behind numbers, and what its watcher is told.
 *
 *   handle := generation << 16 | slot        as in wasm/crdts.c
 *
 * There is one handle for a topic, however often it is open, since events are about topics; it ends with the last closing.
 *
 * A watcher must not call the client, and the host would: so what it is told is queued, and handed out when the call that caused it has
 * returned. Where there is no memory for that, the host is told that a replica is behind (NEWS without bytes), and helps itself by
 * topic_since(); messages are lost, as they may be anyway.
 *
 * Like all of wasm/ this is the border: one host, one thread, globals. */
#include "wasm/client.h"

#include "codec/json_writer.h"
#include "codec/lib0.h"
#include "codec/varint.h"
#include "peer/client.h"

#define TOPICS_MAX 65536u
#define TOPICS_LEAST 8u
#define GENERATION_MAX 0xFFFFu
#define RESULT_MAX (128u << 20)
#define QUEUE_BYTES_MAX ((size_t)32 << 20)

typedef struct slot {
  lk_topic *topic; /* NULL: free */
  uint32_t holders;
  uint32_t generation;
  bool is_behind; /* what changed found no memory */
} slot;

#define EXPORT(name, result, parameters, text)
#define IO(name, number, text)
#define CLIENT_EVENT(name, number) EVENT_##name = number,
#define CLIENT_NEWS(name, number, text)
enum {
#include "wasm/client.def"
};
#undef CLIENT_EVENT
#undef CLIENT_NEWS
#define CLIENT_EVENT(name, number)
#define CLIENT_NEWS(name, number, text) NEWS_##name = number,
enum {
#include "wasm/client.def"
};
#undef EXPORT
#undef IO
#undef CLIENT_EVENT
#undef CLIENT_NEWS

/* One thing that the watcher was told. */
typedef struct item {
  lk_link link;
  u32 topic;
  u32 what;
  lk_buf bytes;
} item;

static lk_env env;
static lk_client *client;
static slot *slots;
static size_t slot_cap;
static lk_list queue;
static size_t queue_bytes;
static item *shown;
static u32 told;

/* ---- handles ---- */

static u32 handle_of(const slot *s) { return s->generation << 16 | (u32)(s - slots); }

static slot *slot_of(u32 handle) {
  u32 place = handle & 0xFFFF;
  if (place >= slot_cap) return NULL;
  slot *s = &slots[place];
  return s->topic != NULL && s->generation == handle >> 16 ? s : NULL;
}

static lk_topic *topic_of(u32 handle) {
  const slot *s = slot_of(handle);
  return s == NULL ? NULL : s->topic;
}

/* There are some dozens: a server lets nobody join more. */
static slot *find(const lk_topic *topic) {
  for (size_t i = 0; i < slot_cap; i++) {
    if (slots[i].topic == topic && slots[i].generation <= GENERATION_MAX) return &slots[i];
  }
  return NULL;
}

/* There is a free slot. */
static lk_err make_room(void) {
  size_t cap;
  if (find(NULL) != NULL) return LK_OK;
  if (!lk_grow_cap(slot_cap, slot_cap + 1, TOPICS_LEAST, TOPICS_MAX, &cap)) return LK_ERR_LIMIT;
  slot *grown = lk_resize_array(env.alloc, slots, slot_cap, cap, sizeof *slots);
  if (grown == NULL) return LK_ERR_NOMEM;
  slots = grown;
  for (size_t i = slot_cap; i < cap; i++) slots[i] = (slot){ .generation = 1 };
  slot_cap = cap;
  return LK_OK;
}

static void free_slot(slot *s) { *s = (slot){ .generation = s->generation + 1 }; }

/* ---- what the watcher is told ---- */

static void free_item(item *self) {
  if (self == NULL) return;
  queue_bytes -= self->bytes.len;
  lk_buf_deinit(&self->bytes);
  lk_free_bytes(env.alloc, self, sizeof *self);
}

static lk_err put_message(lk_buf *out, const lk_client_message *m) {
  (void)lk_varuint_encode(out, m->ref);
  (void)lk_buf_append_u8(out, m->is_binary);
  (void)lk_lib0_string_encode(out, m->is_reply ? m->status : m->event);
  return lk_buf_append(out, m->payload);
}

/* False where there is no memory. */
static bool put(const slot *s, u32 what, lk_slice news, const lk_client_message *m) {
  item *made = lk_alloc_bytes(env.alloc, sizeof *made);
  if (made == NULL) return false;
  *made = (item){ .topic = handle_of(s), .what = what };
  lk_buf_init(&made->bytes, env.alloc, QUEUE_BYTES_MAX - queue_bytes);
  lk_err err = m != NULL ? put_message(&made->bytes, m) : lk_buf_append(&made->bytes, news);
  queue_bytes += made->bytes.len;
  if (err == LK_OK) lk_list_push_last(&queue, &made->link);
  else free_item(made);
  return err == LK_OK;
}

static void on_news(void *ctx, lk_topic *topic, lk_slice bytes) {
  slot *s = find(topic);
  (void)ctx;
  if (s == NULL) return;
  if (bytes.len == 0 || !put(s, NEWS_NEWS, bytes, NULL)) s->is_behind = true;
}

static void on_heard(void *ctx, lk_topic *topic, const lk_client_message *message) {
  const slot *s = find(topic);
  (void)ctx;
  if (s != NULL)
    (void)put(s, message->is_reply ? NEWS_REPLY : NEWS_MESSAGE, LK_SLICE_EMPTY, message);
}

static item *next_item(void) {
  lk_link *link = lk_list_pop_first(&queue);
  return link == NULL ? NULL : LK_CONTAINER(link, item, link);
}

static void forget_news(void) {
  free_item(shown);
  shown = NULL;
  for (item *i = next_item(); i != NULL; i = next_item()) free_item(i);
}

static u32 tell_behind(void) {
  for (size_t i = 0; i < slot_cap; i++) {
    if (!slots[i].is_behind) continue;
    slots[i].is_behind = false;
    told = handle_of(&slots[i]);
    return NEWS_NEWS;
  }
  return 0;
}

u32 lk_wasm_client_news(void) {
  free_item(shown);
  shown = NULL;
  told = 0;
  lk_wasm_hand_out(LK_SLICE_EMPTY);
  for (item *i = next_item(); i != NULL; i = next_item()) {
    if (topic_of(i->topic) == NULL) {
      free_item(i);
      continue;
    }
    shown = i;
    told = i->topic;
    lk_wasm_hand_out(lk_buf_slice(&i->bytes));
    return i->what;
  }
  return tell_behind();
}

/* ---- the client ---- */

u32 lk_wasm_client_open(u64 entropy, u64 entropy2, u32 has_storage, u32 uses_token,
                        u32 pending_count_max, u32 pending_bytes_max, u32 capabilities_len,
                        ms now) {
  static const lk_client_watcher watcher = { NULL, on_news, on_heard };
  lk_client_options options = LK_CLIENT_OPTIONS_INIT;
  if (client != NULL) return LK_ERR_STATE;
  lk_err err = lk_wasm_input(capabilities_len, &options.capabilities);
  if (err != LK_OK) return err;
  env = (lk_env)LK_ENV_INIT(lk_wasm_alloc(), NULL);
  if (has_storage != 0) options.storage = lk_wasm_storage_begin();
  options.entropy[0] = entropy;
  options.entropy[1] = entropy2;
  options.uses_token = uses_token != 0;
  options.pending_count_max = pending_count_max;
  options.pending_bytes_max = pending_bytes_max;
  err = lk_client_open(&env, &options, &client);
  if (err != LK_OK) {
    client = NULL;
    return err;
  }
  lk_client_watch(client, &watcher);
  lk_client_tick(client, lk_wasm_time(now));
  return LK_OK;
}

u32 lk_wasm_client_close(void) {
  if (client == NULL) return 0;
  if (lk_client_is_busy(client)) return 1;
  for (size_t i = 0; i < slot_cap; i++) {
    if (slots[i].topic != NULL) free_slot(&slots[i]);
  }
  forget_news();
  lk_client_close(client);
  client = NULL;
  return 0;
}

void lk_wasm_client_connect(ms now) {
  if (client != NULL) lk_client_connect(client, lk_wasm_time(now));
}

void lk_wasm_client_disconnect(void) {
  if (client != NULL) lk_client_disconnect(client);
}

void lk_wasm_client_wake(ms now) {
  if (client != NULL) lk_client_wake(client, lk_wasm_time(now));
}

void lk_wasm_client_opened(u32 is_text, ms now) {
  if (client != NULL) lk_client_opened_on(client, is_text != 0, lk_wasm_time(now));
}

void lk_wasm_client_closed(u32 code, ms hint, ms now) {
  if (client != NULL) lk_client_closed(client, code, lk_wasm_time(hint), lk_wasm_time(now));
}

u32 lk_wasm_client_receive(u32 len, u32 is_binary, ms now) {
  lk_slice bytes;
  if (client == NULL || lk_wasm_input(len, &bytes) != LK_OK) return LK_ERR_INVALID;
  return lk_client_receive(client, bytes, is_binary != 0, lk_wasm_time(now));
}

u32 lk_wasm_client_set_token(u32 len, ms life, ms now) {
  lk_slice token;
  if (client == NULL || lk_wasm_input(len, &token) != LK_OK) return LK_ERR_INVALID;
  return lk_client_set_token(client, token, lk_wasm_time(life), lk_wasm_time(now));
}

void lk_wasm_client_no_token(ms now) {
  if (client != NULL) lk_client_no_token(client, lk_wasm_time(now));
}

u32 lk_wasm_client_set_capabilities(u32 len, ms now) {
  lk_slice json;
  if (client == NULL || lk_wasm_input(len, &json) != LK_OK) return LK_ERR_INVALID;
  return lk_client_set_capabilities(client, json, lk_wasm_time(now));
}

void lk_wasm_client_stored(ms now) {
  if (client != NULL) lk_client_stored(client, lk_wasm_time(now));
}

void lk_wasm_client_tick(ms now) {
  if (client != NULL) lk_client_tick(client, lk_wasm_time(now));
}

ms lk_wasm_client_deadline(void) {
  uint64_t at = client == NULL ? LK_CLIENT_NEVER : lk_client_deadline(client);
  return at == LK_CLIENT_NEVER ? __builtin_inf() : (ms)at;
}

static u32 number_of(const lk_client_event *event) {
  static const uint8_t numbers[] = {
    [LK_CLIENT_TOKEN] = EVENT_TOKEN,    [LK_CLIENT_CONNECT] = EVENT_CONNECT,
    [LK_CLIENT_SEND] = EVENT_SEND_TEXT, [LK_CLIENT_HANG_UP] = EVENT_HANG_UP,
    [LK_CLIENT_READY] = EVENT_READY,    [LK_CLIENT_CHANGED] = EVENT_CHANGED,
    [LK_CLIENT_STATUS] = EVENT_STATUS
  };
  bool is_binary = event->kind == LK_CLIENT_SEND && event->is_binary;
  return is_binary ? EVENT_SEND_BINARY : numbers[event->kind];
}

u32 lk_wasm_client_poll(void) {
  lk_client_event event;
  told = 0;
  if (client == NULL || !lk_client_poll(client, &event)) return 0;
  if (event.topic != NULL) told = handle_of(find(event.topic));
  lk_wasm_hand_out(event.bytes);
  return number_of(&event);
}

u32 lk_wasm_client_topic(void) { return told; }

/* ---- status, as JSON ---- */

static void write_text(lk_json_writer *w, const char *key, lk_slice text) {
  (void)lk_json_write_key(w, lk_slice_cstr(key));
  (void)lk_json_write_string(w, text);
}

static void write_number(lk_json_writer *w, const char *key, uint64_t number) {
  (void)lk_json_write_key(w, lk_slice_cstr(key));
  (void)lk_json_write_u64(w, number);
}

static void write_number_or_null(lk_json_writer *w, const char *key, uint64_t number,
                                 uint64_t none) {
  if (number != none) {
    write_number(w, key, number);
    return;
  }
  (void)lk_json_write_key(w, lk_slice_cstr(key));
  (void)lk_json_write_null(w);
}

static void write_bool(lk_json_writer *w, const char *key, bool value) {
  (void)lk_json_write_key(w, lk_slice_cstr(key));
  (void)lk_json_write_bool(w, value);
}

static u32 end_status(lk_json_writer *w, const lk_buf *out) {
  (void)lk_json_end_object(w);
  return lk_wasm_answer(lk_json_writer_finish(w), out);
}

u32 lk_wasm_client_status(void) {
  static const char *const states[] = { [LK_CLIENT_OFFLINE] = "offline",
                                        [LK_CLIENT_CONNECTING] = "connecting",
                                        [LK_CLIENT_ONLINE] = "online" };
  lk_client_status status = { .size = sizeof status };
  lk_json_writer w;
  if (client == NULL) return LK_ERR_INVALID;
  lk_client_get_status(client, &status);
  lk_buf *out = lk_wasm_result(RESULT_MAX);
  lk_json_writer_init(&w, out);
  (void)lk_json_begin_object(&w);
  write_text(&w, "state", lk_slice_cstr(states[status.state]));
  write_number(&w, "storage", status.storage);
  write_number(&w, "pending", status.pending_count);
  write_number(&w, "pendingBytes", status.pending_bytes);
  write_number(&w, "unsaved", status.unsaved_count);
  write_number_or_null(&w, "acknowledgedAt", status.acknowledged_ms, 0);
  write_number_or_null(&w, "roundTrip", status.round_trip_ms, UINT32_MAX);
  write_bool(&w, "full", lk_client_is_full(client));
  return end_status(&w, out);
}

u32 lk_wasm_topic_status(u32 topic) {
  static const char *const states[] = {
    [LK_TOPIC_AWAY] = "away", [LK_TOPIC_JOINED] = "joined", [LK_TOPIC_REFUSED] = "refused"
  };
  const lk_topic *self = topic_of(topic);
  lk_topic_status status = { .size = sizeof status };
  lk_json_writer w;
  if (self == NULL) return LK_ERR_INVALID;
  lk_topic_get_status(self, &status);
  lk_buf *out = lk_wasm_result(RESULT_MAX);
  lk_json_writer_init(&w, out);
  (void)lk_json_begin_object(&w);
  write_text(&w, "state", lk_slice_cstr(states[status.state]));
  write_text(&w, "reason", status.reason);
  write_number(&w, "pending", status.pending_count);
  write_text(&w, "level", status.level);
  write_text(&w, "profile", status.profile);
  write_bool(&w, "readOnly", status.is_read_only);
  write_number(&w, "changes", status.changes);
  write_number(&w, "recorded", status.recorded);
  write_number(&w, "acknowledged", status.acknowledged);
  write_bool(&w, "kept", status.is_kept);
  /* Other after start_anew(), and where the diary was lost: what was made under it is in this diary, or nowhere. */
  write_text(&w, "series", lk_slice_of(self->kept_name, LK_TOPIC_ACTOR_LEN));
  return end_status(&w, out);
}

/* ---- topics ---- */

u32 lk_wasm_topic_open(u32 kind, u32 is_kept, u32 hears_presence, u32 name_len, ms now) {
  lk_slice name;
  lk_topic *topic;
  if (client == NULL || lk_wasm_input(name_len, &name) != LK_OK) return LK_ERR_INVALID;
  lk_err err = make_room();
  if (err != LK_OK) return err;
  err = lk_client_open_topic(client, name, kind, is_kept != 0 ? LK_TOPIC_KEPT : LK_TOPIC_MEMORY,
                             hears_presence != 0, lk_wasm_time(now), &topic);
  if (err != LK_OK) return err;
  slot *s = find(topic);
  if (s == NULL) s = find(NULL);
  s->topic = topic;
  s->holders++;
  lk_wasm_hand_out((lk_slice){ (const uint8_t *)(uintptr_t)handle_of(s), 0 });
  return LK_OK;
}

void lk_wasm_topic_close(u32 topic, ms now) {
  slot *s = slot_of(topic);
  if (s == NULL) return;
  lk_topic *self = s->topic;
  if (--s->holders == 0) free_slot(s);
  lk_topic_close(self, lk_wasm_time(now));
}

static u32 hand_out_number(lk_err err, uint64_t number) {
  lk_buf *out = lk_wasm_result(8);
  if (err == LK_OK) err = lk_buf_append_le64(out, number);
  return lk_wasm_answer(err, out);
}

u32 lk_wasm_topic_merge(u32 topic, u32 len, u32 waits, ms now) {
  lk_topic *self = topic_of(topic);
  lk_slice bytes;
  uint64_t number;
  if (self == NULL || lk_wasm_input(len, &bytes) != LK_OK) return LK_ERR_INVALID;
  lk_err err = lk_topic_merge(self, bytes, waits != 0, lk_wasm_time(now), &number);
  return hand_out_number(err, number);
}

u32 lk_wasm_topic_version(u32 topic) {
  const lk_topic *self = topic_of(topic);
  if (self == NULL) return LK_ERR_INVALID;
  lk_buf *out = lk_wasm_result(RESULT_MAX);
  return lk_wasm_answer(lk_topic_version(self, out), out);
}

u32 lk_wasm_topic_since(u32 topic, u32 len) {
  const lk_topic *self = topic_of(topic);
  lk_slice version;
  if (self == NULL || lk_wasm_input(len, &version) != LK_OK) return LK_ERR_INVALID;
  lk_buf *out = lk_wasm_result(RESULT_MAX);
  return lk_wasm_answer(lk_topic_since(self, version, out), out);
}

u32 lk_wasm_topic_push(u32 topic, u32 event_len, u32 payload_len, u32 is_binary, ms now) {
  lk_topic *self = topic_of(topic);
  lk_slice input;
  uint64_t ref;
  if (self == NULL || lk_wasm_input((uint64_t)event_len + payload_len, &input) != LK_OK)
    return LK_ERR_INVALID;
  lk_slice event = lk_wasm_take(&input, event_len), payload = lk_wasm_take(&input, payload_len);
  lk_err err = lk_topic_push(self, event, payload, is_binary != 0, lk_wasm_time(now), &ref);
  return hand_out_number(err, ref);
}

void lk_wasm_topic_hear_presence(u32 topic, ms now) {
  lk_topic *self = topic_of(topic);
  if (self != NULL) lk_topic_hear_presence(self, lk_wasm_time(now));
}

void lk_wasm_topic_retry(u32 topic, ms now) {
  lk_topic *self = topic_of(topic);
  if (self != NULL) lk_topic_retry(self, lk_wasm_time(now));
}

u32 lk_wasm_topic_start_anew(u32 topic, ms now) {
  lk_topic *self = topic_of(topic);
  return self == NULL ? LK_ERR_INVALID : lk_topic_start_anew(self, lk_wasm_time(now));
}
