/* server/toml.c -- line by line, and a list over several of them.
 *
 * A line is cut off the front and looked at once for what may stand in none: bytes that are no UTF-8, and control
 * characters. After that each function takes what it knows from the front of |line|.
 *
 * Always: |line| is a part of the file, and |text| holds nothing but the present value. */
#include "server/toml.h"

#include "codec/utf.h"

void lk_toml_init(lk_toml *self, const lk_alloc *alloc, lk_slice bytes) {
  *self = (lk_toml){ .rest = bytes };
  /* Some editors begin a file with a mark that is none of its text. */
  if (lk_slice_starts_with(bytes, LK_LIT("\xEF\xBB\xBF"))) self->rest = lk_slice_skip(bytes, 3);
  lk_buf_init(&self->text, alloc, bytes.len + 1);
}

void lk_toml_deinit(lk_toml *self) { lk_buf_deinit(&self->text); }

/* ---- lines ---- */

static lk_err fail(lk_toml *self, const char *problem) {
  self->problem = problem;
  self->line = LK_SLICE_EMPTY;
  return LK_ERR_SYNTAX;
}

static bool has_control(lk_slice line) {
  for (size_t i = 0; i < line.len; i++) {
    if ((line.ptr[i] < 0x20 && line.ptr[i] != '\t') || line.ptr[i] == 0x7f) return true;
  }
  return false;
}

/* LK_ERR_END where there is none. */
static lk_err begin_line(lk_toml *self) {
  if (self->rest.len == 0) return LK_ERR_END;
  bool has_end = lk_slice_find_byte(self->rest, '\n') != LK_SLICE_NONE;
  self->line = lk_slice_cut(self->rest, '\n', &self->rest);
  self->number++;
  if (has_end && lk_slice_ends_with(self->line, LK_LIT("\r")))
    self->line = lk_slice_first(self->line, self->line.len - 1);
  if (lk_utf8_check(self->line) != LK_OK) {
    (void)fail(self, "this is not UTF-8; save the file as UTF-8");
    return LK_ERR_UTF8;
  }
  if (has_control(self->line)) return fail(self, "there is a control character; remove it");
  return LK_OK;
}

static bool at(const lk_toml *self, char c) {
  return self->line.len > 0 && self->line.ptr[0] == (uint8_t)c;
}
static void skip(lk_toml *self, size_t count) { self->line = lk_slice_skip(self->line, count); }
static void skip_blanks(lk_toml *self) {
  while (at(self, ' ') || at(self, '\t')) skip(self, 1);
}
static bool at_end(lk_toml *self) {
  skip_blanks(self);
  return self->line.len == 0 || at(self, '#');
}

/* ---- names ---- */

