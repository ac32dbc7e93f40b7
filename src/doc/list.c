/* doc/list.c -- changing arrays, XML children and maps.
 *
 * Values that follow each other become one struct as far as they are plain: Yjs packs numbers, strings, booleans,
 * null, arrays and objects into one ANY, while bytes, subdocuments and nodes stand alone. */
#include "doc/engine.h"

#include "codec/any.h"
#include "codec/utf.h"
#include "doc/value.h"

#define LISTS (1u << LK_NODE_ARRAY | 1u << LK_NODE_XML_FRAGMENT | 1u << LK_NODE_XML_ELEMENT)
#define KNOWN ((1u << LK_NODE_UNKNOWN) - 1)

/* ---- values ---- */

static bool is_integer(const lk_value *value) {
  uint64_t one = 1;
  return LK_FAST_ALL && value->kind == LK_VALUE_ANY && value->bytes.len > 0 &&
         lk_value_integers_length(value->bytes, &one) == value->bytes.len;
}

static lk_err check_value(const lk_doc *doc, const lk_value *value) {
  lk_slice any;
  lk_reader in = lk_reader_of(value->bytes);
  lk_err err;
  switch (value->kind) {
  case LK_VALUE_STRING: return lk_utf8_check(value->bytes);
  case LK_VALUE_ANY:
    if (is_integer(value)) return LK_OK;
    if ((err = lk_any_span_decode(&in, doc->limits.any_depth, &any, NULL)) != LK_OK) return err;
    return lk_reader_end(&in);
  case LK_VALUE_DOC:
    in = lk_reader_of(value->options);
    if ((err = lk_utf8_check(value->bytes)) != LK_OK) return err;
    if ((err = lk_any_span_decode(&in, doc->limits.any_depth, &any, NULL)) != LK_OK) return err;
    return lk_reader_end(&in);
  case LK_VALUE_NODE: return LK_ERR_INVALID;
  default: return LK_OK;
  }
}

static void append_any(const lk_value *value, lk_slice bytes, lk_buf *out) {
  switch (value->kind) {
  case LK_VALUE_UNDEFINED: lk_any_encode_undefined(out); break;
  case LK_VALUE_NULL: lk_any_encode_null(out); break;
  case LK_VALUE_BOOL: lk_any_encode_bool(out, value->boolean); break;
  case LK_VALUE_NUMBER: lk_any_encode_number(out, value->number); break;
  case LK_VALUE_BIGINT: lk_any_encode_bigint(out, value->bigint); break;
  case LK_VALUE_STRING: lk_any_encode_string(out, value->bytes); break;
  default: lk_buf_append(out, bytes); break;
  }
}

static bool stands_alone(const lk_value *value) {
  return value->kind == LK_VALUE_BINARY || value->kind == LK_VALUE_DOC;
}

/* A struct for a value that stands alone. */
static lk_err insert_alone(lk_doc *doc, uint32_t type, uint32_t entry, uint32_t left,
                           uint32_t right, const lk_value *value, uint32_t *out) {
  uint32_t at, name = LK_NONE;
  lk_err err = LK_OK;
  bool subdoc = value->kind == LK_VALUE_DOC;
  if (subdoc) err = lk_name_intern(doc, value->bytes, &name);
  if (err == LK_OK) err = lk_value_add(doc, subdoc ? value->options : value->bytes, name, &at);
  if (err != LK_OK) return err;
  return lk_insert_item(doc, type, entry, left, right, subdoc ? LK_CONTENT_DOC : LK_CONTENT_BINARY,
                        at, 1, 0, out);
}

/* What values are put together in, one run of them after the other. */
typedef struct any_run {
  lk_buf any;
  lk_arena scratch;
} any_run;

static void any_run_init(any_run *self, lk_doc *doc) {
  lk_buf_init(&self->any, &doc->alloc, doc->limits.doc_values_bytes);
  lk_arena_init(&self->scratch, &doc->alloc, doc->limits.doc_values_bytes);
}

