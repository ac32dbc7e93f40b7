/* doc/render.h -- between those who read rich text and those who write it down; for render*.c alone.
 *
 *   render.c         XML of editors: which element is which block
 *   render_quill.c   texts whose newlines carry the block's format
 *   render_inline.c  what is within a block: runs of text, from marks to a well nested sequence of tags
 *   render_url.c     which addresses pass
 *   render_html.c, render_markdown.c  write blocks down
 *
 * Readers tell the writer of containers as they begin and end, and of leaves, the blocks that hold text,
 * when they are over: by then the text of the leaf lies in |text| and its parts in |runs|. */
#ifndef LK_DOC_RENDER_H
#define LK_DOC_RENDER_H

#include "doc/read.h"
#include "laniakea/render.h"

/* ---- blocks ---- */

typedef enum lk_block_kind {
  LK_BLOCK_PARAGRAPH, /* the leaves */
  LK_BLOCK_HEADING,
  LK_BLOCK_CODE,
  LK_BLOCK_RULE,
  LK_BLOCK_MEDIA,
  LK_BLOCK_DIV, /* the containers */
  LK_BLOCK_QUOTE,
  LK_BLOCK_LIST, /* holds items alone */
  LK_BLOCK_ITEM,
  LK_BLOCK_TABLE, /* holds rows alone, these cells alone */
  LK_BLOCK_ROW,
  LK_BLOCK_CELL,
} lk_block_kind;

typedef enum lk_list_kind { LK_LIST_BULLET, LK_LIST_ORDERED, LK_LIST_CHECK } lk_list_kind;
typedef enum lk_media_kind {
  LK_MEDIA_IMAGE,
  LK_MEDIA_VIDEO,
  LK_MEDIA_AUDIO,
  LK_MEDIA_FILE,
} lk_media_kind;
typedef enum lk_align { LK_ALIGN_NONE, LK_ALIGN_CENTER, LK_ALIGN_RIGHT, LK_ALIGN_JUSTIFY } lk_align;

typedef struct lk_render_block {
  uint8_t kind;  /* lk_block_kind */
  uint8_t level; /* HEADING: 1 to 6 */
  uint8_t list;  /* LIST and ITEM: lk_list_kind */
  uint8_t media; /* lk_media_kind */
  uint8_t align; /* lk_align */
  bool bare;     /* PARAGRAPH: the first thing in an item or cell, which needs no mark of its own */
  bool checked;  /* ITEM of a check list */
  bool header;   /* CELL */
  bool first;    /* ITEM and ROW: of its list or table */
  uint32_t number;             /* ITEM: of an ordered list; LIST: the first one */
  uint32_t colspan, rowspan;   /* CELL, at least 1 */
  uint32_t columns;            /* TABLE and ROW: cells of the longest row */
  uint32_t cells;              /* ROW: for the writer's use */
  size_t saved;                /* containers: for the writer's use */
  lk_slice language;           /* CODE; may be anything */
  lk_slice url, caption, name; /* MEDIA; the address has been checked, into |urls| */
} lk_render_block;

/* ---- within a block ---- */

typedef enum lk_render_mark {
  LK_MARK_LINK, /* outermost first, where several begin together */
  LK_MARK_COLOR,
  LK_MARK_BACKGROUND,
  LK_MARK_UNDERLINE,
  LK_MARK_SUB,
  LK_MARK_SUP,
  LK_MARK_STRIKE,
  LK_MARK_BOLD,
  LK_MARK_ITALIC,
  LK_MARK_CODE,
} lk_render_mark;
#define LK_MARK_COUNT 10
#define LK_MARK_VALUES 3 /* the first of them have a value */
#define LK_MARK_BIT(mark) (1u << (mark))

/* Which marks are in force; of the first ones also the FORMAT item that has the value, or LK_NONE. */
typedef struct lk_marks {
  uint32_t bits;
  uint32_t values[LK_MARK_VALUES];
} lk_marks;

/* A stretch of |text| with equal marks; or an image, |at| and |len| are then its alternative text and
 * |url| its address. */
typedef struct lk_run {
  lk_marks marks;
  size_t at, len;
  bool image;
  lk_slice url;
} lk_run;

/* What a block's runs are written as, one after the other. */
typedef enum lk_op_kind { LK_OP_TEXT, LK_OP_IMAGE, LK_OP_OPEN, LK_OP_CLOSE } lk_op_kind;
typedef struct lk_op {
  uint8_t kind;   /* lk_op_kind */
  uint8_t mark;   /* OPEN and CLOSE */
  bool tag;       /* OPEN and CLOSE, for the writer of Markdown: as HTML */
  bool code;      /* TEXT: with LK_MARK_CODE, where that is no tag */
  uint32_t value; /* OPEN: the FORMAT item; IMAGE: the run */
  uint32_t peer;  /* CLOSE: the index of its OPEN; OPEN: of its CLOSE */
  size_t at, len; /* TEXT: in |text| */
} lk_op;

#define LK_GROW(item_type)                                                                         \
  struct {                                                                                         \
    item_type *at;                                                                                 \
    uint32_t count, cap;                                                                           \
  }

typedef struct lk_render lk_render;

