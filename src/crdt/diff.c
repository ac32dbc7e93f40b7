/* crdt/diff.c -- what one state has and another lacks.
 *
 * Of a dot a state knows nothing, that it lives, or that it was removed; each is a step above the one before
 * (crdt/merge.c). So to compare two states, and to find what one lacks, is to lay the runs of each
 * actor over each other and look where the steps differ:
 *
 *   ours      [ removed   ][ lives ][ lives     ]        [ removed ]
 *   theirs    [ removed ][ lives      ][ lives                ]
 *   we have           [xx]                       ...     [xxxxx]      what they lack
 *
 * Where only a version is known of the other, which says what it has heard of but not what lives there, every dot
 * that was removed here is told again: it may live there. Those are ranges, and mostly few; the facts,
 * which cost, are only the new ones.
 *
 * The work is in the length of both; what comes out is as long as the difference. */
#include "crdt/state.h"

/* ---- one actor's numbers, from a state or from a version ---- */

/* A stretch of numbers that are known: of a fact, or (0) removed. */
typedef struct piece {
  uint32_t fact;
  uint64_t lo;
  uint64_t hi;
} piece;

/* Gives pieces in order. */
typedef struct strand {
  const piece *at; /* NULL at the end */
  piece made;
  const lk_crdt *state; /* NULL of a version */
  const lk_range *range;
  const lk_run *run;
  lk_btree_cursor range_cursor;
  lk_btree_cursor run_cursor;
  const lk_flat_range *ranges; /* of a version */
  uint32_t left;
} strand;

/* What begins at |lo| within the range: the next fact, or removed dots up to it. */
static void make_piece(strand *self, uint64_t lo) {
  self->made = (piece){ 0, lo, self->range->hi };
  if (self->run == NULL || self->run->lo > self->range->hi) return;
  if (self->run->lo > lo) {
    self->made.hi = self->run->lo - 1;
    return;
  }
  self->made.fact = self->run->fact;
  self->made.hi = self->state->facts[self->run->fact].hi;
  self->run = lk_live_next(self->run, &self->run_cursor);
}

static void next_of_state(strand *self) {
  uint64_t end = self->made.hi;
  if (end < self->range->hi) {
    make_piece(self, end + 1);
    return;
  }
  self->range = lk_known_next(self->range, &self->range_cursor);
  if (self->range == NULL) self->at = NULL;
  else make_piece(self, self->range->lo);
}

static void strand_next(strand *self) {
  if (self->state != NULL) {
    next_of_state(self);
    return;
  }
  self->at = self->left == 0 ? NULL : &self->made;
  if (self->left == 0) return;
  self->made = (piece){ 0, self->ranges->lo, self->ranges->hi };
  self->ranges++;
  self->left--;
}

/* |self| must stay where it is afterwards, since it points into itself. */
static void strand_of_state(strand *self, const lk_crdt *state, uint32_t actor) {
  *self = (strand){ .state = state };
  if (actor == LK_ACTOR_NONE) return;
  self->range = lk_known_at_least(state, actor, 1, &self->range_cursor);
  self->run = lk_live_at_least(state, actor, 1, &self->run_cursor);
  if (self->range == NULL) return;
  make_piece(self, self->range->lo);
  self->at = &self->made;
}

static void strand_of_ranges(strand *self, const lk_flat_range *ranges, uint32_t count) {
  *self = (strand){ .ranges = ranges, .left = count };
  strand_next(self);
}

/* ---- laying two over each other ---- */

/* A stretch in which neither side changes; a side that knows nothing of it is NULL. */
typedef struct stretch {
  const piece *a;
  const piece *b;
  uint64_t lo;
  uint64_t hi;
} stretch;

typedef struct overlay {
  strand a;
  strand b;
  uint64_t at; /* the next number to look at; 0 when all were */
} overlay;

/* The part of |of| that the stretch |lo| to |*hi| begins with: shortens it to where that begins or ends. */
static const piece *clip(const piece *of, uint64_t lo, uint64_t *hi) {
  if (of == NULL) return NULL;
  if (of->lo > lo) {
    *hi = lk_min_u64(*hi, of->lo - 1);
    return NULL;
  }
  *hi = lk_min_u64(*hi, of->hi);
  return of;
}

