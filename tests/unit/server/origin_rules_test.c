/* Which pages may connect, and under which names, where the server was told: one table for hosts, one for origins. */
#include <string.h>

#include "harness/test.h"
#include "server/origin.h"

/* "a, b" as settings have it. */
static uint32_t split(const char *list, char out[256]) {
  uint32_t count = 0;
  lk_slice rest = lk_slice_cstr(list);
  while (rest.len > 0) {
    lk_slice one = lk_slice_trim(lk_slice_cut(rest, ',', &rest));
    memcpy(out, one.ptr, one.len);
    out[one.len] = 0;
    out += one.len + 1;
    count++;
  }
  return count;
}

typedef struct row {
  const char *rules;
  const char *what;
  bool served;
} row;

/* ---- hosts ---- */

static const row hosts[] = {
  { "", "localhost", true },
  { "", "127.0.0.1:4000", true },
  { "", "[::1]:4000", true },
  { "", "app.example", false },
  { "", "192.0.2.1", false },
  { "", "[2001:db8::1]", false },
  { "", "", false },
  { "app.example", "app.example", true },
  { "app.example", "APP.Example", true },
  { "APP.example", "app.example", true },
  { "app.example", "app.example:80", true },
  { "app.example", "app.example:65535", true },
  { "app.example", "localhost", true },
  { "app.example", "app.example:65536", false },
  { "app.example", "app.example:", false },
  { "app.example", "app.example:x", false },
  { "app.example", "app.example:80:80", false },
  { "app.example", "app.example.", false },
  { "app.example", "x.app.example", false },
  { "app.example", "xapp.example", false },
  { "app.example", "app.example.evil", false },
  { "app.example", "app.examplex", false },
  { "app.example", "app-example", false },
  { "app.example", "appxexample", false },
  { "app.example", "pp.example", false },
  { "app.example", "user@app.example", false },
  { "app.example", "app.example/", false },
  { "app.example", "app.example#", false },
  { "app.example", "app.example?", false },
  { "app.example", " app.example", false },
  { "app.example", "app.example ", false },
  { "app.example", "*.app.example", false },
  { "app.example", "*", false },
  { "app.example:8443", "app.example:8443", true },
  { "app.example:8443", "app.example", false },
  { "app.example:8443", "app.example:8444", false },
  { "app.example:8443", "app.example:08443", false },
  { "app.example:*", "app.example:1", true },
  { "app.example:*", "app.example", true },
  { "*.app.example", "a.app.example", true },
  { "*.app.example", "a.b.app.example", true },
  { "*.app.example", "A.APP.EXAMPLE:80", true },
  { "*.app.example", "app.example", false },
  { "*.app.example", ".app.example", false },
  { "*.app.example", "xapp.example", false },
  { "*.app.example", "a.app.example.evil", false },
  { "*.app.example", "a.app.exampl", false },
  { "*.app.example", "evil/a.app.example", false },
  { "*.app.example", "evil:1.app.example", false },
  { "*.app.example", "[.app.example", false },
  { "*.app.example", "[::1].app.example", false },
  { "one.example, two.example", "one.example", true },
  { "one.example, two.example", "two.example:1", true },
  { "one.example, two.example", "three.example", false },
  { "*", "whatever.example", true },
  { "*", "192.0.2.1", true },
  { "*", "bad/name", false },
  { "192.0.2.1", "192.0.2.1:4000", true },
  { "192.0.2.1", "192.0.2.10", false },
  { "[2001:db8::1]", "[2001:db8::1]:4000", true },
  { "[2001:db8::1]", "[2001:DB8::1]", true },
  { "[2001:db8::1]", "[2001:db8::2]", false },
};

