#include "harness/test.h"

TEST(cutting_takes_at_most_what_is_there) {
  lk_slice s = LK_LIT("hello");
  CHECK_TEXT(lk_slice_first(s, 2), "he");
  CHECK_TEXT(lk_slice_first(s, 99), "hello");
  CHECK_TEXT(lk_slice_skip(s, 2), "llo");
  CHECK_U64(lk_slice_skip(s, 99).len, 0);
  CHECK_TEXT(lk_slice_last(s, 2), "lo");
  CHECK_TEXT(lk_slice_last(s, 99), "hello");
  CHECK_U64(lk_slice_skip(LK_SLICE_EMPTY, 3).len, 0);
}

TEST(reading_past_the_end_is_our_mistake_and_panics) {
  static volatile uint8_t sink;
  CHECK_U64(lk_slice_at(LK_LIT("ab"), 1), 'b');
  CHECK_PANICS(sink = lk_slice_at(LK_LIT("ab"), 2));
  (void)sink;
}

TEST(order_is_by_unsigned_byte_and_a_prefix_comes_first) {
  CHECK(lk_slice_compare(LK_LIT("a"), LK_LIT("b")) < 0);
  CHECK(lk_slice_compare(LK_LIT("ab"), LK_LIT("a")) > 0);
  CHECK(lk_slice_compare(LK_LIT("\x7f"), LK_LIT("\x80")) < 0);
  CHECK(lk_slice_compare(LK_SLICE_EMPTY, LK_SLICE_EMPTY) == 0);
  CHECK(lk_slice_compare(LK_SLICE_EMPTY, LK_LIT("a")) < 0);
}

TEST(searching_finds_the_first_place) {
  CHECK_U64(lk_slice_find_byte(LK_LIT("abcb"), 'b'), 1);
  CHECK_U64(lk_slice_find_byte(LK_LIT("abc"), 'x'), LK_SLICE_NONE);
  CHECK_U64(lk_slice_find(LK_LIT("aabaab"), LK_LIT("ab")), 1);
  CHECK_U64(lk_slice_find(LK_LIT("aab"), LK_LIT("aab")), 0);
  CHECK_U64(lk_slice_find(LK_LIT("aab"), LK_LIT("aabb")), LK_SLICE_NONE);
  CHECK_U64(lk_slice_find(LK_LIT("abc"), LK_LIT("c")), 2);
  CHECK_U64(lk_slice_find(LK_LIT("abc"), LK_SLICE_EMPTY), 0);
  CHECK_U64(lk_slice_find(LK_SLICE_EMPTY, LK_LIT("a")), LK_SLICE_NONE);
}

TEST(cut_splits_at_the_first_byte_and_survives_its_absence) {
  lk_slice rest;
  CHECK_TEXT(lk_slice_cut(LK_LIT("key=a=b"), '=', &rest), "key");
  CHECK_TEXT(rest, "a=b");
  CHECK_TEXT(lk_slice_cut(LK_LIT("key"), '=', &rest), "key");
  CHECK_U64(rest.len, 0);
  CHECK_TEXT(lk_slice_cut(LK_LIT("key="), '=', &rest), "key");
  CHECK_U64(rest.len, 0);
}

TEST(trim_takes_blanks_at_both_ends_only) {
  CHECK_TEXT(lk_slice_trim(LK_LIT(" \ta b\t ")), "a b");
  CHECK_TEXT(lk_slice_trim(LK_LIT(" a ")), "a");
  CHECK_TEXT(lk_slice_trim(LK_LIT("\t  a")), "a");
  CHECK_U64(lk_slice_trim(LK_LIT(" \t ")).len, 0);
}

TEST(ascii_case_is_ignored_where_asked_and_other_bytes_are_not) {
  CHECK(lk_slice_equal_nocase(LK_LIT("Sec-WebSocket-Key"), LK_LIT("sec-websocket-KEY")));
  CHECK(!lk_slice_equal_nocase(LK_LIT("@"), LK_LIT("`"))); /* differ in the same bit as letters */
  CHECK(!lk_slice_equal_nocase(LK_LIT("a"), LK_LIT("ab")));
}

TEST(prefixes_and_suffixes) {
  CHECK(lk_slice_starts_with(LK_LIT("crdt:demo"), LK_LIT("crdt:")));
  CHECK(!lk_slice_starts_with(LK_LIT("crdt"), LK_LIT("crdt:")));
  CHECK(!lk_slice_starts_with(LK_LIT("doc:demo"), LK_LIT("crdt:")));
  CHECK(!lk_slice_ends_with(LK_LIT("a.ts"), LK_LIT(".js")));
  CHECK(lk_slice_ends_with(LK_LIT("a.js"), LK_LIT(".js")));
  CHECK(!lk_slice_ends_with(LK_LIT("js"), LK_LIT(".js")));
}
