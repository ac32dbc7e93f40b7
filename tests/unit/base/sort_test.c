/* Rows of any order come out sorted, and nothing of them is lost. */
#include "base/sort.h"

#include "harness/test.h"

typedef struct pair {
  uint32_t key, tag;
} pair;

static bool before(const void *ctx, const void *a, const void *b) {
  const pair *x = a, *y = b;
  (*(uint32_t *)ctx)++;
  return x->key < y->key;
}

TEST(rows_that_are_sorted_are_only_looked_at) {
  pair row[100];
  uint32_t asked = 0;
  for (uint32_t i = 0; i < 100; i++) row[i] = (pair){ i / 2, i };
  lk_sort(row, 100, sizeof *row, before, &asked);
  CHECK_U64(asked, 99);
  for (uint32_t i = 0; i < 100; i++) CHECK_U64(row[i].tag, i);
  lk_sort(NULL, 0, sizeof *row, before, &asked);
  CHECK_U64(asked, 99);
}

PROPERTY(rows_of_any_order_come_out_sorted) {
  pair row[200];
  uint32_t count = gen_below(g, 200), asked = 0;
  uint64_t sum = 0, after = 0;
  for (uint32_t i = 0; i < count; i++) {
    row[i] = (pair){ gen_below(g, 1 + gen_below(g, 300)), i };
    sum += ((uint64_t)row[i].key << 20) + (uint64_t)i * i;
  }
  lk_sort(row, count, sizeof *row, before, &asked);
  for (uint32_t i = 0; i < count; i++) {
    if (i > 0) CHECK(row[i - 1].key <= row[i].key);
    after += ((uint64_t)row[i].key << 20) + (uint64_t)row[i].tag * row[i].tag;
  }
  CHECK_U64(after, sum);
  CHECK(asked <= 200 * 2 * 9);
}