static void any_run_deinit(any_run *self) {
  lk_arena_deinit(&self->scratch);
  lk_buf_deinit(&self->any);
}

/* As JavaScript would write what it reads there. */
static lk_err append_canonical(any_run *self, const lk_doc *doc, const lk_value *value) {
  lk_slice bytes = value->bytes;
  lk_reader in = lk_reader_of(bytes);
  if (value->kind == LK_VALUE_ANY && !is_integer(value)) {
    lk_err err = lk_value_any_decode(&in, doc->limits.any_depth, &self->scratch, &bytes);
    if (err != LK_OK) return err;
  }
  append_any(value, bytes, &self->any);
  return LK_OK;
}

#define INTEGER_BYTES 6 /* at most; room for what most values are, the last of them as a word */

static lk_err insert_any(lk_doc *doc, any_run *self, uint32_t type, uint32_t entry, uint32_t left,
                         uint32_t right, const lk_value *values, uint32_t count, uint32_t *out) {
  uint32_t at = 0;
  lk_err err = LK_OK;
  lk_arena_mark mark = lk_arena_get_mark(&self->scratch);
  lk_buf_truncate(&self->any, 0);
  /* It says at the end whether there was room. */
  (void)lk_buf_reserve(
      &self->any, lk_min_size((size_t)count * INTEGER_BYTES + 8, doc->limits.doc_values_bytes));
  for (uint32_t i = 0; i < count && err == LK_OK; i++)
    err = append_canonical(self, doc, &values[i]);
  lk_arena_pop_to(&self->scratch, mark);
  if (err == LK_OK) err = lk_buf_err(&self->any);
  if (err == LK_OK) err = lk_value_add(doc, lk_buf_slice(&self->any), LK_NONE, &at);
  if (err == LK_ERR_LIMIT) return lk_doc_limit(doc, "doc_values_bytes");
  if (err != LK_OK) return err;
  return lk_insert_item(doc, type, entry, left, right, LK_CONTENT_ANY, at, count, 0, out);
}

static lk_err insert_one(lk_doc *doc, uint32_t type, uint32_t entry, uint32_t left,
                         const lk_value *value) {
  any_run alone;
  any_run_init(&alone, doc);
  lk_err err = insert_any(doc, &alone, type, entry, left, LK_NONE, value, 1, NULL);
  any_run_deinit(&alone);
  return err;
}

/* ---- lists ---- */

/* One plain value, without a transaction; false where that is not done. */
static bool insert_fast(lk_doc *doc, uint32_t type, uint32_t index, const lk_value *values,
                        size_t count) {
  if (!LK_FAST_ALL || count != 1 || doc->tx != NULL || doc->cleaning) return false;
  if (values->kind == LK_VALUE_ANY || stands_alone(values)) return false;
  lk_buf_truncate(&doc->emit, 0); /* nobody reads it now */
  append_any(values, values->bytes, &doc->emit);
  return lk_buf_err(&doc->emit) == LK_OK &&
         lk_list_insert_fast(doc, type, index, lk_buf_slice(&doc->emit));
}

static lk_err insert_values(lk_doc *doc, uint32_t type, uint32_t left, uint32_t right,
                            const lk_value *values, uint32_t count) {
  lk_err err = LK_OK;
  bool goes_on = false; /* the struct of the values before */
  any_run together;
  any_run_init(&together, doc);
  for (uint32_t i = 0; i < count && err == LK_OK;) {
    uint32_t run = 1;
    if (stands_alone(&values[i])) {
      err = insert_alone(doc, type, LK_NONE, left, right, &values[i], &left);
      goes_on = false;
    } else {
      while (i + run < count && run < LK_VALUES_MAX && !stands_alone(&values[i + run])) run++;
      err = insert_any(doc, &together, type, LK_NONE, left, right, values + i, run, &left);
      if (err == LK_OK && goes_on) err = lk_item_join(doc, left);
      goes_on = true;
    }
    i += run;
  }
  any_run_deinit(&together);
  return err;
}

