/* doc/render_inline.c -- what is within a block: runs of text, and the tags around them.
 *
 * A leaf's text is collected in one buffer, and its runs, stretches of equal marks, in an array. When
 * the leaf is over, the runs become a sequence of operations in which tags open and close in pairs that nest:
 *
 *   runs        "ab" bold     "cd" bold italic     "e" italic
 *   operations  <b> "ab" <i> "cd" </i></b> <i> "e" </i>
 *
 * A stack of the tags that are open is compared with each run. Whatever has to close takes with it what
 * was opened later, and that opens again where it goes on. Both writers work from the same operations; each pair
 * knows of each other, so that a writer can decide how to open by looking where it will close.
 *
 * Markdown wants spaces outside of the signs: "**bold **" is no bold text. So with |hoist| spaces at both
 * ends of a run, and runs that are nothing but space, do not open or close anything: they wait until
 * the next text has closed what must close, and go out then. What waits at the end of a block is left out.
 *
 * Marks are names that editors give: of ProseMirror ("strong", "em"), Tiptap and BlockNote ("bold", "textColor"), Quill
 * ("background", "script"). Where marks of one name may overlap, y-prosemirror adds "--" and a hash. An unknown name
 * is no mark. A document may hold any number of them: applying one takes the same few steps whatever
 * else is in force, since only what is known is kept. */
#include "codec/utf.h"
#include "doc/render.h"

bool lk_render_grow(lk_render *self, void **at, uint32_t *cap, uint32_t count, size_t item_size) {
  size_t grown;
  void *moved = NULL;
  if (lk_grow_cap(*cap, (size_t)count + 1, 16, UINT32_MAX / 2, &grown)) {
    moved = lk_resize_array(self->alloc, *at, *cap, grown, item_size);
  }
  if (moved == NULL) {
    lk_render_fail(self, LK_ERR_NOMEM);
    return false;
  }
  *at = moved;
  *cap = (uint32_t)grown;
  return true;
}

/* ---- marks ---- */

static const struct {
  lk_slice name;
  uint8_t mark;
} names[] = {
  { LK_LIT_INIT("bold"), LK_MARK_BOLD },
  { LK_LIT_INIT("strong"), LK_MARK_BOLD },
  { LK_LIT_INIT("italic"), LK_MARK_ITALIC },
  { LK_LIT_INIT("em"), LK_MARK_ITALIC },
  { LK_LIT_INIT("underline"), LK_MARK_UNDERLINE },
  { LK_LIT_INIT("strike"), LK_MARK_STRIKE },
  { LK_LIT_INIT("strikethrough"), LK_MARK_STRIKE },
  { LK_LIT_INIT("code"), LK_MARK_CODE },
  { LK_LIT_INIT("link"), LK_MARK_LINK },
  { LK_LIT_INIT("textColor"), LK_MARK_COLOR },
  { LK_LIT_INIT("textStyle"), LK_MARK_COLOR },
  { LK_LIT_INIT("color"), LK_MARK_COLOR },
  { LK_LIT_INIT("backgroundColor"), LK_MARK_BACKGROUND },
  { LK_LIT_INIT("background"), LK_MARK_BACKGROUND },
  { LK_LIT_INIT("highlight"), LK_MARK_BACKGROUND },
  { LK_LIT_INIT("subscript"), LK_MARK_SUB },
  { LK_LIT_INIT("superscript"), LK_MARK_SUP },
};

/* Without the hash behind "--". */
static lk_slice bare_name(lk_slice name) {
  for (size_t i = 0; i + 1 < name.len && i < 32; i++) {
    if (name.ptr[i] == '-' && name.ptr[i + 1] == '-') return lk_slice_first(name, i);
  }
  return name;
}

static bool find_mark(lk_slice name, uint8_t *out) {
  name = bare_name(name);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (!lk_slice_equal(names[i].name, name)) continue;
    *out = names[i].mark;
    return true;
  }
  return false;
}

static void set_mark(lk_marks *marks, uint8_t mark, bool on, uint32_t item) {
  if (on) marks->bits |= LK_MARK_BIT(mark);
  else marks->bits &= ~LK_MARK_BIT(mark);
  if (mark < LK_MARK_VALUES) marks->values[mark] = on ? item : LK_NONE;
}

