/* doc/read_json.c -- documents as JSON: what JSON.stringify makes of Yjs' toJSON and toDelta.
 *
 *   array          [...]        elements; a node among them as its own JSON
 *   map, hook      {...}        keys as a JavaScript object has them: indexes first
 *   text           "..."        without formatting
 *   XML            "..."        the string that Yjs prints (read_xml.c)
 *   subdocument    {}           what it holds is not here
 *   delta          [{"insert":...,"attributes":{...}},...]
 *
 * Values follow JSON.stringify: NaN and the infinities are null, -0 is 0, undefined is left out of objects and null
 * elsewhere. Two kinds of value it does not know: bytes become base64, bigints a decimal number as a string.
 * A root that nobody asked for by kind is shown as what it looks like, and left out of the whole document's JSON
 * where it holds nothing, which is also what becomes of undefined, its value in Yjs.
 *
 * Nodes in nodes are frames of an array; a text or an XML node is one string and ends the descent. The keys of
 * all open maps lie in one array of entries. Commas and brackets are put here, since nodes may nest
 * deeper than a JSON writer goes; each single value is written by one. */
#include "codec/any.h"
#include "codec/base64.h"
#include "codec/json_writer.h"
#include "codec/number.h"
#include "codec/utf.h"
#include "doc/read.h"
#include "doc/value.h"

/* ---- values ---- */

static lk_err write_bytes(lk_json_writer *w, lk_slice bytes, lk_buf *scratch) {
  lk_buf_truncate(scratch, 0);
  lk_err err = lk_base64_encode(scratch, bytes, LK_BASE64_FORM_STANDARD);
  return err == LK_OK ? lk_json_write_string(w, lk_buf_slice(scratch)) : err;
}

static lk_err write_i64(lk_json_writer *w, int64_t value) {
  uint8_t text[LK_NUMBER_INT_CHARS];
  return lk_json_write_string(w, lk_slice_of(text, lk_number_print_i64(value, text)));
}

static lk_err write_number(lk_json_writer *w, double value) {
  return value - value == 0 ? lk_json_write_f64(w, value) : lk_json_write_null(w);
}

static lk_err write_item(lk_json_writer *w, const lk_any_item *item, lk_buf *scratch) {
  switch (item->kind) {
  case LK_ANY_BOOL: return lk_json_write_bool(w, item->as.boolean);
  case LK_ANY_NUMBER: return write_number(w, item->as.number);
  case LK_ANY_BIGINT: return write_i64(w, item->as.bigint);
  case LK_ANY_STRING: return lk_json_write_string(w, item->as.bytes);
  case LK_ANY_BYTES: return write_bytes(w, item->as.bytes, scratch);
  case LK_ANY_ARRAY_BEGIN: return lk_json_begin_array(w);
  case LK_ANY_ARRAY_END: return lk_json_end_array(w);
  case LK_ANY_OBJECT_BEGIN: return lk_json_begin_object(w);
  case LK_ANY_OBJECT_END: return lk_json_end_object(w);
  default: return lk_json_write_null(w);
  }
}

/* A key waits for its value: undefined takes it along. */
static lk_err write_any(lk_json_writer *w, lk_slice any, lk_buf *scratch) {
  lk_any_frame frames[LK_ANY_DEPTH_MAX];
  lk_any_reader reader;
  lk_any_item item;
  lk_err err;
  bool has_key = false;
  lk_slice key = LK_SLICE_EMPTY;
  lk_reader in = lk_reader_of(any);
  lk_any_reader_init(&reader, &in, frames, LK_ANY_DEPTH_MAX);
  while ((err = lk_any_decode(&reader, &item)) == LK_OK) {
    if (item.kind == LK_ANY_KEY) {
      key = item.as.bytes;
      has_key = true;
      continue;
    }
    if (has_key && item.kind == LK_ANY_UNDEFINED) {
      has_key = false;
      continue;
    }
    if (has_key) (void)lk_json_write_key(w, key);
    has_key = false;
    if ((err = write_item(w, &item, scratch)) != LK_OK) return err;
  }
  return err == LK_ERR_END ? LK_OK : err;
}

