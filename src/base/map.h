/* base/map.h -- a hash map from bytes to fixed-size values that iterates in order of insertion.
 *
 * Two replicas that did the same things must produce the same bytes, so nothing may depend on
 * where an item happens to lie in memory: entries stand in an array in the order in which their
 * keys first came, and the hash index only points into it. Hashing is keyed (SipHash-1-3) with
 * entropy that the caller passes, since keys come from strangers who would choose collisions.
 *
 * Keys are copied, values are |value_size| bytes that the map moves about: a pointer to a value
 * is good until the next put or remove. */
#ifndef LK_BASE_MAP_H
#define LK_BASE_MAP_H

#include "base/alloc.h"
#include "base/slice.h"

typedef struct lk_map_key lk_map_key;

typedef struct lk_map {
  const lk_alloc *alloc;
  lk_map_key *keys; /* entry_cap of them; a removed entry has no key bytes and is skipped */
  uint8_t *values;  /* entry_cap * value_size bytes */
  uint32_t *index;  /* index_cap slots, a power of two: entry number + 1, or 0 */
  uint64_t seed[2];
  size_t value_size;
  uint32_t entry_count; /* entries in use, removed ones included */
  uint32_t entry_cap;
  uint32_t index_cap;
  uint32_t live_count;
  uint32_t count_max;
} lk_map;

/* Allocates nothing. |count_max| is the most keys at once. |seed| should come from entropy where
 * strangers choose keys; it never influences iteration order. |value_size| may be 0: a set. */
void lk_map_init(lk_map *self, const lk_alloc *alloc, size_t value_size, uint32_t count_max,
                 const uint64_t seed[2]);

/* Safe on a zeroed struct, and twice. Values are not looked at: free what they own before. */
void lk_map_deinit(lk_map *self);

static inline uint32_t lk_map_count(const lk_map *self) { return self->live_count; }

/* The value of |key|, or NULL. */
void *lk_map_get(const lk_map *self, lk_slice key);

/* Finds or makes the entry of |key|. A new value is zeroed and |*is_new| true. LK_ERR_LIMIT at
 * count_max, LK_ERR_NOMEM: the map is as before. */
lk_err lk_map_put(lk_map *self, lk_slice key, void **value, bool *is_new) LK_MUST_USE;

/* False where there was no such key. The order of the others stays. */
bool lk_map_remove(lk_map *self, lk_slice key);

/* Iteration in order of insertion. Begin with |*cursor| 0; false when there is no more. The map
 * may be changed only by removing the entry that was just returned. */
bool lk_map_next(const lk_map *self, uint32_t *cursor, lk_slice *key, void **value);

/* SipHash-1-3 of |bytes| under |seed|; also useful where a keyed hash is wanted elsewhere. */
uint64_t lk_siphash13(const uint64_t seed[2], lk_slice bytes);

#endif
