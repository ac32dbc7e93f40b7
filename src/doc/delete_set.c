/* doc/delete_set.c -- sorting by client and clock in linear time.
 *
 * A history of 259,778 small updates brings 77,463 ranges in the order in which somebody deleted, which is
 * no order of clocks. Comparing would cost seventeen steps for each; we sort by digits instead, from the
 * lowest to the highest, each pass stable:
 *
 *   key := client (the greatest first, so: its complement) clock
 *
 * in digits of eleven bits. A digit in which all keys agree needs no pass, and most do: clocks of a few
 * thousand need two passes, one client needs none. Few entries are inserted one by one.
 *
 * Always: entries in order are recognised in one look and never moved. */
#include "doc/delete_set.h"

#define DIGIT_BITS 11u
#define DIGIT_COUNT (1u << DIGIT_BITS)
#define FEW 32
#define RANGES_CAP_LEAST 16

/* ---- sorting ---- */

static inline bool entry_before(const lk_clock_entry *a, const lk_clock_entry *b) {
  return a->client != b->client ? a->client > b->client : a->clock < b->clock;
}

static bool in_order(const lk_clock_entry *entries, size_t count) {
  for (size_t i = 1; i < count; i++)
    if (entry_before(&entries[i], &entries[i - 1])) return false;
  return true;
}

static void insert_each(lk_clock_entry *entries, size_t count) {
  for (size_t i = 1; i < count; i++) {
    lk_clock_entry moved = entries[i];
    size_t to = i;
    for (; to > 0 && entry_before(&moved, &entries[to - 1]); to--) entries[to] = entries[to - 1];
    entries[to] = moved;
  }
}

static inline uint64_t key_of(const lk_clock_entry *entry, bool by_client) {
  return by_client ? ~entry->client : entry->clock;
}

/* One stable pass by the digit at |shift|. */
static void sort_digit(const lk_clock_entry *from, lk_clock_entry *to, size_t count, bool by_client,
                       unsigned shift) {
  uint32_t places[DIGIT_COUNT] = { 0 };
  for (size_t i = 0; i < count; i++)
    places[key_of(&from[i], by_client) >> shift & (DIGIT_COUNT - 1)]++;
  uint32_t place = 0;
  for (size_t digit = 0; digit < DIGIT_COUNT; digit++) {
    uint32_t here = places[digit];
    places[digit] = place;
    place += here;
  }
  for (size_t i = 0; i < count; i++)
    to[places[key_of(&from[i], by_client) >> shift & (DIGIT_COUNT - 1)]++] = from[i];
}

/* The bits in which keys differ. */
static uint64_t varying_bits(const lk_clock_entry *entries, size_t count, bool by_client) {
  uint64_t bits = 0;
  for (size_t i = 1; i < count; i++)
    bits |= key_of(&entries[i], by_client) ^ key_of(&entries[0], by_client);
  return bits;
}

/* Sorts between the two arrays and returns the one in which the result lies. */
static lk_clock_entry *sort_key(lk_clock_entry *from, lk_clock_entry *to, size_t count,
                                bool by_client) {
  uint64_t bits = varying_bits(from, count, by_client);
  for (unsigned shift = 0; shift < 64 && bits >> shift != 0; shift += DIGIT_BITS) {
    if ((bits >> shift & (DIGIT_COUNT - 1)) == 0) continue;
    sort_digit(from, to, count, by_client, shift);
    lk_clock_entry *swapped = from;
    from = to;
    to = swapped;
  }
  return from;
}

static lk_err sort_keys(const lk_alloc *alloc, lk_clock_entry *entries, size_t count,
                        bool with_clock) {
  lk_clock_entry *other = lk_alloc_array(alloc, count, sizeof *other);
  if (other == NULL) return LK_ERR_NOMEM;
  LK_ASSERT(count <= UINT32_MAX);
  lk_clock_entry *at = with_clock ? sort_key(entries, other, count, false) : entries;
  at = sort_key(at, at == entries ? other : entries, count, true);
  if (at != entries) memcpy(entries, at, count * sizeof *entries);
  lk_free_array(alloc, other, count, sizeof *other);
  return LK_OK;
}

lk_err lk_clock_entries_sort(const lk_alloc *alloc, lk_clock_entry *entries, size_t count) {
  if (in_order(entries, count)) return LK_OK;
  if (count > FEW) return sort_keys(alloc, entries, count, true);
  insert_each(entries, count);
  return LK_OK;
}

/* ---- the set ---- */

void lk_delete_set_init(lk_delete_set *self, const lk_alloc *alloc, uint32_t count_max) {
  *self = (lk_delete_set){ .alloc = alloc, .count_max = count_max };
}