/* |any| is canonical. */
static lk_err append_any(lk_slice any, lk_buf *out) {
  lk_buf scratch;
  lk_json_writer w;
  if (out->err != LK_OK) return out->err;
  lk_buf_init(&scratch, out->alloc, SIZE_MAX / 2);
  lk_json_writer_init(&w, out);
  lk_err err = write_any(&w, any, &scratch);
  lk_buf_deinit(&scratch);
  if (err == LK_OK) return lk_json_writer_finish(&w);
  lk_buf_truncate(out, w.start);
  return err;
}

lk_err lk_doc_json_of_any(lk_slice any, lk_buf *out) {
  lk_arena arena;
  lk_slice canonical;
  lk_reader in = lk_reader_of(any);
  lk_limits limits = lk_limits_default();
  lk_arena_init(&arena, out->alloc, SIZE_MAX / 2);
  lk_err err = lk_value_any_decode(&in, limits.any_depth, &arena, &canonical);
  if (err == LK_OK) err = lk_reader_end(&in);
  if (err == LK_OK) err = append_any(canonical, out);
  lk_arena_deinit(&arena);
  return err;
}

lk_err lk_doc_any_of_json(lk_slice json, lk_buf *out) {
  lk_arena arena;
  lk_slice any;
  lk_limits limits = lk_limits_default();
  size_t start = out->len;
  if (out->err != LK_OK) return out->err;
  lk_arena_init(&arena, out->alloc, SIZE_MAX / 2);
  lk_err err = lk_value_any_of_json(json, limits.any_depth, &arena, &any);
  if (err == LK_OK && (err = lk_buf_append(out, any)) != LK_OK) lk_buf_truncate(out, start);
  lk_arena_deinit(&arena);
  return err;
}

/* ---- the walk ---- */

typedef struct frame {
  uint32_t type;
  uint32_t item;         /* arrays: the next one, or LK_NONE */
  uint32_t refs, ref_at; /* maps: their entries in |refs|, and the next one */
  bool keyed;
  bool some; /* it has something already: a comma comes before the next */
} frame;

typedef struct printer {
  const lk_doc *doc;
  lk_buf *out;
  frame *frames;
  uint32_t frame_count, frame_cap;
  lk_refs refs;
  lk_buf text;        /* one text, before it is escaped */
  lk_formats formats; /* for the XML among the nodes */
  lk_err err;
} printer;

static void fail(printer *self, lk_err err) {
  if (self->err == LK_OK) self->err = err;
}

static void put(printer *self, lk_slice text) {
  if (self->err == LK_OK) self->err = lk_buf_append(self->out, text);
}

static void put_string(printer *self, lk_slice text) {
  lk_json_writer w;
  if (self->err != LK_OK) return;
  lk_json_writer_init(&w, self->out);
  (void)lk_json_write_string(&w, text);
  self->err = lk_json_writer_finish(&w);
}

static void put_any(printer *self, lk_slice any) {
  if (self->err == LK_OK) self->err = append_any(any, self->out);
}

static void put_key(printer *self, lk_slice key) {
  put_string(self, key);
  put(self, LK_LIT(":"));
}

static void push(printer *self, uint32_t type, bool keyed) {
  size_t cap;
  if (self->err != LK_OK) return;
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
  self->frames[self->frame_count++] = (frame){ .type = type,
                                               .item = lk_type_at(self->doc, type)->start,
                                               .refs = self->refs.count,
                                               .ref_at = self->refs.count,
                                               .keyed = keyed };
  put(self, keyed ? LK_LIT("{") : LK_LIT("["));
  if (!keyed) return;
  lk_err err = lk_read_push_entries(self->doc, type, &self->refs);
  if (err != LK_OK) fail(self, err);
}

static void put_text(printer *self, uint32_t type, bool xml) {
  lk_buf_truncate(&self->text, 0);
  lk_err err = xml ? lk_read_xml(self->doc, type, &self->formats, &self->text)
                   : lk_read_text(self->doc, type, &self->text);
  if (err != LK_OK) fail(self, err);
  put_string(self, lk_buf_slice(&self->text));
}

static void enter(printer *self, uint32_t type) {
  switch (lk_read_kind(self->doc, type)) {
  case LK_NODE_ARRAY: push(self, type, false); break;
  case LK_NODE_MAP:
  case LK_NODE_XML_HOOK: push(self, type, true); break;
  case LK_NODE_TEXT: put_text(self, type, false); break;
  case LK_NODE_UNKNOWN: put(self, LK_LIT("null")); break;
  default: put_text(self, type, true); break;
  }
}

