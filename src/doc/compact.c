/* doc/compact.c -- a merge that is as small as the document it describes.
 *
 * An update says of each clock, one by one: its id, its origin, its right origin, its parent, its content. A
 * struct is a way of writing a row of them: its first clock has the origin that is written, each other one
 * the clock before it, and all have the same right origin. So two structs may be written as one
 * exactly if the second one's origin is the last clock of the first, and their right origins are the same:
 *
 *   7:0 "hel" after -, before -      7:3 "lo" after 7:2, before -       =>   7:0 "hello" after -, before -
 *
 * A document that takes in the one struct does what it would have done with the two, for nothing can stand
 * between them then: whatever has 7:2 as its origin waits for 7:2, cuts the struct there, and meets the rest
 * as it would have met the second struct. (Yjs asks besides that nothing stands between them in the document.
 * That is a question of its lists, not of what the clocks say.)
 *
 * Contents that cannot be in one struct stay apart: those of one clock each, and halves of a surrogate pair.
 * So do values in a map, where each deletes the one before it: one struct of two would delete nothing. Texts do
 * not stand in maps. Values of which nobody here knows whether they stand in a map stay apart as well.
 *
 * What the delete set deletes is deleted in every document that takes in this update, so its content is not
 * needed: its structs get the content DELETED, which is what garbage collection leaves there. Items in a type
 * that is deleted are collected wholly, and become GC, as they would in the document. To know these, we
 * follow each item to its parent:
 *
 *   region    a row of structs of one client of which each has the clock before it as its origin: all have the
 *             same parent. It is a root, an item, or unknown yet: that of another region
 *   place     DEAD in a deleted type; LIST or MAP; UNKNOWN where the way leads out of the update
 *
 * The delete set itself stays whole: others may have these structs as they were.
 *
 * Two walks over the merged update: the first makes regions and the set |gone| (the delete set, and what is DELETED
 * already), the second cuts each struct at the borders of |gone| and joins what can be joined. A way to a
 * parent is followed once, without recursion: those who wait for an answer are linked in a list.
 *
 * Where an update brings its clients in another order than Yjs does, regions cannot be found by halving: then
 * all places are UNKNOWN, and less is made small. */
#include "base/arena.h"
#include "codec/utf.h"
#include "doc/merge.h"

#define REGIONS_CAP_LEAST 16
#define NO_REGION SIZE_MAX

typedef enum place {
  PLACE_OPEN = 0, /* not asked yet */
  PLACE_ASKED,    /* the answer is on its way */
  PLACE_UNKNOWN,
  PLACE_LIST,
  PLACE_MAP,
  PLACE_DEAD,
} place;

typedef enum source {
  SOURCE_ROOT,  /* in a root */
  SOURCE_CHILD, /* in the type that |from| is */
  SOURCE_SHARE, /* where |from| is */
} source;

typedef struct region {
  lk_doc_id id;
  uint64_t end;
  lk_doc_id from;
  size_t asker; /* the region that waits for this one */
  uint8_t source;
  uint8_t place;
  bool in_map; /* said so itself */
} region;

typedef struct compact {
  const lk_env *env;
  lk_limits limits;
  lk_update_format format;
  lk_arena scratch; /* values of the walk at hand, texts that were cut */
  lk_delete_set deletes, gone;
  region *regions;
  size_t region_count, region_cap, region_at;
  bool in_order;

  lk_update_writer writer;
  bool has_section; /* its next struct would begin at |section_clock| */
  uint64_t section_client, section_clock;
  bool has_pending; /* what waits for more to join it */
  lk_struct pending;
  bool is_joined; /* its content is |content| */
  lk_buf content;
} compact;

