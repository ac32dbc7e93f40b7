/* doc/text_cleanup.c -- formatting that says nothing any more.
 *
 * When the text between two formatting items goes, they stand side by side, and one of them is often needless:
 *
 *   [bold: true] gone [bold: null]
 *
 * A gap is a stretch of a list without live units. Within it only the last item of each attribute counts, and
 * that only if it changes something. Who deletes locally looks after the gap that he makes. What comes from others
 * is looked after when their transaction is over, in a transaction of its own, in two ways:
 *
 *   where formatting came or went  the whole text; but Yjs looks at its first gap alone (13.6's loop ends
 *                                  at once for any gap that begins with a unit), so that is what is done here
 *   where text went                the gap it left, without asking what holds there: of each attribute
 *                                  the last item stays
 *
 * All replicas do this with what they see. Deleting formatting twice does no harm. */
#include "doc/text.h"

static bool is_format(const lk_item *item) {
  return item->kind == LK_CONTENT_FORMAT && !lk_item_deleted(item);
}

/* ---- with context ---- */

/* The last FORMAT item of each attribute, as |at| of its value; gives the unit behind the gap, or LK_NONE. */
static lk_err find_last(lk_doc *doc, uint32_t start, lk_arena *scratch, lk_text_map *last,
                        uint32_t *end) {
  lk_err err = LK_OK;
  uint32_t at = start;
  for (; err == LK_OK && at != LK_NONE; at = lk_item_at(doc, at)->right) {
    const lk_item *item = lk_item_at(doc, at);
    if (lk_item_units(item) > 0) break;
    if (is_format(item))
      err = lk_text_map_set(last, scratch, lk_item_key(doc, item), (lk_text_value){ .at = at });
  }
  *end = at;
  return err;
}

/* The item is deleted, so what held before it goes on to hold, unless something else was set since. */
static lk_err fall_back(lk_doc *doc, lk_text_map *current, lk_arena *arena, uint32_t key,
                        const lk_text_value *said, const lk_text_value *held) {
  lk_text_value holds = lk_text_map_get(doc, current, key);
  if (!lk_text_value_same(doc, &holds, said)) return LK_OK;
  if (!lk_text_value_is_null(doc, held)) return lk_text_map_set(current, arena, key, *held);
  lk_text_map_remove(current, key);
  return LK_OK;
}

lk_err lk_text_clean_gap(lk_doc *doc, uint32_t start, uint32_t here, const lk_text_map *before,
                         lk_text_map *current, lk_arena *arena, lk_arena *scratch) {
  lk_text_map last = { 0 };
  uint32_t end = LK_NONE;
  bool reached = false;
  lk_err err = find_last(doc, start, scratch, &last, &end);
  for (uint32_t at = start; err == LK_OK && at != end; at = lk_item_at(doc, at)->right) {
    const lk_item *item = lk_item_at(doc, at);
    reached |= at == here;
    if (!is_format(item)) continue;
    uint32_t key = lk_item_key(doc, item);
    lk_text_value said = lk_text_value_of(item), held = lk_text_map_get(doc, before, key);
    bool same = lk_text_value_same(doc, &held, &said);
    if (same || lk_text_map_find(&last, key)->at != at) {
      err = lk_item_delete(doc, at);
      if (err == LK_OK && !reached && !same)
        err = fall_back(doc, current, arena, key, &said, &held);
    } else if (!reached) {
      err = lk_text_map_pass(doc, current, arena, item);
    }
  }
  return err;
}

/* ---- after a remote transaction ---- */

typedef struct cleaner {
  lk_doc *doc;
  lk_arena arena;
  lk_text_map whole; /* keys are types in which formatting came or went */
  uint32_t mark;     /* of items in gaps that were cleaned */
  uint64_t left;     /* items that may still be walked over */
} cleaner;

/* What was deleted long ago lies in gaps, too, and a stranger's update of a few bytes must not have a hundred thousand
 * such items walked over. Needless formatting that is not found does no harm. */
#define WALK_LEAST 4096
#define WALK_EACH 64 /* for each change and each deleted range */

static bool may_walk(cleaner *self) {
  if (self->left > 0) self->left--;
  return self->left > 0;
}

static bool is_whole(const cleaner *self, uint32_t type) {
  return lk_text_map_find(&self->whole, type) != NULL;
}

static lk_err add_whole(cleaner *self, uint32_t type) {
  return lk_text_map_set(&self->whole, &self->arena, type, (lk_text_value){ .at = LK_NONE });
}

/* Yjs goes on to look at structs that observers added in the meantime, as many as there were before. */
static lk_err find_new_formats(cleaner *self, const lk_touched *touched) {
  lk_doc *doc = self->doc;
  uint16_t client = (uint16_t)touched->client;
  uint64_t end = (uint64_t)touched->before + touched->after;
  lk_err err = LK_OK;
  if (touched->before == touched->after) return LK_OK;
  lk_place place = lk_client_place(doc, client, touched->before);
  do {
    const lk_item *item = lk_item_at(doc, lk_place_item(doc, client, place));
    if (item->clock >= end) break;
    if (is_format(item)) err = add_whole(self, item->parent);
  } while (err == LK_OK && lk_place_next(doc, client, &place));
  return err;
}

