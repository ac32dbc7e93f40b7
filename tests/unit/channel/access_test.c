/* Grants: what claims give on which topics, and what is refused since nobody can say what it gives. */
#include "channel/access.h"

#include <stdio.h>
#include <string.h>

#include "harness/faulty.h"
#include "harness/test.h"

static lk_err parse_as(const char *claims, lk_rights rights, lk_grant **out) {
  lk_limits limits = lk_limits_default();
  const lk_grant_options options = { .expires_ms = 5000, .default_rights = rights };
  test_note("%.200s", claims);
  return lk_grant_parse(lk_slice_cstr(claims), &options, &limits, test_alloc(), out);
}

static lk_grant *grant_of(const char *claims) {
  lk_grant *grant = NULL;
  CHECK_OK(parse_as(claims, LK_RIGHTS_WRITE, &grant));
  return grant;
}

static void check_rights(const char *claims, const char *topic, lk_rights rights) {
  lk_grant *grant = grant_of(claims);
  test_note("on %s", topic);
  CHECK_U64(lk_grant_rights(grant, lk_slice_cstr(topic)), rights);
  lk_grant_free(grant, test_alloc());
}

TEST(grant_a_pattern_is_a_whole_name_or_the_beginning_of_one) {
  static const struct {
    const char *pattern;
    const char *topic;
    bool fits;
  } rows[] = {
    { "doc:a", "doc:a", true },
    { "doc:a", "doc:ab", false },
    { "doc:a", "doc:", false },
    { "doc:a", "", false },
    { "doc:a", "Doc:a", false },
    { "doc:*", "doc:", true },
    { "doc:*", "doc:a", true },
    { "doc:*", "doc:a:b/c", true },
    { "doc:*", "doc", false },
    { "doc:*", "docs:a", false },
    { "doc:*", "xdoc:a", false },
    { "*", "", true },
    { "*", "anything", true },
    { "doc:team-7-*", "doc:team-7-x", true },
    { "doc:team-7-*", "doc:team-70-x", false },
    { "doc:team-7-*", "doc:team-7", false },
    { "\\u00e4:*", "\xc3\xa4:b", true },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char claims[200];
    (void)snprintf(claims, sizeof claims, "{\"topics\":{\"%s\":\"read\"}}", rows[i].pattern);
    check_rights(claims, rows[i].topic, rows[i].fits ? LK_RIGHTS_READ : LK_RIGHTS_NONE);
  }
}

TEST(grant_of_patterns_that_match_the_most_counts_in_any_order) {
  static const char *const orders[] = {
    "{\"topics\":{\"*\":\"read\",\"doc:*\":\"write\",\"doc:a\":\"admin\"}}",
    "{\"topics\":{\"doc:a\":\"admin\",\"doc:*\":\"write\",\"*\":\"read\"}}",
  };
  for (int i = 0; i < 2; i++) {
    check_rights(orders[i], "doc:a", LK_RIGHTS_ADMIN);
    check_rights(orders[i], "doc:b", LK_RIGHTS_WRITE);
    check_rights(orders[i], "crdt:a", LK_RIGHTS_READ);
  }
  check_rights("{\"topics\":{\"a\":\"admin\",\"a\":\"read\"}}", "a", LK_RIGHTS_ADMIN);
}

TEST(grant_without_topics_gives_what_the_options_say_and_with_none_of_them_nothing) {
  check_rights("{}", "doc:a", LK_RIGHTS_WRITE);
  check_rights("42", "doc:a", LK_RIGHTS_WRITE);
  check_rights("{\"topics\":{}}", "doc:a", LK_RIGHTS_NONE);
  lk_grant *grant;
  CHECK_OK(parse_as("{}", LK_RIGHTS_NONE, &grant));
  CHECK_U64(lk_grant_rights(grant, LK_LIT("doc:a")), LK_RIGHTS_NONE);
  CHECK_U64(grant->rules_count, 0);
  lk_grant_free(grant, test_alloc());
}

TEST(grant_names_its_subject_and_its_token) {
  static const struct {
    const char *claims;
    const char *subject;
    const char *id;
  } rows[] = {
    { "{\"sub\":\"ann\",\"jti\":\"7\"}", "ann", "7" },
    { "{\"sub\":\"\\u00e4\",\"user_id\":5}", "\xc3\xa4", "" },
    { "{\"user_id\":42,\"jti\":7}", "42", "7" },
    { "{\"user_id\":\"u\"}", "u", "" },
    { "{\"sub\":null,\"user_id\":\"u\",\"jti\":null}", "u", "" },
    { "{}", "", "" },
    { "42", "42", "" },
    { "-7", "-7", "" },
    { " \"user-42\" ", "user-42", "" },
    { "{\"a\":{\"sub\":\"x\"},\"sub\":\"y\"}", "y", "" },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    lk_grant *grant = grant_of(rows[i].claims);
    CHECK_SLICE(lk_grant_subject(grant), lk_slice_cstr(rows[i].subject));
    CHECK_SLICE(lk_grant_id(grant), lk_slice_cstr(rows[i].id));
    CHECK_U64(grant->expires_ms, 5000);
    lk_grant_free(grant, test_alloc());
  }
}

