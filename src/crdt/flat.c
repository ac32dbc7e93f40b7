/* crdt/flat.c -- a state, a delta or a version as bytes.
 *
 *   form    := kind:u8 format:u8=1 actors:n ranges:n [nodes:n] [facts:n] actor* [root]
 *   actor   := id:bytes [ranges:n] range*       by id; the last one has the ranges that are left
 *   range   := gap:n more:n                     |gap| unknown numbers, then 1 + |more| known ones
 *   root    := fact* | element* | kids          a ROOT_* type | an ELEMENTS_* type | a MAP
 *   kids    := count:n object*
 *   object  := type:u8 key ( facts | count:n element* | kids )     as its own type is
 *   element := key facts
 *   facts   := count:n fact*
 *   key     := [shared:n] rest:bytes            all but the first of its siblings say how much of
 *                                               the key before they share
 *   fact    := [actor:n] number:n [more:n] [value:bytes]
 *   n       := a varuint in its shortest form   bytes := length:n u8*
 *
 * |kind| is 0 for a version, which has no nodes, else the number of the type. What follows from
 * something else is not written: |nodes|, those besides the root, by a ROOT_* type, since there are
 * none; both |nodes| and |facts| by a version; a fact's actor where there is only one; |more| but
 * in runs and |value| but with values; how many facts or elements the root has where it has all of
 * them.
 *
 * The number of a fact is counted from the first known one of its actor. A delta knows little
 * beside its own dots, so there it is 0 or close to it, however long the actor has been at work.
 * One more like of "alice", when she had 300, is 16 bytes:
 *
 *   01 01  01 01 01  05 a l i c e  ac 02 00  00 00
 *   kind   1 actor,  id            300 are   fact: her first
 *   format range,                  unknown,  known one, and
 *          fact                    1 known   no more
 *
 * One form has one encoding, so that states may be compared and digested as bytes. Everything that
 * could be written in two ways has a rule, and breaking it is LK_ERR_NOT_CANONICAL: shortest
 * integers; actors, siblings and facts strictly in order; ranges with a gap between them, and runs
 * of one actor at one node as well; the longest shared part of a key; no empty node but the root;
 * counts that add up.
 *
 * Nothing is believed before it is checked. The counts come first, each item has at least a byte or
 * two, and so counts without bytes behind them are refused before anything is allocated; then all
 * arrays are one push to the arena. Keys that share are written out in full behind it: few bytes
 * could expand to very many that way, so all keys together may have crdt_state_bytes. Maps nest at
 * most crdt_depth deep, on a stack of frames; elements need none.
 *
 * Encoding runs twice through the same code: a pen without paper only counts, then the buffer grows
 * once and the pen writes. So lengths and bytes cannot disagree.
 *
 * Not chosen: columns, with all keys in one place and all numbers in another. They compress better,
 * and cost a small delta, which is nearly all of the traffic, more bytes than they save. Not chosen
 * either: an absolute number for each fact; it would take 3 bytes where 1 does. */
#include "crdt/flat.h"

#include "codec/reader.h"
#include "codec/utf.h"
#include "codec/varint.h"

#define FORMAT 1
#define KIND_VERSION 0
/* The least that a range, a node or a fact weighs in a state: see lk_fact_weight(). */
#define LEAST_WEIGHT 6u

/* The ceiling of crdt_depth in limits.def. */
#define DEPTH_CEILING 64

/* Where facts of |actor| are counted from. */
static uint64_t first_known(const lk_flat *self, uint32_t actor) {
  /* Each actor has a range, so as many ranges as actors are one for each. */
  if (self->range_count == self->actor_count) return self->ranges[actor].lo;
  uint32_t low = 0, high = self->range_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (self->ranges[middle].actor < actor) low = middle + 1;
    else high = middle;
  }
  return self->ranges[low].lo;
}

static bool is_rooted(const lk_crdt_type *type) { return lk_shape_is(type, LK_SHAPE_ROOT); }

/* ---- writing ---- */

typedef struct pen {
  uint8_t *at; /* NULL: only counts */
  size_t len;
} pen;

static inline void put_u8(pen *self, uint8_t byte) {
  if (self->at != NULL) self->at[self->len] = byte;
  self->len++;
}

