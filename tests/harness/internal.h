/* harness/internal.h -- what the files of the harness tell each other, and tests do not need. */
#ifndef LK_TESTS_INTERNAL_H
#define LK_TESTS_INTERNAL_H

#include <stddef.h>

/* Fails the running test (or ends the process where none runs) with |text|. */
_Noreturn void harness_die(const char *text);

/* Frees every block of test_alloc() that is still there; says how many there were. */
size_t harness_free_leaks(size_t *bytes);

#endif
