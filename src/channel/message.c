/* channel/message.c -- arrays of five, objects of four, and frames with lengths in front.
 *
 *   push, client to server       00 | join_ref_len ref_len topic_len event_len | names | payload
 *   push, server to client       00 | join_ref_len topic_len event_len         | names | payload
 *   reply, server to client      01 | join_ref_len ref_len topic_len status_len| names | payload
 *   broadcast, server to client  02 | topic_len event_len                      | names | payload
 *
 * Each length is one byte. That a push of the server has three of them and one of the client has
 * four is Phoenix's own asymmetry.
 *
 * The payload of a text message is not parsed here but checked and carried as it came: a room
 * that only relays pays nothing for it, and numbers beyond 2^53 survive.
 *
 * Texts are put together from strings, which the JSON writer escapes, and from what is known to be right. The payload
 * comes last in each of them, so that bytes can be put into base64 right where they are to stand. */
#include "channel/message.h"

#include "codec/base64.h"
#include "codec/json_bytes.h"
#include "codec/json_reader.h"
#include "codec/json_writer.h"
#include "codec/reader.h"
#include "codec/utf.h"
#include "codec/varint.h"

#define PREFIX_LEN_MAX (2 + LK_VARUINT_LEN_MAX)
#define NAME_LEN_MAX 255
#define NUMBER_MARK 0xff /* in front of a reference that is a number */
#define REF_DIGITS_MAX 20

/* ---- text ---- */

/* A name in a text message. */
static lk_err take_string(const lk_json_event *event, bool may_be_null, size_t len_max,
                          lk_slice *out) {
  if (event->kind == LK_JSON_NULL && may_be_null) {
    *out = LK_SLICE_EMPTY;
    return LK_OK;
  }
  if (event->kind != LK_JSON_STRING) return LK_ERR_BAD_MESSAGE;
  if (event->text.len > len_max) return LK_ERR_TOO_BIG;
  *out = event->text;
  /* An empty string is not null. */
  if (out->ptr == NULL) out->ptr = (const uint8_t *)"";
  return LK_OK;
}

/* Phoenix echoes whatever stands there, and programs that are none of its clients count in numbers. A whole number is
 * kept with a byte in front that no text has, so that it goes back as what it was; other things are refused. */
static lk_err take_ref(const lk_json_event *event, size_t len_max, lk_arena *arena, lk_slice *out) {
  const lk_slice raw = event->raw;
  if (event->kind != LK_JSON_NUMBER) return take_string(event, true, len_max, out);
  if (raw.len >= len_max || raw.len > REF_DIGITS_MAX) return LK_ERR_TOO_BIG;
  for (size_t i = raw.ptr[0] == '-' ? 1 : 0; i < raw.len; i++) {
    if (raw.ptr[i] < '0' || raw.ptr[i] > '9') return LK_ERR_BAD_MESSAGE;
  }
  uint8_t *copy = lk_arena_push(arena, raw.len + 1);
  if (copy == NULL) return LK_ERR_NOMEM;
  copy[0] = NUMBER_MARK;
  memcpy(copy + 1, raw.ptr, raw.len);
  *out = lk_slice_of(copy, raw.len + 1);
  return LK_OK;
}

static bool is_number(lk_slice ref) { return ref.len > 0 && ref.ptr[0] == NUMBER_MARK; }

/* In a frame references are texts. */
static lk_slice text_of(lk_slice ref) { return is_number(ref) ? lk_slice_skip(ref, 1) : ref; }

static lk_err read_ref(lk_json_reader *in, size_t len_max, lk_arena *arena, lk_slice *out) {
  lk_json_event event;
  lk_err err = lk_json_next(in, &event);
  return err != LK_OK ? err : take_ref(&event, len_max, arena, out);
}

static lk_err read_string(lk_json_reader *in, size_t len_max, lk_slice *out) {
  lk_json_event event;
  lk_err err = lk_json_next(in, &event);
  return err != LK_OK ? err : take_string(&event, false, len_max, out);
}

/* The four that stand before the payload. */
static lk_err read_names(lk_json_reader *in, size_t len_max, lk_arena *arena, lk_message *out) {
  lk_json_event event;
  lk_err err;
  if ((err = lk_json_next(in, &event)) != LK_OK) return err;
  if (event.kind != LK_JSON_ARRAY_BEGIN) return LK_ERR_BAD_MESSAGE;
  if ((err = read_ref(in, len_max, arena, &out->join_ref)) != LK_OK) return err;
  if ((err = read_ref(in, len_max, arena, &out->ref)) != LK_OK) return err;
  if ((err = read_string(in, len_max, &out->topic)) != LK_OK) return err;
  return read_string(in, len_max, &out->event);
}