static inline void put(pen *self, uint64_t value) {
  if (value < 0x80) put_u8(self, (uint8_t)value);
  else if (self->at == NULL) self->len += lk_varuint_len(value);
  else self->len += lk_varuint_store(self->at + self->len, value);
}

static inline void put_bytes(pen *self, lk_slice bytes) {
  put(self, bytes.len);
  if (self->at != NULL && bytes.len > 0) memcpy(self->at + self->len, bytes.ptr, bytes.len);
  self->len += bytes.len;
}

static void put_actors(const lk_flat *self, pen *out) {
  uint32_t at = 0;
  for (uint32_t actor = 0; actor < self->actor_count; actor++) {
    uint64_t last = 0;
    uint32_t end = at;
    while (end < self->range_count && self->ranges[end].actor == actor) end++;
    put_bytes(out, self->actors[actor]);
    if (actor + 1 < self->actor_count) put(out, end - at);
    for (; at < end; at++) {
      put(out, self->ranges[at].lo - last - 1);
      put(out, self->ranges[at].hi - self->ranges[at].lo);
      last = self->ranges[at].hi;
    }
  }
}

static void put_fact(const lk_flat *self, pen *out, const lk_crdt_type *type,
                     const lk_flat_fact *fact) {
  if (self->actor_count > 1) put(out, fact->actor);
  put(out, fact->lo - first_known(self, fact->actor));
  if (lk_shape_has_runs(type)) put(out, fact->hi - fact->lo);
  if (lk_shape_has_values(type)) put_bytes(out, fact->value);
}

/* The sibling before |node|; |node| itself where it is the first. Going up from the node before
 * undoes what went down to it, so that all calls together take linear time. */
static uint32_t sibling_before(const lk_flat *self, uint32_t node) {
  uint32_t depth = self->nodes[node].depth, at = node - 1;
  while (self->nodes[at].depth > depth) at = self->nodes[at].parent;
  return self->nodes[at].depth == depth ? at : node;
}

static size_t shared_len(lk_slice a, lk_slice b) {
  size_t len = 0, most = lk_min_size(a.len, b.len);
  while (len < most && a.ptr[len] == b.ptr[len]) len++;
  return len;
}

static void put_name(const lk_flat *self, pen *out, uint32_t index) {
  const lk_flat_node *node = &self->nodes[index];
  uint32_t before = sibling_before(self, index);
  size_t shared = 0;
  if (node->type != NULL) put_u8(out, node->type->number);
  if (before != index) {
    shared = shared_len(self->nodes[before].key, node->key);
    put(out, shared);
  }
  put_bytes(out, lk_slice_skip(node->key, shared));
}

/* Looks through all that is below: each node is looked at once for each map that it is in. */
static uint32_t count_kids(const lk_flat *self, uint32_t index) {
  uint32_t count = 0, depth = self->nodes[index].depth;
  for (uint32_t i = index + 1; i < self->node_count && self->nodes[i].depth > depth; i++) {
    count += self->nodes[i].parent == index;
  }
  return count;
}

static void put_nodes(const lk_flat *self, pen *out) {
  uint32_t fact = 0;
  for (uint32_t i = 0; i < self->node_count; i++) {
    const lk_crdt_type *type = lk_flat_type_at(self, i);
    if (i > 0) put_name(self, out, i);
    if (self->nodes[i].type == NULL || is_rooted(type)) {
      uint32_t end = fact;
      while (end < self->fact_count && self->facts[end].node == i) end++;
      if (i > 0) put(out, end - fact);
      for (; fact < end; fact++) put_fact(self, out, type, &self->facts[fact]);
    } else if (i > 0 || lk_shape_is(type, LK_SHAPE_MAP)) {
      put(out, count_kids(self, i));
    }
  }
  LK_ASSERT(fact == self->fact_count); /* each stands where its type has facts */
}

static void put_form(const lk_flat *self, pen *out) {
  put_u8(out, self->type == NULL ? KIND_VERSION : self->type->number);
  put_u8(out, FORMAT);
  put(out, self->actor_count);
  put(out, self->range_count);
  if (self->type != NULL) {
    if (!is_rooted(self->type)) put(out, self->node_count - 1);
    put(out, self->fact_count);
  }
  put_actors(self, out);
  put_nodes(self, out);
}

