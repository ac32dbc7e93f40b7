/* codec/number.h -- decimal numbers: read exactly, printed as JavaScript prints them.
 *
 * The grammar is JSON's (RFC 8259 §6), everywhere in this header:
 *
 *   number := "-"? ( "0" | [1-9][0-9]* ) ( "." [0-9]+ )? ( [eE] [+-]? [0-9]+ )?
 *
 * so no "+1", ".5", "1.", "01", "0x1", "NaN". Reading happens in two steps: lk_number_scan()
 * takes the text apart, and the getters make the type that the caller wants of it. Integers are
 * never read by way of a double: all 64 bits are exact. Doubles are rounded to the nearest, ties
 * to even, for any number of digits and any exponent. Nothing is allocated, and the time is
 * proportional to the text with a small factor: no text is a slow one (essay in number.c). */
#ifndef LK_CODEC_NUMBER_H
#define LK_CODEC_NUMBER_H

#include "base/base.h"

/* A number text, taken apart: its magnitude is digits * 10^exponent, and where |exact| is false a
 * little more, less than one unit of |digits|, which then holds 19 digits. */
typedef struct lk_number {
  lk_slice text;    /* all of it, borrowed from what was scanned */
  uint64_t digits;  /* all, or the first 19 behind the zeros at the front */
  int64_t exponent; /* kept within what cannot overflow; far beyond what a double can hold */
  bool negative;    /* written with a minus sign: also "-0" */
  bool integer;     /* written without point and exponent */
  bool exact;
} lk_number;

/* Reads the number that |text| begins with, up to the first byte that cannot belong to it; what
 * follows is not looked at, except that a digit behind a leading 0 is an error. |out->text| is
 * what was read. LK_ERR_TRUNCATED where the text ends inside a number (also where it is empty),
 * LK_ERR_SYNTAX where a byte stands that the grammar does not allow; then |out| is as before. */
lk_err lk_number_scan(lk_slice text, lk_number *out) LK_MUST_USE;

/* LK_ERR_TYPE where the number is not written as an integer ("1.0" and "1e2" are not), LK_ERR_RANGE
 * where it does not fit. "-0" is the integer 0 for both. On failure |out| is as before. */
lk_err lk_number_get_u64(const lk_number *self, uint64_t *out) LK_MUST_USE;
lk_err lk_number_get_i64(const lk_number *self, int64_t *out) LK_MUST_USE;

/* The nearest double. LK_ERR_RANGE where that would be an infinity (JavaScript reads one), with
 * |out| as before. What is too small becomes 0 or a subnormal number; "-0" becomes -0.0. */
lk_err lk_number_get_f64(const lk_number *self, double *out) LK_MUST_USE;

/* Scan and get of a text that is nothing but a number. LK_ERR_TRAILING where something follows. */
lk_err lk_number_parse_u64(lk_slice text, uint64_t *out) LK_MUST_USE;
lk_err lk_number_parse_i64(lk_slice text, int64_t *out) LK_MUST_USE;
lk_err lk_number_parse_f64(lk_slice text, double *out) LK_MUST_USE;

/* Room that is always enough for the functions below. */
#define LK_NUMBER_INT_CHARS 20
#define LK_NUMBER_F64_CHARS 25

/* Write |value| to |out| and return how many bytes; no NUL behind them. */
size_t lk_number_print_u64(uint64_t value, uint8_t out[LK_NUMBER_INT_CHARS]);
size_t lk_number_print_i64(int64_t value, uint8_t out[LK_NUMBER_INT_CHARS]);

/* As JavaScript's String(value): the fewest digits that read back as |value|, of those the nearest
 * to it; in full below 1e21 and from 1e-6, with an exponent elsewhere ("1e+21", "1.5e-7"). -0 is
 * "0"; also writes "NaN", "Infinity" and "-Infinity", which are not numbers to any reader here. */
size_t lk_number_print_f64(double value, uint8_t out[LK_NUMBER_F64_CHARS]);

#endif
