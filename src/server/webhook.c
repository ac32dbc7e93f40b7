/* server/webhook.c -- words and signatures; server/webhook_dues.c knows when, server/webhook_process.c how. */
#include "server/webhook.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "channel/access.h"
#include "channel/refusal.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "codec/json_reader.h"
#include "codec/json_writer.h"
#include "codec/number.h"
#include "crypto/crypto.h"
#include "crypto/hmac.h"
#include "crypto/sha256.h"
#include "room/policy.h"

#define ANSWER_ARENA_MAX ((size_t)1 << 20)
#define DAY_S 86400u

/* ---- rules ---- */

/* Names of topics may have '=' in them, so the address is found by how it begins. */
lk_err lk_webhook_rule_read(lk_slice text, lk_webhook_rule *out) {
  size_t at = lk_slice_find(text, LK_LIT("=http"));
  if (at == LK_SLICE_NONE || at == 0) return LK_ERR_SYNTAX;
  lk_slice pattern = lk_slice_first(text, at);
  size_t star = lk_slice_find_byte(pattern, '*');
  if (star != LK_SLICE_NONE && star != pattern.len - 1) return LK_ERR_SYNTAX;
  lk_http_url url;
  lk_err err = lk_http_url_parse(lk_slice_skip(text, at + 1), &url);
  if (err == LK_OK) *out = (lk_webhook_rule){ pattern, url };
  return err;
}

const lk_webhook_rule *lk_webhook_find(const lk_webhook_rules *self, lk_slice topic) {
  for (uint32_t i = 0; i < self->count; i++) {
    if (lk_topic_matches(self->items[i].pattern, topic)) return &self->items[i];
  }
  return NULL;
}

/* ---- signing ---- */

lk_err lk_webhook_secret_read(lk_slice text, const lk_alloc *alloc, lk_webhook_secret *out) {
  static const lk_slice prefix = LK_LIT_INIT("whsec_");
  const lk_base64_form form = { LK_BASE64_STANDARD, LK_BASE64_PAD_OPTIONAL };
  lk_buf decoded;
  lk_err err = LK_OK;
  lk_buf_init(&decoded, alloc, 4096);
  *out = (lk_webhook_secret){ .len = 0 };
  if (lk_slice_starts_with(text, prefix)) {
    err = lk_base64_decode(&decoded, lk_slice_skip(text, prefix.len), form);
    text = lk_buf_slice(&decoded);
  }
  bool fits = text.len >= LK_WEBHOOK_SECRET_LEAST && text.len <= LK_WEBHOOK_SECRET_MOST;
  if (err != LK_ERR_NOMEM && (err != LK_OK || !fits)) err = LK_ERR_KEY;
  if (err == LK_OK) {
    memcpy(out->bytes, text.ptr, text.len);
    out->len = (uint32_t)text.len;
  }
  if (decoded.ptr != NULL) lk_crypto_wipe(decoded.ptr, decoded.cap);
  lk_buf_deinit(&decoded);
  return err;
}

static lk_slice secret_of(const lk_webhook_secret *secret) {
  return lk_slice_of(secret->bytes, secret->len);
}

lk_err lk_webhook_sign(const lk_webhook_secrets *secrets, lk_slice id, uint64_t seconds,
                       lk_slice body, lk_buf *out) {
  uint8_t digits[LK_NUMBER_INT_CHARS], mac[LK_SHA256_LEN];
  lk_slice time = lk_slice_of(digits, lk_number_print_u64(seconds, digits));
  for (uint32_t i = 0; i < secrets->count; i++) {
    const lk_slice parts[] = { id, LK_LIT("."), time, LK_LIT("."), body };
    lk_hmac_sha256 hmac;
    lk_hmac_sha256_init(&hmac, secret_of(&secrets->items[i]));
    for (size_t k = 0; k < 5; k++) lk_hmac_sha256_update(&hmac, parts[k]);
    lk_hmac_sha256_final(&hmac, mac);
    (void)lk_buf_append(out, i == 0 ? LK_LIT("v1,") : LK_LIT(" v1,"));
    (void)lk_base64_encode(out, lk_slice_of(mac, sizeof mac), LK_BASE64_FORM_STANDARD);
  }
  return lk_buf_err(out);
}

