/* base/trace.c -- trace.def as names, and the one comparison that an unused trace costs. */
#include "base/trace.h"

typedef struct trace_row {
  uint32_t event;
  const char *name;
} trace_row;

static const trace_row rows[] = {
#define TRACE(name, number, text, fields) { number, #name },
#include "base/trace.def"
#undef TRACE
};

const char *lk_trace_name(uint32_t event) {
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    if (rows[i].event == event) return rows[i].name;
  }
  return "unknown";
}

void lk_trace_emit(const lk_env *env, uint32_t event, uint64_t a, uint64_t b, lk_slice text) {
#ifdef LK_SMALL /* a browser has no sink, and each byte of code is loaded over a network */
  (void)env, (void)event, (void)a, (void)b, (void)text;
#else
  if (env->trace == NULL) return;
  lk_trace_record record = { event, lk_trace_name(event), a, b, text };
  env->trace->emit(env->trace->ctx, &record);
#endif
}
