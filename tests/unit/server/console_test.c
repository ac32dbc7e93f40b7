/* Lines for people: nothing that a stranger wrote may steer a terminal. */
#include "harness/test.h"
#include "server/console.h"

static void check(lk_slice text, lk_slice want) {
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1024);
  lk_console_escape(text, &out);
  CHECK_SLICE(lk_buf_slice(&out), want);
  lk_buf_deinit(&out);
}

TEST(control_characters_and_broken_text_are_escaped_and_words_are_not) {
  check(LK_LIT("plain text, \xc3\xa4 and \xe2\x82\xac"),
        LK_LIT("plain text, \xc3\xa4 and \xe2\x82\xac"));
  check(LK_LIT("a\nb\r\t\0c"), LK_LIT("a\\x0ab\\x0d\\x09\\x00c"));
  check(LK_LIT("\x1b[31m\x7f"), LK_LIT("\\x1b[31m\\x7f"));
  check(LK_LIT("\xc2\x9b"
               "31m"),
        LK_LIT("\\xc2\\x9b31m")); /* U+009B begins a command, too */
  check(LK_LIT("\xc2\xa0"), LK_LIT("\xc2\xa0"));
  check(LK_LIT("\x9b\xff\xc3"), LK_LIT("\\x9b\\xff\\xc3"));
  check(LK_SLICE_EMPTY, LK_SLICE_EMPTY);
}

PROPERTY(no_bytes_leave_a_control_character) {
  uint8_t bytes[32];
  size_t len = gen_below(g, sizeof bytes);
  lk_buf out;
  for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)gen_below(g, 256);
  lk_buf_init(&out, test_alloc(), 1024);
  lk_console_escape(lk_slice_of(bytes, len), &out);
  for (size_t i = 0; i < out.len; i++) {
    CHECK(out.ptr[i] >= 0x20 && out.ptr[i] != 0x7f);
    if (out.ptr[i] == 0xc2) CHECK(i + 1 < out.len && out.ptr[i + 1] >= 0xa0);
  }
  lk_buf_deinit(&out);
}