static lk_err read_array(lk_json_reader *in, size_t len_max, lk_arena *arena, lk_message *out) {
  lk_json_event event;
  lk_slice ignored;
  lk_err err;
  if ((err = read_names(in, len_max, arena, out)) != LK_OK) return err;
  if ((err = lk_json_skip_value(in, &out->payload)) != LK_OK) {
    return err == LK_ERR_END ? LK_ERR_BAD_MESSAGE : err;
  }
  while ((err = lk_json_skip_value(in, &ignored)) == LK_OK) continue;
  if (err != LK_ERR_END) return err;
  if ((err = lk_json_next(in, &event)) != LK_OK) return err;
  return lk_json_finish(in);
}

lk_err lk_message_decode_text(lk_slice text, const lk_limits *limits, lk_arena *arena,
                              lk_message *out) {
  lk_json_reader in;
  lk_message message = { 0 };
  lk_arena_mark mark = lk_arena_get_mark(arena);
  lk_err err = lk_json_reader_init(&in, text, limits, arena);
  if (err == LK_OK) err = read_array(&in, limits->channel_name_bytes, arena, &message);
  if (err != LK_OK) {
    lk_arena_pop_to(arena, mark);
    return err;
  }
  *out = message;
  return LK_OK;
}

static lk_err read_object(lk_json_reader *in, size_t len_max, lk_arena *arena, lk_message *out) {
  enum { JOIN_REF, REF, TOPIC, EVENT, PAYLOAD, MEMBERS };
  lk_json_member m[MEMBERS] = {
    [JOIN_REF] = { .name = LK_LIT_INIT("join_ref") },
    [REF] = { .name = LK_LIT_INIT("ref") },
    [TOPIC] = { .name = LK_LIT_INIT("topic") },
    [EVENT] = { .name = LK_LIT_INIT("event") },
    [PAYLOAD] = { .name = LK_LIT_INIT("payload") }
  };
  lk_err err = lk_json_read_members(in, m, MEMBERS);
  if (err == LK_ERR_TYPE) return LK_ERR_BAD_MESSAGE;
  if (err != LK_OK || (err = lk_json_finish(in)) != LK_OK) return err;
  if (m[PAYLOAD].value.kind == LK_JSON_ABSENT) return LK_ERR_BAD_MESSAGE;
  if (m[JOIN_REF].value.kind == LK_JSON_ABSENT) m[JOIN_REF].value.kind = LK_JSON_NULL;
  out->payload = m[PAYLOAD].raw;
  if ((err = take_ref(&m[JOIN_REF].value, len_max, arena, &out->join_ref)) != LK_OK) return err;
  if ((err = take_ref(&m[REF].value, len_max, arena, &out->ref)) != LK_OK) return err;
  if ((err = take_string(&m[TOPIC].value, false, len_max, &out->topic)) != LK_OK) return err;
  return take_string(&m[EVENT].value, false, len_max, &out->event);
}

lk_err lk_message_decode_text_v1(lk_slice text, const lk_limits *limits, lk_arena *arena,
                                 lk_message *out) {
  lk_json_reader in;
  lk_message message = { 0 };
  lk_arena_mark mark = lk_arena_get_mark(arena);
  lk_err err = lk_json_reader_init(&in, text, limits, arena);
  if (err == LK_OK) err = read_object(&in, limits->channel_name_bytes, arena, &message);
  if (err != LK_OK) {
    lk_arena_pop_to(arena, mark);
    return err;
  }
  *out = message;
  return LK_OK;
}

/* ---- binary ---- */

static lk_err read_name(lk_reader *in, uint8_t len, lk_slice *out) {
  if (lk_reader_bytes(in, len, out) != LK_OK) return LK_ERR_BAD_MESSAGE;
  return lk_utf8_check(*out);
}

