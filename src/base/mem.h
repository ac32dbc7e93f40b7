/* base/mem.h -- the four functions of the C library that the core may call.
 *
 * A freestanding C implementation has no <string.h>, and on bare wasm32 there is none to include,
 * but every compiler may emit calls to these four. platform/wasm supplies them there. */
#ifndef LK_BASE_MEM_H
#define LK_BASE_MEM_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *to, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);

#endif
