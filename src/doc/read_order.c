/* doc/read_order.c -- orders of keys, and what formatting is in force: what readers of JSON and XML share.
 *
 * JavaScript objects list keys that are array indexes first, by number, and the others in the order in
 * which they came. Yjs sorts attributes where it writes XML, by UTF-16 units. So readers collect the keys
 * of a node as numbers (lk_refs, one array for all nodes that are open at the time, each with the part at
 * its end) and sort that part: in place, since a stranger may choose how many there are. */
#include "doc/read.h"

#include "base/sort.h"

#define REFS_LEAST 32
#define FORMATS_LEAST 8
#define ANY_NULL 126 /* lib0's */

/* ---- numbers ---- */

void lk_refs_deinit(lk_refs *self) {
  lk_free_array(self->alloc, self->at, self->cap, sizeof *self->at);
  *self = (lk_refs){ .alloc = self->alloc };
}

lk_err lk_refs_push(lk_refs *self, uint32_t ref) {
  if (self->count == self->cap) {
    size_t cap;
    if (!lk_grow_cap(self->cap, (size_t)self->count + 1, REFS_LEAST, UINT32_MAX / 8, &cap)) {
      return LK_ERR_LIMIT;
    }
    uint32_t *at = lk_resize_array(self->alloc, self->at, self->cap, cap, sizeof *at);
    if (at == NULL) return LK_ERR_NOMEM;
    self->at = at;
    self->cap = (uint32_t)cap;
  }
  self->at[self->count++] = ref;
  return LK_OK;
}

typedef struct refs_order {
  lk_refs_before before;
  const void *ctx;
} refs_order;

static bool ref_before(const void *ctx, const void *a, const void *b) {
  const refs_order *order = ctx;
  return order->before(order->ctx, *(const uint32_t *)a, *(const uint32_t *)b);
}

void lk_refs_sort(lk_refs *self, uint32_t from, lk_refs_before before, const void *ctx) {
  refs_order order = { before, ctx };
  if (self->count - from < 2) return;
  lk_sort(self->at + from, self->count - from, sizeof *self->at, ref_before, &order);
}

/* ---- keys ---- */

/* As bytes, but for one thing: what is above U+FFFF (F0 and up) is written with surrogates in UTF-16, and
 * so comes before U+E000 to U+FFFF (EE and EF). */
int lk_read_compare_utf16(lk_slice a, lk_slice b) {
  size_t n = lk_min_size(a.len, b.len), i = 0;
  while (i < n && a.ptr[i] == b.ptr[i]) i++;
  if (i == n) return (a.len > b.len) - (a.len < b.len);
  uint8_t x = a.ptr[i], y = b.ptr[i];
  if (x >= 0xEE && y >= 0xEE && (x >= 0xF0) != (y >= 0xF0)) return x >= 0xF0 ? -1 : 1;
  return x < y ? -1 : 1;
}

bool lk_read_is_index(lk_slice key, uint32_t *out) {
  uint64_t value = 0;
  if (key.len == 0 || key.len > 10 || (key.len > 1 && key.ptr[0] == '0')) return false;
  for (size_t i = 0; i < key.len; i++) {
    if (key.ptr[i] < '0' || key.ptr[i] > '9') return false;
    value = value * 10 + (key.ptr[i] - (uint8_t)'0');
  }
  if (value >= UINT32_MAX) return false;
  *out = (uint32_t)value;
  return true;
}

static bool entry_before(const void *ctx, uint32_t a, uint32_t b) {
  const lk_doc *doc = ctx;
  uint32_t x = 0, y = 0;
  (void)lk_read_is_index(lk_name_slice(doc, doc->entries.at[a].key), &x);
  (void)lk_read_is_index(lk_name_slice(doc, doc->entries.at[b].key), &y);
  return x < y;
}

static lk_err push_entries(const lk_doc *doc, uint32_t type, bool indexes, lk_refs *out) {
  uint32_t index;
  for (uint32_t e = lk_type_at(doc, type)->entry_first; e != LK_NONE; e = doc->entries.at[e].next) {
    if (lk_read_entry(doc, e) == LK_NONE) continue;
    if (lk_read_is_index(lk_name_slice(doc, doc->entries.at[e].key), &index) != indexes) continue;
    lk_err err = lk_refs_push(out, e);
    if (err != LK_OK) return err;
  }
  return LK_OK;
}

