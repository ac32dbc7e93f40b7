/* wasm/doc.c -- documents behind numbers.
 *
 *   handle := generation << 16 | slot        as in wasm/crdts.c
 *   node   := slot, check                    lk_node's own two numbers, which are checked by the engine
 *
 * A keystroke is a call of some ten nanoseconds, so its way over the border must not cost more: a single unit comes by
 * value, no call hands out bytes that has none, and what the host asks after every call (was anything
 * queued for observers?) lies on the board, where it is read and not called for.
 *
 * All else is loaded by everybody and called now and then, so it has to be short. What changes a node comes through one
 * door, doc_change(), where its arguments are taken apart once for all of them; what is read goes out through another,
 * doc_read(). What they are to do is a number of doc.def.
 *
 * Values go out as src/doc/read_tree.h says. Coming in they are
 *
 *   value := any | 2 guid:varString any        a subdocument and its options
 *
 * of ours, in the shortest form, and left as they are: the engine checks them. What observers
 * get goes through wasm/doc_watch.c.
 *
 * Like all of wasm/ this is the border: one host, one thread, globals. */
#include "wasm/doc.h"

#include "codec/lib0.h"
#include "codec/utf.h"
#include "doc/position.h"
#include "doc/read.h"
#include "doc/read_tree.h"

#define DOCS_MAX 65536u
#define DOCS_LEAST 4u
#define GENERATION_MAX 0xFFFFu
#define SLOT_NONE UINT32_MAX

#define TAG_DOC 2
#define ANY_BYTES 116

typedef struct slot {
  lk_doc *doc; /* NULL: free */
  lk_wasm_undo *undos;
  uint32_t generation;
  uint32_t next_free;
} slot;

lk_wasm_board lk_wasm_doc_board;

static slot *slots;
static size_t slot_cap;
static uint32_t first_free = SLOT_NONE;
static lk_env env;

/* ---- handles ---- */

static inline __attribute__((always_inline)) slot *slot_of(u32 handle) {
  u32 place = handle & 0xFFFF;
  if (place >= slot_cap) return NULL;
  slot *s = &slots[place];
  return s->doc != NULL && s->generation == handle >> 16 ? s : NULL;
}

lk_doc *lk_wasm_doc_of(u32 handle) {
  const slot *s = slot_of(handle);
  return s == NULL ? NULL : s->doc;
}

lk_wasm_undo **lk_wasm_undos_of(u32 handle) {
  slot *s = slot_of(handle);
  return s == NULL ? NULL : &s->undos;
}

/* More slots, all of them free, the lowest one first in the list. */
static lk_err grow_slots(void) {
  size_t cap;
  if (!lk_grow_cap(slot_cap, slot_cap + 1, DOCS_LEAST, DOCS_MAX, &cap)) return LK_ERR_LIMIT;
  slot *grown = lk_resize_array(env.alloc, slots, slot_cap, cap, sizeof *slots);
  if (grown == NULL) return LK_ERR_NOMEM;
  slots = grown;
  for (size_t i = cap; i-- > slot_cap;) {
    slots[i] = (slot){ .generation = 1, .next_free = first_free };
    first_free = (uint32_t)i;
  }
  slot_cap = cap;
  return LK_OK;
}

u32 lk_wasm_doc_new(u64 client, u64 seed, u64 seed2, u32 keep_deleted) {
  env = (lk_env)LK_ENV_INIT(lk_wasm_alloc(), NULL);
  lk_err err = first_free == SLOT_NONE ? grow_slots() : LK_OK;
  if (err != LK_OK) return err;
  slot *s = &slots[first_free];
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = client;
  options.seed[0] = seed;
  options.seed[1] = seed2;
  options.keep_deleted = keep_deleted != 0;
  err = lk_doc_open(&env, &options, &s->doc);
  if (err != LK_OK) return err;
  uintptr_t handle = (uintptr_t)s->generation << 16 | first_free;
  first_free = s->next_free;
  lk_wasm_hand_out((lk_slice){ (const uint8_t *)handle, 0 });
  return LK_OK;
}

void lk_wasm_doc_free(u32 doc) {
  slot *s = slot_of(doc);
  if (s == NULL) return;
  lk_wasm_undos_close(s->undos);
  lk_doc_close(s->doc);
  *s = (slot){ .generation = s->generation + 1, .next_free = first_free };
  if (s->generation <= GENERATION_MAX) first_free = (uint32_t)(s - slots);
}

