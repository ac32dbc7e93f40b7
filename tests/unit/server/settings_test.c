/* Settings: each source says the same thing in its own way, the stronger one wins, and whoever made a mistake is told
 * where it is and what to do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/test.h"
#include "server/settings.h"
#include "server/times.h"

static lk_settings s;

static void load(const char *text) {
  lk_settings_init(&s, test_alloc());
  CHECK_OK(lk_settings_load(&s, "file", lk_slice_cstr(text)));
}

static void check_ok(void) {
  if (s.problems_count > 0)
    test_note("line %u: %s", (unsigned)s.problems[0].line, s.problems[0].text);
  CHECK_U64(s.problems_count, 0);
}

/* The first problem is on |line| and has |words| in it. */
static void check_problem(uint32_t line, const char *words) {
  CHECK(s.problems_count > 0);
  test_note("line %u: %s", (unsigned)s.problems[0].line, s.problems[0].text);
  CHECK_U64(s.problems[0].line, line);
  CHECK(strstr(s.problems[0].text, words) != NULL);
}

static void check_refused(const char *file, uint32_t line, const char *words) {
  load(file);
  test_note("%s", file);
  CHECK_U64(s.errors, 1);
  check_problem(line, words);
  lk_settings_deinit(&s);
}

/* Goal: the three spellings of a name follow from it, so that nobody has to look them up. */
TEST(settings_flags_and_variables_follow_from_the_names) {
  for (uint32_t i = 0; i < LK_SETTINGS_LIMITS; i++) {
    const lk_setting_row *row = lk_setting_row_of((lk_setting)i);
    char flag[LK_SETTINGS_NAME_MAX], variable[LK_SETTINGS_VARIABLE_MAX];
    size_t len = strlen(row->name);
    CHECK(len < LK_SETTINGS_NAME_MAX);
    for (size_t j = 0; j <= len; j++) flag[j] = row->name[j] == '.' ? '-' : row->name[j];
    CHECK_SLICE(lk_slice_cstr(row->flag), lk_slice_cstr(flag));
    CHECK((row->argument[0] == 0) == (row->type == LK_SETTING_FLAG));
    CHECK((row->words[0] != 0) == (row->type == LK_SETTING_CHOICE));
    for (uint32_t j = 0; j < i; j++)
      CHECK(strcmp(row->name, lk_setting_row_of((lk_setting)j)->name) != 0);
    CHECK(strncmp(lk_setting_variable(row, variable), "LANIAKEA_", 9) == 0);
  }
  char variable[LK_SETTINGS_VARIABLE_MAX];
  CHECK_TEXT(
      lk_slice_cstr(lk_setting_variable(lk_setting_row_of(LK_SETTING_token_secret_file), variable)),
      "LANIAKEA_TOKEN_SECRET_FILE");
  CHECK_TEXT(
      lk_slice_cstr(lk_setting_variable(lk_setting_row_of(LK_SETTING_limit_rooms_count), variable)),
      "LANIAKEA_LIMIT_ROOMS_COUNT");
}

TEST(settings_have_their_defaults_where_nobody_says_anything) {
  lk_limits limits = lk_limits_default();
  load("");
  CHECK_U64(lk_settings_number(&s, LK_SETTING_port), 4000);
  CHECK(strcmp(lk_settings_text(&s, LK_SETTING_listen), "127.0.0.1") == 0);
  CHECK(lk_settings_text(&s, LK_SETTING_data) == NULL);
  CHECK(!lk_settings_flag(&s, LK_SETTING_quiet));
  CHECK_U64(lk_settings_number(&s, LK_SETTING_tls_listen), LK_SETTINGS_NONE);
  lk_limits got = lk_settings_limits(&s);
  CHECK(memcmp(&got, &limits, sizeof got) == 0);
  lk_settings_finish(&s);
  check_ok();
  lk_settings_deinit(&s);
}

