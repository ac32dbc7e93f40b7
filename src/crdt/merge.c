/* crdt/merge.c -- two states become one: the join, on which everything else stands.
 *
 * Of each dot a state knows one of three things: nothing, that it lives, or that it was removed. These are
 * steps upwards, and merging takes the higher one:
 *
 *   here \ there   unknown      lives                    removed
 *   unknown        --           LIVE: copy the fact      DEAD: remember the dot
 *   lives          --           the same fact, or        KILL: forget the fact,
 *                               else LK_ERR_DOT          keep the dot
 *   removed        --           --                       --
 *
 * So it does not matter in which order states meet, nor how often, and a removed fact does not come
 * back: its dot is known. Dots come as runs, so the table is applied to stretches of numbers: the
 * other's stretches, in order, are laid over ours.
 *
 * A merge is planned first and made then. Planning finds the steps, asks for limits and conflicts, and takes all
 * memory, nodes without facts included, which nobody sees; when anything fails, it takes them back
 * and nothing has happened. Making the steps cannot fail.
 *
 * There are two passes over theirs: what may be refused comes before what it removes, since a few bytes can remove
 * much, and a form that is refused in the end should not have cost that.
 *
 * The cost follows the size of what is merged in, times the logarithm of what is there; a stretch of
 * removed dots costs what lives within it here. */
#include "crdt/state.h"

typedef enum step_kind { STEP_LIVE, STEP_DEAD, STEP_KILL } step_kind;

typedef struct step {
  step_kind kind;
  uint32_t actor;
  uint32_t node; /* LIVE, KILL: where the fact stands or stood */
  uint32_t value_len;
  uint8_t *value; /* LIVE: a copy, owned until the step is made */
  uint64_t lo;
  uint64_t hi;
} step;

typedef struct news {
  uint64_t dots; /* of types with runs */
  uint32_t facts;
} news;

/* What a small delta needs is in the struct, so that it costs no allocation. */
#define FEW 8u

typedef struct merge {
  lk_crdt *self;
  const lk_flat *flat;
  const lk_flat_range *theirs; /* of |flat|, that is being planned */
  lk_arena arena;
  uint32_t *actors; /* of |flat| in |self| */
  uint32_t *nodes;  /* likewise; UNASKED, or LK_NODE_NONE where it is not there */
  news *news;       /* what comes to each node of |flat| */
  step *steps;
  uint32_t step_count;
  uint32_t step_cap;
  uint32_t lives, kills, ordered, indexed, fresh_nodes;
  uint32_t actors_before;
  uint64_t weight_before;
  int64_t facts, ranges, weight; /* how many there will be more, or less */
  const lk_range *range; /* where the sweep stands in what is known here, and in what is live */
  const lk_run *run;
  lk_btree_cursor range_cursor;
  lk_btree_cursor run_cursor;
  uint32_t few_actors[FEW];
  uint32_t few_nodes[FEW];
  news few_news[FEW];
  step few_steps[FEW];
} merge;

#define UNASKED UINT32_MAX

/* Marks on nodes. */
enum { MARK_NONE = 0, MARK_FRESH = 1, MARK_TOUCHED = 2 };

static void *table(merge *self, void *few, uint32_t count, size_t item_size) {
  return count <= FEW ? few : lk_arena_push_array(&self->arena, count, item_size);
}

static lk_err begin(merge *self, lk_crdt *crdt, const lk_flat *flat) {
  self->self = crdt;
  self->flat = flat;
  self->step_count = self->lives = self->kills = self->ordered = self->indexed = self->fresh_nodes =
      0;
  self->step_cap = FEW;
  self->steps = self->few_steps;
  self->actors_before = crdt->actor_count;
  self->weight_before = crdt->weight;
  self->facts = self->ranges = self->weight = 0;
  lk_arena_init(&self->arena, &crdt->alloc, SIZE_MAX / 2);
  self->actors = table(self, self->few_actors, flat->actor_count, sizeof *self->actors);
  self->nodes = table(self, self->few_nodes, flat->node_count, sizeof *self->nodes);
  self->news = table(self, self->few_news, flat->node_count, sizeof *self->news);
  if (self->actors == NULL || self->nodes == NULL || self->news == NULL) return LK_ERR_NOMEM;
  self->nodes[0] = LK_NODE_ROOT;
  for (uint32_t i = 1; i < flat->node_count; i++) self->nodes[i] = UNASKED;
  memset(self->news, 0, flat->node_count * sizeof *self->news);
  return LK_OK;
}