/* ---- nodes ---- */

u32 lk_wasm_doc_board_at(void) { return (u32)(uintptr_t)&lk_wasm_doc_board; }

void lk_wasm_show_node(const lk_doc *doc, lk_node node) {
  lk_wasm_doc_board.slot = node.slot;
  lk_wasm_doc_board.check = node.check;
  lk_wasm_doc_board.kind = lk_doc_node_kind(doc, node);
}

static void append_node(const lk_doc *doc, lk_node node, lk_buf *out) {
  (void)lk_buf_append_le32(out, node.slot);
  (void)lk_buf_append_le32(out, node.check);
  (void)lk_buf_append_u8(out, (uint8_t)lk_doc_node_kind(doc, node));
}

/* The document, and what the host wrote; false where there is no such document, or it never asked for as many. */
static bool begin(u32 doc, uint64_t len, lk_doc **self, lk_slice *input) {
  *self = lk_wasm_doc_of(doc);
  return *self != NULL && lk_wasm_input(len, input) == LK_OK;
}

u32 lk_wasm_doc_root(u32 doc, u32 name_len, u32 kind) {
  lk_doc *self;
  lk_slice name;
  lk_node node;
  if (!begin(doc, name_len, &self, &name)) return LK_ERR_INVALID;
  lk_err err = lk_doc_root(self, name, (lk_node_kind)kind, &node);
  if (err == LK_OK) lk_wasm_show_node(self, node);
  return err;
}

u32 lk_wasm_doc_ask(u32 doc, u32 slot, u32 check, u32 what) {
  const lk_doc *self = lk_wasm_doc_of(doc);
  lk_node node = lk_wasm_node(slot, check);
  if (self == NULL) return 0;
  if (what == LK_WASM_ASK_HAS) return lk_doc_has_node(self, node);
  return (u32)(what == LK_WASM_ASK_LENGTH ? lk_doc_node_length(self, node)
                                          : lk_doc_map_count(self, node));
}

/* ---- reading ---- */

/* What text comes as, on the board. */
#define TEXT_UTF8 0u
#define TEXT_ASCII 1u
#define TEXT_UTF16 2u
/* Of which there is room for each one's two bytes. */
#define UNITS_MAX (LK_WASM_DOC_BYTES_MAX / 2 - 64)

static lk_err append_text(const lk_doc *self, lk_node node, lk_buf *out) {
  uint32_t type;
  lk_err err = lk_node_resolve(self, node, 1u << LK_NODE_TEXT | 1u << LK_NODE_XML_TEXT, &type);
  if (err != LK_OK) return err;
#ifndef LK_SMALL
  if (lk_doc_node_length(self, node) <= UNITS_MAX) {
    bool wide;
    err = lk_read_text_units(self, type, out, &wide);
    lk_wasm_doc_board.count = wide ? TEXT_UTF16 : TEXT_ASCII;
    return err;
  }
#endif
  lk_wasm_doc_board.count = TEXT_UTF8;
  return lk_read_text(self, type, out);
}

static lk_err append_roots(const lk_doc *self, lk_buf *out) {
  lk_slice name;
  lk_node node;
  for (u32 cursor = 0; lk_doc_next_root(self, &cursor, &name, &node);) {
    (void)lk_lib0_string_encode(out, name);
    append_node(self, node, out);
  }
  return lk_buf_err(out);
}

static lk_err append_size(const lk_doc *self, lk_buf *out) {
  lk_doc_size size = lk_doc_get_size(self);
  lk_doc_pending pending = lk_doc_get_pending(self);
  uint64_t numbers[] = { lk_doc_memory(self).total, size.clients,  size.structs,
                         size.tombstones,           size.units,    size.nodes,
                         pending.structs,           pending.bytes, pending.delete_ranges };
  return lk_buf_append(out, lk_slice_of((const uint8_t *)numbers, sizeof numbers));
}

static lk_err show_parent(const lk_doc *self, lk_node node) {
  lk_node parent;
  if (!lk_doc_node_parent(self, node, &parent)) return LK_ERR_NOT_FOUND;
  lk_wasm_show_node(self, parent);
  return LK_OK;
}

