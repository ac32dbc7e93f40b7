/* doc/update_writer.c -- an update from structs, in Yjs's very bytes.
 *
 * Numbers that come first in the format are known last: how many clients there are, how many
 * structs each has. For such a number one byte is kept. When it comes to need another, what was
 * written behind it moves up by one: at 128, at 16,384, at 2,097,152 and so on, so that all moves
 * together cost next to nothing. Hence V1 is one buffer that is always nearly finished:
 *
 *   rest      [clients] [structs] client clock struct struct ... [structs] client clock ...
 *             [clients] client ranges clock len ...
 *
 * and a large one is given away as it is instead of being copied into fresh pages, which would
 * cost more than all the rest. Of V2 |rest| is what has no column:
 *
 *   V2        0 | nine columns, each with its length | rest
 *
 * A V1 struct asks once for as much room as it can need and is then stored without further checks.
 * Therefore |rest| may grow a little beyond |max|; finish looks at the true size.
 *
 * Always: after the first error nothing is written any more, and finish tells it. */
#include "doc/update.h"

#include "codec/any.h"
#include "codec/lib0.h"
#include "codec/utf.h"
#include "codec/varint.h"
#include "doc/value.h"

/* Where bytes of code count for more, columns have no short ways. */
#ifdef LK_SMALL
#define HURRIES false
#else
#define HURRIES true
#endif

/* More than all numbers of one struct take: info, three ids, lengths of texts, len, type_ref, and what
 * storing by whole words may touch behind its end. */
#define STRUCT_ROOM 160
#define OUT_OF_LINE __attribute__((noinline))
/* What is larger is moved rather than copied, if it can be. */
#define MOVE_LEN_LEAST 4096

#define BUFFER_COUNT 11

/* The buffers of the columns. */
static void list_buffers(lk_update_writer *self, lk_buf *out[BUFFER_COUNT]) {
  out[0] = &self->key_clock.out;
  out[1] = &self->clients.out;
  out[2] = &self->left_clock.out;
  out[3] = &self->right_clock.out;
  out[4] = &self->infos.out;
  out[5] = &self->texts.text;
  out[6] = &self->texts.units.out;
  out[7] = &self->texts.out;
  out[8] = &self->parent_infos.out;
  out[9] = &self->type_refs.out;
  out[10] = &self->lens.out;
}

static bool is_v1(const lk_update_writer *self) { return self->format == LK_UPDATE_V1; }

void lk_update_writer_init(lk_update_writer *self, const lk_alloc *alloc, lk_update_format format,
                           size_t max) {
  LK_ASSERT(format == LK_UPDATE_V1 || format == LK_UPDATE_V2);
  *self = (lk_update_writer){ .format = format, .alloc = alloc, .max = max, .client = UINT64_MAX };
  lk_buf_init(&self->rest, alloc, max < SIZE_MAX - STRUCT_ROOM ? max + STRUCT_ROOM : max);
  lk_buf_init(&self->scratch, alloc, max);
  lk_arena_init(&self->arena, alloc, max < SIZE_MAX / 4 - 1024 ? 4 * (max + 1024) : SIZE_MAX);
  lk_buf *buffers[BUFFER_COUNT];
  list_buffers(self, buffers);
  for (size_t i = 0; i < BUFFER_COUNT; i++) lk_buf_init(buffers[i], alloc, max);
}

void lk_update_writer_deinit(lk_update_writer *self) {
  lk_buf_deinit(&self->rest);
  lk_buf_deinit(&self->scratch);
  lk_arena_deinit(&self->arena);
  lk_buf *buffers[BUFFER_COUNT];
  list_buffers(self, buffers);
  for (size_t i = 0; i < BUFFER_COUNT; i++) lk_buf_deinit(buffers[i]);
  *self = (lk_update_writer){ 0 };
}

/* Empties the columns, which keep their memory. */
static void reset_columns(lk_update_writer *self) {
  lk_buf *buffers[BUFFER_COUNT], kept[BUFFER_COUNT];
  list_buffers(self, buffers);
  for (size_t i = 0; i < BUFFER_COUNT; i++) kept[i] = *buffers[i];
  size_t first = offsetof(lk_update_writer, key_clock);
  memset((uint8_t *)self + first, 0, sizeof *self - first);
  for (size_t i = 0; i < BUFFER_COUNT; i++) {
    *buffers[i] = kept[i];
    lk_buf_truncate(buffers[i], 0);
  }
}

