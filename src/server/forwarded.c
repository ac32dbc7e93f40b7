/* server/forwarded.c -- lists of addresses, walked once.
 *
 * A list is read from the left, as headers are, and gives what reading it from the right would: each address that is no
 * proxy's replaces what stood before, a proxy's does not. What cannot be read ("unknown", "_hidden", a name) is somebody
 * whom we do not know: nothing left of it can count, and a proxy that stands right of it is the best there is.
 *
 * Commas are cut at without regard to quotes. No proxy writes one into what it adds, and so a quote that a client left open
 * cannot swallow what stands behind it.
 *
 * X-Forwarded-Proto is a list as well, of the same proxies, where they add to it rather than replace it: the client's is the
 * one that stands as far from the right as its address, or the one on the left where there are not as many. */
#include "server/forwarded.h"

#include <string.h>

#define FORWARDED LK_LIT("forwarded")
#define ADDRESSES LK_LIT("x-forwarded-for")
#define SCHEMES LK_LIT("x-forwarded-proto")

typedef struct walk {
  const lk_proxies *proxies;
  lk_address address;
  lk_slice scheme; /* of the same element */
  bool is_found;   /* |address| is of meaning */
  size_t behind;   /* elements right of it */
  size_t count;
} walk;

static bool is_proxy(const lk_proxies *proxies, const lk_address *address) {
  for (size_t i = 0; i < proxies->count; i++) {
    if (lk_network_has(&proxies->items[i], address)) return true;
  }
  return false;
}

/* An address, with or without a port; of IPv6 also between brackets. */
static bool read_node(lk_slice text, lk_address *out) {
  size_t end;
  if (lk_address_read(text, out)) return true;
  if (text.len > 0 && text.ptr[0] == '[') {
    end = lk_slice_find_byte(text, ']');
    if (end == LK_SLICE_NONE) return false;
    lk_slice rest = lk_slice_skip(text, end + 1);
    return (rest.len == 0 || rest.ptr[0] == ':') &&
           lk_address_read(lk_slice_first(lk_slice_skip(text, 1), end - 1), out) &&
           lk_slice_find_byte(lk_slice_first(text, end), ':') != LK_SLICE_NONE;
  }
  end = lk_slice_find_byte(text, ':');
  return end != LK_SLICE_NONE && lk_address_read(lk_slice_first(text, end), out);
}

static void step(walk *self, lk_slice node, lk_slice scheme) {
  lk_address address;
  self->count++;
  self->behind++;
  if (!read_node(node, &address)) {
    self->is_found = false;
    return;
  }
  if (is_proxy(self->proxies, &address) && self->is_found) return;
  self->address = address;
  self->scheme = scheme;
  self->is_found = true;
  self->behind = 0;
}

static lk_slice unquote(lk_slice text) {
  bool is_quoted = text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"';
  return is_quoted ? lk_slice_first(lk_slice_skip(text, 1), text.len - 2) : text;
}

/* for="[2001:db8::1]:4711";proto=https */
static void step_forwarded(walk *self, lk_slice element) {
  lk_slice node = LK_SLICE_EMPTY, scheme = LK_SLICE_EMPTY;
  while (element.len > 0) {
    lk_slice value, name = lk_slice_cut(lk_slice_cut(element, ';', &element), '=', &value);
    name = lk_slice_trim(name);
    value = unquote(lk_slice_trim(value));
    if (lk_slice_equal_nocase(name, LK_LIT("for"))) node = value;
    else if (lk_slice_equal_nocase(name, LK_LIT("proto"))) scheme = value;
  }
  step(self, node, scheme);
}

/* WebSockets have names of their own for the same two. */
static lk_slice scheme_of(lk_slice text) {
  if (lk_slice_equal_nocase(text, LK_LIT("https")) || lk_slice_equal_nocase(text, LK_LIT("wss")))
    return LK_LIT("https");
  if (lk_slice_equal_nocase(text, LK_LIT("http")) || lk_slice_equal_nocase(text, LK_LIT("ws")))
    return LK_LIT("http");
  return LK_SLICE_EMPTY;
}

static size_t count_items(const lk_http1_request *request, lk_slice name) {
  lk_http1_items at = { 0 };
  lk_slice item;
  size_t count = 0;
  while (lk_http1_item_next(request, name, &at, &item)) count++;
  return count;
}

static lk_slice scheme_behind(const lk_http1_request *request, size_t behind) {
  size_t count = count_items(request, SCHEMES);
  size_t left = count > behind ? count - behind : 1; /* which one, from 1 */
  lk_http1_items at = { 0 };
  lk_slice item = LK_SLICE_EMPTY;
  while (left > 0 && lk_http1_item_next(request, SCHEMES, &at, &item)) left--;
  return scheme_of(item);
}

bool lk_forwarded_is_there(const lk_http1_request *request) {
  lk_slice name, value;
  for (size_t pos = 0; lk_http1_header_next(request, &pos, &name, &value);) {
    if (lk_slice_equal_nocase(name, ADDRESSES) || lk_slice_equal_nocase(name, FORWARDED) ||
        lk_slice_equal_nocase(name, SCHEMES))
      return true;
  }
  return false;
}

static bool same_address(const walk *a, const walk *b) {
  return a->is_found == b->is_found &&
         (!a->is_found || memcmp(&a->address, &b->address, sizeof a->address) == 0);
}

void lk_forwarded_read(const lk_proxies *proxies, const lk_http1_request *request,
                       lk_far_end *client) {
  walk listed = { .proxies = proxies }, told = { .proxies = proxies };
  lk_http1_items at = { 0 }, other = { 0 };
  lk_slice item;
  if (!lk_forwarded_is_there(request)) return;
  client->forwarded = LK_FORWARDED_IGNORED;
  if (!client->is_known || !is_proxy(proxies, &client->address)) return;
  while (lk_http1_item_next(request, ADDRESSES, &at, &item)) step(&listed, item, LK_SLICE_EMPTY);
  while (lk_http1_item_next(request, FORWARDED, &other, &item)) step_forwarded(&told, item);
  client->forwarded = LK_FORWARDED_TORN;
  if (listed.count > 0 && told.count > 0 && !same_address(&listed, &told)) return;
  const walk *counts = told.count > 0 ? &told : &listed;
  if (!counts->is_found && counts->count > 0) return;
  client->forwarded = LK_FORWARDED_TAKEN;
  if (counts->count > 0) client->address = counts->address;
  lk_slice scheme = scheme_of(counts->scheme);
  if (scheme.len == 0) scheme = scheme_behind(request, counts->behind);
  client->scheme = scheme;
}
