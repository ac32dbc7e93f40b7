/* server/api_rates.c -- two tables of buckets, since a subject may be called like an address. */
#include "server/api_rates.h"

#include "base/mem.h"

#define HALF_LEN 8

void lk_api_rates_init(lk_api_rates *self, const lk_alloc *alloc, const lk_rates *rates,
                       uint32_t clients_max, const uint64_t hash_seed[2]) {
  const lk_rates each = { .burst_ns = rates->burst_ns, .subject = rates->api };
  *self = (lk_api_rates){ 0 };
  lk_pacer_init(&self->subjects, alloc, &each, clients_max, hash_seed);
  lk_pacer_init(&self->addresses, alloc, &each, clients_max, hash_seed);
}

void lk_api_rates_deinit(lk_api_rates *self) {
  lk_pacer_deinit(&self->subjects);
  lk_pacer_deinit(&self->addresses);
  *self = (lk_api_rates){ 0 };
}

bool lk_api_rates_need_address(const lk_api_rates *self, lk_slice subject) {
  const lk_rates *rates = &self->addresses.rates;
  return subject.len == 0 && rates->burst_ns > 0 && !lk_allowance_rate_is_none(&rates->subject);
}

/* The part of |address| that is one client's. */
static lk_slice client_of(const lk_address *address) {
  static const uint8_t of_ipv4[12] = { [10] = 0xFF, [11] = 0xFF };
  bool is_ipv4 = memcmp(address->bytes, of_ipv4, sizeof of_ipv4) == 0;
  return lk_slice_of(address->bytes, is_ipv4 ? sizeof address->bytes : HALF_LEN);
}

uint32_t lk_api_rates_take(lk_api_rates *self, lk_slice subject, const lk_address *address,
                           size_t body_len, uint64_t now_us) {
  const lk_allowance_rate cost = { .messages = 1, .bytes = body_len };
  lk_pacer *pacer = subject.len > 0 ? &self->subjects : &self->addresses;
  if (subject.len == 0 && address == NULL) return 0;
  lk_slice client = subject.len > 0 ? subject : client_of(address);
  lk_spender *who = lk_pacer_enter(pacer, client, now_us);
  uint64_t wait_us = lk_pacer_admit(pacer, who, &cost, now_us);
  lk_pacer_leave(pacer, who, now_us);
  if (wait_us == 0) return 0;
  self->refused++;
  return (uint32_t)((wait_us + 999999) / 1000000);
}
