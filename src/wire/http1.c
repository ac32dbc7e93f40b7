/* wire/http1.c -- a request is a few lines and then a counted body.
 *
 *   request := [CRLF] method SP target SP "HTTP/1." ("0"|"1") CRLF  (name ":" OWS value OWS CRLF)*
 *              CRLF  body
 *   body    := as many bytes as Content-Length says, or
 *              (size [extensions] CRLF bytes CRLF)*  "0" [extensions] CRLF  trailer*  CRLF
 *
 * Two programs that read the same bytes and disagree where one request ends let an attacker hide
 * a second request in the first. So the rule for every doubt is refusal: a bare CR or LF, space
 * around a header's name, a folded line, a second Content-Length (even an equal one), a length
 * that is not plain digits, a length and a Transfer-Encoding, no Host or two. None of them is sent
 * by a client that means well, and a status code is a better answer than a guess.
 *
 *   LINE --request line--> HEADERS --blank line--> BODY --its end--> READY --next--> LINE
 *     \________________________\______________________\---- error, time-out ----> FAILED
 *
 * Chunks are undone byte by byte, without a buffer for their lines: sizes are added up as they come,
 * extensions and trailers are checked against their grammar and forgotten. They are bounded by
 * count and length, since a stranger could otherwise send them for ever inside one small body:
 *
 *   SIZE --digits--> SIZE_MORE --;--> EXT_NAME --=--> EXT_VALUE or EXT_QUOTED ...
 *     ^                  \_______________\____ CR ____/
 *     |                                    v
 *     |            SIZE_LF --size 0--> TRAILER --CR--> LAST_LF --LF--> the request is READY
 *     |               |                 ^   \--name--> TRAILER_NAME --:--> TRAILER_VALUE
 *     |             size > 0            \____________ LF __ TRAILER_LF <___ CR ____/
 *     |               v
 *     \-- DATA_LF <-- DATA_CR <-- DATA
 *
 * The head is collected line by line in one buffer. A line is looked at when its LF has come, and
 * never again, so the work is linear in the bytes however they are cut. The machine keeps offsets
 * and no table of headers: the lines were checked, so that walking them again needs no checks,
 * and a request of a hundred headers costs a connection no memory but the bytes themselves.
 *
 * Always: head.len <= http_head_bytes, body.len <= body_len <= body_bytes_max, and everything
 * before line_off has passed its checks.
 *
 * Not chosen: a table of (name, value) pairs, which is memory that a stranger can make us hold
 * for look-ups that are a few dozen comparisons; space around the ';' of an extension, which RFC 9112
 * lets a reader take and no writer may send; persistent connections for HTTP/1.0, which no client
 * of today asks for. */
#include "wire/http1.h"

#define CHUNK_LINE_MAX 256 /* bytes of a chunk's size with its extensions */

enum {
  CHUNK_SIZE,
  CHUNK_SIZE_MORE,
  CHUNK_EXT_NAME,
  CHUNK_EXT_NAME_MORE,
  CHUNK_EXT_VALUE,
  CHUNK_EXT_VALUE_MORE,
  CHUNK_EXT_QUOTED,
  CHUNK_EXT_ESCAPE,
  CHUNK_EXT_QUOTED_END,
  CHUNK_SIZE_LF,
  CHUNK_DATA,
  CHUNK_DATA_CR,
  CHUNK_DATA_LF,
  CHUNK_TRAILER,
  CHUNK_TRAILER_NAME,
  CHUNK_TRAILER_VALUE,
  CHUNK_TRAILER_LF,
  CHUNK_LAST_LF,
};

/* ---- classes of bytes ---- */

