/* crdt/state.c -- where nodes, facts and runs lie, and how they are found.
 *
 * Nodes and facts live in arrays and are known by their numbers, 32 bits instead of a pointer; free
 * slots hang on a list. Trees (base/btree.h) hold numbers in order, and compare what the numbers stand for,
 * or ranges of dots:
 *
 *   node_index   u32 node       (parent, type, key)         a node's children lie side by side
 *   fact_index   u32 fact       (node, actor's rank, lo)    so do the facts at a node that has many
 *   known        lk_range       (actor, lo)                 one actor's numbers, 1, 2, 3, ...
 *   live         lk_run         (actor, lo)                 those of them that facts have
 *   order        u32 element    (list, position, key)
 *
 *   actor 7   known   [ 1 .. 11                  ]       [ 14 .. 20 ]      12, 13: never heard of
 *             live              [ fact 3 ][ fact 8 ]                       1 to 8 and 14 to 20: removed
 *
 * To search means to compare with something that is not in: slot 0 of nodes and facts is filled with
 * what is looked for, and number 0 handed to the tree. No slot 0 is ever in a tree.
 *
 * Actors have a number by the order of their coming, which never changes, and a rank by their bytes,
 * which orders facts the same way on every replica. A new actor moves the ranks of those above it, never
 * their order, so the trees stay right.
 *
 * Always:
 *   ranges of an actor neither overlap nor touch; facts do not overlap, and lie within ranges
 *   each fact has its run, with the same first number, and stands at a node
 *   facts at one node that touch are one, where the type counts
 *   a node has a fact or a kid, but for the root; kids and facts are their counts, total their dots
 *   of ordered types, each element is in the order, at the place that its winning fact says
 *
 * Every one of these changes in a few steps that cannot fail, after the memory was reserved.
 *
 * A node with a few facts has them in a list, sorted the same way: sets and registers have one or two, and a
 * tree less to change saves much of the cost of a change. Keys that are short lie in the node. In a large state most
 * of a search is waiting for memory, so nodes that were found are remembered under a hash ("hints"), and
 * a small merge asks for all that it will look at before it looks at any of it.
 *
 * Not chosen: pointers between separately allocated nodes, which cost twice the memory and a cache miss
 * each; hash tables, which want a secret against chosen keys and a sort before every encoding. */
#include "crdt/state.h"

#include "codec/varint.h"

#define SLOTS_LEAST 2

/* ---- counting memory ---- */

static void *counted_resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  lk_crdt *self = ctx;
  void *got = self->inner->resize(self->inner->ctx, ptr, old_size, new_size);
  if (got != NULL || new_size == 0) self->bytes += new_size - (ptr == NULL ? 0 : old_size);
  return got;
}

/* ---- the orders ---- */

static int compare_u64(uint64_t a, uint64_t b) { return (a > b) - (a < b); }

/* The bytes of a key that are in the node. */
static lk_slice key_head(const lk_node *node) {
  if (node->key_len <= LK_KEY_SMALL) return lk_slice_of(node->key.small, node->key_len);
  return lk_slice_of(node->key.large.head, LK_KEY_HEAD);
}

static lk_slice key_of(const lk_node *node) {
  if (node->key_len <= LK_KEY_SMALL) return lk_slice_of(node->key.small, node->key_len);
  return lk_slice_of(node->key.large.ptr, node->key_len);
}

static int compare_keys(const lk_node *x, const lk_node *y) {
  lk_slice a = key_head(x), b = key_head(y);
  int order = memcmp(a.ptr, b.ptr, lk_min_size(a.len, b.len));
  if (order != 0) return order;
  if (x->key_len <= LK_KEY_SMALL && y->key_len <= LK_KEY_SMALL) {
    return (x->key_len > y->key_len) - (x->key_len < y->key_len);
  }
  return lk_slice_compare(key_of(x), key_of(y));
}

static int compare_nodes(const void *ctx, const void *a, const void *b) {
  const lk_crdt *self = ctx;
  const lk_node *x = &self->nodes[*(const uint32_t *)a], *y = &self->nodes[*(const uint32_t *)b];
  if (x->parent != y->parent) return x->parent < y->parent ? -1 : 1;
  if (x->type != y->type) return x->type < y->type ? -1 : 1;
  return compare_keys(x, y);
}

static int compare_facts(const void *ctx, const void *a, const void *b) {
  const lk_crdt *self = ctx;
  const lk_fact *x = &self->facts[*(const uint32_t *)a], *y = &self->facts[*(const uint32_t *)b];
  if (x->node != y->node) return x->node < y->node ? -1 : 1;
  if (x->actor != y->actor) {
    return self->actors[x->actor].rank < self->actors[y->actor].rank ? -1 : 1;
  }
  return compare_u64(x->lo, y->lo);
}

