/* base/budget.c -- sizes are named at every call, so that one sum is all it takes. */
#include "base/budget.h"

static void *resize_within(lk_budget *self, const lk_alloc *inner, void *ptr, size_t old_size,
                           size_t new_size) {
  size_t had = ptr == NULL ? 0 : old_size;
  LK_ASSERT(had <= self->used);
  if (new_size > had && new_size - had > self->max - self->used) {
    LK_COVERED(budget_refused);
    self->refused++;
    return NULL;
  }
  void *result = inner->resize(inner->ctx, ptr, old_size, new_size);
  if (result != NULL || new_size == 0) self->used = self->used - had + new_size;
  return result;
}

static void *resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  lk_budget *self = ctx;
  return resize_within(self, self->inner, ptr, old_size, new_size);
}

static void *resize_share(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  const lk_budget_share *self = ctx;
  return resize_within(self->budget, self->inner, ptr, old_size, new_size);
}

void lk_budget_init(lk_budget *self, const lk_alloc *inner, size_t max) {
  *self = (lk_budget){ .alloc = { .resize = resize, .ctx = self }, .inner = inner, .max = max };
}

void lk_budget_share_init(lk_budget_share *self, lk_budget *budget, const lk_alloc *inner) {
  *self = (lk_budget_share){ .alloc = { .resize = resize_share, .ctx = self },
                             .inner = inner,
                             .budget = budget };
}
