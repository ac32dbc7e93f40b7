/* codec/number.c -- decimal digits to doubles and back, in 2 kB of tables and without a library.
 *
 * READING. "0.1e-5" is digits * 10^exponent with digits = 1 and exponent = -6. Three ways to the
 * double, each for what the one before it cannot do:
 *
 *   1. digits and 10^|exponent| are both doubles without error (digits up to 2^53, exponents up to
 *      22): one multiplication or division of doubles, rounded once by the processor.
 *   2. An interval. A power of ten is known to 128 bits, so the product with the 64 bits of the
 *      digits is known to lie between two numbers that differ in the last bits of 128:
 *
 *         digits    [ 64 bits ]
 *         power     [ 64 bits | 64 bits ]  + less than 1 in the last place
 *         product   [ 64 bits | 64 bits ]  + less than 2, and more where digits were cut off
 *                     53 bits of these are wanted
 *
 *      Rounding is monotone. Where both ends round to the same double, so does what lies between.
 *   3. Otherwise the number lies next to the middle between two neighbouring doubles, r and the one
 *      above it. One comparison of big integers decides, and it is exact:
 *
 *         D * 10^x  <=>  (2m + 1) * 2^(e-1)     with r = m * 2^e
 *
 *      The middle of two doubles has at most 767 digits, so 768 digits of the text are enough if
 *      a 1 is put behind them for whatever is cut off: the big integers are bounded, 96 words of
 *      32 bits, for a text of any length.
 *
 * PRINTING follows Raffaello Giulietti, "The Schubfach way to render doubles" (2021). The numbers
 * that round to a double v = c * 2^q form an interval around it. With 10^k the greatest power of
 * ten not wider than that interval, there is a multiple of 10^k in it, and at most one multiple
 * of 10^(k+1):
 *
 *      ---(-------|----s------v---s+1---|-------)---
 *                 s'                   s'+10            (multiples of ten units of 10^k)
 *
 * If one of s' and s'+10 lies inside, it has the fewest digits; otherwise the nearer one of s and
 * s+1 is taken, or the one of them that lies inside. All is computed in units of 10^k / 4, as 4v
 * / 10^k rounded to odd: an even result is exact, an odd one may stand for anything around it,
 * which keeps every comparison with an even number right. Trailing zeros go last.
 *
 * POWERS of ten come from powers.gen.h: every 27th to 128 bits, the powers of five between them
 * to 64 bits, and a correction of 0 to 3 for the last place of the product. 10^0 to 10^55 are
 * exact.
 *
 * LK_SMALL does without the table, the interval and Schubfach: reading is way 1, or a guess that way 3 puts right;
 * printing tries few digits by way 1, and else finds one digit after the other in big integers (Steele and White,
 * 1990). The results are the same; what way 1 cannot do takes microseconds.
 *
 * Not chosen: a full table (10 kB in every browser); reading by way of long double (not the same
 * everywhere); digits in decimal arrays that are shifted bit by bit (slow where an attacker wants
 * it to be); __int128 as the only multiplication (bare wasm32 has no such helper, see
 * multiply()). */
#include <float.h>

#include "codec/number.h"
#if !defined(LK_SMALL)
#include "codec/powers.gen.h"
#endif

/* What a module has in another way: wasm/doc_number.c. */
#if defined(LK_SMALL)
#define REPLACEABLE __attribute__((weak))
#else
#define REPLACEABLE
#endif

enum {
  DIGITS_KEPT = 19,   /* 10^19 - 1 is below 2^64 */
  DIGITS_EXACT = 768, /* one more than the middle of two doubles can have */
  BIG_WORDS = 96,
};

static const uint64_t F64_HIDDEN = (uint64_t)1 << 52;
static const uint64_t F64_INFINITY = (uint64_t)0x7FF << 52;
static const uint64_t F64_SIGN = (uint64_t)1 << 63;

/* A logarithm by multiplication, rounded down. The script that makes the powers proves this formula and those below for
 * all exponents that occur. */
static inline int32_t log10_of_pow2(int32_t q) { return (q * 1262611) >> 22; }

#if !defined(LK_SMALL)

