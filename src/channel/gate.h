/* channel/gate.h -- topics that somebody else is asked about before a client gets to them.
 *
 *   client ──join──> edge ──QUERY "join" topic, params, subject──> keeper ──ok "write"──> edge ──JOIN──> house
 *                                                                   └── error {"reason"} ──> refused
 *
 * A keeper is one more process that answers queries as houses do: it comes behind them, with the number houses_count, and places no
 * topics. It is asked for each join, with the params but without their token, and for each query of such a topic ("http").
 * What it answers is the most that the client may do there, whatever its token says. Messages behind a join wait with it.
 * What becomes of those who leave meanwhile is nobody's affair: the answer finds nobody.
 *
 * Joins that are restored in a house that began anew are not asked about again: they were allowed. */
#ifndef LK_CHANNEL_GATE_H
#define LK_CHANNEL_GATE_H

#include "base/slice.h"

/* Patterns are topics, or beginnings of topics with a * behind. What it points to outlives it. */
typedef struct lk_gate {
  const lk_slice *patterns;
  uint32_t count;
} lk_gate;

static inline bool lk_gate_is_before(const lk_gate *self, lk_slice topic) {
  for (uint32_t i = 0; self != NULL && i < self->count; i++) {
    lk_slice pattern = self->patterns[i];
    bool is_beginning = lk_slice_ends_with(pattern, LK_LIT("*"));
    if (is_beginning ? lk_slice_starts_with(topic, lk_slice_first(pattern, pattern.len - 1))
                     : lk_slice_equal(topic, pattern))
      return true;
  }
  return false;
}

#endif
