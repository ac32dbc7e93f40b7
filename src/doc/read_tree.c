/* doc/read_tree.c -- the shortest way to all that a node holds.
 *
 * A reader in JavaScript has objects that list their keys in JavaScript's order, numbers that print themselves, and
 * strings that compare by units. So this only copies: values as they lie, text in runs, nodes in nodes from the
 * outside to the inside. It is what is in laniakea-doc.wasm, where each byte counts, instead of read_json.c and
 * read_xml.c, and takes one call however deep the nodes lie. The format is drawn in read_tree.h. */
#include "doc/read_tree.h"

#include "codec/any.h"
#include "codec/lib0.h"
#include "codec/utf.h"
#include "codec/varint.h"
#include "doc/read.h"

#define TAG_NODE 1
#define TAG_DOC 2
#define TAG_TREE 3
#define TAG_FORMAT 4
#define TAG_EMBED 5
#define TAG_JSON 6
#define END 0

typedef struct frame {
  uint32_t entry; /* the next one, or LK_NONE */
  uint32_t item;  /* likewise */
  uint8_t kind;
  bool keyed; /* its pairs are not at their end */
} frame;

typedef struct printer {
  const lk_doc *doc;
  lk_buf *out;
  lk_buf run; /* text that is not written yet */
  uint16_t high;
  frame *frames;
  uint32_t frame_count, frame_cap;
  bool formats; /* a text is to come with its formatting */
  bool shallow;
  lk_err err;
} printer;

static void put_u8(printer *self, uint8_t byte) { (void)lk_buf_append_u8(self->out, byte); }

static void put_run(printer *self) {
  lk_text_flush(&self->high, &self->run);
  if (self->run.err != LK_OK) self->err = self->run.err;
  if (self->run.len > 0) (void)lk_any_encode_string(self->out, lk_buf_slice(&self->run));
  lk_buf_truncate(&self->run, 0);
}

static void push(printer *self, lk_node_kind kind, uint32_t entry, uint32_t item) {
  size_t cap;
  if (self->frame_count == self->frame_cap) {
    frame *grown = NULL;
    if (lk_grow_cap(self->frame_cap, (size_t)self->frame_count + 1, 16, UINT32_MAX / 64, &cap)) {
      grown = lk_resize_array(&self->doc->alloc, self->frames, self->frame_cap, cap, sizeof *grown);
    }
    if (grown == NULL) {
      self->err = LK_ERR_NOMEM;
      return;
    }
    self->frames = grown;
    self->frame_cap = (uint32_t)cap;
  }
  self->frames[self->frame_count++] = (frame){ entry, item, (uint8_t)kind, true };
}

static void enter(printer *self, uint32_t type) {
  lk_node_kind kind = lk_read_kind(self->doc, type);
  const lk_type *t = lk_type_at(self->doc, type);
  put_u8(self, TAG_TREE);
  if (kind == LK_NODE_TEXT && self->formats) kind = LK_NODE_XML_TEXT;
  self->formats = false;
  put_u8(self, (uint8_t)kind);
  if (kind == LK_NODE_UNKNOWN) return;
  if (kind == LK_NODE_TEXT) {
    self->err = lk_read_text(self->doc, type, &self->run);
    lk_any_encode_string(self->out, lk_buf_slice(&self->run));
    lk_buf_truncate(&self->run, 0);
    return;
  }
  if (kind == LK_NODE_XML_ELEMENT) {
    bool named = t->item != LK_NONE && t->name != LK_NONE;
    (void)lk_lib0_string_encode(self->out,
                                named ? lk_name_slice(self->doc, t->name) : LK_LIT("undefined"));
  }
  bool map = kind == LK_NODE_MAP || kind == LK_NODE_XML_HOOK;
  bool keyed = map || kind == LK_NODE_XML_ELEMENT;
  push(self, kind, keyed ? t->entry_first : LK_NONE, map ? LK_NONE : t->start);
}

static void put_node(printer *self, uint32_t type) {
  lk_node node = lk_node_of(self->doc, type);
  put_u8(self, TAG_NODE);
  (void)lk_buf_append_le32(self->out, node.slot);
  (void)lk_buf_append_le32(self->out, node.check);
  put_u8(self, lk_type_at(self->doc, type)->kind);
}

static void put_doc(printer *self, const lk_item *item) {
  put_u8(self, TAG_DOC);
  (void)lk_lib0_string_encode(self->out, lk_name_slice(self->doc, lk_item_key(self->doc, item)));
  (void)lk_buf_append(self->out, lk_value_bytes(self->doc, item->content));
}

