/* platform/providers/deflate_zlib.h -- the system's zlib behind codec/deflate.h. */
#ifndef LK_PLATFORM_PROVIDERS_DEFLATE_ZLIB_H
#define LK_PLATFORM_PROVIDERS_DEFLATE_ZLIB_H

#include "codec/deflate.h"

/* Static and constant; usable from any thread, one stream from one thread at a time. */
const lk_deflate_provider *lk_deflate_zlib(void);

#endif
