/* base/map.c -- an index of slots over an array of entries.
 *
 *   index   [ 0 | 3 | 0 | 1 | 2 | 0 | 0 | 0 ]     slot = hash & (index_cap - 1), linear probing;
 *                 |       |   |                   a slot holds entry number + 1, 0 is empty
 *   keys    [ "ada" , "bob" , (removed) , "eve" ] in order of insertion
 *   values  [  ...  ,  ...  ,    ...    ,  ...  ]
 *
 * Iteration walks the entries and skips removed ones, so its order is that of the insertions and
 * owes nothing to hashes or addresses. Removing takes the slot out of the index by moving later
 * slots of the same run back (no tombstones there, so look-ups never slow down), and leaves the
 * entry as a hole; when the array is full a rebuild closes them up in order, and a map that
 * becomes empty forgets them. Each entry keeps its hash: a rebuild hashes nothing, and look-ups compare
 * hashes before bytes.
 *
 * Always: index_cap is 0 or a power of two and at least twice entry_cap's use (load <= 1/2);
 * live_count + holes == entry_count <= entry_cap.
 *
 * Keys are SipHash-1-3 under the caller's seed: strangers choose keys. */
#include "base/map.h"

#define ENTRY_CAP_LEAST 8

struct lk_map_key {
  uint64_t hash;
  uint8_t *ptr; /* NULL with len 0 for the empty key */
  uint32_t len;
  bool live;
};

void lk_map_init(lk_map *self, const lk_alloc *alloc, size_t value_size, uint32_t count_max,
                 const uint64_t seed[2]) {
  *self = (lk_map){ .alloc = alloc, .value_size = value_size };
  self->count_max = lk_min_u32(count_max, UINT32_MAX / 8);
  self->seed[0] = seed[0];
  self->seed[1] = seed[1];
}

static void free_key(lk_map *self, lk_map_key *key) {
  lk_free_bytes(self->alloc, key->ptr, key->len);
  *key = (lk_map_key){ 0 };
}

static void free_arrays(lk_map *self) {
  lk_free_array(self->alloc, self->keys, self->entry_cap, sizeof *self->keys);
  if (self->value_size > 0) {
    lk_free_array(self->alloc, self->values, self->entry_cap, self->value_size);
  }
  lk_free_array(self->alloc, self->index, self->index_cap, sizeof *self->index);
}

void lk_map_deinit(lk_map *self) {
  for (uint32_t i = 0; i < self->entry_count; i++) free_key(self, &self->keys[i]);
  if (self->alloc != NULL) free_arrays(self);
  *self = (lk_map){ 0 };
}

static void *value_at(const lk_map *self, uint32_t entry) {
  /* A set has no values, but "found" must not look like NULL. */
  if (self->value_size == 0) return &self->keys[entry];
  return self->values + (size_t)entry * self->value_size;
}

static bool is_key(const lk_map_key *entry, uint64_t hash, lk_slice key) {
  return entry->hash == hash && lk_slice_equal(lk_slice_of(entry->ptr, entry->len), key);
}

/* The slot of |key|, or the empty slot where it would go. */
static uint32_t find_slot(const lk_map *self, uint64_t hash, lk_slice key) {
  uint32_t mask = self->index_cap - 1;
  uint32_t slot = (uint32_t)hash & mask;
  while (self->index[slot] != 0 && !is_key(&self->keys[self->index[slot] - 1], hash, key)) {
    slot = (slot + 1) & mask;
  }
  return slot;
}

void *lk_map_get(const lk_map *self, lk_slice key) {
  if (self->live_count == 0) return NULL;
  uint32_t slot = find_slot(self, lk_siphash13(self->seed, key), key);
  return self->index[slot] == 0 ? NULL : value_at(self, self->index[slot] - 1);
}

static void index_entry(uint32_t *index, uint32_t index_cap, uint64_t hash, uint32_t entry) {
  uint32_t slot = (uint32_t)hash & (index_cap - 1);
  while (index[slot] != 0) slot = (slot + 1) & (index_cap - 1);
  index[slot] = entry + 1;
}

/* Moves the live entries, in order, to the front of arrays of |entry_cap|; an index of twice
 * that. All new memory is taken before anything moves: on failure nothing has changed. */
static lk_err rebuild(lk_map *self, uint32_t entry_cap) {
  lk_map next = *self;
  next.entry_cap = entry_cap;
  next.index_cap = 2;
  while (next.index_cap < 2 * entry_cap) next.index_cap *= 2;
  next.keys = lk_alloc_array(self->alloc, entry_cap, sizeof *next.keys);
  next.index = lk_alloc_array(self->alloc, next.index_cap, sizeof *next.index);
  next.values = self->value_size > 0 ? lk_alloc_array(self->alloc, entry_cap, self->value_size)
                                     : NULL;
  if (next.keys == NULL || next.index == NULL || (self->value_size > 0 && next.values == NULL)) {
    free_arrays(&next);
    return LK_ERR_NOMEM;
  }
  memset(next.index, 0, next.index_cap * sizeof *next.index);
  next.entry_count = 0;
  for (uint32_t i = 0; i < self->entry_count; i++) {
    if (!self->keys[i].live) continue;
    next.keys[next.entry_count] = self->keys[i];
    if (self->value_size > 0) {
      memcpy(value_at(&next, next.entry_count), value_at(self, i), self->value_size);
    }
    index_entry(next.index, next.index_cap, self->keys[i].hash, next.entry_count);
    next.entry_count++;
  }
  LK_ASSERT(next.entry_count == self->live_count);
  free_arrays(self);
  *self = next;
  return LK_OK;
}

