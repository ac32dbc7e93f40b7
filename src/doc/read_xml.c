/* doc/read_xml.c -- XML as Yjs prints it: the strings of XmlFragment, XmlElement, XmlText and XmlHook.
 *
 *   element   <name key="value" ...>children</name>   name in lower case, keys sorted, nothing escaped
 *   text      each stretch of equal formatting between one tag for each attribute:
 *             <bold><link href="...">text</link></bold>, sorted by name; what the attribute's
 *             value is made of becomes the tag's attributes, sorted, too
 *   others    what JavaScript makes of them: text as it is, maps, arrays and hooks "[object Object]"
 *
 * This is no XML that could be read back: nothing is escaped. It is what applications of Yjs print, compare and
 * store, so it is given to the byte, with JavaScript's ways where values are not strings: null as "null", arrays
 * as their elements with commas, the value "ab" of a formatting attribute as the tag <x 0="a" 1="b">.
 * Two things differ: names are lowered in ASCII only, and what JavaScript throws at (null among the children)
 * is printed. For HTML that is safe to show there is laniakea/render.h.
 *
 * The walk keeps a frame for each node that is open:
 *
 *   TAG       an element's attributes, whose values may be nodes with frames of their own; then its
 *   CHILDREN  then its end
 *   TEXT      an XmlText, with the formatting that is in force there
 *
 * A new stretch begins at every formatting item, even where it changes nothing: Yjs does so, and one can see it. */
#include "codec/any.h"
#include "codec/lib0.h"
#include "codec/number.h"
#include "codec/utf.h"
#include "doc/read.h"
#include "doc/value.h"

#define OBJECT_TEXT LK_LIT("[object Object]")

/* ---- values as JavaScript's strings ---- */

static void append_number(double value, lk_buf *out) {
  uint8_t text[LK_NUMBER_F64_CHARS];
  lk_buf_append(out, lk_slice_of(text, lk_number_print_f64(value, text)));
}

static void append_i64(int64_t value, lk_buf *out) {
  uint8_t text[LK_NUMBER_INT_CHARS];
  lk_buf_append(out, lk_slice_of(text, lk_number_print_i64(value, text)));
}

static void append_bytes(lk_slice bytes, lk_buf *out) {
  for (size_t i = 0; i < bytes.len; i++) {
    if (i > 0) lk_buf_append_u8(out, ',');
    lk_buf_append_decimal(out, bytes.ptr[i]);
  }
}

/* |inside| an array null and undefined are nothing. */
static void append_simple(const lk_any_item *item, bool inside, lk_buf *out) {
  switch (item->kind) {
  case LK_ANY_UNDEFINED: lk_buf_append(out, inside ? LK_SLICE_EMPTY : LK_LIT("undefined")); break;
  case LK_ANY_NULL: lk_buf_append(out, inside ? LK_SLICE_EMPTY : LK_LIT("null")); break;
  case LK_ANY_BOOL: lk_buf_append(out, item->as.boolean ? LK_LIT("true") : LK_LIT("false")); break;
  case LK_ANY_NUMBER: append_number(item->as.number, out); break;
  case LK_ANY_BIGINT: append_i64(item->as.bigint, out); break;
  case LK_ANY_STRING: lk_buf_append(out, item->as.bytes); break;
  case LK_ANY_BYTES: append_bytes(item->as.bytes, out); break;
  default: break;
  }
}

void lk_read_append_js(lk_slice any, lk_buf *out) {
  lk_any_frame frames[LK_ANY_DEPTH_MAX];
  lk_any_reader reader;
  lk_any_item item;
  lk_reader in = lk_reader_of(any);
  uint32_t arrays = 0, objects = 0; /* open ones; what is in an object is not looked at */
  bool comma = false;
  lk_any_reader_init(&reader, &in, frames, LK_ANY_DEPTH_MAX);
  while (out->err == LK_OK && lk_any_decode(&reader, &item) == LK_OK) {
    if (item.kind == LK_ANY_OBJECT_END && --objects == 0) lk_buf_append(out, OBJECT_TEXT);
    if (item.kind == LK_ANY_OBJECT_BEGIN) {
      if (objects++ == 0 && comma) lk_buf_append_u8(out, ',');
    } else if (objects > 0 || item.kind == LK_ANY_KEY) {
      continue;
    } else if (item.kind == LK_ANY_ARRAY_BEGIN) {
      if (comma) lk_buf_append_u8(out, ',');
      comma = false;
      arrays++;
      continue;
    } else if (item.kind == LK_ANY_ARRAY_END) {
      arrays--;
    } else if (item.kind != LK_ANY_OBJECT_END) {
      if (comma) lk_buf_append_u8(out, ',');
      append_simple(&item, arrays > 0, out);
    }
    comma = arrays > 0; /* behind a whole value in an array */
  }
}

