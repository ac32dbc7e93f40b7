/* room/tails.h -- for each topic, the records of the journal that no snapshot of it holds yet.
 *
 * A room that is opened is its snapshot and its tail, applied in order. Tails are in memory, so that a
 * room can be opened again without reading the journal, and each of them is short: the house takes a
 * snapshot when one has grown. The oldest record of all tails says what of the journal may go.
 *
 *   journal   a1 b1 a2 c1 b2 a3        all: a1 b1 a2 c1 b2 a3 (in order of index)
 *   tails     a: a1 a2 a3   b: b1 b2   c: c1
 *
 * An item is made before its record is appended, so that what was appended can always be put in:
 *
 *   lk_tails_make ──> append to the journal ──> lk_tails_put with its index
 *                └──> or not ──> lk_tails_unmake
 *
 * Always: |all| and each tail are in ascending order of index. A topic without items is not there. */
#ifndef LK_ROOM_TAILS_H
#define LK_ROOM_TAILS_H

#include "base/base.h"
#include "base/list.h"
#include "base/map.h"

typedef struct lk_tail {
  lk_list items;
  size_t bytes;    /* of its items, what they cost in memory included */
  uint32_t made;   /* items that were made and not put */
  uint64_t doomed; /* the index of a tombstone, which is the last item; 0: none */
  uint32_t topic_len;
  uint8_t topic[];
} lk_tail;

typedef struct lk_tail_item {
  lk_link of_tail;
  lk_link of_all;
  lk_tail *tail;
  uint64_t index; /* of the record; 0 before put */
  uint64_t at;    /* bytes of all that was put before it, as in lk_tail.bytes */
  size_t len;
  uint8_t bytes[]; /* the record without its topic */
} lk_tail_item;

typedef struct lk_tails {
  const lk_alloc *alloc;
  lk_map tails; /* topic -> lk_tail * */
  lk_list all;
  uint64_t written; /* bytes of all that was ever put, likewise */
} lk_tails;

/* Allocates nothing. |seed| is fresh entropy: topics are strangers' text. */
void lk_tails_init(lk_tails *self, const lk_alloc *alloc, const uint64_t seed[2]);

/* Forgets all items; those that were made must have been put or unmade. */
void lk_tails_clear(lk_tails *self);

/* Safe on a zeroed struct, and twice. As above. */
void lk_tails_deinit(lk_tails *self);

/* NULL where there is none, or nothing but items that were made. Good until an item goes. */
lk_tail *lk_tails_find(const lk_tails *self, lk_slice topic);

static inline lk_slice lk_tail_topic(const lk_tail *self) {
  return lk_slice_of(self->topic, self->topic_len);
}

/* Copies |bytes|. LK_ERR_NOMEM, LK_ERR_LIMIT: nothing was made. */
lk_err lk_tails_make(lk_tails *self, lk_slice topic, lk_slice bytes,
                     lk_tail_item **out) LK_MUST_USE;
void lk_tails_unmake(lk_tails *self, lk_tail_item *item);

/* |item|, which is empty, was put, and is durable: nothing of its topic is to be kept, and what was before it is forgotten. It stays until it is
 * dropped, so that the journal keeps it until all else is gone. */
void lk_tails_doom(lk_tails *self, lk_tail_item *item);

/* |index| is above that of every item that was put before. */
void lk_tails_put(lk_tails *self, lk_tail_item *item, uint64_t index);

/* Records from |index| on were refused: there are none. */
void lk_tails_take_back(lk_tails *self, uint64_t index);

/* A snapshot of |topic| holds everything up to |index|. */
void lk_tails_drop(lk_tails *self, lk_slice topic, uint64_t index);

/* NULL where there is none. */
static inline const lk_tail_item *lk_tails_oldest(const lk_tails *self) {
  return self->all.first == NULL ? NULL : LK_CONTAINER(self->all.first, lk_tail_item, of_all);
}

static inline const lk_tail_item *lk_tail_first(const lk_tail *self) {
  return LK_CONTAINER(self->items.first, lk_tail_item, of_tail);
}

/* How many bytes were put since the oldest item that is still there. The journal has less; tails that are read from
 * it may have as many, what snapshots hold included. */
uint64_t lk_tails_span(const lk_tails *self);

#endif
