/* doc/render_html.c -- blocks as HTML.
 *
 * Every byte that comes from the document goes through one of three doors: put_escaped() for text and for values
 * of attributes, lk_render_url() in front of it for addresses, and word() for what stands in a class. Names of
 * elements and attributes are literals of this file alone.
 *
 * Blocks stand on lines of their own; inside of them nothing is added, since spaces would be seen. What the
 * readers promise keeps the HTML valid: lists hold items, tables rows, rows cells, and a paragraph holds
 * text alone. */
#include "doc/render.h"

#define SHOWN (LK_MARK_BIT(LK_MARK_COUNT) - 1)

/* ---- text ---- */

static lk_slice entity_of(uint8_t byte) {
  switch (byte) {
  case '&': return LK_LIT("&amp;");
  case '<': return LK_LIT("&lt;");
  case '>': return LK_LIT("&gt;");
  case '"': return LK_LIT("&quot;");
  case '\'': return LK_LIT("&#39;");
  case '\r': return LK_LIT("&#13;"); /* a bare one would be read as a line feed */
  case 0: return LK_LIT("\xEF\xBF\xBD");
  default: return LK_SLICE_EMPTY;
  }
}

/* |lines|: line feeds become <br>. */
static void put_escaped(lk_render *self, lk_slice text, bool lines) {
  size_t from = 0;
  for (size_t i = 0; i < text.len; i++) {
    uint8_t byte = text.ptr[i];
    if (byte > '>') continue;
    lk_slice with = byte == '\n' && lines ? LK_LIT("<br>") : entity_of(byte);
    if (with.len == 0) continue;
    lk_put(self, lk_slice_of(text.ptr + from, i - from));
    lk_put(self, with);
    from = i + 1;
  }
  lk_put(self, lk_slice_skip(text, from));
}

static void put_attribute(lk_render *self, lk_slice begin, lk_slice value) {
  lk_put(self, begin);
  put_escaped(self, value, false);
  LK_PUT(self, "\"");
}

/* ---- within a block ---- */

static lk_slice tag_of(uint8_t mark) {
  switch (mark) {
  case LK_MARK_UNDERLINE: return LK_LIT("u>");
  case LK_MARK_SUB: return LK_LIT("sub>");
  case LK_MARK_SUP: return LK_LIT("sup>");
  case LK_MARK_STRIKE: return LK_LIT("s>");
  case LK_MARK_BOLD: return LK_LIT("strong>");
  case LK_MARK_ITALIC: return LK_LIT("em>");
  case LK_MARK_CODE: return LK_LIT("code>");
  case LK_MARK_LINK: return LK_LIT("a>");
  default: return LK_LIT("span>");
  }
}

static void put_color(lk_render *self, const lk_op *op, lk_slice begin) {
  put_attribute(self, begin, lk_render_color(self->doc, op->value));
  LK_PUT(self, ">");
}

static void open_tag(lk_render *self, const lk_op *op) {
  switch (op->mark) {
  case LK_MARK_COLOR: put_color(self, op, LK_LIT("<span style=\"color:")); break;
  case LK_MARK_BACKGROUND: put_color(self, op, LK_LIT("<span style=\"background-color:")); break;
  case LK_MARK_LINK:
    if (!lk_render_link(self, op->value)) lk_buf_truncate(&self->url, 0); /* out of memory */
    put_attribute(self, LK_LIT("<a href=\""), lk_buf_slice(&self->url));
    LK_PUT(self, ">");
    break;
  default:
    LK_PUT(self, "<");
    lk_put(self, tag_of(op->mark));
    break;
  }
}

static void put_image(lk_render *self, const lk_run *run) {
  lk_buf_truncate(&self->url, 0);
  if (!lk_render_url(run->url, &self->url)) return;
  put_attribute(self, LK_LIT("<img src=\""), lk_buf_slice(&self->url));
  put_attribute(self, LK_LIT(" alt=\""), lk_slice_of(self->text.ptr + run->at, run->len));
  LK_PUT(self, ">");
}

static void put_op(lk_render *self, const lk_op *op) {
  switch (op->kind) {
  case LK_OP_TEXT: put_escaped(self, lk_slice_of(self->text.ptr + op->at, op->len), true); break;
  case LK_OP_IMAGE: put_image(self, &self->runs.at[op->value]); break;
  case LK_OP_OPEN: open_tag(self, op); break;
  default:
    LK_PUT(self, "</");
    lk_put(self, tag_of(op->mark));
    break;
  }
}

static void put_inline(lk_render *self) {
  lk_render_make_ops(self, SHOWN, 0, false);
  for (uint32_t i = 0; i < self->ops.count && lk_render_going(self); i++) {
    put_op(self, &self->ops.at[i]);
  }
}

/* ---- leaves ---- */

static void put_align(lk_render *self, uint8_t align) {
  if (align == LK_ALIGN_CENTER) LK_PUT(self, " style=\"text-align:center\"");
  if (align == LK_ALIGN_RIGHT) LK_PUT(self, " style=\"text-align:right\"");
  if (align == LK_ALIGN_JUSTIFY) LK_PUT(self, " style=\"text-align:justify\"");
}

