/* crdt/type.h -- what the engine must know of a type of the catalogue.
 *
 * The engine (crdt/state.h) merges, compares and encodes facts without knowing what they mean. A type
 * says where its facts stand, which keys and values are well formed, what the whole amounts to, and
 * which operations there are; it is one file, crdt/type_<name>.c, and one line in crdt/types.def. */
#ifndef LK_CRDT_TYPE_H
#define LK_CRDT_TYPE_H

#include "base/base.h"
#include "codec/json_writer.h"
#include "laniakea/crdt.h"

/* Where facts stand, and what each is: types.def has the words. */
enum {
  LK_SHAPE_ROOT = 0x10,
  LK_SHAPE_ELEMENTS = 0x20,
  LK_SHAPE_MAP = 0x40,
  LK_SHAPE_DOTS = 0,
  LK_SHAPE_RUNS = 1,
  LK_SHAPE_VALUES = 2,
};

/* The ceiling of the limit crdt_depth: maps in maps. */
#define LK_CRDT_DEPTH_MAX 64

/* The type number of an element, a node that is no object. */
#define LK_CRDT_ELEMENT 0

/* What is needed to look at bytes from outside. */
typedef struct lk_crdt_scope {
  const lk_alloc *alloc;
  const lk_limits *limits;
} lk_crdt_scope;

/* One operation by name. |arguments| is a JSON array that was checked as JSON; see crdt/arguments.h. */
typedef struct lk_crdt_operation {
  const char *name;
  lk_err (*apply)(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments);
} lk_crdt_operation;

typedef struct lk_crdt_type {
  uint8_t number;
  uint8_t shape;
  bool ordered; /* elements have an order of their own: lists */
  const char *name;

  /* ELEMENTS: is it a key that an operation may have made, in its one form? */
  lk_err (*check_key)(lk_slice key, const lk_crdt_scope *scope);
  /* VALUES: likewise for the value of a fact. */
  lk_err (*check_value)(lk_slice value, const lk_crdt_scope *scope);
  /* VALUES with a clock, else NULL: LK_ERR_CLOCK. */
  lk_err (*admit_value)(lk_slice value, uint64_t now_ms, uint64_t drift_ms);

  /* The JSON form of keys and values; NULL where they are JSON already. |json| is one whole value. */
  lk_err (*key_to_json)(lk_slice key, lk_json_writer *out);
  lk_err (*key_of_json)(lk_slice json, const lk_crdt_scope *scope, lk_buf *out);
  lk_err (*value_to_json)(lk_slice value, lk_json_writer *out);
  lk_err (*value_of_json)(lk_slice json, const lk_crdt_scope *scope, lk_buf *out);

  /* Writes what users see of the object at |node|, which is live. */
  lk_err (*write_value)(const lk_crdt *self, uint32_t node, lk_json_writer *out);

  /* ordered: what orders the elements, a slice of |key| or |value|; and whether the fact with |a| decides the
   * place against that with |b| (on a tie the greater actor does). */
  lk_slice (*position_of)(lk_slice key, lk_slice value);
  int (*compare_places)(lk_slice a, lk_slice b);

  const lk_crdt_operation *operations;
  uint32_t operation_count;
} lk_crdt_type;

#define CRDT_TYPE(name, number, shape, operations, value, text)                                    \
  extern const lk_crdt_type lk_crdt_type_##name;
#include "crdt/types.def"
#undef CRDT_TYPE

/* NULL where the catalogue has none. */
const lk_crdt_type *lk_crdt_type_of(uint64_t number);
const lk_crdt_type *lk_crdt_type_named(lk_slice name);

/* Walks the catalogue in the order of its lines; NULL past the end. */
const lk_crdt_type *lk_crdt_type_at(size_t index);

static inline bool lk_shape_is(const lk_crdt_type *type, uint8_t part) {
  return (type->shape & part) == part;
}
static inline bool lk_shape_has_values(const lk_crdt_type *type) {
  return (type->shape & 0x0F) == LK_SHAPE_VALUES;
}
static inline bool lk_shape_has_runs(const lk_crdt_type *type) {
  return (type->shape & 0x0F) == LK_SHAPE_RUNS;
}

/* LK_ERR_ACTOR for an id that is empty, longer than LK_ACTOR_LEN_MAX or not UTF-8. */
#define LK_ACTOR_LEN_MAX 64
lk_err lk_crdt_check_actor(lk_slice actor) LK_MUST_USE;

#endif
