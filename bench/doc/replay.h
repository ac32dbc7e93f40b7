/* bench/doc/replay.h -- what the programs of this folder share: rows, the clock, documents.
 *
 * Times are those that this thread has computed, the fastest of some rounds: shared/clock.mjs measures
 * peers in the same way. Errors of the engine end the program: a benchmark of something wrong is
 * worth nothing. */
#ifndef LK_BENCH_DOC_REPLAY_H
#define LK_BENCH_DOC_REPLAY_H

#include "bench/doc/trace.h"
#include "laniakea/doc_undo.h"

#include <stdio.h>

#define BYTES_MAX ((size_t)1 << 30)

/* A literal as a slice. */
#define TEXT(literal)                                                                              \
  (lk_slice) { (const uint8_t *)(literal), sizeof(literal) - 1 }

extern const lk_env bench_env;

void bench_must(lk_err err);
void bench_expect(bool is_true, const char *what);
bool bench_equal(lk_slice a, lk_slice b);

double bench_cpu_ms(void);
/* Takes less time itself, for what takes microseconds. */
double bench_wall_ms(void);

/* Milliseconds of |run|. |check| gets what it returned, and is not measured. */
typedef void *bench_run(void *ctx);
typedef void bench_check(void *ctx, void *result);
double bench_fastest(bench_run *run, bench_check *check, void *ctx, int rounds);
#define BENCH_ROUNDS 10

/* Rows of the suite "doc"; the name is |session|: |task|, or |task| alone where |session| is NULL. */
void bench_show(const char *session, const char *task, const char *unit, double value);
void bench_show_limit(const char *session, const char *task, const char *unit, double value);

/* ---- documents with one text ---- */

typedef struct replica {
  lk_doc *doc;
  lk_node text;
  lk_undo *undo; /* NULL where nobody watches */
} replica;

replica bench_open(uint64_t client);
/* What an editor adds: an observer of the text, and an undo manager that puts together what was typed within half
 * a second. Both are given what happened and do nothing with it. */
void bench_watch(replica *self);
void bench_close(replica *self);
void bench_edit(const replica *self, const trace_edit *edit);
/* What is applied has an origin, as what comes from elsewhere should: undo managers leave it alone. */
void bench_apply(const replica *self, lk_update_format format, lk_slice update);
/* Ends the program where the text is not |text|. */
void bench_expect_text(const replica *self, lk_slice text);

/* ---- updates as they come out ---- */

typedef struct update_log {
  uint8_t *bytes;
  size_t len, cap;
  size_t *ends; /* of each update in |bytes| */
  size_t count, count_cap;
} update_log;

/* Room for so much altogether, so that growing is not measured. */
void update_log_reserve(update_log *self, size_t len, size_t count);
void update_log_clear(update_log *self);
void update_log_free(update_log *self);
lk_slice update_log_at(const update_log *self, size_t index);
/* Appends what |of| changes itself. */
void update_log_listen(update_log *self, const replica *of, lk_update_format format);

/* ---- shapes.c ---- */

void bench_shapes(void);

#endif
