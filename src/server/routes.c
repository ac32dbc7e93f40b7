/* server/routes.c -- a table of paths, and the headers that every response has.
 *
 * The order of the checks is the order of trust: first whether the request may
 * be read at all (Host), then what it names, then how. Nothing that a stranger
 * wrote is repeated in a response but the names of headers that a page wants to
 * send, which the reader of requests has checked to be one line.
 *
 * The policy allows scripts, styles and connections of this server alone, and
 * compiling WebAssembly. Pages may not be framed: a page around ours could
 * steer clicks into it. The editor's page has a policy of its own: its libraries
 * place menus and color cursors by styles in elements, and documents may have
 * small pictures inside. */
#include "server/routes.h"

#include <time.h>

#include "codec/utf.h"
#include "codec/base64.h"
#include "room/policy.h"
#include "server/api.h"
#include "server/origin.h"
#include "wire/upgrade.h"
#include "wire/ws_offer.h"

#define JSON LK_LIT("application/json")
#define PLAIN LK_LIT("text/plain; charset=utf-8")

typedef struct exchange {
  const lk_routes *routes;
  const lk_http1_request *request;
  lk_slice scheme;
  uint64_t wall_ms;
  lk_buf *out;
  lk_answer *answer;
} exchange;

/* ---- responses ---- */

static void header(lk_buf *out, const char *name, const char *value) {
  (void)lk_http1_respond_header(out, lk_slice_cstr(name), lk_slice_cstr(value));
}

/* "Sun, 06 Nov 1994 08:49:37 GMT": the program never sets a locale, so that
 * names are English. */
void lk_routes_write_date(lk_buf *out, uint64_t wall_ms) {
  char text[64];
  struct tm parts;
  time_t seconds = (time_t)(wall_ms / 1000);
  if (gmtime_r(&seconds, &parts) == NULL) return;
  size_t len = strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  (void)lk_http1_respond_header(out, LK_LIT("date"), lk_slice_of(text, len));
}

#define POLICY(more)                                           \
  "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; " \
  "connect-src 'self'; " more                                  \
  "frame-ancestors 'none'; base-uri 'none'"

static const char plain_policy[] = POLICY("");
static const char editor_policy[] =
    POLICY("style-src 'self' 'unsafe-inline'; img-src 'self' data:; ");

static void begin_under(const char *policy, lk_buf *out, uint16_t status, uint64_t wall_ms) {
  (void)lk_http1_respond_begin(out, status);
  lk_routes_write_date(out, wall_ms);
  header(out, "content-security-policy", policy);
  header(out, "x-content-type-options", "nosniff");
  header(out, "referrer-policy", "no-referrer");
  header(out, "cross-origin-resource-policy", "same-origin");
}

static void begin(lk_buf *out, uint16_t status, uint64_t wall_ms) {
  begin_under(plain_policy, out, status, wall_ms);
}

static lk_err finish(lk_buf *out, size_t before) {
  lk_err err = lk_buf_err(out);
  if (err != LK_OK) lk_buf_truncate(out, before);
  return err;
}

static bool is_head(const exchange *x) {
  return lk_slice_equal(x->request->method, LK_LIT("HEAD"));
}

/* A small response with its body written behind the head. */
static lk_err small(const exchange *x, uint16_t status, lk_slice type, lk_slice body) {
  size_t before = x->out->len;
  begin(x->out, status, x->wall_ms);
  (void)lk_http1_respond_header(x->out, LK_LIT("content-type"), type);
  header(x->out, "cache-control", "no-store");
  if (status == 405) header(x->out, "allow", "GET, HEAD");
  if (status == 503) {
    header(x->out, "retry-after", "1");
    /* A page of another origin that polls may know it, too. */
    header(x->out, "access-control-allow-origin", "*");
    header(x->out, "access-control-expose-headers", "retry-after");
  }
  (void)lk_http1_respond_end_length(x->out, body.len, x->answer->keep_alive);
  if (!is_head(x)) (void)lk_buf_append(x->out, body);
  return finish(x->out, before);
}

