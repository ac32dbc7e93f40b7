/* doc/position.c -- relative positions: places in a list that move along with what is around them.
 *
 *   position := 0 client clock assoc     at that unit: before it, or behind it where assoc is negative
 *             | 1 name assoc             at the end of that root (its beginning where assoc is negative)
 *             | 2 client clock assoc     the same of the node that this item is
 *
 * client, clock: varuints; name: a varString; assoc: a varint that may be missing, as in the first versions of Yjs.
 *
 * An undo manager that brings deleted text back writes it anew and notes, here and on no other replica, which item
 * came of which. Who resolves a position follows these notes. They lead to ever later items, so the way ends. */
#include "doc/position.h"

#include "codec/json_reader.h"
#include "codec/json_writer.h"
#include "codec/lib0.h"
#include "codec/varint.h"
#include "laniakea/doc_history.h"

typedef enum place_kind { PLACE_ITEM = 0, PLACE_ROOT = 1, PLACE_NODE = 2 } place_kind;

typedef struct place {
  uint64_t kind;
  lk_doc_id item; /* ITEM */
  lk_doc_id node; /* NODE */
  lk_slice root;  /* ROOT */
  int64_t assoc;
} place;

/* ---- making ---- */

static lk_doc_id id_of(const lk_doc *doc, const lk_item *item, uint32_t unit) {
  return (lk_doc_id){ doc->clients.at[item->client].id, (uint64_t)item->clock + unit };
}

/* The place, and in |kind| how it is written: where an item is known, that counts; JSON has the node as well. */
static lk_err find_place(lk_doc *doc, lk_node node, uint64_t index, int assoc, place *out,
                         bool *is_root) {
  uint32_t type, before;
  lk_err err = lk_node_resolve(doc, node, 0, &type);
  if (err != LK_OK) return err;
  const lk_type *at = &doc->types.at[type];
  if (index > at->length) return LK_ERR_RANGE;
  *is_root = at->item == LK_NONE;
  *out = (place){ .kind = *is_root ? PLACE_ROOT : PLACE_NODE, .assoc = assoc };
  if (*is_root) out->root = lk_name_slice(doc, at->name);
  else out->node = id_of(doc, &doc->items[at->item], 0);
  if (assoc < 0 && index == 0) return LK_OK;
  if (assoc < 0) index--;
  uint32_t found = lk_list_find(doc, type, (uint32_t)index, &before);
  if (found == LK_NONE) return LK_OK;
  out->kind = PLACE_ITEM;
  out->item = id_of(doc, &doc->items[found], (uint32_t)index - before);
  return LK_OK;
}

static lk_err encode(const place *self, lk_buf *out) {
  size_t start = out->len;
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  const lk_doc_id *id = self->kind == PLACE_ITEM ? &self->item : &self->node;
  (void)lk_varuint_encode(out, self->kind);
  if (self->kind == PLACE_ROOT) {
    (void)lk_lib0_string_encode(out, self->root);
  } else {
    (void)lk_varuint_encode(out, id->client);
    (void)lk_varuint_encode(out, id->clock);
  }
  lk_err err = lk_varint_encode(out, lk_varint_of_i64(self->assoc));
  if (err != LK_OK) lk_buf_truncate(out, start);
  return err;
}

lk_err lk_doc_position(lk_doc *doc, lk_node node, uint64_t index, int assoc, lk_buf *out) {
  place at;
  bool is_root;
  lk_err err = find_place(doc, node, index, assoc, &at, &is_root);
  return err == LK_OK ? encode(&at, out) : err;
}

static void write_id(lk_json_writer *w, lk_slice key, lk_doc_id id) {
  (void)lk_json_write_key(w, key);
  (void)lk_json_begin_object(w);
  (void)lk_json_write_key(w, LK_LIT("client"));
  (void)lk_json_write_u64(w, id.client);
  (void)lk_json_write_key(w, LK_LIT("clock"));
  (void)lk_json_write_u64(w, id.clock);
  (void)lk_json_end_object(w);
}