static bool is_off(const lk_value *value) {
  return value->kind == LK_VALUE_NULL || value->kind == LK_VALUE_UNDEFINED ||
         (value->kind == LK_VALUE_BOOL && !value->boolean);
}

bool lk_render_link(lk_render *self, uint32_t item) {
  lk_value value, href;
  lk_render_value(self->doc, item, &value);
  if (lk_render_member(&value, LK_LIT("href"), &href)) value = href;
  lk_buf_truncate(&self->url, 0);
  bool passes = lk_render_url(lk_render_string(&value), &self->url);
  if (self->url.err != LK_OK) lk_render_fail(self, self->url.err);
  return passes;
}

/* ---- colours ---- */

static bool is_color_char(uint8_t c, bool *word) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return true;
  if ((c >= '0' && c <= '9') || c == '#') {
    *word = false;
    return true;
  }
  return false;
}

/* A name, or # and digits, or a function of numbers: "rgb(1, 2, 3)". No quotes, semicolons, slashes, and no
 * function but those of colours, so that nothing else of CSS can be said. */
static bool is_color(lk_slice text) {
  static const lk_slice functions[] = { LK_LIT_INIT("rgb("), LK_LIT_INIT("rgba("),
                                        LK_LIT_INIT("hsl("), LK_LIT_INIT("hsla(") };
  size_t at = 0;
  bool word = true, call = false;
  if (text.len == 0 || text.len > 40) return false;
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    if (lk_slice_starts_with(text, functions[i])) at = functions[i].len, call = true;
  }
  if (call && text.ptr[text.len - 1] != ')') return false;
  size_t end = call ? text.len - 1 : text.len;
  for (; at < end; at++) {
    uint8_t c = text.ptr[at];
    bool in_call = call && (c == ',' || c == ' ' || c == '.' || c == '%');
    if (!in_call && !is_color_char(c, &word)) return false;
  }
  return call || word || text.ptr[0] == '#';
}

lk_slice lk_render_color(const lk_doc *doc, uint32_t item) {
  static const lk_slice members[] = { LK_LIT_INIT("stringValue"), LK_LIT_INIT("color") };
  lk_value value, member;
  lk_render_value(doc, item, &value);
  for (size_t i = 0; i < 2; i++) {
    if (lk_render_member(&value, members[i], &member)) value = member;
  }
  lk_slice text = lk_render_string(&value);
  bool named = is_color(text) && !lk_slice_equal(text, LK_LIT("default"));
  return named ? text : LK_SLICE_EMPTY;
}

/* A link whose address does not pass is none, and a colour that is none neither: judged once for each FORMAT
 * item, however many runs it is in force for. */
static bool is_on(lk_render *self, uint8_t mark, uint32_t item, const lk_value *value) {
  if (is_off(value)) return false;
  if (mark == LK_MARK_LINK) return lk_render_link(self, item);
  if (mark >= LK_MARK_VALUES) return true;
  return lk_render_color(self->doc, item).len > 0;
}

void lk_render_apply(lk_render *self, uint32_t item, lk_marks *marks) {
  const lk_doc *doc = self->doc;
  lk_value value;
  uint8_t mark;
  lk_slice name = lk_name_slice(doc, lk_item_key(doc, lk_item_at(doc, item)));
  lk_render_value(doc, item, &value);
  if (lk_slice_equal(name, LK_LIT("script"))) { /* Quill's: "sub" or "super" */
    bool sub = lk_slice_equal(lk_render_string(&value), LK_LIT("sub"));
    bool sup = lk_slice_equal(lk_render_string(&value), LK_LIT("super"));
    set_mark(marks, LK_MARK_SUB, sub, item);
    set_mark(marks, LK_MARK_SUP, sup, item);
  } else if (find_mark(name, &mark)) {
    set_mark(marks, mark, is_on(self, mark, item, &value), item);
  }
}

/* ---- collecting ---- */

static bool equal_marks(const lk_marks *a, const lk_marks *b) {
  return a->bits == b->bits && memcmp(a->values, b->values, sizeof a->values) == 0;
}

