/* bench/bench.h -- how a benchmark in C measures and prints.
 *
 *   static void run(void *ctx) { bench_keep(lk_crc32c(0, *(lk_slice *)ctx)); }
 *   ...
 *   double ns = bench_ns(run, &bytes);
 *   bench_row("codec", "crc32c of 64 KiB", "MB/s", 65536e3 / ns, BENCH_HIGHER, 1.0);
 *
 * A program prints one JSON line for each thing that it measured; tools/bench.mjs runs it several
 * times, takes medians and sets the results beside those of a peer, which prints lines of the same
 * suite and name (bench_peer_row(), or the Node scripts in bench/<suite>/). */
#ifndef LK_BENCH_BENCH_H
#define LK_BENCH_BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define BENCH_HIGHER "higher" /* which values are the better ones */
#define BENCH_LOWER "lower"

/* One measurement takes the fastest of this many batches: what else the machine did can only add. */
#define BENCH_BATCHES 5
#define BENCH_BATCH_NS 20000000u

static inline uint64_t bench_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The compiler has to make |value|, and may assume nothing about memory afterwards. */
#define bench_keep(value)                                                                          \
  do {                                                                                             \
    __typeof__(value) bench_kept_ = (value);                                                       \
    __asm__ volatile("" : : "g"(&bench_kept_) : "memory");                                         \
  } while (0)

typedef void bench_body(void *ctx);

static inline uint64_t bench_batch(bench_body *run, void *ctx, uint64_t count) {
  uint64_t begin = bench_now_ns();
  for (uint64_t i = 0; i < count; i++) run(ctx);
  return bench_now_ns() - begin;
}

/* Nanoseconds for one call of |run|. Calls it often enough for the clock's step not to matter. */
static inline double bench_ns(bench_body *run, void *ctx) {
  uint64_t count = 1;
  while (bench_batch(run, ctx, count) < BENCH_BATCH_NS) count *= 2;
  uint64_t best = UINT64_MAX;
  for (int i = 0; i < BENCH_BATCHES; i++) {
    uint64_t took = bench_batch(run, ctx, count);
    if (took < best) best = took;
  }
  return (double)best / (double)count;
}

/* |suite|, |name| and |unit| are plain text without quotes or backslashes. |bar| is how many times
 * better than the peer we want to be: 1.0 means as good. */
static inline void bench_row(const char *suite, const char *name, const char *unit, double value,
                             const char *better, double bar) {
  printf("{\"suite\":\"%s\",\"name\":\"%s\",\"unit\":\"%s\",\"value\":%.6g,\"better\":\"%s\","
         "\"bar\":%g}\n",
         suite, name, unit, value, better, bar);
  fflush(stdout);
}

static inline void bench_peer_row(const char *suite, const char *name, const char *unit,
                                  const char *peer, double value) {
  printf("{\"suite\":\"%s\",\"name\":\"%s\",\"unit\":\"%s\",\"peer\":\"%s\",\"peer_value\":%.6g}\n",
         suite, name, unit, peer, value);
  fflush(stdout);
}

#endif
