/* wire/upgrade.h -- how a request of HTTP/1.1 becomes a WebSocket (RFC 6455 §4.2).
 *
 * A server reads a request with lk_http1, decides by its path, Origin and token whether it wants
 * the connection, and then answers with lk_upgrade_accept() or lk_upgrade_refuse(). What
 * lk_http1_feed() left of its input is the first input of an lk_ws. Extensions that the client
 * offers are not taken up, unless the server reads them with lk_ws_offer_read() and says so. */
#ifndef LK_WIRE_UPGRADE_H
#define LK_WIRE_UPGRADE_H

#include "wire/http1.h"
#include "wire/ws_deflate.h"

#define LK_UPGRADE_ANSWER_LEN 28

/* Whether the request asks for a WebSocket at all: an Upgrade header names "websocket". */
bool lk_upgrade_is_wanted(const lk_http1_request *request);

/* Whether the request may be answered with lk_upgrade_accept(). LK_ERR_HTTP_METHOD where it is no
 * GET, LK_ERR_VERSION where it asks for another version than 13, LK_ERR_WS_HANDSHAKE where a
 * header is missing, doubled or wrong, or the request has a body. */
lk_err lk_upgrade_check(const lk_http1_request *request) LK_MUST_USE;

/* Appends the 101 response to |out|. |protocols| are the subprotocols that the server speaks, the
 * best one first; the first that the client offers is answered, and |chosen| (may be NULL) is its
 * index, or |count| where there is none: then none is answered, and a browser that offered some
 * will close. Subprotocols are case-sensitive. Errors as lk_upgrade_check(), LK_ERR_NOMEM,
 * LK_ERR_LIMIT: |out| and |chosen| are as before. */
lk_err lk_upgrade_accept(const lk_http1_request *request, const lk_slice *protocols, size_t count,
                         lk_buf *out, size_t *chosen) LK_MUST_USE;

/* The same, and agrees on compression: |deflate| is what lk_ws_offer_read() made of the request. */
lk_err lk_upgrade_accept_deflate(const lk_http1_request *request, const lk_slice *protocols,
                                 size_t count, const lk_ws_deflate_params *deflate, lk_buf *out,
                                 size_t *chosen) LK_MUST_USE;

/* Appends the response that goes with an error of lk_upgrade_check(): 405, 426 or 400, each with
 * the header that it asks for, and "connection: close". */
lk_err lk_upgrade_refuse(lk_err why, lk_buf *out) LK_MUST_USE;

/* The Sec-WebSocket-Accept that answers the value of a Sec-WebSocket-Key; a client compares. */
void lk_upgrade_answer(lk_slice key, uint8_t out[LK_UPGRADE_ANSWER_LEN]);

#endif
