#include "room/policy.h"

#include "harness/test.h"

TEST(a_pattern_is_a_name_or_the_beginning_of_names) {
  static const struct {
    const char *pattern, *topic;
    bool matches;
  } rows[] = {
    { "doc:a", "doc:a", true },  { "doc:a", "doc:ab", false }, { "doc:a*", "doc:ab", true },
    { "doc:a*", "doc:a", true }, { "doc:a*", "doc:b", false }, { "*", "doc:a", true },
    { "*", "", true },           { "", "doc:a", false }
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    CHECK(lk_topic_matches(lk_slice_cstr(rows[i].pattern), lk_slice_cstr(rows[i].topic)) ==
          rows[i].matches);
}

TEST(the_first_rule_that_fits_says_how_long_a_topic_is_kept_open) {
  lk_idle_rule rules[2];
  CHECK_OK(lk_idle_rule_read(LK_LIT("doc:live-*=5m"), &rules[0]));
  CHECK_OK(lk_idle_rule_read(LK_LIT("doc:*=2h"), &rules[1]));
  const lk_room_policy policy = { .idle = rules, .idle_count = 2, .idle_ms = 7 };
  CHECK_U64(lk_room_policy_idle_ms(&policy, LK_LIT("doc:live-1")), 300000);
  CHECK_U64(lk_room_policy_idle_ms(&policy, LK_LIT("doc:other")), 7200000);
  CHECK_U64(lk_room_policy_idle_ms(&policy, LK_LIT("crdt:a")), 7);
  CHECK(!lk_room_policy_is_ephemeral(&policy, LK_LIT("doc:a")));
}

TEST(a_rule_that_says_no_time_is_refused) {
  static const char *const wrong[] = { "",      "doc:a",   "doc:a=",  "=5m",        "doc:a=m",
                                       "doc=5", "doc=5 m", "doc=-5m", "doc=5weeks", "doc=1.5h" };
  lk_idle_rule rule;
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    CHECK_ERR(lk_idle_rule_read(lk_slice_cstr(wrong[i]), &rule), LK_ERR_SYNTAX);
  CHECK_ERR(lk_idle_rule_read(LK_LIT("a=366d"), &rule), LK_ERR_RANGE);
  CHECK_ERR(lk_idle_rule_read(LK_LIT("a=99999999999999999999ms"), &rule), LK_ERR_RANGE);
}

TEST(the_first_rule_that_fits_says_whether_a_document_keeps_versions) {
  lk_version_rule rules[3];
  CHECK_OK(lk_version_rule_read(LK_LIT("doc:draft-*=saved"), &rules[0]));
  CHECK_OK(lk_version_rule_read(LK_LIT("doc:a=b*=10m/7"), &rules[1]));
  CHECK_OK(lk_version_rule_read(LK_LIT("doc:*=1h"), &rules[2]));
  const lk_room_policy policy = { .versions = rules, .versions_count = 3 };
  lk_version_policy found = lk_room_policy_versions(&policy, LK_LIT("doc:draft-1"));
  CHECK(found.is_on && found.interval_ms == 0 && found.automatic_max == 100);
  found = lk_room_policy_versions(&policy, LK_LIT("doc:a=bc"));
  CHECK(found.is_on && found.interval_ms == 600000 && found.automatic_max == 7);
  found = lk_room_policy_versions(&policy, LK_LIT("doc:x"));
  CHECK(found.is_on && found.interval_ms == 3600000 && found.automatic_max == 100);
  CHECK(!lk_room_policy_versions(&policy, LK_LIT("crdt:x")).is_on);
}

TEST(a_rule_for_versions_that_says_nothing_is_refused) {
  static const char *const wrong[] = { "",         "doc:a",       "doc:a=",       "=1h",
                                       "doc:a=1x", "doc:a=save",  "doc:a=1h/",    "doc:a=1h/x",
                                       "doc:a=/5", "doc:a=1h/-1", "doc:a=saved/5" };
  lk_version_rule rule;
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    test_note("%s", wrong[i]);
    CHECK_ERR(lk_version_rule_read(lk_slice_cstr(wrong[i]), &rule), LK_ERR_SYNTAX);
  }
  CHECK_ERR(lk_version_rule_read(LK_LIT("a=0h"), &rule), LK_ERR_RANGE);
  CHECK_ERR(lk_version_rule_read(LK_LIT("a=1h/0"), &rule), LK_ERR_RANGE);
  CHECK_ERR(lk_version_rule_read(LK_LIT("a=1h/4294967296"), &rule), LK_ERR_RANGE);
  CHECK_ERR(lk_version_rule_read(LK_LIT("a=366d"), &rule), LK_ERR_RANGE);
}
