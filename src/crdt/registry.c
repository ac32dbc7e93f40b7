/* crdt/registry.c -- the catalogue as tables, and operations by name.
 *
 * A number from the wire is an index, and a name is looked for among a handful: types.def has both once.
 * Numbers that the catalogue does not have, now or no longer, are holes in the table. */
#include "crdt/state.h"

#include "codec/json_reader.h"
#include "codec/utf.h"

static const lk_crdt_type *const lines[] = {
#define CRDT_TYPE(name, number, shape, operations, value, text) &lk_crdt_type_##name,
#include "crdt/types.def"
#undef CRDT_TYPE
};
#define LINE_COUNT (sizeof lines / sizeof lines[0])

static const lk_crdt_type *const by_number[] = {
#define CRDT_TYPE(name, number, shape, operations, value, text) [number] = &lk_crdt_type_##name,
#include "crdt/types.def"
#undef CRDT_TYPE
};
#define NUMBER_COUNT (sizeof by_number / sizeof by_number[0])

const lk_crdt_type *lk_crdt_type_of(uint64_t number) {
  return number < NUMBER_COUNT ? by_number[number] : NULL;
}

const lk_crdt_type *lk_crdt_type_at(size_t index) {
  return index < LINE_COUNT ? lines[index] : NULL;
}

const lk_crdt_type *lk_crdt_type_named(lk_slice name) {
  for (size_t i = 0; i < LINE_COUNT; i++) {
    if (lk_slice_equal(lk_slice_cstr(lines[i]->name), name)) return lines[i];
  }
  return NULL;
}

lk_err lk_crdt_kind_of(lk_slice name, lk_crdt_kind *out) {
  const lk_crdt_type *type = lk_crdt_type_named(name);
  if (type == NULL) return LK_ERR_UNKNOWN_TYPE;
  *out = (lk_crdt_kind)type->number;
  return LK_OK;
}

lk_err lk_crdt_check_actor(lk_slice actor) {
  if (actor.len == 0 || actor.len > LK_ACTOR_LEN_MAX) return LK_ERR_ACTOR;
  return lk_utf8_check(actor) == LK_OK ? LK_OK : LK_ERR_ACTOR;
}

static const lk_crdt_operation *find_operation(const lk_crdt_type *type, lk_slice name) {
  for (uint32_t i = 0; i < type->operation_count; i++) {
    const lk_crdt_operation *operation = &type->operations[i];
    if (lk_slice_equal(lk_slice_cstr(operation->name), name)) return operation;
  }
  return NULL;
}

/* Whether they are a JSON text is asked for each operation alike, so that those without arguments cannot
 * forget it. That they are an array, and which one, is found by who reads them. */
lk_err lk_crdt_apply(lk_crdt *self, const lk_crdt_op *op, lk_slice name, lk_slice arguments) {
  const lk_crdt_type *type;
  uint32_t node;
  lk_err err = lk_crdt_resolve(self, op->at, &node, &type);
  if (err != LK_OK) return err;
  const lk_crdt_operation *operation = find_operation(type, name);
  if (operation == NULL) return LK_ERR_UNKNOWN_OP;
  err = lk_json_check(arguments, self->scope.limits, NULL);
  return err == LK_OK ? operation->apply(self, op, arguments) : err;
}