/* ---- 128 bits ---- */

typedef struct wide {
  uint64_t hi;
  uint64_t lo;
} wide;

#if defined(__SIZEOF_INT128__) && !defined(__wasm__)
static inline wide multiply(uint64_t a, uint64_t b) {
  __extension__ typedef unsigned __int128 native;
  native product = (native)a * b;
  return (wide){ (uint64_t)(product >> 64), (uint64_t)product };
}
#else
static inline wide multiply(uint64_t a, uint64_t b) {
  uint64_t a1 = a >> 32, a0 = a & UINT32_MAX, b1 = b >> 32, b0 = b & UINT32_MAX;
  uint64_t low = a0 * b0;
  uint64_t middle = a1 * b0 + (low >> 32); /* (2^32-1)^2 + 2^32-1 still fits */
  /* Clang 22 sees through this, makes one multiplication of 128 bits of it, and calls __multi3 for
   * that, which wasm32 has only as a function. A value that might change here stops it. */
  __asm__("" : "+r"(middle));
  uint64_t other = a0 * b1 + (middle & UINT32_MAX);
  return (wide){ a1 * b1 + (middle >> 32) + (other >> 32), other << 32 | (low & UINT32_MAX) };
}
#endif

/* The upper 128 bits of the 192 of a * b, and in |rest| the others. */
static inline wide multiply_wide(wide a, uint64_t b, uint64_t *rest) {
  wide high = multiply(a.hi, b), low = multiply(a.lo, b);
  uint64_t middle = high.lo + low.hi;
  *rest = low.lo;
  return (wide){ high.hi + (middle < low.hi), middle };
}

/* p with p * 2^(log2_of_power(e) - 127) <= 10^e, less than 1 off in the last place of p, and its
 * topmost bit set. Without error for 10^0 to 10^55. */
static inline wide power_of_ten(int32_t e) {
  LK_ASSERT(e >= POWER_MIN && e <= POWER_MAX);
  uint32_t index = (uint32_t)(e - POWER_MIN);
  const uint64_t *coarse = power_coarse[index / POWER_STEP];
  uint64_t rest;
  wide p = multiply_wide((wide){ coarse[0], coarse[1] }, power_fine[index % POWER_STEP], &rest);
  if (p.hi >> 63 == 0) p = (wide){ p.hi << 1 | p.lo >> 63, p.lo << 1 | rest >> 63 };
  uint64_t fix = (uint64_t)power_fix[index / 4] >> (index % 4 * 2) & 3;
  p.lo += fix;
  p.hi += p.lo < fix;
  return p;
}

static inline bool power_is_exact(int32_t e) { return e >= 0 && e <= 55; }

static inline int32_t log2_of_power(int32_t e) { return (e * 217706) >> 16; }
static inline int32_t log10_of_3_quarters_pow2(int32_t q) { return (q * 1262611 - 524031) >> 22; }

#endif /* !LK_SMALL */

/* ---- taking a text apart ---- */

static inline bool is_digit(uint8_t byte) { return (uint8_t)(byte - '0') <= 9; }

/* Reads digits, at least one; |value| collects them and wraps around where there are too many. */
static lk_err scan_digits(const uint8_t **at, const uint8_t *end, uint64_t *value) {
  const uint8_t *p = *at;
  if (p == end) return LK_ERR_TRUNCATED;
  if (!is_digit(*p)) return LK_ERR_SYNTAX;
  uint64_t sum = *value;
  do {
    sum = sum * 10 + (uint64_t)(*p - '0');
    p++;
  } while (p < end && is_digit(*p));
  *value = sum;
  *at = p;
  return LK_OK;
}

/* What stands behind an 'e'. Saturates where no text in memory could make up for it. */
static lk_err scan_exponent(const uint8_t **at, const uint8_t *end, int64_t *out) {
  static const int64_t most = INT64_MAX / 16;
  const uint8_t *p = *at;
  bool negative = p < end && *p == '-';
  if (p < end && (*p == '-' || *p == '+')) p++;
  if (p == end) return LK_ERR_TRUNCATED;
  if (!is_digit(*p)) return LK_ERR_SYNTAX;
  int64_t value = 0;
  for (; p < end && is_digit(*p); p++) {
    if (value < most / 10) value = value * 10 + (*p - '0');
  }
  *out = negative ? -value : value;
  *at = p;
  return LK_OK;
}

