/* channel/presence_diffs.h -- several presence_diffs, as one: for who hears of presence less often. */
#ifndef LK_CHANNEL_PRESENCE_DIFFS_H
#define LK_CHANNEL_PRESENCE_DIFFS_H

#include "base/base.h"

/* Appends what |diffs|, in the order in which lk_presence_tick() gave them, say together: whoever is told of that and was told of
 * nothing in between shows the same as who was told of each. Nothing is appended where it comes to nothing. LK_ERR_UNSUPPORTED
 * for what is no such diff, the errors of JSON, of |out| and LK_ERR_NOMEM: the caller sends them one by one.
 * |hash_seed|: nobody can guess it. */
/* not foreign: what lk_presence_tick() made */
lk_err lk_presence_diffs_merge(const lk_env *env, const uint64_t hash_seed[2],
                               const lk_slice *diffs, size_t count, lk_buf *out) LK_MUST_USE;

#endif