void lk_update_writer_reset(lk_update_writer *self) {
  lk_buf_truncate(&self->rest, 0);
  lk_arena_reset(&self->arena);
  self->err = LK_OK;
  self->clients_written = self->structs = self->delete_clients = (lk_update_count){ 0 };
  self->in_deletes = false;
  self->key_clock_next = 0;
  if (!is_v1(self)) reset_columns(self);
}

void lk_update_writer_reserve(lk_update_writer *self, size_t bytes) {
  (void)lk_buf_reserve(&self->rest, lk_min_size(bytes, self->max));
}

/* What is written goes to the end of |out| at once. */
static void swap_rest(lk_update_writer *self, lk_buf *out) {
  lk_buf rest = self->rest;
  self->rest = *out;
  *out = rest;
}

void lk_update_writer_open(lk_update_writer *self, lk_update_format format, lk_buf *out) {
  self->format = format;
  if (is_v1(self)) swap_rest(self, out);
}

static void fail(lk_update_writer *self, lk_err err) {
  if (self->err == LK_OK) self->err = err;
}

/* ---- stores where there is room ---- */

static uint8_t *store(uint8_t *to, lk_slice bytes) {
  if (bytes.len > 0) memcpy(to, bytes.ptr, bytes.len);
  return to + bytes.len;
}

static inline uint8_t *store_uint(uint8_t *to, uint64_t value) { return lk_varuint_put(to, value); }

/* A number of 64 bits, and what storing by words touches behind it. */
#define UINT_ROOM 16

static inline bool has_room(const lk_buf *out) {
  return out->err == LK_OK && out->cap - out->len >= UINT_ROOM;
}

static inline void put_uint(lk_update_writer *self, uint64_t value) {
  lk_buf *rest = &self->rest;
  if (has_room(rest)) rest->len = (size_t)(store_uint(rest->ptr + rest->len, value) - rest->ptr);
  else (void)lk_varuint_encode(rest, value);
}

/* ---- numbers that come first ---- */

/* Keeps a byte for |count| at the end of |rest|. */
static inline void count_open(lk_update_writer *self, lk_update_count *count) {
  *count = (lk_update_count){ .at = self->rest.len, .len = 1, .full = 0x80 };
  put_uint(self, 0);
}

static OUT_OF_LINE void count_widen(lk_update_writer *self, lk_update_count *count) {
  LK_COVERED(update_count_takes_another_byte);
  if (lk_buf_extend(&self->rest, 1) == NULL) return;
  uint8_t *from = self->rest.ptr + count->at + count->len;
  memmove(from + 1, from, self->rest.len - 1 - count->at - count->len);
  count->len++;
  count->full <<= 7;
}

static inline void count_one(lk_update_writer *self, lk_update_count *count) {
  if (++count->value == count->full) count_widen(self, count);
}

static void count_more(lk_update_writer *self, lk_update_count *count, uint64_t more) {
  count->value += more;
  while (count->value >= count->full && self->rest.err == LK_OK) count_widen(self, count);
}

static void count_close(lk_update_writer *self, lk_update_count *count) {
  if (self->rest.err != LK_OK) return;
  size_t len = lk_varuint_store(self->rest.ptr + count->at, count->value);
  LK_ASSERT(len == count->len);
}

/* ---- sections ---- */

static void close_section(lk_update_writer *self) {
  if (self->clients_written.full == 0) count_open(self, &self->clients_written);
  if (self->structs.full == 0) return;
  LK_ASSERT(self->structs.value > 0);
  count_close(self, &self->structs);
  self->structs = (lk_update_count){ 0 };
}

