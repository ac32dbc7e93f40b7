/* crdt/state.h -- the engine: facts with their dots, and everything that is the same for all types.
 *
 * struct lk_crdt, the object of laniakea/crdt.h, holds what crdt/flat.h describes in a form that can be
 * asked and changed: nodes and facts in slots with numbers, and ordered indexes over them.
 *
 *   nodes    by (parent, type, key)            find, walk the children in order
 *   facts    by (node, actor, number)          walk what stands at a node, where that is much
 *   known    by (actor, number)                dots that were ever heard of, in ranges
 *   live     by (actor, number)                those that a fact has; the others were removed
 *   order    by (list, position, key)          elements of ordered types, with ranks
 *
 * Types read through the functions of this header and change an object only by an lk_change, which
 * becomes a delta and is merged like any other: an operation cannot do here what its delta would
 * not do elsewhere. */
#ifndef LK_CRDT_STATE_H
#define LK_CRDT_STATE_H

#include "base/btree.h"
#include "crdt/flat.h"

/* Of a free slot; a hint may lead there still. */
#define LK_NODE_TYPE_FREE UINT8_MAX

#define LK_NODE_NONE 0u
#define LK_NODE_ROOT 1u

/* A node is a cache line: a search compares keys in it, mostly without going elsewhere. */
#define LK_KEY_SMALL 24
#define LK_KEY_HEAD 16

typedef struct lk_node {
  union {
    uint8_t small[LK_KEY_SMALL]; /* the whole key where it fits */
    struct {
      uint8_t *ptr; /* owned */
      uint8_t head[LK_KEY_HEAD];
    } large;
  } key;
  uint64_t total; /* dots of the facts that stand here */
  uint32_t key_len;
  uint32_t parent; /* LK_NODE_NONE of the root; of a free slot the next free one */
  uint32_t kids;
  uint32_t facts;
  uint32_t first; /* fact, where they are a list and not in the index */
  uint32_t place; /* ordered: the fact that decides the place, while it is in the order; else 0 */
  uint8_t type;   /* a number of types.def, LK_CRDT_ELEMENT, or LK_NODE_TYPE_FREE */
  uint8_t mark;   /* not 0 while a merge has it on its list */
  bool indexed;   /* facts are many, and in the index */
} lk_node;

typedef struct lk_fact {
  uint8_t *value; /* owned */
  uint64_t lo;
  uint64_t hi;
  uint32_t value_len;
  uint32_t node; /* LK_NODE_NONE: a free slot */
  uint32_t actor;
  uint32_t next; /* at the same node, or the next free slot */
} lk_fact;

/* A node that was found under a hash; node 0 is none. */
typedef struct lk_node_hint {
  uint32_t hash;
  uint32_t node;
} lk_node_hint;

/* A stretch of one actor's numbers that were heard of. */
typedef struct lk_range {
  uint32_t actor;
  uint64_t lo;
  uint64_t hi;
} lk_range;

/* A fact in the order of dots; its last number is the fact's |hi|. */
typedef struct lk_run {
  uint32_t actor;
  uint32_t fact;
  uint64_t lo;
} lk_run;

typedef struct lk_crdt_actor {
  uint8_t *id; /* owned */
  uint32_t id_len;
  uint32_t rank;    /* place among the actors by bytes */
  uint32_t at_rank; /* the other way: the actor whose rank is this one's number */
  uint32_t hint;    /* an actor that was found under a hash that leads here */
  uint64_t end;     /* the greatest number that is known */
} lk_crdt_actor;

struct lk_crdt {
  lk_crdt_scope scope;
  lk_alloc alloc; /* counts what is allocated: scope.alloc points here */
  const lk_alloc *inner;
  lk_limits limits;
  size_t bytes;
  const lk_crdt_type *type;
  lk_crdt_actor *actors; /* by number of their coming */
  lk_node *nodes;        /* slot 0 is the probe: see state.c */
  lk_fact *facts;        /* likewise */
  uint32_t actor_count, actor_cap;
  lk_node_hint *hints; /* see lk_node_find() */
  uint32_t hint_cap;
  uint32_t node_end, node_cap, node_free, node_count;
  uint32_t fact_end, fact_cap, fact_free, fact_count;
  uint64_t weight;    /* an upper bound of the encoding's length */
  uint64_t dots;      /* that live, of all facts: their number modulo 2^64, */
  uint32_t dots_high; /* and how often it went past that */
  lk_btree node_index;
  lk_btree fact_index;
  lk_btree known;
  lk_btree live;
  lk_btree order;
};