static void compact_init(compact *self, const lk_env *env, lk_update_format format) {
  *self =
      (compact){ .env = env, .limits = lk_limits_default(), .format = format, .in_order = true };
  lk_arena_init(&self->scratch, env->alloc, lk_update_scratch_max(&self->limits));
  lk_delete_set_init(&self->deletes, env->alloc, self->limits.doc_delete_ranges_count);
  lk_delete_set_init(&self->gone, env->alloc, UINT32_MAX);
  lk_update_writer_init(&self->writer, env->alloc, format, self->limits.doc_update_bytes);
  lk_buf_init(&self->content, env->alloc, self->limits.doc_update_bytes);
}

static void compact_deinit(compact *self) {
  lk_buf_deinit(&self->content);
  lk_update_writer_deinit(&self->writer);
  lk_delete_set_deinit(&self->gone);
  lk_delete_set_deinit(&self->deletes);
  lk_free_array(self->env->alloc, self->regions, self->region_cap, sizeof *self->regions);
  lk_arena_deinit(&self->scratch);
}

static bool same_id(lk_doc_id a, lk_doc_id b) { return a.client == b.client && a.clock == b.clock; }

static bool has_origin(const lk_struct *view) { return (view->info & LK_INFO_ORIGIN) != 0; }
static bool has_right(const lk_struct *view) { return (view->info & LK_INFO_RIGHT) != 0; }

/* Whether an item goes on where the clock before it stands. */
static bool goes_on(const lk_struct *view) {
  return has_origin(view) && view->origin.client == view->id.client &&
         view->origin.clock + 1 == view->id.clock;
}

/* ---- the first walk: regions ---- */

static lk_err add_region(compact *self, const region *added) {
  if (self->region_count == self->region_cap) {
    size_t cap;
    if (!lk_grow_cap(self->region_cap, self->region_count + 1, REGIONS_CAP_LEAST,
                     SIZE_MAX / sizeof *self->regions, &cap))
      return LK_ERR_LIMIT;
    region *grown = lk_resize_array(self->env->alloc, self->regions, self->region_cap, cap,
                                    sizeof *grown);
    if (grown == NULL) return LK_ERR_NOMEM;
    self->regions = grown;
    self->region_cap = cap;
  }
  self->regions[self->region_count++] = *added;
  return LK_OK;
}

static region region_of(const lk_struct *view, bool in_map) {
  region made = { .id = view->id,
                  .end = view->id.clock + view->len,
                  .asker = NO_REGION,
                  .source = SOURCE_SHARE,
                  .in_map = in_map };
  if (view->kind == LK_CONTENT_GC) {
    made.place = PLACE_DEAD;
  } else if (has_origin(view)) {
    made.from = view->origin;
  } else if (has_right(view)) {
    made.from = view->right;
  } else if (view->parent_form == LK_PARENT_ITEM) {
    made.source = SOURCE_CHILD;
    made.from = view->parent_id;
  } else {
    made.source = SOURCE_ROOT;
  }
  return made;
}

static lk_err note_struct(compact *self, const lk_update_walk *walk) {
  const lk_struct *view = &walk->view;
  uint64_t end = view->id.clock + view->len;
  bool is_gc = view->kind == LK_CONTENT_GC;
  if (view->kind == LK_CONTENT_SKIP) return LK_OK;
  if (view->kind == LK_CONTENT_DELETED) {
    lk_err err = lk_delete_set_add(&self->gone, view->id.client, view->id.clock, view->len);
    if (err != LK_OK) return err;
  }
  if (self->region_count > 0) {
    region *last = &self->regions[self->region_count - 1];
    bool follows = last->id.client == view->id.client && last->end == view->id.clock;
    if (follows && (is_gc ? last->place == PLACE_DEAD : goes_on(view))) {
      last->end = end;
      last->in_map |= walk->in_map;
      return LK_OK;
    }
    if (last->id.client < view->id.client ||
        (last->id.client == view->id.client && last->end > view->id.clock))
      self->in_order = false;
  }
  region made = region_of(view, walk->in_map);
  return add_region(self, &made);
}

