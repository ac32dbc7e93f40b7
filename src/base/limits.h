/* base/limits.h -- the maxima of one engine, as a struct that is passed along.
 *
 * Each field stands in limits.def with its default, its ceiling and its reason. Nothing reads a
 * limit from a global: a test or the simulator hands in small ones and sees them reached. */
#ifndef LK_BASE_LIMITS_H
#define LK_BASE_LIMITS_H

#include "laniakea/types.h"

typedef struct lk_limits {
#define LIMIT(name, preset, ceiling, why) uint32_t name;
#include "base/limits.def"
#undef LIMIT
} lk_limits;

/* The defaults of limits.def. */
#define LK_LIMITS_INIT lk_limits_default()
lk_limits lk_limits_default(void);

/* LK_ERR_RANGE where a field is 0 or above its ceiling; |name| then names it (static text). */
lk_err lk_limits_check(const lk_limits *self, const char **name) LK_MUST_USE;

/* Sets the limit called |name|; LK_ERR_NOT_FOUND, or LK_ERR_RANGE outside of 1 to its ceiling. */
lk_err lk_limits_set(lk_limits *self, lk_slice name, uint64_t value) LK_MUST_USE;

#endif