static bool is_undefined(lk_slice value, bool json) {
  static const uint8_t undefined = 127; /* lib0's */
  return lk_slice_equal(value, json ? LK_LIT("undefined") : lk_slice_of(&undefined, 1));
}

/* JSON text that is kept is JSON.stringify's already. */
static void put_value(printer *self, lk_slice value, bool json) {
  if (!json) put_any(self, value);
  else put(self, is_undefined(value, true) ? LK_LIT("null") : value);
}

/* One UTF-16 unit of a text that stands where elements are. */
static void put_unit(printer *self, const lk_item *item, uint32_t at) {
  uint8_t bytes[4];
  put_string(self, lk_slice_of(bytes, lk_utf8_encode(lk_item_unit(self->doc, item, at), bytes)));
}

/* An item of one value that is not among those that hold many. May push a frame. */
static void put_single(printer *self, const lk_item *item) {
  switch (item->kind) {
  case LK_CONTENT_TYPE: enter(self, item->content); break;
  case LK_CONTENT_EMBED: put_any(self, lk_value_bytes(self->doc, item->content)); break;
  case LK_CONTENT_DOC: put(self, LK_LIT("{}")); break;
  case LK_CONTENT_BINARY: {
    lk_buf_truncate(&self->text, 0);
    lk_err err = lk_base64_encode(&self->text, lk_value_bytes(self->doc, item->content),
                                  LK_BASE64_FORM_STANDARD);
    if (err != LK_OK) fail(self, err);
    put_string(self, lk_buf_slice(&self->text));
    break;
  }
  default: put(self, LK_LIT("null")); break;
  }
}

static bool has_many(const lk_item *item) {
  return item->kind == LK_CONTENT_ANY || item->kind == LK_CONTENT_JSON;
}

static void put_comma(printer *self, frame *f) {
  if (f->some) put(self, LK_LIT(","));
  f->some = true;
}

static void put_elements(printer *self, frame *f, const lk_item *item) {
  lk_read_values values = { 0 };
  if (has_many(item)) values = lk_read_values_of(self->doc, item);
  for (uint32_t i = 0; i < item->len && self->err == LK_OK; i++) {
    put_comma(self, f);
    if (item->kind == LK_CONTENT_STRING) put_unit(self, item, i);
    else put_value(self, lk_read_next_value(&values), values.json);
  }
}

static void step_list(printer *self, frame *f) {
  while (f->item != LK_NONE && self->err == LK_OK) {
    const lk_item *item = lk_item_at(self->doc, f->item);
    f->item = item->right;
    if (lk_item_units(item) == 0) continue;
    if (has_many(item) || item->kind == LK_CONTENT_STRING) {
      put_elements(self, f, item);
      continue;
    }
    put_comma(self, f);
    put_single(self, item);
    return;
  }
  put(self, LK_LIT("]"));
  self->frame_count--;
}

/* The last of the item's values; where that is undefined, nothing. */
static void put_last_value(printer *self, frame *f, lk_slice key, const lk_item *item) {
  lk_read_values values = lk_read_values_of(self->doc, item);
  lk_slice value = lk_read_next_value(&values);
  while (values.left > 0) value = lk_read_next_value(&values);
  if (is_undefined(value, values.json)) return;
  put_comma(self, f);
  put_key(self, key);
  put_value(self, value, values.json);
}

static void step_map(printer *self, frame *f) {
  if (f->ref_at == self->refs.count) {
    self->refs.count = f->refs;
    put(self, LK_LIT("}"));
    self->frame_count--;
    return;
  }
  uint32_t entry = self->refs.at[f->ref_at++];
  lk_slice key = lk_name_slice(self->doc, self->doc->entries.at[entry].key);
  const lk_item *item = lk_item_at(self->doc, lk_read_entry(self->doc, entry));
  if (has_many(item)) {
    put_last_value(self, f, key, item);
    return;
  }
  put_comma(self, f);
  put_key(self, key);
  if (item->kind == LK_CONTENT_STRING) put_unit(self, item, item->len - 1);
  else put_single(self, item);
}

