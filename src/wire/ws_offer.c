/* wire/ws_offer.c -- a small grammar, read once from left to right.
 *
 *   list      := extension *( "," extension )         empty elements are passed over
 *   extension := token *( ";" param )
 *   param     := token [ "=" ( token | quoted ) ]
 *   quoted    := '"' 1*( tchar | "\" tchar ) '"'      unquoted, it must be a token
 *
 * Spaces and tabs may stand between any two of these. What does not follow the grammar fails the
 * handshake (RFC 6455 §9.1); what follows it but is no offer that we can do is declined (RFC 7692
 * §7). The two must not be mixed up: a peer whose list we cannot read may mean anything.
 *
 * Nothing is stored of an offer but a few numbers, and no byte is looked at twice. Values are kept
 * up to VALUE_MAX bytes, which is more than any valid one has.
 *
 * Names are compared without regard to case, as literals in the RFC's ABNF are. */
#include "wire/ws_offer.h"

enum { VALUE_MAX = 4 };

typedef struct param {
  lk_slice name;
  bool has_value;
  uint8_t value[VALUE_MAX];
  size_t value_len; /* may be above VALUE_MAX */
} param;

typedef struct offer {
  bool declined;
  bool server_no_takeover;
  bool client_no_takeover;
  bool has_client_bits;
  uint8_t server_bits; /* 0: not asked for */
  uint8_t client_bits; /* 0: without a value */
} offer;

/* ---- the grammar ---- */

static bool is_tchar(uint8_t c) {
  if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) return true;
  return lk_slice_find_byte(LK_LIT("!#$%&'*+-.^_`|~"), c) != LK_SLICE_NONE;
}

static void skip_space(lk_slice *in) {
  while (in->len > 0 && (in->ptr[0] == ' ' || in->ptr[0] == '\t')) *in = lk_slice_skip(*in, 1);
}

/* Takes |byte| and the spaces behind it. */
static bool take(lk_slice *in, uint8_t byte) {
  if (in->len == 0 || in->ptr[0] != byte) return false;
  *in = lk_slice_skip(*in, 1);
  skip_space(in);
  return true;
}

static bool take_token(lk_slice *in, lk_slice *out) {
  size_t len = 0;
  while (len < in->len && is_tchar(in->ptr[len])) len++;
  *out = lk_slice_first(*in, len);
  *in = lk_slice_skip(*in, len);
  skip_space(in);
  return len > 0;
}

static void add_to_value(param *p, uint8_t byte) {
  if (p->value_len < VALUE_MAX) p->value[p->value_len] = byte;
  p->value_len++;
}

/* Behind the opening quote. */
static bool take_quoted(lk_slice *in, param *p) {
  size_t at = 0;
  for (; at < in->len && in->ptr[at] != '"'; at++) {
    if (in->ptr[at] == '\\') at++;
    if (at >= in->len || !is_tchar(in->ptr[at])) return false;
    add_to_value(p, in->ptr[at]);
  }
  *in = lk_slice_skip(*in, at);
  return p->value_len > 0 && take(in, '"');
}

static bool take_value(lk_slice *in, param *p) {
  lk_slice token;
  p->has_value = true;
  if (in->len > 0 && in->ptr[0] == '"') {
    *in = lk_slice_skip(*in, 1);
    return take_quoted(in, p);
  }
  if (!take_token(in, &token)) return false;
  for (size_t i = 0; i < token.len; i++) add_to_value(p, token.ptr[i]);
  return true;
}

static bool take_param(lk_slice *in, param *p) {
  *p = (param){ 0 };
  if (!take_token(in, &p->name)) return false;
  return !take(in, '=') || take_value(in, p);
}

/* ---- what an offer asks for ---- */

/* 8 to 15, without a zero in front; 0 for anything else. */
static uint8_t window_bits(const param *p) {
  const uint8_t *v = p->value;
  if (p->value_len == 1 && (v[0] == '8' || v[0] == '9')) return (uint8_t)(v[0] - '0');
  if (p->value_len == 2 && v[0] == '1' && v[1] >= '0' && v[1] <= '5')
    return (uint8_t)(10 + v[1] - '0');
  return 0;
}

static bool note_flag(bool *flag, const param *p) {
  bool good = !*flag && !p->has_value;
  *flag = true;
  return good;
}

static bool note_server_bits(offer *o, const param *p) {
  bool first = o->server_bits == 0;
  o->server_bits = window_bits(p);
  return first && o->server_bits != 0;
}

