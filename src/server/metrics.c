/* server/metrics.c -- the rows of all processes, summed; of each process, whether it is there and what it weighs.
 *
 * Whoever is asked writes the whole text: numbers are in shared memory, and what a process weighs the
 * system tells to anybody of the same user. A number that cannot be had is left out. */
#include "server/metrics.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

typedef enum number_of { EDGE, ROOM } number_of;

typedef struct row {
  number_of of;
  const char *kind;
  const char *metric;
  const char *help;
} row;

static const row numbers[] = {
#define NUMBER(name, of, kind, metric, help) { of, kind, metric, help },
#define HISTOGRAM(name, of, metric, help)
#include "server/numbers.def"
#undef NUMBER
#undef HISTOGRAM
};

static const row histograms[] = {
#define NUMBER(name, of, kind, metric, help)
#define HISTOGRAM(name, of, metric, help) { of, "histogram", metric, help },
#include "server/numbers.def"
#undef NUMBER
#undef HISTOGRAM
};

static const char *const process_names[] = { "edge", "room" };

static uint32_t count_of(const lk_links *links, number_of of) {
  return of == EDGE ? links->edges_count : links->rooms_count;
}
/* What |of| and |index| stand for: the process for webhooks has a row of each kind, and is told of once. */
static const char *name_of(const lk_links *links, number_of of, uint32_t index) {
  bool is_webhooks = links->has_webhooks && index == count_of(links, of) - 1;
  if (is_webhooks) return of == EDGE ? "webhook" : NULL;
  return process_names[of];
}

static uint32_t number_in_kind(const lk_links *links, number_of of, uint32_t index) {
  return links->has_webhooks && index == count_of(links, of) - 1 ? 0 : index;
}

static lk_links_numbers *row_of(const lk_links *links, number_of of, uint32_t index) {
  return of == EDGE ? lk_links_edge_numbers(links, index) : lk_links_room_numbers(links, index);
}
static uint64_t load(const _Atomic uint64_t *cell) {
  return atomic_load_explicit(cell, memory_order_relaxed);
}

