/* wasm/doc.c -- documents behind numbers.
 *
 *   handle := generation << 16 | slot        as in wasm/crdts.c
 *   node   := slot, check                    lk_node's own two numbers, which are checked by the engine
 *
 * A keystroke is a call of some ten nanoseconds, so its way over the border must not cost more: a single unit comes by
 * value, no call hands out bytes that has none, and what the host asks after every call (was anything
 * queued for observers?) lies on the board, where it is read and not called for.
 *
 * Values cross as lib0's any, with two tags that any does not have:
 *
 *   value := any | 1 node | 2 guid:varString any        a node; a subdocument and its options
 *   node  := slot:u32 check:u32 kind:u8
 *
 * A record of several things begins with their number where the host has to make room, and ends with the
 * bytes where it does not. What observers get goes through the queue of wasm/doc_watch.c.
 *
 * Like all of wasm/ this is the border: one host, one thread, globals. */
#include "wasm/doc.h"

#include "codec/any.h"
#include "codec/lib0.h"
#include "codec/varint.h"

#define DOCS_MAX 65536u
#define DOCS_LEAST 4u
#define GENERATION_MAX 0xFFFFu
#define SLOT_NONE UINT32_MAX

#define TAG_NODE 1
#define TAG_DOC 2
#define ANY_ARRAY 117
#define ANY_OBJECT 118

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

const lk_env *lk_wasm_doc_env(void) {
  if (env.alloc == NULL) env = (lk_env)LK_ENV_INIT(lk_wasm_alloc(), NULL);
  return &env;
}