lk_err lk_flat_encode(const lk_flat *self, lk_buf *out) {
  pen counting = { NULL, 0 }, writing;
  lk_err err = lk_buf_err(out);
  if (err != LK_OK) return err;
  put_form(self, &counting);
  if ((err = lk_buf_reserve(out, counting.len)) != LK_OK) {
    lk_buf_truncate(out, out->len); /* as before: the caller has the error, the buffer forgets it */
    return err;
  }
  writing = (pen){ out->ptr + out->len, 0 };
  put_form(self, &writing);
  LK_ASSERT(writing.len == counting.len);
  out->len += writing.len;
  return LK_OK;
}

/* ---- reading ---- */

typedef struct decoder {
  lk_reader in;
  const lk_crdt_scope *scope;
  lk_arena *arena;
  lk_flat *flat;        /* its counts are of what was read so far */
  uint32_t actor_count; /* announced */
  uint32_t range_count;
  uint32_t node_count;
  uint32_t fact_count;
  size_t key_bytes_left;
} decoder;

/* Nearly all integers have one byte. */
static inline lk_err take(decoder *self, uint64_t max, uint64_t *out) {
  lk_reader *in = &self->in;
  if (in->pos < in->bytes.len && in->bytes.ptr[in->pos] < 0x80 && in->bytes.ptr[in->pos] <= max) {
    *out = in->bytes.ptr[in->pos++];
    return LK_OK;
  }
  return lk_varuint_decode_canonical(in, max, out);
}

/* A count; |beyond| is the error where it is more than |max|. */
static inline lk_err take_count(decoder *self, uint32_t max, lk_err beyond, uint32_t *out) {
  uint64_t value;
  lk_err err = take(self, UINT64_MAX, &value);
  if (err != LK_OK) return err;
  if (value > max) return beyond;
  *out = (uint32_t)value;
  return LK_OK;
}

/* A count of what must be there, of |left| that were announced. */
static inline lk_err take_part(decoder *self, uint32_t left, uint32_t *out) {
  lk_err err = take_count(self, left, LK_ERR_NOT_CANONICAL, out);
  return err == LK_OK && *out == 0 ? LK_ERR_NOT_CANONICAL : err;
}

static lk_err read_kind(decoder *self) {
  uint8_t kind, format;
  lk_err err;
  if ((err = lk_reader_u8(&self->in, &kind)) != LK_OK) return err;
  self->flat->type = kind == KIND_VERSION ? NULL : lk_crdt_type_of(kind);
  if (kind != KIND_VERSION && self->flat->type == NULL) return LK_ERR_UNKNOWN_TYPE;
  if ((err = lk_reader_u8(&self->in, &format)) != LK_OK) return err;
  return format == FORMAT ? LK_OK : LK_ERR_VERSION;
}

static lk_err read_counts(decoder *self) {
  const lk_limits *limits = self->scope->limits;
  const lk_crdt_type *type = self->flat->type;
  uint32_t entries = limits->crdt_entries_count;
  lk_err err = take_count(self, limits->crdt_actors_count, LK_ERR_LIMIT, &self->actor_count);
  if (err == LK_OK) err = take_count(self, entries, LK_ERR_LIMIT, &self->range_count);
  if (err == LK_OK && type != NULL && !is_rooted(type)) {
    err = take_count(self, entries, LK_ERR_LIMIT, &self->node_count);
  }
  if (err == LK_OK && type != NULL)
    err = take_count(self, entries, LK_ERR_LIMIT, &self->fact_count);
  if (err != LK_OK) return err;
  if (self->range_count < self->actor_count) return LK_ERR_NOT_CANONICAL;
  if (self->actor_count == 0 && self->range_count > 0) return LK_ERR_NOT_CANONICAL;
  /* An actor is at least its length and a byte, a range two integers, a node the length of its
   * key and a count, a fact its number. */
  uint64_t least = ((uint64_t)self->actor_count + self->range_count + self->node_count) * 2 +
                   self->fact_count;
  if (least > lk_reader_left(&self->in)) return LK_ERR_TRUNCATED;
  /* What takes a few bytes here takes many times as much in memory: not more than a state could hold. */
  uint32_t most = lk_max_u32(lk_max_u32(self->range_count, self->node_count), self->fact_count);
  if (most > limits->crdt_state_bytes / LEAST_WEIGHT) {
    LK_COVERED(flat_announces_more_than_a_state_holds);
    return LK_ERR_LIMIT;
  }
  return LK_OK;
}

