/* doc/read.c -- looking at a document: handles, entries, values, and plain text.
 *
 * Plain text is the walk that everything waits for after a document was loaded: eleven thousand items for a
 * paper of a hundred kilobytes. Most are a few ASCII bytes, which memory keeps as such. So room for all
 * of them is made once (ASCII takes a byte a unit), and short ones are copied as sixteen bytes whatever
 * their length is: what is too much is overwritten by the next one. Sixteen bytes are two
 * instructions, where asking memcpy for seven is a call that branches on the length.
 *
 * Values are handed out where they lie. Three things do not lie as a caller wants them:
 *
 *   JSON    content of the first versions of Yjs, kept as JSON text. Values are given as what they are; for
 *           an array, an object, and a string with escapes that is made when it is asked for the first time, and
 *           kept until the next transaction
 *   STRING  in a list or a map, which no editor writes: one unit is one value. ASCII is given,
 *           other units, which memory keeps as UTF-16, are given as U+FFFD
 *   EMBED   in a list: its value */
#include "doc/read.h"

#include "codec/any.h"
#include "codec/json_special.h"
#include "codec/lib0.h"
#include "codec/number.h"
#include "codec/utf.h"
#include "doc/value.h"

#define KIND(name) (1u << LK_NODE_##name)
#define KINDS_LIST                                                                                 \
  (KIND(ARRAY) | KIND(XML_FRAGMENT) | KIND(XML_ELEMENT) | KIND(UNKNOWN) | KIND(TEXT) |             \
   KIND(XML_TEXT))

/* ---- nodes ---- */

bool lk_doc_next_root(const lk_doc *self, uint32_t *cursor, lk_slice *name, lk_node *node) {
  if (*cursor >= self->roots.count) return false;
  uint32_t type = self->roots.at[(*cursor)++];
  *name = lk_name_slice(self, lk_type_at(self, type)->name);
  *node = lk_node_of(self, type);
  return true;
}

bool lk_doc_has_node(const lk_doc *self, lk_node node) {
  uint32_t type;
  return lk_node_resolve(self, node, 0, &type) == LK_OK;
}

lk_node_kind lk_doc_node_kind(const lk_doc *self, lk_node node) {
  uint32_t type;
  if (lk_node_resolve(self, node, 0, &type) != LK_OK) return LK_NODE_UNKNOWN;
  return (lk_node_kind)lk_type_at(self, type)->kind;
}

lk_slice lk_doc_node_name(const lk_doc *self, lk_node node) {
  uint32_t type;
  if (lk_node_resolve(self, node, 0, &type) != LK_OK) return LK_SLICE_EMPTY;
  uint32_t name = lk_type_at(self, type)->name;
  return name == LK_NONE ? LK_SLICE_EMPTY : lk_name_slice(self, name);
}

bool lk_doc_node_parent(const lk_doc *self, lk_node node, lk_node *out) {
  uint32_t type;
  if (lk_node_resolve(self, node, 0, &type) != LK_OK) return false;
  uint32_t item = lk_type_at(self, type)->item;
  if (item == LK_NONE) return false;
  *out = lk_node_of(self, lk_item_at(self, item)->parent);
  return true;
}

uint64_t lk_doc_node_length(const lk_doc *self, lk_node node) {
  uint32_t type;
  return lk_node_resolve(self, node, 0, &type) == LK_OK ? lk_type_at(self, type)->length : 0;
}

static lk_node_kind kind_of_item(const lk_doc *doc, const lk_item *item) {
  switch (item->kind) {
  case LK_CONTENT_STRING:
  case LK_CONTENT_FORMAT:
  case LK_CONTENT_EMBED: return LK_NODE_TEXT;
  case LK_CONTENT_TYPE: break;
  default: return LK_NODE_ARRAY;
  }
  switch (lk_type_at(doc, item->content)->kind) {
  case LK_NODE_XML_ELEMENT:
  case LK_NODE_XML_FRAGMENT:
  case LK_NODE_XML_HOOK:
  case LK_NODE_XML_TEXT: return LK_NODE_XML_FRAGMENT;
  default: return LK_NODE_ARRAY;
  }
}

lk_node_kind lk_read_kind(const lk_doc *doc, uint32_t type) {
  const lk_type *t = lk_type_at(doc, type);
  if (t->kind != LK_NODE_UNKNOWN) return (lk_node_kind)t->kind;
  for (uint32_t i = t->start; i != LK_NONE; i = lk_item_at(doc, i)->right) {
    if (!lk_item_deleted(lk_item_at(doc, i))) return kind_of_item(doc, lk_item_at(doc, i));
  }
  for (uint32_t e = t->entry_first; e != LK_NONE; e = doc->entries.at[e].next) {
    if (lk_read_entry(doc, e) != LK_NONE) return LK_NODE_MAP;
  }
  return LK_NODE_UNKNOWN;
}