/* ---- refusals ---- */

typedef struct refusal {
  uint16_t status;
  lk_slice body;
} refusal;

#define REFUSAL(status, code, text)                                                                \
  { status, LK_LIT_INIT("{\"error\":\"" code "\",\"message\":\"" text "\"}\n") }

static const refusal refusals[] = {
  REFUSAL(400, "bad_request", "this is not a request that the server can read"),
  REFUSAL(403, "forbidden",
          "the host, the origin or the protocol version is not one that is "
          "served here"),
  REFUSAL(404, "not_found", "there is nothing at this path"),
  REFUSAL(405, "method_not_allowed", "use GET or HEAD"),
  REFUSAL(408, "timeout", "the request did not come in time"),
  REFUSAL(413, "body_too_large", "the body is longer than the path allows; most allow none"),
  REFUSAL(414, "target_too_long", "the request line is too long"),
  REFUSAL(431, "head_too_large", "the headers are too many or too long"),
  REFUSAL(501, "not_implemented", "chunked is the only transfer coding that is read here"),
  REFUSAL(503, "unavailable", "the server has no room for this now; try again later"),
  REFUSAL(505, "version_not_supported", "use HTTP/1.1"),
};

static lk_slice refusal_body(uint16_t status) {
  for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
    if (refusals[i].status == status) return refusals[i].body;
  }
  return refusals[0].body;
}

static lk_err refuse(const exchange *x, uint16_t status) {
  return small(x, status, JSON, refusal_body(status));
}

lk_err lk_routes_refuse(uint16_t status, uint64_t wall_ms, lk_buf *out) {
  static const lk_http1_request nobody = { 0 };
  lk_answer answer = { .keep_alive = false };
  exchange x = { .request = &nobody, .wall_ms = wall_ms, .out = out, .answer = &answer };
  return refuse(&x, status);
}

/* ---- the socket ---- */

/* What Phoenix writes as "~> 2.0.0": 2.0 and any patch. */
static bool is_version(lk_slice vsn, lk_slice major_minor) {
  if (!lk_slice_starts_with(vsn, major_minor)) return false;
  vsn = lk_slice_skip(vsn, major_minor.len);
  for (size_t i = 0; i < vsn.len; i++) {
    if (vsn.ptr[i] < '0' || vsn.ptr[i] > '9') return false;
  }
  return vsn.len > 0 && vsn.len < 10;
}

/* The last "vsn" of the query counts, as in Phoenix; where there is none the
 * client is of 1.0.0. */
static bool asks_served_version(lk_slice query, lk_message_form *form) {
  lk_slice name, value, vsn = LK_LIT("1.0.0");
  while (lk_http1_query_next(&query, &name, &value)) {
    if (lk_slice_equal(name, LK_LIT("vsn"))) vsn = value;
  }
  bool is_v2 = is_version(vsn, LK_LIT("2.0."));
  *form = is_v2 ? LK_MESSAGE_V2 : LK_MESSAGE_V1;
  return is_v2 || is_version(vsn, LK_LIT("1.0."));
}

static bool origin_ok(const exchange *x) {
  lk_slice origin;
  lk_err err = lk_http1_header(x->request, LK_LIT("origin"), &origin);
  return err == LK_ERR_NOT_FOUND ||
         (err == LK_OK && lk_origin_is_served_over(x->routes->origins, origin, x->request->host,
                                                   x->scheme));
}

/* ---- who it is ---- */

#define BEARER LK_LIT("bearer ")
/* Behind it stands, in spite of its name, what btoa() gives: standard base64, without padding. */
#define SUBPROTOCOL LK_LIT("base64url.bearer.phx.")

