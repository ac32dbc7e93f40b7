/* doc/value_tree.c -- a tree of what can change its place, and of nothing else.
 *
 * What JavaScript does to a value that it reads and writes again:
 *
 *   - Keys that are array indexes, "0" to "4294967294" without zeros in front, come first, by number. All others come
 *     in the order in which they were first set.
 *   - Setting a key again changes its value, not its place.
 *   - readAny sets keys by assignment. "__proto__" has a setter, inherited from Object.prototype: an object or null
 *     becomes the prototype, other values do nothing, and in either case no key appears. But an object with
 *     the prototype null, or a prototype like that, inherits no setter any more, and there
 *     "__proto__" is a key like any other. JSON.parse defines its keys, and knows no exception.
 *     (Bytes as a prototype are let go like other objects, where writeAny would throw: nobody can be told.)
 *   - Numbers, lengths and escapes have one form each: value_source.h says of each part whether it had that one.
 *
 * Values out of order are rare, since whoever wrote them had them in an object before. So the survey, which has
 * to look at every byte anyway, also looks for anything that would change. It remembers some keys on the
 * stack to find those that come twice; where they are too many it says no to be safe, and
 * rewriting then finds out that nothing has changed.
 *
 * Rewriting is done with nodes, one for each container and each member, listed in the order of the bytes:
 *
 *   { "b": [ {"y":1, "x":2} ], "2":3 }       node   0 {    1 "b"  2 [    3 {    4 "y"  5 "x"  6 "2"
 *                                            first  6                    4
 *                                            next   7      -      6      6      5      -      1
 *
 * Of a member, at is where its key begins, and next the member that is to be written after it. Of a container,
 * at is the position behind it, next the node behind its last one, first and count are the members or elements to
 * be written. What is not a container needs no node: an array is written by reading on, an object by jumping from
 * member to member. Whoever has jumped to member i and finds a container there knows that it is node
 * i + 1; whoever leaves a container knows position and node that follow.
 *
 * The members of an object are sorted when it ends: by key, so that those which come twice lie side by side; then,
 * each key once, by the place that it gets. Sorting takes n log n comparisons at most, nothing that was written
 * is moved, and all of it takes time proportional to the value but for that, and 20 bytes for each node, while
 * sorting 32 more for each member of one object.
 *
 * Always: a survey that found no error makes all readings after it free of errors; they are asserted.
 *
 * Not chosen: a node for each value (an array of a million small numbers needs none here); a table of hashes for keys
 * (whoever picks the keys may pick colliding ones). */
#include "doc/value_tree.h"

#include "base/sort.h"
#include "codec/lib0.h"
#include "codec/varint.h"
#include "doc/read.h"
#include "doc/value_json.h"

#define NONE UINT32_MAX

/* Keys that are remembered for all open objects together. */
#define NAMES_MAX 64

/* ---- keys ---- */

/* Above all array indexes. */
#define NO_INDEX ((uint64_t)UINT32_MAX)

/* What array index |key| is, or NO_INDEX. */
static uint64_t index_of(lk_slice key) {
  uint32_t index;
  return lk_read_is_index(key, &index) ? index : NO_INDEX;
}

static bool is_prototype(lk_slice key) { return lk_slice_equal(key, LK_LIT("__proto__")); }

/* ---- walking through a value, with or without a list of nodes ---- */

typedef struct node {
  uint32_t at;
  uint32_t next;
  uint32_t first; /* of an object; NONE: no members */
  uint32_t count;
  bool bare; /* an object that inherits no setter of "__proto__" */
} node;

typedef struct level {
  bool object;
  uint32_t left;        /* any: children that are still to come */
  uint32_t count;       /* those that came */
  uint32_t node;        /* where nodes are listed: the container's, */
  uint32_t last;        /* and that of its latest member */
  uint32_t name_count;  /* where none are: how many keys were remembered before its own, */
  uint64_t index_least; /* and the least index that may come now; above NO_INDEX: none may */
} level;

typedef struct walker {
  lk_value_source *from;
  lk_arena *arena; /* where nodes are listed */
  node *nodes;     /* NULL while they are only counted */
  uint32_t node_count;
  uint32_t depth_max;
  uint32_t depth;
  uint32_t name_count;
  bool canonical;
  lk_slice names[NAMES_MAX];
  level levels[LK_ANY_DEPTH_MAX];
} walker;

