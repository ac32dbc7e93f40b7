/* server/api_response.c -- from an answer to a response.
 *
 * A body is made first and whole, since its length and its digest stand before it. Rooms say what is wrong in words and in codes
 * of errors.def; a status is chosen by that word alone, from one table. What is in none of its rows is a mistake in the
 * request where the room blames a field, and else ours.
 *
 * Bodies are told apart by a digest of their bytes: whoever has one asks with If-None-Match and is told 304. It costs a
 * little more time here than a number would, but no number is kept by rooms that all of their forms agree with. */
#include "server/api.h"

#include "codec/hex.h"
#include "codec/json_reader.h"
#include "codec/json_writer.h"
#include "crypto/sha256.h"
#include "server/api_list.h"
#include "server/api_page.h"
#include "server/assets.h"
#include "server/routes.h"

#define ETAG_LEN 34u /* 32 digits within quotes */

typedef struct response {
  lk_api_call *call;
  const lk_limits *limits;
  uint16_t status;
  lk_slice type;
  lk_buf body;
  bool is_read; /* it has a digest */
} response;

static const lk_slice types[LK_API_FORMS] = {
#define API_FORM(name, text, type) LK_LIT_INIT(type),
#include "server/api_forms.def"
#undef API_FORM
};

#define JSON_TYPE LK_LIT("application/json")
#define HTML_TYPE LK_LIT("text/html; charset=utf-8")

/* ---- what rooms refuse ---- */

typedef struct status_row {
  const char *reason;
  uint16_t status;
} status_row;

static const status_row statuses[] = {
  { "read_only", 403 },
  { "unauthorized", 403 },
  { "LK_ERR_DENIED", 403 },
  { "forbidden", 403 },
  { "LK_ERR_NOT_FOUND", 404 },
  { "LK_ERR_UNMATCHED_TOPIC", 404 },
  { "LK_ERR_EXISTS", 409 },
  { "type_mismatch", 409 },
  { "LK_ERR_RIGHTS", 409 },
  { "LK_ERR_COLLECTED", 410 },
  { "LK_ERR_TOO_BIG", 413 },
  { "replica_refused", 422 },
  { "LK_ERR_FULL", 429 },
  { "LK_ERR_UNSUPPORTED", 501 },
  { "answer_too_big", 503 },
  { "hook_failed", 503 },
  { "hook_timeout", 504 },
  { "LK_ERR_NOMEM", 503 },
  { "LK_ERR_IO", 503 },
  { "LK_ERR_SYNC", 503 },
  { "LK_ERR_NO_SPACE", 503 },
  { "storage_full", 507 },
  { "LK_ERR_CANCELED", 503 },
  { "LK_ERR_STATE", 503 },
  { "LK_ERR_CLOSED", 503 },
  { "LK_ERR_PERMISSION", 503 },
};

/* Of what is kept, if nobody blames a field for it. */
static const char *const damages[] = { "LK_ERR_CORRUPT", "LK_ERR_TRUNCATED", "LK_ERR_CHECKSUM",
                                       "LK_ERR_VERSION", "LK_ERR_TRAP" };

static bool is(lk_slice text, const char *word) {
  return lk_slice_equal(text, lk_slice_cstr(word));
}

static uint16_t status_of(const lk_api_call *call, lk_slice reason, lk_slice field) {
  bool is_question = call->action == LK_API_READ || call->action == LK_API_SHOW ||
                     call->action == LK_API_LIST || call->action == LK_API_VERSIONS ||
                     call->action == LK_API_VERSION || call->action == LK_API_CHANGES;
  bool is_change = call->rights >= LK_RIGHTS_WRITE && !is_question;
  if (is(reason, "LK_ERR_LIMIT")) return is_change ? 507 : 503;
  for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
    if (is(reason, statuses[i].reason)) return statuses[i].status;
  }
  for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
    if (field.len == 0 && is(reason, damages[i])) return 500;
  }
  return 400;
}