/* |alloc| must outlive the object; |limits| are copied. The struct must not be moved afterwards. Errors: LK_ERR_NOMEM. */
lk_err lk_crdt_init(lk_crdt *self, const lk_crdt_type *type, const lk_alloc *alloc,
                    const lk_limits *limits) LK_MUST_USE;

/* Safe on a zeroed struct, and twice. */
void lk_crdt_deinit(lk_crdt *self);

/* ---- reading ---- */

static inline const lk_node *lk_node_at(const lk_crdt *self, uint32_t node) {
  return &self->nodes[node];
}
/* Good until a node is added. */
static inline lk_slice lk_node_key(const lk_crdt *self, uint32_t node) {
  const lk_node *at = &self->nodes[node];
  return lk_slice_of(at->key_len <= LK_KEY_SMALL ? at->key.small : at->key.large.ptr, at->key_len);
}
/* NULL for an element. */
static inline const lk_crdt_type *lk_node_type(const lk_crdt *self, uint32_t node) {
  return lk_crdt_type_of(self->nodes[node].type);
}
/* The type that decides about the facts at |node|. */
const lk_crdt_type *lk_node_owner_type(const lk_crdt *self, uint32_t node);
static inline const lk_fact *lk_fact_at(const lk_crdt *self, uint32_t fact) {
  return &self->facts[fact];
}
static inline lk_slice lk_fact_value(const lk_crdt *self, uint32_t fact) {
  return lk_slice_of(self->facts[fact].value, self->facts[fact].value_len);
}

/* The child of |parent|, or LK_NODE_NONE; also for a |parent| of LK_NODE_NONE. |type| NULL for an element. */
uint32_t lk_node_find(const lk_crdt *self, uint32_t parent, const lk_crdt_type *type, lk_slice key);

/* The children in order of (type, key): |cursor| zeroed at first; LK_NODE_NONE at the end. */
uint32_t lk_node_next_kid(const lk_crdt *self, uint32_t parent, lk_btree_cursor *cursor);

/* The facts at |node| by (actor's bytes, number): |cursor| zeroed at first; 0 at the end. */
uint32_t lk_fact_next(const lk_crdt *self, uint32_t node, lk_btree_cursor *cursor);

/* The dots that |actor| has at |node|. */
uint64_t lk_node_total_of(const lk_crdt *self, uint32_t node, uint32_t actor);

/* Elements of an ordered object in their order: how many, and which stands at |index| (LK_NODE_NONE past the
 * end). */
uint32_t lk_order_count(const lk_crdt *self, uint32_t list);
uint32_t lk_order_at(const lk_crdt *self, uint32_t list, uint32_t index);
/* One after the other, like lk_node_next_kid(). */
uint32_t lk_order_next(const lk_crdt *self, uint32_t list, lk_btree_cursor *cursor);
/* Where |element| stands: a position, see crdt/position.h. */
lk_slice lk_order_position(const lk_crdt *self, uint32_t element);

/* The node that |path| leads to: LK_NODE_NONE where there is none yet. |*type| is the type that the path
 * ends with. LK_ERR_CORRUPT, LK_ERR_DEPTH, LK_ERR_TYPE (below an object that is no map). */
lk_err lk_crdt_resolve(const lk_crdt *self, lk_slice path, uint32_t *node,
                       const lk_crdt_type **type) LK_MUST_USE;

/* Writes the value of the object at |node|: asks its type. Maps use it for what is below them; the depth is
 * bounded by crdt_depth. */
lk_err lk_crdt_write_value(const lk_crdt *self, uint32_t node, lk_json_writer *out);

