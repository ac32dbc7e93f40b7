/* peer/watcher.c -- messages become events, events become pairs of names and values, pairs become a line.
 *
 * A server's frames have one of three heads, with a byte for the length of each name:
 *
 *   push       0 join_ref topic event     payload
 *   reply      1 join_ref ref topic status
 *   broadcast  2 topic event */
#include "peer/watcher.h"

#include "channel/message.h"
#include "codec/json_reader.h"
#include "codec/json_writer.h"
#include "codec/reader.h"
#include "codec/varint.h"
#include "doc/update.h"
#include "laniakea/update.h"

#define SCRATCH_MAX ((size_t)256 << 20)
#define JOIN_REF "1"
#define CONTENT_SHOWN 4096u

/* ---- lines ---- */

typedef struct line {
  lk_watcher *watcher;
  lk_buf *out;
  lk_json_writer json;
} line;

static void put(line *l, lk_slice text) { (void)lk_buf_append(l->out, text); }

static void put_name(line *l, const char *name) {
  if (l->watcher->as_json) {
    (void)lk_json_write_key(&l->json, lk_slice_cstr(name));
    return;
  }
  put(l, LK_LIT(" "));
  put(l, lk_slice_cstr(name));
  put(l, LK_LIT("="));
}

static void put_number(line *l, const char *name, uint64_t value) {
  put_name(l, name);
  if (l->watcher->as_json) (void)lk_json_write_u64(&l->json, value);
  else (void)lk_buf_append_decimal(l->out, value);
}

static void put_text(line *l, const char *name, lk_slice text) {
  lk_json_writer quoted;
  put_name(l, name);
  if (l->watcher->as_json) {
    (void)lk_json_write_string(&l->json, text);
    return;
  }
  lk_json_writer_init(&quoted, l->out);
  (void)lk_json_write_string(&quoted, text);
  (void)lk_json_writer_finish(&quoted);
}

/* JSON as it came; it is for those who asked for content. */
static void put_json(line *l, const char *name, lk_slice json) {
  if (!l->watcher->with_content || json.len == 0) return;
  put_name(l, name);
  if (l->watcher->as_json) (void)lk_json_write_raw(&l->json, json);
  else put(l, lk_slice_first(json, CONTENT_SHOWN));
}

static void begin_line(line *l, uint64_t wall_ms, lk_slice event) {
  lk_json_writer_init(&l->json, l->out);
  if (!l->watcher->as_json) {
    put(l, event);
    return;
  }
  (void)lk_json_begin_object(&l->json);
  put_number(l, "at", wall_ms);
  put_text(l, "event", event);
}

static lk_err end_line(line *l) {
  if (!l->watcher->as_json) return lk_buf_err(l->out);
  (void)lk_json_end_object(&l->json);
  return lk_json_writer_finish(&l->json);
}

/* ---- documents ---- */

static lk_err read_structs(line *l, lk_update_reader *in, lk_buf *text, uint64_t *writer) {
  uint64_t clock, count;
  lk_struct s;
  lk_err err = LK_OK;
  while (err == LK_OK && (err = lk_update_next_client(in, writer, &clock, &count)) == LK_OK) {
    while ((err = lk_update_next_struct(in, &s)) == LK_OK) {
      if (s.kind == LK_CONTENT_STRING && text->len < CONTENT_SHOWN)
        (void)lk_buf_append(text, s.text.text);
    }
    if (err == LK_ERR_END) err = LK_OK;
  }
  (void)l;
  return err == LK_ERR_END ? LK_OK : err;
}

/* Who wrote it, where that is one, and the texts where they are wanted. */
static void put_inserted(line *l, lk_slice update, uint64_t clients) {
  lk_update_reader in;
  uint64_t writer = 0;
  lk_buf text;
  lk_watcher *w = l->watcher;
  lk_buf_init(&text, w->env->alloc, CONTENT_SHOWN + w->limits->doc_update_bytes);
  lk_err err = lk_update_reader_init(&in, LK_UPDATE_V1, update, w->limits->any_depth, &w->scratch);
  if (err == LK_OK) err = read_structs(l, &in, &text, &writer);
  if (err == LK_OK && clients == 1) put_number(l, "by", writer);
  if (err == LK_OK && w->with_content) put_text(l, "text", lk_buf_slice(&text));
  lk_buf_deinit(&text);
}

static void put_update(line *l, lk_slice update) {
  lk_update_summary summary = { .size = sizeof summary };
  put_number(l, "bytes", update.len);
  lk_err err = lk_update_check(l->watcher->env, LK_UPDATE_V1, update, &summary);
  if (err != LK_OK) {
    put_text(l, "error", lk_slice_cstr(lk_err_name(err)));
    return;
  }
  put_number(l, "structs", summary.structs);
  put_number(l, "clients", summary.clients);
  put_number(l, "text_bytes", summary.kind_bytes[LK_CONTENT_STRING]);
  put_number(l, "deleted", summary.deleted_units);
  put_inserted(l, update, summary.clients);
}