/* Texts live as long as the call. */
static lk_err read_error(response *self, lk_slice payload) {
  lk_json_member members[] = { { .name = LK_LIT("reason") },
                               { .name = LK_LIT("field") },
                               { .name = LK_LIT("message") },
                               { .name = LK_LIT("limit") } };
  lk_json_reader in;
  lk_api_refusal *out = &self->call->refusal;
  *out = (lk_api_refusal){ .status = 500, .reason = LK_LIT("LK_ERR_STATE") };
  lk_err err = lk_json_reader_init(&in, payload, self->limits, &self->call->arena);
  if (err == LK_OK) err = lk_json_read_members(&in, members, 4);
  if (err == LK_ERR_NOMEM) return err;
  if (err != LK_OK || members[0].value.kind != LK_JSON_STRING) return LK_OK;
  out->reason = members[0].value.text;
  if (members[1].value.kind == LK_JSON_STRING) out->field = members[1].value.text;
  if (members[2].value.kind == LK_JSON_STRING) out->message = members[2].value.text;
  if (members[3].value.kind == LK_JSON_STRING) out->limit = members[3].value.text;
  out->status = status_of(self->call, out->reason, out->field);
  bool is_of_versions = self->call->action >= LK_API_SNAPSHOT &&
                        self->call->action <= LK_API_RESTORE;
  if (out->status == 501 && is_of_versions)
    out->message = LK_LIT("this document keeps no versions; the setting versions says which do");
  return LK_OK;
}

/* ---- bodies ---- */

static lk_err write_error_json(const lk_api_refusal *why, lk_buf *out) {
  lk_json_writer w;
  lk_json_writer_init(&w, out);
  (void)lk_json_begin_object(&w);
  (void)lk_json_write_key(&w, LK_LIT("reason"));
  (void)lk_json_write_string(&w, why->reason);
  if (why->field.len > 0) {
    (void)lk_json_write_key(&w, LK_LIT("field"));
    (void)lk_json_write_string(&w, why->field);
  }
  if (why->limit.len > 0) {
    (void)lk_json_write_key(&w, LK_LIT("limit"));
    (void)lk_json_write_string(&w, why->limit);
  }
  (void)lk_json_write_key(&w, LK_LIT("message"));
  (void)lk_json_write_string(&w, why->message);
  (void)lk_json_end_object(&w);
  lk_err err = lk_json_writer_finish(&w);
  return err == LK_OK ? lk_buf_append(out, LK_LIT("\n")) : err;
}

static lk_err write_error(response *self) {
  const lk_api_refusal *why = &self->call->refusal;
  lk_slice title = lk_http1_reason(why->status);
  self->status = why->status;
  self->is_read = false;
  lk_buf_truncate(&self->body, 0);
  self->type = self->call->is_page ? HTML_TYPE : JSON_TYPE;
  if (!self->call->is_page) return write_error_json(why, &self->body);
  if (why->status == 404) title = LK_LIT("There is nothing here");
  return lk_api_page_write_error(title, why->message.len > 0 ? why->message : why->reason,
                                 &self->body);
}

/* Our own text, whatever its length. */
static lk_limits wide(const response *self) {
  lk_limits limits = *self->limits;
  limits.json_bytes = UINT32_MAX / 16;
  limits.json_depth = LK_JSON_DEPTH_MAX;
  return limits;
}

/* One member of an object in |json|; absent where there is none. */
static lk_err pick(response *self, lk_slice json, lk_slice name, lk_json_member *out) {
  const lk_limits limits = wide(self);
  lk_json_reader in;
  *out = (lk_json_member){ .name = name };
  lk_err err = lk_json_reader_init(&in, json, &limits, &self->call->arena);
  return err == LK_OK ? lk_json_read_members(&in, out, 1) : err;
}

static lk_err write_value(response *self, lk_slice payload) {
  lk_json_member value;
  lk_err err = pick(self, payload, LK_LIT("value"), &value);
  if (err == LK_OK && value.value.kind == LK_JSON_ABSENT) err = LK_ERR_PAYLOAD;
  return err == LK_OK ? lk_buf_append(&self->body, value.raw) : err;
}

static lk_err find_html(response *self, lk_slice payload, lk_slice *out) {
  lk_json_member html;
  lk_err err = pick(self, payload, LK_LIT("html"), &html);
  if (err == LK_OK && html.value.kind != LK_JSON_STRING) err = LK_ERR_PAYLOAD;
  if (err == LK_OK) *out = html.value.text;
  return err;
}

static lk_err write_reading(response *self, const lk_api_answer *answer) {
  const lk_api_call *call = self->call;
  lk_slice html;
  self->is_read = true;
  self->type = types[call->form];
  if (call->kind == LK_API_DOC || call->form == LK_API_FORM_STATE)
    return lk_buf_append(&self->body, answer->payload);
  if (call->form != LK_API_FORM_HTML) return write_value(self, answer->payload);
  lk_err err = find_html(self, answer->payload, &html);
  return err == LK_OK ? lk_buf_append(&self->body, html) : err;
}