void lk_delete_set_deinit(lk_delete_set *self) {
  if (self->alloc != NULL)
    lk_free_array(self->alloc, self->ranges, self->cap, sizeof *self->ranges);
  *self = (lk_delete_set){ 0 };
}

lk_err lk_delete_set_add_slow(lk_delete_set *self, uint64_t client, uint64_t clock, uint64_t len) {
  if (self->count == self->cap) {
    size_t cap;
    if (!lk_grow_cap(self->cap, self->count + 1, RANGES_CAP_LEAST, self->count_max, &cap))
      return LK_ERR_LIMIT;
    lk_clock_entry *grown = lk_resize_array(self->alloc, self->ranges, self->cap, cap,
                                            sizeof *grown);
    if (grown == NULL) return LK_ERR_NOMEM;
    self->ranges = grown;
    self->cap = cap;
  }
  self->ranges[self->count++] = (lk_clock_entry){ client, clock, len };
  return LK_OK;
}

lk_err lk_delete_set_read(lk_delete_set *self, lk_update_reader *in, bool joined) {
  lk_err err;
  uint64_t client, clock, len, count;
  while ((err = lk_update_next_delete_client(in, &client, &count)) == LK_OK) {
    while ((err = lk_update_next_delete(in, &clock, &len)) == LK_OK) {
      err = joined ? lk_delete_set_join(self, client, clock, len)
                   : lk_delete_set_add(self, client, clock, len);
      if (err != LK_OK) return err;
    }
    if (err != LK_ERR_END) return err;
  }
  return err == LK_ERR_END ? LK_OK : err;
}

lk_err lk_delete_set_group(lk_delete_set *self) {
  const lk_clock_entry *ranges = self->ranges;
  for (size_t i = 1; i < self->count; i++)
    if (ranges[i].client > ranges[i - 1].client)
      return sort_keys(self->alloc, self->ranges, self->count, false);
  return LK_OK;
}

lk_err lk_delete_set_merge(lk_delete_set *self) {
  lk_err err = lk_clock_entries_sort(self->alloc, self->ranges, self->count);
  if (err != LK_OK || self->count == 0) return err;
  size_t last = 0;
  for (size_t i = 1; i < self->count; i++) {
    lk_clock_entry *left = &self->ranges[last];
    const lk_clock_entry *right = &self->ranges[i];
    if (left->client == right->client && left->clock + left->value >= right->clock) {
      left->value = lk_max_u64(left->value, right->clock + right->value - left->clock);
    } else {
      self->ranges[++last] = *right;
    }
  }
  self->count = last + 1;
  return LK_OK;
}

/* ---- writing ---- */

/* Whether V2 can say it: each range has a length, and begins where the one before ended or later. */
static bool only_goes_on(const lk_delete_set *self) {
  for (size_t i = 0; i < self->count; i++) {
    const lk_clock_entry *at = &self->ranges[i];
    if (at->value == 0) return false;
    if (i > 0 && at[-1].client == at->client && at[-1].clock + at[-1].value > at->clock)
      return false;
  }
  return true;
}

static void drop_empty(lk_delete_set *self) {
  size_t kept = 0;
  for (size_t i = 0; i < self->count; i++)
    if (self->ranges[i].value > 0) self->ranges[kept++] = self->ranges[i];
  self->count = kept;
}

lk_err lk_delete_set_write(lk_delete_set *self, lk_update_writer *out) {
  if (out->format == LK_UPDATE_V2 && !only_goes_on(self)) {
    LK_COVERED(delete_set_v2_merges);
    lk_err err = lk_delete_set_merge(self);
    if (err != LK_OK) return err;
    drop_empty(self);
  }
  lk_update_write_deletes(out);
  for (size_t i = 0, end; i < self->count; i = end) {
    uint64_t client = self->ranges[i].client;
    for (end = i; end < self->count && self->ranges[end].client == client;) end++;
    lk_update_write_delete_client(out, client, end - i);
    for (size_t k = i; k < end; k++)
      lk_update_write_delete(out, self->ranges[k].clock, self->ranges[k].value);
  }
  return LK_OK;
}

/* ---- asking a merged set ---- */

size_t lk_delete_set_find(const lk_delete_set *self, uint64_t client, uint64_t clock) {
  size_t low = 0, high = self->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const lk_clock_entry *at = &self->ranges[middle];
    bool is_before = at->client != client ? at->client > client : at->clock + at->value <= clock;
    if (is_before) low = middle + 1;
    else high = middle;
  }
  return low;
}

bool lk_delete_set_has(const lk_delete_set *self, uint64_t client, uint64_t clock) {
  size_t at = lk_delete_set_find(self, client, clock);
  return at < self->count && self->ranges[at].client == client && self->ranges[at].clock <= clock;
}
