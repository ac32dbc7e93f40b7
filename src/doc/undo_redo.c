/* doc/undo_redo.c -- making deleted items again.
 *
 * A deleted item never comes back. A new one with the same content takes its place, and the old one remembers it:
 * where the old one is asked for later, the way leads to the new one.
 *
 * In a list its place is between what stood left and right of the old one. Where the node that the old one was in was
 * deleted too, that was made again as a new, empty node, so neighbours are looked for that are in there
 * already: the old list is searched to the left and to the right of the item for one that leads to an item in the new
 * list. In a map the new item goes to the end of its key, unless somebody else has set the key since. */
#include "doc/undo.h"

/* ---- what stands for what ---- */

/* What redid |*item|, as a struct of its own. */
static lk_err step(lk_doc *doc, uint32_t *item) {
  uint16_t client;
  uint32_t clock;
  if (!lk_item_redone(doc, *item, &client, &clock)) LK_UNREACHABLE();
  return lk_item_clean_start(doc, client, clock, item);
}

static bool is_redone(const lk_doc *doc, uint32_t item) {
  return (doc->items[item].flags & LK_ITEM_REDONE) != 0;
}

/* As in Yjs, where the end of what was cut is then a place to insert behind. */
lk_err lk_undo_trace(lk_doc *doc, uint32_t parent, uint32_t *item) {
  lk_err err = LK_OK;
  while (err == LK_OK && *item != LK_NONE) {
    const lk_item *at = &doc->items[*item];
    if (at->kind != LK_CONTENT_GC && lk_undo_parent(doc, at) == parent) return LK_OK;
    if (is_redone(doc, *item)) err = step(doc, item);
    else *item = LK_NONE;
  }
  return err;
}

/* The last item of the struct. Its items are neighbours in the list. */
static uint32_t struct_end(const lk_doc *doc, uint32_t item) {
  for (;;) {
    uint32_t right = doc->items[item].right;
    if (right == LK_NONE || (doc->items[right].flags & LK_ITEM_JOINED) == 0) return item;
    if (doc->items[right].client != doc->items[item].client ||
        doc->items[right].clock != lk_item_end(&doc->items[item]))
      return item;
    item = right;
  }
}

/* ---- places ---- */

typedef struct spot {
  uint32_t type, entry; /* where the new item goes */
  uint32_t left, right;
} spot;

#define STEPS_MAX 32 /* of walking; then a shelf is made */

/* |*steps| is 0 where it was not found in so many. */
static lk_err find_left(lk_doc *doc, uint32_t item, uint32_t parent, uint32_t *steps,
                        uint32_t *out) {
  lk_err err = LK_OK;
  *out = LK_NONE;
  for (uint32_t at = doc->items[item].left; err == LK_OK && at != LK_NONE && *out == LK_NONE;
       at = doc->items[at].left) {
    if (--*steps == 0) return LK_OK;
    *out = at;
    err = lk_undo_trace(doc, parent, out);
  }
  return err;
}

static lk_err find_right(lk_doc *doc, uint32_t item, uint32_t parent, uint32_t *steps,
                         uint32_t *out) {
  lk_err err = LK_OK;
  *out = LK_NONE;
  for (uint32_t at = item; err == LK_OK && at != LK_NONE && *out == LK_NONE;
       at = doc->items[at].right) {
    if (--*steps == 0) return LK_OK;
    *out = at;
    err = lk_undo_trace(doc, parent, out);
  }
  return err;
}