static bool overlay_next(overlay *self, stretch *out) {
  for (;;) {
    while (self->a.at != NULL && self->a.at->hi < self->at) strand_next(&self->a);
    while (self->b.at != NULL && self->b.at->hi < self->at) strand_next(&self->b);
    if (self->at == 0 || (self->a.at == NULL && self->b.at == NULL)) return false;
    *out = (stretch){ .lo = self->at, .hi = UINT64_MAX };
    out->a = clip(self->a.at, out->lo, &out->hi);
    out->b = clip(self->b.at, out->lo, &out->hi);
    self->at = out->hi == UINT64_MAX ? 0 : out->hi + 1;
    if (out->a != NULL || out->b != NULL) return true;
  }
}

/* The step of the ladder: 0 nothing, 1 lives, 2 removed. */
static unsigned step_of(const piece *of) { return of == NULL ? 0 : of->fact != 0 ? 1 : 2; }

/* ---- comparing ---- */

static void compare_actor(const lk_crdt *a, uint32_t x, const lk_crdt *b, uint32_t y, bool *more,
                          bool *less) {
  overlay o;
  stretch s;
  strand_of_state(&o.a, a, x);
  strand_of_state(&o.b, b, y);
  o.at = 1;
  while (!(*more && *less) && overlay_next(&o, &s)) {
    if (step_of(s.a) > step_of(s.b)) *more = true;
    if (step_of(s.a) < step_of(s.b)) *less = true;
  }
}

static lk_slice id_of(const lk_crdt *self, uint32_t actor) {
  return lk_slice_of(self->actors[actor].id, self->actors[actor].id_len);
}

lk_crdt_order lk_crdt_compare(const lk_crdt *a, const lk_crdt *b) {
  bool more = false, less = false;
  if (a->type != b->type) return LK_CRDT_CONCURRENT;
  for (uint32_t i = 0; i < a->actor_count && !(more && less); i++) {
    compare_actor(a, i, b, lk_actor_find(b, id_of(a, i)), &more, &less);
  }
  for (uint32_t i = 0; i < b->actor_count && !less; i++) {
    if (lk_actor_find(a, id_of(b, i)) == LK_ACTOR_NONE) less = true;
  }
  if (more) return less ? LK_CRDT_CONCURRENT : LK_CRDT_AFTER;
  return less ? LK_CRDT_BEFORE : LK_CRDT_EQUAL;
}

/* ---- flattening ---- */

static lk_err flatten_actors(const lk_crdt *self, lk_arena *arena, lk_flat *out) {
  uint32_t range_count = lk_btree_count(&self->known);
  out->actors = lk_arena_push_array(arena, self->actor_count, sizeof *out->actors);
  out->ranges = lk_arena_push_array(arena, range_count, sizeof *out->ranges);
  if (out->actors == NULL || out->ranges == NULL) return LK_ERR_NOMEM;
  for (uint32_t rank = 0; rank < self->actor_count; rank++) {
    uint32_t actor = self->actors[rank].at_rank;
    lk_btree_cursor cursor;
    const lk_range *range = lk_known_at_least(self, actor, 1, &cursor);
    LK_ASSERT(range != NULL); /* what nothing is known of is no actor */
    for (; range != NULL; range = lk_known_next(range, &cursor)) {
      out->ranges[out->range_count++] = (lk_flat_range){ rank, range->lo, range->hi };
    }
    out->actors[out->actor_count++] = id_of(self, actor);
  }
  LK_ASSERT(out->range_count == range_count);
  return LK_OK;
}

/* Appends the facts at |node|, and notes which number each has now. */
static void flatten_facts(const lk_crdt *self, uint32_t node, uint32_t flat_node, uint32_t *places,
                          lk_flat *out) {
  lk_btree_cursor cursor = { 0 };
  for (uint32_t i; (i = lk_fact_next(self, node, &cursor)) != 0;) {
    const lk_fact *fact = &self->facts[i];
    places[i] = out->fact_count;
    out->facts[out->fact_count++] = (lk_flat_fact){ flat_node, self->actors[fact->actor].rank,
                                                    fact->lo, fact->hi, lk_fact_value(self, i) };
  }
}