lk_err lk_message_decode_binary(lk_slice bytes, lk_message *out) {
  lk_message m = { .binary = true };
  lk_reader in = lk_reader_of(bytes);
  lk_slice head;
  lk_err err;
  if (lk_reader_bytes(&in, 5, &head) != LK_OK || head.ptr[0] != 0) return LK_ERR_BAD_MESSAGE;
  if ((err = read_name(&in, head.ptr[1], &m.join_ref)) != LK_OK) return err;
  if ((err = read_name(&in, head.ptr[2], &m.ref)) != LK_OK) return err;
  if ((err = read_name(&in, head.ptr[3], &m.topic)) != LK_OK) return err;
  if ((err = read_name(&in, head.ptr[4], &m.event)) != LK_OK) return err;
  /* The client writes an absent reference as an empty one. */
  if (m.join_ref.len == 0) m.join_ref = LK_SLICE_EMPTY;
  if (m.ref.len == 0) m.ref = LK_SLICE_EMPTY;
  m.payload = lk_reader_rest(&in);
  *out = m;
  return LK_OK;
}

static lk_err decode_frame(lk_slice bytes, size_t len_max, lk_message *out) {
  lk_message message;
  lk_err err = lk_message_decode_binary(bytes, &message);
  if (err != LK_OK) return err;
  size_t len = lk_max_size(lk_max_size(message.join_ref.len, message.ref.len),
                           lk_max_size(message.topic.len, message.event.len));
  if (len > len_max) return LK_ERR_TOO_BIG;
  *out = message;
  return LK_OK;
}

lk_err lk_message_decode(lk_message_form form, lk_slice bytes, bool is_binary,
                         const lk_limits *limits, lk_arena *arena, lk_message *out) {
  if (form == LK_MESSAGE_V1) {
    return is_binary ? LK_ERR_BAD_MESSAGE : lk_message_decode_text_v1(bytes, limits, arena, out);
  }
  if (!is_binary) return lk_message_decode_text(bytes, limits, arena, out);
  return decode_frame(bytes, limits->channel_name_bytes, out);
}

static lk_err decode_beginning_of_text(lk_slice text, const lk_limits *limits, lk_arena *arena,
                                       lk_message *out) {
  lk_json_reader in;
  lk_message message = { 0 };
  lk_arena_mark mark = lk_arena_get_mark(arena);
  lk_err err = lk_json_reader_init(&in, text, limits, arena);
  if (err == LK_OK) err = read_names(&in, limits->channel_name_bytes, arena, &message);
  if (err == LK_OK) *out = message;
  else lk_arena_pop_to(arena, mark);
  return err;
}

lk_err lk_message_decode_beginning(lk_message_form form, lk_slice bytes, bool is_binary,
                                   const lk_limits *limits, lk_arena *arena, lk_message *out) {
  if (form == LK_MESSAGE_V1 || form == LK_MESSAGE_Y) return LK_ERR_TOO_BIG;
  if (!is_binary) return decode_beginning_of_text(bytes, limits, arena, out);
  lk_err err = decode_frame(bytes, limits->channel_name_bytes, out);
  if (err == LK_OK) out->payload = LK_SLICE_EMPTY;
  return err;
}

/* ---- writing texts ----
 *
 * The first error is kept; the buffer has its own. */

typedef struct text_out {
  lk_buf *buf;
  size_t start;
  lk_err err;
} text_out;

static text_out text_begin(lk_buf *buf) { return (text_out){ buf, buf->len, lk_buf_err(buf) }; }

/* All or nothing: an error cuts off what was written, unless the buffer had failed before. */
static lk_err text_end(const text_out *self, bool was_good) {
  lk_err err = self->err != LK_OK ? self->err : lk_buf_err(self->buf);
  if (err != LK_OK && was_good) lk_buf_truncate(self->buf, self->start);
  return err;
}

static void put(text_out *self, lk_slice text) { (void)lk_buf_append(self->buf, text); }

static void put_string(text_out *self, lk_slice text) {
  lk_json_writer w;
  lk_json_writer_init(&w, self->buf);
  (void)lk_json_write_string(&w, text);
  lk_err err = lk_json_writer_finish(&w);
  if (self->err == LK_OK) self->err = err;
}

static void put_string_or_null(text_out *self, lk_slice text) {
  if (text.ptr == NULL) put(self, LK_LIT("null"));
  else if (is_number(text)) put(self, text_of(text));
  else put_string(self, text);
}

static void put_array(text_out *self, lk_slice bytes) {
  put(self, LK_LIT("{\"bin\":"));
  lk_err err = lk_json_append_bytes(self->buf, bytes);
  if (self->err == LK_OK) self->err = err;
  put(self, LK_LIT("}"));
}

