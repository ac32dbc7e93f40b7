/* doc/timsort.c
 *
 * Tim Peters's sort: runs are found or made from the left, and merged so that their lengths stay balanced. A merge
 * compares head with head until one side has won seven times in a row; then it gallops, which is to
 * look for the end of the winning stretch in steps of 1, 3, 7, 15 and by halving the last one. How many wins that
 * takes from then on depends on how well it went.
 *
 * All of it is as V8 does it, since which items are compared decides the outcome for those that have no order. Both
 * merges may find a side empty in places where a sound comparison could not bring that about. */
#include "doc/timsort.h"

#include "base/mem.h"

#define GALLOP_WINS 7
#define RUN_MIN 64
#define RUNS_MAX 64 /* their lengths grow like Fibonacci's numbers: 46 are enough for 32 bits */

typedef struct run {
  uint32_t base, len;
} run;

typedef struct sorter {
  uint32_t *items;
  uint32_t *room;
  lk_timsort_fn compare;
  const void *ctx;
  run runs[RUNS_MAX];
  uint32_t run_count;
  uint32_t gallop; /* wins in a row before a merge gallops */
} sorter;

static bool before(const sorter *self, uint32_t a, uint32_t b) {
  return self->compare(self->ctx, a, b) < 0;
}

static void copy(uint32_t *to, const uint32_t *from, uint32_t count) {
  memmove(to, from, (size_t)count * sizeof *to);
}

/* ---- runs ---- */

/* How long a short run is made: count divided by a power of 2, rounded up. */
static uint32_t run_least(uint32_t count) {
  uint32_t rest = 0;
  for (; count >= RUN_MIN; count >>= 1) rest |= count & 1;
  return count + rest;
}

static void reverse(uint32_t *items, uint32_t count) {
  for (uint32_t i = 0, k = count - 1; i < k; i++, k--) {
    uint32_t swapped = items[i];
    items[i] = items[k];
    items[k] = swapped;
  }
}

/* The run at the front; one that descends is turned round. */
static uint32_t find_run(const sorter *self, uint32_t *items, uint32_t count) {
  uint32_t len = 2;
  if (count < 2) return count;
  bool descends = before(self, items[1], items[0]);
  while (len < count && before(self, items[len], items[len - 1]) == descends) len++;
  if (descends) reverse(items, len);
  return len;
}

/* Inserts the items from |sorted| on, each by halving into those before it. */
static void insert_rest(const sorter *self, uint32_t *items, uint32_t sorted, uint32_t count) {
  for (uint32_t i = sorted; i < count; i++) {
    uint32_t moved = items[i], left = 0, right = i;
    while (left < right) {
      uint32_t middle = left + (right - left) / 2;
      if (before(self, moved, items[middle])) right = middle;
      else left = middle + 1;
    }
    copy(items + left + 1, items + left, i - left);
    items[left] = moved;
  }
}

/* ---- galloping ---- */

static uint32_t stride(uint32_t offset) {
  return offset > UINT32_MAX / 4 ? UINT32_MAX : offset * 2 + 1;
}

/* Where |key| goes among |count| sorted items: in front of its equals, looking from |hint| on. */
static uint32_t gallop_left(const sorter *self, uint32_t key, const uint32_t *items, uint32_t count,
                            uint32_t hint) {
  uint32_t last = 0, offset = 1, low, high;
  if (before(self, items[hint], key)) {
    uint32_t max = count - hint;
    for (; offset < max && before(self, items[hint + offset], key); offset = stride(offset))
      last = offset;
    low = hint + last + 1;
    high = hint + (offset < max ? offset : max);
  } else {
    uint32_t max = hint + 1;
    for (; offset < max && !before(self, items[hint - offset], key); offset = stride(offset))
      last = offset;
    low = hint + 1 - (offset < max ? offset : max);
    high = hint - last;
  }
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (before(self, items[middle], key)) low = middle + 1;
    else high = middle;
  }
  return high;
}

