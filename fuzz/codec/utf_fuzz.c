/* UTF-8 from strangers, in blocks of their exact size so that a byte too many is seen. */
#include "codec/utf.h"
#include "harness/test.h"

static const lk_slice samples[] = {
  LK_LIT_INIT("plain text that is longer than one block of the validator, for good measure"),
  LK_LIT_INIT("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF"),
  LK_LIT_INIT("abcdefg\xF0\x9F\x98\x80hijklmnopqrstuvwxyz0123456789\xE2\x82\xAC"),
};

static lk_slice hostile(lk_gen *g, uint8_t **owned) {
  uint8_t scratch[160];
  lk_slice in = gen_hostile(g, samples, 3, scratch, sizeof scratch);
  *owned = in.len > 0 ? lk_alloc_bytes(test_alloc(), in.len) : NULL;
  if (in.len > 0) memcpy(*owned, in.ptr, in.len);
  return lk_slice_of(*owned, in.len);
}

/* also fuzzes: lk_utf8_validator_feed, lk_utf8_decode */
FUZZ(lk_utf8_check) {
  uint8_t *owned;
  size_t cut = gen_below(g, 100), bad = LK_SLICE_NONE;
  lk_slice text = hostile(g, &owned), rest = text;
  lk_utf8_validator check;
  uint32_t point;
  lk_err err;
  lk_utf8_validator_init(&check);
  err = lk_utf8_validator_feed(&check, lk_slice_first(text, cut), &bad);
  if (err == LK_OK) err = lk_utf8_validator_feed(&check, lk_slice_skip(text, cut), &bad);
  if (err == LK_OK) err = lk_utf8_validator_end(&check);
  CHECK_ERR(lk_utf8_check(text), err);

  while (rest.len > 0 && lk_utf8_decode(&rest, &point) == LK_OK) {
    uint8_t bytes[4];
    lk_slice again = lk_slice_of(bytes, lk_utf8_encode(point, bytes));
    CHECK(again.len <= text.len - rest.len);
    CHECK(memcmp(rest.ptr - again.len, bytes, again.len) == 0);
  }
  CHECK((rest.len == 0) == (err == LK_OK));
  lk_free_bytes(test_alloc(), owned, text.len);
}

/* Counting and converting take valid text for granted, but may not read outside of any. */
FUZZ(utf8_counting) {
  uint8_t *owned;
  uint64_t index = gen_below(g, 200);
  lk_slice text = hostile(g, &owned), left, right;
  bool halved, valid = lk_utf8_check(text) == LK_OK;
  size_t units = lk_utf16_len_of_utf8(text);
  lk_err err = lk_utf8_split(text, index, &left, &right, &halved);
  if (valid) {
    CHECK_ERR(err, index <= units ? LK_OK : LK_ERR_RANGE);
    CHECK(err != LK_OK || lk_utf16_len_of_utf8(left) + halved == index);
    CHECK(err != LK_OK || left.len + right.len + (halved ? 4 : 0) == text.len);
  }
  lk_free_bytes(test_alloc(), owned, text.len);
}
