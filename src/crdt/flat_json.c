/* crdt/flat_json.c -- a state or a delta as JSON, for people and for who has no engine.
 *
 *   {"type":"ormap",
 *    "known":{"alice":[[1,5],[7,9]]},                by actor: first and last number of each range
 *    "items":[{"type":"pncounter","key":"likes",     objects in a map
 *              "items":[{"key":"p","facts":[["alice",1,5]]}]},
 *             {"type":"lww","key":"title",
 *              "facts":[["alice",7,<value>]]}]}
 *
 * A fact is ["alice",5], a run ["alice",5,9], one with a value ["alice",5,<value>]; an element is
 * an item without a type. Members that would be empty are left out. Keys of maps are strings; keys
 * of elements and values are what their types make of them. A gcounter without gaps, each actor
 * known from 1 and nothing taken away, has the short form that predates the catalogue:
 *
 *   {"counts":{"alice":3,"bob":5}}
 *
 * Reading takes members and items in any order and hands everything to the builder, which sorts and
 * joins. An object has to be seen whole before its parts mean anything (the type may stand last),
 * so its members are cut out first, checked but not taken apart, and read one by one. Items are not
 * visited on the way down: their array becomes a job on a list, and the loop that takes jobs from
 * it is all the nesting there is. Text is looked at once for each map that it is in.
 *
 * An unknown member is an error, except beside "counts", where the server has always sent more. */
#include "crdt/flat.h"

#include "codec/json_canonical.h"
#include "codec/json_reader.h"
#include "codec/utf.h"

static bool is_rooted(const lk_crdt_type *type) { return lk_shape_is(type, LK_SHAPE_ROOT); }
static bool is_map(const lk_crdt_type *type) { return lk_shape_is(type, LK_SHAPE_MAP); }

/* ---- writing ---- */

/* A fact is within what is known: where it begins at 1, so does the range. */
static bool is_from_one(const lk_flat *self, uint32_t actor) {
  const lk_flat_range *range = &self->ranges[actor];
  const lk_flat_fact *fact = &self->facts[actor];
  return range->actor == actor && fact->actor == actor && fact->lo == 1 && range->hi == fact->hi;
}

static bool is_plain_counter(const lk_flat *self) {
  if (!is_rooted(self->type) || !lk_shape_has_runs(self->type)) return false;
  if (self->range_count != self->actor_count || self->fact_count != self->actor_count) return false;
  for (uint32_t i = 0; i < self->actor_count; i++) {
    if (!is_from_one(self, i)) return false;
  }
  return true;
}

static void write_counts(const lk_flat *self, lk_json_writer *out) {
  (void)lk_json_write_key(out, LK_LIT("counts"));
  (void)lk_json_begin_object(out);
  for (uint32_t i = 0; i < self->actor_count; i++) {
    (void)lk_json_write_key(out, self->actors[i]);
    (void)lk_json_write_u64(out, self->facts[i].hi);
  }
  (void)lk_json_end_object(out);
}

static void write_known(const lk_flat *self, lk_json_writer *out) {
  if (self->range_count == 0) return;
  (void)lk_json_write_key(out, LK_LIT("known"));
  (void)lk_json_begin_object(out);
  for (uint32_t i = 0; i < self->range_count; i++) {
    const lk_flat_range *range = &self->ranges[i];
    if (i == 0 || range[-1].actor != range->actor) {
      if (i > 0) (void)lk_json_end_array(out);
      (void)lk_json_write_key(out, self->actors[range->actor]);
      (void)lk_json_begin_array(out);
    }
    (void)lk_json_begin_array(out);
    (void)lk_json_write_u64(out, range->lo);
    (void)lk_json_write_u64(out, range->hi);
    (void)lk_json_end_array(out);
  }
  (void)lk_json_end_array(out);
  (void)lk_json_end_object(out);
}

/* A key or a value; |form| is NULL where it is JSON already. */
static lk_err write_bytes(lk_slice bytes, lk_err (*form)(lk_slice bytes, lk_json_writer *out),
                          lk_json_writer *out) {
  return form == NULL ? lk_json_write_raw(out, bytes) : form(bytes, out);
}