static void put_value(lk_buf *out, lk_slice value, bool json) {
  if (json) {
    (void)lk_buf_append_u8(out, TAG_JSON);
    (void)lk_lib0_string_encode(out, value);
  } else {
    (void)lk_buf_append(out, value);
  }
}

static void put_units(printer *self, const lk_item *item, uint32_t from, uint32_t end) {
  uint8_t bytes[4];
  for (uint32_t i = from; i < end; i++) {
    size_t len = lk_utf8_encode(lk_item_unit(self->doc, item, i), bytes);
    (void)lk_any_encode_string(self->out, lk_slice_of(bytes, len));
  }
}

/* The units of an item from |from| to |end|. May push a frame. */
static void put_content(printer *self, const lk_item *item, uint32_t from, uint32_t end) {
  put_run(self);
  switch (item->kind) {
  case LK_CONTENT_STRING: put_units(self, item, from, end); break;
  case LK_CONTENT_TYPE:
    if (self->shallow) put_node(self, item->content);
    else enter(self, item->content);
    break;
  case LK_CONTENT_DOC:
    if (self->shallow) put_doc(self, item);
    else (void)lk_any_encode_object_begin(self->out, 0);
    break;
  case LK_CONTENT_BINARY:
    (void)lk_any_encode_bytes(self->out, lk_value_bytes(self->doc, item->content));
    break;
  case LK_CONTENT_EMBED:
    (void)lk_buf_append(self->out, lk_value_bytes(self->doc, item->content));
    break;
  case LK_CONTENT_ANY:
  case LK_CONTENT_JSON: {
    lk_read_values values = lk_read_values_of(self->doc, item);
    for (uint32_t i = 0; i < end && self->out->err == LK_OK; i++) {
      lk_slice value = lk_read_next_value(&values);
      if (i >= from) put_value(self->out, value, values.json);
    }
    break;
  }
  default: (void)lk_any_encode_null(self->out); break;
  }
}

static void put_text(printer *self, const lk_item *item) {
  lk_item_append_utf8(self->doc, item, 0, item->len, &self->high, &self->run);
}

/* One item of a text. */
static void put_text_item(printer *self, const lk_item *item) {
  switch (item->kind) {
  case LK_CONTENT_EMBED:
    put_run(self);
    put_u8(self, TAG_EMBED);
    break;
  case LK_CONTENT_FORMAT:
    put_run(self);
    put_u8(self, TAG_FORMAT);
    (void)lk_lib0_string_encode(self->out, lk_name_slice(self->doc, lk_item_key(self->doc, item)));
    (void)lk_buf_append(self->out, lk_value_bytes(self->doc, item->content));
    return;
  case LK_CONTENT_STRING: put_text(self, item); return;
  case LK_CONTENT_TYPE: break;
  default: return;
  }
  put_content(self, item, 0, 1);
}

static void step_entry(printer *self, frame *f) {
  uint32_t item = lk_read_entry(self->doc, f->entry);
  lk_slice key = lk_name_slice(self->doc, self->doc->entries.at[f->entry].key);
  f->entry = self->doc->entries.at[f->entry].next;
  if (item == LK_NONE) return;
  (void)lk_any_encode_string(self->out, key);
  const lk_item *it = lk_item_at(self->doc, item);
  put_content(self, it, it->len - 1, it->len);
}

static void step_item(printer *self, frame *f) {
  const lk_item *item = lk_item_at(self->doc, f->item);
  f->item = item->right;
  if (lk_item_deleted(item)) return;
  if (f->kind == LK_NODE_XML_TEXT) put_text_item(self, item);
  else if (item->kind == LK_CONTENT_STRING && f->kind != LK_NODE_ARRAY) put_text(self, item);
  else if (lk_item_units(item) > 0) put_content(self, item, 0, item->len);
}

static void step(printer *self) {
  frame *f = &self->frames[self->frame_count - 1];
  if (f->entry != LK_NONE) step_entry(self, f);
  else if (!f->keyed && f->item != LK_NONE) step_item(self, f);
  else {
    put_run(self);
    put_u8(self, END);
    if (!f->keyed) self->frame_count--;
    f->keyed = false;
  }
}

static lk_err init(printer *self, const lk_doc *doc, bool shallow, lk_buf *out) {
  *self = (printer){ .doc = doc, .out = out, .shallow = shallow };
  lk_buf_init(&self->run, &doc->alloc, SIZE_MAX / 2);
  return out->err;
}

