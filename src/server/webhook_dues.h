/* server/webhook_dues.h -- which topics' changes are to be told, when, and what became of it: the queue of change hooks.
 *
 *   note ──> WAITING ──quiet for |debounce|, or |debounce_most| since the first change──> due
 *               ^                                                       poll │
 *               │ changed meanwhile, or failed: back-off                      v
 *               └──────────────────────────────────────────────────────── FLYING ──delivered──> gone
 *                                                                           └── |retry_for| is over: gone, and counted
 *
 * A machine without a socket and without a clock. There is one entry for each topic, whatever the number of its changes: only the
 * newest state matters, so a receiver that was away for a day gets one message for each topic, which says how many changes it
 * is about. No topic has two messages under way at once, so that they arrive in order.
 *
 * What is due can be written down and read again, for the process that comes after a crash or a restart. An entry goes when it was
 * delivered; until that has been written down it may be delivered again, with the same id where nothing changed. */
#ifndef LK_SERVER_WEBHOOK_DUES_H
#define LK_SERVER_WEBHOOK_DUES_H

#include "base/heap.h"
#include "base/map.h"
#include "base/prng.h"
#include "server/webhook.h"

typedef struct lk_webhook_times {
  uint32_t timeout_ms;       /* of one attempt */
  uint32_t debounce_ms;      /* a topic is quiet when nothing came for so long */
  uint32_t debounce_most_ms; /* and is told after so long even where it is not */
  uint32_t retry_ms;         /* before the second attempt; twice as long before each further one */
  uint32_t retry_most_ms;    /* but no longer */
  uint64_t retry_for_ms;     /* then it is given up */
} lk_webhook_times;

typedef struct lk_webhook_due {
  lk_heap_item
      timer; /* always in the heap: by the monotonic time while WAITING, at its end while FLYING */
  lk_slice topic; /* its own */
  uint64_t sequence;
  uint64_t changes;
  uint64_t first_ms; /* since 1970 */
  uint64_t last_ms;
  uint64_t since_ms;   /* monotonic: of the first change that was not delivered */
  uint64_t failing_ms; /* since 1970: since when it could not be delivered; 0: it has not failed */
  uint64_t sent_sequence; /* FLYING: what the message says */
  uint64_t sent_changes;
  uint32_t attempts;
  bool is_memory;
  bool is_flying;
  bool is_deleted; /* what happened last */
  bool is_anew;    /* it was deleted before that, which has not been told */
  bool sent_anew;  /* FLYING: what the message says of that */
  lk_buf by;       /* names: a byte of length, and the name */
} lk_webhook_due;

typedef struct lk_webhook_dues {
  const lk_alloc *alloc;
  const lk_webhook_times *times;
  lk_map topics; /* topic -> lk_webhook_due * */
  lk_heap waiting;
  lk_prng jitter;
  uint32_t count_max;
  uint64_t dropped; /* for want of room */
  uint64_t given_up;
  uint64_t delivered;
  uint64_t version[2]; /* grows with each change of what is to be written down: [is_memory] */
} lk_webhook_dues;

/* Allocates nothing. |times| outlives it. |seed| is fresh entropy. */
void lk_webhook_dues_init(lk_webhook_dues *self, const lk_alloc *alloc,
                          const lk_webhook_times *times, uint32_t count_max,
                          const uint64_t seed[3]);
/* Safe on a zeroed struct, and twice. */
void lk_webhook_dues_deinit(lk_webhook_dues *self);

/* |change| has happened. LK_ERR_NOMEM: it has not been noted, and should be told again; where there are |count_max| topics it is
 * dropped and counted. */
lk_err lk_webhook_dues_note(lk_webhook_dues *self, const lk_webhook_change *change,
                            uint64_t now_ms) LK_MUST_USE;

/* The next one to deliver, which is FLYING from then on; NULL: none is due at |now_ms|. */
lk_webhook_due *lk_webhook_dues_poll(lk_webhook_dues *self, uint64_t now_ms);

/* What to say of it; borrows from |due|. */
lk_webhook_change lk_webhook_due_change(const lk_webhook_due *due);

/* It has arrived, so that |due| is gone, or waits again where it changed meanwhile. */
void lk_webhook_dues_delivered(lk_webhook_dues *self, lk_webhook_due *due, uint64_t now_ms);

/* It has not. |wait_ms| is what the other side asked for, or 0. False where it was given up. */
bool lk_webhook_dues_failed(lk_webhook_dues *self, lk_webhook_due *due, uint64_t wait_ms,
                            uint64_t now_ms, uint64_t wall_ms);

/* Our own fault: try it again after |wait_ms|, without counting it. */
void lk_webhook_dues_put_off(lk_webhook_dues *self, lk_webhook_due *due, uint64_t wait_ms,
                             uint64_t now_ms);

/* When lk_webhook_dues_poll() has something; UINT64_MAX. */
uint64_t lk_webhook_dues_deadline(const lk_webhook_dues *self);

static inline uint32_t lk_webhook_dues_count(const lk_webhook_dues *self) {
  return lk_map_count(&self->topics);
}

/* How long before attempt |attempts| + 1, without its jitter. */
uint64_t lk_webhook_backoff_ms(const lk_webhook_times *times, uint32_t attempts);

/* ---- written down ---- */

/* Those of the level memory, or those of the other. */
lk_err lk_webhook_dues_encode(const lk_webhook_dues *self, bool is_memory, lk_buf *out) LK_MUST_USE;

/* What encode wrote. LK_ERR_CORRUPT, LK_ERR_TRUNCATED, LK_ERR_VERSION, LK_ERR_NOMEM: some may have been taken. */
lk_err lk_webhook_dues_decode(lk_webhook_dues *self, bool is_memory, lk_slice bytes,
                              uint64_t now_ms) LK_MUST_USE;

#endif
