/* platform/posix/panic.c -- where a failed assertion ends in a native program.
 *
 * It stands alone in its file, so that a program which wants to do something else (the test
 * harness, which catches it) defines its own lk_panic() and the linker leaves this one out. */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void lk_panic(const lk_panic_site *site) {
  (void)fprintf(stderr, "laniakea: assertion failed at %s:%u: %s\n", site->file, site->line,
                site->expr);
  abort();
}

#ifdef LK_COVERAGE_MARKS
void lk_covered(const char *name) { (void)name; }
#endif
