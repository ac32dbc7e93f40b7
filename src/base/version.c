/* base/version.c -- what VERSION and the public headers say, at run time. */
#include "laniakea/laniakea.h"

const char *lk_version(void) { return LK_VERSION_TEXT; }

uint32_t lk_abi(void) { return LK_ABI; }