/* ---- values ---- */

lk_read_values lk_read_values_of(const lk_doc *doc, const lk_item *item) {
  return (lk_read_values){ lk_value_bytes(doc, item->content), item->len,
                           item->kind == LK_CONTENT_JSON };
}

lk_slice lk_read_next_value(lk_read_values *self) {
  LK_ASSERT(self->left > 0);
  self->left--;
  if (!self->json) {
    lk_slice value = lk_slice_first(self->rest, lk_value_any_length(self->rest));
    self->rest = lk_slice_skip(self->rest, value.len);
    return value;
  }
  lk_reader in = lk_reader_of(self->rest);
  lk_slice text;
  lk_err err = lk_lib0_string_decode(&in, &text);
  LK_ASSERT(err == LK_OK);
  self->rest = lk_reader_rest(&in);
  return text;
}

static void value_of_any(lk_slice any, lk_value *out) {
  lk_any_item item;
  bool canonical = true;
  lk_reader in = lk_reader_of(any);
  lk_err err = lk_any_item_decode(&in, &item, &canonical);
  LK_ASSERT(err == LK_OK);
  switch (item.kind) {
  case LK_ANY_UNDEFINED: out->kind = LK_VALUE_UNDEFINED; break;
  case LK_ANY_NULL: out->kind = LK_VALUE_NULL; break;
  case LK_ANY_BOOL: *out = (lk_value){ .kind = LK_VALUE_BOOL, .boolean = item.as.boolean }; break;
  case LK_ANY_NUMBER: *out = (lk_value){ .kind = LK_VALUE_NUMBER, .number = item.as.number }; break;
  case LK_ANY_BIGINT: *out = (lk_value){ .kind = LK_VALUE_BIGINT, .bigint = item.as.bigint }; break;
  case LK_ANY_STRING: *out = (lk_value){ .kind = LK_VALUE_STRING, .bytes = item.as.bytes }; break;
  case LK_ANY_BYTES: *out = (lk_value){ .kind = LK_VALUE_BINARY, .bytes = item.as.bytes }; break;
  default: *out = (lk_value){ .kind = LK_VALUE_ANY, .bytes = any }; break;
  }
}

static int compare_parsed(const void *ctx, const void *a, const void *b) {
  const lk_parsed *x = a, *y = b;
  (void)ctx;
  if (x->client != y->client) return x->client < y->client ? -1 : 1;
  return (x->clock > y->clock) - (x->clock < y->clock);
}

void lk_read_init(lk_doc *doc) {
  lk_btree_init(&doc->parsed, &doc->alloc, sizeof(lk_parsed), compare_parsed, NULL);
  lk_arena_init(&doc->parsed_room, &doc->alloc, SIZE_MAX / 2);
}

void lk_read_deinit(lk_doc *doc) {
  lk_btree_deinit(&doc->parsed);
  lk_arena_deinit(&doc->parsed_room);
}

/* What is at that id never changes; but it may be gone after a transaction, and then memory is wanted back. */
static lk_err parse(lk_doc *doc, lk_parsed key, lk_slice json, lk_slice *out) {
  if (doc->parsed_at != doc->tx_number) {
    lk_read_deinit(doc);
    lk_read_init(doc);
    doc->parsed_at = doc->tx_number;
  }
  const lk_parsed *known = lk_btree_get(&doc->parsed, &key);
  lk_err err = known != NULL ? LK_OK : lk_btree_reserve(&doc->parsed, 1);
  if (known == NULL && err == LK_OK)
    err = lk_value_any_of_json(json, doc->limits.any_depth, &doc->parsed_room, &key.any);
  if (err != LK_OK) return err;
  if (known == NULL) known = lk_btree_insert(&doc->parsed, &key);
  *out = known->any;
  return LK_OK;
}

/* False where somebody has to parse it. */
static bool value_of_json(lk_slice json, lk_value *out) {
  double number;
  uint64_t high = 0;
  if (lk_slice_equal(json, LK_LIT("undefined"))) return true;
  if (lk_slice_equal(json, LK_LIT("null"))) out->kind = LK_VALUE_NULL;
  else if (lk_slice_equal(json, LK_LIT("true"))) out->kind = LK_VALUE_BOOL, out->boolean = true;
  else if (lk_slice_equal(json, LK_LIT("false"))) out->kind = LK_VALUE_BOOL;
  else if (lk_number_parse_f64(json, &number) == LK_OK) {
    out->kind = LK_VALUE_NUMBER;
    out->number = number;
  } else if (json.len >= 2 && json.ptr[0] == '"' &&
             lk_json_find_special(json, 1, &high) == json.len - 1) {
    out->kind = LK_VALUE_STRING;
    out->bytes = lk_slice_of(json.ptr + 1, json.len - 2);
  } else {
    return false;
  }
  return true;
}