static bool is_word_byte(uint8_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

static bool is_name(lk_slice name) {
  bool in_word = false;
  for (size_t i = 0; i < name.len; i++) {
    if (name.ptr[i] == '.' && !in_word) return false;
    in_word = name.ptr[i] != '.';
  }
  return in_word;
}

static lk_err take_name(lk_toml *self, lk_slice *out) {
  size_t len = 0;
  if (at(self, '"') || at(self, '\'')) return fail(self, "write the name without quotes");
  while (len < self->line.len && (is_word_byte(self->line.ptr[len]) || self->line.ptr[len] == '.'))
    len++;
  *out = lk_slice_first(self->line, len);
  if (!is_name(*out)) return fail(self, "a name was expected here; write: name = value");
  if (len > LK_TOML_NAME_MAX) return fail(self, "the name is longer than any that there is");
  skip(self, len);
  return LK_OK;
}

/* ---- values ---- */

static int hex_value(uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* The |digits| hexadecimal digits of \u or \U, which were taken. */
static lk_err take_code_point(lk_toml *self, size_t digits) {
  static const char problem[] = "\\u needs 4 and \\U 8 hexadecimal digits of a character";
  uint8_t bytes[4];
  uint32_t point = 0;
  if (self->line.len < digits) return fail(self, problem);
  for (size_t i = 0; i < digits; i++) {
    int value = hex_value(self->line.ptr[i]);
    if (value < 0) return fail(self, problem);
    point = point << 4 | (uint32_t)value;
  }
  if (point > LK_UTF_CODE_POINT_MAX || lk_utf_is_surrogate(point)) return fail(self, problem);
  if (point == 0) return fail(self, "a value cannot have the character U+0000");
  skip(self, digits);
  return lk_buf_append(&self->text, lk_slice_of(bytes, lk_utf8_encode(point, bytes)));
}

static lk_err take_escape(lk_toml *self) {
  static const char letters[] = "btnfr\"\\", meant[] = "\b\t\n\f\r\"\\";
  uint8_t c = self->line.len > 0 ? self->line.ptr[0] : 0;
  skip(self, 1);
  if (c == 'u') return take_code_point(self, 4);
  if (c == 'U') return take_code_point(self, 8);
  for (size_t i = 0; i < sizeof letters - 1; i++) {
    if (c == (uint8_t)letters[i]) return lk_buf_append_u8(&self->text, (uint8_t)meant[i]);
  }
  return fail(self, "there is no such escape; write \\\\ for one backslash, or use '...'");
}

static lk_err take_string(lk_toml *self) {
  uint8_t quote = self->line.ptr[0];
  bool is_long = self->line.len > 2 && self->line.ptr[1] == quote && self->line.ptr[2] == quote;
  if (is_long) return fail(self, "text over several lines is not used here; write it on one line");
  skip(self, 1);
  for (;;) {
    lk_err err;
    if (self->line.len == 0) return fail(self, "the closing quote is missing");
    uint8_t c = self->line.ptr[0];
    skip(self, 1);
    if (c == quote) break;
    if (c == '\\' && quote == '"') err = take_escape(self);
    else err = lk_buf_append_u8(&self->text, c);
    if (err != LK_OK) return err;
  }
  self->count++;
  return LK_OK;
}

/* Past spaces, comments and line ends in a list. */
static lk_err skip_to_token(lk_toml *self) {
  while (at_end(self)) {
    lk_err err = begin_line(self);
    if (err == LK_ERR_END) return fail(self, "the list has no end; close it with ]");
    if (err != LK_OK) return err;
  }
  return LK_OK;
}

/* After each string either a comma or the end. */
static lk_err take_list(lk_toml *self) {
  skip(self, 1);
  for (bool needs_comma = false;;) {
    lk_err err = skip_to_token(self);
    if (err != LK_OK) return err;
    if (at(self, ']')) break;
    if (needs_comma) {
      if (!at(self, ',')) return fail(self, "a comma or ] is missing in the list");
      skip(self, 1);
      needs_comma = false;
      continue;
    }
    if (!at(self, '"') && !at(self, '\'')) return fail(self, "a list has texts in quotes only");
    err = take_string(self);
    if (err == LK_OK) err = lk_buf_append_u8(&self->text, 0);
    if (err != LK_OK) return err;
    needs_comma = true;
  }
  skip(self, 1);
  return LK_OK;
}

static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

/* Appends its digits, if |word| is an integer; false where it is none. */
static bool copy_integer(lk_toml *self, lk_slice word) {
  bool has_sign = word.len > 0 && (word.ptr[0] == '+' || word.ptr[0] == '-');
  if (has_sign && word.ptr[0] == '-') (void)lk_buf_append_u8(&self->text, '-');
  word = lk_slice_skip(word, has_sign ? 1 : 0);
  if (word.len == 0 || (word.ptr[0] == '0' && word.len > 1)) return false;
  bool after_digit = false;
  for (size_t i = 0; i < word.len; i++) {
    bool digit = is_digit(word.ptr[i]);
    if (!digit && !(word.ptr[i] == '_' && after_digit)) return false;
    if (digit) (void)lk_buf_append_u8(&self->text, word.ptr[i]);
    after_digit = digit;
  }
  return after_digit;
}

static lk_err take_word(lk_toml *self, lk_toml_kind *kind) {
  size_t len = 0;
  while (len < self->line.len && self->line.ptr[len] != ' ' && self->line.ptr[len] != '\t' &&
         self->line.ptr[len] != '#')
    len++;
  lk_slice word = lk_slice_first(self->line, len);
  if (len == 0) return fail(self, "the value is missing behind =");
  skip(self, len);
  *kind = LK_TOML_BOOLEAN;
  if (lk_slice_equal(word, LK_LIT("true")) || lk_slice_equal(word, LK_LIT("false")))
    return lk_buf_append(&self->text, word);
  *kind = LK_TOML_INTEGER;
  if (copy_integer(self, word)) return lk_buf_err(&self->text);
  if (lk_buf_err(&self->text) != LK_OK) return lk_buf_err(&self->text);
  return fail(self, "put quotes around a value that is not a whole number, true or false");
}

static lk_err take_value(lk_toml *self, lk_toml_kind *kind) {
  *kind = LK_TOML_STRING;
  if (at(self, '"') || at(self, '\'')) return take_string(self);
  if (at(self, '{')) return fail(self, "tables in braces are not used here; write a [section]");
  *kind = LK_TOML_LIST;
  return at(self, '[') ? take_list(self) : take_word(self, kind);
}

/* ---- what a line has ---- */

static lk_err take_section(lk_toml *self, lk_toml_item *out) {
  skip(self, 1);
  if (at(self, '[')) return fail(self, "lists of tables are not used here; write [section]");
  skip_blanks(self);
  lk_err err = take_name(self, &out->section);
  if (err != LK_OK) return err;
  skip_blanks(self);
  if (!at(self, ']')) return fail(self, "the ] behind the section's name is missing");
  skip(self, 1);
  out->kind = LK_TOML_SECTION;
  return LK_OK;
}

static lk_err take_pair(lk_toml *self, lk_toml_item *out) {
  lk_err err = take_name(self, &out->name);
  if (err != LK_OK) return err;
  skip_blanks(self);
  if (!at(self, '=')) return fail(self, "the = behind the name is missing; write: name = value");
  skip(self, 1);
  skip_blanks(self);
  out->section = self->section;
  return take_value(self, &out->kind);
}

lk_err lk_toml_parse_next(lk_toml *self, lk_toml_item *out) {
  lk_err err;
  do {
    if ((err = begin_line(self)) != LK_OK) return err;
  } while (at_end(self));
  lk_buf_truncate(&self->text, 0);
  self->count = 0;
  *out = (lk_toml_item){ .line = self->number };
  bool is_section = at(self, '[');
  if (is_section) self->section = LK_LIT("?"); /* what follows is not of the section before */
  err = is_section ? take_section(self, out) : take_pair(self, out);
  if (err == LK_OK && !at_end(self))
    err = fail(self, "there is something behind the value; put quotes around all of it, or a # "
                     "before a comment");
  if (err != LK_OK) return err;
  if (is_section) self->section = out->section;
  out->text = lk_buf_slice(&self->text);
  out->count = self->count;
  return LK_OK;
}