static lk_err decode_subprotocol(lk_slice text, lk_buf *token) {
  lk_base64_form form = { LK_BASE64_STANDARD, LK_BASE64_PAD_OPTIONAL };
  lk_err err;
  if (lk_slice_find_byte(text, '=') == LK_SLICE_NONE) form.padding = LK_BASE64_PAD_FORBIDDEN;
  if (lk_slice_find_byte(text, '-') != LK_SLICE_NONE ||
      lk_slice_find_byte(text, '_') != LK_SLICE_NONE)
    form.alphabet = LK_BASE64_URL;
  err = lk_base64_decode(token, text, form);
  return err == LK_OK || err == LK_ERR_NOMEM || err == LK_ERR_LIMIT ? err : LK_ERR_TOKEN_INVALID;
}

static lk_err find_subprotocol(const lk_http1_request *request, lk_buf *token) {
  lk_http1_items walk = { 0 };
  lk_slice item;
  while (lk_http1_item_next(request, LK_LIT("sec-websocket-protocol"), &walk, &item)) {
    if (lk_slice_starts_with(item, SUBPROTOCOL))
      return decode_subprotocol(lk_slice_skip(item, SUBPROTOCOL.len), token);
  }
  return LK_ERR_NOT_FOUND;
}

/* The first of that name: a later one is that of a long-poll session. */
static lk_err find_in_query(lk_slice query, lk_buf *token) {
  lk_slice name, value;
  while (lk_http1_query_next(&query, &name, &value)) {
    if (!lk_slice_equal(name, LK_LIT("token"))) continue;
    lk_err err = lk_http1_percent_decode(value, true, token);
    return err == LK_ERR_SYNTAX ? LK_ERR_TOKEN_INVALID : err;
  }
  return LK_ERR_NOT_FOUND;
}

/* LK_ERR_NOT_FOUND where there is none. */
static lk_err find_token(const lk_http1_request *request, lk_buf *token) {
  lk_slice value;
  if (lk_http1_header(request, LK_LIT("authorization"), &value) == LK_OK &&
      lk_slice_equal_nocase(lk_slice_first(value, BEARER.len), BEARER))
    return lk_buf_append(token, lk_slice_trim(lk_slice_skip(value, BEARER.len)));
  lk_err err = find_subprotocol(request, token);
  if (err != LK_ERR_NOT_FOUND) return err;
  if (lk_http1_header(request, LK_LIT("x-phoenix-authtoken"), &value) == LK_OK)
    return lk_buf_append(token, value);
  return find_in_query(request->query, token);
}

/* What the client may do, in the answer; LK_OK without it where nobody is asked. */
static lk_err admit(const exchange *x) {
  const lk_access *access = x->routes->access;
  lk_buf token;
  if (access == NULL) return LK_OK;
  lk_buf_init(&token, x->out->alloc, 65536);
  lk_err err = find_token(x->request, &token);
  if (err == LK_OK || err == LK_ERR_NOT_FOUND)
    err = access->check(access->ctx, lk_buf_slice(&token), x->out->alloc, &x->answer->grant);
  lk_buf_deinit(&token);
  return err;
}

static lk_err write_refusal(lk_err why, lk_slice before, lk_buf *out) {
  (void)lk_buf_append(out, before);
  (void)lk_buf_append(out, LK_LIT("\"error\":\""));
  (void)lk_buf_append(out, lk_slice_cstr(lk_err_name(why)));
  (void)lk_buf_append(out, LK_LIT("\",\"message\":\""));
  (void)lk_buf_append(out, lk_slice_cstr(lk_err_text(why)));
  return lk_buf_append(out, LK_LIT("\"}\n"));
}

/* As genuine Phoenix refuses, and with the reason. */
static lk_err refuse_token(const exchange *x, lk_err why) {
  lk_buf body;
  x->answer->why = why;
  if (why == LK_ERR_NOMEM) return refuse(x, 503);
  lk_buf_init(&body, x->out->alloc, 1024);
  lk_err err = write_refusal(why, LK_LIT("{"), &body);
  if (err == LK_OK) err = small(x, 403, JSON, lk_buf_slice(&body));
  lk_buf_deinit(&body);
  return err;
}