static lk_err value_of_values(const lk_doc *doc, const lk_item *item, uint32_t at, lk_value *out) {
  lk_read_values values = lk_read_values_of(doc, item);
  for (uint32_t i = 0; i < at; i++) (void)lk_read_next_value(&values);
  lk_slice value = lk_read_next_value(&values);
  if (values.json && value_of_json(value, out)) return LK_OK;
  lk_parsed key = { item->client, item->clock + at, LK_SLICE_EMPTY };
  /* Only caches change, which are nobody's view of the document. */
  lk_err err = values.json ? parse((lk_doc *)doc, key, value, &value) : LK_OK;
  if (err == LK_OK) value_of_any(value, out);
  return err;
}

static lk_err read_value(const lk_doc *doc, const lk_item *item, uint32_t at, lk_value *out) {
  *out = (lk_value){ .kind = LK_VALUE_UNDEFINED };
  switch (item->kind) {
  case LK_CONTENT_ANY:
  case LK_CONTENT_JSON: return value_of_values(doc, item, at, out);
  case LK_CONTENT_EMBED: value_of_any(lk_value_bytes(doc, item->content), out); break;
  case LK_CONTENT_BINARY:
    *out = (lk_value){ .kind = LK_VALUE_BINARY, .bytes = lk_value_bytes(doc, item->content) };
    break;
  case LK_CONTENT_STRING: {
    bool wide = (item->flags & LK_ITEM_WIDE) != 0;
    out->kind = LK_VALUE_STRING;
    out->bytes = wide ? LK_UTF8_REPLACEMENT : lk_slice_of(doc->text + item->content + at, 1);
    break;
  }
  case LK_CONTENT_TYPE:
    *out = (lk_value){ .kind = LK_VALUE_NODE, .node = lk_node_of(doc, item->content) };
    break;
  case LK_CONTENT_DOC:
    *out = (lk_value){ .kind = LK_VALUE_DOC,
                       .bytes = lk_name_slice(doc, lk_item_key(doc, item)),
                       .options = lk_value_bytes(doc, item->content) };
    break;
  default: break;
  }
  return LK_OK;
}

void lk_read_value(const lk_doc *doc, const lk_item *item, uint32_t at, lk_value *out) {
  (void)read_value(doc, item, at, out);
}

lk_err lk_doc_list_get(const lk_doc *self, lk_node node, uint64_t index, lk_value *out) {
  uint32_t type, before;
  lk_err err = lk_node_resolve(self, node, KINDS_LIST, &type);
  if (err != LK_OK) return err;
  if (index >= lk_type_at(self, type)->length) return LK_ERR_RANGE;
  /* Only caches change, which are nobody's view of the document. */
  uint32_t item = lk_list_find((lk_doc *)self, type, (uint32_t)index, &before);
  if (item == LK_NONE) return LK_ERR_RANGE;
  return read_value(self, lk_item_at(self, item), (uint32_t)index - before, out);
}

/* An entry holds the last unit of its item. */
static lk_err value_of_entry(const lk_doc *doc, uint32_t item, lk_value *out) {
  const lk_item *it = lk_item_at(doc, item);
  return read_value(doc, it, it->len - 1, out);
}

lk_err lk_doc_map_get(const lk_doc *self, lk_node node, lk_slice key, lk_value *out) {
  uint32_t type;
  lk_err err = lk_node_resolve(self, node, 0, &type);
  if (err != LK_OK) return err;
  uint32_t name = lk_name_find(self, key);
  uint32_t entry = name == LK_NONE ? LK_NONE : lk_entry_find(self, type, name);
  uint32_t item = entry == LK_NONE ? LK_NONE : lk_read_entry(self, entry);
  if (item == LK_NONE) return LK_ERR_NOT_FOUND;
  return value_of_entry(self, item, out);
}

uint64_t lk_doc_map_count(const lk_doc *self, lk_node node) {
  uint32_t type;
  uint64_t count = 0;
  if (lk_node_resolve(self, node, 0, &type) != LK_OK) return 0;
  for (uint32_t e = lk_type_at(self, type)->entry_first; e != LK_NONE;
       e = self->entries.at[e].next) {
    if (lk_read_entry(self, e) != LK_NONE) count++;
  }
  return count;
}

