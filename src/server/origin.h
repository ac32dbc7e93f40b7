/* server/origin.h -- which pages may talk to a server that only this machine can reach.
 *
 * A server on the loopback address is not private by itself: every page that a browser shows can
 * send it requests. Two checks close that:
 *
 *   Host    must name this machine. A page at evil.example whose name was made to point to
 *           127.0.0.1 (DNS rebinding) still sends "Host: evil.example".
 *   Origin  of a WebSocket must be a page of this machine, or of the very host that was asked. A
 *           browser sends it with each handshake and no page can forge it; programs other than
 *           browsers send none, and may.
 *
 * Compared is whole text, without regard to case: never a suffix ("evil-localhost"), never a
 * pattern. Functions here are pure. */
#ifndef LK_SERVER_ORIGIN_H
#define LK_SERVER_ORIGIN_H

#include "base/slice.h"

/* Whether |host|, a "name" or "name:port" as in a Host header, is localhost, 127.0.0.1 or [::1]
 * with any port from 0 to 65535 or none. */
bool lk_origin_host_is_loopback(lk_slice host);

/* Whether a page of |origin| may open a WebSocket at |host|: |origin| is http:// or https:// and
 * a loopback host, or a host that equals |host|. "null", other schemes, and anything behind the
 * host are refused. An absent header is the caller's affair. */
bool lk_origin_is_allowed(lk_slice origin, lk_slice host);

/* Whether |address|, an IPv4 or IPv6 address in numbers, is one that lk_origin_host_is_loopback() knows:
 * 127.0.0.1 or ::1. The rest of 127.0.0.0/8 is not: its own URL would be refused as a host. False
 * also where it is no address at all. */
bool lk_origin_address_is_loopback(const char *address);

#endif