static slot *slot_of(u32 handle) {
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
  const lk_env *own = lk_wasm_doc_env();
  lk_err err = first_free == SLOT_NONE ? grow_slots() : LK_OK;
  if (err != LK_OK) return err;
  slot *s = &slots[first_free];
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = client;
  options.seed[0] = seed;
  options.seed[1] = seed2;
  options.keep_deleted = keep_deleted != 0;
  err = lk_doc_open(own, &options, &s->doc);
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

u64 lk_wasm_doc_client(u32 doc) {
  const lk_doc *self = lk_wasm_doc_of(doc);
  return self == NULL ? 0 : lk_doc_client(self);
}

u32 lk_wasm_doc_limit_hit(u32 doc) {
  const lk_doc *self = lk_wasm_doc_of(doc);
  if (self == NULL) return LK_ERR_INVALID;
  lk_wasm_hand_out(lk_slice_cstr(lk_doc_limit_hit(self)));
  return LK_OK;
}

/* ---- bytes in and out ---- */

u32 lk_wasm_doc_board_at(void) { return (u32)(uintptr_t)&lk_wasm_doc_board; }

/* The document, and what the host wrote; false where there is no such document, or it never asked for as many. */
static bool begin(u32 doc, uint64_t len, lk_doc **self, lk_slice *input) {
  *self = lk_wasm_doc_of(doc);
  return *self != NULL && lk_wasm_input(len, input) == LK_OK;
}

void lk_wasm_show_node(const lk_doc *doc, lk_node node) {
  lk_wasm_doc_board.slot = node.slot;
  lk_wasm_doc_board.check = node.check;
  lk_wasm_doc_board.kind = lk_doc_node_kind(doc, node);
}

void lk_wasm_append_node(const lk_doc *doc, lk_node node, lk_buf *out) {
  (void)lk_buf_append_le32(out, node.slot);
  (void)lk_buf_append_le32(out, node.check);
  (void)lk_buf_append_u8(out, (uint8_t)lk_doc_node_kind(doc, node));
}

static u32 made_node(lk_err err, const lk_doc *doc, lk_node node) {
  if (err == LK_OK) lk_wasm_show_node(doc, node);
  return err;
}

/* ---- values ---- */

static void append_value(const lk_doc *doc, const lk_value *value, lk_buf *out) {
  switch (value->kind) {
  case LK_VALUE_UNDEFINED: (void)lk_any_encode_undefined(out); return;
  case LK_VALUE_NULL: (void)lk_any_encode_null(out); return;
  case LK_VALUE_BOOL: (void)lk_any_encode_bool(out, value->boolean); return;
  case LK_VALUE_NUMBER: (void)lk_any_encode_number(out, value->number); return;
  case LK_VALUE_BIGINT: (void)lk_any_encode_bigint(out, value->bigint); return;
  case LK_VALUE_STRING: (void)lk_any_encode_string(out, value->bytes); return;
  case LK_VALUE_BINARY: (void)lk_any_encode_bytes(out, value->bytes); return;
  case LK_VALUE_ANY: (void)lk_buf_append(out, value->bytes); return;
  case LK_VALUE_NODE:
    (void)lk_buf_append_u8(out, TAG_NODE);
    lk_wasm_append_node(doc, value->node, out);
    return;
  case LK_VALUE_DOC:
    (void)lk_buf_append_u8(out, TAG_DOC);
    (void)lk_lib0_string_encode(out, value->bytes);
    (void)lk_buf_append(out, value->options);
    return;
  }
}

static lk_value value_of_item(const lk_any_item *item) {
  switch (item->kind) {
  case LK_ANY_UNDEFINED: return (lk_value){ .kind = LK_VALUE_UNDEFINED };
  case LK_ANY_NULL: return (lk_value){ .kind = LK_VALUE_NULL };
  case LK_ANY_BOOL: return (lk_value){ .kind = LK_VALUE_BOOL, .boolean = item->as.boolean };
  case LK_ANY_NUMBER: return (lk_value){ .kind = LK_VALUE_NUMBER, .number = item->as.number };
  case LK_ANY_BIGINT: return (lk_value){ .kind = LK_VALUE_BIGINT, .bigint = item->as.bigint };
  case LK_ANY_BYTES: return (lk_value){ .kind = LK_VALUE_BINARY, .bytes = item->as.bytes };
  default: return (lk_value){ .kind = LK_VALUE_STRING, .bytes = item->as.bytes };
  }
}

static lk_err read_subdoc(lk_reader *in, lk_value *out) {
  out->kind = LK_VALUE_DOC;
  lk_err err = lk_reader_skip(in, 1);
  if (err == LK_OK) err = lk_lib0_string_decode(in, &out->bytes);
  return err == LK_OK ? lk_any_span_decode(in, LK_ANY_DEPTH_MAX, &out->options, NULL) : err;
}

/* Containers stay as they are: the engine keeps them so. */
static lk_err read_value(lk_reader *in, lk_value *out) {
  uint8_t tag;
  lk_any_item item;
  lk_any_reader reader;
  *out = (lk_value){ .kind = LK_VALUE_ANY };
  lk_err err = lk_reader_peek_u8(in, &tag);
  if (err != LK_OK) return err;
  if (tag == TAG_DOC) return read_subdoc(in, out);
  if (tag == ANY_ARRAY || tag == ANY_OBJECT)
    return lk_any_span_decode(in, LK_ANY_DEPTH_MAX, &out->bytes, NULL);
  lk_any_reader_init(&reader, in, NULL, 0);
  err = lk_any_decode(&reader, &item);
  if (err == LK_OK) *out = value_of_item(&item);
  return err;
}

static lk_err read_one(lk_slice bytes, lk_value *out) {
  lk_reader in = lk_reader_of(bytes);
  lk_err err = read_value(&in, out);
  return err == LK_OK ? lk_reader_end(&in) : err;
}

/* |count| is the host's word, which no value of no bytes can make true. */
static lk_err read_values(lk_slice bytes, size_t count, lk_value **out) {
  lk_reader in = lk_reader_of(bytes);
  lk_err err = LK_OK;
  *out = NULL;
  if (count > bytes.len) return LK_ERR_TRUNCATED;
  if (count == 0) return lk_reader_end(&in);
  lk_value *values = lk_alloc_array(env.alloc, count, sizeof *values);
  if (values == NULL) return LK_ERR_NOMEM;
  for (size_t i = 0; i < count && err == LK_OK; i++) err = read_value(&in, &values[i]);
  if (err == LK_OK) err = lk_reader_end(&in);
  if (err == LK_OK) *out = values;
  else lk_free_array(env.alloc, values, count, sizeof *values);
  return err;
}

/* ---- attributes ---- */

typedef struct attributes {
  lk_attributes list;
  lk_attribute *items;
  size_t count;
  bool given;
} attributes;

static lk_err read_attribute(lk_reader *in, lk_attribute *out) {
  lk_err err = lk_lib0_string_decode(in, &out->key);
  return err == LK_OK ? read_value(in, &out->value) : err;
}

static void free_attributes(attributes *self) {
  lk_free_array(env.alloc, self->items, self->count, sizeof *self->items);
}

/* |bytes| is an object as any; empty stands for none. Free it where this gives LK_OK. */
static lk_err read_attributes(lk_slice bytes, attributes *out) {
  lk_reader in = lk_reader_of(bytes);
  uint8_t tag;
  uint64_t count = 0;
  *out = (attributes){ .given = bytes.len > 0 };
  if (!out->given) return LK_OK;
  lk_err err = lk_reader_u8(&in, &tag);
  if (err == LK_OK && tag != ANY_OBJECT) err = LK_ERR_TYPE;
  if (err == LK_OK) err = lk_varuint_decode(&in, lk_reader_left(&in), &count);
  if (err != LK_OK) return err;
  out->count = (size_t)count;
  if (count > 0 && (out->items = lk_alloc_array(env.alloc, out->count, sizeof *out->items)) == NULL)
    return LK_ERR_NOMEM;
  for (size_t i = 0; i < out->count && err == LK_OK; i++) err = read_attribute(&in, &out->items[i]);
  out->list = (lk_attributes){ out->items, out->count };
  if (err != LK_OK) free_attributes(out);
  return err;
}

static const lk_attributes *list_of(const attributes *self) {
  return self->given ? &self->list : NULL;
}

/* ---- nodes ---- */

u32 lk_wasm_doc_root(u32 doc, u32 name_len, u32 kind) {
  lk_doc *self;
  lk_slice name;
  lk_node node = { 0, 0 };
  if (!begin(doc, name_len, &self, &name)) return LK_ERR_INVALID;
  return made_node(lk_doc_root(self, name, (lk_node_kind)kind, &node), self, node);
}

u32 lk_wasm_doc_roots(u32 doc) {
  const lk_doc *self = lk_wasm_doc_of(doc);
  lk_slice name;
  lk_node node;
  if (self == NULL) return LK_ERR_INVALID;
  lk_buf *out = lk_wasm_result(LK_WASM_DOC_BYTES_MAX);
  for (u32 cursor = 0; lk_doc_next_root(self, &cursor, &name, &node);) {
    (void)lk_lib0_string_encode(out, name);
    lk_wasm_append_node(self, node, out);
  }
  return lk_wasm_answer(lk_buf_err(out), out);
}

u32 lk_wasm_doc_has_node(u32 doc, u32 slot, u32 check) {
  const lk_doc *self = lk_wasm_doc_of(doc);
  return self != NULL && lk_doc_has_node(self, lk_wasm_node(slot, check));
}

u32 lk_wasm_doc_node_name(u32 doc, u32 slot, u32 check) {
  const lk_doc *self = lk_wasm_doc_of(doc);
  if (self == NULL) return LK_ERR_INVALID;
  lk_wasm_hand_out(lk_doc_node_name(self, lk_wasm_node(slot, check)));
  return LK_OK;
}

u32 lk_wasm_doc_node_parent(u32 doc, u32 slot, u32 check) {
  const lk_doc *self = lk_wasm_doc_of(doc);
  lk_node parent;
  if (self == NULL) return LK_ERR_INVALID;
  if (!lk_doc_node_parent(self, lk_wasm_node(slot, check), &parent)) return LK_ERR_NOT_FOUND;
  return made_node(LK_OK, self, parent);
}

u32 lk_wasm_doc_node_length(u32 doc, u32 slot, u32 check) {
  const lk_doc *self = lk_wasm_doc_of(doc);
  return self == NULL ? 0 : (u32)lk_doc_node_length(self, lk_wasm_node(slot, check));
}

/* What reads a node and appends what it read. */
static u32 read_node(u32 doc, u32 slot, u32 check,
                     lk_err (*read)(const lk_doc *self, lk_node node, lk_buf *out)) {
  const lk_doc *self = lk_wasm_doc_of(doc);
  if (self == NULL) return LK_ERR_INVALID;
  lk_buf *out = lk_wasm_result(LK_WASM_DOC_BYTES_MAX);
  return lk_wasm_answer(read(self, lk_wasm_node(slot, check), out), out);
}

u32 lk_wasm_doc_node_json(u32 doc, u32 slot, u32 check) {
  return read_node(doc, slot, check, lk_doc_node_json);
}
u32 lk_wasm_doc_xml_string(u32 doc, u32 slot, u32 check) {
  return read_node(doc, slot, check, lk_doc_xml_string);
}
u32 lk_wasm_doc_text_string(u32 doc, u32 slot, u32 check) {
  return read_node(doc, slot, check, lk_doc_text_string);
}
u32 lk_wasm_doc_text_delta(u32 doc, u32 slot, u32 check) {
  return read_node(doc, slot, check, lk_doc_text_delta);
}

u32 lk_wasm_doc_json(u32 doc) {
  const lk_doc *self = lk_wasm_doc_of(doc);
  if (self == NULL) return LK_ERR_INVALID;
  lk_buf *out = lk_wasm_result(LK_WASM_DOC_BYTES_MAX);
  return lk_wasm_answer(lk_doc_json(self, out), out);
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

/* ---- text ---- */

/* Half of a pair alone is no character, as in TextEncoder. */
static size_t utf8_of_unit(u32 unit, uint8_t *out) {
  if (unit < 0x80) {
    out[0] = (uint8_t)unit;
    return 1;
  }
  if (unit < 0x800) {
    out[0] = (uint8_t)(0xC0 | unit >> 6);
    out[1] = (uint8_t)(0x80 | (unit & 0x3F));
    return 2;
  }
  if (unit > 0xFFFF || (unit & 0xF800) == 0xD800) unit = 0xFFFD;
  out[0] = (uint8_t)(0xE0 | unit >> 12);
  out[1] = (uint8_t)(0x80 | (unit >> 6 & 0x3F));
  out[2] = (uint8_t)(0x80 | (unit & 0x3F));
  return 3;
}

u32 lk_wasm_doc_text_insert_unit(u32 doc, u32 slot, u32 check, u32 index, u32 unit) {
  lk_doc *self = lk_wasm_doc_of(doc);
  uint8_t utf8[3];
  if (self == NULL) return LK_ERR_INVALID;
  lk_slice text = { utf8, utf8_of_unit(unit, utf8) };
  return lk_doc_text_insert(self, lk_wasm_node(slot, check), index, text, NULL);
}

u32 lk_wasm_doc_text_insert(u32 doc, u32 slot, u32 check, u32 index, u32 text_len,
                            u32 attributes_len) {
  lk_doc *self;
  lk_slice input;
  attributes given;
  if (!begin(doc, (uint64_t)text_len + attributes_len, &self, &input)) return LK_ERR_INVALID;
  lk_slice text = lk_wasm_take(&input, text_len);
  lk_node node = lk_wasm_node(slot, check);
  if (attributes_len == 0) return lk_doc_text_insert(self, node, index, text, NULL);
  lk_err err = read_attributes(lk_wasm_take(&input, attributes_len), &given);
  if (err != LK_OK) return err;
  err = lk_doc_text_insert(self, node, index, text, list_of(&given));
  free_attributes(&given);
  return err;
}

u32 lk_wasm_doc_text_embed(u32 doc, u32 slot, u32 check, u32 index, u32 value_len,
                           u32 attributes_len) {
  lk_doc *self;
  lk_slice input;
  lk_value value;
  attributes given;
  if (!begin(doc, (uint64_t)value_len + attributes_len, &self, &input)) return LK_ERR_INVALID;
  lk_err err = read_one(lk_wasm_take(&input, value_len), &value);
  if (err == LK_OK) err = read_attributes(lk_wasm_take(&input, attributes_len), &given);
  if (err != LK_OK) return err;
  err = lk_doc_text_insert_embed(self, lk_wasm_node(slot, check), index, &value, list_of(&given));
  free_attributes(&given);
  return err;
}

u32 lk_wasm_doc_text_insert_node(u32 doc, u32 slot, u32 check, u32 index, u32 kind, u32 name_len,
                                 u32 attributes_len) {
  lk_doc *self;
  lk_slice input;
  lk_node made = { 0, 0 };
  attributes given;
  if (!begin(doc, (uint64_t)name_len + attributes_len, &self, &input)) return LK_ERR_INVALID;
  lk_slice name = lk_wasm_take(&input, name_len);
  lk_err err = read_attributes(lk_wasm_take(&input, attributes_len), &given);
  if (err != LK_OK) return err;
  err = lk_doc_text_insert_node(self, lk_wasm_node(slot, check), index, (lk_node_kind)kind, name,
                                list_of(&given), &made);
  free_attributes(&given);
  return made_node(err, self, made);
}

u32 lk_wasm_doc_text_delete(u32 doc, u32 slot, u32 check, u32 index, u32 length) {
  lk_doc *self = lk_wasm_doc_of(doc);
  return self == NULL ? LK_ERR_INVALID
                      : lk_doc_text_delete(self, lk_wasm_node(slot, check), index, length);
}

u32 lk_wasm_doc_text_format(u32 doc, u32 slot, u32 check, u32 index, u32 length,
                            u32 attributes_len) {
  lk_doc *self;
  lk_slice input;
  attributes given;
  if (!begin(doc, attributes_len, &self, &input)) return LK_ERR_INVALID;
  lk_err err = read_attributes(input, &given);
  if (err != LK_OK) return err;
  err = lk_doc_text_format(self, lk_wasm_node(slot, check), index, length, list_of(&given));
  free_attributes(&given);
  return err;
}

u32 lk_wasm_doc_text_apply_delta(u32 doc, u32 slot, u32 check, u32 json_len, u32 sanitize) {
  lk_doc *self;
  lk_slice json;
  if (!begin(doc, json_len, &self, &json)) return LK_ERR_INVALID;
  return lk_doc_text_apply_delta(self, lk_wasm_node(slot, check), json, sanitize != 0);
}

/* ---- lists ---- */

typedef lk_err (*inserting)(lk_doc *self, lk_node node, u32 index, const lk_value *values,
                            size_t count);

static lk_err insert_at(lk_doc *self, lk_node node, u32 index, const lk_value *values,
                        size_t count) {
  return lk_doc_list_insert(self, node, index, values, count);
}

static lk_err push(lk_doc *self, lk_node node, u32 index, const lk_value *values, size_t count) {
  (void)index;
  return lk_doc_list_push(self, node, values, count);
}

static lk_err insert_values(u32 doc, lk_node node, u32 index, u32 count, u32 values_len,
                            inserting insert) {
  lk_doc *self;
  lk_slice input;
  lk_value one, *values = &one;
  if (!begin(doc, values_len, &self, &input)) return LK_ERR_INVALID;
  lk_err err = count == 1 ? read_one(input, &one) : read_values(input, count, &values);
  if (err != LK_OK) return err;
  err = insert(self, node, index, values, count);
  if (count != 1) lk_free_array(env.alloc, values, count, sizeof *values);
  return err;
}

u32 lk_wasm_doc_list_insert(u32 doc, u32 slot, u32 check, u32 index, u32 count, u32 values_len) {
  return insert_values(doc, lk_wasm_node(slot, check), index, count, values_len, insert_at);
}

u32 lk_wasm_doc_list_push(u32 doc, u32 slot, u32 check, u32 count, u32 values_len) {
  return insert_values(doc, lk_wasm_node(slot, check), 0, count, values_len, push);
}

u32 lk_wasm_doc_list_insert_node(u32 doc, u32 slot, u32 check, u32 index, u32 kind, u32 name_len) {
  lk_doc *self;
  lk_slice name;
  lk_node made = { 0, 0 };
  if (!begin(doc, name_len, &self, &name)) return LK_ERR_INVALID;
  lk_err err = lk_doc_list_insert_node(self, lk_wasm_node(slot, check), index, (lk_node_kind)kind,
                                       lk_slice_first(name, name_len), &made);
  return made_node(err, self, made);
}

u32 lk_wasm_doc_list_delete(u32 doc, u32 slot, u32 check, u32 index, u32 length) {
  lk_doc *self = lk_wasm_doc_of(doc);
  return self == NULL ? LK_ERR_INVALID
                      : lk_doc_list_delete(self, lk_wasm_node(slot, check), index, length);
}

u32 lk_wasm_doc_list_get(u32 doc, u32 slot, u32 check, u32 index) {
  const lk_doc *self = lk_wasm_doc_of(doc);
  lk_value value;
  if (self == NULL) return LK_ERR_INVALID;
  lk_err err = lk_doc_list_get(self, lk_wasm_node(slot, check), index, &value);
  if (err != LK_OK) return err;
  lk_buf *out = lk_wasm_result(LK_WASM_DOC_BYTES_MAX);
  append_value(self, &value, out);
  return lk_wasm_answer(lk_buf_err(out), out);
}

static lk_err append_values(const lk_doc *self, lk_node node, lk_buf *out) {
  u32 length = (u32)lk_doc_node_length(self, node);
  lk_value value;
  lk_err err = lk_varuint_encode(out, length);
  for (u32 i = 0; i < length && err == LK_OK; i++) {
    err = lk_doc_list_get(self, node, i, &value);
    if (err == LK_OK) append_value(self, &value, out);
    if (err == LK_OK) err = lk_buf_err(out);
  }
  return err;
}

u32 lk_wasm_doc_list_values(u32 doc, u32 slot, u32 check) {
  return read_node(doc, slot, check, append_values);
}

/* ---- maps ---- */

u32 lk_wasm_doc_map_set(u32 doc, u32 slot, u32 check, u32 key_len, u32 value_len) {
  lk_doc *self;
  lk_slice input;
  lk_value value;
  if (!begin(doc, (uint64_t)key_len + value_len, &self, &input)) return LK_ERR_INVALID;
  lk_slice key = lk_wasm_take(&input, key_len);
  lk_err err = read_one(lk_wasm_take(&input, value_len), &value);
  return err == LK_OK ? lk_doc_map_set(self, lk_wasm_node(slot, check), key, &value) : err;
}

u32 lk_wasm_doc_map_set_node(u32 doc, u32 slot, u32 check, u32 key_len, u32 kind, u32 name_len) {
  lk_doc *self;
  lk_slice input;
  lk_node made = { 0, 0 };
  if (!begin(doc, (uint64_t)key_len + name_len, &self, &input)) return LK_ERR_INVALID;
  lk_slice key = lk_wasm_take(&input, key_len), name = lk_wasm_take(&input, name_len);
  lk_err err = lk_doc_map_set_node(self, lk_wasm_node(slot, check), key, (lk_node_kind)kind, name,
                                   &made);
  return made_node(err, self, made);
}

u32 lk_wasm_doc_map_delete(u32 doc, u32 slot, u32 check, u32 key_len) {
  lk_doc *self;
  lk_slice key;
  if (!begin(doc, key_len, &self, &key)) return LK_ERR_INVALID;
  return lk_doc_map_delete(self, lk_wasm_node(slot, check), key);
}

u32 lk_wasm_doc_map_get(u32 doc, u32 slot, u32 check, u32 key_len) {
  lk_doc *self;
  lk_slice key;
  lk_value value;
  if (!begin(doc, key_len, &self, &key)) return LK_ERR_INVALID;
  lk_err err = lk_doc_map_get(self, lk_wasm_node(slot, check), key, &value);
  if (err != LK_OK) return err;
  lk_buf *out = lk_wasm_result(LK_WASM_DOC_BYTES_MAX);
  append_value(self, &value, out);
  return lk_wasm_answer(lk_buf_err(out), out);
}

u32 lk_wasm_doc_map_count(u32 doc, u32 slot, u32 check) {
  const lk_doc *self = lk_wasm_doc_of(doc);
  return self == NULL ? 0 : (u32)lk_doc_map_count(self, lk_wasm_node(slot, check));
}

static lk_err append_entries(const lk_doc *self, lk_node node, lk_buf *out) {
  lk_slice key;
  lk_value value;
  if (!lk_doc_has_node(self, node)) return LK_ERR_NOT_FOUND;
  for (u32 cursor = 0; lk_doc_map_next(self, node, &cursor, &key, &value);) {
    (void)lk_lib0_string_encode(out, key);
    append_value(self, &value, out);
  }
  return lk_buf_err(out);
}

u32 lk_wasm_doc_map_entries(u32 doc, u32 slot, u32 check) {
  return read_node(doc, slot, check, append_entries);
}

/* ---- updates ---- */

u32 lk_wasm_doc_apply(u32 doc, u32 format, u32 len, u32 origin) {
  lk_doc *self;
  lk_slice update;
  if (!begin(doc, len, &self, &update)) return LK_ERR_INVALID;
  return lk_doc_apply(self, (lk_update_format)format, update, origin);
}

u32 lk_wasm_doc_apply_all(u32 doc, u32 format, u32 records_len, u32 origin) {
  lk_doc *self;
  lk_slice records, update;
  lk_err err = LK_OK;
  lk_wasm_doc_board.count = 0;
  if (!begin(doc, records_len, &self, &records)) return LK_ERR_INVALID;
  while (err == LK_OK && records.len > 0) {
    err = lk_wasm_take_record(&records, &update);
    if (err == LK_OK) err = lk_doc_apply(self, (lk_update_format)format, update, origin);
    if (err == LK_OK) lk_wasm_doc_board.count++;
  }
  return err;
}

u32 lk_wasm_doc_encode(u32 doc, u32 format, u32 sv_len) {
  lk_doc *self;
  lk_slice sv;
  if (!begin(doc, sv_len, &self, &sv)) return LK_ERR_INVALID;
  lk_buf *out = lk_wasm_result(LK_WASM_DOC_BYTES_MAX);
  return lk_wasm_answer(lk_doc_encode(self, (lk_update_format)format, sv, out), out);
}

u32 lk_wasm_doc_state_vector(u32 doc) {
  const lk_doc *self = lk_wasm_doc_of(doc);
  if (self == NULL) return LK_ERR_INVALID;
  lk_buf *out = lk_wasm_result(LK_WASM_DOC_BYTES_MAX);
  return lk_wasm_answer(lk_doc_state_vector(self, out), out);
}

u32 lk_wasm_doc_size(u32 doc) {
  const lk_doc *self = lk_wasm_doc_of(doc);
  if (self == NULL) return LK_ERR_INVALID;
  lk_buf *out = lk_wasm_result(9 * sizeof(uint64_t));
  lk_doc_size size = lk_doc_get_size(self);
  lk_doc_pending pending = lk_doc_get_pending(self);
  uint64_t numbers[] = { lk_doc_memory(self).total, size.clients,  size.structs,
                         size.tombstones,           size.units,    size.nodes,
                         pending.structs,           pending.bytes, pending.delete_ranges };
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    (void)lk_buf_append_le64(out, numbers[i]);
  return lk_wasm_answer(lk_buf_err(out), out);
}