/* The cursor is the entry that was given last, and one more. */
bool lk_doc_map_next(const lk_doc *self, lk_node node, uint32_t *cursor, lk_slice *key,
                     lk_value *out) {
  uint32_t type;
  if (lk_node_resolve(self, node, 0, &type) != LK_OK || *cursor > self->entries.count) return false;
  uint32_t e = *cursor == 0 ? lk_type_at(self, type)->entry_first
                            : self->entries.at[*cursor - 1].next;
  while (e != LK_NONE && lk_read_entry(self, e) == LK_NONE) e = self->entries.at[e].next;
  if (e == LK_NONE) return false;
  *cursor = e + 1;
  *key = lk_name_slice(self, self->entries.at[e].key);
  (void)value_of_entry(self, lk_read_entry(self, e), out);
  return true;
}

/* ---- plain text ---- */

#define COPY_LEN 32

/* |len| bytes, as so many units. */
static inline void widen(uint8_t *to, const uint8_t *from, uint32_t len) {
  for (uint32_t i = 0; i < len; i++) lk_store_le16(to + 2 * (size_t)i, from[i]);
}

/* Appends what the items from |i| on show, and gives the first that it leaves to the caller: one that is not ASCII, or long,
 * or stands where there is no room to copy that many bytes. Nobody can predict which items are deleted: those are copied,
 * too, and what comes next is copied over them. As |size| bytes for each unit, one or two. */
static inline __attribute__((always_inline)) uint32_t append_plain(const lk_doc *doc, uint32_t i,
                                                                   uint32_t size, lk_buf *out) {
  const lk_item *const items = doc->items;
  const uint8_t *const text = doc->text;
  uint8_t *to = out->ptr + out->len;
  if (out->cap < COPY_LEN * size || doc->text_cap < COPY_LEN) return i;
  const uint8_t *const last = out->ptr + out->cap - COPY_LEN * size;
  const uint32_t most = doc->text_cap - COPY_LEN;
  while (i != LK_NONE && to <= last) {
    const lk_item *item = &items[i];
    uint32_t other = (item->kind ^ LK_CONTENT_STRING) | (item->flags & LK_ITEM_DELETED);
    uint32_t shown = (uint32_t)(other == 0) * UINT32_MAX, len = item->len & shown;
    uint32_t from = item->content & shown;
    if (len > COPY_LEN || from > most || (item->flags & shown & LK_ITEM_WIDE) != 0) break;
    if (size == 1) {
      memcpy(to, text + from, COPY_LEN / 2);
      memcpy(to + COPY_LEN / 2, text + from + COPY_LEN / 2, COPY_LEN / 2);
    } else {
      widen(to, text + from, COPY_LEN);
    }
    to += (size_t)len * size;
    i = item->right;
  }
  out->len = (size_t)(to - out->ptr);
  return i;
}

/* For ASCII a unit is a byte, for all else more. Embeds have a unit and no text, so that the length may be more
 * than the text is: then a buffer's maximum is met while copying, or not at all. */
static void reserve_text(size_t length, lk_buf *out) {
  length += COPY_LEN;
  if (length <= out->max - out->len) (void)lk_buf_reserve(out, length);
}

lk_err lk_read_text(const lk_doc *doc, uint32_t type, lk_buf *out) {
  size_t start = out->len;
  uint16_t high = 0;
  if (out->err != LK_OK) return out->err;
  reserve_text(lk_type_at(doc, type)->length, out);
  for (uint32_t i = lk_type_at(doc, type)->start; i != LK_NONE && out->err == LK_OK;) {
    if (high == 0) i = append_plain(doc, i, 1, out);
    if (i == LK_NONE) break;
    const lk_item *item = lk_item_at(doc, i);
    i = item->right;
    if (item->kind == LK_CONTENT_STRING && !lk_item_deleted(item))
      lk_item_append_utf8(doc, item, 0, item->len, &high, out);
  }
  lk_text_flush(&high, out);
  lk_err err = out->err;
  if (err != LK_OK) lk_buf_truncate(out, start);
  return err;
}

#ifndef LK_SMALL
/* Those of |count| units that are half a pair without the other one become U+FFFD, as in UTF-8. */
static void make_well_formed(uint8_t *units, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint16_t unit = lk_load_le16(units + 2 * i);
    if (lk_utf_is_high_surrogate(unit) && i + 1 < count &&
        lk_utf_is_low_surrogate(lk_load_le16(units + 2 * (i + 1))))
      i++;
    else if (lk_utf_is_high_surrogate(unit) || lk_utf_is_low_surrogate(unit))
      lk_store_le16(units + 2 * i, LK_UTF_REPLACEMENT);
  }
}