/* All arrays in one push; those with 64-bit integers stand first, so that each is aligned. */
static lk_err make_room(decoder *self) {
  lk_flat *flat = self->flat;
  uint64_t nodes = flat->type == NULL ? 0 : (uint64_t)self->node_count + 1;
  uint64_t size = self->fact_count * (uint64_t)sizeof *flat->facts +
                  self->range_count * (uint64_t)sizeof *flat->ranges +
                  self->actor_count * (uint64_t)sizeof *flat->actors + nodes * sizeof *flat->nodes;
  size_t bytes;
  if (!lk_u64_to_size(size, &bytes)) return LK_ERR_NOMEM;
  void *room = lk_arena_push(self->arena, bytes);
  if (room == NULL) return LK_ERR_NOMEM;
  flat->facts = room;
  room = flat->facts + self->fact_count;
  flat->ranges = room;
  room = flat->ranges + self->range_count;
  flat->actors = room;
  room = flat->actors + self->actor_count;
  flat->nodes = room;
  return LK_OK;
}

static lk_err read_actor_id(decoder *self, lk_slice *out) {
  uint64_t len;
  lk_err err = take(self, UINT64_MAX, &len);
  if (err != LK_OK) return err;
  if (len > LK_ACTOR_LEN_MAX) return LK_ERR_ACTOR;
  if ((err = lk_reader_bytes(&self->in, len, out)) != LK_OK) return err;
  return lk_crdt_check_actor(*out);
}

static lk_err read_ranges(decoder *self, uint32_t actor, uint32_t count) {
  lk_flat *flat = self->flat;
  uint64_t last = 0, gap, more;
  for (uint32_t i = 0; i < count; i++) {
    lk_err err;
    if (last == LK_DOT_MAX) return LK_ERR_RANGE;
    if ((err = take(self, LK_DOT_MAX - last - 1, &gap)) != LK_OK) return err;
    if (i > 0 && gap == 0) return LK_ERR_NOT_CANONICAL;
    uint64_t lo = last + 1 + gap;
    if ((err = take(self, LK_DOT_MAX - lo, &more)) != LK_OK) return err;
    last = lo + more;
    flat->ranges[flat->range_count++] = (lk_flat_range){ actor, lo, last };
  }
  return LK_OK;
}

static lk_err read_actors(decoder *self) {
  lk_flat *flat = self->flat;
  for (uint32_t i = 0; i < self->actor_count; i++) {
    uint32_t left = self->range_count - flat->range_count, count = left;
    uint32_t behind = self->actor_count - 1 - i; /* each of them has a range, too */
    lk_err err = read_actor_id(self, &flat->actors[i]);
    if (err != LK_OK) return err;
    if (i > 0 && lk_slice_compare(flat->actors[i - 1], flat->actors[i]) >= 0) {
      return LK_ERR_NOT_CANONICAL;
    }
    if (behind > 0 && (err = take_part(self, left - behind, &count)) != LK_OK) return err;
    if ((err = read_ranges(self, i, count)) != LK_OK) return err;
  }
  flat->actor_count = self->actor_count;
  return LK_OK;
}

static lk_err read_value(decoder *self, const lk_crdt_type *type, lk_slice *out) {
  uint64_t len;
  lk_err err = take(self, UINT64_MAX, &len);
  if (err != LK_OK) return err;
  if (len > self->scope->limits->crdt_value_bytes) return LK_ERR_TOO_BIG;
  if ((err = lk_reader_bytes(&self->in, len, out)) != LK_OK) return err;
  return type->check_value(*out, self->scope);
}

static inline lk_err read_fact(decoder *self, const lk_crdt_type *type, lk_flat_fact *out) {
  uint64_t actor = 0, number, more = 0;
  lk_err err = LK_OK;
  if (self->actor_count == 0) return LK_ERR_DOT;
  if (self->actor_count > 1) err = take(self, self->actor_count - 1, &actor);
  if (err != LK_OK) return err;
  uint64_t first = first_known(self->flat, (uint32_t)actor);
  if ((err = take(self, LK_DOT_MAX - first, &number)) != LK_OK) return err;
  out->actor = (uint32_t)actor;
  out->lo = first + number;
  if (lk_shape_has_runs(type) && (err = take(self, LK_DOT_MAX - out->lo, &more)) != LK_OK) {
    return err;
  }
  out->hi = out->lo + more;
  out->value = LK_SLICE_EMPTY;
  return lk_shape_has_values(type) ? read_value(self, type, &out->value) : LK_OK;
}

