/* room/crdt_news.h -- several broadcasts of what changed of an object, as one: for who hears of it less often. */
#ifndef LK_ROOM_CRDT_NEWS_H
#define LK_ROOM_CRDT_NEWS_H

#include "base/base.h"

/* Appends what |payloads|, of "state_updated" and in their order, say together: the last value, of each actor the last count,
 * and the deltas joined. The errors of decoding, and LK_ERR_NOMEM: the caller sends them one by one. */
/* not foreign: broadcasts of a room */
lk_err lk_crdt_news_merge(const lk_env *env, const lk_slice *payloads, size_t count,
                          lk_buf *out) LK_MUST_USE;

#endif
