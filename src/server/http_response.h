/* server/http_response.h -- the response to one request on one connection, for the program's own small client.
 *
 * It asks with Connection: close, so a response is all that came; its Content-Length must say the same. Chunks are
 * not read: our server sends none. */
#ifndef LK_SERVER_HTTP_RESPONSE_H
#define LK_SERVER_HTTP_RESPONSE_H

#include "base/slice.h"

typedef struct lk_http_response {
  uint32_t status;
  lk_slice body;
} lk_http_response;

/* |bytes| is all that came. LK_ERR_HTTP, LK_ERR_TRUNCATED; |out| borrows from |bytes|. */
lk_err lk_http_response_parse(lk_slice bytes, lk_http_response *out) LK_MUST_USE;

#endif