static lk_err upgrade_or_refuse(const exchange *x, lk_err why) {
  x->answer->upgrade = why == LK_OK;
  if (why == LK_OK) return LK_OK;
  x->answer->keep_alive = false;
  return lk_upgrade_refuse(why, x->out);
}

/* Cheap things first: a token costs a signature. */
static lk_err upgrade_or_ask(const exchange *x) {
  lk_err why = lk_upgrade_check(x->request);
  if (why != LK_OK) return upgrade_or_refuse(x, why);
  why = admit(x);
  return why == LK_OK ? upgrade_or_refuse(x, LK_OK) : refuse_token(x, why);
}

static lk_err answer_socket(const exchange *x) {
  if (!lk_upgrade_is_wanted(x->request)) return refuse(x, 400);
  if (!origin_ok(x)) return refuse(x, 403);
  if (!asks_served_version(x->request->query, &x->answer->form)) return refuse(x, 403);
  return upgrade_or_ask(x);
}

static lk_err answer_echo(const exchange *x) {
  if (!lk_upgrade_is_wanted(x->request)) return refuse(x, 400);
  if (!origin_ok(x)) return refuse(x, 403);
  lk_err why = lk_upgrade_check(x->request);
  if (why == LK_OK)
    why = lk_ws_offer_read(x->request, &x->routes->echo->deflate, &x->answer->deflate,
                           &x->answer->packed);
  x->answer->echo = true;
  return upgrade_or_refuse(x, why);
}

/* ---- documents ---- */

#define DOCUMENT_PATH "/y/"
#define DOCUMENT_TOPIC "doc:"

/* The topic of a document into |answer|. */
static lk_err read_document(lk_slice name, const lk_alloc *alloc, lk_answer *answer) {
  lk_buf topic;
  if (name.len == 0) return LK_ERR_NOT_FOUND;
  lk_buf_init(&topic, alloc, LK_ROUTES_TOPIC_MAX);
  (void)lk_buf_append(&topic, LK_LIT(DOCUMENT_TOPIC));
  lk_err err = lk_buf_err(&topic);
  if (err == LK_OK) err = lk_http1_percent_decode(name, false, &topic);
  if (err == LK_OK) err = lk_utf8_check(lk_buf_slice(&topic));
  if (err == LK_OK) {
    memcpy(answer->topic, topic.ptr, topic.len);
    answer->topic_len = (uint16_t)topic.len;
  }
  lk_buf_deinit(&topic);
  return err;
}

static bool is_off(const exchange *x) {
  uint8_t bytes[LK_ALIAS_TOPIC_MAX];
  lk_slice topic = lk_slice_of(x->answer->topic, x->answer->topic_len);
  if (x->routes->aliases.count > 0)
    topic = lk_aliases_resolve(&x->routes->aliases, topic, bytes);
  for (size_t i = 0; i < x->routes->y_off_count; i++) {
    if (lk_topic_matches(x->routes->y_off[i], topic)) return true;
  }
  return false;
}

/* What the client is told is within the WebSocket: outside of it, a page would not hear it. */
static lk_err upgrade_and_tell(const exchange *x) {
  lk_err why = lk_upgrade_check(x->request);
  if (why != LK_OK) return upgrade_or_refuse(x, why);
  why = is_off(x) ? LK_ERR_DIALECT : admit(x);
  if (why == LK_ERR_NOMEM) return refuse(x, 503);
  x->answer->why = why == LK_ERR_TOO_BIG ? LK_ERR_TOKEN_INVALID : why;
  return upgrade_or_refuse(x, LK_OK);
}

