/* doc/snapshot_delta.c -- a text as it was, and what changed in it between two snapshots.
 *
 * Yjs' toDelta(snapshot, prevSnapshot, computeYChange), for a computeYChange that says {type, user: id.client}: then
 * neighbouring text of one user with one fate is one operation. (Its own default says the type alone and makes an
 * operation of each struct, whose borders no reader can see.)
 *
 * The walk goes over the list's items, and within an item over stretches that both snapshots see alike. */
#include "doc/history.h"

/* ---- the walk ---- */

typedef enum mark { MARK_NONE, MARK_ADDED, MARK_REMOVED } mark;

typedef struct delta {
  lk_doc *doc;
  const lk_version *at;
  const lk_version *before; /* NULL: no comparison */
  lk_json_writer w;
  lk_formats formats;
  lk_refs refs;
  lk_buf run; /* text that is not written yet */
  lk_buf scratch;
  uint16_t high;
  uint16_t client; /* of |mark| */
  mark mark;
  uint32_t ychange; /* the name, if the document has it */
  lk_err err;
} delta;

/* The writer ignores what comes after an error, whoever's it is. */
static void check(delta *self, lk_err err) {
  if (self->err == LK_OK) self->err = err;
  if (self->w.err == LK_OK) self->w.err = self->err;
}

static void put_mark(delta *self) {
  lk_json_writer *w = &self->w;
  if (self->mark == MARK_NONE) return;
  (void)lk_json_write_key(w, LK_LIT("ychange"));
  (void)lk_json_begin_object(w);
  (void)lk_json_write_key(w, LK_LIT("type"));
  (void)lk_json_write_string(w, self->mark == MARK_ADDED ? LK_LIT("added") : LK_LIT("removed"));
  (void)lk_json_write_key(w, LK_LIT("client"));
  (void)lk_json_write_u64(w, self->doc->clients.at[self->client].id);
  (void)lk_json_end_object(w);
}

/* The key of what follows stands in the operation already. */
static void end_op(delta *self) {
  lk_json_writer *w = &self->w;
  if (lk_formats_count(&self->formats) > 0 || self->mark != MARK_NONE) {
    (void)lk_json_write_key(w, LK_LIT("attributes"));
    (void)lk_json_begin_object(w);
    check(self, lk_history_write_formats(w, &self->formats, &self->refs, &self->scratch));
    put_mark(self);
    (void)lk_json_end_object(w);
  }
  check(self, lk_json_end_object(w));
}

static void begin_op(delta *self) {
  (void)lk_json_begin_object(&self->w);
  check(self, lk_json_write_key(&self->w, LK_LIT("insert")));
}

static void put_run(delta *self) {
  lk_text_flush(&self->high, &self->run);
  check(self, lk_buf_err(&self->run));
  if (self->run.len == 0) return;
  begin_op(self);
  check(self, lk_json_write_string(&self->w, lk_buf_slice(&self->run)));
  end_op(self);
  lk_buf_truncate(&self->run, 0);
}

static void set_mark(delta *self, mark to, uint16_t client) {
  bool same = self->mark == to && (to == MARK_NONE || self->client == client);
  bool own = self->ychange != LK_NONE && lk_formats_has(&self->formats, self->ychange);
  if (same && !own) return;
  put_run(self);
  if (own) (void)lk_formats_remove(&self->formats, self->ychange);
  self->mark = to;
  self->client = client;
}

static void put_embed(delta *self, const lk_item *item) {
  put_run(self);
  begin_op(self);
  if (item->kind == LK_CONTENT_EMBED) {
    check(self,
          lk_history_write_any(&self->w, lk_value_bytes(self->doc, item->content), &self->scratch));
  } else {
    lk_buf_truncate(&self->scratch, 0);
    lk_err err = lk_read_json(self->doc, item->content, &self->scratch);
    check(self, err == LK_OK ? lk_json_write_raw(&self->w, lk_buf_slice(&self->scratch)) : err);
  }
  end_op(self);
}

