/* base/btree.h -- an ordered set of small items of one size, with ranks.
 *
 * The order is the caller's: a comparison of two items, which must not change for an item that is
 * in. Items are copied in, and stay within nodes of some hundred bytes, so that a million of them
 * cost little more than their own size. Iteration is in order, and so deterministic; nothing
 * depends on where memory lies, and no choice of items by a stranger makes it slow.
 *
 * Allocation is apart from insertion: lk_btree_reserve() gets the memory for what is to come and is
 * the only call that can fail. That is what lets a merge prepare everything first and then change
 * all at once.
 *
 * A pointer to an item and a cursor are good until the next insertion or removal. What the
 * comparison does not look at may be changed in place. */
#ifndef LK_BASE_BTREE_H
#define LK_BASE_BTREE_H

#include "base/alloc.h"
#include "base/slice.h"

/* Below, equal to or above zero. |ctx| is that of lk_btree_init(). A key that is searched for is passed
 * as |a|, an item of the tree as |b|; a key may be an item that is filled in only as far as the
 * comparison looks. */
typedef int (*lk_btree_compare)(const void *ctx, const void *a, const void *b);

typedef struct lk_btree_node lk_btree_node;

/* Which of the two it is: what is small, and has objects of the catalogue, needs ranks all the same (wasm/module.cmake). */
#if defined(LK_SMALL) && !defined(LK_RANKS)
#define LK_BTREE_SMALL
#endif

#ifndef LK_BTREE_SMALL
typedef struct lk_btree {
  const lk_alloc *alloc;
  lk_btree_compare compare;
  const void *ctx;
  lk_btree_node *root;  /* NULL while there is nothing */
  lk_btree_node *first; /* the leaf with the least item */
  lk_btree_node *last;
  lk_btree_node *spare; /* nodes that were reserved */
  uint32_t spare_count;
  uint32_t node_count; /* in the tree */
  uint32_t leaf_count; /* of these */
  uint32_t count;      /* items */
  uint32_t height;     /* 0 for nothing, 1 for a single leaf */
  uint16_t item_size;
  uint16_t leaf_cap;  /* items in a full leaf */
  uint16_t inner_cap; /* children of a full inner node */
} lk_btree;
#else /* btree_small.c */
typedef struct lk_btree {
  const lk_alloc *alloc;
  lk_btree_compare compare;
  const void *ctx;
  lk_btree_node **blocks;
  uint32_t block_count, block_cap;
  lk_btree_node *spare;
  uint32_t spare_count;
  uint32_t count; /* items */
  uint16_t item_size;
} lk_btree;
#endif

/* Where an item stands. A zeroed cursor stands nowhere. */
typedef struct lk_btree_cursor {
  lk_btree_node *leaf;
  uint32_t index;
#ifdef LK_BTREE_SMALL
  const lk_btree *tree;
#endif
} lk_btree_cursor;

/* Allocates nothing. |item_size| is a multiple of 4, 4 to 32; items are aligned to 8 if it is a multiple
 * of 8, else to 4. |ctx| is handed to |compare| and must outlive the tree. */
void lk_btree_init(lk_btree *self, const lk_alloc *alloc, uint16_t item_size,
                   lk_btree_compare compare, const void *ctx);

/* Safe on a zeroed struct, and twice. */
void lk_btree_deinit(lk_btree *self);

static inline uint32_t lk_btree_count(const lk_btree *self) { return self->count; }

/* Bytes that are allocated, spare nodes included. */
size_t lk_btree_bytes(const lk_btree *self);

/* From here on |more| insertions need no memory, removals in between notwithstanding; a later call
 * does not take back what an earlier one promised. Cheap where |more| is small or enough is there:
 * at most |more| times (height + 1) nodes, and for many no more than half-full nodes would need.
 * LK_ERR_NOMEM, and LK_ERR_LIMIT where there would be 2^31 items: the tree is as before. */
lk_err lk_btree_reserve(lk_btree *self, uint32_t more) LK_MUST_USE;

/* Frees spare nodes beyond a few. What was reserved before is promised no longer. */
void lk_btree_trim(lk_btree *self);

/* Puts a copy of |item| in and returns where it is. No equal item may be in, and memory for it must have
 * been reserved: the first is asserted, and the second where a node is needed. |item| is not in the
 * tree's own memory. */
void *lk_btree_insert(lk_btree *self, const void *item);

/* False where there is no item equal to |key|. Nodes that become needless turn into spare ones. When
 * this returns, no comparison will be handed the removed item again: what it refers to may go. |key|
 * may be the item itself, as lk_btree_get() returned it. */
bool lk_btree_remove(lk_btree *self, const void *key);

/* The item equal to |key|, or NULL. */
void *lk_btree_get(const lk_btree *self, const void *key);

/* ---- cursors: each returns the item, or NULL and a cursor that stands nowhere. |out| may be NULL
 * where the item is enough. ---- */

void *lk_btree_first(const lk_btree *self, lk_btree_cursor *out);
void *lk_btree_last(const lk_btree *self, lk_btree_cursor *out);

/* The first item that is not below |key|. */
void *lk_btree_at_least(const lk_btree *self, const void *key, lk_btree_cursor *out);

/* The last item that is not above |key|. */
void *lk_btree_at_most(const lk_btree *self, const void *key, lk_btree_cursor *out);

void *lk_btree_next(lk_btree_cursor *cursor);
void *lk_btree_prev(lk_btree_cursor *cursor);

#define LK_BTREE_WARM_MOST 64

/* Asks for the memory in which searches for |count| keys, one behind the other in |keys|, will end, for all at once: so
 * that those searches wait for it together and not one after the other. Changes nothing. */
void lk_btree_warm(const lk_btree *self, const void *keys, uint32_t count);

/* Hands every item to |rewrite|, which may change it in place, in no order, and some of them more than once as copies
 * that the tree keeps: the same item must become the same. Afterwards the items must have the order that they
 * had; nothing is compared meanwhile. */
void lk_btree_rewrite(lk_btree *self, void (*rewrite)(void *ctx, void *item), void *ctx);

/* ---- ranks: both O(log n) ---- */

/* The item with |rank| items before it, or NULL. */
void *lk_btree_at(const lk_btree *self, uint32_t rank, lk_btree_cursor *out);

/* How many items are below |key|, which need not be in. */
uint32_t lk_btree_rank(const lk_btree *self, const void *key);

/* For tests: asserts order, fill, links, counts, and that inner nodes hold items that are in. Visits
 * everything. */
void lk_btree_check(const lk_btree *self);

#endif
