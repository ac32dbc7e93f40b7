/* harness/alloc.c -- an allocator that looks for mistakes.
 *
 * Fresh bytes are 0xA5, freed ones 0xDD; a resize always moves, so that a pointer kept across
 * it is found; the size named when freeing must be the one that was asked for. Blocks hang on a
 * list: what a passing test leaves behind is its failure, what a failing one leaves is freed. */
#include "harness/internal.h"
#include "harness/test.h"

#include <stdlib.h>
#include <stdio.h>

#define MAGIC 0x6c616e69u

typedef struct block {
  struct block *prev;
  struct block *next;
  size_t size;
  uint64_t magic;
} block;

static block *blocks;

static void forget(block *b) {
  if (b->prev != NULL) b->prev->next = b->next;
  else blocks = b->next;
  if (b->next != NULL) b->next->prev = b->prev;
  b->magic = 0;
  memset(b + 1, 0xdd, b->size);
  free(b);
}

static void *resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  (void)ctx;
  block *old = ptr == NULL ? NULL : (block *)ptr - 1;
  if (old == NULL && old_size != 0) harness_die("resize(NULL) names an old size");
  if (old != NULL && old->magic != MAGIC) harness_die("a block was freed twice or overwritten");
  if (old != NULL && old->size != old_size) {
    char text[96];
    (void)snprintf(text, sizeof text, "a block of %zu bytes was named with %zu", old->size,
                   old_size);
    harness_die(text);
  }
  block *fresh = NULL;
  if (new_size > 0) {
    fresh = new_size > SIZE_MAX / 2 ? NULL : malloc(sizeof *fresh + new_size);
    if (fresh == NULL) return NULL;
    *fresh = (block){ .next = blocks, .size = new_size, .magic = MAGIC };
    if (blocks != NULL) blocks->prev = fresh;
    blocks = fresh;
    memset(fresh + 1, 0xa5, new_size);
    if (old != NULL) memcpy(fresh + 1, old + 1, lk_min_size(old_size, new_size));
  }
  if (old != NULL) forget(old);
  return fresh == NULL ? NULL : fresh + 1;
}

static const lk_alloc table = { resize, NULL };

const lk_alloc *test_alloc(void) { return &table; }

size_t harness_free_leaks(size_t *bytes) {
  size_t count = 0;
  *bytes = 0;
  while (blocks != NULL) {
    count++;
    *bytes += blocks->size;
    forget(blocks);
  }
  return count;
}