/* Puts what frames are left. |start| is the length that |out| had. */
static lk_err finish(printer *self, size_t start) {
  while (self->frame_count > 0 && self->err == LK_OK && self->out->err == LK_OK) step(self);
  lk_buf_deinit(&self->run);
  lk_free_array(&self->doc->alloc, self->frames, self->frame_cap, sizeof *self->frames);
  if (self->err == LK_OK) self->err = self->out->err;
  if (self->err != LK_OK) lk_buf_truncate(self->out, start);
  return self->err;
}

static lk_err put_one(const lk_doc *doc, const lk_item *item, uint32_t at, bool shallow,
                      lk_buf *out) {
  printer self;
  size_t start = out->len;
  lk_err err = init(&self, doc, shallow, out);
  if (err != LK_OK) return err;
  put_content(&self, item, at, at + 1);
  return finish(&self, start);
}

/* ---- what is asked for ---- */

lk_err lk_doc_tree(const lk_doc *self, lk_node node, lk_tree_what what, lk_buf *out) {
  printer to;
  uint32_t type;
  size_t start = out->len;
  lk_err err = lk_node_resolve(self, node, 0, &type);
  if (err == LK_OK) err = init(&to, self, what >= LK_TREE_ELEMENTS, out);
  if (err != LK_OK) return err;
  const lk_type *t = lk_type_at(self, type);
  to.formats = what == LK_TREE_DELTA;
  if (what == LK_TREE_ENTRIES) push(&to, LK_NODE_MAP, t->entry_first, LK_NONE);
  else if (what == LK_TREE_ELEMENTS) push(&to, LK_NODE_ARRAY, LK_NONE, t->start);
  else enter(&to, type);
  return finish(&to, start);
}

lk_err lk_doc_tree_element(const lk_doc *self, lk_node node, uint32_t index, lk_buf *out) {
  uint32_t type, before;
  lk_err err = lk_node_resolve(self, node, 0, &type);
  if (err != LK_OK) return err;
  if (index >= lk_type_at(self, type)->length) return LK_ERR_RANGE;
  /* Only caches change, which are nobody's view of the document. */
  uint32_t item = lk_list_find((lk_doc *)self, type, index, &before);
  if (item == LK_NONE) return LK_ERR_RANGE;
  return put_one(self, lk_item_at(self, item), index - before, true, out);
}

lk_err lk_doc_tree_value(const lk_doc *self, lk_node node, lk_slice key, lk_buf *out) {
  uint32_t type;
  lk_err err = lk_node_resolve(self, node, 0, &type);
  if (err != LK_OK) return err;
  uint32_t name = lk_name_find(self, key);
  uint32_t entry = name == LK_NONE ? LK_NONE : lk_entry_find(self, type, name);
  uint32_t item = entry == LK_NONE ? LK_NONE : lk_read_entry(self, entry);
  if (item == LK_NONE) return LK_ERR_NOT_FOUND;
  const lk_item *it = lk_item_at(self, item);
  return put_one(self, it, it->len - 1, true, out);
}

/* ---- events ---- */

static lk_err put_count(lk_buf *out, uint32_t count) { return lk_varuint_encode(out, count); }

static lk_err put_plain(lk_slice value, bool json, lk_buf *out) {
  put_value(out, value, json);
  return lk_buf_err(out);
}

static lk_err put_deep(const lk_doc *doc, const lk_item *item, uint32_t at, lk_buf *out) {
  return put_one(doc, item, at, false, out);
}

/* An index on a path is a number, and a number of an operation is a count. */
static lk_err put_index(lk_buf *out, uint32_t index) { return lk_any_encode_number(out, index); }

#define BYTE(value)                                                                                \
  { (const uint8_t[]){ value }, 1 }

const lk_event_form lk_event_tree = {
  .mark = { [LK_SAY_RETAIN] = BYTE(1),
            [LK_SAY_DELETE] = BYTE(2),
            [LK_SAY_INSERT] = BYTE(3),
            [LK_SAY_ATTRIBUTES] = BYTE(4),
            [LK_SAY_ATTRIBUTES_END] = BYTE(END),
            [LK_SAY_LIST] = BYTE(7),
            [LK_SAY_LIST_END] = BYTE(END) },
  .count = put_count,
  .index = put_index,
  .string = lk_any_encode_string,
  .plain = put_plain,
  .value = put_deep,
};