/* WebAssembly is little endian, as are the numbers that go in and out. */

static void append_id(const lk_doc *self, uint32_t number, uint32_t unit, u32 bit, lk_buf *out) {
  if (number == LK_NONE) return;
  const lk_item *item = &self->items[number];
  (void)lk_buf_append_le64(out, self->clients.at[item->client].id);
  (void)lk_buf_append_le64(out, item->clock + unit);
  lk_wasm_doc_board.count |= bit;
}

/* Of the unit at |at|, if there is one, and of the node's own item, if it is no root. */
static lk_err append_ids(lk_doc *self, lk_node node, u32 at, lk_buf *out) {
  uint32_t type, before;
  lk_err err = lk_node_resolve(self, node, 0, &type);
  if (err != LK_OK) return err;
  lk_wasm_doc_board.count = 0;
  uint32_t item = lk_list_find(self, type, at, &before);
  append_id(self, item, at - before, 1, out);
  append_id(self, self->types.at[type].item, 0, 2, out);
  return lk_buf_err(out);
}

#define PLACE_OF_NODE 2u

/* |what|: before or behind that unit, or the node that it is. */
static lk_err show_place(lk_doc *self, u32 what, lk_slice input) {
  uint32_t type;
  uint64_t index = 0;
  lk_doc_id id;
  if (input.len != sizeof id) return LK_ERR_INVALID;
  memcpy(&id, input.ptr, sizeof id);
  lk_err err = what == PLACE_OF_NODE ? lk_position_node(self, id, &type)
                                     : lk_position_index(self, id, what != 0, &type, &index);
  if (err != LK_OK) return err;
  if (lk_type_deleted(self, type)) return LK_ERR_NOT_FOUND;
  lk_wasm_show_node(self, lk_node_of(self, type));
  lk_wasm_doc_board.count = (u32)index;
  return LK_OK;
}

static lk_err put(lk_doc *self, lk_node node, u32 what, u32 at, lk_slice input, lk_buf *out) {
  switch (what) {
  case LK_WASM_READ_CLIENT: return lk_buf_append_le64(out, lk_doc_client(self));
  case LK_WASM_READ_LIMIT: return lk_buf_append(out, lk_slice_cstr(lk_doc_limit_hit(self)));
  case LK_WASM_READ_SIZE: return append_size(self, out);
  case LK_WASM_READ_ROOTS: return append_roots(self, out);
  case LK_WASM_READ_STATE_VECTOR: return lk_doc_state_vector(self, out);
  case LK_WASM_READ_UPDATE: return lk_doc_encode(self, (lk_update_format)at, input, out);
  case LK_WASM_READ_NAME: return lk_buf_append(out, lk_doc_node_name(self, node));
  case LK_WASM_READ_PARENT: return show_parent(self, node);
  case LK_WASM_READ_TREE: return lk_doc_tree(self, node, (lk_tree_what)at, out);
  case LK_WASM_READ_TEXT: return append_text(self, node, out);
  case LK_WASM_READ_ELEMENT: return lk_doc_tree_element(self, node, at, out);
  case LK_WASM_READ_VALUE: return lk_doc_tree_value(self, node, input, out);
  case LK_WASM_READ_DELETES: return lk_doc_encode_state(self, LK_UPDATE_V1, input, out);
  case LK_WASM_READ_IDS: return append_ids(self, node, at, out);
  case LK_WASM_READ_PLACE: return show_place(self, at, input);
  default: return LK_ERR_INVALID;
  }
}

u32 lk_wasm_doc_read(u32 doc, u32 slot, u32 check, u32 what, u32 at, u32 len) {
  lk_doc *self;
  lk_slice input;
  if (!begin(doc, len, &self, &input)) return LK_ERR_INVALID;
  lk_buf *out = lk_wasm_result(LK_WASM_DOC_BYTES_MAX);
  return lk_wasm_answer(put(self, lk_wasm_node(slot, check), what, at, input, out), out);
}

/* ---- transactions ---- */

u32 lk_wasm_doc_begin(u32 doc, u32 origin) {
  lk_doc *self = lk_wasm_doc_of(doc);
  return self == NULL ? LK_ERR_INVALID : lk_doc_begin(self, origin);
}

