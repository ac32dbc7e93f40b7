/* bench/crdt/main.c -- the catalogue natively: what a change costs from one replica to the next, and
 * whether it stays so when there is much else. The peers are in peers.mjs, and how to read the rows in
 * bench/README.md. */
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

/* A row with nothing to reach. */
static void show(const char *name, const char *unit, double value) {
  printf("{\"suite\":\"crdt\",\"name\":\"%s\",\"unit\":\"%s\",\"value\":%.6g}\n", name, unit,
         value);
  (void)fflush(stdout);
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
  lk_buf value;
  uint8_t names[ACTORS][16];
  lk_slice actors[ACTORS];
  uint32_t next;
} counters;

static void init_counters(counters *c) {
  init(&c->local, &lk_crdt_type_gcounter);
  init(&c->remote, &lk_crdt_type_gcounter);
  lk_buf_init(&c->delta, lk_posix_heap(), 1 << 20);
  lk_buf_init(&c->value, lk_posix_heap(), 1 << 20);
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
  lk_buf_truncate(&c->value, 0);
  must(lk_crdt_value(&c->remote, LK_SLICE_EMPTY, &c->value));
  bench_keep(c->value.ptr[0]);
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

static void empty(lk_crdt *set, uint32_t from, uint32_t count) {
  uint8_t text[32];
  lk_crdt_op op = { .actor = LK_LIT("replica-1") };
  for (uint32_t i = from; i < count; i++) must(lk_orset_remove(set, &op, element(i, text)));
}

#define CHURN_COUNT 100000u
#define CHURN_LEFT 1000u

/* Against fresh ones with the same elements: all of them there at the end, as in the tenth round, and
 * after it, when all but a few are gone again. */
static void churn(void) {
  static lk_crdt set, fresh, few;
  init(&set, &lk_crdt_type_orset);
  init(&fresh, &lk_crdt_type_orset);
  init(&few, &lk_crdt_type_orset);
  uint64_t begin = bench_now_ns();
  for (uint32_t round = 0; round < 10; round++) {
    if (round > 0) empty(&set, 0, CHURN_COUNT);
    fill(&set, CHURN_COUNT);
  }
  double took = (double)(bench_now_ns() - begin) / (19.0 * CHURN_COUNT);
  fill(&fresh, CHURN_COUNT);
  fill(&few, CHURN_LEFT);
  bench_row("crdt", "orset: one add or remove among 100,000", "ns", took, BENCH_LOWER, 1);
  show("orset of 100,000: memory of one element", "bytes", (double)set.bytes / CHURN_COUNT);
  bench_row("crdt", "orset of 100,000, changed ten times over: memory against a fresh one", "x",
            (double)set.bytes / (double)fresh.bytes, BENCH_LOWER, 2);
  empty(&set, CHURN_LEFT, CHURN_COUNT);
  bench_row("crdt", "the same, then removed but for 1,000: memory against a fresh one", "x",
            (double)set.bytes / (double)few.bytes, BENCH_LOWER, 2);
  lk_crdt_deinit(&set);
  lk_crdt_deinit(&fresh);
  lk_crdt_deinit(&few);
}

/* Merging deltas of ten elements into a set that holds the even numbers below 2 * size. The deltas come from
 * another replica, which makes them outside of the clock, and whose memory has then pushed that of the
 * set out of the processor's nearer caches. */
typedef struct merging {
  lk_crdt set;
  lk_crdt other;
  lk_buf delta;
  uint32_t size;
  uint32_t round;
} merging;

#define MERGED 10u

/* An even number somewhere in the |i|th tenth of the set, other ones in each round. */
static uint32_t place_of(const merging *m, uint32_t i) {
  uint32_t tenth = m->size / MERGED;
  uint32_t mixed = (m->round * MERGED + i + 1) * 2654435761u;
  mixed = (mixed ^ (mixed >> 15)) * 2246822507u;
  return (i * tenth + (mixed ^ (mixed >> 13)) % tenth) * 2;
}

typedef lk_err change_set(lk_crdt *self, const lk_crdt_op *op, lk_slice json);

/* One delta of ten changes to |other|. */
static void make_delta(merging *m, change_set *change, uint32_t odd) {
  uint8_t text[32];
  lk_crdt group;
  lk_buf one;
  init(&group, &lk_crdt_type_orset);
  lk_buf_init(&one, lk_posix_heap(), 1 << 16);
  lk_crdt_op op = { .actor = LK_LIT("replica-2"), .delta = &one };
  for (uint32_t i = 0; i < MERGED; i++) {
    lk_buf_truncate(&one, 0);
    must(change(&m->other, &op, element(place_of(m, i) + odd, text)));
    must(lk_crdt_merge(&group, lk_buf_slice(&one), NULL));
  }
  lk_buf_truncate(&m->delta, 0);
  must(lk_crdt_encode(&group, &m->delta));
  lk_buf_deinit(&one);
  lk_crdt_deinit(&group);
}

static uint64_t merge_delta(merging *m) {
  bool changed;
  uint64_t begin = bench_now_ns();
  must(lk_crdt_merge(&m->set, lk_buf_slice(&m->delta), &changed));
  uint64_t took = bench_now_ns() - begin;
  if (!changed) exit(1); /* nothing was measured */
  return took;
}

/* Odd numbers are new; the set loses them again, and keeps its size. */
static uint64_t merge_new(merging *m) {
  make_delta(m, lk_orset_add, 1);
  uint64_t took = merge_delta(m);
  make_delta(m, lk_orset_remove, 1);
  (void)merge_delta(m);
  return took;
}

/* Even numbers are there: each add removes the one before it. */
static uint64_t merge_replaced(merging *m) {
  make_delta(m, lk_orset_add, 0);
  return merge_delta(m);
}

static double time_merges(merging *m, uint64_t (*merge)(merging *m)) {
  const uint32_t rounds = 2000;
  uint64_t best = UINT64_MAX;
  for (uint32_t batch = 0; batch < 1 + BENCH_BATCHES; batch++) {
    uint64_t took = 0;
    for (uint32_t i = 0; i < rounds; i++, m->round++) took += merge(m);
    if (batch > 0 && took < best) best = took; /* the first one warms up */
  }
  return (double)best / rounds;
}

static void bench_merges_into(uint32_t size, double *added, double *replaced) {
  static merging m;
  uint8_t text[32];
  lk_crdt_op op = { .actor = LK_LIT("replica-1") };
  m = (merging){ .size = size };
  init(&m.set, &lk_crdt_type_orset);
  init(&m.other, &lk_crdt_type_orset);
  lk_buf_init(&m.delta, lk_posix_heap(), 1 << 20);
  for (uint32_t i = 0; i < size; i++) must(lk_orset_add(&m.other, &op, element(i * 2, text)));
  must(lk_crdt_merge_from(&m.set, &m.other, NULL));
  *added = time_merges(&m, merge_new);
  *replaced = time_merges(&m, merge_replaced);
  lk_buf_deinit(&m.delta);
  lk_crdt_deinit(&m.set);
  lk_crdt_deinit(&m.other);
}

static void bench_merges(void) {
  double added[2], replaced[2];
  bench_merges_into(100, &added[0], &replaced[0]);
  bench_merges_into(100000, &added[1], &replaced[1]);
  show("orset of 100: merge 10 new elements", "ns", added[0]);
  show("orset of 100,000: merge 10 new elements", "ns", added[1]);
  bench_row("crdt", "merging 10 new elements: 100,000 against 100", "x", added[1] / added[0],
            BENCH_LOWER, 3);
  show("orset of 100: merge 10 elements that are there", "ns", replaced[0]);
  show("orset of 100,000: merge 10 elements that are there", "ns", replaced[1]);
  bench_row("crdt", "merging 10 elements that are there: 100,000 against 100", "x",
            replaced[1] / replaced[0], BENCH_LOWER, 3);
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
  bench_row("crdt", "orsets of 1,000,000 that differ in 10: bytes by version vector", "bytes",
            (double)out.len, BENCH_LOWER, 1000);
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
  bench_merges();
  bench_diff();
  return 0;
}
