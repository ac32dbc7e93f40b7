/* crdt/type_shared.h -- what several types of the catalogue have in common.
 *
 * Three families, each with what its members would otherwise repeat:
 *
 *   replacing   sets, flags and registers put one new fact in the place of all that they see
 *   votes       facts of one byte, where a single no outweighs every yes: rwset, dwflag
 *   positions   list and text make places between neighbours
 *
 * and the two ends of an operation: the arguments that it came with and the JSON that it shows. */
#ifndef LK_CRDT_TYPE_SHARED_H
#define LK_CRDT_TYPE_SHARED_H

#include "codec/json_reader.h"
#include "crdt/state.h"

/* ---- JSON arguments, keys and values ---- */

/* The canonical form of |json|, in the arena of |change|. LK_ERR_TOO_BIG beyond crdt_value_bytes; else the errors
 * of lk_json_canonicalize(). */
lk_err lk_type_canonicalize(lk_change *change, lk_slice json, lk_slice *out) LK_MUST_USE;

/* The check_key and check_value of types whose keys or values are canonical JSON. */
lk_err lk_type_check_json(lk_slice json, const lk_crdt_scope *scope) LK_MUST_USE;

/* What failed beside the writer fails the writer, too: nothing is written from here on, and whoever looks at the
 * writer alone sees it. LK_OK changes nothing. Returns the writer's error. */
lk_err lk_type_fail_writer(lk_json_writer *out, lk_err err);

/* The JSON form of keys and values that are text: a string. Back again LK_ERR_PAYLOAD for what is no string. */
lk_err lk_type_text_to_json(lk_slice text, lk_json_writer *out);
lk_err lk_type_text_of_json(lk_slice json, const lk_crdt_scope *scope, lk_buf *out) LK_MUST_USE;

/* Reads |json|, an object, into |members|. LK_ERR_PAYLOAD for what is none. Strings with escapes are pushed to |arena|. */
lk_err lk_type_read_members(lk_slice json, lk_arena *arena, lk_json_member *members,
                            size_t count) LK_MUST_USE;
/* A number of at most |max| in |member|, or |*out| as it was where there is no such member; else LK_ERR_PAYLOAD. */
lk_err lk_type_read_number(const lk_json_member *member, uint64_t max, uint64_t *out) LK_MUST_USE;

/* Room for the strings of one value that is read from JSON. */
void lk_type_arena_init(lk_arena *arena, const lk_crdt_scope *scope);

/* ---- replacing: what was seen goes, one new fact comes ---- */

/* At the object itself. */
void lk_type_replace_root(lk_change *change, lk_slice value);

/* At the element |json| of the object of |type|: one whole operation. */
lk_err lk_type_replace_element(lk_crdt *self, const lk_crdt_op *op, const lk_crdt_type *type,
                               lk_slice json, lk_slice value) LK_MUST_USE;

/* Writes the keys of the elements as a JSON array, in the order of their bytes: all, or those that are |shown|. */
lk_err lk_type_write_keys(const lk_crdt *self, uint32_t node, lk_json_writer *out,
                          bool (*shown)(const lk_crdt *self, uint32_t element));

/* ---- votes ---- */

/* The value of a fact that says yes or no: one byte, 1 or 0. */
lk_slice lk_type_vote(bool yes);
lk_err lk_type_check_vote(lk_slice value, const lk_crdt_scope *scope) LK_MUST_USE;
lk_err lk_type_vote_to_json(lk_slice value, lk_json_writer *out);
lk_err lk_type_vote_of_json(lk_slice json, const lk_crdt_scope *scope, lk_buf *out) LK_MUST_USE;

/* Whether there is a yes at |node| and no no. */
bool lk_type_votes_agree(const lk_crdt *self, uint32_t node);

/* ---- counting ---- */

/* LK_ERR_RANGE for 0. */
lk_err lk_type_check_amount(uint64_t amount) LK_MUST_USE;

/* |amount| more dots at the element |key| of the object. */
void lk_type_count(lk_change *change, lk_slice key, uint64_t amount);

/* ---- sorting nodes or facts: a set of those that |compare| tells apart, in its order ---- */

/* |self| is handed to |compare|. Give it back with lk_btree_deinit(). */
void lk_type_set_init(lk_btree *set, const lk_crdt *self, lk_btree_compare compare);

/* Puts |item| in, unless an equal one is there. LK_ERR_NOMEM, LK_ERR_LIMIT. */
lk_err lk_type_set_add(lk_btree *set, uint32_t item) LK_MUST_USE;

/* The children of |node|, those with one name once: as the members of a JSON object, in canonical order, by the UTF-16
 * units of their keys. Of several with one key the first stays, which has the lowest type number.
 * Initialises |set|, also where it fails. */
lk_err lk_type_set_of_names(lk_btree *set, const lk_crdt *self, uint32_t node) LK_MUST_USE;

/* ---- positions ---- */

/* The neighbours of what would be inserted before the element at |index|: their positions, empty at the ends.
 * LK_ERR_RANGE past the end. */
lk_err lk_type_find_gap(const lk_change *change, uint32_t index, lk_slice *left,
                        lk_slice *right) LK_MUST_USE;

/* A new position between two that the next fact of |change|, and no other, may use; in its arena.
 * LK_ERR_OVERFLOW, LK_ERR_LIMIT, LK_ERR_NOMEM. */
lk_err lk_type_make_position(lk_change *change, lk_slice left, lk_slice right,
                             lk_slice *out) LK_MUST_USE;

/* The check_key of types whose keys are positions, and their JSON form: a text of hexadecimal digits. */
lk_err lk_type_check_position(lk_slice key, const lk_crdt_scope *scope) LK_MUST_USE;
lk_err lk_type_hex_to_json(lk_slice bytes, lk_json_writer *out);
lk_err lk_type_hex_of_json(lk_slice json, const lk_crdt_scope *scope, lk_buf *out) LK_MUST_USE;

/* ---- operations by name: takes the arguments apart and calls |change| ---- */

lk_err lk_type_apply_json(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments,
                          lk_err (*change)(lk_crdt *, const lk_crdt_op *, lk_slice)) LK_MUST_USE;
lk_err lk_type_apply_u64(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments,
                         lk_err (*change)(lk_crdt *, const lk_crdt_op *, uint64_t)) LK_MUST_USE;
lk_err lk_type_apply_bool(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments,
                          lk_err (*change)(lk_crdt *, const lk_crdt_op *, bool),
                          bool value) LK_MUST_USE;
lk_err lk_type_apply_indexes(lk_crdt *self, const lk_crdt_op *op, lk_slice arguments,
                             lk_err (*change)(lk_crdt *, const lk_crdt_op *, uint32_t,
                                              uint32_t)) LK_MUST_USE;

/* LK_OK where there are none. */
lk_err lk_type_no_arguments(const lk_crdt *self, lk_slice arguments) LK_MUST_USE;

/* ---- parts of an lk_crdt_type ---- */

#define LK_TYPE_TEXT_KEYS .key_to_json = lk_type_text_to_json, .key_of_json = lk_type_text_of_json
#define LK_TYPE_POSITION_KEYS                                                                      \
  .check_key = lk_type_check_position, .key_to_json = lk_type_hex_to_json,                         \
  .key_of_json = lk_type_hex_of_json
#define LK_TYPE_VOTES                                                                              \
  .check_value = lk_type_check_vote, .value_to_json = lk_type_vote_to_json,                        \
  .value_of_json = lk_type_vote_of_json
#define LK_TYPE_OPERATIONS(table)                                                                  \
  .operations = (table), .operation_count = sizeof(table) / sizeof((table)[0])

#endif