TEST(settings_of_a_file_are_taken_with_their_lines) {
  load("port = 4001\nquiet = true\ndata='a b'\nhosts = [\"one\", \"two\"]\n[limit]\nrooms_count = "
       "7\nws_message_bytes = \"2M\"\n"
       "http_head_bytes = 4096\n");
  check_ok();
  CHECK_U64(lk_settings_number(&s, LK_SETTING_port), 4001);
  CHECK_U64(s.values[LK_SETTING_port].line, 1);
  CHECK(lk_settings_flag(&s, LK_SETTING_quiet));
  CHECK(strcmp(lk_settings_text(&s, LK_SETTING_data), "a b") == 0);
  CHECK_U64(s.values[LK_SETTING_hosts].count, 2);
  CHECK(strcmp(s.values[LK_SETTING_hosts].text + 4, "two") == 0);
  CHECK_U64(s.values[LK_SETTING_limit_rooms_count].line, 6);
  lk_limits limits = lk_settings_limits(&s);
  CHECK_U64(limits.rooms_count, 7);
  CHECK_U64(limits.ws_message_bytes, 2 << 20);
  CHECK_U64(limits.http_head_bytes, 4096);
  lk_settings_deinit(&s);
}

/* Goal: the stronger source wins whatever the order in which they come. */
TEST(settings_a_flag_beats_the_environment_and_that_the_file) {
  static char port[] = "LANIAKEA_PORT=5000", edges[] = "LANIAKEA_EDGES=3", other[] = "HOME=/",
              empty[] = "LANIAKEA_ROOMS=", limit[] = "LANIAKEA_LIMIT_ROOMS_COUNT=9";
  static char *const environment[] = { port, other, edges, empty, limit, NULL };
  for (int order = 0; order < 2; order++) {
    char origin[LK_SETTINGS_VARIABLE_MAX];
    lk_settings_init(&s, test_alloc());
    if (order == 1) lk_settings_take_environment(&s, environment);
    lk_settings_take(&s, LK_SETTING_port, "6000", LK_SETTINGS_FLAG);
    CHECK_OK(
        lk_settings_load(&s, "file", LK_LIT("port=4001\nedges=2\nrooms=4\nlimit.rooms_count=8\n")));
    if (order == 0) lk_settings_take_environment(&s, environment);
    lk_settings_take_limit(&s, "rooms_count=10");
    check_ok();
    CHECK_U64(lk_settings_number(&s, LK_SETTING_port), 6000);
    CHECK_U64(lk_settings_number(&s, LK_SETTING_edges), 3);
    CHECK_U64(lk_settings_number(&s, LK_SETTING_rooms), 4);
    CHECK_U64(lk_settings_number(&s, LK_SETTING_limit_rooms_count), 10);
    CHECK_TEXT(lk_slice_cstr(lk_settings_origin(&s, LK_SETTING_port, origin, sizeof origin)),
               "--port");
    CHECK_TEXT(lk_slice_cstr(lk_settings_origin(&s, LK_SETTING_edges, origin, sizeof origin)),
               "LANIAKEA_EDGES");
    CHECK_TEXT(lk_slice_cstr(lk_settings_origin(&s, LK_SETTING_rooms, origin, sizeof origin)),
               "rooms");
    lk_settings_deinit(&s);
  }
}

TEST(settings_quantities_have_units) {
  static const struct {
    const char *text;
    uint64_t bytes; /* 0: refused */
    uint64_t ms;
  } cases[] = {
    { "65536", 65536, 0 },
    { "64K", 65536, 0 },
    { "1M", 1 << 20, 0 },
    { "1G", 1 << 30, 0 },
    { "064K", 65536, 0 },
    { "2000ms", 0, 2000 },
    { "10s", 0, 10000 },
    { "5m", 0, 300000 },
    { "12h", 0, 43200000 },
    { "7d", 0, 604800000 },
    { "0", 0, 0 },
    { "", 0, 0 },
    { "K", 0, 0 },
    { "-1", 0, 0 },
    { "1.5M", 0, 0 },
    { "1 M", 0, 0 },
    { "1k", 0, 0 },
    { "1MB", 0, 0 },
    { "5G", 0, 0 },
    { "99999999999999999999", 0, 0 },
    { "18014398509481984K", 0, 0 },
    { "999ms", 0, 0 },
    { "99999999999999999d", 0, 0 },
    { "213503982335d", 0, 0 },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    test_note("%s", cases[i].text);
    lk_settings_init(&s, test_alloc());
    lk_settings_take(&s, LK_SETTING_limit_ws_message_bytes, cases[i].text, LK_SETTINGS_FLAG);
    CHECK_U64(s.errors, cases[i].bytes == 0 ? 1 : 0);
    if (cases[i].bytes > 0)
      CHECK_U64(lk_settings_number(&s, LK_SETTING_limit_ws_message_bytes), cases[i].bytes);
    uint32_t before = s.errors;
    lk_settings_take(&s, LK_SETTING_token_max_age, cases[i].text, LK_SETTINGS_FLAG);
    CHECK_U64(s.errors - before, cases[i].ms == 0 ? 1 : 0);
    if (cases[i].ms > 0) CHECK_U64(lk_settings_number(&s, LK_SETTING_token_max_age), cases[i].ms);
    lk_settings_deinit(&s);
  }
}

