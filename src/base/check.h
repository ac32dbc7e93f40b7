/* base/check.h -- beliefs about our own code, and marks for branches that tests must reach.
 *
 * LK_ASSERT states what only a mistake of ours can break. It stays on in release builds: a
 * stopped replica can be rebuilt from its log, a wrong document spreads to every other one.
 * Bytes from outside never decide an assertion; they become an lk_err. LK_DEBUG_ASSERT is for
 * checks that cost more than a few instructions.
 *
 * A failed assertion calls lk_panic(), which the platform defines: the server ends the room or
 * the process, WebAssembly traps, a test catches it. It does not return.
 *
 * LK_COVERED(name) marks a rare branch. In builds with LK_COVERAGE_MARKS a test can ask whether
 * the branch ran (tests/harness/test.h, CHECK_COVERED); elsewhere it is nothing. */
#ifndef LK_BASE_CHECK_H
#define LK_BASE_CHECK_H

/* A short function in a header. Where each byte is loaded over a network it is called, and not put where it is called: but
 * for files that have to be quick there, too. */
#if !defined(LK_SMALL) || defined(LK_QUICK)
#define LK_SHORT static inline
#else
#define LK_SHORT static __attribute__((noinline, unused))
#endif

typedef struct lk_panic_site {
  const char *expr;
  const char *file;
  unsigned line;
} lk_panic_site;

/* Defined by the platform or the test harness, never by a floor. */
_Noreturn void lk_panic(const lk_panic_site *site);

/* The site, as a statement that does not return. */
#ifndef LK_SMALL
#define LK_PANIC_(text)                                                                            \
  do {                                                                                             \
    static const lk_panic_site lk_site_ = { text, LK_FILE, __LINE__ };                             \
    lk_panic(&lk_site_);                                                                           \
  } while (0)
#else
/* Where each byte is loaded over a network a trap has to do: it tells in which function, and where in it, that was. As the same
 * sources give the same bytes, that is as good as a line. */
#define LK_PANIC_(text) __builtin_trap()
#endif

#define LK_ASSERT(expr)                                                                            \
  do {                                                                                             \
    if (__builtin_expect(!(expr), 0)) LK_PANIC_(#expr);                                            \
  } while (0)

#define LK_UNREACHABLE() LK_PANIC_("unreachable")

#ifdef LK_DEBUG
#define LK_DEBUG_ASSERT(expr) LK_ASSERT(expr)
#else
#define LK_DEBUG_ASSERT(expr) ((void)sizeof(expr))
#endif

/* Relative to the source tree by -fmacro-prefix-map, so that builds are reproducible. */
#define LK_FILE __FILE__

#ifdef LK_COVERAGE_MARKS
void lk_covered(const char *name); /* defined by the test harness */
#define LK_COVERED(name) lk_covered(#name)
#else
#define LK_COVERED(name) ((void)0)
#endif

#endif
