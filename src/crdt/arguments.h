/* crdt/arguments.h -- the arguments of an operation that came by name: a JSON array, taken apart.
 *
 *   lk_arguments in;
 *   lk_err err = lk_arguments_init(&in, self, arguments);
 *   if (err == LK_OK) err = lk_arguments_u32(&in, &index);
 *   if (err == LK_OK) err = lk_arguments_json(&in, &value);
 *   if (err == LK_OK) err = lk_arguments_end(&in);        // LK_ERR_PAYLOAD where there are more
 *   if (err == LK_OK) err = lk_list_insert(self, op, index, value);
 *   lk_arguments_deinit(&in);
 *
 * Slices live until deinit. All: LK_ERR_PAYLOAD where an argument is missing, of another type, or out of
 * the type's range; the errors of the JSON reader. */
#ifndef LK_CRDT_ARGUMENTS_H
#define LK_CRDT_ARGUMENTS_H

#include "codec/json_reader.h"
#include "crdt/state.h"

typedef struct lk_arguments {
  lk_arena arena;
  lk_json_reader reader;
} lk_arguments;

lk_err lk_arguments_init(lk_arguments *self, const lk_crdt *crdt, lk_slice json) LK_MUST_USE;
/* Safe after a failed init, and twice. */
void lk_arguments_deinit(lk_arguments *self);

lk_err lk_arguments_u64(lk_arguments *self, uint64_t *out) LK_MUST_USE;
lk_err lk_arguments_u32(lk_arguments *self, uint32_t *out) LK_MUST_USE;
lk_err lk_arguments_text(lk_arguments *self, lk_slice *out) LK_MUST_USE; /* also actors */
lk_err lk_arguments_json(lk_arguments *self, lk_slice *out) LK_MUST_USE; /* as it stands there */
lk_err lk_arguments_end(lk_arguments *self) LK_MUST_USE;

#endif
