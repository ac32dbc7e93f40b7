/* wire/ws_offer.h -- which of a client's offers of compression is taken up (RFC 7692 §5, §7.1).
 *
 *   Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10, permessage-deflate
 *
 * A client lists offers, the best one first. The first one that the policy can do is agreed on; one
 * with a parameter that is unknown, doubled, out of range or too much for us is declined, and the
 * next one is looked at. None is needed: then the connection is without compression. */
#ifndef LK_WIRE_WS_OFFER_H
#define LK_WIRE_WS_OFFER_H

#include "wire/http1.h"
#include "wire/ws_deflate.h"

/* Of all extensions in one request, and of the parameters of each. */
#define LK_WS_OFFERS_MAX 16
#define LK_WS_OFFER_PARAMS_MAX 16

/* Whether something was agreed on, in |*agreed|, and then what, in |*out|. LK_ERR_WS_HANDSHAKE
 * where the header does not follow RFC 6455 §9.1, also behind an offer that would do, or has more
 * than the maxima: the request is to be refused as a whole. In time linear to the header. */
lk_err lk_ws_offer_read(const lk_http1_request *request, const lk_ws_deflate_policy *policy,
                        lk_ws_deflate_params *out, bool *agreed) LK_MUST_USE;

/* Appends the value of the server's header. Errors are the buffer's. */
#define LK_WS_OFFER_ANSWER_MAX 160
lk_err lk_ws_offer_answer(const lk_ws_deflate_params *params, lk_buf *out);

#endif
