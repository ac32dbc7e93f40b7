/* doc/restore.c -- what would make a document show again what it showed then.
 *
 * In a list of Yjs things never change places, and a document that keeps what is deleted has all of them. So each
 * list is walked once, and each stretch of an item is one of four:
 *
 *             shown now        deleted
 *   then      it stays         a copy is put beside it
 *   not then  it is deleted    nothing
 *
 * What is shown afterwards is what was shown then, in the same order: marks of formatting are things like others, so
 * formatting needs no thought of its own. Copies in a gap between two things that stay follow on each other, so
 * that a paragraph which was typed by many hands comes back as one struct.
 *
 *   stays A   [gone 1]  [gone 2]   stays B         copies: 1' behind 1, 2' behind 1', both before what is right of 1
 *
 * Of an entry of a map the last thing counts: where that is another one than then, a copy becomes the last.
 *
 * Nodes that stay are walked in their turn. A node that was deleted comes back as a new one, with copies of all that
 * was shown in it. Three lists of nodes are the stack of all this: those that stay, those that are copied, and those that
 * are deleted, of which the update names all that is in them, as Yjs does.
 *
 * Only a copy may be cut inside a surrogate pair, where the version does it: it has U+FFFD there, like the version
 * when it is read. */
#include "doc/restore.h"

#include "codec/varint.h"
#include "doc/history.h"
#include "doc/merge.h"

/* Content that grows until something of another kind comes. |view| is its struct but for what it grows. */
typedef struct run {
  bool is_open;
  uint16_t high;
  lk_struct view;
} run;

/* Where the next copy goes. */
typedef struct spot {
  lk_doc_id origin, right, parent;
  bool has_origin, has_right;
  lk_slice sub; /* of an entry of |parent| */
  bool is_sub;
} spot;

typedef struct restore {
  lk_doc *doc;
  lk_version then;
  uint64_t client, clock; /* of the next struct */
  lk_err err;
  lk_update_writer writer;
  lk_delete_set deleted;
  lk_refs staying; /* types */
  lk_refs copied;  /* types, each behind the clock of its copy */
  lk_refs dying;   /* types */
  run run;
  spot spot;
  bool in_gap;    /* copies were made since the last thing that stays */
  lk_buf content; /* of the run */
} restore;

static void check(restore *self, lk_err err) {
  if (self->err == LK_OK) self->err = err;
}

static lk_doc_id id_at(const lk_doc *doc, const lk_item *item, uint32_t at) {
  return (lk_doc_id){ doc->clients.at[item->client].id, (uint64_t)item->clock + at };
}

static bool is_node(const lk_item *item) { return item->kind == LK_CONTENT_TYPE; }

/* ---- deleting ---- */

/* Units [from, to) of a thing that is shown now. */
static void delete_units(restore *self, const lk_item *item, uint32_t from, uint32_t to) {
  const lk_doc_id id = id_at(self->doc, item, from);
  check(self, lk_delete_set_join(&self->deleted, id.client, id.clock, to - from));
  if (is_node(item)) check(self, lk_refs_push(&self->dying, item->content));
}

static void delete_all(restore *self, const lk_item *item) {
  if (!lk_item_deleted(item)) delete_units(self, item, 0, item->len);
}

static void delete_within(restore *self, uint32_t type) {
  const lk_doc *doc = self->doc;
  for (uint32_t i = doc->types.at[type].start; i != LK_NONE && self->err == LK_OK;
       i = doc->items[i].right)
    delete_all(self, &doc->items[i]);
  for (uint32_t e = doc->types.at[type].entry_first; e != LK_NONE && self->err == LK_OK;
       e = doc->entries.at[e].next) {
    uint32_t item = lk_entry_item(doc, e);
    if (item != LK_NONE) delete_all(self, &doc->items[item]);
  }
}

/* ---- copies ---- */

static void write_view(restore *self, lk_struct *view) {
  const spot *at = &self->spot;
  view->info = view->kind;
  view->parent_form = LK_PARENT_INHERITED;
  if (at->has_origin) {
    view->info |= LK_INFO_ORIGIN;
    view->origin = at->origin;
  }
  if (at->has_right) {
    view->info |= LK_INFO_RIGHT;
    view->right = at->right;
  }
  if (!at->has_origin && !at->has_right) {
    view->parent_form = LK_PARENT_ITEM;
    view->parent_id = at->parent;
    view->sub = at->sub;
  }
  if (at->is_sub) view->info |= LK_INFO_SUB;
  if (self->clock == 0) lk_update_write_client(&self->writer, self->client, 0);
  lk_update_write_struct(&self->writer, view, 0);
  self->clock += view->len;
  self->spot.has_origin = true;
  self->spot.origin = (lk_doc_id){ self->client, self->clock - 1 };
}