/* What stands behind the colon: the name, for who reads. */
static lk_slice title_of(const lk_api_call *call) {
  lk_slice name, kind = lk_slice_cut(call->topic, ':', &name);
  return name.len > 0 ? name : kind;
}

static lk_err write_page(response *self, const lk_api_answer *answer) {
  lk_slice html = answer->payload;
  bool is_doc = self->call->kind == LK_API_DOC;
  lk_err err = is_doc ? LK_OK : find_html(self, answer->payload, &html);
  self->is_read = true;
  self->type = HTML_TYPE;
  return err == LK_OK ? lk_api_page_write(title_of(self->call), html, !is_doc, &self->body) : err;
}

static lk_err write_list(response *self, const lk_api_answer *answers, size_t count) {
  lk_slice texts[LK_API_HOUSES_MAX];
  LK_ASSERT(count <= LK_API_HOUSES_MAX);
  for (size_t i = 0; i < count; i++) texts[i] = answers[i].payload;
  return lk_api_list_merge(texts, count, self->call->limit, self->limits, &self->call->arena,
                           &self->body);
}

static lk_err write_success(response *self, const lk_api_answer *answers, size_t count) {
  self->status = 200;
  self->type = JSON_TYPE;
  switch (self->call->action) {
  case LK_API_LIST: return write_list(self, answers, count);
  case LK_API_READ:
  case LK_API_VERSION: return write_reading(self, answers);
  case LK_API_SHOW: return write_page(self, answers);
  case LK_API_PRESS: self->status = 303; return LK_OK;
  case LK_API_DELETE:
  case LK_API_FORGET: self->status = 204; return LK_OK;
  case LK_API_CREATE:
  case LK_API_SNAPSHOT:
  case LK_API_SAVE: self->status = 201; break;
  case LK_API_VERSIONS:
  case LK_API_CHANGES: self->is_read = true; break;
  default: break;
  }
  return lk_buf_append(&self->body, answers->payload);
}

/* ---- which of them it is ---- */

static lk_err write_late(response *self) {
  self->call->refusal = (lk_api_refusal){
    503, LK_LIT("LK_ERR_CANCELED"), LK_SLICE_EMPTY,
    LK_LIT("the room ended meanwhile; a change may have been made or not, so send it again with "
           "the same Idempotency-Key"),
    LK_SLICE_EMPTY
  };
  return write_error(self);
}

static lk_err write_unmatched(response *self) {
  self->call->refusal = (lk_api_refusal){ 404, LK_LIT("LK_ERR_UNMATCHED_TOPIC"), LK_LIT("topic"),
                                          LK_LIT("no room answers to this topic"),
                                          LK_SLICE_EMPTY };
  return write_error(self);
}

static lk_err write_answers(response *self, const lk_api_answer *answers, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (answers[i].status == LK_ANSWER_OK) continue;
    if (answers[i].status == LK_ANSWER_LATE) return write_late(self);
    if (answers[i].status == LK_ANSWER_UNMATCHED) return write_unmatched(self);
    lk_err err = read_error(self, answers[i].payload);
    return err == LK_OK ? write_error(self) : err;
  }
  return write_success(self, answers, count);
}

/* ---- heads ---- */

static void header(lk_buf *out, const char *name, lk_slice value) {
  (void)lk_http1_respond_header(out, lk_slice_cstr(name), value);
}

static void write_etag(lk_slice body, uint8_t out[ETAG_LEN]) {
  uint8_t digest[LK_SHA256_LEN];
  lk_sha256 hash;
  lk_sha256_init(&hash);
  lk_sha256_update(&hash, body);
  lk_sha256_final(&hash, digest);
  out[0] = out[ETAG_LEN - 1] = '"';
  lk_hex_store(out + 1, lk_slice_of(digest, 16));
}

/* Pages of other origins that may talk to us may also read what they are told. */
static void write_origin(const lk_api_call *call, lk_buf *out) {
  header(out, "vary", LK_LIT("origin"));
  if (call->origin.len == 0) return;
  header(out, "access-control-allow-origin", call->origin);
  header(out, "access-control-expose-headers", LK_LIT("etag, retry-after, location"));
}