/* The long way to |digits| and |exponent|, for texts with more digits than fit, zeros at the
 * front included. On entry |exponent| is what was written behind the 'e'. */
static void collect_digits(lk_number *self) {
  uint32_t count = 0;
  bool fraction = false;
  self->digits = 0;
  for (size_t i = self->negative; i < self->text.len; i++) {
    uint8_t byte = self->text.ptr[i];
    if (byte == '.') {
      fraction = true;
    } else if (!is_digit(byte)) {
      break;
    } else if (count == DIGITS_KEPT) {
      self->exact &= byte == '0';
      self->exponent += !fraction;
    } else {
      self->digits = self->digits * 10 + (uint64_t)(byte - '0');
      self->exponent -= fraction;
      count += self->digits != 0;
    }
  }
}

lk_err lk_number_scan(lk_slice text, lk_number *out) {
  lk_err err;
  if (text.len == 0) return LK_ERR_TRUNCATED;
  const uint8_t *p = text.ptr, *end = p + text.len;
  lk_number n = { .integer = true, .exact = true, .negative = *p == '-' };
  p += n.negative;

  const uint8_t *begin = p;
  if ((err = scan_digits(&p, end, &n.digits)) != LK_OK) return err;
  size_t count = (size_t)(p - begin);
  if (count > 1 && *begin == '0') return LK_ERR_SYNTAX;
  size_t fraction = 0;
  if (p < end && *p == '.') {
    n.integer = false;
    begin = ++p;
    if ((err = scan_digits(&p, end, &n.digits)) != LK_OK) return err;
    fraction = (size_t)(p - begin);
  }
  if (p < end && (*p | 0x20) == 'e') {
    n.integer = false;
    p++;
    if ((err = scan_exponent(&p, end, &n.exponent)) != LK_OK) return err;
  }

  n.text = lk_slice_first(text, (size_t)(p - text.ptr));
  if (count + fraction > DIGITS_KEPT) {
    collect_digits(&n);
  } else {
    n.exponent -= (int64_t)fraction;
  }
  *out = n;
  return LK_OK;
}

/* ---- integers ---- */

/* The magnitude of a number that is written as an integer. */
static lk_err get_magnitude(const lk_number *self, uint64_t *out) {
  if (!self->integer) return LK_ERR_TYPE;
  uint64_t value = 0;
  if (self->text.len - self->negative <= DIGITS_KEPT) {
    value = self->digits;
  } else {
    for (size_t i = self->negative; i < self->text.len; i++) {
      uint64_t digit = (uint64_t)(self->text.ptr[i] - '0');
      if (value > (UINT64_MAX - digit) / 10) return LK_ERR_RANGE;
      value = value * 10 + digit;
    }
  }
  *out = value;
  return LK_OK;
}

lk_err lk_number_get_u64(const lk_number *self, uint64_t *out) {
  uint64_t magnitude;
  lk_err err = get_magnitude(self, &magnitude);
  if (err != LK_OK) return err;
  if (self->negative && magnitude != 0) return LK_ERR_RANGE;
  *out = magnitude;
  return LK_OK;
}

lk_err lk_number_get_i64(const lk_number *self, int64_t *out) {
  uint64_t magnitude;
  lk_err err = get_magnitude(self, &magnitude);
  if (err != LK_OK) return err;
  if (magnitude > (uint64_t)INT64_MAX + self->negative) return LK_ERR_RANGE;
  /* -(2^63) cannot be made by negating a positive int64_t. */
  *out = self->negative && magnitude != 0 ? -(int64_t)(magnitude - 1) - 1 : (int64_t)magnitude;
  return LK_OK;
}

/* ---- big integers, for what has to be exact ---- */

typedef struct big {
  uint32_t count; /* words in use; the last of them is not 0 */
  uint32_t word[BIG_WORDS];
} big;