TEST(settings_what_is_wrong_in_a_file_is_told_with_its_line) {
  check_refused("\nprot = 1\n", 2, "there is no setting prot; did you mean port?");
  check_refused("completely-unknown = 1\n", 1, "laniakea check-config lists");
  check_refused("[tsl]\ncert = 'x'\n", 1, "there is no section tsl; did you mean tls?");
  check_refused("[limit]\nroms_count = 1\n", 2, "did you mean limit.rooms_count?");
  check_refused("port = 1\n\nport = 2\n", 3, "port stands on line 1 already");
  check_refused("limit.rooms_count = 1\n[limit]\n", 2, "begun on line 1");
  check_refused("[limit]\n[tls]\n[limit]\n", 3, "begun on line 1");
  check_refused("port = 65536", 1, "port 65536 is not a number from 0 to 65535");
  check_refused("port = -1", 1, "port -1 is not a number");
  check_refused("port = true", 1, "port is true or false; it must be a number");
  check_refused("\nport = '4000'", 2,
                "port is a text in quotes; it must be a number from 0 to 65535, without quotes");
  check_refused("edges = \"2\"", 1, "it must be a number from 1 to 32, without quotes");
  check_refused("limit.rooms_count = '7'", 1, "it must be a number from 1 to");
  check_refused("quiet = 'true'", 1, "without quotes");
  check_refused("data = 5", 1, "data is a number without a unit; it must be the path");
  check_refused("hosts = 'a'", 1, "hosts is a text in quotes; it must be a list");
  check_refused("token.max-age = 5", 1, "it must be a time from 1s");
  check_refused("listen = ['a']", 1, "listen is a list");
  check_refused("limit.rooms_count = 0", 1, "is not a number from 1 to");
  check_refused("limit.ws_message_bytes = '2T'", 1, "is not a number of bytes from 1 to 1G");
  check_refused("a", 1, "the = behind the name");
}

/* Goal: what lets strangers in must be asked for by a word that says so. */
TEST(settings_let_nobody_in_by_a_slip) {
  static const struct {
    const char *file;
    uint32_t line; /* 0: it is fine */
    const char *words;
  } rows[] = {
    { "hosts = ['*']", 1, "hosts: * lets every page of the web in" },
    { "port = 1\nhosts = ['a.example', '*']", 2, "name the names of this server, such as app.example" },
    { "origins = ['*']", 1, "name the pages, such as https://app.example" },
    { "hosts = ['*']\nopen = true", 0, "" },
    { "origins = ['*']\nopen = true", 0, "" },
    { "hosts = ['*.example']", 0, "" },
    { "trusted-proxies = ['10.0.0.1']", 1, "others can reach the server through a proxy" },
    { "trusted-proxies = ['10.0.0.1']\nopen = true", 0, "" },
    { "trusted-proxies = []", 0, "" },
    { "trusted-proxies = ['10.0.0.1/8']\nopen = true", 1, "10.0.0.1/8 is not an address" },
    { "trusted-proxies = ['0.0.0.0/0']\nopen = true", 1, "is not an address, or a network" },
    { "trusted-proxies = ['proxy']\nopen = true", 1, "proxy is not an address" },
    { "y.off = ['doc:*', 'doc:a']", 0, "" },
    { "y.off = ['d*c']", 1, "y.off: d*c is not a topic" },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    load(rows[i].file);
    test_note("%s", rows[i].file);
    lk_settings_finish(&s);
    CHECK_U64(s.errors, rows[i].line > 0 ? 1 : 0);
    if (rows[i].line > 0) check_problem(rows[i].line, rows[i].words);
    lk_settings_deinit(&s);
  }
}

