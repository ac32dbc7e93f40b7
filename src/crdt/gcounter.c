/* crdt/gcounter.c -- a thin value over the engine; what it means is in type_gcounter.c. */
#include "crdt/gcounter.h"

void lk_gcounter_init(lk_gcounter *self, const lk_alloc *alloc, const lk_limits *limits) {
  *self = (lk_gcounter){ .alloc = alloc, .limits = *limits };
}

static void clear(lk_gcounter *self) {
  if (self->crdt == NULL) return;
  lk_crdt_deinit(self->crdt);
  lk_free_bytes(self->alloc, self->crdt, sizeof *self->crdt);
  self->crdt = NULL;
}

void lk_gcounter_deinit(lk_gcounter *self) {
  clear(self);
  *self = (lk_gcounter){ 0 };
}

/* Makes the object where there is none; |*fresh| tells, so that it can be taken back on failure. */
static lk_err need(lk_gcounter *self, bool *fresh) {
  *fresh = self->crdt == NULL;
  if (!*fresh) return LK_OK;
  lk_crdt *crdt = lk_alloc_bytes(self->alloc, sizeof *crdt);
  if (crdt == NULL) return LK_ERR_NOMEM;
  lk_err err = lk_crdt_init(crdt, &lk_crdt_type_gcounter, self->alloc, &self->limits);
  if (err == LK_OK) self->crdt = crdt;
  else lk_free_bytes(self->alloc, crdt, sizeof *crdt);
  return err;
}

static lk_err settle(lk_gcounter *self, lk_err err, bool fresh) {
  if (fresh && err != LK_OK) clear(self);
  return err;
}

uint64_t lk_gcounter_value(const lk_gcounter *self) {
  return self->crdt == NULL ? 0 : lk_node_at(self->crdt, LK_NODE_ROOT)->total;
}

bool lk_gcounter_is_empty(const lk_gcounter *self) {
  return self->crdt == NULL || self->crdt->actor_count == 0;
}

uint64_t lk_gcounter_count_of(const lk_gcounter *self, lk_slice actor) {
  if (self->crdt == NULL) return 0;
  uint32_t found = lk_actor_find(self->crdt, actor);
  return found == LK_ACTOR_NONE ? 0 : lk_node_total_of(self->crdt, LK_NODE_ROOT, found);
}

bool lk_gcounter_next(const lk_gcounter *self, uint32_t *cursor, lk_slice *actor, uint64_t *count) {
  if (self->crdt == NULL || *cursor == self->crdt->actor_count) return false;
  const lk_crdt_actor *actors = self->crdt->actors;
  uint32_t at = actors[(*cursor)++].at_rank;
  *actor = lk_slice_of(actors[at].id, actors[at].id_len);
  *count = lk_node_total_of(self->crdt, LK_NODE_ROOT, at);
  return true;
}

lk_err lk_gcounter_increment(lk_gcounter *self, lk_slice actor, uint64_t amount) {
  bool fresh;
  lk_err err = need(self, &fresh);
  if (err != LK_OK) return err;
  return settle(self, lk_gcounter_add(self->crdt, &(lk_crdt_op){ .actor = actor }, amount), fresh);
}

#ifdef LK_BUG_MERGE_ADDS /* planted for the simulator, which must find it: sim/README.md */
static lk_err add_counts(lk_gcounter *self, const lk_gcounter *other) {
  uint32_t cursor = 0;
  uint64_t count;
  lk_slice actor;
  while (lk_gcounter_next(other, &cursor, &actor, &count)) {
    if (lk_gcounter_count_of(self, actor) == 0) continue;
    lk_err err = lk_gcounter_increment(self, actor, count);
    if (err != LK_OK) return err;
  }
  return LK_OK;
}
#endif

lk_err lk_gcounter_merge(lk_gcounter *self, const lk_gcounter *other, bool *changed) {
  bool fresh;
#ifdef LK_BUG_MERGE_ADDS
  lk_err bug = add_counts(self, other);
  if (bug != LK_OK) return bug;
#endif
  if (changed != NULL) *changed = false;
  if (other->crdt == NULL) return LK_OK;
  lk_err err = need(self, &fresh);
  if (err != LK_OK) return err;
  return settle(self, lk_crdt_merge_from(self->crdt, other->crdt, changed), fresh);
}

lk_err lk_gcounter_diff(const lk_gcounter *self, const lk_gcounter *since, lk_gcounter *out) {
  uint32_t cursor = 0;
  uint64_t count;
  lk_slice actor;
  while (lk_gcounter_next(self, &cursor, &actor, &count)) {
    uint64_t told = lk_gcounter_count_of(out, actor);
    if (count <= lk_max_u64(lk_gcounter_count_of(since, actor), told)) continue;
    lk_err err = lk_gcounter_increment(out, actor, count - told);
    if (err != LK_OK) return err;
  }
  return LK_OK;
}

bool lk_gcounter_equal(const lk_gcounter *a, const lk_gcounter *b) {
  if (a->crdt == NULL || b->crdt == NULL) return lk_gcounter_is_empty(a) && lk_gcounter_is_empty(b);
  return lk_crdt_compare(a->crdt, b->crdt) == LK_CRDT_EQUAL;
}

/* ---- bytes ---- */

/* An object that is not there is written as an empty one. */
static lk_err encode_empty(lk_buf *out, lk_err (*encode)(const lk_flat *flat, lk_buf *out)) {
  lk_flat_node root = { .type = &lk_crdt_type_gcounter };
  lk_flat empty = { .type = &lk_crdt_type_gcounter, .nodes = &root, .node_count = 1 };
  return encode(&empty, out);
}

lk_err lk_gcounter_encode(const lk_gcounter *self, lk_buf *out) {
  if (self->crdt == NULL) return encode_empty(out, lk_flat_encode);
  return lk_crdt_encode(self->crdt, out);
}

lk_err lk_gcounter_encode_json(const lk_gcounter *self, lk_buf *out) {
  if (self->crdt == NULL) return encode_empty(out, lk_flat_encode_json);
  return lk_crdt_encode_json(self->crdt, out);
}

lk_err lk_gcounter_decode(lk_gcounter *out, lk_slice bytes) {
  bool fresh;
  LK_ASSERT(out->crdt == NULL);
  lk_err err = need(out, &fresh);
  if (err != LK_OK) return err;
  return settle(out, lk_crdt_merge(out->crdt, bytes, NULL), fresh);
}

lk_err lk_gcounter_decode_json(lk_gcounter *out, lk_slice text) {
  bool fresh;
  LK_ASSERT(out->crdt == NULL);
  lk_err err = need(out, &fresh);
  if (err != LK_OK) return err;
  return settle(out, lk_crdt_merge_json(out->crdt, text, NULL), fresh);
}

lk_err lk_gcounter_write_counts(const lk_gcounter *self, lk_json_writer *w) {
  uint32_t cursor = 0;
  uint64_t count;
  lk_slice actor;
  (void)lk_json_begin_object(w);
  while (lk_gcounter_next(self, &cursor, &actor, &count)) {
    (void)lk_json_write_key(w, actor);
    (void)lk_json_write_u64(w, count);
  }
  return lk_json_end_object(w);
}
