/* crdt/flat_builder.c -- a form out of parts that come in any order.
 *
 * What an operation adds is in order already, nearly always: one actor, its dot, one way down to a
 * node, one fact. So adding only appends, into room for a handful that the first push has made, and
 * lk_flat_build() begins by looking whether everything stands as flat.h says. An array that does
 * not is copied to scratch memory and comes back sorted and joined, into the room that it had:
 *
 *   actors   by their bytes; equal ones become one, those without ranges none
 *   ranges   by (actor, lo); what overlaps or touches becomes one
 *   nodes    level by level: once those of one level have ranks, the next one is sorted by (rank of
 *            the parent, type, key), and equal neighbours become one. Then sizes are added up from
 *            the leaves, leaving out what has no facts, and places are handed out from the root:
 *
 *                 sizes  root 5          places  root 0
 *                        ├─ a 3                  ├─ a 1
 *                        │  ├─ x 1               │  ├─ x 2
 *                        │  └─ y 1               │  └─ y 3
 *                        └─ b 1                  └─ b 4
 *
 *   facts    by (node, actor, lo); runs that overlap or touch become one, and so does what is there
 *            twice
 *
 * Actors and nodes change their numbers by this, so they come before what refers to them. Sorting
 * is a merge sort of indexes: no order of the input makes it slow, and nothing recurses. */
#include "crdt/flat.h"

/* What an operation usually adds has room at once. */
typedef struct first_room {
  lk_flat_range ranges[4];
  lk_flat_fact facts[4];
  lk_slice actors[2];
  lk_flat_node nodes[4];
} first_room;

#define COUNT_OF(array) ((uint32_t)(sizeof(array) / sizeof(array)[0]))
#define CAP_MAX (UINT32_MAX / 2)
#define NOWHERE UINT32_MAX

/* ---- adding ---- */

void lk_flat_builder_init(lk_flat_builder *self, const lk_crdt_type *type,
                          const lk_crdt_scope *scope, lk_arena *arena) {
  first_room *room = lk_arena_push(arena, sizeof *room);
  *self = (lk_flat_builder){ .arena = arena, .scope = scope, .flat = { .type = type } };
  if (room == NULL) {
    self->err = LK_ERR_NOMEM;
    return;
  }
  self->flat.ranges = room->ranges;
  self->flat.facts = room->facts;
  self->flat.actors = room->actors;
  self->flat.nodes = room->nodes;
  self->range_cap = COUNT_OF(room->ranges);
  self->fact_cap = COUNT_OF(room->facts);
  self->actor_cap = COUNT_OF(room->actors);
  self->node_cap = COUNT_OF(room->nodes);
  if (type == NULL) return;
  self->flat.nodes[0] = (lk_flat_node){ .type = type };
  self->flat.node_count = 1;
}

/* A larger copy of |items|, which are full. What they leave behind stays in the arena: no more than
 * twice what is needed in the end. */
static void *grow(lk_flat_builder *self, const void *items, uint32_t *cap, size_t item_size) {
  size_t grown;
  if (!lk_grow_cap(*cap, (size_t)*cap * 2, 0, CAP_MAX, &grown)) {
    self->err = LK_ERR_LIMIT;
    return NULL;
  }
  void *copy = lk_arena_push_array(self->arena, grown, item_size);
  if (copy == NULL) {
    self->err = LK_ERR_NOMEM;
    return NULL;
  }
  memcpy(copy, items, *cap * item_size);
  *cap = (uint32_t)grown;
  return copy;
}

/* Whether there may be one more of |items|, an array of |flat|; else an error is remembered, and
 * the arrays are not looked at again. */
#define HAS_ROOM(self, items, count, cap)                                                          \
  ((self)->err == LK_OK && ((self)->flat.count < (self)->cap ||                                    \
                            ((self)->flat.items = grow((self), (self)->flat.items, &(self)->cap,   \
                                                       sizeof *(self)->flat.items)) != NULL))

uint32_t lk_flat_add_actor(lk_flat_builder *self, lk_slice actor) {
  if (!HAS_ROOM(self, actors, actor_count, actor_cap)) return 0;
  self->flat.actors[self->flat.actor_count] = actor;
  return self->flat.actor_count++;
}