/* No initialiser: clearing all the levels would take longer than reading. */
static void walker_init(walker *self, lk_value_source *from, uint32_t depth_max) {
  self->from = from;
  self->arena = NULL;
  self->nodes = NULL;
  self->node_count = self->depth = self->name_count = 0;
  self->depth_max = depth_max;
  self->canonical = true;
}

static bool name_is_known(const walker *self, lk_slice name) {
  for (uint32_t i = self->levels[self->depth - 1].name_count; i < self->name_count; i++) {
    if (lk_slice_equal(self->names[i], name)) return true;
  }
  return false;
}

/* Whether |name| stands where it may, in an object that was canonical up to here. Where names of JSON are
 * canonical they are the same if and only if their spellings are. */
static bool name_is_in_order(walker *self, lk_slice name) {
  level *top = &self->levels[self->depth - 1];
  uint64_t index = index_of(name);
  if (index != NO_INDEX) {
    bool in_order = index >= top->index_least;
    top->index_least = index + 1;
    return in_order;
  }
  top->index_least = NO_INDEX + 1;
  if (!self->from->json && is_prototype(name)) return false;
  if (self->name_count == NAMES_MAX || name_is_known(self, name)) return false;
  self->names[self->name_count++] = name;
  return true;
}

static void link_member(walker *self, uint32_t key_at) {
  level *top = &self->levels[self->depth - 1];
  uint32_t member = self->node_count;
  self->nodes[member] = (node){ .at = key_at, .next = NONE };
  if (top->last == NONE) self->nodes[top->node].first = member;
  else self->nodes[top->last].next = member;
  top->last = member;
}

static lk_err walk_key(walker *self) {
  lk_value_part key;
  size_t key_at = self->from->at.pos;
  lk_err err = lk_value_next_key(self->from, &key);
  if (err != LK_OK) return err;
  if (self->nodes != NULL) link_member(self, (uint32_t)key_at);
  else if (self->canonical) {
    self->canonical = key.as_is && name_is_in_order(self, key.item.as.bytes);
  }
  self->node_count++;
  return LK_OK;
}

/* Goes to the next child of the innermost container, behind its key; false where it has no more. */
static lk_err walk_to_child(walker *self, bool *more) {
  level *top = &self->levels[self->depth - 1];
  if (self->from->json) {
    lk_err err = lk_value_next_comma(self->from, top->object, top->count == 0, more);
    if (err != LK_OK) return err;
  } else {
    *more = top->left > 0;
    if (*more) top->left--;
  }
  if (!*more) return LK_OK;
  top->count++;
  return top->object ? walk_key(self) : LK_OK;
}

static lk_err begin_container(walker *self, const lk_any_item *item) {
  if (self->depth == self->depth_max) return LK_ERR_DEPTH;
  self->levels[self->depth++] = (level){ .object = item->kind == LK_ANY_OBJECT_BEGIN,
                                         .left = item->count,
                                         .node = self->node_count,
                                         .last = NONE,
                                         .name_count = self->name_count };
  if (self->nodes != NULL) self->nodes[self->node_count] = (node){ .first = NONE };
  self->node_count++;
  return LK_OK;
}

static lk_err order_members(walker *self, node *object, uint32_t count);

static lk_err end_container(walker *self) {
  const level *top = &self->levels[--self->depth];
  self->name_count = top->name_count;
  if (self->nodes == NULL) return LK_OK;
  node *container = &self->nodes[top->node];
  container->at = (uint32_t)self->from->at.pos;
  container->next = self->node_count;
  container->count = top->count;
  return top->object && top->count > 0 ? order_members(self, container, top->count) : LK_OK;
}

/* Behind a value that was read, or the beginning of a container: to where the next one begins, or
 * out of all containers. */
static lk_err walk_on(walker *self) {
  while (self->depth > 0) {
    bool more;
    lk_err err = walk_to_child(self, &more);
    if (err == LK_OK && more) return LK_OK;
    if (err == LK_OK) err = end_container(self);
    if (err != LK_OK) return err;
  }
  return LK_OK;
}

/* Through the whole value of which |part| was read already. */
static lk_err walk(walker *self, lk_value_part *part) {
  for (;;) {
    self->canonical = self->canonical && part->as_is;
    lk_err err = lk_value_is_begin(part) ? begin_container(self, &part->item) : LK_OK;
    if (err == LK_OK) err = walk_on(self);
    if (err != LK_OK || self->depth == 0) return err;
    if ((err = lk_value_next(self->from, part)) != LK_OK) return err;
  }
}

