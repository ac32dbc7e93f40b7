/* Whose request it is behind proxies: a table of senders and headers, and strangers who try to choose. */
#include "server/forwarded.h"

#include <stdio.h>
#include <string.h>

#include "harness/test.h"

/* The sender 10.0.0.2 and all of 10.0.0.0/8 and fd00::/8 are proxies that are trusted. */
static lk_network networks[2];

static lk_proxies trusted(void) {
  CHECK(lk_network_read(LK_LIT("10.0.0.0/8"), &networks[0]));
  CHECK(lk_network_read(LK_LIT("fd00::/8"), &networks[1]));
  return (lk_proxies){ networks, 2 };
}

static lk_far_end read_client(const lk_proxies *proxies, const char *sender, const char *headers) {
  static const lk_http1_options options = { 0 };
  lk_limits limits = lk_limits_default();
  lk_http1 http;
  lk_http1_request request;
  char text[2048];
  lk_far_end client = { .scheme = LK_LIT("https") };
  int len = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", headers);
  lk_slice in = lk_slice_of(text, (size_t)len);
  test_note("%s says %s", sender, headers);
  client.is_known = lk_address_read(lk_slice_cstr(sender), &client.address);
  lk_http1_init(&http, test_alloc(), &limits, &options, 0);
  CHECK_OK(lk_http1_feed(&http, 0, &in));
  CHECK(lk_http1_poll(&http, &request));
  lk_forwarded_read(proxies, &request, &client);
  lk_http1_deinit(&http);
  return client;
}

#define NOT LK_FORWARDED_NOT
#define TAKEN LK_FORWARDED_TAKEN
#define IGNORED LK_FORWARDED_IGNORED
#define TORN LK_FORWARDED_TORN
#define XFF "X-Forwarded-For: "
#define XFP "X-Forwarded-Proto: "
#define FWD "Forwarded: "