void lk_update_write_client(lk_update_writer *self, uint64_t client, uint64_t clock) {
  LK_ASSERT(!self->in_deletes && client <= LK_VARUINT_MAX_SAFE);
  close_section(self);
  count_one(self, &self->clients_written);
  count_open(self, &self->structs);
  if (is_v1(self)) {
    uint8_t bytes[8] = { 0 };
    self->client = client;
    self->client_len = (uint8_t)lk_varuint_store(bytes, client);
    self->client_word = lk_load_le64(bytes);
    (void)lk_buf_append(&self->rest, lk_slice_of(bytes, self->client_len));
  } else {
    lk_column_uint_append(&self->clients, client);
  }
  put_uint(self, clock);
}

/* ---- columns: the short ways, the long ones being codec/column.c's ---- */

static inline void store_varint(lk_buf *out, uint64_t magnitude, bool negative) {
  uint8_t *to = out->ptr + out->len;
  uint8_t first = (uint8_t)((magnitude & 0x3F) | (negative ? 0x40 : 0));
  if (magnitude < 0x40) {
    *to = first;
    out->len++;
    return;
  }
  *to = (uint8_t)(0x80 | first);
  out->len = (size_t)(store_uint(to + 1, magnitude >> 6) - out->ptr);
}

/* Most runs are one value long. */
static inline void append_uint(lk_column_uint_encoder *column, uint64_t value) {
  if (!HURRIES || column->count != 1 || column->value == value || value > LK_VARUINT_MAX_SAFE ||
      !has_room(&column->out)) {
    lk_column_uint_append(column, value);
    return;
  }
  store_varint(&column->out, column->value, false);
  column->value = value;
}

/* Likewise. Steps beyond 2^40 are left to those who know how far a double reaches. */
static inline void append_clock(lk_column_diff_encoder *column, uint64_t clock) {
  const int64_t far = INT64_C(1) << 40;
  int64_t step = column->step;
  if (!HURRIES || column->count != 1 || clock > LK_VARUINT_MAX_SAFE || step >= far ||
      step <= -far || (int64_t)clock - column->value == step || !has_room(&column->out)) {
    lk_column_diff_append(column, (int64_t)clock);
    return;
  }
  store_varint(&column->out, 2 * (uint64_t)(step < 0 ? -step : step), step < 0);
  column->step = (int64_t)clock - column->value;
  column->value = (int64_t)clock;
}

/* ---- fields ---- */

static inline void count_struct(lk_update_writer *self) {
  LK_ASSERT(self->structs.full != 0);
  count_one(self, &self->structs);
}

void lk_update_count_wide(lk_update_writer *self) {
  LK_ASSERT(self->structs.full != 0);
  count_widen(self, &self->structs);
}

void lk_update_put_info(lk_update_writer *self, uint8_t info) {
  count_struct(self);
  if (is_v1(self)) (void)lk_buf_append_u8(&self->rest, info);
  else lk_column_rle_append(&self->infos, info);
}

void lk_update_put_left(lk_update_writer *self, lk_doc_id id) {
  if (is_v1(self)) {
    put_uint(self, id.client);
    put_uint(self, id.clock);
  } else {
    append_uint(&self->clients, id.client);
    append_clock(&self->left_clock, id.clock);
  }
}

void lk_update_put_right(lk_update_writer *self, lk_doc_id id) {
  if (is_v1(self)) {
    put_uint(self, id.client);
    put_uint(self, id.clock);
  } else {
    append_uint(&self->clients, id.client);
    append_clock(&self->right_clock, id.clock);
  }
}

void lk_update_put_parent_info(lk_update_writer *self, bool is_root) {
  if (is_v1(self)) (void)lk_buf_append_u8(&self->rest, is_root);
  else lk_column_rle_append(&self->parent_infos, is_root);
}

void lk_update_put_text(lk_update_writer *self, lk_column_piece text) {
  if (!is_v1(self)) {
    lk_column_text_append_piece(&self->texts, text);
    return;
  }
  lk_slice mark = LK_UTF8_REPLACEMENT;
  size_t halves = (size_t)(text.low_first != 0) + (size_t)(text.high_last != 0);
  put_uint(self, (uint64_t)text.text.len + halves * mark.len);
  if (text.low_first != 0) (void)lk_buf_append(&self->rest, mark);
  (void)lk_buf_append(&self->rest, text.text);
  if (text.high_last != 0) (void)lk_buf_append(&self->rest, mark);
}

static bool has_halves(const lk_column_piece *text) {
  return text->low_first != 0 || text->high_last != 0;
}

