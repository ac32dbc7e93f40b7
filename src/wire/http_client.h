/* wire/http_client.h -- HTTP/1.1 from the asking side: addresses, requests, and responses as they come.
 *
 *   lk_http_url_parse("https://app.example/hooks/changed", &url)
 *   lk_http_client_request(&out, &url, ...)         bytes to send
 *   lk_http_client_feed(&client, &in)               takes bytes; stops behind the end of one response
 *   lk_http_client_end(&client)                     the other side will send nothing more
 *   lk_http_client_poll(&client, &response)         true when a whole response is there
 *   lk_http_client_next(&client)                    forgets it, for the next one on the same connection
 *
 * The reader is a machine without a socket, for requests that are answered with a body (POST and GET, not HEAD). Whom it asks
 * was chosen by whoever runs the server; what comes back may be anything all the same: a broken program, a portal, somebody who
 * took over a name. So it is as strict as wire/http1.h is with requests, bounded in everything, and fuzzed. Interim responses
 * (1xx) are passed over; 101 is an error, since nobody asked to change the protocol.
 *
 * Errors of feed and end are final, the machine stays failed and says the same each time:
 *
 *   LK_ERR_HTTP         not a response, or one that could be misread
 *   LK_ERR_VERSION      neither HTTP/1.1 nor HTTP/1.0
 *   LK_ERR_LIMIT        a head longer than http_head_bytes or with more than http_headers_count; more than http_chunks_count
 *   LK_ERR_TOO_BIG      a body longer than |body_bytes_max|
 *   LK_ERR_UNSUPPORTED  a Transfer-Encoding other than "chunked"
 *   LK_ERR_TRUNCATED    it ended in the middle
 *   LK_ERR_NOMEM */
#ifndef LK_WIRE_HTTP_CLIENT_H
#define LK_WIRE_HTTP_CLIENT_H

#include "wire/http1.h"

#define LK_HTTP_URL_MAX 2048u
#define LK_HTTP_HOST_MAX 253u

/* All slices are of the text that was parsed. */
typedef struct lk_http_url {
  bool is_tls;
  uint16_t port;
  lk_slice host;      /* a name or an address, without brackets */
  lk_slice authority; /* as it stands: what the Host header says */
  lk_slice target;    /* path and query; "/" where there is none */
} lk_http_url;

/* "http://" or "https://", a host, perhaps a port, path and query: ASCII without spaces, of at most LK_HTTP_URL_MAX bytes.
 * LK_ERR_SYNTAX for anything else, a user's name and a fragment included; LK_ERR_RANGE for a port that is none. */
lk_err lk_http_url_parse(lk_slice text, lk_http_url *out) LK_MUST_USE;

typedef enum lk_http_client_state {
  LK_HTTP_CLIENT_LINE,
  LK_HTTP_CLIENT_HEADERS,
  LK_HTTP_CLIENT_BODY,       /* of a known length */
  LK_HTTP_CLIENT_REST,       /* up to the end of the connection */
  LK_HTTP_CLIENT_CHUNK_SIZE, /* the line with a chunk's size */
  LK_HTTP_CLIENT_CHUNK,
  LK_HTTP_CLIENT_CHUNK_END, /* the CRLF behind it */
  LK_HTTP_CLIENT_TRAILERS,
  LK_HTTP_CLIENT_READY, /* lk_http_client_poll() has a response */
  LK_HTTP_CLIENT_FAILED
} lk_http_client_state;

typedef struct lk_http_client {
  const lk_limits *limits;
  lk_buf head; /* the status line and the headers */
  lk_buf line; /* the one that is being read */
  lk_buf body;
  uint64_t left; /* bytes of the body, or of the chunk */
  uint32_t headers_off;
  uint32_t headers_count;
  uint32_t chunks_count;
  uint32_t trailer_bytes;
  uint32_t interim_count;
  lk_err err;
  uint16_t status;
  uint8_t state; /* lk_http_client_state */
  uint8_t version_minor;
  bool has_length;
  bool has_coding;
  bool is_to_close;
} lk_http_client;

/* Slices live until lk_http_client_next() or _deinit(). */
typedef struct lk_http_response {
  uint16_t status; /* 200 to 599 */
  lk_slice body;
  bool keep_alive;       /* another request may follow on this connection */
  lk_http1_request head; /* for lk_http1_header() and its like: headers, and nothing else */
} lk_http_response;

/* Allocates nothing. |alloc| and |limits| must outlive the machine. */
void lk_http_client_init(lk_http_client *self, const lk_alloc *alloc, const lk_limits *limits,
                         uint32_t body_bytes_max);
/* Safe on a zeroed struct, and twice. */
void lk_http_client_deinit(lk_http_client *self);

/* Takes bytes from the front of |in| until a response is complete or |in| is empty. */
lk_err lk_http_client_feed(lk_http_client *self, lk_slice *in) LK_MUST_USE;

/* The connection has ended. LK_OK where a response is complete by that, or was. */
lk_err lk_http_client_end(lk_http_client *self) LK_MUST_USE;

bool lk_http_client_poll(const lk_http_client *self, lk_http_response *out);

/* Forgets the response that was polled and gives its memory back. */
void lk_http_client_next(lk_http_client *self);

/* No byte of a response has come. */
bool lk_http_client_is_idle(const lk_http_client *self);

/* ---- requests ---- */

/* A request is begun, given headers, and ended; the body follows it. They append to |out| and return its remembered error.
 * |method|, names and values come from our own code: what could be misread is an assertion. */
lk_err lk_http_client_begin(lk_buf *out, lk_slice method, const lk_http_url *url);
lk_err lk_http_client_header(lk_buf *out, lk_slice name, lk_slice value);
lk_err lk_http_client_finish(lk_buf *out, lk_slice body);

#endif