/* ---- changing ----
 *
 *   lk_change c;
 *   lk_err err = lk_change_begin(&c, self, op, &lk_crdt_type_orset);
 *   uint32_t element = lk_change_find(&c, NULL, key);     // in the object; LK_NODE_NONE
 *   lk_change_remove_at(&c, element);                     // what is there is removed
 *   lk_change_put(&c, lk_change_element(&c, key), value); // a new fact with a new dot
 *   return lk_change_end(&c, err);
 *
 * The first error is remembered; lk_change_end() returns it, and then nothing has changed. What is read while a
 * change is under way is as before it. Memory handed to it must live until lk_change_end(). */
typedef struct lk_change {
  lk_crdt *self;
  const lk_crdt_op *op;
  lk_arena arena; /* for what the operation builds; released by lk_change_end() */
  lk_flat_builder flat;
  lk_err err;
  uint32_t node;       /* of the object in |self|; LK_NODE_NONE where it is not there yet */
  uint32_t flat_node;  /* of the object in |flat| */
  uint32_t actor;      /* of the operation in |self|; UINT32_MAX where it is new */
  uint32_t flat_actor; /* of the operation in |flat| */
  uint64_t next;       /* see lk_change_next(), which fills it in */
  bool next_known;
  uint32_t removed_actor, removed_flat_actor; /* of the fact that was removed last */
  bool removed_actor_known;
} lk_change;

/* Resolves op->at, which must lead to an object of |type|: LK_ERR_TYPE. */
lk_err lk_change_begin(lk_change *self, lk_crdt *crdt, const lk_crdt_op *op,
                       const lk_crdt_type *type) LK_MUST_USE;

/* The element |key| of the object in the state as it is. */
uint32_t lk_change_find(const lk_change *self, lk_slice key);

/* The place in the delta of the element |key| of the object; of the object itself it is flat_node. */
uint32_t lk_change_element(lk_change *self, lk_slice key);

/* Removes: one fact; |lo| to |hi| of one fact; the facts at |node|; those at |node| and everything below it.
 * LK_NODE_NONE is nothing. */
void lk_change_remove_fact(lk_change *self, uint32_t fact);
void lk_change_remove_part(lk_change *self, uint32_t fact, uint64_t lo, uint64_t hi);
void lk_change_remove_at(lk_change *self, uint32_t node);
void lk_change_remove_below(lk_change *self, uint32_t node);

/* The number that the next fact will get; 0 where they are used up. */
uint64_t lk_change_next(lk_change *self);

/* A new fact at |flat_node|, with the next number. |value| is empty where the type has none. */
void lk_change_put(lk_change *self, uint32_t flat_node, lk_slice value);

/* |amount| more dots at |flat_node|, which is |node| in the state (or LK_NODE_NONE): for types with runs. LK_ERR_OVERFLOW
 * where the actor's numbers are used up. */
void lk_change_count(lk_change *self, uint32_t flat_node, uint32_t node, uint64_t amount);

/* begin, count and end in one, for operations that only count: at the object itself where |key| is empty, else at
 * that element of it. */
lk_err lk_crdt_count(lk_crdt *self, const lk_crdt_op *op, const lk_crdt_type *type, lk_slice key,
                     uint64_t amount) LK_MUST_USE;

/* Merges what was built, unless |err| or the remembered error is one, and appends the delta. */
lk_err lk_change_end(lk_change *self, lk_err err) LK_MUST_USE;

/* ---- inside the engine: state.c for merge.c ----
 *
 * Reserving may fail and changes nothing that can be seen; everything else cannot. */

/* Indexes of actors. lk_actor_add() takes what is not there yet. */
#define LK_ACTOR_NONE UINT32_MAX
uint32_t lk_actor_find(const lk_crdt *self, lk_slice id);
/* The numbers of |count| actors, whose ids are in order and distinct; those that are not there are added. On failure
 * some may have been: lk_actor_drop_to(). */