/* What others than this machine can reach has other names beside these. */
static const row reachable[] = {
  { "", "192.0.2.1", true },
  { "", "10.0.0.1:4000", true },
  { "", "[2001:db8::1]:4000", true },
  { "", "[::ffff:192.0.2.1]", true },
  { "", "localhost:4000", true },
  { "", "app.example", false },
  { "", "192.0.2", false },
  { "", "192.0.2.1.", false },
  { "", "192.0.2.256", false },
  { "", "0x7f000001", false },
  { "", "2130706433", false },
  { "", "192.0.2.1.evil.example", false },
  { "", "[2001:db8::1", false },
  { "", "[2001:db8::1]x", false },
  { "", "2001:db8::1", false },
  { "", "[192.0.2.1]", false },
  { "", "[]", false },
  { "", "[fe80::1%eth0]", false },
  { "app.example", "app.example", true },
};

static void check_hosts(const row *rows, size_t count, bool is_reachable) {
  for (size_t i = 0; i < count; i++) {
    char texts[256] = "";
    lk_origin_rules rules = { .hosts = texts, .is_reachable = is_reachable };
    rules.hosts_count = split(rows[i].rules, texts);
    test_note("%s for %s", rows[i].what, rows[i].rules);
    CHECK(lk_origin_host_is_served(&rules, lk_slice_cstr(rows[i].what)) == rows[i].served);
  }
}

TEST(a_host_is_served_by_the_names_of_this_machine_and_those_that_settings_give) {
  check_hosts(hosts, sizeof hosts / sizeof hosts[0], false);
}

TEST(addresses_in_numbers_are_served_where_others_can_connect) {
  check_hosts(reachable, sizeof reachable / sizeof reachable[0], true);
}

TEST(without_rules_a_host_is_served_like_this_machine) {
  CHECK(lk_origin_host_is_served(NULL, LK_LIT("localhost:1")));
  CHECK(!lk_origin_host_is_served(NULL, LK_LIT("app.example")));
  CHECK(!lk_origin_host_is_served(NULL, LK_LIT("app.example\0")));
}

/* ---- origins ---- */

#define HERE "app.example" /* the host that is asked */

