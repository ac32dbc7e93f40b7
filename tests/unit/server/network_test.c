/* Addresses in numbers and the networks that they are in: what is one, what is none, and which has which. */
#include "server/network.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/test.h"

typedef struct row {
  const char *text;
  const char *printed; /* NULL: it is none */
} row;

TEST(an_address_is_what_stands_in_numbers_and_nothing_else) {
  static const row rows[] = {
    { "192.0.2.7", "192.0.2.7" },
    { "0.0.0.0", "0.0.0.0" },
    { "255.255.255.255", "255.255.255.255" },
    { "::ffff:192.0.2.7", "192.0.2.7" }, /* one and the same */
    { "::FFFF:c000:0207", "192.0.2.7" },
    { "::1", "::1" },
    { "2001:DB8:0:0::7", "2001:db8::7" },
    { "::192.0.2.7", "::192.0.2.7" },
    { "fe80::1%eth0", NULL },
    { "192.0.2.7:80", NULL },
    { "[::1]", NULL },
    { "192.0.2", NULL },
    { "192.0.2.256", NULL },
    { "192.0.2.07", NULL },
    { "0x7f000001", NULL },
    { "2130706433", NULL },
    { " 192.0.2.7", NULL },
    { "192.0.2.7 ", NULL },
    { "localhost", NULL },
    { "unknown", NULL },
    { "", NULL },
    { "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", NULL },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char text[LK_ADDRESS_TEXT_MAX];
    lk_address address;
    test_note("%s", rows[i].text);
    bool is_one = lk_address_read(lk_slice_cstr(rows[i].text), &address);
    CHECK(is_one == (rows[i].printed != NULL));
    if (is_one)
      CHECK_SLICE(lk_slice_cstr(lk_address_print(&address, text)), lk_slice_cstr(rows[i].printed));
  }
  lk_address ignored;
  CHECK(!lk_address_read(LK_LIT("::1\0"), &ignored));
}

TEST(a_network_has_the_addresses_that_begin_like_it) {
  static const struct {
    const char *network;
    const char *address;
    bool has;
  } rows[] = {
    { "192.0.2.7", "192.0.2.7", true },
    { "192.0.2.7", "192.0.2.6", false },
    { "192.0.2.7/32", "192.0.2.7", true },
    { "10.0.0.0/8", "10.255.255.255", true },
    { "10.0.0.0/8", "11.0.0.0", false },
    { "10.0.0.0/8", "9.255.255.255", false },
    { "10.0.0.0/8", "::10.0.0.1", false },
    { "10.0.0.0/8", "::ffff:10.0.0.1", true },
    { "172.16.0.0/12", "172.31.255.255", true },
    { "172.16.0.0/12", "172.32.0.0", false },
    { "192.0.2.128/25", "192.0.2.128", true },
    { "192.0.2.128/25", "192.0.2.127", false },
    { "192.0.2.4/31", "192.0.2.5", true },
    { "192.0.2.4/31", "192.0.2.6", false },
    { "128.0.0.0/1", "255.0.0.1", true },
    { "128.0.0.0/1", "127.0.0.1", false },
    { "2001:db8::/32", "2001:db8:ffff::1", true },
    { "2001:db8::/32", "2001:db9::1", false },
    { "fc00::/7", "fdff::1", true },
    { "fc00::/7", "fe00::1", false },
    { "::1", "::1", true },
    { "::1", "127.0.0.1", false },
    { "::ffff:10.0.0.0/104", "10.1.2.3", true },
    { "::ffff:10.0.0.0/104", "11.1.2.3", false },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    lk_network network;
    lk_address address;
    test_note("%s in %s", rows[i].address, rows[i].network);
    CHECK(lk_network_read(lk_slice_cstr(rows[i].network), &network));
    CHECK(lk_address_read(lk_slice_cstr(rows[i].address), &address));
    CHECK(lk_network_has(&network, &address) == rows[i].has);
  }
}

TEST(a_network_that_nobody_can_mean_is_none) {
  static const char *const bad[] = {
    "",
    "/",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.1/8",
    "10.0.0.0/08",
    "10/8",
    "10.0.0.0/8/8",
    "10.0.0.0/-8",
    "10.0.0.0/8 ",
    "0.0.0.0/0",
    "::/0",
    "::1/129",
    "2001:db8::1/32",
    "localhost",
    "*",
    "10.0.0.0/0000008",
    "[::1]/128",
    "10.0.0.0/a",
    "fe80::%1/10",
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    lk_network ignored;
    test_note("%s", bad[i]);
    CHECK(!lk_network_read(lk_slice_cstr(bad[i]), &ignored));
  }
}

/* Method: one bit is flipped in or behind the network's part of an address. */
PROPERTY(a_network_has_an_address_as_long_as_its_bits_are_the_same) {
  lk_network network;
  lk_address address;
  char text[LK_ADDRESS_TEXT_MAX + 8], base[LK_ADDRESS_TEXT_MAX];
  unsigned bits = 1 + gen_below(g, 128), flipped = gen_below(g, 128);
  for (int i = 0; i < 16; i++) address.bytes[i] = (uint8_t)gen_below(g, 256);
  address.bytes[0] |= 1; /* so that it is written with colons alone */
  lk_address begin = address;
  for (unsigned i = bits; i < 128; i++) begin.bytes[i / 8] &= (uint8_t) ~(0x80u >> i % 8);
  (void)snprintf(text, sizeof text, "%s/%u", lk_address_print(&begin, base), bits);
  test_note("%s, bit %u", text, flipped);
  CHECK(lk_network_read(lk_slice_cstr(text), &network));
  CHECK(lk_network_has(&network, &address));
  address.bytes[flipped / 8] ^= (uint8_t)(0x80u >> flipped % 8);
  CHECK(lk_network_has(&network, &address) == (flipped >= bits));
}

/* A loopback connection of each kind, and a pair of sockets that have no address. */
TEST(the_other_end_of_a_socket_has_its_address) {
  int pair[2];
  lk_address address;
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  CHECK(!lk_address_of_peer(pair[0], &address));
  (void)close(pair[0]);
  (void)close(pair[1]);
  CHECK(!lk_address_of_peer(-1, &address));

  struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
  socklen_t len = sizeof here;
  char text[LK_ADDRESS_TEXT_MAX];
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK(bind(listener, (struct sockaddr *)&here, sizeof here) == 0 && listen(listener, 1) == 0);
  CHECK(getsockname(listener, (struct sockaddr *)&here, &len) == 0);
  CHECK(connect(client, (struct sockaddr *)&here, sizeof here) == 0);
  CHECK(lk_address_of_peer(client, &address));
  CHECK_TEXT(lk_slice_cstr(lk_address_print(&address, text)), "127.0.0.1");
  (void)close(client);
  (void)close(listener);
}