static void end_run(restore *self) {
  run *r = &self->run;
  if (!r->is_open) return;
  if (r->view.kind == LK_CONTENT_STRING) lk_text_flush(&r->high, &self->content);
  check(self, lk_buf_err(&self->content));
  if (self->err == LK_OK) {
    r->view.value = lk_buf_slice(&self->content);
    r->view.text = (lk_column_piece){ .text = lk_buf_slice(&self->content) };
    write_view(self, &r->view);
  }
  *r = (run){ .is_open = false };
}

/* Where the value at |at| begins, among those of an item that has many. */
static size_t value_offset(const lk_doc *doc, const lk_item *item, uint32_t at) {
  lk_slice all = lk_value_bytes(doc, item->content);
  if (at == 0) return 0;
  if (at == item->len) return all.len;
  lk_slice value = lk_item_any(doc, item, at);
  size_t before = item->kind == LK_CONTENT_JSON ? lk_varuint_len(value.len) : 0;
  return (size_t)(value.ptr - all.ptr) - before;
}

static bool grows(const lk_item *item) {
  return item->kind == LK_CONTENT_STRING || item->kind == LK_CONTENT_ANY ||
         item->kind == LK_CONTENT_JSON;
}

static void grow_run(restore *self, const lk_item *item, uint32_t from, uint32_t to) {
  run *r = &self->run;
  if (!r->is_open || r->view.kind != item->kind) {
    end_run(self);
    lk_buf_truncate(&self->content, 0);
    *r = (run){ .is_open = true, .view = { .kind = item->kind } };
  }
  r->view.len += to - from;
  if (item->kind == LK_CONTENT_STRING) {
    lk_item_append_utf8(self->doc, item, from, to - from, &r->high, &self->content);
    return;
  }
  lk_slice all = lk_value_bytes(self->doc, item->content);
  size_t begin = value_offset(self->doc, item, from), end = value_offset(self->doc, item, to);
  (void)lk_buf_append(&self->content, lk_slice_first(lk_slice_skip(all, begin), end - begin));
}

static lk_slice name_slice(const lk_doc *doc, uint32_t name) {
  return name == LK_NONE ? LK_SLICE_EMPTY : lk_name_slice(doc, name);
}

static void copy_node(restore *self, const lk_item *item) {
  const lk_type *type = &self->doc->types.at[item->content];
  lk_struct view = { .kind = LK_CONTENT_TYPE,
                     .len = 1,
                     .type_ref = type->kind,
                     .key = name_slice(self->doc, type->name) };
  check(self, lk_refs_push(&self->copied, (uint32_t)self->clock));
  check(self, lk_refs_push(&self->copied, item->content));
  write_view(self, &view);
}

/* Units [from, to) of a thing that was shown then, at |spot|, which moves behind them. */
static void copy_units(restore *self, const lk_item *item, uint32_t from, uint32_t to) {
  if (self->clock + self->run.view.len + (to - from) > self->doc->limits.doc_clock) {
    check(self, lk_doc_limit(self->doc, "doc_clock"));
    return;
  }
  if (grows(item)) {
    grow_run(self, item, from, to);
    return;
  }
  end_run(self);
  if (self->err != LK_OK) return;
  if (is_node(item)) {
    copy_node(self, item);
    return;
  }
  lk_struct view = { .kind = item->kind,
                     .len = 1,
                     .value = lk_value_bytes(self->doc, item->content),
                     .key = name_slice(self->doc, lk_item_key(self->doc, item)) };
  write_view(self, &view);
}

/* ---- lists of nodes that stay ---- */

static void place_behind(restore *self, const lk_item *item, uint32_t to) {
  const lk_doc *doc = self->doc;
  self->spot = (spot){ .has_origin = true, .origin = id_at(doc, item, to - 1) };
  if (to == item->len && item->right == LK_NONE) return;
  self->spot.has_right = true;
  self->spot.right = to < item->len ? id_at(doc, item, to)
                                    : id_at(doc, &doc->items[item->right], 0);
}