static void big_push(big *self, uint32_t word) {
  if (word == 0) return;
  LK_ASSERT(self->count < BIG_WORDS);
  self->word[self->count++] = word;
}

static void big_init(big *self, uint64_t value) {
  self->count = 0;
  if (value == 0) return;
  self->word[self->count++] = (uint32_t)value;
  big_push(self, (uint32_t)(value >> 32));
}

/* self = self * factor + more; |factor| is not 0. */
static void big_multiply_add(big *self, uint32_t factor, uint32_t more) {
  uint64_t carry = more;
  for (uint32_t i = 0; i < self->count; i++) {
    carry += (uint64_t)self->word[i] * factor;
    self->word[i] = (uint32_t)carry;
    carry >>= 32;
  }
  big_push(self, (uint32_t)carry);
}

static void big_multiply_pow5(big *self, uint32_t exponent) {
  static const uint32_t five_to_13 = 1220703125;
  for (; exponent >= 13; exponent -= 13) big_multiply_add(self, five_to_13, 0);
  uint32_t factor = 1;
  for (; exponent > 0; exponent--) factor *= 5;
  big_multiply_add(self, factor, 0);
}

static void big_shift_left(big *self, uint32_t bits) {
  uint32_t words = bits / 32;
  big_multiply_add(self, (uint32_t)1 << bits % 32, 0);
  if (self->count == 0) return;
  LK_ASSERT(words <= BIG_WORDS - self->count);
  memmove(self->word + words, self->word, self->count * sizeof *self->word);
  memset(self->word, 0, words * sizeof *self->word);
  self->count += words;
}

static int big_compare(const big *a, const big *b) {
  if (a->count != b->count) return a->count < b->count ? -1 : 1;
  for (uint32_t i = a->count; i > 0; i--) {
    if (a->word[i - 1] != b->word[i - 1]) return a->word[i - 1] < b->word[i - 1] ? -1 : 1;
  }
  return 0;
}

/* a / b becomes a / b * 10^tens * 2^twos. */
static void big_scale(big *a, big *b, int32_t tens, int32_t twos) {
  int32_t shift = tens + twos; /* 10^x is 5^x * 2^x */
  big_multiply_pow5(tens >= 0 ? a : b, (uint32_t)(tens >= 0 ? tens : -tens));
  big_shift_left(shift >= 0 ? a : b, (uint32_t)(shift >= 0 ? shift : -shift));
}

/* The digits of the text, at most DIGITS_EXACT, and behind them a 1 if something else than zeros
 * was cut off. Returns how many digits |out| has. Only for a number that is not |exact|: it has
 * more than 19. */
static uint32_t big_read_digits(const lk_number *number, big *out) {
  uint32_t count = 0, chunk = 0, scale = 1;
  bool more = false;
  big_init(out, 0);
  for (size_t i = number->negative; i < number->text.len && !more; i++) {
    uint8_t byte = number->text.ptr[i];
    if (byte == '.' || (count == 0 && byte == '0')) continue;
    if (!is_digit(byte)) break;
    if (count == DIGITS_EXACT) {
      more = byte != '0';
      continue;
    }
    chunk = chunk * 10 + (uint32_t)(byte - '0');
    scale *= 10;
    count++;
    if (scale == 1000000000) {
      big_multiply_add(out, scale, chunk);
      chunk = 0;
      scale = 1;
    }
  }
  big_multiply_add(out, scale, chunk);
  if (!more) return count;
  LK_COVERED(number_more_digits_than_matter);
  big_multiply_add(out, 10, 1);
  return count + 1;
}

/* Below, equal to or above 0: the number against the middle between the double of |bits| and the
 * next one. */
static int compare_with_middle(const lk_number *number, uint64_t bits) {
  big decimal, middle;
  int32_t exponent = (int32_t)number->exponent;
  if (number->exact) {
    big_init(&decimal, number->digits);
  } else {
    exponent -= (int32_t)big_read_digits(number, &decimal) - DIGITS_KEPT;
  }

  int32_t biased = (int32_t)(bits >> 52);
  uint64_t fraction = bits & (F64_HIDDEN - 1);
  uint64_t mantissa = biased > 0 ? fraction | F64_HIDDEN : fraction;
  big_init(&middle, 2 * mantissa + 1);
  int32_t middle_pow2 = (biased > 0 ? biased : 1) - 1076;

  big_scale(&decimal, &middle, exponent, -middle_pow2);
  return big_compare(&decimal, &middle);
}