/* {"b64":"..."} of both one behind the other. Base64 goes by threes: the first ones are gathered from both. */
static void put_base64(text_out *self, lk_slice prefix, lk_slice bytes) {
  uint8_t first[PREFIX_LEN_MAX + 2];
  size_t len = prefix.len;
  LK_ASSERT(len <= PREFIX_LEN_MAX);
  if (len > 0) memcpy(first, prefix.ptr, len);
  for (; len % 3 != 0 && bytes.len > 0; bytes = lk_slice_skip(bytes, 1))
    first[len++] = bytes.ptr[0];
  put(self, LK_LIT("{\"b64\":\""));
  (void)lk_base64_encode(self->buf, lk_slice_of(first, len), LK_BASE64_FORM_STANDARD);
  if (bytes.len > 0) (void)lk_base64_encode(self->buf, bytes, LK_BASE64_FORM_STANDARD);
  put(self, LK_LIT("\"}"));
}

static void put_payload(text_out *self, const lk_message *m, lk_slice prefix) {
  if (!m->binary) put(self, m->payload);
  else if (m->dialect == LK_DIALECT_ARRAY) put_array(self, m->payload);
  else put_base64(self, prefix, m->payload);
}

/* All that stands before the payload. */
static void put_head(text_out *self, lk_message_form form, const lk_message *m, lk_slice event) {
  bool is_v1 = form == LK_MESSAGE_V1;
  if (is_v1) {
    put(self, LK_LIT("{\"topic\":"));
  } else {
    put(self, LK_LIT("["));
    put_string_or_null(self, m->join_ref);
    put(self, LK_LIT(","));
    put_string_or_null(self, m->ref);
    put(self, LK_LIT(","));
  }
  put_string(self, m->topic);
  put(self, is_v1 ? LK_LIT(",\"event\":") : LK_LIT(","));
  put_string(self, event);
  if (is_v1) {
    put(self, LK_LIT(",\"ref\":"));
    put_string_or_null(self, m->ref);
  }
  put(self, is_v1 ? LK_LIT(",\"payload\":") : LK_LIT(","));
}

static void put_tail(text_out *self, lk_message_form form) {
  put(self, form == LK_MESSAGE_V1 ? LK_LIT("}") : LK_LIT("]"));
}

static lk_err encode_text(lk_message_form form, const lk_message *m, lk_slice prefix, lk_buf *out) {
  text_out text = text_begin(out);
  bool was_good = text.err == LK_OK;
  put_head(&text, form, m, m->event);
  put_payload(&text, m, prefix);
  put_tail(&text, form);
  return text_end(&text, was_good);
}

static lk_err encode_reply_text(lk_message_form form, const lk_message *m, lk_slice status,
                                lk_buf *out) {
  text_out text = text_begin(out);
  bool was_good = text.err == LK_OK;
  put_head(&text, form, m, LK_LIT("phx_reply"));
  put(&text, LK_LIT("{\"status\":"));
  put_string(&text, status);
  put(&text, LK_LIT(",\"response\":"));
  put_payload(&text, m, LK_SLICE_EMPTY);
  put(&text, LK_LIT("}"));
  put_tail(&text, form);
  return text_end(&text, was_good);
}

/* ---- writing frames ---- */

static lk_err write_frame(uint8_t kind, const lk_slice *names, size_t count, lk_slice prefix,
                          lk_slice payload, lk_buf *out) {
  lk_err err;
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  for (size_t i = 0; i < count; i++) {
    if (names[i].len > NAME_LEN_MAX) return LK_ERR_TOO_BIG;
    if ((err = lk_utf8_check(names[i])) != LK_OK) return err;
  }
  size_t start = out->len;
  lk_buf_append_u8(out, kind);
  for (size_t i = 0; i < count; i++) lk_buf_append_u8(out, (uint8_t)names[i].len);
  for (size_t i = 0; i < count; i++) lk_buf_append(out, names[i]);
  lk_buf_append(out, prefix);
  err = lk_buf_append(out, payload);
  if (err != LK_OK) lk_buf_truncate(out, start);
  return err;
}

static lk_err write_bytes(lk_slice prefix, lk_slice payload, lk_buf *out) {
  size_t start = out->len;
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  lk_buf_append(out, prefix);
  lk_err err = lk_buf_append(out, payload);
  if (err != LK_OK) lk_buf_truncate(out, start);
  return err;
}

