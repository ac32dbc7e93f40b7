/* base/slice.h -- borrowed bytes, cut with care.
 *
 * An lk_slice (laniakea/types.h) is a pointer and a length. Cutting one by hand is where
 * parsers go wrong, so it is done here: lk_slice_first and lk_slice_skip take at most what is
 * there, and lk_slice_at asserts its index. NUL has no meaning. */
#ifndef LK_BASE_SLICE_H
#define LK_BASE_SLICE_H

#include "base/check.h"
#include "base/mem.h"
#include "base/num.h"
#include "laniakea/types.h"

/* A slice of a string literal, as an expression and as an initialiser of a constant. */
#define LK_LIT(literal) ((lk_slice)LK_LIT_INIT(literal))
#define LK_LIT_INIT(literal)                                                                       \
  { (const uint8_t *)("" literal), sizeof(literal) - 1 }

#define LK_SLICE_EMPTY ((lk_slice){ 0 })

static inline lk_slice lk_slice_of(const void *ptr, size_t len) {
  return (lk_slice){ (const uint8_t *)ptr, len };
}

/* The bytes of a C string up to its NUL; for names that the program itself supplies. */
static inline lk_slice lk_slice_cstr(const char *text) {
  size_t len = 0;
  while (text[len] != 0) len++;
  return (lk_slice){ (const uint8_t *)text, len };
}

static inline uint8_t lk_slice_at(lk_slice s, size_t index) {
  LK_ASSERT(index < s.len);
  return s.ptr[index];
}

/* The first |count| bytes, or all where there are fewer. */
static inline lk_slice lk_slice_first(lk_slice s, size_t count) {
  return (lk_slice){ s.ptr, count < s.len ? count : s.len };
}

/* What is left after |count| bytes; empty where there are fewer. */
static inline lk_slice lk_slice_skip(lk_slice s, size_t count) {
  if (s.len == 0) return s; /* NULL + 0 is undefined before C23 */
  size_t n = count < s.len ? count : s.len;
  return (lk_slice){ s.ptr + n, s.len - n };
}

/* The last |count| bytes, or all where there are fewer. */
static inline lk_slice lk_slice_last(lk_slice s, size_t count) {
  return lk_slice_skip(s, count < s.len ? s.len - count : 0);
}

static inline bool lk_slice_equal(lk_slice a, lk_slice b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Below, equal to or above zero, in the order of unsigned bytes; a prefix comes first. This is
 * also the order of code points of valid UTF-8. */
static inline int lk_slice_compare(lk_slice a, lk_slice b) {
  size_t n = a.len < b.len ? a.len : b.len;
  int order = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);
  if (order != 0) return order;
  return (a.len > b.len) - (a.len < b.len);
}

static inline bool lk_slice_starts_with(lk_slice s, lk_slice prefix) {
  return s.len >= prefix.len && lk_slice_equal(lk_slice_first(s, prefix.len), prefix);
}

static inline bool lk_slice_ends_with(lk_slice s, lk_slice suffix) {
  return s.len >= suffix.len && lk_slice_equal(lk_slice_last(s, suffix.len), suffix);
}

/* ASCII letters compare without regard to case, other bytes exactly: HTTP's header names. */
bool lk_slice_equal_nocase(lk_slice a, lk_slice b);

#define LK_SLICE_NONE SIZE_MAX

/* The index of the first |byte|, or LK_SLICE_NONE. */
size_t lk_slice_find_byte(lk_slice s, uint8_t byte);

/* The index at which |needle| first begins, or LK_SLICE_NONE. An empty needle is found at 0.
 * Takes time proportional to the product of the lengths at worst: for short needles. */
size_t lk_slice_find(lk_slice s, lk_slice needle);

/* What stands before the first |byte|; |rest| receives what stands behind it. Where there is no
 * such byte, all of |s| is returned and |rest| is empty. */
lk_slice lk_slice_cut(lk_slice s, uint8_t byte, lk_slice *rest);

/* Without spaces and tabs at both ends. */
lk_slice lk_slice_trim(lk_slice s);

#endif