/* ---- the order of members ---- */

typedef struct entry {
  lk_slice key;
  uint64_t rank; /* its place among the others: array indexes below, then the order of the bytes */
  uint32_t member;
} entry;

/* The text of a key: valid UTF-8, or nearly so where it has lone halves. */
static lk_err text_of_key(walker *self, const lk_value_part *key, lk_slice *out) {
  lk_slice bytes = key->item.as.bytes;
  *out = bytes;
  if (!self->from->json) return LK_OK;
  size_t len = lk_value_json_text_len(bytes);
  if (len == bytes.len) return LK_OK; /* every escape is longer than what it stands for */
  uint8_t *text = lk_arena_push_bytes(self->arena, len);
  if (text == NULL) return LK_ERR_NOMEM;
  lk_value_json_text(bytes, LK_VALUE_LONE_KEPT, text);
  *out = lk_slice_of(text, len);
  return LK_OK;
}

/* readAny assigns what comes next in |at|, the value of |member|, to "__proto__". False where there is no setter,
 * and the member is one like any other. */
static bool set_prototype(walker *self, node *object, uint32_t member, lk_value_source *at) {
  lk_value_part value;
  if (object->bare) return false;
  lk_err err = lk_value_next(at, &value);
  LK_ASSERT(err == LK_OK);
  if (value.item.kind == LK_ANY_NULL) object->bare = true;
  if (value.item.kind == LK_ANY_OBJECT_BEGIN) object->bare = self->nodes[member + 1].bare;
  return true;
}

/* An entry for each member that is a key of the object; |*count| is how many. */
static lk_err list_members(walker *self, node *object, entry *list, size_t *count) {
  *count = 0;
  for (uint32_t member = object->first; member != NONE; member = self->nodes[member].next) {
    lk_value_source at = *self->from;
    lk_value_part key;
    entry *last = &list[*count];
    at.at.pos = self->nodes[member].at;
    lk_err err = lk_value_next_key(&at, &key);
    LK_ASSERT(err == LK_OK);
    if ((err = text_of_key(self, &key, &last->key)) != LK_OK) return err;
    if (!at.json && is_prototype(last->key) && set_prototype(self, object, member, &at)) continue;
    uint64_t index = index_of(last->key);
    last->rank = index != NO_INDEX ? index : NO_INDEX + member;
    last->member = member;
    ++*count;
  }
  return LK_OK;
}

/* What comes later in the bytes is the later member. */
static bool key_before(const void *ctx, const void *left, const void *right) {
  const entry *a = left, *b = right;
  (void)ctx;
  int order = lk_slice_compare(a->key, b->key);
  return order != 0 ? order < 0 : a->member < b->member;
}

static bool rank_before(const void *ctx, const void *left, const void *right) {
  const entry *a = left, *b = right;
  (void)ctx;
  return a->rank < b->rank;
}

/* Of those that have the same key, side by side and in the order of the bytes: the last one, at the first one's
 * place. */
static size_t drop_repeated(entry *list, size_t count) {
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) {
    if (kept > 0 && lk_slice_equal(list[kept - 1].key, list[i].key)) {
      list[kept - 1].member = list[i].member;
    } else {
      list[kept++] = list[i];
    }
  }
  return kept;
}

static void link_in_order(walker *self, node *object, const entry *list, size_t count) {
  uint32_t *link = &object->first;
  for (size_t i = 0; i < count; i++) {
    *link = list[i].member;
    link = &self->nodes[list[i].member].next;
  }
  *link = NONE;
  object->count = (uint32_t)count;
}

static lk_err order_members(walker *self, node *object, uint32_t count) {
  lk_arena_mark mark = lk_arena_get_mark(self->arena);
  entry *list = lk_arena_push_array(self->arena, count, sizeof *list);
  size_t kept = 0;
  lk_err err = list == NULL ? LK_ERR_NOMEM : LK_OK;
  if (err == LK_OK) err = list_members(self, object, list, &kept);
  if (err == LK_OK) {
    lk_sort(list, kept, sizeof *list, key_before, NULL);
    kept = drop_repeated(list, kept);
    lk_sort(list, kept, sizeof *list, rank_before, NULL);
    link_in_order(self, object, list, kept);
  }
  lk_arena_pop_to(self->arena, mark);
  return err;
}

