/* doc/text_format.c -- inserting, formatting and deleting within a text, item by item as Yjs does it.
 *
 * Formatting is items of its own among the text: one that begins an attribute, one that ends it,
 *
 *   He [bold: true] llo [bold: null]  world
 *
 * and what holds at a place is what all live ones before it say. Each operation writes as few of them as
 * it can. Three steps do that, and every operation is made of them:
 *
 *   skip      over what is deleted, and over formatting that says what shall hold anyway
 *   begin     formatting that differs from what holds, and remember what held
 *   end       give back what held, unless what follows says so already
 *
 * Which items Yjs writes, where and in which order, is decided by walking its list and by the order of its maps.
 * The same walk is done here, only that moving to an index first takes the order index, and what holds there is
 * looked up when somebody needs it: typing does not, mostly.
 *
 * Always: left and right are neighbours, or the ends. */
#include "doc/text.h"

void lk_text_edit_init(lk_text_edit *self, lk_doc *doc, uint32_t type) {
  *self = (lk_text_edit){ .doc = doc, .type = type, .left = LK_NONE };
  self->right = lk_type_at(doc, type)->start;
  self->known = true;
  lk_arena_init(&self->arena, &doc->alloc, SIZE_MAX / 2);
  lk_arena_init(&self->scratch, &doc->alloc, SIZE_MAX / 2);
}

void lk_text_edit_deinit(lk_text_edit *self) {
  lk_arena_deinit(&self->arena);
  lk_arena_deinit(&self->scratch);
}

static lk_item *right_of(const lk_text_edit *self) { return lk_item_at(self->doc, self->right); }

static bool has_format(const lk_text_edit *self) {
  return (lk_type_at(self->doc, self->type)->flags & LK_TYPE_HAS_FORMAT) != 0;
}

static bool is_format(const lk_item *item) {
  return item->kind == LK_CONTENT_FORMAT && !lk_item_deleted(item);
}

/* More attributes than any text holds at a place; what strangers write may. */
#define HELD_MAX 64

/* ---- moving ---- */

/* Passes all formatting from |item| to |until|. The index finds the next leaf that has some; within it, or where
 * there is no index, items are looked at one by one. */
static lk_err pass_formats(lk_text_edit *self, uint32_t item, uint32_t until) {
  lk_doc *doc = self->doc;
  bool indexed = lk_type_at(doc, self->type)->order != LK_NONE;
  while (item != until && item != LK_NONE) {
    if (indexed && (item = lk_order_next_format(doc, item, until)) == LK_NONE) return LK_OK;
    uint32_t leaf = lk_item_at(doc, item)->leaf;
    do {
      const lk_item *at = lk_item_at(doc, item);
      lk_err err = LK_OK;
      if (is_format(at)) err = lk_text_map_pass(doc, &self->current, &self->arena, at);
      if (err != LK_OK) return err;
      item = at->right;
    } while (item != until && item != LK_NONE && lk_item_at(doc, item)->leaf == leaf);
  }
  return LK_OK;
}

/* ---- what holds ----
 *
 * What holds at a place is what all formatting before it says: tens of thousands of items in a long text, for each
 * keystroke that asks. So the last answer is kept, as what holds behind an item, as long as no formatting comes or goes
 * in front of that. The next keystroke is near: from there it is a step, or none. */

/* Where |current| can start from: |*from| is the item behind which it holds. False where all must be gone through. */
static bool start_from_held(const lk_text_edit *self, uint32_t here, uint32_t *from) {
  const lk_doc *doc = self->doc;
  if (doc->held_type != self->type + 1 || lk_type_at(doc, self->type)->order == LK_NONE)
    return false;
  uint32_t behind = lk_item_at(doc, doc->held_item)->right;
  *from = behind;
  if (here == LK_NONE || behind == here) return true;
  if (behind != LK_NONE && lk_order_compare(doc, behind, here) < 0) return true;
  /* in front of it: the same holds there if no formatting lies between the two */
  *from = here;
  return lk_order_next_format(doc, here, behind) == LK_NONE;
}

static lk_err recall(lk_text_edit *self) {
  const lk_doc *doc = self->doc;
  lk_err err = LK_OK;
  for (uint32_t i = 0; err == LK_OK && i < doc->held.count; i++) {
    const lk_held *held = &doc->held.at[i];
    lk_text_value value = { .at = held->at, .own = held->flags != 0 };
    err = lk_text_map_set(&self->current, &self->arena, held->key, value);
  }
  return err;
}

