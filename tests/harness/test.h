/* harness/test.h -- tests as sentences, properties as bodies that anything may drive.
 *
 *   TEST(counter_starts_at_zero) { ... CHECK(...); }
 *   PROPERTY(merge_is_commutative) { uint32_t n = gen_below(g, 8); ... }
 *   FUZZ(lk_gcounter_decode) { lk_slice in = gen_hostile(g, ...); ... }
 *
 * A test binary has one main (harness/main.c): `--list`, `--filter TEXT`, `--seed N`,
 * `--cases N`. A PROPERTY or FUZZ body runs for many seeds; what fails is printed with the
 * command that repeats it. In the fuzz build the same binary is libFuzzer's, and the environment
 * variable LK_FUZZ names the body. FUZZ(f) says that |f| reads bytes from outside and is fuzzed
 * here: tools/check_fuzz.mjs looks for one for each decoder.
 *
 * CHECK_* report and leave the test at once: a test needs no clean-up to be correct, only to be
 * free of leaks when it passes. */
#ifndef LK_TESTS_TEST_H
#define LK_TESTS_TEST_H

#include <setjmp.h>

#include "base/base.h"
#include "harness/faulty.h"
#include "harness/gen.h"

typedef enum test_kind { TEST_PLAIN, TEST_PROPERTY, TEST_FUZZ } test_kind;

typedef struct test_case {
  const char *name;
  const char *file;
  unsigned line;
  test_kind kind;
  uint32_t weight; /* seeds for a property: test_cases / weight */
  void (*run)(lk_gen *g);
  struct test_case *next;
} test_case;

void test_register(test_case *test);

#define TEST_DEFINE_(name_, kind_, weight_, arg_)                                                  \
  static void test_body_##name_(lk_gen *arg_);                                                     \
  static test_case test_case_##name_ = { #name_,  LK_FILE,           __LINE__, kind_,              \
                                         weight_, test_body_##name_, NULL };                       \
  __attribute__((constructor)) static void test_add_##name_(void) {                                \
    test_register(&test_case_##name_);                                                             \
  }                                                                                                \
  static void test_body_##name_(lk_gen *arg_)

#define TEST(name) TEST_DEFINE_(name, TEST_PLAIN, 1, test_unused_ __attribute__((unused)))
#define PROPERTY(name) TEST_DEFINE_(name, TEST_PROPERTY, 1, g)
/* A property whose cases are |weight| times as dear as usual: it runs fewer of them. */
#define PROPERTY_SLOW(name, weight) TEST_DEFINE_(name, TEST_PROPERTY, weight, g)
#define FUZZ(function) TEST_DEFINE_(function, TEST_FUZZ, 1, g)

/* Reports a failure of the running test and does not return. */
_Noreturn void test_fail(const char *file, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A line that is printed only if the running test fails afterwards: what was drawn, where it is. */
void test_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- checks ---- */

#define CHECK(expr)                                                                                \
  do {                                                                                             \
    if (!(expr)) test_fail(LK_FILE, __LINE__, "CHECK(%s)", #expr);                                 \
  } while (0)

void test_check_err(const char *file, unsigned line, const char *expr, lk_err got, lk_err want);
void test_check_u64(const char *file, unsigned line, const char *expr, uint64_t got, uint64_t want);
void test_check_i64(const char *file, unsigned line, const char *expr, int64_t got, int64_t want);
void test_check_slice(const char *file, unsigned line, const char *expr, lk_slice got,
                      lk_slice want);

#define CHECK_OK(expr) test_check_err(LK_FILE, __LINE__, #expr, (expr), LK_OK)
#define CHECK_ERR(expr, want) test_check_err(LK_FILE, __LINE__, #expr, (expr), (want))
#define CHECK_U64(got, want)                                                                       \
  test_check_u64(LK_FILE, __LINE__, #got, (uint64_t)(got), (uint64_t)(want))
#define CHECK_I64(got, want)                                                                       \
  test_check_i64(LK_FILE, __LINE__, #got, (int64_t)(got), (int64_t)(want))
#define CHECK_SLICE(got, want) test_check_slice(LK_FILE, __LINE__, #got, (got), (want))
/* |want| is a string literal. */
#define CHECK_TEXT(got, want) CHECK_SLICE((got), LK_LIT(want))

/* Runs |statement| and checks that an assertion of the product failed in it. What the statement
 * allocated is lost: use memory that the test owns. */
#define CHECK_PANICS(statement)                                                                    \
  do {                                                                                             \
    if (test_panic_begin()) {                                                                      \
      if (setjmp(*test_panic_buf()) == 0) {                                                        \
        statement;                                                                                 \
        test_panic_end();                                                                          \
        test_fail(LK_FILE, __LINE__, "no assertion failed in: %s", #statement);                    \
      }                                                                                            \
      test_panic_end();                                                                            \
    }                                                                                              \
  } while (0)
bool test_panic_begin(void);
jmp_buf *test_panic_buf(void);
void test_panic_end(void);

/* Checks that the branch LK_COVERED(name) ran since the test began. */
#define CHECK_COVERED(name)                                                                        \
  do {                                                                                             \
    if (!test_was_covered(#name))                                                                  \
      test_fail(LK_FILE, __LINE__, "the branch LK_COVERED(%s) did not run", #name);                \
  } while (0)
bool test_was_covered(const char *name);

/* The allocator of the running test: it counts, fills fresh memory with 0xA5, and checks sizes.
 * What is not freed when a passing test ends is reported as its failure. */
const lk_alloc *test_alloc(void);

/* A file of the source tree, read whole; it lives until the test ends. |path| is relative to
 * the tree ("tests/vectors/utf8.json"). Fails the test where it cannot be read. */
lk_slice test_read_file(const char *path);

#endif
