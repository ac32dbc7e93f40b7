/* V8's own answers, and what holds whatever the comparison says. */
#include "doc/timsort.h"

#include "unit/codec/vectors.h"

#define ITEMS_MAX 512

/* Letters; of one letter, capitals and small ones both come before the other. */
static int compare_letters(const void *ctx, uint32_t a, uint32_t b) {
  const uint8_t *letters = ctx;
  int x = letters[a] | 0x20, y = letters[b] | 0x20;
  if (x != y) return x < y ? -1 : 1;
  return letters[a] == letters[b] ? 0 : -1;
}

static size_t read_numbers(lk_slice text, uint32_t *out) {
  size_t count = 0;
  while (text.len > 0) {
    lk_slice digits = lk_slice_cut(text, ' ', &text);
    CHECK(count < ITEMS_MAX);
    out[count] = 0;
    for (size_t i = 0; i < digits.len; i++) out[count] = out[count] * 10 + digits.ptr[i] - '0';
    count++;
  }
  return count;
}

TEST(timsort_gives_what_v8_gives) {
  lk_json_member f[] = { VECTORS_FIELD("letters"), VECTORS_FIELD("out") };
  uint32_t items[ITEMS_MAX], room[ITEMS_MAX / 2], expected[ITEMS_MAX];
  vectors v;
  vectors_open(&v, "tests/vectors/doc_merge.json", LK_LIT("sort"));
  while (vectors_next(&v, f, 2)) {
    lk_slice letters = vectors_text(&f[0]);
    size_t count = read_numbers(vectors_text(&f[1]), expected);
    CHECK_U64(count, letters.len);
    for (uint32_t i = 0; i < count; i++) items[i] = i;
    lk_timsort(items, (uint32_t)count, room, compare_letters, letters.ptr);
    for (size_t i = 0; i < count; i++) CHECK_U64(items[i], expected[i]);
  }
  vectors_close(&v);
}

typedef struct judge {
  lk_gen *g;
  uint32_t whims; /* in how many of 4 questions it says anything */
} judge;

static int judge_by_whim(const void *ctx, uint32_t a, uint32_t b) {
  const judge *self = ctx;
  if (gen_below(self->g, 4) < self->whims) return gen_bool(self->g) ? -1 : 1;
  return a < b ? -1 : a > b;
}

/* Goal: nothing is lost or doubled, and the end is reached, however absurd the comparison is. */
PROPERTY(timsort_only_moves_items_about) {
  uint32_t items[ITEMS_MAX], room[ITEMS_MAX / 2];
  uint8_t seen[ITEMS_MAX] = { 0 };
  judge by = { g, (uint32_t)gen_below(g, 5) };
  uint32_t count = (uint32_t)gen_below(g, ITEMS_MAX + 1), start = (uint32_t)gen_below(g, count + 1);
  for (uint32_t i = 0; i < count; i++) items[i] = (i + start) % count;
  lk_timsort(items, count, room, judge_by_whim, &by);
  for (uint32_t i = 0; i < count; i++) {
    CHECK(items[i] < count);
    CHECK_U64(seen[items[i]]++, 0);
    if (by.whims == 0) CHECK_U64(items[i], i);
  }
}