static const row origins[] = {
  /* without rules: this machine's, and the host itself */
  { "", "http://localhost", true },
  { "", "https://localhost:5173", true },
  { "", "http://127.0.0.1:1", true },
  { "", "http://[::1]:1", true },
  { "", "http://app.example", true },
  { "", "https://app.example", true },
  { "", "HTTPS://APP.EXAMPLE", true },
  { "", "http://app.example:80", false },
  { "", "http://other.example", false },
  { "", "null", false },
  { "", "", false },
  { "", "capacitor://localhost", false },
  { "", "file://", false },
  { "", "ws://localhost", false },
  { "", "chrome-extension://localhost", false },
  /* one name */
  { "https://a.example", "https://a.example", true },
  { "https://a.example", "https://A.Example", true },
  { "HTTPS://A.example", "https://a.example", true },
  { "https://a.example", "https://a.example:443", true },
  { "https://a.example:443", "https://a.example", true },
  { "http://a.example", "http://a.example:80", true },
  { "https://a.example", "http://a.example", false },
  { "http://a.example", "https://a.example", false },
  { "https://a.example", "https://a.example:444", false },
  { "https://a.example", "https://a.example:80", false },
  { "https://a.example", "https://a.example:0443", false },
  { "https://a.example", "https://a.example:", false },
  { "https://a.example", "https://a.example:443x", false },
  { "https://a.example", "https://a.example/", false },
  { "https://a.example", "https://a.example/x", false },
  { "https://a.example", "https://a.example?x", false },
  { "https://a.example", "https://a.example#x", false },
  { "https://a.example", "https://a.example.", false },
  { "https://a.example", "https://a.example.evil", false },
  { "https://a.example", "https://x.a.example", false },
  { "https://a.example", "https://xa.example", false },
  { "https://a.example", "https://evil/a.example", false },
  { "https://a.example", "https://evil@a.example", false },
  { "https://a.example", "https://a.example@evil", false },
  { "https://a.example", "https://evil:a.example", false },
  { "https://a.example", "https://a.example https://evil", false },
  { "https://a.example", "https://evil https://a.example", false },
  { "https://a.example", "https:a.example", false },
  { "https://a.example", "https:/a.example", false },
  { "https://a.example", "https:///a.example", false },
  { "https://a.example", "https://https://a.example", false },
  { "https://a.example", "//a.example", false },
  { "https://a.example", "a.example", false },
  { "https://a.example", "://a.example", false },
  { "https://a.example", " https://a.example", false },
  { "https://a.example", "https://a.example ", false },
  { "https://a.example", "httpsx://a.example", false },
  { "https://a.example", "xhttps://a.example", false },
  { "https://a.example", "https://", false },
  { "https://a.example", "null", false },
  { "https://a.example", "", false },
  { "https://a.example", "https://a_example", false },
  { "https://a.example", "https://axexample", false },
  { "https://a.example", "https://%61.example", false },
  { "https://a.example", "https://a.example%00", false },
  { "https://a.example", "https://a.example\\.evil", false },
  { "https://a.example", "https://a.example&evil", false },
  { "https://a.example", "https://a.ex\xc3\xa4mple", false },
  /* given origins stand in the place of those of this machine, but not of the host itself */
  { "https://a.example", "http://localhost", false },
  { "https://a.example", "http://localhost:5173", false },
  { "https://a.example", "http://127.0.0.1", false },
  { "https://a.example", "https://app.example", true },
  { "https://a.example", "http://app.example", true },
  /* ports */
  { "https://a.example:8443", "https://a.example:8443", true },
  { "https://a.example:8443", "https://a.example", false },
  { "https://a.example:8443", "https://a.example:443", false },
  { "https://a.example:8443", "https://a.example:84430", false },
  { "https://a.example:*", "https://a.example", true },
  { "https://a.example:*", "https://a.example:1", true },
  { "https://a.example:*", "https://a.example:65535", true },
  { "https://a.example:*", "https://a.example:65536", false },
  { "https://a.example:*", "https://a.example:*", false },
  { "https://a.example:*", "http://a.example:1", false },
  { "http://localhost:*", "http://localhost:5173", true },
  { "http://localhost:*", "https://localhost:5173", false },
  { "http://localhost:*", "http://localhost.evil:5173", false },
  { "http://localhost:*", "http://127.0.0.1:5173", false },
  { "http://[::1]:*", "http://[::1]:5173", true },
  { "http://[::1]:*", "http://[::2]:5173", false },
  { "http://[::1]:*", "http://[::1]evil:5173", false },
  /* everything below a name */
  { "https://*.a.example", "https://x.a.example", true },
  { "https://*.a.example", "https://x.y.a.example", true },
  { "https://*.a.example", "https://X.A.EXAMPLE", true },
  { "https://*.a.example", "https://x-y.a.example", true },
  { "https://*.a.example", "https://a.a.example", true },
  { "https://*.a.example", "https://a.example", false },
  { "https://*.a.example", "https://.a.example", false },
  { "https://*.a.example", "https://..a.example", false },
  { "https://*.a.example", "https://xa.example", false },
  { "https://*.a.example", "https://x-a.example", false },
  { "https://*.a.example", "https://evil.example", false },
  { "https://*.a.example", "https://x.a.example.evil", false },
  { "https://*.a.example", "https://x.a.examplex", false },
  { "https://*.a.example", "https://x.a.example:444", false },
  { "https://*.a.example", "https://x.a.example:443", true },
  { "https://*.a.example", "http://x.a.example", false },
  { "https://*.a.example", "https://evil/.a.example", false },
  { "https://*.a.example", "https://evil#.a.example", false },
  { "https://*.a.example", "https://evil?.a.example", false },
  { "https://*.a.example", "https://evil@x.a.example", false },
  { "https://*.a.example", "https://evil:80.a.example", false },
  { "https://*.a.example", "https://evil\\.a.example", false },
  { "https://*.a.example", "https://x .a.example", false },
  { "https://*.a.example", "https://[::1].a.example", false },
  { "https://*.a.example", "https://*.a.example", false },
  { "https://*.a.example:8443", "https://x.a.example:8443", true },
  { "https://*.a.example:8443", "https://x.a.example", false },
  { "https://*.a.example:*", "https://x.a.example:1", true },
  { "https://*.localhost:*", "https://x.localhost:1", true },
  /* either of http and https */
  { "//a.example", "http://a.example", true },
  { "//a.example", "https://a.example", true },
  { "//a.example", "https://a.example:443", true },
  { "//a.example", "http://a.example:443", false },
  { "//a.example", "https://a.example:80", false },
  { "//a.example", "ws://a.example", false },
  { "//a.example", "capacitor://a.example", false },
  { "//*.a.example", "http://x.a.example", true },
  { "//*.a.example", "http://a.example", false },
  { "//a.example:8080", "http://a.example:8080", true },
  { "//a.example:8080", "http://a.example", false },
  /* pages of programs */
  { "capacitor://localhost", "capacitor://localhost", true },
  { "capacitor://localhost", "http://localhost", false },
  { "capacitor://localhost", "capacitor://localhost:1", false },
  { "tauri://localhost", "tauri://localhost", true },
  { "chrome-extension://abc", "chrome-extension://abc", true },
  { "chrome-extension://abc", "chrome-extension://abcd", false },
  { "chrome-extension://abc", "moz-extension://abc", false },
  /* several, and all */
  { "https://a.example, https://b.example", "https://a.example", true },
  { "https://a.example, https://b.example", "https://b.example", true },
  { "https://a.example, https://b.example", "https://c.example", false },
  { "https://a.example, http://localhost:*", "http://localhost:1", true },
  { "*", "https://whoever.example", true },
  { "*", "capacitor://localhost", true },
  { "*", "null", false },
  { "*", "", false },
  { "*", "https://a.example/x", false },
  { "*", "https://", false },
};