/* The same where its length in units is known, which in V2 saves counting. */
static void put_text_of(lk_update_writer *self, const lk_column_piece *text, uint64_t units) {
  if (is_v1(self) || has_halves(text) || self->texts.high != 0) {
    lk_update_put_text(self, *text);
    return;
  }
  (void)lk_buf_append(&self->texts.text, text->text);
  append_uint(&self->texts.units, units);
}

static void put_name(lk_update_writer *self, lk_slice name) {
  lk_update_put_text(self, (lk_column_piece){ .text = name });
}

void lk_update_put_type_ref(lk_update_writer *self, uint8_t type_ref) {
  if (is_v1(self)) put_uint(self, type_ref);
  else lk_column_uint_append(&self->type_refs, type_ref);
}

void lk_update_put_len(lk_update_writer *self, uint64_t len) {
  if (is_v1(self)) put_uint(self, len);
  else append_uint(&self->lens, len);
}

void lk_update_put_skip(lk_update_writer *self, uint64_t len) {
  lk_update_put_info(self, LK_CONTENT_SKIP);
  put_uint(self, len);
}

void lk_update_put_structs(lk_update_writer *self, lk_slice structs, uint64_t count) {
  LK_ASSERT(is_v1(self) && self->structs.full != 0);
  count_more(self, &self->structs, count);
  (void)lk_buf_append(&self->rest, structs);
}

/* V2 gives every key a clock of its own, also one that it had before: Yjs never came to do otherwise. */
void lk_update_put_key(lk_update_writer *self, lk_slice key) {
  if (!is_v1(self)) lk_column_diff_append(&self->key_clock, self->key_clock_next++);
  put_name(self, key);
}

void lk_update_put_any(lk_update_writer *self, lk_slice canonical) {
  (void)lk_buf_append(&self->rest, canonical);
}

void lk_update_put_bytes(lk_update_writer *self, lk_slice bytes) {
  (void)lk_lib0_bytes_encode(&self->rest, bytes);
}

void lk_update_put_json(lk_update_writer *self, lk_slice value, bool is_json) {
  lk_err err = LK_OK;
  if (is_v1(self) && !is_json) {
    lk_buf_truncate(&self->scratch, 0);
    err = lk_value_json_of_any(value, &self->scratch);
    value = lk_buf_slice(&self->scratch);
  } else if (!is_v1(self) && is_json) {
    lk_arena_reset(&self->arena);
    err = lk_value_any_of_json(value, LK_ANY_DEPTH_MAX, &self->arena, &value);
  }
  if (err != LK_OK) {
    fail(self, err);
    return;
  }
  if (is_v1(self)) put_name(self, value);
  else lk_update_put_any(self, value);
}

/* ---- structs ---- */

/* The first |count| of the varStrings in |values|, as bytes. */
static lk_slice strings_first(lk_slice values, uint64_t count) {
  lk_reader in = lk_reader_of(values);
  for (; count > 0; count--) {
    lk_slice text;
    lk_err err = lk_lib0_bytes_decode(&in, &text);
    LK_ASSERT(err == LK_OK);
  }
  return lk_reader_since(&in, 0);
}

static lk_slice anys_first(lk_slice values, uint64_t count) {
  size_t len = 0;
  for (; count > 0; count--) len += lk_value_any_length(lk_slice_skip(values, len));
  return lk_slice_first(values, len);
}

/* What stands in front of the text when |units| are cut off it: where that is inside a pair, its second
 * half. */
static void cut_text(lk_column_piece *text, uint64_t units) {
  lk_utf_place place;
  if (text->low_first != 0) units--;
  text->low_first = 0;
  lk_err err = lk_utf8_find_unit(text->text, units, &place);
  LK_ASSERT(err == LK_OK);
  text->text = lk_slice_skip(text->text, place.offset);
  if (!place.inside) return;
  uint32_t point;
  err = lk_utf8_decode(&text->text, &point);
  LK_ASSERT(err == LK_OK && point >= 0x10000);
  text->low_first = lk_utf_low_of(point);
}

