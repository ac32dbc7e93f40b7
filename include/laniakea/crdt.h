/* laniakea/crdt.h -- state that many replicas change at once, apart or together, and that converges.
 *
 *   lk_crdt *tags;
 *   lk_crdt_open(&env, LK_CRDT_ORSET, &tags);
 *   lk_crdt_op op = { .actor = me, .delta = out };
 *   lk_orset_add(tags, &op, text("\"blue\""));       changed here, now; |out| has the delta:
 *   lk_crdt_merge(tags, received, &changed);         send it, and take in what others send
 *   lk_crdt_value(tags, no_path, out);               ["blue","green"]
 *
 * Deltas and states are of one kind: any of them may be merged into any replica of the same type, in any
 * order, any number of times. Replicas that know the same have the same value and the same bytes.
 * A delta that got lost leaves a gap, which lk_crdt_diff_since() fills. Several deltas become one by
 * merging them into an object that is empty otherwise, and encoding that.
 *
 * The types stand in src/crdt/types.def and in docs/reference/crdt.md, with what they do where changes are
 * concurrent. Values, elements and keys are JSON; equal values are those with the same canonical form
 * (RFC 8785), so 1 and 1.0 are one element of a set. */
#ifndef LANIAKEA_CRDT_H
#define LANIAKEA_CRDT_H

#include "laniakea/buf.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lk_crdt lk_crdt;

/* The numbers are those of the encoding; a later version may have more. */
typedef enum lk_crdt_kind {
  LK_CRDT_GCOUNTER = 1,
  LK_CRDT_PNCOUNTER = 2,
  LK_CRDT_BCOUNTER = 3,
  LK_CRDT_GSET = 4,
  LK_CRDT_ORSET = 5,
  LK_CRDT_RWSET = 6,
  LK_CRDT_EWFLAG = 7,
  LK_CRDT_DWFLAG = 8,
  LK_CRDT_LWW = 9,
  LK_CRDT_MVREG = 10,
  LK_CRDT_ORMAP = 11,
  LK_CRDT_LIST = 12,
  LK_CRDT_TEXT = 13,
} lk_crdt_kind;

/* Who changes what. Zeroed fields are those that an operation does not need. No slice that is handed to an
 * operation may lie in |delta|, which moves when it grows. */
typedef struct lk_crdt_op {
  /* The replica that makes the change: 1 to 64 bytes of UTF-8 that name it and no other one ever. One that
   * lost its memory takes a new name: counting on under the old one would make two different changes
   * look like one. A user is not a replica. */
  lk_slice actor;
  /* Which object within an ormap, by lk_crdt_path_append(); empty for the object itself. What is not there
   * yet comes to be by the change. */
  lk_slice at;
  /* Time of day, for lww. */
  uint64_t now_ms;
  /* Where the delta is appended; may be NULL. */
  lk_buf *delta;
} lk_crdt_op;

/* Errors: LK_ERR_UNKNOWN_TYPE, LK_ERR_NOMEM. */
LK_API lk_err lk_crdt_open(const lk_env *env, lk_crdt_kind kind, lk_crdt **out) LK_MUST_USE;
LK_API void lk_crdt_close(lk_crdt *self);
LK_API lk_crdt_kind lk_crdt_get_kind(const lk_crdt *self);

/* "orset" gives LK_CRDT_ORSET. LK_ERR_UNKNOWN_TYPE. */
LK_API lk_err lk_crdt_kind_of(lk_slice name, lk_crdt_kind *out) LK_MUST_USE;

/* Goes one level down: appends to |path| the object of |kind| under |key|. LK_ERR_UTF8, LK_ERR_UNKNOWN_TYPE,
 * LK_ERR_NOMEM, LK_ERR_LIMIT. */
LK_API lk_err lk_crdt_path_append(lk_buf *path, lk_crdt_kind kind, lk_slice key) LK_MUST_USE;

/* ---- changing ----
 *
 * Errors of all: LK_ERR_ACTOR; LK_ERR_TYPE where the object is of another type; LK_ERR_CORRUPT for
 * a path that is none, LK_ERR_DEPTH for one too long; LK_ERR_LIMIT; LK_ERR_TOO_BIG for one value; LK_ERR_OVERFLOW
 * when the replica's numbers or 64 bits are used up; LK_ERR_NOMEM; for JSON those of its reader. Object
 * and delta are then as before. A change that changes nothing (removing what is not there) appends
 * a delta that is empty but valid. */