/* ---- doubles from decimals ---- */

#define POWER_F64_MAX 22
/* Those that are doubles without error. */
static const double powers[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                 1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };

/* Whether the double after that of |bits| is the nearer one; in the middle that is the even one. */
static bool rounds_up(const lk_number *number, uint64_t bits) {
  int order = compare_with_middle(number, bits);
  return order > 0 || (order == 0 && (bits & 1) != 0);
}

#if defined(LK_SMALL)

/* The same in few bytes: from a double that is not far off to the right one, by way 3 alone. */
static uint64_t nearest_bits(const lk_number *number) {
  if (number->digits == 0 || number->exponent < -342) return 0;
  if (number->exponent > 308) return F64_INFINITY;
  double value = (double)number->digits;
  for (int64_t e = number->exponent; e > 0; e -= POWER_F64_MAX)
    value *= powers[e < POWER_F64_MAX ? e : POWER_F64_MAX];
  for (int64_t e = number->exponent; e < 0; e += POWER_F64_MAX)
    value /= powers[-e < POWER_F64_MAX ? -e : POWER_F64_MAX];
  uint64_t bits = lk_bits_of_f64(value);
  if (bits == F64_INFINITY) bits--;
  while (bits < F64_INFINITY && rounds_up(number, bits)) bits++;
  while (bits > 0 && !rounds_up(number, bits - 1)) bits--;
  return bits;
}

#else

/* The bits of the double nearest to value * 2^exponent, in units of the upper word; ties to
 * even. */
static uint64_t round_to_f64(wide value, int32_t exponent) {
  if (value.hi >> 63 == 0) {
    value = (wide){ value.hi << 1 | value.lo >> 63, value.lo << 1 };
    exponent--;
  }
  int32_t biased = exponent + 63 + 1023, shift = 11;
  if (biased < 1) { /* subnormal: fewer bits are kept */
    shift += 1 - biased;
    biased = 1;
  }
  if (shift > 64) return 0;
  uint64_t kept = shift == 64 ? 0 : value.hi >> shift;
  uint64_t half = (uint64_t)1 << (shift - 1);
  bool above = (value.hi & (half - 1)) != 0 || value.lo != 0;
  if ((value.hi & half) != 0 && (above || (kept & 1) != 0)) kept++;
  /* The hidden bit adds the last 1 to the exponent, and so does a carry out of the fraction. */
  uint64_t bits = ((uint64_t)(biased - 1) << 52) + kept;
  return bits < F64_INFINITY ? bits : F64_INFINITY;
}

/* The bits without the sign, by ways 2 and 3 of the essay. */
static uint64_t nearest_bits(const lk_number *number) {
  if (number->digits == 0 || number->exponent < -342) return 0;
  if (number->exponent > 308) return F64_INFINITY;
  int32_t e = (int32_t)number->exponent;
  unsigned zeros = lk_clz_u64(number->digits);
  int32_t exponent = log2_of_power(e) + 1 - (int32_t)zeros;

  uint64_t rest;
  wide low = multiply_wide(power_of_ten(e), number->digits << zeros, &rest);
  wide high = low;
  if (!number->exact) high.hi += (uint64_t)1 << zeros;
  if (!power_is_exact(e) || rest != 0) {
    high.lo += 2;
    high.hi += high.lo < 2;
  }
  uint64_t bits = round_to_f64(low, exponent);
  bool wrapped = high.hi < low.hi;
  if (bits == F64_INFINITY || (!wrapped && bits == round_to_f64(high, exponent))) return bits;

  LK_COVERED(number_next_to_a_middle);
  return bits + rounds_up(number, bits);
}

#endif

