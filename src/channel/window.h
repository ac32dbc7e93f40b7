/* channel/window.h -- things with consecutive numbers that are done with in any order.
 *
 * Requests are numbered as they are sent, and nearly always answered in that order. So what is open
 * is a short stretch of numbers with a few holes: an array that is found into by subtraction, and
 * whose front moves on over what is done. Nothing is hashed, nothing is searched. */
#ifndef LK_CHANNEL_WINDOW_H
#define LK_CHANNEL_WINDOW_H

#include "base/alloc.h"

typedef struct lk_window {
  const lk_alloc *alloc;
  void **items;   /* a ring of |cap|, a power of two */
  uint64_t first; /* the number at the front */
  uint32_t start; /* where in |items| that is */
  uint32_t span;  /* numbers from the front to the last one */
  uint32_t cap;
  uint32_t span_max;
} lk_window;

/* Allocates nothing. The first number will be the first that is put. */
void lk_window_init(lk_window *self, const lk_alloc *alloc, uint32_t span_max);
/* Safe on a zeroed struct, and twice. Items stay their owners'. */
void lk_window_deinit(lk_window *self);

/* |item| is not NULL. LK_ERR_RANGE where |number| is not above every number that was put before,
 * LK_ERR_LIMIT where the stretch would become longer than span_max, LK_ERR_NOMEM: nothing changed. */
lk_err lk_window_put(lk_window *self, uint64_t number, void *item) LK_MUST_USE;

/* NULL where it is done, or was never put. */
void *lk_window_get(const lk_window *self, uint64_t number);

/* The item, taken out; NULL as above. */
void *lk_window_take(lk_window *self, uint64_t number);

/* The first item whose number is at least |*number|, which becomes its number; NULL: no more. */
void *lk_window_next(const lk_window *self, uint64_t *number);

static inline bool lk_window_is_empty(const lk_window *self) { return self->span == 0; }

#endif
