/* base/budget.c -- sizes are named at every call, so that one sum is all it takes. */
#include "base/budget.h"

static void *resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  lk_budget *self = ctx;
  size_t had = ptr == NULL ? 0 : old_size;
  LK_ASSERT(had <= self->used);
  if (new_size > had && new_size - had > self->max - self->used) {
    LK_COVERED(budget_refused);
    self->refused++;
    return NULL;
  }
  void *result = self->inner->resize(self->inner->ctx, ptr, old_size, new_size);
  if (result != NULL || new_size == 0) self->used = self->used - had + new_size;
  return result;
}

void lk_budget_init(lk_budget *self, const lk_alloc *inner, size_t max) {
  *self = (lk_budget){ .alloc = { .resize = resize, .ctx = self },
                       .inner = inner,
                       .max = max };
}
