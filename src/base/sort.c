/* base/sort.c -- heap sort, after a look whether there is anything to do. */
#include "base/sort.h"

#include <stdint.h>

#include "base/check.h"
#include "base/mem.h"

static uint8_t *item_at(void *items, size_t size, size_t index) {
  return (uint8_t *)items + index * size;
}

/* Lets the item at |at| sink in a heap whose root is the last in order. */
static void sink(void *items, size_t count, size_t size, size_t at, lk_sort_before before,
                 const void *ctx) {
  uint8_t moved[LK_SORT_ITEM_MAX];
  memcpy(moved, item_at(items, size, at), size);
  for (size_t child; (child = at * 2 + 1) < count; at = child) {
    if (child + 1 < count &&
        before(ctx, item_at(items, size, child), item_at(items, size, child + 1)))
      child++;
    if (!before(ctx, moved, item_at(items, size, child))) break;
    memcpy(item_at(items, size, at), item_at(items, size, child), size);
  }
  memcpy(item_at(items, size, at), moved, size);
}

void lk_sort(void *items, size_t count, size_t size, lk_sort_before before, const void *ctx) {
  uint8_t moved[LK_SORT_ITEM_MAX];
  size_t sorted = 1;
  LK_ASSERT(size > 0 && size <= LK_SORT_ITEM_MAX);
  while (sorted < count &&
         !before(ctx, item_at(items, size, sorted), item_at(items, size, sorted - 1)))
    sorted++;
  if (sorted >= count) return;
  for (size_t i = count / 2; i > 0; i--) sink(items, count, size, i - 1, before, ctx);
  for (size_t end = count - 1; end > 0; end--) {
    memcpy(moved, item_at(items, size, end), size);
    memcpy(item_at(items, size, end), items, size);
    memcpy(items, moved, size);
    sink(items, end, size, 0, before, ctx);
  }
}