/* Of y-protocols' awareness: how many clients, and how many of them have gone. */
static lk_err read_awareness(lk_reader *in, uint64_t *count, uint64_t *gone) {
  uint64_t client, clock, len;
  lk_slice state;
  lk_err err = lk_varuint_decode(in, UINT32_MAX, count);
  for (uint64_t i = 0; err == LK_OK && i < *count; i++) {
    err = lk_varuint_decode(in, UINT64_MAX >> 11, &client);
    if (err == LK_OK) err = lk_varuint_decode(in, UINT64_MAX >> 11, &clock);
    if (err == LK_OK) err = lk_varuint_decode(in, UINT32_MAX, &len);
    if (err == LK_OK) err = lk_reader_bytes(in, len, &state);
    if (err == LK_OK && lk_slice_equal(state, LK_LIT("null"))) (*gone)++;
  }
  return err;
}

static void put_awareness(line *l, lk_slice bytes) {
  lk_reader in = lk_reader_of(bytes);
  uint64_t count = 0, gone = 0;
  put_number(l, "bytes", bytes.len);
  lk_err err = read_awareness(&in, &count, &gone);
  if (err != LK_OK) {
    put_text(l, "error", lk_slice_cstr(lk_err_name(err)));
    return;
  }
  put_number(l, "clients", count);
  put_number(l, "gone", gone);
}

/* ---- presence ---- */

/* The names of an object's members, with ", " between them. */
static lk_err read_keys(lk_watcher *self, lk_slice json, lk_buf *out) {
  lk_json_reader in;
  lk_json_event event;
  lk_slice ignored;
  lk_err err = lk_json_reader_init(&in, json, self->limits, &self->scratch);
  if (err == LK_OK) err = lk_json_next(&in, &event);
  if (err == LK_OK && event.kind != LK_JSON_OBJECT_BEGIN) err = LK_ERR_TYPE;
  while (err == LK_OK) {
    err = lk_json_next(&in, &event);
    if (err != LK_OK || event.kind == LK_JSON_OBJECT_END) break;
    if (out->len > 0) (void)lk_buf_append(out, LK_LIT(", "));
    (void)lk_buf_append(out, event.text);
    err = lk_json_skip_value(&in, &ignored);
  }
  return err == LK_OK ? lk_buf_err(out) : err;
}

static void put_keys(line *l, const char *name, lk_slice json) {
  lk_buf keys;
  lk_buf_init(&keys, l->watcher->env->alloc, (size_t)1 << 20);
  if (json.len > 0 && read_keys(l->watcher, json, &keys) == LK_OK)
    put_text(l, name, lk_buf_slice(&keys));
  lk_buf_deinit(&keys);
}

static lk_err read_two(lk_watcher *self, lk_slice json, lk_json_member members[2]) {
  lk_json_reader in;
  lk_err err = lk_json_reader_init(&in, json, self->limits, &self->scratch);
  return err == LK_OK ? lk_json_read_members(&in, members, 2) : err;
}

static void put_diff(line *l, lk_slice json) {
  lk_json_member members[2] = { { .name = LK_LIT("joins") }, { .name = LK_LIT("leaves") } };
  if (read_two(l->watcher, json, members) != LK_OK) return;
  put_keys(l, "joins", members[0].raw);
  put_keys(l, "leaves", members[1].raw);
}

/* ---- messages ---- */

static lk_err read_name(lk_reader *in, uint8_t len, lk_slice *out) {
  return lk_reader_bytes(in, len, out);
}

/* |reply| has the status where it is one. */
static lk_err decode_frame(lk_slice bytes, lk_message *out, lk_slice *reply) {
  lk_reader in = lk_reader_of(bytes);
  uint8_t kind = 0, lens[4] = { 0 };
  lk_slice names[4] = { { 0 } };
  lk_err err = lk_reader_u8(&in, &kind);
  if (err == LK_OK && kind > 2) err = LK_ERR_BAD_MESSAGE;
  uint32_t count = kind == 0 ? 3 : kind == 1 ? 4 : 2;
  for (uint32_t i = 0; err == LK_OK && i < count; i++) err = lk_reader_u8(&in, &lens[i]);
  for (uint32_t i = 0; err == LK_OK && i < count; i++) err = read_name(&in, lens[i], &names[i]);
  if (err != LK_OK) return LK_ERR_BAD_MESSAGE;
  *out = (lk_message){ .binary = true, .payload = lk_reader_rest(&in) };
  out->topic = names[count - 2];
  out->event = kind == 1 ? LK_LIT("phx_reply") : names[count - 1];
  if (kind != 2) out->join_ref = names[0];
  if (kind == 1) {
    out->ref = names[1];
    *reply = names[3];
  }
  return LK_OK;
}

/* The status and the response of a reply that is JSON. */
static lk_err open_reply(lk_watcher *self, lk_message *m, lk_slice *status) {
  lk_json_member members[2] = { { .name = LK_LIT("status") }, { .name = LK_LIT("response") } };
  lk_err err = read_two(self, m->payload, members);
  if (err != LK_OK || members[0].value.kind != LK_JSON_STRING) return LK_ERR_BAD_MESSAGE;
  *status = members[0].value.text;
  m->payload = members[1].raw;
  return LK_OK;
}

