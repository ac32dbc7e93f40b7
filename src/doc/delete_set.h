/* doc/delete_set.h -- ranges of clocks, kept and put in order as Yjs's DeleteSet does it.
 *
 * Ranges are added as they come, by any client in any order. What Yjs writes is grouped by client, the
 * greatest first; where several sets were merged, each client's ranges are in order besides, and
 * those that touch or overlap are one. */
#ifndef LK_DOC_DELETE_SET_H
#define LK_DOC_DELETE_SET_H

#include "base/alloc.h"
#include "doc/update.h"

/* Something of a client at a clock. |value| is the length of a range here; what else is sorted (merge.c,
 * inspect.c) has its own use for it. */
typedef struct lk_clock_entry {
  uint64_t client, clock, value;
} lk_clock_entry;

/* Sorts by client, the greatest first, then by clock; what is equal stays in its order. Linear: entries
 * that are in order already are only looked at, and need no memory. LK_ERR_NOMEM leaves them as they
 * were. Fewer than 2^32 of them. */
lk_err lk_clock_entries_sort(const lk_alloc *alloc, lk_clock_entry *entries,
                             size_t count) LK_MUST_USE;

typedef struct lk_delete_set {
  const lk_alloc *alloc;
  lk_clock_entry *ranges;
  size_t count, cap;
  uint32_t count_max;
} lk_delete_set;

/* Allocates nothing. |count_max| is the most ranges. */
void lk_delete_set_init(lk_delete_set *self, const lk_alloc *alloc, uint32_t count_max);

/* Safe on a zeroed struct, and twice. */
void lk_delete_set_deinit(lk_delete_set *self);

/* LK_ERR_LIMIT, LK_ERR_NOMEM: nothing was added. */
lk_err lk_delete_set_add_slow(lk_delete_set *self, uint64_t client, uint64_t clock,
                              uint64_t len) LK_MUST_USE;
LK_MUST_USE static inline lk_err lk_delete_set_add(lk_delete_set *self, uint64_t client,
                                                   uint64_t clock, uint64_t len) {
  if (self->count == self->cap) return lk_delete_set_add_slow(self, client, clock, len);
  self->ranges[self->count++] = (lk_clock_entry){ client, clock, len };
  return LK_OK;
}

/* The same for a set that will be merged: what touches the range that was added last makes that longer. Who deletes
 * backwards or forwards, letter by letter, leaves one range so. */
LK_MUST_USE static inline lk_err lk_delete_set_join(lk_delete_set *self, uint64_t client,
                                                    uint64_t clock, uint64_t len) {
  if (self->count > 0) {
    lk_clock_entry *last = &self->ranges[self->count - 1];
    uint64_t end = clock + len, last_end = last->clock + last->value;
    if (last->client == client && clock <= last_end && last->clock <= end) {
      last->clock = lk_min_u64(last->clock, clock);
      last->value = lk_max_u64(last_end, end) - last->clock;
      return LK_OK;
    }
  }
  return lk_delete_set_add(self, client, clock, len);
}

/* Adds what follows in |in|, which has no structs left, to its end; |joined| as by join(). Errors are the reader's
 * and those of add(); some ranges may have been added then. */
lk_err lk_delete_set_read(lk_delete_set *self, lk_update_reader *in, bool joined) LK_MUST_USE;

/* Puts clients in order, the greatest first, and leaves each one's ranges as they came: Yjs's way where it
 * takes one set from one update into another. LK_ERR_NOMEM: as before. */
lk_err lk_delete_set_group(lk_delete_set *self) LK_MUST_USE;

/* Puts all in order and makes one of ranges that touch or overlap: Yjs's mergeDeleteSets. Ranges of no
 * length stay where they touch no other. LK_ERR_NOMEM: as before. */
lk_err lk_delete_set_merge(lk_delete_set *self) LK_MUST_USE;

/* Writes a set that group() or merge() has put in order. V2 has no words for ranges that are empty, overlap or
 * step back: for it such a set is merged first, and the empty ones are left out. LK_ERR_NOMEM. */
lk_err lk_delete_set_write(lk_delete_set *self, lk_update_writer *out) LK_MUST_USE;

/* The first range of a merged set that ends behind |clock| of |client|, or belongs to a client that comes
 * later; |count| where there is none. */
size_t lk_delete_set_find(const lk_delete_set *self, uint64_t client, uint64_t clock);

/* Whether the clock is in a merged set. */
bool lk_delete_set_has(const lk_delete_set *self, uint64_t client, uint64_t clock);

#endif
