/* base/limits.c -- limits.def as defaults, ceilings and names. */
#include "base/limits.h"

#include "base/slice.h"

typedef struct limit_row {
  const char *name;
  size_t offset; /* of the field in lk_limits */
  uint32_t ceiling;
} limit_row;

static const limit_row rows[] = {
#define LIMIT(name, preset, ceiling, why) { #name, offsetof(lk_limits, name), ceiling },
#include "base/limits.def"
#undef LIMIT
};

lk_limits lk_limits_default(void) {
  return (lk_limits) {
#define LIMIT(name, preset, ceiling, why) .name = (preset),
#include "base/limits.def"
#undef LIMIT
  };
}

static bool in_range(const limit_row *row, uint64_t value) {
  return value >= 1 && value <= row->ceiling;
}

lk_err lk_limits_check(const lk_limits *self, const char **name) {
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    uint32_t value;
    memcpy(&value, (const uint8_t *)self + rows[i].offset, sizeof value);
    if (in_range(&rows[i], value)) continue;
    *name = rows[i].name;
    return LK_ERR_RANGE;
  }
  return LK_OK;
}

lk_err lk_limits_set(lk_limits *self, lk_slice name, uint64_t value) {
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    if (!lk_slice_equal(name, lk_slice_cstr(rows[i].name))) continue;
    if (!in_range(&rows[i], value)) return LK_ERR_RANGE;
    uint32_t narrow = (uint32_t)value;
    memcpy((uint8_t *)self + rows[i].offset, &narrow, sizeof narrow);
    return LK_OK;
  }
  return LK_ERR_NOT_FOUND;
}
