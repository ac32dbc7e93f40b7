/* doc/render.c -- from the XML that editors store to blocks.
 *
 * Editors agree on what there is and differ in how they nest it:
 *
 *   ProseMirror, Tiptap   bulletList > listItem > (paragraph, bulletList > ...)
 *   BlockNote             blockGroup > blockContainer > (bulletListItem, blockGroup > ...)
 *
 * In BlockNote a list is nothing but neighbours of one kind. So each container that may hold such neighbours knows
 * whether a list is open in it; the first item opens one, whatever is no item of its kind closes it.
 *
 * A frame is an element that is open. It is one of
 *
 *   a container   blocks go in; text that comes where a block is expected is collected, and becomes a
 *                 paragraph as soon as a block comes or the container ends
 *   a group       the same, but nothing is written for it (blockGroup, blockContainer, the fragment itself)
 *   a leaf        text goes in, and it is written when it ends; elements in it are looked at for text alone
 *   inline        an element in a leaf: its text goes to the leaf
 *
 * The writers rely on some order: lists hold items, tables rows, rows cells, and these are nowhere else. So a frame may be
 * made up around a child that does not fit: it has that one child. What stands outside of its place
 * (a cell without a row) is a group.
 *
 * No element is visited twice, but for two looks ahead: at the first child of a block container, for the list it
 * belongs to, and at the cells of a table, for the number of its columns. Both add up to the size of
 * the document. */
#include "doc/render.h"

#include "codec/any.h"
#include "codec/lib0.h"
#include "codec/number.h"
#include "codec/varint.h"
#include "doc/value.h"

typedef enum element {
  UNKNOWN,
  GROUP,
  CONTAINER, /* a group of BlockNote that is an item where its first child is one */
  PARAGRAPH,
  HEADING,
  CODE,
  RULE,
  QUOTE,
  LIST_BULLET,
  LIST_ORDERED,
  LIST_CHECK,
  ITEM,        /* of a list around it */
  ITEM_BULLET, /* BlockNote's: neighbours are a list */
  ITEM_ORDERED,
  ITEM_CHECK,
  TABLE,
  ROW,
  CELL,
  HEADER,
  IMAGE,
  VIDEO,
  AUDIO,
  FILE_BLOCK,
  BREAK,
  MENTION,
} element;

static const struct {
  lk_slice name;
  uint8_t element;
} names[] = {
  { LK_LIT_INIT("blockGroup"), GROUP },
  { LK_LIT_INIT("columnList"), GROUP },
  { LK_LIT_INIT("column"), GROUP },
  { LK_LIT_INIT("doc"), GROUP },
  { LK_LIT_INIT("blockContainer"), CONTAINER },
  { LK_LIT_INIT("paragraph"), PARAGRAPH },
  { LK_LIT_INIT("tableParagraph"), PARAGRAPH },
  { LK_LIT_INIT("heading"), HEADING },
  { LK_LIT_INIT("codeBlock"), CODE },
  { LK_LIT_INIT("code_block"), CODE },
  { LK_LIT_INIT("horizontalRule"), RULE },
  { LK_LIT_INIT("horizontal_rule"), RULE },
  { LK_LIT_INIT("divider"), RULE },
  { LK_LIT_INIT("pageBreak"), RULE },
  { LK_LIT_INIT("quote"), QUOTE },
  { LK_LIT_INIT("blockquote"), QUOTE },
  { LK_LIT_INIT("bulletList"), LIST_BULLET },
  { LK_LIT_INIT("bullet_list"), LIST_BULLET },
  { LK_LIT_INIT("orderedList"), LIST_ORDERED },
  { LK_LIT_INIT("ordered_list"), LIST_ORDERED },
  { LK_LIT_INIT("taskList"), LIST_CHECK },
  { LK_LIT_INIT("task_list"), LIST_CHECK },
  { LK_LIT_INIT("listItem"), ITEM },
  { LK_LIT_INIT("list_item"), ITEM },
  { LK_LIT_INIT("taskItem"), ITEM },
  { LK_LIT_INIT("task_item"), ITEM },
  { LK_LIT_INIT("bulletListItem"), ITEM_BULLET },
  { LK_LIT_INIT("toggleListItem"), ITEM_BULLET },
  { LK_LIT_INIT("numberedListItem"), ITEM_ORDERED },
  { LK_LIT_INIT("checkListItem"), ITEM_CHECK },
  { LK_LIT_INIT("table"), TABLE },
  { LK_LIT_INIT("tableRow"), ROW },
  { LK_LIT_INIT("table_row"), ROW },
  { LK_LIT_INIT("tableCell"), CELL },
  { LK_LIT_INIT("table_cell"), CELL },
  { LK_LIT_INIT("tableHeader"), HEADER },
  { LK_LIT_INIT("table_header"), HEADER },
  { LK_LIT_INIT("image"), IMAGE },
  { LK_LIT_INIT("video"), VIDEO },
  { LK_LIT_INIT("audio"), AUDIO },
  { LK_LIT_INIT("file"), FILE_BLOCK },
  { LK_LIT_INIT("hardBreak"), BREAK },
  { LK_LIT_INIT("hard_break"), BREAK },
  { LK_LIT_INIT("mention"), MENTION },
};

