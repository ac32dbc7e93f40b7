/* wire/http_client.c -- one response, line by line and then byte by byte.
 *
 *   LINE ──> HEADERS ──┬── no body (204, 304, a length of 0) ────────────────────> READY
 *     ^        │       ├── BODY: a length ────────────────────────────────────────> READY
 *     └─ 1xx ──┘       ├── REST: neither length nor chunks ── the connection ends ─> READY
 *                      └── CHUNK_SIZE ──> CHUNK ──> CHUNK_END ─┐
 *                            ^   └─ 0 ──> TRAILERS ──> READY    │
 *                            └──────────────────────────────────┘
 *
 * Where two readers could see two ends of a response, the rest of the connection would be read as something it is not: as the
 * answer to another question. So a length beside chunks, two lengths, a folded line and a bare LF are refused, though an RFC
 * lets some of them pass. A body that ends with the connection is taken; such a connection is used once.
 *
 * Lines are gathered in a buffer of their own: a head may be cut anywhere, and what is in |head| is then only lines that were
 * understood. Extensions of chunks are passed over, trailers are read and forgotten. */
#include "wire/http_client.h"

#define CHUNK_LINE_MAX 256u
#define INTERIM_MAX 8u

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static bool is_alnum(uint8_t c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_in(uint8_t c, lk_slice set) { return lk_slice_find_byte(set, c) != LK_SLICE_NONE; }

static bool is_token(lk_slice s) {
  for (size_t i = 0; i < s.len; i++) {
    if (!is_alnum(s.ptr[i]) && !is_in(s.ptr[i], LK_LIT("!#$%&'*+-.^_`|~"))) return false;
  }
  return s.len > 0;
}

static bool is_field_value(lk_slice s) {
  for (size_t i = 0; i < s.len; i++) {
    if ((s.ptr[i] < 0x20 && s.ptr[i] != '\t') || s.ptr[i] == 0x7f) return false;
  }
  return true;
}

/* ---- addresses ---- */

static lk_err parse_port(lk_slice text, uint16_t *out) {
  uint32_t value = 0;
  if (text.len == 0 || text.len > 5) return LK_ERR_RANGE;
  for (size_t i = 0; i < text.len; i++) {
    if (!is_digit(text.ptr[i])) return LK_ERR_RANGE;
    value = value * 10 + (uint32_t)(text.ptr[i] - '0');
  }
  if (value == 0 || value > UINT16_MAX) return LK_ERR_RANGE;
  *out = (uint16_t)value;
  return LK_OK;
}

/* [::1]:80, 127.0.0.1:80 or name.example:80; the port may be missing. */
static lk_err parse_authority(lk_http_url *url) {
  lk_slice rest, port = LK_SLICE_EMPTY;
  bool has_port = false, is_bracketed = lk_slice_starts_with(url->authority, LK_LIT("["));
  if (is_bracketed) {
    if (lk_slice_find_byte(url->authority, ']') == LK_SLICE_NONE) return LK_ERR_SYNTAX;
    url->host = lk_slice_cut(lk_slice_skip(url->authority, 1), ']', &rest);
    has_port = rest.len > 0;
    if (has_port && rest.ptr[0] != ':') return LK_ERR_SYNTAX;
    port = lk_slice_skip(rest, 1);
  } else {
    url->host = lk_slice_cut(url->authority, ':', &port);
    has_port = url->host.len < url->authority.len;
  }
  if (url->host.len == 0 || url->host.len > LK_HTTP_HOST_MAX) return LK_ERR_SYNTAX;
  for (size_t i = 0; i < url->host.len; i++) {
    uint8_t c = url->host.ptr[i];
    if (!is_alnum(c) && !is_in(c, is_bracketed ? LK_LIT(":.") : LK_LIT("-._")))
      return LK_ERR_SYNTAX;
  }
  return has_port ? parse_port(port, &url->port) : LK_OK;
}

lk_err lk_http_url_parse(lk_slice text, lk_http_url *out) {
  lk_http_url url = { .port = 80, .target = LK_LIT("/") };
  if (text.len > LK_HTTP_URL_MAX) return LK_ERR_SYNTAX;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] <= 0x20 || text.ptr[i] >= 0x7f || text.ptr[i] == '#') return LK_ERR_SYNTAX;
  }
  if (lk_slice_starts_with(text, LK_LIT("https://"))) {
    url.is_tls = true;
    url.port = 443;
  } else if (!lk_slice_starts_with(text, LK_LIT("http://"))) {
    return LK_ERR_SYNTAX;
  }
  lk_slice rest = lk_slice_skip(text, url.is_tls ? 8 : 7);
  size_t end = 0;
  while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?') end++;
  url.authority = lk_slice_first(rest, end);
  rest = lk_slice_skip(rest, end);
  if (rest.len > 0 && rest.ptr[0] != '/') return LK_ERR_SYNTAX; /* "http://host?query" */
  if (rest.len > 0) url.target = rest;
  lk_err err = parse_authority(&url);
  if (err == LK_OK) *out = url;
  return err;
}