/* ---- writing ---- */

typedef struct place {
  uint32_t node;
  uint32_t rest; /* array: elements to be written; object: the member that is written next */
  bool object;
  bool first; /* nothing was written in it yet */
} place;

typedef struct emitter {
  lk_value_source from;
  const node *nodes;
  lk_buf *out;
  bool to_json;
  uint32_t upcoming; /* the next node in the bytes behind |from| */
  uint32_t depth;
  place places[LK_ANY_DEPTH_MAX];
} emitter;

/* A string of JSON as lib0 writes it, without the type. */
static void put_text(lk_buf *out, lk_slice spelled) {
  size_t len = lk_value_json_text_len(spelled);
  (void)lk_varuint_encode(out, len);
  uint8_t *room = lk_buf_extend(out, len);
  if (room != NULL) lk_value_json_text(spelled, LK_VALUE_LONE_REPLACED, room);
}

static void put_json(emitter *self, const lk_value_part *part) {
  if (part->as_is) (void)lk_buf_append(self->out, part->raw);
  else if (part->item.kind == LK_ANY_NUMBER) {
    (void)lk_value_json_put_number(self->out, part->item.as.number);
  } else {
    (void)lk_value_json_put_string(self->out, part->item.as.bytes);
  }
}

/* A NaN of 32 bits becomes one of 64, which keeps sign and payload and is quiet. */
static void put_wide_nan(lk_buf *out, uint32_t bits) {
  uint64_t sign = bits >> 31, payload = bits & 0x7FFFFF;
  (void)lk_buf_append_u8(out, LK_VALUE_TAG_F64);
  (void)lk_buf_append_be64(out, sign << 63 | UINT64_C(0x7FF8) << 48 | payload << 29);
}

static void put_any(emitter *self, const lk_value_part *part) {
  const lk_any_item *item = &part->item;
  if (self->from.json && item->kind == LK_ANY_STRING) {
    (void)lk_buf_append_u8(self->out, LK_VALUE_TAG_STRING);
    put_text(self->out, item->as.bytes);
  } else if (!self->from.json && part->as_is) {
    (void)lk_buf_append(self->out, part->raw);
  } else if (item->kind == LK_ANY_NUMBER && item->as.number != item->as.number) {
    put_wide_nan(self->out, lk_load_be32(part->raw.ptr + 1)); /* those of 64 bits are as they are */
  } else {
    (void)lk_any_encode(self->out, item);
  }
}

static void put_begin(emitter *self, bool object, uint32_t count) {
  if (self->to_json) (void)lk_buf_append_u8(self->out, object ? '{' : '[');
  else if (object) (void)lk_any_encode_object_begin(self->out, count);
  else (void)lk_any_encode_array_begin(self->out, count);
}

static void put_end(emitter *self, bool object) {
  if (self->to_json) (void)lk_buf_append_u8(self->out, object ? '}' : ']');
}

static void put_comma(emitter *self, place *top) {
  if (self->to_json && !top->first) (void)lk_buf_append_u8(self->out, ',');
  top->first = false;
}

static void put_key(emitter *self, const lk_value_part *key) {
  if (self->to_json) {
    put_json(self, key);
    (void)lk_buf_append_u8(self->out, ':');
  } else if (self->from.json) {
    put_text(self->out, key->item.as.bytes);
  } else {
    (void)lk_any_encode_key(self->out, key->item.as.bytes);
  }
}

static void go_to_member(emitter *self, place *top) {
  lk_value_part key;
  uint32_t member = top->rest;
  top->rest = self->nodes[member].next;
  self->from.at.pos = self->nodes[member].at;
  self->upcoming = member + 1;
  lk_err err = lk_value_next_key(&self->from, &key);
  LK_ASSERT(err == LK_OK);
  put_key(self, &key);
}

static void go_to_element(emitter *self, place *top, bool first) {
  bool more = true;
  top->rest--;
  lk_err err = self->from.json ? lk_value_next_comma(&self->from, false, first, &more) : LK_OK;
  LK_ASSERT(err == LK_OK && more);
}

/* As walk_on(), writing. */
static void emit_on(emitter *self) {
  while (self->depth > 0) {
    place *top = &self->places[self->depth - 1];
    bool first = top->first;
    if (top->rest != (top->object ? NONE : 0)) {
      put_comma(self, top);
      if (top->object) go_to_member(self, top);
      else go_to_element(self, top, first);
      return;
    }
    self->from.at.pos = self->nodes[top->node].at;
    self->upcoming = self->nodes[top->node].next;
    self->depth--;
    put_end(self, top->object);
  }
}