typedef enum role { ROLE_GROUP, ROLE_CONTAINER, ROLE_LEAF, ROLE_INLINE } role;

struct lk_frame {
  uint32_t item; /* the next child, or LK_NONE */
  uint32_t head; /* ITEM of a block container: the child that makes it an item; or LK_NONE */
  uint8_t role;
  bool single;           /* made up around one child */
  bool bare_next;        /* the next paragraph is the first thing in an item or cell */
  bool in_list;          /* |list| is open, for neighbours */
  uint32_t numbers;      /* LIST, or a list of neighbours: items so far */
  lk_render_block block; /* CONTAINER and LEAF */
  lk_render_block list;
};

static const lk_marks no_marks = { 0, { LK_NONE, LK_NONE, LK_NONE } };

/* ---- values ---- */

lk_slice lk_render_string(const lk_value *value) {
  return value->kind == LK_VALUE_STRING ? value->bytes : LK_SLICE_EMPTY;
}

uint32_t lk_render_number(const lk_value *value) {
  const double most = 1e6;
  double number = value->number;
  bool read = value->kind == LK_VALUE_NUMBER ||
              (value->kind == LK_VALUE_STRING && value->bytes.len <= 16 &&
               lk_number_parse_f64(value->bytes, &number) == LK_OK);
  return read && number >= 0 && number <= most ? (uint32_t)number : 0;
}

bool lk_render_is_true(const lk_value *value) {
  if (value->kind == LK_VALUE_BOOL) return value->boolean;
  return value->kind == LK_VALUE_STRING && lk_slice_equal(value->bytes, LK_LIT("true"));
}

static void value_of_any(lk_slice any, lk_value *out) {
  lk_any_reader reader;
  lk_any_item item;
  lk_any_frame top;
  lk_reader in = lk_reader_of(any);
  lk_any_reader_init(&reader, &in, &top, 1);
  lk_err err = lk_any_decode(&reader, &item);
  LK_ASSERT(err == LK_OK);
  *out = (lk_value){ .kind = LK_VALUE_ANY, .bytes = any };
  if (item.kind == LK_ANY_STRING)
    *out = (lk_value){ .kind = LK_VALUE_STRING, .bytes = item.as.bytes };
  if (item.kind == LK_ANY_BOOL)
    *out = (lk_value){ .kind = LK_VALUE_BOOL, .boolean = item.as.boolean };
  if (item.kind == LK_ANY_NUMBER)
    *out = (lk_value){ .kind = LK_VALUE_NUMBER, .number = item.as.number };
  if (item.kind == LK_ANY_NULL) *out = (lk_value){ .kind = LK_VALUE_NULL };
  if (item.kind == LK_ANY_UNDEFINED) *out = (lk_value){ .kind = LK_VALUE_UNDEFINED };
}

void lk_render_value(const lk_doc *doc, uint32_t item, lk_value *out) {
  value_of_any(lk_value_bytes(doc, lk_item_at(doc, item)->content), out);
}

