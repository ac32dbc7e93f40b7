/* crdt/compact.c -- giving memory back.
 *
 * Slots of nodes and facts that become free are used again, so a state that stays about as large takes no more
 * memory however long it lives. But one that was large and has become small would keep the room of its best
 * days. So when more than half of the slots are free, those in use are numbered anew, from the first on,
 * and the arrays are cut:
 *
 *   before   1 a   2 -   3 -   4 b   5 -   6 -   7 c   8 -        free slots: -
 *   after    1 a   2 b   3 c
 *
 * New numbers are in the order of the old ones. Nodes are ordered by their parents' numbers first, so all
 * trees keep their order, and it is enough to write the new numbers into them. A third of a state has to go
 * between one time and the next, which pays for walking over it: a constant for each removal. */
#include "crdt/state.h"

#define SLOTS_WORTH_IT 64u

static bool is_sparse(uint32_t used, uint32_t cap) {
  return cap > SLOTS_WORTH_IT && used < cap / 2;
}

static uint32_t cap_for(uint32_t used) { return used + used / 4 + 2; }

static void renumber(void *map, void *item) {
  uint32_t *number = item;
  *number = ((const uint32_t *)map)[*number];
}

static void renumber_run(void *map, void *item) { renumber(map, &((lk_run *)item)->fact); }

/* The new number of each slot, in the order of the old ones; NULL where memory is out. */
static uint32_t *new_numbers(lk_crdt *self, uint32_t end,
                             bool (*in_use)(const lk_crdt *, uint32_t)) {
  uint32_t *map = lk_alloc_array(&self->alloc, end, sizeof *map);
  if (map == NULL) return NULL;
  map[0] = 0;
  for (uint32_t i = 1, next = 1; i < end; i++) map[i] = in_use(self, i) ? next++ : 0;
  return map;
}

static bool node_in_use(const lk_crdt *self, uint32_t node) {
  return self->nodes[node].type != LK_NODE_TYPE_FREE;
}

static bool fact_in_use(const lk_crdt *self, uint32_t fact) {
  return self->facts[fact].node != LK_NODE_NONE;
}

static void compact_nodes(lk_crdt *self) {
  uint32_t *map = new_numbers(self, self->node_end, node_in_use);
  if (map == NULL) return;
  for (uint32_t i = 1; i < self->node_end; i++) {
    if (!node_in_use(self, i)) continue;
    self->nodes[i].parent = map[self->nodes[i].parent];
    self->nodes[map[i]] = self->nodes[i];
  }
  for (uint32_t i = 1; i < self->fact_end; i++) self->facts[i].node = map[self->facts[i].node];
  lk_btree_rewrite(&self->node_index, renumber, map);
  lk_btree_rewrite(&self->order, renumber, map);
  lk_free_array(&self->alloc, map, self->node_end, sizeof *map);
  self->node_end = self->node_count + 2; /* the probe and the root are not counted */
  self->node_free = 0;
  uint32_t cap = cap_for(self->node_end);
  lk_node *nodes = lk_resize_array(&self->alloc, self->nodes, self->node_cap, cap, sizeof *nodes);
  if (nodes != NULL) {
    self->nodes = nodes;
    self->node_cap = cap;
  }
  lk_hints_renew(self);
}

static void compact_facts(lk_crdt *self) {
  uint32_t *map = new_numbers(self, self->fact_end, fact_in_use);
  if (map == NULL) return;
  for (uint32_t i = 1; i < self->fact_end; i++) {
    if (!fact_in_use(self, i)) continue;
    self->facts[i].next = map[self->facts[i].next];
    self->facts[map[i]] = self->facts[i];
  }
  for (uint32_t i = 1; i < self->node_end; i++) {
    self->nodes[i].first = map[self->nodes[i].first];
    self->nodes[i].place = map[self->nodes[i].place];
  }
  lk_btree_rewrite(&self->fact_index, renumber, map);
  lk_btree_rewrite(&self->live, renumber_run, map);
  lk_free_array(&self->alloc, map, self->fact_end, sizeof *map);
  self->fact_end = self->fact_count + 1;
  self->fact_free = 0;
  uint32_t cap = cap_for(self->fact_end);
  lk_fact *facts = lk_resize_array(&self->alloc, self->facts, self->fact_cap, cap, sizeof *facts);
  if (facts == NULL) return;
  self->facts = facts;
  self->fact_cap = cap;
}

/* Trees keep the nodes that they have emptied, and those that were reserved in vain; the next merge is glad of a
 * few, in proportion to the tree. */
#define SPARE_LEAST 8u
#define SPARE_MOST 256u

static void trim(lk_btree *tree) {
  uint32_t most = lk_min_u32(SPARE_LEAST + tree->node_count / 2, SPARE_MOST);
  if (tree->spare_count > most) lk_btree_trim(tree);
}

void lk_crdt_compact(lk_crdt *self) {
  if (is_sparse(self->node_count + 2, self->node_cap)) compact_nodes(self);
  if (is_sparse(self->fact_count + 1, self->fact_cap)) compact_facts(self);
  trim(&self->node_index);
  trim(&self->fact_index);
  trim(&self->known);
  trim(&self->live);
  trim(&self->order);
}
