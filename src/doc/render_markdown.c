/* doc/render_markdown.c -- blocks as Markdown that reads back as the same text.
 *
 * CommonMark sees structure in where a line begins and in a handful of characters. Both are kept track of:
 *
 * Lines. Each open container has a part of every line's beginning: "> " for a quote, spaces as wide as its
 * marker for an item, whose first line has the marker instead. Containers put theirs into |prefix| and, for
 * the line that comes next, into |pending|. Nothing is written until a leaf has something to say; how many
 * line feeds then go in front (|gap|) is known by then, too. So empty paragraphs vanish, and an item that
 * stayed empty is seen as one when it ends.
 *
 * Characters. What would mean something is escaped where it would: emphasis, code and brackets everywhere; headings,
 * quotes, lists, rules, tables and underlined titles at the beginning of a line; "1." there behind digits; & only
 * where an entity follows. Spaces at the beginning of a line are written as entities, or they were lost.
 *
 * Signs. "**" opens only where it stands in front of a word, or behind a space; it closes likewise. Where that
 * does not hold ("a**!b**"), and where signs would run into each other, <strong> says the same. A pair
 * is looked at as a whole before it is opened, from the inside to the outside, since both ends must hold. Letters
 * that are not known to be letters count as punctuation, which errs towards the tag.
 *
 * Neighbouring lists of one kind would be read as one: the second gets the other marker. Code gets a fence
 * that is longer than any run of backticks in it. A cell has one line: blocks in it are separated by <br>. */
#include "codec/utf.h"
#include "doc/render.h"

#define SHOWN                                                                                      \
  (LK_MARK_BIT(LK_MARK_LINK) | LK_MARK_BIT(LK_MARK_UNDERLINE) | LK_MARK_BIT(LK_MARK_SUB) |         \
   LK_MARK_BIT(LK_MARK_SUP) | LK_MARK_BIT(LK_MARK_STRIKE) | LK_MARK_BIT(LK_MARK_BOLD) |            \
   LK_MARK_BIT(LK_MARK_ITALIC) | LK_MARK_BIT(LK_MARK_CODE))
#define NUMBER_MOST 999999999u

/* ---- lines ---- */

static lk_slice trimmed(lk_slice text) {
  while (text.len > 0 && text.ptr[text.len - 1] == ' ') text.len--;
  return text;
}

static lk_slice settled_prefix(const lk_render *self) {
  lk_slice prefix = lk_buf_slice(&self->prefix);
  return self->pending.len > 0 ? lk_slice_first(prefix, self->prefix_base) : prefix;
}

static void begin_line(lk_render *self) {
  lk_slice prefix = settled_prefix(self);
  if (self->gap > 0) LK_PUT(self, "\n");
  if (self->gap > 1) {
    lk_put(self, trimmed(prefix));
    LK_PUT(self, "\n");
  }
  lk_put(self, prefix);
  lk_put(self, lk_buf_slice(&self->pending));
  lk_buf_truncate(&self->pending, 0);
  self->gap = 0;
  self->line_start = true;
  self->digits = 0;
  self->after_list = self->bare_last = self->check_pending = false;
}

/* A line of nothing but what |pending| has, without the space at its end. */
static void put_pending_line(lk_render *self) {
  begin_line(self);
  while (self->out->err == LK_OK && self->out->len > self->start &&
         self->out->ptr[self->out->len - 1] == ' ') {
    self->out->len--;
  }
}

/* Before anything but a paragraph: a box that waits for text stands on a line of its own. */
static void settle_check(lk_render *self) {
  if (!self->check_pending) return;
  put_pending_line(self);
  self->gap = 2;
}

/* The next line of a block; |empty| where nothing follows on it. */
static void next_line(lk_render *self, bool empty) {
  lk_slice prefix = lk_buf_slice(&self->prefix);
  LK_PUT(self, "\n");
  lk_put(self, empty ? trimmed(prefix) : prefix);
  self->line_start = true;
  self->digits = 0;
}