/* Way 1: true where one operation on doubles gives the result. */
static inline bool nearest_by_f64(const lk_number *number, double *out) {
#if FLT_EVAL_METHOD == 0
  if (number->digits > 2 * F64_HIDDEN) return false; /* as it is where more digits follow */
  if (number->exponent < -POWER_F64_MAX || number->exponent > POWER_F64_MAX) return false;
  double digits = (double)number->digits;
  *out = number->exponent < 0 ? digits / powers[-number->exponent]
                              : digits * powers[number->exponent];
  return true;
#else
  (void)number; /* doubles are computed with more bits here, and would be rounded twice */
  (void)out;
  return false;
#endif
}

REPLACEABLE lk_err lk_number_get_f64(const lk_number *self, double *out) {
  double value;
  if (!nearest_by_f64(self, &value)) {
    uint64_t bits = nearest_bits(self);
    if (bits == F64_INFINITY) return LK_ERR_RANGE;
    value = lk_f64_of_bits(bits);
  }
  *out = self->negative ? -value : value;
  return LK_OK;
}

/* ---- a text that is nothing but a number ---- */

static lk_err scan_whole(lk_slice text, lk_number *out) {
  lk_number number;
  lk_err err = lk_number_scan(text, &number);
  if (err != LK_OK) return err;
  if (number.text.len != text.len) return LK_ERR_TRAILING;
  *out = number;
  return LK_OK;
}

lk_err lk_number_parse_u64(lk_slice text, uint64_t *out) {
  lk_number number;
  lk_err err = scan_whole(text, &number);
  return err == LK_OK ? lk_number_get_u64(&number, out) : err;
}

lk_err lk_number_parse_i64(lk_slice text, int64_t *out) {
  lk_number number;
  lk_err err = scan_whole(text, &number);
  return err == LK_OK ? lk_number_get_i64(&number, out) : err;
}

lk_err lk_number_parse_f64(lk_slice text, double *out) {
  lk_number number;
  lk_err err = scan_whole(text, &number);
  return err == LK_OK ? lk_number_get_f64(&number, out) : err;
}

/* ---- printing integers ---- */

#if defined(LK_SMALL)

/* Writes the digits of |value| in front of |end| and returns where they begin. */
static uint8_t *digits_before(uint8_t *end, uint64_t value) {
  do {
    *--end = (uint8_t)('0' + value % 10);
    value /= 10;
  } while (value > 0);
  return end;
}

#else

static uint8_t *digits_before(uint8_t *end, uint64_t value) {
  static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233"
                              "34353637383940414243444546474849505152535455565758596061626364656667"
                              "6869707172737475767778798081828384858687888990919293949596979899";
  while (value >= 100) {
    end -= 2;
    memcpy(end, pairs + value % 100 * 2, 2);
    value /= 100;
  }
  if (value < 10) {
    *--end = (uint8_t)('0' + value);
    return end;
  }
  end -= 2;
  memcpy(end, pairs + value * 2, 2);
  return end;
}

#endif

size_t lk_number_print_u64(uint64_t value, uint8_t out[LK_NUMBER_INT_CHARS]) {
  uint8_t digits[LK_NUMBER_INT_CHARS];
  const uint8_t *begin = digits_before(digits + sizeof digits, value);
  size_t len = (size_t)(digits + sizeof digits - begin);
  memcpy(out, begin, len);
  return len;
}

size_t lk_number_print_i64(int64_t value, uint8_t out[LK_NUMBER_INT_CHARS]) {
  if (value >= 0) return lk_number_print_u64((uint64_t)value, out);
  uint8_t digits[LK_NUMBER_INT_CHARS];
  size_t len = lk_number_print_u64(-(uint64_t)value, digits); /* 19 digits at most */
  out[0] = '-';
  memcpy(out + 1, digits, len);
  return len + 1;
}

/* ---- printing doubles ---- */

typedef struct decimal {
  uint64_t digits;
  int32_t exponent;
} decimal;

#if defined(LK_SMALL)

/* self += factor * other; |factor| is -1 to 2, and the sum not below 0. */
static void big_add(big *self, const big *other, int32_t factor) {
  int64_t carry = 0;
  for (uint32_t i = 0; i < other->count || (i < self->count && carry != 0); i++) {
    if (i == self->count) self->word[self->count++] = 0;
    carry += self->word[i];
    if (i < other->count) carry += (int64_t)factor * other->word[i];
    self->word[i] = (uint32_t)carry;
    carry >>= 32;
  }
  big_push(self, (uint32_t)carry);
  while (self->count > 0 && self->word[self->count - 1] == 0) self->count--;
}