static lk_err write_fact(const lk_flat *self, const lk_crdt_type *type, const lk_flat_fact *fact,
                         lk_json_writer *out) {
  lk_err err = LK_OK;
  (void)lk_json_begin_array(out);
  (void)lk_json_write_string(out, self->actors[fact->actor]);
  (void)lk_json_write_u64(out, fact->lo);
  if (lk_shape_has_runs(type)) (void)lk_json_write_u64(out, fact->hi);
  if (lk_shape_has_values(type)) err = write_bytes(fact->value, type->value_to_json, out);
  if (err == LK_OK) err = lk_json_end_array(out);
  return err;
}

/* The facts of |node| from |*fact| on. */
static lk_err write_facts(const lk_flat *self, uint32_t node, uint32_t *fact, lk_json_writer *out) {
  const lk_crdt_type *type = lk_flat_type_at(self, node);
  lk_err err = LK_OK;
  if (*fact == self->fact_count || self->facts[*fact].node != node) return LK_OK;
  (void)lk_json_write_key(out, LK_LIT("facts"));
  (void)lk_json_begin_array(out);
  for (; *fact < self->fact_count && self->facts[*fact].node == node && err == LK_OK; ++*fact) {
    err = write_fact(self, type, &self->facts[*fact], out);
  }
  return err == LK_OK ? lk_json_end_array(out) : err;
}

static lk_err write_name(const lk_flat *self, uint32_t index, lk_json_writer *out) {
  const lk_flat_node *node = &self->nodes[index];
  if (node->type != NULL) {
    (void)lk_json_write_key(out, LK_LIT("type"));
    (void)lk_json_write_string(out, lk_slice_cstr(node->type->name));
  }
  if (index == 0) {
    write_known(self, out);
    return LK_OK;
  }
  (void)lk_json_write_key(out, LK_LIT("key"));
  if (node->type != NULL) return lk_json_write_string(out, node->key);
  return write_bytes(node->key, lk_flat_type_at(self, index)->key_to_json, out);
}

/* Ends the node written last, which is at |depth|, and those around it down to |least|. */
static void end_nodes(uint32_t depth, uint32_t least, lk_json_writer *out) {
  (void)lk_json_end_object(out);
  for (; depth > least; depth--) {
    (void)lk_json_end_array(out);
    (void)lk_json_end_object(out);
  }
}

static lk_err write_nodes(const lk_flat *self, lk_json_writer *out) {
  uint32_t fact = 0, depth = 0;
  for (uint32_t i = 0; i < self->node_count; i++) {
    uint32_t now = self->nodes[i].depth;
    lk_err err;
    if (now > depth) {
      (void)lk_json_write_key(out, LK_LIT("items"));
      (void)lk_json_begin_array(out);
    } else if (i > 0) {
      end_nodes(depth, now, out);
    }
    (void)lk_json_begin_object(out);
    if ((err = write_name(self, i, out)) != LK_OK) return err;
    if ((err = write_facts(self, i, &fact, out)) != LK_OK) return err;
    depth = now;
  }
  end_nodes(depth, 0, out);
  return LK_OK;
}

lk_err lk_flat_encode_json(const lk_flat *self, lk_buf *out) {
  lk_json_writer w;
  lk_err err = lk_buf_err(out);
  size_t start = out->len;
  LK_ASSERT(self->type != NULL); /* a version has no JSON */
  if (err != LK_OK) return err;
  lk_json_writer_init(&w, out);
  if (is_plain_counter(self)) {
    (void)lk_json_begin_object(&w);
    write_counts(self, &w);
    (void)lk_json_end_object(&w);
  } else {
    err = write_nodes(self, &w);
  }
  if (err == LK_OK) return lk_json_writer_finish(&w);
  /* A writer that was left half-way is not to be finished. */
  lk_buf_truncate(out, start);
  return err;
}

/* ---- reading ---- */