/* One text of an object that has it. */
static void put_member(line *l, const char *name, lk_slice json) {
  lk_json_member member = { .name = lk_slice_cstr(name) };
  lk_json_reader in;
  lk_err err = lk_json_reader_init(&in, json, l->watcher->limits, &l->watcher->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, &member, 1);
  if (err == LK_OK && member.value.kind == LK_JSON_STRING) put_text(l, name, member.value.text);
}

static void put_reply(line *l, const lk_message *m, bool is_ok) {
  static const char *const good[] = { "type", "level", "access", "profile" };
  static const char *const bad[] = { "reason", "field", "message" };
  put_number(l, "bytes", m->payload.len);
  if (m->binary) return;
  for (size_t i = 0; is_ok && i < sizeof good / sizeof good[0]; i++)
    put_member(l, good[i], m->payload);
  for (size_t i = 0; !is_ok && i < sizeof bad / sizeof bad[0]; i++)
    put_member(l, bad[i], m->payload);
  put_json(l, "payload", m->payload);
}

static void put_news(line *l, const lk_message *m) {
  if (lk_slice_equal(m->event, LK_LIT("server_update")) && m->binary) {
    put_update(l, m->payload);
  } else if (lk_slice_equal(m->event, LK_LIT("awareness")) && m->binary) {
    put_awareness(l, m->payload);
  } else if (lk_slice_equal(m->event, LK_LIT("presence_state"))) {
    put_keys(l, "present", m->payload);
  } else if (lk_slice_equal(m->event, LK_LIT("presence_diff"))) {
    put_diff(l, m->payload);
  } else {
    put_number(l, "bytes", m->payload.len);
    if (m->binary) return;
    put_member(l, "reason", m->payload);
    put_json(l, "payload", m->payload);
  }
}

static bool is_end(const lk_message *m) {
  return lk_slice_equal(m->event, LK_LIT("phx_error")) ||
         lk_slice_equal(m->event, LK_LIT("phx_close"));
}

static lk_err write_line(lk_watcher *self, const lk_message *m, lk_slice status, uint64_t wall_ms,
                         lk_buf *out, lk_watched *what) {
  line l = { .watcher = self, .out = out };
  bool is_ok = lk_slice_equal(status, LK_LIT("ok"));
  bool is_reply = lk_slice_equal(m->event, LK_LIT("phx_reply"));
  *what = is_reply ? (is_ok ? LK_WATCHED_JOINED : LK_WATCHED_REFUSED)
                   : (is_end(m) ? LK_WATCHED_ENDED : LK_WATCHED_NEWS);
  begin_line(&l, wall_ms, !is_reply ? m->event : is_ok ? LK_LIT("joined") : LK_LIT("refused"));
  if (is_reply) put_reply(&l, m, is_ok);
  else put_news(&l, m);
  return end_line(&l);
}

lk_err lk_watcher_feed(lk_watcher *self, lk_slice bytes, bool is_binary, uint64_t wall_ms,
                       lk_buf *out, lk_watched *what) {
  lk_message m;
  lk_slice status = LK_SLICE_EMPTY;
  size_t before = out->len;
  *what = LK_WATCHED_NOTHING;
  lk_arena_reset(&self->scratch);
  lk_err err = is_binary ? decode_frame(bytes, &m, &status)
                         : lk_message_decode_text(bytes, self->limits, &self->scratch, &m);
  if (err != LK_OK || !lk_slice_equal(m.topic, self->topic)) return err;
  if (lk_slice_equal(m.event, LK_LIT("phx_reply"))) {
    if (!lk_slice_equal(m.ref, LK_LIT(JOIN_REF))) return LK_OK;
    if (!m.binary) err = open_reply(self, &m, &status);
  }
  if (err == LK_OK) err = write_line(self, &m, status, wall_ms, out, what);
  if (err != LK_OK) lk_buf_truncate(out, before);
  return err;
}

/* ---- what a watcher says ---- */

lk_err lk_watcher_join(const lk_watcher *self, lk_buf *out) {
  const lk_message m = { .join_ref = LK_LIT(JOIN_REF),
                         .ref = LK_LIT(JOIN_REF),
                         .topic = self->topic,
                         .event = LK_LIT("phx_join"),
                         .payload = LK_LIT("{\"encoding\":\"binary\",\"presence\":{}}") };
  return lk_message_encode_text(&m, out);
}

lk_err lk_watcher_heartbeat(const lk_watcher *self, lk_buf *out) {
  const lk_message m = { .ref = LK_LIT("heartbeat"),
                         .topic = LK_LIT("phoenix"),
                         .event = LK_LIT("heartbeat"),
                         .payload = LK_LIT("{}") };
  (void)self;
  return lk_message_encode_text(&m, out);
}

void lk_watcher_init(lk_watcher *self, const lk_env *env, const lk_limits *limits, lk_slice topic) {
  *self = (lk_watcher){ .env = env, .limits = limits, .topic = topic };
  lk_arena_init(&self->scratch, env->alloc, SCRATCH_MAX);
}

void lk_watcher_deinit(lk_watcher *self) { lk_arena_deinit(&self->scratch); }
