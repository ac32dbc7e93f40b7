/* channel/edge_tables.c -- numbers of connections and members, names of topics.
 *
 * A number is a place in a table, and how often it was taken before.
 *
 * A topic stands at the place of its hash or at the next free one behind it. A quarter of the places is free at least. The
 * record has the name and the hash itself, so a place is no more than a pointer. The hash is keyed, since strangers
 * choose names. */
#include "channel/edge_parts.h"

#include "base/map.h"

#define NAMES_CAP_MIN 16u
#define NAMES_CAP_MAX (1u << 30)

/* ---- numbers ---- */

void *lk_edge_table_get(const table *self, uint64_t number) {
  uint64_t place = number & UINT32_MAX;
  if (place >= self->cap || self->slots[place].thing == NULL) return NULL;
  return self->slots[place].uses == number >> INDEX_BITS ? self->slots[place].thing : NULL;
}

static lk_err table_grow(const lk_alloc *alloc, table *self) {
  size_t cap;
  if (!lk_grow_cap(self->cap, (size_t)self->cap + 1, 16, self->count_max, &cap))
    return LK_ERR_LIMIT;
  slot *slots = lk_resize_array(alloc, self->slots, self->cap, cap, sizeof *slots);
  if (slots == NULL) return LK_ERR_NOMEM;
  self->slots = slots;
  for (size_t i = cap; i-- > self->cap;) {
    slots[i] = (slot){ .next_free = self->first_free };
    self->first_free = (uint32_t)i;
  }
  self->cap = (uint32_t)cap;
  return LK_OK;
}

lk_err lk_edge_table_add(const lk_alloc *alloc, table *self, void *thing, uint64_t *number) {
  if (self->first_free == NO_PLACE) {
    lk_err err = table_grow(alloc, self);
    if (err != LK_OK) return err;
  }
  uint32_t place = self->first_free;
  slot *s = &self->slots[place];
  self->first_free = s->next_free;
  s->thing = thing;
  s->uses = s->uses == USES_MASK ? 1 : s->uses + 1;
  self->count++;
  *number = (uint64_t)s->uses << INDEX_BITS | place;
  return LK_OK;
}

void lk_edge_table_remove(table *self, uint64_t number) {
  uint32_t place = (uint32_t)number;
  LK_ASSERT(lk_edge_table_get(self, number) != NULL);
  self->slots[place].thing = NULL;
  self->slots[place].next_free = self->first_free;
  self->first_free = place;
  self->count--;
}

/* ---- names ---- */

static uint32_t hash_of(const lk_edge *self, lk_slice name) {
  return (uint32_t)lk_siphash13(self->options.hash_seed, name);
}

topic *lk_edge_topic_of(const lk_edge *self, lk_slice name) {
  const names *all = &self->topics;
  uint32_t hash, mask = all->cap - 1;
  if (all->count == 0) return NULL;
  hash = hash_of(self, name);
  for (uint32_t at = hash & mask; all->places[at] != NULL; at = (at + 1) & mask) {
    topic *t = all->places[at];
    if (t->hash == hash && lk_slice_equal(topic_name(t), name)) return t;
  }
  return NULL;
}

static void put_topic(const names *all, topic *t) {
  uint32_t at = t->hash & (all->cap - 1);
  while (all->places[at] != NULL) at = (at + 1) & (all->cap - 1);
  all->places[at] = t;
}

/* All of them into |cap| places; 0 where there are none. */
static lk_err resize_names(lk_edge *self, uint32_t cap) {
  const names before = self->topics;
  names now = { .cap = cap, .count = before.count };
  if (cap > 0) {
    now.places = lk_alloc_array(self->alloc, cap, sizeof *now.places);
    if (now.places == NULL) return LK_ERR_NOMEM;
    memset((void *)now.places, 0, cap * sizeof *now.places);
  }
  for (uint32_t i = 0; i < before.cap; i++) {
    if (before.places[i] != NULL) put_topic(&now, before.places[i]);
  }
  lk_free_array(self->alloc, (void *)before.places, before.cap, sizeof *before.places);
  self->topics = now;
  return LK_OK;
}

lk_err lk_edge_add_topic(lk_edge *self, topic *t) {
  names *all = &self->topics;
  lk_err err = LK_OK;
  if (all->count >= all->cap - all->cap / 4) {
    if (all->cap == NAMES_CAP_MAX) return LK_ERR_LIMIT;
    err = resize_names(self, lk_max_u32(NAMES_CAP_MIN, all->cap * 2));
  }
  if (err != LK_OK) return err;
  t->hash = hash_of(self, topic_name(t));
  put_topic(all, t);
  all->count++;
  return LK_OK;
}

/* Moves up what stands behind the gap and belongs before it, so that searches may end at a free place. */
static void close_gap(const names *all, uint32_t gap) {
  uint32_t mask = all->cap - 1;
  for (uint32_t at = (gap + 1) & mask; all->places[at] != NULL; at = (at + 1) & mask) {
    uint32_t own = all->places[at]->hash & mask;
    if (((at - own) & mask) < ((at - gap) & mask)) continue; /* its own is behind the gap */
    all->places[gap] = all->places[at];
    gap = at;
  }
  all->places[gap] = NULL;
}

/* That there is no memory for fewer places does no harm. */
void lk_edge_remove_topic(lk_edge *self, const topic *t) {
  names *all = &self->topics;
  uint32_t at = t->hash & (all->cap - 1);
  while (all->places[at] != t) at = (at + 1) & (all->cap - 1);
  close_gap(all, at);
  all->count--;
  if (all->count == 0) (void)!resize_names(self, 0);
  else if (all->cap > NAMES_CAP_MIN && all->count < all->cap / 8)
    (void)!resize_names(self, all->cap / 2);
}