/* The run that text with |marks| goes into; NULL where memory is out. */
static lk_run *run_for(lk_render *self, const lk_marks *marks) {
  lk_run *last = self->runs.count == 0 ? NULL : &self->runs.at[self->runs.count - 1];
  if (last != NULL && !last->image && equal_marks(&last->marks, marks)) return last;
  lk_text_flush(&self->high, &self->text);
  if (last != NULL && !last->image) last->len = self->text.len - last->at;
  if (!LK_GROW_ONE(self, self->runs)) return NULL;
  last = &self->runs.at[self->runs.count++];
  *last = (lk_run){ .marks = *marks, .at = self->text.len };
  return last;
}

void lk_render_add_item(lk_render *self, const lk_item *item, uint32_t from, uint32_t len,
                        const lk_marks *marks) {
  lk_run *run = len == 0 ? NULL : run_for(self, marks);
  if (run == NULL) return;
  lk_item_append_utf8(self->doc, item, from, len, &self->high, &self->text);
  run->len = self->text.len - run->at;
  if (self->text.err != LK_OK) lk_render_fail(self, self->text.err);
}

void lk_render_add_text(lk_render *self, lk_slice text, const lk_marks *marks) {
  lk_run *run = text.len == 0 ? NULL : run_for(self, marks);
  if (run == NULL) return;
  lk_text_flush(&self->high, &self->text);
  lk_buf_append(&self->text, text);
  run->len = self->text.len - run->at;
  if (self->text.err != LK_OK) lk_render_fail(self, self->text.err);
}

void lk_render_add_image(lk_render *self, lk_slice url, lk_slice alt, const lk_marks *marks) {
  lk_buf_truncate(&self->url, 0);
  if (!lk_render_url(url, &self->url)) {
    lk_render_add_text(self, alt, marks);
    return;
  }
  lk_text_flush(&self->high, &self->text);
  if (self->runs.count > 0 && !self->runs.at[self->runs.count - 1].image) {
    lk_run *last = &self->runs.at[self->runs.count - 1];
    last->len = self->text.len - last->at;
  }
  if (!LK_GROW_ONE(self, self->runs)) return;
  lk_run *run = &self->runs.at[self->runs.count++];
  *run =
      (lk_run){ .marks = *marks, .at = self->text.len, .len = alt.len, .image = true, .url = url };
  lk_buf_append(&self->text, alt);
  if (self->text.err != LK_OK) lk_render_fail(self, self->text.err);
}

void lk_render_clear(lk_render *self) {
  lk_buf_truncate(&self->text, 0);
  self->runs.count = 0;
  self->high = 0;
}

/* ---- operations ---- */

typedef struct maker {
  lk_render *render;
  uint32_t shown, leaf;
  uint32_t open[LK_MARK_COUNT]; /* operations, those that were opened last at the end */
  uint32_t open_count;
  uint32_t wait_from, wait_to; /* bytes of text that wait */
} maker;

static lk_op *add_op(lk_render *self, lk_op op) {
  if (!LK_GROW_ONE(self, self->ops)) return NULL;
  self->ops.at[self->ops.count] = op;
  return &self->ops.at[self->ops.count++];
}

static uint32_t value_of(const lk_marks *marks, uint32_t mark) {
  return mark < LK_MARK_VALUES ? marks->values[mark] : LK_NONE;
}

/* Two FORMAT items may say the same: y-prosemirror repeats them where texts were joined. */
static bool same_value(const lk_doc *doc, uint32_t a, uint32_t b) {
  if (a == b || a == LK_NONE || b == LK_NONE) return a == b;
  return lk_slice_equal(lk_value_bytes(doc, lk_item_at(doc, a)->content),
                        lk_value_bytes(doc, lk_item_at(doc, b)->content));
}

/* Where another item says the same, it is the one to compare with next: no two values are compared twice. */
static bool goes_on(const maker *self, lk_op *op, const lk_marks *marks) {
  bool on = (marks->bits & self->shown & LK_MARK_BIT(op->mark)) != 0 &&
            same_value(self->render->doc, op->value, value_of(marks, op->mark));
  if (on) op->value = value_of(marks, op->mark);
  return on;
}

static void close_from(maker *self, uint32_t keep) {
  while (self->open_count > keep) {
    uint32_t opened = self->open[--self->open_count];
    lk_op close = { .kind = LK_OP_CLOSE,
                    .mark = self->render->ops.at[opened].mark,
                    .peer = opened };
    close.value = self->render->ops.at[opened].value;
    if (add_op(self->render, close) == NULL) return;
    self->render->ops.at[opened].peer = self->render->ops.count - 1;
  }
}