static lk_err first_walk(compact *self, lk_slice update) {
  lk_update_walk walk;
  lk_err err = lk_update_walk_init(&walk, self->format, update, &self->limits, &self->scratch);
  while (err == LK_OK)
    if ((err = lk_update_walk_next(&walk)) == LK_OK) err = note_struct(self, &walk);
  if (err == LK_ERR_END) err = lk_delete_set_read(&self->deletes, &walk.reader, false);
  for (size_t i = 0; i < self->deletes.count && err == LK_OK; i++) {
    const lk_clock_entry *range = &self->deletes.ranges[i];
    err = lk_delete_set_add(&self->gone, range->client, range->clock, range->value);
  }
  if (err == LK_OK) err = lk_delete_set_merge(&self->deletes);
  return err == LK_OK ? lk_delete_set_merge(&self->gone) : err;
}

/* ---- places ---- */

static size_t find_region(const compact *self, lk_doc_id id) {
  size_t low = 0, high = self->region_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const region *at = &self->regions[middle];
    bool is_before = at->id.client != id.client ? at->id.client > id.client : at->end <= id.clock;
    if (is_before) low = middle + 1;
    else high = middle;
  }
  if (low == self->region_count) return NO_REGION;
  const region *found = &self->regions[low];
  return found->id.client == id.client && found->id.clock <= id.clock ? low : NO_REGION;
}

/* What follows for |self| from the place of |from|. */
static place place_from(const region *self, place from) {
  if (from == PLACE_DEAD) return PLACE_DEAD;
  if (self->source != SOURCE_SHARE) return self->in_map ? PLACE_MAP : PLACE_LIST;
  return from == PLACE_UNKNOWN && self->in_map ? PLACE_MAP : from;
}

/* Answers |at| if it can be answered; otherwise returns whom to ask first. */
static size_t answer(compact *self, size_t at) {
  region *asked = &self->regions[at];
  place from = PLACE_UNKNOWN;
  asked->place = PLACE_ASKED;
  if (asked->source == SOURCE_CHILD &&
      lk_delete_set_has(&self->gone, asked->from.client, asked->from.clock)) {
    from = PLACE_DEAD;
  } else if (asked->source != SOURCE_ROOT) {
    size_t other = find_region(self, asked->from);
    if (other != NO_REGION && self->regions[other].place == PLACE_OPEN) return other;
    /* One that waits for itself is no document's. */
    if (other != NO_REGION && self->regions[other].place != PLACE_ASKED)
      from = (place)self->regions[other].place;
  }
  asked->place = (uint8_t)place_from(asked, from);
  return NO_REGION;
}

static void find_places(compact *self) {
  for (size_t i = 0; i < self->region_count; i++) {
    if (!self->in_order) self->regions[i].place = PLACE_UNKNOWN;
    if (self->regions[i].place != PLACE_OPEN) continue;
    for (size_t at = i; at != NO_REGION;) {
      size_t other = answer(self, at);
      if (other != NO_REGION) self->regions[other].asker = at;
      at = other != NO_REGION ? other : self->regions[at].asker;
    }
  }
}

/* ---- writing what is joined ---- */

static bool joins(const lk_struct *left, const lk_struct *right, place where) {
  if (left->kind != right->kind || left->id.client != right->id.client ||
      left->id.clock + left->len != right->id.clock)
    return false;
  if (left->kind == LK_CONTENT_GC) return true;
  if (!goes_on(right) || has_right(left) != has_right(right)) return false;
  if (has_right(left) && !same_id(left->right, right->right)) return false;
  switch (left->kind) {
  case LK_CONTENT_DELETED: return true;
  case LK_CONTENT_STRING:
    return where != PLACE_MAP && left->text.high_last == 0 && right->text.low_first == 0;
  case LK_CONTENT_ANY:
  case LK_CONTENT_JSON: return where == PLACE_LIST;
  default: return false;
  }
}

static lk_slice content_of(const lk_struct *view) {
  return view->kind == LK_CONTENT_STRING ? view->text.text : view->value;
}

