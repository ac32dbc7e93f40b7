/* channel/pacer.c -- who is held up until when, and subjects that are forgotten once that makes no difference.
 *
 *   subject:  enter ──> in the map, used ──last one leaves──> fading, by when it is full ──full──> forgotten
 *                          ^───────────────── enter ─────────────────┘
 *
 * A subject that is full when its last connection goes is forgotten at once, as nearly all are. So the map has those who are
 * connected, and those who went in the last seconds and had spent something: full_at is at most a burst and
 * LK_BUCKET_WAIT_NS ahead. Nobody needs to be woken for them: each call looks at a few.
 *
 * A hold lasts REST_US at least. A client that sends as fast as it may would otherwise be stopped and started for each of its messages;
 * so it is for a handful of them at once, which its bucket has gathered meanwhile. */
#include "channel/pacer.h"

#include "base/list.h"

#define REST_US 10000
#define FORGOTTEN_AT_ONCE 4

struct lk_spender {
  lk_heap_item timer; /* in |fading| exactly while there are no users */
  lk_allowance allowance;
  uint32_t users;
  uint32_t name_len;
  uint8_t name[];
};

void lk_pacer_init(lk_pacer *self, const lk_alloc *alloc, const lk_rates *rates,
                   uint32_t subjects_max, const uint64_t hash_seed[2]) {
  *self = (lk_pacer){ .alloc = alloc, .rates = *rates };
  lk_map_init(&self->subjects, alloc, sizeof(lk_spender *), subjects_max, hash_seed);
  lk_heap_init(&self->fading, alloc, UINT32_MAX / 2);
  lk_heap_init(&self->holds, alloc, UINT32_MAX / 2);
}

/* ---- subjects ---- */

static void forget(lk_pacer *self, lk_spender *who) {
  if (who->timer.place != LK_HEAP_OUT) lk_heap_remove(&self->fading, &who->timer);
  (void)lk_map_remove(&self->subjects, lk_slice_of(who->name, who->name_len));
  lk_free_bytes(self->alloc, who, sizeof *who + who->name_len);
}

static void forget_some(lk_pacer *self, uint64_t now_us) {
  const lk_heap_item *first;
  for (int i = 0; i < FORGOTTEN_AT_ONCE; i++) {
    if ((first = lk_heap_first(&self->fading)) == NULL || first->key > now_us) return;
    forget(self, LK_CONTAINER(first, lk_spender, timer));
  }
}

static lk_spender *make_spender(lk_pacer *self, lk_slice name, void **place) {
  lk_spender *made = lk_alloc_bytes(self->alloc, sizeof *made + name.len);
  if (made == NULL) {
    (void)lk_map_remove(&self->subjects, name);
    return NULL;
  }
  *made = (lk_spender){ .timer = LK_HEAP_ITEM_INIT, .users = 1, .name_len = (uint32_t)name.len };
  memcpy(made->name, name.ptr, name.len);
  *(lk_spender **)*place = made;
  return made;
}

lk_spender *lk_pacer_enter(lk_pacer *self, lk_slice subject, uint64_t now_us) {
  void *place;
  bool is_new;
  if (self->rates.burst_ns == 0 || lk_allowance_rate_is_none(&self->rates.subject)) return NULL;
  forget_some(self, now_us);
  if (subject.len == 0) return NULL;
  if (lk_map_put(&self->subjects, subject, &place, &is_new) != LK_OK) {
    LK_COVERED(pacer_subject_goes_unheld);
    return NULL;
  }
  if (is_new) return make_spender(self, subject, &place);
  lk_spender *who = *(lk_spender **)place;
  if (who->users++ == 0) lk_heap_remove(&self->fading, &who->timer);
  return who;
}

void lk_pacer_leave(lk_pacer *self, lk_spender *who, uint64_t now_us) {
  if (who == NULL) return;
  forget_some(self, now_us);
  if (--who->users > 0) return;
  uint64_t full_at_us = lk_allowance_full_at(&who->allowance) / 1000 + 1;
  if (full_at_us <= now_us || lk_heap_push(&self->fading, &who->timer, full_at_us) != LK_OK)
    forget(self, who);
}

