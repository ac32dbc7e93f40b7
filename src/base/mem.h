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

/* Freestanding, a compiler takes these for functions like any other, and calls them to move eight bytes. By their other
 * names it knows what they do. Who defines them says LK_MEM_DEFINES. */
#if defined(__GNUC__) && !defined(LK_MEM_DEFINES)
#define memcpy __builtin_memcpy
#define memmove __builtin_memmove
#define memset __builtin_memset
#define memcmp __builtin_memcmp
#endif

#endif
