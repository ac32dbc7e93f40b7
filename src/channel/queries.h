/* channel/queries.h -- what was asked of rooms by nobody who is in one, until it is answered.
 *
 * An edge asks on behalf of a request of its HTTP API, or to render a page. Like what members ask, a query is kept until
 * there is an answer, and sent again when a room process begins anew. Each one that was asked is answered exactly once: where
 * the room ended under it, or there is no memory for the answer, by LATE. */
#ifndef LK_CHANNEL_QUERIES_H
#define LK_CHANNEL_QUERIES_H

#include "base/base.h"
#include "channel/bus.h"
#include "channel/window.h"

/* What is asked. Slices are copied. */
typedef struct lk_question {
  lk_slice topic; /* empty: the room process |house| itself answers, as in room/house_queries.c */
  uint32_t house;
  lk_slice event;
  lk_slice payload;
  bool is_binary;
  lk_rights rights;
  lk_slice subject;
  uint64_t tag; /* the asker's; comes back with the answer */
} lk_question;

typedef enum lk_answer_status {
  LK_ANSWER_OK,
  LK_ANSWER_ERROR,     /* the payload says which */
  LK_ANSWER_UNMATCHED, /* there are no rooms for such topics */
  LK_ANSWER_LATE,      /* the room ended: what was to be changed may have been or not */
} lk_answer_status;

typedef struct lk_query {
  lk_link link; /* of those that are answered */
  uint64_t request;
  uint64_t tag;
  lk_answer_status status;
  lk_buf answer;
  lk_rights rights;
  bool is_binary; /* the payload, and then the answer */
  bool is_held;   /* it has not been asked yet: see channel/gate.h */
  uint32_t topic_len;
  uint32_t event_len;
  uint32_t payload_len;
  uint32_t subject_len;
  uint8_t bytes[]; /* topic, event, payload, subject */
} lk_query;

typedef struct lk_queries {
  const lk_alloc *alloc;
  uint32_t answer_max; /* bytes */
  lk_list answered;
  lk_query *given; /* out by poll, until the next one */
} lk_queries;

/* Allocates nothing. */
void lk_queries_init(lk_queries *self, const lk_alloc *alloc, uint32_t answer_max);
/* Frees what was answered; each window must have been cleared before. Safe on a zeroed struct, and twice. */
void lk_queries_deinit(lk_queries *self);
/* Forgets what stands in |window|. */
void lk_queries_clear(lk_queries *self, lk_window *window);

/* |request| is above all that were put into |window|. LK_ERR_NOMEM, LK_ERR_LIMIT, LK_ERR_TOO_BIG: nothing was asked. */
lk_err lk_queries_ask(lk_queries *self, lk_window *window, uint64_t request,
                      const lk_question *question, const lk_query **out) LK_MUST_USE;

/* What to tell the house; borrows from |query|. */
lk_bus_message lk_query_message(const lk_query *query, uint64_t settled, bool again);

/* False where |message| answers nothing that stands in |window|. */
bool lk_queries_answer(lk_queries *self, lk_window *window, const lk_bus_message *message);

/* |request| stands in |window|, and is answered without the asker's being told: it is forgotten, and |*tag| is its tag. False
 * where there is none. */
bool lk_queries_settle(lk_queries *self, lk_window *window, uint64_t request, uint64_t *tag);
/* The same where its tag is known. */
bool lk_queries_forget(lk_queries *self, lk_window *window, uint64_t request);

/* |request| is not to be asked yet. */
void lk_queries_hold(lk_window *window, uint64_t request);
/* From now on it is, as |number|, above all that were put into |window|, and by somebody who may do |most|. NULL: there is no such
 * request, or no memory. */
const lk_query *lk_queries_release(lk_window *window, uint64_t request, uint64_t number,
                                   lk_rights most);

/* The next query that is answered, until the next call. NULL: none. */
const lk_query *lk_queries_poll(lk_queries *self);

#endif