lk_err lk_doc_position_json(lk_doc *doc, lk_node node, uint64_t index, int assoc, lk_buf *out) {
  place at;
  bool is_root;
  lk_json_writer w;
  lk_err err = find_place(doc, node, index, assoc, &at, &is_root);
  if (err != LK_OK) return err;
  lk_json_writer_init(&w, out);
  (void)lk_json_begin_object(&w);
  if (is_root) {
    (void)lk_json_write_key(&w, LK_LIT("tname"));
    (void)lk_json_write_string(&w, at.root);
  } else {
    write_id(&w, LK_LIT("type"), at.node);
  }
  if (at.kind == PLACE_ITEM) write_id(&w, LK_LIT("item"), at.item);
  (void)lk_json_write_key(&w, LK_LIT("assoc"));
  (void)lk_json_write_i64(&w, at.assoc);
  (void)lk_json_end_object(&w);
  return lk_json_writer_finish(&w);
}

/* ---- reading ---- */

static lk_err decode_id(lk_reader *in, lk_doc_id *out) {
  lk_err err = lk_varuint_decode(in, LK_VARUINT_MAX_SAFE, &out->client);
  return err == LK_OK ? lk_varuint_decode(in, LK_VARUINT_MAX_SAFE, &out->clock) : err;
}

static lk_err decode(lk_slice position, place *out) {
  lk_reader in = lk_reader_of(position);
  lk_varint assoc = { 0, false };
  *out = (place){ .kind = PLACE_ITEM };
  lk_err err = lk_varuint_decode(&in, LK_VARUINT_MAX_SAFE, &out->kind);
  if (err != LK_OK) return err;
  switch (out->kind) {
  case PLACE_ITEM: err = decode_id(&in, &out->item); break;
  case PLACE_ROOT: err = lk_lib0_string_decode(&in, &out->root); break;
  case PLACE_NODE: err = decode_id(&in, &out->node); break;
  default: return LK_ERR_CORRUPT;
  }
  if (err == LK_OK && lk_reader_left(&in) > 0)
    err = lk_varint_decode(&in, LK_VARUINT_MAX_SAFE, &assoc);
  if (err == LK_OK) err = lk_reader_end(&in);
  if (err == LK_OK && lk_varint_to_i64(assoc, &out->assoc) != LK_OK) LK_UNREACHABLE();
  return err;
}

/* {"client":N,"clock":N} */
static lk_err id_of_json(const lk_json_member *member, const lk_limits *limits, lk_arena *arena,
                         lk_doc_id *out) {
  lk_json_member f[] = { { .name = LK_LIT("client") }, { .name = LK_LIT("clock") } };
  lk_json_reader in;
  lk_err err = lk_json_reader_init(&in, member->raw, limits, arena);
  if (err == LK_OK) err = lk_json_read_members(&in, f, 2);
  if (err == LK_OK) err = lk_json_get_u64(&f[0].value, &out->client);
  if (err == LK_OK) err = lk_json_get_u64(&f[1].value, &out->clock);
  if (err != LK_OK) return err == LK_ERR_TYPE ? LK_ERR_CORRUPT : err;
  return out->client > LK_VARUINT_MAX_SAFE || out->clock > LK_VARUINT_MAX_SAFE ? LK_ERR_RANGE
                                                                               : LK_OK;
}

static bool is_there(const lk_json_member *member) {
  return member->value.kind != LK_JSON_ABSENT && member->value.kind != LK_JSON_NULL;
}

static lk_err place_of_json(lk_slice json, const lk_limits *limits, lk_arena *arena, place *out) {
  lk_json_member f[] = { { .name = LK_LIT("item") },
                         { .name = LK_LIT("tname") },
                         { .name = LK_LIT("type") },
                         { .name = LK_LIT("assoc") } };
  lk_json_reader in;
  *out = (place){ .kind = PLACE_ITEM };
  lk_err err = lk_json_reader_init(&in, json, limits, arena);
  if (err == LK_OK) err = lk_json_read_members(&in, f, 4);
  if (err == LK_OK) err = lk_json_finish(&in);
  if (err == LK_OK && is_there(&f[3])) err = lk_json_get_i64(&f[3].value, &out->assoc);
  if (err != LK_OK) return err == LK_ERR_TYPE ? LK_ERR_CORRUPT : err;
  if (out->assoc > (int64_t)LK_VARUINT_MAX_SAFE || out->assoc < -(int64_t)LK_VARUINT_MAX_SAFE)
    return LK_ERR_RANGE;
  if (is_there(&f[0])) return id_of_json(&f[0], limits, arena, &out->item);
  if (is_there(&f[1])) {
    out->kind = PLACE_ROOT;
    return lk_json_get_string(&f[1].value, &out->root) == LK_OK ? LK_OK : LK_ERR_CORRUPT;
  }
  out->kind = PLACE_NODE;
  return is_there(&f[2]) ? id_of_json(&f[2], limits, arena, &out->node) : LK_ERR_CORRUPT;
}

