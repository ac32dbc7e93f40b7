/* wire/http1.h -- requests of HTTP/1.1, as a server reads them, and the responses it writes.
 *
 * The reader is a machine without a socket: bytes go in as they come, a whole request comes out.
 * It is strict where proxies and servers are known to disagree (request smuggling): what two
 * readers could understand in two ways is refused, even where an RFC would let it pass.
 *
 *   lk_http1_feed(&http, now_ms, &in)      takes bytes; stops behind the end of one request
 *   lk_http1_poll(&http, &request)         true when a whole request, with its body, is there
 *   ... write the response ...
 *   lk_http1_next(&http, now_ms)           forgets the request and waits for the next one
 *
 * What |in| still holds when a request is there belongs to the next request, or, after an
 * upgrade, to the next protocol.
 *
 * Memory: the head lies in one buffer and the body in another. Both are allocated when bytes
 * come and given back by lk_http1_next(), so that a waiting connection costs sizeof(lk_http1).
 *
 * Errors of lk_http1_feed(). All but NOMEM are final: the machine stays failed and says the same
 * each time, takes no more bytes, and lk_http1_status() tells the status to answer with before
 * the connection is closed.
 *
 *   LK_ERR_HTTP         400  not a request, or one that could be misread
 *   LK_ERR_TIMEOUT      408  lk_http1_tick() found the deadline passed
 *   LK_ERR_TOO_BIG      413  the body is longer than its path allows: known from the head alone, or, where
 *                            it comes in chunks, from the size of the chunk that would be too much; also
 *                            more than http_chunks_count chunks
 *   LK_ERR_LIMIT        414  the request line alone is longer than http_head_bytes
 *                       431  head longer than http_head_bytes, or more than http_headers_count; so are
 *                            the trailers behind chunks
 *   LK_ERR_UNSUPPORTED  501  a Transfer-Encoding other than "chunked"
 *   LK_ERR_VERSION      505  neither HTTP/1.1 nor HTTP/1.0
 *   LK_ERR_NOMEM        503  not final: the bytes that |in| still holds were not taken */
#ifndef LK_WIRE_HTTP1_H
#define LK_WIRE_HTTP1_H

#include "base/base.h"

/* Requests for |path|, whatever their query, may have bodies of up to |bytes_max|. A path that ends with a slash
 * stands for all that begin with it. */
typedef struct lk_http1_body_rule {
  lk_slice path;
  uint32_t bytes_max;
} lk_http1_body_rule;

typedef struct lk_http1_options {
  uint32_t body_bytes_max; /* where no rule says otherwise; 0: no request may have a body */
  uint32_t body_rules_count;
  const lk_http1_body_rule *body_rules; /* must outlive the machine */
  uint32_t request_ms; /* from the first byte of a request to its last; 0: no end */
  uint32_t idle_ms;    /* from lk_http1_init() or _next() to the first byte; 0: no end */
} lk_http1_options;

typedef enum lk_http1_state {
  LK_HTTP1_LINE, /* waits for the request line */
  LK_HTTP1_HEADERS,
  LK_HTTP1_BODY,
  LK_HTTP1_READY, /* lk_http1_poll() has a request */
  LK_HTTP1_FAILED
} lk_http1_state;

typedef struct lk_http1 {
  const lk_limits *limits;
  lk_http1_options options;
  lk_buf head;
  lk_buf body;
  uint64_t since_ms; /* when the running time-out began */
  uint64_t body_len; /* Content-Length, or the body with all chunks begun so far */
  uint32_t chunks_count;
  uint32_t framing_len; /* bytes of the line with a chunk's size, or of all trailers */
  uint32_t line_off;    /* where the line that is being read begins in |head| */
  uint32_t method_len;  /* the request line: METHOD SP TARGET SP VERSION CR LF */
  uint32_t target_off;
  uint32_t target_len;
  uint32_t headers_off;
  uint32_t headers_count;
  uint32_t host_off;
  uint32_t host_len;
  lk_err err;
  uint16_t status;
  uint8_t state; /* lk_http1_state */
  uint8_t chunk; /* where in a chunk we are; see http1.c */
  uint8_t version_minor;
  bool has_host;
  bool has_length;
  bool has_coding;
  bool is_chunked; /* the only coding is "chunked" */
  bool has_expect;
  bool skipped_blank;
} lk_http1;

/* All slices point into the machine and live until lk_http1_next() or lk_http1_deinit(). */
typedef struct lk_http1_request {
  lk_slice method;  /* as written; methods are case-sensitive */
  lk_slice target;  /* as written */
  lk_slice path;    /* begins with '/', or is "*" with OPTIONS; escapes are not decoded */
  lk_slice query;   /* behind the '?', without it */
  lk_slice host;    /* of the Host header; empty only for HTTP/1.0 */
  lk_slice headers; /* the header lines, for the functions below */
  lk_slice body;
  uint8_t version_minor; /* 1 or 0 */
  bool keep_alive;       /* the client allows another request on this connection */
} lk_http1_request;

/* Allocates nothing. |alloc| and |limits| must outlive the machine. */
void lk_http1_init(lk_http1 *self, const lk_alloc *alloc, const lk_limits *limits,
                   const lk_http1_options *options, uint64_t now_ms);