/* The operation called |name| with |arguments|, a JSON array: "increment", "[5]". The functions below by
 * name, as they come from a wire. Also LK_ERR_UNKNOWN_OP, and LK_ERR_PAYLOAD for wrong arguments. */
LK_API lk_err lk_crdt_apply(lk_crdt *self, const lk_crdt_op *op, lk_slice name,
                            lk_slice arguments) LK_MUST_USE;

/* LK_ERR_RANGE for 0; LK_ERR_OVERFLOW where the counter's sums would not fit 64 bits. */
LK_API lk_err lk_gcounter_add(lk_crdt *self, const lk_crdt_op *op, uint64_t amount) LK_MUST_USE;
LK_API lk_err lk_pncounter_add(lk_crdt *self, const lk_crdt_op *op, uint64_t amount) LK_MUST_USE;
LK_API lk_err lk_pncounter_subtract(lk_crdt *self, const lk_crdt_op *op,
                                    uint64_t amount) LK_MUST_USE;

/* What a replica adds to a bounded counter it may spend itself or transfer; LK_ERR_RIGHTS where it has not
 * that much. LK_ERR_ACTOR also for |to|. */
LK_API lk_err lk_bcounter_add(lk_crdt *self, const lk_crdt_op *op, uint64_t amount) LK_MUST_USE;
LK_API lk_err lk_bcounter_subtract(lk_crdt *self, const lk_crdt_op *op,
                                   uint64_t amount) LK_MUST_USE;
LK_API lk_err lk_bcounter_transfer(lk_crdt *self, const lk_crdt_op *op, lk_slice to,
                                   uint64_t amount) LK_MUST_USE;

LK_API lk_err lk_gset_add(lk_crdt *self, const lk_crdt_op *op, lk_slice json) LK_MUST_USE;
LK_API lk_err lk_orset_add(lk_crdt *self, const lk_crdt_op *op, lk_slice json) LK_MUST_USE;
LK_API lk_err lk_orset_remove(lk_crdt *self, const lk_crdt_op *op, lk_slice json) LK_MUST_USE;
LK_API lk_err lk_orset_clear(lk_crdt *self, const lk_crdt_op *op) LK_MUST_USE;
LK_API lk_err lk_rwset_add(lk_crdt *self, const lk_crdt_op *op, lk_slice json) LK_MUST_USE;
LK_API lk_err lk_rwset_remove(lk_crdt *self, const lk_crdt_op *op, lk_slice json) LK_MUST_USE;

LK_API lk_err lk_ewflag_set(lk_crdt *self, const lk_crdt_op *op, bool enabled) LK_MUST_USE;
LK_API lk_err lk_dwflag_set(lk_crdt *self, const lk_crdt_op *op, bool enabled) LK_MUST_USE;

LK_API lk_err lk_lww_set(lk_crdt *self, const lk_crdt_op *op, lk_slice json) LK_MUST_USE;
LK_API lk_err lk_mvreg_set(lk_crdt *self, const lk_crdt_op *op, lk_slice json) LK_MUST_USE;

/* Removes what this replica sees under |key|, of whatever type, and nothing that others change at
 * the same time. */
LK_API lk_err lk_ormap_remove(lk_crdt *self, const lk_crdt_op *op, lk_slice key) LK_MUST_USE;

/* LK_ERR_RANGE for an index past the end; to insert right at the end is fine. |to| is where the element
 * stands afterwards. */
LK_API lk_err lk_list_insert(lk_crdt *self, const lk_crdt_op *op, uint32_t index,
                             lk_slice json) LK_MUST_USE;
LK_API lk_err lk_list_set(lk_crdt *self, const lk_crdt_op *op, uint32_t index,
                          lk_slice json) LK_MUST_USE;
LK_API lk_err lk_list_delete(lk_crdt *self, const lk_crdt_op *op, uint32_t index) LK_MUST_USE;
LK_API lk_err lk_list_move(lk_crdt *self, const lk_crdt_op *op, uint32_t from,
                           uint32_t to) LK_MUST_USE;

/* Indexes and counts are of code points. LK_ERR_RANGE past the end, LK_ERR_UTF8. */
LK_API lk_err lk_text_insert(lk_crdt *self, const lk_crdt_op *op, uint32_t index,
                             lk_slice text) LK_MUST_USE;
LK_API lk_err lk_text_delete(lk_crdt *self, const lk_crdt_op *op, uint32_t index,
                             uint32_t count) LK_MUST_USE;