void lk_webhook_id(lk_slice topic, uint64_t sequence, uint64_t salt,
                   uint8_t out[LK_WEBHOOK_ID_LEN]) {
  uint8_t numbers[16], digest[LK_SHA256_LEN];
  lk_sha256 hash;
  lk_store_le64(numbers, sequence);
  lk_store_le64(numbers + 8, salt);
  lk_sha256_init(&hash);
  lk_sha256_update(&hash, lk_slice_of(numbers, sizeof numbers));
  lk_sha256_update(&hash, topic);
  lk_sha256_final(&hash, digest);
  memcpy(out, "msg_", 4);
  lk_hex_store(out + 4, lk_slice_of(digest, 16));
}

lk_err lk_webhook_request(const lk_http_url *url, const lk_webhook_secrets *secrets, lk_slice id,
                          uint64_t wall_ms, lk_slice body, lk_buf *out) {
  uint8_t digits[LK_NUMBER_INT_CHARS];
  lk_buf signature;
  uint64_t seconds = wall_ms / 1000;
  size_t before = out->len;
  lk_buf_init(&signature, out->alloc, 1024);
  lk_err err = lk_webhook_sign(secrets, id, seconds, body, &signature);
  (void)lk_http_client_begin(out, LK_LIT("POST"), url);
  (void)lk_http_client_header(out, LK_LIT("content-type"), LK_LIT("application/json"));
  (void)lk_http_client_header(out, LK_LIT("user-agent"), LK_LIT("Laniakea/" LK_VERSION_TEXT));
  (void)lk_http_client_header(out, LK_LIT("webhook-id"), id);
  (void)lk_http_client_header(out, LK_LIT("webhook-timestamp"),
                              lk_slice_of(digits, lk_number_print_u64(seconds, digits)));
  (void)lk_http_client_header(out, LK_LIT("webhook-signature"), lk_buf_slice(&signature));
  if (err == LK_OK) err = lk_http_client_finish(out, body);
  lk_buf_deinit(&signature);
  if (err != LK_OK) lk_buf_truncate(out, before);
  return err;
}

/* ---- what is said ---- */

static void write_text(lk_json_writer *w, const char *name, lk_slice text) {
  (void)lk_json_write_key(w, lk_slice_cstr(name));
  (void)lk_json_write_string(w, text);
}

static void write_number(lk_json_writer *w, const char *name, uint64_t value) {
  (void)lk_json_write_key(w, lk_slice_cstr(name));
  (void)lk_json_write_u64(w, value);
}

static void write_time(lk_json_writer *w, const char *name, uint64_t wall_ms) {
  char text[40], whole[32];
  struct tm parts;
  time_t seconds = (time_t)(wall_ms / 1000);
  if (gmtime_r(&seconds, &parts) == NULL) memset(&parts, 0, sizeof parts);
  (void)strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &parts);
  (void)snprintf(text, sizeof text, "%s.%03uZ", whole, (unsigned)(wall_ms % 1000));
  write_text(w, name, lk_slice_cstr(text));
}

static void begin_message(lk_json_writer *w, lk_buf *out, const char *type, uint64_t wall_ms,
                          lk_slice topic) {
  lk_slice rest;
  lk_json_writer_init(w, out);
  (void)lk_json_begin_object(w);
  write_text(w, "type", lk_slice_cstr(type));
  write_time(w, "timestamp", wall_ms);
  (void)lk_json_write_key(w, LK_LIT("data"));
  (void)lk_json_begin_object(w);
  write_text(w, "topic", topic);
  write_text(w, "kind", lk_slice_cut(topic, ':', &rest));
}

static lk_err end_message(lk_json_writer *w) {
  (void)lk_json_end_object(w);
  (void)lk_json_end_object(w);
  return lk_json_writer_finish(w);
}

static bool is_unreserved(uint8_t c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
         c == '.' || c == '_' || c == '~' || c == ':';
}

