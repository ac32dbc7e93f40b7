/* base/intensity.h -- how often may something be restarted before its supervisor gives up?
 *
 * As in OTP: more than |count| restarts within |period_ms| end the supervisor, since what dies
 * that fast is not cured by starting it again. A pure machine: the time comes in. (OTP looks at a
 * clock of whole seconds, where a restart counts for its period and up to a second more.) */
#ifndef LK_BASE_INTENSITY_H
#define LK_BASE_INTENSITY_H

#include "base/check.h"
#include "laniakea/types.h"

#define LK_INTENSITY_COUNT_MAX 64

typedef struct lk_intensity {
  uint64_t at[LK_INTENSITY_COUNT_MAX]; /* a ring of the times of the last |count| restarts */
  uint64_t period_ms;
  uint64_t total; /* restarts allowed since the beginning */
  uint32_t count;
} lk_intensity;

/* |count| from 0, which allows none, to LK_INTENSITY_COUNT_MAX. */
void lk_intensity_init(lk_intensity *self, uint32_t count, uint64_t period_ms);

/* True where one more restart at |now_ms| is allowed, and notes it. False: it would be one too
 * many, and nothing is noted. |now_ms| never goes back. A restart counts for less
 * than |period_ms|: what lies exactly that long ago is forgotten. */
bool lk_intensity_allow(lk_intensity *self, uint64_t now_ms);

#endif
