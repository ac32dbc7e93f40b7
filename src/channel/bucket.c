/* channel/bucket.c -- a bucket is the time at which it will be full.
 *
 *          burst
 *     |<---------->|
 *   ──┼────┬───────┼──────────> time        what is in it:  burst - (full_at - now), as time
 *    now   full_at                          empty:          full_at = now + burst
 *                                           in debt:        full_at beyond that; paid at full_at - burst
 *
 * To take something moves full_at on by the time in which the rate gives it; a time that has passed begins at now. There is
 * nothing to refill, so buckets that nobody looks at cost nothing, and one number is all the state. (Networks
 * call it the generic cell rate algorithm.)
 *
 * What is taken is rounded up to a nanosecond, so that many small pieces are never more than the rate. */
#include "channel/bucket.h"

#define SECOND_NS UINT64_C(1000000000)

static uint64_t add_up(uint64_t a, uint64_t b) {
  uint64_t sum;
  return lk_add_u64(a, b, &sum) ? sum : UINT64_MAX;
}

/* The time in which |per_second| gives |count|. A second has less than 2^30 ns: what has less than 2^34 of anything needs
 * no check by division, since this is done for each message. */
static uint64_t time_for(uint64_t count, uint64_t per_second) {
  if (count >> 34 != 0) return UINT64_MAX;
  uint64_t scaled = count * SECOND_NS, whole = scaled / per_second;
  return whole + (whole * per_second != scaled ? 1 : 0);
}

uint64_t lk_bucket_take(lk_bucket *self, uint64_t per_second, uint64_t burst_ns, uint64_t count,
                        uint64_t now_ns) {
  if (per_second == 0 || count == 0) return 0;
  uint64_t latest = add_up(add_up(now_ns, burst_ns), LK_BUCKET_WAIT_NS);
  uint64_t full_at = add_up(lk_max_u64(self->full_at_ns, now_ns), time_for(count, per_second));
  self->full_at_ns = lk_min_u64(full_at, latest);
  return self->full_at_ns > burst_ns ? self->full_at_ns - burst_ns : 0;
}

uint64_t lk_allowance_take(lk_allowance *self, const lk_allowance_rate *rate, uint64_t burst_ns,
                           const lk_allowance_rate *cost, uint64_t now_ns) {
  uint64_t at = lk_bucket_take(&self->messages, rate->messages, burst_ns, cost->messages, now_ns);
  at = lk_max_u64(at, lk_bucket_take(&self->bytes, rate->bytes, burst_ns, cost->bytes, now_ns));
  return lk_max_u64(at, lk_bucket_take(&self->joins, rate->joins, burst_ns, cost->joins, now_ns));
}

uint64_t lk_bucket_wait(const lk_bucket *self, uint64_t burst_ns, uint64_t now_ns) {
  uint64_t empty_ns = add_up(now_ns, burst_ns);
  return self->full_at_ns < empty_ns ? 0 : self->full_at_ns - empty_ns + 1;
}

uint64_t lk_allowance_wait(const lk_allowance *self, uint64_t burst_ns, uint64_t now_ns) {
  uint64_t wait = lk_bucket_wait(&self->messages, burst_ns, now_ns);
  wait = lk_max_u64(wait, lk_bucket_wait(&self->bytes, burst_ns, now_ns));
  return lk_max_u64(wait, lk_bucket_wait(&self->joins, burst_ns, now_ns));
}

uint64_t lk_allowance_full_at(const lk_allowance *self) {
  return lk_max_u64(lk_max_u64(self->messages.full_at_ns, self->bytes.full_at_ns),
                    self->joins.full_at_ns);
}