/* The gap that |at|, a deleted item, is in. */
static lk_err clean_gap_around(cleaner *self, uint32_t at) {
  lk_doc *doc = self->doc;
  lk_text_map seen = { 0 };
  lk_arena_mark mark = lk_arena_get_mark(&self->arena);
  lk_err err = LK_OK;
  if (doc->marks[at] == self->mark) return LK_OK;
  for (uint32_t next; (next = lk_item_at(doc, at)->right) != LK_NONE; at = next) {
    if (lk_item_units(lk_item_at(doc, next)) > 0) break;
    if (!may_walk(self)) return LK_OK;
  }
  for (; err == LK_OK && at != LK_NONE; at = lk_item_at(doc, at)->left) {
    const lk_item *item = lk_item_at(doc, at);
    if (lk_item_units(item) > 0 || !may_walk(self)) break;
    doc->marks[at] = self->mark;
    if (!is_format(item)) continue;
    uint32_t key = lk_item_key(doc, item);
    if (lk_text_map_find(&seen, key) != NULL) err = lk_item_delete(doc, at);
    else err = lk_text_map_set(&seen, &self->arena, key, lk_text_null());
  }
  lk_arena_pop_to(&self->arena, mark);
  return err;
}

static lk_err look_at_deleted(cleaner *self, uint32_t number) {
  const lk_item *item = lk_item_at(self->doc, number);
  if (item->parent == LK_NONE ||
      (lk_type_at(self->doc, item->parent)->flags & LK_TYPE_HAS_FORMAT) == 0)
    return LK_OK;
  if (is_whole(self, item->parent)) return LK_OK;
  return item->kind == LK_CONTENT_FORMAT ? add_whole(self, item->parent)
                                         : clean_gap_around(self, number);
}

static lk_err look_at_range(cleaner *self, const lk_range *range) {
  uint16_t client = (uint16_t)range->client;
  lk_place place = lk_client_place(self->doc, client, range->clock);
  lk_err err = LK_OK;
  do {
    uint32_t item = lk_place_item(self->doc, client, place);
    if (lk_item_at(self->doc, item)->clock - range->clock >= range->len &&
        lk_item_at(self->doc, item)->clock > range->clock) {
      break;
    }
    err = look_at_deleted(self, item);
  } while (err == LK_OK && lk_place_next(self->doc, client, &place));
  return err;
}

/* The first gap, if a unit follows it. */
static lk_err clean_whole(cleaner *self, uint32_t type) {
  lk_doc *doc = self->doc;
  lk_text_map before = { 0 }, current = { 0 };
  lk_arena_mark mark = lk_arena_get_mark(&self->arena);
  uint32_t start = lk_type_at(doc, type)->start, unit = start;
  lk_err err = LK_OK;
  while (unit != LK_NONE && lk_item_units(lk_item_at(doc, unit)) == 0 && may_walk(self))
    unit = lk_item_at(doc, unit)->right;
  if (unit != LK_NONE && lk_item_units(lk_item_at(doc, unit)) > 0) {
    err = lk_text_clean_gap(doc, start, LK_NONE, &before, &current, &self->arena, &self->arena);
  }
  lk_arena_pop_to(&self->arena, mark);
  return err;
}

/* In which order deletions are looked at matters: those before the first that makes the text a whole one
 * leave clean gaps behind. */
static lk_err clean(cleaner *self, const lk_tx *tx) {
  lk_err err = lk_marks_reserve(self->doc);
  self->mark = ++self->doc->mark_next;
  self->left = WALK_LEAST + WALK_EACH * ((uint64_t)tx->changed.count + tx->ranges.count);
  for (uint32_t i = 0; err == LK_OK && i < tx->touched.count; i++)
    err = find_new_formats(self, &tx->touched.at[i]);
  lk_range range;
  for (lk_range_walk walk = { 0, 0 }; err == LK_OK && lk_tx_next_range(tx, &walk, &range);) {
    err = look_at_range(self, &range);
  }
  for (uint32_t i = 0; err == LK_OK && i < self->whole.count; i++)
    err = clean_whole(self, self->whole.items[i].key);
  return err;
}

lk_err lk_text_cleanup(lk_doc *doc, lk_tx *tx) {
  cleaner self = { .doc = doc };
  lk_call call;
  lk_err err = lk_call_begin(doc, &call);
  if (err != LK_OK) return err;
  lk_arena_init(&self.arena, &doc->alloc, SIZE_MAX / 2);
  err = clean(&self, tx);
  lk_arena_deinit(&self.arena);
  return lk_call_end(doc, &call, err);
}
