/* wire/upgrade.c -- the handshake proves one thing: that the server read the request.
 *
 *   Sec-WebSocket-Accept = base64(SHA-1(key || GUID))
 *
 * A server that does not know WebSockets cannot produce it, and a page cannot make a browser send
 * Sec-WebSocket-Key in another kind of request. SHA-1 is what the RFC says; nothing here rests on
 * its collisions being hard to find. */
#include "wire/upgrade.h"

#include "codec/base64.h"
#include "crypto/sha1.h"
#include "wire/ws_offer.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
enum { KEY_LEN = 16, KEY_TEXT_LEN = 24 };

bool lk_upgrade_is_wanted(const lk_http1_request *request) {
  return lk_http1_header_has(request, LK_LIT("upgrade"), LK_LIT("websocket"));
}

/* A buffer over |bytes|, which is large enough for what will be appended: it never allocates. */
static lk_buf fixed_buf(uint8_t *bytes, size_t len) {
  return (lk_buf){ .ptr = bytes, .cap = len, .max = len };
}

/* 16 bytes in base64, in canonical form. */
static bool is_key(lk_slice text) {
  uint8_t bytes[KEY_TEXT_LEN / 4 * 3];
  lk_buf key = fixed_buf(bytes, sizeof bytes);
  if (text.len != KEY_TEXT_LEN) return false;
  return lk_base64_decode(&key, text, LK_BASE64_FORM_STANDARD) == LK_OK && key.len == KEY_LEN;
}

lk_err lk_upgrade_check(const lk_http1_request *request) {
  lk_slice key, version;
  if (!lk_slice_equal(request->method, LK_LIT("GET"))) return LK_ERR_HTTP_METHOD;
  if (request->version_minor == 0 || request->body.len > 0 || !lk_upgrade_is_wanted(request) ||
      !lk_http1_header_has(request, LK_LIT("connection"), LK_LIT("upgrade")))
    return LK_ERR_WS_HANDSHAKE;
  if (lk_http1_header(request, LK_LIT("sec-websocket-version"), &version) != LK_OK)
    return LK_ERR_WS_HANDSHAKE;
  if (!lk_slice_equal(version, LK_LIT("13"))) return LK_ERR_VERSION;
  if (lk_http1_header(request, LK_LIT("sec-websocket-key"), &key) != LK_OK || !is_key(key))
    return LK_ERR_WS_HANDSHAKE;
  return LK_OK;
}

void lk_upgrade_answer(lk_slice key, uint8_t out[LK_UPGRADE_ANSWER_LEN]) {
  uint8_t digest[LK_SHA1_LEN];
  lk_sha1 hash;
  lk_buf answer = fixed_buf(out, LK_UPGRADE_ANSWER_LEN);
  lk_sha1_init(&hash);
  lk_sha1_update(&hash, key);
  lk_sha1_update(&hash, LK_LIT(GUID));
  lk_sha1_final(&hash, digest);
  lk_err err = lk_base64_encode(&answer, lk_slice_of(digest, sizeof digest),
                                LK_BASE64_FORM_STANDARD);
  LK_ASSERT(err == LK_OK && answer.len == LK_UPGRADE_ANSWER_LEN);
}

static bool is_offered(const lk_http1_request *request, lk_slice protocol) {
  lk_slice item;
  lk_http1_items walk = { 0 };
  while (lk_http1_item_next(request, LK_LIT("sec-websocket-protocol"), &walk, &item))
    if (lk_slice_equal(item, protocol)) return true;
  return false;
}

static void append_deflate(const lk_ws_deflate_params *deflate, lk_buf *out) {
  uint8_t bytes[LK_WS_OFFER_ANSWER_MAX];
  lk_buf answer = fixed_buf(bytes, sizeof bytes);
  lk_err err = lk_ws_offer_answer(deflate, &answer);
  LK_ASSERT(err == LK_OK);
  lk_http1_respond_header(out, LK_LIT("sec-websocket-extensions"), lk_buf_slice(&answer));
}

static void append_accept(lk_slice key, lk_slice protocol, const lk_ws_deflate_params *deflate,
                          lk_buf *out) {
  uint8_t answer[LK_UPGRADE_ANSWER_LEN];
  lk_upgrade_answer(key, answer);
  lk_http1_respond_begin(out, 101);
  lk_http1_respond_header(out, LK_LIT("upgrade"), LK_LIT("websocket"));
  lk_http1_respond_header(out, LK_LIT("connection"), LK_LIT("Upgrade"));
  lk_http1_respond_header(out, LK_LIT("sec-websocket-accept"), lk_slice_of(answer, sizeof answer));
  if (protocol.len > 0) lk_http1_respond_header(out, LK_LIT("sec-websocket-protocol"), protocol);
  if (deflate != NULL) append_deflate(deflate, out);
  lk_http1_respond_end(out);
}

lk_err lk_upgrade_accept(const lk_http1_request *request, const lk_slice *protocols, size_t count,
                         lk_buf *out, size_t *chosen) {
  return lk_upgrade_accept_deflate(request, protocols, count, NULL, out, chosen);
}

lk_err lk_upgrade_accept_deflate(const lk_http1_request *request, const lk_slice *protocols,
                                 size_t count, const lk_ws_deflate_params *deflate, lk_buf *out,
                                 size_t *chosen) {
  lk_slice key;
  size_t before = out->len, index = 0;
  lk_err err = lk_upgrade_check(request);
  if (err == LK_OK) err = lk_http1_header(request, LK_LIT("sec-websocket-key"), &key);
  if (err == LK_OK) err = lk_buf_err(out);
  if (err != LK_OK) return err;
  while (index < count && !is_offered(request, protocols[index])) index++;
  append_accept(key, index < count ? protocols[index] : LK_SLICE_EMPTY, deflate, out);
  err = lk_buf_err(out);
  if (err != LK_OK) {
    lk_buf_truncate(out, before);
    return err;
  }
  if (chosen != NULL) *chosen = index;
  return LK_OK;
}

lk_err lk_upgrade_refuse(lk_err why, lk_buf *out) {
  size_t before = out->len;
  lk_err err = lk_buf_err(out);
  if (err != LK_OK) return err;
  bool method = why == LK_ERR_HTTP_METHOD, version = why == LK_ERR_VERSION;
  lk_http1_respond_begin(out, method ? 405 : version ? 426 : 400);
  if (method) lk_http1_respond_header(out, LK_LIT("allow"), LK_LIT("GET"));
  if (version) {
    lk_http1_respond_header(out, LK_LIT("upgrade"), LK_LIT("websocket"));
    lk_http1_respond_header(out, LK_LIT("sec-websocket-version"), LK_LIT("13"));
  }
  err = lk_http1_respond_end_length(out, 0, false);
  if (err != LK_OK) lk_buf_truncate(out, before);
  return err;
}