static int compare_dots(uint32_t actor, uint64_t lo, uint32_t other, uint64_t other_lo) {
  if (actor != other) return actor < other ? -1 : 1;
  return compare_u64(lo, other_lo);
}

static int compare_ranges(const void *ctx, const void *a, const void *b) {
  const lk_range *x = a, *y = b;
  (void)ctx;
  return compare_dots(x->actor, x->lo, y->actor, y->lo);
}

static int compare_runs(const void *ctx, const void *a, const void *b) {
  const lk_run *x = a, *y = b;
  (void)ctx;
  return compare_dots(x->actor, x->lo, y->actor, y->lo);
}

/* An element whose place is 0 is a probe: it stands before all of its list. */
static int compare_places(const void *ctx, const void *a, const void *b) {
  const lk_crdt *self = ctx;
  uint32_t p = *(const uint32_t *)a, q = *(const uint32_t *)b;
  const lk_node *x = &self->nodes[p], *y = &self->nodes[q];
  if (x->parent != y->parent) return x->parent < y->parent ? -1 : 1;
  if (x->place == 0 || y->place == 0) return (x->place != 0) - (y->place != 0);
  int order = lk_slice_compare(lk_order_position(self, p), lk_order_position(self, q));
  if (order != 0) return order;
  return lk_slice_compare(lk_node_key(self, p), lk_node_key(self, q));
}

/* ---- beginning and end ---- */

lk_err lk_crdt_init(lk_crdt *self, const lk_crdt_type *type, const lk_alloc *alloc,
                    const lk_limits *limits) {
  *self = (lk_crdt){ .inner = alloc, .type = type, .limits = *limits };
  self->alloc = (lk_alloc){ counted_resize, self };
  self->scope = (lk_crdt_scope){ &self->alloc, &self->limits };
  lk_btree_init(&self->node_index, &self->alloc, sizeof(uint32_t), compare_nodes, self);
  lk_btree_init(&self->fact_index, &self->alloc, sizeof(uint32_t), compare_facts, self);
  lk_btree_init(&self->known, &self->alloc, sizeof(lk_range), compare_ranges, self);
  lk_btree_init(&self->live, &self->alloc, sizeof(lk_run), compare_runs, self);
  lk_btree_init(&self->order, &self->alloc, sizeof(uint32_t), compare_places, self);
  self->nodes = lk_alloc_array(&self->alloc, SLOTS_LEAST, sizeof *self->nodes);
  self->facts = lk_alloc_array(&self->alloc, SLOTS_LEAST, sizeof *self->facts);
  if (self->nodes != NULL) self->node_cap = SLOTS_LEAST;
  if (self->facts != NULL) self->fact_cap = SLOTS_LEAST;
  if (self->nodes == NULL || self->facts == NULL) {
    lk_crdt_deinit(self);
    return LK_ERR_NOMEM;
  }
  self->nodes[0] = (lk_node){ 0 };
  self->nodes[LK_NODE_ROOT] = (lk_node){ .type = type->number };
  self->facts[0] = (lk_fact){ 0 };
  self->node_end = LK_NODE_ROOT + 1;
  self->fact_end = 1;
  self->weight = 32;
  return LK_OK;
}

static void free_key(lk_crdt *self, lk_node *node) {
  if (node->key_len > LK_KEY_SMALL) {
    lk_free_bytes(&self->alloc, node->key.large.ptr, node->key_len);
  }
}

void lk_crdt_deinit(lk_crdt *self) {
  if (self->inner == NULL) return;
  const lk_alloc *alloc = &self->alloc;
  for (uint32_t i = LK_NODE_ROOT; i < self->node_end; i++) {
    free_key(self, &self->nodes[i]);
  }
  for (uint32_t i = 1; i < self->fact_end; i++) {
    lk_free_bytes(alloc, self->facts[i].value, self->facts[i].value_len);
  }
  for (uint32_t i = 0; i < self->actor_count; i++) {
    lk_free_bytes(alloc, self->actors[i].id, self->actors[i].id_len);
  }
  lk_free_array(alloc, self->nodes, self->node_cap, sizeof *self->nodes);
  lk_free_array(alloc, self->hints, self->hint_cap, sizeof *self->hints);
  lk_free_array(alloc, self->facts, self->fact_cap, sizeof *self->facts);
  lk_free_array(alloc, self->actors, self->actor_cap, sizeof *self->actors);
  lk_btree_deinit(&self->node_index);
  lk_btree_deinit(&self->fact_index);
  lk_btree_deinit(&self->known);
  lk_btree_deinit(&self->live);
  lk_btree_deinit(&self->order);
  LK_ASSERT(self->bytes == 0);
  *self = (lk_crdt){ 0 };
}

