/* UTF-8 and UTF-16 against JavaScript's own, and against a validator that reads like the RFC. */
#include "codec/utf.h"
#include "vectors.h"

#define PATH "tests/vectors/utf.json"

TEST(utf8_validity_and_utf16_are_those_of_javascript) {
  lk_json_member f[] = { VECTORS_FIELD("hex"), VECTORS_FIELD("bad"), VECTORS_FIELD("utf16") };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("decode"));
  while (vectors_next(&v, f, 3)) {
    lk_slice bytes = vectors_hex(&v, &f[0]);
    if (vectors_has(&f[1])) {
      CHECK_U64(lk_utf8_find_invalid(bytes), vectors_u64(&f[1]));
      CHECK_ERR(lk_utf8_check(bytes), LK_ERR_UTF8);
      continue;
    }
    CHECK_OK(lk_utf8_check(bytes));
    size_t count = 0;
    uint16_t got[512];
    const uint16_t *want = vectors_units(&v, vectors_text(&f[2]), &count);
    CHECK_U64(lk_utf16_len_of_utf8(bytes), count);
    CHECK_U64(lk_utf16_of_utf8(bytes, got, count), count);
    CHECK(count == 0 || memcmp(got, want, count * sizeof *got) == 0);
  }
  vectors_close(&v);
}

TEST(utf16_becomes_utf8_as_textencoder_does_it) {
  lk_json_member f[] = { VECTORS_FIELD("utf16"), VECTORS_FIELD("hex") };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("encode"));
  while (vectors_next(&v, f, 2)) {
    size_t count;
    lk_buf buf;
    lk_buf_init(&buf, test_alloc(), 4096);
    const uint16_t *units = vectors_units(&v, vectors_text(&f[0]), &count);
    CHECK_OK(lk_utf8_append_utf16(&buf, units, count));
    CHECK_SLICE(lk_buf_slice(&buf), vectors_hex(&v, &f[1]));
    CHECK_U64(lk_utf8_len_of_utf16(units, count), buf.len);
    lk_buf_deinit(&buf);
  }
  vectors_close(&v);
}

TEST(utf8_splits_at_a_unit_as_yjs_does) {
  lk_json_member f[] = { VECTORS_FIELD("text"), VECTORS_FIELD("index"), VECTORS_FIELD("left"),
                         VECTORS_FIELD("right") };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("split"));
  while (vectors_next(&v, f, 4)) {
    lk_slice text = vectors_hex(&v, &f[0]), left, right;
    lk_buf a, b;
    bool halved = false;
    CHECK_OK(lk_utf8_split(text, vectors_u64(&f[1]), &left, &right, &halved));
    lk_buf_init(&a, test_alloc(), 4096);
    lk_buf_init(&b, test_alloc(), 4096);
    lk_buf_append(&a, left);
    if (halved) lk_buf_append(&a, LK_UTF8_REPLACEMENT);
    if (halved) lk_buf_append(&b, LK_UTF8_REPLACEMENT);
    lk_buf_append(&b, right);
    CHECK_SLICE(lk_buf_slice(&a), vectors_hex(&v, &f[2]));
    CHECK_SLICE(lk_buf_slice(&b), vectors_hex(&v, &f[3]));
    lk_buf_deinit(&a);
    lk_buf_deinit(&b);
  }
  vectors_close(&v);
}

TEST(utf8_split_beyond_the_end_changes_nothing) {
  lk_slice left = LK_LIT("l"), right = LK_LIT("r");
  lk_utf_place place = { 77, true };
  bool halved = true;
  CHECK_ERR(lk_utf8_split(LK_LIT("abc"), 4, &left, &right, &halved), LK_ERR_RANGE);
  CHECK_ERR(lk_utf8_find_unit(LK_LIT("abc"), UINT64_MAX, &place), LK_ERR_RANGE);
  CHECK_ERR(lk_utf8_find_unit(LK_SLICE_EMPTY, 1, &place), LK_ERR_RANGE);
  CHECK_TEXT(left, "l");
  CHECK_TEXT(right, "r");
  CHECK(halved && place.offset == 77);
  CHECK_OK(lk_utf8_find_unit(LK_SLICE_EMPTY, 0, &place));
  CHECK(place.offset == 0 && !place.inside);
}

/* Goal: seven characters of one byte and the first byte of a pair are nine units in eight bytes.
 * A word must not be skipped when only eight are wanted. */
TEST(utf8_unit_inside_a_pair_that_straddles_words_is_found) {
  lk_utf_place place;
  CHECK_OK(lk_utf8_find_unit(LK_LIT("abcdefg\xF0\x9F\x98\x80zzzzzzzz"), 8, &place));
  CHECK(place.offset == 7 && place.inside);
  CHECK_OK(lk_utf8_find_unit(LK_LIT("abcdefg\xF0\x9F\x98\x80zzzzzzzz"), 9, &place));
  CHECK(place.offset == 11 && !place.inside);
}