/* Goal: what one process takes and could never pass to another is seen before the server starts. */
TEST(settings_sizes_that_do_not_go_together_are_refused) {
  static const struct {
    const char *file;
    uint32_t errors;
    const char *words;
  } rows[] = {
    { "limit.ws_message_bytes = '16M'", 0, "" },
    { "limit.ws_message_bytes = '16M'\nlimit.bus_frame_bytes = '16M'", 1,
      "limit.ws_message_bytes 16M does not go with limit.bus_frame_bytes 16M: set "
      "limit.bus_frame_bytes to 16512K or more, or limit.ws_message_bytes lower" },
    { "limit.ws_message_bytes = '64M'", 2,
      "limit.ws_message_bytes 64M does not go with limit.bus_frame_bytes 17M: set "
      "limit.bus_frame_bytes to 65664K or more" },
    { "limit.ws_message_bytes = '64M'\nlimit.bus_frame_bytes = '65664K'", 1,
      "limit.bus_frame_bytes 65664K does not go with limit.bus_output_bytes 64M: set "
      "limit.bus_output_bytes to 131328K or more" },
    { "limit.ws_message_bytes = '64M'\nlimit.bus_frame_bytes = '65664K'\n"
      "limit.bus_output_bytes = '131328K'",
      0, "" },
    { "limit.api_body_bytes = '20M'", 1, "limit.api_body_bytes 20M does not go with" },
    { "limit.longpoll_body_bytes = 20971521", 1,
      "limit.longpoll_body_bytes 20971521 does not go with" },
    { "limit.longpoll_output_bytes = '20M'", 1, "set limit.bus_frame_bytes to 20608K or more" },
    { "limit.awareness_bytes = '20M'", 1, "limit.awareness_bytes 20M does not go with" },
    { "limit.bus_frame_bytes = '8M'", 2, "limit.bus_frame_bytes 8M: set limit.bus_frame_bytes to" },
    { "limit.bus_output_bytes = '20M'", 1,
      "limit.bus_frame_bytes 17M does not go with limit.bus_output_bytes 20M" },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    load(rows[i].file);
    test_note("%s", rows[i].file);
    lk_settings_finish(&s);
    CHECK_U64(s.errors, rows[i].errors);
    if (rows[i].errors > 0)
      CHECK(lk_slice_find(lk_slice_cstr(s.problems[0].text), lk_slice_cstr(rows[i].words)) !=
            LK_SLICE_NONE);
    lk_settings_deinit(&s);
  }
}

TEST(settings_lists_of_topics_and_networks_are_read_in_order) {
  static lk_settings_rules rules;
  lk_network network;
  load("open = true\ny.off = ['doc:a', 'doc:b*']\ntrusted-proxies = ['10.0.0.0/8', '::1']\n");
  lk_settings_finish(&s);
  check_ok();
  CHECK_U64(lk_settings_y_off(&s, &rules), 2);
  CHECK_TEXT(rules.y_off[1], "doc:b*");
  lk_proxies proxies = lk_settings_proxies(&s, &rules);
  CHECK_U64(proxies.count, 2);
  CHECK(lk_network_read(LK_LIT("10.0.0.0/8"), &network));
  CHECK(memcmp(&proxies.items[0], &network, sizeof network) == 0);
  CHECK(lk_network_read(LK_LIT("::1/128"), &network));
  CHECK(memcmp(&proxies.items[1], &network, sizeof network) == 0);
  lk_settings_deinit(&s);
}

