/* doc/render_quill.c -- from a text with Quill's formats to blocks.
 *
 *   "Title" "\n"{header: 1} "one" "\n"{list: bullet} "two" "\n"{list: bullet, indent: 1} "end" "\n"
 *
 * A line's block is a format of the newline behind it, so a line is collected before it is known what it
 * is. Neighbouring lines of one kind belong together: a stack of open containers (a quote, or lists and items in turn)
 * is compared with what each line asks for. Lines of code are kept back, as text, until a line that is
 * none: one block holds them all. A text that nobody formatted is paragraphs, one for each line.
 *
 * Indents come from strangers; no line is nested more than one deeper than the one before it, nor beyond
 * INDENT_MOST. */
#include "doc/render.h"

#define INDENT_MOST 16

typedef struct line {
  uint32_t header; /* 1 to 6, or 0 */
  bool list, quote, code, checked;
  uint8_t list_kind;
  uint8_t align;
  uint32_t indent;
  lk_slice language;
} line;

typedef struct reader {
  lk_render *render;
  line line;      /* formats in force that are a line's */
  lk_marks marks; /* and those that are a text's */
  bool in_code;   /* code was kept back: the text up to |code_end| */
  size_t code_end;
  lk_slice language;
} reader;

/* ---- formats ---- */

static void apply_list(line *self, const lk_value *value) {
  lk_slice text = lk_render_string(value);
  self->checked = lk_slice_equal(text, LK_LIT("checked"));
  self->list = text.len > 0;
  self->list_kind = LK_LIST_BULLET;
  if (lk_slice_equal(text, LK_LIT("ordered"))) self->list_kind = LK_LIST_ORDERED;
  if (self->checked || lk_slice_equal(text, LK_LIT("unchecked"))) self->list_kind = LK_LIST_CHECK;
}

static void apply(reader *self, uint32_t item) {
  lk_value value;
  line *l = &self->line;
  const lk_doc *doc = self->render->doc;
  lk_slice key = lk_name_slice(doc, lk_item_key(doc, lk_item_at(doc, item)));
  lk_render_value(doc, item, &value);
  bool on = value.kind != LK_VALUE_NULL && value.kind != LK_VALUE_UNDEFINED &&
            !(value.kind == LK_VALUE_BOOL && !value.boolean);
  if (lk_slice_equal(key, LK_LIT("header"))) {
    l->header = lk_min_u32(6, lk_render_number(&value));
  } else if (lk_slice_equal(key, LK_LIT("list"))) {
    apply_list(l, &value);
  } else if (lk_slice_equal(key, LK_LIT("blockquote"))) {
    l->quote = on;
  } else if (lk_slice_equal(key, LK_LIT("code-block"))) {
    l->code = on;
    l->language = lk_render_string(&value);
  } else if (lk_slice_equal(key, LK_LIT("indent"))) {
    l->indent = lk_min_u32(INDENT_MOST, lk_render_number(&value));
  } else if (lk_slice_equal(key, LK_LIT("align"))) {
    l->align = (uint8_t)lk_render_align(lk_render_string(&value));
  } else {
    lk_render_apply(self->render, item, &self->marks);
  }
}

/* ---- containers ---- */

static void open_block(lk_render *self, lk_render_block block) {
  if (!LK_GROW_ONE(self, self->blocks)) return;
  self->blocks.at[self->blocks.count++] = block;
  self->writer->begin(self, &self->blocks.at[self->blocks.count - 1]);
}

static void close_to(lk_render *self, uint32_t count) {
  while (self->blocks.count > count && self->err == LK_OK) {
    self->writer->end(self, &self->blocks.at[self->blocks.count - 1]);
    self->blocks.count--;
  }
}

/* Lists and items lie in turn: a list of depth d is block 2d, its item 2d + 1. |number| counts the items of a list. */
static void enter_item(lk_render *self, const line *l) {
  if (self->blocks.count > 0 && self->blocks.at[0].kind != LK_BLOCK_LIST) close_to(self, 0);
  uint32_t depth = lk_min_u32(l->indent, self->blocks.count / 2);
  close_to(self, 2 * depth + 1); /* the list stays, its item goes */
  if (self->blocks.count == 2 * depth + 1 && self->blocks.at[2 * depth].list != l->list_kind) {
    close_to(self, 2 * depth);
  }
  lk_render_block list = { .kind = LK_BLOCK_LIST, .list = l->list_kind, .number = 1 };
  if (self->blocks.count == 2 * depth) open_block(self, list);
  if (self->err != LK_OK) return;
  lk_render_block *opened = &self->blocks.at[2 * depth];
  lk_render_block item = { .kind = LK_BLOCK_ITEM, .list = l->list_kind, .checked = l->checked };
  item.number = opened->number + opened->cells;
  item.first = opened->cells++ == 0;
  open_block(self, item);
}

static void enter_quote(lk_render *self) {
  bool in_quote = self->blocks.count > 0 && self->blocks.at[0].kind == LK_BLOCK_QUOTE;
  if (in_quote) return;
  close_to(self, 0);
  open_block(self, (lk_render_block){ .kind = LK_BLOCK_QUOTE });
}