/* ---- nodes ---- */

/* The node of |flat| that is |at|, in the state; LK_NODE_NONE. */
static uint32_t ask_node(merge *self, uint32_t at) {
  uint32_t path[LK_CRDT_DEPTH_MAX + 2], depth = 0;
  const lk_flat_node *nodes = self->flat->nodes;
  for (; self->nodes[at] == UNASKED; at = nodes[at].parent) path[depth++] = at;
  uint32_t node = self->nodes[at];
  while (depth > 0) {
    at = path[--depth];
    node = lk_node_find(self->self, node, nodes[at].type, nodes[at].key);
    self->nodes[at] = node;
  }
  return node;
}

/* The same, made where it is not there. */
static lk_err need_node(merge *self, uint32_t at, uint32_t *out) {
  uint32_t path[LK_CRDT_DEPTH_MAX + 2], depth = 0;
  const lk_flat_node *nodes = self->flat->nodes;
  *out = ask_node(self, at);
  if (*out != LK_NODE_NONE) return LK_OK;
  for (; self->nodes[at] == LK_NODE_NONE || self->nodes[at] == UNASKED; at = nodes[at].parent) {
    path[depth++] = at;
  }
  while (depth > 0) {
    uint32_t parent = self->nodes[nodes[path[depth - 1]].parent];
    at = path[--depth];
    lk_err err = lk_node_add(self->self, parent, nodes[at].type, nodes[at].key, out);
    if (err != LK_OK) return err;
    self->self->nodes[*out].mark = MARK_FRESH;
    self->nodes[at] = *out;
    self->fresh_nodes++;
  }
  return LK_OK;
}

/* ---- planning ---- */

static lk_err add_step(merge *self, const step *what) {
  if (self->step_count == self->step_cap) {
    size_t cap;
    if (!lk_grow_cap(self->step_cap, (size_t)self->step_count + 1, 64, UINT32_MAX / 4, &cap)) {
      return LK_ERR_LIMIT;
    }
    step *steps = lk_arena_push_array(&self->arena, cap, sizeof *steps);
    if (steps == NULL) return LK_ERR_NOMEM;
    memcpy(steps, self->steps, self->step_count * sizeof *steps);
    self->steps = steps;
    self->step_cap = (uint32_t)cap;
  }
  self->steps[self->step_count++] = *what;
  return LK_OK;
}

/* Sums are kept within 64 bits at each node, whatever is removed at the same time: a sum that came back
 * into range by luck would make the outcome depend on the order of merges. */
static lk_err count_dots(merge *self, uint32_t flat_node, uint32_t node, uint64_t dots) {
  uint64_t sum;
  uint64_t *coming = &self->news[flat_node].dots;
  if (!lk_add_u64(*coming, dots, coming) ||
      !lk_add_u64(*coming, self->self->nodes[node].total, &sum)) {
    return LK_ERR_OVERFLOW;
  }
  return LK_OK;
}

/* How many insertions into the index of facts one more at |node| may cause, as the |more|-th: none while they are
 * a list, and all of them when that becomes too long. */
static uint32_t index_inserts(const merge *self, uint32_t node, uint32_t more) {
  const lk_node *at = &self->self->nodes[node];
  if (at->indexed) return 1;
  uint64_t facts = (uint64_t)at->facts + more;
  if (facts <= LK_FACTS_LISTED) return 0;
  return more == 1 || facts == LK_FACTS_LISTED + 1 ? LK_FACTS_LISTED + 1 : 1;
}

/* The fact at |node| that has the dot |at|; NULL. */
static const lk_fact *fact_with(const merge *self, uint32_t actor, uint32_t node, uint64_t at) {
  lk_btree_cursor cursor;
  if (at == 0 || at > self->self->actors[actor].end) return NULL;
  const lk_run *run = lk_live_at_least(self->self, actor, at, &cursor);
  const lk_fact *fact = run == NULL ? NULL : &self->self->facts[run->fact];
  return fact != NULL && fact->lo <= at && fact->node == node ? fact : NULL;
}

/* Whether their range goes on beside a piece of a fact with dots that are not its own: those may be removed, and
 * with them what the piece could have become one with. */
static bool is_free_before(const merge *self, const lk_flat_fact *fact, uint64_t lo) {
  return lo > fact->lo || self->theirs->lo == fact->lo;
}
static bool is_free_behind(const merge *self, const lk_flat_fact *fact, uint64_t hi) {
  return hi < fact->hi || self->theirs->hi == fact->hi;
}

