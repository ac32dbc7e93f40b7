/* tests/conformance/doc/dump.c
 *
 *   clients 2
 *   client 7: 2 structs from 0
 *     7:0+5 String "hello" parent "text"
 *     7:5+1 Format bold true origin 7:4 right 9:0
 *   deletes 1
 *     9: 3+2
 *
 * V1 and V2 say the same in other places: the fields below know where, what is above them does not. */
#include "tests/conformance/doc/dump.h"

#include "codec/column.h"
#include "codec/lib0.h"
#include "codec/varint.h"

#include <stdarg.h>
#include <string.h>

#define KEYS_MAX 100000

typedef struct dump {
  lk_buf *out;
  lk_arena arena;
  lk_err err;
  lk_reader in; /* V1: all; V2: the rest */
  bool v2;
  lk_column_diff_decoder key_clock, left_clock, right_clock;
  lk_column_uint_decoder clients, type_refs, lens;
  lk_column_rle_decoder infos, parent_infos;
  lk_column_text_decoder texts;
  lk_column_piece *keys;
  size_t key_count;
  uint64_t delete_clock;
} dump;

static void say(dump *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(dump *self, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  size_t kept = len < (int)sizeof text ? (size_t)len : sizeof text - 1;
  must(lk_buf_append(self->out, lk_slice_of((const uint8_t *)text, kept)), "dump");
}

#define LONG(number) ((unsigned long long)(number))

/* ---- fields ---- */

static uint64_t number(dump *self) {
  uint64_t value = 0;
  if (self->err == LK_OK) self->err = lk_varuint_decode(&self->in, UINT64_MAX, &value);
  return value;
}

static uint8_t info(dump *self) {
  uint8_t value = 0;
  if (self->err != LK_OK) return 0;
  self->err = self->v2 ? lk_column_rle_decode(&self->infos, &value)
                       : lk_reader_u8(&self->in, &value);
  return value;
}

static uint64_t client(dump *self) {
  uint64_t value = 0;
  if (!self->v2) return number(self);
  if (self->err == LK_OK) self->err = lk_column_uint_decode(&self->clients, &value);
  return value;
}

static uint64_t len_of(dump *self) {
  uint64_t value = 0;
  if (!self->v2) return number(self);
  if (self->err == LK_OK) self->err = lk_column_uint_decode(&self->lens, &value);
  return value;
}

static void say_id(dump *self, const char *what, lk_column_diff_decoder *clocks) {
  uint64_t who = client(self);
  int64_t clock = 0;
  if (!self->v2) clock = (int64_t)number(self);
  else if (self->err == LK_OK) self->err = lk_column_diff_decode(clocks, &clock);
  say(self, " %s %llu:%lld", what, LONG(who), (long long)clock);
}

static lk_column_piece text(dump *self, uint64_t *units) {
  lk_column_piece piece = { 0 };
  if (self->err != LK_OK) return piece;
  if (self->v2) self->err = lk_column_text_decode(&self->texts, &piece, units);
  else self->err = lk_lib0_string_decode(&self->in, &piece.text);
  return piece;
}

static void say_piece(dump *self, lk_column_piece piece) {
  if (piece.low_first != 0) say(self, " \\u%04x+", piece.low_first);
  say(self, " ");
  value_print(value_string(piece.text, &self->arena), self->out, &self->arena);
  if (piece.high_last != 0) say(self, "+\\u%04x", piece.high_last);
}

static void say_any(dump *self) {
  if (self->err != LK_OK) return;
  const js_value *any = value_of_any(&self->in, &self->arena);
  say(self, " ");
  if (any == NULL) self->err = LK_ERR_CORRUPT;
  else value_print(any, self->out, &self->arena);
}

/* JSON text in V1, an any in V2. */
static void say_json(dump *self) {
  if (self->v2) say_any(self);
  else say_piece(self, text(self, NULL));
}

static void say_key(dump *self) {
  if (!self->v2) {
    say_piece(self, text(self, NULL));
    return;
  }
  int64_t clock = 0;
  if (self->err == LK_OK) self->err = lk_column_diff_decode(&self->key_clock, &clock);
  if (self->err != LK_OK) return;
  if (clock < 0 || (uint64_t)clock >= self->key_count) {
    if (self->key_count == KEYS_MAX) die("too many keys to dump");
    self->keys[self->key_count++] = text(self, NULL);
    say_piece(self, self->keys[self->key_count - 1]);
  } else {
    say_piece(self, self->keys[clock]);
  }
}

/* ---- structs ---- */

static const char *const kinds[] = { "GC",     "Deleted", "JSON", "Binary", "String", "Embed",
                                     "Format", "Type",    "Any",  "Doc",    "Skip" };
static const char *const types[] = { "Array",       "Map",     "Text",   "XmlElement",
                                     "XmlFragment", "XmlHook", "XmlText" };

static uint64_t units_of(lk_slice utf8) {
  uint64_t units = 0;
  for (size_t i = 0; i < utf8.len; i++) {
    if ((utf8.ptr[i] & 0xC0) != 0x80) units++;
    if (utf8.ptr[i] >= 0xF0) units++;
  }
  return units;
}

/* What is said of the content, and how many clocks it takes. */
static uint64_t content(dump *self, uint8_t kind) {
  uint64_t len = 1;
  switch (kind) {
  case 1: return len_of(self);
  case 2:
    len = len_of(self);
    for (uint64_t i = 0; i < len && self->err == LK_OK; i++) say_piece(self, text(self, NULL));
    return len;
  case 3: {
    lk_slice bytes = LK_SLICE_EMPTY;
    if (self->err == LK_OK) self->err = lk_lib0_bytes_decode(&self->in, &bytes);
    say(self, " %zu bytes", bytes.len);
    return 1;
  }
  case 4: {
    lk_column_piece piece = text(self, &len);
    if (!self->v2) len = units_of(piece.text);
    say_piece(self, piece);
    return len;
  }
  case 5: say_json(self); return 1;
  case 6:
    say_key(self);
    say_json(self);
    return 1;
  case 7: {
    uint64_t type = 0;
    if (!self->v2) type = number(self);
    else if (self->err == LK_OK) self->err = lk_column_uint_decode(&self->type_refs, &type);
    say(self, " %s", type < 7 ? types[type] : "?");
    if (type == 3 || type == 5) say_key(self);
    return 1;
  }
  case 8:
    len = len_of(self);
    for (uint64_t i = 0; i < len && self->err == LK_OK; i++) say_any(self);
    return len;
  case 9:
    say_piece(self, text(self, NULL));
    say_any(self);
    return 1;
  default: self->err = LK_ERR_CORRUPT; return 1;
  }
}

static void say_place(dump *self, uint8_t flags) {
  if (flags & 0x80) say_id(self, "origin", &self->left_clock);
  if (flags & 0x40) say_id(self, "right", &self->right_clock);
  if (flags & 0xC0) {
    if (flags & 0x20) say(self, " sub");
    return;
  }
  uint8_t is_root = 0;
  if (!self->v2) is_root = number(self) == 1;
  else if (self->err == LK_OK) self->err = lk_column_rle_decode(&self->parent_infos, &is_root);
  if (is_root) {
    say(self, " parent");
    say_piece(self, text(self, NULL));
  } else {
    say_id(self, "parent", &self->left_clock);
  }
  if (flags & 0x20) {
    say(self, " sub");
    say_piece(self, text(self, NULL));
  }
}

/* The place is written before the content, and shown behind it. */
static uint64_t item(dump *self, uint8_t flags) {
  lk_buf place;
  lk_buf *line = self->out;
  buf_open(&place);
  self->out = &place;
  say_place(self, flags);
  self->out = line;
  say(self, "%s", kinds[flags & 31]);
  uint64_t len = content(self, flags & 31);
  must(lk_buf_append(self->out, lk_buf_slice(&place)), "dump");
  lk_buf_deinit(&place);
  return len;
}

static uint64_t say_struct(dump *self, uint64_t who, uint64_t clock) {
  lk_buf line;
  lk_buf *out = self->out;
  buf_open(&line);
  self->out = &line;
  uint64_t len = 0;
  uint8_t flags = info(self);
  uint8_t kind = flags & 31;
  if (kind > 10) {
    self->err = LK_ERR_CORRUPT;
  } else if (kind == 0 || kind == 10) {
    len = kind == 10 ? number(self) : len_of(self);
    say(self, "%s", kinds[kind]);
  } else {
    len = item(self, flags);
  }
  self->out = out;
  say(self, "  %llu:%llu+%llu ", LONG(who), LONG(clock), LONG(len));
  must(lk_buf_append(out, lk_buf_slice(&line)), "dump");
  say(self, "\n");
  lk_buf_deinit(&line);
  return len;
}

static void say_deletes(dump *self) {
  uint64_t count = number(self);
  say(self, "deletes %llu\n", LONG(count));
  for (uint64_t i = 0; i < count && self->err == LK_OK; i++) {
    uint64_t who = number(self);
    uint64_t ranges = number(self);
    self->delete_clock = 0;
    for (uint64_t j = 0; j < ranges && self->err == LK_OK; j++) {
      uint64_t clock = number(self) + (self->v2 ? self->delete_clock : 0);
      uint64_t len = number(self) + (self->v2 ? 1 : 0);
      self->delete_clock = clock + len;
      say(self, "  %llu: %llu+%llu\n", LONG(who), LONG(clock), LONG(len));
    }
  }
}

static void open_columns(dump *self) {
  lk_slice columns[9] = { 0 };
  uint8_t zero = 0;
  self->err = lk_reader_u8(&self->in, &zero);
  for (size_t i = 0; i < 9 && self->err == LK_OK; i++) {
    self->err = lk_lib0_bytes_decode(&self->in, &columns[i]);
  }
  self->key_clock = lk_column_diff_decoder_of(columns[0]);
  self->clients = lk_column_uint_decoder_of(columns[1]);
  self->left_clock = lk_column_diff_decoder_of(columns[2]);
  self->right_clock = lk_column_diff_decoder_of(columns[3]);
  self->infos = lk_column_rle_decoder_of(columns[4]);
  if (self->err == LK_OK) self->err = lk_column_text_decoder_init(&self->texts, columns[5]);
  self->parent_infos = lk_column_rle_decoder_of(columns[6]);
  self->type_refs = lk_column_uint_decoder_of(columns[7]);
  self->lens = lk_column_uint_decoder_of(columns[8]);
  self->keys = push(&self->arena, KEYS_MAX * sizeof *self->keys);
}

void dump_update(lk_update_format format, lk_slice update, lk_buf *out) {
  dump self = { .out = out, .in = lk_reader_of(update), .v2 = format == LK_UPDATE_V2 };
  lk_arena_init(&self.arena, conformance_env()->alloc, SIZE_MAX >> 1);
  if (self.v2) open_columns(&self);
  uint64_t count = number(&self);
  say(&self, "clients %llu\n", LONG(count));
  for (uint64_t i = 0; i < count && self.err == LK_OK; i++) {
    uint64_t structs = number(&self);
    uint64_t who = client(&self);
    uint64_t clock = number(&self);
    say(&self, "client %llu: %llu structs from %llu\n", LONG(who), LONG(structs), LONG(clock));
    for (uint64_t j = 0; j < structs && self.err == LK_OK; j++) {
      clock += say_struct(&self, who, clock);
    }
  }
  if (self.err == LK_OK) say_deletes(&self);
  if (self.err != LK_OK) say(&self, "unreadable: %s\n", lk_err_name(self.err));
  else if (lk_reader_left(&self.in) > 0) say(&self, "bytes follow\n");
  lk_arena_deinit(&self.arena);
}

/* ---- differences ---- */

static size_t first_difference(lk_slice a, lk_slice b) {
  size_t at = 0;
  while (at < a.len && at < b.len && a.ptr[at] == b.ptr[at]) at++;
  return at;
}

static void show_hex(FILE *out, const char *who, lk_slice bytes, size_t at) {
  size_t from = at < 12 ? 0 : at - 12;
  (void)fprintf(out, "    %-8s %6zu bytes, from %zu:", who, bytes.len, from);
  for (size_t i = from; i < bytes.len && i < from + 32; i++) {
    (void)fprintf(out, i == at ? " [%02x]" : " %02x", bytes.ptr[i]);
  }
  (void)fputc('\n', out);
}

static lk_slice line_at(lk_slice texts, size_t index) {
  while (texts.len > 0) {
    size_t end = 0;
    while (end < texts.len && texts.ptr[end] != '\n') end++;
    if (index-- == 0) return lk_slice_first(texts, end);
    texts = lk_slice_skip(texts, end < texts.len ? end + 1 : end);
  }
  return LK_SLICE_EMPTY;
}

static size_t line_count(lk_slice text) {
  size_t count = 0;
  for (size_t i = 0; i < text.len; i++) count += text.ptr[i] == '\n';
  return count;
}

static void show_line(FILE *out, const char *mark, lk_slice line) {
  (void)fprintf(out, "    %s %.*s%s\n", mark, (int)(line.len < 400 ? line.len : 400),
                (const char *)line.ptr, line.len > 400 ? "..." : "");
}

/* The lines from three before the first that differs to eight behind it, of both. */
static void show_lines(FILE *out, lk_slice expected, lk_slice got, bool whole) {
  size_t count_expected = line_count(expected);
  size_t count_got = line_count(got);
  size_t at = 0;
  while (at < count_expected && at < count_got &&
         lk_slice_equal(line_at(expected, at), line_at(got, at))) {
    at++;
  }
  size_t from = whole || at < 3 ? 0 : at - 3;
  size_t to = whole ? SIZE_MAX : at + 8;
  size_t count = count_expected > count_got ? count_expected : count_got;
  for (size_t i = from; i < count && i < to; i++) {
    lk_slice lines[] = { line_at(expected, i), line_at(got, i) };
    bool same = i < count_expected && i < count_got && lk_slice_equal(lines[0], lines[1]);
    if (i < count_expected) show_line(out, same ? " " : "-", lines[0]);
    if (i < count_got && !same) show_line(out, "+", lines[1]);
  }
  if (at == count_expected && at == count_got) (void)fputs("    the structs are the same\n", out);
}

void dump_difference(FILE *out, int format, lk_slice expected, lk_slice got, bool whole) {
  size_t at = first_difference(expected, got);
  (void)fprintf(out, "    byte %zu differs\n", at);
  show_hex(out, "expected", expected, at);
  show_hex(out, "got", got, at);
  if (format == 0) return;
  lk_buf texts[2];
  buf_open(&texts[0]);
  buf_open(&texts[1]);
  dump_update((lk_update_format)format, expected, &texts[0]);
  dump_update((lk_update_format)format, got, &texts[1]);
  show_lines(out, lk_buf_slice(&texts[0]), lk_buf_slice(&texts[1]), whole);
  lk_buf_deinit(&texts[0]);
  lk_buf_deinit(&texts[1]);
}

void dump_text_difference(FILE *out, lk_slice expected, lk_slice got) {
  size_t at = first_difference(expected, got);
  size_t from = at < 60 ? 0 : at - 60;
  lk_slice texts[] = { lk_slice_skip(expected, from), lk_slice_skip(got, from) };
  (void)fprintf(out, "    texts of %zu and %zu bytes differ at %zu\n", expected.len, got.len, at);
  show_line(out, "-", texts[0]);
  show_line(out, "+", texts[1]);
}
