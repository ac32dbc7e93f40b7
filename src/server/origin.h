/* server/origin.h -- which pages may talk to the server, and under which names.
 *
 * A server on the loopback address is not private by itself: every page that a browser shows can
 * send it requests. Two checks close that:
 *
 *   Host    must name this server. A page at evil.example whose name was made to point to
 *           127.0.0.1 (DNS rebinding) still sends "Host: evil.example".
 *   Origin  of a WebSocket must be a page that may, or one of the very host that was asked. A
 *           browser sends it with each handshake and no page can forge it; programs other than
 *           browsers send none, and may.
 *
 * What is allowed without being configured:
 *
 *                                    Host                                   Origin beside the host itself
 *   only this machine can connect    localhost, 127.0.0.1, [::1]            pages of those, on any port
 *   others can                       also any address in numbers, which     none
 *                                    no name can be made to point away from
 *
 * |hosts| adds names; |origins| replaces what is said above for them. A name may begin with "*.": then it stands for
 * all names below it, whatever their depth, but not for itself. Nothing else is a pattern, and without the "*."
 * names are compared whole, without regard to case: never a suffix ("evil-localhost").
 *
 *   hosts     "app.example"  "*.app.example"  "app.example:8443"           without a port: any
 *   origins   "https://app.example"  "https://[*.]app.example:8443"        without a port: the scheme's own
 *             "http://localhost:*"  "//app.example"  "*"                   any port; either http or https; any page
 *
 * Functions here are pure. */
#ifndef LK_SERVER_ORIGIN_H
#define LK_SERVER_ORIGIN_H

#include "base/slice.h"

typedef struct lk_origin_rules {
  const char *hosts; /* texts one behind the other, each with a NUL behind it; checked before */
  const char *origins;
  uint32_t hosts_count;
  uint32_t origins_count;
  bool is_reachable; /* others than this machine can connect */
} lk_origin_rules;

/* Whether a request with this Host header is for us; NULL is like zeroes. */
bool lk_origin_host_is_served(const lk_origin_rules *rules, lk_slice host);

/* Whether a page of |origin| may talk to the server at |host|. "null", and anything behind the host, is refused. An
 * absent header is the caller's affair. */
bool lk_origin_is_served(const lk_origin_rules *rules, lk_slice origin, lk_slice host);

/* The same where |scheme|, "http" or "https", is known by which pages reach the server: a page of the host itself that came
 * by the other one is another page. Empty: not known. */
bool lk_origin_is_served_over(const lk_origin_rules *rules, lk_slice origin, lk_slice host,
                              lk_slice scheme);

/* Whether a text may stand in |hosts| or |origins|. */
bool lk_origin_is_host_rule(lk_slice text);
bool lk_origin_is_origin_rule(lk_slice text);

/* Whether |host|, a "name" or "name:port" as in a Host header, is localhost, 127.0.0.1 or [::1]
 * with any port from 0 to 65535 or none. */
bool lk_origin_host_is_loopback(lk_slice host);

/* The same as lk_origin_is_served() without rules: |origin| is http:// or https:// and
 * a loopback host, or a host that equals |host|. */
bool lk_origin_is_allowed(lk_slice origin, lk_slice host);

/* Whether |address|, an IPv4 or IPv6 address in numbers, is one that lk_origin_host_is_loopback() knows:
 * 127.0.0.1 or ::1. The rest of 127.0.0.0/8 is not: its own URL would be refused as a host. False
 * also where it is no address at all. */
bool lk_origin_address_is_loopback(const char *address);

#endif
