/* laniakea/env.h -- what an embedder gives to the core: memory, and a place for traces.
 *
 * The core opens no file and no socket, reads no clock and draws no randomness by itself. Time
 * and entropy are arguments of the steps that need them; storage and network are asked for by
 * effects that the embedder carries out. What is left is here.
 *
 * Nothing in this header is global: two engines in one process may have different tables. */
#ifndef LANIAKEA_ENV_H
#define LANIAKEA_ENV_H

#include "laniakea/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One function allocates, resizes and frees:
 *
 *   resize(ctx, NULL, 0, n)     a new block of n bytes, aligned for any type, contents undefined
 *   resize(ctx, p, old, n)      the block moved or not, its first min(old, n) bytes kept
 *   resize(ctx, p, old, 0)      the block freed; the result is NULL
 *
 * |old_size| is always the size that was asked for last, so that an allocator needs no header.
 * NULL for a size above 0 means that there is no memory, and then the old block is untouched.
 * Making a block smaller may fail as well; callers must be ready for it. */
typedef struct lk_alloc {
  void *(*resize)(void *ctx, void *ptr, size_t old_size, size_t new_size);
  void *ctx;
} lk_alloc;

/* Something worth telling happened. |event| is a number of the table in src/base/trace.def and
 * |name| its name; what |a| and |b| mean is written there. |text| is borrowed and may be empty.
 * The core formats nothing: rendering is the sink's work, and costs nothing where there is none. */
typedef struct lk_trace_record {
  uint32_t event;
  const char *name;
  uint64_t a;
  uint64_t b;
  lk_slice text;
} lk_trace_record;

typedef struct lk_trace {
  void (*emit)(void *ctx, const lk_trace_record *record);
  void *ctx;
} lk_trace;

/* |size| is sizeof(lk_env) of the caller's headers, so that the table may grow at its end;
 * LK_ENV_INIT sets it. |trace| may be NULL. The tables must outlive every object made with them. */
typedef struct lk_env {
  size_t size;
  const lk_alloc *alloc;
  const lk_trace *trace;
} lk_env;

#define LK_ENV_INIT(alloc_table, trace_table)                                                      \
  { sizeof(lk_env), (alloc_table), (trace_table) }

#ifdef __cplusplus
}
#endif
#endif