/* Members by bits, so that it can be said which ones are allowed. */
enum { MEMBER_TYPE, MEMBER_KEY, MEMBER_KNOWN, MEMBER_FACTS, MEMBER_ITEMS, MEMBER_COUNTS, MEMBERS };
#define BIT(member) (1u << MEMBER_##member)
#define BIT_OTHERS (1u << MEMBERS)

/* One object, its members cut out but not read. */
typedef struct item {
  lk_slice raw[MEMBERS];
  uint32_t seen; /* bits */
} item;

/* An array of items that is still to be read. */
typedef struct job {
  struct job *next;
  lk_slice items;
  uint32_t node; /* below which they are */
  uint32_t depth;
  const lk_crdt_type *type; /* of that node */
} job;

typedef struct json_decoder {
  lk_flat_builder build;
  const lk_crdt_scope *scope;
  lk_limits limits; /* for the text that is around keys and values */
  lk_arena *arena;
  lk_buf bytes; /* of one key or value */
  job *jobs;
  lk_slice actor; /* the one of the fact before */
  uint32_t actor_index;
} json_decoder;

static lk_err begin_reading(json_decoder *self, lk_slice json, lk_json_reader *in) {
  return lk_json_reader_init(in, json, &self->limits, self->arena);
}

/* LK_ERR_PAYLOAD for an event of another kind. */
static lk_err expect(lk_json_reader *in, lk_json_kind kind, lk_json_event *event) {
  lk_err err = lk_json_next(in, event);
  return err == LK_OK && event->kind != kind ? LK_ERR_PAYLOAD : err;
}

/* The next item of an array whose items begin with |kind|: LK_ERR_END where there is none. */
static lk_err next_of(lk_json_reader *in, lk_json_kind kind, lk_json_event *event) {
  lk_err err = lk_json_next(in, event);
  if (err != LK_OK || event->kind == kind) return err;
  return event->kind == LK_JSON_ARRAY_END ? LK_ERR_END : LK_ERR_PAYLOAD;
}

static lk_err expect_number(lk_json_reader *in, uint64_t *out) {
  lk_json_event event;
  lk_err err = expect(in, LK_JSON_NUMBER, &event);
  if (err != LK_OK) return err;
  return lk_json_get_u64(&event, out) == LK_OK ? LK_OK : LK_ERR_PAYLOAD;
}

/* The first and the last number of a range. */
static lk_err expect_range(lk_json_reader *in, uint64_t *lo, uint64_t *hi) {
  lk_err err = expect_number(in, lo);
  if (err == LK_OK) err = expect_number(in, hi);
  return err == LK_OK && (*lo == 0 || *lo > *hi) ? LK_ERR_PAYLOAD : err;
}

static uint32_t member_of(lk_slice name) {
  static const lk_slice names[MEMBERS] = {
    [MEMBER_TYPE] = LK_LIT_INIT("type"),   [MEMBER_KEY] = LK_LIT_INIT("key"),
    [MEMBER_KNOWN] = LK_LIT_INIT("known"), [MEMBER_FACTS] = LK_LIT_INIT("facts"),
    [MEMBER_ITEMS] = LK_LIT_INIT("items"), [MEMBER_COUNTS] = LK_LIT_INIT("counts"),
  };
  uint32_t member = 0;
  while (member < MEMBERS && !lk_slice_equal(names[member], name)) member++;
  return member;
}

/* The members of the object that has just begun. */
static lk_err read_item(lk_json_reader *in, item *out) {
  *out = (item){ 0 };
  for (;;) {
    lk_json_event event;
    lk_slice raw;
    lk_err err = lk_json_next(in, &event);
    if (err != LK_OK || event.kind == LK_JSON_OBJECT_END) return err;
    uint32_t member = member_of(event.text);
    if ((err = lk_json_skip_value(in, &raw)) != LK_OK) return err;
    if (member < MEMBERS && (out->seen >> member & 1) != 0) return LK_ERR_PAYLOAD;
    if (member < MEMBERS) out->raw[member] = raw;
    out->seen |= 1u << member; /* MEMBERS itself stands for all others */
  }
}