TEST(an_origin_is_served_where_a_rule_says_so) {
  for (size_t i = 0; i < sizeof origins / sizeof origins[0]; i++) {
    char texts[256] = "";
    lk_origin_rules rules = { .origins = texts };
    rules.origins_count = split(origins[i].rules, texts);
    const char *rule = texts;
    for (uint32_t k = 0; k < rules.origins_count; k++, rule += strlen(rule) + 1)
      CHECK(lk_origin_is_origin_rule(lk_slice_cstr(rule)));
    test_note("%s for %s", origins[i].what, origins[i].rules);
    CHECK(lk_origin_is_served(&rules, lk_slice_cstr(origins[i].what), LK_LIT(HERE)) ==
          origins[i].served);
  }
}

/* Where it stands: what the settings say, who can connect, by which scheme (empty: nobody knows) and under which name. */
typedef struct place_row {
  const char *rules;
  const char *over;
  const char *host;
  const char *what;
  bool is_reachable;
  bool served;
} place_row;

static const place_row places[] = {
  /* the host itself, by the scheme that the client used */
  { "", "https", "app.example", "https://app.example", true, true },
  { "", "https", "app.example", "HTTPS://app.example", true, true },
  { "", "https", "app.example", "https://APP.example", true, true },
  { "", "https", "app.example", "http://app.example", true, false },
  { "", "http", "app.example", "http://app.example", true, true },
  { "", "http", "app.example", "https://app.example", true, false },
  { "", "", "app.example", "http://app.example", true, true },
  { "", "", "app.example", "https://app.example", true, true },
  { "", "https", "app.example", "ws://app.example", true, false },
  { "", "https", "app.example", "wss://app.example", true, false },
  { "", "https", "app.example", "httpss://app.example", true, false },
  { "", "https", "app.example:8443", "https://app.example:8443", true, true },
  { "", "https", "app.example:8443", "http://app.example:8443", true, false },
  { "", "https", "app.example:8443", "https://app.example", true, false },
  { "", "https", "app.example", "https://app.example:8443", true, false },
  { "", "https", "app.example", "https://sub.app.example", true, false },
  { "", "https", "sub.app.example", "https://app.example", true, false },
  { "", "https", "app.example", "https://app.example.evil", true, false },
  { "", "https", "app.example", "https://xapp.example", true, false },
  { "", "https", "app.example", "https://app.example/", true, false },
  { "", "https", "app.example", "https://app.example@evil", true, false },
  { "", "https", "", "https://", true, false },
  { "", "https", "", "", true, false },
  { "", "https", "app.example", "null", true, false },
  { "", "http", "192.0.2.1:4000", "http://192.0.2.1:4000", true, true },
  { "", "http", "192.0.2.1:4000", "http://192.0.2.1", true, false },
  { "", "http", "192.0.2.1:4000", "https://192.0.2.1:4000", true, false },
  { "", "http", "[2001:db8::1]:4000", "http://[2001:db8::1]:4000", true, true },
  { "", "http", "[2001:db8::1]:4000", "http://[2001:DB8::1]:4000", true, true },
  { "", "http", "[2001:db8::1]:4000", "http://[2001:db8::2]:4000", true, false },
  { "", "https", "xn--bcher-kva.example", "https://xn--bcher-kva.example", true, true },
  { "", "https", "xn--bcher-kva.example", "https://b\xc3\xbc"
                                          "cher.example",
    true, false },
  /* pages of this machine: where it alone can connect, whatever the scheme */
  { "", "http", "localhost:4000", "http://localhost:5173", false, true },
  { "", "http", "localhost:4000", "https://localhost:5173", false, true },
  { "", "https", "localhost:4443", "http://localhost:5173", false, true },
  { "", "http", "127.0.0.1:4000", "http://[::1]:5173", false, true },
  { "", "http", "localhost:4000", "http://localhost:5173", true, false },
  { "", "https", "app.example", "http://localhost:5173", true, false },
  { "", "https", "app.example", "https://127.0.0.1", true, false },
  { "", "http", "localhost:4000", "http://localhost:4000", true, true },
  { "", "https", "localhost:4443", "http://localhost:4443", true, false },
  { "", "http", "localhost:4000", "http://evil.localhost:4000", false, false },
  { "", "http", "localhost:4000", "http://localhost.evil:4000", false, false },
  { "", "http", "localhost:4000", "http://0.0.0.0:4000", false, false },
  { "", "http", "localhost:4000", "http://127.0.0.2:4000", false, false },
  { "", "http", "localhost:4000", "http://[::ffff:127.0.0.1]:4000", false, false },
  /* a rule has a scheme of its own, and does not care for ours */
  { "http://a.example", "https", "app.example", "http://a.example", true, true },
  { "http://a.example", "https", "app.example", "https://a.example", true, false },
  { "https://a.example", "http", "app.example", "https://a.example", true, true },
  { "//a.example", "https", "app.example", "http://a.example", true, true },
  { "https://*.app.example", "https", "app.example", "https://x.app.example", true, true },
  { "https://*.app.example", "https", "app.example", "http://x.app.example", true, false },
  { "https://*.app.example", "https", "app.example", "http://app.example", true, false },
  { "https://*.app.example", "https", "app.example", "https://app.example", true, true },
  { "http://app.example", "https", "app.example", "http://app.example", true, true },
  { "*", "https", "app.example", "http://app.example", true, true },
  { "*", "https", "app.example", "null", true, false },
  { "http://localhost:*", "https", "app.example", "http://localhost:5173", true, true },
  { "http://localhost:*", "https", "app.example", "http://127.0.0.1:5173", true, false },
  { "https://a.example", "http", "localhost:4000", "http://localhost:5173", false, false },
};

