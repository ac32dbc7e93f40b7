#include "tests/conformance/doc/value.h"

#include "codec/any.h"
#include "codec/base64.h"
#include "codec/json_reader.h"
#include "codec/json_writer.h"
#include "codec/number.h"
#include "codec/utf.h"
#include "platform/posix/heap.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_MAX ((size_t)1 << 30)

void die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  (void)fputs("doc_conformance: ", stderr);
  (void)vfprintf(stderr, format, args);
  (void)fputc('\n', stderr);
  va_end(args);
  exit(2);
}

void must(lk_err err, const char *what) {
  if (err != LK_OK) die("%s: %s", what, lk_err_name(err));
}

void *push(lk_arena *arena, size_t size) {
  void *memory = lk_arena_push(arena, size);
  if (memory == NULL) die("out of memory");
  memset(memory, 0, size);
  return memory;
}

const lk_env *conformance_env(void) {
  static lk_env env;
  env = (lk_env)LK_ENV_INIT(lk_posix_heap(), NULL);
  return &env;
}

void buf_open(lk_buf *buf) { lk_buf_init(buf, lk_posix_heap(), BUF_MAX); }

bool text_is(lk_slice text, const char *literal) {
  return text.len == strlen(literal) && memcmp(text.ptr, literal, text.len) == 0;
}

/* ---- building ---- */

js_value *value_new(value_kind kind, lk_arena *arena) {
  js_value *made = push(arena, sizeof *made);
  made->kind = kind;
  return made;
}

js_value *value_string(lk_slice text, lk_arena *arena) {
  js_value *made = value_new(VALUE_STRING, arena);
  made->text = text;
  return made;
}

void value_add(js_value *container, lk_slice key, js_value *item) {
  item->key = key;
  item->next = NULL;
  if (container->last == NULL) container->first = item;
  else container->last->next = item;
  container->last = item;
  container->count++;
}

const js_value *value_at(const js_value *self, size_t index) {
  if (self == NULL || (self->kind != VALUE_ARRAY && self->kind != VALUE_OBJECT)) return NULL;
  const js_value *item = self->first;
  while (item != NULL && index-- > 0) item = item->next;
  return item;
}

const js_value *value_member(const js_value *self, const char *key) {
  if (self == NULL || self->kind != VALUE_OBJECT) return NULL;
  for (const js_value *item = self->first; item != NULL; item = item->next) {
    if (text_is(item->key, key)) return item;
  }
  return NULL;
}

/* ---- reading ---- */

static js_value *copy_bytes(js_value *made, lk_slice base64, lk_arena *arena) {
  lk_buf bytes;
  buf_open(&bytes);
  must(lk_base64_decode(&bytes, base64, LK_BASE64_FORM_STANDARD), "base64");
  made->kind = VALUE_BYTES;
  must(lk_arena_copy(arena, lk_buf_slice(&bytes), &made->text), "base64");
  lk_buf_deinit(&bytes);
  return made;
}

static double number_called(lk_slice name) {
  if (text_is(name, "NaN")) return __builtin_nan("");
  return text_is(name, "Infinity") ? __builtin_inf() : -__builtin_inf();
}

/* An object of one member may stand for a value that JSON has not. */
static void replace_special(js_value *object, lk_arena *arena) {
  const js_value *member = object->first;
  if (object->count != 1 || member->key.len < 2 || member->key.ptr[0] != '$') return;
  if (text_is(member->key, "$undef")) object->kind = VALUE_UNDEFINED;
  if (member->kind != VALUE_STRING) return;
  if (text_is(member->key, "$num")) {
    object->kind = VALUE_NUMBER;
    object->number = number_called(member->text);
  } else if (text_is(member->key, "$bigint")) {
    object->kind = VALUE_BIGINT;
    must(lk_number_parse_i64(member->text, &object->bigint), "$bigint");
  } else if (text_is(member->key, "$bin")) {
    (void)copy_bytes(object, member->text, arena);
  } else if (text_is(member->key, "$doc")) {
    object->kind = VALUE_DOC;
    object->text = member->text;
  }
}