/* Where the HTTP API has it, on whatever address clients know the server by. */
static void write_path(lk_json_writer *w, lk_slice topic, const lk_alloc *alloc) {
  static const char hex[] = "0123456789ABCDEF";
  lk_buf path;
  lk_buf_init(&path, alloc, 4096);
  (void)lk_buf_append(&path, LK_LIT("/api/topics/"));
  for (size_t i = 0; i < topic.len; i++) {
    uint8_t c = topic.ptr[i];
    if (!is_unreserved(c)) {
      (void)lk_buf_append_u8(&path, '%');
      (void)lk_buf_append_u8(&path, (uint8_t)hex[c >> 4]);
      c = (uint8_t)hex[c & 15];
    }
    (void)lk_buf_append_u8(&path, c);
  }
  if (lk_buf_err(&path) == LK_OK) write_text(w, "path", lk_buf_slice(&path));
  lk_buf_deinit(&path);
}

static void write_bytes(lk_json_writer *w, const char *name, lk_slice bytes,
                        const lk_alloc *alloc) {
  lk_buf text;
  lk_buf_init(&text, alloc, bytes.len * 2 + 16);
  if (lk_base64_encode(&text, bytes, LK_BASE64_FORM_STANDARD) == LK_OK)
    write_text(w, name, lk_buf_slice(&text));
  lk_buf_deinit(&text);
}

static void write_generation(lk_json_writer *w, uint64_t generation) {
  uint8_t bytes[8], digits[16];
  lk_store_be64(bytes, generation);
  lk_hex_store(digits, lk_slice_of(bytes, sizeof bytes));
  write_text(w, "generation", lk_slice_of(digits, sizeof digits));
}

/* What a deleted topic says is nowhere. */
lk_err lk_webhook_write_change(const lk_webhook_change *change, lk_buf *out) {
  lk_json_writer w;
  begin_message(&w, out, change->is_deleted ? "topic.deleted" : "topic.changed", change->last_ms,
                change->topic);
  if (!change->is_deleted) write_path(&w, change->topic, out->alloc);
  write_number(&w, "sequence", change->sequence);
  write_number(&w, "changes", change->changes);
  write_time(&w, "since", change->first_ms);
  write_text(&w, "level", change->is_memory ? LK_LIT("memory") : LK_LIT("durable"));
  (void)lk_json_write_key(&w, LK_LIT("by"));
  (void)lk_json_begin_array(&w);
  for (uint32_t i = 0; i < change->by_count; i++) (void)lk_json_write_string(&w, change->by[i]);
  (void)lk_json_end_array(&w);
  if (change->is_anew && !change->is_deleted) {
    (void)lk_json_write_key(&w, LK_LIT("anew"));
    (void)lk_json_write_bool(&w, true);
  }
  if (change->has_generation) write_generation(&w, change->generation);
  if (change->state_vector.len > 0)
    write_bytes(&w, "state_vector", change->state_vector, out->alloc);
  return end_message(&w);
}

static lk_slice word_of(lk_rights rights) {
  static const lk_slice words[] = { LK_LIT_INIT("none"), LK_LIT_INIT("read"), LK_LIT_INIT("write"),
                                    LK_LIT_INIT("admin") };
  return words[rights & 3];
}

lk_err lk_webhook_write_authorise(const lk_webhook_question *question, uint64_t wall_ms,
                                  lk_buf *out) {
  lk_json_writer w;
  begin_message(&w, out, "topic.authorise", wall_ms, question->topic);
  write_text(&w, "action", question->action);
  (void)lk_json_write_key(&w, LK_LIT("subject"));
  if (question->subject.len > 0) (void)lk_json_write_string(&w, question->subject);
  else (void)lk_json_write_null(&w);
  write_text(&w, "rights", word_of(question->rights));
  (void)lk_json_write_key(&w, LK_LIT("params"));
  (void)lk_json_write_raw(&w, question->params.len > 0 ? question->params : LK_LIT("{}"));
  return end_message(&w);
}