static void pass(restore *self, const lk_item *item, uint32_t from, uint32_t to, bool was) {
  bool is = !lk_item_deleted(item);
  if (was && is) {
    end_run(self);
    self->in_gap = false;
    if (is_node(item)) check(self, lk_refs_push(&self->staying, item->content));
  } else if (was) {
    if (!self->in_gap) place_behind(self, item, to);
    self->in_gap = true;
    copy_units(self, item, from, to);
  } else if (is) {
    delete_units(self, item, from, to);
  }
}

static void restore_list(restore *self, uint32_t type) {
  self->in_gap = false;
  for (uint32_t i = self->doc->types.at[type].start; i != LK_NONE && self->err == LK_OK;
       i = self->doc->items[i].right) {
    const lk_item *item = &self->doc->items[i];
    for (uint32_t from = 0, to; from < item->len && self->err == LK_OK; from = to) {
      bool was = lk_version_shows(&self->then, self->doc, item, from, &to);
      pass(self, item, from, to, was);
    }
  }
  end_run(self);
}

/* ---- entries ---- */

/* The last unit of |item| that the version shows; LK_NONE where there is none. What one client set in a row is one
 * item, of which each unit was the entry's value once. */
static uint32_t last_unit(const restore *self, const lk_item *item) {
  uint32_t found = LK_NONE;
  for (uint32_t from = 0, to; from < item->len; from = to) {
    if (lk_version_shows(&self->then, self->doc, item, from, &to)) found = to - 1;
  }
  return found;
}

/* The item that was the entry's value then; LK_NONE where there was none. */
static uint32_t value_then(const restore *self, uint32_t entry, uint32_t *unit) {
  const lk_doc *doc = self->doc;
  for (uint32_t i = lk_entry_item(doc, entry); i != LK_NONE; i = doc->items[i].left) {
    if (!lk_item_countable(&doc->items[i])) continue;
    if ((*unit = last_unit(self, &doc->items[i])) != LK_NONE) return i;
  }
  return LK_NONE;
}

static void restore_entry(restore *self, uint32_t entry) {
  const lk_doc *doc = self->doc;
  uint32_t unit = 0, was = value_then(self, entry, &unit), last = lk_entry_item(doc, entry);
  if (last == LK_NONE) return;
  const lk_item *is = &doc->items[last];
  bool stays = was == last && !lk_item_deleted(is) && unit == is->len - 1;
  if (stays) {
    if (is_node(is)) check(self, lk_refs_push(&self->staying, is->content));
    return;
  }
  delete_all(self, is);
  if (was == LK_NONE) return;
  self->spot = (spot){ .has_origin = true, .origin = id_at(doc, is, is->len - 1), .is_sub = true };
  copy_units(self, &doc->items[was], unit, unit + 1);
  end_run(self);
}

static void restore_node(restore *self, uint32_t type) {
  const lk_doc *doc = self->doc;
  restore_list(self, type);
  for (uint32_t e = doc->types.at[type].entry_first; e != LK_NONE && self->err == LK_OK;
       e = doc->entries.at[e].next)
    restore_entry(self, e);
}

/* ---- nodes that come back ---- */

/* |clock| is that of the copy. */
static void fill_copy(restore *self, uint32_t type, uint32_t clock) {
  const lk_doc *doc = self->doc;
  const lk_doc_id parent = { self->client, clock };
  self->spot = (spot){ .parent = parent };
  for (uint32_t i = doc->types.at[type].start; i != LK_NONE && self->err == LK_OK;
       i = doc->items[i].right) {
    const lk_item *item = &doc->items[i];
    for (uint32_t from = 0, to; from < item->len && self->err == LK_OK; from = to) {
      if (lk_version_shows(&self->then, doc, item, from, &to)) copy_units(self, item, from, to);
    }
  }
  end_run(self);
  for (uint32_t e = doc->types.at[type].entry_first; e != LK_NONE && self->err == LK_OK;
       e = doc->entries.at[e].next) {
    uint32_t unit, was = value_then(self, e, &unit);
    if (was == LK_NONE) continue;
    self->spot = (spot){ .parent = parent,
                         .sub = lk_name_slice(doc, doc->entries.at[e].key),
                         .is_sub = true };
    copy_units(self, &doc->items[was], unit, unit + 1);
    end_run(self);
  }
}

/* ---- all of it ---- */

static void restore_all(restore *self) {
  const lk_doc *doc = self->doc;
  for (uint32_t i = 0; i < doc->roots.count; i++)
    check(self, lk_refs_push(&self->staying, doc->roots.at[i]));
  while (self->err == LK_OK && self->staying.count > 0)
    restore_node(self, self->staying.at[--self->staying.count]);
  while (self->err == LK_OK && self->copied.count > 0) {
    self->copied.count -= 2;
    fill_copy(self, self->copied.at[self->copied.count + 1], self->copied.at[self->copied.count]);
  }
  while (self->err == LK_OK && self->dying.count > 0)
    delete_within(self, self->dying.at[--self->dying.count]);
}