static js_value *scalar_of(const lk_json_event *event, lk_arena *arena) {
  js_value *made = value_new(VALUE_NULL, arena);
  made->raw = event->raw;
  switch (event->kind) {
  case LK_JSON_STRING:
    made->kind = VALUE_STRING;
    made->text = event->text;
    break;
  case LK_JSON_NUMBER:
    made->kind = VALUE_NUMBER;
    if (lk_json_get_f64(event, &made->number) != LK_OK) made->number = __builtin_inf();
    break;
  case LK_JSON_TRUE:
  case LK_JSON_FALSE:
    made->kind = VALUE_BOOL;
    made->boolean = event->kind == LK_JSON_TRUE;
    break;
  case LK_JSON_NULL: break;
  default: return NULL;
  }
  return made;
}

/* The rest of the value that |event| begins. Depth is bounded by the reader. */
static js_value *read_json(lk_json_reader *reader, const lk_json_event *event, lk_arena *arena) {
  bool is_object = event->kind == LK_JSON_OBJECT_BEGIN;
  if (!is_object && event->kind != LK_JSON_ARRAY_BEGIN) return scalar_of(event, arena);
  js_value *made = value_new(is_object ? VALUE_OBJECT : VALUE_ARRAY, arena);
  for (lk_json_event next;;) {
    lk_slice key = LK_SLICE_EMPTY;
    if (lk_json_next(reader, &next) != LK_OK) return NULL;
    if (next.kind == LK_JSON_OBJECT_END || next.kind == LK_JSON_ARRAY_END) break;
    if (is_object) {
      key = next.text;
      if (lk_json_next(reader, &next) != LK_OK) return NULL;
    }
    js_value *item = read_json(reader, &next, arena);
    if (item == NULL) return NULL;
    value_add(made, key, item);
  }
  const uint8_t *from = event->raw.ptr;
  made->raw = lk_slice_of(from, (size_t)(reader->text.ptr + reader->pos - from));
  if (is_object) replace_special(made, arena);
  return made;
}

js_value *value_of_json(lk_slice json, lk_arena *arena) {
  lk_limits limits = LK_LIMITS_INIT;
  limits.json_bytes = UINT32_MAX >> 1;
  lk_json_reader reader;
  lk_json_event event;
  if (lk_json_reader_init(&reader, json, &limits, arena) != LK_OK) return NULL;
  if (lk_json_next(&reader, &event) != LK_OK) return NULL;
  js_value *made = read_json(&reader, &event, arena);
  return made != NULL && lk_json_finish(&reader) == LK_OK ? made : NULL;
}

static js_value *read_any(lk_any_reader *reader, lk_arena *arena, lk_any_kind *end) {
  lk_any_item item;
  if (lk_any_decode(reader, &item) != LK_OK) return NULL;
  *end = item.kind;
  js_value *made = value_new(VALUE_UNDEFINED, arena);
  switch (item.kind) {
  case LK_ANY_UNDEFINED: break;
  case LK_ANY_NULL: made->kind = VALUE_NULL; break;
  case LK_ANY_BOOL:
    made->kind = VALUE_BOOL;
    made->boolean = item.as.boolean;
    break;
  case LK_ANY_NUMBER:
    made->kind = VALUE_NUMBER;
    made->number = item.as.number;
    break;
  case LK_ANY_BIGINT:
    made->kind = VALUE_BIGINT;
    made->bigint = item.as.bigint;
    break;
  case LK_ANY_STRING:
  case LK_ANY_BYTES:
    made->kind = item.kind == LK_ANY_STRING ? VALUE_STRING : VALUE_BYTES;
    made->text = item.as.bytes;
    break;
  case LK_ANY_KEY: made->text = item.as.bytes; break;
  case LK_ANY_ARRAY_END:
  case LK_ANY_OBJECT_END: break;
  case LK_ANY_ARRAY_BEGIN:
  case LK_ANY_OBJECT_BEGIN: {
    bool is_object = item.kind == LK_ANY_OBJECT_BEGIN;
    made->kind = is_object ? VALUE_OBJECT : VALUE_ARRAY;
    for (;;) {
      lk_any_kind kind;
      js_value *child = read_any(reader, arena, &kind);
      if (child == NULL) return NULL;
      if (kind == LK_ANY_ARRAY_END || kind == LK_ANY_OBJECT_END) break;
      lk_slice key = child->text;
      if (is_object && (child = read_any(reader, arena, &kind)) == NULL) return NULL;
      value_add(made, is_object ? key : LK_SLICE_EMPTY, child);
    }
    *end = item.kind;
  }
  }
  return made;
}