TEST(an_origin_is_judged_by_where_the_server_stands) {
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    const place_row *r = &places[i];
    char texts[256] = "";
    lk_origin_rules rules = { .origins = texts, .is_reachable = r->is_reachable };
    rules.origins_count = split(r->rules, texts);
    test_note("%s at %s by \"%s\" for %s", r->what, r->host, r->over, r->rules);
    CHECK(lk_origin_is_served_over(&rules, lk_slice_cstr(r->what), lk_slice_cstr(r->host),
                                   lk_slice_cstr(r->over)) == r->served);
  }
}

/* Goal: two hundred rows are two hundred questions. */
TEST(no_row_of_the_origin_table_stands_twice) {
  enum { RULES = sizeof origins / sizeof origins[0], PLACES = sizeof places / sizeof places[0] };
  CHECK(RULES + PLACES >= 200);
  for (size_t i = 0; i < RULES; i++) {
    for (size_t k = 0; k < i; k++)
      CHECK(strcmp(origins[i].rules, origins[k].rules) != 0 ||
            strcmp(origins[i].what, origins[k].what) != 0);
  }
  for (size_t i = 0; i < PLACES; i++) {
    for (size_t k = 0; k < i; k++) {
      const place_row *a = &places[i], *b = &places[k];
      test_note("%s at %s", a->what, a->host);
      CHECK(strcmp(a->rules, b->rules) != 0 || strcmp(a->over, b->over) != 0 ||
            strcmp(a->host, b->host) != 0 || strcmp(a->what, b->what) != 0 ||
            a->is_reachable != b->is_reachable);
    }
  }
}