/* ---- the machine ---- */

void lk_http_client_init(lk_http_client *self, const lk_alloc *alloc, const lk_limits *limits,
                         uint32_t body_bytes_max) {
  *self = (lk_http_client){ .limits = limits };
  lk_buf_init(&self->head, alloc, limits->http_head_bytes);
  lk_buf_init(&self->line, alloc, limits->http_head_bytes);
  lk_buf_init(&self->body, alloc, body_bytes_max);
}

void lk_http_client_deinit(lk_http_client *self) {
  lk_buf_deinit(&self->head);
  lk_buf_deinit(&self->line);
  lk_buf_deinit(&self->body);
  *self = (lk_http_client){ .state = LK_HTTP_CLIENT_FAILED, .err = LK_ERR_CLOSED };
}

void lk_http_client_next(lk_http_client *self) {
  LK_ASSERT(self->state == LK_HTTP_CLIENT_READY);
  const lk_alloc *alloc = self->head.alloc;
  const lk_limits *limits = self->limits;
  uint32_t body_bytes_max = (uint32_t)self->body.max;
  lk_http_client_deinit(self);
  lk_http_client_init(self, alloc, limits, body_bytes_max);
}

bool lk_http_client_is_idle(const lk_http_client *self) {
  return self->state == LK_HTTP_CLIENT_LINE && self->line.len == 0 && self->interim_count == 0;
}

static lk_err fail(lk_http_client *self, lk_err err) {
  self->state = LK_HTTP_CLIENT_FAILED;
  self->err = err;
  return err;
}

/* ---- the head ---- */

/* HTTP/1.1 200 OK, or no phrase and not even the space before it. */
static lk_err read_status_line(lk_http_client *self, lk_slice line) {
  lk_slice rest, phrase, version = lk_slice_cut(line, ' ', &rest);
  if (version.len != 8 || !lk_slice_starts_with(version, LK_LIT("HTTP/")) ||
      !is_digit(version.ptr[5]) || version.ptr[6] != '.' || !is_digit(version.ptr[7]))
    return fail(self, LK_ERR_HTTP);
  if (version.ptr[5] != '1' || version.ptr[7] > '1') return fail(self, LK_ERR_VERSION);
  lk_slice code = lk_slice_cut(rest, ' ', &phrase);
  if (code.len != 3 || code.ptr[0] < '1' || code.ptr[0] > '5' || !is_digit(code.ptr[1]) ||
      !is_digit(code.ptr[2]) || !is_field_value(phrase))
    return fail(self, LK_ERR_HTTP);
  self->version_minor = (uint8_t)(version.ptr[7] - '0');
  self->status = (uint16_t)((code.ptr[0] - '0') * 100 + (code.ptr[1] - '0') * 10 + code.ptr[2] -
                            '0');
  (void)lk_buf_append(&self->head, line);
  lk_err err = lk_buf_append(&self->head, LK_LIT("\r\n"));
  if (err != LK_OK) return fail(self, err);
  self->headers_off = (uint32_t)self->head.len;
  self->state = LK_HTTP_CLIENT_HEADERS;
  return LK_OK;
}

static bool read_length(lk_slice text, uint64_t *out) {
  uint64_t value = 0;
  if (text.len == 0 || (text.ptr[0] == '0' && text.len > 1)) return false;
  for (size_t i = 0; i < text.len; i++) {
    if (!is_digit(text.ptr[i]) || !lk_mul_u64(value, 10, &value) ||
        !lk_add_u64(value, (uint64_t)(text.ptr[i] - '0'), &value))
      return false;
  }
  *out = value;
  return true;
}

static lk_err read_framing(lk_http_client *self, lk_slice name, lk_slice value) {
  if (lk_slice_equal_nocase(name, LK_LIT("content-length"))) {
    if (self->has_length || !read_length(value, &self->left)) return fail(self, LK_ERR_HTTP);
    self->has_length = true;
  } else if (lk_slice_equal_nocase(name, LK_LIT("transfer-encoding"))) {
    if (self->has_coding) return fail(self, LK_ERR_HTTP);
    if (!lk_slice_equal_nocase(value, LK_LIT("chunked"))) return fail(self, LK_ERR_UNSUPPORTED);
    self->has_coding = true;
  }
  return LK_OK;
}

static lk_http1_request view_of(const lk_http_client *self) {
  return (
      lk_http1_request){ .headers = lk_slice_skip(lk_buf_slice(&self->head), self->headers_off) };
}

