/* Numbers: exact integers, correctly rounded doubles, and JavaScript's way of printing them.
 *
 * tests/vectors/double.json holds what JavaScript itself reads and prints. strtod() of the C
 * library, which rounds correctly as well, is asked for many more. */
#include "codec/json_reader.h"
#include "codec/number.h"
#include "harness/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lk_slice printed(double value, uint8_t out[LK_NUMBER_F64_CHARS]) {
  return lk_slice_of(out, lk_number_print_f64(value, out));
}

/* ---- vectors ---- */

static uint64_t bits_of_hex(lk_slice hex) {
  uint64_t bits = 0;
  CHECK_U64(hex.len, 16);
  for (size_t i = 0; i < hex.len; i++) {
    uint8_t c = hex.ptr[i];
    bits = bits << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  return bits;
}

/* Calls |check| with each pair of the list called |name|; returns how many there were. */
static size_t each_pair(const char *name, void (*check)(lk_slice, lk_slice)) {
  lk_limits limits = lk_limits_default();
  lk_arena arena;
  lk_json_reader file, list;
  lk_json_event event, first, second;
  lk_json_member members[] = { { .name = lk_slice_cstr(name) } };
  size_t count = 0;
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  CHECK_OK(
      lk_json_reader_init(&file, test_read_file("tests/vectors/double.json"), &limits, &arena));
  CHECK_OK(lk_json_read_members(&file, members, 1));
  CHECK_OK(lk_json_finish(&file));
  CHECK_OK(lk_json_reader_init(&list, members[0].raw, &limits, &arena));
  CHECK_OK(lk_json_next(&list, &event));
  for (;; count++) {
    CHECK_OK(lk_json_next(&list, &event));
    if (event.kind == LK_JSON_ARRAY_END) break;
    CHECK_OK(lk_json_next(&list, &first));
    CHECK_OK(lk_json_next(&list, &second));
    CHECK_OK(lk_json_next(&list, &event));
    check(first.text, second.text);
  }
  lk_arena_deinit(&arena);
  return count;
}

static void check_printed(lk_slice bits, lk_slice text) {
  uint8_t out[LK_NUMBER_F64_CHARS];
  CHECK_SLICE(printed(lk_f64_of_bits(bits_of_hex(bits)), out), text);
}

static void check_parsed(lk_slice text, lk_slice bits) {
  double value;
  test_note("%.*s", (int)lk_min_size(text.len, 100), (const char *)text.ptr);
  CHECK_OK(lk_number_parse_f64(text, &value));
  CHECK_U64(lk_bits_of_f64(value), bits_of_hex(bits));
}

TEST(doubles_print_as_javascript_prints_them) { CHECK(each_pair("print", check_printed) >= 300); }

TEST(texts_are_read_as_the_doubles_that_javascript_reads) {
  CHECK(each_pair("parse", check_parsed) >= 200);
  CHECK_COVERED(number_next_to_a_middle);
}

/* ---- doubles ---- */

TEST(what_is_no_number_prints_as_in_javascript) {
  uint8_t out[LK_NUMBER_F64_CHARS];
  CHECK_TEXT(printed((double)NAN, out), "NaN");
  CHECK_TEXT(printed(-(double)NAN, out), "NaN");
  CHECK_TEXT(printed((double)INFINITY, out), "Infinity");
  CHECK_TEXT(printed(-(double)INFINITY, out), "-Infinity");
  CHECK_TEXT(printed(-0.0, out), "0");
}

TEST(exponents_appear_at_the_same_sizes_as_in_javascript) {
  uint8_t out[LK_NUMBER_F64_CHARS];
  CHECK_TEXT(printed(999999999999999868928.0, out), "999999999999999900000");
  CHECK_TEXT(printed(1e21, out), "1e+21");
  CHECK_TEXT(printed(-1.5e21, out), "-1.5e+21");
  CHECK_TEXT(printed(1e-6, out), "0.000001");
  CHECK_TEXT(printed(1e-7, out), "1e-7");
  CHECK_TEXT(printed(-1.2345678901234567e-6, out), "-0.0000012345678901234567");
  CHECK_TEXT(printed(1e100, out), "1e+100");
}

TEST(a_double_out_of_range_is_an_error_and_the_greatest_one_is_not) {
  double value = 7;
  CHECK_ERR(lk_number_parse_f64(LK_LIT("1e309"), &value), LK_ERR_RANGE);
  CHECK_ERR(lk_number_parse_f64(LK_LIT("-1e99999999999999999999"), &value), LK_ERR_RANGE);
  /* The middle between the greatest double and what would be the next one, which is even. */
  lk_slice middle = LK_LIT(
      "179769313486231580793728971405303415079934132710037826936173778980444968292"
      "764750946649017977587207096330286416692887910946555547851940402630657488671"
      "505820681908902000708383676273854845817711531764475730270069855571366959622"
      "842914819860834936475292719074168444365510704342711559699508093042880177904"
      "174497792");
  CHECK_ERR(lk_number_parse_f64(middle, &value), LK_ERR_RANGE);
  CHECK_U64(lk_bits_of_f64(value), lk_bits_of_f64(7));
  CHECK_OK(lk_number_parse_f64(LK_LIT("1.7976931348623158e308"), &value));
  CHECK_U64(lk_bits_of_f64(value), 0x7FEFFFFFFFFFFFFF);
  /* One digit less of it is below the middle again. */
  uint8_t below[400];
  memcpy(below, middle.ptr, middle.len);
  below[middle.len - 1]--;
  CHECK_OK(lk_number_parse_f64(lk_slice_of(below, middle.len), &value));
  CHECK_U64(lk_bits_of_f64(value), 0x7FEFFFFFFFFFFFFF);
}

TEST(what_is_too_small_becomes_zero_and_keeps_its_sign) {
  double value;
  CHECK_OK(lk_number_parse_f64(LK_LIT("1e-400"), &value));
  CHECK_U64(lk_bits_of_f64(value), 0);
  CHECK_OK(lk_number_parse_f64(LK_LIT("-1e-99999999999999999999"), &value));
  CHECK_U64(lk_bits_of_f64(value), UINT64_C(1) << 63);
  CHECK_OK(lk_number_parse_f64(LK_LIT("-0"), &value));
  CHECK_U64(lk_bits_of_f64(value), UINT64_C(1) << 63);
  CHECK_OK(lk_number_parse_f64(LK_LIT("0e99999999999999999999"), &value));
  CHECK_U64(lk_bits_of_f64(value), 0);
}

/* Goal: an exponent and a row of zeros that cancel each other do so at any length.
 * Method: 0.000...0001e<n> and 1000...000e-<n> are 1. */
TEST(zeros_and_exponents_cancel_out) {
  enum { ZEROS = 5000 };
  static char text[ZEROS + 40];
  double value;
  for (int n = 1; n <= ZEROS; n = n * 3 + 1) {
    int len = snprintf(text, sizeof text, "0.%0*d1e%d", n, 0, n + 1);
    CHECK_OK(lk_number_parse_f64(lk_slice_of(text, (size_t)len), &value));
    CHECK_U64(lk_bits_of_f64(value), lk_bits_of_f64(1));
    len = snprintf(text, sizeof text, "1%0*de-%d", n, 0, n);
    CHECK_OK(lk_number_parse_f64(lk_slice_of(text, (size_t)len), &value));
    CHECK_U64(lk_bits_of_f64(value), lk_bits_of_f64(1));
  }
}

/* Goal: digits far behind those that are kept still decide a tie.
 * Method: the middle between 1 and the next double, then zeros, then perhaps one more digit. */
TEST(a_digit_far_behind_decides_a_tie) {
  static char text[3000];
  static const char middle[] = "1.00000000000000011102230246251565404236316680908203125";
  double value;
  for (size_t zeros = 0; zeros < 2000; zeros += 97) {
    memset(text, '0', sizeof text);
    memcpy(text, middle, sizeof middle - 1);
    size_t len = sizeof middle - 1 + zeros;
    CHECK_OK(lk_number_parse_f64(lk_slice_of(text, len), &value));
    CHECK_U64(lk_bits_of_f64(value), lk_bits_of_f64(1));
    text[len] = '1';
    CHECK_OK(lk_number_parse_f64(lk_slice_of(text, len + 1), &value));
    CHECK_U64(lk_bits_of_f64(value), lk_bits_of_f64(1) + 1);
  }
  CHECK_COVERED(number_more_digits_than_matter);
}

static double draw_f64(lk_gen *g) {
  uint64_t bits = gen_u64(g);
  if (gen_chance(g, 1, 4)) return (double)(int64_t)(bits >> gen_below(g, 64)) / 1000;
  if (gen_chance(g, 1, 4)) bits &= ~UINT64_C(0xFFFFFFFFFFFFF);   /* a power of two */
  if (gen_chance(g, 1, 8)) bits &= UINT64_C(0x800FFFFFFFFFFFFF); /* subnormal */
  if ((bits >> 52 & 0x7FF) == 0x7FF) bits ^= UINT64_C(1) << 60;
  return lk_f64_of_bits(bits);
}

PROPERTY(a_printed_double_is_read_back_bit_for_bit) {
  uint8_t out[LK_NUMBER_F64_CHARS];
  double value = draw_f64(g), back;
  lk_slice text = printed(value, out);
  CHECK(text.len <= LK_NUMBER_F64_CHARS);
  CHECK_OK(lk_number_parse_f64(text, &back));
  CHECK_U64(lk_bits_of_f64(back), value == 0 ? 0 : lk_bits_of_f64(value));
  CHECK_U64(lk_bits_of_f64(strtod((const char *)memcpy((char[32]){ 0 }, out, text.len), NULL)),
            lk_bits_of_f64(back));
}

/* Goal: no text with fewer digits would have done.
 * Method: take the last digit away, round down and up, and look that both are other doubles. */
PROPERTY(a_printed_double_has_no_digit_too_many) {
  uint8_t out[LK_NUMBER_F64_CHARS];
  char shorter[64];
  double value = fabs(draw_f64(g)), back;
  lk_number number;
  if (value == 0) return;
  CHECK_OK(lk_number_scan(printed(value, out), &number));
  while (number.digits % 10 == 0) {
    number.digits /= 10;
    number.exponent++;
  }
  if (number.digits < 10) return;
  for (uint64_t up = 0; up < 2; up++) {
    int len = snprintf(shorter, sizeof shorter, "%llue%lld",
                       (unsigned long long)(number.digits / 10 + up),
                       (long long)number.exponent + 1);
    lk_err err = lk_number_parse_f64(lk_slice_of(shorter, (size_t)len), &back);
    CHECK(err == LK_ERR_RANGE || (err == LK_OK && back != value));
  }
}

static size_t draw_digits(lk_gen *g, char *out, uint32_t most) {
  uint32_t count = gen_range(g, 1, most);
  uint32_t style = gen_below(g, 4);
  for (uint32_t i = 0; i < count; i++) {
    out[i] = (char)('0' + (style == 0 ? 0 : style == 1 ? 9 : gen_below(g, 10)));
  }
  return count;
}

PROPERTY(any_number_text_is_read_as_strtod_reads_it) {
  char text[128];
  size_t len = 0;
  if (gen_bool(g)) text[len++] = '-';
  text[len++] = (char)('1' + gen_below(g, 9));
  len += draw_digits(g, text + len, 24);
  if (gen_bool(g)) {
    text[len++] = '.';
    len += draw_digits(g, text + len, 40);
  }
  if (gen_bool(g)) len += (size_t)snprintf(text + len, 16, "e%d", (int)gen_below(g, 720) - 380);
  text[len] = 0;
  test_note("%s", text);
  double want = strtod(text, NULL), got = 0;
  lk_err err = lk_number_parse_f64(lk_slice_of(text, len), &got);
  CHECK_ERR(err, isinf(want) ? LK_ERR_RANGE : LK_OK);
  if (err == LK_OK) CHECK_U64(lk_bits_of_f64(got), lk_bits_of_f64(want));
}

/* Goal: numbers next to the middle of two doubles, where only the exact way decides.
 * Method: the last digits of a long expansion of a double plus half of its last place, changed. */
PROPERTY(numbers_around_a_middle_are_read_as_strtod_reads_them) {
  char text[1200];
  uint64_t bits = lk_bits_of_f64(fabs(draw_f64(g)));
  if (gen_chance(g, 3, 4))
    bits = (bits & 0xFFFFFFFFFFFFF) | (uint64_t)gen_range(g, 900, 1150) << 52;
  if (bits >= UINT64_C(0x7FE) << 52) return;
  double low = lk_f64_of_bits(bits), half = lk_f64_of_bits(bits + 1) - low;
  int digits = (int)gen_range(g, 17, 767);
  int len = half / 2 > 0 ? snprintf(text, sizeof text, "%.*Le", digits, (long double)low + half / 2)
                         : snprintf(text, sizeof text, "%.*e", digits, low);
  char *exponent = strchr(text, 'e');
  uint32_t change = gen_below(g, 10);
  exponent[-1] = (char)('0' + change);
  test_note("%.60s... (%d characters)", text, len);
  double want = strtod(text, NULL), got = 0;
  lk_err err = lk_number_parse_f64(lk_slice_of(text, (size_t)len), &got);
  CHECK_ERR(err, LK_OK);
  CHECK_U64(lk_bits_of_f64(got), lk_bits_of_f64(want));
}

/* ---- integers ---- */

PROPERTY(integers_are_read_back_with_all_their_bits) {
  uint8_t out[LK_NUMBER_INT_CHARS];
  uint64_t value = gen_u64(g) >> gen_below(g, 64), back;
  int64_t back_signed;
  char want[32];
  lk_slice text = lk_slice_of(out, lk_number_print_u64(value, out));
  CHECK_SLICE(text,
              lk_slice_of(want, (size_t)snprintf(want, 32, "%llu", (unsigned long long)value)));
  CHECK_OK(lk_number_parse_u64(text, &back));
  CHECK_U64(back, value);

  text = lk_slice_of(out, lk_number_print_i64((int64_t)value, out));
  CHECK_SLICE(text, lk_slice_of(want, (size_t)snprintf(want, 32, "%lld", (long long)value)));
  CHECK_OK(lk_number_parse_i64(text, &back_signed));
  CHECK_I64(back_signed, (int64_t)value);
}

TEST(integers_end_where_their_types_end) {
  uint64_t u = 7;
  int64_t i = 7;
  CHECK_ERR(lk_number_parse_u64(LK_LIT("18446744073709551616"), &u), LK_ERR_RANGE);
  CHECK_ERR(lk_number_parse_u64(LK_LIT("18446744073709551620"), &u), LK_ERR_RANGE);
  CHECK_ERR(lk_number_parse_u64(LK_LIT("20000000000000000000"), &u), LK_ERR_RANGE);
  CHECK_ERR(lk_number_parse_u64(LK_LIT("100000000000000000000"), &u), LK_ERR_RANGE);
  CHECK_ERR(lk_number_parse_u64(LK_LIT("-1"), &u), LK_ERR_RANGE);
  CHECK_ERR(lk_number_parse_i64(LK_LIT("9223372036854775808"), &i), LK_ERR_RANGE);
  CHECK_ERR(lk_number_parse_i64(LK_LIT("-9223372036854775809"), &i), LK_ERR_RANGE);
  CHECK_U64(u, 7);
  CHECK_I64(i, 7);
  CHECK_OK(lk_number_parse_u64(LK_LIT("18446744073709551615"), &u));
  CHECK_U64(u, UINT64_MAX);
  CHECK_OK(lk_number_parse_u64(LK_LIT("-0"), &u));
  CHECK_U64(u, 0);
  CHECK_OK(lk_number_parse_i64(LK_LIT("9223372036854775807"), &i));
  CHECK_I64(i, INT64_MAX);
  CHECK_OK(lk_number_parse_i64(LK_LIT("-9223372036854775808"), &i));
  CHECK_I64(i, INT64_MIN);
  CHECK_OK(lk_number_parse_i64(LK_LIT("-0"), &i));
  CHECK_I64(i, 0);
}

TEST(a_number_with_a_point_or_an_exponent_is_no_integer) {
  uint64_t u;
  int64_t i;
  CHECK_ERR(lk_number_parse_u64(LK_LIT("1.0"), &u), LK_ERR_TYPE);
  CHECK_ERR(lk_number_parse_u64(LK_LIT("1e2"), &u), LK_ERR_TYPE);
  CHECK_ERR(lk_number_parse_i64(LK_LIT("-1.5"), &i), LK_ERR_TYPE);
}

/* ---- the grammar ---- */

TEST(texts_that_are_no_numbers_are_refused_by_name) {
  static const struct {
    lk_slice text;
    lk_err err;
  } cases[] = {
    { LK_LIT_INIT(""), LK_ERR_TRUNCATED },    { LK_LIT_INIT("-"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("1."), LK_ERR_TRUNCATED },  { LK_LIT_INIT("1e"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("1e+"), LK_ERR_TRUNCATED }, { LK_LIT_INIT("+1"), LK_ERR_SYNTAX },
    { LK_LIT_INIT("01"), LK_ERR_SYNTAX },     { LK_LIT_INIT("-01"), LK_ERR_SYNTAX },
    { LK_LIT_INIT(".5"), LK_ERR_SYNTAX },     { LK_LIT_INIT("1.e5"), LK_ERR_SYNTAX },
    { LK_LIT_INIT("1ex"), LK_ERR_SYNTAX },    { LK_LIT_INIT("NaN"), LK_ERR_SYNTAX },
    { LK_LIT_INIT(" 1"), LK_ERR_SYNTAX },     { LK_LIT_INIT("1 "), LK_ERR_TRAILING },
    { LK_LIT_INIT("0x1"), LK_ERR_TRAILING },  { LK_LIT_INIT("1\0"), LK_ERR_TRAILING },
  };
  double f64 = 7;
  uint64_t u64 = 7;
  int64_t i64 = 7;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    test_note("case %zu", i);
    CHECK_ERR(lk_number_parse_f64(cases[i].text, &f64), cases[i].err);
    CHECK_ERR(lk_number_parse_u64(cases[i].text, &u64), cases[i].err);
    CHECK_ERR(lk_number_parse_i64(cases[i].text, &i64), cases[i].err);
  }
  CHECK(f64 == 7 && u64 == 7 && i64 == 7);
}

TEST(a_scan_ends_at_the_first_byte_that_cannot_belong_to_the_number) {
  lk_number n;
  CHECK_OK(lk_number_scan(LK_LIT("-12.50e+3,4"), &n));
  CHECK_TEXT(n.text, "-12.50e+3");
  CHECK(n.negative && !n.integer && n.exact);
  CHECK_U64(n.digits, 1250);
  CHECK_I64(n.exponent, 1);
  CHECK_OK(lk_number_scan(LK_LIT("0]"), &n));
  CHECK_TEXT(n.text, "0");
  CHECK(n.integer && !n.negative);
}

TEST(a_scan_keeps_19_digits_and_says_whether_that_was_all) {
  lk_number n;
  CHECK_OK(lk_number_scan(LK_LIT("0.00012345678901234567890000"), &n));
  CHECK_U64(n.digits, UINT64_C(1234567890123456789));
  CHECK_I64(n.exponent, -22);
  CHECK(n.exact);
  CHECK_OK(lk_number_scan(LK_LIT("12345678901234567890.5e7"), &n));
  CHECK_U64(n.digits, UINT64_C(1234567890123456789));
  CHECK_I64(n.exponent, 8);
  CHECK(!n.exact);
}