/* What people write has few digits behind the point. Of up to 15 digits a double has one decimal at most, and
 * by way 1 it is known to read back. */
static bool short_decimal(double value, decimal *out) {
  for (int32_t i = 0; i <= POWER_F64_MAX && value * powers[i] < 1e15; i++) {
    uint64_t digits = (uint64_t)(value * powers[i] + 0.5);
    *out = (decimal){ digits, -i };
    if ((double)digits / powers[i] == value) return true;
  }
  return false;
}

/* The shortest decimal that reads back as the double of |bits|: positive, finite, not 0. In few bytes: as Steele
 * and White found it (1990), one digit after the other until what is left lies within the interval. The value is
 * rest / one; a quarter of the distance to the next double is |step| / one. */
static decimal shortest_decimal(uint64_t bits) {
  uint64_t fraction = bits & (F64_HIDDEN - 1);
  int32_t biased = (int32_t)(bits >> 52);
  uint64_t c = biased > 0 ? fraction | F64_HIDDEN : fraction;
  int32_t q = (biased > 0 ? biased : 1) - 1075, even = (c & 1) == 0;
  bool uneven = fraction == 0 && biased > 1; /* as below: the interval is shorter on that side */
  decimal d;
  if (short_decimal(lk_f64_of_bits(bits), &d)) return d;
  d = (decimal){ 0, log10_of_pow2(q + 63 - (int32_t)lk_clz_u64(c)) + 1 };
  big rest, one, step, sum;
  big_init(&rest, 4 * c);
  big_init(&one, 4);
  big_init(&step, 1);
  big_init(&sum, 1);
  big_scale(&rest, &one, -d.exponent, q);
  big_scale(&step, &sum, -d.exponent, q);
  for (;; d.exponent--) {
    for (d.digits *= 10; big_compare(&rest, &one) >= 0; d.digits++) big_add(&rest, &one, -1);
    sum = step;
    big_multiply_add(&sum, uneven ? 1 : 2, 0);
    bool down = big_compare(&rest, &sum) < even;
    sum = rest;
    big_add(&sum, &step, 2);
    bool up = big_compare(&sum, &one) > -even;
    if (down && up) {
      sum = rest;
      big_add(&sum, &rest, 1);
      int order = big_compare(&sum, &one);
      up = order > 0 || (order == 0 && (d.digits & 1) != 0);
    }
    if (down || up) return (decimal){ d.digits + up, d.exponent };
    big_multiply_add(&rest, 10, 0);
    big_multiply_add(&step, 10, 0);
  }
}

#else

/* power * factor / 2^128, rounded to odd: the last bit is set where anything was cut off. The
 * power is rounded up by less than 1, which is less than 2^64 in the product. So |rest| says
 * nothing, and without it an exact result is seen as one; no other result comes so close to an
 * integer, as the paper shows. */
static inline uint64_t multiply_to_odd(wide power, uint64_t factor) {
  uint64_t rest;
  wide product = multiply_wide(power, factor, &rest);
  return product.hi | (product.lo != 0);
}

/* The nearer one of s and s + 1, or the one of them inside of the interval; |v| is 4 times the
 * value. */
static uint64_t nearer_of_two(uint64_t s, uint64_t v, uint64_t low, uint64_t high) {
  bool down = low <= 4 * s, up = 4 * s + 4 <= high;
  if (down != up) return s + up;
  uint64_t middle = 4 * s + 2;
  return s + (v > middle || (v == middle && (s & 1) != 0));
}

static decimal strip_zeros(decimal d) {
  if (d.digits % 100000000 == 0) {
    d.digits /= 100000000;
    d.exponent += 8;
  }
  while (d.digits % 10 == 0) {
    d.digits /= 10;
    d.exponent++;
  }
  return d;
}