static lk_err find_in_list(lk_undo *self, uint32_t item, uint32_t parent, spot *out) {
  lk_doc *doc = self->doc;
  uint32_t steps = STEPS_MAX, list = doc->items[item].parent;
  if (lk_undo_parent(doc, &doc->items[item]) == parent) {
    out->left = doc->items[item].left;
    out->right = item;
    return LK_OK;
  }
  lk_undo_shelf *shelf = lk_undo_shelf_find(self, list, parent);
  lk_err err = LK_OK;
  if (shelf == NULL) {
    err = find_left(doc, item, parent, &steps, &out->left);
    if (err == LK_OK && steps > 0) err = find_right(doc, item, parent, &steps, &out->right);
    if (err == LK_OK && steps == 0) err = lk_undo_shelf_make(self, list, parent, &shelf);
  }
  if (shelf != NULL && err == LK_OK) err = lk_undo_shelf_left(self, shelf, item, &out->left);
  if (shelf != NULL && err == LK_OK) err = lk_undo_shelf_right(self, shelf, item, &out->right);
  /* the end of the struct that is left of it now: what is right may have been cut from that */
  if (err == LK_OK && out->left != LK_NONE) out->left = struct_end(doc, out->left);
  return err;
}

static bool is_in_stack(const lk_undo_stack *stack, uint32_t count, const lk_item *item) {
  for (uint32_t i = 0; i < count; i++) {
    if (lk_undo_ranges_have(lk_undo_deleted(stack, i), item->client, item->clock)) return true;
  }
  return false;
}

/* Whether what |number| set its key to may be replaced: it is taken back itself, or was. */
static bool may_replace(const lk_undo *self, uint32_t number) {
  const lk_item *item = &self->doc->items[number];
  if (is_redone(self->doc, number)) return true;
  if (lk_undo_ranges_have(lk_undo_inserted(self->from, self->entry), item->client, item->clock))
    return true;
  uint32_t undo = self->from == &self->undo ? self->entry : self->undo.entries.count;
  uint32_t redo = self->from == &self->redo ? self->entry : self->redo.entries.count;
  return is_in_stack(&self->undo, undo, item) || is_in_stack(&self->redo, redo, item);
}

/* Goes right as long as that may be replaced. |*free| says whether this led to the end of the key. */
static lk_err find_in_key(lk_undo *self, uint32_t item, uint32_t *left, bool *free) {
  lk_doc *doc = self->doc;
  lk_err err = LK_OK;
  for (;;) {
    uint32_t right = doc->items[struct_end(doc, item)].right;
    *left = struct_end(doc, item);
    *free = right == LK_NONE;
    if (right == LK_NONE || !may_replace(self, right)) return LK_OK;
    item = right;
    while (is_redone(doc, item)) {
      if ((err = step(doc, &item)) != LK_OK) return err;
    }
  }
}

static lk_err find_in_map(lk_undo *self, uint32_t item, uint32_t parent, spot *out, bool *free) {
  lk_doc *doc = self->doc;
  uint32_t key = doc->entries.at[doc->items[item].leaf].key;
  lk_err err = lk_entry_intern(doc, out->type, key, &out->entry);
  if (err != LK_OK) return err;
  out->left = lk_entry_item(doc, out->entry);
  out->right = LK_NONE;
  *free = true;
  if (doc->items[item].right == LK_NONE || self->ignore_remote_map_changes) return LK_OK;
  uint32_t left = LK_NONE;
  err = find_in_key(self, item, &left, free);
  if (err == LK_OK && *free && lk_undo_parent(doc, &doc->items[left]) == parent) out->left = left;
  return err;
}

/* ---- content ---- */

static lk_err copy_text(lk_doc *doc, const lk_item *item, uint32_t *out) {
  uint32_t size = (item->flags & LK_ITEM_WIDE) != 0 ? item->len * 2 : item->len,
           from = item->content;
  lk_err err = lk_text_reserve(doc, size + 1);
  if (err != LK_OK) return err;
  *out = (doc->text_len + 1) & ~1u;
  memcpy(doc->text + *out, doc->text + from, size);
  doc->text_len = *out + size;
  return LK_OK;
}

