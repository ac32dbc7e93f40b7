/* server/api_list.h -- the topics of several room processes as one list. */
#ifndef LK_SERVER_API_LIST_H
#define LK_SERVER_API_LIST_H

#include "base/base.h"

/* Merges what |count| houses answered to "topics" (room/house_queries.c), each in order of name: appends
 * {"topics": [...], "more": bool, "complete": bool}, with at most |limit| of them; complete where all answers are. LK_ERR_PAYLOAD where an answer is none; LK_ERR_NOMEM, the
 * errors of JSON and of |out|, which is then as before. */
lk_err lk_api_list_merge(const lk_slice *answers, size_t count, uint32_t limit,
                         const lk_limits *limits, lk_arena *arena, lk_buf *out) LK_MUST_USE;

#endif