bool lk_render_member(const lk_value *object, lk_slice key, lk_value *out) {
  static const uint8_t object_tag = 118; /* lib0's */
  uint64_t count;
  uint8_t tag;
  if (object->kind != LK_VALUE_ANY) return false;
  lk_reader in = lk_reader_of(object->bytes);
  if (lk_reader_u8(&in, &tag) != LK_OK || tag != object_tag) return false;
  if (lk_varuint_decode(&in, UINT32_MAX, &count) != LK_OK) return false;
  for (; count > 0; count--) {
    lk_slice name, value;
    if (lk_lib0_string_decode(&in, &name) != LK_OK) return false;
    lk_slice rest = lk_reader_rest(&in);
    if (lk_reader_bytes(&in, lk_value_any_length(rest), &value) != LK_OK) return false;
    if (!lk_slice_equal(name, key)) continue;
    value_of_any(value, out);
    return true;
  }
  return false;
}

/* An attribute of an element; undefined where it has none. */
static lk_value attribute(const lk_render *self, uint32_t type, lk_slice key) {
  lk_value value = { .kind = LK_VALUE_UNDEFINED };
  uint32_t name = type == LK_NONE ? LK_NONE : lk_name_find(self->doc, key);
  uint32_t entry = name == LK_NONE ? LK_NONE : lk_entry_find(self->doc, type, name);
  uint32_t item = entry == LK_NONE ? LK_NONE : lk_read_entry(self->doc, entry);
  if (item == LK_NONE) return value;
  lk_read_value(self->doc, lk_item_at(self->doc, item), lk_item_at(self->doc, item)->len - 1,
                &value);
  return value;
}

static lk_slice attribute_text(const lk_render *self, uint32_t type, lk_slice key) {
  lk_value value = attribute(self, type, key);
  return lk_render_string(&value);
}

static uint32_t attribute_number(const lk_render *self, uint32_t type, lk_slice key) {
  lk_value value = attribute(self, type, key);
  return lk_render_number(&value);
}

static bool attribute_is_true(const lk_render *self, uint32_t type, lk_slice key) {
  lk_value value = attribute(self, type, key);
  return lk_render_is_true(&value);
}

lk_align lk_render_align(lk_slice text) {
  if (lk_slice_equal(text, LK_LIT("center"))) return LK_ALIGN_CENTER;
  if (lk_slice_equal(text, LK_LIT("right"))) return LK_ALIGN_RIGHT;
  if (lk_slice_equal(text, LK_LIT("justify"))) return LK_ALIGN_JUSTIFY;
  return LK_ALIGN_NONE;
}

/* ---- elements ---- */

static element element_of(const lk_render *self, uint32_t type) {
  const lk_type *t = lk_type_at(self->doc, type);
  if (t->kind == LK_NODE_XML_FRAGMENT) return GROUP;
  if (t->kind != LK_NODE_XML_ELEMENT || t->name == LK_NONE) return UNKNOWN;
  lk_slice name = lk_name_slice(self->doc, t->name);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (lk_slice_equal(names[i].name, name)) return (element)names[i].element;
  }
  return UNKNOWN;
}

static bool is_node(const lk_item *item) {
  return item->kind == LK_CONTENT_TYPE && !lk_item_deleted(item);
}

/* The first child that is a node, or LK_NONE. */
static uint32_t first_child(const lk_render *self, uint32_t type) {
  for (uint32_t i = lk_type_at(self->doc, type)->start; i != LK_NONE;
       i = lk_item_at(self->doc, i)->right) {
    if (is_node(lk_item_at(self->doc, i))) return lk_item_at(self->doc, i)->content;
  }
  return LK_NONE;
}

/* The list of neighbours that the element belongs to: ITEM_BULLET, ITEM_ORDERED, ITEM_CHECK, or UNKNOWN. |*type|
 * becomes the element that has the attributes. */