TEST(settings_all_problems_of_a_file_are_told_up_to_a_number) {
  char text[1024] = "";
  for (int i = 0; i < 30; i++) strcat(text, "x = 1\n");
  load(text);
  CHECK_U64(s.errors, 30);
  CHECK_U64(s.problems_count, LK_SETTINGS_PROBLEMS_MAX);
  lk_settings_deinit(&s);
  load("port = 1\nedges = 99\nrooms = 3\n");
  CHECK_U64(s.errors, 1);
  CHECK_U64(lk_settings_number(&s, LK_SETTING_edges), 1); /* as it was */
  CHECK_U64(lk_settings_number(&s, LK_SETTING_rooms), 3);
  lk_settings_deinit(&s);
}

TEST(settings_unknown_variables_are_warned_of_and_wrong_ones_are_errors) {
  static char unknown[] = "LANIAKEA_SERVICE_HOST=10.0.0.1", config[] = "LANIAKEA_CONFIG=x",
              wrong[] = "LANIAKEA_PORT=tcp://10.0.0.1:4000",
              list[] = "LANIAKEA_HOSTS=a.example, b.example,";
  static char *const environment[] = { unknown, config, wrong, list, NULL };
  lk_settings_init(&s, test_alloc());
  lk_settings_take_environment(&s, environment);
  CHECK_U64(s.errors, 1);
  CHECK_U64(s.problems_count, 2);
  CHECK(s.problems[0].is_warning && strstr(s.problems[0].text, "LANIAKEA_SERVICE_HOST") != NULL);
  CHECK(strstr(s.problems[0].text, "10.0.0.1") == NULL); /* what is in it is nobody's business */
  CHECK(strstr(s.problems[1].text, "LANIAKEA_PORT tcp://10.0.0.1:4000 is not a number") != NULL);
  CHECK_U64(s.values[LK_SETTING_hosts].count, 2);
  CHECK(strcmp(s.values[LK_SETTING_hosts].text + 10, "b.example") == 0);
  lk_settings_deinit(&s);
}

TEST(settings_unknown_limits_of_a_flag_are_refused) {
  lk_settings_init(&s, test_alloc());
  lk_settings_take_limit(&s, "rooms_cont=1");
  check_problem(0, "there is no limit rooms_cont; did you mean rooms_count?");
  lk_settings_take_limit(&s, "rooms_count");
  lk_settings_take_limit(&s, "=1");
  lk_settings_take_limit(&s, "rooms_count=x");
  CHECK_U64(s.errors, 4);
  CHECK(strstr(s.problems[3].text, "--limit rooms_count x is not") != NULL);
  lk_settings_deinit(&s);
}

/* ---- files that are named ---- */

static char folder[64];

static const char *write_file(const char *name, const char *text, mode_t mode) {
  static char path[128];
  (void)snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "w");
  CHECK(file != NULL);
  (void)fputs(text, file);
  (void)fclose(file);
  CHECK(chmod(path, mode) == 0);
  return path;
}

static void make_folder(void) {
  strcpy(folder, "/tmp/laniakea-settings-XXXXXX");
  CHECK(mkdtemp(folder) != NULL);
}

static void finish_with(lk_setting setting, const char *text) {
  lk_settings_init(&s, test_alloc());
  lk_settings_take(&s, setting, text, LK_SETTINGS_FLAG);
  lk_settings_finish(&s);
}

