/* base/intensity.c -- the oldest of the last |count| restarts decides. */
#include "base/intensity.h"

void lk_intensity_init(lk_intensity *self, uint32_t count, uint64_t period_ms) {
  LK_ASSERT(count <= LK_INTENSITY_COUNT_MAX && period_ms > 0);
  *self = (lk_intensity){ .count = count, .period_ms = period_ms };
}

bool lk_intensity_allow(lk_intensity *self, uint64_t now_ms) {
  if (self->count == 0) return false;
  uint64_t *oldest = &self->at[self->total % self->count];
  LK_ASSERT(self->total < self->count || now_ms >= *oldest);
  if (self->total >= self->count && now_ms - *oldest < self->period_ms) return false;
  *oldest = now_ms;
  self->total++;
  return true;
}
