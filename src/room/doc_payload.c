/* room/doc_payload.c -- what most clients send by far is looked for first: {"bin":[ and {"b64":" at the very front. */
#include "room/doc_payload.h"

#include "codec/base64.h"
#include "codec/json_bytes.h"
#include "codec/json_reader.h"

static lk_err of_array(lk_doc_payload *self, lk_slice text, lk_slice *out) {
  lk_err err = lk_json_parse_bytes(text, self->bytes);
  if (err == LK_OK) *out = lk_buf_slice(self->bytes);
  return err;
}

static lk_err of_base64(lk_doc_payload *self, lk_slice text, lk_slice *out) {
  lk_err err = lk_base64_decode(self->bytes, text, LK_BASE64_FORM_STANDARD);
  if (err == LK_OK) *out = lk_buf_slice(self->bytes);
  return err;
}

/* {"bin":[...]} and nothing else, without space. */
static bool is_plain_array(lk_slice payload, lk_slice *array) {
  if (payload.len < 10 || !lk_slice_starts_with(payload, LK_LIT("{\"bin\":["))) return false;
  *array = lk_slice_first(lk_slice_skip(payload, 7), payload.len - 8);
  return payload.ptr[payload.len - 1] == '}' && array->ptr[array->len - 1] == ']';
}

static lk_err read_members(lk_doc_payload *self, lk_slice text, lk_json_member *members,
                           size_t count) {
  lk_json_reader in;
  lk_err err = lk_json_reader_init(&in, text, self->limits, self->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, members, count);
  if (err == LK_OK) err = lk_json_finish(&in);
  return err == LK_ERR_TYPE ? LK_ERR_PAYLOAD : err;
}

static lk_err of_object(lk_doc_payload *self, lk_slice text, lk_slice *out) {
  lk_json_member members[] = { { .name = LK_LIT("bin") }, { .name = LK_LIT("b64") } };
  lk_err err = read_members(self, text, members, 2);
  if (err != LK_OK) return err;
  if (members[0].value.kind == LK_JSON_ARRAY_BEGIN) {
    self->field = LK_LIT("bin");
    return of_array(self, members[0].raw, out);
  }
  self->field = LK_LIT("b64");
  if (members[1].value.kind == LK_JSON_STRING) return of_base64(self, members[1].value.text, out);
  return LK_ERR_PAYLOAD;
}

lk_err lk_doc_payload_read(lk_doc_payload *self, lk_slice payload, bool is_binary, lk_slice *out) {
  lk_slice array;
  self->field = LK_SLICE_EMPTY;
  lk_buf_truncate(self->bytes, 0);
  if (is_binary) {
    *out = payload;
    return LK_OK;
  }
  if (is_plain_array(payload, &array)) {
    self->field = LK_LIT("bin");
    return of_array(self, array, out);
  }
  return of_object(self, payload, out);
}

static bool is_text(const lk_json_member *member, lk_slice text) {
  return member->value.kind == LK_JSON_STRING && lk_slice_equal(member->value.text, text);
}

static lk_err read_dialect(lk_doc_payload *self, const lk_json_member *encoding,
                           const lk_json_member *dialect, lk_message_dialect *out) {
  *out = LK_DIALECT_ARRAY;
  self->field = LK_LIT("dialect");
  if (dialect->value.kind != LK_JSON_ABSENT && !is_text(dialect, LK_LIT("y")))
    return LK_ERR_PAYLOAD;
  if (dialect->value.kind != LK_JSON_ABSENT) *out = LK_DIALECT_YJS;
  self->field = LK_LIT("encoding");
  if (encoding->value.kind == LK_JSON_ABSENT) return LK_OK;
  if (is_text(encoding, LK_LIT("array"))) return LK_OK;
  if (is_text(encoding, LK_LIT("base64"))) *out = LK_DIALECT_BASE64;
  else if (is_text(encoding, LK_LIT("binary"))) *out = LK_DIALECT_PLAIN;
  else return LK_ERR_PAYLOAD;
  return LK_OK;
}

static lk_err read_vector(lk_doc_payload *self, const lk_json_member *member, lk_slice *out) {
  self->field = LK_LIT("state_vector");
  switch (member->value.kind) {
  case LK_JSON_STRING: return of_base64(self, member->value.text, out);
  case LK_JSON_ARRAY_BEGIN: return of_array(self, member->raw, out);
  case LK_JSON_OBJECT_BEGIN: return of_object(self, member->raw, out);
  default: return LK_ERR_PAYLOAD;
  }
}

lk_err lk_doc_payload_wish(lk_doc_payload *self, lk_slice params, lk_doc_wish *out) {
  lk_json_member members[] = { { .name = LK_LIT("encoding") },
                               { .name = LK_LIT("dialect") },
                               { .name = LK_LIT("state_vector") },
                               { .name = LK_LIT("generation") } };
  *out = (lk_doc_wish){ .dialect = LK_DIALECT_ARRAY };
  self->field = LK_SLICE_EMPTY;
  lk_buf_truncate(self->bytes, 0);
  if (lk_slice_equal(params, LK_LIT("{}"))) return LK_OK;
  lk_err err = read_members(self, params, members, 4);
  if (err == LK_ERR_PAYLOAD) return LK_OK; /* Phoenix has no rule that params are an object */
  if (err == LK_OK) err = read_dialect(self, &members[0], &members[1], &out->dialect);
  if (err != LK_OK) return err;
  out->has_vector = members[2].value.kind != LK_JSON_ABSENT &&
                    members[2].value.kind != LK_JSON_NULL;
  if (out->has_vector) err = read_vector(self, &members[2], &out->vector);
  if (err != LK_OK) return err;
  self->field = LK_LIT("generation");
  if (members[3].value.kind == LK_JSON_STRING) out->generation = members[3].value.text;
  else if (members[3].value.kind != LK_JSON_ABSENT && members[3].value.kind != LK_JSON_NULL)
    return LK_ERR_PAYLOAD;
  return LK_OK;
}
