/* server/network.h -- addresses in numbers, and the networks that they are in.
 *
 *   192.0.2.7   2001:db8::7       an address
 *   192.0.2.0/24   2001:db8::/32  a network; an address alone is one of a single address
 *
 * Addresses of IPv4 are kept as IPv6 writes them (::ffff:192.0.2.7), so that a client is the same whichever kind of socket it
 * came by. */
#ifndef LK_SERVER_NETWORK_H
#define LK_SERVER_NETWORK_H

#include "base/slice.h"

typedef struct lk_address {
  uint8_t bytes[16];
} lk_address;

typedef struct lk_network {
  lk_address base;
  uint8_t bits; /* of 128 */
} lk_network;

/* Both take what stands above, and nothing else: no names, zones or ports. A network of all addresses, or with bits behind
 * its length, is none. On false |out| is as before. */
bool lk_address_read(lk_slice text, lk_address *out);
bool lk_network_read(lk_slice text, lk_network *out);

bool lk_network_has(const lk_network *self, const lk_address *address);

/* The address at the other end of |socket|; false where there is none, as with a socket that is no network's. */
bool lk_address_of_peer(int socket, lk_address *out);

#define LK_ADDRESS_TEXT_MAX 48
/* |out| is returned. */
const char *lk_address_print(const lk_address *self, char out[LK_ADDRESS_TEXT_MAX]);

#endif