/* ---- reading ---- */

/* Appends the value, canonical JSON, of the object at |path|; one that is not there is shown as an empty
 * one of its type. LK_ERR_CORRUPT, LK_ERR_UNKNOWN_TYPE, LK_ERR_TYPE, LK_ERR_DEPTH for the path,
 * LK_ERR_NOMEM, LK_ERR_LIMIT of |out|. */
LK_API lk_err lk_crdt_value(const lk_crdt *self, lk_slice path, lk_buf *out) LK_MUST_USE;

typedef struct lk_crdt_size {
  uint32_t entries; /* live: elements, registers' values, counters' runs */
  uint32_t ranges;  /* of the causal context: one for each actor, and one more for each gap */
  uint32_t actors;
  size_t bytes; /* of memory */
} lk_crdt_size;
LK_API lk_crdt_size lk_crdt_get_size(const lk_crdt *self);

typedef enum lk_crdt_order {
  LK_CRDT_EQUAL,
  LK_CRDT_BEFORE, /* |b| knows all that |a| knows, and more */
  LK_CRDT_AFTER,
  LK_CRDT_CONCURRENT /* each knows something that the other does not; also of two types */
} lk_crdt_order;
LK_API lk_crdt_order lk_crdt_compare(const lk_crdt *a, const lk_crdt *b);

/* ---- exchanging ---- */

/* Takes in a state or a delta, all or nothing. |*changed|, which may be NULL, tells whether anything was new.
 * The bytes may come from anybody. Errors: LK_ERR_TYPE, LK_ERR_UNKNOWN_TYPE, LK_ERR_VERSION, LK_ERR_TRUNCATED, LK_ERR_TRAILING,
 * LK_ERR_NOT_CANONICAL, LK_ERR_CORRUPT, LK_ERR_RANGE, LK_ERR_UTF8, LK_ERR_ACTOR, LK_ERR_DEPTH, LK_ERR_TOO_BIG;
 * LK_ERR_DOT where a replica used one dot for two things; LK_ERR_OVERFLOW, LK_ERR_LIMIT, LK_ERR_NOMEM. */
LK_API lk_err lk_crdt_merge(lk_crdt *self, lk_slice bytes, bool *changed) LK_MUST_USE;
LK_API lk_err lk_crdt_merge_from(lk_crdt *self, const lk_crdt *other, bool *changed) LK_MUST_USE;

/* LK_ERR_CLOCK where a state or delta has a stamp that is more than |drift_ms| ahead of |now_ms|: for who lets
 * operations in, such as a server. Merging never asks. Else the errors of decoding. */
LK_API lk_err lk_crdt_admit(lk_slice bytes, const lk_env *env, uint64_t now_ms,
                            uint64_t drift_ms) LK_MUST_USE;

/* The canonical bytes of the whole state; and a digest of them, the same on every replica that knows the
 * same. */
LK_API lk_err lk_crdt_encode(const lk_crdt *self, lk_buf *out) LK_MUST_USE;
#define LK_CRDT_DIGEST_LEN 16
LK_API lk_err lk_crdt_digest(const lk_crdt *self, uint8_t out[LK_CRDT_DIGEST_LEN]) LK_MUST_USE;

/* The digest of a state or delta that is bytes already: of a state's, the same as above. */
LK_API void lk_crdt_digest_bytes(lk_slice bytes, uint8_t out[LK_CRDT_DIGEST_LEN]);

/* What |self| knows, without what it holds: to be sent to a replica that answers with diff_since. */
LK_API lk_err lk_crdt_version(const lk_crdt *self, lk_buf *out) LK_MUST_USE;

/* A delta with what |self| has and a replica of that version lacks, removals included. */
LK_API lk_err lk_crdt_diff_since(const lk_crdt *self, lk_slice version, lk_buf *out) LK_MUST_USE;

/* The least delta that brings |other| to where merging |self| would: its size follows the difference. */
LK_API lk_err lk_crdt_diff(const lk_crdt *self, const lk_crdt *other, lk_buf *out) LK_MUST_USE;

/* The same as encode and merge in JSON; for gcounter {"counts":{"alice":3,"bob":5}}. */
LK_API lk_err lk_crdt_encode_json(const lk_crdt *self, lk_buf *out) LK_MUST_USE;
LK_API lk_err lk_crdt_merge_json(lk_crdt *self, lk_slice json, bool *changed) LK_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