static void put_node(printer *self, uint32_t type) {
  enter(self, type);
  while (self->frame_count > 0 && self->err == LK_OK) {
    frame *f = &self->frames[self->frame_count - 1];
    if (f->keyed) step_map(self, f);
    else step_list(self, f);
  }
}

static void init(printer *self, const lk_doc *doc, lk_buf *out) {
  *self = (printer){ .doc = doc, .out = out, .refs = { .alloc = &doc->alloc }, .err = out->err };
  lk_buf_init(&self->text, &doc->alloc, SIZE_MAX / 2);
  lk_formats_init(&self->formats, doc);
}

/* |start| is the length that |out| had; |failed| whether it had failed before. */
static lk_err finish(printer *self, size_t start, bool failed) {
  lk_buf_deinit(&self->text);
  lk_formats_deinit(&self->formats);
  lk_refs_deinit(&self->refs);
  lk_free_array(&self->doc->alloc, self->frames, self->frame_cap, sizeof *self->frames);
  if (self->err != LK_OK && !failed) lk_buf_truncate(self->out, start);
  return self->err;
}

lk_err lk_read_json(const lk_doc *doc, uint32_t type, lk_buf *out) {
  printer self;
  size_t start = out->len;
  bool failed = out->err != LK_OK;
  init(&self, doc, out);
  put_node(&self, type);
  return finish(&self, start, failed);
}

lk_err lk_doc_node_json(const lk_doc *self, lk_node node, lk_buf *out) {
  uint32_t type;
  lk_err err = lk_node_resolve(self, node, 0, &type);
  return err == LK_OK ? lk_read_json(self, type, out) : err;
}

/* ---- all roots ---- */

static bool root_before(const void *ctx, uint32_t a, uint32_t b) {
  const lk_doc *doc = ctx;
  uint32_t x = 0, y = 0;
  (void)lk_read_is_index(lk_name_slice(doc, lk_type_at(doc, a)->name), &x);
  (void)lk_read_is_index(lk_name_slice(doc, lk_type_at(doc, b)->name), &y);
  return x < y;
}

static void push_roots(printer *self, bool indexes) {
  const lk_doc *doc = self->doc;
  uint32_t index;
  for (uint32_t i = 0; i < doc->roots.count && self->err == LK_OK; i++) {
    uint32_t type = doc->roots.at[i];
    if (lk_read_is_index(lk_name_slice(doc, lk_type_at(doc, type)->name), &index) != indexes) {
      continue;
    }
    self->err = lk_refs_push(&self->refs, type);
  }
}

lk_err lk_doc_json(const lk_doc *self, lk_buf *out) {
  printer w;
  size_t start = out->len;
  bool failed = out->err != LK_OK, some = false;
  init(&w, self, out);
  push_roots(&w, true);
  if (w.err == LK_OK) lk_refs_sort(&w.refs, 0, root_before, self);
  push_roots(&w, false);
  put(&w, LK_LIT("{"));
  for (uint32_t i = 0, end = w.refs.count; i < end && w.err == LK_OK; i++) {
    uint32_t type = w.refs.at[i];
    if (lk_read_kind(self, type) == LK_NODE_UNKNOWN) continue;
    if (some) put(&w, LK_LIT(","));
    some = true;
    put_key(&w, lk_name_slice(self, lk_type_at(self, type)->name));
    put_node(&w, type);
  }
  put(&w, LK_LIT("}"));
  return finish(&w, start, failed);
}

/* ---- deltas ---- */

typedef struct delta {
  printer w;
  lk_formats formats;
  lk_buf run; /* text that is not written yet */
  uint16_t high;
  uint32_t ychange;
  bool some;
} delta;

static bool format_before(const void *ctx, uint32_t a, uint32_t b) {
  const lk_formats *formats = ctx;
  uint32_t x = 0, y = 0;
  (void)lk_read_is_index(lk_format_key(formats->doc, &formats->at[a]), &x);
  (void)lk_read_is_index(lk_format_key(formats->doc, &formats->at[b]), &y);
  return x < y;
}