/* Depth first, children in order: the one order of flat forms. */
static void flatten_nodes(const lk_crdt *self, uint32_t *places, lk_flat *out) {
  lk_btree_cursor cursors[LK_CRDT_DEPTH_MAX + 2] = { { 0 } };
  uint32_t nodes[LK_CRDT_DEPTH_MAX + 2], flat[LK_CRDT_DEPTH_MAX + 2], depth = 0;
  nodes[0] = LK_NODE_ROOT;
  flat[0] = 0;
  out->nodes[out->node_count++] = (lk_flat_node){ .type = self->type };
  flatten_facts(self, LK_NODE_ROOT, 0, places, out);
  for (;;) {
    uint32_t kid = lk_node_next_kid(self, nodes[depth], &cursors[depth]);
    if (kid == LK_NODE_NONE) {
      if (depth-- == 0) return;
      continue;
    }
    uint32_t flat_kid = out->node_count++;
    out->nodes[flat_kid] = (lk_flat_node){ .parent = flat[depth],
                                           .depth = depth + 1,
                                           .type = lk_node_type(self, kid),
                                           .key = lk_node_key(self, kid) };
    flatten_facts(self, kid, flat_kid, places, out);
    if (self->nodes[kid].kids == 0) continue;
    depth++;
    nodes[depth] = kid;
    flat[depth] = flat_kid;
    cursors[depth] = (lk_btree_cursor){ 0 };
  }
}

/* What is live is in the order of by_dot, but for the order of the actors. */
static void flatten_dots(const lk_crdt *self, const uint32_t *places, lk_flat *out) {
  uint32_t count = 0;
  for (uint32_t rank = 0; rank < self->actor_count; rank++) {
    lk_btree_cursor cursor;
    const lk_run *run = lk_live_at_least(self, self->actors[rank].at_rank, 1, &cursor);
    for (; run != NULL; run = lk_live_next(run, &cursor)) out->by_dot[count++] = places[run->fact];
  }
  LK_ASSERT(count == out->fact_count);
}

lk_err lk_crdt_flatten(const lk_crdt *self, lk_arena *arena, lk_flat *out) {
  *out = (lk_flat){ .type = self->type };
  lk_err err = flatten_actors(self, arena, out);
  if (err != LK_OK) return err;
  out->nodes = lk_arena_push_array(arena, (size_t)self->node_count + 1, sizeof *out->nodes);
  out->facts = lk_arena_push_array(arena, self->fact_count, sizeof *out->facts);
  out->by_dot = lk_arena_push_array(arena, self->fact_count, sizeof *out->by_dot);
  lk_arena_mark mark = lk_arena_get_mark(arena);
  uint32_t *places = lk_arena_push_array(arena, self->fact_end, sizeof *places);
  if (out->nodes == NULL || out->facts == NULL || out->by_dot == NULL || places == NULL) {
    return LK_ERR_NOMEM;
  }
  flatten_nodes(self, places, out);
  flatten_dots(self, places, out);
  lk_arena_pop_to(arena, mark);
  return LK_OK;
}

/* ---- differences ---- */

typedef struct difference {
  const lk_crdt *self;
  lk_flat_builder flat;
  uint32_t *nodes; /* of self in the flat form; ABSENT */
} difference;

#define ABSENT UINT32_MAX

static lk_err begin(difference *d, const lk_crdt *self, lk_arena *arena) {
  d->self = self;
  lk_flat_builder_init(&d->flat, self->type, &self->scope, arena);
  d->nodes = lk_arena_push_array(arena, self->node_end, sizeof *d->nodes);
  if (d->nodes == NULL) return LK_ERR_NOMEM;
  for (uint32_t i = 0; i < self->node_end; i++) d->nodes[i] = ABSENT;
  d->nodes[LK_NODE_ROOT] = 0;
  return LK_OK;
}

/* A node and those above it, which come first. */
static uint32_t add_node(difference *d, uint32_t node) {
  uint32_t path[LK_CRDT_DEPTH_MAX + 2], depth = 0;
  const lk_node *nodes = d->self->nodes;
  for (; d->nodes[node] == ABSENT; node = nodes[node].parent) path[depth++] = node;
  while (depth > 0) {
    uint32_t parent = d->nodes[node];
    node = path[--depth];
    d->nodes[node] = lk_flat_add_node(&d->flat, parent, lk_node_type(d->self, node),
                                      lk_node_key(d->self, node));
  }
  return d->nodes[node];
}