/* The same, behind its equals. */
static uint32_t gallop_right(const sorter *self, uint32_t key, const uint32_t *items,
                             uint32_t count, uint32_t hint) {
  uint32_t last = 0, offset = 1, low, high;
  if (before(self, key, items[hint])) {
    uint32_t max = hint + 1;
    for (; offset < max && before(self, key, items[hint - offset]); offset = stride(offset))
      last = offset;
    low = hint + 1 - (offset < max ? offset : max);
    high = hint - last;
  } else {
    uint32_t max = count - hint;
    for (; offset < max && !before(self, key, items[hint + offset]); offset = stride(offset))
      last = offset;
    low = hint + last + 1;
    high = hint + (offset < max ? offset : max);
  }
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (before(self, key, items[middle])) high = middle;
    else low = middle + 1;
  }
  return high;
}

/* ---- merging ---- */

/* What is left of the run |a| and of |b|, one of which was moved out of the way. */
typedef struct merging {
  uint32_t *a, *b, *to;
  uint32_t a_len, b_len, a_wins, b_wins;
} merging;

/* All three are true as long as the merge goes on. From the left, |b| may run out, and |a| come to its last one,
 * which belongs behind all of |b|. */
static bool take_b_low(merging *at, uint32_t count) {
  copy(at->to, at->b, count);
  at->to += count;
  at->b += count;
  at->b_len -= count;
  return at->b_len > 0;
}

static bool take_a_low(merging *at, uint32_t count) {
  copy(at->to, at->a, count);
  at->to += count;
  at->a += count;
  at->a_len -= count;
  return at->a_len > 1;
}

static bool compete_low(const sorter *self, merging *at) {
  at->a_wins = at->b_wins = 0;
  for (;;) {
    if (before(self, *at->b, *at->a)) {
      at->a_wins = 0;
      at->b_wins++;
      if (!take_b_low(at, 1)) return false;
      if (at->b_wins >= self->gallop) return true;
    } else {
      at->b_wins = 0;
      at->a_wins++;
      if (!take_a_low(at, 1)) return false;
      if (at->a_wins >= self->gallop) return true;
    }
  }
}

static bool gallop_low(sorter *self, merging *at) {
  self->gallop++;
  do {
    if (self->gallop > 1) self->gallop--;
    at->a_wins = gallop_right(self, *at->b, at->a, at->a_len, 0);
    if (at->a_wins > 0 && !take_a_low(at, at->a_wins)) return false;
    if (!take_b_low(at, 1)) return false;
    at->b_wins = gallop_left(self, *at->a, at->b, at->b_len, 0);
    if (at->b_wins > 0 && !take_b_low(at, at->b_wins)) return false;
    if (!take_a_low(at, 1)) return false;
  } while (at->a_wins >= GALLOP_WINS || at->b_wins >= GALLOP_WINS);
  self->gallop++;
  return true;
}

static void merge_low(sorter *self, uint32_t *a, uint32_t a_len, uint32_t *b, uint32_t b_len) {
  merging at = { .a = self->room, .b = b, .to = a, .a_len = a_len, .b_len = b_len };
  copy(self->room, a, a_len);
  bool goes_on = take_b_low(&at, 1) && a_len > 1;
  while (goes_on) goes_on = compete_low(self, &at) && gallop_low(self, &at);
  if (at.b_len > 0 && at.a_len == 1) (void)take_b_low(&at, at.b_len);
  copy(at.to, at.a, at.a_len);
}

/* From the right: |a|, |b| and |to| are behind what is left. |a| may run out, and |b| come to its first one, which
 * belongs in front of all of |a|. */
static bool take_a_high(merging *at, uint32_t count) {
  at->to -= count;
  at->a -= count;
  copy(at->to, at->a, count);
  at->a_len -= count;
  return at->a_len > 0;
}

static bool take_b_high(merging *at, uint32_t count) {
  at->to -= count;
  at->b -= count;
  copy(at->to, at->b, count);
  at->b_len -= count;
  return at->b_len > 1;
}

static bool compete_high(const sorter *self, merging *at) {
  at->a_wins = at->b_wins = 0;
  for (;;) {
    if (before(self, at->b[-1], at->a[-1])) {
      at->b_wins = 0;
      at->a_wins++;
      if (!take_a_high(at, 1)) return false;
      if (at->a_wins >= self->gallop) return true;
    } else {
      at->a_wins = 0;
      at->b_wins++;
      if (!take_b_high(at, 1)) return false;
      if (at->b_wins >= self->gallop) return true;
    }
  }
}

