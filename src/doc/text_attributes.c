/* doc/text_attributes.c -- formatting attributes, in JavaScript's order and with its equality.
 *
 * In which order a set of attributes is written decides the bytes of an update, so a map here is what a Map is
 * there: an array in order of insertion with holes where something was removed, and for more than a few keys a
 * hash table of places in the array. Formatting comes from strangers: nothing may take quadratic time
 * because there are thousands of keys.
 *
 * Yjs compares values in two ways. Its equalAttrs takes objects with equal members as equal, which bytes can
 * tell. But where a deletion leaves formatting behind that might be needless, it asks with ===, and
 * objects then have to be the same one. Formatting that ends a stretch is given the very object that held before
 * it; so here it is given the same offset in |values|, and offsets tell. What strangers sent is never the same
 * object. What callers here give is bytes and has no identity; it counts as in a program that keeps its
 * attributes in constants: equal objects that callers here gave are one, and LK_ITEM_OWN tells which those are. */
#include "doc/text.h"

#include "base/sort.h"
#include "doc/read.h"
#include "doc/value.h"

#define ANY_UNDEFINED 127
#define ANY_NULL 126
#define ANY_OBJECT 118 /* and below it arrays and bytes */

/* ---- values ---- */

lk_text_value lk_text_null(void) {
  static const uint8_t null_any[] = { ANY_NULL };
  return (lk_text_value){ .at = LK_NONE, .bytes = { null_any, sizeof null_any } };
}

lk_text_value lk_text_value_of(const lk_item *item) {
  return (lk_text_value){ .at = item->content, .own = (item->flags & LK_ITEM_OWN) != 0 };
}

lk_slice lk_text_value_bytes(const lk_doc *doc, const lk_text_value *value) {
  return value->at == LK_NONE ? value->bytes : lk_value_bytes(doc, value->at);
}

bool lk_text_value_is_null(const lk_doc *doc, const lk_text_value *value) {
  return lk_slice_at(lk_text_value_bytes(doc, value), 0) == ANY_NULL;
}

bool lk_text_value_is_nothing(const lk_doc *doc, const lk_text_value *value) {
  return lk_slice_at(lk_text_value_bytes(doc, value), 0) >= ANY_NULL;
}

static bool is_object(lk_slice any) { return lk_slice_at(any, 0) <= ANY_OBJECT; }

static bool is_one_object(const lk_doc *doc, const lk_text_value *a, const lk_text_value *b) {
  if (a->at != LK_NONE && a->at == b->at) return true;
  return a->own && b->own &&
         lk_slice_equal(lk_text_value_bytes(doc, a), lk_text_value_bytes(doc, b));
}

bool lk_text_value_equal(const lk_doc *doc, const lk_text_value *a, const lk_text_value *b) {
  lk_slice bytes_a = lk_text_value_bytes(doc, a), bytes_b = lk_text_value_bytes(doc, b);
  if (is_object(bytes_a) && is_object(bytes_b) && is_one_object(doc, a, b)) return true;
  return lk_value_equal_flat(bytes_a, bytes_b);
}

bool lk_text_value_same(const lk_doc *doc, const lk_text_value *a, const lk_text_value *b) {
  lk_slice bytes_a = lk_text_value_bytes(doc, a), bytes_b = lk_text_value_bytes(doc, b);
  if (is_object(bytes_a) || is_object(bytes_b)) return is_one_object(doc, a, b);
  return lk_value_equal_flat(bytes_a, bytes_b);
}

/* ---- maps ---- */

#define FEW 8 /* keys that are searched one by one */

