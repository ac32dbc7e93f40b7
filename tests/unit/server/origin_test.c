/* Who may talk to a server of this machine: one table for hosts, one for origins, one for addresses. */
#include "harness/test.h"
#include "server/origin.h"

typedef struct host_row {
  const char *host;
  bool loopback;
} host_row;

static const host_row hosts[] = {
  { "localhost", true },
  { "LOCALHOST", true },
  { "LocalHost:4000", true },
  { "localhost:0", true },
  { "localhost:65535", true },
  { "localhost:00080", true },
  { "127.0.0.1", true },
  { "127.0.0.1:4000", true },
  { "[::1]", true },
  { "[::1]:4000", true },
  { "", false },
  { ":4000", false },
  { "localhost:", false },
  { "localhost:65536", false },
  { "localhost:99999", false },
  { "localhost:000080", false },
  { "localhost:-1", false },
  { "localhost:+1", false },
  { "localhost: 80", false },
  { "localhost:80a", false },
  { "localhost:80:80", false },
  { "localhost.", false },
  { "localhost.evil.example", false },
  { "localhost@evil.example", false },
  { "localhost/", false },
  { "localhost#", false },
  { "evil-localhost", false },
  { "evil.localhost", false },
  { "evil.example", false },
  { "evil.example:4000", false },
  { "localhos", false },
  { "127.0.0.1.evil.example", false },
  { "127.0.0.10", false },
  { "127.0.0.2", false },
  { "127.1", false },
  { "127.0.0.1.", false },
  { "0127.0.0.1", false },
  { "2130706433", false },
  { "0x7f000001", false },
  { "0.0.0.0", false },
  { "::1", false },
  { "[::1", false },
  { "[::2]", false },
  { "[::]", false },
  { "[0:0:0:0:0:0:0:1]", false },
  { "[::ffff:127.0.0.1]", false },
  { "[::1]evil", false },
  { "[::1].evil.example", false },
  { "192.168.0.1", false },
  { " localhost", false },
  { "localhost ", false },
};

TEST(only_three_names_with_any_port_are_this_machine) {
  for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
    test_note("host %s", hosts[i].host);
    CHECK(lk_origin_host_is_loopback(lk_slice_cstr(hosts[i].host)) == hosts[i].loopback);
  }
}

TEST(a_host_with_a_nul_in_it_is_not_this_machine) {
  CHECK(!lk_origin_host_is_loopback(LK_LIT("localhost\0")));
  CHECK(!lk_origin_host_is_loopback(LK_LIT("localhost\0.evil.example")));
  CHECK(!lk_origin_is_allowed(LK_LIT("http://localhost\0.evil.example"), LK_LIT("localhost")));
}

typedef struct origin_row {
  const char *origin;
  const char *host;
  bool allowed;
} origin_row;

static const origin_row origins[] = {
  { "http://localhost", "127.0.0.1:4000", true },
  { "http://localhost:5173", "127.0.0.1:4000", true },
  { "https://localhost", "localhost", true },
  { "HTTP://LOCALHOST:1", "localhost", true },
  { "http://127.0.0.1:4000", "127.0.0.1:4000", true },
  { "http://127.0.0.1:8080", "localhost:4000", true },
  { "http://[::1]:3000", "localhost:4000", true },
  { "https://[::1]", "[::1]:4000", true },
  { "http://app.example", "app.example", true },
  { "https://APP.example:8443", "app.EXAMPLE:8443", true },
  { "", "localhost", false },
  { "null", "localhost", false },
  { "null", "null", false },
  { "localhost", "localhost", false },
  { "//localhost", "localhost", false },
  { "file://", "localhost", false },
  { "file://localhost", "localhost", false },
  { "ws://localhost", "localhost", false },
  { "ftp://localhost", "localhost", false },
  { "chrome-extension://localhost", "localhost", false },
  { "http:localhost", "localhost", false },
  { "http:/localhost", "localhost", false },
  { "http://", "localhost", false },
  { "http://", "", false },
  { "http:///localhost", "localhost", false },
  { "http://evil.example", "localhost:4000", false },
  { "http://evil.example:4000", "localhost:4000", false },
  { "https://evil.example", "127.0.0.1", false },
  { "http://localhost.evil.example", "localhost", false },
  { "http://127.0.0.1.evil.example", "127.0.0.1", false },
  { "http://evil.example/localhost", "localhost", false },
  { "http://localhost/", "localhost", false },
  { "http://localhost/path", "localhost", false },
  { "http://localhost?x", "localhost", false },
  { "http://localhost#x", "localhost", false },
  { "http://localhost@evil.example", "localhost", false },
  { "http://user@localhost", "localhost", false },
  { "http://localhost http://evil.example", "localhost", false },
  { "http://app.example", "app.example:80", false },
  { "http://app.example:8080", "app.example", false },
  { "http://sub.app.example", "app.example", false },
  { "http://app.example.evil", "app.example", false },
  { "http://xapp.example", "app.example", false },
  { "http://pp.example", "app.example", false },
};

TEST(an_origin_is_allowed_only_from_this_machine_or_from_the_very_host_that_was_asked) {
  for (size_t i = 0; i < sizeof origins / sizeof origins[0]; i++) {
    test_note("origin %s at %s", origins[i].origin, origins[i].host);
    bool allowed = lk_origin_is_allowed(lk_slice_cstr(origins[i].origin),
                                        lk_slice_cstr(origins[i].host));
    CHECK(allowed == origins[i].allowed);
  }
}

TEST(only_loopback_addresses_in_numbers_may_be_listened_on) {
  static const host_row rows[] = {
    { "127.0.0.1", true },
    { "127.0.0.2", false },
    { "127.255.255.255", false },
    { "::1", true },
    { "0:0:0:0:0:0:0:1", true },
    { "0.0.0.0", false },
    { "::", false },
    { "128.0.0.1", false },
    { "126.255.255.255", false },
    { "1.0.0.127", false },
    { "10.0.0.1", false },
    { "::2", false },
    { "::ffff:127.0.0.1", false },
    { "fe80::1", false },
    { "localhost", false },
    { "", false },
    { "127.1", false },
    { "127.0.0.1:80", false },
    { "[::1]", false },
    { " 127.0.0.1", false },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    test_note("address %s", rows[i].host);
    CHECK(lk_origin_address_is_loopback(rows[i].host) == rows[i].loopback);
  }
}

/* Goal: no bytes make either function read outside or accept what has no loopback name in front. */
PROPERTY(no_other_bytes_pass_as_this_machine) {
  uint8_t bytes[24];
  size_t len = gen_below(g, sizeof bytes);
  static const char alphabet[] = "localhost127.0.0.1[::1]:80/@#\0\xff";
  for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)alphabet[gen_below(g, sizeof alphabet)];
  lk_slice host = lk_slice_of(bytes, len);
  if (!lk_origin_host_is_loopback(host)) return;
  CHECK(lk_slice_starts_with(host, LK_LIT("localhost")) ||
        lk_slice_starts_with(host, LK_LIT("127.0.0.1")) ||
        lk_slice_starts_with(host, LK_LIT("[::1]")));
}