/* The other side knows less of this stretch than we do: tell it, with the fact where it lives. */
static void add_stretch(difference *d, uint32_t actor, const stretch *s) {
  lk_flat_add_known(&d->flat, actor, s->lo, s->hi);
  if (s->a->fact == 0) return;
  const lk_fact *fact = &d->self->facts[s->a->fact];
  lk_flat_add_fact(&d->flat, add_node(d, fact->node), actor, s->lo, s->hi,
                   lk_slice_of(fact->value, fact->value_len));
}

static lk_err end(difference *d, lk_buf *out) {
  lk_flat flat;
  lk_err err = lk_flat_build(&d->flat, &flat);
  return err == LK_OK ? lk_flat_encode(&flat, out) : err;
}

static void diff_actor(difference *d, uint32_t actor, const lk_crdt *other) {
  lk_slice id = id_of(d->self, actor);
  overlay o;
  stretch s;
  bool added = false;
  uint32_t flat_actor = 0;
  strand_of_state(&o.a, d->self, actor);
  strand_of_state(&o.b, other, lk_actor_find(other, id));
  o.at = 1;
  while (overlay_next(&o, &s)) {
    if (step_of(s.a) <= step_of(s.b)) continue;
    if (!added) flat_actor = lk_flat_add_actor(&d->flat, id);
    added = true;
    add_stretch(d, flat_actor, &s);
  }
}

lk_err lk_crdt_diff(const lk_crdt *self, const lk_crdt *other, lk_buf *out) {
  difference d;
  lk_arena arena;
  if (self->type != other->type) return LK_ERR_TYPE;
  lk_arena_init(&arena, self->scope.alloc, SIZE_MAX / 2);
  lk_err err = begin(&d, self, &arena);
  for (uint32_t i = 0; err == LK_OK && i < self->actor_count; i++) diff_actor(&d, i, other);
  if (err == LK_OK) err = end(&d, out);
  lk_arena_deinit(&arena);
  return err;
}

/* Of what the version knows only removed dots are told again. */
static void diff_actor_since(difference *d, uint32_t actor, const lk_flat_range *ranges,
                             uint32_t count) {
  overlay o;
  stretch s;
  uint32_t flat_actor = lk_flat_add_actor(&d->flat, id_of(d->self, actor));
  o.at = 1;
  strand_of_state(&o.a, d->self, actor);
  strand_of_ranges(&o.b, ranges, count);
  while (overlay_next(&o, &s)) {
    if (s.a != NULL && (s.b == NULL || s.a->fact == 0)) add_stretch(d, flat_actor, &s);
  }
}

static void diff_all_since(difference *d, const lk_flat *version) {
  const lk_crdt *self = d->self;
  uint32_t range = 0, theirs = 0;
  for (uint32_t rank = 0; rank < self->actor_count; rank++) {
    uint32_t actor = self->actors[rank].at_rank, count = 0;
    int order = -1;
    while (theirs < version->actor_count &&
           (order = lk_slice_compare(version->actors[theirs], id_of(self, actor))) < 0) {
      theirs++;
    }
    while (range < version->range_count && version->ranges[range].actor < theirs) range++;
    if (theirs < version->actor_count && order == 0) {
      while (range + count < version->range_count &&
             version->ranges[range + count].actor == theirs) {
        count++;
      }
    }
    diff_actor_since(d, actor, version->ranges + range, count);
  }
}

lk_err lk_crdt_diff_since(const lk_crdt *self, lk_slice version, lk_buf *out) {
  difference d;
  lk_flat since;
  lk_arena arena;
  lk_arena_init(&arena, self->scope.alloc, SIZE_MAX / 2);
  lk_err err = lk_flat_decode(&since, version, &self->scope, &arena);
  if (err == LK_OK && since.type != NULL) err = LK_ERR_TYPE;
  if (err == LK_OK) err = begin(&d, self, &arena);
  if (err == LK_OK) {
    diff_all_since(&d, &since);
    err = end(&d, out);
  }
  lk_arena_deinit(&arena);
  return err;
}

lk_err lk_crdt_version(const lk_crdt *self, lk_buf *out) {
  lk_flat version = { 0 };
  lk_arena arena;
  lk_arena_init(&arena, self->scope.alloc, SIZE_MAX / 2);
  lk_err err = flatten_actors(self, &arena, &version);
  if (err == LK_OK) err = lk_flat_encode(&version, out);
  lk_arena_deinit(&arena);
  return err;
}
