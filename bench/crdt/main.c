/* bench/crdt/main.c -- the catalogue natively: what a change costs from one replica to the next, and
 * whether it stays so when there is much else. The peers are in peers.mjs. */
#include "bench/bench.h"
#include "crdt/state.h"
#include "platform/posix/heap.h"

#include <stdlib.h>

#define ACTORS 100

static lk_limits limits;

static void must(lk_err err) {
  if (err == LK_OK) return;
  (void)fprintf(stderr, "bench: %s\n", lk_err_text(err));
  exit(1);
}

static void init(lk_crdt *self, const lk_crdt_type *type) {
  must(lk_crdt_init(self, type, lk_posix_heap(), &limits));
}

static lk_slice print(uint8_t *out, size_t cap, const char *format, uint32_t n) {
  int len = snprintf((char *)out, cap, format, (unsigned)n);
  return lk_slice_of(out, (size_t)len);
}

/* ---- a counter of 100 replicas ---- */

typedef struct counters {
  lk_crdt local;
  lk_crdt remote;
  lk_buf delta;
  uint8_t names[ACTORS][16];
  lk_slice actors[ACTORS];
  uint32_t next;
} counters;

static void init_counters(counters *c) {
  init(&c->local, &lk_crdt_type_gcounter);
  init(&c->remote, &lk_crdt_type_gcounter);
  lk_buf_init(&c->delta, lk_posix_heap(), 1 << 20);
  for (uint32_t i = 0; i < ACTORS; i++) {
    c->actors[i] = print(c->names[i], sizeof c->names[i], "replica-%03u", i);
    must(lk_gcounter_add(&c->local, &(lk_crdt_op){ .actor = c->actors[i] }, 1));
  }
  must(lk_crdt_merge_from(&c->remote, &c->local, NULL));
}

static void count_and_exchange(void *ctx) {
  counters *c = ctx;
  lk_crdt_op op = { .actor = c->actors[c->next++ % ACTORS], .delta = &c->delta };
  lk_buf_truncate(&c->delta, 0);
  must(lk_gcounter_add(&c->local, &op, 1));
  must(lk_crdt_merge(&c->remote, lk_buf_slice(&c->delta), NULL));
  bench_keep(lk_node_at(&c->remote, LK_NODE_ROOT)->total);
}

static void merge_counters(void *ctx) {
  counters *c = ctx;
  must(lk_crdt_merge_from(&c->remote, &c->local, NULL));
}

static void bench_counters(void) {
  static counters c;
  init_counters(&c);
  double ns = bench_ns(count_and_exchange, &c);
  bench_row("crdt", "counter: increment, encode delta, merge it elsewhere", "ns", ns, BENCH_LOWER,
            20);
  bench_row("crdt", "counter: the same, peer changed in place", "ns", ns, BENCH_LOWER, 1);
  bench_row("crdt", "counter: merge states of 100 actors", "ns", bench_ns(merge_counters, &c),
            BENCH_LOWER, 1);
}

/* ---- sets ---- */

static lk_slice element(uint32_t n, uint8_t out[32]) {
  return print(out, 32, "\"element-%08u\"", n);
}

static void fill(lk_crdt *set, uint32_t count) {
  uint8_t text[32];
  lk_crdt_op op = { .actor = LK_LIT("replica-1") };
  for (uint32_t i = 0; i < count; i++) must(lk_orset_add(set, &op, element(i, text)));
}

#define CHURN_COUNT 100000u

static void churn(void) {
  static lk_crdt set, fresh;
  uint8_t text[32];
  lk_crdt_op op = { .actor = LK_LIT("replica-1") };
  init(&set, &lk_crdt_type_orset);
  init(&fresh, &lk_crdt_type_orset);
  uint64_t begin = bench_now_ns();
  for (uint32_t round = 0; round < 10; round++) {
    fill(&set, CHURN_COUNT);
    for (uint32_t i = 0; i < CHURN_COUNT && round < 9; i++) {
      must(lk_orset_remove(&set, &op, element(i, text)));
    }
  }
  double took = (double)(bench_now_ns() - begin) / (19.0 * CHURN_COUNT);
  fill(&fresh, CHURN_COUNT);
  bench_row("crdt", "orset: one add or remove among 100,000", "ns", took, BENCH_LOWER, 1);
  bench_row("crdt", "orset of 100,000, changed ten times over: memory against a fresh one", "x",
            (double)set.bytes / (double)fresh.bytes, BENCH_LOWER, 2);
  bench_row("crdt", "orset of 100,000: memory of one element", "bytes",
            (double)set.bytes / CHURN_COUNT, BENCH_LOWER, 1);
  lk_crdt_deinit(&set);
  lk_crdt_deinit(&fresh);
}

/* Merging deltas of ten fresh elements, and then of their removal, so that the set keeps its size. */
typedef struct merging {
  lk_crdt set;
  lk_crdt other;
  lk_buf delta;
  uint32_t next;
  uint32_t size;
} merging;

static void merge_ten(void *ctx) {
  merging *m = ctx;
  must(lk_crdt_merge(&m->set, lk_buf_slice(&m->delta), NULL));
}