static void push_prefix(lk_render *self, lk_render_block *block, lk_slice first, lk_slice other) {
  settle_check(self);
  block->saved = self->prefix.len;
  if (self->pending.len == 0) self->prefix_base = self->prefix.len;
  lk_buf_append(&self->pending, first);
  lk_buf_append(&self->prefix, other);
  lk_render_fail(self, self->prefix.err);
  lk_render_fail(self, self->pending.err);
}

/* ---- characters ---- */

static bool is_alpha(uint8_t c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }
static bool is_alnum(uint8_t c) { return is_alpha(c) || is_digit(c); }

/* Whether an entity begins at the "&" at |i|, or might with what follows the text. */
static bool is_entity(lk_slice text, size_t i) {
  size_t end = lk_min_size(text.len, i + 40);
  size_t at = i + 1;
  while (at < end && (is_alnum(text.ptr[at]) || text.ptr[at] == '#')) at++;
  if (at == text.len) return true;
  return at > i + 1 && text.ptr[at] == ';';
}

static bool is_within_word(lk_slice text, size_t i) {
  return i > 0 && i + 1 < text.len && is_alnum(text.ptr[i - 1]) && is_alnum(text.ptr[i + 1]);
}

static bool starts_tag(lk_slice text, size_t i) {
  if (i + 1 == text.len) return true;
  uint8_t next = text.ptr[i + 1];
  return is_alpha(next) || next == '/' || next == '!' || next == '?';
}

static bool needs_escape(const lk_render *self, lk_slice text, size_t i) {
  switch (text.ptr[i]) {
  case '\\':
  case '`':
  case '*':
  case '~':
  case '[':
  case ']': return true;
  case '_': return !is_within_word(text, i);
  case '<': return starts_tag(text, i);
  case '&': return is_entity(text, i);
  case '!': return i + 1 == text.len; /* a link may follow */
  case '#': return self->line_start || self->heading;
  case '|': return self->line_start || self->cell_depth > 0;
  case '>':
  case '+':
  case '-':
  case '=':
  case ':': return self->line_start;
  case '.':
  case ')': return self->digits > 0;
  default: return false;
  }
}

static void put_break(lk_render *self) {
  if (self->one_line) {
    LK_PUT(self, "<br>");
    return;
  }
  LK_PUT(self, "\\");
  next_line(self, false);
}

/* A byte that is not written as itself; empty where it is. */
static lk_slice replacement(const lk_render *self, uint8_t byte) {
  if (byte == 0) return LK_UTF8_REPLACEMENT;
  if (byte == ' ' && self->line_start) return LK_LIT("&#32;");
  if (byte == '\t' && self->line_start) return LK_LIT("&#9;");
  return LK_SLICE_EMPTY;
}

static void put_byte(lk_render *self, lk_slice text, size_t i) {
  uint8_t byte = text.ptr[i];
  lk_slice other = replacement(self, byte);
  bool counts = is_digit(byte) && (self->line_start || self->digits > 0);
  if (other.len > 0) {
    lk_put(self, other);
  } else {
    if (needs_escape(self, text, i)) LK_PUT(self, "\\");
    lk_buf_append_u8(self->out, byte);
  }
  self->digits = counts ? (uint8_t)(self->digits < 10 ? self->digits + 1 : 10) : 0;
  self->line_start = false;
}

static void put_text(lk_render *self, lk_slice text) {
  for (size_t i = 0; i < text.len && self->out->err == LK_OK; i++) {
    uint8_t byte = text.ptr[i];
    bool pair = byte == '\r' && i + 1 < text.len && text.ptr[i + 1] == '\n';
    if (pair) continue;
    if (byte == '\n' || byte == '\r') put_break(self);
    else put_byte(self, text, i);
  }
}

/* Signs that are no text. */
static void put_sign(lk_render *self, lk_slice sign) {
  lk_put(self, sign);
  self->line_start = false;
  self->digits = 0;
}

/* ---- code and addresses ---- */

static size_t longest_run(lk_slice text, uint8_t byte) {
  size_t longest = 0, run = 0;
  for (size_t i = 0; i < text.len; i++) {
    run = text.ptr[i] == byte ? run + 1 : 0;
    longest = lk_max_size(longest, run);
  }
  return longest;
}