/* What stands in the query but the token is the provider's business. */
static lk_err answer_document(const exchange *x) {
  lk_slice name = lk_slice_skip(x->request->path, sizeof DOCUMENT_PATH - 1);
  if (!lk_upgrade_is_wanted(x->request)) return refuse(x, 400);
  if (!origin_ok(x)) return refuse(x, 403);
  x->answer->form = LK_MESSAGE_Y;
  lk_err err = read_document(name, x->out->alloc, x->answer);
  switch (err) {
  case LK_OK: return upgrade_and_tell(x);
  case LK_ERR_NOMEM: return err;
  case LK_ERR_NOT_FOUND: return refuse(x, 404);
  case LK_ERR_LIMIT: return refuse(x, 414);
  default: return refuse(x, 400);
  }
}

/* ---- long-poll ---- */

#define LONGPOLL_PATH "/socket/longpoll"
#define FORM_BYTES_MAX 4096u

void lk_routes_bodies(const lk_limits *limits, lk_http1_body_rule out[LK_ROUTES_BODIES_COUNT]) {
  out[0] = (lk_http1_body_rule){ LK_LIT(LONGPOLL_PATH), limits->longpoll_body_bytes };
  out[1] = (lk_http1_body_rule){ LK_LIT(LK_API_RENDER), FORM_BYTES_MAX };
  out[2] = (lk_http1_body_rule){ LK_LIT(LK_API_TOPICS "/"), limits->api_body_bytes };
}

/* Any page may read what it is told, because one that may not talk to us is
 * told nothing else. */
static void begin_poll(lk_buf *out, uint16_t status, uint64_t wall_ms) {
  begin(out, status, wall_ms);
  header(out, "access-control-allow-origin", "*");
}

static lk_err say_poll(uint16_t status, lk_slice json, uint64_t wall_ms, bool keep_alive,
                       lk_buf *out) {
  size_t before = out->len;
  begin_poll(out, status, wall_ms);
  (void)lk_http1_respond_header(out, LK_LIT("content-type"), JSON);
  header(out, "cache-control", "no-store");
  (void)lk_http1_respond_end_length(out, json.len, keep_alive);
  (void)lk_buf_append(out, json);
  return finish(out, before);
}

lk_err lk_routes_answer_poll(lk_slice json, uint64_t wall_ms, bool keep_alive, lk_buf *out) {
  return say_poll(200, json, wall_ms, keep_alive, out);
}

/* Clients look at the status in the body, which stops them for good. */
static lk_err refuse_poll(const exchange *x) {
  return lk_routes_answer_poll(LK_LIT("{\"status\":403}"), x->wall_ms, x->answer->keep_alive,
                               x->out);
}

static lk_err refuse_poll_token(const exchange *x, lk_err why) {
  lk_buf body;
  x->answer->why = why;
  lk_buf_init(&body, x->out->alloc, 1024);
  lk_err err = write_refusal(why, LK_LIT("{\"status\":403,"), &body);
  if (err == LK_OK)
    err = lk_routes_answer_poll(lk_buf_slice(&body), x->wall_ms, x->answer->keep_alive, x->out);
  lk_buf_deinit(&body);
  return err;
}

/* A browser asks whether a page of another origin may send what it wants to
 * send. */
static lk_err answer_preflight(const exchange *x) {
  size_t before = x->out->len;
  lk_slice asked;
  lk_err err = lk_http1_header(x->request, LK_LIT("access-control-request-headers"), &asked);
  begin_poll(x->out, 200, x->wall_ms);
  if (err == LK_OK)
    (void)lk_http1_respond_header(x->out, LK_LIT("access-control-allow-headers"), asked);
  header(x->out, "access-control-allow-methods", "get, post, options");
  header(x->out, "access-control-max-age", "3600");
  (void)lk_http1_respond_end_length(x->out, 0, x->answer->keep_alive);
  return finish(x->out, before);
}