void lk_wasm_doc_commit(u32 doc) {
  lk_doc *self = lk_wasm_doc_of(doc);
  if (self != NULL) lk_doc_commit(self);
}

u32 lk_wasm_doc_apply(u32 doc, u32 format, u32 len, u32 origin) {
  lk_doc *self;
  lk_slice update;
  if (!begin(doc, len, &self, &update)) return LK_ERR_INVALID;
  return lk_doc_apply(self, (lk_update_format)format, update, origin);
}

/* ---- keystrokes ---- */

/* Half of a pair alone is no character, as in TextEncoder. */
static size_t utf8_of_unit(u32 unit, uint8_t *out) {
  if (unit < 0x80) {
    out[0] = (uint8_t)unit;
    return 1;
  }
  if (unit > 0xFFFF || (unit & 0xF800) == 0xD800) unit = 0xFFFD;
  return lk_utf8_encode(unit, out);
}

u32 lk_wasm_doc_text_insert_unit(u32 doc, u32 slot, u32 check, u32 index, u32 unit) {
  lk_doc *self = lk_wasm_doc_of(doc);
  uint8_t utf8[4];
  if (self == NULL) return LK_ERR_INVALID;
  lk_slice text = { utf8, utf8_of_unit(unit, utf8) };
  return lk_doc_text_insert(self, lk_wasm_node(slot, check), index, text, NULL);
}

u32 lk_wasm_doc_text_insert(u32 doc, u32 slot, u32 check, u32 index, u32 text_len) {
  lk_doc *self;
  lk_slice text;
  if (!begin(doc, text_len, &self, &text)) return LK_ERR_INVALID;
  return lk_doc_text_insert(self, lk_wasm_node(slot, check), index, text, NULL);
}

u32 lk_wasm_doc_text_delete(u32 doc, u32 slot, u32 check, u32 index, u32 length) {
  lk_doc *self = lk_wasm_doc_of(doc);
  return self == NULL ? LK_ERR_INVALID
                      : lk_doc_text_delete(self, lk_wasm_node(slot, check), index, length);
}

/* ---- all other changes ---- */

/* A value that takes all of |bytes|, which the engine looks at anyway. */
static lk_err read_value(lk_slice bytes, lk_value *out) {
  lk_reader in = lk_reader_of(bytes);
  uint8_t tag = 0;
  *out = (lk_value){ .kind = LK_VALUE_ANY, .bytes = bytes };
  lk_err err = lk_reader_u8(&in, &tag);
  if (tag == ANY_BYTES) {
    out->kind = LK_VALUE_BINARY;
    err = lk_lib0_bytes_decode(&in, &out->bytes);
    if (err == LK_OK) err = lk_reader_end(&in);
  } else if (tag == TAG_DOC) {
    out->kind = LK_VALUE_DOC;
    err = lk_lib0_string_decode(&in, &out->bytes);
    out->options = lk_reader_rest(&in);
  }
  return err;
}

typedef union item {
  lk_value value;
  lk_attribute attribute;
} item;

/* |count| values, or pairs of key and value, which fill |bytes|; they lie behind each other in |out|. */
static lk_err read_all(lk_slice bytes, bool keyed, size_t count, uint8_t *out) {
  lk_err err = LK_OK;
  size_t size = keyed ? sizeof(lk_attribute) : sizeof(lk_value);
  for (; count > 0 && err == LK_OK; count--, out += size) {
    lk_slice part;
    lk_value *value = (lk_value *)(void *)out;
    if (keyed) {
      lk_attribute *attribute = (lk_attribute *)(void *)out;
      err = lk_wasm_take_record(&bytes, &attribute->key);
      value = &attribute->value;
    }
    if (err == LK_OK) err = lk_wasm_take_record(&bytes, &part);
    if (err == LK_OK) err = read_value(part, value);
  }
  return err;
}

/* |count| doubles; there are as many. */
static void read_numbers(lk_slice bytes, size_t count, lk_value *out) {
  for (size_t i = 0; i < count; i++) {
    out[i].kind = LK_VALUE_NUMBER;
    memcpy(&out[i].number, bytes.ptr + i * sizeof(double), sizeof(double));
  }
}

#define NO_NODE ((lk_node){ UINT32_MAX, 0 })

