/* crdt/flat_dots.c -- the facts of a form in the order of their dots.
 *
 * Facts come by node. Who merges asks by dot, and whether two facts claim the same dot shows only
 * when they stand side by side. So indexes of facts are sorted by (actor, lo): where the facts
 * themselves are in that order (a counter; a delta of one fact) they are it already; a few are
 * sorted by insertion; many digit by digit, the lowest first, which is stable and so leaves the
 * order of the digits before:
 *
 *   lo:  d0 d1 .. d7   actor: d0 .. d3      256 buckets each
 *
 * Digits in which all facts agree are passed over: a million facts of one actor are three rounds.
 * Twelve is the most, so no input makes it slow. Not chosen: a merge sort. Its twenty rounds for a
 * million facts would each visit facts far apart, two for a comparison. */
#include "crdt/flat.h"

#define INSERTION_MOST 24
#define DIGIT_VALUES 256
#define DIGITS 12

static inline bool dot_before(const lk_flat_fact *a, const lk_flat_fact *b) {
  return a->actor != b->actor ? a->actor < b->actor : a->lo < b->lo;
}

static bool in_order(const lk_flat *self) {
  for (uint32_t i = 1; i < self->fact_count; i++) {
    if (!dot_before(&self->facts[i - 1], &self->facts[i])) return false;
  }
  return true;
}

static void sort_few(const lk_flat *self) {
  for (uint32_t i = 1; i < self->fact_count; i++) {
    uint32_t index = self->by_dot[i], at = i;
    for (; at > 0 && dot_before(&self->facts[index], &self->facts[self->by_dot[at - 1]]); at--) {
      self->by_dot[at] = self->by_dot[at - 1];
    }
    self->by_dot[at] = index;
  }
}

/* Digit 0 to 7 of the number, 8 to 11 of the actor. */
static inline uint8_t digit_of(const lk_flat_fact *fact, uint32_t digit) {
  return digit < 8 ? (uint8_t)(fact->lo >> digit * 8) : (uint8_t)(fact->actor >> (digit - 8) * 8);
}

/* By one digit, from |from| to |to|. */
static void sort_digit(const lk_flat *self, uint32_t digit, const uint32_t *from, uint32_t *to) {
  uint32_t places[DIGIT_VALUES] = { 0 }, place = 0;
  for (uint32_t i = 0; i < self->fact_count; i++) places[digit_of(&self->facts[i], digit)]++;
  for (uint32_t i = 0; i < DIGIT_VALUES; i++) {
    uint32_t count = places[i];
    places[i] = place;
    place += count;
  }
  for (uint32_t i = 0; i < self->fact_count; i++) {
    to[places[digit_of(&self->facts[from[i]], digit)]++] = from[i];
  }
}

static void sort_many(const lk_flat *self, uint32_t *scratch) {
  uint32_t *from = self->by_dot, *to = scratch;
  lk_flat_fact differ = { 0 }; /* the bits of |lo| and |actor| in which not all agree */
  for (uint32_t i = 1; i < self->fact_count; i++) {
    differ.lo |= self->facts[i].lo ^ self->facts[0].lo;
    differ.actor |= self->facts[i].actor ^ self->facts[0].actor;
  }
  for (uint32_t digit = 0; digit < DIGITS; digit++) {
    if (digit_of(&differ, digit) == 0) continue;
    sort_digit(self, digit, from, to);
    uint32_t *sorted = to;
    to = from;
    from = sorted;
  }
  if (from != self->by_dot) memcpy(self->by_dot, from, self->fact_count * sizeof *from);
}

static lk_err sort(const lk_flat *self, lk_arena *arena) {
  lk_arena_mark mark = lk_arena_get_mark(arena);
  for (uint32_t i = 0; i < self->fact_count; i++) self->by_dot[i] = i;
  if (in_order(self)) return LK_OK;
  if (self->fact_count <= INSERTION_MOST) {
    sort_few(self);
    return LK_OK;
  }
  uint32_t *scratch = lk_arena_push_array(arena, self->fact_count, sizeof *scratch);
  if (scratch == NULL) return LK_ERR_NOMEM;
  sort_many(self, scratch);
  lk_arena_pop_to(arena, mark);
  return LK_OK;
}

/* Walks facts and ranges side by side. A fact lies within one range, since ranges do not touch. */
static lk_err check(const lk_flat *self) {
  const lk_flat_range *range = self->ranges, *end = range + self->range_count;
  const lk_flat_fact *last = NULL;
  for (uint32_t i = 0; i < self->fact_count; i++) {
    const lk_flat_fact *fact = &self->facts[self->by_dot[i]];
    if (last != NULL && last->actor == fact->actor && last->hi >= fact->lo) return LK_ERR_DOT;
    while (range < end &&
           (range->actor < fact->actor || (range->actor == fact->actor && range->hi < fact->lo))) {
      range++;
    }
    if (range == end || range->actor != fact->actor) return LK_ERR_DOT;
    if (range->lo > fact->lo || range->hi < fact->hi) return LK_ERR_DOT;
    last = fact;
  }
  return LK_OK;
}

lk_err lk_flat_index_dots(lk_flat *self, lk_arena *arena) {
  lk_arena_mark mark = lk_arena_get_mark(arena);
  self->by_dot = lk_arena_push_array(arena, self->fact_count, sizeof *self->by_dot);
  if (self->by_dot == NULL) return LK_ERR_NOMEM;
  lk_err err = sort(self, arena);
  if (err == LK_OK) err = check(self);
  if (err != LK_OK) lk_arena_pop_to(arena, mark);
  return err;
}
