/* platform/posix/random.c -- getrandom, until all is there. */
#include "platform/posix/random.h"

#include <errno.h>
#include <sys/random.h>

lk_err lk_posix_random(void *out, size_t len) {
  uint8_t *at = out;
  while (len > 0) {
    ssize_t got = getrandom(at, len, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return LK_ERR_ENTROPY;
    at += (size_t)got;
    len -= (size_t)got;
  }
  return LK_OK;
}
