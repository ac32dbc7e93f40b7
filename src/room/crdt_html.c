/* room/crdt_html.c -- JSON walked once, with a stack of what is open.
 *
 *   array     <ol> of a list, <ul> of a set or within a value     each item an <li>
 *   object    <dl>                                                each name a <dt>, each value a <dd>
 *   other     text; a string at the top stands in a <pre>, since its lines matter
 *
 * Whatever the value is, it is data: it stands there as lk_html_append() writes it.
 *
 * A page that gets too long ends early: the rest of the value is passed over, what is open is closed, and a line says so. */
#include "room/crdt_html.h"

#include "codec/html.h"
#include "codec/json_reader.h"

#define OPEN_MAX LK_JSON_DEPTH_MAX

typedef struct writer {
  const lk_crdt_page *page;
  lk_buf *out;
  size_t start;
  uint32_t depth;
  uint8_t open[OPEN_MAX]; /* the closing mark of each level: 'o'l, 'u'l, 'd'l */
  bool is_cut;
} writer;

static void put(writer *self, lk_slice text) { (void)lk_buf_append(self->out, text); }

static void put_text(writer *self, lk_slice text) { (void)lk_html_append(self->out, text); }

/* ---- the value ---- */

static void begin(writer *self, uint8_t kind) {
  const uint8_t tag[] = { '<', kind, 'l', '>' };
  put(self, lk_slice_of(tag, sizeof tag));
  self->open[self->depth++] = kind;
}

static void end(writer *self) {
  const uint8_t tag[] = { '<', '/', self->open[--self->depth], 'l', '>' };
  put(self, lk_slice_of(tag, sizeof tag));
}

static bool is_dl(const writer *self) {
  return self->depth > 0 && self->open[self->depth - 1] == 'd';
}

/* Around each value but the whole. */
static void before_value(writer *self) {
  if (self->depth > 0) put(self, is_dl(self) ? LK_LIT("<dd>") : LK_LIT("<li>"));
}
static void after_value(writer *self) {
  if (self->depth > 0) put(self, is_dl(self) ? LK_LIT("</dd>") : LK_LIT("</li>"));
}

static void put_scalar(writer *self, const lk_json_event *event) {
  bool is_whole = self->depth == 0;
  if (is_whole && event->kind == LK_JSON_STRING) {
    put(self,
        LK_LIT("<pre>\n")); /* a line feed that parsers take away, so that the text keeps its own */
    put_text(self, event->text);
    put(self, LK_LIT("</pre>"));
    return;
  }
  before_value(self);
  if (is_whole) put(self, LK_LIT("<output aria-live=\"polite\">"));
  put_text(self, event->kind == LK_JSON_STRING ? event->text : event->raw);
  if (is_whole) put(self, LK_LIT("</output>"));
  after_value(self);
}

static uint8_t kind_of_array(const writer *self) {
  bool is_list = self->depth == 0 && self->page->type->number == LK_CRDT_LIST;
  return is_list ? 'o' : 'u';
}

static void put_event(writer *self, const lk_json_event *event) {
  switch (event->kind) {
  case LK_JSON_OBJECT_BEGIN:
  case LK_JSON_ARRAY_BEGIN:
    before_value(self);
    begin(self, event->kind == LK_JSON_OBJECT_BEGIN ? 'd' : kind_of_array(self));
    break;
  case LK_JSON_OBJECT_END:
  case LK_JSON_ARRAY_END:
    end(self);
    after_value(self);
    break;
  case LK_JSON_KEY:
    put(self, LK_LIT("<dt>"));
    put_text(self, event->text);
    put(self, LK_LIT("</dt>"));
    break;
  default: put_scalar(self, event);
  }
}

/* Closes what is open where the page was cut: between two items, or behind a name that has no value yet. */
static void cut(writer *self, bool behind_key) {
  self->is_cut = true;
  if (behind_key) put(self, LK_LIT("<dd>\xE2\x80\xA6</dd>"));
  while (self->depth > 0) {
    end(self);
    after_value(self);
  }
}

static lk_err put_value(writer *self, lk_arena *arena) {
  lk_limits limits = *self->page->limits;
  lk_json_reader in;
  lk_json_event event = { 0 };
  limits.json_depth = OPEN_MAX; /* maps in maps, with JSON in them: it is our own text */
  limits.json_bytes = UINT32_MAX;
  lk_err err = lk_json_reader_init(&in, self->page->value, &limits, arena);
  while (err == LK_OK) {
    bool behind_key = event.kind == LK_JSON_KEY;
    err = lk_json_next(&in, &event);
    if (err != LK_OK || event.kind == LK_JSON_END) break;
    if (self->out->len - self->start > self->page->len_max) {
      cut(self, behind_key);
      break;
    }
    put_event(self, &event);
  }
  return err;
}

/* ---- around it ---- */

static bool is_counter(const lk_crdt_type *type) { return lk_shape_has_runs(type); }

static void put_form(writer *self) {
  put(self, LK_LIT("<form method=\"post\"><label>Amount <input name=\"amount\" type=\"number\" "
                   "min=\"1\" step=\"1\" value=\"1\" required></label> "
                   "<button type=\"submit\">Add</button></form>"));
}

lk_err lk_crdt_html_write(const lk_crdt_page *page, lk_arena *arena, lk_buf *out) {
  writer w = { .page = page, .out = out, .start = out->len };
  put(&w, LK_LIT("<section aria-label=\""));
  put_text(&w, page->name);
  put(&w, LK_LIT("\" data-type=\""));
  put(&w, lk_slice_cstr(page->type->name));
  put(&w, LK_LIT("\"><h1>"));
  put_text(&w, page->name);
  put(&w, LK_LIT("</h1>"));
  lk_err err = put_value(&w, arena);
  if (w.is_cut) put(&w, LK_LIT("<p>There is more than is shown here.</p>"));
  if (is_counter(page->type)) put_form(&w);
  put(&w, LK_LIT("</section>"));
  if (err == LK_OK) err = lk_buf_err(out);
  if (err != LK_OK) lk_buf_truncate(out, w.start);
  return err;
}