static void cut_front(lk_struct *self, uint64_t count) {
  LK_ASSERT(count < self->len);
  if (self->kind == LK_CONTENT_STRING) cut_text(&self->text, count);
  if (self->kind == LK_CONTENT_JSON)
    self->value = lk_slice_skip(self->value, strings_first(self->value, count).len);
  if (self->kind == LK_CONTENT_ANY)
    self->value = lk_slice_skip(self->value, anys_first(self->value, count).len);
  self->id.clock += count;
  self->len -= count;
  if (self->kind == LK_CONTENT_GC || self->kind == LK_CONTENT_SKIP) return;
  self->info |= LK_INFO_ORIGIN;
  self->origin = (lk_doc_id){ self->id.client, self->id.clock - 1 };
}

void lk_struct_cut_front(lk_struct *self, uint64_t count) {
  if (count == 0) return;
  cut_front(self, count);
  if (self->kind == LK_CONTENT_STRING && self->text.low_first != 0)
    self->text.low_first = LK_UTF_REPLACEMENT;
}

static void put_json_strings(lk_update_writer *self, const lk_struct *view) {
  lk_update_put_len(self, view->len);
  if (is_v1(self)) {
    lk_update_put_any(self, view->value);
    return;
  }
  lk_reader in = lk_reader_of(view->value);
  for (uint64_t i = 0; i < view->len; i++) {
    lk_slice text;
    lk_err err = lk_lib0_bytes_decode(&in, &text);
    LK_ASSERT(err == LK_OK);
    put_name(self, text);
  }
}

static void put_type(lk_update_writer *self, const lk_struct *view) {
  lk_update_put_type_ref(self, view->type_ref);
  if (view->type_ref == LK_TYPE_REF_ELEMENT || view->type_ref == LK_TYPE_REF_HOOK)
    lk_update_put_key(self, view->key);
}

static void put_content(lk_update_writer *self, const lk_struct *view) {
  switch (view->kind) {
  case LK_CONTENT_GC:
  case LK_CONTENT_DELETED: lk_update_put_len(self, view->len); return;
  case LK_CONTENT_SKIP: put_uint(self, view->len); return;
  case LK_CONTENT_STRING: put_text_of(self, &view->text, view->len); return;
  case LK_CONTENT_JSON: put_json_strings(self, view); return;
  case LK_CONTENT_BINARY: lk_update_put_bytes(self, view->value); return;
  case LK_CONTENT_FORMAT:
    lk_update_put_key(self, view->key);
    lk_update_put_json(self, view->value, view->value_is_json);
    return;
  case LK_CONTENT_EMBED: lk_update_put_json(self, view->value, view->value_is_json); return;
  case LK_CONTENT_TYPE: put_type(self, view); return;
  case LK_CONTENT_ANY:
    lk_update_put_len(self, view->len);
    lk_update_put_any(self, view->value);
    return;
  case LK_CONTENT_DOC:
    put_name(self, view->key);
    lk_update_put_any(self, view->value);
    return;
  default: LK_UNREACHABLE();
  }
}

static void put_parent(lk_update_writer *self, const lk_struct *view) {
  LK_ASSERT(view->parent_form != LK_PARENT_INHERITED);
  bool is_root = view->parent_form == LK_PARENT_ROOT;
  lk_update_put_parent_info(self, is_root);
  if (is_root) put_name(self, view->parent_name);
  else lk_update_put_left(self, view->parent_id);
  if ((view->info & LK_INFO_SUB) != 0) put_name(self, view->sub);
}

void lk_update_put_struct(lk_update_writer *self, const lk_struct *view) {
  lk_update_put_info(self, view->info);
  if (view->kind != LK_CONTENT_GC && view->kind != LK_CONTENT_SKIP) {
    if ((view->info & LK_INFO_ORIGIN) != 0) lk_update_put_left(self, view->origin);
    if ((view->info & LK_INFO_RIGHT) != 0) lk_update_put_right(self, view->right);
    if ((view->info & (LK_INFO_ORIGIN | LK_INFO_RIGHT)) == 0) put_parent(self, view);
  }
  put_content(self, view);
}

/* ---- V1: what most structs are takes one reserve, then plain stores ---- */