/* What came was not yet the response. */
static lk_err pass_interim(lk_http_client *self) {
  if (self->status == 101 || self->has_coding || self->left > 0 ||
      ++self->interim_count > INTERIM_MAX)
    return fail(self, LK_ERR_HTTP);
  lk_buf_truncate(&self->head, 0);
  self->headers_count = 0;
  self->has_length = false;
  self->state = LK_HTTP_CLIENT_LINE;
  return LK_OK;
}

static lk_err end_head(lk_http_client *self) {
  const lk_http1_request view = view_of(self);
  if (self->status < 200) return pass_interim(self);
  if (self->has_coding && (self->has_length || self->version_minor == 0))
    return fail(self, LK_ERR_HTTP);
  self->is_to_close = self->version_minor == 0 ||
                      lk_http1_header_has(&view, LK_LIT("connection"), LK_LIT("close"));
  if (self->status == 204 || self->status == 304) {
    self->state = LK_HTTP_CLIENT_READY;
  } else if (self->has_coding) {
    self->state = LK_HTTP_CLIENT_CHUNK_SIZE;
  } else if (!self->has_length) {
    self->is_to_close = true;
    self->state = LK_HTTP_CLIENT_REST;
  } else if (self->left > self->body.max) {
    return fail(self, LK_ERR_TOO_BIG);
  } else {
    self->state = self->left > 0 ? LK_HTTP_CLIENT_BODY : LK_HTTP_CLIENT_READY;
  }
  return LK_OK;
}

static bool split_header(lk_slice line, lk_slice *name, lk_slice *value) {
  *name = lk_slice_cut(line, ':', value);
  return name->len < line.len && is_token(*name) && is_field_value(*value);
}

static lk_err read_header(lk_http_client *self, lk_slice line) {
  lk_slice name, value;
  if (line.len == 0) return end_head(self);
  if (self->headers_count == self->limits->http_headers_count) return fail(self, LK_ERR_LIMIT);
  if (!split_header(line, &name, &value)) return fail(self, LK_ERR_HTTP);
  self->headers_count++;
  lk_err err = read_framing(self, name, lk_slice_trim(value));
  if (err != LK_OK) return err;
  (void)lk_buf_append(&self->head, line);
  err = lk_buf_append(&self->head, LK_LIT("\r\n"));
  return err == LK_OK ? LK_OK : fail(self, err);
}

/* ---- chunks ---- */

static bool read_hex(lk_slice text, uint64_t *out) {
  uint64_t value = 0;
  if (text.len == 0 || text.len > 15) return false;
  for (size_t i = 0; i < text.len; i++) {
    uint8_t c = text.ptr[i];
    uint8_t digit = (uint8_t)(is_digit(c)            ? c - '0'
                              : c >= 'a' && c <= 'f' ? c - 'a' + 10
                              : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                     : 16);
    if (digit > 15) return false;
    value = value << 4 | digit;
  }
  *out = value;
  return true;
}

static lk_err read_chunk_size(lk_http_client *self, lk_slice line) {
  lk_slice extension, size = lk_slice_cut(line, ';', &extension);
  if (!is_field_value(line) || !read_hex(lk_slice_trim(size), &self->left))
    return fail(self, LK_ERR_HTTP);
  if (self->left > self->body.max - self->body.len) return fail(self, LK_ERR_TOO_BIG);
  if (++self->chunks_count > self->limits->http_chunks_count) return fail(self, LK_ERR_LIMIT);
  self->state = self->left > 0 ? LK_HTTP_CLIENT_CHUNK : LK_HTTP_CLIENT_TRAILERS;
  return LK_OK;
}

static lk_err read_trailer(lk_http_client *self, lk_slice line) {
  lk_slice name, value;
  if (line.len == 0) {
    self->state = LK_HTTP_CLIENT_READY;
    return LK_OK;
  }
  self->trailer_bytes += (uint32_t)line.len + 2;
  if (self->trailer_bytes > self->limits->http_head_bytes) return fail(self, LK_ERR_LIMIT);
  return split_header(line, &name, &value) ? LK_OK : fail(self, LK_ERR_HTTP);
}

/* ---- feeding ---- */

static lk_err read_line(lk_http_client *self, lk_slice line) {
  switch ((lk_http_client_state)self->state) {
  case LK_HTTP_CLIENT_LINE: return read_status_line(self, line);
  case LK_HTTP_CLIENT_HEADERS: return read_header(self, line);
  case LK_HTTP_CLIENT_CHUNK_SIZE: return read_chunk_size(self, line);
  case LK_HTTP_CLIENT_CHUNK_END:
    self->state = LK_HTTP_CLIENT_CHUNK_SIZE;
    return line.len == 0 ? LK_OK : fail(self, LK_ERR_HTTP);
  default: return read_trailer(self, line);
  }
}