/* Room for one more entry: holes are closed before the arrays grow. */
static lk_err make_room(lk_map *self) {
  if (self->entry_count < self->entry_cap) return LK_OK;
  size_t cap;
  uint32_t wanted = self->live_count + self->live_count / 2 + 1;
  bool fits = lk_grow_cap(0, wanted, ENTRY_CAP_LEAST, (size_t)self->count_max * 2 + 1, &cap);
  LK_ASSERT(fits);
  return rebuild(self, (uint32_t)cap);
}

static lk_err copy_key(lk_map *self, uint64_t hash, lk_slice key, lk_map_key *out) {
  *out = (lk_map_key){ .hash = hash, .live = true };
  if (!lk_size_to_u32(key.len, &out->len)) return LK_ERR_TOO_BIG;
  if (key.len == 0) return LK_OK;
  out->ptr = lk_alloc_bytes(self->alloc, key.len);
  if (out->ptr == NULL) return LK_ERR_NOMEM;
  memcpy(out->ptr, key.ptr, key.len);
  return LK_OK;
}

lk_err lk_map_put(lk_map *self, lk_slice key, void **value, bool *is_new) {
  uint64_t hash = lk_siphash13(self->seed, key);
  if (self->index_cap > 0) {
    uint32_t slot = find_slot(self, hash, key);
    if (self->index[slot] != 0) {
      *value = value_at(self, self->index[slot] - 1);
      *is_new = false;
      return LK_OK;
    }
  }
  if (self->live_count >= self->count_max) {
    LK_COVERED(map_reached_its_maximum);
    return LK_ERR_LIMIT;
  }
  lk_map_key copy;
  lk_err err = copy_key(self, hash, key, &copy);
  if (err == LK_OK) err = make_room(self);
  if (err != LK_OK) {
    lk_free_bytes(self->alloc, copy.ptr, copy.len);
    return err;
  }
  uint32_t entry = self->entry_count++;
  self->keys[entry] = copy;
  self->live_count++;
  index_entry(self->index, self->index_cap, hash, entry);
  if (self->value_size > 0) memset(value_at(self, entry), 0, self->value_size);
  *value = value_at(self, entry);
  *is_new = true;
  return LK_OK;
}

/* Takes |slot| out and moves back those behind it that probing would no longer reach. */
static void clear_slot(lk_map *self, uint32_t slot) {
  uint32_t mask = self->index_cap - 1;
  uint32_t hole = slot;
  for (uint32_t at = (slot + 1) & mask; self->index[at] != 0; at = (at + 1) & mask) {
    uint32_t home = (uint32_t)self->keys[self->index[at] - 1].hash & mask;
    if (((at - home) & mask) < ((at - hole) & mask)) continue; /* its home lies behind the hole */
    self->index[hole] = self->index[at];
    hole = at;
  }
  self->index[hole] = 0;
}

bool lk_map_remove(lk_map *self, lk_slice key) {
  if (self->live_count == 0) return false;
  uint32_t slot = find_slot(self, lk_siphash13(self->seed, key), key);
  if (self->index[slot] == 0) return false;
  uint32_t entry = self->index[slot] - 1;
  clear_slot(self, slot);
  free_key(self, &self->keys[entry]);
  self->live_count--;
  /* A queue-like use (remove the oldest, add a new one) closes its holes in make_room. */
  if (self->live_count == 0) self->entry_count = 0;
  return true;
}

bool lk_map_next(const lk_map *self, uint32_t *cursor, lk_slice *key, void **value) {
  while (*cursor < self->entry_count) {
    uint32_t entry = (*cursor)++;
    if (!self->keys[entry].live) continue;
    *key = lk_slice_of(self->keys[entry].ptr, self->keys[entry].len);
    *value = value_at(self, entry);
    return true;
  }
  return false;
}

/* ---- SipHash-1-3 (Aumasson and Bernstein): 1 round for each word, 3 at the end ---- */

static void sip_round(uint64_t v[4]) {
  v[0] += v[1];
  v[1] = lk_rotl_u64(v[1], 13) ^ v[0];
  v[0] = lk_rotl_u64(v[0], 32);
  v[2] += v[3];
  v[3] = lk_rotl_u64(v[3], 16) ^ v[2];
  v[0] += v[3];
  v[3] = lk_rotl_u64(v[3], 21) ^ v[0];
  v[2] += v[1];
  v[1] = lk_rotl_u64(v[1], 17) ^ v[2];
  v[2] = lk_rotl_u64(v[2], 32);
}

uint64_t lk_siphash13(const uint64_t seed[2], lk_slice bytes) {
  uint64_t v[4] = { seed[0] ^ 0x736f6d6570736575u, seed[1] ^ 0x646f72616e646f6du,
                    seed[0] ^ 0x6c7967656e657261u, seed[1] ^ 0x7465646279746573u };
  uint64_t last = (uint64_t)bytes.len << 56;
  for (; bytes.len >= 8; bytes = lk_slice_skip(bytes, 8)) {
    uint64_t word = lk_load_le64(bytes.ptr);
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
  }
  for (size_t i = 0; i < bytes.len; i++) last |= (uint64_t)bytes.ptr[i] << (8 * i);
  v[3] ^= last;
  sip_round(v);
  v[0] ^= last;
  v[2] ^= 0xff;
  for (int i = 0; i < 3; i++) sip_round(v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}