TEST(utf8_code_point_is_read_or_refused) {
  lk_slice text = LK_LIT("a\xF0\x9F\x98\x80\xC3");
  uint32_t point = 0;
  CHECK_OK(lk_utf8_decode(&text, &point));
  CHECK_U64(point, 'a');
  CHECK_OK(lk_utf8_decode(&text, &point));
  CHECK_U64(point, 0x1F600);
  CHECK_ERR(lk_utf8_decode(&text, &point), LK_ERR_TRUNCATED);
  CHECK_U64(text.len, 1);
  text = LK_LIT("\xED\xA0\x80");
  CHECK_ERR(lk_utf8_decode(&text, &point), LK_ERR_UTF8);
  CHECK_U64(point, 0x1F600);
  text = LK_SLICE_EMPTY;
  CHECK_ERR(lk_utf8_decode(&text, &point), LK_ERR_TRUNCATED);
}

TEST(utf8_writes_a_replacement_for_what_is_no_character) {
  static const uint32_t points[] = { 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0x110000, UINT32_MAX };
  uint8_t out[4];
  for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
    CHECK_SLICE(lk_slice_of(out, lk_utf8_encode(points[i], out)), LK_UTF8_REPLACEMENT);
  }
}

/* Method: all of them, there and back; 1,112,064 characters take some hundredths of a second. */
TEST(utf8_every_code_point_comes_back) {
  for (uint32_t point = 0; point <= LK_UTF_CODE_POINT_MAX; point++) {
    if (lk_utf_is_surrogate(point)) continue;
    uint8_t bytes[4];
    uint32_t back = UINT32_MAX;
    lk_slice text = lk_slice_of(bytes, lk_utf8_encode(point, bytes));
    if (lk_utf16_len_of_utf8(text) != (point >= 0x10000 ? 2u : 1u)) CHECK_U64(point, 0);
    if (lk_utf8_decode(&text, &back) != LK_OK || back != point || text.len != 0) {
      CHECK_U64(back, point);
    }
    if (point >= 0x10000 && lk_utf_join(lk_utf_high_of(point), lk_utf_low_of(point)) != point) {
      CHECK_U64(point, 0);
    }
  }
}

TEST(utf8_validator_stays_failed) {
  lk_utf8_validator check;
  size_t bad = 99;
  lk_utf8_validator_init(&check);
  CHECK_OK(lk_utf8_validator_feed(&check, LK_LIT("abc\xE2"), &bad));
  CHECK_ERR(lk_utf8_validator_end(&check), LK_ERR_UTF8); /* inside a character */
  CHECK_U64(bad, 99);
  CHECK_ERR(lk_utf8_validator_feed(&check, LK_LIT("\x82z"), &bad), LK_ERR_UTF8);
  CHECK_U64(bad, 1);
  CHECK_ERR(lk_utf8_validator_feed(&check, LK_LIT("fine"), &bad), LK_ERR_UTF8);
  CHECK_U64(bad, 0);
  CHECK_ERR(lk_utf8_validator_end(&check), LK_ERR_UTF8);
}

/* ---- properties ---- */

/* RFC 3629's table of well-formed sequences, one line at a time; the length of the character at
 * the front of |text|, 0 where there is none. |*bad| is the index of the byte that is to blame. */
static size_t plain_character(lk_slice text, size_t *bad) {
  static const struct {
    uint8_t first_low, first_high, second_low, second_high, len;
  } table[] = {
    { 0x00, 0x7F, 0, 0, 1 },       { 0xC2, 0xDF, 0x80, 0xBF, 2 }, { 0xE0, 0xE0, 0xA0, 0xBF, 3 },
    { 0xE1, 0xEC, 0x80, 0xBF, 3 }, { 0xED, 0xED, 0x80, 0x9F, 3 }, { 0xEE, 0xEF, 0x80, 0xBF, 3 },
    { 0xF0, 0xF0, 0x90, 0xBF, 4 }, { 0xF1, 0xF3, 0x80, 0xBF, 4 }, { 0xF4, 0xF4, 0x80, 0x8F, 4 },
  };
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    if (text.ptr[0] < table[i].first_low || text.ptr[0] > table[i].first_high) continue;
    for (size_t k = 1; k < table[i].len; k++) {
      uint8_t low = k == 1 ? table[i].second_low : 0x80;
      uint8_t high = k == 1 ? table[i].second_high : 0xBF;
      *bad = k;
      if (k == text.len || text.ptr[k] < low || text.ptr[k] > high) return 0;
    }
    return table[i].len;
  }
  *bad = 0;
  return 0;
}