static element neighbour_kind(const lk_render *self, element what, uint32_t *type) {
  uint32_t holder = what == CONTAINER ? first_child(self, *type) : *type;
  if (holder == LK_NONE) return UNKNOWN;
  element kind = element_of(self, holder);
  if (kind != ITEM_BULLET && kind != ITEM_ORDERED && kind != ITEM_CHECK) return UNKNOWN;
  *type = holder;
  return kind;
}

static uint32_t count_cells(const lk_render *self, uint32_t row) {
  uint32_t cells = 0;
  for (uint32_t i = lk_type_at(self->doc, row)->start; i != LK_NONE;
       i = lk_item_at(self->doc, i)->right) {
    if (is_node(lk_item_at(self->doc, i))) cells++;
  }
  return cells;
}

static uint32_t count_columns(const lk_render *self, uint32_t table) {
  uint32_t most = 1;
  for (uint32_t i = lk_type_at(self->doc, table)->start; i != LK_NONE;
       i = lk_item_at(self->doc, i)->right) {
    const lk_item *item = lk_item_at(self->doc, i);
    if (is_node(item)) most = lk_max_u32(most, count_cells(self, item->content));
  }
  return most;
}

/* ---- frames ---- */

static lk_frame *top(lk_render *self) { return &self->frames.at[self->frames.count - 1]; }

/* NULL where memory is out. Frames above are moved: pointers to them are not good any more. */
static lk_frame *push(lk_render *self, uint32_t item, role as) {
  if (!LK_GROW_ONE(self, self->frames)) return NULL;
  lk_frame *f = &self->frames.at[self->frames.count++];
  *f = (lk_frame){ .item = item, .head = LK_NONE, .role = (uint8_t)as };
  return f;
}

static uint32_t start_of(const lk_render *self, uint32_t type) {
  return lk_type_at(self->doc, type)->start;
}

/* Whether the next paragraph in the top frame is the first thing there; asking makes it not so. */
static bool take_bare(lk_render *self) {
  bool bare = top(self)->bare_next;
  top(self)->bare_next = false;
  return bare;
}

/* Text that was collected where blocks are expected is a paragraph. */
static void flush(lk_render *self) {
  if (!lk_render_has_content(self)) return;
  lk_render_block block = { .kind = LK_BLOCK_PARAGRAPH, .bare = take_bare(self) };
  self->writer->leaf(self, &block);
  lk_render_clear(self);
}

static void close_list(lk_render *self) {
  lk_frame *f = top(self);
  if (f->in_list) self->writer->end(self, &f->list);
  f->in_list = false;
}

static void push_group(lk_render *self, uint32_t type) {
  bool bare = take_bare(self);
  lk_frame *f = push(self, start_of(self, type), ROLE_GROUP);
  if (f != NULL) f->bare_next = bare;
}

static void push_container(lk_render *self, uint32_t item, lk_render_block block) {
  (void)take_bare(self);
  lk_frame *f = push(self, item, ROLE_CONTAINER);
  if (f == NULL) return;
  f->block = block;
  f->bare_next = block.kind == LK_BLOCK_ITEM || block.kind == LK_BLOCK_CELL;
  self->writer->begin(self, &f->block);
}

static void push_leaf(lk_render *self, uint32_t type, lk_render_block block) {
  block.bare = take_bare(self) && block.kind == LK_BLOCK_PARAGRAPH;
  lk_frame *f = push(self, start_of(self, type), ROLE_LEAF);
  if (f != NULL) f->block = block;
}

/* An item of the list that the top frame is, or has open. |holder| has its attributes, or is LK_NONE. */
static void push_item(lk_render *self, uint32_t item, uint32_t holder,
                      const lk_render_block *list) {
  lk_frame *f = top(self);
  lk_render_block block = { .kind = LK_BLOCK_ITEM,
                            .list = list->list,
                            .number = list->number + f->numbers,
                            .first = f->numbers == 0,
                            .checked = attribute_is_true(self, holder, LK_LIT("checked")) };
  f->numbers++;
  push_container(self, item, block);
}

/* ---- text ---- */