/* ---- the walk ---- */

enum { TAG, CHILDREN, TEXT };

typedef struct frame {
  uint32_t type;
  uint32_t item;          /* TEXT and CHILDREN: the next one, or LK_NONE */
  uint32_t refs;          /* TAG: where its entries begin in |refs|; TEXT: where the open tags do */
  uint32_t ref_at;        /* TAG: the next entry */
  lk_formats_outer outer; /* TEXT */
  uint8_t phase;
  bool open;    /* TAG: a value's quote; TEXT: tags */
  bool closing; /* TEXT: they go round a node or embed alone */
} frame;

typedef struct printer {
  const lk_doc *doc;
  lk_buf *out;
  frame *frames;
  uint32_t frame_count, frame_cap;
  lk_refs refs;
  lk_formats *formats;
  lk_arena arena;   /* the parts of a formatting value */
  uint32_t ychange; /* a name that Yjs treats by itself, or LK_NONE */
  uint16_t high;    /* half a pair that waits for the other one */
  lk_err err;
} printer;

static void fail(printer *self, lk_err err) {
  if (self->err == LK_OK) self->err = err;
}

static void put(printer *self, lk_slice text) {
  lk_text_flush(&self->high, self->out);
  lk_buf_append(self->out, text);
}

static frame *push(printer *self, uint32_t type, uint8_t phase) {
  if (self->frame_count == self->frame_cap) {
    size_t cap;
    frame *grown = NULL;
    if (lk_grow_cap(self->frame_cap, (size_t)self->frame_count + 1, 16, UINT32_MAX / 64, &cap)) {
      grown = lk_resize_array(&self->doc->alloc, self->frames, self->frame_cap, cap, sizeof *grown);
    }
    if (grown == NULL) {
      fail(self, LK_ERR_NOMEM);
      return NULL;
    }
    self->frames = grown;
    self->frame_cap = (uint32_t)cap;
  }
  frame *f = &self->frames[self->frame_count++];
  *f = (frame){ .type = type, .phase = phase, .refs = self->refs.count };
  f->item = lk_type_at(self->doc, type)->start;
  return f;
}

static bool key_before(const void *ctx, uint32_t a, uint32_t b) {
  const lk_doc *doc = ctx;
  return lk_read_compare_utf16(lk_name_slice(doc, doc->entries.at[a].key),
                               lk_name_slice(doc, doc->entries.at[b].key)) < 0;
}

/* A root has no name of its own in Yjs; it calls such elements UNDEFINED. */
static void put_name(printer *self, uint32_t type) {
  const lk_type *t = lk_type_at(self->doc, type);
  lk_slice name = t->item == LK_NONE || t->name == LK_NONE ? LK_LIT("undefined")
                                                           : lk_name_slice(self->doc, t->name);
  size_t at = self->out->len;
  put(self, name);
  for (; self->out->err == LK_OK && at < self->out->len; at++) {
    uint8_t byte = self->out->ptr[at];
    if (byte >= 'A' && byte <= 'Z') self->out->ptr[at] = byte | 0x20;
  }
}

static void enter_element(printer *self, uint32_t type) {
  frame *f = push(self, type, TAG);
  if (f == NULL) return;
  put(self, LK_LIT("<"));
  put_name(self, type);
  f->ref_at = f->refs;
  lk_err err = lk_read_push_entries(self->doc, type, &self->refs);
  if (err != LK_OK) fail(self, err);
  else lk_refs_sort(&self->refs, f->refs, key_before, self->doc);
}

/* Where no frame is pushed, the node was printed. */
static void enter(printer *self, uint32_t type) {
  frame *f;
  switch (lk_read_kind(self->doc, type)) {
  case LK_NODE_XML_FRAGMENT: (void)push(self, type, CHILDREN); break;
  case LK_NODE_XML_ELEMENT: enter_element(self, type); break;
  case LK_NODE_XML_TEXT:
    f = push(self, type, TEXT);
    if (f != NULL) f->outer = lk_formats_begin(self->formats);
    break;
  case LK_NODE_TEXT: {
    put(self, LK_SLICE_EMPTY);
    lk_err err = lk_read_text(self->doc, type, self->out);
    if (err != LK_OK) fail(self, err);
    break;
  }
  default: put(self, OBJECT_TEXT); break;
  }
}