static void put_repeated(lk_render *self, uint8_t byte, size_t count) {
  for (; count > 0 && self->out->err == LK_OK; count--) lk_buf_append_u8(self->out, byte);
}

static bool is_blank(lk_slice text) {
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] != ' ') return false;
  }
  return true;
}

static bool needs_padding(lk_slice text) {
  uint8_t first = text.ptr[0], last = text.ptr[text.len - 1];
  return first == '`' || last == '`' || (first == ' ' && last == ' ' && !is_blank(text));
}

static void put_raw(lk_render *self, lk_slice text) {
  for (size_t i = 0; i < text.len; i++) {
    uint8_t byte = text.ptr[i];
    if (byte == '|' && self->cell_depth > 0) LK_PUT(self, "\\|");
    else if (byte == 0) lk_put(self, LK_UTF8_REPLACEMENT);
    else lk_buf_append_u8(self->out, byte);
  }
}

/* One line of code within text. */
static void put_code_span(lk_render *self, lk_slice text) {
  if (text.len == 0) return;
  size_t fence = longest_run(text, '`') + 1;
  bool padded = needs_padding(text);
  put_sign(self, LK_SLICE_EMPTY);
  put_repeated(self, '`', fence);
  if (padded) LK_PUT(self, " ");
  put_raw(self, text);
  if (padded) LK_PUT(self, " ");
  put_repeated(self, '`', fence);
}

/* Cuts off the first line. False where there is none. */
static bool take_line(lk_slice *text, lk_slice *line, bool *more) {
  size_t i = 0;
  if (!*more) return false;
  while (i < text->len && text->ptr[i] != '\n' && text->ptr[i] != '\r') i++;
  *line = lk_slice_first(*text, i);
  *more = i < text->len;
  bool pair = i + 1 < text->len && text->ptr[i] == '\r' && text->ptr[i + 1] == '\n';
  *text = lk_slice_skip(*text, i + (pair ? 2 : 1));
  return true;
}

static void put_code(lk_render *self, lk_slice text) {
  lk_slice line;
  bool more = true, first = true;
  while (take_line(&text, &line, &more) && self->out->err == LK_OK) {
    if (!first) put_break(self);
    put_code_span(self, line);
    first = false;
  }
}

static bool needs_brackets(lk_slice url) {
  for (size_t i = 0; i < url.len; i++) {
    uint8_t c = url.ptr[i];
    if (c == ' ' || c == '(' || c == ')' || c == '<' || c == '>') return true;
  }
  return url.len == 0;
}

static void put_url(lk_render *self, lk_slice url) {
  bool brackets = needs_brackets(url);
  LK_PUT(self, "(");
  if (brackets) LK_PUT(self, "<");
  for (size_t i = 0; i < url.len; i++) {
    uint8_t c = url.ptr[i];
    if (c == '&' && is_entity(url, i)) {
      LK_PUT(self, "&amp;");
      continue;
    }
    bool escaped = c == '\\' || c == '<' || c == '>' || (c == '|' && self->cell_depth > 0);
    if (escaped) LK_PUT(self, "\\");
    lk_buf_append_u8(self->out, c);
  }
  if (brackets) LK_PUT(self, ">");
  LK_PUT(self, ")");
}

/* ---- signs ---- */

/* OTHER: anything that is no space, perhaps a letter, perhaps punctuation. */
typedef enum char_class { SPACE, WORD, PUNCT, OTHER } char_class;

/* Letters of which it is certain. */
static bool is_letter(uint32_t c) {
  if (c >= 0xC0 && c <= 0x24F) return c != 0xD7 && c != 0xF7;
  return (c >= 0x391 && c <= 0x3F5) || (c >= 0x400 && c <= 0x481) || (c >= 0x48A && c <= 0x52F) ||
         (c >= 0x3041 && c <= 0x3096) || (c >= 0x30A1 && c <= 0x30FA) ||
         (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0xAC00 && c <= 0xD7A3);
}

static bool is_wide_space(uint32_t c) {
  return c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000;
}