static void add_node_text(lk_render *self, uint32_t type, const lk_marks *marks) {
  lk_buf text;
  uint8_t kind = lk_type_at(self->doc, type)->kind;
  if (kind != LK_NODE_TEXT && kind != LK_NODE_XML_TEXT) return;
  lk_buf_init(&text, self->alloc, SIZE_MAX / 2);
  lk_err err = lk_read_text(self->doc, type, &text);
  if (err == LK_OK) lk_render_add_text(self, lk_buf_slice(&text), marks);
  else lk_render_fail(self, err);
  lk_buf_deinit(&text);
}

/* A whole text; formatting ends with it. */
static void add_text(lk_render *self, uint32_t type) {
  lk_marks marks = no_marks;
  for (uint32_t i = start_of(self, type); i != LK_NONE && self->err == LK_OK;
       i = lk_item_at(self->doc, i)->right) {
    const lk_item *item = lk_item_at(self->doc, i);
    if (lk_item_deleted(item)) continue;
    if (item->kind == LK_CONTENT_STRING) lk_render_add_item(self, item, 0, item->len, &marks);
    if (item->kind == LK_CONTENT_FORMAT) lk_render_apply(self, i, &marks);
    if (item->kind == LK_CONTENT_TYPE) add_node_text(self, item->content, &marks);
  }
}

static void add_mention(lk_render *self, uint32_t type) {
  static const lk_slice keys[] = { LK_LIT_INIT("label"), LK_LIT_INIT("user"), LK_LIT_INIT("id") };
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    lk_slice label = attribute_text(self, type, keys[i]);
    if (label.len == 0) continue;
    lk_render_add_text(self, LK_LIT("@"), &no_marks);
    lk_render_add_text(self, label, &no_marks);
    return;
  }
}

static lk_slice first_text(const lk_render *self, uint32_t type, const lk_slice *keys,
                           size_t count) {
  lk_slice text = LK_SLICE_EMPTY;
  for (size_t i = 0; i < count && text.len == 0; i++) text = attribute_text(self, type, keys[i]);
  return text;
}

static lk_slice address_of(const lk_render *self, uint32_t type) {
  static const lk_slice keys[] = { LK_LIT_INIT("url"), LK_LIT_INIT("src"), LK_LIT_INIT("href") };
  return first_text(self, type, keys, 3);
}

static lk_slice name_of(const lk_render *self, uint32_t type) {
  static const lk_slice keys[] = { LK_LIT_INIT("alt"), LK_LIT_INIT("name"), LK_LIT_INIT("title") };
  return first_text(self, type, keys, 3);
}

/* An element in a leaf. Blocks there, which no editor writes, begin a new line. */
static void inline_element(lk_render *self, uint32_t type) {
  switch (element_of(self, type)) {
  case BREAK: lk_render_add_text(self, LK_LIT("\n"), &no_marks); return;
  case MENTION: add_mention(self, type); return;
  case IMAGE:
    lk_render_add_image(self, address_of(self, type), name_of(self, type), &no_marks);
    return;
  case UNKNOWN: break;
  default:
    if (lk_render_has_content(self)) lk_render_add_text(self, LK_LIT("\n"), &no_marks);
    break;
  }
  (void)push(self, start_of(self, type), ROLE_INLINE);
}

/* ---- blocks ---- */

static lk_align align_of(const lk_render *self, uint32_t type) {
  static const lk_slice keys[] = { LK_LIT_INIT("textAlignment"), LK_LIT_INIT("textAlign") };
  return lk_render_align(first_text(self, type, keys, 2));
}

static void media(lk_render *self, uint32_t type, lk_media_kind kind) {
  lk_render_block block = { .kind = LK_BLOCK_MEDIA, .media = (uint8_t)kind };
  (void)take_bare(self);
  lk_buf_truncate(&self->media_url, 0);
  block.caption = attribute_text(self, type, LK_LIT("caption"));
  block.name = name_of(self, type);
  if (lk_render_url(address_of(self, type), &self->media_url)) {
    block.url = lk_buf_slice(&self->media_url);
  } else {
    block.kind = LK_BLOCK_PARAGRAPH;
    lk_render_add_text(self, block.caption.len > 0 ? block.caption : block.name, &no_marks);
  }
  if (self->media_url.err != LK_OK) lk_render_fail(self, self->media_url.err);
  if (block.kind == LK_BLOCK_MEDIA || lk_render_has_content(self)) self->writer->leaf(self, &block);
  lk_render_clear(self);
  push_group(self, type);
}