static void put_json(printer *self, lk_slice json) {
  lk_slice any;
  lk_arena_mark mark = lk_arena_get_mark(&self->arena);
  lk_err err = LK_OK;
  if (lk_slice_equal(json, LK_LIT("undefined"))) put(self, json);
  else if ((err = lk_value_any_of_json(json, LK_ANY_DEPTH_MAX, &self->arena, &any)) != LK_OK) {
    fail(self, err);
  } else lk_read_append_js(any, self->out);
  lk_arena_pop_to(&self->arena, mark);
}

/* The units of an item that is not deleted from |from| on, none of them formatting. */
static void put_content(printer *self, const lk_item *item, uint32_t from) {
  if (item->kind == LK_CONTENT_STRING) {
    lk_item_append_utf8(self->doc, item, from, item->len - from, &self->high, self->out);
    return;
  }
  put(self, LK_SLICE_EMPTY);
  switch (item->kind) {
  case LK_CONTENT_TYPE: enter(self, item->content); break;
  case LK_CONTENT_BINARY: append_bytes(lk_value_bytes(self->doc, item->content), self->out); break;
  case LK_CONTENT_EMBED:
    lk_read_append_js(lk_value_bytes(self->doc, item->content), self->out);
    break;
  case LK_CONTENT_DOC: put(self, OBJECT_TEXT); break;
  case LK_CONTENT_ANY:
  case LK_CONTENT_JSON: {
    lk_read_values values = lk_read_values_of(self->doc, item);
    for (uint32_t i = 0; i < item->len && self->out->err == LK_OK && self->err == LK_OK; i++) {
      lk_slice value = lk_read_next_value(&values);
      if (i < from) continue;
      if (values.json) put_json(self, value);
      else lk_read_append_js(value, self->out);
    }
    break;
  }
  default: break;
  }
}

static void step_tag(printer *self, frame *f) {
  if (f->open) put(self, LK_LIT("\""));
  f->open = false;
  if (f->ref_at == self->refs.count) {
    self->refs.count = f->refs;
    put(self, LK_LIT(">"));
    f->phase = CHILDREN;
    return;
  }
  uint32_t entry = self->refs.at[f->ref_at++];
  const lk_item *item = lk_item_at(self->doc, lk_read_entry(self->doc, entry));
  put(self, LK_LIT(" "));
  put(self, lk_name_slice(self->doc, self->doc->entries.at[entry].key));
  put(self, LK_LIT("=\""));
  f->open = true;
  put_content(self, item, item->len - 1);
}

static void step_children(printer *self, frame *f) {
  while (f->item != LK_NONE) {
    const lk_item *item = lk_item_at(self->doc, f->item);
    f->item = item->right;
    if (lk_item_units(item) == 0) continue;
    put_content(self, item, 0);
    return;
  }
  if (lk_type_at(self->doc, f->type)->kind == LK_NODE_XML_ELEMENT) {
    put(self, LK_LIT("</"));
    put_name(self, f->type);
    put(self, LK_LIT(">"));
  }
  self->frame_count--;
}

/* ---- formatting as tags ---- */

typedef struct part {
  lk_slice key, value; /* the value an any, or text where |text| */
  bool text;
} part;

static bool part_before(const void *ctx, uint32_t a, uint32_t b) {
  const part *parts = ctx;
  return lk_read_compare_utf16(parts[a].key, parts[b].key) < 0;
}

static bool format_before(const void *ctx, uint32_t a, uint32_t b) {
  const lk_formats *formats = ctx;
  return lk_read_compare_utf16(lk_format_key(formats->doc, &formats->at[a]),
                               lk_format_key(formats->doc, &formats->at[b])) < 0;
}

/* The decimal digits of |index|, in the arena. */
static lk_slice index_text(printer *self, uint64_t index) {
  uint8_t text[LK_NUMBER_INT_CHARS];
  lk_slice copy = LK_SLICE_EMPTY;
  lk_err err = lk_arena_copy(&self->arena, lk_slice_of(text, lk_number_print_u64(index, text)),
                             &copy);
  if (err != LK_OK) fail(self, err);
  return copy;
}