typedef struct change {
  lk_node node;
  u32 what, at, size;
  lk_slice first;
  item *items;
  size_t count;
  const lk_attributes *attributes;
  lk_node made;
} change;

static lk_err change_text(lk_doc *self, change *with) {
  lk_value value;
  lk_node node = with->node;
  lk_node_kind kind = (lk_node_kind)with->size;
  switch (with->what) {
  case LK_WASM_CHANGE_TEXT_INSERT:
    return lk_doc_text_insert(self, node, with->at, with->first, with->attributes);
  case LK_WASM_CHANGE_TEXT_EMBED: {
    lk_err err = read_value(with->first, &value);
    if (err != LK_OK) return err;
    return lk_doc_text_insert_embed(self, node, with->at, &value, with->attributes);
  }
  case LK_WASM_CHANGE_TEXT_NODE:
    return lk_doc_text_insert_node(self, node, with->at, kind, with->first, with->attributes,
                                   &with->made);
  default: return lk_doc_text_format(self, node, with->at, with->size, with->attributes);
  }
}

static lk_err change_other(lk_doc *self, change *with) {
  lk_node node = with->node;
  lk_node_kind kind = (lk_node_kind)with->size;
  switch (with->what) {
  case LK_WASM_CHANGE_TEXT_DELTA:
    return lk_doc_text_apply_delta(self, node, with->first, with->size != 0);
  case LK_WASM_CHANGE_LIST_INSERT:
    return lk_doc_list_insert(self, node, with->at, &with->items->value, with->count);
  case LK_WASM_CHANGE_LIST_PUSH:
    return lk_doc_list_push(self, node, &with->items->value, with->count);
  case LK_WASM_CHANGE_LIST_NODE:
    return lk_doc_list_insert_node(self, node, with->at, kind, with->first, &with->made);
  case LK_WASM_CHANGE_LIST_DELETE: return lk_doc_list_delete(self, node, with->at, with->size);
  case LK_WASM_CHANGE_MAP_SET: return lk_doc_map_set(self, node, with->first, &with->items->value);
  case LK_WASM_CHANGE_MAP_NODE: {
    lk_slice key = lk_wasm_take(&with->first, with->at);
    return lk_doc_map_set_node(self, node, key, kind, with->first, &with->made);
  }
  case LK_WASM_CHANGE_MAP_DELETE: return lk_doc_map_delete(self, node, with->first);
  default: return LK_ERR_INVALID;
  }
}

u32 lk_wasm_doc_change(u32 doc, u32 slot, u32 check, u32 what, u32 at, u32 size, u32 first_len,
                       u32 count, u32 rest_len) {
  lk_doc *self;
  lk_slice rest;
  item one = { .value = { .kind = LK_VALUE_UNDEFINED } };
  bool of_text = what <= LK_WASM_CHANGE_TEXT_FORMAT, given = count != UINT32_MAX;
  if (!begin(doc, (uint64_t)first_len + rest_len, &self, &rest)) return LK_ERR_INVALID;
  lk_slice first = lk_wasm_take(&rest, first_len);
  change with = { lk_wasm_node(slot, check), what, at,     size, first, &one,
                  given ? count : 0,         NULL, NO_NODE };
  bool numbers = (what == LK_WASM_CHANGE_LIST_INSERT || what == LK_WASM_CHANGE_LIST_PUSH) &&
                 size != 0;
  if (with.count > rest_len / (numbers ? sizeof(double) : 4))
    return LK_ERR_TRUNCATED; /* each has a length */
  if (with.count > 1) with.items = lk_alloc_array(env.alloc, with.count, sizeof one);
  if (with.items == NULL) return LK_ERR_NOMEM;
  lk_attributes attributes = { &with.items->attribute, with.count };
  if (given) with.attributes = &attributes;
  lk_err err = LK_OK;
  if (numbers) read_numbers(rest, with.count, &with.items->value);
  else err = read_all(rest, of_text, with.count, (uint8_t *)with.items);
  if (err == LK_OK) err = of_text ? change_text(self, &with) : change_other(self, &with);
  if (with.items != &one) lk_free_array(env.alloc, with.items, with.count, sizeof one);
  if (err == LK_OK && with.made.slot != UINT32_MAX) lk_wasm_show_node(self, with.made);
  return err;
}