static uint8_t *copy_bytes(lk_crdt *self, lk_slice bytes) {
  uint8_t *copy = lk_alloc_bytes(&self->alloc, bytes.len);
  if (copy != NULL) memcpy(copy, bytes.ptr, bytes.len);
  return copy;
}

/* ---- actors ---- */

#define ACTOR_WEIGHT 8u

static lk_slice actor_id(const lk_crdt *self, uint32_t actor) {
  return lk_slice_of(self->actors[actor].id, self->actors[actor].id_len);
}

/* How many actors are below |id|. */
static uint32_t rank_of(const lk_crdt *self, lk_slice id) {
  uint32_t low = 0, high = self->actor_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (lk_slice_compare(actor_id(self, self->actors[middle].at_rank), id) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/* 32 bits that tell where a hint lies. A stranger may have all of them lead to one place: then hints do not
 * help, and nothing else. */
static uint32_t mix_of(lk_slice bytes, uint32_t salt) {
  uint64_t mix = bytes.len + ((uint64_t)salt << 32);
  if (bytes.len >= 8) {
    const uint8_t *last = bytes.ptr + bytes.len - 8;
    mix ^= lk_load_le64(bytes.ptr) + lk_rotl_u64(lk_load_le64(last), 29);
  } else {
    for (size_t i = 0; i < bytes.len; i++) mix = mix << 8 ^ bytes.ptr[i];
  }
  mix *= UINT64_C(0x9E3779B97F4A7C15);
  return (uint32_t)((mix ^ mix >> 29) * UINT64_C(0xBF58476D1CE4E5B9) >> 32);
}

static uint32_t *hint_of(const lk_crdt *self, lk_slice id) {
  return &self->actors[(uint64_t)mix_of(id, 0) * self->actor_cap >> 32].hint;
}

uint32_t lk_actor_find(const lk_crdt *self, lk_slice id) {
  if (self->actor_count == 0) return LK_ACTOR_NONE;
  uint32_t *hint = hint_of(self, id);
  if (*hint < self->actor_count && lk_slice_equal(actor_id(self, *hint), id)) return *hint;
  uint32_t rank = rank_of(self, id);
  if (rank == self->actor_count) return LK_ACTOR_NONE;
  uint32_t actor = self->actors[rank].at_rank;
  if (!lk_slice_equal(actor_id(self, actor), id)) return LK_ACTOR_NONE;
  *hint = actor;
  return actor;
}

static lk_err reserve_actors(lk_crdt *self, uint32_t more) {
  size_t cap;
  if (more <= self->actor_cap - self->actor_count) return LK_OK;
  if (!lk_grow_cap(self->actor_cap, (size_t)self->actor_count + more, 1,
                   self->limits.crdt_actors_count, &cap)) {
    LK_COVERED(crdt_actors_reached_their_maximum);
    return LK_ERR_LIMIT;
  }
  lk_crdt_actor *actors = lk_resize_array(&self->alloc, self->actors, self->actor_cap, cap,
                                          sizeof *actors);
  if (actors == NULL) return LK_ERR_NOMEM;
  self->actors = actors;
  for (size_t i = self->actor_cap; i < cap; i++) actors[i].hint = 0;
  self->actor_cap = (uint32_t)cap;
  return LK_OK;
}

static void set_rank(lk_crdt *self, uint32_t rank, uint32_t actor) {
  self->actors[rank].at_rank = actor;
  self->actors[actor].rank = rank;
}

/* Gives ranks to the actors from |first| on, which are in order among themselves: two sorted rows become one, from
 * the end, so that each moves once. */
static void rank_actors(lk_crdt *self, uint32_t first) {
  uint32_t old = first, fresh = self->actor_count;
  for (uint32_t rank = self->actor_count; fresh > first;) {
    bool is_old = old > 0 && lk_slice_compare(actor_id(self, self->actors[old - 1].at_rank),
                                              actor_id(self, fresh - 1)) > 0;
    set_rank(self, --rank, is_old ? self->actors[--old].at_rank : --fresh);
  }
}

static lk_err append_actor(lk_crdt *self, lk_slice id) {
  uint8_t *copy = copy_bytes(self, id);
  if (copy == NULL) return LK_ERR_NOMEM;
  lk_crdt_actor *actor = &self->actors[self->actor_count++];
  *actor = (lk_crdt_actor){ .id = copy, .id_len = (uint32_t)id.len, .hint = actor->hint };
  self->weight += ACTOR_WEIGHT + id.len;
  return LK_OK;
}

lk_err lk_actors_map(lk_crdt *self, const lk_slice *ids, uint32_t count, uint32_t *out) {
  uint32_t first = self->actor_count, missing = 0;
  for (uint32_t i = 0; i < count; i++) {
    out[i] = lk_actor_find(self, ids[i]);
    if (out[i] == LK_ACTOR_NONE) missing++;
  }
  if (missing == 0) return LK_OK;
  lk_err err = reserve_actors(self, missing);
  for (uint32_t i = 0; i < count && err == LK_OK; i++) {
    if (out[i] != LK_ACTOR_NONE) continue;
    out[i] = self->actor_count;
    err = append_actor(self, ids[i]);
  }
  rank_actors(self, first);
  return err;
}

/* Those that stay keep their order. */
void lk_actor_drop_to(lk_crdt *self, uint32_t count) {
  uint32_t kept = 0, before = self->actor_count;
  for (uint32_t rank = 0; rank < before && count < before; rank++) {
    uint32_t actor = self->actors[rank].at_rank;
    if (actor < count) set_rank(self, kept++, actor);
  }
  while (self->actor_count > count) {
    lk_crdt_actor *actor = &self->actors[--self->actor_count];
    self->weight -= ACTOR_WEIGHT + actor->id_len;
    lk_free_bytes(&self->alloc, actor->id, actor->id_len);
  }
}

/* ---- nodes ---- */

#define NODE_WEIGHT 12u
#define HINTED_LEAST 64u /* fewer nodes are found as fast without */

static void set_key(lk_node *node, lk_slice key, uint8_t *large) {
  node->key_len = (uint32_t)key.len;
  if (key.len <= LK_KEY_SMALL) {
    if (key.len > 0) memcpy(node->key.small, key.ptr, key.len);
    return;
  }
  node->key.large.ptr = large;
  memcpy(node->key.large.head, key.ptr, LK_KEY_HEAD);
}

static uint32_t probe_node(const lk_crdt *self, uint32_t parent, const lk_crdt_type *type,
                           lk_slice key) {
  lk_node *probe = &self->nodes[0];
  probe->parent = parent;
  probe->type = type == NULL ? LK_CRDT_ELEMENT : type->number;
  set_key(probe, key, (uint8_t *)(uintptr_t)key.ptr);
  return 0;
}

/* Searching a large set costs a cache miss for each comparison; following a hint costs two. Hints are a table that
 * forgets: a hash leads to a few places, of which the latest finds take turns. What is not there is
 * searched for, so nothing depends on them but time, and chosen collisions gain nothing. */
#define HINT_WAYS 4u

static lk_node_hint *hints_for(const lk_crdt *self, uint32_t hash) {
  return &self->hints[((uint64_t)hash * (self->hint_cap / HINT_WAYS) >> 32) * HINT_WAYS];
}

static void keep_hint(const lk_crdt *self, uint32_t hash, uint32_t node) {
  if (self->hint_cap == 0) return;
  lk_node_hint *at = hints_for(self, hash);
  memmove(at + 1, at, (HINT_WAYS - 1) * sizeof *at);
  *at = (lk_node_hint){ hash, node };
}

static uint32_t follow_hint(const lk_crdt *self, uint32_t hash, uint32_t probe) {
  if (self->hint_cap == 0) return LK_NODE_NONE;
  const lk_node_hint *at = hints_for(self, hash);
  for (uint32_t i = 0; i < HINT_WAYS; i++) {
    if (at[i].hash != hash || at[i].node == 0) continue;
    if (compare_nodes(self, &probe, &at[i].node) == 0) return at[i].node;
  }
  return LK_NODE_NONE;
}

uint32_t lk_node_find(const lk_crdt *self, uint32_t parent, const lk_crdt_type *type,
                      lk_slice key) {
  if (parent == LK_NODE_NONE || self->nodes[parent].kids == 0) return LK_NODE_NONE;
  uint32_t probe = probe_node(self, parent, type, key), hash = mix_of(key, parent);
  uint32_t hinted = follow_hint(self, hash, probe);
  if (hinted != LK_NODE_NONE) return hinted;
  const uint32_t *found = lk_btree_get(&self->node_index, &probe);
  if (found == NULL) return LK_NODE_NONE;
  keep_hint(self, hash, *found);
  return *found;
}

#define WARMED_MOST LK_BTREE_WARM_MOST

/* The node that is probably meant. */
static uint32_t hinted(const lk_crdt *self, uint32_t hash) {
  const lk_node_hint *at = hints_for(self, hash);
  for (uint32_t i = 0; i < HINT_WAYS; i++) {
    if (at[i].hash == hash) return at[i].node;
  }
  return 0;
}

void lk_nodes_warm(const lk_crdt *self, const lk_flat *flat) {
  uint32_t hashes[WARMED_MOST], count = 0, runs_count = 0;
  lk_run runs[WARMED_MOST];
  if (self->hint_cap == 0 || flat->node_count > WARMED_MOST) return;
  for (uint32_t i = 1; i < flat->node_count; i++) {
    if (flat->nodes[i].parent != 0) continue;
    hashes[count] = mix_of(flat->nodes[i].key, LK_NODE_ROOT);
    __builtin_prefetch(hints_for(self, hashes[count++]));
  }
  for (uint32_t i = 0; i < count; i++) {
    hashes[i] = hinted(self, hashes[i]); /* a node now */
    __builtin_prefetch(&self->nodes[hashes[i]]);
  }
  for (uint32_t i = 0; i < count; i++) {
    hashes[i] = self->nodes[hashes[i]].first; /* a fact now */
    __builtin_prefetch(&self->facts[hashes[i]]);
  }
  for (uint32_t i = 0; i < count; i++) {
    const lk_fact *fact = &self->facts[hashes[i]];
    if (hashes[i] != 0) runs[runs_count++] = (lk_run){ .actor = fact->actor, .lo = fact->lo };
  }
  lk_btree_warm(&self->live, runs, runs_count);
}

static void drop_hints(lk_crdt *self) {
  lk_free_array(&self->alloc, self->hints, self->hint_cap, sizeof *self->hints);
  self->hints = NULL;
  self->hint_cap = 0;
}

void lk_hints_renew(lk_crdt *self) {
  uint32_t cap = self->node_cap / HINT_WAYS * HINT_WAYS;
  drop_hints(self);
  if (cap < HINTED_LEAST) return;
  self->hints = lk_alloc_array(&self->alloc, cap, sizeof *self->hints);
  if (self->hints == NULL) return;
  self->hint_cap = cap;
  memset(self->hints, 0, cap * sizeof *self->hints);
  for (uint32_t i = LK_NODE_ROOT + 1; i < self->node_end; i++) {
    if (self->nodes[i].type == LK_NODE_TYPE_FREE) continue;
    keep_hint(self, mix_of(lk_node_key(self, i), self->nodes[i].parent), i);
  }
}

uint32_t lk_node_next_kid(const lk_crdt *self, uint32_t parent, lk_btree_cursor *cursor) {
  if (self->nodes[parent].kids == 0) return LK_NODE_NONE;
  uint32_t probe = probe_node(self, parent, NULL, LK_SLICE_EMPTY);
  const uint32_t *found = cursor->leaf == NULL
                              ? lk_btree_at_least(&self->node_index, &probe, cursor)
                              : lk_btree_next(cursor);
  if (found != NULL && self->nodes[*found].parent == parent) return *found;
  *cursor = (lk_btree_cursor){ 0 };
  return LK_NODE_NONE;
}

const lk_crdt_type *lk_node_owner_type(const lk_crdt *self, uint32_t node) {
  const lk_node *at = &self->nodes[node];
  return lk_crdt_type_of(at->type != LK_CRDT_ELEMENT ? at->type : self->nodes[at->parent].type);
}

static lk_err reserve_node(lk_crdt *self) {
  size_t cap;
  if (self->node_free != 0 || self->node_end < self->node_cap) return LK_OK;
  if (!lk_grow_cap(self->node_cap, (size_t)self->node_end + 1, 2, UINT32_MAX, &cap)) {
    return LK_ERR_LIMIT;
  }
  lk_node *nodes = lk_resize_array(&self->alloc, self->nodes, self->node_cap, cap, sizeof *nodes);
  if (nodes == NULL) return LK_ERR_NOMEM;
  self->nodes = nodes;
  self->node_cap = (uint32_t)cap;
  lk_hints_renew(self);
  return LK_OK;
}

lk_err lk_node_add(lk_crdt *self, uint32_t parent, const lk_crdt_type *type, lk_slice key,
                   uint32_t *out) {
  lk_err err = reserve_node(self);
  if (err == LK_OK) err = lk_btree_reserve(&self->node_index, 1);
  if (err != LK_OK) return err;
  uint8_t *copy = NULL;
  if (key.len > LK_KEY_SMALL && (copy = copy_bytes(self, key)) == NULL) return LK_ERR_NOMEM;
  uint32_t node = self->node_free;
  if (node != 0) self->node_free = self->nodes[node].parent;
  else node = self->node_end++;
  self->nodes[node] = (lk_node){ .parent = parent,
                                 .type = type == NULL ? LK_CRDT_ELEMENT : type->number };
  set_key(&self->nodes[node], key, copy);
  keep_hint(self, mix_of(key, parent), node);
  (void)lk_btree_insert(&self->node_index, &node);
  self->nodes[parent].kids++;
  self->node_count++;
  self->weight += NODE_WEIGHT + key.len;
  *out = node;
  return LK_OK;
}

void lk_node_prune(lk_crdt *self, uint32_t node) {
  while (node > LK_NODE_ROOT && self->nodes[node].facts == 0 && self->nodes[node].kids == 0) {
    lk_node *at = &self->nodes[node];
    uint32_t parent = at->parent;
    bool removed = lk_btree_remove(&self->node_index, &node);
    LK_ASSERT(removed && at->place == 0);
    self->weight -= NODE_WEIGHT + at->key_len;
    free_key(self, at);
    *at = (lk_node){ .parent = self->node_free, .type = LK_NODE_TYPE_FREE };
    self->node_free = node;
    self->node_count--;
    self->nodes[parent].kids--;
    node = parent;
  }
}

/* ---- facts ---- */

uint64_t lk_fact_weight(uint64_t lo, uint64_t hi, size_t value_len) {
  return 4 + lk_varuint_len(lo) + lk_varuint_len(hi - lo) + lk_varuint_len(value_len) + value_len;
}

static uint64_t weight_of(const lk_fact *fact) {
  return lk_fact_weight(fact->lo, fact->hi, fact->value_len);
}

lk_err lk_facts_reserve(lk_crdt *self, uint32_t more, uint32_t inserts) {
  size_t cap;
  uint32_t free = self->fact_cap - 1 - self->fact_count;
  if (more > free) {
    if (!lk_grow_cap(self->fact_cap, (size_t)self->fact_cap + (more - free), 2, UINT32_MAX, &cap)) {
      return LK_ERR_LIMIT;
    }
    lk_fact *facts = lk_resize_array(&self->alloc, self->facts, self->fact_cap, cap, sizeof *facts);
    if (facts == NULL) return LK_ERR_NOMEM;
    self->facts = facts;
    self->fact_cap = (uint32_t)cap;
  }
  return lk_btree_reserve(&self->fact_index, inserts);
}

/* The dots of a node, and of all: each node's fit 64 bits, together they may not. */
static void add_dots(lk_crdt *self, lk_node *node, uint64_t count) {
  node->total += count;
  self->dots += count;
  if (self->dots < count) self->dots_high++;
}

static void remove_dots(lk_crdt *self, lk_node *node, uint64_t count) {
  node->total -= count;
  if (self->dots < count) self->dots_high--;
  self->dots -= count;
}

static bool fact_is_before(const lk_crdt *self, uint32_t a, uint32_t b) {
  return compare_facts(self, &a, &b) < 0;
}

static void list_fact(lk_crdt *self, lk_node *node, uint32_t fact) {
  uint32_t *link = &node->first;
  while (*link != 0 && fact_is_before(self, *link, fact)) link = &self->facts[*link].next;
  self->facts[fact].next = *link;
  *link = fact;
}

static void unlist_fact(lk_crdt *self, lk_node *node, uint32_t fact) {
  uint32_t *link = &node->first;
  while (*link != fact) {
    LK_ASSERT(*link != 0);
    link = &self->facts[*link].next;
  }
  *link = self->facts[fact].next;
}

/* The list has become too long to be walked. */
static void index_facts(lk_crdt *self, lk_node *node) {
  for (uint32_t fact = node->first; fact != 0; fact = self->facts[fact].next) {
    (void)lk_btree_insert(&self->fact_index, &fact);
  }
  node->first = 0;
  node->indexed = true;
}

uint32_t lk_fact_new(lk_crdt *self, uint32_t node, uint32_t actor, uint64_t lo, uint64_t hi,
                     uint8_t *value, uint32_t value_len) {
  lk_node *at = &self->nodes[node];
  uint32_t fact = self->fact_free;
  if (fact != 0) self->fact_free = self->facts[fact].next;
  else fact = self->fact_end++;
  LK_ASSERT(fact < self->fact_cap);
  self->facts[fact] = (lk_fact){
    .value = value, .value_len = value_len, .node = node, .lo = lo, .hi = hi, .actor = actor
  };
  if (!at->indexed && at->facts == LK_FACTS_LISTED) index_facts(self, at);
  if (at->indexed) (void)lk_btree_insert(&self->fact_index, &fact);
  else list_fact(self, at, fact);
  self->fact_count++;
  at->facts++;
  add_dots(self, at, hi - lo + 1);
  self->weight += weight_of(&self->facts[fact]);
  return fact;
}

void lk_fact_free(lk_crdt *self, uint32_t fact) {
  lk_fact *at = &self->facts[fact];
  lk_node *node = &self->nodes[at->node];
  if (node->indexed) {
    bool removed = lk_btree_remove(&self->fact_index, &fact);
    LK_ASSERT(removed);
  } else {
    unlist_fact(self, node, fact);
  }
  self->weight -= weight_of(at);
  remove_dots(self, node, at->hi - at->lo + 1);
  if (--node->facts == 0) node->indexed = false;
  if (node->place == fact) node->place = 0;
  lk_free_bytes(&self->alloc, at->value, at->value_len);
  *at = (lk_fact){ .next = self->fact_free };
  self->fact_free = fact;
  self->fact_count--;
}

/* A fact grows into numbers that nothing has, or shrinks within its own: it stays between the same others. */
void lk_fact_resize(lk_crdt *self, uint32_t fact, uint64_t lo, uint64_t hi) {
  lk_fact *at = &self->facts[fact];
  self->weight -= weight_of(at);
  remove_dots(self, &self->nodes[at->node], at->hi - at->lo + 1);
  at->lo = lo;
  at->hi = hi;
  add_dots(self, &self->nodes[at->node], hi - lo + 1);
  self->weight += weight_of(at);
}

static uint32_t probe_fact(const lk_crdt *self, uint32_t node, uint32_t actor, uint64_t lo) {
  self->facts[0].node = node;
  self->facts[0].actor = actor;
  self->facts[0].lo = lo;
  return 0;
}

/* In a list, the cursor's index is the fact. */
uint32_t lk_fact_next(const lk_crdt *self, uint32_t node, lk_btree_cursor *cursor) {
  const lk_node *at = &self->nodes[node];
  const uint32_t *found;
  if (!at->indexed) {
    cursor->index = cursor->index == 0 ? at->first : self->facts[cursor->index].next;
    return cursor->index;
  }
  if (cursor->leaf == NULL) {
    uint32_t probe = probe_fact(self, node, self->actors[0].at_rank, 0);
    found = lk_btree_at_least(&self->fact_index, &probe, cursor);
  } else {
    found = lk_btree_next(cursor);
  }
  if (found != NULL && self->facts[*found].node == node) return *found;
  *cursor = (lk_btree_cursor){ 0 };
  return 0;
}

uint32_t lk_fact_last_of(const lk_crdt *self, uint32_t node, uint32_t actor) {
  const lk_node *at = &self->nodes[node];
  lk_btree_cursor cursor;
  uint32_t last = 0;
  if (!at->indexed) {
    for (uint32_t fact = at->first; fact != 0; fact = self->facts[fact].next) {
      if (self->facts[fact].actor == actor) last = fact;
    }
    return last;
  }
  uint32_t probe = probe_fact(self, node, actor, UINT64_MAX);
  const uint32_t *found = lk_btree_at_most(&self->fact_index, &probe, &cursor);
  if (found == NULL) return 0;
  const lk_fact *fact = &self->facts[*found];
  return fact->node == node && fact->actor == actor ? *found : 0;
}

/* From the first fact of the actor on: in the index it is searched for, a list is short. */
uint64_t lk_node_total_of(const lk_crdt *self, uint32_t node, uint32_t actor) {
  const lk_node *at = &self->nodes[node];
  lk_btree_cursor cursor = { 0 };
  uint64_t total = 0;
  if (!at->indexed) {
    for (uint32_t i = at->first; i != 0; i = self->facts[i].next) {
      if (self->facts[i].actor == actor) total += self->facts[i].hi - self->facts[i].lo + 1;
    }
    return total;
  }
  uint32_t probe = probe_fact(self, node, actor, 0);
  const uint32_t *found = lk_btree_at_least(&self->fact_index, &probe, &cursor);
  for (; found != NULL; found = lk_btree_next(&cursor)) {
    const lk_fact *fact = &self->facts[*found];
    if (fact->node != node || fact->actor != actor) break;
    total += fact->hi - fact->lo + 1;
  }
  return total;
}

/* ---- dots ---- */

lk_range *lk_known_at_least(const lk_crdt *self, uint32_t actor, uint64_t at,
                            lk_btree_cursor *out) {
  lk_range key = { .actor = actor, .lo = at };
  lk_range *range = lk_btree_at_most(&self->known, &key, out);
  if (range != NULL && range->actor == actor && range->hi >= at) return range;
  range = range == NULL ? lk_btree_first(&self->known, out) : lk_btree_next(out);
  return range != NULL && range->actor == actor ? range : NULL;
}

lk_range *lk_known_next(const lk_range *range, lk_btree_cursor *cursor) {
  uint32_t actor = range->actor;
  lk_range *next = lk_btree_next(cursor);
  return next != NULL && next->actor == actor ? next : NULL;
}

lk_run *lk_live_at_least(const lk_crdt *self, uint32_t actor, uint64_t at, lk_btree_cursor *out) {
  lk_run key = { .actor = actor, .lo = at };
  lk_run *run = lk_btree_at_most(&self->live, &key, out);
  if (run != NULL && run->actor == actor && self->facts[run->fact].hi >= at) return run;
  run = run == NULL ? lk_btree_first(&self->live, out) : lk_btree_next(out);
  return run != NULL && run->actor == actor ? run : NULL;
}

lk_run *lk_live_next(const lk_run *run, lk_btree_cursor *cursor) {
  uint32_t actor = run->actor;
  lk_run *next = lk_btree_next(cursor);
  return next != NULL && next->actor == actor ? next : NULL;
}

bool lk_fact_extend(lk_crdt *self, uint32_t fact, uint64_t hi) {
  lk_fact *at = &self->facts[fact];
  lk_crdt_actor *actor = &self->actors[at->actor];
  lk_btree_cursor cursor;
  uint64_t sum;
  lk_range *range = lk_known_at_least(self, at->actor, at->hi, &cursor);
  LK_ASSERT(range != NULL && range->lo <= at->hi);
  if (range->hi != at->hi) return false;
  if (at->hi < actor->end) { /* not the last one: is there room? */
    lk_btree_cursor behind = cursor;
    const lk_range *next = lk_known_next(range, &behind);
    if (next != NULL && next->lo - 1 <= hi) return false;
  }
  if (!lk_add_u64(self->nodes[at->node].total, hi - at->hi, &sum)) return false;
  uint64_t more = lk_fact_weight(at->lo, hi, 0) - weight_of(at);
  if (more > 0 && self->weight + more > self->limits.crdt_state_bytes) return false;
  range->hi = hi;
  lk_fact_resize(self, fact, at->lo, hi);
  actor->end = lk_max_u64(actor->end, hi);
  return true;
}

/* ---- the order of lists ---- */

bool lk_node_is_ordered(const lk_crdt *self, uint32_t node) {
  const lk_node *at = &self->nodes[node];
  return at->type == LK_CRDT_ELEMENT && lk_node_type(self, at->parent)->ordered;
}

static const lk_crdt_type *list_type(const lk_crdt *self, uint32_t element) {
  return lk_node_type(self, self->nodes[element].parent);
}

lk_slice lk_order_position(const lk_crdt *self, uint32_t element) {
  return list_type(self, element)
      ->position_of(lk_node_key(self, element), lk_fact_value(self, self->nodes[element].place));
}

void lk_order_remove(lk_crdt *self, uint32_t element) {
  bool removed = lk_btree_remove(&self->order, &element);
  LK_ASSERT(removed);
}

/* On a tie the greater actor decides, and of one actor's facts the later. */
static bool beats(const lk_crdt *self, const lk_crdt_type *type, uint32_t fact, uint32_t other) {
  int order = type->compare_places(lk_fact_value(self, fact), lk_fact_value(self, other));
  return order > 0 || (order == 0 && fact_is_before(self, other, fact));
}

/* Without a fact to beat, because that went, all have to be asked: lk_order_insert() does. */
void lk_order_contend(lk_crdt *self, uint32_t fact) {
  uint32_t element = self->facts[fact].node, *place = &self->nodes[element].place;
  if (*place == 0 && self->nodes[element].facts == 1) *place = fact;
  else if (*place != 0 && beats(self, list_type(self, element), fact, *place)) *place = fact;
}

void lk_order_insert(lk_crdt *self, uint32_t element) {
  const lk_crdt_type *type = list_type(self, element);
  lk_btree_cursor cursor = { 0 };
  uint32_t place = self->nodes[element].place;
  if (place == 0) {
    place = lk_fact_next(self, element, &cursor);
    for (uint32_t fact; (fact = lk_fact_next(self, element, &cursor)) != 0;) {
      if (beats(self, type, fact, place)) place = fact;
    }
    self->nodes[element].place = place;
  }
  (void)lk_btree_insert(&self->order, &element);
}

static uint32_t probe_list(const lk_crdt *self, uint32_t list) {
  self->nodes[0].parent = list;
  self->nodes[0].place = 0;
  return 0;
}

uint32_t lk_order_count(const lk_crdt *self, uint32_t list) {
  return list == LK_NODE_NONE ? 0 : self->nodes[list].kids;
}

uint32_t lk_order_at(const lk_crdt *self, uint32_t list, uint32_t index) {
  lk_btree_cursor cursor;
  if (index >= lk_order_count(self, list)) return LK_NODE_NONE;
  uint32_t probe = probe_list(self, list);
  const uint32_t *found = lk_btree_at(&self->order, lk_btree_rank(&self->order, &probe) + index,
                                      &cursor);
  LK_ASSERT(found != NULL);
  return *found;
}

uint32_t lk_order_next(const lk_crdt *self, uint32_t list, lk_btree_cursor *cursor) {
  if (list == LK_NODE_NONE) return LK_NODE_NONE;
  uint32_t probe = probe_list(self, list);
  const uint32_t *found = cursor->leaf == NULL ? lk_btree_at_least(&self->order, &probe, cursor)
                                               : lk_btree_next(cursor);
  if (found != NULL && self->nodes[*found].parent == list) return *found;
  *cursor = (lk_btree_cursor){ 0 };
  return LK_NODE_NONE;
}