/* Of a node its kind and name. Formatting shares its value, by which it is known to be the same. */
static lk_err copy_content(lk_doc *doc, const lk_item *item, uint32_t *out) {
  *out = item->content;
  switch (item->kind) {
  case LK_CONTENT_STRING: return copy_text(doc, item, out);
  case LK_CONTENT_TYPE: {
    const lk_type *type = &doc->types.at[item->content];
    return lk_type_new(doc, type->kind, type->name, out);
  }
  case LK_CONTENT_JSON:
  case LK_CONTENT_BINARY:
  case LK_CONTENT_EMBED:
  case LK_CONTENT_ANY:
  case LK_CONTENT_DOC:
    return lk_value_add(doc, lk_value_bytes(doc, item->content),
                        lk_value_head_at(doc, item->content)->name, out);
  default: return LK_OK;
  }
}

static lk_err make_again(lk_undo *self, uint32_t number, const spot *to) {
  lk_doc *doc = self->doc;
  lk_item old = doc->items[number];
  uint32_t content, made = LK_NONE;
  lk_err err = copy_content(doc, &old, &content);
  if (err == LK_OK) {
    err = lk_insert_item(doc, to->type, to->entry, to->left, to->right, old.kind, content, old.len,
                         old.flags & LK_ITEM_WIDE, &made);
  }
  if (err == LK_OK)
    err = lk_item_set_redone(doc, number, doc->items[made].client, doc->items[made].clock);
  if (err == LK_OK) lk_undo_shelves_note(self, number);
  return err == LK_OK ? lk_item_set_keep(doc, made, true) : err;
}

/* ---- items ---- */

/* The node that |item| is in is there, or was made again. */
static lk_err redo_one(lk_undo *self, uint32_t item, bool *made) {
  lk_doc *doc = self->doc;
  uint32_t parent = lk_undo_parent(doc, &doc->items[item]);
  spot to = { .type = doc->items[item].parent, .entry = LK_NONE };
  lk_err err = LK_OK;
  bool follows = parent != LK_NONE && lk_item_deleted(&doc->items[parent]);
  while (err == LK_OK && follows && is_redone(doc, parent)) err = step(doc, &parent);
  if (err != LK_OK) return err;
  if (parent != LK_NONE) {
    *made = doc->items[parent].kind == LK_CONTENT_TYPE; /* it may have been collected */
    if (!*made) return LK_OK;
    to.type = doc->items[parent].content;
  }
  *made = true;
  if ((doc->items[item].flags & LK_ITEM_SUB) == 0) err = find_in_list(self, item, parent, &to);
  else err = find_in_map(self, item, parent, &to, made);
  return err == LK_OK && *made ? make_again(self, item, &to) : err;
}

/* Whether the entry that is taken back makes |item| again, which is one unit long. */
static bool is_in_entry(const lk_undo *self, uint32_t number) {
  const lk_item *item = &self->doc->items[number];
  if (!lk_undo_ranges_have(lk_undo_deleted(self->from, self->entry), item->client, item->clock))
    return false;
  if (lk_undo_ranges_have(lk_undo_inserted(self->from, self->entry), item->client, item->clock))
    return false;
  return lk_undo_in_scope(self, number);
}

/* Nodes that have to be made again before the item can be, from the innermost on. */
static lk_err find_chain(lk_undo *self, uint32_t item, bool *made) {
  lk_doc *doc = self->doc;
  self->chain.count = 0;
  for (;;) {
    lk_err err = lk_numbers_push(doc, &self->chain, item);
    if (err != LK_OK) return err;
    item = lk_undo_parent(doc, &doc->items[item]);
    *made = true;
    if (item == LK_NONE || !lk_item_deleted(&doc->items[item]) || is_redone(doc, item))
      return LK_OK;
    *made = is_in_entry(self, item);
    if (!*made) return LK_OK;
  }
}

lk_err lk_undo_redo_item(lk_undo *self, uint32_t item, bool *made) {
  *made = true;
  if (is_redone(self->doc, item)) return step(self->doc, &item);
  lk_err err = find_chain(self, item, made);
  while (err == LK_OK && *made && self->chain.count > 0) {
    err = redo_one(self, self->chain.at[--self->chain.count], made);
  }
  return err;
}