typedef struct lk_render_writer {
  void (*begin)(lk_render *self, lk_render_block *block); /* containers */
  void (*end)(lk_render *self, lk_render_block *block);
  void (*leaf)(lk_render *self, const lk_render_block *block);
  void (*finish)(lk_render *self);
} lk_render_writer;

typedef struct lk_frame lk_frame;

struct lk_render {
  const lk_doc *doc;
  const lk_alloc *alloc;
  const lk_render_writer *writer;
  lk_buf *out;
  size_t start; /* of the output in |out| */
  lk_err err;
  /* the leaf that is being read */
  lk_buf text;
  uint16_t high;
  LK_GROW(lk_run) runs;
  LK_GROW(lk_op) ops;
  lk_buf url; /* one address that was checked */
  lk_buf media_url;
  /* readers */
  LK_GROW(lk_frame) frames;
  LK_GROW(lk_render_block) blocks; /* render_quill.c: containers that are open */
  /* render_markdown.c: how lines begin, and where on a line we are */
  lk_buf prefix;  /* of each line, by the containers that are open */
  lk_buf pending; /* what stands there instead from |prefix_base| on, on the next line alone */
  size_t prefix_base;
  uint8_t gap;     /* line feeds before the next line: 0, 1 or 2 */
  uint8_t digits;  /* the line holds nothing but so many digits */
  bool line_start; /* the line holds nothing */
  bool one_line;   /* in headings and cells */
  bool heading;
  bool check_pending; /* |pending| ends with the box of a check list, which wants text behind it */
  bool bare_last;     /* the last thing was an item's first paragraph */
  bool alternate;     /* the list that is open has the other marker */
  bool after_list, after_alternate, after_ordered; /* a list has just ended, and which one */
  bool cell_some;                                  /* the cell holds something */
  uint32_t cell_depth;
  uint32_t row_cells;
};

static inline void lk_render_fail(lk_render *self, lk_err err) {
  if (self->err == LK_OK) self->err = err;
}
static inline bool lk_render_going(const lk_render *self) {
  return self->err == LK_OK && self->out->err == LK_OK;
}
static inline void lk_put(lk_render *self, lk_slice text) { lk_buf_append(self->out, text); }
#define LK_PUT(self, literal) lk_put((self), LK_LIT(literal))

/* Room for one more. False, with the error noted, where there is none. */
bool lk_render_grow(lk_render *self, void **at, uint32_t *cap, uint32_t count, size_t item_size);
#define LK_GROW_ONE(self, vec)                                                                     \
  ((vec).count < (vec).cap ||                                                                      \
   lk_render_grow((self), (void **)&(vec).at, &(vec).cap, (vec).count, sizeof *(vec).at))
#define LK_GROW_FREE(self, vec) lk_free_array((self)->alloc, (vec).at, (vec).cap, sizeof *(vec).at)

/* ---- reading (render.c) ---- */

/* What the value says; an empty slice, 0 or false where it says nothing of that kind. */
lk_slice lk_render_string(const lk_value *value);
uint32_t lk_render_number(const lk_value *value); /* also of digits in a string; 0 to a million */
bool lk_render_is_true(const lk_value *value);
/* The member |key| of an object; false where there is none, or no object. */
bool lk_render_member(const lk_value *object, lk_slice key, lk_value *out);
/* The value of a FORMAT or EMBED item. */
void lk_render_value(const lk_doc *doc, uint32_t item, lk_value *out);
lk_align lk_render_align(lk_slice text);

/* ---- the leaf (render_inline.c) ---- */

/* Text of a STRING item from unit |from| on, with the marks. */
void lk_render_add_item(lk_render *self, const lk_item *item, uint32_t from, uint32_t len,
                        const lk_marks *marks);
void lk_render_add_text(lk_render *self, lk_slice text, const lk_marks *marks);
/* |alt| is copied. Nothing where the address does not pass. */
void lk_render_add_image(lk_render *self, lk_slice url, lk_slice alt, const lk_marks *marks);
void lk_render_clear(lk_render *self);
static inline bool lk_render_has_content(const lk_render *self) { return self->runs.count > 0; }

/* Applies a FORMAT item to the marks. */
void lk_render_apply(lk_render *self, uint32_t item, lk_marks *marks);

/* The runs as |ops|: every OPEN has its CLOSE, and they nest. |shown| are the marks that the writer knows,
 * those of them in |leaf| are noted at the text instead. With |hoist|, spaces at the ends of marked text are
 * put outside of it, and those at the very end left out. */
void lk_render_make_ops(lk_render *self, uint32_t shown, uint32_t leaf, bool hoist);

/* The checked address of a link, in self->url; false where it does not pass, which no OPEN has. */
bool lk_render_link(lk_render *self, uint32_t item);
/* A colour that may stand in a style; empty where the value is none, which no OPEN has. */
lk_slice lk_render_color(const lk_doc *doc, uint32_t item);

/* ---- addresses (render_url.c) ---- */

/* Appends |url| without what browsers overlook (controls, spaces around), where it may be given out; false, and
 * nothing appended, otherwise. */
bool lk_render_url(lk_slice url, lk_buf *out);

/* ---- readers and writers ---- */

void lk_render_quill(lk_render *self, uint32_t type);
extern const lk_render_writer lk_render_html, lk_render_markdown;

#endif