lk_err lk_webhook_write_loading(lk_slice topic, uint64_t wall_ms, lk_buf *out) {
  lk_json_writer w;
  begin_message(&w, out, "topic.load", wall_ms, topic);
  return end_message(&w);
}

/* ---- what is answered ---- */

static bool is_refusal(uint16_t status) { return status == 401 || status == 403 || status == 404; }

lk_webhook_verdict lk_webhook_read_authorise(const lk_http_response *response,
                                             const lk_limits *limits, const lk_alloc *alloc,
                                             lk_rights *rights) {
  lk_json_member members[] = { { .name = LK_LIT("allow") }, { .name = LK_LIT("rights") } };
  lk_webhook_verdict verdict = LK_WEBHOOK_FAILED;
  lk_json_reader in;
  lk_arena arena;
  *rights = LK_RIGHTS_ADMIN;
  if (is_refusal(response->status)) return LK_WEBHOOK_FORBIDDEN;
  if (!lk_webhook_is_taken(response)) return LK_WEBHOOK_FAILED;
  lk_arena_init(&arena, alloc, ANSWER_ARENA_MAX);
  lk_err err = lk_json_reader_init(&in, response->body, limits, &arena);
  if (err == LK_OK) err = lk_json_read_members(&in, members, 2);
  if (err == LK_OK) err = lk_json_finish(&in);
  bool has_rights = members[1].value.kind != LK_JSON_ABSENT;
  if (err == LK_OK && has_rights &&
      (members[1].value.kind != LK_JSON_STRING ||
       !lk_rights_of_word(members[1].value.text, rights)))
    err = LK_ERR_PAYLOAD;
  if (err == LK_OK && members[0].value.kind == LK_JSON_TRUE) verdict = LK_WEBHOOK_OK;
  if (err == LK_OK && members[0].value.kind == LK_JSON_FALSE) verdict = LK_WEBHOOK_FORBIDDEN;
  lk_arena_deinit(&arena);
  return verdict;
}

lk_webhook_verdict lk_webhook_read_load(const lk_http_response *response, lk_slice *out,
                                        bool *is_binary) {
  lk_slice type, parameters;
  *out = LK_SLICE_EMPTY;
  *is_binary = true;
  if (is_refusal(response->status)) return LK_WEBHOOK_FORBIDDEN;
  if (response->status == 204) return LK_WEBHOOK_OK;
  if (response->status != 200 || response->body.len == 0 ||
      lk_http1_header(&response->head, LK_LIT("content-type"), &type) != LK_OK)
    return LK_WEBHOOK_FAILED;
  type = lk_slice_trim(lk_slice_cut(type, ';', &parameters));
  *is_binary = lk_slice_equal_nocase(type, LK_LIT("application/octet-stream"));
  if (!*is_binary && !lk_slice_equal_nocase(type, LK_LIT("application/json")))
    return LK_WEBHOOK_FAILED;
  *out = response->body;
  return LK_WEBHOOK_OK;
}

lk_slice lk_webhook_refusal(lk_webhook_verdict verdict) {
  switch (verdict) {
  case LK_WEBHOOK_FORBIDDEN:
    return LK_LIT("{\"reason\":\"forbidden\",\"message\":\"the application does not allow it\"}");
  case LK_WEBHOOK_TIMEOUT:
    return LK_LIT("{\"reason\":\"hook_timeout\"," LK_RETRY_SOON ","
                  "\"message\":\"the application did not answer in time; try again later\"}");
  default:
    return LK_LIT("{\"reason\":\"hook_failed\"," LK_RETRY_SOON ","
                  "\"message\":\"the application could not be asked; try again later\"}");
  }
}

uint64_t lk_webhook_retry_after_ms(const lk_http_response *response) {
  lk_slice text;
  uint64_t seconds;
  if (lk_http1_header(&response->head, LK_LIT("retry-after"), &text) != LK_OK ||
      lk_number_parse_u64(text, &seconds) != LK_OK)
    return 0;
  return lk_min_u64(seconds, DAY_S) * 1000;
}