lk_err lk_read_push_entries(const lk_doc *doc, uint32_t type, lk_refs *out) {
  uint32_t from = out->count;
  lk_err err = push_entries(doc, type, true, out);
  if (err != LK_OK) return err;
  lk_refs_sort(out, from, entry_before, doc);
  return push_entries(doc, type, false, out);
}

/* ---- formatting ---- */

void lk_formats_init(lk_formats *self, const lk_doc *doc) { *self = (lk_formats){ .doc = doc }; }

void lk_formats_deinit(lk_formats *self) {
  const lk_alloc *alloc = &self->doc->alloc;
  lk_free_array(alloc, self->at, self->cap, sizeof *self->at);
  lk_free_array(alloc, self->where, self->where_count, sizeof *self->where);
  *self = (lk_formats){ .doc = self->doc };
}

/* The place of |name| among those in force, or LK_NONE. What |where| says is believed only where the place
 * agrees: it may have been left, or be another text's. */
static uint32_t place_of(const lk_formats *self, uint32_t name) {
  if (self->where == NULL || self->where[name] == 0) return LK_NONE;
  uint32_t place = self->where[name] - 1;
  if (place < self->base || place >= self->count) return LK_NONE;
  const lk_format *at = &self->at[place];
  return at->name == name && at->item != LK_NONE ? place : LK_NONE;
}

static lk_err make_table(lk_formats *self) {
  uint32_t count = self->doc->names.count;
  self->where = lk_alloc_array(&self->doc->alloc, count, sizeof *self->where);
  if (self->where == NULL) return LK_ERR_NOMEM;
  memset(self->where, 0, (size_t)count * sizeof *self->where);
  self->where_count = count;
  return LK_OK;
}

/* Closes the holes, where they are the greater part: who looks at all that is in force sees no more of them
 * than of the rest, whatever was in force before. */
static void close_holes(lk_formats *self) {
  uint32_t to = self->base;
  if (self->holes * 2 <= self->count - self->base) return;
  for (uint32_t i = self->base; i < self->count; i++) {
    if (self->at[i].item == LK_NONE) continue;
    self->at[to++] = self->at[i];
    self->where[self->at[to - 1].name] = to;
  }
  self->count = to;
  self->holes = 0;
}

static lk_err reserve(lk_formats *self) {
  size_t cap;
  if (self->count < self->cap) return LK_OK;
  if (!lk_grow_cap(self->cap, (size_t)self->count + 1, FORMATS_LEAST, UINT32_MAX / 16, &cap)) {
    return LK_ERR_LIMIT;
  }
  lk_format *at = lk_resize_array(&self->doc->alloc, self->at, self->cap, cap, sizeof *at);
  if (at == NULL) return LK_ERR_NOMEM;
  self->at = at;
  self->cap = (uint32_t)cap;
  return LK_OK;
}

bool lk_formats_has(const lk_formats *self, uint32_t name) {
  return place_of(self, name) != LK_NONE;
}

bool lk_formats_remove(lk_formats *self, uint32_t name) {
  uint32_t place = place_of(self, name);
  if (place == LK_NONE) return false;
  self->at[place].item = LK_NONE;
  self->holes++;
  close_holes(self);
  return true;
}

lk_err lk_formats_apply(lk_formats *self, uint32_t item) {
  const lk_item *it = lk_item_at(self->doc, item);
  lk_slice value = lk_value_bytes(self->doc, it->content);
  uint32_t name = lk_item_key(self->doc, it);
  if (value.len > 0 && value.ptr[0] == ANY_NULL) {
    (void)lk_formats_remove(self, name);
    return LK_OK;
  }
  lk_err err = self->where == NULL ? make_table(self) : LK_OK;
  if (err != LK_OK) return err;
  uint32_t place = place_of(self, name);
  if (place != LK_NONE) {
    self->at[place].item = item;
    return LK_OK;
  }
  if ((err = reserve(self)) != LK_OK) return err;
  self->at[self->count++] = (lk_format){ name, item };
  self->where[name] = self->count;
  return LK_OK;
}

lk_formats_outer lk_formats_begin(lk_formats *self) {
  lk_formats_outer outer = { self->base, self->holes };
  self->base = self->count;
  self->holes = 0;
  return outer;
}

void lk_formats_end(lk_formats *self, lk_formats_outer outer) {
  self->count = self->base;
  self->base = outer.base;
  self->holes = outer.holes;
  for (uint32_t i = self->base; i < self->count; i++) {
    if (self->at[i].item != LK_NONE) self->where[self->at[i].name] = i + 1;
  }
}
