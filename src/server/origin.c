/* server/origin.c -- three names and a port. */
#include "server/origin.h"

#include <arpa/inet.h>

#include "base/num.h"

static bool is_port(lk_slice text) {
  uint32_t port = 0;
  if (text.len == 0 || text.len > 5) return false;
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
    port = port * 10 + (uint32_t)(text.ptr[i] - '0');
  }
  return port <= 65535;
}

/* Takes |name| from the front of |host|, in any case. */
static bool take(lk_slice *host, lk_slice name) {
  if (!lk_slice_equal_nocase(lk_slice_first(*host, name.len), name)) return false;
  *host = lk_slice_skip(*host, name.len);
  return true;
}

bool lk_origin_host_is_loopback(lk_slice host) {
  bool known = take(&host, LK_LIT("localhost")) || take(&host, LK_LIT("127.0.0.1")) ||
               take(&host, LK_LIT("[::1]"));
  if (!known) return false;
  if (host.len == 0) return true;
  return take(&host, LK_LIT(":")) && is_port(host);
}

bool lk_origin_is_allowed(lk_slice origin, lk_slice host) {
  if (!take(&origin, LK_LIT("http://")) && !take(&origin, LK_LIT("https://"))) return false;
  if (lk_origin_host_is_loopback(origin)) return true;
  return host.len > 0 && lk_slice_equal_nocase(origin, host);
}

bool lk_origin_address_is_loopback(const char *address) {
  struct in_addr v4;
  struct in6_addr v6;
  if (inet_pton(AF_INET, address, &v4) == 1) return ntohl(v4.s_addr) == INADDR_LOOPBACK;
  if (inet_pton(AF_INET6, address, &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6) != 0;
  return false;
}
