/* peer/frame.c -- the serializer of phoenix.js, both ways. */
#include "peer/frame.h"

#include "codec/base64.h"
#include "codec/json_reader.h"
#include "codec/reader.h"
#include "codec/utf.h"

enum { KIND_PUSH, KIND_REPLY, KIND_BROADCAST };

/* ---- writing ---- */

static lk_err encode_binary(const lk_message *m, lk_buf *out) {
  const lk_slice names[] = { m->join_ref, m->ref, m->topic, m->event };
  size_t start = out->len;
  for (size_t i = 0; i < 4; i++) {
    if (names[i].len > UINT8_MAX) return LK_ERR_TOO_BIG;
  }
  (void)lk_buf_append_u8(out, KIND_PUSH);
  for (size_t i = 0; i < 4; i++) (void)lk_buf_append_u8(out, (uint8_t)names[i].len);
  for (size_t i = 0; i < 4; i++) (void)lk_buf_append(out, names[i]);
  lk_err err = lk_buf_append(out, m->payload);
  if (err != LK_OK) lk_buf_truncate(out, start);
  return err;
}

lk_err lk_frame_encode(const lk_message *message, lk_buf *out, bool *is_binary) {
  *is_binary = message->binary;
  return message->binary ? encode_binary(message, out) : lk_message_encode_text(message, out);
}

/* ---- reading ---- */

static lk_err read_name(lk_reader *in, uint8_t len, lk_slice *out) {
  if (lk_reader_bytes(in, len, out) != LK_OK) return LK_ERR_BAD_MESSAGE;
  return lk_utf8_check(*out);
}

/* The |count| names that stand behind their lengths. */
static lk_err read_names(lk_reader *in, lk_slice *out, size_t count) {
  lk_slice lens;
  if (lk_reader_bytes(in, count, &lens) != LK_OK) return LK_ERR_BAD_MESSAGE;
  for (size_t i = 0; i < count; i++) {
    lk_err err = read_name(in, lens.ptr[i], &out[i]);
    if (err != LK_OK) return err;
  }
  return LK_OK;
}

/* As in a text, where there is none it is null. */
static lk_slice ref_of(lk_slice name) { return name.len > 0 ? name : LK_SLICE_EMPTY; }

static lk_err decode_binary(lk_slice bytes, lk_frame *out) {
  static const uint8_t counts[] = { [KIND_PUSH] = 3, [KIND_REPLY] = 4, [KIND_BROADCAST] = 2 };
  lk_reader in = lk_reader_of(bytes);
  lk_slice names[4];
  uint8_t kind;
  if (lk_reader_u8(&in, &kind) != LK_OK || kind > KIND_BROADCAST) return LK_ERR_BAD_MESSAGE;
  lk_err err = read_names(&in, names, counts[kind]);
  if (err != LK_OK) return err;
  lk_frame frame = { .message = { .binary = true, .payload = lk_reader_rest(&in) } };
  lk_message *m = &frame.message;
  m->topic = names[counts[kind] - 2];
  if (kind == KIND_REPLY) {
    frame.is_reply = true;
    frame.status = names[3];
    m->ref = ref_of(names[1]);
    m->event = LK_LIT("phx_reply");
  } else {
    m->event = names[counts[kind] - 1];
  }
  if (kind != KIND_BROADCAST) m->join_ref = ref_of(names[0]);
  *out = frame;
  return LK_OK;
}

/* {"status":..., "response":...} */
static lk_err open_reply(const lk_limits *limits, lk_arena *arena, lk_frame *frame) {
  lk_json_member members[2] = { { .name = LK_LIT("status") }, { .name = LK_LIT("response") } };
  lk_json_reader in;
  lk_err err = lk_json_reader_init(&in, frame->message.payload, limits, arena);
  if (err == LK_OK) err = lk_json_read_members(&in, members, 2);
  if (err == LK_ERR_TYPE) err = LK_ERR_BAD_MESSAGE;
  if (err != LK_OK) return err;
  if (members[0].value.kind != LK_JSON_STRING || members[1].value.kind == LK_JSON_ABSENT)
    return LK_ERR_BAD_MESSAGE;
  frame->is_reply = true;
  frame->status = members[0].value.text;
  frame->message.payload = members[1].raw;
  return LK_OK;
}

static lk_err decode_text(lk_slice text, const lk_limits *limits, lk_arena *arena, lk_frame *out) {
  lk_frame frame = { 0 };
  lk_arena_mark mark = lk_arena_get_mark(arena);
  lk_err err = lk_message_decode_text(text, limits, arena, &frame.message);
  if (err == LK_OK && lk_slice_equal(frame.message.event, LK_LIT("phx_reply")))
    err = open_reply(limits, arena, &frame);
  if (err == LK_OK) *out = frame;
  else lk_arena_pop_to(arena, mark);
  return err;
}

lk_err lk_frame_decode(lk_slice bytes, bool is_binary, const lk_limits *limits, lk_arena *arena,
                       lk_frame *out) {
  return is_binary ? decode_binary(bytes, out) : decode_text(bytes, limits, arena, out);
}

/* ---- bytes in a text ---- */

#define BYTES_BEGIN LK_LIT("{\"b64\":\"")
#define BYTES_AROUND (BYTES_BEGIN.len + 2) /* "} */

lk_err lk_frame_open_bytes(lk_frame *frame, lk_arena *arena) {
  lk_message *m = &frame->message;
  lk_slice text = m->payload;
  if (m->binary || text.len < BYTES_AROUND || !lk_slice_starts_with(text, BYTES_BEGIN))
    return LK_OK;
  /* The payload is JSON. Where it ends otherwise, there is a quotation mark in between, which is no base64. */
  text = lk_slice_of(text.ptr + BYTES_BEGIN.len, text.len - BYTES_AROUND);
  lk_buf out = { .ptr = lk_arena_push_bytes(arena, text.len), .cap = text.len, .max = text.len };
  if (out.ptr == NULL) return LK_ERR_NOMEM;
  if (lk_base64_decode(&out, text, LK_BASE64_FORM_STANDARD) == LK_OK) {
    m->payload = lk_buf_slice(&out);
    m->binary = true;
  } else {
    LK_COVERED(frame_is_no_base64); /* somebody's own JSON */
  }
  return LK_OK;
}