static void join(compact *self, const lk_struct *right) {
  lk_struct *left = &self->pending;
  left->len += right->len;
  if (left->kind == LK_CONTENT_GC || left->kind == LK_CONTENT_DELETED) return;
  if (!self->is_joined) {
    lk_buf_truncate(&self->content, 0);
    (void)lk_buf_append(&self->content, content_of(left));
    self->is_joined = true;
  }
  (void)lk_buf_append(&self->content, content_of(right));
  if (left->kind == LK_CONTENT_STRING) left->text.high_last = right->text.high_last;
}

static lk_err write_pending(compact *self) {
  lk_struct *view = &self->pending;
  if (!self->has_pending) return LK_OK;
  self->has_pending = false;
  if (self->is_joined) {
    if (lk_buf_err(&self->content) != LK_OK) return lk_buf_err(&self->content);
    if (view->kind == LK_CONTENT_STRING) view->text.text = lk_buf_slice(&self->content);
    else view->value = lk_buf_slice(&self->content);
  }
  self->is_joined = false;
  bool goes_back = view->id.clock < self->section_clock;
  if (!self->has_section || self->section_client != view->id.client || goes_back) {
    lk_update_write_client(&self->writer, view->id.client, view->id.clock);
  } else if (view->id.clock > self->section_clock) {
    lk_update_put_skip(&self->writer, view->id.clock - self->section_clock);
  }
  lk_update_write_struct(&self->writer, view, 0);
  self->has_section = true;
  self->section_client = view->id.client;
  self->section_clock = view->id.clock + view->len;
  return LK_OK;
}

static lk_err put(compact *self, const lk_struct *view, place where) {
  if (self->has_pending && joins(&self->pending, view, where)) {
    join(self, view);
    return LK_OK;
  }
  lk_err err = write_pending(self);
  self->pending = *view;
  self->has_pending = true;
  return err;
}

/* ---- the second walk: cutting ---- */

static lk_err put_gc(compact *self, const lk_struct *view) {
  lk_struct gc = { .kind = LK_CONTENT_GC, .info = LK_CONTENT_GC, .id = view->id, .len = view->len };
  return put(self, &gc, PLACE_DEAD);
}

static lk_err put_deleted(compact *self, const lk_struct *view, uint64_t len, place where) {
  lk_struct deleted = *view;
  deleted.kind = LK_CONTENT_DELETED;
  deleted.info = (uint8_t)((view->info & ~LK_INFO_CONTENT) | LK_CONTENT_DELETED);
  deleted.len = len;
  return put(self, &deleted, where);
}

/* The first |len| units of |text|. A pair that is cut leaves U+FFFD, as in Yjs. */
static lk_err cut_text_end(compact *self, lk_column_piece *text, uint64_t len) {
  lk_utf_place cut;
  uint64_t units = text->low_first != 0 ? len - 1 : len;
  lk_err err = lk_utf8_find_unit(text->text, units, &cut);
  LK_ASSERT(err == LK_OK);
  lk_slice left = lk_slice_first(text->text, cut.offset), mark = LK_UTF8_REPLACEMENT;
  text->high_last = 0;
  text->text = left;
  if (!cut.inside) return LK_OK;
  LK_COVERED(compact_cuts_a_pair);
  uint8_t *bytes = lk_arena_push_bytes(&self->scratch, left.len + mark.len);
  if (bytes == NULL) return LK_ERR_NOMEM;
  if (left.len > 0) memcpy(bytes, left.ptr, left.len);
  memcpy(bytes + left.len, mark.ptr, mark.len);
  text->text = lk_slice_of(bytes, left.len + mark.len);
  return LK_OK;
}

/* The first |len| of |rest|, which goes on behind it. Its value is cut by looking at what is left behind. */
static lk_err put_live(compact *self, const lk_struct *rest, uint64_t len, place where) {
  lk_struct head = *rest;
  if (len == rest->len) return put(self, &head, where);
  head.len = len;
  if (head.kind == LK_CONTENT_STRING) {
    lk_err err = cut_text_end(self, &head.text, len);
    return err != LK_OK ? err : put(self, &head, where);
  }
  lk_struct tail = *rest;
  lk_struct_cut_front(&tail, len);
  head.value = lk_slice_first(rest->value, rest->value.len - tail.value.len);
  return put(self, &head, where);
}