lk_err lk_position_of_json(const lk_env *env, lk_slice json, lk_buf *out) {
  lk_limits limits = lk_limits_default();
  lk_arena arena;
  place at;
  lk_arena_init(&arena, env->alloc, (size_t)limits.json_bytes * 2);
  lk_err err = place_of_json(json, &limits, &arena, &at);
  if (err == LK_OK) err = encode(&at, out);
  lk_arena_deinit(&arena);
  return err;
}

/* ---- resolving ---- */

/* The item with that id, or what was made of it since; |unit| is that within the item. */
static lk_err find_item(lk_doc *doc, lk_doc_id id, uint32_t *out, uint32_t *unit) {
  uint16_t client = lk_client_find(doc, id.client);
  if (client == LK_NO_CLIENT || id.clock >= doc->clients.at[client].clock) return LK_ERR_NOT_FOUND;
  uint32_t clock = (uint32_t)id.clock, number;
  for (;;) {
    number = lk_client_item(doc, client, clock);
    *unit = clock - doc->items[number].clock;
    if (doc->items[number].kind == LK_CONTENT_GC) return LK_ERR_NOT_FOUND;
    if (!lk_item_redone(doc, number, &client, &clock)) break;
    clock += *unit;
  }
  *out = number;
  return LK_OK;
}

lk_err lk_position_index(lk_doc *doc, lk_doc_id unit, bool behind, uint32_t *type,
                         uint64_t *index) {
  uint32_t number, at;
  lk_err err = find_item(doc, unit, &number, &at);
  if (err != LK_OK) return err;
  const lk_item *item = &doc->items[number];
  bool visible = lk_item_units(item) > 0;
  *type = item->parent;
  *index = 0;
  if ((item->flags & LK_ITEM_SUB) != 0) return LK_OK; /* a value of a map has no place in a list */
  *index = lk_list_index(doc, number) + (visible ? (uint64_t)at + behind : 0);
  return LK_OK;
}

lk_err lk_position_node(lk_doc *doc, lk_doc_id node, uint32_t *type) {
  uint32_t number, unit;
  lk_err err = find_item(doc, node, &number, &unit);
  if (err != LK_OK) return err;
  if (doc->items[number].kind != LK_CONTENT_TYPE) return LK_ERR_NOT_FOUND;
  *type = doc->items[number].content;
  return LK_OK;
}

static lk_err resolve_root(const lk_doc *doc, const place *at, uint32_t *type) {
  uint32_t name = lk_name_find(doc, at->root);
  uint32_t entry = name == LK_NONE ? LK_NONE : lk_entry_find(doc, LK_NONE, name);
  *type = lk_entry_item(doc, entry); /* of a root its type */
  return *type == LK_NONE ? LK_ERR_NOT_FOUND : LK_OK;
}

lk_err lk_doc_resolve_position(lk_doc *doc, lk_slice position, lk_node *node, uint64_t *index) {
  place at;
  uint32_t type = LK_NONE;
  uint64_t found = 0;
  lk_err err = decode(position, &at);
  if (err != LK_OK) return err;
  switch ((place_kind)at.kind) {
  case PLACE_ITEM: err = lk_position_index(doc, at.item, at.assoc < 0, &type, &found); break;
  case PLACE_ROOT: err = resolve_root(doc, &at, &type); break;
  case PLACE_NODE: err = lk_position_node(doc, at.node, &type); break;
  }
  if (err == LK_OK && lk_type_deleted(doc, type)) err = LK_ERR_NOT_FOUND;
  if (err != LK_OK) return err;
  if (at.kind != PLACE_ITEM && at.assoc >= 0) found = doc->types.at[type].length;
  if (node != NULL) *node = lk_node_of(doc, type);
  if (index != NULL) *index = found;
  return LK_OK;
}