/* The shortest decimal that reads back as the double of |bits|: positive, finite, not 0. */
static decimal shortest_decimal(uint64_t bits) {
  uint64_t fraction = bits & (F64_HIDDEN - 1);
  int32_t biased = (int32_t)(bits >> 52);
  uint64_t c = biased > 0 ? fraction | F64_HIDDEN : fraction;
  int32_t q = (biased > 0 ? biased : 1) - 1075;

  /* Below a power of two doubles lie twice as dense, so the interval is shorter on that side. */
  bool uneven = fraction == 0 && biased > 1;
  int32_t k = uneven ? log10_of_3_quarters_pow2(q) : log10_of_pow2(q);
  int32_t shift = q + log2_of_power(-k) + 1;
  wide power = power_of_ten(-k);
  if (!power_is_exact(-k)) {
    power.lo++;
    power.hi += power.lo == 0;
  }
  uint64_t v = multiply_to_odd(power, (4 * c) << shift);
  uint64_t low = multiply_to_odd(power, (4 * c - 2 + uneven) << shift);
  uint64_t high = multiply_to_odd(power, (4 * c + 2) << shift);
  /* The ends of the interval round to the even neighbour: they belong to it if that is c. */
  low += c & 1;
  high -= c & 1;

  uint64_t s = v / 4;
  if (s >= 10) {
    uint64_t tens = s / 10;
    bool down = low <= 40 * tens, up = 40 * tens + 40 <= high;
    if (down != up) return strip_zeros((decimal){ tens + up, k + 1 });
  }
  return strip_zeros((decimal){ nearer_of_two(s, v, low, high), k });
}

#endif

static size_t print_exponent_form(const uint8_t *digits, size_t count, int32_t exponent,
                                  uint8_t *out) {
  size_t len = 0;
  out[len++] = digits[0];
  if (count > 1) {
    out[len++] = '.';
    memcpy(out + len, digits + 1, count - 1);
    len += count - 1;
  }
  out[len++] = 'e';
  out[len++] = exponent < 0 ? '-' : '+';
  return len + lk_number_print_u64((uint64_t)(exponent < 0 ? -exponent : exponent), out + len);
}

/* ECMA-262, Number::toString. |point| is how many of the digits stand before the decimal point. */
static size_t print_decimal(decimal d, uint8_t *out) {
  uint8_t digits[LK_NUMBER_INT_CHARS];
  size_t count = lk_number_print_u64(d.digits, digits);
  int32_t point = (int32_t)count + d.exponent;
  if (point > 21 || point <= -6) return print_exponent_form(digits, count, point - 1, out);
  if (point <= 0) {
    size_t zeros = (size_t)-point;
    memcpy(out, "0.00000", 2 + zeros);
    memcpy(out + 2 + zeros, digits, count);
    return 2 + zeros + count;
  }
  size_t whole = (size_t)point;
  if (whole >= count) {
    memcpy(out, digits, count);
    memset(out + count, '0', whole - count);
    return whole;
  }
  memcpy(out, digits, whole);
  out[whole] = '.';
  memcpy(out + whole + 1, digits + whole, count - whole);
  return count + 1;
}

static size_t print_positive(double value, uint8_t *out) {
  /* Neighbouring integers below 2^53 are told apart by all of their digits, so none can be left
   * out. */
  if (value < 9007199254740992.0) {
    uint64_t whole = (uint64_t)value;
    if ((double)whole == value) return lk_number_print_u64(whole, out);
  }
  return print_decimal(shortest_decimal(lk_bits_of_f64(value)), out);
}

static size_t print_word(lk_slice word, uint8_t *out) {
  memcpy(out, word.ptr, word.len);
  return word.len;
}

REPLACEABLE size_t lk_number_print_f64(double value, uint8_t out[LK_NUMBER_F64_CHARS]) {
  uint64_t bits = lk_bits_of_f64(value) & ~F64_SIGN;
  if (bits > F64_INFINITY) return print_word(LK_LIT("NaN"), out);
  bool negative = value < 0; /* -0 is not */
  if (negative) *out++ = '-';
  if (bits == F64_INFINITY) return negative + print_word(LK_LIT("Infinity"), out);
  return negative + print_positive(lk_f64_of_bits(bits), out);
}