uint32_t lk_flat_add_node(lk_flat_builder *self, uint32_t parent, const lk_crdt_type *type,
                          lk_slice key) {
  if (!HAS_ROOM(self, nodes, node_count, node_cap)) return 0;
  LK_ASSERT(parent < self->flat.node_count);
  self->flat.nodes[self->flat.node_count] = (lk_flat_node){
    .parent = parent, .depth = self->flat.nodes[parent].depth + 1, .type = type, .key = key
  };
  return self->flat.node_count++;
}

void lk_flat_add_known(lk_flat_builder *self, uint32_t actor, uint64_t lo, uint64_t hi) {
  if (!HAS_ROOM(self, ranges, range_count, range_cap)) return;
  LK_ASSERT(actor < self->flat.actor_count && lo > 0 && lo <= hi);
  self->flat.ranges[self->flat.range_count++] = (lk_flat_range){ actor, lo, hi };
}

void lk_flat_add_fact(lk_flat_builder *self, uint32_t node, uint32_t actor, uint64_t lo,
                      uint64_t hi, lk_slice value) {
  if (!HAS_ROOM(self, facts, fact_count, fact_cap)) return;
  LK_ASSERT(node < self->flat.node_count && actor < self->flat.actor_count);
  LK_ASSERT(lo > 0 && lo <= hi);
  self->flat.facts[self->flat.fact_count++] = (lk_flat_fact){ node, actor, lo, hi, value };
}

/* ---- is it in order already? ---- */

static bool actors_in_order(const lk_flat *self) {
  for (uint32_t i = 1; i < self->actor_count; i++) {
    if (lk_slice_compare(self->actors[i - 1], self->actors[i]) >= 0) return false;
  }
  return true;
}

static bool ranges_in_order(const lk_flat *self) {
  uint32_t actor = 0;
  for (uint32_t i = 0; i < self->range_count; i++) {
    const lk_flat_range *range = &self->ranges[i];
    if (i == 0 ? range->actor != 0 : range->actor != actor && range->actor != actor + 1) {
      return false;
    }
    if (i > 0 && range->actor == actor && range[-1].hi >= range->lo - 1) return false;
    actor = range->actor;
  }
  return self->actor_count == (self->range_count == 0 ? 0 : actor + 1);
}

static int compare_names(const lk_flat_node *a, const lk_flat_node *b) {
  int x = a->type == NULL ? LK_CRDT_ELEMENT : a->type->number;
  int y = b->type == NULL ? LK_CRDT_ELEMENT : b->type->number;
  return x != y ? x - y : lk_slice_compare(a->key, b->key);
}

/* Goes up from each node to the sibling before the next one; all in all no further than it went
 * down. */
static bool nodes_in_order(const lk_flat *self) {
  for (uint32_t i = 1; i < self->node_count; i++) {
    const lk_flat_node *node = &self->nodes[i];
    uint32_t at = i - 1;
    if (node->parent == at) continue;
    while (self->nodes[at].depth > node->depth) at = self->nodes[at].parent;
    if (at == 0 || self->nodes[at].parent != node->parent) return false;
    if (compare_names(&self->nodes[at], node) >= 0) return false;
  }
  return true;
}

/* Also whether there is a fact at each leaf. */
static bool facts_in_order(const lk_flat *self) {
  uint32_t at = 0;
  for (uint32_t i = 0; i < self->node_count; i++) {
    uint32_t first = at;
    bool runs = lk_shape_has_runs(lk_flat_type_at(self, i));
    for (; at < self->fact_count && self->facts[at].node == i; at++) {
      const lk_flat_fact *fact = &self->facts[at];
      if (at == first || fact[-1].actor < fact->actor) continue;
      if (fact[-1].actor > fact->actor || fact[-1].lo >= fact->lo) return false;
      if (runs && fact[-1].hi >= fact->lo - 1) return false;
    }
    bool leaf = i + 1 == self->node_count || self->nodes[i + 1].parent != i;
    if (leaf && i > 0 && at == first) return false;
  }
  return at == self->fact_count;
}

/* ---- sorting ---- */

/* What comparisons look at: copies of the arrays as they were added. */
typedef struct parts {
  const lk_slice *actors;
  const lk_flat_range *ranges;
  const lk_flat_node *nodes;
  const lk_flat_fact *facts;
  const uint32_t *ranks; /* of nodes, as far as they are known */
} parts;

typedef bool before_fn(const parts *in, uint32_t a, uint32_t b);

static bool is_sorted(const uint32_t *order, uint32_t count, before_fn *before, const parts *in) {
  for (uint32_t i = 1; i < count; i++) {
    if (before(in, order[i], order[i - 1])) return false;
  }
  return true;
}