static void heading(lk_render *self, uint32_t type) {
  uint32_t level = attribute_number(self, type, LK_LIT("level"));
  lk_render_block block = { .kind = LK_BLOCK_HEADING, .align = (uint8_t)align_of(self, type) };
  block.level = (uint8_t)(level < 1 ? 1 : level > 6 ? 6 : level);
  push_leaf(self, type, block);
}

static void code(lk_render *self, uint32_t type) {
  static const lk_slice keys[] = { LK_LIT_INIT("language"), LK_LIT_INIT("params") };
  push_leaf(
      self, type,
      (lk_render_block){ .kind = LK_BLOCK_CODE, .language = first_text(self, type, keys, 2) });
}

static lk_render_block list_block(const lk_render *self, uint32_t type, lk_list_kind kind) {
  uint32_t number = 0;
  if (kind == LK_LIST_ORDERED) number = attribute_number(self, type, LK_LIT("start"));
  if (kind == LK_LIST_ORDERED && number == 0) {
    number = attribute_number(self, type, LK_LIT("order"));
  }
  return (lk_render_block){ .kind = LK_BLOCK_LIST,
                            .list = (uint8_t)kind,
                            .number = number == 0 ? 1 : number };
}

static void push_list(lk_render *self, uint32_t type, lk_list_kind kind) {
  push_container(self, start_of(self, type), list_block(self, type, kind));
}

static void rule(lk_render *self) {
  lk_render_block block = { .kind = LK_BLOCK_RULE };
  (void)take_bare(self);
  self->writer->leaf(self, &block);
}

/* A block that is no item of a list of neighbours, in a group or a container that takes any. */
static void flow_block(lk_render *self, uint32_t type, element what) {
  switch (what) {
  case PARAGRAPH:
    push_leaf(
        self, type,
        (lk_render_block){ .kind = LK_BLOCK_PARAGRAPH, .align = (uint8_t)align_of(self, type) });
    break;
  case HEADING: heading(self, type); break;
  case CODE: code(self, type); break;
  case RULE: rule(self); break;
  case QUOTE:
    push_container(self, start_of(self, type), (lk_render_block){ .kind = LK_BLOCK_QUOTE });
    break;
  case LIST_BULLET: push_list(self, type, LK_LIST_BULLET); break;
  case LIST_ORDERED: push_list(self, type, LK_LIST_ORDERED); break;
  case LIST_CHECK: push_list(self, type, LK_LIST_CHECK); break;
  case TABLE:
    push_container(
        self, start_of(self, type),
        (lk_render_block){ .kind = LK_BLOCK_TABLE, .columns = count_columns(self, type) });
    break;
  case IMAGE: media(self, type, LK_MEDIA_IMAGE); break;
  case VIDEO: media(self, type, LK_MEDIA_VIDEO); break;
  case AUDIO: media(self, type, LK_MEDIA_AUDIO); break;
  case FILE_BLOCK: media(self, type, LK_MEDIA_FILE); break;
  case UNKNOWN:
    push_container(self, start_of(self, type), (lk_render_block){ .kind = LK_BLOCK_DIV });
    break;
  default: push_group(self, type); break; /* groups, and what is outside of its place */
  }
}

static lk_list_kind list_of(element item) {
  if (item == ITEM_ORDERED) return LK_LIST_ORDERED;
  return item == ITEM_CHECK ? LK_LIST_CHECK : LK_LIST_BULLET;
}

