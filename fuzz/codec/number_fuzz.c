/* Number texts from outside, against a second opinion: strtod() reads what the grammar allows. */
#include "codec/number.h"
#include "harness/test.h"

#include <math.h>
#include <stdlib.h>

static const lk_slice samples[] = {
  LK_LIT_INIT("0"),
  LK_LIT_INIT("-0.0e-0"),
  LK_LIT_INIT("18446744073709551615"),
  LK_LIT_INIT("-9223372036854775808"),
  LK_LIT_INIT("9007199254740993.00000000000000000000000000000000000000001"),
  LK_LIT_INIT("1.7976931348623157e+308"),
  LK_LIT_INIT("2.4703282292062327208e-324"),
  LK_LIT_INIT("1.00000000000000011102230246251565404236316680908203125"),
  LK_LIT_INIT("0.000000000000000000000000000000000000123456789012345678901234567890E+45"),
  LK_LIT_INIT("123456789012345678901234567890123456789012345678901234567890e-80"),
};
#define SAMPLES (sizeof samples / sizeof *samples)

FUZZ(lk_number_scan) {
  uint8_t scratch[256];
  lk_slice in = gen_hostile(g, samples, SAMPLES, scratch, sizeof scratch);
  lk_number number = { .digits = 7 }, again;
  lk_err err = lk_number_scan(in, &number);
  if (err != LK_OK) {
    CHECK(err == LK_ERR_SYNTAX || err == LK_ERR_TRUNCATED);
    CHECK_U64(number.digits, 7);
    return;
  }
  CHECK(number.text.ptr == in.ptr && number.text.len > 0 && number.text.len <= in.len);
  CHECK_OK(lk_number_scan(number.text, &again)); /* alone it is the same number */
  CHECK(again.digits == number.digits && again.exponent == number.exponent);
  CHECK(again.exact == number.exact && again.integer == number.integer);
}

FUZZ(lk_number_parse_f64) {
  uint8_t scratch[256], out[LK_NUMBER_F64_CHARS];
  char text[4096];
  lk_slice in = gen_hostile(g, samples, SAMPLES, scratch, sizeof scratch);
  double value = 7, back;
  lk_err err = lk_number_parse_f64(in, &value);
  if (err != LK_OK) CHECK(value == 7);
  if ((err != LK_OK && err != LK_ERR_RANGE) || in.len >= sizeof text) return;
  memcpy(text, in.ptr, in.len);
  text[in.len] = 0;
  double want = strtod(text, NULL);
  CHECK((isinf(want) != 0) == (err == LK_ERR_RANGE)); /* isinf() gives -1 as well */
  if (err != LK_OK) return;
  CHECK_U64(lk_bits_of_f64(value), lk_bits_of_f64(want));
  CHECK_OK(lk_number_parse_f64(lk_slice_of(out, lk_number_print_f64(value, out)), &back));
  CHECK(back == value);
}

FUZZ(lk_number_parse_u64) {
  uint8_t scratch[256], out[LK_NUMBER_INT_CHARS];
  lk_slice in = gen_hostile(g, samples, SAMPLES, scratch, sizeof scratch);
  uint64_t value;
  if (lk_number_parse_u64(in, &value) != LK_OK) return;
  if (in.ptr[0] == '-') {
    CHECK_U64(value, 0);
  } else {
    /* One text for each value. */
    CHECK_SLICE(lk_slice_of(out, lk_number_print_u64(value, out)), in);
  }
}

FUZZ(lk_number_parse_i64) {
  uint8_t scratch[256], out[LK_NUMBER_INT_CHARS];
  lk_slice in = gen_hostile(g, samples, SAMPLES, scratch, sizeof scratch);
  int64_t value;
  if (lk_number_parse_i64(in, &value) != LK_OK) return;
  if (value == 0 && in.ptr[0] == '-') return;
  CHECK_SLICE(lk_slice_of(out, lk_number_print_i64(value, out)), in);
}