/* What a new fact adds; one of a type that counts becomes one with those that it touches. */
static void weigh_live(merge *self, const step *live, const lk_flat_fact *from, bool counted) {
  uint64_t lo = live->lo, hi = live->hi;
  const lk_fact *left = NULL, *right = NULL;
  if (counted && is_free_before(self, from, lo)) {
    left = fact_with(self, live->actor, live->node, lo - 1);
  }
  if (counted && hi < LK_DOT_MAX && is_free_behind(self, from, hi)) {
    right = fact_with(self, live->actor, live->node, hi + 1);
  }
  self->facts += 1 - (left != NULL) - (right != NULL);
  if (left != NULL) {
    self->weight -= (int64_t)lk_fact_weight(left->lo, left->hi, 0);
    lo = left->lo;
  }
  if (right != NULL) {
    /* A byte more, where a chain of them becomes one and its length needs it. */
    self->weight -= (int64_t)lk_fact_weight(right->lo, right->hi, 0) - 1;
    hi = right->hi;
  }
  self->weight += (int64_t)lk_fact_weight(lo, hi, live->value_len);
}

static lk_err plan_live(merge *self, uint32_t actor, const lk_flat_fact *fact, uint64_t lo,
                        uint64_t hi) {
  step live = { .kind = STEP_LIVE, .actor = actor, .lo = lo, .hi = hi };
  bool counted = lk_shape_has_runs(lk_flat_type_at(self->flat, fact->node));
  lk_err err = need_node(self, fact->node, &live.node);
  if (err == LK_OK && counted) err = count_dots(self, fact->node, live.node, hi - lo + 1);
  if (err != LK_OK) return err;
  if (fact->value.len > 0) {
    live.value = lk_alloc_bytes(&self->self->alloc, fact->value.len);
    if (live.value == NULL) return LK_ERR_NOMEM;
    memcpy(live.value, fact->value.ptr, fact->value.len);
    live.value_len = (uint32_t)fact->value.len;
  }
  err = add_step(self, &live);
  if (err != LK_OK) lk_free_bytes(&self->self->alloc, live.value, live.value_len);
  self->lives++;
  self->indexed += index_inserts(self, live.node, ++self->news[fact->node].facts);
  self->ordered += lk_node_is_ordered(self->self, live.node);
  weigh_live(self, &live, fact, counted);
  return err;
}

static lk_err plan_dead(merge *self, uint32_t actor, uint64_t lo, uint64_t hi) {
  return add_step(self, &(step){ .kind = STEP_DEAD, .actor = actor, .lo = lo, .hi = hi });
}

/* Two replicas, or one that forgot, gave one dot to two facts: nothing can tell which is meant. */
static lk_err check_same(merge *self, const lk_flat_fact *there, const lk_fact *here) {
  bool same = ask_node(self, there->node) == here->node &&
              lk_slice_equal(there->value, lk_slice_of(here->value, here->value_len));
  return same ? LK_OK : LK_ERR_DOT;
}

/* What a removal takes, and what it leaves on either side. */
static void weigh_kill(merge *self, const lk_fact *here, uint64_t lo, uint64_t hi) {
  bool left = lo > here->lo, right = hi < here->hi;
  self->facts += (left ? 1 : 0) + (right ? 1 : 0) - 1;
  self->weight -= (int64_t)lk_fact_weight(here->lo, here->hi, here->value_len);
  if (left) self->weight += (int64_t)lk_fact_weight(here->lo, lo - 1, 0) + 1;
  if (right) self->weight += (int64_t)lk_fact_weight(hi + 1, here->hi, 0) + 1;
  if (left && right) self->indexed += LK_FACTS_LISTED + 1;
}

static lk_err plan_kill(merge *self, uint32_t actor, const lk_fact *here, uint64_t lo,
                        uint64_t hi) {
  self->kills++;
  self->ordered += lk_node_is_ordered(self->self, here->node);
  weigh_kill(self, here, lo, hi);
  return add_step(
      self, &(step){ .kind = STEP_KILL, .actor = actor, .node = here->node, .lo = lo, .hi = hi });
}

static lk_err plan_gap(merge *self, uint32_t actor, const lk_flat_fact *fact, uint64_t lo,
                       uint64_t hi) {
  return fact != NULL ? plan_live(self, actor, fact, lo, hi) : plan_dead(self, actor, lo, hi);
}