static const struct {
  const char *sender;
  const char *headers;
  const char *client;
  const char *scheme;
  lk_forwarded forwarded;
} rows[] = {
  { "10.0.0.2", "", "10.0.0.2", "https", NOT },
  { "198.51.100.9", "", "198.51.100.9", "https", NOT },
  /* who is no proxy says what he likes */
  { "198.51.100.9", XFF "192.0.2.1\r\n", "198.51.100.9", "https", IGNORED },
  { "198.51.100.9", XFP "http\r\n", "198.51.100.9", "https", IGNORED },
  { "198.51.100.9", FWD "for=192.0.2.1\r\n", "198.51.100.9", "https", IGNORED },
  { "11.0.0.2", XFF "10.0.0.2\r\n", "11.0.0.2", "https", IGNORED },
  { "", XFF "192.0.2.1\r\n", NULL, "https", IGNORED },
  /* one proxy */
  { "10.0.0.2", XFF "192.0.2.1\r\n", "192.0.2.1", "", TAKEN },
  { "::ffff:10.0.0.2", XFF "192.0.2.1\r\n", "192.0.2.1", "", TAKEN },
  { "fd00::2", XFF "2001:db8::1\r\n", "2001:db8::1", "", TAKEN },
  { "10.0.0.2", "x-FORWARDED-for:192.0.2.1\r\n", "192.0.2.1", "", TAKEN },
  { "10.0.0.2", XFF "192.0.2.1:4711\r\n", "192.0.2.1", "", TAKEN },
  { "10.0.0.2", XFF "[2001:db8::1]:4711\r\n", "2001:db8::1", "", TAKEN },
  { "10.0.0.2", XFF "[2001:db8::1]\r\n", "2001:db8::1", "", TAKEN },
  { "10.0.0.2", XFF "192.0.2.1\r\n" XFP "https\r\n", "192.0.2.1", "https", TAKEN },
  { "10.0.0.2", XFF "192.0.2.1\r\n" XFP "http\r\n", "192.0.2.1", "http", TAKEN },
  { "10.0.0.2", XFF "192.0.2.1\r\n" XFP "WSS\r\n", "192.0.2.1", "https", TAKEN },
  { "10.0.0.2", XFF "192.0.2.1\r\n" XFP "ws\r\n", "192.0.2.1", "http", TAKEN },
  { "10.0.0.2", XFF "192.0.2.1\r\n" XFP "gopher\r\n", "192.0.2.1", "", TAKEN },
  { "10.0.0.2", XFP "http\r\n", "10.0.0.2", "http", TAKEN },
  /* what a client sends itself stands on the left */
  { "10.0.0.2", XFF "127.0.0.1, 192.0.2.1\r\n", "192.0.2.1", "", TAKEN },
  { "10.0.0.2", XFF "10.0.0.9, 192.0.2.1\r\n", "192.0.2.1", "", TAKEN },
  { "10.0.0.2", XFF "127.0.0.1\r\n" XFF "192.0.2.1\r\n", "192.0.2.1", "", TAKEN },
  { "10.0.0.2", XFF "junk, 192.0.2.1\r\n", "192.0.2.1", "", TAKEN },
  { "10.0.0.2", XFF "\"127.0.0.1, 192.0.2.1\r\n", "192.0.2.1", "", TAKEN },
  { "10.0.0.2", XFF "192.0.2.1\r\n" XFP "https, http\r\n", "192.0.2.1", "http", TAKEN },
  /* several proxies */
  { "10.0.0.2", XFF "192.0.2.1, 10.0.0.3\r\n", "192.0.2.1", "", TAKEN },
  { "10.0.0.2", XFF "127.0.0.1, 192.0.2.1, 10.0.0.3,fd00::1\r\n", "192.0.2.1", "", TAKEN },
  { "10.0.0.2", XFF "192.0.2.1, 198.51.100.9, 10.0.0.3\r\n", "198.51.100.9", "", TAKEN },
  { "10.0.0.2", XFF "192.0.2.1, 10.0.0.3\r\n" XFP "https, http\r\n", "192.0.2.1", "https", TAKEN },
  { "10.0.0.2", XFF "192.0.2.1, 10.0.0.3\r\n" XFP "http, https, http\r\n", "192.0.2.1", "https",
    TAKEN },
  { "10.0.0.2", XFF "192.0.2.1, 10.0.0.3\r\n" XFP "https\r\n", "192.0.2.1", "https", TAKEN },
  /* nobody but proxies: the first of them */
  { "10.0.0.2", XFF "10.0.0.4, 10.0.0.3\r\n", "10.0.0.4", "", TAKEN },
  /* what nobody can read is somebody whom nobody knows */
  { "10.0.0.2", XFF "192.0.2.1, unknown\r\n", "10.0.0.2", "https", TORN },
  { "10.0.0.2", XFF "192.0.2.1, unknown, 10.0.0.3\r\n", "10.0.0.3", "", TAKEN },
  { "10.0.0.2", XFF "unknown\r\n", "10.0.0.2", "https", TORN },
  { "10.0.0.2", XFF "192.0.2.1 198.51.100.9\r\n", "10.0.0.2", "https", TORN },
  { "10.0.0.2", XFF "192.0.2.256\r\n", "10.0.0.2", "https", TORN },
  { "10.0.0.2", XFF "[192.0.2.1]\r\n", "10.0.0.2", "https", TORN },
  { "10.0.0.2", XFF "[2001:db8::1\r\n", "10.0.0.2", "https", TORN },
  { "10.0.0.2", XFF "[2001:db8::1]x\r\n", "10.0.0.2", "https", TORN },
  { "10.0.0.2", XFF "localhost\r\n", "10.0.0.2", "https", TORN },
  { "10.0.0.2", XFF "\r\n" XFP "http\r\n", "10.0.0.2", "http", TAKEN },
  /* the standard's way */
  { "10.0.0.2", FWD "for=192.0.2.1\r\n", "192.0.2.1", "", TAKEN },
  { "10.0.0.2", FWD "For=\"192.0.2.1:80\";Proto=https;by=10.0.0.2\r\n", "192.0.2.1", "https",
    TAKEN },
  { "10.0.0.2", FWD "proto=http; for=\"[2001:db8::1]:4711\"\r\n", "2001:db8::1", "http", TAKEN },
  { "10.0.0.2", FWD "for=127.0.0.1, for=192.0.2.1;proto=http, for=10.0.0.3;proto=https\r\n",
    "192.0.2.1", "http", TAKEN },
  { "10.0.0.2", FWD "for=\"x, for=192.0.2.1\r\n", "192.0.2.1", "", TAKEN },
  { "10.0.0.2", FWD "for=_hidden\r\n", "10.0.0.2", "https", TORN },
  { "10.0.0.2", FWD "proto=https\r\n", "10.0.0.2", "https", TORN },
  { "10.0.0.2", FWD "for\r\n", "10.0.0.2", "https", TORN },
  /* both */
  { "10.0.0.2", XFF "192.0.2.1\r\n" FWD "for=192.0.2.1;proto=https\r\n", "192.0.2.1", "https",
    TAKEN },
  { "10.0.0.2", XFF "192.0.2.1\r\n" FWD "for=127.0.0.1\r\n", "10.0.0.2", "https", TORN },
  { "10.0.0.2", FWD "for=192.0.2.1\r\n" XFF "127.0.0.1\r\n", "10.0.0.2", "https", TORN },
  { "10.0.0.2", XFF "192.0.2.1\r\n" FWD "for=unknown\r\n", "10.0.0.2", "https", TORN },
};