lk_err lk_actors_map(lk_crdt *self, const lk_slice *ids, uint32_t count, uint32_t *out) LK_MUST_USE;
/* Takes back the latest ones, of which nothing is known, until |count| are left. */
void lk_actor_drop_to(lk_crdt *self, uint32_t count);

/* Asks for the memory of the nodes that |flat| is about, all at once instead of one after the other: in a large
 * state most of the time of a small merge is waiting for it. */
void lk_nodes_warm(const lk_crdt *self, const lk_flat *flat);

/* A node without facts, which nobody sees. LK_ERR_NOMEM, LK_ERR_LIMIT. */
lk_err lk_node_add(lk_crdt *self, uint32_t parent, const lk_crdt_type *type, lk_slice key,
                   uint32_t *out) LK_MUST_USE;
/* Frees |node| and those above it as far as they have neither facts nor kids; never the root. */
void lk_node_prune(lk_crdt *self, uint32_t node);

/* Up to so many facts of a node are a list, more are in the index. */
#define LK_FACTS_LISTED 8

/* Slots for |more| facts, and memory for |inserts| into their index. */
lk_err lk_facts_reserve(lk_crdt *self, uint32_t more, uint32_t inserts) LK_MUST_USE;
uint32_t lk_fact_new(lk_crdt *self, uint32_t node, uint32_t actor, uint64_t lo, uint64_t hi,
                     uint8_t *value, uint32_t value_len);
void lk_fact_free(lk_crdt *self, uint32_t fact);
/* The most that a fact, or a known range, adds to the encoding. */
uint64_t lk_fact_weight(uint64_t lo, uint64_t hi, size_t value_len);
#define LK_RANGE_WEIGHT 20u
/* The last fact of |actor| at |node|; 0 where there is none. */
uint32_t lk_fact_last_of(const lk_crdt *self, uint32_t node, uint32_t actor);
/* The numbers of a fact that stands change. */
void lk_fact_resize(lk_crdt *self, uint32_t fact, uint64_t lo, uint64_t hi);

/* The range that has |at|, or the next one of |actor| above; NULL where there is none. */
lk_range *lk_known_at_least(const lk_crdt *self, uint32_t actor, uint64_t at, lk_btree_cursor *out);
/* The next range of the same actor, or NULL. */
lk_range *lk_known_next(const lk_range *range, lk_btree_cursor *cursor);
/* The same for what is live. */
lk_run *lk_live_at_least(const lk_crdt *self, uint32_t actor, uint64_t at, lk_btree_cursor *out);
lk_run *lk_live_next(const lk_run *run, lk_btree_cursor *cursor);

/* A fact of a type that counts gets more dots right behind its own, up to |hi|. False, and nothing was done, where
 * it would meet dots that are known, or where a limit is near: then a merge says what is wrong. */
bool lk_fact_extend(lk_crdt *self, uint32_t fact, uint64_t hi);

bool lk_node_is_ordered(const lk_crdt *self, uint32_t node);
/* Out of the order and into it again, with changes of the element's facts in between. Its |place| is kept as long as that fact
 * lives; a new fact contends for it. */
void lk_order_remove(lk_crdt *self, uint32_t element);
void lk_order_contend(lk_crdt *self, uint32_t fact);
void lk_order_insert(lk_crdt *self, uint32_t element);

/* Makes a table of hints for as many nodes as there is room for; none where memory is out. */
void lk_hints_renew(lk_crdt *self);

/* Gives memory back that a large part of the state has left: after a merge, while nobody holds numbers of nodes or
 * facts. Cheap where there is nothing to do; where memory is out all stays as it is. (compact.c) */
void lk_crdt_compact(lk_crdt *self);

/* ---- merging ---- */

/* Takes in |flat|, of the same type; see lk_crdt_merge(). */
lk_err lk_crdt_merge_flat(lk_crdt *self, const lk_flat *flat, bool *changed) LK_MUST_USE;

/* The whole state; slices point into |self|. LK_ERR_NOMEM. */
lk_err lk_crdt_flatten(const lk_crdt *self, lk_arena *arena, lk_flat *out) LK_MUST_USE;

#endif