/* ---- what a server sends ---- */

/* What stands before the payload for who reads y-protocols' messages; the event is then another, too. */
typedef struct dressed {
  lk_message m;
  uint8_t prefix[PREFIX_LEN_MAX];
  size_t prefix_len;
} dressed;

typedef enum y_event { Y_NONE, Y_UPDATE, Y_AWARENESS, Y_MESSAGE } y_event;

static y_event y_event_of(const lk_message *m) {
  if (!m->binary) return Y_NONE;
  if (lk_slice_equal(m->event, LK_LIT("server_update"))) return Y_UPDATE;
  if (lk_slice_equal(m->event, LK_LIT("awareness"))) return Y_AWARENESS;
  return lk_slice_equal(m->event, LK_LIT("yjs")) ? Y_MESSAGE : Y_NONE;
}

bool lk_message_is_sayable(lk_message_form form, const lk_message *m) {
  return form != LK_MESSAGE_Y || y_event_of(m) != Y_NONE;
}

/* sync 2 update, or awareness: channel/y_sync.h. */
static dressed dress(lk_message_form form, const lk_message *m) {
  dressed d = { .m = *m };
  y_event event = Y_NONE;
  if (form == LK_MESSAGE_Y || m->dialect == LK_DIALECT_YJS) event = y_event_of(m);
  if (event == Y_NONE) return d;
  d.m.event = LK_LIT("yjs");
  if (event == Y_MESSAGE) return d;
  d.prefix[d.prefix_len++] = event == Y_UPDATE ? 0 : 1;
  if (event == Y_UPDATE) d.prefix[d.prefix_len++] = 2;
  d.prefix_len += lk_varuint_store(d.prefix + d.prefix_len, m->payload.len);
  return d;
}

static lk_slice prefix_of(const dressed *d) { return lk_slice_of(d->prefix, d->prefix_len); }

/* Whether a message goes as a frame. */
static bool is_frame(lk_message_form form, const lk_message *m) {
  LK_ASSERT((uint32_t)form < LK_MESSAGE_FORMS);
  return m->binary && form == LK_MESSAGE_V2 && m->dialect != LK_DIALECT_ARRAY &&
         m->dialect != LK_DIALECT_BASE64;
}

lk_err lk_message_encode_text(const lk_message *m, lk_buf *out) {
  return encode_text(LK_MESSAGE_V2, m, LK_SLICE_EMPTY, out);
}

lk_err lk_message_encode_push(lk_message_form form, const lk_message *m, lk_buf *out,
                              bool *is_binary) {
  const dressed d = dress(form, m);
  const lk_slice names[] = { text_of(m->join_ref), m->topic, d.m.event };
  *is_binary = is_frame(form, m) || form == LK_MESSAGE_Y;
  LK_ASSERT(lk_message_is_sayable(form, m));
  if (form == LK_MESSAGE_Y) return write_bytes(prefix_of(&d), m->payload, out);
  return *is_binary ? write_frame(0, names, 3, prefix_of(&d), m->payload, out)
                    : encode_text(form, &d.m, prefix_of(&d), out);
}

lk_err lk_message_encode_reply(lk_message_form form, const lk_message *m, lk_slice status,
                               lk_buf *out, bool *is_binary) {
  const lk_slice names[] = { text_of(m->join_ref), text_of(m->ref), m->topic, status };
  LK_ASSERT(form != LK_MESSAGE_Y);
  *is_binary = is_frame(form, m);
  return *is_binary ? write_frame(1, names, 4, LK_SLICE_EMPTY, m->payload, out)
                    : encode_reply_text(form, m, status, out);
}

lk_err lk_message_encode_broadcast(lk_message_form form, const lk_message *message, lk_buf *out,
                                   bool *is_binary) {
  dressed d = dress(form, message);
  const lk_slice names[] = { d.m.topic, d.m.event };
  d.m.join_ref = d.m.ref = LK_SLICE_EMPTY;
  LK_ASSERT(lk_message_is_sayable(form, message));
  *is_binary = is_frame(form, message) || form == LK_MESSAGE_Y;
  if (form == LK_MESSAGE_Y) return write_bytes(prefix_of(&d), d.m.payload, out);
  return *is_binary ? write_frame(2, names, 2, prefix_of(&d), d.m.payload, out)
                    : encode_text(form, &d.m, prefix_of(&d), out);
}