static void enter(lk_render *self, const line *l) {
  if (l->list) enter_item(self, l);
  else if (l->quote) enter_quote(self);
  else close_to(self, 0);
}

/* ---- lines ---- */

/* Writes the code that was kept back; what was collected behind it stays. */
static void end_code(reader *self) {
  lk_render *render = self->render;
  size_t len = render->text.len;
  if (!self->in_code) return;
  close_to(render, 0);
  render->text.len = self->code_end > 0 ? self->code_end - 1 : 0; /* without the last newline */
  lk_render_block block = { .kind = LK_BLOCK_CODE, .language = self->language };
  if (render->err == LK_OK) render->writer->leaf(render, &block);
  render->text.len = len;
  self->in_code = false;
}

static void keep_code(reader *self) {
  lk_render *render = self->render;
  if (self->in_code && !lk_slice_equal(self->language, self->line.language)) {
    end_code(self);
    /* What was written is in front of this line; it goes. */
    lk_buf_consume(&render->text, self->code_end);
  }
  self->in_code = true;
  self->language = self->line.language;
  lk_text_flush(&render->high, &render->text);
  lk_buf_append_u8(&render->text, '\n');
  self->code_end = render->text.len;
  render->runs.count = 0;
}

static void end_line(reader *self, bool last) {
  lk_render *render = self->render;
  const line *l = &self->line;
  if (l->code && !last) {
    keep_code(self);
    return;
  }
  end_code(self);
  if (last && !lk_render_has_content(render)) return;
  enter(render, l);
  lk_render_block block = { .kind = LK_BLOCK_PARAGRAPH, .bare = l->list, .align = l->align };
  if (l->header > 0 && !last) {
    block.kind = LK_BLOCK_HEADING;
    block.bare = false;
    block.level = (uint8_t)l->header;
  }
  if (render->err == LK_OK) render->writer->leaf(render, &block);
  lk_render_clear(render);
}

/* The unit behind the first newline from |from| on, or 0. */
static uint32_t behind_newline(const lk_doc *doc, const lk_item *item, uint32_t from) {
  for (uint32_t i = from; i < item->len; i++) {
    if (lk_item_unit(doc, item, i) == '\n') return i + 1;
  }
  return 0;
}

static void add_string(reader *self, const lk_item *item) {
  lk_render *render = self->render;
  uint32_t at = 0, next;
  while ((next = behind_newline(render->doc, item, at)) != 0 && lk_render_going(render)) {
    lk_render_add_item(render, item, at, next - 1 - at, &self->marks);
    end_line(self, false);
    at = next;
  }
  if (lk_render_going(render)) lk_render_add_item(render, item, at, item->len - at, &self->marks);
}

/* {"image": address}, {"video": address}, {"formula": text}, {"mention": {"value": text}} */
static void add_embed(reader *self, uint32_t item) {
  lk_value embed, value, text;
  lk_render *render = self->render;
  lk_render_value(render->doc, item, &embed);
  if (lk_render_member(&embed, LK_LIT("image"), &value)) {
    lk_render_add_image(render, lk_render_string(&value), LK_SLICE_EMPTY, &self->marks);
  } else if (lk_render_member(&embed, LK_LIT("video"), &value) ||
             lk_render_member(&embed, LK_LIT("formula"), &value)) {
    lk_render_add_text(render, lk_render_string(&value), &self->marks);
  } else if (lk_render_member(&embed, LK_LIT("mention"), &value) &&
             lk_render_member(&value, LK_LIT("value"), &text)) {
    lk_render_add_text(render, LK_LIT("@"), &self->marks);
    lk_render_add_text(render, lk_render_string(&text), &self->marks);
  }
}

static void add_node(reader *self, uint32_t type) {
  lk_buf text;
  lk_render *render = self->render;
  uint8_t kind = lk_type_at(render->doc, type)->kind;
  if (kind != LK_NODE_TEXT && kind != LK_NODE_XML_TEXT) return;
  lk_buf_init(&text, render->alloc, SIZE_MAX / 2);
  lk_err err = lk_read_text(render->doc, type, &text);
  if (err == LK_OK) lk_render_add_text(render, lk_buf_slice(&text), &self->marks);
  else lk_render_fail(render, err);
  lk_buf_deinit(&text);
}

void lk_render_quill(lk_render *self, uint32_t type) {
  reader r = { .render = self, .marks = { 0, { LK_NONE, LK_NONE, LK_NONE } } };
  for (uint32_t i = lk_type_at(self->doc, type)->start; i != LK_NONE && lk_render_going(self);
       i = lk_item_at(self->doc, i)->right) {
    const lk_item *item = lk_item_at(self->doc, i);
    if (lk_item_deleted(item)) continue;
    if (item->kind == LK_CONTENT_STRING) add_string(&r, item);
    if (item->kind == LK_CONTENT_FORMAT) apply(&r, i);
    if (item->kind == LK_CONTENT_EMBED) add_embed(&r, i);
    if (item->kind == LK_CONTENT_TYPE) add_node(&r, item->content);
  }
  if (lk_render_going(self)) end_line(&r, true);
  if (self->err == LK_OK) close_to(self, 0);
}