/* An item among neighbours: |holder| is the element itself, or the one in its container that makes it an item. */
static void neighbour(lk_render *self, uint32_t type, uint32_t holder, element kind) {
  lk_list_kind list = list_of(kind);
  if (top(self)->in_list && top(self)->list.list != (uint8_t)list) close_list(self);
  if (!top(self)->in_list) {
    lk_frame *f = top(self);
    f->list = list_block(self, holder, list);
    f->in_list = true;
    f->numbers = 0;
    self->writer->begin(self, &f->list);
  }
  lk_render_block copy = top(self)->list;
  push_item(self, start_of(self, type), holder, &copy);
  if (self->err == LK_OK && type != holder) top(self)->head = holder;
}

static void flow_element(lk_render *self, uint32_t type) {
  element what = element_of(self, type);
  uint32_t holder = type;
  if (what == BREAK || what == MENTION) {
    close_list(self);
    if (what == BREAK) lk_render_add_text(self, LK_LIT("\n"), &no_marks);
    else add_mention(self, type);
    return;
  }
  flush(self);
  if (type == top(self)->head) {
    push_group(self, type);
    return;
  }
  element kind = neighbour_kind(self, what, &holder);
  if (kind != UNKNOWN) {
    neighbour(self, type, holder, kind);
    return;
  }
  close_list(self);
  flow_block(self, type, what);
}

/* ---- children of lists, tables and rows ---- */

/* A frame around the one child |item|, which does not fit where it is. */
static void make_up(lk_render *self, uint32_t item, lk_render_block block) {
  push_container(self, item, block);
  if (self->err == LK_OK) top(self)->single = true;
}

static void row(lk_render *self, uint32_t item, bool made_up) {
  lk_frame *table = top(self);
  lk_render_block block = { .kind = LK_BLOCK_ROW,
                            .columns = table->block.columns,
                            .first = table->numbers++ == 0 };
  if (made_up) make_up(self, item, block);
  else push_container(self, start_of(self, lk_item_at(self->doc, item)->content), block);
}

static void cell(lk_render *self, uint32_t item, element what) {
  uint32_t type = lk_item_at(self->doc, item)->content;
  lk_render_block block = { .kind = LK_BLOCK_CELL, .colspan = 1, .rowspan = 1 };
  if (what != CELL && what != HEADER) {
    make_up(self, item, block);
    return;
  }
  block.header = what == HEADER;
  block.colspan = lk_max_u32(1, lk_min_u32(1000, attribute_number(self, type, LK_LIT("colspan"))));
  block.rowspan = lk_max_u32(1, lk_min_u32(1000, attribute_number(self, type, LK_LIT("rowspan"))));
  push_container(self, start_of(self, type), block);
}

/* Whether |item| was dealt with by the order that the top frame asks for. */
static bool structure_child(lk_render *self, uint32_t item) {
  const lk_frame *f = top(self);
  const lk_item *it = lk_item_at(self->doc, item);
  if (f->role != ROLE_CONTAINER) return false;
  element what = is_node(it) ? element_of(self, it->content) : UNKNOWN;
  bool is_item = what == ITEM || what == ITEM_BULLET || what == ITEM_ORDERED || what == ITEM_CHECK;
  lk_render_block list = f->block;
  switch (f->block.kind) {
  case LK_BLOCK_LIST:
    if (is_item) push_item(self, start_of(self, it->content), it->content, &list);
    else push_item(self, item, LK_NONE, &list);
    if (!is_item && self->err == LK_OK) top(self)->single = true;
    return true;
  case LK_BLOCK_TABLE: row(self, item, what != ROW); return true;
  case LK_BLOCK_ROW: cell(self, item, what); return true;
  default: return false;
  }
}

/* ---- the walk ---- */

static void child(lk_render *self, uint32_t item) {
  const lk_item *it = lk_item_at(self->doc, item);
  role as = (role)top(self)->role;
  if (structure_child(self, item)) return;
  bool in_leaf = as == ROLE_LEAF || as == ROLE_INLINE;
  if (it->kind == LK_CONTENT_STRING) {
    if (!in_leaf) close_list(self);
    lk_render_add_item(self, it, 0, it->len, &no_marks);
    return;
  }
  if (it->kind != LK_CONTENT_TYPE) return;
  switch (lk_type_at(self->doc, it->content)->kind) {
  case LK_NODE_TEXT:
  case LK_NODE_XML_TEXT:
    if (!in_leaf) close_list(self);
    add_text(self, it->content);
    break;
  case LK_NODE_XML_ELEMENT:
  case LK_NODE_XML_FRAGMENT:
    if (in_leaf) inline_element(self, it->content);
    else flow_element(self, it->content);
    break;
  default: break;
  }
}

