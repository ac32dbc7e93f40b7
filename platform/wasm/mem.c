/* platform/wasm/mem.c -- the four functions that compilers may call anywhere.
 *
 * With -mbulk-memory the builtins of the first three become the instructions memory.copy and
 * memory.fill, which an engine carries out as fast as the machine can. A body written as a loop
 * would be worse: the compiler recognises it and replaces it by a call of the very function that
 * it stands in. tests/vectors/wasm.test.mjs moves overlapping bytes through all of them. */
#define LK_MEM_DEFINES
#include "base/mem.h"

#include <stdint.h>

#ifndef __wasm_bulk_memory__
#error "compile with -mbulk-memory: without it these functions call themselves"
#endif

void *memcpy(void *restrict to, const void *restrict from, size_t len) {
  return __builtin_memcpy(to, from, len);
}

void *memmove(void *to, const void *from, size_t len) { return __builtin_memmove(to, from, len); }

void *memset(void *to, int byte, size_t len) { return __builtin_memset(to, byte, len); }

/* No instruction compares. Eight bytes at a time until something differs, then byte by byte. */
int memcmp(const void *a, const void *b, size_t len) {
  const uint8_t *x = a;
  const uint8_t *y = b;
  uint64_t left, right;
  for (; len >= sizeof left; len -= sizeof left, x += sizeof left, y += sizeof left) {
    __builtin_memcpy(&left, x, sizeof left);
    __builtin_memcpy(&right, y, sizeof right);
    if (left != right) break;
  }
  for (; len > 0; len--, x++, y++) {
    if (*x != *y) return *x < *y ? -1 : 1;
  }
  return 0;
}