/* Of two facts at one node: may |b| stand behind |a|? What overlaps is left to the check of all
 * dots. */
static inline bool is_behind(const lk_crdt_type *type, const lk_flat_fact *a,
                             const lk_flat_fact *b) {
  if (a->actor != b->actor) return a->actor < b->actor;
  return a->lo < b->lo && !(lk_shape_has_runs(type) && a->hi == b->lo - 1);
}

/* |count| was checked against what was announced. */
static lk_err read_facts(decoder *self, uint32_t node, const lk_crdt_type *type, uint32_t count) {
  lk_flat_fact *fact = self->flat->facts + self->flat->fact_count;
  for (uint32_t i = 0; i < count; i++, fact++) {
    lk_err err = read_fact(self, type, fact);
    if (err != LK_OK) return err;
    if (i > 0 && !is_behind(type, fact - 1, fact)) return LK_ERR_NOT_CANONICAL;
    fact->node = node;
  }
  self->flat->fact_count += count;
  return LK_OK;
}

/* Keys that share nothing are slices of the input. */
static lk_err join_key(decoder *self, lk_slice shared, lk_slice rest, lk_slice *out) {
  size_t len = shared.len + rest.len;
  if (len > self->key_bytes_left) return LK_ERR_LIMIT;
  self->key_bytes_left -= len;
  *out = rest;
  if (shared.len == 0) return LK_OK;
  uint8_t *key = lk_arena_push_bytes(self->arena, len);
  if (key == NULL) return LK_ERR_NOMEM;
  memcpy(key, shared.ptr, shared.len);
  if (rest.len > 0) memcpy(key + shared.len, rest.ptr, rest.len);
  *out = lk_slice_of(key, len);
  return LK_OK;
}

/* Reads a key into |node|. |before| is the sibling before it, or NULL. Since what is shared is all
 * that could be, one byte decides about the order. */
static lk_err read_key(decoder *self, const lk_flat_node *before, lk_flat_node *node) {
  uint64_t shared = 0, len;
  lk_slice last = before == NULL ? LK_SLICE_EMPTY : before->key, rest;
  lk_err err = before == NULL ? LK_OK : take(self, last.len, &shared);
  if (err == LK_OK) err = take(self, UINT64_MAX, &len);
  if (err != LK_OK) return err;
  if (len > self->scope->limits->crdt_value_bytes - shared) return LK_ERR_TOO_BIG;
  if ((err = lk_reader_bytes(&self->in, len, &rest)) != LK_OK) return err;
  if (before != NULL) {
    bool inside = shared < last.len; /* |last| goes on behind what is shared */
    if (inside && len > 0 && last.ptr[shared] == rest.ptr[0]) return LK_ERR_NOT_CANONICAL;
    bool later = len > 0 && (!inside || last.ptr[shared] < rest.ptr[0]);
    if (before->type == node->type && !later) return LK_ERR_NOT_CANONICAL;
  }
  return join_key(self, lk_slice_first(last, (size_t)shared), rest, &node->key);
}

static lk_err read_elements(decoder *self, uint32_t parent, uint32_t count) {
  lk_flat *flat = self->flat;
  const lk_crdt_type *type = flat->nodes[parent].type;
  uint32_t depth = flat->nodes[parent].depth + 1, facts;
  for (uint32_t i = 0; i < count; i++) {
    lk_flat_node *node = &flat->nodes[flat->node_count];
    node->parent = parent;
    node->depth = depth;
    node->type = NULL;
    lk_err err = read_key(self, i == 0 ? NULL : node - 1, node);
    if (err == LK_OK) err = type->check_key(node->key, self->scope);
    if (err == LK_OK) err = take_part(self, self->fact_count - flat->fact_count, &facts);
    if (err == LK_OK) err = read_facts(self, flat->node_count, type, facts);
    if (err != LK_OK) return err;
    flat->node_count++;
  }
  return LK_OK;
}

/* A map whose objects are being read. */
typedef struct frame {
  uint32_t node;
  uint32_t last; /* the object read last; |node| at first */
  uint32_t left; /* objects to come */
} frame;