static void put_waiting(maker *self) {
  if (self->wait_to > self->wait_from) {
    (void)add_op(self->render, (lk_op){ .kind = LK_OP_TEXT,
                                        .at = self->wait_from,
                                        .len = self->wait_to - self->wait_from });
  }
  self->wait_from = self->wait_to = 0;
}

static bool is_open(const maker *self, uint32_t mark) {
  for (uint32_t i = 0; i < self->open_count; i++) {
    if (self->render->ops.at[self->open[i]].mark == mark) return true;
  }
  return false;
}

/* From the marks that are open to those of the next text. */
static void change_marks(maker *self, const lk_marks *marks) {
  uint32_t keep = 0;
  while (keep < self->open_count && goes_on(self, &self->render->ops.at[self->open[keep]], marks)) {
    keep++;
  }
  close_from(self, keep);
  put_waiting(self);
  for (uint32_t mark = 0; mark < LK_MARK_COUNT; mark++) {
    if ((marks->bits & self->shown & LK_MARK_BIT(mark)) == 0 || is_open(self, mark)) continue;
    lk_op open = { .kind = LK_OP_OPEN, .mark = (uint8_t)mark, .value = value_of(marks, mark) };
    if (add_op(self->render, open) == NULL) return;
    self->open[self->open_count++] = self->render->ops.count - 1;
  }
}

/* Text goes into the operation before it where nothing stands between them. */
static void put_text(maker *self, size_t at, size_t len, bool code) {
  lk_render *render = self->render;
  lk_op *last = render->ops.count == 0 ? NULL : &render->ops.at[render->ops.count - 1];
  if (last != NULL && last->kind == LK_OP_TEXT && last->code == code &&
      last->at + last->len == at) {
    last->len += len;
    return;
  }
  (void)add_op(render, (lk_op){ .kind = LK_OP_TEXT, .code = code, .at = at, .len = len });
}

/* In code spaces are code; a line break is none even there. */
static bool may_wait(uint8_t byte, bool code) {
  return byte == '\n' || (!code && (byte == ' ' || byte == '\t'));
}

/* Runs follow each other in the text, so what waits is one stretch of it. */
static void let_wait(maker *self, size_t at, size_t len) {
  if (len == 0) return;
  if (self->wait_to == 0) self->wait_from = (uint32_t)at;
  self->wait_to = (uint32_t)(at + len);
}

static void make_run(maker *self, const lk_run *run, bool hoist) {
  const uint8_t *text = self->render->text.ptr;
  bool code = (run->marks.bits & self->leaf) != 0;
  size_t at = run->at, end = run->at + run->len;
  if (hoist && !run->image) {
    while (at < end && may_wait(text[at], code)) at++;
    while (end > at && may_wait(text[end - 1], code)) end--;
    let_wait(self, run->at, at - run->at);
    if (at == end) return;
  }
  change_marks(self, &run->marks);
  if (!run->image) put_text(self, at, end - at, code);
  else {
    uint32_t index = (uint32_t)(run - self->render->runs.at);
    (void)add_op(self->render, (lk_op){ .kind = LK_OP_IMAGE, .value = index });
  }
  if (!run->image) let_wait(self, end, run->at + run->len - end);
}

void lk_render_make_ops(lk_render *self, uint32_t shown, uint32_t leaf, bool hoist) {
  maker m = { .render = self, .shown = shown & ~leaf, .leaf = leaf };
  lk_text_flush(&self->high, &self->text);
  if (self->runs.count > 0 && !self->runs.at[self->runs.count - 1].image) {
    lk_run *last = &self->runs.at[self->runs.count - 1];
    last->len = self->text.len - last->at;
  }
  if (self->text.err != LK_OK) lk_render_fail(self, self->text.err);
  if (self->text.len > UINT32_MAX) lk_render_fail(self, LK_ERR_LIMIT);
  self->ops.count = 0;
  for (uint32_t i = 0; i < self->runs.count && self->err == LK_OK; i++) {
    if (self->runs.at[i].len > 0 || self->runs.at[i].image) make_run(&m, &self->runs.at[i], hoist);
  }
  close_from(&m, 0);
}