/* Merges the sorted |from|[low..middle) and |from|[middle..high) into |to|. */
static void merge(const uint32_t *from, uint32_t *to, uint32_t low, uint32_t middle, uint32_t high,
                  before_fn *before, const parts *in) {
  uint32_t left = low, right = middle;
  for (uint32_t at = low; at < high; at++) {
    bool take_right = left == middle || (right < high && before(in, from[right], from[left]));
    to[at] = take_right ? from[right++] : from[left++];
  }
}

/* Stable. |scratch| has room for |count|. */
static void sort(uint32_t *order, uint32_t *scratch, uint32_t count, before_fn *before,
                 const parts *in) {
  uint32_t *from = order, *to = scratch;
  if (is_sorted(order, count, before, in)) return;
  for (uint32_t width = 1; width < count; width *= 2) {
    for (uint32_t low = 0; low < count; low += 2 * width) {
      uint32_t middle = lk_min_u32(low + width, count);
      merge(from, to, low, middle, lk_min_u32(low + 2 * width, count), before, in);
    }
    uint32_t *merged = to;
    to = from;
    from = merged;
  }
  if (from != order) memcpy(order, from, count * sizeof *order);
}

static void *copy_of(lk_flat_builder *self, const void *items, uint32_t count, size_t item_size) {
  void *copy = lk_arena_push_array(self->arena, count, item_size);
  if (copy != NULL) memcpy(copy, items, count * item_size);
  return copy;
}

/* 0, 1, 2, ... and behind it as much room again. */
static uint32_t *first_order(lk_flat_builder *self, uint32_t count) {
  uint32_t *order = lk_arena_push_array(self->arena, count, 2 * sizeof *order);
  for (uint32_t i = 0; order != NULL && i < count; i++) order[i] = i;
  return order;
}

/* ---- actors and ranges ---- */

static bool actor_before(const parts *in, uint32_t a, uint32_t b) {
  return lk_slice_compare(in->actors[a], in->actors[b]) < 0;
}

/* What becomes of each actor: |places| has its number as it was added, then that of the equal ones,
 * then the one that it has in the end. */
static lk_err settle_actors(lk_flat_builder *self) {
  lk_flat *flat = &self->flat;
  uint32_t count = flat->actor_count, kinds = 0, kept = 0;
  parts in = { .actors = copy_of(self, flat->actors, count, sizeof *flat->actors) };
  uint32_t *order = first_order(self, count);
  uint32_t *kind = lk_arena_push_array(self->arena, count, sizeof *kind);
  uint32_t *place = lk_arena_push_array(self->arena, count, sizeof *place); /* by kind */
  if (in.actors == NULL || order == NULL || kind == NULL || place == NULL) return LK_ERR_NOMEM;
  sort(order, order + count, count, actor_before, &in);
  for (uint32_t i = 0; i < count; i++) {
    if (i > 0 && actor_before(&in, order[i - 1], order[i])) kinds++;
    kind[order[i]] = kinds;
    place[i] = NOWHERE;
  }
  for (uint32_t i = 0; i < flat->range_count; i++) place[kind[flat->ranges[i].actor]] = 0;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t of = kind[order[i]];
    if ((i > 0 && kind[order[i - 1]] == of) || place[of] == NOWHERE) continue;
    flat->actors[kept] = in.actors[order[i]];
    place[of] = kept++;
  }
  flat->actor_count = kept;
  for (uint32_t i = 0; i < flat->range_count; i++) {
    flat->ranges[i].actor = place[kind[flat->ranges[i].actor]];
  }
  for (uint32_t i = 0; i < flat->fact_count; i++) {
    uint32_t actor = place[kind[flat->facts[i].actor]];
    if (actor == NOWHERE) return LK_ERR_DOT; /* nothing is known of the actor of a fact */
    flat->facts[i].actor = actor;
  }
  return LK_OK;
}

static bool range_before(const parts *in, uint32_t a, uint32_t b) {
  const lk_flat_range *x = &in->ranges[a], *y = &in->ranges[b];
  return x->actor != y->actor ? x->actor < y->actor : x->lo < y->lo;
}