/* The time of merges alone: each delta is made outside of the clock. */
static double time_merges(merging *m, uint32_t rounds) {
  uint8_t text[32];
  uint64_t total = 0;
  for (uint32_t round = 0; round < rounds; round++) {
    lk_crdt group;
    lk_buf one;
    init(&group, &lk_crdt_type_orset);
    lk_buf_init(&one, lk_posix_heap(), 1 << 16);
    lk_crdt_op op = { .actor = LK_LIT("replica-1"), .delta = &one };
    for (uint32_t i = 0; i < 10; i++) {
      lk_buf_truncate(&one, 0);
      m->next = (m->next * 1103515245u + 12345u) & 0x7FFFFFFFu;
      must(lk_orset_add(&m->other, &op, element(m->next % m->size, text)));
      must(lk_crdt_merge(&group, lk_buf_slice(&one), NULL));
    }
    lk_buf_truncate(&m->delta, 0);
    must(lk_crdt_encode(&group, &m->delta));
    uint64_t begin = bench_now_ns();
    merge_ten(m);
    total += bench_now_ns() - begin;
    lk_buf_deinit(&one);
    lk_crdt_deinit(&group);
  }
  return (double)total / rounds;
}

static double bench_merges(uint32_t size) {
  static merging m;
  m = (merging){ .size = size, .next = 7 };
  init(&m.set, &lk_crdt_type_orset);
  init(&m.other, &lk_crdt_type_orset);
  lk_buf_init(&m.delta, lk_posix_heap(), 1 << 20);
  fill(&m.other, size);
  must(lk_crdt_merge_from(&m.set, &m.other, NULL));
  (void)time_merges(&m, 2000);
  double ns = time_merges(&m, 20000);
  lk_buf_deinit(&m.delta);
  lk_crdt_deinit(&m.set);
  lk_crdt_deinit(&m.other);
  return ns;
}

/* ---- differences ---- */

#define DIFF_COUNT 1000000u

static void bench_diff(void) {
  static lk_crdt a, b;
  uint8_t text[32];
  lk_buf out, version;
  lk_crdt_op op = { .actor = LK_LIT("replica-2") };
  init(&a, &lk_crdt_type_orset);
  init(&b, &lk_crdt_type_orset);
  lk_buf_init(&out, lk_posix_heap(), 1u << 28);
  lk_buf_init(&version, lk_posix_heap(), 1u << 28);
  fill(&a, DIFF_COUNT);
  must(lk_crdt_merge_from(&b, &a, NULL));
  for (uint32_t i = 0; i < 5; i++) {
    must(lk_orset_add(&a, &op, element(DIFF_COUNT + i, text)));
    must(lk_orset_remove(&a, &op, element(i * 99991, text)));
  }
  uint64_t begin = bench_now_ns();
  must(lk_crdt_diff(&a, &b, &out));
  bench_row("crdt", "orsets of 1,000,000 that differ in 10: diff", "ms",
            (double)(bench_now_ns() - begin) / 1e6, BENCH_LOWER, 1000);
  bench_row("crdt", "orsets of 1,000,000 that differ in 10: bytes of the diff", "bytes",
            (double)out.len, BENCH_LOWER, 1000);
  must(lk_crdt_version(&b, &version));
  lk_buf_truncate(&out, 0);
  must(lk_crdt_diff_since(&a, lk_buf_slice(&version), &out));
  bench_row("crdt", "the same by version vector: bytes", "bytes", (double)out.len, BENCH_LOWER,
            1000);
  lk_buf_truncate(&out, 0);
  begin = bench_now_ns();
  must(lk_crdt_encode(&a, &out));
  bench_row("crdt", "orset of 1,000,000: encode", "ms", (double)(bench_now_ns() - begin) / 1e6,
            BENCH_LOWER, 2000);
  bench_row("crdt", "orset of 1,000,000: bytes of one element", "bytes",
            (double)out.len / DIFF_COUNT, BENCH_LOWER, 64);
  lk_crdt_deinit(&b);
  init(&b, &lk_crdt_type_orset);
  begin = bench_now_ns();
  must(lk_crdt_merge(&b, lk_buf_slice(&out), NULL));
  bench_row("crdt", "orset of 1,000,000: decode and merge into an empty one", "ms",
            (double)(bench_now_ns() - begin) / 1e6, BENCH_LOWER, 4000);
  lk_crdt_deinit(&a);
  lk_crdt_deinit(&b);
  lk_buf_deinit(&out);
  lk_buf_deinit(&version);
}

int main(void) {
  limits = lk_limits_default();
  limits.crdt_entries_count = 1u << 26;
  limits.crdt_state_bytes = 1u << 28;
  bench_counters();
  churn();
  double small = bench_merges(100), large = bench_merges(100000);
  bench_row("crdt", "orset of 100: merge a delta of 10 elements", "ns", small, BENCH_LOWER, 1e6);
  bench_row("crdt", "orset of 100,000: merge a delta of 10 elements", "ns", large, BENCH_LOWER,
            1e6);
  bench_row("crdt", "the second against the first", "x", large / small, BENCH_LOWER, 3);
  bench_diff();
  return 0;
}
