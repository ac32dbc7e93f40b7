/* server/network.c -- sixteen bytes, and how many of their bits count. */
#include "server/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define V4_BITS 96 /* in front of an address of IPv4 */

static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

static void set_v4(lk_address *self, const void *bytes) {
  memcpy(self->bytes, v4_prefix, sizeof v4_prefix);
  memcpy(self->bytes + sizeof v4_prefix, bytes, 4);
}

static bool is_v4(const lk_address *self) {
  return memcmp(self->bytes, v4_prefix, sizeof v4_prefix) == 0;
}

bool lk_address_read(lk_slice text, lk_address *out) {
  char copy[LK_ADDRESS_TEXT_MAX];
  struct in6_addr v6;
  struct in_addr v4;
  if (text.len == 0 || text.len >= sizeof copy) return false;
  memcpy(copy, text.ptr, text.len);
  copy[text.len] = 0;
  if (strlen(copy) != text.len) return false;
  if (inet_pton(AF_INET, copy, &v4) == 1) {
    set_v4(out, &v4);
    return true;
  }
  if (inet_pton(AF_INET6, copy, &v6) != 1) return false;
  memcpy(out->bytes, &v6, sizeof out->bytes);
  return true;
}

/* One to three digits, without a zero in front. */
static bool read_length(lk_slice text, unsigned most, unsigned *out) {
  unsigned value = 0;
  if (text.len == 0 || text.len > 3 || (text.len > 1 && text.ptr[0] == '0')) return false;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
    value = value * 10 + (unsigned)(text.ptr[i] - '0');
  }
  *out = value;
  return value <= most;
}

static bool bit_of(const lk_address *self, unsigned index) {
  return (self->bytes[index / 8] >> (7 - index % 8) & 1) != 0;
}

static bool is_zero_behind(const lk_address *self, unsigned bits) {
  for (; bits < 128; bits++) {
    if (bit_of(self, bits)) return false;
  }
  return true;
}

bool lk_network_read(lk_slice text, lk_network *out) {
  lk_slice rest;
  lk_network made;
  size_t slash = lk_slice_find_byte(text, '/');
  if (!lk_address_read(lk_slice_cut(text, '/', &rest), &made.base)) return false;
  /* ::ffff:192.0.2.0/120 is written with a colon, and counts as IPv6 writes it. */
  bool short_form = is_v4(&made.base) && lk_slice_find_byte(text, ':') == LK_SLICE_NONE;
  unsigned before = short_form ? V4_BITS : 0, bits = 128 - before;
  if (slash != LK_SLICE_NONE && !read_length(rest, bits, &bits)) return false;
  if (bits == 0 || !is_zero_behind(&made.base, before + bits)) return false;
  made.bits = (uint8_t)(before + bits);
  *out = made;
  return true;
}

bool lk_network_has(const lk_network *self, const lk_address *address) {
  size_t whole = self->bits / 8;
  unsigned rest = self->bits % 8, shift = 8 - rest;
  if (memcmp(self->base.bytes, address->bytes, whole) != 0) return false;
  return rest == 0 || self->base.bytes[whole] >> shift == address->bytes[whole] >> shift;
}

bool lk_address_of_peer(int socket, lk_address *out) {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage room;
  } peer;
  socklen_t len = sizeof peer;
  if (getpeername(socket, &peer.any, &len) != 0) return false;
  if (peer.any.sa_family == AF_INET) set_v4(out, &peer.v4.sin_addr);
  else if (peer.any.sa_family == AF_INET6)
    memcpy(out->bytes, &peer.v6.sin6_addr, sizeof out->bytes);
  else return false;
  return true;
}

const char *lk_address_print(const lk_address *self, char out[LK_ADDRESS_TEXT_MAX]) {
  const char *text = is_v4(self) ? inet_ntop(AF_INET, self->bytes + 12, out, LK_ADDRESS_TEXT_MAX)
                                 : inet_ntop(AF_INET6, self->bytes, out, LK_ADDRESS_TEXT_MAX);
  LK_ASSERT(text != NULL); /* there is room for any of them */
  return text;
}