TEST(settings_secrets_must_be_files_that_others_cannot_read) {
  make_folder();
  static const struct {
    const char *text;
    mode_t mode;
    const char *problem;
  } cases[] = {
    { "sesame", 0604, "may read" },
    { "sesame", 0602, "may change" },
    { "", 0600, "is empty" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *path = write_file("secret", cases[i].text, cases[i].mode);
    finish_with(LK_SETTING_token_secret_file, path);
    check_problem(0, cases[i].problem);
    for (uint32_t j = 0; j < s.problems_count; j++)
      CHECK(strstr(s.problems[j].text, "sesame") == NULL);
    lk_settings_deinit(&s);
    CHECK(unlink(path) == 0);
  }
  finish_with(LK_SETTING_token_secret_file, folder);
  check_problem(0, "is not a file");
  lk_settings_deinit(&s);
  CHECK(rmdir(folder) == 0);
  finish_with(LK_SETTING_token_secret_file, folder);
  check_problem(0, "No such file");
  lk_settings_deinit(&s);
}

static void take(lk_setting setting, const char *text) {
  lk_settings_take(&s, setting, text, LK_SETTINGS_FLAG);
}

/* Goal: of several files each is looked at, and what nobody may write need not be hidden. */
TEST(settings_of_several_files_each_must_be_good) {
  char both[2 * sizeof folder + 64];
  make_folder();
  char one[sizeof folder + 16];
  (void)snprintf(one, sizeof one, "%s", write_file("one", "sesame", 0600));
  const char *other = write_file("other", "sesame", 0644);
  (void)snprintf(both, sizeof both, "%s, %s", one, other);
  finish_with(LK_SETTING_token_secret_file, both);
  CHECK_U64(s.errors, 1);
  check_problem(0, "may read");
  lk_settings_deinit(&s);
  finish_with(LK_SETTING_token_jwt_public_key_file, both);
  check_ok();
  CHECK_U64(s.values[LK_SETTING_token_jwt_public_key_file].count, 2);
  lk_settings_deinit(&s);
  CHECK(chmod(other, 0666) == 0);
  finish_with(LK_SETTING_token_jwt_public_key_file, both);
  check_problem(0, "may change");
  lk_settings_deinit(&s);
  CHECK(unlink(one) == 0 && unlink(other) == 0 && rmdir(folder) == 0);
}

TEST(settings_that_are_lists_of_files_may_be_one_text_in_a_file) {
  load("[token]\nsecret-file = \"a\"\njwt-secret-file = [\"b\", \"c\"]\n");
  check_ok();
  CHECK_U64(s.values[LK_SETTING_token_secret_file].count, 1);
  CHECK(strcmp(s.values[LK_SETTING_token_secret_file].text, "a") == 0);
  CHECK_U64(s.values[LK_SETTING_token_jwt_secret_file].count, 2);
  CHECK(strcmp(s.values[LK_SETTING_token_jwt_secret_file].text + 2, "c") == 0);
  lk_settings_deinit(&s);
}

TEST(settings_of_hosts_and_origins_that_cannot_be_meant_are_told) {
  static const char *const hosts[] = { "https://a.example", "a.*.example", "*a.example", "a/b",
                                       ".a" };
  static const char *const origins[] = { "a.example", "https://",           "https://a.example/",
                                         "null",      "https://*a.example", "https://a.example:x" };
  for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
    finish_with(LK_SETTING_hosts, hosts[i]);
    check_problem(0, "is not the name of a host");
    lk_settings_deinit(&s);
  }
  for (size_t i = 0; i < sizeof origins / sizeof origins[0]; i++) {
    finish_with(LK_SETTING_origins, origins[i]);
    check_problem(0, "is not the origin of pages");
    lk_settings_deinit(&s);
  }
}

TEST(settings_an_address_that_others_can_reach_needs_keys_or_to_be_open) {
  char path[sizeof folder + 16];
  make_folder();
  (void)snprintf(path, sizeof path, "%s", write_file("secret", "sesame", 0600));
  for (int keys = 0; keys < 2; keys++) {
    for (int open = 0; open < 2; open++) {
      lk_settings_init(&s, test_alloc());
      take(LK_SETTING_listen, "0.0.0.0");
      if (keys == 1) take(LK_SETTING_token_secret_file, path);
      if (open == 1) take(LK_SETTING_open, "true");
      lk_settings_finish(&s);
      CHECK_U64(s.errors, keys == open ? 1 : 0);
      if (keys == open) check_problem(0, keys == 0 ? "token.secret-file" : "leave one of them out");
      lk_settings_deinit(&s);
    }
  }
  CHECK(unlink(path) == 0 && rmdir(folder) == 0);
}