static lk_err read_string(json_decoder *self, lk_slice json, lk_slice *out) {
  lk_json_reader in;
  lk_json_event event;
  lk_err err = begin_reading(self, json, &in);
  if (err == LK_OK) err = expect(&in, LK_JSON_STRING, &event);
  if (err == LK_OK) *out = event.text;
  return err;
}

/* The bytes of a key or value, in the arena. |form| is NULL where they are canonical JSON. */
static lk_err read_bytes(json_decoder *self, lk_slice json,
                         lk_err (*form)(lk_slice json, const lk_crdt_scope *scope, lk_buf *out),
                         lk_slice *out) {
  lk_err err;
  lk_buf_truncate(&self->bytes, 0);
  if (form != NULL) err = form(json, self->scope, &self->bytes);
  else err = lk_json_canonicalize(json, self->scope->limits, &self->bytes);
  /* The buffer's limit is that of one key or value. */
  if (err == LK_ERR_LIMIT) return LK_ERR_TOO_BIG;
  return err == LK_OK ? lk_arena_copy(self->arena, lk_buf_slice(&self->bytes), out) : err;
}

/* Facts that follow each other often have the same actor. */
static lk_err use_actor(json_decoder *self, lk_slice actor) {
  if (self->actor.len > 0 && lk_slice_equal(actor, self->actor)) return LK_OK;
  lk_err err = lk_crdt_check_actor(actor);
  if (err != LK_OK) return err;
  self->actor_index = lk_flat_add_actor(&self->build, actor);
  self->actor = actor;
  return self->build.err;
}

/* ["alice",5...], behind its bracket. */
static lk_err read_fact(json_decoder *self, lk_json_reader *in, uint32_t node,
                        const lk_crdt_type *type) {
  lk_json_event event;
  uint64_t lo, hi;
  lk_slice raw, value = LK_SLICE_EMPTY;
  lk_err err = expect(in, LK_JSON_STRING, &event);
  if (err == LK_OK) err = use_actor(self, event.text);
  if (err != LK_OK) return err;
  if (lk_shape_has_runs(type)) {
    err = expect_range(in, &lo, &hi);
  } else {
    err = expect_number(in, &lo);
    if (err == LK_OK && lo == 0) err = LK_ERR_PAYLOAD;
    hi = lo;
  }
  if (err == LK_OK && lk_shape_has_values(type)) {
    err = lk_json_skip_value(in, &raw);
    if (err == LK_ERR_END) err = LK_ERR_PAYLOAD;
    if (err == LK_OK) err = read_bytes(self, raw, type->value_of_json, &value);
    if (err == LK_OK) err = type->check_value(value, self->scope);
  }
  if (err == LK_OK) err = expect(in, LK_JSON_ARRAY_END, &event);
  if (err == LK_OK) lk_flat_add_fact(&self->build, node, self->actor_index, lo, hi, value);
  return err == LK_OK ? self->build.err : err;
}

static lk_err read_facts(json_decoder *self, lk_slice json, uint32_t node,
                         const lk_crdt_type *type) {
  lk_json_reader in;
  lk_json_event event;
  lk_err err = begin_reading(self, json, &in);
  if (err == LK_OK) err = expect(&in, LK_JSON_ARRAY_BEGIN, &event);
  while (err == LK_OK && (err = next_of(&in, LK_JSON_ARRAY_BEGIN, &event)) == LK_OK) {
    err = read_fact(self, &in, node, type);
  }
  return err == LK_ERR_END ? LK_OK : err;
}

/* [[1,5],[7,9]], behind its bracket. */
static lk_err read_ranges(json_decoder *self, lk_json_reader *in) {
  lk_json_event event;
  lk_err err;
  while ((err = next_of(in, LK_JSON_ARRAY_BEGIN, &event)) == LK_OK) {
    uint64_t lo, hi;
    err = expect_range(in, &lo, &hi);
    if (err == LK_OK) err = expect(in, LK_JSON_ARRAY_END, &event);
    if (err != LK_OK) return err;
    lk_flat_add_known(&self->build, self->actor_index, lo, hi);
  }
  return err == LK_ERR_END ? self->build.err : err;
}

