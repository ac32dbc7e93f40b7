/* The table of embedded files: what is found, and when a client need not fetch
 * it again. */
#include "harness/test.h"
#include "server/assets.h"

static const uint8_t bytes[] = "0123456789";

#define ASSET(name, from, to)                                                  \
  {                                                                            \
    .path = LK_LIT_INIT(name), .type = LK_LIT_INIT("text/plain"),              \
    .etag = LK_LIT_INIT("\"tag\""), .begin = bytes + (from),                   \
    .end = bytes + (to)                                                        \
  }

static const lk_asset items[] = {
    ASSET("/app.js", 0, 3),
    ASSET("/app.js.map", 1, 1),
    ASSET("/docs/index.html", 2, 4),
    ASSET("/index.html", 0, 10),
    ASSET("/z", 9, 10),
};
static const lk_assets table = {items, sizeof items / sizeof items[0]};
static const lk_assets empty = {NULL, 0};

TEST(every_path_of_the_table_is_found) {
  for (size_t i = 0; i < table.count; i++)
    CHECK(lk_assets_find(&table, items[i].path) == &items[i]);
  CHECK_TEXT(lk_asset_choose(&items[0], LK_SLICE_EMPTY).bytes, "012");
  CHECK_U64(lk_asset_choose(&items[1], LK_SLICE_EMPTY).bytes.len, 0);
}

TEST(a_path_that_ends_in_a_slash_means_its_index) {
  CHECK(lk_assets_find(&table, LK_LIT("/")) == &items[3]);
  CHECK(lk_assets_find(&table, LK_LIT("/docs/")) == &items[2]);
}

TEST(paths_that_are_not_in_the_table_are_not_found) {
  static const char *const none[] = {"",
                                     "/a",
                                     "/app",
                                     "/app.jsx",
                                     "/docs",
                                     "/docs/index",
                                     "/zz",
                                     "//",
                                     "/z/",
                                     "app.js",
                                     "/APP.JS",
                                     "/./app.js",
                                     "/docs/../app.js",
                                     "/index.html/",
                                     "\xff",
                                     "*"};
  for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
    test_note("path %s", none[i]);
    CHECK(lk_assets_find(&table, lk_slice_cstr(none[i])) == NULL);
  }
  CHECK(lk_assets_find(&table, LK_LIT("/z\0")) == NULL);
  CHECK(lk_assets_find(&empty, LK_LIT("/")) == NULL);
}

TEST(a_tag_is_known_when_the_header_lists_it) {
  lk_slice tag = LK_LIT("\"abc\"");
  static const char *const known[] = {"\"abc\"",
                                      "W/\"abc\"",
                                      "\"x\", \"abc\"",
                                      "\"x\",W/\"abc\",\"y\"",
                                      " \"abc\" ",
                                      "*",
                                      " * "};
  static const char *const unknown[] = {
      "",   ",",         "abc",   "\"ab\"",   "\"abcd\"",
      "W/", "w/\"abc\"", "\"x\"", "\"x\", *", "W/W/\"abc\""};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    test_note("header %s", known[i]);
    CHECK(lk_assets_etag_matches(lk_slice_cstr(known[i]), tag));
  }
  for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
    test_note("header %s", unknown[i]);
    CHECK(!lk_assets_etag_matches(lk_slice_cstr(unknown[i]), tag));
  }
}

/* Goal: bisection finds what looking at every item finds, for any table size
 * and any path. */
PROPERTY(bisection_agrees_with_looking_at_every_item) {
  static const char letters[] = "/ab.";
  lk_assets some = {items + gen_below(g, 5), 0};
  some.count = gen_below(g, (uint32_t)(items + 5 - some.items) + 1);
  uint8_t path[8];
  size_t len = gen_below(g, sizeof path);
  for (size_t i = 0; i < len; i++)
    path[i] = (uint8_t)letters[gen_below(g, 4)];
  lk_slice wanted = gen_below(g, 2) == 0 ? items[gen_below(g, 5)].path
                                         : lk_slice_of(path, len);
  const lk_asset *found = NULL;
  for (size_t i = 0; i < some.count; i++) {
    if (lk_slice_equal(some.items[i].path, wanted))
      found = &some.items[i];
  }
  if (lk_slice_ends_with(wanted, LK_LIT("/")))
    return;
  CHECK(lk_assets_find(&some, wanted) == found);
}

TEST(a_file_that_is_there_in_packed_forms_alone_is_sent_as_gzip_to_who_accepts_neither) {
  static const lk_asset packed = {
      .path = LK_LIT_INIT("/assets/app.js"),
      .etag = LK_LIT_INIT("\"tag\""),
      .br = {LK_LIT_INIT("\"tag-br\""), bytes, bytes + 1},
      .gzip = {LK_LIT_INIT("\"tag-gzip\""), bytes, bytes + 2},
  };
  CHECK_TEXT(lk_asset_choose(&packed, LK_LIT("gzip, br")).coding, "br");
  CHECK_TEXT(lk_asset_choose(&packed, LK_LIT("gzip")).coding, "gzip");
  CHECK_TEXT(lk_asset_choose(&packed, LK_LIT("identity")).coding, "gzip");
  CHECK_TEXT(lk_asset_choose(&packed, LK_SLICE_EMPTY).bytes, "01");
}