static lk_err check_values(const lk_doc *doc, const lk_value *values, size_t count) {
  if (count > doc->limits.doc_clock) return LK_ERR_LIMIT;
  for (size_t i = 0; i < count; i++) {
    /* Yjs has no way to put these directly into a list */
    if (values[i].kind == LK_VALUE_UNDEFINED || values[i].kind == LK_VALUE_BIGINT)
      return LK_ERR_INVALID;
    lk_err err = check_value(doc, &values[i]);
    if (err != LK_OK) return err;
  }
  return LK_OK;
}

lk_err lk_doc_list_insert(lk_doc *doc, lk_node node, uint64_t index, const lk_value *values,
                          size_t count) {
  uint32_t type, left, right;
  lk_call call;
  lk_err err = lk_node_resolve(doc, node, LISTS, &type);
  if (err == LK_OK && index > doc->types.at[type].length) err = LK_ERR_RANGE;
  if (err == LK_OK) err = check_values(doc, values, count);
  if (err == LK_OK && insert_fast(doc, type, (uint32_t)index, values, count)) return LK_OK;
  if (err == LK_OK) err = lk_call_begin(doc, &call);
  if (err != LK_OK) return err;
  err = lk_list_seek(doc, type, (uint32_t)index, &left, &right);
  if (err == LK_OK) err = insert_values(doc, type, left, right, values, (uint32_t)count);
  return lk_call_end(doc, &call, err);
}

lk_err lk_doc_list_push(lk_doc *doc, lk_node node, const lk_value *values, size_t count) {
  uint32_t type;
  lk_call call;
  lk_err err = lk_node_resolve(doc, node, LISTS, &type);
  if (err == LK_OK) err = check_values(doc, values, count);
  if (err == LK_OK && insert_fast(doc, type, LK_NONE, values, count)) return LK_OK;
  if (err == LK_OK) err = lk_call_begin(doc, &call);
  if (err != LK_OK) return err;
  err = insert_values(doc, type, doc->types.at[type].end, LK_NONE, values, (uint32_t)count);
  return lk_call_end(doc, &call, err);
}

/* A new node as content. */
static lk_err insert_node(lk_doc *doc, uint32_t parent, uint32_t entry, uint32_t left,
                          uint32_t right, lk_node_kind kind, lk_slice name, lk_node *out) {
  uint32_t type, number = LK_NONE;
  lk_err err = LK_OK;
  if (kind == LK_NODE_XML_ELEMENT || kind == LK_NODE_XML_HOOK)
    err = lk_name_intern(doc, name, &number);
  if (err == LK_OK) err = lk_type_new(doc, (uint8_t)kind, number, &type);
  if (err == LK_OK)
    err = lk_insert_item(doc, parent, entry, left, right, LK_CONTENT_TYPE, type, 1, 0, NULL);
  if (err == LK_OK && out != NULL) *out = lk_node_of(doc, type);
  return err;
}

static lk_err check_kind(lk_node_kind kind, lk_slice name) {
  if ((unsigned)kind >= LK_NODE_UNKNOWN) return LK_ERR_INVALID;
  return lk_utf8_check(name);
}

lk_err lk_doc_list_insert_node(lk_doc *doc, lk_node node, uint64_t index, lk_node_kind kind,
                               lk_slice name, lk_node *out) {
  uint32_t type, left, right;
  lk_call call;
  lk_err err = lk_node_resolve(doc, node, LISTS, &type);
  if (err == LK_OK && index > doc->types.at[type].length) err = LK_ERR_RANGE;
  if (err == LK_OK) err = check_kind(kind, name);
  if (err == LK_OK) err = lk_call_begin(doc, &call);
  if (err != LK_OK) return err;
  err = lk_list_seek(doc, type, (uint32_t)index, &left, &right);
  if (err == LK_OK) err = insert_node(doc, type, LK_NONE, left, right, kind, name, out);
  return lk_call_end(doc, &call, err);
}