static void end_frame(lk_render *self) {
  switch (top(self)->role) {
  case ROLE_INLINE: break;
  case ROLE_LEAF:
    lk_text_flush(&self->high, &self->text);
    self->writer->leaf(self, &top(self)->block);
    lk_render_clear(self);
    break;
  default:
    flush(self);
    close_list(self);
    if (top(self)->role == ROLE_CONTAINER) self->writer->end(self, &top(self)->block);
    break;
  }
  self->frames.count--;
}

static void walk(lk_render *self) {
  while (self->frames.count > 0 && lk_render_going(self)) {
    lk_frame *f = top(self);
    uint32_t item = f->item;
    if (item == LK_NONE) {
      end_frame(self);
      continue;
    }
    f->item = f->single ? LK_NONE : lk_item_at(self->doc, item)->right;
    if (lk_item_units(lk_item_at(self->doc, item)) > 0) child(self, item);
  }
}

static void render_xml(lk_render *self, uint32_t type, lk_node_kind kind) {
  uint32_t item = lk_type_at(self->doc, type)->item;
  if (kind == LK_NODE_XML_TEXT) {
    (void)push(self, LK_NONE, ROLE_GROUP);
    if (self->err == LK_OK) add_text(self, type);
  } else if (kind == LK_NODE_XML_ELEMENT && item != LK_NONE) {
    lk_frame *f = push(self, item, ROLE_GROUP);
    if (f != NULL) f->single = true;
  } else {
    (void)push(self, start_of(self, type), ROLE_GROUP);
  }
  walk(self);
}

static void deinit(lk_render *self) {
  lk_buf_deinit(&self->text);
  lk_buf_deinit(&self->url);
  lk_buf_deinit(&self->media_url);
  lk_buf_deinit(&self->prefix);
  lk_buf_deinit(&self->pending);
  LK_GROW_FREE(self, self->runs);
  LK_GROW_FREE(self, self->ops);
  LK_GROW_FREE(self, self->frames);
  LK_GROW_FREE(self, self->blocks);
}

static void init(lk_render *self, const lk_doc *doc, lk_render_format format, lk_buf *out) {
  *self = (lk_render){ .doc = doc, .alloc = &doc->alloc, .out = out, .start = out->len };
  self->writer = format == LK_RENDER_HTML ? &lk_render_html : &lk_render_markdown;
  lk_buf *const bufs[] = { &self->text, &self->url, &self->media_url, &self->prefix,
                           &self->pending };
  for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) {
    lk_buf_init(bufs[i], &doc->alloc, SIZE_MAX / 2);
  }
}

lk_err lk_doc_render(const lk_doc *doc, lk_node node, lk_render_format format, lk_buf *out) {
  lk_render self;
  uint32_t type;
  if (format != LK_RENDER_HTML && format != LK_RENDER_MARKDOWN) return LK_ERR_INVALID;
  lk_err err = lk_node_resolve(doc, node, 0, &type);
  if (err != LK_OK) return err;
  if (out->err != LK_OK) return out->err;
  lk_node_kind kind = lk_read_kind(doc, type);
  if (kind == LK_NODE_UNKNOWN) return LK_OK;
  if (kind == LK_NODE_ARRAY || kind == LK_NODE_MAP || kind == LK_NODE_XML_HOOK) return LK_ERR_TYPE;
  init(&self, doc, format, out);
  if (kind == LK_NODE_TEXT) lk_render_quill(&self, type);
  else render_xml(&self, type, kind);
  if (lk_render_going(&self)) self.writer->finish(&self);
  lk_render_fail(&self, out->err);
  deinit(&self);
  if (self.err != LK_OK) lk_buf_truncate(out, self.start);
  return self.err;
}
