/* Bytes as arrays of numbers. */
#include "codec/json_bytes.h"

#include "harness/faulty.h"
#include "harness/test.h"

TEST(all_bytes_come_back_from_their_numbers) {
  uint8_t bytes[256];
  lk_buf text, back;
  lk_buf_init(&text, test_alloc(), 4096);
  lk_buf_init(&back, test_alloc(), 4096);
  for (unsigned i = 0; i < 256; i++) bytes[i] = (uint8_t)i;
  for (size_t len = 0; len <= 256; len += len < 5 ? 1 : 251) {
    lk_buf_truncate(&text, 0);
    lk_buf_truncate(&back, 0);
    CHECK_OK(lk_json_append_bytes(&text, lk_slice_of(bytes, len)));
    CHECK_OK(lk_json_parse_bytes(lk_buf_slice(&text), &back));
    CHECK_SLICE(lk_buf_slice(&back), lk_slice_of(bytes, len));
  }
  lk_buf_truncate(&text, 0);
  CHECK_OK(lk_json_append_bytes(&text, LK_LIT("\x00\x09\x0a\x63\x64\xff")));
  CHECK_TEXT(lk_buf_slice(&text), "[0,9,10,99,100,255]");
  lk_buf_deinit(&text);
  lk_buf_deinit(&back);
}

TEST(nothing_but_arrays_of_bytes_is_read) {
  static const struct {
    const char *text;
    lk_err err;
    lk_slice bytes;
  } rows[] = {
    { " [ 1 ,\t2\r\n, 255 ] ", LK_OK, LK_LIT_INIT("\x01\x02\xff") },
    { "[]", LK_OK, LK_LIT_INIT("") },
    { " [ ] ", LK_OK, LK_LIT_INIT("") },
    { "[0]", LK_OK, { (const uint8_t *)"", 1 } },
    { "", LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { "[", LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { "[1", LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { "[1,", LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { "[1,]", LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { "[,1]", LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { "[1]x", LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { "[]]", LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { "[01]", LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { "[00]", LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { "[1 2]", LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { "[1.0]", LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { "[1e1]", LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { "[-1]", LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { "[[1]]", LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { "[\"1\"]", LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { "1", LK_ERR_SYNTAX, LK_LIT_INIT("") },
    { "[256]", LK_ERR_RANGE, LK_LIT_INIT("") },
    { "[1,99999999999999999999]", LK_ERR_RANGE, LK_LIT_INIT("") },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    lk_buf out;
    test_note("row %u: %s", (unsigned)i, rows[i].text);
    lk_buf_init(&out, test_alloc(), 4096);
    CHECK_OK(lk_buf_append(&out, LK_LIT("x")));
    CHECK_ERR(lk_json_parse_bytes(lk_slice_cstr(rows[i].text), &out), rows[i].err);
    CHECK_SLICE(lk_slice_skip(lk_buf_slice(&out), 1), rows[i].bytes);
    lk_buf_deinit(&out);
  }
}

TEST(a_buffer_that_is_too_small_is_left_as_it_was) {
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 8);
  CHECK_OK(lk_buf_append(&out, LK_LIT("xyz")));
  CHECK_ERR(lk_json_append_bytes(&out, LK_LIT("\x01\x02\x03\x04")), LK_ERR_LIMIT);
  lk_buf_truncate(&out, 3);
  CHECK_TEXT(lk_buf_slice(&out), "xyz");
  CHECK_ERR(lk_json_parse_bytes(LK_LIT("[1,2,3,4,5,6,7,8,9,10]"), &out), LK_ERR_LIMIT);
  CHECK_TEXT(lk_buf_slice(&out), "xyz");
  CHECK_OK(lk_buf_err(&out));
  lk_buf_deinit(&out);
}