/* One character of valid text; *units how many units it has. */
static lk_slice next_point(lk_slice *text, uint32_t *units) {
  uint32_t point;
  lk_slice rest = *text;
  lk_err err = lk_utf8_decode(&rest, &point);
  LK_ASSERT(err == LK_OK);
  lk_slice out = lk_slice_first(*text, text->len - rest.len);
  *units = point > 0xFFFF ? 2 : 1;
  *text = rest;
  return out;
}

/* Each unit of a string is a part of it. */
static uint64_t parts_of_string(printer *self, lk_slice text, part *parts, uint64_t room) {
  uint64_t count = 0;
  while (text.len > 0 && self->err == LK_OK) {
    uint32_t units;
    lk_slice point = next_point(&text, &units);
    for (uint32_t i = 0; i < units; i++) {
      LK_ASSERT(count < room);
      parts[count] = (part){ .text = true, .value = units == 1 ? point : LK_UTF8_REPLACEMENT };
      parts[count].key = index_text(self, count);
      count++;
    }
  }
  return count;
}

static uint64_t parts_of_bytes(printer *self, lk_slice bytes, part *parts) {
  for (uint64_t i = 0; i < bytes.len && self->err == LK_OK; i++) {
    parts[i] = (part){ index_text(self, i), index_text(self, bytes.ptr[i]), true };
  }
  return bytes.len;
}

/* |in| stands behind the beginning of an array or object. */
static uint64_t parts_of_container(printer *self, lk_reader *in, const lk_any_item *begin,
                                   part *parts) {
  for (uint32_t i = 0; i < begin->count && self->err == LK_OK; i++) {
    parts[i] = (part){ 0 };
    if (begin->kind == LK_ANY_ARRAY_BEGIN) {
      parts[i].key = index_text(self, i);
    } else if (lk_lib0_string_decode(in, &parts[i].key) != LK_OK) {
      LK_UNREACHABLE();
    }
    lk_slice rest = lk_reader_rest(in);
    lk_err err = lk_reader_bytes(in, lk_value_any_length(rest), &parts[i].value);
    LK_ASSERT(err == LK_OK);
  }
  return begin->count;
}

/* What "for (key in value)" visits, in an array of the arena. */
static part *parts_of(printer *self, lk_slice any, uint64_t *count) {
  lk_any_frame top;
  lk_any_reader reader;
  lk_any_item item;
  lk_reader in = lk_reader_of(any);
  lk_any_reader_init(&reader, &in, &top, 1);
  lk_err err = lk_any_decode(&reader, &item);
  LK_ASSERT(err == LK_OK);
  bool list = item.kind == LK_ANY_ARRAY_BEGIN || item.kind == LK_ANY_OBJECT_BEGIN;
  bool bytes = item.kind == LK_ANY_STRING || item.kind == LK_ANY_BYTES;
  size_t room = list ? item.count : bytes ? item.as.bytes.len : 0;
  *count = 0;
  if (room == 0) return NULL;
  part *parts = lk_arena_push_array(&self->arena, room, sizeof *parts);
  if (parts == NULL) {
    fail(self, LK_ERR_NOMEM);
    return NULL;
  }
  if (list) *count = parts_of_container(self, &in, &item, parts);
  else if (item.kind == LK_ANY_STRING) {
    *count = parts_of_string(self, item.as.bytes, parts, room);
  } else {
    *count = parts_of_bytes(self, item.as.bytes, parts);
  }
  return parts;
}

static void put_parts(printer *self, lk_slice any) {
  uint64_t count;
  uint32_t from = self->refs.count;
  lk_arena_mark mark = lk_arena_get_mark(&self->arena);
  const part *parts = parts_of(self, any, &count);
  for (uint32_t i = 0; i < count && self->err == LK_OK; i++) {
    lk_err err = lk_refs_push(&self->refs, i);
    if (err != LK_OK) fail(self, err);
  }
  if (self->err == LK_OK) lk_refs_sort(&self->refs, from, part_before, parts);
  for (uint32_t i = from; i < self->refs.count && self->err == LK_OK; i++) {
    const part *p = &parts[self->refs.at[i]];
    put(self, LK_LIT(" "));
    put(self, p->key);
    put(self, LK_LIT("=\""));
    if (p->text) put(self, p->value);
    else lk_read_append_js(p->value, self->out);
    put(self, LK_LIT("\""));
  }
  self->refs.count = from;
  lk_arena_pop_to(&self->arena, mark);
}

