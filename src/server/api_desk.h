/* server/api_desk.h -- calls of the HTTP API between their question and their answer.
 *
 *   connection ──take──> desk ──lk_edge_query──> rooms
 *   connection <─finish─ desk <──hear──────────── ANSWER of the edge
 *
 * A call waits for LK_API_DESK_WAIT_MS. Who has waited for so long, or goes away, is let go of; the question stays, since a
 * change that was asked for may be made at any time, and its record here until the edge has its answer. So what a tag means
 * is always known, and there are no more records than the edge has questions.
 *
 * A list asks all room processes, and is answered when all have. */
#ifndef LK_SERVER_API_DESK_H
#define LK_SERVER_API_DESK_H

#include "base/list.h"
#include "channel/edge.h"
#include "server/api.h"

#define LK_API_DESK_WAIT_MS 10000

typedef struct lk_api_desk {
  const lk_alloc *alloc;
  const lk_limits *limits;
  lk_edge *edge;
  uint32_t houses_count;
  lk_list all;
  lk_list waiting;   /* those that somebody waits for, the earliest deadline first */
  uint64_t asked[3]; /* by lk_api_kind */
  uint64_t refused;  /* answered with 400 or above */
} lk_api_desk;

typedef struct lk_api_pending {
  lk_link all;
  lk_link waits;
  void *asker; /* NULL: nobody waits */
  uint64_t deadline_ms;
  uint32_t asked_count;
  uint32_t heard_count;
  lk_api_call call;
  lk_api_answer
      answers[LK_API_HOUSES_MAX]; /* of a list: copies; of others one, which lives until finish */
} lk_api_pending;

/* Allocates nothing. |edge| must be closed behind it. */
void lk_api_desk_init(lk_api_desk *self, const lk_alloc *alloc, const lk_limits *limits,
                      lk_edge *edge, uint32_t houses_count);
/* Safe on a zeroed struct, and twice. */
void lk_api_desk_deinit(lk_api_desk *self);

/* Takes |request| of |asker|; lk_api_read() says what |why| and |grant| are. Either |*out| waits, or it is NULL and
 * |response| has the response. LK_ERR_NOMEM, LK_ERR_LIMIT of |response|: neither. */
lk_err lk_api_desk_take(lk_api_desk *self, const lk_api_options *options,
                        const lk_http1_request *request, lk_err why, const lk_grant *grant,
                        void *asker, uint64_t now_ms, uint64_t wall_ms, lk_buf *response,
                        lk_api_pending **out) LK_MUST_USE;

/* What an ANSWER of the edge says. Gives the call that has all its answers: finish it before anything else is done with
 * the edge. NULL: none has. */
lk_api_pending *lk_api_desk_hear(lk_api_desk *self, const lk_edge_output *output);

/* The next whose time is over, to be finished; NULL: none. */
lk_api_pending *lk_api_desk_late(lk_api_desk *self, uint64_t now_ms);
uint64_t lk_api_desk_deadline(const lk_api_desk *self);

/* Appends the response, and lets go of the asker. LK_ERR_NOMEM, LK_ERR_LIMIT: |out| is as before, and the asker is let go of all
 * the same. |*keep_alive| says whether the connection may stay; what it was before is what its host wants. */
lk_err lk_api_desk_finish(lk_api_desk *self, lk_api_pending *pending, uint64_t wall_ms,
                          bool *keep_alive, lk_buf *out) LK_MUST_USE;

/* The asker is gone. */
void lk_api_desk_leave(lk_api_desk *self, lk_api_pending *pending);

#endif