TEST(whose_a_request_is_says_the_first_from_the_right_that_is_no_proxy) {
  const lk_proxies proxies = trusted();
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char text[LK_ADDRESS_TEXT_MAX];
    lk_far_end client = read_client(&proxies, rows[i].sender, rows[i].headers);
    CHECK(client.is_known == (rows[i].client != NULL));
    if (client.is_known)
      CHECK_SLICE(lk_slice_cstr(lk_address_print(&client.address, text)),
                  lk_slice_cstr(rows[i].client));
    CHECK_SLICE(client.scheme, lk_slice_cstr(rows[i].scheme));
    CHECK(client.forwarded == rows[i].forwarded);
  }
}

TEST(without_trusted_proxies_nobody_says_whose_a_request_is) {
  const lk_proxies none = { NULL, 0 };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    lk_address sender;
    lk_far_end client = read_client(&none, rows[i].sender, rows[i].headers);
    if (lk_address_read(lk_slice_cstr(rows[i].sender), &sender))
      CHECK(memcmp(&client.address, &sender, sizeof sender) == 0);
    CHECK(client.forwarded == (rows[i].headers[0] == 0 ? NOT : IGNORED));
    CHECK_TEXT(client.scheme, "https");
  }
}

/* Goal: a client cannot choose who it is. Method: whatever it sends stands left of what the proxy adds, or in headers that the
 * proxy does not know; the answer is the address that the proxy added, or that of the proxy. */
PROPERTY(nothing_that_a_client_sends_makes_it_another_one) {
  static const char *const pieces[] = { "127.0.0.1", "10.0.0.9", "192.0.2.66", ", ",
                                        ",",         ";",        "\"",         "[",
                                        "]",         "for=",     "proto=http", ":",
                                        "1",         "\\",       "=",          " " };
  const lk_proxies proxies = trusted();
  char sent[300] = "", headers[800], text[LK_ADDRESS_TEXT_MAX];
  for (uint32_t i = gen_below(g, 16); i > 0; i--)
    strcat(sent, pieces[gen_below(g, sizeof pieces / sizeof pieces[0])]);
  bool is_standard = gen_bool(g), has_other = gen_bool(g);
  (void)snprintf(headers, sizeof headers, "%s%s%s%s\r\n%s%s%s", is_standard ? FWD : XFF, sent,
                 sent[0] != 0 ? ", " : "", is_standard ? "for=192.0.2.1" : "192.0.2.1",
                 has_other ? (is_standard ? XFF : FWD) : "", has_other ? sent : "",
                 has_other ? "\r\n" : "");
  lk_far_end client = read_client(&proxies, "10.0.0.2", headers);
  const char *got = lk_address_print(&client.address, text);
  test_note("%s from %s", got, headers);
  CHECK(strcmp(got, "192.0.2.1") == 0 || (has_other && strcmp(got, "10.0.0.2") == 0));
}

/* A socket that is no network's has no address, which must not be taken for that of zeros. */
TEST(who_has_no_address_is_no_proxy) {
  lk_network zeros;
  CHECK(lk_network_read(LK_LIT("::/8"), &zeros));
  const lk_proxies proxies = { &zeros, 1 };
  CHECK(read_client(&proxies, "", XFF "192.0.2.1\r\n").forwarded == IGNORED);
  CHECK(read_client(&proxies, "::", XFF "192.0.2.1\r\n").forwarded == TAKEN);
}