static bool is_alnum(uint8_t c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_in(uint8_t c, lk_slice set) { return lk_slice_find_byte(set, c) != LK_SLICE_NONE; }

static bool is_token_byte(uint8_t c) { return is_alnum(c) || is_in(c, LK_LIT("!#$%&'*+-.^_`|~")); }

static bool is_token(lk_slice s) {
  for (size_t i = 0; i < s.len; i++)
    if (!is_token_byte(s.ptr[i])) return false;
  return s.len > 0;
}

/* Text, spaces, tabs and bytes above ASCII; no CR, LF, NUL or other control character. */
static bool is_field_byte(uint8_t c) { return (c >= 0x20 && c != 0x7f) || c == '\t'; }

static bool is_field_value(lk_slice s) {
  for (size_t i = 0; i < s.len; i++)
    if (!is_field_byte(s.ptr[i])) return false;
  return true;
}

static bool hex_digit(uint8_t c, uint8_t *out) {
  if (c >= '0' && c <= '9') *out = (uint8_t)(c - '0');
  else if (c >= 'a' && c <= 'f') *out = (uint8_t)(c - 'a' + 10);
  else if (c >= 'A' && c <= 'F') *out = (uint8_t)(c - 'A' + 10);
  else return false;
  return true;
}

static bool is_target(lk_slice s) {
  for (size_t i = 0; i < s.len; i++)
    if (s.ptr[i] <= 0x20 || s.ptr[i] >= 0x7f || s.ptr[i] == '#') return false;
  return s.len > 0;
}

/* A name or an address and perhaps a port. Narrower than RFC 3986: what is left out, such as '@',
 * ',' or '/', serves only to make two readers see two hosts. */
static bool is_host(lk_slice s) {
  for (size_t i = 0; i < s.len; i++)
    if (!is_alnum(s.ptr[i]) && !is_in(s.ptr[i], LK_LIT("-._~%:[]"))) return false;
  return s.len > 0;
}

/* ---- the machine ---- */

void lk_http1_init(lk_http1 *self, const lk_alloc *alloc, const lk_limits *limits,
                   const lk_http1_options *options, uint64_t now_ms) {
  *self = (lk_http1){ .limits = limits, .options = *options, .since_ms = now_ms };
  lk_buf_init(&self->head, alloc, limits->http_head_bytes);
  lk_buf_init(&self->body, alloc, 0); /* the head says how much it may be */
}

void lk_http1_deinit(lk_http1 *self) {
  lk_buf_deinit(&self->head);
  lk_buf_deinit(&self->body);
  *self = (lk_http1){ .state = LK_HTTP1_FAILED, .err = LK_ERR_CLOSED };
}

void lk_http1_next(lk_http1 *self, uint64_t now_ms) {
  LK_ASSERT(self->state == LK_HTTP1_READY);
  const lk_alloc *alloc = self->head.alloc;
  const lk_limits *limits = self->limits;
  const lk_http1_options options = self->options;
  lk_http1_deinit(self);
  lk_http1_init(self, alloc, limits, &options, now_ms);
}

static lk_err fail(lk_http1 *self, lk_err err, uint16_t status) {
  self->state = LK_HTTP1_FAILED;
  self->err = err;
  self->status = status;
  return err;
}

static lk_err refuse(lk_http1 *self) { return fail(self, LK_ERR_HTTP, 400); }

/* ---- the request line ---- */

static lk_slice part(const lk_http1 *self, uint32_t off, uint32_t len) {
  return lk_slice_first(lk_slice_skip(lk_buf_slice(&self->head), off), len);
}

static lk_slice method_of(const lk_http1 *self) {
  return part(self, self->target_off - 1 - self->method_len, self->method_len);
}

static size_t scheme_len(lk_slice target) {
  if (lk_slice_equal_nocase(lk_slice_first(target, 7), LK_LIT("http://"))) return 7;
  if (lk_slice_equal_nocase(lk_slice_first(target, 8), LK_LIT("https://"))) return 8;
  return 0;
}

/* "http://HOST" in front of a path, as clients of a proxy send it. Empty for a plain path. */
static lk_slice target_authority(lk_slice target) {
  lk_slice rest = lk_slice_skip(target, scheme_len(target)), ignored;
  if (rest.len == target.len) return LK_SLICE_EMPTY;
  rest = lk_slice_cut(rest, '?', &ignored);
  return lk_slice_cut(rest, '/', &ignored);
}

static void split_target(lk_slice target, lk_slice *path, lk_slice *query) {
  size_t before_path = scheme_len(target);
  if (before_path > 0) before_path += target_authority(target).len;
  *path = lk_slice_cut(lk_slice_skip(target, before_path), '?', query);
  if (path->len == 0) *path = LK_LIT("/"); /* "http://host" asks for the root */
}

static bool is_target_for(lk_slice target, lk_slice method) {
  if (!is_target(target)) return false;
  if (target.ptr[0] == '/') return true;
  if (lk_slice_equal(target, LK_LIT("*"))) return lk_slice_equal(method, LK_LIT("OPTIONS"));
  return scheme_len(target) > 0 && target_authority(target).len > 0;
}

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static lk_err read_version(lk_http1 *self, lk_slice version) {
  if (version.len != 8 || !lk_slice_starts_with(version, LK_LIT("HTTP/")) ||
      !is_digit(version.ptr[5]) || version.ptr[6] != '.' || !is_digit(version.ptr[7]))
    return refuse(self);
  if (version.ptr[5] != '1' || version.ptr[7] > '1') return fail(self, LK_ERR_VERSION, 505);
  self->version_minor = (uint8_t)(version.ptr[7] - '0');
  return LK_OK;
}

static lk_err read_request_line(lk_http1 *self, lk_slice line) {
  lk_slice rest;
  if (line.len == 0 && !self->skipped_blank) {
    self->skipped_blank = true; /* RFC 9112 §2.2: some clients end a body with a CRLF too many */
    return LK_OK;
  }
  lk_slice method = lk_slice_cut(line, ' ', &rest);
  if (!is_token(method)) return refuse(self);
  lk_slice target = lk_slice_cut(rest, ' ', &rest);
  lk_err err = read_version(self, rest);
  if (err != LK_OK) return err;
  if (!is_target_for(target, method)) return refuse(self);
  self->method_len = (uint32_t)method.len;
  self->target_off = self->line_off + self->method_len + 1;
  self->target_len = (uint32_t)target.len;
  self->headers_off = (uint32_t)self->head.len;
  self->state = LK_HTTP1_HEADERS;
  return LK_OK;
}

/* ---- headers ---- */

/* Digits and nothing else, without a zero in front: "+5", "0x5", "05" and "5, 5" are all ways to
 * be read differently by the next program. */
static bool read_length(lk_slice text, uint64_t *out) {
  uint64_t value = 0;
  if (text.len == 0 || (text.ptr[0] == '0' && text.len > 1)) return false;
  for (size_t i = 0; i < text.len; i++) {
    if (!is_digit(text.ptr[i])) return false;
    if (!lk_mul_u64(value, 10, &value)) return false;
    if (!lk_add_u64(value, (uint64_t)(text.ptr[i] - '0'), &value)) return false;
  }
  *out = value;
  return true;
}

/* The four headers that decide how the rest is read. */
static lk_err read_framing(lk_http1 *self, lk_slice name, lk_slice value) {
  if (lk_slice_equal_nocase(name, LK_LIT("content-length"))) {
    if (self->has_length || !read_length(value, &self->body_len)) return refuse(self);
    self->has_length = true;
  } else if (lk_slice_equal_nocase(name, LK_LIT("transfer-encoding"))) {
    /* "chunked, chunked" and a second header are what one reader undoes once and another one twice. */
    if (self->has_coding) return refuse(self);
    self->has_coding = true;
    self->is_chunked = lk_slice_equal_nocase(value, LK_LIT("chunked"));
  } else if (lk_slice_equal_nocase(name, LK_LIT("host"))) {
    if (self->has_host || !is_host(value)) return refuse(self);
    self->has_host = true;
    self->host_off = (uint32_t)(value.ptr - self->head.ptr);
    self->host_len = (uint32_t)value.len;
  } else if (lk_slice_equal_nocase(name, LK_LIT("expect"))) {
    self->has_expect = lk_slice_equal_nocase(value, LK_LIT("100-continue"));
  }
  return LK_OK;
}

/* The first rule for the path counts. */
static uint32_t body_bytes_max(const lk_http1 *self) {
  lk_slice path, query;
  split_target(part(self, self->target_off, self->target_len), &path, &query);
  for (uint32_t i = 0; i < self->options.body_rules_count; i++) {
    const lk_http1_body_rule *rule = &self->options.body_rules[i];
    bool is_folder = lk_slice_ends_with(rule->path, LK_LIT("/"));
    if (is_folder ? lk_slice_starts_with(path, rule->path) : lk_slice_equal(rule->path, path))
      return rule->bytes_max;
  }
  return self->options.body_bytes_max;
}

static lk_err end_head(lk_http1 *self) {
  lk_slice authority = target_authority(part(self, self->target_off, self->target_len));
  if (!self->has_host && self->version_minor > 0) return refuse(self);
  if (authority.len > 0 &&
      !lk_slice_equal_nocase(authority, part(self, self->host_off, self->host_len)))
    return refuse(self);
  if (self->has_coding && (self->has_length || self->version_minor == 0)) return refuse(self);
  if (self->has_coding && !self->is_chunked) return fail(self, LK_ERR_UNSUPPORTED, 501);
  self->body.max = body_bytes_max(self);
  /* Chunks may turn out to be nothing; where nothing is all there may be, nobody sends them. */
  if (self->body_len > self->body.max || (self->is_chunked && self->body.max == 0))
    return fail(self, LK_ERR_TOO_BIG, 413);
  self->state = self->body_len > 0 || self->is_chunked ? LK_HTTP1_BODY : LK_HTTP1_READY;
  return LK_OK;
}

static lk_err read_header_line(lk_http1 *self, lk_slice line) {
  lk_slice value;
  if (line.len == 0) return end_head(self);
  if (self->headers_count == self->limits->http_headers_count) return fail(self, LK_ERR_LIMIT, 431);
  lk_slice name = lk_slice_cut(line, ':', &value);
  /* A folded line begins with a space, and one without a colon is all name: no tokens, both. */
  if (name.len == line.len || !is_token(name) || !is_field_value(value)) return refuse(self);
  self->headers_count++;
  return read_framing(self, name, lk_slice_trim(value));
}

/* ---- feeding ---- */

/* Moves bytes into |head| up to the end of a line; |complete| tells whether the line is whole. */
static lk_err take_line(lk_http1 *self, lk_slice *in, bool *complete) {
  size_t room = self->limits->http_head_bytes - self->head.len, len = self->head.len;
  lk_slice piece = lk_slice_first(*in, room);
  size_t end = lk_slice_find_byte(piece, '\n');
  *complete = end != LK_SLICE_NONE;
  if (*complete) piece = lk_slice_first(piece, end + 1);
  else if (in->len >= room) /* there would be no room for its LF */
    return fail(self, LK_ERR_LIMIT, self->state == LK_HTTP1_LINE ? 414 : 431);
  lk_err err = lk_buf_append(&self->head, piece);
  if (err != LK_OK) {
    lk_buf_truncate(&self->head, len);
    return err;
  }
  *in = lk_slice_skip(*in, piece.len);
  return LK_OK;
}

static lk_err step_line(lk_http1 *self, lk_slice *in) {
  bool complete;
  bool begins = self->state == LK_HTTP1_LINE && self->head.len == self->line_off;
  /* What is no HTTP at all, TLS on the wrong port for example, need not be waited for. */
  if (begins && in->ptr[0] != '\r' && !is_token(lk_slice_first(*in, 1))) return refuse(self);
  lk_err err = take_line(self, in, &complete);
  if (err != LK_OK || !complete) return err;
  lk_slice line = lk_slice_skip(lk_buf_slice(&self->head), self->line_off);
  if (!lk_slice_ends_with(line, LK_LIT("\r\n"))) return refuse(self);
  line = lk_slice_first(line, line.len - 2);
  err = self->state == LK_HTTP1_LINE ? read_request_line(self, line) : read_header_line(self, line);
  self->line_off = (uint32_t)self->head.len;
  return err;
}

static lk_err take_body(lk_http1 *self, lk_slice *in) {
  size_t left = (size_t)self->body_len - self->body.len, len = self->body.len;
  lk_slice piece = lk_slice_first(*in, left);
  lk_err err = lk_buf_append(&self->body, piece);
  if (err != LK_OK) {
    lk_buf_truncate(&self->body, len);
    return err;
  }
  *in = lk_slice_skip(*in, piece.len);
  return LK_OK;
}

static lk_err step_body(lk_http1 *self, lk_slice *in) {
  lk_err err = take_body(self, in);
  if (self->body.len == self->body_len) self->state = LK_HTTP1_READY;
  return err;
}

/* ---- chunks ---- */

/* body_len counts what was announced: the size of this chunk is what body.len lacks of it. */
static lk_err add_size_digit(lk_http1 *self, uint8_t digit) {
  uint64_t size = (self->body_len - self->body.len) * 16 + digit; /* body_len is below 2^32 */
  self->body_len = self->body.len + size;
  self->chunk = CHUNK_SIZE_MORE;
  return self->body_len <= self->body.max ? LK_OK : fail(self, LK_ERR_TOO_BIG, 413);
}

static lk_err begin_data(lk_http1 *self) {
  bool is_last = self->body_len == self->body.len;
  self->framing_len = 0;
  self->chunk = is_last ? CHUNK_TRAILER : CHUNK_DATA;
  if (is_last) self->headers_count = 0;
  else if (self->chunks_count++ == self->limits->http_chunks_count)
    return fail(self, LK_ERR_TOO_BIG, 413);
  return LK_OK;
}

/* What may stand behind a size, or behind an item of its extensions. */
static lk_err end_extension(lk_http1 *self, uint8_t c) {
  if (c != ';' && c != '\r') return refuse(self);
  self->chunk = c == ';' ? CHUNK_EXT_NAME : CHUNK_SIZE_LF;
  return LK_OK;
}

/* A token has at least one byte; what ends it is looked at by the state it goes on in. */
static lk_err step_extension(lk_http1 *self, uint8_t c) {
  switch (self->chunk) {
  case CHUNK_EXT_NAME:
    self->chunk = CHUNK_EXT_NAME_MORE;
    return is_token_byte(c) ? LK_OK : refuse(self);
  case CHUNK_EXT_NAME_MORE:
    if (is_token_byte(c)) return LK_OK;
    if (c != '=') return end_extension(self, c);
    self->chunk = CHUNK_EXT_VALUE;
    return LK_OK;
  case CHUNK_EXT_VALUE:
    self->chunk = c == '"' ? CHUNK_EXT_QUOTED : CHUNK_EXT_VALUE_MORE;
    return c == '"' || is_token_byte(c) ? LK_OK : refuse(self);
  case CHUNK_EXT_VALUE_MORE: return is_token_byte(c) ? LK_OK : end_extension(self, c);
  case CHUNK_EXT_QUOTED:
    if (c == '"') self->chunk = CHUNK_EXT_QUOTED_END;
    else if (c == '\\') self->chunk = CHUNK_EXT_ESCAPE;
    return is_field_byte(c) ? LK_OK : refuse(self);
  case CHUNK_EXT_ESCAPE:
    self->chunk = CHUNK_EXT_QUOTED;
    return is_field_byte(c) ? LK_OK : refuse(self);
  default: return end_extension(self, c);
  }
}

static lk_err step_size(lk_http1 *self, uint8_t c) {
  uint8_t digit;
  if (++self->framing_len > CHUNK_LINE_MAX) return refuse(self);
  if (self->chunk <= CHUNK_SIZE_MORE && hex_digit(c, &digit)) return add_size_digit(self, digit);
  if (self->chunk == CHUNK_SIZE) return refuse(self);
  if (self->chunk == CHUNK_SIZE_LF) return c == '\n' ? begin_data(self) : refuse(self);
  return self->chunk == CHUNK_SIZE_MORE ? end_extension(self, c) : step_extension(self, c);
}

static lk_err step_trailer(lk_http1 *self, uint8_t c) {
  if (++self->framing_len > self->limits->http_head_bytes) return fail(self, LK_ERR_LIMIT, 431);
  switch (self->chunk) {
  case CHUNK_TRAILER:
    self->chunk = c == '\r' ? CHUNK_LAST_LF : CHUNK_TRAILER_NAME;
    if (c == '\r') return LK_OK;
    if (self->headers_count++ == self->limits->http_headers_count)
      return fail(self, LK_ERR_LIMIT, 431);
    return is_token_byte(c) ? LK_OK : refuse(self);
  case CHUNK_TRAILER_NAME:
    if (c == ':') self->chunk = CHUNK_TRAILER_VALUE;
    return c == ':' || is_token_byte(c) ? LK_OK : refuse(self);
  case CHUNK_TRAILER_VALUE:
    if (c == '\r') self->chunk = CHUNK_TRAILER_LF;
    return c == '\r' || is_field_byte(c) ? LK_OK : refuse(self);
  case CHUNK_TRAILER_LF: self->chunk = CHUNK_TRAILER; return c == '\n' ? LK_OK : refuse(self);
  default: /* CHUNK_LAST_LF */
    if (c != '\n') return refuse(self);
    self->state = LK_HTTP1_READY;
    return LK_OK;
  }
}

/* The line end behind a chunk's bytes. */
static lk_err step_data_end(lk_http1 *self, uint8_t c) {
  bool is_cr = self->chunk == CHUNK_DATA_CR;
  self->chunk = is_cr ? CHUNK_DATA_LF : CHUNK_SIZE;
  self->framing_len = 0;
  return c == (is_cr ? '\r' : '\n') ? LK_OK : refuse(self);
}

static lk_err step_chunk_byte(lk_http1 *self, uint8_t c) {
  if (self->chunk <= CHUNK_SIZE_LF) return step_size(self, c);
  return self->chunk <= CHUNK_DATA_LF ? step_data_end(self, c) : step_trailer(self, c);
}

static lk_err step_chunk(lk_http1 *self, lk_slice *in) {
  if (self->chunk == CHUNK_DATA) {
    lk_err err = take_body(self, in);
    if (self->body.len == self->body_len) self->chunk = CHUNK_DATA_CR;
    return err;
  }
  uint8_t c = in->ptr[0];
  *in = lk_slice_skip(*in, 1);
  return step_chunk_byte(self, c);
}

static lk_err step(lk_http1 *self, lk_slice *in) {
  if (self->state != LK_HTTP1_BODY) return step_line(self, in);
  return self->is_chunked ? step_chunk(self, in) : step_body(self, in);
}

lk_err lk_http1_feed(lk_http1 *self, uint64_t now_ms, lk_slice *in) {
  if (self->state == LK_HTTP1_FAILED) return self->err;
  if (in->len > 0 && lk_http1_is_idle(self)) self->since_ms = now_ms;
  while (in->len > 0 && self->state != LK_HTTP1_READY) {
    lk_err err = step(self, in);
    if (err != LK_OK) return err;
  }
  return LK_OK;
}

static bool may_keep_alive(const lk_http1_request *request) {
  return request->version_minor > 0 &&
         !lk_http1_header_has(request, LK_LIT("connection"), LK_LIT("close"));
}

static void give_request(const lk_http1 *self, lk_http1_request *out) {
  lk_slice headers = lk_slice_skip(lk_buf_slice(&self->head), self->headers_off);
  *out = (lk_http1_request){
    .method = method_of(self),
    .target = part(self, self->target_off, self->target_len),
    .host = part(self, self->host_off, self->host_len),
    .headers = lk_slice_first(headers, headers.len - 2), /* without the blank line */
    .body = lk_buf_slice(&self->body),
    .version_minor = self->version_minor,
  };
  split_target(out->target, &out->path, &out->query);
  out->keep_alive = may_keep_alive(out);
}

bool lk_http1_poll(const lk_http1 *self, lk_http1_request *out) {
  if (self->state != LK_HTTP1_READY) return false;
  give_request(self, out);
  return true;
}

bool lk_http1_poll_head(const lk_http1 *self, lk_http1_request *out, uint64_t *body_len) {
  if (self->state != LK_HTTP1_BODY) return false;
  give_request(self, out);
  *body_len = self->body_len;
  return true;
}

bool lk_http1_poll_continue(lk_http1 *self) {
  bool nothing_came = self->body.len == 0 && self->chunk == CHUNK_SIZE;
  bool waits = self->state == LK_HTTP1_BODY && self->has_expect && nothing_came;
  self->has_expect = self->has_expect && !waits;
  return waits && self->version_minor > 0;
}

bool lk_http1_is_idle(const lk_http1 *self) {
  bool fresh = self->state == LK_HTTP1_LINE || self->state == LK_HTTP1_FAILED;
  return fresh && self->head.len == 0;
}

uint16_t lk_http1_status(const lk_http1 *self) { return self->status; }

/* ---- time ---- */

uint64_t lk_http1_deadline(const lk_http1 *self) {
  if (self->state >= LK_HTTP1_READY) return UINT64_MAX;
  uint64_t span = lk_http1_is_idle(self) ? self->options.idle_ms : self->options.request_ms;
  uint64_t at;
  return span > 0 && lk_add_u64(self->since_ms, span, &at) ? at : UINT64_MAX;
}

lk_err lk_http1_tick(lk_http1 *self, uint64_t now_ms) {
  if (self->state == LK_HTTP1_FAILED) return self->err;
  return now_ms < lk_http1_deadline(self) ? LK_OK : fail(self, LK_ERR_TIMEOUT, 408);
}

/* ---- reading headers ---- */

bool lk_http1_header_next(const lk_http1_request *request, size_t *pos, lk_slice *name,
                          lk_slice *value) {
  lk_slice rest, line = lk_slice_cut(lk_slice_skip(request->headers, *pos), '\n', &rest);
  if (line.len == 0) return false;
  *pos = request->headers.len - rest.len;
  *name = lk_slice_cut(lk_slice_first(line, line.len - 1), ':', &rest);
  *value = lk_slice_trim(rest);
  return true;
}

lk_err lk_http1_header(const lk_http1_request *request, lk_slice name, lk_slice *out) {
  lk_slice found, value;
  lk_err err = LK_ERR_NOT_FOUND;
  *out = LK_SLICE_EMPTY;
  for (size_t pos = 0; lk_http1_header_next(request, &pos, &found, &value);) {
    if (!lk_slice_equal_nocase(found, name)) continue;
    if (err == LK_OK) {
      *out = LK_SLICE_EMPTY;
      return LK_ERR_HTTP;
    }
    *out = value;
    err = LK_OK;
  }
  return err;
}

bool lk_http1_item_next(const lk_http1_request *request, lk_slice name, lk_http1_items *walk,
                        lk_slice *item) {
  lk_slice found, value;
  for (;;) {
    while (walk->rest.len > 0) {
      *item = lk_slice_trim(lk_slice_cut(walk->rest, ',', &walk->rest));
      if (item->len > 0) return true;
    }
    if (!lk_http1_header_next(request, &walk->pos, &found, &value)) return false;
    if (lk_slice_equal_nocase(found, name)) walk->rest = value;
  }
}

bool lk_http1_header_has(const lk_http1_request *request, lk_slice name, lk_slice token) {
  lk_slice item;
  lk_http1_items walk = { 0 };
  while (lk_http1_item_next(request, name, &walk, &item))
    if (lk_slice_equal_nocase(item, token)) return true;
  return false;
}

/* ---- paths and queries ---- */

/* Takes one byte, or one escape, from the front of |text|. */
static bool decode_byte(lk_slice *text, bool form, uint8_t *out) {
  uint8_t high, low;
  size_t len = 1;
  *out = text->ptr[0];
  if (*out == '+' && form) *out = ' ';
  else if (*out == '%') {
    if (text->len < 3 || !hex_digit(text->ptr[1], &high) || !hex_digit(text->ptr[2], &low))
      return false;
    *out = (uint8_t)(high << 4 | low);
    len = 3;
  }
  *text = lk_slice_skip(*text, len);
  return *out != 0;
}

lk_err lk_http1_percent_decode(lk_slice text, bool form, lk_buf *out) {
  size_t before = out->len;
  lk_err err = lk_buf_err(out);
  if (err != LK_OK) return err;
  while (text.len > 0 && err == LK_OK) {
    uint8_t byte;
    err = decode_byte(&text, form, &byte) ? lk_buf_append_u8(out, byte) : LK_ERR_SYNTAX;
  }
  if (err != LK_OK) lk_buf_truncate(out, before);
  return err;
}

bool lk_http1_query_next(lk_slice *query, lk_slice *name, lk_slice *value) {
  while (query->len > 0) {
    lk_slice pair = lk_slice_cut(*query, '&', query);
    *name = lk_slice_cut(pair, '=', value);
    if (pair.len > 0) return true;
  }
  return false;
}

/* ---- responses ---- */

typedef struct phrase {
  uint16_t status;
  lk_slice text;
} phrase;

static const phrase phrases[] = {
  { 100, LK_LIT_INIT("Continue") },
  { 101, LK_LIT_INIT("Switching Protocols") },
  { 200, LK_LIT_INIT("OK") },
  { 201, LK_LIT_INIT("Created") },
  { 204, LK_LIT_INIT("No Content") },
  { 303, LK_LIT_INIT("See Other") },
  { 304, LK_LIT_INIT("Not Modified") },
  { 400, LK_LIT_INIT("Bad Request") },
  { 401, LK_LIT_INIT("Unauthorized") },
  { 403, LK_LIT_INIT("Forbidden") },
  { 404, LK_LIT_INIT("Not Found") },
  { 405, LK_LIT_INIT("Method Not Allowed") },
  { 408, LK_LIT_INIT("Request Timeout") },
  { 409, LK_LIT_INIT("Conflict") },
  { 410, LK_LIT_INIT("Gone") },
  { 413, LK_LIT_INIT("Content Too Large") },
  { 414, LK_LIT_INIT("URI Too Long") },
  { 415, LK_LIT_INIT("Unsupported Media Type") },
  { 422, LK_LIT_INIT("Unprocessable Content") },
  { 426, LK_LIT_INIT("Upgrade Required") },
  { 429, LK_LIT_INIT("Too Many Requests") },
  { 431, LK_LIT_INIT("Request Header Fields Too Large") },
  { 500, LK_LIT_INIT("Internal Server Error") },
  { 501, LK_LIT_INIT("Not Implemented") },
  { 503, LK_LIT_INIT("Service Unavailable") },
  { 504, LK_LIT_INIT("Gateway Timeout") },
  { 505, LK_LIT_INIT("HTTP Version Not Supported") },
  { 507, LK_LIT_INIT("Insufficient Storage") },
};

lk_slice lk_http1_reason(uint16_t status) {
  for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
    if (phrases[i].status == status) return phrases[i].text;
  return LK_SLICE_EMPTY;
}

lk_err lk_http1_respond_begin(lk_buf *out, uint16_t status) {
  LK_ASSERT(status >= 100 && status <= 599);
  lk_buf_append(out, LK_LIT("HTTP/1.1 "));
  lk_buf_append_decimal(out, status);
  lk_buf_append_u8(out, ' ');
  lk_buf_append(out, lk_http1_reason(status));
  return lk_buf_append(out, LK_LIT("\r\n"));
}

lk_err lk_http1_respond_header(lk_buf *out, lk_slice name, lk_slice value) {
  LK_ASSERT(is_token(name) && is_field_value(value));
  lk_buf_append(out, name);
  lk_buf_append(out, LK_LIT(": "));
  lk_buf_append(out, value);
  return lk_buf_append(out, LK_LIT("\r\n"));
}

lk_err lk_http1_respond_end(lk_buf *out) { return lk_buf_append(out, LK_LIT("\r\n")); }

lk_err lk_http1_respond_end_length(lk_buf *out, uint64_t body_len, bool keep_alive) {
  lk_buf_append(out, LK_LIT("content-length: "));
  lk_buf_append_decimal(out, body_len);
  lk_buf_append(out, LK_LIT("\r\n"));
  if (!keep_alive) lk_http1_respond_header(out, LK_LIT("connection"), LK_LIT("close"));
  return lk_http1_respond_end(out);
}

lk_err lk_http1_respond(lk_buf *out, uint16_t status, lk_slice type, lk_slice body, bool keep_alive,
                        bool head_only) {
  size_t before = out->len;
  lk_err err = lk_buf_err(out);
  if (err != LK_OK) return err;
  lk_http1_respond_begin(out, status);
  if (type.len > 0) lk_http1_respond_header(out, LK_LIT("content-type"), type);
  lk_http1_respond_end_length(out, body.len, keep_alive);
  err = lk_buf_append(out, head_only ? LK_SLICE_EMPTY : body);
  if (err != LK_OK) lk_buf_truncate(out, before);
  return err;
}