/* Stretches come in order, mostly one right behind the other: a few steps ahead are tried before a search. */
#define STEPS_AHEAD 4

static const lk_range *seek_known(merge *self, uint32_t actor, uint64_t lo) {
  const lk_range *at = self->range;
  for (int i = 0; i < STEPS_AHEAD && at != NULL && at->actor == actor; i++) {
    if (at->hi >= lo) return at;
    at = lk_known_next(at, &self->range_cursor);
    if (at == NULL) return NULL;
  }
  return lk_known_at_least(self->self, actor, lo, &self->range_cursor);
}

/* Where a fact ends stands in the fact, and asking one that is not meant costs a cache miss. */
static const lk_run *seek_live(merge *self, uint32_t actor, uint64_t lo) {
  const lk_run *at = self->run;
  for (int i = 0; i < STEPS_AHEAD && at != NULL && at->actor == actor; i++) {
    lk_btree_cursor ahead = self->run_cursor;
    if (at->lo >= lo) return at;
    const lk_run *next = lk_live_next(at, &ahead);
    bool is_between = next == NULL || next->lo > lo;
    if (is_between && self->self->facts[at->fact].hi >= lo) return at;
    self->run_cursor = ahead;
    at = next;
    if (is_between) return at;
  }
  return lk_live_at_least(self->self, actor, lo, &self->run_cursor);
}

/* Numbers of the stretch that are unknown here. */
static lk_err plan_gaps(merge *self, uint32_t actor, const lk_flat_fact *fact, uint64_t lo,
                        uint64_t hi) {
  self->range = seek_known(self, actor, lo);
  for (;;) {
    const lk_range *at = self->range;
    if (at == NULL || at->lo > hi) return plan_gap(self, actor, fact, lo, hi);
    lk_err err = at->lo > lo ? plan_gap(self, actor, fact, lo, at->lo - 1) : LK_OK;
    if (err != LK_OK || at->hi >= hi) return err;
    lo = at->hi + 1;
    self->range = lk_known_next(at, &self->range_cursor);
  }
}

/* Facts of ours that the stretch covers. */
static lk_err plan_overlaps(merge *self, uint32_t actor, const lk_flat_fact *fact, uint64_t lo,
                            uint64_t hi) {
  lk_err err = LK_OK;
  self->run = seek_live(self, actor, lo);
  while (err == LK_OK && self->run != NULL && self->run->lo <= hi) {
    const lk_fact *here = &self->self->facts[self->run->fact];
    if (fact != NULL) err = check_same(self, fact, here);
    else err = plan_kill(self, actor, here, lk_max_u64(lo, here->lo), lk_min_u64(hi, here->hi));
    if (here->hi >= hi) break;
    self->run = lk_live_next(self->run, &self->run_cursor);
  }
  return err;
}

/* Lays one stretch of theirs, a fact or removed dots, over our numbers. What may be refused comes first, and what it
 * removes, which may be much for a few bytes, in a second pass. */
static lk_err plan_stretch(merge *self, uint32_t actor, const lk_flat_fact *fact, uint64_t lo,
                           uint64_t hi, bool removals) {
  bool is_new = lo > self->self->actors[actor].end;
  if (removals) {
    return is_new || fact != NULL ? LK_OK : plan_overlaps(self, actor, NULL, lo, hi);
  }
  if (is_new) return plan_gap(self, actor, fact, lo, hi);
  lk_err err = plan_gaps(self, actor, fact, lo, hi);
  return err == LK_OK && fact != NULL ? plan_overlaps(self, actor, fact, lo, hi) : err;
}

/* What is known here and overlaps or touches a range of theirs becomes one range with it. */
static uint32_t ranges_touched(const merge *self, uint32_t actor, uint64_t lo, uint64_t hi) {
  lk_btree_cursor cursor;
  uint64_t end = self->self->actors[actor].end;
  uint32_t count = 0;
  if (end == 0 || lo - 1 > end) return 0;
  const lk_range *range = lk_known_at_least(self->self, actor, lk_max_u64(lo - 1, 1), &cursor);
  for (; range != NULL && range->lo - 1 <= hi; range = lk_known_next(range, &cursor)) count++;
  return count;
}

