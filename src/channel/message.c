/* channel/message.c -- arrays of five, and frames with lengths in front.
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
 * that only relays pays nothing for it, and numbers beyond 2^53 survive. */
#include "channel/message.h"

#include "codec/json_reader.h"
#include "codec/json_writer.h"
#include "codec/reader.h"
#include "codec/utf.h"

#define NAME_LEN_MAX 255

/* ---- text ---- */

static lk_err read_string(lk_json_reader *in, bool may_be_null, size_t len_max, lk_slice *out) {
  lk_json_event event;
  lk_err err = lk_json_next(in, &event);
  if (err != LK_OK) return err;
  if (event.kind == LK_JSON_NULL && may_be_null) {
    *out = LK_SLICE_EMPTY;
    return LK_OK;
  }
  if (event.kind != LK_JSON_STRING) return LK_ERR_BAD_MESSAGE;
  if (event.text.len > len_max) return LK_ERR_TOO_BIG;
  *out = event.text;
  /* An empty string is not null. */
  if (out->ptr == NULL) out->ptr = (const uint8_t *)"";
  return LK_OK;
}

static lk_err read_array(lk_json_reader *in, size_t len_max, lk_message *out) {
  lk_json_event event;
  lk_slice ignored;
  lk_err err;
  if ((err = lk_json_next(in, &event)) != LK_OK) return err;
  if (event.kind != LK_JSON_ARRAY_BEGIN) return LK_ERR_BAD_MESSAGE;
  if ((err = read_string(in, true, len_max, &out->join_ref)) != LK_OK) return err;
  if ((err = read_string(in, true, len_max, &out->ref)) != LK_OK) return err;
  if ((err = read_string(in, false, len_max, &out->topic)) != LK_OK) return err;
  if ((err = read_string(in, false, len_max, &out->event)) != LK_OK) return err;
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
  if (err == LK_OK) err = read_array(&in, limits->channel_name_bytes, &message);
  if (err != LK_OK) {
    lk_arena_pop_to(arena, mark);
    return err;
  }
  *out = message;
  return LK_OK;
}

static void write_string_or_null(lk_json_writer *w, lk_slice text) {
  if (text.ptr == NULL) (void)lk_json_write_null(w);
  else (void)lk_json_write_string(w, text);
}

static void write_head(lk_json_writer *w, const lk_message *message, lk_slice event) {
  (void)lk_json_begin_array(w);
  write_string_or_null(w, message->join_ref);
  write_string_or_null(w, message->ref);
  (void)lk_json_write_string(w, message->topic);
  (void)lk_json_write_string(w, event);
}

lk_err lk_message_encode_text(const lk_message *message, lk_buf *out) {
  lk_json_writer w;
  lk_json_writer_init(&w, out);
  write_head(&w, message, message->event);
  (void)lk_json_write_raw(&w, message->payload);
  (void)lk_json_end_array(&w);
  return lk_json_writer_finish(&w);
}

lk_err lk_message_encode_reply(const lk_message *message, lk_slice status, lk_slice response,
                               lk_buf *out) {
  lk_json_writer w;
  lk_json_writer_init(&w, out);
  write_head(&w, message, LK_LIT("phx_reply"));
  (void)lk_json_begin_object(&w);
  (void)lk_json_write_key(&w, LK_LIT("status"));
  (void)lk_json_write_string(&w, status);
  (void)lk_json_write_key(&w, LK_LIT("response"));
  (void)lk_json_write_raw(&w, response);
  (void)lk_json_end_object(&w);
  (void)lk_json_end_array(&w);
  return lk_json_writer_finish(&w);
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

static lk_err write_frame(uint8_t kind, const lk_slice *names, size_t count, lk_slice payload,
                          lk_buf *out) {
  for (size_t i = 0; i < count; i++) {
    if (names[i].len > NAME_LEN_MAX) return LK_ERR_TOO_BIG;
  }
  size_t start = out->len;
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  lk_buf_append_u8(out, kind);
  for (size_t i = 0; i < count; i++) lk_buf_append_u8(out, (uint8_t)names[i].len);
  for (size_t i = 0; i < count; i++) lk_buf_append(out, names[i]);
  lk_err err = lk_buf_append(out, payload);
  if (err != LK_OK) lk_buf_truncate(out, start);
  return err;
}

lk_err lk_message_encode_binary_push(const lk_message *m, lk_buf *out) {
  const lk_slice names[] = { m->join_ref, m->topic, m->event };
  return write_frame(0, names, 3, m->payload, out);
}

lk_err lk_message_encode_binary_reply(const lk_message *m, lk_buf *out) {
  const lk_slice names[] = { m->join_ref, m->ref, m->topic, m->event };
  return write_frame(1, names, 4, m->payload, out);
}

lk_err lk_message_encode_binary_broadcast(const lk_message *m, lk_buf *out) {
  const lk_slice names[] = { m->topic, m->event };
  return write_frame(2, names, 2, m->payload, out);
}