/* The letters of a language's name, for a class. */
static lk_slice word(lk_slice text) {
  size_t len = 0;
  while (len < text.len && len < 40) {
    uint8_t c = text.ptr[len], low = c | 0x20;
    bool fits = (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '+' ||
                c == '#' || c == '.' || c == '-';
    if (!fits) break;
    len++;
  }
  return lk_slice_first(text, len);
}

static void put_code(lk_render *self, const lk_render_block *block) {
  lk_slice language = word(block->language), text = lk_buf_slice(&self->text);
  if (language.len > 0) {
    put_attribute(self, LK_LIT("<pre><code class=\"language-"), language);
    LK_PUT(self, ">");
  } else {
    LK_PUT(self, "<pre><code>");
  }
  put_escaped(self, text, false);
  LK_PUT(self, "</code></pre>\n");
}

static void put_media_element(lk_render *self, const lk_render_block *block) {
  lk_slice text = block->name.len > 0 ? block->name : block->caption;
  switch (block->media) {
  case LK_MEDIA_IMAGE:
    put_attribute(self, LK_LIT("<img src=\""), block->url);
    put_attribute(self, LK_LIT(" alt=\""), text);
    LK_PUT(self, ">");
    break;
  case LK_MEDIA_VIDEO:
    put_attribute(self, LK_LIT("<video controls src=\""), block->url);
    LK_PUT(self, "></video>");
    break;
  case LK_MEDIA_AUDIO:
    put_attribute(self, LK_LIT("<audio controls src=\""), block->url);
    LK_PUT(self, "></audio>");
    break;
  default:
    put_attribute(self, LK_LIT("<a href=\""), block->url);
    LK_PUT(self, ">");
    put_escaped(self, text.len > 0 ? text : block->url, true);
    LK_PUT(self, "</a>");
    break;
  }
}

static void put_media(lk_render *self, const lk_render_block *block) {
  if (block->caption.len == 0) {
    bool paragraph = block->media == LK_MEDIA_FILE;
    if (paragraph) LK_PUT(self, "<p>");
    put_media_element(self, block);
    lk_put(self, paragraph ? LK_LIT("</p>\n") : LK_LIT("\n"));
    return;
  }
  LK_PUT(self, "<figure>");
  put_media_element(self, block);
  LK_PUT(self, "<figcaption>");
  put_escaped(self, block->caption, true);
  LK_PUT(self, "</figcaption></figure>\n");
}

static void put_heading(lk_render *self, const lk_render_block *block) {
  uint8_t level[2] = { (uint8_t)('0' + block->level), '>' };
  LK_PUT(self, "<h");
  lk_put(self, lk_slice_of(level, 1));
  put_align(self, block->align);
  LK_PUT(self, ">");
  put_inline(self);
  LK_PUT(self, "</h");
  lk_put(self, lk_slice_of(level, 2));
  LK_PUT(self, "\n");
}

static void leaf(lk_render *self, const lk_render_block *block) {
  switch (block->kind) {
  case LK_BLOCK_HEADING: put_heading(self, block); break;
  case LK_BLOCK_CODE: put_code(self, block); break;
  case LK_BLOCK_RULE: LK_PUT(self, "<hr>\n"); break;
  case LK_BLOCK_MEDIA: put_media(self, block); break;
  default:
    if (!block->bare) {
      LK_PUT(self, "<p");
      put_align(self, block->align);
      LK_PUT(self, ">");
    }
    put_inline(self);
    if (!block->bare) LK_PUT(self, "</p>\n");
    break;
  }
}

/* ---- containers ---- */

static void put_span(lk_render *self, lk_slice begin, uint32_t span) {
  if (span <= 1) return;
  lk_put(self, begin);
  lk_buf_append_decimal(self->out, span);
  LK_PUT(self, "\"");
}

static void begin_list(lk_render *self, const lk_render_block *block) {
  if (block->list != LK_LIST_ORDERED) {
    LK_PUT(self, "<ul>\n");
    return;
  }
  LK_PUT(self, "<ol");
  put_span(self, LK_LIT(" start=\""), block->number);
  LK_PUT(self, ">\n");
}

static void begin(lk_render *self, lk_render_block *block) {
  switch (block->kind) {
  case LK_BLOCK_DIV: LK_PUT(self, "<div>\n"); break;
  case LK_BLOCK_QUOTE: LK_PUT(self, "<blockquote>\n"); break;
  case LK_BLOCK_LIST: begin_list(self, block); break;
  case LK_BLOCK_ITEM:
    LK_PUT(self, "<li>");
    if (block->list != LK_LIST_CHECK) break;
    if (block->checked) LK_PUT(self, "<input type=\"checkbox\" disabled checked> ");
    else LK_PUT(self, "<input type=\"checkbox\" disabled> ");
    break;
  case LK_BLOCK_TABLE: LK_PUT(self, "<table>\n<tbody>\n"); break;
  case LK_BLOCK_ROW: LK_PUT(self, "<tr>"); break;
  default:
    lk_put(self, block->header ? LK_LIT("<th") : LK_LIT("<td"));
    put_span(self, LK_LIT(" colspan=\""), block->colspan);
    put_span(self, LK_LIT(" rowspan=\""), block->rowspan);
    LK_PUT(self, ">");
    break;
  }
}

static void end(lk_render *self, lk_render_block *block) {
  switch (block->kind) {
  case LK_BLOCK_DIV: LK_PUT(self, "</div>\n"); break;
  case LK_BLOCK_QUOTE: LK_PUT(self, "</blockquote>\n"); break;
  case LK_BLOCK_LIST:
    lk_put(self, block->list == LK_LIST_ORDERED ? LK_LIT("</ol>\n") : LK_LIT("</ul>\n"));
    break;
  case LK_BLOCK_ITEM: LK_PUT(self, "</li>\n"); break;
  case LK_BLOCK_TABLE: LK_PUT(self, "</tbody>\n</table>\n"); break;
  case LK_BLOCK_ROW: LK_PUT(self, "</tr>\n"); break;
  default: lk_put(self, block->header ? LK_LIT("</th>") : LK_LIT("</td>")); break;
  }
}

static void finish(lk_render *self) { (void)self; }

const lk_render_writer lk_render_html = { begin, end, leaf, finish };