static void push_formats(delta *self, bool indexes) {
  const lk_formats *formats = &self->formats;
  uint32_t index;
  for (uint32_t i = formats->base; i < formats->count && self->w.err == LK_OK; i++) {
    const lk_format *format = &formats->at[i];
    if (format->item == LK_NONE) continue;
    if (lk_read_is_index(lk_format_key(self->w.doc, format), &index) != indexes) continue;
    self->w.err = lk_refs_push(&self->w.refs, i);
  }
}

static void put_attributes(delta *self) {
  printer *w = &self->w;
  uint32_t from = w->refs.count;
  bool some = false;
  if (lk_formats_count(&self->formats) == 0) return;
  push_formats(self, true);
  if (w->err == LK_OK) lk_refs_sort(&w->refs, from, format_before, &self->formats);
  push_formats(self, false);
  put(w, LK_LIT(",\"attributes\":{"));
  for (uint32_t i = from; i < w->refs.count && w->err == LK_OK; i++) {
    const lk_format *format = &self->formats.at[w->refs.at[i]];
    lk_slice value = lk_format_value(w->doc, format);
    if (is_undefined(value, false)) continue;
    if (some) put(w, LK_LIT(","));
    some = true;
    put_key(w, lk_format_key(w->doc, format));
    put_any(w, value);
  }
  put(w, LK_LIT("}"));
  w->refs.count = from;
}

static void begin_op(delta *self) {
  put(&self->w, self->some ? LK_LIT(",{\"insert\":") : LK_LIT("{\"insert\":"));
  self->some = true;
}

static void end_op(delta *self) {
  put_attributes(self);
  put(&self->w, LK_LIT("}"));
}

static void put_run(delta *self) {
  lk_text_flush(&self->high, &self->run);
  if (self->run.err != LK_OK) fail(&self->w, self->run.err);
  if (self->run.len == 0) return;
  begin_op(self);
  put_string(&self->w, lk_buf_slice(&self->run));
  end_op(self);
  lk_buf_truncate(&self->run, 0);
}

static void step_delta(delta *self, uint32_t i) {
  const lk_item *item = lk_item_at(self->w.doc, i);
  switch (item->kind) {
  case LK_CONTENT_STRING:
    if (self->ychange != LK_NONE && lk_formats_has(&self->formats, self->ychange)) {
      put_run(self);
      (void)lk_formats_remove(&self->formats, self->ychange);
    }
    lk_item_append_utf8(self->w.doc, item, 0, item->len, &self->high, &self->run);
    break;
  case LK_CONTENT_FORMAT:
    put_run(self);
    if (self->w.err == LK_OK) self->w.err = lk_formats_apply(&self->formats, i);
    break;
  case LK_CONTENT_TYPE:
  case LK_CONTENT_EMBED:
    put_run(self);
    begin_op(self);
    if (item->kind == LK_CONTENT_TYPE) put_node(&self->w, item->content);
    else put_single(&self->w, item);
    end_op(self);
    break;
  default: break;
  }
}

static lk_err put_delta(const lk_doc *doc, uint32_t type, lk_buf *out) {
  delta self = { 0 };
  size_t start = out->len;
  bool failed = out->err != LK_OK;
  init(&self.w, doc, out);
  lk_formats_init(&self.formats, doc);
  lk_buf_init(&self.run, &doc->alloc, SIZE_MAX / 2);
  self.ychange = lk_name_find(doc, LK_LIT("ychange"));
  put(&self.w, LK_LIT("["));
  for (uint32_t i = lk_type_at(doc, type)->start; i != LK_NONE && self.w.err == LK_OK;
       i = lk_item_at(doc, i)->right) {
    if (!lk_item_deleted(lk_item_at(doc, i))) step_delta(&self, i);
  }
  put_run(&self);
  put(&self.w, LK_LIT("]"));
  lk_buf_deinit(&self.run);
  lk_formats_deinit(&self.formats);
  return finish(&self.w, start, failed);
}

lk_err lk_doc_text_delta(const lk_doc *self, lk_node node, lk_buf *out) {
  const uint32_t kinds = 1u << LK_NODE_TEXT | 1u << LK_NODE_XML_TEXT | 1u << LK_NODE_UNKNOWN;
  uint32_t type;
  lk_err err = lk_node_resolve(self, node, kinds, &type);
  return err == LK_OK ? put_delta(self, type, out) : err;
}
