/* Hostile addresses, networks and headers of proxies: whatever they are, what is read of them says the same when it is written
 * and read again, and nobody outside of the trusted networks is believed. */
#include <stdio.h>
#include <string.h>

#include "harness/test.h"
#include "server/forwarded.h"

static const lk_slice addresses[] = {
  LK_LIT_INIT("192.0.2.7"),      LK_LIT_INIT("2001:db8::7"),         LK_LIT_INIT("::ffff:10.0.0.1"),
  LK_LIT_INIT("10.0.0.0/8"),     LK_LIT_INIT("2001:db8::/32"),       LK_LIT_INIT("::1/128"),
  LK_LIT_INIT("192.0.2.128/25"), LK_LIT_INIT("::ffff:10.0.0.0/104"),
};
enum { ADDRESSES_COUNT = sizeof addresses / sizeof *addresses };

FUZZ(lk_address_read) {
  uint8_t scratch[80];
  char text[LK_ADDRESS_TEXT_MAX];
  lk_address address, again;
  lk_slice in = gen_hostile(g, addresses, ADDRESSES_COUNT, scratch, sizeof scratch);
  if (!lk_address_read(in, &address)) return;
  CHECK(lk_address_read(lk_slice_cstr(lk_address_print(&address, text)), &again));
  CHECK(memcmp(&address, &again, sizeof again) == 0);
}

FUZZ(lk_network_read) {
  uint8_t scratch[80];
  lk_network network;
  lk_slice in = gen_hostile(g, addresses, ADDRESSES_COUNT, scratch, sizeof scratch);
  if (!lk_network_read(in, &network)) return;
  CHECK(network.bits > 0 && network.bits <= 128);
  CHECK(lk_network_has(&network, &network.base));
  lk_address other = network.base;
  other.bytes[(network.bits - 1) / 8] ^= (uint8_t)(0x80u >> (network.bits - 1) % 8);
  CHECK(!lk_network_has(&network, &other));
}

static const lk_slice heads[] = {
  LK_LIT_INIT("X-Forwarded-For: 192.0.2.1, 10.0.0.3\r\nX-Forwarded-Proto: https, http\r\n"),
  LK_LIT_INIT("Forwarded: for=\"[2001:db8::1]:4711\";proto=https, for=10.0.0.3\r\n"),
  LK_LIT_INIT("X-Forwarded-For: unknown\r\nForwarded: for=_x;by=\"a;b,c\"\r\n"),
};
enum { HEADS = sizeof heads / sizeof *heads };

FUZZ(lk_forwarded_read) {
  static const lk_http1_options options = { 0 };
  uint8_t scratch[400];
  char text[600];
  lk_limits limits = lk_limits_default();
  lk_http1 http;
  lk_http1_request request;
  lk_network network;
  CHECK(lk_network_read(LK_LIT("10.0.0.0/8"), &network));
  const lk_proxies proxies = { &network, 1 };
  bool is_trusted = gen_bool(g);
  /* a fuzzer's own bytes may be more than the scratch has room for */
  lk_slice in = lk_slice_first(gen_hostile(g, heads, HEADS, scratch, sizeof scratch),
                               sizeof scratch);
  int len = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n%.*s\r\n\r\n", (int)in.len,
                     in.len > 0 ? (const char *)in.ptr : "");
  lk_slice rest = lk_slice_of(text, (size_t)len);
  lk_http1_init(&http, test_alloc(), &limits, &options, 0);
  lk_far_end client = { .is_known = true };
  CHECK(lk_address_read(is_trusted ? LK_LIT("10.0.0.2") : LK_LIT("192.0.2.2"), &client.address));
  const lk_address sender = client.address;
  if (lk_http1_feed(&http, 0, &rest) == LK_OK && lk_http1_poll(&http, &request)) {
    lk_forwarded_read(&proxies, &request, &client);
    bool is_there = lk_forwarded_is_there(&request);
    CHECK(is_there == (client.forwarded != LK_FORWARDED_NOT));
    if (!is_trusted)
      CHECK(client.forwarded == (is_there ? LK_FORWARDED_IGNORED : LK_FORWARDED_NOT));
    if (client.forwarded != LK_FORWARDED_TAKEN)
      CHECK(memcmp(&client.address, &sender, sizeof sender) == 0 && client.scheme.len == 0);
    CHECK(client.scheme.len == 0 || lk_slice_starts_with(client.scheme, LK_LIT("http")));
  }
  lk_http1_deinit(&http);
}