static char_class class_of(uint32_t c) {
  if (c < 0x80) {
    if (is_alnum((uint8_t)c)) return WORD;
    if (c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r') return SPACE;
    return c < ' ' || c == 0x7F ? OTHER : PUNCT;
  }
  if (is_wide_space(c)) return SPACE;
  return is_letter(c) ? WORD : OTHER;
}

static char_class first_class(lk_slice text) {
  uint32_t point;
  return lk_utf8_decode(&text, &point) == LK_OK ? class_of(point) : SPACE;
}

static char_class last_class(lk_slice text) {
  size_t back = 1;
  while (back < text.len && back < 4 && (text.ptr[text.len - back] & 0xC0) == 0x80) back++;
  return first_class(lk_slice_last(text, back));
}

static lk_slice op_text(const lk_render *self, const lk_op *op) {
  return lk_slice_of(self->text.ptr + op->at, op->len);
}

static bool has_sign(uint8_t mark) {
  return mark == LK_MARK_BOLD || mark == LK_MARK_ITALIC || mark == LK_MARK_STRIKE;
}

static bool is_star(const lk_op *op) {
  return (op->kind == LK_OP_OPEN || op->kind == LK_OP_CLOSE) && !op->tag &&
         (op->mark == LK_MARK_BOLD || op->mark == LK_MARK_ITALIC);
}

/* What stands behind the OPEN at |i|, past signs that run together with it. */
static char_class class_inside_open(const lk_render *self, uint32_t i) {
  const lk_op *ops = self->ops.at;
  uint32_t at = i + 1;
  while (is_star(&ops[i]) && is_star(&ops[at]) && ops[at].kind == LK_OP_OPEN) at++;
  bool text = ops[at].kind == LK_OP_TEXT && !ops[at].code;
  return text ? first_class(op_text(self, &ops[at])) : PUNCT;
}

static char_class class_inside_close(const lk_render *self, uint32_t i) {
  const lk_op *ops = self->ops.at;
  uint32_t at = i - 1;
  while (is_star(&ops[i]) && is_star(&ops[at]) && ops[at].kind == LK_OP_CLOSE) at--;
  bool text = ops[at].kind == LK_OP_TEXT && !ops[at].code;
  return text ? last_class(op_text(self, &ops[at])) : PUNCT;
}

static bool is_tight(char_class next) { return next == SPACE || next == PUNCT; }

/* What stands before the first of the signs that the OPEN at |i| may run together with. A tag, a bracket and code
 * are punctuation. */
static char_class class_before(const lk_render *self, uint32_t i) {
  const lk_op *ops = self->ops.at;
  while (i > 0 && ops[i - 1].kind == LK_OP_OPEN && has_sign(ops[i - 1].mark)) i--;
  if (i == 0) return SPACE;
  const lk_op *op = &ops[i - 1];
  if (op->kind == LK_OP_TEXT && !op->code) return last_class(op_text(self, op));
  return PUNCT;
}

static char_class class_behind(const lk_render *self, uint32_t i) {
  const lk_op *ops = self->ops.at;
  do i++;
  while (i < self->ops.count && ops[i].kind == LK_OP_CLOSE && has_sign(ops[i].mark));
  if (i == self->ops.count) return SPACE;
  const lk_op *op = &ops[i];
  if (op->kind == LK_OP_TEXT && !op->code) return first_class(op_text(self, op));
  return PUNCT;
}

/* "***" that is closed by "*" first leaves two of three behind, which a later "*" would take for its own. */
static bool runs_together_once(const lk_render *self, uint32_t i) {
  const lk_op *op = &self->ops.at[i], *before = &self->ops.at[i - 1];
  return before->kind == LK_OP_OPEN && has_sign(before->mark) && before->peer != op->peer + 1;
}

/* Whether a sign may open at |i|: in front of a letter; or in front of anything visible, behind a space or
 * punctuation. Never right behind the end of another. */
static bool may_open(const lk_render *self, uint32_t i) {
  if (i > 0 && self->ops.at[i - 1].kind == LK_OP_CLOSE) return false;
  if (i > 0 && runs_together_once(self, i)) return false;
  char_class inside = class_inside_open(self, i);
  return inside == WORD || (inside != SPACE && is_tight(class_before(self, i)));
}

static bool may_close(const lk_render *self, uint32_t i) {
  char_class inside = class_inside_close(self, i);
  return inside == WORD || (inside != SPACE && is_tight(class_behind(self, i)));
}

/* From the last to the first, so that those within are known before those around them. */
static void choose_signs(lk_render *self) {
  for (uint32_t i = self->ops.count; i-- > 0;) {
    lk_op *op = &self->ops.at[i];
    if (op->kind != LK_OP_OPEN) continue;
    lk_op *close = &self->ops.at[op->peer];
    op->tag = close->tag = false;
    bool sign = has_sign(op->mark) && may_open(self, i) && may_close(self, op->peer);
    op->tag = close->tag = !sign;
  }
}

static lk_slice sign_of(const lk_op *op) {
  switch (op->mark) {
  case LK_MARK_BOLD: return LK_LIT("**");
  case LK_MARK_ITALIC: return LK_LIT("*");
  default: return LK_LIT("~~");
  }
}

static lk_slice tag_of(const lk_op *op) {
  switch (op->mark) {
  case LK_MARK_BOLD: return LK_LIT("strong>");
  case LK_MARK_ITALIC: return LK_LIT("em>");
  case LK_MARK_STRIKE: return LK_LIT("del>");
  case LK_MARK_UNDERLINE: return LK_LIT("u>");
  case LK_MARK_SUB: return LK_LIT("sub>");
  default: return LK_LIT("sup>");
  }
}

static void put_link(lk_render *self, const lk_op *op) {
  if (op->kind == LK_OP_OPEN) {
    put_sign(self, LK_LIT("["));
    return;
  }
  put_sign(self, LK_LIT("]"));
  if (lk_render_link(self, op->value)) put_url(self, lk_buf_slice(&self->url));
}

static void put_mark(lk_render *self, const lk_op *op) {
  if (op->mark == LK_MARK_LINK) {
    put_link(self, op);
  } else if (op->tag) {
    put_sign(self, op->kind == LK_OP_OPEN ? LK_LIT("<") : LK_LIT("</"));
    lk_put(self, tag_of(op));
  } else {
    put_sign(self, sign_of(op));
  }
}

static void put_image(lk_render *self, const lk_run *run) {
  lk_buf_truncate(&self->url, 0);
  if (!lk_render_url(run->url, &self->url)) return;
  put_sign(self, LK_LIT("!["));
  put_text(self, lk_slice_of(self->text.ptr + run->at, run->len));
  put_sign(self, LK_LIT("]"));
  put_url(self, lk_buf_slice(&self->url));
}

/* The operations, which lk_render_make_ops() has made. */
static void put_ops(lk_render *self) {
  choose_signs(self);
  for (uint32_t i = 0; i < self->ops.count && lk_render_going(self); i++) {
    lk_op *op = &self->ops.at[i];
    if (op->kind == LK_OP_IMAGE) put_image(self, &self->runs.at[op->value]);
    else if (op->kind != LK_OP_TEXT) put_mark(self, op);
    else if (op->code) put_code(self, op_text(self, op));
    else put_text(self, op_text(self, op));
  }
}

static void make_ops(lk_render *self) {
  lk_render_make_ops(self, SHOWN, LK_MARK_BIT(LK_MARK_CODE), true);
}

/* ---- leaves ---- */

/* In a cell a leaf is a line among others. */
static void begin_leaf(lk_render *self, bool paragraph) {
  if (self->cell_depth == 0) {
    if (!paragraph) settle_check(self);
    begin_line(self);
    return;
  }
  if (self->cell_some) LK_PUT(self, "<br>");
  self->cell_some = true;
  self->line_start = true;
  self->digits = 0;
}

static void end_leaf(lk_render *self) {
  self->gap = 2;
  self->line_start = false;
}

static void put_paragraph(lk_render *self, const lk_render_block *block) {
  make_ops(self);
  if (self->ops.count == 0) return;
  begin_leaf(self, true);
  put_ops(self);
  end_leaf(self);
  self->bare_last = block->bare;
}

static void put_heading(lk_render *self, const lk_render_block *block) {
  bool one_line = self->one_line;
  make_ops(self);
  if (self->ops.count == 0) return;
  begin_leaf(self, false);
  self->one_line = self->heading = true;
  if (self->cell_depth == 0) {
    put_repeated(self, '#', block->level);
    LK_PUT(self, " ");
  }
  put_ops(self);
  self->one_line = one_line;
  self->heading = false;
  end_leaf(self);
}

static void put_language(lk_render *self, lk_slice language) {
  for (size_t i = 0; i < language.len && i < 40; i++) {
    uint8_t c = language.ptr[i];
    bool fits = is_alnum(c) || c == '+' || c == '-' || c == '#' || c == '.' || c == '_';
    if (!fits) break;
    lk_buf_append_u8(self->out, c);
  }
}

static void put_code_block(lk_render *self, const lk_render_block *block) {
  lk_slice line, text = lk_buf_slice(&self->text);
  bool more;
  begin_leaf(self, false);
  if (self->cell_depth > 0) {
    put_code(self, text);
    return;
  }
  size_t fence = lk_max_size(3, longest_run(text, '`') + 1);
  put_repeated(self, '`', fence);
  put_language(self, block->language);
  more = text.len > 0;
  while (take_line(&text, &line, &more) && self->out->err == LK_OK) {
    next_line(self, line.len == 0);
    put_raw(self, line);
  }
  next_line(self, false);
  put_repeated(self, '`', fence);
  end_leaf(self);
}

static void put_media(lk_render *self, const lk_render_block *block) {
  lk_slice text = block->caption.len > 0 ? block->caption : block->name;
  bool image = block->media == LK_MEDIA_IMAGE;
  bool one_line = self->one_line;
  begin_leaf(self, true);
  put_sign(self, image ? LK_LIT("![") : LK_LIT("["));
  self->one_line = true;
  put_text(self, text.len > 0 || image ? text : block->url);
  self->one_line = one_line;
  LK_PUT(self, "]");
  put_url(self, block->url);
  end_leaf(self);
}

static void leaf(lk_render *self, const lk_render_block *block) {
  switch (block->kind) {
  case LK_BLOCK_HEADING: put_heading(self, block); break;
  case LK_BLOCK_CODE: put_code_block(self, block); break;
  case LK_BLOCK_MEDIA: put_media(self, block); break;
  case LK_BLOCK_RULE:
    if (self->cell_depth > 0) break;
    begin_leaf(self, false);
    LK_PUT(self, "___"); /* "- ---" would be a rule, not an item with a rule */
    end_leaf(self);
    break;
  default: put_paragraph(self, block); break;
  }
}

/* ---- containers ---- */

/* Behind an item's own text a list needs no empty line, but for one that could not interrupt it. */
static void begin_list(lk_render *self, lk_render_block *block) {
  bool ordered = block->list == LK_LIST_ORDERED;
  bool joins = self->after_list && self->after_ordered == ordered;
  if (self->bare_last && self->gap == 2 && (!ordered || block->number == 1)) self->gap = 1;
  block->saved = self->alternate;
  /* On one line with the marker of the list around it: "- - -" would be a rule. */
  if (self->pending.len > 0) self->alternate = !self->alternate;
  else self->alternate = joins && !self->after_alternate;
  self->after_list = false;
}

static void end_list(lk_render *self, const lk_render_block *block) {
  self->after_list = true;
  self->after_ordered = block->list == LK_LIST_ORDERED;
  self->after_alternate = self->alternate;
  self->alternate = block->saved != 0;
  self->gap = self->gap > 0 ? 2 : 0;
}

static size_t make_marker(const lk_render *self, const lk_render_block *block, uint8_t out[32]) {
  if (block->list != LK_LIST_ORDERED) {
    out[0] = self->alternate ? '*' : '-';
    out[1] = ' ';
    return 2;
  }
  size_t len = 0;
  uint8_t digits[10];
  uint32_t number = lk_min_u32(block->number, NUMBER_MOST), count = 0;
  do digits[count++] = (uint8_t)('0' + number % 10);
  while ((number /= 10) > 0);
  while (count > 0) out[len++] = digits[--count];
  out[len++] = self->alternate ? ')' : '.';
  out[len++] = ' ';
  return len;
}

static void begin_item(lk_render *self, lk_render_block *block) {
  static const uint8_t spaces[] = "                                ";
  uint8_t marker[32];
  size_t width = make_marker(self, block, marker), len = width;
  if (block->list == LK_LIST_CHECK) {
    memcpy(marker + len, block->checked ? "[x] " : "[ ] ", 4);
    len += 4;
  }
  if (!block->first && self->gap > 1) self->gap = 1;
  self->after_list = self->bare_last = false;
  push_prefix(self, block, lk_slice_of(marker, len), lk_slice_of(spaces, width));
  self->check_pending = block->list == LK_LIST_CHECK;
}

/* An item in which nothing was written: its marker alone, which must not look like the underline of
 * a title, as "-" behind a line of text does. */
static void put_empty_item(lk_render *self, const lk_render_block *block) {
  if (block->first && self->gap == 1) self->gap = 2;
  put_pending_line(self);
}

static void end_item(lk_render *self, const lk_render_block *block) {
  if (self->pending.len > 0) put_empty_item(self, block);
  lk_buf_truncate(&self->prefix, block->saved);
  self->gap = 2;
  self->after_list = self->bare_last = false;
}

static void begin_row(lk_render *self) {
  self->row_cells = 0;
  settle_check(self);
  begin_line(self);
  LK_PUT(self, "|");
}

/* The first row stands for the head, which Markdown wants, and says how many columns there are. */
static void end_row(lk_render *self, const lk_render_block *block) {
  self->gap = 1;
  if (self->row_cells == 0) LK_PUT(self, "  |");
  if (!block->first) return;
  for (uint32_t i = lk_max_u32(1, self->row_cells); i < block->columns; i++) LK_PUT(self, "  |");
  next_line(self, false);
  LK_PUT(self, "|");
  for (uint32_t i = 0; i < block->columns && self->out->err == LK_OK; i++) LK_PUT(self, " --- |");
}

static void begin_cell(lk_render *self) {
  if (self->cell_depth++ > 0) return;
  self->row_cells++;
  LK_PUT(self, " ");
  self->cell_some = false;
  self->one_line = true;
}

static void end_cell(lk_render *self) {
  if (--self->cell_depth > 0) return;
  LK_PUT(self, " |");
  self->one_line = false;
  self->line_start = false;
}

/* In a cell nothing but text counts; tables in it have cells of their own, which are counted. */
static void begin(lk_render *self, lk_render_block *block) {
  if (block->kind == LK_BLOCK_CELL) begin_cell(self);
  if (self->cell_depth > 0) return;
  switch (block->kind) {
  case LK_BLOCK_QUOTE: push_prefix(self, block, LK_LIT("> "), LK_LIT("> ")); break;
  case LK_BLOCK_LIST: begin_list(self, block); break;
  case LK_BLOCK_ITEM: begin_item(self, block); break;
  case LK_BLOCK_ROW: begin_row(self); break;
  default: break;
  }
}

static void end(lk_render *self, lk_render_block *block) {
  if (block->kind == LK_BLOCK_CELL) {
    end_cell(self);
    return;
  }
  if (self->cell_depth > 0) return;
  switch (block->kind) {
  case LK_BLOCK_QUOTE:
    lk_buf_truncate(&self->prefix, block->saved);
    if (self->pending.len > 0) lk_buf_truncate(&self->pending, self->pending.len - 2);
    break;
  case LK_BLOCK_LIST: end_list(self, block); break;
  case LK_BLOCK_ITEM: end_item(self, block); break;
  case LK_BLOCK_ROW: end_row(self, block); break;
  case LK_BLOCK_TABLE: self->gap = self->gap > 0 ? 2 : 0; break;
  default: break;
  }
}

static void finish(lk_render *self) {
  if (self->out->len > self->start) LK_PUT(self, "\n");
}

const lk_render_writer lk_render_markdown = { begin, end, leaf, finish };