static lk_err write_update(restore *self, lk_buf *out) {
  restore_all(self);
  if (self->err == LK_OK) self->err = lk_delete_set_merge(&self->deleted);
  if (self->err == LK_OK) self->err = lk_delete_set_write(&self->deleted, &self->writer);
  return self->err == LK_OK ? lk_update_writer_finish(&self->writer, out) : self->err;
}

static void restore_init(restore *self, lk_doc *doc, uint64_t client, lk_update_format to) {
  const lk_refs none = { .alloc = &doc->alloc };
  *self = (restore){ .doc = doc, .client = client, .staying = none, .copied = none, .dying = none };
  lk_version_init(&self->then, &doc->alloc, &doc->limits);
  lk_delete_set_init(&self->deleted, &doc->alloc, doc->limits.doc_delete_ranges_count);
  lk_update_writer_init(&self->writer, &doc->alloc, to, doc->limits.doc_update_bytes);
  lk_buf_init(&self->content, &doc->alloc, doc->limits.doc_update_bytes);
}

static void restore_deinit(restore *self) {
  lk_version_deinit(&self->then);
  lk_delete_set_deinit(&self->deleted);
  lk_update_writer_deinit(&self->writer);
  lk_buf_deinit(&self->content);
  lk_refs_deinit(&self->staying);
  lk_refs_deinit(&self->copied);
  lk_refs_deinit(&self->dying);
}

/* ---- what a version can show ---- */

static bool is_collected(const lk_item *item) {
  return item->kind == LK_CONTENT_GC || item->kind == LK_CONTENT_DELETED;
}

static bool shows_any(const lk_version *version, const lk_doc *doc, const lk_item *item) {
  for (uint32_t from = 0, to; from < item->len; from = to) {
    if (lk_version_shows(version, doc, item, from, &to)) return true;
  }
  return false;
}

static lk_err check_client(const lk_doc *doc, const lk_client *client, const lk_version *version) {
  for (uint32_t b = 0; b < client->block_count; b++) {
    const lk_block *block = &client->blocks[b];
    for (uint32_t i = 0; i < block->count; i++) {
      const lk_item *item = &doc->items[block->items[i]];
      if (is_collected(item) && shows_any(version, doc, item)) return LK_ERR_COLLECTED;
    }
  }
  return LK_OK;
}

static lk_err check_version(const lk_doc *doc, const lk_version *version) {
  lk_err err = LK_OK;
  for (size_t i = 0; i < version->known.count && err == LK_OK; i++) {
    uint16_t number = lk_client_find(doc, version->known.ranges[i].client);
    if (number == LK_NO_CLIENT) return LK_ERR_NOT_FOUND;
    const lk_client *client = &doc->clients.at[number];
    if (client->clock < version->known.ranges[i].value) return LK_ERR_NOT_FOUND;
    err = check_client(doc, client, version);
  }
  return err;
}

lk_err lk_doc_shows(lk_doc *doc, lk_update_format format, lk_slice snapshot) {
  lk_version version;
  if (!lk_update_format_is_valid(format)) return LK_ERR_INVALID;
  lk_version_init(&version, &doc->alloc, &doc->limits);
  lk_err err = lk_version_decode(&version, format, snapshot);
  if (err == LK_OK) err = check_version(doc, &version);
  lk_version_deinit(&version);
  return err;
}

lk_err lk_doc_restore(lk_doc *doc, lk_update_format format, lk_slice snapshot, uint64_t client,
                      lk_update_format to, lk_buf *out) {
  restore self;
  size_t before = out->len;
  if (!lk_update_format_is_valid(format) || !lk_update_format_is_valid(to)) return LK_ERR_INVALID;
  if (doc->gc) return LK_ERR_STATE;
  if (client > LK_VARUINT_MAX_SAFE || lk_client_find(doc, client) != LK_NO_CLIENT)
    return LK_ERR_ACTOR;
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  restore_init(&self, doc, client, to);
  lk_err err = lk_version_decode(&self.then, format, snapshot);
  if (err == LK_OK) err = check_version(doc, &self.then);
  if (err == LK_OK) err = write_update(&self, out);
  restore_deinit(&self);
  return lk_update_settle(out, before, err);
}