static bool note_client_bits(offer *o, const param *p) {
  bool first = !o->has_client_bits;
  o->has_client_bits = true;
  o->client_bits = window_bits(p);
  return first && (!p->has_value || o->client_bits != 0);
}

/* False where the parameter makes the offer one to be declined. */
static bool note_param(offer *o, const param *p) {
  if (lk_slice_equal_nocase(p->name, LK_LIT("server_no_context_takeover")))
    return note_flag(&o->server_no_takeover, p);
  if (lk_slice_equal_nocase(p->name, LK_LIT("client_no_context_takeover")))
    return note_flag(&o->client_no_takeover, p);
  if (lk_slice_equal_nocase(p->name, LK_LIT("server_max_window_bits")))
    return note_server_bits(o, p);
  if (lk_slice_equal_nocase(p->name, LK_LIT("client_max_window_bits")))
    return note_client_bits(o, p);
  return false;
}

/* False where the grammar is not followed. */
static bool take_offer(lk_slice *in, offer *o) {
  lk_slice name;
  param p;
  *o = (offer){ 0 };
  if (!take_token(in, &name)) return false;
  o->declined = !lk_slice_equal_nocase(name, LK_LIT("permessage-deflate"));
  for (int count = 0; take(in, ';'); count++) {
    if (count == LK_WS_OFFER_PARAMS_MAX || !take_param(in, &p)) return false;
    if (!o->declined && !note_param(o, &p)) o->declined = true;
  }
  return in->len == 0 || in->ptr[0] == ',';
}

/* ---- what is agreed on ---- */

static uint8_t lesser(uint8_t a, uint8_t b) { return a < b ? a : b; }

/* A server says the bits of its own window where it was asked, or where they are fewer than a
 * client would think; those of the client only where the client said that it understands. */
static bool agree(const offer *o, const lk_ws_deflate_policy *policy, lk_ws_deflate_params *out) {
  uint8_t most = policy->window_bits_max, asked = o->server_bits;
  if (o->declined || (asked != 0 && asked < LK_DEFLATE_WINDOW_BITS_MIN)) return false;
  *out = (lk_ws_deflate_params){
    .server_no_takeover = o->server_no_takeover || !policy->send_takeover,
    .client_no_takeover = o->client_no_takeover || !policy->receive_takeover,
  };
  if (asked != 0) out->server_bits = lesser(asked, most);
  else if (most < LK_DEFLATE_WINDOW_BITS_MAX) out->server_bits = most;
  uint8_t client = lesser(o->client_bits == 0 ? LK_DEFLATE_WINDOW_BITS_MAX : o->client_bits, most);
  if (o->has_client_bits && client < LK_DEFLATE_WINDOW_BITS_MAX) out->client_bits = client;
  return true;
}

lk_err lk_ws_offer_read(const lk_http1_request *request, const lk_ws_deflate_policy *policy,
                        lk_ws_deflate_params *out, bool *agreed) {
  lk_slice name, in;
  offer o;
  int count = 0;
  *agreed = false;
  for (size_t pos = 0; lk_http1_header_next(request, &pos, &name, &in);) {
    if (!lk_slice_equal_nocase(name, LK_LIT("sec-websocket-extensions"))) continue;
    skip_space(&in);
    while (in.len > 0) {
      if (take(&in, ',')) continue;
      if (count++ == LK_WS_OFFERS_MAX || !take_offer(&in, &o)) {
        *agreed = false;
        return LK_ERR_WS_HANDSHAKE;
      }
      if (!*agreed) *agreed = agree(&o, policy, out);
    }
  }
  return LK_OK;
}

static void append_bits(lk_buf *out, lk_slice name, uint8_t bits) {
  if (bits == 0) return;
  lk_buf_append(out, name);
  lk_buf_append_decimal(out, bits);
}

lk_err lk_ws_offer_answer(const lk_ws_deflate_params *params, lk_buf *out) {
  lk_buf_append(out, LK_LIT("permessage-deflate"));
  if (params->server_no_takeover) lk_buf_append(out, LK_LIT("; server_no_context_takeover"));
  if (params->client_no_takeover) lk_buf_append(out, LK_LIT("; client_no_context_takeover"));
  append_bits(out, LK_LIT("; server_max_window_bits="), params->server_bits);
  append_bits(out, LK_LIT("; client_max_window_bits="), params->client_bits);
  return lk_buf_err(out);
}