/* Goal: what a key of ours signed and we do not understand gives nothing, rather than something else than was meant. */
TEST(grant_claims_of_another_form_are_refused) {
  static const char *const rows[] = {
    "",
    "null",
    "true",
    "[]",
    "[1]",
    "{",
    "{}x",
    "{} {}",
    "42 43",
    "\"\xff\"",
    "{\"sub\":[]}",
    "{\"sub\":{}}",
    "{\"sub\":true}",
    "{\"user_id\":[1]}",
    "{\"jti\":{}}",
    "{\"topics\":null}",
    "{\"topics\":[]}",
    "{\"topics\":\"*\"}",
    "{\"topics\":[\"doc:*\"]}",
    "{\"topics\":{\"a\":\"own\"}}",
    "{\"topics\":{\"a\":\"Read\"}}",
    "{\"topics\":{\"a\":\"\"}}",
    "{\"topics\":{\"a\":\"none\"}}",
    "{\"topics\":{\"a\":1}}",
    "{\"topics\":{\"a\":true}}",
    "{\"topics\":{\"a\":{}}}",
    "{\"topics\":{\"a\":[\"read\"]}}",
    "{\"topics\":{\"\":\"read\"}}",
    "{\"topics\":{\"*a\":\"read\"}}",
    "{\"topics\":{\"a*b\":\"read\"}}",
    "{\"topics\":{\"a**\":\"read\"}}",
    "{\"topics\":{\"a*\":\"read\"},\"sub\":1,}",
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    lk_grant *grant = NULL;
    CHECK_ERR(parse_as(rows[i], LK_RIGHTS_ADMIN, &grant), LK_ERR_TOKEN_CLAIMS);
    CHECK(grant == NULL);
  }
}

/* {"sub":"aaa"} with |len| of them, and so on. */
static lk_err parse_long(const char *format, size_t len) {
  static char name[400], claims[500];
  lk_grant *grant = NULL;
  memset(name, 'a', len);
  name[len] = 0;
  (void)snprintf(claims, sizeof claims, format, name);
  lk_err err = parse_as(claims, LK_RIGHTS_READ, &grant);
  if (err == LK_OK)
    CHECK_U64(grant->size, sizeof *grant + grant->subject_len + grant->id_len +
                               (grant->rules_count == 0 ? 0 : 3));
  lk_grant_free(grant, test_alloc());
  return err;
}

TEST(grant_names_have_a_greatest_length) {
  static const char *const formats[] = { "{\"sub\":\"%s\",\"topics\":{}}",
                                         "{\"user_id\":\"%s\",\"topics\":{}}",
                                         "{\"jti\":\"%s\",\"topics\":{}}" };
  for (size_t i = 0; i < 3; i++) {
    CHECK_OK(parse_long(formats[i], LK_GRANT_NAME_MAX));
    CHECK_ERR(parse_long(formats[i], LK_GRANT_NAME_MAX + 1), LK_ERR_TOO_BIG);
  }
  CHECK_ERR(parse_long("{\"topics\":{\"%s\":\"read\"}}", LK_GRANT_NAME_MAX + 1), LK_ERR_TOO_BIG);
  CHECK_ERR(parse_long("{\"topics\":{\"%s*\":\"read\"}}", LK_GRANT_NAME_MAX + 1), LK_ERR_TOO_BIG);
}

TEST(grant_patterns_have_a_greatest_number) {
  for (uint32_t over = 0; over < 2; over++) {
    lk_buf claims;
    lk_grant *grant = NULL;
    lk_buf_init(&claims, test_alloc(), 65536);
    (void)lk_buf_append(&claims, LK_LIT("{\"topics\":{"));
    for (uint32_t i = 0; i < LK_GRANT_RULES_MAX + over; i++) {
      char text[40];
      (void)snprintf(text, sizeof text, "%s\"t%u\":\"admin\"", i > 0 ? "," : "", (unsigned)i);
      (void)lk_buf_append(&claims, lk_slice_cstr(text));
    }
    CHECK_OK(lk_buf_append(&claims, LK_LIT("}}")));
    lk_limits limits = lk_limits_default();
    const lk_grant_options options = { .expires_ms = LK_GRANT_FOREVER };
    CHECK_ERR(lk_grant_parse(lk_buf_slice(&claims), &options, &limits, test_alloc(), &grant),
              over == 0 ? LK_OK : LK_ERR_TOO_BIG);
    if (over == 0) {
      CHECK_U64(lk_grant_rights(grant, LK_LIT("t255")), LK_RIGHTS_ADMIN);
      CHECK_U64(lk_grant_rights(grant, LK_LIT("t256")), LK_RIGHTS_NONE);
    }
    lk_grant_free(grant, test_alloc());
    lk_buf_deinit(&claims);
  }
}

TEST(grant_every_failing_allocation_is_told_and_leaves_nothing) {
  lk_limits limits = lk_limits_default();
  const lk_grant_options options = { .expires_ms = 1, .default_rights = LK_RIGHTS_READ };
  FAULT_LOOP(faults, test_alloc()) {
    lk_grant *grant = NULL;
    const lk_alloc *alloc = faulty_alloc(&faults);
    lk_err err = lk_grant_parse(LK_LIT("{\"sub\":\"\\u0061nn\",\"jti\":\"\\u0037\",\"topics\":{"
                                       "\"\\u0064oc:*\":\"\\u0072ead\"}}"),
                                &options, &limits, alloc, &grant);
    CHECK(err == (faults.hit ? LK_ERR_NOMEM : LK_OK));
    if (err == LK_OK) CHECK_TEXT(lk_grant_subject(grant), "ann");
    lk_grant_free(grant, alloc);
  }
}
