/* crdt/crdt.c -- laniakea/crdt.h over the engine: opening, reading, bytes in and out. */
#include "base/map.h"
#include "crdt/state.h"

lk_err lk_crdt_open(const lk_env *env, lk_crdt_kind kind, lk_crdt **out) {
  const lk_crdt_type *type = lk_crdt_type_of((uint64_t)kind);
  lk_limits limits = lk_limits_default();
  if (type == NULL) return LK_ERR_UNKNOWN_TYPE;
  lk_crdt *self = lk_alloc_bytes(env->alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  lk_err err = lk_crdt_init(self, type, env->alloc, &limits);
  if (err != LK_OK) {
    lk_free_bytes(env->alloc, self, sizeof *self);
    return err;
  }
  *out = self;
  return LK_OK;
}

void lk_crdt_close(lk_crdt *self) {
  if (self == NULL) return;
  const lk_alloc *alloc = self->inner;
  lk_crdt_deinit(self);
  lk_free_bytes(alloc, self, sizeof *self);
}

lk_crdt_kind lk_crdt_get_kind(const lk_crdt *self) { return (lk_crdt_kind)self->type->number; }

lk_crdt_size lk_crdt_get_size(const lk_crdt *self) {
  return (lk_crdt_size){ self->fact_count, lk_btree_count(&self->known), self->actor_count,
                         self->bytes };
}

/* ---- values ---- */

/* What is not there yet is shown as its type shows nothing. */
lk_err lk_crdt_write_value(const lk_crdt *self, uint32_t node, lk_json_writer *out) {
  return lk_node_type(self, node)->write_value(self, node, out);
}

lk_err lk_crdt_value(const lk_crdt *self, lk_slice path, lk_buf *out) {
  const lk_crdt_type *type;
  lk_json_writer writer;
  uint32_t node;
  lk_err err = lk_crdt_resolve(self, path, &node, &type);
  if (err != LK_OK) return err;
  lk_json_writer_init(&writer, out);
  err = type->write_value(self, node, &writer);
  if (err == LK_OK) return lk_json_writer_finish(&writer);
  lk_buf_truncate(out, writer.start);
  return err;
}

/* ---- bytes ---- */

static lk_err flatten_into(const lk_crdt *self, lk_buf *out,
                           lk_err (*encode)(const lk_flat *flat, lk_buf *out)) {
  lk_flat flat;
  lk_arena arena;
  lk_arena_init(&arena, self->scope.alloc, SIZE_MAX / 2);
  lk_err err = lk_crdt_flatten(self, &arena, &flat);
  if (err == LK_OK) err = encode(&flat, out);
  lk_arena_deinit(&arena);
  return err;
}

lk_err lk_crdt_encode(const lk_crdt *self, lk_buf *out) {
  return flatten_into(self, out, lk_flat_encode);
}

lk_err lk_crdt_encode_json(const lk_crdt *self, lk_buf *out) {
  return flatten_into(self, out, lk_flat_encode_json);
}

lk_err lk_crdt_merge(lk_crdt *self, lk_slice bytes, bool *changed) {
  lk_flat flat;
  lk_arena arena;
  lk_arena_init(&arena, self->scope.alloc, SIZE_MAX / 2);
  lk_err err = lk_flat_decode(&flat, bytes, &self->scope, &arena);
  if (err == LK_OK) err = lk_crdt_merge_flat(self, &flat, changed);
  lk_arena_deinit(&arena);
  return err;
}

lk_err lk_crdt_merge_json(lk_crdt *self, lk_slice json, bool *changed) {
  lk_flat flat;
  lk_arena arena;
  lk_arena_init(&arena, self->scope.alloc, SIZE_MAX / 2);
  lk_err err = lk_flat_decode_json(&flat, self->type, json, &self->scope, &arena);
  if (err == LK_OK) err = lk_crdt_merge_flat(self, &flat, changed);
  lk_arena_deinit(&arena);
  return err;
}

lk_err lk_crdt_merge_from(lk_crdt *self, const lk_crdt *other, bool *changed) {
  lk_flat flat;
  lk_arena arena;
  lk_arena_init(&arena, self->scope.alloc, SIZE_MAX / 2);
  lk_err err = lk_crdt_flatten(other, &arena, &flat);
  if (err == LK_OK) err = lk_crdt_merge_flat(self, &flat, changed);
  lk_arena_deinit(&arena);
  return err;
}

lk_err lk_crdt_admit(lk_slice bytes, const lk_env *env, uint64_t now_ms, uint64_t drift_ms) {
  lk_limits limits = lk_limits_default();
  lk_crdt_scope scope = { env->alloc, &limits };
  lk_flat flat;
  lk_arena arena;
  lk_arena_init(&arena, env->alloc, SIZE_MAX / 2);
  lk_err err = lk_flat_decode(&flat, bytes, &scope, &arena);
  for (uint32_t i = 0; err == LK_OK && i < flat.fact_count; i++) {
    const lk_crdt_type *type = lk_flat_type_at(&flat, flat.facts[i].node);
    if (type->admit_value != NULL) err = type->admit_value(flat.facts[i].value, now_ms, drift_ms);
  }
  lk_arena_deinit(&arena);
  return err;
}

/* Two keyed hashes with keys that everybody knows: it finds states that came apart, not those that somebody
 * made alike on purpose. */
void lk_crdt_digest_bytes(lk_slice bytes, uint8_t out[LK_CRDT_DIGEST_LEN]) {
  static const uint64_t keys[2][2] = { { 0x6C616E69616B6561, 1 }, { 0x6C616E69616B6561, 2 } };
  lk_store_be64(out, lk_siphash13(keys[0], bytes));
  lk_store_be64(out + 8, lk_siphash13(keys[1], bytes));
}

lk_err lk_crdt_digest(const lk_crdt *self, uint8_t out[LK_CRDT_DIGEST_LEN]) {
  lk_buf bytes;
  lk_buf_init(&bytes, self->scope.alloc, SIZE_MAX / 2);
  lk_err err = lk_crdt_encode(self, &bytes);
  if (err == LK_OK) lk_crdt_digest_bytes(lk_buf_slice(&bytes), out);
  lk_buf_deinit(&bytes);
  return err;
}
