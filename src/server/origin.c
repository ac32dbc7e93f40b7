/* server/origin.c -- a scheme, a name and a port, and what is compared with them. */
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

/* ---- names and ports ---- */

typedef struct place {
  lk_slice name; /* with its brackets, where it has some */
  lk_slice port; /* empty: none is given */
} place;

/* Letters, digits and what else stands in names of hosts; between brackets an address of IPv6. */
static bool is_name(lk_slice name) {
  bool has_brackets = name.len > 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']';
  if (has_brackets) name = lk_slice_first(lk_slice_skip(name, 1), name.len - 2);
  for (size_t i = 0; i < name.len; i++) {
    uint8_t c = name.ptr[i];
    bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!is_letter && c != '-' && c != '.' && c != '_' && !(has_brackets && c == ':')) return false;
  }
  return name.len > 0;
}

/* "name", "name:80" or "[::1]:80". */
static bool split_host(lk_slice host, place *out) {
  size_t end = host.len > 0 && host.ptr[0] == '[' ? lk_slice_find_byte(host, ']') : 0;
  if (end == LK_SLICE_NONE) return false;
  size_t colon = lk_slice_find_byte(lk_slice_skip(host, end), ':');
  *out = (place){ host, LK_SLICE_EMPTY };
  if (colon == LK_SLICE_NONE) return is_name(host);
  out->name = lk_slice_first(host, end + colon);
  out->port = lk_slice_skip(host, end + colon + 1);
  return is_name(out->name) && out->port.len > 0;
}

/* "app.example" is itself, "*.app.example" everything below it. */
static bool name_fits(lk_slice name, lk_slice rule) {
  if (!lk_slice_starts_with(rule, LK_LIT("*."))) return lk_slice_equal_nocase(name, rule);
  lk_slice tail = lk_slice_skip(rule, 1);
  return name.len > tail.len && name.ptr[0] != '.' &&
         lk_slice_equal_nocase(lk_slice_last(name, tail.len), tail);
}

/* The rest of a rule behind its scheme; like a host, but for what stands for many. */
static bool split_rule(lk_slice rule, place *out) {
  lk_slice bare = lk_slice_starts_with(rule, LK_LIT("*.")) ? lk_slice_skip(rule, 2) : rule;
  if (!split_host(bare, out)) return false;
  out->name = lk_slice_first(rule, rule.len - bare.len + out->name.len);
  bool ends_well = bare.ptr[0] != '.' && out->name.ptr[out->name.len - 1] != '.';
  return ends_well &&
         (out->port.len == 0 || is_port(out->port) || lk_slice_equal(out->port, LK_LIT("*")));
}

/* Addresses in numbers, as they stand in a Host header. */
static bool is_address(lk_slice name) {
  char text[64];
  struct in6_addr v6;
  struct in_addr v4;
  bool has_brackets = name.len > 2 && name.ptr[0] == '[';
  if (has_brackets) name = lk_slice_first(lk_slice_skip(name, 1), name.len - 2);
  if (name.len == 0 || name.len >= sizeof text) return false;
  memcpy(text, name.ptr, name.len);
  text[name.len] = 0;
  return has_brackets ? inet_pton(AF_INET6, text, &v6) == 1 : inet_pton(AF_INET, text, &v4) == 1;
}

/* ---- rules ---- */

static const lk_origin_rules no_rules;

/* The next of texts that stand one behind the other. */
static lk_slice next_text(const char **at) {
  lk_slice text = lk_slice_cstr(*at);
  *at += text.len + 1;
  return text;
}

static bool host_fits(const place *host, lk_slice rule) {
  place wanted;
  if (lk_slice_equal(rule, LK_LIT("*"))) return true;
  return split_rule(rule, &wanted) && name_fits(host->name, wanted.name) &&
         (wanted.port.len == 0 || lk_slice_equal(wanted.port, LK_LIT("*")) ||
          lk_slice_equal(wanted.port, host->port));
}

bool lk_origin_host_is_served(const lk_origin_rules *rules, lk_slice host) {
  place asked;
  if (lk_origin_host_is_loopback(host)) return true;
  if (rules == NULL) rules = &no_rules;
  if (!split_host(host, &asked) || (asked.port.len > 0 && !is_port(asked.port))) return false;
  if (rules->is_reachable && is_address(asked.name)) return true;
  const char *at = rules->hosts;
  for (uint32_t i = 0; i < rules->hosts_count; i++) {
    if (host_fits(&asked, next_text(&at))) return true;
  }
  return false;
}

