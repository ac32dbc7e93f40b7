/* bench/crdt/main.c -- a counter's work: count, encode the delta, take it in elsewhere. The peer, in
 * peers.mjs, is what one would write in JavaScript: objects of counts. */
#include "bench/bench.h"
#include "crdt/gcounter.h"
#include "platform/posix/heap.h"

#include <stdlib.h>

#define ACTORS 100

typedef struct work {
  lk_gcounter local;
  lk_gcounter remote;
  lk_gcounter delta;
  lk_limits limits;
  lk_buf bytes;
  uint32_t next;
} work;

static void must(lk_err err) {
  if (err == LK_OK) return;
  (void)fprintf(stderr, "bench: %s\n", lk_err_text(err));
  exit(1);
}

static lk_slice actor_of(uint32_t n, uint8_t name[16]) {
  int len = snprintf((char *)name, 16, "replica-%03u", (unsigned)n);
  return lk_slice_of(name, (size_t)len);
}

static void init(work *w) {
  uint8_t name[16];
  w->limits = lk_limits_default();
  lk_gcounter_init(&w->local, lk_posix_heap(), &w->limits);
  lk_gcounter_init(&w->remote, lk_posix_heap(), &w->limits);
  lk_gcounter_init(&w->delta, lk_posix_heap(), &w->limits);
  lk_buf_init(&w->bytes, lk_posix_heap(), 1 << 20);
  for (uint32_t i = 0; i < ACTORS; i++)
    must(lk_gcounter_increment(&w->local, actor_of(i, name), 1, NULL));
  must(lk_gcounter_merge(&w->remote, &w->local, NULL));
}

static void count_and_exchange(void *ctx) {
  work *w = ctx;
  uint8_t name[16];
  lk_gcounter delta;
  lk_gcounter_init(&delta, lk_posix_heap(), &w->limits);
  must(lk_gcounter_increment(&w->local, actor_of(w->next++ % ACTORS, name), 1, &delta));
  lk_buf_truncate(&w->bytes, 0);
  must(lk_gcounter_encode(&delta, &w->bytes));
  lk_gcounter_deinit(&delta);
  lk_gcounter_init(&delta, lk_posix_heap(), &w->limits);
  must(lk_gcounter_decode(&delta, lk_buf_slice(&w->bytes)));
  must(lk_gcounter_merge(&w->remote, &delta, NULL));
  lk_gcounter_deinit(&delta);
  bench_keep(lk_gcounter_value(&w->remote));
}

static void merge_states(void *ctx) {
  work *w = ctx;
  must(lk_gcounter_merge(&w->remote, &w->local, NULL));
}

int main(void) {
  work w = { 0 };
  init(&w);
  bench_row("crdt", "gcounter: count, encode delta, decode, merge", "ns",
            bench_ns(count_and_exchange, &w), BENCH_LOWER, 1.0);
  bench_row("crdt", "gcounter: merge states of 100 actors", "ns", bench_ns(merge_states, &w),
            BENCH_LOWER, 1.0);
  return 0;
}
