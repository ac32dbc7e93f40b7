/* server/api_rates.h -- how fast somebody may ask the HTTP API.
 *
 * Who is faster than a rate over a channel is read later. A request has its answer to come, so it is refused with 429 and the time
 * after which to ask again, and nothing is changed. It counts among those of the subject of its token; without one, or where the token is
 * not good, among those of its client's address, of IPv6 the first half, since whoever has one has them all.
 *
 * Buckets are those of channel/bucket.h: what is in them is given at once; a request that is let in takes what it costs, and its
 * body may leave the bucket in debt. One that is refused takes nothing, so that who comes too early again and again is let in all the same.
 * Each edge process has its own. */
#ifndef LK_SERVER_API_RATES_H
#define LK_SERVER_API_RATES_H

#include "channel/pacer.h"
#include "server/network.h"

typedef struct lk_api_rates {
  lk_pacer subjects;
  lk_pacer addresses;
  uint64_t refused;
} lk_api_rates;

/* Allocates nothing. At most |clients_max| subjects and as many addresses have buckets at a time; others go as they like. */
void lk_api_rates_init(lk_api_rates *self, const lk_alloc *alloc, const lk_rates *rates,
                       uint32_t clients_max, const uint64_t hash_seed[2]);

/* Safe on a zeroed struct, and twice. */
void lk_api_rates_deinit(lk_api_rates *self);

/* Whether it would matter who |address| is: it need not be found out for somebody with a |subject|. */
bool lk_api_rates_need_address(const lk_api_rates *self, lk_slice subject);

/* A request with |body_len| bytes, of |subject|, or where that is empty of |address|; NULL: that is not known. 0: it is let in;
 * or so many seconds, from 1, are to pass before the next one. */
uint32_t lk_api_rates_take(lk_api_rates *self, lk_slice subject, const lk_address *address,
                           size_t body_len, uint64_t now_us);

#endif