/* The header is of later clients, the query of all others. */
static lk_slice poll_token(const lk_http1_request *request) {
  lk_slice name, value, token = LK_SLICE_EMPTY, query = request->query;
  if (lk_http1_header(request, LK_LIT("x-phoenix-longpoll-token"), &token) == LK_OK) return token;
  while (lk_http1_query_next(&query, &name, &value)) {
    if (lk_slice_equal(name, LK_LIT("token"))) token = value;
  }
  return token;
}

static bool is_batch(const lk_http1_request *request) {
  lk_slice type, parameters;
  if (lk_http1_header(request, LK_LIT("content-type"), &type) != LK_OK) return false;
  type = lk_slice_trim(lk_slice_cut(type, ';', &parameters));
  return lk_slice_equal_nocase(type, LK_LIT("application/x-ndjson"));
}

static lk_err answer_longpoll(const exchange *x) {
  lk_answer *answer = x->answer;
  answer->is_post = lk_slice_equal(x->request->method, LK_LIT("POST"));
  bool is_options = lk_slice_equal(x->request->method, LK_LIT("OPTIONS"));
  if (!is_options && !answer->is_post && !lk_slice_equal(x->request->method, LK_LIT("GET")))
    return refuse(x, 400);
  if (!origin_ok(x)) return refuse_poll(x);
  if (is_options) return answer_preflight(x);
  if (!asks_served_version(x->request->query, &answer->form)) return refuse_poll(x);
  if (answer->form == LK_MESSAGE_V2) answer->form = LK_MESSAGE_V2_TEXT;
  answer->token = poll_token(x->request);
  answer->is_batch = is_batch(x->request);
  bool is_known = x->routes->access == NULL || answer->is_post ||
                  x->routes->has_poll(x->routes->ctx, answer->token);
  lk_err why = is_known ? LK_OK : admit(x);
  if (why != LK_OK) return why == LK_ERR_NOMEM ? refuse(x, 503) : refuse_poll_token(x, why);
  answer->poll = true;
  return LK_OK;
}

/* ---- the API ---- */

static bool is_change(const lk_http1_request *request) {
  return !lk_slice_equal(request->method, LK_LIT("GET")) &&
         !lk_slice_equal(request->method, LK_LIT("HEAD"));
}

/* A browser says with each request that may change something which page sends it, by Origin or at least by this. Programs
 * say neither. */
static bool comes_from_elsewhere(const lk_http1_request *request) {
  lk_slice origin, site;
  if (!is_change(request) || lk_http1_header(request, LK_LIT("origin"), &origin) == LK_OK)
    return false;
  if (lk_http1_header(request, LK_LIT("sec-fetch-site"), &site) != LK_OK) return false;
  return !lk_slice_equal(site, LK_LIT("same-origin")) && !lk_slice_equal(site, LK_LIT("none"));
}

static lk_err refuse_origin(const exchange *x) {
  return small(x, 403, JSON,
               LK_LIT("{\"reason\":\"origin\",\"message\":\"this page may not talk to the server; "
                      "its origin must be allowed\"}\n"));
}

static lk_err answer_api_preflight(const exchange *x) {
  size_t before = x->out->len;
  lk_slice origin;
  begin(x->out, 204, x->wall_ms);
  if (lk_http1_header(x->request, LK_LIT("origin"), &origin) == LK_OK)
    (void)lk_http1_respond_header(x->out, LK_LIT("access-control-allow-origin"), origin);
  header(x->out, "vary", "origin");
  (void)lk_http1_respond_header(x->out, LK_LIT("access-control-allow-methods"),
                                lk_api_methods(x->request->path));
  header(x->out, "access-control-allow-headers",
         "authorization, content-type, idempotency-key, if-none-match");
  header(x->out, "access-control-max-age", "3600");
  if (!x->answer->keep_alive) header(x->out, "connection", "close");
  (void)lk_http1_respond_end(x->out);
  return finish(x->out, before);
}

