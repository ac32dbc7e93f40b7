/* channel/bucket.h -- how fast somebody may go on: token buckets that delay and never refuse.
 *
 * A bucket holds what its rate gives in the time of a burst, and fills while time passes. Whoever reads from a client takes what came
 * out of the client's bucket, at once and whatever is in it; where that was not enough the bucket is in debt, and nothing more
 * is to be read until it is paid. So what has been read is never dropped, and over any time no more than a burst, the rate
 * times that time, and one message is taken.
 *
 * A debt beyond LK_BUCKET_WAIT_NS is forgiven: a client whose heartbeat is not answered for much longer counts its connection
 * as lost, comes back, and sends everything again.
 *
 * Integers only, no clock and no memory of its own. Times are nanoseconds of a clock that never goes back. */
#ifndef LK_CHANNEL_BUCKET_H
#define LK_CHANNEL_BUCKET_H

#include "base/base.h"

#define LK_BUCKET_WAIT_NS UINT64_C(10000000000)

/* Zeroed it is full. */
typedef struct lk_bucket {
  uint64_t full_at_ns; /* when it will be full, if nothing more is taken */
} lk_bucket;

/* Takes |count| out of it. Until the time that is returned there is nothing in it; 0 or past: there is. A rate of 0 has
 * no end. */
uint64_t lk_bucket_take(lk_bucket *self, uint64_t per_second, uint64_t burst_ns, uint64_t count,
                        uint64_t now_ns);

/* How long until something of |burst_ns| is in it; 0: there is. Nothing is taken. */
uint64_t lk_bucket_wait(const lk_bucket *self, uint64_t burst_ns, uint64_t now_ns);

/* ---- what a client takes ---- */

typedef struct lk_allowance {
  lk_bucket messages;
  lk_bucket bytes;
  lk_bucket joins;
} lk_allowance;

/* For each second; 0: no end. */
typedef struct lk_allowance_rate {
  uint64_t messages;
  uint64_t bytes;
  uint64_t joins;
} lk_allowance_rate;

static inline bool lk_allowance_rate_is_none(const lk_allowance_rate *self) {
  return self->messages == 0 && self->bytes == 0 && self->joins == 0;
}

/* Takes what |cost| says out of each; returns the latest of their times. */
uint64_t lk_allowance_take(lk_allowance *self, const lk_allowance_rate *rate, uint64_t burst_ns,
                           const lk_allowance_rate *cost, uint64_t now_ns);

/* How long until there is something in each of them; 0: there is. */
uint64_t lk_allowance_wait(const lk_allowance *self, uint64_t burst_ns, uint64_t now_ns);

/* When all of them are full again: from then on it is as if it were new, and may be forgotten. */
uint64_t lk_allowance_full_at(const lk_allowance *self);

/* What an edge holds its clients to. Zeroed: nothing. */
typedef struct lk_rates {
  uint64_t burst_ns;            /* of all of them; 0: nobody is held to anything */
  lk_allowance_rate connection; /* each */
  lk_allowance_rate subject;    /* all connections of one subject; who has none is not held to it */
  lk_allowance_rate topic;      /* all members of one topic, whatever they call it */
  lk_allowance_rate api;        /* requests of one client of the HTTP API: server/api_rates.h */
} lk_rates;

#endif
