/* crdt/flat.h -- a state or a delta laid flat: the form in which it travels.
 *
 * Everything that the catalogue's objects hold is facts. A fact stands at a node of a tree (the object
 * itself, an element of it, an object below it) and has a dot, actor and number, that no other fact ever
 * has; a run is a fact of several dots in a row, counted. Beside the facts there is what is known: all
 * dots that were ever heard of. A dot that is known and has no fact is one that was removed, and that is
 * all that remains of it.
 *
 *   lk_flat { actors, known ranges, nodes, facts }
 *
 * Two states merge by asking of each dot: known to both? then it lives where both have its fact; known to
 * one? then as that one has it. A delta is a state that knows little.
 *
 * Flat means arrays in their one order, so that equal states are equal arrays and equal bytes:
 *
 *   actors   by their bytes, distinct, each with at least one range
 *   ranges   by (actor, lo), neither overlapping nor touching
 *   nodes    parents before children, depth first; siblings by (type, key), distinct; node 0 is the
 *            object; each other one has a fact on it or below it
 *   facts    by (node, actor, lo); within what is known; no two with a common dot; runs that touch are one;
 *            hi == lo where the type has no runs; only where the type's shape allows
 *   by_dot   the facts' indexes by (actor, lo)
 *
 * Slices are borrowed from what the form was made of: from the bytes, from a state. Arrays are in the
 * arena. The bytes and the JSON are drawn in flat.c. */
#ifndef LK_CRDT_FLAT_H
#define LK_CRDT_FLAT_H

#include "crdt/type.h"

typedef struct lk_flat_range {
  uint32_t actor; /* index into actors */
  uint64_t lo;    /* at least 1 */
  uint64_t hi;    /* at least lo, at most LK_DOT_MAX */
} lk_flat_range;

/* The greatest number of a dot. */
#define LK_DOT_MAX UINT64_MAX

typedef struct lk_flat_node {
  uint32_t parent;          /* index into nodes; of node 0 itself */
  uint32_t depth;           /* 0 for the object */
  const lk_crdt_type *type; /* NULL for an element, whose object is the parent */
  lk_slice key;             /* empty for the object */
} lk_flat_node;

typedef struct lk_flat_fact {
  uint32_t node;
  uint32_t actor;
  uint64_t lo;
  uint64_t hi;
  lk_slice value; /* empty where the type has no values */
} lk_flat_fact;

typedef struct lk_flat {
  const lk_crdt_type *type; /* NULL: a version, which has neither nodes nor facts */
  lk_slice *actors;
  lk_flat_range *ranges;
  lk_flat_node *nodes;
  lk_flat_fact *facts;
  uint32_t *by_dot;
  uint32_t actor_count;
  uint32_t range_count;
  uint32_t node_count;
  uint32_t fact_count;
} lk_flat;

/* The object whose type decides about facts at |node|: the node itself, or an element's parent. */
static inline const lk_crdt_type *lk_flat_type_at(const lk_flat *self, uint32_t node) {
  const lk_flat_node *at = &self->nodes[node];
  return at->type != NULL ? at->type : self->nodes[at->parent].type;
}

/* Reads one state, delta or version from all of |bytes|, trusting nothing: everything above holds of |out|,
 * whose arrays are pushed to |arena|. LK_ERR_UNKNOWN_TYPE, LK_ERR_VERSION, LK_ERR_TRUNCATED, LK_ERR_TRAILING,
 * LK_ERR_NOT_CANONICAL (order, doubles, integers that are too long, what no canonical state has),
 * LK_ERR_ACTOR, LK_ERR_RANGE (numbers), LK_ERR_DOT (two facts with a common dot, or a fact that is not
 * known), LK_ERR_DEPTH, LK_ERR_LIMIT, LK_ERR_TOO_BIG (all beyond crdt_state_bytes, a key or value beyond crdt_value_bytes), the errors of
 * the types' checks, LK_ERR_NOMEM: the arena is as before. */
lk_err lk_flat_decode(lk_flat *out, lk_slice bytes, const lk_crdt_scope *scope,
                      lk_arena *arena) LK_MUST_USE;

/* Appends the canonical bytes. The error is the buffer's, which is then as before. */
lk_err lk_flat_encode(const lk_flat *self, lk_buf *out);

/* The same in JSON, for states and deltas. decode_json also gives LK_ERR_PAYLOAD where the text is JSON but
 * lacks a member or has a wrong one, and accepts any order of members and items. */
lk_err lk_flat_encode_json(const lk_flat *self, lk_buf *out);
lk_err lk_flat_decode_json(lk_flat *out, const lk_crdt_type *type, lk_slice json,
                           const lk_crdt_scope *scope, lk_arena *arena) LK_MUST_USE;

/* ---- building one ----
 *
 * In any order; lk_flat_build() sorts, joins and checks. The first error is remembered, and
 * lk_flat_build() returns it. Slices are borrowed. */
typedef struct lk_flat_builder {
  lk_arena *arena;
  const lk_crdt_scope *scope;
  lk_flat flat;
  uint32_t actor_cap, range_cap, node_cap, fact_cap;
  lk_err err;
} lk_flat_builder;

/* |type| NULL for a version. Node 0 is there from the beginning. */
void lk_flat_builder_init(lk_flat_builder *self, const lk_crdt_type *type,
                          const lk_crdt_scope *scope, lk_arena *arena);

/* Each returns the index of what was added, for the later ones; adding the same actor or the same node again gives
 * another index, and they become one when built. 0 after an error. |type| NULL for an element. */
uint32_t lk_flat_add_actor(lk_flat_builder *self, lk_slice actor);
uint32_t lk_flat_add_node(lk_flat_builder *self, uint32_t parent, const lk_crdt_type *type,
                          lk_slice key);
/* Dots |lo| to |hi| are known. A fact's dots must be added as known, too. */
void lk_flat_add_known(lk_flat_builder *self, uint32_t actor, uint64_t lo, uint64_t hi);
void lk_flat_add_fact(lk_flat_builder *self, uint32_t node, uint32_t actor, uint64_t lo,
                      uint64_t hi, lk_slice value);

/* Sorts and joins what was added into |out|; nodes without facts and actors without ranges are left out. Believes
 * that keys and values are well formed (asserted in debug builds at most); checks dots as lk_flat_decode() does:
 * LK_ERR_DOT, LK_ERR_LIMIT, LK_ERR_NOMEM, or the remembered error. */
lk_err lk_flat_build(lk_flat_builder *self, lk_flat *out) LK_MUST_USE;

/* Fills by_dot of a form whose other arrays are in order, and checks that no dot has two facts and each is
 * known. LK_ERR_DOT, LK_ERR_NOMEM. */
lk_err lk_flat_index_dots(lk_flat *self, lk_arena *arena) LK_MUST_USE;

#endif
