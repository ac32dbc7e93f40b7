#include "codec/hex.h"
#include "harness/test.h"

TEST(hex_writes_lower_case_and_reads_both) {
  lk_buf buf;
  lk_buf_init(&buf, test_alloc(), 64);
  CHECK_OK(lk_hex_encode(&buf, LK_LIT("\x00\x09\x0A\xAF\xFF")));
  CHECK_TEXT(lk_buf_slice(&buf), "00090aafff");
  lk_buf_truncate(&buf, 0);
  CHECK_OK(lk_hex_decode(&buf, LK_LIT("00090aAFfF")));
  CHECK_SLICE(lk_buf_slice(&buf), LK_LIT("\x00\x09\x0A\xAF\xFF"));
  CHECK_OK(lk_hex_encode(&buf, LK_SLICE_EMPTY));
  CHECK_OK(lk_hex_decode(&buf, LK_SLICE_EMPTY));
  CHECK_U64(buf.len, 5);
  lk_buf_deinit(&buf);
}

/* The neighbours of the digits in ASCII, and an odd count. */
TEST(hex_refuses_anything_else_and_leaves_the_buffer) {
  static const char *const cases[] = { "0", "000", "0/", "0:", "0@", "0G", "0`", "0g", "0 ", "-1" };
  lk_buf buf;
  lk_buf_init(&buf, test_alloc(), 64);
  lk_buf_append(&buf, LK_LIT("before"));
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    CHECK_ERR(lk_hex_decode(&buf, lk_slice_cstr(cases[i])), LK_ERR_SYNTAX);
  }
  CHECK_ERR(lk_hex_decode(&buf, LK_LIT("00\0000")), LK_ERR_SYNTAX);
  CHECK_TEXT(lk_buf_slice(&buf), "before");
  lk_buf_deinit(&buf);
}

TEST(hex_tells_of_a_full_buffer) {
  lk_buf buf;
  lk_buf_init(&buf, test_alloc(), 1);
  CHECK_ERR(lk_hex_encode(&buf, LK_LIT("x")), LK_ERR_LIMIT);
  CHECK_ERR(lk_hex_decode(&buf, LK_LIT("0000")), LK_ERR_LIMIT);
  lk_buf_deinit(&buf);
}

PROPERTY(hex_round_trips) {
  uint8_t bytes[40];
  lk_slice value = lk_slice_of(bytes, gen_bytes(g, bytes, sizeof bytes));
  lk_buf text, back;
  lk_buf_init(&text, test_alloc(), 256);
  lk_buf_init(&back, test_alloc(), 256);
  CHECK_OK(lk_hex_encode(&text, value));
  CHECK_OK(lk_hex_decode(&back, lk_buf_slice(&text)));
  CHECK_SLICE(lk_buf_slice(&back), value);
  lk_buf_deinit(&text);
  lk_buf_deinit(&back);
}