static lk_err answer_api(const exchange *x) {
  if (!origin_ok(x) || comes_from_elsewhere(x->request))
    return refuse_origin(x);
  if (lk_slice_equal(x->request->method, LK_LIT("OPTIONS"))) return answer_api_preflight(x);
  x->answer->api = true;
  x->answer->why = admit(x);
  return LK_OK;
}

lk_err lk_routes_admit_body(const lk_routes *self, const lk_http1_request *head,
                            const lk_alloc *alloc) {
  lk_answer answer = { 0 };
  lk_buf unused;
  if (!lk_api_has(head->path)) return LK_OK;
  lk_buf_init(&unused, alloc, 0);
  const exchange x = { .routes = self, .request = head, .out = &unused, .answer = &answer };
  lk_err err = admit(&x);
  if (err == LK_OK) lk_grant_free(answer.grant, alloc);
  return err;
}

/* ---- the state of the server ---- */

static lk_err answer_health(const exchange *x) {
  return small(x, 200, JSON, LK_LIT("{\"status\":\"ok\"}\n"));
}

static lk_err answer_readiness(const exchange *x) {
  const lk_routes *routes = x->routes;
  bool ready = routes->ready && (routes->is_ready == NULL || routes->is_ready(routes->ctx));
  if (routes->draining)
    return small(x, 503, JSON,
                 LK_LIT("{\"error\":\"draining\",\"message\":\"the server "
                        "stops; nothing new is taken\"}\n"));
  return ready ? answer_health(x) : refuse(x, 503);
}

static lk_err answer_metrics(const exchange *x) {
  lk_buf text;
  lk_buf_init(&text, x->out->alloc, 65536);
  x->routes->metrics(x->routes->ctx, &text);
  lk_err err = lk_buf_err(&text);
  if (err == LK_OK)
    err = small(x, 200, LK_LIT("text/plain; version=0.0.4; charset=utf-8"), lk_buf_slice(&text));
  lk_buf_deinit(&text);
  return err;
}

/* ---- files ---- */

static lk_err answer_no_pages(const exchange *x) {
  return small(x, 200, PLAIN,
               LK_LIT("Laniakea is running. Its pages are not part of this build.\n\n"
                      "`make` builds both. The pages need packages from npm, which\n"
                      "tools/bootstrap.sh installs; the server needs none of them.\n\n"
                      "Phoenix clients connect to /socket/websocket?vsn=2.0.0\n"
                      "y-websocket clients connect to /y/NAME\n"));
}

#define EDITOR_PATH "/edit/"
#define NAMED_BY_HASH_PATH "/assets/"

/* Where the pages are. All documents are edited on one, which finds in its own
 * address which document it is to show. Pages name what they load from the root
 * on, so that they may do without the '/' at the end. */
static lk_slice page_of(lk_slice path) {
  static const lk_slice edit = LK_LIT_INIT(EDITOR_PATH);
  static const lk_slice counter = LK_LIT_INIT("/counter/"), board = LK_LIT_INIT("/board/");
  if (lk_slice_starts_with(path, edit) || lk_slice_equal(path, LK_LIT("/edit"))) return edit;
  if (lk_slice_equal(path, LK_LIT("/board"))) return board;
  return lk_slice_equal(path, LK_LIT("/counter")) ? counter : path;
}

static const char *policy_of(const lk_asset *asset) {
  bool is_editor = lk_slice_starts_with(asset->path, LK_LIT(EDITOR_PATH));
  return is_editor ? editor_policy : plain_policy;
}

/* Caches ask each time and are told 304: a page and the core that it loads are
 * of one build. What has another name when it has other bytes is kept. */
static const char *caching_of(const lk_asset *asset) {
  bool is_named_by_hash = lk_slice_starts_with(asset->path, LK_LIT(NAMED_BY_HASH_PATH));
  return is_named_by_hash ? "public, max-age=31536000, immutable" : "no-cache";
}