TEST(pages_of_this_machine_are_not_served_where_others_can_connect) {
  const lk_origin_rules rules = { .is_reachable = true };
  CHECK(!lk_origin_is_served(&rules, LK_LIT("http://localhost:5173"), LK_LIT("192.0.2.1")));
  CHECK(lk_origin_is_served(&rules, LK_LIT("http://192.0.2.1"), LK_LIT("192.0.2.1")));
  CHECK(lk_origin_is_served(&rules, LK_LIT("http://localhost:4000"), LK_LIT("localhost:4000")));
}

TEST(rules_that_nobody_can_mean_are_told) {
  static const char *const bad[] = {
    "",
    "a.example",
    "https://",
    "https://a.example/",
    "https://a.*",
    "https://*",
    "https://*a.example",
    "https://a.*.example",
    "null",
    "https://a.example:x",
    "https://a.example:",
    "https://a.example:65536",
    "https://.a.example",
    "https://a.example.",
    "https://a b",
    "1x://a",
    "://a",
  };
  static const char *const bad_hosts[] = {
    "",    "https://a.example", "a/b", "*a.example", "a.*.example", "*.", ".a", "a.", "a:x", "a b",
    "[::1"
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    test_note("%s", bad[i]);
    CHECK(!lk_origin_is_origin_rule(lk_slice_cstr(bad[i])));
  }
  for (size_t i = 0; i < sizeof bad_hosts / sizeof bad_hosts[0]; i++) {
    test_note("%s", bad_hosts[i]);
    CHECK(!lk_origin_is_host_rule(lk_slice_cstr(bad_hosts[i])));
  }
}

/* Goal: no page outside of a.example is served by a rule for what is below it. Method: names made of the pieces that
 * parsers stumble over; those that are served end in the name, behind a dot, and have nothing that ends a host. */
PROPERTY(no_origin_outside_of_a_name_passes_for_one_below_it) {
  static const char *const pieces[] = {
    "https://", ".a.example", "a.example", "evil", ".", ":", "443",     "/", "@",
    "#",        "\\",         "*",         "[",    "]", "%", "http://", "X", "?"
  };
  const lk_origin_rules rules = { .origins = "https://*.a.example", .origins_count = 1 };
  char text[200] = "";
  uint32_t count = gen_below(g, 8);
  for (uint32_t i = 0; i < count; i++)
    strcat(text,
           pieces[i == 0 && gen_bool(g) ? 0 : gen_below(g, sizeof pieces / sizeof pieces[0])]);
  test_note("%s", text);
  lk_slice origin = lk_slice_cstr(text);
  if (!lk_origin_is_served(&rules, origin, LK_LIT("a.test"))) return;
  CHECK(lk_slice_starts_with(origin, LK_LIT("https://")));
  lk_slice host = lk_slice_skip(origin, 8);
  for (size_t i = 0; i < host.len; i++) CHECK(strchr("/@#\\*[]%?", host.ptr[i]) == NULL);
  if (lk_slice_ends_with(host, LK_LIT(":443"))) host = lk_slice_first(host, host.len - 4);
  CHECK(lk_slice_ends_with(host, LK_LIT(".a.example")) && host.len > 10);
}
