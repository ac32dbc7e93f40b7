/* peer/gather.h -- updates of one document that leave together.
 *
 * What lk_update_merge() does with any updates, in Yjs's very bytes, this does with those that a backlog has: whole stretches of
 * clocks, each of them once. They are not taken apart but laid behind each other, which is a tenth of the code: a browser
 * loads it. */
#ifndef LK_PEER_GATHER_H
#define LK_PEER_GATHER_H

#include "base/buf.h"
#include "base/limits.h"
#include "laniakea/env.h"

/* Appends one update (V1) that says what |count| of them say. LK_ERR_UNSUPPORTED where two have something of the same client at the same clock;
 * the reader's errors, LK_ERR_LIMIT, LK_ERR_NOMEM: |out| is as before. */
lk_err lk_gather_updates(const lk_alloc *alloc, const lk_limits *limits, const lk_slice *updates,
                         size_t count, lk_buf *out) LK_MUST_USE;

#endif