/* An item that is not in a deleted type, piece by piece. */
static lk_err put_pieces(compact *self, const lk_struct *view, place where) {
  lk_struct rest = *view;
  size_t at = lk_delete_set_find(&self->gone, view->id.client, view->id.clock);
  for (;; at++) {
    const lk_clock_entry *range = at < self->gone.count ? &self->gone.ranges[at] : NULL;
    uint64_t end = rest.id.clock + rest.len, from = end, to = end;
    if (range != NULL && range->client == rest.id.client && range->clock < end) {
      from = lk_max_u64(range->clock, rest.id.clock);
      to = lk_min_u64(range->clock + range->value, end);
    }
    if (from > rest.id.clock) {
      lk_err err = put_live(self, &rest, from - rest.id.clock, where);
      if (err != LK_OK || from == end) return err;
      lk_struct_cut_front(&rest, from - rest.id.clock);
    }
    if (to > from) {
      lk_err err = put_deleted(self, &rest, to - from, where);
      if (err != LK_OK || to == end) return err;
      lk_struct_cut_front(&rest, to - from);
    }
  }
}

/* Structs come in the order in which regions were made of them. */
static place place_of(compact *self, lk_doc_id id) {
  const region *at = &self->regions[self->region_at];
  if (at->id.client != id.client || id.clock < at->id.clock || id.clock >= at->end) {
    self->region_at++;
    LK_ASSERT(self->region_at < self->region_count);
  }
  return (place)self->regions[self->region_at].place;
}

static lk_err second_walk(compact *self, lk_slice update) {
  lk_update_walk walk;
  lk_arena_reset(&self->scratch);
  lk_err err = lk_update_walk_init(&walk, self->format, update, &self->limits, &self->scratch);
  while (err == LK_OK && (err = lk_update_walk_next(&walk)) == LK_OK) {
    lk_struct *view = &walk.view;
    if (view->kind == LK_CONTENT_SKIP) continue; /* made anew where there is still a gap */
    if (walk.in_map)
      view->info |= LK_INFO_SUB; /* documents say so, and it may be all that is known */
    place where = place_of(self, view->id);
    bool is_gc = where == PLACE_DEAD || view->kind == LK_CONTENT_GC;
    err = is_gc ? put_gc(self, view) : put_pieces(self, view, where);
  }
  return err == LK_ERR_END ? write_pending(self) : err;
}

/* ---- the whole ---- */

static lk_err compact_run(compact *self, lk_slice merged, lk_buf *out) {
  lk_err err = first_walk(self, merged);
  if (err != LK_OK) return err;
  find_places(self);
  if ((err = second_walk(self, merged)) != LK_OK) return err;
  if ((err = lk_delete_set_write(&self->deletes, &self->writer)) != LK_OK) return err;
  return lk_update_writer_finish(&self->writer, out);
}

lk_err lk_update_compact(const lk_env *env, lk_update_format format, const lk_slice *updates,
                         size_t count, lk_buf *out) {
  compact self;
  lk_buf merged;
  size_t before = out->len;
  if (!lk_update_format_is_valid(format)) return LK_ERR_INVALID;
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  compact_init(&self, env, format);
  lk_buf_init(&merged, env->alloc, self.limits.doc_update_bytes);
  lk_err err = LK_OK;
  if (count != 1) err = lk_update_merge_into(env, &self.limits, format, updates, count, &merged);
  if (err == LK_OK) err = compact_run(&self, count == 1 ? updates[0] : lk_buf_slice(&merged), out);
  lk_buf_deinit(&merged);
  compact_deinit(&self);
  return lk_update_settle(out, before, err);
}