static inline uint8_t *store_id(const lk_update_writer *self, uint8_t *to, lk_doc_id id) {
  if (id.client == self->client) {
    lk_store_le64(to, self->client_word);
    to += self->client_len;
  } else {
    to += lk_varuint_store(to, id.client);
  }
  return store_uint(to, id.clock);
}

static void put_plain(lk_update_writer *self, const lk_struct *view, lk_slice text,
                      uint64_t number) {
  lk_buf *rest = &self->rest;
  count_struct(self);
  size_t room = text.len < SIZE_MAX - STRUCT_ROOM ? text.len + STRUCT_ROOM : SIZE_MAX;
  if (lk_buf_reserve(rest, room) != LK_OK) return;
  uint8_t *to = rest->ptr + rest->len;
  *to++ = view->info;
  if ((view->info & LK_INFO_ORIGIN) != 0) to = store_id(self, to, view->origin);
  if ((view->info & LK_INFO_RIGHT) != 0) to = store_id(self, to, view->right);
  rest->len = (size_t)(store(store_uint(to, number), text) - rest->ptr);
}

static bool is_plain(const lk_struct *view) {
  if ((view->info & (LK_INFO_ORIGIN | LK_INFO_RIGHT)) == 0) return false;
  return view->kind == LK_CONTENT_DELETED ||
         (view->kind == LK_CONTENT_STRING && !has_halves(&view->text));
}

void lk_update_write_struct(lk_update_writer *self, const lk_struct *view, uint64_t offset) {
  lk_struct cut;
  if (offset > 0) {
    cut = *view;
    cut_front(&cut, offset);
    view = &cut;
  }
  if (!is_v1(self) || !is_plain(view)) {
    lk_update_put_struct(self, view);
    return;
  }
  if (view->kind == LK_CONTENT_STRING) put_plain(self, view, view->text.text, view->text.text.len);
  else put_plain(self, view, LK_SLICE_EMPTY, view->len);
}

lk_err lk_update_append_struct(lk_update_writer *self, const lk_struct *view, lk_buf *out) {
  self->format = LK_UPDATE_V1;
  self->structs = (lk_update_count){ .full = UINT64_MAX }; /* somebody else counts */
  swap_rest(self, out);
  lk_update_put_struct(self, view);
  swap_rest(self, out);
  return self->err != LK_OK ? self->err : lk_buf_err(out);
}

/* ---- deletes ---- */

void lk_update_write_deletes(lk_update_writer *self) {
  LK_ASSERT(!self->in_deletes);
  close_section(self);
  self->in_deletes = true;
  count_open(self, &self->delete_clients);
}

void lk_update_write_delete_client(lk_update_writer *self, uint64_t client, uint64_t ranges) {
  LK_ASSERT(self->in_deletes);
  close_section(self);
  count_one(self, &self->delete_clients);
  self->delete_clock = 0;
  put_uint(self, client);
  if (ranges == LK_UPDATE_COUNTED) count_open(self, &self->structs);
  else put_uint(self, ranges);
}

void lk_update_write_delete(lk_update_writer *self, uint64_t clock, uint64_t len) {
  if (self->structs.full != 0) count_one(self, &self->structs);
  if (is_v1(self)) {
    put_uint(self, clock);
    put_uint(self, len);
    return;
  }
  if (len == 0 || clock < self->delete_clock) {
    fail(self, LK_ERR_RANGE); /* there is no way to say it */
    return;
  }
  put_uint(self, clock - self->delete_clock);
  put_uint(self, len - 1);
  self->delete_clock = clock + len;
}

/* ---- putting it together ---- */

#define COLUMN_COUNT 9
#define COLUMN_TEXTS 5

/* What a column is made of: the texts are a string, of which |head| is the length, and their units. */
typedef struct column_parts {
  uint8_t head[LK_VARUINT_LEN_MAX];
  size_t head_len;
  lk_slice text, bytes;
} column_parts;

static size_t column_len(const column_parts *column) {
  return column->head_len + column->text.len + column->bytes.len;
}

/* lk_column_text_finish() without its copy: the texts are most of an update. */
static lk_err finish_texts(lk_column_text_encoder *texts, column_parts *out) {
  if (texts->high != 0) (void)lk_buf_append(&texts->text, LK_UTF8_REPLACEMENT);
  texts->high = 0;
  out->text = lk_buf_slice(&texts->text);
  out->head_len = lk_varuint_store(out->head, out->text.len);
  lk_err err = lk_buf_err(&texts->text);
  return err != LK_OK ? err : lk_column_uint_finish(&texts->units, &out->bytes);
}