/* Appends the units of |item|; whether there is half a pair among them. */
static bool append_wide(const lk_doc *doc, const lk_item *item, lk_buf *out) {
  const uint8_t *from = doc->text + item->content;
  size_t bytes = 2 * (size_t)item->len;
  bool has_halves = false;
  uint8_t *to = out->ptr + out->len;
  if (bytes > out->cap - out->len) {
    if (lk_buf_reserve(out, bytes) != LK_OK) return false;
    to = out->ptr + out->len;
  }
  if ((item->flags & LK_ITEM_WIDE) == 0) {
    widen(to, from, item->len);
  } else {
    memcpy(to, from, bytes);
    for (uint32_t i = 0; i < item->len; i++)
      has_halves |= (lk_load_le16(from + 2 * (size_t)i) & 0xF800) == 0xD800;
  }
  out->len += bytes;
  return has_halves;
}

/* The text from |i| on, in UTF-16. */
static void read_wide(const lk_doc *doc, uint32_t i, lk_buf *out) {
  size_t start = out->len;
  bool has_halves = false;
  while (i != LK_NONE && out->err == LK_OK) {
    i = append_plain(doc, i, 2, out);
    if (i == LK_NONE) break;
    const lk_item *item = lk_item_at(doc, i);
    i = item->right;
    if (item->kind == LK_CONTENT_STRING && !lk_item_deleted(item))
      has_halves |= append_wide(doc, item, out);
  }
  if (has_halves && out->err == LK_OK) make_well_formed(out->ptr + start, (out->len - start) / 2);
}

lk_err lk_read_text_units(const lk_doc *doc, uint32_t type, lk_buf *out, bool *wide) {
  size_t start = out->len;
  uint32_t i = lk_type_at(doc, type)->start;
  *wide = false;
  if (out->err != LK_OK) return out->err;
  reserve_text(lk_type_at(doc, type)->length, out);
  while (i != LK_NONE && out->err == LK_OK) {
    i = append_plain(doc, i, 1, out);
    if (i == LK_NONE) break;
    const lk_item *item = lk_item_at(doc, i);
    bool shown = item->kind == LK_CONTENT_STRING && !lk_item_deleted(item);
    if (shown && (*wide = (item->flags & LK_ITEM_WIDE) != 0)) break;
    if (shown) (void)lk_buf_append(out, lk_slice_of(doc->text + item->content, item->len));
    i = item->right;
  }
  if (*wide && out->err == LK_OK) {
    size_t units = out->len - start, more = lk_type_at(doc, type)->length - units + COPY_LEN;
    if (lk_buf_reserve(out, units + 2 * more) == LK_OK) {
      uint8_t *text = out->ptr + start;
      for (size_t u = units; u-- > 0;) lk_store_le16(text + 2 * u, text[u]);
      out->len += units;
      read_wide(doc, i, out);
    }
  }
  lk_err err = out->err;
  if (err != LK_OK) lk_buf_truncate(out, start);
  return err;
}
#endif

static lk_err read_xml(const lk_doc *doc, uint32_t type, lk_buf *out) {
  lk_formats formats;
  lk_formats_init(&formats, doc);
  lk_err err = lk_read_xml(doc, type, &formats, out);
  lk_formats_deinit(&formats);
  return err;
}

lk_err lk_doc_text_string(const lk_doc *self, lk_node node, lk_buf *out) {
  uint32_t type;
  lk_err err = lk_node_resolve(self, node, 0, &type);
  if (err != LK_OK) return err;
  switch (lk_read_kind(self, type)) {
  case LK_NODE_UNKNOWN: return out->err;
  case LK_NODE_TEXT:
  case LK_NODE_XML_TEXT: return lk_read_text(self, type, out);
  case LK_NODE_ARRAY:
  case LK_NODE_MAP: return lk_read_json(self, type, out);
  default: return read_xml(self, type, out);
  }
}

lk_err lk_doc_xml_string(const lk_doc *self, lk_node node, lk_buf *out) {
  uint32_t type;
  lk_err err = lk_node_resolve(self, node, 0, &type);
  if (err != LK_OK) return err;
  switch (lk_read_kind(self, type)) {
  case LK_NODE_UNKNOWN: return out->err;
  case LK_NODE_ARRAY:
  case LK_NODE_MAP: return lk_read_json(self, type, out);
  default: return read_xml(self, type, out);
  }
}
