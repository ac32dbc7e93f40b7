/* peer/client.h -- inside an lk_client: a link, a diary, and topics.
 *
 *   host ──opened, closed, receive──> link ──frames──> topics ──┐
 *   host ──stored──> keeping (journal) <──records── topics      │ every input ends in a step:
 *   user ──open, apply──> topics                                │ record what is owed, join, send
 *   host <──poll── link, then what is new                    <──┘
 *
 * include/laniakea/client.h is its manual. Everything that happens is one of the inputs above, and each ends in
 * lk_client_step(), which looks at all topics: there are some dozens at most, since a server lets nobody join more. */
#ifndef LK_PEER_CLIENT_H
#define LK_PEER_CLIENT_H

#include "base/limits.h"
#include "peer/keeping.h"
#include "peer/link.h"
#include "peer/topic.h"

struct lk_client {
  const lk_env *env;
  lk_limits limits;
  lk_peer_link link;
  lk_keeping keeping;
  lk_list topics;
  lk_client_watcher watcher;
  lk_prng names;    /* for replicas */
  lk_arena scratch; /* for one message */
  lk_buf bytes;     /* likewise: what is encoded or decoded */
  lk_buf text;
  lk_buf capabilities;
  uint64_t now_ms; /* as it was told last */
  uint64_t pending_count;
  uint64_t pending_bytes;
  uint64_t pending_count_max;
  uint64_t pending_bytes_max;
  uint64_t acknowledged_ms;
  uint32_t round_trip_ms;
  lk_peer_link_state link_state; /* as topics know it */
  bool wants_link;
  bool is_ready;
  bool has_told_ready;
  bool has_status;
};

/* The same as lk_client_open(), with limits that are copied: for tests and simulations. */
lk_err lk_client_open_limited(const lk_env *env, const lk_limits *limits,
                              const lk_client_options *options, lk_client **out) LK_MUST_USE;

/* What the public ones have in common: |kind| is a number of types.def, 0 for a document, or LK_TOPIC_PLAIN. |hears_presence|: already
 * by its first join. */
lk_err lk_client_open_topic(lk_client *self, lk_slice name, uint32_t kind, lk_topic_keeping keeping,
                            bool hears_presence, uint64_t now_ms, lk_topic **out) LK_MUST_USE;

/* lk_client_opened(), or lk_client_opened_as_text(). */
void lk_client_opened_on(lk_client *self, bool is_text, uint64_t now_ms);

/* Records what is owed, joins, leaves, sends. */
void lk_client_step(lk_client *self);

/* NULL where there is none. */
lk_topic *lk_client_find_topic(const lk_client *self, lk_slice name);

/* LK_ERR_NOMEM; a topic of which the diary knows, or somebody wants to. */
lk_err lk_client_add_topic(lk_client *self, lk_slice name, uint8_t kind,
                           lk_topic **out) LK_MUST_USE;
void lk_client_remove_topic(lk_client *self, lk_topic *topic);

/* As much is pending as may be. */
static inline bool lk_client_is_full(const lk_client *self) {
  return self->pending_count >= self->pending_count_max ||
         self->pending_bytes >= self->pending_bytes_max;
}

/* Adds up anew what waits in all topics. */
void lk_client_count_pending(lk_client *self);

static inline lk_topic *lk_client_topic_of(lk_link *link) {
  return link == NULL ? NULL : LK_CONTAINER(link, lk_topic, link);
}

#endif
