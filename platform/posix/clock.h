/* platform/posix/clock.h -- the times of a native program. */
#ifndef LK_PLATFORM_POSIX_CLOCK_H
#define LK_PLATFORM_POSIX_CLOCK_H

#include <stdint.h>

/* Milliseconds since some moment before the program began. Never goes back, whatever is done to
 * the machine's date: the time of every timer and of every step of the core. */
uint64_t lk_posix_monotonic_ms(void);

/* The same in microseconds: for measuring, not for deadlines. */
uint64_t lk_posix_monotonic_us(void);

/* Milliseconds since 1970, as the machine believes. May jump either way; 0 before 1970. For
 * people, and for tokens, which judge it with a leeway. */
uint64_t lk_posix_wall_ms(void);

#endif