bool lk_origin_is_host_rule(lk_slice text) {
  place ignored;
  return lk_slice_equal(text, LK_LIT("*")) || split_rule(text, &ignored);
}

/* Cuts "scheme://" off |origin|. */
static bool take_scheme(lk_slice *origin, lk_slice *scheme) {
  size_t at = lk_slice_find(*origin, LK_LIT("://"));
  if (at == LK_SLICE_NONE || at == 0) return false;
  *scheme = lk_slice_first(*origin, at);
  *origin = lk_slice_skip(*origin, at + 3);
  for (size_t i = 0; i < at; i++) {
    uint8_t c = (uint8_t)(scheme->ptr[i] | 0x20), raw = scheme->ptr[i];
    bool is_letter = c >= 'a' && c <= 'z';
    if (!is_letter &&
        (i == 0 || !((raw >= '0' && raw <= '9') || raw == '+' || raw == '-' || raw == '.')))
      return false;
  }
  return true;
}

static bool is_web(lk_slice scheme) {
  return lk_slice_equal_nocase(scheme, LK_LIT("http")) ||
         lk_slice_equal_nocase(scheme, LK_LIT("https"));
}

/* Without a port, an origin has that of its scheme; browsers leave it out. */
static lk_slice port_of(lk_slice scheme, lk_slice port) {
  if (port.len > 0) return port;
  if (lk_slice_equal_nocase(scheme, LK_LIT("http"))) return LK_LIT("80");
  if (lk_slice_equal_nocase(scheme, LK_LIT("https"))) return LK_LIT("443");
  return port;
}

static bool origin_fits(lk_slice scheme, const place *page, lk_slice rule) {
  place wanted;
  lk_slice of = LK_SLICE_EMPTY;
  if (lk_slice_equal(rule, LK_LIT("*"))) return true;
  bool is_either = lk_slice_starts_with(rule, LK_LIT("//"));
  if (is_either) rule = lk_slice_skip(rule, 2);
  else if (!take_scheme(&rule, &of)) return false;
  if (is_either ? !is_web(scheme) : !lk_slice_equal_nocase(scheme, of)) return false;
  if (!split_rule(rule, &wanted) || !name_fits(page->name, wanted.name)) return false;
  return lk_slice_equal(wanted.port, LK_LIT("*")) ||
         lk_slice_equal(port_of(scheme, wanted.port), port_of(scheme, page->port));
}

bool lk_origin_is_served_over(const lk_origin_rules *rules, lk_slice origin, lk_slice host,
                              lk_slice over) {
  lk_slice scheme, rest = origin;
  place page;
  if (rules == NULL) rules = &no_rules;
  if (!take_scheme(&rest, &scheme) || !split_host(rest, &page)) return false;
  if (page.port.len > 0 && !is_port(page.port)) return false;
  bool is_here = over.len > 0 ? lk_slice_equal_nocase(scheme, over) : is_web(scheme);
  if (is_here && host.len > 0 && lk_slice_equal_nocase(rest, host)) return true;
  if (rules->origins_count == 0)
    return !rules->is_reachable && is_web(scheme) && lk_origin_host_is_loopback(rest);
  const char *at = rules->origins;
  for (uint32_t i = 0; i < rules->origins_count; i++) {
    if (origin_fits(scheme, &page, next_text(&at))) return true;
  }
  return false;
}

bool lk_origin_is_served(const lk_origin_rules *rules, lk_slice origin, lk_slice host) {
  return lk_origin_is_served_over(rules, origin, host, LK_SLICE_EMPTY);
}

bool lk_origin_is_origin_rule(lk_slice text) {
  place ignored;
  lk_slice scheme;
  if (lk_slice_equal(text, LK_LIT("*"))) return true;
  if (lk_slice_starts_with(text, LK_LIT("//"))) text = lk_slice_skip(text, 2);
  else if (!take_scheme(&text, &scheme)) return false;
  return split_rule(text, &ignored);
}

bool lk_origin_is_allowed(lk_slice origin, lk_slice host) {
  return lk_origin_is_served(NULL, origin, host);
}

bool lk_origin_address_is_loopback(const char *address) {
  struct in_addr v4;
  struct in6_addr v6;
  if (inet_pton(AF_INET, address, &v4) == 1) return ntohl(v4.s_addr) == INADDR_LOOPBACK;
  if (inet_pton(AF_INET6, address, &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6) != 0;
  return false;
}