lk_err lk_list_erase(lk_doc *doc, uint32_t type, uint32_t index, uint32_t length) {
  uint32_t left, item, half;
  lk_err err = lk_list_seek(doc, type, index, &left, &item);
  while (err == LK_OK && length > 0) {
    LK_ASSERT(item != LK_NONE);
    uint32_t units = lk_item_units(&doc->items[item]);
    if (units > length) {
      if ((err = lk_item_split(doc, item, length, &half)) != LK_OK) return err;
      units = length;
    }
    if (units > 0) err = lk_item_delete(doc, item);
    length -= units;
    item = doc->items[item].right;
  }
  return err;
}

lk_err lk_doc_list_delete(lk_doc *doc, lk_node node, uint64_t index, uint64_t length) {
  uint32_t type;
  lk_call call;
  lk_err err = lk_node_resolve(doc, node, LISTS, &type);
  if (err != LK_OK) return err;
  uint32_t units = doc->types.at[type].length;
  if (index > units || length > units - index) return LK_ERR_RANGE;
  if (length == 0) return LK_OK;
  if ((err = lk_call_begin(doc, &call)) != LK_OK) return err;
  err = lk_list_erase(doc, type, (uint32_t)index, (uint32_t)length);
  return lk_call_end(doc, &call, err);
}

/* ---- maps ---- */

lk_err lk_doc_map_set(lk_doc *doc, lk_node node, lk_slice key, const lk_value *value) {
  uint32_t type, name, entry;
  lk_call call;
  lk_err err = lk_node_resolve(doc, node, KNOWN, &type);
  if (err == LK_OK) err = lk_utf8_check(key);
  if (err == LK_OK) err = check_value(doc, value);
  if (err == LK_OK) err = lk_call_begin(doc, &call);
  if (err != LK_OK) return err;
  err = lk_name_intern(doc, key, &name);
  if (err == LK_OK) err = lk_entry_intern(doc, type, name, &entry);
  if (err == LK_OK) {
    uint32_t left = doc->entries.at[entry].last;
    err = stands_alone(value) ? insert_alone(doc, type, entry, left, LK_NONE, value, NULL)
                              : insert_one(doc, type, entry, left, value);
  }
  return lk_call_end(doc, &call, err);
}

lk_err lk_doc_map_set_node(lk_doc *doc, lk_node node, lk_slice key, lk_node_kind kind,
                           lk_slice name, lk_node *out) {
  uint32_t type, number, entry;
  lk_call call;
  lk_err err = lk_node_resolve(doc, node, KNOWN, &type);
  if (err == LK_OK) err = lk_utf8_check(key);
  if (err == LK_OK) err = check_kind(kind, name);
  if (err == LK_OK) err = lk_call_begin(doc, &call);
  if (err != LK_OK) return err;
  err = lk_name_intern(doc, key, &number);
  if (err == LK_OK) err = lk_entry_intern(doc, type, number, &entry);
  if (err == LK_OK)
    err = insert_node(doc, type, entry, doc->entries.at[entry].last, LK_NONE, kind, name, out);
  return lk_call_end(doc, &call, err);
}

lk_err lk_doc_map_delete(lk_doc *doc, lk_node node, lk_slice key) {
  uint32_t type;
  lk_call call;
  lk_err err = lk_node_resolve(doc, node, KNOWN, &type);
  if (err == LK_OK) err = lk_call_begin(doc, &call);
  if (err != LK_OK) return err;
  uint32_t name = lk_name_find(doc, key);
  uint32_t item = name == LK_NONE ? LK_NONE : lk_entry_item(doc, lk_entry_find(doc, type, name));
  if (item != LK_NONE) err = lk_item_delete(doc, item);
  return lk_call_end(doc, &call, err);
}