static bool gallop_high(sorter *self, merging *at) {
  self->gallop++;
  do {
    if (self->gallop > 1) self->gallop--;
    at->a_wins = at->a_len -
                 gallop_right(self, at->b[-1], at->a - at->a_len, at->a_len, at->a_len - 1);
    if (at->a_wins > 0 && !take_a_high(at, at->a_wins)) return false;
    if (!take_b_high(at, 1)) return false;
    at->b_wins = at->b_len -
                 gallop_left(self, at->a[-1], at->b - at->b_len, at->b_len, at->b_len - 1);
    if (at->b_wins > 0 && !take_b_high(at, at->b_wins)) return false;
    if (!take_a_high(at, 1)) return false;
  } while (at->a_wins >= GALLOP_WINS || at->b_wins >= GALLOP_WINS);
  self->gallop++;
  return true;
}

static void merge_high(sorter *self, uint32_t *a, uint32_t a_len, uint32_t *b, uint32_t b_len) {
  merging at = {
    .a = a + a_len, .b = self->room + b_len, .to = b + b_len, .a_len = a_len, .b_len = b_len
  };
  copy(self->room, b, b_len);
  bool goes_on = take_a_high(&at, 1) && b_len > 1;
  while (goes_on) goes_on = compete_high(self, &at) && gallop_high(self, &at);
  if (at.a_len > 0 && at.b_len == 1) (void)take_a_high(&at, at.a_len);
  copy(at.to - at.b_len, at.b - at.b_len, at.b_len);
}

/* ---- which runs ---- */

/* Two neighbours become one; what is in its place already at either end stays there. */
static void merge_at(sorter *self, uint32_t index) {
  run *left = &self->runs[index], *right = left + 1;
  uint32_t *a = self->items + left->base, *b = self->items + right->base;
  uint32_t a_len = left->len, b_len = right->len;
  left->len += right->len;
  self->run_count--;
  if (index + 1 < self->run_count) *right = right[1];
  uint32_t skipped = gallop_right(self, *b, a, a_len, 0);
  a += skipped;
  if ((a_len -= skipped) == 0) return;
  if ((b_len = gallop_left(self, a[a_len - 1], b, b_len, b_len - 1)) == 0) return;
  if (a_len <= b_len) merge_low(self, a, a_len, b, b_len);
  else merge_high(self, a, a_len, b, b_len);
}

/* Whether the run two before |index| is longer than the two behind it together. */
static bool is_balanced(const sorter *self, uint32_t index) {
  if (index < 2) return true;
  const run *at = &self->runs[index];
  return at[-2].len > at[-1].len + at->len;
}

static void balance(sorter *self) {
  while (self->run_count > 1) {
    uint32_t at = self->run_count - 2;
    if (!is_balanced(self, at + 1) || !is_balanced(self, at)) {
      if (self->runs[at - 1].len < self->runs[at + 1].len) at--;
    } else if (self->runs[at].len > self->runs[at + 1].len) {
      return;
    }
    merge_at(self, at);
  }
}

static void merge_all(sorter *self) {
  while (self->run_count > 1) {
    uint32_t at = self->run_count - 2;
    if (at > 0 && self->runs[at - 1].len < self->runs[at + 1].len) at--;
    merge_at(self, at);
  }
}

void lk_timsort(uint32_t *items, uint32_t count, uint32_t *room, lk_timsort_fn compare,
                const void *ctx) {
  sorter self = {
    .items = items, .room = room, .compare = compare, .ctx = ctx, .gallop = GALLOP_WINS
  };
  uint32_t least = run_least(count);
  for (uint32_t at = 0; at < count && count > 1;) {
    uint32_t left = count - at, len = find_run(&self, items + at, left);
    if (len < least) {
      uint32_t made = left < least ? left : least;
      insert_rest(&self, items + at, len, made);
      len = made;
    }
    LK_ASSERT(self.run_count < RUNS_MAX);
    self.runs[self.run_count++] = (run){ at, len };
    balance(&self);
    at += len;
  }
  merge_all(&self);
}