/* There are twice as many slots as places in the array, both powers of two. */
static uint32_t first_slot(const lk_text_map *self, uint32_t key) {
  return (uint32_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (self->cap * 2 - 1);
}

static void put_slot(lk_text_map *self, uint32_t number) {
  uint32_t at = first_slot(self, self->items[number].key);
  while (self->slots[at] != 0) at = (at + 1) & (self->cap * 2 - 1);
  self->slots[at] = number + 1;
}

static void put_slots(lk_text_map *self) {
  if (self->slots == NULL) return;
  memset(self->slots, 0, (size_t)self->cap * 2 * sizeof *self->slots);
  for (uint32_t i = 0; i < self->count; i++) put_slot(self, i);
}

static uint32_t find(const lk_text_map *self, uint32_t key) {
  if (self->slots == NULL) {
    for (uint32_t i = 0; i < self->count; i++) {
      if (self->items[i].key == key) return i;
    }
    return LK_NONE;
  }
  for (uint32_t at = first_slot(self, key);; at = (at + 1) & (self->cap * 2 - 1)) {
    uint32_t slot = self->slots[at];
    if (slot == 0) return LK_NONE;
    if (self->items[slot - 1].key == key) return slot - 1;
  }
}

lk_text_value *lk_text_map_find(const lk_text_map *self, uint32_t key) {
  uint32_t number = find(self, key);
  return number == LK_NONE ? NULL : &self->items[number].value;
}

lk_text_value lk_text_map_get(const lk_doc *doc, const lk_text_map *self, uint32_t key) {
  const lk_text_value *found = lk_text_map_find(self, key);
  return found == NULL || lk_text_value_is_nothing(doc, found) ? lk_text_null() : *found;
}

/* A larger array where most of it is in use; the holes go. */
static lk_err make_room(lk_text_map *self, lk_arena *arena) {
  lk_text_attribute *to = self->items;
  if (self->live >= self->cap / 2) {
    uint32_t cap = self->cap == 0 ? FEW : self->cap * 2;
    uint32_t *slots = NULL;
    to = lk_arena_push_array(arena, cap, sizeof *to);
    if (cap > FEW) slots = lk_arena_push_array(arena, (size_t)cap * 2, sizeof *slots);
    if (to == NULL || (cap > FEW && slots == NULL)) return LK_ERR_NOMEM;
    self->cap = cap;
    self->slots = slots;
  }
  uint32_t kept = 0;
  for (uint32_t i = 0; i < self->count; i++) {
    if (self->items[i].key != LK_NONE) to[kept++] = self->items[i];
  }
  self->items = to;
  self->count = kept;
  put_slots(self);
  return LK_OK;
}

lk_err lk_text_map_set(lk_text_map *self, lk_arena *arena, uint32_t key, lk_text_value value) {
  uint32_t number = find(self, key);
  if (number != LK_NONE) {
    self->items[number].value = value;
    return LK_OK;
  }
  if (self->count == self->cap) {
    lk_err err = make_room(self, arena);
    if (err != LK_OK) return err;
  }
  self->items[self->count++] = (lk_text_attribute){ key, value };
  self->live++;
  if (self->slots != NULL) put_slot(self, self->count - 1);
  return LK_OK;
}

void lk_text_map_remove(lk_text_map *self, uint32_t key) {
  uint32_t number = find(self, key);
  if (number == LK_NONE) return;
  self->items[number].key = LK_NONE; /* its slot goes on to lead to others that came later */
  self->live--;
}

lk_err lk_text_map_copy(const lk_text_map *from, lk_arena *arena, lk_text_map *to) {
  lk_err err = LK_OK;
  *to = (lk_text_map){ 0 };
  for (uint32_t i = 0; err == LK_OK && i < from->count; i++) {
    const lk_text_attribute *attribute = &from->items[i];
    if (attribute->key != LK_NONE)
      err = lk_text_map_set(to, arena, attribute->key, attribute->value);
  }
  return err;
}

lk_err lk_text_map_pass(const lk_doc *doc, lk_text_map *self, lk_arena *arena,
                        const lk_item *item) {
  lk_text_value value = lk_text_value_of(item);
  uint32_t key = lk_item_key(doc, item);
  if (!lk_text_value_is_null(doc, &value)) return lk_text_map_set(self, arena, key, value);
  lk_text_map_remove(self, key);
  return LK_OK;
}

/* ---- the order of an object's keys ---- */

typedef struct ranked {
  uint32_t index;
  lk_text_attribute attribute;
} ranked;

static bool by_index(const void *ctx, const void *a, const void *b) {
  (void)ctx;
  return ((const ranked *)a)->index < ((const ranked *)b)->index;
}

lk_err lk_text_map_sort(const lk_doc *doc, lk_text_map *self, lk_arena *arena) {
  uint32_t count = 0, index;
  for (uint32_t i = 0; i < self->count; i++)
    count += lk_read_is_index(lk_name_slice(doc, self->items[i].key), &index);
  if (count == 0) return LK_OK;
  ranked *first = lk_arena_push_array(arena, count, sizeof *first);
  if (first == NULL) return LK_ERR_NOMEM;
  uint32_t taken = 0, to = self->count;
  for (uint32_t i = self->count; i-- > 0;) { /* the others move up, in their order */
    lk_text_attribute attribute = self->items[i];
    if (lk_read_is_index(lk_name_slice(doc, attribute.key), &index))
      first[taken++] = (ranked){ index, attribute };
    else self->items[--to] = attribute;
  }
  lk_sort(first, count, sizeof *first, by_index, NULL);
  for (uint32_t i = 0; i < count; i++) self->items[i] = first[i].attribute;
  put_slots(self);
  return LK_OK;
}