js_value *value_of_any(lk_reader *in, lk_arena *arena) {
  static lk_any_frame frames[LK_ANY_DEPTH_MAX];
  lk_any_reader reader;
  lk_any_reader_init(&reader, in, frames, LK_ANY_DEPTH_MAX);
  lk_any_kind kind;
  lk_any_item item;
  js_value *made = read_any(&reader, arena, &kind);
  return made != NULL && lk_any_decode(&reader, &item) == LK_ERR_END ? made : NULL;
}

/* ---- writing ---- */

/* The UTF-16 unit at the beginning of |text|, which it shortens; half a pair is kept in |*half|. */
static uint32_t next_unit(lk_slice *text, uint32_t *half) {
  uint32_t point = *half;
  *half = 0;
  if (point != 0) return point;
  if (lk_utf8_decode(text, &point) != LK_OK) die("text that is not UTF-8");
  if (point < 0x10000) return point;
  *half = lk_utf_low_of(point);
  return lk_utf_high_of(point);
}

int compare_utf16(lk_slice a, lk_slice b) {
  uint32_t half_a = 0;
  uint32_t half_b = 0;
  while ((a.len > 0 || half_a != 0) && (b.len > 0 || half_b != 0)) {
    uint32_t unit_a = next_unit(&a, &half_a);
    uint32_t unit_b = next_unit(&b, &half_b);
    if (unit_a != unit_b) return unit_a < unit_b ? -1 : 1;
  }
  return (a.len > 0 || half_a != 0) - (b.len > 0 || half_b != 0);
}

static int compare_members(const void *a, const void *b) {
  return compare_utf16((*(const js_value *const *)a)->key, (*(const js_value *const *)b)->key);
}

static void put(lk_buf *out, const char *text) {
  must(lk_buf_append(out, lk_slice_of((const uint8_t *)text, strlen(text))), "print");
}

static void print_string(lk_slice text, lk_buf *out) {
  lk_json_writer writer;
  lk_json_writer_init(&writer, out);
  (void)lk_json_write_string(&writer, text);
  must(lk_json_writer_finish(&writer), "print a string");
}

static void print_number(double number, lk_buf *out) {
  uint8_t digits[LK_NUMBER_F64_CHARS];
  size_t len = lk_number_print_f64(number, digits);
  bool finite = __builtin_isfinite(number);
  if (number == 0 && __builtin_signbit(number)) put(out, "-");
  if (!finite) put(out, "{\"$num\":\"");
  must(lk_buf_append(out, lk_slice_of(digits, len)), "print");
  if (!finite) put(out, "\"}");
}

static void print_bigint(int64_t number, lk_buf *out) {
  uint8_t digits[LK_NUMBER_INT_CHARS];
  put(out, "{\"$bigint\":\"");
  must(lk_buf_append(out, lk_slice_of(digits, lk_number_print_i64(number, digits))), "print");
  put(out, "\"}");
}

static void print_members(const js_value *self, lk_buf *out, lk_arena *arena) {
  const js_value **sorted = push(arena, (self->count + 1) * sizeof(js_value *));
  size_t count = 0;
  for (const js_value *item = self->first; item != NULL; item = item->next) sorted[count++] = item;
  bool sorts = self->kind == VALUE_OBJECT && !self->in_order;
  if (sorts) qsort(sorted, count, sizeof *sorted, compare_members);
  for (size_t i = 0; i < count; i++) {
    if (i > 0) put(out, ",");
    if (self->kind == VALUE_OBJECT) {
      print_string(sorted[i]->key, out);
      put(out, ":");
    }
    value_print(sorted[i], out, arena);
  }
}