/* One known range of theirs: its facts, and removed dots between them. */
static lk_err plan_range(merge *self, uint32_t *next_fact, bool removals) {
  const lk_flat *flat = self->flat;
  const lk_flat_range *range = self->theirs;
  uint32_t actor = self->actors[range->actor];
  uint64_t lo = range->lo;
  for (; *next_fact < flat->fact_count; ++*next_fact) {
    const lk_flat_fact *fact = &flat->facts[flat->by_dot[*next_fact]];
    if (fact->actor != range->actor || fact->lo > range->hi) break;
    lk_err err = LK_OK;
    if (fact->lo > lo) err = plan_stretch(self, actor, NULL, lo, fact->lo - 1, removals);
    if (err == LK_OK) err = plan_stretch(self, actor, fact, fact->lo, fact->hi, removals);
    if (err != LK_OK) return err;
    if (fact->hi == range->hi) {
      ++*next_fact;
      return LK_OK;
    }
    lo = fact->hi + 1;
  }
  return plan_stretch(self, actor, NULL, lo, range->hi, removals);
}

static lk_err plan(merge *self, bool removals) {
  uint32_t next_fact = 0, actor = LK_ACTOR_NONE;
  for (uint32_t i = 0; i < self->flat->range_count; i++) {
    self->theirs = &self->flat->ranges[i];
    if (self->theirs->actor != actor) {
      self->range = NULL;
      self->run = NULL;
    }
    actor = self->theirs->actor;
    if (!removals) {
      self->ranges += 1 - (int64_t)ranges_touched(self, self->actors[actor], self->theirs->lo,
                                                  self->theirs->hi);
    }
    lk_err err = plan_range(self, &next_fact, removals);
    if (err != LK_OK) return err;
  }
  LK_ASSERT(next_fact == self->flat->fact_count);
  return LK_OK;
}

/* What there will be, by the same measure as when it is there: a state that one replica could reach, another one with
 * the same limits can load. What makes a state smaller is never refused. */
static lk_err check_limits(const merge *self) {
  const lk_crdt *crdt = self->self;
  uint64_t before = (uint64_t)crdt->node_count - self->fresh_nodes + crdt->fact_count +
                    lk_btree_count(&crdt->known);
  uint64_t entries = before + self->fresh_nodes + (uint64_t)(self->facts + self->ranges);
  uint64_t weight = crdt->weight +
                    (uint64_t)(self->weight + self->ranges * (int64_t)LK_RANGE_WEIGHT);
  if (entries > crdt->limits.crdt_entries_count && entries > before) {
    LK_COVERED(crdt_entries_reached_their_maximum);
    return LK_ERR_LIMIT;
  }
  if (weight > crdt->limits.crdt_state_bytes && weight > self->weight_before) {
    LK_COVERED(crdt_state_reached_its_maximum);
    return LK_ERR_LIMIT;
  }
  return LK_OK;
}

/* Limits and memory for everything that was planned. */
static lk_err prepare(merge *self) {
  lk_crdt *crdt = self->self;
  lk_err err = check_limits(self);
  if (err != LK_OK) return err;
  err = lk_facts_reserve(crdt, self->lives + self->kills, self->indexed);
  if (err == LK_OK) err = lk_btree_reserve(&crdt->live, self->lives + self->kills);
  if (err == LK_OK) err = lk_btree_reserve(&crdt->known, self->step_count - self->kills);
  if (err == LK_OK && self->ordered > 0) err = lk_btree_reserve(&crdt->order, self->ordered);
  return err;
}

static void take_back(merge *self) {
  for (uint32_t i = 0; i < self->step_count; i++) {
    lk_free_bytes(&self->self->alloc, self->steps[i].value, self->steps[i].value_len);
  }
  for (uint32_t i = self->fresh_nodes > 0 ? self->flat->node_count : 0; i-- > 1;) {
    uint32_t node = self->nodes[i];
    if (node == UNASKED || node == LK_NODE_NONE) continue;
    if (self->self->nodes[node].mark == MARK_FRESH) lk_node_prune(self->self, node);
  }
  lk_actor_drop_to(self->self, self->actors_before);
}

/* ---- making the steps ---- */

