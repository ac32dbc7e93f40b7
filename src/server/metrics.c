/* server/metrics.c -- the rows of all processes, summed. */
#include "server/metrics.h"

#include <stdio.h>

typedef enum number_of { EDGE, ROOM } number_of;

static const struct {
  number_of of;
  const char *kind;
  const char *metric;
  const char *help;
} rows[] = {
#define NUMBER(name, of, kind, metric, help) { of, kind, metric, help },
#include "server/numbers.def"
#undef NUMBER
};

static uint64_t sum(const lk_links *links, lk_number which) {
  uint64_t total = 0;
  uint32_t first = rows[which].of == EDGE ? 0 : links->edges_count;
  uint32_t count = rows[which].of == EDGE ? links->edges_count : links->rooms_count;
  for (uint32_t i = first; i < first + count; i++)
    total += atomic_load_explicit(&links->numbers[i].values[which], memory_order_relaxed);
  return total;
}

static void append_line(lk_buf *out, const char *metric, const char *kind, const char *help,
                        uint64_t value) {
  char line[512];
  int len = snprintf(line, sizeof line, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", metric, help,
                     metric, kind, metric, (unsigned long long)value);
  LK_ASSERT(len > 0 && (size_t)len < sizeof line);
  (void)lk_buf_append(out, lk_slice_of(line, (size_t)len));
}

/* How often processes of a kind were started again. */
static void append_restarts(const lk_links *links, lk_buf *out) {
  char line[512];
  const char *name = "laniakea_restarts_total";
  (void)snprintf(line, sizeof line,
                 "# HELP %s Processes that died and were replaced.\n# TYPE %s counter\n", name, name);
  (void)lk_buf_append(out, lk_slice_cstr(line));
  for (int rooms = 0; rooms < 2; rooms++) {
    uint64_t total = 0;
    uint32_t first = rooms == 0 ? 0 : links->edges_count;
    uint32_t count = rooms == 0 ? links->edges_count : links->rooms_count;
    for (uint32_t i = first; i < first + count; i++) {
      uint64_t starts = atomic_load_explicit(&links->numbers[i].starts, memory_order_relaxed);
      total += starts > 0 ? starts - 1 : 0;
    }
    (void)snprintf(line, sizeof line, "%s{process=\"%s\"} %llu\n", name,
                   rooms == 0 ? "edge" : "room", (unsigned long long)total);
    (void)lk_buf_append(out, lk_slice_cstr(line));
  }
}

void lk_metrics_write(const lk_links *links, lk_buf *out) {
  for (int i = 0; i < LK_NUMBERS_COUNT; i++)
    append_line(out, rows[i].metric, rows[i].kind, rows[i].help, sum(links, (lk_number)i));
  append_restarts(links, out);
}
