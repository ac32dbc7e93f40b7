/* laniakea/update.h -- Yjs's updates without a document: merge, cut, convert, look into.
 *
 *   lk_update_merge(&env, LK_UPDATE_V1, updates, 3, out);          byte for byte what Yjs makes of them
 *   lk_update_state_vector(&env, LK_UPDATE_V1, lk_buf_bytes(out), sv);
 *   lk_update_diff(&env, LK_UPDATE_V1, lk_buf_bytes(out), theirs, missing);
 *
 * An update is what one replica of a document tells another: structs (what was inserted, by whom
 * and where) and a delete set. It has two formats; V2 is shorter for large ones. Updates may be
 * applied in any order and repeatedly, so a history of them can be kept as it came, merged when it
 * is long, and given out in parts, all without opening a document.
 *
 * All functions take time near linear in their input and memory near its size. They read bytes
 * from strangers; errors of all:
 *
 *   LK_ERR_TRUNCATED, LK_ERR_CORRUPT, LK_ERR_RANGE, LK_ERR_UTF8, LK_ERR_DEPTH, LK_ERR_SYNTAX, LK_ERR_TRAILING:
 *     not an update of that format; |out| is as before
 *   LK_ERR_LIMIT: more structs, clients, ranges or bytes than the limits allow (limits.def, doc_...)
 *   LK_ERR_INVALID: a format that is none
 *   LK_ERR_NOMEM */
#ifndef LANIAKEA_UPDATE_H
#define LANIAKEA_UPDATE_H

#include "laniakea/buf.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum lk_update_format {
  LK_UPDATE_V1 = 1,
  LK_UPDATE_V2 = 2,
} lk_update_format;

/* Appends one update that says what |count| updates say together: the bytes of Yjs's mergeUpdates
 * or mergeUpdatesV2. A single one is copied as it is, as Yjs does, after it was checked. |count| 0
 * gives the empty update. (Of 64 updates and more, where three have a GC and an item at one and the same
 * clock, another one of them may be taken than V8's sort happens to put first.) */
LK_API lk_err lk_update_merge(const lk_env *env, lk_update_format format, const lk_slice *updates,
                              size_t count, lk_buf *out) LK_MUST_USE;

/* The same, made as small as it can be without knowing the document: neighbouring structs that say
 * one thing together become one, and content that the delete set deletes is dropped. What a
 * document that applied it encodes is the same as from the updates themselves, except for texts
 * that were deleted: garbage collection is then already done. Not for documents that keep
 * deleted content for snapshots. */
LK_API lk_err lk_update_compact(const lk_env *env, lk_update_format format, const lk_slice *updates,
                                size_t count, lk_buf *out) LK_MUST_USE;

/* What |update| has beyond the state vector |sv| (an empty slice stands for none): Yjs's
 * diffUpdate. The whole delete set is always part of it. */
LK_API lk_err lk_update_diff(const lk_env *env, lk_update_format format, lk_slice update,
                             lk_slice sv, lk_buf *out) LK_MUST_USE;

/* The state vector of |update|: for each client how far it goes without a gap from 0. */
LK_API lk_err lk_update_state_vector(const lk_env *env, lk_update_format format, lk_slice update,
                                     lk_buf *out) LK_MUST_USE;

/* Writes |update| in the other format, or in the same, in Yjs's own way of writing. */
LK_API lk_err lk_update_convert(const lk_env *env, lk_update_format from, lk_slice update,
                                lk_update_format to, lk_buf *out) LK_MUST_USE;

/* What an update holds. */
typedef struct lk_update_summary {
  size_t size; /* sizeof(lk_update_summary) of the caller's headers, set by the caller */
  uint64_t clients;
  uint64_t structs;        /* GC and Skip among them */
  uint64_t units;          /* clocks that the structs cover, gaps not counted */
  uint64_t deleted_ranges; /* of the delete set */
  uint64_t deleted_units;
  uint64_t tombstones; /* structs that are GC or have deleted content */
  uint64_t skips;
  uint64_t kinds[11];      /* structs by kind of content, as the format numbers them */
  uint64_t kind_bytes[11]; /* bytes of their content */
} lk_update_summary;

/* Checks the whole update; |out| may be NULL. */
LK_API lk_err lk_update_check(const lk_env *env, lk_update_format format, lk_slice update,
                              lk_update_summary *out) LK_MUST_USE;

/* One client of an update or of several of them. */
typedef struct lk_update_client {
  uint64_t client;
  uint64_t from, to; /* clocks of its structs */
  uint64_t structs;
  uint64_t deleted_units; /* of the delete set */
} lk_update_client;

/* The clients in the order in which they stand in the update; |each| may end it by an error of its
 * own, which is returned. Clients of the delete set alone come last. */
LK_API lk_err lk_update_clients(const lk_env *env, lk_update_format format, lk_slice update,
                                lk_err (*each)(void *ctx, const lk_update_client *client),
                                void *ctx) LK_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