/* |current| holds in front of |here|, as all formatting before it says. Without memory nothing is remembered. */
static void remember(lk_text_edit *self, uint32_t here) {
  lk_doc *doc = self->doc;
  const lk_type *type = lk_type_at(doc, self->type);
  uint32_t item = here == LK_NONE ? type->end : lk_item_at(doc, here)->left;
  doc->held_type = 0;
  doc->held.count = 0;
  if (item == LK_NONE || type->order == LK_NONE || self->current.live > HELD_MAX ||
      LK_VEC_RESERVE(doc, doc->held, self->current.live) != LK_OK) {
    return;
  }
  for (uint32_t i = 0; i < self->current.count; i++) {
    const lk_text_attribute *attribute = &self->current.items[i];
    if (attribute->key == LK_NONE) continue;
    LK_ASSERT(attribute->value.at != LK_NONE); /* a FORMAT item said it */
    doc->held.at[doc->held.count++] = (lk_held){ attribute->key, attribute->value.at,
                                                 attribute->value.own };
  }
  doc->held_type = self->type + 1;
  doc->held_item = item;
}

/* Sees to it that |current| holds in front of |here|. */
static lk_err know(lk_text_edit *self, uint32_t here) {
  uint32_t from;
  lk_err err = LK_OK;
  if (self->known) return LK_OK;
  self->known = true;
  if (!has_format(self)) return LK_OK;
  if (start_from_held(self, here, &from)) err = recall(self);
  else from = lk_type_at(self->doc, self->type)->start;
  if (err == LK_OK) err = pass_formats(self, from, here);
  if (err == LK_OK) remember(self, here);
  return err;
}

uint32_t lk_text_edit_index(const lk_text_edit *self) {
  return self->right == LK_NONE ? lk_type_at(self->doc, self->type)->length
                                : lk_list_index(self->doc, self->right);
}

/* One item to the right. */
static lk_err step(lk_text_edit *self) {
  const lk_item *item = right_of(self);
  lk_err err = LK_OK;
  if (is_format(item) && self->known)
    err = lk_text_map_pass(self->doc, &self->current, &self->arena, item);
  self->left = self->right;
  self->right = item->right;
  return err;
}

static lk_err skip_deleted(lk_text_edit *self) {
  lk_err err = LK_OK;
  while (err == LK_OK && self->right != LK_NONE && lk_item_deleted(right_of(self)))
    err = step(self);
  return err;
}

lk_err lk_text_edit_seek(lk_text_edit *self, uint32_t index) {
  uint32_t from = self->right;
  bool at_start = self->left == LK_NONE;
  lk_err err = lk_list_seek(self->doc, self->type, index, &self->left, &self->right);
  if (err == LK_OK && has_format(self)) {
    if (at_start) self->known = self->left == LK_NONE;
    else if (self->known) err = pass_formats(self, from, self->right);
  }
  return err == LK_OK ? skip_deleted(self) : err;
}

/* Takes the live units to the right off |*length|; an item that is longer is split. */
static lk_err cut(lk_text_edit *self, uint64_t *length) {
  uint32_t rest;
  lk_err err = LK_OK;
  if (*length < right_of(self)->len)
    err = lk_item_split(self->doc, self->right, (uint32_t)*length, &rest);
  if (err == LK_OK) *length -= right_of(self)->len;
  return err;
}

/* ---- writing ---- */

/* Inserts an item and stands behind it. */
static lk_err put(lk_text_edit *self, uint8_t kind, uint32_t content, uint32_t len, uint8_t flags) {
  lk_err err = lk_insert_item(self->doc, self->type, LK_NONE, self->left, self->right, kind,
                              content, len, flags, &self->right);
  return err == LK_OK ? step(self) : err;
}

static lk_err put_format(lk_text_edit *self, uint32_t key, const lk_text_value *value) {
  uint32_t content = value->at;
  lk_err err = LK_OK;
  if (content == LK_NONE) err = lk_value_add(self->doc, value->bytes, key, &content);
  return err == LK_OK ? put(self, LK_CONTENT_FORMAT, content, 1, value->own ? LK_ITEM_OWN : 0)
                      : err;
}

static lk_err put_text(lk_text_edit *self, lk_slice utf8) {
  uint32_t at, units;
  bool wide;
  lk_err err = lk_text_add(self->doc, (lk_column_piece){ .text = utf8 }, &at, &units, &wide);
  if (err != LK_OK) return err;
  return put(self, LK_CONTENT_STRING, at, units, wide ? LK_ITEM_WIDE : 0);
}

static lk_err put_content(lk_text_edit *self, const lk_text_content *content) {
  uint32_t at;
  lk_err err;
  switch (content->kind) {
  case LK_CONTENT_STRING: return put_text(self, content->bytes);
  case LK_CONTENT_EMBED:
    err = lk_value_add(self->doc, content->bytes, LK_NONE, &at);
    return err == LK_OK ? put(self, LK_CONTENT_EMBED, at, 1, 0) : err;
  default:
    LK_ASSERT(content->kind == LK_CONTENT_TYPE);
    err = put(self, LK_CONTENT_TYPE, content->type, 1, 0);
    if (err != LK_OK || content->fill == NULL) return err;
    return content->fill(content->ctx, self->doc, lk_node_of(self->doc, content->type));
  }
}

