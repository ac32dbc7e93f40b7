/* platform/posix/random.h -- bits that nobody can guess, from the kernel. */
#ifndef LK_PLATFORM_POSIX_RANDOM_H
#define LK_PLATFORM_POSIX_RANDOM_H

#include "laniakea/types.h"

/* Fills |out|. LK_ERR_ENTROPY: what |out| holds then must not be used. Waits only while the
 * machine is booting and has gathered no entropy yet. */
lk_err lk_posix_random(void *out, size_t len) LK_MUST_USE;

#endif