static void print(lk_buf *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void print(lk_buf *out, const char *format, ...) {
  char line[512];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  LK_ASSERT(len > 0 && (size_t)len < sizeof line);
  (void)lk_buf_append(out, lk_slice_of(line, (size_t)len));
}

static void print_head(lk_buf *out, const char *metric, const char *kind, const char *help) {
  print(out, "# HELP %s %s\n# TYPE %s %s\n", metric, help, metric, kind);
}

static void print_number(const lk_links *links, lk_links_number which, lk_buf *out) {
  const row *r = &numbers[which];
  uint64_t total = 0;
  for (uint32_t i = 0; i < count_of(links, r->of); i++)
    total += load(&row_of(links, r->of, i)->values[which]);
  print_head(out, r->metric, r->kind, r->help);
  print(out, "%s %llu\n", r->metric, (unsigned long long)total);
}

/* Microseconds as seconds, exactly. */
static void print_seconds(lk_buf *out, uint64_t us) {
  print(out, "%llu.%06llu\n", (unsigned long long)(us / 1000000),
        (unsigned long long)(us % 1000000));
}

/* The count is what the buckets add up to, so that the two agree whatever was written meanwhile. */
static void print_histogram(const lk_links *links, lk_histogram_name which, lk_buf *out) {
  const row *r = &histograms[which];
  uint64_t below = 0, sum_us = 0;
  print_head(out, r->metric, r->kind, r->help);
  for (uint32_t bucket = 0; bucket < LK_HISTOGRAM_BUCKETS; bucket++) {
    for (uint32_t i = 0; i < count_of(links, r->of); i++)
      below += load(&row_of(links, r->of, i)->histograms[which].counts[bucket]);
    if (bucket < LK_HISTOGRAM_BOUNDS_COUNT)
      print(out, "%s_bucket{le=\"%g\"} %llu\n", r->metric, lk_histogram_bound_us(bucket) / 1e6,
            (unsigned long long)below);
  }
  for (uint32_t i = 0; i < count_of(links, r->of); i++)
    sum_us += load(&row_of(links, r->of, i)->histograms[which].sum_us);
  print(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum ", r->metric, (unsigned long long)below,
        r->metric);
  print_seconds(out, sum_us);
  print(out, "%s_count %llu\n", r->metric, (unsigned long long)below);
}

/* ---- processes ---- */

static void print_restarts(const lk_links *links, lk_buf *out) {
  const char *name = "laniakea_restarts_total";
  print_head(out, name, "counter", "Processes that died and were replaced.");
  for (number_of of = EDGE; of <= ROOM; of++) {
    uint64_t total = 0;
    for (uint32_t i = 0; i < count_of(links, of) - links->has_webhooks; i++) {
      uint64_t starts = load(&row_of(links, of, i)->starts);
      total += starts > 0 ? starts - 1 : 0;
    }
    print(out, "%s{process=\"%s\"} %llu\n", name, process_names[of], (unsigned long long)total);
  }
  if (!links->has_webhooks) return;
  uint64_t starts = load(&row_of(links, EDGE, links->edges_count - 1)->starts);
  print(out, "%s{process=\"webhook\"} %llu\n", name,
        (unsigned long long)(starts > 0 ? starts - 1 : 0));
}

static void print_ready(const lk_links *links, lk_buf *out) {
  const char *name = "laniakea_process_ready";
  print_head(out, name, "gauge", "1 where the process does its work.");
  for (number_of of = EDGE; of <= ROOM; of++) {
    for (uint32_t i = 0; i < count_of(links, of); i++) {
      const char *process = name_of(links, of, i);
      if (process == NULL) continue;
      print(out, "%s{process=\"%s\",index=\"%u\"} %u\n", name, process,
            (unsigned)number_in_kind(links, of, i),
            load(&row_of(links, of, i)->ready) != 0 ? 1u : 0u);
    }
  }
}

static bool read_resident(uint64_t pid, uint64_t *out) {
  char path[64];
  unsigned long long size, resident;
  (void)snprintf(path, sizeof path, "/proc/%llu/statm", (unsigned long long)pid);
  FILE *file = fopen(path, "re");
  if (file == NULL) return false;
  bool ok = fscanf(file, "%llu %llu", &size, &resident) == 2;
  (void)fclose(file);
  *out = resident * (uint64_t)sysconf(_SC_PAGESIZE);
  return ok;
}

static void print_resident(lk_buf *out, const char *process, unsigned index, uint64_t pid) {
  uint64_t bytes;
  if (pid != 0 && read_resident(pid, &bytes))
    print(out, "laniakea_process_resident_bytes{process=\"%s\",index=\"%u\"} %llu\n", process,
          index, (unsigned long long)bytes);
}

static void print_memory(const lk_links *links, lk_buf *out) {
  print_head(out, "laniakea_process_resident_bytes", "gauge",
             "Memory of a process that is in RAM; what processes share counts in each of them.");
  print_resident(out, "supervisor", 0, links->supervisor_pid);
  for (number_of of = EDGE; of <= ROOM; of++) {
    for (uint32_t i = 0; i < count_of(links, of); i++) {
      const char *process = name_of(links, of, i);
      if (process != NULL)
        print_resident(out, process, (unsigned)number_in_kind(links, of, i),
                       load(&row_of(links, of, i)->pid));
    }
  }
}

void lk_metrics_write(const lk_links *links, lk_buf *out) {
  for (int i = 0; i < LK_NUMBERS_COUNT; i++) print_number(links, (lk_links_number)i, out);
  for (int i = 0; i < LK_HISTOGRAMS_COUNT; i++) print_histogram(links, (lk_histogram_name)i, out);
  print_restarts(links, out);
  print_ready(links, out);
  print_memory(links, out);
}