/* The ranges of an actor, or its count: 1 to |count| are known and there. */
static lk_err read_known_of(json_decoder *self, lk_json_reader *in, bool counts) {
  lk_json_event event;
  uint64_t count;
  lk_err err;
  if (!counts) {
    err = expect(in, LK_JSON_ARRAY_BEGIN, &event);
    return err == LK_OK ? read_ranges(self, in) : err;
  }
  if ((err = expect_number(in, &count)) != LK_OK || count == 0) return err;
  lk_flat_add_known(&self->build, self->actor_index, 1, count);
  lk_flat_add_fact(&self->build, 0, self->actor_index, 1, count, LK_SLICE_EMPTY);
  return self->build.err;
}

/* {"alice":...}, behind "known" or behind "counts". */
static lk_err read_actors(json_decoder *self, lk_slice json, bool counts) {
  lk_json_reader in;
  lk_json_event event;
  lk_err err = begin_reading(self, json, &in);
  if (err == LK_OK) err = expect(&in, LK_JSON_OBJECT_BEGIN, &event);
  while (err == LK_OK) {
    err = lk_json_next(&in, &event);
    if (err == LK_OK && event.kind == LK_JSON_OBJECT_END) return LK_OK;
    if (err == LK_OK) err = use_actor(self, event.text);
    if (err == LK_OK) err = read_known_of(self, &in, counts);
  }
  return err;
}

static lk_err add_job(json_decoder *self, const item *of, uint32_t node, uint32_t depth,
                      const lk_crdt_type *type) {
  job *added = lk_arena_push(self->arena, sizeof *added);
  if (added == NULL) return LK_ERR_NOMEM;
  *added = (job){ self->jobs, of->raw[MEMBER_ITEMS], node, depth, type };
  self->jobs = added;
  return LK_OK;
}

/* What an object has below its name. |allowed| are its other members. */
static lk_err read_body(json_decoder *self, const item *in, uint32_t allowed, uint32_t node,
                        uint32_t depth, const lk_crdt_type *type) {
  allowed |= is_rooted(type) ? BIT(FACTS) : BIT(ITEMS);
  if ((in->seen & ~allowed) != 0) return LK_ERR_PAYLOAD;
  if ((in->seen & BIT(FACTS)) != 0) return read_facts(self, in->raw[MEMBER_FACTS], node, type);
  if ((in->seen & BIT(ITEMS)) != 0) return add_job(self, in, node, depth, type);
  return LK_OK;
}

static lk_err read_element(json_decoder *self, const item *in, const job *at) {
  lk_slice key;
  if ((in->seen & BIT(KEY)) == 0 || (in->seen & ~(BIT(KEY) | BIT(FACTS))) != 0) {
    return LK_ERR_PAYLOAD;
  }
  lk_err err = read_bytes(self, in->raw[MEMBER_KEY], at->type->key_of_json, &key);
  if (err == LK_OK) err = at->type->check_key(key, self->scope);
  if (err != LK_OK) return err;
  uint32_t node = lk_flat_add_node(&self->build, at->node, NULL, key);
  if (self->build.err != LK_OK || (in->seen & BIT(FACTS)) == 0) return self->build.err;
  return read_facts(self, in->raw[MEMBER_FACTS], node, at->type);
}

static lk_err read_object(json_decoder *self, const item *in, const job *at) {
  const uint32_t needed = BIT(TYPE) | BIT(KEY);
  lk_slice name, key;
  lk_err err;
  if ((in->seen & needed) != needed) return LK_ERR_PAYLOAD;
  if (at->depth + 1 > self->scope->limits->crdt_depth) return LK_ERR_DEPTH;
  if ((err = read_string(self, in->raw[MEMBER_TYPE], &name)) != LK_OK) return err;
  if ((err = read_string(self, in->raw[MEMBER_KEY], &key)) != LK_OK) return err;
  if (key.len > self->scope->limits->crdt_value_bytes) return LK_ERR_TOO_BIG;
  const lk_crdt_type *type = lk_crdt_type_named(name);
  if (type == NULL) return LK_ERR_UNKNOWN_TYPE;
  uint32_t node = lk_flat_add_node(&self->build, at->node, type, key);
  if (self->build.err != LK_OK) return self->build.err;
  return read_body(self, in, needed, node, at->depth + 1, type);
}