static lk_err put_newlines(lk_text_edit *self, uint64_t count) {
  if (count > self->doc->limits.doc_text_bytes) return lk_doc_limit(self->doc, "doc_text_bytes");
  uint8_t *lines = lk_arena_push_bytes(&self->scratch, (size_t)count);
  if (lines == NULL) return LK_ERR_NOMEM;
  memset(lines, '\n', (size_t)count);
  return put_text(self, lk_slice_of(lines, (size_t)count));
}

/* ---- the three steps ---- */

/* Whether the item to the right is formatting that |attributes| ask for, or null where they do not. */
static bool says_it_already(const lk_text_edit *self, const lk_text_map *attributes) {
  const lk_item *item = right_of(self);
  if (item->kind != LK_CONTENT_FORMAT) return false;
  lk_text_value wanted = lk_text_map_get(self->doc, attributes, lk_item_key(self->doc, item));
  lk_text_value said = lk_text_value_of(item);
  return lk_text_value_equal(self->doc, &wanted, &said);
}

static lk_err skip(lk_text_edit *self, const lk_text_map *attributes) {
  lk_err err = LK_OK;
  while (err == LK_OK && self->right != LK_NONE &&
         (lk_item_deleted(right_of(self)) || says_it_already(self, attributes))) {
    err = step(self);
  }
  return err;
}

static lk_err begin(lk_text_edit *self, const lk_text_map *attributes, lk_text_map *held) {
  lk_err err = LK_OK;
  for (uint32_t i = 0; err == LK_OK && i < attributes->count; i++) {
    uint32_t key = attributes->items[i].key;
    lk_text_value *value = &attributes->items[i].value;
    lk_text_value holds = lk_text_map_get(self->doc, &self->current, key);
    if (lk_text_value_equal(self->doc, &holds, value)) continue;
    err = lk_text_map_set(held, &self->scratch, key, holds);
    if (err == LK_OK) err = put_format(self, key, value);
    if (err == LK_OK) value->at = lk_item_at(self->doc, self->left)->content;
  }
  return err;
}

/* Whether the live formatting to the right gives back what |held|. */
static bool gives_back(const lk_text_edit *self, const lk_text_map *held) {
  const lk_item *item = right_of(self);
  if (item->kind != LK_CONTENT_FORMAT) return false;
  const lk_text_value *wanted = lk_text_map_find(held, lk_item_key(self->doc, item));
  lk_text_value said = lk_text_value_of(item);
  return wanted != NULL && lk_text_value_equal(self->doc, wanted, &said);
}

static lk_err end(lk_text_edit *self, lk_text_map *held) {
  lk_err err = LK_OK;
  while (err == LK_OK && self->right != LK_NONE) {
    bool deleted = lk_item_deleted(right_of(self));
    if (!deleted && !gives_back(self, held)) break;
    if (!deleted) lk_text_map_remove(held, lk_item_key(self->doc, right_of(self)));
    err = step(self);
  }
  for (uint32_t i = 0; err == LK_OK && i < held->count; i++) {
    if (held->items[i].key != LK_NONE)
      err = put_format(self, held->items[i].key, &held->items[i].value);
  }
  return err;
}

/* ---- inserting ---- */

/* Attributes that hold and are not asked for shall not hold. */
static lk_err add_ends(lk_text_edit *self, lk_text_map *attributes) {
  lk_err err = LK_OK;
  for (uint32_t i = 0; err == LK_OK && i < self->current.count; i++) {
    uint32_t key = self->current.items[i].key;
    if (key == LK_NONE || lk_text_map_find(attributes, key) != NULL) continue;
    err = lk_text_map_set(attributes, &self->scratch, key, lk_text_null());
  }
  return err;
}

lk_err lk_text_edit_insert(lk_text_edit *self, lk_text_map *attributes,
                           const lk_text_content *content) {
  lk_text_map held = { 0 };
  lk_err err = know(self, self->right);
  if (err == LK_OK) err = add_ends(self, attributes);
  if (err == LK_OK) err = lk_text_map_sort(self->doc, attributes, &self->scratch);
  if (err == LK_OK) err = skip(self, attributes);
  if (err == LK_OK) err = begin(self, attributes, &held);
  if (err == LK_OK) err = put_content(self, content);
  return err == LK_OK ? end(self, &held) : err;
}