/* How long a line may be, its end included. */
static size_t line_max(const lk_http_client *self) {
  switch ((lk_http_client_state)self->state) {
  case LK_HTTP_CLIENT_CHUNK_SIZE: return CHUNK_LINE_MAX;
  case LK_HTTP_CLIENT_CHUNK_END: return 2;
  case LK_HTTP_CLIENT_TRAILERS: return self->limits->http_head_bytes;
  default: return self->limits->http_head_bytes - self->head.len;
  }
}

static lk_err step_line(lk_http_client *self, lk_slice *in) {
  size_t most = line_max(self), end = lk_slice_find_byte(*in, '\n');
  lk_slice piece = end == LK_SLICE_NONE ? *in : lk_slice_first(*in, end + 1);
  if (self->line.len > most || piece.len > most - self->line.len)
    return fail(self, self->state == LK_HTTP_CLIENT_CHUNK_END ? LK_ERR_HTTP : LK_ERR_LIMIT);
  lk_err err = lk_buf_append(&self->line, piece);
  if (err != LK_OK) return fail(self, err);
  *in = lk_slice_skip(*in, piece.len);
  if (end == LK_SLICE_NONE) return LK_OK;
  lk_slice line = lk_buf_slice(&self->line);
  if (!lk_slice_ends_with(line, LK_LIT("\r\n"))) return fail(self, LK_ERR_HTTP);
  err = read_line(self, lk_slice_first(line, line.len - 2));
  lk_buf_truncate(&self->line, 0);
  return err;
}

static lk_err step_body(lk_http_client *self, lk_slice *in) {
  bool is_rest = self->state == LK_HTTP_CLIENT_REST;
  size_t room = is_rest ? in->len : (size_t)lk_min_u64(self->left, in->len);
  lk_err err = lk_buf_append(&self->body, lk_slice_first(*in, room));
  if (err != LK_OK) return fail(self, err == LK_ERR_LIMIT ? LK_ERR_TOO_BIG : err);
  *in = lk_slice_skip(*in, room);
  if (is_rest || (self->left -= room) > 0) return LK_OK;
  self->state = self->state == LK_HTTP_CLIENT_CHUNK ? LK_HTTP_CLIENT_CHUNK_END
                                                    : LK_HTTP_CLIENT_READY;
  return LK_OK;
}

lk_err lk_http_client_feed(lk_http_client *self, lk_slice *in) {
  lk_err err = self->state == LK_HTTP_CLIENT_FAILED ? self->err : LK_OK;
  while (err == LK_OK && in->len > 0 && self->state != LK_HTTP_CLIENT_READY) {
    bool is_body = self->state == LK_HTTP_CLIENT_BODY || self->state == LK_HTTP_CLIENT_REST ||
                   self->state == LK_HTTP_CLIENT_CHUNK;
    err = is_body ? step_body(self, in) : step_line(self, in);
  }
  return err;
}

lk_err lk_http_client_end(lk_http_client *self) {
  if (self->state == LK_HTTP_CLIENT_FAILED) return self->err;
  if (self->state == LK_HTTP_CLIENT_REST) self->state = LK_HTTP_CLIENT_READY;
  return self->state == LK_HTTP_CLIENT_READY ? LK_OK : fail(self, LK_ERR_TRUNCATED);
}

bool lk_http_client_poll(const lk_http_client *self, lk_http_response *out) {
  if (self->state != LK_HTTP_CLIENT_READY) return false;
  *out = (lk_http_response){ .status = self->status,
                             .body = lk_buf_slice(&self->body),
                             .keep_alive = !self->is_to_close,
                             .head = view_of(self) };
  return true;
}

/* ---- requests ---- */

lk_err lk_http_client_begin(lk_buf *out, lk_slice method, const lk_http_url *url) {
  LK_ASSERT(is_token(method) && url->target.len > 0 && url->target.ptr[0] == '/');
  (void)lk_buf_append(out, method);
  (void)lk_buf_append(out, LK_LIT(" "));
  (void)lk_buf_append(out, url->target);
  (void)lk_buf_append(out, LK_LIT(" HTTP/1.1\r\nhost: "));
  (void)lk_buf_append(out, url->authority);
  return lk_buf_append(out, LK_LIT("\r\n"));
}

lk_err lk_http_client_header(lk_buf *out, lk_slice name, lk_slice value) {
  LK_ASSERT(is_token(name) && is_field_value(value));
  (void)lk_buf_append(out, name);
  (void)lk_buf_append(out, LK_LIT(": "));
  (void)lk_buf_append(out, value);
  return lk_buf_append(out, LK_LIT("\r\n"));
}

lk_err lk_http_client_finish(lk_buf *out, lk_slice body) {
  (void)lk_buf_append(out, LK_LIT("content-length: "));
  (void)lk_buf_append_decimal(out, body.len);
  (void)lk_buf_append(out, LK_LIT("\r\n\r\n"));
  return lk_buf_append(out, body);
}