/* Numbers that were unknown are known now: a range more, or one longer, or two become one. */
static void note_known(lk_crdt *self, const step *what) {
  lk_btree_cursor cursor;
  lk_range range = { what->actor, what->lo, what->hi };
  lk_crdt_actor *actor = &self->actors[what->actor];
  lk_range *left = lk_btree_at_most(&self->known, &range, &cursor);
  lk_range *right = left == NULL ? lk_btree_first(&self->known, &cursor) : lk_btree_next(&cursor);
  bool join_left = left != NULL && left->actor == range.actor && left->hi + 1 == range.lo;
  bool join_right = right != NULL && right->actor == range.actor && right->lo - 1 == range.hi;
  actor->end = lk_max_u64(actor->end, what->hi);
  if (join_right) range.hi = right->hi;
  if (join_left) left->hi = range.hi;
  if (join_right) {
    lk_range gone = *right;
    bool removed = lk_btree_remove(&self->known, &gone);
    LK_ASSERT(removed);
  }
  if (!join_left) (void)lk_btree_insert(&self->known, &range);
  self->weight += LK_RANGE_WEIGHT * (1 - (uint64_t)join_left - (uint64_t)join_right);
}

static void insert_live(lk_crdt *self, uint32_t actor, uint32_t fact, uint64_t lo) {
  (void)lk_btree_insert(&self->live, &(lk_run){ actor, fact, lo });
}

static void remove_live(lk_crdt *self, const lk_run *run) {
  lk_run gone = *run;
  bool removed = lk_btree_remove(&self->live, &gone);
  LK_ASSERT(removed);
}

/* A fact of a type that counts: what touches at the same node becomes one. */
static void insert_counted(lk_crdt *self, const step *live) {
  lk_btree_cursor cursor;
  lk_run key = { live->actor, 0, live->lo };
  uint64_t hi = live->hi;
  lk_run *left = lk_btree_at_most(&self->live, &key, &cursor);
  lk_run *right = left == NULL ? lk_btree_first(&self->live, &cursor) : lk_btree_next(&cursor);
  uint32_t before = left != NULL && left->actor == live->actor ? left->fact : 0;
  uint32_t behind = right != NULL && right->actor == live->actor ? right->fact : 0;
  const lk_fact *facts = self->facts;
  if (before != 0 && (facts[before].hi + 1 != live->lo || facts[before].node != live->node)) {
    before = 0;
  }
  if (behind != 0 && right->lo - 1 == live->hi && facts[behind].node == live->node) {
    hi = facts[behind].hi;
    remove_live(self, right);
    lk_fact_free(self, behind);
  }
  if (before != 0) {
    lk_fact_resize(self, before, self->facts[before].lo, hi);
  } else {
    uint32_t fact = lk_fact_new(self, live->node, live->actor, live->lo, hi, NULL, 0);
    insert_live(self, live->actor, fact, live->lo);
  }
}

static void make_live(lk_crdt *self, const step *live) {
  note_known(self, live);
  if (lk_shape_has_runs(lk_node_owner_type(self, live->node))) {
    insert_counted(self, live);
    return;
  }
  uint32_t fact = lk_fact_new(self, live->node, live->actor, live->lo, live->hi, live->value,
                              live->value_len);
  insert_live(self, live->actor, fact, live->lo);
  if (lk_node_is_ordered(self, live->node)) lk_order_contend(self, fact);
}

/* The fact loses |lo| to |hi|; what remains on either side stays. Its dots are known and remain so. */
static void make_kill(lk_crdt *self, const step *kill) {
  lk_btree_cursor cursor;
  const lk_run *run = lk_live_at_least(self, kill->actor, kill->lo, &cursor);
  LK_ASSERT(run != NULL);
  uint32_t fact = run->fact;
  uint64_t lo = self->facts[fact].lo, hi = self->facts[fact].hi;
  LK_ASSERT(lo <= kill->lo && hi >= kill->hi);
  if (lo < kill->lo) {
    lk_fact_resize(self, fact, lo, kill->lo - 1);
    if (hi == kill->hi) return;
    fact = lk_fact_new(self, kill->node, kill->actor, kill->hi + 1, hi, NULL, 0);
  } else {
    remove_live(self, run);
    if (hi == kill->hi) {
      lk_fact_free(self, fact);
      return;
    }
    lk_fact_resize(self, fact, kill->hi + 1, hi);
  }
  insert_live(self, kill->actor, fact, kill->hi + 1);
}

/* Elements leave the order before their facts change, since these say where they stand. */
static void touch(lk_crdt *self, uint32_t node) {
  lk_node *at = &self->nodes[node];
  if (at->mark == MARK_TOUCHED) return;
  at->mark = MARK_TOUCHED;
  if (at->place != 0) lk_order_remove(self, node); /* |place| stays, as the one to beat */
}

