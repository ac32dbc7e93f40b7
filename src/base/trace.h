/* base/trace.h -- telling what happened, to whoever wants to know.
 *
 * A trace record is a number of trace.def, two integers and perhaps a few bytes of text; see
 * laniakea/env.h. Without a sink the cost is one comparison. The simulator hashes the records
 * of a run: the same seed must give the same hash. */
#ifndef LK_BASE_TRACE_H
#define LK_BASE_TRACE_H

#include "base/slice.h"
#include "laniakea/env.h"

enum {
#define TRACE(name, number, text, fields) LK_TRACE_##name = number,
#include "base/trace.def"
#undef TRACE
};

/* "room_opened" and the like; "unknown" for a number that is not in the table. */
const char *lk_trace_name(uint32_t event);

/* |text| is borrowed for the call. */
void lk_trace_emit(const lk_env *env, uint32_t event, uint64_t a, uint64_t b, lk_slice text);

#endif