static lk_err write_policy(const response *self, lk_buf *out) {
  lk_buf policy;
  if (!self->call->is_page) {
    header(out, "content-security-policy",
           LK_LIT("default-src 'none'; frame-ancestors 'none'; sandbox"));
    header(out, "referrer-policy", LK_LIT("no-referrer"));
    return LK_OK;
  }
  lk_buf_init(&policy, out->alloc, 512);
  lk_err err = lk_api_page_policy(&policy);
  if (err == LK_OK) header(out, "content-security-policy", lk_buf_slice(&policy));
  lk_buf_deinit(&policy);
  /* Under no-referrer browsers send "Origin: null" with a form, even to where it came from. */
  header(out, "referrer-policy", LK_LIT("same-origin"));
  return err;
}

static void write_retry(const lk_api_call *call, lk_buf *out) {
  uint8_t digits[10];
  size_t at = sizeof digits;
  uint32_t left = call->wait_s > 0 ? call->wait_s : 1;
  for (; left > 0; left /= 10) digits[--at] = (uint8_t)('0' + left % 10);
  header(out, "retry-after", lk_slice_of(digits + at, sizeof digits - at));
}

static lk_err write_head(const response *self, uint64_t wall_ms, lk_buf *out) {
  const lk_api_call *call = self->call;
  (void)lk_http1_respond_begin(out, self->status);
  lk_routes_write_date(out, wall_ms);
  lk_err err = write_policy(self, out);
  header(out, "x-content-type-options", LK_LIT("nosniff"));
  header(out, "cross-origin-resource-policy", LK_LIT("same-origin"));
  header(out, "cache-control", self->is_read ? LK_LIT("private, no-cache") : LK_LIT("no-store"));
  write_origin(call, out);
  if (self->status == 401) header(out, "www-authenticate", LK_LIT("Bearer"));
  if (self->status == 405) header(out, "allow", call->allowed);
  if (self->status == 429 || self->status == 503) write_retry(call, out);
  if (self->status == 303) header(out, "location", call->location);
  return err;
}

static lk_err finish_head(const response *self, lk_buf *out) {
  uint8_t etag[ETAG_LEN];
  lk_slice tag = LK_SLICE_EMPTY;
  if (self->is_read) {
    write_etag(lk_buf_slice(&self->body), etag);
    tag = lk_slice_of(etag, sizeof etag);
    header(out, "etag", tag);
  }
  if (self->body.len > 0 && self->status != 304) header(out, "content-type", self->type);
  if (self->status != 304 && self->status != 204)
    return lk_http1_respond_end_length(out, self->body.len, self->call->keep_alive);
  if (!self->call->keep_alive) header(out, "connection", LK_LIT("close"));
  return lk_http1_respond_end(out);
}

static bool is_known(const response *self) {
  uint8_t etag[ETAG_LEN];
  if (!self->is_read || self->call->known_tags.len == 0) return false;
  write_etag(lk_buf_slice(&self->body), etag);
  return lk_assets_etag_matches(self->call->known_tags, lk_slice_of(etag, sizeof etag));
}

static lk_err write_response(response *self, uint64_t wall_ms, lk_buf *out) {
  size_t before = out->len;
  if (is_known(self)) self->status = 304;
  lk_err err = write_head(self, wall_ms, out);
  if (err == LK_OK) err = finish_head(self, out);
  if (err == LK_OK && !self->call->is_head && self->status != 304)
    err = lk_buf_append(out, lk_buf_slice(&self->body));
  if (err != LK_OK) lk_buf_truncate(out, before);
  return err;
}

lk_err lk_api_respond(lk_api_call *call, const lk_api_answer *answers, size_t count,
                      const lk_limits *limits, uint64_t wall_ms, lk_buf *out) {
  response r = { .call = call, .limits = limits };
  lk_buf_init(&r.body, out->alloc, (size_t)limits->bus_frame_bytes + 65536);
  lk_err err = call->refusal.status != 0 ? write_error(&r) : write_answers(&r, answers, count);
  if (err != LK_OK && err != LK_ERR_NOMEM && err != LK_ERR_LIMIT) {
    /* A room said what none of ours says. */
    call->refusal = (lk_api_refusal){ 500, LK_LIT("LK_ERR_PAYLOAD"), LK_SLICE_EMPTY,
                                      LK_LIT("the room's answer could not be read"),
                                      LK_SLICE_EMPTY };
    err = write_error(&r);
  }
  if (err == LK_OK) err = write_response(&r, wall_ms, out);
  lk_buf_deinit(&r.body);
  return err;
}