static void put_format(delta *self, uint32_t number) {
  put_run(self);
  if (lk_item_key(self->doc, &self->doc->items[number]) == self->ychange) self->mark = MARK_NONE;
  check(self, lk_formats_apply(&self->formats, number));
}

/* A stretch of an item that one of the snapshots shows. */
static void put_stretch(delta *self, uint32_t number, uint32_t from, uint32_t to, bool shown,
                        bool was_shown) {
  const lk_item *item = &self->doc->items[number];
  switch (item->kind) {
  case LK_CONTENT_STRING: {
    mark fate = !shown ? MARK_REMOVED : self->before != NULL && !was_shown ? MARK_ADDED : MARK_NONE;
    set_mark(self, fate, item->client);
    lk_item_append_utf8(self->doc, item, from, to - from, &self->high, &self->run);
    break;
  }
  case LK_CONTENT_FORMAT:
    if (shown) put_format(self, number);
    break;
  case LK_CONTENT_TYPE:
  case LK_CONTENT_EMBED: put_embed(self, item); break;
  default: break;
  }
}

static void put_item(delta *self, uint32_t number) {
  const lk_item *item = &self->doc->items[number];
  for (uint32_t from = 0, to; from < item->len && self->err == LK_OK; from = to) {
    uint32_t until = item->len;
    bool shown = lk_version_shows(self->at, self->doc, item, from, &to), was_shown = false;
    if (self->before != NULL)
      was_shown = lk_version_shows(self->before, self->doc, item, from, &until);
    to = lk_min_u32(to, until);
    if (shown || was_shown) put_stretch(self, number, from, to, shown, was_shown);
  }
}

static lk_err put_delta(lk_doc *doc, uint32_t type, const lk_version *at, const lk_version *before,
                        lk_buf *out) {
  delta self = { .doc = doc, .at = at, .before = before, .refs = { .alloc = &doc->alloc } };
  lk_json_writer_init(&self.w, out);
  lk_formats_init(&self.formats, doc);
  lk_buf_init(&self.run, &doc->alloc, SIZE_MAX / 2);
  lk_buf_init(&self.scratch, &doc->alloc, SIZE_MAX / 2);
  self.ychange = lk_name_find(doc, LK_LIT("ychange"));
  check(&self, lk_json_begin_array(&self.w));
  for (uint32_t i = doc->types.at[type].start; i != LK_NONE && self.err == LK_OK;
       i = doc->items[i].right) {
    put_item(&self, i);
  }
  put_run(&self);
  check(&self, lk_json_end_array(&self.w));
  check(&self, lk_json_writer_finish(&self.w));
  lk_buf_deinit(&self.run);
  lk_buf_deinit(&self.scratch);
  lk_formats_deinit(&self.formats);
  lk_refs_deinit(&self.refs);
  return self.err;
}

lk_err lk_doc_text_delta_at(lk_doc *doc, lk_node node, lk_update_format format, lk_slice snapshot,
                            lk_slice before, lk_buf *out) {
  const uint32_t kinds = 1u << LK_NODE_TEXT | 1u << LK_NODE_XML_TEXT | 1u << LK_NODE_UNKNOWN;
  lk_version then, earlier;
  uint32_t type;
  if (format != LK_UPDATE_V1 && format != LK_UPDATE_V2) return LK_ERR_INVALID;
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  lk_err err = lk_node_resolve(doc, node, kinds, &type);
  if (err != LK_OK) return err;
  lk_version_init(&then, &doc->alloc, &doc->limits);
  lk_version_init(&earlier, &doc->alloc, &doc->limits);
  then.now = snapshot.len == 0;
  if (snapshot.len > 0) err = lk_version_decode(&then, format, snapshot);
  if (err == LK_OK && before.len > 0) err = lk_version_decode(&earlier, format, before);
  if (err == LK_OK) err = put_delta(doc, type, &then, before.len > 0 ? &earlier : NULL, out);
  lk_version_deinit(&then);
  lk_version_deinit(&earlier);
  return err;
}