static size_t plain_find_invalid(lk_slice text) {
  size_t at = 0, bad = 0;
  while (at < text.len) {
    size_t len = plain_character(lk_slice_skip(text, at), &bad);
    if (len == 0) return at + bad;
    at += len;
  }
  return LK_SLICE_NONE;
}

/* Valid text, sometimes with a byte changed, sometimes cut, with long runs of ASCII. */
static lk_slice gen_almost_utf8(lk_gen *g, uint8_t *bytes, size_t cap) {
  size_t len = 0;
  while (len < cap && gen_chance(g, 3, 4)) {
    if (gen_bool(g)) {
      len += gen_utf8(g, bytes + len, lk_min_size(cap - len, 12));
    } else {
      size_t run = gen_below(g, (uint32_t)lk_min_size(cap - len, 70) + 1);
      memset(bytes + len, 'x', run);
      len += run;
    }
  }
  if (len > 0 && gen_bool(g)) bytes[gen_below(g, (uint32_t)len)] = (uint8_t)gen_below(g, 256);
  return lk_slice_of(bytes, len > 0 && gen_bool(g) ? gen_below(g, (uint32_t)len) : len);
}

PROPERTY(utf8_validity_is_the_table_of_the_rfc) {
  uint8_t bytes[200];
  lk_slice text = gen_almost_utf8(g, bytes, sizeof bytes);
  CHECK_U64(lk_utf8_find_invalid(text), plain_find_invalid(text));
}

/* Goal: pieces fail at the same byte as the whole, for every single cut and for random ones. */
PROPERTY(utf8_validator_result_does_not_depend_on_cuts) {
  uint8_t bytes[80];
  lk_slice text = gen_almost_utf8(g, bytes, sizeof bytes);
  size_t want = lk_utf8_find_invalid(text);
  for (size_t cut = 0; cut <= text.len; cut++) {
    lk_utf8_validator check;
    size_t bad = LK_SLICE_NONE, got = LK_SLICE_NONE;
    lk_utf8_validator_init(&check);
    if (lk_utf8_validator_feed(&check, lk_slice_first(text, cut), &bad) != LK_OK) got = bad;
    else if (lk_utf8_validator_feed(&check, lk_slice_skip(text, cut), &bad) != LK_OK)
      got = cut + bad;
    else if (lk_utf8_validator_end(&check) != LK_OK) got = text.len;
    CHECK_U64(got, want);
  }
}

/* Goal: counting by words agrees with decoding one by one, at every index. */
PROPERTY(utf8_units_are_found_where_decoding_finds_them) {
  uint8_t bytes[60];
  lk_slice text = lk_slice_of(bytes, gen_utf8(g, bytes, sizeof bytes)), rest = text;
  uint64_t unit = 0;
  while (rest.len > 0) {
    size_t offset = text.len - rest.len;
    uint32_t point = 0;
    lk_utf_place place;
    CHECK_OK(lk_utf8_decode(&rest, &point));
    CHECK_OK(lk_utf8_find_unit(text, unit++, &place));
    CHECK(place.offset == offset && !place.inside);
    if (point < 0x10000) continue;
    CHECK_OK(lk_utf8_find_unit(text, unit++, &place));
    CHECK(place.offset == offset && place.inside);
  }
  CHECK_U64(lk_utf16_len_of_utf8(text), unit);
}

PROPERTY(utf8_through_utf16_and_back_is_the_same) {
  uint8_t bytes[300];
  uint16_t units[300];
  lk_slice text = lk_slice_of(bytes, gen_utf8(g, bytes, sizeof bytes));
  size_t count = lk_utf16_of_utf8(text, units, 300);
  lk_buf buf;
  lk_buf_init(&buf, test_alloc(), 4096);
  CHECK_U64(count, lk_utf16_len_of_utf8(text));
  CHECK_OK(lk_utf8_append_utf16(&buf, units, count));
  CHECK_SLICE(lk_buf_slice(&buf), text);
  lk_buf_deinit(&buf);
}

/* A long text, so that more words are summed than one word's bytes can count. */
TEST(utf16_length_of_a_long_text_does_not_overflow_its_words) {
  enum { PAIRS = 3000 };
  static uint8_t bytes[PAIRS * 4 + 3000];
  for (size_t i = 0; i < PAIRS; i++) memcpy(bytes + 4 * i, "\xF0\x9F\x98\x80", 4);
  memset(bytes + (size_t)PAIRS * 4, 'x', 3000);
  CHECK_U64(lk_utf16_len_of_utf8(lk_slice_of(bytes, sizeof bytes)), 2 * PAIRS + 3000);
  CHECK_U64(lk_utf16_len_of_utf8(lk_slice_of(bytes + (size_t)PAIRS * 4, 3000)), 3000);
}
