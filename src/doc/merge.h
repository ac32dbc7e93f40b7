/* doc/merge.h -- what merge, diff, compact and inspect share: a walk over an update's structs.
 *
 * The reader hands out sections; whoever works on updates without a document sees one row of structs, as
 * Yjs's LazyStructReader does. As there, an item that inherits its parent is not known to be in a
 * map: LK_INFO_SUB is taken out of its |info| (lk_update_walk.in_map tells that it was there).
 *
 * The walk keeps the limits: bytes of the update, sections, structs. */
#ifndef LK_DOC_MERGE_H
#define LK_DOC_MERGE_H

#include "base/buf.h"
#include "doc/delete_set.h"
#include "doc/update.h"

typedef struct lk_update_walk {
  lk_update_reader reader;
  uint64_t sections_left; /* what the limits leave */
  uint64_t structs_left;
  bool begins; /* |view| is the first of its section */
  bool in_map; /* |view| had LK_INFO_SUB */
  lk_struct view;
} lk_update_walk;

/* Errors: the reader's, LK_ERR_LIMIT. |scratch| as there; |limits| are looked at now. */
lk_err lk_update_walk_init(lk_update_walk *self, lk_update_format format, lk_slice update,
                           const lk_limits *limits, lk_arena *scratch) LK_MUST_USE;

/* The next struct to |self->view|; LK_ERR_END after the last one: the delete set can then be read. */
lk_err lk_update_walk_next(lk_update_walk *self) LK_MUST_USE;

/* The bytes that rewritten values of one call may take. */
static inline size_t lk_update_scratch_max(const lk_limits *limits) {
  return lk_min_size(limits->doc_update_bytes, SIZE_MAX / 8) * 4 + (1u << 20);
}

static inline bool lk_update_format_is_valid(lk_update_format format) {
  return format == LK_UPDATE_V1 || format == LK_UPDATE_V2;
}

/* What every public function ends with: on an error |out| is as it was at |before|. */
static inline lk_err lk_update_settle(lk_buf *out, size_t before, lk_err err) {
  if (err != LK_OK) lk_buf_truncate(out, before);
  return err;
}

/* lk_update_merge() into |out|, which may be left with some bytes more on error. */
/* not foreign: its callers are fuzzed */
lk_err lk_update_merge_into(const lk_env *env, const lk_limits *limits, lk_update_format format,
                            const lk_slice *updates, size_t count, lk_buf *out) LK_MUST_USE;

#endif