static bool is_known_to_client(const exchange *x, lk_slice etag) {
  lk_slice tags;
  lk_err err = lk_http1_header(x->request, LK_LIT("if-none-match"), &tags);
  return err == LK_OK && lk_assets_etag_matches(tags, etag);
}

static lk_asset_form choose_form(const exchange *x, const lk_asset *asset) {
  lk_slice accepted;
  lk_err err = lk_http1_header(x->request, LK_LIT("accept-encoding"), &accepted);
  return lk_asset_choose(asset, err == LK_OK ? accepted : LK_SLICE_EMPTY);
}

static lk_err answer_asset(const exchange *x, const lk_asset *asset) {
  size_t before = x->out->len;
  lk_asset_form form = choose_form(x, asset);
  bool known = is_known_to_client(x, form.etag);
  begin_under(policy_of(asset), x->out, known ? 304 : 200, x->wall_ms);
  (void)lk_http1_respond_header(x->out, LK_LIT("etag"), form.etag);
  header(x->out, "cache-control", caching_of(asset));
  if (lk_asset_varies(asset)) header(x->out, "vary", "accept-encoding");
  if (known) {
    if (!x->answer->keep_alive) header(x->out, "connection", "close");
    (void)lk_http1_respond_end(x->out);
    return finish(x->out, before);
  }
  if (form.coding.len > 0)
    (void)lk_http1_respond_header(x->out, LK_LIT("content-encoding"), form.coding);
  (void)lk_http1_respond_header(x->out, LK_LIT("content-type"), asset->type);
  (void)lk_http1_respond_end_length(x->out, form.bytes.len, x->answer->keep_alive);
  lk_err err = finish(x->out, before);
  if (err == LK_OK && !is_head(x)) x->answer->body = form.bytes;
  return err;
}

static lk_err answer_file(const exchange *x) {
  lk_slice path = page_of(x->request->path);
  const lk_asset *asset = lk_assets_find(x->routes->assets, path);
  if (asset != NULL) return answer_asset(x, asset);
  bool no_pages = x->routes->assets->count == 0 && lk_slice_ends_with(path, LK_LIT("/"));
  return no_pages ? answer_no_pages(x) : refuse(x, 404);
}

/* ---- which is which ---- */

typedef struct route {
  lk_slice path;
  lk_err (*answer)(const exchange *x);
} route;

static const route routes[] = {
  { LK_LIT_INIT("/healthz"), answer_health },
  { LK_LIT_INIT("/readyz"), answer_readiness },
  { LK_LIT_INIT("/metrics"), answer_metrics },
};

static bool is_read(const exchange *x) {
  return is_head(x) || lk_slice_equal(x->request->method, LK_LIT("GET"));
}

lk_err lk_routes_answer(const lk_routes *self, const lk_http1_request *request, lk_slice scheme,
                        uint64_t wall_ms, lk_buf *out, lk_answer *answer) {
  exchange x = { self, request, scheme, wall_ms, out, answer };
  *answer = (lk_answer){ .keep_alive = request->keep_alive };
  if (!lk_origin_host_is_served(self->origins, request->host)) return refuse(&x, 403);
  if (lk_slice_equal(request->path, LK_LIT("/socket/websocket"))) return answer_socket(&x);
  if (lk_slice_starts_with(request->path, LK_LIT(DOCUMENT_PATH))) return answer_document(&x);
  if (lk_slice_equal(request->path, LK_LIT(LONGPOLL_PATH))) return answer_longpoll(&x);
  if (self->echo != NULL && lk_slice_equal(request->path, LK_LIT(LK_ECHO_PATH)))
    return answer_echo(&x);
  if (lk_api_has(request->path)) return answer_api(&x);
  if (!is_read(&x)) return refuse(&x, 405);
  for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
    if (lk_slice_equal(request->path, routes[i].path)) return routes[i].answer(&x);
  }
  return answer_file(&x);
}