static lk_err read_items(json_decoder *self, const job *at) {
  lk_json_reader in;
  lk_json_event event;
  lk_err err = begin_reading(self, at->items, &in);
  if (err == LK_OK) err = expect(&in, LK_JSON_ARRAY_BEGIN, &event);
  while (err == LK_OK && (err = next_of(&in, LK_JSON_OBJECT_BEGIN, &event)) == LK_OK) {
    item one;
    if ((err = read_item(&in, &one)) != LK_OK) return err;
    err = is_map(at->type) ? read_object(self, &one, at) : read_element(self, &one, at);
  }
  return err == LK_ERR_END ? LK_OK : err;
}

static lk_err read_root(json_decoder *self, const item *in, const lk_crdt_type *type) {
  lk_slice name;
  lk_err err;
  if ((in->seen & BIT(COUNTS)) != 0 && is_rooted(type) && lk_shape_has_runs(type)) {
    return read_actors(self, in->raw[MEMBER_COUNTS], true);
  }
  if ((in->seen & BIT(TYPE)) == 0) return LK_ERR_PAYLOAD;
  if ((err = read_string(self, in->raw[MEMBER_TYPE], &name)) != LK_OK) return err;
  const lk_crdt_type *named = lk_crdt_type_named(name);
  if (named != type) return named == NULL ? LK_ERR_UNKNOWN_TYPE : LK_ERR_TYPE;
  if ((in->seen & BIT(KNOWN)) != 0) err = read_actors(self, in->raw[MEMBER_KNOWN], false);
  if (err == LK_OK) err = read_body(self, in, BIT(TYPE) | BIT(KNOWN), 0, 0, type);
  while (err == LK_OK && self->jobs != NULL) {
    job *at = self->jobs;
    self->jobs = at->next;
    err = read_items(self, at);
  }
  return err;
}

static lk_err read_text(json_decoder *self, lk_slice json, const lk_crdt_type *type) {
  lk_json_reader in;
  lk_json_event event;
  item root;
  lk_err err = begin_reading(self, json, &in);
  if (err == LK_OK) err = expect(&in, LK_JSON_OBJECT_BEGIN, &event);
  if (err == LK_OK) err = read_item(&in, &root);
  if (err == LK_OK) err = lk_json_finish(&in);
  return err == LK_OK ? read_root(self, &root, type) : err;
}

/* Around a value there are the brackets of the root, of each level's items, and of a fact: they
 * must not count against the depth that a value may have. */
static lk_limits limits_around(const lk_limits *limits) {
  lk_limits around = *limits;
  around.json_depth = lk_min_u32(limits->json_depth + 2 * limits->crdt_depth + 6,
                                 LK_JSON_DEPTH_MAX);
  return around;
}

lk_err lk_flat_decode_json(lk_flat *out, const lk_crdt_type *type, lk_slice json,
                           const lk_crdt_scope *scope, lk_arena *arena) {
  LK_ASSERT(type != NULL);
  lk_arena_mark mark = lk_arena_get_mark(arena);
  json_decoder self = { .scope = scope, .limits = limits_around(scope->limits), .arena = arena };
  lk_flat_builder_init(&self.build, type, scope, arena);
  lk_buf_init(&self.bytes, scope->alloc, scope->limits->crdt_value_bytes);
  lk_err err = self.build.err;
  if (err == LK_OK) err = read_text(&self, json, type);
  if (err == LK_OK) err = lk_flat_build(&self.build, out);
  lk_buf_deinit(&self.bytes);
  if (err != LK_OK) lk_arena_pop_to(arena, mark);
  return err;
}