void value_print(const js_value *self, lk_buf *out, lk_arena *arena) {
  switch (self->kind) {
  case VALUE_UNDEFINED: put(out, "{\"$undef\":1}"); break;
  case VALUE_NULL: put(out, "null"); break;
  case VALUE_BOOL: put(out, self->boolean ? "true" : "false"); break;
  case VALUE_NUMBER: print_number(self->number, out); break;
  case VALUE_BIGINT: print_bigint(self->bigint, out); break;
  case VALUE_STRING: print_string(self->text, out); break;
  case VALUE_BYTES:
    put(out, "{\"$bin\":\"");
    must(lk_base64_encode(out, self->text, LK_BASE64_FORM_STANDARD), "print");
    put(out, "\"}");
    break;
  case VALUE_DOC:
    put(out, "{\"$doc\":");
    print_string(self->text, out);
    put(out, "}");
    break;
  case VALUE_ARRAY:
  case VALUE_OBJECT:
    put(out, self->kind == VALUE_ARRAY ? "[" : "{");
    print_members(self, out, arena);
    put(out, self->kind == VALUE_ARRAY ? "]" : "}");
    break;
  }
}

void value_encode(const js_value *self, lk_buf *out) {
  switch (self->kind) {
  case VALUE_UNDEFINED: must(lk_any_encode_undefined(out), "encode"); break;
  case VALUE_NULL: must(lk_any_encode_null(out), "encode"); break;
  case VALUE_BOOL: must(lk_any_encode_bool(out, self->boolean), "encode"); break;
  case VALUE_NUMBER: must(lk_any_encode_number(out, self->number), "encode"); break;
  case VALUE_BIGINT: must(lk_any_encode_bigint(out, self->bigint), "encode"); break;
  case VALUE_STRING: must(lk_any_encode_string(out, self->text), "encode"); break;
  case VALUE_BYTES: must(lk_any_encode_bytes(out, self->text), "encode"); break;
  case VALUE_DOC: die("a document is no any");
  case VALUE_ARRAY:
  case VALUE_OBJECT:
    if (self->kind == VALUE_ARRAY) must(lk_any_encode_array_begin(out, (uint32_t)self->count), "");
    else must(lk_any_encode_object_begin(out, (uint32_t)self->count), "encode");
    for (const js_value *item = self->first; item != NULL; item = item->next) {
      if (self->kind == VALUE_OBJECT) must(lk_any_encode_key(out, item->key), "encode");
      value_encode(item, out);
    }
  }
}

lk_value value_to_doc(const js_value *self, lk_arena *arena) {
  lk_value made = {
    .boolean = self->boolean, .number = self->number, .bigint = self->bigint, .bytes = self->text
  };
  switch (self->kind) {
  case VALUE_UNDEFINED: made.kind = LK_VALUE_UNDEFINED; break;
  case VALUE_NULL: made.kind = LK_VALUE_NULL; break;
  case VALUE_BOOL: made.kind = LK_VALUE_BOOL; break;
  case VALUE_NUMBER: made.kind = LK_VALUE_NUMBER; break;
  case VALUE_BIGINT: made.kind = LK_VALUE_BIGINT; break;
  case VALUE_STRING: made.kind = LK_VALUE_STRING; break;
  case VALUE_BYTES: made.kind = LK_VALUE_BINARY; break;
  case VALUE_DOC: die("documents are made by operations of their own");
  case VALUE_ARRAY:
  case VALUE_OBJECT: {
    lk_buf any;
    buf_open(&any);
    value_encode(self, &any);
    made.kind = LK_VALUE_ANY;
    must(lk_arena_copy(arena, lk_buf_slice(&any), &made.bytes), "encode a value");
    lk_buf_deinit(&any);
  }
  }
  return made;
}
