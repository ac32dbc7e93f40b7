/* The way of LK_SMALL, which modules of WebAssembly take: fewer bytes, the same results.
 *
 * codec/number.c is here twice: linked as it is everywhere, and included below as those modules have it. */
#include "harness/test.h"

#define LK_SMALL
#define lk_number_scan small_scan
#define lk_number_get_u64 small_get_u64
#define lk_number_get_i64 small_get_i64
#define lk_number_get_f64 small_get_f64
#define lk_number_parse_u64 small_parse_u64
#define lk_number_parse_i64 small_parse_i64
#define lk_number_parse_f64 small_parse_f64
#define lk_number_print_u64 small_print_u64
#define lk_number_print_i64 small_print_i64
#define lk_number_print_f64 small_print_f64
#include "codec/number.c"
#undef lk_number_parse_f64
#undef lk_number_print_f64

lk_err lk_number_parse_f64(lk_slice text, double *out);
size_t lk_number_print_f64(double value, uint8_t out[LK_NUMBER_F64_CHARS]);

static void check_text(lk_slice text) {
  double small = 7, large = 7;
  lk_err err = lk_number_parse_f64(text, &large);
  CHECK_ERR(small_parse_f64(text, &small), err);
  CHECK_U64(lk_bits_of_f64(small), lk_bits_of_f64(large));
}

static void check_double(double value) {
  uint8_t small[LK_NUMBER_F64_CHARS], large[LK_NUMBER_F64_CHARS];
  lk_slice text = lk_slice_of(large, lk_number_print_f64(value, large));
  CHECK_SLICE(lk_slice_of(small, small_print_f64(value, small)), text);
  check_text(text);
}

TEST(few_bytes_print_and_read_the_ends_of_all_doubles_alike) {
  static const uint64_t ends[] = { 0,
                                   1,
                                   2,
                                   3,
                                   0xFFFFFFFFFFFFF,
                                   0x10000000000000,
                                   0x10000000000001,
                                   0x3FF0000000000000,
                                   0x3FEFFFFFFFFFFFFF,
                                   0x7FEFFFFFFFFFFFFF,
                                   0x7FE0000000000000,
                                   0x44B52D02C7E14AF6,
                                   0x7FF0000000000000,
                                   0x7FF8000000000000 };
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    check_double(lk_f64_of_bits(ends[i]));
    check_double(-lk_f64_of_bits(ends[i]));
  }
}

TEST(few_bytes_print_every_power_of_two_alike) {
  for (uint64_t biased = 1; biased < 2047; biased++) check_double(lk_f64_of_bits(biased << 52));
}

/* Of all sizes, of few bits, and of few digits. */
PROPERTY(few_bytes_print_doubles_alike) {
  uint64_t bits = gen_u64(g);
  check_double(lk_f64_of_bits(bits));
  check_double(lk_f64_of_bits(bits >> gen_below(g, 64)));
  check_double((double)(int64_t)(bits >> gen_below(g, 64)) / powers[gen_below(g, 23)]);
  check_double((double)(bits >> gen_below(g, 64)) * powers[gen_below(g, 23)]);
}

/* Texts next to the middle of two doubles among them: what was printed, with more digits behind. */
PROPERTY(few_bytes_read_texts_alike) {
  uint8_t text[1024];
  size_t len = 0, digits = 1 + gen_below(g, gen_below(g, 20) == 0 ? 900 : 40);
  uint32_t ways = gen_below(g, 3);
  for (size_t i = 0; i < digits; i++) {
    text[len++] = (uint8_t)('0' + (ways == 0 || i < 17 ? gen_below(g, 10) : ways == 1 ? 0 : 9));
    if (i == 0) text[len - 1] = '1', text[len++] = '.';
  }
  text[len++] = (uint8_t)('0' + gen_below(g, 10));
  text[len++] = 'e';
  len += small_print_i64((int64_t)gen_below(g, 700) - 350, text + len);
  check_text(lk_slice_of(text, len));
}