/* Safe on a zeroed struct, and twice. */
void lk_http1_deinit(lk_http1 *self);

/* Takes bytes from the front of |in| until a request is complete or |in| is empty. While a
 * request waits to be polled and released, takes nothing and returns LK_OK. */
lk_err lk_http1_feed(lk_http1 *self, uint64_t now_ms, lk_slice *in) LK_MUST_USE;

/* True when a request is complete; gives the same one until lk_http1_next(). */
bool lk_http1_poll(const lk_http1 *self, lk_http1_request *out);

/* True while the head of a request is there and its body is not: then |out| is that request with what has come of the body, and
 * |*body_len| how long that will be, or, where it comes in chunks, is so far. For hosts that let nobody send much before they
 * know who it is. */
bool lk_http1_poll_head(const lk_http1 *self, lk_http1_request *out, uint64_t *body_len);

/* True once for a request whose client waits for "100 Continue" before it sends its body. */
bool lk_http1_poll_continue(lk_http1 *self);

/* Forgets the request that was polled and gives its memory back. */
void lk_http1_next(lk_http1 *self, uint64_t now_ms);

/* When lk_http1_tick() must be called, UINT64_MAX for never. */
uint64_t lk_http1_deadline(const lk_http1 *self);

/* Fails the machine with LK_ERR_TIMEOUT once the deadline has passed. The time of a request counts
 * from its first byte, not from its last one: sending slowly does not prolong it. After
 * LK_ERR_TIMEOUT with lk_http1_is_idle() a server closes without an answer. */
lk_err lk_http1_tick(lk_http1 *self, uint64_t now_ms) LK_MUST_USE;

/* True while no byte of a request has come. */
bool lk_http1_is_idle(const lk_http1 *self);

/* The status for the response to a failed machine; 0 for one that has not failed. */
uint16_t lk_http1_status(const lk_http1 *self);

/* ---- headers of a request ---- */

/* Walks the headers: |pos| begins at 0. False at the end. Names are as written; values are
 * without spaces around them, and may hold any byte but control characters. */
bool lk_http1_header_next(const lk_http1_request *request, size_t *pos, lk_slice *name,
                          lk_slice *value);

/* The value of the only header called |name|, in any case. LK_ERR_NOT_FOUND where there is none,
 * LK_ERR_HTTP where there are several; |out| is then empty. */
lk_err lk_http1_header(const lk_http1_request *request, lk_slice name, lk_slice *out) LK_MUST_USE;

/* Walks the items of all headers called |name|, which are lists with commas: "a, b" and then "c".
 * Empty items are left out. A walk begins with a zeroed |walk|. */
typedef struct lk_http1_items {
  size_t pos;
  lk_slice rest;
} lk_http1_items;
bool lk_http1_item_next(const lk_http1_request *request, lk_slice name, lk_http1_items *walk,
                        lk_slice *item);

/* Whether |token| stands, in any case, in a list called |name|. */
bool lk_http1_header_has(const lk_http1_request *request, lk_slice name, lk_slice token);

/* ---- paths and queries ---- */

/* Appends |text| to |out| with its %XX escapes decoded; with |form|, '+' is a space as in queries.
 * LK_ERR_SYNTAX where an escape is not two hexadecimal digits, or where the result would hold a
 * NUL; LK_ERR_NOMEM, LK_ERR_LIMIT. On failure |out| is as before. An escaped slash becomes a
 * slash: split a path before decoding it. What comes out need not be UTF-8. */
lk_err lk_http1_percent_decode(lk_slice text, bool form, lk_buf *out) LK_MUST_USE;

/* Takes the first "name=value" from the front of |query|; both parts are still escaped. False at
 * the end; empty parts between two '&' are left out. */
bool lk_http1_query_next(lk_slice *query, lk_slice *name, lk_slice *value);

/* ---- responses ---- */

/* A response is begun, given headers, and ended; the body follows it. All append to |out| and
 * return its remembered error, so that only the last result needs a look; to undo a failed one,
 * lk_buf_truncate() to the length before. What is written comes from our own code: a status
 * outside of 100 to 599, a name that is no token or a value with control characters is an
 * assertion. The clock is the host's: where it knows the time it adds a "date" itself. */
lk_err lk_http1_respond_begin(lk_buf *out, uint16_t status);
lk_err lk_http1_respond_header(lk_buf *out, lk_slice name, lk_slice value);
/* Ends the head, without a body: for 101, 204 and 304. */
lk_err lk_http1_respond_end(lk_buf *out);
/* Ends the head with "content-length: |body_len|" and, where |keep_alive| is false,
 * "connection: close". */
lk_err lk_http1_respond_end_length(lk_buf *out, uint64_t body_len, bool keep_alive);

/* A whole small response. |type| may be empty; |head_only| answers HEAD: the length of the body
 * without the body. On failure |out| is as before. */
lk_err lk_http1_respond(lk_buf *out, uint16_t status, lk_slice type, lk_slice body, bool keep_alive,
                        bool head_only) LK_MUST_USE;

/* The phrase that goes with |status|; empty for one that is not in the table. */
lk_slice lk_http1_reason(uint16_t status);

#endif
