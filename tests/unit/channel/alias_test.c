#include "channel/alias.h"

#include "harness/test.h"

TEST(an_alias_stands_for_one_name_or_for_all_that_begin_so) {
  static const char *const texts[] = { "a=doc:a", "y_doc_room:*=doc:*", "y_*=relay:*" };
  static const char *const rows[][2] = {
    { "a", "doc:a" },
    { "ab", "ab" },
    { "y_doc_room:x", "doc:x" },
    { "y_doc_room:", "doc:" },
    { "y_doc_room", "relay:doc_room" },
    { "y", "y" },
    { "doc:a", "doc:a" },
    { "y_doc_room:y_doc_room:a", "doc:y_doc_room:a" },
    { "", "" },
  };
  lk_alias items[3];
  uint8_t bytes[LK_ALIAS_TOPIC_MAX];
  for (size_t i = 0; i < 3; i++) CHECK_OK(lk_alias_read(lk_slice_cstr(texts[i]), &items[i]));
  const lk_aliases aliases = { items, 3 };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    CHECK_SLICE(lk_aliases_resolve(&aliases, lk_slice_cstr(rows[i][0]), bytes),
                lk_slice_cstr(rows[i][1]));
}

TEST(the_longest_name_by_the_longest_alias_has_room) {
  uint8_t text[2 * LK_ALIAS_NAME_MAX + 3], bytes[LK_ALIAS_TOPIC_MAX];
  lk_alias alias;
  memset(text, 'a', sizeof text);
  text[1] = text[sizeof text - 1] = '*';
  text[2] = '=';
  lk_slice whole = lk_slice_of(text, 3 + LK_ALIAS_NAME_MAX);
  text[whole.len] = '*';
  whole.len++;
  CHECK_OK(lk_alias_read(whole, &alias));
  const lk_aliases aliases = { &alias, 1 };
  lk_slice name = lk_slice_of(text + 3, LK_ALIAS_NAME_MAX);
  CHECK_U64(lk_aliases_resolve(&aliases, name, bytes).len, 2 * LK_ALIAS_NAME_MAX - 1);
  text[whole.len - 1] = 'a';
  text[whole.len++] = '*';
  CHECK_ERR(lk_alias_read(whole, &alias), LK_ERR_TOO_BIG);
}

TEST(no_alias_leads_to_another) {
  static const struct {
    const char *a, *b;
    bool are_apart;
  } rows[] = {
    { "a=b", "c=d", true },        { "a=b", "b=c", false },         { "a=a", "c=d", false },
    { "a=b", "c=b", true },        { "a:*=b:*", "c=b:1", true },    { "a:*=b:*", "b:1=c", false },
    { "a=b:1", "b:*=c:*", false }, { "a:*=b:*", "b:1*=c*", false }, { "a*=b:1*", "b:*=c:*", false },
    { "a*=ab*", "c=d", false },    { "ab*=a*", "c=d", false },      { "a=ab", "c=d", true },
    { "ab=a", "c=d", true },
  };
  lk_alias items[2];
  const lk_aliases aliases = { items, 2 };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    CHECK_OK(lk_alias_read(lk_slice_cstr(rows[i].a), &items[0]));
    CHECK_OK(lk_alias_read(lk_slice_cstr(rows[i].b), &items[1]));
    CHECK(lk_aliases_are_apart(&aliases) == rows[i].are_apart);
    const lk_alias first = items[0];
    items[0] = items[1];
    items[1] = first;
    CHECK(lk_aliases_are_apart(&aliases) == rows[i].are_apart);
  }
}

TEST(what_is_no_alias_is_refused) {
  static const char *const rows[] = { "",     "a",    "=",      "a=",    "=a",    "a*=b",  "a=b*",
                                      "*=b*", "a*=*", "a**=b*", "a*b=c", "a=b*c", "a*=b**" };
  lk_alias alias;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    CHECK_ERR(lk_alias_read(lk_slice_cstr(rows[i]), &alias), LK_ERR_SYNTAX);
  CHECK_ERR(lk_alias_read(LK_LIT("a=\xff"), &alias), LK_ERR_UTF8);
}