static uint32_t nodes_left(const decoder *self) {
  return self->node_count - (self->flat->node_count - 1); /* the root was not announced */
}

/* The type and the key of an object in |map|. */
static lk_err read_object(decoder *self, frame *map) {
  lk_flat *flat = self->flat;
  lk_flat_node *node = &flat->nodes[flat->node_count];
  const lk_flat_node *before = map->last == map->node ? NULL : &flat->nodes[map->last];
  uint8_t number;
  lk_err err = lk_reader_u8(&self->in, &number);
  if (err != LK_OK) return err;
  *node = (lk_flat_node){ .parent = map->node, .depth = flat->nodes[map->node].depth + 1 };
  if (node->depth > lk_min_u32(self->scope->limits->crdt_depth, DEPTH_CEILING)) {
    return LK_ERR_DEPTH;
  }
  if ((node->type = lk_crdt_type_of(number)) == NULL) return LK_ERR_UNKNOWN_TYPE;
  if (before != NULL && before->type->number > number) return LK_ERR_NOT_CANONICAL;
  if ((err = read_key(self, before, node)) != LK_OK) return err;
  if ((err = lk_utf8_check(node->key)) != LK_OK) return err;
  map->last = flat->node_count++;
  map->left--;
  return LK_OK;
}

static lk_err read_objects(decoder *self) {
  frame maps[DEPTH_CEILING + 1];
  uint32_t depth = 1, count = 0;
  lk_err err = take_count(self, self->node_count, LK_ERR_NOT_CANONICAL, &count);
  maps[0] = (frame){ 0, 0, count };
  while (err == LK_OK && depth > 0) {
    frame *map = &maps[depth - 1];
    if (map->left == 0) {
      depth--;
      continue;
    }
    /* Also where kids of kids used up what was announced. */
    if (nodes_left(self) == 0) return LK_ERR_NOT_CANONICAL;
    if ((err = read_object(self, map)) != LK_OK) return err;
    const lk_crdt_type *type = self->flat->nodes[map->last].type;
    if (is_rooted(type)) {
      err = take_part(self, self->fact_count - self->flat->fact_count, &count);
      if (err == LK_OK) err = read_facts(self, map->last, type, count);
    } else {
      err = take_part(self, nodes_left(self), &count);
      if (err == LK_OK && lk_shape_is(type, LK_SHAPE_MAP)) {
        maps[depth++] = (frame){ map->last, map->last, count };
      } else if (err == LK_OK) {
        err = read_elements(self, map->last, count);
      }
    }
  }
  return err;
}

static lk_err read_nodes(decoder *self) {
  lk_flat *flat = self->flat;
  const lk_crdt_type *type = flat->type;
  lk_err err;
  if (type == NULL) return LK_OK;
  flat->nodes[0] = (lk_flat_node){ .type = type };
  flat->node_count = 1;
  if (is_rooted(type)) err = read_facts(self, 0, type, self->fact_count);
  else if (lk_shape_is(type, LK_SHAPE_MAP)) err = read_objects(self);
  else err = read_elements(self, 0, self->node_count);
  if (err != LK_OK) return err;
  if (nodes_left(self) > 0) return LK_ERR_NOT_CANONICAL;
  return flat->fact_count == self->fact_count ? LK_OK : LK_ERR_NOT_CANONICAL;
}

lk_err lk_flat_decode(lk_flat *out, lk_slice bytes, const lk_crdt_scope *scope, lk_arena *arena) {
  lk_flat flat = { 0 };
  lk_arena_mark mark = lk_arena_get_mark(arena);
  decoder self = { .in = lk_reader_of(bytes),
                   .scope = scope,
                   .arena = arena,
                   .flat = &flat,
                   .key_bytes_left = scope->limits->crdt_state_bytes };
  if (bytes.len > scope->limits->crdt_state_bytes) return LK_ERR_TOO_BIG;
  lk_err err = read_kind(&self);
  if (err == LK_OK) err = read_counts(&self);
  if (err == LK_OK) err = make_room(&self);
  if (err == LK_OK) err = read_actors(&self);
  if (err == LK_OK) err = read_nodes(&self);
  if (err == LK_OK) err = lk_reader_end(&self.in);
  if (err == LK_OK) err = lk_flat_index_dots(&flat, arena);
  if (err == LK_OK) *out = flat;
  else lk_arena_pop_to(arena, mark);
  return err;
}