static void open_tags(printer *self, frame *f) {
  const lk_formats *formats = self->formats;
  if (f->open) return;
  f->open = true;
  for (uint32_t i = formats->base; i < formats->count; i++) {
    if (formats->at[i].item == LK_NONE) continue;
    lk_err err = lk_refs_push(&self->refs, i);
    if (err != LK_OK) {
      fail(self, err);
      return;
    }
  }
  lk_refs_sort(&self->refs, f->refs, format_before, formats);
  for (uint32_t i = f->refs, end = self->refs.count; i < end && self->out->err == LK_OK; i++) {
    const lk_format *format = &formats->at[self->refs.at[i]];
    put(self, LK_LIT("<"));
    put(self, lk_format_key(self->doc, format));
    put_parts(self, lk_format_value(self->doc, format));
    put(self, LK_LIT(">"));
  }
}

static void close_tags(printer *self, frame *f) {
  if (!f->open) return;
  put(self, LK_SLICE_EMPTY);
  while (self->refs.count > f->refs) {
    const lk_format *format = &self->formats->at[self->refs.at[--self->refs.count]];
    put(self, LK_LIT("</"));
    put(self, lk_format_key(self->doc, format));
    put(self, LK_LIT(">"));
  }
  f->open = false;
}

/* One item of a text. Yjs' reader forgets an attribute of the name "ychange" at the next text: it is
 * meant for what snapshots show. */
static void step_text_item(printer *self, frame *f, uint32_t i) {
  const lk_item *item = lk_item_at(self->doc, i);
  switch (item->kind) {
  case LK_CONTENT_STRING:
    if (self->ychange != LK_NONE && lk_formats_has(self->formats, self->ychange)) {
      close_tags(self, f);
      (void)lk_formats_remove(self->formats, self->ychange);
    }
    open_tags(self, f);
    put_content(self, item, 0);
    break;
  case LK_CONTENT_FORMAT: {
    close_tags(self, f);
    lk_err err = lk_formats_apply(self->formats, i);
    if (err != LK_OK) fail(self, err);
    break;
  }
  case LK_CONTENT_EMBED:
  case LK_CONTENT_TYPE:
    close_tags(self, f);
    open_tags(self, f);
    put_content(self, item, 0); /* may push a frame: |f| is not good any more */
    break;
  default: break;
  }
}

static bool is_node_or_embed(const lk_item *item) {
  return item->kind == LK_CONTENT_EMBED || item->kind == LK_CONTENT_TYPE;
}

static void step_text(printer *self, frame *f) {
  uint32_t depth = self->frame_count;
  if (f->closing) close_tags(self, f);
  f->closing = false;
  while (f->item != LK_NONE && self->out->err == LK_OK && self->err == LK_OK) {
    uint32_t i = f->item;
    const lk_item *item = lk_item_at(self->doc, i);
    f->item = item->right;
    if (lk_item_deleted(item)) continue;
    f->closing = is_node_or_embed(item);
    step_text_item(self, f, i);
    if (self->frame_count != depth) return;
    if (f->closing) close_tags(self, f);
    f->closing = false;
  }
  if (f->item != LK_NONE) return;
  close_tags(self, f);
  lk_formats_end(self->formats, f->outer);
  self->frame_count--;
}

static void step(printer *self) {
  frame *f = &self->frames[self->frame_count - 1];
  if (f->phase == TAG) step_tag(self, f);
  else if (f->phase == CHILDREN) step_children(self, f);
  else step_text(self, f);
}

lk_err lk_read_xml(const lk_doc *doc, uint32_t type, lk_formats *formats, lk_buf *out) {
  size_t start = out->len;
  if (out->err != LK_OK) return out->err;
  printer self = { .doc = doc, .out = out, .formats = formats, .refs = { .alloc = &doc->alloc } };
  self.ychange = lk_name_find(doc, LK_LIT("ychange"));
  lk_arena_init(&self.arena, &doc->alloc, SIZE_MAX / 2);
  enter(&self, type);
  while (self.frame_count > 0 && self.err == LK_OK && out->err == LK_OK) step(&self);
  if (self.err == LK_OK) lk_text_flush(&self.high, out);
  lk_arena_deinit(&self.arena);
  lk_refs_deinit(&self.refs);
  lk_free_array(&doc->alloc, self.frames, self.frame_cap, sizeof *self.frames);
  if (self.err == LK_OK) self.err = out->err;
  if (self.err != LK_OK) lk_buf_truncate(out, start);
  return self.err;
}