TEST(settings_addresses_that_others_can_reach_are_refused) {
  static const char *const refused[] = {
    "0.0.0.0", "::", "192.0.2.1", "example.org", "127.0.0.1.evil.example", "127.1"
  };
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    finish_with(LK_SETTING_listen, refused[i]);
    CHECK_U64(s.errors, 1);
    lk_settings_deinit(&s);
  }
  finish_with(LK_SETTING_listen, "::1");
  check_ok();
  lk_settings_deinit(&s);
}

TEST(settings_a_key_needs_its_certificate) {
  finish_with(LK_SETTING_tls_key, "/dev/null");
  bool told = false;
  for (uint32_t i = 0; i < s.problems_count; i++)
    told |= strstr(s.problems[i].text, "tls.key needs tls.cert") != NULL;
  CHECK(told);
  lk_settings_deinit(&s);
}

TEST(settings_every_failing_allocation_is_told) {
  FAULT_LOOP(faults, test_alloc()) {
    static const char text[] = "port = 4001\nhosts = [\"a\"]\nx = 1\ndata = \"b\"\n";
    lk_settings_init(&s, faulty_alloc(&faults));
    lk_err err = lk_settings_load(&s, "file", lk_slice_of(text, sizeof text - 1));
    CHECK((err == LK_ERR_NOMEM) == faults.hit);
    if (err == LK_OK) CHECK_U64(s.errors, 1);
    lk_settings_deinit(&s);
  }
}

TEST(settings_of_times_are_by_default_what_the_server_takes_without_them) {
  static const lk_times times = LK_TIMES_INIT;
  lk_settings_init(&s, test_alloc());
  CHECK_U64(lk_settings_number(&s, LK_SETTING_tls_handshake_timeout), times.tls_handshake);
  CHECK_U64(lk_settings_number(&s, LK_SETTING_http_request_timeout), times.http_request);
  CHECK_U64(lk_settings_number(&s, LK_SETTING_http_idle_timeout), times.http_idle);
  CHECK_U64(lk_settings_number(&s, LK_SETTING_http_write_timeout), times.http_write);
  CHECK_U64(lk_settings_number(&s, LK_SETTING_socket_idle_timeout), times.socket_idle);
  CHECK_U64(lk_settings_number(&s, LK_SETTING_longpoll_window), times.longpoll_window);
  CHECK_U64(lk_settings_number(&s, LK_SETTING_drain), times.drain);
  CHECK_U64(lk_settings_number(&s, LK_SETTING_stop_timeout), times.stop);
  lk_settings_deinit(&s);
}

TEST(settings_aliases_are_those_of_providers_unless_somebody_says_otherwise) {
  static const struct {
    const char *file;
    uint32_t count;
    const char *complaint;
  } rows[] = {
    { "", 2, NULL }, /* our own is among them */
    { "aliases = []\n", 1, NULL },
    { "aliases = [\"a=doc:a\", \"b:*=doc:*\"]\n", 3, NULL },
    { "aliases = [\"a=doc:a\", \"b\"]\n", 2, "b is not NAME=TOPIC" },
    { "aliases = [\"a=b\", \"b=c\"]\n", 3, "is the name of another" },
    { "aliases = [\"a=counter:b\"]\n", 2, "is the name of another" },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    lk_alias items[LK_ALIASES_MAX];
    load(rows[i].file);
    lk_settings_finish(&s);
    CHECK_U64(lk_settings_aliases(&s, items).count, rows[i].count);
    if (rows[i].complaint == NULL) check_ok();
    else check_problem(1, rows[i].complaint);
    lk_settings_deinit(&s);
  }
}

TEST(settings_take_as_many_aliases_as_there_is_room_for) {
  char file[1024] = "aliases = [";
  for (int over = 0; over < 2; over++) {
    lk_alias items[LK_ALIASES_MAX];
    char *at = file + strlen("aliases = [");
    for (int i = 0; i < LK_ALIASES_MAX - LK_ALIASES_OWN + over; i++)
      at += sprintf(at, "\"a%d=t\",", i);
    (void)strcpy(at, "]\n");
    load(file);
    lk_settings_finish(&s);
    CHECK_U64(s.errors, (uint64_t)over);
    CHECK_U64(lk_settings_aliases(&s, items).count, LK_ALIASES_MAX);
    lk_settings_deinit(&s);
  }
}