static lk_err finish_columns(lk_update_writer *self, column_parts columns[COLUMN_COUNT]) {
  lk_err err;
  for (size_t i = 0; i < COLUMN_COUNT; i++) columns[i] = (column_parts){ 0 };
  if ((err = lk_column_diff_finish(&self->key_clock, &columns[0].bytes)) != LK_OK) return err;
  if ((err = lk_column_uint_finish(&self->clients, &columns[1].bytes)) != LK_OK) return err;
  if ((err = lk_column_diff_finish(&self->left_clock, &columns[2].bytes)) != LK_OK) return err;
  if ((err = lk_column_diff_finish(&self->right_clock, &columns[3].bytes)) != LK_OK) return err;
  if ((err = lk_column_rle_finish(&self->infos, &columns[4].bytes)) != LK_OK) return err;
  if ((err = finish_texts(&self->texts, &columns[COLUMN_TEXTS])) != LK_OK) return err;
  if ((err = lk_column_rle_finish(&self->parent_infos, &columns[6].bytes)) != LK_OK) return err;
  if ((err = lk_column_uint_finish(&self->type_refs, &columns[7].bytes)) != LK_OK) return err;
  return lk_column_uint_finish(&self->lens, &columns[8].bytes);
}

static lk_err finish_v2(lk_update_writer *self, lk_buf *out) {
  column_parts columns[COLUMN_COUNT];
  lk_err err = finish_columns(self, columns);
  if (err != LK_OK) return err;
  uint64_t size = 1 + (uint64_t)self->rest.len;
  for (size_t i = 0; i < COLUMN_COUNT; i++) {
    size_t len = column_len(&columns[i]);
    size += lk_varuint_len(len) + (uint64_t)len;
  }
  if (size > self->max) return LK_ERR_LIMIT;
  uint8_t *to = lk_buf_extend(out, (size_t)size);
  if (to == NULL) return lk_buf_err(out);
  *to++ = 0;
  for (size_t i = 0; i < COLUMN_COUNT; i++) {
    to += lk_varuint_store(to, column_len(&columns[i]));
    to = store(to, lk_slice_of(columns[i].head, columns[i].head_len));
    to = store(to, columns[i].text);
    to = store(to, columns[i].bytes);
  }
  (void)store(to, lk_buf_slice(&self->rest));
  return LK_OK;
}

static lk_err finish_v1(lk_update_writer *self, lk_buf *out) {
  lk_buf *rest = &self->rest;
  if (rest->len > self->max) return LK_ERR_LIMIT;
  if (rest->len < MOVE_LEN_LEAST || out->cap > 0 || out->alloc != rest->alloc ||
      rest->cap > out->max || lk_buf_err(out) != LK_OK)
    return lk_buf_append(out, lk_buf_slice(rest));
  LK_COVERED(update_moves_into_its_buffer);
  out->ptr = rest->ptr;
  out->len = rest->len;
  out->cap = rest->cap;
  rest->ptr = NULL;
  rest->len = rest->cap = 0;
  return LK_OK;
}

/* Fills in what was kept for numbers. */
static lk_err complete(lk_update_writer *self) {
  if (!self->in_deletes) lk_update_write_deletes(self);
  close_section(self);
  count_close(self, &self->clients_written);
  count_close(self, &self->delete_clients);
  return self->err != LK_OK ? self->err : lk_buf_err(&self->rest);
}

lk_err lk_update_writer_close(lk_update_writer *self, lk_err err, lk_buf *out) {
  if (err == LK_OK) err = complete(self);
  if (is_v1(self)) swap_rest(self, out);
  else if (err == LK_OK) err = finish_v2(self, out);
  return err;
}

lk_err lk_update_writer_finish(lk_update_writer *self, lk_buf *out) {
  lk_err err = complete(self);
  if (err != LK_OK) return err;
  return is_v1(self) ? finish_v1(self, out) : finish_v2(self, out);
}