void lk_pacer_deinit(lk_pacer *self) {
  lk_heap_item *item;
  LK_ASSERT(self->holds.count == 0);
  while ((item = lk_heap_first(&self->fading)) != NULL)
    forget(self, LK_CONTAINER(item, lk_spender, timer));
  LK_ASSERT(lk_map_count(&self->subjects) == 0);
  lk_map_deinit(&self->subjects);
  lk_heap_deinit(&self->fading);
  lk_heap_deinit(&self->holds);
  *self = (lk_pacer){ 0 };
}

/* ---- taking ---- */

static void hold(lk_pacer *self, lk_hold **place, void *who, uint64_t until_us, uint64_t now_us) {
  lk_hold *h = *place;
  if (h != NULL) {
    if (h->timer.key < until_us) lk_heap_move(&self->holds, &h->timer, until_us);
    return;
  }
  h = lk_alloc_bytes(self->alloc, sizeof *h);
  if (h == NULL) return;
  *h = (lk_hold){ .timer = LK_HEAP_ITEM_INIT, .who = who, .since_us = now_us };
  if (lk_heap_push(&self->holds, &h->timer, until_us) == LK_OK) *place = h;
  else lk_free_bytes(self->alloc, h, sizeof *h);
}

static void count(lk_pacer_stats *stats, uint64_t connection, uint64_t subject, uint64_t topic) {
  if (connection >= subject && connection >= topic) stats->by_connection++;
  else if (subject >= topic) stats->by_subject++;
  else stats->by_topic++;
}

void lk_pacer_take(lk_pacer *self, const lk_pacer_turn *turn, lk_hold **place, void *who,
                   uint64_t now_us) {
  const lk_rates *rates = &self->rates;
  uint64_t now_ns, by_connection, by_subject = 0, by_topic = 0, burst = rates->burst_ns;
  if (!lk_pacer_is_on(self, now_us) || !lk_mul_u64(1000, now_us, &now_ns)) return;
  by_connection = lk_allowance_take(turn->connection, &rates->connection, burst, &turn->cost,
                                    now_ns);
  if (turn->subject != NULL)
    by_subject = lk_allowance_take(&turn->subject->allowance, &rates->subject, burst, &turn->cost,
                                   now_ns);
  if (turn->topic != NULL)
    by_topic = lk_allowance_take(turn->topic, &rates->topic, burst, &turn->cost, now_ns);
  uint64_t until = lk_max_u64(by_connection, lk_max_u64(by_subject, by_topic));
  if (until <= now_ns) return;
  bool is_new = *place == NULL;
  hold(self, place, who, lk_max_u64(until / 1000 + 1, now_us + REST_US), now_us);
  if (is_new && *place != NULL) count(&self->stats, by_connection, by_subject, by_topic);
}

uint64_t lk_pacer_admit(const lk_pacer *self, lk_spender *who, const lk_allowance_rate *cost,
                        uint64_t now_us) {
  const lk_rates *rates = &self->rates;
  uint64_t now_ns;
  if (who == NULL || !lk_pacer_is_on(self, now_us) || !lk_mul_u64(1000, now_us, &now_ns)) return 0;
  uint64_t wait_ns = lk_allowance_wait(&who->allowance, rates->burst_ns, now_ns);
  if (wait_ns > 0) return wait_ns / 1000 + 1;
  (void)lk_allowance_take(&who->allowance, &rates->subject, rates->burst_ns, cost, now_ns);
  return 0;
}

/* ---- waiting ---- */

void *lk_pacer_due(const lk_pacer *self, uint64_t now_us) {
  const lk_heap_item *first = lk_heap_first(&self->holds);
  if (first == NULL || first->key > now_us) return NULL;
  return LK_CONTAINER(first, lk_hold, timer)->who;
}

uint64_t lk_pacer_deadline(const lk_pacer *self) {
  const lk_heap_item *first = lk_heap_first(&self->holds);
  return first != NULL ? first->key : UINT64_MAX;
}

void lk_pacer_put_off(lk_pacer *self, lk_hold *h, uint64_t now_us) {
  lk_heap_move(&self->holds, &h->timer, now_us + REST_US);
}

void lk_pacer_let_go(lk_pacer *self, lk_hold **place, uint64_t now_us) {
  lk_hold *h = *place;
  if (h == NULL) return;
  lk_histogram_add(&self->times, now_us > h->since_us ? now_us - h->since_us : 0);
  lk_heap_remove(&self->holds, &h->timer);
  lk_free_bytes(self->alloc, h, sizeof *h);
  *place = NULL;
}
