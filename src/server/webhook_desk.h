/* server/webhook_desk.h -- where edges ask whether a client may do something with a topic, and whether there is something to do it with.
 *
 *   edge ──QUERY join, read, write, admin──> authorise? ──POST──> the application ──no──> REPLY error {"reason": ...}
 *                                              │ yes, or no hook for that
 *                                              v
 *                                            load? ──> the room: is there anything? ──yes──> REPLY ok "write"
 *                                                           │ no: POST ──> content ──create──> the room ──> REPLY ok
 *
 * The answer's payload is what the client may do at most: "read", "write" or "admin". Nothing is remembered from one question to the
 * next: who was allowed a moment ago is asked for again. Several who wait for one document's content wait for one answer, since
 * it is of the document; each has been authorised by itself.
 *
 * To edges it speaks as a process for rooms does (channel/bus.h): an edge that begins anew, or hears that we do, asks again what was
 * not answered. Everything is bounded: questions that find no place are refused at once, and those that wait too long for a
 * connection are, too. */
#ifndef LK_SERVER_WEBHOOK_DESK_H
#define LK_SERVER_WEBHOOK_DESK_H

#include "base/histogram.h"
#include "base/list.h"
#include "base/map.h"
#include "channel/bus.h"
#include "channel/edge.h"
#include "channel/window.h"
#include "server/webhook_call.h"
#include "server/webhook_options.h"

#define LK_WEBHOOK_DESK_EDGES_MAX 64u
#define LK_WEBHOOK_DESK_JOBS_MAX 8192u

typedef struct lk_webhook_desk_options {
  const lk_alloc *alloc;
  const lk_limits *limits;
  const lk_webhook_options *webhooks;
  const lk_webhook_secrets *secrets;
  lk_edge *edge; /* for asking rooms */
  lk_webhook_caller *caller;
  lk_histogram *latency;
  uint64_t
      tag; /* what the desk's own tags are added to: results and answers with it are for the desk */
  uint64_t generation; /* not 0, and never used before on the same links */
  uint64_t seed;
  uint32_t edges_count;
} lk_webhook_desk_options;

typedef struct lk_webhook_desk_edge {
  lk_bus_reader reader;
  lk_buf out;
  size_t out_off;
  uint64_t greeting;
  uint64_t generation;
  bool is_greeted;
} lk_webhook_desk_edge;

typedef struct lk_webhook_desk_stats {
  uint64_t allowed;
  uint64_t refused;
  uint64_t loaded;
  uint64_t failed; /* hooks that did not answer, or not as they should */
} lk_webhook_desk_stats;

typedef struct lk_webhook_desk {
  lk_webhook_desk_options options;
  lk_webhook_desk_edge *edges;
  lk_window jobs;  /* by their numbers */
  lk_map loading;  /* topic -> the job that loads it */
  lk_list waiting; /* for a connection, in order */
  uint32_t count;
  uint64_t next; /* number of a job */
  uint64_t now_ms;
  uint64_t wall_ms;
  lk_webhook_desk_stats stats;
} lk_webhook_desk;

/* LK_ERR_NOMEM: call deinit. */
lk_err lk_webhook_desk_init(lk_webhook_desk *self,
                            const lk_webhook_desk_options *options) LK_MUST_USE;
/* Safe on a zeroed struct, and twice. */
void lk_webhook_desk_deinit(lk_webhook_desk *self);

/* Takes |bytes| of |edge|, cut anywhere; |boundary| where they begin a frame. */
void lk_webhook_desk_feed(lk_webhook_desk *self, uint32_t edge, lk_slice bytes, bool boundary);
/* What |edge| is to be sent; until the next call. */
lk_slice lk_webhook_desk_output(const lk_webhook_desk *self, uint32_t edge);
void lk_webhook_desk_consume(lk_webhook_desk *self, uint32_t edge, size_t count);

/* What the caller or a room said; |number| is the tag without |options.tag|. */
void lk_webhook_desk_take_result(lk_webhook_desk *self, const lk_webhook_result *result,
                                 uint64_t number);
void lk_webhook_desk_take_answer(lk_webhook_desk *self, const lk_edge_output *answer,
                                 uint64_t number);

/* Begins what waits for a connection, and ends what has waited too long. */
void lk_webhook_desk_step(lk_webhook_desk *self, uint64_t now_ms, uint64_t wall_ms);
uint64_t lk_webhook_desk_deadline(const lk_webhook_desk *self);

static inline bool lk_webhook_desk_is_idle(const lk_webhook_desk *self) { return self->count == 0; }

#endif