static lk_err settle_ranges(lk_flat_builder *self) {
  lk_flat *flat = &self->flat;
  uint32_t count = flat->range_count, kept = 0;
  parts in = { .ranges = copy_of(self, flat->ranges, count, sizeof *flat->ranges) };
  uint32_t *order = first_order(self, count);
  if (in.ranges == NULL || order == NULL) return LK_ERR_NOMEM;
  sort(order, order + count, count, range_before, &in);
  for (uint32_t i = 0; i < count; i++) {
    lk_flat_range range = in.ranges[order[i]], *last = flat->ranges + kept;
    if (kept > 0 && last[-1].actor == range.actor && last[-1].hi >= range.lo - 1) {
      last[-1].hi = lk_max_u64(last[-1].hi, range.hi);
    } else {
      flat->ranges[kept++] = range;
    }
  }
  flat->range_count = kept;
  return LK_OK;
}

/* ---- nodes ---- */

/* Of each node as it was added, by its index. */
typedef struct tree {
  parts in;
  uint32_t *order; /* by level, then by rank */
  uint32_t
      *same; /* the first of those that are the same node: only that one's size and place count */
  uint32_t *ranks;
  uint32_t *sizes; /* nodes at and below it that stay; 0 for one that goes */
  uint32_t *places;
  uint32_t *next; /* the place of its next kid */
} tree;

static bool depth_before(const parts *in, uint32_t a, uint32_t b) {
  return in->nodes[a].depth < in->nodes[b].depth;
}

static int compare_siblings(const parts *in, uint32_t a, uint32_t b) {
  uint32_t x = in->ranks[in->nodes[a].parent], y = in->ranks[in->nodes[b].parent];
  return x != y ? (x < y ? -1 : 1) : compare_names(&in->nodes[a], &in->nodes[b]);
}

static bool sibling_before(const parts *in, uint32_t a, uint32_t b) {
  return compare_siblings(in, a, b) < 0;
}

static void rank_nodes(tree *self, uint32_t count) {
  const lk_flat_node *nodes = self->in.nodes;
  uint32_t *scratch = self->order + count, end;
  sort(self->order, scratch, count, depth_before, &self->in);
  self->ranks[0] = self->same[0] = 0;
  for (uint32_t from = 1; from < count; from = end) { /* the root is a level by itself */
    for (end = from;
         end < count && nodes[self->order[end]].depth == nodes[self->order[from]].depth;)
      end++;
    sort(self->order + from, scratch, end - from, sibling_before, &self->in);
    for (uint32_t i = from; i < end; i++) {
      uint32_t node = self->order[i], last = self->order[i - 1];
      bool again = i > from && compare_siblings(&self->in, last, node) == 0;
      self->same[node] = again ? self->same[last] : node;
      self->ranks[node] = again ? self->ranks[last] : i;
    }
  }
}

static uint32_t parent_of(const tree *self, uint32_t node) {
  return self->same[self->in.nodes[node].parent];
}

/* A node stays where it has a fact, and then all nodes above it do. */
static void measure_nodes(tree *self, uint32_t count, const lk_flat *flat) {
  memset(self->sizes, 0, count * sizeof *self->sizes);
  self->sizes[0] = 1;
  for (uint32_t i = 0; i < flat->fact_count; i++) {
    uint32_t node = self->same[flat->facts[i].node];
    for (; self->sizes[node] == 0; node = parent_of(self, node)) self->sizes[node] = 1;
  }
  for (uint32_t i = count; i-- > 1;) {
    uint32_t node = self->order[i];
    if (self->same[node] == node) self->sizes[parent_of(self, node)] += self->sizes[node];
  }
}

static void place_nodes(tree *self, uint32_t count, lk_flat *flat) {
  self->places[0] = 0;
  self->next[0] = 1;
  for (uint32_t i = 1; i < count; i++) {
    uint32_t node = self->order[i], parent = parent_of(self, node);
    if (self->same[node] != node || self->sizes[node] == 0) continue;
    uint32_t place = self->next[parent];
    self->next[parent] += self->sizes[node];
    self->places[node] = place;
    self->next[node] = place + 1;
    flat->nodes[place] = self->in.nodes[node];
    flat->nodes[place].parent = self->places[parent];
  }
  flat->node_count = self->sizes[0];
  for (uint32_t i = 0; i < flat->fact_count; i++) {
    flat->facts[i].node = self->places[self->same[flat->facts[i].node]];
  }
}

