/* server/forwarded.h -- whose request it is, where proxies stand between.
 *
 *   client ──> proxy ──> proxy ──> server         X-Forwarded-For: 198.51.100.9, 10.0.0.3
 *   198.51.100.9    10.0.0.3    10.0.0.2          X-Forwarded-Proto: https
 *
 * Anybody may send these headers. So they count only where the sender itself is one of the proxies that the settings name
 * (trusted-proxies), and are read from the right: each proxy adds who came to it. The first address from the right that is
 * none of the proxies is the client; what stands left of it is the client's own word, and counts for nothing. Where all are
 * proxies, the one on the left is the client.
 *
 * Forwarded (RFC 7239) says the same in another way. A proxy writes one of the two and passes on the other as it came, so
 * that a client could choose what we read: where both are there and do not say the same address, neither counts. */
#ifndef LK_SERVER_FORWARDED_H
#define LK_SERVER_FORWARDED_H

#include "server/network.h"
#include "wire/http1.h"

#define LK_PROXIES_MAX 64

typedef struct lk_proxies {
  const lk_network *items;
  size_t count;
} lk_proxies;

typedef enum lk_forwarded {
  LK_FORWARDED_NOT,     /* there is no such header */
  LK_FORWARDED_TAKEN,   /* a proxy said whose request it is */
  LK_FORWARDED_IGNORED, /* somebody said it who is none of the proxies */
  LK_FORWARDED_TORN,    /* a proxy did, in two ways that differ, or so that nobody can read it */
  LK_FORWARDED_KINDS,
} lk_forwarded;

typedef struct lk_far_end {
  lk_address address;
  lk_slice scheme; /* "http" or "https", by which the page talks to us; empty: not known. Static */
  bool is_known;   /* |address| is of meaning */
  lk_forwarded forwarded;
} lk_far_end;

/* Whether any of the headers is there: only then it matters who sends them. */
bool lk_forwarded_is_there(const lk_http1_request *request);

/* Puts into |client| what the headers of |request| say, where they count; |client->address| is the sender's at first, and stays where
 * they do not. */
void lk_forwarded_read(const lk_proxies *proxies, const lk_http1_request *request,
                       lk_far_end *client);

#endif
