/* base/budget.h -- an allocator that gives out no more than so many bytes at once.
 *
 * Each buffer has a bound of its own, but strangers decide how many buffers there are. Where their sum must be
 * bounded as well, the owner hands on a budget in the place of its allocator: beyond it, memory is out, and whoever
 * asked does what it does then. Not for several threads. */
#ifndef LK_BASE_BUDGET_H
#define LK_BASE_BUDGET_H

#include "base/alloc.h"

typedef struct lk_budget {
  lk_alloc alloc; /* hand this on; the struct stays where it is */
  const lk_alloc *inner;
  size_t used;
  size_t max;
  uint64_t refused; /* requests that went beyond |max| */
} lk_budget;

/* Another allocator that counts on the same budget; what comes from it goes back to it. */
typedef struct lk_budget_share {
  lk_alloc alloc; /* hand this on; the struct stays where it is */
  const lk_alloc *inner;
  lk_budget *budget;
} lk_budget_share;

void lk_budget_init(lk_budget *self, const lk_alloc *inner, size_t max);
void lk_budget_share_init(lk_budget_share *self, lk_budget *budget, const lk_alloc *inner);

#endif