static lk_err settle_nodes(lk_flat_builder *self) {
  lk_flat *flat = &self->flat;
  uint32_t count = flat->node_count;
  tree t = { .in = { .nodes = copy_of(self, flat->nodes, count, sizeof *flat->nodes) } };
  t.order = first_order(self, count);
  t.same = lk_arena_push_array(self->arena, count, 5 * sizeof *t.same);
  if (count <= 1) return LK_OK; /* the root alone, or a version */
  if (t.in.nodes == NULL || t.order == NULL || t.same == NULL) return LK_ERR_NOMEM;
  t.in.ranks = t.ranks = t.same + count;
  t.sizes = t.ranks + count;
  t.places = t.sizes + count;
  t.next = t.places + count;
  rank_nodes(&t, count);
  measure_nodes(&t, count, flat);
  place_nodes(&t, count, flat);
  return LK_OK;
}

/* ---- facts ---- */

static bool fact_before(const parts *in, uint32_t a, uint32_t b) {
  const lk_flat_fact *x = &in->facts[a], *y = &in->facts[b];
  if (x->node != y->node) return x->node < y->node;
  return x->actor != y->actor ? x->actor < y->actor : x->lo < y->lo;
}

/* Whether |fact| was taken into |last|, which stands before it. Two values with one dot stay apart,
 * for the check of dots to find. */
static bool join_facts(const lk_flat *flat, lk_flat_fact *last, const lk_flat_fact *fact) {
  if (last->node != fact->node || last->actor != fact->actor) return false;
  if (lk_shape_has_runs(lk_flat_type_at(flat, fact->node))) {
    if (last->hi < fact->lo - 1) return false;
    last->hi = lk_max_u64(last->hi, fact->hi);
    return true;
  }
  return last->lo == fact->lo && last->hi == fact->hi && lk_slice_equal(last->value, fact->value);
}

static lk_err settle_facts(lk_flat_builder *self) {
  lk_flat *flat = &self->flat;
  uint32_t count = flat->fact_count, kept = 0;
  parts in = { .facts = copy_of(self, flat->facts, count, sizeof *flat->facts) };
  uint32_t *order = first_order(self, count);
  if (in.facts == NULL || order == NULL) return LK_ERR_NOMEM;
  sort(order, order + count, count, fact_before, &in);
  for (uint32_t i = 0; i < count; i++) {
    const lk_flat_fact *fact = &in.facts[order[i]];
    if (kept > 0 && join_facts(flat, &flat->facts[kept - 1], fact)) continue;
    flat->facts[kept++] = *fact;
  }
  flat->fact_count = kept;
  return LK_OK;
}

/* ---- building ---- */

/* Each asks whether its step has nothing to do. What an actor or a node stands for shows in the
 * ranges and the facts, so those must be in order for the question to be answered. */
static bool actors_settled(const lk_flat *self) {
  return actors_in_order(self) && ranges_in_order(self);
}
static bool nodes_settled(const lk_flat *self) {
  return nodes_in_order(self) && facts_in_order(self);
}

static lk_err settle(lk_flat_builder *self) {
  static const struct {
    bool (*is_settled)(const lk_flat *self);
    lk_err (*settle)(lk_flat_builder *self);
  } steps[] = { { actors_settled, settle_actors },
                { ranges_in_order, settle_ranges },
                { nodes_settled, settle_nodes },
                { facts_in_order, settle_facts } };
  lk_err err = LK_OK;
  for (size_t i = 0; err == LK_OK && i < sizeof steps / sizeof steps[0]; i++) {
    if (steps[i].is_settled(&self->flat)) continue;
    lk_arena_mark mark = lk_arena_get_mark(self->arena);
    err = steps[i].settle(self);
    lk_arena_pop_to(self->arena, mark);
  }
  return err;
}

static bool within_limits(const lk_flat *flat, const lk_limits *limits) {
  uint32_t most = limits->crdt_entries_count;
  uint32_t nodes = flat->node_count == 0 ? 0 : flat->node_count - 1;
  return flat->actor_count <= limits->crdt_actors_count && flat->range_count <= most &&
         nodes <= most && flat->fact_count <= most;
}

lk_err lk_flat_build(lk_flat_builder *self, lk_flat *out) {
  lk_flat *flat = &self->flat;
  if (self->err == LK_OK) self->err = settle(self);
  if (self->err == LK_OK && !within_limits(flat, self->scope->limits)) self->err = LK_ERR_LIMIT;
  if (self->err == LK_OK) self->err = lk_flat_index_dots(flat, self->arena);
  if (self->err == LK_OK) *out = *flat;
  return self->err;
}