/* Where no formatting follows at once there is nothing to skip, to begin or to end. */
lk_err lk_text_edit_insert_alike(lk_text_edit *self, const lk_text_content *content) {
  lk_text_map attributes;
  lk_err err;
  if (self->right == LK_NONE || right_of(self)->kind != LK_CONTENT_FORMAT)
    return put_content(self, content);
  err = know(self, self->right);
  if (err == LK_OK) err = lk_text_map_copy(&self->current, &self->scratch, &attributes);
  if (err != LK_OK) return err;
  for (uint32_t i = 0; i < attributes.count; i++) {
    lk_text_value *value = &attributes.items[i].value;
    if (lk_text_value_is_nothing(self->doc, value)) *value = lk_text_null();
  }
  return lk_text_edit_insert(self, &attributes, content);
}

/* ---- formatting ---- */

/* Live formatting within what is being formatted: it goes where |attributes| have its key, and what it said holds
 * behind the stretch. |*done|: the stretch is over, and this belongs to what follows. */
static lk_err format_format(lk_text_edit *self, const lk_text_map *attributes, lk_text_map *held,
                            bool within, bool *done) {
  lk_doc *doc = self->doc;
  const lk_item *item = right_of(self);
  uint32_t key = lk_item_key(doc, item);
  const lk_text_value *wanted = lk_text_map_find(attributes, key);
  lk_text_value said = lk_text_value_of(item);
  lk_err err = LK_OK;
  if (wanted == NULL) return LK_OK;
  if (lk_text_value_equal(doc, wanted, &said)) {
    lk_text_map_remove(held, key);
  } else {
    *done = !within;
    if (*done) return LK_OK;
    err = lk_text_map_set(held, &self->scratch, key, said);
  }
  return err == LK_OK ? lk_item_delete(doc, self->right) : err;
}

/* Up to the end of the stretch, and on as long as formatting follows that might give back what was held. */
static lk_err format_stretch(lk_text_edit *self, const lk_text_map *attributes, lk_text_map *held,
                             uint64_t *length) {
  lk_err err = LK_OK;
  while (err == LK_OK && self->right != LK_NONE) {
    const lk_item *item = right_of(self);
    bool done = *length == 0 && (held->live == 0 || lk_item_units(item) > 0);
    if (!done && is_format(item)) err = format_format(self, attributes, held, *length > 0, &done);
    else if (!done && !lk_item_deleted(item)) err = cut(self, length);
    if (done) break;
    if (err == LK_OK) err = step(self);
  }
  return err;
}

lk_err lk_text_edit_format(lk_text_edit *self, lk_text_map *attributes, uint64_t length) {
  lk_text_map held = { 0 };
  lk_err err = know(self, self->right);
  if (err == LK_OK) err = lk_text_map_sort(self->doc, attributes, &self->scratch);
  if (err == LK_OK) err = skip(self, attributes);
  if (err == LK_OK) err = begin(self, attributes, &held);
  if (err == LK_OK) err = format_stretch(self, attributes, &held, &length);
  if (err == LK_OK && length > 0) err = put_newlines(self, length);
  return err == LK_OK ? end(self, &held) : err;
}

/* ---- deleting ---- */

/* What held in front of |start| is looked up when the first formatting behind it is met. */
static lk_err note_before(lk_text_edit *self, uint32_t start, lk_text_map *before, bool *noted) {
  if (*noted) return LK_OK;
  *noted = true;
  lk_err err = know(self, start);
  return err == LK_OK ? lk_text_map_copy(&self->current, &self->scratch, before) : err;
}

/* Whether there is formatting before the next unit. */
static bool formats_ahead(const lk_text_edit *self) {
  for (uint32_t at = self->right; at != LK_NONE; at = lk_item_at(self->doc, at)->right) {
    const lk_item *item = lk_item_at(self->doc, at);
    if (is_format(item)) return true;
    if (lk_item_units(item) > 0) return false;
  }
  return false;
}

static lk_err delete_units(lk_text_edit *self, uint64_t *length) {
  lk_err err = cut(self, length);
  return err == LK_OK ? lk_item_delete(self->doc, self->right) : err;
}

lk_err lk_text_edit_delete(lk_text_edit *self, uint64_t length) {
  lk_text_map before = { 0 };
  uint32_t start = self->right;
  bool noted = false;
  lk_err err = LK_OK;
  while (err == LK_OK && length > 0 && self->right != LK_NONE) {
    if (is_format(right_of(self))) err = note_before(self, start, &before, &noted);
    else if (!lk_item_deleted(right_of(self))) err = delete_units(self, &length);
    if (err == LK_OK) err = step(self);
  }
  if (err == LK_OK && !noted && has_format(self) && formats_ahead(self)) {
    err = note_before(self, start, &before, &noted);
  }
  if (err != LK_OK || !noted) return err;
  return lk_text_clean_gap(self->doc, start, self->right, &before, &self->current, &self->arena,
                           &self->scratch);
}
