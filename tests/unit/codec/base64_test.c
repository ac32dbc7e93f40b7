/* Published vectors of RFC 4648, strictness, and round trips. */
#include "codec/base64.h"
#include "harness/test.h"

static const lk_base64_form url_padded = { LK_BASE64_URL, LK_BASE64_PAD_REQUIRED };
static const lk_base64_form bare = { LK_BASE64_STANDARD, LK_BASE64_PAD_FORBIDDEN };
static const lk_base64_form either = { LK_BASE64_STANDARD, LK_BASE64_PAD_OPTIONAL };

static void check_both_ways(lk_slice bytes, lk_slice text, lk_base64_form form) {
  lk_buf buf;
  lk_buf_init(&buf, test_alloc(), 4096);
  CHECK_OK(lk_base64_encode(&buf, bytes, form));
  CHECK_SLICE(lk_buf_slice(&buf), text);
  lk_buf_truncate(&buf, 0);
  CHECK_OK(lk_base64_decode(&buf, text, form));
  CHECK_SLICE(lk_buf_slice(&buf), bytes);
  lk_buf_deinit(&buf);
}

static void check_refused(lk_slice text, lk_base64_form form, lk_err want) {
  lk_buf buf;
  lk_buf_init(&buf, test_alloc(), 4096);
  lk_buf_append(&buf, LK_LIT("before"));
  CHECK_ERR(lk_base64_decode(&buf, text, form), want);
  CHECK_TEXT(lk_buf_slice(&buf), "before");
  CHECK_OK(lk_buf_err(&buf));
  lk_buf_deinit(&buf);
}

/* RFC 4648, section 10. */
TEST(base64_has_the_vectors_of_the_rfc) {
  static const char *const cases[][3] = {
    { "", "", "" },
    { "f", "Zg==", "Zg" },
    { "fo", "Zm8=", "Zm8" },
    { "foo", "Zm9v", "Zm9v" },
    { "foob", "Zm9vYg==", "Zm9vYg" },
    { "fooba", "Zm9vYmE=", "Zm9vYmE" },
    { "foobar", "Zm9vYmFy", "Zm9vYmFy" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_slice bytes = lk_slice_cstr(cases[i][0]);
    check_both_ways(bytes, lk_slice_cstr(cases[i][1]), LK_BASE64_FORM_STANDARD);
    check_both_ways(bytes, lk_slice_cstr(cases[i][1]), url_padded);
    check_both_ways(bytes, lk_slice_cstr(cases[i][1]), either);
    check_both_ways(bytes, lk_slice_cstr(cases[i][2]), LK_BASE64_FORM_URL);
    check_both_ways(bytes, lk_slice_cstr(cases[i][2]), bare);
  }
}

TEST(base64_alphabets_differ_in_two_characters) {
  check_both_ways(LK_LIT("\xFB\xFF\xBF"), LK_LIT("+/+/"), LK_BASE64_FORM_STANDARD);
  check_both_ways(LK_LIT("\xFB\xFF\xBF"), LK_LIT("-_-_"), LK_BASE64_FORM_URL);
  check_refused(LK_LIT("-_-_"), LK_BASE64_FORM_STANDARD, LK_ERR_SYNTAX);
  check_refused(LK_LIT("+/+/"), LK_BASE64_FORM_URL, LK_ERR_SYNTAX);
}

TEST(base64_padding_is_as_the_form_wants_it) {
  lk_buf buf;
  lk_buf_init(&buf, test_alloc(), 16);
  CHECK_OK(lk_base64_decode(&buf, LK_LIT("Zg"), either));
  CHECK_TEXT(lk_buf_slice(&buf), "f");
  lk_buf_deinit(&buf);
  check_refused(LK_LIT("Zg"), LK_BASE64_FORM_STANDARD, LK_ERR_SYNTAX);
  check_refused(LK_LIT("Zg="), LK_BASE64_FORM_STANDARD, LK_ERR_SYNTAX);
  check_refused(LK_LIT("Zg="), either, LK_ERR_SYNTAX);
  check_refused(LK_LIT("Zm9v="), either, LK_ERR_SYNTAX);
  check_refused(LK_LIT("Zm8=="), either, LK_ERR_SYNTAX);
  check_refused(LK_LIT("Zg==="), either, LK_ERR_SYNTAX);
  check_refused(LK_LIT("===="), either, LK_ERR_SYNTAX);
  check_refused(LK_LIT("="), either, LK_ERR_SYNTAX);
  check_refused(LK_LIT("Zg=="), bare, LK_ERR_SYNTAX);
  check_refused(LK_LIT("Z=g="), LK_BASE64_FORM_STANDARD, LK_ERR_SYNTAX);
}

TEST(base64_refuses_other_characters_and_lengths) {
  check_refused(LK_LIT("Z"), bare, LK_ERR_SYNTAX);
  check_refused(LK_LIT("Zm9vY"), bare, LK_ERR_SYNTAX);
  check_refused(LK_LIT("Zm9 "), bare, LK_ERR_SYNTAX);
  check_refused(LK_LIT("Zm\n9v"), either, LK_ERR_SYNTAX);
  check_refused(LK_LIT("Zm9\0"), bare, LK_ERR_SYNTAX);
  check_refused(LK_LIT("Zm9\xFF"), bare, LK_ERR_SYNTAX);
  check_refused(LK_LIT("Zm9vZ\x80"), bare, LK_ERR_SYNTAX);
}

TEST(base64_refuses_bits_behind_the_last_byte) {
  check_refused(LK_LIT("Zh=="), LK_BASE64_FORM_STANDARD, LK_ERR_NOT_CANONICAL);
  check_refused(LK_LIT("Zm9="), LK_BASE64_FORM_STANDARD, LK_ERR_NOT_CANONICAL);
  check_refused(LK_LIT("Zj"), bare, LK_ERR_NOT_CANONICAL);
}

TEST(base64_tells_of_a_full_buffer) {
  lk_buf buf;
  lk_buf_init(&buf, test_alloc(), 3);
  CHECK_ERR(lk_base64_encode(&buf, LK_LIT("f"), LK_BASE64_FORM_STANDARD), LK_ERR_LIMIT);
  CHECK_ERR(lk_base64_decode(&buf, LK_LIT("Zg=="), LK_BASE64_FORM_STANDARD), LK_ERR_LIMIT);
  CHECK_U64(buf.len, 0);
  lk_buf_deinit(&buf);
}

PROPERTY(base64_round_trips) {
  uint8_t bytes[60];
  lk_slice value = lk_slice_of(bytes, gen_bytes(g, bytes, sizeof bytes));
  lk_base64_form form = { (lk_base64_alphabet)gen_below(g, 2), (lk_base64_padding)gen_below(g, 3) };
  lk_buf text, back;
  lk_buf_init(&text, test_alloc(), 4096);
  lk_buf_init(&back, test_alloc(), 4096);
  CHECK_OK(lk_base64_encode(&text, value, form));
  CHECK_OK(lk_base64_decode(&back, lk_buf_slice(&text), form));
  CHECK_SLICE(lk_buf_slice(&back), value);
  lk_buf_deinit(&text);
  lk_buf_deinit(&back);
}