static void emit_value(emitter *self) {
  lk_value_part part;
  lk_err err = lk_value_next(&self->from, &part);
  LK_ASSERT(err == LK_OK);
  if (lk_value_is_begin(&part)) {
    bool object = part.item.kind == LK_ANY_OBJECT_BEGIN;
    const node *container = &self->nodes[self->upcoming];
    uint32_t rest = object ? container->first : container->count;
    put_begin(self, object, container->count);
    self->places[self->depth++] = (place){ self->upcoming++, rest, object, true };
  } else if (self->to_json) {
    put_json(self, &part);
  } else {
    put_any(self, &part);
  }
  emit_on(self);
}

static lk_err emit(lk_slice bytes, bool json, bool to_json, const node *nodes, lk_buf *out) {
  emitter self; /* no initialiser, as above */
  self.from = lk_value_source_of(bytes, json);
  self.nodes = nodes;
  self.out = out;
  self.to_json = to_json;
  self.upcoming = self.depth = 0;
  do emit_value(&self);
  while (self.depth > 0);
  return lk_buf_err(out);
}

/* ---- the two functions ---- */

/* A function of its own for its room on the stack, which most values do not need. */
static __attribute__((noinline)) lk_err survey_container(lk_value_source *from, lk_value_part *part,
                                                         uint32_t depth_max, lk_value_survey *out) {
  walker self;
  walker_init(&self, from, depth_max);
  lk_err err = walk(&self, part);
  if (err != LK_OK) return err;
  out->node_count = self.node_count;
  out->canonical = self.canonical;
  return LK_OK;
}

lk_err lk_value_survey_of(lk_value_source *from, uint32_t depth_max, lk_value_survey *out) {
  lk_value_part part;
  size_t began = from->at.pos;
  LK_ASSERT(depth_max <= LK_ANY_DEPTH_MAX);
  if (lk_reader_left(&from->at) >= UINT32_MAX) return LK_ERR_TOO_BIG;
  lk_err err = lk_value_next(from, &part);
  if (err != LK_OK) return err;
  out->node_count = 0;
  out->canonical = part.as_is;
  if (lk_value_is_begin(&part)) err = survey_container(from, &part, depth_max, out);
  if (err != LK_OK) return err;
  if (from->json) lk_value_skip_space(from);
  out->canonical = out->canonical && !from->spaced;
  out->len = from->at.pos - began;
  return LK_OK;
}

static lk_err list_nodes(lk_slice bytes, bool json, uint32_t count, lk_arena *arena, node **out) {
  walker self;
  lk_value_part part;
  lk_value_source from = lk_value_source_of(bytes, json);
  *out = NULL;
  if (count == 0) return LK_OK;
  walker_init(&self, &from, LK_ANY_DEPTH_MAX);
  self.arena = arena;
  self.nodes = lk_arena_push_array(arena, count, sizeof *self.nodes);
  if (self.nodes == NULL) return LK_ERR_NOMEM;
  lk_err err = lk_value_next(&from, &part);
  if (err == LK_OK) err = walk(&self, &part);
  LK_ASSERT(err == LK_ERR_NOMEM || (err == LK_OK && self.node_count == count));
  *out = self.nodes;
  return err;
}

lk_err lk_value_rewrite(lk_slice bytes, bool json, bool to_json, const lk_value_survey *survey,
                        lk_arena *scratch, lk_slice *out) {
  lk_arena_mark mark = lk_arena_get_mark(scratch);
  node *nodes;
  lk_buf buf;
  lk_buf_init(&buf, scratch->alloc, SIZE_MAX); /* a number may grow sixfold (1e20), nothing more */
  lk_err err = list_nodes(bytes, json, survey->node_count, scratch, &nodes);
  if (err == LK_OK) err = emit(bytes, json, to_json, nodes, &buf);
  lk_arena_pop_to(scratch, mark);
  if (err == LK_OK && json == to_json && lk_slice_equal(lk_buf_slice(&buf), bytes)) *out = bytes;
  else if (err == LK_OK) err = lk_arena_copy(scratch, lk_buf_slice(&buf), out);
  lk_buf_deinit(&buf);
  return err;
}
