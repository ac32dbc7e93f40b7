/* channel/pacer.h -- who is read from, and who has to wait: the buckets of an edge and those whom they hold up.
 *
 * What a message costs is taken from the buckets of its connection, of its subject and of its topic (channel/bucket.h). Where one of
 * them is in debt, the connection is held: it is not read until that is paid. The message itself goes on.
 *
 * Connections and topics have their buckets in their own records. Subjects have them here, in a map from their first
 * connection on; when the last one has gone they are kept until they are full, so that nobody gets new ones by
 * connecting anew. Where there is no memory for a subject's or for a hold, the client goes unheld.
 *
 * No clock: times are microseconds, which never go back; at 0, which means that nobody tells the time, nothing is taken. */
#ifndef LK_CHANNEL_PACER_H
#define LK_CHANNEL_PACER_H

#include "base/heap.h"
#include "base/histogram.h"
#include "base/map.h"
#include "channel/bucket.h"

/* One subject, with its buckets. */
typedef struct lk_spender lk_spender;

/* Of a connection that waits. */
typedef struct lk_hold {
  lk_heap_item timer;
  void *who;
  uint64_t since_us;
} lk_hold;

typedef struct lk_pacer_stats {
  uint64_t by_connection; /* holds that began since this one was in debt, or was so longest */
  uint64_t by_subject;
  uint64_t by_topic;
} lk_pacer_stats;

typedef struct lk_pacer {
  const lk_alloc *alloc;
  lk_rates rates;
  lk_map subjects; /* name -> lk_spender * */
  lk_heap fading;  /* those of them that nobody is of any more, by when they are full */
  lk_heap holds;   /* by their ends */
  lk_pacer_stats stats;
  lk_histogram times; /* of holds that have ended */
} lk_pacer;

/* Allocates nothing. At most |subjects_max| subjects have buckets at a time. */
void lk_pacer_init(lk_pacer *self, const lk_alloc *alloc, const lk_rates *rates,
                   uint32_t subjects_max, const uint64_t hash_seed[2]);

/* All holds have been let go of and all subjects left. Safe on a zeroed struct, and twice. */
void lk_pacer_deinit(lk_pacer *self);

static inline bool lk_pacer_is_on(const lk_pacer *self, uint64_t now_us) {
  return self->rates.burst_ns > 0 && now_us > 0;
}

/* Somebody comes, or goes, who is |subject|. NULL where nothing is counted for it. */
lk_spender *lk_pacer_enter(lk_pacer *self, lk_slice subject, uint64_t now_us);
void lk_pacer_leave(lk_pacer *self, lk_spender *who, uint64_t now_us); /* NULL is allowed */

/* What is taken, and out of what. */
typedef struct lk_pacer_turn {
  lk_allowance *connection;
  lk_spender *subject; /* NULL: none; likewise below */
  lk_allowance *topic;
  lk_allowance_rate cost;
} lk_pacer_turn;

/* Takes it; where |*hold|, of |who|, has to be made or to last longer, it does. */
void lk_pacer_take(lk_pacer *self, const lk_pacer_turn *turn, lk_hold **hold, void *who,
                   uint64_t now_us);

/* For who cannot be made to wait: |cost| is taken out of |who|'s buckets where there is something in each of them. Else nothing is,
 * and there will be in so many microseconds. 0: it was taken, or |who| is NULL, or nobody tells the time. */
uint64_t lk_pacer_admit(const lk_pacer *self, lk_spender *who, const lk_allowance_rate *cost,
                        uint64_t now_us);

/* Somebody whose hold is over, or NULL. */
void *lk_pacer_due(const lk_pacer *self, uint64_t now_us);

/* When lk_pacer_due() has somebody; UINT64_MAX for never. */
uint64_t lk_pacer_deadline(const lk_pacer *self);

/* There was no room to tell it: it is due again a little later. */
void lk_pacer_put_off(lk_pacer *self, lk_hold *hold, uint64_t now_us);

/* Ends it, if there is one. */
void lk_pacer_let_go(lk_pacer *self, lk_hold **hold, uint64_t now_us);

static inline uint32_t lk_pacer_held(const lk_pacer *self) { return self->holds.count; }

#endif