/* The fact that decides the place may have changed hands; where it went, all others are asked. */
static void settle(lk_crdt *self, uint32_t node) {
  lk_node *at = &self->nodes[node];
  if (at->mark != MARK_TOUCHED) return; /* settled, or gone with the last of its kids */
  at->mark = MARK_NONE;
  if (at->facts == 0) lk_node_prune(self, node);
  else if (lk_node_is_ordered(self, node)) lk_order_insert(self, node);
}

static void make(merge *self) {
  lk_crdt *crdt = self->self;
  for (uint32_t i = 0; i < self->step_count; i++) {
    if (self->steps[i].kind != STEP_DEAD) touch(crdt, self->steps[i].node);
  }
  for (uint32_t i = 0; i < self->step_count; i++) {
    const step *s = &self->steps[i];
    if (s->kind == STEP_LIVE) {
      make_live(crdt, s);
    } else if (s->kind == STEP_KILL) {
      make_kill(crdt, s);
    } else {
      note_known(crdt, s);
    }
  }
  for (uint32_t i = 0; i < self->step_count; i++) {
    if (self->steps[i].kind != STEP_DEAD) settle(crdt, self->steps[i].node);
  }
  /* Maps on the way to a fresh element were made for it. */
  for (uint32_t i = 1; self->fresh_nodes > 0 && i < self->flat->node_count; i++) {
    uint32_t node = self->nodes[i];
    if (node != UNASKED && node != LK_NODE_NONE) crdt->nodes[node].mark = MARK_NONE;
  }
}

/* ---- the commonest delta: a counter counts on ---- */

/* Whether |node| of |flat| is |here|: from the leaf up, which asks no index. */
static bool is_node(const lk_crdt *self, const lk_flat *flat, uint32_t node, uint32_t here) {
  for (; node != 0 && here > LK_NODE_ROOT; node = flat->nodes[node].parent) {
    const lk_flat_node *there = &flat->nodes[node];
    uint8_t type = there->type == NULL ? LK_CRDT_ELEMENT : there->type->number;
    if (self->nodes[here].type != type || !lk_slice_equal(lk_node_key(self, here), there->key)) {
      return false;
    }
    here = self->nodes[here].parent;
  }
  return node == 0 && here == LK_NODE_ROOT;
}

/* A delta with dots right behind a fact that counts makes that one longer: no plan, no step, no memory. False where it
 * is anything else, and nothing was done. */
static bool count_on(lk_crdt *self, const lk_flat *flat) {
  lk_btree_cursor cursor;
  if (flat->range_count != 1 || flat->fact_count != 1) return false;
  const lk_flat_fact *there = flat->facts;
  if (there->lo != flat->ranges[0].lo || there->hi != flat->ranges[0].hi || there->lo == 1) {
    return false;
  }
  if (!lk_shape_has_runs(lk_flat_type_at(flat, there->node))) return false;
  lk_run key = { .actor = lk_actor_find(self, flat->actors[0]), .lo = there->lo };
  if (key.actor == LK_ACTOR_NONE) return false;
  const lk_run *run = lk_btree_at_most(&self->live, &key, &cursor);
  if (run == NULL || run->actor != key.actor) return false;
  const lk_fact *here = &self->facts[run->fact];
  if (here->hi != there->lo - 1 || !is_node(self, flat, there->node, here->node)) return false;
  return lk_fact_extend(self, run->fact, there->hi);
}

lk_err lk_crdt_merge_flat(lk_crdt *self, const lk_flat *flat, bool *changed) {
  merge m;
  if (flat->type != self->type) return LK_ERR_TYPE;
  if (count_on(self, flat)) {
    LK_COVERED(crdt_counted_on);
    if (changed != NULL) *changed = true;
    return LK_OK;
  }
  lk_nodes_warm(self, flat);
  lk_err err = begin(&m, self, flat);
  if (err == LK_OK) err = lk_actors_map(self, flat->actors, flat->actor_count, m.actors);
  if (err == LK_OK) err = plan(&m, false);
  if (err == LK_OK) err = plan(&m, true);
  if (err == LK_OK) err = prepare(&m);
  if (err == LK_OK) make(&m);
  else take_back(&m);
  if (err == LK_OK && changed != NULL) *changed = m.step_count > 0;
  lk_arena_deinit(&m.arena);
  lk_crdt_compact(self);
  return err;
}
